/*
 * The daemon's end of the control socket: sessions, their frames, and requests
 * that are answered now or later.  Loop thread.
 */
#ifndef TOOLS_SERVER_H
#define TOOLS_SERVER_H

#include "tools/daemon.h"

struct server;

/* Listen.  The caller holds the repository's lock, so an old socket is stale. */
int server_new(struct server **out, struct daemon *d);
/* No new sessions; those there are live on until server_free(). */
void server_stop(struct server *s);
/* Close all sessions, cancelling what they wait for; frees when the loop has
 * run on a little. */
void server_free(struct server *s);

/*
 * One question of a client.  Exactly one of request_reply and request_fail ends
 * and frees it, also when the client has gone.
 */
struct request {
	struct daemon *daemon;
	json_t *args; /* what was asked: an object */
	/* Set by a handler that answers later: the client went away.  The request
	 * still has to be ended, now or when the work has stopped. */
	void (*on_gone)(struct request *rq);
	void *op; /* the handler's */
	/* private */
	struct session *session; /* NULL once the client has gone */
	struct request *next, **prev;
	uint32_t id;
};

void request_reply(struct request *rq, json_t *value); /* steals the reference */
__attribute__((format(printf, 3, 4))) void request_fail(struct request *rq, int code,
							 const char *fmt, ...);
void request_progress(struct request *rq, json_t *report);

/* From within a handler: until its session ends a gc leaves what is put and found. */
int request_hold(struct request *rq);

/* A string argument, or NULL. */
const char *request_text(struct request *rq, const char *key);

/* What each "cmd" does (handlers.c); NULL if there is no such command. */
typedef void (*request_fn)(struct request *rq);
request_fn handler_find(const char *cmd);

#endif
