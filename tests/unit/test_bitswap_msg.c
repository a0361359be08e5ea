/* Bitswap messages: bytes as Go and JS write them, and as strangers may. */
#include "net/bitswap_msg.h"
#include "store/error.h"
#include "store/pb.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

/* A CIDv1, raw, sha2-256 of nothing in particular: 01 55 12 20 and 32 × fill. */
static struct cid raw_cid(uint8_t fill)
{
	struct cid c = { .version = 1,
			 .codec = CODEC_RAW,
			 .hash = { .code = HASH_SHA2_256, .size = 32 } };
	memset(c.hash.digest, fill, 32);
	return c;
}

static struct cid old_cid(uint8_t fill)
{
	struct cid c = raw_cid(fill);
	c.version = 0;
	c.codec = CODEC_DAG_PB;
	return c;
}

#define D8(x)  x, x, x, x, x, x, x, x
#define D32(x) D8(x), D8(x), D8(x), D8(x)

static int count(const void *data, size_t len)
{
	struct bitswap_reader r;
	struct bitswap_item item;
	int n = 0;

	if (bitswap_msg_begin(&r, data, len) < 0)
		return -1;
	while (bitswap_msg_next(&r, &item))
		n++;
	assert_int_equal(n, r.wants + r.blocks + r.presences);
	return n;
}

static void a_wantlist_has_these_bytes(void **state)
{
	static const uint8_t expected[] = {
		0x87, 0x01,       /* 135 bytes follow */
		0x0a, 0x84, 0x01, /* the want-list, 132 */
		0x0a, 0x2a,       /* entry: a block */
		0x0a, 0x24, 0x01, 0x55, 0x12,      0x20, D32(0xaa), 0x10, 0x0a, /* priority
										   10 */
		0x28, 0x01, /* send DONT_HAVE */
		0x0a, 0x2a, /* entry: have it? */
		0x0a, 0x22, 0x12, 0x20, D32(0xbb), 0x10, 0x01,      0x20, 0x01, 0x28,
		0x01, 0x0a, 0x28, /* entry: cancel */
		0x0a, 0x24, 0x01, 0x55, 0x12,      0x20, D32(0xcc), 0x18, 0x01, 0x10,
		0x01, /* full */
	};
	struct cid a = raw_cid(0xaa), b = old_cid(0xbb), c = raw_cid(0xcc);
	struct buf entries = { 0 }, out = { 0 };

	bitswap_put_entry(&entries, &a, BITSWAP_ASK_BLOCK, 10);
	bitswap_put_entry(&entries, &b, BITSWAP_ASK_HAVE, 1);
	bitswap_put_entry(&entries, &c, BITSWAP_ASK_CANCEL, 0);
	bitswap_frame_wants(&out, &entries, true);
	assert_false(out.failed);
	assert_int_equal(out.len, sizeof expected);
	assert_memory_equal(out.data, expected, sizeof expected);

	struct bitswap_reader r;
	struct bitswap_item i;
	assert_int_equal(bitswap_msg_begin(&r, expected + 2, sizeof expected - 2), 0);
	assert_true(r.full);
	assert_int_equal(r.wants, 3);
	assert_true(bitswap_msg_next(&r, &i));
	assert_int_equal(i.kind, BITSWAP_WANT);
	assert_int_equal(i.priority, 10);
	assert_false(i.want_have);
	assert_true(i.send_dont_have);
	assert_true(cid_equal(&i.cid, &a));
	assert_true(bitswap_msg_next(&r, &i));
	assert_int_equal(i.kind, BITSWAP_WANT);
	assert_true(i.want_have);
	assert_true(cid_equal(&i.cid, &b));
	assert_true(bitswap_msg_next(&r, &i));
	assert_int_equal(i.kind, BITSWAP_CANCEL);
	assert_true(cid_equal(&i.cid, &c));
	assert_false(bitswap_msg_next(&r, &i));
	buf_release(&entries);
	buf_release(&out);
}

