/*
 * Links to peers: the two streams we speak on, one for what we want and one for
 * what we answer, so that a question never waits behind megabytes.
 */
#include "net/bitswap_internal.h"

#include "store/error.h"

#include <stdlib.h>
#include <string.h>

#define SILENCE_MS 5000 /* JS drops a stream that is silent for 10 s */
#define STUCK_MS   30000
#define LOSSES_MAX 5
#define WANTS_MAX  (1u << 20) /* bytes of want-list in a message */

const char *const bitswap_protocols[] = {
	"/ipfs/bitswap/1.2.0",
	"/ipfs/bitswap/1.1.0",
	"/ipfs/bitswap/1.0.0",
	"/ipfs/bitswap",
	NULL,
};

/* A stream_open() under way; outlives the link if that goes first. */
struct opening {
	struct outlet *outlet;
};

static uint64_t hash_of(const struct bitswap *b, const struct peer_id *p)
{
	return map_hash(b->client.seed, p->bytes, p->len);
}

struct link *link_find(struct bitswap *b, const struct peer_id *p)
{
	struct map_node *n;

	for (n = map_first(&b->links, hash_of(b, p)); n; n = map_next(n)) {
		struct link *l = container_of(n, struct link, node);
		if (peer_equal(&l->peer, p))
			return l;
	}
	return NULL;
}

/* What it brought stays counted after it has gone, as long as there is room. */
static struct bitswap_peer *tally_of(struct bitswap *b, const struct peer_id *p)
{
	struct bitswap_peer *least = NULL;

	for (uint32_t i = 0; i < b->n_tallies; i++) {
		struct bitswap_peer *t = &b->tallies[i];

		if (peer_equal(&t->peer, p))
			return t;
		if (!link_find(b, &t->peer) && (!least || t->bytes_in < least->bytes_in))
			least = t;
	}
	if (b->n_tallies < BITSWAP_TALLIES)
		least = &b->tallies[b->n_tallies++];
	if (least)
		*least = (struct bitswap_peer){ .peer = *p };
	return least;
}

struct link *link_get(struct bitswap *b, const struct peer_id *p)
{
	struct link *l = link_find(b, p);

	if (l)
		return l;
	struct bitswap_peer *tally = tally_of(b, p);
	l = calloc(1, sizeof *l);
	if (!l || map_insert(&b->links, &l->node, hash_of(b, p)) < 0) {
		free(l);
		return NULL;
	}
	l->b = b;
	l->peer = *p;
	l->refs = 1;
	l->tally = tally;
	l->wants.link = l->answers.link = l;
	TAILQ_INIT(&l->inlets);
	TAILQ_INIT(&l->ready);
	ledger_init(&l->ledger, &b->ledgers);
	TAILQ_INSERT_TAIL(&b->all_links, l, all);
	return l;
}

void link_unref(struct link *l)
{
	if (--l->refs)
		return;
	buf_release(&l->entries);
	buf_release(&l->pack);
	free(l);
}

static void outlet_drop(struct outlet *o)
{
	if (o->opening)
		o->opening->outlet = NULL;
	if (o->st)
		stream_reset(o->st);
	*o = (struct outlet){ .link = o->link };
}

void link_drop(struct link *l)
{
	struct bitswap *b = l->b;

	l->gone = true;
	map_remove(&b->links, &l->node);
	TAILQ_REMOVE(&b->all_links, l, all);
	if (l->is_unsent)
		TAILQ_REMOVE(&b->unsent, l, unsent);
	l->is_unsent = false;
	receive_end(l);
	outlet_drop(&l->wants);
	outlet_drop(&l->answers);
	server_end(l);
	if (l->partner)
		client_down(&b->client, l->partner, bitswap_now(b));
	l->partner = NULL;
	link_unref(l);
	bitswap_kick(b);
}

void link_identified(struct link *l)
{
	struct bitswap *b = l->b;

	if (l->partner)
		return;
	l->losses = l->answers_lost = 0;
	l->partner = client_up(&b->client, &l->peer, 0, l, bitswap_now(b));
	bitswap_kick(b);
}

/* ---- streams ---- */

/* What was said may be lost: say it again, but not for ever. */
static void wants_lost(struct link *l, int reason)
{
	struct bitswap *b = l->b;

	buf_release(&l->entries);
	l->whole = true;
	if (!l->partner)
		return;
	if (reason == -EPROTONOSUPPORT || ++l->losses > LOSSES_MAX) {
		struct partner *p = l->partner;
		l->partner = NULL;
		client_down(&b->client, p, bitswap_now(b));
	} else {
		client_repeat(&b->client, l->partner);
	}
	bitswap_kick(b);
}

