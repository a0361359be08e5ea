/*
 * Text forms of bytes.  Bounded: input over 1,024 characters is refused, so the
 * quadratic base58 and base36 conversions stay small.
 */
#ifndef STORE_MULTIBASE_H
#define STORE_MULTIBASE_H

#include <stddef.h>
#include <stdint.h>

/*
 * Decode `text` of `len` characters with its base prefix (b B k K z f F m M u U
 * and base32 padded forms need not be known) into `out`; the number of bytes,
 * ERR_MALFORMED, -ENOTSUP (base), or -EFBIG (longer than `max`).
 */
int multibase_decode(uint8_t *out, size_t max, const char *text, size_t len);

/* Base58btc without a prefix, as in peer ids and CIDv0.  As above. */
int base58_decode(uint8_t *out, size_t max, const char *text, size_t len);

/*
 * Encode with prefix `base` ('b' 'k' 'z' 'f' 'm' 'u') to `out`, NUL-terminated;
 * the length, or -ENOSPC if `max` is too small, or -ENOTSUP.
 */
int multibase_encode(char *out, size_t max, char base, const void *data, size_t len);
int base58_encode(char *out, size_t max, const void *data, size_t len);

#endif
