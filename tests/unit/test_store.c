/* Blocks are kept, found again, and never given with wrong bytes. */
#include "store/error.h"
#include "store/log.h"
#include "store/store_internal.h"
#include "tests/scratch_each.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#define SEGMENT_1 "segments/00000001.seg"

static struct store *open_store(unsigned flags)
{
	const struct store_config cfg = { 0 };
	struct store *s = NULL;

	assert_int_equal(store_open(&s, dir, flags, &cfg), 0);
	return s;
}

/* The block number `i`: some bytes that follow from the number. */
static size_t bytes_of(unsigned i, uint8_t out[4096], struct multihash *name)
{
	uint64_t random = i;
	size_t len = scratch_random(&random) % 4096;

	for (size_t k = 0; k < len; k++)
		out[k] = (uint8_t)scratch_random(&random);
	multihash_sha256(name, out, len);
	return len;
}

/* Each in a record of its own (test_bundle.c has the others). */
static int put(struct store *s, unsigned i)
{
	struct multihash name;
	struct block *b = NULL;
	uint8_t data[4096];
	size_t len = bytes_of(i, data, &name);

	assert_int_equal(block_verify(&b, &name, data, len), 0);
	int r = store_put(s, b);
	block_unref(b);
	return r;
}

/* 0 if block `i` is there and right, ERR_MISSING, or an error. */
static int get(struct store *s, unsigned i)
{
	struct block *b = NULL;
	struct multihash name;
	uint8_t data[4096];
	size_t len = bytes_of(i, data, &name);
	int r = store_get(s, &name, &b);

	if (r < 0)
		return r;
	assert_int_equal(b->size, len);
	assert_memory_equal(b->data, data, len);
	assert_true(multihash_equal(&b->name, &name));
	block_unref(b);
	return 0;
}

static int has(struct store *s, unsigned i, size_t *size)
{
	struct multihash name;
	uint8_t data[4096];

	bytes_of(i, data, &name);
	return store_has(s, &name, size);
}

static void make_store(unsigned from, unsigned to)
{
	struct store *s = open_store(STORE_WRITE | STORE_CREATE);

	for (unsigned i = from; i < to; i++)
		assert_int_equal(put(s, i), 0);
	assert_int_equal(store_close(s), 0);
}

static void a_block_is_there_at_once_and_after_reopening(void **state)
{
	struct store *s = open_store(STORE_WRITE | STORE_CREATE);
	struct multihash name;
	uint8_t data[4096];
	size_t size = 0;

	assert_int_equal(get(s, 1), ERR_MISSING);
	assert_int_equal(has(s, 1, NULL), 0);
	for (unsigned i = 0; i < 100; i++) {
		assert_int_equal(put(s, i), 0);
		assert_int_equal(get(s, i), 0);
	}
	assert_int_equal(store_sync(s), 0);
	for (unsigned i = 0; i < 100; i++)
		assert_int_equal(get(s, i), 0);
	assert_int_equal(has(s, 7, &size), 1);
	assert_int_equal(size, bytes_of(7, data, &name));
	assert_int_equal(store_close(s), 0);

	s = open_store(0);
	for (unsigned i = 0; i < 100; i++)
		assert_int_equal(get(s, i), 0);
	assert_int_equal(get(s, 100), ERR_MISSING);
	assert_int_equal(put(s, 100), -EROFS);
	assert_int_equal(store_sync(s), 0);
	assert_int_equal(store_close(s), 0);
}

static void a_block_that_is_there_costs_nothing(void **state)
{
	struct store *s = open_store(STORE_WRITE | STORE_CREATE);
	struct store_stat one, two;

	put(s, 1);
	store_sync(s);
	store_stat(s, &one);
	put(s, 1);
	store_sync(s);
	put(s, 2);
	put(s, 2);
	put(s, 1);
	store_sync(s);
	store_stat(s, &two);
	assert_int_equal(one.blocks, 1);
	assert_int_equal(two.blocks, 2);
	uint8_t data[4096];
	struct multihash name;
	assert_int_equal(one.bytes, bytes_of(1, data, &name));
	assert_int_equal(two.bytes - one.bytes, bytes_of(2, data, &name));
	store_close(s);

	size_t len = 0;
	free(scratch_read(dir, SEGMENT_1, &len));
	size_t content = (size_t)two.bytes;
	assert_in_range(len, content + 2 * 66 + 32, content + 2 * 80 + 32);
}

