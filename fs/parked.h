/*
 * Operations that wait for blocks, without holding a thread.
 *
 * An operation that came upon blocks which are not here is handed to the
 * parking with the list of them.  The blocks are fetched; when the last one
 * has come the operation is run again, on the pool, and ends or is parked
 * anew for what it lacked next.
 *
 *	POSTED -------> WAITING -------> READY -------> RUNNING --+--> ended
 *	  ^     loop      |    last block        pool             |
 *	  |               +--> ended (failure, cancel)            |
 *	  +------------------------- lacks more ------------------+
 *
 * A parked operation costs its struct, and 16 bytes and a want for each block.
 */
#ifndef FS_PARKED_H
#define FS_PARKED_H

#include "fs/blocks.h"

#include <stdatomic.h>

/* What an operation lacked: blocks, or what a name says. */
struct lack {
	struct misses blocks;
	struct peer_id name; /* len 0: none */
	struct cid top;	     /* the tree they belong to; version 0xff: unknown */
};

/* How many misses are noted at a time: a 1 MiB read, or the next shards. */
#define LACK_MAX 32

struct parking;
struct awaited;

/* Embed it first; the memory is free()d when the operation is over. */
struct parked {
	/*
	 * Try again; a pool thread.  0: done, end() follows with 0.  ERR_MISSING: park
	 * again for what is in *lack.  Another error: end() follows with it.
	 */
	int (*run)(struct parked *op, struct lack *lack);
	/*
	 * Exactly once, on any thread, never from inside the call that parked it.
	 * Release what is in the struct, not the struct.
	 *   -EIO, -ETIMEDOUT, -ENETUNREACH, ...  as the block's want ended
	 *   -EINTR, ...   the reason of a cancel
	 *   -ENOTCONN     the parking was closed
	 */
	void (*end)(struct parked *op, int result);
	/*
	 * The directory that the kernel holds locked meanwhile, or 0; see
	 * parking_yield().  `again`: rather run again than end with -ESTALE.
	 */
	uint64_t dir;
	bool again;
	enum want_priority priority;

	/* private */
	struct parking *parking;
	struct parked *next, **at; /* among the waiting, or the ready */
	struct awaited *awaited;
	uint64_t deadline;
	atomic_uint refs;
	atomic_int reason; /* of a cancel, or 0 */
	atomic_int state;
	uint16_t n_awaited, open, rounds;
};

/*
 * How names are waited for, on the loop thread: `done` exactly once, not from
 * inside want(), and never after cancel().  NULL if out of memory.
 */
struct name_source {
	void *(*want)(struct name_source *self, const struct peer_id *name,
		      void (*done)(void *arg, int result), void *arg);
	void (*cancel)(struct name_source *self, void *want);
};

/* `timeout_ms` is of a whole operation.  Loop thread. */
int parking_new(struct parking **out, struct blocks *b, struct name_source *names,
		uint64_t timeout_ms);

/* From here on what it fetches is kept (want_request.keep).  Before its first operation. */
void parking_keep(struct parking *p);

/*
 * End everything with -ENOTCONN, and take nothing more.  `done` comes on the
 * loop thread when nothing runs any more.  Loop thread.
 */
void parking_close(struct parking *p, void (*done)(void *arg), void *arg);
void parking_free(struct parking *p);

/*
 * An operation begins with parked_init(), after which it may be cancelled, and
 * is handed over by parking_add() with what it lacks (the list is copied; NULL
 * if it has not run yet).  Its deadline counts from parked_init().  Any thread.
 * parking_add() returns 0; or -ENOMEM, or -ENOTCONN when it was closed: then
 * end() is not called, and the caller drops it with parked_unref().
 */
void parked_init(struct parked *op, struct parking *p);
int parking_add(struct parked *op, const struct lack *lack);
void parked_ref(struct parked *op); /* keeps the memory beyond end() */
void parked_unref(struct parked *op);

/* End it with `reason` soon, if it has not ended before.  Any thread, before end(). */
void parked_cancel(struct parked *op, int reason);

/*
 * Someone wants to lock directory `dir`, which parked operations hold: those
 * end with -ESTALE, upon which the kernel tries again, or run again.  Until
 * the next call (with another dir, or 0), so do new ones.  Any thread.
 */
void parking_yield(struct parking *p, uint64_t dir);

/* Operations in it now.  Any thread. */
uint64_t parking_count(struct parking *p);

#endif
