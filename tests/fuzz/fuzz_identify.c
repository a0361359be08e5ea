/* Identify messages never break the bounds of what is kept. */
#include "net/frame.h"
#include "net/identify_msg.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static const struct peer_id from = { .len = 34, .bytes = { 0x12, 0x20 } };

static int merge(void *arg, const uint8_t *msg, size_t len)
{
	return identify_merge(arg, &from, msg, len);
}

static void check(const struct identify *id)
{
	int n = 0;

	for (const char *p = NULL; (p = identify_next_protocol(id, p));)
		n++;
	if (n != id->n_protocols || n > IDENTIFY_PROTOCOLS || id->n_addrs > IDENTIFY_ADDRS ||
	    id->parts > IDENTIFY_PARTS_MAX || id->has_key || id->has_record)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct frame f = { .max = IDENTIFY_MESSAGE_MAX };
	struct identify *id = calloc(1, sizeof *id);

	merge(id, data, len);
	check(id);
	memset(id, 0, sizeof *id);
	frame_feed(&f, data, len, merge, id);
	check(id);
	frame_release(&f);
	free(id);
	return 0;
}
