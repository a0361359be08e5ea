/*
 * One running node: the loop thread and what lives on it.  Other threads (FUSE
 * workers) reach it through node_post().
 */
#ifndef NET_NODE_H
#define NET_NODE_H

#include "net/bitswap.h"
#include "net/names.h"

struct node {
	uv_loop_t *loop;
	struct store *store;
	struct swarm *swarm;
	struct routing *routing;
	struct bitswap *bitswap;
	struct names *names;
	const char *dir; /* the repository */
	bool offline;	 /* what is not local gives -ENETUNREACH */
	struct node_private *private;
};

struct node_config {
	uv_loop_t *loop;
	struct store *store; /* borrowed */
	const char *dir;
	const struct secret_key *key;
	const struct addr *listen, *bootstrap;
	int n_listen, n_bootstrap;
	enum dht_mode dht;
	const char *prefix;
	bool offline; /* no sockets at all */
};

/*
 * On the loop thread, before the loop runs.  0, -ENOMEM, or the error of a
 * listening address (logged); then the loop has to be run until it is empty
 * before it can be closed.
 */
int node_start(struct node **out, const struct node_config *cfg);
/* Orderly: cancels all, closes sockets; `done` when nothing is left. */
void node_stop(struct node *n, void (*done)(void *arg), void *arg);

/* Call fn(arg) on the loop thread, soon, in order.  Any thread.  After
 * node_stop() has begun calls are still made.  0 or -ENOMEM. */
int node_post(struct node *n, void (*fn)(void *arg), void *arg);

#endif