static void an_answer_has_these_bytes(void **state)
{
	static const uint8_t
	    expected[] = {
		    0x62,       /* 98 bytes follow */
		    0x0a, 0x00, /* an empty want-list */
		    0x1a, 0x0b, /* a block of CIDv0 */
		    0x0a, 0x04, 0x00, 0x70, 0x12,      0x20, 0x12,
		    0x03, 'a',  'b',  'c',  0x22,      0x26, /* HAVE */
		    0x0a, 0x24, 0x01, 0x55, 0x12,      0x20, D32(0x11),
		    0x22, 0x26, /* DONT_HAVE */
		    0x0a, 0x22, 0x12, 0x20, D32(0x22), 0x10, 0x01,
		    0x12, 0x01, 'x', /* a block as 1.0 has it */
	    };
	struct cid have = raw_cid(0x11), lack = old_cid(0x22), b = old_cid(0);
	struct buf body = { 0 }, out = { 0 };

	bitswap_put_block_head(&body, &b, 3, false);
	buf_append(&body, "abc", 3);
	bitswap_put_presence(&body, &have, true);
	bitswap_put_presence(&body, &lack, false);
	bitswap_put_block_head(&body, &b, 1, true);
	buf_append(&body, "x", 1);
	bitswap_put_answer_head(&out, body.len);
	buf_append(&out, body.data, body.len);
	assert_int_equal(out.len, sizeof expected);
	assert_memory_equal(out.data, expected, sizeof expected);

	struct bitswap_reader r;
	struct bitswap_item i;
	assert_int_equal(bitswap_msg_begin(&r, expected + 1, sizeof expected - 1), 0);
	assert_int_equal(r.blocks, 2);
	assert_int_equal(r.presences, 2);
	assert_true(bitswap_msg_next(&r, &i));
	assert_int_equal(i.kind, BITSWAP_BLOCK);
	assert_int_equal(i.cid.version, 0);
	assert_int_equal(i.cid.codec, CODEC_DAG_PB);
	assert_int_equal(i.cid.hash.code, HASH_SHA2_256);
	assert_int_equal(i.cid.hash.size, 32);
	assert_int_equal(i.len, 3);
	assert_memory_equal(i.data, "abc", 3);
	assert_true(bitswap_msg_next(&r, &i));
	assert_int_equal(i.kind, BITSWAP_HAVE);
	assert_true(cid_equal(&i.cid, &have));
	assert_true(bitswap_msg_next(&r, &i));
	assert_int_equal(i.kind, BITSWAP_DONT_HAVE);
	assert_true(cid_equal(&i.cid, &lack));
	assert_true(bitswap_msg_next(&r, &i));
	assert_int_equal(i.kind, BITSWAP_BLOCK);
	assert_int_equal(i.cid.hash.code, HASH_SHA2_256);
	assert_int_equal(i.len, 1);
	assert_false(bitswap_msg_next(&r, &i));
	buf_release(&body);
	buf_release(&out);
}

static void a_block_of_another_hash_says_which(void **state)
{
	/* CIDv1 dag-pb, blake2b-256: the code takes three bytes. */
	static const uint8_t msg[] = { 0x1a, 0x0b, 0x0a, 0x06, 0x01, 0x70, 0xa0,
				       0xe4, 0x02, 0x20, 0x12, 0x01, 0x00 };
	struct bitswap_reader r;
	struct bitswap_item i;

	assert_int_equal(bitswap_msg_begin(&r, msg, sizeof msg), 0);
	assert_true(bitswap_msg_next(&r, &i));
	assert_int_equal(i.cid.hash.code, HASH_BLAKE2B_256);
	assert_int_equal(i.cid.hash.size, 32);
}

static void a_message_cut_anywhere_is_refused_or_shorter(void **state)
{
	struct cid a = raw_cid(1), b = old_cid(2);
	struct buf entries = { 0 }, m = { 0 };

	bitswap_put_entry(&entries, &a, BITSWAP_ASK_BLOCK, -1);
	bitswap_put_entry(&entries, &b, BITSWAP_ASK_HAVE, 7);
	pb_put_bytes(&m, 1, entries.data, entries.len);
	size_t ends[4] = { 0, m.len };
	bitswap_put_block_head(&m, &a, 5, false);
	buf_append(&m, "hello", 5);
	ends[2] = m.len;
	bitswap_put_presence(&m, &b, false);
	ends[3] = m.len;
	static const int items[] = { 0, 2, 3, 4 };

	for (size_t cut = 0; cut <= m.len; cut++) {
		/* An exact copy lets the sanitizer see a read past the end. */
		uint8_t *exact = malloc(cut ? cut : 1);
		int expected = -1;

		memcpy(exact, m.data, cut);
		for (int i = 0; i < 4; i++)
			if (cut == ends[i])
				expected = items[i];
		assert_int_equal(count(exact, cut), expected);
		free(exact);
	}
	buf_release(&entries);
	buf_release(&m);
}

