/*
 * Peer ids (libp2p/specs peer-ids): the multihash of a serialized public key,
 * identity up to 42 bytes, else sha2-256.  Compared as bytes.
 */
#ifndef NET_PEER_H
#define NET_PEER_H

#include "store/cid.h"

#define PEER_ID_MAX  64
#define PEER_TEXT_MAX 96

struct peer_id {
	uint8_t len; /* 0: none */
	uint8_t bytes[PEER_ID_MAX];
};

/* Binary: a multihash, identity (at most 42 bytes) or sha2-256.  ERR_MALFORMED. */
int peer_decode(struct peer_id *out, const void *data, size_t len);

/* Text: base58btc (1…, Qm…) or a multibase CID of codec libp2p-key. */
int peer_parse(struct peer_id *out, const char *text, size_t len);

/* base58btc, as peers are shown. */
const char *peer_text(const struct peer_id *p, char out[PEER_TEXT_MAX]);
/* k51…, as names are shown. */
const char *peer_name_text(const struct peer_id *p, char out[PEER_TEXT_MAX]);

bool peer_equal(const struct peer_id *a, const struct peer_id *b);
uint64_t peer_hash(const struct peer_id *p);

#endif
