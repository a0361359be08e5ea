#include "fs/inode.h"

#include "store/error.h"

#include <assert.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

struct inode {
	struct inode *next_id, *next_key; /* chains of the two tables */
	uint64_t id, key;
	uint64_t lookups;
	uint64_t size;
	uint64_t claimed; /* the size in its key; a resize leaves it */
	uint64_t parent, pos;
	int64_t mtime;
	uint8_t *cid; /* binary */
	uint32_t mtime_nsec, version;
	uint16_t mode;
	uint8_t cid_len, kind, name_len;
	bool placed; /* found by (parent, name) */
	char name[]; /* of directories */
};

struct inodes {
	pthread_mutex_t lock;
	struct inode **by_id, **by_key;
	size_t mask, count;
	void (*on_tree)(void *arg);
	void *on_tree_arg;
};

/* 1..15 are fixed numbers; the sign bit is left out for programs that print d_ino signed.
 */
static uint64_t usable(uint64_t hash)
{
	hash &= INT64_MAX;
	return hash < INODE_FIRST ? hash + INODE_FIRST : hash;
}

static uint64_t file_key(const uint8_t *cid, size_t cid_len, uint64_t size, uint16_t mode,
			 int64_t mtime, uint32_t nsec)
{
	uint64_t seed = size ^ (uint64_t)mtime * 0x9e3779b97f4a7c15u ^
			((uint64_t)mode << 32 | nsec) * 0xc2b2ae3d27d4eb4fu;

	return usable(XXH3_64bits_withSeed(cid, cid_len, seed));
}

/* Nothing may be written here, and setuid bits of strangers mean nothing. */
static uint16_t shown_mode(const struct dag_attr *a)
{
	return a->mode & 0777 & ~0222u;
}

uint64_t inode_file_id(const struct cid *cid, const struct dag_attr *a)
{
	uint8_t bin[CID_SIZE_MAX];
	size_t len = cid_encode(cid, bin);

	return file_key(bin, len, a->size, shown_mode(a), a->mtime, a->mtime_nsec);
}

uint64_t inode_dir_id(uint64_t parent, const char *name, size_t name_len)
{
	return usable(XXH3_64bits_withSeed(name, name_len, parent));
}

static struct inode **id_slot(struct inodes *t, uint64_t id)
{
	return &t->by_id[id & t->mask];
}

static struct inode **key_slot(struct inodes *t, uint64_t key)
{
	return &t->by_key[key & t->mask];
}

static struct inode *find(struct inodes *t, uint64_t id)
{
	struct inode *i = *id_slot(t, id);

	while (i && i->id != id)
		i = i->next_id;
	return i;
}

static void link_key(struct inodes *t, struct inode *i)
{
	struct inode **slot = key_slot(t, i->key);

	i->next_key = *slot;
	*slot = i;
	i->placed = true;
}

static void unlink_key(struct inodes *t, struct inode *i)
{
	struct inode **at = key_slot(t, i->key);

	if (!i->placed)
		return;
	while (*at != i)
		at = &(*at)->next_key;
	*at = i->next_key;
	i->placed = false;
}

static void grow(struct inodes *t)
{
	size_t mask = t->mask * 2 + 1;
	struct inode **by_id = calloc(mask + 1, sizeof *by_id);
	struct inode **by_key = calloc(mask + 1, sizeof *by_key);
	struct inode **old = t->by_id;

	if (!by_id || !by_key) { /* longer chains then */
		free(by_id);
		free(by_key);
		return;
	}
	free(t->by_key);
	t->by_id = by_id;
	t->by_key = by_key;
	for (size_t n = 0, end = t->mask + 1; n < end; n++) {
		struct inode *i = old[n], *next;

		for (; i; i = next) {
			next = i->next_id;
			i->next_id = by_id[i->id & mask];
			by_id[i->id & mask] = i;
			if (i->placed) {
				i->next_key = by_key[i->key & mask];
				by_key[i->key & mask] = i;
			}
		}
	}
	t->mask = mask;
	free(old);
}

static int set_cid(struct inode *i, const struct cid *cid)
{
	uint8_t bin[CID_SIZE_MAX];
	size_t len = cid_encode(cid, bin);
	uint8_t *copy = malloc(len);

	if (!copy)
		return -ENOMEM;
	memcpy(copy, bin, len);
	free(i->cid);
	i->cid = copy;
	i->cid_len = len;
	return 0;
}

