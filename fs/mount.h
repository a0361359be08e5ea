/*
 * FUSE mounts: read-only of one tree (/ipfs/CID[/path]), one name (/ipns/NAME)
 * or the whole name space (/ipfs, /ipns and /folders inside); read-write of a folder.
 */
#ifndef FS_MOUNT_H
#define FS_MOUNT_H

#include "net/node.h"

struct folder_use;
struct mount;
struct tree_shelf;

struct mount_options {
	const char *source;  /* "/ipfs/CID[/path]", "/ipns/NAME[/path]"; NULL: everything */
	const char *dir;     /* an existing empty directory */
	uint64_t timeout_ms; /* how long a read waits for the network; 0: 60 s */
	bool allow_other;
	/* Looked into before the store, for this mount alone; NULL: nothing.  Any
	 * thread; get() may wait for the disk.  Borrowed until the mount is freed. */
	struct block_source *extra;
	/* Of everything: what /folders shows, or NULL.  Borrowed likewise. */
	const struct tree_shelf *folders;
};

/*
 * Mount.  Loop thread; `done` (never from inside) comes once the mount answers: the
 * root has been resolved and fetched.  On success *m in done is owned by the
 * caller.  Results: -ENOTDIR, -ENOTEMPTY, -EBUSY (a mount point already),
 * -EPERM (fusermount3 refuses), -ENOENT (no such name), -EIO, …
 */
void mount_start(struct node *n, const struct mount_options *o,
		 void (*done)(void *arg, int result, struct mount *m), void *arg);

/*
 * A folder, to read and to write.  The programs on it are answered by its working
 * tree (folder.h) alone; below the hidden .cairn/snapshots lie old versions.
 */
struct folder_mount_options {
	struct folder_use *use; /* with FOLDER_USE_MOUNT; taken over, also on failure */
	const char *dir;
	uint64_t timeout_ms;
	bool allow_other;
	bool suid, dev; /* set-id programs and device nodes work; root's mounts alone: -EPERM */
};
/* As mount_start(). */
void folder_mount_start(struct node *n, const struct folder_mount_options *o,
			void (*done)(void *arg, int result, struct mount *m), void *arg);

/* Unmount (lazily if in use), answer everything parked with ENOTCONN; `done`
 * when its threads have ended and it is freed. */
void mount_stop(struct mount *m, void (*done)(void *arg), void *arg);
/* Called on the loop thread when the kernel side ended by itself (umount by hand). */
void mount_on_gone(struct mount *m, void (*gone)(void *arg), void *arg);

struct mount_stat {
	char source[256], dir[4096];
	struct cid root;     /* current; of a name the newest */
	uint64_t parked;     /* requests waiting for blocks */
	uint64_t inodes;     /* of a tree */
	bool folder;	     /* a writable one, called `source`: */
	uint64_t dirty_inodes, dirty_bytes; /* changed since its last snapshot */
	int failed;	     /* why it is read-only now, or 0 */
};
void mount_stat(struct mount *m, struct mount_stat *out);

#endif
