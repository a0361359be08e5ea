/*
 * IPNS records (wire.md 10): pure functions.
 *	IpnsEntry: 1 value, 2 signatureV1, 3 validityType, 4 validity, 5 sequence,
 *		6 ttl, 7 pubKey, 8 signatureV2, 9 data (dag-cbor)
 */
#ifndef NET_IPNS_H
#define NET_IPNS_H

#include "net/key.h"

#define IPNS_RECORD_MAX 10240
#define IPNS_VALUE_MAX  2048
#define IPNS_KEY_MAX    (6 + PEER_ID_MAX) /* "/ipns/" | multihash */

struct ipns_record {
	char value[IPNS_VALUE_MAX]; /* "/ipfs/…", NUL-terminated */
	uint64_t sequence;
	int64_t validity_ms; /* unix time of expiry; far dates are clamped */
	uint64_t ttl_ns;
	/* Our own key "_cairn" in the signed data: bytes, if there. */
	uint8_t extra[128];
	size_t extra_len;
};

/* Sign a record (V1 and V2 fields, like Kubo and Helia).  0 or -EMSGSIZE. */
int ipns_sign(struct buf *out, const struct secret_key *key,
	      const struct ipns_record *rec);

/*
 * Verify the bytes of a record for `name` at `now_ms` and decode.
 * 0, ERR_MALFORMED, ERR_CORRUPT (signature, key, or copies that differ), -ETIME
 * (expired).
 */
int ipns_verify(struct ipns_record *out, const struct peer_id *name, const void *data,
		size_t len, int64_t now_ms);

/* >0 if record `a` is to be preferred to `b`, 0 if equal: sequence, validity, bytes.
 * Both were verified. */
int ipns_compare(const void *a, size_t a_len, const void *b, size_t b_len);

/* The routing key: "/ipns/" | multihash; returns its length. */
size_t ipns_key(const struct peer_id *name, uint8_t out[IPNS_KEY_MAX]);

#endif
