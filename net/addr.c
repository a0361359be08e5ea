/*
 * An address in binary form is walked component by component with one table of
 * protocols.  What a stranger sent is walked once by addr_decode(); every other
 * function then meets only addresses that are whole.
 */
#include "net/addr.h"

#include "store/buf.h"
#include "store/cursor.h"
#include "store/error.h"
#include "store/multibase.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

enum code {
	IP4 = 4, TCP = 6, IP6 = 41, IP6ZONE = 42, IPCIDR = 43, DNS = 53, DNS4 = 54,
	DNS6 = 55, DNSADDR = 56, UDP = 273, WEBRTC_DIRECT = 280, WEBRTC = 281,
	CIRCUIT = 290, UNIX = 400, P2P = 421, TLS = 448, SNI = 449, NOISE = 454,
	QUIC = 460, QUIC_V1 = 461, WEBTRANSPORT = 465, CERTHASH = 466, WS = 477, WSS = 478,
	HTTP = 480, HTTP_PATH = 481, HTTPS = 443, MEMORY = 777,
};

/* What a value is, and so how its text looks. */
enum value { NONE, V4, V6, PORT, BITS, TEXT, PEER, HASH, ESCAPED, REST };

static const struct protocol {
	enum code code;
	enum value value;
	const char *name;
} protocols[] = {
	{ IP4, V4, "ip4" },
	{ TCP, PORT, "tcp" },
	{ IP6, V6, "ip6" },
	{ IP6ZONE, TEXT, "ip6zone" },
	{ IPCIDR, BITS, "ipcidr" },
	{ DNS, TEXT, "dns" },
	{ DNS4, TEXT, "dns4" },
	{ DNS6, TEXT, "dns6" },
	{ DNSADDR, TEXT, "dnsaddr" },
	{ UDP, PORT, "udp" },
	{ WEBRTC_DIRECT, NONE, "webrtc-direct" },
	{ WEBRTC, NONE, "webrtc" },
	{ CIRCUIT, NONE, "p2p-circuit" },
	{ UNIX, REST, "unix" },
	{ P2P, PEER, "p2p" },
	{ P2P, PEER, "ipfs" }, /* the old name, read only */
	{ HTTPS, NONE, "https" },
	{ TLS, NONE, "tls" },
	{ SNI, TEXT, "sni" },
	{ NOISE, NONE, "noise" },
	{ QUIC, NONE, "quic" },
	{ QUIC_V1, NONE, "quic-v1" },
	{ WEBTRANSPORT, NONE, "webtransport" },
	{ CERTHASH, HASH, "certhash" },
	{ WS, NONE, "ws" },
	{ WSS, NONE, "wss" },
	{ HTTP, NONE, "http" },
	{ HTTP_PATH, ESCAPED, "http-path" },
	{ MEMORY, TEXT, "memory" },
};
#define BITS_MAX  128 /* of an IPv6 prefix */
#define PROTOCOLS (sizeof protocols / sizeof *protocols)

struct component {
	const struct protocol *protocol;
	const uint8_t *start; /* of its code */
	const uint8_t *value;
	size_t len;
};

static size_t fixed_size(enum value v)
{
	switch (v) {
	case V4:
		return 4;
	case V6:
		return 16;
	case PORT:
		return 2;
	case BITS:
		return 1;
	default:
		return 0;
	}
}

/* 1 and a component; 0 at the end; ERR_MALFORMED; -ENOTSUP. */
static int next(struct cursor *in, struct component *c)
{
	if (!in->bad && in->p == in->end)
		return 0;
	*c = (struct component){ .start = in->p };
	uint64_t code = cursor_varint(in);
	if (in->bad)
		return ERR_MALFORMED;
	for (size_t i = 0; i < PROTOCOLS && !c->protocol; i++)
		if (protocols[i].code == code)
			c->protocol = &protocols[i];
	if (!c->protocol)
		return -ENOTSUP;
	enum value v = c->protocol->value;
	if (v >= TEXT) {
		c->value = cursor_prefixed(in, ADDR_MAX, &c->len);
	} else {
		c->len = fixed_size(v);
		c->value = cursor_take(in, c->len);
	}
	return in->bad ? ERR_MALFORMED : 1;
}

