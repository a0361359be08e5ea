/*
 * The cache log within its quota: a queue of files.  Before one more is begun, the
 * oldest go until all with the new one fit.  What was read in such a file since it
 * was written is appended again, up to half of the file, so that there is progress.
 *
 *	oldest ... newest | active
 *	  |                  ^
 *	  +--- read since ---+     the rest is dropped: first from the index
 */
#include "store/error.h"
#include "store/log.h"
#include "store/store_internal.h"

#include <stdlib.h>
#include <string.h>

#define SEGMENT_CACHE_MIN (4u << 20)
#define SEGMENT_CACHE_MAX (64u << 20)
/* What is read is remembered by stretches of so many bytes. */
#define STRETCH 4096

/* At least eight files, so that dropping one loses little. */
uint32_t store_cache_segment(const struct store *s)
{
	uint64_t part = s->cache_quota / 8;

	if (!s->cache_quota || part > SEGMENT_CACHE_MAX)
		return SEGMENT_CACHE_MAX;
	return part < SEGMENT_CACHE_MIN ? SEGMENT_CACHE_MIN : (uint32_t)part;
}

int store_cached_add(struct store *s, uint32_t number, uint64_t bytes)
{
	struct cached_segment c = { .number = number, .bytes = bytes };

	if (s->n_cached == s->room_cached) {
		size_t room = s->room_cached ? 2 * s->room_cached : 64;
		struct cached_segment *more = realloc(s->cached, room * sizeof *more);

		if (!more)
			return -ENOMEM;
		s->cached = more;
		s->room_cached = room;
	}
	s->cached[s->n_cached++] = c;
	return 0;
}

bool store_cache_full(struct store *s)
{
	pthread_mutex_lock(&s->lock);
	bool full = s->cache_quota && s->n_cached && s->cached_disk > s->cache_quota;
	pthread_mutex_unlock(&s->lock);
	return full;
}

void store_cached_free(struct store *s)
{
	for (size_t i = 0; i < s->n_cached; i++)
		free(s->cached[i].read);
	free(s->cached);
}

/* Under `lock`; NULL for the active one, whose turn is far away. */
static struct cached_segment *find_cached(struct store *s, uint32_t number)
{
	size_t low = 0, high = s->n_cached;

	while (low < high) {
		size_t middle = (low + high) / 2;

		if (s->cached[middle].number < number)
			low = middle + 1;
		else
			high = middle;
	}
	return low < s->n_cached && s->cached[low].number == number ? &s->cached[low] : NULL;
}

void store_cached_read(struct store *s, const struct place *at)
{
	size_t bit = at->offset / STRETCH;

	pthread_mutex_lock(&s->lock);
	struct cached_segment *c = find_cached(s, at->segment);
	/* Without memory for it, it is not remembered. */
	if (c && !c->read)
		c->read = calloc(SEGMENT_MAX / STRETCH / 64, sizeof *c->read);
	if (c && c->read)
		c->read[bit / 64] |= (uint64_t)1 << bit % 64;
	pthread_mutex_unlock(&s->lock);
}

struct evicting {
	struct store *store;
	struct cached_segment victim;
	struct pending names; /* that lie there */
	uint32_t saved; /* bytes */
	size_t saved_names;
};

static bool was_read(const struct cached_segment *c, uint32_t offset)
{
	size_t bit = offset / STRETCH;

	return c->read && (c->read[bit / 64] >> bit % 64 & 1);
}

/* Half of the file at most, and only what the active one has room for. */
static bool may_save(struct evicting *e, uint32_t span)
{
	const struct log *l = &e->store->logs[LOG_CACHE];
	uint32_t file = store_cache_segment(e->store);

	return l->active && e->saved + span <= file / 2 && l->tail.offset + span <= file;
}

