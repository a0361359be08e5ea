/*
 * One iterative lookup of Kademlia: whom to ask next, and when it is over.
 * Pure: no socket, and the clock is an argument (ms).  The caller carries the
 * questions out and says what came back.
 *
 * The lookup runs along several paths that share no question (S/Kademlia): what
 * a peer names is followed only on the path that asked it, so that colluders
 * who name each other catch some paths but not all.  A path ends when the
 * nearest peers it knows have answered; the lookup when all paths have and the
 * nearest peers of all paths together have answered, or a limit is reached.
 *
 *	l = kad_lookup_new(&cfg);
 *	kad_lookup_start(l, peer)...			what the routing table knows
 *	while ((what = kad_lookup_next(l, now, &ask, &wake)) == LOOKUP_ASK)
 *		ask it; later kad_lookup_answered() or kad_lookup_failed()
 *	LOOKUP_WAIT: come back after an answer, or at `wake`
 */
#ifndef NET_KAD_LOOKUP_H
#define NET_KAD_LOOKUP_H

#include "net/kad_id.h"
#include "net/kad_msg.h"

#define LOOKUP_PATHS_MAX 16

struct kad_lookup;

struct lookup_config {
	struct kad_id target;
	struct peer_id self; /* never asked */
	unsigned paths;      /* α: so many questions at a time, 1 to LOOKUP_PATHS_MAX */
	unsigned path_end;   /* β: so many nearest of a path must have answered */
	unsigned closest;    /* and so many of all: 20 where a record is to be stored */
	unsigned ask_max;    /* questions in all */
	uint64_t now, total_ms;
	uint64_t slow_ms;     /* after so long a path asks another peer as well */
	uint64_t patience_ms; /* after so long a peer has failed */
	/* If set: every peer known to lie this near must have answered too. */
	bool has_region;
	struct kad_id region; /* a distance */
};

struct kad_lookup *kad_lookup_new(const struct lookup_config *cfg); /* NULL: no memory */
void kad_lookup_free(struct kad_lookup *l);

/* A peer to begin with. */
void kad_lookup_start(struct kad_lookup *l, const struct kad_contact *c);
/*
 * `from`, which was asked, named this peer.  Of one answer only the first
 * KAD_K are taken, and of one path a bounded number is kept, the nearest.
 */
void kad_lookup_heard(struct kad_lookup *l, const struct peer_id *from,
		      const struct peer_id *p, const uint8_t *addrs, size_t addrs_len);
/* All that it said has been told with kad_lookup_heard(). */
void kad_lookup_answered(struct kad_lookup *l, const struct peer_id *p);
void kad_lookup_failed(struct kad_lookup *l, const struct peer_id *p);

enum lookup_next { LOOKUP_ASK, LOOKUP_WAIT, LOOKUP_DONE };
/* ASK: *ask is set (its addrs borrowed until the next call).  WAIT: *wake is
 * when to come back at the latest.  DONE stays so. */
enum lookup_next kad_lookup_next(struct kad_lookup *l, uint64_t now,
				 struct kad_contact *ask, uint64_t *wake);

/* How many peers, not known to have failed, lie within `distance` of the target. */
unsigned kad_lookup_within(const struct kad_lookup *l, const struct kad_id *distance);
/* Go on, or begin, with this region; also after DONE, unless time or count ended it. */
void kad_lookup_widen(struct kad_lookup *l, const struct kad_id *region);

/* The nearest that answered, nearest first; those of the region beyond the
 * first `k` are included as far as `max` allows. */
int kad_lookup_closest(const struct kad_lookup *l, unsigned k, struct kad_contact *out,
		       int max);
unsigned kad_lookup_asked(const struct kad_lookup *l);
unsigned kad_lookup_answers(const struct kad_lookup *l);

#endif
