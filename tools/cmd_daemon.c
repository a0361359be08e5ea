/*
 * cairn daemon: one process that owns the repository, the network and the
 * mounts.  It ends in the order mounts, sessions, network, store.
 */
#include "store/error.h"
#include "store/log.h"
#include "tools/config.h"
#include "tools/pins.h"
#include "tools/provide.h"
#include "tools/repo.h"
#include "tools/server.h"

#include <malloc.h>
#include <signal.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CACHE_BYTES (12u << 20) /* of decoded blocks: a few readers' leaves */

struct ending {
	struct daemon daemon;
	uv_signal_t signals[2];
	bool again;
};

static void on_node_stopped(void *arg)
{
	/* Nothing to do: with its last handle gone the loop ends by itself. */
}

static void stop_network(struct daemon *d)
{
	struct ending *e = (struct ending *)d;

	for (int i = 0; i < 2; i++)
		uv_close((uv_handle_t *)&e->signals[i], NULL);
	provide_free(d->provide);
	server_free(d->server);
	node_stop(d->node, on_node_stopped, d);
}

/* When mounts and snapshots have ended. */
static void stop_if_quiet(struct daemon *d)
{
	if (d->stopping && !d->mounts && !d->keeper)
		stop_network(d);
}

static void on_keeper_stopped(void *arg)
{
	struct daemon *d = arg;

	d->keeper = NULL;
	stop_if_quiet(d);
}

static void on_unmounted(void *arg)
{
	struct mounted *m = arg, **p;
	struct daemon *d = m->daemon;

	for (p = &d->mounts; *p != m; p = &(*p)->next)
		;
	*p = m->next;
	if (m->ended)
		m->ended(m->ended_arg);
	mounted_free(m);
	stop_if_quiet(d);
}

int mounted_stop(struct mounted *m, void (*done)(void *arg), void *arg)
{
	if (m->ending)
		return -EALREADY;
	m->ending = true;
	m->ended = done;
	m->ended_arg = arg;
	mount_on_gone(m->mount, NULL, NULL);
	mount_stop(m->mount, on_unmounted, m);
	return 0;
}

void daemon_stop(struct daemon *d)
{
	struct mounted *m, *next;

	if (d->stopping)
		return;
	d->stopping = true;
	server_stop(d->server);
	waiting_stop(d->waiting);
	keeper_stop(d->keeper, on_keeper_stopped, d);
	for (m = d->mounts; m; m = next) {
		next = m->next;
		mounted_stop(m, NULL, NULL);
	}
}

static void on_signal(uv_signal_t *s, int number)
{
	struct ending *e = s->data;

	if (e->again)
		_exit(128 + number);
	e->again = true;
	daemon_stop(&e->daemon);
}

/* Where threads of their own wait for blocks. */
static int start_waiting(struct daemon *d)
{
	d->blocks = node_blocks(d->node, NULL);
	int r = d->blocks ? waiting_new(&d->waiting, d->blocks) : -ENOMEM;

	if (r == 0)
		folders_set_waiting(d->folders, waiting_source(d->waiting));
	return r;
}

static int start(struct context *cx, struct daemon *d)
{
	struct node_config nc = { .loop = &d->loop, .dir = d->repo, .key = &d->key, .offline = d->offline };
	struct addr *listen = NULL, *bootstrap = NULL;
	int status = 0, r;

	nc.store = d->store;
	r = config_addrs(d->config, "net.listen", &listen);
	if (r >= 0) {
		nc.n_listen = r;
		r = config_addrs(d->config, "net.bootstrap", &bootstrap);
	}
	if (r < 0) {
		status = fail(cx, "cannot use the settings: %s", err_text(r));
		goto out;
	}
	nc.n_bootstrap = r;
	nc.listen = listen;
	nc.bootstrap = bootstrap;
	nc.prefix = json_string_value(config_get(d->config, "net.protocol-prefix"));
	const char *dht = json_string_value(config_get(d->config, "net.dht"));
	nc.dht = !strcmp(dht, "server") ? DHT_SERVER : !strcmp(dht, "client") ? DHT_CLIENT : DHT_AUTO;
	r = node_start(&d->node, &nc);
	if (r == -EADDRINUSE) {
		status = fail(cx, "an address of net.listen is in use: change it with `cairn config net.listen`");
		goto out;
	}
	if (r < 0) {
		status = fail(cx, "cannot start the network: %s", err_text(r));
		goto out;
	}
	r = start_waiting(d);
	if (r >= 0)
		r = server_new(&d->server, d);
	if (r >= 0)
		r = provide_new(&d->provide, d->repo, &d->loop, d->node->routing);
	if (r >= 0)
		r = keeper_new(&d->keeper, d->folders, d->node);
	if (r < 0) {
		status = fail(cx, "cannot serve the control socket in %s: %s", d->repo, err_text(r));
		if (d->server)
			server_free(d->server);
		node_stop(d->node, on_node_stopped, d);
	}
out:
	free(listen);
	free(bootstrap);
	return status;
}

