#include "store/import_file.h"

#include "store/error.h"
#include "store/store_stream.h"

#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define WINDOW	     32 /* leaves that may be ahead of the first missing one */
#define ATTEMPTS     3
#define PATIENCE_MS  100 /* between looks at the wish to cancel, while a pipe is silent */
#define LENGTH_OPEN  UINT64_MAX

struct import_file {
	struct import_file *next;
	struct dir *dir; /* held */
	uint32_t index;
	int fd;
	bool stream;   /* read in order, to an end that nobody knows before */
	bool borrowed; /* the descriptor */
	struct stat st; /* when this attempt began */
	int attempts;
	struct build_file build; /* whoever feeds it */
	struct store_stream *stream_out; /* where leaves go; NULL: they go alone */

	/* Under the pipeline's lock. */
	uint64_t chunks;     /* of the file; LENGTH_OPEN until a stream has ended */
	uint64_t claimed;    /* chunks taken by workers */
	uint64_t fed;	     /* leaves given to the builder */
	unsigned running;    /* workers on it */
	bool reading;	     /* one of them reads the stream */
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
	uint32_t chunk = p->profile->chunk_size;

	return size ? (size - 1) / chunk + 1 : 1;
}

/* Up to `len` bytes: fewer only at the end. */
static ssize_t read_at(int fd, uint8_t *buf, size_t len, uint64_t offset)
{
	size_t done = 0;

	while (done < len) {
		ssize_t n = pread(fd, buf + done, len - done, offset + done);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			break;
		done += n;
	}
	return done;
}

/* The same of a stream, which may keep us waiting. */
static ssize_t read_on(struct pipeline *p, int fd, uint8_t *buf, size_t len)
{
	size_t done = 0;

	while (done < len) {
		struct pollfd ready = { .fd = fd, .events = POLLIN };
		int r = pipeline_error(p);
		ssize_t n;

		if (r < 0)
			return r;
		if (poll(&ready, 1, PATIENCE_MS) <= 0)
			continue;
		n = read(fd, buf + done, len - done);
		if (n < 0 && (errno == EINTR || errno == EAGAIN))
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			break;
		done += n;
	}
	return done;
}

static void file_free(struct import_file *f)
{
	build_file_release(&f->build);
	store_stream_free(f->stream_out);
	if (!f->borrowed)
		close(f->fd);
	free(f);
}

/* Begin an attempt: the file is as f->st says. */
static void begin(struct pipeline *p, struct import_file *f)
{
	f->chunks = f->stream ? LENGTH_OPEN : chunks_of(p, f->st.st_size);
	f->claimed = f->fed = f->bytes = 0;
	f->changed = false;
	for (int i = 0; i < WINDOW; i++)
		f->window[i].ready = false;
	build_file_init(&f->build, p->profile, p->sink);
	/* Without memory for it, leaves are put alone. */
	f->stream_out = p->sink->store && p->profile->chunk_size >= STREAM_LEAF_MIN
				? store_stream_new(p->sink->store)
				: NULL;

	pthread_mutex_lock(&p->lock);
	f->next = p->open_files;
	p->open_files = f;
	pthread_cond_broadcast(&p->work);
	pthread_mutex_unlock(&p->lock);
}

/* Open a file to all workers.  Takes fd over, unless it fails. */
static int begin_new(struct pipeline *p, const struct import_file *how)
{
	struct import_file *f = malloc(sizeof *f);

	if (!f)
		return -ENOMEM;
	*f = *how;
	posix_fadvise(f->fd, 0, 0, POSIX_FADV_SEQUENTIAL);
	begin(p, f);
	return 0;
}

int file_stream(struct pipeline *p, int fd, struct dir *d, uint32_t index)
{
	return begin_new(p, &(struct import_file){ .dir = d,
						   .index = index,
						   .fd = fd,
						   .stream = true,
						   .borrowed = true });
}

