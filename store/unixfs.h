/*
 * The Data of a dag-pb node that is part of a UnixFS tree (wire.md 11.2):
 *	1 Type enum, 2 Data bytes, 3 filesize uint64, 4 blocksizes rep uint64,
 *	5 hashType uint64, 6 fanout uint64, 7 mode uint32,
 *	8 mtime { 1 Seconds int64, 2 FractionalNanoseconds fixed32 }
 * Written in field order.  Pure: nothing is allocated, what is decoded points
 * into the input.
 */
#ifndef STORE_UNIXFS_H
#define STORE_UNIXFS_H

#include "store/buf.h"
#include "store/cursor.h"

enum unixfs_type {
	UNIXFS_RAW = 0,
	UNIXFS_DIRECTORY = 1,
	UNIXFS_FILE = 2,
	UNIXFS_METADATA = 3,
	UNIXFS_SYMLINK = 4,
	UNIXFS_HAMT_SHARD = 5,
};

/* What a node may say of a file's attributes. */
struct unixfs_meta {
	bool has_mode, has_mtime;
	uint32_t mode;
	int64_t mtime;
	uint32_t mtime_nsec;
};

struct unixfs {
	enum unixfs_type type;
	const uint8_t *data; /* borrowed; file bytes, link target or bitfield */
	size_t data_len;
	uint64_t filesize;
	uint64_t hash_type, fanout; /* of a HAMT shard */
	uint32_t mode;       /* all 32 bits: the low 12 are POSIX, the others are kept */
	int64_t mtime;       /* seconds */
	uint32_t mtime_nsec; /* 0..999999999; 0 is not written */
	bool has_data, has_filesize, has_hash_type, has_fanout, has_mode, has_mtime;

	/* Set by decoding only. */
	size_t n_blocksizes;
	uint64_t blocksizes_sum;  /* no overflow: that is ERR_MALFORMED */
	struct cursor blocksizes; /* copy it to go through them */
};

/*
 * Decode.  0 or ERR_MALFORMED: not a protobuf, no Type or one above 5, a known
 * field of the wrong wire type or given twice, nanoseconds over 999999999, sizes
 * whose sum overflows.  Unknown fields are skipped.  What must hold between the
 * fields of a type, and between them and the links, is for unixfs_check().
 */
int unixfs_decode(struct unixfs *out, const void *data, size_t len);

/*
 * The rules of a type, with the number of links of the node: a file has a
 * blocksize for each link and a filesize (if any) that is their sum and its own
 * data; raw nodes and symlinks have no links.  Sets filesize where a file left
 * it out.  0; ERR_MALFORMED; -EFBIG over INT64_MAX; -ENOTSUP for Metadata.
 */
int unixfs_check(struct unixfs *u, size_t n_links);

/*
 * The next blocksize and how many times it stands there in a row, so that a
 * file of a thousand equal chunks is one step.  1, or 0 at the end.
 */
int unixfs_next_sizes(struct cursor *blocksizes, uint64_t *size, size_t *count);

/*
 * Write `u`, the optional fields as the has_… members say (Data is written as
 * `12 00` if has_data with no bytes: Kubo leaves it out of an empty file), and
 * `n` blocksizes behind filesize.
 */
void unixfs_encode(struct buf *out, const struct unixfs *u, const uint64_t *blocksizes,
		   size_t n);

/* Give `u` the attributes (none if NULL). */
void unixfs_set_meta(struct unixfs *u, const struct unixfs_meta *meta);

#endif
