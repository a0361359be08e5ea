/* Keys have one form, one id, and signatures that nobody else can make. */
#include "net/key.h"
#include "store/error.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#define KEY_ROOM   4096
#define MODULUS_AT 37 /* in the RSA key below, with its sign byte */

static size_t unhex(uint8_t *out, const char *hex)
{
	size_t n = strlen(hex) / 2;

	for (size_t i = 0; i < n; i++) {
		unsigned byte;
		assert_int_equal(sscanf(hex + 2 * i, "%2x", &byte), 1);
		out[i] = (uint8_t)byte;
	}
	return n;
}

/*
 * The public keys are those of libp2p/specs peer-ids; the signatures were made
 * with the openssl command, with their private keys, over "hello, cairn".
 */
static const char message[] = "hello, cairn";
static const struct {
	enum key_type type;
	const char *key, *id, *signature;
} vectors[] = {
	{ KEY_ED25519,
	  "080112201ed1e8fae2c4a144b8be8fd4b47bf3d3b34b871c3cacf6010f0e42d474fce27e",
	  "0024080112201ed1e8fae2c4a144b8be8fd4b47bf3d3b34b871c3cacf6010f0e42d474fce27e", NULL },
	{ KEY_SECP256K1,
	  "08021221037777e994e452c21604f91de093ce415f5432f701dd8cd1a7a6fea0e630bfca99",
	  "002508021221037777e994e452c21604f91de093ce415f5432f701dd8cd1a7a6fea0e630bfca99",
	  "304402205838af0ac41875444c91ff15b86e2059d07360b964bb23a66d93465c07c8834d02200b42bc09"
	  "05aa58a7d6d9f32e2af87147a9fd24954e3e5d394efb1f1f3d1298c7" },
	{ KEY_ECDSA,
	  "0803125b3059301306072a8648ce3d020106082a8648ce3d03010703420004de3d300fa36ae0e8f5d530"
	  "899d83abab44abf3161f162a4bc901d8e6ecda020e8b6d5f8da30525e71d6851510c098e5c47c646a597"
	  "fb4dcec034e9f77c409e62",
	  "122068362c312e155f4f7290b67f5cd094a22a0a4fbf20efd8c287934419350d36f7",
	  "3046022100f2fffcc13b7cc525ed24b7937d7447ed8046464113f0fd36815c43daa4811960022100b5fa"
	  "9ef02c50e4c0fd28ad8c932710996c69c4269c80abe5117d0113181eb58a" },
	{ KEY_RSA,
	  "080012a60430820222300d06092a864886f70d01010105000382020f003082020a0282020100e1beab07"
	  "1d08200bde24eef00d049449b07770ff9910257b2d7d5dda242ce8f0e2f12e1af4b32d9efd2c090f66b0"
	  "f29986dbb645dae9880089704a94e5066d594162ae6ee8892e6ec70701db0a6c445c04778eb3de1293aa"
	  "1a23c3825b85c6620a2bc3f82f9b0c309bc0ab3aeb1873282bebd3da03c33e76c21e9beb172fd44c9e43"
	  "be32e2c99827033cf8d0f0c606f4579326c930eb4e854395ad941256542c793902185153c474bed109d6"
	  "ff5141ebf9cd256cf58893a37f83729f97e7cb435ec679d2e33901d27bb35aa0d7e20561da08885ef0ab"
	  "bf8e2fb48d6a5487047a9ecb1ad41fa7ed84f6e3e8ecd5d98b3982d2a901b4454991766da295ab78822a"
	  "dd5612a2df83bcee814cf50973e80d7ef38111b1bd87da2ae92438a2c8cbcc70b31ee319939a3b9c761d"
	  "bc13b5c086d6b64bf7ae7dacc14622375d92a8ff9af7eb962162bbddebf90acb32adb5e4e4029f1c9601"
	  "9949ecfbfeffd7ac1e3fbcc6b6168c34be3d5a2e5999fcbb39bba7adbca78eab09b9bc39f7fa4b93411f"
	  "4cc175e70c0a083e96bfaefb04a9580b4753c1738a6a760ae1afd851a1a4bdad231cf56e9284d832483d"
	  "f215a46c1c21bdf0c6cfe951c18f1ee4078c79c13d63edb6e14feaeffabc90ad317e4875fe648101b086"
	  "4097e998f0ca3025ef9638cd2b0caecd3770ab54a1d9c6ca959b0f5dcbc90caeefc4135baca6fd475224"
	  "269bbe1b0203010001",
	  "1220b6c8a8c0a3105fc27afca4fb1173791f038e4343fd56b7c67b616dbc30a04ccd",
	  "a0d5de720aced9b908548ed2c923f0f7318900016c9e7b77be8802b07d2e45683b55135383bafc3bada0"
	  "71f24c4683a1561ece451be0100381975564dffdb412c917d3862bd98ccfe9d0c42846690cceb7acdb9b"
	  "ce8f189140684017e4e14042868bce04f2ecf57a740e3fede7f16b13f3daa50a71d2b4ba454ef826f907"
	  "63d0ab4febc4d0addfc4be43d1dee937f1f3b3fcaa07ae4aac58991c5814475d013fecb7952519857f0e"
	  "34132a422de2be4076c43f60aece8b6be8209fbb055b39dc19315ca80c0434f8b6b56c8977903860d8f3"
	  "440b89631abf170151a9b07993572b3b6a7de66dfd9471ae39b760ee21d9887759e24f028e8ea8df8ca4"
	  "af077b62da303478302b6299460bbd688d86ba807cbe85ff713f78ca2d943d971948fb05934232dd61ff"
	  "9d32a151ac2a5faeb99d8cfb7dd53d60990e17fbf30835407c5d26e3c5633b758e50c6bbc24e4beb80ca"
	  "8d57aad4dfaf9ad6a678ab7ffbdef075a90e6bafe6054cf54c58af22558c69c211e4f43b8298f9761472"
	  "58c22ae19d2e4904525ed590e0aef44246848517def43f2fb0ff989aed297e445e2af904e586ba3c19dc"
	  "f5e0be7eb107bdf6f0942eae6403990b6dcab3d7fc78b6eb54b2f6a96de6c632998cfe6ca59757e2fbe3"
	  "35facf049dfd44bb145349120b5b200000357b5064b46a34e225975315a0754f40b767ba19ce19e98189"
	  "434706c3bc17cddd" },
};
#define VECTORS (sizeof vectors / sizeof *vectors)

