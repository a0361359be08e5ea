/* Lookups, alone and in a simulated network of a thousand nodes. */
#include "net/kad_lookup.h"
#include "net/kad_size.h"
#include "net/kad_table.h"
#include "kad_testing.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <cmocka.h>

#define FAR      1000000
#define SELF     test_peer(FAR)
#define PATIENCE 10000

static struct lookup_config config(const char *key)
{
	return (struct lookup_config){ .target = kad_id_of(key, strlen(key)),
				       .self = SELF,
				       .paths = 1,
				       .path_end = 3,
				       .closest = 3,
				       .ask_max = 200,
				       .now = 0,
				       .total_ms = 60000,
				       .slow_ms = 1000,
				       .patience_ms = PATIENCE };
}

static struct kad_contact contact(uint32_t n)
{
	struct kad_contact c = { .peer = test_peer(n) };

	c.id = kad_id_of_peer(&c.peer);
	return c;
}

/* The peers 0..n-1 by their distance from `target`, nearest first. */
static const struct kad_id *sort_target;

static int by_distance(const void *a, const void *b)
{
	const struct kad_contact *x = a, *y = b;
	return kad_nearer(sort_target, &x->id, &y->id);
}

static void sorted(struct kad_contact *out, uint32_t n, const struct kad_id *target)
{
	for (uint32_t i = 0; i < n; i++)
		out[i] = contact(i);
	sort_target = target;
	qsort(out, n, sizeof *out, by_distance);
}

static void the_nearest_heard_of_is_asked_next(void **state)
{
	struct lookup_config cfg = config("key");
	struct kad_lookup *l = kad_lookup_new(&cfg);
	struct kad_contact p[3], ask;
	uint64_t wake;

	sorted(p, 3, &cfg.target);
	kad_lookup_start(l, &p[2]);
	assert_int_equal(kad_lookup_next(l, 0, &ask, &wake), LOOKUP_ASK);
	assert_true(peer_equal(&ask.peer, &p[2].peer));
	assert_int_equal(kad_lookup_next(l, 0, &ask, &wake), LOOKUP_WAIT);
	kad_lookup_heard(l, &p[2].peer, &p[1].peer, (const uint8_t *)"addr", 4);
	kad_lookup_heard(l, &p[2].peer, &p[0].peer, NULL, 0);
	kad_lookup_answered(l, &p[2].peer);
	assert_int_equal(kad_lookup_next(l, 10, &ask, &wake), LOOKUP_ASK);
	assert_true(peer_equal(&ask.peer, &p[0].peer));
	kad_lookup_answered(l, &p[0].peer);
	assert_int_equal(kad_lookup_next(l, 20, &ask, &wake), LOOKUP_ASK);
	assert_true(peer_equal(&ask.peer, &p[1].peer));
	assert_int_equal(ask.addrs_len, 4);
	assert_memory_equal(ask.addrs, "addr", 4);
	kad_lookup_answered(l, &p[1].peer);
	assert_int_equal(kad_lookup_next(l, 30, &ask, &wake), LOOKUP_DONE);
	assert_int_equal(kad_lookup_closest(l, 3, p, 3), 3);
	assert_int_equal(kad_lookup_asked(l), 3);
	assert_int_equal(kad_lookup_answers(l), 3);
	kad_lookup_free(l);
}

static void with_nobody_to_ask_it_is_over(void **state)
{
	struct lookup_config cfg = config("key");
	struct kad_lookup *l = kad_lookup_new(&cfg);
	struct kad_contact ask, self = { .peer = SELF };
	uint64_t wake;

	kad_lookup_start(l, &self); /* ourselves we do not ask */
	assert_int_equal(kad_lookup_next(l, 0, &ask, &wake), LOOKUP_DONE);
	assert_int_equal(kad_lookup_closest(l, 20, &ask, 1), 0);
	kad_lookup_free(l);
}

