/*
 * When to fetch ahead of a reader: pure decisions, without blocks or clock.
 *
 * Within a file, as much is fetched ahead as has been read in sequence, so the
 * window doubles with every round trip; a single read fetches nothing more.
 *
 * Across files (grep -r, diff -r, cp -r), the small files that follow in a
 * directory are fetched ahead once two of it were read, in a window that
 * doubles as they are used; and likewise the files of sub-directories that follow.
 *
 * Any thread.  Only the streams used last are remembered.
 */
#ifndef FS_READAHEAD_H
#define FS_READAHEAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define READAHEAD_START (256u << 10) /* bytes read in sequence before it begins */
#define READAHEAD_MAX	(32u << 20)  /* bytes ahead: 5 times 1 Gbit/s * 50 ms */
#define SIBLINGS_MAX	1024
#define SIBLINGS_BYTES	(16u << 20)
#define SMALL_FILE	(1u << 20)

struct readahead;

int readahead_new(struct readahead **out);
void readahead_free(struct readahead *r);

/*
 * Bytes [offset, offset + len) of a file of `size` are being read.  True if the
 * range [*from, *from + *n) should be fetched now; each is named once, while
 * the reader goes on.
 */
bool readahead_read(struct readahead *r, uint64_t file, uint64_t offset, size_t len,
		    uint64_t size, uint64_t *from, uint64_t *n);

/* An entry of a directory that is used for the first time. */
struct sibling {
	uint64_t dir;
	uint64_t pos; /* the position behind it in the listing, or 0 */
	bool local;   /* it was here already, perhaps fetched ahead */
};

/*
 * A small file is read, or a sub-directory entered.  Returns how many entries
 * to fetch, from position *from on; 0 if none.  The caller then tells how far it
 * came.  *first: the directory itself was not known before.
 *
 * Programs sort what they read, so the order need not be the listing's; but if
 * hardly anything that was fetched is used, no more is.
 */
unsigned readahead_sibling(struct readahead *r, const struct sibling *s, uint64_t *from,
			   bool *first);
/* `n` were fetched; the next to fetch is at `pos`; `end`: there are no more. */
void readahead_siblings_done(struct readahead *r, uint64_t dir, uint64_t pos, unsigned n,
			     bool end);

#endif
