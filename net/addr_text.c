/* The text of addresses: /ip4/192.0.2.1/tcp/4001/p2p/12D3... and back. */
#include "net/addr_internal.h"

#include "store/buf.h"
#include "store/error.h"
#include "store/multibase.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

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
static int parse_value(enum addr_value v, const char *text, size_t len, uint8_t out[ADDR_TEXT_MAX])
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
		return (int)addr_fixed_size(v);
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

/* One component from *text, which is moved behind it; appended at out[*len]. */
static int parse_component(const char **text, uint8_t *out, size_t *len)
{
	uint8_t value[ADDR_TEXT_MAX], head[2 * VARINT_MAX];
	size_t n;
	int r;

	if (*(*text)++ != '/')
		return ERR_MALFORMED;
	const struct protocol *p = addr_protocol(*text, strcspn(*text, "/"));
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
	while (addr_next(&in, &c) > 0) {
		enum addr_value v = c.protocol->value;

		n += (size_t)snprintf(out + n, ADDR_TEXT_MAX - n, "/%s%s", c.protocol->name,
				      v == NONE || v == REST ? "" : "/");
		put_value(out + n, ADDR_TEXT_MAX - n, &c);
		n += strlen(out + n);
	}
	return out;
}
