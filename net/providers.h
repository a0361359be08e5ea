/*
 * Provider records kept for the DHT: who said it has what.  Pure: the clock is
 * an argument (ms, never going back; so the wall clock may jump as it likes).
 *
 * A record lives 48 h after it came, the addresses that came with it 24 h.
 * Bounded in all, per provider and per key; the oldest goes (hostile.md 51, 52).
 */
#ifndef NET_PROVIDERS_H
#define NET_PROVIDERS_H

#include "net/kad_id.h"

#define PROVIDER_LIFE_MS       ((uint64_t)48 * 3600 * 1000)
#define PROVIDER_ADDRS_LIFE_MS ((uint64_t)24 * 3600 * 1000)

struct providers;

struct providers_limits {
	uint32_t total;    /* records */
	uint32_t per_peer; /* of one provider */
	uint32_t per_key;
};
#define PROVIDERS_LIMITS ((struct providers_limits){ 65536, 16384, 1024 })

/* `seed` is random: it keeps strangers from filling one bucket of our table. */
int providers_new(struct providers **out, const struct providers_limits *limits,
		  uint64_t seed);
void providers_free(struct providers *p);

/* `peer` provides `key`; its packed addresses replace what was known.  0 or -ENOMEM. */
int providers_add(struct providers *p, const struct kad_id *key,
		  const struct peer_id *peer, const uint8_t *addrs, size_t addrs_len,
		  uint64_t now);

struct provider {
	const struct peer_id *peer; /* borrowed until the next call */
	const uint8_t *addrs;       /* packed; none if they are too old */
	size_t addrs_len;
};
/* Up to `max` providers of `key`, from a place in their list that `random`
 * chooses; the count. */
int providers_get(struct providers *p, const struct kad_id *key, uint64_t now,
		  uint64_t random, struct provider *out, int max);
/* Drop what has expired; the number kept. */
uint32_t providers_expire(struct providers *p, uint64_t now);

#endif
