/* One connection from the first packet to the last: states, handshake, limits. */
#include "net/swarm_internal.h"
#include "store/error.h"
#include "store/log.h"

#include <stdlib.h>
#include <string.h>

static const char noise_protocol[] = "/noise";
static const char yamux_protocol[] = "/yamux/1.0.0";
static const char *const security_offers[] = { noise_protocol, NULL };
static const char *const muxer_offers[] = { yamux_protocol, NULL };

static void on_task(struct task *t);

struct conn *conn_new(struct swarm *s, bool inbound)
{
	struct conn *c = calloc(1, sizeof *c);

	if (!c)
		return NULL;
	if (uv_tcp_init(s->loop, &c->tcp) < 0) {
		free(c);
		return NULL;
	}
	swarm_handle(s);
	uv_tcp_nodelay(&c->tcp, 1);
	c->tcp.data = c;
	c->s = s;
	c->inbound = inbound;
	c->task.run = on_task;
	c->since = c->last_in = uv_now(s->loop);
	c->deadline = c->since + s->limits.handshake;
	c->told = s->generation;
	TAILQ_INIT(&c->streams);
	TAILQ_INSERT_TAIL(&s->conns, c, all);
	s->n_conns++;
	return c;
}

/* ---- the handshake ---- */

static const char *choose(const char *protocol, const char *ours)
{
	return strcmp(protocol, ours) ? NULL : ours;
}

static const char *choose_security(void *arg, const char *protocol)
{
	return choose(protocol, noise_protocol);
}

static const char *choose_muxer(void *arg, const char *protocol)
{
	return choose(protocol, yamux_protocol);
}

static void on_connected(uv_connect_t *req, int status)
{
	struct conn *c = req->data;
	struct buf out = { 0 };
	int r = status;

	if (status == UV_ECANCELED)
		return;
	if (r < 0)
		goto out;
	c->connected = true;
	c->state = CONN_SECURITY;
	/* There is nothing but Noise to agree on: its first message need not wait. */
	multistream_dial(&c->ms, security_offers, &out);
	r = noise_start(c->noise, &out);
	if (r < 0)
		goto out;
	r = out.failed ? -ENOMEM : conn_write_plain(c, out.data, out.len);
	if (r < 0)
		goto out;
	r = conn_read_start(c);
out:
	buf_release(&out);
	if (r < 0)
		conn_doom(c, r);
}

int conn_dial(struct conn *c, const struct addr *a)
{
	struct peer_id expect;
	int r = addr_sockaddr(a, &c->peer_sa);

	c->addr = *a;
	if (r < 0)
		return r;
	r = noise_new(&c->noise, true, &c->s->key,
		      addr_peer(a, &expect) ? &expect : NULL);
	if (r < 0)
		return r;
	addr_strip_peer(&c->addr);
	c->connect.data = c;
	return uv_tcp_connect(&c->connect, &c->tcp, (struct sockaddr *)&c->peer_sa,
			      on_connected);
}

void conn_serve(struct conn *c)
{
	int r;

	c->state = CONN_SECURITY;
	multistream_listen(&c->ms, choose_security, NULL);
	r = noise_new(&c->noise, false, &c->s->key, NULL);
	if (r >= 0)
		r = conn_read_start(c);
	if (r < 0)
		conn_doom(c, r);
}

/* The handshake is no longer one of those that strangers keep open. */
static void uncount(struct conn *c)
{
	if (!c->counted_source)
		return;
	c->counted_source = false;
	c->s->n_half_open--;
	limits_done(c->s->sources, (struct sockaddr *)&c->peer_sa);
}

