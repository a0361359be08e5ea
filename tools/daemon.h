/* What the daemon's parts share. */
#ifndef TOOLS_DAEMON_H
#define TOOLS_DAEMON_H

#include "fs/keeper.h"
#include "fs/waiting.h"
#include "fs/mount.h"
#include "fs/tree.h"
#include "net/node.h"
#include "tools/pins.h"

#include <jansson.h>

struct mounted {
	struct mount *mount;
	char *dir;
	struct car_file *car; /* what it shows, or NULL */
	struct tree_shelf folders;
	struct daemon *daemon;
	struct mounted *next;
	bool ending;
	void (*ended)(void *arg); /* of who asked for the end */
	void *ended_arg;
};

/* The last of it; the mount has ended, or never began. */
void mounted_free(struct mounted *m);

/*
 * Unmount, and free; then `done` (may be NULL).  -EALREADY: it is under way for
 * another, and done will not be called.
 */
int mounted_stop(struct mounted *m, void (*done)(void *arg), void *arg);

struct daemon {
	uv_loop_t loop;
	const char *repo;
	json_t *config;
	struct secret_key key;
	struct store *store;
	struct seen *seen; /* or NULL */
	struct folders *folders;
	struct keeper *keeper;
	struct blocks *blocks;
	struct waiting *waiting;
	struct pins *pins;
	struct provided_roots provided;
	struct node *node;
	struct server *server;
	struct provide *provide;
	struct mounted *mounts;
	uint64_t started; /* uv_now() */
	bool offline;
	bool stopping;
};

/* Begin an orderly end: mounts, then network, then store. */
void daemon_stop(struct daemon *d);

#endif
