/*
 * The messages of /ipfs/id/1.0.0 and /ipfs/id/push/1.0.0: bytes in, a value out.
 *
 *	stream: one or more of  uvarint length | Identify
 *	Identify: 1 publicKey bytes, 2 listenAddrs rep multiaddr, 3 protocols rep string,
 *		  4 observedAddr multiaddr, 5 protocolVersion string,
 *		  6 agentVersion string, 8 signedPeerRecord bytes (an envelope)
 *
 * A peer may spread them over several messages (go-libp2p sends the signed
 * record in a second one), so the reader merges; lists are bounded, and what
 * does not fit is left out.
 */
#ifndef NET_IDENTIFY_MSG_H
#define NET_IDENTIFY_MSG_H

#include "net/envelope.h"

#define IDENTIFY_MESSAGE_MAX 8192 /* bytes of one message that we take: struct frame's max */
#define IDENTIFY_PARTS_MAX   10
#define IDENTIFY_ADDRS	     PEER_RECORD_ADDRS
#define IDENTIFY_PROTOCOLS   128
#define IDENTIFY_TEXT	     6144 /* bytes of all protocols, each with its NUL */
#define IDENTIFY_AGENT	     64

/* What a peer told.  About 24 KiB: keep it for the exchange only.  Zero-initialise. */
struct identify {
	int parts; /* messages merged */

	/* In a push, what is missing has not changed. */
	bool has_key, has_addrs, has_protocols;
	bool has_record; /* `seq` is set and `addrs` are those that were signed */
	bool bad_record; /* there was a signed record, and it was refused, with all addrs */

	uint64_t seq;
	int n_addrs;
	struct addr addrs[IDENTIFY_ADDRS]; /* without /p2p/ of the peer */
	struct addr observed;		   /* how it sees us, without /p2p/; len 0: not said */

	int n_protocols;
	uint16_t text_len;
	char protocols[IDENTIFY_TEXT]; /* NUL-terminated texts, one after another */

	/* Cut to fit, control characters replaced: fit to be shown. */
	char version[IDENTIFY_AGENT], agent[IDENTIFY_AGENT];
};

/*
 * Merge one message (without its length) that came from `from`, the peer the
 * connection authenticated.  0; ERR_MALFORMED (also one part too many); ERR_CORRUPT:
 * a publicKey that is not that peer's.  A refused signed record is not an
 * error: see bad_record.
 */
int identify_merge(struct identify *id, const struct peer_id *from, const void *msg,
		   size_t len);

/* True if the peer listed exactly `protocol`. */
bool identify_speaks(const struct identify *id, const char *protocol);
/* The list, one by one: NULL first, then the last one returned; NULL at the end. */
const char *identify_next_protocol(const struct identify *id, const char *last);

/* What we tell. */
struct identify_self {
	const struct secret_key *key;
	uint64_t seq; /* of the signed record: milliseconds, grows with each change */
	const struct addr *addrs;
	int n_addrs;
	const char *const *protocols;
	int n_protocols;
	const struct addr *observed; /* the peer's address as we see it; NULL: do not say */
	const char *version, *agent; /* "ipfs/0.1.0", free text */
};

/*
 * Append the messages, each with its length: what is written to the stream
 * before closing it.  Each stays under 4 KiB (what rust-libp2p takes): the
 * record goes into a second one when the whole passes 2 KiB; protocols and
 * addresses that do not fit are left out.  0, or -ENOMEM.
 */
int identify_encode(struct buf *out, const struct identify_self *self);

#endif
