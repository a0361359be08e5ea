/*
 * What the Bitswap client decides: whom to ask next, and when to give up on
 * one.  No socket, no clock: the time is passed in, questions go out through
 * `struct client_ops`, answers come in through client_said() and client_block().
 * Loop thread only, but for client_wants() and client_keeps().
 *
 *	wanted	  a block somebody wants; all wants of one multihash share it
 *	partner	  a peer we are, or are getting, connected to
 *	ask	  a wanted on a partner's want-list
 *	session	  the wanteds of one tree, and the partners that had blocks of it
 */
#ifndef NET_BITSWAP_CLIENT_H
#define NET_BITSWAP_CLIENT_H

#include "net/bitswap.h"
#include "net/bitswap_heap.h"
#include "net/bitswap_map.h"
#include "net/bitswap_msg.h"

#include <pthread.h>
#include <sys/queue.h>

#define ASKS_OF_PARTNER 1024 /* entries on one peer's want-list: what servers keep */
#define ASKS_OF_WANTED  32   /* peers that one block is asked of at a time */
#define BROADCAST_MAX   16   /* peers asked at once when nobody is known to have it */
#define PROBES_MAX      64 /* blocks of a tree looked for at a time while nobody has any */
#define SESSION_PEERS   16
#define SESSIONS_IDLE   64 /* trees remembered without an open want */
#define SEARCHES_MAX    8
#define DIALS_MAX       32
#define PROVIDERS_MAX   10 /* per search */

TAILQ_HEAD(ask_list, ask);
TAILQ_HEAD(want_list, want);
TAILQ_HEAD(wanted_list, wanted);
TAILQ_HEAD(partner_list, partner);
TAILQ_HEAD(session_list, session);
TAILQ_HEAD(search_list, search);

/*
 *   LEAD --- connected ---------> BLOCK <------ chosen ------- SAID_HAVE
 *                                  |  |                            ^
 *                 patience over: LATE |                       HAVE-+
 *                                     +-------> SAID_DONT <----+
 */
enum ask_state {
	ASK_LEAD,      /* a provider we are not connected to yet; nothing sent */
	ASK_HAVE,      /* asked whether it has the block */
	ASK_SAID_HAVE, /* it does */
	ASK_BLOCK,     /* asked for the block */
	ASK_LATE,      /* the same, but others are asked too by now */
	ASK_SAID_DONT, /* stays on its list, in case the block arrives there */
};

struct ask {
	struct wanted *wanted;
	struct partner *partner;
	TAILQ_ENTRY(ask) of_wanted, of_partner;
	enum ask_state state;
	bool sent;      /* stands on the partner's want-list */
	bool guess;     /* nothing says that this partner has it */
	uint64_t since; /* when sent or answered */
	uint64_t until; /* BLOCK: patience ends, however busy it is with others */
};

struct search {
	enum { SEARCH_IDLE, SEARCH_QUEUED, SEARCH_RUNNING } state;
	const struct multihash *key;
	struct wanted *wanted;   /* for one block, or */
	struct session *session; /* for the root of a tree */
	unsigned tries;
	uint64_t next; /* not before */
	void *handle;  /* of the one who searches */
	TAILQ_ENTRY(search) queue;
};

/*
 *   READY ---- asked somebody ----> ASKING ---- block ----> (gone)
 *     ^  ^                            |
 *     |  +-- lost, late, or refused --+
 *     |                               | refused by all, or silence
 *     +-- somebody has it, --------- STUCK: providers are searched for
 *         or a partner of the tree
 */
enum wanted_state { WANTED_READY, WANTED_ASKING, WANTED_STUCK };

struct wanted {
	struct map_node node;
	struct heap_item wake;
	struct cid cid;
	struct session *session;
	struct want_list wants;
	struct ask_list asks;
	TAILQ_ENTRY(wanted) queue; /* READY, STUCK: of the session */
	enum wanted_state state;
	enum want_priority priority;
	bool keep;	/* one of the wants is to keep it; changed under the client's lock */
	bool said_have; /* somebody said so, sometime */
	bool probing;   /* counted in the session */
	bool finished;
	int doomed; /* the error, if no block can ever be told to be this one */
	uint8_t n_asks, rounds;
	uint32_t asked;    /* peers, ever */
	uint64_t deadline; /* of the first want */
	uint64_t silence;  /* the end of waiting for answers to a broadcast; 0: none */
	struct search search;
};

