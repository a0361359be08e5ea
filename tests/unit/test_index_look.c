/*
 * Names are looked up in the file of the index without LMDB: the same is found, and
 * whatever was done to the file, each search ends, inside of it.
 */
#include "store/error.h"
#include "store/index_look.h"
#include "store/index_pages.h"
#include "tests/scratch.h"

#include <lmdb.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#define ENTRIES 9000u

static char dir[SCRATCH_MAX];
static uint8_t *file;
static size_t size;
static uint64_t newest;

static void key_of(uint8_t key[34], uint32_t n)
{
	uint64_t x = n * 0x9e3779b97f4a7c15u;

	memset(key, 0, 34);
	key[0] = 0x12;
	key[1] = 0x20;
	memcpy(key + 2, &x, sizeof x);
}

/* Entries with odd numbers are there, with a value that has the number. */
static int set_up(void **state)
{
	uint8_t key[34], place[16] = { 0 };
	MDB_envinfo info;
	MDB_env *env;
	MDB_txn *txn;
	MDB_dbi dbi;

	scratch_make(dir);
	assert_int_equal(mdb_env_create(&env), 0);
	mdb_env_set_maxdbs(env, 4);
	mdb_env_set_mapsize(env, 64 << 20);
	assert_int_equal(mdb_env_open(env, dir, MDB_NOSYNC, 0600), 0);
	for (uint32_t n = 0; n < ENTRIES; n++) {
		MDB_val k = { sizeof key, key }, v = { sizeof place, place };

		if (n % 1000 == 0) {
			assert_int_equal(mdb_txn_begin(env, NULL, 0, &txn), 0);
			assert_int_equal(mdb_dbi_open(txn, "blocks", MDB_CREATE, &dbi), 0);
		}
		key_of(key, n);
		memcpy(place, &n, sizeof n);
		assert_int_equal(mdb_put(txn, dbi, &k, &v, 0), 0);
		if (n % 2)
			key_of(key, n - 1), assert_int_equal(mdb_del(txn, dbi, &k, NULL), 0);
		if (n % 1000 == 999)
			assert_int_equal(mdb_txn_commit(txn), 0);
	}
	assert_int_equal(mdb_txn_begin(env, NULL, 0, &txn), 0);
	assert_int_equal(mdb_dbi_open(txn, "empty", MDB_CREATE, &dbi), 0);
	assert_int_equal(mdb_txn_commit(txn), 0);
	assert_int_equal(mdb_env_info(env, &info), 0);
	newest = info.me_last_txnid;
	mdb_env_close(env);
	file = scratch_read(dir, "data.mdb", &size);
	return !file;
}

static int tear_down(void **state)
{
	free(file);
	scratch_remove(dir);
	return 0;
}

static void what_is_there_is_found_and_nothing_else(void **state)
{
	struct index_tree blocks, none;
	struct index_view v;
	const uint8_t *value;
	uint8_t key[34];
	size_t len;

	assert_int_equal(index_view_begin(&v, file, size, newest), 0);
	assert_int_equal(index_view_begin(&v, file, size, newest - 2), -EAGAIN);
	assert_int_equal(index_view_begin(&v, file, size, newest), 0);
	assert_int_equal(index_view_table(&v, "blocks", &blocks), 0);
	assert_int_equal(index_view_table(&v, "empty", &none), 0);
	assert_int_equal(index_view_table(&v, "other", &none), ERR_CORRUPT);
	assert_true(blocks.depth >= 3);
	assert_int_equal(blocks.entries, ENTRIES / 2);
	for (uint32_t n = 0; n < ENTRIES; n++) {
		key_of(key, n);
		assert_int_equal(index_view_get(&v, &blocks, key, 34, &value, &len), n % 2);
		assert_int_equal(index_view_path(&v, &blocks, key, 34, n % 3 == 0), 0);
		if (n % 2) {
			assert_int_equal(len, 16);
			assert_memory_equal(value, &n, sizeof n);
		}
		/* One that is a part of another, and one beyond it. */
		assert_int_equal(index_view_get(&v, &blocks, key, 9, &value, &len), 0);
	}
	index_view_table(&v, "empty", &none);
	assert_int_equal(index_view_get(&v, &none, key, 34, &value, &len), 0);
	assert_int_equal(index_view_path(&v, &none, key, 34, true), 0);
}

