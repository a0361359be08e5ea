/*
 * Whom the client asks, and when it gives up: peers are functions, the clock is
 * a number.
 */
#include "net/bitswap_client.h"
#include "store/error.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#define PEERS 24
#define SIZE  1000
#define ALL   UINT32_MAX

enum manner { HAS, LACKS, DEAD, LIAR, DRIBBLES, LIES_IN_BYTES };

struct sim_peer {
	enum manner manner;
	uint64_t delay;
	uint32_t from, to; /* HAS: blocks [from, to) */
	struct partner *p;
	uint32_t blocks_asked, haves_asked, cancels, on_list, most_on_list;
	uint64_t free_at; /* it sends one block after the other */
	uint64_t per_block;
};

struct event {
	uint64_t at, order;
	enum { SAY_HAVE, SAY_DONT, SEND, SEND_BYTE, SEND_WRONG, ANSWER, COME } kind;
	int peer;
	uint32_t block;
};

struct sim {
	struct client c;
	uint64_t now, order;
	struct sim_peer peers[PEERS];
	struct event *events;
	size_t n_events, cap;
	int searches, searching, most_searching, dials, drops, failures;
	/* What a search finds: a provider of everything, so long after. */
	int provider;
	uint64_t search_delay;
	int search_result;
	struct search *open[64];
};

/* ---- blocks: a name is its number ---- */

static struct multihash name_of(uint32_t i)
{
	struct multihash m = { .code = HASH_SHA2_256, .size = 32 };
	memcpy(m.digest, &i, sizeof i);
	return m;
}

static uint32_t number_of(const struct multihash *m)
{
	uint32_t i;
	memcpy(&i, m->digest, sizeof i);
	return i;
}

static struct peer_id id_of(int i)
{
	return (struct peer_id){ .len = 4, .bytes = { 0, 2, (uint8_t)i, 7 } };
}

/* ---- the world ---- */

static void later(struct sim *s, uint64_t ms, int kind, int peer, uint32_t block)
{
	if (s->n_events == s->cap) {
		s->cap = s->cap ? 2 * s->cap : 256;
		s->events = realloc(s->events, s->cap * sizeof *s->events);
		assert_non_null(s->events);
	}
	/* A heap would be faster; keep the array sorted from the end instead. */
	struct event e = { s->now + ms, s->order++, kind, peer, block };
	size_t i = s->n_events++;
	while (i && s->events[i - 1].at <= e.at) {
		s->events[i] = s->events[i - 1];
		i--;
	}
	s->events[i] = e;
}

static void on_send(void *arg, struct partner *p, const struct cid *cid,
		    enum bitswap_ask ask, int32_t priority)
{
	struct sim *s = arg;
	int i = (int)(intptr_t)p->link;
	struct sim_peer *sp = &s->peers[i];
	uint32_t block = number_of(&cid->hash);
	bool has = sp->manner == HAS && block >= sp->from && block < sp->to;

	assert_true(p->connected);
	if (ask == BITSWAP_ASK_CANCEL) {
		sp->cancels++;
		sp->on_list--;
		return;
	}
	assert_true(p->n_sent <= ASKS_OF_PARTNER);
	if (p->n_sent > sp->most_on_list)
		sp->most_on_list = p->n_sent;
	if (ask == BITSWAP_ASK_HAVE) {
		sp->haves_asked++;
		if (has || sp->manner == LIAR)
			later(s, sp->delay, SAY_HAVE, i, block);
		else if (sp->manner == HAS || sp->manner == LACKS)
			later(s, sp->delay, SAY_DONT, i, block);
		return;
	}
	sp->blocks_asked++;
	if (has) {
		uint64_t start = s->now + sp->delay;
		if (start < sp->free_at)
			start = sp->free_at;
		sp->free_at = start + sp->per_block;
		later(s, sp->free_at - s->now, SEND, i, block);
	} else if (sp->manner == HAS || sp->manner == LACKS) {
		later(s, sp->delay, SAY_DONT, i, block);
	} else if (sp->manner == DRIBBLES) {
		later(s, 1000, SEND_BYTE, i, block);
	} else if (sp->manner == LIES_IN_BYTES) {
		later(s, sp->delay, SEND_WRONG, i, block);
	}
}

static void on_connect(void *arg, const struct peer_id *p)
{
	struct sim *s = arg;

	s->dials++;
	later(s, 20, COME, p->bytes[2], 0);
}

