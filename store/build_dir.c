#include "store/build_dir.h"

#include "store/dag.h"
#include "store/dagpb.h"
#include "store/error.h"
#include "store/hamt.h"

#include <stdlib.h>
#include <string.h>

int dir_link_compare(const struct dir_link *a, const struct dir_link *b)
{
	size_t n = a->name_len < b->name_len ? a->name_len : b->name_len;
	int c = memcmp(a->name, b->name, n);

	return c ? c : (int)a->name_len - (int)b->name_len;
}

static int compare_names(const void *x, const void *y)
{
	return dir_link_compare(x, y);
}

uint64_t dir_link_measure(const struct profile *p, const struct dir_link *l)
{
	return p->hamt_by_block_size ? dagpb_link_size(l->cid_len, l->name_len, l->tsize)
				     : (uint64_t)l->name_len + l->cid_len;
}

static struct dir_link link_at(const struct dir_links *links, size_t i)
{
	struct dir_link l;

	links->get(links->arg, i, &l);
	return l;
}

static bool wants_hamt(const struct profile *p, const struct dir_links *links,
		       size_t attributes)
{
	/* 4: the empty directory */
	uint64_t size = p->hamt_by_block_size ? 4 + attributes : 0;

	for (size_t i = 0; i < links->n; i++) {
		struct dir_link l = link_at(links, i);

		size += dir_link_measure(p, &l);
	}
	return size > p->hamt_threshold;
}

static int put_link(struct buf *block, const char *name, size_t name_len,
		    const struct dir_link *l)
{
	struct cid cid;
	int r = cid_decode(&cid, l->cid, l->cid_len);

	if (r == 0)
		dagpb_put_link(block, &cid, name, name_len, l->tsize);
	return r;
}

static int put_plain(const struct profile *p, struct block_sink *sink,
		     const struct dir_links *links, const struct unixfs_meta *meta,
		     struct built *out)
{
	struct unixfs u = { .type = UNIXFS_DIRECTORY };
	struct buf block = { 0 };
	uint64_t below = 0;
	int r = 0;

	unixfs_set_meta(&u, meta);
	for (size_t i = 0; i < links->n && r == 0; i++) {
		struct dir_link l = link_at(links, i);

		r = put_link(&block, l.name, l.name_len, &l);
		below = tsize_sum(below, l.tsize);
	}
	if (r == 0)
		r = sink_put_node(sink, p, &block, &u, NULL, 0, &out->cid);
	out->tsize = tsize_sum(below, block.len);
	buf_release(&block);
	return r;
}

struct hashed {
	uint64_t hash;
	uint32_t index;
};

static int compare_hashes(const void *x, const void *y)
{
	const struct hashed *a = x, *b = y;

	return a->hash < b->hash ? -1 : a->hash > b->hash;
}

struct sharding {
	const struct profile *profile;
	struct block_sink *sink;
	const struct dir_links *links;
	const struct unixfs_meta *meta;
	struct hamt_shape shape;
};

/*
 * Put the shard of the entries `in`, which agree in the buckets of all levels
 * above `level` and are sorted by their hashes.  Recurses by levels of the
 * hash, so at most shape.levels deep.
 */
