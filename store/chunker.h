/*
 * Where a file's bytes are cut into leaves.
 *	size-N			every N bytes
 *	rabin, rabin-AVG, rabin-MIN-AVG-MAX
 *				a Rabin fingerprint of the last 16 bytes
 *	buzhash			a cyclic hash of the last 32 bytes, 128 to 512 KiB
 *	fastcdc, fastcdc-MIN-AVG-MAX
 *				cairn's own: the cut of its pieces (store/fastcdc.h);
 *				64 KiB, 256 KiB and 1 MiB unless said
 * The others cut where Kubo's chunkers of that name do.  A cut depends on
 * nothing before the chunk it ends.
 */
#ifndef STORE_CHUNKER_H
#define STORE_CHUNKER_H

#include <stddef.h>
#include <stdint.h>

enum chunker_kind { CHUNKER_SIZE, CHUNKER_RABIN, CHUNKER_BUZHASH, CHUNKER_FASTCDC };

struct chunker {
	enum chunker_kind kind;
	uint32_t min, avg; /* not for CHUNKER_SIZE */
	uint32_t max;	   /* bytes of the longest chunk */
};

/* A leaf that is wrapped in dag-pb must stay a block that others accept. */
#define CHUNK_MAX ((2u << 20) - 256)

/*
 * From its text.  0, or -EINVAL; then *why is a sentence on what is accepted.
 */
int chunker_parse(struct chunker *out, const char *text, const char **why);

/* The text of one, as chunker_parse() takes it. */
#define CHUNKER_TEXT_MAX 48
const char *chunker_text(const struct chunker *c, char out[CHUNKER_TEXT_MAX]);

/*
 * The length of the first chunk of `data`, of which `len` bytes are known: at
 * least c->max of them, unless the file ends there.  0 only if len is 0.
 */
size_t chunker_cut(const struct chunker *c, const uint8_t *data, size_t len);

#endif
