#include "net/bitswap_map.h"

#include "store/error.h"

#include <stdlib.h>
#include <xxhash.h>

uint64_t map_hash(uint64_t seed, const void *key, size_t len)
{
	return XXH3_64bits_withSeed(key, len, seed);
}

static struct map_node **slot(const struct map *m, uint64_t hash)
{
	return &m->slots[hash & (m->cap - 1)];
}

static int grow(struct map *m)
{
	struct map bigger = { .cap = m->cap ? m->cap * 2 : 16 };

	bigger.slots = calloc(bigger.cap, sizeof *bigger.slots);
	if (!bigger.slots)
		return -ENOMEM;
	for (size_t i = 0; i < m->cap; i++)
		while (m->slots[i]) {
			struct map_node *n = m->slots[i];
			struct map_node **to = slot(&bigger, n->hash);

			m->slots[i] = n->next;
			n->next = *to;
			*to = n;
		}
	bigger.n = m->n;
	free(m->slots);
	*m = bigger;
	return 0;
}

int map_insert(struct map *m, struct map_node *n, uint64_t hash)
{
	/* A full table still works, only slower. */
	if (m->n >= m->cap && grow(m) < 0 && !m->cap)
		return -ENOMEM;

	struct map_node **to = slot(m, hash);
	n->hash = hash;
	n->next = *to;
	*to = n;
	m->n++;
	return 0;
}

void map_remove(struct map *m, struct map_node *n)
{
	struct map_node **p = slot(m, n->hash);

	while (*p != n)
		p = &(*p)->next;
	*p = n->next;
	m->n--;
}

static struct map_node *of_hash(struct map_node *n, uint64_t hash)
{
	while (n && n->hash != hash)
		n = n->next;
	return n;
}

struct map_node *map_first(const struct map *m, uint64_t hash)
{
	return m->cap ? of_hash(*slot(m, hash), hash) : NULL;
}

struct map_node *map_next(const struct map_node *n)
{
	return of_hash(n->next, n->hash);
}

void map_release(struct map *m)
{
	free(m->slots);
	*m = (struct map){ 0 };
}