static void
a_slow_peer_does_not_hold_up_the_others_and_a_silent_one_is_given_up(void **state)
{
	struct lookup_config cfg = config("key");
	struct kad_lookup *l = kad_lookup_new(&cfg);
	struct kad_contact p[2], ask;
	uint64_t wake;

	sorted(p, 2, &cfg.target);
	kad_lookup_start(l, &p[0]);
	kad_lookup_start(l, &p[1]);
	assert_int_equal(kad_lookup_next(l, 5, &ask, &wake), LOOKUP_ASK);
	assert_int_equal(kad_lookup_next(l, 5, &ask, &wake), LOOKUP_WAIT);
	assert_int_equal(wake, 1005);
	assert_int_equal(kad_lookup_next(l, wake - 1, &ask, &wake), LOOKUP_WAIT);
	assert_int_equal(kad_lookup_next(l, 1005, &ask, &wake), LOOKUP_ASK);
	assert_true(peer_equal(&ask.peer, &p[1].peer));
	kad_lookup_answered(l, &p[1].peer);
	assert_int_equal(kad_lookup_next(l, 1010, &ask, &wake), LOOKUP_WAIT);
	assert_int_equal(wake, 5 + PATIENCE);
	assert_int_equal(kad_lookup_next(l, wake - 1, &ask, &wake), LOOKUP_WAIT);
	assert_int_equal(kad_lookup_next(l, 5 + PATIENCE, &ask, &wake), LOOKUP_DONE);
	/* It answers after all. */
	kad_lookup_answered(l, &p[0].peer);
	assert_int_equal(kad_lookup_closest(l, 3, &ask, 1), 1);
	assert_true(peer_equal(&ask.peer, &p[0].peer));
	kad_lookup_free(l);
}

static void the_whole_ends_in_time_whatever_is_in_flight(void **state)
{
	struct lookup_config cfg = config("key");
	struct kad_contact a = contact(1), ask;
	uint64_t wake;

	cfg.now = 100;
	cfg.total_ms = 500;
	struct kad_lookup *l = kad_lookup_new(&cfg);
	kad_lookup_start(l, &a);
	assert_int_equal(kad_lookup_next(l, 100, &ask, &wake), LOOKUP_ASK);
	assert_int_equal(kad_lookup_next(l, 100, &ask, &wake), LOOKUP_WAIT);
	assert_int_equal(wake, 600);
	assert_int_equal(kad_lookup_next(l, 600, &ask, &wake), LOOKUP_DONE);
	kad_lookup_free(l);
}

/* hostile.md 55: no more than 20 of one answer, and not from one nobody asked. */
static void b55_an_answer_of_ten_thousand_peers_counts_as_twenty(void **state)
{
	struct lookup_config cfg = config("key");
	struct kad_lookup *l = kad_lookup_new(&cfg);
	struct kad_contact a = contact(FAR + 1), ask;
	uint64_t wake;
	int asked = 0;

	kad_lookup_start(l, &a);
	struct peer_id early = test_peer(77);
	kad_lookup_heard(l, &a.peer, &early, NULL, 0); /* before it was asked */
	assert_int_equal(kad_lookup_next(l, 0, &ask, &wake), LOOKUP_ASK);
	for (uint32_t i = 0; i < 10000; i++) {
		struct peer_id p = test_peer(i);
		kad_lookup_heard(l, &a.peer, &p, NULL, 0);
	}
	struct peer_id stranger = test_peer(FAR + 2), named = test_peer(FAR + 3);
	kad_lookup_heard(l, &stranger, &named, NULL, 0);
	kad_lookup_answered(l, &a.peer);
	while (kad_lookup_next(l, 0, &ask, &wake) == LOOKUP_ASK) {
		asked++;
		kad_lookup_failed(l, &ask.peer); /* so that all get their turn */
	}
	assert_int_equal(asked, KAD_K);
	kad_lookup_free(l);
}

