#include "tools/folder_ops.h"

#include "fs/history.h"
#include "store/error.h"
#include "store/import.h"
#include "tools/client.h"
#include "tools/folder_settings.h"
#include "tools/repo.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CACHE_BYTES (4u << 20)

static const char *text_of(struct folder_op *op, const char *key)
{
	return json_string_value(json_object_get(op->args, key));
}

__attribute__((format(printf, 3, 4))) static int failed(struct folder_op *op, int r,
							const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(op->why, sizeof op->why, fmt, ap);
	va_end(ap);
	return r;
}

/* What every operation on one folder begins with. */
static int find(struct folder_op *op, struct folder_info *out)
{
	const char *name = text_of(op, "name");

	if (!name || !folder_name_ok(name))
		return failed(op, -EINVAL, "'%.64s' is no name of a folder", name ? name : "");
	if (folders_find(op->folders, name, out) < 0)
		return failed(op, -ENOENT, "there is no folder '%s' (see cairn folder list)", name);
	return 0;
}

/* "set": {key: value, ...} */
static int take_settings(struct folder_op *op, struct folder_settings *s)
{
	json_t *set = json_object_get(op->args, "set"), *value;
	const char *key;
	char why[256];

	json_object_foreach(set, key, value) {
		const char *text = json_string_value(value);
		int r = folder_setting_set(s, key, text ? text : "", why);
		if (r < 0)
			return failed(op, -EINVAL, "%s", why);
	}
	return 0;
}

/* Numbers and names; the working tree is not asked. */
static json_t *describe(const struct folder_info *i)
{
	char id[PEER_TEXT_MAX], head[CID_TEXT_MAX], published[CID_TEXT_MAX];
	json_t *o = json_pack("{s:s, s:s, s:s, s:s, s:b, s:b}", "name", i->name, "id",
			      peer_name_text(&i->id, id), "branch", i->branch, "head",
			      cid_text(&i->head, head), "mounted", i->mounted, "publish",
			      i->settings.publish);

	if (o && i->published.version != 0xff)
		json_object_set_new(o, "published", json_string(cid_text(&i->published, published)));
	return o;
}

/* ---- create, list, remove, config ---- */

static int import_dir(struct folder_op *op, const char *path, const struct profile *profile,
		      struct cid *root)
{
	struct import_options io = { .profile = profile,
				     .hidden = true,
				     .seen = op->seen,
				     .cancel = op->cancel };
	struct import_result result;
	int r = import_path(op->store, path, &io, &result);

	if (r < 0)
		return failed(op, r, "cannot add %s: %s", path, err_text(r));
	if (!result.dirs)
		return failed(op, -ENOTDIR, "%s is no directory", path);
	*root = result.root;
	return 0;
}

static int take_cid(struct folder_op *op, const char *key, struct cid *out)
{
	const char *text = text_of(op, key);

	*out = (struct cid){ .version = 0xff };
	if (text && cid_parse(out, text, strlen(text)) < 0)
		return failed(op, -EINVAL, "'%s' is no CID", text);
	return 0;
}

/* Tree and attributes of a snapshot, perhaps somebody else's. */
static int take_commit(struct folder_op *op, const struct cid *cid, struct folder_start *start)
{
	struct block *hold = NULL;
	struct commit c;
	int r = history_read(op->source, cid, NULL, &c, &hold);

	if (r < 0)
		return failed(op, r, "cannot read the snapshot it is to begin with: %s", err_text(r));
	start->root = c.root;
	if (c.has_attrs)
		start->attrs = c.attrs;
	block_unref(hold);
	return 0;
}

