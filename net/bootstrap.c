/*
 * Finding the first peers: the bootstrap addresses are dialled again and again
 * while nobody is known, and now and then while few are.
 */
#include "net/routing_internal.h"

#include "store/error.h"
#include "store/log.h"

#include <stdlib.h>

#define FIRST_MS 1000
#define LAST_MS  60000
#define FEW      4     /* while fewer peers than this are known, */
#define FEW_MS   15000 /* they are dialled so often */

struct boot {
	struct addr addr;
	uint64_t next, wait_ms;
	bool trying, tried;
};

/* A dial cannot be called back; it outlives us if need be. */
struct boot_try {
	LIST_ENTRY(boot_try) of_routing;
	struct routing *routing; /* NULL: gone */
	struct boot *boot;
};

struct bootstrap {
	struct routing *routing;
	LIST_HEAD(, boot_try) tries;
	int n;
	struct boot boot[];
};

struct bootstrap *bootstrap_new(struct routing *r, const struct addr *addrs, int n)
{
	struct bootstrap *bs = calloc(1, sizeof *bs + (size_t)n * sizeof bs->boot[0]);

	if (!bs)
		return NULL;
	bs->routing = r;
	bs->n = n;
	for (int i = 0; i < n; i++)
		bs->boot[i] = (struct boot){ .addr = addrs[i], .wait_ms = FIRST_MS };
	return bs;
}

void bootstrap_free(struct bootstrap *bs)
{
	struct boot_try *try;

	if (!bs)
		return;
	LIST_FOREACH(try, &bs->tries, of_routing)
	try->routing = NULL;
	free(bs);
}

static void on_boot_dialled(void *arg, int result, const struct peer_id *peer)
{
	struct boot_try *try = arg;
	struct routing *r = try->routing;
	struct boot *b = try->boot;

	if (r) {
		char text[ADDR_TEXT_MAX];

		LIST_REMOVE(try, of_routing);
		b->trying = false;
		b->tried = true;
		b->next = routing_now(r) + b->wait_ms;
		b->wait_ms = b->wait_ms * 2 > LAST_MS ? LAST_MS : b->wait_ms * 2;
		if (result < 0)
			log_line(LOG_DEBUG, "bootstrap %s: %s", addr_text(&b->addr, text),
				 err_text(result));
		routing_kick(r);
	}
	free(try);
}

void bootstrap_tick(struct bootstrap *bs, uint64_t now)
{
	struct routing *r = bs->routing;
	uint32_t n = routing_peers(r);

	for (int i = 0; i < bs->n; i++) {
		struct boot *b = &bs->boot[i];

		if (n && b->tried) {
			/* Seldom, while few are known: the others may be elsewhere. */
			if (n >= FEW)
				continue;
			if (b->next > now + FEW_MS || b->wait_ms < FEW_MS)
				b->next = now + FEW_MS;
			b->wait_ms = FEW_MS;
		}
		if (b->trying || now < b->next)
			continue;
		struct boot_try *try = malloc(sizeof *try);
		if (!try)
			return;
		*try = (struct boot_try){ .routing = r, .boot = b };
		b->trying = true;
		LIST_INSERT_HEAD(&bs->tries, try, of_routing);
		swarm_connect_addr(r->swarm, &b->addr, on_boot_dialled, try);
	}
}

void bootstrap_online(struct bootstrap *bs, bool online)
{
	for (int i = 0; i < bs->n; i++)
		if (online)
			bs->boot[i].wait_ms = FIRST_MS;
		else
			bs->boot[i].next = 0;
}

bool bootstrap_hopeful(const struct bootstrap *bs)
{
	for (int i = 0; i < bs->n; i++)
		if (!bs->boot[i].tried)
			return true;
	return false;
}
