/* dag-cbor: there is one form of everything, so writing gives the input back. */
#include "store/cbor.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void put(struct buf *out, const struct cbor_item *i)
{
	struct cid c;

	switch (i->kind) {
	case CBOR_UINT:
		cbor_put_uint(out, i->value);
		break;
	case CBOR_NEGATIVE:
		if (i->value <= INT64_MAX) {
			cbor_put_int(out, -1 - (int64_t)i->value);
			break;
		}
		buf_u8(out, 0x3b); /* we write none */
		buf_u32be(out, (uint32_t)(i->value >> 32));
		buf_u32be(out, (uint32_t)i->value);
		break;
	case CBOR_BYTES:
		cbor_put_bytes(out, i->data, i->len);
		break;
	case CBOR_TEXT:
		cbor_put_text(out, (const char *)i->data, i->len);
		break;
	case CBOR_ARRAY:
		cbor_put_array(out, (size_t)i->value);
		break;
	case CBOR_MAP:
		cbor_put_map(out, (size_t)i->value);
		break;
	case CBOR_LINK:
		if (cid_decode(&c, i->data, i->len) < 0)
			abort();
		cbor_put_link(out, &c);
		break;
	case CBOR_BOOL:
		cbor_put_bool(out, i->value);
		break;
	case CBOR_NULL:
		cbor_put_null(out);
		break;
	case CBOR_FLOAT: /* we write none */
		buf_u8(out, 0xfb);
		buf_u32be(out, (uint32_t)(i->value >> 32));
		buf_u32be(out, (uint32_t)i->value);
		break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct cursor in = cursor_over(data, len), items = in, whole = in;
	struct buf out = { 0 };
	struct cbor_item item;
	struct cbor_map m;
	int r, more;

	while (cbor_next(&items, &item) == 0)
		put(&out, &item);
	/* All but the item that is none was read, and is written again. */
	if (out.len > len || (out.len && memcmp(out.data, data, out.len) != 0))
		abort();
	buf_release(&out);

	r = cbor_map_begin(&in, &m);
	while (r == 0 && (more = cbor_map_next(&in, &m)) > 0)
		r = cbor_skip(&in);
	cbor_skip(&whole);
	return 0;
}
