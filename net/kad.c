/*
 * One DHT: its routing table, who gets into it, and keeping it fresh.
 */
#include "net/kad_internal.h"

#include "store/error.h"
#include "store/log.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>

#define REFRESH_MS       (10 * 60 * 1000)
#define REFRESH_BITS_MAX 14 /* deeper buckets are filled by the lookup of our own place  \
			     */
#define SETTLE_MS      1000
#define CHECK_SMALL_MS 10000
#define CHECK_MS       60000
#define CHECKS_MAX     10

int kad_new(struct kad **out, struct swarm *swarm, const char *protocol,
	    enum kad_scope scope, enum dht_mode mode, const struct kad_env *env)
{
	struct kad *k = calloc(1, sizeof *k);
	uint64_t seeds[2];
	int r;

	if (!k)
		return -ENOMEM;
	k->swarm = swarm;
	k->env = *env;
	k->scope = scope;
	k->mode = mode;
	k->refresh_bits = -1;
	TAILQ_INIT(&k->idle);
	r = -ENAMETOOLONG;
	if (snprintf(k->protocol, sizeof k->protocol, "%s", protocol) >=
	    (int)sizeof k->protocol)
		goto out;
	k->protocols[0] = k->protocol;
	randombytes_buf(seeds, sizeof seeds);
	r = kad_table_new(&k->table, swarm_self(swarm));
	if (r < 0)
		goto out;
	r = providers_new(&k->providers, &PROVIDERS_LIMITS, seeds[0]);
	if (r < 0)
		goto out;
	r = records_new(&k->records, &RECORDS_LIMITS, seeds[1]);
	if (r < 0)
		goto out;
	*out = k;
	k = NULL;
out:
	kad_free(k);
	return r;
}

void kad_free(struct kad *k)
{
	if (!k)
		return;
	kad_ops_end(k);
	kad_asks_end(k);
	kad_unserve(k);
	kad_table_free(k->table);
	providers_free(k->providers);
	records_free(k->records);
	free(k);
}

uint64_t kad_now(const struct kad *k)
{
	return uv_now(swarm_loop(k->swarm));
}

/* ---- addresses ---- */

static bool takes_any(const struct kad *k)
{
	return k->scope == SCOPE_ANY || (k->scope == SCOPE_PUBLIC && k->isolated);
}

static bool local(const struct addr *a)
{
	return addr_private(a) || addr_loopback(a);
}

bool kad_fits(const struct kad *k, const struct addr *a)
{
	if (addr_unspecified(a))
		return false;
	return takes_any(k) || local(a) == (k->scope == SCOPE_LOCAL);
}

static void pack(const struct kad *k, const struct addr *a, int *n, struct buf *out)
{
	struct addr bare = *a;

	if (*n == KAD_ADDRS_MAX || !kad_fits(k, a))
		return;
	addr_strip_peer(&bare);
	if (!bare.len || out->len + bare.len + 4 > KAD_ADDRS_SIZE)
		return;
	kad_pack(out, &bare);
	(*n)++;
}

void kad_pack_fitting(const struct kad *k, const struct addr *a, int n, struct buf *out)
{
	int packed = 0;

	for (int i = 0; i < n; i++)
		pack(k, &a[i], &packed, out);
}

void kad_repack(const struct kad *k, const uint8_t *packed, size_t len, struct buf *out)
{
	struct cursor in = cursor_over(packed, len);
	struct addr a;
	int n = 0;

	/* So many are read; the rest is somebody's joke. */
	for (int i = 0; i < 8 * KAD_ADDRS_MAX && kad_addr_next(&in, &a); i++)
		pack(k, &a, &n, out);
}

void kad_own_addrs(const struct kad *k, struct buf *out)
{
	struct addr a[4 * KAD_ADDRS_MAX];

	kad_pack_fitting(k, a, swarm_addrs(k->swarm, a, 4 * KAD_ADDRS_MAX), out);
}

/* ---- who gets into the table ---- */

/* The address a peer is really connected from; false if it is not connected. */
static bool remote_of(const struct kad *k, const struct peer_id *p, struct addr *out)
{
	struct swarm_stat stat;
	bool found = false;

	swarm_stat(k->swarm, &stat);
	struct conn_info *c = calloc(stat.conns + 1, sizeof *c);
	if (!c)
		return false;
	int n = swarm_conns(k->swarm, c, (int)stat.conns + 1);
	for (int i = 0; i < n && !found; i++)
		if (peer_equal(&c[i].peer, p)) {
			*out = c[i].addr;
			found = true;
		}
	free(c);
	return found;
}

