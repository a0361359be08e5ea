/*
 * What a mount shows, apart from FUSE: look-ups, attributes, listings and bytes
 * of the tree, by inode number.  Every function works on the blocks that are
 * here; if some are not it returns ERR_MISSING and notes them in *lack, to be
 * called again (parked.h).  Any thread.
 *
 * Errors besides: -ENOENT, -ENOTDIR, -EISDIR, -EINVAL; -ESTALE (a number the
 * kernel has forgotten); -EOVERFLOW (a size no program can hold); those of dag.h.
 */
#ifndef FS_TREE_H
#define FS_TREE_H

#include "fs/inode.h"
#include "fs/parked.h"

/* Trees by name: what INODE_SHELF and INODE_FOLDERS show.  Names do not contain slashes.
 * Any thread. */
struct tree_shelf {
	/* The tree called `name`: 0, -ENOENT, ... */
	int (*root)(void *arg, const char *name, struct cid *out);
	/* The `n`-th name, from 0: 0, or -ENOENT behind the last.  At least 256 bytes. */
	int (*name)(void *arg, uint64_t n, char *out);
	void *arg;
	/* When names came or went last; NULL: that is told to the kernel (notify.h).  With
	 * it trees may change too, and the kernel asks for each name every time. */
	void (*changed)(void *arg, struct timespec *out);
};

struct tree {
	struct block_source *source;
	struct inodes *inodes;
	/*
	 * What /ipns/NAME shows now: 0 and *root, or ERR_MISSING if it is not known yet.
	 * NULL where the mount is not the whole name space.
	 */
	int (*name)(void *arg, const struct peer_id *name, struct cid *root);
	void *name_arg;
	const struct tree_shelf *folders; /* of the whole name space, or NULL */
	const struct tree_shelf *shelf; /* then it is all that lies at the top; or NULL */
};

/* The entry `name` of a directory; the kernel's look-up is counted. */
int tree_lookup(struct tree *t, uint64_t dir, const char *name, struct inode_info *out,
		struct lack *lack);

/* What shows the names in the directory `dir`, or NULL. */
const struct tree_shelf *tree_shelf(struct tree *t, uint64_t dir);

struct tree_entry {
	const char *name;
	uint64_t ino;		/* d_ino */
	enum inode_kind kind;	/* 0: unknown */
	uint64_t next;		/* position behind it */
	struct tree_listing *listing;
};

/*
 * Go through a directory from position `pos` (0: the start; else `next` of an
 * entry).  each() returns 0, or 1 to stop before this entry.  What is missing
 * of children that were asked for is noted in *children (bounded).  Returns 0,
 * or ERR_MISSING if nothing could be given; a listing that lacks its next
 * shard stops before it, and notes it in *lack all the same.
 */
typedef int (*tree_each_fn)(void *arg, const struct tree_entry *e);
int tree_list(struct tree *t, uint64_t dir, uint64_t pos, tree_each_fn each, void *arg,
	      struct lack *lack, struct misses *children);
/*
 * From within each(), for an entry it takes: its attributes; a look-up by the
 * kernel is counted.  Negative where they cannot be had, or not yet.
 */
int tree_entry_open(const struct tree_entry *e, struct inode_info *out);

#define TREE_EXTENTS 64

struct tree_bytes {
	struct dag_extent extents[TREE_EXTENTS];
	int n;
	uint8_t *copy; /* instead, where the file is cut too small */
	size_t len;
	bool resized; /* on an error: the file has another size than it showed */
};

/*
 * Bytes of a file: all that were asked for, fewer only at the end.  The caller
 * releases *out if 0 was returned.  A raw file whose directory told a wrong
 * size gets its true one and fails this once with -EIO.
 */
int tree_read(struct tree *t, uint64_t file, uint64_t offset, size_t len,
	      struct tree_bytes *out, struct lack *lack);
void tree_bytes_release(struct tree_bytes *b);

int tree_readlink(struct tree *t, uint64_t link, char *out, size_t max, struct lack *lack);

/* The stat() form; uid and gid are left to the caller. */
void tree_stat(const struct inode_info *i, struct stat *out);

#endif
