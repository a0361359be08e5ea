/*
 * The block store: blocks by multihash, in append-only segments with an LMDB
 * index (doc/formats.md).  Below the blocks lie pieces, cut by content, stored
 * once and compressed; callers see only blocks.  One process writes (it holds the lock); any number
 * of others may read: they see what was synced.  A process opens a store at
 * most once at a time, and not across a fork.  All functions but open and close may be called from any
 * thread.  They may wait for the disk, so not from the loop thread, except
 * store_cached() and store_has().
 *
 * Durability: a block that was put can be read at once; it survives a crash
 * once a later store_sync() has returned 0 (or the store synced by itself, as
 * it does in the background).  Data is synced before the index names it.
 */
#ifndef STORE_STORE_H
#define STORE_STORE_H

#include "store/source.h"

struct store;

#define STORE_WRITE  1u /* take the write lock */
#define STORE_CREATE 2u /* make the directory's files if they are not there */

struct store_config {
	size_t cache_bytes; /* of decoded blocks kept in memory; 0: none */
	/* Of the files of the cache log, CACHE_QUOTA_MIN at least; 0: no limit.  The
	 * files never take more than this and one of them. */
	uint64_t cache_quota;
};
#define CACHE_QUOTA_MIN (16u << 20)

/*
 * Open the store in directory `dir` (which exists).  On success *out is owned
 * by the caller.
 *   -EBUSY      another process writes here (STORE_WRITE)
 *   -ENOENT     no store there (without STORE_CREATE)
 *   ERR_NEWER   made by a newer version
 *   ERR_CORRUPT the index cannot be used
 *   or an errno of the file system
 */
int store_open(struct store **out, const char *dir, unsigned flags,
	       const struct store_config *cfg);

/* Sync, and close.  Returns the error of the last sync. */
int store_close(struct store *s);

/*
 * The block of that name.  0 and a reference, ERR_MISSING, or an I/O error.
 * A record that fails its checksum is dropped from the index, reported once,
 * and is ERR_MISSING from then on.
 */
int store_get(struct store *s, const struct multihash *name, struct block **out);

/* The same, only if it lies in memory: never touches the disk. */
int store_cached(struct store *s, const struct multihash *name, struct block **out);

/* 1 or 0; *size (may be NULL) is its length in bytes.  Reads no data. */
int store_has(struct store *s, const struct multihash *name, size_t *size);
/* The same, but for a block in the keep log, which no quota takes away. */
int store_keeps(struct store *s, const struct multihash *name, size_t *size);

/*
 * Keep a block.  A block that is there already costs nothing.  Does not wait
 * for the disk to sync, but may for other writers.  0, -ENOSPC, -EROFS, -EIO: once a
 * sync has failed every later put and sync fails too.
 */
int store_put(struct store *s, struct block *b);

/*
 * Store a block that was fetched to be read, in the cache log: until newer ones
 * need the room.  If the store lost it from the keep log, it goes back there.
 * As store_put() else.
 */
int store_put_cached(struct store *s, struct block *b);

/*
 * Move a block from the cache log to the keep log: 0 if it is there now (or was),
 * ERR_MISSING, or as store_put().
 */
int store_keep(struct store *s, const struct multihash *name);

/*
 * What is put or found by a put between the two stays until the second, whatever
 * a gc does: whoever puts a tree holds the store from before its first block until
 * its root is pinned.  Any number at a time, any thread.  0; -EROFS without STORE_WRITE.
 */
int store_hold(struct store *s);
void store_unhold(struct store *s);

/*
 * Keep bytes the caller has just hashed itself, without a copy into a block.  Small
 * blocks put after each other are compressed together, so this is for neighbours of a
 * tree; store_put() is for what comes alone.
 */
int store_put_bytes(struct store *s, const struct multihash *name, const void *data,
		    size_t len);

/*
 * The same, of bytes that are mostly those of a block `older` of the same length, each
 * at its place: what differs costs room, and not much more.  Whatever `older` is, or
 * if it is not there, the bytes are kept.
 */
int store_put_like(struct store *s, const struct multihash *older,
		   const struct multihash *name, const void *data, size_t len);

/* Wait until everything put before is durable.  Concurrent calls share a sync. */
int store_sync(struct store *s);

/* Call `each` for every name in the index, until it returns non-zero. */
int store_each(struct store *s, int (*each)(void *arg, const struct multihash *, size_t),
	       void *arg);

/*
 * Read the block of that name from the disk, whatever is in memory, and compare
 * its bytes with the name itself.  Beside a writer too; drops no block.
 *   ERR_MISSING  not there, or no more
 *   ERR_CORRUPT  its record, or a piece it is made of, is damaged or gone
 *   -ENOTSUP     a hash we cannot compute
 *   or an I/O error
 */
int store_check(struct store *s, const struct multihash *name);

/*
 * Look through the index itself: ERR_CORRUPT if it was damaged, or an entry
 * changed or lost; store_rebuild() mends it.  Beside a writer too.  Opening does so
 * by itself.
 */
int store_check_index(struct store *s);

/*
 * store_check(), and if it is damaged, keep it anew from memory, or else drop it,
 * so that it can be put again: ERR_MISSING then.  -EROFS without STORE_WRITE.
 */
int store_mend(struct store *s, const struct multihash *name);

struct store_stat {
	uint64_t blocks;	/* in the index */
	uint64_t pieces;	/* that longer blocks are made of, each stored once */
	uint64_t bytes;		/* of their content */
	uint64_t disk_bytes;	/* of segments and index */
	uint64_t corrupt;	/* blocks found damaged and dropped since opening */
	uint64_t cached_bytes;	/* in memory */
	uint64_t cache_blocks, cache_bytes; /* in the cache log */
	uint64_t cache_disk;	/* bytes of its files */
	uint64_t cache_quota;	/* 0: none */
	uint64_t evicted;	/* blocks dropped for it since opening */
};
void store_stat(struct store *s, struct store_stat *out);

/*
 * Make the index of the store in `dir` anew from its segments alone; nobody
 * else may write there.  Blocks whose records are damaged are left out: *blocks
 * (may be NULL) is how many are in, *damaged how many bytes were no records.
 * -EBUSY, -ENOENT, ERR_NEWER, or an errno; the old index is there until then.
 */
int store_rebuild(const char *dir, uint64_t *blocks, uint64_t *damaged);

/*
 * The index lies in a map of its file: damage that comes while it is open may end
 * in a bus error or worse.  From here on such an end of this process writes
 * `last_words`, which live for ever, to standard error, and exits with 1.
 */
void store_guard(const char *last_words);

/* The store as a source of blocks; valid as long as the store. */
struct block_source *store_source(struct store *s);

#endif
