/* Swarms over loopback in one process, and raw sockets that mean harm. */
#include "net/swarm_internal.h"
#include "store/error.h"

#include <fcntl.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#define GUARD 20000 /* ms until a test has hung */

static const char echo[] = "/test/echo/1.0.0";
static const char sink[] = "/test/sink/1.0.0";
static const char nobody[] = "/test/nobody/1.0.0";

/* ---- a world of swarms on one loop ---- */

struct world {
	uv_loop_t loop;
	uv_timer_t guard;
	bool hung;
	struct swarm_limits limits;
	struct swarm *swarms[32];
	int n;
};

static void on_guard(uv_timer_t *t)
{
	struct world *w = t->data;

	w->hung = true;
	uv_stop(&w->loop);
}

static struct world *world_new(void)
{
	struct world *w = calloc(1, sizeof *w);

	assert_true(sodium_init() >= 0);
	uv_loop_init(&w->loop);
	uv_timer_init(&w->loop, &w->guard);
	w->guard.data = w;
	uv_timer_start(&w->guard, on_guard, GUARD, 0);
	uv_unref((uv_handle_t *)&w->guard);
	w->limits = swarm_limits_default;
	w->limits.tick = 10;
	w->limits.push_gather = 20;
	return w;
}

/* Run until *flag is set. */
static void wait_for(struct world *w, const int *flag)
{
	while (!*flag && !w->hung)
		uv_run(&w->loop, UV_RUN_ONCE);
	assert_false(w->hung);
}

static void on_freed(void *arg)
{
	++*(int *)arg;
}

static void world_free(struct world *w)
{
	int freed = 0;

	for (int i = 0; i < w->n; i++)
		if (w->swarms[i])
			swarm_free(w->swarms[i], on_freed, &freed);
		else
			freed++;
	while (freed < w->n && !w->hung)
		uv_run(&w->loop, UV_RUN_ONCE);
	assert_false(w->hung);
	uv_close((uv_handle_t *)&w->guard, NULL);
	uv_run(&w->loop, UV_RUN_DEFAULT);
	assert_int_equal(uv_loop_close(&w->loop), 0);
	free(w);
}

static struct swarm *swarm_add(struct world *w)
{
	struct secret_key key;
	struct swarm *s;
	struct addr any;

	key_generate(&key);
	const struct swarm_config cfg = { .loop = &w->loop,
					  .key = &key,
					  .agent = "test/1" };
	assert_int_equal(swarm_new_limited(&s, &cfg, &w->limits), 0);
	assert_int_equal(addr_parse(&any, "/ip4/127.0.0.1/tcp/0"), 0);
	assert_int_equal(swarm_listen(s, &any), 0);
	w->swarms[w->n++] = s;
	return s;
}

static void forget(struct world *w, const struct swarm *s)
{
	for (int i = 0; i < w->n; i++)
		if (w->swarms[i] == s)
			w->swarms[i] = NULL;
}

static struct addr addr_of(struct swarm *s)
{
	struct addr a;

	assert_int_equal(swarm_addrs(s, &a, 1), 1);
	return a;
}

/* A result that comes once. */
struct answer {
	int come, result;
	struct peer_id peer;
	struct stream *st;
	uint64_t rtt;
};

static void on_connect(void *arg, int result)
{
	struct answer *a = arg;

	a->come++;
	a->result = result;
}

static void on_connect_addr(void *arg, int result, const struct peer_id *peer)
{
	struct answer *a = arg;

	on_connect(arg, result);
	a->peer = *peer;
}

static void on_rtt(void *arg, int result, uint64_t rtt)
{
	struct answer *a = arg;

	on_connect(arg, result);
	a->rtt = rtt;
}

static int connect_to(struct world *w, struct swarm *a, struct swarm *b)
{
	struct answer got = { 0 };
	struct addr at = addr_of(b);

	swarm_connect(a, swarm_self(b), &at, 1, on_connect, &got);
	assert_int_equal(got.come, 0); /* never from inside the call */
	wait_for(w, &got.come);
	assert_int_equal(got.come, 1);
	return got.result;
}

/* ---- a stream that writes down what happens ---- */

struct pipe {
	struct stream *st;
	struct swarm *s;
	struct buf got;
	size_t received;
	uint64_t sum;
	int opened, result, eofs, drains, closed, reason;
	bool echoes, keeps;
};

static void pipe_data(void *arg, const uint8_t *data, size_t len)
{
	struct pipe *p = arg;

	assert_int_equal(p->closed, 0);
	for (size_t i = 0; i < len; i++)
		p->sum = p->sum * 31 + data[i];
	p->received += len;
	if (p->keeps)
		buf_append(&p->got, data, len);
	if (p->echoes)
		stream_write(p->st, data, len);
}

static void pipe_eof(void *arg)
{
	struct pipe *p = arg;

	p->eofs++;
	if (p->echoes)
		stream_close(p->st);
}

static void pipe_drain(void *arg)
{
	struct pipe *p = arg;

	p->drains++;
}

static void pipe_closed(void *arg, int reason)
{
	struct pipe *p = arg;

	p->closed++;
	p->reason = reason;
	p->st = NULL;
}

static const struct stream_events pipe_events = {
	.on_data = pipe_data,
	.on_eof = pipe_eof,
	.on_drain = pipe_drain,
	.on_closed = pipe_closed,
};

static void pipe_opened(void *arg, struct stream *st, int result)
{
	struct pipe *p = arg;

	assert_int_equal(p->opened, 0);
	p->opened++;
	p->result = result;
	p->st = st;
	if (st)
		stream_on(st, &pipe_events, p);
}

/* Serves one stream after another with the same pipe. */
static void on_serve(void *arg, struct stream *st)
{
	struct pipe *p = arg;

	p->opened++;
	p->st = st;
	stream_on(st, &pipe_events, p);
}

static void open_pipe(struct world *w, struct pipe *p, struct swarm *from,
		      struct swarm *to, const char *protocol)
{
	const char *const offers[] = { protocol, NULL };

	p->keeps = true;
	stream_open(from, swarm_self(to), offers, pipe_opened, p);
	assert_int_equal(p->opened, 0);
	wait_for(w, &p->opened);
}

static void pipe_release(struct pipe *p)
{
	buf_release(&p->got);
}

/* ---- what should work ---- */

