/*
 * Wants, from the first question to the block or the time-out, and the events
 * that move them on.
 */
#include "net/bitswap_client.h"

#include "store/error.h"

#include <stdlib.h>
#include <string.h>

#define TIMEOUT_MS   60000
#define ASK_AGAIN_MS 10000 /* after a refusal or silence */
#define BAD_MAX      3     /* wrong blocks from one peer */

int client_init(struct client *c, const struct client_ops *ops, void *arg, uint64_t seed,
		uint64_t now)
{
	*c = (struct client){
		.ops = ops, .arg = arg, .seed = seed, .started = now, .now = now
	};
	TAILQ_INIT(&c->connected);
	TAILQ_INIT(&c->dialling);
	TAILQ_INIT(&c->active);
	TAILQ_INIT(&c->idle);
	TAILQ_INIT(&c->busy);
	TAILQ_INIT(&c->searches);
	return -pthread_mutex_init(&c->lock, NULL);
}

uint64_t client_hash(const struct client *c, const struct multihash *name)
{
	return map_hash(c->seed ^ name->code, name->digest, name->size);
}

struct wanted *client_find(struct client *c, const struct multihash *name)
{
	uint64_t hash = client_hash(c, name);

	for (struct map_node *n = map_first(&c->wanted, hash); n; n = map_next(n)) {
		struct wanted *w = container_of(n, struct wanted, node);
		if (multihash_equal(&w->cid.hash, name))
			return w;
	}
	return NULL;
}

bool client_wants(struct client *c, const struct multihash *name)
{
	pthread_mutex_lock(&c->lock);
	bool wanted = client_find(c, name) != NULL;
	pthread_mutex_unlock(&c->lock);
	return wanted;
}

bool client_keeps(struct client *c, const struct multihash *name)
{
	pthread_mutex_lock(&c->lock);
	struct wanted *w = client_find(c, name);
	bool keep = w && w->keep;
	pthread_mutex_unlock(&c->lock);
	return keep;
}

/* ---- wants ---- */

/* Whether we could tell that a block is the one of that name. */
static int recognizable(const struct multihash *name)
{
	struct multihash any;
	int r = multihash_allowed(name);

	return r < 0 ? r : multihash_of(&any, name->code, name->size, "", 0);
}

static struct wanted *wanted_new(struct client *c, const struct want_request *rq)
{
	struct wanted *w = calloc(1, sizeof *w);

	if (!w || heap_reserve(&c->wakes, c->wakes.n + 1) < 0)
		goto out;
	w->session = session_get(c, &rq->root);
	if (!w->session)
		goto out;
	w->cid = rq->cid;
	w->priority = rq->priority;
	w->deadline = UINT64_MAX;
	w->search.wanted = w;
	w->search.key = &w->cid.hash;
	TAILQ_INIT(&w->wants);
	TAILQ_INIT(&w->asks);

	pthread_mutex_lock(&c->lock);
	int r = map_insert(&c->wanted, &w->node, client_hash(c, &rq->cid.hash));
	pthread_mutex_unlock(&c->lock);
	if (r < 0) {
		session_put(c, w->session);
		goto out;
	}
	w->state = WANTED_ASKING; /* of nobody yet */
	w->doomed = c->offline ? -ENETUNREACH : recognizable(&rq->cid.hash);
	if (!w->doomed)
		wanted_ready(c, w);
	return w;
out:
	free(w);
	return NULL;
}

struct want *client_want(struct client *c, const struct want_request *rq, want_fn done,
			 void *arg, uint64_t now)
{
	c->now = now;
	struct want *q = c->closing ? NULL : malloc(sizeof *q);
	if (!q)
		return NULL;
	struct wanted *w = client_find(c, &rq->cid.hash);
	if (!w)
		w = wanted_new(c, rq);
	if (!w) {
		free(q);
		return NULL;
	}
	*q = (struct want){
		.client = c,
		.wanted = w,
		.priority = rq->priority,
		.deadline = now + (rq->timeout_ms ? rq->timeout_ms : TIMEOUT_MS),
		.done = done,
		.arg = arg,
	};
	TAILQ_INSERT_TAIL(&w->wants, q, of_wanted);
	c->n_wants++;
	if (rq->keep) {
		pthread_mutex_lock(&c->lock);
		w->keep = true;
		pthread_mutex_unlock(&c->lock);
	}
	if (w->doomed)
		w->deadline = now;
	else if (q->deadline < w->deadline)
		w->deadline = q->deadline;
	client_raise(q, rq->priority, now);
	wanted_schedule(c, w);
	return q;
}

