#include "net/reprovide.h"

#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#define SLOTS_LOG 12

struct entry {
	LIST_ENTRY(entry) slot;
	TAILQ_ENTRY(entry) in;
	uint64_t due;
	bool told; /* which of the two lists it is in */
	uint8_t len;
	uint8_t key[];
};

TAILQ_HEAD(entries, entry);

struct reprovide {
	uint64_t seed;
	uint32_t n;
	struct entries told;   /* by when they are due */
	struct entries untold; /* nobody could be told */
	LIST_HEAD(, entry) slots[1 << SLOTS_LOG];
};

struct reprovide *reprovide_new(uint64_t seed)
{
	struct reprovide *rp = calloc(1, sizeof *rp);

	if (!rp)
		return NULL;
	rp->seed = seed;
	TAILQ_INIT(&rp->told);
	TAILQ_INIT(&rp->untold);
	return rp;
}

static struct entries *list_of(struct reprovide *rp, const struct entry *e)
{
	return e->told ? &rp->told : &rp->untold;
}

static void drop(struct reprovide *rp, struct entry *e)
{
	LIST_REMOVE(e, slot);
	TAILQ_REMOVE(list_of(rp, e), e, in);
	free(e);
	rp->n--;
}

void reprovide_free(struct reprovide *rp)
{
	if (!rp)
		return;
	while (!TAILQ_EMPTY(&rp->told))
		drop(rp, TAILQ_FIRST(&rp->told));
	while (!TAILQ_EMPTY(&rp->untold))
		drop(rp, TAILQ_FIRST(&rp->untold));
	free(rp);
}

void reprovide_note(struct reprovide *rp, const struct multihash *key, bool told,
		    uint64_t now)
{
	uint8_t bytes[MULTIHASH_SIZE_MAX];
	size_t len = multihash_encode(key, bytes);
	size_t slot = (multihash_hash(key) ^ rp->seed) & ((1 << SLOTS_LOG) - 1);
	struct entry *e;

	LIST_FOREACH(e, &rp->slots[slot], slot)
	if (e->len == len && memcmp(e->key, bytes, len) == 0)
		break;
	if (e) {
		TAILQ_REMOVE(list_of(rp, e), e, in);
	} else {
		if (rp->n == REPROVIDE_MAX)
			drop(rp, TAILQ_EMPTY(&rp->told) ? TAILQ_FIRST(&rp->untold)
							: TAILQ_FIRST(&rp->told));
		e = malloc(sizeof *e + len);
		if (!e)
			return;
		e->len = (uint8_t)len;
		memcpy(e->key, bytes, len);
		LIST_INSERT_HEAD(&rp->slots[slot], e, slot);
		rp->n++;
	}
	e->told = told;
	e->due = told ? now + REPROVIDE_MS : UINT64_MAX;
	TAILQ_INSERT_TAIL(list_of(rp, e), e, in);
}

void reprovide_retry(struct reprovide *rp)
{
	struct entry *e;

	TAILQ_FOREACH (e, &rp->untold, in)
		e->due = 0;
}

bool reprovide_next(struct reprovide *rp, uint64_t now, struct multihash *out)
{
	struct entry *e = TAILQ_FIRST(&rp->untold);

	/* Those that failed again stand behind those that have not been retried. */
	if (!e || e->due > now)
		e = TAILQ_FIRST(&rp->told);
	if (!e || e->due > now || multihash_decode(out, e->key, e->len) < 0)
		return false;
	TAILQ_REMOVE(list_of(rp, e), e, in);
	e->told = true;
	e->due = now + REPROVIDE_MS;
	TAILQ_INSERT_TAIL(&rp->told, e, in);
	return true;
}

uint32_t reprovide_count(const struct reprovide *rp)
{
	return rp->n;
}
