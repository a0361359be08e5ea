/* dag-cbor: one form for each value, and nothing else is read. */
#include "store/cbor.h"
#include "store/error.h"
#include "tests/unit/hex.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

static void assert_bytes(struct buf *b, const char *hex)
{
	uint8_t expected[256];
	size_t len = unhex(hex, expected);

	assert_false(b->failed);
	assert_int_equal(b->len, len);
	assert_memory_equal(b->data, expected, len);
	buf_clear(b);
}

static void values_are_written_in_their_shortest_form(void **state)
{
	/* RFC 8949, appendix A */
	static const struct {
		uint64_t v;
		const char *hex;
	} uints[] = { { 0, "00" },
		      { 23, "17" },
		      { 24, "1818" },
		      { 100, "1864" },
		      { 255, "18ff" },
		      { 256, "190100" },
		      { 1000, "1903e8" },
		      { 65536, "1a00010000" },
		      { 1000000, "1a000f4240" },
		      { 1000000000000, "1b000000e8d4a51000" },
		      { UINT64_MAX, "1bffffffffffffffff" } };
	static const struct {
		int64_t v;
		const char *hex;
	} ints[] = { { 10, "0a" },	{ -1, "20" },
		     { -10, "29" },	{ -100, "3863" },
		     { -1000, "3903e7" }, { INT64_MIN, "3b7fffffffffffffff" } };
	struct buf b = { 0 };

	for (size_t i = 0; i < sizeof uints / sizeof *uints; i++) {
		struct cbor_item item;
		cbor_put_uint(&b, uints[i].v);
		struct cursor in = cursor_over(b.data, b.len);
		assert_int_equal(cbor_expect(&in, CBOR_UINT, &item), 0);
		assert_true(cursor_done(&in) && item.value == uints[i].v);
		assert_bytes(&b, uints[i].hex);
	}
	for (size_t i = 0; i < sizeof ints / sizeof *ints; i++) {
		struct cbor_item item;
		cbor_put_int(&b, ints[i].v);
		struct cursor in = cursor_over(b.data, b.len);
		assert_int_equal(cbor_next(&in, &item), 0);
		assert_true(cursor_done(&in));
		int64_t v = (int64_t)item.value;
		assert_true((item.kind == CBOR_NEGATIVE ? -1 - v : v) == ints[i].v);
		assert_bytes(&b, ints[i].hex);
	}
	cbor_put_text(&b, "IETF", 4);
	assert_bytes(&b, "6449455446");
	cbor_put_bytes(&b, "\1\2\3\4", 4);
	assert_bytes(&b, "4401020304");
	cbor_put_bool(&b, false);
	cbor_put_bool(&b, true);
	cbor_put_null(&b);
	assert_bytes(&b, "f4f5f6");
	cbor_put_array(&b, 0);
	cbor_put_array(&b, 25);
	cbor_put_map(&b, 2);
	assert_bytes(&b, "809819a2");
	buf_release(&b);
}

static void a_link_is_tag_42_of_a_zero_and_the_cid(void **state)
{
	struct buf b = { 0 };
	struct cbor_item item;
	struct cid c, again;

	cid_of(&c, 1, CODEC_RAW, "", 0);
	cbor_put_link(&b, &c);
	struct cursor in = cursor_over(b.data, b.len);
	assert_int_equal(cbor_expect(&in, CBOR_LINK, &item), 0);
	assert_true(cursor_done(&in));
	assert_int_equal(cid_decode(&again, item.data, item.len), 0);
	assert_true(cid_equal(&c, &again));
	assert_bytes(&b, "d82a58250001551220e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca4"
			 "95991b7852b855");
	buf_release(&b);
}

/* {"TTL": 1, "Value": h'2f', "Sequence": 2, "Validity": h'00', "ValidityType": 0} */
static const char ipns_data[] = "a5"
				"6354544c" "01"
				"6556616c7565" "412f"
				"6853657175656e6365" "02"
				"6856616c6964697479" "4100"
				"6c56616c696469747954797065" "00";

