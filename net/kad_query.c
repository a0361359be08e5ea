/*
 * An operation on the DHT: a lookup (kad_lookup.h), and where it is to store
 * something, telling the nearest peers it has found.
 *
 *	LOOKING ---- nobody left to ask, or enough heard ----> STORING ----> ENDED
 *	   |                                                                  ^
 *	   +---- nothing to store, or cancelled -----------------------------+
 *
 * After a value was found, peers near it that lacked it are told; by then the
 * owner has had its answer, and the operation goes on by itself.
 */
#include "net/kad_internal.h"

#include "store/error.h"

#include <stdlib.h>

#define ALPHA               10
#define BETA                3
#define ASK_MAX             256
#define LOOK_MS             50000 /* and 10 s to store: a minute in all */
#define VALUE_QUORUM        16
#define TELL_MAX            80
#define PROVIDERS_OF_ANSWER 1024

enum op_state { LOOKING, STORING, ENDED };

/* A question under way. */
struct op_ask {
	LIST_ENTRY(op_ask) of_op;
	struct kad_op *op;
	struct peer_id peer;
	struct kad_ask *ask;
};

struct kad_op {
	LIST_ENTRY(kad_op) of_kad;
	struct kad *kad;
	struct kad_op_config cfg;
	enum op_state state;
	unsigned busy; /* frames of ours on the stack: not to be freed */
	bool widened;  /* to look behind a crowd */
	struct buf key, question, best;
	struct kad_lookup *lookup;
	LIST_HEAD(, op_ask) asks;
	unsigned values;                   /* answers that held a valid one */
	struct peer_id have[VALUE_QUORUM]; /* who gave `best` */
	unsigned n_have;
	int told;
};

static void pump(struct kad_op *op);

static enum kad_type question_type(enum kad_op_kind kind)
{
	switch (kind) {
	case OP_PROVIDERS:
		return KAD_GET_PROVIDERS;
	case OP_GET:
		return KAD_GET_VALUE;
	default:
		return KAD_FIND_NODE;
	}
}

static bool stores(enum kad_op_kind kind)
{
	return kind == OP_PROVIDE || kind == OP_PUT;
}

/* Does it want the nearest of all, or will a few do? */
static bool wants_nearest(enum kad_op_kind kind)
{
	return stores(kind) || kind == OP_SEEK || kind == OP_MEASURE;
}

static void op_free(struct kad_op *op)
{
	struct op_ask *oa;

	while ((oa = LIST_FIRST(&op->asks))) {
		LIST_REMOVE(oa, of_op);
		kad_ask_cancel(oa->ask);
		free(oa);
	}
	kad_lookup_free(op->lookup);
	buf_release(&op->key);
	buf_release(&op->question);
	buf_release(&op->best);
	free(op);
}

static void enter(struct kad_op *op)
{
	op->busy++;
}

static void leave(struct kad_op *op)
{
	if (!--op->busy && op->state == ENDED)
		op_free(op);
}

/* Tell the owner, once; the operation may go on without it. */
static void report(struct kad_op *op, int result)
{
	void (*done)(void *arg, int result) = op->cfg.done;

	op->cfg.done = NULL;
	op->cfg.found = NULL;
	op->cfg.value_came = NULL;
	if (done)
		done(op->cfg.arg, result);
}

/* Only with `busy` raised. */
static void finish(struct kad_op *op, int result)
{
	if (op->state == ENDED)
		return;
	op->state = ENDED;
	LIST_REMOVE(op, of_kad);
	report(op, result);
}

struct kad_op *kad_op_start(struct kad *k, const struct kad_op_config *cfg)
{
	struct kad_contact near[KAD_K];
	struct kad_op *op = calloc(1, sizeof *op);
	struct lookup_config lc = {
		.target = kad_id_of(cfg->key, cfg->key_len),
		.self = *swarm_self(k->swarm),
		.paths = ALPHA,
		.path_end = BETA,
		.closest = wants_nearest(cfg->kind) ? KAD_K : BETA,
		.ask_max = ASK_MAX,
		.now = kad_now(k),
		.total_ms = LOOK_MS,
		.slow_ms = kad_slow(k),
		.patience_ms = kad_patience(k),
	};