static void set_attr(struct inode *i, const struct dag_attr *a)
{
	i->kind = a->type == DAG_DIR       ? INODE_DIR
		  : a->type == DAG_SYMLINK ? INODE_SYMLINK
					   : INODE_FILE;
	i->size = i->claimed = a->type == DAG_DIR ? 0 : a->size;
	i->mode = a->type == DAG_SYMLINK ? 0777 : shown_mode(a);
	i->mtime = a->mtime;
	i->mtime_nsec = a->mtime_nsec;
}

static void drop(struct inodes *t, struct inode *i)
{
	struct inode **at = id_slot(t, i->id);

	while (*at != i)
		at = &(*at)->next_id;
	*at = i->next_id;
	unlink_key(t, i);
	t->count--;
	free(i->cid);
	free(i);
}

/* A new inode of key `key`; its number is the key, or the next that is free. */
static struct inode *add(struct inodes *t, uint64_t key, const struct cid *cid,
			 const char *name, size_t name_len)
{
	struct inode *i = calloc(1, sizeof *i + name_len + 1);
	struct inode **slot;

	if (!i)
		return NULL;
	if (cid && set_cid(i, cid) < 0) {
		free(i);
		return NULL;
	}
	if (t->count > t->mask)
		grow(t);
	i->key = i->id = key;
	while (find(t, i->id))
		i->id = usable(i->id + 1);
	if (name_len)
		memcpy(i->name, name, name_len);
	i->name_len = name_len;
	slot = id_slot(t, i->id);
	i->next_id = *slot;
	*slot = i;
	link_key(t, i);
	t->count++;
	return i;
}

static void say_new_tree(struct inodes *t)
{
	if (t->on_tree)
		t->on_tree(t->on_tree_arg);
}

/* Below /ipfs and /ipns everything is a tree of its own. */
static bool is_top(uint64_t parent)
{
	return parent == INODE_IPFS || parent == INODE_IPNS;
}

static void describe(const struct inode *i, struct inode_info *out)
{
	out->id = i->id;
	out->kind = i->kind;
	out->mode = i->mode;
	out->mtime = i->mtime;
	out->mtime_nsec = i->mtime_nsec;
	out->size = i->size;
	out->version = i->version;
	out->parent = i->parent;
	out->pos = i->pos;
	if (i->cid) {
		int r = cid_decode(&out->cid, i->cid, i->cid_len);

		assert(r == 0);
		(void)r;
	} else {
		out->cid = (struct cid){ .version = 0xff };
	}
}

int inodes_new(struct inodes **out)
{
	struct inodes *t = calloc(1, sizeof *t);

	if (!t)
		return -ENOMEM;
	t->mask = 255;
	t->by_id = calloc(t->mask + 1, sizeof *t->by_id);
	t->by_key = calloc(t->mask + 1, sizeof *t->by_key);
	pthread_mutex_init(&t->lock, NULL);
	if (!t->by_id || !t->by_key)
		goto nomem;
	for (uint64_t id = INODE_ROOT; id <= INODE_FOLDERS; id++) {
		static const char *const names[] = {
			[INODE_IPFS] = "ipfs",
			[INODE_IPNS] = "ipns",
			[INODE_SHELF] = "snapshots",
			[INODE_FOLDERS] = "folders",
		};
		const char *name = names[id] ? names[id] : "";
		struct inode *i = add(t, id, NULL, name, strlen(name));

		if (!i)
			goto nomem;
		unlink_key(t, i);
		i->lookups = 1; /* for ever */
		i->kind = INODE_TOP;
		i->mode = 0555;
		i->parent = id == INODE_ROOT ? 0 : INODE_ROOT;
	}
	*out = t;
	return 0;
nomem:
	inodes_free(t);
	return -ENOMEM;
}

void inodes_free(struct inodes *t)
{
	if (!t)
		return;
	for (size_t n = 0; t->by_id && n <= t->mask; n++) {
		struct inode *i = t->by_id[n], *next;

		for (; i; i = next) {
			next = i->next_id;
			free(i->cid);
			free(i);
		}
	}
	free(t->by_id);
	free(t->by_key);
	pthread_mutex_destroy(&t->lock);
	free(t);
}

