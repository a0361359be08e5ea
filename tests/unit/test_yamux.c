/* Yamux sessions against each other, and against bytes written by hand. */
#include "net/yamux.h"
#include "store/buf.h"
#include "store/error.h"

#include <stdlib.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

/* ---- a session with a user that writes down what happens ---- */

struct side;

struct user {
	struct side *side;
	struct yamux_stream *st;
	struct buf got;
	int eofs, drains, closes, reason;
	bool pause_on_data, reset_on_data, reset_on_eof;
};

struct side {
	struct yamux *y;
	struct yamux_limits limits;
	struct yamux_budget budget;
	struct user users[2100];
	unsigned n;
	bool refuse, accept;
	bool end_on_data;
};

static struct user *user_add(struct side *s, struct yamux_stream *st)
{
	struct user *u = &s->users[s->n++];

	assert_true(s->n < sizeof s->users / sizeof *s->users);
	*u = (struct user){ .side = s, .st = st };
	return u;
}

static void on_open(void *arg, struct yamux_stream *st)
{
	struct side *s = arg;

	if (s->refuse) {
		yamux_reset(st);
		return;
	}
	yamux_set_user(st, user_add(s, st));
	if (s->accept)
		yamux_accept(st);
}

static void on_data(void *arg, const uint8_t *data, size_t len)
{
	struct user *u = arg;

	assert_int_equal(u->closes, 0);
	assert_int_equal(u->eofs, 0);
	buf_append(&u->got, data, len);
	if (u->pause_on_data)
		yamux_pause(u->st, true);
	if (u->reset_on_data) {
		yamux_reset(u->st);
		u->closes++;
	}
	if (u->side->end_on_data)
		yamux_end(u->side->y, -ECANCELED);
}

static void on_eof(void *arg)
{
	struct user *u = arg;

	u->eofs++;
	if (u->reset_on_eof) {
		yamux_reset(u->st);
		u->closes++;
	}
}

static void on_drain(void *arg)
{
	((struct user *)arg)->drains++;
}

static void on_closed(void *arg, int reason)
{
	struct user *u = arg;

	u->closes++;
	u->reason = reason;
}

static void on_wake(void *arg)
{
}

static const struct yamux_events events = {
	.on_open = on_open,
	.on_data = on_data,
	.on_eof = on_eof,
	.on_drain = on_drain,
	.on_closed = on_closed,
	.on_wake = on_wake,
};

static const struct yamux_limits limits = YAMUX_LIMITS_DEFAULT;

static struct side *side_new(bool client, const struct yamux_limits *l)
{
	struct side *s = calloc(1, sizeof *s);

	s->limits = *l;
	s->budget.max = 64u << 20;
	s->accept = true;
	const struct yamux_config cfg = {
		.client = client,
		.limits = &s->limits,
		.budget = &s->budget,
		.events = &events,
		.arg = s,
	};
	s->y = yamux_new(&cfg);
	assert_non_null(s->y);
	return s;
}

static void side_free(struct side *s)
{
	yamux_end(s->y, -ECANCELED);
	yamux_free(s->y);
	assert_int_equal(s->budget.used, 0);
	for (unsigned i = 0; i < s->n; i++) {
		assert_int_equal(s->users[i].closes, 1);
		buf_release(&s->users[i].got);
	}
	free(s);
}

static struct user *opened(struct side *s)
{
	struct user *u = user_add(s, NULL);

	assert_int_equal(yamux_open(s->y, &u->st, u), 0);
	return u;
}

/* Carry what `from` has to say to `to`, in pieces of `piece` bytes. */
static int carry(struct side *from, struct side *to, size_t piece, uint64_t now)
{
	static uint8_t bytes[65519];
	size_t n;

	while ((n = yamux_send(from->y, bytes, sizeof bytes)))
		for (size_t at = 0; at < n; at += piece) {
			/* A copy of its own shows what reads too far. */
			size_t len = n - at < piece ? n - at : piece;
			uint8_t *copy = malloc(len);
			memcpy(copy, bytes + at, len);
			int r = yamux_recv(to->y, copy, len, now);
			free(copy);
			if (r < 0)
				return r;
		}
	return 0;
}

