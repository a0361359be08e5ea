#include "store/multihash.h"
#include "store/buf.h"
#include "store/error.h"

#include <openssl/evp.h>
#include <pthread.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#define DIGEST_MIN        20 /* boxo verifcid: shorter ones can be forged */
#define HASH_DBL_SHA2_256 0x56
#define HASH_BLAKE2B_MIN  0xb201 /* one byte of digest; the code counts up with it */
#define HASH_BLAKE2B_MAX  0xb240
#define HASH_BLAKE2S_MIN  0xb241
#define HASH_BLAKE2S_MAX  0xb260

/* The hashes that OpenSSL computes.  Indexes `fetched` below. */
static const struct hash_kind {
	uint32_t code;
	uint8_t size; /* a shorter digest is the front of it */
	bool extendable;
	const char *name;
} kinds[] = {
	{ HASH_SHA2_256, 32, false, "SHA2-256" }, /* first: found first */
	{ HASH_SHA1, 20, false, "SHA1" },
	{ HASH_SHA2_512, 64, false, "SHA2-512" },
	{ 0x14, 64, false, "SHA3-512" },
	{ 0x15, 48, false, "SHA3-384" },
	{ HASH_SHA3_256, 32, false, "SHA3-256" },
	{ 0x17, 28, false, "SHA3-224" },
	{ 0x19, 64, true, "SHAKE-256" },
	{ HASH_BLAKE2S_MAX, 32, false, "BLAKE2S-256" },
};

#define N_KINDS (sizeof kinds / sizeof *kinds)

/* Set once, then only read.  Fetching an algorithm by its name and making a
 * context cost more than hashing 4 KiB, so each is done once. */
static EVP_MD *fetched[N_KINDS];
static pthread_key_t context_key;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void free_context(void *ctx)
{
	EVP_MD_CTX_free(ctx);
}

static void fetch_all(void)
{
	for (size_t i = 0; i < N_KINDS; i++)
		fetched[i] = EVP_MD_fetch(NULL, kinds[i].name, NULL);
	if (!fetched[0] || pthread_key_create(&context_key, free_context) != 0)
		abort(); /* no sha2-256: nothing of ours can work */
}

static EVP_MD_CTX *context(void)
{
	pthread_once(&once, fetch_all);

	EVP_MD_CTX *ctx = pthread_getspecific(context_key);
	if (!ctx) {
		ctx = EVP_MD_CTX_new();
		if (!ctx || pthread_setspecific(context_key, ctx) != 0)
			abort(); /* a hundred bytes, once for each thread */
	}
	return ctx;
}

/* The first `size` bytes of the digest of kinds[i] to `out`. */
static int compute(size_t i, uint8_t *out, size_t size, const void *data, size_t len)
{
	EVP_MD_CTX *ctx = context();
	uint8_t full[EVP_MAX_MD_SIZE];

	if (!fetched[i])
		return -ENOTSUP;
	if (!EVP_DigestInit_ex2(ctx, fetched[i], NULL) ||
	    !EVP_DigestUpdate(ctx, data, len))
		return -ENOTSUP;
	if (kinds[i].extendable)
		return EVP_DigestFinalXOF(ctx, out, size) ? 0 : -ENOTSUP;
	if (!EVP_DigestFinal_ex(ctx, full, NULL))
		return -ENOTSUP;
	memcpy(out, full, size);
	return 0;
}

void sha256(uint8_t out[32], const void *data, size_t len)
{
	if (compute(0, out, 32, data, len) < 0)
		abort(); /* the algorithm is there, and has no other way to fail */
}

void multihash_read(struct cursor *in, struct multihash *out)
{
	uint64_t code = cursor_varint(in);
	uint64_t size = cursor_varint(in);

	*out = (struct multihash){ 0 };
	if (code > UINT32_MAX || size > DIGEST_MAX)
		in->bad = true;
	const uint8_t *digest = cursor_take(in, in->bad ? 0 : (size_t)size);
	if (in->bad)
		return;
	out->code = (uint32_t)code;
	out->size = (uint8_t)size;
	if (size)
		memcpy(out->digest, digest, (size_t)size);
}

int multihash_decode(struct multihash *out, const void *data, size_t len)
{
	struct cursor in = cursor_over(data, len);

	multihash_read(&in, out);
	return cursor_done(&in) ? 0 : ERR_MALFORMED;
}

