/* Records are where and what they say, or they are not records. */
#include "store/error.h"
#include "store/segment.h"
#include "tests/scratch.h"

#include <fcntl.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

struct place_of {
	char dir[SCRATCH_MAX];
	int fd;
	struct segments segments;
};

static int set_up(void **state)
{
	struct place_of *w = calloc(1, sizeof *w);

	scratch_make(w->dir);
	w->fd = open(w->dir, O_RDONLY | O_DIRECTORY);
	mkdirat(w->fd, "segments", 0700);
	*state = w;
	return segments_open(&w->segments, w->fd);
}

static int tear_down(void **state)
{
	struct place_of *w = *state;

	segments_close(&w->segments);
	close(w->fd);
	scratch_remove(w->dir);
	free(w);
	return 0;
}

/* Append a block; returns the offset behind it. */
static uint32_t add(struct segment *g, uint32_t offset, const void *data, size_t len)
{
	struct record_name key;
	struct multihash name;

	multihash_sha256(&name, data, len);
	record_name(&key, &name, 0);
	struct record rec = { RECORD_BLOCK,  ENCODING_RAW,  key.size,
			      (uint32_t)len, (uint32_t)len, record_check(data, len) };
	assert_int_equal(segment_write(g, offset, &rec, key.bytes, data), 0);
	return offset + record_span(key.size, (uint32_t)len);
}

struct found {
	int n;
	struct place at[64];
	struct multihash names[64];
};

static int note(void *arg, const uint8_t *name, size_t name_size, const struct place *at,
		uint32_t end, bool doubtful)
{
	struct found *f = arg;

	assert_true(f->n < 64);
	assert_int_equal(multihash_decode(&f->names[f->n], name, name_size), 0);
	f->at[f->n++] = *at;
	return 0;
}

static struct found scan(struct segment *g, uint32_t *end, uint64_t *damaged)
{
	struct found f = { 0 };

	assert_int_equal(segment_scan(g, SEGMENT_HEADER, note, &f, end, damaged), 0);
	return f;
}

static void a_record_has_these_bytes(void **state)
{
	/* The block "hello\n" at byte 32 of segment 1. */
	static const uint8_t name[] = {
		0x12, 0x20, 0x58, 0x91, 0xb5, 0xb5, 0x22, 0xd5, 0xdf, 0x08, 0x6d, 0x0f,
		0xf0, 0xb1, 0x10, 0xfb, 0xd9, 0xd2, 0x1b, 0xb4, 0xfc, 0x71, 0x63, 0xaf,
		0x34, 0xd0, 0x82, 0x86, 0xa2, 0xe8, 0x46, 0xf6, 0xbe, 0x03,
	};
	static const uint8_t head[] = {
		'C',  'R',  'E',  'C',  1,    0,    34,   0,    6,    0,    0,
		0,    6,    0,    0,    0,    0x2a, 0x46, 0xa2, 0xab, 0x9a, 0x81,
		0xfc, 0x99, 0x55, 0x95, 0x5e, 0x2a, 0x68, 0x51, 0x5b, 0xe1,
	};
	struct place_of *w = *state;
	struct segment *g = NULL;
	size_t len = 0;

	assert_int_equal(segment_create(&w->segments, 1, LOG_KEEP, &g), 0);
	assert_int_equal(add(g, SEGMENT_HEADER, "hello\n", 6), 32 + 72);
	segment_unref(g);

	uint8_t *file = scratch_read(w->dir, "segments/00000001.seg", &len);
	assert_int_equal(len, 32 + 72);
	assert_memory_equal(file, "cairnseg\2\0\0\0\1\0\0\0\0\0\0\0\0\0\0\0", 24);
	assert_memory_equal(file + 32, head, sizeof head);
	assert_memory_equal(file + 32 + 32, name, sizeof name);
	assert_memory_equal(file + 32 + 66, "hello\n", 6);
	free(file);
}

