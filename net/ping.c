/* /ipfs/ping/1.0.0: 32 bytes, echoed, as often as the peer likes. */
#include "net/swarm_internal.h"
#include "store/error.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#define PING_SIZE    32
#define PING_STREAMS 2 /* of one peer */
#define PING_IDLE    60000
#define PING_TIMEOUT 10000

static const char ping_protocol[] = "/ipfs/ping/1.0.0";

/* ---- answering ---- */

struct answerer {
	struct stream *st;
	struct remote *r;
};

static void answerer_free(struct answerer *a)
{
	a->r->pings--;
	remote_tidy(a->r);
	free(a);
}

static void on_ping(void *arg, const uint8_t *data, size_t len)
{
	struct answerer *a = arg;

	/* Who pings and does not read the answers has no use for them. */
	if (stream_write(a->st, data, len) != 0) {
		stream_reset(a->st);
		answerer_free(a);
	}
}

static void on_ping_eof(void *arg)
{
	struct answerer *a = arg;

	stream_close(a->st);
}

static void on_ping_closed(void *arg, int reason)
{
	answerer_free(arg);
}

static void on_ping_stream(void *arg, struct stream *st)
{
	static const struct stream_events events = {
		.on_data = on_ping,
		.on_eof = on_ping_eof,
		.on_closed = on_ping_closed,
	};
	struct remote *r = st->c->remote;
	struct answerer *a = NULL;

	if (r && r->pings < PING_STREAMS)
		a = malloc(sizeof *a);
	if (!a) {
		stream_reset(st);
		return;
	}
	*a = (struct answerer){ st, r };
	r->pings++;
	stream_on(st, &events, a);
	stream_timeout(st, PING_IDLE);
}

int ping_serve(struct swarm *s)
{
	return swarm_serve(s, ping_protocol, on_ping_stream, s);
}

/* ---- asking ---- */

struct asker {
	struct stream *st;
	void (*done)(void *arg, int result, uint64_t rtt_us);
	void *arg;
	uint64_t start;
	size_t got;
	uint8_t sent[PING_SIZE];
};

static void finish(struct asker *a, int result)
{
	uint64_t rtt = (uv_hrtime() - a->start) / 1000;

	if (a->done)
		a->done(a->arg, result, result < 0 ? 0 : rtt);
	a->done = NULL;
}

static void on_pong(void *arg, const uint8_t *data, size_t len)
{
	struct asker *a = arg;

	if (len > PING_SIZE - a->got || memcmp(data, a->sent + a->got, len)) {
		stream_reset(a->st);
		finish(a, ERR_CORRUPT);
		free(a);
		return;
	}
	a->got += len;
	if (a->got == PING_SIZE) {
		stream_close(a->st);
		finish(a, 0);
	}
}

static void on_pong_eof(void *arg)
{
	struct asker *a = arg;

	stream_close(a->st);
}

static void on_pong_closed(void *arg, int reason)
{
	struct asker *a = arg;

	finish(a, reason ? reason : -ECONNRESET);
	free(a);
}

static void on_opened(void *arg, struct stream *st, int result)
{
	static const struct stream_events events = {
		.on_data = on_pong,
		.on_eof = on_pong_eof,
		.on_closed = on_pong_closed,
	};
	struct asker *a = arg;

	if (!st) {
		finish(a, result);
		free(a);
		return;
	}
	a->st = st;
	a->start = uv_hrtime();
	stream_on(st, &events, a);
	stream_timeout(st, PING_TIMEOUT);
	stream_write(st, a->sent, sizeof a->sent);
}

void swarm_ping(struct swarm *s, const struct peer_id *p,
		void (*done)(void *arg, int result, uint64_t rtt_us), void *arg)
{
	static const char *const offers[] = { ping_protocol, NULL };
	struct asker *a = calloc(1, sizeof *a);

	if (!a)
		abort(); /* nothing is left to remember the caller by */
	a->done = done;
	a->arg = arg;
	randombytes_buf(a->sent, sizeof a->sent);
	stream_open(s, p, offers, on_opened, a);
}
