/* The parameters that decide a CID (IPIP-0499). */
#include "store/import.h"

#include <string.h>

static const struct profile v1_2025 = {
	.name = "unixfs-v1-2025",
	.cid_version = 1,
	.raw_leaves = true,
	.chunk_size = 1048576,
	.max_links = 1024,
	.hamt_fanout = 256,
	.hamt_threshold = 262144,
	.hamt_by_block_size = true,
};

static const struct profile v0_2015 = {
	.name = "unixfs-v0-2015",
	.cid_version = 0,
	.raw_leaves = false,
	.chunk_size = 262144,
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
