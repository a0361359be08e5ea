#include "store/file_shape.h"

#include "store/error.h"
#include "store/pb.h"

#include <stdlib.h>
#include <string.h>

static size_t cid_bytes(const struct profile *p, unsigned level)
{
	/* Version 0 is a sha2-256 and nothing else. */
	return p->cid_version == 0 && !(level == 0 && p->raw_leaves) ? 34
								     : profile_cid_max(p);
}

static uint64_t leaf_tsize(const struct profile *p, uint64_t len)
{
	if (p->raw_leaves)
		return len;
	return dagpb_data_size(2 + (len ? pb_bytes_size(2, len) : 0) +
			       pb_varint_size(3, len));
}

/*
 * The Tsize of a node on `level` with `n` children, of which all but the last
 * are full.  -EFBIG if no link can say it.
 */
static int node_tsize(const struct file_shape *s, unsigned level, uint64_t n,
		      uint64_t last_size, uint64_t last_tsize, uint64_t *out)
{
	const size_t cid = cid_bytes(s->profile, level - 1);
	const uint64_t full = n - 1, size = s->full_size[level - 1],
		       tsize = s->full_tsize[level - 1];
	size_t links = dagpb_link_size(cid, 0, last_tsize);
	size_t data =
	    2 + pb_varint_size(3, full * size + last_size) + pb_varint_size(4, last_size);

	if (full) {
		links += full * dagpb_link_size(cid, 0, tsize);
		data += full * pb_varint_size(4, size);
	}
	unsigned __int128 all =
	    (unsigned __int128)full * tsize + last_tsize + links + dagpb_data_size(data);
	*out = (uint64_t)all;
	return all > INT64_MAX ? -EFBIG : 0;
}

int file_shape_init(struct file_shape *s, const struct profile *p, uint64_t size)
{
	const uint64_t leaf = p->chunker.max;
	int r;

	s->profile = p;
	s->size = size;
	s->leaves = size ? (size - 1) / leaf + 1 : 1;
	s->span[0] = 1;
	for (unsigned i = 0; i < BUILD_LEVELS; i++)
		if (__builtin_mul_overflow(s->span[i], (uint64_t)p->max_links,
					   &s->span[i + 1]))
			s->span[i + 1] = UINT64_MAX;
	for (s->depth = 0; s->span[s->depth] < s->leaves; s->depth++)
		if (s->depth == BUILD_LEVELS)
			return -EFBIG;

	s->full_size[0] = leaf;
	s->full_tsize[0] = leaf_tsize(p, leaf);
	s->last_size[0] = size - (s->leaves - 1) * leaf;
	s->last_tsize[0] = leaf_tsize(p, s->last_size[0]);
	for (unsigned i = 1; i <= s->depth; i++) {
		uint64_t leaves = (s->leaves - 1) % s->span[i] + 1;
		uint64_t n = (leaves - 1) / s->span[i - 1] + 1;

		r = node_tsize(s, i, n, s->last_size[i - 1], s->last_tsize[i - 1],
			       &s->last_tsize[i]);
		if (r < 0)
			return r;
		s->last_size[i] = (n - 1) * s->full_size[i - 1] + s->last_size[i - 1];
		if (i == s->depth)
			break; /* a full one could be longer than numbers are */
		r = node_tsize(s, i, p->max_links, s->full_size[i - 1],
			       s->full_tsize[i - 1], &s->full_tsize[i]);
		if (r < 0)
			return r;
		s->full_size[i] = p->max_links * s->full_size[i - 1];
	}
	return 0;
}

uint64_t file_shape_end(const struct file_shape *s, unsigned level, uint64_t index)
{
	uint64_t end;

	if (__builtin_mul_overflow(index + 1, s->span[level], &end) || end > s->leaves)
		return s->leaves;
	return end;
}

void file_shape_numbers(const struct file_shape *s, unsigned level, uint64_t index,
			struct built *out)
{
	bool last = file_shape_end(s, level, index) == s->leaves;

	out->size = last ? s->last_size[level] : s->full_size[level];
	out->tsize = last ? s->last_tsize[level] : s->full_tsize[level];
}

bool file_shape_names(const struct file_shape *s, unsigned level, const struct cid *cid)
{
	const struct profile *p = s->profile;
	bool raw = level == 0 && p->raw_leaves;

	return cid->codec == (raw ? CODEC_RAW : CODEC_DAG_PB) &&
	       cid->version == (raw ? 1 : p->cid_version) &&
	       cid->hash.code == (p->hash ? p->hash : HASH_SHA2_256) &&
	       cid->hash.size == (p->hash ? p->hash_size : 32);
}

/* The links that a node of such children has; false if it cannot have them. */
static bool want_links(const struct file_shape *s, unsigned level, uint64_t first,
		       const struct dag_node *n, struct buf *want, uint64_t *sizes)
{
	struct cursor links = n->pb.links;

	for (size_t i = 0; i < n->pb.n_links; i++) {
		struct dagpb_link l;
		struct built b;

		if (dagpb_next(&links, &l) <= 0 || dagpb_link_cid(&l, &b.cid) < 0 ||
		    !file_shape_names(s, level - 1, &b.cid))
			return false;
		file_shape_numbers(s, level - 1, first + i, &b);
		dagpb_put_link(want, &b.cid, "", 0, b.tsize);
		sizes[i] = b.size;
	}
	return true;
}

int file_shape_check(const struct file_shape *s, unsigned level, uint64_t index,
		     const struct dag_node *n)
{
	struct unixfs u = { .type = UNIXFS_FILE, .has_filesize = true };
	uint64_t first = index * s->profile->max_links;
	uint64_t end = file_shape_end(s, level, index);
	uint64_t children = (end - 1) / s->span[level - 1] + 1 - first;
	struct buf want = { 0 }, data = { 0 };
	struct built numbers;
	int r = -ENOMEM;

	if (n->raw || n->pb.n_links != children)
		return 0;
	file_shape_numbers(s, level, index, &numbers);
	u.filesize = numbers.size;
	if (level == s->depth) {
		u.has_mode = n->u.has_mode;
		u.mode = n->u.mode;
		u.has_mtime = n->u.has_mtime;
		u.mtime = n->u.mtime;
		u.mtime_nsec = n->u.mtime_nsec;
	}

	uint64_t *sizes = malloc(children * sizeof *sizes);
	if (!sizes)
		return -ENOMEM;
	if (!want_links(s, level, first, n, &want, sizes)) {
		r = 0;
		goto out;
	}
	unixfs_encode(&data, &u, sizes, children);
	if (!data.failed)
		dagpb_put_data(&want, data.data, data.len);
	if (!data.failed && !want.failed)
		r = want.len == n->block->size &&
		    memcmp(want.data, n->block->data, want.len) == 0;
out:
	free(sizes);
	buf_release(&want);
	buf_release(&data);
	return r;
}
