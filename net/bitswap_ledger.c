#include "net/bitswap_ledger.h"

#include "store/error.h"

#include <stdlib.h>

void ledgers_init(struct ledgers *all, uint64_t seed)
{
	*all = (struct ledgers){ .seed = seed };
}

void ledgers_release(struct ledgers *all)
{
	map_release(&all->standing);
}

void ledger_init(struct ledger *l, struct ledgers *all)
{
	*l = (struct ledger){ .all = all };
	TAILQ_INIT(&l->busy);
	TAILQ_INIT(&l->standing);
}

static uint64_t hash_of(const struct ledgers *all, const struct multihash *name)
{
	return map_hash(all->seed ^ name->code, name->digest, name->size);
}

static struct demand *find(struct ledger *l, const struct multihash *name)
{
	uint64_t hash = hash_of(l->all, name);

	for (struct map_node *n = map_first(&l->by_name, hash); n; n = map_next(n)) {
		struct demand *d = container_of(n, struct demand, node);
		if (multihash_equal(&d->cid.hash, name))
			return d;
	}
	return NULL;
}

/* The highest priority first, and the oldest among equals. */
static void enqueue(struct demand *d)
{
	struct ledger *l = d->ledger;
	uint64_t rank = (uint64_t)((int64_t)INT32_MAX - d->priority);

	d->state = DEMAND_QUEUED;
	heap_set(&l->queue, &d->order, rank << 32 | l->sequence++);
}

static void no_longer_stands(struct demand *d)
{
	struct ledger *l = d->ledger;

	map_remove(&l->all->standing, &d->by_name);
	atomic_fetch_sub(&l->all->n_standing, 1);
	TAILQ_REMOVE(&l->standing, d, of_ledger);
	TAILQ_INSERT_TAIL(&l->busy, d, of_ledger);
}

static void forget(struct demand *d)
{
	struct ledger *l = d->ledger;

	if (d->state == DEMAND_STANDING)
		no_longer_stands(d);
	heap_remove(&l->queue, &d->order);
	map_remove(&l->by_name, &d->node);
	TAILQ_REMOVE(&l->busy, d, of_ledger);
	l->n--;
	l->all->n--;
}

static void drop(struct demand *d)
{
	bool reading = d->state == DEMAND_READING;

	forget(d);
	d->cancelled = true;
	if (!reading)
		free(d);
}

int ledger_want(struct ledger *l, const struct bitswap_item *item)
{
	struct demand *d = find(l, &item->cid.hash);

	if (!d) {
		uint32_t max = l->all->n < LEDGERS_MAX ? LEDGER_MAX : LEDGER_MIN;

		/* What we lack anyway makes room for what we may have. */
		if (l->n >= max && !TAILQ_EMPTY(&l->standing))
			drop(TAILQ_FIRST(&l->standing));
		if (l->n >= max)
			return -ENOSPC;
		d = calloc(1, sizeof *d);
		if (!d)
			return -ENOMEM;
		if (heap_reserve(&l->queue, l->n + 1) < 0 ||
		    map_insert(&l->by_name, &d->node, hash_of(l->all, &item->cid.hash)) <
			0) {
			free(d);
			return -ENOMEM;
		}
		d->ledger = l;
		d->cid = item->cid;
		d->state = DEMAND_READING;
		d->want_have = item->want_have;
		TAILQ_INSERT_TAIL(&l->busy, d, of_ledger);
		l->n++;
		l->all->n++;
	} else if (d->state == DEMAND_READING) {
		return 0; /* its answer is on the way */
	} else if (d->state == DEMAND_STANDING) {
		no_longer_stands(d);
	}
	/* Who wants the block is not content with a HAVE. */
	d->want_have &= item->want_have;
	d->send_dont_have = item->send_dont_have;
	d->priority = item->priority;
	enqueue(d);
	return 0;
}

void ledger_cancel(struct ledger *l, const struct multihash *name)
{
	struct demand *d = find(l, name);

	if (d)
		drop(d);
}

void ledger_clear(struct ledger *l)
{
	while (!TAILQ_EMPTY(&l->standing))
		drop(TAILQ_FIRST(&l->standing));
	while (!TAILQ_EMPTY(&l->busy))
		drop(TAILQ_FIRST(&l->busy));
}

void ledger_release(struct ledger *l)
{
	ledger_clear(l);
	map_release(&l->by_name);
	heap_release(&l->queue);
}

struct demand *ledger_next(struct ledger *l)
{
	struct heap_item *i = heap_min(&l->queue);

	if (!i)
		return NULL;
	struct demand *d = container_of(i, struct demand, order);
	heap_remove(&l->queue, i);
	d->state = DEMAND_READING;
	return d;
}

void demand_again(struct demand *d)
{
	d->state = DEMAND_QUEUED;
	heap_set(&d->ledger->queue, &d->order, d->order.key);
}

void demand_stand(struct demand *d)
{
	struct ledger *l = d->ledger;

	if (d->cancelled ||
	    map_insert(&l->all->standing, &d->by_name, d->node.hash) < 0) {
		demand_done(d);
		return;
	}
	atomic_fetch_add(&l->all->n_standing, 1);
	d->state = DEMAND_STANDING;
	TAILQ_REMOVE(&l->busy, d, of_ledger);
	TAILQ_INSERT_TAIL(&l->standing, d, of_ledger);
}

void demand_done(struct demand *d)
{
	if (!d->cancelled)
		forget(d);
	free(d);
}

void ledgers_have(struct ledgers *all, const struct multihash *name,
		  void (*woken)(void *arg, struct ledger *l), void *arg)
{
	struct map_node *n = map_first(&all->standing, hash_of(all, name));

	while (n) {
		struct demand *d = container_of(n, struct demand, by_name);

		n = map_next(n);
		if (!multihash_equal(&d->cid.hash, name))
			continue;
		no_longer_stands(d);
		enqueue(d);
		woken(arg, d->ledger);
	}
}
