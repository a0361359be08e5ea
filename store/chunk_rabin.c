/*
 * Cutting by a Rabin fingerprint: the last 16 bytes, as a polynomial over GF(2),
 * modulo an irreducible one of degree 53.  A chunk ends where the low bits of
 * the remainder are zero; as many bits as the average has behind its highest.
 */
#include "store/chunker_internal.h"

#include <pthread.h>

#define POLYNOMIAL 17437180132763653u /* Kubo's */
#define DEGREE	   53
#define WINDOW	   16

/* Set once, then only read. */
static struct {
	uint64_t out[256]; /* byte b, with the rest of the window behind it */
	uint64_t mod[256]; /* what takes b off the top, and adds its remainder */
} tables;
static pthread_once_t once = PTHREAD_ONCE_INIT;

/* Bits of `x` above the degree are few: 8 at most. */
static uint64_t reduce(uint64_t x)
{
	for (int bit = DEGREE + 8; bit >= DEGREE; bit--)
		if (x >> bit & 1)
			x ^= POLYNOMIAL << (bit - DEGREE);
	return x;
}

static void make_tables(void)
{
	for (uint64_t b = 0; b < 256; b++) {
		uint64_t h = b;

		for (int i = 1; i < WINDOW; i++)
			h = reduce(h << 8);
		tables.out[b] = h;
		tables.mod[b] = reduce(b << DEGREE) | b << DEGREE;
	}
}

static inline uint64_t append(uint64_t h, uint8_t b)
{
	return (h << 8 | b) ^ tables.mod[h >> (DEGREE - 8)];
}

size_t rabin_cut(const struct chunker *c, const uint8_t *data, size_t len)
{
	uint64_t mask = (UINT64_C(1) << (31 - __builtin_clz(c->avg))) - 1, h = 0;
	size_t i = c->min - WINDOW;

	pthread_once(&once, make_tables);
	for (; i < c->min; i++)
		h = append(h, data[i]);
	for (; h & mask && i < len; i++)
		h = append(h ^ tables.out[data[i - WINDOW]], data[i]);
	return i;
}
