/*
 * Partners: the peers we may ask, what each is good for, and how that is
 * learned.
 */
#include "net/bitswap_client.h"

#include <stdlib.h>

#define WINDOW_BYTES                                                                     \
	(8u << 20) /* in flight: the product of 50 ms and 1 Gbit/s, and some */
#define WINDOW_MIN      32
#define WINDOW_MS       500
#define ALIVE_BYTES     (32u << 10)
#define STALL_MS        2000
#define NEWCOMER_ASKS   256 /* open wants a newly connected peer is asked for at once */
#define NEWCOMER_BLOCKS 16

struct partner *partner_find(struct client *c, const struct peer_id *id)
{
	uint64_t hash = map_hash(c->seed, id->bytes, id->len);

	for (struct map_node *n = map_first(&c->partners, hash); n; n = map_next(n)) {
		struct partner *p = container_of(n, struct partner, node);
		if (peer_equal(&p->id, id))
			return p;
	}
	return NULL;
}

struct partner *partner_new(struct client *c, const struct peer_id *id)
{
	struct partner *p = calloc(1, sizeof *p);

	if (!p)
		return NULL;
	p->id = *id;
	TAILQ_INIT(&p->asks);
	TAILQ_INIT(&p->refused);
	if (map_insert(&c->partners, &p->node, map_hash(c->seed, id->bytes, id->len)) <
	    0) {
		free(p);
		return NULL;
	}
	TAILQ_INSERT_TAIL(&c->dialling, p, all);
	c->n_dialling++;
	return p;
}

/* No asks, in no list. */
static void partner_free(struct client *c, struct partner *p)
{
	map_remove(&c->partners, &p->node);
	free(p);
}

/* Behind those that have delivered, by the round trip. */
static void rank(struct client *c, struct partner *p)
{
	struct partner *q;

	TAILQ_FOREACH (q, &c->connected, all)
		if (!q->delivered && p->latency < q->latency) {
			TAILQ_INSERT_BEFORE(q, p, all);
			return;
		}
	TAILQ_INSERT_TAIL(&c->connected, p, all);
}

/* Open wants that nobody could serve: perhaps this one can. */
static void ask_newcomer(struct client *c, struct partner *p)
{
	struct session *s;
	struct wanted *w;
	int n = 0;

	TAILQ_FOREACH (s, &c->active, all)
		TAILQ_FOREACH (w, &s->stuck, queue) {
			if (n == NEWCOMER_ASKS)
				return;
			if (ask_find(w, p))
				continue;
			struct ask *a = ask_new(c, w, p);
			if (!a)
				continue;
			ask_send(c, a, n < NEWCOMER_BLOCKS ? ASK_BLOCK : ASK_HAVE, true);
			wanted_schedule(c, w);
			n++;
		}
}

/* What was found out before it was connected. */
static void follow_leads(struct client *c, struct partner *p)
{
	struct ask *a = TAILQ_FIRST(&p->asks);
	struct session *s;
	struct wanted *w;

	while (a) {
		struct ask *next = TAILQ_NEXT(a, of_partner);

		w = a->wanted;
		if (w->state == WANTED_STUCK) {
			ask_send(c, a, ASK_BLOCK, false);
			wanted_unqueue(c, w);
			wanted_schedule(c, w);
		} else {
			ask_free(c, a, false);
		}
		a = next;
	}
	TAILQ_FOREACH (s, &c->active, all)
		if (session_member(s, p))
			session_revive(c, s);
}

struct partner *client_up(struct client *c, const struct peer_id *id, double latency_ms,
			  void *link, uint64_t now)
{
	c->now = now;
	struct partner *p = partner_find(c, id);

	if (p && p->connected)
		return p;
	if (!p)
		p = partner_new(c, id);
	if (!p)
		return NULL;
	TAILQ_REMOVE(&c->dialling, p, all);
	c->n_dialling--;
	p->connected = true;
	p->link = link;
	p->latency = latency_ms;
	p->last_progress = now;
	rank(c, p);
	c->n_connected++;
	follow_leads(c, p);
	ask_newcomer(c, p);
	return p;
}

static void lose(struct client *c, struct partner *p)
{
	struct ask *a;

	session_leave(c, p);
	while ((a = TAILQ_FIRST(&p->asks)) || (a = TAILQ_FIRST(&p->refused))) {
		struct wanted *w = a->wanted;

		ask_free(c, a, false);
		if (w->state == WANTED_ASKING && !wanted_waits(c, w))
			wanted_ready(c, w);
	}
	partner_free(c, p);
}

