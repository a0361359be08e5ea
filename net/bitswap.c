/*
 * The Bitswap service on the loop: its life, its timers, and the strings from
 * the client's decisions to the swarm and to routing.
 */
#include "net/bitswap_internal.h"

#include "store/error.h"
#include "store/log.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define TIDY_MS 1000

uint64_t bitswap_now(const struct bitswap *b)
{
	return uv_now(b->loop);
}

void bitswap_kick(struct bitswap *b)
{
	if (!b->closing && !uv_is_active((uv_handle_t *)&b->soon))
		uv_timer_start(&b->soon, b->on_soon, 0, 0);
}

/* ---- what the client asks for ---- */

/* A connection under way, perhaps by way of a search for the peer's addresses;
 * outlives the service if that goes first. */
struct dial {
	struct bitswap *b; /* NULL: nobody waits any more */
	TAILQ_ENTRY(dial) all;
	struct peer_id peer;
	bool searched;
	struct query *query;
};

/* A query for providers; the same. */
struct hunt {
	struct bitswap *b;
	TAILQ_ENTRY(hunt) all;
	struct search *search;
	struct query *query;
};

static void on_send(void *arg, struct partner *p, const struct cid *cid,
		    enum bitswap_ask ask, int32_t priority)
{
	link_send_entry(p->link, cid, ask, priority);
}

static bool speaks(struct bitswap *b, const struct peer_id *p)
{
	for (int i = 0; bitswap_protocols[i]; i++)
		if (swarm_peer_speaks(b->swarm, p, bitswap_protocols[i]))
			return true;
	return false;
}

static void on_connected(void *arg, int result);

static void on_peer_found(void *arg, int result)
{
	struct dial *d = arg;

	d->query = NULL;
	if (d->b && result == 0)
		swarm_connect(d->b->swarm, &d->peer, NULL, 0, on_connected, d);
	else
		on_connected(d, -EHOSTUNREACH);
}

static void on_connected(void *arg, int result)
{
	struct dial *d = arg;
	struct bitswap *b = d->b;

	/* Provider records often come without addresses. */
	if (b && result == -EHOSTUNREACH && !d->searched) {
		d->searched = true;
		d->query = routing_find_peer(b->routing, &d->peer, on_peer_found, d);
		if (d->query)
			return;
	}
	if (b) {
		TAILQ_REMOVE(&b->dials, d, all);
		/* If it speaks Bitswap it has been introduced by now. */
		struct link *l = link_find(b, &d->peer);
		if (result == 0 && (!l || !l->partner) && speaks(b, &d->peer)) {
			l = link_get(b, &d->peer);
			if (l)
				link_identified(l);
		}
		if (!l || !l->partner)
			client_unreachable(&b->client, &d->peer, bitswap_now(b));
		bitswap_kick(b);
	}
	free(d);
}

static void on_connect(void *arg, const struct peer_id *p)
{
	struct bitswap *b = arg;
	struct dial *d = calloc(1, sizeof *d);

	/* Without memory it stays a lead, until the wants' time-out. */
	if (!d)
		return;
	d->b = b;
	d->peer = *p;
	TAILQ_INSERT_TAIL(&b->dials, d, all);
	swarm_connect(b->swarm, p, NULL, 0, on_connected, d);
}

static void on_drop(void *arg, const struct peer_id *p)
{
	struct bitswap *b = arg;
	char text[PEER_TEXT_MAX];

	log_line(LOG_INFO, "bitswap: %s: disconnected: it sends blocks nobody asked for",
		 peer_text(p, text));
	swarm_disconnect(b->swarm, p);
}

static void on_found(void *arg, const struct peer_id *p)
{
	struct hunt *h = arg;

	if (!h->b || peer_equal(p, swarm_self(h->b->swarm)))
		return;
	client_found(&h->b->client, h->search, p, bitswap_now(h->b));
	bitswap_kick(h->b);
}

static void on_hunted(void *arg, int result)
{
	struct hunt *h = arg;
	struct bitswap *b = h->b;

	if (b) {
		TAILQ_REMOVE(&b->hunts, h, all);
		h->search->handle = NULL;
		client_searched(&b->client, h->search, result, bitswap_now(b));
		bitswap_kick(b);
	}
	free(h);
}

static int on_search(void *arg, struct search *s)
{
	struct bitswap *b = arg;
	struct hunt *h = calloc(1, sizeof *h);

	if (!h)
		return -ENOMEM;
	h->b = b;
	h->search = s;
	h->query =
	    routing_providers(b->routing, s->key, PROVIDERS_MAX, on_found, on_hunted, h);
	if (!h->query) {
		free(h);
		return -ENOMEM;
	}
	s->handle = h;
	TAILQ_INSERT_TAIL(&b->hunts, h, all);
	return 0;
}

static void hunt_leave(struct hunt *h)
{
	TAILQ_REMOVE(&h->b->hunts, h, all);
	h->b = NULL;
	query_cancel(h->query);
}

