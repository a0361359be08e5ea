#include "store/pin.h"

#include "store/buf.h"
#include "store/cursor.h"
#include "store/error.h"
#include "store/mdb_error.h"
#include "store/xxh3.h"

#include <fcntl.h>
#include <lmdb.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define MAP_BYTES     (sizeof(size_t) > 4 ? (size_t)4 << 30 : (size_t)128 << 20)
#define MAP_BYTES_MIN ((size_t)16 << 20)
#define KEY_MAX	      (1 + CID_SIZE_MAX + PIN_NAME_MAX)
#define VALUE_SIZE    17

struct pins {
	MDB_env *env; /* NULL: LMDB gave up, and could not be opened anew */
	char *dir;
	bool write;
	MDB_dbi dbi;
	pthread_mutex_t lock; /* one transaction at a time is plenty */
};

/* The map is only address space, but some processes have little of it. */
static int map_env(struct pins *p, const char *dir, unsigned flags)
{
	int rc = 0;

	for (size_t bytes = MAP_BYTES; bytes >= MAP_BYTES_MIN; bytes /= 4) {
		rc = mdb_env_create(&p->env);
		if (rc)
			return mdb_error(rc);
		mdb_env_set_maxdbs(p->env, 1);
		mdb_env_set_mapsize(p->env, bytes);
		rc = mdb_env_open(p->env, dir, MDB_NOTLS | flags, 0600);
		if (rc == EACCES && flags == MDB_RDONLY) {
			/* We may not write the table of readers. */
			flags |= MDB_NOLOCK;
			bytes *= 4;
		} else if (rc != ENOMEM && rc != EINVAL) {
			return mdb_error(rc);
		}
		mdb_env_close(p->env);
		p->env = NULL;
	}
	return mdb_error(rc);
}

static int open_table(struct pins *p, bool write, bool create)
{
	MDB_txn *txn = NULL;
	int rc = mdb_txn_begin(p->env, NULL, write ? 0 : MDB_RDONLY, &txn);

	if (rc)
		return mdb_error(rc);
	rc = mdb_dbi_open(txn, "pins", create ? MDB_CREATE : 0, &p->dbi);
	if (rc) {
		mdb_txn_abort(txn);
		return mdb_error(rc);
	}
	return mdb_error(mdb_txn_commit(txn));
}

/*
 * Begin a transaction.  Once LMDB could not write its meta page it refuses everything,
 * reading too, until it is opened again; what was committed is there.  Under the lock.
 */
static int begin(struct pins *p, unsigned flags, MDB_txn **out)
{
	int rc = p->env ? mdb_txn_begin(p->env, NULL, flags, out) : MDB_PANIC;

	if (rc != MDB_PANIC)
		return rc;
	if (p->env)
		mdb_env_close(p->env);
	p->env = NULL;
	if (!map_env(p, p->dir, p->write ? 0 : MDB_RDONLY) && !open_table(p, false, false))
		return mdb_txn_begin(p->env, NULL, flags, out);
	if (p->env)
		mdb_env_close(p->env);
	p->env = NULL;
	return EIO;
}

static int open_in(struct pins **out, const char *dir, bool write, bool create)
{
	struct pins *p = calloc(1, sizeof *p);
	int r;

	if (!p)
		return -ENOMEM;
	pthread_mutex_init(&p->lock, NULL);
	p->write = write;
	p->dir = strdup(dir);
	r = p->dir ? map_env(p, dir, write ? 0 : MDB_RDONLY) : -ENOMEM;
	if (!r)
		r = open_table(p, write, create);
	if (r < 0) {
		pins_close(p);
		return r;
	}
	*out = p;
	return 0;
}

int pins_open(struct pins **out, const char *dir, bool write)
{
	char file[4096];
	struct stat st;

	if (stat(dir, &st) < 0)
		return -errno;
	if (snprintf(file, sizeof file, "%s/data.mdb", dir) >= (int)sizeof file)
		return -ENAMETOOLONG;
	/* LMDB would take an absent file for a wish to begin anew. */
	if (stat(file, &st) < 0)
		return errno == ENOENT ? ERR_CORRUPT : -errno;
	return st.st_size ? open_in(out, dir, write, false) : ERR_CORRUPT;
}