	if (!op)
		return NULL;
	op->kad = k;
	op->cfg = *cfg;
	/* What is stored lies with all who are as near as 20 should be, so that
	 * identities made up around the key do not have it to themselves. */
	if (stores(cfg->kind))
		lc.has_region = kad_size_radius(&k->size, KAD_K, &lc.region);
	op->lookup = kad_lookup_new(&lc);
	buf_append(&op->key, cfg->key, cfg->key_len);
	kad_put_head(&op->question, question_type(cfg->kind), cfg->key, cfg->key_len);
	if (cfg->value_len)
		buf_append(&op->best, cfg->value, cfg->value_len);
	if (!op->lookup || op->key.failed || op->question.failed || op->best.failed) {
		op_free(op);
		return NULL;
	}
	int n = kad_table_closest(k->table, &lc.target, near, KAD_K);
	for (int i = 0; i < n; i++)
		kad_lookup_start(op->lookup, &near[i]);
	LIST_INSERT_HEAD(&k->ops, op, of_kad);
	k->env.kick(k->env.arg);
	return op;
}

/* ---- what answers say ---- */

static void take_closer(struct kad_op *op, const struct peer_id *from,
			const struct kad_msg *m)
{
	struct kad *k = op->kad;
	struct kad_peers w = kad_closer(m);
	struct kad_peer p;
	struct buf packed = { 0 };

	for (int i = 0; i < KAD_K && kad_peer_next(&w, &p); i++) {
		struct addr known;

		buf_clear(&packed);
		kad_repack(k, p.addrs, p.addrs_len, &packed);
		/* One that we have no way to reach is not worth a question. */
		if (!packed.len && swarm_lookup(k->swarm, &p.id, &known, 1) == 0 &&
		    !swarm_connected(k->swarm, &p.id))
			continue;
		kad_lookup_heard(op->lookup, from, &p.id, packed.data, packed.len);
	}
	buf_release(&packed);
}

static void learn(struct kad *k, const struct peer_id *p, const uint8_t *packed,
		  size_t len)
{
	struct addr a[KAD_ADDRS_MAX];
	int n = kad_addrs(packed, len, a, KAD_ADDRS_MAX);

	if (n)
		swarm_learn(k->swarm, p, a, n);
}

static void take_providers(struct kad_op *op, const struct kad_msg *m)
{
	struct kad *k = op->kad;
	struct kad_peers w = kad_providers(m);
	struct kad_peer p;
	struct buf packed = { 0 };

	for (int i = 0; i < PROVIDERS_OF_ANSWER && kad_peer_next(&w, &p); i++) {
		if (peer_equal(&p.id, swarm_self(k->swarm)))
			continue;
		buf_clear(&packed);
		kad_repack(k, p.addrs, p.addrs_len, &packed);
		learn(k, &p.id, packed.data, packed.len);
		if (op->cfg.found)
			op->cfg.found(op->cfg.arg, &p.id);
		if (op->state != LOOKING)
			break;
	}
	buf_release(&packed);
}

/* The peer is found when somebody can say where it is. */
static void take_peer(struct kad_op *op, const struct kad_msg *m)
{
	struct kad *k = op->kad;
	struct kad_peers w = kad_closer(m);
	struct kad_peer p;
	struct buf packed = { 0 };

	for (int i = 0; i < KAD_K + 1 && kad_peer_next(&w, &p); i++) {
		if (p.id.len != op->key.len ||
		    memcmp(p.id.bytes, op->key.data, p.id.len) != 0)
			continue;
		buf_clear(&packed);
		kad_repack(k, p.addrs, p.addrs_len, &packed);
		if (!packed.len)
			continue;
		learn(k, &p.id, packed.data, packed.len);
		finish(op, 0);
		break;
	}
	buf_release(&packed);
}

/* False if the peer has sent something that is no value for this key. */
static bool take_value(struct kad_op *op, const struct peer_id *from,
		       const struct kad_msg *m)
{
	const struct kad_env *env = &op->kad->env;

	if (!m->has_record)
		return true;
	if (m->value_len > RECORD_VALUE_MAX ||
	    env->check(env->arg, op->key.data, op->key.len, m->value, m->value_len) < 0)
		return false;
	op->values++;
	bool same = op->best.len == m->value_len &&
		    memcmp(op->best.data, m->value, m->value_len) == 0;
	if (!same && (!op->best.len ||
		      env->better(env->arg, op->key.data, op->key.len, m->value,
				  m->value_len, op->best.data, op->best.len) > 0)) {
		op->n_have = 0;
		buf_clear(&op->best);
		buf_append(&op->best, m->value, m->value_len);
		if (op->best.failed)
			buf_clear(&op->best);
		same = true;
		if (op->cfg.value_came)
			op->cfg.value_came(op->cfg.arg, m->value, m->value_len);
	}
	if (same && op->n_have < VALUE_QUORUM)
		op->have[op->n_have++] = *from;
	return true;
}