static void the_empty_block_and_the_largest_are_kept(void **state)
{
	struct store *s = open_store(STORE_WRITE | STORE_CREATE);
	uint8_t *data = calloc(1, BLOCK_MAX + 1);
	struct block *b = NULL;
	struct multihash empty, large;

	multihash_sha256(&empty, data, 0);
	multihash_sha256(&large, data, BLOCK_MAX);
	assert_int_equal(store_put_bytes(s, &empty, data, 0), 0);
	assert_int_equal(store_put_bytes(s, &large, data, BLOCK_MAX), 0);
	assert_int_equal(store_put_bytes(s, &large, data, BLOCK_MAX + 1), -EFBIG);
	store_close(s);

	s = open_store(STORE_WRITE);
	assert_int_equal(store_get(s, &empty, &b), 0);
	assert_int_equal(b->size, 0);
	block_unref(b);
	assert_int_equal(store_get(s, &large, &b), 0);
	assert_int_equal(b->size, BLOCK_MAX);
	assert_memory_equal(b->data, data, BLOCK_MAX);
	block_unref(b);
	store_close(s);
	free(data);
}

static void what_was_put_is_cached_within_bounds(void **state)
{
	const struct store_config cfg = { .cache_bytes = 100000 };
	struct block *b = NULL, *c = NULL;
	struct store_stat st;
	struct store *s = NULL;
	uint8_t data[4000];

	assert_int_equal(store_open(&s, dir, STORE_WRITE | STORE_CREATE, &cfg), 0);
	for (unsigned i = 0; i < 100; i++) {
		memset(data, (int)i, sizeof data);
		assert_int_equal(block_make(&b, data, sizeof data), 0);
		assert_int_equal(store_put(s, b), 0);
		assert_int_equal(store_cached(s, &b->name, &c), 0);
		assert_ptr_equal(b, c);
		block_unref(b);
		block_unref(c);
	}
	store_stat(s, &st);
	assert_in_range(st.cached_bytes, 80000, 100000);

	/* The first has made room; being read, it is back. */
	struct multihash name;
	memset(data, 0, sizeof data);
	multihash_sha256(&name, data, sizeof data);
	assert_int_equal(store_cached(s, &name, &b), ERR_MISSING);
	assert_int_equal(store_get(s, &name, &b), 0);
	block_unref(b);
	assert_int_equal(store_cached(s, &name, &b), 0);
	block_unref(b);
	store_close(s);
}

static int count(void *arg, const struct multihash *name, size_t size)
{
	uint64_t *sum = arg;

	sum[0]++;
	sum[1] += size;
	return sum[0] == sum[2] ? 42 : 0;
}

static void every_name_is_listed_once(void **state)
{
	struct store *s = open_store(STORE_WRITE | STORE_CREATE);
	uint64_t sum[3] = { 0 };
	struct store_stat st;

	assert_int_equal(store_each(s, count, sum), 0);
	assert_int_equal(sum[0], 0);
	/* More than one batch of the index holds. */
	for (unsigned i = 0; i < 3000; i++)
		put(s, i);
	assert_int_equal(store_each(s, count, sum), 0);
	store_stat(s, &st);
	assert_int_equal(sum[0], st.blocks);
	assert_int_equal(sum[1], st.bytes);
	assert_in_range(st.blocks, 2990, 3000); /* some are both empty */
	memset(sum, 0, sizeof sum);
	sum[2] = 5;
	assert_int_equal(store_each(s, count, sum), 42);
	assert_int_equal(sum[0], 5);
	store_close(s);
}

/* hostile.md 117 */
static void b117_a_second_writer_is_refused_and_the_lock_goes_with_its_holder(void **state)
{
	struct store *s = open_store(STORE_WRITE | STORE_CREATE);
	struct store *second = NULL;
	size_t len = 0;

	assert_int_equal(store_open(&second, dir, STORE_WRITE, NULL), -EBUSY);
	assert_int_equal(store_open(&second, dir, STORE_WRITE | STORE_CREATE, NULL),
			 -EBUSY);
	assert_int_equal(store_rebuild(dir, NULL, NULL), -EBUSY);
	uint8_t *pid = scratch_read(dir, "lock", &len);
	assert_true(len > 1 && len < 16);
	pid[len] = 0;
	assert_int_equal(atoi((char *)pid), getpid());
	free(pid);
	store_close(s);
	store_close(open_store(STORE_WRITE));
}

static void a_directory_that_is_no_store_is_left_alone(void **state)
{
	struct store *s = NULL;
	char gone[SCRATCH_MAX + 8];

	assert_int_equal(store_open(&s, dir, STORE_WRITE, NULL), -ENOENT);
	assert_int_equal(store_open(&s, dir, 0, NULL), -ENOENT);
	assert_int_equal(store_open(&s, dir, STORE_CREATE, NULL), -EINVAL);
	assert_int_equal(store_rebuild(dir, NULL, NULL), -ENOENT);
	snprintf(gone, sizeof gone, "%s/none", dir);
	assert_int_equal(store_open(&s, gone, STORE_WRITE | STORE_CREATE, NULL), -ENOENT);
	assert_int_equal(rmdir(dir), 0);
	assert_int_equal(mkdir(dir, 0700), 0);
}

