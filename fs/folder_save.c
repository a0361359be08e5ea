/*
 * Rows of the table, and the checkpoints that write them.  A checkpoint copies
 * what changed under the locks, all at one record, and then writes one
 * transaction without them.
 */
#include "fs/folder_internal.h"

#include "store/error.h"

#include <stdlib.h>
#include <string.h>

#define ROW_VERSION 1
#define CHUNK	    128 /* extents in a row */
#define EVICT_STEPS 2048	/* less than a millisecond */

static void put_cid(struct buf *out, const struct bytes *b)
{
	buf_u8(out, b ? b->len : 0);
	if (b)
		buf_append(out, b->data, b->len);
}

void inode_row(struct buf *out, const struct inode *i)
{
	uint32_t n = 0;

	buf_u8(out, ROW_VERSION);
	inode_core_encode(out, &i->core);
	buf_u64le(out, i->changed);
	buf_u64le(out, i->content);
	buf_u64le(out, i->based);
	buf_u64le(out, i->base_size);
	buf_u64le(out, i->base_tsize);
	buf_u64le(out, i->map.count);
	put_cid(out, i->base);
	if (i->dir) {
		put_cid(out, i->dir->attrs);
		put_cid(out, i->dir->listing);
		put_cid(out, i->dir->listing_attrs);
		buf_u64le(out, i->dir->rebased);
		buf_u64le(out, i->dir->n_changed);
	}
	for (struct link *l = i->links; l; l = l->next)
		n++;
	buf_u32le(out, n);
	for (struct link *l = i->links; l; l = l->next) {
		buf_u64le(out, l->dir);
		buf_u8(out, l->len);
		buf_append(out, l->name, l->len);
	}
	n = 0;
	for (struct xattr *x = i->xattrs; x; x = x->next)
		n++;
	buf_u32le(out, n);
	for (struct xattr *x = i->xattrs; x; x = x->next) {
		buf_u8(out, x->name_len);
		buf_u32le(out, x->len);
		buf_append(out, x->name, x->name_len + 1u + x->len);
	}
	n = i->target ? (uint32_t)strlen(i->target) : 0;
	buf_u32le(out, n);
	buf_append(out, i->target, n);
}

static struct bytes *take_cid(struct cursor *in)
{
	uint8_t len = cursor_u8(in);
	const uint8_t *p = cursor_take(in, len);
	struct cid c;
	struct bytes *b;

	if (!len || !p)
		return NULL;
	b = cid_decode(&c, p, len) < 0 ? NULL : bytes_new(p, len);
	in->bad |= !b;
	return b;
}

static int take_links(struct cursor *in, struct inode *i)
{
	uint32_t n = cursor_u32le(in);

	for (uint32_t k = 0; k < n && !in->bad; k++) {
		uint64_t dir = cursor_u64le(in);
		uint8_t len = cursor_u8(in);
		const uint8_t *name = cursor_take(in, len);
		struct link *l;

		if (!name || !len)
			return ERR_CORRUPT;
		/* Rows have no link twice, so there is no need to look for it. */
		l = malloc(sizeof *l + len + 1u);
		if (!l)
			return -ENOMEM;
		l->dir = dir;
		l->len = len;
		memcpy(l->name, name, len);
		l->name[len] = '\0';
		l->next = i->links;
		i->links = l;
	}
	return 0;
}

static int take_xattrs(struct cursor *in, struct inode *i)
{
	uint32_t n = cursor_u32le(in);

	for (uint32_t k = 0; k < n && !in->bad; k++) {
		uint8_t name_len = cursor_u8(in);
		uint32_t len = cursor_u32le(in);
		const uint8_t *p = cursor_take(in, name_len + 1u + (size_t)len);

		if (!p || p[name_len])
			return ERR_CORRUPT;
		if (xattr_put(i, (const char *)p, name_len, p + name_len + 1, len) < 0)
			return -ENOMEM;
	}
	return 0;
}

/* 1 if it has extents, which are still to be read. */
int inode_row_read(struct folder *f, uint64_t ino, const void *data, size_t len,
		   struct inode **out)
{
	struct cursor in = cursor_over(data, len);
	struct inode *i;
	uint64_t extents;
	uint32_t n;
	int r = 0;

