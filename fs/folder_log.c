#include "fs/folder_log_internal.h"

#include "store/cursor.h"
#include "store/error.h"
#include "store/log.h"
#include "store/xxh3.h"

#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#define VERSION	     1
#define OPEN_MAX     64		/* descriptors kept */
#define AHEAD_BYTES  (1u << 20) /* of zeros behind the end */
#define SYNC_SMALL   (256u << 10)
#define SYNC_OFTEN   3
#define LONG_DATA      (256u << 10)
#define ALLOCATE_BYTES (16u << 20)

static const char segment_magic[8] = "cairnlog";

struct folder_log_io folder_log_io = { pwritev, fdatasync, ftruncate };

static void name_of(uint32_t number, char out[16])
{
	snprintf(out, 16, "%08u", number);
}

static int64_t number_of(const char *name)
{
	int64_t number = 0;

	if (strlen(name) < 8 || strlen(name) > 10)
		return -1;
	for (; *name; name++) {
		if (*name < '0' || *name > '9')
			return -1;
		number = 10 * number + (*name - '0');
	}
	return number > 0 && number < UINT32_MAX ? number : -1;
}

size_t log_find(const struct folder_log *log, uint32_t number)
{
	size_t low = 0, high = log->n;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (log->segments[mid].number < number)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

static int add(struct folder_log *log, const struct segment *s)
{
	size_t where;

	if (log->n == log->cap) {
		size_t cap = log->cap ? 2 * log->cap : 16;
		struct segment *more = realloc(log->segments, cap * sizeof *more);

		if (!more)
			return -ENOMEM;
		log->segments = more;
		log->cap = cap;
	}
	where = log_find(log, s->number);
	memmove(log->segments + where + 1, log->segments + where,
		(log->n - where) * sizeof *s);
	log->segments[where] = *s;
	log->n++;
	log->bytes += s->size;
	return 0;
}

void log_drop(struct folder_log *log, size_t i)
{
	struct segment *s = &log->segments[i];
	char name[16];

	name_of(s->number, name);
	unlinkat(log->dir, name, 0);
	if (s->fd >= 0) {
		close(s->fd);
		log->n_open--;
	}
	log->bytes -= s->size;
	log->n--;
	memmove(s, s + 1, (log->n - i) * sizeof *s);
	log->dir_changed = true;
}

/* One that nobody reads and nobody writes gives its descriptor up. */
static void close_oldest(struct folder_log *log)
{
	struct segment *oldest = NULL;

	for (size_t i = 0; i + 1 < log->n; i++) {
		struct segment *s = &log->segments[i];

		if (s->fd >= 0 && !s->refs && s->number < log->unsynced &&
		    (!oldest || s->used < oldest->used))
			oldest = s;
	}
	if (!oldest)
		return;
	close(oldest->fd);
	oldest->fd = -1;
	log->n_open--;
}

int log_open_fd(struct folder_log *log, struct segment *s, int flags)
{
	char name[16];

	if (s->fd >= 0)
		return 0;
	if (log->n_open >= OPEN_MAX)
		close_oldest(log);
	name_of(s->number, name);
	s->fd = openat(log->dir, name, O_RDWR | O_CLOEXEC | O_NOFOLLOW | flags, 0600);
	if (s->fd < 0)
		return -errno;
	log->n_open++;
	return 0;
}

static int write_all(int fd, struct iovec *iov, int n, off_t offset)
{
	while (n) {
		ssize_t done = folder_log_io.pwritev(fd, iov, n, offset);

		if (done < 0) {
			if (errno == EINTR)
				continue;
			return -errno;
		}
		if (!done)
			return -EIO;
		offset += done;
		while (n && (size_t)done >= iov->iov_len) {
			done -= (ssize_t)iov->iov_len;
			iov++;
			n--;
		}
		if (n) {
			iov->iov_base = (char *)iov->iov_base + done;
			iov->iov_len -= (size_t)done;
		}
	}
	return 0;
}

static uint8_t *put32(uint8_t *p, uint32_t v)
{
	for (int i = 0; i < 4; i++)
		*p++ = (uint8_t)(v >> (8 * i));
	return p;
}

static uint8_t *put64(uint8_t *p, uint64_t v)
{
	return put32(put32(p, (uint32_t)v), (uint32_t)(v >> 32));
}

static void segment_header(uint8_t out[LOG_SEGMENT_HEADER], uint32_t number)
{
	memcpy(out, segment_magic, 8);
	uint8_t *p = put64(put32(put32(out + 8, VERSION), number), 0);
	put64(p, XXH3_64bits(out, 24));
}

int log_header_check(const uint8_t in[LOG_SEGMENT_HEADER], uint32_t number)
{
	struct cursor c = cursor_over(in, LOG_SEGMENT_HEADER);
	const uint8_t *magic = cursor_take(&c, 8);
	uint32_t version = cursor_u32le(&c), written = cursor_u32le(&c);

	cursor_u64le(&c);
	if (memcmp(magic, segment_magic, 8) || cursor_u64le(&c) != XXH3_64bits(in, 24))
		return ERR_CORRUPT;
	if (version > VERSION)
		return ERR_NEWER;
	return written == number ? 0 : ERR_CORRUPT;
}

/* A failure that is not undone. */
static int fail(struct folder_log *log, int r)
{
	pthread_mutex_lock(&log->lock);
	if (!log->failed) {
		log->failed = r;
		log_line(LOG_ERROR,
			 "the log of a folder failed, it is read-only now: %s", err_text(r));
	}
	pthread_cond_broadcast(&log->synced_one);
	pthread_mutex_unlock(&log->lock);
	return r;
}

/* ---- appending ---- */

static bool no_room(int r)
{
	return r == -ENOSPC || r == -EDQUOT;
}

/* What is behind the end of the last segment goes: or a replay would end there,
 * before the next segment. */
static int cut_ahead(struct folder_log *log)
{
	struct segment *s = log->n ? &log->segments[log->n - 1] : NULL;

	if (s && s->fd >= 0 && (log->ahead > s->size || log->allocated > s->size) &&
	    folder_log_io.ftruncate(s->fd, s->size) < 0)
		return -errno;
	log->ahead = log->allocated = 0;
	return 0;
}

/*
 * Blocks for long data, some megabytes at once: that is a fourth of what a write costs
 * where a file system has to find them one by one.  Only where there is much more room.
 */
static void allocate_ahead(struct folder_log *log, int fd, uint64_t whole, uint32_t len)
{
	struct statvfs room;

	if (len < LONG_DATA || log->end.at + whole <= log->allocated)
		return;
	log->allocated = log->end.at + (uint32_t)whole + ALLOCATE_BYTES;
	if (fstatvfs(fd, &room) == 0 && room.f_bavail / 64 >= ALLOCATE_BYTES / room.f_frsize)
		fallocate(fd, FALLOC_FL_KEEP_SIZE, log->end.at, log->allocated - log->end.at);
}

/*
 * Who syncs often, and little, would wait each time until the file system has
 * noted in its journal that the file grew.  So it is made to grow in steps: zeros
 * are written where the next records will be, and a sync finds all but their bytes on
 * disk.  A replay ends at them as at anything that is no record.  No room for them
 * is no error.
 */
static int write_ahead(struct folder_log *log, int fd, uint64_t whole)
{
	static uint8_t zeros[64 << 10];
	struct iovec iov[AHEAD_BYTES / sizeof zeros];
	int r;

	if (log->end.at + whole <= log->ahead || whole > AHEAD_BYTES)
		return 0;
	pthread_mutex_lock(&log->lock);
	bool often = log->small_syncs >= SYNC_OFTEN;
	pthread_mutex_unlock(&log->lock);
	if (!often)
		return 0;
	for (size_t k = 0; k < sizeof iov / sizeof *iov; k++)
		iov[k] = (struct iovec){ zeros, sizeof zeros };
	log->ahead = log->end.at + AHEAD_BYTES;
	r = write_all(fd, iov, sizeof iov / sizeof *iov, log->end.at);
	if (!no_room(r))
		return r;
	pthread_mutex_lock(&log->lock);
	log->small_syncs = 0;
	pthread_mutex_unlock(&log->lock);
	return cut_ahead(log);
}

/* Begin the next segment. */
static int roll(struct folder_log *log)
{
	struct segment s = { .number = log->end.segment, .fd = -1 };
	uint8_t header[LOG_SEGMENT_HEADER];
	struct iovec iov = { header, sizeof header };
	char name[16];
	int r;

	if (!log->fresh)
		s.number++;
	if (!s.number)
		s.number = 1;
	if (s.number == UINT32_MAX)
		return -ENOSPC;
	r = cut_ahead(log);
	if (r < 0)
		return r;
	segment_header(header, s.number);
	pthread_mutex_lock(&log->lock);
	r = log_open_fd(log, &s, O_CREAT | O_EXCL);
	pthread_mutex_unlock(&log->lock);
	if (r < 0)
		return r;
	r = write_all(s.fd, &iov, 1, 0);
	s.size = LOG_SEGMENT_HEADER;
	pthread_mutex_lock(&log->lock);
	if (!r)
		r = add(log, &s);
	if (!r) {
		log->dir_changed = true;
		log->fresh = false;
		log->end.segment = s.number;
		log->end.at = LOG_SEGMENT_HEADER;
	} else {
		name_of(s.number, name);
		unlinkat(log->dir, name, 0);
		close(s.fd);
		log->n_open--;
	}
	pthread_mutex_unlock(&log->lock);
	return r;
}

int folder_log_append(struct folder_log *log, struct buf *record, const void *data,
		      uint32_t len, struct log_record *out)
{
	static const uint8_t zero[8];
	uint64_t whole = (record->len + (uint64_t)len + 7) & ~7ull;
	struct iovec iov[3] = {
		{ record->data, record->len },
		{ (void *)data, len },
		{ (void *)zero, whole - record->len - len },
	};
	uint32_t meta_len = (uint32_t)(record->len - LOG_RECORD_HEADER);
	struct segment *s;
	int fd, r;

	if (record->failed)
		return -ENOMEM;
	if (record->len - LOG_RECORD_HEADER > LOG_META_MAX || len > LOG_DATA_MAX)
		return -EFBIG;
	pthread_mutex_lock(&log->lock);
	r = log->failed ? -EROFS : 0;
	pthread_mutex_unlock(&log->lock);
	if (r < 0)
		return r;
	if (log->fresh || (log->end.at > LOG_SEGMENT_HEADER &&
			   log->end.at + whole > LOG_SEGMENT_BYTES)) {
		r = roll(log);
		if (r < 0)
			return no_room(r) || r == -ENOMEM || r == -EMFILE || r == -ENFILE
				   ? r
				   : fail(log, r);
	}
	uint8_t *p = put32(record->data, LOG_MAGIC);
	p = put32(put32(put32(p, meta_len), len), 0);
	p = put64(p, log->end.number);
	p = put64(p, len ? XXH3_64bits(data, len) : 0);
	uint64_t seed = (uint64_t)log->end.segment << 32 | log->end.at;
	put64(p, 0);
	put64(p, XXH3_64bits_withSeed(record->data, record->len, seed));

	pthread_mutex_lock(&log->lock);
	s = &log->segments[log->n - 1];
	fd = s->fd;
	pthread_mutex_unlock(&log->lock);
	allocate_ahead(log, fd, whole, len);
	r = write_ahead(log, fd, whole);
	if (r < 0)
		return fail(log, r);
	r = write_all(fd, iov, 3, log->end.at);
	if (r < 0) {
		if (!no_room(r) || folder_log_io.ftruncate(fd, log->end.at) < 0)
			return fail(log, r);
		log->ahead = log->allocated = 0;
		return r;
	}
	*out = (struct log_record){
		.number = log->end.number,
		.meta = record->data + LOG_RECORD_HEADER,
		.meta_len = meta_len,
		.segment = log->end.segment,
		.at = log->end.at + (uint32_t)record->len,
		.data_len = len,
	};
	log->end.at += (uint32_t)whole;
	log->end.number++;
	pthread_mutex_lock(&log->lock);
	log->segments[log->n - 1].size = log->end.at;
	log->bytes += whole;
	log->unsynced_bytes += whole;
	log->appended = log->end.number;
	pthread_mutex_unlock(&log->lock);
	return 0;
}

struct log_mark folder_log_end(const struct folder_log *log)
{
	return log->end;
}

/* ---- syncing ---- */

/* Sync the segments from `first` to `last`, without the lock. */
static int sync_segments(struct folder_log *log, uint32_t first, uint32_t last,
			 bool dir_changed)
{
	int r = 0;

	for (uint32_t number = first; number <= last && !r; number++) {
		int fd = -1;

		pthread_mutex_lock(&log->lock);
		size_t i = log_find(log, number);
		if (i < log->n && log->segments[i].number == number) {
			r = log_open_fd(log, &log->segments[i], 0);
			fd = log->segments[i].fd;
			log->segments[i].refs++;
		}
		pthread_mutex_unlock(&log->lock);
		if (fd < 0)
			continue;
		if (!r && folder_log_io.fdatasync(fd) < 0)
			r = -errno;
		pthread_mutex_lock(&log->lock);
		log->segments[log_find(log, number)].refs--;
		pthread_mutex_unlock(&log->lock);
	}
	if (!r && dir_changed && fsync(log->dir) < 0)
		r = -errno;
	return r;
}

int folder_log_sync(struct folder_log *log)
{
	uint64_t want;
	int r = 0;

	pthread_mutex_lock(&log->lock);
	want = log->appended;
	while (log->synced < want && !log->failed) {
		if (log->syncing) {
			pthread_cond_wait(&log->synced_one, &log->lock);
			continue;
		}
		uint64_t target = log->appended;
		uint32_t first = log->unsynced;
		uint32_t last = log->n ? log->segments[log->n - 1].number : 0;
		bool dir_changed = log->dir_changed;

		if (log->unsynced_bytes > SYNC_SMALL)
			log->small_syncs = 0;
		else if (log->small_syncs < SYNC_OFTEN)
			log->small_syncs++;
		log->unsynced_bytes = 0;
		log->syncing = true;
		log->dir_changed = false;
		pthread_mutex_unlock(&log->lock);
		r = sync_segments(log, first, last, dir_changed);
		if (r < 0)
			fail(log, r);
		pthread_mutex_lock(&log->lock);
		log->syncing = false;
		if (!r) {
			log->synced = target;
			log->unsynced = last;
		}
		pthread_cond_broadcast(&log->synced_one);
	}
	if (log->synced < want)
		r = log->failed;
	pthread_mutex_unlock(&log->lock);
	return r;
}

/* ---- reading ---- */

int folder_log_read(struct folder_log *log, uint32_t segment, uint32_t at, void *buf,
		    size_t len)
{
	int fd = -1, r = -EIO;
	uint8_t *p = buf;
	off_t offset = at;

	pthread_mutex_lock(&log->lock);
	size_t i = log_find(log, segment);
	if (i < log->n && log->segments[i].number == segment) {
		r = log_open_fd(log, &log->segments[i], 0);
		if (!r) {
			fd = log->segments[i].fd;
			log->segments[i].refs++;
			log->segments[i].used = ++log->clock;
		}
	}
	pthread_mutex_unlock(&log->lock);
	if (fd < 0)
		return r;
	while (len) {
		ssize_t got = pread(fd, p, len, offset);

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0) {
			r = got < 0 ? -errno : -EIO;
			break;
		}
		p += got;
		offset += got;
		len -= (size_t)got;
	}
	pthread_mutex_lock(&log->lock);
	log->segments[log_find(log, segment)].refs--;
	pthread_mutex_unlock(&log->lock);
	return r;
}

