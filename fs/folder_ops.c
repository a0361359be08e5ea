/*
 * The FUSE operations on names and attributes of a folder.  Each is translated
 * into a question to the working tree (folder.h); permissions were checked by the
 * kernel (default_permissions).
 */
#include "fs/folder_mount.h"

#include "store/error.h"

#include <linux/fs.h>
#include <linux/fuse.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define XATTR_CID   "ipfs.cid"	       /* of what is as the last snapshot has it */
#define XATTR_STATE "user.cairn.state" /* "clean" or "dirty" */
#define XATTR_OURS  "user.cairn."

struct op folder_op(fuse_req_t req, const struct op_kind *kind, fuse_ino_t ino)
{
	return (struct op){
		.m = fuse_req_userdata(req), .req = req, .kind = kind, .ino = ino
	};
}

static struct folder *tree_of(struct op *op)
{
	return folder_mount_of(op->m)->f;
}

static struct folder_caller caller_of(fuse_req_t req)
{
	const struct fuse_ctx *c = fuse_req_ctx(req);

	return (struct folder_caller){ .uid = c->uid, .gid = c->gid, .umask = c->umask };
}

static bool is_hidden(fuse_ino_t dir, const char *name)
{
	return dir == FOLDER_ROOT && strcmp(name, PAST_NAME) == 0;
}

/* What no change may be made to: 0, or the errno. */
static int refused(fuse_ino_t dir, const char *name)
{
	if (is_past(dir))
		return EROFS;
	if (strlen(name) > NAME_MAX_BYTES)
		return ENAMETOOLONG;
	return is_hidden(dir, name) ? EPERM : 0;
}

static struct fuse_entry_param entry_of(const struct folder_attr *a)
{
	return (struct fuse_entry_param){
		.ino = a->st.st_ino,
		.attr = a->st,
		.attr_timeout = FOREVER,
		.entry_timeout = FOREVER,
	};
}

/* An entry whose look-up was counted. */
static void reply_entry(struct op *op, const struct folder_attr *a)
{
	struct fuse_entry_param e = entry_of(a);

	if (fuse_reply_entry(op->req, &e) == -ENOENT)
		folder_forget(tree_of(op), e.ino, 1); /* interrupted: it was not taken */
}

static int reply_done(struct op *op, int r)
{
	if (r == 0)
		fuse_reply_err(op->req, 0);
	return r;
}

static int reply_attr(struct op *op, int r, const struct folder_attr *a)
{
	if (r == 0)
		fuse_reply_attr(op->req, &a->st, FOREVER);
	return r;
}

/* ---- names ---- */

static int run_lookup(struct op *op, struct lack *lack)
{
	struct folder_attr a;
	int r = folder_lookup(tree_of(op), op->ino, op->name, &a, lack);

	if (r == -ENOENT) {
		struct fuse_entry_param none = { .ino = 0, .entry_timeout = FOREVER };

		fuse_reply_entry(op->req, &none);
		return 0;
	}
	if (r == 0)
		reply_entry(op, &a);
	return r;
}

static void on_lookup(fuse_req_t req, fuse_ino_t dir, const char *name)
{
	static const struct op_kind kind = { .run = run_lookup, .locks = true, .stale = true };
	struct folder_mount *fm = folder_of(req);
	struct op op = folder_op(req, &kind, dir);

	if (is_past(dir)) {
		tree_op_lookup(req, &fm->shown, dir, name);
		return;
	}
	if (is_hidden(dir, name)) {
		shown_reply_root(req, &fm->shown);
		return;
	}
	if (strlen(name) > NAME_MAX_BYTES) {
		fuse_reply_err(req, ENAMETOOLONG);
		return;
	}
	op.name = name;
	op_start(&op);
}

static void forget(struct folder_mount *fm, fuse_ino_t ino, uint64_t n)
{
	if (is_past(ino))
		tree_op_forget(&fm->shown, ino, n);
	else
		folder_forget(fm->f, ino, n);
}

