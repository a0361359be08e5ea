/* Which snapshots a retention rule keeps. */
#include "fs/retain.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <errno.h>
#include <string.h>

#define MINUTE INT64_C(60000)
#define HOUR   (60 * MINUTE)
#define DAY    (24 * HOUR)
#define NOON   INT64_C(1793966400000) /* Friday, 2026-11-06 */
#define MAX    2000

static void apply(const struct retention *r, const int64_t *times, size_t n, bool *keep)
{
	struct retaining w;

	retaining_begin(&w, r);
	for (size_t i = 0; i < n; i++)
		keep[i] = retaining_next(&w, times[i]);
}

/* "x" for kept and "." for let go, the newest first. */
static const char *kept(const char *rule, const int64_t *times, size_t n)
{
	static char out[MAX + 1];
	struct retention r;
	bool keep[MAX];

	assert_true(n <= MAX);
	assert_int_equal(retention_parse(&r, rule), 0);
	apply(&r, times, n, keep);
	for (size_t i = 0; i < n; i++)
		out[i] = keep[i] ? 'x' : '.';
	out[n] = 0;
	return out;
}

static void rules_are_read_and_written(void **state)
{
	static const char *const good[] = { "all", "last=3", "hourly=24,daily=30", "last=0",
					    "last=1,hourly=2,daily=3,weekly=4,monthly=5,yearly=1000000" };
	static const char *const bad[] = { "",	       "all,last=1", "last",	  "last=",
					   "last=-1",  "last=1,",    ",last=1",	  "last=1,last=2",
					   "minutely=1", "last=1000001", "last=99999999999999999999",
					   "last=1 ",  "Last=1",     "last=0x1", "daily=1;hourly=1" };
	struct retention r;
	char text[RETAIN_TEXT_MAX];

	for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
		assert_int_equal(retention_parse(&r, good[i]), 0);
		assert_string_equal(retention_text(&r, text), good[i]);
	}
	assert_int_equal(retention_parse(&r, "daily=2,hourly=1"), 0);
	assert_string_equal(retention_text(&r, text), "hourly=1,daily=2");
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		assert_int_equal(retention_parse(&r, bad[i]), -EINVAL);
}

static void of_each_hour_the_newest_is_kept(void **state)
{
	const int64_t t[] = { NOON + 50 * MINUTE, NOON + 10 * MINUTE, NOON,
			      NOON - MINUTE,	  NOON - 59 * MINUTE, NOON - 61 * MINUTE };

	assert_string_equal(kept("hourly=2", t, 6), "x..x..");
	assert_string_equal(kept("hourly=3", t, 6), "x..x.x");
	assert_string_equal(kept("hourly=1", t, 6), "x.....");
	assert_string_equal(kept("last=2", t, 6), "xx....");
	assert_string_equal(kept("last=2,hourly=2", t, 6), "xx.x..");
	assert_string_equal(kept("all", t, 6), "xxxxxx");
	/* The newest is kept whatever the rule. */
	assert_string_equal(kept("last=0", t, 6), "x.....");
}

static void hours_without_a_snapshot_do_not_count(void **state)
{
	const int64_t t[] = { NOON, NOON - 10 * DAY, NOON - 10 * DAY - MINUTE, NOON - 400 * DAY };

	assert_string_equal(kept("hourly=3", t, 4), "xxx.");
	assert_string_equal(kept("daily=3", t, 4), "xx.x");
	assert_string_equal(kept("yearly=2", t, 4), "x..x");
}

static void weeks_begin_on_monday_and_months_on_the_first(void **state)
{
	/* Friday 6 November 2026 back to Sunday 25 October. */
	int64_t t[13];

	for (int i = 0; i < 13; i++)
		t[i] = NOON - i * DAY;
	/* Sunday 1 November (i = 5) ends the week before; 31 October is i = 6. */
	assert_string_equal(kept("weekly=2", t, 13), "x....x.......");
	assert_string_equal(kept("weekly=3", t, 13), "x....x......x");
	assert_string_equal(kept("monthly=2", t, 13), "x.....x......");
}

static void times_before_1970_and_clocks_that_run_back_are_taken_in_order(void **state)
{
	const int64_t old[] = { -1, -HOUR + 1, -HOUR, -HOUR - 1, -2 * HOUR };
	/* A clock ten years ahead does not make one the newest of its day. */
	const int64_t mad[] = { NOON, NOON + 3650 * DAY, NOON - DAY };

	assert_string_equal(kept("hourly=2", old, 5), "x..x.");
	assert_string_equal(kept("daily=2", mad, 3), "x.x");
	assert_string_equal(kept("hourly=5", NULL, 0), "");
}

/* What was let go never comes back as time goes on. */
static void a_snapshot_let_go_stays_so(void **state)
{
	static int64_t t[MAX];
	static bool gone[MAX];
	struct retention r;
	uint32_t seed = 7;

	assert_int_equal(retention_parse(&r, "last=3,hourly=5,daily=4,weekly=3,monthly=2"), 0);
	int64_t time = NOON;
	for (int n = 1; n <= MAX; n++) {
		bool keep[MAX];
		seed = seed * 1103515245 + 12345;
		time += (seed >> 16) % 40 * MINUTE;
		memmove(t + 1, t, (size_t)(n - 1) * sizeof *t);
		t[0] = time;
		apply(&r, t, (size_t)n, keep);
		for (int i = 0; i < n; i++) {
			int born = n - 1 - i;
			assert_false(gone[born] && keep[i]);
			gone[born] = !keep[i];
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rules_are_read_and_written),
		cmocka_unit_test(of_each_hour_the_newest_is_kept),
		cmocka_unit_test(hours_without_a_snapshot_do_not_count),
		cmocka_unit_test(weeks_begin_on_monday_and_months_on_the_first),
		cmocka_unit_test(times_before_1970_and_clocks_that_run_back_are_taken_in_order),
		cmocka_unit_test(a_snapshot_let_go_stays_so),
	};
	return cmocka_run_group_tests_name("retain", tests, NULL, NULL);
}
