/*
 * From a tree to a CAR file (car.h): version 1, one root, the blocks depth first
 * in the order of the links, each once.  The same tree always gives the same
 * bytes, and they are those of `ipfs dag export`: CIDs as the links have them,
 * and identity CIDs, which carry their bytes already, written like all others.
 */
#ifndef STORE_CAR_EXPORT_H
#define STORE_CAR_EXPORT_H

#include "store/source.h"

#include <stdatomic.h>

struct car_export_progress {
	_Atomic uint64_t blocks, bytes;
};

struct car_export_options {
	bool partial;		 /* leave out what the source says is ERR_MISSING */
	const struct cid *since; /* leave out what this tree has; NULL: nothing */
	struct car_export_progress *progress;
	atomic_bool *cancel;
};

struct car_export_result {
	uint64_t blocks;  /* written */
	uint64_t bytes;	  /* of the file */
	uint64_t missing; /* left out, with `partial` */
	struct cid at;	  /* on an error: the block it came upon */
	bool at_since;	  /* and that one is of the old tree */
};

/*
 * Write the tree `root` through write(), which returns 0 or an error that ends
 * it.  The source's get() may wait; soon() is told what comes.  Every block is
 * visited once, however many paths lead to it; memory is 16 bytes a block, and
 * the links between here and the root.
 *
 * With `since`, the old tree is walked first, but for its raw blocks, which
 * link nothing: all others have to be there.
 *
 *   ERR_MISSING    a block is not there, see result->at
 *   ERR_MALFORMED  a block's links cannot be read
 *   -ENOTSUP       or are of a codec or hash we do not know
 *   -EOVERFLOW     more blocks, or more links at once, than we can keep in mind
 *   -ECANCELED, -ENOMEM, or what get() or write() returned
 */
int car_export(struct block_source *s, const struct cid *root,
	       int (*write)(void *arg, const void *data, size_t len), void *arg,
	       const struct car_export_options *o, struct car_export_result *result);

#endif
