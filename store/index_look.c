#include "store/index_look.h"

#include "store/error.h"
#include "store/index_pages_internal.h"
#include "store/xxh3.h"

void index_view_fit(struct index_view *v, const uint8_t *file, size_t len)
{
	uint64_t there = len / v->page_size;

	v->file = file;
	v->pages = v->last_page < there ? v->last_page + 1 : there;
}

int index_view_begin(struct index_view *v, const uint8_t *file, size_t len,
		     uint64_t transaction)
{
	struct meta_page m;

	v->sound = NULL;
	v->page_size = index_page_size(file, len);
	if (!v->page_size || !index_meta_at(file, len, v->page_size, transaction & 1, &m))
		return ERR_CORRUPT;
	if (m.transaction != transaction)
		return -EAGAIN;
	v->last_page = m.last_page;
	v->free = m.free;
	v->main = m.main;
	index_view_fit(v, file, len);
	return 0;
}

/* A page of a tree, of which nothing but its number and its kind is known to be
 * right.  *nodes: how many it says it has, inside of it. */
static const uint8_t *page_at(const struct index_view *v, uint64_t number, bool leaf,
			      unsigned *nodes)
{
	if (number < 2 || number >= v->pages)
		return NULL;
	const uint8_t *page = v->file + number * v->page_size;
	unsigned flags = u16(page + 10) & ~DIRTY, lower = u16(page + 12);

	if (u64(page) != number || flags != (leaf ? LEAF : BRANCH) || lower <= PAGE_HEAD ||
	    lower % 2 || lower > v->page_size)
		return NULL;
	*nodes = (lower - PAGE_HEAD) / 2;
	return page;
}

/* Node `i` of a page: true if it lies inside.  Of a branch, `value_size` is 0. */
static bool node_at(const struct index_view *v, const uint8_t *page, unsigned i, bool leaf,
		    struct index_node *out)
{
	unsigned at = u16(page + PAGE_HEAD + 2 * i);

	if (at < PAGE_HEAD || at + 8 > v->page_size)
		return false;
	const uint8_t *p = page + at;
	size_t room = v->page_size - at - 8, low = u16(p), high = u16(p + 2);

	out->flags = u16(p + 4);
	out->key = p + 8;
	out->key_size = u16(p + 6);
	if (out->key_size > room || out->key_size > KEY_MAX)
		return false;
	out->value = out->key + out->key_size;
	out->value_size = leaf ? low | high << 16 : 0;
	/* None of ours is so long that it lies elsewhere (NODE_BIG). */
	return !leaf || (out->key_size && !(out->flags & ~NODE_TABLE) &&
			 out->value_size <= room - out->key_size);
}

static uint64_t child_of(const struct index_node *n)
{
	const uint8_t *p = n->key - 8;

	return u16(p) | (uint64_t)u16(p + 2) << 16 | (uint64_t)u16(p + 4) << 32;
}

static int compare(const struct index_node *n, const void *key, size_t key_size)
{
	int d = memcmp(n->key, key, n->key_size < key_size ? n->key_size : key_size);

	return d ? d : (n->key_size > key_size) - (n->key_size < key_size);
}

/*
 * The first node of a page whose key is not before `key`, or `n`; *same: it is that
 * key.  The first of a branch has no key, and is before all.
 */
static int search(const struct index_view *v, const uint8_t *page, unsigned n, bool leaf,
		  const void *key, size_t key_size, unsigned *out, bool *same)
{
	unsigned from = leaf ? 0 : 1, to = n;
	struct index_node node;

	while (from < to) {
		unsigned i = from + (to - from) / 2;

		if (!node_at(v, page, i, leaf, &node))
			return ERR_CORRUPT;
		if (compare(&node, key, key_size) < 0)
			from = i + 1;
		else
			to = i;
	}
	*out = from;
	*same = from < n && node_at(v, page, from, leaf, &node) &&
		!compare(&node, key, key_size);
	return 0;
}

/* Of the branch, which child has what is at `key` or behind it. */
static int choose(const struct index_view *v, const uint8_t *page, unsigned n,
		  const void *key, size_t key_size, unsigned *out)
{
	bool same;
	int r = search(v, page, n, false, key, key_size, out, &same);

	if (!r && !same)
		--*out;
	return r;
}

static bool empty(const struct index_tree *t)
{
	return t->root == NO_ROOT;
}

static bool possible(const struct index_tree *t)
{
	return t->depth && t->depth <= DEPTH_MAX && !t->flags;
}

