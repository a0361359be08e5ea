/*
 * What the commands share that read a tree: from the SOURCE a user typed to a block
 * source and the CID it means, resolving a name and walking a path.  Beside what
 * ref.h understands a SOURCE is a folder of this repository, or one of its or of a
 * name's snapshots (fs/folder_ref.h): NAME[@REF][/path], k51…@REF[/path].
 */
#ifndef TOOLS_SOURCE_H
#define TOOLS_SOURCE_H

#include "store/dag.h"
#include "fs/folder_ref.h"
#include "net/peer.h"
#include "tools/client.h"

struct opened {
	struct client *client; /* NULL: no daemon */
	struct reader *reader;
	struct block_source *blocks;
	struct block_source *history; /* of the commits: of a folder here, only what is here */
	struct cid cid;
	uint64_t tsize; /* as the link to it says; 0 for a root */
	struct cid commit;     /* the snapshot it is of; version 0xff: none is known */
	char name[FOLDER_NAME_MAX + 1]; /* the folder of this repository; "": it is none */
	struct peer_id folder; /* whose commit that is; none: whichever it says */
	const char *path;      /* behind the name, of source_open_commit(); borrowed from text */
};

/* 0, or an exit status after a message.  source_close() in either case.  One at a
 * time. */
int source_open(struct context *cx, const char *text, struct opened *out);
void source_close(struct opened *o);

/*
 * The same for a snapshot, by its history: commit is set, cid is the root of its
 * tree, and the path is not followed.  A plain CID may be a commit's.
 */
int source_open_commit(struct context *cx, const char *text, struct opened *out);

/* Can it be understood at all?  Reads the disk, not the network. */
bool source_known(struct context *cx, const char *text);
/* Is it a folder of this repository, or a snapshot of one?  Reads the disk. */
bool source_is_folder(struct context *cx, const char *text);

/* A message for an error of history.h; returns the status. */
int history_fail(struct context *cx, const char *text, int r);
/* A message for an error of a tree reader; returns the status. */
int source_fail(struct context *cx, const char *text, int r);

#endif
