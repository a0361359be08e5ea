/* cairn publish and cairn resolve: signed names that point at trees. */
#include "store/error.h"
#include "tools/client.h"
#include "tools/folder_ops.h"
#include "tools/source.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* From now on each of its snapshots moves its own name. */
static int publish_folder(struct context *cx, const char *name)
{
	struct client *client;
	json_t *reply;
	int status = folder_ask(cx, json_pack("{s:s, s:s, s:{s:s}}", "op", "config", "name", name,
					      "set", "publish", "on"),
				&reply);

	if (status)
		return status;
	json_decref(reply);
	status = folder_ask(cx, json_pack("{s:s, s:s}", "op", "find", "name", name), &reply);
	if (status)
		return status;
	if (client_open(&client, cx->repo) < 0)
		fprintf(stderr, "cairn publish: no daemon runs: others see it once one does\n");
	else
		client_close(client);
	if (cx->json)
		return print_json(reply);
	puts(json_string_value(json_object_get(reply, "id")));
	json_decref(reply);
	return 0;
}

int cmd_publish(struct context *cx, int argc, char **argv)
{
	static const struct option options[] = { { "lifetime", required_argument, NULL, 'l' },
						 { "ttl", required_argument, NULL, 't' },
						 { 0 } };
	double hours = 48, seconds = 300;
	char *end = "";
	json_t *reply = NULL;
	int c, status;

	opterr = 0;
	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (c == 'l')
			hours = strtod(optarg, &end);
		else if (c == 't')
			seconds = strtod(optarg, &end);
		else
			return misuse(cx, "unknown option '%s'", argv[optind - 1]);
		if (*end)
			return misuse(cx, "'%s' is not a number", optarg);
	}
	if (optind + 1 != argc)
		return misuse(cx, "one CID or folder is needed");
	if (!(hours > 0 && hours <= 24 * 366) || !(seconds >= 0 && seconds <= 86400 * 366))
		return misuse(cx, "the lifetime is more than 0 hours and at most a year, the TTL at most a year");
	if (!strpbrk(argv[optind], "@/") && source_is_folder(cx, argv[optind]))
		return publish_folder(cx, argv[optind]);
	struct client *client = client_need(cx);
	if (!client)
		return EXIT_FAILED;
	status = call_or_fail(cx, client,
			      json_pack("{s:s, s:s, s:I, s:I}", "cmd", "publish", "value",
					argv[optind], "lifetime_ms", (json_int_t)(hours * 3600000),
					"ttl_ms", (json_int_t)(seconds * 1000)),
			      &reply);
	client_close(client);
	if (status)
		return status;
	json_int_t peers = json_integer_value(json_object_get(reply, "peers"));
	if (cx->json)
		return print_json(reply);
	puts(json_string_value(json_object_get(reply, "name")));
	if (!peers)
		fprintf(stderr, "cairn publish: no other node took the record yet; the daemon keeps it and tries again\n");
	json_decref(reply);
	return 0;
}

int cmd_resolve(struct context *cx, int argc, char **argv)
{
	static const struct option options[] = { { "refresh", no_argument, NULL, 'r' }, { 0 } };
	json_t *reply = NULL;
	bool refresh = false;
	int c, status;

	opterr = 0;
	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (c != 'r')
			return misuse(cx, "unknown option '%s'", argv[optind - 1]);
		refresh = true;
	}
	if (optind + 1 != argc)
		return misuse(cx, "one name is needed");
	struct client *client = client_need(cx);
	if (!client)
		return EXIT_FAILED;
	status = call_or_fail(cx, client,
			      json_pack("{s:s, s:s, s:b}", "cmd", "resolve", "name", argv[optind],
					"refresh", refresh),
			      &reply);
	client_close(client);
	if (status)
		return status;
	if (cx->json)
		return print_json(reply);
	puts(json_string_value(json_object_get(reply, "value")));
	if (json_is_true(json_object_get(reply, "stale")))
		fprintf(stderr, "cairn resolve: this is the last known record; no newer one could be asked for\n");
	json_decref(reply);
	return 0;
}
