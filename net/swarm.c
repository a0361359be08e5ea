/* The swarm as a whole: its life, its tasks and its tick, and what it tells. */
#include "net/swarm_internal.h"
#include "store/error.h"

#include <assert.h>
#include <signal.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

const struct swarm_limits swarm_limits_default = {
	.tick = 1000,
	.handshake = 15000,
	.negotiate = 10000,
	.identify = 5000,
	.dial = 15000,
	.dial_private = 5000,
	.stagger = 250,
	.backoff = 30000,
	.keepalive = 30000,
	.keepalive_answer = 10000,
	.push_gather = 1000,
	.extra_idle = 10000,
	.grace = 20000,
	.conns_high = 256,
	.conns_low = 192,
	.conns_max = 320,
	.half_open_max = 256,
	.conns_peer = 4,
	.sources = { .half_open = 8, .burst = 16, .interval = 5000 },
	.yamux = YAMUX_LIMITS_DEFAULT,
	.window_growth = 64u << 20,
};

/* ---- tasks ---- */

static void maybe_end(struct swarm *s);

static void on_soon(uv_idle_t *h)
{
	struct swarm *s = h->data;
	STAILQ_HEAD(, task) now = STAILQ_HEAD_INITIALIZER(now);
	struct task *t;

	/* What they ask for comes in the next turn of the loop. */
	STAILQ_CONCAT(&now, &s->tasks);
	while ((t = STAILQ_FIRST(&now))) {
		STAILQ_REMOVE_HEAD(&now, next);
		t->queued = false;
		t->run(t);
	}
	if (STAILQ_EMPTY(&s->tasks))
		uv_idle_stop(&s->soon);
	maybe_end(s);
}

void task_later(struct swarm *s, struct task *t)
{
	if (t->queued)
		return;
	t->queued = true;
	STAILQ_INSERT_TAIL(&s->tasks, t, next);
	uv_idle_start(&s->soon, on_soon);
}

void task_drop(struct swarm *s, struct task *t)
{
	if (t->queued)
		STAILQ_REMOVE(&s->tasks, t, task, next);
	t->queued = false;
}

/* ---- beginning and end ---- */

void swarm_handle(struct swarm *s)
{
	s->handles++;
}

void swarm_handle_closed(struct swarm *s)
{
	s->handles--;
	maybe_end(s);
}

/* Over high, close those that idle and that nobody asked to keep, oldest first. */
static void trim(struct swarm *s, uint64_t now)
{
	struct conn *c;
	uint32_t n = s->n_open;

	if (n <= s->limits.conns_high)
		return;
	TAILQ_FOREACH (c, &s->conns, all) {
		if (n <= s->limits.conns_low)
			break;
		if (c->state != CONN_OPEN || c->doomed || c->remote->protect ||
		    yamux_streams(c->y) || now - c->since < s->limits.grace)
			continue;
		conn_doom(c, -ECANCELED);
		n--;
	}
}

static void on_tick(uv_timer_t *t)
{
	struct swarm *s = t->data;
	uint64_t now = uv_now(s->loop);
	struct conn *c;

	/* Connections are freed by the loop only, never under this one. */
	TAILQ_FOREACH (c, &s->conns, all)
		conn_tick(c, now);
	trim(s, now);
	identify_tick(s, now);
	listen_tick(s, now);
}

