/*
 * Taking away what nobody needs: blocks of the keep log that neither a pin nor
 * anything in use leads to.
 *
 *	mark     walk from the pins, then from what is in use
 *	sweep    drop the names of other blocks, then of pieces no block needs
 *	compact  copy what is left of files that are mostly dead, then remove them
 *
 * It runs beside adds and reads.  What writers put or find while they hold the
 * store (store_hold) stays, and so does all they do from the start of a gc on;
 * mounts and the like give their roots through a `struct gc_roots`.  A crash at any
 * instant leaves a store in which everything pinned is whole.
 */
#ifndef STORE_GC_H
#define STORE_GC_H

#include "store/cid.h"
#include "store/pin.h"
#include "store/seen.h"
#include "store/store.h"

#include <stdatomic.h>

/*
 * A provider of live roots: something that lives from trees no pin names.  It calls
 * gc_live() for each; what is here of their trees stays.  Called on the thread of the
 * gc, at the start of a mark and whenever gc_roots_changed() was called since, until
 * all is dropped; 0, or an error that ends the gc.
 */
struct gc_mark;
struct gc_roots {
	int (*each)(struct gc_roots *self, struct gc_mark *m);
	struct gc_roots *next; /* the store's */
};
/* From then on, until removed; the caller owns it.  Removing waits while each() runs.
 * Any thread; each() may not call them. */
void gc_roots_add(struct store *s, struct gc_roots *roots);
void gc_roots_remove(struct store *s, struct gc_roots *roots);
/* There are roots that the provider did not give before; call before they are used. */
void gc_roots_changed(struct store *s);

/* A tree, of which not everything has to be here; it is only noted by this call.  0 or
 * an error to pass on. */
int gc_live(struct gc_mark *m, const struct cid *root);
/* A block alone, whatever it links to. */
int gc_live_block(struct gc_mark *m, const struct cid *block);

enum gc_phase { GC_MARK, GC_SWEEP, GC_COMPACT };

struct gc_progress {
	_Atomic int phase;
	_Atomic uint64_t marked; /* blocks found to be needed */
	_Atomic uint64_t done, total; /* of the phase, if total is known: names; bytes */
};

struct gc_options {
	struct pins *pins;
	struct seen *seen; /* files added before; NULL: there is no table */
	bool dry_run;	   /* only say what would go */
	unsigned dead;	   /* percent of a file that are dead before it is rewritten; 0: 25 */
	struct gc_progress *progress; /* may be NULL */
	atomic_bool *cancel;	      /* may be NULL; true ends it with -ECANCELED */
};

struct gc_result {
	uint64_t kept;			   /* blocks */
	uint64_t dropped, dropped_bytes;   /* blocks, and their content */
	uint64_t pieces;		   /* dropped */
	uint64_t files, rewritten;	   /* removed; bytes copied out of them */
	uint64_t freed;			   /* bytes on disk; in a dry run those dead */
	uint64_t damaged;		   /* files that could not be rewritten */
	struct cid missing;		   /* with ERR_MISSING: what a pin lacks */
};

/*
 * One at a time (-EBUSY).  Waits for the disk.
 *   ERR_MISSING  a pinned tree lacks a block, so what lies below it cannot be known:
 *		  nothing was dropped (result->missing)
 *   -ECANCELED   what was dropped so far was garbage; the rest is still there
 *   -ENOSPC      no room to copy what is left of a file
 *   -EROFS, -ENOMEM, -EOVERFLOW (more nodes than can be kept in mind), or an I/O error
 */
int store_gc(struct store *s, const struct gc_options *o, struct gc_result *out);

/*
 * A tree that was put some time ago is to be used again without putting its blocks:
 * true if its root is here and all below it stays as if it had just been put.  The
 * caller holds the store.
 */
bool store_use_tree(struct store *s, const struct cid *root);

#endif
