/*
 * Whether a HAMT is as large as it has to be: told from as few of its shards as
 * that takes.
 * Private to the editing of directories.
 */
#ifndef STORE_HAMT_SIZE_H
#define STORE_HAMT_SIZE_H

#include "store/build_dir.h"
#include "store/dag_internal.h"

/*
 * 1 if what the profile measures of the directory (dir_link_measure() of all
 * entries, and an empty node's 4 bytes if it measures blocks) exceeds `size`, 0
 * if not, or an error as of dag_list().  `root` is the node of `dir`.
 */
int hamt_exceeds(const struct profile *p, struct block_source *s, const struct cid *dir,
		 const struct dag_node *root, int64_t size, struct misses *misses);

#endif
