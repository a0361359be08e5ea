/*
 * A writable folder: the working tree that programs change, apart from FUSE.
 *
 * What was published or snapshotted is a tree of blocks; what has changed since
 * lies over it.  A clean file or directory is just its CID (and its entry in the
 * attributes DAG) and takes no room until it is touched.
 *
 *	table	inodes, directory entries, extents, extended attributes: in memory as
 *		far as they are in use, in an LMDB as of the last checkpoint
 *	log	one append-only journal in segments: every operation is one record with all
 *		table entries it changes and the data it writes.  A record that was
 *		written survives kill -9; one that was synced survives a power cut.
 *		Written data stays where it is in the log, and extents point there,
 *		until a snapshot has made blocks of it.
 *	base	of a directory or file: what the newest snapshot says of it
 *
 * Every operation looks at everything first and then changes everything at once,
 * so it may give up before with ERR_MISSING (the blocks it lacks are noted in
 * *lack) and be called again (parked.h).  Any thread.
 *
 * Permissions are the caller's business (the kernel checks them); rules that
 * need the tree are kept here: set-group-id inheritance, link counts, times,
 * sticky bits of renames excepted.
 *
 * Errors: those of the system call of that name; -ESTALE for a number that
 * is not known; -EROFS once the log has failed (an fsync that failed is final);
 * -ENOSPC and -EDQUOT before anything is changed; ERR_MISSING; those of dag.h.
 */
#ifndef FS_FOLDER_H
#define FS_FOLDER_H

#include "fs/parked.h"
#include "store/dag.h"
#include "store/profile.h"

#include <sys/stat.h>
#include <sys/statvfs.h>

#define FOLDER_SIZE_MAX (1ull << 44) /* bytes of a file, as on ext4: -EFBIG */
#define FOLDER_ROOT 1 /* the inode of the top directory; others are larger */

struct folder;
struct store;

struct folder_config {
	const char *dir;	     /* of this folder's files, in the repository; exists */
	struct block_source *source; /* of the base's blocks; get() may not wait for the network */
	struct store *store;	     /* where snapshots are put */
	const struct profile *profile;
	uint64_t quota;		     /* bytes of unsnapshotted data; 0: what the disk has */
};

/* Open, recover from whatever end it had; `root` and `attrs` of a folder that was
 * just made (version 0xff: empty, none) are used only then.
 * ERR_CORRUPT, ERR_NEWER, -EBUSY (open elsewhere), or an errno. */
int folder_open(struct folder **out, const struct folder_config *cfg, const struct cid *root,
		const struct cid *attrs);
/* Sync, checkpoint, close.  The error of the last sync. */
int folder_close(struct folder *f);

/* Who asks. */
struct folder_caller {
	uid_t uid;
	gid_t gid;
	mode_t umask; /* applied unless the directory has a default ACL */
};

/*
 * What operations on an inode give back.  st has everything stat() shows; st_ino
 * is the inode's number, the same across remounts; st_nlink of a directory is 2
 * and its sub-directories are not counted... (1 where that is not known).
 */
struct folder_attr {
	struct stat st;
	struct cid cid; /* of content that is clean; version 0xff: not known */
};

/* ---- names ---- */

/* The entry; a look-up by the kernel is counted (folder_forget). */
int folder_lookup(struct folder *f, uint64_t dir, const char *name, struct folder_attr *out,
		  struct lack *lack);
void folder_forget(struct folder *f, uint64_t ino, uint64_t n);

/* What to make. */
struct folder_new {
	mode_t mode; /* with the type: S_IFREG, S_IFDIR, S_IFIFO, S_IFSOCK, S_IFCHR, S_IFBLK, S_IFLNK */
	dev_t rdev;
	const char *target; /* of a symlink */
};
/* Make an entry; -EEXIST.  Look-up counted. */
int folder_make(struct folder *f, const struct folder_caller *c, uint64_t dir,
		const char *name, const struct folder_new *what, struct folder_attr *out,
		struct lack *lack);
/* A file without a name (O_TMPFILE): gone when forgotten unless linked. */
int folder_tmpfile(struct folder *f, const struct folder_caller *c, uint64_t dir,
		   mode_t mode, struct folder_attr *out, struct lack *lack);
int folder_link(struct folder *f, uint64_t ino, uint64_t dir, const char *name,
		struct folder_attr *out, struct lack *lack);
int folder_unlink(struct folder *f, uint64_t dir, const char *name, struct lack *lack);
int folder_rmdir(struct folder *f, uint64_t dir, const char *name, struct lack *lack);
/* flags: RENAME_NOREPLACE, RENAME_EXCHANGE, 0. */
int folder_rename(struct folder *f, uint64_t dir, const char *name, uint64_t to_dir,
		  const char *to_name, unsigned flags, struct lack *lack);

