/*
 * What a mount is a view of: one tree, one name, or the whole name space.  It
 * resolves sources, follows the names in use, and moves the mount on when one
 * of them points at a new tree: its blocks are fetched first, so the old tree
 * stays until the new one can be shown.
 *
 * Loop thread, except where said.
 */
#ifndef FS_VIEW_H
#define FS_VIEW_H

#include "fs/notify.h"
#include "fs/tree.h"

struct view;

struct view_config {
	struct node *node;
	struct blocks *blocks;
	struct inodes *inodes;
	const char *dir; /* the mount point, for messages; borrowed */
};
int view_new(struct view **out, const struct view_config *cfg);

/* The names that the parking waits for. */
struct name_source *view_names(struct view *v);

/*
 * Open `source` (as in struct mount_options), so that its root inode is set.
 * -EINVAL (not a source), -ENOMEM; or 0, and later `done`: 0; -ENOENT (no such
 * path or name); -ENOTDIR; or why its blocks could not be had.
 */
int view_open(struct view *v, struct parking *parking, const char *source,
	      void (*done)(void *arg, int result), void *arg);

/* 0 if `source` can be understood, or -EINVAL. */
int view_check(const char *source);

/* From here on moves are told to the kernel; NULL: no longer.  */
void view_notify(struct view *v, struct notify *n);

/* As struct tree wants it: what /ipns/NAME shows.  Any thread. */
int view_name_root(void *view, const struct peer_id *name, struct cid *root);

/* The root of what is mounted.  Any thread; false for the whole name space. */
bool view_root(struct view *v, struct cid *out);

/* Follow no names any more.  Nothing is called back from here on. */
void view_close(struct view *v);
/* After the parking was closed and its posts are done. */
void view_free(struct view *v);

#endif
