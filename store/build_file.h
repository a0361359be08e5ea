/*
 * Building the tree of one file, bottom-up, in the balanced layout (wire.md
 * 11.3): leaves come in order, nodes go to the sink as soon as they are full,
 * and what is held is one open node per level.
 */
#ifndef STORE_BUILD_FILE_H
#define STORE_BUILD_FILE_H

#include "store/buf.h"
#include "store/sink.h"

/* A node that was built: what its parent has to know of it. */
struct built {
	struct cid cid;
	uint64_t tsize; /* the block and all below it */
	uint64_t size;	/* bytes of the file in it */
};

/* Links in a foreign tree may claim anything: a sum stays what a link can say. */
static inline uint64_t tsize_sum(uint64_t a, uint64_t b)
{
	return a > INT64_MAX - b ? INT64_MAX : a + b;
}

/*
 * Room that build_leaf() needs before and behind the data, for the profiles
 * that wrap a leaf in dag-pb.
 */
#define LEAF_HEAD 32
#define LEAF_TAIL 48

/*
 * Put a chunk as a leaf.  Its `len` bytes stand at `data`; the LEAF_HEAD bytes
 * before and LEAF_TAIL behind belong to the caller too and are overwritten.
 */
int build_leaf(const struct profile *p, struct block_sink *sink, uint8_t *data, size_t len,
	       struct built *out);

/* The same, of a file that is this leaf alone, with its attributes (may be NULL;
 * a raw leaf has no room for them). */
int build_leaf_meta(const struct profile *p, struct block_sink *sink, uint8_t *data,
		    size_t len, const struct unixfs_meta *meta, struct built *out);

struct store_stream;
/* build_leaf() of leaf `index` of a stream (store_stream.h), which has the block
 * instead of a sink. */
int build_leaf_stream(const struct profile *p, struct store_stream *to, uint64_t index,
		      uint8_t *data, size_t len, struct built *out);

/* Put a symlink to `target`. */
int build_symlink(const struct profile *p, struct block_sink *sink, const char *target,
		  size_t len, struct built *out);
int build_symlink_meta(const struct profile *p, struct block_sink *sink,
		       const char *target, size_t len, const struct unixfs_meta *meta,
		       struct built *out);

#define BUILD_LEVELS 32 /* above the leaves; 2^32 leaves even at two links a node */

/* The node that is open on a level. */
struct build_level {
	struct buf block;  /* its links, as they will be written */
	uint32_t n;
	struct built last; /* the latest child */
	uint64_t tsize, size;
	uint64_t sizes[];  /* of the children; max_links */
};

struct build_file {
	const struct profile *profile;
	struct block_sink *sink;
	const struct unixfs_meta *meta; /* for the root, if it is not a leaf; may be NULL */
	struct build_level *levels[BUILD_LEVELS]; /* made when first used */
};

void build_file_init(struct build_file *b, const struct profile *p, struct block_sink *sink);
/* The next leaf.  0, -ENOMEM, -EFBIG (too many), or the sink's error. */
int build_file_add(struct build_file *b, const struct built *leaf);
/*
 * The next leaves, as a tree that was built before: level 0 is a leaf, else a
 * node so far above its leaves.  It is full (max_links to the power of `level`
 * leaves) and begins at a multiple of that; or it is the last.
 */
int build_file_add_tree(struct build_file *b, unsigned level, const struct built *tree);
/* No more leaves (there was at least one): the root. */
int build_file_finish(struct build_file *b, struct built *root);
/* Frees; may be initialised again. */
void build_file_release(struct build_file *b);

#endif