static void on_drop(void *arg, const struct peer_id *p)
{
	((struct sim *)arg)->drops++;
}

static int on_search(void *arg, struct search *search)
{
	struct sim *s = arg;

	s->searches++;
	if (++s->searching > s->most_searching)
		s->most_searching = s->searching;
	for (int i = 0; i < 64; i++)
		if (!s->open[i]) {
			s->open[i] = search;
			later(s, s->search_delay, ANSWER, i, 0);
			return 0;
		}
	return -ENOMEM;
}

static void on_search_stop(void *arg, struct search *search)
{
	struct sim *s = arg;

	s->searching--;
	for (int i = 0; i < 64; i++)
		if (s->open[i] == search)
			s->open[i] = NULL;
	for (size_t i = 0; i < s->n_events; i++)
		if (s->events[i].kind == ANSWER && !s->open[s->events[i].peer])
			s->events[i].block = 1; /* void */
}

static void on_failed(void *arg, const struct cid *cid, int result, uint32_t asked)
{
	((struct sim *)arg)->failures++;
}

static const struct client_ops ops = {
	on_send, on_connect, on_drop, on_search, on_search_stop, on_failed,
};

static void come(struct sim *s, int i)
{
	struct peer_id id = id_of(i);
	s->peers[i].p =
	    client_up(&s->c, &id, (double)s->peers[i].delay, (void *)(intptr_t)i, s->now);
	assert_non_null(s->peers[i].p);
}

static void go(struct sim *s, int i)
{
	client_down(&s->c, s->peers[i].p, s->now);
	s->peers[i].p = NULL;
}

static void happen(struct sim *s, const struct event *e)
{
	struct multihash name = name_of(e->block);
	struct block block = { .data = (const uint8_t *)"x", .size = SIZE, .name = name };

	if (e->kind == COME) {
		come(s, e->peer);
		return;
	}
	if (e->kind == ANSWER) {
		struct search *search = s->open[e->peer];
		if (e->block || !search)
			return;
		s->open[e->peer] = NULL;
		s->searching--;
		if (s->provider >= 0) {
			struct peer_id id = id_of(s->provider);
			client_found(&s->c, search, &id, s->now);
		}
		client_searched(&s->c, search, s->search_result, s->now);
		return;
	}
	struct partner *p = s->peers[e->peer].p;
	if (!p)
		return;
	switch (e->kind) {
	case SAY_HAVE:
	case SAY_DONT:
		client_said(&s->c, p, &name, e->kind == SAY_HAVE, s->now);
		break;
	case SEND:
		client_progress(&s->c, p, SIZE, s->now);
		if (client_wants(&s->c, &name))
			client_block(&s->c, p, &name, &block, 0, s->now);
		break;
	case SEND_BYTE:
		client_progress(&s->c, p, 1, s->now);
		later(s, 1000, SEND_BYTE, e->peer, e->block);
		break;
	case SEND_WRONG:
		client_unwanted(&s->c, p, s->now);
		break;
	default:
		break;
	}
}

static void run(struct sim *s, uint64_t until)
{
	for (;;) {
		uint64_t wake = client_run(&s->c, s->now);
		assert_true(wake > s->now);
		if (s->n_events && s->events[s->n_events - 1].at < wake)
			wake = s->events[s->n_events - 1].at;
		if (wake > until)
			break;
		s->now = wake;
		while (s->n_events && s->events[s->n_events - 1].at <= s->now) {
			struct event e = s->events[--s->n_events];
			happen(s, &e);
		}
	}
	s->now = until;
}

static struct sim *sim_new(void)
{
	struct sim *s = calloc(1, sizeof *s);
	assert_non_null(s);
	s->now = 1000000;
	s->provider = -1;
	s->search_delay = 100;
	for (int i = 0; i < PEERS; i++)
		s->peers[i] = (struct sim_peer){ .manner = HAS, .delay = 10, .to = ALL };
	assert_int_equal(client_init(&s->c, &ops, s, 42, s->now), 0);
	return s;
}

static void sim_free(struct sim *s)
{
	client_release(&s->c);
	free(s->events);
	free(s);
}

/* ---- wants ---- */

struct got {
	int times, result;
	uint64_t at;
	struct sim *s;
};

