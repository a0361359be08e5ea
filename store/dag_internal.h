/*
 * What the tree readers share: a UnixFS node, fetched and checked.
 */
#ifndef STORE_DAG_INTERNAL_H
#define STORE_DAG_INTERNAL_H

#include "store/dag.h"
#include "store/dagpb.h"
#include "store/unixfs.h"

/* A node; dag_node_release() lets go of its block, into which it points. */
struct dag_node {
	struct block *block;
	bool raw; /* a block of file bytes: no pb, no u */
	struct dagpb_node pb;
	struct unixfs u; /* decoded, and unixfs_check() has passed */
};

/* Fetch a node of codec raw or dag-pb.  0, or an error as in dag.h. */
int dag_node_get(struct block_source *s, const struct cid *cid, struct dag_node *out,
		 struct misses *misses);
void dag_node_release(struct dag_node *n);

static inline bool dag_node_is_file(const struct dag_node *n)
{
	return n->raw || n->u.type == UNIXFS_FILE || n->u.type == UNIXFS_RAW;
}

static inline bool dag_node_is_dir(const struct dag_node *n)
{
	return !n->raw &&
	       (n->u.type == UNIXFS_DIRECTORY || n->u.type == UNIXFS_HAMT_SHARD);
}

/* Of a file: all its bytes. */
static inline uint64_t dag_node_size(const struct dag_node *n)
{
	return n->raw ? n->block->size : n->u.filesize;
}

/* Who is listing. */
struct dag_receiver {
	dag_each_fn each;
	void *arg;
};

/* What a link says, but for its name.  0 or ERR_MALFORMED. */
int dag_entry_fill(struct dag_entry *e, const struct dagpb_link *l);
/* Give it under a name that dag_name_ok(); ERR_MALFORMED, or what each() returns. */
int dag_entry_give(const struct dag_receiver *to, const struct dagpb_link *l,
		   const char *name, size_t name_len, uint64_t pos_behind);

/* The position in a HAMT of the first entry whose hash begins with `place`. */
uint64_t dag_hamt_pos(uint32_t place);
/* dag_list() and dag_lookup() in a directory that is a HAMT shard.  They may
 * let go of dir's block; its owner releases it all the same. */
int dag_hamt_list(struct block_source *s, struct dag_node *dir, uint64_t pos,
		  const struct dag_receiver *to, struct misses *misses);
int dag_hamt_lookup(struct block_source *s, struct dag_node *dir, const char *name,
		    size_t name_len, struct dag_entry *out, struct misses *misses);

#endif
