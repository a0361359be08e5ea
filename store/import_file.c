#include "store/import_file.h"

#include "store/error.h"
#include "store/gc.h"
#include "store/import_read.h"
#include "store/store_stream.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define WINDOW	     32 /* leaves that may be ahead of the first missing one */
#define ATTEMPTS     3
#define LENGTH_OPEN  UINT64_MAX

struct import_file {
	struct import_file *next;
	struct dir *dir; /* held */
	uint32_t index;
	struct file_reader reader;
	bool borrowed; /* the descriptor */
	struct stat st; /* when this attempt began */
	int64_t began;	/* then; seconds */
	int attempts;
	struct unixfs_meta meta;
	struct build_file build; /* whoever feeds it */
	struct store_stream *stream_out; /* where leaves go; NULL: they go alone */

	/* Under the pipeline's lock. */
	uint64_t chunks;     /* of the file; LENGTH_OPEN until one read in order has ended */
	uint64_t claimed;    /* chunks taken by workers */
	uint64_t fed;	     /* leaves given to the builder */
	unsigned running;    /* workers on it */
	bool reading;	     /* one of them reads on, in order */
	bool feeding;	     /* one of them feeds the builder */
	bool changed;	     /* begin again */
	uint64_t bytes;	     /* stored */
	struct {
		struct built leaf;
		bool ready;
	} window[WINDOW]; /* leaf i at i % WINDOW */
};

static void count_bytes(struct pipeline *p, int64_t n)
{
	if (p->options->progress)
		atomic_fetch_add(&p->options->progress->bytes, n);
}

static void count_file(struct pipeline *p, uint64_t bytes)
{
	p->files++;
	p->bytes += bytes;
	if (p->options->progress)
		atomic_fetch_add(&p->options->progress->files, 1);
}

static bool same_state(const struct stat *a, const struct stat *b)
{
	return a->st_size == b->st_size && a->st_mtim.tv_sec == b->st_mtim.tv_sec &&
	       a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

static uint64_t chunks_of(const struct pipeline *p, uint64_t size)
{
	uint32_t chunk = p->profile->chunker.max;

	return size ? (size - 1) / chunk + 1 : 1;
}

static int64_t seconds_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return now.tv_sec;
}

static void file_free(struct import_file *f)
{
	build_file_release(&f->build);
	store_stream_free(f->stream_out);
	file_reader_release(&f->reader);
	if (!f->borrowed)
		close(f->reader.fd);
	free(f);
}

/* Begin an attempt: the file is as f->st says. */
static int begin(struct pipeline *p, struct import_file *f)
{
	int r = file_reader_begin(p, &f->reader, f->borrowed ? NULL : &f->st);

	if (r < 0)
		return r;
	f->chunks = f->reader.in_order ? LENGTH_OPEN
				       : chunks_of(p, (uint64_t)f->st.st_size);
	f->claimed = f->fed = f->bytes = 0;
	f->changed = false;
	for (int i = 0; i < WINDOW; i++)
		f->window[i].ready = false;
	build_file_init(&f->build, p->profile, p->sink);
	/* Without memory for it, leaves are put alone. */
	f->stream_out = p->sink->store && p->profile->chunker.max >= STREAM_LEAF_MIN
				? store_stream_new(p->sink->store)
				: NULL;
	f->build.meta = pipeline_meta(p, f->borrowed ? NULL : &f->st, &f->meta);

	pthread_mutex_lock(&p->lock);
	f->next = p->open_files;
	p->open_files = f;
	pthread_cond_broadcast(&p->work);
	pthread_mutex_unlock(&p->lock);
	return 0;
}

/* Open a file to all workers.  Takes its descriptor over, unless it fails. */
static int begin_new(struct pipeline *p, const struct import_file *how)
{
	struct import_file *f = malloc(sizeof *f);
	int r;

	if (!f)
		return -ENOMEM;
	*f = *how;
	posix_fadvise(f->reader.fd, 0, 0, POSIX_FADV_SEQUENTIAL);
	r = begin(p, f);
	if (r < 0)
		free(f);
	return r;
}

int file_stream(struct pipeline *p, int fd, struct dir *d, uint32_t index)
{
	return begin_new(p, &(struct import_file){
				    .dir = d,
				    .index = index,
				    .reader = { .fd = fd, .pipe = true, .in_order = true },
				    .borrowed = true });
}

/* The file is done. */
static void stored(struct pipeline *p, struct import_file *f, const struct built *root)
{
	if (p->options->seen && p->sink->store && !f->borrowed && f->st.st_size)
		seen_note(p->options->seen, p->fingerprint, &f->st, f->began, &root->cid,
			  root->tsize);
	count_file(p, f->bytes);
	pipeline_stored(p, f->dir, f->index, root);
}

/*
 * Whether the file is one that was stored before, and still is.  Its root alone
 * is looked for: what is below it was stored earlier, and a store keeps or drops
 * trees as a whole.
 */
