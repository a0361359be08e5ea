#include "store/dagpb.h"
#include "store/error.h"
#include "store/pb.h"

/* Tags of PBNode and PBLink, all of one byte. */
#define NODE_DATA  0x0a
#define NODE_LINK  0x12
#define LINK_HASH  0x0a
#define LINK_NAME  0x12
#define LINK_TSIZE 0x18

/* A length and that many bytes. */
static const uint8_t *take_bytes(struct cursor *in, size_t *len)
{
	/* Nearly all are short; a directory has thousands of them. */
	uint64_t n = !in->bad && in->p < in->end && *in->p < 0x80 ? *in->p++
								  : cursor_pb_varint(in);

	*len = 0;
	if (n > cursor_left(in)) {
		in->bad = true;
		return NULL;
	}
	*len = (size_t)n;
	return cursor_take(in, (size_t)n);
}

static bool take_tag(struct cursor *in, uint8_t tag)
{
	if (in->p == in->end || *in->p != tag)
		return false;
	in->p++;
	return true;
}

int dagpb_decode(struct dagpb_node *out, const void *block, size_t len)
{
	struct cursor in = cursor_over(block, len);
	size_t skipped;

	*out = (struct dagpb_node){ .links = { .p = in.p, .end = in.p } };
	while (!in.bad && in.p < in.end) {
		const uint8_t *start = in.p;
		uint8_t tag = *in.p++;

		if (tag == NODE_LINK) {
			if (out->n_links++ == 0)
				out->links.p = start;
			else if (start != out->links.end)
				return ERR_MALFORMED; /* Data stands between them */
			take_bytes(&in, &skipped);
			out->links.end = in.p;
		} else if (tag == NODE_DATA && !out->has_data) {
			out->data = take_bytes(&in, &out->data_len);
			out->has_data = true;
		} else {
			return ERR_MALFORMED;
		}
	}
	return in.bad ? ERR_MALFORMED : 0;
}

int dagpb_next(struct cursor *links, struct dagpb_link *out)
{
	size_t len;

	if (links->bad)
		return ERR_MALFORMED;
	if (links->p == links->end)
		return 0;
	if (!take_tag(links, NODE_LINK))
		return ERR_MALFORMED;
	const uint8_t *p = take_bytes(links, &len);
	if (!p)
		return ERR_MALFORMED;

	struct cursor in = cursor_over(p, len);
	*out = (struct dagpb_link){ 0 };
	if (!take_tag(&in, LINK_HASH))
		return ERR_MALFORMED;
	out->hash = take_bytes(&in, &out->hash_len);
	if (take_tag(&in, LINK_NAME))
		out->name = (const char *)take_bytes(&in, &out->name_len);
	if (take_tag(&in, LINK_TSIZE)) {
		out->tsize = cursor_pb_varint(&in);
		if (out->tsize > INT64_MAX)
			return ERR_MALFORMED; /* Go and JS cannot hold it either */
	}
	return cursor_done(&in) ? 1 : ERR_MALFORMED;
}

int dagpb_skip(struct cursor *links, size_t n)
{
	size_t len;

	for (; n; n--)
		if (!take_tag(links, NODE_LINK) || !take_bytes(links, &len))
			return ERR_MALFORMED;
	return 0;
}

int dagpb_link_cid(const struct dagpb_link *l, struct cid *out)
{
	return cid_decode(out, l->hash, l->hash_len);
}

/* Of the fields inside a link. */
static size_t link_body(size_t cid_len, size_t name_len, uint64_t tsize)
{
	return pb_bytes_size(1, cid_len) + pb_bytes_size(2, name_len) +
	       pb_varint_size(3, tsize);
}

void dagpb_put_link(struct buf *out, const struct cid *cid, const char *name,
		    size_t name_len, uint64_t tsize)
{
	uint8_t hash[CID_SIZE_MAX];
	size_t hash_len = cid_encode(cid, hash);

	pb_put_head(out, 2, link_body(hash_len, name_len, tsize));
	pb_put_bytes(out, 1, hash, hash_len);
	pb_put_bytes(out, 2, name, name_len);
	pb_put_varint(out, 3, tsize);
}

void dagpb_put_data(struct buf *out, const void *data, size_t len)
{
	pb_put_bytes(out, 1, data, len);
}

size_t dagpb_link_size(size_t cid_len, size_t name_len, uint64_t tsize)
{
	return pb_bytes_size(2, link_body(cid_len, name_len, tsize));
}

size_t dagpb_data_size(size_t len)
{
	return pb_bytes_size(1, len);
}
