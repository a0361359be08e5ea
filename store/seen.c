#include "store/seen.h"

#include "store/error.h"
#include "store/index_pages.h"
#include "store/log.h"
#include "store/xxh3.h"

#include <endian.h>
#include <fcntl.h>
#include <lmdb.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MAP_BYTES (sizeof(size_t) > 4 ? (size_t)4 << 30 : (size_t)256 << 20)
#define MAP_BYTES_MIN ((size_t)16 << 20)
#define BATCH	  32768 /* 7 MiB, if so many files were added */
#define RACY	  2 /* seconds */
#define FORMAT	  2 /* 1 had other keys */

/* Big-endian, so that files which were made one after the other lie side by side. */
struct key {
	uint64_t dev, ino, fingerprint;
};

struct state {
	int64_t size, mtime, ctime;
	uint64_t tsize;
};

struct note {
	struct key key;
	struct {
		uint64_t check;
		struct state state;
		uint8_t cid[CID_SIZE_MAX];
	} value;
	size_t value_len;
};

struct seen {
	MDB_env *env;
	MDB_dbi dbi;
	pthread_mutex_t lock; /* of the batch */
	struct note *batch;
	size_t n;
	bool broken; /* said so already */
};

#define VALUE_HEAD (offsetof(struct note, value.cid) - offsetof(struct note, value))

static int error_of(int rc)
{
	return rc > 0 ? -rc : rc ? -EIO : 0;
}

/* LMDB would stumble over a file that is damaged; it can be spared. */
static void remove_damaged(const char *dir)
{
	int d = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int fd = d < 0 ? -1 : openat(d, "data.mdb", O_RDONLY | O_CLOEXEC);
	uint64_t sum;

	if (fd >= 0 && INDEX_FORM_KNOWN && index_pages_check_file(fd, INDEX_NEWEST, &sum) == ERR_CORRUPT) {
		log_line(LOG_WARN, "%s: the table of files seen before is damaged, and begun anew", dir);
		unlinkat(d, "data.mdb", 0);
		unlinkat(d, "lock.mdb", 0);
	}
	if (fd >= 0)
		close(fd);
	if (d >= 0)
		close(d);
}

/* Before all others: the format of the rest. */
static int check_format(struct seen *s, MDB_txn *txn)
{
	static const uint8_t name = 0, format = FORMAT;
	MDB_val k = { 1, (void *)&name }, v;
	int rc = mdb_get(txn, s->dbi, &k, &v);

	if (!rc && v.mv_size == 1 && *(uint8_t *)v.mv_data == FORMAT)
		return 0;
	if (!rc || rc == MDB_NOTFOUND)
		rc = mdb_drop(txn, s->dbi, 0);
	v = (MDB_val){ 1, (void *)&format };
	return rc ? rc : mdb_put(txn, s->dbi, &k, &v, 0);
}

int seen_open(struct seen **out, const char *dir)
{
	struct seen *s = calloc(1, sizeof *s);
	MDB_txn *txn = NULL;
	int rc = ENOMEM;

	if (!s)
		return -ENOMEM;
	pthread_mutex_init(&s->lock, NULL);
	s->batch = malloc(BATCH * sizeof *s->batch);
	if (!s->batch)
		goto out;
	remove_damaged(dir);
	/* The map is only address space, but some processes have little of it. */
	for (size_t bytes = MAP_BYTES; bytes >= MAP_BYTES_MIN; bytes /= 4) {
		rc = mdb_env_create(&s->env);
		if (rc)
			goto out;
		mdb_env_set_maxreaders(s->env, 512);
		mdb_env_set_mapsize(s->env, bytes);
		rc = mdb_env_open(s->env, dir, MDB_NOTLS | MDB_NORDAHEAD | MDB_NOMETASYNC,
				  0600);
		if (rc != ENOMEM && rc != EINVAL)
			break;
		mdb_env_close(s->env);
		s->env = NULL;
	}
	if (!rc)
		rc = mdb_txn_begin(s->env, NULL, 0, &txn);
	if (!rc)
		rc = mdb_dbi_open(txn, NULL, 0, &s->dbi);
	if (!rc)
		rc = check_format(s, txn);
	if (!rc) {
		rc = mdb_txn_commit(txn);
		txn = NULL;
	}
out:
	if (txn)
		mdb_txn_abort(txn);
	if (rc) {
		seen_close(s);
		return error_of(rc);
	}
	*out = s;
	return 0;
}

