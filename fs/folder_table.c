#include "fs/folder_internal.h"

#include "store/error.h"
#include "store/mdb_error.h"

#include <lmdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#define FORMAT	      1
#define MAP_BYTES     (sizeof(size_t) > 4 ? (size_t)64 << 30 : (size_t)1 << 30)
#define UNMAP_READS   1024 /* each may map 64 KiB */
#define MAP_BYTES_MIN ((size_t)64 << 20)

struct table {
	char *dir;
	MDB_env *env; /* NULL: it failed, and could not be opened anew */
	void *map;    /* of env; NULL: not found */
	MDB_dbi dbi[TABLES];
	pthread_mutex_t writing; /* before `lock` */
	pthread_mutex_t lock;	 /* of `reader` */
	MDB_txn *reader;	 /* reset between uses */
	uint32_t reads;
};

void put_be(uint8_t *p, uint64_t v)
{
	for (int i = 0; i < 8; i++)
		p[i] = (uint8_t)(v >> (56 - 8 * i));
}

uint64_t get_be(const uint8_t *p)
{
	uint64_t v = 0;

	for (int i = 0; i < 8; i++)
		v = v << 8 | p[i];
	return v;
}

size_t entry_key(uint8_t out[8 + NAME_MAX_BYTES], uint64_t dir, const char *name,
		 size_t len)
{
	put_be(out, dir);
	memcpy(out + 8, name, len);
	return 8 + len;
}

/* A page that is not there would be a SIGBUS. */
static int check_length(struct table *t)
{
	MDB_envinfo info;
	struct stat st;
	MDB_stat page;
	int fd, rc = mdb_env_info(t->env, &info);

	if (!rc)
		rc = mdb_env_stat(t->env, &page);
	if (!rc)
		rc = mdb_env_get_fd(t->env, &fd);
	if (rc)
		return mdb_error(rc);
	if (fstat(fd, &st) < 0)
		return -errno;
	return st.st_size < (off_t)(info.me_last_pgno + 1) * page.ms_psize ? ERR_CORRUPT : 0;
}

static int map_env(struct table *t, const char *dir)
{
	int rc;

	for (size_t bytes = MAP_BYTES;; bytes /= 4) {
		rc = mdb_env_create(&t->env);
		if (rc)
			return mdb_error(rc);
		mdb_env_set_maxdbs(t->env, TABLES);
		mdb_env_set_mapsize(t->env, bytes);
		rc = mdb_env_open(t->env, dir, MDB_NOTLS | MDB_NORDAHEAD, 0600);
		if ((rc != ENOMEM && rc != EINVAL) || bytes / 4 < MAP_BYTES_MIN)
			return mdb_error(rc);
		mdb_env_close(t->env);
		t->env = NULL;
	}
}

/* Where LMDB has mapped its file, which it does not tell. */
static void find_map(struct table *t)
{
	unsigned long from, inode;
	struct stat st;
	char line[4400];
	FILE *maps;
	int fd;

	t->map = NULL;
	if (mdb_env_get_fd(t->env, &fd) || fstat(fd, &st) < 0)
		return;
	maps = fopen("/proc/self/maps", "re");
	while (maps && !t->map && fgets(line, sizeof line, maps))
		if (sscanf(line, "%lx-%*x r--s 00000000 %*x:%*x %lu", &from, &inode) == 2 &&
		    inode == st.st_ino && strstr(line, "/data.mdb"))
			t->map = (void *)from;
	if (maps)
		fclose(maps);
}

/* Open what t->dir has; *fresh if that was nothing. */
static int open_env(struct table *t, bool *fresh)
{
	static const char *const names[TABLES] = { "inodes",  "entries", "order",
						   "extents", "index",	 "meta" };
	MDB_txn *txn = NULL;
	MDB_stat st;
	int r = map_env(t, t->dir), rc;

	if (!r)
		r = check_length(t);
	if (r < 0)
		return r;
	find_map(t);
	rc = mdb_txn_begin(t->env, NULL, 0, &txn);
	for (int i = 0; i < TABLES && !rc; i++)
		rc = mdb_dbi_open(txn, names[i], MDB_CREATE, &t->dbi[i]);
	if (!rc)
		rc = mdb_stat(txn, t->dbi[TABLE_META], &st);
	if (!rc) {
		*fresh = !st.ms_entries;
		rc = mdb_txn_commit(txn);
		txn = NULL;
	}
	if (!rc) {
		rc = mdb_txn_begin(t->env, NULL, MDB_RDONLY, &t->reader);
		if (!rc)
			mdb_txn_reset(t->reader);
	}
	if (txn)
		mdb_txn_abort(txn);
	return mdb_error(rc);
}

