/*
 * How files become blocks: everything a CID depends on, but for the metadata
 * kept (store/import.h).  Named profiles are those of IPIP-0499 (wire.md 11.3);
 * with single fields replaced they give what `ipfs add` gives with such options.
 */
#ifndef STORE_PROFILE_H
#define STORE_PROFILE_H

#include "store/chunker.h"

#include <stdbool.h>

struct profile {
	const char *name;
	int cid_version; /* of nodes; raw leaves are always version 1 */
	bool raw_leaves;
	struct chunker chunker;
	uint32_t max_links;	 /* per node of a file */
	uint32_t hamt_fanout;	 /* 256 */
	uint32_t hamt_threshold; /* bytes; a directory above it is sharded */
	bool hamt_by_block_size; /* measure the block, else names + CIDs */
	uint32_t hash;		 /* multihash code; 0: sha2-256, as CIDv0 must */
	uint8_t hash_size;	 /* bytes of its digests */
};

#define PROFILE_LINKS_MIN 2
#define PROFILE_LINKS_MAX 16384 /* a node of them is a block that others accept */

/* By name; NULL if unknown.  "unixfs-v1-2025" is the default. */
const struct profile *profile_find(const char *name);
/* All of them, ended by NULL. */
extern const struct profile *const profiles[];

/* Set the hash by its multiformats name ("blake2b-256").  -EINVAL: not one we
 * write. */
int profile_set_hash(struct profile *p, const char *name);

/* Bytes of the longest binary CID under a profile. */
size_t profile_cid_max(const struct profile *p);

#endif