static void looked(struct kad_op *op, const struct peer_id *from, int result,
		   const struct kad_msg *m)
{
	if (result < 0 || !m) {
		kad_lookup_failed(op->lookup, from);
		return;
	}
	switch (op->cfg.kind) {
	case OP_PROVIDERS:
		take_providers(op, m);
		break;
	case OP_FIND_PEER:
		take_peer(op, m);
		break;
	case OP_GET:
		if (!take_value(op, from, m)) {
			kad_lookup_failed(op->lookup, from);
			return;
		}
		break;
	default:
		break;
	}
	if (op->state != LOOKING)
		return;
	take_closer(op, from, m);
	kad_lookup_answered(op->lookup, from);
}

/* A peer that took a value echoes it. */
static void stored(struct kad_op *op, int result, const struct kad_msg *m)
{
	if (result < 0)
		return;
	if (op->cfg.kind == OP_PROVIDE ||
	    (m && m->has_record && m->value_len == op->best.len &&
	     memcmp(m->value, op->best.data, op->best.len) == 0))
		op->told++;
}

static void on_answer(void *arg, int result, const struct kad_msg *m)
{
	struct op_ask *oa = arg;
	struct kad_op *op = oa->op;
	struct peer_id from = oa->peer;

	LIST_REMOVE(oa, of_op);
	free(oa);
	enter(op);
	if (op->state == LOOKING)
		looked(op, &from, result, m);
	else if (op->state == STORING)
		stored(op, result, m);
	pump(op);
	leave(op);
}

static bool ask(struct kad_op *op, const struct kad_contact *c, const struct buf *message,
		bool answered, uint64_t patience)
{
	struct op_ask *oa = malloc(sizeof *oa);

	if (!oa)
		return false;
	*oa = (struct op_ask){ .op = op, .peer = c->peer };
	if (!swarm_connected(op->kad->swarm, &c->peer))
		learn(op->kad, &c->peer, c->addrs, c->addrs_len);
	oa->ask = kad_ask(op->kad, &c->peer, message, answered, patience, on_answer, oa);
	if (!oa->ask) {
		free(oa);
		return false;
	}
	LIST_INSERT_HEAD(&op->asks, oa, of_op);
	return true;
}

/* ---- storing ---- */

/* Are we among those that should keep what lies at this place? */
static bool ours_to_keep(const struct kad_op *op, const struct kad_contact *c, int n)
{
	struct kad_id self = kad_id_of_peer(swarm_self(op->kad->swarm));
	struct kad_id target = kad_id_of(op->key.data, op->key.len);

	return op->kad->serving &&
	       (n < KAD_K || kad_nearer(&target, &self, &c[KAD_K - 1].id) < 0);
}

static void keep_here(struct kad_op *op)
{
	struct kad *k = op->kad;
	struct kad_id place = kad_id_of(op->key.data, op->key.len);

	if (op->cfg.kind == OP_PROVIDE)
		providers_add(k->providers, &place, swarm_self(k->swarm), NULL, 0,
			      kad_now(k));
	else
		kad_keep_value(k, op->key.data, op->key.len, op->best.data, op->best.len);
}

static bool has_best(const struct kad_op *op, const struct peer_id *p)
{
	for (unsigned i = 0; i < op->n_have; i++)
		if (peer_equal(&op->have[i], p))
			return true;
	return false;
}

static void put_message(const struct kad_op *op, struct buf *out)
{
	struct buf own = { 0 };

	if (op->cfg.kind == OP_PROVIDE) {
		kad_put_head(out, KAD_ADD_PROVIDER, op->key.data, op->key.len);
		kad_own_addrs(op->kad, &own);
		kad_put_provider(out, swarm_self(op->kad->swarm), own.data, own.len);
	} else {
		kad_put_head(out, KAD_PUT_VALUE, op->key.data, op->key.len);
		kad_put_record(out, op->key.data, op->key.len, op->best.data,
			       op->best.len);
	}
	buf_release(&own);
}