/* hostile.md 116 */
static void every_version_file_but_ours_is_refused(void **state)
{
	static const struct {
		const char *text;
		int error;
	} bad[] = {
		{ "cairn store 3\n", ERR_NEWER },
		{ "cairn store 10\n", ERR_NEWER },
		{ "cairn store 3 with more\nand more", ERR_NEWER },
		{ "cairn store 99999999999999999999999999\n", ERR_NEWER },
		{ "cairn store 0\n", ERR_CORRUPT },
		{ "cairn store 1 \n", ERR_CORRUPT },
		{ "cairn store 1\n1", ERR_CORRUPT },
		{ "cairn store -1\n", ERR_CORRUPT },
		{ "Cairn store 1\n", ERR_CORRUPT },
		{ "\0\0\0\0\0\0\0\0\0\0\0\0\0\0", ERR_CORRUPT },
	};
	const char *good = "cairn store 1\n";
	struct store *s = NULL;

	make_store(0, 10);
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		size_t len = strlen(bad[i].text);
		scratch_write(dir, "version", bad[i].text, len ? len : strlen(good));
		assert_int_equal(store_open(&s, dir, STORE_WRITE | STORE_CREATE, NULL),
				 bad[i].error);
		assert_int_equal(store_open(&s, dir, 0, NULL), bad[i].error);
	}
	for (size_t len = 0; len < strlen(good); len++) {
		scratch_write(dir, "version", good, len);
		assert_int_equal(store_open(&s, dir, STORE_WRITE | STORE_CREATE, NULL),
				 ERR_CORRUPT);
	}
	char path[SCRATCH_MAX + 16];
	snprintf(path, sizeof path, "%s/version", dir);
	unlink(path);
	assert_int_equal(store_open(&s, dir, STORE_WRITE | STORE_CREATE, NULL),
			 ERR_CORRUPT);

	/* What is not newer can be repaired. */
	assert_int_equal(store_rebuild(dir, NULL, NULL), 0);
	s = open_store(STORE_WRITE);
	for (unsigned i = 0; i < 10; i++)
		assert_int_equal(get(s, i), 0);
	store_close(s);
	scratch_write(dir, "version", "cairn store 3\n", 14);
	assert_int_equal(store_rebuild(dir, NULL, NULL), ERR_NEWER);
}

static void creation_that_was_interrupted_is_done_again(void **state)
{
	char path[SCRATCH_MAX + 32];
	struct store *s = NULL;

	make_store(0, 0);
	snprintf(path, sizeof path, "%s/version", dir);
	unlink(path);
	scratch_write(dir, "index/data.mdb", "half", 4);
	assert_int_equal(store_open(&s, dir, STORE_WRITE, NULL), -ENOENT);
	make_store(0, 10);
	s = open_store(0);
	assert_int_equal(get(s, 9), 0);
	store_close(s);
}

/* hostile.md 116 */
static void an_index_that_is_cut_or_gone_is_corrupt_and_can_be_rebuilt(void **state)
{
	char path[SCRATCH_MAX + 32];
	uint64_t blocks = 0, damaged = 1;
	struct store *s = NULL;
	size_t len = 0;

	make_store(0, 300);
	uint8_t *index = scratch_read(dir, "index/data.mdb", &len);
	assert_true(len > 8192);
	for (size_t cut = 0; cut < len; cut += cut < 8192 ? 511 : 4093) {
		scratch_write(dir, "index/data.mdb", index, cut);
		assert_int_equal(store_open(&s, dir, STORE_WRITE | STORE_CREATE, NULL),
				 ERR_CORRUPT);
		assert_int_equal(store_open(&s, dir, 0, NULL), ERR_CORRUPT);
	}
	memset(index, 0, len);
	scratch_write(dir, "index/data.mdb", index, len);
	assert_int_equal(store_open(&s, dir, STORE_WRITE, NULL), ERR_CORRUPT);
	free(index);
	snprintf(path, sizeof path, "%s/index/data.mdb", dir);
	unlink(path);
	assert_int_equal(store_open(&s, dir, STORE_WRITE | STORE_CREATE, NULL),
			 ERR_CORRUPT);
	snprintf(path, sizeof path, "%s/index/lock.mdb", dir);
	unlink(path);
	snprintf(path, sizeof path, "%s/index", dir);
	assert_int_equal(rmdir(path), 0);
	assert_int_equal(store_open(&s, dir, STORE_WRITE | STORE_CREATE, NULL),
			 ERR_CORRUPT);

	assert_int_equal(store_rebuild(dir, &blocks, &damaged), 0);
	assert_int_equal(damaged, 0);
	s = open_store(STORE_WRITE);
	struct store_stat st;
	store_stat(s, &st);
	assert_int_equal(st.blocks, blocks);
	for (unsigned i = 0; i < 300; i++)
		assert_int_equal(get(s, i), 0);
	assert_int_equal(put(s, 300), 0);
	store_close(s);
	s = open_store(0);
	assert_int_equal(get(s, 300), 0);
	store_close(s);
}

