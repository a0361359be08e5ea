/*
 * From files on disk to a UnixFS tree in the store, with the CIDs that
 * `ipfs add` gives under the same profile (IPIP-0499).
 */
#ifndef STORE_IMPORT_H
#define STORE_IMPORT_H

#include "store/store.h"

#include <stdatomic.h>

/* How files become blocks: everything a CID depends on. */
struct profile {
	const char *name;
	int cid_version;
	bool raw_leaves;
	uint32_t chunk_size;
	uint32_t max_links;	   /* per node of a file */
	uint32_t hamt_fanout;	   /* 256 */
	uint32_t hamt_threshold;   /* bytes; a directory above it is sharded */
	bool hamt_by_block_size;   /* measure the block, else names + CIDs */
};

/* By name; NULL if unknown.  "unixfs-v1-2025" is the default. */
const struct profile *profile_find(const char *name);
/* All of them, ended by NULL. */
extern const struct profile *const profiles[];

struct import_progress {
	_Atomic uint64_t files, bytes;	       /* done so far */
	_Atomic uint64_t files_total, bytes_total; /* found so far by the walk */
};

struct import_options {
	const struct profile *profile;
	bool hidden; /* take dot files inside a directory too */
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
 */
int import_path(struct store *s, const char *path, const struct import_options *o,
		struct import_result *out);

/* Add the bytes of a descriptor (a pipe) as one file. */
int import_fd(struct store *s, int fd, const struct import_options *o,
	      struct import_result *out);

#endif
