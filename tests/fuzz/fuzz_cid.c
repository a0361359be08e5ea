/* CIDs, multihashes and multibase: what is read is written back the same. */
#include "store/cid.h"
#include "store/error.h"
#include "store/multibase.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	uint8_t bytes[CID_SIZE_MAX], decoded[2048];
	char text[CID_TEXT_MAX];
	struct cid c, again;

	if (cid_decode(&c, data, len) == 0) {
		if (cid_encode(&c, bytes) != len || memcmp(bytes, data, len) != 0)
			abort();
		cid_text(&c, text);
		if (cid_parse(&again, text, strlen(text)) < 0 || !cid_equal(&c, &again))
			abort();
		multihash_check(&c.hash, data, len);
	}
	if (cid_parse(&c, (const char *)data, len) == 0) {
		size_t n = cid_encode(&c, bytes);
		if (cid_decode(&again, bytes, n) < 0 || !cid_equal(&c, &again))
			abort();
	}
	int n = multibase_decode(decoded, sizeof decoded, (const char *)data, len);
	if (n > 0 && n <= 512) {
		char back[2048];
		uint8_t twice[2048];
		int m = multibase_encode(back, sizeof back, 'z', decoded, (size_t)n);
		if (m < 0 ||
		    multibase_decode(twice, sizeof twice, back, (size_t)m) != n ||
		    memcmp(twice, decoded, (size_t)n) != 0)
			abort();
	}
	return 0;
}
