/* The DHT over real connections: a few nodes on loopback. */
#include "net/frame.h"
#include "net/kad_msg.h"
#include "net/routing.h"
#include "store/error.h"
#include "dht_testing.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#define NODES    5
#define PREFIX   "/test"
#define PROTOCOL "/test/kad/1.0.0"
#define PATIENCE 20000 /* of a test, for a loaded machine */

struct world {
	struct test_loop loop;
	struct test_node nodes[NODES];
	int n;
	int values_seen;
	bool expired; /* what the validator says from now on */
};

/* Values are "ok" and a digit; the higher digit is better. */
static int check(void *arg, const void *key, size_t key_len, const void *value,
		 size_t len)
{
	struct world *w = arg;

	if (w->expired)
		return -ETIME;
	return len == 3 && memcmp(value, "ok", 2) == 0 ? 0 : ERR_CORRUPT;
}

static int better(void *arg, const void *a, size_t a_len, const void *b, size_t b_len)
{
	return ((const char *)a)[2] - ((const char *)b)[2];
}

static void stored(void *arg, const void *key, size_t key_len, const void *value,
		   size_t len)
{
	struct world *w = arg;

	w->values_seen++;
}

static void add_node(struct world *w, const char *prefix, enum dht_mode mode)
{
	struct test_node *n = &w->nodes[w->n];

	assert_int_equal(test_node_listen(&w->loop, n, "/ip4/127.0.0.1/tcp/0"), 0);
	/* All but the first know the first, and nobody else. */
	assert_int_equal(
	    test_node_route(n, prefix, mode, w->n ? &w->nodes[0].addr : NULL), 0);
	routing_validate(n->routing, &(struct routing_validator){ .ns = "ipns",
								  .check = check,
								  .better = better,
								  .stored = stored,
								  .arg = w });
	w->n++;
}

static bool all_known(void *arg)
{
	struct world *w = arg;

	for (int i = 0; i < w->n; i++) {
		struct routing_stat s;

		routing_stat(w->nodes[i].routing, &s);
		if (s.table_peers < (uint32_t)w->n - 1)
			return false;
	}
	return true;
}

static struct world *new_world(int n)
{
	struct world *w = calloc(1, sizeof *w);

	test_loop_init(&w->loop);
	for (int i = 0; i < n; i++)
		add_node(w, PREFIX, DHT_AUTO);
	if (n > 1)
		assert_true(test_loop_until(&w->loop, all_known, w, PATIENCE));
	return w;
}

static void end_world(struct world *w)
{
	for (int i = 0; i < w->n; i++)
		test_node_end(&w->loop, &w->nodes[i]);
	assert_int_equal(test_loop_end(&w->loop), 0);
	free(w);
}

/* ---- what queries bring ---- */

struct outcome {
	struct test_loop *loop;
	bool done;
	int times, result;
	int n_found;
	struct peer_id found[NODES];
	char value[8];
	int n_values;
	struct query *cancel; /* from inside the first callback */
};

static void on_done(void *arg, int result)
{
	struct outcome *o = arg;

	o->done = true;
	o->times++;
	o->result = result;
}

static void on_found(void *arg, const struct peer_id *p)
{
	struct outcome *o = arg;

	assert_false(o->done);
	assert_in_range(o->n_found, 0, NODES - 1);
	o->found[o->n_found++] = *p;
	if (o->cancel)
		query_cancel(o->cancel);
}

static void on_value(void *arg, const uint8_t *value, size_t len)
{
	struct outcome *o = arg;

	assert_false(o->done);
	assert_int_equal(len, 3);
	memcpy(o->value, value, 3);
	o->n_values++;
}

static void wait_for(struct world *w, struct outcome *o)
{
	assert_true(test_loop_until(&w->loop, test_flag, &o->done, PATIENCE));
	assert_int_equal(o->times, 1);
}

static struct multihash hash_of(const char *text)
{
	struct multihash m;

	multihash_sha256(&m, text, strlen(text));
	return m;
}

static struct outcome provide(struct world *w, int node, const char *text)
{
	struct multihash m = hash_of(text);
	struct outcome o = { 0 };

