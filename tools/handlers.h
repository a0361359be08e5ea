/* The daemon's request handlers, by subject; handlers.c has the table. */
#ifndef TOOLS_HANDLERS_H
#define TOOLS_HANDLERS_H

#include "tools/server.h"

void handle_id(struct request *rq);
void handle_status(struct request *rq);
void handle_stop(struct request *rq);
void handle_peers(struct request *rq);
void handle_connect(struct request *rq);
void handle_ping(struct request *rq);
void handle_providers(struct request *rq);
void handle_add(struct request *rq);
void handle_sync(struct request *rq);
void handle_mend(struct request *rq);
void handle_folder(struct request *rq);
void handle_hold(struct request *rq);
void handle_pin(struct request *rq);
void handle_unpin(struct request *rq);
void handle_gc(struct request *rq);
void handle_publish(struct request *rq);
void handle_resolve(struct request *rq);
void handle_mount(struct request *rq);
void handle_umount(struct request *rq);

#endif
