/*
 * MurmurHash3 x64 128 with seed 0: the first 64 of its bits, which is what
 * HAMT directories call murmur3-x64-64 (multicodec 0x22).  Not a hash to trust
 * against anyone who chooses the names.
 */
#ifndef STORE_MURMUR3_H
#define STORE_MURMUR3_H

#include <stddef.h>
#include <stdint.h>

uint64_t murmur3_x64_64(const void *data, size_t len);

#endif
