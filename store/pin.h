/*
 * The pins of a repository: what is to stay.  A durable table (LMDB, in a directory
 * of its own):
 *	"pins"	u8 bytes of the CID | CID | name  ->  u64 XXH3-64 of key and rest | u8 mode | u64 time
 * Little-endian.  A CID may be pinned under several names, the empty one among them.
 *
 * One process writes, others may read beside it.  Any thread.  Beside the errors named
 * all return ERR_CORRUPT for a damaged table, or an errno.
 */
#ifndef STORE_PIN_H
#define STORE_PIN_H

#include "store/cid.h"

struct pins;

#define PIN_NAME_MAX 255

enum pin_mode {
	PIN_RECURSIVE = 1, /* all the CID leads to */
	PIN_DIRECT = 2,	   /* its block alone */
};

struct pin {
	struct cid cid;
	enum pin_mode mode;
	uint64_t time; /* unix seconds */
	char name[PIN_NAME_MAX + 1];
};

/*
 * Open the table in `dir`: -ENOENT if there is none.  It is never made by the way, since
 * an empty table in the place of a lost one would give everything away.
 */
int pins_open(struct pins **out, const char *dir, bool write);
/* Make an empty table in `dir`, which exists and is empty. */
int pins_create(struct pins **out, const char *dir);
void pins_close(struct pins *p); /* NULL is allowed */

/* Durable when it returns 0.  The same CID and name again: the new mode counts.
 * -ENAMETOOLONG; -EINVAL: a name with control characters. */
int pins_add(struct pins *p, const struct cid *cid, enum pin_mode mode, const char *name);

/* Remove the pins of a CID, all or (name not NULL) that one.  How many there were. */
int pins_remove(struct pins *p, const struct cid *cid, const char *name);

/* 1 if the CID is pinned, 0 if not. */
int pins_has(struct pins *p, const struct cid *cid);

/* Give each pin, ordered by CID, from a list that is copied before, until each()
 * returns non-zero, which is passed on. */
int pins_each(struct pins *p, int (*each)(void *arg, const struct pin *pin), void *arg);

#endif