static void on_forget(fuse_req_t req, fuse_ino_t ino, uint64_t n)
{
	forget(folder_of(req), ino, n);
	fuse_reply_none(req);
}

static void on_forget_multi(fuse_req_t req, size_t count, struct fuse_forget_data *forgets)
{
	for (size_t i = 0; i < count; i++)
		forget(folder_of(req), forgets[i].ino, forgets[i].nlookup);
	fuse_reply_none(req);
}

static int run_make(struct op *op, struct lack *lack)
{
	struct folder_caller c = caller_of(op->req);
	struct folder_new what = {
		.mode = op->mode, .rdev = op->rdev, .target = op->to_name
	};
	struct folder_attr a;
	int r = folder_make(tree_of(op), &c, op->ino, op->name, &what, &a, lack);

	if (r == 0)
		reply_entry(op, &a);
	return r;
}

static void make(fuse_req_t req, fuse_ino_t dir, const char *name, mode_t mode, dev_t rdev,
		 const char *target)
{
	static const struct op_kind kind = { .run = run_make, .locks = true };
	struct op op = folder_op(req, &kind, dir);
	int e = refused(dir, name);

	if (e) {
		fuse_reply_err(req, e);
		return;
	}
	op.name = name;
	op.to_name = target;
	op.mode = mode;
	op.rdev = rdev;
	op_start(&op);
}

static void on_mknod(fuse_req_t req, fuse_ino_t dir, const char *name, mode_t mode, dev_t rdev)
{
	make(req, dir, name, mode, rdev, NULL);
}

static void on_mkdir(fuse_req_t req, fuse_ino_t dir, const char *name, mode_t mode)
{
	make(req, dir, name, S_IFDIR | (mode & 07777), 0, NULL);
}

static void on_symlink(fuse_req_t req, const char *target, fuse_ino_t dir, const char *name)
{
	make(req, dir, name, S_IFLNK | 0777, 0, target);
}

static int run_tmpfile(struct op *op, struct lack *lack)
{
	struct folder_caller c = caller_of(op->req);
	struct fuse_file_info fi = { .keep_cache = 1, .noflush = 1 };
	struct fuse_entry_param e;
	struct folder_attr a;
	int r = folder_tmpfile(tree_of(op), &c, op->ino, op->mode, &a, lack);

	if (r < 0)
		return r;
	e = entry_of(&a);
	if (fuse_reply_create(op->req, &e, &fi) == -ENOENT)
		folder_forget(tree_of(op), e.ino, 1);
	return 0;
}

/*
 * Files are made by mknod(): answered so once, the kernel makes and then opens
 * without asking, and does not tell of the end.  Only O_TMPFILE comes here.
 */
static void on_create(fuse_req_t req, fuse_ino_t dir, const char *name, mode_t mode,
		      struct fuse_file_info *fi)
{
	static const struct op_kind kind = { .run = run_tmpfile };
	struct op op = folder_op(req, &kind, dir);

	if (!more_now()->tmpfile) {
		fuse_reply_err(req, ENOSYS);
	} else if (is_past(dir)) {
		fuse_reply_err(req, EROFS);
	} else {
		op.mode = S_IFREG | (mode & 07777);
		op_start(&op);
	}
}

static int run_link(struct op *op, struct lack *lack)
{
	struct folder_attr a;
	int r = folder_link(tree_of(op), op->to, op->ino, op->name, &a, lack);

	if (r == 0)
		reply_entry(op, &a);
	return r;
}

static void on_link(fuse_req_t req, fuse_ino_t ino, fuse_ino_t dir, const char *name)
{
	static const struct op_kind kind = { .run = run_link, .locks = true };
	struct op op = folder_op(req, &kind, dir);
	int e = refused(dir, name);

	if (!e && is_past(ino))
		e = EXDEV;
	if (e) {
		fuse_reply_err(req, e);
		return;
	}
	op.to = ino;
	op.name = name;
	op_start(&op);
}

