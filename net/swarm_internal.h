/*
 * Inside of the swarm.  What belongs to whom:
 *
 *	swarm		everything below, the one read buffer, the tick
 *	  remote	a peer we are connected to, dial, or protect
 *	    conn	TCP, multistream, Noise, Yamux	(conn.c, conn_io.c)
 *	      stream	a Yamux stream with its protocol (stream.c)
 *	    dial	attempts to reach it		(dial.c)
 *	  listener	(listen.c), with limits on who comes (limits.c)
 *	  peerbook	where peers may be		(peerbook.c)
 *
 * Nothing ends while code of its own is on the stack: a connection is doomed at
 * once and closed from the task queue, and what a caller waits for is told from
 * there too.
 */
#ifndef NET_SWARM_INTERNAL_H
#define NET_SWARM_INTERNAL_H

#include "net/frame.h"
#include "net/identify_msg.h"
#include "net/limits.h"
#include "net/multistream.h"
#include "net/noise.h"
#include "net/peerbook.h"
#include "net/swarm.h"
#include "net/yamux.h"

#include <sys/queue.h>

/* Numbers of one swarm; times in ms.  Tests shorten them. */
struct swarm_limits {
	uint64_t tick;               /* how often time limits are looked at */
	uint64_t handshake;          /* from TCP accept to Yamux, in all */
	uint64_t negotiate;          /* until a stream of the peer has a protocol */
	uint64_t identify;           /* until the peer has told who it is */
	uint64_t dial, dial_private; /* one address; `dial` is the limit for all, too */
	uint64_t stagger;          /* before the next address is tried beside the first */
	uint64_t backoff;          /* after a dial that failed */
	uint64_t keepalive;        /* silence after which we ask for a sign of life ... */
	uint64_t keepalive_answer; /* ... and how long we wait for it */
	uint64_t push_gather;      /* changes are told together */
	uint64_t extra_idle;       /* a second connection to a peer, unused */
	uint64_t grace;            /* a connection younger than this is not trimmed */
	uint32_t conns_high, conns_low; /* over high, idle ones are trimmed to low */
	uint32_t conns_max;             /* open; more only for protected peers */
	uint32_t half_open_max;         /* handshakes of others going on */
	uint32_t conns_peer;            /* of one peer */
	struct limits_config sources;
	struct yamux_limits yamux;
	size_t window_growth; /* of all sessions */
};
extern const struct swarm_limits swarm_limits_default;

int swarm_new_limited(struct swarm **out, const struct swarm_config *cfg,
		      const struct swarm_limits *limits);

/* Something to do soon, from the loop. */
struct task {
	STAILQ_ENTRY(task) next;
	void (*run)(struct task *t);
	bool queued;
};
#define task_owner(t, type, member) ((type *)((char *)(t)-offsetof(type, member)))

/* A protocol we serve, or once named. */
struct protocol {
	struct protocol *next;
	on_stream_fn on_stream; /* NULL: not served */
	void *arg;
	char name[];
};

/* One encrypted frame on its way to the socket. */
struct out_frame {
	struct out_frame *next; /* of those kept for reuse */
	size_t len;
	uint8_t bytes[NOISE_LENGTH + NOISE_FRAME_MAX];
};

#define OUT_BATCH   8            /* frames in one write ... */
#define OUT_SHARED  256          /* ... unless so many are on their way already */
#define OUT_KEPT    16           /* frames kept for reuse */
#define READ_BUFFER (512u << 10) /* one for all connections */
#define OFFERS_MAX  8            /* protocols in one stream_open() */
#define WATCHES_MAX 8

TAILQ_HEAD(conn_list, conn);
TAILQ_HEAD(stream_list_head, stream);
STAILQ_HEAD(open_list, open_op);
STAILQ_HEAD(connect_list, connect_op);

struct swarm {
	uv_loop_t *loop;
	struct secret_key key;
	struct peer_id self;
	char *agent;
	struct swarm_limits limits;

	uv_timer_t tick;
	uv_idle_t soon; /* runs while there are tasks */
	STAILQ_HEAD(, task) tasks;
	unsigned handles; /* not closed yet */
	bool freeing;
	struct task end;
	void (*done)(void *arg);
	void *done_arg;