int pins_create(struct pins **out, const char *dir)
{
	return open_in(out, dir, true, true);
}

void pins_close(struct pins *p)
{
	if (!p)
		return;
	if (p->env)
		mdb_env_close(p->env);
	pthread_mutex_destroy(&p->lock);
	free(p->dir);
	free(p);
}

static size_t put_cid(uint8_t *key, const struct cid *cid)
{
	size_t n = cid_encode(cid, key + 1);

	key[0] = (uint8_t)n;
	return n + 1;
}

static uint64_t check_of(const MDB_val *key, const uint8_t *rest)
{
	return XXH3_64bits_withSeed(rest, VALUE_SIZE - 8,
				    XXH3_64bits(key->mv_data, key->mv_size));
}

static bool name_is_good(const char *name)
{
	for (const unsigned char *c = (const unsigned char *)name; *c; c++)
		if (*c < 0x20 || *c == 0x7f)
			return false;
	return true;
}

int pins_add(struct pins *p, const struct cid *cid, enum pin_mode mode, const char *name)
{
	uint8_t key[KEY_MAX], value[VALUE_SIZE];
	size_t name_len = strlen(name), at = put_cid(key, cid);
	MDB_val k = { at + name_len, key }, v = { sizeof value, value };
	uint64_t now = (uint64_t)time(NULL), check;
	MDB_txn *txn = NULL;
	int rc;

	if (name_len > PIN_NAME_MAX || k.mv_size > 511)
		return -ENAMETOOLONG;
	if (!name_is_good(name))
		return -EINVAL;
	memcpy(key + at, name, name_len);
	value[8] = (uint8_t)mode;
	for (int i = 0; i < 8; i++)
		value[9 + i] = (uint8_t)(now >> (8 * i));
	check = check_of(&k, value + 8);
	for (int i = 0; i < 8; i++)
		value[i] = (uint8_t)(check >> (8 * i));

	pthread_mutex_lock(&p->lock);
	rc = begin(p, 0, &txn);
	if (!rc) {
		rc = mdb_put(txn, p->dbi, &k, &v, 0);
		if (rc)
			mdb_txn_abort(txn);
		else
			rc = mdb_txn_commit(txn);
	}
	pthread_mutex_unlock(&p->lock);
	return mdb_error(rc);
}

/* An entry as a pin: 0 or ERR_CORRUPT. */
static int read_pin(const MDB_val *k, const MDB_val *v, struct pin *out)
{
	struct cursor in = cursor_over(k->mv_data, k->mv_size);
	struct cursor value = cursor_over(v->mv_data, v->mv_size);
	uint64_t check = cursor_u64le(&value);
	uint8_t mode = cursor_u8(&value);
	size_t n = cursor_u8(&in);
	const uint8_t *cid = cursor_take(&in, n);

	out->time = cursor_u64le(&value);
	if (!cid || !cursor_done(&value) || cursor_left(&in) > PIN_NAME_MAX ||
	    (mode != PIN_RECURSIVE && mode != PIN_DIRECT) || cid_decode(&out->cid, cid, n) < 0 ||
	    check != check_of(k, (const uint8_t *)v->mv_data + 8))
		return ERR_CORRUPT;
	out->mode = mode;
	n = cursor_left(&in);
	memcpy(out->name, in.p, n);
	out->name[n] = 0;
	return 0;
}

/* The cursor at the first pin of a CID, and on; 0, MDB_NOTFOUND or an error. */
static int next_of(MDB_cursor *c, const uint8_t *prefix, size_t n, bool first, MDB_val *k,
		   MDB_val *v)
{
	int rc;

	*k = (MDB_val){ n, (void *)prefix };
	rc = mdb_cursor_get(c, k, v, first ? MDB_SET_RANGE : MDB_NEXT);
	if (!rc && (k->mv_size < n || memcmp(k->mv_data, prefix, n) != 0))
		rc = MDB_NOTFOUND;
	return rc;
}

