/*
 * A set of CIDs, compact: 16 bytes each in a table at most 3/4 full.  Each is
 * kept as a keyed hash (SipHash, 128 bits, with a random key of the set), which
 * a stranger cannot make collide.  Nothing is ever taken out.
 */
#ifndef STORE_CIDSET_H
#define STORE_CIDSET_H

#include "store/cid.h"

/* More would take a gigabyte: -EOVERFLOW. */
#define CIDSET_MAX (48u << 20)

struct cidset {
	uint64_t (*slots)[2]; /* both 0: free */
	size_t n, cap;	      /* cap: a power of two, or 0 */
	uint8_t key[16];
};

int cidset_init(struct cidset *s); /* 0, or an errno: no random bytes */
void cidset_release(struct cidset *s);

/* 1: added; 0: it was there; -ENOMEM or -EOVERFLOW. */
int cidset_add(struct cidset *s, const struct cid *c);
bool cidset_has(const struct cidset *s, const struct cid *c);

#endif