struct want {
	struct client *client;
	struct wanted *wanted;
	TAILQ_ENTRY(want) of_wanted;
	enum want_priority priority;
	uint64_t deadline;
	want_fn done;
	void *arg;
};

struct partner {
	struct map_node node;
	TAILQ_ENTRY(partner) all; /* connected: the most useful first */
	struct peer_id id;
	bool connected;
	void *link;                    /* of the one who sends */
	struct ask_list asks, refused; /* refused: SAID_DONT, the oldest first */
	uint32_t n_sent;               /* entries on its want-list */
	uint32_t inflight;             /* BLOCK */
	uint32_t strikes;              /* stalls and wrong bytes, halved by blocks */
	uint32_t bad;                  /* wrong bytes, ever */
	uint32_t grace;                /* blocks that may come though we cancelled them */
	uint32_t delivered;
	uint64_t last_progress, last_block;
	uint32_t trickle; /* bytes since last_progress */
	bool busy;        /* what it sent is being verified: it does not stall */
	double latency;   /* ms; 0: not known */
	double pace;      /* ms a block takes when many are asked for */
	double size;      /* bytes of a block */
};

struct member {
	struct partner *partner;
	uint32_t delivered;
	uint32_t refused; /* since it last delivered */
};

struct session {
	struct map_node node;
	TAILQ_ENTRY(session) all;  /* active, or idle: the one used last is last */
	TAILQ_ENTRY(session) busy; /* has ready wanteds */
	struct cid root;
	bool rooted;
	struct wanted_list ready[WANT_READER + 1], stuck;
	uint32_t n_ready, n_wanted, probing;
	struct member members[SESSION_PEERS];
	uint32_t n_members;
	struct search search;
};

struct client_ops {
	/* Put an entry on the want-list that goes out to this partner. */
	void (*send)(void *arg, struct partner *p, const struct cid *cid,
		     enum bitswap_ask ask, int32_t priority);
	/* Connect: client_up() or client_unreachable() follows. */
	void (*connect)(void *arg, const struct peer_id *p);
	/* It broke the rules too often. */
	void (*drop)(void *arg, const struct peer_id *p);
	/* Search providers of s->key: client_found(), then client_searched(), not
	 * from inside this call.  0 or negative. */
	int (*search)(void *arg, struct search *s);
	/* Forget it; neither of the two follows. */
	void (*search_stop)(void *arg, struct search *s);
	/* A want ended without its block. */
	void (*failed)(void *arg, const struct cid *cid, int result, uint32_t asked);
};

struct client {
	const struct client_ops *ops;
	void *arg;
	uint64_t seed, started;
	bool offline;
	uint64_t now;         /* of the input being worked on */
	pthread_mutex_t lock; /* changes of `wanted`, and looking into it elsewhere */
	struct map wanted, partners, sessions;
	struct heap wakes;
	uint32_t n_wants;
	struct partner_list connected, dialling;
	uint32_t n_connected, n_dialling;
	bool closing;
	struct session_list active, idle; /* with and without wanteds */
	struct session_list busy;
	uint32_t n_idle;
	struct search_list searches;
	uint32_t n_searching;
};

int client_init(struct client *c, const struct client_ops *ops, void *arg, uint64_t seed,
		uint64_t now);
/* End all wants with -ECANCELED; none can be made any more. */
void client_end(struct client *c);
/* That, and forget everything. */
void client_release(struct client *c);

struct want *client_want(struct client *c, const struct want_request *rq, want_fn done,
			 void *arg, uint64_t now);
void client_cancel(struct want *w, uint64_t now);
void client_raise(struct want *w, enum want_priority p, uint64_t now);

/* A peer that speaks Bitswap is there; latency_ms 0: not known; `link` is for
 * the one who sends.  The partner is valid until client_down(); NULL if out of memory. */
struct partner *client_up(struct client *c, const struct peer_id *id, double latency_ms,
			  void *link, uint64_t now);
void client_down(struct client *c, struct partner *p, uint64_t now);
/* It could not be connected, or does not speak Bitswap. */
void client_unreachable(struct client *c, const struct peer_id *id, uint64_t now);
/* The connection's stream was lost: say again what it is asked for. */
void client_repeat(struct client *c, struct partner *p);

/* Bytes came from it: it is alive, if they are enough. */
void client_progress(struct client *c, struct partner *p, size_t bytes, uint64_t now);
/* Blocks of it are being verified, or all have been. */
void client_verifying(struct client *c, struct partner *p, bool on, uint64_t now);
/* HAVE or DONT_HAVE. */
void client_said(struct client *c, struct partner *p, const struct multihash *name,
		 bool have, uint64_t now);
