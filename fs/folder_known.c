#include "fs/folder_known.h"

#include <errno.h>
#include <stdlib.h>

#define SLOTS_MIN 64

static uint64_t home(const struct known *k, uint64_t ino)
{
	return (ino * 0x9e3779b97f4a7c15u >> 20) & k->mask;
}

/* Its slot, or the free one where it would be. */
static struct known_slot *slot_of(const struct known *k, uint64_t ino)
{
	uint64_t i = home(k, ino);

	while (k->slots[i].ino && k->slots[i].ino != ino)
		i = (i + 1) & k->mask;
	return &k->slots[i];
}

static int resize(struct known *k, uint64_t slots)
{
	struct known old = *k;

	k->slots = calloc(slots, sizeof *k->slots);
	if (!k->slots) {
		*k = old;
		return -ENOMEM;
	}
	k->mask = slots - 1;
	for (uint64_t i = 0; old.slots && i <= old.mask; i++)
		if (old.slots[i].ino)
			*slot_of(k, old.slots[i].ino) = old.slots[i];
	free(old.slots);
	return 0;
}

int known_add(struct known *k, uint64_t ino)
{
	struct known_slot *s;
	int r;

	if (!k->slots || k->used >= k->mask / 4 * 3) {
		r = resize(k, k->slots ? 2 * (k->mask + 1) : SLOTS_MIN);
		if (r < 0)
			return r;
	}
	s = slot_of(k, ino);
	if (!s->ino) {
		s->ino = ino;
		k->used++;
	}
	s->n++;
	return 0;
}

/* Free a slot, and move back what had to go further because of it. */
static void vacate(struct known *k, uint64_t i)
{
	uint64_t next = i;

	for (;;) {
		next = (next + 1) & k->mask;
		if (!k->slots[next].ino)
			break;
		uint64_t at = home(k, k->slots[next].ino);
		if (((next - at) & k->mask) >= ((next - i) & k->mask)) {
			k->slots[i] = k->slots[next];
			i = next;
		}
	}
	k->slots[i] = (struct known_slot){ 0 };
	k->used--;
}

uint64_t known_drop(struct known *k, uint64_t ino, uint64_t n)
{
	struct known_slot *s;

	if (!k->slots)
		return 0;
	s = slot_of(k, ino);
	if (!s->ino)
		return 0;
	s->n -= n < s->n ? n : s->n;
	if (s->n)
		return s->n;
	vacate(k, (uint64_t)(s - k->slots));
	if (k->mask >= 4 * SLOTS_MIN && k->used < k->mask / 8)
		resize(k, (k->mask + 1) / 2); /* or it stays large */
	return 0;
}

uint64_t known_count(const struct known *k, uint64_t ino)
{
	return k->slots ? slot_of(k, ino)->n : 0;
}

void known_release(struct known *k)
{
	free(k->slots);
	*k = (struct known){ 0 };
}