void client_raise(struct want *q, enum want_priority priority, uint64_t now)
{
	struct client *c = q->client;
	struct wanted *w = q->wanted;
	struct ask *a;

	c->now = now;
	if (priority > q->priority)
		q->priority = priority;
	if (w->finished || priority <= w->priority)
		return;
	bool queued = w->state == WANTED_READY;
	if (queued)
		wanted_unqueue(c, w);
	w->priority = priority;
	if (queued)
		wanted_ready(c, w);
	TAILQ_FOREACH (a, &w->asks, of_wanted)
		if (a->state == ASK_BLOCK)
			ask_send(c, a, ASK_BLOCK, a->guess);
}

static void want_end(struct client *c, struct want *q, int result, struct block *block)
{
	TAILQ_REMOVE(&q->wanted->wants, q, of_wanted);
	c->n_wants--;
	q->done(q->arg, result, block);
	free(q);
}

/* Whoever sent the block has struck it off our list by that. */
void wanted_finish(struct client *c, struct wanted *w, int result, struct block *block,
		   const struct partner *from)
{
	struct want *q;
	struct ask *a;

	if (w->finished)
		return;
	w->finished = true;
	pthread_mutex_lock(&c->lock);
	map_remove(&c->wanted, &w->node);
	pthread_mutex_unlock(&c->lock);
	heap_remove(&c->wakes, &w->wake);
	wanted_unqueue(c, w);
	w->session->probing -= w->probing;
	search_end(c, &w->search);
	while ((a = TAILQ_FIRST(&w->asks)))
		ask_free(c, a, a->partner != from);
	session_put(c, w->session);
	if (result < 0 && result != -ECANCELED)
		c->ops->failed(c->arg, &w->cid, result, w->asked);

	/* What is called may cancel others of these, and want the block again. */
	while ((q = TAILQ_FIRST(&w->wants)))
		want_end(c, q, result, block);
	free(w);
}

void client_cancel(struct want *q, uint64_t now)
{
	struct client *c = q->client;
	struct wanted *w = q->wanted;

	c->now = now;
	if (w->finished || TAILQ_FIRST(&w->wants) != TAILQ_LAST(&w->wants, want_list))
		want_end(c, q, -ECANCELED, NULL);
	else
		wanted_finish(c, w, -ECANCELED, NULL, NULL);
}

void client_end(struct client *c)
{
	struct heap_item *i;

	c->closing = true;
	while ((i = heap_min(&c->wakes)))
		wanted_finish(c, container_of(i, struct wanted, wake), -ECANCELED, NULL,
			      NULL);
}

void client_release(struct client *c)
{
	struct partner *p;

	client_end(c);
	while ((p = TAILQ_FIRST(&c->connected)))
		client_down(c, p, c->now);
	while ((p = TAILQ_FIRST(&c->dialling)))
		client_unreachable(c, &p->id, c->now);
	while (!TAILQ_EMPTY(&c->idle))
		session_free(c, TAILQ_FIRST(&c->idle));
	map_release(&c->wanted);
	map_release(&c->sessions);
	map_release(&c->partners);
	heap_release(&c->wakes);
	pthread_mutex_destroy(&c->lock);
}

/* ---- answers ---- */

void client_said(struct client *c, struct partner *p, const struct multihash *name,
		 bool have, uint64_t now)
{
	c->now = now;
	struct wanted *w = client_find(c, name);
	struct ask *a = w ? ask_find(w, p) : NULL;
	if (!a || a->state == ASK_LEAD)
		return;
	partner_measure(c, p, a);
	p->last_progress = now;
	if (have) {
		w->said_have = true;
		if (a->state != ASK_HAVE && a->state != ASK_SAID_DONT)
			return;
		ask_set(a, ASK_SAID_HAVE);
		session_join(c, w->session, p);
		if (w->state != WANTED_READY && !wanted_served(c, w))
			wanted_ready(c, w);
		return;
	}
	if (a->state == ASK_SAID_DONT)
		return;
	session_refused(w->session, p);
	ask_set(a, ASK_SAID_DONT);
	a->since = now;
	if (w->state == WANTED_ASKING && !wanted_waits(c, w))
		wanted_ready(c, w);
}