int index_view_get(const struct index_view *v, const struct index_tree *t, const void *key,
		   size_t key_size, const uint8_t **value, size_t *value_size)
{
	uint64_t number = t->root;
	struct index_node node;
	unsigned i, n;
	bool same;

	if (empty(t))
		return 0;
	if (!possible(t))
		return ERR_CORRUPT;
	for (unsigned depth = 1;; depth++) {
		bool leaf = depth == t->depth;
		const uint8_t *page = page_at(v, number, leaf, &n);

		if (!page)
			return ERR_CORRUPT;
		if (leaf) {
			int r = search(v, page, n, true, key, key_size, &i, &same);
			if (r < 0 || !same)
				return r;
			if (!node_at(v, page, i, true, &node))
				return ERR_CORRUPT;
			*value = node.value;
			*value_size = node.value_size;
			return 1;
		}
		if (choose(v, page, n, key, key_size, &i) < 0 ||
		    !node_at(v, page, i, false, &node))
			return ERR_CORRUPT;
		number = child_of(&node);
	}
}

int index_view_table(const struct index_view *v, const char *name, struct index_tree *out)
{
	const uint8_t *value;
	size_t size;
	int r = index_view_get(v, &v->main, name, strlen(name), &value, &size);

	if (r < 0 || !r || size != sizeof *out)
		return ERR_CORRUPT;
	memcpy(out, value, sizeof *out);
	return empty(out) || possible(out) ? 0 : ERR_CORRUPT;
}

int index_view_after(const struct index_view *v, const struct index_tree *t,
		     const void *key, size_t key_size, index_view_fn each, void *arg)
{
	struct {
		const uint8_t *page;
		unsigned n, next;
	} stack[DEPTH_MAX];
	struct index_node node, last = { .key = key, .key_size = key_size };
	uint64_t number = t->root, pages = 0;
	bool descending = true, same = false;
	unsigned depth = 0, i, n;

	if (empty(t))
		return 0;
	if (!possible(t))
		return ERR_CORRUPT;
	for (;;) {
		bool leaf = depth + 1 == t->depth;
		const uint8_t *page = page_at(v, number, leaf, &n);

		/* Each page once: more than there are would be a circle. */
		if (!page || pages++ > v->pages)
			return ERR_CORRUPT;
		i = 0;
		if (descending && key_size &&
		    (leaf ? search(v, page, n, true, key, key_size, &i, &same)
			  : choose(v, page, n, key, key_size, &i)) < 0)
			return ERR_CORRUPT;
		if (!leaf) {
			stack[depth].page = page;
			stack[depth].n = n;
			stack[depth].next = i;
			depth++;
		} else {
			for (i += same; i < n; i++) {
				if (!node_at(v, page, i, true, &node) ||
				    (last.key_size &&
				     compare(&node, last.key, last.key_size) <= 0))
					return ERR_CORRUPT;
				last = node;
				int r = each(arg, node.key, node.key_size, node.value,
					     node.value_size);
				if (r)
					return r;
			}
			descending = same = false;
		}
		while (depth && stack[depth - 1].next == stack[depth - 1].n)
			depth--;
		if (!depth)
			return 0;
		if (!node_at(v, stack[depth - 1].page, stack[depth - 1].next++, false, &node))
			return ERR_CORRUPT;
		number = child_of(&node);
	}
}

/* The page to which a branch's node leads, if it is sound through and through. */
static const uint8_t *sound_page(const struct index_view *v, uint64_t number, bool leaf,
				 unsigned *n)
{
	const uint8_t *page = page_at(v, number, leaf, n);

	if (!page || (v->sound && v->sound[number / 8] & 1u << number % 8))
		return page;
	if (index_page_nodes(page, v->page_size, number) != *n)
		return NULL;
	if (v->sound)
		v->sound[number / 8] |= (uint8_t)(1u << number % 8);
	return page;
}

/* The same of a page, and of the first one on each of the levels below it, from which
 * its key is taken when it is moved. */
static bool sound_edge(const struct index_view *v, uint64_t number, unsigned levels)
{
	struct index_node node;
	unsigned n;

	for (; levels; levels--) {
		const uint8_t *page = sound_page(v, number, levels == 1, &n);

		if (!page || (levels > 1 && !node_at(v, page, 0, false, &node)))
			return false;
		number = levels > 1 ? child_of(&node) : 0;
	}
	return true;
}