int swarm_new_limited(struct swarm **out, const struct swarm_config *cfg,
		      const struct swarm_limits *limits)
{
	struct swarm *s = calloc(1, sizeof *s);
	struct public_key public;
	int r = -ENOMEM;

	if (!s)
		return -ENOMEM;
	/* A peer that hangs up is an error to handle, not a signal; libuv cannot
	 * ask for that write by write. */
	signal(SIGPIPE, SIG_IGN);
	s->loop = cfg->loop;
	s->key = *cfg->key;
	key_public(cfg->key, &public);
	key_peer(&public, &s->self);
	s->limits = *limits;
	if (cfg->max_conns) {
		s->limits.conns_high = cfg->max_conns;
		s->limits.conns_low = cfg->max_conns - cfg->max_conns / 4;
		s->limits.conns_max = cfg->max_conns + cfg->max_conns / 4 + 8;
	}
	s->windows.max = limits->window_growth;
	STAILQ_INIT(&s->tasks);
	TAILQ_INIT(&s->conns);
	TAILQ_INIT(&s->dials);
	TAILQ_INIT(&s->listeners);
	s->agent = strdup(cfg->agent ? cfg->agent : "cairn");
	s->sources = limits_new(&limits->sources);
	s->book = peerbook_new();
	s->read_buffer = malloc(READ_BUFFER);
	s->plain = malloc(NOISE_PLAIN_MAX);
	if (!s->agent || !s->sources || !s->book || !s->read_buffer || !s->plain)
		goto out;

	uv_timer_init(s->loop, &s->tick);
	s->tick.data = s;
	swarm_handle(s);
	uv_idle_init(s->loop, &s->soon);
	s->soon.data = s;
	swarm_handle(s);
	uv_timer_start(&s->tick, on_tick, s->limits.tick, s->limits.tick);
	r = identify_serve(s);
	if (r >= 0)
		r = ping_serve(s);
	if (r < 0) {
		swarm_free(s, NULL, NULL);
		return r;
	}
	*out = s;
	return 0;
out:
	peerbook_free(s->book);
	limits_free(s->sources);
	free(s->agent);
	free(s->read_buffer);
	free(s->plain);
	free(s);
	return r;
}

int swarm_new(struct swarm **out, const struct swarm_config *cfg)
{
	return swarm_new_limited(out, cfg, &swarm_limits_default);
}

static void on_last_closed(uv_handle_t *h)
{
	struct swarm *s = h->data;
	void (*done)(void *arg) = s->done;
	void *arg = s->done_arg;

	for (int i = 0; i < 256; i++)
		while (s->remotes[i]) {
			s->remotes[i]->protect = 0;
			remote_tidy(s->remotes[i]);
		}
	while (s->protocols) {
		struct protocol *p = s->protocols;
		s->protocols = p->next;
		free(p);
	}
	while (s->kept) {
		struct out_frame *f = s->kept;
		s->kept = f->next;
		free(f);
	}
	peerbook_free(s->book);
	limits_free(s->sources);
	sodium_memzero(&s->key, sizeof s->key);
	free(s->agent);
	free(s->read_buffer);
	free(s->plain);
	free(s);
	if (done)
		done(arg);
}

/* The idle handle is the last one: tasks may be waiting until then. */
static void maybe_end(struct swarm *s)
{
	if (s->freeing && s->handles == 1 && STAILQ_EMPTY(&s->tasks) &&
	    !uv_is_closing((uv_handle_t *)&s->soon))
		uv_close((uv_handle_t *)&s->soon, on_last_closed);
}

static void on_tick_closed(uv_handle_t *h)
{
	swarm_handle_closed(h->data);
}

static void on_end(struct task *t)
{
	struct swarm *s = task_owner(t, struct swarm, end);
	struct conn *c;

	listen_end_all(s);
	dial_end_all(s, -ECANCELED);
	TAILQ_FOREACH (c, &s->conns, all)
		conn_doom(c, -ECANCELED);
	uv_close((uv_handle_t *)&s->tick, on_tick_closed);
}

void swarm_free(struct swarm *s, void (*done)(void *arg), void *arg)
{
	if (!s)
		return;
	assert(!s->freeing);
	s->freeing = true;
	s->done = done;
	s->done_arg = arg;
	s->end.run = on_end;
	task_later(s, &s->end);
}

const struct peer_id *swarm_self(const struct swarm *s)
{
	return &s->self;
}

const struct secret_key *swarm_key(const struct swarm *s)
{
	return &s->key;
}

uv_loop_t *swarm_loop(const struct swarm *s)
{
	return s->loop;
}

/* ---- protocols ---- */

void swarm_changed(struct swarm *s)
{
	struct timespec wall;
	uint64_t ms;

	clock_gettime(CLOCK_REALTIME, &wall);
	ms = wall.tv_sec * 1000ull + wall.tv_nsec / 1000000;
	s->record_seq = ms > s->record_seq ? ms : s->record_seq + 1;
	s->generation++;
	s->changed_at = uv_now(s->loop);
}

struct protocol *swarm_protocol(struct swarm *s, const char *name)
{
	struct protocol **at = &s->protocols;
	size_t len = strlen(name) + 1;

	while (*at && strcmp((*at)->name, name))
		at = &(*at)->next;
	if (!*at) {
		struct protocol *p = calloc(1, sizeof *p + len);
		if (!p)
			return NULL;
		memcpy(p->name, name, len);
		*at = p;
	}
	return *at;
}

