/* Who may knock, and how often. */
#include "net/limits.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sodium.h>
#include <stdio.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

static const struct limits_config config = { .half_open = 8,
					     .burst = 16,
					     .interval = 5000 };

static const struct sockaddr *from(const char *text)
{
	static struct sockaddr_storage sa;
	struct sockaddr_in *in = (void *)&sa;
	struct sockaddr_in6 *in6 = (void *)&sa;

	sa = (struct sockaddr_storage){ 0 };
	if (inet_pton(AF_INET, text, &in->sin_addr) == 1) {
		sa.ss_family = AF_INET;
	} else {
		assert_int_equal(inet_pton(AF_INET6, text, &in6->sin6_addr), 1);
		sa.ss_family = AF_INET6;
	}
	return (struct sockaddr *)&sa;
}

static void one_source_has_few_handshakes_open(void **state)
{
	struct limits *l = limits_new(&config);

	for (int i = 0; i < 8; i++)
		assert_true(limits_admit(l, from("192.0.2.1"), 0));
	assert_false(limits_admit(l, from("192.0.2.1"), 0));
	/* Its IPv6-mapped form is the same source; another address is not. */
	assert_false(limits_admit(l, from("::ffff:192.0.2.1"), 0));
	assert_true(limits_admit(l, from("192.0.2.2"), 0));
	limits_done(l, from("192.0.2.1"));
	assert_true(limits_admit(l, from("192.0.2.1"), 0));
	assert_false(limits_admit(l, from("192.0.2.1"), 0));
	limits_free(l);
}

static void one_source_comes_at_a_rate(void **state)
{
	struct limits *l = limits_new(&config);
	int admitted = 0;

	for (int i = 0; i < 10000; i++)
		if (limits_admit(l, from("192.0.2.1"), 1000)) {
			admitted++;
			limits_done(l, from("192.0.2.1"));
		}
	assert_int_equal(admitted, 16);
	assert_false(limits_admit(l, from("192.0.2.1"), 5999));
	assert_true(limits_admit(l, from("192.0.2.1"), 6000));
	assert_false(limits_admit(l, from("192.0.2.1"), 6000));
	limits_free(l);
}

static void ip6_sources_are_networks(void **state)
{
	struct limits *l = limits_new(&config);
	char text[64];
	int admitted = 0;

	for (int i = 0; i < 100; i++) {
		snprintf(text, sizeof text, "2001:db8:0:1::%x", i);
		admitted += limits_admit(l, from(text), 0);
	}
	assert_int_equal(admitted, 8);
	assert_true(limits_admit(l, from("2001:db8:0:2::1"), 0));
	limits_free(l);
}

static void our_own_machine_is_not_slowed_down(void **state)
{
	static const char *const local[] = { "127.0.0.1", "127.1.2.3", "::1",
					     "::ffff:127.0.0.1" };
	struct limits *l = limits_new(&config);

	for (int k = 0; k < 4; k++)
		for (int i = 0; i < 1000; i++) {
			assert_true(limits_admit(l, from(local[k]), 0));
			limits_done(l, from(local[k]));
		}
	/* But it too has few handshakes open. */
	for (int i = 0; i < 8; i++)
		assert_true(limits_admit(l, from("127.0.0.1"), 0));
	assert_false(limits_admit(l, from("127.0.0.1"), 0));
	limits_free(l);
}

static void handshakes_that_are_open_are_never_forgotten(void **state)
{
	struct limits *l = limits_new(&config);
	char text[64];

	for (int i = 0; i < 8; i++)
		assert_true(limits_admit(l, from("192.0.2.1"), 0));
	for (int i = 0; i < 100000; i++) {
		snprintf(text, sizeof text, "10.%d.%d.%d", i >> 16, i >> 8 & 255,
			 i & 255);
		if (limits_admit(l, from(text), i))
			limits_done(l, from(text));
	}
	assert_false(limits_admit(l, from("192.0.2.1"), 1000000));
	limits_free(l);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_source_has_few_handshakes_open),
		cmocka_unit_test(one_source_comes_at_a_rate),
		cmocka_unit_test(ip6_sources_are_networks),
		cmocka_unit_test(our_own_machine_is_not_slowed_down),
		cmocka_unit_test(handshakes_that_are_open_are_never_forgotten),
	};
	if (sodium_init() < 0)
		return 1;
	return cmocka_run_group_tests_name("limits", tests, NULL, NULL);
}
