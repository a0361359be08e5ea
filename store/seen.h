/*
 * Files that were imported before: from device, inode and the import's options
 * to the root they had, so that a file whose size, mtime and ctime are the same
 * is not read again.  An LMDB of its own: it can be lost without harm, and
 * trouble with it makes an import slower, never wrong or failing.
 *
 * Entry, in host byte order (it is of this machine alone) but for the key, which is
 * big-endian:
 *	key	u64 device | u64 inode | u64 fingerprint
 *	value	u64 check | i64 size | i64 mtime | i64 ctime (nanoseconds) |
 *		u64 Tsize | binary CID
 * and one with the key 0 (u8), whose value is the format: 2 (u8).  What has another is
 * begun anew.
 * The check is the XXH3-64 of the key and what follows it.
 *
 * As with git's index, a file that changed less than two seconds before it was
 * read is not noted: another change within the tick of the clock would not show.
 */
#ifndef STORE_SEEN_H
#define STORE_SEEN_H

#include "store/cid.h"

#include <sys/stat.h>

struct seen;

/* Open, or make, in `dir`.  0 or a negative error.  One writer at a time. */
int seen_open(struct seen **out, const char *dir);
/* Writes what was noted; NULL is allowed. */
void seen_close(struct seen *s);

/* The root of the file, as it was under that fingerprint.  Any thread. */
bool seen_find(struct seen *s, uint64_t fingerprint, const struct stat *st, struct cid *cid,
	       uint64_t *tsize);

/*
 * Note a file that was as `st` says from `now` on (seconds), when its reading
 * began.  Written in batches.  Any thread.
 */
void seen_note(struct seen *s, uint64_t fingerprint, const struct stat *st, int64_t now,
	       const struct cid *cid, uint64_t tsize);

/* Write what was noted. */
void seen_flush(struct seen *s);

/* Forget all: blocks below noted roots were lost.  Any thread; NULL is allowed. */
void seen_forget(struct seen *s);

/* Give the root of each entry, some perhaps that do not count any more, until each()
 * returns non-zero, which is passed on.  -EIO: the table cannot be read. */
int seen_each(struct seen *s, int (*each)(void *arg, const struct cid *root), void *arg);
/* Forget all entries but those whose root keep() approves, or all if that fails. */
int seen_keep(struct seen *s, bool (*keep)(void *arg, const struct cid *root), void *arg);

#endif