static void two_swarms_connect_and_identify(void **state)
{
	struct world *w = world_new();
	struct swarm *a = swarm_add(w), *b = swarm_add(w);
	struct conn_info info;
	struct addr at, known[4];

	swarm_serve(b, echo, on_serve, NULL);
	assert_false(swarm_connected(a, swarm_self(b)));
	assert_int_equal(connect_to(w, a, b), 0);
	assert_true(swarm_connected(a, swarm_self(b)));
	assert_true(swarm_peer_speaks(a, swarm_self(b), echo));
	assert_true(swarm_peer_speaks(a, swarm_self(b), "/ipfs/ping/1.0.0"));
	assert_false(swarm_peer_speaks(a, swarm_self(b), nobody));
	assert_int_equal(swarm_conns(a, &info, 1), 1);
	assert_true(peer_equal(&info.peer, swarm_self(b)));
	assert_false(info.inbound);
	assert_string_equal(info.agent, "test/1");
	/* It signed where it listens, and that is in the address book. */
	at = addr_of(b);
	assert_int_equal(swarm_lookup(a, swarm_self(b), known, 4), 1);
	assert_true(addr_equal(&known[0], &at));
	/* A second connect is answered at once. */
	assert_int_equal(connect_to(w, a, b), 0);
	assert_int_equal(swarm_conns(a, &info, 1), 1);
	world_free(w);
}

static void a_stream_echoes(void **state)
{
	struct world *w = world_new();
	struct swarm *a = swarm_add(w), *b = swarm_add(w);
	struct pipe p = { 0 }, q = { .echoes = true };

	swarm_serve(b, echo, on_serve, &q);
	assert_int_equal(connect_to(w, a, b), 0);
	open_pipe(w, &p, a, b, echo);
	assert_int_equal(p.result, 0);
	assert_string_equal(stream_protocol(p.st), echo);
	assert_true(peer_equal(stream_peer(p.st), swarm_self(b)));
	assert_int_equal(stream_write(p.st, "hello", 5), 0);
	stream_close(p.st);
	assert_int_equal(stream_write(p.st, "more", 4), -EPIPE);
	wait_for(w, &p.closed);
	assert_int_equal(p.reason, 0);
	assert_int_equal(p.eofs, 1);
	assert_int_equal(p.got.len, 5);
	assert_memory_equal(p.got.data, "hello", 5);
	wait_for(w, &q.closed);
	assert_int_equal(q.reason, 0);
	pipe_release(&p);
	world_free(w);
}

static void an_unserved_protocol_is_refused(void **state)
{
	struct world *w = world_new();
	struct swarm *a = swarm_add(w), *b = swarm_add(w);
	struct pipe p = { 0 }, q = { 0 }, served = { .echoes = true };
	static const char *const both[] = { nobody, echo, NULL };

	swarm_serve(b, echo, on_serve, &served);
	assert_int_equal(connect_to(w, a, b), 0);
	open_pipe(w, &p, a, b, nobody);
	assert_null(p.st);
	assert_int_equal(p.result, -EPROTONOSUPPORT);
	/* Of several the first that it speaks is taken. */
	stream_open(a, swarm_self(b), both, pipe_opened, &q);
	wait_for(w, &q.opened);
	assert_int_equal(q.result, 0);
	assert_string_equal(stream_protocol(q.st), echo);
	stream_reset(q.st);
	wait_for(w, &served.closed);
	assert_int_equal(served.reason, -ECONNRESET);
	world_free(w);
}

static void a_protocol_is_agreed_on_before_identify_has_told(void **state)
{
	struct world *w = world_new();
	struct swarm *a = swarm_add(w), *b = swarm_add(w);
	struct pipe p = { .keeps = true }, served = { .echoes = true };
	static const char *const both[] = { nobody, echo, NULL };
	struct addr at = addr_of(b);

	/* The stream is asked for first, so it finds the address in the book only. */
	swarm_serve(b, echo, on_serve, &served);
	swarm_learn(a, swarm_self(b), &at, 1);
	stream_open(a, swarm_self(b), both, pipe_opened, &p);
	wait_for(w, &p.opened);
	assert_int_equal(p.result, 0);
	assert_string_equal(stream_protocol(p.st), echo);
	stream_write(p.st, "abc", 3);
	stream_close(p.st);
	wait_for(w, &p.closed);
	assert_int_equal(p.got.len, 3);
	pipe_release(&p);
	world_free(w);
}

static void what_is_no_longer_served_is_refused_late(void **state)
{
	struct world *w = world_new();
	struct swarm *a, *b;
	struct pipe p = { 0 };

	w->limits.push_gather = 100000; /* a goes on to believe what b said first */
	a = swarm_add(w);
	b = swarm_add(w);
	swarm_serve(b, echo, on_serve, NULL);
	assert_int_equal(connect_to(w, a, b), 0);
	swarm_unserve(b, echo);
	open_pipe(w, &p, a, b, echo);
	assert_int_equal(p.result, 0);
	wait_for(w, &p.closed);
	assert_int_equal(p.reason, -EPROTONOSUPPORT);
	pipe_release(&p);
	world_free(w);
}

static void another_peer_at_the_address_is_an_error(void **state)
{
	struct world *w = world_new();
	struct swarm *a = swarm_add(w), *b = swarm_add(w), *c = swarm_add(w);
	struct addr at = addr_of(c), known[4];
	struct answer got = { 0 };

	swarm_connect(a, swarm_self(b), &at, 1, on_connect, &got);
	wait_for(w, &got.come);
	assert_int_equal(got.result, ERR_CORRUPT);
	assert_false(swarm_connected(a, swarm_self(b)));
	assert_false(swarm_connected(a, swarm_self(c)));
	/* B11: the address is not taken for either's. */
	assert_int_equal(swarm_lookup(a, swarm_self(b), known, 4), 0);
	assert_int_equal(swarm_lookup(a, swarm_self(c), known, 4), 0);
	world_free(w);
}

static void whoever_answers_at_an_address_is_told(void **state)
{
	struct world *w = world_new();
	struct swarm *a = swarm_add(w), *b = swarm_add(w);
	struct addr at = addr_of(b), own = addr_of(a);
	struct answer got = { 0 }, again = { 0 }, self = { 0 };

	swarm_connect_addr(a, &at, on_connect_addr, &got);
	wait_for(w, &got.come);
	assert_int_equal(got.result, 0);
	assert_true(peer_equal(&got.peer, swarm_self(b)));
	assert_int_equal(addr_add_peer(&at, swarm_self(b)), 0);
	swarm_connect_addr(a, &at, on_connect_addr, &again);
	wait_for(w, &again.come);
	assert_int_equal(again.result, 0);
	swarm_connect_addr(a, &own, on_connect_addr, &self);
	wait_for(w, &self.come);
	assert_true(self.result < 0);
	world_free(w);
}

