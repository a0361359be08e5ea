/*
 * Blocks and pieces that are in a segment but not yet in the index: a table
 * from name to place, filled by puts and emptied by a flush.  Locking is its
 * owner's.
 */
#ifndef STORE_PENDING_H
#define STORE_PENDING_H

#include "store/record.h"

#include <stdatomic.h>

struct pending_entry {
	struct place at;
	uint64_t hash;
	atomic_bool dead; /* found damaged: not to be indexed */
	uint8_t name_size;
	uint8_t name[];
};

struct pending {
	struct pending_entry **list; /* in the order they came; sorted by a flush */
	size_t n, list_cap;
	struct pending_entry **slots; /* open addressing; a power of two */
	size_t slot_count;
	struct pending_chunk *chunks; /* where the entries lie */
	size_t blocks;                /* those that are no pieces */
	uint64_t bytes;               /* of the blocks */
	uint64_t stored;              /* in segments, of all: counted by the owner */
};

/* 0 or -ENOMEM, which changes nothing. */
int pending_add(struct pending *t, const struct record_name *name,
		const struct place *at);

/* The newest live entry of that name, or NULL. */
struct pending_entry *pending_find(const struct pending *t,
				   const struct record_name *name);

/* Put the list into the order of the index.  Finding goes on meanwhile. */
void pending_sort(struct pending *t);

void pending_clear(struct pending *t); /* empties, and frees most memory */
void pending_release(struct pending *t);

#endif