static bool known(struct pipeline *p, const struct task *t)
{
	struct import_file f = { .dir = t->dir, .index = t->index };
	struct built root = { 0 };

	if (!p->options->seen || !p->sink->store)
		return false;
	if (fstatat(t->at ? t->at->fd : AT_FDCWD, dir_name(t->dir, t->index), &f.st,
		    AT_SYMLINK_NOFOLLOW) < 0 ||
	    !S_ISREG(f.st.st_mode))
		return false;
	if (!seen_find(p->options->seen, p->fingerprint, &f.st, &root.cid, &root.tsize) ||
	    !store_use_tree(p->sink->store, &root.cid))
		return false;
	count_bytes(p, f.st.st_size);
	count_file(p, (uint64_t)f.st.st_size);
	pipeline_stored(p, t->dir, t->index, &root);
	return true;
}

/* A file of a chunk at most: 1 stored, 0 it is not one, -EAGAIN it has changed. */
static int store_small(struct worker *w, struct import_file *f)
{
	struct pipeline *p = w->pipeline;
	const struct chunker *c = &p->profile->chunker;
	/* Files of /proc say they are empty, and are not. */
	size_t want = f->st.st_size ? (size_t)f->st.st_size : 1;
	struct stat after;
	struct built b;
	int r;

	if ((uint64_t)f->st.st_size > c->max)
		return 0;
	ssize_t n = read_at(f->reader.fd, w->data, want, 0);
	if (n < 0)
		return (int)n;
	if (n > 0 && !f->st.st_size) {
		f->reader.in_order = true;
		return 0;
	}
	if (chunker_cut(c, w->data, (size_t)n) < (size_t)n)
		return 0;
	if (fstat(f->reader.fd, &after) < 0)
		return -errno;
	if (n != f->st.st_size || !same_state(&f->st, &after))
		return -EAGAIN;
	r = build_leaf_meta(p->profile, p->sink, w->data, (size_t)n,
			    pipeline_meta(p, &f->st, &f->meta), &b);
	if (r < 0)
		return r;
	f->bytes = (uint64_t)n;
	count_bytes(p, n);
	stored(p, f, &b);
	return 1;
}

