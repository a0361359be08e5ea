/* Both roles come to the same end however the input is cut into pieces. */
#include "net/multistream.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static const char *const offers[] = { "/a", "/noise", "/yamux/1.0.0", NULL };

static const char *choose(void *arg, const char *protocol)
{
	for (const char *const *o = offers; *o; o++)
		if (strcmp(*o, protocol) == 0)
			return *o;
	return NULL;
}

static int run(bool dial, const uint8_t *data, size_t len, size_t piece, size_t *used,
	       struct buf *out)
{
	struct multistream m;
	int r = 0;

	if (dial)
		multistream_dial(&m, offers, out);
	else
		multistream_listen(&m, choose, NULL);
	*used = 0;
	while (r == 0 && *used < len) {
		size_t n = piece < len - *used ? piece : len - *used, taken;
		r = multistream_feed(&m, data + *used, n, &taken, out);
		*used += taken;
	}
	multistream_release(&m);
	return r;
}

static void both_ways(bool dial, const uint8_t *data, size_t len)
{
	struct buf whole = { 0 }, bytes = { 0 };
	size_t used1, used2;
	int r1 = run(dial, data, len, len, &used1, &whole);
	int r2 = run(dial, data, len, 1, &used2, &bytes);

	if (r1 != r2 || whole.len != bytes.len || (r1 > 0 && used1 != used2) ||
	    (whole.len && memcmp(whole.data, bytes.data, whole.len) != 0))
		abort();
	buf_release(&whole);
	buf_release(&bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct buf greeted = { 0 };

	both_ways(true, data, len);
	both_ways(false, data, len);
	/* Behind a header, where proposals and answers are. */
	multistream_put(&greeted, "/multistream/1.0.0");
	buf_append(&greeted, data, len);
	both_ways(true, greeted.data, greeted.len);
	both_ways(false, greeted.data, greeted.len);
	buf_release(&greeted);
	return 0;
}
