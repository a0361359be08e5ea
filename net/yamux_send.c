/* What a Yamux session has to say: queues of streams, control frames, turns. */
#include "net/yamux_internal.h"
#include "store/error.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* Small writes are gathered in pieces of this size. */
#define PIECE_SIZE 4032

void stream_control(struct yamux_stream *st, uint16_t flags)
{
	st->flags |= flags;
	if (!st->in_control) {
		st->in_control = true;
		TAILQ_INSERT_TAIL(&st->y->control, st, control);
	}
	st->y->events->on_wake(st->y->arg);
}

void stream_ready(struct yamux_stream *st)
{
	if (st->in_ready || !st->queued || !st->send_window)
		return;
	st->in_ready = true;
	TAILQ_INSERT_TAIL(&st->y->ready, st, ready);
	st->y->events->on_wake(st->y->arg);
}

static int may_write(struct yamux_stream *st, size_t len)
{
	if (st->closing || st->y->ended)
		return -EPIPE;
	if (len > st->y->limits.queue_max - st->y->queued)
		return -ENOBUFS;
	return 0;
}

static int wrote(struct yamux_stream *st, size_t len)
{
	st->queued += len;
	st->y->queued += len;
	stream_ready(st);
	if (st->queued <= YAMUX_QUEUE_HIGH)
		return 0;
	st->full = true;
	return 1;
}

int yamux_write(struct yamux_stream *st, const void *data, size_t len)
{
	struct piece *p = TAILQ_LAST(&st->queue, piece_list);
	int r = may_write(st, len);

	if (r < 0)
		return r;
	if (len && (!p || p->room < len)) {
		size_t size = len > PIECE_SIZE ? len : PIECE_SIZE;
		p = malloc(sizeof *p + size);
		if (!p)
			return -ENOMEM;
		*p = (struct piece){ .data = p->bytes, .room = size };
		TAILQ_INSERT_TAIL(&st->queue, p, next);
	}
	if (len) {
		memcpy((uint8_t *)p->data + p->len, data, len);
		p->len += len;
		p->room -= len;
	}
	return wrote(st, len);
}

int yamux_write_block(struct yamux_stream *st, struct block *b, size_t offset, size_t len)
{
	int r = may_write(st, len);

	assert(offset <= b->size && len <= b->size - offset);
	if (r < 0)
		return r;
	if (len) {
		struct piece *p = malloc(sizeof *p);
		if (!p)
			return -ENOMEM;
		*p = (struct piece){
			.block = block_ref(b),
			.data = b->data + offset,
			.len = len,
		};
		TAILQ_INSERT_TAIL(&st->queue, p, next);
	}
	return wrote(st, len);
}

size_t yamux_stream_queued(const struct yamux_stream *st)
{
	return st->queued;
}

void yamux_close(struct yamux_stream *st)
{
	if (st->closing)
		return;
	st->closing = true;
	if (!st->queued)
		stream_control(st, FLAG_FIN);
}

static void drop_first(struct yamux_stream *st)
{
	struct piece *p = TAILQ_FIRST(&st->queue);

	TAILQ_REMOVE(&st->queue, p, next);
	block_unref(p->block);
	free(p);
}

void stream_drop_queue(struct yamux_stream *st)
{
	while (!TAILQ_EMPTY(&st->queue))
		drop_first(st);
	st->y->queued -= st->queued;
	st->queued = 0;
}

static uint8_t *put_header(uint8_t *out, uint8_t type, uint16_t flags, uint32_t id,
			   uint32_t length)
{
	const uint8_t head[YAMUX_HEADER] = {
		0,
		type,
		flags >> 8,
		flags & 0xff,
		id >> 24,
		id >> 16 & 0xff,
		id >> 8 & 0xff,
		id & 0xff,
		length >> 24,
		length >> 16 & 0xff,
		length >> 8 & 0xff,
		length & 0xff,
	};

	memcpy(out, head, sizeof head);
	return out + sizeof head;
}

