/*
 * The map of a changed file: which ranges of it are not what its base says,
 * and where they lie instead.  What no extent covers is the base, or zeros
 * behind the end of the base.
 *
 * A sorted sequence in leaves of up to 128, so that a file of one extent costs
 * little and one of a million is changed in microseconds.  Pure: no I/O, no lock.
 */
#ifndef FS_EXTENTS_H
#define FS_EXTENTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct extent {
	uint64_t offset, len; /* in the file; len > 0, the end fits */
	uint64_t born;	      /* number of the record that put it there */
	uint32_t segment;     /* of the log; 0: a hole */
	uint32_t at;	      /* in the segment; 0 of a hole */
};

struct extent_leaf;

/* All zeros is an empty map. */
struct extents {
	struct extent_leaf **leaves; /* none is empty */
	uint32_t n, cap;
	uint64_t count;	      /* extents */
	uint64_t data, holes; /* bytes covered by either kind */
};

/* Told of each change of the bytes of a segment that are in use. */
struct extents_live {
	void (*change)(void *arg, uint32_t segment, int64_t bytes);
	void *arg;
};

void extents_release(struct extents *m); /* tells nobody */
/* Drop all, telling. */
void extents_clear(struct extents *m, const struct extents_live *live);

/* Put an extent over whatever was there.  0, or -ENOMEM: nothing changed. */
int extents_put(struct extents *m, const struct extent *e, const struct extents_live *live);

/* Nothing from `size` on is covered any more. */
void extents_cut(struct extents *m, uint64_t size, const struct extents_live *live);

/*
 * A snapshot has made everything that was born up to `born` its new base: drop
 * the data, keep the holes (they are in the base as zeros now).
 */
void extents_settle(struct extents *m, uint64_t born, const struct extents_live *live);

/* A place in a map; any change of the map ends it. */
struct extents_at {
	uint32_t leaf, i;
};
/* The first extent that ends behind `offset`; NULL if there is none. */
const struct extent *extents_seek(const struct extents *m, uint64_t offset,
				  struct extents_at *at);
/* The one after it. */
const struct extent *extents_next(const struct extents *m, struct extents_at *at);

#endif
