/* Names over a DHT of three nodes: published, resolved, followed, kept. */
#include "net/names.h"
#include "net/names_file.h"
#include "store/error.h"
#include "dht_testing.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <dirent.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#define NODES    3
#define PREFIX   "/test"
#define PATIENCE 20000
#define ONE      "/ipfs/bafkqaaa"
#define TWO      "/ipfs/bafkqabdumvzxi"

struct world {
	struct test_loop loop;
	struct test_node nodes[NODES];
	struct names *names[NODES];
	char dirs[NODES][64];
	int n;
};

static void add_node_of(struct world *w, const char *prefix, enum dht_mode mode)
{
	struct test_node *n = &w->nodes[w->n];

	assert_int_equal(test_node_listen(&w->loop, n, "/ip4/127.0.0.1/tcp/0"), 0);
	assert_int_equal(
	    test_node_route(n, prefix, mode, w->n ? &w->nodes[0].addr : NULL), 0);
	strcpy(w->dirs[w->n], P_tmpdir "/test_names.XXXXXX");
	assert_non_null(mkdtemp(w->dirs[w->n]));
	assert_int_equal(names_new(&w->names[w->n], n->routing, w->dirs[w->n]), 0);
	w->n++;
}

static void add_node(struct world *w, enum dht_mode mode)
{
	add_node_of(w, PREFIX, mode);
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
		add_node(w, DHT_AUTO);
	assert_true(test_loop_until(&w->loop, all_known, w, PATIENCE));
	return w;
}

static void remove_dir(const char *dir)
{
	char path[512];
	struct dirent *e;

	snprintf(path, sizeof path, "%s/names", dir);
	DIR *d = opendir(path);
	while (d && (e = readdir(d))) {
		char file[1024];

		snprintf(file, sizeof file, "%s/%s", path, e->d_name);
		unlink(file);
	}
	if (d)
		closedir(d);
	rmdir(path);
	rmdir(dir);
}

static void end_world(struct world *w)
{
	for (int i = 0; i < w->n; i++)
		names_free(w->names[i]);
	for (int i = 0; i < w->n; i++)
		test_node_end(&w->loop, &w->nodes[i]);
	assert_int_equal(test_loop_end(&w->loop), 0);
	for (int i = 0; i < w->n; i++)
		remove_dir(w->dirs[i]);
	free(w);
}

struct expected {
	const char *dir;
	const struct peer_id *name;
	uint64_t sequence;
};

static bool on_disk(void *arg)
{
	const struct expected *e = arg;
	struct buf b = { 0 };
	struct ipns_record rec;
	char path[128], text[PEER_TEXT_MAX];
	uint64_t age;

	snprintf(path, sizeof path, "%s/names", e->dir);
	bool is = name_file_read(path, peer_name_text(e->name, text), IPNS_RECORD_MAX, &b,
				 &age) == 0 &&
		  ipns_verify(&rec, e->name, b.data, b.len, 0) == 0 &&
		  rec.sequence == e->sequence;
	buf_release(&b);
	return is;
}

/* The same node again, as after a restart, knowing nobody. */
static void revive(struct world *w, int i)
{
	names_free(w->names[i]);
	routing_free(w->nodes[i].routing);
	assert_int_equal(test_node_route(&w->nodes[i], "/alone", DHT_AUTO, NULL), 0);
	assert_int_equal(names_new(&w->names[i], w->nodes[i].routing, w->dirs[i]), 0);
}

/* When its record of `name` has reached the disk. */
static void restart(struct world *w, int i, const struct peer_id *name, uint64_t sequence)
{
	struct expected e = { w->dirs[i], name, sequence };

	assert_true(test_loop_until(&w->loop, on_disk, &e, PATIENCE));
	revive(w, i);
}

struct outcome {
	bool done;
	int times, result;
	struct resolved r;
};

static void on_published(void *arg, int result)
{
	struct outcome *o = arg;

	o->done = true;
	o->times++;
	o->result = result;
}

static void on_resolved(void *arg, int result, const struct resolved *r)
{
	struct outcome *o = arg;

	o->done = true;
	o->times++;
	o->result = result;
	if (r)
		o->r = *r;
	assert_true((result == 0) == (r != NULL));
}