int pins_remove(struct pins *p, const struct cid *cid, const char *name)
{
	uint8_t prefix[1 + CID_SIZE_MAX];
	size_t n = put_cid(prefix, cid);
	size_t name_len = name ? strlen(name) : 0;
	MDB_cursor *c = NULL;
	MDB_txn *txn = NULL;
	MDB_val k, v;
	int rc, count = 0;

	pthread_mutex_lock(&p->lock);
	rc = begin(p, 0, &txn);
	if (rc)
		goto out;
	rc = mdb_cursor_open(txn, p->dbi, &c);
	if (!rc)
		rc = next_of(c, prefix, n, true, &k, &v);
	while (!rc) {
		if (!name || (k.mv_size - n == name_len &&
			      !memcmp((uint8_t *)k.mv_data + n, name, name_len))) {
			rc = mdb_cursor_del(c, 0);
			count += !rc;
		}
		if (!rc)
			rc = next_of(c, prefix, n, false, &k, &v);
	}
	if (c)
		mdb_cursor_close(c);
	if (rc == MDB_NOTFOUND)
		rc = 0;
	if (rc || !count)
		mdb_txn_abort(txn);
	else
		rc = mdb_txn_commit(txn);
out:
	pthread_mutex_unlock(&p->lock);
	return rc ? mdb_error(rc) : count;
}

int pins_has(struct pins *p, const struct cid *cid)
{
	uint8_t prefix[1 + CID_SIZE_MAX];
	size_t n = put_cid(prefix, cid);
	MDB_cursor *c = NULL;
	MDB_txn *txn = NULL;
	MDB_val k, v;
	int rc;

	pthread_mutex_lock(&p->lock);
	rc = begin(p, MDB_RDONLY, &txn);
	if (!rc)
		rc = mdb_cursor_open(txn, p->dbi, &c);
	if (!rc) {
		rc = next_of(c, prefix, n, true, &k, &v);
		mdb_cursor_close(c);
	}
	if (txn)
		mdb_txn_abort(txn);
	pthread_mutex_unlock(&p->lock);
	return rc == MDB_NOTFOUND ? 0 : rc ? mdb_error(rc) : 1;
}

/* All of them, behind each other: u16 bytes of the key | key | value. */
static int copy_all(struct pins *p, struct buf *out)
{
	MDB_cursor *c = NULL;
	MDB_txn *txn = NULL;
	MDB_val k, v;
	int rc;

	pthread_mutex_lock(&p->lock);
	rc = begin(p, MDB_RDONLY, &txn);
	if (!rc)
		rc = mdb_cursor_open(txn, p->dbi, &c);
	while (!rc && !(rc = mdb_cursor_get(c, &k, &v, MDB_NEXT))) {
		if (v.mv_size != VALUE_SIZE) {
			rc = MDB_CORRUPTED;
			break;
		}
		buf_u16be(out, (uint16_t)k.mv_size);
		buf_append(out, k.mv_data, k.mv_size);
		buf_append(out, v.mv_data, v.mv_size);
	}
	if (c)
		mdb_cursor_close(c);
	if (txn)
		mdb_txn_abort(txn);
	pthread_mutex_unlock(&p->lock);
	if (rc && rc != MDB_NOTFOUND)
		return mdb_error(rc);
	return out->failed ? -ENOMEM : 0;
}

int pins_each(struct pins *p, int (*each)(void *arg, const struct pin *pin), void *arg)
{
	struct buf all = { 0 };
	int r = copy_all(p, &all);
	struct cursor in = cursor_over(all.data, all.len);

	while (!r && cursor_left(&in)) {
		size_t n = (size_t)cursor_u8(&in) << 8;
		n |= cursor_u8(&in);
		MDB_val k = { n, (void *)cursor_take(&in, n) };
		MDB_val v = { VALUE_SIZE, (void *)cursor_take(&in, VALUE_SIZE) };
		struct pin pin;

		r = read_pin(&k, &v, &pin);
		if (!r)
			r = each(arg, &pin);
	}
	buf_release(&all);
	return r;
}
