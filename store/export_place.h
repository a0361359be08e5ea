/*
 * Making one thing under a name in an open directory, so that nothing half
 * written ever has that name, no symlink is followed, and nothing this export
 * made is replaced by this export, even where the file system takes two names
 * of the tree for one (hostile.md 84).  Private to the export.
 */
#ifndef STORE_EXPORT_PLACE_H
#define STORE_EXPORT_PLACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

/*
 * A directory that things are made in.  Where it was made by this export too,
 * or nothing may be replaced, whatever exists is in the way.  Else it is kept
 * in mind which of the existing things are our own.
 */
struct place {
	bool replace;
	uint64_t *made; /* hash set of inodes, 0 = free */
	size_t n, slots;
};

void place_release(struct place *p);

#define PART_NAME_MAX 32

struct new_file {
	int fd;		  /* to write to */
	const char *name; /* borrowed until the end */
	char part[PART_NAME_MAX]; /* its name until it is complete; "" if the final one */
};

/*
 * Begin a file.  With `at_once` it will be written at once, so it may have its
 * name from the start.  0; -EEXIST; -EISDIR; or an errno of open.
 */
int place_file(struct place *p, int at, const char *name, bool at_once,
	       struct new_file *out);
/* It is complete (r = 0), or given up (r < 0).  Closes it.  Returns r or an error. */
int place_file_end(struct place *p, int at, struct new_file *f, int r);

/* 0, -EEXIST, -EISDIR, or an errno of symlink. */
int place_symlink(struct place *p, int at, const char *name, const char *target);

/*
 * Make a directory, or accept that it is there.  1 if it was made; 0 if it was
 * there; -EEXIST; or an errno of mkdir.  The caller opens it, and tells its
 * inode to place_dir_opened(): 0, -EEXIST if it is one of ours, -ENOMEM.
 */
int place_dir(struct place *p, int at, const char *name, mode_t mode);
int place_dir_opened(struct place *p, dev_t dev, ino_t ino);

#endif
