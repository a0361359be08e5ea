/*
 * A block that is mostly an older one, byte for byte at the same place, as a leaf of a
 * file is that was written over in the middle.  It is made of the older one's pieces, or
 * parts of them, and of new pieces for what differs.  To cut it anew would find few of
 * them again if the older one was cut as a part of its file (store_stream.h).
 */
#include "store/error.h"
#include "store/store_internal.h"

#include <stdlib.h>
#include <string.h>

/* More ranges than this make a block slow to read: it is cut anew. */
#define RANGES_MOST (RECIPE_RANGES / 2)
/* A part of a piece that is shorter is stored again. */
#define PART_MIN PIECE_MIN

struct patching {
	struct store *s;
	struct packer *p;
	const uint8_t *data;
	struct recipe made;
	uint8_t *piece; /* PIECE_MAX bytes */
};

static struct range *add(struct patching *x, uint32_t len)
{
	struct range *g = &x->made.ranges[x->made.n];

	if (x->made.n == RANGES_MOST)
		return NULL;
	x->made.n++;
	g->from = 0;
	g->len = len;
	return g;
}

/* A part of an older range: 0, or 1 if there are too many. */
static int add_part(struct patching *x, const struct range *of, uint32_t from, uint32_t len)
{
	struct range *g = len ? add(x, len) : NULL;

	if (!g)
		return len > 0;
	memcpy(g->piece, of->piece, PIECE_NAME);
	g->from = of->from + from;
	return 0;
}

static int add_new(struct patching *x, const uint8_t *data, uint32_t len)
{
	struct range *g = len ? add(x, len) : NULL;

	if (!g)
		return len > 0;
	return store_put_piece(x->s, x->p, data, len, g->piece);
}

/* What becomes of a range of the older block, in whose place is `data`. */
static int patch_range(struct patching *x, const struct range *g, const uint8_t *data)
{
	struct record_name name;
	struct place at;
	uint32_t a = 0, b = 0;
	int r;

	/* It is used from here on, whatever a gc does. */
	record_name_of(&name, RECORD_PIECE, g->piece, PIECE_NAME, x->s->seed);
	r = store_find_used(x->s, &name, &at);
	if (r > 0)
		r = store_read_range(x->s, x->p, g, x->piece) ?: 1;
	if (r == 0 || r == ERR_CORRUPT)
		return add_new(x, data, g->len);
	if (r < 0)
		return r;
	while (a < g->len && data[a] == x->piece[a])
		a++;
	while (b < g->len - a && data[g->len - 1 - b] == x->piece[g->len - 1 - b])
		b++;
	if (a < PART_MIN && a < g->len)
		a = 0;
	if (b < PART_MIN)
		b = 0;
	r = add_part(x, g, 0, a);
	if (!r)
		r = add_new(x, data + a, g->len - a - b);
	return r ? r : add_part(x, g, g->len - b, b);
}

/* 0, an error, or 1 if it is better cut anew. */
static int patch(struct patching *x, const struct record_name *key, const struct recipe *old,
		 size_t len)
{
	size_t done = old->head_size;

	if (memcmp(old->head, x->data, old->head_size) ||
	    memcmp(old->tail, x->data + len - old->tail_size, old->tail_size))
		return 1;
	x->made.check = record_check(x->data, len);
	x->made.head_size = old->head_size;
	x->made.tail_size = old->tail_size;
	memcpy(x->made.head, old->head, sizeof old->head);
	memcpy(x->made.tail, old->tail, sizeof old->tail);
	for (uint32_t i = 0; i < old->n; i++) {
		int r = patch_range(x, &old->ranges[i], x->data + done);

		if (r)
			return r;
		done += old->ranges[i].len;
	}
	return store_put_recipe(x->s, key, &x->made, len);
}

/* 1 if that block is of this length and of pieces. */
static int older_recipe(struct store *s, const struct multihash *name, size_t len,
			struct recipe *out)
{
	struct record_name key;
	struct place at;

	record_name(&key, name, s->seed);
	return store_find(s, &key, &at) > 0 && at.kind == RECORD_RECIPE && at.size == len &&
	       store_read_recipe(s, &key, &at, out) == 0;
}

int store_put_like(struct store *s, const struct multihash *older,
		   const struct multihash *name, const void *data, size_t len)
{
	struct patching x = { .s = s, .data = data };
	struct record_name key;
	struct recipe old;
	struct place at;
	int r = 1;

	record_name(&key, name, s->seed);
	if (s->writable && older_recipe(s, older, len, &old) &&
	    store_find_used(s, &key, &at) == 0) {
		x.p = store_packer(s);
		x.piece = malloc(PIECE_MAX);
		r = x.p && x.piece ? patch(&x, &key, &old, len) : -ENOMEM;
		free(x.piece);
		store_packer_done(s, x.p);
	}
	return r > 0 ? store_put_bytes(s, name, data, len) : r;
}
