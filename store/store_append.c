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

void store_noted(struct store *s, uint32_t offset, uint32_t stored)
{
	s->tail.offset = offset;
	s->filling->stored += stored;
	if (s->filling->stored >= FLUSH_BYTES || s->tail.offset - s->kicked >= WRITEBACK_BYTES)
		pthread_cond_signal(&s->work);
}

/* Go on in a new file.  Under `append`. */
static int next_segment(struct store *s)
{
	struct segment *g = NULL;
	int r = segment_create(&s->segments, s->tail.segment + 1, &g);

	if (r < 0)
		return r;
	pthread_mutex_lock(&s->lock);
	if (s->active) {
		s->active->next = s->sealed;
		s->sealed = s->active;
	}
	s->active = g;
	s->tail = (struct mark){ g->number, SEGMENT_HEADER };
	s->kicked = SEGMENT_HEADER;
	s->dir_dirty = true;
	s->segment_bytes += SEGMENT_HEADER;
	pthread_mutex_unlock(&s->lock);
	return 0;
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

/* Write a record behind the last one: its offset to *offset.  Under `append`. */
static int append(struct store *s, const struct record *rec, const uint8_t *name,
		  const void *stored, uint32_t *offset)
{
	uint32_t span = record_span(rec->name_size, rec->stored);
	int r;

	if (!s->active || s->tail.offset + span > SEGMENT_MAX) {
		r = next_segment(s);
		if (r < 0)
			return r;
	}
	*offset = s->tail.offset;
	return segment_write(s->active, *offset, rec, name, stored);
}

/* A record that append() wrote, and all its names, are noted.  Under `lock`. */
static void appended(struct store *s, uint32_t offset, const struct record *rec)
{
	uint32_t span = record_span(rec->name_size, rec->stored);

	store_noted(s, offset + span, rec->stored);
	s->segment_bytes += span;
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
	uint32_t offset;
	int r;

	pthread_mutex_lock(&s->append);
	pthread_mutex_lock(&s->lock);
	r = wait_for_room(s);
	/* Another thread may have been faster with the same block. */
	bool here = store_find_pending(s, name);
	pthread_mutex_unlock(&s->lock);
	if (r < 0 || here) {
		r = r < 0 ? r : 1;
		goto out;
	}

	r = append(s, &rec, name->bytes, packed->data, &offset);
	if (r < 0)
		goto out;
	struct place at = { s->tail.segment, offset, rec.stored, rec.size, kind };
	pthread_mutex_lock(&s->lock);
	r = store_note(s, name, &at);
	if (!r)
		appended(s, offset, &rec);
	pthread_mutex_unlock(&s->lock);
out:
	pthread_mutex_unlock(&s->append);
	return r;
}

int store_append_bundle(struct store *s, struct record *rec, const uint8_t name[BUNDLE_NAME],
			const uint8_t *stored, const struct bundle_table *table)
{
	struct record_name key;
	uint32_t offset, i = 0;
	int r;

	rec->check = record_check(stored, rec->stored);
	pthread_mutex_lock(&s->append);
	pthread_mutex_lock(&s->lock);
	r = wait_for_room(s);
	pthread_mutex_unlock(&s->lock);
	if (!r)
		r = append(s, rec, name, stored, &offset);
	if (r < 0)
		goto out;
	struct place at = { s->tail.segment, offset, rec->stored, 0, RECORD_BUNDLE };
	pthread_mutex_lock(&s->lock);
	for (; i < table->n && !r; i++) {
		const struct bundle_member *m = &table->members[i];

		at.size = m->size;
		record_name_of(&key, RECORD_BUNDLE, m->name, m->name_size, s->seed);
		r = store_note(s, &key, &at);
	}
	if (!r)
		appended(s, offset, rec);
	/* The next record will be written over it. */
	for (; r < 0 && i > 1; i--)
		s->filling->list[s->filling->n - i + 1]->dead = true;
	pthread_mutex_unlock(&s->lock);
out:
	pthread_mutex_unlock(&s->append);
	return r;
}

static int put(struct store *s, const struct multihash *name, const void *data, size_t len,
	       bool alone)
{
	struct record_name key;
	struct packer *p;
	struct place at;
	int r;

	if (!s->writable)
		return -EROFS;
	if (len > BLOCK_MAX)
		return -EFBIG;
	pthread_mutex_lock(&s->lock);
	r = s->failed;
	pthread_mutex_unlock(&s->lock);
	if (r < 0)
		return r;
	record_name(&key, name, s->seed);
	r = store_find(s, &key, &at);
	if (r)
		return r < 0 ? r : 0;
	if (!alone && len <= BUNDLED_MAX)
		return store_put_bundled(s, &key, data, len);
	p = store_packer(s);
	if (!p)
		return -ENOMEM;
	r = store_put_cut(s, p, &key, data, len);
	store_packer_done(s, p);
	return r;
}

int store_put_bytes(struct store *s, const struct multihash *name, const void *data,
		    size_t len)
{
	return put(s, name, data, len, false);
}

int store_put(struct store *s, struct block *b)
{
	int r = put(s, &b->name, b->data, b->size, true);

	/* What was fetched is about to be read. */
	if (!r && s->cache) {
		struct record_name key;
		record_name(&key, &b->name, s->seed);
		cache_add(s->cache, b, key.hash);
	}
	return r;
}