static void settle(struct side *a, struct side *b, uint64_t now)
{
	while (yamux_pending(a->y) || yamux_pending(b->y)) {
		assert_int_equal(carry(a, b, 1 << 20, now), 0);
		assert_int_equal(carry(b, a, 1 << 20, now), 0);
	}
}

/* ---- bytes written by hand ---- */

struct head {
	uint8_t version, type;
	uint16_t flags;
	uint32_t id, length;
};

static void put(struct buf *out, struct head h)
{
	buf_u8(out, h.version);
	buf_u8(out, h.type);
	buf_u16be(out, h.flags);
	buf_u32be(out, h.id);
	buf_u32be(out, h.length);
}

enum { DATA, WINDOW, PING, GO_AWAY };
enum { SYN = 1, ACK = 2, FIN = 4, RST = 8 };

static int feed(struct side *s, struct head h)
{
	struct buf b = { 0 };

	put(&b, h);
	int r = yamux_recv(s->y, b.data, b.len, 1);
	buf_release(&b);
	return r;
}

static int feed_data(struct side *s, uint16_t flags, uint32_t id, uint32_t len)
{
	uint8_t *zeros = calloc(1, len ? len : 1);
	int r = feed(s, (struct head){ 0, DATA, flags, id, len });

	if (r >= 0)
		r = yamux_recv(s->y, zeros, len, 1);
	free(zeros);
	return r;
}

/* What the session says next is exactly these bytes. */
static void expect(struct side *s, const void *bytes, size_t len)
{
	uint8_t out[1024];

	assert_int_equal(yamux_send(s->y, out, sizeof out), len);
	assert_memory_equal(out, bytes, len);
}

static void discard(struct side *s)
{
	static uint8_t out[65519];

	while (yamux_send(s->y, out, sizeof out))
		;
}

/* ---- what should work ---- */

static void frames_are_those_of_the_specification(void **state)
{
	struct side *c = side_new(true, &limits), *s = side_new(false, &limits);
	struct user *u = opened(c);

	assert_int_equal(yamux_write(u->st, "hi", 2), 0);
	yamux_close(u->st);
	expect(c,
	       "\0\1\0\1\0\0\0\1\0\0\0\0"
	       "\0\0\0\0\0\0\0\1\0\0\0\2hi"
	       "\0\1\0\4\0\0\0\1\0\0\0\0",
	       38);
	assert_int_equal(feed(s, (struct head){ 0, WINDOW, SYN, 1, 0 }), 0);
	expect(s, "\0\1\0\2\0\0\0\1\0\0\0\0", 12);
	yamux_reset(s->users[0].st);
	s->users[0].closes++;
	expect(s, "\0\1\0\10\0\0\0\1\0\0\0\0", 12);
	yamux_ping(s->y, 5);
	expect(s, "\0\2\0\1\0\0\0\0\0\0\0\1", 12);
	assert_int_equal(feed(s, (struct head){ 0, PING, SYN, 0, 0x01020304 }), 0);
	expect(s, "\0\2\0\2\0\0\0\0\1\2\3\4", 12);
	yamux_go_away(s->y, 1);
	expect(s, "\0\3\0\0\0\0\0\0\0\0\0\1", 12);
	side_free(c);
	side_free(s);
}

static void a_stream_carries_bytes_both_ways(void **state)
{
	/* Every cut of the channel gives the same bytes. */
	for (size_t piece = 1; piece < 40; piece++) {
		struct side *c = side_new(true, &limits), *s = side_new(false, &limits);
		struct user *u = opened(c), *v;

		yamux_write(u->st, "question", 8);
		yamux_close(u->st);
		assert_int_equal(carry(c, s, piece, 1), 0);
		v = &s->users[0];
		assert_int_equal(s->n, 1);
		assert_int_equal(v->got.len, 8);
		assert_memory_equal(v->got.data, "question", 8);
		assert_int_equal(v->eofs, 1);
		assert_int_equal(v->closes, 0);
		yamux_write(v->st, "answer", 6);
		yamux_close(v->st);
		assert_int_equal(carry(s, c, piece, 1), 0);
		assert_memory_equal(u->got.data, "answer", 6);
		assert_int_equal(u->eofs, 1);
		/* Both halves are closed: it is over on both sides. */
		assert_int_equal(u->closes, 1);
		assert_int_equal(u->reason, 0);
		assert_int_equal(v->closes, 1);
		assert_int_equal(yamux_streams(c->y), 0);
		assert_int_equal(yamux_streams(s->y), 0);
		side_free(c);
		side_free(s);
	}
}

