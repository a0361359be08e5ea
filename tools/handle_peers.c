/* Requests about other nodes: who is connected, connect, ping, providers. */
#include "tools/handlers.h"

#include "store/error.h"

#include <stdlib.h>
#include <string.h>

#define LIST_MAX 512 /* rows of a listing */


void handle_peers(struct request *rq)
{
	struct daemon *d = rq->daemon;
	struct conn_info *conns = calloc(LIST_MAX, sizeof *conns);
	struct bitswap_peer *from = calloc(LIST_MAX, sizeof *from);
	json_t *list = json_array();

	if (!conns || !from) {
		free(conns);
		free(from);
		json_decref(list);
		request_fail(rq, -ENOMEM, "out of memory");
		return;
	}
	int n = swarm_conns(d->node->swarm, conns, LIST_MAX);
	int m = bitswap_peers(d->node->bitswap, from, LIST_MAX);
	for (int i = 0; i < n; i++) {
		char id[PEER_TEXT_MAX], addr[ADDR_TEXT_MAX];
		struct bitswap_peer *b = NULL;
		for (int j = 0; j < m; j++)
			if (peer_equal(&from[j].peer, &conns[i].peer))
				b = &from[j];
		json_t *row = json_pack(
			"{s:s, s:s, s:b, s:I, s:I, s:i, s:i, s:I, s:I, s:I, s:I}", "id",
			peer_text(&conns[i].peer, id), "address", addr_text(&conns[i].addr, addr),
			"inbound", conns[i].inbound, "bytes_in", (json_int_t)conns[i].bytes_in,
			"bytes_out", (json_int_t)conns[i].bytes_out, "streams",
			(int)conns[i].streams, "rtt_us", (int)conns[i].rtt_us, "blocks_in",
			(json_int_t)(b ? b->blocks_in : 0), "block_bytes_in",
			(json_int_t)(b ? b->bytes_in : 0), "blocks_out",
			(json_int_t)(b ? b->blocks_out : 0), "block_bytes_out",
			(json_int_t)(b ? b->bytes_out : 0));
		/* The agent is the peer's own word: it may not be text at all. */
		json_t *agent = json_string(conns[i].agent);
		json_object_set_new(row, "agent", agent ? agent : json_string("?"));
		json_array_append_new(list, row);
	}
	free(conns);
	free(from);
	request_reply(rq, json_pack("{s:o}", "peers", list));
}

struct dial {
	struct request *rq;
	struct peer_id peer;
};

static void on_connected(void *arg, int result)
{
	struct dial *dial = arg;
	char id[PEER_TEXT_MAX];

	peer_text(&dial->peer, id);
	if (result < 0)
		request_fail(dial->rq, result, "cannot connect to %s: %s", id, err_text(result));
	else
		request_reply(dial->rq, json_pack("{s:s}", "id", id));
	free(dial);
}

static void on_dialled(void *arg, int result, const struct peer_id *peer)
{
	struct dial *dial = arg;

	if (result < 0) {
		request_fail(dial->rq, result, "cannot connect: %s", err_text(result));
		free(dial);
		return;
	}
	dial->peer = *peer;
	on_connected(dial, 0);
}

void handle_connect(struct request *rq)
{
	const char *text = request_text(rq, "address");
	struct swarm *swarm = rq->daemon->node->swarm;
	struct dial *dial;
	struct addr a;

	if (rq->daemon->offline) {
		request_fail(rq, -ENETUNREACH, "the daemon runs offline");
		return;
	}
	if (!text || addr_parse(&a, text) < 0 || !addr_dialable(&a)) {
		request_fail(rq, -EINVAL, "an address is like /ip4/192.0.2.1/tcp/4001/p2p/12D3…");
		return;
	}
	dial = calloc(1, sizeof *dial);
	if (!dial) {
		request_fail(rq, -ENOMEM, "out of memory");
		return;
	}
	dial->rq = rq;
	if (addr_peer(&a, &dial->peer)) {
		swarm_connect(swarm, &dial->peer, &a, 1, on_connected, dial);
	} else {
		swarm_connect_addr(swarm, &a, on_dialled, dial);
	}
}