size_t multihash_encode(const struct multihash *m, uint8_t *out)
{
	size_t n = varint_put(out, m->code);

	n += varint_put(out + n, m->size);
	memcpy(out + n, m->digest, m->size);
	return n + m->size;
}

bool multihash_equal(const struct multihash *a, const struct multihash *b)
{
	return a->code == b->code && a->size == b->size &&
	       memcmp(a->digest, b->digest, a->size) == 0;
}

uint64_t multihash_hash(const struct multihash *m)
{
	uint64_t h;

	/* A strong digest is as good as any hash of it. */
	if (m->code != HASH_IDENTITY && m->size >= sizeof h) {
		memcpy(&h, m->digest, sizeof h);
		return h;
	}
	h = 0xcbf29ce484222325u ^ m->code; /* FNV-1a */
	for (size_t i = 0; i < m->size; i++)
		h = (h ^ m->digest[i]) * 0x100000001b3u;
	return h;
}

/* The longest digest of a hash that a block may be named by; 0 if none. */
static size_t longest(uint32_t code)
{
	if (code >= HASH_BLAKE2B_MIN + DIGEST_MIN - 1 && code <= HASH_BLAKE2B_MAX)
		return code - HASH_BLAKE2B_MIN + 1;
	if (code >= HASH_BLAKE2S_MIN + DIGEST_MIN - 1 && code <= HASH_BLAKE2S_MAX)
		return code - HASH_BLAKE2S_MIN + 1;
	for (size_t i = 0; i < N_KINDS; i++)
		if (kinds[i].code == code)
			return kinds[i].size;
	switch (code) {
	case HASH_DBL_SHA2_256:
		return 32;
	case HASH_IDENTITY:
	case HASH_BLAKE3:
		return DIGEST_MAX;
	case 0x1a: /* keccak-224 and so on */
		return 28;
	case 0x1b:
		return 32;
	case 0x1c:
		return 48;
	case 0x1d:
		return 64;
	}
	return 0;
}

int multihash_allowed(const struct multihash *m)
{
	size_t max = longest(m->code);

	if (!max)
		return -ENOTSUP;
	if (m->size > max || (m->size < DIGEST_MIN && m->code != HASH_IDENTITY))
		return ERR_MALFORMED;
	return 0;
}

void multihash_sha256(struct multihash *out, const void *data, size_t len)
{
	*out = (struct multihash){ .code = HASH_SHA2_256, .size = 32 };
	sha256(out->digest, data, len);
}

int multihash_of(struct multihash *out, uint32_t code, uint8_t size, const void *data,
		 size_t len)
{
	struct multihash m = { .code = code, .size = size };
	int r = multihash_allowed(&m);

	if (r < 0)
		return r;
	if (code == HASH_IDENTITY) {
		if (size != len)
			return ERR_MALFORMED;
		if (len)
			memcpy(m.digest, data, len);
		*out = m;
		return 0;
	}
	if (code == HASH_DBL_SHA2_256) {
		uint8_t inner[32], outer[32];
		sha256(inner, data, len);
		sha256(outer, inner, sizeof inner);
		memcpy(m.digest, outer, size);
		*out = m;
		return 0;
	}
	if (code >= HASH_BLAKE2B_MIN && code <= HASH_BLAKE2B_MAX) {
		uint8_t full[64];
		if (crypto_generichash_blake2b(full, longest(code), data, len, NULL, 0) <
		    0)
			return -ENOTSUP;
		memcpy(m.digest, full, size);
		*out = m;
		return 0;
	}
	for (size_t i = 0; i < N_KINDS; i++)
		if (kinds[i].code == code) {
			r = compute(i, m.digest, size, data, len);
			if (r == 0)
				*out = m;
			return r;
		}
	return -ENOTSUP;
}

int multihash_check(const struct multihash *name, const void *data, size_t len)
{
	struct multihash real;

	/* Bytes of another length are other bytes, not a digest of a bad size. */
	if (name->code == HASH_IDENTITY && name->size != len)
		return ERR_CORRUPT;

	int r = multihash_of(&real, name->code, name->size, data, len);
	if (r < 0)
		return r;
	return multihash_equal(&real, name) ? 0 : ERR_CORRUPT;
}
