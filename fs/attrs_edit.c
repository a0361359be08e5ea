/*
 * Editing the attributes DAG.  What is held of a set of entries while its place
 * is decided is the inside of its node; whether it becomes a page, an index, or
 * goes into the page above is for whoever knows how much there is beside it.
 * Goes down by the digits of a hash, so at most ATTRS_LEVELS deep.
 */
#include "fs/attrs_internal.h"

#include "store/error.h"

#include <stdlib.h>
#include <string.h>

/* An entry on its way into a page: of an older page, or a change. */
struct item {
	uint64_t hash;
	const uint8_t *span; /* as it is encoded; NULL: a change */
	uint32_t len;        /* encoded; 0: it goes */
	uint32_t change;     /* its index */
};

struct editing {
	struct block_source *source;
	struct block_sink *sink;
	struct misses *misses;
	const struct attrs_changes *changes;
	bool noting; /* a node was lacking: only look which others are */
};

/* A set of entries, before or after the edit. */
struct set {
	enum attrs_form form; /* ATTRS_NONE: it is empty */
	size_t n;             /* items in its node */
	uint64_t count, bytes;
	bool put; /* it is a node that there is: `cid`, */
	struct cid cid;
	struct buf items; /* else the inside of one to be */
};

static void set_release(struct set *s)
{
	buf_release(&s->items);
	*s = (struct set){ 0 };
}

static struct attrs_link change_at(const struct editing *x, size_t i)
{
	struct attrs_link l;

	x->changes->get(x->changes->arg, i, &l);
	return l;
}

static bool removes(const struct attrs_link *l)
{
	return !l->is_dir && attrs_empty(&l->attrs);
}

static bool fits_page(uint64_t count, uint64_t bytes)
{
	return count == 1 || bytes <= ATTRS_PAGE;
}

static int put_node(struct editing *x, const struct attrs_entry *self,
		    const struct set *s, struct cid *out)
{
	struct buf block = { 0 };
	int r = -ENOMEM;

	attrs_put_node(&block, self, s->form, s->n, &s->items);
	/* The default profile names by sha2-256. */
	if (!block.failed)
		r = sink_put(x->sink, profiles[0], CODEC_DAG_CBOR, block.data, block.len,
			     out);
	buf_release(&block);
	return r;
}

/* Items in order of their names, which are somewhere in them. */
struct named {
	struct item item;
	const char *name;
	size_t name_len;
};

static int compare_named(const void *x, const void *y)
{
	const struct named *a = x, *b = y;

	return attrs_name_compare(a->name, a->name_len, b->name, b->name_len);
}

/* A page of these. */
static int make_page(struct editing *x, const struct item *in, size_t n, struct set *out)
{
	struct named *list = malloc(n * sizeof *list);
	int r = list ? 0 : -ENOMEM;

	for (size_t i = 0; i < n && r == 0; i++) {
		struct attrs_link l;

		if (in[i].span) {
			struct cursor c = cursor_over(in[i].span, in[i].len);

			attrs_node_entry(&c, &l);
		} else {
			l = change_at(x, in[i].change);
		}
		list[i] = (struct named){ in[i], l.name, l.name_len };
	}
	if (r == 0)
		qsort(list, n, sizeof *list, compare_named);
	for (size_t i = 0; i < n && r == 0; i++) {
		const struct item *at = &list[i].item;

		if (at->span) {
			buf_append(&out->items, at->span, at->len);
		} else {
			struct attrs_link l = change_at(x, at->change);

			r = attrs_put_link(&out->items, &l);
		}
	}
	free(list);
	out->form = ATTRS_ENTRIES;
	out->n = out->count = n;
	out->bytes = out->items.len;
	return r < 0 ? r : out->items.failed ? -ENOMEM : 0;
}

static int compare_items(const void *x, const void *y)
{
	const struct item *a = x, *b = y;

	if (a->hash != b->hash)
		return a->hash < b->hash ? -1 : 1;
	return (a->span != NULL) - (b->span != NULL);
}

/* True if a change among the items of that hash is of that name. */
static bool is_changed(const struct editing *x, const struct item *in, size_t n,
		       const struct attrs_link *l)
{
	for (; n && !in->span; in++, n--) {
		struct attrs_link c = change_at(x, in->change);

		if (c.name_len == l->name_len &&
		    memcmp(c.name, l->name, l->name_len) == 0)
			return true;
	}
	return false;
}

/*
 * Leave out what goes: removals, and older entries that have changed.  In order
 * of their hashes, changes first.  Returns how many stay.
 */
static size_t settle(const struct editing *x, struct item *in, size_t n)
{
	size_t kept = 0;

	for (size_t i = 0, end; i < n; i = end) {
		for (end = i + 1; end < n && in[end].hash == in[i].hash; end++)
			;
		for (size_t j = i; j < end; j++) {
			struct cursor c = cursor_over(in[j].span, in[j].len);
			struct attrs_link l;

			if (in[j].span && attrs_node_entry(&c, &l) &&
			    is_changed(x, in + i, end - i, &l))
				in[j].len = 0;
		}
	}
	for (size_t i = 0; i < n; i++)
		if (in[i].len)
			in[kept++] = in[i];
	return kept;
}