struct walked {
	uint8_t last[34];
	uint32_t n, stop;
};

static int on_entry(void *arg, const uint8_t *key, size_t key_size, const uint8_t *value,
		    size_t value_size)
{
	struct walked *w = arg;

	if (key_size == 34)
		memcpy(w->last, key, 34);
	return ++w->n % w->stop ? 0 : 1;
}

static void a_walk_goes_on_behind_where_it_stopped(void **state)
{
	struct walked w = { .stop = 700 };
	struct index_tree blocks;
	struct index_view v;
	uint8_t key[34];
	int r;

	assert_int_equal(index_view_begin(&v, file, size, newest), 0);
	assert_int_equal(index_view_table(&v, "blocks", &blocks), 0);
	do
		r = index_view_after(&v, &blocks, w.last, w.n ? 34 : 0, on_entry, &w);
	while (r == 1);
	assert_int_equal(r, 0);
	assert_int_equal(w.n, ENTRIES / 2);
	/* From a name that is not there. */
	w = (struct walked){ .stop = ENTRIES };
	key_of(key, 2);
	assert_int_equal(index_view_after(&v, &blocks, key, 34, on_entry, &w), 0);
	assert_in_range(w.n, 1, ENTRIES / 2 - 1);
}

/* Of each damage: a copy of the exact size lets the sanitizer see an overrun. */
static void b115_no_damage_leads_out_of_the_file_or_in_a_circle(void **state)
{
	uint64_t random = 11, sum, now;
	uint8_t *copy = malloc(size), key[34];
	unsigned refused = 0, changed = 0;
	struct index_tree blocks;
	const uint8_t *value;
	struct index_view v;
	size_t len;

	assert_int_equal(index_view_begin(&v, file, size, newest), 0);
	assert_int_equal(index_view_sum(&v, &sum), 0);
	for (unsigned round = 0; round < 3000; round++) {
		struct walked w = { .stop = UINT32_MAX };
		size_t at = scratch_random(&random) % size;
		size_t n = 1u << scratch_random(&random) % 9;
		size_t left = round % 16 ? size : scratch_random(&random) % size;
		size_t page = (1 + scratch_random(&random) % 3 * (size / 4096 / 4)) * 4096;

		memcpy(copy, file, size);
		/* Often the heads of pages, where everything hangs on it. */
		if (round % 2)
			at = at / 4096 * 4096 + at % 64;
		for (size_t i = at; i < at + n && i < size; i++)
			copy[i] = round % 3 ? (uint8_t)scratch_random(&random) : copy[(page + i) % size];
		if (index_view_begin(&v, copy, left, newest) < 0)
			continue;
		refused += index_view_sum(&v, &now) < 0;
		changed += now != sum;
		if (index_view_table(&v, "blocks", &blocks) < 0)
			continue;
		for (uint32_t i = 0; i < 40; i++) {
			key_of(key, (uint32_t)scratch_random(&random) % ENTRIES);
			int r = index_view_get(&v, &blocks, key, 34, &value, &len);
			if (r == 1)
				assert_true(value >= copy && value + len <= copy + left);
			refused += r < 0;
			refused += index_view_path(&v, &blocks, key, 34, i % 2) < 0;
		}
		refused += index_view_after(&v, &blocks, key, 34, on_entry, &w) < 0;
		assert_true(w.n <= size / 16);
	}
	free(copy);
	assert_true(refused > 100);
	assert_true(changed > 10);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(what_is_there_is_found_and_nothing_else),
		TEST(a_walk_goes_on_behind_where_it_stopped),
		TEST(b115_no_damage_leads_out_of_the_file_or_in_a_circle),
	};

	if (!INDEX_FORM_KNOWN)
		return 77;
	return cmocka_run_group_tests_name("index_look", tests, NULL, NULL);
}
