/* UnixFS Data: the bytes others write, and what must not be believed. */
#include "store/cid.h"
#include "store/dagpb.h"
#include "store/error.h"
#include "store/unixfs.h"
#include "tests/unit/hex.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <string.h>

static void assert_written(const struct unixfs *u, const uint64_t *sizes, size_t n,
			   const char *hex)
{
	uint8_t expected[256];
	size_t len = unhex(hex, expected);
	struct buf b = { 0 };

	unixfs_encode(&b, u, sizes, n);
	assert_false(b.failed);
	assert_int_equal(b.len, len);
	assert_memory_equal(b.data, expected, len);
	buf_release(&b);
}

/* Kubo, test/sharness/t0047-add-mode-mtime.sh, and go-unixfs. */
static void metadata_gives_the_cids_of_kubo(void **state)
{
	static const struct {
		struct unixfs u;
		const char *hex, *cid;
	} known[] = {
		{ { .type = UNIXFS_FILE, .has_filesize = true, .has_mode = true, .mode = 0640 },
		  "0802180038a003", "QmQLgxypSNGNFTuUPGCecq6dDEjb6hNB5xSyVmP3cEuNtq" },
		{ { .type = UNIXFS_FILE, .has_filesize = true, .has_mtime = true,
		    .mtime = 1604320482 },
		  "08021800420608e2f9fffc05", "QmQ6kErEW8kztQFV8vbwNU8E4dmtGsYpRiboiLxUEwibvj" },
		{ { .type = UNIXFS_FILE, .has_filesize = true, .has_mode = true, .mode = 0640,
		    .has_mtime = true, .mtime = 1604320482 },
		  "0802180038a003420608e2f9fffc05",
		  "QmYkvboLsvLFcSYmqVJRxvBdYRQLroLv9kELf3LRiCqBri" },
		{ { .type = UNIXFS_FILE, .has_filesize = true, .has_mode = true, .mode = 0764,
		    .has_mtime = true, .mtime = 1603539720, .mtime_nsec = 54321 },
		  "0802180038f403420b0888a6d0fc051531d40000",
		  "QmUkxrtBA8tPjwCYz1HrsoRfDz6NgKut3asVeHVQNH4C8L" },
		{ { .type = UNIXFS_SYMLINK, .has_data = true,
		    .data = (const uint8_t *)"nothing", .data_len = 7, .has_mtime = true,
		    .mtime = 1604320482 },
		  "080412076e6f7468696e67420608e2f9fffc05",
		  "QmbJwotgtr84JxcnjpwJ86uZiyMoxbZuNH4YrdJMypkYaB" },
		{ { .type = UNIXFS_DIRECTORY, .has_mode = true, .mode = 0755 },
		  "080138ed03", "QmRviohgafvCsbkiTgfQFipbuXJ6k1YtoiaQW4quttJPKu" },
		{ { .type = UNIXFS_DIRECTORY, .has_mtime = true, .mtime = 1655158722 },
		  "0801420608c2ef9e9506", "QmYMy7CZGb498QFSQBF5ZFwv1FYbrAtYZMe4VxhDXxAcvf" },
		{ { .type = UNIXFS_DIRECTORY, .has_mtime = true, .mtime = 1603539720,
		    .mtime_nsec = 54321 },
		  "0801420b0888a6d0fc051531d40000",
		  "QmZFdCLJay31hT3Tx1LygJ7XfiLEs3qLCXtbeBfhf38aZg" },
		{ { .type = UNIXFS_DIRECTORY }, "0801",
		  "QmUNLLsPACCz1vLxQVkXqqLX5R1X345qqfHbsf67hvA3Nn" },
		{ { .type = UNIXFS_FILE, .has_filesize = true }, "08021800",
		  "QmbFMke1KXqnYyBBWxB74N4c5SBnJMVAiMNRcGu6x1AwQH" },
	};

	for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
		struct buf block = { 0 };
		char text[CID_TEXT_MAX];
		uint8_t bytes[256];
		struct unixfs u;
		struct cid c;

		assert_written(&known[i].u, NULL, 0, known[i].hex);
		size_t len = unhex(known[i].hex, bytes);
		dagpb_put_data(&block, bytes, len);
		assert_int_equal(block.len, dagpb_data_size(len));
		cid_of(&c, 0, CODEC_DAG_PB, block.data, block.len);
		assert_string_equal(cid_text(&c, text), known[i].cid);
		buf_release(&block);

		assert_int_equal(unixfs_decode(&u, bytes, len), 0);
		assert_int_equal(unixfs_check(&u, 0), 0);
		assert_int_equal(u.type, known[i].u.type);
		assert_int_equal(u.has_mode, known[i].u.has_mode);
		assert_int_equal(u.mode, known[i].u.mode);
		assert_int_equal(u.has_mtime, known[i].u.has_mtime);
		assert_int_equal(u.mtime, known[i].u.mtime);
		assert_int_equal(u.mtime_nsec, known[i].u.mtime_nsec);
		assert_int_equal(u.data_len, known[i].u.data_len);
	}
}

