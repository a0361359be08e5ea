#include "net/kad_table.h"

#include "store/error.h"

#include <stdlib.h>

#define GROUP_IN_TABLE  3
#define GROUP_IN_BUCKET 2
#define FAILURES_MAX    2

struct entry {
	struct peer_id peer;
	struct kad_id id;
	uint64_t group;
	uint64_t answered; /* when last, or when it came */
	unsigned failures; /* since then */
	uint16_t addrs_len;
	uint8_t *addrs;
};

struct bucket {
	int n;
	struct entry e[KAD_K]; /* in the order they came */
};

struct kad_table {
	struct kad_id self;
	uint32_t count;
	struct bucket *buckets[KAD_BITS]; /* by common bits; NULL: never used */
};

int kad_table_new(struct kad_table **out, const struct peer_id *self)
{
	struct kad_table *t = calloc(1, sizeof *t);

	if (!t)
		return -ENOMEM;
	t->self = kad_id_of_peer(self);
	*out = t;
	return 0;
}

void kad_table_free(struct kad_table *t)
{
	if (!t)
		return;
	for (int i = 0; i < KAD_BITS; i++) {
		for (int j = 0; t->buckets[i] && j < t->buckets[i]->n; j++)
			free(t->buckets[i]->e[j].addrs);
		free(t->buckets[i]);
	}
	free(t);
}

static struct entry *find(const struct kad_table *t, const struct peer_id *p,
			  struct bucket **in)
{
	struct kad_id id = kad_id_of_peer(p);
	int bits = kad_common_bits(&t->self, &id);
	struct bucket *b = bits < KAD_BITS ? t->buckets[bits] : NULL;

	if (in)
		*in = b;
	for (int i = 0; b && i < b->n; i++)
		if (peer_equal(&b->e[i].peer, p))
			return &b->e[i];
	return NULL;
}

static void drop(struct kad_table *t, struct bucket *b, struct entry *e)
{
	free(e->addrs);
	memmove(e, e + 1, (size_t)(&b->e[b->n] - (e + 1)) * sizeof *e);
	b->n--;
	t->count--;
}

static int set_addrs(struct entry *e, const uint8_t *addrs, size_t len)
{
	if (len > KAD_ADDRS_SIZE)
		len = 0;
	uint8_t *copy = malloc(len ? len : 1);
	if (!copy)
		return -ENOMEM;
	if (len)
		memcpy(copy, addrs, len);
	free(e->addrs);
	e->addrs = copy;
	e->addrs_len = (uint16_t)len;
	return 0;
}

/* Is there room for one more of this group?  `not` is not counted. */
static bool group_fits(const struct kad_table *t, const struct bucket *b, uint64_t group,
		       const struct entry * not )
{
	int in_table = 0, in_bucket = 0;

	if (!group)
		return true;
	for (int i = 0; i < KAD_BITS; i++)
		for (int j = 0; t->buckets[i] && j < t->buckets[i]->n; j++) {
			const struct entry *e = &t->buckets[i]->e[j];

			if (e->group != group || e == not )
				continue;
			in_table++;
			in_bucket += t->buckets[i] == b;
		}
	return in_table < GROUP_IN_TABLE && in_bucket < GROUP_IN_BUCKET;
}

int kad_table_offer(struct kad_table *t, const struct peer_id *p, const uint8_t *addrs,
		    size_t addrs_len, uint64_t group, uint64_t now)
{
	struct kad_id id = kad_id_of_peer(p);
	int bits = kad_common_bits(&t->self, &id);
	struct bucket *b;
	struct entry *e, *dead = NULL;

	if (bits == KAD_BITS)
		return -EINVAL;
	e = find(t, p, &b);
	if (e) {
		/* A peer that moves into a group that is full is one too many. */
		if (group != e->group && !group_fits(t, b, group, e)) {
			drop(t, b, e);
			return -EDQUOT;
		}
		e->group = group;
		return set_addrs(e, addrs, addrs_len);
	}
	if (!b) {
		b = calloc(1, sizeof *b);
		if (!b)
			return -ENOMEM;
		t->buckets[bits] = b;
	}
	for (int i = 0; b->n == KAD_K && i < b->n && !dead; i++)
		if (b->e[i].failures)
			dead = &b->e[i];
	if (b->n == KAD_K && !dead)
		return -ENOSPC;
	if (!group_fits(t, b, group, dead))
		return -EDQUOT;

	struct entry new = { .peer = *p, .id = id, .group = group, .answered = now };
	int r = set_addrs(&new, addrs, addrs_len);
	if (r < 0)
		return r;
	if (dead)
		drop(t, b, dead);
	b->e[b->n++] = new;
	t->count++;
	return 1;
}

void kad_table_answered(struct kad_table *t, const struct peer_id *p, uint64_t now)
{
	struct entry *e = find(t, p, NULL);

	if (!e)
		return;
	e->answered = now;
	e->failures = 0;
}

bool kad_table_failed(struct kad_table *t, const struct peer_id *p)
{
	struct bucket *b;
	struct entry *e = find(t, p, &b);

	if (!e || ++e->failures < FAILURES_MAX)
		return false;
	drop(t, b, e);
	return true;
}

void kad_table_remove(struct kad_table *t, const struct peer_id *p)
{
	struct bucket *b;
	struct entry *e = find(t, p, &b);

	if (e)
		drop(t, b, e);
}

bool kad_table_has(const struct kad_table *t, const struct peer_id *p)
{
	return find(t, p, NULL) != NULL;
}

uint32_t kad_table_count(const struct kad_table *t)
{
	return t->count;
}

/* Put `e` into the sorted list at `at`, losing the last one if it is full. */
static int insert(struct kad_contact *out, int n, int max, int at, const struct entry *e)
{
	if (at >= max)
		return n;
	if (n == max)
		n--;
	memmove(out + at + 1, out + at, (size_t)(n - at) * sizeof *out);
	out[at] = (struct kad_contact){ e->peer, e->id, e->addrs, e->addrs_len };
	return n + 1;
}

int kad_table_closest(const struct kad_table *t, const struct kad_id *target,
		      struct kad_contact *out, int max)
{
	int n = 0;

	for (int i = 0; i < KAD_BITS; i++)
		for (int j = 0; t->buckets[i] && j < t->buckets[i]->n; j++) {
			const struct entry *e = &t->buckets[i]->e[j];
			int at = n;

			while (at > 0 && kad_nearer(target, &e->id, &out[at - 1].id) < 0)
				at--;
			n = insert(out, n, max, at, e);
		}
	return n;
}

int kad_table_stale(const struct kad_table *t, uint64_t before, struct kad_contact *out,
		    int max)
{
	uint64_t times[KAD_K];
	int n = 0;

	if (max > KAD_K)
		max = KAD_K;
	for (int i = 0; i < KAD_BITS; i++)
		for (int j = 0; t->buckets[i] && j < t->buckets[i]->n; j++) {
			const struct entry *e = &t->buckets[i]->e[j];
			int at = n;

			if (e->answered >= before)
				continue;
			while (at > 0 && e->answered < times[at - 1])
				at--;
			if (at >= max)
				continue;
			int kept = n == max ? n - 1 : n;
			memmove(times + at + 1, times + at,
				(size_t)(kept - at) * sizeof *times);
			times[at] = e->answered;
			n = insert(out, n, max, at, e);
		}
	return n;
}

int kad_table_depth(const struct kad_table *t)
{
	for (int i = KAD_BITS - 1; i >= 0; i--)
		if (t->buckets[i] && t->buckets[i]->n)
			return i;
	return -1;
}
