/*
 * What the segments know and the index does not: after a crash, the records
 * behind the index's mark; after the loss of the index, all of them.
 */
#include "store/error.h"
#include "store/lock.h"
#include "store/log.h"
#include "store/store_internal.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

/* *current: records of every kind may be added. */
static int read_header(struct segment *g, bool *current)
{
	uint8_t header[SEGMENT_HEADER];
	ssize_t n = pread(g->fd, header, sizeof header, 0);

	if (n < 0)
		return -errno;
	*current = n == sizeof header && segment_header_current(header);
	return n == sizeof header ? segment_header_check(header, g->number) : ERR_CORRUPT;
}

/* Does a recipe give what its name says?  Its pieces may lie anywhere. */
static int check_recipe(struct store *s, const struct record_name *key,
			const struct place *at)
{
	struct multihash name;
	uint8_t *data = malloc(at->size ? at->size : 1);
	int r = data ? store_read(s, key, at, data) : -ENOMEM;

	if (!r)
		r = multihash_decode(&name, key->bytes, key->size);
	if (!r)
		r = multihash_check(&name, data, at->size);
	free(data);
	return r;
}

/* Errors that a record's bytes are to blame for. */
static bool is_damage(int r)
{
	return r == ERR_CORRUPT || r == ERR_MALFORMED || r == -ENOTSUP;
}

/* What is found in a segment of one log. */
struct finding {
	struct store *store;
	uint8_t log;
};

static int note_found(void *arg, const uint8_t *name, size_t name_size,
		      const struct place *where, uint32_t end, bool doubtful)
{
	struct finding *f = arg;
	struct store *s = f->store;
	struct place copy = *where, *at = &copy;
	struct record_name key;
	int r = 0;

	/* In the cache log lie whole blocks alone. */
	if (f->log == LOG_CACHE && at->kind != RECORD_BLOCK)
		return 0;
	record_name_of(&key, at->kind, name, name_size, s->seed);
	key.log = at->log = f->log;
	if (doubtful && at->kind == RECORD_RECIPE)
		r = check_recipe(s, &key, at);
	if (r < 0)
		return is_damage(r) ? 0 : r;
	pthread_mutex_lock(&s->lock);
	r = store_note(s, &key, at);
	if (!r)
		store_noted(s, &s->logs[f->log], at->segment, end, 0);
	bool full = s->filling->n >= FLUSH_NAMES;
	pthread_mutex_unlock(&s->lock);
	return r < 0 || !full ? r : store_flush(s);
}

/*
 * Index what segment `number` has from `from` on, and cut off what is behind
 * the last whole record.  It becomes the active one if it can be appended to.
 */
static int recover_segment(struct store *s, uint32_t number, uint32_t from, uint8_t log)
{
	struct log *l = &s->logs[log];
	struct finding found = { s, log };
	int sealed = 0;
	struct segment *g = NULL;
	uint64_t damaged = 0;
	uint32_t end = from;
	bool current = false;
	struct stat st;
	int r, header;

	r = segment_open(&s->segments, number, &g);
	if (r < 0)
		return r;
	if (fstat(g->fd, &st) < 0) {
		r = -errno;
		goto out;
	}
	if (st.st_size < SEGMENT_HEADER && from == SEGMENT_HEADER) {
		/* Its maker came no further. */
		r = segment_remove(&s->segments, number);
		goto out;
	}
	header = read_header(g, &current);
	if (header == ERR_NEWER || (header < 0 && header != ERR_CORRUPT)) {
		r = header;
		goto out;
	}
	pthread_mutex_lock(&s->lock);
	if (l->active) {
		l->active->next = s->sealed;
		s->sealed = l->active;
		if (log == LOG_CACHE)
			sealed = store_cached_add(s, l->active->number, segment_bytes(l->active));
	}
	l->active = g;
	l->tail = (struct mark){ number, from };
	pthread_mutex_unlock(&s->lock);
	if (sealed < 0)
		return sealed;

	r = segment_scan(g, from, note_found, &found, &end, &damaged);
	if (r < 0)
		return r;
	if (st.st_size > end) {
		log_line(LOG_WARN,
			 "store %s: segment %08u: cut %lld bytes of unfinished records",
			 s->path, number, (long long)(st.st_size - end));
		if (ftruncate(g->fd, end) < 0)
			return -errno;
	}
	/* Behind damage, or without a header, nothing more is added; nor to a segment
	 * of an older version. */
	bool whole = header >= 0 && st.st_size >= end && !damaged;
	if (!whole)
		log_line(LOG_WARN, "store %s: segment %08u is damaged", s->path, number);
	pthread_mutex_lock(&s->lock);
	l->tail = (struct mark){ number, whole && current ? end : SEGMENT_MAX };
	l->kicked = l->tail.offset;
	pthread_mutex_unlock(&s->lock);
	return 0;
out:
	segment_unref(g);
	return r;
}