static void nobody_there_is_an_error(void **state)
{
	struct world *w = world_new();
	struct swarm *a = swarm_add(w), *b = swarm_add(w);
	struct peer_id gone = *swarm_self(b);
	struct addr at = addr_of(b);
	struct answer none = { 0 }, refused = { 0 }, backed = { 0 }, insisted = { 0 };
	struct pipe p = { 0 };
	int freed = 0;

	swarm_connect(a, &gone, NULL, 0, on_connect, &none);
	wait_for(w, &none.come);
	assert_int_equal(none.result, -EHOSTUNREACH);

	swarm_free(b, on_freed, &freed);
	forget(w, b);
	wait_for(w, &freed);
	swarm_learn(a, &gone, &at, 1);
	swarm_connect(a, &gone, NULL, 0, on_connect, &refused);
	wait_for(w, &refused.come);
	assert_int_equal(refused.result, -ECONNREFUSED);
	/* For a while that is the answer without another try. */
	swarm_connect(a, &gone, NULL, 0, on_connect, &backed);
	assert_null(remote_find(a, &gone));
	wait_for(w, &backed.come);
	assert_int_equal(backed.result, -ECONNREFUSED);
	/* Unless somebody insists. */
	swarm_connect(a, &gone, &at, 1, on_connect, &insisted);
	assert_non_null(remote_find(a, &gone)->dial);
	wait_for(w, &insisted.come);
	assert_int_equal(insisted.result, -ECONNREFUSED);

	const char *const offers[] = { echo, NULL };
	stream_open(a, &gone, offers, pipe_opened, &p);
	wait_for(w, &p.opened);
	assert_int_equal(p.result, -ECONNREFUSED);
	/* Nothing is remembered of a peer that nobody waits for. */
	assert_null(remote_find(a, &gone));
	world_free(w);
}

static void a_ping_is_timed(void **state)
{
	struct world *w = world_new();
	struct swarm *a = swarm_add(w), *b = swarm_add(w);
	struct addr at = addr_of(b);
	struct answer got[5] = { 0 };

	swarm_learn(a, swarm_self(b), &at, 1);
	for (int i = 0; i < 5; i++) {
		swarm_ping(a, swarm_self(b), on_rtt, &got[i]);
		assert_int_equal(got[i].come, 0);
		wait_for(w, &got[i].come);
		assert_int_equal(got[i].result, 0);
		assert_true(got[i].rtt > 0 && got[i].rtt < GUARD * 1000ull);
	}
	struct conn_info info;
	assert_int_equal(swarm_conns(a, &info, 1), 1);
	assert_true(info.rtt_us > 0);
	world_free(w);
}

struct watched {
	int identified, gone;
	struct peer_id last;
};

static void on_identified(void *arg, const struct peer_id *p)
{
	struct watched *n = arg;

	n->identified++;
	n->last = *p;
}

static void on_disconnected(void *arg, const struct peer_id *p)
{
	((struct watched *)arg)->gone++;
}

static void watchers_hear_of_peers_and_their_changes(void **state)
{
	struct world *w = world_new();
	struct swarm *a = swarm_add(w), *b = swarm_add(w);
	struct watched n = { 0 };
	const struct swarm_watch watch = { on_identified, on_disconnected, &n };

	swarm_watch(a, &watch);
	assert_int_equal(connect_to(w, a, b), 0);
	assert_int_equal(n.identified, 1);
	assert_true(peer_equal(&n.last, swarm_self(b)));
	assert_false(swarm_peer_speaks(a, swarm_self(b), sink));
	/* A change is pushed. */
	swarm_serve(b, sink, on_serve, NULL);
	n.identified = 0;
	wait_for(w, &n.identified);
	assert_true(swarm_peer_speaks(a, swarm_self(b), sink));
	swarm_unserve(b, sink);
	n.identified = 0;
	wait_for(w, &n.identified);
	assert_false(swarm_peer_speaks(a, swarm_self(b), sink));
	swarm_disconnect(b, swarm_self(a));
	wait_for(w, &n.gone);
	assert_int_equal(n.gone, 1);
	assert_false(swarm_connected(a, swarm_self(b)));
	assert_false(swarm_peer_speaks(a, swarm_self(b), "/ipfs/id/1.0.0"));
	world_free(w);
}

static void both_may_dial_at_once(void **state)
{
	/* Who is first differs from round to round; that both succeed does not. */
	for (int round = 0; round < 5; round++) {
		struct world *w = world_new();
		struct swarm *a = swarm_add(w), *b = swarm_add(w);
		struct addr at_a = addr_of(a), at_b = addr_of(b);
		struct answer x = { 0 }, y = { 0 };
		struct pipe p = { 0 }, q = { 0 }, served = { .echoes = true };

		swarm_serve(a, echo, on_serve, &served);
		swarm_serve(b, echo, on_serve, &served);
		swarm_connect(a, swarm_self(b), &at_b, 1, on_connect, &x);
		swarm_connect(b, swarm_self(a), &at_a, 1, on_connect, &y);
		wait_for(w, &x.come);
		wait_for(w, &y.come);
		assert_int_equal(x.result, 0);
		assert_int_equal(y.result, 0);
		open_pipe(w, &p, a, b, echo);
		assert_int_equal(p.result, 0);
		stream_close(p.st);
		wait_for(w, &p.closed);
		assert_int_equal(p.reason, 0);
		open_pipe(w, &q, b, a, echo);
		assert_int_equal(q.result, 0);
		stream_close(q.st);
		wait_for(w, &q.closed);
		assert_int_equal(q.reason, 0);
		/* Two requests for one peer are one dial. */
		struct conn_info info[8];
		assert_in_range(swarm_conns(a, info, 8), 1, 2);
		world_free(w);
	}
}

