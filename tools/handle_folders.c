/* Requests about folders: each on a thread of its own, since they wait for disks
 * and for snapshots. */
#include "tools/handlers.h"

#include "store/error.h"
#include "tools/folder_ops.h"

#include <stdlib.h>

struct asking {
	struct request *rq;
	uv_thread_t thread;
	uv_async_t finished;
	atomic_bool cancel;
	struct folder_op op;
	int result;
};

static void ask_thread(void *arg)
{
	struct asking *a = arg;

	a->result = folder_op_run(&a->op);
	uv_async_send(&a->finished);
}

static void on_closed(uv_handle_t *h)
{
	free(h->data);
}

static void on_finished(uv_async_t *async)
{
	struct asking *a = async->data;

	uv_thread_join(&a->thread);
	if (a->result < 0)
		request_fail(a->rq, a->result, "%s", a->op.why);
	else
		request_reply(a->rq, a->op.reply);
	uv_close((uv_handle_t *)&a->finished, on_closed);
}

static void on_gone(struct request *rq)
{
	struct asking *a = rq->op;

	a->cancel = true;
}

void handle_folder(struct request *rq)
{
	struct daemon *d = rq->daemon;
	struct asking *a = calloc(1, sizeof *a);

	if (!a) {
		request_fail(rq, -ENOMEM, "out of memory");
		return;
	}
	a->rq = rq;
	a->op = (struct folder_op){
		.folders = d->folders,
		.store = d->store,
		.source = waiting_source(d->waiting),
		.seen = d->seen,
		.args = rq->args,
		.cancel = &a->cancel,
	};
	uv_async_init(&d->loop, &a->finished, on_finished);
	a->finished.data = a;
	if (uv_thread_create(&a->thread, ask_thread, a) < 0) {
		uv_close((uv_handle_t *)&a->finished, on_closed);
		request_fail(rq, -ENOMEM, "out of memory");
		return;
	}
	rq->op = a;
	rq->on_gone = on_gone;
}
