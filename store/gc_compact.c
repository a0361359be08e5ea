/*
 * Giving the room back: files of the keep log that are mostly dead.  What is alive of
 * one is appended to the log as it lies there, made durable with its new places in
 * the index, and then the file is removed.  Until then either place serves; a crash
 * leaves both, and the next gc removes what nothing names.
 */
#include "store/error.h"
#include "store/gc_internal.h"

#include <stdlib.h>
#include <string.h>

#define DEAD_PERCENT 25
/* The file that is being written is ended for less garbage than that only if it is
 * the last of its kind. */
#define ACTIVE_MIN (64u << 10)

struct file {
	uint32_t number;
	uint64_t bytes, live;
	uint64_t names; /* that lie there */
};

struct compact {
	struct store *store;
	const struct gc_options *options;
	struct gc_result *result;
	struct file *files; /* by number; those that get no more records */
	size_t n;
	/* Of the file at hand: */
	uint64_t moved, moved_bytes;
};

static struct file *find_file(struct compact *c, uint32_t number)
{
	size_t low = 0, high = c->n;

	while (low < high) {
		size_t middle = (low + high) / 2;

		if (c->files[middle].number < number)
			low = middle + 1;
		else
			high = middle;
	}
	return low < c->n && c->files[low].number == number ? &c->files[low] : NULL;
}

static int count_name(void *arg, const uint8_t *name, size_t name_size,
		      const struct place *at)
{
	struct compact *c = arg;
	struct file *f = find_file(c, at->segment);

	if (f) {
		f->live += store_room_of(c->store, name_size, at);
		f->names++;
	}
	return gc_canceled(c->options) ? -ECANCELED : 0;
}

static uint32_t active_number(struct store *s)
{
	pthread_mutex_lock(&s->lock);
	struct segment *g = s->logs[LOG_KEEP].active;
	uint32_t n = g ? g->number : UINT32_MAX;
	pthread_mutex_unlock(&s->lock);
	return n;
}

static int list_files(struct compact *c)
{
	uint32_t *numbers = NULL;
	uint64_t bytes;
	size_t n = 0;
	int r = segments_list(&c->store->segments, &numbers, &n, &bytes);

	if (r < 0)
		return r;
	c->files = calloc(n + 1, sizeof *c->files);
	r = c->files ? 0 : -ENOMEM;
	for (size_t i = 0; i < n && r >= 0; i++) {
		uint8_t log = LOG_KEEP;

		r = segment_log(&c->store->segments, numbers[i], &log, &bytes);
		if (r == -ENOENT) /* a file of the cache log, just evicted */
			r = 0;
		else if (r == ERR_NEWER)
			r = 0;
		else if ((r == 0 && log == LOG_KEEP) || r == ERR_CORRUPT)
			c->files[c->n++] = (struct file){ .number = numbers[i], .bytes = bytes };
		if (r == ERR_CORRUPT)
			r = 0;
	}
	free(numbers);
	return r;
}

/* What of each file is alive.  Files from `active` on are left out, as they may get more. */
static int count_live(struct compact *c, uint32_t active)
{
	struct index *ix = c->store->index;
	int r;

	free(c->files);
	c->files = NULL;
	c->n = 0;
	/* All names that lie before the active file are in the index then. */
	r = store_sync(c->store);
	if (!r)
		r = list_files(c);
	while (c->n && c->files[c->n - 1].number > active)
		c->n--;
	if (!r)
		r = index_walk(ix, INDEX_BLOCKS, count_name, c);
	if (!r)
		r = index_walk(ix, INDEX_PIECES, count_name, c);
	return r;
}

static bool is_worth_it(const struct compact *c, const struct file *f)
{
	unsigned percent = c->options->dead ? c->options->dead : DEAD_PERCENT;
	uint64_t dead = f->bytes > f->live + SEGMENT_HEADER ? f->bytes - f->live - SEGMENT_HEADER : 0;

	return !f->names || dead * 100 >= f->bytes * percent;
}

/* End the active file, if it is worth rewriting: 1 if so. */
static int end_active(struct compact *c, uint32_t active)
{
	struct log *l = &c->store->logs[LOG_KEEP];
	struct file *f = find_file(c, active);
	int r = 0;

	if (!f || f->bytes < ACTIVE_MIN || !is_worth_it(c, f))
		return 0;
	pthread_mutex_lock(&l->append);
	if (l->active && l->active->number == active)
		r = store_next_segment(c->store, l);
	pthread_mutex_unlock(&l->append);
	return r < 0 ? r : 1;
}

