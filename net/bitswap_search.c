/*
 * Searching providers, a few searches at a time and further and further apart,
 * and the peers that they bring.
 */
#include "net/bitswap_client.h"

#include "store/error.h"

#include <stdlib.h>

#define BACKOFF_MS     2000
#define BACKOFF_MAX_MS 30000
#define GRACE_MS       5000 /* after the start a node may be without peers for so long */

void search_begin(struct client *c, struct search *s)
{
	if (s->state != SEARCH_IDLE || c->now < s->next)
		return;
	s->state = SEARCH_QUEUED;
	/* One search for a tree is worth more than many for its blocks. */
	if (s->session || s->wanted->priority == WANT_READER)
		TAILQ_INSERT_HEAD(&c->searches, s, queue);
	else
		TAILQ_INSERT_TAIL(&c->searches, s, queue);
}

void search_end(struct client *c, struct search *s)
{
	if (s->state == SEARCH_QUEUED)
		TAILQ_REMOVE(&c->searches, s, queue);
	if (s->state == SEARCH_RUNNING) {
		c->ops->search_stop(c->arg, s);
		c->n_searching--;
	}
	s->state = SEARCH_IDLE;
}

static void search_done(struct client *c, struct search *s, int result)
{
	uint64_t wait = BACKOFF_MS << (s->tries < 4 ? s->tries : 4);

	s->state = SEARCH_IDLE;
	s->tries++;
	if (wait > BACKOFF_MAX_MS)
		wait = BACKOFF_MAX_MS;
	s->next = c->now + (result == -ENETUNREACH ? 1000 : wait);
	if (s->wanted)
		wanted_schedule(c, s->wanted);
}

void search_run(struct client *c)
{
	struct search *s;

	while (c->n_searching < SEARCHES_MAX && (s = TAILQ_FIRST(&c->searches))) {
		TAILQ_REMOVE(&c->searches, s, queue);
		s->state = SEARCH_IDLE;
		/* Somebody who has it may have come in the meantime. */
		if (s->wanted && s->wanted->state != WANTED_STUCK)
			continue;
		int r = c->ops->search(c->arg, s);
		if (r < 0) {
			search_done(c, s, r);
			continue;
		}
		s->state = SEARCH_RUNNING;
		c->n_searching++;
	}
}

void client_searched(struct client *c, struct search *s, int result, uint64_t now)
{
	c->now = now;
	c->n_searching--;
	search_done(c, s, result);
	/* Nobody is connected and nobody can be asked: offline. */
	if (s->wanted && result == -ENETUNREACH && !c->n_connected && !c->n_dialling &&
	    now >= c->started + GRACE_MS)
		wanted_finish(c, s->wanted, -ENETUNREACH, NULL, NULL);
}

/* A new one is dialled, if few enough are. */
static struct partner *partner_get(struct client *c, const struct peer_id *id)
{
	struct partner *p = partner_find(c, id);

	if (p || c->n_dialling >= DIALS_MAX)
		return p;
	p = partner_new(c, id);
	if (!p)
		return NULL;
	c->ops->connect(c->arg, id);
	return p;
}

/* A provider of the block itself is asked for it at once. */
static void ask_provider(struct client *c, struct wanted *w, struct partner *p)
{
	struct ask *a = ask_find(w, p);

	if (!a)
		a = ask_new(c, w, p);
	if (!a || !p->connected || a->state == ASK_BLOCK || a->state == ASK_LATE)
		return;
	/* It has just said no: the record is old, or the block is new there. */
	if (a->state == ASK_SAID_DONT && c->now < a->since + BACKOFF_MS)
		return;
	ask_send(c, a, ASK_BLOCK, false);
	wanted_unqueue(c, w);
	wanted_schedule(c, w);
}

void client_found(struct client *c, struct search *s, const struct peer_id *id,
		  uint64_t now)
{
	c->now = now;
	struct partner *p = partner_get(c, id);
	if (!p)
		return;
	if (s->session)
		session_join(c, s->session, p);
	else if (s->wanted->state == WANTED_STUCK)
		ask_provider(c, s->wanted, p);
}
