#include "store/cache.h"

#include <pthread.h>
#include <stdlib.h>

struct entry {
	struct entry *chain;         /* of one slot */
	struct entry *newer, *older; /* by use */
	uint64_t hash;
	struct block *block;
};

/* What a block takes beside its bytes, about: entry, block and slot. */
#define ENTRY_COST (sizeof(struct entry) + sizeof(struct block) + sizeof(void *) + 32)

struct cache {
	pthread_mutex_t lock;
	struct entry **slots; /* a power of two */
	size_t slot_count, n;
	struct entry *newest, *oldest;
	size_t bytes, max_bytes;
};

struct cache *cache_new(size_t max_bytes)
{
	struct cache *c = calloc(1, sizeof *c);

	if (!c)
		return NULL;
	c->slot_count = 256;
	c->max_bytes = max_bytes;
	c->slots = calloc(c->slot_count, sizeof *c->slots);
	if (!c->slots) {
		free(c);
		return NULL;
	}
	pthread_mutex_init(&c->lock, NULL);
	return c;
}

static void unlink_use(struct cache *c, struct entry *e)
{
	*(e->newer ? &e->newer->older : &c->newest) = e->older;
	*(e->older ? &e->older->newer : &c->oldest) = e->newer;
}

static void make_newest(struct cache *c, struct entry *e)
{
	e->newer = NULL;
	e->older = c->newest;
	*(c->newest ? &c->newest->newer : &c->oldest) = e;
	c->newest = e;
}

static size_t cost(const struct block *b)
{
	return b->size + ENTRY_COST;
}

static void drop(struct cache *c, struct entry *e)
{
	struct entry **at = &c->slots[e->hash & (c->slot_count - 1)];

	while (*at != e)
		at = &(*at)->chain;
	*at = e->chain;
	unlink_use(c, e);
	c->bytes -= cost(e->block);
	c->n--;
	block_unref(e->block);
	free(e);
}

void cache_free(struct cache *c)
{
	if (!c)
		return;
	while (c->oldest)
		drop(c, c->oldest);
	pthread_mutex_destroy(&c->lock);
	free(c->slots);
	free(c);
}

static struct entry *find(struct cache *c, uint64_t hash, const struct multihash *name)
{
	struct entry *e = c->slots[hash & (c->slot_count - 1)];

	while (e && (e->hash != hash || !multihash_equal(&e->block->name, name)))
		e = e->chain;
	return e;
}

struct block *cache_find(struct cache *c, const struct multihash *name, uint64_t hash)
{
	struct block *b = NULL;

	pthread_mutex_lock(&c->lock);
	struct entry *e = find(c, hash, name);
	if (e) {
		unlink_use(c, e);
		make_newest(c, e);
		b = block_ref(e->block);
	}
	pthread_mutex_unlock(&c->lock);
	return b;
}

/* If there is no memory for more slots, chains grow longer, that is all. */
static void grow(struct cache *c)
{
	size_t count = 2 * c->slot_count;
	struct entry **slots = calloc(count, sizeof *slots);

	if (!slots)
		return;
	for (struct entry *e = c->newest; e; e = e->older) {
		struct entry **slot = &slots[e->hash & (count - 1)];
		e->chain = *slot;
		*slot = e;
	}
	free(c->slots);
	c->slots = slots;
	c->slot_count = count;
}

void cache_add(struct cache *c, struct block *b, uint64_t hash)
{
	if (cost(b) > c->max_bytes)
		return;
	pthread_mutex_lock(&c->lock);
	struct entry *e = find(c, hash, &b->name);
	if (e) {
		unlink_use(c, e);
		make_newest(c, e);
		goto out;
	}
	e = malloc(sizeof *e);
	if (!e)
		goto out;
	while (c->bytes + cost(b) > c->max_bytes)
		drop(c, c->oldest);
	if (c->n == c->slot_count)
		grow(c);
	struct entry **slot = &c->slots[hash & (c->slot_count - 1)];
	*e = (struct entry){ .chain = *slot, .hash = hash, .block = block_ref(b) };
	*slot = e;
	make_newest(c, e);
	c->bytes += cost(b);
	c->n++;
out:
	pthread_mutex_unlock(&c->lock);
}

size_t cache_bytes(struct cache *c)
{
	pthread_mutex_lock(&c->lock);
	size_t n = c->bytes;
	pthread_mutex_unlock(&c->lock);
	return n;
}
