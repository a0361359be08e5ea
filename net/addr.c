/*
 * An address in binary form is walked component by component with one table of
 * protocols.  What a stranger sent is walked once by addr_decode(); every other
 * function then meets only addresses that are whole.
 */
#include "net/addr_internal.h"

#include "store/buf.h"
#include "store/error.h"

#include <arpa/inet.h>
#include <string.h>

static const struct protocol protocols[] = {
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
#define PROTOCOLS (sizeof protocols / sizeof *protocols)

const struct protocol *addr_protocol(const char *name, size_t len)
{
	for (size_t i = 0; i < PROTOCOLS; i++)
		if (strlen(protocols[i].name) == len && memcmp(protocols[i].name, name, len) == 0)
			return &protocols[i];
	return NULL;
}

size_t addr_fixed_size(enum addr_value v)
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

int addr_next(struct cursor *in, struct component *c)
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
	enum addr_value v = c->protocol->value;
	if (v >= TEXT) {
		c->value = cursor_prefixed(in, ADDR_MAX, &c->len);
	} else {
		c->len = addr_fixed_size(v);
		c->value = cursor_take(in, c->len);
	}
	return in->bad ? ERR_MALFORMED : 1;
}

bool addr_find(const struct addr *a, enum addr_code code, struct component *c)
{
	struct cursor in = cursor_over(a->bytes, a->len);

	while (addr_next(&in, c) > 0)
		if (c->protocol->code == code)
			return true;
	return false;
}

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
	while ((r = addr_next(&in, &c)) > 0) {
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

/* ---- the peer at the end ---- */

/* The /p2p/ID of the peer that the address leads to: behind the relay, if any. */
static bool target(const struct addr *a, struct component *found)
{
	struct cursor in = cursor_over(a->bytes, a->len);
	struct component c;
	bool any = false;

	while (addr_next(&in, &c) > 0) {
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
