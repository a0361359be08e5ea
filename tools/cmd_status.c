/* cairn status and cairn stop. */
#include "store/error.h"
#include "tools/client.h"
#include "tools/progress.h"
#include "tools/repo.h"

#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/pidfd.h>
#include <time.h>
#include <unistd.h>

static long long at(json_t *j, const char *part, const char *key)
{
	if (part)
		j = json_object_get(j, part);
	return (long long)json_integer_value(json_object_get(j, key));
}

static void print_status(json_t *s)
{
	char a[16], b[16];
	json_t *m, *f;
	size_t i;

	printf("daemon    pid %lld, up %lld s%s\n", at(s, NULL, "pid"), at(s, NULL, "uptime"),
	       json_is_true(json_object_get(s, "offline")) ? ", offline" : "");
	printf("peers     %lld connected, %lld in the DHT tables (%s)\n", at(s, NULL, "peers"),
	       at(s, "dht", "table"),
	       json_is_true(json_object_get(json_object_get(s, "dht"), "server")) ? "server" : "client");
	printf("traffic   %s in, %s out\n", bytes_text((uint64_t)at(s, NULL, "bytes_in"), a),
	       bytes_text((uint64_t)at(s, NULL, "bytes_out"), b));
	printf("blocks    %lld received, %lld sent, %lld wanted now\n", at(s, "bitswap", "blocks_in"),
	       at(s, "bitswap", "blocks_out"), at(s, "bitswap", "wants"));
	printf("store     %lld blocks, %s, %s on disk\n", at(s, "store", "blocks"),
	       bytes_text((uint64_t)at(s, "store", "bytes"), a),
	       bytes_text((uint64_t)at(s, "store", "disk_bytes"), b));
	if (at(s, "store", "corrupt"))
		printf("          %lld damaged blocks were dropped\n", at(s, "store", "corrupt"));
	printf("offered   %lld roots, %lld of them announced\n", at(s, "provided", "roots"),
	       at(s, "provided", "announced"));
	json_array_foreach(json_object_get(s, "mounts"), i, m) {
		bool folder = json_is_true(json_object_get(m, "folder"));
		printf("mount     %s from %s%s", json_string_value(json_object_get(m, "dir")), folder ? "folder " : "",
		       *json_string_value(json_object_get(m, "source")) ? json_string_value(json_object_get(m, "source")) : "/ipfs and /ipns");
		if (folder && at(m, NULL, "dirty_inodes"))
			printf(", %lld changed since the last snapshot (%lld bytes)", at(m, NULL, "dirty_inodes"), at(m, NULL, "dirty_bytes"));
		if (json_object_get(m, "failed"))
			printf(", read-only now: %s", json_string_value(json_object_get(m, "failed")));
		if (at(m, NULL, "parked"))
			printf(", %lld requests waiting", at(m, NULL, "parked"));
		putchar('\n');
	}
	json_array_foreach(json_object_get(s, "failures"), i, f) {
		long long ago = (long long)time(NULL) - at(f, NULL, "time");
		printf("lacking   %s: %s, %lld peers asked, %lld s ago\n",
		       json_string_value(json_object_get(f, "cid")),
		       json_string_value(json_object_get(f, "error")), at(f, NULL, "asked"), ago);
	}
}

int cmd_status(struct context *cx, int argc, char **argv)
{
	struct client *client;
	json_t *reply = NULL;
	int status;

	if (argc > 1)
		return misuse(cx, "unexpected argument '%s'", argv[1]);
	status = repo_need(cx);
	if (status)
		return status;
	if (client_open(&client, cx->repo) < 0) {
		if (cx->json) {
			print_json(json_pack("{s:b, s:s}", "running", 0, "repo", cx->repo));
			return EXIT_FAILED;
		}
		return fail(cx, "no daemon runs on %s: start one with `cairn daemon`", cx->repo);
	}
	status = call_or_fail(cx, client, json_pack("{s:s}", "cmd", "status"), &reply);
	client_close(client);
	if (status)
		return status;
	if (cx->json)
		return print_json(reply);
	print_status(reply);
	json_decref(reply);
	return 0;
}

int cmd_stop(struct context *cx, int argc, char **argv)
{
	json_t *reply = NULL;

	if (argc > 1)
		return misuse(cx, "unexpected argument '%s'", argv[1]);
	struct client *client = client_need(cx);
	if (!client)
		return EXIT_FAILED;
	int status = call_or_fail(cx, client, json_pack("{s:s}", "cmd", "stop"), &reply);
	client_close(client);
	if (status)
		return status;
	/* It is over when the process is gone: its lock is free then, too. */
	pid_t pid = (pid_t)at(reply, NULL, "pid");
	json_decref(reply);
	int fd = pidfd_open(pid, 0);
	if (fd < 0)
		return errno == ESRCH ? 0 : fail(cx, "cannot watch the daemon end: %s", strerror(errno));
	struct pollfd gone = { .fd = fd, .events = POLLIN };
	int n = poll(&gone, 1, 30000);
	close(fd);
	if (n != 1)
		return fail(cx, "the daemon (pid %d) was told to stop but still runs after 30 s", (int)pid);
	return 0;
}
