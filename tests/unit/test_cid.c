/* Names of blocks: CIDs, multihashes, and that a block is what its name says. */
#include "store/block.h"
#include "store/cid.h"
#include "store/error.h"
#include "store/source.h"
#include "tests/unit/hex.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <string.h>

static void a_cid_has_one_text_and_one_binary_form(void **state)
{
	static const struct {
		const char *text, *hex;
		int version;
		uint32_t codec;
	} known[] = {
		{ "QmbFMke1KXqnYyBBWxB74N4c5SBnJMVAiMNRcGu6x1AwQH",
		  "1220bfccda787baba32b59c78450ac3d20b633360b43992c77289f9ed46d843561e6",
		  0, CODEC_DAG_PB },
		{ "bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku",
		  "01551220e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b8"
		  "55",
		  1, CODEC_RAW },
		{ "bafybeihd4yzq7n5umhjngdum4r6k2to7egxfkf2jz6thvwzf6djus22cmq", NULL, 1,
		  CODEC_DAG_PB },
		{ "k51qzi5uqu5dlvj2baxnqndepeb86cbk3ng7n3i46uzyxzyqj2xjonzllnv0v8", NULL,
		  1, CODEC_LIBP2P_KEY },
		{ "bafkqaaa", "01550000", 1, CODEC_RAW }, /* identity of nothing */
	};

	for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
		char text[CID_TEXT_MAX];
		uint8_t bytes[CID_SIZE_MAX], expected[CID_SIZE_MAX];
		struct cid c, again;

		assert_int_equal(cid_parse(&c, known[i].text, strlen(known[i].text)), 0);
		assert_int_equal(c.version, known[i].version);
		assert_int_equal(c.codec, known[i].codec);
		assert_string_equal(cid_text(&c, text), known[i].text);
		size_t n = cid_encode(&c, bytes);
		assert_int_equal(n, cid_size(&c));
		if (known[i].hex) {
			assert_int_equal(n, unhex(known[i].hex, expected));
			assert_memory_equal(bytes, expected, n);
		}
		assert_int_equal(cid_decode(&again, bytes, n), 0);
		assert_true(cid_equal(&c, &again));
		for (size_t cut = 0; cut < n; cut++)
			assert_int_equal(cid_decode(&again, bytes, cut), ERR_MALFORMED);
		bytes[n] = 0;
		assert_int_equal(cid_decode(&again, bytes, n + 1), ERR_MALFORMED);
		struct cursor in = cursor_over(bytes, n + 1);
		cid_read(&in, &again);
		assert_int_equal(cursor_left(&in), 1);
		assert_true(cid_equal(&c, &again));
	}
}

static void other_bases_are_read(void **state)
{
	static const char *const same[] = {
		"zb2rhZfjRh2FHHB2RkHVEvL2vJnCTcu7kwRqgVsf9gpkLgteo",
		("f01551220e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b785"
		 "2b855"),
		"BAFKREIHDWDCEFGH4DQKJV67UZCMW7OJEE6XEDZDETOJUZJEVTENXQUVYKU",
	};
	struct cid empty, c;

	cid_of(&empty, 1, CODEC_RAW, "", 0);
	for (size_t i = 1; i < sizeof same / sizeof *same; i++) {
		assert_int_equal(cid_parse(&c, same[i], strlen(same[i])), 0);
		assert_true(cid_equal(&c, &empty));
	}
	assert_int_equal(cid_parse(&c, same[0], strlen(same[0])), 0);
	assert_int_equal(c.codec, CODEC_RAW);
}

