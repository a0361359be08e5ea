/*
 * From a UnixFS tree to files on disk.  Nothing is ever written outside the
 * target, whatever the tree says: all paths are opened beneath it, symlinks are
 * made last in their directory and never followed, names are checked (hostile.md 76, 83, 84).
 */
#ifndef STORE_EXPORT_H
#define STORE_EXPORT_H

#include "store/source.h"

#include <stdatomic.h>

struct export_progress {
	_Atomic uint64_t files, bytes, bytes_total;
};

struct export_options {
	bool overwrite; /* replace existing files; otherwise -EEXIST */
	/* Threads to write files with, if the source serves any; 0: the caller's alone,
	 * as with overwrite. */
	int jobs;
	struct export_progress *progress;
	atomic_bool *cancel;
	void (*warn)(void *arg, const char *path, int error);
	void *warn_arg;
};

/*
 * Write the tree `cid` to `target`: the file, symlink or directory itself.  The source's get()
 * may wait (a source that asks the daemon does); soon() is told what comes, so
 * that it can fetch ahead.  Mode and mtime are set where the tree has them,
 * without setuid, setgid and sticky bits.  On an error or cancel the files being
 * written are removed; what was finished stays.  warn() comes once, for the error
 * that is returned, from any of the threads.
 */
int export_tree(struct block_source *s, const struct cid *cid, const char *target,
		const struct export_options *o);

/* Write bytes [offset, offset+len) of a file to `fd` (len UINT64_MAX: all). */
int export_file(struct block_source *s, const struct cid *cid, uint64_t offset,
		uint64_t len, int fd, const struct export_options *o);

#endif
