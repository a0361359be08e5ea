/* cairn folder: making, listing, settling and removing folders. */
#include "store/error.h"
#include "tools/folder_ops.h"
#include "tools/ref.h"
#include "tools/source.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* What is to be in it: a tree that is named, with what its snapshot says of it, or a
 * directory on the disk. */
static int take_from(struct context *cx, const char *from, json_t *request)
{
	char path[PATH_MAX], text[CID_TEXT_MAX];
	struct opened source = { 0 };
	struct ref ref;
	struct stat st;
	int status;

	if (ref_parse(&ref, from) < 0 && !source_is_folder(cx, from) && stat(from, &st) == 0) {
		if (!S_ISDIR(st.st_mode))
			return misuse(cx, "%s is no directory", from);
		if (!realpath(from, path))
			return fail(cx, "%s: %s", from, strerror(errno));
		return json_object_set_new(request, "path", json_string(path)) < 0
			       ? fail(cx, "the directory's name is not UTF-8")
			       : 0;
	}
	status = source_open(cx, from, &source);
	if (!status) {
		json_object_set_new(request, "root", json_string(cid_text(&source.cid, text)));
		json_object_set_new(request, "message", json_string(from));
		/* A whole snapshot brings what it says of modes, owners and times. */
		if (source.commit.version != 0xff && !*source.path)
			json_object_set_new(request, "commit", json_string(cid_text(&source.commit, text)));
	}
	source_close(&source);
	return status;
}

static int create(struct context *cx, int argc, char **argv)
{
	static const struct option options[] = { { "from", required_argument, NULL, 'f' },
						 { "profile", required_argument, NULL, 'p' },
						 { "publish", no_argument, NULL, 'u' },
						 { 0 } };
	const char *from = NULL, *profile = NULL;
	json_t *request, *reply;
	bool publish = false;
	int c, status = 0;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (c == 'f')
			from = optarg;
		else if (c == 'p')
			profile = optarg;
		else if (c == 'u')
			publish = true;
		else
			return misuse(cx, "unknown option '%s'", argv[optind - 1]);
	}
	if (optind + 1 != argc)
		return misuse(cx, "one name is needed");
	request = json_pack("{s:s, s:s, s:s*, s:o*}", "op", "create", "name", argv[optind], "profile",
			    profile, "set", publish ? json_pack("{s:s}", "publish", "on") : NULL);
	if (from && request)
		status = take_from(cx, from, request);
	if (status) {
		json_decref(request);
		return status;
	}
	status = folder_ask(cx, request, &reply);
	if (status)
		return status;
	if (cx->json)
		return print_json(reply);
	puts(json_string_value(json_object_get(reply, "id")));
	json_decref(reply);
	return 0;
}

static int list(struct context *cx, int argc, char **argv)
{
	json_t *reply, *one;
	size_t i;

	if (argc != 1)
		return misuse(cx, "list takes no argument");
	int status = folder_ask(cx, json_pack("{s:s}", "op", "list"), &reply);
	if (status)
		return status;
	if (cx->json) {
		json_t *folders = json_incref(json_object_get(reply, "folders"));
		json_decref(reply);
		return print_json(folders);
	}
	json_array_foreach(json_object_get(reply, "folders"), i, one)
		printf("%s %s%s%s\n", json_string_value(json_object_get(one, "name")),
		       json_string_value(json_object_get(one, "id")),
		       json_is_true(json_object_get(one, "publish")) ? " published" : "",
		       json_is_true(json_object_get(one, "mounted")) ? " mounted" : "");
	json_decref(reply);
	return 0;
}

static int remove_folder(struct context *cx, int argc, char **argv)
{
	static const struct option options[] = { { "force", no_argument, NULL, 'f' }, { 0 } };
	json_t *reply;
	bool force = false;
	int c;

	while ((c = getopt_long(argc, argv, "f", options, NULL)) != -1) {
		if (c != 'f')
			return misuse(cx, "unknown option '%s'", argv[optind - 1]);
		force = true;
	}
	if (optind + 1 != argc)
		return misuse(cx, "one name is needed");
	int status = folder_ask(cx, json_pack("{s:s, s:s, s:b}", "op", "remove", "name",
					      argv[optind], "force", force),
				&reply);
	if (status)
		return status;
	if (cx->json)
		return print_json(reply);
	json_decref(reply);
	return 0;
}

static int config(struct context *cx, int argc, char **argv)
{
	json_t *reply, *value, *set = NULL;
	const char *key;

	if (argc != 2 && argc != 3 && argc != 4)
		return misuse(cx, "a name is needed, then perhaps a setting and its value");
	if (argc == 4)
		set = json_pack("{s:s}", argv[2], argv[3]);
	int status = folder_ask(cx, json_pack("{s:s, s:s, s:o*}", "op", "config", "name", argv[1], "set", set),
				&reply);
	if (status)
		return status;
	if (argc == 3) {
		value = json_object_get(reply, argv[2]);
		if (!value)
			status = misuse(cx, "there is no setting '%s'", argv[2]);
		else if (cx->json)
			return print_json(json_incref(value));
		else
			puts(json_string_value(value));
	} else if (cx->json) {
		return print_json(reply);
	} else if (argc == 2) {
		json_object_foreach(reply, key, value)
			printf("%s %s\n", key, json_string_value(value));
	}
	json_decref(reply);
	return status;
}

int cmd_folder(struct context *cx, int argc, char **argv)
{
	static const struct {
		const char *name;
		int (*run)(struct context *cx, int argc, char **argv);
	} subs[] = {
		{ "create", create },
		{ "list", list },
		{ "remove", remove_folder },
		{ "config", config },
	};

	opterr = 0;
	for (size_t i = 0; argc > 1 && i < sizeof subs / sizeof *subs; i++)
		if (!strcmp(argv[1], subs[i].name))
			return subs[i].run(cx, argc - 1, argv + 1);
	if (argc > 1)
		return misuse(cx, "there is no 'cairn folder %s'", argv[1]);
	return misuse(cx, "what is to be done: create, list, remove, status or config");
}
