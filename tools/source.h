/*
 * What ls, cat, get and stat share: from the SOURCE a user typed to a block
 * source and the CID it means, resolving a name and walking a path.
 */
#ifndef TOOLS_SOURCE_H
#define TOOLS_SOURCE_H

#include "store/dag.h"
#include "tools/client.h"

struct opened {
	struct client *client; /* NULL: no daemon */
	struct reader *reader;
	struct block_source *blocks;
	struct cid cid;
	uint64_t tsize; /* as the link to it says; 0 for a root */
};

/* 0, or an exit status after a message.  source_close() in either case. */
int source_open(struct context *cx, const char *text, struct opened *out);
void source_close(struct opened *o);

/* A message for an error of a tree reader; returns the status. */
int source_fail(struct context *cx, const char *text, int r);

#endif
