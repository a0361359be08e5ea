/*
 * The wire format of protocol buffers, as much as IPFS uses: varint,
 * length-delimited, fixed32 and fixed64 fields.  Groups are an error.
 *
 * Reading:
 *	struct cursor in = cursor_over(data, len);
 *	struct pb_field f;
 *	while ((r = pb_next(&in, &f)) > 0)
 *		switch (f.number) { ... }
 *	if (r < 0) ...
 * Unknown fields are skipped by not mentioning them.
 */
#ifndef STORE_PB_H
#define STORE_PB_H

#include "store/buf.h"
#include "store/cursor.h"

enum pb_type { PB_VARINT = 0, PB_FIXED64 = 1, PB_BYTES = 2, PB_FIXED32 = 5 };

struct pb_field {
	uint32_t number;
	enum pb_type type;
	uint64_t value;	     /* varint and fixed fields */
	const uint8_t *data; /* PB_BYTES: borrowed from the input */
	size_t len;
};

/* 1 and a field; 0 at the end; ERR_MALFORMED. */
int pb_next(struct cursor *in, struct pb_field *f);

/* True if the field is `number` with that type: for exact decoders. */
static inline bool pb_is(const struct pb_field *f, uint32_t number, enum pb_type type)
{
	return f->number == number && f->type == type;
}

void pb_put_varint(struct buf *out, uint32_t number, uint64_t value);
void pb_put_bytes(struct buf *out, uint32_t number, const void *data, size_t len);
void pb_put_text(struct buf *out, uint32_t number, const char *text);
void pb_put_fixed32(struct buf *out, uint32_t number, uint32_t value);
void pb_put_fixed64(struct buf *out, uint32_t number, uint64_t value);
/* Only the tag and length of a bytes field: the caller appends `len` bytes. */
void pb_put_head(struct buf *out, uint32_t number, size_t len);

/* Size on the wire of a varint field and of a bytes field. */
size_t pb_varint_size(uint32_t number, uint64_t value);
size_t pb_bytes_size(uint32_t number, size_t len);

#endif
