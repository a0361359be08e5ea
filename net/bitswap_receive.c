/*
 * What peers say: messages put together, read, and their blocks verified and
 * stored in the pool.  A message that brings blocks keeps its bytes until then;
 * each block is copied once, out of them.
 */
#include "net/bitswap_internal.h"

#include "store/error.h"
#include "store/log.h"

#include <stdlib.h>
#include <string.h>

#define HELD_LINK_MAX   (12u << 20) /* of unfinished messages */
#define HELD_MAX        (64u << 20)
#define VERIFY_LINK_MAX (8u << 20) /* in the pool, before the peer is held back */
#define VERIFY_MAX      (64u << 20)
#define SILENCE_MS      300000

struct arrival {
	struct cid cid; /* all but the digest, from the message */
	const uint8_t *data;
	size_t len;
	struct multihash name;
	struct block *block; /* verified, and wanted */
	bool known;          /* not wanted, but here already */
	int result;
};

/* A message with blocks, in the pool. */
struct parcel {
	uv_work_t work;
	struct bitswap *b;
	struct link *link;
	uint8_t *bytes;
	size_t len;
	uint32_t n;
	struct arrival arrivals[];
};

static void pause_all(struct link *l, bool on)
{
	struct inlet *in;

	if (l->paused == on)
		return;
	l->paused = on;
	TAILQ_FOREACH (in, &l->inlets, of_link)
		stream_pause(in->st, on);
}

/* ---- in the pool ---- */

static void verify(struct bitswap *b, struct arrival *a)
{
	struct block *block = NULL;
	uint8_t *room;
	int r = -EFBIG;

	if (a->len <= BLOCK_MAX)
		r = multihash_of(&a->name, a->cid.hash.code, a->cid.hash.size, a->data,
				 a->len);
	if (r == 0)
		r = multihash_allowed(&a->name);
	if (r < 0)
		goto out;
	if (!client_wants(&b->client, &a->name)) {
		a->known = store_has(b->store, &a->name, NULL) > 0;
		return;
	}
	r = block_reserve(&block, &a->name, a->len, &room);
	if (r < 0)
		goto out;
	if (a->len)
		memcpy(room, a->data, a->len);
	r = client_keeps(&b->client, &a->name)
		? store_put_bytes(b->store, &block->name, block->data, block->size)
		: store_put_cached(b->store, block);
	if (r < 0)
		goto out;
	a->block = block;
	block = NULL;
out:
	block_unref(block);
	a->result = r;
}

static void on_work(uv_work_t *work)
{
	struct parcel *p = container_of(work, struct parcel, work);

	for (uint32_t i = 0; i < p->n; i++)
		verify(p->b, &p->arrivals[i]);
}

/* ---- on the loop ---- */

static void arrived(struct bitswap *b, struct link *l, struct arrival *a)
{
	struct partner *partner = l->partner;

	if (a->block || (a->result < 0 && client_wants(&b->client, &a->name))) {
		if (a->block)
			server_have(b, &a->name);
		if (!client_block(&b->client, partner, &a->name, a->block, a->result,
				  bitswap_now(b))) {
			b->stat.duplicates_in++;
			return;
		}
		l->losses = 0;
		if (a->result < 0)
			return;
		b->stat.blocks_in++;
		b->stat.bytes_in += a->len;
		if (l->tally) {
			l->tally->blocks_in++;
			l->tally->bytes_in += a->len;
		}
		return;
	}
	if (a->known) {
		b->stat.duplicates_in++;
		return;
	}
	if (a->result == -ENOMEM)
		return;
	b->stat.unwanted_in++;
	/* The partner's callbacks may have dropped the link meanwhile. */
	if (l->partner)
		client_unwanted(&b->client, l->partner, bitswap_now(b));
}

static void after_work(uv_work_t *work, int status)
{
	struct parcel *p = container_of(work, struct parcel, work);
	struct bitswap *b = p->b;
	struct link *l = p->link;

	b->verifying -= p->len;
	l->verifying -= p->len;
	if (l->partner)
		client_verifying(&b->client, l->partner, l->verifying, bitswap_now(b));
	for (uint32_t i = 0; i < p->n; i++) {
		if (!b->closing && status == 0)
			arrived(b, l, &p->arrivals[i]);
		block_unref(p->arrivals[i].block);
	}
	if (!l->gone && l->verifying < VERIFY_LINK_MAX / 2 &&
	    (b->verifying < VERIFY_MAX || !l->verifying))
		pause_all(l, false);
	free(p->bytes);
	free(p);
	bitswap_kick(b);
	link_unref(l);
	bitswap_unhold(b);
}

/* Takes the bytes. */
static int take_blocks(struct link *l, struct bitswap_reader r, uint8_t *bytes,
		       size_t len)
{
	struct bitswap *b = l->b;
	struct parcel *p = calloc(1, sizeof *p + r.blocks * sizeof *p->arrivals);
	struct bitswap_item item;

	if (!p) {
		free(bytes);
		return -ENOMEM;
	}
	p->b = b;
	p->link = l;
	p->bytes = bytes;
	p->len = len;
	while (bitswap_msg_next(&r, &item))
		if (item.kind == BITSWAP_BLOCK)
			p->arrivals[p->n++] = (struct arrival){ .cid = item.cid,
								.data = item.data,
								.len = item.len };
	bitswap_hold(b);
	l->refs++;
	l->verifying += len;
	b->verifying += len;
	if (l->partner)
		client_verifying(&b->client, l->partner, true, bitswap_now(b));
	if (l->verifying > VERIFY_LINK_MAX || b->verifying > VERIFY_MAX)
		pause_all(l, true);
	uv_queue_work(b->loop, &p->work, on_work, after_work);
	return 0;
}

