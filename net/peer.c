#include "net/peer.h"

#include "store/cursor.h"
#include "store/error.h"
#include "store/multibase.h"

#include <string.h>
#include <xxhash.h>

#define IDENTITY_MAX 42 /* longer keys are hashed */

int peer_decode(struct peer_id *out, const void *data, size_t len)
{
	struct cursor in = cursor_over(data, len);
	uint64_t hash = cursor_varint(&in);
	uint64_t size = cursor_varint(&in);

	if (in.bad || size != cursor_left(&in) || size == 0)
		return ERR_MALFORMED;
	if (!(hash == HASH_IDENTITY && size <= IDENTITY_MAX) &&
	    !(hash == HASH_SHA2_256 && size == 32))
		return ERR_MALFORMED;
	*out = (struct peer_id){ .len = (uint8_t)len };
	memcpy(out->bytes, data, len);
	return 0;
}

int peer_parse(struct peer_id *out, const char *text, size_t len)
{
	uint8_t bytes[PEER_ID_MAX + 2];
	int n;

	if (len >= 2 && (text[0] == '1' || memcmp(text, "Qm", 2) == 0)) {
		n = base58_decode(bytes, PEER_ID_MAX, text, len);
		return n < 0 ? ERR_MALFORMED : peer_decode(out, bytes, (size_t)n);
	}
	n = multibase_decode(bytes, sizeof bytes, text, len);
	if (n < 2 || bytes[0] != 1 || bytes[1] != CODEC_LIBP2P_KEY)
		return ERR_MALFORMED;
	return peer_decode(out, bytes + 2, (size_t)n - 2);
}

const char *peer_text(const struct peer_id *p, char out[PEER_TEXT_MAX])
{
	if (base58_encode(out, PEER_TEXT_MAX, p->bytes, p->len) < 0)
		out[0] = '\0';
	return out;
}

const char *peer_name_text(const struct peer_id *p, char out[PEER_TEXT_MAX])
{
	uint8_t cid[PEER_ID_MAX + 2] = { 1, CODEC_LIBP2P_KEY };

	memcpy(cid + 2, p->bytes, p->len);
	if (multibase_encode(out, PEER_TEXT_MAX, 'k', cid, p->len + 2u) < 0)
		out[0] = '\0';
	return out;
}

bool peer_equal(const struct peer_id *a, const struct peer_id *b)
{
	return a->len == b->len && memcmp(a->bytes, b->bytes, a->len) == 0;
}

uint64_t peer_hash(const struct peer_id *p)
{
	return XXH3_64bits(p->bytes, p->len);
}
