/*
 * The repository's pins: opened, made from what was promised before there were any,
 * and changed together with what is offered.
 */
#ifndef TOOLS_PINS_H
#define TOOLS_PINS_H

#include "store/gc.h"
#include "tools/command.h"

/*
 * Open the table.  With `write` (by the process that has the store open to write) one
 * that is not there is made, with a recursive pin for each root in `provided`: before
 * there were pins, these were what a repository was for.  Else -ENOENT.
 */
int repo_pins(const char *repo, bool write, struct pins **out);

/*
 * Pin a tree all of which is here, taking into the keep log what is not there; the
 * caller has synced nothing.  ERR_MISSING: something of it is not here.
 */
int pin_tree(struct store *s, struct pins *p, const struct cid *root, const char *name);

/*
 * Remove the pins of a CID, all or those of a name; with the last one it is not noted
 * in `provided` any more, since what may go is not promised.  How many there were, a
 * note without a pin counting as one, or an error.
 */
int unpin_root(const char *repo, struct pins *p, const struct cid *root, const char *name);

/* For a gc: what is offered stays, pinned or not. */
struct provided_roots {
	struct gc_roots base;
	const char *repo;
};
void provided_roots_init(struct provided_roots *r, const char *repo);

/* The message for an error of repo_pins(); returns a status. */
int repo_pins_fail(struct context *cx, int r);

#endif