static int op_create(struct folder_op *op)
{
	const char *name = text_of(op, "name"), *path = text_of(op, "path"),
		   *profile = text_of(op, "profile");
	struct folder_settings s;
	bool lacks = false;
	struct folder_start start = { .attrs = { .version = 0xff },
				      .message = text_of(op, "message"),
				      .kept = path,
				      .lacks = &lacks,
				      .cancel = op->cancel };
	struct cid commit;
	struct folder_info info;
	int r;

	if (!name || !folder_name_ok(name))
		return failed(op, -EINVAL, "a folder's name is 1 to 64 letters, digits, dots, dashes and underscores, "
					   "and looks like no CID");
	folder_settings_default(&s);
	if (profile)
		s.profile = profile_find(profile);
	if (!s.profile)
		return failed(op, -EINVAL, "there is no profile '%.64s'", profile);
	r = take_settings(op, &s);
	if (r == 0)
		r = take_cid(op, "root", &start.root);
	if (r == 0)
		r = take_cid(op, "commit", &commit);
	if (r == 0 && commit.version != 0xff)
		r = take_commit(op, &commit, &start);
	if (r == 0 && folders_find(op->folders, name, &info) == 0)
		r = failed(op, -EEXIST, "there is a folder '%s' already", name);
	if (r < 0)
		return r;
	/* What is added stays, until the folder has it. */
	r = store_hold(op->store);
	if (r < 0)
		return failed(op, r, "cannot make the folder '%s': %s", name, err_text(r));
	if (path)
		r = import_dir(op, path, s.profile, &start.root);
	if (r == 0) {
		r = folders_create(op->folders, name, &s, &start);
		if (r < 0)
			failed(op, r, "cannot make the folder '%s': %s", name, err_text(r));
	}
	store_unhold(op->store);
	if (r < 0)
		return r;
	folders_find(op->folders, name, &info);
	op->reply = describe(&info);
	if (op->reply && lacks)
		json_object_set_new(op->reply, "lacks", json_true());
	return 0;
}

static int list_one(void *arg, const struct folder_info *i)
{
	json_array_append_new(arg, describe(i));
	return 0;
}

static int op_list(struct folder_op *op)
{
	json_t *list = json_array();

	folders_each(op->folders, list_one, list);
	op->reply = json_pack("{s:o}", "folders", list);
	return 0;
}

static int op_find(struct folder_op *op)
{
	struct folder_info info;
	int r = find(op, &info);

	if (r == 0)
		op->reply = describe(&info);
	return r;
}

static int op_remove(struct folder_op *op)
{
	bool force = json_is_true(json_object_get(op->args, "force"));
	struct folder_info info;
	int r = find(op, &info);

	if (r < 0)
		return r;
	r = folders_remove(op->folders, info.name, force);
	if (r == -EBUSY)
		return failed(op, r, info.mounted ? "'%s' is mounted: unmount it first" : "'%s' is in use", info.name);
	if (r == -ENOTEMPTY)
		return failed(op, r, "'%s' has changes that no snapshot has: make one, or use --force", info.name);
	if (r < 0)
		return failed(op, r, "cannot remove '%s': %s", info.name, err_text(r));
	op->reply = describe(&info);
	return 0;
}

static int op_config(struct folder_op *op)
{
	struct folder_info info;
	int r = find(op, &info);

	if (r == 0)
		r = take_settings(op, &info.settings);
	if (r < 0)
		return r;
	if (json_object_size(json_object_get(op->args, "set"))) {
		r = folders_configure(op->folders, info.name, &info.settings);
		if (r < 0)
			return failed(op, r, "cannot keep the settings of '%s': %s", info.name, err_text(r));
	}
	op->reply = folder_settings_json(&info.settings);
	return 0;
}

/* ---- status, snapshot, branch ---- */

/* Open the folder that is named; folder_unuse() it. */
static int use(struct folder_op *op, struct folder_info *info, struct folder_use **out)
{
	int r = find(op, info);

	if (r < 0)
		return r;
	r = folders_use(op->folders, info->name, 0, out);
	return r < 0 ? failed(op, r, "cannot open the folder '%s': %s", info->name, err_text(r)) : 0;
}

static void set_cid(json_t *o, const char *key, const struct cid *cid)
{
	char text[CID_TEXT_MAX];

	if (cid->version != 0xff)
		json_object_set_new(o, key, json_string(cid_text(cid, text)));
}

/* What the newest snapshot says. */
static void set_head(struct folder_op *op, json_t *o, const struct cid *head)
{
	char id[SHORT_ID + 1];
	struct block *hold = NULL;
	struct commit c;

	json_object_set_new(o, "id", json_string(short_id(head, id)));
	if (history_read(op->source, head, NULL, &c, &hold) < 0)
		return;
	json_object_set_new(o, "time", json_integer(commit_time_ms(c.time)));
	json_object_set_new(o, "message", json_stringn(c.message, c.message_len));
	set_cid(o, "root", &c.root);
	block_unref(hold);
}