static void take_presences(struct link *l, struct bitswap_reader r)
{
	struct bitswap_item item;

	while (l->partner && bitswap_msg_next(&r, &item))
		if (item.kind == BITSWAP_HAVE || item.kind == BITSWAP_DONT_HAVE)
			client_said(&l->b->client, l->partner, &item.cid.hash,
				    item.kind == BITSWAP_HAVE, bitswap_now(l->b));
	l->losses = 0;
}

static int on_message(void *arg, const uint8_t *msg, size_t len)
{
	struct inlet *in = arg;
	struct link *l = in->link;
	struct bitswap_reader r;
	uint8_t *bytes = NULL;
	int n;

	n = bitswap_msg_begin(&r, msg, len);
	if (n < 0)
		return n;
	if (r.blocks) {
		/* Keep the buffer it was put together in, or a copy if it came whole. */
		if (msg == in->frame.got.data) {
			bytes = in->frame.got.data;
			in->frame.got = (struct buf){ 0 };
		} else {
			bytes = malloc(len);
			if (!bytes)
				return -ENOMEM;
			memcpy(bytes, msg, len);
			n = bitswap_msg_begin(&r, bytes, len);
		}
	}
	if (r.wants || r.full)
		server_message(l, &r);
	if (r.presences)
		take_presences(l, r);
	if (r.blocks)
		n = take_blocks(l, r, bytes, len);
	bitswap_kick(l->b);
	return n;
}

/* ---- streams ---- */

static void inlet_free(struct inlet *in)
{
	struct link *l = in->link;

	l->held -= in->held;
	l->b->held -= in->held;
	TAILQ_REMOVE(&l->inlets, in, of_link);
	frame_release(&in->frame);
	free(in);
}

static void on_data(void *arg, const uint8_t *data, size_t len)
{
	struct inlet *in = arg;
	struct link *l = in->link;
	struct bitswap *b = l->b;

	if (l->partner)
		client_progress(&b->client, l->partner, len, bitswap_now(b));
	int r = frame_feed(&in->frame, data, len, on_message, in);
	size_t held = in->frame.got.cap;
	l->held += held - in->held;
	b->held += held - in->held;
	in->held = held;
	if (r == 0 && (l->held > HELD_LINK_MAX || (b->held > HELD_MAX && held > 4096)))
		r = -ENOBUFS;
	if (r == 0)
		return;

	char text[PEER_TEXT_MAX];
	log_line(LOG_DEBUG, "bitswap: %s: stream reset: %s", peer_text(&l->peer, text),
		 err_text(r));
	stream_reset(in->st);
	inlet_free(in);
}

static void on_eof(void *arg)
{
	struct inlet *in = arg;
	struct stream *st = in->st;

	/* We have nothing to say here. */
	if (frame_partial(&in->frame)) {
		stream_reset(st);
		inlet_free(in);
	} else {
		stream_close(st);
	}
}

static void on_closed(void *arg, int reason)
{
	inlet_free(arg);
}

static const struct stream_events inlet_events = {
	.on_data = on_data,
	.on_eof = on_eof,
	.on_closed = on_closed,
};

void receive_stream(struct link *l, struct stream *st)
{
	struct inlet *in = calloc(1, sizeof *in);

	if (!in) {
		stream_reset(st);
		return;
	}
	in->link = l;
	in->st = st;
	in->frame.max = BITSWAP_MSG_MAX;
	TAILQ_INSERT_TAIL(&l->inlets, in, of_link);
	stream_on(st, &inlet_events, in);
	stream_timeout(st, SILENCE_MS);
	if (l->paused)
		stream_pause(st, true);
}

void receive_end(struct link *l)
{
	struct inlet *in;

	while ((in = TAILQ_FIRST(&l->inlets))) {
		stream_reset(in->st);
		inlet_free(in);
	}
}

/* ---- blocks that were added here ---- */

struct own {
	uv_work_t work;
	struct bitswap *b;
	struct multihash name;
	struct block *block;
};

static void on_own_work(uv_work_t *work)
{
	struct own *o = container_of(work, struct own, work);

	if (store_get(o->b->store, &o->name, &o->block) < 0)
		o->block = NULL;
}

static void after_own_work(uv_work_t *work, int status)
{
	struct own *o = container_of(work, struct own, work);
	struct bitswap *b = o->b;

	if (o->block && !b->closing)
		client_block(&b->client, NULL, &o->name, o->block, 0, bitswap_now(b));
	block_unref(o->block);
	free(o);
	bitswap_kick(b);
	bitswap_unhold(b);
}

void receive_own(struct bitswap *b, const struct multihash *name)
{
	struct own *o = calloc(1, sizeof *o);

	/* Without memory a peer may still bring it. */
	if (!o)
		return;
	o->b = b;
	o->name = *name;
	bitswap_hold(b);
	uv_queue_work(b->loop, &o->work, on_own_work, after_own_work);
}