static void on_data(void *arg, const uint8_t *data, size_t len)
{
	/* Nothing is said on the streams we open. */
}

static void on_drain(void *arg)
{
	struct outlet *o = arg;

	o->full = false;
	if (o == &o->link->answers) {
		server_turn(o->link);
		bitswap_kick(o->link->b);
	}
}

static void lost(struct outlet *o, int reason)
{
	struct link *l = o->link;

	*o = (struct outlet){ .link = l };
	if (o == &l->wants)
		wants_lost(l, reason);
	else
		server_lost(l, reason);
}

static void on_closed(void *arg, int reason)
{
	lost(arg, reason);
}

static const struct stream_events outlet_events = {
	.on_data = on_data,
	.on_drain = on_drain,
	.on_closed = on_closed,
};

static void on_open(void *arg, struct stream *st, int result)
{
	struct opening *opening = arg;
	struct outlet *o = opening->outlet;

	free(opening);
	if (!o) {
		if (st)
			stream_reset(st);
		return;
	}
	o->opening = NULL;
	if (!st) {
		lost(o, result);
		return;
	}

	const char *protocol = stream_protocol(st);
	o->state = OUTLET_OPEN;
	o->st = st;
	o->presences = protocol == NULL || strcmp(protocol, bitswap_protocols[0]) == 0;
	o->old = !o->presences && strcmp(protocol, bitswap_protocols[1]) != 0;
	o->used = bitswap_now(o->link->b);
	stream_on(st, &outlet_events, o);
	stream_timeout(st, STUCK_MS);
	if (o == &o->link->wants) {
		link_flush(o->link);
	} else {
		server_turn(o->link);
		server_run(o->link->b);
	}
}

void outlet_open(struct outlet *o)
{
	struct link *l = o->link;

	if (o->state != OUTLET_CLOSED)
		return;
	o->opening = malloc(sizeof *o->opening);
	if (!o->opening)
		return;
	o->opening->outlet = o;
	o->state = OUTLET_OPENING;
	stream_open(l->b->swarm, &l->peer, bitswap_protocols, on_open, o->opening);
}

static void on_forgotten(void *arg, int reason)
{
}

static const struct stream_events forgotten_events = {
	.on_data = on_data,
	.on_closed = on_forgotten,
};

/* True if it stays open. */
static bool tidy(struct outlet *o, bool in_use)
{
	uint64_t now = bitswap_now(o->link->b);

	if (o->state != OUTLET_OPEN)
		return false;
	if (in_use || stream_queued(o->st) || now < o->used + SILENCE_MS)
		return true;
	struct stream *st = o->st;
	*o = (struct outlet){ .link = o->link };
	/* Nobody waits for the peer to close its half. */
	stream_on(st, &forgotten_events, NULL);
	stream_close(st);
	return false;
}

bool links_tidy(struct bitswap *b)
{
	struct link *l = TAILQ_FIRST(&b->all_links);
	bool any = false;

	while (l) {
		struct link *next = TAILQ_NEXT(l, all);

		any |= tidy(&l->wants, l->entries.len);
		any |= tidy(&l->answers, l->outstanding || l->pack.len);
		/* Nobody tells when a peer goes that was never introduced. */
		any |= !l->partner;
		if (!swarm_connected(b->swarm, &l->peer))
			link_drop(l);
		l = next;
	}
	return any;
}

/* ---- our wants ---- */

void link_send_entry(struct link *l, const struct cid *cid, enum bitswap_ask ask,
		     int32_t priority)
{
	bitswap_put_entry(&l->entries, cid, ask, priority);
	/* Thousands of cancels for a stream that does not open: the whole list,
	 * said anew, is shorter. */
	if (l->entries.len > WANTS_MAX)
		l->entries.failed = true;
	if (!l->is_unsent) {
		l->is_unsent = true;
		TAILQ_INSERT_TAIL(&l->b->unsent, l, unsent);
	}
}

void link_flush(struct link *l)
{
	struct buf message = { 0 };

	if (l->is_unsent) {
		l->is_unsent = false;
		TAILQ_REMOVE(&l->b->unsent, l, unsent);
	}
	if (!l->entries.len)
		return;
	if (l->wants.state != OUTLET_OPEN) {
		outlet_open(&l->wants);
		return;
	}
	bitswap_frame_wants(&message, &l->entries, l->whole);
	if (message.failed) {
		wants_lost(l, -ENOMEM);
	} else {
		buf_clear(&l->entries);
		l->whole = false;
		l->wants.used = bitswap_now(l->b);
		stream_write(l->wants.st, message.data, message.len);
	}
	buf_release(&message);
}