int inodes_set_root(struct inodes *t, const struct cid *cid, const struct dag_attr *a)
{
	struct inode *i;
	int r;

	pthread_mutex_lock(&t->lock);
	i = find(t, INODE_ROOT);
	r = set_cid(i, cid);
	if (r == 0)
		set_attr(i, a);
	say_new_tree(t);
	pthread_mutex_unlock(&t->lock);
	return r;
}

int inodes_file(struct inodes *t, const struct cid *cid, const struct dag_attr *a,
		uint64_t parent, uint64_t pos, struct inode_info *out)
{
	uint8_t bin[CID_SIZE_MAX];
	size_t len = cid_encode(cid, bin);
	uint64_t key =
	    file_key(bin, len, a->size, shown_mode(a), a->mtime, a->mtime_nsec);
	struct inode *i;

	pthread_mutex_lock(&t->lock);
	for (i = *key_slot(t, key); i; i = i->next_key) {
		if (i->key == key && i->cid_len == len && !memcmp(i->cid, bin, len) &&
		    i->claimed == a->size && i->mtime == a->mtime &&
		    i->mtime_nsec == a->mtime_nsec &&
		    (i->kind == INODE_SYMLINK || i->mode == shown_mode(a)) &&
		    i->kind != INODE_DIR)
			break;
	}
	if (!i) {
		i = add(t, key, cid, NULL, 0);
		if (i)
			set_attr(i, a);
		if (is_top(parent))
			say_new_tree(t);
	}
	if (i) {
		i->lookups++;
		i->parent = parent;
		i->pos = pos;
		describe(i, out);
	}
	pthread_mutex_unlock(&t->lock);
	return i ? 0 : -ENOMEM;
}

int inodes_dir(struct inodes *t, uint64_t parent, uint32_t version, const char *name,
	       size_t name_len, const struct cid *cid, const struct dag_attr *a,
	       uint64_t pos, struct inode_info *out)
{
	uint64_t key = inode_dir_id(parent, name, name_len);
	uint8_t bin[CID_SIZE_MAX];
	size_t len = cid_encode(cid, bin);
	struct inode *p, *i;
	int r = 0;

	assert(name_len <= NAME_MAX_BYTES);
	pthread_mutex_lock(&t->lock);
	p = find(t, parent);
	if (!p || p->version != version) {
		r = -EAGAIN;
		goto out;
	}
	for (i = *key_slot(t, key); i; i = i->next_key) {
		if (i->key == key && i->kind == INODE_DIR && i->parent == parent &&
		    i->name_len == name_len && !memcmp(i->name, name, name_len))
			break;
	}
	if (i && (i->cid_len != len || memcmp(i->cid, bin, len))) {
		/* The kernel still holds the directory that was here before. */
		unlink_key(t, i);
		i = NULL;
	}
	if (!i) {
		i = add(t, key, cid, name, name_len);
		if (!i) {
			r = -ENOMEM;
			goto out;
		}
		set_attr(i, a);
		i->parent = parent;
		if (is_top(parent))
			say_new_tree(t);
	}
	i->lookups++;
	if (pos)
		i->pos = pos;
	describe(i, out);
out:
	pthread_mutex_unlock(&t->lock);
	return r;
}

int inodes_get(struct inodes *t, uint64_t id, struct inode_info *out)
{
	struct inode *i;

	pthread_mutex_lock(&t->lock);
	i = find(t, id);
	if (i)
		describe(i, out);
	pthread_mutex_unlock(&t->lock);
	return i ? 0 : -ESTALE;
}

void inodes_forget(struct inodes *t, uint64_t id, uint64_t n)
{
	struct inode *i;

	pthread_mutex_lock(&t->lock);
	i = id >= INODE_FIRST ? find(t, id) : NULL;
	if (i) {
		i->lookups -= n < i->lookups ? n : i->lookups;
		if (i->lookups == 0)
			drop(t, i);
	}
	pthread_mutex_unlock(&t->lock);
}

void inodes_resize(struct inodes *t, uint64_t id, uint64_t size)
{
	struct inode *i;

	pthread_mutex_lock(&t->lock);
	i = find(t, id);
	if (i)
		i->size = size;
	pthread_mutex_unlock(&t->lock);
}

bool inodes_top(struct inodes *t, uint64_t id, struct cid *out)
{
	struct inode *i;
	bool known = false;

	pthread_mutex_lock(&t->lock);
	i = find(t, id);
	while (i && i->id != INODE_ROOT && i->parent && !inode_has_tops(i->parent))
		i = find(t, i->parent);
	if (i && i->cid)
		known = cid_decode(out, i->cid, i->cid_len) == 0;
	pthread_mutex_unlock(&t->lock);
	return known;
}

