/* A segment may hold anything: a scan of it ends, and stays inside. */
#include "store/error.h"
#include "store/segment.h"

#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct seen {
	uint32_t behind, size;
};

static int on_record(void *arg, const struct multihash *name, const struct place *at)
{
	struct seen *seen = arg;

	if (at->offset < seen->behind || at->offset % 8 ||
	    at->stored > seen->size - at->offset || name->size > DIGEST_MAX)
		abort();
	seen->behind = at->offset + RECORD_HEADER + at->stored;
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct segment g = {.fd = memfd_create("segment", 0), .number = 1};
	struct seen seen = {0, (uint32_t)size};
	uint64_t damaged;
	uint32_t end;

	if (g.fd < 0 || size > 1u << 20)
		goto out;
	if (size >= SEGMENT_HEADER)
		segment_header_check(data, 1);
	if (write(g.fd, data, size) != (ssize_t)size)
		goto out;
	if (segment_scan(&g, 0, on_record, &seen, &end, &damaged) < 0 || end > size ||
	    end < seen.behind)
		abort();
out:
	if (g.fd >= 0)
		close(g.fd);
	return 0;
}
