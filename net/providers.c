#include "net/providers.h"

#include "net/kad_msg.h"
#include "store/error.h"

#include <stdlib.h>
#include <sys/queue.h>

#define SLOTS_LOG 13

/* A provider with the records that name it, oldest first. */
struct holder {
	LIST_ENTRY(holder) slot;
	struct peer_id peer;
	uint64_t addrs_at;
	uint8_t *addrs;
	uint16_t addrs_len;
	uint32_t n;
	TAILQ_HEAD(, record) records;
};

/* A key with the records under it, oldest first. */
struct shelf {
	LIST_ENTRY(shelf) slot;
	struct kad_id key;
	uint32_t n;
	TAILQ_HEAD(, record) records;
};

struct record {
	struct shelf *shelf;
	struct holder *holder;
	uint64_t at;
	TAILQ_ENTRY(record) of_shelf, of_holder, of_all;
};

struct providers {
	struct providers_limits limits;
	uint64_t seed;
	uint32_t n;
	TAILQ_HEAD(, record) all; /* oldest first */
	LIST_HEAD(, shelf) shelves[1 << SLOTS_LOG];
	LIST_HEAD(, holder) holders[1 << SLOTS_LOG];
};

int providers_new(struct providers **out, const struct providers_limits *limits,
		  uint64_t seed)
{
	struct providers *p = calloc(1, sizeof *p);

	if (!p)
		return -ENOMEM;
	p->limits = *limits;
	p->seed = seed | 1;
	TAILQ_INIT(&p->all);
	*out = p;
	return 0;
}

static size_t slot_of(const struct providers *p, uint64_t hash)
{
	return (hash ^ p->seed >> 7) * p->seed >> (64 - SLOTS_LOG);
}

static size_t shelf_slot(const struct providers *p, const struct kad_id *key)
{
	uint64_t head;

	memcpy(&head, key->b, sizeof head);
	return slot_of(p, head);
}

static struct shelf *find_shelf(const struct providers *p, const struct kad_id *key)
{
	struct shelf *s;

	LIST_FOREACH(s, &p->shelves[shelf_slot(p, key)], slot)
	if (memcmp(&s->key, key, sizeof *key) == 0)
		return s;
	return NULL;
}

static struct holder *find_holder(const struct providers *p, const struct peer_id *peer)
{
	struct holder *h;

	LIST_FOREACH(h, &p->holders[slot_of(p, peer_hash(peer))], slot)
	if (peer_equal(&h->peer, peer))
		return h;
	return NULL;
}

static void drop_if_empty(struct shelf *s, struct holder *h)
{
	if (s && !s->n) {
		LIST_REMOVE(s, slot);
		free(s);
	}
	if (h && !h->n) {
		LIST_REMOVE(h, slot);
		free(h->addrs);
		free(h);
	}
}

static void drop(struct providers *p, struct record *r)
{
	struct shelf *s = r->shelf;
	struct holder *h = r->holder;

	TAILQ_REMOVE(&s->records, r, of_shelf);
	TAILQ_REMOVE(&h->records, r, of_holder);
	TAILQ_REMOVE(&p->all, r, of_all);
	s->n--;
	h->n--;
	p->n--;
	free(r);
	drop_if_empty(s, h);
}

void providers_free(struct providers *p)
{
	if (!p)
		return;
	while (!TAILQ_EMPTY(&p->all))
		drop(p, TAILQ_FIRST(&p->all));
	free(p);
}

static struct shelf *get_shelf(struct providers *p, const struct kad_id *key)
{
	struct shelf *s = find_shelf(p, key);

	if (s)
		return s;
	s = calloc(1, sizeof *s);
	if (!s)
		return NULL;
	s->key = *key;
	TAILQ_INIT(&s->records);
	LIST_INSERT_HEAD(&p->shelves[shelf_slot(p, key)], s, slot);
	return s;
}

static struct holder *get_holder(struct providers *p, const struct peer_id *peer)
{
	struct holder *h = find_holder(p, peer);

