/*
 * Blocks in memory that are sink and source at once, in a hash table, with
 * counts of what went in and out; any of them can be away for a while.
 */
#ifndef TESTS_BLOCK_TABLE_H
#define TESTS_BLOCK_TABLE_H

#include "store/error.h"
#include "store/sink.h"
#include "store/source.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <cmocka.h>

struct table_block {
	struct block *block;
	bool away;
};

struct block_table {
	struct block_source source;
	struct block_sink sink;
	struct table_block *slots;
	size_t n, cap;
	size_t gets, puts, made; /* made: puts of what was not there */
	uint64_t made_bytes;
	bool frozen; /* a put is a failure of the test */
};

static inline struct table_block *table_find(struct block_table *t,
					     const struct multihash *name)
{
	for (size_t i = multihash_hash(name);; i++) {
		struct table_block *b = &t->slots[i & (t->cap - 1)];

		if (!b->block || multihash_equal(&b->block->name, name))
			return b;
	}
}

static inline void table_grow(struct block_table *t)
{
	struct block_table old = *t;

	t->cap *= 2;
	t->slots = calloc(t->cap, sizeof *t->slots);
	assert_non_null(t->slots);
	for (size_t i = 0; i < old.cap; i++)
		if (old.slots[i].block)
			*table_find(t, &old.slots[i].block->name) = old.slots[i];
	free(old.slots);
}

static inline int table_put(struct block_sink *s, const struct multihash *name,
			    const void *data, size_t len)
{
	struct block_table *t =
	    (struct block_table *)((char *)s - offsetof(struct block_table, sink));
	struct table_block *b = table_find(t, name);

	assert_false(t->frozen);
	t->puts++;
	if (b->block) {
		b->away = false;
		return 0;
	}
	assert_int_equal(block_verify(&b->block, name, data, len), 0);
	t->made++;
	t->made_bytes += len;
	if (++t->n > t->cap / 2)
		table_grow(t);
	return 0;
}

static inline int table_get(struct block_source *s, const struct cid *cid,
			    struct block **out)
{
	struct block_table *t = (struct block_table *)s;
	struct table_block *b = table_find(t, &cid->hash);

	if (!b->block || b->away)
		return ERR_MISSING;
	t->gets++;
	*out = block_ref(b->block);
	return 0;
}

static inline int table_has(struct block_source *s, const struct cid *cid)
{
	struct table_block *b = table_find((struct block_table *)s, &cid->hash);

	return b->block && !b->away;
}

static inline void table_init(struct block_table *t)
{
	*t = (struct block_table){ .source = { .get = table_get, .has = table_has },
				   .sink = { .put = table_put },
				   .cap = 64 };
	t->slots = calloc(t->cap, sizeof *t->slots);
	assert_non_null(t->slots);
}

static inline void table_release(struct block_table *t)
{
	for (size_t i = 0; i < t->cap; i++)
		block_unref(t->slots[i].block);
	free(t->slots);
}

static inline void table_count_anew(struct block_table *t)
{
	t->gets = t->puts = t->made = 0;
	t->made_bytes = 0;
}

/* A random part of the blocks goes away. */
static inline void table_hide(struct block_table *t, uint64_t (*random)(void),
			      unsigned one_in)
{
	for (size_t i = 0; i < t->cap; i++)
		t->slots[i].away = random() % one_in == 0;
}

/* What was noted comes back; the number of blocks. */
static inline size_t table_bring(struct block_table *t, const struct misses *m)
{
	size_t n = 0;

	for (size_t i = 0; i < m->n; i++) {
		struct table_block *b = table_find(t, &m->cids[i].hash);

		assert_non_null(b->block);
		n += b->away;
		b->away = false;
	}
	return n;
}

static inline void table_bring_all(struct block_table *t)
{
	for (size_t i = 0; i < t->cap; i++)
		t->slots[i].away = false;
}

/* splitmix64, of one stream for a test */
static uint64_t table_seed;
static inline uint64_t table_random(void)
{
	uint64_t z = table_seed += 0x9e3779b97f4a7c15;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
	z = (z ^ z >> 27) * 0x94d049bb133111eb;
	return z ^ z >> 31;
}
static inline uint64_t table_below(uint64_t n)
{
	return table_random() % n;
}

#endif
