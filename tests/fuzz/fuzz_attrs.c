/* Nodes of the attributes DAG: what is taken is written again as it was. */
#include "tests/unit/attrs_nodes.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct buf again = { 0 };

	if (attrs_rewrite(data, len, &again) == 0 &&
	    (again.len != len || memcmp(again.data, data, len) != 0))
		abort();
	buf_release(&again);
	return 0;
}
