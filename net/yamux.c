/* Yamux sessions: streams begin and end here, and what comes in is judged. */
#include "net/yamux_internal.h"
#include "store/cursor.h"
#include "store/error.h"

#include <stdlib.h>
#include <string.h>

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

static struct yamux_stream *find(struct yamux *y, uint32_t id)
{
	struct yamux_stream *st = *bucket(y, id);

	while (st && st->id != id)
		st = st->chain;
	return st;
}

static struct yamux_stream *stream_new(struct yamux *y, uint32_t id, bool inbound)
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

static void stream_over(struct yamux_stream *st, int reason)
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

/* False if so many wait that the peer cannot be reading. */
static bool queue_reset(struct yamux *y, uint32_t id)
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
		queue_reset(y, id);
}

/* ---- what comes in ---- */

/* Bytes of the stream were handed out: let the peer send as many again. */
static void consume(struct yamux_stream *st, uint32_t n)
{
	struct yamux *y = st->y;
	uint32_t grow, room;

	st->consumed += n - st->unread;
	st->unread = 0;
	if (st->consumed < st->window / 2 || st->eof)
		return;
	st->credit += st->consumed;
	st->recv_window += st->consumed;
	st->consumed = 0;

	/* Half a window in under four round trips: it was the window that limited. */
	if (y->rtt_us && y->now - st->epoch < 4 * (uint64_t)y->rtt_us) {
		grow = st->window;
		if (grow > y->limits.window_max - st->window)
			grow = y->limits.window_max - st->window;
		room = y->limits.growth_max - y->grown;
		if (grow > room)
			grow = room;
		if (grow > y->budget->max - y->budget->used)
			grow = y->budget->max - y->budget->used;
		st->window += grow;
		st->recv_window += grow;
		st->credit += grow;
		y->grown += grow;
		y->budget->used += grow;
	}
	st->epoch = y->now;
	stream_control(st, 0);
}

/* Tell of the end of the peer's half, once, and behind what is held. */
static void tell_eof(struct yamux_stream *st)
{
	struct yamux *y = st->y;
	uint32_t id = st->id;

	if (!st->eof || st->eof_told || st->paused || st->held.len)
		return;
	st->eof_told = true;
	if (st->user)
		y->events->on_eof(st->user);
	/* The event may have ended it. */
	st = find(y, id);
	if (st)
		stream_maybe_over(st);
}

static int take_payload(struct yamux *y, const uint8_t *data, uint32_t len)
{
	struct yamux_stream *st = y->rx;

	if (!st)
		return 0;
	if (st->paused || st->held.len) {
		buf_append(&st->held, data, len);
		return st->held.failed ? -ENOMEM : 0;
	}
	y->events->on_data(st->user, data, len);
	if (y->rx)
		consume(st, len);
	return 0;
}

void yamux_pause(struct yamux_stream *st, bool on)
{
	struct yamux *y = st->y;

	st->paused = on;
	if (!on && !st->in_resumed && (st->held.len || (st->eof && !st->eof_told))) {
		st->in_resumed = true;
		TAILQ_INSERT_TAIL(&y->resumed, st, resumed);
		y->events->on_wake(y->arg);
	}
}

int yamux_unread(struct yamux_stream *st, const uint8_t *data, size_t len)
{
	buf_append(&st->held, data, len);
	if (st->held.failed)
		return -ENOMEM;
	st->unread += len;
	return 0;
}

void yamux_deliver(struct yamux *y)
{
	struct yamux_stream *st;
	uint32_t turns = 0;

	/* Those that pause and resume in their event wait for the next call. */
	TAILQ_FOREACH(st, &y->resumed, resumed)
		turns++;
	while (turns-- && (st = TAILQ_FIRST(&y->resumed))) {
		struct buf held = st->held;
		uint32_t id = st->id;

		TAILQ_REMOVE(&y->resumed, st, resumed);
		st->in_resumed = false;
		if (st->paused)
			continue;
		st->held = (struct buf){ 0 };
		if (held.len) {
			y->events->on_data(st->user, held.data, held.len);
			st = find(y, id);
			if (st)
				consume(st, held.len);
		}
		buf_release(&held);
		if (st)
			tell_eof(st);
	}
}

/* May the peer open one more now? */
static bool may_take(struct yamux *y)
{
	uint64_t cost = y->limits.opens_per_s ? 1000000 / y->limits.opens_per_s : 0;
	uint64_t ahead = cost * y->limits.opens_burst;

	if (y->n_inbound >= y->limits.inbound_max || y->n_unaccepted >= y->limits.unaccepted_max)
		return false;
	if (y->opens_at < y->now)
		y->opens_at = y->now;
	if (y->opens_at + cost > y->now + ahead)
		return false;
	y->opens_at += cost;
	return true;
}

