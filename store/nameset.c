#include "store/nameset.h"

#include <stdatomic.h>
#include <stdlib.h>

/* A Bloom filter: 16 bits a name and 4 probes are wrong once in 400. */
#define BITS   16
#define PROBES 4
#define MIN    ((size_t)1 << 16) /* bits */

struct nameset {
	uint64_t mask; /* of a bit's number */
	_Atomic uint64_t words[];
};

struct nameset *nameset_new(size_t expected)
{
	size_t bits = MIN;

	while (bits / BITS < expected)
		bits *= 2;
	struct nameset *s = calloc(1, sizeof *s + bits / 8);
	if (s)
		s->mask = bits - 1;
	return s;
}

void nameset_free(struct nameset *s)
{
	free(s);
}

void nameset_clear(struct nameset *s)
{
	for (uint64_t i = 0; i <= s->mask / 64; i++)
		/* Without writing to memory that was never used. */
		if (atomic_load_explicit(&s->words[i], memory_order_relaxed))
			atomic_store_explicit(&s->words[i], 0, memory_order_relaxed);
}

/* The probes of a hash are steps of an odd width from where it points. */
static uint64_t step_of(uint64_t hash)
{
	return (hash * 0x9e3779b97f4a7c15u >> 17) | 1;
}

void nameset_add(struct nameset *s, uint64_t hash)
{
	uint64_t at = hash, step = step_of(hash);

	for (int i = 0; i < PROBES; i++, at += step) {
		uint64_t bit = at & s->mask;

		atomic_fetch_or_explicit(&s->words[bit / 64], (uint64_t)1 << bit % 64,
					 memory_order_relaxed);
	}
}

bool nameset_has(const struct nameset *s, uint64_t hash)
{
	uint64_t at = hash, step = step_of(hash);

	for (int i = 0; i < PROBES; i++, at += step) {
		uint64_t bit = at & s->mask;
		uint64_t word =
		    atomic_load_explicit(&s->words[bit / 64], memory_order_relaxed);

		if (!(word >> bit % 64 & 1))
			return false;
	}
	return true;
}
