#include "store/cbor.h"
#include "store/error.h"

#include <string.h>

enum major { UINT, NEGATIVE, BYTES, TEXT, ARRAY, MAP, TAG, SIMPLE };

#define TAG_CID 42
#define FALSE   20
#define TRUE    21
#define NIL     22
#define DOUBLE  27

/* `n` bytes, most significant first. */
static uint64_t take_be(struct cursor *in, size_t n)
{
	uint64_t v = 0;

	while (n--)
		v = v << 8 | cursor_u8(in);
	return v;
}

/* The number behind a head's low five bits, in its shortest form only. */
static uint64_t take_number(struct cursor *in, unsigned info)
{
	static const uint64_t least[] = { 24, 1u << 8, 1u << 16, 1ull << 32 };
	uint64_t v;

	if (info < 24)
		return info;
	if (info > 27) { /* reserved, or an indefinite length */
		in->bad = true;
		return 0;
	}
	v = take_be(in, (size_t)1 << (info - 24));
	if (v < least[info - 24])
		in->bad = true;
	return v;
}

static int take_bytes(struct cursor *in, struct cbor_item *out, uint64_t len)
{
	if (len > cursor_left(in))
		return ERR_MALFORMED;
	out->data = cursor_take(in, (size_t)len);
	out->len = (size_t)len;
	return 0;
}

/* Behind tag 42: a byte string of 00 and a binary CID. */
static int take_link(struct cursor *in, struct cbor_item *out)
{
	struct cid checked;
	uint8_t head = cursor_u8(in);
	uint64_t len = take_number(in, head & 31);

	if (in->bad || head >> 5 != BYTES || take_bytes(in, out, len) < 0)
		return ERR_MALFORMED;
	if (out->len == 0 || out->data[0] != 0)
		return ERR_MALFORMED;
	out->kind = CBOR_LINK;
	out->data++;
	out->len--;
	return cid_decode(&checked, out->data, out->len);
}

static int take_simple(struct cursor *in, struct cbor_item *out, unsigned info)
{
	switch (info) {
	case FALSE:
	case TRUE:
		out->kind = CBOR_BOOL;
		out->value = info == TRUE;
		return 0;
	case NIL:
		out->kind = CBOR_NULL;
		return 0;
	case DOUBLE:
		out->kind = CBOR_FLOAT;
		out->value = take_be(in, 8);
		/* All exponent bits set: infinite or not a number. */
		if (in->bad || (out->value >> 52 & 0x7ff) == 0x7ff)
			return ERR_MALFORMED;
		return 0;
	}
	return ERR_MALFORMED;
}

static int take_item(struct cursor *in, struct cbor_item *out)
{
	uint8_t head = cursor_u8(in);
	unsigned info = head & 31;

	*out = (struct cbor_item){ 0 };
	if (in->bad)
		return ERR_MALFORMED;
	if (head >> 5 == SIMPLE)
		return take_simple(in, out, info);

	uint64_t v = take_number(in, info);
	if (in->bad)
		return ERR_MALFORMED;
	out->value = v;
	switch (head >> 5) {
	case UINT:
		out->kind = CBOR_UINT;
		return 0;
	case NEGATIVE:
		out->kind = CBOR_NEGATIVE;
		return 0;
	case BYTES:
		out->kind = CBOR_BYTES;
		return take_bytes(in, out, v);
	case TEXT:
		out->kind = CBOR_TEXT;
		return take_bytes(in, out, v);
	case ARRAY:
		out->kind = CBOR_ARRAY;
		return v > cursor_left(in) ? ERR_MALFORMED : 0;
	case MAP:
		out->kind = CBOR_MAP;
		return v > cursor_left(in) / 2 ? ERR_MALFORMED : 0;
	case TAG:
		return v == TAG_CID ? take_link(in, out) : ERR_MALFORMED;
	}
	return ERR_MALFORMED;
}

int cbor_next(struct cursor *in, struct cbor_item *out)
{
	int r = take_item(in, out);

	if (r < 0)
		in->bad = true;
	return r;
}

int cbor_expect(struct cursor *in, enum cbor_kind kind, struct cbor_item *out)
{
	int r = cbor_next(in, out);

	if (r == 0 && out->kind != kind) {
		in->bad = true;
		r = ERR_MALFORMED;
	}
	return r;
}

static bool same_text(const struct cbor_item *a, const struct cbor_item *b)
{
	return a->data && a->len == b->len && memcmp(a->data, b->data, a->len) == 0;
}

