/*
 * What this node has promised to offer: the roots that were added or published
 * here, kept in the repository's file `provided` (a CID a line) and announced
 * to the DHT when the daemon starts and whenever one is added.  Announcing what
 * could not be announced while alone is tried again.
 */
#ifndef TOOLS_PROVIDE_H
#define TOOLS_PROVIDE_H

#include "net/routing.h"

struct provide;

/* Note a root durably, without a daemon.  0 or an errno. */
int provide_note(const char *repo, const struct cid *root);

/* Note it no more: 1, 0 if it was not, or an errno. */
int provide_forget(const char *repo, const struct cid *root);
/* Give each noted root, until each() returns non-zero, which is passed on. */
int provide_each(const char *repo, int (*each)(void *arg, const struct cid *cid), void *arg);

/* In the daemon (loop thread). */
int provide_new(struct provide **out, const char *repo, uv_loop_t *loop,
		struct routing *routing);
/* Note it and announce it soon.  0 or an errno of the file. */
int provide_add(struct provide *p, const struct cid *root);
/* Announce it no more; what the network was told expires within two days.  The file is
 * the caller's (provide_forget). */
void provide_remove(struct provide *p, const struct cid *root);
/* Roots noted, and how many of them the network has been told of. */
void provide_stat(struct provide *p, uint32_t *roots, uint32_t *announced);
void provide_free(struct provide *p);

#endif
