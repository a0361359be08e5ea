/*
 * The shape of a file's tree, of which everything but the CIDs follows from the
 * profile and the file's size: how many leaves, how many nodes on each level,
 * and the size and Tsize of each.  So a node that somebody made can be checked,
 * byte by byte, for being what build_file.h would have made of such children.
 * Private to the editing of files.
 *
 * Level 0 are the leaves.  All trees on a level are full but the last.
 */
#ifndef STORE_FILE_SHAPE_H
#define STORE_FILE_SHAPE_H

#include "store/build_file.h"
#include "store/dag_internal.h"

struct file_shape {
	const struct profile *profile;
	uint64_t size;
	uint64_t leaves; /* at least 1 */
	unsigned depth;	 /* level of the root */
	/* Leaves of a full tree on each level; UINT64_MAX if that is more. */
	uint64_t span[BUILD_LEVELS + 1];
	/* Of a full tree below the root's level, and of the last on each. */
	uint64_t full_size[BUILD_LEVELS + 1], full_tsize[BUILD_LEVELS + 1];
	uint64_t last_size[BUILD_LEVELS + 1], last_tsize[BUILD_LEVELS + 1];
};

/* 0; -EFBIG: more leaves or bytes than a tree can have. */
int file_shape_init(struct file_shape *s, const struct profile *p, uint64_t size);

/* Where the tree `index` on `level` ends: the number of leaves up to there. */
uint64_t file_shape_end(const struct file_shape *s, unsigned level, uint64_t index);

/* What a parent has to know of that tree, but for its CID. */
void file_shape_numbers(const struct file_shape *s, unsigned level, uint64_t index,
			struct built *out);

/* True if `cid` may name a tree on that level under the profile. */
bool file_shape_names(const struct file_shape *s, unsigned level, const struct cid *cid);

/*
 * Compare a node, which is the tree `index` on a level above 0: 1 if it is as
 * the builder makes it, 0 if not, or -ENOMEM.  The root may have attributes.
 */
int file_shape_check(const struct file_shape *s, unsigned level, uint64_t index,
		     const struct dag_node *n);

#endif
