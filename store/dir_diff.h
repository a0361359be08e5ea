/*
 * What differs between two directories, without looking into what they hold.
 * Private to the comparison of trees.
 */
#ifndef STORE_DIR_DIFF_H
#define STORE_DIR_DIFF_H

#include "store/buf.h"
#include "store/dag.h"

/*
 * Entries of one side or the other, in order of their names; where both have
 * one, that of the older comes first.  Entries of equal name and CID may be
 * among them if the directories are of unlike shape.
 */
struct dir_diff {
	struct buf arena;
	size_t *at; /* where each begins in it */
	size_t n, cap;
	size_t max; /* set by the caller: more entries are -EOVERFLOW */
};

struct dir_diff_entry {
	bool newer; /* the side it is on */
	const char *name; /* borrowed, not NUL-terminated */
	size_t name_len;
	struct cid cid;
	uint64_t tsize;
};

/* Compare; `old` or `new` may be NULL: then all of the other differs.  Errors as
 * of dag_diff().  Release it also then. */
int dir_diff(struct dir_diff *d, struct block_source *s, const struct cid *old,
	     const struct cid *new, struct misses *misses);
void dir_diff_get(const struct dir_diff *d, size_t i, struct dir_diff_entry *out);
void dir_diff_release(struct dir_diff *d);

#endif
