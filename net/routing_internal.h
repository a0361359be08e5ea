/*
 * The DHTs of this node as one, inside.
 *	routing.c		the instance: its DHTs, its clock, whose values are valid
 *	routing_query.c		queries: waiting their turn, asking each DHT, merging
 *	bootstrap.c		dialling the first peers
 */
#ifndef NET_ROUTING_INTERNAL_H
#define NET_ROUTING_INTERNAL_H

#include "net/kad_internal.h"
#include "net/reprovide.h"
#include "net/routing.h"

#define DHTS_MAX       2
#define VALIDATORS_MAX 4

struct bootstrap;

TAILQ_HEAD(queries, query);

struct routing {
	struct swarm *swarm;
	uv_timer_t timer;
	bool in_timer, kicked, closing;
	uint64_t ticked;
	struct kad *dht[DHTS_MAX];
	int n_dht;
	struct queries waiting, running;
	uint32_t n_waiting, n_running;
	struct bootstrap *bootstrap;
	struct routing_validator validators[VALIDATORS_MAX];
	int n_validators;
	void (*on_online)(void *arg);
	void *online_arg;
	bool online;
	struct reprovide *provided;
	uint32_t n_again;
	uint64_t retried;
};

/* ---- routing.c ---- */

uint64_t routing_now(const struct routing *r);
/* Peers in all tables. */
uint32_t routing_peers(const struct routing *r);
/* Have the timer run at once (arg: the routing). */
void routing_kick(void *arg);
int routing_check(void *arg, const void *key, size_t key_len, const void *value,
		  size_t len);
int routing_better(void *arg, const void *key, size_t key_len, const void *a,
		   size_t a_len, const void *b, size_t b_len);

/* ---- routing_query.c ---- */

/* Start those that wait, as far as there are places. */
void queries_start(struct routing *r, uint64_t now);
/* Tell again what is due of the keys that we provide. */
void queries_provide_due(struct routing *r, uint64_t now);
/* All end with -ECANCELED. */
void queries_end(struct routing *r);

/* ---- bootstrap.c ---- */

struct bootstrap *bootstrap_new(struct routing *r, const struct addr *addrs, int n);
void bootstrap_free(struct bootstrap *b);
/* Dial whom it is time to dial. */
void bootstrap_tick(struct bootstrap *b, uint64_t now);
/* We came online (begin with short waits the next time), or went offline (at once). */
void bootstrap_online(struct bootstrap *b, bool online);
/* Some have not been dialled to the end even once. */
bool bootstrap_hopeful(const struct bootstrap *b);

#endif
