#include "fs/parked.h"

#include "store/error.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

/*
 * Each round brings at least one block that was lacking, so this is more than
 * any tree within DAG_DEPTH_MAX and any path needs; it ends an operation whose
 * blocks are evicted as fast as they come.
 */
#define ROUNDS_MAX 4096
#define RUNNERS    2 /* of the pool's four threads; the others verify blocks */

enum parked_state {
	PARKED_POSTED,
	PARKED_WAITING,
	PARKED_READY,
	PARKED_RUNNING,
	PARKED_ENDED,
};

struct awaited {
	struct parked *op; /* NULL: it is a name */
	void *want;
};

struct parking {
	struct blocks *blocks;
	struct name_source *names;
	uint64_t timeout;
	bool keep;
	atomic_ullong count;
	_Atomic uint64_t yielding;
	atomic_bool closing;

	/* loop thread */
	struct parked *waiting;
	int runners;
	void (*closed)(void *arg);
	void *closed_arg;

	pthread_mutex_t lock;
	struct parked *ready, **ready_end;
};

/* From the thread that parks to the loop thread. */
struct posted {
	struct parked *op;
	struct lack lack;
	struct cid cids[];
};

int parking_new(struct parking **out, struct blocks *b, struct name_source *names,
		uint64_t timeout_ms)
{
	struct parking *p = calloc(1, sizeof *p);

	if (!p)
		return -ENOMEM;
	p->blocks = b;
	p->names = names;
	p->timeout = timeout_ms;
	p->ready_end = &p->ready;
	pthread_mutex_init(&p->lock, NULL);
	*out = p;
	return 0;
}

void parking_keep(struct parking *p)
{
	p->keep = true;
}

void parked_ref(struct parked *op)
{
	atomic_fetch_add(&op->refs, 1);
}

void parked_unref(struct parked *op)
{
	if (atomic_fetch_sub(&op->refs, 1) == 1)
		free(op);
}

static void check_idle(void *arg)
{
	struct parking *p = arg;
	void (*closed)(void *) = p->closed;

	if (!closed || p->runners > 0 || atomic_load(&p->count) > 0)
		return;
	p->closed = NULL;
	closed(p->closed_arg);
}

/* The only way out, on whatever thread. */
static void finish(struct parked *op, int result)
{
	struct parking *p = op->parking;

	free(op->awaited);
	op->awaited = NULL;
	op->end(op, result);
	parked_unref(op);
	atomic_fetch_sub(&p->count, 1);
}

/* Why it must not go on, or 0. */
static int stopped(struct parked *op)
{
	struct parking *p = op->parking;
	int reason = atomic_load(&op->reason);

	if (reason == 0 && atomic_load(&p->closing))
		return -ENOTCONN;
	if (reason == 0 && op->dir && !op->again && op->dir == atomic_load(&p->yielding))
		return -ESTALE;
	return reason;
}

static void on_posted(void *arg);

static int post(struct parked *op, const struct lack *lack)
{
	struct parking *p = op->parking;
	size_t n = lack ? lack->blocks.n : 0;
	struct posted *m = malloc(sizeof *m + n * sizeof *m->cids);
	int r;

	if (!m)
		return -ENOMEM;
	m->op = op;
	m->lack = lack ? *lack : (struct lack){ .top.version = 0xff };
	m->lack.blocks.cids = m->cids;
	if (n)
		memcpy(m->cids, lack->blocks.cids, n * sizeof *m->cids);
	atomic_store(&op->state, PARKED_POSTED);
	r = p->blocks->post(p->blocks, on_posted, m);
	if (r < 0)
		free(m);
	return r;
}

void parked_init(struct parked *op, struct parking *p)
{
	op->parking = p;
	op->deadline = p->blocks->now(p->blocks) + p->timeout;
	op->awaited = NULL;
	op->rounds = 0;
	atomic_init(&op->refs, 1);
	atomic_init(&op->reason, 0);
	atomic_init(&op->state, PARKED_POSTED);
}

