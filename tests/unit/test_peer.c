/* Peer ids in bytes and text: the same ones that other implementations show. */
#include "net/peer.h"
#include "store/error.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

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

/* The first was shown by js-libp2p; the others follow from keys of libp2p/specs. */
static const struct {
	const char *binary, *text, *name;
} vectors[] = {
	{ "0024080112209e3b433cbd31c2b8a6ebbdca998bd0f4c2141c9c9af5422e976051b1e63af14d",
	  "12D3KooWLU2znyJMtDiHArqAGbZn8CgUGp92kxDBtefftEEaHSZS",
	  "k51qzi5uqu5dk4kbd5bpmklj30q0q8n3091bncahugkx18e84p1od2rk25olsd" },
	{ "0024080112201ed1e8fae2c4a144b8be8fd4b47bf3d3b34b871c3cacf6010f0e42d474fce27e",
	  "12D3KooWBtg3aaRMjxwedh83aGiUkwSxDwUZkzuJcfaqUmo7R3pq",
	  "k51qzi5uqu5dgy8qsq67hbz73jqkw87l3fgf4a91qb0d9b5173tir7n4vxk1oe" },
	{ "002508021221037777e994e452c21604f91de093ce415f5432f701dd8cd1a7a6fea0e630bfca99",
	  "16Uiu2HAmLhLvBoYaoZfaMUKuibM6ac163GwKY74c5kiSLg5KvLpY",
	  "kzwfwjn5ji4put13uvtwtc7azzwk42cq2o8ctfnxa6q8n90e72o3pjqbrp3lpcp" },
	{ "1220b6c8a8c0a3105fc27afca4fb1173791f038e4343fd56b7c67b616dbc30a04ccd",
	  "QmaeANgBs1DTSxWSrPPtobgQuxW8XTfsS4ydbK4rCHzqxG",
	  "k2k4r8nz0pc9sm08wgacijx1ic8vxy9e2770otjszhz1nodfs0brtvpp" },
};
#define VECTORS (sizeof vectors / sizeof *vectors)

static void ids_are_shown_as_others_show_them(void **state)
{
	for (size_t i = 0; i < VECTORS; i++) {
		uint8_t bytes[64];
		size_t n = unhex(bytes, vectors[i].binary);
		char text[PEER_TEXT_MAX];
		struct peer_id p, q;

		assert_int_equal(peer_decode(&p, bytes, n), 0);
		assert_int_equal(p.len, n);
		assert_memory_equal(p.bytes, bytes, n);
		assert_string_equal(peer_text(&p, text), vectors[i].text);
		assert_string_equal(peer_name_text(&p, text), vectors[i].name);

		assert_int_equal(peer_parse(&q, vectors[i].text, strlen(vectors[i].text)), 0);
		assert_true(peer_equal(&p, &q));
		assert_int_equal(peer_parse(&q, vectors[i].name, strlen(vectors[i].name)), 0);
		assert_true(peer_equal(&p, &q));
		assert_int_equal(peer_hash(&p), peer_hash(&q));
	}
}

static void the_examples_of_the_specification_are_read(void **state)
{
	static const char cid[] = "bafzbeie5745rpv2m6tjyuugywy4d5ewrqgqqhfnf445he3omzpjbx5xqxe";
	static const char base58[] = "QmYyQSo1c1Ym7orWxLYvCrM2EmxFTANf8wXmmE7DWjhx5N";
	struct peer_id a, b;

	assert_int_equal(peer_parse(&a, cid, strlen(cid)), 0);
	assert_int_equal(peer_parse(&b, base58, strlen(base58)), 0);
	assert_true(peer_equal(&a, &b));
	static const char upper[] = "BAFZBEIE5745RPV2M6TJYUUGYWY4D5EWRQGQQHFNF445HE3OMZPJBX5XQXE";
	assert_int_equal(peer_parse(&b, upper, strlen(upper)), 0);
	assert_true(peer_equal(&a, &b));
}

static void other_texts_are_refused(void **state)
{
	static const char *const bad[] = {
		"", "1", "Q", "Qm", "k", "12D3KooW",
		"12D3KooWLU2znyJMtDiHArqAGbZn8CgUGp92kxDBtefftEEaHSZ", /* cut */
		"12D3KooWLU2znyJMtDiHArqAGbZn8CgUGp92kxDBtefftEEaHSZ0", /* no such digit */
		"QmYyQSo1c1Ym7orWxLYvCrM2EmxFTANf8wXmmE7DWjhx5",
		"QmYyQSo1c1Ym7orWxLYvCrM2EmxFTANf8wXmmE7DWjhx5NN",
		/* a CID of a file, not of a key */
		"bafybeie5745rpv2m6tjyuugywy4d5ewrqgqqhfnf445he3omzpjbx5xqxe",
		"bafkreie5745rpv2m6tjyuugywy4d5ewrqgqqhfnf445he3omzpjbx5xqxe",
	};
	char *long_text = malloc(100000);
	struct peer_id p;

	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		assert_int_equal(peer_parse(&p, bad[i], strlen(bad[i])), ERR_MALFORMED);
	memset(long_text, '1', 100000);
	assert_int_equal(peer_parse(&p, long_text, 100000), ERR_MALFORMED);
	long_text[0] = 'k';
	assert_int_equal(peer_parse(&p, long_text, 100000), ERR_MALFORMED);
	free(long_text);
}

static void every_truncation_and_other_hashes_are_refused(void **state)
{
	uint8_t bytes[64] = { 0 };
	struct peer_id p;

	for (size_t i = 0; i < VECTORS; i++) {
		size_t n = unhex(bytes, vectors[i].binary);
		for (size_t cut = 0; cut < n; cut++)
			assert_int_equal(peer_decode(&p, bytes, cut), ERR_MALFORMED);
		assert_int_equal(peer_decode(&p, bytes, n + 1), ERR_MALFORMED);
	}
	/* sha2-512, sha2-256 of another length, a long identity, an empty one. */
	assert_int_equal(peer_decode(&p, "\x13\x01x", 3), ERR_MALFORMED);
	assert_int_equal(peer_decode(&p, "\x12\x01x", 3), ERR_MALFORMED);
	assert_int_equal(peer_decode(&p, "\x00\x00", 2), ERR_MALFORMED);
	bytes[0] = 0;
	bytes[1] = 43;
	assert_int_equal(peer_decode(&p, bytes, 45), ERR_MALFORMED);
	bytes[1] = 42;
	assert_int_equal(peer_decode(&p, bytes, 44), 0);
	/* The same hash code in two bytes would be a second id. */
	assert_int_equal(peer_decode(&p, "\x80\x00\x01x", 4), ERR_MALFORMED);
}

static void ids_are_equal_only_as_bytes(void **state)
{
	struct peer_id a = { .len = 3, .bytes = { 0, 1, 'a' } };
	struct peer_id b = { .len = 3, .bytes = { 0, 1, 'b' } }, none = { 0 };
	char text[PEER_TEXT_MAX];

	assert_true(peer_equal(&a, &a));
	assert_false(peer_equal(&a, &b));
	assert_false(peer_equal(&a, &none));
	assert_true(peer_equal(&none, &none));
	assert_string_equal(peer_text(&none, text), "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ids_are_shown_as_others_show_them),
		cmocka_unit_test(the_examples_of_the_specification_are_read),
		cmocka_unit_test(other_texts_are_refused),
		cmocka_unit_test(every_truncation_and_other_hashes_are_refused),
		cmocka_unit_test(ids_are_equal_only_as_bytes),
	};
	return cmocka_run_group_tests_name("peer", tests, NULL, NULL);
}
