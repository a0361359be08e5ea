/* The FUSE operations on the bytes of a folder's files. */
#include "fs/folder_mount.h"

#include "store/error.h"

#include <stdlib.h>
#include <sys/uio.h>

static struct folder *tree_of(struct op *op)
{
	return folder_mount_of(op->m)->f;
}

/* ---- read ---- */

static void reply_pieces(fuse_req_t req, const struct folder_bytes *b)
{
	static const uint8_t zeros[64 << 10];
	/* A megabyte of zeros between the pieces is cut so often more. */
	struct iovec iov[FOLDER_PIECES + (1 << 20) / sizeof zeros + 1];
	int n = 0;

	for (int k = 0; k < b->n; k++) {
		const struct folder_piece *p = &b->pieces[k];
		size_t left = p->len;

		while (left > 0) {
			size_t part = p->data || left < sizeof zeros ? left : sizeof zeros;

			if (n == sizeof iov / sizeof *iov) {
				fuse_reply_err(req, EMSGSIZE);
				return;
			}
			iov[n].iov_base = (void *)(p->data ? p->data : zeros);
			iov[n++].iov_len = part;
			left -= part;
		}
	}
	fuse_reply_iov(req, iov, n);
}

static int run_read(struct op *op, struct lack *lack)
{
	struct folder_bytes b;
	int r = folder_read(tree_of(op), op->ino, op->offset, op->size, &b, lack);

	if (r < 0)
		return r;
	reply_pieces(op->req, &b);
	folder_bytes_release(&b);
	return 0;
}

/* What is read in sequence, and is as the snapshot has it, is fetched ahead. */
static void read_ahead(struct folder_mount *fm, fuse_ino_t ino, size_t size, off_t off)
{
	struct folder_attr a;
	struct folder_state st;
	struct lack lack = { .blocks.max = 0 };
	uint64_t from, n;

	if (fm->m.blocks->offline(fm->m.blocks) ||
	    folder_stat(fm->f, ino, &a, &lack) < 0 || a.cid.version == 0xff ||
	    a.cid.codec == CODEC_RAW ||
	    !readahead_read(fm->shown.readahead, ino, off, size, a.st.st_size, &from, &n))
		return;
	folder_state(fm->f, &st);
	shown_ahead_leaves(&fm->shown, &a.cid, &st.root, from, n);
}

void folder_on_read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off,
		    struct fuse_file_info *fi)
{
	static const struct op_kind kind = { .run = run_read };
	struct folder_mount *fm = folder_of(req);
	struct op op = folder_op(req, &kind, ino);

	if (is_past(ino)) {
		tree_op_read(req, &fm->shown, ino, size, off);
		return;
	}
	op.offset = off;
	op.size = size;
	op_start(&op);
	read_ahead(fm, ino, size, off);
}

/* ---- write ---- */

static int run_write(struct op *op, struct lack *lack)
{
	ssize_t n = folder_write(tree_of(op), op->ino, op->offset, op->data, op->size,
				 op->kill, lack);

	if (n < 0)
		return n;
	fuse_reply_write(op->req, n);
	return 0;
}

void folder_on_write(fuse_req_t req, fuse_ino_t ino, const char *buf, size_t size, off_t off,
		     struct fuse_file_info *fi)
{
	static const struct op_kind kind = { .run = run_write };
	struct op op = folder_op(req, &kind, ino);

	if (is_past(ino)) {
		fuse_reply_err(req, EROFS);
		return;
	}
	op.data = buf;
	op.size = size;
	op.offset = off;
	op.kill = more_now()->kill;
	op_start(&op);
}

static int run_allocate(struct op *op, struct lack *lack)
{
	int r = folder_allocate(tree_of(op), op->ino, op->flags, op->offset, op->size, lack);

	if (r == 0 || r == -EOPNOTSUPP) {
		fuse_reply_err(op->req, -r);
		return 0;
	}
	return r;
}

