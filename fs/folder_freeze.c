/*
 * The frozen view: copies of what is not as in the snapshot, made at one record: nothing
 * changes meanwhile, but others may look.  folder_thaw.c says what becomes of the folder.
 *
 * Whatever changes later has a later record, so that nothing has to be kept apart
 * meanwhile, but where files are cut: what lies behind a cut is not in the new base.
 */
#include "fs/folder_freeze.h"

#include "store/error.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>

static void *grow(void *v, size_t n, size_t *cap, size_t size)
{
	if (n < *cap)
		return v;
	*cap = *cap ? 2 * *cap : 16;
	return reallocarray(v, *cap, size);
}

/* Bytes that live as long as the view. */
static void *keep(struct frozen *z, const void *data, size_t len)
{
	struct buf *b = z->n_held ? &z->held[z->n_held - 1] : NULL;

	if (!b || b->cap - b->len < len + 1) {
		struct buf *more = grow(z->held, z->n_held, &z->cap_held, sizeof *more);

		if (!more)
			return NULL;
		z->held = more;
		b = &z->held[z->n_held];
		*b = (struct buf){ 0 };
		if (!buf_room(b, len + 1 > 65536 ? len + 1 : 65536))
			return NULL;
		z->n_held++;
	}
	uint8_t *p = b->data + b->len;
	if (len)
		memcpy(p, data, len);
	p[len] = '\0';
	b->len += len + 1;
	return p;
}

static void free_dirs(struct frozen *z)
{
	for (size_t i = 0; i < z->n_dirs; i++)
		free(z->dirs[i].names);
	free(z->dirs);
	z->dirs = NULL;
	z->n_dirs = 0;
}

void frozen_free(struct frozen *z)
{
	for (size_t i = 0; i < z->view.n_files; i++) {
		free(z->contents[i].ranges);
		free(z->contents[i].extents);
	}
	for (size_t i = 0; i < z->view.n_dirs; i++)
		free(z->view.dirs[i].entries);
	for (size_t i = 0; i < z->n_held; i++)
		buf_release(&z->held[i]);
	free(z->held);
	free(z->contents);
	free(z->view.files);
	free(z->view.dirs);
	free_dirs(z);
	free(z->inodes);
	free(z->settling);
	free(z);
}

/* ---- files ---- */

/* Put a range behind the others, or to the last one. */
static void add_range(struct frozen_file *file, struct frozen_range *ranges, uint64_t from,
		      uint64_t to, bool hole)
{
	struct frozen_range *last = file->n_ranges ? &ranges[file->n_ranges - 1] : NULL;

	if (from >= to)
		return;
	if (last && last->hole == hole && last->offset + last->len == from)
		last->len += to - from;
	else
		ranges[file->n_ranges++] = (struct frozen_range){ from, to - from, hole };
}

static int copy_map(struct frozen_file *file, struct frozen_content *c, struct inode *i)
{
	uint64_t pos = 0, size = i->core.size;
	struct extents_at at;

	c->extents = i->map.count ? calloc(i->map.count, sizeof *c->extents) : NULL;
	c->ranges = calloc(2 * i->map.count + 1, sizeof *c->ranges);
	if (!c->ranges || (i->map.count && !c->extents))
		return -ENOMEM;
	for (const struct extent *e = extents_seek(&i->map, 0, &at); e;
	     e = extents_next(&i->map, &at)) {
		uint64_t end = e->offset + e->len;

		/* Holes can be kept beyond the end. */
		if (e->offset >= size)
			break;
		if (end > size)
			end = size;
		/* What nothing covers behind the base are zeros, too. */
		add_range(file, c->ranges, pos > i->base_size ? pos : i->base_size, e->offset,
			  true);
		/* Holes from before the base are in it. */
		if (e->segment || e->born >= i->based)
			add_range(file, c->ranges, e->offset, end, !e->segment);
		if (e->segment)
			c->extents[c->n_extents++] = *e;
		pos = end;
	}
	add_range(file, c->ranges, pos > i->base_size ? pos : i->base_size, size, true);
	file->ranges = c->ranges;
	return 0;
}

static int by_ino(const void *a, const void *b)
{
	uint64_t x = (*(struct inode *const *)a)->ino, y = (*(struct inode *const *)b)->ino;

	return x < y ? -1 : x > y;
}