	assert_non_null(routing_provide(w->nodes[node].routing, &m, on_done, &o));
	assert_false(o.done);
	wait_for(w, &o);
	return o;
}

static struct outcome find(struct world *w, int node, const char *text, int max)
{
	struct multihash m = hash_of(text);
	struct outcome o = { 0 };

	assert_non_null(
	    routing_providers(w->nodes[node].routing, &m, max, on_found, on_done, &o));
	assert_false(o.done);
	wait_for(w, &o);
	return o;
}

static struct outcome put(struct world *w, int node, const char *key, const char *value)
{
	struct outcome o = { 0 };

	assert_non_null(routing_put(w->nodes[node].routing, key, strlen(key), value,
				    strlen(value), on_done, &o));
	wait_for(w, &o);
	return o;
}

static struct outcome get(struct world *w, int node, const char *key)
{
	struct outcome o = { 0 };

	assert_non_null(
	    routing_get(w->nodes[node].routing, key, strlen(key), on_value, on_done, &o));
	wait_for(w, &o);
	return o;
}

static void nodes_that_know_one_find_all(void **state)
{
	struct world *w = new_world(5);

	end_world(w);
}

static void nodes_find_each_other_in_any_order(void **state)
{
	struct world *w = calloc(1, sizeof *w);
	struct test_node late;

	/* The first node's address is known before there is anybody at it. */
	test_loop_init(&w->loop);
	assert_int_equal(test_node_listen(&w->loop, &w->nodes[0], "/ip4/127.0.0.1/tcp/0"),
			 0);
	struct addr at = w->nodes[0].addr, bare = at;
	addr_strip_peer(&bare);
	test_node_end(&w->loop, &w->nodes[0]);
	char text[ADDR_TEXT_MAX];
	addr_text(&bare, text);

	for (int i = 0; i < 2; i++) {
		assert_int_equal(
		    test_node_listen(&w->loop, &w->nodes[i], "/ip4/127.0.0.1/tcp/0"), 0);
		assert_int_equal(test_node_route(&w->nodes[i], PREFIX, DHT_AUTO, &bare),
				 0);
	}
	struct multihash m = hash_of("early");
	struct outcome o = { 0 };
	assert_non_null(routing_provide(w->nodes[0].routing, &m, on_done, &o));
	wait_for(w, &o);
	assert_int_equal(o.result, -ENETUNREACH);

	assert_int_equal(test_node_listen(&w->loop, &late, text), 0);
	assert_int_equal(test_node_route(&late, PREFIX, DHT_AUTO, NULL), 0);
	w->nodes[2] = late;
	w->n = 3;
	assert_true(test_loop_until(&w->loop, all_known, w, PATIENCE));

	/* What could be told to nobody has been told by itself. */
	o = (struct outcome){ 0 };
	for (int tries = 0; tries < 50 && !o.n_found; tries++)
		o = find(w, 1, "early", 1);
	assert_int_equal(o.n_found, 1);
	assert_true(peer_equal(&o.found[0], &w->nodes[0].id));
	end_world(w);
}

static void what_one_provides_all_find(void **state)
{
	struct world *w = new_world(4);
	struct outcome o = provide(w, 1, "something");

	assert_int_equal(o.result, 3);
	for (int i = 0; i < 4; i++) {
		o = find(w, i, "something", 0);
		assert_int_equal(o.result, 0);
		/* Nobody is told of himself. */
		assert_int_equal(o.n_found, i != 1);
		if (i != 1)
			assert_true(peer_equal(&o.found[0], &w->nodes[1].id));
	}
	provide(w, 2, "something");
	o = find(w, 3, "something", 0);
	assert_int_equal(o.n_found, 2);
	o = find(w, 3, "something", 1);
	assert_int_equal(o.n_found, 1);
	assert_int_equal(o.result, 0);
	o = find(w, 3, "something else", 0);
	assert_int_equal(o.n_found, 0);
	assert_int_equal(o.result, 0);
	end_world(w);
}

