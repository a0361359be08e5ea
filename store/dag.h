/*
 * Reading UnixFS trees: attributes, ranges of files, directories (plain and
 * HAMT), paths.  Every function reads through a block source that may lack
 * blocks; then it notes what it lacked in `misses` (as much of it as it can
 * see at once, so one round trip brings it) and returns ERR_MISSING, to be
 * called again.  Nothing is kept between calls, nothing recurses on the C
 * stack, a node is visited at most once per call, and depth is bounded.
 *
 * Errors of all: ERR_MISSING; ERR_MALFORMED (bytes that UnixFS forbids);
 * -ELOOP (deeper than DAG_DEPTH_MAX); -ENOTSUP (codec or hash unknown);
 * -ENOTDIR, -EISDIR, -EINVAL (not a symlink) when the node is of another type;
 * -EFBIG for a file over INT64_MAX.
 */
#ifndef STORE_DAG_H
#define STORE_DAG_H

#include "store/source.h"

#define DAG_DEPTH_MAX 32  /* levels of a file's tree */
#define NAME_MAX_BYTES 255

/* True if a file system can hold an entry of this name (hostile.md 76). */
bool dag_name_ok(const char *name, size_t len);

enum dag_type { DAG_FILE = 1, DAG_DIR, DAG_SYMLINK };

struct dag_attr {
	enum dag_type type;
	uint64_t size;	     /* file: bytes; symlink: length of the target; dir: 0 */
	uint32_t mode;	     /* 07777 bits; the default of the type if absent */
	int64_t mtime;	     /* seconds, whose nanoseconds fit 64 bits; 0 if absent */
	uint32_t mtime_nsec; /* 0..999999999 */
	bool has_mode, has_mtime;
};

/* Type and attributes of a node: reads its root block only. */
int dag_stat(struct block_source *s, const struct cid *cid, struct dag_attr *out,
	     struct misses *misses);

/*
 * A piece of a file: bytes [offset, offset + len) of a block, or zeros if
 * block is NULL.  The block is a reference the receiver owns.
 */
struct dag_extent {
	struct block *block;
	size_t offset, len;
};

/*
 * The extents that make up [offset, offset + len) of a file, cut at its end,
 * at most `max` of them.  Returns their number; 0 at or past the end.  A range
 * that needs more than `max` is cut short, so a reader goes on behind what it
 * got.  On ERR_MISSING nothing is returned, and misses has every absent block
 * of the range that could be seen.
 */
int dag_map(struct block_source *s, const struct cid *cid, uint64_t offset, size_t len,
	    struct dag_extent *out, int max, struct misses *misses);
void dag_extents_release(struct dag_extent *e, int n);

/* Bytes of a file into `buf`: the count read, fewer only at the end. */
int64_t dag_read(struct block_source *s, const struct cid *cid, uint64_t offset,
		 void *buf, size_t len, struct misses *misses);

/*
 * For read-ahead: note in misses which leaves of the range (in file order) the
 * source lacks, without reading leaves.  0, or an error; ERR_MISSING if an
 * inner node is lacking (it is noted too).  One call looks at 8,192 nodes at most.
 */
int dag_leaves(struct block_source *s, const struct cid *cid, uint64_t offset,
	       uint64_t len, struct misses *misses);

/* The target of a symlink, NUL-terminated; its length; -ENAMETOOLONG. */
int dag_readlink(struct block_source *s, const struct cid *cid, char *out, size_t max,
		 struct misses *misses);

struct dag_entry {
	struct cid cid;
	const char *name; /* NUL-terminated, checked, borrowed during the call */
	size_t name_len;
	uint64_t tsize; /* a hint: for a raw leaf, its size if the writer was honest */
};

/* The entry `name` of a directory: 0, -ENOENT, or an error.  out->name is NULL. */
int dag_lookup(struct block_source *s, const struct cid *dir, const char *name,
	       size_t name_len, struct dag_entry *out, struct misses *misses);

/*
 * Go through a directory.  `pos` is 0 at the start; each entry is given with
 * the position behind it, which continues the listing there in a later call,
 * for as long as the directory's CID is the same; it is at most 2^62, which
 * leaves room in an off_t.  each() returns 0 to go on,
 * 1 to stop (this entry was taken), or a negative error, which is passed on.
 * Entries whose names no file system can hold (hostile.md 76) are left out,
 * and so is a second entry of one name.  Returns 0 at the end, 1 if stopped.
 * When a shard is missing, entries before it have been given already, in
 * order, and misses holds that shard and the next absent ones on its level.
 */
typedef int (*dag_each_fn)(void *arg, const struct dag_entry *e, uint64_t pos_behind);
int dag_list(struct block_source *s, const struct cid *dir, uint64_t pos,
	     dag_each_fn each, void *arg, struct misses *misses);

/*
 * A part of a name's hash, and the entries of a directory whose names have that
 * part: one, as a rule.  Of a HAMT only the shards on the way are read.  each() and
 * the result are as of dag_list().
 */
uint32_t dag_place(const char *name, size_t name_len);
int dag_list_at(struct block_source *s, const struct cid *dir, uint32_t place,
		dag_each_fn each, void *arg, struct misses *misses);

/*
 * Walk a path ("a/b/c", no leading slash needed) down from `root`.  Symlinks
 * are not followed.  -ENOENT, -ENOTDIR.  The empty path gives root itself.
 */
int dag_resolve(struct block_source *s, const struct cid *root, const char *path,
		struct dag_entry *out, struct misses *misses);

/*
 * The CIDs a block of that codec links to, in order: for counting, pinning,
 * prefetching.  each() returns non-zero to stop, which is passed on.
 */
int dag_links(const struct cid *cid, const struct block *b,
	      int (*each)(void *arg, const struct cid *child), void *arg);

#endif
