/* Streams: agreeing on a protocol, then handing bytes between Yamux and the user. */
#include "net/swarm_internal.h"
#include "store/error.h"
#include "store/log.h"

#include <stdlib.h>
#include <string.h>

static struct stream *stream_new(struct conn *c, bool inbound)
{
	struct stream *st = calloc(1, sizeof *st);

	if (!st)
		return NULL;
	st->s = c->s;
	st->c = c;
	st->inbound = inbound;
	st->negotiating = true;
	st->last = uv_now(c->s->loop);
	st->deadline = st->last + c->s->limits.negotiate;
	TAILQ_INSERT_TAIL(&c->streams, st, of_conn);
	return st;
}

static void release(struct stream *st)
{
	if (--st->holds || !st->over)
		return;
	free(st);
}

/* The only way out.  `tell`: it did not end by the user's own stream_reset(). */
static void finish(struct stream *st, int reason, bool tell)
{
	struct open_op *op = st->op;

	if (st->over)
		return;
	st->over = true;
	st->op = NULL;
	st->holds++;
	TAILQ_REMOVE(&st->c->streams, st, of_conn);
	if (op)
		stream_open_end(op, reason ? reason : -ECONNRESET, NULL);
	else if (tell && st->ev.on_closed)
		st->ev.on_closed(st->arg, reason);
	multistream_release(&st->ms);
	release(st);
}

/* ---- opening ---- */

int stream_start(struct conn *c, const char *const *offers, bool lazy,
		 struct stream **out)
{
	struct stream *st = stream_new(c, false);
	struct buf first = { 0 };
	int r;

	if (!st)
		return -ENOMEM;
	r = yamux_open(c->y, &st->y, st);
	if (r < 0) {
		TAILQ_REMOVE(&c->streams, st, of_conn);
		free(st);
		return r;
	}
	if (lazy) {
		st->one[0] = st->protocol = offers[0];
		offers = st->one;
	}
	multistream_dial(&st->ms, offers, &first);
	r = first.failed ? -ENOMEM : yamux_write(st->y, first.data, first.len);
	buf_release(&first);
	if (r < 0) {
		yamux_reset(st->y);
		finish(st, r, false);
		return r;
	}
	*out = st;
	return 0;
}

static void on_open_task(struct task *t)
{
	struct open_op *op = task_owner(t, struct open_op, task);

	if (op->st) {
		op->st->op = NULL;
		yamux_pause(op->st->y, false);
	}
	op->done(op->arg, op->st, op->result);
	free(op);
}

void stream_open_end(struct open_op *op, int result, struct stream *st)
{
	op->result = result;
	op->st = st;
	task_later(op->s, &op->task);
}

void stream_open_on(struct conn *c, struct open_op *op)
{
	const char *const *offers = op->offers;
	struct stream *st;
	bool lazy = false;
	int r;

	for (int i = 0; op->offers[i] && !lazy; i++)
		if (remote_speaks(c->remote, op->offers[i])) {
			offers = &op->offers[i];
			lazy = true;
		}
	r = stream_start(c, offers, lazy, &st);
	if (r < 0) {
		stream_open_end(op, r, NULL);
		return;
	}
	st->op = op;
	if (lazy) {
		/* Nothing comes before its user knows of it. */
		yamux_pause(st->y, true);
		stream_open_end(op, 0, st);
	}
}

void stream_open(struct swarm *s, const struct peer_id *p, const char *const *protocols,
		 open_fn done, void *arg)
{
	struct open_op *op = calloc(1, sizeof *op);
	struct remote *r;
	struct conn *c;

	if (!op) {
		/* Nothing is left to remember the caller by. */
		log_line(LOG_ERROR, "out of memory");
		abort();
	}
	op->task.run = on_open_task;
	op->s = s;
	op->peer = *p;
	op->done = done;
	op->arg = arg;
	for (int i = 0; protocols[i] && i < OFFERS_MAX; i++) {
		struct protocol *name = swarm_protocol(s, protocols[i]);
		if (!name)
			goto no_memory;
		op->offers[i] = name->name;
	}
	if (s->freeing) {
		stream_open_end(op, -ECANCELED, NULL);
		return;
	}
	r = remote_get(s, p);
	if (!r)
		goto no_memory;
	c = remote_conn(r);
	STAILQ_INSERT_TAIL(&r->opens, op, next);
	if (c) {
		remote_resume(r);
		return;
	}
	remote_hold(r);
	dial_remote(r, NULL, 0);
	remote_release(r);
	return;
no_memory:
	stream_open_end(op, -ENOMEM, NULL);
}

/* ---- agreeing on a protocol ---- */

static const char *choose(void *arg, const char *name)
{
	struct swarm *s = arg;

	for (struct protocol *p = s->protocols; p; p = p->next)
		if (p->on_stream && !strcmp(p->name, name))
			return p->name;
	return NULL;
}

