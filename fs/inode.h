/*
 * The inodes the kernel knows, of one mount.
 *
 * A file or symlink is its CID and attributes, so equal files share an inode
 * and with it the page cache; it never changes.  A directory has an inode per
 * place (parent, name), because its listing may move with a name while someone
 * stands in it.  Numbers are hashes of what identifies the inode, and thus the
 * same again after it was forgotten.
 *
 * Any thread.  Callers get copies: nothing points into the table, and the
 * kernel keeps an inode known for as long as a request on it is open.
 */
#ifndef FS_INODE_H
#define FS_INODE_H

#include "store/cid.h"
#include "store/dag.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define INODE_ROOT  1 /* what the mount shows at its top */
#define INODE_IPFS  2 /* /ipfs and /ipns, where the mount is the whole name space */
#define INODE_IPNS  3
#define INODE_SHELF 4 /* of a folder's history: /snapshots (tree.h) */
#define INODE_FOLDERS 5 /* the repository's folders: /folders */
#define INODE_FIRST 16 /* smaller numbers are fixed */

enum inode_kind { INODE_FILE = 1, INODE_DIR, INODE_SYMLINK, INODE_TOP };

struct inode_info {
	uint64_t id;
	enum inode_kind kind;
	uint16_t mode;	     /* permission bits, as shown */
	uint32_t mtime_nsec;
	int64_t mtime;
	uint64_t size;
	uint32_t version;    /* of a directory: how often it moved */
	uint64_t parent;     /* where it was found last; 0: unknown */
	uint64_t pos;	     /* and the position behind it in that listing; 0: unknown */
	struct cid cid;	     /* not of INODE_TOP */
};

struct inodes;

/* The table has INODE_ROOT to INODE_FOLDERS, as INODE_TOP. */
int inodes_new(struct inodes **out);
void inodes_free(struct inodes *t);

/* Make the root a directory or file of the tree. */
int inodes_set_root(struct inodes *t, const struct cid *cid, const struct dag_attr *a);

/*
 * Find or make the inode of a file or symlink, and count one look-up by the
 * kernel.  `a` is what the tree says; *out what is shown.  0 or -ENOMEM.
 */
int inodes_file(struct inodes *t, const struct cid *cid, const struct dag_attr *a,
		uint64_t parent, uint64_t pos, struct inode_info *out);

/*
 * The same for the directory `name` in `parent`, whose version was `version`
 * when `cid` was read from it: -EAGAIN if it has moved since, so that an old
 * listing never makes new inodes.
 */
int inodes_dir(struct inodes *t, uint64_t parent, uint32_t version, const char *name,
	       size_t name_len, const struct cid *cid, const struct dag_attr *a,
	       uint64_t pos, struct inode_info *out);

/* Trees by CID, by name, of a history, of folders: each entry is the top of a tree of its own. */
static inline bool inode_has_tops(uint64_t id)
{
	return id >= INODE_IPFS && id <= INODE_FOLDERS;
}

/* The number inodes_file() and inodes_dir() would use first: d_ino in a listing. */
uint64_t inode_file_id(const struct cid *cid, const struct dag_attr *a);
uint64_t inode_dir_id(uint64_t parent, const char *name, size_t name_len);

/* What is known of `id`: 0, or -ESTALE. */
int inodes_get(struct inodes *t, uint64_t id, struct inode_info *out);

/* The kernel drops `n` look-ups of it. */
void inodes_forget(struct inodes *t, uint64_t id, uint64_t n);

/* A file turned out to have another size than its directory claimed. */
void inodes_resize(struct inodes *t, uint64_t id, uint64_t size);

/*
 * The top of the tree that `id` lies in: the root, or below /ipfs and /ipns the
 * entry there.  Its providers may have what `id` lacks.  False if unknown.
 */
bool inodes_top(struct inodes *t, uint64_t id, struct cid *out);

/* The path of `id` from the root of the mount, for messages; always terminated. */
void inodes_path(struct inodes *t, uint64_t id, char *out, size_t max);

uint64_t inodes_count(struct inodes *t);

/* Give the CID of every inode, until each() returns non-zero, which is passed on; it
 * may not call back here. */
int inodes_cids(struct inodes *t, int (*each)(void *arg, const struct cid *cid), void *arg);
/* Have fn(arg) called before a tree is shown that lies in no other one; it may not call
 * back here. */
void inodes_on_tree(struct inodes *t, void (*fn)(void *arg), void *arg);

/* A directory that is known, by place. */
struct inode_place {
	uint64_t id, parent;
	struct cid cid;
	char *name;
};
/* All of them; the caller frees with inode_places_free(). */
int inodes_places(struct inodes *t, struct inode_place **out, size_t *n);
void inode_places_free(struct inode_place *p, size_t n);

/* A change of a known directory: it moves on, or is no longer at its place. */
struct inode_move {
	uint64_t id;
	bool gone;
	struct cid cid;
	struct dag_attr attr;
};
/* All at once: a look-up sees all of them or none.  0 or -ENOMEM (nothing done). */
int inodes_move(struct inodes *t, const struct inode_move *moves, size_t n);

#endif
