#include "store/index_pages_internal.h"

#include "store/error.h"
#include "store/xxh3.h"

#include <stdlib.h>

struct walk {
	const uint8_t *file;
	uint64_t pages; /* up to the last one in use */
	uint32_t page_size;
	uint64_t transaction;
	uint8_t *seen; /* a bit a page */
};

uint64_t index_entry_sum(const char *table, const void *key, size_t key_size,
			 const void *value, size_t value_size)
{
	uint64_t seed = XXH3_64bits(table, strlen(table));

	seed = XXH3_64bits_withSeed(key, key_size, seed);
	return XXH3_64bits_withSeed(value, value_size, seed);
}

bool index_meta_at(const uint8_t *head, size_t len, uint32_t page_size, unsigned i,
		    struct meta_page *out)
{
	size_t at = (size_t)i * page_size;

	if (len < PAGE_HEAD + sizeof *out || at > len - PAGE_HEAD - sizeof *out)
		return false;
	memcpy(out, head + at + PAGE_HEAD, sizeof *out);
	return u64(head + at) == i && (u16(head + at + 10) & ~DIRTY) == META &&
	       out->magic == META_MAGIC && out->version == VERSION &&
	       out->free.pad == page_size && out->free.flags == INTEGER_KEY &&
	       !out->main.flags && out->last_page >= 1 &&
	       out->last_page < MAP_MAX / page_size && out->map_size <= MAP_MAX;
}

uint32_t index_page_size(const uint8_t *head, size_t len)
{
	struct meta_page m;
	uint32_t size;

	if (len < PAGE_HEAD + sizeof m)
		return 0;
	memcpy(&m, head + PAGE_HEAD, sizeof m);
	size = m.free.pad;
	return size < PAGE_MIN || size > PAGE_MAX || size & (size - 1) ? 0 : size;
}

int index_head_check(const uint8_t *head, size_t len, uint64_t size)
{
	uint32_t page_size = index_page_size(head, len);
	struct meta_page a, b;

	if (!page_size || !index_meta_at(head, len, page_size, 0, &a) ||
	    !index_meta_at(head, len, page_size, 1, &b))
		return ERR_CORRUPT;
	/* They are written in turn, the first one by transaction 1. */
	if (a.transaction & 1 || (b.transaction && !(b.transaction & 1)))
		return ERR_CORRUPT;
	uint64_t apart = a.transaction > b.transaction ? a.transaction - b.transaction
						       : b.transaction - a.transaction;
	uint64_t last = a.transaction > b.transaction ? a.last_page : b.last_page;
	return apart <= 1 && (last + 1) * page_size <= size ? 0 : ERR_CORRUPT;
}

/* Take a page for one purpose: its bytes, or NULL. */
static const uint8_t *take(struct walk *w, uint64_t number)
{
	if (number < 2 || number >= w->pages || w->seen[number / 8] & 1u << number % 8)
		return NULL;
	w->seen[number / 8] |= (uint8_t)(1u << number % 8);
	return w->file + number * w->page_size;
}

/* A value that is too long for its leaf lies in pages of its own. */
static int take_overflow(struct walk *w, struct index_tree *found, uint64_t number,
			 struct index_node *node)
{
	uint64_t n = (node->value_size + PAGE_HEAD + w->page_size - 1) / w->page_size;
	const uint8_t *page = take(w, number);
	uint32_t claimed;

	if (!page || u64(page) != number || (u16(page + 10) & ~DIRTY) != OVERFLOW)
		return ERR_CORRUPT;
	memcpy(&claimed, page + 12, sizeof claimed);
	if (claimed != n)
		return ERR_CORRUPT;
	for (uint64_t i = 1; i < n; i++)
		if (!take(w, number + i))
			return ERR_CORRUPT;
	node->value = page + PAGE_HEAD;
	found->overflows += n;
	return 0;
}

