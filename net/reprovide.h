/*
 * The keys we provide, and when each is due to be told again: every 22 h, and
 * where nobody could be told, as soon as there is somebody.  Pure: the clock is
 * an argument.  Bounded; the oldest goes.
 */
#ifndef NET_REPROVIDE_H
#define NET_REPROVIDE_H

#include "store/multihash.h"

#define REPROVIDE_MS  ((uint64_t)22 * 3600 * 1000)
#define REPROVIDE_MAX 65536

struct reprovide;

struct reprovide *reprovide_new(uint64_t seed); /* NULL: no memory */
void reprovide_free(struct reprovide *rp);
/* `key` was told to somebody (or, `told` false, to nobody) at `now`. */
void reprovide_note(struct reprovide *rp, const struct multihash *key, bool told,
		    uint64_t now);
/* Try those that nobody was told of again now. */
void reprovide_retry(struct reprovide *rp);
/* The next key that is due: true, and it counts as told until it is noted. */
bool reprovide_next(struct reprovide *rp, uint64_t now, struct multihash *out);
uint32_t reprovide_count(const struct reprovide *rp);

#endif
