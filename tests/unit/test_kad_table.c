/* The routing table, and the records kept for others. */
#include "net/kad_table.h"
#include "net/providers.h"
#include "net/records.h"
#include "store/error.h"
#include "kad_testing.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <cmocka.h>

/* wire.md 2 names the place of this peer. */
static void the_place_of_a_peer_is_the_hash_of_its_id(void **state)
{
	static const uint8_t id[38] = {
		0x00, 0x24, 0x08, 0x01, 0x12, 0x20, 0x9e, 0x3b, 0x43, 0x3c,
		0xbd, 0x31, 0xc2, 0xb8, 0xa6, 0xeb, 0xbd, 0xca, 0x99, 0x8b,
		0xd0, 0xf4, 0xc2, 0x14, 0x1c, 0x9c, 0x9a, 0xf5, 0x42, 0x2e,
		0x97, 0x60, 0x51, 0xb1, 0xe6, 0x3a, 0xf1, 0x4d,
	};
	static const uint8_t place[32] = {
		0xe4, 0x3d, 0x28, 0xf0, 0x99, 0x65, 0x57, 0xc0, 0xd5, 0x57, 0x1d,
		0x75, 0xc6, 0x2a, 0x57, 0xa5, 0x9d, 0x7a, 0xc1, 0xd3, 0x0a, 0x51,
		0xec, 0xed, 0xcd, 0xb9, 0xd5, 0xe4, 0xaf, 0xa5, 0x61, 0x00,
	};
	struct peer_id p = { .len = 38 };

	memcpy(p.bytes, id, sizeof id);
	struct kad_id k = kad_id_of_peer(&p);
	assert_memory_equal(k.b, place, 32);
}

static void distance_is_compared_as_one_large_number(void **state)
{
	struct kad_id target = { { 0x80 } }, near = { { 0x81 } }, far = { { 0x00 } };

	assert_true(kad_nearer(&target, &near, &far) < 0);
	assert_true(kad_nearer(&target, &far, &near) > 0);
	assert_int_equal(kad_nearer(&target, &far, &far), 0);
	assert_int_equal(kad_common_bits(&target, &near), 7);
	assert_int_equal(kad_common_bits(&target, &far), 0);
	assert_int_equal(kad_common_bits(&far, &far), 256);
	struct kad_id last = far;
	last.b[31] = 1;
	assert_int_equal(kad_common_bits(&far, &last), 255);
}

static struct kad_table *table_of_self(void)
{
	struct peer_id self = test_peer(UINT32_MAX);
	struct kad_table *t;

	assert_int_equal(kad_table_new(&t, &self), 0);
	return t;
}

static int common_with_self(uint32_t n)
{
	struct peer_id self = test_peer(UINT32_MAX), p = test_peer(n);
	struct kad_id a = kad_id_of_peer(&self), b = kad_id_of_peer(&p);

	return kad_common_bits(&a, &b);
}

static void the_nearest_of_many_are_found(void **state)
{
	struct kad_table *t = table_of_self();
	struct kad_contact got[KAD_K], all[2000];
	struct kad_id target = kad_id_of("somewhere", 9);

	for (uint32_t i = 0; i < 2000; i++) {
		struct peer_id p = test_peer(i);
		kad_table_offer(t, &p, NULL, 0, 0, 0);
	}
	/* Full buckets above, all of the few below. */
	uint32_t want = 0, in_bucket[32] = { 0 };
	for (uint32_t i = 0; i < 2000; i++)
		in_bucket[common_with_self(i)]++;
	for (int i = 0; i < 32; i++)
		want += in_bucket[i] < KAD_K ? in_bucket[i] : KAD_K;
	assert_int_equal(kad_table_count(t), want);

	int n = kad_table_closest(t, &target, all, 2000);
	assert_int_equal(n, want);
	for (int i = 1; i < n; i++)
		assert_true(kad_nearer(&target, &all[i - 1].id, &all[i].id) < 0);
	assert_int_equal(kad_table_closest(t, &target, got, KAD_K), KAD_K);
	for (int i = 0; i < KAD_K; i++)
		assert_true(peer_equal(&got[i].peer, &all[i].peer));
	kad_table_free(t);
}

static void we_are_not_in_our_own_table(void **state)
{
	struct kad_table *t = table_of_self();
	struct peer_id self = test_peer(UINT32_MAX);

	assert_int_equal(kad_table_offer(t, &self, NULL, 0, 0, 0), -EINVAL);
	assert_int_equal(kad_table_depth(t), -1);
	kad_table_free(t);
}

