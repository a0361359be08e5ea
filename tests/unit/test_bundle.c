/* Small blocks that lie together in one record. */
#include "store/error.h"
#include "store/log.h"
#include "store/store_internal.h"
#include "tests/scratch_each.h"

#include <fcntl.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#define SEGMENT_1 "segments/00000001.seg"
#define SEGMENT_2 "segments/00000002.seg"

static struct store *open_store(unsigned flags)
{
	struct store *s = NULL;

	assert_int_equal(store_open(&s, dir, flags, NULL), 0);
	return s;
}

/* The block number `i`: words, which compress; number 0 is empty. */
static size_t bytes_of(unsigned i, uint8_t out[4096], struct multihash *name)
{
	uint64_t random = i;
	size_t len = i ? 20 + scratch_random(&random) % 700 : 0;

	for (size_t k = 0; k < len; k++)
		out[k] = "abcdefgh"[scratch_random(&random) % 8];
	multihash_sha256(name, out, len);
	return len;
}

static int put(struct store *s, unsigned i)
{
	struct multihash name;
	uint8_t data[4096];
	size_t len = bytes_of(i, data, &name);

	return store_put_bytes(s, &name, data, len);
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
	block_unref(b);
	return 0;
}

static int check(struct store *s, unsigned i)
{
	struct multihash name;
	uint8_t data[4096];

	bytes_of(i, data, &name);
	return store_check(s, &name);
}

/* A store with blocks [0, n), all in one bundle behind a record of its own; its
 * segment's bytes, to free(). */
static uint8_t *one_bundle(unsigned n, size_t *len)
{
	struct store *s = open_store(STORE_WRITE | STORE_CREATE);

	assert_int_equal(put(s, 1000), 0);
	assert_int_equal(store_sync(s), 0);
	for (unsigned i = 0; i < n; i++)
		assert_int_equal(put(s, i), 0);
	assert_int_equal(store_close(s), 0);
	return scratch_read(dir, SEGMENT_1, len);
}

/* Where the bundle of one_bundle() begins. */
static uint32_t bundle_at(const uint8_t *file)
{
	struct record rec;

	assert_int_equal(record_decode(&rec, file + SEGMENT_HEADER, RECORD_HEADER), 0);
	assert_int_equal(rec.kind, RECORD_BLOCK);
	return SEGMENT_HEADER + record_span(rec.name_size, rec.stored);
}

static void a_bundle_has_these_bytes(void **state)
{
	static const uint8_t stored[] = {
		3, 0x00, 1, 'x', 2, 0, 0,     /* identity hash of "x"; it says two bytes */
		4, 0x00, 2, 'y', 'z', 1, 0, 0, /* the same of "yz", one byte */
		'A', 'B', 'C',
	};
	static const uint8_t name[BUNDLE_NAME] = { 2, 0, 15, 0 };
	const struct record rec = { .kind = RECORD_BUNDLE,
				    .encoding = ENCODING_RAW,
				    .name_size = BUNDLE_NAME,
				    .stored = sizeof stored,
				    .size = 3 };
	uint8_t made[BUNDLE_NAME], table[15];
	struct bundle_table t;

	bundle_name(made, 2, 15);
	assert_memory_equal(made, name, sizeof name);
	bundle_entry(table, stored + 1, 3, 2);
	bundle_entry(table + 7, stored + 8, 4, 1);
	assert_memory_equal(table, stored, sizeof table);

	assert_int_equal(bundle_decode(&t, &rec, name, stored), 0);
	assert_int_equal(t.n, 2);
	assert_int_equal(t.bytes, 15);
	assert_int_equal(t.members[0].at, 0);
	assert_int_equal(t.members[0].size, 2);
	assert_int_equal(t.members[1].at, 2);
	assert_int_equal(t.members[1].size, 1);
	assert_ptr_equal(bundle_find(&t, stored + 8, 4), &t.members[1]);
	assert_null(bundle_find(&t, stored + 8, 3));
}

