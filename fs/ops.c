/*
 * The FUSE operations: each is translated into a question to the tree, and
 * answered exactly once: at once by the worker, or after it was parked by the
 * thread that ran it last.
 */
#include "fs/mount_internal.h"

#include "store/error.h"
#include "store/log.h"

#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <sys/uio.h>

/* Nothing changes but by our own notice.  Seconds; the kernel clamps it. */
#define FOREVER   1e9
#define XATTR_CID "ipfs.cid"
/* Entries of a listing whose nodes are fetched, of those given at a time. */
#define CHILDREN_MAX 256

enum op_kind { OP_LOOKUP, OP_READLINK, OP_READ, OP_READDIR, OP_READDIRPLUS };

struct op {
	struct parked parked;
	struct mount *m;
	fuse_req_t req;
	uint64_t ino, offset;
	uint32_t size;
	enum op_kind kind;
	const char *name; /* of a look-up; lies behind a parked op */
};

static struct mount *mount_of(fuse_req_t req)
{
	return fuse_req_userdata(req);
}

/* Our numbers as those of programs: the one place where they are translated. */
static int errno_of(int r)
{
	switch (r) {
	case ERR_CORRUPT:
	case ERR_MALFORMED:
	case ERR_MISSING:
	case ERR_NEWER:
	case -ECANCELED:
		return EIO;
	case -ENOTSUP:
		return EOPNOTSUPP;
	default:
		return -r;
	}
}

/* Once per object, of late: a program that retries must not fill a disk. */
static void report(struct mount *m, uint64_t ino, int r)
{
	char path[4096], cid[CID_TEXT_MAX] = "";
	struct inode_info i;

	if (r == -ENOENT || r == -EINTR || r == -ESTALE || r == -ENOTCONN ||
	    r == -ENOTDIR)
		return;
	if (atomic_exchange(&m->reported[ino % REPORTED], ino) == ino)
		return;
	inodes_path(m->inodes, ino, path, sizeof path);
	if (inodes_get(m->inodes, ino, &i) == 0 && i.kind != INODE_TOP)
		cid_text(&i.cid, cid);
	log_line(LOG_WARN, "%s: %s (%s): %s", m->dir, path, cid, err_text(r));
}

static void entry_of(struct mount *m, const struct inode_info *i,
		     struct fuse_entry_param *e)
{
	*e = (struct fuse_entry_param){
		.ino = i->id,
		.attr_timeout = FOREVER,
		.entry_timeout = FOREVER,
	};
	tree_stat(i, &e->attr);
	e->attr.st_uid = m->uid;
	e->attr.st_gid = m->gid;
}

static int run_lookup(struct op *op, struct lack *lack)
{
	struct fuse_entry_param e;
	struct inode_info i;
	int r = tree_lookup(&op->m->tree, op->ino, op->name, &i, lack);
	bool is_node =
	    r == 0 ? i.cid.codec != CODEC_RAW : r == ERR_MISSING && lack->blocks.n;

	if (is_node && !op->parked.run && op->ino != INODE_IPFS && op->ino != INODE_IPNS)
		mount_ahead_lookup(op->m, op->ino, r == 0);
	/* An unknown name may be published at any time. */
	if (r == -ENOENT && op->ino != INODE_IPNS) {
		e = (struct fuse_entry_param){ .ino = 0, .entry_timeout = FOREVER };
		fuse_reply_entry(op->req, &e);
		return 0;
	}
	if (r < 0)
		return r;
	entry_of(op->m, &i, &e);
	if (fuse_reply_entry(op->req, &e) == -ENOENT)
		inodes_forget(op->m->inodes, i.id, 1); /* interrupted: it was not taken */
	return 0;
}

static int run_readlink(struct op *op, struct lack *lack)
{
	char target[4097];
	int r = tree_readlink(&op->m->tree, op->ino, target, sizeof target, lack);

	if (r < 0)
		return r;
	fuse_reply_readlink(op->req, target);
	return 0;
}

