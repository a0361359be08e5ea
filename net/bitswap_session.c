/*
 * Trees: whom to ask for the next block of one.  Partners that had blocks of it
 * come first, by the time each is likely to take; where none is known, a few
 * blocks are looked for among all who are connected, and the rest waits for
 * what these find.
 */
#include "net/bitswap_client.h"

#include <stdlib.h>
#include <string.h>

#define REFUSALS_MAX                                                                     \
	64 /* in a row, before a partner no longer counts as having the tree */

struct session *session_get(struct client *c, const struct cid *root)
{
	bool rooted = root->version <= 1;
	uint64_t hash = rooted ? client_hash(c, &root->hash) : 0;
	struct session *s;

	for (struct map_node *n = map_first(&c->sessions, hash); n; n = map_next(n)) {
		s = container_of(n, struct session, node);
		if (s->rooted != rooted ||
		    (rooted && !multihash_equal(&s->root.hash, &root->hash)))
			continue;
		if (!s->n_wanted) {
			TAILQ_REMOVE(&c->idle, s, all);
			TAILQ_INSERT_TAIL(&c->active, s, all);
			c->n_idle--;
		}
		s->n_wanted++;
		return s;
	}

	s = calloc(1, sizeof *s);
	if (!s || map_insert(&c->sessions, &s->node, hash) < 0) {
		free(s);
		return NULL;
	}
	s->root = *root;
	s->rooted = rooted;
	for (int i = 0; i <= WANT_READER; i++)
		TAILQ_INIT(&s->ready[i]);
	TAILQ_INIT(&s->stuck);
	s->search.session = s;
	s->search.key = &s->root.hash;
	TAILQ_INSERT_TAIL(&c->active, s, all);
	s->n_wanted = 1;
	return s;
}

void session_put(struct client *c, struct session *s)
{
	if (--s->n_wanted)
		return;
	search_end(c, &s->search);
	TAILQ_REMOVE(&c->active, s, all);
	TAILQ_INSERT_TAIL(&c->idle, s, all);
	if (++c->n_idle > SESSIONS_IDLE)
		session_free(c, TAILQ_FIRST(&c->idle));
}

/* An idle one. */
void session_free(struct client *c, struct session *s)
{
	TAILQ_REMOVE(&c->idle, s, all);
	c->n_idle--;
	map_remove(&c->sessions, &s->node);
	free(s);
}

struct member *session_member(struct session *s, const struct partner *p)
{
	for (uint32_t i = 0; i < s->n_members; i++)
		if (s->members[i].partner == p)
			return &s->members[i];
	return NULL;
}

/* The stuck ones go to the back of their queues, in order. */
void session_revive(struct client *c, struct session *s)
{
	struct wanted *w;

	while ((w = TAILQ_FIRST(&s->stuck)))
		wanted_ready(c, w);
}

static struct member *worst(struct session *s)
{
	struct member *m = &s->members[0];

	for (uint32_t i = 1; i < s->n_members; i++)
		if (s->members[i].delivered < m->delivered)
			m = &s->members[i];
	return m;
}

void session_join(struct client *c, struct session *s, struct partner *p)
{
	struct member *m = session_member(s, p);
	bool news = !m;

	if (!m) {
		m = s->n_members < SESSION_PEERS ? &s->members[s->n_members++] : worst(s);
		*m = (struct member){ .partner = p };
	}
	m->refused = 0;
	if (!news || !p->connected)
		return;
	/* What was asked of it at a venture is likely to come. */
	struct ask *a;
	TAILQ_FOREACH (a, &p->asks, of_partner)
		if (a->wanted->session == s)
			a->guess = false;
	session_revive(c, s);
}

void session_refused(struct session *s, const struct partner *p)
{
	struct member *m = session_member(s, p);

	if (m && ++m->refused > REFUSALS_MAX)
		*m = s->members[--s->n_members];
}

static void forget(struct client *c, struct session_list *all, struct partner *p)
{
	struct session *s;

	TAILQ_FOREACH (s, all, all) {
		struct member *m = session_member(s, p);
		if (m)
			*m = s->members[--s->n_members];
	}
}

void session_leave(struct client *c, struct partner *p)
{
	forget(c, &c->active, p);
	forget(c, &c->idle, p);
}

void wanted_unqueue(struct client *c, struct wanted *w)
{
	struct session *s = w->session;

	if (w->state == WANTED_READY) {
		TAILQ_REMOVE(&s->ready[w->priority], w, queue);
		if (!--s->n_ready)
			TAILQ_REMOVE(&c->busy, s, busy);
	} else if (w->state == WANTED_STUCK) {
		TAILQ_REMOVE(&s->stuck, w, queue);
	}
	w->state = WANTED_ASKING;
}

void wanted_ready(struct client *c, struct wanted *w)
{
	struct session *s = w->session;

	wanted_unqueue(c, w);
	w->state = WANTED_READY;
	/* One that is looked for already must not wait behind those that wait for it. */
	if (w->probing)
		TAILQ_INSERT_HEAD(&s->ready[w->priority], w, queue);
	else
		TAILQ_INSERT_TAIL(&s->ready[w->priority], w, queue);
	if (!s->n_ready++)
		TAILQ_INSERT_TAIL(&c->busy, s, busy);
}

