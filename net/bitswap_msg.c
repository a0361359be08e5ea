#include "net/bitswap_msg.h"

#include "store/error.h"
#include "store/pb.h"

/* 1: out->cid is set; 0: to be passed over; ERR_MALFORMED. */
static int take_cid(struct cid *out, const struct pb_field *f)
{
	if (f->len > CID_SIZE_MAX)
		return 0;
	int r = cid_decode(out, f->data, f->len);
	if (r < 0)
		return ERR_MALFORMED;
	return out->hash.code != HASH_IDENTITY;
}

static int take_entry(struct bitswap_item *out, const struct pb_field *entry)
{
	struct cursor in = cursor_over(entry->data, entry->len);
	struct pb_field f;
	int usable = ERR_MALFORMED; /* without a CID it is nothing */
	int r;

	*out = (struct bitswap_item){ .kind = BITSWAP_WANT };
	while ((r = pb_next(&in, &f)) > 0) {
		if (pb_is(&f, 1, PB_BYTES)) {
			usable = take_cid(&out->cid, &f);
			if (usable < 0)
				return usable;
		} else if (pb_is(&f, 2, PB_VARINT)) {
			out->priority = (int32_t)(uint32_t)f.value;
		} else if (pb_is(&f, 3, PB_VARINT)) {
			out->kind = f.value ? BITSWAP_CANCEL : BITSWAP_WANT;
		} else if (pb_is(&f, 4, PB_VARINT)) {
			out->want_have = f.value == 1;
		} else if (pb_is(&f, 5, PB_VARINT)) {
			out->send_dont_have = f.value != 0;
		}
	}
	return r < 0 ? r : usable;
}

static int take_presence(struct bitswap_item *out, const struct pb_field *presence)
{
	struct cursor in = cursor_over(presence->data, presence->len);
	struct pb_field f;
	int usable = ERR_MALFORMED;
	int r;

	*out = (struct bitswap_item){ .kind = BITSWAP_HAVE };
	while ((r = pb_next(&in, &f)) > 0) {
		if (pb_is(&f, 1, PB_BYTES)) {
			usable = take_cid(&out->cid, &f);
			if (usable < 0)
				return usable;
		} else if (pb_is(&f, 2, PB_VARINT)) {
			out->kind = f.value ? BITSWAP_DONT_HAVE : BITSWAP_HAVE;
		}
	}
	return r < 0 ? r : usable;
}

static int take_prefix(struct cid *out, const struct pb_field *f)
{
	struct cursor in = cursor_over(f->data, f->len);
	uint64_t version = cursor_varint(&in);
	uint64_t codec = cursor_varint(&in);
	uint64_t code = cursor_varint(&in);
	uint64_t size = cursor_varint(&in);

	if (!cursor_done(&in) || version > 1 || codec > UINT32_MAX || code > UINT32_MAX ||
	    size > DIGEST_MAX)
		return ERR_MALFORMED;
	out->version = (uint8_t)version;
	out->codec = (uint32_t)codec;
	out->hash.code = (uint32_t)code;
	out->hash.size = (uint8_t)size;
	return 1;
}

static int take_block(struct bitswap_item *out, const struct pb_field *block)
{
	struct cursor in = cursor_over(block->data, block->len);
	struct pb_field f;
	int usable = ERR_MALFORMED;
	int r;

	*out = (struct bitswap_item){ .kind = BITSWAP_BLOCK };
	while ((r = pb_next(&in, &f)) > 0) {
		if (pb_is(&f, 1, PB_BYTES)) {
			usable = take_prefix(&out->cid, &f);
			if (usable < 0)
				return usable;
		} else if (pb_is(&f, 2, PB_BYTES)) {
			out->data = f.data;
			out->len = f.len;
		}
	}
	return r < 0 ? r : usable;
}

/* 1 and an item, 0 at the end, ERR_MALFORMED. */
static int next(struct bitswap_reader *r, struct bitswap_item *out)
{
	for (;;) {
		struct pb_field f;
		int usable = 0;
		int n;

		while ((n = pb_next(&r->wantlist, &f)) > 0) {
			if (pb_is(&f, 1, PB_BYTES)) {
				if (++r->elements > BITSWAP_ELEMENTS_MAX)
					return ERR_MALFORMED;
				usable = take_entry(out, &f);
				if (usable)
					return usable;
			} else if (pb_is(&f, 2, PB_VARINT)) {
				r->full = f.value != 0;
			}
		}
		if (n < 0)
			return n;

		n = pb_next(&r->message, &f);
		if (n <= 0)
			return n;
		if (f.type != PB_BYTES)
			continue;
		switch (f.number) {
		case 1:
			r->wantlist = cursor_over(f.data, f.len);
			continue;
		case 2:
			*out = (struct bitswap_item){
				.kind = BITSWAP_BLOCK,
				.cid = { .version = 0,
					 .codec = CODEC_DAG_PB,
					 .hash = { .code = HASH_SHA2_256, .size = 32 } },
				.data = f.data,
				.len = f.len,
			};
			usable = 1;
			break;
		case 3:
			usable = take_block(out, &f);
			break;
		case 4:
			usable = take_presence(out, &f);
			break;
		default:
			continue;
		}
		if (++r->elements > BITSWAP_ELEMENTS_MAX)
			return ERR_MALFORMED;
		if (usable)
			return usable;
	}
}