int file_store(struct worker *w, const struct task *t)
{
	struct pipeline *p = w->pipeline;
	const uint32_t chunk = p->profile->chunk_size;
	struct import_file f = { .dir = t->dir, .index = t->index };
	struct stat after;
	struct built b;
	ssize_t n;
	int r;

	/* What was a file may by now be a pipe that nobody writes to. */
	f.fd = openat(t->at ? t->at->fd : AT_FDCWD, dir_name(t->dir, t->index),
		      O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (f.fd < 0)
		return -errno;
	r = -errno;
	if (fstat(f.fd, &f.st) < 0)
		goto out;
	r = -EAGAIN;
	if (!S_ISREG(f.st.st_mode))
		goto out;

	for (; f.attempts < ATTEMPTS; f.attempts++, f.st = after) {
		/* Files of /proc say they are empty, and are not. */
		uint64_t want = f.st.st_size ? f.st.st_size : 1;

		if (want <= chunk) {
			r = n = read_at(f.fd, w->data, want, 0);
			if (n < 0)
				goto out;
			f.stream = n > 0 && !f.st.st_size;
		}
		if (want > chunk || f.stream) {
			r = begin_new(p, &f);
			if (r < 0)
				goto out;
			return 0;
		}
		r = -errno;
		if (fstat(f.fd, &after) < 0)
			goto out;
		if (n != f.st.st_size || !same_state(&f.st, &after))
			continue;

		r = build_leaf(p->profile, p->sink, w->data, n, &b);
		if (r < 0)
			goto out;
		close(f.fd);
		count_bytes(p, n);
		count_file(p, n);
		pipeline_stored(p, t->dir, t->index, &b);
		return 0;
	}
	r = -EAGAIN;
out:
	close(f.fd);
	return r;
}

struct import_file *file_claim(struct pipeline *p, uint64_t *chunk)
{
	for (struct import_file *f = p->open_files; f; f = f->next) {
		if (f->changed || f->reading || f->claimed == f->chunks ||
		    f->claimed == f->fed + WINDOW)
			continue;
		*chunk = f->claimed++;
		f->reading = f->stream;
		f->running++;
		return f;
	}
	return NULL;
}

/* Read a chunk: 1, or 0 if there is none, because the stream or file has ended. */
static int read_chunk(struct worker *w, struct import_file *f, uint64_t i, size_t *len)
{
	struct pipeline *p = w->pipeline;
	const uint32_t chunk = p->profile->chunk_size;
	size_t want = chunk;
	ssize_t n;

	if (!f->stream) {
		uint64_t left = f->st.st_size - i * chunk;

		want = left < chunk ? left : chunk;
		n = read_at(f->fd, w->data, want, i * chunk);
	} else {
		n = read_on(p, f->fd, w->data, want);
	}
	if (n < 0)
		return n;

	bool some = n > 0 || i == 0; /* an empty file has one leaf */

	pthread_mutex_lock(&p->lock);
	if (f->stream) {
		f->reading = false;
		if ((size_t)n < want)
			f->chunks = some ? i + 1 : i;
		if (p->idle)
			pthread_cond_broadcast(&p->work);
	} else if ((size_t)n < want) {
		f->changed = true;
	}
	f->claimed = f->chunks < f->claimed ? f->chunks : f->claimed;
	some = some && !f->changed;
	pthread_mutex_unlock(&p->lock);
	*len = n;
	return some;
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
		if (fstat(f->fd, &after) < 0)
			return -errno;
		if (f->changed || !same_state(&f->st, &after)) {
			count_bytes(p, -(int64_t)f->bytes);
			if (++f->attempts >= ATTEMPTS)
				return -EAGAIN;
			if (f->stream && lseek(f->fd, 0, SEEK_SET) < 0)
				return -errno;
			f->st = after;
			build_file_release(&f->build);
			store_stream_free(f->stream_out);
			begin(p, f);
			return 0;
		}
	}
	r = store_stream_finish(f->stream_out);
	if (!r)
		r = build_file_finish(&f->build, &root);
	if (r < 0)
		return r;
	count_file(p, f->bytes);
	pipeline_stored(p, f->dir, f->index, &root);
	file_free(f);
	return 0;
}

/* A sink that takes one leaf of a file, and puts it where it stands in that. */
struct leaf_sink {
	struct block_sink base;
	struct store_stream *stream;
	uint64_t index;
	const uint8_t *data; /* of the file, inside the leaf */
	size_t len;
};

static int put_leaf(struct block_sink *self, const struct multihash *name, const void *block,
		    size_t len)
{
	struct leaf_sink *s = (struct leaf_sink *)self;
	size_t head = (size_t)(s->data - (const uint8_t *)block);

	return store_stream_put(s->stream, s->index, name, block, len, head,
				len - head - s->len);
}

void file_chunk(struct worker *w, struct import_file *f, uint64_t chunk)
{
	struct pipeline *p = w->pipeline;
	struct built leaf;
	size_t len = 0;
	bool last;
	int r = pipeline_error(p);
	int some = 0;

	if (r == 0)
		r = some = read_chunk(w, f, chunk, &len);
	if (some > 0) {
		struct leaf_sink sink = { { put_leaf }, f->stream_out, chunk, w->data, len };

		r = build_leaf(p->profile, f->stream_out ? &sink.base : p->sink, w->data, len,
			       &leaf);
		if (r == 0)
			count_bytes(p, len);
	}
	if (r < 0 || (!some && !f->stream))
		store_stream_break(f->stream_out);

	pthread_mutex_lock(&p->lock);
	if (some > 0 && r == 0) {
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