/* hostile.md 53, 54 */
static void b54_the_best_value_is_kept_and_found(void **state)
{
	struct world *w = new_world(4);
	struct outcome o;

	assert_int_equal(get(w, 0, "/ipns/name").result, -ENOENT);
	assert_int_equal(put(w, 1, "/ipns/name", "ok3").result, 3);
	assert_in_range(w->values_seen, 3, 3);
	for (int i = 0; i < 4; i++) {
		o = get(w, i, "/ipns/name");
		assert_int_equal(o.result, 0);
		assert_int_equal(o.n_values, 1);
		assert_string_equal(o.value, "ok3");
	}
	/* An older one is refused, and so is what is not valid. */
	assert_int_equal(put(w, 2, "/ipns/name", "ok1").result, 0);
	assert_int_equal(put(w, 2, "/ipns/name", "bad").result, 0);
	assert_int_equal(put(w, 2, "/what/name", "ok9").result, 0);
	assert_string_equal(get(w, 0, "/ipns/name").value, "ok3");
	assert_int_equal(put(w, 3, "/ipns/name", "ok7").result, 3);
	assert_string_equal(get(w, 1, "/ipns/name").value, "ok7");
	/* What has expired since is neither served nor taken. */
	w->expired = true;
	assert_int_equal(get(w, 1, "/ipns/name").result, -ENOENT);
	end_world(w);
}

/* wire.md 8: under /pk/ lies the key that the name is the hash of. */
static void a_public_key_is_kept_under_its_own_name_only(void **state)
{
	struct world *w = new_world(2);
	struct public_key public;
	uint8_t value[KEY_PUBLIC_MAX], key[4 + PEER_ID_MAX] = "/pk/";

	for (int i = 0; i < 2; i++) {
		struct outcome o = { 0 };

		key_public(&w->nodes[i].key, &public);
		size_t len = key_encode(&public, value);
		memcpy(key + 4, w->nodes[0].id.bytes, w->nodes[0].id.len);
		routing_put(w->nodes[0].routing, key, 4 + (size_t)w->nodes[0].id.len,
			    value, len, on_done, &o);
		wait_for(w, &o);
		assert_int_equal(o.result, i == 0);
	}
	end_world(w);
}

static void a_late_comer_has_the_records_too(void **state)
{
	struct world *w = new_world(3);

	provide(w, 1, "thing");
	put(w, 1, "/ipns/name", "ok3");
	add_node(w, PREFIX, DHT_AUTO);
	/* Its first query waits for the first peer. */
	assert_int_equal(find(w, 3, "thing", 1).n_found, 1);
	assert_string_equal(get(w, 3, "/ipns/name").value, "ok3");
	end_world(w);
}

static void on_connected(void *arg, int result)
{
	assert_int_equal(result, 0);
	test_set_flag(arg);
}

static void a_peer_is_found_through_others(void **state)
{
	struct world *w = new_world(4);
	struct outcome o = { 0 };
	struct addr known;
	struct secret_key key;
	struct public_key public;
	struct peer_id nobody;

	/* It is in no table, but its address is known where it is connected. */
	assert_int_equal(test_node_listen(&w->loop, &w->nodes[4], "/ip4/127.0.0.1/tcp/0"),
			 0);
	w->n++;
	bool connected = false;
	swarm_connect(w->nodes[4].swarm, &w->nodes[0].id, &w->nodes[0].addr, 1,
		      on_connected, &connected);
	assert_true(test_loop_until(&w->loop, test_flag, &connected, PATIENCE));
	assert_int_equal(swarm_lookup(w->nodes[3].swarm, &w->nodes[4].id, &known, 1), 0);
	routing_find_peer(w->nodes[3].routing, &w->nodes[4].id, on_done, &o);
	wait_for(w, &o);
	assert_int_equal(o.result, 0);
	assert_int_equal(swarm_lookup(w->nodes[3].swarm, &w->nodes[4].id, &known, 1), 1);

	key_generate(&key);
	key_public(&key, &public);
	key_peer(&public, &nobody);
	o = (struct outcome){ 0 };
	routing_find_peer(w->nodes[3].routing, &nobody, on_done, &o);
	wait_for(w, &o);
	assert_int_equal(o.result, -ENOENT);
	end_world(w);
}