/* hostile.md 86 */
static void a_table_that_lies_is_no_bundle(void **state)
{
	uint8_t stored[64] = { 3, 0x00, 1, 'x', 2, 0, 0, 4, 0x00, 2, 'y', 'z', 1, 0, 0 };
	uint8_t name[BUNDLE_NAME] = { 2, 0, 15, 0 };
	struct record rec = { .kind = RECORD_BUNDLE,
			      .encoding = ENCODING_RAW,
			      .name_size = BUNDLE_NAME,
			      .stored = 18,
			      .size = 3 };
	struct bundle_table t;

	assert_int_equal(bundle_decode(&t, &rec, name, stored), 0);
	/* More or fewer members or bytes than there are. */
	for (unsigned n = 0; n <= 300; n++) {
		name[0] = (uint8_t)n;
		name[1] = (uint8_t)(n >> 8);
		assert_int_equal(bundle_decode(&t, &rec, name, stored),
				 n == 2 ? 0 : ERR_CORRUPT);
	}
	name[0] = 2;
	name[1] = 0;
	for (unsigned bytes = 0; bytes <= UINT16_MAX; bytes++) {
		name[2] = (uint8_t)bytes;
		name[3] = (uint8_t)(bytes >> 8);
		assert_int_equal(bundle_decode(&t, &rec, name, stored),
				 bytes == 15 ? 0 : ERR_CORRUPT);
	}
	name[2] = 15;
	name[3] = 0;
	/* Sizes that are not those of the record, together or one by one. */
	for (unsigned i = 4; i < 15; i += 8)
		for (unsigned k = 0; k < 3; k++) {
			uint8_t right = stored[i + k];
			for (unsigned v = 0; v < 256; v++) {
				stored[i + k] = (uint8_t)v;
				assert_int_equal(bundle_decode(&t, &rec, name, stored),
						 v == right ? 0 : ERR_CORRUPT);
			}
			stored[i + k] = right;
		}
	rec.size = 4;
	assert_int_equal(bundle_decode(&t, &rec, name, stored), ERR_CORRUPT);
	rec.stored = 19;
	assert_int_equal(bundle_decode(&t, &rec, name, stored), ERR_CORRUPT);
	rec.stored = 18;
	rec.size = 3;
	/* A frame that is no shorter than what it holds. */
	rec.encoding = ENCODING_ZSTD;
	assert_int_equal(bundle_decode(&t, &rec, name, stored), ERR_CORRUPT);
	rec.stored = 17;
	assert_int_equal(bundle_decode(&t, &rec, name, stored), 0);
}

static void small_blocks_are_read_at_once_and_after_closing(void **state)
{
	struct store *s = open_store(STORE_WRITE | STORE_CREATE);
	struct store_stat st;
	const unsigned n = 3000;

	for (unsigned i = 0; i < n; i++) {
		assert_int_equal(put(s, i), 0);
		assert_int_equal(get(s, i), 0);
		assert_int_equal(get(s, i / 2), 0);
		assert_int_equal(put(s, i / 3), 0);
	}
	assert_int_equal(get(s, n), ERR_MISSING);
	store_stat(s, &st);
	assert_int_equal(st.blocks, n);
	assert_int_equal(store_sync(s), 0);
	store_stat(s, &st);
	assert_int_equal(st.blocks, n);
	uint64_t bytes = st.bytes;
	for (unsigned i = 0; i < n; i++) {
		assert_int_equal(get(s, i), 0);
		assert_int_equal(check(s, i), 0);
	}
	assert_int_equal(store_close(s), 0);

	s = open_store(0);
	store_stat(s, &st);
	assert_int_equal(st.blocks, n);
	assert_int_equal(st.bytes, bytes);
	/* Eight letters are three bits each. */
	assert_true(st.disk_bytes < bytes);
	for (unsigned i = n; i--;)
		assert_int_equal(get(s, i), 0);
	store_close(s);

	uint64_t blocks = 0, damaged = 1;
	assert_int_equal(store_rebuild(dir, &blocks, &damaged), 0);
	assert_int_equal(blocks, n);
	assert_int_equal(damaged, 0);
	s = open_store(0);
	for (unsigned i = 0; i < n; i++)
		assert_int_equal(get(s, i), 0);
	store_close(s);
}

