/*
 * Space in the log: when much of it is dead, what is alive in the segments that
 * have the least of it is written again at the end, so that they can go.
 */
#include "fs/folder_internal.h"

#include "store/error.h"

#include <stdlib.h>

#define CHUNK (1u << 20) /* of bytes moved in a record */

uint64_t folder_clean_min = 256u << 20;

/* Not more than half alive, and closed. */
static bool worth_cleaning(const struct log_segment_state *s, uint32_t last)
{
	return s->number < last && s->in_use > 0 && s->in_use < s->size / 2;
}

int segment_set_add(struct segment_set *s, uint32_t number)
{
	if (s->n == s->cap) {
		size_t cap = s->cap ? 2 * s->cap : 16;
		uint32_t *more = reallocarray(s->numbers, cap, sizeof *more);

		if (!more)
			return -ENOMEM;
		s->numbers = more;
		s->cap = cap;
	}
	s->numbers[s->n++] = number;
	return 0;
}

static int by_number(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return x < y ? -1 : x > y;
}

bool segment_set_has(const void *arg, uint32_t number)
{
	const struct segment_set *s = arg;

	return number && s->n &&
	       bsearch(&number, s->numbers, s->n, sizeof number, by_number);
}

/* The segments that are to be emptied. */
static int find_victims(struct folder *f, struct segment_set *v)
{
	struct log_segment_state s = { 0 };
	uint64_t dead = 0, alive = 0;
	uint32_t last = folder_log_end(f->log).segment;

	while (folder_log_segment(f->log, s.number + 1, &s)) {
		uint64_t used = s.in_use > 0 ? (uint64_t)s.in_use : 0;

		alive += used;
		dead += s.size - s.holes > used ? s.size - s.holes - used : 0;
		if (!worth_cleaning(&s, last))
			continue;
		if (segment_set_add(v, s.number) < 0)
			return -ENOMEM;
	}
	if (dead <= (alive > folder_clean_min ? alive : folder_clean_min))
		v->n = 0;
	return 0;
}

/* Move what is next to move of one file: 1 if there was something, 0, an error. */
static int move_some(struct folder *f, struct inode *i, const struct segment_set *v, uint8_t *buf)
{
	struct extents_at at;
	uint64_t from = 0, to = 0;
	uint32_t n = 0;
	int r = 0;

	/* A run of extents that follow each other becomes one. */
	for (const struct extent *e = extents_seek(&i->map, 0, &at); e;
	     e = extents_next(&i->map, &at)) {
		uint64_t len = e->len;

		if (n && (e->offset != to || !segment_set_has(v, e->segment)))
			break;
		if (!segment_set_has(v, e->segment))
			continue;
		if (!n)
			from = to = e->offset;
		if (len > CHUNK - n)
			len = CHUNK - n;
		r = folder_log_read(f->log, e->segment, e->at, buf + n, len);
		if (r < 0)
			return r;
		n += (uint32_t)len;
		to += len;
		if (n == CHUNK || len < e->len)
			break;
	}
	if (!n)
		return 0;
	record_extent(f, i->ino, EXTENT_DATA, from, n, 0);
	r = change_commit(f, buf, n);
	return r < 0 ? r : 1;
}

static int move_all(struct folder *f, uint64_t ino, const struct segment_set *v, uint8_t *buf)
{
	struct lack none = { .blocks.max = 0 };
	struct inode *i;
	int r;

	do {
		r = change_begin(f);
		if (r < 0)
			return r;
		/* A frozen view reads where it was, and knows what is newer by its record. */
		if (!f->frozen && inode_get(f, ino, &i, &none) == 0)
			r = move_some(f, i, v, buf);
		change_end(f);
	} while (r > 0);
	return r;
}

int folder_clean(struct folder *f)
{
	struct segment_set v = { 0 };
	struct buf inos = { 0 };
	uint8_t *buf = malloc(CHUNK);
	int r = buf ? 0 : -ENOMEM;

	look_begin(f);
	bool frozen = f->frozen;
	look_end(f);
	if (!r && !frozen) {
		/* The last segment goes on growing under the lock only. */
		pthread_mutex_lock(&f->change);
		r = find_victims(f, &v);
		pthread_mutex_unlock(&f->change);
	}
	/* The table is as of a moment ago: who came to them since is met the next time. */
	if (!r && v.n)
		r = table_users(f->table, segment_set_has, &v, &inos);
	struct cursor in = cursor_over(inos.data, inos.len);
	while (!r && cursor_left(&in))
		r = move_all(f, cursor_u64le(&in), &v, buf);
	r = r < 0 ? r : v.n > 0;
	free(v.numbers);
	free(buf);
	buf_release(&inos);
	return r;
}
