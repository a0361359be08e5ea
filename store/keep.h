/*
 * A tree is taken into the keep log: what is in the cache log is moved, what is lacking
 * is named, to be fetched.  For pinning: afterwards every block of the tree is kept.
 * The caller holds the store (store_hold).
 */
#ifndef STORE_KEEP_H
#define STORE_KEEP_H

#include "store/source.h"
#include "store/store.h"

#include <stdatomic.h>

struct keeping;

int keeping_new(struct keeping **out, struct store *s, const struct cid *root);
void keeping_free(struct keeping *k);

/*
 * Go on.  Waits for the disk.
 *   0             all is kept
 *   ERR_MISSING   the blocks in `misses` are lacking: once they are in either log, call
 *		   again.  misses->max of them at most; there may be more
 *   -ECANCELED    *cancel (may be NULL) became true
 *   -EOVERFLOW    a DAG of more blocks than can be kept in mind
 *   or the error of a read or a put.  Links that cannot be read end there.
 */
int keeping_run(struct keeping *k, struct misses *misses, atomic_bool *cancel);

/* So far; any thread. */
void keeping_count(const struct keeping *k, uint64_t *blocks, uint64_t *bytes);

#endif