int cbor_links(struct cursor *in, int (*each)(void *arg, const struct cid *c), void *arg)
{
	/* The arrays and maps we are in: how many items each still has.  In a map
	 * keys and values count alike, and an even number left means a key. */
	struct {
		uint64_t left;
		bool map;
		struct cbor_item key; /* the last one; data is NULL before it */
	} open[CBOR_DEPTH_MAX];
	unsigned depth = 0;

	do {
		struct cbor_item item;
		bool key = depth && open[depth - 1].map && open[depth - 1].left % 2 == 0;
		int r = key ? cbor_expect(in, CBOR_TEXT, &item) : cbor_next(in, &item);

		if (r < 0)
			return r;
		if (key) {
			if (same_text(&open[depth - 1].key, &item)) {
				in->bad = true;
				return ERR_MALFORMED;
			}
			open[depth - 1].key = item;
		}
		if (depth)
			open[depth - 1].left--;
		if (item.kind == CBOR_LINK && each) {
			struct cid c;
			r = cid_decode(&c, item.data, item.len);
			if (r == 0)
				r = each(arg, &c);
			if (r != 0)
				return r;
		}
		if (item.kind == CBOR_ARRAY || item.kind == CBOR_MAP) {
			bool map = item.kind == CBOR_MAP;
			if (depth == CBOR_DEPTH_MAX) {
				in->bad = true;
				return ERR_MALFORMED;
			}
			open[depth].left = map ? 2 * item.value : item.value;
			open[depth].key = (struct cbor_item){ 0 };
			open[depth++].map = map;
		}
		while (depth && open[depth - 1].left == 0)
			depth--;
	} while (depth);
	return 0;
}

int cbor_skip(struct cursor *in)
{
	return cbor_links(in, NULL, NULL);
}

int cbor_map_begin(struct cursor *in, struct cbor_map *m)
{
	struct cbor_item head;
	int r = cbor_expect(in, CBOR_MAP, &head);

	*m = (struct cbor_map){ .left = r < 0 ? 0 : head.value };
	return r;
}

int cbor_map_next(struct cursor *in, struct cbor_map *m)
{
	struct cbor_item key;
	int r;

	if (in->bad)
		return ERR_MALFORMED;
	if (m->left == 0)
		return 0;
	r = cbor_expect(in, CBOR_TEXT, &key);
	if (r < 0)
		return r;
	if (m->key &&
	    (key.len < m->key_len ||
	     (key.len == m->key_len && memcmp(key.data, m->key, key.len) <= 0))) {
		in->bad = true;
		return ERR_MALFORMED;
	}
	m->key = key.data;
	m->key_len = key.len;
	m->left--;
	return 1;
}

bool cbor_key_is(const struct cbor_map *m, const char *key)
{
	return m->key_len == strlen(key) && memcmp(m->key, key, m->key_len) == 0;
}

static void put_head(struct buf *out, enum major major, uint64_t v)
{
	unsigned info = v < 24           ? (unsigned)v
			: v < 1u << 8    ? 24
			: v < 1u << 16   ? 25
			: v < 1ull << 32 ? 26
					 : 27;

	buf_u8(out, (uint8_t)(major << 5 | info));
	if (info < 24)
		return;
	for (int shift = 8 << (info - 24); shift > 0;) {
		shift -= 8;
		buf_u8(out, (uint8_t)(v >> shift));
	}
}

void cbor_put_uint(struct buf *out, uint64_t v)
{
	put_head(out, UINT, v);
}

void cbor_put_int(struct buf *out, int64_t v)
{
	if (v < 0)
		put_head(out, NEGATIVE, ~(uint64_t)v); /* -1 - v */
	else
		put_head(out, UINT, (uint64_t)v);
}

void cbor_put_bytes(struct buf *out, const void *data, size_t len)
{
	put_head(out, BYTES, len);
	buf_append(out, data, len);
}

void cbor_put_text(struct buf *out, const char *text, size_t len)
{
	put_head(out, TEXT, len);
	buf_append(out, text, len);
}

void cbor_put_array(struct buf *out, size_t n)
{
	put_head(out, ARRAY, n);
}

void cbor_put_map(struct buf *out, size_t n)
{
	put_head(out, MAP, n);
}

void cbor_put_link(struct buf *out, const struct cid *c)
{
	uint8_t bytes[1 + CID_SIZE_MAX] = { 0 };
	size_t len = 1 + cid_encode(c, bytes + 1);

	put_head(out, TAG, TAG_CID);
	cbor_put_bytes(out, bytes, len);
}

void cbor_put_bool(struct buf *out, bool v)
{
	put_head(out, SIMPLE, v ? TRUE : FALSE);
}

void cbor_put_null(struct buf *out)
{
	put_head(out, SIMPLE, NIL);
}
