#include "fs/readahead.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define STREAMS 64
#define DIRS    32
#define TRIAL   256 /* fetched before it must show that it helps */
/* The kernel's own read-ahead is several requests at a time, out of order. */
#define SKIPPED (4u << 20)
#define BEHIND  (1u << 20)

struct stream {
	uint64_t file, used;
	uint64_t end;   /* read up to here */
	uint64_t run;   /* bytes read in sequence */
	uint64_t ahead; /* fetched up to here */
};

struct dir {
	uint64_t dir, used;
	uint64_t pos;     /* of the next to fetch */
	unsigned read;    /* entries used */
	unsigned hits;    /* that were local by then */
	unsigned fetched; /* ahead */
	unsigned window;
	bool busy, end;
};

struct readahead {
	pthread_mutex_t lock;
	uint64_t clock;
	struct stream streams[STREAMS];
	struct dir dirs[DIRS];
};

int readahead_new(struct readahead **out)
{
	struct readahead *r = calloc(1, sizeof *r);

	if (!r)
		return -ENOMEM;
	pthread_mutex_init(&r->lock, NULL);
	*out = r;
	return 0;
}

void readahead_free(struct readahead *r)
{
	if (!r)
		return;
	pthread_mutex_destroy(&r->lock);
	free(r);
}

static struct stream *stream_of(struct readahead *r, uint64_t file)
{
	struct stream *oldest = &r->streams[0];

	for (struct stream *s = r->streams; s < r->streams + STREAMS; s++) {
		if (s->file == file)
			return s;
		if (s->used < oldest->used)
			oldest = s;
	}
	*oldest = (struct stream){ .file = file };
	return oldest;
}

bool readahead_read(struct readahead *r, uint64_t file, uint64_t offset, size_t len,
		    uint64_t size, uint64_t *from, uint64_t *n)
{
	struct stream *s;
	uint64_t end, want;
	bool fetch = false;

	if (offset >= size)
		return false;
	end = len < size - offset ? offset + len : size;

	pthread_mutex_lock(&r->lock);
	s = stream_of(r, file);
	s->used = ++r->clock;
	if (s->run == 0 || offset > s->end + SKIPPED || end + BEHIND < s->end) {
		/* Somewhere else: begin anew. */
		s->run = end - offset;
		s->end = s->ahead = end;
		goto out;
	}
	if (end > s->end) { /* going back over something is no progress */
		s->run += end - (offset > s->end ? offset : s->end);
		s->end = end;
	}
	if (s->ahead < s->end)
		s->ahead = s->end;
	if (s->run < READAHEAD_START)
		goto out;
	want = s->run < READAHEAD_MAX ? s->run : READAHEAD_MAX;
	want = want < size - s->end ? s->end + want : size;
	/* In steps, or at the end: not a list of leaves for every read. */
	if (want > s->ahead && (want - s->ahead >= (want - s->end) / 4 || want == size)) {
		*from = s->ahead;
		*n = want - s->ahead;
		s->ahead = want;
		fetch = true;
	}
out:
	pthread_mutex_unlock(&r->lock);
	return fetch;
}

static struct dir *dir_of(struct readahead *r, uint64_t dir, bool make)
{
	struct dir *oldest = &r->dirs[0];

	for (struct dir *d = r->dirs; d < r->dirs + DIRS; d++) {
		if (d->dir == dir)
			return d;
		if (d->used < oldest->used)
			oldest = d;
	}
	if (!make)
		return NULL;
	*oldest = (struct dir){ .dir = dir };
	return oldest;
}

/* Is enough of what was fetched ahead being used? */
static bool worthwhile(const struct dir *d)
{
	return d->fetched < TRIAL || d->hits >= d->fetched / 16;
}

unsigned readahead_sibling(struct readahead *r, const struct sibling *s, uint64_t *from,
			   bool *first)
{
	unsigned n = 0, ahead;
	struct dir *d;

	pthread_mutex_lock(&r->lock);
	d = dir_of(r, s->dir, true);
	d->used = ++r->clock;
	d->read++;
	d->hits += s->local;
	*first = d->read == 1;
	if (d->read < 2 || d->busy || d->end || !worthwhile(d))
		goto out;
	if (d->window == 0) {
		d->window = 4;
		d->pos = s->pos; /* unknown: from the start */
	} else if (d->window < SIBLINGS_MAX) {
		d->window *= 2;
	}
	/* Used ones are counted, not known: those read before it began do not matter. */
	ahead = d->fetched > d->read ? d->fetched - d->read : 0;
	if (ahead <= d->window / 2)
		n = d->window - ahead;
	else if (!s->local && ahead < 2 * d->window)
		n = d->window / 2; /* they are read in another order */
	if (n > 0) {
		*from = d->pos;
		d->busy = true;
	}
out:
	pthread_mutex_unlock(&r->lock);
	return n;
}

void readahead_siblings_done(struct readahead *r, uint64_t dir, uint64_t pos, unsigned n,
			     bool end)
{
	struct dir *d;

	pthread_mutex_lock(&r->lock);
	d = dir_of(r, dir, false);
	if (d) {
		d->pos = pos;
		d->fetched += n;
		d->end = end;
		d->busy = false;
	}
	pthread_mutex_unlock(&r->lock);
}
