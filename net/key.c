/*
 * A public key is named by the hash of its serialization, so a decoder that
 * took two serializations of one key would give one peer two ids.  Everything
 * is therefore compared with the one form that the specification allows, also
 * inside the DER of the older key types, before libcrypto sees any of it.
 */
#include "net/key.h"

#include "store/error.h"

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <openssl/x509.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#define ED25519_PUBLIC	 crypto_sign_PUBLICKEYBYTES
#define SECP256K1_PUBLIC 33 /* a compressed point */
#define INLINE_MAX	 42 /* a serialized key up to this is its own id */

/* SubjectPublicKeyInfo of an uncompressed point on P-256, up to the point. */
static const uint8_t p256_head[] = {
	0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06,
	0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00, 0x04,
};
/* AlgorithmIdentifier of RSA: the OID rsaEncryption and NULL. */
static const uint8_t rsa_algorithm[] = {
	0x30, 0x0d, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01, 0x05, 0x00,
};

void key_generate(struct secret_key *out)
{
	uint8_t public[ED25519_PUBLIC];

	/* Safe to repeat; without it libsodium's generator is not thread-safe. */
	if (sodium_init() < 0)
		abort();
	crypto_sign_keypair(public, out->bytes);
}

void key_public(const struct secret_key *k, struct public_key *out)
{
	*out = (struct public_key){ .type = KEY_ED25519, .len = ED25519_PUBLIC };
	crypto_sign_ed25519_sk_to_pk(out->data, k->bytes);
}

void key_secret_encode(const struct secret_key *k, struct buf *out)
{
	buf_append(out, "\x08\x01\x12\x40", 4);
	buf_append(out, k->bytes, sizeof k->bytes);
}

/* `08 type 12 length data`, every number in its shortest form. */
static int split(const void *in, size_t in_len, enum key_type *type, const uint8_t **data,
		 size_t *len)
{
	struct cursor c = cursor_over(in, in_len);
	bool tags = cursor_u8(&c) == 0x08;
	uint64_t t = cursor_varint(&c);

	tags = cursor_u8(&c) == 0x12 && tags;
	*data = cursor_prefixed(&c, in_len, len);
	if (!cursor_done(&c) || !tags || t > KEY_ECDSA)
		return ERR_MALFORMED;
	*type = (enum key_type)t;
	return 0;
}

int key_secret_decode(struct secret_key *out, const void *in, size_t in_len)
{
	uint8_t public[ED25519_PUBLIC];
	const uint8_t *data;
	struct secret_key k;
	enum key_type type;
	size_t len;
	int r = split(in, in_len, &type, &data, &len);

	if (r < 0)
		return r;
	if (type != KEY_ED25519)
		return -ENOTSUP;
	/* The old form says the public key twice. */
	if (len == 96 && memcmp(data + 32, data + 64, 32) == 0)
		len = 64;
	if (len != sizeof k.bytes)
		return ERR_MALFORMED;
	/* A public half that is not the seed's would leak the key with each signature. */
	crypto_sign_seed_keypair(public, k.bytes, data);
	r = sodium_memcmp(k.bytes, data, sizeof k.bytes) == 0 ? 0 : ERR_MALFORMED;
	if (r == 0)
		*out = k;
	sodium_memzero(&k, sizeof k);
	return r;
}

/* The inside of a DER element with this tag; its length in the shortest form. */
static struct cursor der_enter(struct cursor *in, uint8_t tag)
{
	bool ok = cursor_u8(in) == tag;
	size_t len = cursor_u8(in);

	if (len == 0x81) {
		len = cursor_u8(in);
		ok = ok && len >= 0x80;
	} else if (len == 0x82) {
		len = cursor_u16be(in);
		ok = ok && len >= 0x100;
	} else if (len >= 0x80) {
		ok = false;
	}
	const uint8_t *p = cursor_take(in, ok ? len : 0);
	if (!ok || !p)
		in->bad = true;
	struct cursor inside = cursor_over(p, p ? len : 0);
	inside.bad = in->bad;
	return inside;
}

/* A positive INTEGER in the shortest form, without its sign byte. */
static const uint8_t *der_number(struct cursor *in, size_t *len)
{
	struct cursor c = der_enter(in, 0x02);
	const uint8_t *p = c.p;

	*len = cursor_left(&c);
	if (*len > 1 && p[0] == 0 && p[1] & 0x80) {
		p++;
		(*len)--;
	} else if (!*len || p[0] == 0 || p[0] & 0x80) {
		in->bad = true;
		*len = 0;
	}
	return p;
}

/*
 *	SEQUENCE { SEQUENCE { OID, NULL },
 *		   BIT STRING { 00, SEQUENCE { INTEGER n, INTEGER e } } }
 * Read here and not by libcrypto: its parser takes other forms too, and the
 * size must be known before a verification that costs its square.
 */
