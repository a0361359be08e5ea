/* A session of the control socket, as the files of the server share it. */
#ifndef TOOLS_SERVER_INTERNAL_H
#define TOOLS_SERVER_INTERNAL_H

#include "tools/control.h"
#include "tools/server.h"

struct server {
	struct daemon *daemon;
	uv_pipe_t listener;
	struct session *sessions;
	bool closing;
};

/*
 * A connection of the cairn command.  It is freed when its handle is closed and
 * no pool work refers to it any more.
 */
struct session {
	uv_pipe_t pipe;
	struct server *server;
	struct session *next, **prev;
	struct buf in;
	struct request *requests;
	struct block_want *wants;
	unsigned refs; /* the handle, and pool work under way */
	size_t storing; /* bytes of blocks on their way into the store */
	bool paused;	/* nothing is read until there are fewer */
	struct store *held; /* what it brings stays there, while it lives; or NULL */
	bool closing;
};

/* A frame being sent: the caller fills in what it needs of it. */
struct outgoing {
	uv_write_t write;
	struct session *session;
	struct block *block;
	uint8_t head[CONTROL_HEAD + 4];
	char *text;
};

void session_unref(struct session *ss);

/* Send these buffers; takes `o`, with the block and text in it. */
void session_send(struct session *ss, struct outgoing *o, uv_buf_t *bufs, unsigned n);

/* Until the session ends, a gc leaves what is put and found (store_hold). */
int session_hold(struct session *ss);

/* Read on. */
int session_read(struct session *ss);

/* server_store.c: a frame of kind CONTROL_STORE came.  Negative: it is broken. */
int session_store(struct session *ss, uint32_t id, const uint8_t *data, size_t len);

#endif
