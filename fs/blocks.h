/*
 * What the mount needs of the world: blocks that are here, blocks that have to
 * be fetched, the loop thread and the pool.  A running node gives it
 * (node_blocks), and in a test memory and functions do.
 */
#ifndef FS_BLOCKS_H
#define FS_BLOCKS_H

#include "net/node.h"

struct blocks {
	/* What is here.  Any thread; may wait for the disk, never for the network. */
	struct block_source *source;

	/* Loop thread: as bitswap_want() and want_cancel(). */
	struct want *(*want)(struct blocks *b, const struct want_request *rq, want_fn done,
			     void *arg);
	void (*cancel)(struct blocks *b, struct want *w);

	/* Call fn(arg) on the loop thread, later, in order.  Any thread.  0 or -ENOMEM. */
	int (*post)(struct blocks *b, void (*fn)(void *arg), void *arg);
	/*
	 * Call fn(arg) on the pool, where it may wait for the disk, and then
	 * done(arg) on the loop thread.  Loop thread.  0 or -ENOMEM.
	 */
	int (*work)(struct blocks *b, void (*fn)(void *arg), void (*done)(void *arg), void *arg);
	/* Any thread; milliseconds from an arbitrary start. */
	uint64_t (*now)(struct blocks *b);
	/* True if nothing can be fetched at all.  Any thread. */
	bool (*offline)(struct blocks *b);
};

/*
 * Of a running node, which must outlive it.  What `extra` (may be NULL; borrowed)
 * has is taken from there, before the store.  NULL if out of memory.
 */
struct blocks *node_blocks(struct node *n, struct block_source *extra);
void node_blocks_free(struct blocks *b);

#endif