/* Change a byte in the record of block `i`, `at` bytes from its end. */
static void damage(unsigned i, size_t at)
{
	struct multihash name;
	uint8_t data[4096];
	size_t len = 0, size = bytes_of(i, data, &name);
	uint8_t *file = scratch_read(dir, SEGMENT_1, &len);

	uint8_t *found = memmem(file, len, data, size);
	assert_non_null(found);
	found[size - 1 - at] ^= 1;
	scratch_write(dir, SEGMENT_1, file, len);
	free(file);
}

static void a_damaged_block_is_missing_and_can_be_put_again(void **state)
{
	struct store_stat before, st;
	struct store *s;

	make_store(0, 20);
	damage(7, 0);
	s = open_store(STORE_WRITE);
	store_stat(s, &before);
	assert_int_equal(has(s, 7, NULL), 1); /* nobody has read it yet */
	assert_int_equal(get(s, 7), ERR_MISSING);
	assert_int_equal(has(s, 7, NULL), 0);
	assert_int_equal(get(s, 7), ERR_MISSING);
	store_stat(s, &st);
	assert_int_equal(st.corrupt, 1);
	assert_int_equal(st.blocks, before.blocks - 1);
	assert_true(st.bytes < before.bytes);

	assert_int_equal(put(s, 7), 0);
	assert_int_equal(get(s, 7), 0);
	store_close(s);
	s = open_store(STORE_WRITE);
	for (unsigned i = 0; i < 20; i++)
		assert_int_equal(get(s, i), 0);
	store_stat(s, &st);
	assert_int_equal(st.bytes, before.bytes);
	store_close(s);

	/* Of the two records it has now, a new index knows the good one. */
	assert_int_equal(store_rebuild(dir, NULL, NULL), 0);
	s = open_store(STORE_WRITE);
	assert_int_equal(get(s, 7), 0);
	store_close(s);
}

static void a_block_damaged_before_it_is_indexed_is_not_indexed(void **state)
{
	struct store *s = open_store(STORE_WRITE | STORE_CREATE);
	struct store_stat st;

	for (unsigned i = 1; i < 10; i++)
		put(s, i);
	damage(5, 0); /* (rewrites the file that is open: same file, same bytes) */
	int r = get(s, 5);
	assert_int_equal(r, ERR_MISSING);
	assert_int_equal(put(s, 5), 0);
	assert_int_equal(get(s, 5), 0);
	assert_int_equal(store_sync(s), 0);
	assert_int_equal(get(s, 5), 0);
	store_stat(s, &st);
	assert_int_equal(st.blocks, 9);
	assert_int_equal(st.corrupt, 1);
	store_close(s);
}

static void a_reader_counts_damage_and_writes_nothing(void **state)
{
	struct store_stat st;
	size_t before = 0, after = 0;

	make_store(0, 20);
	damage(3, 5);
	uint8_t *one = scratch_read(dir, "index/data.mdb", &before);
	struct store *s = open_store(0);
	assert_int_equal(get(s, 3), ERR_MISSING);
	assert_int_equal(get(s, 3), ERR_MISSING);
	assert_int_equal(has(s, 3, NULL), 0);
	assert_int_equal(get(s, 4), 0);
	store_stat(s, &st);
	assert_int_equal(st.corrupt, 1);
	store_close(s);
	uint8_t *two = scratch_read(dir, "index/data.mdb", &after);
	assert_int_equal(before, after);
	assert_memory_equal(one, two, after);
	free(one);
	free(two);
}

static void a_reader_in_another_process_sees_what_was_synced(void **state)
{
	int to_reader[2], to_writer[2];
	char c = 0;

	assert_int_equal(pipe(to_reader) | pipe(to_writer), 0);
	make_store(0, 1);
	pid_t child = fork();
	if (!child) {
		struct store *s = NULL;
		int r = store_open(&s, dir, 0, NULL);
		/* Open before block 1 is there, and while it is not yet synced. */
		bool ok = !r && get(s, 0) == 0 && get(s, 1) == ERR_MISSING;
		for (int i = 0; i < 2 && ok; i++) {
			ok = write(to_writer[1], "x", 1) == 1;
			ok = ok && read(to_reader[0], &c, 1) == 1;
			ok = ok && get(s, 1) == (i == 0 ? ERR_MISSING : 0);
		}
		store_close(s);
		_exit(ok ? 0 : 1);
	}
	/* No flush behind our back: it is only begun by hand here. */
	struct store *s = open_store(STORE_WRITE);
	assert_int_equal(read(to_writer[0], &c, 1), 1);
	pthread_mutex_lock(&s->lock);
	s->retry_at = INT64_MAX;
	pthread_mutex_unlock(&s->lock);
	assert_int_equal(put(s, 1), 0);
	assert_int_equal(write(to_reader[1], "x", 1), 1);
	assert_int_equal(read(to_writer[0], &c, 1), 1);
	assert_int_equal(store_sync(s), 0);
	assert_int_equal(write(to_reader[1], "x", 1), 1);
	int status = -1;
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	store_close(s);
	for (int i = 0; i < 2; i++) {
		close(to_reader[i]);
		close(to_writer[i]);
	}
}