/* All files and symlinks of other content, by number. */
static int copy_files(struct folder *f, struct frozen *z)
{
	struct inode **list = calloc(f->dirty_inodes.n + 1, sizeof *list);
	size_t n = 0;
	int r = 0;

	if (!list)
		return -ENOMEM;
	for (uint32_t k = 0; k < f->dirty_inodes.n; k++) {
		struct inode *i = f->dirty_inodes.v[k];

		if (i->content && (S_ISREG(i->core.mode) || S_ISLNK(i->core.mode)))
			list[n++] = i;
	}
	change_pause(f);
	if (n)
		qsort(list, n, sizeof *list, by_ino);
	change_resume(f);
	z->view.files = calloc(n + 1, sizeof *z->view.files);
	z->contents = calloc(n + 1, sizeof *z->contents);
	if (!z->view.files || !z->contents)
		r = -ENOMEM;
	for (size_t k = 0; k < n && !r; k++) {
		if (k % BREATH == BREATH - 1)
			change_breathe(f);
		struct frozen_file *file = &z->view.files[k];
		struct inode *i = list[k];

		*file = (struct frozen_file){ .ino = i->ino,
					      .type = i->core.mode & S_IFMT,
					      .base = bytes_cid(i->base),
					      .base_size = i->base_size,
					      .size = i->core.size };
		z->contents[k].cut = UINT64_MAX;
		z->view.n_files++;
		if (S_ISREG(i->core.mode))
			r = copy_map(file, &z->contents[k], i);
		else if (!(file->target = keep(z, i->target, strlen(i->target))))
			r = -ENOMEM;
		i->frozen = (uint32_t)k + 1;
	}
	free(list);
	return r;
}

/* ---- directories ---- */

static int note_name(struct frozen *z, struct inode *dir, const char *name, size_t len)
{
	struct freezing_dir *d = &z->dirs[dir->frozen - 1];
	struct noted *names = grow(d->names, d->n, &d->cap, sizeof *names);

	if (!names)
		return -ENOMEM;
	d->names = names;
	/* Names of objects stay where they are while the view is made. */
	d->names[d->n++] = (struct noted){ name, len };
	return 0;
}

static int add_dir(struct frozen *z, struct inode *dir)
{
	struct freezing_dir *d = grow(z->dirs, z->n_dirs, &z->cap_dirs, sizeof *d);

	if (!d)
		return -ENOMEM;
	z->dirs = d;
	z->dirs[z->n_dirs] = (struct freezing_dir){ .inode = dir };
	dir->frozen = (uint32_t)++z->n_dirs;
	return 0;
}

/* 1 if a directory is in the tree, and not in one that was removed; 0; an error. */
static int in_tree(struct folder *f, struct inode *dir, struct lack *lack)
{
	while (dir->ino != FOLDER_ROOT && !dir->frozen) {
		int r;

		if (!dir->links || !dir->core.nlink)
			return 0;
		r = inode_get(f, dir->links->dir, &dir, lack);
		if (r < 0)
			return r;
	}
	return 1;
}

/* A directory of the tree is in the view, and then all those above it. */
static int note_dir(struct folder *f, struct frozen *z, struct inode *dir, struct lack *lack)
{
	int r = 0;

	if (dir->frozen)
		return 0;
	r = add_dir(z, dir);
	while (!r && dir->ino != FOLDER_ROOT) {
		struct inode *above;
		bool seen;

		r = inode_get(f, dir->links->dir, &above, lack);
		if (r < 0)
			return r;
		seen = above->frozen;
		if (!seen)
			r = add_dir(z, above);
		if (!r)
			r = note_name(z, above, dir->links->name, dir->links->len);
		if (seen)
			break;
		dir = above;
	}
	return r;
}

static int note_entry(struct folder *f, struct frozen *z, uint64_t dir, const char *name,
		      size_t len, struct lack *lack)
{
	struct inode *d;
	int r = inode_get(f, dir, &d, lack);

	if (r < 0)
		return r == -ESTALE ? 0 : r;
	r = in_tree(f, d, lack);
	if (r <= 0)
		return r;
	r = note_dir(f, z, d, lack);
	return r < 0 ? r : note_name(z, d, name, len);
}

static int note_settling(struct frozen *z, struct entry *e)
{
	struct settling *s = grow(z->settling, z->n_settling, &z->cap_settling, sizeof *s);

	if (!s)
		return -ENOMEM;
	z->settling = s;
	s = &z->settling[z->n_settling];
	*s = (struct settling){ e->dir, keep(z, e->name, e->len), e->len, e->ino != 0 };
	if (!s->name)
		return -ENOMEM;
	z->n_settling++;
	return 0;
}