static void on_done(void *arg, int result, struct block *block)
{
	struct got *g = arg;

	g->times++;
	g->result = result;
	g->at = g->s->now;
	assert_true((result == 0) == (block != NULL));
}

static struct want *want(struct sim *s, struct got *g, uint32_t block, int root,
			 enum want_priority priority)
{
	struct want_request rq = {
		.cid = { .version = 1, .codec = CODEC_RAW, .hash = name_of(block) },
		.root = { .version = root < 0 ? 0xff : 1,
			  .codec = CODEC_DAG_PB,
			  .hash = name_of((uint32_t)root) },
		.priority = priority,
	};
	*g = (struct got){ .s = s };
	struct want *w = client_want(&s->c, &rq, on_done, g, s->now);
	assert_non_null(w);
	assert_int_equal(g->times, 0);
	return w;
}

static void a_connected_peer_is_asked_for_the_block_at_once(void **state)
{
	struct sim *s = sim_new();
	struct got g;

	come(s, 0);
	uint64_t start = s->now;
	want(s, &g, 1, 99, WANT_READER);
	run(s, start + 1000);
	assert_int_equal(g.times, 1);
	assert_int_equal(g.result, 0);
	assert_int_equal(g.at - start, 10); /* one round trip */
	assert_int_equal(s->peers[0].blocks_asked, 1);
	assert_int_equal(s->peers[0].cancels, 0);
	assert_int_equal(s->searches, 0);
	sim_free(s);
}

static void who_had_the_tree_is_asked_alone(void **state)
{
	struct sim *s = sim_new();
	struct got first, g[20];

	for (int i = 0; i < 10; i++) {
		s->peers[i].manner = i == 7 ? HAS : LACKS;
		come(s, i);
	}
	want(s, &first, 99, 99, WANT_READER);
	run(s, s->now + 100);
	assert_int_equal(first.times, 1);
	uint32_t asked = s->peers[3].blocks_asked + s->peers[3].haves_asked;
	uint64_t start = s->now;
	for (uint32_t i = 0; i < 20; i++)
		want(s, &g[i], i, 99, WANT_READAHEAD);
	run(s, s->now + 100);
	for (int i = 0; i < 20; i++) {
		assert_int_equal(g[i].times, 1);
		assert_int_equal(g[i].at - start, 10);
	}
	assert_int_equal(s->peers[3].blocks_asked + s->peers[3].haves_asked, asked);
	assert_true(s->peers[7].blocks_asked >= 21);
	sim_free(s);
}

static void a_fresh_tree_is_asked_of_at_most_sixteen(void **state)
{
	struct sim *s = sim_new();
	struct got g;
	int asked = 0, blocks = 0;

	for (int i = 0; i < PEERS; i++)
		come(s, i);
	want(s, &g, 1, 99, WANT_READER);
	client_run(&s->c, s->now);
	for (int i = 0; i < PEERS; i++) {
		asked += s->peers[i].blocks_asked + s->peers[i].haves_asked;
		blocks += s->peers[i].blocks_asked;
	}
	assert_int_equal(asked, BROADCAST_MAX);
	assert_int_equal(blocks, 2);
	run(s, s->now + 100);
	assert_int_equal(g.times, 1);
	/* The others no longer need to look out for it. */
	int cancels = 0;
	for (int i = 0; i < PEERS; i++)
		cancels += s->peers[i].cancels;
	assert_int_equal(cancels, BROADCAST_MAX - 1);
	sim_free(s);
}

static void hundreds_are_asked_for_in_one_go(void **state)
{
	struct sim *s = sim_new();
	struct got *g = calloc(500, sizeof *g);

	come(s, 0);
	s->peers[0].delay = 50;
	uint64_t start = s->now;
	for (uint32_t i = 0; i < 500; i++)
		want(s, &g[i], i, 99, WANT_READAHEAD);
	run(s, start + 2000);
	uint64_t last = 0;
	for (int i = 0; i < 500; i++) {
		assert_int_equal(g[i].times, 1);
		assert_int_equal(g[i].result, 0);
		if (g[i].at > last)
			last = g[i].at;
	}
	/* One round trip to find out, one for the rest. */
	assert_true(last - start <= 110);
	assert_int_equal(s->peers[0].blocks_asked, 500);
	free(g);
	sim_free(s);
}

