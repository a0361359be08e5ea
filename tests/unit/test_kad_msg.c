/* Messages of the DHT: exact bytes, and nothing that a stranger writes hurts. */
#include "net/kad_msg.h"
#include "store/error.h"
#include "store/pb.h"
#include "kad_testing.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <cmocka.h>

/* A FIND_NODE answer as go-libp2p-kad-dht writes it, cluster level and all. */
static const uint8_t answer[] = {
	0x08, 0x04,                  /* type FIND_NODE */
	0x12, 0x03, 'k',  'e',  'y', /* key */
	0x42, 0x34,                  /* closerPeers */
	0x0a, 0x26,                  /* id */
	0x00, 0x24, 0x08, 0x01, 0x12, 0x20, 0, 0,   0, 7, 0, 0, 0,    0,    0, 0, 0,
	0,    0,    0,    0,    0,    0,    0, 0,   0, 0, 0, 0, 0,    0,    0, 0, 0,
	0,    0,    0,    0,    0x12, 0x08, 4, 192, 0, 2, 1, 6, 0x0f, 0xa1, /* addrs */
	0x18, 0x01, /* connected */
	0x50, 0x01, /* cluster level */
};

static void an_answer_is_read(void **state)
{
	struct kad_msg m;
	struct kad_peer p;
	struct addr a[2];

	assert_int_equal(kad_decode(&m, answer, sizeof answer), 0);
	assert_int_equal(m.type, KAD_FIND_NODE);
	assert_int_equal(m.key_len, 3);
	assert_memory_equal(m.key, "key", 3);
	assert_false(m.has_record);
	assert_int_equal(m.n_closer, 1);
	assert_int_equal(m.n_providers, 0);

	struct kad_peers w = kad_closer(&m);
	assert_true(kad_peer_next(&w, &p));
	struct peer_id seven = test_peer(7);
	assert_true(peer_equal(&p.id, &seven));
	assert_int_equal(kad_addrs(p.addrs, p.addrs_len, a, 2), 1);
	struct addr want = test_addr(192, 0, 2, 1);
	assert_true(addr_equal(&a[0], &want));
	assert_false(kad_peer_next(&w, &p));
	w = kad_providers(&m);
	assert_false(kad_peer_next(&w, &p));
}

static void every_truncation_is_refused_or_a_shorter_message(void **state)
{
	for (size_t cut = 0; cut < sizeof answer; cut++) {
		/* Exactly so many bytes, for the sanitizer. */
		uint8_t *copy = malloc(cut ? cut : 1);
		struct kad_msg m;

		memcpy(copy, answer, cut);
		int r = kad_decode(&m, copy, cut);
		/* Between two fields it is whole: after 0, 2, 7, 61 bytes. */
		bool between =
		    cut == 0 || cut == 2 || cut == 7 || cut == sizeof answer - 2;
		assert_int_equal(r, between ? 0 : ERR_MALFORMED);
		free(copy);
	}
}

static void what_is_written_has_the_bytes_of_the_specification(void **state)
{
	static const uint8_t get[] = { 0x08, 0x01, 0x12, 0x02, 'a', 'b' };
	static const uint8_t put[] = {
		0x08, 0x00, 0x12, 0x02, 'a',  'b', /* PUT_VALUE, key */
		0x1a, 0x07,                        /* record */
		0x0a, 0x02, 'a',  'b',  0x12, 0x01, 'v',
	};
	static const uint8_t peers[] = {
		0x08, 0x03, 0x12, 0x01, 'k', /* GET_PROVIDERS, key */
		0x42, 0x10, 0x0a, 0x04, 0x00, 0x02, 'i',  'd',  0x12, 0x08,
		4,    10,   0,    0,    1,    6,    0x0f, 0xa1, /* closer, with an address
								 */
		0x4a, 0x06, 0x0a, 0x04, 0x00, 0x02, 'i',  'd',  /* provider, without */
	};
	struct buf b = { 0 }, packed = { 0 };
	struct peer_id id = { .len = 4, .bytes = { 0x00, 0x02, 'i', 'd' } };
	struct addr a = test_addr(10, 0, 0, 1);

	kad_put_head(&b, KAD_GET_VALUE, "ab", 2);
	assert_int_equal(b.len, sizeof get);
	assert_memory_equal(b.data, get, sizeof get);

	buf_clear(&b);
	kad_put_head(&b, KAD_PUT_VALUE, "ab", 2);
	kad_put_record(&b, "ab", 2, "v", 1);
	assert_int_equal(b.len, sizeof put);
	assert_memory_equal(b.data, put, sizeof put);

	struct kad_msg m;
	assert_int_equal(kad_decode(&m, b.data, b.len), 0);
	assert_true(m.has_record);
	assert_int_equal(m.value_len, 1);
	assert_memory_equal(m.record_key, "ab", 2);

	buf_clear(&b);
	kad_put_head(&b, KAD_GET_PROVIDERS, "k", 1);
	kad_pack(&packed, &a);
	/* 4 + 2 + 10 = 16 bytes of peer */
	kad_put_closer(&b, &id, packed.data, packed.len);
	kad_put_provider(&b, &id, NULL, 0);
	assert_int_equal(b.len, sizeof peers);
	assert_memory_equal(b.data, peers, sizeof peers);
	buf_release(&b);
	buf_release(&packed);
}