static int reply_extents(fuse_req_t req, const struct tree_bytes *b)
{
	static const uint8_t zeros[128 << 10];
	struct iovec iov[TREE_EXTENTS];
	int n = 0;

	for (int k = 0; k < b->n; k++) {
		const struct dag_extent *e = &b->extents[k];
		size_t left = e->len;

		while (left > 0) {
			size_t part =
			    e->block || left < sizeof zeros ? left : sizeof zeros;

			if (n == TREE_EXTENTS)
				return -EMSGSIZE;
			iov[n].iov_base = e->block ? (uint8_t *)e->block->data + e->offset
						   : (uint8_t *)zeros;
			iov[n++].iov_len = part;
			left -= part;
		}
	}
	fuse_reply_iov(req, iov, n);
	return 0;
}

static int run_read(struct op *op, struct lack *lack)
{
	struct tree_bytes b;
	int r = tree_read(&op->m->tree, op->ino, op->offset, op->size, &b, lack);

	if (r < 0) {
		if (b.resized)
			notify_inode(op->m->notify, op->ino);
		return r;
	}
	if (b.copy)
		fuse_reply_buf(op->req, (char *)b.copy, b.len);
	else
		r = reply_extents(op->req, &b);
	tree_bytes_release(&b);
	return r;
}

struct listing {
	struct op *op;
	char *buf;
	size_t used, max;
};

static int on_entry(void *arg, const struct tree_entry *te)
{
	static const mode_t types[] = {
		[INODE_FILE] = S_IFREG,
		[INODE_DIR] = S_IFDIR,
		[INODE_SYMLINK] = S_IFLNK,
		[INODE_TOP] = S_IFDIR,
	};
	struct listing *l = arg;
	struct op *op = l->op;
	size_t room = l->max - l->used;
	struct fuse_entry_param e = {
		.attr = { .st_ino = te->ino, .st_mode = te->kind ? types[te->kind] : 0 },
	};
	struct inode_info i;

	if (op->kind == OP_READDIR) {
		size_t n = fuse_add_direntry(op->req, l->buf + l->used, room, te->name,
					     &e.attr, te->next);
		if (n > room)
			return 1;
		l->used += n;
		return 0;
	}
	if (fuse_add_direntry_plus(op->req, NULL, 0, te->name, NULL, 0) > room)
		return 1;
	/* Without attributes it goes with inode number 0: the kernel asks later. */
	if (tree_entry_open(te, &i) == 0)
		entry_of(op->m, &i, &e);
	l->used += fuse_add_direntry_plus(op->req, l->buf + l->used, room, te->name, &e,
					  te->next);
	return 0;
}

static int run_list(struct op *op, struct lack *lack)
{
	struct mount *m = op->m;
	struct misses children = { .max = CHILDREN_MAX };
	struct listing l = { .op = op, .max = op->size };
	int r;

	l.buf = malloc(l.max);
	children.cids = malloc(CHILDREN_MAX * sizeof *children.cids);
	if (!l.buf || !children.cids) {
		r = -ENOMEM;
		goto out;
	}
	r = tree_list(&m->tree, op->ino, op->offset, on_entry, &l, lack, &children);
	if (r == 0) {
		fuse_reply_buf(op->req, l.buf, l.used);
		inodes_top(m->inodes, op->ino, &lack->top);
		prefetch_add(m->prefetch, &lack->blocks, &lack->top, WANT_READAHEAD);
		prefetch_add(m->prefetch, &children, &lack->top, WANT_PREFETCH);
	}
out:
	free(l.buf);
	free(children.cids);
	return r;
}

