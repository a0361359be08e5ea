#include "fs/folder_internal.h"

#include "store/error.h"

#include <linux/falloc.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- reading ---- */

/* Where a range of a file lies. */
struct range {
	uint64_t offset, len;
	enum { RANGE_ZEROS, RANGE_LOG, RANGE_BASE } kind;
	uint32_t segment, at;
};

struct ranges {
	struct range few[16], *v;
	size_t n, cap;
};

static int ranges_add(struct ranges *r, const struct range *x)
{
	struct range *last = r->n ? &r->v[r->n - 1] : NULL;

	/* What goes on where the last one ended is one. */
	if (last && last->kind == x->kind &&
	    (x->kind != RANGE_LOG ||
	     (last->segment == x->segment && last->at + last->len == x->at))) {
		last->len += x->len;
		return 0;
	}
	if (r->n == r->cap) {
		size_t cap = r->cap ? 4 * r->cap : 16;
		struct range *more;

		if (!r->cap) {
			r->v = r->few;
			r->cap = cap;
		} else {
			more = malloc(cap * sizeof *more);
			if (!more)
				return -ENOMEM;
			memcpy(more, r->v, r->n * sizeof *more);
			if (r->v != r->few)
				free(r->v);
			r->v = more;
			r->cap = cap;
		}
	}
	r->v[r->n++] = *x;
	return 0;
}

/* What no extent covers. */
static int add_uncovered(struct ranges *out, const struct inode *i, uint64_t from, uint64_t to)
{
	uint64_t base = i->base_size < to ? i->base_size : to;
	int r = 0;

	if (from < base)
		r = ranges_add(out, &(struct range){ from, base - from, RANGE_BASE, 0, 0 });
	if (base < from)
		base = from;
	if (!r && base < to)
		r = ranges_add(out, &(struct range){ base, to - base, RANGE_ZEROS, 0, 0 });
	return r;
}

static int ranges_of(struct ranges *out, const struct inode *i, uint64_t from, uint64_t to)
{
	struct extents_at at;
	int r = 0;

	for (const struct extent *e = extents_seek(&i->map, from, &at);
	     e && e->offset < to && !r; e = extents_next(&i->map, &at)) {
		uint64_t end = e->offset + e->len < to ? e->offset + e->len : to;
		struct range x = { .kind = e->segment ? RANGE_LOG : RANGE_ZEROS };

		if (from < e->offset)
			r = add_uncovered(out, i, from, e->offset);
		x.offset = from > e->offset ? from : e->offset;
		x.len = end - x.offset;
		x.segment = e->segment;
		x.at = e->segment ? e->at + (uint32_t)(x.offset - e->offset) : 0;
		if (!r)
			r = ranges_add(out, &x);
		from = end;
	}
	return r || from >= to ? r : add_uncovered(out, i, from, to);
}

static void ranges_hold(struct folder *f, const struct ranges *r, bool hold)
{
	for (size_t k = 0; k < r->n; k++)
		if (r->v[k].kind == RANGE_LOG) {
			if (hold)
				folder_log_hold(f->log, r->v[k].segment);
			else
				folder_log_unhold(f->log, r->v[k].segment);
		}
}

static int add_base(struct folder *f, const struct cid *base, const struct range *x,
		    struct folder_bytes *out, struct lack *lack)
{
	struct dag_extent e[FOLDER_PIECES];
	size_t got = 0;
	int n = dag_map(f->cfg.source, base, x->offset, x->len, e, FOLDER_PIECES - out->n,
			&lack->blocks);

	if (n < 0)
		return n;
	for (int k = 0; k < n; k++) {
		out->pieces[out->n++] = (struct folder_piece){
			e[k].block, e[k].block ? e[k].block->data + e[k].offset : NULL, e[k].len
		};
		got += e[k].len;
	}
	return got == x->len ? 0 : -E2BIG;
}

