/*
 * What peers want from us: at most 1,024 entries for each, by priority, and
 * those we lack stand until the block arrives.  No socket, no store: the server
 * asks what is next and says what became of it.
 */
#ifndef NET_BITSWAP_LEDGER_H
#define NET_BITSWAP_LEDGER_H

#include "net/bitswap_heap.h"
#include "net/bitswap_map.h"
#include "net/bitswap_msg.h"

#include <stdatomic.h>
#include <sys/queue.h>

#define LEDGER_MAX  1024
#define LEDGERS_MAX 131072 /* entries of all; beyond, each peer has LEDGER_MIN */
#define LEDGER_MIN  32

TAILQ_HEAD(demand_list, demand);

/* QUEUED: in the heap.  READING: taken from it.  STANDING: we lack the block. */
enum demand_state { DEMAND_QUEUED, DEMAND_READING, DEMAND_STANDING };

struct demand {
	struct ledger *ledger;
	struct map_node node;    /* in the ledger */
	struct map_node by_name; /* STANDING: in all */
	struct heap_item order;
	TAILQ_ENTRY(demand) of_ledger; /* all, or standing */
	enum demand_state state;
	bool want_have, send_dont_have;
	bool cancelled; /* while READING */
	int32_t priority;
	struct cid cid;
};

/* Of all peers. */
struct ledgers {
	uint64_t seed;
	uint32_t n;
	struct map standing;
	_Atomic uint32_t n_standing; /* may be read by any thread */
};

/* Of one peer. */
struct ledger {
	struct ledgers *all;
	struct map by_name;
	struct heap queue;
	struct demand_list busy, standing; /* standing: the oldest first */
	uint32_t n, sequence;
};

void ledgers_init(struct ledgers *all, uint64_t seed);
void ledgers_release(struct ledgers *all);
void ledger_init(struct ledger *l, struct ledgers *all);
/* Forget all; what is being read is the reader's to free, with demand_done(). */
void ledger_release(struct ledger *l);

/* A want-list entry that came.  0, or -ENOSPC, -ENOMEM: it was not kept. */
int ledger_want(struct ledger *l, const struct bitswap_item *item);
void ledger_cancel(struct ledger *l, const struct multihash *name);
/* A full want-list follows. */
void ledger_clear(struct ledger *l);

/* The most urgent one, now READING; NULL if there is none. */
struct demand *ledger_next(struct ledger *l);
/* Put it back: it will be next again. */
void demand_again(struct demand *d);
/* We lack its block. */
void demand_stand(struct demand *d);
/* Answered, or cancelled meanwhile. */
void demand_done(struct demand *d);

/* The block is here: queue the demands that stand for it.  `woken` is called
 * for each ledger. */
void ledgers_have(struct ledgers *all, const struct multihash *name,
		  void (*woken)(void *arg, struct ledger *l), void *arg);

#endif
