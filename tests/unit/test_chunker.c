/*
 * Cut points.  The expected ones were computed by boxo's chunker package (0.42):
 * the number of chunks, the first few lengths, and the front of the SHA-256 of
 * all of them, written in decimal, a line each.
 */
#include "store/chunker.h"
#include "store/error.h"
#include "unit/contents.h"

#include <stdio.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#define SHOWN 6

static const struct {
	const char *chunker;
	enum content content;
	size_t n, first[SHOWN];
	uint8_t hash[8];
} vectors[] = {
	{ "size-1000000", RANDOM_200K, 1, { 200000 },
	  { 0xd4, 0x35, 0x74, 0xbe, 0x92, 0x1c, 0x54, 0x21 } },
	{ "size-1000000", RANDOM_1M, 2, { 1000000, 48576 },
	  { 0xe2, 0x89, 0x12, 0x4a, 0xf1, 0xbd, 0x30, 0xcb } },
	{ "size-1000000", RANDOM_3M, 3, { 1000000, 1000000, 1000000 },
	  { 0xfb, 0x15, 0x2e, 0xaa, 0x71, 0xbb, 0xbd, 0xf7 } },
	{ "size-1000000", ZEROS_2M, 2, { 1000000, 1000000 },
	  { 0x29, 0x2f, 0xec, 0xf2, 0xf2, 0xee, 0x62, 0x1c } },
	{ "size-1000000", TEXT_1M, 2, { 1000000, 56000 },
	  { 0x26, 0xf8, 0x4c, 0xe2, 0xf1, 0x97, 0x30, 0x35 } },
	{ "rabin", RANDOM_200K, 1, { 200000 },
	  { 0xd4, 0x35, 0x74, 0xbe, 0x92, 0x1c, 0x54, 0x21 } },
	{ "rabin", RANDOM_1M, 4, { 222613, 249217, 393216, 183530 },
	  { 0x3a, 0x13, 0x0a, 0x3b, 0xd1, 0x0d, 0x62, 0xb7 } },
	{ "rabin", RANDOM_3M, 12, { 222613, 249217, 393216, 393216, 166263, 229457 },
	  { 0x90, 0x25, 0x36, 0x02, 0xe3, 0x4e, 0xde, 0xb4 } },
	{ "rabin", ZEROS_2M, 23, { 87381, 87381, 87381, 87381, 87381, 87381 },
	  { 0x4a, 0x07, 0xd5, 0xc6, 0xc2, 0x25, 0xd6, 0xb6 } },
	{ "rabin", TEXT_1M, 3, { 393216, 393216, 269568 },
	  { 0x22, 0xa3, 0xb9, 0xb1, 0xea, 0xd4, 0xd3, 0x2c } },
	{ "rabin-65536", RANDOM_200K, 4, { 98304, 48402, 43863, 9431 },
	  { 0x6b, 0x27, 0x5e, 0x49, 0xd3, 0x70, 0x1c, 0xc3 } },
	{ "rabin-65536", RANDOM_1M, 20, { 98304, 48402, 43863, 32044, 58561, 57451 },
	  { 0x00, 0xdb, 0x50, 0x5e, 0xa4, 0x3e, 0xda, 0xd2 } },
	{ "rabin-65536", RANDOM_3M, 51, { 98304, 48402, 43863, 32044, 58561, 57451 },
	  { 0x46, 0x9e, 0x53, 0x25, 0x70, 0x9a, 0xab, 0x55 } },
	{ "rabin-65536", ZEROS_2M, 92, { 21845, 21845, 21845, 21845, 21845, 21845 },
	  { 0x66, 0xa5, 0xf0, 0xc0, 0x81, 0x49, 0x03, 0xa2 } },
	{ "rabin-65536", TEXT_1M, 11, { 98304, 98304, 98304, 98304, 98304, 98304 },
	  { 0xa4, 0xaf, 0x7c, 0xdd, 0x8a, 0xc7, 0xdf, 0x38 } },
	{ "rabin-16-1024-4096", RANDOM_200K, 188, { 1613, 379, 560, 530, 2340, 516 },
	  { 0x87, 0x37, 0xf9, 0xc7, 0xc7, 0x6f, 0x75, 0x62 } },
	{ "rabin-16-1024-4096", RANDOM_1M, 1015, { 1613, 379, 560, 530, 2340, 516 },
	  { 0xa1, 0xc8, 0x28, 0xa1, 0x8f, 0x41, 0xd2, 0xdc } },
	{ "rabin-16-1024-4096", RANDOM_3M, 2953, { 1613, 379, 560, 530, 2340, 516 },
	  { 0xc1, 0x9c, 0x7a, 0x87, 0x50, 0x40, 0x79, 0xac } },
	{ "rabin-16-1024-4096", ZEROS_2M, 125000, { 16, 16, 16, 16, 16, 16 },
	  { 0x2e, 0xad, 0x42, 0xa9, 0xfa, 0x23, 0xfd, 0xbd } },
	{ "rabin-16-1024-4096", TEXT_1M, 258, { 4096, 4096, 4096, 4096, 4096, 4096 },
	  { 0x12, 0xeb, 0x8e, 0xa0, 0xb0, 0xfa, 0x0d, 0x4a } },
	{ "rabin-131072-262144-524288", RANDOM_200K, 1, { 200000 },
	  { 0xd4, 0x35, 0x74, 0xbe, 0x92, 0x1c, 0x54, 0x21 } },
	{ "rabin-131072-262144-524288", RANDOM_1M, 4, { 222613, 249217, 402375, 174371 },
	  { 0x5b, 0x15, 0x9a, 0xbe, 0xbe, 0x89, 0xab, 0xd3 } },
	{ "rabin-131072-262144-524288", RANDOM_3M, 10, { 222613, 249217, 402375, 524288, 255489, 524288 },
	  { 0x19, 0x43, 0x4c, 0xc9, 0xf5, 0xed, 0xc8, 0x53 } },
	{ "rabin-131072-262144-524288", ZEROS_2M, 16, { 131072, 131072, 131072, 131072, 131072, 131072 },
	  { 0x88, 0xdb, 0xcf, 0x8c, 0xd8, 0xab, 0xb1, 0x89 } },
	{ "rabin-131072-262144-524288", TEXT_1M, 3, { 524288, 524288, 7424 },
	  { 0xb1, 0x73, 0x3c, 0x44, 0xdf, 0x1c, 0xa3, 0xaa } },
	{ "rabin-min:32-avg:100-max:1000", RANDOM_200K, 2135, { 278, 126, 86, 40, 135, 39 },
	  { 0xc1, 0x10, 0x9e, 0x49, 0xa2, 0x36, 0xaf, 0x1b } },
	{ "rabin-min:32-avg:100-max:1000", RANDOM_1M, 11054, { 278, 126, 86, 40, 135, 39 },
	  { 0x22, 0x3a, 0x3f, 0xd4, 0xd6, 0x4b, 0x66, 0xce } },
	{ "rabin-min:32-avg:100-max:1000", RANDOM_3M, 31522, { 278, 126, 86, 40, 135, 39 },
	  { 0xcf, 0x12, 0xc0, 0xbc, 0xa1, 0xac, 0x0a, 0x63 } },
	{ "rabin-min:32-avg:100-max:1000", ZEROS_2M, 62500, { 32, 32, 32, 32, 32, 32 },
	  { 0xc1, 0x0a, 0x95, 0x49, 0xd3, 0x8b, 0x8d, 0x46 } },
	{ "rabin-min:32-avg:100-max:1000", TEXT_1M, 1056, { 1000, 1000, 1000, 1000, 1000, 1000 },
	  { 0x34, 0x90, 0xd8, 0x42, 0x0d, 0x62, 0x6f, 0x31 } },
	{ "buzhash", RANDOM_200K, 1, { 200000 },
	  { 0xd4, 0x35, 0x74, 0xbe, 0x92, 0x1c, 0x54, 0x21 } },
	{ "buzhash", RANDOM_1M, 3, { 358736, 524288, 165552 },
	  { 0x54, 0x40, 0x9a, 0x80, 0x89, 0x62, 0xb9, 0x20 } },
	{ "buzhash", RANDOM_3M, 9, { 358736, 524288, 412364, 434161, 207906, 354992 },
	  { 0x17, 0x3c, 0x64, 0xf5, 0x6c, 0xec, 0xf6, 0xd7 } },
	{ "buzhash", ZEROS_2M, 16, { 131072, 131072, 131072, 131072, 131072, 131072 },
	  { 0x88, 0xdb, 0xcf, 0x8c, 0xd8, 0xab, 0xb1, 0x89 } },
	{ "buzhash", TEXT_1M, 3, { 524288, 524288, 7424 },
	  { 0xb1, 0x73, 0x3c, 0x44, 0xdf, 0x1c, 0xa3, 0xaa } },
};

