#include "net/noise_cipher.h"

#include "net/noise.h"
#include "store/error.h"

#include <openssl/evp.h>

int noise_cipher_init(struct noise_cipher *c, const uint8_t key[32])
{
	*c = (struct noise_cipher){ .ctx = EVP_CIPHER_CTX_new() };
	if (c->ctx &&
	    EVP_CipherInit_ex(c->ctx, EVP_chacha20_poly1305(), NULL, key, NULL, -1) == 1)
		return 0;
	noise_cipher_release(c);
	return -ENOMEM;
}

void noise_cipher_release(struct noise_cipher *c)
{
	EVP_CIPHER_CTX_free(c->ctx); /* wipes the key */
	c->ctx = NULL;
}

/* After any failure the key is gone, so nothing can go on with a wrong counter. */
static int fail(struct noise_cipher *c, int error)
{
	noise_cipher_release(c);
	return error;
}

/* Set the nonce of the next frame, and nothing else: the key schedule stays. */
static int begin(struct noise_cipher *c, int encrypt)
{
	uint8_t nonce[12] = { 0 };

	if (!c->ctx)
		return -EPIPE;
	/* 2^64 - 1 is reserved by the specification. */
	if (c->counter == UINT64_MAX)
		return fail(c, -EOVERFLOW);
	for (unsigned i = 0; i < 8; i++)
		nonce[4 + i] = (uint8_t)(c->counter >> (8 * i));
	c->counter++;
	if (EVP_CipherInit_ex(c->ctx, NULL, NULL, NULL, nonce, encrypt) != 1)
		return fail(c, -ENOMEM);
	return 0;
}

int noise_cipher_seal(struct noise_cipher *c, const struct iovec *in, int n_in, uint8_t *out)
{
	int r = begin(c, 1);
	int n;

	if (r < 0)
		return r;
	for (int i = 0; i < n_in; i++) {
		if (!in[i].iov_len)
			continue; /* to libcrypto, a call without bytes is the end */
		if (EVP_CipherUpdate(c->ctx, out, &n, in[i].iov_base, (int)in[i].iov_len) != 1)
			return fail(c, -ENOMEM);
		out += n;
	}
	if (EVP_CipherFinal_ex(c->ctx, out, &n) != 1 ||
	    EVP_CIPHER_CTX_ctrl(c->ctx, EVP_CTRL_AEAD_GET_TAG, NOISE_TAG, out) != 1)
		return fail(c, -ENOMEM);
	return 0;
}

int noise_cipher_open(struct noise_cipher *c, uint8_t *data, size_t len)
{
	int r = begin(c, 0);
	int n;

	if (r < 0)
		return r;
	if (EVP_CIPHER_CTX_ctrl(c->ctx, EVP_CTRL_AEAD_SET_TAG, NOISE_TAG, data + len) != 1)
		return fail(c, -ENOMEM);
	if (len && EVP_CipherUpdate(c->ctx, data, &n, data, (int)len) != 1)
		return fail(c, ERR_CORRUPT);
	if (EVP_CipherFinal_ex(c->ctx, data + len, &n) != 1)
		return fail(c, ERR_CORRUPT);
	return 0;
}
