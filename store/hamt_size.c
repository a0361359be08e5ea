#include "store/hamt_size.h"

#include "store/error.h"
#include "store/hamt.h"

struct counting {
	const struct profile *profile;
	int64_t size, enough;
};

static int64_t measure(const struct counting *c, size_t name_len, size_t cid_len,
		       uint64_t tsize)
{
	struct dir_link l = { .name_len = (uint16_t)name_len,
			      .cid_len = (uint8_t)cid_len,
			      .tsize = tsize };

	return (int64_t)dir_link_measure(c->profile, &l);
}

/* The least that a sub-shard can hold: two entries with names of a byte, and
 * CIDs of four, which is identity and nothing in it. */
static int64_t least(const struct counting *c)
{
	return 2 * measure(c, 1, 4, 0);
}

/* Count a shard's own entries, and the least for each of those below it. */
static int count_shard(struct counting *c, const struct dag_node *n)
{
	struct cursor links = n->pb.links;
	struct hamt_shard shard;
	struct dagpb_link l;
	size_t name_len;
	int r = n->raw ? ERR_MALFORMED : hamt_shard_init(&shard, &n->pb, &n->u);

	while (r == 0 && (r = dagpb_next(&links, &l)) > 0) {
		r = hamt_link_bucket(&shard.shape, &l, NULL, &name_len);
		if (r >= 0 && l.hash_len > CID_SIZE_MAX)
			r = ERR_MALFORMED;
		if (r < 0)
			break;
		c->size +=
		    name_len ? measure(c, name_len, l.hash_len, l.tsize) : least(c);
		r = 0;
	}
	return r;
}

/* A shard below the root. */
static int look_below(struct counting *c, struct block_source *s,
		      const struct dagpb_link *l, struct misses *misses)
{
	struct dag_node n;
	struct cid cid;
	int r = dagpb_link_cid(l, &cid);

	if (r == 0)
		r = dag_node_get(s, &cid, &n, misses);
	if (r < 0)
		return r;
	c->size -= least(c);
	r = count_shard(c, &n);
	dag_node_release(&n);
	return r;
}

/*
 * A look at the root and the shards below it.  Of a directory far above any
 * threshold some of them tell.
 */
static int look(struct counting *c, struct block_source *s, const struct dag_node *root,
		struct misses *misses)
{
	struct cursor links = root->pb.links;
	struct hamt_shape shape;
	struct dagpb_link l;
	bool missing = false;
	int r = count_shard(c, root);

	if (r == 0)
		r = hamt_shape_init(&shape, root->u.fanout);
	while (r == 0 && c->size <= c->enough && (r = dagpb_next(&links, &l)) > 0) {
		size_t name_len;

		r = hamt_link_bucket(&shape, &l, NULL, &name_len);
		if (r < 0)
			break;
		r = name_len ? 0 : look_below(c, s, &l, misses);
		if (r == ERR_MISSING && misses && misses->n < misses->max) {
			/* Which others it will take, if all have about as much. */
			c->size += shape.fanout * least(c);
			missing = true;
			r = 0;
		}
	}
	return r == 0 && missing ? ERR_MISSING : r;
}

static int count(void *arg, const struct dag_entry *e, uint64_t pos)
{
	struct counting *c = arg;

	c->size += measure(c, e->name_len, cid_size(&e->cid), e->tsize);
	return c->size > c->enough;
}

int hamt_exceeds(const struct profile *p, struct block_source *s, const struct cid *dir,
		 const struct dag_node *root, int64_t size, struct misses *misses)
{
	const int64_t empty = p->hamt_by_block_size ? 4 : 0;
	struct counting c = { p, empty, size };
	int r = look(&c, s, root, misses);

	if (r < 0)
		return r;
	if (c.size > size)
		return 1;
	/* It is near: count. */
	c.size = empty;
	return c.size > size ? 1 : dag_list(s, dir, 0, count, &c, misses);
}
