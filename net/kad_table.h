/*
 * The routing table of Kademlia: the peers of one DHT that we know, in buckets
 * of 20 by how many leading bits of their place they share with ours.  Pure:
 * no socket, and the clock is an argument (ms, never going back).
 *
 * Old peers that live are kept; a new one finds room in a full bucket only by
 * taking the place of one that has failed to answer (hostile.md 59, 60).
 */
#ifndef NET_KAD_TABLE_H
#define NET_KAD_TABLE_H

#include "net/kad_id.h"
#include "net/kad_msg.h"

struct kad_table;

int kad_table_new(struct kad_table **out, const struct peer_id *self);
void kad_table_free(struct kad_table *t);

/*
 * A peer that speaks our protocol.  `addrs` are packed addresses (copied, at
 * most KAD_ADDRS_SIZE).  `group` is the part of the Internet it is in, or 0:
 * of one group at most 3 are taken, and 2 into a bucket.
 *   1	added
 *   0	it was there; its addresses and group are renewed
 *   -EINVAL	ourselves
 *   -EDQUOT	too many of its group
 *   -ENOSPC	its bucket is full of peers that live
 *   -ENOMEM
 */
int kad_table_offer(struct kad_table *t, const struct peer_id *p, const uint8_t *addrs,
		    size_t addrs_len, uint64_t group, uint64_t now);
/* It answered a question. */
void kad_table_answered(struct kad_table *t, const struct peer_id *p, uint64_t now);
/* It did not.  The second time in a row it goes: true. */
bool kad_table_failed(struct kad_table *t, const struct peer_id *p);
void kad_table_remove(struct kad_table *t, const struct peer_id *p);

bool kad_table_has(const struct kad_table *t, const struct peer_id *p);
uint32_t kad_table_count(const struct kad_table *t);

/* The nearest to `target`, nearest first; the count. */
int kad_table_closest(const struct kad_table *t, const struct kad_id *target,
		      struct kad_contact *out, int max);
/* Up to `max` peers that have not answered since `before`, oldest first. */
int kad_table_stale(const struct kad_table *t, uint64_t before, struct kad_contact *out,
		    int max);
/* The highest number of bits that a peer shares with us; -1 if there is none. */
int kad_table_depth(const struct kad_table *t);

#endif
