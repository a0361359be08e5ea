#include "store/source.h"
#include "store/error.h"

int source_get(struct block_source *s, const struct cid *cid, struct block **out)
{
	int r = multihash_allowed(&cid->hash);

	if (r < 0)
		return r;
	if (cid->hash.code == HASH_IDENTITY)
		return block_verify(out, &cid->hash, cid->hash.digest, cid->hash.size);
	return s->get(s, cid, out);
}

int source_has(struct block_source *s, const struct cid *cid)
{
	struct block *b = NULL;

	if (multihash_allowed(&cid->hash) < 0)
		return 0;
	if (cid->hash.code == HASH_IDENTITY)
		return 1;
	if (s->has)
		return s->has(s, cid);

	int r = s->get(s, cid, &b);
	if (r == 0)
		block_unref(b);
	return r == 0;
}

void source_soon(struct block_source *s, const struct cid *cids, size_t n)
{
	if (s->soon && n)
		s->soon(s, cids, n);
}

int source_try(struct block_source *s, const struct cid *cid, struct block **out,
	       struct misses *misses)
{
	int r = source_get(s, cid, out);

	if (r == ERR_MISSING)
		misses_add(misses, cid);
	return r;
}

void misses_add(struct misses *m, const struct cid *cid)
{
	if (!m || m->n == m->max)
		return;
	if (m->n && cid_equal(&m->cids[m->n - 1], cid))
		return;
	m->cids[m->n++] = *cid;
}
