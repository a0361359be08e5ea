/*
 * What the folder commands ask of the repository's folders, apart from who does
 * it: the daemon, if one runs, or the command itself.
 *	{cmd: "folder", op: "create", name: ..., ...} -> an object
 * Blocking.
 */
#ifndef TOOLS_FOLDER_OPS_H
#define TOOLS_FOLDER_OPS_H

#include "fs/folders.h"
#include "store/seen.h"
#include "tools/command.h"

struct folder_op {
	struct folders *folders;
	struct store *store;
	struct block_source *source; /* may wait for the network */
	struct seen *seen;	     /* or NULL */
	json_t *args;		     /* borrowed */
	atomic_bool *cancel;
	json_t *reply;	/* after 0: the caller's */
	char why[512];	/* after an error: the sentence */
};

/* 0, -EINVAL (misuse), or another error; op->why is set. */
int folder_op_run(struct folder_op *op);

/*
 * For the commands: ask the daemon, or do it here if none runs.  0 and the reply,
 * or an exit status after a message.  Takes the request.
 */
int folder_ask(struct context *cx, json_t *request, json_t **reply);

#endif
