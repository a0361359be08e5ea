/* Identify: what a peer tells is merged, bounded, and only about itself. */
#include "net/frame.h"
#include "net/identify_msg.h"
#include "store/error.h"
#include "store/pb.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

/* /ip4/192.0.2.42/tcp/4001 and one of another host */
static const uint8_t tcp4[] = { 4, 192, 0, 2, 42, 6, 0x0f, 0xa1 };
static const uint8_t seen[] = { 4, 203, 0, 113, 7, 6, 0x30, 0x39 };

struct side {
	struct secret_key key;
	struct public_key public;
	struct peer_id id;
	struct addr addr, observed;
	struct identify got; /* of the messages that are read back */
	int messages;
	size_t longest;
};

static int setup(void **state)
{
	struct side *s = calloc(1, sizeof *s);

	key_generate(&s->key);
	key_public(&s->key, &s->public);
	key_peer(&s->public, &s->id);
	assert_int_equal(addr_decode(&s->addr, tcp4, sizeof tcp4), 0);
	assert_int_equal(addr_decode(&s->observed, seen, sizeof seen), 0);
	*state = s;
	return 0;
}

static int teardown(void **state)
{
	free(*state);
	return 0;
}

static int on_message(void *arg, const uint8_t *msg, size_t len)
{
	struct side *s = arg;

	s->messages++;
	if (len > s->longest)
		s->longest = len;
	return identify_merge(&s->got, &s->id, msg, len);
}

/* Write what `self` says, and read it back as the peer would. */
static void exchange(struct side *s, const struct identify_self *self)
{
	struct frame f = { .max = IDENTIFY_MESSAGE_MAX };
	struct buf out = { 0 };

	assert_int_equal(identify_encode(&out, self), 0);
	assert_int_equal(frame_feed(&f, out.data, out.len, on_message, s), 0);
	assert_false(frame_partial(&f));
	frame_release(&f);
	buf_release(&out);
}

static void what_is_written_is_read_back(void **state)
{
	struct side *s = *state;
	const char *const protocols[] = { "/ipfs/id/1.0.0", "/ipfs/ping/1.0.0" };
	const struct identify_self self = {
		.key = &s->key, .seq = 7, .addrs = &s->addr, .n_addrs = 1,
		.protocols = protocols, .n_protocols = 2, .observed = &s->observed,
		.version = "ipfs/0.1.0", .agent = "cairn/0.1.0",
	};
	const struct identify *got = &s->got;

	exchange(s, &self);
	assert_int_equal(s->messages, 1);
	assert_true(got->has_key && got->has_addrs && got->has_protocols && got->has_record);
	assert_false(got->bad_record);
	assert_int_equal(got->seq, 7);
	assert_int_equal(got->n_addrs, 1);
	assert_true(addr_equal(&got->addrs[0], &s->addr));
	assert_true(addr_equal(&got->observed, &s->observed));
	assert_int_equal(got->n_protocols, 2);
	const char *p = identify_next_protocol(got, NULL);
	assert_string_equal(p, protocols[0]);
	p = identify_next_protocol(got, p);
	assert_string_equal(p, protocols[1]);
	assert_null(identify_next_protocol(got, p));
	assert_true(identify_speaks(got, "/ipfs/ping/1.0.0"));
	assert_false(identify_speaks(got, "/ipfs/ping/1.0"));
	assert_false(identify_speaks(got, "/ipfs/ping/1.0.00"));
	assert_string_equal(got->version, "ipfs/0.1.0");
	assert_string_equal(got->agent, "cairn/0.1.0");
}

static void a_long_story_is_told_in_two_messages(void **state)
{
	struct side *s = *state;
	struct addr addrs[100];
	char names[200][40];
	const char *protocols[200];
	struct identify_self self = {
		.key = &s->key, .seq = 8, .addrs = addrs, .protocols = protocols,
		.version = "ipfs/0.1.0", .agent = "cairn",
	};

	for (int i = 0; i < 200; i++) {
		snprintf(names[i], sizeof names[i], "/some/protocol/of/ours/%d", i);
		protocols[i] = names[i];
	}
	for (int i = 0; i < 100; i++) {
		addrs[i] = s->addr;
		addrs[i].bytes[4] = (uint8_t)i;
	}
	/* Under 2 KiB with the record, over it, and more than can be said at all. */
	self.n_addrs = 10;
	self.n_protocols = 30;
	exchange(s, &self);
	assert_int_equal(s->messages, 1);
	assert_true(s->longest <= 2048);
	assert_int_equal(s->got.n_protocols, 30);

	s->got = (struct identify){ 0 };
	s->messages = 0;
	self.n_protocols = 80;
	exchange(s, &self);
	assert_int_equal(s->messages, 2);
	assert_true(s->longest > 2048);
	assert_int_equal(s->got.n_protocols, 80);
	assert_true(s->got.has_record);
	assert_int_equal(s->got.n_addrs, 10);

	s->got = (struct identify){ 0 };
	s->messages = 0;
	self.n_addrs = 100;
	self.n_protocols = 200;
	exchange(s, &self);
	assert_int_equal(s->messages, 2);
	assert_true(s->longest < 4096);
	assert_int_equal(s->got.n_protocols, IDENTIFY_PROTOCOLS);
	assert_int_equal(s->got.n_addrs, PEER_RECORD_ADDRS);
}

