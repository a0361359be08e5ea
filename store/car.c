#include "store/car.h"
#include "store/cbor.h"
#include "store/error.h"

#include <stdlib.h>
#include <string.h>

#define WINDOW	      (64u << 10)
#define V2_HEADER_LEN 40
#define V2_FIRST      (11 + V2_HEADER_LEN) /* where data can begin */

struct car_reader {
	struct car_input *in;
	bool heads;
	bool over;
	uint64_t offset;   /* of the next byte */
	uint64_t data_end; /* UINT64_MAX for a v1 */
	uint64_t index_at; /* 0: none */
	struct car_header header;
	struct buf header_bytes;
	struct buf section;
	const char *why;
	size_t at, have; /* in the window */
	uint8_t window[WINDOW];
};

/* ---- the header ---- */

int car_header_decode(struct car_header *out, const void *data, size_t len)
{
	struct cursor in = cursor_over(data, len);
	struct cbor_item v;
	struct cbor_map m;
	bool has_roots = false;
	int r, more = 0;

	*out = (struct car_header){ 0 };
	r = cbor_map_begin(&in, &m);
	while (r == 0 && (more = cbor_map_next(&in, &m)) > 0) {
		if (cbor_key_is(&m, "version")) {
			r = cbor_expect(&in, CBOR_UINT, &v);
			out->version = v.value;
		} else if (cbor_key_is(&m, "roots")) {
			has_roots = true;
			r = cbor_expect(&in, CBOR_ARRAY, &v);
			out->n_roots = v.value;
			out->roots = in;
			for (uint64_t i = 0; r == 0 && i < out->n_roots; i++)
				r = cbor_expect(&in, CBOR_LINK, &v);
			out->roots.end = in.p;
		} else {
			return ERR_MALFORMED;
		}
	}
	if (r < 0 || more < 0 || !cursor_done(&in))
		return ERR_MALFORMED;
	if (out->version > 2)
		return ERR_NEWER;
	if (out->version == 0 || has_roots != (out->version == 1))
		return ERR_MALFORMED;
	return 0;
}

struct cursor car_roots(const struct car_reader *r)
{
	return r->header.roots;
}

bool car_root_next(struct cursor *roots, struct cid *out)
{
	struct cbor_item v;

	return cursor_left(roots) && cbor_expect(roots, CBOR_LINK, &v) == 0 &&
	       cid_decode(out, v.data, v.len) == 0;
}

uint64_t car_root_count(const struct car_reader *r)
{
	return r->header.n_roots;
}

/* ---- bytes ---- */

static int bad(struct car_reader *r, int error, const char *why)
{
	r->over = true;
	r->why = why;
	return error;
}

/* Bytes of the v1 still to come, as far as is known. */
static uint64_t room(const struct car_reader *r)
{
	return r->data_end - r->offset;
}

/* Up to `n` bytes, fewer only at the end.  How many, or an errno. */
static int64_t take(struct car_reader *r, uint8_t *out, size_t n)
{
	size_t got = 0;

	if (n > room(r))
		n = (size_t)room(r);
	while (got < n) {
		size_t left = r->have - r->at;
		int64_t more;

		if (left) {
			more = (int64_t)(left < n - got ? left : n - got);
			memcpy(out + got, r->window + r->at, (size_t)more);
			r->at += (size_t)more;
		} else if (n - got >= WINDOW) {
			more = r->in->read(r->in, out + got, n - got);
		} else {
			/* Who wants heads alone jumps on at once. */
			more = r->in->read(r->in, r->window, r->heads ? 4096 : WINDOW);
			if (more > 0) {
				r->at = 0;
				r->have = (size_t)more;
				continue;
			}
		}
		if (more < 0)
			return bad(r, (int)more, err_text((int)more));
		if (more == 0)
			break;
		got += (size_t)more;
		r->offset += (uint64_t)more;
	}
	return (int64_t)got;
}