static void a_block_that_lies_alone_is_a_plain_record(void **state)
{
	size_t len = 0;
	struct store *s = open_store(STORE_WRITE | STORE_CREATE);
	struct record rec;

	assert_int_equal(put(s, 1), 0);
	assert_int_equal(store_close(s), 0);
	uint8_t *file = scratch_read(dir, SEGMENT_1, &len);
	assert_int_equal(record_decode(&rec, file + SEGMENT_HEADER, RECORD_HEADER), 0);
	assert_int_equal(rec.kind, RECORD_BLOCK);
	free(file);
}

static void a_crash_finds_a_bundle_whole_or_not_at_all(void **state)
{
	size_t len = 0, index_len = 0;
	const unsigned n = 5;
	struct store *s = open_store(STORE_WRITE | STORE_CREATE);

	assert_int_equal(put(s, 1000), 0);
	assert_int_equal(store_sync(s), 0);
	uint8_t *index = scratch_read(dir, "index/data.mdb", &index_len);
	store_close(s);
	uint8_t *file = one_bundle(n, &len);
	uint32_t from = bundle_at(file);

	for (size_t cut = from; cut <= len; cut++) {
		/* The index does not know it yet. */
		scratch_write(dir, SEGMENT_1, file, cut);
		scratch_write(dir, "index/data.mdb", index, index_len);
		s = open_store(STORE_WRITE);
		assert_int_equal(get(s, 1000), 0);
		for (unsigned i = 0; i < n; i++)
			assert_int_equal(get(s, i), cut == len ? 0 : ERR_MISSING);
		/* What comes next is found again. */
		if (cut % 16 == 0) {
			for (unsigned i = 0; i < n; i++)
				assert_int_equal(put(s, i), 0);
			assert_int_equal(store_close(s), 0);
			s = open_store(0);
			for (unsigned i = 0; i < n; i++)
				assert_int_equal(get(s, i), 0);
		}
		store_close(s);
	}
	free(index);
	free(file);
}

static void damage_anywhere_in_a_bundle_is_found_and_never_served(void **state)
{
	size_t len = 0, index_len = 0;
	const unsigned n = 4;
	uint8_t *file = one_bundle(n, &len);
	uint8_t *index = scratch_read(dir, "index/data.mdb", &index_len);
	uint32_t from = bundle_at(file);
	struct record rec;
	struct store_stat st;
	struct store *s;

	assert_int_equal(record_decode(&rec, file + from, RECORD_HEADER), 0);
	assert_int_equal(rec.kind, RECORD_BUNDLE);
	uint32_t end = from + RECORD_HEADER + rec.name_size + rec.stored;
	for (uint32_t at = from; at < end; at++) {
		file[at] ^= (uint8_t)(1 << at % 8);
		scratch_write(dir, SEGMENT_1, file, len);
		file[at] ^= (uint8_t)(1 << at % 8);
		scratch_write(dir, "index/data.mdb", index, index_len);
		s = open_store(at % 2 ? STORE_WRITE : 0);
		for (unsigned i = 0; i < n; i++) {
			/* Each member is reported, by a check or a read. */
			if (at % 3)
				assert_int_equal(check(s, i), ERR_CORRUPT);
			assert_int_equal(get(s, i), ERR_MISSING);
		}
		assert_int_equal(get(s, 1000), 0);
		store_stat(s, &st);
		assert_int_equal(st.corrupt, n);
		if (at % 2) {
			for (unsigned i = 0; i < n; i++) {
				assert_int_equal(put(s, i), 0);
				assert_int_equal(get(s, i), 0);
			}
		}
		store_close(s);

		uint64_t blocks = 0;
		if (at % 5 == 0) {
			assert_int_equal(store_rebuild(dir, &blocks, NULL), 0);
			assert_int_equal(blocks, at % 2 ? n + 1 : 1);
		}
	}
	free(index);
	free(file);
}

