/* IPNS records: the published vectors, our own, and those that must not pass. */
#include "net/ipns.h"
#include "store/cbor.h"
#include "store/error.h"
#include "store/pb.h"
#include "tests/scratch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define NOW INT64_C(1790000000000) /* 2026-09-21 */

static struct secret_key key;
static struct peer_id name;

static int make_key(void **state)
{
	struct public_key public;

	key_generate(&key);
	key_public(&key, &public);
	key_peer(&public, &name);
	return 0;
}

/*
 * The records of gateway-conformance and their verdicts (wire.md 20).  They are not
 * kept here (tests/fixtures/README): skipped without.
 */
static void the_published_vectors_get_their_verdicts(void **state)
{
	static const struct {
		const char *name, *kind;
		int verdict;
	} vectors[] = {
		{ "k51qzi5uqu5dm4tm0wt8srkg9h9suud4wuiwjimndrkydqm81cqtlb5ak6p7ku", "v1", ERR_MALFORMED },
		{ "k51qzi5uqu5dlkw8pxuw9qmqayfdeh4kfebhmreauqdc6a7c3y7d5i9fi8mk9w", "v1-v2", 0 },
		{ "k51qzi5uqu5dlmit2tuwdvnx4sbnyqgmvbxftl0eo3f33wwtb9gr7yozae9kpw",
		  "v1-v2-broken-v1-value", ERR_CORRUPT },
		{ "k51qzi5uqu5diamp7qnnvs1p1gzmku3eijkeijs3418j23j077zrkok63xdm8c",
		  "v1-v2-broken-signature-v2", ERR_CORRUPT },
		{ "k51qzi5uqu5dilgf7gorsh9vcqqq4myo6jd4zmqkuy9pxyxi5fua3uf7axph4y",
		  "v1-v2-broken-signature-v1", 0 },
		{ "k51qzi5uqu5dit2ku9mutlfgwyz8u730on38kd10m97m36bjt66my99hb6103f", "v2", 0 },
	};
	const char *material = getenv("CAIRN_CONFORMANCE");

	if (!material || !*material)
		skip();
	for (size_t i = 0; i < sizeof vectors / sizeof *vectors; i++) {
		char dir[2048], file[256];
		struct ipns_record rec;
		struct peer_id id;
		size_t len = 0;

		snprintf(dir, sizeof dir, "%s/gateway-conformance/fixtures/ipns_records", material);
		snprintf(file, sizeof file, "%s_%s.ipns-record", vectors[i].name, vectors[i].kind);
		uint8_t *data = scratch_read(dir, file, &len);
		assert_non_null(data);
		assert_int_equal(peer_parse(&id, vectors[i].name, strlen(vectors[i].name)), 0);
		int r = ipns_verify(&rec, &id, data, len, NOW);
		if (r != vectors[i].verdict)
			print_error("%s\n", vectors[i].kind);
		assert_int_equal(r, vectors[i].verdict);
		/* None is valid for another name. */
		assert_true(ipns_verify(&rec, &name, data, len, NOW) < 0);
		free(data);
	}
}

static struct ipns_record example(void)
{
	struct ipns_record rec = { .value = "/ipfs/bafkqaaa",
				   .sequence = 7,
				   .validity_ms = NOW + 1234,
				   .ttl_ns = UINT64_C(1000000000) };
	return rec;
}

static void every_truncation_is_refused(void **state)
{
	struct ipns_record rec = example();
	struct buf b = { 0 };

	assert_int_equal(ipns_sign(&b, &key, &rec), 0);
	for (size_t cut = 0; cut < b.len; cut++) {
		uint8_t *copy = malloc(cut ? cut : 1);

		memcpy(copy, b.data, cut);
		assert_true(ipns_verify(&rec, &name, copy, cut, NOW) < 0);
		ipns_compare(copy, cut, b.data, b.len);
		free(copy);
	}
	buf_release(&b);
}