/* One control frame, or NULL if none waits. */
static uint8_t *put_control(struct yamux *y, uint8_t *out)
{
	struct yamux_stream *st;

	if (y->n_pongs) {
		out = put_header(out, TYPE_PING, FLAG_ACK, 0, y->pongs[0]);
		y->n_pongs--;
		memmove(y->pongs, y->pongs + 1, y->n_pongs * sizeof *y->pongs);
		return out;
	}
	if (y->ping_waits) {
		y->ping_waits = false;
		return put_header(out, TYPE_PING, FLAG_SYN, 0, y->ping_value);
	}
	/* Order among resets of streams that are gone says nothing to the peer. */
	if (y->n_resets)
		return put_header(out, TYPE_WINDOW, FLAG_RST, y->resets[--y->n_resets],
				  0);

	st = TAILQ_FIRST(&y->control);
	if (st) {
		TAILQ_REMOVE(&y->control, st, control);
		st->in_control = false;
		out = put_header(out, TYPE_WINDOW, st->flags, st->id, st->credit);
		st->credit = 0;
		st->fin_sent |= st->flags & FLAG_FIN;
		st->flags = 0;
		stream_maybe_over(st);
		return out;
	}
	return NULL;
}

/* A data frame of `st`, which is ready, in at most `room` bytes. */
static uint8_t *put_data(struct yamux_stream *st, uint8_t *out, size_t room)
{
	size_t len = room - YAMUX_HEADER;
	uint8_t *to = out + YAMUX_HEADER;

	if (len > YAMUX_FRAME_MAX)
		len = YAMUX_FRAME_MAX;
	if (len > st->send_window)
		len = st->send_window;
	if (len > st->queued)
		len = st->queued;
	st->send_window -= len;
	st->queued -= len;
	st->y->queued -= len;
	put_header(out, TYPE_DATA, 0, st->id, len);
	while (len) {
		struct piece *p = TAILQ_FIRST(&st->queue);
		size_t n = p->len < len ? p->len : len;

		memcpy(to, p->data, n);
		to += n;
		len -= n;
		p->data += n;
		p->len -= n;
		if (!p->len)
			drop_first(st);
	}

	TAILQ_REMOVE(&st->y->ready, st, ready);
	st->in_ready = false;
	stream_ready(st); /* behind the others */
	/*
	 * The FIN has a frame of its own: go-yamux looks at the flags of a frame
	 * before its data, and a reader may find the end in between.
	 */
	if (st->closing && !st->queued)
		stream_control(st, FLAG_FIN);
	if (st->full && !st->closing && st->queued < YAMUX_QUEUE_LOW) {
		st->full = false;
		st->y->events->on_drain(st->user);
	}
	return to;
}

size_t yamux_send(struct yamux *y, uint8_t *out, size_t room)
{
	uint8_t *p = out, *end = out + room, *next;
	struct yamux_stream *st;

	if (y->go_away_sent)
		return 0;
	while (end - p >= YAMUX_HEADER) {
		size_t left = end - p;

		next = put_control(y, p);
		if (next) {
			p = next;
			continue;
		}
		st = TAILQ_FIRST(&y->ready);
		if (!st || left == YAMUX_HEADER)
			break;
		/* A sliver of more is not worth its header. */
		if (left < 1024 && p > out && left < YAMUX_HEADER + st->queued)
			break;
		p = put_data(st, p, left);
	}
	/* Last of all: the frames before it still count for the peer. */
	if (y->go_away_waits && end - p >= YAMUX_HEADER) {
		p = put_header(p, TYPE_GO_AWAY, 0, 0, y->go_away_code);
		y->go_away_waits = false;
		y->go_away_sent = true;
	}
	return p - out;
}

bool yamux_pending(const struct yamux *y)
{
	return !y->go_away_sent &&
	       (y->n_pongs || y->ping_waits || y->n_resets || y->go_away_waits ||
		!TAILQ_EMPTY(&y->control) || !TAILQ_EMPTY(&y->ready));
}

void yamux_go_away(struct yamux *y, uint32_t code)
{
	if (y->go_away_waits || y->go_away_sent)
		return;
	y->go_away_waits = true;
	y->go_away_code = code;
	y->events->on_wake(y->arg);
}

void yamux_ping(struct yamux *y, uint64_t now)
{
	if (y->pinged || y->ended)
		return;
	y->pinged = now ? now : 1;
	y->ping_value++;
	y->ping_waits = true;
	y->events->on_wake(y->arg);
}
