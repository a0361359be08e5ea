/*
 * Reading files.  A walk goes through the leaves of a range in order, down from
 * the root and keeping its place on every level, so each node on the way is
 * looked at once.  Once a block is lacking it only notes what else is.
 */
#include "store/dag_internal.h"
#include "store/error.h"

#include <string.h>

/* Nodes a walk goes through when it only notes: leaves of 8 GiB, in honest trees. */
#define LOOKS_MAX 8192
/* A dag-pb leaf is its bytes and a little more, an inner node at least one link. */
#define LEAF_OVERHEAD_MAX 40

/* An inner node, and how far we are in its children. */
struct level {
	struct block *block;
	struct cursor links, sizes;
	uint64_t at;   /* where the next child begins in the file */
	uint64_t size; /* of the next child, */
	size_t same;   /* and of how many, it included */
};

struct walk {
	struct block_source *s;
	struct misses *misses;
	const struct cid *root; /* NULL once we have been there */
	uint64_t pos, end;      /* still wanted */
	bool noting;            /* leaves are not read, only looked for */
	bool missing;           /* we lacked something that we had to read */
	unsigned looks;
	unsigned depth; /* levels in use */
	struct level levels[DAG_DEPTH_MAX];
};

static void walk_init(struct walk *w, struct block_source *s, const struct cid *root,
		      struct misses *misses, uint64_t offset, uint64_t len)
{
	w->s = s;
	w->root = root;
	w->misses = misses;
	w->pos = offset;
	if (__builtin_add_overflow(offset, len, &w->end))
		w->end = UINT64_MAX;
	w->noting = w->missing = false;
	w->looks = w->depth = 0;
}

static void walk_release(struct walk *w)
{
	while (w->depth)
		block_unref(w->levels[--w->depth].block);
}

static bool nothing_to_note(const struct walk *w)
{
	return !w->misses || w->misses->n == w->misses->max || w->looks >= LOOKS_MAX;
}

/* The next leaf is not read: note it if it is lacking. */
static void look(struct walk *w, const struct cid *cid, uint64_t behind)
{
	if (!source_has(w->s, cid))
		misses_add(w->misses, cid);
	w->pos = behind;
}

/* Give the wanted part of `len` bytes at `data` in `b`, which are at `start`. */
static int give(struct walk *w, struct dag_extent *out, struct block *b,
		const uint8_t *data, uint64_t len, uint64_t start)
{
	uint64_t skip = w->pos - start;
	uint64_t n = len - skip;

	if (n > w->end - w->pos)
		n = w->end - w->pos;
	w->pos += n;
	if (w->noting)
		return 0;
	out->block = block_ref(b);
	out->offset = (size_t)(data - b->data) + (size_t)skip;
	out->len = (size_t)n;
	return 1;
}

/*
 * Read a node that begins at `start`, and go down into it.  1 if it gave an
 * extent, 0 if not (it is lacking, or only has children), or an error.
 */
static int enter(struct walk *w, const struct cid *cid, uint64_t start,
		 const uint64_t *expected, struct dag_extent *out)
{
	struct dag_node n;
	int r = dag_node_get(w->s, cid, &n, w->misses);

	if (r == ERR_MISSING) {
		w->missing = w->noting = true;
		w->pos = expected ? start + *expected : w->end;
		return 0;
	}
	if (r < 0)
		return r;
	if (!dag_node_is_file(&n)) {
		r = expected ? ERR_MALFORMED : dag_node_is_dir(&n) ? -EISDIR : -EINVAL;
		goto out;
	}

	uint64_t size = dag_node_size(&n);
	if (expected && size != *expected) {
		r = ERR_MALFORMED;
		goto out;
	}
	if (!expected && w->end > size)
		w->end = size;
	if (w->pos >= w->end)
		goto out;
	const uint8_t *data = n.raw ? n.block->data : n.u.data;
	uint64_t own = n.raw ? size : n.u.data_len;
	if (w->pos - start < own)
		r = give(w, out, n.block, data, own, start);
	if (n.raw || n.pb.n_links == 0)
		goto out;
	if (w->depth == DAG_DEPTH_MAX) {
		if (r == 1)
			block_unref(out->block);
		r = -ELOOP;
		goto out;
	}
	w->levels[w->depth++] = (struct level){
		.block = n.block, /* handed over */
		.links = n.pb.links,
		.sizes = n.u.blocksizes,
		.at = start + own,
	};
	n.block = NULL;
out:
	dag_node_release(&n);
	return r;
}

