/*
 * Bytes as they are stored: compressed if that saves an eighth, else raw.  What
 * comes back from a disk may be anything: the frame must be one, must say its
 * size and give just that, and nothing is allocated for it.
 */
#ifndef STORE_PACK_H
#define STORE_PACK_H

#include "store/record.h"

#define PACK_MAX PIECE_MAX
/* A block that comes alone, most often from a peer, comes slowly, and has a frame to
 * itself, so time is spent on it, the more the shorter it is.  Bundles and pieces are
 * added by the gigabyte: twice the level would be half of the speed, and save two
 * hundredths (of a source tree, in bundles of this size). */
#define PACK_SHORT	 (64u << 10)
#define PACK_LEVEL_SHORT 5
#define PACK_LEVEL_ALONE 3
#define PACK_LEVEL_FAST	 1
/* Of a piece: a table that leaves room beside it in the nearest cache.  A tenth faster
 * than the level's own of twice the size, for half a hundredth more of log lines. */
#define PACK_HASH_FAST 12

/* Contexts and room for one thread at a time. */
struct packer;
struct packer *packer_new(void); /* NULL: no memory */
void packer_free(struct packer *p);

struct packed {
	const void *data; /* the caller's, or of the packer until its next use */
	uint32_t stored;
	uint8_t encoding;
};

/* At most PACK_MAX bytes are tried; without memory they stay raw. */
void pack(struct packer *p, const void *data, size_t len, struct packed *out);
/* The same of one of many. */
void pack_fast(struct packer *p, const void *data, size_t len, struct packed *out);

/*
 * Pack a bundle: its table as it is, then the bytes of its members, at most
 * BUNDLE_MAX.  In the packer until its next use.
 */
void pack_bundle(struct packer *p, const void *table, size_t table_bytes, const void *data,
		 size_t len, struct packed *out);

/* `stored` bytes to `size` at `out`.  0, ERR_CORRUPT or -ENOMEM. */
int unpack(struct packer *p, uint8_t encoding, const void *data, size_t stored, void *out,
	   size_t size);

/* Two areas for what is read: PACK_STORED_MAX bytes for what is stored, PACK_MAX
 * for it unpacked. */
#define PACK_STORED_MAX (PACK_MAX + BUNDLE_TABLE_MAX)
uint8_t *packer_stored(struct packer *p);
uint8_t *packer_plain(struct packer *p);

#endif
