/*
 * Writing to the index: what a flush has made durable is named in it, what was
 * found damaged is forgotten.
 */
#include "store/buf.h"
#include "store/error.h"
#include "store/index_internal.h"
#include "store/index_pages.h"

#include <stdlib.h>
#include <string.h>

/* In a large tree each new name may dirty a page of its own, which LMDB keeps
 * in memory until the commit: 4,096 of them are 16 MiB. */
#define NAMES_PER_TXN 4096
/* Of a table as large as this times what comes, or what is recent, a page costs less than
 * an entry that is written twice. */
#define RECENT_SHARE 8

static uint64_t entry_sum(struct index *ix, MDB_dbi table, const MDB_val *key,
			  const MDB_val *value)
{
	return index_entry_sum(index_table_names[index_tree_of(ix, table)], key->mv_data, key->mv_size, value->mv_data,
			       value->mv_size);
}

int index_entry_put(struct index *ix, MDB_txn *txn, struct meta *m, MDB_dbi table,
		    MDB_val *key, MDB_val *value)
{
	MDB_val old = *value;
	int rc = mdb_put(txn, table, key, &old, MDB_NOOVERWRITE);

	if (rc == MDB_KEYEXIST) {
		m->sum -= entry_sum(ix, table, key, &old);
		rc = mdb_put(txn, table, key, value, 0);
	}
	if (!rc)
		m->sum += entry_sum(ix, table, key, value);
	return rc;
}

int index_entry_del(struct index *ix, MDB_txn *txn, struct meta *m, MDB_dbi table,
		    MDB_val *key)
{
	MDB_val old;
	int rc = mdb_get(txn, table, key, &old);

	if (rc)
		return rc;
	m->sum -= entry_sum(ix, table, key, &old);
	return mdb_del(txn, table, key, NULL);
}

int index_meta_put(struct index *ix, MDB_txn *txn, struct meta *m)
{
	MDB_val key, value;
	uint8_t sum[8];
	int r = 0;

	for (int log = 0; log < LOGS && !r; log++) {
		uint8_t bytes[META_SIZE];

		for (int i = 0; i < 4; i++) {
			bytes[i] = (uint8_t)(m->covered[log].segment >> (8 * i));
			bytes[4 + i] = (uint8_t)(m->covered[log].offset >> (8 * i));
		}
		for (int i = 0; i < 8; i++)
			bytes[8 + i] = (uint8_t)(m->bytes[log] >> (8 * i));
		key = (MDB_val){ strlen(index_meta_keys[log]), (void *)index_meta_keys[log] };
		value = (MDB_val){ sizeof bytes, bytes };
		r = mdb_error(index_entry_put(ix, txn, m, ix->meta, &key, &value));
	}
	if (r < 0)
		return r;
	for (int i = 0; i < 8; i++)
		sum[i] = (uint8_t)(m->sum >> (8 * i));
	key = (MDB_val){ 3, "sum" };
	value = (MDB_val){ sizeof sum, sum };
	return mdb_error(mdb_put(txn, ix->meta, &key, &value, 0));
}

int index_make_tables(struct index *ix)
{
	uint8_t version[4] = { INDEX_VERSION };
	MDB_val key = { 7, "version" }, value = { sizeof version, version };
	struct meta empty = { 0 };
	MDB_txn *txn = NULL;
	int r;

	r = mdb_error(mdb_txn_begin(ix->env, NULL, 0, &txn));
	if (r < 0)
		return r;
	r = mdb_error(mdb_dbi_open(txn, "blocks", MDB_CREATE, &ix->blocks));
	if (!r)
		r = mdb_error(mdb_dbi_open(txn, "pieces", MDB_CREATE, &ix->pieces));
	if (!r)
		r = mdb_error(mdb_dbi_open(txn, "cached", MDB_CREATE, &ix->cached));
	if (!r)
		r = mdb_error(mdb_dbi_open(txn, "recent-blocks", MDB_CREATE, &ix->recent_blocks));
	if (!r)
		r = mdb_error(mdb_dbi_open(txn, "recent-pieces", MDB_CREATE, &ix->recent_pieces));
	if (!r)
		r = mdb_error(mdb_dbi_open(txn, "meta", MDB_CREATE, &ix->meta));
	if (!r)
		r = mdb_error(index_entry_put(ix, txn, &empty, ix->meta, &key, &value));
	if (!r)
		r = index_meta_put(ix, txn, &empty);
	if (r < 0) {
		mdb_txn_abort(txn);
		return r;
	}
	r = mdb_error(mdb_txn_commit(txn));
	return r < 0 ? r : index_last(ix);
}

static void place_put(uint8_t out[PLACE_SIZE], const struct place *at)
{
	const uint32_t fields[] = { at->segment, at->offset, at->stored,
				    at->size | (uint32_t)at->kind << 24 };

	for (int i = 0; i < PLACE_SIZE; i++)
		out[i] = (uint8_t)(fields[i / 4] >> (8 * (i % 4)));
}