/* The private key that the specification gives for the first of them. */
static const char spec_secret[] =
	"080112407e0830617c4a7de83925dfb2694556b12936c477a0e1feb2e148ec9da60fee7d1ed1e8fae2c4"
	"a144b8be8fd4b47bf3d3b34b871c3cacf6010f0e42d474fce27e";

static void the_keys_of_the_specification_have_its_ids(void **state)
{
	for (size_t i = 0; i < VECTORS; i++) {
		uint8_t bytes[KEY_ROOM], id[64], again[KEY_PUBLIC_MAX];
		size_t n = unhex(bytes, vectors[i].key);
		size_t id_len = unhex(id, vectors[i].id);
		struct public_key k, inner;
		struct peer_id peer;

		assert_int_equal(key_decode(&k, bytes, n), 0);
		assert_int_equal(k.type, vectors[i].type);
		assert_int_equal(key_encode(&k, again), n);
		assert_memory_equal(again, bytes, n);
		key_peer(&k, &peer);
		assert_int_equal(peer.len, id_len);
		assert_memory_equal(peer.bytes, id, id_len);
		/* The short ones can be had back from the id. */
		int r = key_of_peer(&peer, &inner);
		if (n <= 42) {
			assert_int_equal(r, 0);
			assert_int_equal(inner.type, k.type);
			assert_memory_equal(inner.data, k.data, k.len);
		} else {
			assert_int_equal(r, ERR_MALFORMED);
		}
	}
}

