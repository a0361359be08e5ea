/*
 * What the attributes DAG says of clean things, for a folder.
 */
#ifndef FS_FOLDER_CLEAN_ATTRS_H
#define FS_FOLDER_CLEAN_ATTRS_H

#include "fs/attrs.h"

/*
 * Of the entry `name` of the directory with node `dir` (version 0xff: none).  For a
 * directory that is what its own node says, and *sub is that node.  What is not said
 * leaves *out and *sub as they are.  *hold is what *out points into; the caller
 * releases it.  0, or an error.
 */
int clean_attrs(struct block_source *s, const struct cid *dir, const char *name, size_t len,
		bool is_dir, struct attrs_entry *out, struct cid *sub, struct block **hold,
		struct misses *misses);

/* Of a directory itself, by its node. */
int clean_self(struct block_source *s, const struct cid *node, struct attrs_entry *out,
	       struct block **hold, struct misses *misses);

/* The special entries of a directory's node, from number `from` on: each() returns
 * non-zero to stop, which is passed on. */
int clean_specials(struct block_source *s, const struct cid *node, uint64_t from,
		   int (*each)(void *arg, const char *name, size_t len,
			       const struct attrs_entry *a, uint64_t number),
		   void *arg, struct misses *misses);

#endif
