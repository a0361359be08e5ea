/* A record counts only if its own peer signed it, and for this purpose. */
#include "net/envelope.h"
#include "store/error.h"
#include "store/pb.h"

#include <stdlib.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

/* /ip4/192.0.2.42/tcp/4001 */
static const uint8_t tcp4[] = { 4, 192, 0, 2, 42, 6, 0x0f, 0xa1 };

static void a_peer(struct secret_key *key, struct peer_id *id)
{
	struct public_key public;

	key_generate(key);
	key_public(key, &public);
	key_peer(&public, id);
}

/* The record's bytes, written out; `id` may be anyone. */
static void put_record(struct buf *out, const struct peer_id *id, uint64_t seq)
{
	pb_put_bytes(out, 1, id->bytes, id->len);
	pb_put_varint(out, 2, seq);
	pb_put_bytes(out, 3, "\x0a\x08\x04\xc0\x00\x02\x2a\x06\x0f\xa1", 10);
}

static void a_record_is_made_of_the_published_bytes(void **state)
{
	/* The ed25519 pair of libp2p/specs peer-ids. */
	static const uint8_t secret[] = {
		0x08, 0x01, 0x12, 0x40, 0x7e, 0x08, 0x30, 0x61, 0x7c, 0x4a, 0x7d, 0xe8, 0x39, 0x25,
		0xdf, 0xb2, 0x69, 0x45, 0x56, 0xb1, 0x29, 0x36, 0xc4, 0x77, 0xa0, 0xe1, 0xfe, 0xb2,
		0xe1, 0x48, 0xec, 0x9d, 0xa6, 0x0f, 0xee, 0x7d, 0x1e, 0xd1, 0xe8, 0xfa, 0xe2, 0xc4,
		0xa1, 0x44, 0xb8, 0xbe, 0x8f, 0xd4, 0xb4, 0x7b, 0xf3, 0xd3, 0xb3, 0x4b, 0x87, 0x1c,
		0x3c, 0xac, 0xf6, 0x01, 0x0f, 0x0e, 0x42, 0xd4, 0x74, 0xfc, 0xe2, 0x7e,
	};
	static const uint8_t head[] = { 0x0a, 0x24, 0x08, 0x01, 0x12, 0x20 };
	static const uint8_t kind[] = { 0x12, 0x02, 0x03, 0x01, 0x1a, 0x37, 0x0a, 0x26, 0x00, 0x24,
					0x08, 0x01, 0x12, 0x20 };
	static const uint8_t rest[] = { 0x10, 0xac, 0x02, 0x1a, 0x0a, 0x0a, 0x08, 0x04, 0xc0,
					0x00, 0x02, 0x2a, 0x06, 0x0f, 0xa1 };
	struct peer_record r = { .seq = 300, .n_addrs = 1 }, back;
	struct secret_key key;
	struct public_key public;
	struct peer_id id;
	struct buf out = { 0 };

	assert_int_equal(key_secret_decode(&key, secret, sizeof secret), 0);
	key_public(&key, &public);
	key_peer(&public, &id);
	r.addrs[0].len = sizeof tcp4;
	memcpy(r.addrs[0].bytes, tcp4, sizeof tcp4);
	peer_record_seal(&out, &key, &r);

	const uint8_t *p = out.data;
	assert_int_equal(out.len, 6 + 32 + 14 + 32 + 15 + 2 + 64);
	assert_memory_equal(p, head, 6);
	assert_memory_equal(p + 6, secret + 36, 32);
	assert_memory_equal(p + 38, kind, 14);
	assert_memory_equal(p + 52, secret + 36, 32);
	assert_memory_equal(p + 84, rest, 15);
	assert_memory_equal(p + 99, "\x2a\x40", 2);
	/* What is signed, with its lengths: domain, type, payload. */
	uint8_t text[19 + 3 + 1 + 55];
	memcpy(text, "\x12libp2p-peer-record\x02\x03\x01\x37", 23);
	memcpy(text + 23, p + 44, 55);
	assert_int_equal(key_verify(&public, text, sizeof text, p + 101, 64), 0);

	assert_int_equal(peer_record_open(&back, &id, out.data, out.len), 0);
	assert_true(peer_equal(&back.peer, &id));
	assert_int_equal(back.seq, 300);
	assert_int_equal(back.n_addrs, 1);
	assert_true(addr_equal(&back.addrs[0], &r.addrs[0]));
	buf_release(&out);
}