static void blocks_travel_without_a_copy(void **state)
{
	struct side *c = side_new(true, &limits), *s = side_new(false, &limits);
	struct user *u = opened(c);
	static uint8_t bytes[200000];
	struct block *b;

	for (size_t i = 0; i < sizeof bytes; i++)
		bytes[i] = (uint8_t)(i * 7 + i / 251);
	assert_int_equal(block_make(&b, bytes, sizeof bytes), 0);
	yamux_write(u->st, "head", 4);
	assert_int_equal(yamux_write_block(u->st, b, 100, 150000), 0);
	yamux_write(u->st, "tail", 4);
	block_unref(b); /* the stream has its own reference */
	assert_int_equal(yamux_stream_queued(u->st), 150008);
	settle(c, s, 1);
	struct buf *got = &s->users[0].got;
	assert_int_equal(got->len, 150008);
	assert_memory_equal(got->data, "head", 4);
	assert_memory_equal(got->data + 4, bytes + 100, 150000);
	assert_memory_equal(got->data + 150004, "tail", 4);
	side_free(c);
	side_free(s);
}

static void streams_take_turns(void **state)
{
	struct side *c = side_new(true, &limits), *s = side_new(false, &limits);
	struct user *u = opened(c), *v = opened(c);
	static uint8_t bytes[200000], out[65519];

	yamux_write(u->st, bytes, sizeof bytes);
	yamux_write(v->st, bytes, 10);
	/* The first frame is full of u; the second begins with all of v. */
	size_t n = yamux_send(c->y, out, sizeof out);
	assert_int_equal(n, sizeof out);
	yamux_recv(s->y, out, n, 1);
	assert_int_equal(s->users[0].got.len, n - 36);
	assert_int_equal(s->users[1].got.len, 0);
	n = yamux_send(c->y, out, sizeof out);
	yamux_recv(s->y, out, n, 1);
	assert_int_equal(s->users[1].got.len, 10);
	side_free(c);
	side_free(s);
}

static void a_paused_stream_holds_the_peer_back(void **state)
{
	struct side *c = side_new(true, &limits), *s = side_new(false, &limits);
	struct user *u = opened(c), *v;
	static uint8_t bytes[1 << 20];

	for (size_t i = 0; i < sizeof bytes; i++)
		bytes[i] = (uint8_t)(i / 1000);
	settle(c, s, 1);
	v = &s->users[0];
	v->pause_on_data = true;
	assert_int_equal(yamux_write(u->st, bytes, sizeof bytes), 0);
	yamux_close(u->st);
	settle(c, s, 1);
	/* Exactly the first window has left. */
	assert_int_equal(yamux_stream_queued(u->st), sizeof bytes - YAMUX_WINDOW);
	size_t before = v->got.len;
	assert_true(before > 0 && before < YAMUX_WINDOW);
	settle(c, s, 1);
	assert_int_equal(v->got.len, before);
	/* Resuming says nothing from inside the call; then all that was held. */
	yamux_pause(v->st, false);
	assert_int_equal(v->got.len, before);
	yamux_deliver(s->y);
	assert_int_equal(v->got.len, YAMUX_WINDOW);
	v->pause_on_data = false;
	yamux_pause(v->st, false);
	yamux_deliver(s->y);
	settle(c, s, 1);
	assert_int_equal(v->got.len, sizeof bytes);
	assert_memory_equal(v->got.data, bytes, sizeof bytes);
	assert_int_equal(v->eofs, 1);
	side_free(c);
	side_free(s);
}

