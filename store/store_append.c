/*
 * Putting: one record behind the other.  The hash of the bytes is computed
 * before, so that under the append lock there is only the copy into the page
 * cache, which the kernel does for one writer of a file at a time anyway.
 */
#include "store/error.h"
#include "store/store_internal.h"

#include <string.h>

int store_note(struct store *s, const struct record_name *name, const struct place *at)
{
	bool first = !s->filling->n && !s->open_blocks;
	int r = pending_add(s->filling, name, at);

	if (r < 0)
		return r;
	if (first)
		s->first_put = store_now_ms();
	s->puts++;
	if (first || s->filling->n == FLUSH_NAMES)
		pthread_cond_signal(&s->work);
	return 0;
}

void store_noted(struct store *s, struct log *l, uint32_t segment, uint32_t offset,
		 uint32_t stored)
{
	l->tail = (struct mark){ segment, offset };
	s->filling->stored += stored;
	if (s->filling->stored >= FLUSH_BYTES || l->tail.offset - l->kicked >= WRITEBACK_BYTES)
		pthread_cond_signal(&s->work);
}

int store_next_segment(struct store *s, struct log *l)
{
	struct segment *g = NULL, *old;
	uint32_t number;
	int r;

	pthread_mutex_lock(&s->lock);
	number = ++s->last_number;
	pthread_mutex_unlock(&s->lock);
	r = segment_create(&s->segments, number, l->number, &g);
	if (r < 0)
		return r;
	pthread_mutex_lock(&s->lock);
	old = l->active;
	if (old && l->number == LOG_CACHE)
		r = store_cached_add(s, old->number, segment_bytes(old));
	if (r < 0) {
		pthread_mutex_unlock(&s->lock);
		segment_remove(&s->segments, number);
		segment_unref(g);
		return r;
	}
	if (old) {
		old->next = s->sealed;
		s->sealed = old;
	}
	l->active = g;
	l->tail = (struct mark){ g->number, SEGMENT_HEADER };
	l->kicked = SEGMENT_HEADER;
	s->dir_dirty = true;
	s->segment_bytes += SEGMENT_HEADER;
	if (l->number == LOG_CACHE)
		s->cached_disk += SEGMENT_HEADER;
	pthread_mutex_unlock(&s->lock);
	return l->number == LOG_CACHE ? store_evict(s) : 0;
}

/* Wait while too much is pending.  Under `lock`. */
static int wait_for_room(struct store *s)
{
	while (!s->failed && s->filling->n >= PENDING_MAX) {
		if (s->full)
			return s->full;
		if (s->flushes && pthread_equal(s->flusher_self, pthread_self()))
			return -EAGAIN; /* who makes the room cannot wait for it */
		pthread_cond_wait(&s->done, &s->lock);
	}
	return s->failed;
}

/* Write a record at the end of its log: its place to *at.  Under the log's append
 * lock. */
static int write_record(struct store *s, struct log *l, const struct record *rec,
			const uint8_t *name, const void *data, struct place *at)
{
	uint32_t span = record_span(rec->name_size, rec->stored);
	uint32_t max = l->number == LOG_CACHE ? store_cache_segment(s) : SEGMENT_MAX;
	int r = 0;

	if (!l->active || l->tail.offset + span > max)
		r = store_next_segment(s, l);
	if (r < 0)
		return r;
	*at = (struct place){ l->tail.segment, l->tail.offset, rec->stored, rec->size, rec->kind,
			      l->number };
	return segment_write(l->active, at->offset, rec, name, data);
}

/* A record that was written, and all its names, are noted.  Under `lock`. */
static void written(struct store *s, struct log *l, const struct record *rec,
		    const struct place *at)
{
	uint32_t span = record_span(rec->name_size, rec->stored);

	store_noted(s, l, at->segment, at->offset + span, rec->stored);
	s->segment_bytes += span;
	if (l->number == LOG_CACHE)
		s->cached_disk += span;
}

/* Both, for a record that has one name. */
static int write_one(struct store *s, struct log *l, const struct record_name *name,
		     const struct record *rec, const void *data)
{
	struct place at;
	int r = write_record(s, l, rec, name->bytes, data, &at);

	if (r < 0)
		return r;
	pthread_mutex_lock(&s->lock);
	r = store_note(s, name, &at);
	if (!r)
		written(s, l, rec, &at);
	pthread_mutex_unlock(&s->lock);
	return r;
}

static int append(struct store *s, const struct record_name *name, const struct record *rec,
		  const void *data, const struct place *moved)
{
	struct log *l = &s->logs[name->log];
	struct pending_entry *now;
	bool skip;
	int r;

	pthread_mutex_lock(&l->append);
	pthread_mutex_lock(&s->lock);
	r = wait_for_room(s);
	/* Another thread may have been faster with the same block. */
	now = store_find_pending(s, name);
	skip = now && !(moved && place_same(&now->at, moved));
	pthread_mutex_unlock(&s->lock);
	/* What could not be done before; not in write_one(), which an eviction uses. */
	if (r >= 0 && !skip && l->number == LOG_CACHE && l->active && store_cache_full(s))
		r = store_evict(s);
	if (r >= 0)
		r = skip ? 1 : write_one(s, l, name, rec, data);
	pthread_mutex_unlock(&l->append);
	return r;
}