static void the_largest_addresses_keep_the_record_under_its_limit(void **state)
{
	struct side *s = *state;
	struct addr addrs[32];
	const struct identify_self self = {
		.key = &s->key, .seq = 9, .addrs = addrs, .n_addrs = 32,
		.version = "ipfs/0.1.0", .agent = "cairn",
	};

	for (int i = 0; i < 32; i++) {
		/* /dns4/ with a name of 240 characters, /tcp/4001 */
		uint8_t bytes[ADDR_MAX] = { 54, 0xf0, 0x01 };
		memset(bytes + 3, 'a' + i % 26, 240);
		memcpy(bytes + 243, tcp4 + 5, 3);
		assert_int_equal(addr_decode(&addrs[i], bytes, 246), 0);
	}
	exchange(s, &self);
	assert_int_equal(s->messages, 2);
	assert_true(s->longest < 4096);
	assert_true(s->got.has_record);
	assert_true(s->got.n_addrs > 10);
}

static void every_truncation_is_survived_and_none_invents_anything(void **state)
{
	struct side *s = *state;
	struct buf m = { 0 };
	uint8_t key[KEY_PUBLIC_MAX];
	int whole = 0;

	pb_put_bytes(&m, 1, key, key_encode(&s->public, key));
	pb_put_bytes(&m, 2, tcp4, sizeof tcp4);
	pb_put_text(&m, 3, "/ipfs/kad/1.0.0");
	pb_put_bytes(&m, 4, seen, sizeof seen);
	pb_put_text(&m, 6, "agent");
	for (size_t cut = 0; cut <= m.len; cut++) {
		struct identify *id = calloc(1, sizeof *id);
		uint8_t *exact = malloc(cut + !cut);
		memcpy(exact, m.data, cut);
		int r = identify_merge(id, &s->id, exact, cut);
		assert_true(r == 0 || r == ERR_MALFORMED);
		whole += r == 0;
		assert_false(identify_speaks(id, "/ipfs/kad/1.0."));
		assert_int_equal(identify_speaks(id, "/ipfs/kad/1.0.0"), cut >= 38 + 10 + 17);
		free(exact);
		free(id);
	}
	assert_int_equal(whole, 6); /* only between fields */
	buf_release(&m);
}

static void a_key_that_is_not_the_peers_is_refused(void **state)
{
	struct side *s = *state;
	struct secret_key other;
	struct public_key public;
	uint8_t key[KEY_PUBLIC_MAX];
	struct buf m = { 0 };

	key_generate(&other);
	key_public(&other, &public);
	pb_put_bytes(&m, 1, key, key_encode(&public, key));
	assert_int_equal(identify_merge(&s->got, &s->id, m.data, m.len), ERR_CORRUPT);
	assert_false(s->got.has_key);
	assert_int_equal(identify_merge(&s->got, &s->id, "\x0a\x01x", 3), ERR_MALFORMED);
	buf_release(&m);
}

static void b43_a_refused_record_takes_the_addresses_with_it(void **state)
{
	struct side *s = *state;
	struct secret_key other;
	struct peer_record r = { .seq = 1, .n_addrs = 1, .addrs = { s->observed } };
	struct buf record = { 0 }, good = { 0 }, m = { 0 };

	key_generate(&other);
	peer_record_seal(&record, &other, &r);
	peer_record_seal(&good, &s->key, &r);
	pb_put_bytes(&m, 2, tcp4, sizeof tcp4);
	pb_put_bytes(&m, 8, record.data, record.len);
	pb_put_bytes(&m, 2, tcp4, sizeof tcp4);
	assert_int_equal(identify_merge(&s->got, &s->id, m.data, m.len), 0);
	assert_true(s->got.bad_record);
	assert_false(s->got.has_record || s->got.has_addrs);
	assert_int_equal(s->got.n_addrs, 0);
	/* There is no second try. */
	buf_clear(&m);
	pb_put_bytes(&m, 8, good.data, good.len);
	assert_int_equal(identify_merge(&s->got, &s->id, m.data, m.len), 0);
	assert_false(s->got.has_record);

	/* A good one replaces what was only said, before and after it. */
	s->got = (struct identify){ 0 };
	buf_clear(&m);
	pb_put_bytes(&m, 2, tcp4, sizeof tcp4);
	pb_put_bytes(&m, 8, good.data, good.len);
	pb_put_bytes(&m, 2, tcp4, sizeof tcp4);
	assert_int_equal(identify_merge(&s->got, &s->id, m.data, m.len), 0);
	assert_true(s->got.has_record);
	assert_int_equal(s->got.n_addrs, 1);
	assert_true(addr_equal(&s->got.addrs[0], &s->observed));
	buf_release(&record);
	buf_release(&good);
	buf_release(&m);
}