static void the_end_waits_behind_what_is_held(void **state)
{
	struct side *c = side_new(true, &limits), *s = side_new(false, &limits);
	struct user *u = opened(c), *v;

	settle(c, s, 1);
	v = &s->users[0];
	yamux_pause(v->st, true);
	yamux_write(u->st, "last words", 10);
	yamux_close(u->st);
	yamux_close(v->st);
	settle(c, s, 1);
	assert_int_equal(u->closes, 1);
	assert_int_equal(v->got.len + v->eofs + v->closes, 0);
	yamux_pause(v->st, false);
	yamux_deliver(s->y);
	assert_int_equal(v->got.len, 10);
	assert_int_equal(v->eofs, 1);
	assert_int_equal(v->closes, 1);
	side_free(c);
	side_free(s);
}

static void a_full_queue_says_when_it_has_drained(void **state)
{
	struct side *c = side_new(true, &limits), *s = side_new(false, &limits);
	struct user *u = opened(c);
	static uint8_t bytes[YAMUX_QUEUE_HIGH];

	assert_int_equal(yamux_write(u->st, bytes, sizeof bytes), 0);
	assert_int_equal(yamux_write(u->st, bytes, 1), 1);
	assert_int_equal(carry(c, s, 1 << 20, 1), 0); /* one window */
	assert_int_equal(u->drains, 0);
	settle(c, s, 1);
	assert_int_equal(u->drains, 1);
	assert_int_equal(s->users[0].got.len, sizeof bytes + 1);
	side_free(c);
	side_free(s);
}

static void a_window_grows_when_it_is_used_up_quickly(void **state)
{
	struct side *c = side_new(true, &limits), *s = side_new(false, &limits);
	struct user *u = opened(c);
	static uint8_t bytes[8 << 20];
	size_t sent, rounds = 0;

	/* The answer to a ping takes a millisecond. */
	yamux_ping(s->y, 1000);
	assert_int_equal(carry(s, c, 1 << 20, 1000), 0);
	assert_int_equal(carry(c, s, 1 << 20, 2000), 0);
	assert_int_equal(yamux_rtt_us(s->y), 1000);
	assert_int_equal(yamux_pinged(s->y), 0);

	yamux_write(u->st, bytes, sizeof bytes);
	do {
		sent = sizeof bytes - yamux_stream_queued(u->st);
		carry(c, s, 1 << 20, 3000);
		carry(s, c, 1 << 20, 3000);
		rounds++;
	} while (yamux_stream_queued(u->st));
	/* 8 MiB in windows of 256 KiB would be 32 rounds. */
	assert_true(rounds < 8);
	assert_true(sent > 0);
	assert_true(s->budget.used > 0);
	side_free(c);

	/* A window that is used up slowly stays as it is. */
	struct side *slow = side_new(false, &limits);
	c = side_new(true, &limits);
	u = opened(c);
	yamux_ping(slow->y, 1000);
	carry(slow, c, 1 << 20, 1000);
	carry(c, slow, 1 << 20, 2000);
	yamux_write(u->st, bytes, sizeof bytes);
	for (uint64_t now = 10000; yamux_stream_queued(u->st); now += 10000) {
		carry(c, slow, 1 << 20, now);
		carry(slow, c, 1 << 20, now);
	}
	assert_true(slow->budget.used <= YAMUX_WINDOW);
	side_free(c);
	side_free(slow);
	side_free(s);
}

static void the_budget_stops_the_growth(void **state)
{
	struct side *c = side_new(true, &limits), *s = side_new(false, &limits);
	struct user *u = opened(c);
	static uint8_t bytes[8 << 20];

	s->budget.max = 300000;
	yamux_ping(s->y, 1000);
	carry(s, c, 1 << 20, 1000);
	carry(c, s, 1 << 20, 2000);
	yamux_write(u->st, bytes, sizeof bytes);
	settle(c, s, 3000);
	assert_int_equal(s->users[0].got.len, sizeof bytes);
	assert_int_equal(s->budget.used, 300000);
	side_free(c);
	side_free(s);
}