static void close_env(struct table *t)
{
	if (t->reader)
		mdb_txn_abort(t->reader);
	if (t->env)
		mdb_env_close(t->env);
	t->reader = NULL;
	t->env = NULL;
	t->map = NULL;
}

int table_open(struct table **out, const char *dir, bool *fresh)
{
	struct table *t = calloc(1, sizeof *t);
	int r = 0;

	if (!t)
		return -ENOMEM;
	pthread_mutex_init(&t->writing, NULL);
	pthread_mutex_init(&t->lock, NULL);
	t->dir = strdup(dir);
	if (!t->dir)
		r = -ENOMEM;
	else if (mkdir(dir, 0700) < 0 && errno != EEXIST)
		r = -errno;
	if (!r)
		r = open_env(t, fresh);
	if (r < 0) {
		table_close(t);
		return r;
	}
	*out = t;
	return 0;
}

void table_close(struct table *t)
{
	if (!t)
		return;
	close_env(t);
	pthread_mutex_destroy(&t->lock);
	pthread_mutex_destroy(&t->writing);
	free(t->dir);
	free(t);
}

/*
 * A commit failed.  If LMDB then refuses everything, reading too, until it is
 * opened again, do that: what was committed before is there.  Under `writing`.
 */
static void open_anew(struct table *t)
{
	MDB_txn *txn;
	bool fresh;
	int rc = mdb_txn_begin(t->env, NULL, MDB_RDONLY, &txn);

	if (!rc)
		mdb_txn_abort(txn);
	if (rc != MDB_PANIC)
		return;
	pthread_mutex_lock(&t->lock);
	close_env(t);
	if (open_env(t, &fresh) < 0)
		close_env(t);
	pthread_mutex_unlock(&t->lock);
}

/* ---- reading ---- */

static int read_begin(struct table *t)
{
	for (bool waited = false;; waited = true) {
		pthread_mutex_lock(&t->lock);
		int rc = t->env ? mdb_txn_renew(t->reader) : EIO;
		if (!rc)
			return 0;
		pthread_mutex_unlock(&t->lock);
		if (rc != MDB_PANIC || waited)
			return mdb_error(rc);
		/* The writer, who failed, is opening it anew. */
		pthread_mutex_lock(&t->writing);
		pthread_mutex_unlock(&t->writing);
	}
}

/*
 * Pages of the map that were read count as our memory for as long as they are mapped,
 * and the kernel maps some around each.  They stay in its page cache.  Under `lock`.
 */
static void unmap_read(struct table *t)
{
	MDB_envinfo info;
	MDB_stat page;

	if (t->map && !mdb_env_info(t->env, &info) && !mdb_env_stat(t->env, &page))
		(void)madvise(t->map, (info.me_last_pgno + 1) * page.ms_psize,
			      MADV_DONTNEED);
}

static void read_end(struct table *t)
{
	mdb_txn_reset(t->reader);
	if (++t->reads % UNMAP_READS == 0)
		unmap_read(t);
	pthread_mutex_unlock(&t->lock);
}

/* A row: 1, 0, or an error. */
static int get(struct table *t, unsigned table, const void *key, size_t len, MDB_val *value)
{
	MDB_val k = { len, (void *)key };
	int rc = mdb_get(t->reader, t->dbi[table], &k, value);

	return rc == MDB_NOTFOUND ? 0 : rc ? mdb_error(rc) : 1;
}

static struct bytes *read_bytes(struct cursor *in)
{
	uint8_t len = cursor_u8(in);
	const uint8_t *p = cursor_take(in, len);
	struct cid c;

	if (!len || !p)
		return NULL;
	if (cid_decode(&c, p, len) < 0) {
		in->bad = true;
		return NULL;
	}
	return bytes_new(p, len);
}

static void write_bytes(struct buf *out, const struct bytes *b)
{
	buf_u8(out, b ? b->len : 0);
	if (b)
		buf_append(out, b->data, b->len);
}

