/* The parts of the index: index.c opens and reads, index_write.c writes. */
#ifndef STORE_INDEX_INTERNAL_H
#define STORE_INDEX_INTERNAL_H

#include "store/index.h"

#include <lmdb.h>
#include <pthread.h>

#define INDEX_VERSION 1
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
	MDB_env *env;
	MDB_dbi blocks, pieces, meta, cached;
	bool no_cached; /* made before there was a cache log, and we may not write */
	pthread_mutex_t write; /* one writing transaction, or a change of the map */
	unsigned turn;         /* atomic: which reader to wait for */
	struct reader readers[READERS];
};

struct meta {
	struct mark covered[LOGS];
	uint64_t bytes[LOGS];
};

/* Keys of "meta", by log. */
extern const char *const index_meta_keys[LOGS];

/* An error of LMDB as one of ours. */
int index_error(int rc);

/*
 * LMDB trusts its file, and a page that is not there would be a SIGBUS: 0 if
 * all are.  A writer extends the file instead, after a commit, since pages at
 * the end may have come free before they were written.
 */
int index_check_length(struct index *ix, bool extend);

/* Change the size of the map; 0: to what another process has made of it. */
int index_resize(struct index *ix, size_t bytes);

int index_meta_get(struct index *ix, MDB_txn *txn, struct meta *out);
int index_place_get(const MDB_val *value, struct place *out);
int index_make_tables(struct index *ix);
/* The one for the cache log, in an index from before. */
int index_make_cached(struct index *ix);
MDB_dbi index_table_of(const struct index *ix, bool piece, uint8_t log);

#endif
