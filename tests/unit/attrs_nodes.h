/* Attributes for tests: nodes written again from what was read of them. */
#ifndef TESTS_UNIT_ATTRS_NODES_H
#define TESTS_UNIT_ATTRS_NODES_H

#include "fs/attrs_internal.h"

/* Decode, and encode what was decoded.  0 or ERR_MALFORMED. */
static inline int attrs_rewrite(const void *data, size_t len, struct buf *out)
{
	struct buf items = { 0 };
	struct attrs_node n;
	struct attrs_child c;
	struct attrs_link l;
	int r = attrs_node_decode(&n, data, len);

	if (r < 0)
		return r;
	if (n.form == ATTRS_ENTRIES)
		while (attrs_node_entry(&n.items, &l))
			attrs_put_link(&items, &l);
	if (n.form == ATTRS_INDEX)
		while (attrs_node_child(&n.items, &c))
			attrs_put_child(&items, &c);
	attrs_put_node(out, n.has_self ? &n.self : NULL, n.form, n.n, &items);
	buf_release(&items);
	return 0;
}

#endif
