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

static unsigned use(struct readahead *r, uint64_t pos, bool local, uint64_t *from)
{
	struct sibling s = { 7, pos, local };
	bool first;

	return readahead_sibling(r, &s, from, &first);
}

static void one_small_file_fetches_no_other(void **state)
{
	struct sibling a = { 7, 3, false }, b = { 8, 3, false };
	uint64_t from;
	bool first;

	assert_int_equal(readahead_sibling(*state, &a, &from, &first), 0);
	assert_true(first);
	assert_int_equal(readahead_sibling(*state, &b, &from, &first), 0);
	assert_true(first);
}

static void the_second_fetches_those_behind_it(void **state)
{
	uint64_t from;

	use(*state, 3, false, &from);
	assert_int_equal(use(*state, 4, false, &from), 4);
	assert_int_equal(from, 4);
	/* Not twice at a time. */
	assert_int_equal(use(*state, 5, false, &from), 0);
}

static void the_window_over_files_doubles_and_is_bounded(void **state)
{
	unsigned fetched = 2, most = 0;
	uint64_t from, pos = 0;

	for (unsigned read = 1; read < 20000; read++) {
		unsigned n = use(*state, read, true, &from);

		if (n == 0)
			continue;
		assert_true(pos == 0 || from == pos);
		pos = from + n;
		fetched += n;
		readahead_siblings_done(*state, 7, pos, n, false);
		if (fetched - read > most)
			most = fetched - read;
		assert_true(fetched <= read + SIBLINGS_MAX + 4);
	}
	assert_true(most >= SIBLINGS_MAX / 2);
}

static void what_is_never_used_is_fetched_no_more(void **state)
{
	unsigned fetched = 0;
	uint64_t from;

	for (unsigned read = 1; read < 20000; read++) {
		unsigned n = use(*state, 0, false, &from);

		fetched += n;
		if (n > 0)
			readahead_siblings_done(*state, 7, fetched, n, false);
	}
	assert_true(fetched < 1024);
}

static void at_the_end_of_a_directory_it_is_left_alone(void **state)
{
	uint64_t from;

	use(*state, 1, false, &from);
	assert_int_not_equal(use(*state, 2, false, &from), 0);
	readahead_siblings_done(*state, 7, 6, 4, true);
	for (int i = 3; i < 100; i++)
		assert_int_equal(use(*state, i, false, &from), 0);
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
		TEST(what_is_never_used_is_fetched_no_more),
		TEST(at_the_end_of_a_directory_it_is_left_alone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
