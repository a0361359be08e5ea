#include "store/build_file.h"

#include "store/dagpb.h"
#include "store/error.h"
#include "store/pb.h"
#include "store/store_stream.h"
#include "store/unixfs.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

static uint8_t *put_tag(uint8_t *p, unsigned field, unsigned type)
{
	*p++ = (uint8_t)(field << 3 | type);
	return p;
}

int build_leaf(const struct profile *p, struct block_sink *sink, uint8_t *data, size_t len,
	       struct built *out)
{
	return build_leaf_meta(p, sink, data, len, NULL, out);
}

int build_leaf_meta(const struct profile *p, struct block_sink *sink, uint8_t *data,
		    size_t len, const struct unixfs_meta *meta, struct built *out)
{
	uint8_t head[LEAF_HEAD], tail[LEAF_TAIL], *h = head, *t = tail, *start = data;
	struct buf attributes = { 0 };
	struct unixfs u = { .type = UNIXFS_FILE };
	int r = -ENOMEM;

	if (p->raw_leaves) {
		out->size = out->tsize = len;
		return sink_put(sink, p, CODEC_RAW, data, len, &out->cid);
	}
	/* The wrapping is written around the data, which then need not move. */
	t = put_tag(t, 3, PB_VARINT);
	t += varint_put(t, len);
	if (meta && (meta->has_mode || meta->has_mtime)) {
		unixfs_set_meta(&u, meta);
		unixfs_encode(&attributes, &u, NULL, 0);
		if (attributes.failed)
			goto out;
		/* Behind the Type, which stands in front of the data. */
		assert(t - tail + attributes.len <= sizeof tail);
		memcpy(t, attributes.data + 2, attributes.len - 2);
		t += attributes.len - 2;
	}
	h = put_tag(h, 1, PB_BYTES);
	h += varint_put(h, 2 + (len ? pb_bytes_size(2, len) : 0) + (size_t)(t - tail));
	h = put_tag(h, 1, PB_VARINT);
	*h++ = UNIXFS_FILE;
	if (len) {
		h = put_tag(h, 2, PB_BYTES);
		h += varint_put(h, len);
	}
	start -= h - head;
	memcpy(start, head, (size_t)(h - head));
	memcpy(data + len, tail, (size_t)(t - tail));

	out->size = len;
	out->tsize = (size_t)(h - head) + len + (size_t)(t - tail);
	r = sink_put(sink, p, CODEC_DAG_PB, start, out->tsize, &out->cid);
out:
	buf_release(&attributes);
	return r;
}

/* A sink that takes one leaf of a file, and puts it where it stands in that. */
struct leaf_sink {
	struct block_sink base;
	struct store_stream *stream;
	uint64_t index;
	const uint8_t *data; /* of the file, inside the leaf */
	size_t len;
};

static int put_leaf(struct block_sink *self, const struct multihash *name, const void *block,
		    size_t len)
{
	struct leaf_sink *s = (struct leaf_sink *)self;
	size_t head = (size_t)(s->data - (const uint8_t *)block);

	return store_stream_put(s->stream, s->index, name, block, len, head,
				len - head - s->len);
}

int build_leaf_stream(const struct profile *p, struct store_stream *to, uint64_t index,
		      uint8_t *data, size_t len, struct built *out)
{
	struct leaf_sink sink = { { put_leaf }, to, index, data, len };

	return build_leaf(p, &sink.base, data, len, out);
}

int build_symlink(const struct profile *p, struct block_sink *sink, const char *target,
		  size_t len, struct built *out)
{
	return build_symlink_meta(p, sink, target, len, NULL, out);
}

int build_symlink_meta(const struct profile *p, struct block_sink *sink,
		       const char *target, size_t len, const struct unixfs_meta *meta,
		       struct built *out)
{
	struct unixfs u = { .type = UNIXFS_SYMLINK,
			    .data = (const uint8_t *)target,
			    .data_len = len,
			    .has_data = true };
	struct buf block = { 0 };
	int r;

	unixfs_set_meta(&u, meta);
	r = sink_put_node(sink, p, &block, &u, NULL, 0, &out->cid);
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
static int level_flush(struct build_file *b, struct build_level *l,
		       const struct unixfs_meta *meta, struct built *out)
{
	struct unixfs u = { .type = UNIXFS_FILE, .filesize = l->size, .has_filesize = true };
	int r;

	unixfs_set_meta(&u, meta);
	r = sink_put_node(b->sink, b->profile, &l->block, &u, l->sizes, l->n, &out->cid);

	out->size = l->size;
	out->tsize = l->tsize + l->block.len;
	buf_clear(&l->block);
	l->n = 0;
	l->size = l->tsize = 0;
	return r;
}

/*
 * A child for level `i`.  A full node is put only when another child comes, for
 * until then it may be the root, which has the attributes.
 */
static int add_at(struct build_file *b, int i, const struct built *in)
{
	struct built child = *in, node;

	for (;; i++, child = node) {
		struct build_level *l;
		int r = level_at(b, i, &l);

		if (r < 0)
			return r;
		if (l->n < b->profile->max_links)
			return level_add(l, &child);
		r = level_flush(b, l, NULL, &node);
		if (r == 0)
			r = level_add(l, &child);
		if (r < 0)
			return r;
	}
}

int build_file_add(struct build_file *b, const struct built *leaf)
{
	return add_at(b, 0, leaf);
}

int build_file_add_tree(struct build_file *b, unsigned level, const struct built *tree)
{
	/* What is open below is full, as a tree begins here. */
	for (unsigned i = 0; i < level && i < BUILD_LEVELS; i++) {
		struct build_level *l = b->levels[i];
		struct built node;
		int r;

		if (!l || !l->n)
			continue;
		assert(l->n == b->profile->max_links);
		r = level_flush(b, l, NULL, &node);
		if (r == 0)
			r = add_at(b, (int)i + 1, &node);
		if (r < 0)
			return r;
	}
	return add_at(b, (int)level, tree);
}

/*
 * What is open on each level becomes a node of its own, even with a single
 * child, because all leaves end at one depth; only at the top does a single
 * child stand for itself.  Nothing is open on a level below a tree that came
 * last.
 */
int build_file_finish(struct build_file *b, struct built *root)
{
	int top = BUILD_LEVELS - 1, r;

	while (top && !b->levels[top])
		top--;
	for (int i = 0; i < top; i++) {
		struct build_level *l = b->levels[i];
		struct built node;

		if (!l || !l->n)
			continue;
		r = level_flush(b, l, NULL, &node);
		if (r == 0)
			r = add_at(b, i + 1, &node);
		if (r < 0)
			return r;
		/* Which has opened a level if that one was full. */
		if (top + 1 < BUILD_LEVELS && b->levels[top + 1])
			top++;
	}

	struct build_level *l = b->levels[top];
	assert(l && l->n);
	if (l->n > 1)
		return level_flush(b, l, b->meta, root);
	*root = l->last;
	return 0;
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
