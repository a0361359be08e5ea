/* Noise XX as libp2p speaks it: equal to the published vector, and deaf to liars. */
#include "net/noise.h"
#include "net/noise_internal.h"
#include "store/error.h"
#include "store/pb.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

static size_t unhex(uint8_t *out, const char *hex)
{
	size_t n = strlen(hex) / 2;

	for (size_t i = 0; i < n; i++) {
		unsigned byte;
		assert_int_equal(sscanf(hex + 2 * i, "%2x", &byte), 1);
		out[i] = (uint8_t)byte;
	}
	return n;
}

/* ---- the published vector (cacophony, Noise_XX_25519_ChaChaPoly_SHA256) ---- */

static const struct {
	const char *payload, *ciphertext;
} vector[] = {
	{ "4c756477696720766f6e204d69736573",
	  "ca35def5ae56cec33dc2036731ab14896bc4c75dbb07a61f879f8e3afa4c79444c756477696720766f6e"
	  "204d69736573" },
	{ "4d757272617920526f746862617264",
	  "95ebc60d2b1fa672c1f46a8aa265ef51bfe38e7ccb39ec5be34069f14480884381cbad1f276e038c4837"
	  "8ffce2b65285e08d6b68aaa3629a5a8639392490e5b9bd5269c2f1e4f488ed8831161f19b7815528f898"
	  "2ffe09be9b5c412f8a0db50f8814c7194e83f23dbd8d162c9326ad" },
	{ "462e20412e20486179656b",
	  "c7195ffacac1307ff99046f219750fc47693e23c3cb08b89c2af808b444850a80ae475b9df0f169ae80a"
	  "89be0865b57f58c9fea0d4ec82a286427402f113e4b6ae769a1d95941d49b25030" },
	{ "4361726c204d656e676572", "96763ed773f8e47bb3712f0e29b3060ffc956ffc146cee53d5e1df" },
	{ "4a65616e2d426170746973746520536179",
	  "3e40f15f6f3a46ae446b253bf8b1d9ffb6ed9b174d272328ff91a7e2e5c79c07f5" },
	{ "457567656e2042f6686d20766f6e2042617765726b",
	  "eb3f3515110702e047a6c9da4478b6ead94873c11c0f2d710ddb3f09fce024b3a58502ae3f" },
};

static void the_published_vector_is_met(void **state)
{
	uint8_t si[32], ei[32], sr[32], er[32], k1[32], k2[32], k3[32], k4[32];
	struct noise_xx side[2];
	struct noise_cipher cipher[2];

	unhex(si, "e61ef9919cde45dd5f82166404bd08e38bceb5dfdfded0a34c8df7ed542214d1");
	unhex(ei, "893e28b9dc6ca8d611ab664754b8ceb7bac5117349a4439a6b0569da977c464a");
	unhex(sr, "4a3acbfdb163dec651dfa3194dece676d437029c62a408b4c5ea9114246e4893");
	unhex(er, "bbdb4cdbd309f1a1f2e1456967fe288cadd6f712d65dc7b7793d5e63da6b375b");
	noise_xx_init(&side[0], true, "John Galt", 9, si, ei);
	noise_xx_init(&side[1], false, "John Galt", 9, sr, er);

	for (int i = 0; i < 6; i++) {
		uint8_t plain[64], expected[256];
		size_t n = unhex(plain, vector[i].payload);
		size_t m = unhex(expected, vector[i].ciphertext);
		struct buf out = { 0 }, payload = { 0 };

		if (i < 3) {
			assert_true(noise_xx_our_turn(&side[i % 2]));
			assert_false(noise_xx_our_turn(&side[1 - i % 2]));
			assert_int_equal(noise_xx_write(&side[i % 2], plain, n, &out), 0);
			assert_int_equal(
				noise_xx_read(&side[1 - i % 2], out.data, out.len, &payload), 0);
			assert_int_equal(payload.len, n);
			assert_memory_equal(payload.data, plain, n);
			buf_release(&payload);
		} else {
			/* Message 4 is the responder's: the halves of the split alternate. */
			struct iovec in[2] = { { plain, 5 }, { plain + 5, n - 5 } };
			uint8_t *p = buf_room(&out, n + NOISE_TAG);
			assert_int_equal(noise_cipher_seal(&cipher[i % 2], in, 2, p), 0);
			out.len = n + NOISE_TAG;
		}
		assert_int_equal(out.len, m);
		assert_memory_equal(out.data, expected, m);
		buf_release(&out);
		if (i == 2) {
			noise_xx_split(&side[0], k1, k2);
			noise_xx_split(&side[1], k3, k4);
			assert_memory_equal(k1, k3, 32);
			assert_memory_equal(k2, k4, 32);
			unhex(expected, "c8e5f64e846193be2a834104c2a00986"
					"8d6c9f3bd3c186299888b488b2f1f58e");
			assert_memory_equal(side[0].h, expected, 32);
			assert_int_equal(noise_cipher_init(&cipher[0], k1), 0);
			assert_int_equal(noise_cipher_init(&cipher[1], k2), 0);
		}
	}
	noise_cipher_release(&cipher[0]);
	noise_cipher_release(&cipher[1]);
}

