/*
 * Swarms that connect, talk, pause, reset, hang up and end in any order: every
 * completion comes exactly once, what is read is what was written, and nothing
 * is left at the end.  The order comes from a fixed seed.
 */
#include "net/swarm_internal.h"
#include "store/error.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#define SWARMS 5
#define STEPS  2000

static const char protocol[] = "/test/churn/1.0.0";
static const char absent[] = "/test/absent/1.0.0";

struct world {
	uv_loop_t loop;
	uint64_t seed;
	struct swarm *swarms[SWARMS];
	struct addr addrs[SWARMS];
	struct peer_id peers[SWARMS];
	TAILQ_HEAD(, talk) talks;
	unsigned asked, answered; /* completions */
	unsigned begun, ended;    /* streams */
	unsigned freed, made;     /* swarms */
	uint64_t bytes;
};

/* One end of a stream. */
struct talk {
	struct world *w;
	struct stream *st;
	TAILQ_ENTRY(talk) all;
	uint8_t in, out; /* the next byte: each end counts upwards from 0 */
	bool closed;
};

static uint32_t pick(struct world *w, uint32_t n)
{
	w->seed ^= w->seed << 13;
	w->seed ^= w->seed >> 7;
	w->seed ^= w->seed << 17;
	return (w->seed >> 20) % n;
}

static void talk_end(struct talk *t)
{
	TAILQ_REMOVE(&t->w->talks, t, all);
	t->w->ended++;
	free(t);
}

static void talk_write(struct talk *t)
{
	uint8_t bytes[3000];
	size_t len = pick(t->w, 4) ? pick(t->w, sizeof bytes) : 1;

	if (t->closed || stream_queued(t->st) > 100000)
		return;
	for (size_t i = 0; i < len; i++)
		bytes[i] = t->out++;
	assert_true(stream_write(t->st, bytes, len) >= -EPIPE);
}

/* Something that may be done to a stream at any time; false if that ended it. */
static bool act(struct talk *t)
{
	switch (pick(t->w, 12)) {
	case 0:
		stream_reset(t->st);
		talk_end(t);
		return false;
	case 1:
		stream_close(t->st);
		t->closed = true;
		break;
	case 2:
		stream_pause(t->st, true);
		break;
	case 3:
	case 4:
		stream_pause(t->st, false);
		break;
	case 5:
		stream_timeout(t->st, pick(t->w, 2) ? 5 : 0);
		break;
	default:
		talk_write(t);
	}
	return true;
}

static void on_data(void *arg, const uint8_t *data, size_t len)
{
	struct talk *t = arg;

	for (size_t i = 0; i < len; i++)
		assert_int_equal(data[i], t->in++);
	t->w->bytes += len;
	act(t);
}

static void on_event(void *arg)
{
	act(arg);
}

static void on_closed(void *arg, int reason)
{
	talk_end(arg);
}

static void talk_begin(struct world *w, struct stream *st)
{
	static const struct stream_events events = {
		.on_data = on_data,
		.on_eof = on_event,
		.on_drain = on_event,
		.on_closed = on_closed,
	};
	struct talk *t = calloc(1, sizeof *t);

	t->w = w;
	t->st = st;
	TAILQ_INSERT_TAIL(&w->talks, t, all);
	w->begun++;
	stream_on(st, &events, t);
	talk_write(t);
}

static void on_stream(void *arg, struct stream *st)
{
	struct world *w = arg;

	if (pick(w, 20))
		talk_begin(w, st);
	else
		stream_reset(st);
}

static void on_opened(void *arg, struct stream *st, int result)
{
	struct world *w = arg;

	w->answered++;
	assert_true(st ? result == 0 : result < 0);
	if (st)
		talk_begin(w, st);
}

static void on_connected(void *arg, int result)
{
	((struct world *)arg)->answered++;
}

static void on_connected_addr(void *arg, int result, const struct peer_id *peer)
{
	((struct world *)arg)->answered++;
}

static void on_pinged(void *arg, int result, uint64_t rtt)
{
	((struct world *)arg)->answered++;
}

static void on_freed(void *arg)
{
	((struct world *)arg)->freed++;
}

static void on_peer(void *arg, const struct peer_id *p)
{
	/* A watcher may hang up at once. */
	struct swarm *s = arg;

	if (p->bytes[p->len - 1] % 16 == 0)
		swarm_disconnect(s, p);
}

