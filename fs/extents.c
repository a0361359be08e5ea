#include "fs/extents.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define LEAF_MAX 128

struct extent_leaf {
	uint32_t n, cap;
	struct extent e[];
};

static uint64_t end_of(const struct extent *e)
{
	return e->offset + e->len;
}

static void account(struct extents *m, const struct extent *e, uint64_t len, int sign,
		    const struct extents_live *live)
{
	uint64_t *sum = e->segment ? &m->data : &m->holes;

	*sum += sign > 0 ? len : -len;
	if (e->segment && live)
		live->change(live->arg, e->segment, sign * (int64_t)len);
}

void extents_release(struct extents *m)
{
	for (uint32_t i = 0; i < m->n; i++)
		free(m->leaves[i]);
	free(m->leaves);
	*m = (struct extents){ 0 };
}

void extents_clear(struct extents *m, const struct extents_live *live)
{
	for (uint32_t l = 0; l < m->n; l++)
		for (uint32_t i = 0; i < m->leaves[l]->n; i++)
			account(m, &m->leaves[l]->e[i], m->leaves[l]->e[i].len, -1, live);
	extents_release(m);
}

/* The leaf of the first extent that ends behind `offset`, else the last one. */
static uint32_t leaf_of(const struct extents *m, uint64_t offset)
{
	uint32_t low = 0, high = m->n;

	while (low < high) {
		uint32_t mid = low + (high - low) / 2;
		const struct extent_leaf *l = m->leaves[mid];

		if (end_of(&l->e[l->n - 1]) > offset)
			high = mid;
		else
			low = mid + 1;
	}
	return low == m->n && low ? low - 1 : low;
}

/* In a leaf: the first that ends behind `offset`, else n. */
static uint32_t index_of(const struct extent_leaf *l, uint64_t offset)
{
	uint32_t low = 0, high = l->n;

	while (low < high) {
		uint32_t mid = low + (high - low) / 2;

		if (end_of(&l->e[mid]) > offset)
			high = mid;
		else
			low = mid + 1;
	}
	return low;
}

const struct extent *extents_seek(const struct extents *m, uint64_t offset,
				  struct extents_at *at)
{
	if (!m->n)
		return NULL;
	at->leaf = leaf_of(m, offset);
	at->i = index_of(m->leaves[at->leaf], offset);
	return at->i < m->leaves[at->leaf]->n ? &m->leaves[at->leaf]->e[at->i] : NULL;
}

const struct extent *extents_next(const struct extents *m, struct extents_at *at)
{
	if (++at->i >= m->leaves[at->leaf]->n) {
		if (at->leaf + 1 >= m->n)
			return NULL;
		at->leaf++;
		at->i = 0;
	}
	return &m->leaves[at->leaf]->e[at->i];
}

static int add_leaf(struct extents *m, uint32_t where, uint32_t cap)
{
	struct extent_leaf *l;

	if (m->n == m->cap) {
		uint32_t more = m->cap ? 2 * m->cap : 1;
		struct extent_leaf **p = realloc(m->leaves, more * sizeof *p);

		if (!p)
			return -ENOMEM;
		m->leaves = p;
		m->cap = more;
	}
	l = malloc(sizeof *l + cap * sizeof *l->e);
	if (!l)
		return -ENOMEM;
	l->n = 0;
	l->cap = cap;
	memmove(m->leaves + where + 1, m->leaves + where,
		(m->n - where) * sizeof *m->leaves);
	m->leaves[where] = l;
	m->n++;
	return 0;
}

/* Make room for two more in the leaf of `offset`, and say which it is. */
static int reserve(struct extents *m, uint64_t offset, uint32_t *where)
{
	struct extent_leaf *l, *upper;
	int r;

	*where = leaf_of(m, offset);
	if (!m->n)
		return add_leaf(m, 0, 2);
	l = m->leaves[*where];
	if (l->n + 2 <= l->cap)
		return 0;
	if (l->cap < LEAF_MAX) {
		uint32_t cap = l->cap < LEAF_MAX / 4 ? 4 * l->cap : LEAF_MAX;

		l = realloc(l, sizeof *l + cap * sizeof *l->e);
		if (!l)
			return -ENOMEM;
		l->cap = cap;
		m->leaves[*where] = l;
		return 0;
	}
	r = add_leaf(m, *where + 1, LEAF_MAX);
	if (r < 0)
		return r;
	upper = m->leaves[*where + 1];
	/* What grows at its end leaves full leaves behind. */
	uint32_t keep = *where + 2 == m->n && offset >= end_of(&l->e[l->n - 1]) ? l->n - 1
									       : l->n / 2;
	upper->n = l->n - keep;
	memcpy(upper->e, l->e + keep, upper->n * sizeof *l->e);
	l->n = keep;
	if (end_of(&l->e[keep - 1]) <= offset)
		++*where;
	return 0;
}