int parking_add(struct parked *op, const struct lack *lack)
{
	struct parking *p = op->parking;
	int r;

	/* Counted first: who closes either sees the count, or is seen here. */
	atomic_fetch_add(&p->count, 1);
	r = atomic_load(&p->closing) ? -ENOTCONN : post(op, lack);
	if (r < 0) {
		atomic_fetch_sub(&p->count, 1);
		if (atomic_load(&p->closing))
			p->blocks->post(p->blocks, check_idle, p);
	}
	return r;
}

static void drop_wants(struct parked *op)
{
	struct parking *p = op->parking;

	/* Cancelling calls on_block() at once, which must find nothing to do. */
	for (uint16_t i = 0; i < op->n_awaited; i++) {
		void *w = op->awaited[i].want;

		if (!w)
			continue;
		op->awaited[i].want = NULL;
		if (op->awaited[i].op)
			p->blocks->cancel(p->blocks, w);
		else
			p->names->cancel(p->names, w);
	}
	free(op->awaited);
	op->awaited = NULL;
	op->n_awaited = 0;
}

static void run_ready(void *arg);
static void on_runner_done(void *arg);

static void start_runner(struct parking *p)
{
	if (p->runners == RUNNERS)
		return;
	p->runners++;
	if (p->blocks->work(p->blocks, run_ready, on_runner_done, p) < 0) {
		/* Out of memory: better slow than never. */
		run_ready(p);
		p->runners--;
	}
}

static void on_runner_done(void *arg)
{
	struct parking *p = arg;
	bool more;

	p->runners--;
	pthread_mutex_lock(&p->lock);
	more = p->ready;
	pthread_mutex_unlock(&p->lock);
	if (more)
		start_runner(p);
	check_idle(p);
}

static void make_ready(struct parked *op)
{
	struct parking *p = op->parking;

	atomic_store(&op->state, PARKED_READY);
	op->next = NULL;
	pthread_mutex_lock(&p->lock);
	*p->ready_end = op;
	p->ready_end = &op->next;
	pthread_mutex_unlock(&p->lock);
	start_runner(p);
}

/* Out of WAITING, on the loop thread. */
static void leave(struct parked *op, int result)
{
	struct parking *p = op->parking;

	*op->at = op->next;
	if (op->next)
		op->next->at = op->at;
	drop_wants(op);
	if (result == 0) {
		make_ready(op);
	} else {
		atomic_store(&op->state, PARKED_ENDED);
		finish(op, result);
		check_idle(p);
	}
}

static void on_block(void *arg, int result, struct block *block)
{
	struct awaited *a = arg;
	struct parked *op = a->op;

	if (!a->want)
		return; /* we cancelled it */
	a->want = NULL;
	op->open--;
	if (result < 0)
		leave(op, result);
	else if (op->open == 0)
		leave(op, 0);
}

static void on_name(void *arg, int result)
{
	struct parked *op = arg;

	op->awaited[0].want = NULL;
	leave(op, result);
}

static int start_wants(struct parked *op, const struct lack *lack)
{
	struct parking *p = op->parking;
	uint64_t now = p->blocks->now(p->blocks);
	size_t n = lack->blocks.n;

	if (lack->name.len) {
		op->awaited = calloc(1, sizeof *op->awaited);
		if (!op->awaited)
			return -ENOMEM;
		op->n_awaited = op->open = 1;
		op->awaited[0].want = p->names->want(p->names, &lack->name, on_name, op);
		return op->awaited[0].want ? 0 : -ENOMEM;
	}
	if (n == 0)
		return 0;
	if (now >= op->deadline)
		return -EIO;
	op->awaited = calloc(n, sizeof *op->awaited);
	if (!op->awaited)
		return -ENOMEM;
	op->n_awaited = n;
	for (size_t i = 0; i < n; i++) {
		struct want_request rq = {
			.cid = lack->blocks.cids[i],
			.root = lack->top,
			.priority = op->priority,
			.keep = p->keep,
			.timeout_ms = op->deadline - now,
		};
		struct awaited *a = &op->awaited[i];

		if (source_has(p->blocks->source, &rq.cid))
			continue; /* it came in the meantime */
		a->op = op;
		a->want = p->blocks->want(p->blocks, &rq, on_block, a);
		if (!a->want)
			return -ENOMEM;
		op->open++;
	}
	return 0;
}

