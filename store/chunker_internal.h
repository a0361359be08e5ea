/* One function per way to cut: len is more than c->min, and at most c->max. */
#ifndef STORE_CHUNKER_INTERNAL_H
#define STORE_CHUNKER_INTERNAL_H

#include "store/chunker.h"

size_t rabin_cut(const struct chunker *c, const uint8_t *data, size_t len);

#define BUZHASH_MIN (128u << 10)
#define BUZHASH_MAX (512u << 10)
size_t buzhash_cut(const struct chunker *c, const uint8_t *data, size_t len);

#endif
