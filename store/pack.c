#include "store/pack.h"

#include "store/error.h"

#include <stdlib.h>
#include <string.h>
#include <zstd.h>

#define PACK_MIN   64 /* a frame costs about a dozen bytes */
#define PACK_PROBE 4096

struct packer {
	ZSTD_CCtx *compress; /* made when first used */
	ZSTD_DCtx *decompress;
	uint8_t stored[PACK_STORED_MAX], plain[PACK_MAX];
};

struct packer *packer_new(void)
{
	struct packer *p = malloc(sizeof *p);

	if (!p)
		return NULL;
	p->compress = NULL;
	p->decompress = NULL;
	return p;
}

void packer_free(struct packer *p)
{
	if (!p)
		return;
	ZSTD_freeCCtx(p->compress);
	ZSTD_freeDCtx(p->decompress);
	free(p);
}

uint8_t *packer_stored(struct packer *p)
{
	return p->stored;
}

uint8_t *packer_plain(struct packer *p)
{
	return p->plain;
}

/* Compress to p->stored + `at`: the bytes there, or 0 if it does not pay.  `hash_log`
 * 0 is the level's own. */
static size_t compress(struct packer *p, size_t at, const void *data, size_t len, int level,
		       int hash_log)
{
	size_t n;

	if (len < PACK_MIN || len > PACK_MAX)
		return 0;
	if (!p->compress)
		p->compress = ZSTD_createCCtx();
	if (!p->compress)
		return 0;
	/* Where the first bytes give nothing, not much is spent on the rest. */
	if (level > 1 && len >= 2 * PACK_PROBE &&
	    ZSTD_isError(ZSTD_compressCCtx(p->compress, p->stored + at,
					   PACK_PROBE - PACK_PROBE / 8, data, PACK_PROBE, 1)))
		level = 1;
	/* No more room than what is worth it: zstd gives up when it is full. */
	ZSTD_CCtx_setParameter(p->compress, ZSTD_c_compressionLevel, level);
	ZSTD_CCtx_setParameter(p->compress, ZSTD_c_hashLog, hash_log);
	n = ZSTD_compress2(p->compress, p->stored + at, len - len / 8, data, len);
	return ZSTD_isError(n) ? 0 : n;
}

static void pack_at(struct packer *p, const void *data, size_t len, int level,
		    int hash_log, struct packed *out)
{
	size_t n = compress(p, 0, data, len, level, hash_log);

	*out = n ? (struct packed){ p->stored, (uint32_t)n, ENCODING_ZSTD }
		 : (struct packed){ data, (uint32_t)len, ENCODING_RAW };
}

void pack(struct packer *p, const void *data, size_t len, struct packed *out)
{
	pack_at(p, data, len, len <= PACK_SHORT ? PACK_LEVEL_SHORT : PACK_LEVEL_ALONE, 0, out);
}

void pack_fast(struct packer *p, const void *data, size_t len, struct packed *out)
{
	pack_at(p, data, len, PACK_LEVEL_FAST, PACK_HASH_FAST, out);
}

void pack_bundle(struct packer *p, const void *table, size_t table_bytes, const void *data,
		 size_t len, struct packed *out)
{
	size_t n = compress(p, table_bytes, data, len, PACK_LEVEL_FAST, 0);

	memcpy(p->stored, table, table_bytes);
	if (!n)
		memcpy(p->stored + table_bytes, data, len);
	*out = (struct packed){ p->stored, (uint32_t)(table_bytes + (n ? n : len)),
				n ? ENCODING_ZSTD : ENCODING_RAW };
}

int unpack(struct packer *p, uint8_t encoding, const void *data, size_t stored, void *out,
	   size_t size)
{
	if (encoding == ENCODING_RAW) {
		if (stored != size)
			return ERR_CORRUPT;
		memcpy(out, data, size);
		return 0;
	}
	if (encoding != ENCODING_ZSTD || size > PACK_MAX ||
	    ZSTD_getFrameContentSize(data, stored) != size ||
	    ZSTD_findFrameCompressedSize(data, stored) != stored)
		return ERR_CORRUPT;
	if (!p->decompress)
		p->decompress = ZSTD_createDCtx();
	if (!p->decompress)
		return -ENOMEM;
	return ZSTD_decompressDCtx(p->decompress, out, size, data, stored) == size
		   ? 0
		   : ERR_CORRUPT;
}
