/* Multiaddrs: the same bytes and texts as others have, and no others. */
#include "net/addr.h"
#include "store/buf.h"
#include "store/error.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#define ID	 "12D3KooWLU2znyJMtDiHArqAGbZn8CgUGp92kxDBtefftEEaHSZS"
#define ID_BYTES "0024080112209e3b433cbd31c2b8a6ebbdca998bd0f4c2141c9c9af5422e976051b1e63af14d"
#define QM	 "QmaeANgBs1DTSxWSrPPtobgQuxW8XTfsS4ydbK4rCHzqxG"
#define QM_BYTES "1220b6c8a8c0a3105fc27afca4fb1173791f038e4343fd56b7c67b616dbc30a04ccd"

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

static struct addr parsed(const char *text)
{
	struct addr a = { 0 };

	assert_int_equal(addr_parse(&a, text), 0);
	return a;
}

static const struct {
	const char *text, *binary;
} vectors[] = {
	{ "/ip4/192.0.2.42/tcp/443", "04c000022a0601bb" },
	{ "/ip4/0.0.0.0/tcp/0", "0400000000060000" },
	{ "/ip6/2001:db8::1/tcp/4001", "2920010db8000000000000000000000001060fa1" },
	{ "/ip6/::/tcp/65535", "290000000000000000000000000000000006ffff" },
	{ "/ip4/1.2.3.4/tcp/4001/p2p/" ID, "0401020304060fa1a50326" ID_BYTES },
	{ "/ip4/1.2.3.4/tcp/4001/p2p/" QM, "0401020304060fa1a50322" QM_BYTES },
	{ "/p2p/" QM, "a50322" QM_BYTES },
	{ "/ip4/1.2.3.4/tcp/1/p2p/" QM "/p2p-circuit/p2p/" ID,
	  "0401020304060001a50322" QM_BYTES "a202a50326" ID_BYTES },
	{ "/dns/example.com/tcp/80", "350b6578616d706c652e636f6d060050" },
	{ "/dns4/a/udp/1/quic-v1", "36016191020001cd03" },
	{ "/dns6/a/tcp/443/tls/ws", "3701610601bbc003dd03" },
	{ "/dnsaddr/bootstrap.libp2p.io", "3813626f6f7473747261702e6c69627032702e696f" },
	{ "/ip4/1.2.3.4/udp/4001/quic-v1/webtransport/certhash/"
	  "uEiDDq4_xNyDorZBH3TlGazyJdOWSwvo4PUo5YHFMrvDE8g",
	  "040102030491020fa1cd03d103d203221220c3ab8ff13720e8ad9047dd39466b3c8974e592c2fa38"
	  "3d4a3960714caef0c4f2" },
	{ "/ip4/1.2.3.4/udp/9/webrtc-direct", "0401020304910200099802" },
	{ "/ip4/1.2.3.4/tcp/1/tls/sni/a.b/ws", "0401020304060001c003c10303612e62dd03" },
	{ "/ip6zone/eth0/ip6/fe80::1/tcp/1",
	  "2a046574683029fe800000000000000000000000000001060001" },
	{ "/ip4/10.0.0.0/ipcidr/8", "040a0000002b08" },
	{ "/unix/run/cairn.sock", "90030f2f72756e2f636169726e2e736f636b" },
	{ "/ip4/1.2.3.4/tcp/80/http/http-path/a%2Fb%20c",
	  "0401020304060050e003e10305612f622063" },
	{ "/memory/1", "89060131" },
	{ "/ip4/1.2.3.4/tcp/443/https", "04010203040601bbbb03" },
	{ "/ip4/1.2.3.4/tcp/443/wss/noise/webrtc/quic", "04010203040601bbde03c6039902cc03" },
};
#define VECTORS (sizeof vectors / sizeof *vectors)

static void texts_and_bytes_match(void **state)
{
	for (size_t i = 0; i < VECTORS; i++) {
		uint8_t bytes[ADDR_MAX];
		size_t n = unhex(bytes, vectors[i].binary);
		char text[ADDR_TEXT_MAX];
		struct addr a = parsed(vectors[i].text), b;

		assert_int_equal(a.len, n);
		assert_memory_equal(a.bytes, bytes, n);
		assert_int_equal(addr_decode(&b, bytes, n), 0);
		assert_true(addr_equal(&a, &b));
		assert_string_equal(addr_text(&b, text), vectors[i].text);
	}
}

