#include "store/import_read.h"

#include "store/error.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PATIENCE_MS 100 /* between looks at the wish to cancel, while a pipe is silent */

int file_reader_begin(struct pipeline *p, struct file_reader *r, const struct stat *st)
{
	r->size = st ? (uint64_t)st->st_size : 0;
	r->sparse = st && (uint64_t)st->st_blocks * 512 < r->size;
	r->at = 0;
	r->have = 0;
	r->ended = false;
	if (!r->in_order || r->ahead)
		return 0;
	/* One byte more shows whether a chunk is the last. */
	r->ahead = malloc((size_t)p->profile->chunker.max + 1);
	return r->ahead ? 0 : -ENOMEM;
}

void file_reader_release(struct file_reader *r)
{
	free(r->ahead);
	r->ahead = NULL;
}

ssize_t read_at(int fd, uint8_t *buf, size_t len, uint64_t offset)
{
	size_t done = 0;

	while (done < len) {
		ssize_t n = pread(fd, buf + done, len - done, (off_t)(offset + done));

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			break;
		done += (size_t)n;
	}
	return (ssize_t)done;
}

/* The same of a pipe, which may keep us waiting. */
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
		done += (size_t)n;
	}
	return (ssize_t)done;
}

/*
 * Whether all of [offset, offset + len) is a hole.  Moving the descriptor's
 * position harms nobody: files are read at offsets.
 */
static bool is_hole(const struct file_reader *r, uint64_t offset, size_t len)
{
	if (!r->sparse || offset + len > r->size)
		return false;
	off_t data = lseek(r->fd, (off_t)offset, SEEK_DATA);

	return data < 0 ? errno == ENXIO : (uint64_t)data >= offset + len;
}

int file_reader_chunk(struct worker *w, const struct file_reader *r, uint64_t i, size_t *len)
{
	const uint32_t chunk = w->pipeline->profile->chunker.max;
	uint64_t left = r->size - i * chunk;
	size_t want = left < chunk ? (size_t)left : chunk;

	*len = want;
	if (want && is_hole(r, i * chunk, want))
		return CHUNK_HOLE;
	ssize_t n = read_at(r->fd, w->data, want, i * chunk);
	if (n < 0)
		return (int)n;
	*len = (size_t)n;
	return CHUNK_DATA;
}

/* How long a chunk is that has only zeros before it. */
static size_t hole_cut(struct worker *w)
{
	struct pipeline *p = w->pipeline;
	const struct chunker *c = &p->profile->chunker;
	size_t cut;

	pthread_mutex_lock(&p->lock);
	cut = p->hole_cut;
	pthread_mutex_unlock(&p->lock);
	if (cut)
		return cut;
	memset(w->data, 0, c->max);
	cut = chunker_cut(c, w->data, c->max);
	pthread_mutex_lock(&p->lock);
	p->hole_cut = cut;
	pthread_mutex_unlock(&p->lock);
	return cut;
}

static void forward(struct file_reader *r, size_t cut)
{
	r->have -= cut;
	memmove(r->ahead, r->ahead + cut, r->have);
}

int file_reader_next(struct worker *w, struct file_reader *r, size_t *len, bool *last)
{
	struct pipeline *p = w->pipeline;
	const struct chunker *c = &p->profile->chunker;
	const size_t want = (size_t)c->max + 1;

	*last = false;
	/* One byte more, so that there is a chunk behind it. */
	if (is_hole(r, r->at, want)) {
		*len = hole_cut(w);
		r->at += *len;
		if (r->have > *len)
			forward(r, *len);
		else
			r->have = 0;
		return CHUNK_HOLE;
	}
	if (!r->ended && r->have < want) {
		ssize_t n = r->pipe ? read_on(p, r->fd, r->ahead + r->have, want - r->have)
				    : read_at(r->fd, r->ahead + r->have, want - r->have,
					      r->at + r->have);

		if (n < 0)
			return (int)n;
		r->have += (size_t)n;
		r->ended = r->have < want;
	}
	/* An empty file has one leaf, the others have none that is empty. */
	if (!r->have && r->at)
		return CHUNK_NONE;
	*len = chunker_cut(c, r->ahead, r->have);
	memcpy(w->data, r->ahead, *len);
	forward(r, *len);
	r->at += *len;
	*last = r->ended && !r->have;
	return CHUNK_DATA;
}
