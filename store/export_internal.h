/*
 * Shared by the files of the export: export.c walks the tree and makes
 * directories and symlinks; export_files.c writes files, by threads of its own
 * if there are any; export_dir.c has what both need of a directory;
 * export_file.c has the bytes.
 */
#ifndef STORE_EXPORT_INTERNAL_H
#define STORE_EXPORT_INTERNAL_H

#include "store/dag.h"
#include "store/dirstack.h"
#include "store/export.h"
#include "store/export_place.h"

struct export {
	struct block_source *source;
	const struct export_options *options;
	const char *target;
	struct export_files *files; /* NULL: the walk writes files itself */
	atomic_int error;	    /* the first one; ends everything */
};

bool export_cancelled(const struct export_options *o);
/* The error it ended with, -ECANCELED if the user wants it to, or 0. */
int export_error(struct export *x);

/* ---- export_dir.c ---- */

/*
 * A directory being written.  Held in memory by the walk, by the files in work in
 * it, and by the directories below it, whose paths it is a part of.  It gets its
 * mode and times when the walk has left it and no file in it is in work.
 */
struct out_dir {
	struct out_dir *parent; /* NULL: what the target is made in */
	atomic_uint refs;
	atomic_uint busy;    /* the walk, and files in work */
	struct dirref *left; /* set by the walk when it leaves */
	struct dag_attr attr;
	struct place place;
	char name[];
};

/* Held by the walk.  NULL without memory. */
struct out_dir *out_dir_new(struct out_dir *parent, const char *name);
/* For a file in work, and back; the last one sets the attributes. */
void out_dir_hold(struct out_dir *d);
void out_dir_drop(struct export *x, struct out_dir *d);

/* End with an error about `name` in a directory, unless it has ended before: the
 * user is told of the first. */
void export_fail(struct export *x, const struct out_dir *d, const char *name, int error);

int export_set_attr(int fd, const struct dag_attr *a);

/* ---- export_files.c ---- */

/* Start up to `jobs` threads; without any, files are written by who adds them. */
void export_files_start(struct export *x, int jobs);

/*
 * Have a file written under a name in the directory that is open as `at`.  `a` is
 * as dag_stat() says; NULL: `cid` is a raw leaf, and nobody has looked.  -ENOMEM,
 * or the error that ended the export; errors of the file go to export_fail().
 */
int export_files_add(struct export *x, struct out_dir *d, struct dirref *at, const char *name,
		     const struct cid *cid, const struct dag_attr *a);

/* Wait until all that were added are written, or given up. */
void export_files_wait(struct export *x);
void export_files_stop(struct export *x);

/* ---- export_file.c ---- */

/*
 * Bytes [offset, offset + len) of a file to `fd`, one behind the other; with
 * `in_place` to the same offsets there, and what is zero is left out: the caller
 * sets the size of the file afterwards.
 */
int export_content(struct block_source *s, const struct cid *cid, uint64_t offset,
		   uint64_t len, int fd, bool in_place, const struct export_options *o);
/* The same of bytes at hand, to the beginning of a file; *hole: they were left out. */
int export_bytes(int fd, const uint8_t *data, size_t len, bool *hole);

#endif