static void other_texts_of_the_same_are_read(void **state)
{
	static const char *const same[][2] = {
		{ "/ip4/1.2.3.4/tcp/1/ipfs/" ID, "/ip4/1.2.3.4/tcp/1/p2p/" ID },
		{ "/p2p/k51qzi5uqu5dk4kbd5bpmklj30q0q8n3091bncahugkx18e84p1od2rk25olsd",
		  "/p2p/" ID },
		{ "/ip4/1.2.3.4/tcp/1/", "/ip4/1.2.3.4/tcp/1" },
		{ "/ip4/1.2.3.4/tcp/00001", "/ip4/1.2.3.4/tcp/1" },
		{ "/ip6/2001:DB8:0:0::1/tcp/1", "/ip6/2001:db8::1/tcp/1" },
	};

	for (size_t i = 0; i < sizeof same / sizeof *same; i++) {
		struct addr a = parsed(same[i][0]), b = parsed(same[i][1]);
		assert_true(addr_equal(&a, &b));
	}
}

static void bad_texts_are_refused(void **state)
{
	static const struct {
		const char *text;
		int error;
	} bad[] = {
		{ "", ERR_MALFORMED },
		{ "/", ERR_MALFORMED },
		{ "//", ERR_MALFORMED },
		{ "ip4/1.2.3.4", ERR_MALFORMED },
		{ "/ip4", ERR_MALFORMED },
		{ "/ip4/", ERR_MALFORMED },
		{ "/ip4/1.2.3", ERR_MALFORMED },
		{ "/ip4/1.2.3.256/tcp/1", ERR_MALFORMED },
		{ "/ip4/::1/tcp/1", ERR_MALFORMED },
		{ "/ip4/1.2.3.4//tcp/1", ERR_MALFORMED },
		{ "/ip4/1.2.3.4/tcp/1//", ERR_MALFORMED },
		{ "/ip4/1.2.3.4/tcp", ERR_MALFORMED },
		{ "/ip4/1.2.3.4/tcp/", ERR_MALFORMED },
		{ "/ip4/1.2.3.4/tcp/65536", ERR_MALFORMED },
		{ "/ip4/1.2.3.4/tcp/-1", ERR_MALFORMED },
		{ "/ip4/1.2.3.4/tcp/+1", ERR_MALFORMED },
		{ "/ip4/1.2.3.4/tcp/1x", ERR_MALFORMED },
		{ "/ip4/1.2.3.4/tcp/4294967297", ERR_MALFORMED },
		{ "/ip6/1.2.3.4/tcp/1", ERR_MALFORMED },
		{ "/ip6/1:2:3:4:5:6:7:8:9:1:2:3:4:5:6:7:8:9:1:2:3:4:5:6:7:8:9/tcp/1",
		  ERR_MALFORMED },
		{ "/ip4/1.2.3.4/ipcidr/129", ERR_MALFORMED },
		{ "/dns4/a b/tcp/1", ERR_MALFORMED },
		{ "/dns4/\x1b[2J/tcp/1", ERR_MALFORMED },
		{ "/p2p/nobody", ERR_MALFORMED },
		{ "/p2p", ERR_MALFORMED },
		{ "/ip4/1.2.3.4/udp/1/webtransport/certhash/u", ERR_MALFORMED },
		{ "/http-path/%4", ERR_MALFORMED },
		{ "/http-path/%zz", ERR_MALFORMED },
		{ "/unix", ERR_MALFORMED },
		{ "/p2p/" QM "/p2p-circuit/p2p/" QM "/p2p-circuit/p2p/" ID, ERR_MALFORMED },
		{ "/carrier-pigeon/1", -ENOTSUP },
		{ "/ip44/1.2.3.4", -ENOTSUP },
		{ "/ip/1.2.3.4", -ENOTSUP },
	};

	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		struct addr a;
		int r = addr_parse(&a, bad[i].text);
		if (r != bad[i].error)
			print_message("# %s\n", bad[i].text);
		assert_int_equal(r, bad[i].error);
	}
}

