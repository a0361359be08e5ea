/*
 * Copies of ranges by reference, and where a file's holes are.
 */
#include "fs/folder_internal.h"

#include "store/error.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define COPY_BYTES (1u << 20) /* of the base, which can only be copied */

/* A whole file becomes a copy of a whole file: its base and all. */
static void record_base_copy(struct folder *f, const struct inode *from, const struct inode *to)
{
	struct update u = { .kind = UPDATE_BASE, .flags = BASE_COPY, .ino = to->ino,
			    .size = from->base_size, .tsize = from->base_tsize };

	if (from->base) {
		u.cid = from->base->data;
		u.cid_len = from->base->len;
	}
	update_encode(&f->record, &u);
}

/* The extents of [from, from + len), at their new place; up to where the base
 * would have to be copied, or the record gets long: what was done. */
static uint64_t record_extents(struct folder *f, const struct inode *i, uint64_t from,
			       uint64_t len, const struct inode *to, uint64_t at, bool base_too)
{
	uint64_t pos = from, end = from + len;
	struct extents_at a;
	const struct extent *e = extents_seek(&i->map, from, &a);

	while (pos < end && f->record.len < LOG_META_MAX / 64) {
		uint64_t stop = e && e->offset < end ? e->offset : end;

		if (pos < stop) { /* uncovered */
			if (pos < i->base_size && !base_too)
				break;
			if (pos >= i->base_size)
				record_extent(f, to->ino, EXTENT_HOLE, at + (pos - from),
					      stop - pos, 0);
			else if (stop > i->base_size)
				stop = i->base_size;
			pos = stop;
			continue;
		}
		stop = e->offset + e->len < end ? e->offset + e->len : end;
		if (e->segment)
			record_extent(f, to->ino, EXTENT_PLACE, at + (pos - from), stop - pos,
				      (uint64_t)e->segment << 32 |
					  (e->at + (uint32_t)(pos - e->offset)));
		else
			record_extent(f, to->ino, EXTENT_HOLE, at + (pos - from), stop - pos,
				      0);
		pos = stop;
		e = extents_next(&i->map, &a);
	}
	return pos - from;
}

struct copy {
	uint64_t from, from_offset, to, to_offset;
	size_t len;
};

static ssize_t by_reference(struct folder *f, const struct copy *c, struct lack *lack)
{
	uint64_t len = c->len, end, done;
	struct inode *from, *to;
	struct inode_core core;
	bool whole;
	int r = inode_get(f, c->from, &from, lack);

	if (!r)
		r = inode_get(f, c->to, &to, lack);
	if (r < 0)
		return r;
	if (from->dir || to->dir)
		return -EISDIR;
	if (!S_ISREG(from->core.mode) || !S_ISREG(to->core.mode))
		return -EINVAL;
	r = inode_sure(f, from, lack);
	if (r < 0)
		return r;
	if (c->from_offset >= from->core.size)
		return 0;
	if (len > from->core.size - c->from_offset)
		len = from->core.size - c->from_offset;
	if (__builtin_add_overflow(c->to_offset, len, &end) || end > FOLDER_SIZE_MAX)
		return -EFBIG;
	if (from == to && c->from_offset < c->to_offset + len &&
	    c->to_offset < c->from_offset + len)
		return -EINVAL;
	if (f->cfg.quota && f->dirty_bytes + len > f->cfg.quota)
		return -EDQUOT;
	r = inode_adopt(f, to, lack);
	if (r < 0)
		return r;
	whole = from != to && from->base_size && !c->from_offset && !c->to_offset &&
		len == from->core.size && to->core.size <= len &&
		from->map.count < LOG_META_MAX / 64 / 48;
	if (whole)
		record_base_copy(f, from, to);
	done = record_extents(f, from, c->from_offset, len, to, c->to_offset, whole);
	if (!done)
		return -EXDEV; /* a private number: these bytes have to be copied */
	core = to->core;
	core.mtime = core.ctime = folder_now();
	if (c->to_offset + done > core.size)
		core.size = c->to_offset + done;
	record_inode(f, to->ino, &core, INODE_CHANGED | INODE_CONTENT);
	r = change_commit(f, NULL, 0);
	return r < 0 ? r : (ssize_t)done;
}

static ssize_t by_bytes(struct folder *f, const struct copy *c, struct lack *lack)
{
	size_t len = c->len < COPY_BYTES ? c->len : COPY_BYTES, at = 0;
	struct folder_bytes b;
	uint8_t *buf;
	ssize_t r = folder_read(f, c->from, c->from_offset, len, &b, lack);

	if (r < 0)
		return r;
	buf = malloc(b.len + 1);
	if (!buf) {
		folder_bytes_release(&b);
		return -ENOMEM;
	}
	for (int k = 0; k < b.n; k++) {
		if (b.pieces[k].data)
			memcpy(buf + at, b.pieces[k].data, b.pieces[k].len);
		else
			memset(buf + at, 0, b.pieces[k].len);
		at += b.pieces[k].len;
	}
	folder_bytes_release(&b);
	r = at ? folder_write(f, c->to, c->to_offset, buf, at, false, lack) : 0;
	free(buf);
	return r;
}

ssize_t folder_copy(struct folder *f, uint64_t from, uint64_t from_offset, uint64_t to,
		    uint64_t to_offset, size_t len, struct lack *lack)
{
	const struct copy c = { from, from_offset, to, to_offset, len };
	ssize_t r = change_begin(f);

	if (r < 0)
		return r;
	r = len ? by_reference(f, &c, lack) : 0;
	change_end(f);
	return r == -EXDEV ? by_bytes(f, &c, lack) : r;
}

int64_t folder_seek(struct folder *f, uint64_t ino, uint64_t offset, int whence,
		    struct lack *lack)
{
	const struct extent *e;
	struct extents_at at;
	struct inode *i;
	int64_t r;

	if (whence != SEEK_DATA && whence != SEEK_HOLE)
		return -EINVAL;
	load_begin(f);
	r = inode_get(f, ino, &i, lack);
	if (!r && !S_ISREG(i->core.mode))
		r = i->dir ? -EISDIR : -EINVAL;
	if (!r)
		r = inode_sure(f, i, lack);
	if (!r && offset >= i->core.size)
		r = -ENXIO;
	if (r < 0)
		goto out;
	/* From piece to piece, until one is what is looked for. */
	e = extents_seek(&i->map, offset, &at);
	while (offset < i->core.size) {
		bool covered = e && e->offset <= offset;
		bool data = covered ? e->segment != 0 : offset < i->base_size;
		uint64_t next = e && !covered ? e->offset : i->core.size;

		if (data == (whence == SEEK_DATA))
			break;
		if (covered) {
			offset = e->offset + e->len;
			e = extents_next(&i->map, &at);
		} else {
			offset = data && i->base_size < next ? i->base_size : next;
		}
	}
	if (offset >= i->core.size)
		r = whence == SEEK_HOLE ? (int64_t)i->core.size : -ENXIO;
	else
		r = (int64_t)offset;
out:
	load_end(f);
	return r;
}