/* The /16 of an IPv4 address, the /32 of an IPv6 address; 0 if neither. */
static uint64_t group_of(const struct addr *a)
{
	if (a->len >= 5 && a->bytes[0] == 4)
		return 1u << 16 | (uint32_t)a->bytes[1] << 8 | a->bytes[2];
	if (a->len >= 17 && a->bytes[0] == 41)
		return UINT64_C(1) << 32 | (uint32_t)a->bytes[1] << 24 |
		       (uint32_t)a->bytes[2] << 16 | (uint32_t)a->bytes[3] << 8 |
		       a->bytes[4];
	return 0;
}

static void admit(struct kad *k, const struct peer_id *p)
{
	struct addr known[2 * KAD_ADDRS_MAX], remote;
	struct buf packed = { 0 };
	uint64_t group = 0;
	int r;

	kad_pack_fitting(k, known, swarm_lookup(k->swarm, p, known, 2 * KAD_ADDRS_MAX),
			 &packed);
	if (packed.failed || !packed.len)
		goto out;
	if (remote_of(k, p, &remote)) {
		if (!kad_fits(k, &remote))
			goto out;
		if (k->scope == SCOPE_PUBLIC && !local(&remote))
			group = group_of(&remote);
	}
	r = kad_table_offer(k->table, p, packed.data, packed.len, group, kad_now(k));
	if (r > 0) {
		if (kad_table_count(k->table) <= SMALL_TABLE)
			k->unsettled = true;
		k->env.peer_came(k->env.arg);
		k->env.kick(k->env.arg);
	}
out:
	buf_release(&packed);
}

/* The peers of a small table stay connected: it is them that we ask all the
 * time.  Each is protected once, so each has to be remembered. */
static void guard(struct kad *k)
{
	struct kad_contact near[SMALL_TABLE];
	struct kad_id self = kad_id_of_peer(swarm_self(k->swarm));
	int n = 0;

	for (int i = k->n_guarded - 1; i >= 0; i--)
		if (!kad_table_has(k->table, &k->guarded[i])) {
			swarm_protect(k->swarm, &k->guarded[i], false);
			k->guarded[i] = k->guarded[--k->n_guarded];
		}
	if (k->n_guarded < SMALL_TABLE)
		n = kad_table_closest(k->table, &self, near, SMALL_TABLE);
	for (int i = 0; i < n && k->n_guarded < SMALL_TABLE; i++) {
		bool is = false;

		for (int j = 0; j < k->n_guarded; j++)
			is |= peer_equal(&k->guarded[j], &near[i].peer);
		if (is)
			continue;
		swarm_protect(k->swarm, &near[i].peer, true);
		k->guarded[k->n_guarded++] = near[i].peer;
	}
}

void kad_identified(struct kad *k, const struct peer_id *p)
{
	if (swarm_peer_speaks(k->swarm, p, k->protocol))
		admit(k, p);
	else if (kad_table_has(k->table, p))
		kad_table_remove(k->table, p);
}

void kad_answer_came(struct kad *k, const struct peer_id *p, uint64_t took_ms)
{
	/* As TCP estimates its round trip (RFC 6298). */
	uint64_t ms = took_ms ? took_ms : 1;
	uint64_t off = ms > k->rtt_ms ? ms - k->rtt_ms : k->rtt_ms - ms;

	if (!k->rtt_ms) {
		k->rtt_ms = ms;
		k->rtt_var_ms = ms / 2;
	} else {
		k->rtt_var_ms = (3 * k->rtt_var_ms + off) / 4;
		k->rtt_ms = (7 * k->rtt_ms + ms) / 8;
	}
	if (!kad_table_has(k->table, p))
		kad_identified(k, p);
	kad_table_answered(k->table, p, kad_now(k));
}

void kad_answer_failed(struct kad *k, const struct peer_id *p, int why)
{
	if (why == -ECANCELED || !kad_table_has(k->table, p))
		return;
	/* One that refuses the protocol will not change its mind. */
	if (why == -EPROTONOSUPPORT)
		kad_table_remove(k->table, p);
	else if (kad_table_failed(k->table, p))
		log_line(LOG_DEBUG, "dht: a peer does not answer (%s), dropped",
			 err_text(why));
}

/* ---- keeping it fresh ---- */

/* Do we answer others?  AutoNAT is not asked: an address that is public as it
 * stands is reachable, in the local and in private networks everybody is. */