/* Every range as pieces of its own: -E2BIG if there are too many. */
static int read_pieces(struct folder *f, const struct cid *base, const struct ranges *r,
		       struct folder_bytes *out, struct lack *lack)
{
	uint64_t logged = 0;
	uint8_t *copy = NULL;
	int result = 0;

	for (size_t k = 0; k < r->n; k++)
		if (r->v[k].kind == RANGE_LOG)
			logged += r->v[k].len;
	if (logged) {
		out->copy = copy = malloc(logged);
		if (!copy)
			return -ENOMEM;
	}
	for (size_t k = 0; k < r->n && !result; k++) {
		const struct range *x = &r->v[k];

		if (out->n == FOLDER_PIECES)
			return -E2BIG;
		if (x->kind == RANGE_BASE) {
			result = add_base(f, base, x, out, lack);
			continue;
		}
		out->pieces[out->n++] = (struct folder_piece){
			NULL, x->kind == RANGE_LOG ? copy : NULL, x->len
		};
		if (x->kind != RANGE_LOG)
			continue;
		result = folder_log_read(f->log, x->segment, x->at, copy, x->len);
		copy += x->len;
	}
	return result;
}

/* All into one piece. */
static int read_whole(struct folder *f, const struct cid *base, const struct ranges *r,
		      uint8_t *to, struct lack *lack)
{
	int result = 0;

	for (size_t k = 0; k < r->n && !result; k++) {
		const struct range *x = &r->v[k];

		if (x->kind == RANGE_ZEROS) {
			memset(to, 0, x->len);
		} else if (x->kind == RANGE_LOG) {
			result = folder_log_read(f->log, x->segment, x->at, to, x->len);
		} else {
			int64_t got = dag_read(f->cfg.source, base, x->offset, to, x->len,
					       &lack->blocks);
			result = got < 0 ? (int)got : (uint64_t)got == x->len ? 0 : -EIO;
		}
		to += x->len;
	}
	return result;
}

int folder_read(struct folder *f, uint64_t ino, uint64_t offset, size_t len,
		struct folder_bytes *out, struct lack *lack)
{
	struct ranges ranges = { .n = 0 };
	struct cid base = { .version = 0xff };
	struct inode *i;
	int r;

	out->n = 0;
	out->len = 0;
	out->copy = NULL;
	look_begin(f);
	/* What was loaded may have been let go before we look again. */
	while (!(i = inode_find(f, ino)) || i->unsure) {
		look_end(f);
		load_begin(f);
		r = inode_get(f, ino, &i, lack);
		if (!r)
			r = inode_sure(f, i, lack);
		load_end(f);
		if (r < 0)
			return r;
		look_begin(f);
	}
	r = i->gone ? -ESTALE : i->dir ? -EISDIR : S_ISREG(i->core.mode) ? 0 : -EINVAL;
	if (!r && (offset >= i->core.size || !len)) {
		look_end(f);
		return 0;
	}
	if (!r) {
		if (len > i->core.size - offset)
			len = i->core.size - offset;
		r = ranges_of(&ranges, i, offset, offset + len);
	}
	if (!r) {
		base = bytes_cid(i->base);
		ranges_hold(f, &ranges, true);
	}
	look_end(f);
	if (r < 0)
		goto out;
	out->len = len;
	r = read_pieces(f, &base, &ranges, out, lack);
	if (r == -E2BIG) {
		folder_bytes_release(out);
		out->copy = malloc(len);
		r = out->copy ? read_whole(f, &base, &ranges, out->copy, lack) : -ENOMEM;
		out->pieces[0] = (struct folder_piece){ NULL, out->copy, len };
		out->n = 1;
		out->len = len;
	}
	ranges_hold(f, &ranges, false);
	if (r < 0)
		folder_bytes_release(out);
out:
	if (ranges.v != ranges.few)
		free(ranges.v);
	return r;
}

void folder_bytes_release(struct folder_bytes *b)
{
	for (int k = 0; k < b->n; k++)
		block_unref(b->pieces[k].block);
	free(b->copy);
	b->copy = NULL;
	b->n = 0;
	b->len = 0;
}

