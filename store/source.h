/*
 * Where tree readers take blocks from: the local store, a daemon, memory in a
 * test.  A source answers at once and never waits, unless its maker says so.
 *
 * Tree readers (dag.h) are restartable instead of asynchronous: when get()
 * says ERR_MISSING the reader notes the CID in its `struct misses`, gives up
 * with ERR_MISSING, and is simply called again once those blocks are here.
 */
#ifndef STORE_SOURCE_H
#define STORE_SOURCE_H

#include "store/block.h"
#include "store/cid.h"

struct block_source {
	/*
	 * 0 and a reference in *out, ERR_MISSING, or another error that asking
	 * again would not mend.  Any thread, if the maker allows it.
	 */
	int (*get)(struct block_source *self, const struct cid *cid, struct block **out);
	/* Optional: 1 if get() would give the block at once, 0 if not. */
	int (*has)(struct block_source *self, const struct cid *cid);
	/* Optional: these will be asked for soon. */
	void (*soon)(struct block_source *self, const struct cid *cids, size_t n);
};

/*
 * get() with what holds for every source: identity CIDs carry their bytes and
 * are answered here; hashes that multihash_allowed() refuses are an error.
 */
int source_get(struct block_source *s, const struct cid *cid, struct block **out);
int source_has(struct block_source *s, const struct cid *cid);
void source_soon(struct block_source *s, const struct cid *cids, size_t n);

/* The CIDs a reader lacked.  At most `max` are noted; no duplicates in a row. */
struct misses {
	struct cid *cids; /* storage of the caller */
	size_t n, max;
};

/* source_get() that notes a missing CID (misses may be NULL). */
int source_try(struct block_source *s, const struct cid *cid, struct block **out,
	       struct misses *misses);
void misses_add(struct misses *m, const struct cid *cid);

#endif