/* 0: answered; else it was not. */
static int run(struct op *op, struct lack *lack)
{
	int r;

	lack->blocks.n = 0;
	lack->name.len = 0;
	lack->top.version = 0xff;
	switch (op->kind) {
	case OP_LOOKUP:
		r = run_lookup(op, lack);
		break;
	case OP_READLINK:
		r = run_readlink(op, lack);
		break;
	case OP_READ:
		r = run_read(op, lack);
		break;
	default:
		r = run_list(op, lack);
	}
	if (r == ERR_MISSING && lack->top.version == 0xff)
		inodes_top(op->m->inodes, op->ino, &lack->top);
	return r;
}

static void on_interrupt(fuse_req_t req, void *arg)
{
	struct op *op = arg;

	parked_cancel(&op->parked, -EINTR);
}

static int run_parked(struct parked *p, struct lack *lack)
{
	struct op *op = (struct op *)p;
	int r;

	/* The reply frees the request, so first make sure no interrupt is in it. */
	fuse_req_interrupt_func(op->req, NULL, NULL);
	r = run(op, lack);
	if (r == ERR_MISSING)
		fuse_req_interrupt_func(op->req, on_interrupt, op);
	return r;
}

static void fail(struct op *op, int r)
{
	report(op->m, op->ino, r);
	fuse_reply_err(op->req, errno_of(r));
}

static void end_parked(struct parked *p, int result)
{
	struct op *op = (struct op *)p;

	if (result == 0)
		return;
	fuse_req_interrupt_func(op->req, NULL, NULL);
	fail(op, result);
}

static void park(const struct op *op, const struct lack *lack)
{
	size_t len = op->name ? strlen(op->name) + 1 : 0;
	struct op *copy = malloc(sizeof *copy + len);
	bool locks = op->kind != OP_READ && op->kind != OP_READLINK;
	int r;

	if (!copy) {
		fuse_reply_err(op->req, ENOMEM);
		return;
	}
	*copy = *op;
	if (op->name)
		copy->name = memcpy(copy + 1, op->name, len);
	copy->parked = (struct parked){
		.run = run_parked,
		.end = end_parked,
		.dir = locks ? op->ino : 0,
		.again = op->kind != OP_LOOKUP,
		.priority = WANT_READER,
	};
	parked_init(&copy->parked, op->m->parking);
	fuse_req_interrupt_func(copy->req, on_interrupt, copy);
	r = parking_add(&copy->parked, lack);
	if (r < 0) {
		end_parked(&copy->parked, r);
		parked_unref(&copy->parked);
	}
}

/* On a worker: answer at once, or park. */
static void start(struct op *op)
{
	struct mount *m = op->m;
	struct cid cids[LACK_MAX];
	struct lack lack = { .blocks = { .cids = cids, .max = LACK_MAX } };
	int r = run(op, &lack);

	if (r == ERR_MISSING && !lack.name.len && m->blocks->offline(m->blocks))
		r = -ENETUNREACH;
	if (r == ERR_MISSING)
		park(op, &lack);
	else if (r < 0)
		fail(op, r);
}

static void on_init(void *userdata, struct fuse_conn_info *conn)
{
	static const unsigned wanted =
	    FUSE_CAP_ASYNC_READ | FUSE_CAP_READDIRPLUS | FUSE_CAP_READDIRPLUS_AUTO |
	    FUSE_CAP_PARALLEL_DIROPS | FUSE_CAP_CACHE_SYMLINKS |
	    FUSE_CAP_EXPLICIT_INVAL_DATA | FUSE_CAP_NO_OPEN_SUPPORT |
	    FUSE_CAP_NO_OPENDIR_SUPPORT;

	conn->want = conn->capable & wanted;
	/*
	 * Reads that wait for the network must not keep the others in the
	 * kernel's queue: as many as its 16 bits say.
	 */
	conn->max_background = UINT16_MAX;
	conn->congestion_threshold = UINT16_MAX;
	conn->time_gran = 1;
}

static void on_lookup(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	struct op op = { .m = mount_of(req),
			 .req = req,
			 .kind = OP_LOOKUP,
			 .ino = parent,
			 .name = name };

	start(&op);
}

