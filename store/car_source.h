/*
 * A CAR file as a source of blocks, without importing it.  It is gone through
 * once, from head to head, to learn where each block lies; a block is compared
 * with its CID whenever it is read, so a file that lies, or changes, yields
 * missing blocks and never wrong ones.
 */
#ifndef STORE_CAR_SOURCE_H
#define STORE_CAR_SOURCE_H

#include "store/source.h"

struct car_file;

/*
 * Open the regular file at `path`; waits for the disk.  24 bytes of memory a block.
 * On failure *why (may be NULL) is a text on what is wrong with it, or NULL.
 *   ERR_MALFORMED, ERR_NEWER, -EFBIG  as car_open() and car_next()
 *   -EINVAL  not a regular file; or another errno
 */
int car_file_open(struct car_file **out, const char *path, const char **why);
void car_file_close(struct car_file *f);

/* How many roots it names, and the first of them (if there is one). */
uint64_t car_file_roots(const struct car_file *f, struct cid *first);

/* As it was given; as long as the file is open. */
const char *car_file_path(const struct car_file *f);

/* Its blocks.  Any thread; get() may wait for the disk. */
struct block_source *car_file_source(struct car_file *f);

#endif
