#include "store/cursor.h"

const uint8_t *cursor_take(struct cursor *in, size_t n)
{
	const uint8_t *p = in->p;

	if (in->bad || n > (size_t)(in->end - in->p)) {
		in->bad = true;
		return NULL;
	}
	in->p += n;
	return p;
}

uint8_t cursor_u8(struct cursor *in)
{
	const uint8_t *p = cursor_take(in, 1);
	return p ? p[0] : 0;
}

uint16_t cursor_u16be(struct cursor *in)
{
	const uint8_t *p = cursor_take(in, 2);
	return p ? (uint16_t)(p[0] << 8 | p[1]) : 0;
}

uint32_t cursor_u32be(struct cursor *in)
{
	const uint8_t *p = cursor_take(in, 4);
	return p ? (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3]
		 : 0;
}

uint32_t cursor_u32le(struct cursor *in)
{
	const uint8_t *p = cursor_take(in, 4);
	return p ? (uint32_t)p[3] << 24 | (uint32_t)p[2] << 16 | (uint32_t)p[1] << 8 | p[0]
		 : 0;
}

uint64_t cursor_u64le(struct cursor *in)
{
	uint64_t low = cursor_u32le(in);
	return low | (uint64_t)cursor_u32le(in) << 32;
}

static uint64_t varint(struct cursor *in, unsigned max_bytes)
{
	uint64_t value = 0;

	for (unsigned i = 0; i < max_bytes && !in->bad; i++) {
		uint8_t b = cursor_u8(in);
		/* The tenth byte has room for one bit only. */
		if (i == 9 && b > 1)
			break;
		value |= (uint64_t)(b & 0x7f) << (7 * i);
		if (b & 0x80)
			continue;
		if (b == 0 && i > 0)
			break; /* not minimal */
		return in->bad ? 0 : value;
	}
	in->bad = true;
	return 0;
}

uint64_t cursor_varint(struct cursor *in)
{
	return varint(in, 9);
}

uint64_t cursor_pb_varint(struct cursor *in)
{
	return varint(in, 10);
}

const uint8_t *cursor_prefixed(struct cursor *in, size_t max, size_t *len)
{
	uint64_t n = cursor_varint(in);

	*len = 0;
	if (n > max)
		in->bad = true;
	const uint8_t *p = cursor_take(in, in->bad ? 0 : (size_t)n);
	if (!in->bad)
		*len = (size_t)n;
	return in->bad ? NULL : p;
}
