/*
 * Reading directories.  Plain ones here, where a position is the number of
 * links passed; dag_hamt.c has the others.
 */
#include "store/dag_internal.h"
#include "store/error.h"
#include "store/hamt.h"
#include "store/xxh3.h"

#include <stdlib.h>
#include <string.h>

/*
 * Finds a second entry of one name.  Honest directories are sorted, where the
 * name before is enough; in others all names are kept in a table, made when
 * the first one out of order comes.
 */
struct names {
	const struct dag_node *dir;
	const char *last; /* NULL before the first */
	size_t last_len;
	uint32_t *table; /* offsets of links in the block, plus 1; 0: free */
	size_t mask;
	uint64_t seed;
};

static int compare_names(const char *a, size_t a_len, const char *b, size_t b_len)
{
	int r = memcmp(a, b, a_len < b_len ? a_len : b_len);

	return r ? r : (a_len > b_len) - (a_len < b_len);
}

/* Put the name of the link at `at` into the table: 1 if it is new, 0 if not. */
static int table_add(struct names *n, const struct dagpb_link *l, const uint8_t *at)
{
	const uint8_t *block = n->dir->block->data;
	size_t i = XXH3_64bits_withSeed(l->name, l->name_len, n->seed);

	for (i &= n->mask; n->table[i]; i = (i + 1) & n->mask) {
		struct cursor in = n->dir->pb.links;
		struct dagpb_link other;
		in.p = block + n->table[i] - 1;
		if (dagpb_next(&in, &other) <= 0)
			return ERR_MALFORMED;
		if (compare_names(l->name, l->name_len, other.name, other.name_len) == 0)
			return 0;
	}
	n->table[i] = (uint32_t)(at - block) + 1;
	return 1;
}

/* A table of all good names before the link at `end`. */
static int table_make(struct names *n, const uint8_t *end)
{
	struct cursor in = n->dir->pb.links;
	size_t size = 16;

	while (size < 2 * n->dir->pb.n_links)
		size *= 2;
	n->table = calloc(size, sizeof *n->table);
	if (!n->table)
		return -ENOMEM;
	n->mask = size - 1;
	/* Whoever chose the names cannot choose their hash as well. */
	memcpy(&n->seed, n->dir->block->name.digest, sizeof n->seed);
	while (in.p < end) {
		const uint8_t *at = in.p;
		struct dagpb_link l;
		if (dagpb_next(&in, &l) <= 0)
			return ERR_MALFORMED;
		if (!dag_name_ok(l.name, l.name_len))
			continue;
		int r = table_add(n, &l, at);
		if (r < 0)
			return r;
	}
	return 0;
}

/* 1 if no link before this one has its name, 0 if one has. */
static int names_add(struct names *n, const struct dagpb_link *l, const uint8_t *at)
{
	int r = 1;

	if (n->last && !n->table) {
		int order = compare_names(n->last, n->last_len, l->name, l->name_len);
		if (order == 0)
			return 0;
		if (order > 0)
			r = table_make(n, at);
		if (r < 0)
			return r;
	}
	n->last = l->name;
	n->last_len = l->name_len;
	return n->table ? table_add(n, l, at) : 1;
}

int dag_entry_fill(struct dag_entry *e, const struct dagpb_link *l)
{
	*e = (struct dag_entry){ .tsize = l->tsize };
	return dagpb_link_cid(l, &e->cid);
}

int dag_entry_give(const struct dag_receiver *to, const struct dagpb_link *l,
		   const char *name, size_t name_len, uint64_t pos_behind)
{
	char text[NAME_MAX_BYTES + 1];
	struct dag_entry e;
	int r = dag_entry_fill(&e, l);

	if (r < 0)
		return r;
	memcpy(text, name, name_len);
	text[name_len] = '\0';
	e.name = text;
	e.name_len = name_len;
	return to->each(to->arg, &e, pos_behind);
}