static void each_kind_of_node_is_written_in_field_order(void **state)
{
	assert_written(&(struct unixfs){ .type = UNIXFS_FILE,
					 .has_data = true,
					 .data = (const uint8_t *)"hi",
					 .data_len = 2,
					 .has_filesize = true,
					 .filesize = 2 },
		       NULL, 0, "0802120268691802");
	assert_written(
		&(struct unixfs){ .type = UNIXFS_FILE, .has_filesize = true, .filesize = 1048577 },
		(const uint64_t[]){ 1048576, 1 }, 2, "080218818040208080402001");
	assert_written(&(struct unixfs){ .type = UNIXFS_HAMT_SHARD,
					 .has_data = true,
					 .data = (const uint8_t *)"\x01\x02",
					 .data_len = 2,
					 .has_hash_type = true,
					 .hash_type = 0x22,
					 .has_fanout = true,
					 .fanout = 256 },
		       NULL, 0, "0805120201022822308002");
	/* before 1970: ten bytes of seconds */
	assert_written(&(struct unixfs){ .type = UNIXFS_DIRECTORY,
					 .has_mtime = true,
					 .mtime = -1 },
		       NULL, 0, "0801420b08ffffffffffffffffff01");
}

static void no_truncation_is_taken_for_the_whole(void **state)
{
	struct unixfs whole = { .type = UNIXFS_FILE,
				.has_data = true,
				.data = (const uint8_t *)"abc",
				.data_len = 3,
				.has_filesize = true,
				.filesize = 303,
				.has_mode = true,
				.mode = 0644,
				.has_mtime = true,
				.mtime = 1603539720,
				.mtime_nsec = 54321 };
	struct buf b = { 0 };

	unixfs_encode(&b, &whole, (const uint64_t[]){ 200, 100 }, 2);
	for (size_t cut = 0; cut <= b.len; cut++) {
		uint8_t exact[64];
		struct unixfs u;
		memcpy(exact, b.data, cut);
		int r = unixfs_decode(&u, exact, cut);
		if (r == 0)
			r = unixfs_check(&u, 2);
		/* Behind the second size only mode and mtime are left to lose. */
		bool at_end_of_field = cut == b.len || cut == b.len - 13 || cut == b.len - 16;
		assert_int_equal(r, at_end_of_field ? 0 : ERR_MALFORMED);
	}
	buf_release(&b);
}

static void equal_sizes_are_one_step(void **state)
{
	static const uint64_t sizes[] = { 7, 300, 300, 300, 300, 300, 300, 300, 300, 300,
					  300, 5, 300, 0, 0, 1ull << 40, 1ull << 40 };
	static const struct {
		uint64_t size;
		size_t count;
	} runs[] = { { 7, 1 }, { 300, 10 }, { 5, 1 }, { 300, 1 }, { 0, 2 }, { 1ull << 40, 2 } };
	struct unixfs file = { .type = UNIXFS_FILE }, u;
	struct buf b = { 0 };
	uint64_t size;
	size_t count;

	unixfs_encode(&b, &file, sizes, sizeof sizes / sizeof *sizes);
	assert_int_equal(unixfs_decode(&u, b.data, b.len), 0);
	assert_int_equal(u.n_blocksizes, 17);
	assert_true(u.blocksizes_sum == 7 + 11 * 300 + 5 + (2ull << 40));
	struct cursor in = u.blocksizes;
	for (size_t i = 0; i < sizeof runs / sizeof *runs; i++) {
		assert_int_equal(unixfs_next_sizes(&in, &size, &count), 1);
		assert_true(size == runs[i].size);
		assert_int_equal(count, runs[i].count);
	}
	assert_int_equal(unixfs_next_sizes(&in, &size, &count), 0);
	buf_release(&b);
}

static void sizes_between_other_fields_are_found(void **state)
{
	uint8_t bytes[64];
	struct unixfs u;
	uint64_t size;
	size_t count;
	/* a size, Type, an unknown field, two sizes */
	size_t len = unhex("2003" "0802" "7a0461626364" "2004" "2004", bytes);

	assert_int_equal(unixfs_decode(&u, bytes, len), 0);
	assert_int_equal(unixfs_check(&u, 3), 0);
	assert_int_equal(u.filesize, 11);
	assert_int_equal(unixfs_next_sizes(&u.blocksizes, &size, &count), 1);
	assert_true(size == 3 && count == 1);
	assert_int_equal(unixfs_next_sizes(&u.blocksizes, &size, &count), 1);
	assert_true(size == 4 && count == 2);
	assert_int_equal(unixfs_next_sizes(&u.blocksizes, &size, &count), 0);
}

