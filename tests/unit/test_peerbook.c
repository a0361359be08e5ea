/* The address book: what is kept, in which order, and what goes. */
#include "net/peerbook.h"
#include "store/error.h"

#include <stdio.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

static struct addr addr_at(const char *text)
{
	struct addr a;

	assert_int_equal(addr_parse(&a, text), 0);
	return a;
}

static struct addr addr_number(unsigned n)
{
	char text[64];

	snprintf(text, sizeof text, "/ip4/192.0.2.1/tcp/%u", n);
	return addr_at(text);
}

/* A made-up peer id: sha2-256 of nothing in particular. */
static struct peer_id peer_number(uint32_t n)
{
	struct peer_id p = { .len = 34, .bytes = { 0x12, 0x20 } };

	memcpy(p.bytes + 2, &n, sizeof n);
	return p;
}

static void the_most_trusted_come_first(void **state)
{
	struct peerbook *b = peerbook_new();
	struct peer_id p = peer_number(1);
	struct addr heard = addr_number(1), sig = addr_number(2), used = addr_number(3),
		    out[8];

	peerbook_add(b, &p, &heard, ADDR_HEARD, 0);
	assert_true(peerbook_record(b, &p, 5, &sig, 1, 0));
	peerbook_add(b, &p, &heard, ADDR_HEARD, 0);
	peerbook_add(b, &p, &used, ADDR_CONFIRMED, 0);
	assert_int_equal(peerbook_get(b, &p, out, 8, 1), 3);
	assert_true(addr_equal(&out[0], &used));
	assert_true(addr_equal(&out[1], &sig));
	assert_true(addr_equal(&out[2], &heard));
	assert_int_equal(peerbook_get(b, &p, out, 1, 1), 1);
	p = peer_number(2);
	assert_int_equal(peerbook_get(b, &p, out, 8, 1), 0);
	peerbook_free(b);
}

static void the_peer_id_in_an_address_is_stripped(void **state)
{
	struct peerbook *b = peerbook_new();
	struct peer_id p = peer_number(1);
	struct addr bare = addr_number(1), full = bare, out[8];

	assert_int_equal(addr_add_peer(&full, &p), 0);
	peerbook_add(b, &p, &full, ADDR_HEARD, 0);
	peerbook_add(b, &p, &bare, ADDR_HEARD, 0);
	assert_int_equal(peerbook_get(b, &p, out, 8, 1), 1);
	assert_true(addr_equal(&out[0], &bare));
	peerbook_free(b);
}

static void b47_only_a_newer_record_replaces_the_addresses(void **state)
{
	struct peerbook *b = peerbook_new();
	struct peer_id p = peer_number(1);
	struct addr first = addr_number(1), second = addr_number(2), out[8];

	assert_true(peerbook_record(b, &p, 5, &first, 1, 0));
	assert_false(peerbook_record(b, &p, 4, &second, 1, 0));
	assert_false(peerbook_record(b, &p, 5, &second, 1, 0));
	assert_int_equal(peerbook_get(b, &p, out, 8, 1), 1);
	assert_true(addr_equal(&out[0], &first));
	assert_true(peerbook_record(b, &p, 6, &second, 1, 0));
	assert_int_equal(peerbook_get(b, &p, out, 8, 1), 1);
	assert_true(addr_equal(&out[0], &second));
	peerbook_free(b);
}

static void what_is_not_confirmed_expires_first(void **state)
{
	struct peerbook *b = peerbook_new();
	struct peer_id p = peer_number(1);
	struct addr heard = addr_number(1), used = addr_number(2), out[8];
	const uint64_t minute = 60000;

	peerbook_add(b, &p, &heard, ADDR_HEARD, 0);
	peerbook_add(b, &p, &used, ADDR_CONFIRMED, 0);
	assert_int_equal(peerbook_get(b, &p, out, 8, 30 * minute - 1), 2);
	assert_int_equal(peerbook_get(b, &p, out, 8, 30 * minute), 1);
	assert_true(addr_equal(&out[0], &used));
	assert_int_equal(peerbook_get(b, &p, out, 8, 120 * minute), 0);
	peerbook_free(b);
}

static void hearsay_does_not_push_out_what_is_known(void **state)
{
	struct peerbook *b = peerbook_new();
	struct peer_id p = peer_number(1);
	struct addr used = addr_number(1), out[PEERBOOK_ADDRS + 1];

	peerbook_add(b, &p, &used, ADDR_CONFIRMED, 0);
	for (unsigned i = 2; i < 10000; i++) {
		struct addr a = addr_number(i);
		peerbook_add(b, &p, &a, ADDR_HEARD, i);
	}
	assert_int_equal(peerbook_get(b, &p, out, PEERBOOK_ADDRS + 1, 10000),
			 PEERBOOK_ADDRS);
	assert_true(addr_equal(&out[0], &used));
	peerbook_free(b);
}

static void b44_made_up_peers_push_out_each_other(void **state)
{
	struct peerbook *b = peerbook_new();
	struct addr a = addr_number(1), out[2];
	struct peer_id kept = peer_number(UINT32_MAX);
	unsigned n = 0;

	peerbook_add(b, &kept, &a, ADDR_CONFIRMED, 0);
	for (uint32_t i = 0; i < 100000; i++) {
		struct peer_id p = peer_number(i);
		peerbook_add(b, &p, &a, ADDR_HEARD, i);
		/* One that is used now and then stays. */
		if (i % 1000 == 0)
			peerbook_add(b, &kept, &a, ADDR_CONFIRMED, i);
	}
	for (uint32_t i = 0; i < 100000; i++) {
		struct peer_id p = peer_number(i);
		n += peerbook_get(b, &p, out, 2, 100000);
	}
	assert_int_equal(n, PEERBOOK_PEERS - 1);
	assert_int_equal(peerbook_get(b, &kept, out, 2, 100000), 1);
	peerbook_free(b);
}

static void a_failure_is_remembered_until_something_new_comes(void **state)
{
	struct peerbook *b = peerbook_new();
	struct peer_id p = peer_number(1);
	struct addr a = addr_number(1), other = addr_number(2);

	assert_int_equal(peerbook_failure(b, &p, 0), 0);
	peerbook_add(b, &p, &a, ADDR_HEARD, 0);
	peerbook_failed(b, &p, -ECONNREFUSED, 30000);
	assert_int_equal(peerbook_failure(b, &p, 29999), -ECONNREFUSED);
	assert_int_equal(peerbook_failure(b, &p, 30000), 0);
	peerbook_add(b, &p, &a, ADDR_HEARD, 10);
	assert_int_equal(peerbook_failure(b, &p, 20), -ECONNREFUSED);
	peerbook_add(b, &p, &other, ADDR_HEARD, 10);
	assert_int_equal(peerbook_failure(b, &p, 20), 0);
	peerbook_free(b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_most_trusted_come_first),
		cmocka_unit_test(the_peer_id_in_an_address_is_stripped),
		cmocka_unit_test(b47_only_a_newer_record_replaces_the_addresses),
		cmocka_unit_test(what_is_not_confirmed_expires_first),
		cmocka_unit_test(hearsay_does_not_push_out_what_is_known),
		cmocka_unit_test(b44_made_up_peers_push_out_each_other),
		cmocka_unit_test(a_failure_is_remembered_until_something_new_comes),
	};
	return cmocka_run_group_tests_name("peerbook", tests, NULL, NULL);
}
