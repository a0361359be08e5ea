/*
 * Queries: each goes to every DHT, and what they say is merged.
 *
 *	WAITING ---- one of 16 places is free, somebody can be asked ----> RUNNING
 *	   |                                                                 |
 *	   +---- cancelled ----> ENDED <---- every DHT is done, or enough ---+
 */
#include "net/routing_internal.h"

#include "store/error.h"

#include <sodium.h>
#include <stdlib.h>

#define RUNNING_MAX       16
#define HOPE_MS           10000 /* how long a query waits for the first peer */
#define PROVIDERS_MAX     1024  /* of one query that asks for all */
#define REPROVIDE_AT_ONCE 4
#define RETRY_MS          60000

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

/* ---- their end ---- */

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
			reprovide_note(r->provided, &key, result > 0, routing_now(r));
		if (q->again)
			r->n_again--;
	}
	if (q->done)
		q->done(q->arg, result);
	if (!r->closing)
		routing_kick(r); /* its place is free */
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

/* ---- what comes in ---- */

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
		uint64_t *seen = realloc(
		    q->seen, (size_t)(q->n_found ? q->n_found * 2 : 1) * sizeof *seen);
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
	if (q->best.len && routing_better(q->routing, q->bytes, q->key_len, value, len,
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

/* ---- their beginning ---- */

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
			const uint8_t *v =
			    records_get(k->records, &place, kad_now(k), &len);

			if (v && routing_check(r, q->bytes, q->key_len, v, len) == 0)
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

		q->parts[i] =
		    (struct part){ .q = q, .op = kad_op_start(r->dht[i], &cfg) };
	}
	bool any = false;
	for (int i = 0; i < r->n_dht; i++)
		any |= q->parts[i].op != NULL;
	if (!any)
		finish(q, -ENOMEM);
	leave(q);
}

void queries_start(struct routing *r, uint64_t now)
{
	/* Nobody is known, but somebody may be soon. */
	bool wait = !routing_peers(r) && bootstrap_hopeful(r->bootstrap);
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
	q->since = routing_now(r);
	q->done = done;
	q->arg = arg;
	q->key_len = key_len;
	q->put_len = len;
	memcpy(q->bytes, key, key_len);
	if (len)
		memcpy(q->bytes + key_len, value, len);
	TAILQ_INSERT_TAIL(&r->waiting, q, of_routing);
	r->n_waiting++;
	routing_kick(r);
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

void queries_provide_due(struct routing *r, uint64_t now)
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

void queries_end(struct routing *r)
{
	struct query *q;

	/* A callback may start another: that one ends too. */
	while ((q = TAILQ_FIRST(&r->running)))
		query_cancel(q);
	while ((q = TAILQ_FIRST(&r->waiting)))
		query_cancel(q);
}
