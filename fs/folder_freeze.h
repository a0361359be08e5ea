/*
 * What a frozen view is made of: folder_freeze.c makes it, folder_thaw.c tells the
 * folder what became of it.
 */
#ifndef FS_FOLDER_FREEZE_H
#define FS_FOLDER_FREEZE_H

#include "fs/folder_internal.h"
#include "fs/folder_snap.h"

/* What a file of the view has besides. */
struct frozen_content {
	struct frozen_range *ranges;
	struct extent *extents; /* those of the log, to be read; `n_extents` of them */
	size_t n_extents;
	uint64_t cut; /* the smallest size it had since */
};

/* A name that will be as the snapshot has it. */
struct settling {
	uint64_t dir;
	const char *name;
	uint8_t len;
	bool snapped;
};

/* A name that is in the view, perhaps for more than one reason. */
struct noted {
	const char *name;
	size_t len;
};

/* A directory of the view, while it is made. */
struct freezing_dir {
	struct inode *inode;
	uint32_t depth;
	struct noted *names;
	size_t n, cap;
};

struct frozen {
	struct folder *folder;
	struct frozen_view view;
	struct frozen_content *contents; /* one for each file */
	uint64_t number;		 /* the last record that it has seen */
	uint64_t *inodes;		 /* whose attributes it has */
	struct settling *settling;
	size_t n_inodes, cap_inodes, n_settling, cap_settling;
	/* only while it is made */
	struct freezing_dir *dirs;
	size_t n_dirs, cap_dirs, filled;
	struct buf *held; /* memory of names and attributes */
	size_t n_held, cap_held;
};

void frozen_free(struct frozen *z);

#endif
