/* Buckets, prefixes and bitfields of HAMT directories. */
#include "store/error.h"
#include "store/hamt.h"
#include "store/murmur3.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <string.h>

static void names_hash_as_go_and_js_hash_them(void **state)
{
	/* The first half of MurmurHash3_x64_128 with seed 0. */
	static const struct {
		const char *name;
		uint64_t hash;
	} known[] = {
		{ "", 0 },
		{ "470.txt", 0x006e88df5847e67c },
		{ "hello", 0xcbd8a7b341bd9b02 },
		{ "hello, world", 0x342fac623a5ebc8e },
		{ "19 Jan 2038 at 3:14:07 AM", 0xb89e5988b737affc },
		{ "The quick brown fox jumps over the lazy dog.", 0xcd99481f9ee902c9 },
	};

	for (size_t i = 0; i < sizeof known / sizeof *known; i++)
		assert_true(hamt_hash(known[i].name, strlen(known[i].name)) ==
			    known[i].hash);
	assert_int_equal(hamt_hash("1.txt", 5) >> 56, 0x07);
}

static void buckets_are_cut_from_the_top(void **state)
{
	struct hamt_shape s;
	const uint64_t hash = 0x006e88df5847e67c;

	assert_int_equal(hamt_shape_init(&s, 256), 0);
	assert_int_equal(s.levels, 8);
	static const unsigned bytes[] = {
		0x00, 0x6e, 0x88, 0xdf, 0x58, 0x47, 0xe6, 0x7c
	};
	for (unsigned level = 0; level < 8; level++)
		assert_int_equal(hamt_bucket(&s, hash, level), bytes[level]);
	assert_int_equal(hamt_shape_init(&s, 1024), 0);
	assert_int_equal(s.levels, 6);
	assert_int_equal(hamt_bucket(&s, hash, 0), 0x006e88df5847e67c >> 54);
	assert_int_equal(hamt_bucket(&s, hash, 1), 0x006e88df5847e67c >> 44 & 1023);
	assert_int_equal(hamt_shape_init(&s, 8), 0);
	assert_int_equal(s.levels, HAMT_DEPTH_MAX);
	assert_int_equal(hamt_bucket(&s, hash, 20), hash >> 1 & 7);
}

static void prefixes_have_the_width_of_the_fanout(void **state)
{
	static const struct {
		unsigned fanout, bucket;
		const char *prefix;
	} known[] = { { 256, 7, "07" },     { 256, 0xab, "AB" }, { 8, 7, "7" },
		      { 16, 15, "F" },      { 32, 0x1f, "1F" },  { 512, 5, "005" },
		      { 1024, 1023, "3FF" } };

	for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
		char prefix[HAMT_PREFIX_MAX + 1];
		struct hamt_shape s;
		struct dagpb_link l = { .name = prefix };
		size_t name_len;
		assert_int_equal(hamt_shape_init(&s, known[i].fanout), 0);
		hamt_prefix(&s, known[i].bucket, prefix);
		assert_string_equal(prefix, known[i].prefix);
		l.name_len = strlen(prefix);
		assert_int_equal(hamt_link_bucket(&s, &l, NULL, &name_len),
				 known[i].bucket);
		assert_int_equal(name_len, 0);
	}
}

static void b78_prefixes_that_are_none_are_refused(void **state)
{
	static const char *const bad[] = { "", "0", "0g", "ab", "G0", " 1", "-1" };
	struct hamt_shape s;
	size_t len;

	assert_int_equal(hamt_shape_init(&s, 256), 0);
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		struct dagpb_link l = { .name = bad[i], .name_len = strlen(bad[i]) };
		assert_int_equal(hamt_link_bucket(&s, &l, NULL, &len), ERR_MALFORMED);
	}
	assert_int_equal(hamt_shape_init(&s, 8), 0);
	struct dagpb_link beyond = { .name = "8x", .name_len = 2 };
	assert_int_equal(hamt_link_bucket(&s, &beyond, NULL, &len), ERR_MALFORMED);
	const char *name;
	struct dagpb_link last = { .name = "7x", .name_len = 2 };
	assert_int_equal(hamt_link_bucket(&s, &last, &name, &len), 7);
	assert_int_equal(len, 1);
	assert_memory_equal(name, "x", 1);
}

static void b78_fanouts_that_are_none_are_refused(void **state)
{
	static const uint64_t bad[] = { 0,        1,          2,          4,         7,
					12,       24,         255,        257,       2048,
					1u << 31, 1ull << 32, UINT64_MAX, 1ull << 63 };
	struct hamt_shape s;

	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		assert_int_equal(hamt_shape_init(&s, bad[i]), ERR_MALFORMED);
}