static int run_unlink(struct op *op, struct lack *lack)
{
	return reply_done(op, folder_unlink(tree_of(op), op->ino, op->name, lack));
}

static int run_rmdir(struct op *op, struct lack *lack)
{
	return reply_done(op, folder_rmdir(tree_of(op), op->ino, op->name, lack));
}

static void take_away(fuse_req_t req, const struct op_kind *kind, fuse_ino_t dir,
		      const char *name)
{
	struct op op = folder_op(req, kind, dir);
	int e = refused(dir, name);

	if (e) {
		fuse_reply_err(req, e);
		return;
	}
	op.name = name;
	op_start(&op);
}

static void on_unlink(fuse_req_t req, fuse_ino_t dir, const char *name)
{
	static const struct op_kind kind = { .run = run_unlink, .locks = true };

	take_away(req, &kind, dir, name);
}

static void on_rmdir(fuse_req_t req, fuse_ino_t dir, const char *name)
{
	static const struct op_kind kind = { .run = run_rmdir, .locks = true };

	take_away(req, &kind, dir, name);
}

static int run_rename(struct op *op, struct lack *lack)
{
	return reply_done(op, folder_rename(tree_of(op), op->ino, op->name, op->to,
					    op->to_name, op->flags, lack));
}

static void on_rename(fuse_req_t req, fuse_ino_t dir, const char *name, fuse_ino_t to_dir,
		      const char *to_name, unsigned flags)
{
	static const struct op_kind kind = { .run = run_rename, .locks = true };
	struct op op = folder_op(req, &kind, dir);
	int e = refused(dir, name);

	if (!e)
		e = refused(to_dir, to_name);
	if (!e && (flags & ~(RENAME_NOREPLACE | RENAME_EXCHANGE)))
		e = EINVAL;
	if (e) {
		fuse_reply_err(req, e);
		return;
	}
	op.name = name;
	op.to = to_dir;
	op.to_name = to_name;
	op.flags = flags;
	op_start(&op);
}

/* ---- listings ---- */

struct listing {
	struct op *op;
	char *buf;
	size_t used, max;
	bool plus;
	uint64_t hidden; /* an entry that was passed over, with its look-up */
};

static int on_entry(void *arg, const struct folder_entry *fe)
{
	struct listing *l = arg;
	fuse_req_t req = l->op->req;
	struct fuse_entry_param e = { .attr = { .st_ino = fe->ino, .st_mode = fe->type } };
	size_t room = l->max - l->used, n;

	/* A tree from elsewhere has one of its own. */
	if (is_hidden(l->op->ino, fe->name)) {
		l->hidden = fe->attr ? fe->ino : 0;
		return 0;
	}
	if (!l->plus) {
		n = fuse_add_direntry(req, l->buf + l->used, room, fe->name, &e.attr, fe->next);
		if (n > room)
			return 1;
		l->used += n;
		return 0;
	}
	if (fuse_add_direntry_plus(req, NULL, 0, fe->name, NULL, 0) > room)
		return 1;
	/* Without attributes it goes with inode number 0: the kernel asks later. */
	if (fe->attr)
		e = entry_of(fe->attr);
	l->used += fuse_add_direntry_plus(req, l->buf + l->used, room, fe->name, &e, fe->next);
	return 0;
}

static bool is_dots(const struct fuse_dirent *d)
{
	return d->name[0] == '.' &&
	       (d->namelen == 1 || (d->namelen == 2 && d->name[1] == '.'));
}

/* The kernel did not take the entries. */
static void give_back(struct folder *f, const struct listing *l)
{
	for (size_t at = 0; l->plus && at < l->used;) {
		const struct fuse_direntplus *d = (void *)(l->buf + at);

		if (d->entry_out.nodeid && !is_dots(&d->dirent))
			folder_forget(f, d->entry_out.nodeid, 1);
		at += FUSE_DIRENTPLUS_SIZE(d);
	}
}

