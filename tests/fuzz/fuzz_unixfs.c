/* UnixFS Data: the sizes add up, and what is written again reads the same. */
#include "store/hamt.h"
#include "store/unixfs.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static uint64_t sizes[1 << 16];
	struct unixfs u, again;
	struct buf out = { 0 };
	uint64_t size, sum = 0;
	size_t n = 0, count;

	if (len > sizeof sizes / sizeof *sizes || unixfs_decode(&u, data, len) < 0)
		return 0;
	struct cursor in = u.blocksizes;
	while (unixfs_next_sizes(&in, &size, &count))
		for (; count; count--) {
			sum += size;
			sizes[n++] = size;
		}
	if (n != u.n_blocksizes || sum != u.blocksizes_sum)
		abort();
	unixfs_encode(&out, &u, sizes, n);
	if (unixfs_decode(&again, out.data, out.len) < 0 || again.type != u.type ||
	    again.n_blocksizes != n || again.blocksizes_sum != sum ||
	    again.has_data != u.has_data || again.data_len != u.data_len ||
	    again.filesize != u.filesize || again.mode != u.mode ||
	    again.mtime != u.mtime || again.mtime_nsec != u.mtime_nsec)
		abort();
	unixfs_check(&u, n);

	struct dagpb_node node = { .n_links = len % 8 };
	struct hamt_shard shard;
	if (hamt_shard_init(&shard, &node, &u) == 0)
		for (unsigned b = 0, used = 0; b < shard.shape.fanout; b++) {
			if (hamt_shard_rank(&shard, b) != used)
				abort();
			used += hamt_shard_has(&shard, b);
		}
	buf_release(&out);
	return 0;
}
