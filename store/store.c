#include "store/error.h"
#include "store/lock.h"
#include "store/log.h"
#include "store/store_internal.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#define BAD_MAX 65536 /* damaged places remembered; more are only found again */

static int source_get_block(struct block_source *self, const struct cid *cid,
			    struct block **out)
{
	return store_get((struct store *)self, &cid->hash, out);
}

static int source_has_block(struct block_source *self, const struct cid *cid)
{
	return store_has((struct store *)self, &cid->hash, NULL);
}

struct block_source *store_source(struct store *s)
{
	_Static_assert(offsetof(struct store, source) == 0, "cast above");
	return &s->source;
}

struct store *store_new(const char *path)
{
	struct store *s = calloc(1, sizeof *s);
	pthread_rwlockattr_t use;
	pthread_condattr_t attr;

	if (!s)
		return NULL;
	s->path = strdup(path);
	if (!s->path) {
		free(s);
		return NULL;
	}
	s->source.get = source_get_block;
	s->source.has = source_has_block;
	s->piece_name = piece_name;
	s->dir = s->lock_fd = s->segments.dir = -1;
	s->filling = &s->tables[0];
	s->flushing = &s->tables[1];
	if (store_bundles_init(s) < 0) {
		free(s->path);
		free(s);
		return NULL;
	}
	store_frames_init(s);
	pthread_mutex_init(&s->packing, NULL);
	for (int i = 0; i < LOGS; i++) {
		s->logs[i].number = (uint8_t)i;
		pthread_mutex_init(&s->logs[i].append, NULL);
	}
	pthread_rwlockattr_init(&use);
	/* A gc must get its turn. */
	pthread_rwlockattr_setkind_np(&use, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
	pthread_rwlock_init(&s->use, &use);
	pthread_rwlockattr_destroy(&use);
	pthread_mutex_init(&s->roots_lock, NULL);
	pthread_mutex_init(&s->hold_lock, NULL);
	pthread_mutex_init(&s->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&s->work, &attr);
	pthread_cond_init(&s->done, NULL);
	pthread_condattr_destroy(&attr);
	return s;
}

void store_free(struct store *s)
{
	for (struct segment *g = s->sealed, *next; g; g = next) {
		next = g->next;
		segment_unref(g);
	}
	for (int i = 0; i < LOGS; i++)
		segment_unref(s->logs[i].active);
	store_cached_free(s);
	nameset_free(s->used);
	index_close(s->index);
	cache_free(s->cache);
	pending_release(&s->tables[0]);
	pending_release(&s->tables[1]);
	pending_release(&s->bad);
	store_bundles_release(s);
	store_frames_release(s);
	if (s->segments.dir >= 0)
		segments_close(&s->segments);
	if (s->lock_fd >= 0)
		close(s->lock_fd);
	if (s->dir >= 0)
		close(s->dir);
	pthread_cond_destroy(&s->work);
	pthread_cond_destroy(&s->done);
	while (s->n_packers)
		packer_free(s->packers[--s->n_packers]);
	pthread_mutex_destroy(&s->packing);
	for (int i = 0; i < LOGS; i++)
		pthread_mutex_destroy(&s->logs[i].append);
	pthread_rwlock_destroy(&s->use);
	pthread_mutex_destroy(&s->roots_lock);
	pthread_mutex_destroy(&s->hold_lock);
	pthread_mutex_destroy(&s->lock);
	free(s->path);
	free(s);
}

/* The folders of a new store.  Half-made ones of an interrupted try are fine. */
static int make_folders(int dir)
{
	int r = store_index_remove(dir, "index");

	if (r < 0 && r != -ENOENT)
		return r;
	if (mkdirat(dir, "index", 0700) < 0)
		return -errno;
	if (mkdirat(dir, "segments", 0700) < 0 && errno != EEXIST)
		return -errno;
	return 0;
}

static int open_parts(struct store *s, unsigned flags)
{
	unsigned index_flags = flags & STORE_WRITE ? INDEX_WRITE : 0;
	uint32_t *numbers = NULL;
	char *index_dir = NULL;
	bool fresh = false;
	size_t n = 0;
	int r;

	r = store_version_check(s->dir);
	if (r < 0 && !(r == -ENOENT && (flags & STORE_CREATE)))
		return r;
	if (flags & STORE_WRITE) {
		s->lock_fd = lock_take(s->dir, "lock");
		if (s->lock_fd < 0)
			return s->lock_fd;
		fresh = store_version_check(s->dir) == -ENOENT;
		/* From here on there may be what older versions do not know. */
		if (!fresh && r < STORE_VERSION)
			r = store_version_write(s->dir);
		if (r < 0 && !fresh)
			return r;
	}
	if (fresh) {
		/* Segments without a version are a store that lost it. */
		r = segments_open(&s->segments, s->dir);
		if (!r) {
			r = segments_list(&s->segments, &numbers, &n, &s->segment_bytes);
			free(numbers);
			segments_close(&s->segments);
			s->segments.dir = -1;
		}
		if (r < 0 && r != -ENOENT)
			return r;
		if (n)
			return ERR_CORRUPT;
		r = make_folders(s->dir);
		if (r < 0)
			return r;
		index_flags |= INDEX_CREATE;
	}
	r = segments_open(&s->segments, s->dir);
	if (r < 0)
		return r == -ENOENT ? ERR_CORRUPT : r;
	if (asprintf(&index_dir, "%s/index", s->path) < 0)
		return -ENOMEM;
	r = index_open(&s->index, index_dir, index_flags, 0);
	free(index_dir);
	if (r < 0)
		return r;
	if (fresh) {
		r = store_version_write(s->dir);
		if (r < 0)
			return r;
	}
	if (flags & STORE_WRITE) {
		r = store_recover(s);
		if (!r && s->cache_quota) {
			/* It may have been made smaller. */
			pthread_mutex_lock(&s->logs[LOG_CACHE].append);
			r = store_evict(s);
			pthread_mutex_unlock(&s->logs[LOG_CACHE].append);
		}
		return store_no_space(r) ? 0 : r;
	}
	r = segments_list(&s->segments, &numbers, &n, &s->segment_bytes);
	free(numbers);
	return r;
}

int store_open(struct store **out, const char *dir, unsigned flags,
	       const struct store_config *cfg)
{
	struct store *s;
	int r;

	if ((flags & STORE_CREATE) && !(flags & STORE_WRITE))
		return -EINVAL;
	s = store_new(dir);
	if (!s)
		return -ENOMEM;
	s->writable = flags & STORE_WRITE;
	s->cache_quota = cfg ? cfg->cache_quota : 0;
	if (s->writable) {
		s->used = nameset_new(USED_EXPECTED);
		if (!s->used) {
			r = -ENOMEM;
			goto fail;
		}
	}
	if (getrandom(&s->seed, sizeof s->seed, 0) != sizeof s->seed) {
		r = -EIO;
		goto fail;
	}
	if (cfg && cfg->cache_bytes) {
		s->cache = cache_new(cfg->cache_bytes);
		if (!s->cache) {
			r = -ENOMEM;
			goto fail;
		}
	}
	s->dir = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (s->dir < 0) {
		r = -errno;
		goto fail;
	}
	r = open_parts(s, flags);
	if (!r && s->writable)
		r = store_flusher_start(s);
	if (r < 0)
		goto fail;
	*out = s;
	return 0;
fail:
	store_free(s);
	return r;
}

int store_close(struct store *s)
{
	int r;

	if (!s)
		return 0;
	int closing = s->running ? store_close_bundles(s, true) : 0;
	store_flusher_stop(s);
	r = s->failed ? s->failed : s->full ? s->full : closing;
	store_free(s);
	return r;
}

struct pending_entry *store_find_pending(struct store *s, const struct record_name *name)
{
	struct pending_entry *e = pending_find(s->filling, name);