	if (h)
		return h;
	h = calloc(1, sizeof *h);
	if (!h)
		return NULL;
	h->peer = *peer;
	TAILQ_INIT(&h->records);
	LIST_INSERT_HEAD(&p->holders[slot_of(p, peer_hash(peer))], h, slot);
	return h;
}

static void set_addrs(struct holder *h, const uint8_t *addrs, size_t len, uint64_t now)
{
	if (!len || len > KAD_ADDRS_SIZE)
		return;
	uint8_t *copy = malloc(len);
	if (!copy)
		return;
	memcpy(copy, addrs, len);
	free(h->addrs);
	h->addrs = copy;
	h->addrs_len = (uint16_t)len;
	h->addrs_at = now;
}

int providers_add(struct providers *p, const struct kad_id *key,
		  const struct peer_id *peer, const uint8_t *addrs, size_t addrs_len,
		  uint64_t now)
{
	providers_expire(p, now);
	struct shelf *s = find_shelf(p, key);
	struct holder *h = find_holder(p, peer);

	/* Said again: it becomes the youngest. */
	if (s && h) {
		struct record *old;
		TAILQ_FOREACH (old, &s->records, of_shelf)
			if (old->holder == h)
				break;
		if (old) {
			old->at = now;
			TAILQ_REMOVE(&s->records, old, of_shelf);
			TAILQ_REMOVE(&h->records, old, of_holder);
			TAILQ_REMOVE(&p->all, old, of_all);
			TAILQ_INSERT_TAIL(&s->records, old, of_shelf);
			TAILQ_INSERT_TAIL(&h->records, old, of_holder);
			TAILQ_INSERT_TAIL(&p->all, old, of_all);
			set_addrs(h, addrs, addrs_len, now);
			return 0;
		}
	}
	if (h && h->n >= p->limits.per_peer)
		drop(p, TAILQ_FIRST(&h->records));
	s = find_shelf(p, key);
	if (s && s->n >= p->limits.per_key)
		drop(p, TAILQ_FIRST(&s->records));
	if (p->n >= p->limits.total)
		drop(p, TAILQ_FIRST(&p->all));

	struct record *r = calloc(1, sizeof *r);
	s = get_shelf(p, key);
	h = get_holder(p, peer);
	if (!r || !s || !h) {
		free(r);
		drop_if_empty(s, h);
		return -ENOMEM;
	}
	*r = (struct record){ .shelf = s, .holder = h, .at = now };
	TAILQ_INSERT_TAIL(&s->records, r, of_shelf);
	TAILQ_INSERT_TAIL(&h->records, r, of_holder);
	TAILQ_INSERT_TAIL(&p->all, r, of_all);
	s->n++;
	h->n++;
	p->n++;
	set_addrs(h, addrs, addrs_len, now);
	return 0;
}

int providers_get(struct providers *p, const struct kad_id *key, uint64_t now,
		  uint64_t random, struct provider *out, int max)
{
	int n = 0;

	providers_expire(p, now);
	struct shelf *s = find_shelf(p, key);
	if (!s)
		return 0;
	struct record *r = TAILQ_FIRST(&s->records);
	for (uint64_t skip = random % s->n; skip; skip--)
		r = TAILQ_NEXT(r, of_shelf);
	for (uint32_t i = 0; i < s->n && n < max; i++) {
		const struct holder *h = r->holder;
		bool fresh = now - h->addrs_at < PROVIDER_ADDRS_LIFE_MS;

		out[n++] =
		    (struct provider){ &h->peer, h->addrs, fresh ? h->addrs_len : 0 };
		r = TAILQ_NEXT(r, of_shelf);
		if (!r)
			r = TAILQ_FIRST(&s->records);
	}
	return n;
}

uint32_t providers_expire(struct providers *p, uint64_t now)
{
	struct record *r;

	while ((r = TAILQ_FIRST(&p->all)) && now - r->at >= PROVIDER_LIFE_MS)
		drop(p, r);
	return p->n;
}