static void what_unixfs_forbids_is_refused(void **state)
{
	static const char *const bad[] = {
		"",
		"1800",			    /* no Type */
		"0806",			    /* a type we do not know */
		"08ffffffffffffffffff01",   /* Type -1 */
		"0a0102",		    /* Type as bytes */
		"08020802",		    /* twice */
		"0802" "1000",		    /* Data as a number */
		"0802" "1201" "1201",	    /* Data past the end */
		"0802" "120161" "120161",   /* Data twice */
		"0802" "1800" "1800",	    /* filesize twice */
		"0802" "2202" "0101",	    /* packed sizes */
		"0802" "25" "00000000",	    /* a size of fixed width */
		"0802" "20ffffffffffffffffff01" "2001", /* the sum overflows */
		"0802" "208000",	    /* not minimal */
		"0802" "20",		    /* cut */
		"0801" "38808080808001",    /* mode over 32 bits */
		"0801" "4200",		    /* mtime without seconds */
		"0801" "4205" "1500000000", /* nanoseconds alone */
		"0801" "4202" "0801" "4202" "0801", /* mtime twice */
		"0801" "4204" "0801" "0802",	    /* seconds twice */
		"0801" "4207" "0801" "1500ca9a3b",  /* 10^9 nanoseconds */
		"0801" "4207" "0801" "15ffffffff",
		"0801" "4204" "0801" "1001", /* nanoseconds as a varint */
		"0801" "0001",		     /* field 0 */
		"0801" "4e",		     /* wire type 6 */
		"0801" "4b4c",		     /* a group */
	};

	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		uint8_t bytes[64];
		struct unixfs u;
		size_t len = unhex(bad[i], bytes);
		assert_int_equal(unixfs_decode(&u, bytes, len), ERR_MALFORMED);
	}
}

static void b34_extreme_times_are_kept_as_they_are(void **state)
{
	uint8_t bytes[64];
	struct unixfs u;
	size_t len = unhex("0801" "4210" "0880808080808080808001" "15ffc99a3b", bytes);

	assert_int_equal(unixfs_decode(&u, bytes, len), 0);
	assert_true(u.mtime == INT64_MIN);
	assert_int_equal(u.mtime_nsec, 999999999);
}

static void b75_what_the_fields_say_must_agree(void **state)
{
	static const struct {
		const char *hex;
		size_t links;
		int result;
	} nodes[] = {
		{ "0802" "1802" "2001" "2001", 2, 0 },
		{ "0802" "2001" "2001", 2, 0 }, /* filesize left out */
		{ "0802" "1803" "120161" "2001" "2001", 2, 0 },
		{ "0802" "1802" "2001" "2001", 1, ERR_MALFORMED },
		{ "0802" "1802" "2001" "2001", 3, ERR_MALFORMED },
		{ "0802" "1803" "2001" "2001", 2, ERR_MALFORMED },
		{ "0802" "1800" "120161", 0, ERR_MALFORMED },
		{ "0800" "120161" "1801", 0, 0 },
		{ "0800" "120161" "1801", 1, ERR_MALFORMED },
		{ "0800" "1801" "2001", 1, ERR_MALFORMED }, /* raw with links */
		{ "0804" "120161", 0, 0 },
		{ "0804" "120161", 1, ERR_MALFORMED }, /* symlink with links */
		{ "0801", 5, 0 },
		{ "0803", 0, -ENOTSUP },
	};

	for (size_t i = 0; i < sizeof nodes / sizeof *nodes; i++) {
		uint8_t bytes[64];
		struct unixfs u;
		size_t len = unhex(nodes[i].hex, bytes);
		assert_int_equal(unixfs_decode(&u, bytes, len), 0);
		assert_int_equal(unixfs_check(&u, nodes[i].links), nodes[i].result);
	}
}

static void b81_sizes_no_system_can_hold(void **state)
{
	uint8_t bytes[64];
	struct unixfs u;
	/* 2^62 twice is 2^63 */
	size_t len = unhex("0802" "20808080808080808040" "20808080808080808040", bytes);

	assert_int_equal(unixfs_decode(&u, bytes, len), 0);
	assert_int_equal(unixfs_check(&u, 2), -EFBIG);
	/* 2^63 - 1 is a size; own data makes it one too many */
	len = unhex("0802" "20ffffffffffffffff7f", bytes);
	assert_int_equal(unixfs_decode(&u, bytes, len), 0);
	assert_int_equal(unixfs_check(&u, 1), 0);
	len = unhex("0802" "120161" "20ffffffffffffffff7f", bytes);
	assert_int_equal(unixfs_decode(&u, bytes, len), 0);
	assert_int_equal(unixfs_check(&u, 1), -EFBIG);
	/* nothing, with links */
	len = unhex("0802" "1800" "2000" "2000", bytes);
	assert_int_equal(unixfs_decode(&u, bytes, len), 0);
	assert_int_equal(unixfs_check(&u, 2), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(metadata_gives_the_cids_of_kubo),
		cmocka_unit_test(each_kind_of_node_is_written_in_field_order),
		cmocka_unit_test(no_truncation_is_taken_for_the_whole),
		cmocka_unit_test(equal_sizes_are_one_step),
		cmocka_unit_test(sizes_between_other_fields_are_found),
		cmocka_unit_test(what_unixfs_forbids_is_refused),
		cmocka_unit_test(b34_extreme_times_are_kept_as_they_are),
		cmocka_unit_test(b75_what_the_fields_say_must_agree),
		cmocka_unit_test(b81_sizes_no_system_can_hold),
	};
	return cmocka_run_group_tests_name("unixfs", tests, NULL, NULL);
}
