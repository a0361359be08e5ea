/*
 * The parts of a folder's mount, as its files share them: folder_mount.c its
 * life, folder_ops.c the FUSE operations on names and attributes, folder_data.c
 * those on bytes, folder_past.c what lies below .cairn.
 */
#ifndef FS_FOLDER_MOUNT_H
#define FS_FOLDER_MOUNT_H

#include "fs/folders.h"
#include "fs/fuse_more.h"
#include "fs/op.h"
#include "fs/tree_ops.h"

/*
 * The history in the mount: a name at the top that is found, and not listed, so
 * that programs which copy a folder do not copy its past.  Nothing in it can be
 * changed (EROFS), and nothing can take its place (EPERM).
 */
#define PAST_NAME ".cairn"
#define PAST_BIT  (1ull << 63) /* no number of a folder has it */
#define PAST_ROOT (PAST_BIT | INODE_ROOT)

/* The snapshots that are listed, as they were when the head was `head`. */
struct past {
	struct folder_use *use;
	struct tree_shelf shelf;
	pthread_mutex_t lock;
	struct cid head; /* version 0xff: nothing was read yet */
	struct past_entry *entries;
	size_t n, room;
};
#define PAST_MAX 10000 /* the newest so many */

void past_init(struct past *p, struct folder_use *use);
void past_release(struct past *p);
/* What it is called in the list: TIME-ID, in their order.  `out` has PAST_NAME_MAX bytes. */
#define PAST_NAME_MAX 40
void past_name(int64_t time_ms, const struct cid *commit, char *out);

struct folder_mount {
	struct mount m;
	struct folder_use *use;
	struct folder *f;
	struct shown shown; /* of the past */
	struct past past;

	/* Who syncs takes those along who came meanwhile. */
	pthread_mutex_t sync_lock;
	struct sync_waiter *syncs;
	bool syncing;
};

static inline struct folder_mount *folder_mount_of(struct mount *m)
{
	return (struct folder_mount *)m;
}

static inline struct folder_mount *folder_of(fuse_req_t req)
{
	return (struct folder_mount *)fuse_req_userdata(req);
}

static inline bool is_past(fuse_ino_t ino)
{
	return ino & PAST_BIT;
}

extern const struct fuse_lowlevel_ops folder_ops;

/* An operation on `ino`, to be filled in. */
struct op folder_op(fuse_req_t req, const struct op_kind *kind, fuse_ino_t ino);

/* folder_data.c */
void folder_on_read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off,
		    struct fuse_file_info *fi);
void folder_on_write(fuse_req_t req, fuse_ino_t ino, const char *buf, size_t size, off_t off,
		     struct fuse_file_info *fi);
void folder_on_fsync(fuse_req_t req, fuse_ino_t ino, int datasync, struct fuse_file_info *fi);
void folder_on_fallocate(fuse_req_t req, fuse_ino_t ino, int mode, off_t offset, off_t len,
			 struct fuse_file_info *fi);
void folder_on_copy(fuse_req_t req, fuse_ino_t from, off_t from_offset,
		    struct fuse_file_info *fi, fuse_ino_t to, off_t to_offset,
		    struct fuse_file_info *to_fi, size_t len, int flags);
void folder_on_lseek(fuse_req_t req, fuse_ino_t ino, off_t off, int whence,
		     struct fuse_file_info *fi);

#endif