	struct conn_list conns;
	uint32_t n_conns, n_open, n_half_open; /* half open: inbound ones only */
	struct remote *remotes[256];
	TAILQ_HEAD(, dial) dials;
	TAILQ_HEAD(, listener) listeners;
	struct protocol *protocols;
	struct swarm_watch watches[WATCHES_MAX];
	int n_watches;
	struct limits *sources;
	struct peerbook *book;
	struct yamux_budget windows;

	uint64_t generation; /* of what identify tells */
	uint64_t changed_at; /* when it changed last */
	uint64_t record_seq;
	struct addr own[64]; /* swarm_addrs() as of own_at */
	int n_own;
	uint64_t own_at;

	uint64_t bytes_in, bytes_out;
	uint8_t *read_buffer;
	uint8_t *plain; /* a frame before it is encrypted */
	struct out_frame *kept;
	unsigned n_kept, n_out; /* frames for reuse, and on their way */
};

/* A peer that somebody here cares about. */
struct remote {
	struct swarm *s;
	struct peer_id id;
	struct remote *chain;
	struct conn_list conns; /* open ones */
	unsigned n_conns;
	struct dial *dial;
	struct open_list opens;       /* waiting for a connection */
	struct connect_list connects; /* waiting for identify */
	unsigned protect;
	unsigned holds; /* calls on the stack that use it */
	bool identified, announced;
	char *protocols; /* NUL-terminated texts, then an empty one; NULL: not known */
	char agent[64];
	unsigned pings;     /* streams of the ping protocol we serve it */
	uint64_t pushes_at; /* token bucket of its pushes, as a time */
};

/*
 *	CONNECTING -> SECURITY -> NOISE -> MUXER -> OPEN -> CLOSED
 *	 (dialled)                      \___________/
 *	                           settled in the handshake
 */
enum conn_state {
	CONN_CONNECTING,
	CONN_SECURITY, /* multistream in the clear */
	CONN_NOISE,
	CONN_MUXER, /* multistream, encrypted */
	CONN_OPEN,
	CONN_CLOSED,
};

struct conn {
	struct swarm *s;
	uv_tcp_t tcp;
	uv_connect_t connect;
	TAILQ_ENTRY(conn) all, of_remote, of_dial;
	enum conn_state state;
	bool inbound, counted_source, connected, heard, writing;
	bool identified; /* or given up: nobody waits any more */
	int doomed;      /* the reason, once it is to be closed */
	struct addr addr;
	struct sockaddr_storage peer_sa;
	struct remote *remote; /* while OPEN */
	struct dial *dial;     /* while it is an attempt of one */
	struct task task;
	uint64_t since, last_in;
	uint64_t deadline;    /* of the handshake, then of identify */
	uint64_t told;        /* generation the peer knows */
	uint64_t extra_since; /* another connection is used; this one idles since */

	struct multistream ms;
	struct noise *noise;
	struct yamux *y;
	struct stream_list_head streams;
	uint64_t bytes_in, bytes_out;

	uint8_t *partial; /* an incomplete frame; room for one */
	size_t partial_len;

	uv_write_t write;
	struct out_frame *out[OUT_BATCH];
	unsigned n_out;
};

struct stream {
	struct swarm *s;
	struct conn *c;
	struct yamux_stream *y;
	TAILQ_ENTRY(stream) of_conn;
	const char *protocol; /* NULL while it is being agreed on */
	const char *one[2];   /* the only offer, if it was taken for granted */
	bool inbound, negotiating, over, paused;
	unsigned holds;    /* calls on the stack that use it */
	uint64_t deadline; /* of the negotiation */
	struct multistream ms;
	struct open_op *op; /* who waits for it */
	struct stream_events ev;
	void *arg;
	uint64_t timeout, last; /* ms */
	size_t last_queued;
};

/* stream_open() that waits. */
struct open_op {
	struct task task;
	STAILQ_ENTRY(open_op) next;
	struct swarm *s;
	struct peer_id peer;
	const char *offers[OFFERS_MAX + 1]; /* names of struct protocol */
	open_fn done;
	void *arg;
	int result;
	struct stream *st;
};

/* swarm_connect() that waits. */
struct connect_op {
	struct task task;
	STAILQ_ENTRY(connect_op) next;
	connect_fn done;
	connect_addr_fn done_addr;
	void *arg;
	int result;
	struct peer_id peer;
};

