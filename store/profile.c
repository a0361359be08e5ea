/* The parameters that decide a CID (IPIP-0499). */
#include "store/profile.h"

#include "store/buf.h"
#include "store/error.h"
#include "store/multihash.h"

#include <string.h>

static const struct profile v1_2025 = {
	.name = "unixfs-v1-2025",
	.cid_version = 1,
	.raw_leaves = true,
	.chunker = { .kind = CHUNKER_SIZE, .max = 1048576 },
	.max_links = 1024,
	.hamt_fanout = 256,
	.hamt_threshold = 262144,
	.hamt_by_block_size = true,
};

static const struct profile v0_2015 = {
	.name = "unixfs-v0-2015",
	.cid_version = 0,
	.raw_leaves = false,
	.chunker = { .kind = CHUNKER_SIZE, .max = 262144 },
	.max_links = 174,
	.hamt_fanout = 256,
	.hamt_threshold = 262144,
	.hamt_by_block_size = false,
};

const struct profile *const profiles[] = { &v1_2025, &v0_2015, NULL };

const struct profile *profile_find(const char *name)
{
	/* Kubo has two names for the old one. */
	if (!strcmp(name, "legacy-cid-v0"))
		return &v0_2015;
	for (const struct profile *const *p = profiles; *p; p++)
		if (!strcmp((*p)->name, name))
			return *p;
	return NULL;
}

/* What multihash_of() computes and a block may be named by, but for those too
 * weak to begin with. */
static const struct {
	const char *name;
	uint32_t code;
	uint8_t size;
} hashes[] = {
	{ "sha2-256", HASH_SHA2_256, 32 },
	{ "sha2-512", HASH_SHA2_512, 64 },
	{ "dbl-sha2-256", 0x56, 32 },
	{ "sha3-224", 0x17, 28 },
	{ "sha3-256", HASH_SHA3_256, 32 },
	{ "sha3-384", 0x15, 48 },
	{ "sha3-512", 0x14, 64 },
	{ "shake-256", 0x19, 64 },
	{ "blake2b-256", HASH_BLAKE2B_256, 32 },
	{ "blake2b-384", 0xb230, 48 },
	{ "blake2b-512", 0xb240, 64 },
	{ "blake2s-256", 0xb260, 32 },
};

int profile_set_hash(struct profile *p, const char *name)
{
	for (size_t i = 0; i < sizeof hashes / sizeof *hashes; i++) {
		if (strcmp(hashes[i].name, name))
			continue;
		p->hash = hashes[i].code;
		p->hash_size = hashes[i].size;
		return 0;
	}
	return -EINVAL;
}

size_t profile_cid_max(const struct profile *p)
{
	uint8_t code[10];

	/* Version, codec, and the length are a byte each. */
	return p->hash ? 3 + varint_put(code, p->hash) + p->hash_size : 36;
}
