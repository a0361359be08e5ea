/*
 * One question to one peer.  A stream serves several questions, one after
 * another: after an answer it is kept for a few seconds, since the peers of a
 * small network are asked again and again.
 *
 *	OPENING ---- stream ----> WAITING ---- answer, end, failure ----> done, freed
 *	   |                        |  ^
 *	   |                        +--+ a kept stream had died: open another, once
 *	   +---- cancelled or too late ----> ORPHAN ---- stream ----> freed
 *
 * An opening cannot be called back: an orphan waits for it alone.
 */
#include "net/kad_internal.h"

#include "store/error.h"

#include <stdlib.h>

#define IDLE_MAX 64
/* js-libp2p ends a stream that is silent for 10 s. */
#define IDLE_MS 5000

enum ask_state { OPENING, WAITING, ORPHAN };

struct kad_ask {
	LIST_ENTRY(kad_ask) of_kad;
	struct kad *kad; /* NULL for an orphan */
	enum ask_state state;
	struct peer_id peer;
	struct stream *st;
	struct frame in;
	struct buf out;
	uint8_t type;
	bool answered; /* an answer is expected */
	bool reused;   /* the stream has served before */
	bool feeding;  /* we stand in frame_feed(), which needs us until it returns */
	uint64_t began, deadline;
	kad_answer_fn done;
	void *arg;
};

struct kad_idle {
	TAILQ_ENTRY(kad_idle) of_kad;
	struct kad *kad;
	struct stream *st;
	struct peer_id peer;
	uint64_t since;
};

static void ask_free(struct kad_ask *a)
{
	frame_release(&a->in);
	buf_release(&a->out);
	free(a);
}

/* ---- streams kept ---- */

static void idle_forget(struct kad_idle *i)
{
	TAILQ_REMOVE(&i->kad->idle, i, of_kad);
	i->kad->n_idle--;
	free(i);
}

static void idle_drop(struct kad_idle *i)
{
	stream_reset(i->st);
	idle_forget(i);
}

/* Nothing is to come on a stream that nobody has asked on. */
static void on_idle_data(void *arg, const uint8_t *data, size_t len)
{
	idle_drop(arg);
}

static void on_idle_eof(void *arg)
{
	idle_drop(arg);
}

static void on_idle_closed(void *arg, int reason)
{
	idle_forget(arg);
}

static void keep_stream(struct kad *k, struct stream *st, const struct peer_id *p)
{
	static const struct stream_events events = { .on_data = on_idle_data,
						     .on_eof = on_idle_eof,
						     .on_closed = on_idle_closed };
	struct kad_idle *i = k->n_idle < IDLE_MAX ? malloc(sizeof *i) : NULL;

	if (!i) {
		stream_reset(st);
		return;
	}
	*i = (struct kad_idle){ .kad = k, .st = st, .peer = *p, .since = kad_now(k) };
	stream_on(st, &events, i);
	TAILQ_INSERT_TAIL(&k->idle, i, of_kad);
	k->n_idle++;
}

static struct stream *kept_stream(struct kad *k, const struct peer_id *p)
{
	struct kad_idle *i;

	TAILQ_FOREACH (i, &k->idle, of_kad)
		if (peer_equal(&i->peer, p)) {
			struct stream *st = i->st;

			idle_forget(i);
			return st;
		}
	return NULL;
}

/* ---- one question ---- */

/* The only way out, whatever happened.  The asker hears of it and forgets us. */
static void finish(struct kad_ask *a, int result, const struct kad_msg *m)
{
	struct kad *k = a->kad;

	LIST_REMOVE(a, of_kad);
	a->kad = NULL;
	if (a->st && result == 0 && a->answered)
		keep_stream(k, a->st, &a->peer);
	else if (a->st)
		stream_reset(a->st);
	a->st = NULL;
	if (result < 0)
		kad_answer_failed(k, &a->peer, result);
	else if (a->answered)
		kad_answer_came(k, &a->peer, kad_now(k) - a->began);
	a->done(a->arg, result, m);
	if (a->state == OPENING)
		a->state = ORPHAN;
	else if (!a->feeding)
		ask_free(a);
}

static int on_message(void *arg, const uint8_t *data, size_t len)
{
	struct kad_ask *a = arg;
	struct kad_msg m;
	int r = kad_decode(&m, data, len);

	if (r == 0 && m.type != a->type)
		r = ERR_MALFORMED;
	finish(a, r, r == 0 ? &m : NULL);
	return 1; /* one question, one answer */
}

static void on_data(void *arg, const uint8_t *data, size_t len)
{
	struct kad_ask *a = arg;

	if (!a->answered)
		return; /* some echo an ADD_PROVIDER; the end is what counts */
	a->feeding = true;
	int r = frame_feed(&a->in, data, len, on_message, a);
	a->feeding = false;
	if (!a->kad)
		ask_free(a);
	else if (r < 0)
		finish(a, r, NULL);
}

static void on_opened(void *arg, struct stream *st, int result);

