#include "net/records.h"

#include "store/error.h"

#include <stdlib.h>
#include <sys/queue.h>

#define SLOTS_LOG 11

struct record {
	LIST_ENTRY(record) slot;
	TAILQ_ENTRY(record) of_all;
	struct kad_id key;
	uint64_t at;
	size_t len;
	uint8_t value[];
};

struct records {
	struct records_limits limits;
	uint64_t seed;
	uint32_t n;
	size_t bytes;
	TAILQ_HEAD(, record) all; /* oldest first */
	LIST_HEAD(, record) slots[1 << SLOTS_LOG];
};

int records_new(struct records **out, const struct records_limits *limits, uint64_t seed)
{
	struct records *r = calloc(1, sizeof *r);

	if (!r)
		return -ENOMEM;
	r->limits = *limits;
	r->seed = seed | 1;
	TAILQ_INIT(&r->all);
	*out = r;
	return 0;
}

static void drop(struct records *r, struct record *e)
{
	LIST_REMOVE(e, slot);
	TAILQ_REMOVE(&r->all, e, of_all);
	r->n--;
	r->bytes -= e->len;
	free(e);
}

void records_free(struct records *r)
{
	if (!r)
		return;
	while (!TAILQ_EMPTY(&r->all))
		drop(r, TAILQ_FIRST(&r->all));
	free(r);
}

static size_t slot_of(const struct records *r, const struct kad_id *key)
{
	uint64_t head;

	memcpy(&head, key->b, sizeof head);
	return (head ^ r->seed >> 7) * r->seed >> (64 - SLOTS_LOG);
}

static struct record *find(const struct records *r, const struct kad_id *key)
{
	struct record *e;

	LIST_FOREACH(e, &r->slots[slot_of(r, key)], slot)
	if (memcmp(&e->key, key, sizeof *key) == 0)
		return e;
	return NULL;
}

int records_put(struct records *r, const struct kad_id *key, const void *value,
		size_t len, uint64_t now)
{
	if (len > RECORD_VALUE_MAX)
		return -EMSGSIZE;
	struct record *new = malloc(sizeof *new + len);
	if (!new)
		return -ENOMEM;
	struct record *old = find(r, key);
	if (old)
		drop(r, old);
	records_expire(r, now);
	while (r->n && (r->n >= r->limits.count || r->bytes + len > r->limits.bytes))
		drop(r, TAILQ_FIRST(&r->all));

	new->key = *key;
	new->at = now;
	new->len = len;
	memcpy(new->value, value, len);
	LIST_INSERT_HEAD(&r->slots[slot_of(r, key)], new, slot);
	TAILQ_INSERT_TAIL(&r->all, new, of_all);
	r->n++;
	r->bytes += len;
	return 0;
}

const uint8_t *records_get(struct records *r, const struct kad_id *key, uint64_t now,
			   size_t *len)
{
	records_expire(r, now);
	struct record *e = find(r, key);
	if (!e)
		return NULL;
	*len = e->len;
	return e->value;
}

uint32_t records_expire(struct records *r, uint64_t now)
{
	struct record *e;

	while ((e = TAILQ_FIRST(&r->all)) && now - e->at >= RECORD_LIFE_MS)
		drop(r, e);
	return r->n;
}
