/*
 * Blocks in memory, a network that is a function, and a loop that a test turns
 * by hand: what fs/blocks.h needs, without threads and clock.
 */
#ifndef TESTS_MEMORY_H
#define TESTS_MEMORY_H

#include "fs/blocks.h"
#include "store/dagpb.h"
#include "store/error.h"
#include "store/unixfs.h"

#include <stdlib.h>
#include <string.h>

struct want {
	struct want *next;
	struct want_request rq;
	want_fn done;
	void *arg;
};

struct call {
	struct call *next;
	void (*fn)(void *arg);
	void (*done)(void *arg);
	void *arg;
};

struct memory_block {
	struct memory_block *next;
	struct cid cid;
	struct block *block;
	bool here;
};

struct memory {
	struct blocks b;
	struct block_source source;
	struct memory_block *blocks;
	struct want *wants;
	struct call *calls, **calls_end;
	unsigned n_wants, n_cancelled, n_gets;
	uint64_t clock;
	bool is_offline;
	int post_fails; /* so many of the next posts fail */
};

static inline struct memory *memory_of(struct blocks *b)
{
	return (struct memory *)b;
}

static inline struct memory_block *memory_find(struct memory *m, const struct cid *cid)
{
	struct memory_block *b = m->blocks;

	while (b && !multihash_equal(&b->cid.hash, &cid->hash))
		b = b->next;
	return b;
}

static inline int memory_get(struct block_source *s, const struct cid *cid,
			     struct block **out)
{
	struct memory *m = (struct memory *)((char *)s - offsetof(struct memory, source));
	struct memory_block *b = memory_find(m, cid);

	m->n_gets++;
	if (!b || !b->here)
		return ERR_MISSING;
	*out = block_ref(b->block);
	return 0;
}

static inline int memory_has(struct block_source *s, const struct cid *cid)
{
	struct memory *m = (struct memory *)((char *)s - offsetof(struct memory, source));
	struct memory_block *b = memory_find(m, cid);

	return b && b->here;
}

static inline struct want *memory_want(struct blocks *b, const struct want_request *rq,
				       want_fn done, void *arg)
{
	struct memory *m = memory_of(b);
	struct want *w = calloc(1, sizeof *w);

	*w = (struct want){ m->wants, *rq, done, arg };
	m->wants = w;
	m->n_wants++;
	return w;
}

static inline void memory_end(struct memory *m, struct want *w, int result,
			      struct block *block)
{
	struct want **at = &m->wants;

	while (*at != w)
		at = &(*at)->next;
	*at = w->next;
	m->n_wants--;
	w->done(w->arg, result, block);
	free(w);
}

static inline void memory_cancel(struct blocks *b, struct want *w)
{
	memory_of(b)->n_cancelled++;
	memory_end(memory_of(b), w, -ECANCELED, NULL);
}

static inline int memory_work(struct blocks *b, void (*fn)(void *arg),
			      void (*done)(void *arg), void *arg)
{
	struct memory *m = memory_of(b);
	struct call *c;

	if (m->post_fails > 0) {
		m->post_fails--;
		return -ENOMEM;
	}
	c = calloc(1, sizeof *c);
	*c = (struct call){ NULL, fn, done, arg };
	*m->calls_end = c;
	m->calls_end = &c->next;
	return 0;
}

static inline int memory_post(struct blocks *b, void (*fn)(void *arg), void *arg)
{
	return memory_work(b, fn, NULL, arg);
}

static inline uint64_t memory_now(struct blocks *b)
{
	return memory_of(b)->clock;
}

static inline bool memory_offline(struct blocks *b)
{
	return memory_of(b)->is_offline;
}

static inline void memory_init(struct memory *m)
{
	*m = (struct memory){
	    .b =
		{
		    .want = memory_want,
		    .cancel = memory_cancel,
		    .post = memory_post,
		    .work = memory_work,
		    .now = memory_now,
		    .offline = memory_offline,
		},
	    .source = {.get = memory_get, .has = memory_has},
	};
	m->b.source = &m->source;
	m->calls_end = &m->calls;
}

