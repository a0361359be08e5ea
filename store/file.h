/*
 * Small files that are read and replaced as a whole: settings, keys, states.
 * They wait for the disk.
 */
#ifndef STORE_FILE_H
#define STORE_FILE_H

#include <stddef.h>

/*
 * Replace a file at once: written beside it, synced, renamed.  Whatever happens,
 * the old or the new one is there; 0: the new one, also after a power cut.  Only
 * one writer of a path at a time.
 */
int file_replace(const char *path, const void *data, size_t len, unsigned mode);

/* The whole of a small file, NUL-terminated; the caller frees.  -EFBIG: longer
 * than `max`. */
int file_load(const char *path, size_t max, char **out, size_t *len);

#endif