static int run_list(struct op *op, struct lack *lack)
{
	struct folder *f = tree_of(op);
	struct listing l = { .op = op, .max = op->size, .plus = op->flags };
	int r;

	l.buf = malloc(l.max);
	if (!l.buf)
		return -ENOMEM;
	r = folder_list(f, op->ino, op->offset, l.plus, on_entry, &l, lack);
	if (l.hidden)
		folder_forget(f, l.hidden, 1);
	if (r == 0) {
		if (fuse_reply_buf(op->req, l.buf, l.used) == -ENOENT)
			give_back(f, &l);
	} else {
		give_back(f, &l);
	}
	free(l.buf);
	return r;
}

static void list(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off, bool plus)
{
	static const struct op_kind kind = { .run = run_list, .locks = true };
	struct op op = folder_op(req, &kind, ino);

	if (is_past(ino)) {
		tree_op_readdir(req, &folder_of(req)->shown, ino, size, off, plus);
		return;
	}
	op.size = size;
	op.offset = off;
	op.flags = plus;
	op_start(&op);
}

static void on_readdir(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off,
		       struct fuse_file_info *fi)
{
	list(req, ino, size, off, false);
}

static void on_readdirplus(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off,
			   struct fuse_file_info *fi)
{
	list(req, ino, size, off, true);
}

/* ---- attributes ---- */

static int run_getattr(struct op *op, struct lack *lack)
{
	struct folder_attr a;

	return reply_attr(op, folder_stat(tree_of(op), op->ino, &a, lack), &a);
}

static void on_getattr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	static const struct op_kind kind = { .run = run_getattr };
	struct op op = folder_op(req, &kind, ino);

	if (is_past(ino))
		tree_op_getattr(req, &folder_of(req)->shown, ino);
	else
		op_start(&op);
}

static int run_setattr(struct op *op, struct lack *lack)
{
	struct folder_attr a;

	return reply_attr(op, folder_setattr(tree_of(op), op->ino, op->flags, &op->set, &a, lack),
			  &a);
}

static void on_setattr(fuse_req_t req, fuse_ino_t ino, struct stat *to, int set,
		       struct fuse_file_info *fi)
{
	static const struct op_kind kind = { .run = run_setattr };
	static const unsigned same[][2] = {
		{ FUSE_SET_ATTR_MODE, FOLDER_SET_MODE },   { FUSE_SET_ATTR_UID, FOLDER_SET_UID },
		{ FUSE_SET_ATTR_GID, FOLDER_SET_GID },	   { FUSE_SET_ATTR_SIZE, FOLDER_SET_SIZE },
		{ FUSE_SET_ATTR_ATIME, FOLDER_SET_ATIME }, { FUSE_SET_ATTR_MTIME, FOLDER_SET_MTIME },
		{ FUSE_SET_ATTR_CTIME, FOLDER_SET_CTIME },
	};
	struct op op = folder_op(req, &kind, ino);
	struct timespec now;

	if (is_past(ino)) {
		fuse_reply_err(req, EROFS);
		return;
	}
	op.set = *to;
	for (size_t i = 0; i < sizeof same / sizeof *same; i++)
		op.flags |= set & same[i][0] ? same[i][1] : 0;
	clock_gettime(CLOCK_REALTIME, &now);
	if (set & FUSE_SET_ATTR_ATIME_NOW) {
		op.flags |= FOLDER_SET_ATIME;
		op.set.st_atim = now;
	}
	if (set & FUSE_SET_ATTR_MTIME_NOW) {
		op.flags |= FOLDER_SET_MTIME;
		op.set.st_mtim = now;
	}
	if (more_now()->kill)
		op.flags |= FOLDER_KILL_SUID;
	op_start(&op);
}

static int run_readlink(struct op *op, struct lack *lack)
{
	char target[4097];
	int r = folder_readlink(tree_of(op), op->ino, target, sizeof target, lack);

	if (r < 0)
		return r;
	fuse_reply_readlink(op->req, target);
	return 0;
}

