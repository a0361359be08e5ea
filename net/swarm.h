/*
 * All connections of this node, and the streams on them.  Everything here runs
 * on the loop thread only.
 *
 * A connection is TCP, Noise and Yamux (wire.md 3-5).  A peer has at most one
 * that is used; a second one that arises from simultaneous dials is let live
 * until its streams end.  Hostile peers cost only themselves: budgets per peer
 * and in total bound streams, buffers and half-open handshakes (hostile.md B-I,
 * B-II), and a breach drops the connection with a logged reason.
 */
#ifndef NET_SWARM_H
#define NET_SWARM_H

#include "net/addr.h"
#include "net/key.h"
#include "store/block.h"

#include <uv.h>

struct swarm;
struct stream;

struct swarm_config {
	uv_loop_t *loop;
	const struct secret_key *key;	/* copied */
	const char *agent;		/* agentVersion in identify; copied */
	uint32_t max_conns;		/* 0: a sensible default */
};

/* The process ignores SIGPIPE from here on. */
int swarm_new(struct swarm **out, const struct swarm_config *cfg);
/* Close everything; `done` comes when the last handle is closed and the swarm freed. */
void swarm_free(struct swarm *s, void (*done)(void *arg), void *arg);

const struct peer_id *swarm_self(const struct swarm *s);
const struct secret_key *swarm_key(const struct swarm *s);
uv_loop_t *swarm_loop(const struct swarm *s);

/* Listen on a multiaddr (port 0: any).  0 or an errno such as -EADDRINUSE. */
int swarm_listen(struct swarm *s, const struct addr *a);
/* Addresses we can be reached at, with real ports and interfaces (0.0.0.0
 * expanded), without /p2p.  Fills up to `max`, returns the count. */
int swarm_addrs(struct swarm *s, struct addr *out, int max);

/* ---- protocols we answer ---- */

/* A stream that a peer opened for `protocol`.  Set its events before returning. */
typedef void (*on_stream_fn)(void *arg, struct stream *st);
/* Serve `protocol` from now on; identify lists it (and pushes the change). */
int swarm_serve(struct swarm *s, const char *protocol, on_stream_fn on_stream, void *arg);
void swarm_unserve(struct swarm *s, const char *protocol);

/* ---- address book ---- */

/* Remember where a peer may be (bounded; expires).  `p2p` suffixes are stripped. */
void swarm_learn(struct swarm *s, const struct peer_id *p, const struct addr *a, int n);
/* What is known, the signed or observed ones first; the count. */
int swarm_lookup(struct swarm *s, const struct peer_id *p, struct addr *out, int max);
/* Protocols a peer listed in identify: true if it lists `protocol`; false also
 * if identify has not completed. */
bool swarm_peer_speaks(struct swarm *s, const struct peer_id *p, const char *protocol);

/* ---- connections ---- */

/*
 * Connect, if not connected: dials the given addresses and those in the address
 * book, several at once, and identifies.  `done` is called exactly once, not
 * from inside this call: 0, -ETIMEDOUT, -EHOSTUNREACH (no address), -ECONNREFUSED,
 * ERR_CORRUPT (another peer answered), …  It is called after identify succeeded
 * (or failed, which does not fail the connection).
 */
typedef void (*connect_fn)(void *arg, int result);
void swarm_connect(struct swarm *s, const struct peer_id *p, const struct addr *a, int n,
		   connect_fn done, void *arg);
/* Dial an address whose peer may be unknown; *peer is who answered. */
typedef void (*connect_addr_fn)(void *arg, int result, const struct peer_id *peer);
void swarm_connect_addr(struct swarm *s, const struct addr *a, connect_addr_fn done,
			void *arg);
bool swarm_connected(struct swarm *s, const struct peer_id *p);
void swarm_disconnect(struct swarm *s, const struct peer_id *p);

/*
 * How long a peer takes to answer, over /ipfs/ping/1.0.0, connecting if need be.
 * `done` exactly once, not from inside this call: 0 and microseconds; as
 * stream_open(); ERR_CORRUPT: it answered something else.
 */