static void every_changed_byte_of_what_is_signed_is_noticed(void **state)
{
	struct ipns_record rec = example();
	struct buf b = { 0 }, v2 = { 0 };
	struct pb_field f;

	/* Without the copies all of a record is signed, or the signature, or its frame. */
	assert_int_equal(ipns_sign(&b, &key, &rec), 0);
	struct cursor in = cursor_over(b.data, b.len);
	while (pb_next(&in, &f) > 0)
		if (f.number == 8 || f.number == 9)
			pb_put_bytes(&v2, f.number, f.data, f.len);
	assert_int_equal(ipns_verify(&rec, &name, v2.data, v2.len, NOW), 0);
	for (size_t i = 0; i < v2.len; i++) {
		v2.data[i] ^= 0x40;
		assert_true(ipns_verify(&rec, &name, v2.data, v2.len, NOW) < 0);
		v2.data[i] ^= 0x40;
	}
	buf_release(&b);
	buf_release(&v2);
}

static void a_record_of_ours_is_read_back(void **state)
{
	struct ipns_record rec = example(), got;
	struct buf b = { 0 };

	memcpy(rec.extra, "\x01\x00\xff", 3);
	rec.extra_len = 3;
	assert_int_equal(ipns_sign(&b, &key, &rec), 0);
	assert_int_equal(ipns_verify(&got, &name, b.data, b.len, NOW), 0);
	assert_string_equal(got.value, "/ipfs/bafkqaaa");
	assert_true(got.sequence == 7);
	assert_true(got.validity_ms == NOW + 1234);
	assert_true(got.ttl_ns == 1000000000);
	assert_int_equal(got.extra_len, 3);
	assert_memory_equal(got.extra, "\x01\x00\xff", 3);
	buf_release(&b);
}

/* Field by field what goes out, so that others read it. */
static void a_record_of_ours_has_the_bytes_of_the_specification(void **state)
{
	static const char data[] = "\xa5"
				   "\x63TTL\x1a\x3b\x9a\xca\x00"
				   "\x65Value\x4e/ipfs/bafkqaaa"
				   "\x68Sequence\x07"
				   "\x68Validity\x58\x1e"
				   "2026-09-21T14:13:21.234000000Z"
				   "\x6cValidityType\x00";
	struct ipns_record rec = example();
	struct buf b = { 0 };
	struct pb_field f;
	uint32_t order[16], n = 0;
	static const uint32_t want[] = { 1, 2, 3, 4, 5, 6, 8, 9 };

	assert_int_equal(ipns_sign(&b, &key, &rec), 0);
	struct cursor in = cursor_over(b.data, b.len);
	while (pb_next(&in, &f) > 0) {
		order[n++] = f.number;
		if (f.number == 1)
			assert_memory_equal(f.data, "/ipfs/bafkqaaa", 14);
		if (f.number == 3)
			assert_true(f.value == 0);
		if (f.number == 4) {
			assert_int_equal(f.len, 30);
			assert_memory_equal(f.data, "2026-09-21T14:13:21.234000000Z", 30);
		}
		if (f.number == 5)
			assert_true(f.value == 7);
		if (f.number == 6)
			assert_true(f.value == 1000000000);
		if (f.number == 2 || f.number == 8)
			assert_int_equal(f.len, 64);
		if (f.number == 9) {
			assert_int_equal(f.len, sizeof data - 1);
			assert_memory_equal(f.data, data, f.len);
		}
	}
	assert_int_equal(n, 8);
	assert_memory_equal(order, want, sizeof want);
	buf_release(&b);
}

/* ---- records made by hand ---- */

struct forged {
	const char *value, *validity;
	uint64_t type, sequence, ttl;
	bool negative_ttl, no_sequence, unsorted, twice, trailing, huge;
	bool with_v1;
	uint64_t copied_sequence;
	const char *copied_value;
	const struct secret_key *signer, *named; /* named: its key is put in */
};

