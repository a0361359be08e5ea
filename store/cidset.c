#include "store/cidset.h"
#include "store/error.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

int cidset_init(struct cidset *s)
{
	*s = (struct cidset){ 0 };
	if (getrandom(s->key, sizeof s->key, 0) != sizeof s->key)
		return -EIO;
	return 0;
}

void cidset_release(struct cidset *s)
{
	free(s->slots);
	*s = (struct cidset){ 0 };
}

static void mark_of(const struct cidset *s, const struct cid *c, uint64_t mark[2])
{
	uint8_t bytes[CID_SIZE_MAX];
	size_t n = cid_encode(c, bytes);

	crypto_shorthash_siphashx24((uint8_t *)mark, bytes, n, s->key);
	if (!mark[0] && !mark[1])
		mark[0] = 1;
}

/* The slot of `mark`, or the free one where it belongs. */
static size_t place(const struct cidset *s, const uint64_t mark[2])
{
	size_t i = mark[0] & (s->cap - 1);

	while ((s->slots[i][0] || s->slots[i][1]) &&
	       (s->slots[i][0] != mark[0] || s->slots[i][1] != mark[1]))
		i = (i + 1) & (s->cap - 1);
	return i;
}

static int grow(struct cidset *s)
{
	struct cidset big = { .cap = s->cap ? 2 * s->cap : 1024 };

	big.slots = calloc(big.cap, sizeof *big.slots);
	if (!big.slots)
		return -ENOMEM;
	for (size_t i = 0; i < s->cap; i++)
		if (s->slots[i][0] || s->slots[i][1])
			memcpy(big.slots[place(&big, s->slots[i])], s->slots[i],
			       sizeof *s->slots);
	free(s->slots);
	s->slots = big.slots;
	s->cap = big.cap;
	return 0;
}

int cidset_add(struct cidset *s, const struct cid *c)
{
	uint64_t mark[2];
	int r;

	if (s->n >= CIDSET_MAX)
		return -EOVERFLOW;
	if (s->n >= s->cap / 4 * 3 && (r = grow(s)) < 0)
		return r;
	mark_of(s, c, mark);
	size_t i = place(s, mark);
	if (s->slots[i][0] || s->slots[i][1])
		return 0;
	memcpy(s->slots[i], mark, sizeof mark);
	s->n++;
	return 1;
}

bool cidset_has(const struct cidset *s, const struct cid *c)
{
	uint64_t mark[2];

	if (!s->n)
		return false;
	mark_of(s, c, mark);
	size_t i = place(s, mark);
	return s->slots[i][0] || s->slots[i][1];
}