/* ---- what is in use ---- */

void folder_log_use(struct folder_log *log, uint32_t segment, int64_t bytes)
{
	pthread_mutex_lock(&log->lock);
	size_t i = log_find(log, segment);
	if (i < log->n && log->segments[i].number == segment)
		log->segments[i].in_use += bytes;
	pthread_mutex_unlock(&log->lock);
}

bool folder_log_segment(struct folder_log *log, uint32_t from,
			struct log_segment_state *out)
{
	bool found;

	pthread_mutex_lock(&log->lock);
	size_t i = log_find(log, from);
	found = i < log->n;
	if (found)
		*out = (struct log_segment_state){ log->segments[i].number,
						   log->segments[i].size,
						   log->segments[i].in_use };
	pthread_mutex_unlock(&log->lock);
	return found;
}

void folder_log_hold(struct folder_log *log, uint32_t segment)
{
	pthread_mutex_lock(&log->lock);
	size_t i = log_find(log, segment);
	if (i < log->n && log->segments[i].number == segment)
		log->segments[i].refs++;
	pthread_mutex_unlock(&log->lock);
}

void folder_log_unhold(struct folder_log *log, uint32_t segment)
{
	pthread_mutex_lock(&log->lock);
	size_t i = log_find(log, segment);
	if (i < log->n && log->segments[i].number == segment)
		log->segments[i].refs--;
	pthread_mutex_unlock(&log->lock);
}

