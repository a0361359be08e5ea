/*
 * A multihash: the name of a block's bytes.
 *	uvarint code | uvarint digest length | digest
 */
#ifndef STORE_MULTIHASH_H
#define STORE_MULTIHASH_H

#include "store/cursor.h"

#define HASH_IDENTITY	 0x00
#define HASH_SHA1	 0x11
#define HASH_SHA2_256	 0x12
#define HASH_SHA2_512	 0x13
#define HASH_SHA3_256	 0x16
#define HASH_BLAKE3	 0x1e
#define HASH_BLAKE2B_256 0xb220

#define DIGEST_MAX	   128
#define MULTIHASH_SIZE_MAX (DIGEST_MAX + 8) /* encoded */

struct multihash {
	uint32_t code;
	uint8_t size; /* of the digest */
	uint8_t digest[DIGEST_MAX];
};

/*
 * Read one from the cursor, which stands behind it afterwards.  A digest
 * longer than DIGEST_MAX sets in->bad.  Says nothing on whether we trust it.
 */
void multihash_read(struct cursor *in, struct multihash *out);

/* Exactly one, nothing behind it.  0 or ERR_MALFORMED. */
int multihash_decode(struct multihash *out, const void *data, size_t len);

/* Encode into `out` (MULTIHASH_SIZE_MAX bytes of room); returns the length. */
size_t multihash_encode(const struct multihash *m, uint8_t *out);

bool multihash_equal(const struct multihash *a, const struct multihash *b);
uint64_t multihash_hash(const struct multihash *m); /* for tables in memory */

/*
 * 0 if a block may have this name (boxo verifcid: known strong hashes of 20 to
 * 128 bytes; identity up to 128), else -ENOTSUP (hash) or ERR_MALFORMED (size).
 */
int multihash_allowed(const struct multihash *m);

/* The name of `data` under sha2-256 (with the CPU's instructions). */
void multihash_sha256(struct multihash *out, const void *data, size_t len);

/*
 * Compare the bytes with their name: 0, ERR_CORRUPT, or -ENOTSUP for a hash we
 * cannot compute (we have sha1, sha2, sha3, shake, blake2b-256/512, blake2s).
 */
int multihash_check(const struct multihash *name, const void *data, size_t len);

/*
 * Name `data` by the hash `code`, cut to `size` bytes: what a block exchange
 * needs, where a peer says which hash but not the digest.  0, -ENOTSUP (a hash
 * we cannot compute) or ERR_MALFORMED (a size that hash does not have).
 */
int multihash_of(struct multihash *out, uint32_t code, uint8_t size, const void *data,
		 size_t len);

/* Plain sha256, 32 bytes to `out`. */
void sha256(uint8_t out[32], const void *data, size_t len);

#endif