int store_append(struct store *s, const struct record_name *name, uint8_t kind,
		 const struct packed *packed, size_t size)
{
	struct record rec = {
		.kind = kind,
		.encoding = packed->encoding,
		.name_size = name->size,
		.stored = packed->stored,
		.size = (uint32_t)size,
		.check = record_check(packed->data, packed->stored),
	};

	return append(s, name, &rec, packed->data, NULL);
}

int store_append_moved(struct store *s, const struct record_name *name,
		       const struct record *rec, const void *data, const struct place *old)
{
	return append(s, name, rec, data, old);
}

int store_append_again(struct store *s, const struct record_name *name,
		       const struct record *rec, const void *data)
{
	return write_one(s, &s->logs[LOG_CACHE], name, rec, data);
}

int store_append_bundle(struct store *s, struct record *rec, const uint8_t name[BUNDLE_NAME],
			const uint8_t *stored, const struct bundle_table *table)
{
	struct log *l = &s->logs[LOG_KEEP];
	struct record_name key;
	struct place at;
	uint32_t i = 0;
	int r;

	rec->check = record_check(stored, rec->stored);
	pthread_mutex_lock(&l->append);
	pthread_mutex_lock(&s->lock);
	r = wait_for_room(s);
	pthread_mutex_unlock(&s->lock);
	if (!r)
		r = write_record(s, l, rec, name, stored, &at);
	if (r < 0)
		goto out;
	pthread_mutex_lock(&s->lock);
	for (; i < table->n && !r; i++) {
		const struct bundle_member *m = &table->members[i];

		at.size = m->size;
		record_name_of(&key, RECORD_BUNDLE, m->name, m->name_size, s->seed);
		r = store_note(s, &key, &at);
	}
	if (!r)
		written(s, l, rec, &at);
	/* The next record will be written over it. */
	for (; r < 0 && i > 1; i--)
		s->filling->list[s->filling->n - i + 1]->dead = true;
	pthread_mutex_unlock(&s->lock);
out:
	pthread_mutex_unlock(&l->append);
	return r;
}

static int check_writable(struct store *s, size_t len)
{
	int r;

	if (!s->writable)
		return -EROFS;
	if (len > BLOCK_MAX)
		return -EFBIG;
	pthread_mutex_lock(&s->lock);
	r = s->failed;
	pthread_mutex_unlock(&s->lock);
	return r;
}

/* The same, the name being at hand. */
static int put_keep(struct store *s, const struct record_name *key, const void *data,
		    size_t len, bool alone)
{
	struct packer *p;
	struct place at;
	int r = store_find_used(s, key, &at);

	if (r)
		return r < 0 ? r : 0;
	if (!alone && len <= BUNDLED_MAX)
		return store_put_bundled(s, key, data, len, NULL);
	p = store_packer(s);
	if (!p)
		return -ENOMEM;
	r = store_put_cut(s, p, key, data, len);
	store_packer_done(s, p);
	return r;
}

int store_put_bytes(struct store *s, const struct multihash *name, const void *data,
		    size_t len)
{
	struct record_name key;
	int r = check_writable(s, len);

	if (r < 0)
		return r;
	record_name(&key, name, s->seed);
	return put_keep(s, &key, data, len, false);
}

/* What was fetched is about to be read. */
static void remember(struct store *s, struct block *b, const struct record_name *key)
{
	if (s->cache)
		cache_add(s->cache, b, key->hash);
}

int store_put(struct store *s, struct block *b)
{
	struct record_name key;
	int r = check_writable(s, b->size);

	if (r < 0)
		return r;
	record_name(&key, &b->name, s->seed);
	r = put_keep(s, &key, b->data, b->size, true);
	if (!r)
		remember(s, b, &key);
	return r;
}

int store_put_cached(struct store *s, struct block *b)
{
	struct record_name key, lost;
	struct packed whole = { b->data, (uint32_t)b->size, ENCODING_RAW };
	struct place at;
	bool back;
	int r = check_writable(s, b->size);

	if (r < 0)
		return r;
	record_name(&key, &b->name, s->seed);
	lost = key;
	r = store_find_any(s, &key, &at);
	if (r < 0)
		return r;
	pthread_mutex_lock(&s->lock);
	back = !r && pending_find(&s->bad, &lost);
	pthread_mutex_unlock(&s->lock);
	if (back) {
		r = put_keep(s, &lost, b->data, b->size, true);
	} else if (!r) {
		key.log = LOG_CACHE;
		r = store_append(s, &key, RECORD_BLOCK, &whole, b->size);
	}
	if (r < 0)
		return r;
	remember(s, b, &lost);
	return 0;
}

int store_keep(struct store *s, const struct multihash *name)
{
	struct record_name key;
	struct block *b = NULL;
	struct place at;
	int r = check_writable(s, 0);

	if (r < 0)
		return r;
	record_name(&key, name, s->seed);
	r = store_find_used(s, &key, &at);
	if (r)
		return r < 0 ? r : 0;
	r = store_get(s, name, &b);
	if (r >= 0)
		r = put_keep(s, &key, b->data, b->size, true);
	block_unref(b);
	return r;
}