unsigned index_page_nodes(const uint8_t *page, uint32_t page_size, uint64_t number)
{
	unsigned flags = u16(page + 10) & ~DIRTY, lower = u16(page + 12),
		 upper = u16(page + 14), used = 0, n;

	if (u64(page) != number || (flags != BRANCH && flags != LEAF) ||
	    lower < PAGE_HEAD || lower % 2 || lower > upper || upper > page_size)
		return 0;
	n = (lower - PAGE_HEAD) / 2;
	for (unsigned i = 0; i < n; i++) {
		unsigned at = u16(page + PAGE_HEAD + 2 * i);
		const uint8_t *node = page + at;
		uint64_t size;

		if (at < upper || at % 2 || at + 8 > page_size)
			return 0;
		size = 8 + u16(node + 6);
		if (flags == LEAF)
			size += u16(node + 4) & NODE_BIG
				    ? 8
				    : u16(node) | (uint32_t)u16(node + 2) << 16;
		if (size > page_size - at)
			return 0;
		used += (unsigned)(size + 1) & ~1u;
	}
	/* The nodes lie one beside the other. */
	return used == page_size - upper ? n : 0;
}

static int leaf_node(struct walk *w, struct index_tree *found, const uint8_t *page, unsigned i,
		     struct index_node *out)
{
	const uint8_t *p = page + u16(page + PAGE_HEAD + 2 * i);

	*out = (struct index_node){
		.key = p + 8,
		.key_size = u16(p + 6),
		.value = p + 8 + u16(p + 6),
		.value_size = u16(p) | (uint32_t)u16(p + 2) << 16,
		.flags = u16(p + 4),
	};
	if (!out->key_size || out->key_size > KEY_MAX)
		return ERR_CORRUPT;
	if (out->flags == NODE_BIG)
		return take_overflow(w, found, u64(out->value), out);
	return out->flags & ~NODE_TABLE ? ERR_CORRUPT : 0;
}

/* Of keys, in the order of their tree; of integers the machine's. */
static int compare(const struct index_tree *t, const struct index_node *a, const struct index_node *b)
{
	size_t n = a->key_size < b->key_size ? a->key_size : b->key_size;

	if (t->flags & INTEGER_KEY) {
		uint64_t x = a->key_size == 8 ? u64(a->key) : 0;
		uint64_t y = b->key_size == 8 ? u64(b->key) : 0;
		return x < y ? -1 : x > y;
	}
	int d = memcmp(a->key, b->key, n);
	return d ? d : (a->key_size > b->key_size) - (a->key_size < b->key_size);
}

typedef int (*node_fn)(struct walk *w, const struct index_node *node, void *arg);

/*
 * Every leaf node of a tree, in order.  A branch is a row of keys and pages; what
 * lies below a page is not before its key, and what lies below the page to its
 * left is.
 */
static int walk_tree(struct walk *w, const struct index_tree *t, node_fn each, void *arg)
{
	struct {
		const uint8_t *page;
		unsigned n, next;
	} stack[DEPTH_MAX];
	struct index_tree found = { .depth = t->depth };
	struct index_node last = { 0 }, floor = { 0 };
	uint64_t number = t->root;
	unsigned depth = 0;
	int r;

	if (t->root == NO_ROOT || !t->depth)
		return t->root == NO_ROOT && !t->depth && !t->branches && !t->leaves &&
			       !t->overflows && !t->entries
			   ? 0
			   : ERR_CORRUPT;
	if (t->depth > DEPTH_MAX)
		return ERR_CORRUPT;
	for (;;) {
		const uint8_t *page = take(w, number);
		unsigned n = page ? index_page_nodes(page, w->page_size, number) : 0;
		bool leaf = n && u16(page + 10) & LEAF;

		if (!n || leaf != (depth + 1 == t->depth))
			return ERR_CORRUPT;
		if (leaf) {
			found.leaves++;
			found.entries += n;
		} else {
			found.branches++;
			/* LMDB gives up at branches of one; not in `free`. */
			if (n < 2 && !(t->flags & INTEGER_KEY))
				return ERR_CORRUPT;
			stack[depth].page = page;
			stack[depth].n = n;
			stack[depth++].next = 0;
		}
		for (unsigned i = 0; leaf && i < n; i++) {
			struct index_node node;

			r = leaf_node(w, &found, page, i, &node);
			if (r < 0)
				return r;
			if ((last.key && compare(t, &last, &node) >= 0) ||
			    (floor.key && compare(t, &floor, &node) > 0))
				return ERR_CORRUPT;
			floor.key = NULL;
			last = node;
			r = each(w, &node, arg);
			if (r < 0)
				return r;
		}
		/* The next page: right of here, or above and right. */
		while (depth && stack[depth - 1].next == stack[depth - 1].n)
			depth--;
		if (!depth)
			break;
		const uint8_t *branch = stack[depth - 1].page;
		unsigned i = stack[depth - 1].next++;
		const uint8_t *p = branch + u16(branch + PAGE_HEAD + 2 * i);
		if (i) {
			floor = (struct index_node){ .key = p + 8, .key_size = u16(p + 6) };
			if (!last.key || compare(t, &last, &floor) >= 0)
				return ERR_CORRUPT;
		}
		number = u16(p) | (uint64_t)u16(p + 2) << 16 | (uint64_t)u16(p + 4) << 32;
	}
	return found.branches == t->branches && found.leaves == t->leaves &&
		       found.overflows == t->overflows && found.entries == t->entries
		   ? 0
		   : ERR_CORRUPT;
}

