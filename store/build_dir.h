/*
 * Building the node of one directory: a plain block, or above the profile's
 * threshold a HAMT (wire.md 11.3, 11.4).  The result depends on the set of
 * entries alone, not on their order.
 */
#ifndef STORE_BUILD_DIR_H
#define STORE_BUILD_DIR_H

#include "store/build_file.h"

/* An entry.  Name and CID are the caller's memory; the CID is binary. */
struct dir_link {
	const char *name;
	const uint8_t *cid;
	uint64_t tsize;
	uint16_t name_len;
	uint8_t cid_len;
};

/* Bytewise order of the names, as memcmp() gives it; shorter first. */
int dir_link_compare(const struct dir_link *a, const struct dir_link *b);
/* What a link adds to the size that the profile compares with its threshold. */
uint64_t dir_link_measure(const struct profile *p, const struct dir_link *l);

/*
 * Put the directory of `n` links, which are put in order of their names.
 *   -ENAMETOOLONG  a name over NAME_MAX_BYTES
 *   -EEXIST        two links of one name
 *   -EOVERFLOW     names that a HAMT cannot tell apart (equal 64-bit hashes)
 *   ERR_MALFORMED  the CID of a link
 *   -ENOMEM, or the sink's error
 */
int build_dir(const struct profile *p, struct block_sink *sink, struct dir_link *links,
	      size_t n, struct built *out);

/* The same, with the directory's own attributes (may be NULL), which a HAMT has
 * in its root alone. */
int build_dir_meta(const struct profile *p, struct block_sink *sink,
		   struct dir_link *links, size_t n, const struct unixfs_meta *meta,
		   struct built *out);

/*
 * Links that lie in their owner's form, in order of their names already: for
 * directories so large that an array of them counts.
 */
struct dir_links {
	size_t n;
	const void *arg;
	/* What it gives stays valid as long as the links are used. */
	void (*get)(const void *arg, size_t i, struct dir_link *out);
};

/* build_dir_meta() of such links. */
int build_dir_sorted(const struct profile *p, struct block_sink *sink,
		     const struct dir_links *links, const struct unixfs_meta *meta,
		     struct built *out);

#endif
