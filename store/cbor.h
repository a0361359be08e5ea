/*
 * dag-cbor, the strict form of CBOR that IPLD uses (wire.md 11.5): definite
 * lengths, shortest numbers, text keys, 64-bit floats that are numbers, tag 42
 * (a CID) and no other.  Anything else is ERR_MALFORMED.
 *
 * Reading pulls items from a cursor; nothing is allocated, nothing recurses, a
 * declared count is never believed beyond the bytes that are left.
 *
 *	struct cbor_map m;
 *	struct cbor_item v;
 *	r = cbor_map_begin(&in, &m);
 *	while (r == 0 && (more = cbor_map_next(&in, &m)) > 0)
 *		if (cbor_key_is(&m, "TTL"))
 *			r = cbor_expect(&in, CBOR_UINT, &v);
 *		else
 *			r = cbor_skip(&in);
 *	... then cursor_done(&in): bytes left over are an error
 */
#ifndef STORE_CBOR_H
#define STORE_CBOR_H

#include "store/buf.h"
#include "store/cid.h"

#define CBOR_DEPTH_MAX 128

enum cbor_kind {
	CBOR_UINT,     /* value */
	CBOR_NEGATIVE, /* -1 - value, down to -2^64: check before making it an int64_t */
	CBOR_BYTES,    /* data, len */
	CBOR_TEXT,     /* data, len; not checked to be UTF-8 */
	CBOR_ARRAY,    /* value items follow */
	CBOR_MAP,      /* value pairs follow */
	CBOR_LINK,     /* data, len: a binary CID, checked */
	CBOR_BOOL,     /* value 0 or 1 */
	CBOR_NULL,
	CBOR_FLOAT, /* value: the bits of the double */
};

struct cbor_item {
	enum cbor_kind kind;
	uint64_t value;
	const uint8_t *data; /* borrowed from the input */
	size_t len;
};

/*
 * The next item; of an array or map only its head.  0 or ERR_MALFORMED, also at
 * the end of the input.  The count of an array or map is at most the bytes left.
 */
int cbor_next(struct cursor *in, struct cbor_item *out);

/* The same, ERR_MALFORMED if it is of another kind. */
int cbor_expect(struct cursor *in, enum cbor_kind kind, struct cbor_item *out);

/* Over one item with all that is in it; ERR_MALFORMED too if it is nested
 * deeper than CBOR_DEPTH_MAX or has a map key that is not text, or that repeats
 * the one before it.  Keys may be out of order, as Go and JS read them. */
int cbor_skip(struct cursor *in);

/* The same, giving each link on the way; what each() returns that is not 0 ends
 * it and is passed on. */
int cbor_links(struct cursor *in, int (*each)(void *arg, const struct cid *c), void *arg);

/* A map whose keys must be text, sorted by length and then bytes, each once. */
struct cbor_map {
	uint64_t left;
	const uint8_t *key; /* borrowed */
	size_t key_len;
};
int cbor_map_begin(struct cursor *in, struct cbor_map *m);
/* 1: m->key is the next key, and its value is next in `in`; 0 at the end. */
int cbor_map_next(struct cursor *in, struct cbor_map *m);
bool cbor_key_is(const struct cbor_map *m, const char *key);

/* Writing: a map's `n` pairs follow it, keys sorted by the caller. */
void cbor_put_uint(struct buf *out, uint64_t v);
void cbor_put_int(struct buf *out, int64_t v);
void cbor_put_bytes(struct buf *out, const void *data, size_t len);
void cbor_put_text(struct buf *out, const char *text, size_t len);
void cbor_put_array(struct buf *out, size_t n);
void cbor_put_map(struct buf *out, size_t n);
void cbor_put_link(struct buf *out, const struct cid *c);
void cbor_put_bool(struct buf *out, bool v);
void cbor_put_null(struct buf *out);

#endif
