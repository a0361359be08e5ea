/*
 * Room on a full disk: a file of the log's directory that holds blocks of the
 * disk and nothing else, and the holes that are made of what is dead.
 */
#include "fs/folder_log_internal.h"

#include "store/error.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#define STEP	  (256u << 10) /* of what is given up at once */
#define STEP_LEAST (64u << 10) /* of what is taken */
#define BLOCK	  4096u
#define GAP_LEAST (64u << 10) /* a smaller hole is not worth its extent */

static uint64_t bytes_on_disk(const struct stat *st)
{
	uint64_t bytes = (uint64_t)st->st_blocks * 512, size = (uint64_t)st->st_size;

	return bytes < size ? bytes : size;
}

uint32_t log_holes(const struct stat *st)
{
	uint64_t holes = (uint64_t)st->st_size - bytes_on_disk(st);

	return holes < UINT32_MAX ? (uint32_t)holes : UINT32_MAX;
}

/* ---- the reserve, under its lock ---- */

static int open_reserve(struct folder_log *log)
{
	struct log_reserve *v = &log->reserve;
	struct stat st;

	if (v->fd >= 0)
		return 0;
	v->fd = openat(log->dir, "reserve", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (v->fd < 0)
		return -errno;
	v->size = fstat(v->fd, &st) < 0 ? 0 : bytes_on_disk(&st);
	return 0;
}

static int set_size(struct log_reserve *v, uint64_t size)
{
	if (folder_log_io.ftruncate(v->fd, (off_t)size) < 0)
		return -errno;
	v->size = size;
	return 0;
}

/* Take so much more: 0; that there is no room; anything else: it cannot be had here. */
static int grow(struct log_reserve *v, uint64_t bytes)
{
	int r = 0;

	while (folder_log_io.allocate(v->fd, (off_t)v->size, (off_t)bytes) < 0)
		if (errno != EINTR) {
			r = -errno;
			break;
		}
	if (!r) {
		v->size += bytes;
		return 0;
	}
	/* Some file systems keep what they found before it was too little. */
	folder_log_io.ftruncate(v->fd, (off_t)v->size);
	return r;
}

static int take(struct folder_log *log, uint64_t want, bool some)
{
	struct log_reserve *v = &log->reserve;
	int r = v->none ? 0 : open_reserve(log);

	for (uint64_t n = want - v->size; !r && !v->none && v->size < want;) {
		if (n > want - v->size)
			n = want - v->size;
		r = grow(v, n);
		if (some && log_no_room(r) && n > STEP_LEAST) {
			n /= 2;
			r = 0;
		}
	}
	if (r < 0 && !log_no_room(r)) {
		v->none = true;
		r = 0;
	}
	return r;
}

int folder_log_reserve(struct folder_log *log, uint64_t want)
{
	struct log_reserve *v = &log->reserve;
	int r = 0;

	pthread_mutex_lock(&v->lock);
	v->want = want;
	if (!v->none && v->size < want)
		r = take(log, want, false);
	pthread_mutex_unlock(&v->lock);
	return r;
}

bool folder_log_refill(struct folder_log *log, uint64_t want)
{
	struct log_reserve *v = &log->reserve;

	pthread_mutex_lock(&v->lock);
	v->want = want;
	if (!v->none && v->size < want)
		take(log, want, true);
	else if (v->size > want)
		set_size(v, want);
	bool whole = v->none || v->size >= want;
	pthread_mutex_unlock(&v->lock);
	return whole;
}

bool folder_log_short(struct folder_log *log)
{
	struct log_reserve *v = &log->reserve;

	pthread_mutex_lock(&v->lock);
	bool is = !v->none && v->size < v->want;
	pthread_mutex_unlock(&v->lock);
	return is;
}

bool folder_log_spend(struct folder_log *log, uint64_t bytes)
{
	struct log_reserve *v = &log->reserve;
	bool given = false;

	bytes = bytes < STEP - BLOCK ? STEP : bytes + BLOCK;
	pthread_mutex_lock(&v->lock);
	if (v->fd >= 0 && v->size)
		given = set_size(v, v->size > bytes ? v->size - bytes : 0) == 0;
	pthread_mutex_unlock(&v->lock);
	return given;
}

/* ---- holes ---- */

static bool punch(int fd, uint64_t from, uint64_t to)
{
	from = (from + BLOCK - 1) & ~(uint64_t)(BLOCK - 1);
	to &= ~(uint64_t)(BLOCK - 1);
	return from >= to || to - from < GAP_LEAST ||
	       folder_log_io.punch(fd, (off_t)from, (off_t)(to - from)) == 0;
}

int folder_log_punch(struct folder_log *log, uint32_t segment, const struct log_span *live,
		     size_t n, uint32_t end)
{
	struct stat st;
	uint64_t from = BLOCK; /* the header stays */
	int fd = -1, r = 0;

	pthread_mutex_lock(&log->lock);
	size_t i = log_find(log, segment);
	if (i < log->n && log->segments[i].number == segment && !log->segments[i].refs) {
		r = log_open_fd(log, &log->segments[i], 0);
		if (!r) {
			fd = log->segments[i].fd;
			log->segments[i].refs++;
		}
	}
	pthread_mutex_unlock(&log->lock);
	if (fd < 0)
		return r;
	for (size_t k = 0; k <= n && !r; k++) {
		uint64_t to = k < n && live[k].at < end ? live[k].at : end;

		if (to > from && !punch(fd, from, to))
			r = -errno;
		if (k < n && live[k].at + (uint64_t)live[k].len > from)
			from = live[k].at + (uint64_t)live[k].len;
	}
	uint32_t holes = fstat(fd, &st) < 0 ? 0 : log_holes(&st);
	pthread_mutex_lock(&log->lock);
	struct segment *s = &log->segments[log_find(log, segment)];
	s->refs--;
	/* Of one that grows meanwhile the end may not be counted yet. */
	if (holes > s->size)
		holes = s->size;
	log->bytes += s->holes;
	log->bytes -= holes;
	s->holes = holes;
	pthread_mutex_unlock(&log->lock);
	return r;
}