/* hostile.md 62 */
static void b62_a_client_asks_but_is_not_asked(void **state)
{
	struct world *w = new_world(3);
	struct routing_stat s;

	provide(w, 1, "thing");
	add_node(w, PREFIX, DHT_CLIENT);
	assert_int_equal(find(w, 3, "thing", 1).n_found, 1);
	routing_stat(w->nodes[3].routing, &s);
	assert_false(s.server);
	assert_int_equal(s.provider_records, 0);
	for (int i = 0; i < 3; i++) {
		routing_stat(w->nodes[i].routing, &s);
		assert_true(s.server);
		assert_int_equal(s.table_peers, 2);
	}
	end_world(w);
}

static void another_network_is_another(void **state)
{
	struct world *w = new_world(2);
	struct routing_stat s;

	add_node(w, "/other", DHT_AUTO);
	struct outcome o = provide(w, 2, "thing");
	assert_int_equal(o.result, -ENETUNREACH);
	routing_stat(w->nodes[2].routing, &s);
	assert_int_equal(s.table_peers, 0);
	routing_stat(w->nodes[0].routing, &s);
	assert_int_equal(s.table_peers, 1);
	end_world(w);
}

/* Under the public prefix the local table works on loopback, and with no public
 * address a server's public one does too. */
static void the_public_prefix_has_two_tables(void **state)
{
	for (int mode = DHT_AUTO; mode <= DHT_SERVER; mode++) {
		struct world *w = calloc(1, sizeof *w);
		struct routing_stat s;

		test_loop_init(&w->loop);
		for (int i = 0; i < 3; i++)
			add_node(w, "/ipfs", mode);
		assert_true(test_loop_until(&w->loop, all_known, w, PATIENCE));
		assert_in_range(provide(w, 1, "thing").result, 2, 4);
		struct outcome o = find(w, 2, "thing", 0);
		assert_int_equal(o.n_found, 1);
		routing_stat(w->nodes[0].routing, &s);
		assert_in_range(s.table_peers, 2, mode == DHT_SERVER ? 4 : 2);
		end_world(w);
	}
}

static void alone_there_is_nobody_to_ask(void **state)
{
	struct world *w = new_world(1);

	assert_int_equal(find(w, 0, "thing", 0).result, -ENETUNREACH);
	assert_int_equal(get(w, 0, "/ipns/name").result, -ENETUNREACH);
	assert_int_equal(put(w, 0, "/ipns/name", "ok1").result, -ENETUNREACH);
	/* It is kept all the same, for those to come. */
	struct outcome o = get(w, 0, "/ipns/name");
	assert_int_equal(o.result, 0);
	assert_string_equal(o.value, "ok1");
	end_world(w);
}

static void a_query_may_be_cancelled_at_any_time(void **state)
{
	struct world *w = new_world(3);
	struct multihash m = hash_of("thing");
	struct outcome o = { 0 }, later = { 0 };

	provide(w, 1, "thing");
	/* At once. */
	struct query *q =
	    routing_providers(w->nodes[2].routing, &m, 0, on_found, on_done, &o);
	query_cancel(q);
	assert_int_equal(o.times, 1);
	assert_int_equal(o.result, -ECANCELED);
	/* From inside its callback. */
	o = (struct outcome){ 0 };
	q = routing_providers(w->nodes[0].routing, &m, 0, on_found, on_done, &o);
	o.cancel = q;
	wait_for(w, &o);
	assert_int_equal(o.result, -ECANCELED);
	assert_int_equal(o.n_found, 1);
	/* While questions are out. */
	o = (struct outcome){ 0 };
	m = hash_of("nothing");
	q = routing_providers(w->nodes[2].routing, &m, 0, on_found, on_done, &o);
	routing_providers(w->nodes[2].routing, &m, 0, on_found, on_done, &later);
	uv_run(&w->loop.loop, UV_RUN_ONCE);
	uv_run(&w->loop.loop, UV_RUN_NOWAIT);
	if (!o.done)
		query_cancel(q);
	assert_int_equal(o.times, 1);
	wait_for(w, &later);
	assert_int_equal(later.result, 0);
	end_world(w);
}

