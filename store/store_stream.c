#include "store/store_stream.h"

#include "store/error.h"
#include "store/fastcdc.h"
#include "store/store_internal.h"

#include <stdlib.h>
#include <string.h>

#define PARTS 8 /* leaves that one piece may lie in */

/* A leaf whose pieces are not all stored. */
struct leaf {
	struct record_name name;
	struct recipe recipe;
	size_t size;
	atomic_uint refs; /* its put, and each range */
	atomic_int error;
};

/* A piece to be stored, and the ranges it fills. */
struct piece {
	const uint8_t *data;
	uint8_t *owned; /* `data`, if it had to be gathered */
	size_t len;
	struct {
		struct leaf *leaf;
		uint32_t range;
	} parts[PARTS];
	unsigned n;
};

struct store_stream {
	struct store *store;
	pthread_mutex_t lock; /* of `next` and `broken` */
	pthread_cond_t turn;
	uint64_t next; /* leaf to be cut */
	bool broken;

	/* Whoever has the turn: */
	struct fastcdc cdc;
	struct piece open; /* begun in earlier leaves; `owned` may be NULL */

	atomic_int error;
};

struct store_stream *store_stream_new(struct store *s)
{
	struct store_stream *st = calloc(1, sizeof *st);

	if (!st)
		return NULL;
	st->store = s;
	fastcdc_init(&st->cdc, PIECE_MIN, PIECE_AVERAGE, PIECE_MAX);
	pthread_mutex_init(&st->lock, NULL);
	pthread_cond_init(&st->turn, NULL);
	return st;
}

static void fail(struct store_stream *st, int error)
{
	int none = 0;

	atomic_compare_exchange_strong(&st->error, &none, error);
}

/* The last one stores the recipe, if all went well. */
static void leaf_unref(struct store_stream *st, struct leaf *l)
{
	if (!l || atomic_fetch_sub(&l->refs, 1) != 1)
		return;
	int r = atomic_load(&l->error);
	if (!r)
		r = store_put_recipe(st->store, &l->name, &l->recipe, l->size);
	if (r < 0)
		fail(st, r);
	free(l);
}

/* A leaf to be stored: NULL in *out if it is there already. */
static int leaf_new(struct store_stream *st, const struct record_name *name,
		    const uint8_t *block, size_t len, size_t head, size_t tail,
		    struct leaf **out)
{
	struct place at;
	struct leaf *l;
	int r = store_find_used(st->store, name, &at);

	*out = NULL;
	if (r)
		return r < 0 ? r : 0;
	l = malloc(sizeof *l);
	if (!l)
		return -ENOMEM;
	l->name = *name;
	l->size = len;
	atomic_init(&l->refs, 1);
	atomic_init(&l->error, 0);
	l->recipe.n = 0;
	l->recipe.check = record_check(block, len);
	l->recipe.head_size = (uint8_t)head;
	l->recipe.tail_size = (uint8_t)tail;
	memcpy(l->recipe.head, block, head);
	memcpy(l->recipe.tail, block + len - tail, tail);
	*out = l;
	return 0;
}

/* The next `len` bytes of leaf `l` lie in `piece`, from byte piece->len on. */
static void piece_in(struct piece *piece, struct leaf *l, size_t len)
{
	if (l) {
		struct recipe *r = &l->recipe;

		piece->parts[piece->n].leaf = l;
		piece->parts[piece->n++].range = r->n;
		r->ranges[r->n++] = (struct range){ .from = (uint32_t)piece->len,
						    .len = (uint32_t)len };
		atomic_fetch_add(&l->refs, 1);
	}
	piece->len += len;
}

/* More bytes for the piece that is open. */
static int gather(struct store_stream *st, struct leaf *l, const uint8_t *data, size_t len)
{
	struct piece *open = &st->open;

	if (!open->owned)
		open->owned = malloc(PIECE_MAX);
	if (!open->owned)
		return -ENOMEM;
	memcpy(open->owned + open->len, data, len);
	open->data = open->owned;
	piece_in(open, l, len);
	return 0;
}

