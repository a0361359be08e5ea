#include "store/gc.h"

#include "store/error.h"
#include "store/gc_internal.h"

#include <string.h>

/* Names dropped at a time, while those who put wait. */
#define BATCH 2048

struct sweep {
	struct gc_mark *mark;
	struct store *store;
	const struct gc_options *options;
	struct gc_result *result;
	struct nameset *keep;  /* names that stay: of blocks, then of pieces */
	struct nameset *pieces; /* being filled, with those that blocks need */
	struct pending batch;
};

static void phase(const struct gc_options *o, enum gc_phase phase, uint64_t total)
{
	if (!o->progress)
		return;
	o->progress->done = 0;
	o->progress->total = total;
	o->progress->phase = phase;
}

static void count_dropped(struct sweep *w, const struct place *at, size_t name_size)
{
	if (at->kind == RECORD_PIECE) {
		w->result->pieces++;
	} else {
		w->result->dropped++;
		w->result->dropped_bytes += at->size;
	}
	if (w->options->dry_run)
		w->result->freed += store_room_of(w->store, name_size, at);
}

/* Drop what is still not needed.  Nobody puts meanwhile. */
static int drop_locked(struct sweep *w)
{
	for (size_t i = 0; i < w->batch.n; i++) {
		struct pending_entry *e = w->batch.list[i];

		e->dead = nameset_has(w->store->used, e->hash) || nameset_has(w->keep, e->hash);
	}
	int r = w->options->dry_run ? 0 : index_drop_all(w->store->index, &w->batch);
	for (size_t i = 0; i < w->batch.n && r >= 0; i++) {
		struct pending_entry *e = w->batch.list[i];

		if (!e->dead)
			count_dropped(w, &e->at, e->name_size);
		else if (e->at.kind != RECORD_PIECE)
			w->result->kept++;
	}
	return r;
}

static int drop_batch(struct sweep *w)
{
	struct store *s = w->store;
	int r = 0;

	pending_sort(&w->batch);
	pthread_rwlock_wrlock(&s->use);
	/* A mount that began meanwhile, say. */
	while (r >= 0 && s->roots_changed != w->mark->roots_at) {
		pthread_rwlock_unlock(&s->use);
		r = gc_mark_roots(w->mark);
		pthread_rwlock_wrlock(&s->use);
	}
	if (r >= 0)
		r = drop_locked(w);
	pthread_rwlock_unlock(&s->use);
	pending_clear(&w->batch);
	return r < 0 ? r : 0;
}

static int sweep_name(void *arg, const uint8_t *name, size_t name_size,
		      const struct place *at)
{
	struct sweep *w = arg;
	struct record_name key;
	int r;

	if (gc_canceled(w->options))
		return -ECANCELED;
	if (w->options->progress)
		w->options->progress->done++;
	record_name_of(&key, at->kind, name, name_size, w->store->seed);
	if (nameset_has(w->keep, key.hash)) {
		w->result->kept += at->kind != RECORD_PIECE;
		return 0;
	}
	r = pending_add(&w->batch, &key, at);
	return r < 0 || w->batch.n < BATCH ? r : drop_batch(w);
}

static int sweep_table(struct sweep *w, enum index_table table, struct nameset *keep)
{
	w->keep = keep;
	int r = index_walk(w->store->index, table, sweep_name, w);
	return r < 0 ? r : drop_batch(w);
}

/* The pieces of a block that stays. */
static int need_pieces(void *arg, const uint8_t *name, size_t name_size,
		       const struct place *at)
{
	struct sweep *w = arg;
	struct record_name key, piece;
	struct recipe recipe;
	int r;

	if (gc_canceled(w->options))
		return -ECANCELED;
	if (at->kind != RECORD_RECIPE)
		return 0;
	record_name_of(&key, at->kind, name, name_size, w->store->seed);
	if (w->options->dry_run && !nameset_has(w->keep, key.hash) &&
	    !nameset_has(w->store->used, key.hash))
		return 0;
	r = store_read_recipe(w->store, &key, at, &recipe);
	if (r == ERR_CORRUPT)
		return 0; /* a damaged block has no pieces any more */
	for (uint32_t i = 0; !r && i < recipe.n; i++) {
		record_name_of(&piece, RECORD_PIECE, recipe.ranges[i].piece, PIECE_NAME,
			       w->store->seed);
		nameset_add(w->pieces, piece.hash);
	}
	return r;
}

static int sweep(struct gc_mark *m)
{
	struct store *s = m->store;
	struct sweep w = { .mark = m, .store = s, .options = m->options, .result = m->result };
	struct index_stat count;
	int r;

	/* So that the index has all that was put before the gc began. */
	r = store_sync(s);
	if (!r)
		r = index_stat(s->index, &count);
	if (r < 0)
		return r;
	w.pieces = nameset_new(count.pieces);
	if (!w.pieces)
		return -ENOMEM;
	phase(m->options, GC_SWEEP, count.blocks + count.pieces);
	r = sweep_table(&w, INDEX_BLOCKS, m->live);
	if (r >= 0)
		r = index_walk(s->index, INDEX_BLOCKS, need_pieces, &w);
	if (r >= 0)
		r = sweep_table(&w, INDEX_PIECES, w.pieces);
	pending_release(&w.batch);
	nameset_free(w.pieces);
	return r;
}

static bool still_whole(void *arg, const struct cid *root)
{
	return gc_walked(arg, root);
}

static int collect(struct gc_mark *m)
{
	struct store *s = m->store;
	const struct gc_options *o = m->options;
	int r;

	phase(o, GC_MARK, 0);
	r = gc_mark_pins(m);
	if (r >= 0)
		r = gc_mark_seen(m);
	if (r >= 0)
		r = gc_mark_roots(m);
	if (r < 0)
		return r;
	pthread_rwlock_wrlock(&s->use);
	s->marked = m;
	pthread_rwlock_unlock(&s->use);
	/* A file's root is forgotten before what lies below it goes. */
	if (o->seen && !o->dry_run)
		r = seen_keep(o->seen, still_whole, m);
	if (r >= 0)
		r = sweep(m);
	if (r < 0 || o->dry_run)
		return r;
	return gc_compact(s, o, m->result);
}

int store_gc(struct store *s, const struct gc_options *o, struct gc_result *out)
{
	struct gc_mark mark = { 0 };
	int r;

	*out = (struct gc_result){ 0 };
	if (!s->writable)
		return -EROFS;
	r = store_collect_begin(s);
	if (r < 0)
		return r;
	r = gc_mark_init(&mark, s, o, out);
	if (r >= 0)
		r = collect(&mark);
	/* Before the mark goes, that others may be looking at. */
	store_collect_end(s);
	gc_mark_release(&mark);
	return r < 0 ? r : 0;
}
