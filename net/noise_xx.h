/*
 * The handshake of Noise_XX_25519_ChaChaPoly_SHA256 (noiseprotocol.org, rev. 34)
 * with any payloads and prologue.  What libp2p puts into the payloads is the
 * business of noise.c.  Private to noise.c and its tests.
 *
 *	message 1  ->  e			payload in clear
 *	message 2  <-  e, ee, s, es		payload encrypted
 *	message 3  ->  s, se			payload encrypted
 */
#ifndef NET_NOISE_XX_H
#define NET_NOISE_XX_H

#include "store/buf.h"

#define NOISE_DH   32 /* an X25519 key */
#define NOISE_HASH 32

struct noise_xx {
	bool initiator;
	bool keyed;	  /* a DH result is mixed in: what follows is encrypted */
	unsigned message; /* that is written or read next: 0, 1, 2; 3 = all done */
	uint64_t nonce;
	uint8_t h[NOISE_HASH], ck[NOISE_HASH], k[32];
	uint8_t s_secret[NOISE_DH], s[NOISE_DH]; /* ours */
	uint8_t e_secret[NOISE_DH], e[NOISE_DH];
	uint8_t rs[NOISE_DH], re[NOISE_DH]; /* theirs, as they become known */
};

void noise_xx_init(struct noise_xx *x, bool initiator, const void *prologue, size_t len,
		   const uint8_t s_secret[NOISE_DH], const uint8_t e_secret[NOISE_DH]);

/* True if the next message is ours to write. */
bool noise_xx_our_turn(const struct noise_xx *x);

/* Append the next message to `out`.  0 or ERR_MALFORMED (a low-order remote key). */
int noise_xx_write(struct noise_xx *x, const void *payload, size_t len, struct buf *out);

/* Read the next message; its payload is appended to `payload`.  0, ERR_MALFORMED. */
int noise_xx_read(struct noise_xx *x, const uint8_t *msg, size_t len, struct buf *payload);

/* The keys of the two directions: what the initiator sends, what it receives. */
void noise_xx_split(const struct noise_xx *x, uint8_t from_initiator[32],
		    uint8_t from_responder[32]);

#endif