/* hostile.md 56: every answer names twenty new peers that are still nearer. */
static void b56_an_endless_walk_ends_by_count(void **state)
{
	struct lookup_config cfg = config("key");
	struct kad_contact a = contact(0), ask;
	uint64_t wake, now = 0;
	uint32_t next = 1;
	unsigned asked = 0;

	cfg.paths = 10;
	struct kad_lookup *l = kad_lookup_new(&cfg);
	kad_lookup_start(l, &a);
	for (;;) {
		enum lookup_next what = kad_lookup_next(l, now, &ask, &wake);

		if (what == LOOKUP_DONE)
			break;
		if (what == LOOKUP_WAIT) {
			now = wake;
			continue;
		}
		asked++;
		struct kad_id best = ask.id;
		for (int i = 0; i < KAD_K; i++) {
			struct peer_id p;
			struct kad_id id;
			/* Nearer than the one asked, as long as that is cheap to find. */
			for (int tries = 0; tries < 200; tries++) {
				p = test_peer(next++);
				id = kad_id_of_peer(&p);
				if (kad_nearer(&cfg.target, &id, &best) < 0)
					break;
			}
			kad_lookup_heard(l, &ask.peer, &p, NULL, 0);
		}
		kad_lookup_answered(l, &ask.peer);
	}
	assert_in_range(asked, 10, cfg.ask_max);
	kad_lookup_free(l);

	/* The same where nobody of those named exists: by count and by time. */
	cfg.ask_max = 1000000;
	l = kad_lookup_new(&cfg);
	kad_lookup_start(l, &a);
	assert_int_equal(kad_lookup_next(l, 0, &ask, &wake), LOOKUP_ASK);
	for (now = 0;;) {
		for (int i = 0; i < KAD_K; i++) {
			struct peer_id p = test_peer(next++);
			kad_lookup_heard(l, &a.peer, &p, NULL, 0);
		}
		kad_lookup_answered(l, &a.peer);
		enum lookup_next what = kad_lookup_next(l, now, &ask, &wake);
		if (what == LOOKUP_DONE)
			break;
		if (what == LOOKUP_WAIT)
			now = wake;
	}
	assert_in_range(now, 0, 60000);
	kad_lookup_free(l);
}

static void a_region_is_asked_out_beyond_the_nearest(void **state)
{
	struct lookup_config cfg = config("key");
	struct kad_contact p[40], got[40], ask;
	uint64_t wake;

	sorted(p, 40, &cfg.target);
	cfg.has_region = true;
	cfg.region = kad_distance(&cfg.target, &p[24].id);
	struct kad_lookup *l = kad_lookup_new(&cfg);
	for (int i = 0; i < 40; i++)
		kad_lookup_start(l, &p[i]);
	while (kad_lookup_next(l, 0, &ask, &wake) == LOOKUP_ASK)
		kad_lookup_answered(l, &ask.peer);
	assert_int_equal(kad_lookup_asked(l), 25);
	assert_int_equal(kad_lookup_closest(l, 3, got, 40), 25);
	kad_lookup_free(l);
}

/* ---- the network ---- */

#define NODES 1000

#define SYBILS 40

struct net {
	struct kad_table *tables[NODES];
	bool hostile[NODES], dead[NODES];
	/* Peers beyond the thousand, made up to lie around one key. */
	struct kad_contact sybils[SYBILS];
	int n_sybils;
	uint64_t random;
};

static uint64_t draw(struct net *n)
{
	n->random ^= n->random << 13;
	n->random ^= n->random >> 7;
	n->random ^= n->random << 17;
	return n->random;
}

static uint32_t number_of(const struct peer_id *p)
{
	return (uint32_t)p->bytes[6] << 24 | (uint32_t)p->bytes[7] << 16 |
	       (uint32_t)p->bytes[8] << 8 | p->bytes[9];
}

/* Each node has met 300 others, and knows its neighbourhood. */
static int build(void **state)
{
	struct net *n = calloc(1, sizeof *n);
	static struct kad_contact near[NODES];

	n->random = 88172645463325252u;
	for (uint32_t i = 0; i < NODES; i++) {
		struct peer_id self = test_peer(i);
		struct kad_id id = kad_id_of_peer(&self);

		if (kad_table_new(&n->tables[i], &self) < 0)
			return -1;
		for (int j = 0; j < 300; j++) {
			struct peer_id p = test_peer((uint32_t)(draw(n) % NODES));
			kad_table_offer(n->tables[i], &p, NULL, 0, 0, 0);
		}
		if (i % 50 == 0) {
			sorted(near, NODES, &id);
		} else {
			sort_target = &id;
			qsort(near, NODES, sizeof *near, by_distance);
		}
		for (int j = 0; j < 24; j++)
			kad_table_offer(n->tables[i], &near[j].peer, NULL, 0, 0, 0);
	}
	*state = n;
	return 0;
}