static void two_that_have_it_share_the_work(void **state)
{
	struct sim *s = sim_new();
	struct got *g = calloc(1000, sizeof *g);

	for (int i = 0; i < 2; i++) {
		s->peers[i].per_block = i ? 30 : 10;
		come(s, i);
	}
	for (uint32_t i = 0; i < 1000; i++)
		want(s, &g[i], i, 99, WANT_READAHEAD);
	uint64_t start = s->now;
	run(s, start + 60000);
	uint64_t last = 0;
	for (int i = 0; i < 1000; i++) {
		assert_int_equal(g[i].times, 1);
		assert_int_equal(g[i].result, 0);
		if (g[i].at > last)
			last = g[i].at;
	}
	/* Alone the fast one needs 10 s, and both together 7.5 s. */
	assert_true(last - start < 9500);
	assert_true(s->peers[1].blocks_asked > 100);
	free(g);
	sim_free(s);
}

static void a_reader_overtakes_what_is_fetched_ahead(void **state)
{
	struct sim *s = sim_new();
	struct got *g = calloc(900, sizeof *g), reader;
	struct want *w = NULL;

	come(s, 0);
	for (uint32_t i = 0; i < 900; i++) {
		struct want *q = want(s, &g[i], i, 99, WANT_MIRROR);
		if (i == 899)
			w = q;
	}
	client_run(&s->c, s->now);
	uint32_t asked = s->peers[0].blocks_asked;
	assert_true(asked < 100); /* only probes so far */
	run(s, s->now + 9);
	want(s, &reader, 1000, 99, WANT_READER);
	client_raise(w, WANT_READER, s->now);
	run(s, s->now + 12);
	assert_int_equal(reader.times, 1);
	assert_int_equal(g[899].times, 1);
	free(g);
	sim_free(s);
}

static void wants_of_one_block_share_one_question(void **state)
{
	struct sim *s = sim_new();
	struct got a, b, c;

	come(s, 0);
	want(s, &a, 1, 99, WANT_READER);
	struct want *w = want(s, &b, 1, 98, WANT_MIRROR);
	want(s, &c, 1, -1, WANT_READER);
	client_run(&s->c, s->now);
	client_cancel(w, s->now);
	assert_int_equal(b.times, 1);
	assert_int_equal(b.result, -ECANCELED);
	run(s, s->now + 100);
	assert_int_equal(a.times, 1);
	assert_int_equal(c.times, 1);
	assert_int_equal(a.result, 0);
	assert_int_equal(s->peers[0].blocks_asked, 1);
	assert_int_equal(s->c.n_wants, 0);
	sim_free(s);
}

static void a_cancelled_want_is_taken_off_the_list(void **state)
{
	struct sim *s = sim_new();
	struct got g;

	s->peers[0].manner = DEAD;
	come(s, 0);
	struct want *w = want(s, &g, 1, 99, WANT_READER);
	run(s, s->now + 50);
	client_cancel(w, s->now);
	assert_int_equal(g.times, 1);
	assert_int_equal(g.result, -ECANCELED);
	assert_int_equal(s->peers[0].cancels, 1);
	assert_int_equal(s->peers[0].p->n_sent, 0);
	assert_int_equal(s->peers[0].p->inflight, 0);
	assert_int_equal(s->failures, 0);
	run(s, s->now + 100000);
	assert_int_equal(g.times, 1);
	sim_free(s);
}

static void a_refusal_leads_to_a_search_at_once(void **state)
{
	struct sim *s = sim_new();
	struct got g;

	s->peers[0].manner = LACKS;
	s->provider = 1;
	come(s, 0);
	uint64_t start = s->now;
	want(s, &g, 1, 99, WANT_READER);
	run(s, start + 1000);
	assert_int_equal(g.times, 1);
	assert_int_equal(g.result, 0);
	/* refusal 10, search 100, dial 20, block 10 */
	assert_int_equal(g.at - start, 140);
	assert_int_equal(s->dials, 1);
	sim_free(s);
}

static void silence_leads_to_a_search_within_a_second(void **state)
{
	struct sim *s = sim_new();
	struct got g;

	s->peers[0].manner = DEAD;
	s->provider = 1;
	come(s, 0);
	uint64_t start = s->now;
	want(s, &g, 1, 99, WANT_READER);
	run(s, start + 3000);
	assert_int_equal(g.times, 1);
	assert_true(g.at - start >= 200 + 130);
	assert_true(g.at - start <= 1000 + 130);
	sim_free(s);
}

