/*
 * Blocks kept in memory, the least recently used going first.  Any thread.
 * `hash` is a number that follows from the name, the same in every call.
 */
#ifndef STORE_CACHE_H
#define STORE_CACHE_H

#include "store/block.h"

struct cache;

/* At most `max_bytes` of blocks, counting what each costs beside its bytes. */
struct cache *cache_new(size_t max_bytes); /* NULL: no memory */
void cache_free(struct cache *c);

/* A reference the caller owns, or NULL. */
struct block *cache_find(struct cache *c, const struct multihash *name, uint64_t hash);

/* Keep a reference to `b`, if it fits; without memory it is just not kept. */
void cache_add(struct cache *c, struct block *b, uint64_t hash);

size_t cache_bytes(struct cache *c);

#endif
