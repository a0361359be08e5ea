/*
 * A growing byte buffer.  A failed allocation sets `failed`, after which
 * appends do nothing: a writer appends everything and asks once, at the end.
 * Zero-initialise to use; buf_release frees.
 */
#ifndef STORE_BUF_H
#define STORE_BUF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define VARINT_MAX 10 /* bytes of the longest varint */

struct buf {
	uint8_t *data;
	size_t len, cap;
	bool failed;
};

void buf_release(struct buf *b); /* frees, and leaves an empty buffer */
void buf_clear(struct buf *b);	 /* empties, keeping the memory */

/* Room for `n` more bytes at data + len (len unchanged); NULL if none. */
uint8_t *buf_room(struct buf *b, size_t n);
void buf_append(struct buf *b, const void *data, size_t n);
void buf_u8(struct buf *b, uint8_t v);
void buf_u16be(struct buf *b, uint16_t v);
void buf_u32be(struct buf *b, uint32_t v);
void buf_u32le(struct buf *b, uint32_t v);
void buf_u64le(struct buf *b, uint64_t v);
void buf_varint(struct buf *b, uint64_t v);
void buf_text(struct buf *b, const char *text);
/* Drop the first `n` bytes, moving the rest to the front. */
void buf_consume(struct buf *b, size_t n);

/* Write the varint to `out` (VARINT_MAX bytes of room); returns its length. */
size_t varint_put(uint8_t *out, uint64_t v);
size_t varint_size(uint64_t v);

#endif