static int put_shard(const struct sharding *s, const struct hashed *in, size_t n,
		     unsigned level, struct built *out)
{
	uint8_t field[HAMT_FIELD_MAX] = { 0 };
	struct unixfs u = { .type = UNIXFS_HAMT_SHARD,
			    .hash_type = HAMT_HASH_MURMUR3,
			    .fanout = s->shape.fanout,
			    .has_data = true,
			    .has_hash_type = true,
			    .has_fanout = true };
	struct buf block = { 0 };
	uint64_t below = 0;
	int r = 0;

	if (level == s->shape.levels)
		return -EOVERFLOW;
	for (size_t i = 0, end; i < n && r == 0; i = end) {
		unsigned bucket = hamt_bucket(&s->shape, in[i].hash, level);
		char name[HAMT_PREFIX_MAX + NAME_MAX_BYTES + 1];

		for (end = i + 1; end < n; end++)
			if (hamt_bucket(&s->shape, in[end].hash, level) != bucket)
				break;
		hamt_field_set(&s->shape, field, bucket);
		hamt_prefix(&s->shape, bucket, name);
		if (end == i + 1) {
			struct dir_link l = link_at(s->links, in[i].index);

			memcpy(name + s->shape.digits, l.name, l.name_len);
			r = put_link(&block, name, s->shape.digits + l.name_len, &l);
			below = tsize_sum(below, l.tsize);
		} else {
			struct built sub;

			r = put_shard(s, in + i, end - i, level + 1, &sub);
			if (r < 0)
				break;
			dagpb_put_link(&block, &sub.cid, name, s->shape.digits, sub.tsize);
			below = tsize_sum(below, sub.tsize);
		}
	}
	unixfs_set_meta(&u, level ? NULL : s->meta);
	u.data = hamt_field_trim(&s->shape, field, &u.data_len);
	if (r == 0)
		r = sink_put_node(s->sink, s->profile, &block, &u, NULL, 0, &out->cid);
	out->tsize = tsize_sum(below, block.len);
	buf_release(&block);
	return r;
}

static int put_hamt(const struct profile *p, struct block_sink *sink,
		    const struct dir_links *links, const struct unixfs_meta *meta,
		    struct built *out)
{
	struct sharding s = { .profile = p, .sink = sink, .links = links, .meta = meta };
	const size_t n = links->n;
	struct hashed *in;
	int r = hamt_shape_init(&s.shape, p->hamt_fanout);

	if (r < 0)
		return r;
	in = malloc(n * sizeof *in);
	if (!in)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++) {
		struct dir_link l = link_at(links, i);

		in[i].hash = hamt_hash(l.name, l.name_len);
		in[i].index = (uint32_t)i;
	}
	qsort(in, n, sizeof *in, compare_hashes);
	r = put_shard(&s, in, n, 0, out);
	free(in);
	return r;
}

/* What attributes add to a directory's block. */
static int attributes_size(const struct unixfs_meta *meta, size_t *out)
{
	struct unixfs u = { .type = UNIXFS_DIRECTORY };
	struct buf data = { 0 };
	int r;

	*out = 0;
	if (!meta)
		return 0;
	unixfs_set_meta(&u, meta);
	unixfs_encode(&data, &u, NULL, 0);
	r = data.failed ? -ENOMEM : 0;
	if (r == 0)
		*out = data.len - 2; /* 2: the Type, which is always there */
	buf_release(&data);
	return r;
}

int build_dir(const struct profile *p, struct block_sink *sink, struct dir_link *links,
	      size_t n, struct built *out)
{
	return build_dir_meta(p, sink, links, n, NULL, out);
}

static void get_from_array(const void *arg, size_t i, struct dir_link *out)
{
	*out = ((const struct dir_link *)arg)[i];
}

int build_dir_meta(const struct profile *p, struct block_sink *sink,
		   struct dir_link *links, size_t n, const struct unixfs_meta *meta,
		   struct built *out)
{
	if (n > 1)
		qsort(links, n, sizeof *links, compare_names);
	return build_dir_sorted(p, sink, &(struct dir_links){ n, links, get_from_array }, meta,
				out);
}

int build_dir_sorted(const struct profile *p, struct block_sink *sink,
		     const struct dir_links *links, const struct unixfs_meta *meta,
		     struct built *out)
{
	struct dir_link before = { 0 };
	size_t attributes;
	int r = attributes_size(meta, &attributes);

	if (r < 0)
		return r;
	if (links->n > UINT32_MAX)
		return -EFBIG;
	for (size_t i = 0; i < links->n; i++) {
		struct dir_link l = link_at(links, i);

		if (l.name_len > NAME_MAX_BYTES)
			return -ENAMETOOLONG;
		if (i && !dir_link_compare(&before, &l))
			return -EEXIST;
		before = l;
	}
	out->size = 0;
	return wants_hamt(p, links, attributes) ? put_hamt(p, sink, links, meta, out)
						: put_plain(p, sink, links, meta, out);
}