static int tear_down(void **state)
{
	struct net *n = *state;

	for (int i = 0; i < NODES; i++)
		kad_table_free(n->tables[i]);
	free(n);
	return 0;
}

/* The colluders: each names those of them that lie nearest to what is sought. */
static int collude(const struct net *n, const struct kad_id *target,
		   struct kad_contact *out)
{
	static struct kad_contact all[NODES];
	int found = 0;

	sorted(all, NODES, target);
	for (int i = 0; i < NODES && found < KAD_K; i++)
		if (n->hostile[number_of(&all[i].peer)])
			out[found++] = all[i];
	return found;
}

#define TOLD_MAX 80

struct outcome {
	struct kad_contact closest[TOLD_MAX];
	int n;
	bool asked_who[NODES];
	unsigned asked;
	uint64_t took;
	unsigned honest_near; /* of the three honest nodes nearest to the key, asked */
};

static bool crowded(const struct kad_lookup *l, const struct kad_size *size)
{
	struct kad_id near;

	return size && kad_size_radius(size, KAD_CROWD_OF, &near) &&
	       kad_lookup_within(l, &near) >= KAD_CROWD;
}

/* With `size` a key that is crowded is noticed. */
static void look_up(struct net *n, const struct lookup_config *cfg, uint32_t from,
		    const struct kad_size *size, struct outcome *out)
{
	static struct kad_contact all[NODES];
	struct {
		struct peer_id peer;
		uint64_t at;
	} flight[64];
	struct kad_contact start[KAD_K], ask, colluders[KAD_K];
	struct peer_id near[3];
	uint64_t now = 0, wake;
	int flying = 0, n_near = 0;
	bool widened = false;

	*out = (struct outcome){ 0 };
	sorted(all, NODES, &cfg->target);
	for (int i = 0; i < NODES && n_near < 3; i++) {
		uint32_t who = number_of(&all[i].peer);
		if (!n->hostile[who] && !n->dead[who] && who != from)
			near[n_near++] = all[i].peer;
	}
	int n_colluders = collude(n, &cfg->target, colluders);
	struct kad_lookup *l = kad_lookup_new(cfg);
	int n_start = kad_table_closest(n->tables[from], &cfg->target, start, KAD_K);
	for (int i = 0; i < n_start; i++)
		kad_lookup_start(l, &start[i]);

	for (;;) {
		enum lookup_next what = kad_lookup_next(l, now, &ask, &wake);

		if (what == LOOKUP_DONE && !widened && crowded(l, size)) {
			struct kad_id region;

			assert_true(kad_size_radius(size, KAD_K, &region));
			kad_lookup_widen(l, &region);
			widened = true;
			continue;
		}
		if (what == LOOKUP_DONE)
			break;
		if (what == LOOKUP_ASK) {
			uint32_t who = number_of(&ask.peer);
			if (who < NODES)
				out->asked_who[who] = true;
			for (int i = 0; i < 3; i++)
				out->honest_near += peer_equal(&ask.peer, &near[i]);
			if (who < NODES && n->dead[who])
				continue;
			assert_in_range(flying, 0, 63);
			flight[flying].peer = ask.peer;
			flight[flying++].at = now + 10 + draw(n) % 100;
			continue;
		}
		int first = -1;
		for (int i = 0; i < flying; i++)
			if (first < 0 || flight[i].at < flight[first].at)
				first = i;
		if (first < 0 || flight[first].at > wake) {
			now = wake;
			continue;
		}
		now = flight[first].at;
		struct peer_id who = flight[first].peer;
		flight[first] = flight[--flying];
		struct kad_contact says[KAD_K];
		int n_says = 0;
		if (number_of(&who) >= NODES) {
			memcpy(says, n->sybils, sizeof says);
			n_says = KAD_K;
		} else if (n->hostile[number_of(&who)]) {
			memcpy(says, colluders, sizeof says);
			n_says = n_colluders;
		} else {
			n_says = kad_table_closest(n->tables[number_of(&who)],
						   &cfg->target, says, KAD_K);
		}
		for (int i = 0; i < n_says; i++)
			kad_lookup_heard(l, &who, &says[i].peer, NULL, 0);
		kad_lookup_answered(l, &who);
	}
	out->n = kad_lookup_closest(l, cfg->closest, out->closest, TOLD_MAX);
	out->asked = kad_lookup_asked(l);
	out->took = now;
	kad_lookup_free(l);
}