/* Cut a leaf into pieces that are complete, and what stays open. */
static int cut_leaf(struct store_stream *st, struct leaf *l, const uint8_t *data,
		    size_t len, struct piece *pieces, unsigned *n)
{
	bool cut;
	int r;

	while (len) {
		size_t part = fastcdc_next(&st->cdc, data, len, &cut);

		if (!cut || st->open.len) {
			r = gather(st, l, data, part);
			if (r < 0)
				return r;
			if (st->open.n == PARTS && !cut) {
				/* Leaves so small need no long piece. */
				fastcdc_init(&st->cdc, PIECE_MIN, PIECE_AVERAGE,
					     PIECE_MAX);
				cut = true;
			}
			if (cut) {
				pieces[(*n)++] = st->open;
				st->open = (struct piece){ 0 };
			}
		} else {
			pieces[*n] = (struct piece){ .data = data };
			piece_in(&pieces[(*n)++], l, part);
		}
		data += part;
		len -= part;
	}
	return 0;
}

/* Store a piece, if a leaf needs it, and complete those it is the last of. */
static void store_piece(struct store_stream *st, struct packer *p, struct piece *piece)
{
	uint8_t name[PIECE_NAME];
	int r = 0;

	if (piece->n)
		r = store_put_piece(st->store, p, piece->data, piece->len, name);
	if (r < 0)
		fail(st, r);
	for (unsigned i = 0; i < piece->n; i++) {
		struct leaf *l = piece->parts[i].leaf;

		if (r < 0)
			atomic_store(&l->error, r);
		else
			memcpy(l->recipe.ranges[piece->parts[i].range].piece, name,
			       PIECE_NAME);
		leaf_unref(st, l);
	}
	free(piece->owned);
}

/* True when leaf `index` is to be cut, false if that is no longer of use. */
static bool wait_for_turn(struct store_stream *st, uint64_t index)
{
	pthread_mutex_lock(&st->lock);
	while (!st->broken && st->next != index)
		pthread_cond_wait(&st->turn, &st->lock);
	bool mine = st->next == index && !st->broken;
	pthread_mutex_unlock(&st->lock);
	return mine;
}

static void end_turn(struct store_stream *st)
{
	pthread_mutex_lock(&st->lock);
	st->next++;
	pthread_cond_broadcast(&st->turn);
	pthread_mutex_unlock(&st->lock);
}

int store_stream_put(struct store_stream *st, uint64_t index, const struct multihash *name,
		     const uint8_t *block, size_t len, size_t head, size_t tail)
{
	struct piece pieces[BLOCK_MAX / PIECE_MIN + 2];
	struct record_name key;
	struct leaf *leaf = NULL;
	struct packer *p;
	unsigned n = 0;
	int r;

	if (len > BLOCK_MAX || head > RECIPE_WRAP || tail > RECIPE_WRAP ||
	    head + tail > len)
		return -EINVAL;
	p = store_packer(st->store);
	record_name(&key, name, st->store->seed);
	r = p ? leaf_new(st, &key, block, len, head, tail, &leaf) : -ENOMEM;
	if (r < 0 || !wait_for_turn(st, index)) {
		if (r < 0)
			store_stream_break(st);
		else
			r = store_put_bytes(st->store, name, block, len);
		free(leaf);
		store_packer_done(st->store, p);
		return r;
	}
	r = cut_leaf(st, leaf, block + head, len - head - tail, pieces, &n);
	if (r < 0) {
		if (leaf)
			atomic_store(&leaf->error, r);
		fail(st, r);
		store_stream_break(st);
	}
	end_turn(st);
	for (unsigned i = 0; i < n; i++)
		store_piece(st, p, &pieces[i]);
	leaf_unref(st, leaf);
	store_packer_done(st->store, p);
	return atomic_load(&st->error);
}

void store_stream_skip(struct store_stream *st, uint64_t index)
{
	if (st && wait_for_turn(st, index))
		end_turn(st);
}

void store_stream_break(struct store_stream *st)
{
	if (!st)
		return;
	pthread_mutex_lock(&st->lock);
	st->broken = true;
	pthread_cond_broadcast(&st->turn);
	pthread_mutex_unlock(&st->lock);
}

int store_stream_finish(struct store_stream *st)
{
	struct packer *p;

	if (!st)
		return 0;
	if (st->open.len) {
		p = store_packer(st->store);
		if (!p)
			return -ENOMEM;
		store_piece(st, p, &st->open);
		st->open = (struct piece){ 0 };
		store_packer_done(st->store, p);
	}
	return atomic_load(&st->error);
}

void store_stream_free(struct store_stream *st)
{
	if (!st)
		return;
	for (unsigned i = 0; i < st->open.n; i++) {
		atomic_store(&st->open.parts[i].leaf->error, -ECANCELED);
		leaf_unref(st, st->open.parts[i].leaf);
	}
	free(st->open.owned);
	pthread_cond_destroy(&st->turn);
	pthread_mutex_destroy(&st->lock);
	free(st);
}
