#include "fs/blocks.h"
#include "store/error.h"

#include <stdlib.h>
#include <time.h>

struct node_blocks {
	struct blocks b;
	struct node *node;
	struct block_source both; /* extra, then the store */
	struct block_source *extra;
};

static struct node *node_of(struct blocks *b)
{
	return ((struct node_blocks *)b)->node;
}

static struct node_blocks *of_both(struct block_source *s)
{
	return (struct node_blocks *)((char *)s - offsetof(struct node_blocks, both));
}

static int get_both(struct block_source *self, const struct cid *cid, struct block **out)
{
	struct node_blocks *b = of_both(self);
	int r = source_get(b->extra, cid, out);

	return r == ERR_MISSING ? source_get(store_source(b->node->store), cid, out) : r;
}

static int has_both(struct block_source *self, const struct cid *cid)
{
	struct node_blocks *b = of_both(self);

	return source_has(b->extra, cid) > 0 ||
	       source_has(store_source(b->node->store), cid) > 0;
}

static struct want *want(struct blocks *b, const struct want_request *rq, want_fn done,
			 void *arg)
{
	return bitswap_want(node_of(b)->bitswap, rq, done, arg);
}

static void cancel(struct blocks *b, struct want *w)
{
	want_cancel(w);
}

static int post(struct blocks *b, void (*fn)(void *arg), void *arg)
{
	return node_post(node_of(b), fn, arg);
}

struct work {
	uv_work_t uv;
	void (*fn)(void *arg);
	void (*done)(void *arg);
	void *arg;
};

static void on_pool(uv_work_t *uv)
{
	struct work *w = uv->data;

	w->fn(w->arg);
}

static void on_worked(uv_work_t *uv, int status)
{
	struct work *w = uv->data;

	w->done(w->arg);
	free(w);
}

static int work(struct blocks *b, void (*fn)(void *arg), void (*done)(void *arg),
		void *arg)
{
	struct work *w = malloc(sizeof *w);
	int r;

	if (!w)
		return -ENOMEM;
	*w = (struct work){ .fn = fn, .done = done, .arg = arg };
	w->uv.data = w;
	r = uv_queue_work(node_of(b)->loop, &w->uv, on_pool, on_worked);
	if (r < 0)
		free(w);
	return r < 0 ? -ENOMEM : 0;
}

static uint64_t now(struct blocks *b)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static bool offline(struct blocks *b)
{
	return node_of(b)->offline;
}

struct blocks *node_blocks(struct node *n, struct block_source *extra)
{
	struct node_blocks *b = malloc(sizeof *b);

	if (!b)
		return NULL;
	*b = (struct node_blocks){
	    .b =
		{
		    .source = store_source(n->store),
		    .want = want,
		    .cancel = cancel,
		    .post = post,
		    .work = work,
		    .now = now,
		    .offline = offline,
		},
	    .node = n,
	    .both = { .get = get_both, .has = has_both },
	    .extra = extra,
	};
	if (extra)
		b->b.source = &b->both;
	return &b->b;
}

void node_blocks_free(struct blocks *b)
{
	free(b);
}