static void providers_of_the_root_are_asked_for_its_blocks(void **state)
{
	struct sim *s = sim_new();
	struct got g[100];

	s->provider = 1;
	for (uint32_t i = 0; i < 100; i++)
		want(s, &g[i], i, 99, WANT_READAHEAD);
	run(s, s->now + 1000);
	for (int i = 0; i < 100; i++) {
		assert_int_equal(g[i].times, 1);
		assert_int_equal(g[i].result, 0);
	}
	assert_int_equal(s->dials, 1);
	assert_true(s->most_searching <= SEARCHES_MAX);
	sim_free(s);
}

static void a_peer_that_comes_later_is_used_at_once(void **state)
{
	struct sim *s = sim_new();
	struct got g[300];

	s->peers[0].manner = LACKS;
	come(s, 0);
	for (uint32_t i = 0; i < 300; i++)
		want(s, &g[i], i, 99, WANT_READER);
	run(s, s->now + 20000);
	assert_int_equal(g[0].times, 0);
	come(s, 1);
	uint64_t start = s->now;
	run(s, start + 1000);
	for (int i = 0; i < 300; i++) {
		assert_int_equal(g[i].times, 1);
		assert_int_equal(g[i].result, 0);
		assert_true(g[i].at - start <= 40);
	}
	sim_free(s);
}

static void nobody_has_it_is_eio_and_a_failure(void **state)
{
	struct sim *s = sim_new();
	struct got g;

	s->peers[0].manner = LACKS;
	come(s, 0);
	uint64_t start = s->now;
	want(s, &g, 1, 99, WANT_READER);
	run(s, start + 59999);
	assert_int_equal(g.times, 0);
	assert_true(s->searches >= 4); /* again and again, further apart */
	assert_true(s->searches <= 20);
	run(s, start + 60000);
	assert_int_equal(g.times, 1);
	assert_int_equal(g.result, -EIO);
	assert_int_equal(s->failures, 1);
	sim_free(s);
}

static void without_any_peer_it_is_unreachable(void **state)
{
	struct sim *s = sim_new();
	struct got g, h;

	s->search_result = -ENETUNREACH;
	uint64_t start = s->now;
	want(s, &g, 1, 99, WANT_READER);
	/* A node that has just started may wait for its first peers. */
	run(s, start + 4000);
	assert_int_equal(g.times, 0);
	run(s, start + 8000);
	assert_int_equal(g.times, 1);
	assert_int_equal(g.result, -ENETUNREACH);
	start = s->now;
	want(s, &h, 2, 99, WANT_READER);
	run(s, start + 300);
	assert_int_equal(h.result, -ENETUNREACH);
	sim_free(s);
}

static void offline_is_unreachable_at_once(void **state)
{
	struct sim *s = sim_new();
	struct got g;

	s->c.offline = true;
	want(s, &g, 1, 99, WANT_READER);
	run(s, s->now + 1);
	assert_int_equal(g.times, 1);
	assert_int_equal(g.result, -ENETUNREACH);
	assert_int_equal(s->searches, 0);
	sim_free(s);
}

static void a_hash_that_cannot_be_verified_is_refused_at_once(void **state)
{
	struct sim *s = sim_new();
	struct want_request rq = {
		.cid = { .version = 1,
			 .codec = CODEC_RAW,
			 .hash = { .code = HASH_BLAKE3, .size = 32 } },
		.root = { .version = 0xff },
	};
	struct got g = { .s = s };

	come(s, 0);
	assert_non_null(client_want(&s->c, &rq, on_done, &g, s->now));
	run(s, s->now + 2);
	assert_int_equal(g.times, 1);
	assert_int_equal(g.result, -ENOTSUP);
	assert_int_equal(s->peers[0].blocks_asked, 0);
	sim_free(s);
}

static void who_waits_for_the_disk_here_is_not_stalling(void **state)
{
	struct sim *s = sim_new();
	struct got g;

	s->peers[0].delay = 1;
	s->peers[1].delay = 50;
	come(s, 0);
	come(s, 1);
	want(s, &g, 99, 99, WANT_READER);
	run(s, s->now + 1000);
	s->peers[0].manner = DEAD;
	client_verifying(&s->c, s->peers[0].p, true, s->now);
	want(s, &g, 1, 99, WANT_READER);
	run(s, s->now + 1900);
	uint32_t asked = s->peers[1].blocks_asked;
	run(s, s->now + 50);
	assert_int_equal(s->peers[1].blocks_asked, asked);
	assert_int_equal(s->peers[0].p->strikes, 0);
	sim_free(s);
}

