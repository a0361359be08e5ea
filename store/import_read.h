/*
 * Taking a file apart into chunks.  Where they are all of one size, anyone may
 * read any of them; a pipe, or a chunker that looks at the content, is read in
 * order, by one worker at a time, through a buffer that sees ahead far enough to
 * know the cut, and the end.  A hole is recognised without reading it.
 * Private to the import.
 */
#ifndef STORE_IMPORT_READ_H
#define STORE_IMPORT_READ_H

#include "store/import_pipe.h"

struct file_reader {
	int fd;
	bool pipe;	/* no offsets; its end is not known before */
	bool in_order;	/* see above */
	uint64_t size;	/* as the file says */
	bool sparse;	/* it may have holes */
	/* In order: */
	uint64_t at;	/* where the next chunk begins */
	uint8_t *ahead; /* what was read from there on */
	size_t have;
	bool ended;	/* nothing comes behind that */
};

enum chunk_kind { CHUNK_NONE, CHUNK_DATA, CHUNK_HOLE };

/* Begin, or begin anew, with a file that is as `st` says (NULL for a pipe).
 * 0 or -ENOMEM. */
int file_reader_begin(struct pipeline *p, struct file_reader *r, const struct stat *st);
void file_reader_release(struct file_reader *r); /* but for the descriptor */

/*
 * Chunk `i` of a file that need not be read in order, to w->data: its kind, or an
 * error; *len bytes, fewer than there should be if the file has become shorter.
 */
int file_reader_chunk(struct worker *w, const struct file_reader *r, uint64_t i,
		      size_t *len);

/* The next chunk in order; *last: none follows.  CHUNK_NONE at the end. */
int file_reader_next(struct worker *w, struct file_reader *r, size_t *len, bool *last);

/* Up to `len` bytes at an offset: fewer only at the end. */
ssize_t read_at(int fd, uint8_t *buf, size_t len, uint64_t offset);

#endif
