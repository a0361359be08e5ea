/*
 * How a mount gets from one version of a tree to the next: what each directory
 * that the kernel knows becomes, by place, and which entries it must forget.
 * Only what lies on a changed path is looked at.
 */
#ifndef FS_MOVE_H
#define FS_MOVE_H

#include "fs/inode.h"

struct moved_entry {
	uint64_t dir;
	char *name;
};

struct move {
	struct inode_move *moves; /* for inodes_move() */
	size_t n_moves;
	struct moved_entry *entries; /* to be invalidated, those of one directory together */
	size_t n_entries;
};

/*
 * Plan how the directories with inodes `roots` become the directory `to`.
 * Restartable: ERR_MISSING notes blocks of the new tree.  Blocks of the old one
 * are not waited for: a directory whose old listing is gone is given up, so
 * that its place gets a new inode.  -ENOTDIR if `to` is not a directory; -ENOMEM.
 */
int move_plan(struct move *out, struct block_source *s, struct inodes *t,
	      const uint64_t *roots, size_t n_roots, const struct cid *to,
	      struct misses *misses);
void move_release(struct move *m);

#endif