/* ---- swarm.c ---- */
void task_later(struct swarm *s, struct task *t);
void task_drop(struct swarm *s, struct task *t); /* not from inside a task */
/* A handle was opened; its close callback calls the second one. */
void swarm_handle(struct swarm *s);
void swarm_handle_closed(struct swarm *s);
/* The entry of that name, made if need be; NULL if out of memory. */
struct protocol *swarm_protocol(struct swarm *s, const char *name);
/* What identify tells has changed. */
void swarm_changed(struct swarm *s);
void swarm_identified(struct remote *r);

/* ---- remote.c ---- */
struct remote *remote_find(struct swarm *s, const struct peer_id *id);
struct remote *remote_get(struct swarm *s, const struct peer_id *id);
/* Free it if nothing refers to it any more. */
void remote_tidy(struct remote *r);
void remote_hold(struct remote *r);
void remote_release(struct remote *r); /* and tidy */
/* The connection to use, NULL if none is open. */
struct conn *remote_conn(const struct remote *r);
bool remote_speaks(const struct remote *r, const char *protocol);
/* Go on with those who wait to open a stream, as far as the connection lets. */
void remote_resume(struct remote *r);
/* A connection is open; one has gone; identify is over on one. */
void remote_attach(struct remote *r, struct conn *c);
void remote_detach(struct conn *c); /* the caller holds the remote */
void remote_gone(struct remote *r, int reason);
void remote_settled(struct remote *r);
/* Nobody could be reached. */
void remote_unreachable(struct remote *r, int result);

/* ---- conn.c ---- */
struct conn *conn_new(struct swarm *s, bool inbound);
/* The dialler's side: 0, or an error and nothing was started. */
int conn_dial(struct conn *c, const struct addr *a);
/* The listener's side, on an accepted socket. */
void conn_serve(struct conn *c);
/* To be closed soon, for this reason. */
void conn_doom(struct conn *c, int reason);
/* Time limits, at each tick. */
void conn_tick(struct conn *c, uint64_t now);
/* Bytes that came, until Noise is done; the number used, or an error. */
int conn_handshake(struct conn *c, uint8_t *data, size_t len);
/* Negotiation of the muxer, on decrypted bytes. */
int conn_muxer(struct conn *c, const uint8_t *data, size_t len);
/* Send what is waiting, soon. */
void conn_soon(struct conn *c);

/* ---- conn_io.c ---- */
int conn_read_start(struct conn *c);
/* Send what the session has to say, as far as the socket takes it. */
void conn_pump(struct conn *c);
/* Write a few bytes of the handshake. */
int conn_write_plain(struct conn *c, const void *data, size_t len);
int conn_write_sealed(struct conn *c, const void *data, size_t len);
void conn_drop_output(struct conn *c);

/* ---- stream.c ---- */
extern const struct yamux_events stream_yamux_events;
/* A stream on this connection for one of `offers` (borrowed until it is agreed
 * on), or if `lazy` for the first, which is taken for granted (its name is kept). */
int stream_start(struct conn *c, const char *const *offers, bool lazy,
		 struct stream **out);
/* A connection is open: go on with a stream_open(). */
void stream_open_on(struct conn *c, struct open_op *op);
void stream_open_end(struct open_op *op, int result, struct stream *st);
void stream_tick(struct stream *st, uint64_t now);

/* ---- dial.c ---- */
/* Try to reach a peer; `explicit`: even after a dial that failed lately. */
int dial_remote(struct remote *r, const struct addr *a, int n);
int dial_addr(struct swarm *s, const struct addr *a, struct connect_op *op);
/* An attempt is open, or has failed. */
void dial_attempt_up(struct conn *c);
void dial_attempt_failed(struct conn *c, int reason);
void dial_end(struct dial *d, int result);
/* Stop: `result` is for those who wait for nobody in particular. */
void dial_end_all(struct swarm *s, int result);

/* ---- listen.c ---- */
void listen_end_all(struct swarm *s);
const struct addr *listen_addrs(struct swarm *s, int *n);
void listen_tick(struct swarm *s, uint64_t now);

/* ---- identify.c ---- */
int identify_serve(struct swarm *s);
void identify_ask(struct conn *c);
void identify_tick(struct swarm *s, uint64_t now);

/* ---- ping.c ---- */
int ping_serve(struct swarm *s);

#endif