static struct chunker parsed(const char *text)
{
	struct chunker c;
	const char *why;

	assert_int_equal(chunker_parse(&c, text, &why), 0);
	return c;
}

static void cuts_are_where_kubo_cuts(void **state)
{
	for (size_t v = 0; v < sizeof vectors / sizeof *vectors; v++) {
		struct chunker c = parsed(vectors[v].chunker);
		size_t len, n = 0, lines_len = 0;
		uint8_t *data = content_make(vectors[v].content, &len), digest[32];
		char *lines = malloc(vectors[v].n * 9 + 9);

		assert_non_null(lines);
		for (size_t at = 0; at < len; n++) {
			size_t cut = chunker_cut(&c, data + at, len - at);

			assert_true(cut > 0 && n < vectors[v].n);
			if (n < SHOWN)
				assert_int_equal(cut, vectors[v].first[n]);
			lines_len += (size_t)sprintf(lines + lines_len, "%zu\n", cut);
			at += cut;
		}
		assert_int_equal(n, vectors[v].n);
		sha256(digest, lines, lines_len);
		assert_memory_equal(digest, vectors[v].hash, sizeof vectors[v].hash);
		free(lines);
		free(data);
	}
}

/* Whoever cuts knows the longest chunk ahead or more: how much more is no matter. */
static void a_cut_does_not_depend_on_what_lies_behind_it(void **state)
{
	static const char *const texts[] = { "size-70000", "rabin", "rabin-16-1024-4096", "buzhash",
					     "fastcdc", "fastcdc-64-256-1024" };
	size_t len;
	uint8_t *data = content_make(RANDOM_1M, &len);

	for (size_t t = 0; t < sizeof texts / sizeof *texts; t++) {
		struct chunker c = parsed(texts[t]);

		for (size_t at = 0, cut; at + c.max + 5 < len; at += cut) {
			cut = chunker_cut(&c, data + at, len - at);
			assert_int_equal(chunker_cut(&c, data + at, c.max), cut);
			assert_int_equal(chunker_cut(&c, data + at, c.max + 5), cut);
			assert_in_range(cut, c.kind == CHUNKER_SIZE ? c.max : c.min, c.max);
			/* And what is shorter than it is one chunk. */
			assert_int_equal(chunker_cut(&c, data + at, cut), cut);
			assert_int_equal(chunker_cut(&c, data + at, cut - 1), cut - 1);
		}
		assert_int_equal(chunker_cut(&c, data, 0), 0);
	}
	free(data);
}

