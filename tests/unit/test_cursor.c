/* The cursor never overruns, and says so once at the end. */
#include "store/buf.h"
#include "store/error.h"
#include "store/pb.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

static void a_varint_round_trips(void **state)
{
	const uint64_t values[] = { 0, 1, 127, 128, 300, 16383, 16384, INT64_MAX };

	for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
		uint8_t bytes[VARINT_MAX];
		size_t n = varint_put(bytes, values[i]);
		assert_int_equal(n, varint_size(values[i]));
		for (size_t cut = 0; cut < n; cut++) {
			struct cursor in = cursor_over(bytes, cut);
			cursor_varint(&in);
			assert_false(cursor_done(&in));
		}
		struct cursor in = cursor_over(bytes, n);
		assert_true(cursor_varint(&in) == values[i]);
		assert_true(cursor_done(&in));
	}
}

static void bad_varints_are_refused(void **state)
{
	static const struct {
		uint8_t bytes[12];
		size_t n;
	} bad[] = {
		{ { 0x80, 0x00 }, 2 },		    /* not minimal */
		{ { 0x81, 0x80, 0x00 }, 3 },	    /* not minimal */
		{ { 0x80 }, 1 },		    /* cut */
		{ { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01 }, 10 },
		{ { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01 }, 11 },
	};

	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		struct cursor in = cursor_over(bad[i].bytes, bad[i].n);
		cursor_varint(&in);
		assert_true(in.bad);
	}
	/* Ten bytes are a protobuf number, eleven are none. */
	struct cursor ten = cursor_over(bad[3].bytes, 10);
	assert_true(cursor_pb_varint(&ten) == UINT64_MAX);
	assert_true(cursor_done(&ten));
	struct cursor eleven = cursor_over(bad[4].bytes, 11);
	cursor_pb_varint(&eleven);
	assert_true(eleven.bad);
}

static void a_field_past_the_end_is_refused(void **state)
{
	struct buf b = { 0 };
	struct pb_field f;

	pb_put_varint(&b, 1, 150);
	pb_put_text(&b, 2, "testing");
	pb_put_fixed32(&b, 3, 7);
	pb_put_fixed64(&b, 4, 8);
	assert_false(b.failed);
	int whole = 0;
	for (size_t cut = 0; cut <= b.len; cut++) {
		struct cursor in = cursor_over(b.data, cut);
		int r;
		int fields = 0;
		while ((r = pb_next(&in, &f)) > 0)
			fields++;
		if (r == 0)
			whole++;
		if (cut == b.len) {
			assert_int_equal(r, 0);
			assert_int_equal(fields, 4);
		}
	}
	assert_int_equal(whole, 5); /* only between fields */
	buf_release(&b);
}

static void wire_types_we_do_not_know_are_refused(void **state)
{
	for (unsigned t = 0; t < 8; t++) {
		uint8_t bytes[] = { (uint8_t)(1 << 3 | t), 1, 0, 0, 0, 0, 0, 0, 0 };
		struct cursor in = cursor_over(bytes, sizeof bytes);
		struct pb_field f;
		int r = pb_next(&in, &f);
		if (t == 3 || t == 4 || t >= 6)
			assert_int_equal(r, ERR_MALFORMED);
		else
			assert_int_equal(r, 1);
	}
	struct cursor in = cursor_over("\x00\x01", 2); /* field 0 */
	struct pb_field f;
	assert_int_equal(pb_next(&in, &f), ERR_MALFORMED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_varint_round_trips),
		cmocka_unit_test(bad_varints_are_refused),
		cmocka_unit_test(a_field_past_the_end_is_refused),
		cmocka_unit_test(wire_types_we_do_not_know_are_refused),
	};
	return cmocka_run_group_tests_name("cursor", tests, NULL, NULL);
}
