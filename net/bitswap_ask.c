/*
 * Entries on the want-lists of partners.
 */
#include "net/bitswap_client.h"

#include <stdlib.h>

#define PATIENCE_MS     2000  /* without a sign of life */
#define PATIENCE_MAX_MS 30000 /* for one block, whatever else it sends */

/* What a blocked reader waits for goes first everywhere. */
static const int32_t priorities[] = {
	[WANT_MIRROR] = 1,
	[WANT_PREFETCH] = 10,
	[WANT_READAHEAD] = 100,
	[WANT_READER] = 1000,
};

struct ask *ask_find(const struct wanted *w, const struct partner *p)
{
	struct ask *a;

	TAILQ_FOREACH (a, &w->asks, of_wanted)
		if (a->partner == p)
			return a;
	return NULL;
}

static struct ask *refused_one(struct wanted *w)
{
	struct ask *a;

	TAILQ_FOREACH (a, &w->asks, of_wanted)
		if (a->state == ASK_SAID_DONT)
			return a;
	return NULL;
}

/* NULL: its list or the wanted's is full of asks that may still bring something. */
struct ask *ask_new(struct client *c, struct wanted *w, struct partner *p)
{
	if (w->n_asks >= ASKS_OF_WANTED)
		ask_free(c, refused_one(w), true);
	if (p->n_sent >= ASKS_OF_PARTNER)
		ask_free(c, TAILQ_FIRST(&p->refused), true);
	if (w->n_asks >= ASKS_OF_WANTED || p->n_sent >= ASKS_OF_PARTNER)
		return NULL;

	struct ask *a = calloc(1, sizeof *a);
	if (!a)
		return NULL;
	a->wanted = w;
	a->partner = p;
	a->since = c->now;
	TAILQ_INSERT_TAIL(&w->asks, a, of_wanted);
	TAILQ_INSERT_TAIL(&p->asks, a, of_partner);
	w->n_asks++;
	w->asked++;
	return a;
}

static struct ask_list *list_of(struct partner *p, enum ask_state state)
{
	return state == ASK_SAID_DONT ? &p->refused : &p->asks;
}

void ask_set(struct ask *a, enum ask_state state)
{
	struct partner *p = a->partner;
	struct ask_list *from = list_of(p, a->state), *to = list_of(p, state);

	p->inflight -= a->state == ASK_BLOCK;
	p->inflight += state == ASK_BLOCK;
	a->state = state;
	if (from != to) {
		TAILQ_REMOVE(from, a, of_partner);
		TAILQ_INSERT_TAIL(to, a, of_partner);
	}
}

void ask_send(struct client *c, struct ask *a, enum ask_state state, bool guess)
{
	struct partner *p = a->partner;

	if (state == ASK_BLOCK && !p->inflight)
		p->last_block = c->now; /* it begins to be busy */
	ask_set(a, state);
	a->guess = guess;
	a->since = c->now;
	double patience =
	    PATIENCE_MS + 4 * (p->latency + p->inflight * (p->pace ? p->pace : 250));
	a->until =
	    c->now + (patience < PATIENCE_MAX_MS ? (uint64_t)patience : PATIENCE_MAX_MS);
	if (!a->sent) {
		a->sent = true;
		p->n_sent++;
	}
	c->ops->send(c->arg, p, &a->wanted->cid,
		     state == ASK_BLOCK ? BITSWAP_ASK_BLOCK : BITSWAP_ASK_HAVE,
		     priorities[a->wanted->priority]);
}

void ask_free(struct client *c, struct ask *a, bool cancel)
{
	if (!a)
		return;

	struct partner *p = a->partner;
	if (a->sent) {
		p->n_sent--;
		if (cancel) {
			c->ops->send(c->arg, p, &a->wanted->cid, BITSWAP_ASK_CANCEL, 0);
			/* Its block may be on the way, and is no offence. */
			if (a->state != ASK_SAID_DONT && p->grace < ASKS_OF_PARTNER)
				p->grace++;
		}
	}
	p->inflight -= a->state == ASK_BLOCK;
	TAILQ_REMOVE(list_of(p, a->state), a, of_partner);
	TAILQ_REMOVE(&a->wanted->asks, a, of_wanted);
	a->wanted->n_asks--;
	free(a);
}

static uint64_t quiet(const struct partner *p)
{
	double limit = 4 * p->latency;
	return limit > PATIENCE_MS ? (uint64_t)limit : PATIENCE_MS;
}

static uint64_t stall_due(const struct ask *a)
{
	uint64_t alive = a->partner->last_progress;

	if (a->partner->busy)
		return UINT64_MAX;
	return (alive > a->since ? alive : a->since) + quiet(a->partner);
}

uint64_t ask_due(const struct ask *a)
{
	uint64_t stall = stall_due(a);
	return stall < a->until ? stall : a->until;
}

void ask_late(struct client *c, struct ask *a)
{
	struct partner *p = a->partner;

	if (stall_due(a) <= c->now) {
		partner_stalled(c, p);
		return;
	}
	/* It sends, but not this one. */
	partner_strike(c, p);
	ask_set(a, ASK_LATE);
}
