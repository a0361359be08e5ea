/*
 * A binary heap of items that lie inside what they stand for: the smallest key
 * first.  For times to wake at, and for what to serve next.
 */
#ifndef NET_BITSWAP_HEAP_H
#define NET_BITSWAP_HEAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct heap_item {
	uint64_t key;
	size_t place; /* 1-based; 0: in no heap */
};

struct heap {
	struct heap_item **items;
	size_t n, cap;
};

/* Room for `n` items in all, so that so many heap_set() cannot fail.  0 or -ENOMEM. */
int heap_reserve(struct heap *h, size_t n);
/* Put an item in, or move it to its new key.  There must be room. */
void heap_set(struct heap *h, struct heap_item *i, uint64_t key);
/* Take it out, if it is in. */
void heap_remove(struct heap *h, struct heap_item *i);
/* The smallest, or NULL. */
struct heap_item *heap_min(const struct heap *h);
void heap_release(struct heap *h);

#endif
