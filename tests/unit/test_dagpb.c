/* dag-pb: the bytes of the network, exactly, and nothing looser. */
#include "store/dagpb.h"
#include "store/error.h"
#include "store/unixfs.h"
#include "tests/unit/hex.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

/* A file of 1048577 zero bytes in two chunks, as Helia and Kubo write it. */
static const char two_chunks[] =
    "122c0a240155122030e14955ebf1352266dc2ff8067e68104607e750abb9d3b36582b8af909fcb58"
    "120018808040122a0a24015512206e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511"
    "a30617afa01d120018010a0c080218818040208080402001";

static void a_file_of_two_chunks_is_written_as_others_do(void **state)
{
	static const uint8_t zeros[1048576];
	struct unixfs u = { .type = UNIXFS_FILE,
			    .has_filesize = true,
			    .filesize = 1048577 };
	uint8_t expected[160];
	size_t len = unhex(two_chunks, expected);
	struct buf b = { 0 }, data = { 0 };
	char text[CID_TEXT_MAX];
	struct cid first, second, root;

	cid_of(&first, 1, CODEC_RAW, zeros, sizeof zeros);
	cid_of(&second, 1, CODEC_RAW, zeros, 1);
	dagpb_put_link(&b, &first, "", 0, 1048576);
	assert_int_equal(b.len, dagpb_link_size(cid_size(&first), 0, 1048576));
	dagpb_put_link(&b, &second, "", 0, 1);
	unixfs_encode(&data, &u, (const uint64_t[]){ 1048576, 1 }, 2);
	dagpb_put_data(&b, data.data, data.len);
	assert_false(b.failed || data.failed);
	assert_int_equal(b.len, len);
	assert_memory_equal(b.data, expected, len);
	cid_of(&root, 1, CODEC_DAG_PB, b.data, b.len);
	assert_string_equal(
	    cid_text(&root, text),
	    "bafybeihd4yzq7n5umhjngdum4r6k2to7egxfkf2jz6thvwzf6djus22cmq");
	buf_release(&b);
	buf_release(&data);
}

static void sizes_of_links_are_foretold(void **state)
{
	static const uint64_t tsizes[] = { 0, 127, 128, 1u << 20, INT64_MAX };
	static const size_t lengths[] = { 0, 1, 80, 81, 82, 127, 128, 255 };
	char name[256];
	struct buf b = { 0 };
	struct cid c;

	memset(name, 'n', sizeof name);
	cid_of(&c, 0, CODEC_DAG_PB, "", 0);
	for (size_t i = 0; i < sizeof tsizes / sizeof *tsizes; i++)
		for (size_t j = 0; j < sizeof lengths / sizeof *lengths; j++) {
			buf_clear(&b);
			dagpb_put_link(&b, &c, name, lengths[j], tsizes[i]);
			assert_int_equal(b.len,
					 dagpb_link_size(34, lengths[j], tsizes[i]));

			struct cursor in = cursor_over(b.data, b.len);
			struct dagpb_link l;
			struct cid again;
			assert_int_equal(dagpb_next(&in, &l), 1);
			assert_int_equal(l.name_len, lengths[j]);
			assert_memory_equal(l.name, name, lengths[j]);
			assert_true(l.tsize == tsizes[i]);
			assert_int_equal(dagpb_link_cid(&l, &again), 0);
			assert_true(cid_equal(&c, &again));
			assert_int_equal(dagpb_next(&in, &l), 0);
		}
	buf_release(&b);
}

/* Decode and go through all links; the number of links or an error. */
static int read_all(const void *data, size_t len)
{
	struct dagpb_node n;
	struct dagpb_link l;
	struct cid c;
	int links = 0;
	int r = dagpb_decode(&n, data, len);

	if (r < 0)
		return r;
	while ((r = dagpb_next(&n.links, &l)) > 0) {
		r = dagpb_link_cid(&l, &c);
		if (r < 0)
			return r;
		links++;
	}
	if (r < 0)
		return r;
	assert_int_equal(links, n.n_links);
	return links;
}

static void no_truncation_passes_for_a_node(void **state)
{
	uint8_t bytes[160];
	size_t len = unhex(two_chunks, bytes);

	for (size_t cut = 0; cut <= len; cut++) {
		uint8_t *exact = malloc(cut ? cut : 1);
		memcpy(exact, bytes, cut);
		int r = read_all(exact, cut);
		/* Between two fields a cut leaves a shorter node. */
		if (cut == 0)
			assert_int_equal(r, 0);
		else if (cut == 46)
			assert_int_equal(r, 1);
		else if (cut == 46 + 44 || cut == len)
			assert_int_equal(r, 2);
		else
			assert_int_equal(r, ERR_MALFORMED);
		free(exact);
	}
}

