/*
 * How many nodes a DHT has, as seen from how close together they lie around
 * random places; and from that, how near to a key an honest network would have
 * so many nodes.  Whoever crowds a key with made-up identities (hostile.md 58)
 * stands out against it.  Pure.
 */
#ifndef NET_KAD_SIZE_H
#define NET_KAD_SIZE_H

#include "net/kad_id.h"

#define KAD_SIZE_NOTES 16
/* So many peers where CROWD_OF are expected are no chance (1 in 5,000). */
#define KAD_CROWD    15
#define KAD_CROWD_OF 5

struct kad_size {
	double seen[KAD_SIZE_NOTES];
	unsigned n; /* noted in all */
};

/* The `n` nodes nearest to `target`, a place that we chose at random.  Fewer than
 * KAD_SIZE_FEW say nothing. */
#define KAD_SIZE_FEW 10
void kad_size_note(struct kad_size *s, const struct kad_id *target,
		   const struct kad_contact *nearest, int n);

/* The median of what was noted last; 0 while that is too little. */
double kad_size_nodes(const struct kad_size *s);

/* The distance within which `nodes` nodes are expected: true, or false if the
 * size is not known, or they are as good as all. */
bool kad_size_radius(const struct kad_size *s, double nodes, struct kad_id *out);

#endif