static int rsa_check(const uint8_t *data, size_t len)
{
	struct cursor all = cursor_over(data, len);
	struct cursor info = der_enter(&all, 0x30);
	const uint8_t *algorithm = cursor_take(&info, sizeof rsa_algorithm);
	struct cursor bits = der_enter(&info, 0x03);
	uint8_t unused = cursor_u8(&bits);
	struct cursor key = der_enter(&bits, 0x30);
	size_t n_len, e_len;
	const uint8_t *n = der_number(&key, &n_len);
	const uint8_t *e = der_number(&key, &e_len);

	if (!cursor_done(&all) || !cursor_done(&info) || !cursor_done(&bits) ||
	    !cursor_done(&key) || unused != 0 ||
	    memcmp(algorithm, rsa_algorithm, sizeof rsa_algorithm) != 0)
		return ERR_MALFORMED;
	/* Go takes exponents below 2^31; an even number is no RSA key at all. */
	if (e_len > 4 || (e_len == 4 && e[0] & 0x80) || (e_len == 1 && e[0] < 3) ||
	    !(e[e_len - 1] & 1) || !(n[n_len - 1] & 1))
		return ERR_MALFORMED;
	/* 8 * n_len less the leading zero bits; 2048 bits begin with a set one. */
	if (n_len < 256 || (n_len == 256 && !(n[0] & 0x80)) || n_len > 1024)
		return -ENOTSUP;
	return 0;
}

int key_decode(struct public_key *out, const void *in, size_t in_len)
{
	const uint8_t *data;
	enum key_type type;
	size_t len;
	int r = split(in, in_len, &type, &data, &len);

	if (r < 0)
		return r;
	switch (type) {
	case KEY_ED25519:
		r = len == ED25519_PUBLIC ? 0 : ERR_MALFORMED;
		break;
	case KEY_SECP256K1:
		r = len == SECP256K1_PUBLIC && (data[0] == 2 || data[0] == 3) ?
			    0 : ERR_MALFORMED;
		break;
	case KEY_ECDSA:
		r = len == sizeof p256_head + 64 &&
		    memcmp(data, p256_head, sizeof p256_head) == 0 ? 0 : ERR_MALFORMED;
		break;
	case KEY_RSA:
		r = rsa_check(data, len);
		break;
	}
	if (r < 0)
		return r;
	if (len > KEY_DATA_MAX)
		return ERR_MALFORMED;
	out->type = type;
	out->len = (uint16_t)len;
	memcpy(out->data, data, len);
	return 0;
}

size_t key_encode(const struct public_key *k, uint8_t out[KEY_PUBLIC_MAX])
{
	size_t n = 0;

	out[n++] = 0x08;
	out[n++] = (uint8_t)k->type;
	out[n++] = 0x12;
	n += varint_put(out + n, k->len);
	memcpy(out + n, k->data, k->len);
	return n + k->len;
}

void key_peer(const struct public_key *k, struct peer_id *out)
{
	uint8_t bytes[KEY_PUBLIC_MAX];
	size_t n = key_encode(k, bytes);

	*out = (struct peer_id){ 0 };
	if (n <= INLINE_MAX) {
		out->bytes[0] = HASH_IDENTITY;
		out->bytes[1] = (uint8_t)n;
		memcpy(out->bytes + 2, bytes, n);
		out->len = (uint8_t)(n + 2);
	} else {
		out->bytes[0] = HASH_SHA2_256;
		out->bytes[1] = 32;
		crypto_hash_sha256(out->bytes + 2, bytes, n);
		out->len = 34;
	}
}

int key_of_peer(const struct peer_id *p, struct public_key *out)
{
	if (p->len < 2 || p->bytes[0] != HASH_IDENTITY || p->bytes[1] != p->len - 2)
		return ERR_MALFORMED;
	return key_decode(out, p->bytes + 2, p->len - 2u);
}

void key_sign(const struct secret_key *k, const void *data, size_t len,
	      uint8_t out[ED25519_SIGNATURE])
{
	crypto_sign_detached(out, NULL, data, len, k->bytes);
}

static EVP_PKEY *secp256k1_load(const struct public_key *k)
{
	uint8_t point[SECP256K1_PUBLIC];
	OSSL_PARAM params[] = {
		OSSL_PARAM_construct_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, "secp256k1", 0),
		OSSL_PARAM_construct_octet_string(OSSL_PKEY_PARAM_PUB_KEY, point, sizeof point),
		OSSL_PARAM_construct_end(),
	};
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, "EC", NULL);
	EVP_PKEY *pkey = NULL;

	memcpy(point, k->data, sizeof point);
	if (ctx && EVP_PKEY_fromdata_init(ctx) == 1)
		EVP_PKEY_fromdata(ctx, &pkey, EVP_PKEY_PUBLIC_KEY, params);
	EVP_PKEY_CTX_free(ctx);
	return pkey;
}

/* RSA (PKCS #1 v1.5) and ECDSA, both over SHA-256. */
static bool libcrypto_verify(const struct public_key *k, const void *data, size_t len,
			     const void *signature, size_t signature_len)
{
	const uint8_t *der = k->data;
	EVP_PKEY *pkey = k->type == KEY_SECP256K1 ? secp256k1_load(k) :
						    d2i_PUBKEY(NULL, &der, k->len);
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	bool good = pkey && ctx &&
		    EVP_DigestVerifyInit(ctx, NULL, EVP_sha256(), NULL, pkey) == 1 &&
		    EVP_DigestVerify(ctx, signature, signature_len, data, len) == 1;

	EVP_MD_CTX_free(ctx);
	EVP_PKEY_free(pkey);
	return good;
}

int key_verify(const struct public_key *k, const void *data, size_t len,
	       const void *signature, size_t signature_len)
{
	bool good;

	if (signature_len > SIGNATURE_MAX)
		return ERR_CORRUPT;
	if (k->type == KEY_ED25519)
		good = k->len == ED25519_PUBLIC && signature_len == ED25519_SIGNATURE &&
		       crypto_sign_verify_detached(signature, data, len, k->data) == 0;
	else
		good = libcrypto_verify(k, data, len, signature, signature_len);
	return good ? 0 : ERR_CORRUPT;
}
