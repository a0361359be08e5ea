/*
 * A cursor over bytes that a stranger may have written.  It cannot overrun:
 * a read past the end, or of a malformed number, sets `bad`, after which every
 * read gives 0 or NULL.  A decoder reads on and asks once, at the end.
 */
#ifndef STORE_CURSOR_H
#define STORE_CURSOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct cursor {
	const uint8_t *p, *end;
	bool bad;
};

static inline struct cursor cursor_over(const void *data, size_t len)
{
	const uint8_t *p = data;
	return (struct cursor){ .p = p, .end = p ? p + len : p };
}

/* Bytes not read yet. */
static inline size_t cursor_left(const struct cursor *in)
{
	return in->bad ? 0 : (size_t)(in->end - in->p);
}

/* True if nothing went wrong and nothing is left over. */
static inline bool cursor_done(const struct cursor *in)
{
	return !in->bad && in->p == in->end;
}

/* The next `n` bytes, borrowed from the input; NULL past the end. */
const uint8_t *cursor_take(struct cursor *in, size_t n);

uint8_t cursor_u8(struct cursor *in);
uint16_t cursor_u16be(struct cursor *in);
uint32_t cursor_u32be(struct cursor *in);
uint32_t cursor_u32le(struct cursor *in);
uint64_t cursor_u64le(struct cursor *in);

/* An unsigned varint of multiformats: minimal, at most 9 bytes (63 bits). */
uint64_t cursor_varint(struct cursor *in);

/* A protobuf varint: up to 10 bytes, 64 bits, minimal (we refuse padding). */
uint64_t cursor_pb_varint(struct cursor *in);

/* A varint length (at most `max`) and that many bytes; *len is set. */
const uint8_t *cursor_prefixed(struct cursor *in, size_t max, size_t *len);

#endif
