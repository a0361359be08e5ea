/* What comes in to a Yamux session is judged here, frame by frame. */
#include "net/yamux_internal.h"
#include "store/cursor.h"
#include "store/error.h"

#include <string.h>

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
	st = stream_find(y, id);
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
	TAILQ_FOREACH (st, &y->resumed, resumed)
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
			st = stream_find(y, id);
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

	if (y->n_inbound >= y->limits.inbound_max ||
	    y->n_unaccepted >= y->limits.unaccepted_max)
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

	if (id % 2 == y->client || stream_find(y, id))
		return ERR_MALFORMED;
	if (y->go_away_waits || !may_take(y))
		return session_reset(y, id) ? 0 : -ENOBUFS;
	st = stream_new(y, id, true);
	if (!st)
		return -ENOMEM;
	stream_control(st, FLAG_ACK);
	y->events->on_open(y->arg, st);
	*out = y->ended ? NULL : stream_find(y, id);
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
		st = stream_find(y, id);
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