	if (cursor_u8(&in) != ROW_VERSION)
		return ERR_CORRUPT;
	i = inode_add(f, ino);
	if (!i)
		return -ENOMEM;
	inode_core_read(&in, &i->core);
	i->changed = cursor_u64le(&in);
	i->content = cursor_u64le(&in);
	i->based = cursor_u64le(&in);
	i->base_size = cursor_u64le(&in);
	i->base_tsize = cursor_u64le(&in);
	extents = cursor_u64le(&in);
	i->base = take_cid(&in);
	if (S_ISDIR(i->core.mode)) {
		r = directory_make(i);
		if (r < 0)
			goto out;
		i->dir->attrs = take_cid(&in);
		i->dir->listing = take_cid(&in);
		i->dir->listing_attrs = take_cid(&in);
		i->dir->rebased = cursor_u64le(&in);
		i->dir->n_changed = cursor_u64le(&in);
	}
	r = take_links(&in, i);
	if (!r)
		r = take_xattrs(&in, i);
	if (r < 0)
		goto out;
	n = cursor_u32le(&in);
	if (n) {
		const uint8_t *p = cursor_take(&in, n);

		i->target = p ? strndup((const char *)p, n) : NULL;
		if (p && !i->target)
			r = -ENOMEM;
	}
	if (!r && !cursor_done(&in))
		r = ERR_CORRUPT;
	if (!r && (i->changed || i->content))
		r = dirty_inode(f, i, true);
	i->stored = true;
out:
	if (r < 0) {
		inode_remove(f, i);
		return r;
	}
	*out = i;
	return extents > 0;
}

/* ---- checkpoints ---- */

static void index_key(struct buf *changes, uint8_t kind, const uint8_t *key, size_t len,
		      bool there)
{
	uint8_t k[1 + 8 + NAME_MAX_BYTES];
	const struct buf none = { 0 };

	k[0] = kind;
	memcpy(k + 1, key, len);
	if (there)
		rows_put(changes, TABLE_INDEX, k, len + 1, &none);
	else
		rows_del(changes, TABLE_INDEX, k, len + 1);
}

static void put_inode(struct buf *changes, struct buf *row, struct inode *i)
{
	struct extents_at at;
	uint8_t key[12] = { 0 };
	uint32_t chunk = 0, n = 0;

	put_be(key, i->ino);
	if (i->stored && (i->gone || i->map_changed))
		rows_del_prefix(changes, TABLE_EXTENTS, key, 8);
	if (i->gone) {
		if (!i->stored)
			return;
		rows_del(changes, TABLE_INODES, key, 8);
		if (S_ISDIR(i->core.mode)) {
			uint8_t prefix[9] = { 'e' };

			memcpy(prefix + 1, key, 8);
			rows_del_prefix(changes, TABLE_INDEX, prefix, 9);
			rows_del_prefix(changes, TABLE_ENTRIES, key, 8);
			rows_del_prefix(changes, TABLE_ORDER, key, 8);
		}
		index_key(changes, 'i', key, 8, false);
		index_key(changes, 'o', key, 8, false);
		return;
	}
	buf_clear(row);
	inode_row(row, i);
	rows_put(changes, TABLE_INODES, key, 8, row);
	index_key(changes, 'i', key, 8, i->changed || i->content);
	if (!i->core.nlink)
		index_key(changes, 'o', key, 8, true);
	else if (i->stored)
		index_key(changes, 'o', key, 8, false);
	if (!i->map_changed)
		return;
	buf_clear(row);
	for (const struct extent *e = extents_seek(&i->map, 0, &at); e;) {
		buf_u64le(row, e->offset);
		buf_u64le(row, e->len);
		buf_u64le(row, e->born);
		buf_u32le(row, e->segment);
		buf_u32le(row, e->at);
		e = extents_next(&i->map, &at);
		if (++n < CHUNK && e)
			continue;
		for (int k = 0; k < 4; k++)
			key[8 + k] = (uint8_t)(chunk >> (24 - 8 * k));
		rows_put(changes, TABLE_EXTENTS, key, 12, row);
		buf_clear(row);
		chunk++;
		n = 0;
	}
}

static void put_entry(struct buf *changes, struct buf *row, struct entry *e)
{
	uint8_t key[8 + NAME_MAX_BYTES], order[16];
	size_t len = entry_key(key, e->dir, e->name, e->len);

	if (e->gone && !e->stored)
		return;
	put_be(order, e->dir);
	if (e->stored_cookie && (e->gone || e->stored_cookie != e->cookie)) {
		put_be(order + 8, e->stored_cookie);
		rows_del(changes, TABLE_ORDER, order, 16);
	}
	index_key(changes, 'e', key, len, !e->gone && e->changed);
	if (e->gone) {
		rows_del(changes, TABLE_ENTRIES, key, len);
		return;
	}
	buf_clear(row);
	buf_u8(row, ROW_VERSION);
	buf_u8(row, (uint8_t)(e->changed | e->listed << 1 | e->snapped << 2));
	buf_u8(row, e->type);
	buf_u8(row, 0);
	buf_u8(row, 0);
	buf_u64le(row, e->ino);
	buf_u64le(row, e->cookie);
	buf_u64le(row, e->number);
	rows_put(changes, TABLE_ENTRIES, key, len, row);
	if (e->cookie && e->cookie != e->stored_cookie) {
		buf_clear(row);
		buf_append(row, e->name, e->len);
		put_be(order + 8, e->cookie);
		rows_put(changes, TABLE_ORDER, order, 16, row);
	}
}

