/*
 * Carrying out what readahead.h decides: finding the blocks that come next and
 * fetching those that are not here.
 */
#include "fs/mount_internal.h"

#include "store/error.h"

#include <stdlib.h>

#define LEAVES_MAX 256 /* of one file at a time: 32 MiB of 128 KiB leaves */

static void fetch_leaves(struct mount *m, const struct inode_info *i, uint64_t from,
			 uint64_t n)
{
	struct misses leaves = {.max = LEAVES_MAX};
	struct cid top = {.version = 0xff};

	leaves.cids = malloc(LEAVES_MAX * sizeof *leaves.cids);
	if (!leaves.cids)
		return;
	dag_leaves(m->tree.source, &i->cid, from, n, &leaves);
	inodes_top(m->inodes, i->id, &top);
	prefetch_add(m->prefetch, &leaves, &top, WANT_READAHEAD);
	free(leaves.cids);
}

void mount_ahead(struct mount *m, uint64_t file, uint64_t offset, size_t len)
{
	struct inode_info i;
	uint64_t from, n;

	if (m->blocks->offline(m->blocks) || inodes_get(m->inodes, file, &i) < 0)
		return;
	if (i.cid.codec != CODEC_RAW &&
	    readahead_read(m->readahead, file, offset, len, i.size, &from, &n))
		fetch_leaves(m, &i, from, n);
}