static void a_bitfield_is_a_big_endian_number(void **state)
{
	uint8_t field[32] = { 0 };
	struct hamt_shape s;
	size_t len;

	assert_int_equal(hamt_shape_init(&s, 256), 0);
	assert_ptr_equal(hamt_field_trim(&s, field, &len), field + 32);
	assert_int_equal(len, 0);
	hamt_field_set(&s, field, 0);
	hamt_field_set(&s, field, 9);
	hamt_field_set(&s, field, 17);
	const uint8_t *trimmed = hamt_field_trim(&s, field, &len);
	assert_int_equal(len, 3);
	assert_memory_equal(trimmed, "\x02\x02\x01", 3);
	hamt_field_set(&s, field, 255);
	trimmed = hamt_field_trim(&s, field, &len);
	assert_int_equal(len, 32);
	assert_int_equal(trimmed[0], 0x80);
}

static int shard(struct hamt_shard *out, uint64_t hash_type, uint64_t fanout,
		 const char *field, size_t field_len, size_t n_links)
{
	struct unixfs u = { .type = UNIXFS_HAMT_SHARD,
			    .has_hash_type = true,
			    .hash_type = hash_type,
			    .has_fanout = true,
			    .fanout = fanout,
			    .has_data = true,
			    .data = (const uint8_t *)field,
			    .data_len = field_len };
	struct dagpb_node node = { .n_links = n_links };

	return hamt_shard_init(out, &node, &u);
}

static void a_bucket_finds_its_link(void **state)
{
	struct hamt_shard s;

	assert_int_equal(shard(&s, 0x22, 256, "\x02\x02\x01", 3, 3), 0);
	for (unsigned bucket = 0; bucket < 256; bucket++) {
		bool used = bucket == 0 || bucket == 9 || bucket == 17;
		assert_int_equal(hamt_shard_has(&s, bucket), used);
		size_t rank = (bucket > 0) + (bucket > 9) + (bucket > 17);
		assert_int_equal(hamt_shard_rank(&s, bucket), rank);
	}
}

static void b78_shards_that_contradict_themselves_are_refused(void **state)
{
	static const char long_field[33] = { [32] = 7 };
	struct hamt_shard s;

	assert_int_equal(shard(&s, 0x22, 256, "\x07", 1, 3), 0);
	assert_int_equal(shard(&s, 0x22, 256, "\x07", 1, 2), ERR_MALFORMED);
	assert_int_equal(shard(&s, 0x22, 256, "\x07", 1, 4), ERR_MALFORMED);
	assert_int_equal(shard(&s, 0x12, 256, "\x07", 1, 3), ERR_MALFORMED);
	assert_int_equal(shard(&s, 0x22, 0, "\x07", 1, 3), ERR_MALFORMED);
	assert_int_equal(shard(&s, 0x22, 256, long_field + 1, 32, 3), 0);
	assert_int_equal(shard(&s, 0x22, 256, long_field, 33, 3), ERR_MALFORMED);
	assert_int_equal(shard(&s, 0x22, 8, "\x01\x03", 2, 3), ERR_MALFORMED);
	assert_int_equal(shard(&s, 0x22, 256, "", 0, 0), 0);

	struct unixfs u = { .type = UNIXFS_HAMT_SHARD,
			    .has_fanout = true,
			    .fanout = 256 };
	struct dagpb_node node = { 0 };
	assert_int_equal(hamt_shard_init(&s, &node, &u), ERR_MALFORMED);
	u.has_hash_type = true;
	u.hash_type = 0x22;
	assert_int_equal(hamt_shard_init(&s, &node, &u), 0);
	u.has_fanout = false;
	assert_int_equal(hamt_shard_init(&s, &node, &u), ERR_MALFORMED);
	u.has_fanout = true;
	u.type = UNIXFS_DIRECTORY;
	assert_int_equal(hamt_shard_init(&s, &node, &u), ERR_MALFORMED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_hash_as_go_and_js_hash_them),
		cmocka_unit_test(buckets_are_cut_from_the_top),
		cmocka_unit_test(prefixes_have_the_width_of_the_fanout),
		cmocka_unit_test(b78_prefixes_that_are_none_are_refused),
		cmocka_unit_test(b78_fanouts_that_are_none_are_refused),
		cmocka_unit_test(a_bitfield_is_a_big_endian_number),
		cmocka_unit_test(a_bucket_finds_its_link),
		cmocka_unit_test(b78_shards_that_contradict_themselves_are_refused),
	};
	return cmocka_run_group_tests_name("hamt", tests, NULL, NULL);
}