void inodes_path(struct inodes *t, uint64_t id, char *out, size_t max)
{
	size_t at = max - 1;
	struct inode *i;

	/* From the end; a file keeps no name, so its directory must do. */
	out[at] = 0;
	pthread_mutex_lock(&t->lock);
	for (i = find(t, id); i && i->id != INODE_ROOT; i = find(t, i->parent)) {
		if (at < (size_t)i->name_len + 1)
			break;
		at -= i->name_len;
		memcpy(out + at, i->name, i->name_len);
		if (i->name_len || i->kind != INODE_DIR)
			out[--at] = '/';
	}
	pthread_mutex_unlock(&t->lock);
	if (at == max - 1 && at > 0)
		out[--at] = '/';
	memmove(out, out + at, max - at);
}

uint64_t inodes_count(struct inodes *t)
{
	uint64_t n;

	pthread_mutex_lock(&t->lock);
	n = t->count;
	pthread_mutex_unlock(&t->lock);
	return n;
}

int inodes_places(struct inodes *t, struct inode_place **out, size_t *n)
{
	struct inode_place *p;
	size_t count = 0;
	int r = 0;

	pthread_mutex_lock(&t->lock);
	p = calloc(t->count + 1, sizeof *p);
	if (!p)
		r = -ENOMEM;
	for (size_t slot = 0; r == 0 && slot <= t->mask; slot++) {
		for (struct inode *i = t->by_id[slot]; i; i = i->next_id) {
			if (i->kind != INODE_DIR || !(i->placed || i->id == INODE_ROOT))
				continue;
			p[count].id = i->id;
			p[count].parent = i->parent;
			p[count].name = strndup(i->name, i->name_len);
			if (!p[count].name ||
			    cid_decode(&p[count].cid, i->cid, i->cid_len) < 0) {
				r = -ENOMEM;
				break;
			}
			count++;
		}
	}
	pthread_mutex_unlock(&t->lock);
	if (r < 0) {
		inode_places_free(p, count + 1);
		return r;
	}
	*out = p;
	*n = count;
	return 0;
}

void inode_places_free(struct inode_place *p, size_t n)
{
	if (!p)
		return;
	for (size_t i = 0; i < n; i++)
		free(p[i].name);
	free(p);
}

int inodes_move(struct inodes *t, const struct inode_move *moves, size_t n)
{
	uint8_t **cids = calloc(n + 1, sizeof *cids);
	int r = 0;

	if (!cids)
		return -ENOMEM;
	for (size_t k = 0; k < n && r == 0; k++) {
		cids[k] = malloc(CID_SIZE_MAX);
		if (!cids[k])
			r = -ENOMEM;
	}
	if (r < 0)
		goto out;

	pthread_mutex_lock(&t->lock);
	for (size_t k = 0; k < n; k++) {
		struct inode *i = find(t, moves[k].id);

		if (!i)
			continue;
		i->version++;
		if (moves[k].gone) {
			unlink_key(t, i);
			continue;
		}
		free(i->cid);
		i->cid = cids[k];
		i->cid_len = cid_encode(&moves[k].cid, i->cid);
		set_attr(i, &moves[k].attr);
		cids[k] = NULL;
	}
	say_new_tree(t);
	pthread_mutex_unlock(&t->lock);
out:
	for (size_t k = 0; k < n; k++)
		free(cids[k]);
	free(cids);
	return r;
}

int inodes_cids(struct inodes *t, int (*each)(void *arg, const struct cid *cid), void *arg)
{
	struct cid cid;
	int r = 0;

	pthread_mutex_lock(&t->lock);
	for (size_t slot = 0; slot <= t->mask && !r; slot++)
		for (struct inode *i = t->by_id[slot]; i && !r; i = i->next_id)
			if (i->cid_len && cid_decode(&cid, i->cid, i->cid_len) == 0)
				r = each(arg, &cid);
	pthread_mutex_unlock(&t->lock);
	return r;
}

void inodes_on_tree(struct inodes *t, void (*fn)(void *arg), void *arg)
{
	pthread_mutex_lock(&t->lock);
	t->on_tree = fn;
	t->on_tree_arg = arg;
	pthread_mutex_unlock(&t->lock);
}
