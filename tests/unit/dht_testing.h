/* Nodes of a DHT in one process, over loopback. */
#ifndef TESTS_DHT_TESTING_H
#define TESTS_DHT_TESTING_H

#include "net/routing.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>

struct test_node {
	struct secret_key key;
	struct peer_id id;
	struct addr addr; /* with /p2p */
	struct swarm *swarm;
	struct routing *routing;
};

struct test_loop {
	uv_loop_t loop;
	uv_timer_t guard;
	uint64_t end;
};

/* Only so that the loop looks up. */
static inline void test_loop_on_guard(uv_timer_t *t)
{
}

static inline void test_loop_init(struct test_loop *l)
{
	signal(SIGPIPE, SIG_IGN); /* as in any program that has sockets */
	uv_loop_init(&l->loop);
	uv_timer_init(&l->loop, &l->guard);
	uv_unref((uv_handle_t *)&l->guard);
}

/* Run until it is so; false after `ms`, which a loaded machine must not reach. */
static inline bool test_loop_until(struct test_loop *l, bool (*so)(void *arg), void *arg,
				   uint64_t ms)
{
	uv_update_time(&l->loop);
	l->end = uv_now(&l->loop) + ms;
	uv_timer_start(&l->guard, test_loop_on_guard, 2, 2);
	while (!so(arg) && uv_now(&l->loop) < l->end)
		uv_run(&l->loop, UV_RUN_ONCE);
	uv_timer_stop(&l->guard);
	return so(arg);
}

static inline bool test_flag(void *arg)
{
	return *(bool *)arg;
}

static inline void test_set_flag(void *arg)
{
	*(bool *)arg = true;
}

/* Listens on a port of its own; no DHT yet. */
static inline int test_node_listen(struct test_loop *l, struct test_node *n,
				   const char *listen)
{
	struct swarm_config cfg = { .loop = &l->loop, .key = &n->key, .agent = "test" };
	struct addr a;
	int r;

	*n = (struct test_node){ 0 };
	key_generate(&n->key);
	r = swarm_new(&n->swarm, &cfg);
	if (r < 0)
		return r;
	n->id = *swarm_self(n->swarm);
	r = addr_parse(&a, listen);
	if (r == 0)
		r = swarm_listen(n->swarm, &a);
	if (r == 0 && swarm_addrs(n->swarm, &n->addr, 1) != 1)
		r = -1;
	return r < 0 ? r : addr_add_peer(&n->addr, &n->id);
}

static inline int test_node_route(struct test_node *n, const char *prefix,
				  enum dht_mode mode, const struct addr *bootstrap)
{
	struct routing_config cfg = { .swarm = n->swarm,
				      .prefix = prefix,
				      .mode = mode,
				      .bootstrap = bootstrap,
				      .n_bootstrap = bootstrap ? 1 : 0 };

	return routing_new(&n->routing, &cfg);
}

static inline void test_node_end(struct test_loop *l, struct test_node *n)
{
	bool gone = false;

	if (n->routing)
		routing_free(n->routing);
	swarm_free(n->swarm, test_set_flag, &gone);
	test_loop_until(l, test_flag, &gone, 10000);
}

static inline int test_loop_end(struct test_loop *l)
{
	uv_close((uv_handle_t *)&l->guard, NULL);
	uv_run(&l->loop, UV_RUN_DEFAULT);
	return uv_loop_close(&l->loop);
}

#endif