void meta_encode(struct buf *out, const struct folder *f, const struct log_mark *covered)
{
	buf_u32le(out, FORMAT);
	buf_append(out, f->key, sizeof f->key);
	buf_u32le(out, covered->segment);
	buf_u32le(out, covered->at);
	buf_u64le(out, covered->number);
	buf_u64le(out, f->next_ino);
	buf_u64le(out, f->snapshot);
	buf_u64le(out, f->n_dirty);
	buf_u64le(out, f->dirty_bytes);
	buf_u64le(out, (uint64_t)f->first_change_ms);
	buf_u64le(out, (uint64_t)f->last_change_ms);
	write_bytes(out, f->root);
	write_bytes(out, f->root_attrs);
}

static int meta_read(struct table_meta *m, struct cursor *in)
{
	uint32_t version = cursor_u32le(in);
	const uint8_t *key = cursor_take(in, sizeof m->key);

	if (key)
		memcpy(m->key, key, sizeof m->key);
	m->covered.segment = cursor_u32le(in);
	m->covered.at = cursor_u32le(in);
	m->covered.number = cursor_u64le(in);
	m->next_ino = cursor_u64le(in);
	m->snapshot = cursor_u64le(in);
	m->n_dirty = cursor_u64le(in);
	m->dirty_bytes = cursor_u64le(in);
	m->first_change_ms = (int64_t)cursor_u64le(in);
	m->last_change_ms = (int64_t)cursor_u64le(in);
	m->root = read_bytes(in);
	m->attrs = read_bytes(in);
	if (!in->bad && version > FORMAT)
		return ERR_NEWER;
	return cursor_done(in) && version == FORMAT ? 0 : ERR_CORRUPT;
}

int table_meta_get(struct table *t, struct table_meta *out)
{
	MDB_val v;
	int r = read_begin(t);

	*out = (struct table_meta){ 0 };
	if (r < 0)
		return r;
	r = get(t, TABLE_META, "folder", 6, &v);
	if (r > 0) {
		struct cursor in = cursor_over(v.mv_data, v.mv_size);

		r = meta_read(out, &in);
	} else if (!r) {
		r = ERR_CORRUPT;
	}
	read_end(t);
	return r;
}

int table_segments(struct table *t, struct buf *out)
{
	MDB_val v;
	int r = read_begin(t);

	if (r < 0)
		return r;
	r = get(t, TABLE_META, "segments", 8, &v);
	if (r > 0)
		buf_append(out, v.mv_data, v.mv_size);
	read_end(t);
	return r < 0 ? r : out->failed ? -ENOMEM : 0;
}

/* The extents of an inode, which has some. */
static int read_extents(struct folder *f, struct table *t, struct inode *i)
{
	MDB_cursor *c = NULL;
	uint8_t key[12] = { 0 };
	MDB_val k = { sizeof key, key }, v;
	int rc = mdb_cursor_open(t->reader, t->dbi[TABLE_EXTENTS], &c), r = 0;

	put_be(key, i->ino);
	if (!rc)
		rc = mdb_cursor_get(c, &k, &v, MDB_SET_RANGE);
	for (; !rc && !r; rc = mdb_cursor_get(c, &k, &v, MDB_NEXT)) {
		if (k.mv_size != sizeof key || get_be(k.mv_data) != i->ino)
			break;
		struct cursor in = cursor_over(v.mv_data, v.mv_size);
		while (cursor_left(&in) && !r) {
			struct extent e = { .offset = cursor_u64le(&in) };
			uint64_t end;

			e.len = cursor_u64le(&in);
			e.born = cursor_u64le(&in);
			e.segment = cursor_u32le(&in);
			e.at = cursor_u32le(&in);
			if (in.bad || !e.len ||
			    __builtin_add_overflow(e.offset, e.len, &end) || end > INT64_MAX ||
			    (e.segment && e.at + e.len > UINT32_MAX))
				r = ERR_CORRUPT;
			else /* The log was told when they were put there. */
				r = extents_put(&i->map, &e, NULL);
		}
	}
	if (c)
		mdb_cursor_close(c);
	if (!r && rc && rc != MDB_NOTFOUND)
		r = mdb_error(rc);
	return r;
}

int table_inode(struct folder *f, uint64_t ino, struct inode **out)
{
	uint8_t key[8];
	MDB_val v;
	int r = read_begin(f->table);

	if (r < 0)
		return r;
	put_be(key, ino);
	r = get(f->table, TABLE_INODES, key, sizeof key, &v);
	if (r > 0) {
		r = inode_row_read(f, ino, v.mv_data, v.mv_size, out);
		if (r > 0) { /* it has extents */
			r = read_extents(f, f->table, *out);
			if (r < 0)
				inode_remove(f, *out);
		}
		if (!r)
			r = 1;
	}
	read_end(f->table);
	return r;
}

