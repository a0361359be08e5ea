#include "fs/prefetch.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#define SLOTS      4096 /* a power of two, over twice what is under way */
#define TIMEOUT_MS 30000

struct ahead {
	struct ahead *next; /* in its slot */
	struct prefetch *p;
	struct want *want;
	struct multihash hash;
	enum want_priority priority;
};

struct prefetch {
	struct blocks *blocks;
	atomic_bool closed;
	/* loop thread */
	struct ahead *slots[SLOTS];
	unsigned nodes, leaves;
};

struct posted {
	struct prefetch *p;
	struct cid top;
	enum want_priority priority;
	size_t n;
	struct cid cids[];
};

int prefetch_new(struct prefetch **out, struct blocks *b)
{
	struct prefetch *p = calloc(1, sizeof *p);

	if (!p)
		return -ENOMEM;
	p->blocks = b;
	*out = p;
	return 0;
}

static unsigned *count_of(struct prefetch *p, enum want_priority priority)
{
	return priority == WANT_READAHEAD ? &p->leaves : &p->nodes;
}

static struct ahead **slot_of(struct prefetch *p, const struct multihash *h)
{
	return &p->slots[multihash_hash(h) % SLOTS];
}

static void on_block(void *arg, int result, struct block *block)
{
	struct ahead *a = arg;
	struct ahead **at = slot_of(a->p, &a->hash);

	while (*at != a)
		at = &(*at)->next;
	*at = a->next;
	--*count_of(a->p, a->priority);
	free(a);
}

static void fetch(struct prefetch *p, const struct cid *cid, const struct posted *m)
{
	struct want_request rq = {
		.cid = *cid,
		.root = m->top,
		.priority = m->priority,
		.timeout_ms = TIMEOUT_MS,
	};
	struct ahead **slot = slot_of(p, &cid->hash);
	struct ahead *a;

	for (a = *slot; a; a = a->next) {
		if (multihash_equal(&a->hash, &cid->hash)) {
			if (m->priority > a->priority)
				break; /* the second want raises it */
			return;
		}
	}
	if (source_has(p->blocks->source, cid))
		return;
	a = malloc(sizeof *a);
	if (!a)
		return;
	*a = (struct ahead){
		.next = *slot, .p = p, .hash = cid->hash, .priority = m->priority
	};
	a->want = p->blocks->want(p->blocks, &rq, on_block, a);
	if (!a->want) {
		free(a);
		return;
	}
	*slot = a;
	++*count_of(p, m->priority);
}

static void on_posted(void *arg)
{
	struct posted *m = arg;
	struct prefetch *p = m->p;
	unsigned max = m->priority == WANT_READAHEAD ? PREFETCH_LEAVES : PREFETCH_NODES;

	for (size_t i = 0; i < m->n && !atomic_load(&p->closed); i++) {
		if (*count_of(p, m->priority) >= max)
			break;
		fetch(p, &m->cids[i], m);
	}
	free(m);
}

void prefetch_add(struct prefetch *p, const struct misses *cids, const struct cid *top,
		  enum want_priority priority)
{
	struct posted *m;

	if (cids->n == 0 || atomic_load(&p->closed) || p->blocks->offline(p->blocks))
		return;
	m = malloc(sizeof *m + cids->n * sizeof *m->cids);
	if (!m)
		return;
	m->p = p;
	m->top = *top;
	m->priority = priority;
	m->n = cids->n;
	memcpy(m->cids, cids->cids, cids->n * sizeof *m->cids);
	if (p->blocks->post(p->blocks, on_posted, m) < 0)
		free(m);
}

unsigned prefetch_count(const struct prefetch *p, enum want_priority priority)
{
	return priority == WANT_READAHEAD ? p->leaves : p->nodes;
}

void prefetch_close(struct prefetch *p)
{
	atomic_store(&p->closed, true);
	for (size_t i = 0; i < SLOTS; i++) {
		while (p->slots[i])
			p->blocks->cancel(p->blocks, p->slots[i]->want);
	}
}

void prefetch_free(struct prefetch *p)
{
	free(p);
}