static void forge(struct buf *out, const struct forged *f)
{
	struct buf data = { 0 }, text = { 0 };
	uint8_t signature[ED25519_SIGNATURE], bytes[KEY_PUBLIC_MAX];
	struct public_key public;

	cbor_put_map(&data, 5 - f->no_sequence + f->twice);
	if (f->unsorted) {
		cbor_put_text(&data, "Value", 5);
		cbor_put_bytes(&data, f->value, strlen(f->value));
	}
	cbor_put_text(&data, "TTL", 3);
	if (f->negative_ttl)
		cbor_put_int(&data, -1);
	else
		cbor_put_uint(&data, f->ttl);
	if (!f->unsorted) {
		cbor_put_text(&data, "Value", 5);
		cbor_put_bytes(&data, f->value, strlen(f->value));
	}
	for (int i = 0; i < 1 - f->no_sequence + f->twice; i++) {
		cbor_put_text(&data, "Sequence", 8);
		cbor_put_uint(&data, f->sequence);
	}
	cbor_put_text(&data, "Validity", 8);
	cbor_put_bytes(&data, f->validity, strlen(f->validity));
	cbor_put_text(&data, "ValidityType", 12);
	cbor_put_uint(&data, f->type);
	if (f->trailing)
		cbor_put_null(&data);

	buf_text(&text, "ipns-signature:");
	buf_append(&text, data.data, data.len);
	key_sign(f->signer ? f->signer : &key, text.data, text.len, signature);
	if (f->with_v1) {
		pb_put_text(out, 1, f->copied_value);
		pb_put_text(out, 2, "any");
		pb_put_text(out, 4, f->validity);
		pb_put_varint(out, 5, f->copied_sequence);
		pb_put_varint(out, 6, f->ttl);
	}
	if (f->named) {
		key_public(f->named, &public);
		pb_put_bytes(out, 7, bytes, key_encode(&public, bytes));
	}
	pb_put_bytes(out, 8, signature, sizeof signature);
	pb_put_bytes(out, 9, data.data, data.len);
	if (f->huge) {
		static const uint8_t padding[IPNS_RECORD_MAX];
		pb_put_bytes(out, 99, padding, sizeof padding);
	}
	buf_release(&data);
	buf_release(&text);
}

static int verdict_of(const struct forged *f, struct ipns_record *rec)
{
	struct buf b = { 0 };

	forge(&b, f);
	int r = ipns_verify(rec, &name, b.data, b.len, NOW);
	buf_release(&b);
	return r;
}

#define GOOD                                                                             \
	.value = "/ipfs/bafkqaaa", .validity = "2030-01-01T00:00:00Z", .sequence = 1,    \
	.ttl = 1000000000

/* hostile.md 88, 37 */
static void b88_what_the_specification_forbids_is_refused(void **state)
{
	struct secret_key other;
	struct ipns_record rec;

	key_generate(&other);
	const struct {
		struct forged f;
		int verdict;
	} cases[] = {
		{ { GOOD }, 0 },
		{ { GOOD, .named = &key }, 0 },
		{ { GOOD, .signer = &other }, ERR_CORRUPT },
		{ { GOOD, .signer = &other, .named = &other }, ERR_CORRUPT },
		{ { GOOD, .huge = true }, ERR_MALFORMED },
		{ { GOOD, .no_sequence = true }, ERR_MALFORMED },
		{ { GOOD, .unsorted = true }, ERR_MALFORMED },
		{ { GOOD, .twice = true }, ERR_MALFORMED },
		{ { GOOD, .trailing = true }, ERR_MALFORMED },
		{ { GOOD, .with_v1 = true, .copied_value = "/ipfs/bafkqaaa",
		    .copied_sequence = 1 },
		  0 },
		{ { GOOD, .with_v1 = true, .copied_value = "/ipfs/bafkqaab",
		    .copied_sequence = 1 },
		  ERR_CORRUPT },
		{ { GOOD, .with_v1 = true, .copied_value = "/ipfs/bafkqaaa",
		    .copied_sequence = 2 },
		  ERR_CORRUPT },
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		int r = verdict_of(&cases[i].f, &rec);

		if (r != cases[i].verdict)
			print_error("case %zu\n", i);
		assert_int_equal(r, cases[i].verdict);
	}
}