/* ---- two of us ---- */

struct pair {
	struct secret_key key[2];
	struct peer_id id[2];
	struct noise *n[2]; /* 0 dials, 1 listens */
	struct buf frame[3]; /* with their lengths */
};

static int setup(void **state)
{
	struct pair *p = calloc(1, sizeof *p);
	struct public_key public;

	for (int i = 0; i < 2; i++) {
		key_generate(&p->key[i]);
		key_public(&p->key[i], &public);
		key_peer(&public, &p->id[i]);
	}
	assert_int_equal(noise_new(&p->n[0], true, &p->key[0], &p->id[1]), 0);
	assert_int_equal(noise_new(&p->n[1], false, &p->key[1], NULL), 0);
	*state = p;
	return 0;
}

static int teardown(void **state)
{
	struct pair *p = *state;

	for (int i = 0; i < 2; i++)
		noise_free(p->n[i]);
	for (int i = 0; i < 3; i++)
		buf_release(&p->frame[i]);
	free(p);
	return 0;
}

static int feed(struct noise *n, const struct buf *frame, struct buf *out)
{
	assert_int_equal(frame->data[0] << 8 | frame->data[1], frame->len - NOISE_LENGTH);
	return noise_handshake(n, frame->data + NOISE_LENGTH, frame->len - NOISE_LENGTH, out);
}

/* Up to the frame that is named; the last one that is made is not given to anyone. */
static void shake(struct pair *p, int frames)
{
	assert_int_equal(noise_start(p->n[1], &p->frame[0]), 0);
	assert_int_equal(p->frame[0].len, 0);
	assert_int_equal(noise_start(p->n[0], &p->frame[0]), 0);
	if (frames > 1)
		assert_int_equal(feed(p->n[1], &p->frame[0], &p->frame[1]), 0);
	if (frames > 2)
		assert_int_equal(feed(p->n[0], &p->frame[1], &p->frame[2]), 1);
}

static void both_learn_who_the_other_is(void **state)
{
	struct pair *p = *state;
	struct buf nothing = { 0 };
	struct public_key k;

	shake(p, 3);
	assert_int_equal(p->frame[0].len, NOISE_LENGTH + 32);
	assert_int_equal(feed(p->n[1], &p->frame[2], &nothing), 1);
	assert_int_equal(nothing.len, 0);
	assert_true(peer_equal(noise_peer(p->n[0]), &p->id[1]));
	assert_true(peer_equal(noise_peer(p->n[1]), &p->id[0]));
	key_public(&p->key[0], &k);
	assert_memory_equal(noise_peer_key(p->n[1])->data, k.data, 32);
	assert_true(noise_early_yamux(p->n[0]));
	assert_true(noise_early_yamux(p->n[1]));
	/* The handshake is over: another message is none of it. */
	assert_int_equal(feed(p->n[1], &p->frame[2], &nothing), -EPIPE);
}

