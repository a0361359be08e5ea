/*
 * Where peers may be.  Bounded in peers and in addresses of each, and what is
 * not confirmed expires; when it is full, the entry used longest ago goes.
 * Pure; the time (ms) is an argument.
 *
 * An address was confirmed by a connection, signed by the peer, or only heard of;
 * that is also the order in which they are given.  A newer signed record
 * replaces the signed and heard ones, an older one is ignored (RFC 0003).
 */
#ifndef NET_PEERBOOK_H
#define NET_PEERBOOK_H

#include "net/addr.h"

#define PEERBOOK_PEERS 4096
#define PEERBOOK_ADDRS 16 /* of one peer */

struct peerbook;

enum addr_trust { ADDR_HEARD, ADDR_SIGNED, ADDR_CONFIRMED };

struct peerbook *peerbook_new(void); /* NULL if out of memory */
void peerbook_free(struct peerbook *b);

/* Remember an address (without its /p2p/).  What cannot be kept is dropped. */
void peerbook_add(struct peerbook *b, const struct peer_id *p, const struct addr *a,
		  enum addr_trust trust, uint64_t now);
/* The peer's own signed list.  False if `seq` is not newer than the last one. */
bool peerbook_record(struct peerbook *b, const struct peer_id *p, uint64_t seq,
		     const struct addr *a, int n, uint64_t now);
/* The best `max` addresses that have not expired; the count. */
int peerbook_get(struct peerbook *b, const struct peer_id *p, struct addr *out, int max,
		 uint64_t now);

/* A dial of all that is known has failed with `result` ... */
void peerbook_failed(struct peerbook *b, const struct peer_id *p, int result,
		     uint64_t until);
/* ... which is the answer until then, unless an address came since; else 0. */
int peerbook_failure(struct peerbook *b, const struct peer_id *p, uint64_t now);

#endif
