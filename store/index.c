#include "store/index_internal.h"

#include "store/buf.h"
#include "store/error.h"
#include "store/index_pages.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAP_BYTES     (sizeof(size_t) > 4 ? (size_t)64 << 30 : (size_t)1 << 30)
#define MAP_BYTES_MIN ((size_t)64 << 20)
#define EACH_BATCH    1024u /* names between two calls back */

/* The map is only address space, but some processes have little of it (and
 * valgrind calls that EINVAL). */
static int map_env(struct index *ix, const char *dir, unsigned env_flags, size_t bytes)
{
	int rc;

	for (;; bytes /= 4) {
		rc = mdb_env_create(&ix->env);
		if (rc)
			return mdb_error(rc);
		mdb_env_set_assert(ix->env, index_on_assert);
		mdb_env_set_maxdbs(ix->env, 6);
		mdb_env_set_maxreaders(ix->env, 512);
		mdb_env_set_mapsize(ix->env, bytes);
		rc = mdb_env_open(ix->env, dir, env_flags, 0600);
		if (rc == EACCES && (env_flags & MDB_RDONLY) &&
		    !(env_flags & MDB_NOLOCK)) {
			/* We may not write the table of readers: do without it. */
			env_flags |= MDB_NOLOCK;
			bytes *= 4;
		} else if ((rc != ENOMEM && rc != EINVAL) || bytes / 4 < MAP_BYTES_MIN) {
			return mdb_error(rc);
		}
		mdb_env_close(ix->env);
		ix->env = NULL;
	}
}

int index_check_length(struct index *ix, bool extend)
{
	MDB_envinfo info;
	struct stat st;
	MDB_stat page;
	int fd, rc;

	rc = mdb_env_info(ix->env, &info);
	if (!rc)
		rc = mdb_env_stat(ix->env, &page);
	if (!rc)
		rc = mdb_env_get_fd(ix->env, &fd);
	if (rc)
		return mdb_error(rc);
	if (fstat(fd, &st) < 0)
		return -errno;
	off_t need = (off_t)(info.me_last_pgno + 1) * page.ms_psize;
	if (st.st_size >= need)
		return 0;
	/* Pages at the end that came free before they were written. */
	if (extend)
		return ftruncate(fd, need) < 0 ? -errno : 0;
	return ERR_CORRUPT;
}

const char *const index_meta_keys[LOGS] = { "covered", "cached" };

MDB_dbi index_table_of(const struct index *ix, bool piece, uint8_t log)
{
	return piece ? ix->pieces : log == LOG_CACHE ? ix->cached : ix->blocks;
}

MDB_dbi index_recent_of(const struct index *ix, MDB_dbi table)
{
	return table == ix->blocks   ? ix->recent_blocks
	       : table == ix->pieces ? ix->recent_pieces
				     : table;
}

int index_entry_get(const struct index *ix, MDB_txn *txn, MDB_dbi *table, MDB_val *key,
		    MDB_val *value)
{
	MDB_dbi recent = index_recent_of(ix, *table);
	int rc = mdb_get(txn, *table, key, value);

	if (rc != MDB_NOTFOUND || recent == *table)
		return rc;
	*table = recent;
	return mdb_get(txn, recent, key, value);
}

/* A value of a table: 1, 0, or an error. */
static int look_up(struct index *ix, MDB_txn *txn, const struct index_snap *snap,
		   MDB_dbi table, MDB_val *key, MDB_val *value)
{
	if (!snap || !INDEX_FORM_KNOWN) {
		int rc = mdb_get(txn, table, key, value);
		return !rc ? 1 : rc == MDB_NOTFOUND ? 0 : mdb_error(rc);
	}
	const uint8_t *data = NULL;
	int r = index_view_get(&snap->view, &snap->trees[index_tree_of(ix, table)],
			       key->mv_data, key->mv_size, &data, &value->mv_size);
	value->mv_data = (void *)data;
	return r;
}

static int meta_get_one(struct index *ix, MDB_txn *txn, const struct index_snap *snap,
			int log, struct meta *out)
{
	MDB_val key = { strlen(index_meta_keys[log]), (void *)index_meta_keys[log] }, value;
	int r = look_up(ix, txn, snap, ix->meta, &key, &value);

	if (r <= 0)
		return r < 0 ? r : ERR_CORRUPT;
	struct cursor in = cursor_over(value.mv_data, value.mv_size);
	out->covered[log].segment = cursor_u32le(&in);
	out->covered[log].offset = cursor_u32le(&in);
	out->bytes[log] = cursor_u64le(&in);
	return cursor_done(&in) && out->covered[log].offset % 8 == 0 ? 0 : ERR_CORRUPT;
}

