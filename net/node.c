#include "net/node.h"

#include "net/bitswap_internal.h"
#include "store/error.h"
#include "store/log.h"

#include <stdlib.h>
#include <string.h>

#define AGENT "cairn/" CAIRN_VERSION

struct posted {
	struct posted *next;
	void (*fn)(void *arg);
	void *arg;
};

struct node_private {
	struct node node;
	uv_async_t async;
	uv_mutex_t lock;
	struct posted *first, **last; /* under the lock */
	char *dir;
	void (*done)(void *arg);
	void *done_arg;
};

int node_post(struct node *n, void (*fn)(void *arg), void *arg)
{
	struct node_private *p = n->private;
	struct posted *call = malloc(sizeof *call);

	if (!call)
		return -ENOMEM;
	*call = (struct posted){ .fn = fn, .arg = arg };
	uv_mutex_lock(&p->lock);
	*p->last = call;
	p->last = &call->next;
	uv_mutex_unlock(&p->lock);
	uv_async_send(&p->async);
	return 0;
}

static void run_posted(struct node_private *p)
{
	uv_mutex_lock(&p->lock);
	struct posted *call = p->first;
	p->first = NULL;
	p->last = &p->first;
	uv_mutex_unlock(&p->lock);
	while (call) {
		struct posted *next = call->next;

		call->fn(call->arg);
		free(call);
		call = next;
	}
}

static void on_posted(uv_async_t *async)
{
	run_posted(async->data);
}

/* ---- the start ---- */

static int start_parts(struct node *n, const struct node_config *cfg)
{
	struct swarm_config swarm = { .loop = cfg->loop,
				      .key = cfg->key,
				      .agent = AGENT };
	int r = swarm_new(&n->swarm, &swarm);
	if (r < 0)
		return r;

	/* Offline the parts are there, and find nobody. */
	struct routing_config routing = {
		.swarm = n->swarm,
		.prefix = cfg->prefix,
		.mode = cfg->offline ? DHT_CLIENT : cfg->dht,
		.bootstrap = cfg->bootstrap,
		.n_bootstrap = cfg->offline ? 0 : cfg->n_bootstrap,
	};
	r = routing_new(&n->routing, &routing);
	if (r < 0)
		return r;
	r = names_new(&n->names, n->routing, n->dir);
	if (r < 0)
		return r;
	r = bitswap_new(&n->bitswap, n->swarm, n->routing, n->store);
	if (r < 0)
		return r;
	if (cfg->offline) {
		bitswap_offline(n->bitswap);
		return 0;
	}
	for (int i = 0; i < cfg->n_listen; i++) {
		char text[ADDR_TEXT_MAX];

		r = swarm_listen(n->swarm, &cfg->listen[i]);
		if (r < 0) {
			log_line(LOG_ERROR, "cannot listen on %s: %s",
				 addr_text(&cfg->listen[i], text), err_text(r));
			return r;
		}
	}
	return 0;
}

static void on_failed_start(void *arg)
{
}

int node_start(struct node **out, const struct node_config *cfg)
{
	struct node_private *p = calloc(1, sizeof *p);
	int r = -ENOMEM;

	if (!p)
		return -ENOMEM;
	p->last = &p->first;
	p->dir = strdup(cfg->dir);
	if (!p->dir)
		goto out;
	r = uv_mutex_init(&p->lock);
	if (r < 0)
		goto out;
	r = uv_async_init(cfg->loop, &p->async, on_posted);
	if (r < 0) {
		uv_mutex_destroy(&p->lock);
		goto out;
	}
	p->async.data = p;
	p->node = (struct node){
		.loop = cfg->loop,
		.store = cfg->store,
		.dir = p->dir,
		.offline = cfg->offline,
		.private = p,
	};
	r = start_parts(&p->node, cfg);
	if (r < 0) {
		/* What was started ends on the loop, which has to run for that. */
		node_stop(&p->node, on_failed_start, NULL);
		return r;
	}
	*out = &p->node;
	return 0;
out:
	free(p->dir);
	free(p);
	return r;
}

/* ---- the end, in the order of what needs what ---- */

static void on_async_closed(uv_handle_t *h)
{
	struct node_private *p = h->data;
	void (*done)(void *arg) = p->done;
	void *arg = p->done_arg;

	run_posted(p);
	uv_mutex_destroy(&p->lock);
	free(p->dir);
	free(p);
	done(arg);
}

static void on_swarm_freed(void *arg)
{
	struct node_private *p = arg;

	uv_close((uv_handle_t *)&p->async, on_async_closed);
}

static void on_bitswap_freed(void *arg)
{
	struct node_private *p = arg;
	struct node *n = &p->node;

	n->bitswap = NULL;
	if (n->names)
		names_free(n->names);
	n->names = NULL;
	if (n->routing)
		routing_free(n->routing);
	n->routing = NULL;
	if (n->swarm)
		swarm_free(n->swarm, on_swarm_freed, p);
	else
		on_swarm_freed(p);
	n->swarm = NULL;
}

void node_stop(struct node *n, void (*done)(void *arg), void *arg)
{
	struct node_private *p = n->private;

	p->done = done;
	p->done_arg = arg;
	if (n->bitswap)
		bitswap_free(n->bitswap, on_bitswap_freed, p);
	else
		on_bitswap_freed(p);
}