static void every_truncation_and_every_changed_byte_is_refused(void **state)
{
	struct peer_record r = { .seq = 1, .n_addrs = 1 }, back;
	struct secret_key key;
	struct peer_id id;
	struct buf out = { 0 };

	a_peer(&key, &id);
	r.addrs[0].len = sizeof tcp4;
	memcpy(r.addrs[0].bytes, tcp4, sizeof tcp4);
	peer_record_seal(&out, &key, &r);
	for (size_t i = 0; i < out.len; i++) {
		uint8_t *exact = malloc(i + !i);
		memcpy(exact, out.data, i);
		assert_true(peer_record_open(&back, &id, exact, i) < 0);
		free(exact);
		out.data[i] ^= 1;
		assert_true(peer_record_open(&back, &id, out.data, out.len) < 0);
		out.data[i] ^= 1;
	}
	assert_int_equal(peer_record_open(&back, &id, out.data, out.len), 0);
	buf_release(&out);
}

static void b43_a_record_of_another_peer_is_refused(void **state)
{
	struct secret_key x, y;
	struct peer_id x_id, y_id;
	struct peer_record back;
	struct buf record = { 0 }, out = { 0 };

	a_peer(&x, &x_id);
	a_peer(&y, &y_id);
	/* Signed by X, about Y: refused on both connections. */
	put_record(&record, &y_id, 1);
	envelope_seal(&out, &envelope_peer_record, &x, record.data, record.len);
	assert_int_equal(peer_record_open(&back, &x_id, out.data, out.len), ERR_CORRUPT);
	assert_int_equal(peer_record_open(&back, &y_id, out.data, out.len), ERR_CORRUPT);
	/* By X, about X: good from X, and not from Y. */
	buf_clear(&record);
	buf_clear(&out);
	put_record(&record, &x_id, 1);
	envelope_seal(&out, &envelope_peer_record, &x, record.data, record.len);
	assert_int_equal(peer_record_open(&back, &x_id, out.data, out.len), 0);
	assert_int_equal(peer_record_open(&back, &y_id, out.data, out.len), ERR_CORRUPT);
	buf_release(&record);
	buf_release(&out);
}

static void a_record_about_nobody_is_refused(void **state)
{
	struct secret_key x;
	struct peer_id id;
	struct peer_record back;
	struct buf out = { 0 };

	a_peer(&x, &id);
	envelope_seal(&out, &envelope_peer_record, &x, "\x10\x01", 2);
	assert_int_equal(peer_record_open(&back, &id, out.data, out.len), ERR_CORRUPT);
	buf_clear(&out);
	envelope_seal(&out, &envelope_peer_record, &x, "\x0a\x01\x00", 3);
	assert_int_equal(peer_record_open(&back, &id, out.data, out.len), ERR_MALFORMED);
	buf_release(&out);
}

