#include "fs/waiting.h"

#include "store/error.h"

#include <pthread.h>
#include <stdlib.h>
#include <sys/queue.h>

/* One thread that waits.  Lives on its stack. */
struct waiter {
	LIST_ENTRY(waiter) in;
	struct waiting *of;
	struct cid cid;
	struct want *want; /* loop thread */
	struct block *block;
	int result;
	bool done;
	pthread_cond_t ended;
};

struct waiting {
	struct block_source source;
	struct blocks *blocks;
	pthread_mutex_t lock;
	LIST_HEAD(, waiter) waiters; /* those not done */
	bool stopped;
};

/* With the lock. */
static void finish(struct waiter *w, int result, struct block *block)
{
	LIST_REMOVE(w, in);
	w->want = NULL;
	w->result = result;
	w->block = block;
	w->done = true;
	pthread_cond_signal(&w->ended);
}

static void on_block(void *arg, int result, struct block *block)
{
	struct waiter *w = arg;
	struct waiting *of = w->of;

	pthread_mutex_lock(&of->lock);
	finish(w, result < 0 ? result : 0, result < 0 ? NULL : block_ref(block));
	pthread_mutex_unlock(&of->lock);
}

/* Loop thread: ask for all that has not been asked for. */
static void ask(void *arg)
{
	struct waiting *of = arg;
	struct waiter *w, *next;

	pthread_mutex_lock(&of->lock);
	for (w = LIST_FIRST(&of->waiters); w && !of->stopped; w = next) {
		next = LIST_NEXT(w, in);
		if (w->want)
			continue;
		struct want_request rq = { .cid = w->cid,
					   .root = { .version = 0xff },
					   .priority = WANT_READER,
					   .keep = true };
		w->want = of->blocks->want(of->blocks, &rq, on_block, w);
		if (!w->want)
			finish(w, -ENOMEM, NULL);
	}
	pthread_mutex_unlock(&of->lock);
}

static int get(struct block_source *self, const struct cid *cid, struct block **out)
{
	struct waiting *of = (struct waiting *)self;
	struct waiter w = { .of = of, .cid = *cid };
	int r = source_get(of->blocks->source, cid, out);

	if (r != ERR_MISSING)
		return r;
	pthread_mutex_lock(&of->lock);
	if (of->stopped || of->blocks->offline(of->blocks) || of->blocks->post(of->blocks, ask, of) < 0) {
		pthread_mutex_unlock(&of->lock);
		return ERR_MISSING;
	}
	pthread_cond_init(&w.ended, NULL);
	LIST_INSERT_HEAD(&of->waiters, &w, in);
	while (!w.done)
		pthread_cond_wait(&w.ended, &of->lock);
	pthread_mutex_unlock(&of->lock);
	pthread_cond_destroy(&w.ended);
	if (w.result == 0)
		*out = w.block;
	return w.result;
}

int waiting_new(struct waiting **out, struct blocks *b)
{
	struct waiting *of = calloc(1, sizeof *of);

	if (!of)
		return -ENOMEM;
	of->source.get = get;
	of->blocks = b;
	pthread_mutex_init(&of->lock, NULL);
	LIST_INIT(&of->waiters);
	*out = of;
	return 0;
}

struct block_source *waiting_source(struct waiting *w)
{
	return &w->source;
}

void waiting_stop(struct waiting *of)
{
	struct want *want;
	struct waiter *w;

	pthread_mutex_lock(&of->lock);
	of->stopped = true;
	while ((w = LIST_FIRST(&of->waiters))) {
		want = w->want;
		if (!want) {
			finish(w, -ECANCELED, NULL);
			continue;
		}
		/* Its callback takes the lock, and ends it. */
		pthread_mutex_unlock(&of->lock);
		of->blocks->cancel(of->blocks, want);
		pthread_mutex_lock(&of->lock);
	}
	pthread_mutex_unlock(&of->lock);
}

void waiting_free(struct waiting *of)
{
	if (!of)
		return;
	pthread_mutex_destroy(&of->lock);
	free(of);
}
