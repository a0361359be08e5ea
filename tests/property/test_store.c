/*
 * A store against a model: whatever is done to it, in whatever order, it gives
 * right bytes or none, and what was synced stays.
 */
#include "store/error.h"
#include "store/log.h"
#include "store/store.h"
#include "tests/scratch_each.h"

#include <signal.h>
#include <sys/wait.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#define BLOCKS    600
#define SEGMENT_1 "segments/00000001.seg"

/* Block number `i`: mostly small, some of up to 400 KB, no two the same; of the
 * long ones every second is compressible, and the others share their ends. */
#define LARGEST 400008
static size_t bytes_of(unsigned i, uint8_t *out, struct multihash *name)
{
	uint64_t random = i;
	size_t len = 8 + scratch_random(&random) % (i % 16 ? 1500 : LARGEST - 8);

	for (size_t k = 0; k + 8 <= len; k += 8) {
		if (i % 32 == 0 && k == len / 16 * 8)
			random = 5;
		uint64_t v = scratch_random(&random);
		memcpy(out + k, &v, 8);
		if (i % 32 == 16)
			memset(out + k, 'a', 6);
	}
	memset(out + len / 8 * 8, (int)i, len % 8);
	memcpy(out, &i, sizeof i);
	multihash_sha256(name, out, len);
	return len;
}

/* Most of the small ones go into bundles, some alone. */
static int put(struct store *s, unsigned i)
{
	static uint8_t data[LARGEST];
	struct multihash name;
	struct block *b = NULL;
	size_t len = bytes_of(i, data, &name);
	int r;

	if (i % 4)
		return store_put_bytes(s, &name, data, len);
	r = block_verify(&b, &name, data, len);
	if (!r)
		r = store_put(s, b);
	block_unref(b);
	return r;
}

/* 1 if block `i` is there and right, 0 if missing, -1 for anything else. */
static int look(struct store *s, unsigned i)
{
	static uint8_t data[LARGEST];
	struct block *b = NULL;
	struct multihash name;
	size_t len = bytes_of(i, data, &name);
	int r = store_get(s, &name, &b);

	if (r == ERR_MISSING)
		return 0;
	if (r < 0)
		return -1;
	r = b->size == len && !memcmp(b->data, data, len) ? 1 : -1;
	block_unref(b);
	return r;
}

static void random_work_agrees_with_a_model(void **state)
{
	const struct store_config cfg = { .cache_bytes = 300000 };
	bool there[BLOCKS] = { false };
	uint64_t random = 1;
	struct store *s = NULL;

	for (int step = 0; step < 6000; step++) {
		unsigned i = (unsigned)(scratch_random(&random) % BLOCKS);
		if (!s)
			assert_int_equal(
			    store_open(&s, dir, STORE_WRITE | STORE_CREATE, &cfg), 0);
		switch (scratch_random(&random) % 100) {
		case 0:
			assert_int_equal(store_close(s), 0);
			s = NULL;
			break;
		case 1:
			assert_int_equal(store_close(s), 0);
			s = NULL;
			assert_int_equal(store_rebuild(dir, NULL, NULL), 0);
			break;
		case 2 ... 5:
			assert_int_equal(store_sync(s), 0);
			break;
		case 6 ... 39:
			assert_int_equal(put(s, i), 0);
			there[i] = true;
			break;
		default:
			assert_int_equal(look(s, i), there[i]);
		}
	}
	for (unsigned i = 0; i < BLOCKS; i++)
		assert_int_equal(look(s, i), there[i]);
	assert_int_equal(store_close(s), 0);
}

/* Put and sync for ever from block `i` on, and tell how many are synced. */
static _Noreturn void write_until_killed(int out, unsigned i, uint64_t random)
{
	struct store *s = NULL;

	if (store_open(&s, dir, STORE_WRITE | STORE_CREATE, NULL) < 0)
		_exit(1);
	for (;;) {
		if (put(s, i) < 0)
			_exit(2);
		i++;
		bool sync = scratch_random(&random) % 8 == 0;
		if (sync && store_sync(s) < 0)
			_exit(3);
		/* Every block is a message, so that death can come at any of them. */
		unsigned message = sync ? i : 0;
		if (write(out, &message, sizeof message) != sizeof message)
			_exit(4);
	}
}

