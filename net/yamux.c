/* Yamux sessions, and how their streams begin and end. */
#include "net/yamux_internal.h"
#include "store/error.h"

#include <stdlib.h>

struct yamux *yamux_new(const struct yamux_config *cfg)
{
	struct yamux *y = calloc(1, sizeof *y);

	if (!y)
		return NULL;
	y->limits = *cfg->limits;
	y->budget = cfg->budget;
	y->events = cfg->events;
	y->arg = cfg->arg;
	y->client = cfg->client;
	y->next_id = cfg->client ? 1 : 2;
	TAILQ_INIT(&y->all);
	TAILQ_INIT(&y->control);
	TAILQ_INIT(&y->ready);
	TAILQ_INIT(&y->resumed);
	y->pongs = malloc(y->limits.pongs_max * sizeof *y->pongs);
	if (!y->pongs) {
		free(y);
		return NULL;
	}
	return y;
}

/* ---- the life of a stream ---- */

static struct yamux_stream **bucket(struct yamux *y, uint32_t id)
{
	return &y->buckets[id / 2 % STREAM_BUCKETS];
}

struct yamux_stream *stream_find(struct yamux *y, uint32_t id)
{
	struct yamux_stream *st = *bucket(y, id);

	while (st && st->id != id)
		st = st->chain;
	return st;
}

struct yamux_stream *stream_new(struct yamux *y, uint32_t id, bool inbound)
{
	struct yamux_stream *st = calloc(1, sizeof *st);

	if (!st)
		return NULL;
	st->y = y;
	st->id = id;
	st->inbound = inbound;
	st->window = st->recv_window = st->send_window = YAMUX_WINDOW;
	st->epoch = y->now;
	TAILQ_INIT(&st->queue);
	st->chain = *bucket(y, id);
	*bucket(y, id) = st;
	TAILQ_INSERT_TAIL(&y->all, st, all);
	y->n_streams++;
	if (inbound) {
		y->n_inbound++;
		y->n_unaccepted++;
	} else {
		y->n_unacked++;
	}
	return st;
}

static void stream_free(struct yamux_stream *st)
{
	struct yamux *y = st->y;
	struct yamux_stream **at = bucket(y, st->id);

	while (*at != st)
		at = &(*at)->chain;
	*at = st->chain;
	TAILQ_REMOVE(&y->all, st, all);
	if (st->in_control)
		TAILQ_REMOVE(&y->control, st, control);
	if (st->in_ready)
		TAILQ_REMOVE(&y->ready, st, ready);
	if (st->in_resumed)
		TAILQ_REMOVE(&y->resumed, st, resumed);
	/* The rest of its frame is read and dropped. */
	if (y->rx == st)
		y->rx = NULL;
	y->n_streams--;
	if (st->inbound) {
		y->n_inbound--;
		y->n_unaccepted -= !st->accepted;
	} else {
		y->n_unacked -= !st->acked;
	}
	y->grown -= st->window - YAMUX_WINDOW;
	y->budget->used -= st->window - YAMUX_WINDOW;
	stream_drop_queue(st);
	buf_release(&st->held);
	free(st);
}

void stream_over(struct yamux_stream *st, int reason)
{
	const struct yamux_events *events = st->y->events;
	void *user = st->user;

	stream_free(st);
	if (user)
		events->on_closed(user, reason);
}

void stream_maybe_over(struct yamux_stream *st)
{
	if (st->fin_sent && st->eof_told)
		stream_over(st, 0);
}

static bool over(const struct yamux *y)
{
	return y->ended || y->leaving || y->go_away_waits || y->go_away_sent ||
	       y->next_id > UINT32_MAX - 2;
}

bool yamux_may_open(const struct yamux *y)
{
	return !over(y) && y->n_unacked < y->limits.unacked_max;
}

int yamux_open(struct yamux *y, struct yamux_stream **out, void *user)
{
	struct yamux_stream *st;

	if (over(y))
		return -ESHUTDOWN;
	if (y->n_unacked >= y->limits.unacked_max)
		return -EAGAIN;
	st = stream_new(y, y->next_id, false);
	if (!st)
		return -ENOMEM;
	y->next_id += 2;
	st->user = user;
	stream_control(st, FLAG_SYN);
	*out = st;
	return 0;
}

void yamux_set_user(struct yamux_stream *st, void *user)
{
	st->user = user;
}

void yamux_accept(struct yamux_stream *st)
{
	if (st->inbound && !st->accepted) {
		st->accepted = true;
		st->y->n_unaccepted--;
	}
}

bool session_reset(struct yamux *y, uint32_t id)
{
	if (y->n_resets == y->cap_resets) {
		uint32_t cap = y->cap_resets ? 2 * y->cap_resets : 16;
		uint32_t *more;

		if (cap > y->limits.resets_max)
			cap = y->limits.resets_max;
		if (cap == y->n_resets)
			return false;
		more = realloc(y->resets, cap * sizeof *more);
		if (!more)
			return false;
		y->resets = more;
		y->cap_resets = cap;
	}
	y->resets[y->n_resets++] = id;
	y->events->on_wake(y->arg);
	return true;
}

void yamux_reset(struct yamux_stream *st)
{
	struct yamux *y = st->y;
	uint32_t id = st->id;
	bool unknown = st->flags & FLAG_SYN; /* the peer has never heard of it */

	stream_free(st);
	/* A lost RST costs the peer a stream; it ends with the session. */
	if (!unknown && !y->ended)
		session_reset(y, id);
}

bool yamux_leaving(const struct yamux *y)
{
	return y->leaving;
}

uint64_t yamux_pinged(const struct yamux *y)
{
	return y->pinged;
}

uint32_t yamux_rtt_us(const struct yamux *y)
{
	return y->rtt_us;
}

uint32_t yamux_streams(const struct yamux *y)
{
	return y->n_streams;
}

size_t yamux_queued(const struct yamux *y)
{
	return y->queued;
}

/* ---- the end ---- */

void yamux_end(struct yamux *y, int reason)
{
	struct yamux_stream *st;

	y->ended = true;
	while ((st = TAILQ_FIRST(&y->all)))
		stream_over(st, reason);
}

void yamux_free(struct yamux *y)
{
	struct yamux_stream *st;

	if (!y)
		return;
	while ((st = TAILQ_FIRST(&y->all)))
		stream_free(st);
	free(y->pongs);
	free(y->resets);
	free(y);
}
