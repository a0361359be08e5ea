/* What we provide is told again in time. */
#include "net/reprovide.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

static struct multihash key(uint32_t n)
{
	struct multihash m;

	multihash_sha256(&m, &n, sizeof n);
	return m;
}

static void a_key_is_due_after_22_hours_and_again_after_44(void **state)
{
	struct reprovide *rp = reprovide_new(1);
	struct multihash a = key(1), b = key(2), got;

	reprovide_note(rp, &a, true, 0);
	reprovide_note(rp, &b, true, 1000);
	reprovide_note(rp, &a, true, 2000); /* provided again: counted once, from now */
	assert_int_equal(reprovide_count(rp), 2);
	assert_false(reprovide_next(rp, REPROVIDE_MS + 999, &got));
	assert_true(reprovide_next(rp, REPROVIDE_MS + 1000, &got));
	assert_true(multihash_equal(&got, &b));
	assert_false(reprovide_next(rp, REPROVIDE_MS + 1999, &got));
	assert_true(reprovide_next(rp, REPROVIDE_MS + 2000, &got));
	assert_true(multihash_equal(&got, &a));
	assert_true(reprovide_next(rp, 2 * REPROVIDE_MS + 2000, &got));
	assert_true(multihash_equal(&got, &b));
	reprovide_free(rp);
}

static void what_nobody_was_told_of_waits_for_a_retry(void **state)
{
	struct reprovide *rp = reprovide_new(1);
	struct multihash a = key(1), got;

	reprovide_note(rp, &a, false, 0);
	assert_false(reprovide_next(rp, 10 * REPROVIDE_MS, &got));
	reprovide_retry(rp);
	assert_true(reprovide_next(rp, 5, &got));
	assert_true(multihash_equal(&got, &a));
	assert_false(reprovide_next(rp, 5, &got)); /* under way */
	reprovide_note(rp, &a, false, 6);
	assert_false(reprovide_next(rp, 6, &got));
	reprovide_retry(rp);
	assert_true(reprovide_next(rp, 7, &got));
	reprovide_note(rp, &a, true, 8);
	reprovide_retry(rp);
	assert_false(reprovide_next(rp, 9, &got));
	assert_true(reprovide_next(rp, 8 + REPROVIDE_MS, &got));
	reprovide_free(rp);
}

static void the_list_is_bounded(void **state)
{
	struct reprovide *rp = reprovide_new(1);
	struct multihash got, second = key(1);

	for (uint32_t i = 0; i < REPROVIDE_MAX + 1; i++) {
		struct multihash m = key(i);
		reprovide_note(rp, &m, true, i);
	}
	assert_int_equal(reprovide_count(rp), REPROVIDE_MAX);
	assert_true(reprovide_next(rp, UINT64_MAX / 2, &got));
	assert_true(multihash_equal(&got, &second));
	reprovide_free(rp);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_key_is_due_after_22_hours_and_again_after_44),
		cmocka_unit_test(what_nobody_was_told_of_waits_for_a_retry),
		cmocka_unit_test(the_list_is_bounded),
	};
	return cmocka_run_group_tests_name("reprovide", tests, NULL, NULL);
}
