#include "store/sink.h"

#include "store/dagpb.h"
#include "store/error.h"

int sink_put(struct block_sink *s, int cid_version, uint32_t codec, const void *data,
	     size_t len, struct cid *out)
{
	cid_of(out, cid_version, codec, data, len);
	return s->put(s, &out->hash, data, len);
}

int sink_put_node(struct block_sink *s, int cid_version, struct buf *block,
		  const struct unixfs *u, const uint64_t *blocksizes, size_t n,
		  struct cid *out)
{
	struct buf data = { 0 };
	int r = -ENOMEM;

	unixfs_encode(&data, u, blocksizes, n);
	if (!data.failed)
		dagpb_put_data(block, data.data, data.len);
	if (!data.failed && !block->failed)
		r = sink_put(s, cid_version, CODEC_DAG_PB, block->data, block->len, out);
	buf_release(&data);
	return r;
}