/*
 * A block that verified, or could not be kept (result).  `p` may be NULL if it
 * has gone by now.  True if somebody wanted it.
 */
bool client_block(struct client *c, struct partner *p, const struct multihash *name,
		  struct block *block, int result, uint64_t now);
/* A block that nobody wants, and that we do not have either. */
void client_unwanted(struct client *c, struct partner *p, uint64_t now);
/* Is it wanted?  Any thread. */
bool client_wants(struct client *c, const struct multihash *name);
/* Is it wanted, to be kept?  Any thread. */
bool client_keeps(struct client *c, const struct multihash *name);

void client_found(struct client *c, struct search *s, const struct peer_id *id,
		  uint64_t now);
void client_searched(struct client *c, struct search *s, int result, uint64_t now);

/*
 * Decide: to be called soon after each of the above, once for many, and at the
 * time it returns (UINT64_MAX: never).
 */
uint64_t client_run(struct client *c, uint64_t now);

/* ---- between the files of the client ---- */

uint64_t client_hash(const struct client *c, const struct multihash *name);
struct wanted *client_find(struct client *c, const struct multihash *name);

/* bitswap_client.c */
/* End all its wants; `from` (may be NULL) sent the block. */
void wanted_finish(struct client *c, struct wanted *w, int result, struct block *block,
		   const struct partner *from);

/* bitswap_session.c: trees, and the partners that serve them */
struct session *session_get(struct client *c, const struct cid *root);
void session_put(struct client *c, struct session *s); /* a wanted of it ended */
void session_free(struct client *c, struct session *s);
/* The partner has blocks of this tree: what was stuck is ready again. */
void session_join(struct client *c, struct session *s, struct partner *p);
void session_revive(struct client *c, struct session *s);
/* It lacked a block of the tree. */
void session_refused(struct session *s, const struct partner *p);
void session_leave(struct client *c, struct partner *p);
struct member *session_member(struct session *s, const struct partner *p);
void wanted_ready(struct client *c, struct wanted *w);
void wanted_unqueue(struct client *c, struct wanted *w);
void wanted_stuck(struct client *c, struct wanted *w);
/*
 * Ask somebody for it, or wait, or search.  False if this session has to wait
 * for answers before more can be asked.
 */
bool wanted_dispatch(struct client *c, struct wanted *w);
/* Ask partners who have not been asked yet; the number asked. */
int wanted_broadcast(struct client *c, struct wanted *w);
/* Somebody who is likely to have it was asked for the block. */
bool wanted_served(const struct client *c, const struct wanted *w);
/* Something that was asked for it may still bring it. */
bool wanted_waits(const struct client *c, const struct wanted *w);
/* When to look at it again. */
void wanted_schedule(struct client *c, struct wanted *w);

/* bitswap_ask.c: entries on the want-lists of partners */
struct ask *ask_find(const struct wanted *w, const struct partner *p);
struct ask *ask_new(struct client *c, struct wanted *w, struct partner *p);
void ask_send(struct client *c, struct ask *a, enum ask_state state, bool guess);
void ask_set(struct ask *a, enum ask_state state);
/* Forget it; says so to the partner if something was sent and it did not end there. */
void ask_free(struct client *c, struct ask *a, bool cancel);
/* When a BLOCK ask is given up on. */
uint64_t ask_due(const struct ask *a);
void ask_late(struct client *c, struct ask *a);

/* bitswap_partner.c */
struct partner *partner_find(struct client *c, const struct peer_id *id);
struct partner *partner_new(struct client *c, const struct peer_id *id); /* dialling */
/* An answer to `a` has come: how long did it take? */
void partner_measure(struct client *c, struct partner *p, const struct ask *a);
/* It sent the block. */
void partner_credit(struct client *c, struct partner *p, struct wanted *w, size_t size);
/* Its rank falls: others are asked before it. */
void partner_strike(struct client *c, struct partner *p);
/* The partner stalls: everything asked of it is asked elsewhere too. */
void partner_stalled(struct client *c, struct partner *p);
/* Blocks it may be asked for at a time. */
uint32_t partner_window(const struct partner *p);
/* The time in ms after which it is likely to have brought one more. */
double partner_cost(const struct partner *p);

/* bitswap_search.c: providers */
void search_begin(struct client *c, struct search *s);
void search_end(struct client *c, struct search *s);
void search_run(struct client *c); /* start those there is room for */

#endif
