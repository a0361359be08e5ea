/*
 * The directory that a mount covers, seen from outside.  These functions look
 * at the file system, perhaps at our own mounts, and so never run on the loop
 * thread.
 */
#ifndef FS_MOUNTPOINT_H
#define FS_MOUNTPOINT_H

#include <limits.h>

/*
 * May we mount on `dir`?  A mount of cairn whose daemon has died is taken away.
 * On success `real` is its absolute path.
 *   -ENOENT, -ENOTDIR, -EACCES
 *   -EBUSY      something is mounted there
 *   -ENOTEMPTY
 */
int mountpoint_check(const char *dir, char real[PATH_MAX]);

/* Let the kernel read ahead 1 MiB instead of 128 KiB, where we may say so. */
void mountpoint_tune(const char *dir);

#endif
