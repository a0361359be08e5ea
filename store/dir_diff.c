#include "store/dir_diff.h"

#include "store/dag_internal.h"
#include "store/error.h"
#include "store/hamt.h"

#include <stdlib.h>
#include <string.h>

/* An entry in the arena: a head, its name, its CID. */
struct packed {
	uint64_t tsize;
	uint16_t name_len;
	uint8_t cid_len;
	bool newer;
};

static int add(struct dir_diff *d, bool newer, const char *name, size_t name_len,
	       const uint8_t *cid, size_t cid_len, uint64_t tsize)
{
	struct packed head = { tsize, (uint16_t)name_len, (uint8_t)cid_len, newer };

	if (!dag_name_ok(name, name_len))
		return 0; /* as in a listing */
	if (d->n == d->max)
		return -EOVERFLOW;
	if (d->n == d->cap) {
		size_t cap = d->cap ? d->cap + d->cap / 2 : 64;
		size_t *at = realloc(d->at, cap * sizeof *at);

		if (!at)
			return -ENOMEM;
		d->at = at;
		d->cap = cap;
	}
	d->at[d->n++] = d->arena.len;
	buf_append(&d->arena, &head, sizeof head);
	buf_append(&d->arena, name, name_len);
	buf_append(&d->arena, cid, cid_len);
	return d->arena.failed ? -ENOMEM : 0;
}

struct adding {
	struct dir_diff *d;
	bool newer;
};

static int add_listed(void *arg, const struct dag_entry *e, uint64_t pos)
{
	struct adding *a = arg;
	uint8_t cid[CID_SIZE_MAX];

	return add(a->d, a->newer, e->name, e->name_len, cid, cid_encode(&e->cid, cid),
		   e->tsize);
}

static int add_all(struct dir_diff *d, struct block_source *s, const struct cid *dir,
		   bool newer, struct misses *misses)
{
	struct adding a = { d, newer };

	return dag_list(s, dir, 0, add_listed, &a, misses);
}

/* A link of a shard; of another shard if there is no name. */
struct shard_link {
	unsigned bucket;
	const char *name;
	size_t name_len;
	const uint8_t *cid;
	size_t cid_len;
	uint64_t tsize;
};

/*
 * One side of a pair on the way down: a shard, or an entry that stands where
 * the other side has a shard, as if it were in one of its own; or nothing.
 */
struct side {
	struct dag_node node; /* block is NULL if it is no shard */
	struct cursor links;
	struct hamt_shard shard;
	bool more;
	struct shard_link link; /* the next, if there is more */
};

struct comparing {
	struct dir_diff *d;
	struct block_source *s;
	struct misses *misses;
	struct hamt_shape shape;
	unsigned depth; /* levels in use */
	struct {
		struct side sides[2]; /* older, newer */
		uint64_t key;         /* the buckets that led here */
	} levels[HAMT_DEPTH_MAX];
};

static int next_link(struct comparing *c, struct side *side, unsigned level)
{
	const unsigned below = 64 - c->shape.bits * (level + 1);
	unsigned least = side->more ? side->link.bucket + 1 : 0;
	struct shard_link *l = &side->link;
	struct dagpb_link link;
	uint64_t here;

	side->more = false;
	if (!side->node.block)
		return 0;
	int r = dagpb_next(&side->links, &link);
	if (r <= 0)
		return r;
	r = hamt_link_bucket(&c->shape, &link, &l->name, &l->name_len);
	if (r < 0)
		return r;
	if ((unsigned)r < least || !hamt_shard_has(&side->shard, (unsigned)r) ||
	    link.hash_len > CID_SIZE_MAX || l->name_len > UINT16_MAX)
		return ERR_MALFORMED;
	l->bucket = (unsigned)r;
	l->cid = link.hash;
	l->cid_len = link.hash_len;
	l->tsize = link.tsize;
	here = c->levels[level].key << c->shape.bits | l->bucket;
	if (l->name_len && hamt_hash(l->name, l->name_len) >> below != here)
		return ERR_MALFORMED; /* it would not be found here */
	side->more = true;
	return 0;
}