static struct lookup_config for_network(struct net *n, uint32_t from, unsigned closest)
{
	struct lookup_config cfg = config("");
	uint64_t key = draw(n);

	cfg.target = kad_id_of(&key, sizeof key);
	cfg.self = test_peer(from);
	cfg.paths = 10;
	cfg.closest = closest;
	return cfg;
}

static void in_a_thousand_nodes_the_twenty_nearest_are_found(void **state)
{
	struct net *n = *state;
	static struct kad_contact all[NODES];
	unsigned asked = 0, worst = 0;

	for (int i = 0; i < 100; i++) {
		uint32_t from = (uint32_t)(draw(n) % NODES);
		struct lookup_config cfg = for_network(n, from, KAD_K);
		struct outcome o;

		look_up(n, &cfg, from, NULL, &o);
		asked += o.asked;
		sorted(all, NODES, &cfg.target);
		assert_int_equal(o.n, KAD_K);
		int at = 0;
		for (int j = 0; j < KAD_K; j++, at++) {
			if (number_of(&all[at].peer) == from)
				at++;
			assert_true(peer_equal(&o.closest[j].peer, &all[at].peer));
		}
		if (o.took > worst)
			worst = (unsigned)o.took;
	}
	/* 110 ms a question at most: a few rounds, and few questions beyond the 20. */
	assert_in_range(worst, 1, 1100);
	assert_in_range(asked / 100, KAD_K, 60);
}

static void with_a_third_of_the_nodes_dead_the_nearest_alive_are_found(void **state)
{
	struct net *n = *state;
	int found = 0;

	for (int i = 0; i < NODES; i++)
		n->dead[i] = draw(n) % 3 == 0;
	for (int i = 0; i < 60; i++) {
		uint32_t from = (uint32_t)(draw(n) % NODES);
		struct lookup_config cfg = for_network(n, from, 3);
		struct outcome o;

		look_up(n, &cfg, from, NULL, &o);
		found += o.honest_near == 3;
		assert_in_range(o.took, 1, 60000);
	}
	memset(n->dead, 0, sizeof n->dead);
	assert_in_range(found, 59, 60);
}

/* hostile.md 57: a fifth of the network collude; a record that lies at the
 * honest nodes nearest to its key is still found by 99 of 100. */
static void b57_colluders_do_not_hide_a_record(void **state)
{
	struct net *n = *state;
	int found = 0;

	for (int i = 0; i < NODES; i++)
		n->hostile[i] = draw(n) % 5 == 0;
	for (int i = 0; i < 200; i++) {
		uint32_t from = (uint32_t)(draw(n) % NODES);
		struct lookup_config cfg = for_network(n, from, 3);
		struct outcome o;

		look_up(n, &cfg, from, NULL, &o);
		found += o.honest_near > 0;
	}
	memset(n->hostile, 0, sizeof n->hostile);
	assert_in_range(found, 198, 200);
}

static void without_disjoint_paths_they_would(void **state)
{
	struct net *n = *state;
	int found = 0;

	for (int i = 0; i < NODES; i++)
		n->hostile[i] = draw(n) % 5 == 0;
	for (int i = 0; i < 200; i++) {
		uint32_t from = (uint32_t)(draw(n) % NODES);
		struct lookup_config cfg = for_network(n, from, 3);
		struct outcome o;

		cfg.paths = 1;
		look_up(n, &cfg, from, NULL, &o);
		found += o.honest_near > 0;
	}
	memset(n->hostile, 0, sizeof n->hostile);
	assert_in_range(found, 0, 190);
}

