#include "store/pending.h"

#include "store/error.h"

#include <stdlib.h>
#include <string.h>

#define CHUNK      (128u << 10)
#define SLOTS_KEPT 1024

struct pending_chunk {
	struct pending_chunk *next;
	size_t used;
	_Alignas(8) uint8_t bytes[CHUNK];
};

static struct pending_entry *new_entry(struct pending *t, size_t name_size)
{
	size_t need = (sizeof(struct pending_entry) + name_size + 7) & ~(size_t)7;
	struct pending_chunk *c = t->chunks;

	if (!c || CHUNK - c->used < need) {
		c = malloc(sizeof *c);
		if (!c)
			return NULL;
		c->used = 0;
		c->next = t->chunks;
		t->chunks = c;
	}
	struct pending_entry *e = (void *)(c->bytes + c->used);
	c->used += need;
	return e;
}

static void insert(struct pending_entry **slots, size_t count, struct pending_entry *e)
{
	size_t i = e->hash & (count - 1);

	while (slots[i])
		i = (i + 1) & (count - 1);
	slots[i] = e;
}

/* Keep half of the slots free, so that probing stays short. */
static int grow(struct pending *t)
{
	if (t->n == t->list_cap) {
		size_t cap = t->list_cap ? 2 * t->list_cap : 256;
		struct pending_entry **list = realloc(t->list, cap * sizeof(void *));
		if (!list)
			return -ENOMEM;
		t->list = list;
		t->list_cap = cap;
	}
	if (2 * (t->n + 1) > t->slot_count) {
		size_t count = t->slot_count ? 2 * t->slot_count : SLOTS_KEPT;
		struct pending_entry **slots = calloc(count, sizeof(void *));
		if (!slots)
			return -ENOMEM;
		for (size_t i = 0; i < t->n; i++)
			insert(slots, count, t->list[i]);
		free(t->slots);
		t->slots = slots;
		t->slot_count = count;
	}
	return 0;
}

int pending_add(struct pending *t, const struct record_name *name, const struct place *at)
{
	struct pending_entry *e;

	if (grow(t) < 0)
		return -ENOMEM;
	e = new_entry(t, name->size);
	if (!e)
		return -ENOMEM;
	e->at = *at;
	e->hash = name->hash;
	e->name_size = name->size;
	atomic_init(&e->dead, false);
	memcpy(e->name, name->bytes, name->size);
	t->list[t->n++] = e;
	insert(t->slots, t->slot_count, e);
	if (!name->piece) {
		t->blocks++;
		t->bytes += at->size;
	}
	return 0;
}

struct pending_entry *pending_find(const struct pending *t,
				   const struct record_name *name)
{
	if (!t->n)
		return NULL;
	for (size_t i = name->hash & (t->slot_count - 1); t->slots[i];
	     i = (i + 1) & (t->slot_count - 1)) {
		struct pending_entry *e = t->slots[i];
		if (e->hash == name->hash && e->name_size == name->size && !e->dead &&
		    (e->at.kind == RECORD_PIECE) == name->piece &&
		    e->at.log == name->log &&
		    !memcmp(e->name, name->bytes, name->size))
			return e;
	}
	return NULL;
}

/* Blocks, then pieces, then the cache log's; each as LMDB compares keys. */
static int by_name(const void *a, const void *b)
{
	const struct pending_entry *x = *(struct pending_entry *const *)a;
	const struct pending_entry *y = *(struct pending_entry *const *)b;
	size_t n = x->name_size < y->name_size ? x->name_size : y->name_size;
	int px = 2 * x->at.log + (x->at.kind == RECORD_PIECE);
	int py = 2 * y->at.log + (y->at.kind == RECORD_PIECE);

	if (px != py)
		return px - py;
	int r = memcmp(x->name, y->name, n);

	return r ? r : x->name_size - y->name_size;
}

void pending_sort(struct pending *t)
{
	if (t->n)
		qsort(t->list, t->n, sizeof(void *), by_name);
}

void pending_clear(struct pending *t)
{
	while (t->chunks) {
		struct pending_chunk *next = t->chunks->next;
		free(t->chunks);
		t->chunks = next;
	}
	if (t->slot_count > SLOTS_KEPT) {
		free(t->slots);
		t->slots = NULL;
		t->slot_count = 0;
	} else if (t->slots) {
		memset(t->slots, 0, t->slot_count * sizeof(void *));
	}
	t->n = 0;
	t->blocks = 0;
	t->bytes = t->stored = 0;
}

void pending_release(struct pending *t)
{
	pending_clear(t);
	free(t->list);
	free(t->slots);
	*t = (struct pending){ 0 };
}
