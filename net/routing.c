/*
 * The DHTs of this node as one: the instance, its clock, and whose values are
 * valid.
 */
#include "net/routing_internal.h"

#include "store/error.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>

#define PULSE_MS 50
#define TICK_MS  1000

uint32_t routing_peers(const struct routing *r)
{
	uint32_t n = 0;

	for (int i = 0; i < r->n_dht; i++)
		n += kad_table_count(r->dht[i]->table);
	return n;
}

uint64_t routing_now(const struct routing *r)
{
	return uv_now(swarm_loop(r->swarm));
}

/* ---- values ---- */

/* wire.md 8: /pk/ID holds the public key that hashes to ID. */
static int check_pk(void *arg, const void *key, size_t key_len, const void *value,
		    size_t len)
{
	struct public_key pk;
	struct peer_id owner, named;
	int r = peer_decode(&named, (const uint8_t *)key + 4, key_len - 4);

	if (r == 0)
		r = key_decode(&pk, value, len);
	if (r < 0)
		return r;
	key_peer(&pk, &owner);
	return peer_equal(&owner, &named) ? 0 : ERR_CORRUPT;
}

static const struct routing_validator *validator_of(const struct routing *r,
						    const void *key, size_t key_len)
{
	const char *text = key;

	for (int i = 0; i < r->n_validators; i++) {
		size_t n = strlen(r->validators[i].ns);

		if (key_len > n + 2 && text[0] == '/' && text[n + 1] == '/' &&
		    memcmp(text + 1, r->validators[i].ns, n) == 0)
			return &r->validators[i];
	}
	return NULL;
}

int routing_check(void *arg, const void *key, size_t key_len, const void *value,
		  size_t len)
{
	const struct routing_validator *v = validator_of(arg, key, key_len);

	return v ? v->check(v->arg, key, key_len, value, len) : -ENOTSUP;
}

int routing_better(void *arg, const void *key, size_t key_len, const void *a,
		   size_t a_len, const void *b, size_t b_len)
{
	const struct routing_validator *v = validator_of(arg, key, key_len);

	return v && v->better ? v->better(v->arg, a, a_len, b, b_len) : 0;
}

static void value_stored(void *arg, const void *key, size_t key_len, const void *value,
			 size_t len)
{
	const struct routing_validator *v = validator_of(arg, key, key_len);

	if (v && v->stored)
		v->stored(v->arg, key, key_len, value, len);
}

void routing_validate(struct routing *r, const struct routing_validator *v)
{
	if (r->n_validators < VALIDATORS_MAX)
		r->validators[r->n_validators++] = *v;
}

void routing_unvalidate(struct routing *r, void *arg)
{
	for (int i = 0; i < r->n_validators; i++)
		if (r->validators[i].arg == arg)
			r->validators[i--] = r->validators[--r->n_validators];
}

void routing_watch(struct routing *r, void (*on_online)(void *arg), void *arg)
{
	r->on_online = on_online;
	r->online_arg = arg;
}

/* ---- the clock ---- */

static void look_online(struct routing *r)
{
	bool online = routing_peers(r) > 0;

	if (online && !r->online) {
		r->online = true;
		r->retried = 0;
		bootstrap_online(r->bootstrap, true);
		if (r->on_online)
			r->on_online(r->online_arg);
	} else if (!online && r->online) {
		r->online = false;
		bootstrap_online(r->bootstrap, false);
	}
}

static void on_timer(uv_timer_t *t)
{
	struct routing *r = t->data;
	uint64_t now = routing_now(r);
	bool busy = false;

	r->in_timer = true;
	r->kicked = false;
	look_online(r);
	if (!r->ticked || now - r->ticked >= TICK_MS) {
		r->ticked = now;
		for (int i = 0; i < r->n_dht; i++)
			kad_tick(r->dht[i], now);
		bootstrap_tick(r->bootstrap, now);
		queries_provide_due(r, now);
	}
	queries_start(r, now);
	for (int i = 0; i < r->n_dht; i++)
		busy |= kad_pulse(r->dht[i], now);
	r->in_timer = false;
	uint64_t next = r->ticked + TICK_MS > now ? r->ticked + TICK_MS - now : 1;
	if (busy && next > PULSE_MS)
		next = PULSE_MS;
	uv_timer_start(&r->timer, on_timer, r->kicked ? 0 : next, 0);
}

