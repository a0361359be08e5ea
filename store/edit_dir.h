/*
 * Making the node of a directory from its older one and what changed in it:
 * the result is what build_dir() gives for the whole set of entries, plain or
 * HAMT.  Of a HAMT only shards on the way to a change are read and made.
 *
 * A HAMT is believed to be above the threshold while nothing makes it smaller;
 * else its entries are counted until they pass it.  A shard that is read and is
 * not as the profile makes it (wire.md 11.4) has the whole built anew.  Entries
 * that no file system can hold (hostile.md 76) are left out of what is made, and
 * so are attributes in the older node.  The older one must be kept until the new
 * one is, as of edit_file.h.
 */
#ifndef STORE_EDIT_DIR_H
#define STORE_EDIT_DIR_H

#include "store/build_dir.h"
#include "store/source.h"

/*
 * Make the directory; `old` is NULL if there is none.  `changes` are in order
 * of their names, one for each: the new link, or with cid_len 0 that the entry
 * goes (if it is there).  `misses` is as in dag.h, and NULL if the source waits.
 *   -EINVAL      a name that may not be, or names out of order
 *   -ENAMETOOLONG, -EOVERFLOW, ERR_MALFORMED, sink's errors  as of build_dir()
 *   ERR_MISSING  call again when the blocks noted are here
 *   -ENOTDIR, ... of dag.h for the older one; -ENOMEM
 */
int edit_dir(const struct profile *p, struct block_source *source,
	     struct block_sink *sink, const struct cid *old,
	     const struct dir_links *changes, struct built *out, struct misses *misses);

/* The same with changes in an array. */
int edit_dir_array(const struct profile *p, struct block_source *source,
		   struct block_sink *sink, const struct cid *old,
		   const struct dir_link *changes, size_t n, struct built *out,
		   struct misses *misses);

#endif
