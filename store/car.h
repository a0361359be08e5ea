/*
 * CAR files: blocks one behind the other (wire.md 12).
 *
 *	v1 = uvarint n | header (n bytes of dag-cbor {roots: [CID...], version: 1}) | sections
 *	section = uvarint n | binary CID | data          n counts CID and data
 *	v2 = pragma | characteristics (16) | u64le data offset | u64le data size
 *	     | u64le index offset (0: none) | ... | a v1 | ... | index
 *	pragma = 0a a1 67 "version" 02; offsets count from its start
 *
 * The end of the file ends a v1.  The index of a v2 is only an aid for those who
 * trust it: we do not read it, but its place has to make sense.
 *
 * This is the format alone: bytes come from a function, and nothing is verified
 * against its CID here.  A length is compared with its limit before anything is
 * allocated, and memory grows with the bytes that come, not with those announced.
 */
#ifndef STORE_CAR_H
#define STORE_CAR_H

#include "store/block.h"
#include "store/buf.h"
#include "store/cid.h"

#define CAR_HEADER_MAX	(32u << 20)
#define CAR_SECTION_MAX (8u << 20)

/* Where the bytes come from, in order. */
struct car_input {
	/* Up to `len` bytes: how many; 0 at the end; or an errno. */
	int64_t (*read)(struct car_input *self, void *buf, size_t len);
	/* Optional: leave out `n` bytes, which are there.  0 or an errno. */
	int (*skip)(struct car_input *self, uint64_t n);
	uint64_t size; /* of all; UINT64_MAX if that is not known */
};

struct car_section {
	struct cid cid;
	const uint8_t *data; /* borrowed until the next call; NULL if it was left out */
	size_t len;
	uint64_t at;	  /* where the section begins in the file, */
	uint64_t data_at; /* and its data */
};

struct car_reader;

/*
 * Read the header (of a v2 all of them).  `in` is borrowed.  With `heads` the data
 * of sections is left out.  *out is set and the caller's even on an error of the
 * file, so that car_why() can be asked; it is NULL after -ENOMEM alone.
 *   ERR_MALFORMED  not a CAR, or one cut off, or a length over its limit
 *   ERR_NEWER      a version above 2
 *   or what in->read returned
 */
int car_open(struct car_reader **out, struct car_input *in, bool heads);
void car_close(struct car_reader *r);

/*
 * The next section: 1; 0 at the end; or an error as above, -EFBIG for a block
 * longer than BLOCK_MAX.  After an error the reader is at its end.
 */
int car_next(struct car_reader *r, struct car_section *out);

/* How far the reader is in the file, and what it did not like (never NULL). */
uint64_t car_offset(const struct car_reader *r);
const char *car_why(const struct car_reader *r);

/*
 * The roots, one by one from a cursor, since a header may hold a million of them:
 *	struct cursor roots = car_roots(r);
 *	while (car_root_next(&roots, &cid))
 */
struct cursor car_roots(const struct car_reader *r);
bool car_root_next(struct cursor *roots, struct cid *out);
uint64_t car_root_count(const struct car_reader *r);

/* The header inside a v1, decoded by itself: 0, ERR_MALFORMED or ERR_NEWER. */
struct car_header {
	uint64_t version;     /* 1, or 2 for the pragma */
	uint64_t n_roots;     /* all of them checked */
	struct cursor roots;  /* borrowed */
};
int car_header_decode(struct car_header *out, const void *data, size_t len);

/* Writing: the header with its length, and what stands before a section's data. */
void car_put_header(struct buf *out, const struct cid *roots, size_t n);
void car_put_section(struct buf *out, const struct cid *cid, size_t data_len);

#endif
