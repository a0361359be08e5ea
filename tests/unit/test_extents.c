/*
 * The map of a changed file against an array that has an entry for every byte.
 */
#include "fs/extents.h"
#include "tests/scratch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#define SIZE	 4096
#define SEGMENTS 4

struct byte {
	uint64_t born;
	uint32_t segment, at;
	bool covered;
};

static int64_t in_use[SEGMENTS];

static void on_live(void *arg, uint32_t segment, int64_t bytes)
{
	in_use[segment] += bytes;
	assert_true(in_use[segment] >= 0);
}
static const struct extents_live live = { on_live, NULL };

static void put(struct extents *m, struct byte *model, struct extent e)
{
	assert_int_equal(extents_put(m, &e, &live), 0);
	for (uint64_t i = 0; i < e.len; i++)
		model[e.offset + i] =
		    (struct byte){ e.born, e.segment,
				   e.segment ? e.at + (uint32_t)i : 0, true };
}

static void check(const struct extents *m, const struct byte *model, size_t size)
{
	int64_t expected[SEGMENTS] = { 0 };
	uint64_t behind = 0, count = 0, data = 0, holes = 0;
	struct extents_at at;

	for (const struct extent *e = extents_seek(m, 0, &at); e; e = extents_next(m, &at)) {
		assert_true(e->len > 0 && e->offset >= behind && e->offset + e->len <= size);
		for (; behind < e->offset; behind++)
			assert_false(model[behind].covered);
		for (uint64_t i = 0; i < e->len; i++, behind++) {
			const struct byte *b = &model[behind];
			assert_true(b->covered);
			assert_int_equal(b->segment, e->segment);
			assert_int_equal(b->at, e->segment ? e->at + i : 0);
			assert_int_equal(b->born, e->born);
		}
		*(e->segment ? &data : &holes) += e->len;
		expected[e->segment] += e->segment ? (int64_t)e->len : 0;
		count++;
	}
	for (; behind < size; behind++)
		assert_false(model[behind].covered);
	assert_int_equal(m->count, count);
	assert_int_equal(m->data, data);
	assert_int_equal(m->holes, holes);
	for (int i = 0; i < SEGMENTS; i++)
		assert_int_equal(in_use[i], expected[i]);
}

static void a_write_inside_another_splits_it(void **state)
{
	static struct byte model[SIZE];
	struct extents m = { 0 };
	struct extents_at at;

	put(&m, model, (struct extent){ 0, 100, 1, 1, 1000 });
	put(&m, model, (struct extent){ 40, 10, 2, 2, 7 });
	check(&m, model, SIZE);
	assert_int_equal(m.count, 3);
	const struct extent *e = extents_seek(&m, 50, &at);
	assert_int_equal(e->offset, 50);
	assert_int_equal(e->at, 1050);
	assert_null(extents_next(&m, &at));
	assert_null(extents_seek(&m, 100, &at));
	extents_clear(&m, &live);
	assert_int_equal(in_use[1] + in_use[2], 0);
}

static void an_empty_map_has_nothing(void **state)
{
	struct extents m = { 0 };
	struct extents_at at;

	assert_null(extents_seek(&m, 0, &at));
	extents_cut(&m, 0, &live);
	extents_settle(&m, 1, &live);
	extents_clear(&m, &live);
	assert_int_equal(m.count, 0);
}

static void huge_offsets_are_no_special_case(void **state)
{
	struct extents m = { 0 };
	struct extents_at at;
	struct extent hole = { 0, INT64_MAX, 1, 0, 0 };
	struct extent data = { INT64_MAX - 10, 10, 2, 1, 0xfffffff0u };

	assert_int_equal(extents_put(&m, &hole, &live), 0);
	assert_int_equal(extents_put(&m, &data, &live), 0);
	assert_int_equal(m.count, 2);
	assert_int_equal(m.holes, INT64_MAX - 10);
	assert_int_equal(extents_seek(&m, INT64_MAX - 1, &at)->segment, 1);
	extents_cut(&m, INT64_MAX - 5, &live);
	assert_int_equal(m.data, 5);
	extents_clear(&m, &live);
}

static void what_a_snapshot_took_is_dropped_but_holes(void **state)
{
	struct extents m = { 0 };

	extents_put(&m, &(struct extent){ 0, 10, 1, 1, 0 }, &live);
	extents_put(&m, &(struct extent){ 10, 10, 2, 0, 0 }, &live);
	extents_put(&m, &(struct extent){ 20, 10, 3, 1, 50 }, &live);
	extents_settle(&m, 2, &live);
	assert_int_equal(m.count, 2);
	assert_int_equal(m.holes, 10);
	assert_int_equal(m.data, 10);
	assert_int_equal(in_use[1], 10);
	extents_clear(&m, &live);
}

static void random_changes_agree_with_an_array(void **state)
{
	static struct byte model[SIZE];
	struct extents m = { 0 };
	uint64_t random = 1;

	memset(model, 0, sizeof model);
	for (unsigned step = 1; step < 30000; step++) {
		uint64_t a = scratch_random(&random) % SIZE;
		uint64_t what = scratch_random(&random) % 1000;
		/* Mostly small, so that there are many leaves; sometimes over all. */
		uint64_t len = 1 + scratch_random(&random) %
				       (what > 990 ? SIZE : what > 900 ? 300 : 6);

		if (len > SIZE - a)
			len = SIZE - a;
		if (what == 0) {
			extents_cut(&m, a, &live);
			memset(model + a, 0, (SIZE - a) * sizeof *model);
		} else if (what == 1) {
			extents_settle(&m, step - 200, &live);
			for (unsigned i = 0; i < SIZE; i++)
				if (model[i].segment && (int)model[i].born <= (int)step - 200)
					model[i] = (struct byte){ 0 };
		} else {
			uint32_t segment = scratch_random(&random) % SEGMENTS;
			uint32_t at = scratch_random(&random) % 100000;
			put(&m, model,
			    (struct extent){ a, len, step, segment, segment ? at : 0 });
		}
		if (step % 16 == 0)
			check(&m, model, SIZE);
	}
	assert_true(m.n > 3);
	extents_clear(&m, &live);
	for (int i = 0; i < SEGMENTS; i++)
		assert_int_equal(in_use[i], 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_empty_map_has_nothing),
		cmocka_unit_test(a_write_inside_another_splits_it),
		cmocka_unit_test(huge_offsets_are_no_special_case),
		cmocka_unit_test(what_a_snapshot_took_is_dropped_but_holes),
		cmocka_unit_test(random_changes_agree_with_an_array),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
