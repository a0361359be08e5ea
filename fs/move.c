#include "fs/move.h"

#include "store/buf.h"
#include "store/error.h"

#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

/* An entry of a listing, small, for there may be a million. */
struct item {
	size_t name; /* offset into the names */
	XXH128_hash_t cid;
};

struct items {
	struct buf names;
	struct item *at;
	size_t n, cap;
	bool failed;
};

/* A known directory that changes. */
struct pair {
	uint64_t id;
	struct cid from, to;
	uint64_t parent; /* 0: a root */
	const char *name;
};

struct plan {
	struct move *out;
	struct block_source *source;
	struct misses *misses;
	struct inode_place *places; /* by parent and name */
	size_t n_places;
	struct pair *todo;
	size_t n_todo;
};

static int on_entry(void *arg, const struct dag_entry *e, uint64_t pos)
{
	struct items *l = arg;
	uint8_t bin[CID_SIZE_MAX];
	size_t len = cid_encode(&e->cid, bin);

	if (l->n == l->cap) {
		size_t cap = l->cap ? l->cap * 2 : 64;
		struct item *at = realloc(l->at, cap * sizeof *at);

		if (!at)
			return -ENOMEM;
		l->at = at;
		l->cap = cap;
	}
	l->at[l->n++] = (struct item){ l->names.len, XXH3_128bits(bin, len) };
	buf_append(&l->names, e->name, e->name_len + 1);
	return l->names.failed ? -ENOMEM : 0;
}

static int by_name(const void *a, const void *b, void *names)
{
	const struct item *x = a, *y = b;

	return strcmp((char *)names + x->name, (char *)names + y->name);
}

static int load(struct items *l, struct block_source *s, const struct cid *dir,
		struct misses *misses)
{
	int r = dag_list(s, dir, 0, on_entry, l, misses);

	if (l->n > 1)
		qsort_r(l->at, l->n, sizeof *l->at, by_name, l->names.data);
	return r;
}

static void items_release(struct items *l)
{
	buf_release(&l->names);
	free(l->at);
}

static void *grown(void *array, size_t n, size_t size)
{
	/* Doubled at powers of two. */
	if (n & (n - 1) || (n != 0 && n < 8))
		return array;
	return realloc(array, (n < 8 ? 8 : 2 * n) * size);
}

static int add_move(struct move *m, const struct inode_move *move)
{
	struct inode_move *p = grown(m->moves, m->n_moves, sizeof *p);

	if (!p)
		return -ENOMEM;
	m->moves = p;
	p[m->n_moves++] = *move;
	return 0;
}

static int add_entry(struct move *m, uint64_t dir, const char *name)
{
	struct moved_entry *p = grown(m->entries, m->n_entries, sizeof *p);
	char *copy = strdup(name);

	if (p)
		m->entries = p;
	if (!p || !copy) {
		free(copy);
		return -ENOMEM;
	}
	p[m->n_entries++] = (struct moved_entry){ dir, copy };
	return 0;
}

static int add_pair(struct plan *p, const struct pair *pair)
{
	struct pair *todo = grown(p->todo, p->n_todo, sizeof *todo);

	if (!todo)
		return -ENOMEM;
	p->todo = todo;
	todo[p->n_todo++] = *pair;
	return 0;
}

static int by_place(const void *a, const void *b)
{
	const struct inode_place *x = a, *y = b;

	if (x->parent != y->parent)
		return x->parent < y->parent ? -1 : 1;
	return strcmp(x->name, y->name);
}

static const struct inode_place *place_of(struct plan *p, uint64_t dir, const char *name)
{
	struct inode_place key = { .parent = dir, .name = (char *)name };

	return bsearch(&key, p->places, p->n_places, sizeof key, by_place);
}

/*
 * The entry `name` of a directory differs.  If the kernel knows a directory
 * there, and there is one still, it lives on; anything else is looked up anew.
 */
