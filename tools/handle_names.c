/* Requests about names: publish and resolve. */
#include "tools/handlers.h"

#include "store/error.h"
#include "tools/provide.h"
#include "tools/ref.h"

#include <stdlib.h>
#include <string.h>

struct naming {
	struct request *rq;
	struct peer_id name;
	enum resolve_how how;
	int depth;
};

static void on_published(void *arg, int result)
{
	struct naming *n = arg;
	char text[PEER_TEXT_MAX];

	if (result < 0)
		request_fail(n->rq, result, "cannot publish: %s", err_text(result));
	else
		request_reply(n->rq, json_pack("{s:s, s:i}", "name", peer_name_text(&n->name, text),
					       "peers", result));
	free(n);
}

void handle_publish(struct request *rq)
{
	struct daemon *d = rq->daemon;
	const char *text = request_text(rq, "value");
	struct publish_options o = {
		.lifetime_ms = (uint64_t)json_integer_value(json_object_get(rq->args, "lifetime_ms")),
		.ttl_ms = (uint64_t)json_integer_value(json_object_get(rq->args, "ttl_ms")),
	};
	struct public_key public;
	struct ref ref;

	if (!text || ref_parse(&ref, text) < 0) {
		request_fail(rq, -EINVAL, "'%s' is neither a CID nor a name", text ? text : "");
		return;
	}
	char *value = ref_text(&ref);
	if (!value || strlen(value) >= IPNS_VALUE_MAX) {
		free(value);
		request_fail(rq, -EINVAL, "the path is too long for a record");
		return;
	}
	struct naming *n = calloc(1, sizeof *n);
	if (!n) {
		free(value);
		request_fail(rq, -ENOMEM, "out of memory");
		return;
	}
	n->rq = rq;
	key_public(&d->key, &public);
	key_peer(&public, &n->name);
	/* What a name points at is meant to be found. */
	if (!ref.is_name)
		provide_add(d->provide, &ref.cid);
	gc_roots_changed(d->store);
	names_publish(d->node->names, &d->key, value, &o, on_published, n);
	free(value);
}

static void on_resolved(void *arg, int result, const struct resolved *r)
{
	struct naming *n = arg;
	char name[PEER_TEXT_MAX], cid[CID_TEXT_MAX];
	struct cid commit;
	struct ref ref;

	if (result < 0) {
		request_fail(n->rq, result, result == -ENOENT ? "no record of %s was found: %s" : "cannot resolve %s: %s",
			     peer_name_text(&n->name, name),
			     result == -ENOENT ? "is it published, and are there peers?" : err_text(result));
		free(n);
		return;
	}
	if (ref_parse(&ref, r->value) < 0) {
		request_fail(n->rq, ERR_MALFORMED, "the record points at '%s', which is no CID", r->value);
		free(n);
		return;
	}
	if (ref.is_name && ++n->depth < 32) {
		n->name = ref.name;
		names_resolve(n->rq->daemon->node->names, &n->name, n->how, on_resolved, n);
		return;
	}
	if (ref.is_name) {
		request_fail(n->rq, -ELOOP, "the name leads to names without end");
		free(n);
		return;
	}
	json_t *reply = json_pack("{s:s, s:I, s:I, s:I, s:b, s:s}", "value", r->value, "sequence",
				  (json_int_t)r->record.sequence, "validity",
				  (json_int_t)(r->record.validity_ms / 1000), "ttl",
				  (json_int_t)(r->record.ttl_ns / 1000000000), "stale", r->stale,
				  "folder", peer_name_text(&n->name, name));
	if (reply && r->record.extra_len &&
	    cid_decode(&commit, r->record.extra, r->record.extra_len) == 0)
		json_object_set_new(reply, "commit", json_string(cid_text(&commit, cid)));
	request_reply(n->rq, reply);
	free(n);
}

void handle_resolve(struct request *rq)
{
	const char *text = request_text(rq, "name");
	struct naming *n = calloc(1, sizeof *n);
	struct ref ref;

	if (!text || !n || ref_parse(&ref, text) < 0 || !ref.is_name) {
		free(n);
		request_fail(rq, -EINVAL, "'%s' is no name: it is like k51…, or 12D3…", text ? text : "");
		return;
	}
	n->rq = rq;
	n->name = ref.name;
	n->how = json_is_true(json_object_get(rq->args, "refresh")) ? RESOLVE_REFRESH : RESOLVE_NORMAL;
	names_resolve(rq->daemon->node->names, &n->name, n->how, on_resolved, n);
}