static void a_peer_said_again_has_its_new_addresses(void **state)
{
	struct kad_table *t = table_of_self();
	struct peer_id p = test_peer(1);
	struct kad_id target = kad_id_of_peer(&p);
	struct kad_contact c;

	assert_int_equal(kad_table_offer(t, &p, (const uint8_t *)"old", 3, 0, 0), 1);
	assert_int_equal(kad_table_offer(t, &p, (const uint8_t *)"newer", 5, 0, 9), 0);
	assert_int_equal(kad_table_closest(t, &target, &c, 1), 1);
	assert_int_equal(c.addrs_len, 5);
	assert_memory_equal(c.addrs, "newer", 5);
	assert_true(kad_table_has(t, &p));
	kad_table_remove(t, &p);
	assert_false(kad_table_has(t, &p));
	assert_int_equal(kad_table_count(t), 0);
	kad_table_free(t);
}

/* hostile.md 59, 60: 21 peers for the bucket with no common bit. */
static void a_full_bucket_gives_up_only_one_that_fails(void **state)
{
	struct kad_table *t = table_of_self();
	struct peer_id first = { 0 }, p = { 0 };
	uint32_t n = 0;

	for (int in = 0; in < KAD_K; n++) {
		if (common_with_self(n) != 0)
			continue;
		p = test_peer(n);
		if (!in++)
			first = p;
		assert_int_equal(kad_table_offer(t, &p, NULL, 0, 0, n), 1);
	}
	while (common_with_self(n) != 0)
		n++;
	p = test_peer(n);
	assert_int_equal(kad_table_offer(t, &p, NULL, 0, 0, n), -ENOSPC);
	assert_false(kad_table_failed(t, &first));
	kad_table_answered(t, &first, n);
	assert_int_equal(kad_table_offer(t, &p, NULL, 0, 0, n), -ENOSPC);
	assert_false(kad_table_failed(t, &first));
	assert_int_equal(kad_table_offer(t, &p, NULL, 0, 0, n), 1);
	assert_false(kad_table_has(t, &first));
	assert_true(kad_table_has(t, &p));
	assert_int_equal(kad_table_count(t), KAD_K);
	kad_table_free(t);
}

static void a_peer_that_fails_twice_goes(void **state)
{
	struct kad_table *t = table_of_self();
	struct peer_id p = test_peer(3), q = test_peer(4);

	kad_table_offer(t, &p, NULL, 0, 0, 0);
	assert_false(kad_table_failed(t, &p));
	assert_true(kad_table_failed(t, &p));
	assert_false(kad_table_has(t, &p));
	assert_false(kad_table_failed(t, &q)); /* never there */
	kad_table_free(t);
}

/* hostile.md 59 */
static void b59_one_network_gets_three_places_and_two_in_a_bucket(void **state)
{
	struct kad_table *t = table_of_self();
	int in_bucket[32] = { 0 };

	for (uint32_t i = 0; i < 1000; i++) {
		struct peer_id p = test_peer(i);
		int r = kad_table_offer(t, &p, NULL, 0, 0x0a0b, 0);

		if (r > 0)
			in_bucket[common_with_self(i)]++;
		else
			assert_true(r == -EDQUOT || r == -ENOSPC);
	}
	assert_int_equal(kad_table_count(t), 3);
	for (int i = 0; i < 32; i++)
		assert_in_range(in_bucket[i], 0, 2);
	/* Others, and those without a group, still find room. */
	struct peer_id p = test_peer(5000), q = test_peer(5001);
	assert_int_equal(kad_table_offer(t, &p, NULL, 0, 0x0a0c, 0), 1);
	assert_int_equal(kad_table_offer(t, &q, NULL, 0, 0, 0), 1);
	/* Moving into the full group costs the place. */
	assert_int_equal(kad_table_offer(t, &p, NULL, 0, 0x0a0b, 0), -EDQUOT);
	assert_false(kad_table_has(t, &p));
	kad_table_free(t);
}