static int change(struct plan *p, const struct pair *dir, const char *name, bool still)
{
	const struct inode_place *known = place_of(p, dir->id, name);
	struct dag_attr a;
	struct dag_entry e;
	int r;

	if (known && still) {
		r = dag_lookup(p->source, &dir->to, name, strlen(name), &e, p->misses);
		if (r == 0)
			r = dag_stat(p->source, &e.cid, &a, p->misses);
		if (r == ERR_MISSING || r == -ENOMEM)
			return r;
		if (r == 0 && a.type == DAG_DIR) {
			struct pair sub = { known->id, known->cid, e.cid, dir->id,
					    known->name };

			return add_pair(p, &sub);
		}
	}
	if (known) {
		r = add_move(p->out,
			     &(struct inode_move){ .id = known->id, .gone = true });
		if (r < 0)
			return r;
	}
	return add_entry(p->out, dir->id, name);
}

static int diff(struct plan *p, const struct pair *dir, const struct items *old,
		const struct items *new)
{
	size_t i = 0, k = 0;
	int missing = 0;

	while (i < old->n || k < new->n) {
		const char *a =
		    i < old->n ? (char *)old->names.data + old->at[i].name : NULL;
		const char *b =
		    k < new->n ? (char *)new->names.data + new->at[k].name : NULL;
		int cmp = !a ? 1 : !b ? -1 : strcmp(a, b);
		bool same = cmp == 0 && XXH128_isEqual(old->at[i].cid, new->at[k].cid);
		int r = same ? 0 : change(p, dir, cmp < 0 ? a : b, cmp >= 0);

		if (r == ERR_MISSING)
			missing =
			    r; /* the others may lack something too: one round trip */
		else if (r < 0)
			return r;
		i += cmp <= 0;
		k += cmp >= 0;
	}
	return missing;
}

static int move_dir(struct plan *p, const struct pair *dir)
{
	struct items old = { .n = 0 }, new = { .n = 0 };
	struct inode_move move = { .id = dir->id, .cid = dir->to };
	int r = dag_stat(p->source, &dir->to, &move.attr, p->misses);

	if (r == 0 && move.attr.type != DAG_DIR)
		r = -ENOTDIR;
	if (r == 0)
		r = load(&new, p->source, &dir->to, p->misses);
	if (r < 0)
		goto out;
	r = load(&old, p->source, &dir->from, NULL);
	if (r == -ENOMEM)
		goto out;
	if (r < 0 && dir->parent) {
		/* What the kernel knows of it cannot be said: let it go as a whole. */
		move.gone = true;
		r = add_entry(p->out, dir->parent, dir->name);
	} else {
		r = diff(p, dir, &old, &new);
	}
	if (r == 0)
		r = add_move(p->out, &move);
out:
	items_release(&old);
	items_release(&new);
	return r;
}

int move_plan(struct move *out, struct block_source *s, struct inodes *t,
	      const uint64_t *roots, size_t n_roots, const struct cid *to,
	      struct misses *misses)
{
	struct plan p = { .out = out, .source = s, .misses = misses };
	int r, missing = 0;

	*out = (struct move){ .n_moves = 0 };
	r = inodes_places(t, &p.places, &p.n_places);
	if (r < 0)
		return r;
	qsort(p.places, p.n_places, sizeof *p.places, by_place);
	for (size_t i = 0; i < p.n_places && r == 0; i++) {
		for (size_t k = 0; k < n_roots && r == 0; k++) {
			struct pair root = { roots[k], p.places[i].cid, *to, 0, NULL };

			if (p.places[i].id == roots[k] && !cid_equal(&root.from, to))
				r = add_pair(&p, &root);
		}
	}
	while (p.n_todo > 0 && r == 0) {
		struct pair dir = p.todo[--p.n_todo];

		r = move_dir(&p, &dir);
		if (r == ERR_MISSING && misses && misses->n < misses->max) {
			missing = r;
			r = 0;
		}
	}
	if (r == 0)
		r = missing;
	if (r < 0)
		move_release(out);
	free(p.todo);
	inode_places_free(p.places, p.n_places);
	return r;
}

void move_release(struct move *m)
{
	for (size_t i = 0; i < m->n_entries; i++)
		free(m->entries[i].name);
	free(m->entries);
	free(m->moves);
	*m = (struct move){ .n_moves = 0 };
}