static void every_truncation_and_every_changed_byte_ends_it(void **state)
{
	struct pair *p = *state;
	struct noise saved, *fresh[2];

	assert_int_equal(noise_new(&fresh[0], true, &p->key[0], NULL), 0);
	assert_int_equal(noise_new(&fresh[1], false, &p->key[1], NULL), 0);
	struct buf msg[3] = { 0 }, out = { 0 };
	assert_int_equal(noise_start(fresh[0], &msg[0]), 0);

	/* Message 1: every length but the right one. */
	saved = *fresh[1];
	for (size_t cut = 0; cut < msg[0].len - NOISE_LENGTH; cut++) {
		assert_int_equal(noise_handshake(fresh[1], msg[0].data + NOISE_LENGTH, cut, &out),
				 ERR_MALFORMED);
		assert_int_equal(noise_handshake(fresh[1], msg[0].data + NOISE_LENGTH, 32, &out),
				 -EPIPE);
		*fresh[1] = saved;
	}
	assert_int_equal(out.len, 0);
	buf_u8(&msg[0], 'x'); /* a payload has no place in it */
	assert_int_equal(noise_handshake(fresh[1], msg[0].data + NOISE_LENGTH, 33, &out),
			 ERR_MALFORMED);
	*fresh[1] = saved;
	buf_release(&out);
	assert_int_equal(noise_handshake(fresh[1], msg[0].data + NOISE_LENGTH, 32, &msg[1]), 0);

	/* Messages 2 and 3. */
	for (int m = 1; m < 3; m++) {
		struct noise *reader = m == 1 ? fresh[0] : fresh[1];
		size_t len = msg[m].len - NOISE_LENGTH;

		saved = *reader;
		for (size_t i = 0; i < len; i++) {
			uint8_t *body = msg[m].data + NOISE_LENGTH;

			assert_int_equal(noise_handshake(reader, body, i, &out), ERR_MALFORMED);
			*reader = saved;
			body[i] ^= 1;
			assert_int_equal(noise_handshake(reader, body, len, &out), ERR_MALFORMED);
			*reader = saved;
			body[i] ^= 1;
		}
		assert_int_equal(out.len, 0);
		assert_int_equal(noise_handshake(reader, msg[m].data + NOISE_LENGTH, len,
						 m == 1 ? &msg[2] : &out), 1);
	}
	for (int i = 0; i < 3; i++)
		buf_release(&msg[i]);
	buf_release(&out);
	noise_free(fresh[0]);
	noise_free(fresh[1]);
}

static void b8_a_frame_of_noise_is_dropped(void **state)
{
	struct pair *p = *state;
	uint8_t *big = malloc(65535);
	struct buf out = { 0 };

	randombytes_buf(big, 65535);
	assert_int_equal(noise_handshake(p->n[1], big, 65535, &out), ERR_MALFORMED);
	/* It is not the initiator who is written to first. */
	assert_int_equal(noise_handshake(p->n[0], big, 32, &out), ERR_MALFORMED);
	assert_int_equal(noise_start(p->n[0], &out), -EPIPE);
	assert_int_equal(out.len, 0);
	free(big);
}

static void b9_points_of_low_order_are_refused(void **state)
{
	static const char *const points[] = {
		"0000000000000000000000000000000000000000000000000000000000000000",
		"0100000000000000000000000000000000000000000000000000000000000000",
		"e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
		"5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
		"ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
		"edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
		"eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
	};
	struct pair *p = *state;

	for (size_t i = 0; i < sizeof points / sizeof *points; i++) {
		struct noise *n;
		struct buf out = { 0 };
		uint8_t point[32];

		unhex(point, points[i]);
		assert_int_equal(noise_new(&n, false, &p->key[1], NULL), 0);
		assert_int_equal(noise_handshake(n, point, 32, &out), ERR_MALFORMED);
		noise_free(n);
		buf_release(&out);
	}
}

/* ---- a dialler that lies in its last message ---- */