/* All of `n` bytes behind what `b` holds; its memory grows as they come. */
static int take_all(struct car_reader *r, struct buf *b, size_t n)
{
	while (n) {
		size_t piece = n < 4 * WINDOW ? n : 4 * WINDOW;
		uint8_t *to = buf_room(b, piece);
		int64_t got;

		if (!to)
			return bad(r, -ENOMEM, "out of memory");
		got = take(r, to, piece);
		if (got < 0)
			return (int)got;
		if ((size_t)got < piece)
			return bad(r, ERR_MALFORMED, "it is cut off");
		b->len += piece;
		n -= piece;
	}
	return 0;
}

static int skip(struct car_reader *r, uint64_t n)
{
	uint64_t left = r->have - r->at;
	uint8_t drop[4096];

	if (n > room(r))
		return bad(r, ERR_MALFORMED, "it is cut off");
	if (r->in->skip && n > left) {
		if (n > r->in->size - r->offset)
			return bad(r, ERR_MALFORMED, "it is cut off");
		int e = r->in->skip(r->in, n - left);
		if (e < 0)
			return bad(r, e, err_text(e));
		r->at = r->have = 0;
		r->offset += n;
		return 0;
	}
	while (n) {
		size_t piece = n < sizeof drop ? (size_t)n : sizeof drop;
		int64_t got = take(r, drop, piece);

		if (got < 0)
			return (int)got;
		if ((size_t)got < piece)
			return bad(r, ERR_MALFORMED, "it is cut off");
		n -= piece;
	}
	return 0;
}

/* A varint: 1; 0 if the file ends before it; or an error. */
static int take_varint(struct car_reader *r, uint64_t *out)
{
	uint8_t bytes[9];
	size_t n = 0;

	do {
		int64_t got = n < sizeof bytes ? take(r, &bytes[n], 1) : 0;

		if (got < 0)
			return (int)got;
		if (got == 0 && n == 0)
			return 0;
		if (got == 0)
			return bad(r, ERR_MALFORMED, "a length is cut off or too long");
	} while (bytes[n++] & 0x80);

	struct cursor in = cursor_over(bytes, n);
	*out = cursor_varint(&in);
	if (!cursor_done(&in))
		return bad(r, ERR_MALFORMED, "a length is not in its shortest form");
	return 1;
}

/* ---- opening ---- */

static int take_header(struct car_reader *r)
{
	uint64_t len;
	int e = take_varint(r, &len);

	if (e < 0)
		return e;
	if (e == 0)
		return bad(r, ERR_MALFORMED, "it is empty");
	if (len == 0 || len > CAR_HEADER_MAX)
		return bad(r, ERR_MALFORMED, "this is no CAR file, or its header is too long");
	buf_clear(&r->header_bytes);
	e = take_all(r, &r->header_bytes, (size_t)len);
	if (e < 0)
		return e;
	e = car_header_decode(&r->header, r->header_bytes.data, r->header_bytes.len);
	if (e == ERR_NEWER)
		return bad(r, e, "it is of a version above 2");
	if (e < 0)
		return bad(r, e, "its header is not that of a CAR file");
	return 0;
}

/* The rest of a v2's front: stands at the v1 inside then. */
static int take_v2(struct car_reader *r)
{
	uint8_t bytes[V2_HEADER_LEN];
	int64_t got = take(r, bytes, sizeof bytes);
	int e;

	if (got < 0)
		return (int)got;
	if (got < V2_HEADER_LEN)
		return bad(r, ERR_MALFORMED, "it is cut off");

	struct cursor in = cursor_over(bytes + 16, V2_HEADER_LEN - 16);
	uint64_t data = cursor_u64le(&in), size = cursor_u64le(&in);
	r->index_at = cursor_u64le(&in);
	if (data < V2_FIRST || data > INT64_MAX || size == 0 || size > INT64_MAX - data)
		return bad(r, ERR_MALFORMED, "the offsets in its header make no sense");
	if (r->index_at && r->index_at < data + size)
		return bad(r, ERR_MALFORMED, "its index overlaps its data");
	if (data + size > r->in->size || r->index_at >= r->in->size)
		return bad(r, ERR_MALFORMED, "an offset in its header is past its end");
	e = skip(r, data - r->offset);
	if (e < 0)
		return e;
	r->data_end = data + size;
	e = take_header(r);
	if (e == 0 && r->header.version != 1)
		return bad(r, ERR_MALFORMED, "there is no version 1 inside of the version 2");
	return e;
}