#define LINK                                                                             \
	"12"                                                                             \
	"0a"                                                                             \
	"0a08"                                                                           \
	"0155000401020304" /* identity of four bytes, no more */

static void data_may_stand_before_or_behind_the_links(void **state)
{
	static const struct {
		const char *hex;
		int links;
	} good[] = {
		{ "", 0 },
		{ "0a00", 0 },
		{ LINK, 1 },
		{ LINK LINK "0a0161", 2 },
		{ "0a0161" LINK LINK, 2 },
		{ "12"
		  "0c"
		  "0a08"
		  "0155000401020304"
		  "1200",
		  1 },
		{ "12"
		  "0c"
		  "0a08"
		  "0155000401020304"
		  "1805",
		  1 },
	};

	for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
		uint8_t bytes[64];
		size_t len = unhex(good[i].hex, bytes);
		assert_int_equal(read_all(bytes, len), good[i].links);
	}
}

static void b74_nodes_that_are_none_are_refused(void **state)
{
	static const char *const bad[] = {
		"1a0161",       /* an unknown field */
		"0801",         /* Data as a number */
		"0a01610a0162", /* Data twice */
		"0a000a00",
		LINK "0a0161" LINK,     /* links on both sides of Data */
		"1200",                 /* a link without Hash */
		"12021200",             /* only a name */
		"12020a00",             /* an empty Hash */
		"12040a020155",         /* a CID that is cut */
		"12080a0602550002aabb", /* version 2 */
		"120d"
		"0a09"
		"015500040102030405", /* bytes behind the CID */
		"12"
		"10"
		"0a08"
		"0155000401020304"
		"1200"
		"1200", /* fields twice */
		"12"
		"0e"
		"1200"
		"0a08"
		"0155000401020304"
		"1801", /* out of order */
		"12"
		"0e"
		"0a08"
		"0155000401020304"
		"1801"
		"1200",
		"12"
		"0c"
		"0a08"
		"0155000401020304"
		"2201", /* unknown in a link */
		"12"
		"0c"
		"0a08"
		"0155000401020304"
		"2001",
		"12"
		"15"
		"0a08"
		"0155000401020304"
		"18ffffffffffffffffff01", /* Tsize -1 */
		"12"
		"15"
		"0a08"
		"0155000401020304"
		"1880808080808080808001", /* 2^63 */
		"12"
		"0d"
		"0a08"
		"0155000401020304"
		"188000", /* not minimal */
		"12"
		"7f"
		"0a08"
		"0155000401020304", /* past the end */
		"12ffffffff0f",     /* 2^32 bytes */
		"12ffffffffffffffffff01",
		"0affffffffffffffff7f",
		"8a0000",
		"920000", /* tags not minimal */
		"00",
		"13",
		"14",
		"0b",
	};

	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		uint8_t bytes[64];
		size_t len = unhex(bad[i], bytes);
		assert_int_equal(read_all(bytes, len), ERR_MALFORMED);
	}
}

static void b74_links_on_both_sides_of_data_are_seen_at_once(void **state)
{
	uint8_t bytes[64];
	struct dagpb_node n;
	size_t len = unhex(LINK "0a0161" LINK, bytes);

	assert_int_equal(dagpb_decode(&n, bytes, len), ERR_MALFORMED);
}

static void stepping_over_links_counts_them(void **state)
{
	uint8_t bytes[64];
	size_t len = unhex(LINK LINK LINK "0a0161", bytes);
	struct dagpb_node n;
	struct dagpb_link l;

	assert_int_equal(dagpb_decode(&n, bytes, len), 0);
	assert_int_equal(n.n_links, 3);
	struct cursor in = n.links;
	assert_int_equal(dagpb_skip(&in, 0), 0);
	assert_int_equal(dagpb_skip(&in, 2), 0);
	assert_int_equal(dagpb_next(&in, &l), 1);
	assert_int_equal(dagpb_next(&in, &l), 0);
	in = n.links;
	assert_int_equal(dagpb_skip(&in, 3), 0);
	assert_int_equal(dagpb_next(&in, &l), 0);
	in = n.links;
	assert_int_equal(dagpb_skip(&in, 4), ERR_MALFORMED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_file_of_two_chunks_is_written_as_others_do),
		cmocka_unit_test(sizes_of_links_are_foretold),
		cmocka_unit_test(no_truncation_passes_for_a_node),
		cmocka_unit_test(data_may_stand_before_or_behind_the_links),
		cmocka_unit_test(b74_nodes_that_are_none_are_refused),
		cmocka_unit_test(b74_links_on_both_sides_of_data_are_seen_at_once),
		cmocka_unit_test(stepping_over_links_counts_them),
	};
	return cmocka_run_group_tests_name("dagpb", tests, NULL, NULL);
}
