/*
 * The Bitswap service between its files: links to peers, what comes in, what
 * goes out.  The decisions are elsewhere: bitswap_client.h for what we want,
 * bitswap_ledger.h for what peers want.
 */
#ifndef NET_BITSWAP_INTERNAL_H
#define NET_BITSWAP_INTERNAL_H

#include "net/bitswap_client.h"
#include "net/bitswap_ledger.h"
#include "net/frame.h"

#include <stdatomic.h>

#define BITSWAP_FAILURES 64
#define BITSWAP_TALLIES  256

/* Newest first; the older ones differ in how blocks are written. */
extern const char *const bitswap_protocols[];

TAILQ_HEAD(link_list, link);
TAILQ_HEAD(inlet_list, inlet);
TAILQ_HEAD(serving_list, serving);

/* A stream of ours to a peer, opened when there is something to say and closed
 * after a while of silence. */
struct outlet {
	struct link *link;
	enum { OUTLET_CLOSED, OUTLET_OPENING, OUTLET_OPEN } state;
	struct stream *st;
	struct opening *opening;
	bool old;       /* 1.0: blocks without prefix */
	bool presences; /* 1.2 */
	bool full;      /* wait for on_drain */
	uint64_t used;
};

/* A stream a peer opened, on which it speaks and we listen. */
struct inlet {
	struct link *link;
	TAILQ_ENTRY(inlet) of_link;
	struct stream *st;
	struct frame frame;
	size_t held; /* counted in the link and in all */
};

struct link {
	struct bitswap *b;
	struct map_node node;
	TAILQ_ENTRY(link) all;
	struct peer_id peer;
	uint32_t refs; /* itself, until it goes, and work in the pool */
	bool gone;
	struct bitswap_peer *tally; /* NULL if there are too many */

	struct inlet_list inlets;
	size_t held;      /* of unfinished messages */
	size_t verifying; /* handed to the pool */
	bool paused;

	/* Our wants. */
	struct partner *partner; /* NULL: does not speak Bitswap, as far as we know */
	struct outlet wants;
	struct buf entries; /* to be sent */
	TAILQ_ENTRY(link) unsent;
	bool is_unsent;
	bool whole;      /* what it knows of our list may be wrong: replace it */
	uint32_t losses; /* of streams, since an answer came */

	/* Its wants. */
	struct ledger ledger;
	struct outlet answers;
	struct serving_list ready; /* blocks to be written */
	size_t outstanding;        /* bytes of these and of blocks being read */
	struct buf pack;           /* the parts of the next message */
	TAILQ_ENTRY(link) turn;
	bool has_turn;
	uint32_t answers_lost; /* streams, since the last answer */
};

struct bitswap {
	struct swarm *swarm;
	struct routing *routing;
	struct store *store;
	uv_loop_t *loop;
	struct client client;
	struct ledgers ledgers;
	struct map links;
	struct link_list all_links, unsent, turns;
	uint32_t n_reads; /* in the pool */
	size_t outstanding, held, verifying;

	uv_timer_t soon; /* decide and send, once for all that came in this turn */
	uv_timer_t wake; /* the client's next time-out */
	uv_timer_t tidy; /* closes silent streams */
	uv_timer_cb on_soon, on_tidy;
	uv_async_t have;
	uv_mutex_t have_lock;
	struct multihash *had;
	size_t n_had, cap_had;

	TAILQ_HEAD(, dial) dials;
	TAILQ_HEAD(, hunt) hunts;
	struct bitswap_peer tallies[BITSWAP_TALLIES];
	uint32_t n_tallies;
	struct bitswap_failure failures[BITSWAP_FAILURES];
	uint32_t n_failures; /* ever */
	struct bitswap_stat stat;

	/* The end: when nothing is left in the pool and all handles are closed. */
	bool closing;
	uint32_t pending;
	void (*done)(void *arg);
	void *done_arg;
};

/* bitswap.c */
uint64_t bitswap_now(const struct bitswap *b);
/* Something has changed: decide soon. */
void bitswap_kick(struct bitswap *b);
/* Work in the pool has begun, or ended (the last one may end everything). */
void bitswap_hold(struct bitswap *b);
void bitswap_unhold(struct bitswap *b);
/* What is not local is unreachable. */
void bitswap_offline(struct bitswap *b);

/* bitswap_link.c */
struct link *link_find(struct bitswap *b, const struct peer_id *p);
struct link *link_get(struct bitswap *b, const struct peer_id *p);
/* The peer has gone, or we have. */
void link_drop(struct link *l);
void link_unref(struct link *l);
/* It speaks Bitswap: it may be asked. */
void link_identified(struct link *l);
void link_send_entry(struct link *l, const struct cid *cid, enum bitswap_ask ask,
		     int32_t priority);
void link_flush(struct link *l);
void outlet_open(struct outlet *o);
/* Close streams on which nothing was said for a while.  False if none is open. */
bool links_tidy(struct bitswap *b);

/* bitswap_receive.c */
void receive_stream(struct link *l, struct stream *st);
void receive_end(struct link *l); /* reset its streams */
/* A block that is wanted came into the store from elsewhere. */
void receive_own(struct bitswap *b, const struct multihash *name);

/* bitswap_server.c */
void server_message(struct link *l, struct bitswap_reader *r);
void server_have(struct bitswap *b, const struct multihash *name);
/* Serve all who have a turn. */
void server_run(struct bitswap *b);
void server_turn(struct link *l);
void server_end(struct link *l);
/* The stream for answers was lost, or could not be opened. */
void server_lost(struct link *l, int reason);

#endif