static void of_two_connections_the_unused_one_goes(void **state)
{
	struct world *w = world_new();
	struct swarm *a, *b;
	struct pipe p = { 0 }, served = { .echoes = true };
	struct conn_info info[8];

	w->limits.extra_idle = 30;
	a = swarm_add(w);
	b = swarm_add(w);
	swarm_serve(b, echo, on_serve, &served);
	/* Dial by address alone: nobody knows yet that it is the same peer. */
	struct addr at = addr_of(b);
	struct answer x = { 0 }, y = { 0 };
	swarm_connect_addr(a, &at, on_connect_addr, &x);
	swarm_connect_addr(a, &at, on_connect_addr, &y);
	wait_for(w, &x.come);
	wait_for(w, &y.come);
	assert_int_equal(x.result, 0);
	assert_int_equal(y.result, 0);
	assert_int_equal(swarm_conns(a, info, 8), 2);
	open_pipe(w, &p, a, b, echo);
	assert_int_equal(p.result, 0);
	while (swarm_conns(a, info, 8) > 1 && !w->hung)
		uv_run(&w->loop, UV_RUN_ONCE);
	/* The stream lives on, on the other one. */
	stream_write(p.st, "still here", 10);
	stream_close(p.st);
	wait_for(w, &p.closed);
	assert_int_equal(p.reason, 0);
	assert_int_equal(p.got.len, 10);
	pipe_release(&p);
	world_free(w);
}

static void many_may_call_one_at_once(void **state)
{
	struct world *w = world_new();
	struct swarm *hub = swarm_add(w);
	struct addr at = addr_of(hub);
	struct answer got[20] = { 0 };

	/* More than may be half open: the rest comes again a little later. */
	for (int i = 0; i < 20; i++)
		swarm_connect(swarm_add(w), swarm_self(hub), &at, 1, on_connect, &got[i]);
	for (int i = 0; i < 20; i++) {
		wait_for(w, &got[i].come);
		assert_int_equal(got[i].result, 0);
	}
	struct swarm_stat stat;
	swarm_stat(hub, &stat);
	assert_int_equal(stat.conns, 20);
	world_free(w);
}

static void more_streams_than_may_be_unanswered_wait_their_turn(void **state)
{
	struct world *w = world_new();
	struct swarm *a = swarm_add(w), *b = swarm_add(w);
	static struct pipe p[700];
	struct pipe served = { .echoes = true };
	const char *const offers[] = { echo, NULL };

	memset(p, 0, sizeof p);
	swarm_serve(b, echo, on_serve, &served);
	assert_int_equal(connect_to(w, a, b), 0);
	for (int i = 0; i < 700; i++)
		stream_open(a, swarm_self(b), offers, pipe_opened, &p[i]);
	for (int i = 0; i < 700; i++) {
		wait_for(w, &p[i].opened);
		assert_int_equal(p[i].result, 0);
	}
	world_free(w);
	for (int i = 0; i < 700; i++)
		assert_int_equal(p[i].closed, 1);
}

/* ---- bulk ---- */

struct bulk {
	struct stream *st;
	struct block *block;
	size_t left;
	uint64_t sum;
	int closed;
};

static void bulk_pump(void *arg)
{
	struct bulk *b = arg;

	while (b->left) {
		size_t n = b->block->size < b->left ? b->block->size : b->left;
		for (size_t i = 0; i < n; i++)
			b->sum = b->sum * 31 + b->block->data[i];
		b->left -= n;
		if (stream_write_block(b->st, b->block, 0, n) != 0)
			return;
	}
	stream_close(b->st);
}

static void bulk_closed(void *arg, int reason)
{
	((struct bulk *)arg)->closed++;
}

static void on_bulk(void *arg, struct stream *st)
{
	static const struct stream_events events = {
		.on_drain = bulk_pump,
		.on_closed = bulk_closed,
	};
	struct bulk *b = arg;

	b->st = st;
	stream_on(st, &events, b);
	bulk_pump(b);
}

static struct block *random_block(size_t len)
{
	uint8_t *bytes = malloc(len);
	struct block *b;

	randombytes_buf(bytes, len);
	assert_int_equal(block_make(&b, bytes, len), 0);
	free(bytes);
	return b;
}

static void a_lot_of_data_arrives_as_it_was_through_pauses(void **state)
{
	struct world *w = world_new();
	struct swarm *a = swarm_add(w), *b = swarm_add(w);
	struct bulk bulk = { .block = random_block(300000), .left = 64 << 20 };
	struct pipe p = { 0 };
	size_t next = 0;
	int pauses = 0;

	swarm_serve(b, sink, on_bulk, &bulk);
	assert_int_equal(connect_to(w, a, b), 0);
	open_pipe(w, &p, a, b, sink);
	p.keeps = false;
	while (!p.eofs && !w->hung) {
		uv_run(&w->loop, UV_RUN_ONCE);
		if (p.received < next || p.eofs)
			continue;
		/* While it is paused nothing comes, however long the loop runs. */
		size_t before = p.received;
		stream_pause(p.st, true);
		for (int i = 0; i < 20; i++)
			uv_run(&w->loop, UV_RUN_NOWAIT);
		assert_int_equal(p.received, before);
		stream_pause(p.st, false);
		assert_int_equal(p.received, before);
		next = before + (8 << 20);
		pauses++;
	}
	assert_false(w->hung);
	assert_int_equal(p.received, 64 << 20);
	assert_true(p.sum == bulk.sum);
	assert_true(pauses > 4);
	stream_close(p.st);
	wait_for(w, &bulk.closed);
	block_unref(bulk.block);
	world_free(w);
}

static void a_peer_that_dies_in_the_middle_ends_the_stream(void **state)
{
	struct world *w = world_new();
	struct swarm *a = swarm_add(w), *b = swarm_add(w);
	struct bulk bulk = { .block = random_block(300000), .left = 64 << 20 };
	struct pipe p = { 0 };
	int freed = 0;

	swarm_serve(b, sink, on_bulk, &bulk);
	assert_int_equal(connect_to(w, a, b), 0);
	open_pipe(w, &p, a, b, sink);
	p.keeps = false;
	while (p.received < 1 << 20 && !w->hung)
		uv_run(&w->loop, UV_RUN_ONCE);
	swarm_free(b, on_freed, &freed);
	forget(w, b);
	wait_for(w, &freed);
	wait_for(w, &p.closed);
	assert_int_equal(p.reason, -ECONNRESET);
	assert_int_equal(p.eofs, 0);
	assert_int_equal(bulk.closed, 1);
	block_unref(bulk.block);
	world_free(w);
}

static void a_stream_without_traffic_times_out(void **state)
{
	struct world *w = world_new();
	struct swarm *a = swarm_add(w), *b = swarm_add(w);
	struct pipe p = { 0 }, served = { 0 };

	swarm_serve(b, sink, on_serve, &served);
	assert_int_equal(connect_to(w, a, b), 0);
	open_pipe(w, &p, a, b, sink);
	stream_timeout(p.st, 50);
	stream_write(p.st, "x", 1);
	wait_for(w, &p.closed);
	assert_int_equal(p.reason, -ETIMEDOUT);
	wait_for(w, &served.closed);
	assert_int_equal(served.received, 1);
	world_free(w);
}