static void a_peer_that_dies_is_replaced_at_once(void **state)
{
	struct sim *s = sim_new();
	struct got g[50];

	s->peers[0].per_block = 100;
	come(s, 0);
	for (uint32_t i = 0; i < 50; i++)
		want(s, &g[i], i, 99, WANT_READAHEAD);
	run(s, s->now + 500);
	come(s, 1);
	run(s, s->now + 500);
	assert_int_equal(g[49].times, 0);
	go(s, 0);
	uint64_t start = s->now;
	run(s, start + 1000);
	for (int i = 0; i < 50; i++) {
		assert_int_equal(g[i].times, 1);
		assert_int_equal(g[i].result, 0);
		assert_true(g[i].at <= start + 50);
	}
	sim_free(s);
}

static void b70_who_says_have_and_never_delivers_is_passed_over(void **state)
{
	struct sim *s = sim_new();
	struct got g[40];

	s->peers[0].manner = LIAR;
	s->peers[0].delay = 2;
	s->peers[2].manner = LACKS;
	s->peers[2].delay =
	    1; /* the nearest is asked for the block, the others for a HAVE */
	s->peers[1].manner = HAS;
	s->peers[1].delay = 100;
	come(s, 0);
	come(s, 1);
	come(s, 2);
	uint64_t start = s->now;
	for (uint32_t i = 0; i < 20; i++)
		want(s, &g[i], i, 99, WANT_READAHEAD);
	run(s, start + 5000);
	for (int i = 0; i < 20; i++) {
		assert_int_equal(g[i].times, 1);
		assert_int_equal(g[i].result, 0);
		assert_true(g[i].at - start <= 2500);
	}
	/* Its rank has fallen: what comes next goes to the honest one. */
	start = s->now;
	for (uint32_t i = 20; i < 40; i++)
		want(s, &g[i], i, 99, WANT_READAHEAD);
	run(s, start + 1000);
	for (int i = 20; i < 40; i++) {
		assert_int_equal(g[i].times, 1);
		assert_true(g[i].at - start <= 300);
	}
	sim_free(s);
}

static void b70_a_liar_alone_is_a_timeout(void **state)
{
	struct sim *s = sim_new();
	struct got g;

	s->peers[0].manner = LIAR;
	s->peers[1].manner = LACKS;
	come(s, 1);
	come(s, 0);
	want(s, &g, 1, 99, WANT_MIRROR);
	run(s, s->now + 61000);
	assert_int_equal(g.times, 1);
	assert_int_equal(g.result, -ETIMEDOUT);
	sim_free(s);
}

static void b71_a_byte_a_second_is_not_progress(void **state)
{
	struct sim *s = sim_new();
	struct got first, g;

	s->peers[0].delay = 1;
	s->peers[1].delay = 50;
	come(s, 0);
	come(s, 1);
	want(s, &first, 99, 99, WANT_READER);
	run(s, s->now + 1000);
	assert_int_equal(first.times, 1);
	s->peers[0].manner = DRIBBLES;
	uint64_t start = s->now;
	want(s, &g, 1, 99, WANT_READER);
	run(s, start + 10000);
	assert_int_equal(g.times, 1);
	assert_int_equal(g.result, 0);
	assert_true(g.at - start <= 2200);
	sim_free(s);
}

static void b69_wrong_bytes_cost_the_rank_and_then_the_connection(void **state)
{
	struct sim *s = sim_new();
	struct got g[8];

	s->peers[0].manner = LIES_IN_BYTES;
	s->peers[0].delay = 1;
	s->peers[1].delay = 50;
	come(s, 0);
	come(s, 1);
	uint64_t start = s->now;
	for (uint32_t i = 0; i < 8; i++)
		want(s, &g[i], i, 99, WANT_READAHEAD);
	run(s, start + 1500);
	for (int i = 0; i < 8; i++) {
		assert_int_equal(g[i].times, 1);
		assert_int_equal(g[i].result, 0);
		assert_true(g[i].at - start <= 500); /* not only after 2 s of patience */
	}
	assert_true(s->drops > 0);
	sim_free(s);
}