/* The first component with this code. */
static bool find(const struct addr *a, enum code code, struct component *c)
{
	struct cursor in = cursor_over(a->bytes, a->len);

	while (next(&in, c) > 0)
		if (c->protocol->code == code)
			return true;
	return false;
}

/* ---- binary ---- */

/* Printable ASCII that cannot be taken for a separator. */
static bool plain(const uint8_t *p, size_t len, bool slashes)
{
	for (size_t i = 0; i < len; i++)
		if (p[i] <= ' ' || p[i] > '~' || (p[i] == '/' && !slashes))
			return false;
	return len > 0;
}

static bool value_good(const struct component *c)
{
	struct multihash hash;
	struct peer_id peer;

	switch (c->protocol->value) {
	case BITS:
		return c->value[0] <= BITS_MAX;
	case TEXT:
		return plain(c->value, c->len, false);
	case REST:
		return plain(c->value, c->len, true) && c->value[0] == '/' && c->len > 1 &&
		       c->value[c->len - 1] != '/';
	case PEER:
		return peer_decode(&peer, c->value, c->len) == 0;
	case HASH:
		return multihash_decode(&hash, c->value, c->len) == 0;
	case ESCAPED:
		return c->len > 0;
	default:
		return true;
	}
}

/* Not less than the characters of the component's text with its slashes. */
static size_t text_bound(const struct component *c)
{
	size_t n = strlen(c->protocol->name) + 2;

	switch (c->protocol->value) {
	case NONE:
		return n;
	case V6:
		return n + INET6_ADDRSTRLEN;
	case V4:
		return n + INET_ADDRSTRLEN;
	case PORT:
	case BITS:
		return n + 5;
	case TEXT:
	case REST:
		return n + c->len;
	case ESCAPED:
		return n + 3 * c->len;
	default: /* base58 and base64 with its prefix */
		return n + c->len + c->len / 2 + 2;
	}
}

int addr_decode(struct addr *out, const void *data, size_t len)
{
	struct cursor in = cursor_over(data, len);
	struct component c;
	size_t text = 1;
	int circuits = 0;
	int r;

	if (len > ADDR_MAX)
		return -EFBIG;
	while ((r = next(&in, &c)) > 0) {
		if (!value_good(&c))
			return ERR_MALFORMED;
		/* A path reaches to the end; a relay behind a relay is a trick. */
		if (c.protocol->value == REST && cursor_left(&in))
			return ERR_MALFORMED;
		if (c.protocol->code == CIRCUIT && ++circuits > 1)
			return ERR_MALFORMED;
		text += text_bound(&c);
	}
	if (r < 0)
		return r;
	if (!len)
		return ERR_MALFORMED;
	if (text > ADDR_TEXT_MAX)
		return -EFBIG;
	out->len = (uint16_t)len;
	memcpy(out->bytes, data, len);
	return 0;
}

bool addr_equal(const struct addr *a, const struct addr *b)
{
	return a->len == b->len && memcmp(a->bytes, b->bytes, a->len) == 0;
}

/* ---- text ---- */

