/*
 * From a frozen view of a folder (folder_snap.h) to trees in the store: what
 * changed is made anew, what did not is taken over by CID, so the cost follows
 * the change.  The root is the CID that `cairn add` gives for the same files.
 */
#ifndef FS_SNAPSHOT_H
#define FS_SNAPSHOT_H

#include "fs/folder_snap.h"

#include <stdatomic.h>

struct snapshot_job {
	struct frozen_view *view;
	/* frozen_read(); several threads. */
	int (*read)(void *arg, const struct frozen_file *file, uint64_t offset, void *buf,
		    size_t len);
	void *arg;
	const struct profile *profile;
	struct block_source *source; /* of the older tree; several threads */
	struct block_sink *sink;     /* several threads */
	unsigned jobs;		     /* threads; 0: as many as CPUs */
	atomic_bool *cancel;	     /* may be NULL: true ends it with -ECANCELED */
};

/*
 * Fill in the answers of the view: the trees of all files, of all directories,
 * and the attributes beside them.  Not yet durable.  0; -ECANCELED; or the first
 * error of edit_file(), edit_dir() or attrs_edit() (ERR_MISSING: a block of the
 * older tree is not here).
 */
int snapshot_build(const struct snapshot_job *job);

#endif
