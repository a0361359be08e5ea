/*
 * The request that ends an import: what the client brought becomes durable, and
 * the roots that are there are promised to the network.
 *	{cmd: "sync", roots: [CID...], provide: bool, pin: bool}
 *		-> {missing: [CID...], partial: [CID...]}
 * Missing roots are not here; partial ones lack blocks below, and are not pinned.
 */
#include "tools/handlers.h"

#include "store/error.h"
#include "tools/pins.h"
#include "tools/provide.h"

#include <stdlib.h>

struct syncing {
	uv_work_t work;
	struct request *rq;
	struct daemon *daemon;
	bool pin;
	int result;
	size_t n;
	struct root {
		struct cid cid;
		bool here, partial;
	} roots[];
};

static void sync_store(uv_work_t *work)
{
	struct syncing *s = work->data;

	struct daemon *d = s->daemon;

	s->result = store_sync(d->store);
	for (size_t i = 0; i < s->n && s->result >= 0; i++) {
		struct root *root = &s->roots[i];

		root->here = source_has(store_source(d->store), &root->cid) > 0;
		if (!root->here || !s->pin)
			continue;
		s->result = pin_tree(d->store, d->pins, &root->cid, "");
		root->partial = s->result == ERR_MISSING;
		if (root->partial)
			s->result = 0;
	}
}

static void on_synced(uv_work_t *work, int status)
{
	struct syncing *s = work->data;
	struct daemon *d = s->daemon;
	bool provide = json_is_true(json_object_get(s->rq->args, "provide"));
	json_t *missing = json_array(), *partial = json_array();
	char text[CID_TEXT_MAX];
	int r = s->result;

	for (size_t i = 0; i < s->n; i++) {
		struct root *root = &s->roots[i];
		if (!root->here)
			json_array_append_new(missing, json_string(cid_text(&root->cid, text)));
		else if (root->partial)
			json_array_append_new(partial, json_string(cid_text(&root->cid, text)));
		else if (provide && r == 0 && !d->stopping)
			r = provide_add(d->provide, &root->cid);
	}
	if (r < 0) {
		json_decref(missing);
		json_decref(partial);
		request_fail(s->rq, r, s->result < 0 ? "cannot store it: %s" : "cannot note what is to be announced: %s",
			     err_text(r));
	} else {
		request_reply(s->rq, json_pack("{s:o, s:o}", "missing", missing, "partial", partial));
	}
	free(s);
}

void handle_sync(struct request *rq)
{
	json_t *roots = json_object_get(rq->args, "roots");
	size_t n = json_array_size(roots);
	struct syncing *s = calloc(1, sizeof *s + n * sizeof *s->roots);

	if (!s) {
		request_fail(rq, -ENOMEM, "out of memory");
		return;
	}
	s->rq = rq;
	s->daemon = rq->daemon;
	s->work.data = s;
	s->pin = json_is_true(json_object_get(rq->args, "pin"));
	s->n = n;
	for (size_t i = 0; i < n; i++) {
		const char *text = json_string_value(json_array_get(roots, i));
		if (!text || cid_parse(&s->roots[i].cid, text, json_string_length(json_array_get(roots, i))) < 0) {
			free(s);
			request_fail(rq, -EINVAL, "a root is not a CID");
			return;
		}
	}
	int r = uv_queue_work(&rq->daemon->loop, &s->work, sync_store, on_synced);
	if (r < 0) {
		free(s);
		request_fail(rq, r, "out of memory");
	}
}
