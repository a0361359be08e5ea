/*
 * The questions of others (wire.md 8).  A stream brings several, each answered
 * in turn; what breaks the rules ends the stream without an answer.
 */
#include "net/kad_internal.h"

#include "store/error.h"

#include <sodium.h>
#include <stdlib.h>

#define IDLE_MS        60000
#define QUEUE_MAX      (1 << 20) /* answers that the peer does not read */
#define PROVIDERS_MAX  256
#define PROVIDERS_SIZE (128 << 10) /* of one answer */

struct kad_service {
	LIST_ENTRY(kad_service) of_kad;
	struct kad *kad;
	struct stream *st;
	struct frame in;
	struct buf out; /* the answer being written */
	bool feeding;
	bool over;
};

static void add_closer(struct kad_service *s, const struct kad_msg *m,
		       const struct peer_id *already)
{
	struct kad_contact near[KAD_K + 2];
	struct kad_id target = kad_id_of(m->key, m->key_len);
	const struct peer_id *asker = stream_peer(s->st);
	int n = kad_table_closest(s->kad->table, &target, near, KAD_K + 2), put = 0;

	for (int i = 0; i < n && put < KAD_K; i++) {
		if (peer_equal(&near[i].peer, asker) ||
		    (already && peer_equal(&near[i].peer, already)))
			continue;
		kad_put_closer(&s->out, &near[i].peer, near[i].addrs, near[i].addrs_len);
		put++;
	}
}

/* Where the peer itself is, if we know: also a client's address, and our own. */
static bool add_target(struct kad_service *s, const struct kad_msg *m,
		       struct peer_id *target)
{
	struct kad *k = s->kad;
	struct addr a[2 * KAD_ADDRS_MAX];
	struct buf packed = { 0 };
	bool added = false;

	if (peer_decode(target, m->key, m->key_len) < 0 ||
	    peer_equal(target, stream_peer(s->st)))
		return false;
	if (peer_equal(target, swarm_self(k->swarm)))
		kad_own_addrs(k, &packed);
	else
		kad_pack_fitting(
		    k, a, swarm_lookup(k->swarm, target, a, 2 * KAD_ADDRS_MAX), &packed);
	if (packed.len && !packed.failed) {
		kad_put_closer(&s->out, target, packed.data, packed.len);
		added = true;
	}
	buf_release(&packed);
	return added;
}

static int find_node(struct kad_service *s, const struct kad_msg *m)
{
	struct peer_id target;

	if (!m->key_len)
		return ERR_MALFORMED;
	kad_put_head(&s->out, KAD_FIND_NODE, m->key, m->key_len);
	bool added = add_target(s, m, &target);
	add_closer(s, m, added ? &target : NULL);
	return 0;
}

static int get_value(struct kad_service *s, const struct kad_msg *m)
{
	struct kad *k = s->kad;
	const uint8_t *value;
	size_t len;

	if (!m->key_len)
		return ERR_MALFORMED;
	kad_put_head(&s->out, KAD_GET_VALUE, m->key, m->key_len);
	struct kad_id place = kad_id_of(m->key, m->key_len);
	value = records_get(k->records, &place, kad_now(k), &len);
	/* One that was valid when it came may have expired since. */
	if (value && k->env.check(k->env.arg, m->key, m->key_len, value, len) == 0)
		kad_put_record(&s->out, m->key, m->key_len, value, len);
	add_closer(s, m, NULL);
	return 0;
}

int kad_keep_value(struct kad *k, const void *key, size_t key_len, const void *value,
		   size_t len)
{
	struct kad_id place = kad_id_of(key, key_len);
	size_t old_len;
	const uint8_t *old = records_get(k->records, &place, kad_now(k), &old_len);

	if (old && (old_len != len || memcmp(old, value, len) != 0)) {
		int r = k->env.check(k->env.arg, key, key_len, old, old_len);

		if (r == 0 && k->env.better(k->env.arg, key, key_len, value, len, old,
					    old_len) <= 0)
			return -EEXIST;
	}
	return records_put(k->records, &place, value, len, kad_now(k));
}

static int put_value(struct kad_service *s, const struct kad_msg *m)
{
	struct kad *k = s->kad;

	if (!m->key_len || !m->has_record || m->record_key_len != m->key_len ||
	    memcmp(m->record_key, m->key, m->key_len) != 0 ||
	    m->value_len > RECORD_VALUE_MAX)
		return ERR_MALFORMED;
	int r = k->env.check(k->env.arg, m->key, m->key_len, m->value, m->value_len);
	if (r < 0)
		return r;
	r = kad_keep_value(k, m->key, m->key_len, m->value, m->value_len);
	if (r < 0)
		return r;
	kad_put_head(&s->out, KAD_PUT_VALUE, m->key, m->key_len);
	kad_put_record(&s->out, m->key, m->key_len, m->value, m->value_len);
	k->env.stored(k->env.arg, m->key, m->key_len, m->value, m->value_len);
	return 0;
}

static bool provider_key(const struct kad_msg *m)
{
	struct multihash hash;

	return m->key_len && m->key_len <= KAD_PROVIDER_KEY_MAX &&
	       multihash_decode(&hash, m->key, m->key_len) == 0;
}