void seen_close(struct seen *s)
{
	if (!s)
		return;
	if (s->n)
		seen_flush(s);
	if (s->env)
		mdb_env_close(s->env);
	pthread_mutex_destroy(&s->lock);
	free(s->batch);
	free(s);
}

static int64_t nanoseconds(const struct timespec *t)
{
	/* Wraps for times no file has; what counts is whether it is the same. */
	return (int64_t)((uint64_t)t->tv_sec * 1000000000u + (uint64_t)t->tv_nsec);
}

static struct key key_of(uint64_t fingerprint, const struct stat *st)
{
	return (struct key){ htobe64(st->st_dev), htobe64(st->st_ino), htobe64(fingerprint) };
}

static struct state state_of(const struct stat *st)
{
	return (struct state){ .size = st->st_size,
			       .mtime = nanoseconds(&st->st_mtim),
			       .ctime = nanoseconds(&st->st_ctim) };
}

/* Of all that follows it, and the key: a damaged entry must not name a file. */
static uint64_t check_of(const struct key *key, const void *value, size_t len)
{
	return XXH3_64bits_withSeed((const uint8_t *)value + 8, len - 8,
				    XXH3_64bits(key, sizeof *key));
}

bool seen_find(struct seen *s, uint64_t fingerprint, const struct stat *st, struct cid *cid,
	       uint64_t *tsize)
{
	struct key key = key_of(fingerprint, st);
	struct state now = state_of(st), then;
	MDB_val k = { sizeof key, &key }, v;
	MDB_txn *txn;
	uint64_t check;
	bool found = false;

	if (mdb_txn_begin(s->env, NULL, MDB_RDONLY, &txn))
		return false;
	if (mdb_get(txn, s->dbi, &k, &v) || v.mv_size <= VALUE_HEAD)
		goto out;
	memcpy(&check, v.mv_data, sizeof check);
	memcpy(&then, (uint8_t *)v.mv_data + 8, sizeof then);
	found = then.size == now.size && then.mtime == now.mtime && then.ctime == now.ctime &&
		check == check_of(&key, v.mv_data, v.mv_size) &&
		cid_decode(cid, (uint8_t *)v.mv_data + VALUE_HEAD, v.mv_size - VALUE_HEAD) == 0;
	*tsize = found ? then.tsize : 0;
out:
	mdb_txn_abort(txn);
	return found;
}

static int by_key(const void *a, const void *b)
{
	const struct note *x = a, *y = b;

	return memcmp(&x->key, &y->key, sizeof x->key);
}

static int write_batch(struct seen *s)
{
	MDB_txn *txn;
	int rc = mdb_txn_begin(s->env, NULL, 0, &txn);

	if (rc)
		return rc;
	qsort(s->batch, s->n, sizeof *s->batch, by_key);
	for (size_t i = 0; i < s->n && !rc; i++) {
		struct note *note = &s->batch[i];
		MDB_val k = { sizeof note->key, &note->key };
		MDB_val v = { note->value_len, &note->value };

		/* Behind the last one, so as to leave full pages behind; or where it belongs. */
		rc = mdb_put(txn, s->dbi, &k, &v, MDB_APPEND);
		if (rc == MDB_KEYEXIST)
			rc = mdb_put(txn, s->dbi, &k, &v, 0);
	}
	if (!rc)
		return mdb_txn_commit(txn);
	mdb_txn_abort(txn);
	return rc;
}

/* Files that are gone leave their entries behind; when these fill the map, all
 * begins anew. */
static int forget_all(struct seen *s)
{
	MDB_txn *txn;
	int rc = mdb_txn_begin(s->env, NULL, 0, &txn);

	if (rc)
		return rc;
	rc = mdb_drop(txn, s->dbi, 0);
	if (!rc)
		rc = check_format(s, txn);
	if (!rc)
		return mdb_txn_commit(txn);
	mdb_txn_abort(txn);
	return rc;
}

static void flush_locked(struct seen *s)
{
	int rc = write_batch(s);

	if (rc == MDB_MAP_FULL)
		rc = forget_all(s);
	if (rc && !s->broken) {
		s->broken = true;
		log_line(LOG_WARN, "the table of files seen before cannot be written: %s",
			 mdb_strerror(rc));
	}
	s->n = 0;
}