static void b38_what_is_no_cid_is_refused(void **state)
{
	static const char *const bad[] = {
		"",
		"00",
		"01",
		"0155",
		"00551220e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b85"
		"5",
		"02551220e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b85"
		"5",
		"03551220e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b85"
		"5",
		"8100551220e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b8"
		"55",
		"01ffffffffffffffffff011200",
		"018080808080011200", /* a codec over 32 bits */
		"0155808080808001",
		"01551281017f",
		"1221bfccda787baba32b59c78450ac3d20b633360b43992c77289f9ed46d843561e6ff",
	};
	static uint8_t megabyte[1 << 20];

	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		uint8_t bytes[64];
		struct cid c;
		size_t n = unhex(bad[i], bytes);
		assert_int_equal(cid_decode(&c, bytes, n), ERR_MALFORMED);
	}
	struct cid c;
	memcpy(megabyte, "\x01\x55\x12\xc0\xff\x3f",
	       6); /* it says 1 MiB, and it is there */
	assert_int_equal(cid_decode(&c, megabyte, sizeof megabyte), ERR_MALFORMED);
}

static void texts_that_are_no_cids_are_refused(void **state)
{
	static const struct {
		const char *text;
		int error;
	} bad[] = {
		{ "", ERR_MALFORMED },
		{ "Qm", -ENOTSUP },
		{ "QmbFMke1KXqnYyBBWxB74N4c5SBnJMVAiMNRcGu6x1AwQ", -ENOTSUP },
		{ "QmbFMke1KXqnYyBBWxB74N4c5SBnJMVAiMNRcGu6x1AwQ0", ERR_MALFORMED },
		/* version 0 in a multibase */
		{ "zQmbFMke1KXqnYyBBWxB74N4c5SBnJMVAiMNRcGu6x1AwQH", ERR_MALFORMED },
		{ "f1220bfccda787baba32b59c78450ac3d20b633360b43992c77289f9ed46d843561e6",
		  ERR_MALFORMED },
		{ "b", ERR_MALFORMED },
		{ "bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyk",
		  ERR_MALFORMED },
		{ "?afkrei", -ENOTSUP },
		{ "hello world", -ENOTSUP },
	};

	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		struct cid c;
		assert_int_equal(cid_parse(&c, bad[i].text, strlen(bad[i].text)),
				 bad[i].error);
	}
}

static void a_name_is_made_from_the_bytes(void **state)
{
	char text[CID_TEXT_MAX];
	struct cid c;

	cid_of(&c, 1, CODEC_RAW, "hello world", 11);
	assert_string_equal(
	    cid_text(&c, text),
	    "bafkreifzjut3te2nhyekklss27nh3k72ysco7y32koao5eei66wof36n5e");
	uint8_t node[64];
	size_t n = unhex("0a110802120b68656c6c6f20776f726c64180b", node);
	cid_of(&c, 0, CODEC_DAG_PB, node, n);
	assert_string_equal(cid_text(&c, text),
			    "Qmf412jQZiuVUtdgnB36FXFX7xg5V6KEbSJ4dpQuhkLyfD");
}