static void begin_storing(struct kad_op *op)
{
	struct kad_contact near[TELL_MAX];
	struct buf message = { 0 };
	int n = kad_lookup_closest(op->lookup, KAD_K, near, TELL_MAX);

	op->state = STORING;
	if (stores(op->cfg.kind) && ours_to_keep(op, near, n))
		keep_here(op);
	put_message(op, &message);
	for (int i = 0; i < n && !message.failed; i++)
		if (!has_best(op, &near[i].peer))
			ask(op, &near[i], &message, op->cfg.kind != OP_PROVIDE,
			    kad_patience(op->kad));
	buf_release(&message);
}

/* ---- the course of it ---- */

/* A key crowded by more peers than there can be honest ones so near: look behind
 * them.  True if the lookup goes on. */
static bool look_behind_crowd(struct kad_op *op)
{
	struct kad_size *size = &op->kad->size;
	struct kad_id near, region;

	if (op->widened || (op->cfg.kind != OP_GET && op->cfg.kind != OP_PROVIDERS) ||
	    !kad_size_radius(size, KAD_CROWD_OF, &near) ||
	    !kad_size_radius(size, KAD_K, &region) ||
	    kad_lookup_within(op->lookup, &near) < KAD_CROWD)
		return false;
	op->widened = true;
	kad_lookup_widen(op->lookup, &region);
	return true;
}

static void measure(struct kad_op *op)
{
	struct kad_contact near[KAD_K];
	struct kad_id target = kad_id_of(op->key.data, op->key.len);
	int n = kad_lookup_closest(op->lookup, KAD_K, near, KAD_K);

	kad_size_note(&op->kad->size, &target, near, n);
}

static void end_of_lookup(struct kad_op *op)
{
	bool nobody = !kad_lookup_answers(op->lookup);

	switch (op->cfg.kind) {
	case OP_PROVIDE:
	case OP_PUT:
		begin_storing(op);
		if (nobody)
			finish(op, -ENETUNREACH);
		return;
	case OP_GET:
		report(op, nobody ? -ENETUNREACH : op->best.len ? 0 : -ENOENT);
		if (op->best.len && op->state == LOOKING)
			begin_storing(op);
		else
			finish(op, 0);
		return;
	case OP_FIND_PEER:
		finish(op, nobody ? -ENETUNREACH : -ENOENT);
		return;
	case OP_MEASURE:
		measure(op);
		finish(op, nobody ? -ENETUNREACH : 0);
		return;
	default:
		finish(op, nobody ? -ENETUNREACH : 0);
		return;
	}
}

/* Ask whoever is to be asked now.  Only with `busy` raised. */
static void pump(struct kad_op *op)
{
	struct kad_contact c;
	uint64_t wake;

	while (op->state == LOOKING) {
		enum lookup_next what = LOOKUP_DONE;

		if (op->cfg.kind != OP_GET || op->values < VALUE_QUORUM)
			what = kad_lookup_next(op->lookup, kad_now(op->kad), &c, &wake);
		if (what == LOOKUP_DONE && op->values < VALUE_QUORUM &&
		    look_behind_crowd(op))
			continue;
		if (what == LOOKUP_DONE) {
			struct op_ask *oa;

			/* Answers that nobody waits for any more. */
			while ((oa = LIST_FIRST(&op->asks))) {
				LIST_REMOVE(oa, of_op);
				kad_ask_cancel(oa->ask);
				free(oa);
			}
			end_of_lookup(op);
		} else if (what == LOOKUP_WAIT) {
			return;
		} else if (!ask(op, &c, &op->question, true, kad_patience(op->kad))) {
			kad_lookup_failed(op->lookup, &c.peer);
		}
	}
	if (op->state == STORING && LIST_EMPTY(&op->asks))
		finish(op, op->told);
}

void kad_op_cancel(struct kad_op *op)
{
	enter(op);
	op->cfg.done = NULL;
	finish(op, -ECANCELED);
	leave(op);
}

bool kad_ops_pulse(struct kad *k, uint64_t now)
{
	struct kad_op *op, *next;

	for (op = LIST_FIRST(&k->ops); op; op = next) {
		enter(op);
		pump(op);
		/* One that has ended is off the list, and its end may have ended others.
		 */
		next = op->state == ENDED ? LIST_FIRST(&k->ops) : LIST_NEXT(op, of_kad);
		leave(op);
	}
	return !LIST_EMPTY(&k->ops);
}

void kad_ops_end(struct kad *k)
{
	struct kad_op *op;

	while ((op = LIST_FIRST(&k->ops))) {
		enter(op);
		finish(op, -ECANCELED);
		leave(op);
	}
}