int index_meta_get(struct index *ix, MDB_txn *txn, const struct index_snap *snap,
		   struct meta *out)
{
	MDB_val key = { 3, "sum" }, value;
	int r = meta_get_one(ix, txn, snap, LOG_KEEP, out);

	if (!r)
		r = meta_get_one(ix, txn, snap, LOG_CACHE, out);
	if (!r)
		r = look_up(ix, txn, snap, ix->meta, &key, &value);
	if (r <= 0)
		return r < 0 ? r : ERR_CORRUPT;
	struct cursor in = cursor_over(value.mv_data, value.mv_size);
	out->sum = cursor_u64le(&in);
	return cursor_done(&in) ? 0 : ERR_CORRUPT;
}

static int open_tables(struct index *ix)
{
	MDB_val key = { 7, "version" }, value;
	MDB_txn *txn = NULL;
	struct meta m;
	uint64_t sum;
	int r;

	r = index_check_begin(ix, &txn, &sum);
	if (r < 0)
		return r;
	r = mdb_error(mdb_dbi_open(txn, "blocks", 0, &ix->blocks));
	if (!r)
		r = mdb_error(mdb_dbi_open(txn, "pieces", 0, &ix->pieces));
	if (!r)
		r = mdb_error(mdb_dbi_open(txn, "meta", 0, &ix->meta));
	if (!r)
		r = mdb_error(mdb_dbi_open(txn, "cached", 0, &ix->cached));
	if (!r)
		r = mdb_error(mdb_get(txn, ix->meta, &key, &value));
	if (!r) {
		struct cursor in = cursor_over(value.mv_data, value.mv_size);
		uint32_t version = cursor_u32le(&in);
		if (!cursor_done(&in))
			r = ERR_CORRUPT;
		else if (version != INDEX_VERSION) /* an older one is made anew */
			r = version > INDEX_VERSION ? ERR_NEWER : ERR_CORRUPT;
	}
	if (!r)
		r = mdb_error(mdb_dbi_open(txn, "recent-blocks", 0, &ix->recent_blocks));
	if (!r)
		r = mdb_error(mdb_dbi_open(txn, "recent-pieces", 0, &ix->recent_pieces));
	if (!r)
		r = index_meta_get(ix, txn, NULL, &m);
	if (!r && INDEX_FORM_KNOWN && sum != m.sum)
		r = ERR_CORRUPT;
	if (r < 0) {
		mdb_txn_abort(txn);
		return r;
	}
	/* A commit keeps the handles, even of a read transaction. */
	r = mdb_error(mdb_txn_commit(txn));
	return r || ix->flags & MDB_RDONLY ? r : index_last(ix);
}

