/*
 * The leaves of one file on their way into the store, so that pieces are cut
 * across them: then an insertion costs the pieces near it, although it moves
 * the bytes of all leaves behind it.
 *
 *	hash, put(0) --turn--> cut --> store pieces, and the recipes they complete
 *	hash, put(1) ...waits--turn--> cut --> ...
 *
 * Any thread may put; leaf i waits until i - 1 is cut, which is quick, and the
 * pieces are then compressed and stored side by side.  So whoever puts leaves
 * must have taken them in order.  A leaf may be in the store only when the one
 * behind it has been put, or the stream is finished.
 */
#ifndef STORE_STORE_STREAM_H
#define STORE_STORE_STREAM_H

#include "store/store.h"

/* Leaves of fewer bytes are better put alone. */
#define STREAM_LEAF_MIN (64u << 10)

struct store_stream;
struct store_stream *store_stream_new(struct store *s); /* NULL: no memory */

/*
 * Leaf number `index`: a block of `len` bytes that the caller has just named, of
 * which `head` bytes before and `tail` bytes behind are not the file's.  Errors
 * are those of store_put_bytes().
 */
int store_stream_put(struct store_stream *st, uint64_t index, const struct multihash *name,
		     const uint8_t *block, size_t len, size_t head, size_t tail);

/* Leaf number `index` is in the store already, by other means. */
void store_stream_skip(struct store_stream *st, uint64_t index);

/* A leaf will not come: who waits for its turn need not; later leaves are put
 * alone.  NULL is allowed in this and what follows,
 * and in skip. */
void store_stream_break(struct store_stream *st);

/* Nobody puts any more: store what is left.  After 0 all leaves are there. */
int store_stream_finish(struct store_stream *st);

/* Leaves that were not complete are lost. */
void store_stream_free(struct store_stream *st);

#endif