/* Nobody speaks for others, and no answer is sent. */
static int add_provider(struct kad_service *s, const struct kad_msg *m)
{
	struct kad *k = s->kad;
	struct kad_peers w = kad_providers(m);
	struct kad_peer p;
	struct buf packed = { 0 };

	if (!provider_key(m))
		return ERR_MALFORMED;
	struct kad_id place = kad_id_of(m->key, m->key_len);
	while (kad_peer_next(&w, &p)) {
		if (!peer_equal(&p.id, stream_peer(s->st)))
			continue;
		kad_repack(k, p.addrs, p.addrs_len, &packed);
		if (packed.len && !packed.failed)
			providers_add(k->providers, &place, &p.id, packed.data,
				      packed.len, kad_now(k));
		break;
	}
	buf_release(&packed);
	return 0;
}

static int get_providers(struct kad_service *s, const struct kad_msg *m)
{
	struct kad *k = s->kad;
	struct provider found[PROVIDERS_MAX];
	struct buf own = { 0 };

	if (!provider_key(m))
		return ERR_MALFORMED;
	struct kad_id place = kad_id_of(m->key, m->key_len);
	int n = providers_get(k->providers, &place, kad_now(k), randombytes_random(),
			      found, PROVIDERS_MAX);
	kad_put_head(&s->out, KAD_GET_PROVIDERS, m->key, m->key_len);
	add_closer(s, m, NULL);
	kad_own_addrs(k, &own);
	for (int i = 0; i < n && s->out.len < PROVIDERS_SIZE; i++) {
		/* Our own addresses may have changed since. */
		if (peer_equal(found[i].peer, swarm_self(k->swarm)))
			kad_put_provider(&s->out, found[i].peer, own.data, own.len);
		else
			kad_put_provider(&s->out, found[i].peer, found[i].addrs,
					 found[i].addrs_len);
	}
	buf_release(&own);
	return 0;
}

static int answer(struct kad_service *s, const struct kad_msg *m)
{
	switch (m->type) {
	case KAD_FIND_NODE:
		return find_node(s, m);
	case KAD_GET_VALUE:
		return get_value(s, m);
	case KAD_PUT_VALUE:
		return put_value(s, m);
	case KAD_ADD_PROVIDER:
		return add_provider(s, m);
	case KAD_GET_PROVIDERS:
		return get_providers(s, m);
	default: /* KAD_PING */
		kad_put_head(&s->out, KAD_PING, m->key, m->key_len);
		return 0;
	}
}

static void service_free(struct kad_service *s)
{
	LIST_REMOVE(s, of_kad);
	frame_release(&s->in);
	buf_release(&s->out);
	free(s);
}

static int on_request(void *arg, const uint8_t *data, size_t len)
{
	struct kad_service *s = arg;
	struct kad_msg m;
	uint8_t head[VARINT_MAX];
	int r = kad_decode(&m, data, len);

	if (r < 0)
		return r;
	/* Somebody who asks and does not listen. */
	if (stream_queued(s->st) > QUEUE_MAX)
		return -ENOBUFS;
	buf_clear(&s->out);
	r = answer(s, &m);
	if (r < 0)
		return r;
	if (s->out.failed)
		return -ENOMEM;
	if (!s->out.len)
		return 0;
	r = stream_write(s->st, head, varint_put(head, s->out.len));
	if (r >= 0)
		r = stream_write(s->st, s->out.data, s->out.len);
	return r < 0 ? r : 0;
}

static void on_data(void *arg, const uint8_t *data, size_t len)
{
	struct kad_service *s = arg;

	s->feeding = true;
	int r = frame_feed(&s->in, data, len, on_request, s);
	s->feeding = false;
	if (s->over) {
		service_free(s);
	} else if (r < 0) {
		stream_reset(s->st);
		service_free(s);
	}
}

static void on_eof(void *arg)
{
	struct kad_service *s = arg;

	stream_close(s->st);
}

static void on_closed(void *arg, int reason)
{
	struct kad_service *s = arg;

	if (s->feeding)
		s->over = true;
	else
		service_free(s);
}

static void on_stream(void *arg, struct stream *st)
{
	static const struct stream_events events = { .on_data = on_data,
						     .on_eof = on_eof,
						     .on_closed = on_closed };
	struct kad *k = arg;
	struct kad_service *s = calloc(1, sizeof *s);

	if (!s) {
		stream_reset(st);
		return;
	}
	s->kad = k;
	s->st = st;
	s->in.max = KAD_REQUEST_MAX;
	LIST_INSERT_HEAD(&k->services, s, of_kad);
	stream_on(st, &events, s);
	stream_timeout(st, IDLE_MS);
}

int kad_serve(struct kad *k)
{
	int r = swarm_serve(k->swarm, k->protocol, on_stream, k);

	k->serving = r == 0;
	return r;
}

void kad_unserve(struct kad *k)
{
	struct kad_service *s;

	if (k->serving)
		swarm_unserve(k->swarm, k->protocol);
	k->serving = false;
	while ((s = LIST_FIRST(&k->services))) {
		stream_reset(s->st);
		service_free(s);
	}
}
