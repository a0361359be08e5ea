#include "tools/source.h"

#include "fs/history.h"
#include "store/error.h"
#include "tools/ref.h"
#include "tools/repo.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* What was typed, read but not looked up. */
struct meant {
	enum { MEANT_CID, MEANT_NAME, MEANT_FOLDER } kind;
	struct ref ref;		  /* of the first two */
	struct folder_ref folder; /* of the third */
	struct folder_at at;
	const char *path;
};

static bool folder_there(struct context *cx, const char *name)
{
	char path[PATH_MAX];

	return folder_path_in(path, cx->repo, name, "folder.json") == 0 && !access(path, F_OK);
}

/* k51…@REF[/path] */
static int parse_name_at(struct meant *m, const char *text)
{
	const char *at = strchr(text, '@');
	size_t len;

	if (!at || at - text >= PEER_TEXT_MAX || peer_parse(&m->ref.name, text, (size_t)(at - text)) < 0)
		return ERR_MALFORMED;
	m->ref.is_name = true;
	at++;
	len = strcspn(at, *at == '{' ? "}" : "/");
	len += at[len] == '}';
	if (at[len] && at[len] != '/')
		return ERR_MALFORMED;
	m->path = at + len + strspn(at + len, "/");
	return folder_at_parse(&m->at, at, len, wall_ms());
}

/* 0 or ERR_MALFORMED.  A folder comes first: its name looks like no CID and no peer id. */
static int meant_parse(struct context *cx, const char *text, struct meant *m)
{
	*m = (struct meant){ 0 };
	if (folder_ref_parse(&m->folder, text, wall_ms()) == 0 && folder_there(cx, m->folder.name)) {
		m->kind = MEANT_FOLDER;
		m->at = m->folder.at;
		m->path = m->folder.path;
		return 0;
	}
	if (ref_parse(&m->ref, text) < 0 && parse_name_at(m, text) < 0)
		return ERR_MALFORMED;
	m->kind = m->ref.is_name ? MEANT_NAME : MEANT_CID;
	if (!m->path)
		m->path = m->ref.path;
	return 0;
}

bool source_known(struct context *cx, const char *text)
{
	struct meant m;

	return meant_parse(cx, text, &m) == 0;
}

bool source_is_folder(struct context *cx, const char *text)
{
	struct folder_ref ref;

	return folder_ref_parse(&ref, text, wall_ms()) == 0 && folder_there(cx, ref.name);
}

/* Have a source of blocks, now of the tree below `root`. */
static int turn_to(struct context *cx, struct opened *o, const struct cid *root)
{
	if (o->reader) {
		reader_turn(o->reader, root);
		return 0;
	}
	int r = reader_open(&o->reader, cx->repo, o->client, root);
	if (r < 0)
		return repo_store_fail(cx, r);
	o->blocks = reader_source(o->reader);
	return 0;
}

/* What a name points at: *value, to be freed; and the commit that rides with it. */
static int resolve(struct context *cx, struct opened *o, const struct peer_id *id, char **value)
{
	char name[PEER_TEXT_MAX];
	json_t *reply = NULL;
	int status;

	if (!o->client)
		return fail(cx, "a name can only be resolved by a running daemon: start one with `cairn daemon`");
	status = call_or_fail(cx, o->client,
			      json_pack("{s:s, s:s}", "cmd", "resolve", "name",
					peer_name_text(id, name)),
			      &reply);
	if (status)
		return status;
	const char *text = json_string_value(json_object_get(reply, "value")),
		   *commit = json_string_value(json_object_get(reply, "commit")),
		   *folder = json_string_value(json_object_get(reply, "folder"));
	*value = text ? strdup(text) : NULL;
	if (commit && folder && cid_parse(&o->commit, commit, strlen(commit)) >= 0) {
		/* Names may lead to names: the commit is of the last. */
		if (peer_parse(&o->folder, folder, strlen(folder)) < 0)
			o->commit.version = 0xff;
	} else {
		o->commit.version = 0xff;
	}
	json_decref(reply);
	return *value ? 0 : fail(cx, "the daemon's answer cannot be understood");
}

