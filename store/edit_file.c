#include "store/edit_file.h"

#include "store/error.h"
#include "store/file_shape.h"
#include "store/old_file.h"
#include "store/store_stream.h"

#include <stdlib.h>
#include <string.h>

/* What leaves become. */
enum kind {
	KEPT,  /* as they are in the older tree */
	ZEROS, /* whole, and nothing but zeros */
	MADE,  /* new */
};

struct editing {
	const struct profile *profile;
	struct block_source *source;
	struct block_sink *sink;
	struct misses *misses;
	const struct file_edit *edit;
	struct file_shape shape;
	struct build_file build;
	size_t change; /* the first that ends behind where we are */

	struct old_file old;
	uint8_t *room, *data;                 /* a leaf */
	struct built zeros[BUILD_LEVELS + 1]; /* full trees, by level */
	unsigned n_zeros;
	struct store_stream *stream; /* of the leaves just before, or NULL */
	uint64_t streamed;
	bool noting; /* something was lacking: only look what else is */
};

static uint64_t least(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static const struct file_change *change_at(const struct editing *x, size_t i)
{
	return i < x->edit->n ? &x->edit->changes[i] : NULL;
}

static int check_edit(const struct profile *p, const struct file_edit *e)
{
	uint64_t at = 0;

	if (p->chunker.kind != CHUNKER_SIZE)
		return -EINVAL;
	if (e->size > EDIT_FILE_MAX)
		return -EFBIG;
	for (size_t i = 0; i < e->n; i++) {
		const struct file_change *c = &e->changes[i];

		if (c->from < at || c->to <= c->from || c->to > e->size)
			return -EINVAL;
		at = c->to;
	}
	return 0;
}

/* True if nothing of the older tree is left. */
static bool all_changed(const struct file_edit *e)
{
	uint64_t at = 0;

	for (size_t i = 0; i < e->n && e->changes[i].from == at; i++)
		at = e->changes[i].to;
	return at == e->size;
}

/*
 * Fill in what the bytes [from, to), a leaf, were, if they were something.  Of
 * a tree that is not of the profile's shape.
 */
static int foreign_leaf(struct editing *x, uint64_t from, uint64_t to)
{
	int64_t n;

	to = least(to, x->old.size);
	if (from >= to)
		return 0;
	if (x->noting)
		return dag_leaves(x->source, x->edit->old, from, to - from, x->misses);
	n = dag_read(x->source, x->edit->old, from, x->data, to - from, x->misses);
	return n < 0 ? (int)n : (uint64_t)n < to - from ? ERR_MALFORMED : 0;
}

/* Of the bytes that stay, those at `at`, which goes to `to`. */
static int kept_bytes(struct editing *x, uint64_t at, uint8_t *to, size_t len)
{
	const uint64_t size = x->profile->chunker.max;
	const struct dag_node *n = &x->old.way[0].node;
	int r;

	if (!x->old.shaped)
		return 0; /* they are there */
	r = old_file_leaf(&x->old, at / size, x->noting);
	if (r == 0 && !x->noting)
		memcpy(to, (n->raw ? n->block->data : n->u.data) + at % size, len);
	return r;
}

/* Up to where all is zeros from `at` on; changes from number `i` on are ahead. */
static uint64_t zeros_end(const struct editing *x, size_t i, uint64_t at)
{
	while (at < x->edit->size) {
		const struct file_change *c = change_at(x, i);

		if (c && c->from <= at) {
			if (!c->hole)
				break;
			at = c->to;
			i++;
		} else if (at >= x->old.size) {
			at = c ? c->from : x->edit->size;
		} else {
			break;
		}
	}
	return at;
}

/*
 * What becomes of the leaves from `leaf` on, and up to where.  *change is the
 * first that ends behind where we were, and is moved on.
 */
static enum kind look(const struct editing *x, size_t *change, uint64_t leaf,
		      uint64_t *end)
{
	const uint64_t size = x->profile->chunker.max, at = leaf * size;
	const struct file_change *c;
	uint64_t same, zeros;

	while ((c = change_at(x, *change)) && c->to <= at)
		++*change;
	/* Leaves that end where they did. */
	same = !x->old.shaped                 ? 0
	       : x->old.size == x->edit->size ? x->shape.leaves
					      : least(x->old.size, x->edit->size) / size;
	*end = c ? least(same, c->from / size) : same;
	if (leaf < *end)
		return KEPT;
	zeros = zeros_end(x, *change, at);
	*end = zeros / size;
	if (leaf < *end)
		return ZEROS;
	*end = leaf + 1;
	return MADE;
}

/* The highest level on which a tree begins at `leaf` and ends by `end`. */
static unsigned highest(const struct editing *x, uint64_t leaf, uint64_t end)
{
	unsigned i = 0;

	while (i < BUILD_LEVELS && x->shape.span[i + 1] <= end - leaf &&
	       leaf % x->shape.span[i + 1] == 0)
		i++;
	return i;
}

static int keep(struct editing *x, uint64_t leaf, uint64_t end)
{
	/* The last trees are kept whole too, if the file ends where it did. */
	bool to_end = end == x->shape.leaves && x->old.size == x->edit->size;
	int r = 0;

	while (r == 0 && leaf < end && !x->noting) {
		unsigned level = highest(x, leaf, end);
		struct built b;

		while (to_end && level < x->old.shape.depth &&
		       leaf % x->shape.span[level + 1] == 0 &&
		       x->shape.span[level + 1] > end - leaf)
			level++;
		if (x->old.dressed && level == x->old.shape.depth)
			level--;
		r = old_file_tree(&x->old, level, leaf / x->shape.span[level], &b);
		if (r == 0)
			r = build_file_add_tree(&x->build, level, &b);
		leaf = file_shape_end(&x->shape, level, leaf / x->shape.span[level]);
	}
	return r;
}

/* Put a node of nothing but `child`. */
static int put_uniform(struct editing *x, const struct built *child, struct built *out)
{
	const uint32_t n = x->profile->max_links;
	struct unixfs u = { .type = UNIXFS_FILE, .has_filesize = true };
	uint64_t *sizes = malloc(n * sizeof *sizes);
	struct buf block = { 0 };
	int r;

	if (!sizes)
		return -ENOMEM;
	for (uint32_t i = 0; i < n; i++) {
		dagpb_put_link(&block, &child->cid, "", 0, child->tsize);
		sizes[i] = child->size;
	}
	u.filesize = out->size = n * child->size;
	r = sink_put_node(x->sink, x->profile, &block, &u, sizes, n, &out->cid);
	out->tsize = n * child->tsize + block.len;
	buf_release(&block);
	free(sizes);
	return r;
}

/* Have full trees of zeros up to that level. */
static int make_zeros(struct editing *x, unsigned level)
{
	int r = 0;

	while (r == 0 && x->n_zeros <= level) {
		struct built *b = &x->zeros[x->n_zeros];

		if (x->n_zeros) {
			r = put_uniform(x, b - 1, b);
		} else {
			memset(x->data, 0, x->profile->chunker.max);
			r = build_leaf(x->profile, x->sink, x->data,
				       x->profile->chunker.max, b);
		}
		if (r == 0)
			x->n_zeros++;
	}
	return r;
}

static int add_zeros(struct editing *x, uint64_t leaf, uint64_t end)
{
	int r = 0;

	while (r == 0 && leaf < end && !x->noting) {
		unsigned level = highest(x, leaf, end);

		r = make_zeros(x, level);
		if (r == 0)
			r = build_file_add_tree(&x->build, level, &x->zeros[level]);
		leaf += x->shape.span[level];
	}
	return r;
}

/* The end of what is alike at `at`, which is before `to`: *c is the change that
 * it is in, or NULL.  *i is the first change that ends behind `at`. */
static uint64_t stretch(const struct editing *x, size_t *i, uint64_t at, uint64_t to,
			const struct file_change **c)
{
	const struct file_change *next;

	while ((next = change_at(x, *i)) && next->to <= at)
		++*i;
	*c = next && next->from <= at ? next : NULL;
	if (*c)
		return least(to, next->to);
	if (at < x->old.size)
		to = least(to, x->old.size);
	return next ? least(to, next->from) : to;
}

/* Put the bytes [from, to) of the file together, a leaf; when noting, only look. */
static int gather(struct editing *x, uint64_t from, uint64_t to)
{
	const struct file_change *c;
	size_t i = x->change;
	uint64_t end;
	int r = 0;

	if (!x->old.shaped && stretch(x, &i, from, to, &c) < to)
		r = foreign_leaf(x, from, to);
	else if (!x->old.shaped && !c)
		r = foreign_leaf(x, from, to);
	for (uint64_t at = from; r == 0 && at < to; at = end) {
		uint8_t *data = x->data + (at - from);

		end = stretch(x, &i, at, to, &c);
		if (!c && at < x->old.size)
			r = kept_bytes(x, at, data, end - at);
		else if (x->noting)
			continue;
		else if (c && !c->hole)
			r = x->edit->read(x->edit->arg, at, data, end - at);
		else
			memset(data, 0, end - at);
	}
	return r;
}

/* A sink that puts one leaf into a store in which its older one may be. */
struct like_sink {
	struct block_sink base;
	const struct multihash *older;
};

static int put_like(struct block_sink *self, const struct multihash *name, const void *data,
		    size_t len)
{
	const struct like_sink *s = (struct like_sink *)self;

	return store_put_like(s->base.store, s->older, name, data, len);
}

/* The block of a leaf before its bytes changed, if some are still the same. */
static const struct block *older_leaf(const struct editing *x, uint64_t leaf)
{
	return x->old.shaped && x->old.way[0].index == leaf ? x->old.way[0].node.block : NULL;
}

static int end_stream(struct editing *x)
{
	int r = store_stream_finish(x->stream);

	store_stream_free(x->stream);
	x->stream = NULL;
	return r;
}

static int make_leaf(struct editing *x, uint64_t leaf)
{
	const uint64_t size = x->profile->chunker.max;
	uint64_t from = leaf * size, to = least(x->edit->size, from + size), end;
	size_t ahead = x->change;
	struct built b;
	int r = gather(x, from, to);

	if (r != 0 || x->noting)
		return r;
	/* A store has most of a leaf that changed in part; others in a row go to it as a
	 * stream. */
	bool more = leaf + 1 < x->shape.leaves && look(x, &ahead, leaf + 1, &end) == MADE;
	const struct block *older = x->sink->store && !x->stream ? older_leaf(x, leaf) : NULL;
	if (!x->stream && !older && more && x->sink->store && size >= STREAM_LEAF_MIN) {
		x->stream = store_stream_new(x->sink->store);
		x->streamed = 0;
	}
	if (x->stream) {
		r = build_leaf_stream(x->profile, x->stream, x->streamed++, x->data,
				      to - from, &b);
	} else if (older) {
		struct like_sink sink = { { put_like, x->sink->store }, &older->name };

		r = build_leaf(x->profile, &sink.base, x->data, to - from, &b);
	} else {
		r = build_leaf(x->profile, x->sink, x->data, to - from, &b);
	}
	if (r == 0)
		r = build_file_add(&x->build, &b);
	if (r == 0 && !more)
		r = end_stream(x);
	return r;
}

static bool nothing_to_note(const struct editing *x)
{
	return !x->misses || x->misses->n == x->misses->max;
}

static int edit_leaves(struct editing *x)
{
	int r = 0;

	/* A few blocks can unfold to more than anybody reads in a life. */
	if (!x->old.shaped && least(x->old.size, x->edit->size) > EDIT_READ_MAX)
		return -EFBIG;

	for (uint64_t leaf = 0, end; r == 0 && leaf < x->shape.leaves; leaf = end) {
		switch (look(x, &x->change, leaf, &end)) {
		case KEPT:
			r = keep(x, leaf, end);
			break;
		case ZEROS:
			r = add_zeros(x, leaf, end);
			break;
		case MADE:
			r = make_leaf(x, leaf);
			break;
		}
		if (r == ERR_MISSING && !nothing_to_note(x)) {
			x->noting = true;
			r = 0;
		}
		if (x->noting && nothing_to_note(x))
			break;
	}
	return r == 0 && x->noting ? ERR_MISSING : r;
}

/* Let go of what one run has made. */
static void restart(struct editing *x)
{
	old_file_release(&x->old);
	build_file_release(&x->build);
	store_stream_free(x->stream);
	x->stream = NULL;
	x->change = 0;
	x->noting = false;
}

int edit_file(const struct profile *p, struct block_source *source,
	      struct block_sink *sink, const struct file_edit *e, struct built *out,
	      struct misses *misses)
{
	struct editing *x;
	int r = check_edit(p, e);

	if (r < 0)
		return r;
	x = calloc(1, sizeof *x);
	if (!x)
		return -ENOMEM;
	x->profile = p;
	x->source = source;
	x->sink = sink;
	x->edit = e;
	x->misses = misses;
	r = file_shape_init(&x->shape, p, e->size);
	if (r == 0 && e->old && !all_changed(e))
		r = old_file_open(&x->old, p, source, e->old, misses);
	if (r < 0)
		goto out;
	x->room = malloc(LEAF_HEAD + least(e->size, p->chunker.max) + LEAF_TAIL);
	if (!x->room) {
		r = -ENOMEM;
		goto out;
	}
	x->data = x->room + LEAF_HEAD;

	build_file_init(&x->build, p, sink);
	r = edit_leaves(x);
	if (r == OLD_FILE_FOREIGN) {
		restart(x);
		build_file_init(&x->build, p, sink);
		r = edit_leaves(x);
	}
	if (r == 0)
		r = build_file_finish(&x->build, out);
out:
	restart(x);
	free(x->room);
	free(x);
	return r;
}
