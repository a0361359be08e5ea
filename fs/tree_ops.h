/*
 * A tree of blocks in a mount: its FUSE operations, read-only.  Each is answered
 * exactly once.
 */
#ifndef FS_TREE_OPS_H
#define FS_TREE_OPS_H

#include "fs/mount_internal.h"
#include "fs/prefetch.h"
#include "fs/readahead.h"
#include "fs/tree.h"
#include "store/gc.h"

struct shown {
	struct mount *m;
	struct inodes *inodes;
	struct gc_roots roots; /* what is shown, and what is open */
	bool rooted;
	struct tree tree;
	struct prefetch *prefetch;
	struct readahead *readahead;
	uint64_t bit; /* set in the numbers the kernel knows, and not in those of `inodes` */
};

/* Its parts, without the tree's names.  0 or a negative errno; released in either case. */
int shown_init(struct shown *s, struct mount *m, uint64_t bit);
void shown_close(struct shown *s); /* loop thread */
void shown_release(struct shown *s);

/* As in struct fuse_lowlevel_ops; numbers are the kernel's. */
void tree_op_lookup(fuse_req_t req, struct shown *s, fuse_ino_t parent, const char *name);
void tree_op_getattr(fuse_req_t req, struct shown *s, fuse_ino_t ino);
void tree_op_readlink(fuse_req_t req, struct shown *s, fuse_ino_t ino);
void tree_op_read(fuse_req_t req, struct shown *s, fuse_ino_t ino, size_t size, off_t off);
void tree_op_readdir(fuse_req_t req, struct shown *s, fuse_ino_t ino, size_t size, off_t off,
		     bool plus);
void tree_op_getxattr(fuse_req_t req, struct shown *s, fuse_ino_t ino, const char *name,
		      size_t size);
void tree_op_forget(struct shown *s, fuse_ino_t ino, uint64_t n);

/* Answer a look-up with the top. */
void shown_reply_root(fuse_req_t req, struct shown *s);

/* "path (CID)", and the top an inode lies in. */
void shown_describe(struct shown *s, fuse_ino_t ino, char *out, size_t max);
void shown_top(struct shown *s, fuse_ino_t ino, struct cid *out);

/* ahead.c: `file` is read at `offset`; fetch what will be read next. */
void shown_ahead_read(struct shown *s, uint64_t file, uint64_t offset, size_t len);
/* Fetch the leaves of a file from byte `from` on that are not here. */
void shown_ahead_leaves(struct shown *s, const struct cid *file, const struct cid *top,
			uint64_t from, uint64_t n);
/* A node was looked up in `dir`, and was here or was not; fetch the next ones. */
void shown_ahead_lookup(struct shown *s, uint64_t dir, bool local);

#endif
