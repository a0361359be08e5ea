/*
 * A small file that is replaced as a whole, off the loop thread: written beside,
 * synced, renamed, directory synced.  Versions of one file are written in the
 * order they came; one that is overtaken while it waits is skipped.
 */
#ifndef NET_NAMES_FILE_H
#define NET_NAMES_FILE_H

#include "store/buf.h"

#include <uv.h>

struct name_file;

/* `on_written` is called on the loop thread when `version` and all before it are
 * durable or overtaken, or could not be written (result < 0). */
int name_file_new(struct name_file **out, uv_loop_t *loop, const char *dir,
		  const char *name,
		  void (*on_written)(void *arg, uint64_t version, int result), void *arg);
/* What was handed in is still written; on_written comes no more. */
void name_file_free(struct name_file *f);

/* Returns the version, from 1; 0 if out of memory. */
uint64_t name_file_write(struct name_file *f, const void *data, size_t len);

/* The file as it is now, at most `max` bytes (-EFBIG), and how long ago it was
 * written (ms, at least 0).  0, -ENOENT, … */
int name_file_read(const char *dir, const char *name, size_t max, struct buf *out,
		   uint64_t *age_ms);

#endif