static void on_forget(fuse_req_t req, fuse_ino_t ino, uint64_t n)
{
	inodes_forget(mount_of(req)->inodes, ino, n);
	fuse_reply_none(req);
}

static void on_forget_multi(fuse_req_t req, size_t count,
			    struct fuse_forget_data *forgets)
{
	for (size_t i = 0; i < count; i++)
		inodes_forget(mount_of(req)->inodes, forgets[i].ino, forgets[i].nlookup);
	fuse_reply_none(req);
}

static void on_getattr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct mount *m = mount_of(req);
	struct fuse_entry_param e;
	struct inode_info i;
	int r = inodes_get(m->inodes, ino, &i);

	if (r < 0) {
		fuse_reply_err(req, errno_of(r));
		return;
	}
	entry_of(m, &i, &e);
	fuse_reply_attr(req, &e.attr, FOREVER);
}

static void on_readlink(fuse_req_t req, fuse_ino_t ino)
{
	struct op op = {
		.m = mount_of(req), .req = req, .kind = OP_READLINK, .ino = ino
	};

	start(&op);
}

/* Answered so once, the kernel no longer asks, and keeps pages and listings. */
static void on_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	fuse_reply_err(req, ENOSYS);
}

static void on_read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off,
		    struct fuse_file_info *fi)
{
	struct op op = { .m = mount_of(req),
			 .req = req,
			 .kind = OP_READ,
			 .ino = ino,
			 .offset = off,
			 .size = size };

	start(&op);
	mount_ahead_read(op.m, ino, off, size);
}

static void on_readdir(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off,
		       struct fuse_file_info *fi)
{
	struct op op = { .m = mount_of(req),
			 .req = req,
			 .kind = OP_READDIR,
			 .ino = ino,
			 .offset = off,
			 .size = size };

	start(&op);
}

static void on_readdirplus(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off,
			   struct fuse_file_info *fi)
{
	struct op op = { .m = mount_of(req),
			 .req = req,
			 .kind = OP_READDIRPLUS,
			 .ino = ino,
			 .offset = off,
			 .size = size };

	start(&op);
}

static void on_statfs(fuse_req_t req, fuse_ino_t ino)
{
	struct statvfs s = {
		.f_bsize = 4096,
		.f_frsize = 4096,
		.f_namemax = NAME_MAX_BYTES,
	};

	fuse_reply_statfs(req, &s);
}

static void on_getxattr(fuse_req_t req, fuse_ino_t ino, const char *name, size_t size)
{
	struct mount *m = mount_of(req);
	char text[CID_TEXT_MAX];
	struct inode_info i;
	size_t len;

	if (strcmp(name, XATTR_CID) != 0 || inodes_get(m->inodes, ino, &i) < 0 ||
	    i.kind == INODE_TOP) {
		fuse_reply_err(req, ENODATA);
		return;
	}
	len = strlen(cid_text(&i.cid, text));
	if (size == 0)
		fuse_reply_xattr(req, len);
	else if (size < len)
		fuse_reply_err(req, ERANGE);
	else
		fuse_reply_buf(req, text, len);
}

/* Not listed, as in Kubo: programs that copy attributes would try to set it. */
static void on_listxattr(fuse_req_t req, fuse_ino_t ino, size_t size)
{
	fuse_reply_err(req, ENOSYS);
}

const struct fuse_lowlevel_ops mount_ops = {
	.init = on_init,
	.lookup = on_lookup,
	.forget = on_forget,
	.forget_multi = on_forget_multi,
	.getattr = on_getattr,
	.readlink = on_readlink,
	.open = on_open,
	.opendir = on_open,
	.read = on_read,
	.readdir = on_readdir,
	.readdirplus = on_readdirplus,
	.statfs = on_statfs,
	.getxattr = on_getxattr,
	.listxattr = on_listxattr,
};
