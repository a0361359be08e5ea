/*
 * Serving: blocks of the store to whoever asks.  Peers take turns of a
 * megabyte, blocks are read in the pool, and sent without a copy; what is read
 * ahead of a peer's stream is bounded.
 */
#include "net/bitswap_internal.h"

#include "store/error.h"

#include <stdlib.h>

#define SMALL_BLOCK          1024        /* sent instead of a HAVE */
#define PACKED_BLOCK         (16u << 10) /* up to this, several go into one message */
#define PACK_MAX             (128u << 10)
#define TURN_BYTES           (1u << 20)
#define TURN_BLOCKS          64
#define TURN_DEMANDS         512
#define OUTSTANDING_LINK_MAX (4u << 20)
#define OUTSTANDING_MAX      (96u << 20)
#define READS_MAX            3 /* at a time: others need the pool too */
#define LOSSES_MAX           3

/* A block on its way out; an error if it could not be read. */
struct serving {
	TAILQ_ENTRY(serving) of_link;
	struct demand *demand;
	struct block *block;
	size_t size; /* counted as outstanding */
	int result;
};

/* Blocks of one turn, in the pool. */
struct batch {
	uv_work_t work;
	struct bitswap *b;
	struct link *link;
	uint32_t n;
	size_t bytes;
	struct serving *servings[TURN_BLOCKS];
};

void server_message(struct link *l, struct bitswap_reader *r)
{
	struct bitswap_reader copy = *r;
	struct bitswap_item item;

	if (r->full)
		ledger_clear(&l->ledger);
	while (bitswap_msg_next(&copy, &item)) {
		if (item.kind == BITSWAP_CANCEL)
			ledger_cancel(&l->ledger, &item.cid.hash);
		else if (item.kind == BITSWAP_WANT)
			ledger_want(&l->ledger, &item);
	}
	server_turn(l);
}

void server_turn(struct link *l)
{
	if (l->has_turn || l->gone)
		return;
	l->has_turn = true;
	TAILQ_INSERT_TAIL(&l->b->turns, l, turn);
}

/* ---- reading ---- */

static void on_work(uv_work_t *work)
{
	struct batch *batch = container_of(work, struct batch, work);

	for (uint32_t i = 0; i < batch->n; i++) {
		struct serving *s = batch->servings[i];
		/* Its CID does not change while it is being read. */
		s->result = store_get(batch->b->store, &s->demand->cid.hash, &s->block);
	}
}

static void serving_free(struct link *l, struct serving *s)
{
	l->outstanding -= s->size;
	l->b->outstanding -= s->size;
	block_unref(s->block);
	demand_done(s->demand);
	free(s);
}

static void write_ready(struct link *l);

static void after_work(uv_work_t *work, int status)
{
	struct batch *batch = container_of(work, struct batch, work);
	struct bitswap *b = batch->b;
	struct link *l = batch->link;

	b->n_reads--;
	for (uint32_t i = 0; i < batch->n; i++) {
		struct serving *s = batch->servings[i];

		if (status < 0)
			s->result = status;
		if (l->gone)
			serving_free(l, s);
		else
			TAILQ_INSERT_TAIL(&l->ready, s, of_link);
	}
	free(batch);
	if (!l->gone) {
		write_ready(l);
		server_turn(l);
	}
	if (!b->closing)
		server_run(b);
	link_unref(l);
	bitswap_unhold(b);
}

/* ---- writing ---- */

static void send_pack(struct link *l)
{
	struct outlet *o = &l->answers;
	struct buf head = { 0 };

	if (!l->pack.len || o->state != OUTLET_OPEN)
		return;
	bitswap_put_answer_head(&head, l->pack.len);
	if (!l->pack.failed && !head.failed) {
		stream_write(o->st, head.data, head.len);
		o->full |= stream_write(o->st, l->pack.data, l->pack.len) == 1;
	}
	o->used = bitswap_now(l->b);
	buf_release(&head);
	if (l->pack.cap > PACK_MAX)
		buf_release(&l->pack);
	else
		buf_clear(&l->pack);
}

static void send_presence(struct link *l, struct demand *d, bool have)
{
	if (!l->answers.presences)
		return;
	bitswap_put_presence(&l->pack, &d->cid, have);
	if (l->pack.len >= PACK_MAX)
		send_pack(l);
}

static void send_block(struct link *l, const struct cid *cid, struct block *block)
{
	struct outlet *o = &l->answers;
	struct buf part = { 0 }, head = { 0 };

	if (block->size <= PACKED_BLOCK) {
		bitswap_put_block_head(&l->pack, cid, block->size, o->old);
		buf_append(&l->pack, block->data, block->size);
		if (l->pack.len >= PACK_MAX)
			send_pack(l);
	} else {
		bitswap_put_block_head(&part, cid, block->size, o->old);
		bitswap_put_answer_head(&head, part.len + block->size);
		buf_append(&head, part.data, part.len);
		if (!head.failed && !part.failed) {
			stream_write(o->st, head.data, head.len);
			o->full |= stream_write_block(o->st, block, 0, block->size) == 1;
		}
		o->used = bitswap_now(l->b);
		buf_release(&part);
		buf_release(&head);
	}
	l->answers_lost = 0;
	l->b->stat.blocks_out++;
	l->b->stat.bytes_out += block->size;
	if (l->tally) {
		l->tally->blocks_out++;
		l->tally->bytes_out += block->size;
	}
}

