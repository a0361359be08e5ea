/*
 * A source of blocks that waits: what is not here is fetched, and kept, as it is for
 * folders; the thread that asks stands still meanwhile.  For work that has a thread of its own, never for the loop or a
 * FUSE worker.
 */
#ifndef FS_WAITING_H
#define FS_WAITING_H

#include "fs/blocks.h"

struct waiting;

/* `b` is borrowed.  get() may be called from any thread but the loop's.  -ENOMEM. */
int waiting_new(struct waiting **out, struct blocks *b);
struct block_source *waiting_source(struct waiting *w);
/*
 * Loop thread: whoever waits gets -ECANCELED, and from now on what is not here is
 * ERR_MISSING at once.  The blocks are used no more after this, but for what is here.
 */
void waiting_stop(struct waiting *w);
/* Nobody calls it any more. */
void waiting_free(struct waiting *w);

#endif