/* Skip the children before w->pos.  1 if there is one behind them. */
static int find_child(struct walk *w, struct level *l)
{
	for (;;) {
		if (!l->same && !unixfs_next_sizes(&l->sizes, &l->size, &l->same))
			return 0;

		uint64_t before = l->size ? (w->pos - l->at) / l->size : l->same;
		size_t skip = before < l->same ? (size_t)before : l->same;
		if (dagpb_skip(&l->links, skip) < 0)
			return ERR_MALFORMED;
		l->at += skip * l->size;
		l->same -= skip;
		if (l->same)
			return 1;
	}
}

/* The next child of the deepest level; results as of enter(). */
static int step(struct walk *w, struct dag_extent *out)
{
	struct level *l = &w->levels[w->depth - 1];
	struct dagpb_link link;
	struct cid cid;
	int r = find_child(w, l);

	if (r == 0)
		block_unref(w->levels[--w->depth].block);
	if (r <= 0)
		return r;
	if (dagpb_next(&l->links, &link) <= 0 || dagpb_link_cid(&link, &cid) < 0)
		return ERR_MALFORMED;
	if (link.name_len)
		return ERR_MALFORMED; /* chunks have no names */

	uint64_t start = l->at, size = l->size;
	l->at += size;
	l->same--;
	if (w->noting) {
		w->looks++;
		bool leaf =
		    cid.codec == CODEC_RAW || (size <= BLOCK_MAX && link.tsize >= size &&
					       link.tsize - size < LEAF_OVERHEAD_MAX);
		if (leaf) {
			look(w, &cid, start + size);
			return 0;
		}
	}
	return enter(w, &cid, start, &size, out);
}

/* The next extent: 1, 0 at the end, or an error. */
static int walk_next(struct walk *w, struct dag_extent *out)
{
	int r = 0;

	if (w->root) {
		r = enter(w, w->root, 0, NULL, out);
		w->root = NULL;
	}
	while (r == 0 && w->depth && w->pos < w->end) {
		if (w->noting && nothing_to_note(w))
			break;
		r = step(w, out);
	}
	return r;
}

int dag_map(struct block_source *s, const struct cid *cid, uint64_t offset, size_t len,
	    struct dag_extent *out, int max, struct misses *misses)
{
	struct walk w;
	int n = 0, r = 0;

	walk_init(&w, s, cid, misses, offset, len);
	while (n < max && (r = walk_next(&w, &out[n])) > 0)
		n++;
	walk_release(&w);
	if (r >= 0 && !w.missing)
		return n;
	dag_extents_release(out, n);
	return r < 0 ? r : ERR_MISSING;
}

void dag_extents_release(struct dag_extent *e, int n)
{
	for (int i = 0; i < n; i++)
		block_unref(e[i].block);
}

int64_t dag_read(struct block_source *s, const struct cid *cid, uint64_t offset,
		 void *buf, size_t len, struct misses *misses)
{
	struct dag_extent e;
	struct walk w;
	uint8_t *to = buf;
	int r;

	walk_init(&w, s, cid, misses, offset, len);
	while ((r = walk_next(&w, &e)) > 0) {
		memcpy(to, e.block->data + e.offset, e.len);
		to += e.len;
		block_unref(e.block);
	}
	walk_release(&w);
	if (r < 0)
		return r;
	return w.missing ? ERR_MISSING : to - (uint8_t *)buf;
}

int dag_leaves(struct block_source *s, const struct cid *cid, uint64_t offset,
	       uint64_t len, struct misses *misses)
{
	struct dag_extent unused;
	struct walk w;
	int r;

	if (cid->codec == CODEC_RAW) {
		if (len && !source_has(s, cid))
			misses_add(misses, cid);
		return 0;
	}
	walk_init(&w, s, cid, misses, offset, len);
	w.noting = true;
	r = walk_next(&w, &unused);
	walk_release(&w);
	if (r < 0)
		return r;
	return w.missing ? ERR_MISSING : 0;
}