/* We lack it: say so if asked to, and remember that it is wanted. */
static void lack(struct link *l, struct demand *d)
{
	if (d->send_dont_have && !d->cancelled)
		send_presence(l, d, false);
	demand_stand(d);
}

static void write_ready(struct link *l)
{
	struct serving *s;

	while (l->answers.state == OUTLET_OPEN && !l->answers.full &&
	       (s = TAILQ_FIRST(&l->ready))) {
		TAILQ_REMOVE(&l->ready, s, of_link);
		if (s->result == 0 && !s->demand->cancelled)
			send_block(l, &s->demand->cid, s->block);
		if (s->result < 0) {
			lack(l, s->demand);
			s->demand = NULL;
		}
		l->outstanding -= s->size;
		l->b->outstanding -= s->size;
		block_unref(s->block);
		if (s->demand)
			demand_done(s->demand);
		free(s);
	}
	send_pack(l);
}

/* ---- turns ---- */

/*
 * Whether the store has it.  If not the demand stands; and since it may have
 * come just before that could be seen, look again.
 */
static bool look_up(struct link *l, struct demand *d, size_t *size)
{
	struct bitswap *b = l->b;
	struct cid cid = d->cid;
	bool tell = d->send_dont_have;

	if (store_has(b->store, &d->cid.hash, size) > 0)
		return true;
	demand_stand(d);
	if (store_has(b->store, &cid.hash, NULL) > 0) {
		server_have(b, &cid.hash);
		return false;
	}
	if (tell && l->answers.presences) {
		bitswap_put_presence(&l->pack, &cid, false);
		if (l->pack.len >= PACK_MAX)
			send_pack(l);
	}
	return false;
}

static bool has_room(const struct link *l)
{
	return !l->answers.full && l->outstanding < OUTSTANDING_LINK_MAX &&
	       (l->b->outstanding < OUTSTANDING_MAX || !l->outstanding);
}

static void read_batch(struct link *l, struct batch *batch)
{
	struct bitswap *b = l->b;

	batch->b = b;
	batch->link = l;
	l->refs++;
	b->n_reads++;
	bitswap_hold(b);
	uv_queue_work(b->loop, &batch->work, on_work, after_work);
}

/* One turn.  True if there is more to do at once. */
static bool serve(struct link *l)
{
	struct bitswap *b = l->b;
	struct batch *batch = NULL;
	struct demand *d;
	size_t bytes = 0;
	int n = 0;

	write_ready(l);
	while (n < TURN_DEMANDS && bytes < TURN_BYTES && has_room(l) &&
	       (d = ledger_next(&l->ledger))) {
		struct serving *s;
		size_t size;

		n++;
		if (!look_up(l, d, &size))
			continue;
		if (d->want_have && size >= SMALL_BLOCK) {
			send_presence(l, d, true);
			demand_done(d);
			continue;
		}
		s = calloc(1, sizeof *s);
		if (s && !batch)
			batch = calloc(1, sizeof *batch);
		if (!s || !batch) {
			free(s);
			demand_again(d);
			break;
		}
		s->demand = d;
		s->size = size + sizeof *s;
		l->outstanding += s->size;
		b->outstanding += s->size;
		bytes += size;
		if (store_cached(b->store, &d->cid.hash, &s->block) == 0) {
			TAILQ_INSERT_TAIL(&l->ready, s, of_link);
		} else {
			batch->servings[batch->n++] = s;
			if (batch->n == TURN_BLOCKS)
				break;
		}
	}
	if (batch && batch->n)
		read_batch(l, batch);
	else
		free(batch);
	write_ready(l);
	return n && has_room(l) && heap_min(&l->ledger.queue);
}

void server_run(struct bitswap *b)
{
	struct link *l;

	while (b->n_reads < READS_MAX && (l = TAILQ_FIRST(&b->turns))) {
		TAILQ_REMOVE(&b->turns, l, turn);
		l->has_turn = false;
		if (l->answers.state == OUTLET_OPEN) {
			if (serve(l))
				server_turn(l);
		} else if (heap_min(&l->ledger.queue) || !TAILQ_EMPTY(&l->ready)) {
			outlet_open(&l->answers);
		}
	}
}

static void woken(void *arg, struct ledger *ledger)
{
	server_turn(container_of(ledger, struct link, ledger));
}

void server_have(struct bitswap *b, const struct multihash *name)
{
	if (atomic_load(&b->ledgers.n_standing))
		ledgers_have(&b->ledgers, name, woken, NULL);
}

/* ---- the end ---- */

static void give_up(struct link *l)
{
	struct serving *s;

	while ((s = TAILQ_FIRST(&l->ready))) {
		TAILQ_REMOVE(&l->ready, s, of_link);
		serving_free(l, s);
	}
	buf_release(&l->pack);
	ledger_clear(&l->ledger);
}

void server_lost(struct link *l, int reason)
{
	buf_release(&l->pack);
	if (reason == -EPROTONOSUPPORT || ++l->answers_lost > LOSSES_MAX) {
		give_up(l);
		return;
	}
	server_turn(l);
	bitswap_kick(l->b);
}

void server_end(struct link *l)
{
	give_up(l);
	ledger_release(&l->ledger);
	if (l->has_turn)
		TAILQ_REMOVE(&l->b->turns, l, turn);
	l->has_turn = false;
}