static void a_reset_ends_the_other_side(void **state)
{
	struct side *c = side_new(true, &limits), *s = side_new(false, &limits);
	struct user *u = opened(c), *w;

	yamux_write(u->st, "x", 1);
	settle(c, s, 1);
	yamux_reset(u->st);
	u->closes++;
	assert_int_equal(yamux_streams(c->y), 0);
	settle(c, s, 1);
	assert_int_equal(s->users[0].closes, 1);
	assert_int_equal(s->users[0].reason, -ECONNRESET);

	/* One that the peer has not heard of leaves no trace. */
	w = opened(c);
	yamux_write(w->st, "x", 1);
	yamux_reset(w->st);
	w->closes++;
	assert_false(yamux_pending(c->y));
	side_free(c);
	side_free(s);
}

static void streams_may_end_inside_their_events(void **state)
{
	for (int how = 0; how < 3; how++) {
		struct side *c = side_new(true, &limits), *s = side_new(false, &limits);
		struct user *u = opened(c);

		settle(c, s, 1);
		s->users[0].reset_on_data = how == 0;
		s->users[0].reset_on_eof = how == 1;
		s->end_on_data = how == 2;
		yamux_write(u->st, "12345678", 8);
		yamux_close(u->st);
		int r = carry(c, s, 3, 1);
		assert_int_equal(r, how == 2 ? -ESHUTDOWN : 0);
		assert_int_equal(yamux_streams(s->y), 0);
		side_free(c);
		side_free(s);
	}
}

static void the_end_of_the_session_ends_every_stream(void **state)
{
	struct side *c = side_new(true, &limits), *s = side_new(false, &limits);
	struct user *u = opened(c), *v = opened(c);
	struct yamux_stream *st;

	yamux_write(u->st, "x", 1);
	yamux_end(c->y, -ETIMEDOUT);
	assert_int_equal(u->reason, -ETIMEDOUT);
	assert_int_equal(v->closes, 1);
	assert_int_equal(yamux_open(c->y, &st, u), -ESHUTDOWN);
	side_free(c);
	side_free(s);
}

static void unanswered_streams_are_limited(void **state)
{
	struct side *c = side_new(true, &limits), *s = side_new(false, &limits);
	struct yamux_stream *st;

	for (unsigned i = 0; i < limits.unacked_max; i++)
		opened(c);
	assert_int_equal(yamux_open(c->y, &st, c), -EAGAIN);
	settle(c, s, 1);
	opened(c);
	side_free(c);
	side_free(s);
}

static void a_peer_that_leaves_takes_no_more_streams(void **state)
{
	struct side *c = side_new(true, &limits);
	struct yamux_stream *st;

	assert_int_equal(feed(c, (struct head){ 0, GO_AWAY, 0, 0, 0 }), 0);
	assert_true(yamux_leaving(c->y));
	assert_int_equal(yamux_open(c->y, &st, c), -ESHUTDOWN);
	assert_int_equal(feed(c, (struct head){ 0, GO_AWAY, 0, 0, 1 }), -ECONNRESET);
	side_free(c);
}

/* ---- hostile.md B-II ---- */

static void b18_a_huge_frame_is_refused_at_its_header(void **state)
{
	struct side *s = side_new(false, &limits);

	feed(s, (struct head){ 0, WINDOW, SYN, 1, 0 });
	discard(s);
	assert_int_equal(feed(s, (struct head){ 0, DATA, 0, 1, 0xffffffff }),
			 ERR_MALFORMED);
	expect(s, "\0\3\0\0\0\0\0\0\0\0\0\1", 12);
	side_free(s);
	/* The same for a stream that does not exist. */
	s = side_new(false, &limits);
	assert_int_equal(feed(s, (struct head){ 0, DATA, 0, 77, 0xffffffff }),
			 ERR_MALFORMED);
	side_free(s);
}

