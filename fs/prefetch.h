/*
 * Blocks fetched before anyone waits for them: leaves ahead of a reader, nodes
 * of entries that were listed.  Bounded: what does not fit is forgotten, and
 * fetched when it is read.
 */
#ifndef FS_PREFETCH_H
#define FS_PREFETCH_H

#include "fs/blocks.h"

#define PREFETCH_NODES	256 /* under way at once, of WANT_PREFETCH */
#define PREFETCH_LEAVES 1280 /* of WANT_READAHEAD */

struct prefetch;

int prefetch_new(struct prefetch **out, struct blocks *b);
/* Cancel what is under way and take no more.  Loop thread. */
void prefetch_close(struct prefetch *p);
/* After prefetch_close(), when nothing calls prefetch_add() and its posts are done. */
void prefetch_free(struct prefetch *p);

/*
 * Fetch those of `cids` that are not here and not under way.  `top` is the tree
 * they belong to (version 0xff: unknown).  Any thread.
 */
void prefetch_add(struct prefetch *p, const struct misses *cids, const struct cid *top,
		  enum want_priority priority);

/* Blocks under way.  Loop thread. */
unsigned prefetch_count(const struct prefetch *p, enum want_priority priority);

#endif