/* One file of those that are there. */
static int recover_one(struct store *s, const struct mark covered[LOGS], uint32_t number)
{
	uint8_t log = LOG_KEEP;
	uint64_t bytes = 0;
	int r = segment_log(&s->segments, number, &log, &bytes);
	const struct mark *m;

	if (r < 0 && r != ERR_CORRUPT)
		return r;
	if (number > s->last_number)
		s->last_number = number;
	m = &covered[log];
	if (r == ERR_CORRUPT && bytes < SEGMENT_HEADER && number < m->segment) {
		/* On its way out when the power went. */
		r = segment_remove(&s->segments, number);
	} else if (number >= m->segment) {
		r = recover_segment(s, number,
				    number == m->segment ? m->offset : SEGMENT_HEADER, log);
	} else if (r >= 0) {
		pthread_mutex_lock(&s->lock);
		r = log == LOG_CACHE ? store_cached_add(s, number, bytes) : 0;
		pthread_mutex_unlock(&s->lock);
	} else {
		/* Damaged, and told when a block of it is read. */
		r = 0;
	}
	/* Its torn end is cut by now. */
	if (log == LOG_CACHE && !segment_log(&s->segments, number, &log, &bytes))
		s->cached_disk += bytes;
	return r;
}

int store_recover(struct store *s)
{
	struct mark covered[LOGS];
	uint32_t *numbers = NULL;
	size_t n = 0;
	int r;

	r = index_covered(s->index, covered);
	if (r < 0)
		return r;
	r = segments_list(&s->segments, &numbers, &n, &s->segment_bytes);
	if (r < 0)
		return r;
	/* Numbers are never used twice, even if a file has gone. */
	for (int i = 0; i < LOGS; i++) {
		s->logs[i].tail = (struct mark){ covered[i].segment, SEGMENT_MAX };
		if (covered[i].segment > s->last_number)
			s->last_number = covered[i].segment;
	}
	for (size_t i = 0; i < n; i++) {
		r = recover_one(s, covered, numbers[i]);
		if (r < 0)
			goto out;
	}
	if (s->filling->n)
		r = store_flush(s);
	if (store_no_space(r))
		r = 0; /* readable, and tried again later */
out:
	free(numbers);
	return r;
}

struct rebuild {
	struct store *store; /* with the new index, and no flusher */
	struct mark covered[LOGS];
	uint8_t log; /* of the segment that is read */
	uint32_t *damaged; /* segments */
	size_t n_damaged;
};

static int commit_found(struct rebuild *b)
{
	struct pending *found = b->store->filling;
	int r;

	pending_sort(found);
	r = index_commit(b->store->index, found, b->covered);
	pending_clear(found);
	return r;
}

static int collect_found(void *arg, const uint8_t *name, size_t name_size,
			 const struct place *where, uint32_t end, bool doubtful)
{
	struct rebuild *b = arg;
	struct place copy = *where, *at = &copy;
	struct pending *found = b->store->filling;
	struct record_name key;
	int r;

	/* Doubtful recipes are checked later, when all pieces are known. */
	if (b->log == LOG_CACHE && at->kind != RECORD_BLOCK)
		return 0;
	record_name_of(&key, at->kind, name, name_size, 0);
	key.log = at->log = b->log;
	r = pending_add(found, &key, at);
	return r < 0 || found->n < FLUSH_NAMES ? r : commit_found(b);
}