static int op_status(struct folder_op *op)
{
	struct folder_info info;
	struct folder_state st;
	struct folder_use *u;
	int r = use(op, &info, &u);

	if (r < 0)
		return r;
	folder_state(folder_used(u), &st);
	folder_use_info(u, &info);
	folder_unuse(u);
	json_t *o = describe(&info), *head = json_object();
	if (!o || !head)
		return failed(op, -ENOMEM, "out of memory");
	json_object_update_new(o, json_pack("{s:I, s:I, s:I, s:I, s:I, s:b, s:i}", "changed_inodes",
					    (json_int_t)st.dirty_inodes, "changed_bytes",
					    (json_int_t)st.dirty_bytes, "log_bytes",
					    (json_int_t)st.log_bytes, "first_change",
					    (json_int_t)st.first_change_ms, "last_change",
					    (json_int_t)st.last_change_ms, "snapshotting",
					    info.snapshotting, "failed", st.failed));
	if (st.failed)
		json_object_set_new(o, "error", json_string(err_text(st.failed)));
	set_head(op, head, &info.head);
	json_object_set_new(o, "snapshot", head);
	op->reply = o;
	return 0;
}

static int op_snapshot(struct folder_op *op)
{
	struct folder_info info;
	struct snapshot_made made;
	struct folder_use *u;
	char id[SHORT_ID + 1], commit[CID_TEXT_MAX], root[CID_TEXT_MAX];
	int r = use(op, &info, &u);

	if (r < 0)
		return r;
	r = folder_snapshot(u, text_of(op, "message"), op->cancel, &made);
	folder_unuse(u);
	if (r == ERR_MISSING)
		return failed(op, r, "a file that changed is not all here, and nobody can be asked for the rest");
	if (r < 0)
		return failed(op, r, "cannot make a snapshot of '%s': %s", info.name, err_text(r));
	op->reply = json_pack("{s:b, s:s, s:s, s:s, s:I, s:I}", "made", r, "id",
			      short_id(&made.commit, id), "commit", cid_text(&made.commit, commit),
			      "root", cid_text(&made.root, root), "files", (json_int_t)made.files,
			      "dirs", (json_int_t)made.dirs);
	if (op->reply)
		set_cid(op->reply, "attrs", &made.attrs);
	return 0;
}

/* ---- restore, checkout, branch ---- */

static int op_restore(struct folder_op *op)
{
	json_t *list = json_object_get(op->args, "paths");
	size_t n = json_array_size(list);
	const char **paths = calloc(n + 1, sizeof *paths);
	char where[PATH_MAX] = "";
	struct folder_info info;
	struct folder_use *u;
	struct cid commit;
	int r = paths ? take_cid(op, "commit", &commit) : failed(op, -ENOMEM, "out of memory");

	for (size_t i = 0; r == 0 && i < n; i++)
		if (!(paths[i] = json_string_value(json_array_get(list, i))))
			r = failed(op, -EINVAL, "a path is no text");
	if (r == 0)
		r = use(op, &info, &u);
	if (r == 0) {
		r = folder_restore(u, &commit, paths, n, op->cancel, where);
		folder_unuse(u);
		if (r == -ENOENT)
			failed(op, r, "%s: that snapshot has no such file or folder", where);
		else if (r == -ENOTDIR)
			failed(op, r, "%s: what leads there is no folder now", where);
		else if (r < 0)
			failed(op, r, "cannot restore %s: %s", *where ? where : info.name, err_text(r));
	}
	free(paths);
	if (r == 0)
		op->reply = describe(&info);
	return r;
}

static int is_branch(void *arg, const struct folder_branch *b, bool current)
{
	return !strcmp(arg, b->name);
}

static int op_checkout(struct folder_op *op)
{
	const char *branch = text_of(op, "branch");
	char id[SHORT_ID + 1], was[SHORT_ID + 1];
	struct snapshot_made before;
	struct folder_info info;
	struct folder_use *u;
	struct cid commit;
	int r = take_cid(op, "commit", &commit);

	if (r == 0)
		r = use(op, &info, &u);
	if (r < 0)
		return r;
	/* A word may be a short id as well. */
	if (branch && !folder_branches(u, is_branch, (void *)branch))
		branch = NULL;
	r = folder_checkout(u, &commit, branch, op->cancel, &before);
	folder_use_info(u, &info);
	folder_unuse(u);
	if (r < 0)
		return failed(op, r, "cannot check that out in '%s': %s", info.name, err_text(r));
	op->reply = json_pack("{s:s, s:s, s:s}", "id", short_id(&commit, id), "branch", info.branch,
			      "before", short_id(&before.commit, was));
	return 0;
}

