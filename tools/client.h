/*
 * The command's end of the control socket: calls that wait for their reply, and
 * a block source that reads the local store and asks the daemon for the rest.
 * Blocking; one thread.
 */
#ifndef TOOLS_CLIENT_H
#define TOOLS_CLIENT_H

#include "store/source.h"
#include "tools/command.h"

struct client;

/* Connect.  -ENOENT or -ECONNREFUSED: no daemon runs there. */
int client_open(struct client **out, const char *repo);
void client_close(struct client *c);

/* client_open() with a message that says how to start one; NULL on failure. */
struct client *client_need(struct context *cx);

/*
 * Send a request (reference stolen) and wait.  `progress` (may be NULL) is called
 * for each report.  0 and the reply in *out (the caller releases), or a negative
 * error; then `why` (512 bytes, may be NULL) has the daemon's sentence.
 * -ECANCELED: *stop became true while waiting (stop may be NULL).
 */
int client_call(struct client *c, json_t *request,
		void (*progress)(void *arg, json_t *report), void *arg, json_t **out,
		char *why);

/*
 * Hand a block to the daemon, which checks it and stores it; several are on their
 * way at once.  client_put_all() waits for all of them.  0, or the first error
 * that any of them came upon, now or before.
 */
int client_put(struct client *c, const struct multihash *name, const void *data,
	       size_t len);
int client_put_all(struct client *c);

/* client_call() for a command: on failure prints why and returns a status. */
int call_or_fail(struct context *cx, struct client *c, json_t *request, json_t **out);

/*
 * Blocks of the tree `root`.  One reader at a time in a process.  `c` may be NULL (no daemon): then what is not
 * local is ERR_MISSING.  get() waits; any thread may call it.
 */
struct reader;
int reader_open(struct reader **out, const char *repo, struct client *c,
		const struct cid *root);
void reader_close(struct reader *r);
struct block_source *reader_source(struct reader *r);
/* The same, but only what is here: else ERR_MISSING at once. */
struct block_source *reader_local(struct reader *r);
/* From here on blocks of another tree are read: it has other sources. */
void reader_turn(struct reader *r, const struct cid *root);

/* Set by SIGINT and SIGTERM once signals_catch() was called; makes the waits
 * above return -ECANCELED. */
#include <stdatomic.h>
extern atomic_bool interrupted;
void signals_catch(void);

#endif
