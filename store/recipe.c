#include "store/recipe.h"

#include "store/error.h"
#include "store/xxh3.h"

#include <string.h>

static uint8_t *put32(uint8_t *p, uint32_t v)
{
	for (int i = 0; i < 4; i++)
		*p++ = (uint8_t)(v >> (8 * i));
	return p;
}

void piece_name(uint8_t out[PIECE_NAME], const void *data, size_t len)
{
	XXH128_canonical_t hash;

	XXH128_canonicalFromHash(&hash, XXH3_128bits(data, len));
	memcpy(out, hash.digest, sizeof hash.digest);
	put32(out + sizeof hash.digest, (uint32_t)len);
}

uint32_t piece_size(const uint8_t name[PIECE_NAME])
{
	struct cursor c = cursor_over(name + PIECE_NAME - 4, 4);

	return cursor_u32le(&c);
}

size_t recipe_encode(uint8_t *out, const struct recipe *r)
{
	uint8_t *p = put32(put32(out, (uint32_t)r->check), (uint32_t)(r->check >> 32));

	*p++ = r->head_size;
	*p++ = r->tail_size;
	*p++ = (uint8_t)r->n;
	*p++ = (uint8_t)(r->n >> 8);
	memcpy(p, r->head, r->head_size);
	p += r->head_size;
	memcpy(p, r->tail, r->tail_size);
	p += r->tail_size;
	for (uint32_t i = 0; i < r->n; i++) {
		memcpy(p, r->ranges[i].piece, PIECE_NAME);
		p = put32(put32(p + PIECE_NAME, r->ranges[i].from), r->ranges[i].len);
	}
	return (size_t)(p - out);
}

static int take(struct cursor *in, uint8_t *out, size_t n)
{
	const uint8_t *p = n <= RECIPE_WRAP ? cursor_take(in, n) : NULL;

	if (!p || in->bad)
		return ERR_CORRUPT;
	memcpy(out, p, n);
	return 0;
}

int recipe_decode(struct recipe *out, const uint8_t *in, size_t len, size_t size)
{
	struct cursor c = cursor_over(in, len);
	size_t sum;

	out->check = cursor_u64le(&c);
	out->head_size = cursor_u8(&c);
	out->tail_size = cursor_u8(&c);
	out->n = cursor_u8(&c);
	out->n |= (uint32_t)cursor_u8(&c) << 8;
	if (c.bad || out->n > RECIPE_RANGES || take(&c, out->head, out->head_size) < 0 ||
	    take(&c, out->tail, out->tail_size) < 0)
		return ERR_CORRUPT;
	sum = (size_t)out->head_size + out->tail_size;
	for (uint32_t i = 0; i < out->n; i++) {
		struct range *g = &out->ranges[i];
		const uint8_t *name = cursor_take(&c, PIECE_NAME);

		g->from = cursor_u32le(&c);
		g->len = cursor_u32le(&c);
		if (c.bad)
			return ERR_CORRUPT;
		memcpy(g->piece, name, PIECE_NAME);
		uint32_t whole = piece_size(name);
		if (whole > PIECE_MAX || !g->len || g->len > whole ||
		    g->from > whole - g->len)
			return ERR_CORRUPT;
		sum += g->len;
	}
	return cursor_done(&c) && sum == size ? 0 : ERR_CORRUPT;
}
