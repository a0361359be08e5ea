/* What the daemon does for each request of the control socket, and the requests
 * about the daemon itself.  A handler ends its request now, or later from a callback. */
#include "tools/handlers.h"

#include "store/car_source.h"
#include "store/error.h"
#include "tools/provide.h"

#include <string.h>
#include <unistd.h>

static json_t *addresses(struct daemon *d)
{
	struct addr list[64];
	char text[ADDR_TEXT_MAX];
	json_t *out = json_array();
	int n = d->offline ? 0 : swarm_addrs(d->node->swarm, list, 64);

	for (int i = 0; i < n; i++)
		if (addr_add_peer(&list[i], swarm_self(d->node->swarm)) >= 0)
			json_array_append_new(out, json_string(addr_text(&list[i], text)));
	return out;
}

static json_t *self_text(struct daemon *d)
{
	char text[PEER_TEXT_MAX];
	struct public_key public;
	struct peer_id self;

	key_public(&d->key, &public);
	key_peer(&public, &self);
	return json_string(peer_text(&self, text));
}

void handle_id(struct request *rq)
{
	char name[PEER_TEXT_MAX];
	struct public_key public;
	struct peer_id self;

	key_public(&rq->daemon->key, &public);
	key_peer(&public, &self);
	request_reply(rq, json_pack("{s:o, s:s, s:s, s:o}", "id", self_text(rq->daemon), "name",
				    peer_name_text(&self, name), "agent", "cairn/" CAIRN_VERSION,
				    "addresses", addresses(rq->daemon)));
}

static json_t *mounts(struct daemon *d)
{
	json_t *out = json_array();

	for (struct mounted *m = d->mounts; m; m = m->next) {
		char root[CID_TEXT_MAX] = "";
		struct mount_stat st;
		mount_stat(m->mount, &st);
		if (st.root.hash.size)
			cid_text(&st.root, root);
		json_t *line = json_pack("{s:s, s:s, s:s, s:I, s:I, s:b}", "dir", m->dir, "source",
					 m->car ? car_file_path(m->car) : st.source, "root", root,
					 "parked", (json_int_t)st.parked, "inodes",
					 (json_int_t)st.inodes, "folder", st.folder);
		if (st.folder && line)
			json_object_update_new(line, json_pack("{s:I, s:I, s:s*}", "dirty_inodes",
							       (json_int_t)st.dirty_inodes, "dirty_bytes",
							       (json_int_t)st.dirty_bytes, "failed",
							       st.failed ? err_text(st.failed) : NULL));
		json_array_append_new(out, line);
	}
	return out;
}

static json_t *failures(struct daemon *d)
{
	struct bitswap_failure list[32];
	char cid[CID_TEXT_MAX];
	json_t *out = json_array();
	int n = bitswap_failures(d->node->bitswap, list, 32);

	for (int i = 0; i < n; i++)
		json_array_append_new(
			out, json_pack("{s:s, s:s, s:I, s:i}", "cid", cid_text(&list[i].cid, cid),
				       "error", err_text(list[i].result), "time",
				       (json_int_t)(list[i].when_ms / 1000), "asked",
				       (int)list[i].asked));
	return out;
}

void handle_status(struct request *rq)
{
	struct daemon *d = rq->daemon;
	struct swarm_stat sw = { 0 };
	struct routing_stat ro = { 0 };
	struct bitswap_stat bs = { 0 };
	struct store_stat st;
	uint32_t roots, announced;

	swarm_stat(d->node->swarm, &sw);
	routing_stat(d->node->routing, &ro);
	bitswap_stat(d->node->bitswap, &bs);
	store_stat(d->store, &st);
	provide_stat(d->provide, &roots, &announced);
	request_reply(
		rq,
		json_pack("{s:b, s:i, s:o, s:I, s:b, s:s, s:i, s:I, s:I,"
			  " s:{s:b, s:i, s:i, s:i, s:i},"
			  " s:{s:i, s:i},"
			  " s:{s:I, s:I, s:I, s:I},"
			  " s:{s:I, s:I, s:I, s:I, s:I, s:I, s:i},"
			  " s:o, s:o}",
			  "running", 1, "pid", (int)getpid(), "id", self_text(d), "uptime",
			  (json_int_t)((uv_now(&d->loop) - d->started) / 1000), "offline",
			  d->offline, "repo", d->repo, "peers", (int)sw.conns, "bytes_in",
			  (json_int_t)sw.bytes_in, "bytes_out", (json_int_t)sw.bytes_out,
			  /**/
			  "dht", "server", ro.server, "table", (int)ro.table_peers, "queries",
			  (int)ro.queries, "provider_records", (int)ro.provider_records,
			  "value_records", (int)ro.value_records,
			  /**/
			  "provided", "roots", (int)roots, "announced", (int)announced,
			  /**/
			  "store", "blocks", (json_int_t)st.blocks, "bytes", (json_int_t)st.bytes,
			  "disk_bytes", (json_int_t)st.disk_bytes, "corrupt",
			  (json_int_t)st.corrupt,
			  /**/
			  "bitswap", "blocks_in", (json_int_t)bs.blocks_in, "blocks_out",
			  (json_int_t)bs.blocks_out, "bytes_in", (json_int_t)bs.bytes_in,
			  "bytes_out", (json_int_t)bs.bytes_out, "duplicates_in",
			  (json_int_t)bs.duplicates_in, "unwanted_in", (json_int_t)bs.unwanted_in,
			  "wants", (int)bs.wants,
			  /**/
			  "mounts", mounts(d), "failures", failures(d)));
}

static void on_stop_replied(uv_timer_t *t)
{
	struct daemon *d = t->data;

	uv_close((uv_handle_t *)t, (uv_close_cb)free);
	daemon_stop(d);
}

void handle_stop(struct request *rq)
{
	struct daemon *d = rq->daemon;
	uv_timer_t *t = malloc(sizeof *t);

	if (!t) {
		request_fail(rq, -ENOMEM, "out of memory");
		return;
	}
	request_reply(rq, json_pack("{s:i}", "pid", (int)getpid()));
	/* Let the answer leave first. */
	uv_timer_init(&d->loop, t);
	t->data = d;
	uv_timer_start(t, on_stop_replied, 10, 0);
}


static const struct {
	const char *cmd;
	request_fn fn;
} handlers[] = {
	{ "id", handle_id },		   { "status", handle_status },
	{ "stop", handle_stop },	   { "peers", handle_peers },
	{ "connect", handle_connect },	   { "ping", handle_ping },
	{ "providers", handle_providers }, { "add", handle_add },
	{ "publish", handle_publish },	   { "resolve", handle_resolve },
	{ "mount", handle_mount },	   { "umount", handle_umount },
	{ "folder", handle_folder },
	{ "sync", handle_sync },	   { "mend", handle_mend },
	{ "hold", handle_hold },	   { "pin", handle_pin },
	{ "unpin", handle_unpin },	   { "gc", handle_gc },
};

request_fn handler_find(const char *cmd)
{
	for (size_t i = 0; i < sizeof handlers / sizeof *handlers; i++)
		if (!strcmp(handlers[i].cmd, cmd))
			return handlers[i].fn;
	return NULL;
}
