/*
 * The index of a store, in LMDB: where each block lies (doc/formats.md).
 *	"blocks"	name -> u32 segment | u32 offset | u32 stored | u24 size | u8 kind
 *	"pieces"	the same
 *	"cached"	the same as "blocks", of the blocks in the cache log
 *	"recent-blocks", "recent-pieces"	the same, of a few that came lately
 *	"meta"		"version" -> u32
 *			"covered" -> u32 segment | u32 offset | u64 bytes of all blocks
 *			"cached" -> the same, of the cache log
 *			"sum" -> u64 sum of all other entries of all tables
 * Little-endian.  Everything that lies in the segments of a log before its
 * place "covered" is in the index, unless it was dropped.  A process opens one index at most once.
 *
 * Any thread may call; each call is a transaction of its own, and short.
 * Beside the errors named, all return ERR_CORRUPT if the file is found to be
 * damaged, or an errno.
 */
#ifndef STORE_INDEX_H
#define STORE_INDEX_H

#include "store/pending.h"

struct index;

#define INDEX_WRITE  1u
#define INDEX_CREATE 2u /* with INDEX_WRITE: make it if it is not there */

struct mark {
	uint32_t segment, offset;
};

/*
 * Open the index in directory `dir` (which exists).  `map_bytes` of address
 * space are taken; a writer that needs more takes more (0: 64 GiB).
 * ERR_CORRUPT: absent, not an index, or damaged in any way (index_check()); ERR_NEWER.
 */
int index_open(struct index **out, const char *dir, unsigned flags, size_t map_bytes);
void index_close(struct index *ix); /* NULL is allowed */

/*
 * Look through the whole file, as it is at this moment, beside a writer too.
 * ERR_CORRUPT: LMDB might crash on it, or entries were changed or lost.  Takes
 * about a tenth of a second for a million names once the file is in memory.
 */
int index_check(struct index *ix);

/*
 * LMDB believes its file: what is damaged just after it was looked at, or cut off, may
 * end in a bus error or a failed assertion inside these functions.  From here on such
 * an end writes `last_words` to standard error (a text that lives for ever) and
 * exits with 1.  Other crashes take their course.
 */
void index_guard(const char *last_words);

/* 1 and the place, or 0, or an error. */
int index_find(struct index *ix, const struct record_name *name, struct place *out);

/*
 * Add what is in `batch` (sorted; dead entries are left out; a name that is
 * there already gets its new place), in as many transactions as keep memory small; the
 * last one moves the marks of the logs.  When it returns 0, all is on disk.
 */
int index_commit(struct index *ix, const struct pending *batch,
		 const struct mark covered[LOGS]);

/* Forget a name if it lies at `at`: 1 if it did, 0 if not, or an error. */
int index_drop(struct index *ix, const struct record_name *name, const struct place *at);

/* The same for all of a batch (sorted; dead entries are left out), in transactions that keep memory small.
 * Returns how many it dropped; on an error some may be. */
int index_drop_all(struct index *ix, const struct pending *batch);

int index_covered(struct index *ix, struct mark out[LOGS]);

/* Give every block to each(), those of the cache log last, between transactions,
 * until it returns non-zero, which is passed on. */
typedef int (*index_each_fn)(void *arg, const struct multihash *name,
			     const struct place *at);
int index_each(struct index *ix, index_each_fn each, void *arg);

/* The same for one table, with names as records have them. */
enum index_table { INDEX_BLOCKS, INDEX_PIECES, INDEX_CACHED };
typedef int (*index_walk_fn)(void *arg, const uint8_t *name, size_t name_size,
			     const struct place *at);
int index_walk(struct index *ix, enum index_table table, index_walk_fn each, void *arg);

struct index_stat {
	uint64_t blocks, pieces, cached;
	uint64_t bytes, cached_bytes; /* of the blocks */
	uint64_t disk;  /* of the index's own file */
};
int index_stat(struct index *ix, struct index_stat *out);

#endif