int swarm_serve(struct swarm *s, const char *name, on_stream_fn on_stream, void *arg)
{
	struct protocol *p = swarm_protocol(s, name);

	if (!p)
		return -ENOMEM;
	if (!p->on_stream)
		swarm_changed(s);
	p->on_stream = on_stream;
	p->arg = arg;
	return 0;
}

void swarm_unserve(struct swarm *s, const char *name)
{
	struct protocol *p = swarm_protocol(s, name);

	if (!p || !p->on_stream)
		return;
	p->on_stream = NULL;
	swarm_changed(s);
}

/* ---- peers ---- */

void swarm_learn(struct swarm *s, const struct peer_id *p, const struct addr *a, int n)
{
	if (peer_equal(p, &s->self))
		return;
	for (int i = 0; i < n; i++)
		if (addr_dialable(&a[i]))
			peerbook_add(s->book, p, &a[i], ADDR_HEARD, uv_now(s->loop));
}

int swarm_lookup(struct swarm *s, const struct peer_id *p, struct addr *out, int max)
{
	return peerbook_get(s->book, p, out, max, uv_now(s->loop));
}

bool swarm_peer_speaks(struct swarm *s, const struct peer_id *p, const char *protocol)
{
	struct remote *r = remote_find(s, p);

	return r && remote_speaks(r, protocol);
}

void swarm_watch(struct swarm *s, const struct swarm_watch *w)
{
	for (int i = 0; i < s->n_watches; i++)
		if (!s->watches[i].on_identified && !s->watches[i].on_disconnected) {
			s->watches[i] = *w;
			return;
		}
	assert(s->n_watches < WATCHES_MAX);
	s->watches[s->n_watches++] = *w;
}

/* The others stay where they are: somebody may be going through them. */
void swarm_unwatch(struct swarm *s, void *arg)
{
	for (int i = 0; i < s->n_watches; i++)
		if (s->watches[i].arg == arg)
			s->watches[i] = (struct swarm_watch){ 0 };
}

void swarm_identified(struct remote *r)
{
	struct swarm *s = r->s;

	r->identified = r->announced = true;
	for (int i = 0; i < s->n_watches; i++)
		if (s->watches[i].on_identified)
			s->watches[i].on_identified(s->watches[i].arg, &r->id);
}

void swarm_protect(struct swarm *s, const struct peer_id *p, bool on)
{
	struct remote *r = on ? remote_get(s, p) : remote_find(s, p);

	if (!r)
		return;
	if (on)
		r->protect++;
	else if (r->protect)
		r->protect--;
	remote_tidy(r);
}

/* ---- connections ---- */

bool swarm_connected(struct swarm *s, const struct peer_id *p)
{
	struct remote *r = remote_find(s, p);

	return r && remote_conn(r);
}

void swarm_disconnect(struct swarm *s, const struct peer_id *p)
{
	struct remote *r = remote_find(s, p);
	struct conn *c;

	if (!r)
		return;
	TAILQ_FOREACH (c, &r->conns, of_remote)
		conn_doom(c, -ECANCELED);
}

int swarm_conns(struct swarm *s, struct conn_info *out, int max)
{
	struct conn *c;
	int n = 0;

	TAILQ_FOREACH (c, &s->conns, all) {
		if (c->state != CONN_OPEN || n == max)
			continue;
		out[n] = (struct conn_info){
			.peer = c->remote->id,
			.addr = c->addr,
			.inbound = c->inbound,
			.bytes_in = c->bytes_in,
			.bytes_out = c->bytes_out,
			.streams = yamux_streams(c->y),
			.rtt_us = yamux_rtt_us(c->y),
			.since = c->since,
		};
		memcpy(out[n].agent, c->remote->agent, sizeof out[n].agent);
		n++;
	}
	return n;
}

void swarm_stat(struct swarm *s, struct swarm_stat *out)
{
	struct conn *c;

	*out = (struct swarm_stat){
		.conns = s->n_open,
		.bytes_in = s->bytes_in,
		.bytes_out = s->bytes_out,
	};
	TAILQ_FOREACH (c, &s->conns, all)
		if (c->state == CONN_OPEN)
			out->streams += yamux_streams(c->y);
}
