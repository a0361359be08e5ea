/*
 * Walking what is to be imported: depth first, each directory's entries in
 * bytewise order of their names, no symlink followed, nothing recursing.
 * Private to the import.
 */
#ifndef STORE_IMPORT_WALK_H
#define STORE_IMPORT_WALK_H

#include "store/build_file.h"
#include "store/dirstack.h"
#include "store/ignore.h"

#include <stdatomic.h>

enum entry_type { ENTRY_FILE, ENTRY_DIR, ENTRY_SYMLINK, ENTRY_OTHER };

struct entry {
	uint32_t name; /* where it begins in the names, NUL-terminated */
	uint16_t name_len; /* of the topmost: its path */
	uint8_t type; /* enum entry_type */
};

/* What became of an entry; no CID while it is not done, or if left out. */
struct entry_result {
	uint64_t tsize;
	uint8_t cid_len;
	uint8_t cid[]; /* as many bytes as the profile's longest */
};

/*
 * The entries of a directory.  Held by the walk until it has gone through them,
 * by each sub-directory, and by each entry in work: when the last hold goes, all
 * its results are there.
 */
struct dir {
	struct dir *parent; /* held; NULL at the top */
	uint32_t index;	    /* its entry there */
	atomic_uint holds;
	uint32_t n;
	struct entry *entries;
	/* The walk leaves these NULL: for whoever walks. */
	uint8_t *results; /* struct entry_result, a fixed number of bytes each */
	struct unixfs_meta *meta;
	struct buf names;
};

static inline const char *dir_name(const struct dir *d, uint32_t i)
{
	return (const char *)d->names.data + d->entries[i].name;
}

/* The path of an entry, NUL-terminated in *out. */
void dir_path(const struct dir *d, uint32_t index, struct buf *out);

/* A directory that is not one: what is imported is its only entry.  NULL without memory. */
struct dir *dir_new_top(const char *path);

/* For whoever drops the last hold: frees it, not its parent. */
void dir_free(struct dir *d);

struct walker {
	bool hidden;		 /* dot files too */
	bool ignore_files;	 /* .cairnignore counts */
	const struct ignore *exclude; /* before these; may be NULL */
	/*
	 * A directory was listed, which is open as `fd`; the topmost is one with
	 * `path` as its only entry, and AT_FDCWD.  Non-zero ends the walk.
	 */
	int (*enter)(struct walker *w, struct dir *d, int fd);
	/* An entry that is not a directory, beneath `at` (NULL: the current one). */
	int (*entry)(struct walker *w, struct dir *d, uint32_t index, struct dirref *at);
	/* Takes the walk's hold; comes once for each directory, also on errors. */
	void (*leave)(struct walker *w, struct dir *d);
	/* The entry an error of walk() is about. */
	void (*failed)(struct walker *w, struct dir *d, uint32_t index, int error);
};

/* 0, an error, or what enter() or entry() returned. */
int walk(struct walker *w, const char *path);

#endif
