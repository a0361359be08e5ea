/*
 * Contents for tests of cutting and importing, which are the same wherever they
 * are made: a ChaCha20 key stream (key SHA-256("options-seed"), zero nonce),
 * zeros, and a line again and again.
 */
#ifndef TESTS_UNIT_CONTENTS_H
#define TESTS_UNIT_CONTENTS_H

#include "store/multihash.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

enum content { EMPTY, RANDOM_200K, RANDOM_1M, RANDOM_3M, ZEROS_2M, TEXT_1M, N_CONTENTS };

/* The caller frees; *len bytes. */
static inline uint8_t *content_make(enum content which, size_t *len)
{
	static const size_t lengths[N_CONTENTS] = { 0, 200000, 1048576, 3000000, 2000000, 1056000 };
	static const char line[] = "a line of a log, again and again\n";
	static const uint8_t nonce[12];
	const size_t n = sizeof line - 1;
	uint8_t *data = calloc(lengths[which] + 1, 1), key[32];

	if (!data)
		abort();
	*len = lengths[which];
	if (which == TEXT_1M) {
		for (size_t i = 0; i < *len; i++)
			data[i] = (uint8_t)line[i % n];
	} else if (which != ZEROS_2M) {
		sha256(key, "options-seed", 12);
		crypto_stream_chacha20_ietf(data, *len, nonce, key);
	}
	return data;
}

#endif
