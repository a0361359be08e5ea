/*
 * Reaching a peer: its addresses are tried beside each other, each a little
 * after the one before, and the first that completes the handshake stays.
 */
#include "net/swarm_internal.h"
#include "store/error.h"

#include <stdlib.h>
#include <string.h>

#define DIAL_ADDRS    32
#define DIAL_PARALLEL 8
/* A neighbour that hangs up before a word has too many callers: try again. */
#define DIAL_RETRIES 6
#define DIAL_RETRY   200 /* ms, times the number of the try */

enum target_state { TARGET_WAITING, TARGET_ACTIVE, TARGET_OVER };

struct target {
	struct addr addr;
	enum target_state state;
	unsigned tries;
	uint64_t due;
};

struct dial {
	struct swarm *s;
	struct remote *remote; /* NULL: whoever answers ... */
	struct connect_op *op; /* ... and who wants to know */
	TAILQ_ENTRY(dial) all;
	struct conn_list attempts;
	unsigned n_active;
	uv_timer_t timer;
	bool over;
	uint64_t deadline, next_start;
	int result;
	int n;
	struct target targets[DIAL_ADDRS];
};

static void step(struct dial *d);

static void on_timer(uv_timer_t *t)
{
	step(t->data);
}

static void on_timer_closed(uv_handle_t *h)
{
	struct dial *d = h->data;
	struct swarm *s = d->s;

	free(d);
	swarm_handle_closed(s);
}

static struct dial *dial_new(struct swarm *s, struct remote *r)
{
	struct dial *d = calloc(1, sizeof *d);

	if (!d)
		return NULL;
	d->s = s;
	d->remote = r;
	d->result = -EHOSTUNREACH;
	/* The loop's clock may stand still since before a long wait. */
	uv_update_time(s->loop);
	d->deadline = uv_now(s->loop) + s->limits.dial;
	TAILQ_INIT(&d->attempts);
	uv_timer_init(s->loop, &d->timer);
	d->timer.data = d;
	swarm_handle(s);
	TAILQ_INSERT_TAIL(&s->dials, d, all);
	return d;
}

static void add_target(struct dial *d, const struct addr *a)
{
	struct addr bare = *a;
	struct peer_id p;
	int n_own;
	const struct addr *own = listen_addrs(d->s, &n_own);

	if (!addr_dialable(a) || d->n >= DIAL_ADDRS)
		return;
	if (d->remote && addr_peer(a, &p) && !peer_equal(&p, &d->remote->id))
		return;
	addr_strip_peer(&bare);
	for (int i = 0; i < d->n; i++)
		if (addr_equal(&d->targets[i].addr, &bare))
			return;
	/* Another's loopback address may be ours. */
	for (int i = 0; i < n_own; i++)
		if (addr_equal(&own[i], &bare))
			return;
	d->targets[d->n++] = (struct target){ .addr = bare };
}

static void start(struct dial *d, struct target *t, uint64_t now)
{
	struct addr a = t->addr;
	struct conn *c = conn_new(d->s, false);
	uint64_t limit = addr_private(&a) || addr_loopback(&a) ? d->s->limits.dial_private
							       : d->s->limits.dial;
	int r;

	t->state = TARGET_ACTIVE;
	t->tries++;
	if (!c) {
		t->state = TARGET_OVER;
		d->result = -ENOMEM;
		return;
	}
	c->dial = d;
	c->deadline = now + limit < d->deadline ? now + limit : d->deadline;
	TAILQ_INSERT_TAIL(&d->attempts, c, of_dial);
	d->n_active++;
	r = d->remote ? addr_add_peer(&a, &d->remote->id) : 0;
	if (r >= 0)
		r = conn_dial(c, &a);
	if (r < 0) {
		c->addr = t->addr;
		conn_doom(c, r);
	}
}

/* Start what may be started now, and see when to look again. */
static void step(struct dial *d)
{
	uint64_t now = uv_now(d->s->loop), wake = UINT64_MAX;
	bool waiting = false;

	if (d->over)
		return;
	for (int i = 0; i < d->n; i++) {
		struct target *t = &d->targets[i];
		uint64_t due = t->due > d->next_start ? t->due : d->next_start;

		if (t->state != TARGET_WAITING)
			continue;
		if (due <= now && d->n_active < DIAL_PARALLEL && now < d->deadline) {
			start(d, t, now);
			d->next_start = now + d->s->limits.stagger;
			continue;
		}
		waiting = true;
		if (due < wake)
			wake = due;
	}
	if (!d->n_active && (!waiting || now >= d->deadline)) {
		dial_end(d, d->result);
		return;
	}
	if (waiting && d->n_active < DIAL_PARALLEL)
		uv_timer_start(&d->timer, on_timer, wake > now ? wake - now : 0, 0);
}

