/*
 * The open directories from the top of a walk to where it stands.  Going down
 * never follows a symlink.  Only the lowest few are held open, so that a tree
 * may be deeper than there are descriptors; on the way up others are opened
 * again by "..", and must be what they were, or the walk ends with -ESTALE: so
 * nobody can lead it out of the tree by moving directories.
 */
#ifndef STORE_DIRSTACK_H
#define STORE_DIRSTACK_H

#include <stddef.h>
#include <sys/types.h>

/* An open directory, counted; shared by threads. */
struct dirref {
	int fd;
	dev_t dev;
	ino_t ino;
	unsigned refs; /* atomic */
};

struct dirref *dirref_get(struct dirref *d);
void dirref_put(struct dirref *d); /* NULL is allowed */

#define DIRSTACK_OPEN  24   /* held open */
#define DIRSTACK_DEPTH 4096 /* below the top: what a path of PATH_MAX can name, twice */

struct dirstack {
	struct dirstack_level {
		struct dirref *dir; /* NULL while closed */
		dev_t dev;
		ino_t ino;
	} *levels;
	size_t depth, cap;
};

/*
 * Go down into `name`, which at the top is any path.  0; -ELOOP (deeper than
 * DIRSTACK_DEPTH, or a symlink), -ENOTDIR, -ENOMEM, or another errno of open.
 */
int dirstack_enter(struct dirstack *s, const char *name);

/* Where the walk stands: borrowed, NULL above the top. */
struct dirref *dirstack_top(const struct dirstack *s);
/* Its descriptor; AT_FDCWD above the top. */
int dirstack_fd(const struct dirstack *s);

/*
 * Go up.  *left (may be NULL) is a reference to the directory that was left.
 * 0, -ESTALE, or an errno of open.
 */
int dirstack_leave(struct dirstack *s, struct dirref **left);

void dirstack_release(struct dirstack *s);

#endif
