/*
 * Bitswap 1.2 (wire.md 9): want it, get it.  Loop thread only, except where
 * said.  Serves the blocks of the local store to any peer that asks.
 *
 * A want goes first to connected peers and to those that had its neighbours
 * (the same `root`), then to providers found through routing; a peer that does
 * not deliver in time is passed over for another.  Arriving blocks are verified
 * and put into the store on the pool, and only then handed out.
 */
#ifndef NET_BITSWAP_H
#define NET_BITSWAP_H

#include "net/routing.h"
#include "store/store.h"

struct bitswap;
struct want;

int bitswap_new(struct bitswap **out, struct swarm *swarm, struct routing *routing,
		struct store *store);
/* Ends all wants with -ECANCELED; `done` comes when pool work has ended too. */
void bitswap_free(struct bitswap *b, void (*done)(void *arg), void *arg);

enum want_priority { WANT_MIRROR, WANT_PREFETCH, WANT_READAHEAD, WANT_READER };

struct want_request {
	struct cid cid;
	struct cid root; /* the tree it belongs to: whose providers may have it; version
			    0xff: none */
	enum want_priority priority;
	bool keep;	     /* it goes to the keep log, unless it is on its way already */
	uint64_t timeout_ms; /* 0: the default of 60 s */
};

/*
 * Want a block that the store lacks.  `done` is called exactly once, not from inside
 * this call: 0 and the block (borrowed; it is in the store too), -EIO (nobody
 * has it), -ETIMEDOUT (a peer said HAVE but did not deliver), -ENETUNREACH
 * (offline), -ECANCELED, -ENOTSUP (a hash we cannot verify), or the error of
 * store_put().  Wants for one block share one request.
 * NULL if out of memory (then done is not called).
 */
typedef void (*want_fn)(void *arg, int result, struct block *block);
struct want *bitswap_want(struct bitswap *b, const struct want_request *rq, want_fn done,
			  void *arg);
/* The caller no longer cares: done comes with -ECANCELED before this returns. */
void want_cancel(struct want *w);
/* Raise its priority. */
void want_raise(struct want *w, enum want_priority p);

/* A block was added here: serve peers that stand waiting for it, and our own
 * wants.  Any thread. */
void bitswap_have(struct bitswap *b, const struct multihash *name);

struct bitswap_stat {
	uint64_t blocks_in, blocks_out, bytes_in, bytes_out; /* of blocks */
	uint64_t duplicates_in, unwanted_in;
	uint32_t wants; /* open */
};
void bitswap_stat(struct bitswap *b, struct bitswap_stat *out);

/* Blocks received from each peer, most first: "where the blocks came from". */
struct bitswap_peer {
	struct peer_id peer;
	uint64_t blocks_in, bytes_in, blocks_out, bytes_out;
};
int bitswap_peers(struct bitswap *b, struct bitswap_peer *out, int max);

/* Blocks that could not be had lately, newest first, for `cairn status`. */
struct bitswap_failure {
	struct cid cid;
	int result;
	uint64_t when_ms; /* unix time */
	uint32_t asked;   /* peers */
};
int bitswap_failures(struct bitswap *b, struct bitswap_failure *out, int max);

#endif
