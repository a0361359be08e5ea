/* Peers we are connected to, dial or protect, and who waits for them. */
#include "net/swarm_internal.h"
#include "store/error.h"

#include <stdlib.h>
#include <string.h>

static struct remote **slot(struct swarm *s, const struct peer_id *id)
{
	struct remote **at = &s->remotes[peer_hash(id) % 256];

	while (*at && !peer_equal(&(*at)->id, id))
		at = &(*at)->chain;
	return at;
}

struct remote *remote_find(struct swarm *s, const struct peer_id *id)
{
	return *slot(s, id);
}

struct remote *remote_get(struct swarm *s, const struct peer_id *id)
{
	struct remote **at = slot(s, id);

	if (*at)
		return *at;
	struct remote *r = calloc(1, sizeof *r);
	if (!r)
		return NULL;
	r->s = s;
	r->id = *id;
	TAILQ_INIT(&r->conns);
	STAILQ_INIT(&r->opens);
	STAILQ_INIT(&r->connects);
	*at = r;
	return r;
}

void remote_tidy(struct remote *r)
{
	struct remote **at;

	if (r->n_conns || r->dial || r->protect || r->holds || r->pings ||
	    !STAILQ_EMPTY(&r->opens) || !STAILQ_EMPTY(&r->connects))
		return;
	at = slot(r->s, &r->id);
	*at = r->chain;
	free(r->protocols);
	free(r);
}

void remote_hold(struct remote *r)
{
	r->holds++;
}

void remote_release(struct remote *r)
{
	r->holds--;
	remote_tidy(r);
}

/* Both ends prefer the connection that the smaller peer id dialled. */
static bool preferred(const struct remote *r, const struct conn *c)
{
	const struct peer_id *self = &r->s->self;
	size_t n = self->len < r->id.len ? self->len : r->id.len;
	int order = memcmp(self->bytes, r->id.bytes, n);
	bool we_are_smaller = order ? order < 0 : self->len < r->id.len;

	return we_are_smaller != c->inbound;
}

struct conn *remote_conn(const struct remote *r)
{
	struct conn *c, *best = NULL;

	TAILQ_FOREACH (c, &r->conns, of_remote) {
		if (c->doomed || yamux_leaving(c->y))
			continue;
		if (!best || (preferred(r, c) && !preferred(r, best)))
			best = c;
	}
	return best;
}

bool remote_speaks(const struct remote *r, const char *protocol)
{
	if (!r->identified || !r->protocols)
		return false;
	for (const char *p = r->protocols; *p; p += strlen(p) + 1)
		if (!strcmp(p, protocol))
			return true;
	return false;
}

void remote_resume(struct remote *r)
{
	struct conn *c = remote_conn(r);
	struct open_op *op;

	while (c && (op = STAILQ_FIRST(&r->opens)) && yamux_may_open(c->y)) {
		STAILQ_REMOVE_HEAD(&r->opens, next);
		stream_open_on(c, op);
	}
}

void remote_attach(struct remote *r, struct conn *c)
{
	TAILQ_INSERT_TAIL(&r->conns, c, of_remote);
	r->n_conns++;
	c->remote = r;
	if (!c->inbound)
		peerbook_add(r->s->book, &r->id, &c->addr, ADDR_CONFIRMED,
			     uv_now(r->s->loop));
	remote_resume(r);
	if (r->identified)
		remote_settled(r);
	/* It came to us while we tried to reach it. */
	if (c->inbound && r->dial)
		dial_end(r->dial, 0);
}

static void connect_end(struct remote *r, int result)
{
	struct connect_list ops = STAILQ_HEAD_INITIALIZER(ops);
	struct connect_op *op;

	STAILQ_CONCAT(&ops, &r->connects);
	while ((op = STAILQ_FIRST(&ops))) {
		STAILQ_REMOVE_HEAD(&ops, next);
		op->result = result;
		op->peer = r->id;
		task_later(r->s, &op->task);
	}
}

void remote_settled(struct remote *r)
{
	connect_end(r, 0);
}

void remote_detach(struct conn *c)
{
	TAILQ_REMOVE(&c->remote->conns, c, of_remote);
	c->remote->n_conns--;
	c->remote = NULL;
}

void remote_gone(struct remote *r, int reason)
{
	struct swarm *s = r->s;
	struct conn *c = remote_conn(r);

	if (c) {
		/* Those who waited for the other one need not. */
		remote_resume(r);
		if (c->identified)
			remote_settled(r);
	}
	if (r->n_conns)
		return;
	r->identified = false;
	free(r->protocols);
	r->protocols = NULL;
	if (!r->dial)
		remote_unreachable(r, reason);
	if (!r->announced)
		return;
	r->announced = false;
	for (int i = 0; i < s->n_watches; i++)
		if (s->watches[i].on_disconnected)
			s->watches[i].on_disconnected(s->watches[i].arg, &r->id);
}

void remote_unreachable(struct remote *r, int result)
{
	struct open_op *op;

	while ((op = STAILQ_FIRST(&r->opens))) {
		STAILQ_REMOVE_HEAD(&r->opens, next);
		op->result = result;
		task_later(r->s, &op->task);
	}
	connect_end(r, result);
}