static int publish(struct world *w, int node, const char *value, uint64_t ttl_ms)
{
	struct publish_options options = { .ttl_ms = ttl_ms };
	struct outcome o = { 0 };

	names_publish(w->names[node], &w->nodes[node].key, value, &options, on_published,
		      &o);
	assert_false(o.done);
	assert_true(test_loop_until(&w->loop, test_flag, &o.done, PATIENCE));
	assert_int_equal(o.times, 1);
	return o.result;
}

static struct outcome resolve(struct world *w, int node, const struct peer_id *name,
			      enum resolve_how how)
{
	struct outcome o = { 0 };

	names_resolve(w->names[node], name, how, on_resolved, &o);
	assert_false(o.done);
	assert_true(test_loop_until(&w->loop, test_flag, &o.done, PATIENCE));
	assert_int_equal(o.times, 1);
	return o;
}

static int64_t wall_ms(void)
{
	return time(NULL) * INT64_C(1000);
}

/* A record under the key of `owner`, put into the DHT by `by`. */
static int put_record(struct world *w, int by, int owner, const struct ipns_record *rec)
{
	struct buf b = { 0 };
	uint8_t key[IPNS_KEY_MAX];
	size_t key_len = ipns_key(&w->nodes[owner].id, key);
	struct outcome o = { 0 };

	assert_int_equal(ipns_sign(&b, &w->nodes[owner].key, rec), 0);
	assert_non_null(routing_put(w->nodes[by].routing, key, key_len, b.data, b.len,
				    on_published, &o));
	assert_true(test_loop_until(&w->loop, test_flag, &o.done, PATIENCE));
	buf_release(&b);
	return o.result;
}

static struct ipns_record record(const char *value, uint64_t sequence)
{
	struct ipns_record rec = { .sequence = sequence,
				   .validity_ms = wall_ms() + 3600000,
				   .ttl_ns = UINT64_C(300000000000) };

	strcpy(rec.value, value);
	return rec;
}

static void what_one_publishes_all_resolve(void **state)
{
	struct world *w = new_world(3);
	struct peer_id name = w->nodes[1].id;

	assert_int_equal(resolve(w, 2, &name, RESOLVE_NORMAL).result, -ENOENT);
	assert_int_equal(publish(w, 1, ONE, 0), 2);
	for (int i = 0; i < 3; i++) {
		struct outcome o = resolve(w, i, &name, RESOLVE_NORMAL);

		assert_int_equal(o.result, 0);
		assert_string_equal(o.r.value, ONE);
		assert_true(o.r.record.sequence == 1);
		assert_true(o.r.record.ttl_ns == UINT64_C(300000000000));
		assert_false(o.r.stale);
	}
	/* Kept for its TTL; asked for, the network is. */
	assert_int_equal(publish(w, 1, TWO, 0), 2);
	struct outcome o = resolve(w, 2, &name, RESOLVE_REFRESH);
	assert_string_equal(o.r.value, TWO);
	assert_true(o.r.record.sequence == 2);
	assert_in_range(o.r.record.validity_ms - wall_ms(), 47 * 3600 * 1000,
			49 * 3600 * 1000);
	end_world(w);
}

static bool kept_by_second(void *arg)
{
	struct world *w = arg;
	struct routing_stat s;

	routing_stat(w->nodes[1].routing, &s);
	return s.value_records == 1;
}

static void published_alone_it_is_put_when_somebody_comes(void **state)
{
	struct world *w = new_world(1);
	struct peer_id name = w->nodes[0].id;
	struct outcome o = { 0 };

	assert_int_equal(publish(w, 0, ONE, 0), 0);
	assert_string_equal(resolve(w, 0, &name, RESOLVE_REFRESH).r.value, ONE);
	add_node(w, DHT_AUTO);
	for (int tries = 0; tries < 100 && !o.done; tries++) {
		o = resolve(w, 1, &name, RESOLVE_REFRESH);
		o.done = o.result == 0;
	}
	assert_string_equal(o.r.value, ONE);
	/* Not only found at the owner: the other keeps it too. */
	assert_true(test_loop_until(&w->loop, kept_by_second, w, PATIENCE));
	end_world(w);
}

static void our_own_are_put_again_after_a_restart(void **state)
{
	struct world *w = new_world(1);
	struct peer_id name = w->nodes[0].id;

	publish(w, 0, ONE, 0);
	restart(w, 0, &name, 1);
	struct routing_stat s;
	routing_stat(w->nodes[0].routing, &s);
	assert_int_equal(s.value_records, 0);
	add_node_of(w, "/alone", DHT_AUTO);
	assert_true(test_loop_until(&w->loop, kept_by_second, w, PATIENCE));
	struct outcome o = resolve(w, 1, &name, RESOLVE_NORMAL);
	assert_string_equal(o.r.value, ONE);
	assert_true(o.r.record.sequence == 1);
	end_world(w);
}

