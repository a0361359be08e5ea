/* The request to collect garbage: a thread of its own does it, watched by a timer. */
#include "tools/collect.h"
#include "tools/handlers.h"

#include <stdlib.h>

struct collecting {
	struct request *rq;
	struct daemon *daemon;
	uv_thread_t thread;
	uv_async_t finished;
	uv_timer_t tick;
	int open_handles;
	atomic_bool cancel;
	struct gc_progress progress;
	struct gc_options options;
	struct gc_result result;
	int code;
};

static void gc_thread(void *arg)
{
	struct collecting *c = arg;

	c->code = store_gc(c->daemon->store, &c->options, &c->result);
	uv_async_send(&c->finished);
}

static void on_gc_closed(uv_handle_t *h)
{
	struct collecting *c = h->data;

	if (!--c->open_handles)
		free(c);
}

static void on_collected(uv_async_t *async)
{
	struct collecting *c = async->data;
	char why[512];

	uv_thread_join(&c->thread);
	uv_close((uv_handle_t *)&c->finished, on_gc_closed);
	uv_close((uv_handle_t *)&c->tick, on_gc_closed);
	if (c->code < 0) {
		collect_why(c->code, &c->result, why);
		request_fail(c->rq, c->code, "%s", why);
	} else {
		request_reply(c->rq, collect_result(&c->result, c->options.dry_run));
	}
}

static void on_gc_tick(uv_timer_t *t)
{
	struct collecting *c = t->data;

	request_progress(c->rq, collect_report(&c->progress));
}

static void on_gc_gone(struct request *rq)
{
	struct collecting *c = rq->op;

	c->cancel = true;
}

/* {cmd: "gc", dry_run: bool, progress: bool} -> what collect_result() says */
void handle_gc(struct request *rq)
{
	struct daemon *d = rq->daemon;
	struct collecting *c = calloc(1, sizeof *c);

	if (!c) {
		request_fail(rq, -ENOMEM, "out of memory");
		return;
	}
	c->rq = rq;
	c->daemon = d;
	c->options = (struct gc_options){
		.pins = d->pins,
		.seen = d->seen,
		.dry_run = json_is_true(json_object_get(rq->args, "dry_run")),
		.progress = &c->progress,
		.cancel = &c->cancel,
	};
	uv_async_init(&d->loop, &c->finished, on_collected);
	uv_timer_init(&d->loop, &c->tick);
	c->finished.data = c->tick.data = c;
	c->open_handles = 2;
	if (uv_thread_create(&c->thread, gc_thread, c) < 0) {
		uv_close((uv_handle_t *)&c->finished, on_gc_closed);
		uv_close((uv_handle_t *)&c->tick, on_gc_closed);
		request_fail(rq, -ENOMEM, "out of memory");
		return;
	}
	rq->op = c;
	rq->on_gone = on_gc_gone;
	if (json_is_true(json_object_get(rq->args, "progress")))
		uv_timer_start(&c->tick, on_gc_tick, 100, 200);
}