static void swarm_make(struct world *w, int i)
{
	struct swarm_limits limits = swarm_limits_default;
	struct secret_key key;
	struct addr any;

	limits.tick = 2;
	limits.push_gather = 3;
	limits.stagger = 1;
	limits.backoff = 10;
	limits.extra_idle = 20;
	limits.conns_high = 3;
	limits.conns_low = 2;
	limits.grace = 5;
	limits.yamux.unacked_max = 4;
	key_generate(&key);
	const struct swarm_config cfg = { .loop = &w->loop, .key = &key };
	assert_int_equal(swarm_new_limited(&w->swarms[i], &cfg, &limits), 0);
	assert_int_equal(addr_parse(&any, "/ip4/127.0.0.1/tcp/0"), 0);
	assert_int_equal(swarm_listen(w->swarms[i], &any), 0);
	assert_int_equal(swarm_addrs(w->swarms[i], &w->addrs[i], 1), 1);
	w->peers[i] = *swarm_self(w->swarms[i]);
	swarm_serve(w->swarms[i], protocol, on_stream, w);
	const struct swarm_watch watch = { on_peer, NULL, w->swarms[i] };
	swarm_watch(w->swarms[i], &watch);
	w->made++;
}

static void step(struct world *w)
{
	static const char *const offers[] = { absent, protocol, NULL };
	static const char *const wrong[] = { absent, NULL };
	int i = pick(w, SWARMS), j = pick(w, SWARMS);
	struct swarm *s = w->swarms[i];

	switch (pick(w, 20)) {
	case 0:
		w->asked++;
		swarm_connect(s, &w->peers[j], &w->addrs[j], 1, on_connected, w);
		break;
	case 1:
		w->asked++;
		swarm_connect_addr(s, &w->addrs[j], on_connected_addr, w);
		break;
	case 2:
		w->asked++;
		swarm_ping(s, &w->peers[j], on_pinged, w);
		break;
	case 3:
		w->asked++;
		stream_open(s, &w->peers[j], wrong, on_opened, w);
		break;
	case 4:
		if (!pick(w, 10))
			swarm_disconnect(s, &w->peers[j]);
		break;
	case 5:
		swarm_protect(s, &w->peers[j], pick(w, 2));
		break;
	case 6:
		if (pick(w, 2))
			swarm_serve(s, absent, on_stream, w);
		else
			swarm_unserve(s, absent);
		break;
	case 7:
		if (!pick(w, 10)) {
			swarm_free(s, on_freed, w);
			swarm_make(w, i);
		}
		break;
	case 8:
	case 9:
	case 10:
		swarm_learn(s, &w->peers[j], &w->addrs[j], 1);
		w->asked++;
		stream_open(s, &w->peers[j], offers, on_opened, w);
		break;
	default:
		if (!TAILQ_EMPTY(&w->talks)) {
			struct talk *t = TAILQ_FIRST(&w->talks);
			TAILQ_REMOVE(&w->talks, t, all);
			TAILQ_INSERT_TAIL(&w->talks, t, all);
			act(t);
		}
	}
}

static void churn(uint64_t seed)
{
	struct world w = { .seed = seed };

	uv_loop_init(&w.loop);
	TAILQ_INIT(&w.talks);
	for (int i = 0; i < SWARMS; i++)
		swarm_make(&w, i);
	for (int i = 0; i < STEPS; i++) {
		step(&w);
		if (pick(&w, 2))
			uv_run(&w.loop, UV_RUN_NOWAIT);
	}
	for (int i = 0; i < SWARMS; i++)
		swarm_free(w.swarms[i], on_freed, &w);
	/* Returns when no handle is left. */
	uv_run(&w.loop, UV_RUN_DEFAULT);
	assert_int_equal(uv_loop_close(&w.loop), 0);
	assert_int_equal(w.freed, w.made);
	assert_int_equal(w.answered, w.asked);
	assert_int_equal(w.ended, w.begun);
	/* It was not silence that was tested. */
	assert_true(w.begun > 50);
	assert_true(w.bytes > 100000);
}

static void any_order_of_events_ends_well(void **state)
{
	assert_true(sodium_init() >= 0);
	for (uint64_t seed = 1; seed <= 4; seed++)
		churn(seed * 0x9e3779b97f4a7c15u);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(any_order_of_events_ends_well),
	};
	return cmocka_run_group_tests_name("swarm_churn", tests, NULL, NULL);
}
