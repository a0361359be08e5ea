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

static int read_header(struct segment *g)
{
	uint8_t header[SEGMENT_HEADER];
	ssize_t n = pread(g->fd, header, sizeof header, 0);

	if (n < 0)
		return -errno;
	return n == sizeof header ? segment_header_check(header, g->number) : ERR_CORRUPT;
}

static int note_found(void *arg, const struct multihash *name, const struct place *at)
{
	struct store *s = arg;
	struct record_name key;
	int r;

	record_name(&key, name, s->seed);
	pthread_mutex_lock(&s->lock);
	r = store_note(s, &key, at);
	bool full = s->filling->n >= FLUSH_NAMES;
	pthread_mutex_unlock(&s->lock);
	return r < 0 || !full ? r : store_flush(s);
}

/*
 * Index what segment `number` has from `from` on, and cut off what is behind
 * the last whole record.  It becomes the active one if it can be appended to.
 */
static int recover_segment(struct store *s, uint32_t number, uint32_t from)
{
	struct segment *g = NULL;
	uint64_t damaged = 0;
	uint32_t end = from;
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
	header = read_header(g);
	if (header == ERR_NEWER || (header < 0 && header != ERR_CORRUPT)) {
		r = header;
		goto out;
	}
	pthread_mutex_lock(&s->lock);
	if (s->active) {
		s->active->next = s->sealed;
		s->sealed = s->active;
	}
	s->active = g;
	s->tail = (struct mark){ number, from };
	pthread_mutex_unlock(&s->lock);

	r = segment_scan(g, from, note_found, s, &end, &damaged);
	if (r < 0)
		return r;
	if (st.st_size > end) {
		log_line(LOG_WARN,
			 "store %s: segment %08u: cut %lld bytes of unfinished records",
			 s->path, number, (long long)(st.st_size - end));
		if (ftruncate(g->fd, end) < 0)
			return -errno;
	}
	/* Behind damage, or without a header, nothing more is added. */
	bool whole = !header && st.st_size >= end && !damaged;
	if (!whole)
		log_line(LOG_WARN, "store %s: segment %08u is damaged", s->path, number);
	pthread_mutex_lock(&s->lock);
	s->tail = (struct mark){ number, whole ? end : SEGMENT_MAX };
	s->kicked = s->tail.offset;
	pthread_mutex_unlock(&s->lock);
	return 0;
out:
	segment_unref(g);
	return r;
}

int store_recover(struct store *s)
{
	uint32_t *numbers = NULL;
	struct mark covered;
	size_t n = 0;
	int r;

	r = index_covered(s->index, &covered);
	if (r < 0)
		return r;
	r = segments_list(&s->segments, &numbers, &n, &s->segment_bytes);
	if (r < 0)
		return r;
	/* Numbers are never used twice, even if a file has gone. */
	s->tail = (struct mark){ covered.segment, SEGMENT_MAX };
	for (size_t i = 0; i < n; i++) {
		if (numbers[i] < covered.segment)
			continue;
		bool first = numbers[i] == covered.segment;
		r = recover_segment(s, numbers[i],
				    first ? covered.offset : SEGMENT_HEADER);
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
	struct index *index;
	struct pending found;
	struct mark covered;
};

static int commit_found(struct rebuild *b)
{
	int r;

	pending_sort(&b->found);
	r = index_commit(b->index, &b->found, &b->covered);
	pending_clear(&b->found);
	return r;
}

static int collect_found(void *arg, const struct multihash *name, const struct place *at)
{
	struct rebuild *b = arg;
	struct record_name key;
	int r;

	record_name(&key, name, 0);
	r = pending_add(&b->found, &key, at);
	return r < 0 || b->found.n < FLUSH_NAMES ? r : commit_found(b);
}

static int rebuild_from(struct rebuild *b, struct segments *segments, uint64_t *damaged)
{
	uint32_t *numbers = NULL;
	uint64_t bytes, stepped;
	size_t n = 0;
	int r;

	r = segments_list(segments, &numbers, &n, &bytes);
	for (size_t i = 0; i < n && !r; i++) {
		struct segment *g = NULL;
		uint32_t end = 0;

		r = segment_open(segments, numbers[i], &g);
		if (r == -EISDIR || r == -ELOOP) {
			r = 0;
			continue;
		}
		if (r < 0)
			break;
		r = read_header(g);
		if (r == ERR_CORRUPT)
			r = 0;
		if (!r)
			r = segment_scan(g, SEGMENT_HEADER, collect_found, b, &end,
					 &stepped);
		if (!r && fdatasync(g->fd) < 0)
			r = -errno;
		segment_unref(g);
		if (r < 0)
			break;
		*damaged += stepped;
		b->covered = (struct mark){ numbers[i], end };
	}
	if (!r)
		r = commit_found(b);
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
	struct segments segments;
	bool opened = false;
	uint64_t count = 0, stepped = 0, bytes, disk;
	char *fresh = NULL;
	int lock = -1, dir, version, r;

	dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0)
		return -errno;
	version = store_version_check(dir);
	if (version < 0 && version != ERR_CORRUPT && version != -ENOENT) {
		r = version;
		goto out;
	}
	r = segments_open(&segments, dir);
	if (r < 0)
		goto out;
	opened = true;
	r = lock = lock_take(dir, "lock");
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
	r = index_open(&b.index, fresh, INDEX_WRITE | INDEX_CREATE, 0);
	if (!r)
		r = rebuild_from(&b, &segments, &stepped);
	if (!r)
		r = index_stat(b.index, &count, &bytes, &disk);
	index_close(b.index);
	if (!r)
		r = exchange_index(dir);
	if (!r && version < 0)
		r = store_version_write(dir);
	if (!r && blocks)
		*blocks = count;
	if (!r && damaged)
		*damaged = stepped;
out:
	pending_release(&b.found);
	free(fresh);
	if (opened)
		segments_close(&segments);
	if (lock >= 0)
		close(lock);
	close(dir);
	return r < 0 ? r : 0;
}