int index_view_path(const struct index_view *v, const struct index_tree *t, const void *key,
		    size_t key_size, bool neighbours)
{
	uint64_t number = t->root;
	struct index_node node;
	unsigned i, n;

	if (empty(t))
		return 0;
	if (!possible(t))
		return ERR_CORRUPT;
	for (unsigned depth = 1; depth <= t->depth; depth++) {
		bool leaf = depth == t->depth;
		const uint8_t *page = sound_page(v, number, leaf, &n);

		if (!page || (!leaf && n < 2))
			return ERR_CORRUPT;
		if (leaf)
			break;
		if (choose(v, page, n, key, key_size, &i) < 0)
			return ERR_CORRUPT;
		for (unsigned k = i > 2 ? i - 2 : 0; k <= i + 2 && k < n; k++) {
			if (k != i && !neighbours)
				continue;
			if (!node_at(v, page, k, false, &node))
				return ERR_CORRUPT;
			if (k == i)
				number = child_of(&node);
			else if (!sound_edge(v, child_of(&node), t->depth - depth))
				return ERR_CORRUPT;
		}
	}
	return 0;
}

/* ---- what is free ---- */

/* A list of pages, where the node or a page of its own has it. */
static const uint8_t *list_of(const struct index_view *v, const uint8_t *p, size_t room,
			      size_t *size)
{
	size_t low = u16(p), high = u16(p + 2), key_size = u16(p + 6);

	*size = low | high << 16;
	if (key_size != 8 || room < 8)
		return NULL;
	if (!(u16(p + 4) & NODE_BIG))
		return *size <= room - 8 ? p + 16 : NULL;
	if (room < 16)
		return NULL;
	uint64_t number = u64(p + 16), n;

	if (number < 2 || number >= v->pages)
		return NULL;
	n = (*size + PAGE_HEAD + v->page_size - 1) / v->page_size;
	const uint8_t *page = v->file + number * v->page_size;
	uint32_t claimed;

	memcpy(&claimed, page + 12, sizeof claimed);
	if (n > v->pages - number || claimed != n || u64(page) != number ||
	    (u16(page + 10) & ~DIRTY) != OVERFLOW)
		return NULL;
	return page + PAGE_HEAD;
}

/* The tree of free pages: its keys are numbers, so it is not searched, but read. */
static int sum_free(const struct index_view *v, uint64_t *sum)
{
	struct {
		const uint8_t *page;
		unsigned n, next;
	} stack[DEPTH_MAX];
	const struct index_tree *t = &v->free;
	uint64_t number = t->root, pages = 0;
	unsigned depth = 0, n;

	if (empty(t))
		return 0;
	if (!t->depth || t->depth > DEPTH_MAX)
		return ERR_CORRUPT;
	for (;;) {
		bool leaf = depth + 1 == t->depth;
		const uint8_t *page = sound_page(v, number, leaf, &n);

		if (!page || pages++ > v->pages)
			return ERR_CORRUPT;
		/* Keys, and where the pages and lists lie, too. */
		*sum = XXH3_64bits_withSeed(page, v->page_size, *sum);
		for (unsigned i = 0; leaf && i < n; i++) {
			unsigned at = u16(page + PAGE_HEAD + 2 * i);
			size_t size;
			const uint8_t *list = list_of(v, page + at,
						      v->page_size - at - 8, &size);
			if (!list)
				return ERR_CORRUPT;
			*sum = XXH3_64bits_withSeed(list, size, *sum);
		}
		if (!leaf) {
			stack[depth].page = page;
			stack[depth].n = n;
			stack[depth].next = 0;
			depth++;
		}
		while (depth && stack[depth - 1].next == stack[depth - 1].n)
			depth--;
		if (!depth)
			return 0;
		struct index_node node;
		if (!node_at(v, stack[depth - 1].page, stack[depth - 1].next++, false, &node))
			return ERR_CORRUPT;
		number = child_of(&node);
	}
}

static int sum_table(void *arg, const uint8_t *key, size_t key_size, const uint8_t *value,
		     size_t value_size)
{
	uint64_t *sum = arg;

	*sum = XXH3_64bits_withSeed(key, key_size, *sum);
	*sum = XXH3_64bits_withSeed(value, value_size, *sum);
	return 0;
}

int index_view_sum(const struct index_view *v, uint64_t *sum)
{
	*sum = XXH3_64bits(&v->free, sizeof v->free);
	*sum = XXH3_64bits_withSeed(&v->main, sizeof v->main, *sum);
	*sum += v->last_page;
	int r = sum_free(v, sum);
	return r < 0 ? r : index_view_after(v, &v->main, NULL, 0, sum_table, sum);
}
