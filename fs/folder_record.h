/*
 * What the meta of a record in a folder's log says (doc/formats.md): updates,
 * each the new state of something, in the order in which they are made.
 * Pure.  The decoder is strict: a damaged disk is as hostile as a stranger.
 *
 * Little-endian; a CID is its length (1 byte, 0 for none) and its binary form.
 */
#ifndef FS_FOLDER_RECORD_H
#define FS_FOLDER_RECORD_H

#include "store/buf.h"
#include "store/cursor.h"

#include <time.h>

/* What every inode has. */
struct inode_core {
	uint32_t mode; /* with the type */
	uint32_t uid, gid, nlink;
	uint64_t rdev, size;
	struct timespec atime, mtime, ctime;
};
#define INODE_CORE_BYTES 68

enum update_kind {
	UPDATE_INODE = 1, /* u8 flags, u64 ino, core */
	UPDATE_ENTRY,	  /* u8 flags, u8 type, u64 dir, u64 ino, u64 cookie, name */
	UPDATE_EXTENT,	  /* u8 place, u64 ino, u64 offset, u64 len, u64 from */
	UPDATE_CUT,	  /* u64 ino, u64 size */
	UPDATE_XATTR,	  /* u8 flags, u64 ino, name, u32 len, value */
	UPDATE_TARGET,	  /* u64 ino, u16 len, target of a symlink */
	UPDATE_BASE,	  /* u8 flags, u64 ino, u64 size, u64 tsize, u64 upto, CID, CID of attributes */
	UPDATE_LISTING,	  /* u64 ino, u64 upto, CID, CID of attributes */
	UPDATE_CLEAN,	  /* u64 ino, u64 upto: its attributes are those of the snapshot */
	UPDATE_SETTLED,	  /* u8 flags, u64 upto, u64 dir, name: so is an entry */
	UPDATE_FREE,	  /* u64 ino */
	UPDATE_SNAPSHOT,  /* u64 upto, CID, CID of attributes */
	UPDATE_KINDS
};

/* A name is its length (1 byte, not 0) and its bytes, with neither NUL nor '/'. */
struct update {
	enum update_kind kind;
	uint8_t flags;	/* of the kind; place of an extent */
	uint8_t type;	/* of an entry: its S_IFMT bits >> 12 */
	uint64_t ino;
	uint64_t dir, cookie;		    /* entry; ino 0: there is none */
	uint64_t offset, len, from;	    /* extent */
	uint64_t size, tsize, upto;	    /* cut, base, ... */
	struct inode_core core;
	const uint8_t *name, *value;	    /* borrowed; value also a target */
	uint8_t name_len;
	uint32_t value_len;
	const uint8_t *cid, *attrs;	    /* binary, borrowed; NULL: none */
	uint8_t cid_len, attrs_len;
};

/* UPDATE_INODE */
#define INODE_CHANGED  1u /* its attributes are not those of the snapshot any more */
#define INODE_CONTENT  2u /* nor is its content */
#define INODE_NEW      4u /* it was not there before */
/* UPDATE_ENTRY */
#define ENTRY_CHANGED  1u /* it is not what the snapshot has */
#define ENTRY_LISTED   2u /* the listing base has the name */
#define ENTRY_SNAPPED  4u /* the newest snapshot has the name */
/* UPDATE_EXTENT: what it is, and what `from` means */
#define EXTENT_HOLE    0u /* 0 */
#define EXTENT_DATA    1u /* offset in this record's data */
#define EXTENT_PLACE   2u /* segment << 32 | offset in it */
/* UPDATE_XATTR */
#define XATTR_REMOVED  1u
/* UPDATE_BASE: of a snapshot up to record `upto`; or, that being 0, of what was
 * clean before, or with this flag of another file, of which it is a copy */
#define BASE_COPY      1u
/* UPDATE_SETTLED: the snapshot has the name */
#define SETTLED_SNAPPED 1u

void update_encode(struct buf *out, const struct update *u);
/* The next update: 1, 0 at the end, or ERR_MALFORMED. */
int update_next(struct cursor *in, struct update *out);

void inode_core_encode(struct buf *out, const struct inode_core *c);
/* Sets in->bad if it is none. */
void inode_core_read(struct cursor *in, struct inode_core *out);

#endif
