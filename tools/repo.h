/*
 * The repository: a directory with this node's key, its settings, the store,
 * the last records of names, and the daemon's socket (doc/formats.md).
 *	version		"1"
 *	key		serialized PrivateKey of libp2p, mode 0600
 *	config.json	settings that differ from the defaults
 *	store/		blocks
 *	names/		newest verified record of each name
 *	seen/		files added before (store/seen.h); may be lost
 *	pins/		what is to stay (store/pin.h)
 *	provided	roots that are offered, a CID a line
 *	control.sock	while a daemon runs
 */
#ifndef TOOLS_REPO_H
#define TOOLS_REPO_H

#include "net/key.h"
#include "store/file.h"
#include "store/seen.h"
#include "store/store.h"
#include "tools/command.h"

#define REPO_VERSION 1

/* 0, -ENOENT (no repository), ERR_NEWER, or an errno. */
int repo_check(const char *dir);
/* repo_check() with a message for the user: 0 or an exit status. */
int repo_need(struct context *cx);

/* Make one: -EEXIST if there is one. */
int repo_create(const char *dir);

/* The node's key.  ERR_MALFORMED, or an errno. */
int repo_key(const char *dir, struct secret_key *out);

/* Open the store inside: flags as for store_open(). */
int repo_store(const char *dir, unsigned flags, size_t cache_bytes, struct store **out);

/*
 * The same to write.  An index that cannot be used is made anew from the segments,
 * which is said on standard error and takes as long as reading them; what they have is all there
 * is, so nothing is lost by it.
 */
int repo_store_write(const char *dir, size_t cache_bytes, struct store **out);

/* The table of files seen before, for the process that has the store open to
 * write.  NULL if there can be none, which is logged. */
struct seen *repo_seen(const char *dir);

/* The message for an error of repo_store(); returns a status. */
int repo_store_fail(struct context *cx, int r);

#endif