/* What the listener says to an arbitrary payload in message 3. */
static int told(struct pair *p, const uint8_t s[32], const struct buf *payload,
		const struct peer_id *expect, bool *early)
{
	struct buf msg[3] = { 0 }, got = { 0 }, out = { 0 };
	struct noise_xx liar;
	struct noise *n;
	uint8_t e[32];

	randombytes_buf(e, sizeof e);
	noise_xx_init(&liar, true, "", 0, s, e);
	assert_int_equal(noise_new(&n, false, &p->key[1], expect), 0);
	assert_int_equal(noise_xx_write(&liar, "", 0, &msg[0]), 0);
	assert_int_equal(noise_handshake(n, msg[0].data, msg[0].len, &msg[1]), 0);
	assert_int_equal(noise_xx_read(&liar, msg[1].data + 2, msg[1].len - 2, &got), 0);
	assert_int_equal(noise_xx_write(&liar, payload->data, payload->len, &msg[2]), 0);
	int r = noise_handshake(n, msg[2].data, msg[2].len, &out);
	if (early)
		*early = noise_early_yamux(n);
	noise_free(n);
	for (int i = 0; i < 3; i++)
		buf_release(&msg[i]);
	buf_release(&got);
	buf_release(&out);
	return r;
}

struct claim {
	uint8_t s[32];	     /* the static secret of the session */
	uint8_t text[24 + 32]; /* what is to be signed */
	uint8_t key[KEY_PUBLIC_MAX];
	size_t key_len;
	uint8_t signature[ED25519_SIGNATURE];
};

static void claim_honestly(struct pair *p, struct claim *c)
{
	struct public_key public;

	randombytes_buf(c->s, sizeof c->s);
	memcpy(c->text, "noise-libp2p-static-key:", 24);
	crypto_scalarmult_base(c->text + 24, c->s);
	key_public(&p->key[0], &public);
	c->key_len = key_encode(&public, c->key);
	key_sign(&p->key[0], c->text, sizeof c->text, c->signature);
}

static int claimed(struct pair *p, const struct claim *c, size_t signature_len)
{
	struct buf payload = { 0 };

	pb_put_bytes(&payload, 1, c->key, c->key_len);
	if (signature_len)
		pb_put_bytes(&payload, 2, c->signature, signature_len);
	int r = told(p, c->s, &payload, NULL, NULL);
	buf_release(&payload);
	return r;
}

static void b10_only_a_signature_over_this_static_key_counts(void **state)
{
	struct pair *p = *state;
	struct claim c;

	claim_honestly(p, &c);
	assert_int_equal(claimed(p, &c, 64), 1);

	assert_int_equal(claimed(p, &c, 0), ERR_CORRUPT); /* absent */
	assert_int_equal(claimed(p, &c, 63), ERR_CORRUPT);

	struct claim other_static = c;
	randombytes_buf(other_static.s, sizeof other_static.s);
	assert_int_equal(claimed(p, &other_static, 64), ERR_CORRUPT);

	struct claim prefix = c;
	prefix.text[0] = 'N';
	key_sign(&p->key[0], prefix.text, sizeof prefix.text, prefix.signature);
	assert_int_equal(claimed(p, &prefix, 64), ERR_CORRUPT);
	key_sign(&p->key[0], c.text + 24, 32, prefix.signature); /* none at all */
	assert_int_equal(claimed(p, &prefix, 64), ERR_CORRUPT);

	struct claim other_key = c;
	key_sign(&p->key[1], c.text, sizeof c.text, other_key.signature);
	assert_int_equal(claimed(p, &other_key, 64), ERR_CORRUPT);

	struct claim zero = c;
	memset(zero.signature, 0, sizeof zero.signature);
	assert_int_equal(claimed(p, &zero, 64), ERR_CORRUPT);

	struct claim random = c;
	randombytes_buf(random.signature, sizeof random.signature);
	assert_int_equal(claimed(p, &random, 64), ERR_CORRUPT);

	struct claim bad_key = c;
	bad_key.key_len--;
	assert_int_equal(claimed(p, &bad_key, 64), ERR_MALFORMED);
}