/* A reader that has a bundle in memory still asks the disk when it is to check. */
static void a_check_reads_the_disk_each_time(void **state)
{
	size_t len = 0;
	uint8_t *file = one_bundle(4, &len);
	struct store *s = open_store(STORE_WRITE);

	for (unsigned i = 0; i < 4; i++) {
		assert_int_equal(get(s, i), 0);
		assert_int_equal(check(s, i), 0);
	}
	file[len - 20] ^= 1;
	scratch_write(dir, SEGMENT_1, file, len);
	assert_int_equal(check(s, 2), ERR_CORRUPT);
	free(file);
	struct multihash name;
	uint8_t data[4096];
	bytes_of(2, data, &name);
	assert_int_equal(store_mend(s, &name), ERR_MISSING);
	assert_int_equal(put(s, 2), 0);
	assert_int_equal(check(s, 2), 0);
	assert_int_equal(store_close(s), 0);
}

/* Write a bundle of blocks 1, 2, 3, in which the bytes of 2 are others'. */
static uint32_t write_liar(struct segment *g, uint32_t offset, bool packed)
{
	uint8_t table[256], data[3 * 4096], name[BUNDLE_NAME];
	uint32_t table_bytes = 0, bytes = 0;
	struct packer *p = packer_new();
	struct packed out;

	for (unsigned i = 1; i <= 3; i++) {
		struct record_name key;
		struct multihash hash;
		size_t len = bytes_of(i, data + bytes, &hash);

		if (i == 2)
			data[bytes] ^= 1;
		record_name(&key, &hash, 0);
		bundle_entry(table + table_bytes, key.bytes, key.size, len);
		table_bytes += (uint32_t)bundle_entry_size(key.size);
		bytes += (uint32_t)len;
	}
	pack_bundle(p, table, table_bytes, data, bytes, &out);
	assert_int_equal(out.encoding, ENCODING_ZSTD);
	if (!packed) {
		memcpy(packer_stored(p) + table_bytes, data, bytes);
		out = (struct packed){ packer_stored(p), table_bytes + bytes, ENCODING_RAW };
	}
	bundle_name(name, 3, table_bytes);
	struct record rec = { RECORD_BUNDLE, out.encoding, BUNDLE_NAME, out.stored, bytes,
			      record_check(out.data, out.stored) };
	assert_int_equal(segment_write(g, offset, &rec, name, out.data), 0);
	packer_free(p);
	return offset + record_span(BUNDLE_NAME, out.stored);
}

/* Behind damage, records count only if a strong hash says so: each member's. */
static void members_found_behind_damage_must_match_their_names(void **state)
{
	for (int packed = 0; packed < 2; packed++) {
		struct store *s;
		uint64_t blocks = 0;
		size_t len = 0;

		free(one_bundle(4, &len));
		s = open_store(STORE_WRITE);
		struct segment *g = NULL;
		assert_int_equal(segment_open(&s->segments, 1, &g), 0);
		/* Eight bytes of nothing, then the liar. */
		write_liar(g, (uint32_t)len + 8, packed);
		segment_unref(g);
		store_close(s);
		char path[SCRATCH_MAX + 32];
		snprintf(path, sizeof path, "%s/%s", dir, SEGMENT_1);
		/* Only the liar has them. */
		uint8_t *file = scratch_read(dir, SEGMENT_1, &len);
		memset(file + bundle_at(file), 0, 8);
		scratch_write(dir, SEGMENT_1, file, len);
		free(file);
		assert_int_equal(store_rebuild(dir, &blocks, NULL), 0);
		assert_int_equal(blocks, 3);
		s = open_store(0);
		assert_int_equal(get(s, 1), 0);
		assert_int_equal(get(s, 2), ERR_MISSING);
		assert_int_equal(get(s, 3), 0);
		store_close(s);
		scratch_remove(dir);
		scratch_make(dir);
	}
}