static void a_block_is_read_back_only_by_its_name_and_place(void **state)
{
	struct place_of *w = *state;
	struct segment *g = NULL;
	struct record_name key;
	struct multihash name;
	uint8_t data[16];

	assert_int_equal(segment_create(&w->segments, 1, LOG_KEEP, &g), 0);
	add(g, SEGMENT_HEADER, "first", 5);
	add(g, SEGMENT_HEADER + 72, "other", 5);
	segment_unref(g);
	multihash_sha256(&name, "first", 5);
	record_name(&key, &name, 0);

	struct place at = { 1, SEGMENT_HEADER, 5, 5, RECORD_BLOCK };
	assert_int_equal(segment_read(&w->segments, &at, key.bytes, key.size, data, NULL), 0);
	assert_memory_equal(data, "first", 5);

	at.offset += 72;
	assert_int_equal(segment_read(&w->segments, &at, key.bytes, key.size, data, NULL),
			 ERR_CORRUPT);
	at = (struct place){ 1, SEGMENT_HEADER, 4, 4, RECORD_BLOCK };
	assert_int_equal(segment_read(&w->segments, &at, key.bytes, key.size, data, NULL),
			 ERR_CORRUPT);
	at = (struct place){ 2, SEGMENT_HEADER, 5, 5, RECORD_BLOCK };
	assert_int_equal(segment_read(&w->segments, &at, key.bytes, key.size, data, NULL),
			 ERR_CORRUPT);
	at = (struct place){ 1, 1u << 27, 5, 5, RECORD_BLOCK };
	assert_int_equal(segment_read(&w->segments, &at, key.bytes, key.size, data, NULL),
			 ERR_CORRUPT);
}

static void every_truncation_leaves_the_records_before_it(void **state)
{
	struct place_of *w = *state;
	uint32_t ends[4] = { SEGMENT_HEADER }, end;
	struct segment *g = NULL;
	uint64_t damaged;

	assert_int_equal(segment_create(&w->segments, 1, LOG_KEEP, &g), 0);
	ends[1] = add(g, ends[0], "one", 3);
	ends[2] = add(g, ends[1], "", 0);
	ends[3] = add(g, ends[2], "a third one, somewhat longer", 28);
	for (int whole = 3; whole >= 0; whole--) {
		uint32_t stop = whole ? ends[whole - 1] + 1 : 0;
		for (uint32_t len = ends[whole] +
				    (whole < 3 ? ends[whole + 1] - ends[whole] - 1 : 0);
		     len >= ends[whole] && len >= stop; len--) {
			assert_int_equal(ftruncate(g->fd, len), 0);
			struct found f = scan(g, &end, &damaged);
			assert_int_equal(f.n, whole);
			assert_int_equal(end, ends[whole]);
			assert_int_equal(damaged, 0);
		}
	}
	segment_unref(g);
}

static void every_flipped_bit_costs_one_record_and_no_other(void **state)
{
	struct place_of *w = *state;
	struct segment *g = NULL;
	uint64_t damaged;
	uint32_t end;

	assert_int_equal(segment_create(&w->segments, 1, LOG_KEEP, &g), 0);
	uint32_t second = add(g, SEGMENT_HEADER, "one", 3);
	uint32_t third = add(g, second, "two", 3);
	uint32_t last = add(g, third, "three", 5);
	/* The three bytes behind the name and data only fill up. */
	for (uint32_t bit = second * 8; bit < (second + RECORD_HEADER + 34 + 3) * 8;
	     bit++) {
		uint8_t byte, was;
		assert_int_equal(pread(g->fd, &was, 1, bit / 8), 1);
		byte = was ^ (uint8_t)(1 << bit % 8);
		assert_int_equal(pwrite(g->fd, &byte, 1, bit / 8), 1);
		struct found f = scan(g, &end, &damaged);
		assert_int_equal(f.n, 2);
		assert_int_equal(f.at[0].offset, SEGMENT_HEADER);
		assert_int_equal(f.at[1].offset, third);
		assert_int_equal(end, last);
		assert_int_equal(damaged, third - second);
		assert_int_equal(pwrite(g->fd, &was, 1, bit / 8), 1);
	}
	segment_unref(g);
}