static void put_segments(struct folder *f, struct buf *changes, struct buf *row)
{
	struct log_segment_state s = { 0 };

	/* All of them: there are few. */
	buf_clear(row);
	while (folder_log_segment(f->log, s.number + 1, &s)) {
		buf_u32le(row, s.number);
		buf_u64le(row, (uint64_t)s.in_use);
	}
	rows_put(changes, TABLE_META, "segments", 8, row);
}

/* One that has gone is freed when the table has forgotten it. */
static void mourn(struct set *s, void *object, bool *dying)
{
	if (*dying)
		return;
	if (s->n == s->cap) {
		uint32_t cap = s->cap ? 2 * s->cap : 64;
		void **v = realloc(s->v, cap * sizeof *v);

		if (!v)
			return; /* it stays, to the end */
		s->v = v;
		s->cap = cap;
	}
	s->v[s->n++] = object;
	*dying = true;
}

/*
 * Copy what changed behind what is still to be written; others may look meanwhile.  From here on the
 * objects are as if that had been done; if it fails, the copy is kept and comes
 * first the next time.
 */
static void copy_changes(struct folder *f)
{
	struct log_mark covered = folder_log_end(f->log);
	struct buf *changes = &f->unsaved, row = { 0 };

	/* Entries first: a directory that has gone takes them along. */
	for (uint32_t k = 0; k < f->save_entries.n; k++) {
		if (k % BREATH == BREATH - 1)
			change_breathe(f);
		struct entry *e = f->save_entries.v[k];

		put_entry(changes, &row, e);
		if (e->gone)
			mourn(&f->dying_entries, e, &e->dying);
		e->stored = !e->gone;
		e->stored_cookie = e->gone ? 0 : e->cookie;
		e->save_at = 0;
	}
	f->save_entries.n = 0;
	for (uint32_t k = 0; k < f->save_inodes.n; k++) {
		if (k % BREATH == BREATH - 1)
			change_breathe(f);
		struct inode *i = f->save_inodes.v[k];

		put_inode(changes, &row, i);
		if (i->gone)
			mourn(&f->dying_inodes, i, &i->dying);
		i->stored = !i->gone;
		i->map_changed = false;
		i->save_at = 0;
	}
	f->save_inodes.n = 0;
	put_segments(f, changes, &row);
	buf_clear(&row);
	meta_encode(&row, f, &covered);
	rows_put(changes, TABLE_META, "folder", 6, &row);
	buf_release(&row);
	folder_log_retire(f->log, &covered);
	f->meta_bytes = f->data_bytes = 0;
}

/* The table has forgotten what has gone; so do we, unless it came again. */
static void bury(struct folder *f)
{
	for (uint32_t k = 0; k < f->dying_inodes.n; k++) {
		struct inode *i = f->dying_inodes.v[k];

		i->dying = false;
		if (i->gone && !i->save_at)
			inode_remove(f, i);
	}
	for (uint32_t k = 0; k < f->dying_entries.n; k++) {
		struct entry *e = f->dying_entries.v[k];

		e->dying = false;
		if (e->gone && !e->save_at)
			entry_remove(f, e);
	}
	f->dying_inodes.n = f->dying_entries.n = 0;
}

/* Let go of what is too much, as far as the clock finds something in two rounds. */
static void evict_slowly(struct folder *f)
{
	uint64_t steps = 0, slots;
	bool more = true;

	for (; more; steps += EVICT_STEPS) {
		pthread_mutex_lock(&f->change);
		pthread_rwlock_wrlock(&f->state);
		objects_evict(f, EVICT_STEPS);
		slots = 1ull << (f->inode_bits > f->entry_bits ? f->inode_bits : f->entry_bits);
		more = f->n_inodes + f->n_entries > folder_objects_max && steps < 2 * slots;
		pthread_rwlock_unlock(&f->state);
		pthread_mutex_unlock(&f->change);
		folder_give_way(f);
	}
}

int folder_checkpoint(struct folder *f)
{
	int r;

	pthread_mutex_lock(&f->save_lock);
	pthread_mutex_lock(&f->change);
	pthread_rwlock_wrlock(&f->state);
	bool none = !f->save_inodes.n && !f->save_entries.n && !f->unsaved.len;
	if (!none) {
		f->saving = true;
		copy_changes(f);
	}
	pthread_rwlock_unlock(&f->state);
	pthread_mutex_unlock(&f->change);
	if (none) {
		evict_slowly(f);
		pthread_mutex_unlock(&f->save_lock);
		return 0;
	}
	/* The table must not know of what the log may lose. */
	r = folder_log_sync(f->log);
	if (!r)
		r = f->unsaved.failed ? -ENOMEM : table_commit(f->table, &f->unsaved);
	pthread_mutex_lock(&f->change);
	pthread_rwlock_wrlock(&f->state);
	if (!r) {
		buf_release(&f->unsaved);
		bury(f);
		f->saving = false;
		if (!f->frozen)
			folder_log_trim(f->log);
	}
	pthread_rwlock_unlock(&f->state);
	pthread_mutex_unlock(&f->change);
	if (!r)
		evict_slowly(f);
	pthread_mutex_unlock(&f->save_lock);
	return r;
}