/* hostile.md 86: what a frame says of its size is not believed. */
static void a_frame_of_another_size_is_damage(void **state)
{
	struct store *s = open_store(STORE_WRITE | STORE_CREATE);
	struct packer *p = packer_new();
	uint8_t table[64], name[BUNDLE_NAME];
	static uint8_t data[8192];
	struct record_name key;
	struct multihash hash;
	struct packed out;
	uint64_t blocks = 9;

	assert_int_equal(put(s, 1000), 0);
	assert_int_equal(store_sync(s), 0);
	memset(data, 'a', sizeof data);
	multihash_sha256(&hash, data, 4096);
	record_name(&key, &hash, s->seed);
	bundle_entry(table, key.bytes, key.size, 4096);
	uint32_t table_bytes = (uint32_t)bundle_entry_size(key.size);
	/* The frame has twice as many bytes as the table. */
	pack_bundle(p, table, table_bytes, data, sizeof data, &out);
	bundle_name(name, 1, table_bytes);
	struct record rec = { .kind = RECORD_BUNDLE,
			      .encoding = out.encoding,
			      .name_size = BUNDLE_NAME,
			      .stored = out.stored,
			      .size = 4096 };
	struct bundle_table t = { .bytes = table_bytes, .n = 1 };
	t.members[0] = (struct bundle_member){ key.bytes, key.size, 0, 4096 };
	assert_int_equal(store_append_bundle(s, &rec, name, out.data, &t), 0);
	struct block *b = NULL;
	assert_int_equal(store_get(s, &hash, &b), ERR_MISSING);
	assert_int_equal(store_close(s), 0);
	assert_int_equal(store_rebuild(dir, &blocks, NULL), 0);
	s = open_store(0);
	assert_int_equal(store_get(s, &hash, &b), ERR_MISSING);
	assert_int_equal(get(s, 1000), 0);
	store_close(s);
	packer_free(p);
}

/* hostile.md 111 */
static void blocks_stay_readable_while_the_disk_is_full(void **state)
{
	struct store *s = open_store(STORE_WRITE | STORE_CREATE);
	const unsigned n = 2000;

	assert_int_equal(put(s, 1000000), 0);
	assert_int_equal(store_sync(s), 0);
	int file = dup(s->logs[LOG_KEEP].active->fd), full = open("/dev/full", O_RDWR);
	dup2(full, s->logs[LOG_KEEP].active->fd);
	unsigned i = 0;
	int r = 0;
	while (i < n && !(r = put(s, i)))
		i++;
	assert_int_equal(r, -ENOSPC);
	assert_true(i > 10);
	assert_int_equal(get(s, i), ERR_MISSING);
	for (unsigned k = 0; k < i; k++)
		assert_int_equal(get(s, k), 0);
	assert_int_equal(store_sync(s), -ENOSPC);
	dup2(file, s->logs[LOG_KEEP].active->fd);
	close(full);
	close(file);
	assert_int_equal(put(s, i), 0);
	assert_int_equal(store_sync(s), 0);
	assert_int_equal(store_close(s), 0);
	s = open_store(0);
	for (unsigned k = 0; k <= i; k++)
		assert_int_equal(get(s, k), 0);
	store_close(s);
}

