/* The request to add files: a thread of its own does it, watched by a timer. */
#include "tools/handlers.h"

#include "store/error.h"
#include "tools/add_options.h"
#include "tools/provide.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

struct adding {
	struct request *rq;
	struct daemon *daemon;
	uv_thread_t thread;
	uv_async_t finished;
	uv_timer_t tick;
	int open_handles;
	atomic_bool cancel;
	struct import_progress progress;
	struct add_options asked;
	struct import_options options;
	struct import_result result;
	char *path;
	int code;
	bool provide, pin;
	const char *what; /* was being done when it failed */
	/* The first thing that went wrong or was left out, for the message. */
	pthread_mutex_t lock;
	char *where;
	int where_code;
	uint32_t left_out;
};

static void on_left_out(void *arg, const char *path, int error)
{
	struct adding *a = arg;

	pthread_mutex_lock(&a->lock);
	a->left_out++;
	free(a->where);
	a->where = strdup(path);
	a->where_code = error;
	pthread_mutex_unlock(&a->lock);
}

static void add_thread(void *arg)
{
	struct adding *a = arg;

	struct daemon *d = a->daemon;

	/* Until it is pinned, a gc must know that it is in use. */
	a->what = "add";
	a->code = store_hold(d->store);
	if (a->code >= 0) {
		a->code = import_path(d->store, a->path, &a->options, &a->result);
		if (a->code >= 0 && a->pin) {
			a->what = "pin";
			a->code = pins_add(d->pins, &a->result.root, PIN_RECURSIVE, "");
		}
		store_unhold(d->store);
	}
	uv_async_send(&a->finished);
}

static json_t *add_report(struct adding *a)
{
	return json_pack("{s:I, s:I, s:I, s:I}", "files", (json_int_t)a->progress.files, "bytes",
			 (json_int_t)a->progress.bytes, "files_total",
			 (json_int_t)a->progress.files_total, "bytes_total",
			 (json_int_t)a->progress.bytes_total);
}

static void on_tick(uv_timer_t *t)
{
	struct adding *a = t->data;

	request_progress(a->rq, add_report(a));
}

static void on_add_closed(uv_handle_t *h)
{
	struct adding *a = h->data;

	if (--a->open_handles)
		return;
	pthread_mutex_destroy(&a->lock);
	free(a->where);
	free(a->path);
	add_options_release(&a->asked);
	free(a);
}

static void on_added(uv_async_t *async)
{
	struct adding *a = async->data;
	struct daemon *d = a->daemon;
	char cid[CID_TEXT_MAX];

	uv_thread_join(&a->thread);
	uv_close((uv_handle_t *)&a->finished, on_add_closed);
	uv_close((uv_handle_t *)&a->tick, on_add_closed);
	if (a->code < 0) {
		request_fail(a->rq, a->code, "cannot %s %s: %s", a->what,
			     a->where && a->where_code == a->code ? a->where : a->path,
			     err_text(a->code));
		return;
	}
	if (a->options.progress)
		request_progress(a->rq, add_report(a));
	if (!d->stopping) {
		bitswap_have(d->node->bitswap, &a->result.root.hash);
		int r = a->provide ? provide_add(d->provide, &a->result.root) : 0;
		if (r < 0) {
			request_fail(a->rq, r, "added %s, but cannot note that it is to be announced: %s",
				     cid_text(&a->result.root, cid), err_text(r));
			return;
		}
	}
	request_reply(a->rq,
		      json_pack("{s:s, s:I, s:I, s:I, s:I, s:I, s:I}", "cid",
				cid_text(&a->result.root, cid), "files", (json_int_t)a->result.files,
				"dirs", (json_int_t)a->result.dirs, "symlinks",
				(json_int_t)a->result.symlinks, "bytes", (json_int_t)a->result.bytes,
				"size", (json_int_t)a->result.tsize, "left_out",
				(json_int_t)a->left_out));
}

static void on_add_gone(struct request *rq)
{
	struct adding *a = rq->op;

	a->cancel = true;
}

void handle_add(struct request *rq)
{
	const char *path = request_text(rq, "path");
	char why[128];
	struct daemon *d = rq->daemon;
	struct adding *a = calloc(1, sizeof *a);

	if (!a || !path || *path != '/') {
		free(a);
		request_fail(rq, -EINVAL, "add needs an absolute path");
		return;
	}
	int r = add_options_unpack(&a->asked, rq->args, why);
	if (r < 0) {
		add_options_release(&a->asked);
		free(a);
		request_fail(rq, r, "%s", r == -EINVAL ? why : err_text(r));
		return;
	}
	add_options_apply(&a->asked, &a->options);
	a->options.seen = d->seen;
	a->rq = rq;
	a->daemon = d;
	a->path = strdup(path);
	a->provide = !json_is_true(json_object_get(rq->args, "no_provide"));
	a->pin = !json_is_true(json_object_get(rq->args, "no_pin"));
	if (json_is_true(json_object_get(rq->args, "progress")))
		a->options.progress = &a->progress;
	a->options.cancel = &a->cancel;
	a->options.warn = on_left_out;
	a->options.warn_arg = a;
	pthread_mutex_init(&a->lock, NULL);
	uv_async_init(&d->loop, &a->finished, on_added);
	uv_timer_init(&d->loop, &a->tick);
	a->finished.data = a->tick.data = a;
	a->open_handles = 2;
	if (!a->path || uv_thread_create(&a->thread, add_thread, a) < 0) {
		uv_close((uv_handle_t *)&a->finished, on_add_closed);
		uv_close((uv_handle_t *)&a->tick, on_add_closed);
		request_fail(rq, -ENOMEM, "out of memory");
		return;
	}
	rq->op = a;
	rq->on_gone = on_add_gone;
	if (a->options.progress)
		uv_timer_start(&a->tick, on_tick, 100, 200);
}
