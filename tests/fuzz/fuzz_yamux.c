/*
 * Whatever bytes a peer sends, a Yamux session survives them, and so does a user
 * who pauses, resets and answers as the bytes say.
 */
#include "net/yamux.h"

#include <stdlib.h>
#include <string.h>

struct session {
	struct yamux *y;
	const uint8_t *choices;
	size_t n;
	unsigned at;
	struct yamux_stream *streams[64];
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static struct session *now;

static uint8_t choice(void)
{
	return now->n ? now->choices[now->at++ % now->n] : 0;
}

static void on_open(void *arg, struct yamux_stream *st)
{
	for (int i = 0; i < 64; i++)
		if (!now->streams[i]) {
			now->streams[i] = st;
			yamux_set_user(st, &now->streams[i]);
			if (choice() % 2)
				yamux_accept(st);
			return;
		}
	yamux_reset(st);
}

static void act(struct yamux_stream **at)
{
	struct yamux_stream *st = *at;

	switch (choice() % 8) {
	case 0:
		*at = NULL;
		yamux_reset(st);
		break;
	case 1:
		yamux_close(st);
		break;
	case 2:
		yamux_pause(st, true);
		break;
	case 3:
		yamux_pause(st, false);
		break;
	case 4:
		yamux_write(st, "some answer", 11);
		break;
	case 5:
		yamux_ping(now->y, 7);
		break;
	}
}

static void on_data(void *user, const uint8_t *data, size_t len)
{
	/* Touch both ends of what is lent. */
	volatile uint8_t touch = data[0] ^ data[len - 1];
	(void)touch;
	act(user);
}

static void on_event(void *user)
{
	act(user);
}

static void on_closed(void *user, int reason)
{
	*(struct yamux_stream **)user = NULL;
}

static void on_wake(void *arg)
{
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static const struct yamux_events events = {
		.on_open = on_open,
		.on_data = on_data,
		.on_eof = on_event,
		.on_drain = on_event,
		.on_closed = on_closed,
		.on_wake = on_wake,
	};
	static const struct yamux_limits limits = YAMUX_LIMITS_DEFAULT;
	struct yamux_budget budget = { .max = 1 << 20 };
	struct session s = { .choices = data, .n = len };
	const struct yamux_config cfg = {
		.client = len % 2,
		.limits = &limits,
		.budget = &budget,
		.events = &events,
	};
	uint8_t out[2048];
	uint64_t time = 0;
	size_t at = 0;

	now = &s;
	s.y = yamux_new(&cfg);
	if (!s.y)
		return 0;
	if (yamux_open(s.y, &s.streams[0], &s.streams[0]) == 0)
		yamux_write(s.streams[0], "hello", 5);
	while (at < len) {
		size_t n = 1 + choice() % 40;
		if (n > len - at)
			n = len - at;
		if (yamux_recv(s.y, data + at, n, time += 100) < 0)
			break;
		at += n;
		yamux_deliver(s.y);
		if (choice() % 2)
			yamux_send(s.y, out, sizeof out);
	}
	yamux_end(s.y, -1);
	yamux_free(s.y);
	if (budget.used)
		abort();
	return 0;
}