static void ten_thousand_queries_wait_their_turn(void **state)
{
	struct world *w = new_world(3);
	struct outcome last = { 0 }, others = { 0 };

	for (int i = 0; i < 10000; i++) {
		struct multihash m;

		multihash_sha256(&m, &i, sizeof i);
		assert_non_null(routing_providers(w->nodes[2].routing, &m, 1, on_found,
						  on_done, i == 1999 ? &last : &others));
	}
	struct routing_stat s;
	routing_stat(w->nodes[2].routing, &s);
	assert_int_equal(s.queries, 10000);
	wait_for(w, &last);
	assert_int_equal(last.result, 0);
	assert_in_range(others.times, 1984, 2016);
	/* The rest ends with the routing. */
	test_node_end(&w->loop, &w->nodes[--w->n]);
	assert_int_equal(others.times, 9999);
	assert_int_equal(others.result, -ECANCELED);
	end_world(w);
}

/* ---- speaking to a server by hand ---- */

struct raw {
	struct stream *st;
	struct frame in;
	bool opened, answered, closed;
	int n_answers;
	struct buf last;
};

static void raw_opened(void *arg, struct stream *st, int result)
{
	struct raw *raw = arg;

	raw->st = st;
	raw->opened = true;
}

static int raw_message(void *arg, const uint8_t *msg, size_t len)
{
	struct raw *raw = arg;

	buf_clear(&raw->last);
	buf_append(&raw->last, msg, len);
	raw->answered = true;
	raw->n_answers++;
	return 0;
}

static void raw_data(void *arg, const uint8_t *data, size_t len)
{
	struct raw *raw = arg;

	assert_int_equal(frame_feed(&raw->in, data, len, raw_message, raw), 0);
}

static void raw_closed(void *arg, int reason)
{
	struct raw *raw = arg;

	raw->st = NULL;
	raw->closed = true;
}

/* Node 1 speaks to node 0. */
static void raw_open(struct world *w, struct raw *raw)
{
	static const char *const protocols[] = { PROTOCOL, NULL };
	static const struct stream_events events = { .on_data = raw_data,
						     .on_closed = raw_closed };

	*raw = (struct raw){ .in.max = KAD_ANSWER_MAX };
	stream_open(w->nodes[1].swarm, &w->nodes[0].id, protocols, raw_opened, raw);
	assert_true(test_loop_until(&w->loop, test_flag, &raw->opened, PATIENCE));
	assert_non_null(raw->st);
	stream_on(raw->st, &events, raw);
}

static void raw_send(struct raw *raw, const struct buf *message)
{
	uint8_t head[VARINT_MAX];

	raw->answered = false;
	assert_true(stream_write(raw->st, head, varint_put(head, message->len)) >= 0);
	assert_true(stream_write(raw->st, message->data, message->len) >= 0);
}

static struct kad_msg raw_ask(struct world *w, struct raw *raw, const struct buf *message)
{
	struct kad_msg m;

	raw_send(raw, message);
	assert_true(test_loop_until(&w->loop, test_flag, &raw->answered, PATIENCE));
	assert_int_equal(kad_decode(&m, raw->last.data, raw->last.len), 0);
	return m;
}

static void raw_end(struct raw *raw)
{
	if (raw->st)
		stream_reset(raw->st);
	frame_release(&raw->in);
	buf_release(&raw->last);
}

static bool names(const struct kad_msg *m, const struct peer_id *p)
{
	struct kad_peers w = kad_closer(m);
	struct kad_peer got;

	while (kad_peer_next(&w, &got))
		if (peer_equal(&got.id, p))
			return true;
	return false;
}

