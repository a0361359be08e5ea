#include "net/limits.h"

#include <netinet/in.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#define SETS 256
#define WAYS 4

struct source {
	uint8_t prefix[8];
	uint8_t family; /* 0: free */
	uint32_t half_open;
	uint64_t full_at; /* when the bucket is full again */
	uint64_t used_at;
};

struct limits {
	struct limits_config cfg;
	uint8_t key[crypto_shorthash_KEYBYTES]; /* nobody can aim at one set */
	struct source sources[SETS][WAYS];
};

struct limits *limits_new(const struct limits_config *cfg)
{
	struct limits *l = calloc(1, sizeof *l);

	if (!l)
		return NULL;
	l->cfg = *cfg;
	randombytes_buf(l->key, sizeof l->key);
	return l;
}

void limits_free(struct limits *l)
{
	free(l);
}

/* The part of the address that one owner holds; true if it is our own machine. */
static bool source_of(const struct sockaddr *from, struct source *out)
{
	*out = (struct source){ .family = 4 };
	if (from->sa_family == AF_INET) {
		const struct sockaddr_in *in = (const void *)from;
		memcpy(out->prefix, &in->sin_addr, 4);
		return out->prefix[0] == 127;
	}
	const struct sockaddr_in6 *in6 = (const void *)from;
	if (IN6_IS_ADDR_V4MAPPED(&in6->sin6_addr)) {
		memcpy(out->prefix, in6->sin6_addr.s6_addr + 12, 4);
		return out->prefix[0] == 127;
	}
	out->family = 6;
	memcpy(out->prefix, &in6->sin6_addr, 8);
	return IN6_IS_ADDR_LOOPBACK(&in6->sin6_addr);
}

static struct source *set_of(struct limits *l, const struct source *who)
{
	uint8_t hash[crypto_shorthash_BYTES];

	crypto_shorthash(hash, who->prefix, sizeof who->prefix, l->key);
	return l->sources[hash[0] % SETS];
}

static struct source *find(struct source *set, const struct source *who)
{
	for (int i = 0; i < WAYS; i++)
		if (set[i].family == who->family &&
		    !memcmp(set[i].prefix, who->prefix, sizeof who->prefix))
			return &set[i];
	return NULL;
}

/* The place used longest ago that holds no handshake. */
static struct source *claim(struct source *set, const struct source *who)
{
	struct source *best = NULL;

	for (int i = 0; i < WAYS; i++)
		if (!set[i].half_open && (!best || set[i].used_at < best->used_at))
			best = &set[i];
	if (best)
		*best = *who;
	return best;
}

bool limits_admit(struct limits *l, const struct sockaddr *from, uint64_t now)
{
	struct source who, *set, *src;
	bool local = source_of(from, &who);

	set = set_of(l, &who);
	src = find(set, &who);
	if (!src)
		src = claim(set, &who);
	if (!src || src->half_open >= l->cfg.half_open)
		return false;
	if (!local) {
		if (src->full_at < now)
			src->full_at = now;
		if (src->full_at - now > (l->cfg.burst - 1) * l->cfg.interval)
			return false;
		src->full_at += l->cfg.interval;
	}
	src->used_at = now;
	src->half_open++;
	return true;
}

void limits_done(struct limits *l, const struct sockaddr *from)
{
	struct source who, *src;

	source_of(from, &who);
	src = find(set_of(l, &who), &who);
	if (src && src->half_open)
		src->half_open--;
}
