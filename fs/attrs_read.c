/* Reading the attributes DAG. */
#include "fs/attrs_internal.h"

#include "store/error.h"

#include <string.h>

int attrs_get(struct block_source *s, const struct cid *cid, struct attrs_node *out,
	      struct block **block, struct misses *misses)
{
	struct block *b;
	int r;

	if (cid->codec != CODEC_DAG_CBOR)
		return ERR_MALFORMED;
	r = source_try(s, cid, &b, misses);
	if (r < 0)
		return r;
	r = attrs_node_decode(out, b->data, b->size);
	if (r < 0)
		block_unref(b);
	else
		*block = b;
	return r;
}

int attrs_get_child(struct block_source *s, const struct attrs_child *c,
		    struct attrs_node *out, struct block **block, struct misses *misses)
{
	int r = attrs_get(s, &c->cid, out, block, misses);

	if (r == 0 &&
	    (out->has_self || out->count != c->count || out->bytes != c->bytes)) {
		block_unref(*block);
		*block = NULL;
		r = ERR_MALFORMED;
	}
	return r;
}

int attrs_self(struct block_source *s, const struct cid *dir, struct attrs_entry *out,
	       struct block **hold, struct misses *misses)
{
	struct attrs_node n;
	struct block *b;
	int r = attrs_get(s, dir, &n, &b, misses);

	if (r < 0)
		return r;
	if (!n.has_self) {
		block_unref(b);
		return -ENOENT;
	}
	*out = n.self;
	*hold = b;
	return 0;
}

/* The child of an index that has a digit: 0 or -ENOENT. */
static int find_child(const struct attrs_node *n, unsigned digit, struct attrs_child *out)
{
	struct cursor items = n->items;

	while (attrs_node_child(&items, out))
		if (out->digit == digit)
			return 0;
	return -ENOENT;
}

static int find_entry(const struct attrs_node *n, const char *name, size_t name_len,
		      struct attrs_link *out)
{
	struct cursor items = n->items;

	while (attrs_node_entry(&items, out))
		if (out->name_len == name_len && memcmp(out->name, name, name_len) == 0)
			return 0;
	return -ENOENT;
}

int attrs_lookup(struct block_source *s, const struct cid *dir, const char *name,
		 size_t name_len, struct attrs_link *out, struct block **hold,
		 struct misses *misses)
{
	uint64_t hash = attrs_hash(name, name_len);
	struct attrs_child c;
	struct attrs_node n;
	struct block *b;
	int r = attrs_get(s, dir, &n, &b, misses);

	for (unsigned level = 0; r == 0 && n.form == ATTRS_INDEX; level++) {
		r = level == ATTRS_LEVELS ? ERR_MALFORMED
					  : find_child(&n, attrs_digit(hash, level), &c);
		block_unref(b);
		b = NULL;
		if (r == 0)
			r = attrs_get_child(s, &c, &n, &b, misses);
	}
	if (r < 0)
		return r;
	r = find_entry(&n, name, name_len, out);
	if (r < 0)
		block_unref(b);
	else
		*hold = b;
	return r;
}

/* A place in the listing: a node, and what comes next in it. */
struct place {
	struct block *block;
	enum attrs_form form;
	struct cursor items;
	uint64_t key; /* the digits that led here */
};

static int give_page(const struct place *at, unsigned level, attrs_each_fn each,
		     void *arg)
{
	struct cursor items = at->items;
	struct attrs_link l;
	int r = 0;

	while (r == 0 && attrs_node_entry(&items, &l)) {
		if (!attrs_within(attrs_hash(l.name, l.name_len), level, at->key))
			return ERR_MALFORMED; /* it would not be found here */
		r = each(arg, &l);
	}
	return r;
}

int attrs_list(struct block_source *s, const struct cid *dir, attrs_each_fn each,
	       void *arg, struct misses *misses)
{
	struct place places[ATTRS_LEVELS + 1];
	unsigned depth = 1;
	struct attrs_node n;
	int r = attrs_get(s, dir, &n, &places[0].block, misses);

	if (r < 0)
		return r;
	places[0].form = n.form;
	places[0].items = n.items;
	places[0].key = 0;
	while (r == 0 && depth) {
		struct place *at = &places[depth - 1], *below = at + 1;
		struct attrs_child c;

		if (at->form == ATTRS_INDEX && attrs_node_child(&at->items, &c)) {
			if (depth > ATTRS_LEVELS) {
				r = ERR_MALFORMED;
				break;
			}
			r = attrs_get_child(s, &c, &n, &below->block, misses);
			if (r < 0)
				break;
			below->form = n.form;
			below->items = n.items;
			below->key = at->key << 4 | c.digit;
			depth++;
			continue;
		}
		if (at->form == ATTRS_ENTRIES)
			r = give_page(at, depth - 1, each, arg);
		block_unref(at->block);
		depth--;
	}
	while (depth)
		block_unref(places[--depth].block);
	return r;
}
