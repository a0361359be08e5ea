#include "fs/folder_internal.h"

#include "fs/acl.h"
#include "store/error.h"

#include <stdio.h>
#include <string.h>
#include <sys/sysmacros.h>

#define LINKS_MAX 65000

void inode_known(struct folder *f, const struct inode *i)
{
	const struct link *l = i->links;
	uint64_t dir;
	uint32_t place;

	known_add(&f->known, i->ino);
	if (!i->derived || !l || known_place(&f->known, i->ino, &dir, &place))
		return;
	/* Noted is only what is found again by this. */
	if (base_ino(f, l->dir, l->name, l->len) == i->ino)
		known_note(&f->known, i->ino, l->dir, dag_place(l->name, l->len));
}

int folder_known(struct folder *f, struct inode *i, struct folder_attr *out)
{
	int r = known_room(&f->known);

	if (r < 0)
		return r;
	inode_known(f, i);
	attr_fill(i, out);
	return 0;
}

int folder_lookup(struct folder *f, uint64_t dir, const char *name, struct folder_attr *out,
		  struct lack *lack)
{
	struct found at;
	struct inode *d;
	int r;

	load_begin(f);
	r = inode_get_dir(f, dir, &d, lack);
	if (!r)
		r = name_find(f, d, name, &at, lack);
	if (!r)
		r = at.inode ? folder_known(f, at.inode, out) : -ENOENT;
	load_end(f);
	return r;
}

/* Free an inode that has neither name nor user. */
static void free_forgotten(struct folder *f, uint64_t ino)
{
	struct inode *i;

	if (change_begin(f) < 0)
		return;
	i = inode_find(f, ino);
	if (i && i->dir) {
		change_end(f);
		folder_reap(f, ino);
		return;
	}
	if (i && !i->gone && !i->core.nlink && !known_count(&f->known, ino)) {
		record_free(f, ino);
		change_commit(f, NULL, 0);
	}
	change_end(f);
}

void folder_forget(struct folder *f, uint64_t ino, uint64_t n)
{
	struct inode *i;
	uint64_t left, dir;
	bool orphan;

	/* And the directories that were held for it. */
	do {
		load_begin(f);
		left = known_drop(&f->known, ino, n, &dir);
		orphan = !left && (i = inode_find(f, ino)) && !i->gone && !i->core.nlink;
		load_end(f);
		if (orphan)
			free_forgotten(f, ino);
		ino = dir;
		n = 1;
	} while (!left && dir);
}

/* ---- making ---- */

static void record_xattr(struct folder *f, uint64_t ino, const char *name, const void *value,
			 size_t len)
{
	const struct update u = { .kind = UPDATE_XATTR,
				  .ino = ino,
				  .name = (const uint8_t *)name,
				  .name_len = (uint8_t)strlen(name),
				  .value = value,
				  .value_len = (uint32_t)len };

	update_encode(&f->record, &u);
}

/* A new inode in a directory: owner, mode and ACLs by what the directory has. */
static int record_new(struct folder *f, const struct folder_caller *c, struct inode *dir,
		      const struct folder_new *what, uint32_t nlink, const struct timespec *now,
		      uint64_t *out)
{
	const struct xattr *x = xattr_find(dir, ACL_DEFAULT, strlen(ACL_DEFAULT));
	struct inode_core core = { .mode = what->mode, .uid = c->uid, .gid = c->gid,
				   .nlink = nlink, .atime = *now, .mtime = *now, .ctime = *now };
	uint8_t access[ACL_BYTES_MAX];
	size_t access_len = 0;
	uint64_t ino = f->next_ino;
	mode_t mode = what->mode & 07777;

	if (S_ISLNK(what->mode)) {
		mode = 0777;
		x = NULL;
	} else if (x && acl_inherit(xattr_value(x), x->len, &mode, access, &access_len) < 0) {
		x = NULL;
	}
	if (!x && !S_ISLNK(what->mode))
		mode &= ~(c->umask & 0777);
	if (dir->core.mode & S_ISGID) {
		core.gid = dir->core.gid;
		if (S_ISDIR(what->mode))
			mode |= S_ISGID;
	}
	core.mode = (what->mode & S_IFMT) | mode;
	if (S_ISCHR(what->mode) || S_ISBLK(what->mode))
		core.rdev = what->rdev;
	if (S_ISLNK(what->mode))
		core.size = strlen(what->target);
	record_inode(f, ino, &core,
		     INODE_NEW | INODE_CHANGED |
			 (S_ISREG(core.mode) || S_ISLNK(core.mode) ? INODE_CONTENT : 0));
	if (S_ISLNK(what->mode)) {
		const struct update u = { .kind = UPDATE_TARGET,
					  .ino = ino,
					  .value = (const uint8_t *)what->target,
					  .value_len = (uint32_t)core.size };

		update_encode(&f->record, &u);
	}
	if (x && access_len)
		record_xattr(f, ino, ACL_ACCESS, access, access_len);
	if (x && S_ISDIR(what->mode))
		record_xattr(f, ino, ACL_DEFAULT, xattr_value(x), x->len);
	*out = ino;
	return 0;
}