int file_store(struct worker *w, const struct task *t)
{
	struct pipeline *p = w->pipeline;
	struct import_file f = { .dir = t->dir, .index = t->index };
	int r;

	if (known(p, t))
		return 0;
	/* What was a file may by now be a pipe that nobody writes to. */
	f.reader.fd = openat(t->at ? t->at->fd : AT_FDCWD, dir_name(t->dir, t->index),
			     O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (f.reader.fd < 0)
		return -errno;
	do {
		f.reader.in_order = p->profile->chunker.kind != CHUNKER_SIZE;
		f.began = seconds_now();
		if (fstat(f.reader.fd, &f.st) < 0)
			r = -errno;
		else if (!S_ISREG(f.st.st_mode))
			r = -EAGAIN;
		else
			r = store_small(w, &f);
	} while (r == -EAGAIN && ++f.attempts < ATTEMPTS);
	if (r == 0) {
		r = begin_new(p, &f);
		if (r == 0)
			return 0; /* which has the descriptor */
	}
	close(f.reader.fd);
	return r < 0 ? r : 0;
}

struct import_file *file_claim(struct pipeline *p, uint64_t *chunk)
{
	for (struct import_file *f = p->open_files; f; f = f->next) {
		if (f->changed || f->reading || f->claimed == f->chunks ||
		    f->claimed == f->fed + WINDOW)
			continue;
		*chunk = f->claimed++;
		f->reading = f->reader.in_order;
		f->running++;
		return f;
	}
	return NULL;
}

/* Read a chunk: its kind, CHUNK_NONE also if the file has changed.  *only: it is
 * the whole file. */
static int read_chunk(struct worker *w, struct import_file *f, uint64_t i, size_t *len,
		      bool *only)
{
	struct pipeline *p = w->pipeline;
	bool in_order = f->reader.in_order, last = false;
	int kind = in_order ? file_reader_next(w, &f->reader, len, &last)
			    : file_reader_chunk(w, &f->reader, i, len);

	if (kind < 0)
		return kind;
	pthread_mutex_lock(&p->lock);
	if (in_order) {
		f->reading = false;
		if (last || kind == CHUNK_NONE)
			f->chunks = last ? i + 1 : i;
		if (p->idle)
			pthread_cond_broadcast(&p->work);
	} else if (i * p->profile->chunker.max + *len < f->reader.size &&
		   *len < p->profile->chunker.max) {
		f->changed = true;
	}
	f->claimed = f->chunks < f->claimed ? f->chunks : f->claimed;
	if (f->changed)
		kind = CHUNK_NONE;
	*only = f->chunks == 1;
	pthread_mutex_unlock(&p->lock);
	return kind;
}

/* The leaf of a hole, which is all zeros, like the one before. */
static int store_hole(struct worker *w, size_t len, struct built *out)
{
	struct pipeline *p = w->pipeline;
	bool have;
	int r;

	pthread_mutex_lock(&p->lock);
	have = p->hole_len == len;
	if (have)
		*out = p->hole;
	pthread_mutex_unlock(&p->lock);
	if (have)
		return 0;
	memset(w->data, 0, len);
	r = build_leaf(p->profile, p->sink, w->data, len, out);
	if (r < 0)
		return r;
	pthread_mutex_lock(&p->lock);
	p->hole = *out;
	p->hole_len = len;
	pthread_mutex_unlock(&p->lock);
	return 0;
}

/* If the chunk is the whole file, its leaf is the root, and goes alone. */
static int store_chunk(struct worker *w, struct import_file *f, uint64_t i, int kind,
		       size_t len, bool only, struct built *out)
{
	struct pipeline *p = w->pipeline;

	if (kind == CHUNK_HOLE && !only) {
		int r = store_hole(w, len, out);

		store_stream_skip(f->stream_out, i);
		return r;
	}
	if (kind == CHUNK_HOLE)
		memset(w->data, 0, len);
	if (only)
		return build_leaf_meta(p->profile, p->sink, w->data, len, f->build.meta, out);
	if (f->stream_out)
		return build_leaf_stream(p->profile, f->stream_out, i, w->data, len, out);
	return build_leaf(p->profile, p->sink, w->data, len, out);
}

/* Give the builder the leaves whose turn it is, unless another worker does. */
static int feed(struct pipeline *p, struct import_file *f)
{
	int r = 0;

	while (r == 0 && !f->feeding && !f->changed && f->window[f->fed % WINDOW].ready) {
		struct built leaf = f->window[f->fed % WINDOW].leaf;

		f->window[f->fed % WINDOW].ready = false;
		f->feeding = true;
		pthread_mutex_unlock(&p->lock);
		r = build_file_add(&f->build, &leaf);
		pthread_mutex_lock(&p->lock);
		f->feeding = false;
		if (r == 0)
			f->fed++;
	}
	if (p->idle)
		pthread_cond_broadcast(&p->work);
	return r;
}

static void unlink_file(struct pipeline *p, struct import_file *f)
{
	struct import_file **at = &p->open_files;

	while (*at != f)
		at = &(*at)->next;
	*at = f->next;
}

/* Nobody works on the file any more, and it is off the list. */
static int end(struct pipeline *p, struct import_file *f)
{
	struct stat after;
	struct built root;
	int r;

	if (!f->borrowed) {
		if (fstat(f->reader.fd, &after) < 0)
			return -errno;
		if (f->changed || !same_state(&f->st, &after)) {
			count_bytes(p, -(int64_t)f->bytes);
			if (++f->attempts >= ATTEMPTS)
				return -EAGAIN;
			f->st = after;
			f->began = seconds_now();
			build_file_release(&f->build);
			store_stream_free(f->stream_out);
			f->stream_out = NULL;
			return begin(p, f);
		}
	}
	r = store_stream_finish(f->stream_out);
	if (!r)
		r = build_file_finish(&f->build, &root);
	if (r < 0)
		return r;
	stored(p, f, &root);
	file_free(f);
	return 0;
}

void file_chunk(struct worker *w, struct import_file *f, uint64_t chunk)
{
	struct pipeline *p = w->pipeline;
	struct built leaf;
	size_t len = 0;
	bool last, only = false;
	int r = pipeline_error(p);
	int kind = CHUNK_NONE;

	if (r == 0)
		r = kind = read_chunk(w, f, chunk, &len, &only);
	if (kind > CHUNK_NONE) {
		r = store_chunk(w, f, chunk, kind, len, only, &leaf);
		if (r == 0)
			count_bytes(p, len);
	}
	if (r < 0 || (kind == CHUNK_NONE && !f->reader.in_order))
		store_stream_break(f->stream_out);

	pthread_mutex_lock(&p->lock);
	if (kind > CHUNK_NONE && r == 0) {
		f->bytes += len;
		f->window[chunk % WINDOW].leaf = leaf;
		f->window[chunk % WINDOW].ready = true;
		r = feed(p, f);
	}
	f->running--;
	/* After an error the file stays on the list, for files_abandon(). */
	last = r == 0 && !f->running && (f->changed || f->fed == f->chunks);
	if (last)
		unlink_file(p, f);
	pthread_mutex_unlock(&p->lock);

	if (last) {
		r = end(p, f);
		if (r < 0) {
			pthread_mutex_lock(&p->lock);
			f->next = p->open_files;
			p->open_files = f;
			pthread_mutex_unlock(&p->lock);
		}
	}
	if (r < 0)
		pipeline_fail(p, f->dir, f->index, r);
}

void files_abandon(struct pipeline *p)
{
	while (p->open_files) {
		struct import_file *f = p->open_files;

		p->open_files = f->next;
		pipeline_drop(p, f->dir);
		file_free(f);
	}
}