/* The entries of a page as items; those that are not below `key` are an error. */
static int page_items(const struct attrs_node *page, unsigned level, uint64_t key,
		      struct item *out)
{
	struct cursor items = page->items;
	const uint8_t *start = items.p;
	struct attrs_link l;

	for (; attrs_node_entry(&items, &l); start = items.p, out++) {
		*out = (struct item){ .hash = attrs_hash(l.name, l.name_len),
				      .span = start,
				      .len = (uint32_t)(items.p - start) };
		if (!attrs_within(out->hash, level, key))
			return ERR_MALFORMED;
	}
	return 0;
}

/* Put the entries of all children into one page. */
static int join_page(struct editing *x, struct set children[16], size_t count,
		     struct set *out)
{
	struct item *all = malloc(count * sizeof *all);
	struct block *blocks[16] = { 0 };
	size_t n = 0;
	int r = all ? 0 : -ENOMEM;

	for (unsigned i = 0; i < 16 && r == 0; i++) {
		struct attrs_node page = { .items = cursor_over(children[i].items.data,
								children[i].items.len) };

		if (children[i].put) {
			struct attrs_child c = { i, children[i].count, children[i].bytes,
						 children[i].cid };

			r = attrs_get_child(x->source, &c, &page, &blocks[i], x->misses);
			if (r == 0 && page.form != ATTRS_ENTRIES)
				r = ERR_MALFORMED;
		}
		if (r == 0)
			r = page_items(&page, 0, 0, all + n);
		n += children[i].count;
	}
	if (r == 0)
		r = make_page(x, all, n, out);
	for (unsigned i = 0; i < 16; i++)
		block_unref(blocks[i]);
	free(all);
	return r;
}

/* Join children into what holds them all: a page, an index, or nothing.  Lets go
 * of them. */
static int join(struct editing *x, struct set children[16], struct set *out)
{
	uint64_t count = 0, bytes = 0;
	int r = 0;

	for (unsigned i = 0; i < 16; i++) {
		count += children[i].count;
		bytes += children[i].bytes;
	}
	if (x->noting || !count)
		goto out;
	if (fits_page(count, bytes)) {
		r = join_page(x, children, count, out);
		goto out;
	}
	for (unsigned i = 0; i < 16 && r == 0; i++) {
		struct set *s = &children[i];

		if (!s->count)
			continue;
		if (!s->put)
			r = put_node(x, NULL, s, &s->cid);
		attrs_put_child(&out->items,
				&(struct attrs_child){ i, s->count, s->bytes, s->cid });
		out->n++;
	}
	out->form = ATTRS_INDEX;
	out->count = count;
	out->bytes = bytes;
	if (r == 0 && out->items.failed)
		r = -ENOMEM;
out:
	for (unsigned i = 0; i < 16; i++)
		set_release(&children[i]);
	return r;
}

/* A set of new form: `n` items in order of their hashes, which agree so far. */
static int make_set(struct editing *x, unsigned level, const struct item *in, size_t n,
		    struct set *out)
{
	struct set children[16] = { 0 };
	uint64_t bytes = 0;
	int r = 0;

	if (x->noting || n == 0)
		return 0;
	for (size_t i = 0; i < n; i++)
		bytes += in[i].len;
	if (fits_page(n, bytes))
		return make_page(x, in, n, out);
	if (level == ATTRS_LEVELS)
		return -EOVERFLOW;
	for (size_t i = 0, end; i < n && r == 0; i = end) {
		unsigned digit = attrs_digit(in[i].hash, level);
		struct set *s = &children[digit];

		for (end = i + 1; end < n; end++)
			if (attrs_digit(in[end].hash, level) != digit)
				break;
		r = make_set(x, level + 1, in + i, end - i, s);
		/* What holds it is an index, so its node need not wait. */
		if (r == 0)
			r = put_node(x, NULL, s, &s->cid);
		buf_release(&s->items);
		s->put = true;
	}
	if (r == 0)
		return join(x, children, out);
	for (unsigned i = 0; i < 16; i++)
		set_release(&children[i]);
	return r;
}

static int edit_page(struct editing *x, unsigned level, uint64_t key,
		     const struct attrs_node *old, const struct item *in, size_t n,
		     struct set *out)
{
	struct item *all = malloc((old->n + n) * sizeof *all);
	int r;

	if (!all)
		return -ENOMEM;
	memcpy(all, in, n * sizeof *in);
	r = page_items(old, level, key, all + n);
	n += old->n;
	if (r == 0) {
		qsort(all, n, sizeof *all, compare_items);
		r = make_set(x, level, all, settle(x, all, n), out);
	}
	free(all);
	return r;
}

