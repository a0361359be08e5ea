#include "store/keep.h"

#include "store/buf.h"
#include "store/cidset.h"
#include "store/dag.h"
#include "store/error.h"

#include <stdlib.h>

#define STACK_MAX (256u << 20)

struct keeping {
	struct store *store;
	struct cidset seen;
	struct buf stack; /* still to be kept: binary CID, its length in a byte */
	_Atomic uint64_t blocks, bytes;
};

int keeping_new(struct keeping **out, struct store *s)
{
	struct keeping *k = calloc(1, sizeof *k);
	int r = k ? cidset_init(&k->seen) : -ENOMEM;

	if (r < 0) {
		keeping_free(k);
		return r;
	}
	k->store = s;
	*out = k;
	return 0;
}

void keeping_free(struct keeping *k)
{
	if (!k)
		return;
	cidset_release(&k->seen);
	buf_release(&k->stack);
	free(k);
}

void keeping_count(const struct keeping *k, uint64_t *blocks, uint64_t *bytes)
{
	*blocks = k->blocks;
	*bytes = k->bytes;
}

int keeping_add(struct keeping *k, const struct cid *root)
{
	uint8_t bytes[CID_SIZE_MAX];
	size_t n = cid_encode(root, bytes);

	buf_append(&k->stack, bytes, n);
	buf_u8(&k->stack, (uint8_t)n);
	return k->stack.failed ? -ENOMEM : 0;
}

static int on_link(void *arg, const struct cid *child)
{
	struct keeping *k = arg;

	if (cidset_has(&k->seen, child))
		return 0;
	if (k->stack.len > STACK_MAX)
		return -EOVERFLOW;
	return keeping_add(k, child);
}

static int expand(struct keeping *k, const struct cid *cid)
{
	struct block *b = NULL;
	size_t before = k->stack.len;
	int r = source_get(store_source(k->store), cid, &b);

	if (r == 0)
		r = dag_links(cid, b, on_link, k);
	if (r == ERR_MALFORMED || r == -ENOTSUP) {
		k->stack.len = before;
		r = 0;
	}
	block_unref(b);
	return r < 0 ? r : k->stack.failed ? -ENOMEM : 0;
}

/* Keep one block, and put its links on the stack. */
static int keep_one(struct keeping *k, const struct cid *cid)
{
	size_t size = 0;
	int r = 0;

	if (cidset_has(&k->seen, cid))
		return 0;
	if (cid->hash.code != HASH_IDENTITY)
		r = store_keep(k->store, &cid->hash);
	if (r == 0 && cid->codec != CODEC_RAW)
		r = expand(k, cid);
	if (r == 0)
		r = cidset_add(&k->seen, cid);
	if (r < 0)
		return r;
	store_keeps(k->store, &cid->hash, &size);
	k->blocks++;
	k->bytes += size;
	return 0;
}

int keeping_run(struct keeping *k, struct misses *misses, atomic_bool *cancel)
{
	struct cid cid;
	int r = 0;

	if (misses)
		misses->n = 0;
	while (r == 0 && k->stack.len && (!misses || misses->n < misses->max)) {
		if (cancel && atomic_load(cancel))
			return -ECANCELED;
		size_t n = k->stack.data[k->stack.len - 1];
		k->stack.len -= n + 1;
		struct cursor in = cursor_over(k->stack.data + k->stack.len, n);
		cid_read(&in, &cid); /* we wrote it */
		r = keep_one(k, &cid);
		if (r == ERR_MISSING) {
			if (misses)
				misses_add(misses, &cid);
			r = 0;
		}
	}
	return r < 0 ? r : misses && misses->n ? ERR_MISSING : 0;
}