int history_fail(struct context *cx, const char *text, int r)
{
	switch (r) {
	case -ENOENT:
		return fail(cx, "%s: there is no such snapshot", text);
	case ERR_MISSING:
		return fail(cx, "%s: that snapshot, or one on the way to it, is no longer here", text);
	case -ENOTUNIQ:
		return fail(cx, "%s: more than one snapshot begins so: give more digits", text);
	case ERR_MALFORMED:
		return fail(cx, "%s: what it leads to is no snapshot of this folder", text);
	case ERR_CORRUPT:
		return fail(cx, "%s: a snapshot of its history is not signed by the folder's key", text);
	default:
		return source_fail(cx, text, r);
	}
}

/* From a head to the snapshot that is meant, to its root. */
static int find_root(struct context *cx, struct opened *o, const struct meant *m,
		     const char *text, const struct folder_file *f)
{
	const struct peer_id *folder = o->folder.len ? &o->folder : NULL;
	struct cid head = f ? *folder_file_head(f) : o->commit;
	struct block *hold = NULL;
	struct commit c;
	int status = turn_to(cx, o, &head), r;

	if (status)
		return status;
	o->history = f ? reader_local(o->reader) : o->blocks;
	if (f)
		r = history_find(o->history, f, folder, &m->at, wall_ms(), &o->commit);
	else
		r = history_find_from(o->history, &head, folder, &m->at, wall_ms(), &o->commit);
	if (r == 0)
		r = history_read(o->history, &o->commit, folder, &c, &hold);
	if (r < 0)
		return history_fail(cx, text, r);
	o->cid = c.root;
	o->folder = c.folder;
	block_unref(hold);
	return 0;
}

/* o->cid, and the way from there in *path, to be freed. */
static int look_up(struct context *cx, struct opened *o, const struct meant *m, const char *text,
		   bool commit, char **path)
{
	struct folder_file f = { 0 };
	struct ref target;
	char *value = NULL;
	int status, r;

	o->commit.version = 0xff;
	if (client_open(&o->client, cx->repo) < 0)
		o->client = NULL;
	*path = strdup(m->path);
	if (!*path)
		return fail(cx, "out of memory");
	if (m->kind == MEANT_FOLDER) {
		r = folder_file_load(&f, cx->repo, m->folder.name);
		if (r < 0)
			return fail(cx, "cannot read the folder '%s': %s", m->folder.name, err_text(r));
		strcpy(o->name, m->folder.name);
		status = find_root(cx, o, m, text, &f);
		folder_file_release(&f);
		return status;
	}
	if (m->kind == MEANT_CID) {
		o->cid = m->ref.cid;
		if (!commit)
			return 0;
		o->commit = o->cid;
		return find_root(cx, o, m, text, NULL);
	}
	status = resolve(cx, o, &m->ref.name, &value);
	if (status)
		return status;
	if (commit || m->at.kind != AT_HEAD) {
		free(value);
		if (o->commit.version == 0xff)
			return fail(cx, "%s: this name has no history: it was published without", text);
		return find_root(cx, o, m, text, NULL);
	}
	if (ref_parse(&target, value) < 0 || target.is_name) {
		free(value);
		return fail(cx, "%s points at nothing cairn understands", text);
	}
	o->cid = target.cid;
	free(*path);
	if (asprintf(path, "%s/%s", target.path, m->path) < 0)
		*path = NULL;
	free(value);
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

static int open_source(struct context *cx, const char *text, struct opened *o, bool commit)
{
	struct dag_entry entry;
	struct meant m;
	char *path = NULL;
	int r, status;

	*o = (struct opened){ 0 };
	status = repo_need(cx);
	if (!status && meant_parse(cx, text, &m) < 0)
		status = misuse(cx, "'%s' is neither a CID, nor a name, nor a folder", text);
	if (!status)
		status = look_up(cx, o, &m, text, commit, &path);
	if (!status)
		status = turn_to(cx, o, &o->cid);
	if (!status && !commit && strspn(path, "/") < strlen(path)) {
		r = dag_resolve(o->blocks, &o->cid, path, &entry, NULL);
		if (r < 0) {
			status = source_fail(cx, text, r);
		} else {
			o->cid = entry.cid;
			o->tsize = entry.tsize;
		}
	}
	o->path = m.path;
	free(path);
	return status;
}

int source_open(struct context *cx, const char *text, struct opened *o)
{
	return open_source(cx, text, o, false);
}

int source_open_commit(struct context *cx, const char *text, struct opened *o)
{
	return open_source(cx, text, o, true);
}

void source_close(struct opened *o)
{
	reader_close(o->reader);
	client_close(o->client);
}