static void a_server_answers_several_questions_on_one_stream(void **state)
{
	struct world *w = new_world(3);
	struct buf b = { 0 };
	struct raw raw;
	struct kad_msg m;

	raw_open(w, &raw);
	/* Whoever is near: not the server itself, and not who asks. */
	kad_put_head(&b, KAD_FIND_NODE, "somewhere", 9);
	m = raw_ask(w, &raw, &b);
	assert_int_equal(m.type, KAD_FIND_NODE);
	assert_int_equal(m.n_closer, 1);
	assert_true(names(&m, &w->nodes[2].id));
	/* Asked for itself, it comes first. */
	buf_clear(&b);
	kad_put_head(&b, KAD_FIND_NODE, w->nodes[0].id.bytes, w->nodes[0].id.len);
	m = raw_ask(w, &raw, &b);
	assert_int_equal(m.n_closer, 2);
	struct kad_peers walk = kad_closer(&m);
	struct kad_peer first;
	assert_true(kad_peer_next(&walk, &first));
	assert_true(peer_equal(&first.id, &w->nodes[0].id));
	struct addr a[4], bare = w->nodes[0].addr;
	addr_strip_peer(&bare);
	assert_int_equal(kad_addrs(first.addrs, first.addrs_len, a, 4), 1);
	assert_true(addr_equal(&a[0], &bare));
	/* For another it is named once. */
	buf_clear(&b);
	kad_put_head(&b, KAD_FIND_NODE, w->nodes[2].id.bytes, w->nodes[2].id.len);
	m = raw_ask(w, &raw, &b);
	assert_int_equal(m.n_closer, 1);
	/* Nobody is told of himself. */
	buf_clear(&b);
	kad_put_head(&b, KAD_FIND_NODE, w->nodes[1].id.bytes, w->nodes[1].id.len);
	m = raw_ask(w, &raw, &b);
	assert_false(names(&m, &w->nodes[1].id));
	/* The obsolete ping. */
	buf_clear(&b);
	kad_put_head(&b, KAD_PING, NULL, 0);
	m = raw_ask(w, &raw, &b);
	assert_int_equal(m.type, KAD_PING);
	assert_int_equal(raw.n_answers, 5);
	raw_end(&raw);
	buf_release(&b);
	end_world(w);
}

/* hostile.md 50; and wire.md 21.1: an ADD_PROVIDER has no answer. */
static void b50_nobody_provides_for_others(void **state)
{
	struct world *w = new_world(3);
	struct multihash hash = hash_of("thing");
	uint8_t key[MULTIHASH_SIZE_MAX];
	size_t key_len = multihash_encode(&hash, key);
	struct buf foreign = { 0 }, own = { 0 }, bare = { 0 }, ask = { 0 },
		   packed = { 0 };
	struct raw raw;
	struct kad_msg m;

	raw_open(w, &raw);
	kad_pack(&packed, &w->nodes[1].addr);
	kad_put_head(&foreign, KAD_ADD_PROVIDER, key, key_len);
	kad_put_provider(&foreign, &w->nodes[2].id, packed.data, packed.len);
	kad_put_head(&bare, KAD_ADD_PROVIDER, key, key_len);
	kad_put_provider(&bare, &w->nodes[1].id, NULL, 0);
	kad_put_head(&own, KAD_ADD_PROVIDER, key, key_len);
	kad_put_provider(&own, &w->nodes[1].id, packed.data, packed.len);
	kad_put_head(&ask, KAD_GET_PROVIDERS, key, key_len);
	raw_send(&raw, &foreign);
	raw_send(&raw, &bare);
	m = raw_ask(w, &raw, &ask);
	assert_int_equal(m.type, KAD_GET_PROVIDERS);
	assert_int_equal(m.n_providers, 0);
	assert_int_equal(m.n_closer, 1);
	raw_send(&raw, &own);
	m = raw_ask(w, &raw, &ask);
	assert_int_equal(m.n_providers, 1);
	assert_int_equal(raw.n_answers, 2);
	raw_end(&raw);
	buf_release(&foreign);
	buf_release(&bare);
	buf_release(&own);
	buf_release(&ask);
	buf_release(&packed);
	end_world(w);
}

