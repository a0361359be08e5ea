/*
 * One DHT over the swarm, inside: shared by kad*.c and routing.c.  Loop thread
 * only.
 *	kad.c		the table, who gets into it, keeping it fresh
 *	kad_request.c	one question to one peer
 *	kad_query.c	lookups, and what is stored at their end
 *	kad_server.c	the questions of others
 * Nothing here has a timer: routing.c calls kad_tick() and kad_pulse().
 */
#ifndef NET_KAD_INTERNAL_H
#define NET_KAD_INTERNAL_H

#include "net/frame.h"
#include "net/kad_lookup.h"
#include "net/kad_msg.h"
#include "net/kad_size.h"
#include "net/kad_table.h"
#include "net/providers.h"
#include "net/records.h"
#include "net/routing.h"

#include <sys/queue.h>

#define SMALL_TABLE KAD_K /* nodes that should all know each other */

/* Whose addresses belong into this DHT. */
enum kad_scope { SCOPE_PUBLIC, SCOPE_LOCAL, SCOPE_ANY };

/* What the DHT asks of its owner. */
struct kad_env {
	/* 0 if the value is valid now; -ENOTSUP in a namespace nobody judges. */
	int (*check)(void *arg, const void *key, size_t key_len, const void *value,
		     size_t len);
	/* >0 if `a` is better than `b`. */
	int (*better)(void *arg, const void *key, size_t key_len, const void *a,
		      size_t a_len, const void *b, size_t b_len);
	/* A peer put a valid value, better than what we had. */
	void (*stored)(void *arg, const void *key, size_t key_len, const void *value,
		       size_t len);
	/* A peer was added to the table. */
	void (*peer_came)(void *arg);
	/* Call kad_pulse() soon. */
	void (*kick)(void *arg);
	void *arg;
};

struct kad_ask;
struct kad_op;
struct kad_idle;
struct kad_service;

struct kad {
	struct swarm *swarm;
	struct kad_env env;
	enum kad_scope scope;
	enum dht_mode mode;
	bool isolated; /* no public address here: take private ones into SCOPE_PUBLIC */
	bool serving;
	char protocol[128];
	const char *protocols[2];

	struct kad_table *table;
	struct providers *providers;
	struct records *records;

	LIST_HEAD(, kad_ask) asks;
	TAILQ_HEAD(, kad_idle) idle; /* streams to be used again, oldest first */
	uint32_t n_idle;
	LIST_HEAD(, kad_op) ops;
	LIST_HEAD(, kad_service) services;

	struct kad_size size;
	uint64_t rtt_ms, rtt_var_ms; /* of answers; 0: none yet */
	uint64_t self_sought;        /* when our own place was looked up last */
	uint64_t refreshed, checked;
	bool unsettled;         /* a new peer is in a small table: look around again */
	struct kad_op *seeking; /* the look-up of our own place, or a refresh */
	int refresh_bits;       /* the bucket to be refreshed next; -1: none */
	struct peer_id guarded[SMALL_TABLE]; /* protected from being trimmed */
	int n_guarded;
};

/* ---- kad.c ---- */

int kad_new(struct kad **out, struct swarm *swarm, const char *protocol,
	    enum kad_scope scope, enum dht_mode mode, const struct kad_env *env);
/* Ends all operations with -ECANCELED. */
void kad_free(struct kad *k);
/* About once a second. */
void kad_tick(struct kad *k, uint64_t now);
/* Often while something is under way; true if something is. */
bool kad_pulse(struct kad *k, uint64_t now);

void kad_identified(struct kad *k, const struct peer_id *p);
uint64_t kad_now(const struct kad *k);
/* Does this address belong into this DHT? */
bool kad_fits(const struct kad *k, const struct addr *a);
/* Pack those addresses that fit, at most KAD_ADDRS_MAX and KAD_ADDRS_SIZE. */
void kad_pack_fitting(const struct kad *k, const struct addr *a, int n, struct buf *out);
/* The same of packed ones that a stranger sent. */
void kad_repack(const struct kad *k, const uint8_t *packed, size_t len, struct buf *out);
/* Our own addresses in this DHT, packed. */
void kad_own_addrs(const struct kad *k, struct buf *out);
void kad_answer_came(struct kad *k, const struct peer_id *p, uint64_t took_ms);
void kad_answer_failed(struct kad *k, const struct peer_id *p, int why);

/* ---- kad_request.c ---- */

/* `m` is borrowed; NULL unless result is 0 and an answer was expected. */
typedef void (*kad_answer_fn)(void *arg, int result, const struct kad_msg *m);
/*
 * Send `message` (without its length; copied) and wait for the answer, if the
 * kind of message has one; otherwise for the peer to have taken it.  `done`
 * comes once, not from inside this call; NULL if out of memory.
 */
struct kad_ask *kad_ask(struct kad *k, const struct peer_id *p, const struct buf *message,
			bool answered, uint64_t patience_ms, kad_answer_fn done,
			void *arg);
/* No answer is wanted any more: done is not called. */
void kad_ask_cancel(struct kad_ask *a);
void kad_asks_pulse(struct kad *k, uint64_t now);
void kad_asks_end(struct kad *k);
uint64_t kad_patience(const struct kad *k);
uint64_t kad_slow(const struct kad *k);

/* ---- kad_query.c ---- */

enum kad_op_kind {
	OP_SEEK,      /* look up a place, to learn of the peers around it */
	OP_MEASURE,   /* the same, of a random place: it tells the size of the network */
	OP_FIND_PEER, /* until somebody knows an address of it */
	OP_PROVIDERS,
	OP_PROVIDE,
	OP_GET,
	OP_PUT,
};

struct kad_op_config {
	enum kad_op_kind kind;
	const void *key; /* copied */
	size_t key_len;
	const void *value; /* OP_PUT: what; OP_GET: the best known here.  Copied. */
	size_t value_len;
	/* OP_PROVIDERS */
	void (*found)(void *arg, const struct peer_id *p);
	/* OP_GET: each better one */
	void (*value_came)(void *arg, const uint8_t *value, size_t len);
	/* Last, never from inside kad_op_start(): 0 or a count; negative: -ENETUNREACH
	 * (nobody to ask), -ENOENT (peer or value not found), -ECANCELED.  May be NULL.
	 */
	void (*done)(void *arg, int result);
	void *arg;
};
struct kad_op *kad_op_start(struct kad *k, const struct kad_op_config *cfg);
/* Ends it; done is not called. */
void kad_op_cancel(struct kad_op *op);
bool kad_ops_pulse(struct kad *k, uint64_t now);
void kad_ops_end(struct kad *k);

/* ---- kad_server.c ---- */

int kad_serve(struct kad *k);
void kad_unserve(struct kad *k);
/* Keep a value that was checked, unless a better one is here.  0 if it is kept
 * (or was here already), -EEXIST otherwise. */
int kad_keep_value(struct kad *k, const void *key, size_t key_len, const void *value,
		   size_t len);

#endif
