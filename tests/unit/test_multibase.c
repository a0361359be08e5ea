/* Texts of bytes: the published vectors, and what is no such text. */
#include "store/multibase.h"
#include "store/error.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <string.h>

/* multiformats/multibase, tests/: the bases we know. */
static const struct {
	const char *text;
	const char *bytes;
	size_t len;
} vectors[] = {
	{ "f796573206d616e692021", "yes mani !", 10 },
	{ "bpfsxgidnmfxgsibb", "yes mani !", 10 },
	{ "k2lcpzo5yikidynfl", "yes mani !", 10 },
	{ "z7paNL19xttacUY", "yes mani !", 10 },
	{ "meWVzIG1hbmkgIQ", "yes mani !", 10 },
	{ "ueWVzIG1hbmkgIQ", "yes mani !", 10 },
	{ "f00796573206d616e692021", "\0yes mani !", 11 },
	{ "bab4wk4zanvqw42jaee", "\0yes mani !", 11 },
	{ "k02lcpzo5yikidynfl", "\0yes mani !", 11 },
	{ "z17paNL19xttacUY", "\0yes mani !", 11 },
	{ "mAHllcyBtYW5pICE", "\0yes mani !", 11 },
	{ "f0000796573206d616e692021", "\0\0yes mani !", 12 },
	{ "baaahszltebwwc3tjeaqq", "\0\0yes mani !", 12 },
	{ "k002lcpzo5yikidynfl", "\0\0yes mani !", 12 },
	{ "z117paNL19xttacUY", "\0\0yes mani !", 12 },
	{ "mAAB5ZXMgbWFuaSAh", "\0\0yes mani !", 12 },
	{ "b", "", 0 },
	{ "z", "", 0 },
	{ "bmy", "f", 1 },
	{ "bmzxq", "fo", 2 },
	{ "bmzxw6", "foo", 3 },
	{ "bmzxw6yq", "foob", 4 },
	{ "bmzxw6ytb", "fooba", 5 },
	{ "bmzxw6ytboi", "foobar", 6 },
	{ "uZg", "f", 1 },
	{ "u_-8", "\xff\xef", 2 },
};

static void the_published_vectors_hold(void **state)
{
	for (size_t i = 0; i < sizeof vectors / sizeof *vectors; i++) {
		char text[64];
		uint8_t bytes[64];
		int n = multibase_decode(bytes, sizeof bytes, vectors[i].text,
					 strlen(vectors[i].text));
		assert_int_equal(n, vectors[i].len);
		assert_memory_equal(bytes, vectors[i].bytes, vectors[i].len);
		n = multibase_encode(text, sizeof text, vectors[i].text[0],
				     vectors[i].bytes, vectors[i].len);
		assert_int_equal(n, strlen(vectors[i].text));
		assert_string_equal(text, vectors[i].text);
	}
}

static void either_case_and_padding_are_read(void **state)
{
	static const char *const same[] = { "BPFSXGIDNMFXGSIBB", "bPFSXGIDNMFXGSIBB",
					    "K2LCPZO5YIKIDYNFL", "F796573206D616E692021",
					    "MeWVzIG1hbmkgIQ==", "UeWVzIG1hbmkgIQ==" };

	for (size_t i = 0; i < sizeof same / sizeof *same; i++) {
		uint8_t bytes[64];
		int n = multibase_decode(bytes, sizeof bytes, same[i], strlen(same[i]));
		assert_int_equal(n, 10);
		assert_memory_equal(bytes, "yes mani !", 10);
	}
}

static void what_is_no_text_of_bytes_is_refused(void **state)
{
	static const struct {
		const char *text;
		int error;
	} bad[] = {
		{ "", ERR_MALFORMED },
		{ "bab1", ERR_MALFORMED },             /* no such digit */
		{ "ba", ERR_MALFORMED },               /* five bits are no byte */
		{ "bmz", ERR_MALFORMED },              /* bits left that are not zero */
		{ "bmzxq====", ERR_MALFORMED },        /* padding where there is none */
		{ "f123", ERR_MALFORMED },             /* half a byte */
		{ "z0", ERR_MALFORMED },               /* not in base58 */
		{ "zl", ERR_MALFORMED },               /* not in base58 */
		{ "uab+/", ERR_MALFORMED },            /* of the other base64 */
		{ "MeWVzIG1hbmkgIQ=", ERR_MALFORMED }, /* padded short */
		{ "M=", ERR_MALFORMED },
		{ "M====", ERR_MALFORMED },
		{ "xabc", -ENOTSUP },
		{ "\xff"
		  "abc",
		  -ENOTSUP },
	};

	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		uint8_t bytes[64];
		assert_int_equal(multibase_decode(bytes, sizeof bytes, bad[i].text,
						  strlen(bad[i].text)),
				 bad[i].error);
	}
	uint8_t bytes[64];
	assert_int_equal(multibase_decode(bytes, sizeof bytes, "b\0\0", 3),
			 ERR_MALFORMED);
}

static void the_room_given_is_the_limit(void **state)
{
	for (size_t i = 0; i < sizeof vectors / sizeof *vectors; i++) {
		size_t chars = strlen(vectors[i].text);
		for (size_t max = 0; max < vectors[i].len; max++) {
			uint8_t bytes[64];
			assert_int_equal(
			    multibase_decode(bytes, max, vectors[i].text, chars), -EFBIG);
		}
		for (size_t max = 0; max <= chars; max++) {
			char text[64];
			assert_int_equal(multibase_encode(text, max, vectors[i].text[0],
							  vectors[i].bytes,
							  vectors[i].len),
					 -ENOSPC);
		}
	}
}

static void long_texts_are_refused(void **state)
{
	static char text[1 << 20];
	static uint8_t bytes[1 << 20];

	memset(text, 'z', sizeof text);
	assert_int_equal(multibase_decode(bytes, sizeof bytes, text, sizeof text),
			 ERR_MALFORMED);
	assert_int_equal(base58_decode(bytes, sizeof bytes, text, 1025), ERR_MALFORMED);
	assert_true(base58_decode(bytes, sizeof bytes, text, 1024) > 0);
	memset(bytes, 0xff, sizeof bytes);
	assert_int_equal(base58_encode(text, sizeof text, bytes, 1024), -ENOSPC);
}

static void base58_has_no_prefix(void **state)
{
	char text[64];
	uint8_t bytes[64];

	assert_int_equal(base58_encode(text, sizeof text, "\0\0hello", 7), 9);
	assert_string_equal(text, "11Cn8eVZg");
	assert_int_equal(base58_decode(bytes, sizeof bytes, "11Cn8eVZg", 9), 7);
	assert_memory_equal(bytes, "\0\0hello", 7);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_published_vectors_hold),
		cmocka_unit_test(either_case_and_padding_are_read),
		cmocka_unit_test(what_is_no_text_of_bytes_is_refused),
		cmocka_unit_test(the_room_given_is_the_limit),
		cmocka_unit_test(long_texts_are_refused),
		cmocka_unit_test(base58_has_no_prefix),
	};
	return cmocka_run_group_tests_name("multibase", tests, NULL, NULL);
}
