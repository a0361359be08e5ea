/*
 * HAMT directories (wire.md 11.4), as far as readers and the builder share it:
 * how names become buckets, buckets link names, and shards bitfields.
 *
 * A name's hash is taken from its top bit down: with fanout 256, the shard at
 * level n (the root is 0) has the entry in the bucket of byte n.  A shard links
 * only the buckets in use, in order; its bitfield says which.  A link's Name is
 * the bucket in upper-case hexadecimal digits, then the entry's name, or nothing
 * if the link is a sub-shard.
 */
#ifndef STORE_HAMT_H
#define STORE_HAMT_H

#include "store/dagpb.h"
#include "store/unixfs.h"

#define HAMT_HASH_MURMUR3 0x22
#define HAMT_FANOUT_MAX   1024
#define HAMT_FIELD_MAX    (HAMT_FANOUT_MAX / 8) /* bytes of a bitfield */
#define HAMT_DEPTH_MAX    21                    /* levels: 64 bits at fanout 8 */
#define HAMT_PREFIX_MAX   3                     /* hexadecimal digits */

/* What a fanout decides. */
struct hamt_shape {
	uint32_t fanout;
	unsigned bits;   /* of the hash per level: log2(fanout) */
	unsigned digits; /* of a link name's prefix */
	unsigned levels; /* how deep a tree can be: 64 / bits */
};

/* 0; ERR_MALFORMED unless `fanout` is a power of two from 8 to 1024. */
int hamt_shape_init(struct hamt_shape *out, uint64_t fanout);

uint64_t hamt_hash(const char *name, size_t name_len);

/* The bucket of `hash` at `level`, which is less than shape->levels. */
unsigned hamt_bucket(const struct hamt_shape *shape, uint64_t hash, unsigned level);

/* The prefix of a bucket's link, shape->digits characters and a NUL. */
void hamt_prefix(const struct hamt_shape *shape, unsigned bucket,
		 char out[HAMT_PREFIX_MAX + 1]);

/*
 * Writing a bitfield: set bits in fanout / 8 zeroed bytes, then write from the
 * first byte that is not zero: hamt_field_trim() gives it, and how many follow.
 * As a number it is big-endian, bucket i being bit i.
 */
void hamt_field_set(const struct hamt_shape *shape, uint8_t *field, unsigned bucket);
const uint8_t *hamt_field_trim(const struct hamt_shape *shape, const uint8_t *field,
			       size_t *len);

/* A shard that is being read; borrows from the block. */
struct hamt_shard {
	struct hamt_shape shape;
	const uint8_t *field;
	size_t field_len;
	struct cursor links;
	size_t n_links;
};

/*
 * Take a shard from its decoded node.  ERR_MALFORMED: not a shard, another
 * hash, a bad fanout, a bitfield that is too long or has not one bit for each
 * link.
 */
int hamt_shard_init(struct hamt_shard *out, const struct dagpb_node *node,
		    const struct unixfs *u);

bool hamt_shard_has(const struct hamt_shard *s, unsigned bucket);
/* How many buckets below this one are in use: the index of its link. */
size_t hamt_shard_rank(const struct hamt_shard *s, unsigned bucket);

/*
 * The bucket that a link's name gives; *name (may be NULL) is set to what is
 * behind the prefix, and *name_len to its length, 0 for a sub-shard.
 * ERR_MALFORMED if the prefix is short, not upper-case hexadecimal or beyond
 * the fanout.
 */
int hamt_link_bucket(const struct hamt_shape *shape, const struct dagpb_link *l,
		     const char **name, size_t *name_len);

#endif
