/*
 * Where builders of trees put the blocks they make: the store, or memory in a
 * test.  put() may be called from several threads if the builders are.
 */
#ifndef STORE_SINK_H
#define STORE_SINK_H

#include "store/cid.h"
#include "store/profile.h"
#include "store/unixfs.h"

struct store;

struct block_sink {
	/* Keep `data`, which is already named.  0 or a negative error. */
	int (*put)(struct block_sink *self, const struct multihash *name, const void *data,
		   size_t len);
	/* Where it ends, if that is a store: then the leaves of a long file go to it
	 * as a stream (store_stream.h).  NULL: each is put by itself. */
	struct store *store;
};

/* Name the bytes as the profile wants, put them, and give their CID. */
int sink_put(struct block_sink *s, const struct profile *p, uint32_t codec,
	     const void *data, size_t len, struct cid *out);

/*
 * Finish and put a dag-pb node: `block` holds its links (dagpb_put_link), and
 * the Data written behind them is `u` with `n` blocksizes; it is the whole block
 * afterwards.  -ENOMEM also if `block` has failed before.
 */
int sink_put_node(struct block_sink *s, const struct profile *p, struct buf *block,
		  const struct unixfs *u, const uint64_t *blocksizes, size_t n,
		  struct cid *out);

#endif