static int edit_index(struct editing *x, unsigned level, uint64_t key,
		      const struct attrs_node *old, struct item *in, size_t n,
		      struct set *out);

/* The set below `key`: what it was (NULL: nothing), and the changes in it. */
static int edit_set(struct editing *x, unsigned level, uint64_t key,
		    const struct attrs_node *old, struct item *in, size_t n,
		    struct set *out)
{
	if (old && old->form == ATTRS_INDEX)
		return edit_index(x, level, key, old, in, n, out);
	if (old && old->form == ATTRS_ENTRIES)
		return edit_page(x, level, key, old, in, n, out);
	return make_set(x, level, in, settle(x, in, n), out);
}

/* A child that there is, with the changes in it. */
static int edit_child(struct editing *x, unsigned level, uint64_t key,
		      const struct attrs_child *old, struct item *in, size_t n,
		      struct set *out)
{
	struct block *block = NULL;
	struct attrs_node node;
	int r = attrs_get_child(x->source, old, &node, &block, x->misses);

	if (r == 0)
		r = edit_set(x, level, key, &node, in, n, out);
	block_unref(block);
	return r;
}

static int edit_index(struct editing *x, unsigned level, uint64_t key,
		      const struct attrs_node *old, struct item *in, size_t n,
		      struct set *out)
{
	struct set children[16] = { 0 };
	struct cursor items = old->items;
	struct attrs_child c;
	bool more = attrs_node_child(&items, &c);
	int r = level == ATTRS_LEVELS ? ERR_MALFORMED : 0;

	for (unsigned digit = 0; digit < 16 && r == 0; digit++) {
		bool there = more && c.digit == digit;
		uint64_t below = key << 4 | digit;
		struct set *s = &children[digit];
		size_t here = 0;

		while (here < n && attrs_digit(in[here].hash, level) == digit)
			here++;
		if (there && !here)
			*s = (struct set){ .count = c.count,
					   .bytes = c.bytes,
					   .put = true,
					   .cid = c.cid };
		else if (there)
			r = edit_child(x, level + 1, below, &c, in, here, s);
		else
			r = edit_set(x, level + 1, below, NULL, in, here, s);
		if (r == ERR_MISSING && x->misses && x->misses->n < x->misses->max) {
			x->noting = true;
			r = 0;
		}
		in += here;
		n -= here;
		if (there)
			more = attrs_node_child(&items, &c);
	}
	if (r == 0)
		return join(x, children, out);
	for (unsigned i = 0; i < 16; i++)
		set_release(&children[i]);
	return r;
}

/* The changes as items, in order of their hashes. */
static int take_changes(struct editing *x, struct item *out)
{
	struct buf encoded = { 0 };
	struct attrs_link before = { 0 };
	int r = 0;

	for (size_t i = 0; i < x->changes->n && r == 0; i++) {
		struct attrs_link l = change_at(x, i);

		if (!dag_name_ok(l.name, l.name_len) ||
		    (i && attrs_name_compare(before.name, before.name_len, l.name,
					     l.name_len) >= 0)) {
			r = -EINVAL;
			break;
		}
		buf_clear(&encoded);
		if (!removes(&l))
			r = attrs_put_link(&encoded, &l);
		if (encoded.failed)
			r = -ENOMEM;
		out[i] = (struct item){ .hash = attrs_hash(l.name, l.name_len),
					.len = (uint32_t)encoded.len,
					.change = (uint32_t)i };
		before = l;
	}
	buf_release(&encoded);
	if (r == 0)
		qsort(out, x->changes->n, sizeof *out, compare_items);
	return r;
}

int attrs_edit(struct block_source *s, struct block_sink *sink, const struct cid *old,
	       const struct attrs_entry *self, const struct attrs_changes *changes,
	       struct cid *out, struct misses *misses)
{
	struct editing x = {
		.source = s, .sink = sink, .misses = misses, .changes = changes
	};
	struct attrs_node node = { 0 };
	struct block *block = NULL;
	struct set set = { 0 };
	struct item *in;
	int r = self ? attrs_check(self) : 0;

	if (r < 0)
		return r;
	if (changes->n > UINT32_MAX)
		return -EFBIG;
	in = malloc((changes->n + 1) * sizeof *in);
	if (!in)
		return -ENOMEM;
	r = take_changes(&x, in);
	if (r == 0 && old)
		r = attrs_get(s, old, &node, &block, misses);
	if (r == 0)
		r = edit_set(&x, 0, 0, &node, in, changes->n, &set);
	if (r == 0 && x.noting)
		r = ERR_MISSING;
	if (r == 0) {
		if (!self && node.has_self)
			self = &node.self;
		if (set.form || (self && !attrs_empty(self)))
			r = put_node(&x, self, &set, out);
		else
			goto out; /* nothing is left to be said */
		r = r < 0 ? r : 1;
	}
out:
	set_release(&set);
	block_unref(block);
	free(in);
	return r;
}
