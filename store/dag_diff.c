/*
 * Walks two trees together, depth first, with the differing entries of each
 * pair of directories on the way; a pair is one directory where the other tree
 * has none.
 */
#include "store/dag_diff.h"

#include "store/dir_diff.h"
#include "store/error.h"

#include <stdlib.h>
#include <string.h>

#define SOON 64 /* children that the source is told of ahead */

struct pair {
	struct dir_diff diff;
	size_t next;     /* of its entries */
	size_t path_len; /* with the slash behind it */
};

struct walk {
	struct block_source *s;
	struct misses *misses;
	dag_diff_fn each;
	void *arg;
	struct pair *pairs;
	size_t depth, cap;
	size_t held; /* entries of all pairs */
	struct buf path;
};

/* What an entry is; `tsize` is what its link says (NULL: there is no link). */
static int look(struct walk *w, const struct cid *cid, const uint64_t *tsize,
		struct dag_diff_side *out)
{
	struct dag_attr a;
	int r;

	*out = (struct dag_diff_side){ .there = true, .cid = *cid };
	if (cid->codec == CODEC_RAW && tsize) {
		out->type = DAG_FILE;
		out->size = *tsize;
		return 0;
	}
	r = dag_stat(w->s, cid, &a, w->misses);
	if (r == 0) {
		out->type = a.type;
		out->size = a.size;
	}
	/* Not ours to judge here: it differs, and that is all. */
	return r == ERR_MALFORMED || r == -ENOTSUP || r == -EFBIG ? 0 : r;
}

/* The children that will be looked at first. */
static void announce(struct walk *w, const struct pair *p)
{
	struct cid soon[SOON];
	size_t n = 0;

	for (size_t i = 0; i < p->diff.n && n < SOON; i++) {
		struct dir_diff_entry e;

		dir_diff_get(&p->diff, i, &e);
		if (e.cid.codec == CODEC_DAG_PB)
			soon[n++] = e.cid;
	}
	source_soon(w->s, soon, n);
}

/* Go into a pair of directories, whose path is w->path. */
static int enter(struct walk *w, const struct cid *old, const struct cid *new)
{
	struct pair *p;
	int r;

	if (w->depth == DAG_DIFF_DEPTH)
		return -ELOOP;
	if (w->depth == w->cap) {
		size_t cap = w->cap ? 2 * w->cap : 16;

		p = realloc(w->pairs, cap * sizeof *p);
		if (!p)
			return -ENOMEM;
		w->pairs = p;
		w->cap = cap;
	}
	if (w->path.len)
		buf_u8(&w->path, '/');
	p = &w->pairs[w->depth++];
	*p =
	    (struct pair){ .path_len = w->path.len, .diff.max = DAG_DIFF_HELD - w->held };
	r = dir_diff(&p->diff, w->s, old, new, w->misses);
	w->held += p->diff.n;
	if (r < 0)
		return r;
	announce(w, p);
	return w->path.failed ? -ENOMEM : 0;
}

static void leave(struct walk *w)
{
	struct pair *p = &w->pairs[--w->depth];

	w->held -= p->diff.n;
	dir_diff_release(&p->diff);
}

/* One place where the trees differ, at w->path. */
static int differ(struct walk *w, struct dag_diff *d)
{
	const struct cid *old = d->old.type == DAG_DIR ? &d->old.cid : NULL;
	const struct cid *new = d->new.type == DAG_DIR ? &d->new.cid : NULL;
	int r = 1;

	if (!old || !new) {
		buf_u8(&w->path, 0);
		if (w->path.failed)
			return -ENOMEM;
		w->path.len--;
		d->path = (const char *)w->path.data;
		d->path_len = w->path.len;
		d->kind = !d->old.there                ? DAG_ADDED
			  : !d->new.there              ? DAG_REMOVED
			  : d->old.type != d->new.type ? DAG_RETYPED
						       : DAG_CHANGED;
		r = w->each(w->arg, d);
	}
	return r == 1 && (old || new) ? enter(w, old, new) : r < 0 ? r : 0;
}

/* The next entry of the deepest pair. */
static int step(struct walk *w)
{
	struct pair *p = &w->pairs[w->depth - 1];
	struct dir_diff_entry e, other;
	struct dag_diff d = { 0 };
	bool both = false;
	int r = 0;

	if (p->next == p->diff.n) {
		leave(w);
		return 0;
	}
	dir_diff_get(&p->diff, p->next++, &e);
	if (!e.newer && p->next < p->diff.n) {
		dir_diff_get(&p->diff, p->next, &other);
		both = other.newer && other.name_len == e.name_len &&
		       memcmp(other.name, e.name, e.name_len) == 0;
	}
	p->next += both;
	if (both && cid_equal(&e.cid, &other.cid))
		return 0;
	w->path.len = p->path_len;
	buf_append(&w->path, e.name, e.name_len);
	r = look(w, &e.cid, &e.tsize, e.newer ? &d.new : &d.old);
	if (r == 0 && both)
		r = look(w, &other.cid, &other.tsize, &d.new);
	return r < 0 ? r : differ(w, &d);
}

int dag_diff(struct block_source *s, const struct cid *old, const struct cid *new,
	     dag_diff_fn each, void *arg, struct misses *misses)
{
	struct walk w = { .s = s, .misses = misses, .each = each, .arg = arg };
	struct dag_diff d = { 0 };
	int r;

	if (cid_equal(old, new))
		return 0;
	r = look(&w, old, NULL, &d.old);
	if (r == 0)
		r = look(&w, new, NULL, &d.new);
	if (r == 0)
		r = differ(&w, &d);
	while (r == 0 && w.depth)
		r = step(&w);
	while (w.depth)
		leave(&w);
	buf_release(&w.path);
	free(w.pairs);
	return r;
}