static void on_posted(void *arg)
{
	struct posted *m = arg;
	struct parked *op = m->op;
	struct parking *p = op->parking;
	int r;

	op->next = p->waiting;
	op->at = &p->waiting;
	if (op->next)
		op->next->at = &op->next;
	p->waiting = op;
	op->open = 0;
	op->n_awaited = 0;
	atomic_store(&op->state, PARKED_WAITING);

	r = stopped(op);
	if (r == 0 && op->rounds++ == ROUNDS_MAX)
		r = -EIO;
	if (r == 0)
		r = start_wants(op, &m->lack);
	if (r < 0 || op->open == 0)
		leave(op, r);
	free(m);
}

/* A pool thread takes what is ready until nothing is. */
static void run_ready(void *arg)
{
	struct parking *p = arg;
	struct cid cids[LACK_MAX];

	for (;;) {
		struct lack lack = { .blocks = { .cids = cids, .max = LACK_MAX } };
		struct parked *op;
		int r;

		pthread_mutex_lock(&p->lock);
		op = p->ready;
		if (op)
			p->ready = op->next;
		if (!p->ready)
			p->ready_end = &p->ready;
		pthread_mutex_unlock(&p->lock);
		if (!op)
			break;

		atomic_store(&op->state, PARKED_RUNNING);
		lack.top.version = 0xff;
		r = stopped(op);
		if (r == 0)
			r = op->run(op, &lack);
		if (r == ERR_MISSING && !lack.name.len && p->blocks->offline(p->blocks))
			r = -ENETUNREACH;
		if (r == ERR_MISSING)
			r = post(op, &lack) == 0 ? 1 : -ENOMEM;
		if (r <= 0)
			finish(op, r);
	}
}

static void on_cancel(void *arg)
{
	struct parked *op = arg;

	if (atomic_load(&op->state) == PARKED_WAITING)
		leave(op, atomic_load(&op->reason));
	parked_unref(op);
}

void parked_cancel(struct parked *op, int reason)
{
	struct parking *p = op->parking;
	int none = 0;

	if (!atomic_compare_exchange_strong(&op->reason, &none, reason))
		return;
	parked_ref(op);
	if (p->blocks->post(p->blocks, on_cancel, op) < 0)
		parked_unref(op);
}

static void on_yield(void *arg)
{
	struct parking *p = arg;
	uint64_t dir = atomic_load(&p->yielding);

	for (struct parked *op = p->waiting, *next; op && dir; op = next) {
		next = op->next;
		if (op->dir == dir)
			leave(op, op->again ? 0 : -ESTALE);
	}
}

void parking_yield(struct parking *p, uint64_t dir)
{
	atomic_store(&p->yielding, dir);
	if (dir)
		p->blocks->post(p->blocks, on_yield, p);
}

uint64_t parking_count(struct parking *p)
{
	return atomic_load(&p->count);
}

void parking_close(struct parking *p, void (*done)(void *arg), void *arg)
{
	atomic_store(&p->closing, true);
	while (p->waiting)
		leave(p->waiting, -ENOTCONN);
	p->closed = done;
	p->closed_arg = arg;
	p->blocks->post(p->blocks, check_idle, p);
}

void parking_free(struct parking *p)
{
	if (!p)
		return;
	pthread_mutex_destroy(&p->lock);
	free(p);
}