/* ---- the end, and limits ---- */

static void freeing_answers_everybody_who_waits(void **state)
{
	struct world *w = world_new();
	struct swarm *a = swarm_add(w), *b = swarm_add(w);
	struct addr at = addr_of(b), silent;
	struct answer dialling = { 0 }, talking = { 0 }, late = { 0 };
	struct pipe p = { 0 }, q = { 0 };
	const char *const offers[] = { echo, NULL };
	int freed = 0;

	/* A socket that accepts and says nothing. */
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	struct sockaddr_in sa = { .sin_family = AF_INET,
				  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof sa;
	assert_int_equal(bind(fd, (struct sockaddr *)&sa, sizeof sa), 0);
	assert_int_equal(listen(fd, 4), 0);
	getsockname(fd, (struct sockaddr *)&sa, &len);
	addr_of_sockaddr(&silent, (struct sockaddr *)&sa);

	struct peer_id stranger = *swarm_self(b);
	stranger.bytes[stranger.len - 1] ^= 1;
	swarm_connect(a, &stranger, &silent, 1, on_connect, &dialling);
	stream_open(a, &stranger, offers, pipe_opened, &p);
	swarm_connect(a, swarm_self(b), &at, 1, on_connect, &talking);
	for (int i = 0; i < 3; i++)
		uv_run(&w->loop, UV_RUN_NOWAIT);
	swarm_free(a, on_freed, &freed);
	forget(w, a);
	assert_int_equal(freed, 0);
	stream_open(a, swarm_self(b), offers, pipe_opened, &q);
	swarm_connect(a, swarm_self(b), &at, 1, on_connect, &late);
	wait_for(w, &freed);
	assert_int_equal(dialling.come, 1);
	assert_int_equal(dialling.result, -ECANCELED);
	assert_int_equal(p.opened, 1);
	assert_int_equal(p.result, -ECANCELED);
	assert_int_equal(talking.come, 1);
	assert_int_equal(q.opened, 1);
	assert_int_equal(q.result, -ECANCELED);
	assert_int_equal(late.come, 1);
	close(fd);
	world_free(w);
}

static void a_silent_address_does_not_hold_up_a_good_one(void **state)
{
	struct world *w = world_new();
	struct swarm *a, *b;
	struct addr at[2];
	struct answer got = { 0 };

	w->limits.stagger = 20;
	a = swarm_add(w);
	b = swarm_add(w);
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	struct sockaddr_in sa = { .sin_family = AF_INET,
				  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof sa;
	assert_int_equal(bind(fd, (struct sockaddr *)&sa, sizeof sa), 0);
	assert_int_equal(listen(fd, 4), 0);
	getsockname(fd, (struct sockaddr *)&sa, &len);
	addr_of_sockaddr(&at[0], (struct sockaddr *)&sa);
	at[1] = addr_of(b);
	uint64_t start = uv_hrtime();
	swarm_connect(a, swarm_self(b), at, 2, on_connect, &got);
	wait_for(w, &got.come);
	assert_int_equal(got.result, 0);
	/* Well before the silent one was given up. */
	assert_true(uv_hrtime() - start < w->limits.dial_private * 1000000 / 2);
	close(fd);
	world_free(w);
}

static void a_silent_address_is_given_up(void **state)
{
	struct world *w = world_new();
	struct swarm *a;
	struct addr at;
	struct answer got = { 0 };
	struct peer_id p;

	w->limits.dial_private = 50;
	a = swarm_add(w);
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	struct sockaddr_in sa = { .sin_family = AF_INET,
				  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof sa;
	assert_int_equal(bind(fd, (struct sockaddr *)&sa, sizeof sa), 0);
	assert_int_equal(listen(fd, 4), 0);
	getsockname(fd, (struct sockaddr *)&sa, &len);
	addr_of_sockaddr(&at, (struct sockaddr *)&sa);
	p = *swarm_self(a);
	p.bytes[p.len - 1] ^= 1;
	swarm_connect(a, &p, &at, 1, on_connect, &got);
	wait_for(w, &got.come);
	assert_int_equal(got.result, -ETIMEDOUT);
	close(fd);
	world_free(w);
}

static void idle_connections_over_the_limit_are_trimmed(void **state)
{
	struct world *w = world_new();
	struct swarm *hub, *others[8];
	struct swarm_stat stat;
	struct pipe p = { 0 }, served = { 0 };

	w->limits.conns_high = 6;
	w->limits.conns_low = 4;
	w->limits.grace = 1;
	hub = swarm_add(w);
	w->limits = swarm_limits_default;
	for (int i = 0; i < 6; i++) {
		others[i] = swarm_add(w);
		assert_int_equal(connect_to(w, others[i], hub), 0);
	}
	/* The oldest is protected, the next one in use. */
	swarm_protect(hub, swarm_self(others[0]), true);
	swarm_serve(hub, sink, on_serve, &served);
	open_pipe(w, &p, others[1], hub, sink);
	stream_write(p.st, "x", 1);
	wait_for(w, &served.opened);
	others[6] = swarm_add(w);
	assert_int_equal(connect_to(w, others[6], hub), 0);
	do {
		uv_run(&w->loop, UV_RUN_ONCE);
		swarm_stat(hub, &stat);
	} while (stat.conns > 4 && !w->hung);
	assert_int_equal(stat.conns, 4);
	assert_true(swarm_connected(hub, swarm_self(others[0])));
	assert_true(swarm_connected(hub, swarm_self(others[1])));
	swarm_protect(hub, swarm_self(others[0]), false);
	stream_reset(p.st);
	world_free(w);
}

static void b4_over_the_limit_only_protected_peers_come_in(void **state)
{
	struct world *w = world_new();
	struct swarm *hub, *old, *friend, *other;
	struct addr at;
	struct answer x = { 0 };
	struct pipe p = { 0 }, served = { .echoes = true };

	w->limits.conns_max = 1;
	hub = swarm_add(w);
	w->limits = swarm_limits_default;
	w->limits.tick = 10;
	old = swarm_add(w);
	friend = swarm_add(w);
	other = swarm_add(w);
	at = addr_of(hub);
	swarm_serve(hub, echo, on_serve, &served);
	swarm_protect(hub, swarm_self(friend), true);
	assert_int_equal(connect_to(w, old, hub), 0);
	/* The dialler of a refused connection finds itself hung up on. */
	swarm_connect(other, swarm_self(hub), &at, 1, on_connect, &x);
	wait_for(w, &x.come);
	assert_false(swarm_connected(hub, swarm_self(other)));
	assert_int_equal(connect_to(w, friend, hub), 0);
	assert_true(swarm_connected(hub, swarm_self(friend)));
	/* The old one has felt nothing. */
	open_pipe(w, &p, old, hub, echo);
	stream_close(p.st);
	wait_for(w, &p.closed);
	assert_int_equal(p.reason, 0);
	world_free(w);
}

static void b29_a_peer_that_vanished_is_noticed(void **state)
{
	struct world *w = world_new(), *frozen = world_new();
	struct swarm *a, *b;
	struct addr at;
	struct answer got = { 0 };
	struct pipe p = { 0 };
	struct pipe served = { 0 };

	w->limits.keepalive = 30;
	w->limits.keepalive_answer = 30;
	a = swarm_add(w);
	b = swarm_add(frozen);
	at = addr_of(b);
	swarm_serve(b, sink, on_serve, &served);
	swarm_connect(a, swarm_self(b), &at, 1, on_connect, &got);
	while (!got.come && !w->hung) {
		uv_run(&w->loop, UV_RUN_NOWAIT);
		uv_run(&frozen->loop, UV_RUN_NOWAIT);
	}
	assert_int_equal(got.result, 0);
	/* From here on the other loop stands still: no FIN, no answer. */
	open_pipe(w, &p, a, b, sink);
	wait_for(w, &p.closed);
	assert_int_equal(p.reason, -ETIMEDOUT);
	assert_false(swarm_connected(a, swarm_self(b)));
	world_free(w);
	world_free(frozen);
}

static void ip6_is_listened_on_beside_ip4(void **state)
{
	struct world *w = world_new();
	struct swarm *a = swarm_add(w), *b;
	struct addr at, all[64], wild;
	struct answer got = { 0 };
	int r, n;

	b = swarm_add(w);
	assert_int_equal(addr_parse(&at, "/ip6/::1/tcp/0"), 0);
	r = swarm_listen(b, &at);
	if (r == -EADDRNOTAVAIL || r == -EAFNOSUPPORT) {
		world_free(w);
		skip();
	}
	assert_int_equal(r, 0);
	n = swarm_addrs(b, all, 64);
	assert_int_equal(n, 2);
	swarm_connect(a, swarm_self(b), &all[1], 1, on_connect, &got);
	wait_for(w, &got.come);
	assert_int_equal(got.result, 0);
	/* An address in use is an error; a wild card stands for all interfaces. */
	at = addr_of(a);
	assert_int_equal(swarm_listen(b, &at), -EADDRINUSE);
	assert_int_equal(addr_parse(&wild, "/ip4/0.0.0.0/tcp/0"), 0);
	assert_int_equal(swarm_listen(b, &wild), 0);
	int before = n;
	n = swarm_addrs(b, all, 64);
	assert_true(n > before);
	for (int i = 0; i < n; i++) {
		assert_false(addr_unspecified(&all[i]));
		assert_true(addr_dialable(&all[i])); /* the real port */
	}
	world_free(w);
}

/* ---- hostile.md B-I, with raw sockets ---- */

static int raw_connect(struct swarm *s)
{
	struct sockaddr_storage sa;
	struct addr at = addr_of(s);
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	assert_true(fd >= 0);
	assert_int_equal(addr_sockaddr(&at, &sa), 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&sa, sizeof(struct sockaddr_in)),
			 0);
	assert_int_equal(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
	return fd;
}

static bool hung_up(int fd)
{
	char bytes[4096];
	ssize_t n;

	while ((n = recv(fd, bytes, sizeof bytes, 0)) > 0)
		;
	return n == 0 || (n < 0 && errno != EAGAIN);
}

static void wait_hung_up(struct world *w, int fd)
{
	while (!hung_up(fd) && !w->hung)
		uv_run(&w->loop, UV_RUN_ONCE);
	assert_false(w->hung);
	close(fd);
}

static void b1_a_silent_caller_is_hung_up_on(void **state)
{
	struct world *w = world_new();

	w->limits.handshake = 60;
	struct swarm *s = swarm_add(w);
	wait_hung_up(w, raw_connect(s));
	assert_int_equal(s->n_half_open, 0);
	world_free(w);
}

static void b2_a_slow_caller_gets_no_more_time(void **state)
{
	struct world *w = world_new();
	static const char hello[] = "\x13/multistream/1.0.0\n";

	w->limits.handshake = 100;
	struct swarm *s = swarm_add(w);
	int fd = raw_connect(s);
	uint64_t start = uv_hrtime();
	size_t at = 0;
	/* A byte at each turn: always something new, never enough. */
	while (!hung_up(fd) && !w->hung) {
		if (at < 19)
			(void)!send(fd, hello + at++, 1, MSG_NOSIGNAL);
		uv_run(&w->loop, UV_RUN_ONCE);
	}
	assert_false(w->hung);
	assert_true(uv_hrtime() - start < 5000000000u);
	close(fd);
	world_free(w);
}

static void b3_one_source_keeps_few_handshakes_open(void **state)
{
	struct world *w = world_new();
	struct swarm *s = swarm_add(w), *a = swarm_add(w);
	int fds[200], open = 0;

	for (int i = 0; i < 200; i++)
		fds[i] = raw_connect(s);
	for (int i = 0; i < 50; i++)
		uv_run(&w->loop, UV_RUN_NOWAIT);
	for (int i = 0; i < 200; i++)
		open += !hung_up(fds[i]);
	assert_int_equal(open, 8);
	assert_int_equal(s->n_half_open, 8);
	for (int i = 0; i < 200; i++)
		close(fds[i]);
	/* When they have gone, others are welcome. */
	assert_int_equal(connect_to(w, a, s), 0);
	world_free(w);
}

static void b4_a_place_at_the_door_is_kept_for_protected_peers(void **state)
{
	struct world *w = world_new();
	struct swarm *s, *friend;
	struct addr at;
	struct answer got = { 0 };
	int holder, stranger;

	w->limits.half_open_max = 1;
	s = swarm_add(w);
	w->limits = swarm_limits_default;
	friend = swarm_add(w);
	holder = raw_connect(s);
	while (s->n_half_open < 1 && !w->hung)
		uv_run(&w->loop, UV_RUN_ONCE);
	stranger = raw_connect(s);
	wait_hung_up(w, stranger);
	/* The friend is known by the address it comes from. */
	at = addr_of(friend);
	swarm_learn(s, swarm_self(friend), &at, 1);
	swarm_protect(s, swarm_self(friend), true);
	at = addr_of(s);
	swarm_connect(friend, swarm_self(s), &at, 1, on_connect, &got);
	wait_for(w, &got.come);
	assert_int_equal(got.result, 0);
	assert_false(hung_up(holder));
	close(holder);
	world_free(w);
}

static void b5_what_is_not_multistream_is_hung_up_on(void **state)
{
	static const struct {
		const char *bytes;
		size_t len;
	} bad[] = {
		{ "\0", 1 },
		{ "\xff\xff\x7f", 3 },
		{ "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", 11 },
		{ "\x13/multistream/1.0.0x", 20 },
		{ "\x13/multistream/2.0.0\n", 20 },
		{ "GET / HTTP/1.1\r\nHost: www.example.com\r\nUser-Agent: somebody "
		  "lost/1.0\r\n\r\n",
		  72 },
		{ "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 a client hello of TLS",
		  34 },
	};
	struct world *w = world_new();
	struct swarm *s = swarm_add(w);

	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		int fd = raw_connect(s);
		assert_int_equal(send(fd, bad[i].bytes, bad[i].len, 0), bad[i].len);
		wait_hung_up(w, fd);
	}
	world_free(w);
}

static void b8_noise_that_is_none_is_hung_up_on(void **state)
{
	static const struct {
		uint8_t length[2];
		size_t body;
	} bad[] = {
		{ { 0, 0 }, 0 },          { { 0, 1 }, 1 },
		{ { 0, 32 }, 32 }, /* a low point */
		{ { 0, 31 }, 31 },        { { 0xff, 0xff }, 65535 },
		{ { 0x20, 0x01 }, 8193 },
	};
	static const char hello[] = "\x13/multistream/1.0.0\n\x07/noise\n";
	static const uint8_t zeros[65535];
	struct world *w = world_new();
	struct swarm *s = swarm_add(w);

	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		int fd = raw_connect(s);
		assert_int_equal(send(fd, hello, sizeof hello - 1, 0), sizeof hello - 1);
		(void)!send(fd, bad[i].length, 2, MSG_NOSIGNAL);
		(void)!send(fd, zeros, bad[i].body, MSG_NOSIGNAL);
		wait_hung_up(w, fd);
	}
	world_free(w);
}

/* A stream of `from` to `to` on which nothing has been negotiated. */
static struct yamux_stream *raw_stream(struct swarm *from, struct swarm *to,
				       struct pipe *p)
{
	struct conn *c = remote_conn(remote_find(from, swarm_self(to)));
	static struct stream dead; /* whose events go nowhere */
	struct yamux_stream *y;

	dead = (struct stream){ .s = from, .c = c, .over = true };
	dead.holds = 1;
	stream_on(&dead, &pipe_events, p);
	assert_int_equal(yamux_open(c->y, &y, &dead), 0);
	return y;
}

static void b6_endless_proposals_are_cut_off(void **state)
{
	struct world *w = world_new();
	struct swarm *a = swarm_add(w), *b = swarm_add(w);
	struct pipe p = { 0 };
	struct buf bytes = { 0 };

	assert_int_equal(connect_to(w, a, b), 0);
	struct yamux_stream *y = raw_stream(a, b, &p);
	multistream_put(&bytes, "/multistream/1.0.0");
	for (int i = 0; i < 10000; i++)
		multistream_put(&bytes, "/no/such/protocol");
	assert_int_equal(yamux_write(y, bytes.data, bytes.len), 0);
	struct conn *far = remote_conn(remote_find(b, swarm_self(a)));
	uint64_t before = far->bytes_out;
	while (yamux_streams(remote_conn(remote_find(a, swarm_self(b)))->y) && !w->hung)
		uv_run(&w->loop, UV_RUN_ONCE);
	assert_false(w->hung);
	/* The stream alone ended, and few refusals were said. */
	assert_true(swarm_connected(a, swarm_self(b)));
	assert_true(far->bytes_out - before < 2000);
	buf_release(&bytes);
	world_free(w);
}

static void b7_a_negotiation_that_does_not_end_is_cut_off(void **state)
{
	struct world *w = world_new();

	w->limits.negotiate = 50;
	struct swarm *a = swarm_add(w), *b = swarm_add(w);
	struct pipe p = { 0 };
	assert_int_equal(connect_to(w, a, b), 0);
	struct yamux_stream *y = raw_stream(a, b, &p);
	struct conn *near = remote_conn(remote_find(a, swarm_self(b)));
	assert_int_equal(yamux_write(y, "\x13/multistream/1.0.0\n", 20), 0);
	while (yamux_streams(near->y) && !w->hung)
		uv_run(&w->loop, UV_RUN_ONCE);
	assert_false(w->hung);
	assert_true(swarm_connected(a, swarm_self(b)));
	world_free(w);
}

/* ---- hostile.md B-II, from a peer that has shaken hands ---- */

/* Frames that no session of ours would send, from `from` to `to`. */
static void send_frames(struct swarm *from, struct swarm *to, const struct buf *frames)
{
	struct conn *c = remote_conn(remote_find(from, swarm_self(to)));

	for (size_t at = 0; at < frames->len; at += 12000) {
		size_t n = frames->len - at < 12000 ? frames->len - at : 12000;
		assert_int_equal(conn_write_sealed(c, frames->data + at, n), 0);
	}
}

static void put_frame(struct buf *out, uint8_t type, uint16_t flags, uint32_t id,
		      uint32_t length)
{
	buf_u8(out, 0);
	buf_u8(out, type);
	buf_u16be(out, flags);
	buf_u32be(out, id);
	buf_u32be(out, length);
}

static void a_peer_that_breaks_the_protocol_costs_itself_alone(void **state)
{
	static const struct {
		uint8_t type;
		uint16_t flags;
		uint32_t id, length, times;
	} bad[] = {
		{ 0, 1, 9, 0xffffffff, 1 }, /* B18, B19: far more than the window */
		{ 1, 1, 9, 0, 2 },          /* B26: opened twice */
		{ 0, 0, 0, 1, 1 },          /* B26: data on stream 0 */
		{ 9, 0, 9, 0, 1 },          /* B26: no such type */
		{ 2, 1, 0, 7, 5000 },       /* B22: more pings than answers may wait */
	};
	struct world *w = world_new();
	struct swarm *hub = swarm_add(w), *good = swarm_add(w);
	struct pipe p = { 0 }, served = { .echoes = true };

	swarm_serve(hub, echo, on_serve, &served);
	assert_int_equal(connect_to(w, good, hub), 0);
	open_pipe(w, &p, good, hub, echo);
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		struct swarm *evil = swarm_add(w);
		struct buf frames = { 0 };

		assert_int_equal(connect_to(w, evil, hub), 0);
		for (uint32_t k = 0; k < bad[i].times; k++)
			put_frame(&frames, bad[i].type, bad[i].flags, bad[i].id,
				  bad[i].length);
		send_frames(evil, hub, &frames);
		buf_release(&frames);
		while (swarm_connected(hub, swarm_self(evil)) && !w->hung)
			uv_run(&w->loop, UV_RUN_ONCE);
		assert_false(w->hung);
	}
	stream_write(p.st, "unharmed", 8);
	stream_close(p.st);
	wait_for(w, &p.closed);
	assert_int_equal(p.reason, 0);
	assert_int_equal(p.got.len, 8);
	pipe_release(&p);
	world_free(w);
}