void folder_log_retire(struct folder_log *log, const struct log_mark *covered)
{
	pthread_mutex_lock(&log->lock);
	for (size_t i = 0; i < log->n; i++)
		if (log->segments[i].number < covered->segment &&
		    log->segments[i].in_use <= 0)
			log->segments[i].retired = true;
	pthread_mutex_unlock(&log->lock);
}

void folder_log_trim(struct folder_log *log)
{
	pthread_mutex_lock(&log->lock);
	for (size_t i = 0; i < log->n;) {
		if (log->segments[i].retired && !log->segments[i].refs)
			log_drop(log, i);
		else
			i++;
	}
	pthread_mutex_unlock(&log->lock);
}

uint64_t folder_log_bytes(struct folder_log *log)
{
	pthread_mutex_lock(&log->lock);
	uint64_t bytes = log->bytes;
	pthread_mutex_unlock(&log->lock);
	return bytes;
}

int folder_log_failed(struct folder_log *log)
{
	pthread_mutex_lock(&log->lock);
	int failed = log->failed;
	pthread_mutex_unlock(&log->lock);
	return failed;
}

/* ---- opening ---- */

static int list_segments(struct folder_log *log)
{
	struct dirent *e;
	int r = 0, fd = openat(log->dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);

	if (!d) {
		r = -errno;
		if (fd >= 0)
			close(fd);
		return r;
	}
	while (!r && (errno = 0, e = readdir(d))) {
		struct segment s = { .fd = -1 };
		int64_t number = number_of(e->d_name);
		struct stat st;

		if (number < 0 || fstatat(log->dir, e->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0)
			continue;
		s.number = (uint32_t)number;
		/* None of ours is longer; what is behind is not looked at. */
		s.size = st.st_size < UINT32_MAX ? (uint32_t)st.st_size : UINT32_MAX;
		r = add(log, &s);
	}
	if (!r && errno)
		r = -errno;
	closedir(d);
	return r;
}

int folder_log_open(struct folder_log **out, const char *dir)
{
	struct folder_log *log = calloc(1, sizeof *log);
	int r;

	if (!log)
		return -ENOMEM;
	pthread_mutex_init(&log->lock, NULL);
	pthread_cond_init(&log->synced_one, NULL);
	log->fresh = true;
	log->dir_changed = true;
	log->dir = -1;
	if (mkdir(dir, 0700) < 0 && errno != EEXIST) {
		r = -errno;
		goto out;
	}
	log->dir = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	r = log->dir < 0 ? -errno : list_segments(log);
	if (r < 0)
		goto out;
	*out = log;
	log = NULL;
out:
	folder_log_close(log);
	return r;
}

void folder_log_close(struct folder_log *log)
{
	if (!log)
		return;
	if (!log->failed)
		cut_ahead(log);
	for (size_t i = 0; i < log->n; i++)
		if (log->segments[i].fd >= 0)
			close(log->segments[i].fd);
	free(log->segments);
	if (log->dir >= 0)
		close(log->dir);
	pthread_cond_destroy(&log->synced_one);
	pthread_mutex_destroy(&log->lock);
	free(log);
}
