/*
 * A full disk.  What frees room needs some first: a record in the log, and pages
 * of the table.  A reserve is kept for it (folder_log.h), which grows with what the
 * next checkpoint has to write; while it is not whole, nothing else is taken.
 *
 * And what was freed comes back: after a checkpoint segments go that nothing is in,
 * and where room is short, holes are made of what is dead in the others.
 */
#include "fs/folder_internal.h"

#include "store/error.h"

#include <stdlib.h>

#define RESERVE	     (4u << 20)
#define RESERVE_STEP (1u << 20)
#define ROW_BYTES    512 /* of the table for an object, with all indexes */
#define SPENT	     (1u << 20) /* for a checkpoint, at once */
#define WORTH	     (64u << 10)

uint64_t room_wanted(const struct folder *f)
{
	uint64_t rows = (uint64_t)(f->save_inodes.n + f->save_entries.n) * ROW_BYTES +
			2 * f->unsaved.len;

	return RESERVE + rows / RESERVE_STEP * RESERVE_STEP;
}

bool room_refill(struct folder *f)
{
	look_begin(f);
	uint64_t want = room_wanted(f);
	look_end(f);
	return folder_log_refill(f->log, want);
}

int room_commit(struct folder *f)
{
	int r;

	do
		r = table_commit(f->table, &f->unsaved);
	while ((r == -ENOSPC || r == -EDQUOT) && folder_log_spend(f->log, SPENT));
	return r;
}

/* ---- holes ---- */

/* The segments with dead bytes; *dead is how many those are. */
static int find_segments(struct folder *f, struct segment_set *out, uint64_t *dead)
{
	struct log_segment_state s = { 0 };

	*dead = 0;
	while (folder_log_segment(f->log, s.number + 1, &s)) {
		uint64_t used = s.holes + (s.in_use > 0 ? (uint64_t)s.in_use : 0);

		if (s.size < used + WORTH)
			continue;
		*dead += s.size - used;
		if (segment_set_add(out, s.number) < 0)
			return -ENOMEM;
	}
	return 0;
}

static int by_place(const void *a, const void *b)
{
	const struct table_place *x = a, *y = b;

	if (x->segment != y->segment)
		return x->segment < y->segment ? -1 : 1;
	return x->at < y->at ? -1 : x->at > y->at;
}

static int punch(struct folder *f, const struct log_mark *saved, const struct segment_set *worth,
		 const struct table_place *live, size_t n)
{
	struct log_span *spans = malloc((n + 1) * sizeof *spans);
	int r = spans ? 0 : -ENOMEM;

	for (size_t k = 0, i = 0; k < worth->n && !r; k++) {
		uint32_t segment = worth->numbers[k];
		size_t count = 0;

		for (; i < n && live[i].segment <= segment; i++)
			if (live[i].segment == segment)
				spans[count++] = (struct log_span){ live[i].at, live[i].len };
		if (segment > saved->segment)
			break;
		r = folder_log_punch(f->log, segment, spans, count,
				     segment < saved->segment ? UINT32_MAX : saved->at);
	}
	free(spans);
	return r;
}

/*
 * What the table, as it is on the disk, says is in use before its mark is all that
 * can be: whatever comes to use such bytes later has them from somebody who does.
 * Besides, a frozen view may hold on to what was in use before.
 */
static int make_holes(struct folder *f, const struct segment_set *worth)
{
	struct log_mark saved;
	struct buf live = { 0 };
	int r;

	pthread_mutex_lock(&f->change);
	saved = f->saved;
	pthread_mutex_unlock(&f->change);
	r = table_places(f->table, segment_set_has, worth, &live);
	look_begin(f);
	bool frozen = f->frozen;
	look_end(f);
	size_t n = live.len / sizeof(struct table_place);
	if (!r && n)
		qsort(live.data, n, sizeof(struct table_place), by_place);
	if (!r && !frozen)
		r = punch(f, &saved, worth, (const struct table_place *)live.data, n);
	buf_release(&live);
	return r;
}

static uint64_t room_on_disk(struct folder *f)
{
	struct statvfs st;

	return folder_statfs(f, &st) < 0 ? UINT64_MAX : (uint64_t)st.f_bavail * st.f_frsize;
}

int room_give_back(struct folder *f)
{
	struct segment_set worth = { 0 };
	uint64_t dead = 0;
	int r = 0;

	/* The last segment goes on growing under the lock only. */
	pthread_mutex_lock(&f->change);
	bool some = f->died >= WORTH && !f->frozen;
	if (some)
		r = find_segments(f, &worth, &dead);
	pthread_mutex_unlock(&f->change);
	if (!r && worth.n && (!room_refill(f) || dead > room_on_disk(f))) {
		pthread_mutex_lock(&f->change);
		f->died = 0;
		pthread_mutex_unlock(&f->change);
		r = make_holes(f, &worth);
	}
	free(worth.numbers);
	room_refill(f);
	return r == -EOPNOTSUPP ? 0 : r;
}

bool folder_relieve(struct folder *f)
{
	uint64_t turn = atomic_load(&f->relieved);
	bool again;

	pthread_mutex_lock(&f->relief);
	again = atomic_load(&f->relieved) != turn; /* somebody just did it */
	if (!again) {
		pthread_mutex_lock(&f->change);
		bool some = f->died >= WORTH;
		pthread_mutex_unlock(&f->change);
		uint64_t before = folder_log_bytes(f->log);

		again = some && !folder_checkpoint(f) && !room_give_back(f) &&
			folder_log_bytes(f->log) < before;
		atomic_fetch_add(&f->relieved, again);
	}
	pthread_mutex_unlock(&f->relief);
	return again;
}