/* hostile.md 90 */
static void b90_a_name_never_goes_back_not_even_after_a_restart(void **state)
{
	struct world *w = new_world(3);
	struct peer_id name = w->nodes[1].id;
	struct ipns_record old = record(ONE, 4), new = record(TWO, 5);

	assert_int_equal(put_record(w, 1, 1, &new), 2);
	assert_string_equal(resolve(w, 2, &name, RESOLVE_NORMAL).r.value, TWO);
	restart(w, 2, &name, 5);
	/* From disk, with nobody to ask. */
	struct outcome o = resolve(w, 2, &name, RESOLVE_FAST);
	assert_string_equal(o.r.value, TWO);
	assert_false(o.r.stale);
	o = resolve(w, 2, &name, RESOLVE_REFRESH);
	assert_int_equal(o.result, 0);
	assert_string_equal(o.r.value, TWO);
	/* The older one is all that there is now: it is not taken. */
	assert_int_equal(put_record(w, 2, 1, &old), -ENETUNREACH);
	o = resolve(w, 2, &name, RESOLVE_REFRESH);
	assert_string_equal(o.r.value, TWO);
	assert_true(o.r.record.sequence == 5);
	end_world(w);
}

static void past_its_ttl_and_out_of_reach_a_record_is_stale(void **state)
{
	struct world *w = new_world(2);
	struct peer_id name = w->nodes[0].id;
	struct ipns_record rec = record(ONE, 1);

	rec.ttl_ns = 0;
	assert_int_equal(put_record(w, 0, 0, &rec), 1);
	assert_string_equal(resolve(w, 1, &name, RESOLVE_NORMAL).r.value, ONE);
	restart(w, 1, &name, 1);
	struct outcome o = resolve(w, 1, &name, RESOLVE_NORMAL);
	assert_int_equal(o.result, 0);
	assert_string_equal(o.r.value, ONE);
	assert_true(o.r.stale);
	/* What was never seen cannot be had. */
	struct peer_id other = w->nodes[1].id;
	assert_int_equal(resolve(w, 1, &other, RESOLVE_FAST).result, -ENETUNREACH);
	end_world(w);
}

static void numbers_go_on_after_a_restart(void **state)
{
	struct world *w = new_world(1);
	struct peer_id name = w->nodes[0].id;

	publish(w, 0, ONE, 0);
	publish(w, 0, TWO, 0);
	restart(w, 0, &name, 2);
	publish(w, 0, ONE, 0);
	struct outcome o = resolve(w, 0, &name, RESOLVE_NORMAL);
	assert_string_equal(o.r.value, ONE);
	assert_true(o.r.record.sequence == 3);
	end_world(w);
}

static void a_key_used_elsewhere_before_goes_on_from_there(void **state)
{
	struct world *w = new_world(3);
	struct peer_id name = w->nodes[1].id;
	struct ipns_record rec = record(ONE, 41);

	put_record(w, 2, 1, &rec);
	publish(w, 1, TWO, 0);
	struct outcome o = resolve(w, 0, &name, RESOLVE_NORMAL);
	assert_string_equal(o.r.value, TWO);
	assert_true(o.r.record.sequence == 42);
	end_world(w);
}

/* hostile.md 92 */
static void b92_after_the_highest_number_nothing_can_be_published(void **state)
{
	struct world *w = new_world(2);
	struct ipns_record rec = record(ONE, UINT64_MAX);

	put_record(w, 1, 0, &rec);
	assert_int_equal(publish(w, 0, TWO, 0), -EOVERFLOW);
	end_world(w);
}

static void a_value_that_is_too_long_is_refused(void **state)
{
	struct world *w = new_world(1);
	static char value[IPNS_VALUE_MAX + 1];

	memset(value, '/', IPNS_VALUE_MAX);
	assert_int_equal(publish(w, 0, value, 0), -EMSGSIZE);
	end_world(w);
}

/* ---- following ---- */

struct follower {
	int moved;
	char value[64];
	const char *awaited;
	bool there;
	struct name_watch *leave;
};