static void b14_a_frame_that_was_tampered_with_ends_the_connection(void **state)
{
	struct world *w = world_new();
	struct swarm *hub = swarm_add(w), *evil = swarm_add(w);
	static const uint8_t forged[2 + 40] = { 0, 40, 1, 2, 3 };

	assert_int_equal(connect_to(w, evil, hub), 0);
	struct conn *c = remote_conn(remote_find(evil, swarm_self(hub)));
	assert_int_equal(conn_write_plain(c, forged, sizeof forged), 0);
	while (swarm_connected(hub, swarm_self(evil)) && !w->hung)
		uv_run(&w->loop, UV_RUN_ONCE);
	assert_false(w->hung);
	world_free(w);
}

static void b24_streams_without_end_are_refused(void **state)
{
	struct world *w = world_new();
	struct swarm *hub = swarm_add(w), *evil = swarm_add(w);
	struct buf frames = { 0 };
	struct swarm_stat stat;

	assert_int_equal(connect_to(w, evil, hub), 0);
	for (uint32_t i = 0; i < 20000; i++)
		put_frame(&frames, 1, 1, 1001 + 2 * i, 0);
	struct conn *far = remote_conn(remote_find(hub, swarm_self(evil)));
	uint64_t before = far->bytes_in;
	send_frames(evil, hub, &frames);
	while (far->bytes_in - before < frames.len && !w->hung)
		uv_run(&w->loop, UV_RUN_ONCE);
	assert_false(w->hung);
	swarm_stat(hub, &stat);
	assert_in_range(stat.streams, 250, 256);
	assert_true(swarm_connected(hub, swarm_self(evil)));
	buf_release(&frames);
	world_free(w);
}

