/* dag-pb: what is read, written again in the order of the format, reads the same. */
#include "store/dagpb.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct dagpb_node node, again;
	struct dagpb_link l;
	struct buf out = { 0 };
	size_t links = 0;
	struct cid c;
	int r;

	if (dagpb_decode(&node, data, len) < 0)
		return 0;
	struct cursor in = node.links;
	while ((r = dagpb_next(&in, &l)) > 0) {
		if (dagpb_link_cid(&l, &c) < 0)
			break;
		size_t before = out.len;
		dagpb_put_link(&out, &c, l.name, l.name_len, l.tsize);
		if (out.len - before != dagpb_link_size(l.hash_len, l.name_len, l.tsize))
			abort();
		links++;
	}
	if (r == 0) {
		if (links != node.n_links)
			abort();
		if (node.has_data)
			dagpb_put_data(&out, node.data, node.data_len);
		if (dagpb_decode(&again, out.data, out.len) < 0 ||
		    again.n_links != links || again.data_len != node.data_len ||
		    (node.data_len && memcmp(again.data, node.data, node.data_len) != 0))
			abort();
	}
	buf_release(&out);
	return 0;
}