/* ---- writing ---- */

/* A file that is to be changed in [offset, offset + len). */
static int get_file(struct folder *f, uint64_t ino, uint64_t offset, uint64_t len,
		    struct inode **out, struct lack *lack)
{
	int r = inode_get(f, ino, out, lack);

	if (r < 0)
		return r;
	if ((*out)->dir)
		return -EISDIR;
	if (!S_ISREG((*out)->core.mode))
		return -EINVAL;
	if (offset > FOLDER_SIZE_MAX || len > FOLDER_SIZE_MAX - offset)
		return -EFBIG;
	return inode_adopt(f, *out, lack);
}

static struct inode_core written(const struct inode *i, uint64_t end, bool kill_suid)
{
	struct inode_core c = i->core;

	c.mtime = c.ctime = folder_now();
	if (end > c.size)
		c.size = end;
	if (kill_suid) {
		c.mode &= ~(uint32_t)S_ISUID;
		if (c.mode & S_IXGRP)
			c.mode &= ~(uint32_t)S_ISGID;
	}
	return c;
}

static ssize_t do_write(struct folder *f, uint64_t ino, uint64_t offset, const void *data,
			size_t len, bool kill_suid, struct lack *lack)
{
	struct inode_core c;
	struct inode *i;
	int r = get_file(f, ino, offset, len, &i, lack);

	if (!r && f->cfg.quota && f->dirty_bytes + len > f->cfg.quota)
		r = -EDQUOT;
	if (r < 0 || !len)
		return r;
	c = written(i, offset + len, kill_suid);
	record_inode(f, ino, &c, INODE_CHANGED | INODE_CONTENT);
	record_extent(f, ino, EXTENT_DATA, offset, len, 0);
	r = change_commit(f, data, (uint32_t)len);
	return r < 0 ? r : (ssize_t)len;
}

ssize_t folder_write(struct folder *f, uint64_t ino, uint64_t offset, const void *data,
		     size_t len, bool kill_suid, struct lack *lack)
{
	ssize_t r;

	if (len > LOG_DATA_MAX)
		len = LOG_DATA_MAX;
	r = change_begin(f);
	if (r < 0)
		return r;
	r = do_write(f, ino, offset, data, len, kill_suid, lack);
	change_end(f);
	return r;
}

/* Zeros that take no room. */
static void record_zeros(struct folder *f, const struct inode *i, uint64_t from, uint64_t to)
{
	struct extents_at at;

	/* Where nothing lies there is a hole already. */
	if (from >= i->base_size && !extents_seek(&i->map, from, &at))
		return;
	if (from < to)
		record_extent(f, i->ino, EXTENT_HOLE, from, to - from, 0);
}

static int allocate(struct folder *f, uint64_t ino, int mode, uint64_t offset, uint64_t len,
		    struct lack *lack)
{
	bool keep = mode & FALLOC_FL_KEEP_SIZE;
	struct inode_core c;
	struct inode *i;
	uint64_t end;
	int r = get_file(f, ino, offset, len, &i, lack);

	if (r < 0)
		return r;
	end = offset + len;
	c = written(i, keep ? 0 : end, false);
	if (mode & (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE))
		record_zeros(f, i, offset, end < c.size ? end : c.size);
	record_inode(f, ino, &c, INODE_CHANGED | INODE_CONTENT);
	return change_commit(f, NULL, 0);
}

int folder_allocate(struct folder *f, uint64_t ino, int mode, uint64_t offset, uint64_t len,
		    struct lack *lack)
{
	int r;

	switch (mode) {
	case 0:
	case FALLOC_FL_KEEP_SIZE:
	case FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE:
	case FALLOC_FL_ZERO_RANGE:
	case FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE:
		break;
	default:
		return -EOPNOTSUPP;
	}
	if (!len)
		return -EINVAL;
	r = change_begin(f);
	if (r < 0)
		return r;
	r = allocate(f, ino, mode, offset, len, lack);
	change_end(f);
	return r;
}