/* Make the calls that wait, and those they cause. */
static inline void memory_turn(struct memory *m)
{
	while (m->calls) {
		struct call *c = m->calls;

		m->calls = c->next;
		if (!m->calls)
			m->calls_end = &m->calls;
		c->fn(c->arg);
		if (c->done)
			c->done(c->arg);
		free(c);
	}
}

static inline void memory_release(struct memory *m)
{
	memory_turn(m);
	while (m->blocks) {
		struct memory_block *b = m->blocks;

		m->blocks = b->next;
		block_unref(b->block);
		free(b);
	}
}

/* A block; `here` if the local source has it. */
static inline struct cid memory_put(struct memory *m, uint32_t codec, const void *data,
				    size_t len, bool here)
{
	struct memory_block *b = calloc(1, sizeof *b);

	cid_of(&b->cid, 1, codec, data, len);
	if (block_verify(&b->block, &b->cid.hash, data, len) < 0)
		abort();
	b->here = here;
	b->next = m->blocks;
	m->blocks = b;
	return b->cid;
}

static inline struct cid memory_raw(struct memory *m, const char *text, bool here)
{
	return memory_put(m, CODEC_RAW, text, strlen(text), here);
}

/* The block comes: all who want it get it. */
static inline void memory_deliver(struct memory *m, const struct cid *cid)
{
	struct memory_block *b = memory_find(m, cid);
	bool again = true;

	b->here = true;
	while (again) {
		again = false;
		for (struct want *w = m->wants; w; w = w->next) {
			if (!multihash_equal(&w->rq.cid.hash, &cid->hash))
				continue;
			memory_end(m, w, 0, b->block);
			again = true;
			break;
		}
	}
	memory_turn(m);
}

/* The first want of that block fails. */
static inline void memory_fail(struct memory *m, const struct cid *cid, int result)
{
	for (struct want *w = m->wants; w; w = w->next) {
		if (!multihash_equal(&w->rq.cid.hash, &cid->hash))
			continue;
		memory_end(m, w, result, NULL);
		break;
	}
	memory_turn(m);
}

struct memory_link {
	const char *name;
	struct cid cid;
	uint64_t tsize;
};

/* A directory of `n` entries. */
static inline struct cid memory_dir(struct memory *m, const struct memory_link *l,
				    size_t n, bool here)
{
	struct unixfs u = { .type = UNIXFS_DIRECTORY };
	struct buf data = { .len = 0 }, node = { .len = 0 };
	struct cid cid;

	for (size_t i = 0; i < n; i++)
		dagpb_put_link(&node, &l[i].cid, l[i].name, strlen(l[i].name),
			       l[i].tsize);
	unixfs_encode(&data, &u, NULL, 0);
	dagpb_put_data(&node, data.data, data.len);
	cid = memory_put(m, CODEC_DAG_PB, node.data, node.len, here);
	buf_release(&data);
	buf_release(&node);
	return cid;
}

/* A file of `n` raw leaves of `size` bytes each. */
static inline struct cid memory_file(struct memory *m, const struct cid *leaves,
				     const uint64_t *sizes, size_t n, bool here)
{
	struct unixfs u = { .type = UNIXFS_FILE, .has_filesize = true };
	struct buf data = { .len = 0 }, node = { .len = 0 };
	struct cid cid;

	for (size_t i = 0; i < n; i++) {
		u.filesize += sizes[i];
		dagpb_put_link(&node, &leaves[i], "", 0, sizes[i]);
	}
	unixfs_encode(&data, &u, sizes, n);
	dagpb_put_data(&node, data.data, data.len);
	cid = memory_put(m, CODEC_DAG_PB, node.data, node.len, here);
	buf_release(&data);
	buf_release(&node);
	return cid;
}

static inline struct cid memory_symlink(struct memory *m, const char *target, bool here)
{
	struct unixfs u = { .type = UNIXFS_SYMLINK,
			    .has_data = true,
			    .data = (const uint8_t *)target,
			    .data_len = strlen(target) };
	struct buf data = { .len = 0 }, node = { .len = 0 };
	struct cid cid;

	unixfs_encode(&data, &u, NULL, 0);
	dagpb_put_data(&node, data.data, data.len);
	cid = memory_put(m, CODEC_DAG_PB, node.data, node.len, here);
	buf_release(&data);
	buf_release(&node);
	return cid;
}

#endif