static void a_map_gives_its_keys_in_order(void **state)
{
	static const char *const keys[] = { "TTL", "Value", "Sequence", "Validity",
					    "ValidityType" };
	uint8_t bytes[128];
	size_t len = unhex(ipns_data, bytes);

	for (size_t cut = 0; cut <= len; cut++) {
		uint8_t *exact = malloc(cut ? cut : 1);
		struct cbor_map m;
		int n = 0, more = 0;
		memcpy(exact, bytes, cut);
		struct cursor in = cursor_over(exact, cut);
		int r = cbor_map_begin(&in, &m);
		while (r == 0 && (more = cbor_map_next(&in, &m)) > 0) {
			assert_true(cbor_key_is(&m, keys[n++]));
			r = cbor_skip(&in);
		}
		if (cut == len) {
			assert_true(r == 0 && more == 0 && cursor_done(&in));
			assert_int_equal(n, 5);
		} else {
			assert_true(r == ERR_MALFORMED || more == ERR_MALFORMED);
			assert_false(cursor_done(&in));
		}
		free(exact);
	}
}

static void b37_maps_out_of_order_are_refused(void **state)
{
	static const char *const bad[] = {
		"a2" "6161" "01" "6161" "02",	/* twice */
		"a2" "6162" "01" "6161" "02",	/* not sorted */
		"a2" "626161" "01" "6162" "02", /* the longer first */
		"a2" "60" "01" "60" "02",	/* the empty key twice */
		"a1" "01" "02",			/* a key that is no text */
		"a1" "4161" "02",
	};

	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		uint8_t bytes[64];
		size_t len = unhex(bad[i], bytes);
		struct cursor in = cursor_over(bytes, len);
		struct cbor_map m;
		int more = 0, r = cbor_map_begin(&in, &m);
		while (r == 0 && (more = cbor_map_next(&in, &m)) > 0)
			r = cbor_skip(&in);
		assert_int_equal(more, ERR_MALFORMED);
		assert_false(cursor_done(&in));
	}
}

static void b37_what_dag_cbor_forbids_is_refused(void **state)
{
	static const char *const bad[] = {
		"",
		"1817",		      /* 23 in two bytes */
		"1900ff",	      /* 255 in three */
		"1a0000ffff",	      /* not shortest */
		"1b00000000ffffffff", /* not shortest */
		"1c", "1d", "1e",     /* reserved */
		"1f",
		"5801",		      /* cut */
		"580161",	      /* a length not shortest */
		"5f41614162ff",	      /* indefinite bytes */
		"7f61616162ff",	      /* indefinite text */
		"9f0102ff",	      /* indefinite array */
		"bf616101ff",	      /* indefinite map */
		"ff",
		"82" "01", /* an item is missing */
		"a1" "6161",
		"a2" "6161" "01" "6161" "02", /* a key twice */
		"a2" "60" "01" "60" "02",
		"81" "a2" "6161" "a1" "6161" "01" "6161" "02",
		"c000",			    /* tag 0 */
		"d9d9f700",		    /* self-described CBOR */
		"c2" "49" "010000000000000000", /* bignum */
		"d82a" "6161",		    /* tag 42 of text */
		"d82a" "40",		    /* of nothing */
		"d82a" "4100",		    /* no CID */
		"d82a" "45" "0101550000",   /* not behind a zero */
		"d82a" "46" "000155000000", /* bytes behind the CID */
		"d9002a" "45" "0001550000", /* the tag not shortest */
		"d82a" "d82a" "450001550000",
		"f7",			/* undefined */
		"f0", "e0", "f814", "f8ff", /* simple values */
		"f90000",		    /* half */
		"fa00000000",		    /* single */
		"fb7ff8000000000000",	    /* not a number */
		"fb7ff0000000000000",	    /* infinite */
		"fbfff0000000000000",
		"fb00000000000000", /* cut */
	};
	static const char *const good[] = { "fb3ff199999999999a", "fb0000000000000000",
					    "d82a" "45" "0001550000", "f6", "80", "a0",
					    "3bffffffffffffffff", /* -2^64 */
					    /* one key on two levels, and out of order */
					    "a2" "6162" "a1" "6162" "01" "6161" "02" };
	uint8_t bytes[64];

	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		size_t len = unhex(bad[i], bytes);
		struct cursor in = cursor_over(bytes, len);
		assert_int_equal(cbor_skip(&in), ERR_MALFORMED);
		assert_false(cursor_done(&in));
	}
	for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
		size_t len = unhex(good[i], bytes);
		struct cursor in = cursor_over(bytes, len);
		assert_int_equal(cbor_skip(&in), 0);
		assert_true(cursor_done(&in));
	}
}