/* A SYN.  *out stays NULL if the stream was refused. */
static int on_syn(struct yamux *y, uint32_t id, struct yamux_stream **out)
{
	struct yamux_stream *st;

	if (id % 2 == y->client || find(y, id))
		return ERR_MALFORMED;
	if (y->go_away_waits || !may_take(y))
		return queue_reset(y, id) ? 0 : -ENOBUFS;
	st = stream_new(y, id, true);
	if (!st)
		return -ENOMEM;
	stream_control(st, FLAG_ACK);
	y->events->on_open(y->arg, st);
	*out = y->ended ? NULL : find(y, id);
	return 0;
}

static int on_stream_frame(struct yamux *y, uint8_t type, uint16_t flags, uint32_t id,
			   uint32_t length)
{
	struct yamux_stream *st = NULL;

	if (!id)
		return ERR_MALFORMED;
	if (flags & FLAG_SYN) {
		int r = on_syn(y, id, &st);
		if (r < 0)
			return r;
	} else {
		st = find(y, id);
	}
	/* Whatever it says of its end: nobody may send more than was granted. */
	if (type == TYPE_DATA && length > (st ? st->recv_window : y->limits.window_max))
		return ERR_MALFORMED;
	if (flags & FLAG_SYN && !st && type == TYPE_DATA && length > YAMUX_WINDOW)
		return ERR_MALFORMED;
	if (type == TYPE_DATA) {
		y->left = length;
		y->rx = NULL;
	}
	if (!st)
		return 0;

	if (!st->inbound && !st->acked) {
		st->acked = true;
		y->n_unacked--;
	}
	if (flags & FLAG_RST) {
		stream_over(st, -ECONNRESET);
		return 0;
	}
	if (type == TYPE_WINDOW) {
		if (length > UINT32_MAX - st->send_window)
			return ERR_MALFORMED;
		st->send_window += length;
		stream_ready(st);
	} else if (st->eof) {
		/* Data behind a FIN is read and dropped. */
	} else if (length) {
		st->recv_window -= length;
		y->rx = st;
		y->left_fin = flags & FLAG_FIN;
		return 0;
	}
	if (flags & FLAG_FIN && !st->eof) {
		st->eof = true;
		tell_eof(st);
	}
	return 0;
}

static int on_ping(struct yamux *y, uint16_t flags, uint32_t value)
{
	if (flags & FLAG_SYN) {
		if (y->n_pongs >= y->limits.pongs_max)
			return -ENOBUFS;
		y->pongs[y->n_pongs++] = value;
		y->events->on_wake(y->arg);
	} else if (flags & FLAG_ACK) {
		/* One that was not asked for says nothing. */
		if (y->pinged && value == y->ping_value && !y->ping_waits) {
			uint64_t rtt = y->now - y->pinged;

			if (rtt > UINT32_MAX)
				rtt = UINT32_MAX;
			if (!rtt)
				rtt = 1;
			y->rtt_us = y->rtt_us ? (rtt + y->rtt_us) / 2 : rtt;
			y->pinged = 0;
		}
	} else {
		return ERR_MALFORMED;
	}
	return 0;
}

static int on_frame(struct yamux *y)
{
	struct cursor in = cursor_over(y->head, YAMUX_HEADER);
	uint8_t version = cursor_u8(&in);
	uint8_t type = cursor_u8(&in);
	uint16_t flags = cursor_u16be(&in);
	uint32_t id = cursor_u32be(&in);
	uint32_t length = cursor_u32be(&in);

	if (version != 0 || flags & ~(FLAG_SYN | FLAG_ACK | FLAG_FIN | FLAG_RST))
		return ERR_MALFORMED;
	switch (type) {
	case TYPE_DATA:
	case TYPE_WINDOW:
		return on_stream_frame(y, type, flags, id, length);
	case TYPE_PING:
		return id ? ERR_MALFORMED : on_ping(y, flags, length);
	case TYPE_GO_AWAY:
		if (id)
			return ERR_MALFORMED;
		y->leaving = true;
		return length ? -ECONNRESET : 0;
	default:
		return ERR_MALFORMED;
	}
}

static int recv_all(struct yamux *y, const uint8_t *data, size_t len)
{
	int r;

	while (len && !y->ended) {
		if (y->left) {
			uint32_t n = len < y->left ? len : y->left;

			y->left -= n;
			r = take_payload(y, data, n);
			if (r < 0)
				return r;
			data += n;
			len -= n;
			if (!y->left && y->rx && y->left_fin) {
				y->rx->eof = true;
				tell_eof(y->rx);
			}
			if (!y->left) {
				y->rx = NULL;
				y->left_fin = false;
			}
			continue;
		}
		size_t n = YAMUX_HEADER - y->head_len;
		if (n > len)
			n = len;
		memcpy(y->head + y->head_len, data, n);
		y->head_len += n;
		data += n;
		len -= n;
		if (y->head_len == YAMUX_HEADER) {
			y->head_len = 0;
			r = on_frame(y);
			if (r < 0)
				return r;
		}
	}
	return y->ended ? -ESHUTDOWN : 0;
}

int yamux_recv(struct yamux *y, const uint8_t *data, size_t len, uint64_t now)
{
	int r;

	y->now = now;
	r = recv_all(y, data, len);
	if (r == ERR_MALFORMED)
		yamux_go_away(y, 1);
	return r;
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