static void on_search_stop(void *arg, struct search *s)
{
	struct hunt *h = s->handle;

	s->handle = NULL;
	hunt_leave(h);
}

static void on_failed(void *arg, const struct cid *cid, int result, uint32_t asked)
{
	struct bitswap *b = arg;
	struct timespec now;

	/* Ten thousand readers of one block are one failure. */
	if (b->n_failures &&
	    cid_equal(&b->failures[(b->n_failures - 1) % BITSWAP_FAILURES].cid, cid))
		b->n_failures--;
	clock_gettime(CLOCK_REALTIME, &now);
	b->failures[b->n_failures++ % BITSWAP_FAILURES] = (struct bitswap_failure){
		.cid = *cid,
		.result = result,
		.when_ms = (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000,
		.asked = asked,
	};
}

static const struct client_ops client_ops = {
	.send = on_send,
	.connect = on_connect,
	.drop = on_drop,
	.search = on_search,
	.search_stop = on_search_stop,
	.failed = on_failed,
};

/* ---- what happens ---- */

static void on_stream(void *arg, struct stream *st)
{
	struct bitswap *b = arg;
	struct link *l = link_get(b, stream_peer(st));

	if (l)
		receive_stream(l, st);
	else
		stream_reset(st);
}

static void on_identified(void *arg, const struct peer_id *p)
{
	struct bitswap *b = arg;

	if (!speaks(b, p))
		return;
	struct link *l = link_get(b, p);
	if (l)
		link_identified(l);
}

static void on_disconnected(void *arg, const struct peer_id *p)
{
	struct link *l = link_find(arg, p);

	if (l)
		link_drop(l);
}

static void on_wake(uv_timer_t *timer)
{
	bitswap_kick(timer->data);
}

static void on_soon(uv_timer_t *timer)
{
	struct bitswap *b = timer->data;
	uint64_t now = bitswap_now(b);
	uint64_t wake = client_run(&b->client, now);
	struct link *l;

	while ((l = TAILQ_FIRST(&b->unsent)))
		link_flush(l);
	server_run(b);
	if (wake == UINT64_MAX)
		uv_timer_stop(&b->wake);
	else
		uv_timer_start(&b->wake, on_wake, wake > now ? wake - now : 0, 0);
	if (!TAILQ_EMPTY(&b->all_links) && !uv_is_active((uv_handle_t *)&b->tidy))
		uv_timer_start(&b->tidy, b->on_tidy, TIDY_MS, TIDY_MS);
}

/* Only while there is something to close, so that an idle node sleeps. */
static void on_tidy(uv_timer_t *timer)
{
	if (!links_tidy(timer->data))
		uv_timer_stop(timer);
}

void bitswap_have(struct bitswap *b, const struct multihash *name)
{
	/* Whoever begins to stand for it after this looks into the store again. */
	if (!atomic_load(&b->ledgers.n_standing) && !client_wants(&b->client, name))
		return;
	uv_mutex_lock(&b->have_lock);
	if (b->n_had == b->cap_had) {
		size_t cap = b->cap_had ? 2 * b->cap_had : 64;
		struct multihash *had = realloc(b->had, cap * sizeof *had);
		if (had) {
			b->had = had;
			b->cap_had = cap;
		}
	}
	/* Without memory the peer has to ask again. */
	if (b->n_had < b->cap_had)
		b->had[b->n_had++] = *name;
	uv_mutex_unlock(&b->have_lock);
	uv_async_send(&b->have);
}

static void on_have(uv_async_t *async)
{
	struct bitswap *b = async->data;

	uv_mutex_lock(&b->have_lock);
	struct multihash *had = b->had;
	size_t n = b->n_had;
	b->had = NULL;
	b->n_had = b->cap_had = 0;
	uv_mutex_unlock(&b->have_lock);
	for (size_t i = 0; i < n; i++) {
		server_have(b, &had[i]);
		if (client_wants(&b->client, &had[i]))
			receive_own(b, &had[i]);
	}
	free(had);
	bitswap_kick(b);
}

/* ---- wants ---- */

struct want *bitswap_want(struct bitswap *b, const struct want_request *rq, want_fn done,
			  void *arg)
{
	struct want *w = client_want(&b->client, rq, done, arg, bitswap_now(b));

	bitswap_kick(b);
	return w;
}

static struct bitswap *of_want(struct want *w)
{
	return container_of(w->client, struct bitswap, client);
}

void want_cancel(struct want *w)
{
	struct bitswap *b = of_want(w);

	client_cancel(w, bitswap_now(b));
	bitswap_kick(b);
}

void want_raise(struct want *w, enum want_priority p)
{
	struct bitswap *b = of_want(w);

	client_raise(w, p, bitswap_now(b));
	bitswap_kick(b);
}

/* ---- what became of it ---- */

void bitswap_stat(struct bitswap *b, struct bitswap_stat *out)
{
	*out = b->stat;
	out->wants = b->client.n_wants;
}

static int more_blocks(const void *a, const void *b)
{
	const struct bitswap_peer *x = a, *y = b;
	return (x->blocks_in < y->blocks_in) - (x->blocks_in > y->blocks_in);
}

int bitswap_peers(struct bitswap *b, struct bitswap_peer *out, int max)
{
	struct bitswap_peer sorted[BITSWAP_TALLIES];
	int n = (int)b->n_tallies;

	memcpy(sorted, b->tallies, sizeof sorted);
	qsort(sorted, (size_t)n, sizeof *sorted, more_blocks);
	if (n > max)
		n = max;
	memcpy(out, sorted, (size_t)n * sizeof *out);
	return n;
}

int bitswap_failures(struct bitswap *b, struct bitswap_failure *out, int max)
{
	uint32_t n = b->n_failures < BITSWAP_FAILURES ? b->n_failures : BITSWAP_FAILURES;

	if (n > (uint32_t)max)
		n = (uint32_t)max;
	for (uint32_t i = 0; i < n; i++)
		out[i] = b->failures[(b->n_failures - 1 - i) % BITSWAP_FAILURES];
	return (int)n;
}

/* ---- life ---- */

int bitswap_new(struct bitswap **out, struct swarm *swarm, struct routing *routing,
		struct store *store)
{
	struct bitswap *b = calloc(1, sizeof *b);
	uint64_t seeds[2];
	int r;

	if (!b)
		return -ENOMEM;
	b->swarm = swarm;
	b->routing = routing;
	b->store = store;
	b->loop = swarm_loop(swarm);
	b->on_soon = on_soon;
	b->on_tidy = on_tidy;
	TAILQ_INIT(&b->all_links);
	TAILQ_INIT(&b->unsent);
	TAILQ_INIT(&b->turns);
	TAILQ_INIT(&b->dials);
	TAILQ_INIT(&b->hunts);
	randombytes_buf(seeds, sizeof seeds);
	ledgers_init(&b->ledgers, seeds[1]);
	r = client_init(&b->client, &client_ops, b, seeds[0], bitswap_now(b));
	if (r < 0)
		goto out_free;
	r = uv_mutex_init(&b->have_lock);
	if (r < 0)
		goto out_client;
	r = uv_async_init(b->loop, &b->have, on_have);
	if (r < 0)
		goto out_lock;
	uv_timer_init(b->loop, &b->soon);
	uv_timer_init(b->loop, &b->wake);
	uv_timer_init(b->loop, &b->tidy);
	b->have.data = b->soon.data = b->wake.data = b->tidy.data = b;
	b->pending = 4; /* handles */

	for (int i = 0; bitswap_protocols[i]; i++)
		swarm_serve(swarm, bitswap_protocols[i], on_stream, b);
	struct swarm_watch watch = { on_identified, on_disconnected, b };
	swarm_watch(swarm, &watch);
	*out = b;
	return 0;

out_lock:
	uv_mutex_destroy(&b->have_lock);
out_client:
	client_release(&b->client);
out_free:
	free(b);
	return r;
}

void bitswap_offline(struct bitswap *b)
{
	b->client.offline = true;
}

void bitswap_hold(struct bitswap *b)
{
	b->pending++;
}

void bitswap_unhold(struct bitswap *b)
{
	if (--b->pending)
		return;
	ledgers_release(&b->ledgers);
	map_release(&b->links);
	uv_mutex_destroy(&b->have_lock);
	client_release(&b->client);
	free(b->had);
	void (*done)(void *arg) = b->done;
	void *arg = b->done_arg;
	free(b);
	done(arg);
}

static void on_handle_closed(uv_handle_t *h)
{
	bitswap_unhold(h->data);
}

void bitswap_free(struct bitswap *b, void (*done)(void *arg), void *arg)
{
	struct dial *d;
	struct hunt *h;
	struct link *l;

	b->closing = true;
	b->done = done;
	b->done_arg = arg;
	swarm_unwatch(b->swarm, b);
	for (int i = 0; bitswap_protocols[i]; i++)
		swarm_unserve(b->swarm, bitswap_protocols[i]);
	client_end(&b->client);
	while ((l = TAILQ_FIRST(&b->all_links)))
		link_drop(l);
	while ((h = TAILQ_FIRST(&b->hunts)))
		hunt_leave(h);
	while ((d = TAILQ_FIRST(&b->dials))) {
		TAILQ_REMOVE(&b->dials, d, all);
		d->b = NULL;
		if (d->query)
			query_cancel(d->query);
	}
	uv_close((uv_handle_t *)&b->soon, on_handle_closed);
	uv_close((uv_handle_t *)&b->wake, on_handle_closed);
	uv_close((uv_handle_t *)&b->tidy, on_handle_closed);
	uv_close((uv_handle_t *)&b->have, on_handle_closed);
}
