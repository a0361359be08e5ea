/*
 * Reading directories, plain and HAMT.
 *
 * Positions.  In a plain directory: the number of links passed.  In a HAMT:
 * entries come in the order of their hashes, so a position is a place in the
 * space of hashes, cut to its first 56 bits, with six bits below to count
 * entries that share those; more than 63 of them are no accident.
 *	bits 62..6  hash >> 8, one more than the largest at the end
 *	bits  5..0  entries of that prefix already given
 */
#include "store/dag_internal.h"
#include "store/error.h"
#include "store/hamt.h"

#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#define KEY_BITS   56
#define COUNT_BITS 6
#define COUNT_MASK ((1u << COUNT_BITS) - 1)

/* ---- plain directories ---- */

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

/* What a link says, in the form it is given to callers. */
static int fill(struct dag_entry *e, const struct dagpb_link *l)
{
	*e = (struct dag_entry){ .tsize = l->tsize };
	return dagpb_link_cid(l, &e->cid);
}

struct receiver {
	dag_each_fn each;
	void *arg;
};

static int hand_out(const struct receiver *to, const struct dagpb_link *l,
		    const char *name, size_t name_len, uint64_t pos_behind)
{
	char text[NAME_MAX_BYTES + 1];
	struct dag_entry e;
	int r = fill(&e, l);

	if (r < 0)
		return r;
	memcpy(text, name, name_len);
	text[name_len] = '\0';
	e.name = text;
	e.name_len = name_len;
	return to->each(to->arg, &e, pos_behind);
}

static int list_plain(const struct dag_node *dir, uint64_t pos, const struct receiver *to)
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
			r = hand_out(to, &l, l.name, l.name_len, i + 1);
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
			return fill(out, &l);
	return r < 0 ? r : -ENOENT;
}

/* ---- HAMT directories ---- */

/* Shards looked at after one was lacking, to find others that are. */
#define LOOKS_MAX 1024

struct level {
	struct block *block;
	struct hamt_shard shard;
	unsigned next; /* the least bucket the next link may have */
	uint64_t key;  /* the bits of the hash that led here, at the top */
};

struct listing {
	struct block_source *s;
	struct misses *misses;
	const struct receiver *to;
	uint64_t from;  /* the first 56-bit prefix wanted */
	unsigned skip;  /* entries of that prefix to leave out */
	uint64_t group; /* the 56-bit prefix we are in, */
	unsigned count; /* and its entries so far, of levels that are below it */
	bool noting;    /* a shard was lacking: only look for others */
	unsigned looks;
	unsigned depth; /* levels in use */
	struct level levels[HAMT_DEPTH_MAX];
};

/* How many bits of a hash are below the bucket of a shard at `level`. */
static unsigned bits_below(const struct hamt_shape *shape, unsigned level)
{
	return 64 - shape->bits * (level + 1);
}

/* Go down into a shard, to the first of its links that is wanted.  Takes n's block. */
static int push(struct listing *w, struct dag_node *n, uint64_t key)
{
	struct level *l = &w->levels[w->depth];
	int r = n->raw ? ERR_MALFORMED : hamt_shard_init(&l->shard, &n->pb, &n->u);

	if (r < 0)
		return r;
	if (w->depth && l->shard.shape.fanout != w->levels[0].shard.shape.fanout)
		return ERR_MALFORMED;

	uint64_t from = w->from << (64 - KEY_BITS);
	l->next = 0;
	if (from > key)
		l->next = hamt_bucket(&l->shard.shape, from, w->depth);
	r = dagpb_skip(&l->shard.links, hamt_shard_rank(&l->shard, l->next));
	if (r < 0)
		return r;
	l->key = key;
	l->block = n->block;
	n->block = NULL; /* handed over */
	w->depth++;
	return 0;
}

static int push_child(struct listing *w, const struct dagpb_link *link, uint64_t key)
{
	struct dag_node n;
	struct cid cid;

	if (w->depth == w->levels[0].shard.shape.levels)
		return -ELOOP;
	if (dagpb_link_cid(link, &cid) < 0)
		return ERR_MALFORMED;
	if (w->noting)
		w->looks++;
	int r = dag_node_get(w->s, &cid, &n, w->misses);
	if (r == ERR_MISSING) {
		w->noting = true;
		return 0;
	}
	if (r == 0)
		r = push(w, &n, key);
	dag_node_release(&n);
	return r;
}