static void a_reader_needs_no_right_to_write(void **state)
{
	static const char *const files[] = {
		"",        "version", "lock",           "segments",
		SEGMENT_1, "index",   "index/data.mdb", "index/lock.mdb",
	};
	char path[SCRATCH_MAX + 64];

	make_store(0, 5);
	for (int i = 0; i < 8; i++) {
		snprintf(path, sizeof path, "%s/%s", dir, files[i]);
		assert_int_equal(
		    chmod(path, strchr(files[i], '.') || i == 1 || i == 2 ? 0444 : 0555),
		    0);
	}
	pid_t child = fork();
	if (!child) {
		struct store *s = NULL;
		if (!getuid() && setuid(65534) < 0)
			_exit(1);
		if (store_open(&s, dir, STORE_WRITE, NULL) != -EACCES)
			_exit(2);
		if (store_open(&s, dir, 0, NULL) < 0 || get(s, 4) < 0)
			_exit(3);
		_exit(store_close(s) < 0 ? 4 : 0);
	}
	int status = -1;
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	for (int i = 0; i < 8; i++) {
		snprintf(path, sizeof path, "%s/%s", dir, files[i]);
		assert_int_equal(chmod(path, 0700), 0);
	}
}

static void a_reader_works_on_a_read_only_file_system(void **state)
{
	make_store(0, 5);
	if (unshare(CLONE_NEWNS) < 0 ||
	    mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    mount(dir, dir, NULL, MS_BIND, NULL) < 0 ||
	    mount("none", dir, NULL, MS_REMOUNT | MS_BIND | MS_RDONLY, NULL) < 0)
		skip();
	struct store *s = NULL;
	assert_int_equal(store_open(&s, dir, STORE_WRITE, NULL), -EROFS);
	assert_int_equal(store_open(&s, dir, 0, NULL), 0);
	assert_int_equal(get(s, 4), 0);
	assert_int_equal(store_close(s), 0);
	assert_int_equal(umount2(dir, MNT_DETACH), 0);
}

static void a_torn_end_is_cut_off_and_what_is_whole_is_indexed(void **state)
{
	size_t len = 0, old_len = 0, index_len = 0;
	struct multihash name;
	uint8_t data[4096];
	struct store *s;

	/* The segment of after, the index of before: a crash between the two. */
	make_store(0, 5);
	uint8_t *index = scratch_read(dir, "index/data.mdb", &index_len);
	free(scratch_read(dir, SEGMENT_1, &old_len));
	make_store(5, 8);
	uint8_t *file = scratch_read(dir, SEGMENT_1, &len);
	size_t last = record_span(34, (uint32_t)bytes_of(7, data, &name));

	for (size_t cut = len; cut >= len - last - 8; cut -= cut > len - 8 ? 1 : 61) {
		scratch_write(dir, SEGMENT_1, file, cut);
		scratch_write(dir, "index/data.mdb", index, index_len);
		s = open_store(STORE_WRITE);
		for (unsigned i = 0; i < 8; i++) {
			bool whole = i < 6 || (i == 6 && cut >= len - last) || cut == len;
			assert_int_equal(get(s, i), whole ? 0 : ERR_MISSING);
		}
		for (unsigned i = 6; i < 10; i++)
			assert_int_equal(put(s, i), 0);
		assert_int_equal(store_close(s), 0);
		s = open_store(0);
		for (unsigned i = 0; i < 10; i++)
			assert_int_equal(get(s, i), 0);
		store_close(s);
	}
	/* Zeros where a file grew and its bytes were not written. */
	memset(file + old_len, 0, len - old_len);
	scratch_write(dir, SEGMENT_1, file, len);
	scratch_write(dir, "index/data.mdb", index, index_len);
	s = open_store(STORE_WRITE);
	assert_int_equal(get(s, 4), 0);
	assert_int_equal(get(s, 5), ERR_MISSING);
	store_close(s);
	size_t now = 0;
	free(scratch_read(dir, SEGMENT_1, &now));
	assert_int_equal(now, old_len);
	free(file);
	free(index);
}