#define ENTRY_ROW 29

int table_entry(struct folder *f, uint64_t dir, const char *name, size_t len,
		struct entry **out)
{
	uint8_t key[8 + NAME_MAX_BYTES], copy[ENTRY_ROW];
	size_t key_len = entry_key(key, dir, name, len);
	struct entry *e;
	MDB_val v;
	int r = read_begin(f->table);

	if (r < 0)
		return r;
	r = get(f->table, TABLE_ENTRIES, key, key_len, &v);
	if (r > 0) {
		if (v.mv_size != ENTRY_ROW)
			r = ERR_CORRUPT;
		else
			memcpy(copy, v.mv_data, ENTRY_ROW);
	}
	read_end(f->table);
	if (r <= 0)
		return r;
	struct cursor in = cursor_over(copy, sizeof copy);
	uint8_t version = cursor_u8(&in), flags = cursor_u8(&in), type = cursor_u8(&in);
	if (version != FORMAT || flags > 7 || type > 15)
		return ERR_CORRUPT;
	e = entry_add(f, dir, name, len);
	if (!e)
		return -ENOMEM;
	cursor_u8(&in);
	cursor_u8(&in);
	e->changed = flags & ENTRY_CHANGED;
	e->listed = flags & ENTRY_LISTED;
	e->snapped = flags & ENTRY_SNAPPED;
	e->type = type;
	e->ino = cursor_u64le(&in);
	e->cookie = e->stored_cookie = cursor_u64le(&in);
	e->number = cursor_u64le(&in);
	e->stored = true;
	if (e->changed && dirty_entry(f, e, true) < 0) {
		entry_remove(f, e);
		return -ENOMEM;
	}
	*out = e;
	return 1;
}

int table_next_added(struct table *t, uint64_t dir, uint64_t *cookie, char *name,
		     size_t *len)
{
	MDB_cursor *c = NULL;
	uint8_t key[16];
	MDB_val k = { sizeof key, key }, v;
	int rc, r = read_begin(t);

	if (r < 0)
		return r;
	put_be(key, dir);
	put_be(key + 8, *cookie + 1);
	rc = mdb_cursor_open(t->reader, t->dbi[TABLE_ORDER], &c);
	if (!rc)
		rc = mdb_cursor_get(c, &k, &v, MDB_SET_RANGE);
	if (rc == MDB_NOTFOUND) {
		r = 0;
	} else if (rc) {
		r = mdb_error(rc);
	} else if (k.mv_size == sizeof key && get_be(k.mv_data) == dir) {
		r = v.mv_size && v.mv_size <= NAME_MAX_BYTES ? 1 : ERR_CORRUPT;
		if (r > 0) {
			*cookie = get_be((uint8_t *)k.mv_data + 8);
			*len = v.mv_size;
			memcpy(name, v.mv_data, v.mv_size);
			name[v.mv_size] = '\0';
		}
	}
	if (c)
		mdb_cursor_close(c);
	read_end(t);
	return r;
}

int table_index(struct table *t, uint8_t kind, struct buf *out)
{
	MDB_cursor *c = NULL;
	MDB_val k = { 1, &kind }, v;
	int rc, r = read_begin(t);

	if (r < 0)
		return r;
	rc = mdb_cursor_open(t->reader, t->dbi[TABLE_INDEX], &c);
	if (!rc)
		rc = mdb_cursor_get(c, &k, &v, MDB_SET_RANGE);
	for (; !rc && k.mv_size && *(uint8_t *)k.mv_data == kind;
	     rc = mdb_cursor_get(c, &k, &v, MDB_NEXT)) {
		buf_u8(out, (uint8_t)k.mv_size);
		buf_u8(out, (uint8_t)(k.mv_size >> 8));
		buf_append(out, k.mv_data, k.mv_size);
	}
	if (c)
		mdb_cursor_close(c);
	read_end(t);
	if (rc && rc != MDB_NOTFOUND)
		return mdb_error(rc);
	return out->failed ? -ENOMEM : 0;
}

/* Give the rows of extents in one transaction: in the next, what was there may lie in a
 * row passed by. */