static void b41_hostile_bytes_are_refused(void **state)
{
	uint8_t *big = malloc(10240);
	struct addr a;

	/* Every truncation, but those between components. */
	for (size_t i = 0; i < VECTORS; i++) {
		uint8_t bytes[ADDR_MAX];
		size_t n = unhex(bytes, vectors[i].binary);
		for (size_t cut = 0; cut < n; cut++) {
			uint8_t *exact = malloc(cut + !cut);
			memcpy(exact, bytes, cut);
			int r = addr_decode(&a, exact, cut);
			assert_true(r == ERR_MALFORMED || (r == 0 && a.len == cut));
			free(exact);
		}
	}
	assert_int_equal(addr_decode(&a, "\x04\x01\x02\x03\x04\x06\x01", 7), ERR_MALFORMED);
	assert_int_equal(addr_decode(&a, "\x04\x01\x02\x03", 4), ERR_MALFORMED);
	assert_int_equal(addr_decode(&a, "", 0), ERR_MALFORMED);

	/* A protocol that nobody knows, a code that is not minimal or too long. */
	assert_int_equal(addr_decode(&a, "\xff\x7f", 2), -ENOTSUP);
	assert_int_equal(addr_decode(&a, "\x84\x00\x01\x02\x03\x04", 6), ERR_MALFORMED);
	assert_int_equal(addr_decode(&a, "\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 10),
			 ERR_MALFORMED);
	/* A length of 2^62; one that is not minimal. */
	assert_int_equal(addr_decode(&a, "\x36\x80\x80\x80\x80\x80\x80\x80\x80\x40x", 11),
			 ERR_MALFORMED);
	assert_int_equal(addr_decode(&a, "\x36\x81\x00x", 4), ERR_MALFORMED);
	/* Names with a slash, a NUL, an escape; none at all. */
	assert_int_equal(addr_decode(&a, "\x36\x03" "a/b", 5), ERR_MALFORMED);
	assert_int_equal(addr_decode(&a, "\x36\x03" "a\0b", 5), ERR_MALFORMED);
	assert_int_equal(addr_decode(&a, "\x36\x03" "a\x1b" "b", 5), ERR_MALFORMED);
	assert_int_equal(addr_decode(&a, "\x36\x00", 2), ERR_MALFORMED);
	/* A network of 129 bits. */
	assert_int_equal(addr_decode(&a, "\x2b\x80", 2), 0);
	assert_int_equal(addr_decode(&a, "\x2b\x81", 2), ERR_MALFORMED);
	/* A peer that is none. */
	assert_int_equal(addr_decode(&a, "\xa5\x03\x02\x00\x00", 5), ERR_MALFORMED);
	assert_int_equal(addr_decode(&a, "\xa5\x03\x00", 3), ERR_MALFORMED);
	/* Something behind a path. */
	assert_int_equal(addr_decode(&a, "\x90\x03\x02/a\x04\x01\x02\x03\x04", 10),
			 ERR_MALFORMED);

	/* p2p-circuit a hundred times; 10 KB; names that fill the text. */
	for (int i = 0; i < 100; i++)
		memcpy(big + 2 * i, "\xa2\x02", 2);
	assert_int_equal(addr_decode(&a, big, 200), ERR_MALFORMED);
	for (int i = 0; i < 2560; i++)
		memcpy(big + 4 * i, "\x36\x02xy", 4);
	assert_int_equal(addr_decode(&a, big, 10240), -EFBIG);
	assert_int_equal(addr_decode(&a, big, 257), -EFBIG);
	for (int i = 0; i < 128; i++)
		memcpy(big + 2 * i, "\x98\x02", 2);
	assert_int_equal(addr_decode(&a, big, 256), -EFBIG); /* webrtc-direct: 14 each */
	free(big);
}

static void every_address_that_decodes_has_a_text_that_parses(void **state)
{
	/* The expansion is largest for escaped paths and for names without values. */
	uint8_t bytes[ADDR_MAX] = { 0xe1, 0x03, 0xa5, 0x01 };
	char text[ADDR_TEXT_MAX];
	struct addr a, b;
	int taken = 0;

	memset(bytes + 4, 0xff, sizeof bytes - 4);
	for (size_t n = 1; n <= 240; n++) {
		size_t head = 2 + varint_put(bytes + 2, n);
		bytes[head] = 0xff;
		if (addr_decode(&a, bytes, head + n) < 0)
			continue;
		taken++;
		addr_text(&a, text);
		assert_int_equal(strlen(text), strlen("/http-path/") + 3 * n);
		assert_int_equal(addr_parse(&b, text), 0);
		assert_true(addr_equal(&a, &b));
	}
	assert_true(taken > 150);
	assert_true(taken < 240);
}

static void the_peer_is_the_one_at_the_end(void **state)
{
	struct addr a = parsed("/ip4/1.2.3.4/tcp/1/p2p/" ID);
	struct addr bare = parsed("/ip4/1.2.3.4/tcp/1");
	struct addr relay = parsed("/ip4/1.2.3.4/tcp/1/p2p/" QM "/p2p-circuit");
	struct addr relayed = parsed("/ip4/1.2.3.4/tcp/1/p2p/" QM "/p2p-circuit/p2p/" ID);
	struct addr only = parsed("/p2p/" ID);
	struct peer_id p, id;

	assert_int_equal(peer_parse(&id, ID, strlen(ID)), 0);
	assert_true(addr_peer(&a, &p));
	assert_true(peer_equal(&p, &id));
	assert_true(addr_peer(&relayed, &p));
	assert_true(peer_equal(&p, &id));
	assert_false(addr_peer(&bare, &p));
	assert_false(addr_peer(&relay, &p)); /* the relay is not who is looked for */

	struct addr again = bare;
	assert_int_equal(addr_add_peer(&again, &id), 0);
	assert_true(addr_equal(&again, &a));
	addr_strip_peer(&a);
	assert_true(addr_equal(&a, &bare));
	addr_strip_peer(&a);
	assert_true(addr_equal(&a, &bare));
	addr_strip_peer(&relayed);
	assert_true(addr_equal(&relayed, &relay));
	addr_strip_peer(&relayed);
	assert_true(addr_equal(&relayed, &relay));
	addr_strip_peer(&only);
	assert_int_equal(only.len, 0);

	/* No room: nothing changes. */
	struct addr full = { 0 };
	uint8_t bytes[ADDR_MAX] = { 54, 0xf0, 0x01 };
	memset(bytes + 3, 'a', 240);
	assert_int_equal(addr_decode(&full, bytes, 243), 0);
	again = full;
	assert_int_equal(addr_add_peer(&full, &id), -EFBIG);
	assert_true(addr_equal(&again, &full));
}

static void plain_tcp_becomes_a_socket_address_and_back(void **state)
{
	static const char *const good[] = {
		"/ip4/192.0.2.1/tcp/4001", "/ip6/2001:db8::1/tcp/4001", "/ip4/127.0.0.1/tcp/0",
	};
	static const char *const other[] = {
		"/ip4/1.2.3.4", "/ip4/1.2.3.4/udp/1", "/ip4/1.2.3.4/tcp/1/ws", "/dns4/a/tcp/1",
		("/ip4/1.2.3.4/tcp/1/p2p/" QM "/p2p-circuit"), "/p2p/" QM, "/tcp/1",
		"/ip6zone/eth0/ip6/fe80::1/tcp/1", "/ip4/1.2.3.4/udp/1/quic-v1",
	};
	struct sockaddr_storage sa;
	struct addr back;

	for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
		struct addr a = parsed(good[i]), with = a;
		struct peer_id id;

		assert_int_equal(addr_sockaddr(&a, &sa), 0);
		addr_of_sockaddr(&back, (struct sockaddr *)&sa);
		assert_true(addr_equal(&back, &a));
		assert_int_equal(peer_parse(&id, ID, strlen(ID)), 0);
		assert_int_equal(addr_add_peer(&with, &id), 0);
		assert_int_equal(addr_sockaddr(&with, &sa), 0);
		addr_of_sockaddr(&back, (struct sockaddr *)&sa);
		assert_true(addr_equal(&back, &a));
	}
	for (size_t i = 0; i < sizeof other / sizeof *other; i++) {
		struct addr a = parsed(other[i]);
		assert_int_equal(addr_sockaddr(&a, &sa), -ENOTSUP);
		assert_false(addr_dialable(&a));
	}
	struct addr a = parsed("/ip4/192.0.2.1/tcp/258");
	const struct sockaddr_in *v4 = (struct sockaddr_in *)&sa;
	assert_int_equal(addr_sockaddr(&a, &sa), 0);
	assert_int_equal(sa.ss_family, AF_INET);
	assert_int_equal(ntohs(v4->sin_port), 258);
	assert_int_equal(ntohl(v4->sin_addr.s_addr), 0xc0000201);

	/* An IPv4 peer on a socket for both families is an IPv4 peer. */
	struct sockaddr_in6 v6 = { .sin6_family = AF_INET6, .sin6_port = htons(258) };
	assert_int_equal(inet_pton(AF_INET6, "::ffff:192.0.2.1", &v6.sin6_addr), 1);
	addr_of_sockaddr(&back, (struct sockaddr *)&v6);
	assert_true(addr_equal(&back, &a));
	struct sockaddr local = { .sa_family = AF_UNIX };
	addr_of_sockaddr(&back, &local);
	assert_int_equal(back.len, 0);
}