/* The peer ended a stream that was kept: it may have been idle too long for it. */
static bool opened_again(struct kad_ask *a)
{
	if (!a->reused || a->in.want || a->in.prefix)
		return false;
	a->reused = false;
	a->state = OPENING;
	stream_open(a->kad->swarm, &a->peer, a->kad->protocols, on_opened, a);
	return true;
}

static void on_eof(void *arg)
{
	struct kad_ask *a = arg;

	if (!a->answered) {
		finish(a, 0, NULL);
		return;
	}
	stream_reset(a->st);
	a->st = NULL;
	if (!opened_again(a))
		finish(a, -ECONNRESET, NULL);
}

static void on_closed(void *arg, int reason)
{
	struct kad_ask *a = arg;

	a->st = NULL;
	if (!a->answered && reason == 0)
		finish(a, 0, NULL);
	else if (!opened_again(a))
		finish(a, reason < 0 ? reason : -ECONNRESET, NULL);
}

static const struct stream_events ask_events = { .on_data = on_data,
						 .on_eof = on_eof,
						 .on_closed = on_closed };

/* False if the stream does not take the question. */
static bool send_question(struct kad_ask *a, struct stream *st)
{
	uint8_t head[VARINT_MAX];

	stream_on(st, &ask_events, a);
	a->st = st;
	a->state = WAITING;
	if (stream_write(st, head, varint_put(head, a->out.len)) < 0 ||
	    stream_write(st, a->out.data, a->out.len) < 0) {
		a->st = NULL;
		stream_reset(st);
		return false;
	}
	/* What has no answer is taken when the peer has read to the end. */
	if (!a->answered)
		stream_close(st);
	return true;
}

static void on_opened(void *arg, struct stream *st, int result)
{
	struct kad_ask *a = arg;

	if (a->state == ORPHAN) {
		if (st)
			stream_reset(st);
		ask_free(a);
		return;
	}
	if (st && send_question(a, st))
		return;
	a->state = WAITING;
	finish(a, result < 0 ? result : -EPIPE, NULL);
}

struct kad_ask *kad_ask(struct kad *k, const struct peer_id *p, const struct buf *message,
			bool answered, uint64_t patience_ms, kad_answer_fn done,
			void *arg)
{
	struct kad_ask *a = calloc(1, sizeof *a);

	if (!a)
		return NULL;
	*a = (struct kad_ask){
		.kad = k, .peer = *p, .answered = answered, .done = done, .arg = arg
	};
	a->in.max = KAD_ANSWER_MAX;
	a->type = message->data[1]; /* every message begins with its type */
	a->began = kad_now(k);
	a->deadline = a->began + patience_ms;
	buf_append(&a->out, message->data, message->len);
	if (a->out.failed) {
		ask_free(a);
		return NULL;
	}
	LIST_INSERT_HEAD(&k->asks, a, of_kad);
	struct stream *st = kept_stream(k, p);
	if (st && send_question(a, st)) {
		a->reused = true;
		return a;
	}
	a->state = OPENING;
	stream_open(k->swarm, p, k->protocols, on_opened, a);
	return a;
}

void kad_ask_cancel(struct kad_ask *a)
{
	LIST_REMOVE(a, of_kad);
	a->kad = NULL;
	if (a->st)
		stream_reset(a->st);
	a->st = NULL;
	if (a->state == OPENING)
		a->state = ORPHAN;
	else if (!a->feeding)
		ask_free(a);
}

void kad_asks_pulse(struct kad *k, uint64_t now)
{
	struct kad_ask *a;
	struct kad_idle *i;
	bool again;

	/* What an asker does on hearing changes the list: begin anew each time. */
	do {
		again = false;
		LIST_FOREACH(a, &k->asks, of_kad)
		if (now >= a->deadline) {
			/* What has no answer was sent; that is all one can know. */
			bool sent = !a->answered && a->state == WAITING;

			finish(a, sent ? 0 : -ETIMEDOUT, NULL);
			again = true;
			break;
		}
	} while (again);
	while ((i = TAILQ_FIRST(&k->idle)) && now - i->since >= IDLE_MS)
		idle_drop(i);
}

void kad_asks_end(struct kad *k)
{
	while (!LIST_EMPTY(&k->asks))
		kad_ask_cancel(LIST_FIRST(&k->asks));
	while (!TAILQ_EMPTY(&k->idle))
		idle_drop(TAILQ_FIRST(&k->idle));
}

/* How long healthy peers take, with room to spare: within 2 and 10 s. */
uint64_t kad_patience(const struct kad *k)
{
	uint64_t ms = 8 * (k->rtt_ms + 4 * k->rtt_var_ms);

	return !k->rtt_ms || ms > 10000 ? 10000 : ms < 2000 ? 2000 : ms;
}

/* After so long somebody else is asked as well. */
uint64_t kad_slow(const struct kad *k)
{
	uint64_t ms = 2 * (k->rtt_ms + 4 * k->rtt_var_ms);

	return !k->rtt_ms || ms > 1500 ? 1500 : ms < 100 ? 100 : ms;
}
