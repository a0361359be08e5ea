#include "tools/source.h"

#include "store/error.h"
#include "tools/ref.h"
#include "tools/repo.h"

#include <stdlib.h>
#include <string.h>

static int resolve(struct context *cx, struct opened *o, const char *text, struct ref *ref,
		   char **path)
{
	char name[PEER_TEXT_MAX];
	json_t *reply = NULL;
	struct ref target;
	int status;

	if (!o->client)
		return fail(cx, "a name can only be resolved by a running daemon: start one with `cairn daemon`");
	status = call_or_fail(cx, o->client,
			      json_pack("{s:s, s:s}", "cmd", "resolve", "name",
					peer_name_text(&ref->name, name)),
			      &reply);
	if (status)
		return status;
	const char *value = json_string_value(json_object_get(reply, "value"));
	if (!value || ref_parse(&target, value) < 0 || target.is_name) {
		json_decref(reply);
		return fail(cx, "%s points at nothing cairn understands", text);
	}
	o->cid = target.cid;
	if (asprintf(path, "%s/%s", target.path, ref->path) < 0)
		*path = NULL;
	json_decref(reply);
	return *path ? 0 : fail(cx, "out of memory");
}

int source_fail(struct context *cx, const char *text, int r)
{
	switch (r) {
	case -ENOENT:
		return fail(cx, "%s: there is no such file or folder in it", text);
	case ERR_MISSING:
		return fail(cx, "%s: not all of it is here, and no daemon runs to fetch it: start one with `cairn daemon`", text);
	case -EIO:
		return fail(cx, "%s: nobody who could be reached has it (see cairn status)", text);
	case -ETIMEDOUT:
		return fail(cx, "%s: peers have it but did not deliver in time", text);
	case -ENETUNREACH:
		return fail(cx, "%s: not all of it is here, and the daemon is offline", text);
	case -ECANCELED:
		return fail(cx, "stopped");
	case ERR_CORRUPT:
		return fail(cx, "%s: the store is damaged: mend it with `cairn repair`", text);
	default:
		return fail(cx, "%s: %s", text, err_text(r));
	}
}

int source_open(struct context *cx, const char *text, struct opened *o)
{
	struct dag_entry entry;
	struct ref ref;
	char *path = NULL;
	int r, status;

	*o = (struct opened){ 0 };
	status = repo_need(cx);
	if (status)
		return status;
	if (ref_parse(&ref, text) < 0)
		return misuse(cx, "'%s' is neither a CID nor a name", text);
	if (client_open(&o->client, cx->repo) < 0)
		o->client = NULL;
	if (ref.is_name) {
		status = resolve(cx, o, text, &ref, &path);
		if (status)
			return status;
	} else {
		o->cid = ref.cid;
		path = strdup(ref.path);
		if (!path)
			return fail(cx, "out of memory");
	}
	r = reader_open(&o->reader, cx->repo, o->client, &o->cid);
	if (r < 0) {
		free(path);
		return repo_store_fail(cx, r);
	}
	o->blocks = reader_source(o->reader);
	if (strspn(path, "/") < strlen(path)) {
		r = dag_resolve(o->blocks, &o->cid, path, &entry, NULL);
		if (r >= 0) {
			o->cid = entry.cid;
			o->tsize = entry.tsize;
		}
	}
	free(path);
	return r < 0 ? source_fail(cx, text, r) : 0;
}

void source_close(struct opened *o)
{
	reader_close(o->reader);
	client_close(o->client);
}
