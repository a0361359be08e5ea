/*
 * What every mount has, as the files of the mounts share it: the session with
 * the kernel, the threads, the parking (mount.c).  What it shows is the kind's:
 * a tree of blocks (tree_mount.c) or a writable folder (folder_mount.c), which
 * embed struct mount at their start.
 */
#ifndef FS_MOUNT_INTERNAL_H
#define FS_MOUNT_INTERNAL_H

#include "fs/blocks.h"
#include "fs/mount.h"
#include "fs/notify.h"
#include "fs/parked.h"

#include <fuse_lowlevel.h>
#include <limits.h>
#include <pthread.h>
#include <sys/types.h>

#define WORKERS_MAX 4
#define WORKERS_MIN 2 /* one may wait for the disk */
#define REPORTED    64

/* Nothing changes but through the mount or by our own notice.  Seconds; the kernel
 * clamps it. */
#define FOREVER 1e9

/* What differs between mounts. */
struct mount_kind {
	const struct fuse_lowlevel_ops *ops; /* their userdata is the struct mount */
	bool writable;

	/* Loop thread: make what is shown ready.  0, and mount_opened() later, once; or
	 * an error, and never. */
	int (*open)(struct mount *m);
	/* Loop thread: the kernel asks from now on.  NULL: nothing to do. */
	void (*live)(struct mount *m);
	/* Loop thread: call nobody back any more. */
	void (*close)(struct mount *m);
	/* Pool: the last that programs did, while the workers still answer; and when
	 * nobody asks any more, also if nobody ever did.  NULL: nothing to do. */
	void (*flush)(struct mount *m);
	void (*ended)(struct mount *m);
	/* Free what the kind has, and the struct. */
	void (*free)(struct mount *m);

	/* The top of the tree that an inode lies in, as inodes_top(). */
	void (*top)(struct mount *m, uint64_t ino, struct cid *out);
	/* There was no room: true if there is some now.  NULL: nothing to do. */
	bool (*relieve)(struct mount *m);
	/* What an inode is, for a line in the log. */
	void (*describe)(struct mount *m, uint64_t ino, char *out, size_t max);
	/* How its part of struct mount_stat is. */
	void (*stat)(struct mount *m, struct mount_stat *out);
};

struct mount {
	const struct mount_kind *kind;
	struct node *node;
	struct blocks *blocks;
	struct parking *parking;
	struct notify *notify;
	struct fuse_session *se;
	uid_t uid;
	gid_t gid;
	char dir[PATH_MAX];
	bool allow_other;
	char options[32]; /* of mount(2), to which those that all have are added */

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

/* How long an operation waits for the network if nothing else is said. */
#define TIMEOUT_MS 60000

/*
 * Make what every mount needs of its node, and what the kind builds on; kind,
 * node, options and allow_other are set.  0, -ENOMEM, -ENAMETOOLONG.
 */
int mount_init(struct mount *m, const char *dir, struct block_source *extra);
/*
 * Begin the life of *m, whose ending (and start that failed) is reported as
 * mount_start() says.  `r` is negative if making its parts failed already.
 */
void mount_begin(struct mount *m, int r, void (*done)(void *arg, int result, struct mount *m),
		 void *arg);
/* What open() began has ended. */
void mount_opened(struct mount *m, int result);

#endif
