/*
 * What a snapshot needs of a folder: a frozen view of everything that changed
 * since the last one, which stays as it is while programs go on, and the way to
 * tell the folder what became of it.
 *
 *	folder_freeze --> build files, directories, attributes (fs/snapshot.c) -->
 *	store_sync --> folder_thaw
 *
 * A folder has one frozen view at a time.
 */
#ifndef FS_FOLDER_SNAP_H
#define FS_FOLDER_SNAP_H

#include "fs/attrs.h"
#include "fs/folder.h"

struct frozen;

/* A range of a file that is not what the base says. */
struct frozen_range {
	uint64_t offset, len;
	bool hole; /* zeros */
};

/* A file or symlink whose content changed, or is new. */
struct frozen_file {
	uint64_t ino;
	mode_t type;	 /* S_IFREG or S_IFLNK */
	struct cid base; /* version 0xff: none */
	uint64_t base_size; /* bytes of the base that still count */
	uint64_t size;
	const struct frozen_range *ranges; /* sorted, apart */
	size_t n_ranges;
	const char *target; /* of a symlink */
	/* the answer */
	struct cid cid;
	uint64_t tsize;
};

/* What became of a name. */
struct frozen_entry {
	const char *name;
	uint16_t name_len;
	bool removed;	     /* from the directory's listing: gone, or has no UnixFS form now */
	struct frozen_file *file; /* changed content; or */
	struct frozen_dir *dir;	  /* a changed directory; or, if both are NULL, */
	struct cid cid;		  /* an object as it was, at a new name or with new attributes */
	uint64_t tsize;
	bool special;		     /* a FIFO, socket or device: attributes alone */
	bool attrs_changed;	     /* *attrs is its new entry in the attributes DAG */
	bool attrs_removed;	     /* it has none any more */
	struct attrs_entry attrs;    /* borrowed from the frozen view */
	struct cid sub_attrs;	     /* of an unchanged directory: its node; version 0xff: none */
};

/* A directory with changed entries, or new, or changed attributes below. */
struct frozen_dir {
	uint64_t ino;
	struct cid base, base_attrs; /* version 0xff: none */
	struct frozen_entry *entries; /* sorted by name (bytes) */
	size_t n_entries;
	/* the answer */
	struct cid cid, attrs; /* attrs.version 0xff: needs none */
	uint64_t tsize;
};

struct frozen_view {
	struct frozen_file *files;
	size_t n_files;
	struct frozen_dir *dirs; /* children before their parents; the last is the top */
	size_t n_dirs;
	bool top_attrs_changed;
	struct attrs_entry top_attrs; /* of the top directory itself */
};

/* 1 and a view; 0 if nothing changed; an error. */
int folder_freeze(struct folder *f, struct frozen **out);
struct frozen_view *frozen_view(struct frozen *z);
/* Bytes of a frozen file as they were, within its ranges.  Any thread. */
int frozen_read(struct frozen *z, const struct frozen_file *file, uint64_t offset, void *buf,
		size_t len);

/*
 * All answers are filled in and durable in the store: they become the base, and
 * the log gives up what it held for them.  0 or why the log could not note it.
 */
int folder_thaw(struct folder *f, struct frozen *z);
/* The snapshot failed: everything is as if it had not been begun. */
void folder_unfreeze(struct folder *f, struct frozen *z);

/*
 * Put an old version of something at a name, by reference and in one operation, in
 * the place of whatever is there, a directory with all that is in it included.  What
 * is open or mapped of that lives on without a name.  It is a new inode, clean below
 * but for its name.  `what` is NULL: only remove; -ENOENT if there is nothing.
 * The directory itself is -EINVAL to replace; otherwise as folder_rename().
 */
struct folder_graft {
	mode_t type;		  /* S_IFREG, S_IFDIR, S_IFLNK; special ones: by attrs.special */
	struct cid cid;		  /* of its content; version 0xff if it is special */
	uint64_t size, tsize;	  /* size: of a file */
	struct attrs_entry attrs; /* of the thing itself; borrowed */
	struct cid sub_attrs;	  /* of a directory: its node; version 0xff: none */
};
int folder_graft(struct folder *f, uint64_t dir, const char *name,
		 const struct folder_graft *what, struct lack *lack);

/*
 * Trees that together have all that the folder stands on: the last snapshot's, and what
 * may be in none: bases of files and directories that changed or were put back since, or
 * are open without a name, listings still in use, and their attributes; some more than
 * once.  So the list grows with the changes.  What takes their place meanwhile is
 * not told.  each() returns non-zero to stop, which is passed on; or an error of the table.
 */
int folder_each_base(struct folder *f, int (*each)(void *arg, const struct cid *tree),
		     void *arg);

#endif
