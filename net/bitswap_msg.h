/*
 * The messages of Bitswap 1.0 to 1.2 (wire.md 9): pure functions.
 *	frame    = uvarint length | Message, at most 4 MiB
 *	Message:   1 wantlist {1 entries rep Entry, 2 full bool}, 2 blocks rep bytes
 *		   (1.0), 3 payload rep Block, 4 blockPresences rep Presence
 *	Entry:     1 block bytes (a CID), 2 priority int32, 3 cancel bool,
 *		   4 wantType enum (0 block, 1 have), 5 sendDontHave bool
 *	Block:     1 prefix bytes, 2 data bytes
 *	Presence:  1 cid bytes, 2 type enum (0 have, 1 don't)
 *	prefix   = uvarint version | codec | hash code | digest length
 */
#ifndef NET_BITSWAP_MSG_H
#define NET_BITSWAP_MSG_H

#include "store/buf.h"
#include "store/cid.h"

#define BITSWAP_MSG_MAX      (4u << 20)
#define BITSWAP_ELEMENTS_MAX 131072 /* entries, blocks and presences of a message */
#define BITSWAP_BLOCKS_MAX   8192   /* of these, blocks */

enum bitswap_kind {
	BITSWAP_WANT,
	BITSWAP_CANCEL,
	BITSWAP_BLOCK,
	BITSWAP_HAVE,
	BITSWAP_DONT_HAVE,
};

struct bitswap_item {
	enum bitswap_kind kind;
	/* Of a block only what its prefix says: all but the digest. */
	struct cid cid;
	int32_t priority;
	bool want_have;      /* asks whether we have it, not for the block */
	bool send_dont_have; /* wants to be told if we lack it */
	const uint8_t *data; /* of a block: borrowed from the message */
	size_t len;
};

struct bitswap_reader {
	bool full;      /* the want-list replaces what was known */
	uint32_t wants; /* entries, cancels too */
	uint32_t blocks;
	uint32_t presences;
	/* private */
	struct cursor message, wantlist;
	uint32_t elements;
};

/*
 * Check the whole message and count what is in it; nothing of a bad message is
 * ever acted upon.  0 or ERR_MALFORMED.  Entries whose CID is longer than any
 * we know or carries its bytes in itself are passed over (hostile.md 39, 65).
 */
int bitswap_msg_begin(struct bitswap_reader *r, const void *data, size_t len);
/* The next item; false at the end. */
bool bitswap_msg_next(struct bitswap_reader *r, struct bitswap_item *out);

/* An entry of a want-list, appended to the entries of one message. */
enum bitswap_ask { BITSWAP_ASK_BLOCK, BITSWAP_ASK_HAVE, BITSWAP_ASK_CANCEL };
void bitswap_put_entry(struct buf *entries, const struct cid *cid, enum bitswap_ask ask,
		       int32_t priority);
/* The whole frame of a message of those entries. */
void bitswap_frame_wants(struct buf *out, const struct buf *entries, bool full);

/* Parts of an answer, appended to its body. */
void bitswap_put_presence(struct buf *body, const struct cid *cid, bool have);
/* What stands before the `size` bytes of a block; the caller appends these.
 * `old`: as 1.0 has it, without a prefix. */
void bitswap_put_block_head(struct buf *body, const struct cid *cid, size_t size,
			    bool old);
/* What stands before the `size` bytes of the parts of an answer. */
void bitswap_put_answer_head(struct buf *out, size_t size);

#endif
