#include "store/unixfs.h"
#include "store/error.h"
#include "store/pb.h"

#include <string.h>

#define NSEC_MAX      999999999u
#define BLOCKSIZE_TAG 0x20 /* field 4, varint */

static int decode_mtime(struct unixfs *out, const uint8_t *data, size_t len)
{
	struct cursor in = cursor_over(data, len);
	bool has_seconds = false, has_nsec = false;
	struct pb_field f;
	int r;

	while ((r = pb_next(&in, &f)) > 0)
		switch (f.number) {
		case 1:
			if (f.type != PB_VARINT || has_seconds)
				return ERR_MALFORMED;
			out->mtime = (int64_t)f.value;
			has_seconds = true;
			break;
		case 2:
			if (f.type != PB_FIXED32 || has_nsec || f.value > NSEC_MAX)
				return ERR_MALFORMED;
			out->mtime_nsec = (uint32_t)f.value;
			has_nsec = true;
			break;
		}
	return r < 0 || !has_seconds ? ERR_MALFORMED : 0;
}

/* How many copies of the `len` bytes before `p` follow there. */
static size_t repeats(const uint8_t *p, const uint8_t *end, size_t len)
{
	const uint8_t *start = p;

	/* All bytes from the first copy on equal those `len` before them. */
	while (end - p >= 8 && memcmp(p, p - len, 8) == 0)
		p += 8;
	while (p < end && *p == *(p - len))
		p++;
	return (size_t)(p - start) / len;
}

int unixfs_next_sizes(struct cursor *blocksizes, uint64_t *size, size_t *count)
{
	struct pb_field f;

	while (blocksizes->p < blocksizes->end) {
		const uint8_t *start = blocksizes->p;

		if (pb_next(blocksizes, &f) < 0)
			return 0; /* only while decoding, which refuses it */
		if (f.number != 4)
			continue; /* another field among them: odd, but allowed */
		size_t len = (size_t)(blocksizes->p - start);
		size_t more = repeats(blocksizes->p, blocksizes->end, len);
		blocksizes->p += more * len;
		*size = f.value;
		*count = 1 + more;
		return 1;
	}
	return 0;
}

/* The blocksizes from the first on, as far as they stand in a row. */
static int decode_sizes(struct unixfs *out, struct cursor *in)
{
	while (in->p < in->end && *in->p == BLOCKSIZE_TAG) {
		uint64_t size, total;
		size_t count;

		if (!unixfs_next_sizes(in, &size, &count))
			return ERR_MALFORMED;
		if (__builtin_mul_overflow(size, (uint64_t)count, &total) ||
		    __builtin_add_overflow(out->blocksizes_sum, total,
					   &out->blocksizes_sum))
			return ERR_MALFORMED;
		out->n_blocksizes += count;
	}
	return 0;
}

static int take_number(const struct pb_field *f, bool *has, uint64_t *value)
{
	if (f->type != PB_VARINT || *has)
		return ERR_MALFORMED;
	*has = true;
	*value = f->value;
	return 0;
}

int unixfs_decode(struct unixfs *out, const void *data, size_t len)
{
	struct cursor in = cursor_over(data, len);
	bool has_type = false;
	uint64_t type = 0, mode = 0;
	struct pb_field f;
	int r = 0;

	*out = (struct unixfs){ .blocksizes = { .p = in.end, .end = in.end } };
	while (r == 0 && in.p < in.end) {
		if (*in.p == BLOCKSIZE_TAG) {
			if (!out->n_blocksizes)
				out->blocksizes.p = in.p;
			r = decode_sizes(out, &in);
			out->blocksizes.end = in.p;
			continue;
		}
		if (pb_next(&in, &f) < 0)
			return ERR_MALFORMED;
		switch (f.number) {
		case 1:
			r = take_number(&f, &has_type, &type);
			break;
		case 2:
			if (f.type != PB_BYTES || out->has_data)
				return ERR_MALFORMED;
			out->has_data = true;
			out->data = f.data;
			out->data_len = f.len;
			break;
		case 3:
			r = take_number(&f, &out->has_filesize, &out->filesize);
			break;
		case 4:
			return ERR_MALFORMED; /* packed: nobody writes it */
		case 5:
			r = take_number(&f, &out->has_hash_type, &out->hash_type);
			break;
		case 6:
			r = take_number(&f, &out->has_fanout, &out->fanout);
			break;
		case 7:
			r = take_number(&f, &out->has_mode, &mode);
			break;
		case 8:
			if (f.type != PB_BYTES || out->has_mtime)
				return ERR_MALFORMED;
			out->has_mtime = true;
			r = decode_mtime(out, f.data, f.len);
			break;
		}
	}
	if (r < 0 || !has_type || type > UNIXFS_HAMT_SHARD || mode > UINT32_MAX)
		return ERR_MALFORMED;
	out->type = (enum unixfs_type)type;
	out->mode = (uint32_t)mode;
	return 0;
}

static int check_file(struct unixfs *u, size_t n_links)
{
	uint64_t real;

	if (u->n_blocksizes != n_links || (u->type == UNIXFS_RAW && n_links))
		return ERR_MALFORMED;
	if (__builtin_add_overflow(u->blocksizes_sum, (uint64_t)u->data_len, &real))
		return ERR_MALFORMED;
	if (u->has_filesize && u->filesize != real)
		return ERR_MALFORMED;
	u->filesize = real;
	return real > INT64_MAX ? -EFBIG : 0;
}

int unixfs_check(struct unixfs *u, size_t n_links)
{
	switch (u->type) {
	case UNIXFS_RAW:
	case UNIXFS_FILE:
		return check_file(u, n_links);
	case UNIXFS_SYMLINK:
		return n_links ? ERR_MALFORMED : 0;
	case UNIXFS_DIRECTORY:
	case UNIXFS_HAMT_SHARD:
		return 0;
	case UNIXFS_METADATA:
		break;
	}
	return -ENOTSUP;
}

void unixfs_encode(struct buf *out, const struct unixfs *u, const uint64_t *blocksizes,
		   size_t n)
{
	pb_put_varint(out, 1, u->type);
	if (u->has_data)
		pb_put_bytes(out, 2, u->data, u->data_len);
	if (u->has_filesize)
		pb_put_varint(out, 3, u->filesize);
	for (size_t i = 0; i < n; i++)
		pb_put_varint(out, 4, blocksizes[i]);
	if (u->has_hash_type)
		pb_put_varint(out, 5, u->hash_type);
	if (u->has_fanout)
		pb_put_varint(out, 6, u->fanout);
	if (u->has_mode)
		pb_put_varint(out, 7, u->mode);
	if (!u->has_mtime)
		return;

	uint64_t seconds = (uint64_t)u->mtime;
	size_t len = pb_varint_size(1, seconds);
	if (u->mtime_nsec)
		len += 1 + 4; /* tag and fixed32 */
	pb_put_head(out, 8, len);
	pb_put_varint(out, 1, seconds);
	if (u->mtime_nsec)
		pb_put_fixed32(out, 2, u->mtime_nsec);
}

void unixfs_set_meta(struct unixfs *u, const struct unixfs_meta *meta)
{
	if (!meta)
		return;
	u->has_mode = meta->has_mode;
	u->mode = meta->mode;
	u->has_mtime = meta->has_mtime;
	u->mtime = meta->mtime;
	u->mtime_nsec = meta->mtime_nsec;
}