/* All that is not as in the snapshot into memory, since it may have been let go. */
static int load_dirty(struct folder *f, struct lack *lack)
{
	struct buf keys = { 0 };
	size_t n = 0;
	int r = table_index(f->table, 'i', &keys);

	if (!r)
		r = table_index(f->table, 'e', &keys);
	struct cursor in = cursor_over(keys.data, keys.len);
	while (!r && cursor_left(&in)) {
		size_t len = cursor_u8(&in);
		struct inode *i;
		struct entry *e;

		if (++n % BREATH == 0)
			change_breathe(f);
		len |= (size_t)cursor_u8(&in) << 8;
		const uint8_t *key = cursor_take(&in, len);
		if (!key || len < 9)
			break;
		r = inode_get(f, get_be(key + 1), &i, lack);
		if (r == -ESTALE) {
			r = 0;
			continue;
		}
		if (!r && *key == 'e' && i->dir)
			r = entry_get(f, i, (const char *)key + 9, len - 9, &e);
		if (r > 0)
			r = 0;
	}
	buf_release(&keys);
	return r;
}

static int note_all(struct folder *f, struct frozen *z, struct lack *lack)
{
	struct inode *root;
	int r = inode_get(f, FOLDER_ROOT, &root, lack);

	for (uint32_t k = 0; k < f->dirty_inodes.n && r >= 0; k++) {
		struct inode *i = f->dirty_inodes.v[k];
		uint64_t *inos = grow(z->inodes, z->n_inodes, &z->cap_inodes, sizeof *inos);

		if (k % BREATH == BREATH - 1)
			change_breathe(f);
		if (!inos)
			return -ENOMEM;
		z->inodes = inos;
		z->inodes[z->n_inodes++] = i->ino;
		if (i->dir && (r = in_tree(f, i, lack)) > 0)
			r = note_dir(f, z, i, lack);
		for (struct link *l = i->links; l && r >= 0; l = l->next) {
			struct entry *e = entry_find(f, l->dir, l->name, l->len);

			/* Those that changed themselves come below. */
			if (!e || !e->changed)
				r = note_entry(f, z, l->dir, l->name, l->len, lack);
		}
	}
	for (uint32_t k = 0; k < f->dirty_entries.n && r >= 0; k++) {
		struct entry *e = f->dirty_entries.v[k];

		if (k % BREATH == BREATH - 1)
			change_breathe(f);
		r = note_entry(f, z, e->dir, e->name, e->len, lack);
		if (r >= 0)
			r = note_settling(z, e);
	}
	if (r >= 0 && !root->frozen)
		r = add_dir(z, root);
	return r < 0 ? r : 0;
}

/* ---- attributes ---- */

/*
 * The link group of an inode.  It stands beside the groups of other folders, if this
 * one was made of a snapshot, and all of them count their inodes from 2; so the number
 * is made with the folder's key.
 */
static uint64_t group_of(const struct folder *f, uint64_t ino)
{
	uint8_t in[8], out[crypto_shorthash_BYTES];

	_Static_assert(sizeof f->key == crypto_shorthash_KEYBYTES, "key of a group");
	_Static_assert(sizeof out == sizeof in, "number of a group");
	put_be(in, ino);
	crypto_shorthash(out, in, sizeof in, f->key);
	return get_be(out) ? get_be(out) : 1;
}

static int copy_attrs(struct folder *f, struct frozen *z, struct inode *i,
		      struct attrs_entry *a)
{
	static const unsigned specials[16] = { [S_IFIFO >> 12] = ATTRS_FIFO,
					       [S_IFSOCK >> 12] = ATTRS_SOCKET,
					       [S_IFCHR >> 12] = ATTRS_CHAR,
					       [S_IFBLK >> 12] = ATTRS_BLOCK };
	const struct inode_core *c = &i->core;
	struct attrs_xattr *list;
	struct buf b = { 0 };
	size_t n = 0;
	int r;