/* hostile.md 89, 34 */
static void b89_bad_times_are_refused_and_long_ones_clamped(void **state)
{
	static const struct {
		const char *validity;
		int verdict;
		int64_t ms; /* 0: not looked at */
	} times[] = {
		{ "2026-09-21T14:13:20Z", -ETIME, 0 }, /* NOW itself */
		{ "2026-09-21T14:13:20.001Z", 0, NOW + 1 },
		{ "2026-09-21T14:13:20.001000000Z", 0, NOW + 1 },
		{ "2026-09-21T14:13:20.00100000099999Z", 0, NOW + 1 },
		{ "2026-09-21T16:13:20.001+02:00", 0, NOW + 1 },
		{ "2026-09-21T12:43:21-01:30", 0, NOW + 1000 },
		{ "1970-01-01T00:00:00Z", -ETIME, 0 },
		{ "0000-01-01T00:00:00Z", -ETIME, 0 },
		{ "9999-12-31T23:59:59Z", 0, INT64_C(253402300799000) },
		{ "2028-02-29T00:00:00Z", 0, INT64_C(1835395200000) },
		{ "2027-02-29T00:00:00Z", ERR_MALFORMED, 0 },
		{ "2100-02-29T00:00:00Z", ERR_MALFORMED, 0 },
		{ "2030-13-01T00:00:00Z", ERR_MALFORMED, 0 },
		{ "2030-00-01T00:00:00Z", ERR_MALFORMED, 0 },
		{ "2030-01-00T00:00:00Z", ERR_MALFORMED, 0 },
		{ "2030-01-01T24:00:00Z", ERR_MALFORMED, 0 },
		{ "2030-01-01T00:60:00Z", ERR_MALFORMED, 0 },
		{ "2030-01-01T00:00:60Z", ERR_MALFORMED, 0 },
		{ "2030-01-01T00:00:00", ERR_MALFORMED, 0 },
		{ "2030-01-01T00:00:00.Z", ERR_MALFORMED, 0 },
		{ "2030-01-01T00:00:00Zz", ERR_MALFORMED, 0 },
		{ "2030-01-01 00:00:00Z", ERR_MALFORMED, 0 },
		{ "2030-01-01T00:00:00+0200", ERR_MALFORMED, 0 },
		{ "+292277026596-01-01T00:00:00Z", ERR_MALFORMED, 0 },
		{ "1900000000", ERR_MALFORMED, 0 },
		{ "", ERR_MALFORMED, 0 },
	};
	struct ipns_record rec;

	for (size_t i = 0; i < sizeof times / sizeof *times; i++) {
		struct forged f = { GOOD };

		f.validity = times[i].validity;
		int r = verdict_of(&f, &rec);
		if (r != times[i].verdict)
			print_error("%s\n", times[i].validity);
		assert_int_equal(r, times[i].verdict);
		if (times[i].ms)
			assert_true(rec.validity_ms == times[i].ms);
	}
	assert_int_equal(verdict_of(&(struct forged){ GOOD, .type = 1 }, &rec),
			 ERR_MALFORMED);
	assert_int_equal(verdict_of(&(struct forged){ GOOD, .negative_ttl = true }, &rec),
			 ERR_MALFORMED);
	/* Nobody keeps it longer than it is valid. */
	struct forged f = { GOOD };
	f.ttl = UINT64_MAX;
	f.validity = "2026-09-21T14:13:21Z";
	assert_int_equal(verdict_of(&f, &rec), 0);
	assert_true(rec.ttl_ns == 1000000000);
}

/* hostile.md 92 */
static void b92_the_highest_sequence_is_a_sequence(void **state)
{
	struct ipns_record rec;
	struct forged f = { GOOD };

	f.sequence = UINT64_MAX;
	assert_int_equal(verdict_of(&f, &rec), 0);
	assert_true(rec.sequence == UINT64_MAX);
}