static void on_readlink(fuse_req_t req, fuse_ino_t ino)
{
	static const struct op_kind kind = { .run = run_readlink };
	struct op op = folder_op(req, &kind, ino);

	if (is_past(ino))
		tree_op_readlink(req, &folder_of(req)->shown, ino);
	else
		op_start(&op);
}

static void on_statfs(fuse_req_t req, fuse_ino_t ino)
{
	struct statvfs s;
	int r = folder_statfs(folder_of(req)->f, &s);

	if (r < 0)
		fuse_reply_err(req, op_errno(r));
	else
		fuse_reply_statfs(req, &s);
}

/* ---- extended attributes ---- */

static ssize_t text_xattr(const char *text, void *value, size_t size)
{
	size_t len = strlen(text);

	if (size > 0 && size < len)
		return -ERANGE;
	if (size > 0)
		memcpy(value, text, len);
	return len;
}

static ssize_t get_xattr(struct op *op, void *value, struct lack *lack)
{
	char text[CID_TEXT_MAX];
	struct folder_attr a;
	bool cid = strcmp(op->name, XATTR_CID) == 0;
	int r;

	if (!cid && strcmp(op->name, XATTR_STATE) != 0)
		return folder_getxattr(tree_of(op), op->ino, op->name, value, op->size, lack);
	r = folder_stat(tree_of(op), op->ino, &a, lack);
	if (r < 0)
		return r;
	if (!cid)
		return text_xattr(a.cid.version == 0xff ? "dirty" : "clean", value, op->size);
	if (a.cid.version == 0xff)
		return -ENODATA;
	return text_xattr(cid_text(&a.cid, text), value, op->size);
}

static int reply_xattr(struct op *op, ssize_t n, const void *value)
{
	if (n < 0)
		return n;
	if (op->size == 0)
		fuse_reply_xattr(op->req, n);
	else
		fuse_reply_buf(op->req, value, n);
	return 0;
}

static int run_xattr(struct op *op, struct lack *lack)
{
	char small[512], *value = op->size > sizeof small ? malloc(op->size) : small;
	ssize_t n;

	if (!value)
		return -ENOMEM;
	n = op->name ? get_xattr(op, value, lack)
		     : folder_listxattr(tree_of(op), op->ino, value, op->size, lack);
	n = reply_xattr(op, n, value);
	if (value != small)
		free(value);
	return n;
}

static void on_getxattr(fuse_req_t req, fuse_ino_t ino, const char *name, size_t size)
{
	static const struct op_kind kind = { .run = run_xattr };
	struct op op = folder_op(req, &kind, ino);

	if (is_past(ino)) {
		tree_op_getxattr(req, &folder_of(req)->shown, ino, name, size);
		return;
	}
	op.name = name;
	op.size = size;
	op_start(&op);
}

/* Our own are not listed: programs that copy attributes would try to set them. */
static void on_listxattr(fuse_req_t req, fuse_ino_t ino, size_t size)
{
	static const struct op_kind kind = { .run = run_xattr };
	struct op op = folder_op(req, &kind, ino);

	if (is_past(ino)) {
		if (size == 0)
			fuse_reply_xattr(req, 0);
		else
			fuse_reply_buf(req, NULL, 0);
		return;
	}
	op.size = size;
	op_start(&op);
}

static int run_setxattr(struct op *op, struct lack *lack)
{
	struct folder *f = tree_of(op);
	struct folder_attr a;
	int r = folder_setxattr(f, op->ino, op->name, op->data, op->size, op->flags, lack);

	/* Of an ACL by someone outside of the group. */
	if (r == 0 && op->kill && folder_stat(f, op->ino, &a, lack) == 0 &&
	    (a.st.st_mode & S_ISGID)) {
		a.st.st_mode &= ~S_ISGID;
		r = folder_setattr(f, op->ino, FOLDER_SET_MODE, &a.st, &a, lack);
	}
	return reply_done(op, r);
}

static bool begins(const char *text, const char *with)
{
	return strncmp(text, with, strlen(with)) == 0;
}