static void b19_too_much_with_the_syn_is_refused(void **state)
{
	struct side *s = side_new(false, &limits);

	assert_int_equal(feed(s, (struct head){ 0, DATA, SYN, 1, YAMUX_WINDOW + 1 }),
			 ERR_MALFORMED);
	side_free(s);
	s = side_new(false, &limits);
	assert_int_equal(feed_data(s, SYN, 1, YAMUX_WINDOW), 0);
	assert_int_equal(s->users[0].got.len, YAMUX_WINDOW);
	side_free(s);
	/* A refused stream does not open a hole. */
	s = side_new(false, &limits);
	s->refuse = true;
	assert_int_equal(feed(s, (struct head){ 0, DATA, SYN, 1, YAMUX_WINDOW + 1 }),
			 ERR_MALFORMED);
	side_free(s);
}

static void b20_a_window_past_32_bits_is_refused(void **state)
{
	struct side *s = side_new(false, &limits);

	feed(s, (struct head){ 0, WINDOW, SYN, 1, 0 });
	assert_int_equal(
	    feed(s, (struct head){ 0, WINDOW, 0, 1, UINT32_MAX - YAMUX_WINDOW }), 0);
	assert_int_equal(feed(s, (struct head){ 0, WINDOW, 0, 1, 1 }), ERR_MALFORMED);
	side_free(s);
}

static void b21_more_than_the_window_is_refused(void **state)
{
	struct side *s = side_new(false, &limits);

	feed(s, (struct head){ 0, WINDOW, SYN, 1, 0 });
	yamux_pause(s->users[0].st, true);
	assert_int_equal(feed_data(s, 0, 1, YAMUX_WINDOW - 1), 0);
	assert_int_equal(feed_data(s, 0, 1, 1), 0);
	assert_int_equal(feed_data(s, 0, 1, 1), ERR_MALFORMED);
	side_free(s);
}

static void b22_pings_are_answered_up_to_a_point(void **state)
{
	struct side *s = side_new(false, &limits);
	uint8_t out[4096];

	for (unsigned i = 0; i < limits.pongs_max; i++)
		assert_int_equal(feed(s, (struct head){ 0, PING, SYN, 0, i }), 0);
	assert_int_equal(feed(s, (struct head){ 0, PING, SYN, 0, 0 }), -ENOBUFS);
	assert_int_equal(yamux_send(s->y, out, sizeof out), limits.pongs_max * 12);
	side_free(s);
}

static void b23_the_queue_is_bounded(void **state)
{
	struct yamux_limits small = limits;
	static uint8_t bytes[1 << 20];

	small.queue_max = 3 << 20;
	struct side *c = side_new(true, &small);
	struct user *u = opened(c), *v = opened(c);
	assert_int_equal(yamux_write(u->st, bytes, sizeof bytes), 0);
	assert_int_equal(yamux_write(u->st, bytes, sizeof bytes), 1);
	assert_int_equal(yamux_write(v->st, bytes, sizeof bytes), 0);
	assert_int_equal(yamux_write(v->st, bytes, 1), -ENOBUFS);
	yamux_reset(u->st);
	u->closes++;
	assert_int_equal(yamux_queued(c->y), sizeof bytes);
	side_free(c);
}

static void b24_syns_are_taken_up_to_a_point(void **state)
{
	struct side *s = side_new(false, &limits);
	uint8_t out[1024];

	s->accept = false;
	for (uint32_t i = 0; i < 30000; i++)
		assert_int_equal(feed(s, (struct head){ 0, WINDOW, SYN, 2 * i + 1, 0 }),
				 0);
	assert_int_equal(yamux_streams(s->y), limits.unaccepted_max);
	/* The others hear so, and it costs four bytes each until then. */
	size_t resets = 0, acks = 0, n;
	while ((n = yamux_send(s->y, out, sizeof out)))
		for (size_t i = 0; i < n; i += 12) {
			resets += out[i + 3] == RST;
			acks += out[i + 3] == ACK;
		}
	assert_int_equal(acks, limits.unaccepted_max);
	assert_int_equal(resets, 30000 - limits.unaccepted_max);

	/* Once they are in use, more are taken, up to the next limit. */
	s->accept = true;
	for (unsigned i = 0; i < s->n; i++)
		yamux_accept(s->users[i].st);
	for (uint32_t i = 30000; i < 32000; i++)
		assert_int_equal(feed(s, (struct head){ 0, WINDOW, SYN, 2 * i + 1, 0 }),
				 0);
	assert_int_equal(yamux_streams(s->y), limits.inbound_max);

	/* A peer that does not read what it caused is dropped. */
	int r = 0;
	for (uint32_t i = 40000; i < 200000 && r == 0; i++)
		r = feed(s, (struct head){ 0, WINDOW, SYN, 2 * i + 1, 0 });
	assert_int_equal(r, -ENOBUFS);
	side_free(s);
}

