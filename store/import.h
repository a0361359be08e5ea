/*
 * From files on disk to a UnixFS tree in the store, with the CIDs that
 * `ipfs add` gives under the same profile (IPIP-0499).
 */
#ifndef STORE_IMPORT_H
#define STORE_IMPORT_H

#include "store/ignore.h"
#include "store/profile.h"
#include "store/seen.h"
#include "store/sink.h"
#include "store/store.h"
#include "store/unixfs.h"

#include <stdatomic.h>

struct import_progress {
	_Atomic uint64_t files, bytes;	       /* done so far */
	_Atomic uint64_t files_total, bytes_total; /* found so far by the walk */
};

/*
 * What of a file's attributes goes into its node.  Kubo's form: mode and mtime
 * of files and directories are written whatever they are (but a file's mode of
 * 0), symlinks have an mtime alone; and there must be no raw leaves, which have
 * no room for them.
 */
struct import_meta {
	bool keep_mode, keep_mtime; /* as the file system has them */
	struct unixfs_meta fixed;   /* for all, instead */
};

struct import_options {
	const struct profile *profile;
	struct import_meta meta;
	bool hash_only; /* compute CIDs, store nothing: the store may be NULL */
	/* Where blocks go instead of the store, which may then be NULL; nothing is
	 * synced.  Put to by several threads, unless jobs is 1. */
	struct block_sink *sink;
	bool hidden; /* take dot files inside a directory too */
	/* What to leave out, as seen from the topmost directory; may be NULL. */
	const struct ignore *exclude;
	bool no_ignore_files; /* .cairnignore means nothing */
	/* Files known from before, which are not read again; may be NULL. */
	struct seen *seen;
	int jobs;    /* threads; 0: as many as CPUs */
	struct import_progress *progress; /* may be NULL; watched by other threads */
	atomic_bool *cancel;		  /* may be NULL; true stops with -ECANCELED */
	/* Told of what was left out (sockets, devices: -ENOTSUP) and of the path
	 * an error is about, from any thread, one at a time; may be NULL. */
	void (*warn)(void *arg, const char *path, int error);
	void *warn_arg;
};

struct import_result {
	struct cid root;
	uint64_t tsize; /* cumulative size of the root, as a link to it would say */
	uint64_t files, dirs, symlinks, bytes;
};

/*
 * Add a file, directory or symlink.  Does not follow symlinks below `path`
 * (path itself is lstat'ed too).  Waits for the disk; memory stays bounded
 * whatever the tree.  When it returns 0 everything is in the store and
 * store_sync() has succeeded, so the CID may be printed.
 * A file that changes while it is read is read again; after three times -EAGAIN.
 * -EINVAL: metadata under a profile with raw leaves.
 */
int import_path(struct store *s, const char *path, const struct import_options *o,
		struct import_result *out);

/* Add the bytes of a descriptor (a pipe) as one file, with options->meta.fixed. */
int import_fd(struct store *s, int fd, const struct import_options *o,
	      struct import_result *out);

/* One of the things that import_wrap() puts into a directory. */
struct import_named {
	const char *name;
	struct cid cid;
	uint64_t tsize;
};

/*
 * Make a directory of things that were added before, in any order.  Like
 * import_path() it has synced when it returns.  *out counts the directory alone.
 * -EEXIST: two of one name.  -EINVAL: a name that no directory can have.
 */
int import_wrap(struct store *s, const struct import_named *named, size_t n,
		const struct import_options *o, struct import_result *out);

#endif