	return e ? e : pending_find(s->flushing, name);
}

bool place_same(const struct place *a, const struct place *b)
{
	return a->segment == b->segment && a->offset == b->offset;
}

static bool is_bad(struct store *s, const struct record_name *name,
		   const struct place *at)
{
	struct pending_entry *e = pending_find(&s->bad, name);

	return e && place_same(&e->at, at);
}

int store_find(struct store *s, const struct record_name *name, struct place *out)
{
	struct pending_entry *e;
	bool any_bad, open;
	int r;

	/* This order: what leaves the tables is in the index already. */
	pthread_mutex_lock(&s->lock);
	e = store_find_pending(s, name);
	if (e)
		*out = e->at;
	open = !e && store_find_open(s, name, out);
	any_bad = s->bad.n;
	pthread_mutex_unlock(&s->lock);
	if (e || open)
		return 1;
	r = index_find(s->index, name, out);
	if (r > 0 && any_bad) {
		pthread_mutex_lock(&s->lock);
		if (is_bad(s, name, out))
			r = 0;
		pthread_mutex_unlock(&s->lock);
	}
	return r;
}

int store_find_any(struct store *s, struct record_name *name, struct place *out)
{
	int r;

	name->log = LOG_KEEP;
	r = store_find(s, name, out);
	if (r)
		return r;
	name->log = LOG_CACHE;
	return store_find(s, name, out);
}

int store_moved(struct store *s, const struct record_name *name, struct place *at, bool *found)
{
	struct place before = *at;
	int r = store_find(s, name, at);

	*found = r > 0;
	return r < 0 ? r : !r || !place_same(at, &before);
}

void store_drop(struct store *s, const struct record_name *name, const struct place *at)
{
	struct pending_entry *e;
	bool known, failed;
	int r;

	pthread_mutex_lock(&s->lock);
	failed = s->failed;
	known = is_bad(s, name, at);
	if (!known && s->bad.n < BAD_MAX)
		/* Without memory for it, it is found and told again. */
		(void)pending_add(&s->bad, name, at);
	for (int i = 0; i < 2; i++) {
		e = pending_find(&s->tables[i], name);
		if (e && place_same(&e->at, at))
			e->dead = true;
	}
	pthread_mutex_unlock(&s->lock);
	if (known)
		return;
	/* A damaged piece counts by the blocks that lack it. */
	if (!name->piece)
		s->corrupt++;
	log_line(LOG_ERROR, "store %s: segment %08u: the %s at byte %u is damaged", s->path,
		 at->segment, name->piece ? "piece" : "block", at->offset);
	if (!s->writable || failed)
		return;
	r = index_drop(s->index, name, at);
	if (r < 0)
		log_line(LOG_ERROR, "store %s: index: %s", s->path, err_text(r));
}

int store_load(struct store *s, struct record_name *key, const struct multihash *name,
	       struct block **out)
{
	struct place at, before;
	struct block *b = NULL;
	bool failed = false;
	uint8_t *data;
	int r;