static int add_branch(void *arg, const struct folder_branch *b, bool current)
{
	char id[SHORT_ID + 1], head[CID_TEXT_MAX];

	json_array_append_new(arg, json_pack("{s:s, s:s, s:s, s:b}", "name", b->name, "id",
					     short_id(&b->head, id), "head",
					     cid_text(&b->head, head), "current", current));
	return 0;
}

static int op_branch(struct folder_op *op)
{
	const char *branch = text_of(op, "branch");
	bool drop = json_is_true(json_object_get(op->args, "drop"));
	struct folder_info info;
	struct folder_use *u;
	int r = find(op, &info);

	if (r == 0)
		r = folders_use(op->folders, info.name, FOLDER_USE_CLOSED, &u);
	if (r < 0)
		return r;
	if (branch)
		r = drop ? folder_branch_drop(u, branch) : folder_branch_add(u, branch);
	if (r == 0) {
		json_t *list = json_array();
		folder_branches(u, add_branch, list);
		op->reply = json_pack("{s:o}", "branches", list);
	}
	folder_unuse(u);
	switch (r) {
	case -EINVAL:
		return failed(op, r, "a branch's name is made as a folder's is");
	case -EEXIST:
		return failed(op, r, "'%s' has a branch '%s' already", info.name, branch);
	case -ENOENT:
		return failed(op, r, "'%s' has no branch '%s'", info.name, branch);
	case -EBUSY:
		return failed(op, r, "'%s' is the branch that '%s' is on", branch, info.name);
	case -ENOSPC:
		return failed(op, r, "'%s' has %d branches, and can have no more", info.name, FOLDER_BRANCHES_MAX);
	default:
		return r < 0 ? failed(op, r, "cannot keep the branches of '%s': %s", info.name, err_text(r)) : r;
	}
}

/* ---- the table ---- */

static const struct {
	const char *op;
	int (*run)(struct folder_op *op);
} ops[] = {
	{ "create", op_create },
	{ "list", op_list },
	{ "find", op_find },
	{ "remove", op_remove },
	{ "config", op_config },
	{ "status", op_status },
	{ "snapshot", op_snapshot },
	{ "restore", op_restore },
	{ "checkout", op_checkout },
	{ "branch", op_branch },
};

int folder_op_run(struct folder_op *op)
{
	const char *name = text_of(op, "op");

	for (size_t i = 0; name && i < sizeof ops / sizeof *ops; i++) {
		if (strcmp(ops[i].op, name))
			continue;
		int r = ops[i].run(op);
		if (r == 0 && !op->reply)
			r = failed(op, -ENOMEM, "out of memory");
		return r;
	}
	return failed(op, -EINVAL, "a folder cannot '%.32s'", name ? name : "");
}

/* ---- for the commands ---- */

static int do_here(struct context *cx, json_t *request, json_t **reply)
{
	struct folder_op op = { .args = request, .cancel = &interrupted };
	struct store *s = NULL;
	int r, status = 0;

	r = repo_store(cx->repo, STORE_WRITE, CACHE_BYTES, &s);
	if (r < 0)
		return repo_store_fail(cx, r);
	op.store = s;
	op.source = store_source(s);
	r = folders_new(&op.folders, cx->repo, s);
	if (r < 0) {
		status = fail(cx, "cannot read the folders: %s", err_text(r));
		goto out;
	}
	op.seen = repo_seen(cx->repo);
	r = folder_op_run(&op);
	seen_close(op.seen);
	if (r == -EINVAL)
		status = misuse(cx, "%s", op.why);
	else if (r < 0)
		status = fail(cx, "%s", op.why);
	else
		*reply = op.reply;
	folders_free(op.folders);
out:
	r = store_close(s);
	if (r < 0 && !status) {
		json_decref(*reply);
		*reply = NULL;
		status = fail(cx, "the last writes to the store may be lost: %s", err_text(r));
	}
	return status;
}

int folder_ask(struct context *cx, json_t *request, json_t **reply)
{
	struct client *client;
	int status;

	*reply = NULL;
	if (!request)
		return fail(cx, "an argument is not UTF-8");
	status = repo_need(cx);
	if (status) {
		json_decref(request);
		return status;
	}
	signals_catch();
	json_object_set_new(request, "cmd", json_string("folder"));
	if (client_open(&client, cx->repo) < 0) {
		status = do_here(cx, request, reply);
		json_decref(request);
		return status;
	}
	status = call_or_fail(cx, client, request, reply);
	client_close(client);
	return status;
}
