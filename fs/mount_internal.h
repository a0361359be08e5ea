/*
 * The parts of a mount, as its files share them.
 */
#ifndef FS_MOUNT_INTERNAL_H
#define FS_MOUNT_INTERNAL_H

#include "fs/blocks.h"
#include "fs/inode.h"
#include "fs/mount.h"
#include "fs/notify.h"
#include "fs/parked.h"
#include "fs/prefetch.h"
#include "fs/readahead.h"
#include "fs/tree.h"
#include "fs/view.h"
#include "store/gc.h"

#include <fuse_lowlevel.h>
#include <pthread.h>
#include <sys/types.h>

#define WORKERS_MAX 4
#define REPORTED    64

struct mount {
	struct node *node;
	struct blocks *blocks;
	struct inodes *inodes;
	struct gc_roots roots; /* what is shown, and what is open */
	bool rooted;
	struct tree tree;
	struct parking *parking;
	struct prefetch *prefetch;
	struct readahead *readahead;
	struct view *view;
	struct notify *notify;
	struct fuse_session *se;
	uid_t uid;
	gid_t gid;
	char *source, *dir;
	bool allow_other;

	pthread_t workers[WORKERS_MAX];
	struct fuse_buf bufs[WORKERS_MAX]; /* outlive a cancelled worker */
	int n_workers;
	atomic_int working;

	/* Inodes a failure was logged for lately; a race costs a line. */
	_Atomic uint64_t reported[REPORTED];

	int result; /* of the thread that mounts */
	void (*started)(void *arg, int result, struct mount *m);
	void *started_arg;
	void (*stopped)(void *arg);
	void *stopped_arg;
	void (*gone)(void *arg);
	void *gone_arg;
	bool is_gone;
};

/* ops.c: the low-level operations; their userdata is the struct mount. */
extern const struct fuse_lowlevel_ops mount_ops;

/* ahead.c: `file` is read at `offset`; fetch what will be read next. */
void mount_ahead_read(struct mount *m, uint64_t file, uint64_t offset, size_t len);
/* A node was looked up in `dir`, and was here or was not; fetch the next ones. */
void mount_ahead_lookup(struct mount *m, uint64_t dir, bool local);

#endif