/* Forget a block whose recipe lacks a piece, or is not to be believed. */
static int check_indexed(void *arg, const struct multihash *name, const struct place *at)
{
	struct rebuild *b = arg;
	struct record_name key;
	bool doubtful = false;
	int r;

	if (at->kind != RECORD_RECIPE)
		return 0;
	for (size_t i = 0; i < b->n_damaged; i++)
		doubtful |= b->damaged[i] == at->segment;
	record_name(&key, name, 0);
	r = doubtful ? check_recipe(b->store, &key, at)
		     : store_recipe_whole(b->store, &key, at);
	if (is_damage(r))
		r = index_drop(b->store->index, &key, at);
	return r < 0 ? r : 0;
}

static int rebuild_from(struct rebuild *b, uint64_t *damaged)
{
	struct segments *segments = &b->store->segments;
	uint32_t *numbers = NULL;
	uint64_t bytes, stepped;
	size_t n = 0;
	int r;

	r = segments_list(segments, &numbers, &n, &bytes);
	if (r < 0)
		return r;
	b->damaged = malloc((n + 1) * sizeof *b->damaged);
	if (!b->damaged)
		r = -ENOMEM;
	for (size_t i = 0; i < n && !r; i++) {
		struct segment *g = NULL;
		uint32_t end = 0;
		bool current;

		r = segment_open(segments, numbers[i], &g);
		if (r == -EISDIR || r == -ELOOP) {
			r = 0;
			continue;
		}
		if (r < 0)
			break;
		r = read_header(g, &current);
		b->log = r >= 0 ? (uint8_t)r : LOG_KEEP;
		if (r == ERR_CORRUPT)
			r = 0;
		if (r >= 0)
			r = segment_scan(g, SEGMENT_HEADER, collect_found, b, &end,
					 &stepped);
		if (!r && fdatasync(g->fd) < 0)
			r = -errno;
		segment_unref(g);
		if (r < 0)
			break;
		*damaged += stepped;
		if (stepped)
			b->damaged[b->n_damaged++] = numbers[i];
		b->covered[b->log] = (struct mark){ numbers[i], end };
	}
	if (!r)
		r = commit_found(b);
	if (!r)
		r = index_each(b->store->index, check_indexed, b);
	free(b->damaged);
	free(numbers);
	return r;
}

/* Put index.new in the place of index. */
static int exchange_index(int dir)
{
	int r = store_index_remove(dir, "index.old");

	if (r < 0 && r != -ENOENT)
		return r;
	if (renameat(dir, "index", dir, "index.old") < 0 && errno != ENOENT)
		return -errno;
	if (renameat(dir, "index.new", dir, "index") < 0 || fsync(dir) < 0)
		return -errno;
	r = store_index_remove(dir, "index.old");
	return r == -ENOENT ? 0 : r;
}

int store_rebuild(const char *path, uint64_t *blocks, uint64_t *damaged)
{
	struct rebuild b = { 0 };
	struct index_stat count = { 0 };
	uint64_t stepped = 0;
	struct store *s;
	char *fresh = NULL;
	int dir, version, r;

	s = b.store = store_new(path);
	if (!s)
		return -ENOMEM;
	dir = s->dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0) {
		r = -errno;
		goto out;
	}
	version = store_version_check(dir);
	if (version < 0 && version != ERR_CORRUPT && version != -ENOENT) {
		r = version;
		goto out;
	}
	r = segments_open(&s->segments, dir);
	if (r < 0)
		goto out;
	r = s->lock_fd = lock_take(dir, "lock");
	if (r < 0)
		goto out;
	if (asprintf(&fresh, "%s/index.new", path) < 0) {
		fresh = NULL;
		r = -ENOMEM;
		goto out;
	}
	r = store_index_remove(dir, "index.new");
	if (r < 0 && r != -ENOENT)
		goto out;
	if (mkdirat(dir, "index.new", 0700) < 0) {
		r = -errno;
		goto out;
	}
	r = index_open(&s->index, fresh, INDEX_WRITE | INDEX_CREATE, 0);
	if (!r)
		r = rebuild_from(&b, &stepped);
	if (!r)
		r = index_stat(s->index, &count);
	index_close(s->index);
	s->index = NULL;
	if (!r)
		r = exchange_index(dir);
	if (!r && version < 0)
		r = store_version_write(dir);
	if (!r && blocks)
		*blocks = count.blocks;
	if (!r && damaged)
		*damaged = stepped;
out:
	free(fresh);
	store_free(s);
	return r < 0 ? r : 0;
}
