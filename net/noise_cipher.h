/*
 * One direction of a Noise connection: ChaCha20-Poly1305 under a counter that
 * never repeats.  Through libcrypto, whose vector code reaches 3.6 GB/s here
 * where libsodium's reaches 1.5.  Private to noise.c and its tests.
 *
 *	nonce: 32 zero bits | u64 LE counter;  no associated data
 */
#ifndef NET_NOISE_CIPHER_H
#define NET_NOISE_CIPHER_H

#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

struct noise_cipher {
	struct evp_cipher_ctx_st *ctx; /* NULL: no key yet, or failed for good */
	uint64_t counter;
};

/* 0 or -ENOMEM. */
int noise_cipher_init(struct noise_cipher *c, const uint8_t key[32]);
void noise_cipher_release(struct noise_cipher *c);

/*
 * Encrypt the segments to `out`, and the 16 bytes of the tag behind them.
 * 0, -EOVERFLOW, or -EPIPE after an error.
 */
int noise_cipher_seal(struct noise_cipher *c, const struct iovec *in, int n_in, uint8_t *out);
/* Decrypt `len` bytes and their tag in place.  0, ERR_CORRUPT, -EOVERFLOW, -EPIPE. */
int noise_cipher_open(struct noise_cipher *c, uint8_t *data, size_t len);

#endif