static void drop_leaves(struct extents *m, uint32_t from, uint32_t to)
{
	for (uint32_t i = from; i < to; i++)
		free(m->leaves[i]);
	memmove(m->leaves + from, m->leaves + to, (m->n - to) * sizeof *m->leaves);
	m->n -= to - from;
}

/* Uncover [a, b), beginning in leaf `where`, which stays even if it is empty
 * and has room for one more. */
static void uncover(struct extents *m, uint32_t where, uint64_t a, uint64_t b,
		    const struct extents_live *live)
{
	uint32_t gone = where + 1;
	bool done = false;

	for (uint32_t k = where; k < m->n && !done; k++) {
		struct extent_leaf *l = m->leaves[k];
		uint32_t i = index_of(l, a), from;

		if (i < l->n && l->e[i].offset < a) {
			struct extent *e = &l->e[i];

			if (end_of(e) > b) {
				struct extent right = *e;

				right.offset = b;
				right.len = end_of(e) - b;
				if (e->segment)
					right.at += (uint32_t)(b - e->offset);
				account(m, e, b - a, -1, live);
				e->len = a - e->offset;
				memmove(e + 2, e + 1, (l->n - i - 1) * sizeof *e);
				e[1] = right;
				l->n++;
				m->count++;
				return;
			}
			account(m, e, end_of(e) - a, -1, live);
			e->len = a - e->offset;
			i++;
		}
		from = i;
		while (i < l->n && end_of(&l->e[i]) <= b) {
			account(m, &l->e[i], l->e[i].len, -1, live);
			i++;
		}
		if (i < l->n) {
			struct extent *e = &l->e[i];

			done = true;
			if (e->offset < b) {
				uint64_t cut = b - e->offset;

				account(m, e, cut, -1, live);
				e->offset += cut;
				e->len -= cut;
				if (e->segment)
					e->at += (uint32_t)cut;
			}
		}
		memmove(l->e + from, l->e + i, (l->n - i) * sizeof *l->e);
		m->count -= i - from;
		l->n -= i - from;
		if (k > where && !l->n)
			gone = k + 1;
	}
	drop_leaves(m, where + 1, gone);
}

int extents_put(struct extents *m, const struct extent *e, const struct extents_live *live)
{
	struct extent_leaf *l;
	uint32_t where, i;
	int r = reserve(m, e->offset, &where);

	if (r < 0)
		return r;
	uncover(m, where, e->offset, end_of(e), live);
	l = m->leaves[where];
	i = index_of(l, e->offset);
	memmove(l->e + i + 1, l->e + i, (l->n - i) * sizeof *l->e);
	l->e[i] = *e;
	l->n++;
	m->count++;
	account(m, e, e->len, 1, live);
	return 0;
}

void extents_cut(struct extents *m, uint64_t size, const struct extents_live *live)
{
	uint32_t where;

	if (!m->n)
		return;
	where = leaf_of(m, size);
	uncover(m, where, size, UINT64_MAX, live);
	if (!m->leaves[where]->n)
		drop_leaves(m, where, where + 1);
	if (!m->n)
		extents_release(m);
}

void extents_settle(struct extents *m, uint64_t born, const struct extents_live *live)
{
	uint32_t kept = 0;

	for (uint32_t k = 0; k < m->n; k++) {
		struct extent_leaf *l = m->leaves[k];
		uint32_t n = 0;

		for (uint32_t i = 0; i < l->n; i++) {
			if (l->e[i].born > born || !l->e[i].segment)
				l->e[n++] = l->e[i];
			else
				account(m, &l->e[i], l->e[i].len, -1, live);
		}
		m->count -= l->n - n;
		l->n = n;
		if (n)
			m->leaves[kept++] = l;
		else
			free(l);
	}
	m->n = kept;
	if (!kept)
		extents_release(m);
}
