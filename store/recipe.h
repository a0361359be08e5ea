/*
 * How a block is made of pieces (doc/formats.md, "Pieces"):
 *
 *	recipe = u64 XXH3-64 of the block | u8 head bytes | u8 tail bytes
 *		 | u16 ranges | head | tail | ranges
 *	range  = piece name (20 bytes) | u32 from | u32 bytes
 *
 * Little-endian.  The block is head, then the ranges, then tail: what wraps a
 * leaf stays out of the pieces, so that they are those of the file.
 */
#ifndef STORE_RECIPE_H
#define STORE_RECIPE_H

#include "store/record.h"

#define RECIPE_WRAP   32  /* bytes of a head or a tail, at most */
#define RECIPE_RANGES 136 /* more than a block of BLOCK_MAX has */
#define RANGE_SIZE    (PIECE_NAME + 8)
#define RECIPE_MAX    (12 + 2 * RECIPE_WRAP + RECIPE_RANGES * RANGE_SIZE)

struct range {
	uint8_t piece[PIECE_NAME];
	uint32_t from, len;
};

struct recipe {
	uint64_t check;
	uint8_t head_size, tail_size;
	uint8_t head[RECIPE_WRAP], tail[RECIPE_WRAP];
	uint32_t n;
	struct range ranges[RECIPE_RANGES];
};

/* The name of a piece: XXH3-128 of its bytes, big-endian, and their number,
 * little-endian. */
void piece_name(uint8_t out[PIECE_NAME], const void *data, size_t len);
uint32_t piece_size(const uint8_t name[PIECE_NAME]);

/* To `out` (RECIPE_MAX bytes of room); returns its size. */
size_t recipe_encode(uint8_t *out, const struct recipe *r);

/* 0, or ERR_CORRUPT: not a recipe of a block of `size` bytes. */
int recipe_decode(struct recipe *out, const uint8_t *in, size_t len, size_t size);

#endif
