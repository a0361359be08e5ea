/*
 * dag-pb, the block format of UnixFS (wire.md 11.1):
 *	PBNode: 2 Links (repeated PBLink), 1 Data bytes; written in this order
 *	PBLink: 1 Hash bytes (binary CID), 2 Name string, 3 Tsize uint64
 * Strict: an unknown field, a second Data, fields of a link out of order, a
 * link without Hash, a Tsize over INT64_MAX, or links on both sides of Data are
 * ERR_MALFORMED.  Data before the links is read, though nobody should write it.
 *
 * Nothing is allocated: a node points into the block it was decoded from, and
 * links are taken one by one from a cursor.
 *
 *	struct cursor links = node.links;
 *	struct dagpb_link l;
 *	while ((r = dagpb_next(&links, &l)) > 0)
 *		...
 */
#ifndef STORE_DAGPB_H
#define STORE_DAGPB_H

#include "store/buf.h"
#include "store/cid.h"

struct dagpb_node {
	const uint8_t *data; /* borrowed; NULL if there is none */
	size_t data_len;
	bool has_data;
	size_t n_links;
	struct cursor links; /* copy it to go through them */
};

struct dagpb_link {
	const uint8_t *hash; /* binary CID, not yet checked; see dagpb_link_cid */
	size_t hash_len;
	const char *name; /* borrowed, not NUL-terminated; NULL if absent */
	size_t name_len;
	uint64_t tsize; /* a hint; 0 if absent */
};

/*
 * The outer shape of a node: finds Data, counts the links and finds their
 * bounds, without looking into them (they are checked when they are taken).
 * 0 or ERR_MALFORMED.
 */
int dagpb_decode(struct dagpb_node *out, const void *block, size_t len);

/* The next link: 1, 0 at the end, or ERR_MALFORMED. */
int dagpb_next(struct cursor *links, struct dagpb_link *out);

/* Step over `n` links without looking into them.  0, or ERR_MALFORMED if there
 * are fewer. */
int dagpb_skip(struct cursor *links, size_t n);

/* The CID of a link.  0 or ERR_MALFORMED. */
int dagpb_link_cid(const struct dagpb_link *l, struct cid *out);

/*
 * Writing: all links, then Data.  The name is always written, also when it is
 * empty (`12 00`), and so is Tsize: Kubo and Helia do, and CIDs depend on it.
 */
void dagpb_put_link(struct buf *out, const struct cid *cid, const char *name,
		    size_t name_len, uint64_t tsize);
void dagpb_put_data(struct buf *out, const void *data, size_t len);

/* Bytes that dagpb_put_link and dagpb_put_data append; `cid_len` is cid_size(). */
size_t dagpb_link_size(size_t cid_len, size_t name_len, uint64_t tsize);
size_t dagpb_data_size(size_t len);

#endif
