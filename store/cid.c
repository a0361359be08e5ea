#include "store/cid.h"
#include "store/buf.h"
#include "store/error.h"
#include "store/multibase.h"

#include <assert.h>
#include <string.h>

#define V0_SIZE 34 /* 12 20 and the digest */
#define V0_TEXT 46 /* characters in base58 */

static bool begins_v0(const struct cursor *in)
{
	return cursor_left(in) >= 2 && in->p[0] == HASH_SHA2_256 && in->p[1] == 32;
}

void cid_read(struct cursor *in, struct cid *out)
{
	*out = (struct cid){ .version = 0, .codec = CODEC_DAG_PB };
	if (!begins_v0(in)) {
		if (cursor_varint(in) != 1)
			in->bad = true;
		uint64_t codec = cursor_varint(in);
		if (codec > UINT32_MAX)
			in->bad = true;
		out->version = 1;
		out->codec = (uint32_t)codec;
	}
	multihash_read(in, &out->hash);
}

int cid_decode(struct cid *out, const void *data, size_t len)
{
	struct cursor in = cursor_over(data, len);

	cid_read(&in, out);
	return cursor_done(&in) ? 0 : ERR_MALFORMED;
}

size_t cid_encode(const struct cid *c, uint8_t *out)
{
	size_t n = 0;

	if (c->version == 1) {
		n = varint_put(out, 1);
		n += varint_put(out + n, c->codec);
	}
	return n + multihash_encode(&c->hash, out + n);
}

size_t cid_size(const struct cid *c)
{
	size_t head = c->version == 1 ? 1 + varint_size(c->codec) : 0;

	return head + varint_size(c->hash.code) + varint_size(c->hash.size) +
	       c->hash.size;
}

int cid_parse(struct cid *out, const char *text, size_t len)
{
	uint8_t bytes[CID_SIZE_MAX];
	int n;

	if (len == V0_TEXT && text[0] == 'Q' && text[1] == 'm') {
		n = base58_decode(bytes, sizeof bytes, text, len);
		if (n != V0_SIZE)
			return ERR_MALFORMED;
		return cid_decode(out, bytes, V0_SIZE);
	}
	n = multibase_decode(bytes, sizeof bytes, text, len);
	if (n == -EFBIG)
		return ERR_MALFORMED;
	if (n < 0)
		return n;
	/* Version 0 has one text form, the one above. */
	if (n == 0 || bytes[0] == HASH_SHA2_256)
		return ERR_MALFORMED;
	return cid_decode(out, bytes, (size_t)n);
}

const char *cid_text(const struct cid *c, char out[CID_TEXT_MAX])
{
	uint8_t bytes[CID_SIZE_MAX];
	size_t n = cid_encode(c, bytes);
	int r;

	if (c->version == 0)
		r = base58_encode(out, CID_TEXT_MAX, bytes, n);
	else
		r = multibase_encode(out, CID_TEXT_MAX,
				     c->codec == CODEC_LIBP2P_KEY ? 'k' : 'b', bytes, n);
	assert(r > 0); /* CID_TEXT_MAX has room for the longest */
	return out;
}

bool cid_equal(const struct cid *a, const struct cid *b)
{
	return a->version == b->version && a->codec == b->codec &&
	       multihash_equal(&a->hash, &b->hash);
}

void cid_of(struct cid *out, int version, uint32_t codec, const void *data, size_t len)
{
	assert(version == 1 || (version == 0 && codec == CODEC_DAG_PB));
	out->version = (uint8_t)version;
	out->codec = codec;
	multihash_sha256(&out->hash, data, len);
}