static void a_value_may_be_a_binary_cid_or_nothing(void **state)
{
	/* raw, identity, no bytes */
	struct ipns_record rec;
	struct forged f = { GOOD };

	f.value = "";
	assert_int_equal(verdict_of(&f, &rec), 0);
	assert_string_equal(rec.value, "/ipfs/bafkqaaa");
	f.value = "\x01\x55\x12\x14"
		  "aaaaaaaaaaaaaaaaaaaa";
	assert_int_equal(verdict_of(&f, &rec), 0);
	assert_memory_equal(rec.value, "/ipfs/bafkrefdb", 15);
	f.value = "neither";
	assert_true(verdict_of(&f, &rec) < 0);
}

static void the_better_of_two_is_agreed_on(void **state)
{
	struct ipns_record rec = example();
	struct buf one = { 0 }, later = { 0 }, newer = { 0 }, fork = { 0 };

	assert_int_equal(ipns_sign(&one, &key, &rec), 0);
	rec.validity_ms++;
	assert_int_equal(ipns_sign(&later, &key, &rec), 0);
	rec.sequence++;
	rec.validity_ms -= 1000;
	assert_int_equal(ipns_sign(&newer, &key, &rec), 0);
	rec = example();
	strcpy(rec.value, "/ipfs/bafkqaab");
	assert_int_equal(ipns_sign(&fork, &key, &rec), 0);

	assert_int_equal(ipns_compare(one.data, one.len, one.data, one.len), 0);
	assert_true(ipns_compare(later.data, later.len, one.data, one.len) > 0);
	assert_true(ipns_compare(one.data, one.len, later.data, later.len) < 0);
	assert_true(ipns_compare(newer.data, newer.len, later.data, later.len) > 0);
	assert_true(ipns_compare(later.data, later.len, newer.data, newer.len) < 0);
	/* hostile.md 91: a choice that both sides make alike. */
	int a = ipns_compare(one.data, one.len, fork.data, fork.len);
	int b = ipns_compare(fork.data, fork.len, one.data, one.len);
	assert_true((a < 0 && b > 0) || (a > 0 && b < 0));
	buf_release(&one);
	buf_release(&later);
	buf_release(&newer);
	buf_release(&fork);
}

static void what_is_too_long_is_not_signed(void **state)
{
	struct ipns_record rec = example();
	struct buf b = { 0 };

	memset(rec.value, 'a', sizeof rec.value);
	assert_int_equal(ipns_sign(&b, &key, &rec), -EMSGSIZE);
	rec = example();
	rec.extra_len = sizeof rec.extra + 1;
	assert_int_equal(ipns_sign(&b, &key, &rec), -EMSGSIZE);
	/* Times out of range are drawn in. */
	rec = example();
	rec.validity_ms = INT64_MAX;
	rec.ttl_ns = UINT64_MAX;
	assert_int_equal(ipns_sign(&b, &key, &rec), 0);
	assert_int_equal(ipns_verify(&rec, &name, b.data, b.len, NOW), 0);
	assert_true(rec.validity_ms >= INT64_C(253402300799000));
	buf_release(&b);
}

static void the_key_in_the_dht_is_the_name(void **state)
{
	uint8_t out[IPNS_KEY_MAX];

	assert_int_equal(ipns_key(&name, out), 44);
	assert_memory_equal(out, "/ipns/\x00\x24\x08\x01\x12\x20", 12);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_published_vectors_get_their_verdicts),
		cmocka_unit_test(every_truncation_is_refused),
		cmocka_unit_test(every_changed_byte_of_what_is_signed_is_noticed),
		cmocka_unit_test(a_record_of_ours_is_read_back),
		cmocka_unit_test(a_record_of_ours_has_the_bytes_of_the_specification),
		cmocka_unit_test(b88_what_the_specification_forbids_is_refused),
		cmocka_unit_test(b89_bad_times_are_refused_and_long_ones_clamped),
		cmocka_unit_test(b92_the_highest_sequence_is_a_sequence),
		cmocka_unit_test(a_value_may_be_a_binary_cid_or_nothing),
		cmocka_unit_test(the_better_of_two_is_agreed_on),
		cmocka_unit_test(what_is_too_long_is_not_signed),
		cmocka_unit_test(the_key_in_the_dht_is_the_name),
	};
	return cmocka_run_group_tests_name("ipns", tests, make_key, NULL);
}
