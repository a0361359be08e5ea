/* Inside of yamux.c (sessions and streams), yamux_recv.c (what comes in) and
 * yamux_send.c (what goes out). */
#ifndef NET_YAMUX_INTERNAL_H
#define NET_YAMUX_INTERNAL_H

#include "net/yamux.h"
#include "store/buf.h"

#include <sys/queue.h>

enum { TYPE_DATA, TYPE_WINDOW, TYPE_PING, TYPE_GO_AWAY };
enum { FLAG_SYN = 1, FLAG_ACK = 2, FLAG_FIN = 4, FLAG_RST = 8 };

#define STREAM_BUCKETS 64 /* power of two */

/* Bytes waiting to be sent: a block's, or copied ones behind the struct. */
struct piece {
	TAILQ_ENTRY(piece) next;
	struct block *block; /* NULL: own bytes */
	const uint8_t *data; /* not sent yet */
	size_t len;
	size_t room; /* of own bytes, behind data + len */
	uint8_t bytes[];
};

struct yamux_stream {
	struct yamux *y;
	void *user;
	uint32_t id;
	struct yamux_stream *chain; /* same bucket */
	TAILQ_ENTRY(yamux_stream) all, control, ready, resumed;

	bool inbound, accepted, acked;
	bool in_control, in_ready, in_resumed;
	uint16_t flags; /* SYN, ACK or FIN for the next control frame */

	/* Receiving: recv_window + consumed + held + the rest of the frame that is
	 * being read = window. */
	uint32_t window, recv_window, consumed, credit;
	uint64_t epoch;  /* time of the last window update */
	struct buf held; /* came while paused */
	uint32_t unread; /* of the bytes now in on_data, already in `held` */
	bool paused, eof, eof_told;

	/* Sending. */
	uint32_t send_window;
	TAILQ_HEAD(piece_list, piece) queue;
	size_t queued;
	bool full, closing, fin_sent;
};

TAILQ_HEAD(stream_list, yamux_stream);

struct yamux {
	struct yamux_limits limits;
	struct yamux_budget *budget;
	const struct yamux_events *events;
	void *arg;
	bool client, ended, leaving;
	uint64_t now;

	struct yamux_stream *buckets[STREAM_BUCKETS];
	struct stream_list all, control, ready, resumed;
	uint32_t n_streams, n_inbound, n_unaccepted, n_unacked;
	uint32_t next_id;
	uint32_t grown;    /* of all windows over YAMUX_WINDOW */
	uint64_t opens_at; /* token bucket of the peer's opens, as a time */

	/* The frame that is being read. */
	uint8_t head[YAMUX_HEADER];
	unsigned head_len;
	uint32_t left;           /* of its payload */
	bool left_fin;           /* FIN comes with its end */
	struct yamux_stream *rx; /* whose payload; NULL: nobody's, dropped */

	/* Control frames that belong to no stream. */
	uint32_t *pongs, n_pongs;
	uint32_t *resets, n_resets, cap_resets;
	bool ping_waits, go_away_waits, go_away_sent;
	uint32_t ping_value, go_away_code;
	uint64_t pinged;
	uint32_t rtt_us;

	size_t queued;
};

struct yamux_stream *stream_find(struct yamux *y, uint32_t id);
struct yamux_stream *stream_new(struct yamux *y, uint32_t id, bool inbound);
void stream_over(struct yamux_stream *st, int reason);
/* A RST for a stream that is not there.  False if so many wait that the peer
 * cannot be reading. */
bool session_reset(struct yamux *y, uint32_t id);
/* Put the stream on the list of those with a control frame to send. */
void stream_control(struct yamux_stream *st, uint16_t flags);
/* Put it on the list of those with data to send, if it has and may. */
void stream_ready(struct yamux_stream *st);
/* Both halves are closed: over. */
void stream_maybe_over(struct yamux_stream *st);
void stream_drop_queue(struct yamux_stream *st);

#endif
