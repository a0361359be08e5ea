/*
 * The older tree of a file that is edited: if it is of the profile's shape, any
 * tree in it can be had by level and number, and of the nodes those on the way
 * to the last one are held.  So going through it in order reads each node once.
 * Private to the editing of files.
 */
#ifndef STORE_OLD_FILE_H
#define STORE_OLD_FILE_H

#include "store/file_shape.h"

/* Not an error number: the tree is not of the profile's shape after all. */
#define OLD_FILE_FOREIGN 1

struct old_file {
	const struct profile *profile;
	struct block_source *source;
	struct misses *misses;
	const struct cid *root;
	uint64_t size;
	bool shaped;  /* it is of the profile's shape, as far as was seen: */
	bool dressed; /* but for attributes in its root */
	struct file_shape shape;
	struct {
		struct dag_node node; /* block is NULL: not read */
		uint64_t index;
		struct cursor links;
		uint64_t next; /* child that `links` has next */
	} way[BUILD_LEVELS + 1]; /* by level; of level 0 a leaf */
};

/*
 * Look at the root; *o is zeroed before.  If it is not of the shape, that and
 * its size are all that is known.  -EISDIR, -EINVAL (a symlink), or as of dag.h;
 * the caller releases it in any case.
 */
int old_file_open(struct old_file *o, const struct profile *p, struct block_source *source,
		  const struct cid *root, struct misses *misses);

/* The tree `index` on `level`.  0, OLD_FILE_FOREIGN, or an error. */
int old_file_tree(struct old_file *o, unsigned level, uint64_t index, struct built *out);

/*
 * Have leaf `index` as way[0].node, or when `noting` only note it if it is
 * lacking.  0, OLD_FILE_FOREIGN, or an error.
 */
int old_file_leaf(struct old_file *o, uint64_t index, bool noting);

/* Lets go of all nodes; what is left is the size of a tree that has no shape. */
void old_file_release(struct old_file *o);

#endif
