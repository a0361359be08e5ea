#include "fs/folder_internal.h"

#include "store/error.h"

#include <stdlib.h>
#include <string.h>

/* Of an update that is live nothing has to be loaded; of a replayed one it may. */
static struct inode *want_inode(struct folder *f, uint64_t ino, int *r)
{
	struct inode *i = inode_find(f, ino);

	if (!i) {
		*r = table_inode(f, ino, &i);
		if (*r == 0)
			*r = ERR_CORRUPT;
		return *r < 0 ? NULL : i;
	}
	if (i->gone) {
		*r = ERR_CORRUPT;
		return NULL;
	}
	return i;
}

static bool is_dirty(const struct inode *i)
{
	return !i->gone && i->core.nlink && (i->changed || i->content);
}

/* After any change: keep the sets and sums right. */
static int note(struct folder *f, struct inode *i, bool was_dirty)
{
	bool dirty = is_dirty(i);
	int r;

	f->n_dirty += (uint64_t)dirty - was_dirty;
	r = dirty_inode(f, i, dirty);
	return r < 0 ? r : save_inode(f, i);
}

static int apply_inode(struct folder *f, const struct update *u)
{
	struct inode *i = inode_find(f, u->ino);
	bool was_dirty;
	int r = 0;

	if (!i && f->replaying && table_inode(f, u->ino, &i) < 0)
		return ERR_CORRUPT;
	if (!i)
		i = inode_add(f, u->ino);
	if (!i)
		return -ENOMEM;
	was_dirty = is_dirty(i);
	if (i->derived) {
		inode_unpin(f, i);
		known_settle(&f->known, i->ino);
		i->derived = i->unsure = false;
	}
	i->gone = false;
	i->core = u->core;
	if (S_ISDIR(i->core.mode) && !i->dir) {
		r = directory_make(i);
		if (r < 0)
			return r;
		i->dir->whole = !i->stored;
	}
	if (u->flags & INODE_CHANGED)
		i->changed = f->recording;
	if (u->flags & INODE_CONTENT)
		i->content = f->recording;
	if (u->ino >= f->next_ino && !(u->ino >> 62))
		f->next_ino = u->ino + 1;
	return note(f, i, was_dirty);
}

static int apply_entry(struct folder *f, const struct update *u)
{
	const char *name = (const char *)u->name;
	struct inode *dir, *i;
	struct entry *e;
	int r = 0;

	dir = want_inode(f, u->dir, &r);
	if (!dir || !dir->dir)
		return r < 0 ? r : ERR_CORRUPT;
	r = entry_get(f, dir, name, u->name_len, &e);
	if (r < 0)
		return r;
	if (!r)
		e = entry_find(f, u->dir, name, u->name_len); /* one that has gone */
	if (!e)
		e = entry_add(f, u->dir, name, u->name_len);
	if (!e)
		return -ENOMEM;
	r = 0;
	if (e->ino && e->ino != u->ino) {
		i = want_inode(f, e->ino, &r);
		if (!i)
			return r;
		link_remove(i, u->dir, name, u->name_len);
		r = save_inode(f, i);
	}
	if (e->cookie && (e->cookie != u->cookie || !u->ino))
		added_remove(dir->dir, e);
	dir->dir->n_changed -= e->changed;
	e->ino = u->ino;
	e->type = u->type;
	e->changed = u->flags & ENTRY_CHANGED;
	e->listed = u->flags & ENTRY_LISTED;
	e->snapped = u->flags & ENTRY_SNAPPED;
	e->cookie = u->ino ? u->cookie : 0;
	e->number = f->recording;
	e->gone = !u->ino && !e->listed && !e->snapped;
	if (e->gone)
		e->changed = false;
	dir->dir->n_changed += e->changed;
	if (u->ino && !r) {
		i = want_inode(f, u->ino, &r);
		if (!i)
			return r;
		r = link_add(i, u->dir, name, u->name_len);
		if (!r)
			r = save_inode(f, i);
	}
	/* Others are found by the table. */
	if (e->cookie && !r && (dir->dir->whole || e->cookie != e->stored_cookie))
		r = added_put(dir->dir, e);
	if (e->gone && !e->stored && !f->saving) {
		entry_remove(f, e);
		return r;
	}
	if (!r)
		r = dirty_entry(f, e, e->changed);
	if (!r)
		r = save_entry(f, e);
	return r < 0 ? r : save_inode(f, dir);
}

