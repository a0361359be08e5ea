#include "store/murmur3.h"

#include <string.h>

static const uint64_t c1 = 0x87c37b91114253d5, c2 = 0x4cf5ad432745937f;

static uint64_t rotl(uint64_t v, unsigned n)
{
	return v << n | v >> (64 - n);
}

/* `n` bytes, 0 to 8, as a little-endian number. */
static uint64_t word(const uint8_t *p, size_t n)
{
	uint64_t v = 0;

	for (size_t i = 0; i < n; i++)
		v |= (uint64_t)p[i] << (8 * i);
	return v;
}

static uint64_t mix1(uint64_t k)
{
	return rotl(k * c1, 31) * c2;
}

static uint64_t mix2(uint64_t k)
{
	return rotl(k * c2, 33) * c1;
}

static uint64_t finish(uint64_t h)
{
	h ^= h >> 33;
	h *= 0xff51afd7ed558ccd;
	h ^= h >> 33;
	h *= 0xc4ceb9fe1a85ec53;
	return h ^ h >> 33;
}

uint64_t murmur3_x64_64(const void *data, size_t len)
{
	const uint8_t *p = data;
	size_t left = len;
	uint64_t h1 = 0, h2 = 0;

	for (; left >= 16; p += 16, left -= 16) {
		h1 ^= mix1(word(p, 8));
		h1 = (rotl(h1, 27) + h2) * 5 + 0x52dce729;
		h2 ^= mix2(word(p + 8, 8));
		h2 = (rotl(h2, 31) + h1) * 5 + 0x38495ab5;
	}
	if (left > 8)
		h2 ^= mix2(word(p + 8, left - 8));
	if (left > 0)
		h1 ^= mix1(word(p, left < 8 ? left : 8));
	h1 ^= len;
	h2 ^= len;
	h1 += h2;
	h2 += h1;
	return finish(h1) + finish(h2);
}
