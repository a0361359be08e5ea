/*
 * Pieces: what blocks are made of, stored once, and blocks made of them again.
 *
 * A piece is found by a fast hash that anyone could forge, so a hit counts only
 * if the bytes are the same; a piece that meets another one of its name is
 * stored under a name of chance.  Besides, a recipe has a check of its whole
 * block, should a piece ever have been lost and its name used again.
 */
#include "store/error.h"
#include "store/fastcdc.h"
#include "store/store_internal.h"

#include <string.h>
#include <sys/random.h>

/* A packer for the caller alone, until it is given back. */
struct packer *store_packer(struct store *s)
{
	struct packer *p = NULL;

	pthread_mutex_lock(&s->packing);
	if (s->n_packers)
		p = s->packers[--s->n_packers];
	pthread_mutex_unlock(&s->packing);
	return p ? p : packer_new();
}

void store_packer_done(struct store *s, struct packer *p)
{
	pthread_mutex_lock(&s->packing);
	if (p && s->n_packers < PACKERS_KEPT) {
		s->packers[s->n_packers++] = p;
		p = NULL;
	}
	pthread_mutex_unlock(&s->packing);
	packer_free(p);
}

/* The bytes of a piece or whole block at a place, to `out` (at->size bytes). */
static int read_plain(struct store *s, struct packer *p, const struct record_name *name,
		      const struct place *at, uint8_t *out)
{
	/* Only raw bytes are as many as the block; they need no second place. */
	bool raw = at->stored == at->size;
	uint8_t *stored = raw ? out : packer_stored(p), encoding;
	int r;

	if (!raw && at->stored > PACK_MAX)
		return ERR_CORRUPT;
	r = segment_read(&s->segments, at, name->bytes, name->size, stored, &encoding);
	if (r < 0 || (raw && encoding == ENCODING_RAW))
		return r;
	return raw ? ERR_CORRUPT : unpack(p, encoding, stored, at->stored, out, at->size);
}

/* A piece, from where it is said to be.  ERR_CORRUPT: it is not there, or no more. */
static int read_piece(struct store *s, struct packer *p, const struct record_name *name,
		      struct place *at, uint8_t *out)
{
	bool found = true;
	int r, moved;

	do {
		if (!found || at->kind != RECORD_PIECE || at->size != piece_size(name->bytes))
			return ERR_CORRUPT;
		r = read_plain(s, p, name, at, out);
		if (r != ERR_CORRUPT)
			return r;
		moved = store_moved(s, name, at, &found);
	} while (moved > 0);
	if (moved < 0)
		return moved;
	store_drop(s, name, at);
	return ERR_CORRUPT;
}

int store_read_range(struct store *s, struct packer *p, const struct range *g,
		     uint8_t *out)
{
	struct record_name name;
	struct place at;
	int r;

	record_name_of(&name, RECORD_PIECE, g->piece, PIECE_NAME, s->seed);
	r = store_find(s, &name, &at);
	if (r <= 0)
		return r < 0 ? r : ERR_CORRUPT;
	bool whole = g->len == at.size;
	uint8_t *plain = whole ? out : packer_plain(p);
	r = read_piece(s, p, &name, &at, plain);
	if (!r && !whole)
		memcpy(out, plain + g->from, g->len);
	return r;
}

int store_read_recipe(struct store *s, const struct record_name *name,
		      const struct place *at, struct recipe *out)
{
	uint8_t bytes[RECIPE_MAX];
	int r;

	if (at->stored > sizeof bytes)
		return ERR_CORRUPT;
	r = segment_read(&s->segments, at, name->bytes, name->size, bytes, NULL);
	return r < 0 ? r : recipe_decode(out, bytes, at->stored, at->size);
}

static int assemble(struct store *s, struct packer *p, const struct record_name *name,
		    const struct place *at, uint8_t *out)
{
	struct recipe recipe;
	size_t done;
	int r = store_read_recipe(s, name, at, &recipe);

	if (r < 0)
		return r;
	memcpy(out, recipe.head, recipe.head_size);
	done = recipe.head_size;
	for (uint32_t i = 0; i < recipe.n; i++) {
		r = store_read_range(s, p, &recipe.ranges[i], out + done);
		if (r < 0)
			return r;
		done += recipe.ranges[i].len;
	}
	memcpy(out + done, recipe.tail, recipe.tail_size);
	return record_check(out, at->size) == recipe.check ? 0 : ERR_CORRUPT;
}