/* Yamux runs from here on. */
static int up(struct conn *c)
{
	struct swarm *s = c->s;
	/* Callers cannot take the places of those that we call. */
	uint32_t max = s->limits.conns_max + (c->inbound ? 0 : s->limits.conns_max / 4);
	struct remote *r;

	uncount(c);
	multistream_release(&c->ms);
	r = remote_get(s, noise_peer(c->noise));
	if (!r)
		return -ENOMEM;
	if ((s->n_open >= max && !r->protect) || r->n_conns >= s->limits.conns_peer) {
		remote_tidy(r);
		return -EUSERS;
	}
	const struct yamux_config cfg = {
		.client = !c->inbound,
		.limits = &s->limits.yamux,
		.budget = &s->windows,
		.events = &stream_yamux_events,
		.arg = c,
	};
	c->y = yamux_new(&cfg);
	if (!c->y) {
		remote_tidy(r);
		return -ENOMEM;
	}
	c->state = CONN_OPEN;
	s->n_open++;
	yamux_ping(c->y, uv_hrtime() / 1000);
	remote_hold(r);
	c->deadline = uv_now(s->loop) + s->limits.identify;
	remote_attach(r, c);
	if (c->dial)
		dial_attempt_up(c);
	identify_ask(c);
	remote_release(r);
	conn_soon(c);
	return 0;
}

/* Noise is done: the peer is who it says. */
static int secured(struct conn *c)
{
	struct buf out = { 0 };
	int r = 0;

	if (peer_equal(noise_peer(c->noise), &c->s->self))
		return -ELOOP;
	multistream_release(&c->ms);
	if (noise_early_yamux(c->noise))
		return up(c);
	c->state = CONN_MUXER;
	if (c->inbound) {
		multistream_listen(&c->ms, choose_muxer, NULL);
	} else {
		multistream_dial(&c->ms, muxer_offers, &out);
		r = out.failed ? -ENOMEM : conn_write_sealed(c, out.data, out.len);
	}
	buf_release(&out);
	return r;
}

static int noise_step(struct conn *c, uint8_t *data, size_t len)
{
	struct buf out = { 0 };
	size_t body;
	int r, w = 0;

	if (len < NOISE_LENGTH)
		return 0;
	body = data[0] << 8 | data[1];
	if (body > NOISE_HANDSHAKE_MAX)
		return ERR_MALFORMED;
	if (len - NOISE_LENGTH < body)
		return 0;
	r = noise_handshake(c->noise, data + NOISE_LENGTH, body, &out);
	if (out.len)
		w = conn_write_plain(c, out.data, out.len);
	buf_release(&out);
	if (r >= 0 && w < 0)
		r = w;
	if (r > 0)
		r = secured(c);
	return r < 0 ? r : (int)(NOISE_LENGTH + body);
}

int conn_handshake(struct conn *c, uint8_t *data, size_t len)
{
	struct buf out = { 0 };
	size_t used = 0;
	int r, w = 0;

	if (c->state == CONN_NOISE)
		return noise_step(c, data, len);
	r = multistream_feed(&c->ms, data, len, &used, &out);
	if (out.len)
		w = conn_write_plain(c, out.data, out.len);
	buf_release(&out);
	if (r < 0 || w < 0)
		return r < 0 ? r : w;
	if (!r)
		return len;
	c->state = CONN_NOISE;
	return used;
}

int conn_muxer(struct conn *c, const uint8_t *data, size_t len)
{
	struct buf out = { 0 };
	size_t used = 0;
	int r, w = 0;

	r = multistream_feed(&c->ms, data, len, &used, &out);
	if (out.len)
		w = conn_write_sealed(c, out.data, out.len);
	buf_release(&out);
	if (r >= 0 && w < 0)
		r = w;
	if (r <= 0)
		return r;
	r = up(c);
	if (r < 0 || used == len)
		return r;
	return yamux_recv(c->y, data + used, len - used, uv_hrtime() / 1000);
}

/* ---- while it is open ---- */

void conn_soon(struct conn *c)
{
	if (c->state == CONN_OPEN)
		task_later(c->s, &c->task);
}