/* hostile.md 49 */
static void b49_unknown_types_and_keys_that_are_too_long_are_refused(void **state)
{
	struct kad_msg m;
	uint8_t long_key[2 + 3 + KAD_KEY_MAX + 1] = { 0x08, 0x04, 0x12, 0x81, 0x02 };

	assert_int_equal(kad_decode(&m, "\x08\x06\x12\x01k", 5), ERR_MALFORMED);
	assert_int_equal(
	    kad_decode(&m, "\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 11),
	    ERR_MALFORMED);
	assert_int_equal(kad_decode(&m, long_key, sizeof long_key), ERR_MALFORMED);
	long_key[3] = 0x80; /* 256 is still allowed */
	assert_int_equal(kad_decode(&m, long_key, sizeof long_key - 1), 0);
	/* No key at all is a message; that it is useless the server decides. */
	assert_int_equal(kad_decode(&m, "\x08\x04", 2), 0);
	assert_int_equal(m.key_len, 0);
	/* A number where bytes should be, and the other way round. */
	assert_int_equal(kad_decode(&m, "\x10\x01", 2), ERR_MALFORMED);
	assert_int_equal(kad_decode(&m, "\x0a\x01\x04", 3), ERR_MALFORMED);
	assert_int_equal(kad_decode(&m, "\x1a\x02\x10\x01", 4), ERR_MALFORMED);
	assert_int_equal(kad_decode(&m, "\x42\x02\x10\x01", 4), ERR_MALFORMED);
}

/* hostile.md 55, 33 */
static void b55_a_list_of_many_peers_is_walked_without_memory(void **state)
{
	struct buf b = { 0 };
	struct kad_msg m;
	struct kad_peer p;
	int n = 0;

	kad_put_head(&b, KAD_FIND_NODE, "k", 1);
	for (uint32_t i = 0; i < 10000; i++) {
		struct peer_id id = test_peer(i);
		kad_put_closer(&b, &id, NULL, 0);
	}
	assert_int_equal(kad_decode(&m, b.data, b.len), 0);
	assert_int_equal(m.n_closer, 10000);
	struct kad_peers w = kad_closer(&m);
	while (kad_peer_next(&w, &p))
		n++;
	assert_int_equal(n, 10000);

	/* Millions of empty ones are refused. */
	buf_clear(&b);
	for (int i = 0; i < 1000000; i++)
		buf_append(&b, "\x42\x00", 2);
	assert_int_equal(kad_decode(&m, b.data, b.len), ERR_MALFORMED);
	buf_release(&b);
}

static void a_peer_or_address_that_we_cannot_read_is_passed_over(void **state)
{
	static const uint8_t message[] = {
		0x08, 0x04, 0x42, 0x04, 0x0a, 0x02, 0xff, 0xff, /* no multihash */
		0x42, 0x00,                                     /* no id */
		0x42, 0x14, 0x0a, 0x04, 0x00, 0x02, 'i',  'd',  0x12, 0x02,
		0xff, 0x7f, /* no address */
		0x12, 0x08, 4,    10,   0,    0,    1,    6,    0x0f, 0xa1, /* one */
	};
	struct kad_msg m;
	struct kad_peer p;
	struct addr a[4];

	assert_int_equal(kad_decode(&m, message, sizeof message), 0);
	assert_int_equal(m.n_closer, 3);
	struct kad_peers w = kad_closer(&m);
	assert_true(kad_peer_next(&w, &p));
	assert_int_equal(p.id.len, 4);
	assert_int_equal(kad_addrs(p.addrs, p.addrs_len, a, 4), 1);
	assert_false(kad_peer_next(&w, &p));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_answer_is_read),
		cmocka_unit_test(every_truncation_is_refused_or_a_shorter_message),
		cmocka_unit_test(what_is_written_has_the_bytes_of_the_specification),
		cmocka_unit_test(
		    b49_unknown_types_and_keys_that_are_too_long_are_refused),
		cmocka_unit_test(b55_a_list_of_many_peers_is_walked_without_memory),
		cmocka_unit_test(a_peer_or_address_that_we_cannot_read_is_passed_over),
	};
	return cmocka_run_group_tests_name("kad_msg", tests, NULL, NULL);
}
