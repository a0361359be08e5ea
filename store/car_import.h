/*
 * From a CAR file (car.h) into a store: each block is compared with its CID and
 * kept only if it is right.  The first thing that is wrong ends it; what was
 * kept before stays.
 */
#ifndef STORE_CAR_IMPORT_H
#define STORE_CAR_IMPORT_H

#include "store/car.h"
#include "store/sink.h"

#include <stdatomic.h>

struct car_import_progress {
	_Atomic uint64_t blocks, bytes; /* bytes of the file */
};

struct car_import_options {
	struct car_import_progress *progress;
	atomic_bool *cancel;
};

struct car_import_result {
	uint64_t blocks, bytes; /* kept, and of their content */
	struct cid cid;		/* on an error of a block: which */
	uint64_t at;		/* and where in the file */
	bool in_block;		/* such an error, and not one of the file */
};

/*
 * All sections of `r` (opened without `heads`) into the sink.
 *   ERR_CORRUPT             a block is not what its CID says
 *   -ENOTSUP, ERR_MALFORMED with in_block: its hash is one we do not take
 *   what car_next() or the sink returned, or -ECANCELED
 */
int car_import(struct car_reader *r, struct block_sink *sink,
	       const struct car_import_options *o, struct car_import_result *result);

#endif