/* A decimal number up to `max`, and nothing else. */
static int number(const char *text, size_t len, unsigned max)
{
	unsigned n = 0;

	if (!len || len > 5)
		return ERR_MALFORMED;
	for (size_t i = 0; i < len; i++) {
		if (text[i] < '0' || text[i] > '9')
			return ERR_MALFORMED;
		n = n * 10 + (unsigned)(text[i] - '0');
	}
	return n > max ? ERR_MALFORMED : (int)n;
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static int unescape(uint8_t *out, const char *text, size_t len)
{
	int n = 0;

	for (size_t i = 0; i < len; i++) {
		if (text[i] != '%') {
			out[n++] = (uint8_t)text[i];
			continue;
		}
		int high = i + 1 < len ? hex_digit(text[i + 1]) : -1;
		int low = i + 2 < len ? hex_digit(text[i + 2]) : -1;
		if (high < 0 || low < 0)
			return ERR_MALFORMED;
		out[n++] = (uint8_t)(high << 4 | low);
		i += 2;
	}
	return n;
}

/* The bytes of a value from its text (shorter than ADDR_TEXT_MAX); their count. */
static int parse_value(enum value v, const char *text, size_t len, uint8_t out[ADDR_TEXT_MAX])
{
	char ip[INET6_ADDRSTRLEN];
	struct peer_id peer;
	int n;

	switch (v) {
	case V4:
	case V6:
		if (len >= sizeof ip)
			return ERR_MALFORMED;
		memcpy(ip, text, len);
		ip[len] = '\0';
		if (inet_pton(v == V4 ? AF_INET : AF_INET6, ip, out) != 1)
			return ERR_MALFORMED;
		return (int)fixed_size(v);
	case PORT:
		n = number(text, len, 65535);
		out[0] = (uint8_t)(n >> 8);
		out[1] = (uint8_t)n;
		return n < 0 ? n : 2;
	case BITS:
		n = number(text, len, BITS_MAX);
		out[0] = (uint8_t)n;
		return n < 0 ? n : 1;
	case PEER:
		n = peer_parse(&peer, text, len);
		if (n < 0)
			return n;
		memcpy(out, peer.bytes, peer.len);
		return peer.len;
	case HASH:
		return multibase_decode(out, ADDR_TEXT_MAX, text, len);
	case ESCAPED:
		return unescape(out, text, len);
	default:
		memcpy(out, text, len);
		return (int)len;
	}
}

static const struct protocol *by_name(const char *text, size_t len)
{
	for (size_t i = 0; i < PROTOCOLS; i++)
		if (strlen(protocols[i].name) == len &&
		    memcmp(protocols[i].name, text, len) == 0)
			return &protocols[i];
	return NULL;
}

/* One component from *text, which is moved behind it; appended at out[*len]. */
static int parse_component(const char **text, uint8_t *out, size_t *len)
{
	uint8_t value[ADDR_TEXT_MAX], head[2 * VARINT_MAX];
	size_t n;
	int r;

	if (*(*text)++ != '/')
		return ERR_MALFORMED;
	const struct protocol *p = by_name(*text, strcspn(*text, "/"));
	if (!p)
		return **text == '/' || !**text ? ERR_MALFORMED : -ENOTSUP;
	*text += strlen(p->name);
	n = varint_put(head, p->code);
	r = 0;
	if (p->value == REST) {
		/* Its slash belongs to the path. */
		r = parse_value(REST, *text, strlen(*text), value);
		*text += strlen(*text);
	} else if (p->value != NONE) {
		if (**text != '/')
			return ERR_MALFORMED;
		size_t chars = strcspn(++*text, "/");
		r = parse_value(p->value, *text, chars, value);
		*text += chars;
	}
	if (r < 0)
		return r;
	if (p->value >= TEXT)
		n += varint_put(head + n, (uint64_t)r);
	if (*len + n + (size_t)r > ADDR_MAX)
		return -EFBIG;
	memcpy(out + *len, head, n);
	memcpy(out + *len + n, value, (size_t)r);
	*len += n + (size_t)r;
	return 0;
}

int addr_parse(struct addr *out, const char *text)
{
	uint8_t bytes[ADDR_MAX];
	size_t len = 0;

	if (strlen(text) >= ADDR_TEXT_MAX)
		return -EFBIG;
	/* A slash at the end is what others let pass too. */
	while (*text && strcmp(text, "/") != 0) {
		int r = parse_component(&text, bytes, &len);
		if (r < 0)
			return r;
	}
	return addr_decode(out, bytes, len);
}

static size_t escape(char *out, const uint8_t *p, size_t len)
{
	static const char digits[] = "0123456789ABCDEF";
	static const char kept[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
				   "0123456789-._~";
	size_t n = 0;

	for (size_t i = 0; i < len; i++) {
		if (p[i] && strchr(kept, p[i])) {
			out[n++] = (char)p[i];
		} else {
			out[n++] = '%';
			out[n++] = digits[p[i] >> 4];
			out[n++] = digits[p[i] & 15];
		}
	}
	out[n] = '\0';
	return n;
}

/* addr_decode() has made sure that there is room. */
static void put_value(char *out, size_t room, const struct component *c)
{
	struct peer_id peer;
	char id[PEER_TEXT_MAX];

	switch (c->protocol->value) {
	case NONE:
		out[0] = '\0';
		break;
	case V4:
	case V6:
		if (!inet_ntop(c->protocol->value == V4 ? AF_INET : AF_INET6, c->value, out,
			       (socklen_t)room))
			out[0] = '\0';
		break;
	case PORT:
		snprintf(out, room, "%u", (unsigned)(c->value[0] << 8 | c->value[1]));
		break;
	case BITS:
		snprintf(out, room, "%u", c->value[0]);
		break;
	case PEER:
		peer = (struct peer_id){ .len = (uint8_t)c->len };
		memcpy(peer.bytes, c->value, c->len);
		snprintf(out, room, "%s", peer_text(&peer, id));
		break;
	case HASH:
		if (multibase_encode(out, room, 'u', c->value, c->len) < 0)
			out[0] = '\0';
		break;
	case ESCAPED:
		escape(out, c->value, c->len);
		break;
	default:
		snprintf(out, room, "%.*s", (int)c->len, (const char *)c->value);
	}
}

const char *addr_text(const struct addr *a, char out[ADDR_TEXT_MAX])
{
	struct cursor in = cursor_over(a->bytes, a->len);
	struct component c;
	size_t n = 0;

	out[0] = '\0';
	while (next(&in, &c) > 0) {
		enum value v = c.protocol->value;

		n += (size_t)snprintf(out + n, ADDR_TEXT_MAX - n, "/%s%s", c.protocol->name,
				      v == NONE || v == REST ? "" : "/");
		put_value(out + n, ADDR_TEXT_MAX - n, &c);
		n += strlen(out + n);
	}
	return out;
}

/* ---- the peer at the end ---- */

/* The /p2p/ID of the peer that the address leads to: behind the relay, if any. */
static bool target(const struct addr *a, struct component *found)
{
	struct cursor in = cursor_over(a->bytes, a->len);
	struct component c;
	bool any = false;

	while (next(&in, &c) > 0) {
		if (c.protocol->code == P2P) {
			*found = c;
			any = true;
		} else if (c.protocol->code == CIRCUIT) {
			any = false;
		}
	}
	return any;
}

bool addr_peer(const struct addr *a, struct peer_id *out)
{
	struct component c;

	return target(a, &c) && peer_decode(out, c.value, c.len) == 0;
}

void addr_strip_peer(struct addr *a)
{
	struct component c;

	if (target(a, &c) && c.value + c.len == a->bytes + a->len)
		a->len = (uint16_t)(c.start - a->bytes);
}

int addr_add_peer(struct addr *a, const struct peer_id *p)
{
	uint8_t bytes[ADDR_MAX + 2 * VARINT_MAX + PEER_ID_MAX];
	size_t n = a->len;

	memcpy(bytes, a->bytes, n);
	n += varint_put(bytes + n, P2P);
	n += varint_put(bytes + n, p->len);
	memcpy(bytes + n, p->bytes, p->len);
	return addr_decode(a, bytes, n + p->len);
}

/* ---- sockets ---- */

int addr_sockaddr(const struct addr *a, struct sockaddr_storage *out)
{
	struct cursor in = cursor_over(a->bytes, a->len);
	struct component ip, port, end;

	if (next(&in, &ip) <= 0 || (ip.protocol->code != IP4 && ip.protocol->code != IP6) ||
	    next(&in, &port) <= 0 || port.protocol->code != TCP)
		return -ENOTSUP;
	if (next(&in, &end) > 0 && (end.protocol->code != P2P || cursor_left(&in)))
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

/* ---- what kind of place it is ---- */

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

	if (find(a, IP4, &c)) {
		*ip = c.value;
		return 4;
	}
	if (!find(a, IP6, &c))
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
	static const enum code names[] = { DNS, DNS4, DNS6, DNSADDR };
	struct component c;
	const uint8_t *ip;
	size_t len = ip_of(a, &ip);

	if (len == 4)
		return in_any(ip, private4, sizeof private4 / sizeof *private4);
	if (len == 16)
		return in_any(ip, private6, sizeof private6 / sizeof *private6);
	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		if (find(a, names[i], &c))
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

	if (addr_sockaddr(a, &sa) < 0 || !find(a, TCP, &port) || addr_unspecified(a))
		return false;
	size_t len = ip_of(a, &ip);
	/* Multicast, and what IPv4 reserves above it with the broadcast address. */
	if (len == 4 ? ip[0] >= 224 : ip[0] == 0xff)
		return false;
	return port.value[0] || port.value[1];
}