static int list_plain(const struct dag_node *dir, uint64_t pos,
		      const struct dag_receiver *to)
{
	struct names names = { .dir = dir };
	struct cursor in = dir->pb.links;
	struct dagpb_link l;
	int r = 0;

	/* Also from the middle all names are seen, to know a second one of them. */
	for (uint64_t i = 0; i < dir->pb.n_links && r == 0; i++) {
		const uint8_t *at = in.p;
		if (dagpb_next(&in, &l) <= 0) {
			r = ERR_MALFORMED;
			break;
		}
		if (!dag_name_ok(l.name, l.name_len))
			continue;
		r = names_add(&names, &l, at);
		if (r < 0)
			break;
		bool first = r > 0;
		r = 0;
		if (first && i >= pos)
			r = dag_entry_give(to, &l, l.name, l.name_len, i + 1);
	}
	free(names.table);
	return r;
}

static int lookup_plain(const struct dag_node *dir, const char *name, size_t name_len,
			struct dag_entry *out)
{
	struct cursor in = dir->pb.links;
	struct dagpb_link l;
	int r;

	while ((r = dagpb_next(&in, &l)) > 0)
		if (l.name_len == name_len && memcmp(l.name, name, name_len) == 0)
			return dag_entry_fill(out, &l);
	return r < 0 ? r : -ENOENT;
}

static int get_dir(struct block_source *s, const struct cid *cid, struct dag_node *out,
		   struct misses *misses)
{
	int r = dag_node_get(s, cid, out, misses);

	if (r == 0 && !dag_node_is_dir(out)) {
		dag_node_release(out);
		r = -ENOTDIR;
	}
	return r;
}

int dag_lookup(struct block_source *s, const struct cid *dir, const char *name,
	       size_t name_len, struct dag_entry *out, struct misses *misses)
{
	struct dag_node n;
	int r = get_dir(s, dir, &n, misses);

	if (r < 0)
		return r;
	if (!dag_name_ok(name, name_len))
		r = -ENOENT; /* and what listing leaves out is not found */
	else if (n.u.type == UNIXFS_HAMT_SHARD)
		r = dag_hamt_lookup(s, &n, name, name_len, out, misses);
	else
		r = lookup_plain(&n, name, name_len, out);
	dag_node_release(&n);
	return r;
}

int dag_list(struct block_source *s, const struct cid *dir, uint64_t pos,
	     dag_each_fn each, void *arg, struct misses *misses)
{
	const struct dag_receiver to = { .each = each, .arg = arg };
	struct dag_node n;
	int r = get_dir(s, dir, &n, misses);

	if (r < 0)
		return r;
	if (n.u.type == UNIXFS_HAMT_SHARD)
		r = dag_hamt_list(s, &n, pos, &to, misses);
	else
		r = list_plain(&n, pos, &to);
	dag_node_release(&n);
	return r;
}

/* ---- by place ---- */

struct placed {
	const struct dag_receiver *to;
	uint32_t place;
	bool ordered, past; /* by place; and all that have it have been */
};

uint32_t dag_place(const char *name, size_t name_len)
{
	return (uint32_t)(hamt_hash(name, name_len) >> 32);
}

static int on_placed(void *arg, const struct dag_entry *e, uint64_t pos_behind)
{
	struct placed *p = arg;

	if (dag_place(e->name, e->name_len) == p->place)
		return p->to->each(p->to->arg, e, pos_behind);
	p->past = p->ordered;
	return p->past;
}

int dag_list_at(struct block_source *s, const struct cid *dir, uint32_t place,
		dag_each_fn each, void *arg, struct misses *misses)
{
	const struct dag_receiver wanted = { .each = each, .arg = arg };
	struct placed p = { .to = &wanted, .place = place };
	const struct dag_receiver to = { .each = on_placed, .arg = &p };
	struct dag_node n;
	int r = get_dir(s, dir, &n, misses);

	if (r < 0)
		return r;
	p.ordered = n.u.type == UNIXFS_HAMT_SHARD;
	if (p.ordered)
		r = dag_hamt_list(s, &n, dag_hamt_pos(place), &to, misses);
	else
		r = list_plain(&n, 0, &to);
	dag_node_release(&n);
	return p.past ? 0 : r;
}
