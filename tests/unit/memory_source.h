/*
 * Blocks in memory as a source, any of which can be taken away, and the nodes
 * that tests build trees of.
 */
#ifndef TESTS_UNIT_MEMORY_SOURCE_H
#define TESTS_UNIT_MEMORY_SOURCE_H

#include "store/dagpb.h"
#include "store/error.h"
#include "store/source.h"
#include "store/unixfs.h"

#include <stdlib.h>
#include <string.h>

struct memory {
	struct block_source source;
	struct block **blocks;
	bool *absent;
	size_t n, cap;
	size_t gets; /* how often a block was read */
};

static inline struct block *memory_find(struct memory *m, const struct cid *cid,
					bool *absent)
{
	for (size_t i = 0; i < m->n; i++)
		if (multihash_equal(&m->blocks[i]->name, &cid->hash)) {
			*absent = m->absent[i];
			return m->blocks[i];
		}
	*absent = true;
	return NULL;
}

static inline int memory_get(struct block_source *s, const struct cid *cid,
			     struct block **out)
{
	struct memory *m = (struct memory *)s;
	bool absent;
	struct block *b = memory_find(m, cid, &absent);

	if (absent)
		return ERR_MISSING;
	m->gets++;
	*out = block_ref(b);
	return 0;
}

static inline int memory_has(struct block_source *s, const struct cid *cid)
{
	bool absent;

	memory_find((struct memory *)s, cid, &absent);
	return !absent;
}

static inline void memory_init(struct memory *m)
{
	*m = (struct memory){ .source = { .get = memory_get, .has = memory_has } };
}

static inline void memory_release(struct memory *m)
{
	for (size_t i = 0; i < m->n; i++)
		block_unref(m->blocks[i]);
	free(m->blocks);
	free(m->absent);
}

/* Put bytes in, under a version 1 CID of `codec`. */
static inline struct cid memory_put(struct memory *m, uint32_t codec, const void *data,
				    size_t len)
{
	struct cid cid;
	bool absent;

	cid_of(&cid, 1, codec, data, len);
	if (memory_find(m, &cid, &absent))
		return cid;
	if (m->n == m->cap) {
		m->cap = m->cap ? 2 * m->cap : 64;
		m->blocks = realloc(m->blocks, m->cap * sizeof(*m->blocks));
		m->absent = realloc(m->absent, m->cap * sizeof(*m->absent));
	}
	m->absent[m->n] = false;
	if (!m->blocks || !m->absent || block_make(&m->blocks[m->n], data, len) < 0)
		abort();
	m->n++;
	return cid;
}

static inline void memory_hide(struct memory *m, const struct cid *cid, bool hide)
{
	for (size_t i = 0; i < m->n; i++)
		if (multihash_equal(&m->blocks[i]->name, &cid->hash))
			m->absent[i] = hide;
}

static inline void memory_hide_all(struct memory *m, bool hide)
{
	for (size_t i = 0; i < m->n; i++)
		m->absent[i] = hide;
}

/* A dag-pb node: first the links are put into `links`, then this ends it. */
static inline struct cid memory_node(struct memory *m, struct buf *links,
				     const struct unixfs *u, const uint64_t *sizes,
				     size_t n)
{
	struct buf data = { 0 };

	unixfs_encode(&data, u, sizes, n);
	dagpb_put_data(links, data.data, data.len);
	struct cid cid = memory_put(m, CODEC_DAG_PB, links->data, links->len);
	buf_release(&data);
	buf_release(links);
	return cid;
}

static inline void put_link(struct buf *links, const struct cid *cid, const char *name,
			    uint64_t tsize)
{
	dagpb_put_link(links, cid, name, strlen(name), tsize);
}

#endif
