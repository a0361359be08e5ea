#include "fs/folder_internal.h"

#include "fs/acl.h"
#include "store/error.h"

#include <string.h>

/* Bytes of the base that no extent covers; of a map of very many that would take
 * too long, and all of it counts. */
static uint64_t uncovered(const struct inode *i)
{
	struct extents_at at;
	uint64_t bytes = i->base_size;

	if (!bytes || i->map.count > 1000)
		return bytes;
	for (const struct extent *e = extents_seek(&i->map, 0, &at);
	     e && e->offset < i->base_size; e = extents_next(&i->map, &at)) {
		uint64_t end = e->offset + e->len;

		bytes -= (end < i->base_size ? end : i->base_size) - e->offset;
	}
	return bytes;
}

void attr_fill(const struct inode *i, struct folder_attr *out)
{
	const struct inode_core *c = &i->core;

	*out = (struct folder_attr){
		.st = {
			.st_ino = i->ino,
			.st_mode = c->mode,
			.st_nlink = c->nlink,
			.st_uid = c->uid,
			.st_gid = c->gid,
			.st_rdev = c->rdev,
			.st_size = (off_t)c->size,
			.st_blksize = 4096,
			.st_atim = c->atime,
			.st_mtim = c->mtime,
			.st_ctim = c->ctime,
		},
		.cid = { .version = 0xff },
	};
	if (S_ISREG(c->mode))
		out->st.st_blocks = (blkcnt_t)((i->map.data + uncovered(i) + 511) / 512);
	if (!i->content && (!i->dir || !i->dir->n_changed))
		out->cid = bytes_cid(i->base);
}

int folder_stat(struct folder *f, uint64_t ino, struct folder_attr *out, struct lack *lack)
{
	struct inode *i;
	int r = 1;

	look_begin(f);
	i = inode_find(f, ino);
	if (i)
		r = i->gone ? -ESTALE : 0;
	if (!r)
		attr_fill(i, out);
	look_end(f);
	if (r <= 0)
		return r;
	load_begin(f);
	r = inode_get(f, ino, &i, lack);
	if (!r)
		attr_fill(i, out);
	load_end(f);
	return r;
}

/* The access list says what the mode says. */
static int record_acl_mode(struct folder *f, struct inode *i, mode_t mode)
{
	struct xattr *x = xattr_find(i, ACL_ACCESS, strlen(ACL_ACCESS));
	struct update u = { .kind = UPDATE_XATTR, .ino = i->ino };
	uint8_t acl[ACL_BYTES_MAX];

	if (!x || x->len > sizeof acl)
		return 0;
	memcpy(acl, xattr_value(x), x->len);
	if (acl_chmod(acl, x->len, mode) < 0)
		return 0;
	u.name = (const uint8_t *)x->name;
	u.name_len = x->name_len;
	u.value = acl;
	u.value_len = x->len;
	update_encode(&f->record, &u);
	return 0;
}

static int set_size(struct folder *f, struct inode *i, struct inode_core *c, uint64_t size)
{
	const struct update cut = { .kind = UPDATE_CUT, .ino = i->ino, .size = size };

	if (i->dir)
		return -EISDIR;
	if (!S_ISREG(c->mode))
		return -EINVAL;
	if (size > FOLDER_SIZE_MAX)
		return -EFBIG;
	if (size < c->size)
		update_encode(&f->record, &cut);
	c->size = size;
	return 0;
}

static int setattr(struct folder *f, uint64_t ino, unsigned set, const struct stat *to,
		   struct folder_attr *out, struct lack *lack)
{
	struct timespec now = folder_now();
	unsigned flags = INODE_CHANGED;
	struct inode_core c;
	struct inode *i;
	bool frees = false;
	int r = inode_get(f, ino, &i, lack);

	if (!r)
		r = inode_adopt(f, i, lack);
	if (r < 0)
		return r;
	c = i->core;
	if (set & FOLDER_SET_SIZE) {
		r = set_size(f, i, &c, (uint64_t)to->st_size);
		if (r < 0)
			return r;
		frees = c.size < i->core.size;
		c.mtime = now;
		flags |= INODE_CONTENT;
	}
	if (set & FOLDER_SET_UID)
		c.uid = to->st_uid;
	if (set & FOLDER_SET_GID)
		c.gid = to->st_gid;
	if ((set & FOLDER_KILL_SUID) && !i->dir) {
		c.mode &= ~(uint32_t)S_ISUID;
		if (c.mode & S_IXGRP)
			c.mode &= ~(uint32_t)S_ISGID;
	}
	if (set & FOLDER_SET_MODE) {
		c.mode = (c.mode & S_IFMT) | (to->st_mode & 07777);
		r = record_acl_mode(f, i, c.mode);
	}
	if (set & FOLDER_SET_ATIME)
		c.atime = to->st_atim;
	if (set & FOLDER_SET_MTIME)
		c.mtime = to->st_mtim;
	c.ctime = set & FOLDER_SET_CTIME ? to->st_ctim : now;
	if (c.atime.tv_nsec > 999999999 || c.mtime.tv_nsec > 999999999 ||
	    c.ctime.tv_nsec > 999999999)
		return -EINVAL;
	record_inode(f, ino, &c, flags);
	if (!r)
		r = frees ? change_commit_freeing(f) : change_commit(f, NULL, 0);
	if (!r)
		attr_fill(i, out);
	return r;
}

int folder_setattr(struct folder *f, uint64_t ino, unsigned set, const struct stat *to,
		   struct folder_attr *out, struct lack *lack)
{
	int r = change_begin(f);

	if (r < 0)
		return r;
	r = setattr(f, ino, set, to, out, lack);
	change_end(f);
	return r;
}

int folder_readlink(struct folder *f, uint64_t ino, char *out, size_t max, struct lack *lack)
{
	struct cid base = { .version = 0xff };
	struct inode *i;
	int r;

	load_begin(f);
	r = inode_get(f, ino, &i, lack);
	if (!r && !S_ISLNK(i->core.mode))
		r = -EINVAL;
	if (!r && i->target) {
		size_t len = strlen(i->target);

		if (len < max)
			memcpy(out, i->target, len + 1);
		r = len < max ? (int)len : -ENAMETOOLONG;
	} else if (!r) {
		base = bytes_cid(i->base);
		r = base.version == 0xff ? -EIO : 0;
	}
	load_end(f);
	if (!r && base.version != 0xff)
		r = dag_readlink(f->cfg.source, &base, out, max, &lack->blocks);
	return r;
}
