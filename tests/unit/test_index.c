/*
 * The index of a store: what comes in small numbers lies beside the large tables for a
 * while, and nobody notices.
 */
#include "store/error.h"
#include "store/index.h"
#include "tests/scratch_each.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <stdlib.h>
#include <sys/stat.h>

#define MANY 20000u
#define FEW  300u

/* A name as good as a hash; every fourth is that of a piece. */
static struct record_name name_of(uint32_t n)
{
	struct record_name name = { .piece = n % 4 == 0, .log = LOG_KEEP };
	uint64_t x = n;

	name.size = name.piece ? 16 : 34;
	for (int k = 0; k < 34; k += 2) {
		x = (x + 0x9e3779b97f4a7c15u) * 0xbf58476d1ce4e5b9u;
		x ^= x >> 29;
		name.bytes[k] = (uint8_t)(x >> 40);
		name.bytes[k + 1] = (uint8_t)(x >> 48);
	}
	if (!name.piece)
		name.bytes[0] = 0x12, name.bytes[1] = 0x20;
	return name;
}

static struct place place_of(uint32_t n, uint32_t segment)
{
	return (struct place){ .segment = segment,
			       .offset = 8 * n,
			       .stored = 100,
			       .size = 200,
			       .kind = n % 4 ? RECORD_BLOCK : RECORD_PIECE,
			       .log = LOG_KEEP };
}

static void commit(struct index *ix, uint32_t from, uint32_t to, uint32_t segment)
{
	const struct mark covered[LOGS] = { { segment, 8 * to }, { 0, 0 } };
	struct pending batch = { 0 };

	for (uint32_t n = from; n < to; n++) {
		const struct record_name name = name_of(n);
		const struct place at = place_of(n, segment);

		assert_int_equal(pending_add(&batch, &name, &at), 0);
	}
	pending_sort(&batch);
	assert_int_equal(index_commit(ix, &batch, covered), 0);
	pending_release(&batch);
}

static off_t file_size(void)
{
	char path[SCRATCH_MAX + 16];
	struct stat st;

	snprintf(path, sizeof path, "%s/data.mdb", dir);
	assert_int_equal(stat(path, &st), 0);
	return st.st_size;
}

struct walked {
	uint8_t seen[2 * MANY];
	uint32_t n;
};

static int on_name(void *arg, const uint8_t *name, size_t size, const struct place *at)
{
	struct walked *w = arg;
	uint32_t n = at->offset / 8;

	assert_true(n < sizeof w->seen);
	assert_memory_equal(name_of(n).bytes, name, size);
	w->seen[n]++;
	w->n++;
	return 0;
}

/* All names below `n` but those divisible by 1,000 and above `dropped_from`, once each. */
static void assert_has(struct index *ix, uint32_t n, uint32_t moved_to, uint32_t dropped_from)
{
	struct walked *w = calloc(1, sizeof *w);
	struct index_stat st;

	assert_int_equal(index_walk(ix, INDEX_BLOCKS, on_name, w), 0);
	assert_int_equal(index_walk(ix, INDEX_PIECES, on_name, w), 0);
	for (uint32_t k = 0; k < n; k++) {
		const struct record_name name = name_of(k);
		bool there = k % 1000 || k < dropped_from;
		struct place at;

		assert_int_equal(w->seen[k], there);
		assert_int_equal(index_find(ix, &name, &at), there);
		if (there) {
			assert_int_equal(at.segment, k < moved_to ? 2 : 1);
			assert_int_equal(at.offset, 8 * k);
		}
	}
	assert_int_equal(index_stat(ix, &st), 0);
	assert_int_equal(st.blocks + st.pieces, w->n);
	free(w);
}

static void few_names_cost_few_pages(void **state)
{
	struct index *ix;

	assert_int_equal(index_open(&ix, dir, INDEX_WRITE | INDEX_CREATE, 0), 0);
	/* So many that no page of them is free any more. */
	commit(ix, 0, MANY, 1);
	for (int k = 0; k < 10; k++)
		commit(ix, MANY + k, MANY + k + 1, 1);
	off_t before = file_size();
	commit(ix, MANY + 10, MANY + 10 + FEW, 1);
	/* Each would have copied a page. */
	assert_true(file_size() - before < FEW * 4096 / 4);
	assert_has(ix, MANY + 10 + FEW, 0, UINT32_MAX);
	index_close(ix);
}

static void a_name_is_there_once_wherever_it_lies(void **state)
{
	uint32_t n = MANY / 2;
	struct index *ix;

	assert_int_equal(index_open(&ix, dir, INDEX_WRITE | INDEX_CREATE, 0), 0);
	commit(ix, 0, n, 1);
	/* Enough that the recent ones are moved, more than once. */
	for (; n < MANY + MANY / 2; n += FEW)
		commit(ix, n, n + FEW, 1);
	assert_has(ix, n, 0, UINT32_MAX);
	/* New places, of old ones and of recent ones, in small numbers and large. */
	for (uint32_t k = 0; k < 3000; k += FEW)
		commit(ix, k, k + FEW, 2);
	assert_has(ix, n, 3000, UINT32_MAX);
	commit(ix, 3000, n, 2);
	assert_has(ix, n, n, UINT32_MAX);
	for (uint32_t k = 1000; k < n; k += 1000) {
		const struct record_name name = name_of(k);
		const struct place old = place_of(k, 1), at = place_of(k, 2);

		assert_int_equal(index_drop(ix, &name, &old), 0);
		assert_int_equal(index_drop(ix, &name, &at), 1);
		assert_int_equal(index_drop(ix, &name, &at), 0);
	}
	assert_has(ix, n, n, 1);
	assert_int_equal(index_check(ix), 0);
	index_close(ix);
	assert_int_equal(index_open(&ix, dir, 0, 0), 0);
	assert_has(ix, n, n, 1);
	index_close(ix);
}

/* Found by damage: who reads a member of a bundle takes segment 0 for memory. */
static void b115_no_place_is_in_segment_0(void **state)
{
	const struct record_name name = name_of(1);
	struct index *ix;
	struct place at;

	assert_int_equal(index_open(&ix, dir, INDEX_WRITE | INDEX_CREATE, 0), 0);
	commit(ix, 1, 2, 1);
	assert_int_equal(index_find(ix, &name, &at), 1);
	commit(ix, 1, 2, 0);
	assert_int_equal(index_find(ix, &name, &at), ERR_CORRUPT);
	index_close(ix);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(few_names_cost_few_pages, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_name_is_there_once_wherever_it_lies, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(b115_no_place_is_in_segment_0, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