static void an_envelope_serves_one_purpose_only(void **state)
{
	const struct envelope_kind other_domain = { "libp2p-relay-rsvp",
						    envelope_peer_record.type, 2 };
	struct secret_key key;
	struct peer_id id;
	struct envelope e;
	struct peer_record back;
	struct buf record = { 0 }, out = { 0 };

	a_peer(&key, &id);
	put_record(&record, &id, 1);
	envelope_seal(&out, &envelope_relay_voucher, &key, record.data, record.len);
	assert_int_equal(envelope_open(&e, &envelope_relay_voucher, out.data, out.len), 0);
	assert_int_equal(e.payload_len, record.len);
	assert_memory_equal(e.payload, record.data, record.len);
	assert_int_equal(peer_record_open(&back, &id, out.data, out.len), ERR_CORRUPT);
	/* The type alone does not make it one: the domain is signed too. */
	buf_clear(&out);
	envelope_seal(&out, &other_domain, &key, record.data, record.len);
	assert_int_equal(peer_record_open(&back, &id, out.data, out.len), ERR_CORRUPT);
	/* And it must be there: `12 02 03 01`, behind the key. */
	buf_clear(&out);
	envelope_seal(&out, &envelope_peer_record, &key, record.data, record.len);
	assert_memory_equal(out.data + 38, "\x12\x02\x03\x01", 4);
	memmove(out.data + 38, out.data + 42, out.len - 42);
	assert_int_equal(peer_record_open(&back, &id, out.data, out.len - 4), ERR_CORRUPT);
	buf_release(&record);
	buf_release(&out);
}

static void addresses_that_are_not_understood_are_left_out(void **state)
{
	struct secret_key key;
	struct peer_id id;
	struct peer_record back;
	struct buf record = { 0 }, out = { 0 };

	a_peer(&key, &id);
	pb_put_bytes(&record, 1, id.bytes, id.len);
	pb_put_varint(&record, 2, UINT64_MAX);
	pb_put_bytes(&record, 3, "\x0a\x02\xff\x7f", 4); /* a code nobody knows */
	pb_put_bytes(&record, 3, "", 0);
	pb_put_bytes(&record, 3, "\x0a\x00", 2);
	for (int i = 0; i < 500; i++)
		pb_put_bytes(&record, 3, "\x0a\x08\x04\xc0\x00\x02\x2a\x06\x0f\xa1", 10);
	envelope_seal(&out, &envelope_peer_record, &key, record.data, record.len);
	assert_int_equal(peer_record_open(&back, &id, out.data, out.len), 0);
	assert_int_equal(back.n_addrs, PEER_RECORD_ADDRS);
	assert_memory_equal(back.addrs[PEER_RECORD_ADDRS - 1].bytes, tcp4, sizeof tcp4);
	assert_true(back.seq == UINT64_MAX);
	buf_release(&record);
	buf_release(&out);
}

static void an_envelope_that_is_too_long_is_not_looked_at(void **state)
{
	struct secret_key key;
	struct peer_id id;
	struct envelope e;
	struct buf out = { 0 };
	uint8_t *payload = calloc(1, ENVELOPE_MAX);

	a_peer(&key, &id);
	envelope_seal(&out, &envelope_peer_record, &key, payload, ENVELOPE_MAX - 112);
	assert_int_equal(out.len, ENVELOPE_MAX - 1);
	assert_int_equal(envelope_open(&e, &envelope_peer_record, out.data, out.len), 0);
	buf_clear(&out);
	envelope_seal(&out, &envelope_peer_record, &key, payload, ENVELOPE_MAX - 110);
	assert_int_equal(out.len, ENVELOPE_MAX + 1);
	assert_int_equal(envelope_open(&e, &envelope_peer_record, out.data, out.len), -EFBIG);
	buf_release(&out);
	free(payload);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_record_is_made_of_the_published_bytes),
		cmocka_unit_test(every_truncation_and_every_changed_byte_is_refused),
		cmocka_unit_test(b43_a_record_of_another_peer_is_refused),
		cmocka_unit_test(a_record_about_nobody_is_refused),
		cmocka_unit_test(an_envelope_serves_one_purpose_only),
		cmocka_unit_test(addresses_that_are_not_understood_are_left_out),
		cmocka_unit_test(an_envelope_that_is_too_long_is_not_looked_at),
	};
	return cmocka_run_group_tests_name("envelope", tests, NULL, NULL);
}
