/*
 * What a store spends its room on: how much the blocks of the keep log have in common,
 * and how well they compress; and which pin holds how much.
 */
#ifndef STORE_MEASURE_H
#define STORE_MEASURE_H

#include "store/pin.h"
#include "store/store.h"

#include <stdatomic.h>

struct store_measure {
	uint64_t blocks, bytes; /* of the keep log, and their content */
	uint64_t pieces;
	uint64_t unique; /* bytes of content, each stored once */
	uint64_t stored; /* bytes that these take, compressed, with names and recipes */
};
/* Goes through the index alone.  0 or an error of it. */
int store_measure(struct store *s, struct store_measure *out);

struct pin_size {
	struct pin pin;
	uint64_t blocks, bytes;	    /* of the tree, as far as it is here */
	uint64_t exclusive;	    /* bytes of blocks that no other pin leads to */
	bool partial;		    /* something of it is not here */
};

/*
 * The size of each pin, in an array to free(); reads all nodes of all trees.  Bytes are
 * those of content.  Two pins of one CID share all of it.
 * -ECANCELED; -EOVERFLOW (more blocks than can be kept in mind); -ENOMEM; an I/O error.
 */
int pins_measure(struct store *s, struct pins *pins, atomic_bool *cancel,
		 struct pin_size **out, size_t *n);

#endif
