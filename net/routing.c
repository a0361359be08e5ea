/*
 * The DHTs of this node as one: queries go to each and their answers are
 * merged; bootstrap peers are dialled while nobody else is known.
 *
 *	WAITING ---- one of 16 places is free, somebody can be asked ----> RUNNING
 *	   |                                                                 |
 *	   +---- cancelled ----> ENDED <---- every DHT is done, or enough ---+
 */
#include "net/routing.h"

#include "net/kad_internal.h"
#include "net/reprovide.h"
#include "store/error.h"
#include "store/log.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>

#define DHTS_MAX       2
#define VALIDATORS_MAX 4
#define RUNNING_MAX    16
#define PULSE_MS       50
#define TICK_MS	       1000
#define HOPE_MS	       10000 /* how long a query waits for the first peer */
#define BOOT_FIRST_MS  1000
#define BOOT_LAST_MS   60000
#define BOOT_FEW_MS    15000 /* between tries while fewer peers than this are known: */
#define BOOT_FEW       4
#define REPROVIDE_AT_ONCE 4
#define RETRY_MS       60000
#define PROVIDERS_MAX  1024 /* of one query that asks for all */

enum query_state { WAITING, RUNNING, ENDED };

/* One DHT's share in a query. */
struct part {
	struct query *q;
	struct kad_op *op; /* NULL: done */
};

struct query {
	TAILQ_ENTRY(query) of_routing;
	struct routing *routing;
	enum query_state state;
	enum kad_op_kind kind;
	unsigned busy; /* frames of ours on the stack */
	uint64_t since;
	struct part parts[DHTS_MAX];
	int result;
	bool has_result;
	bool again; /* a key told again, not asked for by anyone */
	int max, n_found;
	uint64_t *seen; /* hashes of the peers found */
	struct buf best;
	void (*found)(void *arg, const struct peer_id *p);
	void (*value)(void *arg, const uint8_t *value, size_t len);
	void (*done)(void *arg, int result);
	void *arg;
	size_t key_len, put_len;
	uint8_t bytes[]; /* key, value to put */
};

struct boot {
	struct addr addr;
	uint64_t next, wait_ms;
	bool trying, tried;
};

/* A dial cannot be called back; it outlives us if need be. */
struct boot_try {
	LIST_ENTRY(boot_try) of_routing;
	struct routing *routing; /* NULL: gone */
	struct boot *boot;
};

TAILQ_HEAD(queries, query);

struct routing {
	struct swarm *swarm;
	uv_timer_t timer;
	bool in_timer, kicked, closing;
	uint64_t ticked;
	struct kad *dht[DHTS_MAX];
	int n_dht;
	struct queries waiting, running;
	uint32_t n_waiting, n_running;
	struct boot *boot;
	int n_boot;
	LIST_HEAD(, boot_try) tries;
	struct routing_validator validators[VALIDATORS_MAX];
	int n_validators;
	void (*on_online)(void *arg);
	void *online_arg;
	bool online, told_online;
	struct reprovide *provided;
	uint32_t n_again;
	uint64_t retried;
};

static uint32_t peers(const struct routing *r)
{
	uint32_t n = 0;

	for (int i = 0; i < r->n_dht; i++)
		n += kad_table_count(r->dht[i]->table);
	return n;
}

static uint64_t now_of(const struct routing *r)
{
	return uv_now(swarm_loop(r->swarm));
}

/* ---- values ---- */

/* wire.md 8: /pk/ID holds the public key that hashes to ID. */
static int check_pk(void *arg, const void *key, size_t key_len, const void *value, size_t len)
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

static const struct routing_validator *validator_of(const struct routing *r, const void *key,
						    size_t key_len)
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

static int check_value(void *arg, const void *key, size_t key_len, const void *value,
		       size_t len)
{
	const struct routing_validator *v = validator_of(arg, key, key_len);

	return v ? v->check(v->arg, key, key_len, value, len) : -ENOTSUP;
}

