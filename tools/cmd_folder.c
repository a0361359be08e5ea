/* cairn folder: making, listing, settling and removing folders. */
#include "fs/history.h"
#include "store/error.h"
#include "tools/client.h"
#include "tools/folder_ops.h"
#include "tools/progress.h"
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

#define PEERS_MAX 20 /* counting more takes longer than it tells */

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
	if (json_is_true(json_object_get(reply, "lacks")))
		fprintf(stderr, "cairn folder: not all of it is here: what lacks is fetched when it is read, and kept then\n");
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

/* ---- status ---- */

static const char *ago(json_int_t ms, char out[48])
{
	static const struct {
		const char *word;
		json_int_t s;
	} units[] = { { "day", 86400 }, { "hour", 3600 }, { "minute", 60 }, { "second", 1 } };
	json_int_t s = (wall_ms() - ms) / 1000;
	size_t i = 0;

	if (s < 1)
		return strcpy(out, "now");
	while (s < units[i].s)
		i++;
	s /= units[i].s;
	snprintf(out, 48, "%lld %s%s ago", (long long)s, units[i].word, s == 1 ? "" : "s");
	return out;
}

/* How many peers say that they have the tree: -1 if nobody can be asked. */
static json_int_t count_peers(struct context *cx, const char *root)
{
	struct client *client;
	json_t *reply = NULL;
	json_int_t n = -1;

	if (!root || client_open(&client, cx->repo) < 0)
		return -1;
	if (client_call(client, json_pack("{s:s, s:s, s:i, s:b}", "cmd", "providers", "cid", root, "max",
					  PEERS_MAX, "others", 1),
			NULL, NULL, &reply, NULL) == 0)
		n = json_integer_value(json_object_get(reply, "found"));
	json_decref(reply);
	client_close(client);
	return n;
}

static void print_status(json_t *st, json_int_t peers)
{
	json_t *head = json_object_get(st, "snapshot");
	const char *published = json_string_value(json_object_get(st, "published")),
		   *commit = json_string_value(json_object_get(st, "head")),
		   *message = json_string_value(json_object_get(head, "message"));
	json_int_t inodes = json_integer_value(json_object_get(st, "changed_inodes"));
	char size[16], when[48];

	printf("%s %s\n", json_string_value(json_object_get(st, "name")),
	       json_string_value(json_object_get(st, "id")));
	if (json_object_get(st, "error"))
		printf("  failed      %s: it is read-only until the daemon is started again\n",
		       json_string_value(json_object_get(st, "error")));
	if (inodes)
		printf("  changed     %lld files and folders, %s, %s\n", (long long)inodes,
		       bytes_text((uint64_t)json_integer_value(json_object_get(st, "changed_bytes")), size),
		       ago(json_integer_value(json_object_get(st, "last_change")), when));
	else
		printf("  changed     nothing\n");
	printf("  snapshot    %s on %s, %s", json_string_value(json_object_get(head, "id")),
	       json_string_value(json_object_get(st, "branch")),
	       ago(json_integer_value(json_object_get(head, "time")), when));
	if (message && *message) {
		printf(": ");
		print_line(message);
	}
	printf("%s\n", json_is_true(json_object_get(st, "snapshotting")) ? " (one is being made)" : "");
	if (!json_is_true(json_object_get(st, "publish")))
		printf("  published   no\n");
	else if (!published || !commit || strcmp(published, commit))
		printf("  published   %s\n", published ? "an older snapshot" : "not yet");
	else if (peers < 0)
		printf("  published   yes\n");
	else
		printf("  published   yes, %lld%s other peer%s it\n", (long long)peers,
		       peers == PEERS_MAX ? " or more" : "", peers == 1 ? " has" : "s have");
}

static int status_of(struct context *cx, const char *name, json_t **out)
{
	json_int_t peers = -1;
	int status = folder_ask(cx, json_pack("{s:s, s:s}", "op", "status", "name", name), out);

	if (status)
		return status;
	if (json_is_true(json_object_get(*out, "publish")))
		peers = count_peers(cx, json_string_value(json_object_get(
						json_object_get(*out, "snapshot"), "root")));
	if (peers >= 0)
		json_object_set_new(*out, "peers", json_integer(peers));
	if (!cx->json)
		print_status(*out, peers);
	return 0;
}

static int folder_status(struct context *cx, int argc, char **argv)
{
	json_t *list, *one, *st, *all;
	int status;
	size_t i;

	if (argc > 2)
		return misuse(cx, "one name, or none");
	if (argc == 2) {
		status = status_of(cx, argv[1], &st);
		if (!status && cx->json)
			return print_json(st);
		json_decref(st);
		return status;
	}
	status = folder_ask(cx, json_pack("{s:s}", "op", "list"), &list);
	if (status)
		return status;
	all = json_array();
	json_array_foreach(json_object_get(list, "folders"), i, one) {
		/* One that cannot be opened says so, and the others are shown. */
		int failed = status_of(cx, json_string_value(json_object_get(one, "name")), &st);
		if (failed)
			status = failed;
		else
			json_array_append_new(all, st);
	}
	json_decref(list);
	if (cx->json && print_json(json_incref(all)))
		status = EXIT_FAILED;
	json_decref(all);
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
		{ "status", folder_status },
	};

	opterr = 0;
	for (size_t i = 0; argc > 1 && i < sizeof subs / sizeof *subs; i++)
		if (!strcmp(argv[1], subs[i].name))
			return subs[i].run(cx, argc - 1, argv + 1);
	if (argc > 1)
		return misuse(cx, "there is no 'cairn folder %s'", argv[1]);
	return misuse(cx, "what is to be done: create, list, remove, status or config");
}