static int each_extents(struct table *t,
			void (*each)(void *arg, uint64_t ino, struct cursor *row), void *arg)
{
	MDB_cursor *c = NULL;
	MDB_val k, v;
	int rc, r = read_begin(t);

	if (r < 0)
		return r;
	rc = mdb_cursor_open(t->reader, t->dbi[TABLE_EXTENTS], &c);
	if (!rc)
		rc = mdb_cursor_get(c, &k, &v, MDB_FIRST);
	for (; !rc; rc = mdb_cursor_get(c, &k, &v, MDB_NEXT)) {
		struct cursor row = cursor_over(v.mv_data, v.mv_size);

		each(arg, k.mv_size == 12 ? get_be(k.mv_data) : 0, &row);
		if (row.bad)
			r = ERR_CORRUPT;
	}
	if (c)
		mdb_cursor_close(c);
	read_end(t);
	return rc != MDB_NOTFOUND ? mdb_error(rc) : r;
}

/* Looks for extents in segments that are wanted. */
struct wanting {
	bool (*wanted)(const void *arg, uint32_t segment);
	const void *arg;
	struct buf *out;
	uint64_t last; /* inode that was put */
};

static struct table_place take_place(struct cursor *row)
{
	struct table_place p;

	cursor_u64le(row);
	p.len = (uint32_t)cursor_u64le(row);
	cursor_u64le(row);
	p.segment = cursor_u32le(row);
	p.at = cursor_u32le(row);
	return p;
}

static void note_user(void *arg, uint64_t ino, struct cursor *row)
{
	struct wanting *w = arg;

	if (!ino || ino == w->last)
		return;
	while (cursor_left(row))
		if (w->wanted(w->arg, take_place(row).segment) && !row->bad) {
			w->last = ino;
			buf_u64le(w->out, ino);
			return;
		}
}

static void note_places(void *arg, uint64_t ino, struct cursor *row)
{
	struct wanting *w = arg;

	while (cursor_left(row)) {
		struct table_place p = take_place(row);

		if (!row->bad && p.segment && w->wanted(w->arg, p.segment))
			buf_append(w->out, &p, sizeof p);
	}
}

int table_users(struct table *t, bool (*wanted)(const void *arg, uint32_t segment),
		const void *arg, struct buf *out)
{
	struct wanting w = { .wanted = wanted, .arg = arg, .out = out };
	int r = each_extents(t, note_user, &w);

	return r < 0 ? r : out->failed ? -ENOMEM : 0;
}

int table_places(struct table *t, bool (*wanted)(const void *arg, uint32_t segment),
		 const void *arg, struct buf *out)
{
	struct wanting w = { .wanted = wanted, .arg = arg, .out = out };
	int r = each_extents(t, note_places, &w);

	return r < 0 ? r : out->failed ? -ENOMEM : 0;
}

/* ---- writing ---- */

/*
 * A change: u8 what | u8 table | u16 bytes of key | u32 bytes of value | key | value
 */
enum { PUT, DEL, DEL_PREFIX };

static void change(struct buf *b, unsigned what, unsigned table, const void *key,
		   size_t key_len, const void *value, size_t len)
{
	buf_u8(b, (uint8_t)what);
	buf_u8(b, (uint8_t)table);
	buf_u8(b, (uint8_t)key_len);
	buf_u8(b, (uint8_t)(key_len >> 8));
	buf_u32le(b, (uint32_t)len);
	buf_append(b, key, key_len);
	buf_append(b, value, len);
}

void rows_put(struct buf *b, unsigned table, const void *key, size_t key_len,
	       const struct buf *value)
{
	change(b, PUT, table, key, key_len, value->data, value->len);
	b->failed |= value->failed;
}

void rows_del(struct buf *b, unsigned table, const void *key, size_t key_len)
{
	change(b, DEL, table, key, key_len, NULL, 0);
}

void rows_del_prefix(struct buf *b, unsigned table, const void *key, size_t key_len)
{
	change(b, DEL_PREFIX, table, key, key_len, NULL, 0);
}

static int del_prefix(MDB_txn *txn, MDB_dbi dbi, MDB_val *prefix)
{
	MDB_cursor *c;
	MDB_val k = *prefix, v;
	int rc = mdb_cursor_open(txn, dbi, &c);

	if (rc)
		return rc;
	rc = mdb_cursor_get(c, &k, &v, MDB_SET_RANGE);
	while (!rc && k.mv_size >= prefix->mv_size &&
	       !memcmp(k.mv_data, prefix->mv_data, prefix->mv_size)) {
		rc = mdb_cursor_del(c, 0);
		k = *prefix;
		if (!rc)
			rc = mdb_cursor_get(c, &k, &v, MDB_SET_RANGE);
	}
	mdb_cursor_close(c);
	return rc == MDB_NOTFOUND ? 0 : rc;
}