void folder_on_fallocate(fuse_req_t req, fuse_ino_t ino, int mode, off_t offset, off_t len,
			 struct fuse_file_info *fi)
{
	static const struct op_kind kind = { .run = run_allocate };
	struct op op = folder_op(req, &kind, ino);

	if (is_past(ino)) {
		fuse_reply_err(req, EROFS);
		return;
	}
	op.flags = mode;
	op.offset = offset;
	op.size = len;
	op_start(&op);
}

static int run_copy(struct op *op, struct lack *lack)
{
	ssize_t n = folder_copy(tree_of(op), op->ino, op->offset, op->to, op->to_offset,
				op->size, lack);

	if (n < 0)
		return n;
	fuse_reply_write(op->req, n);
	return 0;
}

void folder_on_copy(fuse_req_t req, fuse_ino_t from, off_t from_offset,
		    struct fuse_file_info *fi, fuse_ino_t to, off_t to_offset,
		    struct fuse_file_info *to_fi, size_t len, int flags)
{
	static const struct op_kind kind = { .run = run_copy };
	struct op op = folder_op(req, &kind, from);

	if (is_past(from) || is_past(to)) { /* the kernel copies by itself */
		fuse_reply_err(req, EXDEV);
		return;
	}
	op.offset = from_offset;
	op.to = to;
	op.to_offset = to_offset;
	op.size = len;
	op_start(&op);
}

static int run_seek(struct op *op, struct lack *lack)
{
	int64_t at = folder_seek(tree_of(op), op->ino, op->offset, op->flags, lack);

	if (at < 0)
		return at;
	fuse_reply_lseek(op->req, at);
	return 0;
}

void folder_on_lseek(fuse_req_t req, fuse_ino_t ino, off_t off, int whence,
		     struct fuse_file_info *fi)
{
	static const struct op_kind kind = { .run = run_seek };
	struct op op = folder_op(req, &kind, ino);

	if (is_past(ino)) {
		struct inode_info i;
		int r = inodes_get(folder_of(req)->shown.inodes, ino & ~PAST_BIT, &i);

		/* One piece of data, and the hole behind its end. */
		if (r < 0)
			fuse_reply_err(req, op_errno(r));
		else if (off < 0 || (uint64_t)off >= i.size)
			fuse_reply_err(req, ENXIO);
		else
			fuse_reply_lseek(req, whence == SEEK_HOLE ? (off_t)i.size : off);
		return;
	}
	op.offset = off;
	op.flags = whence;
	op_start(&op);
}

/* ---- sync ---- */

struct sync_waiter {
	struct sync_waiter *next;
	fuse_req_t req;
};

/*
 * One worker at a time waits for the disk; those that come meanwhile only leave
 * their requests, so that the others are there for everything else, and the next
 * sync is for all of them.
 */
void folder_on_fsync(fuse_req_t req, fuse_ino_t ino, int datasync, struct fuse_file_info *fi)
{
	struct folder_mount *fm = folder_of(req);
	struct sync_waiter *w = malloc(sizeof *w);

	if (!w) {
		fuse_reply_err(req, op_errno(folder_sync(fm->f)));
		return;
	}
	w->req = req;
	pthread_mutex_lock(&fm->sync_lock);
	w->next = fm->syncs;
	fm->syncs = w;
	if (fm->syncing) {
		pthread_mutex_unlock(&fm->sync_lock);
		return;
	}
	fm->syncing = true;
	while ((w = fm->syncs)) {
		int r;

		fm->syncs = NULL;
		pthread_mutex_unlock(&fm->sync_lock);
		r = folder_sync(fm->f);
		while (w) {
			struct sync_waiter *next = w->next;

			fuse_reply_err(w->req, op_errno(r));
			free(w);
			w = next;
		}
		pthread_mutex_lock(&fm->sync_lock);
	}
	fm->syncing = false;
	pthread_mutex_unlock(&fm->sync_lock);
}