static void a_store_of_version_1_is_read_and_goes_on_in_a_new_segment(void **state)
{
	size_t len = 0;
	uint8_t *file = one_bundle(0, &len);
	uint8_t header[SEGMENT_HEADER];
	struct store *s;

	memcpy(header, file, sizeof header);
	header[8] = 1;
	uint64_t sum = record_check(header, 24);
	memcpy(header + 24, &sum, 8); /* tests run on little-endian machines */
	memcpy(file, header, sizeof header);
	scratch_write(dir, SEGMENT_1, file, len);
	scratch_write(dir, "version", "cairn store 1\n", 14);

	s = open_store(0);
	assert_int_equal(get(s, 1000), 0);
	store_close(s);
	uint8_t *version = scratch_read(dir, "version", &(size_t){ 0 });
	assert_memory_equal(version, "cairn store 1\n", 14);
	free(version);

	s = open_store(STORE_WRITE);
	for (unsigned i = 0; i < 10; i++)
		assert_int_equal(put(s, i), 0);
	store_close(s);
	version = scratch_read(dir, "version", &(size_t){ 0 });
	assert_memory_equal(version, "cairn store 2\n", 14);
	free(version);
	free(file);
	size_t now = 0;
	free(scratch_read(dir, SEGMENT_1, &now));
	assert_int_equal(now, len);
	assert_non_null(file = scratch_read(dir, SEGMENT_2, &len));
	free(file);
	s = open_store(0);
	assert_int_equal(get(s, 1000), 0);
	for (unsigned i = 0; i < 10; i++)
		assert_int_equal(get(s, i), 0);
	store_close(s);
}

#define THREADS 6
static void *put_and_get(void *arg)
{
	struct store *s = ((void **)arg)[0];
	unsigned from = (unsigned)(uintptr_t)((void **)arg)[1];

	/* Half of them are everybody's. */
	for (unsigned i = 0; i < 2000; i++) {
		unsigned k = i % 2 ? i : from * 10000 + i;

		if (put(s, k) < 0 || get(s, k) < 0 || get(s, k - (i > 1) * 2) < 0)
			return arg;
		if (i % 500 == 0 && store_sync(s) < 0)
			return arg;
	}
	return NULL;
}

static void threads_see_each_others_blocks(void **state)
{
	struct store *s = open_store(STORE_WRITE | STORE_CREATE);
	pthread_t threads[THREADS];
	void *args[THREADS][2];
	struct store_stat st;

	for (int i = 0; i < THREADS; i++) {
		args[i][0] = s;
		args[i][1] = (void *)(uintptr_t)(i + 1);
		assert_int_equal(pthread_create(&threads[i], NULL, put_and_get, args[i]), 0);
	}
	for (int i = 0; i < THREADS; i++) {
		void *failed;
		pthread_join(threads[i], &failed);
		assert_null(failed);
	}
	store_stat(s, &st);
	assert_int_equal(st.blocks, THREADS * 1000 + 1000);
	assert_int_equal(store_close(s), 0);
	uint64_t blocks = 0;
	assert_int_equal(store_rebuild(dir, &blocks, NULL), 0);
	assert_int_equal(blocks, THREADS * 1000 + 1000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_bundle_has_these_bytes),
		cmocka_unit_test(a_table_that_lies_is_no_bundle),
		cmocka_unit_test_setup_teardown(small_blocks_are_read_at_once_and_after_closing,
						set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_block_that_lies_alone_is_a_plain_record,
						set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_crash_finds_a_bundle_whole_or_not_at_all,
						set_up, tear_down),
		cmocka_unit_test_setup_teardown(
		    damage_anywhere_in_a_bundle_is_found_and_never_served, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_check_reads_the_disk_each_time, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(
		    members_found_behind_damage_must_match_their_names, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_frame_of_another_size_is_damage, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(blocks_stay_readable_while_the_disk_is_full,
						set_up, tear_down),
		cmocka_unit_test_setup_teardown(
		    a_store_of_version_1_is_read_and_goes_on_in_a_new_segment, set_up,
		    tear_down),
		cmocka_unit_test_setup_teardown(threads_see_each_others_blocks, set_up,
						tear_down),
	};

	/* The damage here is ours: no need to tell. */
	log_set_level(-1);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