static void a_segment_that_was_just_being_made_is_removed(void **state)
{
	uint8_t header[SEGMENT_HEADER];
	size_t len = 0;

	segment_header_encode(header, 2, LOG_KEEP);
	for (size_t size = 0; size < SEGMENT_HEADER; size++) {
		make_store(0, 5);
		scratch_write(dir, "segments/00000002.seg", header, size);
		make_store(5, 7);
		assert_null(scratch_read(dir, "segments/00000002.seg", &len));
		struct store *s = open_store(0);
		for (unsigned i = 0; i < 7; i++)
			assert_int_equal(get(s, i), 0);
		store_close(s);
	}
}

static void a_segment_that_lost_its_end_is_not_appended_to(void **state)
{
	size_t len = 0;
	struct store *s;

	make_store(0, 20);
	uint8_t *file = scratch_read(dir, SEGMENT_1, &len);
	scratch_write(dir, SEGMENT_1, file, len / 2);
	free(file);
	s = open_store(STORE_WRITE);
	int lost = 0;
	for (unsigned i = 0; i < 20; i++)
		lost += get(s, i) == ERR_MISSING;
	assert_in_range(lost, 1, 19);
	for (unsigned i = 0; i < 20; i++)
		assert_int_equal(put(s, i), 0);
	store_close(s);
	free(scratch_read(dir, SEGMENT_1, &len));
	assert_non_null(file = scratch_read(dir, "segments/00000002.seg", &len));
	free(file);
	s = open_store(STORE_WRITE);
	for (unsigned i = 0; i < 20; i++)
		assert_int_equal(get(s, i), 0);
	store_close(s);
}

static void b112_a_failed_sync_is_final_and_reads_go_on(void **state)
{
	struct store *s = open_store(STORE_WRITE | STORE_CREATE);
	int ends[2];

	assert_int_equal(put(s, 1), 0);
	assert_int_equal(store_sync(s), 0);
	pthread_mutex_lock(&s->lock);
	s->retry_at = INT64_MAX;
	pthread_mutex_unlock(&s->lock);
	assert_int_equal(put(s, 2), 0);
	/* A pipe cannot be synced. */
	int file = dup(s->logs[LOG_KEEP].active->fd);
	assert_int_equal(pipe(ends), 0);
	dup2(ends[1], s->logs[LOG_KEEP].active->fd);
	assert_int_equal(store_sync(s), -EINVAL);
	dup2(file, s->logs[LOG_KEEP].active->fd);
	close(file);
	close(ends[0]);
	close(ends[1]);
	assert_int_equal(store_sync(s), -EINVAL);
	assert_int_equal(put(s, 3), -EINVAL);
	assert_int_equal(get(s, 1), 0);
	assert_int_equal(get(s, 2), 0);
	assert_int_equal(get(s, 3), ERR_MISSING);
	assert_int_equal(store_close(s), -EINVAL);

	/* What reached the file all the same is found. */
	s = open_store(STORE_WRITE);
	assert_int_equal(get(s, 1), 0);
	assert_int_equal(get(s, 2), 0);
	assert_int_equal(put(s, 3), 0);
	assert_int_equal(store_close(s), 0);
}

/* hostile.md 111 */
static void b111_a_put_without_space_leaves_nothing_and_a_later_one_succeeds(void **state)
{
	struct store *s = open_store(STORE_WRITE | STORE_CREATE);
	size_t before = 0, after = 0;

	assert_int_equal(put(s, 1), 0);
	free(scratch_read(dir, SEGMENT_1, &before));
	int file = dup(s->logs[LOG_KEEP].active->fd), full = open("/dev/full", O_RDWR);
	dup2(full, s->logs[LOG_KEEP].active->fd);
	assert_int_equal(put(s, 2), -ENOSPC);
	assert_int_equal(has(s, 2, NULL), 0);
	dup2(file, s->logs[LOG_KEEP].active->fd);
	close(full);
	close(file);
	free(scratch_read(dir, SEGMENT_1, &after));
	assert_int_equal(before, after);
	assert_int_equal(put(s, 2), 0);
	assert_int_equal(store_close(s), 0);
	s = open_store(0);
	assert_int_equal(get(s, 1), 0);
	assert_int_equal(get(s, 2), 0);
	store_close(s);
}

/* A file of at most that size: what a full disk does, to any user. */
static void limit_files(rlim_t bytes)
{
	struct rlimit r = { bytes, RLIM_INFINITY };

	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &r), 0);
}

static void a_record_cut_by_a_full_disk_is_removed(void **state)
{
	struct store *s = open_store(STORE_WRITE | STORE_CREATE);
	size_t len = 0, now = 0;

	assert_int_equal(put(s, 1), 0);
	free(scratch_read(dir, SEGMENT_1, &len));
	limit_files(len + 100);
	assert_int_equal(put(s, 2), -EFBIG);
	free(scratch_read(dir, SEGMENT_1, &now));
	limit_files(RLIM_INFINITY);
	assert_int_equal(now, len);
	assert_int_equal(put(s, 2), 0);
	assert_int_equal(get(s, 2), 0);
	store_close(s);
}