int car_open(struct car_reader **out, struct car_input *in, bool heads)
{
	struct car_reader *r = malloc(sizeof *r);
	int e;

	*out = r;
	if (!r)
		return -ENOMEM;
	memset(r, 0, offsetof(struct car_reader, window));
	r->in = in;
	r->heads = heads;
	r->data_end = UINT64_MAX;
	r->why = "";
	e = take_header(r);
	if (e == 0 && r->header.version == 2)
		e = take_v2(r);
	return e;
}

void car_close(struct car_reader *r)
{
	if (!r)
		return;
	buf_release(&r->header_bytes);
	buf_release(&r->section);
	free(r);
}

uint64_t car_offset(const struct car_reader *r)
{
	return r->offset;
}

const char *car_why(const struct car_reader *r)
{
	return r->why;
}

/* ---- sections ---- */

/* Behind the data of a v2: where the size was not known, the index must be there. */
static int end(struct car_reader *r)
{
	uint8_t drop[4096];
	int64_t got;

	r->over = true;
	if (r->data_end == UINT64_MAX)
		return 0;
	if (r->offset < r->data_end)
		return bad(r, ERR_MALFORMED, "it is cut off");
	if (!r->index_at || r->in->size != UINT64_MAX)
		return 0;
	r->data_end = UINT64_MAX;
	while ((got = take(r, drop, sizeof drop)) > 0)
		;
	if (got < 0)
		return (int)got;
	return r->offset > r->index_at ? 0 : bad(r, ERR_MALFORMED, "its index is past its end");
}

int car_next(struct car_reader *r, struct car_section *out)
{
	struct cursor in;
	uint64_t len;
	int e;

	if (r->over)
		return *r->why ? ERR_MALFORMED : 0;
	out->at = r->offset;
	e = take_varint(r, &len);
	if (e == 0)
		return end(r);
	if (e < 0)
		return e;
	if (len == 0)
		return bad(r, ERR_MALFORMED, "a section is empty");
	if (len > CAR_SECTION_MAX)
		return bad(r, ERR_MALFORMED, "a section is longer than 8 MiB");

	/* The CID first: how long it is, it says itself. */
	size_t first = len < CID_SIZE_MAX ? (size_t)len : CID_SIZE_MAX;
	buf_clear(&r->section);
	e = take_all(r, &r->section, first);
	if (e < 0)
		return e;
	in = cursor_over(r->section.data, first);
	cid_read(&in, &out->cid);
	if (in.bad)
		return bad(r, ERR_MALFORMED, "a section does not begin with a CID");
	size_t cid_len = first - cursor_left(&in);
	out->len = (size_t)len - cid_len;
	out->data_at = r->offset - first + cid_len;
	if (out->len > BLOCK_MAX)
		return bad(r, -EFBIG, "a block is longer than 2 MiB");
	out->data = NULL;
	if (r->heads) {
		e = skip(r, len - first);
		return e < 0 ? e : 1;
	}
	e = take_all(r, &r->section, (size_t)len - first);
	if (e < 0)
		return e;
	out->data = r->section.data + cid_len;
	return 1;
}

/* ---- writing ---- */

void car_put_header(struct buf *out, const struct cid *roots, size_t n)
{
	struct buf h = { 0 };

	cbor_put_map(&h, 2);
	cbor_put_text(&h, "roots", 5);
	cbor_put_array(&h, n);
	for (size_t i = 0; i < n; i++)
		cbor_put_link(&h, &roots[i]);
	cbor_put_text(&h, "version", 7);
	cbor_put_uint(&h, 1);
	buf_varint(out, h.len);
	buf_append(out, h.data, h.len);
	if (h.failed)
		out->failed = true;
	buf_release(&h);
}

void car_put_section(struct buf *out, const struct cid *cid, size_t data_len)
{
	uint8_t bytes[CID_SIZE_MAX];
	size_t n = cid_encode(cid, bytes);

	buf_varint(out, n + data_len);
	buf_append(out, bytes, n);
}
