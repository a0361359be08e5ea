/*
 * Trees: the input is cut into blocks, which a source gives in the order in
 * which they are asked for, whatever their names are.  So every link leads
 * somewhere, and trees of any shape come about.
 */
#include "store/dag.h"
#include "store/error.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

struct deck {
	struct block_source source;
	const uint8_t *data;
	size_t len, at;
};

/* A block is a length of two bytes, its top bit for "missing", and the bytes. */
static int deal(struct block_source *s, const struct cid *cid, struct block **out)
{
	struct deck *d = (struct deck *)s;
	uint8_t *to;

	if (d->len < 2)
		return ERR_MISSING;
	if (d->len - d->at < 2)
		d->at = 0; /* the cards are shown again: trees without end */
	size_t n = (size_t)(d->data[d->at] & 0x7f) << 8 | d->data[d->at + 1];
	bool missing = d->data[d->at] & 0x80;
	d->at += 2;
	if (n > d->len - d->at)
		n = d->len - d->at;
	if (missing)
		return ERR_MISSING;
	int r = block_reserve(out, &cid->hash, n, &to);
	if (r == 0 && n)
		memcpy(to, d->data + d->at, n);
	d->at += n;
	return r;
}

static int count(void *arg, const struct dag_entry *e, uint64_t pos_behind)
{
	if (strlen(e->name) != e->name_len || e->name_len == 0 || strchr(e->name, '/') ||
	    strcmp(e->name, "..") == 0 || pos_behind > (uint64_t)INT64_MAX)
		abort();
	return ++*(unsigned *)arg == 1000;
}

static int follow(void *arg, const struct cid *child)
{
	return ++*(unsigned *)arg == 1000;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct deck d = { .source.get = deal, .data = data, .len = len };
	struct cid root, room[8];
	struct misses misses = { .cids = room, .max = 8 };
	struct dag_extent extents[8];
	struct dag_entry entry;
	struct dag_attr attr;
	unsigned n = 0;
	char buf[512];

	cid_of(&root, 1, CODEC_DAG_PB, "", 0);
	if (dag_stat(&d.source, &root, &attr, &misses) == 0 && attr.size > INT64_MAX)
		abort();
	d.at = 0;
	int64_t got = dag_read(&d.source, &root, 3, buf, sizeof buf, &misses);
	if (got > (int64_t)sizeof buf)
		abort();
	d.at = 0;
	int r = dag_map(&d.source, &root, 0, SIZE_MAX, extents, 8, &misses);
	for (int i = 0; i < r; i++)
		if (extents[i].len == 0 || extents[i].offset > extents[i].block->size ||
		    extents[i].len > extents[i].block->size - extents[i].offset)
			abort();
	if (r > 0)
		dag_extents_release(extents, r);
	d.at = 0;
	misses.n = 0;
	dag_leaves(&d.source, &root, 0, UINT64_MAX, &misses);
	d.at = 0;
	dag_readlink(&d.source, &root, buf, sizeof buf, &misses);
	d.at = 0;
	misses.n = 0;
	dag_list(&d.source, &root, 0, count, &n, &misses);
	d.at = n = 0;
	dag_list(&d.source, &root, len, count, &n, &misses);
	d.at = 0;
	dag_resolve(&d.source, &root, "a/b", &entry, &misses);

	struct block *b;
	d.at = n = 0;
	if (deal(&d.source, &root, &b) == 0) {
		dag_links(&root, b, follow, &n);
		root.codec = CODEC_DAG_CBOR;
		dag_links(&root, b, follow, &n);
		block_unref(b);
	}
	return 0;
}