static void a_record_inside_a_block_is_not_believed(void **state)
{
	struct place_of *w = *state;
	uint8_t block[512] = { 0 };
	struct segment *g = NULL;
	struct record_name key;
	struct multihash victim;
	uint64_t damaged;
	uint32_t end;

	/* A stranger who knows where his block will lie puts a record into it
	 * that gives other bytes to the name of "money". */
	multihash_sha256(&victim, "money", 5);
	record_name(&key, &victim, 0);
	struct record rec = {
		RECORD_BLOCK, ENCODING_RAW, key.size, 5, 5, record_check("wrong", 5)
	};
	uint32_t inside = (SEGMENT_HEADER + RECORD_HEADER + 34 + 8 + 7) & ~7u;
	uint32_t at = inside - (SEGMENT_HEADER + RECORD_HEADER + 34);
	record_encode(block + at, &rec, key.bytes, 1, inside);
	memcpy(block + at + RECORD_HEADER + key.size, "wrong", 5);

	assert_int_equal(segment_create(&w->segments, 1, LOG_KEEP, &g), 0);
	uint32_t next = add(g, SEGMENT_HEADER, block, sizeof block);
	add(g, next, "honest", 6);
	struct found f = scan(g, &end, &damaged);
	assert_int_equal(f.n, 2);

	/* The header of his block is lost: what it held must not come to light. */
	assert_int_equal(pwrite(g->fd, "\0\0\0\0", 4, SEGMENT_HEADER), 4);
	f = scan(g, &end, &damaged);
	assert_int_equal(f.n, 1);
	assert_int_equal(f.at[0].offset, next);
	segment_unref(g);
}

static void files_are_found_by_number(void **state)
{
	struct place_of *w = *state;
	uint32_t *numbers = NULL;
	struct segment *g = NULL;
	uint64_t bytes;
	size_t n;

	for (uint32_t i = 3; i >= 1; i--) {
		assert_int_equal(segment_create(&w->segments, i * 7, LOG_KEEP, &g), 0);
		segment_unref(g);
	}
	assert_int_equal(segment_create(&w->segments, 7, LOG_KEEP, &g), -EEXIST);
	scratch_write(w->dir, "segments/0000000x.seg", "", 0);
	scratch_write(w->dir, "segments/00000001.seg2", "", 0);
	assert_int_equal(segments_list(&w->segments, &numbers, &n, &bytes), 0);
	assert_int_equal(n, 3);
	assert_int_equal(numbers[0], 7);
	assert_int_equal(numbers[2], 21);
	assert_int_equal(bytes, 3 * SEGMENT_HEADER);
	free(numbers);
}

static void many_segments_take_few_descriptors(void **state)
{
	struct place_of *w = *state;
	struct record_name key;
	struct multihash name;
	uint8_t data[8];

	for (uint32_t i = 1; i <= 3 * SEGMENTS_OPEN_MAX; i++) {
		struct segment *g = NULL;
		assert_int_equal(segment_create(&w->segments, i, LOG_KEEP, &g), 0);
		add(g, SEGMENT_HEADER, &i, sizeof i);
		segment_unref(g);
	}
	for (uint32_t round = 0; round < 2; round++)
		for (uint32_t i = 1; i <= 3 * SEGMENTS_OPEN_MAX; i++) {
			struct place at = { i, SEGMENT_HEADER, sizeof i, sizeof i, RECORD_BLOCK };
			multihash_sha256(&name, &i, sizeof i);
			record_name(&key, &name, 0);
			assert_int_equal(
			    segment_read(&w->segments, &at, key.bytes, key.size, data, NULL),
			    0);
			assert_memory_equal(data, &i, sizeof i);
		}
	int next = dup(0);
	assert_true(next < SEGMENTS_OPEN_MAX + 16);
	close(next);
}

static void a_header_of_a_newer_version_is_known(void **state)
{
	uint8_t header[SEGMENT_HEADER];

	segment_header_encode(header, 5, LOG_KEEP);
	assert_int_equal(segment_header_check(header, 5), 0);
	assert_int_equal(segment_header_check(header, 6), ERR_CORRUPT);
	for (int i = 0; i < SEGMENT_HEADER * 8; i++) {
		header[i / 8] ^= (uint8_t)(1 << i % 8);
		assert_int_equal(segment_header_check(header, 5), ERR_CORRUPT);
		header[i / 8] ^= (uint8_t)(1 << i % 8);
	}
	header[8] = SEGMENT_VERSION + 1;
	uint64_t check = record_check(header, 24);
	memcpy(header + 24, &check, 8); /* tests run on little-endian machines */
	assert_int_equal(segment_header_check(header, 5), ERR_NEWER);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_record_has_these_bytes, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(
		    a_block_is_read_back_only_by_its_name_and_place, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
		    every_truncation_leaves_the_records_before_it, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
		    every_flipped_bit_costs_one_record_and_no_other, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_record_inside_a_block_is_not_believed,
						set_up, tear_down),
		cmocka_unit_test_setup_teardown(files_are_found_by_number, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(many_segments_take_few_descriptors,
						set_up, tear_down),
		cmocka_unit_test(a_header_of_a_newer_version_is_known),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
