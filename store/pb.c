#include "store/pb.h"

#include "store/error.h"

#include <string.h>

int pb_next(struct cursor *in, struct pb_field *f)
{
	if (in->bad)
		return ERR_MALFORMED;
	if (in->p == in->end)
		return 0;

	uint64_t tag = cursor_pb_varint(in);
	*f = (struct pb_field){ .number = (uint32_t)(tag >> 3), .type = tag & 7 };
	if (tag >> 3 == 0 || tag >> 3 > 536870911)
		return ERR_MALFORMED;
	switch (f->type) {
	case PB_VARINT:
		f->value = cursor_pb_varint(in);
		break;
	case PB_FIXED64:
		f->value = cursor_u64le(in);
		break;
	case PB_FIXED32:
		f->value = cursor_u32le(in);
		break;
	case PB_BYTES: {
		uint64_t len = cursor_pb_varint(in);
		if (len > cursor_left(in))
			return ERR_MALFORMED;
		f->data = cursor_take(in, (size_t)len);
		f->len = (size_t)len;
		break;
	}
	default:
		return ERR_MALFORMED;
	}
	return in->bad ? ERR_MALFORMED : 1;
}

static void tag(struct buf *out, uint32_t number, enum pb_type type)
{
	buf_varint(out, (uint64_t)number << 3 | type);
}

void pb_put_varint(struct buf *out, uint32_t number, uint64_t value)
{
	tag(out, number, PB_VARINT);
	buf_varint(out, value);
}

void pb_put_head(struct buf *out, uint32_t number, size_t len)
{
	tag(out, number, PB_BYTES);
	buf_varint(out, len);
}

void pb_put_bytes(struct buf *out, uint32_t number, const void *data, size_t len)
{
	pb_put_head(out, number, len);
	buf_append(out, data, len);
}

void pb_put_text(struct buf *out, uint32_t number, const char *text)
{
	pb_put_bytes(out, number, text, strlen(text));
}

void pb_put_fixed32(struct buf *out, uint32_t number, uint32_t value)
{
	tag(out, number, PB_FIXED32);
	buf_u32le(out, value);
}

void pb_put_fixed64(struct buf *out, uint32_t number, uint64_t value)
{
	tag(out, number, PB_FIXED64);
	buf_u64le(out, value);
}

size_t pb_varint_size(uint32_t number, uint64_t value)
{
	return varint_size((uint64_t)number << 3) + varint_size(value);
}

size_t pb_bytes_size(uint32_t number, size_t len)
{
	return varint_size((uint64_t)number << 3) + varint_size(len) + len;
}
