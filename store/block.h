/*
 * A `struct block` exists only if its bytes were hashed here and matched its
 * name, or were read back from our own store under a checksum, so whoever holds
 * one may trust it, wherever it came from.  It never changes; share it by
 * reference, from any thread.
 */
#ifndef STORE_BLOCK_H
#define STORE_BLOCK_H

#include "store/multihash.h"

#define BLOCK_MAX (2u << 20) /* accepted; what we produce is at most 1 MiB of payload */

struct block {
	const uint8_t *data;
	size_t size;
	struct multihash name;
	/* private */
	unsigned refs; /* atomic */
};

/*
 * Copy `data`, which someone claims to be `name`.
 * Returns 0, and in *out a reference the caller owns; or
 *   -EFBIG        longer than BLOCK_MAX
 *   ERR_CORRUPT   the bytes are not those of `name`
 *   -ENOTSUP, ERR_MALFORMED  a hash we do not accept
 *   -ENOMEM
 * On error *out is not touched.
 */
int block_verify(struct block **out, const struct multihash *name, const void *data,
		 size_t len);

/* Copy and name bytes of our own by sha2-256.  0, -EFBIG or -ENOMEM. */
int block_make(struct block **out, const void *data, size_t len);

/*
 * For the store alone: a block with room for `len` bytes at *data, which the
 * caller fills before it shares the block.  The caller vouches for the bytes.
 */
int block_reserve(struct block **out, const struct multihash *name, size_t len,
		  uint8_t **data);

struct block *block_ref(struct block *b);
void block_unref(struct block *b); /* NULL is allowed */

#endif
