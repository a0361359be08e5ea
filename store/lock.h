/*
 * The lock that makes sure of one writer: a file held by flock(), so that it
 * goes with its process, however that ends.  Inside stands the process's
 * number, for a person to read.
 */
#ifndef STORE_LOCK_H
#define STORE_LOCK_H

/*
 * Take <dir>/`name`.  A descriptor, which the caller closes to let go;
 * -EBUSY if another has it, or an errno.
 */
int lock_take(int dir, const char *name);

#endif
