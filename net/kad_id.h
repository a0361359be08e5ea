/*
 * A place in the key space of Kademlia: SHA-256 of a peer id or of a key.  Two
 * places are as far apart as their XOR, read as a big-endian number.
 */
#ifndef NET_KAD_ID_H
#define NET_KAD_ID_H

#include "net/peer.h"

#include <string.h>

#define KAD_BITS 256

struct kad_id {
	uint8_t b[32];
};

static inline struct kad_id kad_id_of(const void *data, size_t len)
{
	struct kad_id id;

	sha256(id.b, data, len);
	return id;
}

static inline struct kad_id kad_id_of_peer(const struct peer_id *p)
{
	return kad_id_of(p->bytes, p->len);
}

static inline struct kad_id kad_distance(const struct kad_id *a, const struct kad_id *b)
{
	struct kad_id d;

	for (int i = 0; i < 32; i++)
		d.b[i] = a->b[i] ^ b->b[i];
	return d;
}

/* A peer with its place, and where it can be reached. */
struct kad_contact {
	struct peer_id peer;
	struct kad_id id;
	const uint8_t *addrs; /* packed (net/kad_msg.h); borrowed from who gave it */
	size_t addrs_len;
};

/* <0 if `a` is nearer to `target` than `b`, >0 if farther, 0 if they are one. */
static inline int kad_nearer(const struct kad_id *target, const struct kad_id *a,
			     const struct kad_id *b)
{
	for (int i = 0; i < 32; i++)
		if (a->b[i] != b->b[i])
			return (a->b[i] ^ target->b[i]) - (b->b[i] ^ target->b[i]);
	return 0;
}

/* Leading bits that both have in common: 0 to 256. */
static inline int kad_common_bits(const struct kad_id *a, const struct kad_id *b)
{
	for (int i = 0; i < 32; i++)
		if (a->b[i] != b->b[i])
			return i * 8 + __builtin_clz((unsigned)(a->b[i] ^ b->b[i])) - 24;
	return KAD_BITS;
}

#endif
