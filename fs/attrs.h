/*
 * The attributes DAG: what UnixFS cannot say of the entries of a folder.  It
 * lies beside the tree, a dag-cbor node for each directory that needs one; a
 * tree of which nothing more is to be said has none.  doc/formats.md gives
 * every byte.
 *
 * The entries of a large directory are spread over pages by a hash of their
 * names, in a trie of fanout 16: a set of entries is one page if it is a single
 * entry or has ATTRS_PAGE bytes at most, else an index of 16 such sets by the
 * next four bits of the hash.  So the form depends on the set alone, an edit
 * rewrites one page and the few small nodes above it, and no name chosen by
 * somebody makes it deep (the hash is SHA-256).
 *
 * An attribute that is absent is as `cairn add` would have it: mode 0644 of a
 * file, 0755 of a directory, 0777 of a symlink; owner and times are the
 * reader's choice.
 */
#ifndef FS_ATTRS_H
#define FS_ATTRS_H

#include "store/dag.h"
#include "store/sink.h"

#define ATTRS_PAGE	 (32u << 10) /* bytes of encoded entries */
#define ATTRS_XATTRS_MAX (128u << 10) /* names and values of one entry, encoded */
#define ATTRS_XATTR_NAME 255

/* A FIFO, socket or device is in the attributes DAG only. */
enum attrs_special { ATTRS_FIFO = 1, ATTRS_SOCKET, ATTRS_CHAR, ATTRS_BLOCK };

/* Which are said. */
enum attrs_has {
	ATTRS_MODE = 1,
	ATTRS_UID = 2,
	ATTRS_GID = 4,
	ATTRS_MTIME = 8,
	ATTRS_CTIME = 16,
	ATTRS_BIRTH = 32,
};

struct attrs_time {
	int64_t sec;
	uint32_t nsec; /* 0..999999999 */
};

/* What is said of one file, or of a directory by itself. */
struct attrs_entry {
	unsigned has;
	uint32_t mode; /* 07777 bits */
	uint32_t uid, gid;
	struct attrs_time mtime, ctime, birth;
	enum attrs_special special; /* 0: it is in the UnixFS tree */
	uint32_t major, minor;	    /* of ATTRS_CHAR and ATTRS_BLOCK; else 0 */
	uint64_t group;		    /* names of one inode share it; 0: it has one name */
	/* Extended attributes as attrs_xattrs_put() writes them; borrowed, NULL if
	 * there are none. */
	const uint8_t *xattrs;
	size_t xattrs_len;
};

/* True if nothing is said. */
bool attrs_empty(const struct attrs_entry *e);

/* Leave out the mode if it is the default of that type.  `type` is 0 for what
 * is special, whose default is 0644. */
void attrs_drop_defaults(struct attrs_entry *e, enum dag_type type);

struct attrs_xattr {
	const char *name; /* borrowed, not NUL-terminated */
	size_t name_len;  /* 1..ATTRS_XATTR_NAME; no NUL inside */
	const uint8_t *value;
	size_t value_len;
};

/*
 * Write `n` extended attributes, sorted here by name.  0, -EINVAL (a bad name,
 * one given twice), -E2BIG (over ATTRS_XATTRS_MAX), -ENOMEM.  Nothing is
 * written for none.
 */
int attrs_xattrs_put(struct buf *out, struct attrs_xattr *list, size_t n);
/* Go through e's: start with a cursor of attrs_xattrs(); 1, 0 at the end. */
struct cursor attrs_xattrs(const struct attrs_entry *e);
int attrs_xattrs_next(struct cursor *in, struct attrs_xattr *out);

/*
 * What a directory's node has under a name: attributes, or for a directory the
 * CID of its own node.
 */
struct attrs_link {
	const char *name; /* borrowed, not NUL-terminated; as dag_name_ok() wants */
	size_t name_len;
	bool is_dir;
	struct cid dir;
	struct attrs_entry attrs; /* if it is no directory; not empty */
};

/*
 * A decoded node.  Pure: points into the block.  A page and an index have
 * cursors; a directory's node may have attributes of its own before them.
 */
enum attrs_form { ATTRS_NONE, ATTRS_ENTRIES, ATTRS_INDEX };
struct attrs_node {
	bool has_self;
	struct attrs_entry self;
	enum attrs_form form;
	size_t n;	     /* entries of a page, or children of an index */
	struct cursor items; /* for attrs_node_entry() or attrs_node_child() */
	uint64_t count;	     /* all entries in it and below */
	uint64_t bytes;	     /* of them, encoded */
};
struct attrs_child {
	unsigned digit; /* 0..15 */
	uint64_t count, bytes;
	struct cid cid;
};

/* Strict: there is one encoding of a node, and all else is ERR_MALFORMED. */
int attrs_node_decode(struct attrs_node *out, const void *data, size_t len);
/* The next, of a node that attrs_node_decode() took: 1, or 0 at the end. */
int attrs_node_entry(struct cursor *items, struct attrs_link *out);
int attrs_node_child(struct cursor *items, struct attrs_child *out);

/*
 * Reading.  `dir` is a directory's node.  Restartable as dag.h says; what is
 * found points into *hold, a reference the caller owns (untouched on error).
 */

/* What it says of the directory: 0, or -ENOENT if nothing. */
int attrs_self(struct block_source *s, const struct cid *dir, struct attrs_entry *out,
	       struct block **hold, struct misses *misses);
/* What it has under a name: 0, or -ENOENT. */
int attrs_lookup(struct block_source *s, const struct cid *dir, const char *name,
		 size_t name_len, struct attrs_link *out, struct block **hold,
		 struct misses *misses);
/* All of it, in order of the hash.  each() returns non-zero to stop, which is
 * passed on; what it gets is borrowed during the call. */
typedef int (*attrs_each_fn)(void *arg, const struct attrs_link *l);
int attrs_list(struct block_source *s, const struct cid *dir, attrs_each_fn each,
	       void *arg, struct misses *misses);

/*
 * A directory's node from its older one (NULL: none) and what changed: `n`
 * links in order of their names, each replacing what was there; one that is no
 * directory and whose attributes are empty removes.  `self` replaces the
 * directory's own attributes (empty: removes them); NULL: they are as they were.
 * Blocks go to the sink under version 1 CIDs of sha2-256.
 * Returns 1 and the CID of the node; 0 if nothing is left to be said (*out is
 * not touched); or
 *   -EINVAL    a bad name, names out of order, attributes out of range
 *   -E2BIG     extended attributes over ATTRS_XATTRS_MAX
 *   -EOVERFLOW names whose hashes are equal
 *   ERR_MISSING, ERR_MALFORMED of the older node; of the sink; -ENOMEM
 */
struct attrs_changes {
	size_t n;
	const void *arg;
	/* What it gives stays valid as long as the edit. */
	void (*get)(const void *arg, size_t i, struct attrs_link *out);
};
int attrs_edit(struct block_source *s, struct block_sink *sink, const struct cid *old,
	       const struct attrs_entry *self, const struct attrs_changes *changes,
	       struct cid *out, struct misses *misses);

#endif
