#include "net/noise_xx.h"

#include "store/cursor.h"
#include "store/error.h"

#include <sodium.h>
#include <string.h>

#define TAG crypto_aead_chacha20poly1305_ietf_ABYTES

static const char name[NOISE_HASH + 1] = "Noise_XX_25519_ChaChaPoly_SHA256";

/* The pattern: what each message does, in order. */
enum token { END, E, S, EE, ES, SE };
static const enum token pattern[3][5] = {
	{ E, END },
	{ E, EE, S, ES, END },
	{ S, SE, END },
};

static void mix_hash(struct noise_xx *x, const void *data, size_t len)
{
	crypto_hash_sha256_state state;

	crypto_hash_sha256_init(&state);
	crypto_hash_sha256_update(&state, x->h, sizeof x->h);
	crypto_hash_sha256_update(&state, data, len);
	crypto_hash_sha256_final(&state, x->h);
}

/* HKDF of RFC 5869 with two outputs: the chaining key is the salt. */
static void hkdf(const uint8_t ck[NOISE_HASH], const void *input, size_t len,
		 uint8_t out1[NOISE_HASH], uint8_t out2[NOISE_HASH])
{
	uint8_t temp[NOISE_HASH], second[NOISE_HASH + 1];

	crypto_auth_hmacsha256(temp, input, len, ck);
	crypto_auth_hmacsha256(out1, (const uint8_t[]){ 1 }, 1, temp);
	memcpy(second, out1, NOISE_HASH);
	second[NOISE_HASH] = 2;
	crypto_auth_hmacsha256(out2, second, sizeof second, temp);
	sodium_memzero(temp, sizeof temp);
	sodium_memzero(second, sizeof second);
}

static int mix_dh(struct noise_xx *x, const uint8_t secret[NOISE_DH],
		  const uint8_t public[NOISE_DH])
{
	uint8_t shared[NOISE_DH], ck[NOISE_HASH];

	/* Fails for the points of low order, which would give a known result. */
	if (crypto_scalarmult(shared, secret, public) != 0)
		return ERR_MALFORMED;
	memcpy(ck, x->ck, sizeof ck);
	hkdf(ck, shared, sizeof shared, x->ck, x->k);
	x->keyed = true;
	x->nonce = 0;
	sodium_memzero(shared, sizeof shared);
	sodium_memzero(ck, sizeof ck);
	return 0;
}

/* The DH of a token: the initiator's key is named first, the responder's second. */
static int mix_token(struct noise_xx *x, enum token t)
{
	bool ours_e = t == EE || (t == ES) == x->initiator;
	bool theirs_e = t == EE || (t == ES) != x->initiator;

	return mix_dh(x, ours_e ? x->e_secret : x->s_secret, theirs_e ? x->re : x->rs);
}

static void put_nonce(uint8_t out[12], uint64_t nonce)
{
	memset(out, 0, 4);
	for (unsigned i = 0; i < 8; i++)
		out[4 + i] = (uint8_t)(nonce >> (8 * i));
}

static void encrypt_and_hash(struct noise_xx *x, const void *data, size_t len, struct buf *out)
{
	uint8_t nonce[12];
	uint8_t *p = buf_room(out, len + TAG);

	if (!p)
		return; /* shows in out->failed */
	if (x->keyed) {
		put_nonce(nonce, x->nonce++);
		crypto_aead_chacha20poly1305_ietf_encrypt(p, NULL, data, len, x->h, sizeof x->h,
							  NULL, nonce, x->k);
		len += TAG;
	} else if (len) {
		memcpy(p, data, len);
	}
	mix_hash(x, p, len);
	out->len += len;
}

/* The plaintext goes to `out`, which has room for `len` bytes; its length. */
static int decrypt_and_hash(struct noise_xx *x, const uint8_t *data, size_t len, uint8_t *out)
{
	unsigned long long plain = len;
	uint8_t nonce[12];

	if (x->keyed) {
		put_nonce(nonce, x->nonce++);
		if (len < TAG ||
		    crypto_aead_chacha20poly1305_ietf_decrypt(out, &plain, NULL, data, len, x->h,
							      sizeof x->h, nonce, x->k) != 0)
			return ERR_MALFORMED;
	} else if (len) {
		memcpy(out, data, len);
	}
	mix_hash(x, data, len);
	return (int)plain;
}

void noise_xx_init(struct noise_xx *x, bool initiator, const void *prologue, size_t len,
		   const uint8_t s_secret[NOISE_DH], const uint8_t e_secret[NOISE_DH])
{
	*x = (struct noise_xx){ .initiator = initiator };
	/* The name is exactly as long as a hash and stands for itself. */
	memcpy(x->h, name, sizeof x->h);
	memcpy(x->ck, name, sizeof x->ck);
	mix_hash(x, prologue, len);
	memcpy(x->s_secret, s_secret, NOISE_DH);
	memcpy(x->e_secret, e_secret, NOISE_DH);
	crypto_scalarmult_base(x->s, s_secret);
	crypto_scalarmult_base(x->e, e_secret);
}

bool noise_xx_our_turn(const struct noise_xx *x)
{
	return x->message < 3 && (x->message % 2 == 0) == x->initiator;
}

int noise_xx_write(struct noise_xx *x, const void *payload, size_t len, struct buf *out)
{
	for (const enum token *t = pattern[x->message]; *t != END; t++) {
		int r = 0;

		if (*t == E) {
			buf_append(out, x->e, sizeof x->e);
			mix_hash(x, x->e, sizeof x->e);
		} else if (*t == S) {
			encrypt_and_hash(x, x->s, sizeof x->s, out);
		} else {
			r = mix_token(x, *t);
		}
		if (r < 0)
			return r;
	}
	encrypt_and_hash(x, payload, len, out);
	x->message++;
	return 0;
}

int noise_xx_read(struct noise_xx *x, const uint8_t *msg, size_t len, struct buf *payload)
{
	struct cursor in = cursor_over(msg, len);

	for (const enum token *t = pattern[x->message]; *t != END; t++) {
		const uint8_t *p;
		int r = 0;

		if (*t == E) {
			p = cursor_take(&in, sizeof x->re);
			if (!p)
				return ERR_MALFORMED;
			memcpy(x->re, p, sizeof x->re);
			mix_hash(x, x->re, sizeof x->re);
		} else if (*t == S) {
			uint8_t rs[NOISE_DH + TAG];

			p = cursor_take(&in, sizeof rs);
			r = p ? decrypt_and_hash(x, p, sizeof rs, rs) : ERR_MALFORMED;
			if (r >= 0)
				memcpy(x->rs, rs, sizeof x->rs);
		} else {
			r = mix_token(x, *t);
		}
		if (r < 0)
			return r;
	}
	uint8_t *room = buf_room(payload, cursor_left(&in) + 1);
	int r = room ? decrypt_and_hash(x, in.p, cursor_left(&in), room) : -ENOMEM;
	if (r < 0)
		return r;
	payload->len += (size_t)r;
	x->message++;
	return 0;
}

void noise_xx_split(const struct noise_xx *x, uint8_t from_initiator[32],
		    uint8_t from_responder[32])
{
	hkdf(x->ck, "", 0, from_initiator, from_responder);
}
