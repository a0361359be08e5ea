#include "store/buf.h"

#include <stdlib.h>
#include <string.h>

void buf_release(struct buf *b)
{
	free(b->data);
	*b = (struct buf){ 0 };
}

void buf_clear(struct buf *b)
{
	b->len = 0;
	b->failed = false;
}

uint8_t *buf_room(struct buf *b, size_t n)
{
	if (b->failed)
		return NULL;
	if (n > b->cap - b->len) {
		size_t cap = b->cap ? b->cap : 64;

		if (n > SIZE_MAX / 4 - b->len) {
			b->failed = true;
			return NULL;
		}
		while (cap - b->len < n)
			cap += cap / 2;
		uint8_t *data = realloc(b->data, cap);
		if (!data) {
			b->failed = true;
			return NULL;
		}
		b->data = data;
		b->cap = cap;
	}
	return b->data + b->len;
}

void buf_append(struct buf *b, const void *data, size_t n)
{
	uint8_t *p = buf_room(b, n);

	if (!p || !n)
		return;
	memcpy(p, data, n);
	b->len += n;
}

void buf_u8(struct buf *b, uint8_t v)
{
	buf_append(b, &v, 1);
}

void buf_u16be(struct buf *b, uint16_t v)
{
	buf_append(b, (uint8_t[]){ v >> 8, v }, 2);
}

void buf_u32be(struct buf *b, uint32_t v)
{
	buf_append(b, (uint8_t[]){ v >> 24, v >> 16, v >> 8, v }, 4);
}

void buf_u32le(struct buf *b, uint32_t v)
{
	buf_append(b, (uint8_t[]){ v, v >> 8, v >> 16, v >> 24 }, 4);
}

void buf_u64le(struct buf *b, uint64_t v)
{
	buf_u32le(b, (uint32_t)v);
	buf_u32le(b, (uint32_t)(v >> 32));
}

void buf_varint(struct buf *b, uint64_t v)
{
	uint8_t bytes[VARINT_MAX];
	buf_append(b, bytes, varint_put(bytes, v));
}

void buf_text(struct buf *b, const char *text)
{
	buf_append(b, text, strlen(text));
}

void buf_consume(struct buf *b, size_t n)
{
	if (n >= b->len) {
		b->len = 0;
		return;
	}
	if (!n)
		return;
	memmove(b->data, b->data + n, b->len - n);
	b->len -= n;
}

size_t varint_put(uint8_t *out, uint64_t v)
{
	size_t n = 0;

	while (v >= 0x80) {
		out[n++] = (uint8_t)v | 0x80;
		v >>= 7;
	}
	out[n++] = (uint8_t)v;
	return n;
}

size_t varint_size(uint64_t v)
{
	size_t n = 1;

	while (v >>= 7)
		n++;
	return n;
}