static void the_secret_key_of_the_specification_gives_its_public_key(void **state)
{
	uint8_t bytes[128], expected[64];
	struct secret_key k;
	struct public_key public;
	struct buf out = { 0 };
	size_t n = unhex(bytes, spec_secret);

	assert_int_equal(key_secret_decode(&k, bytes, n), 0);
	key_public(&k, &public);
	unhex(expected, vectors[0].key);
	assert_memory_equal(public.data, expected + 4, 32);
	key_secret_encode(&k, &out);
	assert_int_equal(out.len, n);
	assert_memory_equal(out.data, bytes, n);
	buf_release(&out);
	for (size_t cut = 0; cut < n; cut++)
		assert_int_equal(key_secret_decode(&k, bytes, cut), ERR_MALFORMED);

	/* The old form repeats the public key, and must repeat it truly. */
	bytes[3] = 96;
	memcpy(bytes + 4 + 64, bytes + 4 + 32, 32);
	assert_int_equal(key_secret_decode(&k, bytes, 100), 0);
	bytes[99] ^= 1;
	assert_int_equal(key_secret_decode(&k, bytes, 100), ERR_MALFORMED);
}

static void a_secret_key_with_another_public_half_is_refused(void **state)
{
	uint8_t bytes[128];
	struct secret_key k;
	size_t n = unhex(bytes, spec_secret);

	bytes[n - 1] ^= 1;
	assert_int_equal(key_secret_decode(&k, bytes, n), ERR_MALFORMED);
	bytes[n - 1] ^= 1;
	bytes[1] = KEY_SECP256K1;
	assert_int_equal(key_secret_decode(&k, bytes, n), -ENOTSUP);
}

static int verify(const struct public_key *k, const char *text, const uint8_t *signature,
		  size_t len)
{
	return key_verify(k, text, strlen(text), signature, len);
}

static void our_signatures_verify_and_nothing_else_does(void **state)
{
	struct secret_key mine, other;
	struct public_key public, wrong;
	uint8_t signature[ED25519_SIGNATURE];

	key_generate(&mine);
	key_generate(&other);
	key_public(&mine, &public);
	key_public(&other, &wrong);
	key_sign(&mine, message, strlen(message), signature);
	assert_int_equal(verify(&public, message, signature, 64), 0);
	assert_int_equal(verify(&wrong, message, signature, 64), ERR_CORRUPT);
	assert_int_equal(verify(&public, "hello, cair", signature, 64), ERR_CORRUPT);
	assert_int_equal(verify(&public, "", signature, 64), ERR_CORRUPT);
	for (size_t len = 0; len < 64; len++)
		assert_int_equal(verify(&public, message, signature, len), ERR_CORRUPT);
	for (size_t i = 0; i < 64; i++) {
		signature[i] ^= 1;
		assert_int_equal(verify(&public, message, signature, 64), ERR_CORRUPT);
		signature[i] ^= 1;
	}
}

static void signatures_of_the_older_kinds_verify(void **state)
{
	for (size_t i = 1; i < VECTORS; i++) {
		uint8_t bytes[KEY_ROOM], signature[SIGNATURE_MAX + 1] = { 0 };
		size_t n = unhex(bytes, vectors[i].key);
		size_t len = unhex(signature, vectors[i].signature);
		struct public_key k, wrong;

		assert_int_equal(key_decode(&k, bytes, n), 0);
		assert_int_equal(verify(&k, message, signature, len), 0);
		assert_int_equal(verify(&k, "Hello, cairn", signature, len), ERR_CORRUPT);
		assert_int_equal(verify(&k, message, signature, 0), ERR_CORRUPT);
		assert_int_equal(verify(&k, message, signature, len - 1), ERR_CORRUPT);
		assert_int_equal(verify(&k, message, signature, len + 1), ERR_CORRUPT);
		assert_int_equal(verify(&k, message, signature, sizeof signature), ERR_CORRUPT);
		signature[len / 2] ^= 1;
		assert_int_equal(verify(&k, message, signature, len), ERR_CORRUPT);
		signature[len / 2] ^= 1;
		/* A point that is not on the curve, or another modulus. */
		wrong = k;
		wrong.data[wrong.len - 20] ^= 1;
		assert_int_equal(verify(&wrong, message, signature, len), ERR_CORRUPT);
	}
}