static void b11_another_peer_than_the_dialled_one_is_refused(void **state)
{
	struct pair *p = *state;
	struct buf payload = { 0 };
	struct claim c;

	claim_honestly(p, &c);
	pb_put_bytes(&payload, 1, c.key, c.key_len);
	pb_put_bytes(&payload, 2, c.signature, 64);
	assert_int_equal(told(p, c.s, &payload, &p->id[0], NULL), 1);
	assert_int_equal(told(p, c.s, &payload, &p->id[1], NULL), ERR_CORRUPT);
	buf_release(&payload);

	/* And from the dialler's side, which then says nothing about itself. */
	struct noise *n;
	struct buf m1 = { 0 }, m2 = { 0 }, m3 = { 0 };
	assert_int_equal(noise_new(&n, true, &p->key[0], &p->id[0]), 0);
	assert_int_equal(noise_start(n, &m1), 0);
	assert_int_equal(feed(p->n[1], &m1, &m2), 0);
	assert_int_equal(feed(n, &m2, &m3), ERR_CORRUPT);
	assert_int_equal(m3.len, 0);
	noise_free(n);
	buf_release(&m1);
	buf_release(&m2);
}

static void b17_the_hashed_id_of_an_inlined_key_is_another_peer(void **state)
{
	struct pair *p = *state;
	struct buf payload = { 0 };
	struct peer_id alias = { .len = 34, .bytes = { 0x12, 0x20 } };
	struct claim c;

	claim_honestly(p, &c);
	crypto_hash_sha256(alias.bytes + 2, c.key, c.key_len);
	pb_put_bytes(&payload, 1, c.key, c.key_len);
	pb_put_bytes(&payload, 2, c.signature, 64);
	assert_int_equal(told(p, c.s, &payload, &alias, NULL), ERR_CORRUPT);
	buf_release(&payload);
}

static void the_muxer_is_settled_only_if_both_name_it(void **state)
{
	static const struct {
		const char *text;
		bool early;
	} lists[] = {
		{ "\x22\x0e\x12\x0c/yamux/1.0.0", true },
		{ "\x22\x1c\x12\x0c/mplex/6.7.0\x12\x0c/yamux/1.0.0", true },
		{ "\x22\x0e\x12\x0c/mplex/6.7.0", false },
		{ "\x22\x0e\x0a\x0c/yamux/1.0.0", false }, /* a certificate hash */
		{ "\x22\x0d\x12\x0b/yamux/1.0.", false },
		{ "\x3a\x01x", false }, /* an unknown field is skipped */
		{ "", false },
	};
	struct pair *p = *state;
	struct claim c;

	claim_honestly(p, &c);
	for (size_t i = 0; i < sizeof lists / sizeof *lists; i++) {
		struct buf payload = { 0 };
		bool early;

		pb_put_bytes(&payload, 1, c.key, c.key_len);
		pb_put_bytes(&payload, 2, c.signature, 64);
		buf_text(&payload, lists[i].text);
		assert_int_equal(told(p, c.s, &payload, NULL, &early), 1);
		assert_int_equal(early, lists[i].early);
		buf_release(&payload);
	}
}

static void every_truncated_payload_is_refused(void **state)
{
	struct pair *p = *state;
	struct buf payload = { 0 };
	struct claim c;

	claim_honestly(p, &c);
	pb_put_bytes(&payload, 1, c.key, c.key_len);
	pb_put_bytes(&payload, 2, c.signature, 64);
	size_t complete = payload.len;
	buf_text(&payload, "\x22\x0e\x12\x0c/yamux/1.0.0");
	for (size_t cut = 0; cut <= payload.len; cut++) {
		struct buf part = { .data = payload.data, .len = cut };
		int r = told(p, c.s, &part, NULL, NULL);

		if (cut == complete || cut == payload.len)
			assert_int_equal(r, 1);
		else
			assert_true(r == ERR_MALFORMED || r == ERR_CORRUPT);
	}
	buf_release(&payload);
}

/* ---- after the handshake ---- */

static void finish(struct pair *p)
{
	struct buf nothing = { 0 };

	shake(p, 3);
	assert_int_equal(feed(p->n[1], &p->frame[2], &nothing), 1);
}

