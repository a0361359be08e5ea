/* cairn id, peers, connect, ping, providers: this node and the others. */
#include "store/error.h"
#include "tools/client.h"
#include "tools/progress.h"
#include "tools/repo.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *text_of(json_t *j, const char *key)
{
	const char *s = json_string_value(json_object_get(j, key));
	return s ? s : "";
}

static long long number_of(json_t *j, const char *key)
{
	return (long long)json_integer_value(json_object_get(j, key));
}

/* Without a daemon the key alone is known, and no address. */
static int id_of_key(struct context *cx, json_t **out)
{
	char id[PEER_TEXT_MAX], name[PEER_TEXT_MAX];
	struct public_key public;
	struct secret_key key;
	struct peer_id self;

	int r = repo_key(cx->repo, &key);
	if (r < 0)
		return fail(cx, "cannot read the key in %s: %s", cx->repo, err_text(r));
	key_public(&key, &public);
	key_peer(&public, &self);
	*out = json_pack("{s:s, s:s, s:s, s:[]}", "id", peer_text(&self, id), "name",
			 peer_name_text(&self, name), "agent", "cairn/" CAIRN_VERSION, "addresses");
	return 0;
}

int cmd_id(struct context *cx, int argc, char **argv)
{
	struct client *client;
	json_t *reply = NULL, *item;
	size_t i;

	if (argc > 1)
		return misuse(cx, "unexpected argument '%s'", argv[1]);
	int status = repo_need(cx);
	if (status)
		return status;
	if (client_open(&client, cx->repo) < 0) {
		status = id_of_key(cx, &reply);
	} else {
		status = call_or_fail(cx, client, json_pack("{s:s}", "cmd", "id"), &reply);
		client_close(client);
	}
	if (status)
		return status;
	if (cx->json)
		return print_json(reply);
	printf("id     %s\nname   %s\nagent  %s\n", text_of(reply, "id"), text_of(reply, "name"),
	       text_of(reply, "agent"));
	json_array_foreach(json_object_get(reply, "addresses"), i, item)
		printf("%s %s\n", i ? "      " : "at    ", json_string_value(item));
	json_decref(reply);
	return 0;
}

int cmd_peers(struct context *cx, int argc, char **argv)
{
	json_t *reply = NULL, *p;
	char in[16], out[16];
	size_t i;

	if (argc > 1)
		return misuse(cx, "unexpected argument '%s'", argv[1]);
	struct client *client = client_need(cx);
	if (!client)
		return EXIT_FAILED;
	int status = call_or_fail(cx, client, json_pack("{s:s}", "cmd", "peers"), &reply);
	client_close(client);
	if (status)
		return status;
	if (cx->json)
		return print_json(reply);
	json_array_foreach(json_object_get(reply, "peers"), i, p) {
		printf("%s %s %s", text_of(p, "id"), text_of(p, "address"),
		       json_is_true(json_object_get(p, "inbound")) ? "in" : "out");
		if (number_of(p, "rtt_us"))
			printf(" %.1f ms", (double)number_of(p, "rtt_us") / 1000);
		printf(", blocks from %lld (%s), to %lld (%s), ", number_of(p, "blocks_in"),
		       bytes_text((uint64_t)number_of(p, "block_bytes_in"), in),
		       number_of(p, "blocks_out"),
		       bytes_text((uint64_t)number_of(p, "block_bytes_out"), out));
		print_name(text_of(p, "agent"));
		putchar('\n');
	}
	json_decref(reply);
	return 0;
}

int cmd_connect(struct context *cx, int argc, char **argv)
{
	json_t *reply = NULL;

	if (argc != 2)
		return misuse(cx, "one multiaddr is needed");
	struct client *client = client_need(cx);
	if (!client)
		return EXIT_FAILED;
	int status = call_or_fail(cx, client,
				  json_pack("{s:s, s:s}", "cmd", "connect", "address", argv[1]), &reply);
	client_close(client);
	if (status)
		return status;
	if (cx->json)
		return print_json(reply);
	printf("connected to %s\n", text_of(reply, "id"));
	json_decref(reply);
	return 0;
}

int cmd_ping(struct context *cx, int argc, char **argv)
{
	json_t *all = json_array();
	long count = 5;
	char *end = "";
	int c, status = 0;

	opterr = 0;
	while ((c = getopt(argc, argv, "c:")) != -1) {
		if (c == 'c')
			count = strtol(optarg, &end, 10);
		if (c != 'c' || *end || count < 1 || count > 1000000) {
			json_decref(all);
			return misuse(cx, c == 'c' ? "-c takes a number of round trips" : "unknown option '%s'",
				      argv[optind - 1]);
		}
	}
	struct client *client = NULL;
	if (optind + 1 != argc) {
		status = misuse(cx, "one peer is needed");
		goto out;
	}
	client = client_need(cx);
	if (!client) {
		status = EXIT_FAILED;
		goto out;
	}
	for (long i = 0; i < count && !status; i++) {
		json_t *reply = NULL;
		if (i)
			usleep(200000);
		status = call_or_fail(cx, client,
				      json_pack("{s:s, s:s}", "cmd", "ping", "peer", argv[optind]),
				      &reply);
		if (status)
			break;
		if (cx->json) {
			json_array_append(all, json_object_get(reply, "rtt_us"));
		} else {
			printf("answer in %.3f ms\n", (double)number_of(reply, "rtt_us") / 1000);
			fflush(stdout);
		}
		json_decref(reply);
	}
	if (!status && cx->json)
		status = print_json(json_pack("{s:O}", "rtt_us", all));
out:
	json_decref(all);
	client_close(client);
	return status;
}

struct finding {
	struct context *cx;
	json_t *rows;
};

static void on_provider(void *arg, json_t *report)
{
	struct finding *f = arg;
	json_t *item;
	size_t i;

	if (f->cx->json) {
		json_array_append(f->rows, report);
		return;
	}
	printf("%s", text_of(report, "id"));
	json_array_foreach(json_object_get(report, "addresses"), i, item)
		printf(" %s", json_string_value(item));
	putchar('\n');
	fflush(stdout);
}

int cmd_providers(struct context *cx, int argc, char **argv)
{
	struct finding f = { .cx = cx };
	json_t *reply = NULL;
	long max = 20;
	char *end = "", why[512];
	int c, r, status;

	opterr = 0;
	while ((c = getopt(argc, argv, "n:")) != -1) {
		if (c != 'n')
			return misuse(cx, "unknown option '%s'", argv[optind - 1]);
		max = strtol(optarg, &end, 10);
		if (*end || max < 1 || max > 10000)
			return misuse(cx, "-n takes a number of providers");
	}
	if (optind + 1 != argc)
		return misuse(cx, "one CID is needed");
	struct client *client = client_need(cx);
	if (!client)
		return EXIT_FAILED;
	f.rows = json_array();
	r = client_call(client,
			json_pack("{s:s, s:s, s:i}", "cmd", "providers", "cid", argv[optind], "max", (int)max),
			on_provider, &f, &reply, why);
	client_close(client);
	status = r == -EINVAL ? misuse(cx, "%s", why) : r < 0 ? fail(cx, "%s", why) : 0;
	if (!status && cx->json)
		status = print_json(json_pack("{s:O}", "providers", f.rows));
	else if (!status && !number_of(reply, "found"))
		status = fail(cx, "nobody was found to have it");
	json_decref(f.rows);
	json_decref(reply);
	return status;
}
