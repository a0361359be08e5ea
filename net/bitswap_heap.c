#include "net/bitswap_heap.h"

#include "store/error.h"

#include <assert.h>
#include <stdlib.h>

int heap_reserve(struct heap *h, size_t n)
{
	if (n <= h->cap)
		return 0;

	size_t cap = h->cap ? h->cap * 2 : 64;
	if (cap < n)
		cap = n;
	struct heap_item **items = realloc(h->items, cap * sizeof *items);
	if (!items)
		return -ENOMEM;
	h->items = items;
	h->cap = cap;
	return 0;
}

static void put(struct heap *h, size_t place, struct heap_item *i)
{
	h->items[place - 1] = i;
	i->place = place;
}

static void settle(struct heap *h, struct heap_item *i)
{
	size_t at = i->place;

	while (at > 1 && h->items[at / 2 - 1]->key > i->key) {
		put(h, at, h->items[at / 2 - 1]);
		at /= 2;
	}
	for (;;) {
		size_t child = 2 * at;

		if (child > h->n)
			break;
		if (child < h->n && h->items[child]->key < h->items[child - 1]->key)
			child++;
		if (h->items[child - 1]->key >= i->key)
			break;
		put(h, at, h->items[child - 1]);
		at = child;
	}
	put(h, at, i);
}

void heap_set(struct heap *h, struct heap_item *i, uint64_t key)
{
	i->key = key;
	if (!i->place) {
		assert(h->n < h->cap);
		put(h, ++h->n, i);
	}
	settle(h, i);
}

void heap_remove(struct heap *h, struct heap_item *i)
{
	size_t at = i->place;

	if (!at)
		return;
	i->place = 0;
	struct heap_item *last = h->items[--h->n];
	if (last != i) {
		put(h, at, last);
		settle(h, last);
	}
}

struct heap_item *heap_min(const struct heap *h)
{
	return h->n ? h->items[0] : NULL;
}

void heap_release(struct heap *h)
{
	free(h->items);
	*h = (struct heap){ 0 };
}
