/*
 * One directory of an old version, the UnixFS tree and the attributes beside it
 * taken together; for putting old versions back.
 */
#ifndef FS_VERSION_H
#define FS_VERSION_H

#include "fs/folder_snap.h"

/* A place in a version: what is there, and what is said of it. */
struct version_node {
	struct cid cid;	  /* version 0xff: a special file, which is in the attributes alone */
	struct cid attrs; /* of a directory: its node; version 0xff: none */
};

struct version_entry {
	const char *name; /* NUL-terminated */
	uint64_t tsize;
	struct version_node node;
	struct attrs_entry self; /* of what is no directory */
};

/* The entries, in order of their names (bytes). */
struct version_dir {
	struct version_entry *entries;
	size_t n, room;
	struct buf bytes; /* names and extended attributes */
};

/*
 * Blocks come from a source that waits.  Errors: those of dag.h and attrs.h.
 */

/* All of a directory; a node with cid.version 0xff has no entries. */
int version_dir_load(struct version_dir *out, struct block_source *s, const struct version_node *dir);
void version_dir_release(struct version_dir *d);
struct version_entry *version_dir_find(const struct version_dir *d, const char *name);

/* Do two entries say the same, in all that can be seen? */
bool version_entry_same(const struct version_entry *a, const struct version_entry *b);

/*
 * What folder_graft() wants to know of an entry.  Its attributes point into the entry,
 * or into *hold, a reference the caller owns afterwards (may be NULL).
 */
int version_entry_graft(struct block_source *s, const struct version_entry *e,
			struct folder_graft *out, struct block **hold);

/* What is said of a directory itself; nothing if nothing is. */
int version_self(struct block_source *s, const struct version_node *dir,
		 struct attrs_entry *out, struct block **hold);

#endif