/* Pages that a transaction gave up: their number, then they, descending. */
static int on_free(struct walk *w, const struct index_node *node, void *arg)
{
	uint64_t n, before = UINT64_MAX;

	if (node->key_size != 8 || node->value_size < 8 || node->value_size % 8 ||
	    node->flags & NODE_TABLE || !u64(node->key) || u64(node->key) > w->transaction)
		return ERR_CORRUPT;
	n = u64(node->value);
	if (n > node->value_size / 8 - 1)
		return ERR_CORRUPT;
	for (uint64_t i = 0; i < n; i++) {
		uint64_t number = u64(node->value + 8 + 8 * i);
		if (number >= before || !take(w, number))
			return ERR_CORRUPT;
		before = number;
	}
	return 0;
}

struct summing {
	uint64_t sum;
	char table[KEY_MAX + 1];
};

static int on_entry(struct walk *w, const struct index_node *node, void *arg)
{
	struct summing *s = arg;

	if (node->flags & NODE_TABLE)
		return ERR_CORRUPT;
	if (!strcmp(s->table, "meta") && node->key_size == 3 && !memcmp(node->key, "sum", 3))
		return 0;
	s->sum += index_entry_sum(s->table, node->key, node->key_size, node->value,
				  node->value_size);
	return 0;
}

static int on_table(struct walk *w, const struct index_node *node, void *arg)
{
	struct summing *s = arg;
	struct index_tree t;
	int r;

	if (!(node->flags & NODE_TABLE))
		return on_entry(w, node, s);
	if (node->value_size != sizeof t)
		return ERR_CORRUPT;
	memcpy(&t, node->value, sizeof t);
	memcpy(s->table, node->key, node->key_size);
	s->table[node->key_size] = 0;
	r = t.flags || t.pad ? ERR_CORRUPT : walk_tree(w, &t, on_entry, s);
	s->table[0] = 0;
	return r;
}

int index_pages_check(const uint8_t *file, size_t len, uint64_t transaction,
		      uint64_t *sum)
{
	struct walk w = { .file = file, .page_size = index_page_size(file, len),
			  .transaction = transaction };
	struct summing summing = { 0 };
	struct meta_page m, other;
	int r;

	if (!w.page_size || !index_meta_at(file, len, w.page_size, transaction & 1, &m))
		return ERR_CORRUPT;
	if (transaction == INDEX_NEWEST) {
		r = index_head_check(file, len, len);
		if (r < 0 || !index_meta_at(file, len, w.page_size, 0, &other))
			return ERR_CORRUPT;
		if (other.transaction > m.transaction)
			m = other;
		w.transaction = transaction = m.transaction;
	}
	if (m.transaction != transaction)
		return -EAGAIN;
	w.pages = m.last_page + 1;
	if (w.pages > len / w.page_size)
		return ERR_CORRUPT;
	w.seen = calloc(1, w.pages / 8 + 1);
	if (!w.seen)
		return -ENOMEM;
	r = walk_tree(&w, &m.free, on_free, NULL);
	if (!r)
		r = walk_tree(&w, &m.main, on_table, &summing);
	/* A page that nobody has may have been in a list that was harmed. */
	for (uint64_t i = 2; i < w.pages && !r; i++)
		if (!(w.seen[i / 8] & 1u << i % 8))
			r = ERR_CORRUPT;
	free(w.seen);
	*sum = summing.sum;
	return r;
}