static void tune_memory(void)
{
	/*
	 * Blocks of a megabyte come and go on several threads.  Give their memory
	 * back at once instead of keeping it per thread.
	 */
	mallopt(M_ARENA_MAX, 2);
	mallopt(M_MMAP_THRESHOLD, 256 << 10);
	mallopt(M_TRIM_THRESHOLD, 1 << 20);
}

int cmd_daemon(struct context *cx, int argc, char **argv)
{
	static const struct option options[] = { { "offline", no_argument, NULL, 'o' }, { 0 } };
	struct ending *e = NULL;
	struct daemon *d;
	bool offline = false;
	int c, r, status;

	opterr = 0;
	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (c != 'o')
			return misuse(cx, "unknown option '%s'", argv[optind - 1]);
		offline = true;
	}
	if (optind < argc)
		return misuse(cx, "unexpected argument '%s'", argv[optind]);
	status = repo_need(cx);
	if (status)
		return status;
	if (sodium_init() < 0)
		return fail(cx, "libsodium cannot be used");
	tune_memory();
	/* Before the pool's first use: hashing and disk, for two busy cores and waits. */
	setenv("UV_THREADPOOL_SIZE", "4", 0);

	e = calloc(1, sizeof *e);
	if (!e)
		return fail(cx, "out of memory");
	d = &e->daemon;
	d->repo = cx->repo;
	d->offline = offline;
	r = config_load(cx->repo, &d->config);
	if (r < 0) {
		status = fail(cx, "cannot read %s/config.json: %s", cx->repo, err_text(r));
		goto out;
	}
	r = repo_key(cx->repo, &d->key);
	if (r < 0) {
		status = fail(cx, "cannot read the key in %s: %s", cx->repo, err_text(r));
		goto out;
	}
	r = repo_store_write(cx->repo, CACHE_BYTES, &d->store);
	if (r == -EBUSY) {
		status = fail(cx, "another process uses %s: a daemon runs already? (see cairn status)", cx->repo);
		goto out;
	}
	if (r < 0) {
		status = repo_store_fail(cx, r);
		goto out;
	}
	r = folders_new(&d->folders, cx->repo, d->store);
	if (r < 0) {
		status = fail(cx, "cannot read the folders in %s: %s", cx->repo, err_text(r));
		goto out;
	}
	d->seen = repo_seen(cx->repo);
	r = repo_pins(cx->repo, true, &d->pins);
	if (r < 0) {
		seen_close(d->seen);
		status = repo_pins_fail(cx, r);
		goto out;
	}
	provided_roots_init(&d->provided, d->repo);
	gc_roots_add(d->store, &d->provided.base);
	uv_loop_init(&d->loop);
	status = start(cx, d);
	if (!status) {
		const int numbers[] = { SIGINT, SIGTERM };
		for (int i = 0; i < 2; i++) {
			uv_signal_init(&d->loop, &e->signals[i]);
			e->signals[i].data = e;
			uv_signal_start(&e->signals[i], on_signal, numbers[i]);
		}
		d->started = uv_now(&d->loop);
		puts("ready");
		fflush(stdout);
	}
	uv_run(&d->loop, UV_RUN_DEFAULT);
	uv_loop_close(&d->loop);
	folders_free(d->folders);
	waiting_free(d->waiting);
	node_blocks_free(d->blocks);
	seen_close(d->seen);
	pins_close(d->pins);
	r = store_close(d->store);
	d->store = NULL;
	if (r < 0)
		status = fail(cx, "the last writes to the store may be lost: %s", err_text(r));
out:
	if (d->store)
		store_close(d->store);
	json_decref(d->config);
	sodium_memzero(&d->key, sizeof d->key);
	free(e);
	return status;
}