static void on_pong(void *arg, int result, uint64_t rtt_us)
{
	struct dial *dial = arg;

	if (result < 0)
		request_fail(dial->rq, result, "no answer: %s", err_text(result));
	else
		request_reply(dial->rq, json_pack("{s:I}", "rtt_us", (json_int_t)rtt_us));
	free(dial);
}

static void on_ping_connected(void *arg, int result)
{
	struct dial *dial = arg;

	if (result < 0) {
		on_connected(dial, result);
		return;
	}
	swarm_ping(dial->rq->daemon->node->swarm, &dial->peer, on_pong, dial);
}

static void on_ping_found(void *arg, int result)
{
	struct dial *dial = arg;

	/* Even if the DHT knows nothing, an address may be in the book. */
	swarm_connect(dial->rq->daemon->node->swarm, &dial->peer, NULL, 0, on_ping_connected,
		      dial);
}

void handle_ping(struct request *rq)
{
	const char *text = request_text(rq, "peer");
	struct daemon *d = rq->daemon;
	struct dial *dial = calloc(1, sizeof *dial);
	struct addr a;
	bool has_addr = false;

	if (!dial || d->offline) {
		free(dial);
		request_fail(rq, -ENETUNREACH, "the daemon runs offline");
		return;
	}
	dial->rq = rq;
	if (text && *text == '/')
		has_addr = addr_parse(&a, text) >= 0 && addr_dialable(&a) &&
			   addr_peer(&a, &dial->peer);
	if (!has_addr && (!text || peer_parse(&dial->peer, text, strlen(text)) < 0)) {
		free(dial);
		request_fail(rq, -EINVAL, "a peer is an id (12D3…) or a multiaddr that ends in /p2p/ID");
		return;
	}
	if (has_addr)
		swarm_connect(d->node->swarm, &dial->peer, &a, 1, on_ping_connected, dial);
	else if (swarm_connected(d->node->swarm, &dial->peer) ||
		 !routing_find_peer(d->node->routing, &dial->peer, on_ping_found, dial))
		swarm_connect(d->node->swarm, &dial->peer, NULL, 0, on_ping_connected, dial);
}

struct search {
	struct request *rq;
	struct query *query;
	bool others; /* than ourselves */
	int found;
};

static void on_provider(void *arg, const struct peer_id *p)
{
	struct search *s = arg;
	char id[PEER_TEXT_MAX], text[ADDR_TEXT_MAX];
	struct addr list[16];

	if (s->others && peer_equal(p, swarm_self(s->rq->daemon->node->swarm)))
		return;
	json_t *addrs = json_array();
	int n = swarm_lookup(s->rq->daemon->node->swarm, p, list, 16);

	s->found++;
	for (int i = 0; i < n; i++)
		json_array_append_new(addrs, json_string(addr_text(&list[i], text)));
	request_progress(s->rq, json_pack("{s:s, s:o}", "id", peer_text(p, id), "addresses", addrs));
}

static void on_searched(void *arg, int result)
{
	struct search *s = arg;

	if (result < 0 && result != -ECANCELED && !s->found)
		request_fail(s->rq, result, "the DHT cannot be asked: %s", err_text(result));
	else
		request_reply(s->rq, json_pack("{s:i}", "found", s->found));
	free(s);
}

static void on_search_gone(struct request *rq)
{
	struct search *s = rq->op;

	query_cancel(s->query);
}

void handle_providers(struct request *rq)
{
	const char *text = request_text(rq, "cid");
	struct search *s = calloc(1, sizeof *s);
	struct cid cid;

	if (!text || !s || cid_parse(&cid, text, strlen(text)) < 0) {
		free(s);
		request_fail(rq, -EINVAL, "'%s' is no CID", text ? text : "");
		return;
	}
	s->rq = rq;
	s->others = json_is_true(json_object_get(rq->args, "others"));
	s->query = rq->daemon->offline
			   ? NULL
			   : routing_providers(rq->daemon->node->routing, &cid.hash,
					       (int)json_integer_value(json_object_get(rq->args, "max")),
					       on_provider, on_searched, s);
	if (!s->query) {
		free(s);
		request_fail(rq, -ENETUNREACH, "the daemon runs offline");
		return;
	}
	rq->op = s;
	rq->on_gone = on_search_gone;
}