/*
 * Go through a directory from `pos` (0: the start, "." and ".." included, else
 * `next` of an entry, which stays good whatever is made or removed meanwhile, and
 * is below 2^63).  each() returns 0, or 1 to stop before this entry.  The entry's
 * attributes come only with `plus` (then each taken entry's look-up is counted,
 * except "." and "..").  0, or an error if nothing was given.
 */
struct folder_entry {
	const char *name;
	uint64_t ino;
	mode_t type;		   /* S_IFMT bits; 0: unknown */
	uint64_t next;
	const struct folder_attr *attr; /* NULL: not asked for, or not here now */
};
typedef int (*folder_each_fn)(void *arg, const struct folder_entry *e);
int folder_list(struct folder *f, uint64_t dir, uint64_t pos, bool plus, folder_each_fn each,
		void *arg, struct lack *lack);

/* ---- attributes ---- */

int folder_stat(struct folder *f, uint64_t ino, struct folder_attr *out, struct lack *lack);

#define FOLDER_SET_MODE	 1u
#define FOLDER_SET_UID	 2u
#define FOLDER_SET_GID	 4u
#define FOLDER_SET_SIZE	 8u
#define FOLDER_SET_ATIME 16u
#define FOLDER_SET_MTIME 32u
#define FOLDER_SET_CTIME 64u /* else now */
#define FOLDER_KILL_SUID 128u /* clear set-user-id and set-group-id as write and chown do */
int folder_setattr(struct folder *f, uint64_t ino, unsigned set, const struct stat *to,
		   struct folder_attr *out, struct lack *lack);

int folder_readlink(struct folder *f, uint64_t ino, char *out, size_t max, struct lack *lack);

/* Extended attributes, ACLs as the kernel's binary system.posix_acl_*.  Sizes and
 * flags as in xattr(7): the length, -ENODATA, -ERANGE, -EEXIST, -ENOSPC, -E2BIG. */
ssize_t folder_getxattr(struct folder *f, uint64_t ino, const char *name, void *value,
			size_t size, struct lack *lack);
ssize_t folder_listxattr(struct folder *f, uint64_t ino, char *list, size_t size,
			 struct lack *lack);
int folder_setxattr(struct folder *f, uint64_t ino, const char *name, const void *value,
		    size_t size, int flags, struct lack *lack);
int folder_removexattr(struct folder *f, uint64_t ino, const char *name, struct lack *lack);

/* ---- bytes ---- */

/* Where a range of a file lies: a block's bytes, bytes read from the log, or zeros. */
struct folder_piece {
	struct block *block; /* a reference, or NULL */
	const uint8_t *data; /* NULL: zeros */
	size_t len;
};
#define FOLDER_PIECES 64
struct folder_bytes {
	struct folder_piece pieces[FOLDER_PIECES];
	int n;
	size_t len;
	void *copy; /* what `data` points into where there is no block */
};
/* All that was asked for, fewer only at the end.  Release after 0. */
int folder_read(struct folder *f, uint64_t ino, uint64_t offset, size_t len,
		struct folder_bytes *out, struct lack *lack);
void folder_bytes_release(struct folder_bytes *b);

/* Returns the bytes written (all).  `kill_suid` as FOLDER_KILL_SUID. */
ssize_t folder_write(struct folder *f, uint64_t ino, uint64_t offset, const void *data,
		     size_t len, bool kill_suid, struct lack *lack);
/* mode: of fallocate(2): 0, KEEP_SIZE, PUNCH_HOLE, ZERO_RANGE; else -EOPNOTSUPP. */
int folder_allocate(struct folder *f, uint64_t ino, int mode, uint64_t offset, uint64_t len,
		    struct lack *lack);
/* By reference where whole, without moving data. */
ssize_t folder_copy(struct folder *f, uint64_t from, uint64_t from_offset, uint64_t to,
		    uint64_t to_offset, size_t len, struct lack *lack);
/* whence SEEK_DATA or SEEK_HOLE. */
int64_t folder_seek(struct folder *f, uint64_t ino, uint64_t offset, int whence,
		    struct lack *lack);

/* Everything that was done before is on disk; concurrent calls share it.  Waits
 * for the disk. */
int folder_sync(struct folder *f);

/*
 * An operation found no room: give back what is dead of the log, if that is something.
 * True if some room came of it, so that the operation may be tried again.  Waits for
 * the disk; not while a snapshot is being made.
 */
bool folder_relieve(struct folder *f);

int folder_statfs(struct folder *f, struct statvfs *out);

/* The path of an inode from the top, for messages. */
void folder_path(struct folder *f, uint64_t ino, char *out, size_t max);

struct folder_state {
	uint64_t dirty_inodes, dirty_bytes; /* changed since the last snapshot */
	uint64_t log_bytes;		    /* on disk */
	int64_t first_change_ms, last_change_ms; /* unix time; 0: clean */
	struct cid root, attrs;		    /* of the last snapshot; version 0xff: none */
	int failed;			    /* why it is read-only, or 0 */
};
void folder_state(struct folder *f, struct folder_state *out);

#endif