static void the_stalest_come_first(void **state)
{
	struct kad_table *t = table_of_self();
	struct kad_contact c[2];

	for (uint32_t i = 1; i <= 5; i++) {
		struct peer_id p = test_peer(i);
		kad_table_offer(t, &p, NULL, 0, 0, i * 100);
	}
	struct peer_id one = test_peer(1), two = test_peer(2), three = test_peer(3);
	kad_table_answered(t, &one, 1000);
	assert_int_equal(kad_table_stale(t, 400, c, 2), 2);
	assert_true(peer_equal(&c[0].peer, &two));
	assert_true(peer_equal(&c[1].peer, &three));
	assert_int_equal(kad_table_stale(t, 250, c, 2), 1);
	kad_table_free(t);
}

/* ---- provider records ---- */

static struct kad_id key_number(uint32_t n)
{
	return kad_id_of(&n, sizeof n);
}

static void providers_of_a_key_are_found_with_their_addresses(void **state)
{
	struct providers *p;
	struct provider got[4];
	struct kad_id key = key_number(1), other = key_number(2);
	struct peer_id a = test_peer(1), b = test_peer(2);

	assert_int_equal(providers_new(&p, &PROVIDERS_LIMITS, 42), 0);
	assert_int_equal(providers_add(p, &key, &a, (const uint8_t *)"there", 5, 0), 0);
	assert_int_equal(providers_add(p, &key, &b, NULL, 0, 0), 0);
	assert_int_equal(providers_add(p, &key, &a, (const uint8_t *)"here", 4, 0), 0);
	assert_int_equal(providers_get(p, &key, 0, 1, got, 4), 2);
	assert_true(peer_equal(got[0].peer, &a)); /* the younger, where random began */
	assert_int_equal(got[0].addrs_len, 4);
	assert_memory_equal(got[0].addrs, "here", 4);
	assert_true(peer_equal(got[1].peer, &b));
	assert_int_equal(providers_get(p, &other, 0, 1, got, 4), 0);
	providers_free(p);
}

/* hostile.md 63: by time of receipt on a clock that only runs forward. */
static void b63_records_expire_by_when_they_came(void **state)
{
	struct providers *p;
	struct provider got[4];
	struct kad_id key = key_number(1);
	struct peer_id a = test_peer(1), b = test_peer(2);

	assert_int_equal(providers_new(&p, &PROVIDERS_LIMITS, 42), 0);
	providers_add(p, &key, &a, (const uint8_t *)"there", 5, 0);
	providers_add(p, &key, &b, NULL, 0, 1000);
	assert_int_equal(providers_get(p, &key, PROVIDER_ADDRS_LIFE_MS - 1, 0, got, 4),
			 2);
	assert_int_equal(got[0].addrs_len, 5);
	assert_int_equal(providers_get(p, &key, PROVIDER_ADDRS_LIFE_MS, 0, got, 4), 2);
	assert_int_equal(got[0].addrs_len, 0);
	assert_int_equal(providers_expire(p, PROVIDER_LIFE_MS - 1), 2);
	assert_int_equal(providers_expire(p, PROVIDER_LIFE_MS), 1);
	assert_int_equal(providers_expire(p, PROVIDER_LIFE_MS + 1000), 0);
	assert_int_equal(providers_get(p, &key, PROVIDER_LIFE_MS + 1000, 0, got, 4), 0);
	providers_free(p);
}

/* hostile.md 51 */
static void b51_one_peer_cannot_fill_the_store(void **state)
{
	const struct providers_limits limits = { .total = 100,
						 .per_peer = 10,
						 .per_key = 5 };
	struct providers *p;
	struct provider got[8];
	struct peer_id honest = test_peer(1), greedy = test_peer(2);
	struct kad_id first = key_number(1);

	assert_int_equal(providers_new(&p, &limits, 42), 0);
	providers_add(p, &first, &honest, NULL, 0, 0);
	for (uint32_t i = 0; i < 100000; i++) {
		struct kad_id key = key_number(i);
		assert_int_equal(providers_add(p, &key, &greedy, NULL, 0, 1), 0);
	}
	assert_int_equal(providers_expire(p, 1), 11);
	assert_int_equal(providers_get(p, &first, 1, 0, got, 8), 1);
	assert_true(peer_equal(got[0].peer, &honest));
	/* Its oldest went, its youngest are there. */
	struct kad_id last = key_number(99999);
	assert_int_equal(providers_get(p, &last, 1, 0, got, 8), 1);
	/* Many peers: the oldest of all go. */
	for (uint32_t i = 10; i < 400; i++) {
		struct kad_id key = key_number(1000000 + i);
		struct peer_id peer = test_peer(i);
		providers_add(p, &key, &peer, NULL, 0, 2);
	}
	assert_int_equal(providers_expire(p, 2), 100);
	assert_int_equal(providers_get(p, &first, 2, 0, got, 8), 0);
	providers_free(p);
}

