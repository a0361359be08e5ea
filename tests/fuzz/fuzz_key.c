/* A key that decodes is the only serialization of itself, and verifies nothing made up. */
#include "net/key.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	uint8_t again[KEY_PUBLIC_MAX];
	struct secret_key secret;
	struct public_key k, inner;
	struct peer_id id;

	key_secret_decode(&secret, data, len);
	if (key_decode(&k, data, len) < 0)
		return 0;
	if (key_encode(&k, again) != len || memcmp(again, data, len) != 0)
		abort();
	key_peer(&k, &id);
	if (key_of_peer(&id, &inner) == 0 && inner.len != k.len)
		abort();
	/* The key's own bytes are no signature of anything. */
	if (key_verify(&k, "", 0, data, len) == 0)
		abort();
	return 0;
}