static void b25_opening_and_resetting_is_slowed_down(void **state)
{
	struct yamux_limits few = limits;

	few.opens_burst = 100;
	few.opens_per_s = 10;
	struct side *s = side_new(false, &few);
	for (uint32_t i = 0; i < 5000; i++) {
		assert_int_equal(feed(s, (struct head){ 0, WINDOW, SYN, 2 * i + 1, 0 }),
				 0);
		assert_int_equal(feed(s, (struct head){ 0, WINDOW, RST, 2 * i + 1, 0 }),
				 0);
		discard(s);
	}
	assert_int_equal(s->n, 100);
	/* A second later there are ten more. */
	struct buf b = { 0 };
	for (uint32_t i = 5000; i < 5100; i++)
		put(&b, (struct head){ 0, WINDOW, SYN, 2 * i + 1, 0 });
	assert_int_equal(yamux_recv(s->y, b.data, b.len, 1000001), 0);
	assert_int_equal(s->n, 110);
	buf_release(&b);
	side_free(s);
}

static void b26_wrong_headers_end_the_session(void **state)
{
	static const struct head bad[] = {
		{ 1, DATA, 0, 1, 0 }, /* version */
		{ 0, 4, 0, 1, 0 },    /* type */
		{ 0, 255, 0, 1, 0 },
		{ 0, DATA, 16, 1, 0 }, /* flags */
		{ 0, WINDOW, 0x8000, 1, 0 },
		{ 0, WINDOW, SYN, 1, 0 }, /* open already */
		{ 0, DATA, SYN, 1, 0 },
		{ 0, WINDOW, SYN, 2, 0 }, /* our own parity */
		{ 0, WINDOW, SYN, 0, 0 }, /* stream 0 */
		{ 0, DATA, 0, 0, 5 },
		{ 0, WINDOW, 0, 0, 5 },
		{ 0, PING, 0, 0, 5 },   /* neither asked nor answered */
		{ 0, PING, SYN, 1, 5 }, /* on a stream */
		{ 0, GO_AWAY, 0, 1, 0 },
	};

	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		struct side *s = side_new(false, &limits);
		assert_int_equal(feed(s, (struct head){ 0, WINDOW, SYN, 1, 0 }), 0);
		assert_int_equal(feed(s, bad[i]), ERR_MALFORMED);
		discard(s);
		side_free(s);
	}
}

static void b26_frames_for_streams_that_are_gone_are_ignored(void **state)
{
	struct side *s = side_new(false, &limits);

	assert_int_equal(feed_data(s, 0, 9, 5000), 0);
	assert_int_equal(feed(s, (struct head){ 0, WINDOW, 0, 9, UINT32_MAX }), 0);
	assert_int_equal(feed(s, (struct head){ 0, WINDOW, FIN, 9, 0 }), 0);
	assert_int_equal(feed(s, (struct head){ 0, DATA, RST, 9, 0 }), 0);
	/* An answer to a ping that nobody asked. */
	assert_int_equal(feed(s, (struct head){ 0, PING, ACK, 0, 7 }), 0);
	assert_int_equal(yamux_rtt_us(s->y), 0);
	assert_false(yamux_pending(s->y));
	side_free(s);
}

