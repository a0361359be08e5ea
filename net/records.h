/*
 * Value records kept for the DHT (IPNS records, public keys).  Pure: the clock
 * is an argument (ms, never going back).  What is worth keeping is judged by
 * the caller; here it is only kept, for 48 h after it came, bounded in number
 * and bytes; the oldest goes.
 */
#ifndef NET_RECORDS_H
#define NET_RECORDS_H

#include "net/kad_id.h"

#define RECORD_LIFE_MS   ((uint64_t)48 * 3600 * 1000)
#define RECORD_VALUE_MAX 10240

struct records;

struct records_limits {
	uint32_t count;
	size_t bytes;
};
#define RECORDS_LIMITS ((struct records_limits){ 8192, 8 << 20 })

int records_new(struct records **out, const struct records_limits *limits, uint64_t seed);
void records_free(struct records *r);

/* Keep `value`, in place of an older one of that key.  0, -EMSGSIZE, -ENOMEM. */
int records_put(struct records *r, const struct kad_id *key, const void *value,
		size_t len, uint64_t now);
/* The value, borrowed until the next call; NULL if there is none. */
const uint8_t *records_get(struct records *r, const struct kad_id *key, uint64_t now,
			   size_t *len);
/* Drop what has expired; the number kept. */
uint32_t records_expire(struct records *r, uint64_t now);

#endif