static void on_moved(void *arg, const struct resolved *r)
{
	struct follower *f = arg;

	f->moved++;
	snprintf(f->value, sizeof f->value, "%.60s", r->value);
	f->there = f->awaited && strcmp(f->awaited, f->value) == 0;
	if (f->leave)
		name_unwatch(f->leave);
	f->leave = NULL;
}

static void await(struct world *w, struct follower *f, const char *value)
{
	f->awaited = value;
	f->there = strcmp(f->value, value) == 0;
	assert_true(test_loop_until(&w->loop, test_flag, &f->there, PATIENCE));
}

/* hostile.md 91 */
static void b91_a_fork_is_decided_alike_everywhere(void **state)
{
	struct world *w = new_world(3);
	struct peer_id name = w->nodes[0].id;
	struct ipns_record one = record(ONE, 9), two = record(TWO, 9);

	/* One after the other, in either order, and both at last. */
	two.validity_ms = one.validity_ms;
	put_record(w, 1, 0, &one);
	resolve(w, 1, &name, RESOLVE_NORMAL);
	put_record(w, 2, 0, &two);
	put_record(w, 1, 0, &one);
	struct outcome a = resolve(w, 1, &name, RESOLVE_REFRESH);
	struct outcome b = resolve(w, 2, &name, RESOLVE_REFRESH);
	assert_string_equal(a.r.value, b.r.value);
	end_world(w);
}

static void a_follower_hears_of_each_newer_record_at_once_or_after_the_ttl(void **state)
{
	struct world *w = new_world(2);
	struct peer_id name = w->nodes[1].id;
	struct follower server = { 0 }, client = { 0 }, own = { 0 }, leaver = { 0 };

	/* The third keeps nothing for others, so nobody puts a record to it. */
	add_node(w, DHT_CLIENT);
	assert_int_equal(publish(w, 1, ONE, 1000), 1);
	assert_non_null(names_watch(w->names[0], &name, on_moved, &server));
	assert_non_null(names_watch(w->names[1], &name, on_moved, &own));
	assert_non_null(names_watch(w->names[2], &name, on_moved, &client));
	leaver.leave = names_watch(w->names[2], &name, on_moved, &leaver);
	await(w, &client, ONE);
	publish(w, 1, TWO, 1000);
	/* Our own, and what is put to a server, is known at once. */
	assert_string_equal(own.value, TWO);
	assert_string_equal(server.value, TWO);
	await(w, &client, TWO);
	assert_int_equal(own.moved, 1);
	assert_int_equal(client.moved, 2);
	assert_int_equal(leaver.moved, 1);
	end_world(w);
}

static void what_rides_with_a_record_is_kept(void **state)
{
	struct world *w = new_world(3);
	struct peer_id name = w->nodes[1].id;
	struct ipns_record rec = record(ONE, 1);

	memcpy(rec.extra, "\x01\x71\x12\x20 any bytes \xff\x00", 17);
	rec.extra_len = 17;
	put_record(w, 1, 1, &rec);
	resolve(w, 2, &name, RESOLVE_NORMAL);
	restart(w, 2, &name, 1);
	struct outcome o = resolve(w, 2, &name, RESOLVE_NORMAL);
	assert_int_equal(o.r.record.extra_len, 17);
	assert_memory_equal(o.r.record.extra, rec.extra, 17);
	end_world(w);
}

static void a_folder_s_name_goes_on_after_a_restart_with_what_rides_with_it(void **state)
{
	struct world *w = new_world(1);
	struct secret_key key;
	struct public_key public;
	struct peer_id name;
	char path[256], text[PEER_TEXT_MAX];
	struct publish_options options = { .lifetime_ms = 3600000,
					   .extra = "\x01\x71\x12\x20 a commit",
					   .extra_len = 13 };
	struct outcome o = { 0 };

	key_generate(&key);
	key_public(&key, &public);
	key_peer(&public, &name);
	names_publish(w->names[0], &key, ONE, &options, on_published, &o);
	assert_true(test_loop_until(&w->loop, test_flag, &o.done, PATIENCE));
	assert_int_equal(o.result, 0);
	o = resolve(w, 0, &name, RESOLVE_FAST);
	int64_t before = o.r.record.validity_ms;
	assert_in_range(before - wall_ms(), 3500000, 3700000);

	/* Its hour is short for something that is to live ten days: it is due. */
	snprintf(path, sizeof path, "%s/names/%s.own", w->dirs[0], peer_name_text(&name, text));
	FILE *f = fopen(path, "w");
	assert_non_null(f);
	fprintf(f, "%d 300000\n", 240 * 3600000);
	fclose(f);
	restart(w, 0, &name, 1);
	names_have_key(w->names[0], &key);
	add_node_of(w, "/alone", DHT_AUTO);
	assert_true(test_loop_until(&w->loop, kept_by_second, w, PATIENCE));
	o = resolve(w, 1, &name, RESOLVE_REFRESH);
	assert_int_equal(o.result, 0);
	assert_string_equal(o.r.value, ONE);
	assert_true(o.r.record.sequence == 1);
	assert_true(o.r.record.validity_ms > before + 200 * INT64_C(3600000));
	assert_int_equal(o.r.record.extra_len, 13);
	assert_memory_equal(o.r.record.extra, options.extra, 13);

	/* Published no more, it is not put again after the next restart. */
	names_retire(w->names[0], &name);
	assert_int_equal(access(path, F_OK), -1);
	end_world(w);
}

