/* The parts of the index: index.c opens and reads, index_write.c writes. */
#ifndef STORE_INDEX_INTERNAL_H
#define STORE_INDEX_INTERNAL_H

#include "store/mdb_error.h"
#include "store/index.h"

#include <lmdb.h>
#include <pthread.h>

#define INDEX_VERSION 3 /* 1 had no sum, and no cache log; 2 no recent tables */
#define PLACE_SIZE    16
#define META_SIZE     16
/* Readers at one time; more threads wait, for microseconds. */
#define READERS 8

/* A read transaction that is kept, reset, between uses. */
struct reader {
	pthread_mutex_t lock;
	MDB_txn *txn;
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
	unsigned turn;         /* atomic: which reader to wait for */
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

int index_meta_get(struct index *ix, MDB_txn *txn, struct meta *out);
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