/* hostile.md 52 */
static void b52_a_key_of_many_providers_gives_some_of_them(void **state)
{
	struct providers *p;
	struct provider got[20];
	struct kad_id key = key_number(1);

	assert_int_equal(providers_new(&p, &PROVIDERS_LIMITS, 42), 0);
	for (uint32_t i = 0; i < 10000; i++) {
		struct peer_id peer = test_peer(i);
		providers_add(p, &key, &peer, NULL, 0, 0);
	}
	assert_int_equal(providers_expire(p, 0), PROVIDERS_LIMITS.per_key);
	assert_int_equal(providers_get(p, &key, 0, 7, got, 20), 20);
	struct peer_id one = *got[0].peer;
	for (int i = 1; i < 20; i++)
		assert_false(peer_equal(got[0].peer, got[i].peer));
	assert_int_equal(providers_get(p, &key, 0, 500, got, 20), 20);
	assert_false(peer_equal(&one, got[0].peer));
	/* The list is a ring. */
	assert_int_equal(providers_get(p, &key, 0, PROVIDERS_LIMITS.per_key - 1, got, 20),
			 20);
	providers_free(p);
}

/* ---- value records ---- */

static void a_value_is_kept_until_it_expires(void **state)
{
	struct records *r;
	struct kad_id key = key_number(1);
	size_t len;

	assert_int_equal(records_new(&r, &RECORDS_LIMITS, 42), 0);
	assert_null(records_get(r, &key, 0, &len));
	assert_int_equal(records_put(r, &key, "one", 3, 0), 0);
	assert_int_equal(records_put(r, &key, "longer", 6, 10), 0);
	assert_memory_equal(records_get(r, &key, 10, &len), "longer", 6);
	assert_int_equal(len, 6);
	assert_int_equal(records_expire(r, RECORD_LIFE_MS + 9), 1);
	assert_null(records_get(r, &key, RECORD_LIFE_MS + 10, &len));
	records_free(r);
}

static void values_are_bounded_in_number_and_bytes(void **state)
{
	const struct records_limits limits = { .count = 10, .bytes = 1000 };
	struct records *r;
	static const uint8_t big[RECORD_VALUE_MAX + 1];
	size_t len;

	assert_int_equal(records_new(&r, &limits, 42), 0);
	for (uint32_t i = 0; i < 20; i++) {
		struct kad_id key = key_number(i);
		assert_int_equal(records_put(r, &key, "x", 1, i), 0);
	}
	assert_int_equal(records_expire(r, 20), 10);
	struct kad_id nine = key_number(9), ten = key_number(10);
	assert_null(records_get(r, &nine, 20, &len));
	assert_non_null(records_get(r, &ten, 20, &len));
	assert_int_equal(records_put(r, &nine, big, 995, 20), 0);
	assert_int_equal(records_expire(r, 20), 6);
	assert_int_equal(records_put(r, &nine, big, sizeof big, 20), -EMSGSIZE);
	records_free(r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_place_of_a_peer_is_the_hash_of_its_id),
		cmocka_unit_test(distance_is_compared_as_one_large_number),
		cmocka_unit_test(the_nearest_of_many_are_found),
		cmocka_unit_test(we_are_not_in_our_own_table),
		cmocka_unit_test(a_peer_said_again_has_its_new_addresses),
		cmocka_unit_test(a_full_bucket_gives_up_only_one_that_fails),
		cmocka_unit_test(a_peer_that_fails_twice_goes),
		cmocka_unit_test(b59_one_network_gets_three_places_and_two_in_a_bucket),
		cmocka_unit_test(the_stalest_come_first),
		cmocka_unit_test(providers_of_a_key_are_found_with_their_addresses),
		cmocka_unit_test(b63_records_expire_by_when_they_came),
		cmocka_unit_test(b51_one_peer_cannot_fill_the_store),
		cmocka_unit_test(b52_a_key_of_many_providers_gives_some_of_them),
		cmocka_unit_test(a_value_is_kept_until_it_expires),
		cmocka_unit_test(values_are_bounded_in_number_and_bytes),
	};
	return cmocka_run_group_tests_name("kad_table", tests, NULL, NULL);
}