static void places_are_told_apart(void **state)
{
	enum { PUBLIC = 0, PRIVATE = 1, LOOPBACK = 2, UNSPECIFIED = 4, UNDIALABLE = 8 };
	static const struct {
		const char *host;
		int kind;
	} hosts[] = {
		{ "/ip4/8.8.8.8", PUBLIC },
		{ "/ip4/100.63.255.255", PUBLIC },
		{ "/ip4/172.32.0.1", PUBLIC },
		{ "/ip4/10.1.2.3", PRIVATE },
		{ "/ip4/172.16.0.1", PRIVATE },
		{ "/ip4/172.31.255.255", PRIVATE },
		{ "/ip4/192.168.1.1", PRIVATE },
		{ "/ip4/169.254.1.1", PRIVATE },
		{ "/ip4/100.64.0.1", PRIVATE },
		{ "/ip4/198.19.0.1", PRIVATE },
		{ "/ip4/192.0.2.1", PRIVATE },
		{ "/ip4/127.0.0.1", PRIVATE | LOOPBACK },
		{ "/ip4/127.255.0.1", PRIVATE | LOOPBACK },
		{ "/ip4/0.0.0.0", PRIVATE | UNSPECIFIED | UNDIALABLE },
		{ "/ip4/224.0.0.1", PRIVATE | UNDIALABLE },
		{ "/ip4/255.255.255.255", PRIVATE | UNDIALABLE },
		{ "/ip6/2606:4700::1111", PUBLIC },
		{ "/ip6/::1", PRIVATE | LOOPBACK },
		{ "/ip6/::", PRIVATE | UNSPECIFIED | UNDIALABLE },
		{ "/ip6/fc00::1", PRIVATE },
		{ "/ip6/fdff::1", PRIVATE },
		{ "/ip6/fe80::1", PRIVATE },
		{ "/ip6/febf::1", PRIVATE },
		{ "/ip6/ff02::1", PRIVATE | UNDIALABLE },
		{ "/ip6/2001:db8::1", PRIVATE },
		{ "/ip6/::ffff:8.8.8.8", PUBLIC },
		{ "/ip6/::ffff:127.0.0.1", PRIVATE | LOOPBACK },
		{ "/ip6/::ffff:10.0.0.1", PRIVATE },
		{ "/ip6/64:ff9b::10.0.0.1", PRIVATE },
	};

	for (size_t i = 0; i < sizeof hosts / sizeof *hosts; i++) {
		char text[80];
		int kind = hosts[i].kind;

		snprintf(text, sizeof text, "%s/tcp/4001", hosts[i].host);
		struct addr a = parsed(text);
		if (addr_private(&a) != !!(kind & PRIVATE) ||
		    addr_dialable(&a) != !(kind & UNDIALABLE))
			print_message("# %s\n", text);
		assert_int_equal(addr_private(&a), !!(kind & PRIVATE));
		assert_int_equal(addr_loopback(&a), !!(kind & LOOPBACK));
		assert_int_equal(addr_unspecified(&a), !!(kind & UNSPECIFIED));
		assert_int_equal(addr_dialable(&a), !(kind & UNDIALABLE));
	}
	struct addr port0 = parsed("/ip4/8.8.8.8/tcp/0"), public = parsed("/dns4/ipfs.io/tcp/1");
	struct addr printer = parsed("/dns/Printer.Local/tcp/1"), id = parsed("/p2p/" ID);
	assert_false(addr_dialable(&port0));
	assert_false(addr_private(&public));
	assert_true(addr_private(&printer));
	assert_true(addr_private(&id));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(texts_and_bytes_match),
		cmocka_unit_test(other_texts_of_the_same_are_read),
		cmocka_unit_test(bad_texts_are_refused),
		cmocka_unit_test(b41_hostile_bytes_are_refused),
		cmocka_unit_test(every_address_that_decodes_has_a_text_that_parses),
		cmocka_unit_test(the_peer_is_the_one_at_the_end),
		cmocka_unit_test(plain_tcp_becomes_a_socket_address_and_back),
		cmocka_unit_test(places_are_told_apart),
	};
	return cmocka_run_group_tests_name("addr", tests, NULL, NULL);
}