	for (;;) {
		r = store_find_any(s, key, &at);
		if (r <= 0)
			return r < 0 ? r : ERR_MISSING;
		if (failed && place_same(&at, &before)) {
			store_drop(s, key, &at);
			return ERR_MISSING;
		}
		r = block_reserve(&b, name, at.size, &data);
		if (r < 0)
			return r;
		r = store_read(s, key, &at, data);
		if (r != ERR_CORRUPT)
			break;
		/* Damaged, or moved under our eyes? */
		block_unref(b);
		b = NULL;
		before = at;
		failed = true;
	}
	if (r < 0) {
		block_unref(b);
		return r;
	}
	if (at.log == LOG_CACHE && s->writable)
		store_cached_read(s, &at);
	*out = b;
	return 0;
}

int store_get(struct store *s, const struct multihash *name, struct block **out)
{
	struct record_name key;
	struct block *b = NULL;
	int r;

	record_name(&key, name, s->seed);
	b = s->cache ? cache_find(s->cache, name, key.hash) : NULL;
	if (b) {
		*out = b;
		return 0;
	}
	r = store_load(s, &key, name, &b);
	if (r < 0)
		return r;
	if (s->cache)
		cache_add(s->cache, b, key.hash);
	*out = b;
	return 0;
}

int store_cached(struct store *s, const struct multihash *name, struct block **out)
{
	struct record_name key;

	if (!s->cache)
		return ERR_MISSING;
	record_name(&key, name, s->seed);
	struct block *b = cache_find(s->cache, name, key.hash);
	if (!b)
		return ERR_MISSING;
	*out = b;
	return 0;
}

int store_has(struct store *s, const struct multihash *name, size_t *size)
{
	struct record_name key;
	struct place at;

	record_name(&key, name, s->seed);
	if (store_find_any(s, &key, &at) <= 0)
		return 0;
	if (size)
		*size = at.size;
	return 1;
}

int store_keeps(struct store *s, const struct multihash *name, size_t *size)
{
	struct record_name key;
	struct place at;

	record_name(&key, name, s->seed);
	if (store_find(s, &key, &at) <= 0)
		return 0;
	if (size)
		*size = at.size;
	return 1;
}

struct listing {
	int (*each)(void *arg, const struct multihash *, size_t);
	void *arg;
};

static int on_indexed(void *arg, const struct multihash *name, const struct place *at)
{
	struct listing *l = arg;

	return l->each(l->arg, name, at->size);
}

int store_each(struct store *s, int (*each)(void *arg, const struct multihash *, size_t),
	       void *arg)
{
	struct listing listing = { each, arg };

	/* So that the index has all; if it cannot, what it has is still right. */
	if (s->writable)
		(void)store_sync(s);
	return index_each(s->index, on_indexed, &listing);
}

/* A reader is not told of the files of the cache log, so it looks. */
static uint64_t measure_cache(struct store *s)
{
	uint64_t all, bytes, sum = 0;
	uint32_t *numbers = NULL;
	uint8_t log;
	size_t n = 0;

	if (segments_list(&s->segments, &numbers, &n, &all) < 0)
		return 0;
	for (size_t i = 0; i < n; i++)
		/* One that has gone meanwhile, or is damaged, counts no more. */
		if (!segment_log(&s->segments, numbers[i], &log, &bytes) && log == LOG_CACHE)
			sum += bytes;
	free(numbers);
	return sum;
}

void store_stat(struct store *s, struct store_stat *out)
{
	struct index_stat indexed;

	*out = (struct store_stat){ .corrupt = s->corrupt };
	if (s->cache)
		out->cached_bytes = cache_bytes(s->cache);
	if (index_stat(s->index, &indexed) < 0) {
		log_line(LOG_ERROR, "store %s: the index cannot be read", s->path);
	} else {
		out->blocks = indexed.blocks + indexed.cached;
		out->cache_blocks = indexed.cached;
		out->cache_bytes = indexed.cached_bytes;
		out->pieces = indexed.pieces;
		out->bytes = indexed.bytes + indexed.cached_bytes;
		out->disk_bytes = indexed.disk;
	}
	pthread_mutex_lock(&s->lock);
	for (int i = 0; i < 2; i++) {
		out->blocks += s->tables[i].blocks;
		out->pieces += s->tables[i].n - s->tables[i].blocks;
	}
	out->blocks += s->open_blocks;
	out->bytes += s->filling->bytes + s->flushing->bytes + s->open_bytes;
	out->disk_bytes += s->segment_bytes;
	out->cache_disk = s->cached_disk;
	out->cache_quota = s->cache_quota;
	out->evicted = s->evicted;
	pthread_mutex_unlock(&s->lock);
	if (!s->writable)
		out->cache_disk = measure_cache(s);
}