void routing_kick(void *arg)
{
	struct routing *r = arg;

	if (!r->in_timer && !r->kicked && !r->closing)
		uv_timer_start(&r->timer, on_timer, 0, 0);
	r->kicked = true;
}

static void on_peer_came(void *arg)
{
	struct routing *r = arg;

	/* Look around at once, not at the next second. */
	r->ticked = 0;
	routing_kick(r);
}

/* ---- beginning and end ---- */

static void on_identified(void *arg, const struct peer_id *p)
{
	struct routing *r = arg;

	for (int i = 0; i < r->n_dht; i++)
		kad_identified(r->dht[i], p);
}

static void on_timer_closed(uv_handle_t *h)
{
	free(h->data);
}

static int add_dht(struct routing *r, const struct routing_config *cfg, const char *infix,
		   enum kad_scope scope)
{
	const struct kad_env env = { .check = routing_check,
				     .better = routing_better,
				     .stored = value_stored,
				     .peer_came = on_peer_came,
				     .kick = routing_kick,
				     .arg = r };
	char protocol[160];

	snprintf(protocol, sizeof protocol, "%s%s/kad/1.0.0", cfg->prefix, infix);
	int rc = kad_new(&r->dht[r->n_dht], cfg->swarm, protocol, scope, cfg->mode, &env);
	if (rc == 0)
		r->n_dht++;
	return rc;
}

int routing_new(struct routing **out, const struct routing_config *cfg)
{
	static const struct routing_validator pk = { .ns = "pk", .check = check_pk };
	struct routing *r = calloc(1, sizeof *r);
	int rc;

	if (!r)
		return -ENOMEM;
	r->swarm = cfg->swarm;
	TAILQ_INIT(&r->waiting);
	TAILQ_INIT(&r->running);
	rc = uv_timer_init(swarm_loop(cfg->swarm), &r->timer);
	if (rc < 0) {
		free(r);
		return rc;
	}
	r->timer.data = r;
	routing_validate(r, &pk);
	rc = -ENOMEM;
	r->provided =
	    reprovide_new(((uint64_t)randombytes_random() << 32) | randombytes_random());
	r->bootstrap = bootstrap_new(r, cfg->bootstrap, cfg->n_bootstrap);
	if (!r->provided || !r->bootstrap)
		goto fail;
	if (strcmp(cfg->prefix, "/ipfs") == 0) {
		rc = add_dht(r, cfg, "", SCOPE_PUBLIC);
		if (rc == 0)
			rc = add_dht(r, cfg, "/lan", SCOPE_LOCAL);
	} else {
		rc = add_dht(r, cfg, "", SCOPE_ANY);
	}
	if (rc < 0)
		goto fail;
	swarm_watch(r->swarm,
		    &(struct swarm_watch){ .on_identified = on_identified, .arg = r });
	/* Serve before the first peer asks what we serve. */
	for (int i = 0; i < r->n_dht; i++)
		kad_tick(r->dht[i], routing_now(r));
	routing_kick(r);
	*out = r;
	return 0;
fail:
	routing_free(r);
	return rc;
}

void routing_free(struct routing *r)
{
	r->closing = true;
	swarm_unwatch(r->swarm, r);
	queries_end(r);
	for (int i = 0; i < r->n_dht; i++)
		kad_free(r->dht[i]);
	bootstrap_free(r->bootstrap);
	reprovide_free(r->provided);
	uv_close((uv_handle_t *)&r->timer, on_timer_closed);
}

struct swarm *routing_swarm(const struct routing *r)
{
	return r->swarm;
}

bool routing_online(const struct routing *r)
{
	return routing_peers(r) > 0;
}

void routing_stat(struct routing *r, struct routing_stat *out)
{
	uint64_t now = routing_now(r);

	*out = (struct routing_stat){ .table_peers = routing_peers(r),
				      .queries = r->n_waiting + r->n_running };
	for (int i = 0; i < r->n_dht; i++) {
		out->server |= r->dht[i]->serving;
		out->provider_records += providers_expire(r->dht[i]->providers, now);
		out->value_records += records_expire(r->dht[i]->records, now);
	}
}
