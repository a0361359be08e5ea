/*
 * Noise XX as libp2p speaks it (libp2p/specs noise, Noise_XX_25519_ChaChaPoly_SHA256,
 * empty prologue): bytes in, bytes out, no socket.
 *
 *	frame: u16 BE length | Noise message of that many bytes
 *	1  ->  e
 *	2  <-  e, ee, s, es, payload
 *	3  ->  s, se, payload
 *	payload: 1 identity_key bytes, 2 identity_sig bytes,
 *		 4 extensions { 1 rep webtransport_certhashes, 2 rep stream_muxers }
 *
 * What is written here are whole frames, with the length, ready for the socket.
 * What is read is one frame's body, without the length: the caller gathers it.
 *
 *	initiator				responder
 *	noise_new(), noise_start(&out)		noise_new()
 *	noise_handshake(message 2, &out) = 1	noise_handshake(message 1, &out) = 0
 *						noise_handshake(message 3, &out) = 1
 *	noise_encrypt(), noise_decrypt()	the same
 *
 * Any error is final, for the handshake or for its direction: every later call
 * gives -EPIPE, and the caller drops the connection.  The two directions share
 * nothing once the handshake is done, so one thread may encrypt while another
 * decrypts.
 */
#ifndef NET_NOISE_H
#define NET_NOISE_H

#include "net/key.h"
#include "store/buf.h"

#include <sys/uio.h>

#define NOISE_LENGTH	    2	  /* bytes of the length before every frame */
#define NOISE_FRAME_MAX	    65535 /* longest body of a frame after the handshake */
#define NOISE_HANDSHAKE_MAX 8192  /* longest body we take before: refuse longer at once */
#define NOISE_TAG	    16
#define NOISE_PLAIN_MAX	    (NOISE_FRAME_MAX - NOISE_TAG)
/* What a frame adds to its plaintext: length and tag. */
#define NOISE_OVERHEAD	    (NOISE_LENGTH + NOISE_TAG)

struct noise;

/*
 * A new handshake.  `key` is our identity, borrowed until the handshake is done.
 * `expect` (copied; NULL: anyone) is the peer that was dialled.  The static
 * X25519 key is made afresh for each.
 */
int noise_new(struct noise **out, bool initiator, const struct secret_key *key,
	      const struct peer_id *expect);
void noise_free(struct noise *n); /* NULL is fine; wipes the keys */

/* Initiator: append the first frame to `out`.  Responder: nothing.  0 or -ENOMEM. */
int noise_start(struct noise *n, struct buf *out);

/*
 * Take the body of one handshake frame; append the answer, if there is one.
 * 1: done (send what was appended, then encrypt and decrypt); 0: one more frame
 * is awaited; or
 *	ERR_MALFORMED	not a handshake message, a low-order point, a failed tag,
 *			an empty or overlong frame, a payload that does not parse
 *	ERR_CORRUPT	the signature is not of that key over that static key, or
 *			the peer is not the expected one
 *	-ENOTSUP	an identity key we refuse (RSA under 2048 or over 8192 bits)
 *	-ENOMEM
 */
int noise_handshake(struct noise *n, const uint8_t *body, size_t len, struct buf *out);

/* After the handshake. */
const struct peer_id *noise_peer(const struct noise *n);
const struct public_key *noise_peer_key(const struct noise *n);
/* Both offered /yamux/1.0.0: it starts at once, without another negotiation. */
bool noise_early_yamux(const struct noise *n);

/*
 * Encrypt the `n_in` segments, one after another (together at most
 * NOISE_PLAIN_MAX bytes), as one frame into `out`, which has room for their
 * length + NOISE_OVERHEAD and does not overlap them.  The length of the frame;
 * -EFBIG (not final); -EOVERFLOW: no nonce is left (2^64 - 1 is never used).
 */
int noise_encrypt(struct noise *n, const struct iovec *in, int n_in, uint8_t *out);

/*
 * Decrypt the body of one frame in place: the plaintext is then at `body`.  Its
 * length, 0 .. NOISE_PLAIN_MAX; ERR_CORRUPT (tampered, replayed, out of order);
 * ERR_MALFORMED (shorter than a tag or too long); -EOVERFLOW.
 */
int noise_decrypt(struct noise *n, uint8_t *body, size_t len);

#endif
