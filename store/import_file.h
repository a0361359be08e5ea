/*
 * Storing the content of one file.  A file of several chunks is open to all
 * workers: each takes the next chunk, reads, hashes and puts it, and whoever
 * finds the first leaves complete hands them to the builder in order.  A pipe
 * is the same, but is read by one worker at a time.
 *
 *   claim() ---> read, hash, put ---> window ---> builder ---> root
 *
 * A file whose size or time changed meanwhile is begun again.
 * Private to the import.
 */
#ifndef STORE_IMPORT_FILE_H
#define STORE_IMPORT_FILE_H

#include "store/import_pipe.h"

struct import_file;

/*
 * Store a file now if it is small, else open it to all workers.  Errors of
 * later work on it go to pipeline_fail().
 */
int file_store(struct worker *w, const struct task *t);

/* Store what a borrowed descriptor gives, as the entry of a directory, whose
 * hold is taken over unless this fails. */
int file_stream(struct pipeline *p, int fd, struct dir *d, uint32_t index);

/* Under the pipeline's lock: the next chunk of an open file, if there is one. */
struct import_file *file_claim(struct pipeline *p, uint64_t *chunk);

/* Do what was claimed. */
void file_chunk(struct worker *w, struct import_file *f, uint64_t chunk);

/* Free the files that are left when the pipeline has ended. */
void files_abandon(struct pipeline *p);

#endif