static void choose_mode(struct kad *k)
{
	struct addr a[4 * KAD_ADDRS_MAX];
	int n = swarm_addrs(k->swarm, a, 4 * KAD_ADDRS_MAX);
	bool public = false;

	for (int i = 0; i < n; i++)
	public |= !local(&a[i]) && !addr_unspecified(&a[i]);
	k->isolated = k->mode == DHT_SERVER && !public;
	bool serve = k->mode == DHT_SERVER ||
		     (k->mode == DHT_AUTO && (k->scope != SCOPE_PUBLIC || public));
	if (serve && !k->serving)
		kad_serve(k);
	else if (!serve && k->serving)
		kad_unserve(k);
}

static void on_sought(void *arg, int result)
{
	struct kad *k = arg;

	k->seeking = NULL;
}

static void seek(struct kad *k, enum kad_op_kind kind, const void *key, size_t key_len)
{
	struct kad_op_config cfg = {
		.kind = kind, .key = key, .key_len = key_len, .done = on_sought, .arg = k
	};

	k->seeking = kad_op_start(k, &cfg);
}

/* Look up a random place in the bucket with so many bits in common with us. */
static void seek_bucket(struct kad *k, int bits)
{
	struct kad_id self = kad_id_of_peer(swarm_self(k->swarm)), id;
	uint8_t key[34] = { 0x12, 0x20 }; /* the form of a peer id, as some insist */

	do {
		randombytes_buf(key + 2, 32);
		id = kad_id_of(key, sizeof key);
	} while (kad_common_bits(&self, &id) != bits);
	seek(k, OP_MEASURE, key, sizeof key);
}

static void on_checked(void *arg, int result, const struct kad_msg *m)
{
	/* kad_answer_came() and kad_answer_failed() have seen to it. */
}

/* Ask those that have been silent for long whether they are still there. */
static void check_stale(struct kad *k, uint64_t now)
{
	const struct peer_id *self = swarm_self(k->swarm);
	bool small = kad_table_count(k->table) <= SMALL_TABLE;
	uint64_t age = small ? CHECK_SMALL_MS : REFRESH_MS;
	struct kad_contact c[CHECKS_MAX];
	struct buf question = { 0 };

	if (now < age || now - k->checked < (small ? CHECK_SMALL_MS : CHECK_MS))
		return;
	k->checked = now;
	kad_put_head(&question, KAD_FIND_NODE, self->bytes, self->len);
	int n = question.failed ? 0 : kad_table_stale(k->table, now - age, c, CHECKS_MAX);
	for (int i = 0; i < n; i++) {
		struct addr a[KAD_ADDRS_MAX];
		int n_addrs = kad_addrs(c[i].addrs, c[i].addrs_len, a, KAD_ADDRS_MAX);

		/* An end is noticed: in a small table a connection is proof enough. */
		if (small && swarm_connected(k->swarm, &c[i].peer))
			continue;
		swarm_learn(k->swarm, &c[i].peer, a, n_addrs);
		kad_ask(k, &c[i].peer, &question, true, kad_patience(k), on_checked, k);
	}
	buf_release(&question);
}

void kad_tick(struct kad *k, uint64_t now)
{
	const struct peer_id *self = swarm_self(k->swarm);
	uint32_t n = kad_table_count(k->table);

	choose_mode(k);
	guard(k);
	kad_asks_pulse(k, now);
	check_stale(k, now);
	if (k->seeking || !n)
		return;
	/* In a small network everybody should know everybody: whoever comes late
	 * is found by looking around again. */
	bool settle =
	    k->unsettled && (!k->self_sought || now - k->self_sought >= SETTLE_MS);
	bool refresh = now - k->refreshed >= REFRESH_MS;
	if (settle || refresh) {
		k->unsettled = false;
		k->self_sought = now;
		if (refresh || !k->refreshed) {
			k->refreshed = now;
			k->refresh_bits = n > SMALL_TABLE ? 0 : -1;
		}
		seek(k, OP_SEEK, self->bytes, self->len);
		return;
	}
	if (k->refresh_bits >= 0) {
		int depth = kad_table_depth(k->table);

		seek_bucket(k, k->refresh_bits++);
		if (k->refresh_bits > depth || k->refresh_bits > REFRESH_BITS_MAX)
			k->refresh_bits = -1;
	}
}

bool kad_pulse(struct kad *k, uint64_t now)
{
	kad_asks_pulse(k, now);
	kad_ops_pulse(k, now);
	return !LIST_EMPTY(&k->ops) || !LIST_EMPTY(&k->asks);
}