/* Sub-directories are counted where all of them were made here; 1 says that not. */
static void count_dirs(struct inode_core *c, int dirs)
{
	if (c->nlink >= 2)
		c->nlink += (uint32_t)dirs;
}

struct inode_core dir_touched(const struct inode *dir, const struct timespec *now, int dirs)
{
	struct inode_core c = dir->core;

	c.mtime = c.ctime = *now;
	count_dirs(&c, dirs);
	return c;
}

static int check_new(const struct folder_new *what)
{
	switch (what->mode & S_IFMT) {
	case S_IFLNK:
		if (!what->target || !*what->target)
			return -ENOENT;
		return strlen(what->target) > 4095 ? -ENAMETOOLONG : 0;
	case S_IFREG:
	case S_IFDIR:
	case S_IFIFO:
	case S_IFSOCK:
	case S_IFCHR:
	case S_IFBLK:
		return 0;
	}
	return -EINVAL;
}

static int make(struct folder *f, const struct folder_caller *c, uint64_t dir,
		const char *name, const struct folder_new *what, struct folder_attr *out,
		struct lack *lack)
{
	struct timespec now = folder_now();
	struct inode_core parent;
	struct found at;
	struct inode *d;
	uint64_t ino;
	int r = inode_get_dir(f, dir, &d, lack);

	if (!r)
		r = name_find(f, d, name, &at, lack);
	if (!r && at.inode)
		r = -EEXIST;
	if (!r)
		r = inode_adopt(f, d, lack);
	if (r < 0)
		return r;
	record_new(f, c, d, what, S_ISDIR(what->mode) ? 2 : 1, &now, &ino);
	record_entry(f, &at, ino, what->mode);
	parent = dir_touched(d, &now, S_ISDIR(what->mode));
	record_inode(f, dir, &parent, INODE_CHANGED);
	r = change_commit(f, NULL, 0);
	return r < 0 ? r : folder_known(f, inode_find(f, ino), out);
}

int folder_make(struct folder *f, const struct folder_caller *c, uint64_t dir,
		const char *name, const struct folder_new *what, struct folder_attr *out,
		struct lack *lack)
{
	int r = check_new(what);

	if (!r)
		r = change_begin(f);
	if (r < 0)
		return r;
	r = make(f, c, dir, name, what, out, lack);
	change_end(f);
	return r;
}

int folder_tmpfile(struct folder *f, const struct folder_caller *c, uint64_t dir,
		   mode_t mode, struct folder_attr *out, struct lack *lack)
{
	const struct folder_new what = { .mode = S_IFREG | (mode & 07777) };
	struct timespec now = folder_now();
	struct inode *d;
	uint64_t ino;
	int r = change_begin(f);

	if (r < 0)
		return r;
	r = inode_get_dir(f, dir, &d, lack);
	if (!r)
		r = record_new(f, c, d, &what, 0, &now, &ino);
	if (!r)
		r = change_commit(f, NULL, 0);
	if (!r)
		r = folder_known(f, inode_find(f, ino), out);
	change_end(f);
	return r;
}

static int make_link(struct folder *f, uint64_t ino, uint64_t dir, const char *name,
		     struct folder_attr *out, struct lack *lack)
{
	struct timespec now = folder_now();
	struct inode_core core, parent;
	struct inode *i, *d;
	struct found at;
	int r = inode_get(f, ino, &i, lack);

