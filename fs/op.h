/*
 * A FUSE request on its way to an answer: run at once by the worker that
 * received it; if it lacks blocks, a copy of it is parked, and answered by
 * whoever runs it last.  It is answered exactly once.
 */
#ifndef FS_OP_H
#define FS_OP_H

#include "fs/mount_internal.h"

#include <sys/stat.h>

struct op;
struct shown;

struct op_kind {
	/*
	 * 0: it was answered.  ERR_MISSING: run it again when what *lack notes is here.
	 * Another error: it is the answer.
	 */
	int (*run)(struct op *op, struct lack *lack);
	bool locks; /* the kernel holds the directory op->ino locked meanwhile */
	bool stale; /* it may end with -ESTALE, and the kernel tries again (parked.h) */
};

struct op {
	struct parked parked;
	struct mount *m;
	fuse_req_t req;
	const struct op_kind *kind;
	struct shown *shown; /* of operations on a tree */
	uint64_t ino, offset, size;
	const char *name; /* this and the next two lie behind a parked op */

	/* Of folders. */
	const char *to_name; /* the second name: of a rename, a link's target */
	const void *data;    /* `size` bytes, if not NULL */
	uint64_t to, to_offset;
	unsigned flags;
	bool kill; /* set-id bits (KILLPRIV_V2) */
	mode_t mode;
	dev_t rdev;
	struct stat set;
};

/* On a worker: answer at once, or park a copy. */
void op_start(struct op *op);

/* Our numbers as those of programs: the one place where they are translated. */
int op_errno(int r);
/* Answer with an error, and tell the log of one that somebody should know of. */
void op_fail(struct op *op, int r);

#endif