static int apply_extent(struct folder *f, const struct update *u, const struct log_record *rec)
{
	struct extent e = { .offset = u->offset, .len = u->len, .born = f->recording };
	struct extents_live live;
	struct inode *i;
	int r = 0;

	i = want_inode(f, u->ino, &r);
	if (!i)
		return r;
	if (u->flags == EXTENT_DATA) {
		if (u->from > rec->data_len || u->len > rec->data_len - u->from)
			return ERR_CORRUPT;
		e.segment = rec->segment;
		e.at = rec->at + (uint32_t)u->from;
	} else if (u->flags == EXTENT_PLACE) {
		e.segment = (uint32_t)(u->from >> 32);
		e.at = (uint32_t)u->from;
	}
	f->dirty_bytes -= i->map.data;
	r = extents_put(&i->map, &e, live_of(f, &live));
	f->dirty_bytes += i->map.data;
	i->map_changed = true;
	return r < 0 ? r : save_inode(f, i);
}

static int apply_cut(struct folder *f, const struct update *u)
{
	struct extents_live live;
	struct inode *i;
	int r = 0;

	i = want_inode(f, u->ino, &r);
	if (!i)
		return r;
	f->dirty_bytes -= i->map.data;
	extents_cut(&i->map, u->size, live_of(f, &live));
	f->dirty_bytes += i->map.data;
	if (i->base_size > u->size)
		i->base_size = u->size;
	if (f->frozen)
		frozen_cut(f->frozen, u->ino, u->size);
	i->map_changed = true;
	return save_inode(f, i);
}

static int replace(struct bytes **at, const uint8_t *data, size_t len)
{
	struct bytes *b = NULL;

	if (len && !(b = bytes_new(data, len)))
		return -ENOMEM;
	free(*at);
	*at = b;
	return 0;
}

/*
 * What was a hole behind the end of the old base would become bytes of the new
 * one; they are zeros, but that it is a hole is worth to be known.
 */
static void keep_holes(struct inode *i, uint64_t size, uint64_t number)
{
	uint64_t from = i->base_size;

	while (from < size) {
		struct extents_at at;
		const struct extent *e = extents_seek(&i->map, from, &at);
		uint64_t to = e && e->offset < size ? e->offset : size;

		if (from < to) {
			struct extent hole = { from, to - from, number, 0, 0 };

			if (extents_put(&i->map, &hole, NULL) < 0)
				return;
			e = extents_seek(&i->map, to, &at);
		}
		from = e ? e->offset + e->len : size;
	}
}

static int apply_base(struct folder *f, const struct update *u)
{
	struct extents_live live;
	bool was_dirty;
	struct inode *i;
	int r = 0;

	i = want_inode(f, u->ino, &r);
	if (!i)
		return r;
	was_dirty = is_dirty(i);
	if (u->upto) {
		/* It has become something else since. */
		if (i->based > u->upto)
			return 0;
		f->dirty_bytes -= i->map.data;
		if (S_ISREG(i->core.mode)) {
			keep_holes(i, u->size, u->upto);
			extents_settle(&i->map, u->upto, live_of(f, &live));
		}
		f->dirty_bytes += i->map.data;
		if (i->content <= u->upto)
			i->content = 0;
		i->based = u->upto + 1;
	} else if (u->flags & BASE_COPY) {
		f->dirty_bytes -= i->map.data;
		extents_clear(&i->map, live_of(f, &live));
		i->based = f->recording;
	}
	i->map_changed = true;
	i->base_size = u->size;
	i->base_tsize = u->tsize;
	r = replace(&i->base, u->cid, u->cid_len);
	if (!r && i->dir)
		r = replace(&i->dir->attrs, u->attrs, u->attrs_len);
	return r < 0 ? r : note(f, i, was_dirty);
}

static int apply_listing(struct folder *f, const struct update *u)
{
	struct inode *i;
	int r = 0;

	i = want_inode(f, u->ino, &r);
	if (!i || !i->dir)
		return r < 0 ? r : ERR_CORRUPT;
	r = replace(&i->dir->listing, u->cid, u->cid_len);
	if (!r)
		r = replace(&i->dir->listing_attrs, u->attrs, u->attrs_len);
	i->dir->rebased = u->upto;
	i->dir->relisted = false;
	return r < 0 ? r : save_inode(f, i);
}