void seen_note(struct seen *s, uint64_t fingerprint, const struct stat *st, int64_t now,
	       const struct cid *cid, uint64_t tsize)
{
	struct note *note;

	if (st->st_mtim.tv_sec > now - RACY || st->st_ctim.tv_sec > now - RACY)
		return;
	pthread_mutex_lock(&s->lock);
	note = &s->batch[s->n++];
	note->key = key_of(fingerprint, st);
	note->value.state = state_of(st);
	note->value.state.tsize = tsize;
	note->value_len = VALUE_HEAD + cid_encode(cid, note->value.cid);
	note->value.check = check_of(&note->key, &note->value, note->value_len);
	if (s->n == BATCH)
		flush_locked(s);
	pthread_mutex_unlock(&s->lock);
}

void seen_flush(struct seen *s)
{
	pthread_mutex_lock(&s->lock);
	if (s->n)
		flush_locked(s);
	pthread_mutex_unlock(&s->lock);
}

void seen_forget(struct seen *s)
{
	if (!s)
		return;
	pthread_mutex_lock(&s->lock);
	s->n = 0;
	int rc = forget_all(s);
	pthread_mutex_unlock(&s->lock);
	if (rc)
		log_line(LOG_WARN, "the table of files seen before cannot be emptied: %s",
			 mdb_strerror(rc));
}

/* Entries from `from` on (all zeros: the first), a batch: their roots to each(), or
 * those that keep() does not approve are deleted. */
struct pass {
	int (*each)(void *arg, const struct cid *root);
	bool (*keep)(void *arg, const struct cid *root);
	void *arg;
	struct key from;
	bool begun, over;
};

static int look(struct pass *p, const MDB_val *k, const MDB_val *v, bool *delete)
{
	struct cid root;

	*delete = false;
	if (k->mv_size != sizeof p->from)
		return 0;
	if (v->mv_size <= VALUE_HEAD ||
	    cid_decode(&root, (uint8_t *)v->mv_data + VALUE_HEAD, v->mv_size - VALUE_HEAD) < 0) {
		*delete = p->keep;
		return 0;
	}
	if (p->each)
		return p->each(p->arg, &root);
	*delete = !p->keep(p->arg, &root);
	return 0;
}

static int pass_batch(struct seen *s, struct pass *p)
{
	MDB_val k = { sizeof p->from, &p->from }, v;
	MDB_cursor *c = NULL;
	MDB_txn *txn = NULL;
	bool delete;
	int rc, r = 0;

	rc = mdb_txn_begin(s->env, NULL, p->keep ? 0 : MDB_RDONLY, &txn);
	if (rc)
		return -EIO;
	rc = mdb_cursor_open(txn, s->dbi, &c);
	if (!rc)
		rc = mdb_cursor_get(c, &k, &v, p->begun ? MDB_SET_RANGE : MDB_FIRST);
	for (int i = 0; !rc && !r && i < BATCH; i++) {
		r = look(p, &k, &v, &delete);
		if (!r && delete)
			rc = mdb_cursor_del(c, 0);
		if (!rc && !r)
			rc = mdb_cursor_get(c, &k, &v, MDB_NEXT);
	}
	/* Where the next batch begins. */
	if (!rc && !r && k.mv_size == sizeof p->from)
		memcpy(&p->from, k.mv_data, sizeof p->from);
	p->begun = true;
	p->over = rc == MDB_NOTFOUND;
	if (c)
		mdb_cursor_close(c);
	if (p->keep && (!rc || p->over) && !r)
		rc = mdb_txn_commit(txn);
	else
		mdb_txn_abort(txn);
	return r ? r : rc && rc != MDB_NOTFOUND ? -EIO : 0;
}

int seen_each(struct seen *s, int (*each)(void *arg, const struct cid *root), void *arg)
{
	struct pass p = { .each = each, .arg = arg };
	int r = 0;

	seen_flush(s);
	while (!r && !p.over)
		r = pass_batch(s, &p);
	return r;
}

int seen_keep(struct seen *s, bool (*keep)(void *arg, const struct cid *root), void *arg)
{
	struct pass p = { .keep = keep, .arg = arg };
	int r = 0;

	pthread_mutex_lock(&s->lock);
	if (s->n)
		flush_locked(s);
	while (!r && !p.over)
		r = pass_batch(s, &p);
	if (r < 0)
		r = forget_all(s) ? -EIO : 0;
	pthread_mutex_unlock(&s->lock);
	return r;
}
