/*
 * Reading HAMT directories.
 *
 * Entries come in the order of their hashes, so a position is a place in the
 * space of hashes, cut to its first 56 bits, with six bits below to count
 * entries that share those; more than 63 of them are no accident.
 *	bits 62..6  hash >> 8, one more than the largest at the end
 *	bits  5..0  entries of that prefix already given
 */
#include "store/dag_internal.h"
#include "store/error.h"
#include "store/hamt.h"

#include <string.h>

#define KEY_BITS   56
#define COUNT_BITS 6
#define COUNT_MASK ((1u << COUNT_BITS) - 1)

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
	const struct dag_receiver *to;
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
	/*
	 * A shard below the root has entries, or nobody would have made it.  As an
	 * entry fits in one place only, a walk is never longer than what is there:
	 * shards of nothing but each other end at the depth of the hash.
	 */
	if (w->depth && (l->shard.shape.fanout != w->levels[0].shard.shape.fanout ||
			 l->shard.n_links == 0))
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
	return dag_entry_give(w->to, link, name, name_len, behind);
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

uint64_t dag_hamt_pos(uint32_t place)
{
	return (uint64_t)place << (KEY_BITS - 32 + COUNT_BITS);
}

int dag_hamt_list(struct block_source *s, struct dag_node *dir, uint64_t pos,
		  const struct dag_receiver *to, struct misses *misses)
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

int dag_hamt_lookup(struct block_source *s, struct dag_node *dir, const char *name,
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
			return dag_entry_fill(out, &l);
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
