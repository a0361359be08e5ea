/* Where an address leads: the socket to dial, and what kind of place it is. */
#include "net/addr_internal.h"

#include "store/error.h"

#include <string.h>
#include <strings.h>

int addr_sockaddr(const struct addr *a, struct sockaddr_storage *out)
{
	struct cursor in = cursor_over(a->bytes, a->len);
	struct component ip, port, end;

	if (addr_next(&in, &ip) <= 0 || (ip.protocol->code != IP4 && ip.protocol->code != IP6) ||
	    addr_next(&in, &port) <= 0 || port.protocol->code != TCP)
		return -ENOTSUP;
	if (addr_next(&in, &end) > 0 && (end.protocol->code != P2P || cursor_left(&in)))
		return -ENOTSUP;

	memset(out, 0, sizeof *out);
	if (ip.protocol->code == IP4) {
		struct sockaddr_in *v4 = (struct sockaddr_in *)out;
		v4->sin_family = AF_INET;
		memcpy(&v4->sin_addr, ip.value, 4);
		memcpy(&v4->sin_port, port.value, 2);
	} else {
		struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)out;
		v6->sin6_family = AF_INET6;
		memcpy(&v6->sin6_addr, ip.value, 16);
		memcpy(&v6->sin6_port, port.value, 2);
	}
	return 0;
}

void addr_of_sockaddr(struct addr *out, const struct sockaddr *sa)
{
	const struct sockaddr_in *v4 = (const struct sockaddr_in *)sa;
	const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)sa;
	size_t n = 0;

	*out = (struct addr){ 0 };
	if (sa->sa_family == AF_INET) {
		out->bytes[n++] = IP4;
		memcpy(out->bytes + n, &v4->sin_addr, 4);
		n += 4;
	} else if (sa->sa_family == AF_INET6 && IN6_IS_ADDR_V4MAPPED(&v6->sin6_addr)) {
		/* What a socket for both families calls an IPv4 peer. */
		out->bytes[n++] = IP4;
		memcpy(out->bytes + n, v6->sin6_addr.s6_addr + 12, 4);
		n += 4;
	} else if (sa->sa_family == AF_INET6) {
		out->bytes[n++] = IP6;
		memcpy(out->bytes + n, &v6->sin6_addr, 16);
		n += 16;
	} else {
		return;
	}
	out->bytes[n++] = TCP;
	/* The port stands at the same place in both. */
	memcpy(out->bytes + n, &v4->sin_port, 2);
	out->len = (uint16_t)(n + 2);
}

struct range {
	uint8_t prefix[16];
	uint8_t bits;
};

/* Nobody is there: the special-purpose registries of IANA, and multicast. */
static const struct range private4[] = {
	{ { 0 }, 8 }, { { 10 }, 8 }, { { 100, 64 }, 10 }, { { 127 }, 8 }, { { 169, 254 }, 16 },
	{ { 172, 16 }, 12 }, { { 192, 0, 0 }, 24 }, { { 192, 0, 2 }, 24 },
	{ { 192, 88, 99 }, 24 }, { { 192, 168 }, 16 }, { { 198, 18 }, 15 },
	{ { 198, 51, 100 }, 24 }, { { 203, 0, 113 }, 24 }, { { 224 }, 4 }, { { 240 }, 4 },
};
static const struct range private6[] = {
	{ { 0 }, 8 }, { { 0x01 }, 8 }, { { 0x20, 0x01, 0x0d, 0xb8 }, 32 }, { { 0xfc }, 7 },
	{ { 0xfe, 0x80 }, 10 }, { { 0xfe, 0xc0 }, 10 }, { { 0xff }, 8 },
};
/* IPv4 inside IPv6: mapped, and translated (RFC 6052). */
static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };
static const uint8_t translated[12] = { 0x00, 0x64, 0xff, 0x9b };

static bool in_range(const uint8_t *ip, const struct range *r)
{
	unsigned bytes = r->bits / 8, rest = r->bits % 8;
	uint8_t mask = (uint8_t)(0xff << (8 - rest));

	return memcmp(ip, r->prefix, bytes) == 0 &&
	       (!rest || (ip[bytes] & mask) == (r->prefix[bytes] & mask));
}

static bool in_any(const uint8_t *ip, const struct range *ranges, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (in_range(ip, &ranges[i]))
			return true;
	return false;
}

/* The IP address, IPv4 in its own form wherever it was: 4, 16, or 0 bytes (none). */
static size_t ip_of(const struct addr *a, const uint8_t **ip)
{
	struct component c;

	if (addr_find(a, IP4, &c)) {
		*ip = c.value;
		return 4;
	}
	if (!addr_find(a, IP6, &c))
		return 0;
	if (memcmp(c.value, mapped, 12) == 0 || memcmp(c.value, translated, 12) == 0) {
		*ip = c.value + 12;
		return 4;
	}
	*ip = c.value;
	return 16;
}

/* A host name that no public resolver knows. */
static bool local_name(const struct component *c)
{
	static const char *const ends[] = { "localhost", ".local", ".internal", ".home.arpa" };

	for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
		size_t n = strlen(ends[i]);
		if (c->len >= n &&
		    strncasecmp((const char *)c->value + c->len - n, ends[i], n) == 0)
			return true;
	}
	return false;
}

bool addr_private(const struct addr *a)
{
	static const enum addr_code names[] = { DNS, DNS4, DNS6, DNSADDR };
	struct component c;
	const uint8_t *ip;
	size_t len = ip_of(a, &ip);

	if (len == 4)
		return in_any(ip, private4, sizeof private4 / sizeof *private4);
	if (len == 16)
		return in_any(ip, private6, sizeof private6 / sizeof *private6);
	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		if (addr_find(a, names[i], &c))
			return local_name(&c);
	return true; /* no place on the Internet is named */
}

bool addr_loopback(const struct addr *a)
{
	static const uint8_t one[16] = { [15] = 1 };
	const uint8_t *ip;
	size_t len = ip_of(a, &ip);

	return (len == 4 && ip[0] == 127) || (len == 16 && memcmp(ip, one, 16) == 0);
}

bool addr_unspecified(const struct addr *a)
{
	static const uint8_t zero[16];
	const uint8_t *ip;
	size_t len = ip_of(a, &ip);

	return len && memcmp(ip, zero, len) == 0;
}

bool addr_dialable(const struct addr *a)
{
	struct sockaddr_storage sa;
	struct component port;
	const uint8_t *ip;

	if (addr_sockaddr(a, &sa) < 0 || !addr_find(a, TCP, &port) || addr_unspecified(a))
		return false;
	size_t len = ip_of(a, &ip);
	/* Multicast, and what IPv4 reserves above it with the broadcast address. */
	if (len == 4 ? ip[0] >= 224 : ip[0] == 0xff)
		return false;
	return port.value[0] || port.value[1];
}