/* ---- what a gc asks ---- */

/* So many rows are looked at before others may read. */
#define EACH_ROWS 1024

static int tell_row(const MDB_val *row, struct telling_bases *t)
{
	struct cursor in = cursor_over(row->mv_data, row->mv_size);
	const struct bytes *base[4] = { NULL };
	struct inode_core core;
	struct cid c;
	bool changed;

	cursor_u8(&in);
	inode_core_read(&in, &core);
	changed = cursor_u64le(&in);
	changed |= cursor_u64le(&in) != 0;
	cursor_take(&in, 4 * sizeof(uint64_t));
	for (int i = 0; i < (S_ISDIR(core.mode) ? 4 : 1); i++) {
		const uint8_t *at = in.p;
		uint8_t len = cursor_u8(&in);
		const uint8_t *p = cursor_take(&in, len);

		if (in.bad || (len && cid_decode(&c, p, len) < 0))
			return ERR_CORRUPT;
		if (len)
			base[i] = (const struct bytes *)at; /* they lie there as in memory */
	}
	return tell_bases(t, &core, changed, base);
}

int table_each_base(struct table *t, struct telling_bases *telling)
{
	uint8_t last[8] = { 0 };
	MDB_cursor *c;
	MDB_val k, v;
	int r = 0, rc;

	do {
		r = read_begin(t);
		if (r < 0)
			return r;
		k = (MDB_val){ sizeof last, last };
		rc = mdb_cursor_open(t->reader, t->dbi[TABLE_INODES], &c);
		if (rc) {
			read_end(t);
			return mdb_error(rc);
		}
		rc = mdb_cursor_get(c, &k, &v, MDB_SET_RANGE);
		for (int n = 0; !rc && !r && n < EACH_ROWS; n++) {
			r = k.mv_size != sizeof last ? ERR_CORRUPT : tell_row(&v, telling);
			if (!r) {
				put_be(last, get_be(k.mv_data) + 1);
				rc = mdb_cursor_get(c, &k, &v, MDB_NEXT);
			}
		}
		mdb_cursor_close(c);
		read_end(t);
	} while (!rc && !r);
	return r ? r : rc == MDB_NOTFOUND ? 0 : mdb_error(rc);
}

/* ---- committing ---- */

/* LMDB has no better word than EIO for a page that was written in part. */
static int out_of_room(const struct table *t, int r)
{
	struct statvfs st;

	return r == -EIO && statvfs(t->dir, &st) == 0 &&
		       (uint64_t)st.f_bavail * st.f_frsize < 1u << 20
		   ? -ENOSPC
		   : r;
}

static int commit(struct table *t, const struct buf *changes)
{
	struct cursor in = cursor_over(changes->data, changes->len);
	MDB_txn *txn;
	int rc = mdb_txn_begin(t->env, NULL, 0, &txn);

	if (rc)
		return mdb_error(rc);
	while (!rc && cursor_left(&in)) {
		uint8_t what = cursor_u8(&in), table = cursor_u8(&in);
		MDB_val k = { .mv_size = cursor_u8(&in) }, v;

		k.mv_size |= (size_t)cursor_u8(&in) << 8;
		v.mv_size = cursor_u32le(&in);
		k.mv_data = (void *)cursor_take(&in, k.mv_size);
		v.mv_data = (void *)cursor_take(&in, v.mv_size);
		if (what == PUT)
			rc = mdb_put(txn, t->dbi[table], &k, &v, 0);
		else if (what == DEL)
			rc = mdb_del(txn, t->dbi[table], &k, NULL);
		else
			rc = del_prefix(txn, t->dbi[table], &k);
		if (rc == MDB_NOTFOUND)
			rc = 0;
	}
	if (!rc)
		return mdb_error(mdb_txn_commit(txn));
	mdb_txn_abort(txn);
	return mdb_error(rc);
}

int table_commit(struct table *t, const struct buf *changes)
{
	int r;

	pthread_mutex_lock(&t->writing);
	r = t->env ? out_of_room(t, commit(t, changes)) : -EIO;
	if (r < 0 && t->env) {
		open_anew(t);
	} else if (t->env) {
		pthread_mutex_lock(&t->lock);
		unmap_read(t);
		pthread_mutex_unlock(&t->lock);
	}
	pthread_mutex_unlock(&t->writing);
	return r;
}