int bitswap_msg_begin(struct bitswap_reader *r, const void *data, size_t len)
{
	struct bitswap_item item;
	int n;

	*r = (struct bitswap_reader){ .message = cursor_over(data, len) };
	while ((n = next(r, &item)) > 0) {
		switch (item.kind) {
		case BITSWAP_WANT:
		case BITSWAP_CANCEL:
			r->wants++;
			break;
		case BITSWAP_BLOCK:
			if (++r->blocks > BITSWAP_BLOCKS_MAX)
				return ERR_MALFORMED;
			break;
		case BITSWAP_HAVE:
		case BITSWAP_DONT_HAVE:
			r->presences++;
			break;
		}
	}
	r->message = cursor_over(data, len);
	r->wantlist = (struct cursor){ 0 };
	r->elements = 0;
	return n;
}

bool bitswap_msg_next(struct bitswap_reader *r, struct bitswap_item *out)
{
	return next(r, out) > 0;
}

void bitswap_put_entry(struct buf *entries, const struct cid *cid, enum bitswap_ask ask,
		       int32_t priority)
{
	uint8_t bytes[CID_SIZE_MAX];
	size_t len = cid_encode(cid, bytes);
	size_t size = pb_bytes_size(1, len);
	/* Defaults are left out, as Go and JS do. */
	uint64_t p = (uint64_t)(int64_t)priority;

	if (p)
		size += pb_varint_size(2, p);
	if (ask == BITSWAP_ASK_CANCEL)
		size += pb_varint_size(3, 1);
	else
		size += pb_varint_size(5, 1);
	if (ask == BITSWAP_ASK_HAVE)
		size += pb_varint_size(4, 1);

	pb_put_head(entries, 1, size);
	pb_put_bytes(entries, 1, bytes, len);
	if (p)
		pb_put_varint(entries, 2, p);
	if (ask == BITSWAP_ASK_CANCEL)
		pb_put_varint(entries, 3, 1);
	if (ask == BITSWAP_ASK_HAVE)
		pb_put_varint(entries, 4, 1);
	if (ask != BITSWAP_ASK_CANCEL)
		pb_put_varint(entries, 5, 1);
}

void bitswap_frame_wants(struct buf *out, const struct buf *entries, bool full)
{
	size_t list = entries->len + (full ? pb_varint_size(2, 1) : 0);

	buf_varint(out, pb_bytes_size(1, list));
	pb_put_head(out, 1, list);
	buf_append(out, entries->data, entries->len);
	if (full)
		pb_put_varint(out, 2, 1);
	out->failed |= entries->failed;
}

void bitswap_put_presence(struct buf *body, const struct cid *cid, bool have)
{
	uint8_t bytes[CID_SIZE_MAX];
	size_t len = cid_encode(cid, bytes);

	pb_put_head(body, 4, pb_bytes_size(1, len) + (have ? 0 : pb_varint_size(2, 1)));
	pb_put_bytes(body, 1, bytes, len);
	if (!have)
		pb_put_varint(body, 2, 1);
}

void bitswap_put_block_head(struct buf *body, const struct cid *cid, size_t size,
			    bool old)
{
	uint8_t prefix[4 * VARINT_MAX];
	size_t n = 0;

	if (old) {
		pb_put_head(body, 2, size);
		return;
	}
	n += varint_put(prefix + n, cid->version);
	n += varint_put(prefix + n, cid->codec);
	n += varint_put(prefix + n, cid->hash.code);
	n += varint_put(prefix + n, cid->hash.size);
	pb_put_head(body, 3, pb_bytes_size(1, n) + pb_bytes_size(2, size));
	pb_put_bytes(body, 1, prefix, n);
	pb_put_head(body, 2, size);
}

void bitswap_put_answer_head(struct buf *out, size_t size)
{
	/* Some peers trip over a message without a want-list: send an empty one. */
	buf_varint(out, pb_bytes_size(1, 0) + size);
	pb_put_bytes(out, 1, NULL, 0);
}