static void every_truncation_of_a_key_is_refused(void **state)
{
	for (size_t i = 0; i < VECTORS; i++) {
		uint8_t bytes[KEY_ROOM];
		size_t n = unhex(bytes, vectors[i].key);
		struct public_key k;

		for (size_t cut = 0; cut < n; cut++) {
			/* Of the exact size, for the sanitizer. */
			uint8_t *exact = malloc(cut + !cut);
			memcpy(exact, bytes, cut);
			assert_int_equal(key_decode(&k, exact, cut), ERR_MALFORMED);
			free(exact);
		}
		bytes[n] = 0;
		assert_int_equal(key_decode(&k, bytes, n + 1), ERR_MALFORMED);
	}
}

#define POINT "1ed1e8fae2c4a144b8be8fd4b47bf3d3b34b871c3cacf6010f0e42d474fce27e"

static void b16_a_key_has_only_one_form(void **state)
{
	static const char *const other_forms[] = {
		"0881001220" POINT, /* the type in two bytes */
		"080112a000" POINT, /* the length */
		"8800011220" POINT, /* the tag */
		"1220" POINT "0801", /* another order */
		"08011220" POINT "1800", /* a third field */
		"080108011220" POINT, /* the type twice */
		"1220" POINT, /* no type */
		"0801", /* no data */
		"08041220" POINT, /* a type that does not exist */
		"0801121f1ed1e8fae2c4a144b8be8fd4b47bf3d3b34b871c3cacf6010f0e42d474fce2",
		/* secp256k1: a point that is not compressed */
		"08021221047777e994e452c21604f91de093ce415f5432f701dd8cd1a7a6fea0e630bfca99",
	};
	uint8_t bytes[128];
	struct public_key k;

	assert_int_equal(key_decode(&k, bytes, unhex(bytes, "08011220" POINT)), 0);
	for (size_t i = 0; i < sizeof other_forms / sizeof *other_forms; i++)
		assert_int_equal(key_decode(&k, bytes, unhex(bytes, other_forms[i])),
				 ERR_MALFORMED);
	/* ECDSA: another curve, another algorithm, a compressed point. */
	size_t n = unhex(bytes, vectors[2].key);
	for (size_t i = 4; i < 4 + 27; i++) {
		bytes[i] ^= 1;
		assert_int_equal(key_decode(&k, bytes, n), ERR_MALFORMED);
		bytes[i] ^= 1;
	}
}

/* ---- RSA keys of any size ---- */

static void der(struct buf *out, uint8_t tag, const struct buf *inside)
{
	buf_u8(out, tag);
	if (inside->len >= 0x100) {
		buf_u8(out, 0x82);
		buf_u16be(out, (uint16_t)inside->len);
	} else if (inside->len >= 0x80) {
		buf_u8(out, 0x81);
		buf_u8(out, (uint8_t)inside->len);
	} else {
		buf_u8(out, (uint8_t)inside->len);
	}
	buf_append(out, inside->data, inside->len);
}

/* A key with a modulus of so many bits, all set, and an exponent in its DER. */
static int decode_rsa(unsigned bits, const char *exponent, size_t exponent_len)
{
	struct buf number = { 0 }, pair = { 0 }, string = { 0 }, info = { 0 }, spki = { 0 };
	struct buf whole = { 0 };
	struct public_key k;

	/* The bits above whole bytes; if there are none this is the sign, 0. */
	buf_u8(&number, (uint8_t)((1 << bits % 8) - 1));
	for (unsigned i = 0; i < bits / 8; i++)
		buf_u8(&number, 0xff);
	der(&pair, 0x02, &number);
	buf_append(&pair, exponent, exponent_len);
	buf_u8(&string, 0);
	der(&string, 0x30, &pair);
	buf_append(&info, "\x30\x0d\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01\x05\x00", 15);
	der(&info, 0x03, &string);
	der(&spki, 0x30, &info);
	buf_append(&whole, "\x08\x00\x12", 3);
	buf_varint(&whole, spki.len);
	buf_append(&whole, spki.data, spki.len);
	int r = key_decode(&k, whole.data, whole.len);
	buf_release(&number);
	buf_release(&pair);
	buf_release(&string);
	buf_release(&info);
	buf_release(&spki);
	buf_release(&whole);
	return r;
}

