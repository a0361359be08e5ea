#include "store/record.h"

#include "store/error.h"
#include "store/recipe.h"
#include "store/xxh3.h"

#include <string.h>

#define HEADER_CHECKED 24 /* the bytes before the header check */

static const char segment_magic[8] = "cairnseg";

static uint8_t *put32(uint8_t *p, uint32_t v)
{
	for (int i = 0; i < 4; i++)
		*p++ = (uint8_t)(v >> (8 * i));
	return p;
}

static uint8_t *put64(uint8_t *p, uint64_t v)
{
	return put32(put32(p, (uint32_t)v), (uint32_t)(v >> 32));
}

void record_name(struct record_name *out, const struct multihash *name, uint64_t seed)
{
	out->piece = false;
	out->log = LOG_KEEP;
	out->size = (uint8_t)multihash_encode(name, out->bytes);
	out->hash = XXH3_64bits_withSeed(out->bytes, out->size, seed);
}

void record_name_of(struct record_name *out, uint8_t kind, const uint8_t *name,
		    size_t name_size, uint64_t seed)
{
	out->piece = kind == RECORD_PIECE;
	out->log = LOG_KEEP;
	out->size = (uint8_t)name_size;
	memcpy(out->bytes, name, name_size);
	out->hash = XXH3_64bits_withSeed(name, name_size, seed + out->piece);
}

uint64_t record_check(const void *data, size_t len)
{
	return XXH3_64bits(data, len);
}

static uint64_t header_check(const uint8_t *header, const uint8_t *name, size_t name_size,
			     uint32_t segment, uint32_t offset)
{
	uint8_t both[HEADER_CHECKED + RECORD_NAME_MAX];

	memcpy(both, header, HEADER_CHECKED);
	memcpy(both + HEADER_CHECKED, name, name_size);
	return XXH3_64bits_withSeed(both, HEADER_CHECKED + name_size,
				    (uint64_t)segment << 32 | offset);
}

void record_encode(uint8_t *out, const struct record *r, const uint8_t *name,
		   uint32_t segment, uint32_t offset)
{
	uint8_t *p = put32(out, RECORD_MAGIC);

	*p++ = r->kind;
	*p++ = r->encoding;
	*p++ = (uint8_t)r->name_size;
	*p++ = (uint8_t)(r->name_size >> 8);
	p = put32(p, r->stored);
	p = put32(p, r->size);
	p = put64(p, r->check);
	p = put64(p, header_check(out, name, r->name_size, segment, offset));
	memcpy(p, name, r->name_size);
}

/* Each kind of record has its own bounds. */
static bool sizes_fit(const struct record *r)
{
	if (r->kind == RECORD_RECIPE)
		return r->encoding == ENCODING_RAW && r->stored <= RECIPE_MAX;
	if (r->kind == RECORD_BUNDLE)
		/* How the stored bytes divide, the table says. */
		return r->name_size == BUNDLE_NAME && r->size <= BUNDLE_MAX &&
		       r->stored <= BUNDLE_TABLE_MAX + r->size &&
		       (r->encoding == ENCODING_RAW || r->encoding == ENCODING_ZSTD);
	if (r->kind == RECORD_PIECE ? r->name_size != PIECE_NAME || r->size > PIECE_MAX
				    : r->kind != RECORD_BLOCK)
		return false;
	if (r->encoding == ENCODING_RAW)
		return r->stored == r->size;
	return r->encoding == ENCODING_ZSTD && r->stored < r->size && r->size <= PIECE_MAX;
}

int record_decode(struct record *out, const uint8_t *in, size_t len)
{
	struct cursor c = cursor_over(in, len);
	uint32_t magic = cursor_u32le(&c);

	out->kind = cursor_u8(&c);
	out->encoding = cursor_u8(&c);
	out->name_size = cursor_u8(&c);
	out->name_size |= (uint16_t)(cursor_u8(&c) << 8);
	out->stored = cursor_u32le(&c);
	out->size = cursor_u32le(&c);
	out->check = cursor_u64le(&c);
	cursor_u64le(&c);
	if (c.bad || magic != RECORD_MAGIC || !out->name_size ||
	    out->name_size > RECORD_NAME_MAX || out->size > BLOCK_MAX)
		return ERR_CORRUPT;
	return sizes_fit(out) ? 0 : ERR_CORRUPT;
}

bool record_sound(const struct record *r, const uint8_t *in, uint32_t segment,
		  uint32_t offset)
{
	struct cursor c = cursor_over(in + HEADER_CHECKED, 8);

	return cursor_u64le(&c) ==
	       header_check(in, in + RECORD_HEADER, r->name_size, segment, offset);
}

void segment_header_encode(uint8_t out[SEGMENT_HEADER], uint32_t number, uint8_t log)
{
	memcpy(out, segment_magic, sizeof segment_magic);
	uint8_t *p = put32(out + sizeof segment_magic, SEGMENT_VERSION);
	p = put32(p, number);
	p = put32(p, log);
	p = put32(p, 0);
	put64(p, XXH3_64bits(out, HEADER_CHECKED));
}

int segment_header_check(const uint8_t in[SEGMENT_HEADER], uint32_t number)
{
	struct cursor c = cursor_over(in, SEGMENT_HEADER);
	const uint8_t *magic = cursor_take(&c, sizeof segment_magic);
	uint32_t version = cursor_u32le(&c);
	uint32_t written = cursor_u32le(&c);
	uint32_t log = cursor_u32le(&c);

	cursor_take(&c, 4);
	if (memcmp(magic, segment_magic, sizeof segment_magic) ||
	    cursor_u64le(&c) != XXH3_64bits(in, HEADER_CHECKED))
		return ERR_CORRUPT;
	if (version > SEGMENT_VERSION)
		return ERR_NEWER;
	return written == number && log < LOGS ? (int)log : ERR_CORRUPT;
}

bool segment_header_current(const uint8_t in[SEGMENT_HEADER])
{
	struct cursor c = cursor_over(in + sizeof segment_magic, 4);

	return cursor_u32le(&c) == SEGMENT_VERSION;
}
