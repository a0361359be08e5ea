/*
 * The file of the index as a transaction sees it, for lookups of our own
 * (index_look.h); and what a writer makes sure of before LMDB believes it.
 */
#include "store/buf.h"
#include "store/error.h"
#include "store/index_internal.h"
#include "store/index_pages.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#define MAP_STEP ((size_t)1 << 20)

const char *const index_table_names[TREES] = { "blocks", "pieces", "cached", "recent-blocks",
						"recent-pieces", "meta" };

int index_tree_of(const struct index *ix, MDB_dbi table)
{
	return table == ix->blocks	  ? TREE_BLOCKS
	       : table == ix->pieces	  ? TREE_PIECES
	       : table == ix->cached	  ? TREE_CACHED
	       : table == ix->recent_blocks ? TREE_RECENT_BLOCKS
	       : table == ix->recent_pieces ? TREE_RECENT_PIECES
					    : TREE_META;
}

void index_snap_release(struct index_snap *snap)
{
	if (snap->map)
		munmap(snap->map, snap->mapped);
	*snap = (struct index_snap){ 0 };
}

/* Map all of the file; with some room, since it grows.  *len: bytes that are there. */
static int fit(struct index *ix, struct index_snap *snap, size_t *len)
{
	struct stat st;
	int fd, rc = mdb_env_get_fd(ix->env, &fd);

	if (rc)
		return mdb_error(rc);
	if (fstat(fd, &st) < 0)
		return -errno;
	*len = (size_t)st.st_size;
	if (*len <= snap->mapped)
		return 0;
	if (snap->map)
		munmap(snap->map, snap->mapped);
	snap->map = NULL;
	snap->mapped = 0;
	size_t bytes = (*len + *len / 4 + MAP_STEP) / MAP_STEP * MAP_STEP;
	void *map = mmap(NULL, bytes, PROT_READ, MAP_SHARED, fd, 0);
	if (map == MAP_FAILED)
		return -errno;
	snap->map = map;
	snap->mapped = bytes;
	return 0;
}

int index_snap_take(struct index *ix, struct index_snap *snap, uint64_t id)
{
	size_t len = 0;
	int r;

	if (!INDEX_FORM_KNOWN)
		return 0;
	r = fit(ix, snap, &len);
	if (r < 0)
		return r;
	if (snap->known && snap->transaction == id) {
		index_view_fit(&snap->view, snap->map, len);
		return 0;
	}
	snap->known = false;
	r = index_view_begin(&snap->view, snap->map, len, id);
	if (r < 0)
		return r;
	for (int i = 0; i < TREES; i++) {
		r = index_view_table(&snap->view, index_table_names[i], &snap->trees[i]);
		if (r < 0)
			return r;
	}
	snap->transaction = id;
	snap->known = true;
	return 0;
}

/* The state that is there now, while nobody writes; *sum of it. */
static int take_last(struct index *ix, uint64_t id, uint64_t *sum)
{
	int r = index_snap_take(ix, &ix->last, id);

	if (!r)
		r = index_view_sum(&ix->last.view, sum);
	/* Nobody but us writes: it is not another's, but damaged. */
	return r == -EAGAIN ? ERR_CORRUPT : r;
}

int index_last(struct index *ix)
{
	MDB_envinfo info;

	ix->last.known = false;
	mdb_env_info(ix->env, &info);
	return INDEX_FORM_KNOWN ? take_last(ix, info.me_last_txnid, &ix->last_sum) : 0;
}

struct collecting {
	struct buf *out;
	size_t n;
};

static int collect_one(void *arg, const uint8_t *key, size_t key_size, const uint8_t *value,
		       size_t value_size)
{
	struct collecting *c = arg;

	if (!c->n)
		return 1;
	if (key_size > RECORD_NAME_MAX || value_size != PLACE_SIZE)
		return ERR_CORRUPT;
	buf_u8(c->out, (uint8_t)key_size);
	buf_append(c->out, key, key_size);
	buf_append(c->out, value, value_size);
	c->n--;
	return 0;
}

int index_collect(struct index *ix, const struct index_snap *snap, MDB_dbi table,
		  const uint8_t *last, size_t last_size, size_t n, struct buf *out)
{
	struct collecting c = { out, n };
	int r = index_view_after(&snap->view, &snap->trees[index_tree_of(ix, table)], last,
				 last_size, collect_one, &c);

	return r < 0 ? r : out->failed ? -ENOMEM : 0;
}

static void forget_sound(struct index *ix)
{
	free(ix->sound);
	ix->sound = ix->last.view.sound = NULL;
}

int index_write_begin(struct index *ix, MDB_txn **out)
{
	MDB_txn *txn = NULL;
	uint64_t sum, before = ix->last_sum;
	int r = !ix->env ? -EIO : mdb_error(mdb_txn_begin(ix->env, NULL, 0, &txn));

	if (r < 0)
		return r;
	if (INDEX_FORM_KNOWN) {
		uint64_t id = mdb_txn_id(txn) - 1;
		bool ours = ix->last.known && ix->last.transaction == id;

		/* From the file again, not from what we know. */
		ix->last.known = false;
		r = take_last(ix, id, &sum);
		if (!r && ours && sum != before)
			r = ERR_CORRUPT;
		/* From here on each page is looked at once. */
		ix->sound = r < 0 ? NULL : calloc(1, ix->last.view.pages / 8 + 1);
		if (!r && !ix->sound)
			r = -ENOMEM;
		ix->last.view.sound = ix->sound;
		/* LMDB looks the tables up by itself. */
		for (int i = 0; !r && i < TREES; i++)
			r = index_view_path(&ix->last.view, &ix->last.view.main,
					    index_table_names[i],
					    strlen(index_table_names[i]), false);
		for (int i = 0; !r && i < LOGS; i++)
			r = index_view_path(&ix->last.view, &ix->last.trees[TREE_META],
					    index_meta_keys[i], strlen(index_meta_keys[i]),
					    false);
		if (!r)
			r = index_view_path(&ix->last.view, &ix->last.trees[TREE_META], "sum",
					    3, false);
	}
	if (r < 0) {
		forget_sound(ix);
		mdb_txn_abort(txn);
		return r;
	}
	*out = txn;
	return 0;
}

int index_write_end(struct index *ix, MDB_txn *txn, int r)
{
	uint64_t id = mdb_txn_id(txn);

	forget_sound(ix);
	if (r) {
		mdb_txn_abort(txn);
		return r;
	}
	int rc = mdb_txn_commit(txn);
	if (rc)
		return rc == MDB_MAP_FULL ? -EOVERFLOW : mdb_error(rc);
	/* Pages at the end may have come free before they were written. */
	r = index_check_length(ix, true);
	if (!r && INDEX_FORM_KNOWN)
		r = take_last(ix, id, &ix->last_sum);
	return r;
}

int index_path(struct index *ix, MDB_dbi table, const MDB_val *key, bool gone)
{
	return INDEX_FORM_KNOWN
		   ? index_view_path(&ix->last.view, &ix->last.trees[index_tree_of(ix, table)],
				     key->mv_data, key->mv_size, gone)
		   : 0;
}