/* hostile.md 49, 53: the stream ends without an answer, the connection stays. */
static void b49_a_bad_request_costs_its_stream_only(void **state)
{
	static const struct {
		const char *bytes;
		size_t len;
	} bad[] = {
		{ "\x08\x04", 2 },                 /* no key */
		{ "\x08\x04\x12\x00", 4 },         /* an empty one */
		{ "\x08\x07\x12\x01k", 5 },        /* a type we do not know */
		{ "\x08\x03\x12\x04nope", 8 },     /* providers of what is no hash */
		{ "\x08\x02\x12\x04nope", 8 },     /* the same, to add */
		{ "\x08\x00\x12\x07/ipns/a", 11 }, /* no record */
		{ "\x08\x00\x12\x07/ipns/a\x1a\x0e"
		  "\x0a\x07/ipns/b\x12\x03ok1",
		  27 }, /* of another key */
		{ "\x08\x00\x12\x07/ipns/a\x1a\x0e"
		  "\x0a\x07/ipns/a\x12\x03"
		  "bad",
		  27 },                /* not valid */
		{ "\x08\x01", 2 },     /* no key */
		{ "\xff\xff\xff", 3 }, /* no message */
	};
	struct world *w = new_world(2);

	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		struct raw raw;
		struct buf b = { 0 };

		raw_open(w, &raw);
		buf_append(&b, bad[i].bytes, bad[i].len);
		raw_send(&raw, &b);
		assert_true(test_loop_until(&w->loop, test_flag, &raw.closed, PATIENCE));
		assert_int_equal(raw.n_answers, 0);
		assert_true(swarm_connected(w->nodes[0].swarm, &w->nodes[1].id));
		raw_end(&raw);
		buf_release(&b);
	}
	/* A message that says it is longer than any. */
	struct raw raw;
	raw_open(w, &raw);
	assert_true(stream_write(raw.st, "\x81\x80\x04", 3) >= 0);
	assert_true(test_loop_until(&w->loop, test_flag, &raw.closed, PATIENCE));
	raw_end(&raw);
	end_world(w);
}

/* hostile.md 60: it takes questions and says nothing. */
static void on_mute_stream(void *arg, struct stream *st)
{
	static const struct stream_events events = { 0 };

	stream_on(st, &events, NULL);
}

static void b60_a_silent_peer_does_not_stop_a_query(void **state)
{
	struct world *w = new_world(3);
	struct test_node *mute = &w->nodes[3];

	provide(w, 1, "thing");
	assert_int_equal(test_node_listen(&w->loop, mute, "/ip4/127.0.0.1/tcp/0"), 0);
	assert_int_equal(swarm_serve(mute->swarm, PROTOCOL, on_mute_stream, NULL), 0);
	bool connected = false;
	swarm_connect(mute->swarm, &w->nodes[0].id, &w->nodes[0].addr, 1, on_connected,
		      &connected);
	assert_true(test_loop_until(&w->loop, test_flag, &connected, PATIENCE));
	assert_int_equal(find(w, 0, "thing", 1).n_found, 1);
	assert_int_equal(find(w, 0, "nothing", 0).result, 0);
	assert_int_equal(find(w, 0, "nothing", 0).result, 0);
	/* Twice silent, it has left the table. */
	struct routing_stat s;
	routing_stat(w->nodes[0].routing, &s);
	assert_int_equal(s.table_peers, 2);
	w->n++;
	end_world(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nodes_that_know_one_find_all),
		cmocka_unit_test(nodes_find_each_other_in_any_order),
		cmocka_unit_test(what_one_provides_all_find),
		cmocka_unit_test(b54_the_best_value_is_kept_and_found),
		cmocka_unit_test(a_public_key_is_kept_under_its_own_name_only),
		cmocka_unit_test(a_late_comer_has_the_records_too),
		cmocka_unit_test(a_peer_is_found_through_others),
		cmocka_unit_test(b62_a_client_asks_but_is_not_asked),
		cmocka_unit_test(another_network_is_another),
		cmocka_unit_test(the_public_prefix_has_two_tables),
		cmocka_unit_test(alone_there_is_nobody_to_ask),
		cmocka_unit_test(a_query_may_be_cancelled_at_any_time),
		cmocka_unit_test(ten_thousand_queries_wait_their_turn),
		cmocka_unit_test(a_server_answers_several_questions_on_one_stream),
		cmocka_unit_test(b50_nobody_provides_for_others),
		cmocka_unit_test(b49_a_bad_request_costs_its_stream_only),
		cmocka_unit_test(b60_a_silent_peer_does_not_stop_a_query),
	};
	return cmocka_run_group_tests_name("routing", tests, NULL, NULL);
}
