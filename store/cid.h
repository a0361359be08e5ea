/*
 * CIDs (multiformats/cid): version, codec and multihash of a block.
 *	v1 = 01 | uvarint codec | multihash
 *	v0 = a sha2-256 multihash, 34 bytes; codec dag-pb
 */
#ifndef STORE_CID_H
#define STORE_CID_H

#include "store/multihash.h"

#define CODEC_RAW	 0x55
#define CODEC_DAG_PB	 0x70
#define CODEC_DAG_CBOR	 0x71
#define CODEC_LIBP2P_KEY 0x72

#define CID_SIZE_MAX (MULTIHASH_SIZE_MAX + 8) /* binary */
#define CID_TEXT_MAX 320		      /* text with its NUL */

struct cid {
	uint8_t version; /* 0 or 1 */
	uint32_t codec;
	struct multihash hash;
};

/* Binary, exactly one CID.  0 or ERR_MALFORMED. */
int cid_decode(struct cid *out, const void *data, size_t len);

/* Binary, from a stream (CAR): the cursor stands behind it; sets in->bad. */
void cid_read(struct cursor *in, struct cid *out);

/* Binary form to `out` (CID_SIZE_MAX bytes of room); returns the length. */
size_t cid_encode(const struct cid *c, uint8_t *out);
/* That length. */
size_t cid_size(const struct cid *c);

/* Text: Qm… or multibase.  0, ERR_MALFORMED or -ENOTSUP. */
int cid_parse(struct cid *out, const char *text, size_t len);

/* Canonical text (v0 base58, v1 base32; libp2p keys base36) and its NUL. */
const char *cid_text(const struct cid *c, char out[CID_TEXT_MAX]);

/* Same version, codec and hash. */
bool cid_equal(const struct cid *a, const struct cid *b);

/* A CID of `data` under sha2-256; version 0 needs CODEC_DAG_PB. */
void cid_of(struct cid *out, int version, uint32_t codec, const void *data, size_t len);

#endif