void client_down(struct client *c, struct partner *p, uint64_t now)
{
	c->now = now;
	TAILQ_REMOVE(&c->connected, p, all);
	c->n_connected--;
	lose(c, p);
}

void client_unreachable(struct client *c, const struct peer_id *id, uint64_t now)
{
	c->now = now;
	struct partner *p = partner_find(c, id);

	if (!p || p->connected)
		return;
	TAILQ_REMOVE(&c->dialling, p, all);
	c->n_dialling--;
	lose(c, p);
}

void client_repeat(struct client *c, struct partner *p)
{
	struct ask *a;

	TAILQ_FOREACH (a, &p->asks, of_partner)
		if (a->state == ASK_BLOCK || a->state == ASK_HAVE)
			ask_send(c, a, a->state, a->guess);
}

void client_progress(struct client *c, struct partner *p, size_t bytes, uint64_t now)
{
	/* One byte a second is not progress (hostile.md 71). */
	p->trickle += bytes < ALIVE_BYTES ? (uint32_t)bytes : ALIVE_BYTES;
	if (p->trickle < ALIVE_BYTES)
		return;
	p->trickle = 0;
	p->last_progress = now;
}

void client_verifying(struct client *c, struct partner *p, bool on, uint64_t now)
{
	p->busy = on;
	p->last_progress = now;
}

static void average(double *mean, double sample)
{
	*mean = *mean ? *mean + (sample - *mean) / 8 : sample;
}

/* How fast it answers shows when nothing else stands before the question. */
void partner_measure(struct client *c, struct partner *p, const struct ask *a)
{
	if (p->inflight <= 1 && (a->state == ASK_BLOCK || a->state == ASK_HAVE))
		average(&p->latency, (double)(c->now - a->since) + 0.1);
}

void partner_credit(struct client *c, struct partner *p, struct wanted *w, size_t size)
{
	struct ask *a = ask_find(w, p);

	if (a)
		partner_measure(c, p, a);
	/* The time since it began, or since the block before. */
	if (p->inflight > 1 || p->pace)
		average(&p->pace, (double)(c->now - p->last_block) + 0.05);
	average(&p->size, (double)size + 1);
	p->last_block = p->last_progress = c->now;
	p->delivered++;
	p->strikes /= 2;
	TAILQ_REMOVE(&c->connected, p, all);
	TAILQ_INSERT_HEAD(&c->connected, p, all);
	session_join(c, w->session, p);
	struct member *m = session_member(w->session, p);
	if (m)
		m->delivered++;
}

void partner_strike(struct client *c, struct partner *p)
{
	if (p->strikes < 8)
		p->strikes++;
	if (p->connected && p->strikes > 1) {
		TAILQ_REMOVE(&c->connected, p, all);
		TAILQ_INSERT_TAIL(&c->connected, p, all);
	}
}

void partner_stalled(struct client *c, struct partner *p)
{
	struct ask *a;

	partner_strike(c, p);
	TAILQ_FOREACH (a, &p->asks, of_partner) {
		if (a->state != ASK_BLOCK)
			continue;
		ask_set(a, ASK_LATE);
		if (a->wanted->state == WANTED_ASKING && !wanted_waits(c, a->wanted))
			wanted_ready(c, a->wanted);
	}
}

uint32_t partner_window(const struct partner *p)
{
	double blocks = WINDOW_BYTES / (p->size ? p->size : 128 << 10);

	if (p->strikes > 1)
		return WINDOW_MIN >> (p->strikes < 6 ? p->strikes - 1 : 5);
	if (p->pace > 0) {
		/* What arrives in two round trips, if that is more; but not so much
		 * that others could not help when they turn out to be faster. */
		double trips = 2 * p->latency / p->pace;
		double most = trips + WINDOW_MS / p->pace;
		blocks = blocks > trips ? blocks : trips;
		blocks = blocks < most ? blocks : most;
	}
	if (blocks < WINDOW_MIN)
		return WINDOW_MIN;
	return blocks < ASKS_OF_PARTNER - 64 ? (uint32_t)blocks : ASKS_OF_PARTNER - 64;
}

double partner_cost(const struct partner *p)
{
	double ms =
	    (p->latency ? p->latency : 50) + (p->inflight + 1) * (p->pace ? p->pace : 20);

	/* It may stall again, which costs the patience of whoever waits. */
	return ms * (double)(1u << 2 * p->strikes) + p->strikes * STALL_MS;
}