static void segments_become_one_frame(void **state)
{
	struct pair *p = *state;
	uint8_t *data = malloc(NOISE_PLAIN_MAX), *out = malloc(NOISE_FRAME_MAX + NOISE_LENGTH);
	const size_t sizes[] = { 0, 1, 15, 16, 17, 63, 64, 65, 1000, NOISE_PLAIN_MAX };

	finish(p);
	randombytes_buf(data, NOISE_PLAIN_MAX);
	for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
		size_t n = sizes[i], third = n / 3;
		struct iovec in[] = { { data, third }, { NULL, 0 }, { data + third, third },
				      { data + 2 * third, n - 2 * third } };

		for (int from = 0; from < 2; from++) {
			int r = noise_encrypt(p->n[from], in, 4, out);
			assert_int_equal(r, n + NOISE_OVERHEAD);
			assert_int_equal(out[0] << 8 | out[1], n + NOISE_TAG);
			r = noise_decrypt(p->n[1 - from], out + NOISE_LENGTH, n + NOISE_TAG);
			assert_int_equal(r, n);
			assert_memory_equal(out + NOISE_LENGTH, data, n);
		}
	}
	/* One byte more is refused, and nothing is lost by it. */
	struct iovec in[] = { { data, NOISE_PLAIN_MAX }, { data, 1 } };
	assert_int_equal(noise_encrypt(p->n[0], in, 2, out), -EFBIG);
	assert_int_equal(noise_encrypt(p->n[0], in, 1, out), NOISE_PLAIN_MAX + NOISE_OVERHEAD);
	assert_int_equal(noise_decrypt(p->n[1], out + NOISE_LENGTH, NOISE_FRAME_MAX),
			 NOISE_PLAIN_MAX);
	free(data);
	free(out);
}

/* Three frames of the dialler: "one", "two", "three". */
static void three_frames(struct pair *p, uint8_t frames[3][64], size_t lens[3])
{
	static const char *const texts[] = { "one", "two", "three" };

	finish(p);
	for (int i = 0; i < 3; i++) {
		struct iovec in = { (void *)texts[i], strlen(texts[i]) };
		lens[i] = (size_t)noise_encrypt(p->n[0], &in, 1, frames[i]) - NOISE_LENGTH;
	}
}

static void b14_tampered_frames_end_the_connection(void **state)
{
	struct pair *p = *state;
	uint8_t frames[3][64];
	size_t lens[3];

	three_frames(p, frames, lens);
	frames[0][NOISE_LENGTH + 1] ^= 0x20;
	assert_int_equal(noise_decrypt(p->n[1], frames[0] + 2, lens[0]), ERR_CORRUPT);
	/* For good, also for the frames that nobody touched. */
	frames[0][NOISE_LENGTH + 1] ^= 0x20;
	assert_int_equal(noise_decrypt(p->n[1], frames[0] + 2, lens[0]), -EPIPE);
	assert_int_equal(noise_decrypt(p->n[1], frames[1] + 2, lens[1]), -EPIPE);
}

static void b14_replayed_frames_end_the_connection(void **state)
{
	struct pair *p = *state;
	uint8_t frames[3][64], again[64];
	size_t lens[3];

	three_frames(p, frames, lens);
	memcpy(again, frames[0], sizeof again);
	assert_int_equal(noise_decrypt(p->n[1], frames[0] + 2, lens[0]), 3);
	assert_int_equal(noise_decrypt(p->n[1], again + 2, lens[0]), ERR_CORRUPT);
}

static void b14_reordered_frames_end_the_connection(void **state)
{
	struct pair *p = *state;
	uint8_t frames[3][64];
	size_t lens[3];

	three_frames(p, frames, lens);
	assert_int_equal(noise_decrypt(p->n[1], frames[1] + 2, lens[1]), ERR_CORRUPT);
	assert_int_equal(noise_decrypt(p->n[1], frames[0] + 2, lens[0]), -EPIPE);
}