static void b45_there_are_ten_parts_and_bounded_lists(void **state)
{
	struct side *s = *state;
	struct buf m = { 0 };

	/* Within 8 KiB each; 1,800 protocols and 10,000 addresses in all, and more. */
	while (m.len + 30 < IDENTIFY_MESSAGE_MAX) {
		pb_put_bytes(&m, 2, tcp4, sizeof tcp4);
		pb_put_text(&m, 3, "/p/123456789");
	}
	for (int part = 0; part < IDENTIFY_PARTS_MAX; part++)
		assert_int_equal(identify_merge(&s->got, &s->id, m.data, m.len), 0);
	assert_int_equal(identify_merge(&s->got, &s->id, m.data, m.len), ERR_MALFORMED);
	assert_int_equal(s->got.n_protocols, IDENTIFY_PROTOCOLS);
	assert_int_equal(s->got.n_addrs, IDENTIFY_ADDRS);
	assert_int_equal(s->got.text_len, IDENTIFY_PROTOCOLS * 13);

	/* Long names fill the text before the count. */
	s->got = (struct identify){ 0 };
	char name[257];
	memset(name, 'n', 256);
	name[256] = '\0';
	buf_clear(&m);
	for (int i = 0; i < 30; i++)
		pb_put_text(&m, 3, name);
	assert_int_equal(identify_merge(&s->got, &s->id, m.data, m.len), 0);
	assert_int_equal(s->got.n_protocols, IDENTIFY_TEXT / 257);
	assert_int_equal(identify_merge(&s->got, &s->id, m.data, m.len), 0);
	assert_int_equal(s->got.n_protocols, IDENTIFY_TEXT / 257);

	uint8_t *big = calloc(1, IDENTIFY_MESSAGE_MAX + 1);
	assert_int_equal(identify_merge(&s->got, &s->id, big, IDENTIFY_MESSAGE_MAX + 1),
			 ERR_MALFORMED);
	free(big);
	buf_release(&m);
}

static void odd_fields_are_left_out(void **state)
{
	struct side *s = *state;
	struct addr foreign = s->addr, own = s->addr;
	struct secret_key other;
	struct public_key public;
	struct peer_id id;
	struct buf m = { 0 };

	key_generate(&other);
	key_public(&other, &public);
	key_peer(&public, &id);
	assert_int_equal(addr_add_peer(&foreign, &id), 0);
	assert_int_equal(addr_add_peer(&own, &s->id), 0);
	pb_put_bytes(&m, 2, foreign.bytes, foreign.len); /* of somebody else */
	pb_put_bytes(&m, 2, "\xff\x7f", 2);		 /* not understood */
	pb_put_bytes(&m, 2, own.bytes, own.len);
	pb_put_varint(&m, 2, 1); /* another type */
	pb_put_bytes(&m, 3, "", 0);
	pb_put_bytes(&m, 3, "/a\0b", 4);
	pb_put_bytes(&m, 4, own.bytes, own.len); /* as js-libp2p sends it */
	pb_put_text(&m, 6, "evil\x1b[2J\xc2\x9b agent that is longer than we care to keep of it at all");
	pb_put_text(&m, 99, "unknown");
	assert_int_equal(identify_merge(&s->got, &s->id, m.data, m.len), 0);
	assert_int_equal(s->got.n_addrs, 1);
	assert_true(addr_equal(&s->got.addrs[0], &s->addr));
	assert_true(addr_equal(&s->got.observed, &s->addr));
	assert_int_equal(s->got.n_protocols, 0);
	assert_true(s->got.has_protocols);
	assert_string_equal(s->got.agent,
			    "evil?[2J?? agent that is longer than we care to keep of it at a");
	buf_release(&m);
}

static void a_push_says_only_what_changed(void **state)
{
	struct side *s = *state;

	assert_int_equal(identify_merge(&s->got, &s->id, "\x1a\x02/x", 4), 0);
	assert_true(s->got.has_protocols);
	assert_false(s->got.has_addrs || s->got.has_key || s->got.has_record);
	assert_int_equal(s->got.observed.len, 0);
	assert_string_equal(s->got.agent, "");
}

#define WITH_SIDE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_SIDE(what_is_written_is_read_back),
		WITH_SIDE(a_long_story_is_told_in_two_messages),
		WITH_SIDE(the_largest_addresses_keep_the_record_under_its_limit),
		WITH_SIDE(every_truncation_is_survived_and_none_invents_anything),
		WITH_SIDE(a_key_that_is_not_the_peers_is_refused),
		WITH_SIDE(b43_a_refused_record_takes_the_addresses_with_it),
		WITH_SIDE(b45_there_are_ten_parts_and_bounded_lists),
		WITH_SIDE(odd_fields_are_left_out),
		WITH_SIDE(a_push_says_only_what_changed),
	};
	return cmocka_run_group_tests_name("identify_msg", tests, NULL, NULL);
}
