#include "net/peerbook.h"

#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#define BUCKETS 1024
#define MINUTE  (60 * 1000ull)

static const uint64_t lifetime[] = {
	[ADDR_HEARD] = 30 * MINUTE,
	[ADDR_SIGNED] = 60 * MINUTE,
	[ADDR_CONFIRMED] = 120 * MINUTE,
};

/* Addresses are kept short: a struct addr has room for the longest. */
struct place {
	uint64_t expires;
	enum addr_trust trust;
	uint16_t len;
	uint8_t *bytes;
};

struct entry {
	struct peer_id id;
	struct entry *chain;
	TAILQ_ENTRY(entry) age;
	uint64_t seq; /* of the last signed record */
	int failure;
	uint64_t failure_until;
	int n;
	struct place places[PEERBOOK_ADDRS];
};

struct peerbook {
	struct entry *buckets[BUCKETS];
	TAILQ_HEAD(, entry) ages; /* used longest ago first */
	unsigned n;
};

struct peerbook *peerbook_new(void)
{
	struct peerbook *b = calloc(1, sizeof *b);

	if (b)
		TAILQ_INIT(&b->ages);
	return b;
}

static struct entry **slot(struct peerbook *b, const struct peer_id *p)
{
	struct entry **at = &b->buckets[peer_hash(p) % BUCKETS];

	while (*at && !peer_equal(&(*at)->id, p))
		at = &(*at)->chain;
	return at;
}

static void drop_place(struct entry *e, int i)
{
	free(e->places[i].bytes);
	memmove(&e->places[i], &e->places[i + 1], (e->n - i - 1) * sizeof e->places[0]);
	e->n--;
}

static void drop_entry(struct peerbook *b, struct entry *e)
{
	struct entry **at = slot(b, &e->id);

	*at = e->chain;
	TAILQ_REMOVE(&b->ages, e, age);
	b->n--;
	while (e->n)
		drop_place(e, e->n - 1);
	free(e);
}

void peerbook_free(struct peerbook *b)
{
	if (!b)
		return;
	while (!TAILQ_EMPTY(&b->ages))
		drop_entry(b, TAILQ_FIRST(&b->ages));
	free(b);
}

static struct entry *entry_get(struct peerbook *b, const struct peer_id *p)
{
	struct entry *e = *slot(b, p);

	if (e) {
		TAILQ_REMOVE(&b->ages, e, age);
		TAILQ_INSERT_TAIL(&b->ages, e, age);
		return e;
	}
	if (b->n >= PEERBOOK_PEERS)
		drop_entry(b, TAILQ_FIRST(&b->ages));
	e = calloc(1, sizeof *e);
	if (!e)
		return NULL;
	e->id = *p;
	*slot(b, p) = e;
	TAILQ_INSERT_TAIL(&b->ages, e, age);
	b->n++;
	return e;
}

static void expire(struct entry *e, uint64_t now)
{
	for (int i = e->n - 1; i >= 0; i--)
		if (e->places[i].expires <= now)
			drop_place(e, i);
}

/* Make room by dropping the least trusted; among them, what expires first. */
static bool make_room(struct entry *e, enum addr_trust trust)
{
	int worst = 0;

	if (e->n < PEERBOOK_ADDRS)
		return true;
	for (int i = 1; i < e->n; i++)
		if (e->places[i].trust < e->places[worst].trust ||
		    (e->places[i].trust == e->places[worst].trust &&
		     e->places[i].expires < e->places[worst].expires))
			worst = i;
	if (e->places[worst].trust > trust)
		return false;
	drop_place(e, worst);
	return true;
}

static void add(struct entry *e, const struct addr *a, enum addr_trust trust,
		uint64_t now)
{
	struct addr bare = *a;
	struct place *p = NULL;

	addr_strip_peer(&bare);
	if (!bare.len)
		return;
	expire(e, now);
	for (int i = 0; i < e->n && !p; i++)
		if (e->places[i].len == bare.len &&
		    !memcmp(e->places[i].bytes, bare.bytes, bare.len))
			p = &e->places[i];
	if (!p) {
		if (!make_room(e, trust))
			return;
		p = &e->places[e->n];
		*p = (struct place){ .len = bare.len, .bytes = malloc(bare.len) };
		if (!p->bytes)
			return;
		memcpy(p->bytes, bare.bytes, bare.len);
		e->n++;
		e->failure = 0; /* there is something new to try */
	}
	if (trust > p->trust)
		p->trust = trust;
	if (p->expires < now + lifetime[trust])
		p->expires = now + lifetime[trust];
}

void peerbook_add(struct peerbook *b, const struct peer_id *p, const struct addr *a,
		  enum addr_trust trust, uint64_t now)
{
	struct entry *e = entry_get(b, p);

	if (!e)
		return;
	if (trust == ADDR_CONFIRMED)
		e->failure = 0;
	add(e, a, trust, now);
}

bool peerbook_record(struct peerbook *b, const struct peer_id *p, uint64_t seq,
		     const struct addr *a, int n, uint64_t now)
{
	struct entry *e = entry_get(b, p);

	if (!e || seq <= e->seq)
		return false;
	e->seq = seq;
	for (int i = e->n - 1; i >= 0; i--)
		if (e->places[i].trust != ADDR_CONFIRMED)
			drop_place(e, i);
	for (int i = 0; i < n; i++)
		add(e, &a[i], ADDR_SIGNED, now);
	return true;
}

int peerbook_get(struct peerbook *b, const struct peer_id *p, struct addr *out, int max,
		 uint64_t now)
{
	struct entry *e = *slot(b, p);
	int n = 0;

	if (!e)
		return 0;
	expire(e, now);
	for (int trust = ADDR_CONFIRMED; trust >= ADDR_HEARD; trust--)
		for (int i = 0; i < e->n && n < max; i++)
			if (e->places[i].trust == (enum addr_trust)trust) {
				out[n].len = e->places[i].len;
				memcpy(out[n].bytes, e->places[i].bytes,
				       e->places[i].len);
				n++;
			}
	return n;
}

void peerbook_failed(struct peerbook *b, const struct peer_id *p, int result,
		     uint64_t until)
{
	struct entry *e = entry_get(b, p);

	if (!e)
		return;
	e->failure = result;
	e->failure_until = until;
}

int peerbook_failure(struct peerbook *b, const struct peer_id *p, uint64_t now)
{
	struct entry *e = *slot(b, p);

	return e && e->failure_until > now ? e->failure : 0;
}