static void a_block_that_was_cancelled_is_no_offence(void **state)
{
	struct sim *s = sim_new();
	struct got g[10];

	s->peers[0].manner = DEAD;
	come(s, 0);
	struct want *w[10];
	for (uint32_t i = 0; i < 10; i++)
		w[i] = want(s, &g[i], i, 99, WANT_READAHEAD);
	client_run(&s->c, s->now);
	for (int i = 0; i < 10; i++)
		client_cancel(w[i], s->now);
	for (int i = 0; i < 10; i++)
		client_unwanted(&s->c, s->peers[0].p, s->now);
	assert_int_equal(s->drops, 0);
	assert_int_equal(s->peers[0].p->strikes, 0);
	client_unwanted(&s->c, s->peers[0].p, s->now);
	assert_int_equal(s->peers[0].p->strikes, 1);
	sim_free(s);
}

static void b68_a_block_nobody_asked_for_is_not_wanted(void **state)
{
	struct sim *s = sim_new();
	struct multihash name = name_of(5);
	struct block block = { .size = 1, .name = name };
	struct got g;

	come(s, 0);
	assert_false(client_wants(&s->c, &name));
	assert_false(client_block(&s->c, s->peers[0].p, &name, &block, 0, s->now));
	want(s, &g, 5, 99, WANT_READER);
	assert_true(client_wants(&s->c, &name));
	assert_true(client_block(&s->c, s->peers[0].p, &name, &block, 0, s->now));
	assert_int_equal(g.times, 1);
	/* The same again is a duplicate. */
	assert_false(client_block(&s->c, s->peers[0].p, &name, &block, 0, s->now));
	assert_int_equal(g.times, 1);
	sim_free(s);
}

static void a_block_that_cannot_be_kept_is_an_error(void **state)
{
	struct sim *s = sim_new();
	struct multihash name = name_of(5);
	struct got g;

	come(s, 0);
	want(s, &g, 5, 99, WANT_READER);
	client_run(&s->c, s->now);
	client_block(&s->c, s->peers[0].p, &name, NULL, -ENOSPC, s->now);
	assert_int_equal(g.times, 1);
	assert_int_equal(g.result, -ENOSPC);
	sim_free(s);
}

static void ten_thousand_absent_blocks_are_bounded(void **state)
{
	struct sim *s = sim_new();
	int n = 10000;
	struct got *g = calloc((size_t)n, sizeof *g);

	for (int i = 0; i < 3; i++) {
		s->peers[i].manner = i ? LACKS : DEAD;
		come(s, i);
	}
	for (int i = 0; i < n; i++)
		want(s, &g[i], (uint32_t)i, 99999, WANT_READER);
	run(s, s->now + 5000);
	assert_true(s->most_searching <= SEARCHES_MAX);
	for (int i = 0; i < 3; i++)
		assert_true(s->peers[i].most_on_list <= ASKS_OF_PARTNER);
	/* Who lacks them is asked for all, a list's length at a time. */
	assert_true(s->peers[1].haves_asked + s->peers[1].blocks_asked >= (uint32_t)n);
	assert_true(sizeof(struct wanted) + 3 * sizeof(struct ask) + sizeof(struct want) <
		    2048);
	/* Somebody who has them all comes. */
	come(s, 3);
	run(s, s->now + 2000);
	for (int i = 0; i < n; i++) {
		assert_int_equal(g[i].times, 1);
		assert_int_equal(g[i].result, 0);
	}
	free(g);
	sim_free(s);
}

static void one_absent_tree_does_not_hold_up_another(void **state)
{
	struct sim *s = sim_new();
	struct got *g = calloc(1000, sizeof *g), h;

	s->peers[0].from = 5000;
	come(s, 0);
	for (uint32_t i = 0; i < 1000; i++)
		want(s, &g[i], i, 99, WANT_READER);
	run(s, s->now + 5);
	uint64_t start = s->now;
	want(s, &h, 6000, 98, WANT_READER);
	run(s, start + 100);
	assert_int_equal(h.times, 1);
	assert_int_equal(h.at - start, 10);
	sim_free(s);
	free(g);
}

struct again {
	struct sim *s;
	struct want *other;
	struct got *got;
	int times;
};

