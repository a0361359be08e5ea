/*
 * Making durable: one thread commits for all.  A round takes what is pending,
 * syncs the segments it lies in, then names it in the index.
 *
 *	put ----> filling ----> flushing ----> index
 *	               round begins    round ends
 *
 * An error that space would cure leaves the round to be tried again; any
 * other one is final, since after a failed fsync nobody knows what the disk
 * has, and trying again would only seem to succeed.
 */
#include "store/error.h"
#include "store/log.h"
#include "store/signals.h"
#include "store/store_internal.h"

#include <fcntl.h>
#include <time.h>
#include <unistd.h>

int64_t store_now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

bool store_no_space(int r)
{
	return r == -ENOSPC || r == -EDQUOT || r == -EFBIG;
}

/* Give all of a list up; sync them before, unless that has failed already. */
static int sync_files(struct segment *list)
{
	int r = 0;

	while (list) {
		struct segment *next = list->next;
		if (!r && fdatasync(list->fd) < 0)
			r = -errno;
		segment_unref(list);
		list = next;
	}
	return r;
}

int store_flush(struct store *s)
{
	struct segment *sealed, *active[LOGS];
	bool dir_dirty;
	int r;

	/* Those who wait for a sync have closed theirs; what cannot be written stays. */
	(void)store_close_bundles(s, false);
	pthread_mutex_lock(&s->lock);
	s->rounds++;
	if (s->open_blocks)
		s->first_put = store_now_ms();
	if (!s->flushing->n) {
		struct pending *t = s->filling;
		s->filling = s->flushing;
		s->flushing = t;
		s->flush_puts = s->puts;
		for (int i = 0; i < LOGS; i++)
			s->flush_tail[i] = s->logs[i].tail;
	}
	sealed = s->sealed;
	s->sealed = NULL;
	for (int i = 0; i < LOGS; i++)
		active[i] = s->logs[i].active ? segment_ref(s->logs[i].active) : NULL;
	dir_dirty = s->dir_dirty;
	s->dir_dirty = false;
	pthread_mutex_unlock(&s->lock);

	r = sync_files(sealed);
	for (int i = 0; i < LOGS; i++) {
		if (!r && active[i] && fdatasync(active[i]->fd) < 0)
			r = -errno;
		segment_unref(active[i]);
	}
	if (!r && dir_dirty && fsync(s->segments.dir) < 0)
		r = -errno;
	bool synced = !r;
	if (!r) {
		pending_sort(s->flushing);
		r = index_commit(s->index, s->flushing, s->flush_tail);
	}

	pthread_mutex_lock(&s->lock);
	if (!r) {
		pending_clear(s->flushing);
		s->durable = s->flush_puts;
		s->full = 0;
		s->retry_at = 0;
	} else {
		s->failed_round = s->rounds;
		s->round_error = r;
		s->wanted = s->durable;
		if (synced && store_no_space(r)) {
			if (!s->full)
				log_line(LOG_ERROR, "store %s: index: %s", s->path,
					 err_text(r));
			s->full = r;
			s->retry_at = store_now_ms() + FLUSH_AFTER_MS;
		} else {
			s->failed = r;
			log_line(LOG_ERROR,
				 "store %s: cannot make blocks durable: %s; "
				 "nothing more is written until it is opened anew",
				 s->path, err_text(r));
		}
	}
	pthread_cond_broadcast(&s->done);
	pthread_mutex_unlock(&s->lock);
	return r;
}

/* Let the disk begin with what was appended, so that a sync has less to do. */
static void write_back(struct store *s, struct log *l)
{
	struct segment *g = segment_ref(l->active);
	uint32_t from = l->kicked, to = l->tail.offset;

	l->kicked = to;
	pthread_mutex_unlock(&s->lock);
	/* Only a hint: an error shows in the sync. */
	(void)!sync_file_range(g->fd, from, to - from, SYNC_FILE_RANGE_WRITE);
	segment_unref(g);
	pthread_mutex_lock(&s->lock);
}

/* A log of which the disk has not been told in a while. */
static struct log *to_write_back(struct store *s)
{
	for (int i = 0; i < LOGS; i++) {
		struct log *l = &s->logs[i];

		if (l->active && l->tail.offset - l->kicked >= WRITEBACK_BYTES)
			return l;
	}
	return NULL;
}

static void wait_until(struct store *s, int64_t ms)
{
	struct timespec t = { ms / 1000, ms % 1000 * 1000000 };

	pthread_cond_timedwait(&s->work, &s->lock, &t);
}

static void *flusher(void *arg)
{
	struct store *s = arg;

	pthread_mutex_lock(&s->lock);
	s->flusher_self = pthread_self();
	s->flushes = true;
	for (;;) {
		size_t n = s->filling->n + s->flushing->n + (s->stop ? 0 : s->open_blocks);
		int64_t now = store_now_ms();
		int64_t due = s->first_put + FLUSH_AFTER_MS;
		bool much =
		    s->filling->n >= FLUSH_NAMES || s->filling->stored >= FLUSH_BYTES;

		if (s->retry_at > due)
			due = s->retry_at;
		if (s->stop && (!n || s->failed || s->full))
			break;
		if (s->failed || !n) {
			pthread_cond_wait(&s->work, &s->lock);
		} else if (s->stop || s->wanted > s->durable || now >= due ||
			   (much && now >= s->retry_at)) {
			pthread_mutex_unlock(&s->lock);
			store_flush(s);
			pthread_mutex_lock(&s->lock);
		} else if (to_write_back(s)) {
			write_back(s, to_write_back(s));
		} else {
			wait_until(s, due);
		}
	}
	pthread_mutex_unlock(&s->lock);
	return NULL;
}

int store_flusher_start(struct store *s)
{
	sigset_t before;
	int rc;

	signals_block(&before);
	rc = pthread_create(&s->flusher, NULL, flusher, s);
	signals_restore(&before);
	if (rc)
		return -rc;
	s->running = true;
	pthread_setname_np(s->flusher, "store-flush");
	return 0;
}

void store_flusher_stop(struct store *s)
{
	if (!s->running)
		return;
	pthread_mutex_lock(&s->lock);
	s->stop = true;
	pthread_cond_signal(&s->work);
	pthread_mutex_unlock(&s->lock);
	pthread_join(s->flusher, NULL);
	s->running = false;
}

int store_sync(struct store *s)
{
	int r = store_close_bundles(s, true);

	if (r < 0)
		return r;
	pthread_mutex_lock(&s->lock);
	uint64_t mine = s->puts, asked_in = s->rounds;
	while (s->durable < mine) {
		if (s->failed) {
			r = s->failed;
			break;
		}
		/* A round that began after the call speaks for it. */
		if (s->failed_round > asked_in) {
			r = s->round_error;
			break;
		}
		if (s->wanted < mine) {
			s->wanted = mine;
			pthread_cond_signal(&s->work);
		}
		pthread_cond_wait(&s->done, &s->lock);
	}
	if (!r)
		r = s->failed;
	pthread_mutex_unlock(&s->lock);
	return r;
}
