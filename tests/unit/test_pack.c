/* What is stored comes back, and frames that lie are refused. */
#include "store/error.h"
#include "store/pack.h"

#include <stdlib.h>
#include <string.h>
#include <zstd.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

/* Into room of the exact size, so that the sanitizer sees an overrun. */
static int unpacked(const void *frame, size_t stored, size_t size)
{
	struct packer *p = packer_new();
	uint8_t *in = malloc(stored ? stored : 1), *out = malloc(size ? size : 1);

	memcpy(in, frame, stored);
	int r = unpack(p, ENCODING_ZSTD, in, stored, out, size);
	free(in);
	free(out);
	packer_free(p);
	return r;
}

static void what_is_packed_comes_back(void **state)
{
	static const size_t sizes[] = { 0, 1, 17, 4096, PACK_MAX };
	struct packer *p = packer_new();
	struct packed packed;

	for (int kind = 0; kind < 2; kind++)
		for (int i = 0; i < 5; i++) {
			uint8_t *data = malloc(sizes[i] + 1), *back = malloc(sizes[i] + 1);
			uint32_t noise = 1;

			for (size_t k = 0; k < sizes[i]; k++)
				data[k] = kind ? (uint8_t)((noise = noise * 1664525 + 1013904223) >> 24) : 'a';
			pack(p, data, sizes[i], &packed);
			uint8_t *stored = malloc(packed.stored + 1);
			memcpy(stored, packed.data, packed.stored);
			assert_int_equal(unpack(p, packed.encoding, stored, packed.stored, back, sizes[i]), 0);
			assert_memory_equal(back, data, sizes[i]);
			free(stored);
			free(data);
			free(back);
		}
	packer_free(p);
}

static void b86_frames_that_lie_are_refused(void **state)
{
	static uint8_t zeros[PACK_MAX], frame[PACK_MAX + 1024], two[4096];
	size_t n = ZSTD_compress(frame, sizeof frame, zeros, sizeof zeros, 3);

	assert_false(ZSTD_isError(n));
	assert_int_equal(unpacked(frame, n, sizeof zeros), 0);
	/* Of another size than the record has it, or more than there may be. */
	assert_int_equal(unpacked(frame, n, 100), ERR_CORRUPT);
	assert_int_equal(unpacked(frame, n, sizeof zeros - 1), ERR_CORRUPT);
	assert_int_equal(unpacked(frame, n, sizeof zeros + 1), ERR_CORRUPT);
	/* Cut anywhere; with something behind it. */
	for (size_t cut = 0; cut < n; cut++)
		assert_int_equal(unpacked(frame, cut, sizeof zeros), ERR_CORRUPT);
	frame[n] = 0;
	assert_int_equal(unpacked(frame, n + 1, sizeof zeros), ERR_CORRUPT);
	/* Two frames that give as much together. */
	size_t one = ZSTD_compress(two, sizeof two, zeros, 50, 3);
	memcpy(two + one, two, one);
	assert_int_equal(unpacked(two, one, 50), 0);
	assert_int_equal(unpacked(two, 2 * one, 100), ERR_CORRUPT);
	assert_int_equal(unpacked(two, 2 * one, 50), ERR_CORRUPT);
}

/* magic | descriptor | window or not | dictionary | size | one RLE block */
static void b86_headers_that_ask_for_much_are_refused(void **state)
{
	static const uint8_t no_size[] = { 0x28, 0xb5, 0x2f, 0xfd, 0x00, 0x58, 0x03, 0x20, 0x03, 'a' };
	static const uint8_t window[] = { 0x28, 0xb5, 0x2f, 0xfd, 0x80, 0xa8, 100, 0, 0, 0, 0x23, 0x03, 0, 'a' };
	static const uint8_t dictionary[] = { 0x28, 0xb5, 0x2f, 0xfd, 0x21, 0x07, 100, 0x23, 0x03, 0, 'a' };
	static const uint8_t huge[] = { 0x28, 0xb5, 0x2f, 0xfd, 0xe0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x0f, 0x23, 0x03, 0, 'a' };
	static const uint8_t skipped[] = { 0x50, 0x2a, 0x4d, 0x18, 4, 0, 0, 0, 1, 2, 3, 4 };
	/* 100 times 'a', as it should be. */
	static const uint8_t sound[] = { 0x28, 0xb5, 0x2f, 0xfd, 0x20, 100, 0x23, 0x03, 0, 'a' };

	assert_int_equal(unpacked(sound, sizeof sound, 100), 0);
	assert_int_equal(unpacked(no_size, sizeof no_size, 100), ERR_CORRUPT);
	assert_int_equal(unpacked(dictionary, sizeof dictionary, 100), ERR_CORRUPT);
	assert_int_equal(unpacked(huge, sizeof huge, 100), ERR_CORRUPT);
	assert_int_equal(unpacked(skipped, sizeof skipped, 4), ERR_CORRUPT);
	/* A window of 2 GiB costs nothing, since the bytes go where there is room. */
	int r = unpacked(window, sizeof window, 100);
	assert_true(r == 0 || r == ERR_CORRUPT);
}

static void b86_an_unknown_encoding_is_refused(void **state)
{
	struct packer *p = packer_new();
	uint8_t out[8];

	assert_int_equal(unpack(p, 7, "12345678", 8, out, 8), ERR_CORRUPT);
	assert_int_equal(unpack(p, ENCODING_RAW, "12345678", 7, out, 8), ERR_CORRUPT);
	packer_free(p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_packed_comes_back),
		cmocka_unit_test(b86_frames_that_lie_are_refused),
		cmocka_unit_test(b86_headers_that_ask_for_much_are_refused),
		cmocka_unit_test(b86_an_unknown_encoding_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