static void no_probe(struct wanted *w)
{
	w->session->probing -= w->probing;
	w->probing = false;
}

void wanted_stuck(struct client *c, struct wanted *w)
{
	struct session *s = w->session;

	wanted_unqueue(c, w);
	no_probe(w);
	w->state = WANTED_STUCK;
	TAILQ_INSERT_TAIL(&s->stuck, w, queue);
	/* Who provides the root has the rest as a rule: one search for all. */
	if (s->rooted && !multihash_equal(&s->root.hash, &w->cid.hash))
		search_begin(c, &s->search);
	search_begin(c, &w->search);
	wanted_schedule(c, w);
}

bool wanted_served(const struct client *c, const struct wanted *w)
{
	const struct ask *a;

	TAILQ_FOREACH (a, &w->asks, of_wanted)
		if (a->state == ASK_BLOCK && (!a->guess || c->now < w->silence))
			return true;
	return false;
}

bool wanted_waits(const struct client *c, const struct wanted *w)
{
	const struct ask *a;

	if (wanted_served(c, w))
		return true;
	TAILQ_FOREACH (a, &w->asks, of_wanted)
		if (a->state == ASK_HAVE && c->now < w->silence)
			return true;
	return false;
}

static struct ask *best_that_has(struct wanted *w)
{
	struct ask *a, *best = NULL;

	TAILQ_FOREACH (a, &w->asks, of_wanted)
		if (a->state == ASK_SAID_HAVE &&
		    (!best || partner_cost(a->partner) < partner_cost(best->partner)))
			best = a;
	return best;
}

/* *full: there is one, but it has enough to do. */
static struct partner *best_member(struct wanted *w, bool *full)
{
	struct session *s = w->session;
	struct partner *best = NULL;

	for (uint32_t i = 0; i < s->n_members; i++) {
		struct partner *p = s->members[i].partner;
		/* A reader that waits is not held up by what is fetched ahead. */
		uint32_t window =
		    partner_window(p) + (w->priority == WANT_READER ? 64 : 0);

		if (!p->connected || ask_find(w, p))
			continue;
		if (p->inflight >= window ||
		    (p->n_sent >= ASKS_OF_PARTNER && TAILQ_EMPTY(&p->refused))) {
			*full = true;
			continue;
		}
		if (!best || partner_cost(p) < partner_cost(best))
			best = p;
	}
	return best;
}

/*
 * The block itself is asked of the first, whose rank is best, to save a round
 * trip if that guess is good; of a second one too while it is about one block.
 */
int wanted_broadcast(struct client *c, struct wanted *w)
{
	int blocks = w->priority == WANT_READER && w->session->probing < 2 ? 2 : 1;
	double latency = 0;
	struct partner *p;
	int n = 0;

	if (w->rounds >= 2)
		return 0;
	w->rounds++;
	TAILQ_FOREACH (p, &c->connected, all) {
		if (n == BROADCAST_MAX)
			break;
		if (ask_find(w, p))
			continue;
		struct ask *a = ask_new(c, w, p);
		if (!a)
			continue;
		ask_send(c, a, n < blocks && p->strikes < 2 ? ASK_BLOCK : ASK_HAVE, true);
		if (4 * (p->latency ? p->latency : 125) > latency)
			latency = 4 * (p->latency ? p->latency : 125);
		n++;
	}
	if (n)
		w->silence = c->now + (latency < 200    ? 200
				       : latency > 1000 ? 1000
							: (uint64_t)latency);
	return n;
}

bool wanted_dispatch(struct client *c, struct wanted *w)
{
	struct session *s = w->session;
	bool full = false;
	struct ask *a = NULL;

	if (!wanted_served(c, w)) {
		a = best_that_has(w);
		if (!a) {
			struct partner *p = best_member(w, &full);
			if (p)
				a = ask_new(c, w, p);
		}
	}
	if (a) {
		ask_send(c, a, ASK_BLOCK, false);
		no_probe(w);
	} else if (full) {
		return false;
	} else if (!wanted_waits(c, w)) {
		if (s->probing >= PROBES_MAX && !w->probing)
			return false;
		if (!wanted_broadcast(c, w)) {
			wanted_stuck(c, w);
			return true;
		}
		s->probing += !w->probing;
		w->probing = true;
	}
	wanted_unqueue(c, w);
	wanted_schedule(c, w);
	return true;
}

void wanted_schedule(struct client *c, struct wanted *w)
{
	uint64_t at = w->deadline;
	struct ask *a;

	TAILQ_FOREACH (a, &w->asks, of_wanted)
		if (a->state == ASK_BLOCK && ask_due(a) < at)
			at = ask_due(a);
	if (w->state == WANTED_ASKING && w->silence > c->now && w->silence < at)
		at = w->silence;
	if (w->state == WANTED_STUCK && w->search.state == SEARCH_IDLE &&
	    w->search.next < at)
		at = w->search.next;
	heap_set(&c->wakes, &w->wake, at > c->now ? at : c->now + 1);
}
