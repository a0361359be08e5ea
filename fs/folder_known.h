/*
 * How often the kernel has looked up each inode: it may name an inode as long
 * as it has not given all its look-ups back.  16 bytes for each.
 */
#ifndef FS_FOLDER_KNOWN_H
#define FS_FOLDER_KNOWN_H

#include <stdint.h>

struct known_slot {
	uint64_t ino, n; /* 0: free */
};

/* All zeros is an empty table. */
struct known {
	struct known_slot *slots;
	uint64_t mask, used;
};

/* One look-up more.  0 or -ENOMEM. */
int known_add(struct known *k, uint64_t ino);
/* `n` look-ups fewer; what is left. */
uint64_t known_drop(struct known *k, uint64_t ino, uint64_t n);
uint64_t known_count(const struct known *k, uint64_t ino);
void known_release(struct known *k);

#endif
