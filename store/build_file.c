#include "store/build_file.h"

#include "store/dagpb.h"
#include "store/error.h"
#include "store/pb.h"
#include "store/unixfs.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

int build_leaf(const struct profile *p, struct block_sink *sink, uint8_t *data, size_t len,
	       struct built *out)
{
	uint8_t head[LEAF_HEAD], *h = head, *start = data, *end = data + len;

	if (p->raw_leaves) {
		out->size = out->tsize = len;
		return sink_put(sink, p->cid_version, CODEC_RAW, data, len, &out->cid);
	}
	/* The wrapping is written around the data, which then need not move. */
	size_t inner = 2 + (len ? pb_bytes_size(2, len) : 0) + pb_varint_size(3, len);
	*h++ = 1 << 3 | PB_BYTES;
	h += varint_put(h, inner);
	*h++ = 1 << 3 | PB_VARINT;
	*h++ = UNIXFS_FILE;
	if (len) {
		*h++ = 2 << 3 | PB_BYTES;
		h += varint_put(h, len);
	}
	start -= h - head;
	memcpy(start, head, h - head);
	*end++ = 3 << 3 | PB_VARINT;
	end += varint_put(end, len);

	out->size = len;
	out->tsize = end - start;
	return sink_put(sink, p->cid_version, CODEC_DAG_PB, start, end - start, &out->cid);
}

int build_symlink(const struct profile *p, struct block_sink *sink, const char *target,
		  size_t len, struct built *out)
{
	const struct unixfs u = { .type = UNIXFS_SYMLINK,
				  .data = (const uint8_t *)target,
				  .data_len = len,
				  .has_data = true };
	struct buf block = { 0 };
	int r = sink_put_node(sink, p->cid_version, &block, &u, NULL, 0, &out->cid);

	out->size = len;
	out->tsize = block.len;
	buf_release(&block);
	return r;
}

void build_file_init(struct build_file *b, const struct profile *p, struct block_sink *sink)
{
	*b = (struct build_file){ .profile = p, .sink = sink };
}

static int level_at(struct build_file *b, int i, struct build_level **out)
{
	if (i == BUILD_LEVELS)
		return -EFBIG;
	if (!b->levels[i]) {
		size_t sizes = b->profile->max_links * sizeof *b->levels[i]->sizes;

		b->levels[i] = calloc(1, sizeof *b->levels[i] + sizes);
	}
	*out = b->levels[i];
	return *out ? 0 : -ENOMEM;
}

static int level_add(struct build_level *l, const struct built *child)
{
	dagpb_put_link(&l->block, &child->cid, "", 0, child->tsize);
	if (l->block.failed)
		return -ENOMEM;
	l->last = *child;
	l->tsize += child->tsize;
	l->size += child->size;
	l->sizes[l->n++] = child->size;
	return 0;
}

/* Put the level's node, and open the next. */
static int level_flush(struct build_file *b, struct build_level *l, struct built *out)
{
	const struct unixfs u = { .type = UNIXFS_FILE,
				  .filesize = l->size,
				  .has_filesize = true };
	int r = sink_put_node(b->sink, b->profile->cid_version, &l->block, &u, l->sizes, l->n,
			      &out->cid);

	out->size = l->size;
	out->tsize = l->tsize + l->block.len;
	buf_clear(&l->block);
	l->n = 0;
	l->size = l->tsize = 0;
	return r;
}

int build_file_add(struct build_file *b, const struct built *leaf)
{
	struct built child = *leaf;

	for (int i = 0;; i++) {
		struct build_level *l;
		int r = level_at(b, i, &l);

		if (r == 0)
			r = level_add(l, &child);
		if (r < 0 || l->n < b->profile->max_links)
			return r;
		r = level_flush(b, l, &child);
		if (r < 0)
			return r;
	}
}

/*
 * What is open on each level becomes a node of its own, even with a single
 * child, because all leaves end at one depth; only at the top does a single
 * child stand for itself.
 */
int build_file_finish(struct build_file *b, struct built *root)
{
	int top = BUILD_LEVELS;

	while (top > 0 && !(b->levels[top - 1] && b->levels[top - 1]->n))
		top--;
	assert(top > 0);

	for (int i = 0;; i++) {
		struct build_level *l;
		struct built node;
		int r;

		if (i >= top - 1 && b->levels[i]->n == 1) {
			*root = b->levels[i]->last;
			return 0;
		}
		if (!b->levels[i]->n)
			continue;
		r = level_flush(b, b->levels[i], &node);
		if (r < 0)
			return r;
		r = level_at(b, i + 1, &l);
		if (r == 0)
			r = level_add(l, &node);
		if (r < 0)
			return r;
	}
}

void build_file_release(struct build_file *b)
{
	for (int i = 0; i < BUILD_LEVELS; i++) {
		if (!b->levels[i])
			continue;
		buf_release(&b->levels[i]->block);
		free(b->levels[i]);
		b->levels[i] = NULL;
	}
}