static void a_text_has_its_one_meaning(void **state)
{
	static const struct {
		const char *text;
		struct chunker want;
		const char *back;
	} good[] = {
		{ "size-1", { CHUNKER_SIZE, 0, 0, 1 }, "size-1" },
		{ "size-2096896", { CHUNKER_SIZE, 0, 0, 2096896 }, "size-2096896" },
		{ "rabin", { CHUNKER_RABIN, 87381, 262144, 393216 }, "rabin-87381-262144-393216" },
		{ "rabin-48", { CHUNKER_RABIN, 16, 48, 72 }, "rabin-16-48-72" },
		{ "rabin-16-17-18", { CHUNKER_RABIN, 16, 17, 18 }, "rabin-16-17-18" },
		{ "rabin-min:16-avg:17-max:18", { CHUNKER_RABIN, 16, 17, 18 }, "rabin-16-17-18" },
		{ "buzhash", { CHUNKER_BUZHASH, 131072, 0, 524288 }, "buzhash" },
		{ "fastcdc", { CHUNKER_FASTCDC, 65536, 262144, 1048576 }, "fastcdc-65536-262144-1048576" },
		{ "fastcdc-64-65-66", { CHUNKER_FASTCDC, 64, 65, 66 }, "fastcdc-64-65-66" },
	};
	static const char *const bad[] = {
		"", "size", "size-", "size-0", "size-2096897", "size-99999999999999999999", "size-1-2",
		"size--1", "size- 1", "size-1x", "rabin-", "rabin-47", "rabin-1397932", "rabin-15-100-200",
		"rabin-100-100-200", "rabin-16-100-100", "rabin-16-100-2096897", "rabin-16-100",
		"rabin-16-100-200-300", "rabin-max:16-avg:17-min:18", "rabin-x", "buzhash-1", "buzhas",
		"default", "Size-5", "fastcdc-63-100-200", "fastcdc-100", "fastcdc-100-200-2096897",
	};

	for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
		struct chunker c = parsed(good[i].text);
		char text[CHUNKER_TEXT_MAX];

		assert_memory_equal(&c, &good[i].want, sizeof c);
		assert_string_equal(chunker_text(&c, text), good[i].back);
		c = parsed(text);
		assert_memory_equal(&c, &good[i].want, sizeof c);
	}
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		const char *why = NULL;
		struct chunker c;

		assert_int_equal(chunker_parse(&c, bad[i], &why), -EINVAL);
		assert_non_null(why);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(cuts_are_where_kubo_cuts),
		cmocka_unit_test(a_cut_does_not_depend_on_what_lies_behind_it),
		cmocka_unit_test(a_text_has_its_one_meaning),
	};
	return cmocka_run_group_tests_name("chunker", tests, NULL, NULL);
}