/* An entry, whose bucket leaves `below` bits of the hash open. */
static int entry(struct listing *w, const struct dagpb_link *link, const char *name,
		 size_t name_len, uint64_t key, unsigned below)
{
	uint64_t prefix = key >> (64 - KEY_BITS), behind;

	if (hamt_hash(name, name_len) >> below != key >> below)
		return ERR_MALFORMED; /* it would not be found here */
	if (below >= 64 - KEY_BITS) {
		behind = (prefix + (1ull << (below - (64 - KEY_BITS)))) << COUNT_BITS;
	} else {
		if (prefix != w->group) {
			w->group = prefix;
			w->count = 0;
		}
		if (++w->count > COUNT_MASK)
			return ERR_MALFORMED;
		if (prefix == w->from && w->count <= w->skip)
			return 0;
		behind = prefix << COUNT_BITS | w->count;
	}
	if (w->noting || !dag_name_ok(name, name_len))
		return 0;
	return hand_out(w->to, link, name, name_len, behind);
}

/* The next link of the deepest shard. */
static int step(struct listing *w)
{
	unsigned level = w->depth - 1;
	struct level *l = &w->levels[level];
	struct dagpb_link link;
	const char *name;
	size_t name_len;

	int r = dagpb_next(&l->shard.links, &link);
	if (r == 0)
		block_unref(w->levels[--w->depth].block);
	if (r <= 0)
		return r;
	int bucket = hamt_link_bucket(&l->shard.shape, &link, &name, &name_len);
	if (bucket < 0)
		return bucket;
	if ((unsigned)bucket < l->next || !hamt_shard_has(&l->shard, (unsigned)bucket))
		return ERR_MALFORMED;
	l->next = (unsigned)bucket + 1;

	unsigned below = bits_below(&l->shard.shape, level);
	uint64_t key = l->key | (uint64_t)bucket << below;
	return name_len ? entry(w, &link, name, name_len, key, below)
			: push_child(w, &link, key);
}

static int list_hamt(struct block_source *s, struct dag_node *dir, uint64_t pos,
		     const struct receiver *to, struct misses *misses)
{
	struct listing w = { .s = s,
			     .misses = misses,
			     .to = to,
			     .from = pos >> COUNT_BITS,
			     .skip = pos & COUNT_MASK,
			     .group = UINT64_MAX };
	int r;

	if (w.from >> KEY_BITS)
		return 0; /* the end */
	r = push(&w, dir, 0);
	while (r == 0 && w.depth) {
		if (w.noting &&
		    (!misses || misses->n == misses->max || w.looks == LOOKS_MAX))
			break;
		r = step(&w);
	}
	while (w.depth)
		block_unref(w.levels[--w.depth].block);
	return r == 0 && w.noting ? ERR_MISSING : r;
}

static int lookup_hamt(struct block_source *s, struct dag_node *dir, const char *name,
		       size_t name_len, struct dag_entry *out, struct misses *misses)
{
	uint64_t hash = hamt_hash(name, name_len);
	struct hamt_shape root;

	for (unsigned level = 0;; level++) {
		struct hamt_shard shard;
		struct dagpb_link l;
		const char *found;
		size_t found_len;
		struct cid child;

		int r =
		    dir->raw ? ERR_MALFORMED : hamt_shard_init(&shard, &dir->pb, &dir->u);
		if (r < 0)
			return r;
		if (level == 0)
			root = shard.shape;
		if (shard.shape.fanout != root.fanout)
			return ERR_MALFORMED;
		if (level == root.levels)
			return -ELOOP;

		unsigned bucket = hamt_bucket(&root, hash, level);
		if (!hamt_shard_has(&shard, bucket))
			return -ENOENT;
		if (dagpb_skip(&shard.links, hamt_shard_rank(&shard, bucket)) < 0 ||
		    dagpb_next(&shard.links, &l) <= 0)
			return ERR_MALFORMED;
		if (hamt_link_bucket(&root, &l, &found, &found_len) != (int)bucket)
			return ERR_MALFORMED;
		if (found_len == name_len && memcmp(found, name, name_len) == 0)
			return fill(out, &l);
		if (found_len)
			return -ENOENT;
		if (dagpb_link_cid(&l, &child) < 0)
			return ERR_MALFORMED;
		dag_node_release(dir);
		r = dag_node_get(s, &child, dir, misses);
		if (r < 0)
			return r;
	}
}

/* ---- both ---- */

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
		r = lookup_hamt(s, &n, name, name_len, out, misses);
	else
		r = lookup_plain(&n, name, name_len, out);
	dag_node_release(&n);
	return r;
}

int dag_list(struct block_source *s, const struct cid *dir, uint64_t pos,
	     dag_each_fn each, void *arg, struct misses *misses)
{
	const struct receiver to = { .each = each, .arg = arg };
	struct dag_node n;
	int r = get_dir(s, dir, &n, misses);

	if (r < 0)
		return r;
	if (n.u.type == UNIXFS_HAMT_SHARD)
		r = list_hamt(s, &n, pos, &to, misses);
	else
		r = list_plain(&n, pos, &to);
	dag_node_release(&n);
	return r;
}
