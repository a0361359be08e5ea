/*
 * What differs between two UnixFS trees, found by walking both and passing over
 * what has one CID: of HAMTs of one shape shard by shard, so that the cost
 * follows the difference.  Files are compared by CID: the same content in
 * another layout counts as changed.
 */
#ifndef STORE_DAG_DIFF_H
#define STORE_DAG_DIFF_H

#include "store/dag.h"

enum dag_diff_kind {
	DAG_ADDED,   /* only in the newer tree */
	DAG_REMOVED, /* only in the older */
	DAG_CHANGED, /* files or symlinks that differ, or what is neither */
	DAG_RETYPED, /* a file became a directory, say */
};

/* What it is in one of the two. */
struct dag_diff_side {
	bool there;
	enum dag_type type; /* 0: nothing that UnixFS knows */
	struct cid cid;
	uint64_t size; /* as of dag_stat(); of a raw leaf what its link says */
};

struct dag_diff {
	enum dag_diff_kind kind;
	const char *path; /* from the roots, no leading slash; NUL-terminated */
	size_t path_len;
	struct dag_diff_side old, new;
};

/*
 * What to do with a difference: 0 to go on; 1 to go on and into what is a
 * directory on one side only, giving all that is in it as added or removed; or
 * a negative error, which ends the walk and is passed on.
 */
typedef int (*dag_diff_fn)(void *arg, const struct dag_diff *d);

#define DAG_DIFF_DEPTH 4096	  /* directories in each other */
#define DAG_DIFF_HELD  (4u << 20) /* differing entries on the way down to one place */

/*
 * Compare `old` with `new`.  Within a directory the names come in bytewise
 * order, each followed by what is in it.  Roots that are no directories are one
 * difference with an empty path.  The source should wait for blocks: nothing is
 * kept between calls.  In memory are the differing entries of each directory on
 * the way, and of a pair of directories of unlike shape all entries.
 *   -ELOOP     deeper than DAG_DIFF_DEPTH
 *   -EOVERFLOW more than DAG_DIFF_HELD
 *   ERR_MISSING (noted in misses, which may be NULL) and the others of dag.h;
 *   -ENOMEM
 */
int dag_diff(struct block_source *s, const struct cid *old, const struct cid *new,
	     dag_diff_fn each, void *arg, struct misses *misses);

#endif
