/* The parts of a gc: gc_mark.c walks, gc.c drops, gc_compact.c rewrites files. */
#ifndef STORE_GC_INTERNAL_H
#define STORE_GC_INTERNAL_H

#include "store/buf.h"
#include "store/cidset.h"
#include "store/gc.h"
#include "store/nameset.h"
#include "store/store_internal.h"

struct gc_mark {
	struct store *store;
	const struct gc_options *options;
	struct gc_result *result;
	struct nameset *live; /* names of blocks */
	/* Nodes whose links were followed: below pins, where nothing is missing; and below
	 * what is in use.  Raw blocks have none, and are not here. */
	struct cidset whole, partly;
	struct buf stack; /* nodes still to follow: binary CID, its length in a byte */
	struct buf given; /* roots of providers, in the same form */
	unsigned roots_at; /* roots_changed when they were asked for last */
};

int gc_mark_init(struct gc_mark *m, struct store *s, const struct gc_options *o,
		 struct gc_result *result);
void gc_mark_release(struct gc_mark *m);
int gc_mark_pins(struct gc_mark *m);
int gc_mark_roots(struct gc_mark *m); /* of the providers */
/* What writers that are at work took over from the table of files seen before. */
int gc_mark_seen(struct gc_mark *m);
/* All below it was followed and is here.  Any thread, once pins are marked. */
bool gc_walked(const struct gc_mark *m, const struct cid *root);

static inline bool gc_canceled(const struct gc_options *o)
{
	return o->cancel && atomic_load(o->cancel);
}

int gc_compact(struct store *s, const struct gc_options *o, struct gc_result *result);

/* store_use.c: from begin to end everything that is put or found is used. */
int store_collect_begin(struct store *s);
void store_collect_end(struct store *s);

#endif