void swarm_ping(struct swarm *s, const struct peer_id *p,
		void (*done)(void *arg, int result, uint64_t rtt_us), void *arg);

struct conn_info {
	struct peer_id peer;
	struct addr addr; /* remote */
	bool inbound;
	uint64_t bytes_in, bytes_out; /* on the wire */
	uint32_t streams;
	uint32_t rtt_us; /* 0: not measured */
	uint64_t since;	 /* uv_now() at the start, ms */
	char agent[64];
};
/* Every connection; the count. */
int swarm_conns(struct swarm *s, struct conn_info *out, int max);

struct swarm_stat {
	uint32_t conns, streams;
	uint64_t bytes_in, bytes_out; /* on the wire, all connections ever */
};
void swarm_stat(struct swarm *s, struct swarm_stat *out);

/* A peer came (identified) or went: for kad and bitswap.  Watchers are called
 * in the order of registration; up to 8. */
struct swarm_watch {
	void (*on_identified)(void *arg, const struct peer_id *p); /* also after each push */
	void (*on_disconnected)(void *arg, const struct peer_id *p);
	void *arg;
};
void swarm_watch(struct swarm *s, const struct swarm_watch *w);
/* Forget the watcher registered with `arg`; also from inside one. */
void swarm_unwatch(struct swarm *s, void *arg);

/* Do not trim this peer's connection when there are too many (counted by tag). */
void swarm_protect(struct swarm *s, const struct peer_id *p, bool on);

/* ---- streams ---- */

struct stream_events {
	/* Bytes came.  Borrowed during the call.  The window is opened again as
	 * soon as this returns, unless the stream is paused. */
	void (*on_data)(void *arg, const uint8_t *data, size_t len);
	/* The peer closed its half: no more data.  May be NULL. */
	void (*on_eof)(void *arg);
	/* The output queue went below the low mark after stream_write() had
	 * returned 1.  May be NULL. */
	void (*on_drain)(void *arg);
	/* The stream is over (0: both halves closed; -ECONNRESET, -ETIMEDOUT, …)
	 * and `st` is invalid after this call.  Always called, exactly once, last,
	 * except after stream_reset(), which is its own end. */
	void (*on_closed)(void *arg, int reason);
};

/*
 * Open a stream for the first of `protocols` (NULL-terminated) the peer speaks, connecting
 * if needed.  `done` is called exactly once, not from inside this call: with
 * the stream, or NULL and a result (-EPROTONOSUPPORT: the peer refuses).
 * What is written to the stream in `done` travels without waiting for the peer's answer
 * when identify has told that it speaks the protocol.
 */
typedef void (*open_fn)(void *arg, struct stream *st, int result);
void stream_open(struct swarm *s, const struct peer_id *p, const char *const *protocols,
		 open_fn done, void *arg);

void stream_on(struct stream *st, const struct stream_events *ev, void *arg);
const struct peer_id *stream_peer(const struct stream *st);
const char *stream_protocol(const struct stream *st);

/*
 * Queue bytes (copied).  Returns 0, 1 (queued, but more than the high mark of
 * 1 MiB is waiting: better wait for on_drain), or -EPIPE after close or end.
 */
int stream_write(struct stream *st, const void *data, size_t len);
/* Queue bytes of a block without a copy; takes its own reference. */
int stream_write_block(struct stream *st, struct block *b, size_t offset, size_t len);
size_t stream_queued(const struct stream *st);

/* No more from us: FIN after what is queued. */
void stream_close(struct stream *st);
/* End it at once, both ways; no event follows; `st` is invalid. */
void stream_reset(struct stream *st);
/* Stop and restart on_data; the peer is held back by its window. */
void stream_pause(struct stream *st, bool on);
/* End the stream with -ETIMEDOUT after so much time without any traffic, ms; 0: never. */
void stream_timeout(struct stream *st, uint64_t ms);

#endif
