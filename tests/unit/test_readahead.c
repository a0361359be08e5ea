/* When to fetch ahead of a reader. */
#include "fs/readahead.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#define KIB 1024ull
#define MIB (1024ull * KIB)
#define GIB (1024ull * MIB)

static int setup(void **state)
{
	struct readahead *r;

	assert_int_equal(readahead_new(&r), 0);
	*state = r;
	return 0;
}

static int teardown(void **state)
{
	readahead_free(*state);
	return 0;
}

static void a_single_read_fetches_nothing_more(void **state)
{
	uint64_t from, n;

	assert_false(readahead_read(*state, 20, 512 * MIB, 4 * KIB, GIB, &from, &n));
	assert_false(readahead_read(*state, 21, 0, 1 * MIB, GIB, &from, &n));
}

static void random_reads_fetch_nothing_more(void **state)
{
	uint64_t from, n, offset = 1;

	for (int i = 0; i < 1000; i++) {
		offset = offset * 6364136223846793005u + 1442695040888963407u;
		assert_false(readahead_read(*state, 20, (offset >> 33) % 64 * 16 * MIB,
					    128 * KIB, GIB, &from, &n));
	}
}

static void a_sequential_reader_finds_a_growing_window(void **state)
{
	uint64_t from, n, ahead = 0, end = 0, widest = 0;

	for (uint64_t offset = 0; offset < 256 * MIB; offset += 128 * KIB) {
		bool fetch =
		    readahead_read(*state, 20, offset, 128 * KIB, GIB, &from, &n);

		end = offset + 128 * KIB;
		if (!fetch)
			continue;
		/* Nothing twice, and no gap. */
		assert_true(from == (ahead > end ? ahead : end));
		ahead = from + n;
		assert_true(ahead - end <= end && ahead - end <= READAHEAD_MAX);
		if (ahead - end > widest)
			widest = ahead - end;
	}
	assert_true(widest == READAHEAD_MAX);
	assert_true(ahead > end + READAHEAD_MAX / 2);
}

static void it_stops_at_the_end_of_the_file(void **state)
{
	uint64_t from, n, ahead = 0;

	for (uint64_t offset = 0; offset < 3 * MIB; offset += 128 * KIB) {
		if (readahead_read(*state, 20, offset, 128 * KIB, 3 * MIB, &from, &n))
			ahead = from + n;
	}
	assert_true(ahead == 3 * MIB);
	assert_false(readahead_read(*state, 20, 3 * MIB, 128 * KIB, 3 * MIB, &from, &n));
}

static void requests_out_of_order_are_one_reader(void **state)
{
	static const int order[] = { 1, 0, 3, 2, 5, 4, 7, 6, 9, 8 };
	uint64_t from, n;
	bool fetched = false;

	for (int i = 0; i < 10; i++)
		fetched |= readahead_read(*state, 20, order[i] * 128 * KIB, 128 * KIB,
					  GIB, &from, &n);
	assert_true(fetched);
}

static void one_small_file_fetches_no_other(void **state)
{
	uint64_t from;
	bool first;

	assert_int_equal(readahead_sibling(*state, 7, 3, &from, &first), 0);
	assert_true(first);
	assert_int_equal(readahead_sibling(*state, 8, 3, &from, &first), 0);
}

static void the_second_fetches_those_behind_it(void **state)
{
	uint64_t from;
	bool first;

	readahead_sibling(*state, 7, 3, &from, &first);
	assert_int_equal(readahead_sibling(*state, 7, 4, &from, &first), 4);
	assert_int_equal(from, 4);
	assert_false(first);
	/* Not twice at a time. */
	assert_int_equal(readahead_sibling(*state, 7, 5, &from, &first), 0);
}

static void the_window_over_files_doubles_and_is_bounded(void **state)
{
	unsigned fetched = 2, read = 0, most = 0;
	uint64_t from, pos = 0;
	bool first;

	for (read = 1; read < 5000; read++) {
		unsigned n = readahead_sibling(*state, 7, read, &from, &first);

		if (n == 0)
			continue;
		assert_true(pos == 0 || from == pos);
		pos = from + n;
		fetched += n;
		readahead_siblings_done(*state, 7, pos, n, false);
		if (fetched - read > most)
			most = fetched - read;
		assert_true(fetched <= read + SIBLINGS_MAX + 2);
	}
	assert_true(most >= SIBLINGS_MAX / 2);
}

static void at_the_end_of_a_directory_it_is_left_alone(void **state)
{
	uint64_t from;
	bool first;

	readahead_sibling(*state, 7, 1, &from, &first);
	assert_int_not_equal(readahead_sibling(*state, 7, 2, &from, &first), 0);
	readahead_siblings_done(*state, 7, 6, 4, true);
	for (int i = 3; i < 100; i++)
		assert_int_equal(readahead_sibling(*state, 7, i, &from, &first), 0);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(a_single_read_fetches_nothing_more),
		TEST(random_reads_fetch_nothing_more),
		TEST(a_sequential_reader_finds_a_growing_window),
		TEST(it_stops_at_the_end_of_the_file),
		TEST(requests_out_of_order_are_one_reader),
		TEST(one_small_file_fetches_no_other),
		TEST(the_second_fetches_those_behind_it),
		TEST(the_window_over_files_doubles_and_is_bounded),
		TEST(at_the_end_of_a_directory_it_is_left_alone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