/* Bar 9 of the store: kill -9 at random instants. */
static void what_was_synced_survives_every_kill(void **state)
{
	unsigned synced = 0, next = 0, message;
	uint64_t random = 7;

	for (int round = 0; round < 60; round++) {
		int ends[2], status;
		assert_int_equal(pipe(ends), 0);
		pid_t child = fork();
		assert_true(child >= 0);
		if (!child) {
			close(ends[0]);
			write_until_killed(ends[1], next,
					   scratch_random(&random) + (uint64_t)round);
		}
		close(ends[1]);
		/* Some are killed while they open the store. */
		unsigned patience = (unsigned)(scratch_random(&random) % 40);
		for (unsigned i = 0; i < patience; i++) {
			assert_int_equal(read(ends[0], &message, sizeof message),
					 sizeof message);
			if (message)
				synced = message;
		}
		for (volatile unsigned spin =
			 (unsigned)(scratch_random(&random) % 1000000);
		     spin;)
			spin--;
		kill(child, SIGKILL);
		while (read(ends[0], &message, sizeof message) == sizeof message)
			if (message)
				synced = message;
		close(ends[0]);
		assert_int_equal(waitpid(child, &status, 0), child);
		assert_true(WIFSIGNALED(status));

		/* In a process that can crash without us; a reader now and then. */
		child = fork();
		assert_true(child >= 0);
		if (!child) {
			struct store *s = NULL;
			unsigned flags = round % 4 ? STORE_WRITE : 0;
			unsigned lost = 0;
			int r = store_open(&s, dir, flags, NULL);
			if (r == -ENOENT && !synced)
				_exit(0);
			if (r < 0)
				_exit(10);
			for (unsigned i = 0; i < synced + 100; i++) {
				int seen = look(s, i);
				lost += seen < 0 || (!seen && i < synced);
			}
			struct store_stat st;
			store_stat(s, &st);
			if (st.corrupt || store_close(s) < 0)
				_exit(11);
			_exit(lost ? 12 : 0);
		}
		assert_int_equal(waitpid(child, &status, 0), child);
		assert_int_equal(status, 0);
		next = synced;
	}
	assert_true(synced > 100);
	uint64_t blocks = 0, damaged = 1;
	assert_int_equal(store_rebuild(dir, &blocks, &damaged), 0);
	assert_true(blocks >= synced);
	assert_int_equal(damaged, 0);
}

/* Hurt bytes of a file somewhere. */
static size_t hurt(uint8_t *data, size_t len, uint64_t *random)
{
	size_t at = scratch_random(random) % len, n = 1 + scratch_random(random) % 3000;
	size_t to = scratch_random(random) % len;

	if (n > len - at)
		n = len - at;
	if (n > len - to)
		n = len - to;
	switch (scratch_random(random) % 5) {
	case 0:
		data[at] ^= (uint8_t)(1 << scratch_random(random) % 8);
		break;
	case 1:
		memset(data + at, 0, n);
		break;
	case 2: /* bytes from elsewhere, often at a record's alignment */
		memmove(data + (at & ~(size_t)7), data + (to & ~(size_t)7), n);
		break;
	case 3:
		for (size_t i = 0; i < n; i++)
			data[at + i] = (uint8_t)scratch_random(random);
		break;
	case 4:
		return at;
	}
	return len;
}

/* Bar 12 of the store, for segments. */
static void damage_never_gives_wrong_bytes(void **state)
{
	size_t len = 0, index_len = 0;
	uint64_t random = 3, blocks;
	struct store *s = NULL;
	unsigned n = 120, lost_total = 0;

	assert_int_equal(store_open(&s, dir, STORE_WRITE | STORE_CREATE, NULL), 0);
	for (unsigned i = 0; i < n; i++)
		assert_int_equal(put(s, i), 0);
	assert_int_equal(store_close(s), 0);
	uint8_t *file = scratch_read(dir, SEGMENT_1, &len);
	uint8_t *index = scratch_read(dir, "index/data.mdb", &index_len);
	uint8_t *bad = malloc(len);

	for (int round = 0; round < 200; round++) {
		memcpy(bad, file, len);
		size_t left = hurt(bad, len, &random);
		scratch_write(dir, SEGMENT_1, bad, left);
		scratch_write(dir, "index/data.mdb", index, index_len);
		unsigned lost = 0, lost_later = 0;

		if (round % 2)
			assert_int_equal(store_rebuild(dir, &blocks, NULL), 0);
		assert_int_equal(store_open(&s, dir, round % 3 ? STORE_WRITE : 0, NULL),
				 0);
		for (unsigned i = 0; i < n; i++) {
			int seen = look(s, i);
			assert_true(seen >= 0);
			lost += !seen;
		}
		struct store_stat st;
		store_stat(s, &st);
		assert_int_equal(st.corrupt, round % 2 ? 0 : lost);
		if (round % 2)
			assert_int_equal(blocks, n - lost);
		assert_int_equal(store_close(s), 0);
		/* No more is lost than what is seen to be damaged. */
		assert_int_equal(store_rebuild(dir, &blocks, NULL), 0);
		assert_int_equal(store_open(&s, dir, 0, NULL), 0);
		for (unsigned i = 0; i < n; i++)
			lost_later += look(s, i) != 1;
		assert_int_equal(lost, lost_later);
		assert_int_equal(store_close(s), 0);
		lost_total += lost;
		char second[SCRATCH_MAX + 32];
		snprintf(second, sizeof second, "%s/segments/00000002.seg", dir);
		unlink(second);
	}
	assert_true(lost_total > 200);
	free(bad);
	free(index);
	free(file);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(random_work_agrees_with_a_model, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(what_was_synced_survives_every_kill,
						set_up, tear_down),
		cmocka_unit_test_setup_teardown(damage_never_gives_wrong_bytes, set_up,
						tear_down),
	};

	/* The damage here is ours: no need to tell. */
	log_set_level(-1);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
