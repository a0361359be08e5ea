/*
 * The log of a damaged disk: whatever the meta of a record says, it is refused or
 * means something within bounds, and what was understood is written the same again.
 */
#include "fs/folder_record.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct cursor in = cursor_over(data, size);
	struct buf again = { 0 };
	struct update u;
	int r;

	for (;;) {
		const uint8_t *from = in.p;

		r = update_next(&in, &u);
		if (r <= 0)
			break;
		if (u.kind == UPDATE_EXTENT && (!u.len || u.offset + u.len > INT64_MAX))
			abort();
		if (u.core.size > INT64_MAX || (u.name_len && memchr(u.name, 0, u.name_len)))
			abort();
		buf_clear(&again);
		update_encode(&again, &u);
		if (again.failed || again.len != (size_t)(in.p - from) ||
		    memcmp(again.data, from, again.len))
			abort();
	}
	if (r == 0 && in.p != in.end)
		abort();
	buf_release(&again);
	return 0;
}