static void b65_a_cid_too_long_is_passed_over(void **state)
{
	struct cid a = raw_cid(9);
	uint8_t *huge = malloc(1 << 20);
	struct buf entries = { 0 }, m = { 0 };

	memset(huge, 1, 1 << 20);
	pb_put_head(&entries, 1, pb_bytes_size(1, 1 << 20));
	pb_put_bytes(&entries, 1, huge, 1 << 20);
	pb_put_head(&entries, 1, pb_bytes_size(1, 169));
	pb_put_bytes(&entries, 1, huge, 169);
	bitswap_put_entry(&entries, &a, BITSWAP_ASK_BLOCK, 1);
	pb_put_bytes(&m, 1, entries.data, entries.len);
	assert_int_equal(count(m.data, m.len), 1);
	free(huge);
	buf_release(&entries);
	buf_release(&m);
}

static void an_identity_cid_is_passed_over(void **state)
{
	/* 01 55 00 02 'h' 'i' */
	static const uint8_t msg[] = { 0x0a, 0x0a, 0x0a, 0x08, 0x0a, 0x06,
				       0x01, 0x55, 0x00, 0x02, 'h',  'i' };
	assert_int_equal(count(msg, sizeof msg), 0);
}

static void b38_entries_without_a_good_cid_are_refused(void **state)
{
	static const uint8_t none[] = { 0x0a, 0x04, 0x0a, 0x02, 0x10, 0x01 };
	static const uint8_t empty[] = { 0x0a, 0x04, 0x0a, 0x02, 0x0a, 0x00 };
	static const uint8_t version2[] = { 0x0a, 0x0a, 0x0a, 0x08, 0x0a, 0x06,
					    0x02, 0x55, 0x12, 0x02, 0,    0 };
	static const uint8_t presence[] = { 0x22, 0x02, 0x10, 0x01 };
	static const uint8_t no_prefix[] = { 0x1a, 0x03, 0x12, 0x01, 'x' };
	static const uint8_t short_prefix[] = { 0x1a, 0x08, 0x0a, 0x03, 0x01,
						0x55, 0x12, 0x12, 0x01, 'x' };
	static const uint8_t long_prefix[] = { 0x1a, 0x0a, 0x0a, 0x05, 0x01, 0x55,
					       0x12, 0x20, 0x00, 0x12, 0x01, 'x' };

	assert_int_equal(count(none, sizeof none), -1);
	assert_int_equal(count(empty, sizeof empty), -1);
	assert_int_equal(count(version2, sizeof version2), -1);
	assert_int_equal(count(presence, sizeof presence), -1);
	assert_int_equal(count(no_prefix, sizeof no_prefix), -1);
	assert_int_equal(count(short_prefix, sizeof short_prefix), -1);
	assert_int_equal(count(long_prefix, sizeof long_prefix), -1);
}

static void b66_a_message_without_a_wantlist_is_fine(void **state)
{
	struct bitswap_reader r;

	assert_int_equal(bitswap_msg_begin(&r, NULL, 0), 0);
	assert_false(r.full);
	assert_int_equal(count("\x28\x05", 2), 0); /* pendingBytes alone */
	/* full stands behind the entries, and in a second want-list. */
	static const uint8_t full[] = { 0x0a, 0x00, 0x0a, 0x02, 0x10, 0x01 };
	assert_int_equal(bitswap_msg_begin(&r, full, sizeof full), 0);
	assert_true(r.full);
}

static void b33_millions_of_elements_are_refused(void **state)
{
	struct buf m = { 0 };
	struct cid c = raw_cid(0);

	for (int i = 0; i < BITSWAP_BLOCKS_MAX; i++)
		bitswap_put_block_head(&m, &c, 0, false);
	assert_int_equal(count(m.data, m.len), BITSWAP_BLOCKS_MAX);
	bitswap_put_block_head(&m, &c, 0, false);
	assert_int_equal(count(m.data, m.len), -1);

	buf_clear(&m);
	for (int i = 0; i < BITSWAP_ELEMENTS_MAX; i++)
		bitswap_put_presence(&m, &c, true);
	assert_int_equal(count(m.data, m.len), BITSWAP_ELEMENTS_MAX);
	bitswap_put_presence(&m, &c, true);
	assert_int_equal(count(m.data, m.len), -1);
	buf_release(&m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_wantlist_has_these_bytes),
		cmocka_unit_test(an_answer_has_these_bytes),
		cmocka_unit_test(a_block_of_another_hash_says_which),
		cmocka_unit_test(a_message_cut_anywhere_is_refused_or_shorter),
		cmocka_unit_test(b65_a_cid_too_long_is_passed_over),
		cmocka_unit_test(an_identity_cid_is_passed_over),
		cmocka_unit_test(b38_entries_without_a_good_cid_are_refused),
		cmocka_unit_test(b66_a_message_without_a_wantlist_is_fine),
		cmocka_unit_test(b33_millions_of_elements_are_refused),
	};
	return cmocka_run_group_tests_name("bitswap_msg", tests, NULL, NULL);
}
