/* The parts of the index: index.c opens and reads, index_write.c writes. */
#ifndef STORE_INDEX_INTERNAL_H
#define STORE_INDEX_INTERNAL_H

#include "store/index.h"
#include "store/index_look.h"
#include "store/mdb_error.h"

#include <lmdb.h>
#include <pthread.h>

#define INDEX_VERSION 3 /* 1 had no sum, and no cache log; 2 no recent tables */
#define PLACE_SIZE    16
#define META_SIZE     16
/* Readers at one time; more threads wait, for microseconds. */
#define READERS 8
#define TRIES 100 /* to see one moment of an index that is being written */

/* The tables, in the order of index_table_names. */
enum { TREE_BLOCKS, TREE_PIECES, TREE_CACHED, TREE_RECENT_BLOCKS, TREE_RECENT_PIECES, TREE_META, TREES };

/* What a transaction sees, read without LMDB (index_look.h). */
struct index_snap {
	void *map; /* of the file, `mapped` bytes; NULL: not yet */
	size_t mapped;
	bool known; /* the rest is of `transaction` */
	uint64_t transaction;
	struct index_view view;
	struct index_tree trees[TREES];
};

/* A read transaction that is kept, reset, between uses. */
struct reader {
	pthread_mutex_t lock;
	MDB_txn *txn;
	struct index_snap snap;
};

struct index {
	MDB_env *env; /* NULL: it failed, and could not be opened anew */
	char *dir;
	unsigned flags; /* of mdb_env_open() */
	MDB_dbi blocks, pieces, meta, cached;
	MDB_dbi recent_blocks, recent_pieces; /* index_recent_of() */
	pthread_mutex_t write; /* one writing transaction, or a change of the map */
	struct index_hand {
		uint8_t key[RECORD_NAME_MAX];
		size_t size;
	} moved[2]; /* up to where the recent ones were moved last */
	struct index_snap last; /* what the last writing transaction left */
	uint8_t *sound; /* of its pages, in a transaction that writes */
	uint64_t last_sum;      /* index_view_sum() of it; of no use if `last` is not known */
	unsigned turn;          /* atomic: which reader to wait for */
	struct reader readers[READERS];
};

struct meta {
	struct mark covered[LOGS];
	uint64_t bytes[LOGS];
	uint64_t sum; /* of all entries (index_pages.h), but for its own */
};

/* Keys of "meta", by log. */
extern const char *const index_meta_keys[LOGS];

/* Above 0 while this thread is inside LMDB, or reads its file (index_guard()). */
extern _Thread_local volatile int index_inside;
void index_on_assert(MDB_env *env, const char *text);

/*
 * A write failed.  If LMDB then refuses everything, reading too, until it is opened
 * again, do that: what was committed is there.  Under `write`.
 */
void index_anew(struct index *ix);

extern const char *const index_table_names[TREES];
int index_tree_of(const struct index *ix, MDB_dbi table);

/*
 * See what transaction `id` left, while its pages are not used again.  0; ERR_CORRUPT;
 * -EAGAIN: two others ended since, and its meta page is another's.  It is only certain
 * that this was not just being written if the last transaction is still `id` then.
 */
int index_snap_take(struct index *ix, struct index_snap *snap, uint64_t id);
void index_snap_release(struct index_snap *snap);

/* Up to `n` entries of a table behind the name `last` (`last_size` 0: from the first),
 * appended to `out` as name size | name | place.  0, ERR_CORRUPT or -ENOMEM. */
struct buf;
int index_collect(struct index *ix, const struct index_snap *snap, MDB_dbi table,
		  const uint8_t *last, size_t last_size, size_t n, struct buf *out);

/* Note what is there, which was looked through, for the first index_write_begin(). */
int index_last(struct index *ix);

/*
 * Begin and end a transaction that writes.  The pages that LMDB will believe are
 * those that the last one left, or it is ERR_CORRUPT; those of an entry are looked at
 * before it is put (index_path()).  The end commits if `r` is 0, and returns `r` or
 * an error of the commit (-EOVERFLOW: the map is full).
 */
int index_write_begin(struct index *ix, MDB_txn **out);
int index_write_end(struct index *ix, MDB_txn *txn, int r);
/* Before index_entry_put() or, with `gone`, index_entry_del(). */
int index_path(struct index *ix, MDB_dbi table, const MDB_val *key, bool gone);

/* Begin to read a state all pages of which are sound; *sum of its entries. */
int index_check_begin(struct index *ix, MDB_txn **out, uint64_t *sum);


/*
 * LMDB trusts its file, and a page that is not there would be a SIGBUS: 0 if
 * all are.  A writer extends the file instead, after a commit, since pages at
 * the end may have come free before they were written.
 */
int index_check_length(struct index *ix, bool extend);

/* Change the size of the map; 0: to what another process has made of it. */
int index_resize(struct index *ix, size_t bytes);

/* `snap`: of the same transaction; NULL if LMDB may be asked. */
int index_meta_get(struct index *ix, MDB_txn *txn, const struct index_snap *snap,
		   struct meta *out);
int index_meta_put(struct index *ix, MDB_txn *txn, struct meta *m);

/*
 * How a table is changed, within a transaction: so that the sum in *m, which
 * index_meta_put() writes in the end, stays that of all entries.  A put takes the
 * place of a value that is there.  MDB_NOTFOUND, MDB_MAP_FULL, or another error of LMDB.
 */
int index_entry_put(struct index *ix, MDB_txn *txn, struct meta *m, MDB_dbi table,
		    MDB_val *key, MDB_val *value);
int index_entry_del(struct index *ix, MDB_txn *txn, struct meta *m, MDB_dbi table,
		    MDB_val *key);

int index_place_get(const MDB_val *value, struct place *out);
int index_make_tables(struct index *ix);
MDB_dbi index_table_of(const struct index *ix, bool piece, uint8_t log);
/*
 * Names are hashes, so each of a few new ones would copy a page of a large table.  They
 * go to a small table beside it, of names that the large one has not, and are moved
 * when they are many.  Of a table that has none: itself.
 */
MDB_dbi index_recent_of(const struct index *ix, MDB_dbi table);
/* mdb_get() in a table, else beside it: *table is where it was found. */
int index_entry_get(const struct index *ix, MDB_txn *txn, MDB_dbi *table, MDB_val *key,
		    MDB_val *value);

#endif