/* Before LMDB reads the file, which it believes. */
static int check_head(const char *file)
{
	int fd = open(file, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	int r = INDEX_FORM_KNOWN ? index_head_check_file(fd) : 0;
	close(fd);
	return r;
}

static int sync_dir(const char *dir)
{
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int r = 0;

	if (fd < 0)
		return -errno;
	if (fsync(fd) < 0)
		r = -errno;
	close(fd);
	return r;
}

int index_open(struct index **out, const char *dir, unsigned flags, size_t map_bytes)
{
	unsigned env_flags =
	    MDB_NOTLS | MDB_NORDAHEAD | (flags & INDEX_WRITE ? 0 : MDB_RDONLY);
	struct index *ix = calloc(1, sizeof *ix);
	bool fresh = false;
	struct stat st;
	char *file = NULL;
	int dead, r;

	if (!ix)
		return -ENOMEM;
	pthread_mutex_init(&ix->write, NULL);
	for (int i = 0; i < READERS; i++)
		pthread_mutex_init(&ix->readers[i].lock, NULL);
	if (asprintf(&file, "%s/data.mdb", dir) < 0) {
		file = NULL;
		r = -ENOMEM;
		goto out;
	}
	/* LMDB would take an empty file for a wish to begin anew. */
	if (stat(file, &st) < 0 || !st.st_size) {
		fresh = flags & INDEX_CREATE;
		if (!fresh) {
			r = ERR_CORRUPT;
			goto out;
		}
	}
	r = fresh ? 0 : check_head(file);
	if (r < 0)
		goto out;
	ix->flags = env_flags;
	ix->dir = strdup(dir);
	if (!ix->dir) {
		r = -ENOMEM;
		goto out;
	}
	index_inside++;
	r = map_env(ix, dir, env_flags, map_bytes ? map_bytes : MAP_BYTES);
	/* Readers that were killed would keep pages from being used again. */
	if (!r && (flags & INDEX_WRITE))
		r = mdb_error(mdb_reader_check(ix->env, &dead));
	if (!r)
		r = index_check_length(ix, false);
	if (!r)
		r = fresh ? index_make_tables(ix) : open_tables(ix);
	index_inside--;
	/* A file that is synced may still lack its name. */
	if (!r && fresh)
		r = sync_dir(dir);
	if (r < 0)
		goto out;
	*out = ix;
	ix = NULL;
out:
	free(file);
	index_close(ix);
	return r;
}

void index_close(struct index *ix)
{
	if (!ix)
		return;
	for (int i = 0; i < READERS; i++) {
		if (ix->readers[i].txn)
			mdb_txn_abort(ix->readers[i].txn);
		index_snap_release(&ix->readers[i].snap);
		pthread_mutex_destroy(&ix->readers[i].lock);
	}
	if (ix->env)
		mdb_env_close(ix->env);
	index_snap_release(&ix->last);
	pthread_mutex_destroy(&ix->write);
	free(ix->dir);
	free(ix);
}

void index_anew(struct index *ix)
{
	MDB_envinfo info;
	MDB_txn *txn;

	if (!ix->env)
		return;
	int rc = mdb_txn_begin(ix->env, NULL, MDB_RDONLY, &txn);
	if (!rc)
		mdb_txn_abort(txn);
	if (rc != MDB_PANIC)
		return;
	for (int i = 0; i < READERS; i++) {
		pthread_mutex_lock(&ix->readers[i].lock);
		if (ix->readers[i].txn)
			mdb_txn_abort(ix->readers[i].txn);
		ix->readers[i].txn = NULL;
		ix->readers[i].snap.known = false;
	}
	mdb_env_info(ix->env, &info);
	mdb_env_close(ix->env);
	ix->env = NULL;
	int r = map_env(ix, ix->dir, ix->flags, info.me_mapsize);
	if (!r)
		r = open_tables(ix);
	if (r < 0 && ix->env) {
		mdb_env_close(ix->env);
		ix->env = NULL;
	}
	for (int i = 0; i < READERS; i++)
		pthread_mutex_unlock(&ix->readers[i].lock);
}

int index_resize(struct index *ix, size_t bytes)
{
	int rc;

	/* LMDB wants no transaction to be active meanwhile. */
	for (int i = 0; i < READERS; i++)
		pthread_mutex_lock(&ix->readers[i].lock);
	rc = mdb_env_set_mapsize(ix->env, bytes);
	for (int i = 0; i < READERS; i++)
		pthread_mutex_unlock(&ix->readers[i].lock);
	return mdb_error(rc);
}

/* See what a reader's transaction sees. */
static int take_snap(struct index *ix, struct reader *rd)
{
	uint64_t id = mdb_txn_id(rd->txn);
	bool known = rd->snap.known && rd->snap.transaction == id;
	int r = index_snap_take(ix, &rd->snap, id);

	if (r < 0 || known || !INDEX_FORM_KNOWN)
		return r;
	/* Not before the transaction after it has ended does another one write over the
	 * meta page that was read here. */
	mdb_txn_reset(rd->txn);
	rd->snap.known = !mdb_txn_renew(rd->txn) && mdb_txn_id(rd->txn) == id;
	return rd->snap.known ? 0 : -EAGAIN;
}

/* Begin to read: 0, and a reader that read_end() takes back; or an error. */
static int read_begin(struct index *ix, struct reader **out)
{
	bool waited = false;

	for (unsigned tries = 0;;) {
		unsigned first = __atomic_fetch_add(&ix->turn, 1, __ATOMIC_RELAXED);
		struct reader *rd = NULL;
		int rc;

		/* The first ones are preferred: most of the time one is enough. */
		for (int i = 0; i < READERS && !rd; i++)
			if (!pthread_mutex_trylock(&ix->readers[i].lock))
				rd = &ix->readers[i];
		if (!rd) {
			rd = &ix->readers[first % READERS];
			pthread_mutex_lock(&rd->lock);
		}
		if (!ix->env) {
			pthread_mutex_unlock(&rd->lock);
			return -EIO;
		}
		index_inside++;
		rc = rd->txn ? mdb_txn_renew(rd->txn)
			     : mdb_txn_begin(ix->env, NULL, MDB_RDONLY, &rd->txn);
		int r = rc ? 0 : take_snap(ix, rd);
		if (!rc && !r) {
			*out = rd;
			return 0;
		}
		if (!rc)
			mdb_txn_reset(rd->txn);
		index_inside--;
		pthread_mutex_unlock(&rd->lock);
		if (rc == MDB_PANIC && !waited) {
			/* The writer, who failed, is opening it anew. */
			pthread_mutex_lock(&ix->write);
			pthread_mutex_unlock(&ix->write);
			waited = true;
			continue;
		}
		/* Nobody writes that often. */
		if (r < 0 && (r != -EAGAIN || ++tries == TRIES))
			return r == -EAGAIN ? ERR_CORRUPT : r;
		if (r < 0)
			continue;
		if (rc != MDB_MAP_RESIZED)
			return mdb_error(rc);
		/* The writer, another process, has taken more: do the same. */
		r = index_resize(ix, 0);
		if (r < 0)
			return r;
	}
}

static void read_end(struct reader *rd)
{
	mdb_txn_reset(rd->txn);
	index_inside--;
	pthread_mutex_unlock(&rd->lock);
}

int index_place_get(const MDB_val *value, struct place *out)
{
	struct cursor in = cursor_over(value->mv_data, value->mv_size);

	out->segment = cursor_u32le(&in);
	out->offset = cursor_u32le(&in);
	out->stored = cursor_u32le(&in);
	out->size = cursor_u32le(&in);
	out->kind = (uint8_t)(out->size >> 24);
	out->size &= 0xffffff;
	out->log = LOG_KEEP;
	/* Segment 0 would be taken for memory, and looked for there for ever. */
	return cursor_done(&in) && out->segment && out->kind >= RECORD_BLOCK &&
		       out->kind <= RECORD_BUNDLE && out->size <= BLOCK_MAX &&
		       out->stored <= BLOCK_MAX
		   ? 0
		   : ERR_CORRUPT;
}

int index_find(struct index *ix, const struct record_name *name, struct place *out)
{
	MDB_val key = { name->size, (void *)name->bytes }, value;
	struct reader *rd = NULL;
	int r = read_begin(ix, &rd);

	if (r < 0)
		return r;
	MDB_dbi table = index_table_of(ix, name->piece, name->log);
	MDB_dbi recent = index_recent_of(ix, table);
	r = look_up(ix, rd->txn, &rd->snap, table, &key, &value);
	if (!r && recent != table)
		r = look_up(ix, rd->txn, &rd->snap, recent, &key, &value);
	if (r > 0)
		r = index_place_get(&value, out) < 0 ? ERR_CORRUPT : 1;
	if (r == 1)
		out->log = name->log;
	read_end(rd);
	return r;
}

int index_covered(struct index *ix, struct mark out[LOGS])
{
	struct reader *rd = NULL;
	struct meta m;
	int r = read_begin(ix, &rd);

	if (r < 0)
		return r;
	r = index_meta_get(ix, rd->txn, &rd->snap, &m);
	read_end(rd);
	if (!r)
		memcpy(out, m.covered, sizeof m.covered);
	return r;
}

/* Copy names and places behind `last` (empty: from the start) into `out`, as
 * index_collect() does; up to EACH_BATCH of them. */
static int collect(struct index *ix, MDB_dbi table, const uint8_t *last, size_t last_size,
		   struct buf *out)
{
	size_t n = EACH_BATCH;
	MDB_val key = { last_size, (void *)last }, value;
	MDB_cursor *cursor = NULL;
	struct reader *rd = NULL;
	int r = read_begin(ix, &rd);

	if (r < 0)
		return r;
	int rc = 0;
	if (INDEX_FORM_KNOWN)
		r = index_collect(ix, &rd->snap, table, last, last_size, n, out);
	else
		rc = mdb_cursor_open(rd->txn, table, &cursor);
	if (!cursor)
		goto out;
	rc = mdb_cursor_get(cursor, &key, &value, last_size ? MDB_SET_RANGE : MDB_FIRST);
	if (!rc && last_size && key.mv_size == last_size &&
	    !memcmp(key.mv_data, last, last_size))
		rc = mdb_cursor_get(cursor, &key, &value, MDB_NEXT);
	while (!rc && n-- && !out->failed) {
		if (key.mv_size > RECORD_NAME_MAX || value.mv_size != PLACE_SIZE) {
			r = ERR_CORRUPT;
			break;
		}
		buf_u8(out, (uint8_t)key.mv_size);
		buf_append(out, key.mv_data, key.mv_size);
		buf_append(out, value.mv_data, value.mv_size);
		rc = mdb_cursor_get(cursor, &key, &value, MDB_NEXT);
	}
	mdb_cursor_close(cursor);
out:
	read_end(rd);
	if (r < 0)
		return r;
	if (rc && rc != MDB_NOTFOUND)
		return mdb_error(rc);
	return out->failed ? -ENOMEM : 0;
}

/* Does a key stand behind another, as LMDB sorts them? */
static bool in_order(const uint8_t *a, size_t a_size, const uint8_t *b, size_t b_size)
{
	int d = memcmp(a, b, a_size < b_size ? a_size : b_size);

	return d ? d < 0 : a_size < b_size;
}

static int walk(struct index *ix, MDB_dbi dbi, uint8_t log, index_walk_fn each, void *arg)
{
	uint8_t last[RECORD_NAME_MAX];
	size_t last_size = 0, done = 0;
	struct buf names = { 0 };
	int r = 0;

	while (!r) {
		buf_clear(&names);
		r = collect(ix, dbi, last, last_size, &names);
		if (r < 0 || !names.len)
			break;
		struct cursor in = cursor_over(names.data, names.len);
		while (!r && cursor_left(&in)) {
			struct place at;
			last_size = cursor_u8(&in);
			const uint8_t *key = cursor_take(&in, last_size);
			MDB_val value = { PLACE_SIZE,
					  (void *)cursor_take(&in, PLACE_SIZE) };
			/* In a damaged file the order may lead in a circle. */
			r = in_order(last, done, key, last_size) ? 0 : ERR_CORRUPT;
			if (!r)
				r = index_place_get(&value, &at);
			at.log = log;
			memcpy(last, key, last_size);
			done = last_size;
			if (!r)
				r = each(arg, key, last_size, &at);
		}
	}
	buf_release(&names);
	return r;
}

int index_walk(struct index *ix, enum index_table table, index_walk_fn each, void *arg)
{
	uint8_t log = table == INDEX_CACHED ? LOG_CACHE : LOG_KEEP;
	MDB_dbi dbi = index_table_of(ix, table == INDEX_PIECES, log);
	MDB_dbi recent = index_recent_of(ix, dbi);
	int r = 0;

	/* First: what is moved meanwhile is met again, and not missed. */
	if (recent != dbi)
		r = walk(ix, recent, log, each, arg);
	return r ? r : walk(ix, dbi, log, each, arg);
}

struct walking {
	index_each_fn each;
	void *arg;
};

static int each_block(void *arg, const uint8_t *key, size_t key_size, const struct place *at)
{
	struct walking *w = arg;
	struct multihash name;

	return multihash_decode(&name, key, key_size) < 0 ? ERR_CORRUPT
							   : w->each(w->arg, &name, at);
}

int index_each(struct index *ix, index_each_fn each, void *arg)
{
	struct walking w = { each, arg };
	int r = index_walk(ix, INDEX_BLOCKS, each_block, &w);

	return r ? r : index_walk(ix, INDEX_CACHED, each_block, &w);
}

int index_stat(struct index *ix, struct index_stat *out)
{
	struct reader *rd = NULL;
	struct stat st;
	uint64_t entries[5] = { 0 };
	struct meta m;
	int fd, r;

	r = read_begin(ix, &rd);
	if (r < 0)
		return r;
	const MDB_dbi tables[] = { ix->blocks, ix->pieces, ix->cached, ix->recent_blocks,
				   ix->recent_pieces };
	for (int i = 0; i < 5 && !r; i++) {
		MDB_stat count = { .ms_entries = rd->snap.trees[i].entries };
		if (!INDEX_FORM_KNOWN)
			r = mdb_error(mdb_stat(rd->txn, tables[i], &count));
		entries[i] = count.ms_entries;
	}
	if (!r)
		r = index_meta_get(ix, rd->txn, &rd->snap, &m);
	read_end(rd);
	if (!r)
		r = mdb_error(mdb_env_get_fd(ix->env, &fd));
	if (!r && fstat(fd, &st) < 0)
		r = -errno;
	if (r < 0)
		return r;
	*out = (struct index_stat){ .blocks = entries[TREE_BLOCKS] + entries[TREE_RECENT_BLOCKS],
				    .pieces = entries[TREE_PIECES] + entries[TREE_RECENT_PIECES],
				    .cached = entries[TREE_CACHED],
				    .bytes = m.bytes[LOG_KEEP],
				    .cached_bytes = m.bytes[LOG_CACHE],
				    .disk = (uint64_t)st.st_blocks * 512 };
	return 0;
}