static void an_index_without_space_keeps_blocks_for_the_next_sync(void **state)
{
	struct store *s = open_store(STORE_WRITE | STORE_CREATE);
	size_t len = 0;

	store_sync(s);
	free(scratch_read(dir, "index/data.mdb", &len));
	uint8_t data[4] = { 0 };
	struct multihash name;
	pthread_mutex_lock(&s->lock);
	s->retry_at = INT64_MAX; /* no round but those we ask for */
	pthread_mutex_unlock(&s->lock);
	/* Records of 72 bytes: the index has to grow before the segment does. */
	limit_files(len);
	unsigned n = (unsigned)len / 80;
	for (unsigned i = 0; i < n; i++) {
		memcpy(data, &i, 4);
		multihash_sha256(&name, data, 4);
		assert_int_equal(store_put_bytes(s, &name, data, 4), 0);
	}
	assert_int_equal(store_sync(s), -EFBIG);
	assert_int_equal(store_sync(s), -EFBIG);
	assert_int_equal(store_has(s, &name, NULL), 1);
	limit_files(RLIM_INFINITY);
	assert_int_equal(put(s, 7), 0);
	assert_int_equal(store_sync(s), 0);
	assert_int_equal(store_close(s), 0);
	s = open_store(0);
	struct store_stat st;
	store_stat(s, &st);
	assert_int_equal(st.blocks, n + 1);
	assert_int_equal(store_has(s, &name, NULL), 1);
	store_close(s);
}

/* hostile.md 111, on a real small disk; root alone can make one. */
static void a_full_file_system_loses_nothing_that_was_synced(void **state)
{
	/* In a name space of our own, so that the mount goes with us. */
	if (unshare(CLONE_NEWNS) < 0 ||
	    mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    mount("none", dir, "tmpfs", 0, "size=1m") < 0)
		skip();
	struct store *s = open_store(STORE_WRITE | STORE_CREATE);
	unsigned synced = 0, n = 0;
	int r = 0;

	while (!r && n < 2000) {
		r = put(s, n);
		if (!r)
			n++;
		if (!r && n % 20 == 0) {
			r = store_sync(s);
			if (!r)
				synced = n;
		}
	}
	assert_int_equal(r, -ENOSPC);
	assert_in_range(synced, 20, 1000);
	for (unsigned i = 0; i < n; i++)
		assert_int_equal(get(s, i), 0);
	store_close(s);
	s = open_store(STORE_WRITE);
	for (unsigned i = 0; i < synced; i++)
		assert_int_equal(get(s, i), 0);
	/* Space comes back: so does writing. */
	assert_int_equal(mount("none", dir, "tmpfs", MS_REMOUNT, "size=8m"), 0);
	for (unsigned i = 0; i < n + 10; i++)
		assert_int_equal(put(s, i), 0);
	assert_int_equal(store_sync(s), 0);
	assert_int_equal(store_close(s), 0);
	assert_int_equal(umount2(dir, MNT_DETACH), 0);
}

struct worker {
	struct store *s;
	unsigned first;
	int error;
	pthread_t thread;
};

static void *work(void *arg)
{
	struct worker *w = arg;

	/* Neighbours put the same blocks, and read what others put. */
	for (unsigned i = w->first; i < w->first + 200 && !w->error; i++) {
		w->error = put(w->s, i);
		if (!w->error)
			w->error = has(w->s, i, NULL) ? get(w->s, i) : ERR_MISSING;
		if (!w->error && i % 16 == 0)
			w->error = store_sync(w->s);
		int r = get(w->s, i + 50);
		if (!w->error && r != ERR_MISSING)
			w->error = r;
	}
	return NULL;
}

static void many_threads_put_get_and_sync_at_once(void **state)
{
	struct store *s = open_store(STORE_WRITE | STORE_CREATE);
	struct worker workers[8];

	for (unsigned i = 0; i < 8; i++) {
		workers[i] = (struct worker){ s, i * 100, 0, 0 };
		assert_int_equal(
		    pthread_create(&workers[i].thread, NULL, work, &workers[i]), 0);
	}
	for (unsigned i = 0; i < 8; i++) {
		pthread_join(workers[i].thread, NULL);
		assert_int_equal(workers[i].error, 0);
	}
	assert_int_equal(store_close(s), 0);
	s = open_store(0);
	for (unsigned i = 0; i < 900; i++)
		assert_int_equal(get(s, i), 0);
	store_close(s);
}

