/*
 * How often the kernel has looked up each inode: it may name an inode as long
 * as it has not given all its look-ups back.  24 bytes for each, and a quarter more.
 *
 * Of a clean thing it is noted besides where its name is, so that it can be made
 * again of the base when its object was let go: its number is a hash of the
 * directory's number and the name, so the directory and a part of the name's hash
 * (dag_place()) are enough to find it.  The directory is held for that: as if the
 * kernel had looked it up once more for each child so noted.
 */
#ifndef FS_FOLDER_KNOWN_H
#define FS_FOLDER_KNOWN_H

#include <stdbool.h>
#include <stdint.h>

struct known_slot {
	uint64_t ino; /* 0: free */
	uint64_t dir; /* 0: not noted */
	uint32_t place;
	uint32_t n; /* UINT32_MAX: so many that it stays */
};

/* All zeros is an empty table. */
struct known {
	struct known_slot *slots;
	uint64_t size, used;
};

/* Room for one look-up more, and for that of its directory.  0 or -ENOMEM. */
int known_room(struct known *k);
/* One look-up more, for which there was room. */
void known_add(struct known *k, uint64_t ino);
/* Note where the name of a known clean thing is, if that was not done yet. */
void known_note(struct known *k, uint64_t ino, uint64_t dir, uint32_t place);
/* It is clean no more, and nothing is noted of it. */
void known_settle(struct known *k, uint64_t ino);
/* `n` look-ups fewer; what is left.  If that is nothing, *dir is the directory that it
 * was noted in, of which one look-up is to be dropped now, or 0. */
uint64_t known_drop(struct known *k, uint64_t ino, uint64_t n, uint64_t *dir);
uint64_t known_count(const struct known *k, uint64_t ino);
/* Whether it is noted, and where. */
bool known_place(const struct known *k, uint64_t ino, uint64_t *dir, uint32_t *place);
void known_release(struct known *k);

#endif