static void what_rides_with_a_record_has_a_bound(void **state)
{
	struct world *w = new_world(1);
	static const char much[200];
	struct publish_options options = { .extra = much, .extra_len = 129 };
	struct outcome o = { 0 };

	names_publish(w->names[0], &w->nodes[0].key, ONE, &options, on_published, &o);
	assert_true(test_loop_until(&w->loop, test_flag, &o.done, PATIENCE));
	assert_int_equal(o.result, -EMSGSIZE);
	end_world(w);
}

static void the_end_ends_all_that_waits(void **state)
{
	struct world *w = new_world(1);
	struct peer_id name = w->nodes[0].id;
	struct outcome many[20] = { 0 }, published = { 0 };

	for (int i = 0; i < 20; i++)
		names_resolve(w->names[0], &name, RESOLVE_REFRESH, on_resolved, &many[i]);
	names_publish(w->names[0], &w->nodes[0].key, ONE, NULL, on_published, &published);
	end_world(w);
	for (int i = 0; i < 20; i++) {
		assert_int_equal(many[i].times, 1);
		assert_int_equal(many[i].result, -ECANCELED);
	}
	assert_int_equal(published.times, 1);
	assert_int_equal(published.result, -ECANCELED);
}

static void a_record_on_disk_that_is_damaged_is_not_believed(void **state)
{
	struct world *w = new_world(1);
	struct peer_id name = w->nodes[0].id;
	char path[256], text[PEER_TEXT_MAX];

	publish(w, 0, ONE, 0);
	snprintf(path, sizeof path, "%s/names/%s", w->dirs[0],
		 peer_name_text(&name, text));
	FILE *f = fopen(path, "r+");
	assert_non_null(f);
	fseek(f, -20, SEEK_END); /* in the signed data */
	fputc('X', f);
	fclose(f);
	revive(w, 0);
	assert_int_equal(resolve(w, 0, &name, RESOLVE_FAST).result, -ENETUNREACH);
	end_world(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_one_publishes_all_resolve),
		cmocka_unit_test(published_alone_it_is_put_when_somebody_comes),
		cmocka_unit_test(our_own_are_put_again_after_a_restart),
		cmocka_unit_test(b90_a_name_never_goes_back_not_even_after_a_restart),
		cmocka_unit_test(past_its_ttl_and_out_of_reach_a_record_is_stale),
		cmocka_unit_test(numbers_go_on_after_a_restart),
		cmocka_unit_test(a_key_used_elsewhere_before_goes_on_from_there),
		cmocka_unit_test(b92_after_the_highest_number_nothing_can_be_published),
		cmocka_unit_test(a_value_that_is_too_long_is_refused),
		cmocka_unit_test(b91_a_fork_is_decided_alike_everywhere),
		cmocka_unit_test(
		    a_follower_hears_of_each_newer_record_at_once_or_after_the_ttl),
		cmocka_unit_test(what_rides_with_a_record_is_kept),
		cmocka_unit_test(a_folder_s_name_goes_on_after_a_restart_with_what_rides_with_it),
		cmocka_unit_test(what_rides_with_a_record_has_a_bound),
		cmocka_unit_test(the_end_ends_all_that_waits),
		cmocka_unit_test(a_record_on_disk_that_is_damaged_is_not_believed),
	};
	return cmocka_run_group_tests_name("names", tests, NULL, NULL);
}