	*a = (struct attrs_entry){
		.has = ATTRS_MODE | ATTRS_UID | ATTRS_GID | ATTRS_MTIME | ATTRS_CTIME,
		.mode = c->mode & 07777,
		.uid = c->uid,
		.gid = c->gid,
		.mtime = { c->mtime.tv_sec, (uint32_t)c->mtime.tv_nsec },
		.ctime = { c->ctime.tv_sec, (uint32_t)c->ctime.tv_nsec },
		.special = specials[c->mode >> 12],
		.group = !i->dir && c->nlink > 1 ? group_of(f, i->ino) : 0,
	};
	if (a->special == ATTRS_CHAR || a->special == ATTRS_BLOCK) {
		a->major = major(c->rdev);
		a->minor = minor(c->rdev);
	}
	attrs_drop_defaults(a, a->special	 ? 0
			       : S_ISDIR(c->mode) ? DAG_DIR
			       : S_ISLNK(c->mode) ? DAG_SYMLINK
						  : DAG_FILE);
	for (struct xattr *x = i->xattrs; x; x = x->next)
		n++;
	if (!n)
		return 0;
	list = calloc(n, sizeof *list);
	if (!list)
		return -ENOMEM;
	n = 0;
	for (struct xattr *x = i->xattrs; x; x = x->next)
		list[n++] = (struct attrs_xattr){ x->name, x->name_len, xattr_value(x), x->len };
	r = attrs_xattrs_put(&b, list, n);
	free(list);
	if (!r && b.failed)
		r = -ENOMEM;
	if (!r) {
		a->xattrs = keep(z, b.data, b.len);
		a->xattrs_len = b.len;
		r = a->xattrs ? 0 : -ENOMEM;
	}
	buf_release(&b);
	return r;
}

/* ---- putting it together ---- */

static int by_depth(const void *a, const void *b)
{
	const struct freezing_dir *x = a, *y = b;

	return x->depth < y->depth ? 1 : x->depth > y->depth ? -1 : 0;
}

static int by_name(const void *a, const void *b)
{
	const struct noted *x = a, *y = b;
	int r = memcmp(x->name, y->name, x->len < y->len ? x->len : y->len);

	return r ? r : x->len < y->len ? -1 : x->len > y->len;
}

/* Directories below others come first. */
static void order_dirs(struct folder *f, struct frozen *z)
{
	for (size_t k = 0; k < z->n_dirs; k++) {
		struct inode *i = z->dirs[k].inode;

		if (k % BREATH == BREATH - 1)
			change_breathe(f);
		while (i->ino != FOLDER_ROOT && i->links && (i = inode_find(f, i->links->dir)))
			z->dirs[k].depth++;
	}
	if (z->n_dirs)
		qsort(z->dirs, z->n_dirs, sizeof *z->dirs, by_depth);
	for (size_t k = 0; k < z->n_dirs; k++)
		z->dirs[k].inode->frozen = (uint32_t)k + 1;
}

/* What an entry is now: 1, or 0 if the snapshot never had it nor has it now. */
static int fill_entry(struct folder *f, struct frozen *z, struct inode *dir,
		      struct frozen_entry *out, struct lack *lack)
{
	struct inode *i = NULL;
	struct entry *e;
	int r = entry_get(f, dir, out->name, out->name_len, &e);

	if (r <= 0)
		return r;
	if (e->ino)
		r = inode_get(f, e->ino, &i, lack);
	if (r < 0)
		return r;
	if (!i) {
		out->removed = out->attrs_removed = true;
		return e->snapped;
	}
	out->special = !S_ISREG(i->core.mode) && !S_ISLNK(i->core.mode) && !i->dir;
	out->removed = out->special;
	if (i->frozen && i->dir)
		out->dir = &z->view.dirs[i->frozen - 1];
	else if (i->frozen)
		out->file = &z->view.files[i->frozen - 1];
	out->cid = bytes_cid(i->base);
	out->tsize = i->base_tsize;
	out->sub_attrs.version = 0xff;
	if (i->dir && !out->dir)
		out->sub_attrs = bytes_cid(i->dir->attrs);
	if (i->changed || e->changed) {
		r = copy_attrs(f, z, i, &out->attrs);
		if (r < 0)
			return r;
		out->attrs_changed = !attrs_empty(&out->attrs);
		out->attrs_removed = !out->attrs_changed;
	}
	return 1;
}

static int fill_dir(struct folder *f, struct frozen *z, struct freezing_dir *from,
		    struct frozen_dir *d, struct lack *lack)
{
	struct inode *i = from->inode;

	*d = (struct frozen_dir){ .ino = i->ino,
				  .base = bytes_cid(i->base),
				  .base_attrs = bytes_cid(i->dir->attrs),
				  .entries = calloc(from->n + 1, sizeof *d->entries),
				  .attrs = { .version = 0xff } };
	if (!d->entries)
		return -ENOMEM;
	if (from->n > BREATH)
		change_pause(f);
	if (from->n)
		qsort(from->names, from->n, sizeof *from->names, by_name);
	if (from->n > BREATH)
		change_resume(f);
	for (size_t k = 0; k < from->n; k++) {
		struct frozen_entry *e = &d->entries[d->n_entries];
		struct noted *name = &from->names[k];
		int r;

		if (k && !by_name(name, name - 1))
			continue;
		if (++z->filled % BREATH == 0)
			change_breathe(f);
		*e = (struct frozen_entry){ .name = keep(z, name->name, name->len),
					    .name_len = (uint16_t)name->len };
		r = e->name ? fill_entry(f, z, i, e, lack) : -ENOMEM;
		if (r < 0)
			return r;
		d->n_entries += (size_t)r;
	}
	return 0;
}

