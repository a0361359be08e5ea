/*
 * Making the tree of a file from its older tree and what changed in it: the
 * result is what build_file.h gives for the whole content, at the cost of the
 * change.  Only leaves that changed are made, and only the nodes above them
 * read and made; all else is taken over by CID.
 *
 * That works because a tree of fixed-size leaves is fixed by the file's size,
 * but for the CIDs: every number in every node follows from it.  So each node
 * that is read is compared with what must stand there; if it differs (another
 * chunk size, another layout), the content is read and the tree built anew.
 * Sub-trees that nobody had to read are believed to be what their sizes say.
 * What is taken over is not looked for in any store: the older tree must be kept
 * until the new one is.
 */
#ifndef STORE_EDIT_FILE_H
#define STORE_EDIT_FILE_H

#include "store/build_file.h"
#include "store/source.h"

#define EDIT_FILE_MAX ((uint64_t)1 << 62) /* bytes of a file */
#define EDIT_READ_MAX ((uint64_t)1 << 42) /* that are read, of another's tree */

/* Bytes [from, to) are not those of the older tree. */
struct file_change {
	uint64_t from, to;
	bool hole; /* they are zeros, else read() has them */
};

struct file_edit {
	const struct cid *old; /* NULL: there is no older tree */
	uint64_t size;	       /* of the file now */
	/*
	 * In order, not overlapping, none empty, none behind `size`.  What no range
	 * covers is as in the older tree, and zeros behind its end: so a file that
	 * was cut and has grown again needs a hole for what it lost.
	 */
	const struct file_change *changes;
	size_t n;
	/* All `len` bytes at `offset`, which lie in one range that is no hole: 0 or
	 * a negative error, which is passed on. */
	int (*read)(void *arg, uint64_t offset, void *buf, size_t len);
	void *arg;
};

/*
 * Make the tree; `misses` is as in dag.h, and NULL if the source waits.  Leaves
 * that follow each other go to a sink that ends in a store as a stream.  In
 * memory are a leaf and the nodes of one path.  Any error of the source ends it,
 * so that is where a long one can be cancelled.  A profile that cuts by content
 * (chunker.kind) is -EINVAL.
 *   -EINVAL     also ranges that are not as above
 *   -EFBIG      over EDIT_FILE_MAX, or more leaves than BUILD_LEVELS can hold; or
 *               over EDIT_READ_MAX would have to be read of a tree that is not of
 *               the profile's shape (hostile.md 80)
 *   ERR_MISSING call again when the blocks noted are here; blocks that were
 *               made are put again then
 *   -EISDIR, ... of dag.h for the older tree; of read(); of the sink; -ENOMEM
 */
int edit_file(const struct profile *p, struct block_source *source,
	      struct block_sink *sink, const struct file_edit *e, struct built *out,
	      struct misses *misses);

#endif