static int take_record(void *arg, const uint8_t *name, size_t name_size,
		       const struct place *where, uint32_t end, bool doubtful)
{
	struct evicting *e = arg;
	struct store *s = e->store;
	struct record_name key;
	struct place at = *where, now;
	struct record rec;
	int r;

	if (at.kind != RECORD_BLOCK)
		return 0;
	record_name_of(&key, at.kind, name, name_size, s->seed);
	key.log = at.log = LOG_CACHE;
	r = pending_add(&e->names, &key, &at);
	uint32_t span = record_span((uint32_t)name_size, at.stored);
	if (r < 0 || doubtful || !was_read(&e->victim, at.offset) || !may_save(e, span))
		return r;
	/* Not if it is kept anyway, or lies elsewhere by now. */
	key.log = LOG_KEEP;
	r = store_find(s, &key, &now);
	if (r)
		return r < 0 ? r : 0;
	key.log = LOG_CACHE;
	r = store_find(s, &key, &now);
	if (r <= 0 || !place_same(&at, &now))
		return r < 0 ? r : 0;
	r = record_decode(&rec, name - RECORD_HEADER, RECORD_HEADER);
	if (!r)
		r = store_append_again(s, &key, &rec, name + name_size);
	if (!r) {
		e->saved += span;
		e->saved_names++;
	}
	return r;
}

/* What the tables name there is not to be indexed any more. */
static void forget_pending(struct store *s, uint32_t number)
{
	pthread_mutex_lock(&s->lock);
	for (int t = 0; t < 2; t++)
		for (size_t i = 0; i < s->tables[t].n; i++)
			if (s->tables[t].list[i]->at.segment == number)
				s->tables[t].list[i]->dead = true;
	pthread_mutex_unlock(&s->lock);
}

/* The oldest file goes. */
static int evict_one(struct store *s)
{
	struct evicting e = { .store = s };
	struct segment *g = NULL;
	uint64_t damaged;
	uint32_t end;
	int r;

	pthread_mutex_lock(&s->lock);
	e.victim = s->cached[0];
	s->cached[0].read = NULL;
	pthread_mutex_unlock(&s->lock);

	r = segment_open(&s->segments, e.victim.number, &g);
	if (r == -ENOENT)
		r = 0; /* taken away by somebody */
	else if (!r)
		r = segment_scan(g, SEGMENT_HEADER, take_record, &e, &end, &damaged);
	if (r < 0)
		goto out;
	forget_pending(s, e.victim.number);
	pending_sort(&e.names);
	r = index_drop_all(s->index, &e.names);
	if (r < 0)
		goto out;
	r = segment_remove(&s->segments, e.victim.number);
	if (r == -ENOENT)
		r = 0;
	if (r < 0)
		goto out;
	pthread_mutex_lock(&s->lock);
	/* Of those who read there meanwhile. */
	free(s->cached[0].read);
	s->n_cached--;
	memmove(s->cached, s->cached + 1, s->n_cached * sizeof *s->cached);
	s->cached_disk -= e.victim.bytes;
	s->segment_bytes -= e.victim.bytes;
	s->evicted += e.names.n - e.saved_names;
	pthread_mutex_unlock(&s->lock);
out:
	free(e.victim.read);
	segment_unref(g);
	pending_release(&e.names);
	return r;
}

int store_evict(struct store *s)
{
	uint32_t file = store_cache_segment(s);
	int r = 0;

	while (r >= 0 && s->cache_quota) {
		uint64_t sealed = 0;

		pthread_mutex_lock(&s->lock);
		for (size_t i = 0; i < s->n_cached; i++)
			sealed += s->cached[i].bytes;
		size_t n = s->n_cached;
		pthread_mutex_unlock(&s->lock);
		/* The active one may become full. */
		if (!n || sealed + file <= s->cache_quota)
			break;
		r = evict_one(s);
	}
	if (r < 0)
		log_line(LOG_ERROR, "store %s: cannot make room in the cache: %s", s->path,
			 err_text(r));
	return r;
}
