/* Blocks between nodes over loopback, and what a stranger's stream does to one. */
#include "net/bitswap_internal.h"
#include "net/node.h"
#include "store/error.h"
#include "store/pb.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <ftw.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PATIENCE_MS 20000 /* a test that waits longer has failed */

struct peer {
	struct node *node;
	struct store *store;
	char dir[64];
};

struct world {
	uv_loop_t loop;
	uv_timer_t guard;
	bool late;
	struct peer peers[4];
};

static int remove_one(const char *path, const struct stat *st, int flag, struct FTW *at)
{
	return remove(path);
}

static void on_guard(uv_timer_t *t)
{
	((struct world *)t->data)->late = true;
}

static void turn(struct world *w)
{
	uv_run(&w->loop, UV_RUN_ONCE);
	assert_false(w->late);
}

#define WAIT(w, condition)                                                               \
	do {                                                                             \
		uv_timer_start(&(w)->guard, on_guard, PATIENCE_MS, 0);                   \
		while (!(condition))                                                     \
			turn(w);                                                         \
	} while (0)

static void start(struct world *w, int i, const struct addr *bootstrap)
{
	struct peer *p = &w->peers[i];
	struct store_config cache = { .cache_bytes = 1 << 20 };
	struct secret_key key;
	struct addr listen;

	strcpy(p->dir, "/tmp/cairn-bitswap-XXXXXX");
	assert_non_null(mkdtemp(p->dir));
	assert_int_equal(
	    store_open(&p->store, p->dir, STORE_WRITE | STORE_CREATE, &cache), 0);
	key_generate(&key);
	assert_int_equal(addr_parse(&listen, "/ip4/127.0.0.1/tcp/0"), 0);
	struct node_config cfg = {
		.loop = &w->loop,
		.store = p->store,
		.dir = p->dir,
		.key = &key,
		.listen = &listen,
		.n_listen = 1,
		.bootstrap = bootstrap,
		.n_bootstrap = bootstrap ? 1 : 0,
		.dht = DHT_SERVER,
		.prefix = "/bitswap-test",
	};
	assert_int_equal(node_start(&p->node, &cfg), 0);
}

static void on_stopped(void *arg)
{
	struct peer *p = arg;

	p->node = NULL;
}

static void stop(struct world *w, int i)
{
	struct peer *p = &w->peers[i];

	node_stop(p->node, on_stopped, p);
	WAIT(w, !p->node);
}

static struct world *world_new(int n)
{
	struct world *w = calloc(1, sizeof *w);

	assert_non_null(w);
	assert_int_equal(uv_loop_init(&w->loop), 0);
	uv_timer_init(&w->loop, &w->guard);
	w->guard.data = w;
	for (int i = 0; i < n; i++)
		start(w, i, NULL);
	return w;
}