	if (!r)
		r = inode_get_dir(f, dir, &d, lack);
	if (!r && i->dir)
		r = -EPERM;
	if (!r)
		r = name_find(f, d, name, &at, lack);
	if (!r && at.inode)
		r = -EEXIST;
	if (!r && i->core.nlink >= LINKS_MAX)
		r = -EMLINK;
	if (!r)
		r = inode_adopt(f, d, lack);
	if (!r)
		r = inode_adopt(f, i, lack);
	if (r < 0)
		return r;
	core = i->core;
	core.nlink++;
	core.ctime = now;
	parent = dir_touched(d, &now, 0);
	record_inode(f, ino, &core, INODE_CHANGED);
	record_entry(f, &at, ino, core.mode);
	record_inode(f, dir, &parent, INODE_CHANGED);
	r = change_commit(f, NULL, 0);
	return r < 0 ? r : folder_known(f, i, out);
}

int folder_link(struct folder *f, uint64_t ino, uint64_t dir, const char *name,
		struct folder_attr *out, struct lack *lack)
{
	int r = change_begin(f);

	if (r < 0)
		return r;
	r = make_link(f, ino, dir, name, out, lack);
	change_end(f);
	return r;
}

/* ---- removing ---- */

void record_unlinked(struct folder *f, const struct inode *i, const struct timespec *now)
{
	struct inode_core core = i->core;

	core.nlink = i->dir ? 0 : core.nlink - 1;
	core.ctime = *now;
	record_inode(f, i->ino, &core, INODE_CHANGED);
	/* A directory may have to give up what is in it first. */
	if (!core.nlink && !known_count(&f->known, i->ino) && !i->dir)
		record_free(f, i->ino);
}

static int remove_name(struct folder *f, uint64_t dir, const char *name, bool is_dir,
		       struct lack *lack)
{
	struct timespec now = folder_now();
	struct inode_core parent;
	struct found at;
	struct inode *d;
	int r = inode_get_dir(f, dir, &d, lack);

	if (!r)
		r = name_find(f, d, name, &at, lack);
	if (!r && !at.inode)
		r = -ENOENT;
	if (!r && !at.inode->dir && is_dir)
		r = -ENOTDIR;
	if (!r && at.inode->dir && !is_dir)
		r = -EISDIR;
	if (!r && is_dir) {
		r = directory_empty(f, at.inode, lack);
		r = r < 0 ? r : r ? 0 : -ENOTEMPTY;
	}
	if (!r)
		r = inode_adopt(f, d, lack);
	if (!r)
		r = inode_adopt(f, at.inode, lack);
	if (r < 0)
		return r;
	/* The name before the inode that it names. */
	record_entry(f, &at, 0, 0);
	record_unlinked(f, at.inode, &now);
	if (is_dir && !at.inode->pins && !known_count(&f->known, at.inode->ino))
		record_free(f, at.inode->ino); /* it is empty */
	parent = dir_touched(d, &now, -is_dir);
	record_inode(f, dir, &parent, INODE_CHANGED);
	return change_commit(f, NULL, 0);
}

int folder_unlink(struct folder *f, uint64_t dir, const char *name, struct lack *lack)
{
	int r = change_begin(f);

	if (r < 0)
		return r;
	r = remove_name(f, dir, name, false, lack);
	change_end(f);
	return r;
}

int folder_rmdir(struct folder *f, uint64_t dir, const char *name, struct lack *lack)
{
	int r = change_begin(f);

	if (r < 0)
		return r;
	r = remove_name(f, dir, name, true, lack);
	change_end(f);
	return r;
}

/* ---- renaming ---- */

/* Is `dir` at or below `top`?  1, 0, or an error. */
static int is_below(struct folder *f, const struct inode *dir, const struct inode *top,
		    struct lack *lack)
{
	struct inode *i;

	for (uint64_t ino = dir->ino;;) {
		if (ino == top->ino)
			return 1;
		if (ino == FOLDER_ROOT)
			return 0;
		int r = inode_get(f, ino, &i, lack);
		if (r < 0)
			return r;
		if (!i->links)
			return 0;
		ino = i->links->dir;
	}
}

