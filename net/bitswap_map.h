/*
 * A hash table of nodes that lie inside what they stand for.  The caller hashes
 * (with a secret seed, where strangers choose the keys) and compares:
 *
 *	for (n = map_first(m, hash); n; n = map_next(n))
 *		if (equal(container_of(n, struct thing, node), key)) ...
 */
#ifndef NET_BITSWAP_MAP_H
#define NET_BITSWAP_MAP_H

#include <stddef.h>
#include <stdint.h>

#define container_of(p, type, member) ((type *)((char *)(p)-offsetof(type, member)))

struct map_node {
	struct map_node *next;
	uint64_t hash;
};

struct map {
	struct map_node **slots;
	size_t n, cap; /* cap: 0 or a power of two */
};

/* For keys that strangers choose: the seed is secret. */
uint64_t map_hash(uint64_t seed, const void *key, size_t len);

/* 0 or -ENOMEM.  Equal keys may stand side by side. */
int map_insert(struct map *m, struct map_node *n, uint64_t hash);
void map_remove(struct map *m, struct map_node *n);
/* The nodes of that hash, one after the other; NULL at the end. */
struct map_node *map_first(const struct map *m, uint64_t hash);
struct map_node *map_next(const struct map_node *n);
/* Frees the table, which is empty or whose nodes are of no more use. */
void map_release(struct map *m);

#endif