/* Take the side of a level that is a shard.  Takes n's block. */
static int open_shard(struct comparing *c, struct side *side, unsigned level,
		      struct dag_node *n)
{
	int r = n->raw ? ERR_MALFORMED : hamt_shard_init(&side->shard, &n->pb, &n->u);

	if (r < 0)
		return r;
	if (level == 0)
		c->shape = side->shard.shape;
	if (side->shard.shape.fanout != c->shape.fanout || (level && !n->pb.n_links))
		return ERR_MALFORMED;
	side->node = *n;
	n->block = NULL; /* handed over */
	side->links = side->node.pb.links;
	side->more = false;
	return next_link(c, side, level);
}

/* Go down on one side, into what it has in a bucket. */
static int enter(struct comparing *c, struct side *side, unsigned level,
		 const struct shard_link *l)
{
	struct dag_node n;
	struct cid cid;
	int r;

	*side = (struct side){ 0 };
	if (!l)
		return 0;
	if (l->name_len) {
		side->link = *l;
		side->link.bucket =
		    hamt_bucket(&c->shape, hamt_hash(l->name, l->name_len), level);
		side->more = true;
		return 0;
	}
	if (cid_decode(&cid, l->cid, l->cid_len) < 0)
		return ERR_MALFORMED;
	r = dag_node_get(c->s, &cid, &n, c->misses);
	if (r < 0)
		return r;
	r = open_shard(c, side, level, &n);
	dag_node_release(&n);
	return r;
}

static bool same_cid(const struct shard_link *a, const struct shard_link *b)
{
	return a->cid_len == b->cid_len && memcmp(a->cid, b->cid, a->cid_len) == 0;
}

static bool same_name(const struct shard_link *a, const struct shard_link *b)
{
	return a->name_len == b->name_len && memcmp(a->name, b->name, a->name_len) == 0;
}

/* What the two sides have in one bucket; NULL is nothing. */
static int compare_bucket(struct comparing *c, const struct shard_link *a,
			  const struct shard_link *b, unsigned bucket)
{
	const struct shard_link *both[2] = { a, b };
	unsigned level = c->depth;
	int r = 0;

	if (a && b && same_cid(a, b) && same_name(a, b))
		return 0;
	if ((a && !a->name_len) || (b && !b->name_len)) {
		if (level == c->shape.levels)
			return -ELOOP;
		c->levels[level].key = c->levels[level - 1].key << c->shape.bits | bucket;
		c->levels[level].sides[0] = c->levels[level].sides[1] =
		    (struct side){ 0 };
		c->depth++;
		r = enter(c, &c->levels[level].sides[0], level, a);
		return r < 0 ? r : enter(c, &c->levels[level].sides[1], level, b);
	}
	for (int i = 0; i < 2 && r == 0; i++)
		if (both[i])
			r = add(c->d, i == 1, both[i]->name, both[i]->name_len,
				both[i]->cid, both[i]->cid_len, both[i]->tsize);
	return r;
}

static int step(struct comparing *c)
{
	unsigned level = c->depth - 1, bucket = ~0u;
	struct side *sides = c->levels[level].sides;
	struct shard_link links[2];
	bool has[2];
	int r = 0;

	for (int i = 0; i < 2; i++)
		if (sides[i].more && sides[i].link.bucket < bucket)
			bucket = sides[i].link.bucket;
	if (bucket == ~0u) {
		c->depth--;
		for (int i = 0; i < 2; i++)
			dag_node_release(&sides[i].node);
		return 0;
	}
	for (int i = 0; i < 2 && r == 0; i++) {
		has[i] = sides[i].more && sides[i].link.bucket == bucket;
		links[i] = sides[i].link;
		if (has[i])
			r = next_link(c, &sides[i], level);
	}
	return r < 0 ? r
		     : compare_bucket(c, has[0] ? &links[0] : NULL,
				      has[1] ? &links[1] : NULL, bucket);
}

