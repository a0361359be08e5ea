#include "fs/folder_known.h"

#include <errno.h>
#include <stdlib.h>

#define SLOTS_MIN 64

/* By the upper bits of a product, so that any size will do. */
static uint64_t home(const struct known *k, uint64_t ino)
{
	return (uint64_t)((unsigned __int128)(ino * 0x9e3779b97f4a7c15u) * k->size >> 64);
}

static uint64_t next_of(const struct known *k, uint64_t i)
{
	return i + 1 == k->size ? 0 : i + 1;
}

/* How far it is from one slot on to another. */
static uint64_t distance(const struct known *k, uint64_t from, uint64_t to)
{
	return to >= from ? to - from : to + k->size - from;
}

/* Its slot, or the free one where it would be. */
static struct known_slot *slot_of(const struct known *k, uint64_t ino)
{
	uint64_t i = home(k, ino);

	while (k->slots[i].ino && k->slots[i].ino != ino)
		i = next_of(k, i);
	return &k->slots[i];
}

static struct known_slot *find(const struct known *k, uint64_t ino)
{
	struct known_slot *s = k->slots ? slot_of(k, ino) : NULL;

	return s && s->ino ? s : NULL;
}

static int resize(struct known *k, uint64_t size)
{
	struct known old = *k;

	k->slots = calloc(size, sizeof *k->slots);
	if (!k->slots) {
		*k = old;
		return -ENOMEM;
	}
	k->size = size;
	for (uint64_t i = 0; i < old.size; i++)
		if (old.slots[i].ino)
			*slot_of(k, old.slots[i].ino) = old.slots[i];
	free(old.slots);
	return 0;
}

/* Four fifths full at most, and not much less when there are very many. */
int known_room(struct known *k)
{
	if (k->slots && k->used + 2 <= k->size / 5 * 4)
		return 0;
	return resize(k, k->slots ? k->size + k->size / 4 : SLOTS_MIN);
}

static void add(struct known_slot *s, uint32_t n)
{
	s->n = s->n > UINT32_MAX - n ? UINT32_MAX : s->n + n;
}

void known_add(struct known *k, uint64_t ino)
{
	struct known_slot *s = slot_of(k, ino);

	if (!s->ino) {
		s->ino = ino;
		k->used++;
	}
	add(s, 1);
}

void known_note(struct known *k, uint64_t ino, uint64_t dir, uint32_t place)
{
	struct known_slot *s = find(k, ino);

	if (!s || s->dir)
		return;
	s->dir = dir;
	s->place = place;
	known_add(k, dir);
}

/* Free a slot, and move back what had to go further because of it. */
static void vacate(struct known *k, uint64_t i)
{
	uint64_t next = i;

	for (;;) {
		next = next_of(k, next);
		if (!k->slots[next].ino)
			break;
		uint64_t at = home(k, k->slots[next].ino);
		if (distance(k, at, next) >= distance(k, i, next)) {
			k->slots[i] = k->slots[next];
			i = next;
		}
	}
	k->slots[i] = (struct known_slot){ 0 };
	k->used--;
}

uint64_t known_drop(struct known *k, uint64_t ino, uint64_t n, uint64_t *dir)
{
	struct known_slot *s = find(k, ino);

	*dir = 0;
	if (!s)
		return 0;
	if (s->n != UINT32_MAX)
		s->n -= n < s->n ? (uint32_t)n : s->n;
	if (s->n)
		return s->n;
	*dir = s->dir;
	vacate(k, (uint64_t)(s - k->slots));
	if (k->size >= 4 * SLOTS_MIN && k->used < k->size / 8)
		resize(k, k->size / 2); /* or it stays large */
	return 0;
}

void known_settle(struct known *k, uint64_t ino)
{
	struct known_slot *s = find(k, ino);
	uint64_t dir = s ? s->dir : 0, above;

	if (s)
		s->dir = 0;
	for (; dir && !known_drop(k, dir, 1, &above); dir = above)
		;
}

uint64_t known_count(const struct known *k, uint64_t ino)
{
	const struct known_slot *s = find(k, ino);

	return s ? s->n : 0;
}

bool known_place(const struct known *k, uint64_t ino, uint64_t *dir, uint32_t *place)
{
	const struct known_slot *s = find(k, ino);

	if (!s || !s->dir)
		return false;
	*dir = s->dir;
	*place = s->place;
	return true;
}

void known_release(struct known *k)
{
	free(k->slots);
	*k = (struct known){ 0 };
}
