/* cairn snapshot, restore, checkout and branch: changing what a folder has of its
 * history, or its history of it. */
#include "fs/folder_ref.h"
#include "fs/history.h"
#include "store/error.h"
#include "tools/folder_ops.h"
#include "tools/source.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int cmd_snapshot(struct context *cx, int argc, char **argv)
{
	static const struct option options[] = { { "message", required_argument, NULL, 'm' }, { 0 } };
	const char *message = NULL;
	json_t *reply;
	int c;

	opterr = 0;
	while ((c = getopt_long(argc, argv, "m:", options, NULL)) != -1) {
		if (c != 'm')
			return misuse(cx, "unknown option '%s'", argv[optind - 1]);
		message = optarg;
	}
	if (optind + 1 != argc)
		return misuse(cx, "one folder is needed");
	int status = folder_ask(cx, json_pack("{s:s, s:s, s:s*}", "op", "snapshot", "name",
					      argv[optind], "message", message),
				&reply);
	if (status)
		return status;
	if (cx->json)
		return print_json(reply);
	if (!json_is_true(json_object_get(reply, "made")))
		fprintf(stderr, "cairn snapshot: nothing has changed\n");
	printf("%s %s\n", json_string_value(json_object_get(reply, "id")),
	       json_string_value(json_object_get(reply, "root")));
	json_decref(reply);
	return 0;
}

static int take_ref(struct context *cx, const char *text, struct folder_ref *out)
{
	if (folder_ref_parse(out, text, wall_ms()) < 0)
		return misuse(cx, "'%s' is no snapshot of a folder: it is like NAME@{yesterday}", text);
	return 0;
}

int cmd_restore(struct context *cx, int argc, char **argv)
{
	struct folder_ref ref;
	char text[CID_TEXT_MAX];
	struct opened o = { 0 };
	json_t *reply, *paths;

	if (argc < 2 || argv[1][0] == '-')
		return misuse(cx, "a snapshot is needed, as in NAME@{yesterday}, then perhaps paths in it");
	int status = take_ref(cx, argv[1], &ref);
	if (!status && ref.at.kind == AT_HEAD && !strchr(argv[1], '@'))
		status = misuse(cx, "which snapshot of '%s'? As in %s@{yesterday}, or %s@ for the newest", ref.name,
				ref.name, ref.name);
	if (!status)
		status = source_open_commit(cx, argv[1], &o);
	cid_text(&o.commit, text);
	source_close(&o);
	if (status)
		return status;
	paths = json_array();
	if (*ref.path)
		json_array_append_new(paths, json_string(ref.path));
	for (int i = 2; i < argc; i++)
		if (json_array_append_new(paths, json_string(argv[i])) < 0) {
			json_decref(paths);
			return misuse(cx, "a path that is not UTF-8 cannot be named here: restore the folder it is in");
		}
	status = folder_ask(cx, json_pack("{s:s, s:s, s:s, s:o}", "op", "restore", "name", ref.name,
					  "commit", text, "paths", paths),
			    &reply);
	if (status)
		return status;
	if (cx->json)
		return print_json(reply);
	json_decref(reply);
	return 0;
}

int cmd_checkout(struct context *cx, int argc, char **argv)
{
	char full[512];
	char text[CID_TEXT_MAX] = "";
	struct opened o = { 0 };
	struct folder_ref ref;
	json_t *reply;

	if (argc != 3 || argv[1][0] == '-')
		return misuse(cx, "a folder and a branch or snapshot are needed");
	/* NAME REF, or NAME NAME@REF. */
	if (!strchr(argv[2], '@'))
		snprintf(full, sizeof full, "%s@%s", argv[1], argv[2]);
	else
		snprintf(full, sizeof full, "%s%s", *argv[2] == '@' ? argv[1] : "", argv[2]);
	int status = take_ref(cx, full, &ref);
	if (!status && strcmp(ref.name, argv[1]))
		status = misuse(cx, "'%s' is no snapshot of '%s'", argv[2], argv[1]);
	if (!status && *ref.path)
		status = misuse(cx, "a whole snapshot is checked out: for a part of one use `cairn restore`");
	if (!status)
		status = source_open_commit(cx, full, &o);
	if (!status)
		cid_text(&o.commit, text);
	source_close(&o);
	if (status)
		return status;
	/* If that is a branch, it is gone over to. */
	status = folder_ask(cx, json_pack("{s:s, s:s, s:s, s:s*}", "op", "checkout", "name", argv[1],
					  "commit", text, "branch",
					  ref.at.kind == AT_WORD ? ref.at.word : NULL),
			    &reply);
	if (status)
		return status;
	if (cx->json)
		return print_json(reply);
	printf("%s on %s\n", json_string_value(json_object_get(reply, "id")),
	       json_string_value(json_object_get(reply, "branch")));
	json_decref(reply);
	return 0;
}

int cmd_branch(struct context *cx, int argc, char **argv)
{
	static const struct option options[] = { { "delete", no_argument, NULL, 'd' }, { 0 } };
	bool drop = false;
	json_t *reply, *one;
	int c;
	size_t i;

	opterr = 0;
	while ((c = getopt_long(argc, argv, "d", options, NULL)) != -1) {
		if (c != 'd')
			return misuse(cx, "unknown option '%s'", argv[optind - 1]);
		drop = true;
	}
	if (argc - optind < 1 || argc - optind > 2 || (drop && argc - optind != 2))
		return misuse(cx, "a folder is needed, then perhaps a branch");
	const char *branch = argc - optind == 2 ? argv[optind + 1] : NULL;
	int status = folder_ask(cx, json_pack("{s:s, s:s, s:s*, s:b}", "op", "branch", "name", argv[optind],
					      "branch", branch, "drop", drop),
				&reply);
	if (status)
		return status;
	if (cx->json)
		return print_json(reply);
	if (!branch)
		json_array_foreach(json_object_get(reply, "branches"), i, one)
			printf("%c %s %s\n", json_is_true(json_object_get(one, "current")) ? '*' : ' ',
			       json_string_value(json_object_get(one, "id")),
			       json_string_value(json_object_get(one, "name")));
	json_decref(reply);
	return 0;
}
