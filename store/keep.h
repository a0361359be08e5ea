/*
 * Trees are taken into the keep log: what is in the cache log is moved, what is lacking
 * is named, to be fetched.  For pins and folders: afterwards every block of them is kept.
 * The caller holds the store (store_hold).
 */
#ifndef STORE_KEEP_H
#define STORE_KEEP_H

#include "store/source.h"
#include "store/store.h"

#include <stdatomic.h>

struct keeping;

int keeping_new(struct keeping **out, struct store *s);
void keeping_free(struct keeping *k);
/* This tree too; or what was lacking, which is here now.  Not while it runs.  -ENOMEM. */
int keeping_add(struct keeping *k, const struct cid *root);

/*
 * Go on.  Waits for the disk.
 *   0             all that was added and is not lacking is kept
 *   ERR_MISSING   the blocks in `misses` are lacking: once one of them is in either log,
 *		   keeping_add() it, and call again.  misses->max of them at most; there may be
 *		   more.  Without `misses` what is lacking is passed over
 *   -ECANCELED    *cancel (may be NULL) became true
 *   -EOVERFLOW    a DAG of more blocks than can be kept in mind
 *   or the error of a read or a put.  Links that cannot be read end there.
 */
int keeping_run(struct keeping *k, struct misses *misses, atomic_bool *cancel);

/* So far; any thread. */
void keeping_count(const struct keeping *k, uint64_t *blocks, uint64_t *bytes);

#endif