static int fill(struct folder *f, struct frozen *z, struct lack *lack)
{
	struct inode *root = NULL;
	int r = copy_files(f, z);

	if (!r)
		r = note_all(f, z, lack);
	if (r < 0)
		return r;
	order_dirs(f, z);
	z->view.dirs = calloc(z->n_dirs, sizeof *z->view.dirs);
	if (!z->view.dirs)
		return -ENOMEM;
	for (size_t k = 0; k < z->n_dirs && !r; k++) {
		z->view.n_dirs++;
		r = fill_dir(f, z, &z->dirs[k], &z->view.dirs[k], lack);
	}
	if (!r)
		r = inode_get(f, FOLDER_ROOT, &root, lack);
	if (!r && root->changed) {
		z->view.top_attrs_changed = true;
		r = copy_attrs(f, z, root, &z->view.top_attrs);
	}
	return r;
}

/* Take the marks away that say where an inode is in the view. */
static void unmark(struct folder *f, struct frozen *z)
{
	for (uint32_t k = 0; k < f->dirty_inodes.n; k++)
		((struct inode *)f->dirty_inodes.v[k])->frozen = 0;
	for (size_t k = 0; k < z->n_dirs; k++)
		z->dirs[k].inode->frozen = 0;
}

int folder_freeze(struct folder *f, struct frozen **out)
{
	struct lack none = { .blocks.max = 0 };
	struct frozen *z = NULL;
	int r = change_begin(f);

	if (r < 0)
		return r;
	if (f->frozen) {
		r = -EBUSY;
		goto out;
	}
	/* An entry that changed is in a directory that did. */
	r = f->n_dirty ? load_dirty(f, &none) : 0;
	if (r < 0 || !f->n_dirty)
		goto out;
	z = calloc(1, sizeof *z);
	r = z ? 0 : -ENOMEM;
	if (r < 0)
		goto out;
	z->folder = f;
	z->number = folder_log_end(f->log).number - 1;
	r = fill(f, z, &none);
	unmark(f, z);
	if (r < 0)
		goto out;
	free_dirs(z);
	f->frozen = z;
	*out = z;
	z = NULL;
	r = 1;
out:
	change_end(f);
	if (z)
		frozen_free(z);
	return r;
}

struct frozen_view *frozen_view(struct frozen *z)
{
	return &z->view;
}

/* The first extent that ends behind `offset`. */
static size_t extent_at(const struct frozen_content *c, uint64_t offset)
{
	size_t low = 0, high = c->n_extents;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (c->extents[mid].offset + c->extents[mid].len > offset)
			high = mid;
		else
			low = mid + 1;
	}
	return low;
}

int frozen_read(struct frozen *z, const struct frozen_file *file, uint64_t offset, void *buf,
		size_t len)
{
	const struct frozen_content *c = &z->contents[file - z->view.files];
	uint8_t *p = buf;

	for (size_t k = extent_at(c, offset); len; k++) {
		const struct extent *e = k < c->n_extents ? &c->extents[k] : NULL;
		uint64_t gap = e && e->offset < offset + len ? e->offset : offset + len;
		uint64_t n;
		int r;

		if (gap > offset) {
			n = gap - offset;
			memset(p, 0, n);
			p += n;
			offset += n;
			len -= n;
		}
		if (!len)
			break;
		n = e->offset + e->len - offset;
		if (n > len)
			n = len;
		r = folder_log_read(z->folder->log, e->segment,
				    e->at + (uint32_t)(offset - e->offset), p, n);
		if (r < 0)
			return r;
		p += n;
		offset += n;
		len -= n;
	}
	return 0;
}

void frozen_cut(struct frozen *z, uint64_t ino, uint64_t size)
{
	size_t low = 0, high = z->view.n_files;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (z->view.files[mid].ino < ino)
			low = mid + 1;
		else
			high = mid;
	}
	if (low < z->view.n_files && z->view.files[low].ino == ino &&
	    size < z->contents[low].cut)
		z->contents[low].cut = size;
}
