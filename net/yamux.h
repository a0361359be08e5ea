/*
 * Yamux (libp2p/specs yamux, wire.md 5): many streams on one ordered channel.
 * A pure state machine: bytes in, bytes out, the time an argument.
 *
 *	version u8 = 0 | type u8 | flags u16 | stream id u32 | length u32, big-endian
 *	0 data: `length` bytes follow      1 window update: length = credit added
 *	2 ping: length = a value, echoed   3 go away: length = 0 normal, 1 protocol error
 *	flags: SYN 1, ACK 2, FIN 4, RST 8
 *
 * Output is pulled: yamux_send() fills a buffer with whole frames, control
 * frames first, then one frame of each stream in turn.
 *
 * Events come only from inside yamux_recv(), yamux_send(), yamux_deliver() and
 * yamux_end(), never from the calls on a stream.  Every call is allowed inside
 * an event, except yamux_free() and the four themselves; yamux_end() is allowed.
 */
#ifndef NET_YAMUX_H
#define NET_YAMUX_H

#include "store/block.h"

#include <stdbool.h>

#define YAMUX_HEADER     12
#define YAMUX_WINDOW     262144u    /* of a new stream, each way: fixed by the protocol */
#define YAMUX_FRAME_MAX  65536u     /* payload of the frames we send */
#define YAMUX_QUEUE_HIGH (1u << 20) /* yamux_write() says 1 above this */
#define YAMUX_QUEUE_LOW  (256u << 10)

struct yamux;
struct yamux_stream;

/* What a session may use. */
struct yamux_limits {
	uint32_t window_max;     /* a receive window grows up to this */
	uint32_t growth_max;     /* sum of what the session's windows grew by */
	uint32_t inbound_max;    /* streams of the peer, open */
	uint32_t unaccepted_max; /* of them, before yamux_accept() */
	uint32_t unacked_max;    /* streams of ours that the peer has not answered */
	uint32_t pongs_max;      /* answers to pings waiting to leave */
	uint32_t resets_max;     /* RST frames waiting to leave */
	uint32_t opens_burst;    /* the peer may open so many at once ... */
	uint32_t opens_per_s;    /* ... and so many a second; more are reset */
	size_t queue_max;        /* bytes queued in all streams: over it writes fail */
};
#define YAMUX_LIMITS_DEFAULT                                                             \
	{                                                                                \
		.window_max = 16u << 20, .growth_max = 32u << 20, .inbound_max = 1000,   \
		.unaccepted_max = 256, .unacked_max = 256, .pongs_max = 32,              \
		.resets_max = 65536, .opens_burst = 4096, .opens_per_s = 2000,           \
		.queue_max = 32u << 20,                                                  \
	}

/* What the windows of all sessions may grow by together. */
struct yamux_budget {
	size_t max, used;
};

struct yamux_events {
	/* The peer opened a stream: set its user pointer, or yamux_reset() it. */
	void (*on_open)(void *arg, struct yamux_stream *st);
	/* For `user` of a stream; see struct stream_events in net/swarm.h. */
	void (*on_data)(void *user, const uint8_t *data, size_t len);
	void (*on_eof)(void *user);
	void (*on_drain)(void *user);
	/* Over, and invalid after this call: 0, -ECONNRESET, or yamux_end()'s. */
	void (*on_closed)(void *user, int reason);
	/* There is something for yamux_send() or yamux_deliver().  May come from
	 * any call; must not call back. */
	void (*on_wake)(void *arg);
};

struct yamux_config {
	bool client;                       /* the dialer: odd stream ids */
	const struct yamux_limits *limits; /* borrowed */
	struct yamux_budget *budget;       /* borrowed */
	const struct yamux_events *events; /* borrowed */
	void *arg;
};

struct yamux *yamux_new(const struct yamux_config *cfg); /* NULL if out of memory */
/* Frees streams that are left without an event: yamux_end() comes first. */
void yamux_free(struct yamux *y);

/*
 * Take bytes from the channel; `now` in microseconds.
 *   ERR_MALFORMED  the peer broke the protocol: a go-away waits in yamux_send()
 *   -ENOBUFS       it asks for answers and does not read them
 *   -ECONNRESET    it went away with an error
 *   -ESHUTDOWN     after yamux_end()
 *   -ENOMEM
 * After an error nothing more is taken.
 */
int yamux_recv(struct yamux *y, const uint8_t *data, size_t len, uint64_t now);

/* Write whole frames to `out`; the number of bytes, 0 if there is nothing to
 * say.  `room` of at least 1,024. */
size_t yamux_send(struct yamux *y, uint8_t *out, size_t room);
bool yamux_pending(const struct yamux *y);

/* Hand out what was held while streams that go on now were paused. */
void yamux_deliver(struct yamux *y);

/* The channel is gone: every stream ends with `reason`. */
void yamux_end(struct yamux *y, int reason);

/* Say that we leave; after it nothing is sent. */
void yamux_go_away(struct yamux *y, uint32_t code);
/* True once the peer has said so: it takes no more streams. */
bool yamux_leaving(const struct yamux *y);

/* Ask for a sign of life, unless one is outstanding. */
void yamux_ping(struct yamux *y, uint64_t now);
/* When the outstanding ping was asked for; 0 if none is. */
uint64_t yamux_pinged(const struct yamux *y);
uint32_t yamux_rtt_us(const struct yamux *y); /* smoothed; 0: not measured */

uint32_t yamux_streams(const struct yamux *y); /* open, both ways */
size_t yamux_queued(const struct yamux *y);    /* bytes, all streams */

/* ---- one stream ---- */

/* Would yamux_open() succeed now? */
bool yamux_may_open(const struct yamux *y);
/* -EAGAIN: too many unanswered; -ESHUTDOWN: the session ends; -ENOMEM. */
int yamux_open(struct yamux *y, struct yamux_stream **out, void *user);
void yamux_set_user(struct yamux_stream *st, void *user);
/* The peer's stream is in use now, no longer waiting to be understood. */
void yamux_accept(struct yamux_stream *st);

/* Queue bytes, copied.  0, 1 (over the high mark), -EPIPE after yamux_close(),
 * -ENOBUFS (the session's queue is full), -ENOMEM. */
int yamux_write(struct yamux_stream *st, const void *data, size_t len);
/* The same without a copy; takes its own reference. */
int yamux_write_block(struct yamux_stream *st, struct block *b, size_t offset,
		      size_t len);
size_t yamux_stream_queued(const struct yamux_stream *st);

void yamux_close(struct yamux_stream *st); /* FIN behind what is queued */
void yamux_reset(struct yamux_stream *st); /* at once, no event, `st` is invalid */
void yamux_pause(struct yamux_stream *st, bool on);
/* Inside on_data, on a stream that was paused there: keep the last `len` of the
 * bytes for later.  0 or -ENOMEM. */
int yamux_unread(struct yamux_stream *st, const uint8_t *data, size_t len);

#endif
