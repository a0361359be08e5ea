#include "store/sink.h"

#include "store/dagpb.h"
#include "store/error.h"

int sink_put(struct block_sink *s, const struct profile *p, uint32_t codec,
	     const void *data, size_t len, struct cid *out)
{
	int r = 0;

	out->version = codec == CODEC_DAG_PB ? p->cid_version : 1;
	out->codec = codec;
	if (p->hash)
		r = multihash_of(&out->hash, p->hash, p->hash_size, data, len);
	else
		multihash_sha256(&out->hash, data, len);
	return r < 0 ? r : s->put(s, &out->hash, data, len);
}

int sink_put_node(struct block_sink *s, const struct profile *p, struct buf *block,
		  const struct unixfs *u, const uint64_t *blocksizes, size_t n,
		  struct cid *out)
{
	struct buf data = { 0 };
	int r = -ENOMEM;

	unixfs_encode(&data, u, blocksizes, n);
	if (!data.failed)
		dagpb_put_data(block, data.data, data.len);
	if (!data.failed && !block->failed)
		r = sink_put(s, p, CODEC_DAG_PB, block->data, block->len, out);
	buf_release(&data);
	return r;
}
