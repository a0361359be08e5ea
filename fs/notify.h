/*
 * What the kernel is told to forget, from a thread of its own: the kernel may
 * make the teller wait for a lock that a parked request holds, and a worker
 * that waited there would keep it from ever being answered.
 */
#ifndef FS_NOTIFY_H
#define FS_NOTIFY_H

#include "fs/parked.h"

struct fuse_session;
struct notify;

/* Starts the thread.  0 or a negative errno. */
int notify_new(struct notify **out, struct fuse_session *se, struct parking *parking);

/* The entry `name` of `dir`: present, absent or of another inode.  Any thread. */
void notify_entry(struct notify *n, uint64_t dir, const char *name);
/* The attributes of an inode, and its pages: a directory's listing, a file's bytes. */
void notify_inode(struct notify *n, uint64_t id);

/*
 * Drop what has not been told yet, and end the thread.  Waits, so not on the loop thread;
 * the parking must be closed, or it may wait for as long as an operation.
 */
void notify_free(struct notify *n);

#endif
