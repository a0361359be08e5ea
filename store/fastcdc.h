/*
 * Cutting bytes where their content says so (FastCDC, Xia et al. 2016): an
 * insertion moves the cuts near it, and no others.  A rolling gear hash is
 * taken from `min` bytes on; a piece ends where its upper bits are zero, more
 * of them before `avg` than behind (normalised), or at `max`.
 *
 * Pure, and independent of how the bytes come in buffers.  What is stored
 * follows from the table and the sizes: changing them makes old pieces useless
 * for new ones, though not unreadable.
 */
#ifndef STORE_FASTCDC_H
#define STORE_FASTCDC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FASTCDC_NORMAL 2 /* bits more before the average, and fewer behind */

extern const uint64_t fastcdc_gear[256];

struct fastcdc {
	uint32_t min, avg, max;
	uint64_t mask_before, mask_behind;
	uint32_t size; /* of the piece so far */
	uint64_t hash;
};

/* 0 < min <= avg <= max; avg is rounded down to a power of two, at least 8, for
 * the hash. */
void fastcdc_init(struct fastcdc *c, uint32_t min, uint32_t avg, uint32_t max);

/*
 * How many of `len` bytes belong to the piece that is open; *cut: it ends
 * there, and the next one begins.  Without a cut it is all of them.
 */
size_t fastcdc_next(struct fastcdc *c, const uint8_t *data, size_t len, bool *cut);

#endif
