/*
 * What the kernel speaks and libfuse 3.14 does not know, for writable mounts:
 *
 *	FUSE_TMPFILE		arrives as a create(), told apart by `tmpfile`
 *	KILLPRIV_V2		clearing set-id bits with a write, truncate or chown is
 *				asked for by a flag (`kill`); the kernel then need not
 *				look at security.capability before every write
 *	SETXATTR_EXT		setting an ACL that clears set-group-id, likewise
 *	FUSE_SYNCFS		arrives as an fsync() of the top directory
 *
 * The worker looks at a request before libfuse does; what it saw is the thread's
 * until the next one.
 */
#ifndef FS_FUSE_MORE_H
#define FS_FUSE_MORE_H

#include <fuse_lowlevel.h>
#include <stdbool.h>

struct more {
	bool tmpfile;
	bool kill;
};

/* After the session was mounted, before the first request is read.  0 or a negative errno. */
int more_init(struct fuse_session *se);
/* A request has come; it may be rewritten. */
void more_received(struct fuse_buf *buf);
/* Of the request that this thread is at. */
const struct more *more_now(void);

#endif
