/*
 * What lies in a segment (doc/formats.md, "The block store"): a header, then
 * records behind each other, each beginning at a multiple of 8.
 *
 *	header = "cairnseg" | u32 version | u32 number | u32 log | u32 0
 *		 | u64 XXH3-64 of the 24 bytes before
 *	record = u32 magic | u8 kind | u8 encoding | u16 name bytes
 *		 | u32 stored bytes | u32 size | u64 XXH3-64 of the stored bytes
 *		 | u64 header check | name | stored bytes | 0 up to a multiple of 8
 *
 * A bundle is several small blocks in one record (bundle.h).
 *
 * Little-endian.  The header check covers the first 24 bytes and the name, and
 * is seeded with the record's place, so that a record cannot pass for another.
 */
#ifndef STORE_RECORD_H
#define STORE_RECORD_H

#include "store/block.h"

#define SEGMENT_HEADER  32
#define SEGMENT_MAX     (256u << 20)
#define SEGMENT_VERSION 2 /* 1 has no bundles */
#define LOG_KEEP        0 /* what was added, imported, pinned */
#define LOG_CACHE       1 /* what was fetched to be read; blocks alone, whole and raw */
#define LOGS            2

#define RECORD_MAGIC    0x43455243u /* "CREC" */
#define RECORD_HEADER   32
#define RECORD_NAME_MAX MULTIHASH_SIZE_MAX
#define RECORD_BLOCK    1 /* kind: the bytes of a block, whole */
#define RECORD_PIECE    2 /* bytes that blocks are made of (piece name) */
#define RECORD_RECIPE   3 /* a block, made of pieces (recipe.h) */
#define RECORD_BUNDLE   4 /* blocks in one frame (bundle.h) */
#define ENCODING_RAW    0
#define ENCODING_ZSTD   1 /* one frame, of at most PIECE_MAX bytes */

#define PIECE_MAX  (256u << 10)
#define PIECE_NAME 20 /* bytes of a piece's name */

#define BUNDLE_NAME      4           /* bytes in the place of a name */
#define BUNDLE_TABLE_MAX (16u << 10) /* before the frame */
#define BUNDLE_MAX       PIECE_MAX   /* bytes of all members */

/*
 * Where a record lies: what the index knows of a block or a piece.  Of a member
 * of a bundle, segment, offset and stored bytes are the bundle's; segment 0 is
 * one that still lies in memory.
 */
struct place {
	uint32_t segment, offset;
	uint32_t stored; /* bytes in the segment */
	uint32_t size;   /* bytes of the block or piece */
	uint8_t kind;
	uint8_t log;
};

struct record {
	uint8_t kind, encoding;
	uint16_t name_size;
	uint32_t stored, size;
	uint64_t check; /* of the stored bytes */
};

/* A name as it stands in records and in the index. */
struct record_name {
	uint64_t hash; /* for tables in memory; strangers cannot foresee it */
	bool piece;    /* names of blocks and of pieces are two spaces, */
	uint8_t log;   /* and those of blocks in the cache log a third */
	uint8_t size;
	uint8_t bytes[RECORD_NAME_MAX];
};
/* In the keep log. */
void record_name(struct record_name *out, const struct multihash *name, uint64_t seed);
/* From the name as a record has it (at most RECORD_NAME_MAX bytes). */
void record_name_of(struct record_name *out, uint8_t kind, const uint8_t *name,
		    size_t name_size, uint64_t seed);

/* Bytes of a whole record, with its padding. */
static inline uint32_t record_span(uint32_t name_size, uint32_t stored)
{
	return (RECORD_HEADER + name_size + stored + 7) & ~7u;
}

uint64_t record_check(const void *data, size_t len);

/* Write header and name to `out` (RECORD_HEADER + name_size bytes of room). */
void record_encode(uint8_t *out, const struct record *r, const uint8_t *name,
		   uint32_t segment, uint32_t offset);

/*
 * Read a header of which `len` bytes are here, without its check: 0, or
 * ERR_CORRUPT.  Sizes are within bounds then.
 */
int record_decode(struct record *out, const uint8_t *in, size_t len);

/* True if header and name (which follows it in memory) belong to that place. */
bool record_sound(const struct record *r, const uint8_t *in, uint32_t segment,
		  uint32_t offset);

void segment_header_encode(uint8_t out[SEGMENT_HEADER], uint32_t number, uint8_t log);
/* The log, ERR_NEWER, or ERR_CORRUPT. */
int segment_header_check(const uint8_t in[SEGMENT_HEADER], uint32_t number);
/* Of a checked one: may records of every kind be added behind it? */
bool segment_header_current(const uint8_t in[SEGMENT_HEADER]);

#endif