static void b12_rsa_keys_that_are_too_small_or_too_large_are_refused(void **state)
{
	static const unsigned refused[] = { 512, 1024, 2040, 2047, 8193, 16384 };
	static const unsigned taken[] = { 2048, 2049, 3072, 4096, 8191, 8192 };

	for (size_t i = 0; i < sizeof refused / sizeof *refused; i++)
		assert_int_equal(decode_rsa(refused[i], "\x02\x03\x01\x00\x01", 5), -ENOTSUP);
	for (size_t i = 0; i < sizeof taken / sizeof *taken; i++)
		assert_int_equal(decode_rsa(taken[i], "\x02\x03\x01\x00\x01", 5), 0);
}

static void b16_an_rsa_key_has_only_one_form(void **state)
{
	uint8_t bytes[KEY_ROOM];
	struct public_key k;
	size_t n = unhex(bytes, vectors[3].key);

	assert_int_equal(decode_rsa(2048, "\x02\x01\x03", 3), 0);
	assert_int_equal(decode_rsa(2048, "\x02\x04\x00\x01\x00\x01", 6), ERR_MALFORMED); /* padded */
	assert_int_equal(decode_rsa(2048, "\x02\x01\x81", 3), ERR_MALFORMED); /* negative */
	assert_int_equal(decode_rsa(2048, "\x02\x01\x04", 3), ERR_MALFORMED); /* even */
	assert_int_equal(decode_rsa(2048, "\x02\x01\x01", 3), ERR_MALFORMED);
	assert_int_equal(decode_rsa(2048, "\x02\x00", 2), ERR_MALFORMED);
	assert_int_equal(decode_rsa(2048, "\x02\x05\x01\x00\x00\x00\x01", 7), ERR_MALFORMED);
	assert_int_equal(decode_rsa(2048, "\x02\x05\x00\x80\x00\x00\x01", 7), ERR_MALFORMED);
	/* Lengths in more bytes than they need. */
	assert_int_equal(decode_rsa(2048, "\x02\x81\x03\x01\x00\x01", 6), ERR_MALFORMED);
	assert_int_equal(decode_rsa(2048, "\x02\x82\x00\x03\x01\x00\x01", 7), ERR_MALFORMED);
	assert_int_equal(decode_rsa(2048, "\x02\x83\x00\x00\x03\x01\x00\x01", 8), ERR_MALFORMED);

	/* Every byte up to the modulus is fixed, and so is the head of the exponent. */
	for (size_t i = 0; i < n - 3; i++) {
		if (i == MODULUS_AT)
			i = n - 5;
		bytes[i] ^= 0x40;
		assert_int_equal(key_decode(&k, bytes, n), ERR_MALFORMED);
		bytes[i] ^= 0x40;
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_keys_of_the_specification_have_its_ids),
		cmocka_unit_test(the_secret_key_of_the_specification_gives_its_public_key),
		cmocka_unit_test(a_secret_key_with_another_public_half_is_refused),
		cmocka_unit_test(our_signatures_verify_and_nothing_else_does),
		cmocka_unit_test(signatures_of_the_older_kinds_verify),
		cmocka_unit_test(every_truncation_of_a_key_is_refused),
		cmocka_unit_test(b16_a_key_has_only_one_form),
		cmocka_unit_test(b12_rsa_keys_that_are_too_small_or_too_large_are_refused),
		cmocka_unit_test(b16_an_rsa_key_has_only_one_form),
	};
	return cmocka_run_group_tests_name("key", tests, NULL, NULL);
}