static void on_done_again(void *arg, int result, struct block *block)
{
	struct again *a = arg;

	a->times++;
	if (a->other) {
		struct want *w = a->other;
		a->other = NULL;
		client_cancel(w, a->s->now);
	}
	if (a->times == 1)
		want(a->s, a->got, 1, 99, WANT_READER);
}

static void a_callback_may_cancel_and_want_again(void **state)
{
	struct sim *s = sim_new();
	struct got other, more;
	struct again a = { .s = s, .got = &more };
	struct want_request rq = {
		.cid = { .version = 1, .codec = CODEC_RAW, .hash = name_of(1) },
		.root = { .version = 0xff },
		.timeout_ms = 1000,
	};

	/* First at the time-out of one of two, then with the block. */
	assert_non_null(client_want(&s->c, &rq, on_done_again, &a, s->now));
	a.other = want(s, &other, 1, -1, WANT_READER);
	run(s, s->now + 1500);
	assert_int_equal(a.times, 1);
	assert_int_equal(other.times, 1);
	assert_int_equal(other.result, -ECANCELED);
	assert_int_equal(more.times, 0);
	come(s, 0);
	run(s, s->now + 1000);
	assert_int_equal(more.times, 1);
	assert_int_equal(more.result, 0);
	sim_free(s);
}

static void release_ends_every_want(void **state)
{
	struct sim *s = sim_new();
	struct got g[200];

	s->peers[0].manner = LACKS;
	s->provider = 5;
	come(s, 0);
	for (uint32_t i = 0; i < 200; i++)
		want(s, &g[i], i, (int)(1000 + i % 3), WANT_READER);
	run(s, s->now + 105); /* searching and dialling */
	client_release(&s->c);
	for (int i = 0; i < 200; i++) {
		assert_int_equal(g[i].times, 1);
		assert_int_equal(g[i].result, -ECANCELED);
	}
	free(s->events);
	free(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_connected_peer_is_asked_for_the_block_at_once),
		cmocka_unit_test(who_had_the_tree_is_asked_alone),
		cmocka_unit_test(a_fresh_tree_is_asked_of_at_most_sixteen),
		cmocka_unit_test(hundreds_are_asked_for_in_one_go),
		cmocka_unit_test(two_that_have_it_share_the_work),
		cmocka_unit_test(a_reader_overtakes_what_is_fetched_ahead),
		cmocka_unit_test(wants_of_one_block_share_one_question),
		cmocka_unit_test(a_cancelled_want_is_taken_off_the_list),
		cmocka_unit_test(a_refusal_leads_to_a_search_at_once),
		cmocka_unit_test(silence_leads_to_a_search_within_a_second),
		cmocka_unit_test(providers_of_the_root_are_asked_for_its_blocks),
		cmocka_unit_test(a_peer_that_comes_later_is_used_at_once),
		cmocka_unit_test(nobody_has_it_is_eio_and_a_failure),
		cmocka_unit_test(without_any_peer_it_is_unreachable),
		cmocka_unit_test(offline_is_unreachable_at_once),
		cmocka_unit_test(a_hash_that_cannot_be_verified_is_refused_at_once),
		cmocka_unit_test(who_waits_for_the_disk_here_is_not_stalling),
		cmocka_unit_test(a_peer_that_dies_is_replaced_at_once),
		cmocka_unit_test(b70_who_says_have_and_never_delivers_is_passed_over),
		cmocka_unit_test(b70_a_liar_alone_is_a_timeout),
		cmocka_unit_test(b71_a_byte_a_second_is_not_progress),
		cmocka_unit_test(b69_wrong_bytes_cost_the_rank_and_then_the_connection),
		cmocka_unit_test(a_block_that_was_cancelled_is_no_offence),
		cmocka_unit_test(b68_a_block_nobody_asked_for_is_not_wanted),
		cmocka_unit_test(a_block_that_cannot_be_kept_is_an_error),
		cmocka_unit_test(ten_thousand_absent_blocks_are_bounded),
		cmocka_unit_test(one_absent_tree_does_not_hold_up_another),
		cmocka_unit_test(a_callback_may_cancel_and_want_again),
		cmocka_unit_test(release_ends_every_want),
	};
	return cmocka_run_group_tests_name("bitswap_logic", tests, NULL, NULL);
}