static int refused_xattr(fuse_ino_t ino, const char *name)
{
	if (is_past(ino))
		return EROFS;
	if (strcmp(name, XATTR_CID) == 0 || begins(name, XATTR_OURS))
		return EPERM;
	return begins(name, "user.") || begins(name, "trusted.") || begins(name, "security.") ||
			       begins(name, "system.posix_acl_")
		       ? 0
		       : EOPNOTSUPP;
}

static void on_setxattr(fuse_req_t req, fuse_ino_t ino, const char *name, const char *value,
			size_t size, int flags)
{
	static const struct op_kind kind = { .run = run_setxattr };
	struct op op = folder_op(req, &kind, ino);
	int e = refused_xattr(ino, name);

	if (e) {
		fuse_reply_err(req, e);
		return;
	}
	op.name = name;
	op.data = value;
	op.size = size;
	op.flags = flags;
	op.kill = more_now()->kill;
	op_start(&op);
}

static int run_removexattr(struct op *op, struct lack *lack)
{
	return reply_done(op, folder_removexattr(tree_of(op), op->ino, op->name, lack));
}

static void on_removexattr(fuse_req_t req, fuse_ino_t ino, const char *name)
{
	static const struct op_kind kind = { .run = run_removexattr };
	struct op op = folder_op(req, &kind, ino);
	int e = refused_xattr(ino, name);

	if (e) {
		fuse_reply_err(req, e);
		return;
	}
	op.name = name;
	op_start(&op);
}

/* ---- the connection ---- */

/*
 * No writeback cache: a write that returned is in the log, and survives this
 * process.  No ATOMIC_O_TRUNC, as there is no open(): the kernel truncates by
 * setattr().  Locks are the kernel's own.  KILLPRIV_V2 comes from fuse_more.c.
 */
static void on_init(void *userdata, struct fuse_conn_info *conn)
{
	static const unsigned wanted =
	    FUSE_CAP_ASYNC_READ | FUSE_CAP_ASYNC_DIO | FUSE_CAP_READDIRPLUS |
	    FUSE_CAP_READDIRPLUS_AUTO | FUSE_CAP_PARALLEL_DIROPS | FUSE_CAP_CACHE_SYMLINKS |
	    FUSE_CAP_EXPLICIT_INVAL_DATA | FUSE_CAP_NO_OPEN_SUPPORT |
	    FUSE_CAP_NO_OPENDIR_SUPPORT | FUSE_CAP_POSIX_ACL | FUSE_CAP_DONT_MASK;

	conn->want = conn->capable & wanted;
	conn->max_background = UINT16_MAX;
	conn->congestion_threshold = UINT16_MAX;
	conn->time_gran = 1;
}

/* Answered so once, the kernel no longer asks, and keeps pages and listings. */
static void on_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	fuse_reply_err(req, ENOSYS);
}

const struct fuse_lowlevel_ops folder_ops = {
	.init = on_init,
	.lookup = on_lookup,
	.forget = on_forget,
	.forget_multi = on_forget_multi,
	.getattr = on_getattr,
	.setattr = on_setattr,
	.readlink = on_readlink,
	.mknod = on_mknod,
	.mkdir = on_mkdir,
	.unlink = on_unlink,
	.rmdir = on_rmdir,
	.symlink = on_symlink,
	.rename = on_rename,
	.link = on_link,
	.open = on_open,
	.read = folder_on_read,
	.write = folder_on_write,
	.fsync = folder_on_fsync,
	.opendir = on_open,
	.readdir = on_readdir,
	.readdirplus = on_readdirplus,
	.fsyncdir = folder_on_fsync,
	.statfs = on_statfs,
	.setxattr = on_setxattr,
	.getxattr = on_getxattr,
	.listxattr = on_listxattr,
	.removexattr = on_removexattr,
	.create = on_create,
	.fallocate = folder_on_fallocate,
	.copy_file_range = folder_on_copy,
	.lseek = folder_on_lseek,
};