/* Two HAMTs of one fanout.  May take the nodes' blocks. */
static int compare_hamts(struct dir_diff *d, struct block_source *s, struct dag_node *a,
			 struct dag_node *b, struct misses *misses)
{
	struct comparing *c = calloc(1, sizeof *c);
	int r;

	if (!c)
		return -ENOMEM;
	c->d = d;
	c->s = s;
	c->misses = misses;
	c->depth = 1;
	r = open_shard(c, &c->levels[0].sides[0], 0, a);
	if (r == 0)
		r = open_shard(c, &c->levels[0].sides[1], 0, b);
	while (r == 0 && c->depth)
		r = step(c);
	for (; c->depth; c->depth--)
		for (int i = 0; i < 2; i++)
			dag_node_release(&c->levels[c->depth - 1].sides[i].node);
	free(c);
	return r;
}

static int compare_both(struct dir_diff *d, struct block_source *s, const struct cid *old,
			const struct cid *new, struct misses *misses)
{
	struct dag_node a = { 0 }, b = { 0 };
	int r = dag_node_get(s, old, &a, misses);

	if (r == 0)
		r = dag_node_get(s, new, &b, misses);
	if (r == 0 && (!dag_node_is_dir(&a) || !dag_node_is_dir(&b)))
		r = -ENOTDIR;
	bool hamts = r == 0 && a.u.type == UNIXFS_HAMT_SHARD &&
		     b.u.type == UNIXFS_HAMT_SHARD && a.u.fanout == b.u.fanout;
	if (hamts)
		r = compare_hamts(d, s, &a, &b, misses);
	dag_node_release(&a);
	dag_node_release(&b);
	if (r == 0 && !hamts)
		r = add_all(d, s, old, false, misses);
	if (r == 0 && !hamts)
		r = add_all(d, s, new, true, misses);
	return r;
}

static int compare_entries(const void *x, const void *y, void *arena)
{
	const uint8_t *p = (const uint8_t *)arena + *(const size_t *)x,
		      *q = (const uint8_t *)arena + *(const size_t *)y;
	struct packed a, b;

	memcpy(&a, p, sizeof a);
	memcpy(&b, q, sizeof b);
	int r = memcmp(p + sizeof a, q + sizeof b,
		       a.name_len < b.name_len ? a.name_len : b.name_len);
	if (r == 0)
		r = (int)a.name_len - (int)b.name_len;
	return r ? r : (int)a.newer - (int)b.newer;
}

int dir_diff(struct dir_diff *d, struct block_source *s, const struct cid *old,
	     const struct cid *new, struct misses *misses)
{
	int r = old && new ? compare_both(d, s, old, new, misses)
			   : add_all(d, s, old ? old : new, !old, misses);

	if (r == 0 && d->n > 1)
		qsort_r(d->at, d->n, sizeof *d->at, compare_entries, d->arena.data);
	return r;
}

void dir_diff_get(const struct dir_diff *d, size_t i, struct dir_diff_entry *out)
{
	const uint8_t *p = d->arena.data + d->at[i];
	struct packed head;

	memcpy(&head, p, sizeof head);
	p += sizeof head;
	out->newer = head.newer;
	out->name = (const char *)p;
	out->name_len = head.name_len;
	out->tsize = head.tsize;
	/* A link whose CID is none is as good as one of a codec that nobody knows. */
	if (cid_decode(&out->cid, p + head.name_len, head.cid_len) < 0)
		out->cid = (struct cid){ .version = 1 };
}

void dir_diff_release(struct dir_diff *d)
{
	buf_release(&d->arena);
	free(d->at);
	*d = (struct dir_diff){ 0 };
}