static void a_full_segment_is_followed_by_another(void **state)
{
	struct store *s = open_store(STORE_WRITE | STORE_CREATE);
	struct multihash name;
	uint8_t *data = malloc(BLOCK_MAX);
	uint64_t random = 1;

	/* Bytes that neither repeat nor compress. */
	for (size_t k = 0; k < BLOCK_MAX; k += 8) {
		uint64_t v = scratch_random(&random);
		memcpy(data + k, &v, 8);
	}
	/* Move the end near the limit: the file is sparse. */
	assert_int_equal(put(s, 1), 0);
	pthread_mutex_lock(&s->lock);
	s->logs[LOG_KEEP].tail.offset = s->logs[LOG_KEEP].kicked = SEGMENT_MAX - BLOCK_MAX - 20000;
	pthread_mutex_unlock(&s->lock);
	for (uint8_t i = 0; i < 3; i++) {
		for (size_t k = 0; k < BLOCK_MAX; k += PIECE_MIN)
			data[k] = i;
		multihash_sha256(&name, data, BLOCK_MAX);
		assert_int_equal(store_put_bytes(s, &name, data, BLOCK_MAX), 0);
	}
	assert_int_equal(s->logs[LOG_KEEP].tail.segment, 2);
	assert_int_equal(store_close(s), 0);
	s = open_store(STORE_WRITE);
	assert_int_equal(s->logs[LOG_KEEP].tail.segment, 2);
	for (uint8_t i = 0; i < 3; i++) {
		struct block *b = NULL;
		for (size_t k = 0; k < BLOCK_MAX; k += PIECE_MIN)
			data[k] = i;
		multihash_sha256(&name, data, BLOCK_MAX);
		assert_int_equal(store_get(s, &name, &b), 0);
		assert_memory_equal(b->data, data, BLOCK_MAX);
		block_unref(b);
	}
	store_close(s);
	free(data);
}

static void the_index_takes_more_room_when_it_needs_it(void **state)
{
	struct pending batch = { 0 };
	struct record_name key;
	struct multihash name;
	struct index *ix = NULL;
	struct place at;

	assert_int_equal(index_open(&ix, dir, INDEX_WRITE | INDEX_CREATE, 256 << 10), 0);
	for (uint32_t i = 0; i < 20000; i++) {
		multihash_sha256(&name, &i, sizeof i);
		record_name(&key, &name, 0);
		at = (struct place){ 1, i * 8, 4, 4, RECORD_BLOCK };
		assert_int_equal(pending_add(&batch, &key, &at), 0);
	}
	pending_sort(&batch);
	assert_int_equal(index_commit(ix, &batch, (struct mark[LOGS]){ { 1, 160000 } }), 0);
	for (uint32_t i = 0; i < 20000; i++) {
		multihash_sha256(&name, &i, sizeof i);
		record_name(&key, &name, 0);
		assert_int_equal(index_find(ix, &key, &at), 1);
		assert_int_equal(at.offset, i * 8);
	}
	pending_release(&batch);
	index_close(ix);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_block_is_there_at_once_and_after_reopening),
		TEST(a_block_that_is_there_costs_nothing),
		TEST(the_empty_block_and_the_largest_are_kept),
		TEST(what_was_put_is_cached_within_bounds),
		TEST(every_name_is_listed_once),
		TEST(b117_a_second_writer_is_refused_and_the_lock_goes_with_its_holder),
		TEST(a_directory_that_is_no_store_is_left_alone),
		TEST(every_version_file_but_ours_is_refused),
		TEST(creation_that_was_interrupted_is_done_again),
		TEST(an_index_that_is_cut_or_gone_is_corrupt_and_can_be_rebuilt),
		TEST(a_damaged_block_is_missing_and_can_be_put_again),
		TEST(a_block_damaged_before_it_is_indexed_is_not_indexed),
		TEST(a_reader_counts_damage_and_writes_nothing),
		TEST(a_reader_in_another_process_sees_what_was_synced),
		TEST(a_reader_needs_no_right_to_write),
		TEST(a_reader_works_on_a_read_only_file_system),
		TEST(a_torn_end_is_cut_off_and_what_is_whole_is_indexed),
		TEST(a_segment_that_was_just_being_made_is_removed),
		TEST(a_segment_that_lost_its_end_is_not_appended_to),
		TEST(b112_a_failed_sync_is_final_and_reads_go_on),
		TEST(b111_a_put_without_space_leaves_nothing_and_a_later_one_succeeds),
		TEST(a_record_cut_by_a_full_disk_is_removed),
		TEST(an_index_without_space_keeps_blocks_for_the_next_sync),
		TEST(a_full_file_system_loses_nothing_that_was_synced),
		TEST(many_threads_put_get_and_sync_at_once),
		TEST(a_full_segment_is_followed_by_another),
		TEST(the_index_takes_more_room_when_it_needs_it),
	};

	/* The damage here is ours: no need to tell. */
	log_set_level(-1);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