static void each_hash_gives_its_published_digest(void **state)
{
	/* of "abc", as the standards and RFC 7693 print them */
	static const struct {
		uint32_t code;
		const char *digest;
	} of_abc[] = {
		{ HASH_SHA1, "a9993e364706816aba3e25717850c26c9cd0d89d" },
		{ HASH_SHA2_256,
		  "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad" },
		{ HASH_SHA2_512,
		  "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a"
		  "2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f" },
		{ HASH_SHA3_256,
		  "3a985da74fe225b2045c172d6bd390bd855f086e3e9d525b46bfe24511431532" },
		{ 0x17, "e642824c3f8cf24ad09234ee7d3c766fc9a3a5168d0c94ad73b46fdf" },
		{ 0x19,
		  "483366601360a8771c6863080cc4114d8db44530f8f1e1ee4f94ea37e78b5739" },
		{ 0x56,
		  "4f8b42c22dd3729b519ba6f68d2da7cc5b2d606d05daed5ad5128cc03e6c6358" },
		{ HASH_BLAKE2B_256,
		  "bddd813c634239723171ef3fee98579b94964e3bb1cb3e427262c8c068d52319" },
		{ 0xb240,
		  "ba80a53f981c4d0d6a2797b69f12f6e94c212f14685ac4b74b12bb6fdbffa2d1"
		  "7d87c5392aab792dc252d5de4533cc9518d38aa8dbf1925ab92386edd4009923" },
		{ 0xb260,
		  "508c5e8c327c14e2e1a72ba34eeb452f37458b209ed63a294d999b4c86675982" },
		{ HASH_IDENTITY, "616263" },
	};

	for (size_t i = 0; i < sizeof of_abc / sizeof *of_abc; i++) {
		struct multihash m = { .code = of_abc[i].code }, made;
		m.size = (uint8_t)unhex(of_abc[i].digest, m.digest);
		assert_int_equal(multihash_allowed(&m), 0);
		assert_int_equal(multihash_of(&made, m.code, m.size, "abc", 3), 0);
		assert_true(multihash_equal(&m, &made));
		assert_int_equal(multihash_check(&m, "abc", 3), 0);
		assert_int_equal(multihash_check(&m, "abd", 3), ERR_CORRUPT);
		assert_int_equal(multihash_check(&m, "ab", 2), ERR_CORRUPT);
		m.digest[m.size - 1] ^= 1;
		assert_int_equal(multihash_check(&m, "abc", 3), ERR_CORRUPT);

		uint8_t bytes[MULTIHASH_SIZE_MAX];
		size_t n = multihash_encode(&m, bytes);
		assert_int_equal(multihash_decode(&made, bytes, n), 0);
		assert_true(multihash_equal(&m, &made));
		for (size_t cut = 0; cut < n; cut++)
			assert_int_equal(multihash_decode(&made, bytes, cut),
					 ERR_MALFORMED);
	}
}

static void b39_a_long_identity_is_refused(void **state)
{
	uint8_t bytes[256] = { 0x01, 0x55, 0x00, 0x80, 0x01 };
	struct cid c;

	assert_int_equal(cid_decode(&c, bytes, 5 + 128), 0);
	assert_int_equal(multihash_allowed(&c.hash), 0);
	bytes[3] = 0x81; /* 129 */
	assert_int_equal(cid_decode(&c, bytes, 5 + 129), ERR_MALFORMED);
	struct multihash m;
	assert_int_equal(multihash_of(&m, HASH_IDENTITY, 200, bytes, 200), ERR_MALFORMED);
}

static void b40_weak_names_are_refused(void **state)
{
	static const struct {
		uint32_t code;
		uint8_t size;
		int result;
	} names[] = {
		{ HASH_SHA2_256, 32, 0 },
		{ HASH_SHA2_256, 20, 0 },
		{ HASH_SHA2_256, 19, ERR_MALFORMED },
		{ HASH_SHA2_256, 1, ERR_MALFORMED },
		{ HASH_SHA2_256, 0, ERR_MALFORMED },
		{ HASH_SHA2_256, 33, ERR_MALFORMED },
		{ HASH_SHA1, 20, 0 },
		{ HASH_BLAKE3, 128, 0 },
		{ 0xd5, 16, -ENOTSUP },   /* MD5 */
		{ 0x22, 8, -ENOTSUP },    /* murmur3 */
		{ 0xb213, 19, -ENOTSUP }, /* blake2b-152 */
		{ 0xb214, 20, 0 },
		{ 0x7777, 32, -ENOTSUP },
	};

	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		struct multihash m = { .code = names[i].code, .size = names[i].size };
		struct block *b = NULL;
		assert_int_equal(multihash_allowed(&m), names[i].result);
		assert_true(block_verify(&b, &m, "x", 1) < 0);
		assert_null(b);
	}
}

static void a_short_digest_is_the_front_of_the_long_one(void **state)
{
	struct multihash whole, cut;

	multihash_sha256(&whole, "abc", 3);
	assert_int_equal(multihash_of(&cut, HASH_SHA2_256, 20, "abc", 3), 0);
	assert_int_equal(cut.size, 20);
	assert_memory_equal(cut.digest, whole.digest, 20);
}

