#include "fs/folder_log_internal.h"

#include "store/cursor.h"
#include "store/error.h"
#include "store/xxh3.h"

#include <string.h>
#include <unistd.h>

#define WINDOW_BYTES (4u << 20) /* of a segment that is replayed, at a time */

/* Bytes of a segment, some at a time. */
struct window {
	int fd;
	uint32_t size; /* of the file */
	uint64_t from; /* of the file, where buf begins */
	struct buf buf;
};

/* [at, at + len) of the file in memory; NULL if it has not as much (*r is 0) or
 * cannot be read (*r is an error). */
static const uint8_t *window_get(struct window *w, uint64_t at, uint64_t len, int *r)
{
	*r = 0;
	if (at + len > w->size)
		return NULL;
	if (at < w->from || at + len > w->from + w->buf.len) {
		uint64_t want = len > WINDOW_BYTES ? len : WINDOW_BYTES;

		if (want > w->size - at)
			want = w->size - at;
		buf_clear(&w->buf);
		w->from = at;
		if (!buf_room(&w->buf, want)) {
			*r = -ENOMEM;
			return NULL;
		}
		while (w->buf.len < want) {
			ssize_t got = pread(w->fd, w->buf.data + w->buf.len,
					    want - w->buf.len, (off_t)(at + w->buf.len));
			if (got < 0 && errno == EINTR)
				continue;
			if (got < 0) {
				*r = -errno;
				return NULL;
			}
			if (!got)
				break;
			w->buf.len += (size_t)got;
		}
		if (w->buf.len < len)
			return NULL;
	}
	return w->buf.data + (at - w->from);
}

/* The record at `at`: 1 and its whole length, 0 if none is whole there. */
static int record_at(struct window *w, uint32_t segment, uint32_t at, uint64_t number,
		     struct log_record *out, uint32_t *whole)
{
	uint8_t header[LOG_RECORD_HEADER];
	int r;
	const uint8_t *p = window_get(w, at, LOG_RECORD_HEADER, &r);

	if (!p)
		return r;
	memcpy(header, p, sizeof header);
	struct cursor in = cursor_over(header, sizeof header);
	uint32_t magic = cursor_u32le(&in), meta_len = cursor_u32le(&in);
	uint32_t data_len = cursor_u32le(&in), zero = cursor_u32le(&in);
	uint64_t written = cursor_u64le(&in), data_check = cursor_u64le(&in);
	uint64_t check = cursor_u64le(&in);

	if (magic != LOG_MAGIC || zero || written != number || meta_len > LOG_META_MAX ||
	    data_len > LOG_DATA_MAX)
		return 0;
	uint64_t len = (uint64_t)LOG_RECORD_HEADER + meta_len + data_len;
	p = window_get(w, at, (len + 7) & ~7ull, &r);
	if (!p)
		return r;
	/* The bytes are ours to change. */
	uint8_t *record = (uint8_t *)p;
	memset(record + 32, 0, 8);
	if (XXH3_64bits_withSeed(record, LOG_RECORD_HEADER + meta_len,
				 (uint64_t)segment << 32 | at) != check)
		return 0;
	if ((data_len ? XXH3_64bits(record + LOG_RECORD_HEADER + meta_len, data_len) : 0) !=
	    data_check)
		return 0;
	*out = (struct log_record){
		.number = number,
		.meta = record + LOG_RECORD_HEADER,
		.meta_len = meta_len,
		.segment = segment,
		.at = at + LOG_RECORD_HEADER + meta_len,
		.data_len = data_len,
	};
	*whole = (uint32_t)((len + 7) & ~7ull);
	return 1;
}

/* Give the records of segment `i` from log->end on: 1 if it ends cleanly; 2 if it is
 * no segment at all. */
static int replay_segment(struct folder_log *log, size_t i, log_each_fn each, void *arg)
{
	struct segment *s = &log->segments[i];
	struct window w = { .size = s->size };
	uint32_t whole = 0;
	struct log_record rec;
	const uint8_t *p;
	int r = log_open_fd(log, s, 0);

	if (r < 0)
		return r;
	w.fd = s->fd;
	p = window_get(&w, 0, LOG_SEGMENT_HEADER, &r);
	if (r < 0)
		goto out;
	r = p ? log_header_check(p, s->number) : ERR_CORRUPT;
	if (r == ERR_CORRUPT) {
		r = 2;
		goto out;
	}
	if (r < 0)
		goto out;
	while ((r = record_at(&w, s->number, log->end.at, log->end.number, &rec, &whole)) > 0) {
		r = each(arg, &rec);
		if (r < 0)
			goto out;
		log->end.at += whole;
		log->end.number++;
	}
	if (!r && log->end.at == s->size)
		r = 1;
out:
	buf_release(&w.buf);
	return r;
}

int folder_log_replay(struct folder_log *log, const struct log_mark *from, log_each_fn each,
		      void *arg)
{
	size_t i;
	int r = 1;

	log->end = *from;
	if (!log->end.segment)
		log->end.segment = 1;
	if (!log->end.at)
		log->end.at = LOG_SEGMENT_HEADER;
	log->unsynced = log->end.segment;
	for (i = log_find(log, log->end.segment); i < log->n && r == 1; i++) {
		struct segment *s = &log->segments[i];

		if (s->number != log->end.segment) {
			/* A gap cannot be what we wrote. */
			if (s->number != log->end.segment + 1 || i == 0 ||
			    log->segments[i - 1].number != log->end.segment)
				break;
			log->end.segment = s->number;
			log->end.at = LOG_SEGMENT_HEADER;
		}
		r = replay_segment(log, i, each, arg);
		if (r < 0)
			return r;
		if (r == 2)
			break;
		if (r == 1)
			continue;
		/* Not whole to its end: the rest never happened.  Durably so, since
		 * it would hide what comes after it from the next replay. */
		uint32_t keep = log->end.at;
		if (s->size > keep) {
			if (ftruncate(s->fd, keep) < 0 || fsync(s->fd) < 0)
				return -errno;
			log->bytes -= s->size - keep;
			s->size = keep;
		}
	}
	/* Blocks that were allocated for what did not come any more. */
	if (r == 1 && i == log->n && i && log->segments[i - 1].fd >= 0 &&
	    ftruncate(log->segments[i - 1].fd, log->segments[i - 1].size) < 0)
		return -errno;
	/* Nor did what follows. */
	if (log->n > i) {
		while (log->n > i)
			log_drop(log, log->n - 1);
		if (fsync(log->dir) < 0)
			return -errno;
	}
	if (log->n && log->segments[log->n - 1].number == log->end.segment)
		log->end.segment++;
	log->end.at = LOG_SEGMENT_HEADER;
	log->synced = from->number;
	log->appended = log->end.number;
	return 0;
}