static void on_open(void *arg, struct yamux_stream *y)
{
	struct conn *c = arg;
	struct stream *st = stream_new(c, true);

	if (!st) {
		yamux_reset(y);
		return;
	}
	st->y = y;
	yamux_set_user(y, st);
	multistream_listen(&st->ms, choose, c->s);
}

static void fail(struct stream *st, int reason)
{
	yamux_reset(st->y);
	finish(st, reason, true);
}

/* Both sides know what is spoken: the stream belongs to its user now. */
static void agreed(struct stream *st)
{
	struct open_op *op = st->op;

	st->negotiating = false;
	st->protocol = st->ms.chosen;
	multistream_release(&st->ms);
	if (st->inbound) {
		struct protocol *p = swarm_protocol(st->s, st->protocol);
		yamux_accept(st->y);
		p->on_stream(p->arg, st);
	} else if (op) {
		st->op = NULL;
		op->done(op->arg, st, 0);
		free(op);
	}
}

/* Bytes of the negotiation; the number used, or an error. */
static ssize_t negotiate(struct stream *st, const uint8_t *data, size_t len)
{
	struct buf out = { 0 };
	size_t used = 0;
	int r, w = 0;

	r = multistream_feed(&st->ms, data, len, &used, &out);
	if (out.len)
		w = yamux_write(st->y, out.data, out.len);
	buf_release(&out);
	if (r < 0)
		return r;
	/* A user's own FIN may have gone out before a refusal came. */
	if (w < 0)
		return w;
	if (!r)
		return len;
	agreed(st);
	return used;
}

/* ---- events of the session ---- */

static void on_data(void *user, const uint8_t *data, size_t len)
{
	struct stream *st = user;

	st->last = uv_now(st->s->loop);
	st->holds++;
	if (st->negotiating) {
		ssize_t used = negotiate(st, data, len);
		if (used < 0) {
			fail(st, used);
			goto out;
		}
		if (st->over || (size_t)used == len)
			goto out;
		data += used;
		len -= used;
		/* The new user may not be ready yet. */
		if (st->paused) {
			if (yamux_unread(st->y, data, len) < 0)
				fail(st, -ENOMEM);
			goto out;
		}
	}
	if (st->ev.on_data)
		st->ev.on_data(st->arg, data, len);
out:
	release(st);
}

static void on_eof(void *user)
{
	struct stream *st = user;

	if (st->negotiating) {
		fail(st, -ECONNRESET);
		return;
	}
	if (st->ev.on_eof)
		st->ev.on_eof(st->arg);
}

static void on_drain(void *user)
{
	struct stream *st = user;

	st->last = uv_now(st->s->loop);
	if (st->ev.on_drain)
		st->ev.on_drain(st->arg);
}

static void on_closed(void *user, int reason)
{
	finish(user, reason, true);
}

static void on_wake(void *arg)
{
	conn_soon(arg);
}

const struct yamux_events stream_yamux_events = {
	.on_open = on_open,
	.on_data = on_data,
	.on_eof = on_eof,
	.on_drain = on_drain,
	.on_closed = on_closed,
	.on_wake = on_wake,
};

/* ---- the user's side ---- */

void stream_on(struct stream *st, const struct stream_events *ev, void *arg)
{
	st->ev = *ev;
	st->arg = arg;
}

const struct peer_id *stream_peer(const struct stream *st)
{
	return noise_peer(st->c->noise);
}

const char *stream_protocol(const struct stream *st)
{
	return st->protocol;
}

/* What the queue cannot hold ends the connection: the peer does not read. */
static int wrote(struct stream *st, int r)
{
	st->last = uv_now(st->s->loop);
	if (r >= 0 || r == -EPIPE)
		return r;
	conn_doom(st->c, r);
	return -EPIPE;
}

int stream_write(struct stream *st, const void *data, size_t len)
{
	return wrote(st, yamux_write(st->y, data, len));
}

int stream_write_block(struct stream *st, struct block *b, size_t offset, size_t len)
{
	return wrote(st, yamux_write_block(st->y, b, offset, len));
}

size_t stream_queued(const struct stream *st)
{
	return yamux_stream_queued(st->y);
}

void stream_close(struct stream *st)
{
	yamux_close(st->y);
}

void stream_reset(struct stream *st)
{
	yamux_reset(st->y);
	finish(st, 0, false);
}

void stream_pause(struct stream *st, bool on)
{
	st->paused = on;
	yamux_pause(st->y, on);
}

void stream_timeout(struct stream *st, uint64_t ms)
{
	st->timeout = ms;
	st->last = uv_now(st->s->loop);
}

void stream_tick(struct stream *st, uint64_t now)
{
	size_t queued = yamux_stream_queued(st->y);

	if (queued != st->last_queued) {
		st->last_queued = queued;
		st->last = now;
	}
	/* One that was taken for granted has its user to watch it. */
	if ((st->negotiating && (st->inbound || st->op) && now >= st->deadline) ||
	    (st->timeout && now - st->last >= st->timeout))
		fail(st, -ETIMEDOUT);
}