static void world_free(struct world *w)
{
	for (int i = 0; i < 4; i++) {
		if (w->peers[i].node)
			stop(w, i);
		if (!w->peers[i].store)
			continue;
		store_close(w->peers[i].store);
		nftw(w->peers[i].dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
	}
	uv_close((uv_handle_t *)&w->guard, NULL);
	uv_run(&w->loop, UV_RUN_DEFAULT);
	assert_int_equal(uv_loop_close(&w->loop), 0);
	free(w);
}

static struct addr address(struct world *w, int i)
{
	struct addr a;

	assert_true(swarm_addrs(w->peers[i].node->swarm, &a, 1) == 1);
	assert_int_equal(addr_add_peer(&a, swarm_self(w->peers[i].node->swarm)), 0);
	return a;
}

static const struct peer_id *id(struct world *w, int i)
{
	return swarm_self(w->peers[i].node->swarm);
}

static void on_connected(void *arg, int result)
{
	*(int *)arg = result;
}

static void meet(struct world *w, int a, int b)
{
	struct addr addr = address(w, b);
	int result = 1;

	swarm_connect(w->peers[a].node->swarm, id(w, b), &addr, 1, on_connected, &result);
	WAIT(w, result <= 0);
	assert_int_equal(result, 0);
}

/* ---- blocks ---- */

/* The i-th block: its bytes are its number, over and over. */
static struct block *make(uint32_t i, size_t size)
{
	uint8_t *bytes = malloc(size + 4);
	struct block *b;

	for (size_t at = 0; at < size; at += 4)
		memcpy(bytes + at, &i, 4);
	assert_int_equal(block_make(&b, bytes, size), 0);
	free(bytes);
	return b;
}

static size_t size_of(uint32_t i)
{
	static const size_t sizes[] = { 4, 100, 1023, 1024, 5000, 16384, 16385, 300000 };
	return i % 97 == 0 ? 1 << 20 : sizes[i % 8];
}

static struct cid cid_for(uint32_t i)
{
	struct block *b = make(i, size_of(i));
	struct cid c = { .version = i % 5 ? 1 : 0,
			 .codec = i % 5 ? CODEC_RAW : CODEC_DAG_PB,
			 .hash = b->name };
	block_unref(b);
	return c;
}

static void give(struct world *w, int peer, uint32_t from, uint32_t to)
{
	for (uint32_t i = from; i < to; i++) {
		struct block *b = make(i, size_of(i));
		assert_int_equal(store_put(w->peers[peer].store, b), 0);
		block_unref(b);
	}
}

struct got {
	uint32_t n, failed;
	int last;
	struct store *store;
};

static void on_block(void *arg, int result, struct block *block)
{
	struct got *g = arg;

	g->n++;
	g->last = result;
	if (result < 0) {
		g->failed++;
		return;
	}
	assert_int_equal(multihash_check(&block->name, block->data, block->size), 0);
	assert_int_equal(store_has(g->store, &block->name, NULL), 1);
}

static struct want *want(struct world *w, int peer, struct got *g, uint32_t i,
			 uint64_t timeout)
{
	struct want_request rq = {
		.cid = cid_for(i),
		.root = cid_for(1),
		.priority = WANT_READER,
		.timeout_ms = timeout,
	};
	g->store = w->peers[peer].store;
	struct want *q = bitswap_want(w->peers[peer].node->bitswap, &rq, on_block, g);
	assert_non_null(q);
	return q;
}

/* ---- nodes ---- */

static void five_hundred_blocks_arrive(void **state)
{
	struct world *w = world_new(2);
	struct got g = { 0 };
	struct bitswap_stat in, out;
	struct bitswap_peer from[4];

	give(w, 0, 0, 500);
	meet(w, 1, 0);
	for (uint32_t i = 0; i < 500; i++)
		want(w, 1, &g, i, 0);
	WAIT(w, g.n == 500);
	assert_int_equal(g.failed, 0);
	bitswap_stat(w->peers[1].node->bitswap, &in);
	bitswap_stat(w->peers[0].node->bitswap, &out);
	assert_int_equal(in.blocks_in, 500);
	assert_int_equal(in.unwanted_in, 0);
	assert_int_equal(in.duplicates_in, 0);
	assert_int_equal(in.wants, 0);
	assert_int_equal(out.blocks_out, 500);
	assert_true(in.bytes_in == out.bytes_out);
	assert_int_equal(bitswap_peers(w->peers[1].node->bitswap, from, 4), 1);
	assert_true(peer_equal(&from[0].peer, id(w, 0)));
	assert_int_equal(from[0].blocks_in, 500);
	world_free(w);
}

static void when_a_provider_dies_the_other_goes_on(void **state)
{
	struct world *w = world_new(3);
	struct got g = { 0 };

	give(w, 0, 0, 300);
	give(w, 1, 0, 300);
	meet(w, 2, 0);
	meet(w, 2, 1);
	for (uint32_t i = 0; i < 300; i++)
		want(w, 2, &g, i, 0);
	WAIT(w, g.n >= 30);
	stop(w, 0);
	WAIT(w, g.n == 300);
	assert_int_equal(g.failed, 0);
	world_free(w);
}

static void a_block_that_comes_later_is_served_then(void **state)
{
	struct world *w = world_new(2);
	struct got g = { 0 };

	meet(w, 1, 0);
	want(w, 1, &g, 7, 0);
	WAIT(w, w->peers[0].node->bitswap->ledgers.n_standing == 1);
	assert_int_equal(g.n, 0);
	give(w, 0, 7, 8);
	struct cid cid = cid_for(7);
	bitswap_have(w->peers[0].node->bitswap, &cid.hash);
	WAIT(w, g.n == 1);
	assert_int_equal(g.failed, 0);
	world_free(w);
}

static void a_peer_that_connects_later_is_asked(void **state)
{
	struct world *w = world_new(3);
	struct got g = { 0 };

	give(w, 0, 0, 20);
	meet(w, 2, 1);
	for (uint32_t i = 0; i < 20; i++)
		want(w, 2, &g, i, 0);
	WAIT(w, w->peers[1].node->bitswap->ledgers.n_standing == 20);
	meet(w, 0, 2); /* it is the other that dials */
	WAIT(w, g.n == 20);
	assert_int_equal(g.failed, 0);
	world_free(w);
}

static void on_provided(void *arg, int told)
{
	*(int *)arg = told;
}

static void a_provider_is_found_through_the_dht(void **state)
{
	struct world *w = world_new(1);
	struct addr known = address(w, 0);
	struct got g = { 0 };
	struct routing_stat st = { 0 };
	struct cid root = cid_for(1);
	int told = -1;

	start(w, 1, &known);
	start(w, 2, &known);
	give(w, 1, 0, 50);
	WAIT(w, (routing_stat(w->peers[1].node->routing, &st), st.table_peers > 0) &&
		    (routing_stat(w->peers[2].node->routing, &st), st.table_peers > 0));
	routing_provide(w->peers[1].node->routing, &root.hash, on_provided, &told);
	WAIT(w, told >= 0);
	assert_true(told > 0);
	for (uint32_t i = 0; i < 50; i++)
		want(w, 2, &g, i, 0);
	WAIT(w, g.n == 50);
	assert_int_equal(g.failed, 0);
	world_free(w);
}

static void a_block_added_here_ends_our_own_want(void **state)
{
	struct world *w = world_new(1);
	struct got g = { 0 };
	struct cid cid = cid_for(9);

	want(w, 0, &g, 9, 0);
	give(w, 0, 9, 10);
	bitswap_have(w->peers[0].node->bitswap, &cid.hash);
	WAIT(w, g.n == 1);
	assert_int_equal(g.failed, 0);
	world_free(w);
}

static void an_absent_block_is_an_error_that_is_remembered(void **state)
{
	struct world *w = world_new(2);
	struct got g = { 0 };
	struct bitswap_failure f[4];
	struct cid cid = cid_for(3);

	meet(w, 1, 0);
	want(w, 1, &g, 3, 300);
	WAIT(w, g.n == 1);
	assert_int_equal(g.last, -EIO);
	assert_int_equal(bitswap_failures(w->peers[1].node->bitswap, f, 4), 1);
	assert_true(cid_equal(&f[0].cid, &cid));
	assert_int_equal(f[0].asked, 1);
	assert_int_equal(f[0].result, -EIO);
	world_free(w);
}

static void a_cancelled_want_leaves_no_trace(void **state)
{
	struct world *w = world_new(2);
	struct got g = { 0 };

	meet(w, 1, 0);
	struct want *q = want(w, 1, &g, 3, 0);
	WAIT(w, w->peers[0].node->bitswap->ledgers.n == 1);
	want_cancel(q);
	assert_int_equal(g.n, 1);
	assert_int_equal(g.last, -ECANCELED);
	WAIT(w, w->peers[0].node->bitswap->ledgers.n == 0);
	world_free(w);
}

static void stopping_ends_wants_in_the_middle(void **state)
{
	struct world *w = world_new(2);
	struct got g = { 0 };

	give(w, 0, 0, 200);
	meet(w, 1, 0);
	for (uint32_t i = 0; i < 250; i++)
		want(w, 1, &g, i, 0);
	WAIT(w, g.n >= 10);
	stop(w, 1);
	assert_int_equal(g.n, 250);
	assert_true(g.failed >= 50);
	assert_int_equal(g.last, -ECANCELED);
	world_free(w);
}

static void on_posted(void *arg)
{
	(*(int *)arg)++;
}

static void poster(void *arg)
{
	struct node *n = ((void **)arg)[0];

	for (int i = 0; i < 1000; i++)
		node_post(n, on_posted, ((void **)arg)[1]);
}

static void calls_from_other_threads_are_made(void **state)
{
	struct world *w = world_new(1);
	int calls = 0;
	void *args[] = { w->peers[0].node, &calls };
	uv_thread_t thread;

	assert_int_equal(uv_thread_create(&thread, poster, args), 0);
	WAIT(w, calls == 1000);
	uv_thread_join(&thread);
	/* What is posted while it stops is still called. */
	node_post(w->peers[0].node, on_posted, &calls);
	stop(w, 0);
	assert_int_equal(calls, 1001);
	world_free(w);
}

/* ---- strangers: a node's swarm used by hand ---- */

struct stranger {
	struct stream *st;
	int result;
	bool closed;
	int reason;
	struct buf heard; /* on the streams it is answered on */
	const char *protocol;
};

static void on_open(void *arg, struct stream *st, int result)
{
	struct stranger *s = arg;

	s->st = st;
	s->result = result;
}

static void ignore(void *arg, const uint8_t *data, size_t len)
{
}

static void on_end(void *arg, int reason)
{
	struct stranger *s = arg;

	s->closed = true;
	s->reason = reason;
	s->st = NULL;
}

static const struct stream_events speaking = { .on_data = ignore, .on_closed = on_end };

static void hear(void *arg, const uint8_t *data, size_t len)
{
	struct stranger *s = arg;

	buf_append(&s->heard, data, len);
}

static void not_mine(void *arg, int reason)
{
}

static const struct stream_events listening = { .on_data = hear, .on_closed = not_mine };

static void on_inbound(void *arg, struct stream *st)
{
	struct stranger *s = arg;

	s->protocol = stream_protocol(st);
	stream_on(st, &listening, s);
}

/* Peer 1 stops speaking Bitswap, but for `protocol`, and opens a stream to peer 0. */
static struct stranger *stranger_new(struct world *w, const char *protocol)
{
	struct stranger *s = calloc(1, sizeof *s);
	struct swarm *swarm = w->peers[1].node->swarm;
	const char *const list[] = { protocol, NULL };

	assert_non_null(s);
	s->result = 1;
	for (int i = 0; bitswap_protocols[i]; i++)
		swarm_unserve(swarm, bitswap_protocols[i]);
	swarm_unwatch(swarm, w->peers[1].node->bitswap);
	swarm_serve(swarm, protocol, on_inbound, s);
	meet(w, 1, 0);
	stream_open(swarm, id(w, 0), list, on_open, s);
	WAIT(w, s->result <= 0);
	assert_int_equal(s->result, 0);
	stream_on(s->st, &speaking, s);
	return s;
}

/* The end of both: what was opened to the stranger speaks of it until the world ends. */
static void part(struct stranger *s, struct world *w)
{
	if (s->st)
		stream_reset(s->st);
	s->st = NULL;
	swarm_unserve(w->peers[1].node->swarm, bitswap_protocols[0]);
	world_free(w);
	buf_release(&s->heard);
	free(s);
}

/* A want-list of `n` absent blocks, from number `from` on. */
static void ask(struct stranger *s, uint32_t from, uint32_t n, bool full)
{
	struct buf entries = { 0 }, m = { 0 };
	struct cid c = { .version = 1,
			 .codec = CODEC_RAW,
			 .hash = { .code = HASH_SHA2_256, .size = 32 } };

	for (uint32_t i = from; i < from + n; i++) {
		memcpy(c.hash.digest, &i, 4);
		bitswap_put_entry(&entries, &c, BITSWAP_ASK_BLOCK, 1);
	}
	bitswap_frame_wants(&m, &entries, full);
	stream_write(s->st, m.data, m.len);
	buf_release(&entries);
	buf_release(&m);
}

static void b64_endless_wantlists_are_cut(void **state)
{
	struct world *w = world_new(2);
	struct stranger *s = stranger_new(w, bitswap_protocols[0]);
	struct bitswap *b = w->peers[0].node->bitswap;

	uint32_t most = 0;
	for (uint32_t i = 0; i < 200; i++) {
		ask(s, i * 5000, 5000, false);
		WAIT(w, (most = b->ledgers.n > most ? b->ledgers.n : most,
			 stream_queued(s->st) < 1 << 20));
	}
	/* A full list replaces it all. */
	ask(s, 7, 1, true);
	WAIT(w, (most = b->ledgers.n > most ? b->ledgers.n : most, b->ledgers.n == 1));
	assert_int_equal(most, LEDGER_MAX);
	swarm_disconnect(w->peers[1].node->swarm, id(w, 0));
	s->st = NULL;
	WAIT(w, b->ledgers.n == 0);
	assert_int_equal(b->ledgers.n_standing, 0);
	assert_true(TAILQ_EMPTY(&b->all_links));
	part(s, w);
}

static void b66_odd_messages_do_no_harm(void **state)
{
	struct world *w = world_new(2);
	struct stranger *s = stranger_new(w, bitswap_protocols[0]);
	struct bitswap *b = w->peers[0].node->bitswap;
	struct buf entries = { 0 }, m = { 0 };
	struct cid c = cid_for(1);

	stream_write(s->st, "\x00", 1);                         /* nothing at all */
	stream_write(s->st, "\x02\x28\x05", 3);                 /* without a want-list */
	stream_write(s->st, "\x04\x0a\x02\x10\x01", 5);         /* full, and empty */
	bitswap_put_entry(&entries, &c, BITSWAP_ASK_CANCEL, 0); /* never wanted */
	bitswap_put_entry(&entries, &c, BITSWAP_ASK_HAVE, 5);
	bitswap_put_entry(&entries, &c, BITSWAP_ASK_BLOCK, -5);
	bitswap_put_entry(&entries, &c, BITSWAP_ASK_BLOCK, 5);
	bitswap_put_entry(&entries, &c, BITSWAP_ASK_CANCEL, 0);
	bitswap_put_entry(&entries, &c, BITSWAP_ASK_CANCEL, 0);
	bitswap_put_entry(&entries, &c, BITSWAP_ASK_HAVE, 5);
	bitswap_frame_wants(&m, &entries, true);
	stream_write(s->st, m.data, m.len);
	WAIT(w, b->ledgers.n_standing == 1);
	assert_int_equal(b->ledgers.n, 1);
	assert_false(s->closed);
	buf_release(&entries);
	buf_release(&m);
	part(s, w);
}

static void b67_a_message_too_long_ends_the_stream(void **state)
{
	struct world *w = world_new(2);
	struct stranger *s = stranger_new(w, bitswap_protocols[0]);

	stream_write(s->st, "\x81\x80\x80\x02", 4); /* 4 MiB and one byte follow */
	WAIT(w, s->closed);
	assert_true(s->reason < 0);
	part(s, w);
}

static void a_cid_that_does_not_parse_ends_the_stream(void **state)
{
	struct world *w = world_new(2);
	struct stranger *s = stranger_new(w, bitswap_protocols[0]);

	stream_write(s->st, "\x08\x0a\x06\x0a\x04\x0a\x02\x07\x07", 9);
	WAIT(w, s->closed);
	assert_true(s->reason < 0);
	part(s, w);
}

static void say_block(struct stranger *s, const uint8_t *data, size_t size)
{
	struct cid c = { .version = 1,
			 .codec = CODEC_RAW,
			 .hash = { .code = HASH_SHA2_256, .size = 32 } };
	struct buf body = { 0 }, m = { 0 };

	bitswap_put_block_head(&body, &c, size, false);
	buf_append(&body, data, size);
	bitswap_put_answer_head(&m, body.len);
	buf_append(&m, body.data, body.len);
	stream_write(s->st, m.data, m.len);
	buf_release(&body);
	buf_release(&m);
}

static void b68_a_block_nobody_asked_for_is_not_stored(void **state)
{
	struct world *w = world_new(2);
	struct stranger *s = stranger_new(w, bitswap_protocols[0]);
	struct bitswap *b = w->peers[0].node->bitswap;
	struct bitswap_stat st = { 0 };
	struct multihash name;

	say_block(s, (const uint8_t *)"junk", 4);
	WAIT(w, (bitswap_stat(b, &st), st.unwanted_in == 1));
	assert_int_equal(st.blocks_in, 0);
	multihash_sha256(&name, "junk", 4);
	assert_int_equal(store_has(w->peers[0].store, &name, NULL), 0);
	/* Over and over: it is shown the door. */
	say_block(s, (const uint8_t *)"junk", 4);
	say_block(s, (const uint8_t *)"junk", 4);
	WAIT(w, !swarm_connected(w->peers[0].node->swarm, id(w, 1)));
	WAIT(w, s->closed);
	part(s, w);
}

static void b67_a_block_too_large_is_not_stored(void **state)
{
	struct world *w = world_new(2);
	struct stranger *s = stranger_new(w, bitswap_protocols[0]);
	struct bitswap_stat st = { 0 };
	uint8_t *data = calloc(1, BLOCK_MAX + 1);
	struct got g = { .store = w->peers[0].store };
	struct want_request rq = { .cid = { .version = 1, .codec = CODEC_RAW },
				   .root = { .version = 0xff } };

	/* Even if it is the one that was wanted. */
	multihash_sha256(&rq.cid.hash, data, BLOCK_MAX + 1);
	struct want *q = bitswap_want(w->peers[0].node->bitswap, &rq, on_block, &g);
	say_block(s, data, BLOCK_MAX + 1);
	WAIT(w, (bitswap_stat(w->peers[0].node->bitswap, &st), st.unwanted_in == 1));
	assert_int_equal(g.n, 0);
	assert_int_equal(store_has(w->peers[0].store, &rq.cid.hash, NULL), 0);
	want_cancel(q);
	free(data);
	part(s, w);
}

static void b69_wrong_bytes_are_asked_for_elsewhere(void **state)
{
	struct world *w = world_new(3);
	struct stranger *s = stranger_new(w, bitswap_protocols[0]);
	struct got g = { 0 };
	struct bitswap_stat st;

	give(w, 2, 3, 4);
	want(w, 0, &g, 3, 0);
	WAIT(w, s->heard.len > 0); /* it is asked, alone */
	meet(w, 0, 2);
	say_block(s, (const uint8_t *)"not what was asked for", 22);
	WAIT(w, g.n == 1);
	assert_int_equal(g.failed, 0);
	bitswap_stat(w->peers[0].node->bitswap, &st);
	assert_int_equal(st.blocks_in, 1);
	part(s, w);
}

/* One that asks for the same block again whenever it has come. */
struct glutton {
	struct stranger *s;
	struct buf again;
	size_t eaten, per_meal;
};

static void devour(void *arg, const uint8_t *data, size_t len)
{
	struct glutton *g = arg;
	size_t meals = g->eaten / g->per_meal;

	g->eaten += len;
	if (g->eaten / g->per_meal > meals && g->s->st)
		stream_write(g->s->st, g->again.data, g->again.len);
}

static const struct stream_events devouring = { .on_data = devour,
						.on_closed = not_mine };

static void on_feeding(void *arg, struct stream *st)
{
	stream_on(st, &devouring, arg);
}

static void b72_a_glutton_does_not_starve_the_others(void **state)
{
	struct world *w = world_new(3);
	struct stranger *s = stranger_new(w, bitswap_protocols[0]);
	struct swarm *swarm = w->peers[1].node->swarm;
	struct block *big = make(77, BLOCK_MAX);
	struct cid c = { .version = 1, .codec = CODEC_RAW, .hash = big->name };
	struct glutton glutton = { .s = s, .per_meal = BLOCK_MAX };
	struct buf entries = { 0 };
	struct got g = { 0 };

	assert_int_equal(store_put(w->peers[0].store, big), 0);
	give(w, 0, 0, 200);
	bitswap_put_entry(&entries, &c, BITSWAP_ASK_BLOCK, 1000);
	bitswap_frame_wants(&glutton.again, &entries, false);
	swarm_unserve(swarm, bitswap_protocols[0]);
	swarm_serve(swarm, bitswap_protocols[0], on_feeding, &glutton);
	stream_write(s->st, glutton.again.data, glutton.again.len);
	WAIT(w, glutton.eaten > 2 * BLOCK_MAX);

	struct bitswap *b = w->peers[0].node->bitswap;
	struct link *l = link_find(b, id(w, 1));
	size_t before = glutton.eaten, most = 0;
	meet(w, 2, 0);
	for (uint32_t i = 0; i < 200; i++)
		want(w, 2, &g, i, 0);
	WAIT(w, (most = l->outstanding > most ? l->outstanding : most, g.n == 200));
	assert_int_equal(g.failed, 0);
	assert_true(most < (4u << 20) + BLOCK_MAX + 4096);
	/* The others had some 11 MB; it had its share, not all. */
	assert_true(glutton.eaten - before < 100u << 20);
	part(s, w);
	buf_release(&entries);
	buf_release(&glutton.again);
	block_unref(big);
}

static void a_peer_of_1_0_is_answered_in_its_own_way(void **state)
{
	struct world *w = world_new(2);
	struct stranger *s = stranger_new(w, "/ipfs/bitswap/1.0.0");
	struct block *b = make(4, size_of(4));
	struct buf entries = { 0 }, m = { 0 };
	struct cid c = cid_for(4);
	struct pb_field f;

	give(w, 0, 4, 5);
	bitswap_put_entry(&entries, &c, BITSWAP_ASK_BLOCK, 1);
	bitswap_frame_wants(&m, &entries, true);
	stream_write(s->st, m.data, m.len);
	WAIT(w, s->heard.len > b->size);
	assert_string_equal(s->protocol, "/ipfs/bitswap/1.0.0");
	struct cursor in = cursor_over(s->heard.data, s->heard.len);
	cursor_varint(&in);
	bool found = false;
	while (pb_next(&in, &f) > 0) {
		assert_true(f.number == 1 || f.number == 2);
		if (f.number != 2)
			continue;
		found = true;
		assert_int_equal(f.len, b->size);
		assert_memory_equal(f.data, b->data, b->size);
	}
	assert_true(found);
	buf_release(&entries);
	buf_release(&m);
	block_unref(b);
	part(s, w);
}

int main(void)
{
	signal(SIGPIPE, SIG_IGN);
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(five_hundred_blocks_arrive),
		cmocka_unit_test(when_a_provider_dies_the_other_goes_on),
		cmocka_unit_test(a_block_that_comes_later_is_served_then),
		cmocka_unit_test(a_peer_that_connects_later_is_asked),
		cmocka_unit_test(a_provider_is_found_through_the_dht),
		cmocka_unit_test(a_block_added_here_ends_our_own_want),
		cmocka_unit_test(an_absent_block_is_an_error_that_is_remembered),
		cmocka_unit_test(a_cancelled_want_leaves_no_trace),
		cmocka_unit_test(stopping_ends_wants_in_the_middle),
		cmocka_unit_test(calls_from_other_threads_are_made),
		cmocka_unit_test(b64_endless_wantlists_are_cut),
		cmocka_unit_test(b66_odd_messages_do_no_harm),
		cmocka_unit_test(b67_a_message_too_long_ends_the_stream),
		cmocka_unit_test(a_cid_that_does_not_parse_ends_the_stream),
		cmocka_unit_test(b67_a_block_too_large_is_not_stored),
		cmocka_unit_test(b68_a_block_nobody_asked_for_is_not_stored),
		cmocka_unit_test(b69_wrong_bytes_are_asked_for_elsewhere),
		cmocka_unit_test(b72_a_glutton_does_not_starve_the_others),
		cmocka_unit_test(a_peer_of_1_0_is_answered_in_its_own_way),
	};
	return cmocka_run_group_tests_name("bitswap", tests, NULL, NULL);
}
