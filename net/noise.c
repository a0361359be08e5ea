/*
 * libp2p's use of the Noise handshake: each side proves in its payload that the
 * owner of its identity key made the static key of this session.
 */
#include "net/noise_internal.h"

#include "store/error.h"
#include "store/pb.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

/* What an identity key signs: this text, then the X25519 static key. */
static const char prefix[] = "noise-libp2p-static-key:";
#define PROOF_SIZE (sizeof prefix - 1 + NOISE_DH)

static const char yamux[] = "/yamux/1.0.0";

static void proof_of(uint8_t out[PROOF_SIZE], const uint8_t static_key[NOISE_DH])
{
	memcpy(out, prefix, sizeof prefix - 1);
	memcpy(out + sizeof prefix - 1, static_key, NOISE_DH);
}

int noise_new(struct noise **out, bool initiator, const struct secret_key *key,
	      const struct peer_id *expect)
{
	uint8_t s[NOISE_DH], e[NOISE_DH];
	struct noise *n;

	if (sodium_init() < 0)
		return -EIO; /* no random numbers on this machine */
	n = calloc(1, sizeof *n);
	if (!n)
		return -ENOMEM;
	n->key = key;
	if (expect)
		n->expect = *expect;
	randombytes_buf(s, sizeof s);
	randombytes_buf(e, sizeof e);
	noise_xx_init(&n->xx, initiator, "", 0, s, e);
	sodium_memzero(s, sizeof s);
	sodium_memzero(e, sizeof e);
	*out = n;
	return 0;
}

void noise_free(struct noise *n)
{
	if (!n)
		return;
	noise_cipher_release(&n->send);
	noise_cipher_release(&n->receive);
	sodium_memzero(n, sizeof *n);
	free(n);
}

/* Who we are; the first message has no key yet and says nothing. */
static void put_payload(const struct noise *n, struct buf *out)
{
	uint8_t proof[PROOF_SIZE], signature[ED25519_SIGNATURE], serialized[KEY_PUBLIC_MAX];
	struct public_key public;

	if (n->xx.message == 0)
		return;
	key_public(n->key, &public);
	pb_put_bytes(out, 1, serialized, key_encode(&public, serialized));
	proof_of(proof, n->xx.s);
	key_sign(n->key, proof, sizeof proof, signature);
	pb_put_bytes(out, 2, signature, sizeof signature);
	pb_put_head(out, 4, pb_bytes_size(2, sizeof yamux - 1));
	pb_put_text(out, 2, yamux);
}

/* Append the next message as a frame. */
static int put_frame(struct noise *n, struct buf *out)
{
	struct buf payload = { 0 };
	size_t start = out->len;
	int r;

	put_payload(n, &payload);
	buf_u16be(out, 0); /* the length, known below */
	r = noise_xx_write(&n->xx, payload.data, payload.len, out);
	if (r == 0 && (out->failed || payload.failed))
		r = -ENOMEM;
	if (r == 0) {
		size_t len = out->len - start - NOISE_LENGTH;
		out->data[start] = (uint8_t)(len >> 8);
		out->data[start + 1] = (uint8_t)len;
	}
	buf_release(&payload);
	return r;
}

int noise_start(struct noise *n, struct buf *out)
{
	if (n->state != NOISE_SHAKING)
		return -EPIPE;
	if (!noise_xx_our_turn(&n->xx))
		return 0;
	int r = put_frame(n, out);
	if (r < 0)
		n->state = NOISE_DEAD;
	return r;
}

static int take_extensions(struct noise *n, const uint8_t *data, size_t len)
{
	struct cursor in = cursor_over(data, len);
	struct pb_field f;
	int r;

	while ((r = pb_next(&in, &f)) > 0)
		if (pb_is(&f, 2, PB_BYTES) && f.len == sizeof yamux - 1 &&
		    memcmp(f.data, yamux, f.len) == 0)
			n->early_yamux = true;
	return r;
}