int dial_remote(struct remote *r, const struct addr *a, int n)
{
	struct swarm *s = r->s;
	struct addr known[PEERBOOK_ADDRS];
	int n_known, failure;
	struct dial *d = r->dial;

	if (peer_equal(&r->id, &s->self)) {
		remote_unreachable(r, -ELOOP);
		return -ELOOP;
	}
	failure = peerbook_failure(s->book, &r->id, uv_now(s->loop));
	if (!d && !n && failure) {
		remote_unreachable(r, failure);
		return failure;
	}
	if (!d)
		d = r->dial = dial_new(s, r);
	if (!d) {
		remote_unreachable(r, -ENOMEM);
		return -ENOMEM;
	}
	for (int i = 0; i < n; i++)
		add_target(d, &a[i]);
	n_known = peerbook_get(s->book, &r->id, known, PEERBOOK_ADDRS, uv_now(s->loop));
	for (int i = 0; i < n_known; i++)
		add_target(d, &known[i]);
	step(d);
	return 0;
}

int dial_addr(struct swarm *s, const struct addr *a, struct connect_op *op)
{
	struct dial *d = dial_new(s, NULL);

	if (!d)
		return -ENOMEM;
	d->op = op;
	add_target(d, a);
	step(d);
	return 0;
}

static struct target *target_of(struct dial *d, const struct conn *c)
{
	for (int i = 0; i < d->n; i++)
		if (addr_equal(&d->targets[i].addr, &c->addr))
			return &d->targets[i];
	return NULL;
}

static void detach(struct conn *c)
{
	TAILQ_REMOVE(&c->dial->attempts, c, of_dial);
	c->dial->n_active--;
	c->dial = NULL;
}

void dial_attempt_up(struct conn *c)
{
	struct dial *d = c->dial;

	detach(c);
	if (d->op) {
		STAILQ_INSERT_TAIL(&c->remote->connects, d->op, next);
		d->op = NULL;
	}
	dial_end(d, 0);
}

void dial_attempt_failed(struct conn *c, int reason)
{
	struct dial *d = c->dial;
	struct target *t = target_of(d, c);
	uint64_t now = uv_now(d->s->loop);
	bool near = addr_private(&c->addr) || addr_loopback(&c->addr);

	detach(c);
	if (t)
		t->state = TARGET_OVER;
	if (t && near && !c->heard && reason != -ETIMEDOUT && reason != -ECONNREFUSED &&
	    c->connected && t->tries <= DIAL_RETRIES) {
		t->state = TARGET_WAITING;
		t->due = now + DIAL_RETRY * t->tries;
	}
	/* That somebody else answers says more than that an address is dead. */
	if (d->result != ERR_CORRUPT)
		d->result = reason;
	d->next_start = now;
	step(d);
}

void dial_end(struct dial *d, int result)
{
	struct swarm *s = d->s;
	struct remote *r = d->remote;
	struct conn *c;

	if (d->over)
		return;
	d->over = true;
	while ((c = TAILQ_FIRST(&d->attempts))) {
		detach(c);
		conn_doom(c, -ECANCELED);
	}
	if (d->op) {
		d->op->result = result;
		task_later(s, &d->op->task);
	}
	if (r) {
		r->dial = NULL;
		if (result < 0 && !r->n_conns) {
			if (result != -ECANCELED)
				peerbook_failed(s->book, &r->id, result,
						uv_now(s->loop) + s->limits.backoff);
			remote_unreachable(r, result);
		}
		remote_tidy(r);
	}
	TAILQ_REMOVE(&s->dials, d, all);
	uv_close((uv_handle_t *)&d->timer, on_timer_closed);
}

void dial_end_all(struct swarm *s, int result)
{
	while (!TAILQ_EMPTY(&s->dials))
		dial_end(TAILQ_FIRST(&s->dials), result);
}