static int better_value(void *arg, const void *key, size_t key_len, const void *a,
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

/* ---- queries: their end ---- */

static void query_free(struct query *q)
{
	free(q->seen);
	buf_release(&q->best);
	free(q);
}

static void enter(struct query *q)
{
	q->busy++;
}

static void leave(struct query *q)
{
	if (!--q->busy && q->state == ENDED)
		query_free(q);
}

static void kick(void *arg);

/* The only way out.  Only with `busy` raised. */
static void finish(struct query *q, int result)
{
	struct routing *r = q->routing;

	if (q->state == ENDED)
		return;
	if (q->state == WAITING) {
		TAILQ_REMOVE(&r->waiting, q, of_routing);
		r->n_waiting--;
	} else {
		TAILQ_REMOVE(&r->running, q, of_routing);
		r->n_running--;
	}
	q->state = ENDED;
	for (int i = 0; i < DHTS_MAX; i++)
		if (q->parts[i].op)
			kad_op_cancel(q->parts[i].op);
	if (q->kind == OP_PROVIDE) {
		struct multihash key;

		if (result != -ECANCELED &&
		    multihash_decode(&key, q->bytes, q->key_len) == 0)
			reprovide_note(r->provided, &key, result > 0, now_of(r));
		if (q->again)
			r->n_again--;
	}
	if (q->done)
		q->done(q->arg, result);
	if (!r->closing)
		kick(r); /* its place is free */
}

void query_cancel(struct query *q)
{
	enter(q);
	finish(q, -ECANCELED);
	leave(q);
}

/* What two DHTs say, as one: counts add up, and any answer is better than none. */
static int merged(enum kad_op_kind kind, int a, int b)
{
	if (a >= 0 && b >= 0)
		return kind == OP_PROVIDE || kind == OP_PUT ? a + b : 0;
	if (a >= 0 || b >= 0)
		return a >= 0 ? a : b;
	return a == -ENOENT || b == -ENOENT ? -ENOENT : a;
}

static void on_part_done(void *arg, int result)
{
	struct part *part = arg;
	struct query *q = part->q;
	bool open = false;

	enter(q);
	part->op = NULL;
	q->result = q->has_result ? merged(q->kind, q->result, result) : result;
	q->has_result = true;
	for (int i = 0; i < DHTS_MAX; i++)
		open |= q->parts[i].op != NULL;
	/* One DHT knows where the peer is: the other need not look on. */
	if (q->kind == OP_FIND_PEER && result == 0)
		open = false;
	if (!open) {
		if (q->kind == OP_GET && q->best.len)
			q->result = 0;
		if (q->kind == OP_PROVIDERS && q->n_found)
			q->result = 0;
		finish(q, q->result);
	}
	leave(q);
}

/* ---- queries: what comes in ---- */

/* Only with `busy` raised. */
static void found_one(struct query *q, const struct peer_id *p)
{
	uint64_t hash = peer_hash(p);
	int max = q->max > 0 && q->max < PROVIDERS_MAX ? q->max : PROVIDERS_MAX;

	if (q->state == ENDED || peer_equal(p, swarm_self(q->routing->swarm)))
		return;
	for (int i = 0; i < q->n_found; i++)
		if (q->seen[i] == hash)
			return;
	/* The room doubles whenever the count is a power of two. */
	if ((q->n_found & (q->n_found - 1)) == 0) {
		uint64_t *seen = realloc(q->seen, (size_t)(q->n_found ? q->n_found * 2 : 1) *
							  sizeof *seen);
		if (!seen)
			return;
		q->seen = seen;
	}
	q->seen[q->n_found++] = hash;
	q->found(q->arg, p);
	if (q->n_found >= max)
		finish(q, 0);
}

static void on_part_found(void *arg, const struct peer_id *p)
{
	struct part *part = arg;
	struct query *q = part->q;

	enter(q);
	found_one(q, p);
	leave(q);
}

static void take_value(struct query *q, const uint8_t *value, size_t len)
{
	if (q->state == ENDED)
		return;
	if (q->best.len && better_value(q->routing, q->bytes, q->key_len, value, len,
					q->best.data, q->best.len) <= 0)
		return;
	buf_clear(&q->best);
	buf_append(&q->best, value, len);
	if (q->best.failed) {
		buf_clear(&q->best);
		return;
	}
	q->value(q->arg, q->best.data, q->best.len);
}

static void on_part_value(void *arg, const uint8_t *value, size_t len)
{
	struct part *part = arg;
	struct query *q = part->q;

	enter(q);
	take_value(q, value, len);
	leave(q);
}

/* ---- queries: their beginning ---- */

/* What lies here already. */
static void look_here(struct query *q)
{
	struct routing *r = q->routing;
	struct kad_id place = kad_id_of(q->bytes, q->key_len);

	for (int i = 0; i < r->n_dht && q->state != ENDED; i++) {
		struct kad *k = r->dht[i];

		if (q->kind == OP_PROVIDERS) {
			struct provider p[KAD_K];
			struct peer_id ids[KAD_K];
			int n = providers_get(k->providers, &place, kad_now(k),
					      randombytes_random(), p, KAD_K);

			/* What a callback does may change the records. */
			for (int j = 0; j < n; j++) {
				struct addr a[KAD_ADDRS_MAX];
				int n_addrs = kad_addrs(p[j].addrs, p[j].addrs_len, a,
							KAD_ADDRS_MAX);
				ids[j] = *p[j].peer;
				if (n_addrs)
					swarm_learn(r->swarm, &ids[j], a, n_addrs);
			}
			for (int j = 0; j < n; j++)
				found_one(q, &ids[j]);
		} else if (q->kind == OP_GET) {
			size_t len;
			const uint8_t *v = records_get(k->records, &place, kad_now(k), &len);

			if (v && check_value(r, q->bytes, q->key_len, v, len) == 0)
				take_value(q, v, len);
		}
	}
}

static void start(struct query *q)
{
	struct routing *r = q->routing;
	struct peer_id peer;

	TAILQ_REMOVE(&r->waiting, q, of_routing);
	r->n_waiting--;
	TAILQ_INSERT_TAIL(&r->running, q, of_routing);
	r->n_running++;
	q->state = RUNNING;

	enter(q);
	look_here(q);
	if (q->kind == OP_FIND_PEER && peer_decode(&peer, q->bytes, q->key_len) == 0 &&
	    swarm_connected(r->swarm, &peer))
		finish(q, 0);
	for (int i = 0; i < r->n_dht && q->state != ENDED; i++) {
		struct kad_op_config cfg = {
			.kind = q->kind,
			.key = q->bytes,
			.key_len = q->key_len,
			.value = q->kind == OP_PUT ? q->bytes + q->key_len : q->best.data,
			.value_len = q->kind == OP_PUT ? q->put_len : q->best.len,
			.found = on_part_found,
			.value_came = on_part_value,
			.done = on_part_done,
			.arg = &q->parts[i],
		};

		q->parts[i] = (struct part){ .q = q, .op = kad_op_start(r->dht[i], &cfg) };
	}
	bool any = false;
	for (int i = 0; i < r->n_dht; i++)
		any |= q->parts[i].op != NULL;
	if (!any)
		finish(q, -ENOMEM);
	leave(q);
}

/* Nobody is known, but somebody may be soon. */
static bool hopeful(const struct routing *r)
{
	for (int i = 0; i < r->n_boot; i++)
		if (!r->boot[i].tried)
			return true;
	return false;
}

static void start_waiting(struct routing *r, uint64_t now)
{
	bool wait = !peers(r) && hopeful(r);
	struct query *q;

	while ((q = TAILQ_FIRST(&r->waiting)) && r->n_running < RUNNING_MAX) {
		if (wait && now - q->since < HOPE_MS)
			return;
		start(q);
	}
}

static struct query *query_new(struct routing *r, enum kad_op_kind kind, const void *key,
			       size_t key_len, const void *value, size_t len,
			       void (*done)(void *arg, int result), void *arg)
{
	if (key_len > KAD_KEY_MAX || len > RECORD_VALUE_MAX)
		return NULL;
	struct query *q = calloc(1, sizeof *q + key_len + len);

	if (!q)
		return NULL;
	q->routing = r;
	q->kind = kind;
	q->since = now_of(r);
	q->done = done;
	q->arg = arg;
	q->key_len = key_len;
	q->put_len = len;
	memcpy(q->bytes, key, key_len);
	if (len)
		memcpy(q->bytes + key_len, value, len);
	TAILQ_INSERT_TAIL(&r->waiting, q, of_routing);
	r->n_waiting++;
	kick(r);
	return q;
}

struct query *routing_providers(struct routing *r, const struct multihash *key, int max,
				void (*found)(void *arg, const struct peer_id *p),
				void (*done)(void *arg, int result), void *arg)
{
	uint8_t bytes[MULTIHASH_SIZE_MAX];
	size_t len = multihash_encode(key, bytes);
	struct query *q = query_new(r, OP_PROVIDERS, bytes, len, NULL, 0, done, arg);

	if (q) {
		q->max = max;
		q->found = found;
	}
	return q;
}

struct query *routing_provide(struct routing *r, const struct multihash *key,
			      void (*done)(void *arg, int result), void *arg)
{
	uint8_t bytes[MULTIHASH_SIZE_MAX];
	size_t len = multihash_encode(key, bytes);

	return query_new(r, OP_PROVIDE, bytes, len, NULL, 0, done, arg);
}

struct query *routing_get(struct routing *r, const void *key, size_t key_len,
			  void (*value)(void *arg, const uint8_t *value, size_t len),
			  void (*done)(void *arg, int result), void *arg)
{
	struct query *q = query_new(r, OP_GET, key, key_len, NULL, 0, done, arg);

	if (q)
		q->value = value;
	return q;
}

struct query *routing_put(struct routing *r, const void *key, size_t key_len,
			  const void *value, size_t len,
			  void (*done)(void *arg, int result), void *arg)
{
	return query_new(r, OP_PUT, key, key_len, value, len, done, arg);
}

struct query *routing_find_peer(struct routing *r, const struct peer_id *p,
				void (*done)(void *arg, int result), void *arg)
{
	return query_new(r, OP_FIND_PEER, p->bytes, p->len, NULL, 0, done, arg);
}

/* ---- bootstrap ---- */

static void on_boot_dialled(void *arg, int result, const struct peer_id *peer)
{
	struct boot_try *try = arg;
	struct routing *r = try->routing;
	struct boot *b = try->boot;

	if (r) {
		char text[ADDR_TEXT_MAX];

		LIST_REMOVE(try, of_routing);
		b->trying = false;
		b->tried = true;
		b->next = now_of(r) + b->wait_ms;
		b->wait_ms = b->wait_ms * 2 > BOOT_LAST_MS ? BOOT_LAST_MS : b->wait_ms * 2;
		if (result < 0)
			log_line(LOG_DEBUG, "bootstrap %s: %s", addr_text(&b->addr, text),
				 err_text(result));
		kick(r);
	}
	free(try);
}

static void dial_bootstrap(struct routing *r, uint64_t now)
{
	uint32_t n = peers(r);

	for (int i = 0; i < r->n_boot; i++) {
		struct boot *b = &r->boot[i];

		if (n && b->tried) {
			/* Seldom, while few are known: the others may be elsewhere. */
			if (n >= BOOT_FEW)
				continue;
			if (b->next > now + BOOT_FEW_MS || b->wait_ms < BOOT_FEW_MS)
				b->next = now + BOOT_FEW_MS;
			b->wait_ms = BOOT_FEW_MS;
		}
		if (b->trying || now < b->next)
			continue;
		struct boot_try *try = malloc(sizeof *try);
		if (!try)
			return;
		*try = (struct boot_try){ .routing = r, .boot = b };
		b->trying = true;
		LIST_INSERT_HEAD(&r->tries, try, of_routing);
		swarm_connect_addr(r->swarm, &b->addr, on_boot_dialled, try);
	}
}

/* ---- the clock ---- */

static void tell_again(struct routing *r, uint64_t now)
{
	struct multihash key;

	if (!r->online)
		return;
	if (now - r->retried >= RETRY_MS) {
		r->retried = now;
		reprovide_retry(r->provided);
	}
	while (r->n_again < REPROVIDE_AT_ONCE && reprovide_next(r->provided, now, &key)) {
		struct query *q = routing_provide(r, &key, NULL, NULL);

		if (!q)
			return;
		q->again = true;
		r->n_again++;
	}
}

static void look_online(struct routing *r)
{
	bool online = peers(r) > 0;

	if (online && !r->online) {
		r->online = true;
		r->retried = 0;
		for (int i = 0; i < r->n_boot; i++)
			r->boot[i].wait_ms = BOOT_FIRST_MS;
		if (r->on_online)
			r->on_online(r->online_arg);
	} else if (!online && r->online) {
		r->online = false;
		for (int i = 0; i < r->n_boot; i++)
			r->boot[i].next = 0;
	}
}

static void on_timer(uv_timer_t *t)
{
	struct routing *r = t->data;
	uint64_t now = now_of(r);
	bool busy = false;

	r->in_timer = true;
	r->kicked = false;
	look_online(r);
	if (!r->ticked || now - r->ticked >= TICK_MS) {
		r->ticked = now;
		for (int i = 0; i < r->n_dht; i++)
			kad_tick(r->dht[i], now);
		dial_bootstrap(r, now);
		tell_again(r, now);
	}
	start_waiting(r, now);
	for (int i = 0; i < r->n_dht; i++)
		busy |= kad_pulse(r->dht[i], now);
	r->in_timer = false;
	uint64_t next = r->ticked + TICK_MS > now ? r->ticked + TICK_MS - now : 1;
	if (busy && next > PULSE_MS)
		next = PULSE_MS;
	uv_timer_start(&r->timer, on_timer, r->kicked ? 0 : next, 0);
}

static void kick(void *arg)
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
	kick(r);
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
	const struct kad_env env = { .check = check_value,
				     .better = better_value,
				     .stored = value_stored,
				     .peer_came = on_peer_came,
				     .kick = kick,
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
	r->provided = reprovide_new(((uint64_t)randombytes_random() << 32) | randombytes_random());
	r->boot = calloc((size_t)cfg->n_bootstrap + 1, sizeof *r->boot);
	if (!r->provided || !r->boot)
		goto fail;
	r->n_boot = cfg->n_bootstrap;
	for (int i = 0; i < r->n_boot; i++) {
		r->boot[i].addr = cfg->bootstrap[i];
		r->boot[i].wait_ms = BOOT_FIRST_MS;
	}
	if (strcmp(cfg->prefix, "/ipfs") == 0) {
		rc = add_dht(r, cfg, "", SCOPE_PUBLIC);
		if (rc == 0)
			rc = add_dht(r, cfg, "/lan", SCOPE_LOCAL);
	} else {
		rc = add_dht(r, cfg, "", SCOPE_ANY);
	}
	if (rc < 0)
		goto fail;
	swarm_watch(r->swarm, &(struct swarm_watch){ .on_identified = on_identified, .arg = r });
	/* Serve before the first peer asks what we serve. */
	for (int i = 0; i < r->n_dht; i++)
		kad_tick(r->dht[i], now_of(r));
	kick(r);
	*out = r;
	return 0;
fail:
	routing_free(r);
	return rc;
}

void routing_free(struct routing *r)
{
	struct queries *lists[] = { &r->waiting, &r->running };
	struct boot_try *try;
	struct query *q;

	r->closing = true;
	swarm_unwatch(r->swarm, r);
	/* A callback may start another: that one ends too. */
	for (int i = 0; i < 2; i++)
		while ((q = TAILQ_FIRST(lists[i])))
			query_cancel(q);
	while ((q = TAILQ_FIRST(&r->waiting)))
		query_cancel(q);
	for (int i = 0; i < r->n_dht; i++)
		kad_free(r->dht[i]);
	LIST_FOREACH(try, &r->tries, of_routing)
		try->routing = NULL;
	reprovide_free(r->provided);
	free(r->boot);
	uv_close((uv_handle_t *)&r->timer, on_timer_closed);
}

struct swarm *routing_swarm(const struct routing *r)
{
	return r->swarm;
}

bool routing_online(const struct routing *r)
{
	return peers(r) > 0;
}

void routing_stat(struct routing *r, struct routing_stat *out)
{
	uint64_t now = now_of(r);

	*out = (struct routing_stat){ .table_peers = peers(r),
				      .queries = r->n_waiting + r->n_running };
	for (int i = 0; i < r->n_dht; i++) {
		out->server |= r->dht[i]->serving;
		out->provider_records += providers_expire(r->dht[i]->providers, now);
		out->value_records += records_expire(r->dht[i]->records, now);
	}
}