static void b27_nothing_follows_an_end(void **state)
{
	struct side *s = side_new(false, &limits);

	feed(s, (struct head){ 0, WINDOW, SYN | FIN, 1, 0 });
	assert_int_equal(s->users[0].eofs, 1);
	assert_int_equal(feed_data(s, 0, 1, 100), 0);
	assert_int_equal(feed_data(s, FIN, 1, 0), 0);
	assert_int_equal(s->users[0].got.len, 0);
	assert_int_equal(s->users[0].eofs, 1);
	feed(s, (struct head){ 0, WINDOW, RST, 1, 0 });
	assert_int_equal(s->users[0].closes, 1);
	assert_int_equal(feed_data(s, 0, 1, 100), 0);
	assert_int_equal(feed(s, (struct head){ 0, WINDOW, 0, 1, 5 }), 0);
	assert_int_equal(s->users[0].closes, 1);
	/* Data with a RST is dropped too. */
	feed(s, (struct head){ 0, WINDOW, SYN, 3, 0 });
	assert_int_equal(feed_data(s, RST, 3, 100), 0);
	assert_int_equal(s->users[1].got.len, 0);
	assert_int_equal(s->users[1].closes, 1);
	side_free(s);
}

static void b28_an_unread_stream_stalls_alone(void **state)
{
	struct side *c = side_new(true, &limits), *s = side_new(false, &limits);
	struct user *u = opened(c), *v = opened(c);
	static uint8_t bytes[1 << 20];

	settle(c, s, 1);
	yamux_pause(s->users[0].st, true);
	yamux_write(u->st, bytes, sizeof bytes);
	yamux_write(v->st, bytes, sizeof bytes);
	settle(c, s, 1);
	assert_int_equal(s->users[0].got.len, 0);
	assert_int_equal(s->users[1].got.len, sizeof bytes);
	assert_int_equal(yamux_stream_queued(u->st), sizeof bytes - YAMUX_WINDOW);
	side_free(c);
	side_free(s);
}

static void ids_of_a_side_grow_by_two(void **state)
{
	struct side *c = side_new(true, &limits);
	struct user *u = opened(c);

	/* The client's own ids are odd and grow by two. */
	struct user *v = opened(c);
	expect(c,
	       "\0\1\0\1\0\0\0\1\0\0\0\0"
	       "\0\1\0\1\0\0\0\3\0\0\0\0",
	       24);
	assert_ptr_not_equal(u->st, v->st);
	side_free(c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(frames_are_those_of_the_specification),
		cmocka_unit_test(a_stream_carries_bytes_both_ways),
		cmocka_unit_test(blocks_travel_without_a_copy),
		cmocka_unit_test(streams_take_turns),
		cmocka_unit_test(a_paused_stream_holds_the_peer_back),
		cmocka_unit_test(the_end_waits_behind_what_is_held),
		cmocka_unit_test(a_full_queue_says_when_it_has_drained),
		cmocka_unit_test(a_window_grows_when_it_is_used_up_quickly),
		cmocka_unit_test(the_budget_stops_the_growth),
		cmocka_unit_test(a_reset_ends_the_other_side),
		cmocka_unit_test(streams_may_end_inside_their_events),
		cmocka_unit_test(the_end_of_the_session_ends_every_stream),
		cmocka_unit_test(unanswered_streams_are_limited),
		cmocka_unit_test(a_peer_that_leaves_takes_no_more_streams),
		cmocka_unit_test(b18_a_huge_frame_is_refused_at_its_header),
		cmocka_unit_test(b19_too_much_with_the_syn_is_refused),
		cmocka_unit_test(b20_a_window_past_32_bits_is_refused),
		cmocka_unit_test(b21_more_than_the_window_is_refused),
		cmocka_unit_test(b22_pings_are_answered_up_to_a_point),
		cmocka_unit_test(b23_the_queue_is_bounded),
		cmocka_unit_test(b24_syns_are_taken_up_to_a_point),
		cmocka_unit_test(b25_opening_and_resetting_is_slowed_down),
		cmocka_unit_test(b26_wrong_headers_end_the_session),
		cmocka_unit_test(b26_frames_for_streams_that_are_gone_are_ignored),
		cmocka_unit_test(b27_nothing_follows_an_end),
		cmocka_unit_test(b28_an_unread_stream_stalls_alone),
		cmocka_unit_test(ids_of_a_side_grow_by_two),
	};
	return cmocka_run_group_tests_name("yamux", tests, NULL, NULL);
}
