/*
 * A segment may hold anything: a scan of it ends, and stays inside.  The input
 * is written over a sound segment, at a place that its first byte says.
 */
#include "store/error.h"
#include "store/segment.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct seen {
	uint32_t behind, size;
	struct multihash names[3];
};

/* What comes out is in order, inside, and not made up. */
static int on_record(void *arg, const uint8_t *bytes, size_t size, const struct place *at,
		     uint32_t end, bool doubtful)
{
	struct seen *seen = arg;
	struct multihash name;
	bool known = false;

	if (multihash_decode(&name, bytes, size) < 0)
		abort();
	for (int i = 0; i < 3; i++)
		known |= multihash_equal(&name, &seen->names[i]);
	if (!known || at->offset < seen->behind || at->offset % 8 || end > seen->size ||
	    at->stored > seen->size - at->offset)
		abort();
	seen->behind = end;
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const blocks[3] = { "", "a block",
					       "another one, of more bytes" };
	struct segment g = { .fd = memfd_create("segment", 0), .number = 1 };
	uint32_t offset = SEGMENT_HEADER, end;
	struct seen seen = { 0 };
	uint64_t damaged;

	if (g.fd < 0 || !size || size > 1u << 20)
		goto out;
	for (int i = 0; i < 3; i++) {
		uint32_t len = (uint32_t)strlen(blocks[i]);
		struct record_name key;
		multihash_sha256(&seen.names[i], blocks[i], len);
		record_name(&key, &seen.names[i], 0);
		struct record rec = { RECORD_BLOCK, ENCODING_RAW,
				      key.size,     len,
				      len,          record_check(blocks[i], len) };
		if (segment_write(&g, offset, &rec, key.bytes, blocks[i]) < 0)
			goto out;
		offset += record_span(key.size, len);
	}
	if (pwrite(g.fd, data + 1, size - 1, data[0]) != (ssize_t)size - 1)
		goto out;
	seen.size = (uint32_t)lseek(g.fd, 0, SEEK_END);
	if (segment_scan(&g, SEGMENT_HEADER, on_record, &seen, &end, &damaged) < 0 ||
	    end > seen.size || end < seen.behind)
		abort();
out:
	if (g.fd >= 0)
		close(g.fd);
	return 0;
}