/* Who they are; the static key that they prove to own was read before. */
static int take_payload(struct noise *n, const uint8_t *data, size_t len)
{
	const uint8_t *identity = NULL, *signature = NULL;
	size_t identity_len = 0, signature_len = 0;
	struct cursor in = cursor_over(data, len);
	uint8_t proof[PROOF_SIZE];
	struct pb_field f;
	int r;

	while ((r = pb_next(&in, &f)) > 0) {
		if (pb_is(&f, 1, PB_BYTES)) {
			identity = f.data;
			identity_len = f.len;
		} else if (pb_is(&f, 2, PB_BYTES)) {
			signature = f.data;
			signature_len = f.len;
		} else if (pb_is(&f, 4, PB_BYTES)) {
			r = take_extensions(n, f.data, f.len);
			if (r < 0)
				return r;
		}
	}
	if (r < 0)
		return r;
	if (!identity)
		return ERR_MALFORMED;
	r = key_decode(&n->peer_key, identity, identity_len);
	if (r < 0)
		return r;
	/* The cheap comparison first: a wrong peer costs no verification. */
	key_peer(&n->peer_key, &n->peer);
	if (n->expect.len && !peer_equal(&n->peer, &n->expect))
		return ERR_CORRUPT;
	proof_of(proof, n->xx.rs);
	return signature ? key_verify(&n->peer_key, proof, sizeof proof, signature,
				      signature_len) : ERR_CORRUPT;
}

static int open_ciphers(struct noise *n)
{
	uint8_t first[32], second[32];
	bool initiator = n->xx.initiator;

	noise_xx_split(&n->xx, first, second);
	int r = noise_cipher_init(&n->send, initiator ? first : second);
	if (r == 0)
		r = noise_cipher_init(&n->receive, initiator ? second : first);
	sodium_memzero(first, sizeof first);
	sodium_memzero(second, sizeof second);
	sodium_memzero(&n->xx, sizeof n->xx);
	return r;
}

static int take_message(struct noise *n, const uint8_t *body, size_t len, struct buf *out)
{
	struct buf payload = { 0 };
	bool first = n->xx.message == 0;
	int r = noise_xx_read(&n->xx, body, len, &payload);

	if (r == 0 && first)
		r = payload.len ? ERR_MALFORMED : 0;
	else if (r == 0)
		r = take_payload(n, payload.data, payload.len);
	if (r == 0 && noise_xx_our_turn(&n->xx))
		r = put_frame(n, out);
	if (r == 0 && n->xx.message == 3) {
		r = open_ciphers(n);
		if (r == 0)
			n->state = NOISE_OPEN;
	}
	buf_release(&payload);
	return r < 0 ? r : n->state == NOISE_OPEN;
}

int noise_handshake(struct noise *n, const uint8_t *body, size_t len, struct buf *out)
{
	if (n->state != NOISE_SHAKING)
		return -EPIPE;
	/* A frame when it is our turn is nothing the peer may send. */
	int r = len > NOISE_HANDSHAKE_MAX || noise_xx_our_turn(&n->xx) ?
			ERR_MALFORMED : take_message(n, body, len, out);
	if (r < 0)
		n->state = NOISE_DEAD;
	return r;
}

const struct peer_id *noise_peer(const struct noise *n)
{
	return &n->peer;
}

const struct public_key *noise_peer_key(const struct noise *n)
{
	return &n->peer_key;
}

bool noise_early_yamux(const struct noise *n)
{
	return n->early_yamux;
}

int noise_encrypt(struct noise *n, const struct iovec *in, int n_in, uint8_t *out)
{
	size_t len = 0;

	for (int i = 0; i < n_in; i++) {
		if (in[i].iov_len > NOISE_PLAIN_MAX - len)
			return -EFBIG;
		len += in[i].iov_len;
	}
	out[0] = (uint8_t)((len + NOISE_TAG) >> 8);
	out[1] = (uint8_t)(len + NOISE_TAG);
	int r = noise_cipher_seal(&n->send, in, n_in, out + NOISE_LENGTH);
	return r < 0 ? r : (int)(len + NOISE_OVERHEAD);
}

int noise_decrypt(struct noise *n, uint8_t *body, size_t len)
{
	if (len < NOISE_TAG || len > NOISE_FRAME_MAX) {
		noise_cipher_release(&n->receive);
		return ERR_MALFORMED;
	}
	int r = noise_cipher_open(&n->receive, body, len - NOISE_TAG);
	return r < 0 ? r : (int)(len - NOISE_TAG);
}