static void b14_truncated_frames_end_the_connection(void **state)
{
	for (size_t cut = 0; cut < 3 + NOISE_TAG; cut++) {
		uint8_t frames[3][64];
		size_t lens[3];
		void *mine;

		setup(&mine);
		struct pair *p = mine;
		three_frames(p, frames, lens);
		assert_int_equal(lens[0], 3 + NOISE_TAG);
		assert_int_equal(noise_decrypt(p->n[1], frames[0] + 2, cut),
				 cut < NOISE_TAG ? ERR_MALFORMED : ERR_CORRUPT);
		assert_int_equal(noise_decrypt(p->n[1], frames[1] + 2, lens[1]), -EPIPE);
		teardown(&mine);
	}
}

static void a_frame_of_our_own_reflected_is_not_taken(void **state)
{
	struct pair *p = *state;
	uint8_t frames[3][64];
	size_t lens[3];

	three_frames(p, frames, lens);
	assert_int_equal(noise_decrypt(p->n[0], frames[0] + 2, lens[0]), ERR_CORRUPT);
}

static void b15_the_last_nonce_is_never_used(void **state)
{
	struct pair *p = *state;
	struct iovec in = { "x", 1 };
	uint8_t out[64];

	finish(p);
	p->n[0]->send.counter = p->n[1]->receive.counter = UINT64_MAX - 1;
	assert_int_equal(noise_encrypt(p->n[0], &in, 1, out), 1 + NOISE_OVERHEAD);
	assert_int_equal(noise_decrypt(p->n[1], out + NOISE_LENGTH, 1 + NOISE_TAG), 1);
	assert_int_equal(out[NOISE_LENGTH], 'x');
	assert_int_equal(noise_encrypt(p->n[0], &in, 1, out), -EOVERFLOW);
	assert_int_equal(noise_encrypt(p->n[0], &in, 1, out), -EPIPE);
	assert_int_equal(noise_decrypt(p->n[1], out + NOISE_LENGTH, 1 + NOISE_TAG), -EOVERFLOW);
	/* The other direction has its own. */
	assert_int_equal(noise_encrypt(p->n[1], &in, 1, out), 1 + NOISE_OVERHEAD);
	assert_int_equal(noise_decrypt(p->n[0], out + NOISE_LENGTH, 1 + NOISE_TAG), 1);
}

static void nothing_is_encrypted_before_the_handshake(void **state)
{
	struct pair *p = *state;
	struct iovec in = { "x", 1 };
	uint8_t out[64] = { 0 };

	assert_int_equal(noise_encrypt(p->n[0], &in, 1, out), -EPIPE);
	assert_int_equal(noise_decrypt(p->n[0], out, 20), -EPIPE);
}

#define WITH_PAIR(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_published_vector_is_met),
		WITH_PAIR(both_learn_who_the_other_is),
		WITH_PAIR(every_truncation_and_every_changed_byte_ends_it),
		WITH_PAIR(b8_a_frame_of_noise_is_dropped),
		WITH_PAIR(b9_points_of_low_order_are_refused),
		WITH_PAIR(b10_only_a_signature_over_this_static_key_counts),
		WITH_PAIR(b11_another_peer_than_the_dialled_one_is_refused),
		WITH_PAIR(b17_the_hashed_id_of_an_inlined_key_is_another_peer),
		WITH_PAIR(the_muxer_is_settled_only_if_both_name_it),
		WITH_PAIR(every_truncated_payload_is_refused),
		WITH_PAIR(segments_become_one_frame),
		WITH_PAIR(b14_tampered_frames_end_the_connection),
		WITH_PAIR(b14_replayed_frames_end_the_connection),
		WITH_PAIR(b14_reordered_frames_end_the_connection),
		cmocka_unit_test(b14_truncated_frames_end_the_connection),
		WITH_PAIR(a_frame_of_our_own_reflected_is_not_taken),
		WITH_PAIR(b15_the_last_nonce_is_never_used),
		WITH_PAIR(nothing_is_encrypted_before_the_handshake),
	};
	return cmocka_run_group_tests_name("noise", tests, NULL, NULL);
}