static void a_block_is_what_its_name_says(void **state)
{
	struct block *b = NULL, *again = NULL;

	assert_int_equal(block_make(&b, "abc", 3), 0);
	assert_int_equal(b->size, 3);
	assert_memory_equal(b->data, "abc", 3);
	assert_int_equal(block_verify(&again, &b->name, "abd", 3), ERR_CORRUPT);
	assert_null(again);
	assert_int_equal(block_verify(&again, &b->name, "abc", 3), 0);
	assert_memory_equal(again->data, "abc", 3);
	assert_ptr_equal(block_ref(b), b);
	block_unref(b);
	block_unref(b);
	block_unref(again);
	block_unref(NULL);

	static const uint8_t large[BLOCK_MAX + 1];
	assert_int_equal(block_make(&b, large, BLOCK_MAX + 1), -EFBIG);
	assert_int_equal(block_make(&b, large, BLOCK_MAX), 0);
	assert_int_equal(block_verify(&again, &b->name, large, BLOCK_MAX + 1), -EFBIG);
	block_unref(b);
}

static int nothing(struct block_source *s, const struct cid *cid, struct block **out)
{
	return ERR_MISSING;
}

static void a_reader_notes_what_it_lacks(void **state)
{
	struct block_source empty = { .get = nothing };
	struct cid room[2], a, b, c, identity;
	struct misses misses = { .cids = room, .max = 2 };
	struct block *got = NULL;

	cid_of(&a, 1, CODEC_RAW, "a", 1);
	cid_of(&b, 1, CODEC_RAW, "b", 1);
	cid_of(&c, 1, CODEC_RAW, "c", 1);
	assert_int_equal(source_try(&empty, &a, &got, &misses), ERR_MISSING);
	assert_int_equal(source_try(&empty, &a, &got, &misses), ERR_MISSING);
	assert_int_equal(misses.n, 1);
	assert_int_equal(source_try(&empty, &b, &got, &misses), ERR_MISSING);
	assert_int_equal(source_try(&empty, &c, &got, &misses), ERR_MISSING);
	assert_int_equal(source_try(&empty, &c, &got, NULL), ERR_MISSING);
	assert_int_equal(misses.n, 2);
	assert_true(cid_equal(&room[0], &a) && cid_equal(&room[1], &b));
	assert_int_equal(source_has(&empty, &a), 0);

	/* Identity CIDs bring their bytes along. */
	assert_int_equal(cid_parse(&identity, "bafkqaa3bmjrq", 13), 0);
	assert_int_equal(source_has(&empty, &identity), 1);
	assert_int_equal(source_try(&empty, &identity, &got, &misses), 0);
	assert_int_equal(got->size, 3);
	assert_memory_equal(got->data, "abc", 3);
	block_unref(got);

	a.hash.code = 0xd5;
	assert_int_equal(source_try(&empty, &a, &got, &misses), -ENOTSUP);
	assert_int_equal(misses.n, 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_cid_has_one_text_and_one_binary_form),
		cmocka_unit_test(other_bases_are_read),
		cmocka_unit_test(b38_what_is_no_cid_is_refused),
		cmocka_unit_test(texts_that_are_no_cids_are_refused),
		cmocka_unit_test(a_name_is_made_from_the_bytes),
		cmocka_unit_test(each_hash_gives_its_published_digest),
		cmocka_unit_test(b39_a_long_identity_is_refused),
		cmocka_unit_test(b40_weak_names_are_refused),
		cmocka_unit_test(a_short_digest_is_the_front_of_the_long_one),
		cmocka_unit_test(a_block_is_what_its_name_says),
		cmocka_unit_test(a_reader_notes_what_it_lacks),
	};
	return cmocka_run_group_tests_name("cid", tests, NULL, NULL);
}