static void keep_alive(struct conn *c, uint64_t now)
{
	uint64_t asked = yamux_pinged(c->y) / 1000;
	uint64_t hr = uv_hrtime() / 1000000;

	/* A peer that is busy sending is alive, however late its answer. */
	if (asked) {
		if (hr - asked >= c->s->limits.keepalive_answer &&
		    now - c->last_in >= c->s->limits.keepalive_answer)
			conn_doom(c, -ETIMEDOUT);
	} else if (now - c->last_in >= c->s->limits.keepalive) {
		yamux_ping(c->y, hr * 1000);
	}
}

/* Streams are looked at in turn: what one's end leads to may end others. */
static void tick_streams(struct conn *c, uint64_t now)
{
	struct stream *st;
	unsigned n = 0;

	TAILQ_FOREACH (st, &c->streams, of_conn)
		n++;
	while (n-- && (st = TAILQ_FIRST(&c->streams))) {
		TAILQ_REMOVE(&c->streams, st, of_conn);
		TAILQ_INSERT_TAIL(&c->streams, st, of_conn);
		stream_tick(st, now);
	}
}

void conn_tick(struct conn *c, uint64_t now)
{
	if (c->doomed || c->state == CONN_CLOSED)
		return;
	if (c->state != CONN_OPEN) {
		if (now >= c->deadline)
			conn_doom(c, -ETIMEDOUT);
		return;
	}
	if (!c->identified && now >= c->deadline) {
		c->identified = true;
		remote_settled(c->remote);
	}
	keep_alive(c, now);
	tick_streams(c, now);
	if (yamux_streams(c->y)) {
		c->extra_since = 0;
	} else if (yamux_leaving(c->y)) {
		conn_doom(c, -ECONNRESET);
	} else if (remote_conn(c->remote) != c) {
		if (!c->extra_since)
			c->extra_since = now;
		if (now - c->extra_since >= c->s->limits.extra_idle)
			conn_doom(c, -ECANCELED);
	} else {
		c->extra_since = 0;
	}
}

/* ---- the end ---- */

void conn_doom(struct conn *c, int reason)
{
	if (c->doomed || c->state == CONN_CLOSED)
		return;
	c->doomed = reason;
	task_later(c->s, &c->task);
}

static void on_tcp_closed(uv_handle_t *h)
{
	struct conn *c = h->data;
	struct swarm *s = c->s;

	task_drop(s, &c->task);
	conn_drop_output(c);
	multistream_release(&c->ms);
	noise_free(c->noise);
	yamux_free(c->y);
	free(c->partial);
	TAILQ_REMOVE(&s->conns, c, all);
	s->n_conns--;
	free(c);
	swarm_handle_closed(s);
}

static void conn_close(struct conn *c)
{
	bool was_open = c->state == CONN_OPEN;
	struct remote *r = c->remote;
	char text[ADDR_TEXT_MAX];

	if (was_open) {
		/* Say goodbye, as far as the socket takes it. */
		yamux_go_away(c->y, 0);
		conn_pump(c);
		c->s->n_open--;
	}
	log_line(LOG_DEBUG, "%s %s closed: %s", c->inbound ? "from" : "to",
		 addr_text(&c->addr, text), err_text(c->doomed));
	c->state = CONN_CLOSED;
	uncount(c);
	if (c->dial)
		dial_attempt_failed(c, c->doomed);
	if (was_open) {
		remote_hold(r);
		remote_detach(c);
		yamux_end(c->y, c->doomed);
		remote_gone(r, c->doomed);
		remote_release(r);
	}
	uv_close((uv_handle_t *)&c->tcp, on_tcp_closed);
}

static void on_task(struct task *t)
{
	struct conn *c = task_owner(t, struct conn, task);

	if (c->state == CONN_CLOSED)
		return;
	if (c->state == CONN_OPEN && !c->doomed) {
		yamux_deliver(c->y);
		conn_pump(c);
	}
	if (c->doomed)
		conn_close(c);
}