bool client_block(struct client *c, struct partner *p, const struct multihash *name,
		  struct block *block, int result, uint64_t now)
{
	c->now = now;
	struct wanted *w = client_find(c, name);
	if (!w)
		return false;
	if (p && result == 0)
		partner_credit(c, p, w, block->size);
	wanted_finish(c, w, result, block, p);
	return true;
}

void client_unwanted(struct client *c, struct partner *p, uint64_t now)
{
	c->now = now;
	if (p->grace) {
		p->grace--;
		return;
	}
	/* Perhaps it stands for a block we asked for: ask others for those. */
	p->bad++;
	partner_stalled(c, p);
	if (p->bad >= BAD_MAX)
		c->ops->drop(c->arg, &p->id);
}

/* ---- time ---- */

static struct want *first_expired(struct client *c, struct wanted *w)
{
	struct want *q;

	TAILQ_FOREACH (q, &w->wants, of_wanted)
		if (q->deadline <= c->now)
			return q;
	return NULL;
}

/* End the wants whose time is over; `w` may be gone afterwards. */
static void expire(struct client *c, struct wanted *w)
{
	struct multihash name = w->cid.hash;
	struct want *q;

	if (w->doomed) {
		wanted_finish(c, w, w->doomed, NULL, NULL);
		return;
	}
	while ((q = first_expired(c, w))) {
		int result = w->said_have ? -ETIMEDOUT : -EIO;

		if (q == TAILQ_FIRST(&w->wants) && !TAILQ_NEXT(q, of_wanted)) {
			wanted_finish(c, w, result, NULL, NULL);
			return;
		}
		/* Others wait on, but somebody's reader was told that it is not to be
		 * had. */
		if (q->priority == WANT_READER)
			c->ops->failed(c->arg, &w->cid, result, w->asked);
		want_end(c, q, result, NULL);
		/* Who was told may have cancelled the others, and wanted it again. */
		w = client_find(c, &name);
		if (!w)
			return;
	}
	w->deadline = UINT64_MAX;
	TAILQ_FOREACH (q, &w->wants, of_wanted)
		if (q->deadline < w->deadline)
			w->deadline = q->deadline;
	wanted_schedule(c, w);
}

/* Ask again, of those who said no or nothing a while ago, and of the network. */
static void retry(struct client *c, struct wanted *w)
{
	struct ask *a = TAILQ_FIRST(&w->asks);
	struct session *s = w->session;

	while (a) {
		struct ask *next = TAILQ_NEXT(a, of_wanted);

		if ((a->state == ASK_SAID_DONT || a->state == ASK_LATE) &&
		    a->since + ASK_AGAIN_MS <= c->now)
			ask_free(c, a, true);
		a = next;
	}
	w->rounds = 0;
	wanted_broadcast(c, w);
	if (s->rooted && !multihash_equal(&s->root.hash, &w->cid.hash))
		search_begin(c, &s->search);
	search_begin(c, &w->search);
}

static void look_at(struct client *c, struct wanted *w)
{
	struct ask *a;

	if (w->deadline <= c->now) {
		expire(c, w);
		return;
	}
	TAILQ_FOREACH (a, &w->asks, of_wanted)
		if (a->state == ASK_BLOCK && ask_due(a) <= c->now)
			ask_late(c, a);
	if (w->state == WANTED_STUCK && w->search.state == SEARCH_IDLE &&
	    w->search.next <= c->now)
		retry(c, w);
	if (w->state == WANTED_ASKING && !wanted_waits(c, w))
		wanted_ready(c, w);
	wanted_schedule(c, w);
}

uint64_t client_run(struct client *c, uint64_t now)
{
	struct heap_item *i;

	c->now = now;
	while ((i = heap_min(&c->wakes)) && i->key <= now)
		look_at(c, container_of(i, struct wanted, wake));

	for (int priority = WANT_READER; priority >= 0; priority--) {
		struct session *s = TAILQ_FIRST(&c->busy);

		while (s) {
			struct session *next = TAILQ_NEXT(s, busy);
			struct wanted *w;

			while ((w = TAILQ_FIRST(&s->ready[priority])))
				if (!wanted_dispatch(c, w))
					break;
			s = next;
		}
	}
	search_run(c);
	i = heap_min(&c->wakes);
	return i ? i->key : UINT64_MAX;
}
