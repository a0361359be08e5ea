#include "store/dir_whole.h"

#include "store/dag.h"
#include "store/error.h"

#include <stdlib.h>
#include <string.h>

/* An entry in the arena: a head, its name, its CID. */
struct packed {
	uint64_t tsize;
	uint16_t name_len;
	uint8_t cid_len;
};

/* The entries that were, and those that are to be. */
struct whole {
	struct buf arena;
	size_t *old; /* where each lies in the arena */
	size_t n_old, cap;
	const struct dir_links *changes;
	/* Of the new one, in order: 2 × an index into `old`, or 2 × a change + 1. */
	size_t *merged;
	size_t n_merged;
};

static struct dir_link old_at(const struct whole *w, size_t i)
{
	const uint8_t *at = w->arena.data + w->old[i];
	struct packed head;

	memcpy(&head, at, sizeof head);
	at += sizeof head;
	return (struct dir_link){ .name = (const char *)at,
				  .name_len = head.name_len,
				  .cid = at + head.name_len,
				  .cid_len = head.cid_len,
				  .tsize = head.tsize };
}

static int collect(void *arg, const struct dag_entry *e, uint64_t pos)
{
	struct whole *w = arg;
	uint8_t cid[CID_SIZE_MAX];
	struct packed head = { .tsize = e->tsize,
			       .name_len = (uint16_t)e->name_len,
			       .cid_len = (uint8_t)cid_encode(&e->cid, cid) };

	if (w->n_old == UINT32_MAX)
		return -EFBIG;
	if (w->n_old == w->cap) {
		size_t cap = w->cap ? w->cap + w->cap / 2 : 256;
		size_t *old = realloc(w->old, cap * sizeof *old);

		if (!old)
			return -ENOMEM;
		w->old = old;
		w->cap = cap;
	}
	w->old[w->n_old++] = w->arena.len;
	buf_append(&w->arena, &head, sizeof head);
	buf_append(&w->arena, e->name, e->name_len);
	buf_append(&w->arena, cid, head.cid_len);
	return w->arena.failed ? -ENOMEM : 0;
}

static int compare_old(const void *x, const void *y, void *arena)
{
	struct whole a = { .arena.data = arena, .old = (size_t *)x };
	struct whole b = { .arena.data = arena, .old = (size_t *)y };
	struct dir_link p = old_at(&a, 0), q = old_at(&b, 0);

	return dir_link_compare(&p, &q);
}

static int merge(struct whole *w)
{
	const struct dir_links *c = w->changes;
	size_t i = 0, j = 0;

	w->merged = malloc((w->n_old + c->n + 1) * sizeof *w->merged);
	if (!w->merged)
		return -ENOMEM;
	while (i < w->n_old || j < c->n) {
		struct dir_link old, new;
		int order = j == c->n ? -1 : 1;

		if (i < w->n_old)
			old = old_at(w, i);
		if (j < c->n)
			c->get(c->arg, j, &new);
		if (i < w->n_old && j < c->n)
			order = dir_link_compare(&old, &new);
		if (order < 0)
			w->merged[w->n_merged++] = 2 * i++;
		else if (new.cid_len)
			w->merged[w->n_merged++] = 2 * j + 1;
		if (order >= 0)
			j++;
		if (order == 0)
			i++;
	}
	return 0;
}

static void get_merged(const void *arg, size_t i, struct dir_link *out)
{
	const struct whole *w = arg;
	size_t ref = w->merged[i];

	if (ref & 1)
		w->changes->get(w->changes->arg, ref / 2, out);
	else
		*out = old_at(w, ref / 2);
}

int dir_whole_edit(const struct profile *p, struct block_source *source,
		   struct block_sink *sink, const struct cid *old,
		   const struct dir_links *changes, struct built *out,
		   struct misses *misses)
{
	struct whole w = { .changes = changes };
	int r = old ? dag_list(source, old, 0, collect, &w, misses) : 0;

	if (r == 0 && w.n_old > 1)
		qsort_r(w.old, w.n_old, sizeof *w.old, compare_old, w.arena.data);
	if (r == 0)
		r = merge(&w);
	if (r == 0)
		r = build_dir_sorted(p, sink,
				     &(struct dir_links){ w.n_merged, &w, get_merged },
				     NULL, out);
	buf_release(&w.arena);
	free(w.old);
	free(w.merged);
	return r;
}