static void b35_a_count_is_not_believed(void **state)
{
	static const char *const bad[] = {
		"9b4000000000000000",
		"bb4000000000000000",
		"bbffffffffffffffff",
		"9bffffffffffffffff",
		"5b7fffffffffffffff",
		"7bffffffffffffffff",
		/* ten nested, each of 2^62 */
		"9b40000000000000009b40000000000000009b4000000000000000"
		"9b40000000000000009b40000000000000009b4000000000000000"
		"9b40000000000000009b40000000000000009b4000000000000000"
		"9b4000000000000000",
	};

	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		uint8_t bytes[128];
		size_t len = unhex(bad[i], bytes);
		struct cursor in = cursor_over(bytes, len);
		assert_int_equal(cbor_skip(&in), ERR_MALFORMED);
	}
}

static void b35_a_count_is_checked_at_the_head(void **state)
{
	struct cbor_item item;
	struct cursor in = cursor_over("\x82\x01", 2); /* two items in one byte */

	assert_int_equal(cbor_next(&in, &item), ERR_MALFORMED);
	in = cursor_over("\xa2\x60\x01\x60", 4); /* two pairs in three */
	assert_int_equal(cbor_next(&in, &item), ERR_MALFORMED);
	in = cursor_over("\xa1\x60\x01", 3);
	assert_int_equal(cbor_next(&in, &item), 0);
	assert_int_equal(item.value, 1);
}

static void b36_deep_nesting_is_refused(void **state)
{
	static uint8_t deep[1000001];

	memset(deep, 0x81, sizeof deep - 1); /* arrays of one */
	struct cursor in = cursor_over(deep, sizeof deep);
	assert_int_equal(cbor_skip(&in), ERR_MALFORMED);
	in = cursor_over(deep + sizeof deep - 1 - CBOR_DEPTH_MAX, CBOR_DEPTH_MAX + 1);
	assert_int_equal(cbor_skip(&in), 0);
	assert_true(cursor_done(&in));
	in = cursor_over(deep + sizeof deep - 2 - CBOR_DEPTH_MAX, CBOR_DEPTH_MAX + 2);
	assert_int_equal(cbor_skip(&in), ERR_MALFORMED);
}

static int count(void *arg, const struct cid *c)
{
	int *n = arg;
	return ++*n == 3 ? 7 : 0;
}

static void links_are_found_at_every_depth(void **state)
{
	/* [{"a": link, "b": [link]}, link] */
	uint8_t bytes[64];
	size_t len = unhex("82" "a2" "6161" "d82a450001550000" "6162" "81" "d82a450001550000"
			   "d82a450001550000", bytes);
	int n = 0;

	struct cursor in = cursor_over(bytes, len);
	assert_int_equal(cbor_links(&in, count, &n), 7); /* stopped at the third */
	assert_int_equal(n, 3);
	for (size_t cut = 0; cut < len; cut++) {
		in = cursor_over(bytes, cut);
		assert_int_equal(cbor_skip(&in), ERR_MALFORMED);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(values_are_written_in_their_shortest_form),
		cmocka_unit_test(a_link_is_tag_42_of_a_zero_and_the_cid),
		cmocka_unit_test(a_map_gives_its_keys_in_order),
		cmocka_unit_test(b37_maps_out_of_order_are_refused),
		cmocka_unit_test(b37_what_dag_cbor_forbids_is_refused),
		cmocka_unit_test(b35_a_count_is_not_believed),
		cmocka_unit_test(b35_a_count_is_checked_at_the_head),
		cmocka_unit_test(b36_deep_nesting_is_refused),
		cmocka_unit_test(links_are_found_at_every_depth),
	};
	return cmocka_run_group_tests_name("cbor", tests, NULL, NULL);
}
