/*
 * A directory that is read whole, merged with changes, and built anew: what
 * edit_dir.h does where there is nothing to take over.  Its entries are in
 * memory, as compact as they are in its blocks.
 * Private to the editing of directories.
 */
#ifndef STORE_DIR_WHOLE_H
#define STORE_DIR_WHOLE_H

#include "store/build_dir.h"
#include "store/source.h"

/* edit_dir(), of checked changes. */
int dir_whole_edit(const struct profile *p, struct block_source *source,
		   struct block_sink *sink, const struct cid *old,
		   const struct dir_links *changes, struct built *out,
		   struct misses *misses);

#endif