int store_read(struct store *s, const struct record_name *name, const struct place *at,
	       uint8_t *out)
{
	struct packer *p;
	int r;

	if (at->kind == RECORD_BUNDLE)
		return store_read_member(s, name, at, false, out);
	if (at->kind == RECORD_BLOCK && at->stored == at->size)
		return segment_read(&s->segments, at, name->bytes, name->size, out, NULL);
	p = store_packer(s);
	if (!p)
		return -ENOMEM;
	r = at->kind == RECORD_RECIPE ? assemble(s, p, name, at, out)
				      : read_plain(s, p, name, at, out);
	store_packer_done(s, p);
	return r;
}

int store_recipe_whole(struct store *s, const struct record_name *name,
		       const struct place *at)
{
	struct recipe recipe;
	int r = store_read_recipe(s, name, at, &recipe);

	for (uint32_t i = 0; !r && i < recipe.n; i++) {
		struct record_name piece;
		struct place there;

		record_name_of(&piece, RECORD_PIECE, recipe.ranges[i].piece, PIECE_NAME,
			       s->seed);
		r = store_find(s, &piece, &there);
		r = r < 0 ? r : r ? 0 : ERR_CORRUPT;
	}
	return r;
}

/* Are the bytes those of the piece at a place?  1, 0, or an error; a damaged
 * piece is forgotten, and ERR_CORRUPT. */
static int same_bytes(struct store *s, struct packer *p, const struct record_name *name,
		      const struct place *at, const void *data, size_t len)
{
	int r;

	struct place here = *at;

	if (at->size != len)
		return 0;
	r = read_piece(s, p, name, &here, packer_plain(p));
	return r < 0 ? r : !memcmp(packer_plain(p), data, len);
}

int store_put_piece(struct store *s, struct packer *p, const void *data, size_t len,
		    uint8_t name[PIECE_NAME])
{
	struct record_name key;
	struct packed packed;
	struct place at;
	int r;

	s->piece_name(name, data, len);
	for (;;) {
		record_name_of(&key, RECORD_PIECE, name, PIECE_NAME, s->seed);
		r = store_find_used(s, &key, &at);
		if (r < 0)
			return r;
		if (r) {
			r = same_bytes(s, p, &key, &at, data, len);
			if (r == 1)
				return 0;
			if (r < 0 && r != ERR_CORRUPT)
				return r;
			/* Another one of that name: ours gets one of chance. */
			if (!r && getrandom(name, PIECE_NAME - 4, 0) != PIECE_NAME - 4)
				return -EIO;
			if (!r)
				continue;
		}
		pack_fast(p, data, len, &packed);
		r = store_append(s, &key, RECORD_PIECE, &packed, len);
		/* 1: another thread was faster, and ours has to be compared. */
		if (r <= 0)
			return r;
	}
}

int store_put_recipe(struct store *s, const struct record_name *name,
		     const struct recipe *recipe, size_t size)
{
	uint8_t bytes[RECIPE_MAX];
	struct packed packed = { .data = bytes, .encoding = ENCODING_RAW };
	int r;

	packed.stored = (uint32_t)recipe_encode(bytes, recipe);
	r = store_append(s, name, RECORD_RECIPE, &packed, size);
	return r < 0 ? r : 0;
}

/* A block that is one piece needs no recipe. */
static int put_whole(struct store *s, struct packer *p, const struct record_name *name,
		     const void *data, size_t len)
{
	struct packed packed;
	int r;

	pack(p, data, len, &packed);
	r = store_append(s, name, RECORD_BLOCK, &packed, len);
	return r < 0 ? r : 0;
}

int store_put_cut(struct store *s, struct packer *p, const struct record_name *name,
		  const uint8_t *data, size_t len)
{
	struct recipe recipe = { .check = 0 };
	struct fastcdc cdc;
	size_t done = 0;
	bool cut = false;
	int r;

	fastcdc_init(&cdc, PIECE_MIN, PIECE_AVERAGE, PIECE_MAX);
	do {
		size_t n = fastcdc_next(&cdc, data + done, len - done, &cut);

		if (n == len)
			return put_whole(s, p, name, data, len);
		struct range *g = &recipe.ranges[recipe.n++];
		*g = (struct range){ .len = (uint32_t)n };
		r = store_put_piece(s, p, data + done, n, g->piece);
		if (r < 0)
			return r;
		done += n;
	} while (done < len);
	recipe.check = record_check(data, len);
	return store_put_recipe(s, name, &recipe, len);
}