static int check_rename(struct folder *f, const struct found *from, const struct found *to,
			unsigned flags, struct lack *lack)
{
	bool exchange = flags & RENAME_EXCHANGE;
	int r = 0;

	if (!from->inode || (exchange && !to->inode))
		return -ENOENT;
	if (to->inode && (flags & RENAME_NOREPLACE))
		return -EEXIST;
	if (from->inode->dir && from->dir != to->dir)
		r = is_below(f, to->dir, from->inode, lack);
	else if (from->inode == to->dir)
		r = 1;
	if (r)
		return r < 0 ? r : -EINVAL;
	if (to->inode && to->inode->dir && from->dir != to->dir)
		r = is_below(f, from->dir, to->inode, lack);
	if (r)
		return r < 0 ? r : exchange ? -EINVAL : -ENOTEMPTY;
	if (!to->inode || exchange || to->inode == from->inode)
		return 0;
	if (from->inode->dir && !to->inode->dir)
		return -ENOTDIR;
	if (!from->inode->dir && to->inode->dir)
		return -EISDIR;
	if (!to->inode->dir)
		return 0;
	r = directory_empty(f, to->inode, lack);
	return r < 0 ? r : r ? 0 : -ENOTEMPTY;
}

static int move(struct folder *f, uint64_t dir, const char *name, uint64_t to_dir,
		const char *to_name, unsigned flags, struct lack *lack)
{
	bool exchange = flags & RENAME_EXCHANGE;
	struct timespec now = folder_now();
	struct inode_core moved, other, source, target, *into = &target;
	struct found from, to;
	struct inode *d, *e;
	int r = inode_get_dir(f, dir, &d, lack);

	if (!r)
		r = inode_get_dir(f, to_dir, &e, lack);
	if (!r)
		r = name_find(f, d, name, &from, lack);
	if (!r)
		r = name_find(f, e, to_name, &to, lack);
	if (!r)
		r = check_rename(f, &from, &to, flags, lack);
	if (!r && from.inode == to.inode)
		return 0;
	if (!r)
		r = inode_adopt(f, d, lack);
	if (!r)
		r = inode_adopt(f, e, lack);
	if (!r)
		r = inode_adopt(f, from.inode, lack);
	if (!r && to.inode)
		r = inode_adopt(f, to.inode, lack);
	if (r < 0)
		return r;
	source = dir_touched(d, &now, 0);
	target = dir_touched(e, &now, 0);
	if (d == e)
		into = &source;
	if (from.inode->dir) {
		count_dirs(&source, -1);
		count_dirs(into, 1);
	}
	if (to.inode && to.inode->dir) {
		count_dirs(into, -1);
		if (exchange)
			count_dirs(&source, 1);
	}
	moved = from.inode->core;
	moved.ctime = now;
	record_inode(f, from.inode->ino, &moved, INODE_CHANGED);
	record_entry(f, &to, from.inode->ino, moved.mode);
	if (exchange) {
		other = to.inode->core;
		other.ctime = now;
		record_inode(f, to.inode->ino, &other, INODE_CHANGED);
		record_entry(f, &from, to.inode->ino, other.mode);
	} else {
		record_entry(f, &from, 0, 0);
		if (to.inode)
			record_unlinked(f, to.inode, &now);
		if (to.inode && to.inode->dir && !to.inode->pins &&
		    !known_count(&f->known, to.inode->ino))
			record_free(f, to.inode->ino);
	}
	record_inode(f, dir, &source, INODE_CHANGED);
	if (d != e)
		record_inode(f, to_dir, &target, INODE_CHANGED);
	return change_commit(f, NULL, 0);
}

int folder_rename(struct folder *f, uint64_t dir, const char *name, uint64_t to_dir,
		  const char *to_name, unsigned flags, struct lack *lack)
{
	int r;

	if ((flags & ~(unsigned)(RENAME_NOREPLACE | RENAME_EXCHANGE)) ||
	    flags == (RENAME_NOREPLACE | RENAME_EXCHANGE))
		return -EINVAL;
	r = change_begin(f);
	if (r < 0)
		return r;
	r = move(f, dir, name, to_dir, to_name, flags, lack);
	change_end(f);
	return r;
}