/* A member of a bundle goes into a new one, with those that are alive beside it. */
static int move_member(struct store *s, const struct record_name *key, const struct place *at)
{
	uint8_t *data = malloc(at->size ? at->size : 1);
	int r = data ? store_read_member(s, key, at, false, data) : -ENOMEM;

	if (!r)
		r = store_put_bundled(s, key, data, at->size, at);
	free(data);
	return r;
}

static int move_record(void *arg, const uint8_t *name, size_t name_size,
		       const struct place *at, uint32_t end, bool doubtful)
{
	struct compact *c = arg;
	struct store *s = c->store;
	struct record_name key;
	struct place now;
	struct record rec;
	int r;

	if (gc_canceled(c->options))
		return -ECANCELED;
	record_name_of(&key, at->kind, name, name_size, s->seed);
	r = store_find(s, &key, &now);
	if (r <= 0 || !place_same(at, &now))
		return r < 0 ? r : 0;
	if (at->kind == RECORD_BUNDLE) {
		r = move_member(s, &key, at);
	} else {
		r = record_decode(&rec, name - RECORD_HEADER, RECORD_HEADER);
		if (!r)
			r = store_append_moved(s, &key, &rec, name + name_size, at);
	}
	if (r == ERR_CORRUPT)
		return 0; /* it stays, and so does the file */
	if (r < 0)
		return r;
	c->moved++;
	c->moved_bytes += store_room_of(s, name_size, at);
	return 0;
}

struct leftover {
	uint32_t number;
	bool found;
};

static int is_left(void *arg, const uint8_t *name, size_t name_size, const struct place *at)
{
	struct leftover *l = arg;

	l->found = at->segment == l->number;
	return l->found;
}

/* Does the index still name something in a file? */
static int still_named(struct store *s, uint32_t number)
{
	struct leftover l = { .number = number };
	int r = index_walk(s->index, INDEX_BLOCKS, is_left, &l);

	if (!r)
		r = index_walk(s->index, INDEX_PIECES, is_left, &l);
	return r < 0 ? r : l.found;
}

static int rewrite(struct compact *c, const struct file *f)
{
	struct store *s = c->store;
	struct segment *g = NULL;
	uint64_t damaged;
	uint32_t end;
	int r = 0;

	c->moved = c->moved_bytes = 0;
	if (f->names) {
		r = segment_open(&s->segments, f->number, &g);
		if (!r)
			r = segment_scan(g, SEGMENT_HEADER, move_record, c, &end, &damaged);
		segment_unref(g);
		if (!r)
			r = store_sync(s);
		if (r < 0)
			return r;
	}
	/* Some may have been dropped since they were counted; or are damaged, and then
	 * the file stays for whoever can mend it. */
	if (c->moved < f->names) {
		r = still_named(s, f->number);
		if (r) {
			c->result->damaged += r > 0;
			return r < 0 ? r : 0;
		}
	}
	r = segment_remove(&s->segments, f->number);
	if (r < 0)
		return r;
	pthread_mutex_lock(&s->lock);
	s->segment_bytes -= f->bytes;
	pthread_mutex_unlock(&s->lock);
	c->result->files++;
	c->result->rewritten += c->moved_bytes;
	c->result->freed += f->bytes > c->moved_bytes ? f->bytes - c->moved_bytes : 0;
	return 0;
}

int gc_compact(struct store *s, const struct gc_options *o, struct gc_result *result)
{
	struct compact c = { .store = s, .options = o, .result = result };
	struct gc_progress *p = o->progress;
	uint32_t active = active_number(s);
	uint64_t total = 0;
	int r = count_live(&c, active);

	if (r >= 0)
		r = end_active(&c, active);
	if (r > 0) {
		active = active_number(s);
		r = count_live(&c, active);
	}
	for (size_t i = 0; i < c.n; i++)
		if (c.files[i].number != active && is_worth_it(&c, &c.files[i]))
			total += c.files[i].bytes;
	if (p) {
		p->done = 0;
		p->total = total;
		p->phase = GC_COMPACT;
	}
	for (size_t i = 0; i < c.n && r >= 0; i++) {
		if (c.files[i].number == active || !is_worth_it(&c, &c.files[i]))
			continue;
		r = gc_canceled(o) ? -ECANCELED : rewrite(&c, &c.files[i]);
		if (p)
			p->done += c.files[i].bytes;
	}
	free(c.files);
	return r;
}
