/* Identify (wire.md 6): what each side tells the other about itself. */
#include "net/swarm_internal.h"
#include "store/error.h"
#include "store/log.h"

#include <stdlib.h>
#include <string.h>

#define PUSHES_AT_ONCE 32
/* A peer's pushes: so many at once, then one in so many ms. */
#define PUSH_BURST    8
#define PUSH_INTERVAL 2000

static const char id_protocol[] = "/ipfs/id/1.0.0";
static const char push_protocol[] = "/ipfs/id/push/1.0.0";

/* ---- telling ---- */

static int write_self(struct stream *st)
{
	struct swarm *s = st->s;
	const char *protocols[IDENTIFY_PROTOCOLS];
	struct identify_self self = {
		.key = &s->key,
		.protocols = protocols,
		.observed = &st->c->addr,
		.version = "ipfs/0.1.0",
		.agent = s->agent,
	};
	struct buf out = { 0 };
	int r;

	self.addrs = listen_addrs(s, &self.n_addrs);
	self.seq = s->record_seq;
	for (struct protocol *p = s->protocols; p; p = p->next)
		if (p->on_stream && self.n_protocols < IDENTIFY_PROTOCOLS)
			protocols[self.n_protocols++] = p->name;
	r = identify_encode(&out, &self);
	if (r >= 0)
		r = stream_write(st, out.data, out.len);
	buf_release(&out);
	st->c->told = s->generation;
	return r;
}

/* Write the message and be done with the stream. */
static void tell(struct stream *st)
{
	static const struct stream_events none = { 0 };

	stream_on(st, &none, NULL);
	stream_timeout(st, 2 * st->s->limits.identify);
	if (write_self(st) < 0)
		stream_reset(st);
	else
		stream_close(st);
}

static void on_asked(void *arg, struct stream *st)
{
	tell(st);
}

static void push(struct conn *c)
{
	static const char *const offers[] = { push_protocol, NULL };
	struct stream *st;

	c->told = c->s->generation;
	if (remote_speaks(c->remote, push_protocol) &&
	    stream_start(c, offers, true, &st) >= 0)
		tell(st);
}

void identify_tick(struct swarm *s, uint64_t now)
{
	struct conn *c;
	int n = 0;

	if (now - s->changed_at < s->limits.push_gather)
		return;
	TAILQ_FOREACH (c, &s->conns, all) {
		if (c->state != CONN_OPEN || c->doomed || !c->identified ||
		    c->told == s->generation)
			continue;
		push(c);
		if (++n == PUSHES_AT_ONCE)
			break;
	}
}

/* ---- hearing ---- */

/* An answer that is being read. */
struct hearing {
	struct conn *c;
	struct stream *st;
	bool pushed;
	struct frame frame;
	struct identify id;
};

/* A peer on the Internet that names private addresses means another network's. */
static bool plausible(const struct conn *c, const struct addr *a)
{
	if (addr_loopback(&c->addr))
		return true;
	if (addr_loopback(a) || addr_unspecified(a))
		return false;
	return addr_private(&c->addr) || !addr_private(a);
}

static void learn(struct conn *c, struct identify *id)
{
	struct swarm *s = c->s;
	struct addr *addrs = id->addrs;
	uint64_t now = uv_now(s->loop);
	int n = 0;

	for (int i = 0; i < id->n_addrs; i++)
		if (plausible(c, &addrs[i]))
			addrs[n++] = addrs[i];
	if (id->has_record)
		peerbook_record(s->book, &c->remote->id, id->seq, addrs, n, now);
	else if (id->has_addrs && !id->bad_record)
		for (int i = 0; i < n; i++)
			peerbook_add(s->book, &c->remote->id, &addrs[i], ADDR_HEARD, now);
}

static int apply(struct hearing *h)
{
	struct identify *id = &h->id;
	struct remote *r = h->c->remote;

	if (!r)
		return -ECONNRESET;
	if (id->has_protocols || !r->protocols) {
		char *protocols = calloc(1, id->text_len + 1);
		if (!protocols)
			return -ENOMEM;
		memcpy(protocols, id->protocols, id->text_len);
		free(r->protocols);
		r->protocols = protocols;
	}
	if (id->agent[0])
		snprintf(r->agent, sizeof r->agent, "%s", id->agent);
	learn(h->c, id);
	remote_hold(r);
	swarm_identified(r);
	remote_release(r);
	return 0;
}

/* Nobody needs to wait any longer, whatever came of it. */
static void settle(struct hearing *h)
{
	struct conn *c = h->c;

	if (h->pushed || c->identified)
		return;
	c->identified = true;
	if (c->remote)
		remote_settled(c->remote);
}

static void hearing_free(struct hearing *h)
{
	frame_release(&h->frame);
	free(h);
}

static int on_message(void *arg, const uint8_t *msg, size_t len)
{
	struct hearing *h = arg;

	return identify_merge(&h->id, noise_peer(h->c->noise), msg, len);
}

static void give_up(struct hearing *h, int reason)
{
	char text[PEER_TEXT_MAX];

	log_line(LOG_DEBUG, "%s: identify: %s", peer_text(noise_peer(h->c->noise), text),
		 err_text(reason));
	stream_reset(h->st);
	settle(h);
	hearing_free(h);
}

static void on_data(void *arg, const uint8_t *data, size_t len)
{
	struct hearing *h = arg;
	int r = frame_feed(&h->frame, data, len, on_message, h);

	if (r < 0)
		give_up(h, r);
}

static void on_eof(void *arg)
{
	struct hearing *h = arg;
	int r = frame_partial(&h->frame) || !h->id.parts ? ERR_MALFORMED : apply(h);

	if (r < 0) {
		give_up(h, r);
		return;
	}
	settle(h);
	stream_close(h->st);
}

static void on_closed(void *arg, int reason)
{
	struct hearing *h = arg;

	settle(h);
	hearing_free(h);
}

static bool hear(struct stream *st, bool pushed)
{
	static const struct stream_events events = {
		.on_data = on_data,
		.on_eof = on_eof,
		.on_closed = on_closed,
	};
	struct hearing *h = calloc(1, sizeof *h);

	if (!h)
		return false;
	h->c = st->c;
	h->st = st;
	h->pushed = pushed;
	h->frame.max = IDENTIFY_MESSAGE_MAX;
	stream_on(st, &events, h);
	stream_timeout(st, st->s->limits.identify);
	return true;
}

void identify_ask(struct conn *c)
{
	static const char *const offers[] = { id_protocol, NULL };
	struct stream *st = NULL;

	if (stream_start(c, offers, true, &st) >= 0 && hear(st, false))
		return;
	if (st)
		stream_reset(st);
	c->identified = true;
	remote_settled(c->remote);
}

static void on_push(void *arg, struct stream *st)
{
	struct remote *r = st->c->remote;
	uint64_t now = uv_now(st->s->loop);

	if (r && r->pushes_at < now)
		r->pushes_at = now;
	if (!r || r->pushes_at - now > (PUSH_BURST - 1) * PUSH_INTERVAL ||
	    !hear(st, true)) {
		stream_reset(st);
		return;
	}
	r->pushes_at += PUSH_INTERVAL;
}

int identify_serve(struct swarm *s)
{
	int r = swarm_serve(s, id_protocol, on_asked, s);

	return r < 0 ? r : swarm_serve(s, push_protocol, on_push, s);
}