static void b46_pushes_are_counted(void **state)
{
	struct world *w = world_new();
	struct swarm *a = swarm_add(w), *b = swarm_add(w);
	struct watched n = { 0 };
	const struct swarm_watch watch = { on_identified, on_disconnected, &n };
	static const char *const push[] = { "/ipfs/id/push/1.0.0", NULL };
	int ended = 0;

	assert_int_equal(connect_to(w, a, b), 0);
	swarm_watch(b, &watch);
	/* The protocol is changed and pushed again and again. */
	while (ended < 50 && !w->hung) {
		struct pipe p = { 0 };
		stream_open(a, swarm_self(b), push, pipe_opened, &p);
		wait_for(w, &p.opened);
		stream_write(p.st,
			     "\x0b\x2a\x09"
			     "agent/1.0",
			     12);
		stream_close(p.st);
		wait_for(w, &p.closed);
		ended++;
	}
	assert_in_range(n.identified, 1, 12);
	world_free(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(two_swarms_connect_and_identify),
		cmocka_unit_test(a_stream_echoes),
		cmocka_unit_test(an_unserved_protocol_is_refused),
		cmocka_unit_test(a_protocol_is_agreed_on_before_identify_has_told),
		cmocka_unit_test(what_is_no_longer_served_is_refused_late),
		cmocka_unit_test(another_peer_at_the_address_is_an_error),
		cmocka_unit_test(whoever_answers_at_an_address_is_told),
		cmocka_unit_test(nobody_there_is_an_error),
		cmocka_unit_test(a_ping_is_timed),
		cmocka_unit_test(watchers_hear_of_peers_and_their_changes),
		cmocka_unit_test(both_may_dial_at_once),
		cmocka_unit_test(of_two_connections_the_unused_one_goes),
		cmocka_unit_test(many_may_call_one_at_once),
		cmocka_unit_test(more_streams_than_may_be_unanswered_wait_their_turn),
		cmocka_unit_test(a_lot_of_data_arrives_as_it_was_through_pauses),
		cmocka_unit_test(a_peer_that_dies_in_the_middle_ends_the_stream),
		cmocka_unit_test(a_stream_without_traffic_times_out),
		cmocka_unit_test(freeing_answers_everybody_who_waits),
		cmocka_unit_test(a_silent_address_does_not_hold_up_a_good_one),
		cmocka_unit_test(a_silent_address_is_given_up),
		cmocka_unit_test(idle_connections_over_the_limit_are_trimmed),
		cmocka_unit_test(b4_over_the_limit_only_protected_peers_come_in),
		cmocka_unit_test(b29_a_peer_that_vanished_is_noticed),
		cmocka_unit_test(ip6_is_listened_on_beside_ip4),
		cmocka_unit_test(b1_a_silent_caller_is_hung_up_on),
		cmocka_unit_test(b2_a_slow_caller_gets_no_more_time),
		cmocka_unit_test(b3_one_source_keeps_few_handshakes_open),
		cmocka_unit_test(b4_a_place_at_the_door_is_kept_for_protected_peers),
		cmocka_unit_test(b5_what_is_not_multistream_is_hung_up_on),
		cmocka_unit_test(b6_endless_proposals_are_cut_off),
		cmocka_unit_test(b7_a_negotiation_that_does_not_end_is_cut_off),
		cmocka_unit_test(b8_noise_that_is_none_is_hung_up_on),
		cmocka_unit_test(a_peer_that_breaks_the_protocol_costs_itself_alone),
		cmocka_unit_test(b14_a_frame_that_was_tampered_with_ends_the_connection),
		cmocka_unit_test(b24_streams_without_end_are_refused),
		cmocka_unit_test(b46_pushes_are_counted),
	};
	return cmocka_run_group_tests_name("swarm", tests, NULL, NULL);
}