static int commit_one(struct index *ix, MDB_txn *txn, struct pending_entry *e,
		      struct meta *m, bool few)
{
	uint8_t bytes[PLACE_SIZE];
	MDB_val key = { e->name_size, e->name }, value = { sizeof bytes, bytes };
	bool piece = e->at.kind == RECORD_PIECE;
	MDB_dbi large = index_table_of(ix, piece, e->at.log), recent = index_recent_of(ix, large);
	MDB_dbi table = few ? recent : large, other = few ? large : recent;
	struct place old;
	int rc, r;

	place_put(bytes, &e->at);
	r = index_path(ix, table, &key, false);
	if (!r && other != table)
		r = index_path(ix, other, &key, false);
	if (r < 0)
		return r;
	/* A name is in one of them. */
	if (other != table) {
		MDB_val there;

		rc = mdb_get(txn, other, &key, &there);
		if (!rc)
			table = other;
		else if (rc != MDB_NOTFOUND)
			return mdb_error(rc);
	}
	rc = mdb_put(txn, table, &key, &value, MDB_NOOVERWRITE);
	if (rc == MDB_KEYEXIST) {
		r = index_place_get(&value, &old);
		if (r < 0)
			return r;
		if (!piece)
			m->bytes[e->at.log] -= old.size;
		m->sum -= entry_sum(ix, table, &key, &value);
		value = (MDB_val){ sizeof bytes, bytes };
		rc = mdb_put(txn, table, &key, &value, 0);
	}
	if (!rc)
		m->sum += entry_sum(ix, table, &key, &value);
	if (rc)
		return rc == MDB_MAP_FULL ? -EOVERFLOW : mdb_error(rc);
	if (!piece)
		m->bytes[e->at.log] += e->at.size;
	return 0;
}

/* One transaction of a commit: entries [from, to) of the batch. */
static int commit_part(struct index *ix, const struct pending *batch, size_t from,
		       size_t to, const struct mark *covered /* of each log */, bool few)
{
	MDB_txn *txn = NULL;
	struct meta m;
	int r;

	r = index_write_begin(ix, &txn);
	if (r < 0)
		return r;
	r = index_meta_get(ix, txn, NULL, &m);
	for (size_t i = from; i < to && !r; i++)
		if (!batch->list[i]->dead)
			r = commit_one(ix, txn, batch->list[i], &m, few);
	if (!r) {
		if (covered)
			memcpy(m.covered, covered, sizeof m.covered);
		r = index_meta_put(ix, txn, &m);
	}
	return index_write_end(ix, txn, r);
}

/* Of a table, before this transaction. */
static size_t entries(const struct index *ix, MDB_dbi table)
{
	return ix->last.trees[index_tree_of(ix, table)].entries;
}

/* The next of the recent entries of a table are moved, those whose names follow each
 * other, if there are many: how many, or an error. */
static int move_some(struct index *ix, MDB_txn *txn, struct meta *m, MDB_dbi table,
		     struct index_hand *hand)
{
	MDB_dbi recent = index_recent_of(ix, table);
	size_t n_large = entries(ix, table), n_recent = entries(ix, recent);
	struct buf some = { 0 };
	int n = 0, r = 0;

	if (n_recent <= NAMES_PER_TXN || n_recent <= n_large / RECENT_SHARE)
		return 0;
	r = index_collect(ix, &ix->last, recent, hand->key, hand->size, NAMES_PER_TXN, &some);
	if (!r && !some.len)
		r = index_collect(ix, &ix->last, recent, NULL, 0, NAMES_PER_TXN, &some);
	struct cursor in = cursor_over(some.data, some.len);
	while (!r && cursor_left(&in)) {
		MDB_val key = { .mv_size = cursor_u8(&in) }, value = { .mv_size = PLACE_SIZE };

		key.mv_data = (void *)cursor_take(&in, key.mv_size);
		value.mv_data = (void *)cursor_take(&in, PLACE_SIZE);
		hand->size = key.mv_size;
		memcpy(hand->key, key.mv_data, key.mv_size);
		r = index_path(ix, recent, &key, true);
		if (!r)
			r = index_path(ix, table, &key, false);
		if (r < 0)
			break;
		int rc = index_entry_del(ix, txn, m, recent, &key);
		if (!rc)
			rc = index_entry_put(ix, txn, m, table, &key, &value);
		r = rc == MDB_MAP_FULL ? -EOVERFLOW : mdb_error(rc);
		n++;
	}
	buf_release(&some);
	return r < 0 ? r : n;
}

/* The end of a transaction that changed `n` entries, if r is not an error: n, or the error. */
static int end_changed(struct index *ix, MDB_txn *txn, struct meta *m, int n, int r)
{
	if (r >= 0 && n)
		r = index_meta_put(ix, txn, m);
	if (r < 0 || !n) {
		(void)index_write_end(ix, txn, -ECANCELED);
		return r < 0 ? r : 0;
	}
	r = index_write_end(ix, txn, 0);
	return r < 0 ? r : n;
}