static int apply_settled(struct folder *f, const struct update *u)
{
	struct inode *dir;
	struct entry *e;
	int r = 0;

	dir = want_inode(f, u->dir, &r);
	if (!dir || !dir->dir)
		return r < 0 ? r : ERR_CORRUPT;
	r = entry_get(f, dir, (const char *)u->name, u->name_len, &e);
	if (r < 0)
		return r;
	if (!r) {
		/* It came and went since the snapshot was begun, which had it. */
		if (!(u->flags & SETTLED_SNAPPED))
			return 0;
		e = entry_find(f, u->dir, (const char *)u->name, u->name_len);
		if (!e)
			e = entry_add(f, u->dir, (const char *)u->name, u->name_len);
		if (!e)
			return -ENOMEM;
		e->gone = false;
		e->changed = true;
		dir->dir->n_changed++;
		e->number = f->recording;
	}
	e->snapped = u->flags & SETTLED_SNAPPED;
	if (e->changed && e->number <= u->upto) {
		e->changed = false;
		dir->dir->n_changed--;
	}
	e->number = f->recording;
	e->gone = !e->ino && !e->listed && !e->snapped;
	if (e->gone && e->changed) {
		e->changed = false;
		dir->dir->n_changed--;
	}
	r = dirty_entry(f, e, e->changed);
	if (!r)
		r = save_entry(f, e);
	return r < 0 ? r : save_inode(f, dir);
}

static int apply_free(struct folder *f, const struct update *u)
{
	bool was_dirty;
	struct inode *i;
	int r = 0;

	i = want_inode(f, u->ino, &r);
	if (!i)
		return r;
	was_dirty = is_dirty(i);
	inode_clear(f, i);
	i->gone = true;
	r = note(f, i, was_dirty);
	if (!i->stored && !f->saving)
		inode_remove(f, i);
	return r;
}

static int apply_small(struct folder *f, const struct update *u)
{
	struct inode *i;
	bool was_dirty;
	int r = 0;

	i = want_inode(f, u->ino, &r);
	if (!i)
		return r;
	was_dirty = is_dirty(i);
	switch (u->kind) {
	case UPDATE_XATTR:
		if (u->flags & XATTR_REMOVED)
			xattr_remove(i, (const char *)u->name, u->name_len);
		else
			r = xattr_put(i, (const char *)u->name, u->name_len, u->value,
				      u->value_len);
		break;
	case UPDATE_TARGET:
		free(i->target);
		i->target = strndup((const char *)u->value, u->value_len);
		r = i->target ? 0 : -ENOMEM;
		break;
	default: /* UPDATE_CLEAN */
		if (i->changed <= u->upto)
			i->changed = 0;
	}
	return r < 0 ? r : note(f, i, was_dirty);
}

static int apply_snapshot(struct folder *f, const struct update *u)
{
	int r = replace(&f->root, u->cid, u->cid_len);

	if (!r)
		r = replace(&f->root_attrs, u->attrs, u->attrs_len);
	f->snapshot = u->upto;
	if (!f->n_dirty)
		f->first_change_ms = 0;
	return r;
}

int folder_apply(struct folder *f, const struct log_record *rec)
{
	struct cursor in = cursor_over(rec->meta, rec->meta_len);
	struct update u;
	int r;

	f->recording = rec->number;
	while ((r = update_next(&in, &u)) > 0) {
		switch (u.kind) {
		case UPDATE_INODE:
			r = apply_inode(f, &u);
			break;
		case UPDATE_ENTRY:
			r = apply_entry(f, &u);
			break;
		case UPDATE_EXTENT:
			r = apply_extent(f, &u, rec);
			break;
		case UPDATE_CUT:
			r = apply_cut(f, &u);
			break;
		case UPDATE_BASE:
			r = apply_base(f, &u);
			break;
		case UPDATE_LISTING:
			r = apply_listing(f, &u);
			break;
		case UPDATE_SETTLED:
			r = apply_settled(f, &u);
			break;
		case UPDATE_FREE:
			r = apply_free(f, &u);
			break;
		case UPDATE_SNAPSHOT:
			r = apply_snapshot(f, &u);
			break;
		default:
			r = apply_small(f, &u);
		}
		if (r < 0)
			return r;
	}
	return r;
}