static void measure(struct net *n, struct kad_size *size)
{
	*size = (struct kad_size){ 0 };
	for (int i = 0; i < KAD_SIZE_NOTES; i++) {
		uint32_t from = (uint32_t)(draw(n) % NODES);
		struct lookup_config cfg = for_network(n, from, KAD_K);
		struct outcome o;

		look_up(n, &cfg, from, NULL, &o);
		kad_size_note(size, &cfg.target, o.closest, o.n);
	}
}

static void the_size_of_the_network_is_guessed_from_its_density(void **state)
{
	struct kad_size size;
	struct kad_id near;

	measure(*state, &size);
	assert_in_range((unsigned)kad_size_nodes(&size), 800, 1200);
	assert_true(kad_size_radius(&size, 20, &near));
	assert_in_range(near.b[0], 256 * 20 / 1200, 256 * 20 / 800);
	/* All of it is no region, and too few measurements say nothing. */
	assert_false(kad_size_radius(&size, 800, &near));
	size.n = 2;
	assert_false(kad_size_radius(&size, 20, &near));
}

/* hostile.md 58: twice k made-up peers nearer to a key than any honest one, who
 * name only each other and keep nothing. */
static void b58_a_key_crowded_with_sybils_is_still_provided_and_found(void **state)
{
	struct net *n = *state;
	struct kad_size size;
	static struct kad_contact all[NODES];
	struct lookup_config cfg = for_network(n, 1, KAD_K);
	struct outcome told, asked;

	measure(n, &size);
	sorted(all, NODES, &cfg.target);
	for (uint32_t i = FAR + 10; n->n_sybils < SYBILS; i++) {
		struct kad_contact c = contact(i);
		if (kad_nearer(&cfg.target, &c.id, &all[0].id) < 0)
			n->sybils[n->n_sybils++] = c;
	}
	for (int i = 0; i < NODES; i++)
		for (int j = 0; j < SYBILS; j++)
			kad_table_offer(n->tables[i], &n->sybils[j].peer, NULL, 0, 0, 0);

	/* Without looking farther the record would lie with them alone. */
	look_up(n, &cfg, 1, NULL, &told);
	for (int i = 0; i < told.n; i++)
		assert_true(number_of(&told.closest[i].peer) >= NODES);
	cfg.has_region = kad_size_radius(&size, KAD_K, &cfg.region);
	assert_true(cfg.has_region);
	look_up(n, &cfg, 1, NULL, &told);
	int honest = 0;
	for (int i = 0; i < told.n; i++)
		honest += number_of(&told.closest[i].peer) < NODES;
	assert_in_range(honest, 10, 40);

	for (uint32_t from = 100; from < 150; from++) {
		bool at_holder = false;
		struct kad_id target = cfg.target;

		cfg = for_network(n, from, 3);
		cfg.target = target;
		look_up(n, &cfg, from, &size, &asked);
		for (int i = 0; i < told.n; i++) {
			uint32_t who = number_of(&told.closest[i].peer);
			at_holder |= who < NODES && asked.asked_who[who];
		}
		assert_true(at_holder);
	}
	n->n_sybils = 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_nearest_heard_of_is_asked_next),
		cmocka_unit_test(with_nobody_to_ask_it_is_over),
		cmocka_unit_test(
		    a_slow_peer_does_not_hold_up_the_others_and_a_silent_one_is_given_up),
		cmocka_unit_test(the_whole_ends_in_time_whatever_is_in_flight),
		cmocka_unit_test(b55_an_answer_of_ten_thousand_peers_counts_as_twenty),
		cmocka_unit_test(b56_an_endless_walk_ends_by_count),
		cmocka_unit_test(a_region_is_asked_out_beyond_the_nearest),
		cmocka_unit_test(in_a_thousand_nodes_the_twenty_nearest_are_found),
		cmocka_unit_test(
		    with_a_third_of_the_nodes_dead_the_nearest_alive_are_found),
		cmocka_unit_test(b57_colluders_do_not_hide_a_record),
		cmocka_unit_test(without_disjoint_paths_they_would),
		cmocka_unit_test(the_size_of_the_network_is_guessed_from_its_density),
		cmocka_unit_test(
		    b58_a_key_crowded_with_sybils_is_still_provided_and_found),
	};
	return cmocka_run_group_tests_name("kad_lookup", tests, build, tear_down);
}
