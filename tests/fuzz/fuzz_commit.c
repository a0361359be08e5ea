/* Commits: what is taken has one encoding, and no signature by chance. */
#include "fs/commit.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static struct secret_key key;
	static bool have;
	struct buf again = { 0 };
	struct commit c;

	if (!have) {
		key_generate(&key);
		have = true;
	}
	if (commit_decode(&c, data, len) < 0)
		return 0;
	struct commit mine = c;
	/* Signed by somebody else, all but author and signature is as it was. */
	if (commit_sign(&mine, &key, &again) < 0 || again.len != len ||
	    memcmp(again.data + len - 64 - 23, data + len - 64 - 23, 23) != 0)
		abort();
	buf_release(&again);
	return 0;
}
