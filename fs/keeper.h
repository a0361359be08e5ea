/*
 * Looks after the folders of a running node: makes the snapshots that nobody asks
 * for, and moves the names of published folders.  Loop thread.
 *
 *	quiet		no change for so long
 *	max-age		so long after the first change, whatever goes on
 *	left		the last user (a mount) went and left changes; also when the
 *			daemon starts and finds some
 *
 * A published folder's name moves with every snapshot, whoever made it: the root and
 * the commit are announced, and the IPNS record has the root as its value and the
 * commit riding along.
 */
#ifndef FS_KEEPER_H
#define FS_KEEPER_H

#include "fs/folders.h"
#include "net/node.h"

struct keeper;

/* All borrowed until the keeper is stopped.  0 or an errno. */
int keeper_new(struct keeper **out, struct folders *folders, struct node *node);
/* No more snapshots; the one under way is cancelled.  `done` when it has ended and all
 * is freed; the node must run until then. */
void keeper_stop(struct keeper *k, void (*done)(void *arg), void *arg);

/*
 * How long until a snapshot is due (ms; 0: now), or -1 while there is nothing to make
 * one of or nobody wants it.  Pure.
 */
int64_t snapshot_due(const struct folder_state *st, const struct folder_settings *s,
		     int64_t now_ms);

#endif