/* One transaction of moving: how many entries it moved. */
static int move_part(struct index *ix)
{
	MDB_txn *txn = NULL;
	struct meta m;
	int n = 0, r = index_write_begin(ix, &txn);

	if (r < 0)
		return r;
	r = index_meta_get(ix, txn, NULL, &m);
	if (!r)
		r = n = move_some(ix, txn, &m, ix->blocks, &ix->moved[0]);
	if (r >= 0) {
		r = move_some(ix, txn, &m, ix->pieces, &ix->moved[1]);
		n += r > 0 ? r : 0;
	}
	return end_changed(ix, txn, &m, n, r);
}

int index_commit(struct index *ix, const struct pending *batch,
		 const struct mark covered[LOGS])
{
	size_t from = 0, to;
	MDB_envinfo info;
	bool few;
	int r;

	pthread_mutex_lock(&ix->write);
	index_inside++;
	/* Beside what is there? */
	few = ix->last.known &&
	      batch->n < (entries(ix, ix->blocks) + entries(ix, ix->pieces)) / RECENT_SHARE;
	do {
		to = batch->n - from > NAMES_PER_TXN ? from + NAMES_PER_TXN : batch->n;
		r = commit_part(ix, batch, from, to, to == batch->n ? covered : NULL, few);
		if (r == -EOVERFLOW) {
			r = mdb_error(mdb_env_info(ix->env, &info));
			if (!r)
				r = index_resize(ix, 2 * info.me_mapsize);
			if (!r)
				continue;
		}
		if (r < 0)
			goto out;
		from = to;
	} while (from < batch->n);
	r = 0;
	/* As many as came, and some. */
	for (size_t moved = 0; few && moved <= batch->n; moved += (size_t)r) {
		r = move_part(ix);
		if (r <= 0)
			break;
	}
	/* If there is no room for that, it is for another time. */
	if (r == -ENOSPC || r == -EDQUOT || r == -EFBIG || r == -EOVERFLOW) {
		index_anew(ix);
		r = ix->env ? 0 : -EIO;
	}
	if (r > 0)
		r = 0;
out:
	if (r < 0)
		index_anew(ix);
	index_inside--;
	pthread_mutex_unlock(&ix->write);
	return r;
}

static int drop(struct index *ix, MDB_txn *txn, const uint8_t *name, size_t name_size,
		bool piece, const struct place *at, struct meta *m)
{
	MDB_val key = { name_size, (void *)name };
	MDB_dbi table = index_table_of(ix, piece, at->log);
	struct place now;
	MDB_val value;
	int rc, r;

	r = index_path(ix, table, &key, true);
	if (!r)
		r = index_path(ix, index_recent_of(ix, table), &key, true);
	if (r < 0)
		return r;
	rc = index_entry_get(ix, txn, &table, &key, &value);
	if (rc == MDB_NOTFOUND)
		return 0;
	r = rc ? mdb_error(rc) : index_place_get(&value, &now);
	if (r < 0)
		return r;
	if (now.segment != at->segment || now.offset != at->offset)
		return 0;
	r = mdb_error(index_entry_del(ix, txn, m, table, &key));
	if (r < 0)
		return r;
	if (!piece)
		m->bytes[at->log] -= now.size;
	return 1;
}

/* One transaction of a drop: entries [from, to) of the batch. */
static int drop_part(struct index *ix, const struct pending *batch, size_t from, size_t to)
{
	MDB_txn *txn = NULL;
	struct meta m;
	int r, n = 0;

	r = index_write_begin(ix, &txn);
	if (r < 0)
		return r;
	r = index_meta_get(ix, txn, NULL, &m);
	for (size_t i = from; i < to && r >= 0; i++) {
		const struct pending_entry *e = batch->list[i];

		if (e->dead)
			continue;
		r = drop(ix, txn, e->name, e->name_size, e->at.kind == RECORD_PIECE, &e->at,
			 &m);
		n += r > 0;
	}
	r = end_changed(ix, txn, &m, n, r);
	return r == -EOVERFLOW ? -ENOSPC : r;
}

int index_drop_all(struct index *ix, const struct pending *batch)
{
	int r = 0, n = 0;

	pthread_mutex_lock(&ix->write);
	index_inside++;
	for (size_t from = 0, to; from < batch->n && r >= 0; from = to) {
		to = batch->n - from > NAMES_PER_TXN ? from + NAMES_PER_TXN : batch->n;
		r = drop_part(ix, batch, from, to);
		n += r > 0 ? r : 0;
	}
	if (r < 0)
		index_anew(ix);
	index_inside--;
	pthread_mutex_unlock(&ix->write);
	return r < 0 ? r : n;
}

int index_drop(struct index *ix, const struct record_name *name, const struct place *at)
{
	struct pending one = { 0 };
	int r = pending_add(&one, name, at);

	if (r >= 0)
		r = index_drop_all(ix, &one);
	pending_release(&one);
	return r;
}
