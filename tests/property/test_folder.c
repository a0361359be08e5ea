/*
 * A writable folder against a model in memory: random operations, with the folder
 * opened again after a clean end, after a kill (the files as they are) and after a
 * power cut (the log ends anywhere behind the last sync).  Results, errors, and the
 * whole tree have to be the same; after a power cut, the tree of some moment since
 * the last sync.
 *
 * CAIRN_FOLDER_STEPS gives the number of operations, CAIRN_FOLDER_SEED the start.
 */
#include "fs/folder_internal.h"
#include "fs/snapshot.h"
#include "store/edit_dir.h"
#include "store/edit_file.h"
#include "store/error.h"
#include "store/log.h"
#include "tests/helpers/block_table.h"
#include "tests/scratch.h"

#include <dirent.h>
#include <linux/falloc.h>
#include <sys/xattr.h>
#include <xxhash.h>

#define NODES	 160
#define CHILDREN 24
#define FILE_MAX 60000u
#define XATTRS	 3
#define HISTORY	 4096

/* ---- the model ---- */

struct child {
	char name[8];
	struct thing *node; /* NULL: free */
};

struct thing {
	bool used;
	uint64_t ino;
	mode_t mode; /* with the type */
	unsigned nlink;
	uint64_t known;
	uint8_t *data; /* FILE_MAX bytes; zero behind size */
	uint64_t size;
	char target[8];
	uint8_t xattr[XATTRS][32];
	int xattr_len[XATTRS]; /* -1: none */
	struct thing *parent;   /* of a directory */
	struct child children[CHILDREN];
};

static struct thing nodes[NODES];
static char dir[SCRATCH_MAX], copy_dir[SCRATCH_MAX];
static struct folder *f;
static uint64_t random_state, step;
static struct lack lack;
static const struct folder_caller me = { 7, 8, 022 };
static uint64_t history[HISTORY]; /* digests since the last sync */
static size_t n_history;
static uint32_t synced_segment;
static uint64_t synced_size;

static struct block_table blocks;
static struct profile profile; /* small, so that there are trees and shards */
static struct frozen *frozen;
static uint64_t frozen_digest, changes, frozen_changes;
static struct cid frozen_cid;
static bool without_links; /* in digests */

static uint64_t rnd(uint64_t n)
{
	return scratch_random(&random_state) % n;
}

static struct thing *node_new(void)
{
	for (int i = 1; i < NODES; i++)
		if (!nodes[i].used) {
			struct thing *n = &nodes[i];
			*n = (struct thing){ .used = true };
			for (int x = 0; x < XATTRS; x++)
				n->xattr_len[x] = -1;
			return n;
		}
	return NULL;
}

static void node_drop(struct thing *n)
{
	if (n->nlink || n->known || n == &nodes[0])
		return;
	free(n->data);
	*n = (struct thing){ 0 };
}

static struct child *child_of(struct thing *d, const char *name)
{
	for (int i = 0; i < CHILDREN; i++)
		if (d->children[i].node && !strcmp(d->children[i].name, name))
			return &d->children[i];
	return NULL;
}

static void child_add(struct thing *d, const char *name, struct thing *n)
{
	for (int i = 0; i < CHILDREN; i++)
		if (!d->children[i].node) {
			strcpy(d->children[i].name, name);
			d->children[i].node = n;
			return;
		}
	abort();
}

static bool is_empty(const struct thing *d)
{
	for (int i = 0; i < CHILDREN; i++)
		if (d->children[i].node)
			return false;
	return true;
}

static bool is_below(struct thing *d, struct thing *top)
{
	for (; d; d = d->parent)
		if (d == top)
			return true;
	return false;
}

static unsigned subdirs(const struct thing *d)
{
	unsigned n = 0;

	for (int i = 0; i < CHILDREN; i++)
		n += d->children[i].node && S_ISDIR(d->children[i].node->mode);
	return n;
}

/* ---- digests: the same from the model and from the folder ---- */

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct child *)a)->name, ((const struct child *)b)->name);
}

static void digest_own(XXH3_state_t *x, mode_t mode, unsigned nlink, uint64_t size)
{
	uint64_t v[3] = { mode, S_ISDIR(mode) || without_links ? 0 : nlink,
			  S_ISDIR(mode) ? 0 : size };

	XXH3_64bits_update(x, v, sizeof v);
}

static void digest_model(XXH3_state_t *x, struct thing *n)
{
	digest_own(x, n->mode, n->nlink, n->size);
	for (int i = 0; i < XATTRS; i++) {
		XXH3_64bits_update(x, &n->xattr_len[i], sizeof n->xattr_len[i]);
		if (n->xattr_len[i] > 0)
			XXH3_64bits_update(x, n->xattr[i], (size_t)n->xattr_len[i]);
	}
	if (S_ISREG(n->mode))
		XXH3_64bits_update(x, n->data, n->size);
	if (S_ISLNK(n->mode))
		XXH3_64bits_update(x, n->target, n->size);
	if (!S_ISDIR(n->mode))
		return;
	struct child sorted[CHILDREN];
	int k = 0;
	for (int i = 0; i < CHILDREN; i++)
		if (n->children[i].node)
			sorted[k++] = n->children[i];
	qsort(sorted, (size_t)k, sizeof *sorted, by_name);
	for (int i = 0; i < k; i++) {
		XXH3_64bits_update(x, sorted[i].name, strlen(sorted[i].name) + 1);
		digest_model(x, sorted[i].node);
	}
}

static uint64_t model_digest(void)
{
	XXH3_state_t *x = XXH3_createState();

	XXH3_64bits_reset(x);
	digest_model(x, &nodes[0]);
	uint64_t d = XXH3_64bits_digest(x);
	XXH3_freeState(x);
	return d;
}

struct listed {
	struct {
		char name[256];
		uint64_t ino, next;
		mode_t type;
	} e[2 * CHILDREN];
	int n, stop;
};

static int on_listed(void *arg, const struct folder_entry *e)
{
	struct listed *l = arg;

	if (l->stop-- == 0)
		return 1;
	assert_true(l->n < 2 * CHILDREN);
	snprintf(l->e[l->n].name, 256, "%s", e->name);
	l->e[l->n].ino = e->ino;
	l->e[l->n].type = e->type;
	l->e[l->n].next = e->next;
	l->n++;
	return 0;
}

static int by_listed(const void *a, const void *b)
{
	return strcmp(a, b);
}

static size_t read_all(uint64_t ino, uint64_t from, size_t len, uint8_t *out)
{
	struct folder_bytes b;
	size_t at = 0;

	assert_int_equal(folder_read(f, ino, from, len, &b, &lack), 0);
	for (int i = 0; i < b.n; i++) {
		if (b.pieces[i].data)
			memcpy(out + at, b.pieces[i].data, b.pieces[i].len);
		else
			memset(out + at, 0, b.pieces[i].len);
		at += b.pieces[i].len;
	}
	assert_int_equal(at, b.len);
	folder_bytes_release(&b);
	return at;
}

static const char *const xattr_names[XATTRS] = { "user.a", "user.bb", "trusted.c" };

static void digest_folder(XXH3_state_t *x, uint64_t ino)
{
	static uint8_t data[FILE_MAX];
	struct folder_attr a;
	struct listed l = { .stop = -1 };

	assert_int_equal(folder_stat(f, ino, &a, &lack), 0);
	assert_int_equal(a.st.st_ino, ino);
	digest_own(x, a.st.st_mode, (unsigned)a.st.st_nlink, (uint64_t)a.st.st_size);
	for (int i = 0; i < XATTRS; i++) {
		uint8_t v[64];
		ssize_t n = folder_getxattr(f, ino, xattr_names[i], v, sizeof v, &lack);
		int len = n == -ENODATA ? -1 : (int)n;
		XXH3_64bits_update(x, &len, sizeof len);
		if (len > 0)
			XXH3_64bits_update(x, v, (size_t)len);
	}
	if (S_ISREG(a.st.st_mode)) {
		size_t n = read_all(ino, 0, FILE_MAX, data);
		assert_int_equal(n, a.st.st_size);
		XXH3_64bits_update(x, data, n);
	}
	if (S_ISLNK(a.st.st_mode)) {
		char t[64];
		int n = folder_readlink(f, ino, t, sizeof t, &lack);
		assert_int_equal(n, a.st.st_size);
		XXH3_64bits_update(x, t, (size_t)n);
	}
	if (!S_ISDIR(a.st.st_mode))
		return;
	assert_int_equal(folder_list(f, ino, 0, false, on_listed, &l, &lack), 0);
	qsort(l.e, (size_t)l.n, sizeof l.e[0], by_listed);
	assert_string_equal(l.e[0].name, ".");
	assert_string_equal(l.e[1].name, "..");
	for (int i = 2; i < l.n; i++) {
		struct folder_attr c;
		assert_string_not_equal(l.e[i].name, l.e[i - 1].name);
		assert_int_equal(folder_lookup(f, ino, l.e[i].name, &c, &lack), 0);
		assert_int_equal(c.st.st_ino, l.e[i].ino);
		assert_int_equal(c.st.st_mode & S_IFMT, l.e[i].type);
		XXH3_64bits_update(x, l.e[i].name, strlen(l.e[i].name) + 1);
		digest_folder(x, l.e[i].ino);
		folder_forget(f, l.e[i].ino, 1);
	}
}

static uint64_t folder_digest(void)
{
	XXH3_state_t *x = XXH3_createState();

	XXH3_64bits_reset(x);
	digest_folder(x, FOLDER_ROOT);
	uint64_t d = XXH3_64bits_digest(x);
	XXH3_freeState(x);
	return d;
}

/* Link counts of directories, numbers, and what is open without a name. */
static void check_nodes(void)
{
	static uint8_t data[FILE_MAX];

	for (int i = 0; i < NODES; i++) {
		struct thing *n = &nodes[i];
		struct folder_attr a;

		if (!n->used || (!n->known && n != &nodes[0]))
			continue;
		assert_int_equal(folder_stat(f, n->ino, &a, &lack), 0);
		assert_int_equal(a.st.st_mode, n->mode);
		if (!S_ISDIR(n->mode))
			assert_int_equal(a.st.st_nlink, n->nlink);
		else if (n->nlink && a.st.st_nlink != 1)
			assert_int_equal(a.st.st_nlink, 2 + subdirs(n));
		if (S_ISREG(n->mode) && !n->nlink) {
			assert_int_equal(read_all(n->ino, 0, FILE_MAX, data), n->size);
			assert_memory_equal(data, n->data, n->size);
		}
	}
}

/* ---- the folder ---- */

static void open_folder(void)
{
	struct folder_config cfg = { .dir = dir,
				     .source = &blocks.source,
				     .profile = &profile };
	struct cid none = { .version = 0xff };

	folder_keeper_rests = true;
	assert_int_equal(folder_open(&f, &cfg, &none, &none), 0);
}

static void mark_synced(void)
{
	struct log_segment_state s = { 0 };

	synced_segment = 0;
	synced_size = 0;
	while (folder_log_segment(f->log, s.number + 1, &s)) {
		synced_segment = s.number;
		synced_size = s.size;
	}
	n_history = 0;
	history[n_history++] = model_digest();
}

static void done(void)
{
	changes++;
	if (n_history == HISTORY) {
		assert_int_equal(folder_sync(f), 0);
		mark_synced();
	} else {
		history[n_history++] = model_digest();
	}
}

/* Nothing is known any more; what had no name is gone. */
static void forget_all(void)
{
	for (int i = 0; i < NODES; i++) {
		nodes[i].known = 0;
		if (nodes[i].used)
			node_drop(&nodes[i]);
	}
}

static void copy_file(const char *from, const char *to)
{
	char cmd[3 * SCRATCH_MAX];

	snprintf(cmd, sizeof cmd, "cp -r --sparse=auto %s/. %s/", from, to);
	assert_int_equal(system(cmd), 0);
}

/* A snapshot that does not come about. */
static void give_up(void)
{
	if (frozen)
		folder_unfreeze(f, frozen);
	frozen = NULL;
}

/* The files as they are now, in place of the folder's directory. */
static void die(void)
{
	char swap[SCRATCH_MAX];

	scratch_make(copy_dir);
	copy_file(dir, copy_dir);
	give_up();
	assert_int_equal(folder_close(f), 0);
	scratch_remove(dir);
	memcpy(swap, dir, sizeof swap);
	memcpy(dir, copy_dir, sizeof swap);
}

/* Cut the log somewhere behind what was synced, and make what is left at the end
 * untrue now and then. */
static void cut_power(void)
{
	struct log_segment_state s = { 0 };
	struct {
		uint32_t number;
		uint64_t from, to;
	} open[64];
	size_t n = 0;
	uint64_t total = 0, at;
	char path[SCRATCH_MAX + 64];

	while (folder_log_segment(f->log, s.number + 1, &s)) {
		uint64_t from = s.number == synced_segment  ? synced_size
				: s.number > synced_segment ? 0
							    : s.size;
		if (from >= s.size)
			continue;
		open[n].number = s.number;
		open[n].from = from;
		open[n++].to = s.size;
		total += s.size - from;
	}
	die();
	at = total ? rnd(total + 1) : 0;
	for (size_t i = 0; i < n; i++) {
		uint64_t bytes = open[i].to - open[i].from;
		snprintf(path, sizeof path, "%s/log/%08u", dir, open[i].number);
		if (at >= bytes) {
			at -= bytes;
			continue;
		}
		assert_int_equal(truncate(path, (off_t)(open[i].from + at)), 0);
		if (at && rnd(4) == 0) {
			FILE *w = fopen(path, "r+b");
			fseek(w, (long)(open[i].from + rnd(at)), SEEK_SET);
			fputc((int)rnd(256), w);
			fclose(w);
		}
		for (i++; i < n; i++) {
			snprintf(path, sizeof path, "%s/log/%08u", dir, open[i].number);
			if (rnd(2))
				unlink(path);
		}
	}
}

/* Make the model what the folder is. */
static void learn(struct thing *d)
{
	struct listed l = { .stop = -1 };

	assert_int_equal(folder_list(f, d->ino, 2, false, on_listed, &l, &lack), 0);
	for (int i = 0; i < l.n; i++) {
		struct folder_attr a;
		struct thing *n = NULL;

		assert_int_equal(folder_lookup(f, d->ino, l.e[i].name, &a, &lack), 0);
		folder_forget(f, a.st.st_ino, 1);
		for (int k = 1; k < NODES; k++)
			if (nodes[k].used && nodes[k].ino == a.st.st_ino)
				n = &nodes[k];
		if (n) {
			child_add(d, l.e[i].name, n);
			continue;
		}
		n = node_new();
		assert_non_null(n);
		n->ino = a.st.st_ino;
		n->mode = a.st.st_mode;
		n->nlink = S_ISDIR(n->mode) ? 1 : (unsigned)a.st.st_nlink;
		n->size = S_ISDIR(n->mode) ? 0 : (uint64_t)a.st.st_size;
		for (int x = 0; x < XATTRS; x++) {
			ssize_t len = folder_getxattr(f, n->ino, xattr_names[x], n->xattr[x],
						      sizeof n->xattr[x], &lack);
			n->xattr_len[x] = len < 0 ? -1 : (int)len;
		}
		child_add(d, l.e[i].name, n);
		if (S_ISREG(n->mode)) {
			n->data = calloc(1, FILE_MAX);
			read_all(n->ino, 0, FILE_MAX, n->data);
		} else if (S_ISLNK(n->mode)) {
			folder_readlink(f, n->ino, n->target, sizeof n->target, &lack);
		} else if (S_ISDIR(n->mode)) {
			n->parent = d;
			learn(n);
		}
	}
}

static void relearn(void)
{
	struct folder_attr a;

	for (int i = 1; i < NODES; i++) {
		free(nodes[i].data);
		nodes[i] = (struct thing){ 0 };
	}
	memset(nodes[0].children, 0, sizeof nodes[0].children);
	assert_int_equal(folder_stat(f, FOLDER_ROOT, &a, &lack), 0);
	nodes[0].mode = a.st.st_mode;
	for (int x = 0; x < XATTRS; x++) {
		ssize_t len = folder_getxattr(f, FOLDER_ROOT, xattr_names[x], nodes[0].xattr[x],
					      sizeof nodes[0].xattr[x], &lack);
		nodes[0].xattr_len[x] = len < 0 ? -1 : (int)len;
	}
	learn(&nodes[0]);
}

/* ---- operations ---- */

static struct thing *any_node(bool is_dir)
{
	for (int tries = 0; tries < 200; tries++) {
		struct thing *n = &nodes[rnd(NODES)];

		if (!n->used || (is_dir && !S_ISDIR(n->mode)))
			continue;
		/* What is not known has to be looked up first. */
		if (n->known || n == &nodes[0])
			return n;
	}
	return &nodes[0];
}

static const char *any_name(void)
{
	static const char *const names[] = { "a", "b", "c", "d", "e", "f", "g", "hhhh", "i", "j" };

	return names[rnd(10)];
}

static bool full(const struct thing *d)
{
	int n = 0;

	for (int i = 0; i < CHILDREN; i++)
		n += d->children[i].node != NULL;
	return n >= CHILDREN - 2;
}

static void op_lookup(void)
{
	struct thing *d = any_node(true);
	const char *name = any_name();
	struct child *c = child_of(d, name);
	struct folder_attr a;
	int r = folder_lookup(f, d->ino, name, &a, &lack);

	assert_int_equal(r, c ? 0 : -ENOENT);
	if (r)
		return;
	assert_int_equal(a.st.st_ino, c->node->ino);
	assert_int_equal(a.st.st_mode, c->node->mode);
	c->node->known++;
}

static void op_make(void)
{
	static const mode_t types[] = { S_IFREG, S_IFREG, S_IFREG, S_IFREG, S_IFDIR,
					S_IFDIR, S_IFLNK, S_IFIFO };
	struct thing *d = any_node(true), *n;
	const char *name = any_name();
	struct folder_new what = { .mode = types[rnd(8)] | (mode_t)rnd(0777), .target = any_name() };
	struct folder_attr a;
	int expect = !d->nlink && d != &nodes[0] ? -ENOENT : child_of(d, name) ? -EEXIST : 0;

	n = node_new();
	if (!n || full(d)) {
		if (n)
			n->used = false;
		return;
	}
	assert_int_equal(folder_make(f, &me, d->ino, name, &what, &a, &lack), expect);
	if (expect) {
		n->used = false;
		return;
	}
	n->ino = a.st.st_ino;
	for (int i = 0; i < NODES; i++)
		assert_true(&nodes[i] == n || !nodes[i].used || nodes[i].ino != n->ino);
	n->mode = S_ISLNK(what.mode) ? S_IFLNK | 0777 : what.mode & ~(mode_t)022;
	if (S_ISDIR(n->mode))
		n->mode |= d->mode & S_ISGID;
	assert_int_equal(a.st.st_mode, n->mode);
	assert_int_equal(a.st.st_uid, 7);
	n->nlink = n->known = 1;
	if (S_ISREG(n->mode))
		n->data = calloc(1, FILE_MAX);
	if (S_ISLNK(n->mode)) {
		strcpy(n->target, what.target);
		n->size = strlen(n->target);
	}
	if (S_ISDIR(n->mode))
		n->parent = d;
	child_add(d, name, n);
	done();
}

static void op_tmpfile(void)
{
	struct thing *n = node_new();
	struct folder_attr a;

	if (!n)
		return;
	assert_int_equal(folder_tmpfile(f, &me, FOLDER_ROOT, 0600, &a, &lack), 0);
	n->ino = a.st.st_ino;
	n->mode = S_IFREG | 0600;
	n->known = 1;
	n->data = calloc(1, FILE_MAX);
	done();
}

static void op_link(void)
{
	struct thing *n = any_node(false), *d = any_node(true);
	const char *name = any_name();
	struct folder_attr a;
	int expect = !d->nlink && d != &nodes[0] ? -ENOENT
		     : S_ISDIR(n->mode)		? -EPERM
		     : child_of(d, name)	? -EEXIST
						: 0;

	if (full(d))
		return;
	assert_int_equal(folder_link(f, n->ino, d->ino, name, &a, &lack), expect);
	if (expect)
		return;
	n->nlink++;
	n->known++;
	assert_int_equal(a.st.st_nlink, n->nlink);
	child_add(d, name, n);
	done();
}

static void op_remove(void)
{
	struct thing *d = any_node(true);
	const char *name = any_name();
	struct child *c = child_of(d, name);
	bool is_dir = rnd(2);
	int expect = !d->nlink && d != &nodes[0]	      ? -ENOENT
		     : !c				      ? -ENOENT
		     : is_dir && !S_ISDIR(c->node->mode)      ? -ENOTDIR
		     : !is_dir && S_ISDIR(c->node->mode)      ? -EISDIR
		     : is_dir && !is_empty(c->node)	      ? -ENOTEMPTY
							      : 0;
	int r = is_dir ? folder_rmdir(f, d->ino, name, &lack)
		       : folder_unlink(f, d->ino, name, &lack);

	assert_int_equal(r, expect);
	if (r)
		return;
	c->node->nlink--;
	if (S_ISDIR(c->node->mode))
		c->node->parent = NULL;
	struct thing *n = c->node;
	c->node = NULL;
	node_drop(n);
	done();
}

static void op_rename(void)
{
	struct thing *d = any_node(true), *e = rnd(3) ? any_node(true) : d;
	char name[8], to_name[8];
	unsigned flags = rnd(4) == 0 ? RENAME_NOREPLACE : rnd(4) == 0 ? RENAME_EXCHANGE : 0;
	struct child *c, *t;
	int expect = 0;

	strcpy(name, any_name());
	strcpy(to_name, any_name());
	c = child_of(d, name);
	t = child_of(e, to_name);
	if (full(e))
		return;
	if ((!d->nlink && d != &nodes[0]) || (!e->nlink && e != &nodes[0]) || !c ||
	    (flags == RENAME_EXCHANGE && !t))
		expect = -ENOENT;
	else if (flags == RENAME_NOREPLACE && t)
		expect = -EEXIST;
	else if (S_ISDIR(c->node->mode) && is_below(e, c->node))
		expect = -EINVAL;
	else if (t && S_ISDIR(t->node->mode) && is_below(d, t->node))
		expect = flags == RENAME_EXCHANGE ? -EINVAL : -ENOTEMPTY;
	else if (t && t->node != c->node && flags != RENAME_EXCHANGE) {
		if (S_ISDIR(c->node->mode) && !S_ISDIR(t->node->mode))
			expect = -ENOTDIR;
		else if (!S_ISDIR(c->node->mode) && S_ISDIR(t->node->mode))
			expect = -EISDIR;
		else if (S_ISDIR(t->node->mode) && !is_empty(t->node))
			expect = -ENOTEMPTY;
	}
	assert_int_equal(folder_rename(f, d->ino, name, e->ino, to_name, flags, &lack), expect);
	if (expect || (t && t->node == c->node))
		return;
	struct thing *n = c->node, *old = t ? t->node : NULL;
	if (flags == RENAME_EXCHANGE) {
		c->node = old;
		t->node = n;
		if (S_ISDIR(old->mode))
			old->parent = d;
	} else {
		c->node = NULL;
		if (t)
			t->node = n;
		else
			child_add(e, to_name, n);
		if (old) {
			old->nlink--;
			old->parent = NULL;
			node_drop(old);
		}
	}
	if (S_ISDIR(n->mode))
		n->parent = e;
	done();
}

static void op_write(void)
{
	static uint8_t data[FILE_MAX];
	struct thing *n = any_node(false);
	uint64_t at = rnd(FILE_MAX), len = rnd(rnd(4) ? 300 : FILE_MAX) + 1;
	ssize_t r;

	if (len > FILE_MAX - at)
		len = FILE_MAX - at;
	for (uint64_t i = 0; i < len; i += 8) {
		uint64_t v = scratch_random(&random_state);
		memcpy(data + i, &v, len - i < 8 ? len - i : 8);
	}
	r = folder_write(f, n->ino, at, data, len, false, &lack);
	if (!S_ISREG(n->mode)) {
		assert_int_equal(r, S_ISDIR(n->mode) ? -EISDIR : -EINVAL);
		return;
	}
	assert_int_equal(r, len);
	memcpy(n->data + at, data, len);
	if (at + len > n->size)
		n->size = at + len;
	done();
}

static void op_read(void)
{
	static uint8_t data[FILE_MAX];
	struct thing *n = any_node(false);
	uint64_t at = rnd(FILE_MAX), len = rnd(FILE_MAX);
	uint64_t expect;

	if (!S_ISREG(n->mode))
		return;
	expect = at >= n->size ? 0 : len > n->size - at ? n->size - at : len;
	assert_int_equal(read_all(n->ino, at, len, data), expect);
	assert_memory_equal(data, n->data + at, expect);
}

static void op_setattr(void)
{
	struct thing *n = any_node(false);
	struct folder_attr a;
	struct stat st = { .st_mode = (mode_t)rnd(07777), .st_size = (off_t)rnd(FILE_MAX) };
	unsigned set = rnd(3) ? FOLDER_SET_SIZE : FOLDER_SET_MODE;
	int expect = 0;

	if (S_ISLNK(n->mode) && set == FOLDER_SET_MODE)
		return;
	if (set == FOLDER_SET_SIZE && !S_ISREG(n->mode))
		expect = S_ISDIR(n->mode) ? -EISDIR : -EINVAL;
	assert_int_equal(folder_setattr(f, n->ino, set, &st, &a, &lack), expect);
	if (expect)
		return;
	if (set == FOLDER_SET_MODE) {
		n->mode = (n->mode & S_IFMT) | st.st_mode;
	} else {
		uint64_t size = (uint64_t)st.st_size;
		if (size < n->size)
			memset(n->data + size, 0, n->size - size);
		n->size = size;
		assert_int_equal(a.st.st_size, size);
	}
	assert_int_equal(a.st.st_mode, n->mode);
	done();
}

static void op_allocate(void)
{
	static const int modes[] = { 0, FALLOC_FL_KEEP_SIZE,
				     FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
				     FALLOC_FL_ZERO_RANGE,
				     FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE };
	struct thing *n = any_node(false);
	int mode = modes[rnd(5)];
	uint64_t at = rnd(FILE_MAX), len = 1 + rnd(FILE_MAX - at), end = at + len;

	if (!S_ISREG(n->mode))
		return;
	assert_int_equal(folder_allocate(f, n->ino, mode, at, len, &lack), 0);
	if (mode & (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE))
		memset(n->data + at, 0, len);
	if (!(mode & FALLOC_FL_KEEP_SIZE) && end > n->size)
		n->size = end;
	done();
}

static void op_copy(void)
{
	struct thing *n = any_node(false), *t = any_node(false);
	uint64_t at = rnd(3) ? rnd(FILE_MAX) : 0, to = rnd(3) ? rnd(FILE_MAX) : 0;
	uint64_t len = rnd(3) ? rnd(FILE_MAX) : FILE_MAX;

	if (!S_ISREG(n->mode) || !S_ISREG(t->mode) || n == t)
		return;
	if (len > FILE_MAX - to)
		len = FILE_MAX - to;
	if (len > FILE_MAX - at)
		len = FILE_MAX - at;
	while (len) {
		ssize_t r = folder_copy(f, n->ino, at, t->ino, to, len, &lack);
		assert_true(r >= 0);
		assert_true(r > 0 || at >= n->size);
		if (r <= 0)
			break;
		memcpy(t->data + to, n->data + at, (size_t)r);
		if (to + (uint64_t)r > t->size)
			t->size = to + (uint64_t)r;
		at += (uint64_t)r;
		to += (uint64_t)r;
		len -= (uint64_t)r;
		done();
	}
}

/* Data is never called a hole, and the answers fit together. */
static void op_seek(void)
{
	struct thing *n = any_node(false);
	uint64_t at = rnd(FILE_MAX);
	int64_t data, hole;

	if (!S_ISREG(n->mode))
		return;
	data = folder_seek(f, n->ino, at, SEEK_DATA, &lack);
	hole = folder_seek(f, n->ino, at, SEEK_HOLE, &lack);
	if (at >= n->size) {
		assert_int_equal(data, -ENXIO);
		assert_int_equal(hole, -ENXIO);
		return;
	}
	assert_true(hole >= (int64_t)at && hole <= (int64_t)n->size);
	assert_true(data == -ENXIO || (data >= (int64_t)at && data < (int64_t)n->size));
	assert_true((data == (int64_t)at) != (hole == (int64_t)at));
	uint64_t end = data == -ENXIO ? n->size : (uint64_t)data;
	for (uint64_t i = at; i < end; i++)
		assert_int_equal(n->data[i], 0);
}

static void op_xattr(void)
{
	struct thing *n = any_node(false);
	int x = (int)rnd(XATTRS);
	uint8_t v[32];
	size_t len = rnd(32);

	if (rnd(3) == 0) {
		assert_int_equal(folder_removexattr(f, n->ino, xattr_names[x], &lack),
				 n->xattr_len[x] < 0 ? -ENODATA : 0);
		if (n->xattr_len[x] < 0)
			return;
		n->xattr_len[x] = -1;
	} else {
		memset(v, (int)rnd(256), sizeof v);
		int flags = (int)rnd(3);
		int expect = flags == XATTR_CREATE && n->xattr_len[x] >= 0  ? -EEXIST
			     : flags == XATTR_REPLACE && n->xattr_len[x] < 0 ? -ENODATA
									     : 0;
		assert_int_equal(
		    folder_setxattr(f, n->ino, xattr_names[x], v, len, flags, &lack), expect);
		if (expect)
			return;
		memcpy(n->xattr[x], v, sizeof v);
		n->xattr_len[x] = (int)len;
	}
	done();
}

static void op_forget(void)
{
	struct thing *n = &nodes[1 + rnd(NODES - 1)];
	uint64_t k;

	if (!n->used || !n->known)
		return;
	k = 1 + rnd(n->known);
	folder_forget(f, n->ino, k);
	n->known -= k;
	bool orphan = !n->nlink && !n->known;
	node_drop(n);
	if (orphan)
		done();
}

/* A listing in pieces, with changes of the directory between them: what was there
 * all the time comes once, and nothing comes that never was. */
static void op_list(void)
{
	struct thing *d = any_node(true);
	struct child before[CHILDREN];
	uint64_t inos[CHILDREN];
	int seen[CHILDREN] = { 0 };
	uint64_t pos = 2;

	if (!d->nlink && d != &nodes[0])
		return;
	memcpy(before, d->children, sizeof before);
	for (int k = 0; k < CHILDREN; k++)
		inos[k] = before[k].node ? before[k].node->ino : 0;
	for (;;) {
		struct listed l = { .stop = 1 + (int)rnd(3) };

		assert_int_equal(folder_list(f, d->ino, pos, false, on_listed, &l, &lack), 0);
		if (!l.n)
			break;
		pos = l.e[l.n - 1].next;
		for (int i = 0; i < l.n; i++)
			for (int k = 0; k < CHILDREN; k++)
				seen[k] += inos[k] && !strcmp(before[k].name, l.e[i].name) &&
					   l.e[i].ino == inos[k];
		if (rnd(3) == 0) {
			op_make();
			op_remove();
		}
	}
	for (int k = 0; k < CHILDREN; k++) {
		struct child *c = inos[k] ? child_of(d, before[k].name) : NULL;

		if (c && c->node->ino == inos[k])
			assert_int_equal(seen[k], 1);
	}
}

static void op_sync(void)
{
	assert_int_equal(folder_sync(f), 0);
	mark_synced();
}

static void op_checkpoint(void)
{
	assert_int_equal(folder_checkpoint(f), 0);
	mark_synced();
	/* Sometimes what is alive is gathered, and what is dead goes. */
	if (rnd(3) == 0) {
		folder_clean_min = 0;
		assert_true(folder_clean(f) >= 0);
	}
}

/* Say where the folder differs from the model. */
static void tell(struct thing *n, const char *path)
{
	static uint8_t data[FILE_MAX];
	struct folder_attr a;

	folder_stat(f, n->ino, &a, &lack);
	if (a.st.st_mode != n->mode || (!S_ISDIR(n->mode) && (a.st.st_nlink != n->nlink ||
	    (uint64_t)a.st.st_size != n->size)))
		print_error("%s: mode %o %o links %u %u size %lu %lu\n", path, a.st.st_mode, n->mode,
			(unsigned)a.st.st_nlink, n->nlink, (long)a.st.st_size, (long)n->size);
	for (int i = 0; i < XATTRS; i++) {
		uint8_t v[64];
		ssize_t len = folder_getxattr(f, n->ino, xattr_names[i], v, sizeof v, &lack);

		if ((len < 0 ? -1 : len) != n->xattr_len[i] ||
		    (len > 0 && memcmp(v, n->xattr[i], (size_t)len)))
			print_error("%s: %s %ld %d\n", path, xattr_names[i], (long)len, n->xattr_len[i]);
	}
	if (S_ISREG(n->mode)) {
		size_t len = read_all(n->ino, 0, FILE_MAX, data);
		for (size_t i = 0; i < len; i++)
			if (data[i] != n->data[i]) {
				print_error("%s: byte %zu of %zu\n", path, i, len);
				break;
			}
	}
	if (S_ISLNK(n->mode)) {
		char t[64] = "";

		int len = folder_readlink(f, n->ino, t, sizeof t, &lack);
		if (len != (int)n->size || strcmp(t, n->target))
			print_error("%s: target %s (%d), not %s\n", path, t, len, n->target);
	}
	if (S_ISDIR(n->mode)) {
		struct listed l = { .stop = -1 };

		folder_list(f, n->ino, 2, false, on_listed, &l, &lack);
		for (int i = 0; i < l.n; i++) {
			struct child *c = child_of(n, l.e[i].name);

			if (!c || c->node->ino != l.e[i].ino)
				print_error("%s/%s should not be listed\n", path, l.e[i].name);
		}
		for (int i = 0; i < CHILDREN; i++) {
			bool there = !n->children[i].node;

			for (int k = 0; k < l.n; k++)
				there |= !strcmp(l.e[k].name, n->children[i].name);
			if (!there)
				print_error("%s/%s is not listed\n", path, n->children[i].name);
		}
	}
	for (int i = 0; S_ISDIR(n->mode) && i < CHILDREN; i++)
		if (n->children[i].node) {
			struct folder_attr c;

			if (folder_lookup(f, n->ino, n->children[i].name, &c, &lack) < 0)
				print_error("%s/%s is missing\n", path, n->children[i].name);
			else
				folder_forget(f, c.st.st_ino, 1);
			char more[4096];
			snprintf(more, sizeof more, "%s/%s", path, n->children[i].name);
			tell(n->children[i].node, more);
		}
}

static void op_check(void)
{
	if (folder_digest() != model_digest())
		tell(&nodes[0], ""), print_error("step %lu\n", (unsigned long)step);
	assert_int_equal(folder_digest(), model_digest());
	check_nodes();
}

/* As if memory were short. */
static void op_evict(void)
{
	assert_int_equal(change_begin(f), 0);
	folder_objects_max = 0;
	for (int i = 0; i < 3; i++)
		objects_evict(f);
	folder_objects_max = OBJECTS_MAX;
	change_end(f);
}

static void op_reopen(void)
{
	op_check();
	give_up();
	assert_int_equal(folder_close(f), 0);
	forget_all();
	open_folder();
	mark_synced();
	op_check();
}

static void op_kill(void)
{
	die();
	forget_all();
	open_folder();
	mark_synced();
	op_check();
}

static void op_power(void)
{
	uint64_t now;
	bool known = false;

	cut_power();
	open_folder();
	now = folder_digest();
	for (size_t i = 0; i < n_history; i++)
		known |= history[i] == now;
	assert_true(known);
	relearn();
	mark_synced();
	op_check();
}

/* ---- snapshots ---- */

static int read_thing(void *arg, uint64_t offset, void *buf, size_t len)
{
	memcpy(buf, ((struct thing *)arg)->data + offset, len);
	return 0;
}

/* The tree of the model, made anew. */
static struct built build_thing(struct thing *n)
{
	struct dir_link links[CHILDREN];
	uint8_t cids[CHILDREN][CID_SIZE_MAX];
	struct child sorted[CHILDREN];
	struct built out;
	size_t k = 0, m = 0;

	if (S_ISREG(n->mode)) {
		const struct file_change all = { 0, n->size, false };
		const struct file_edit e = { .size = n->size, .changes = &all, .n = n->size > 0,
					     .read = read_thing, .arg = n };

		assert_int_equal(
		    edit_file(&profile, &blocks.source, &blocks.sink, &e, &out, NULL), 0);
		return out;
	}
	if (S_ISLNK(n->mode)) {
		assert_int_equal(
		    build_symlink(&profile, &blocks.sink, n->target, n->size, &out), 0);
		return out;
	}
	for (int i = 0; i < CHILDREN; i++)
		if (n->children[i].node)
			sorted[k++] = n->children[i];
	qsort(sorted, k, sizeof *sorted, by_name);
	for (size_t i = 0; i < k; i++) {
		mode_t mode = sorted[i].node->mode;

		if (!S_ISREG(mode) && !S_ISDIR(mode) && !S_ISLNK(mode))
			continue;
		out = build_thing(sorted[i].node);
		links[m] = (struct dir_link){ .name = sorted[i].name,
					      .cid = cids[m],
					      .tsize = out.tsize,
					      .name_len = (uint16_t)strlen(sorted[i].name),
					      .cid_len = (uint8_t)cid_encode(&out.cid, cids[m]) };
		m++;
	}
	assert_int_equal(edit_dir_array(&profile, &blocks.source, &blocks.sink, NULL, links, m,
					&out, NULL),
			 0);
	return out;
}

static void op_freeze(void)
{
	int r;

	if (frozen)
		return;
	r = folder_freeze(f, &frozen);
	assert_in_range(r, 0, 1);
	if (!r)
		return;
	without_links = true;
	frozen_digest = model_digest();
	without_links = false;
	frozen_cid = build_thing(&nodes[0]).cid;
	frozen_changes = changes;
}

static int read_frozen(void *arg, const struct frozen_file *file, uint64_t offset, void *buf,
		       size_t len)
{
	return frozen_read(arg, file, offset, buf, len);
}

/* What a folder made of the snapshot shows. */
static void check_snapshot(const struct cid *root, const struct cid *attrs)
{
	char other[SCRATCH_MAX];
	struct folder_config cfg = { .dir = other, .source = &blocks.source, .profile = &profile };
	struct folder *mine = f;

	scratch_make(other);
	assert_int_equal(folder_open(&f, &cfg, root, attrs), 0);
	without_links = true;
	assert_int_equal(folder_digest(), frozen_digest);
	without_links = false;
	assert_int_equal(folder_close(f), 0);
	scratch_remove(other);
	f = mine;
}

static void op_thaw(void)
{
	struct snapshot_job job = { .read = read_frozen,
				    .profile = &profile,
				    .source = &blocks.source,
				    .sink = &blocks.sink,
				    .jobs = 1 };
	struct folder_state st;
	struct frozen_dir *top;
	struct cid root, attrs;
	struct frozen *z;

	if (!frozen)
		return;
	job.view = frozen_view(frozen);
	job.arg = frozen;
	assert_int_equal(snapshot_build(&job), 0);
	top = &job.view->dirs[job.view->n_dirs - 1];
	root = top->cid;
	attrs = top->attrs;
	assert_true(cid_equal(&root, &frozen_cid));
	if (rnd(3) == 0)
		check_snapshot(&root, &attrs);
	if (rnd(6) == 0) {
		give_up();
		return;
	}
	assert_int_equal(folder_thaw(f, frozen), 0);
	frozen = NULL;
	folder_state(f, &st);
	assert_true(cid_equal(&st.root, &root));
	if (changes == frozen_changes) {
		assert_int_equal(folder_freeze(f, &z), 0);
		assert_int_equal(st.dirty_inodes, 0);
	}
	op_check();
}

static const struct {
	void (*run)(void);
	unsigned weight;
} ops[] = {
	{ op_lookup, 300 }, { op_make, 300 },	  { op_tmpfile, 10 }, { op_link, 60 },
	{ op_remove, 160 }, { op_rename, 150 },	  { op_write, 250 },  { op_read, 80 },
	{ op_setattr, 100 }, { op_allocate, 50 }, { op_copy, 50 },    { op_seek, 50 },
	{ op_xattr, 60 },   { op_forget, 200 },	  { op_list, 30 },    { op_sync, 20 },
	{ op_checkpoint, 15 }, { op_check, 10 },  { op_evict, 10 },   { op_reopen, 3 },
	{ op_kill, 4 },	    { op_power, 6 },	  { op_freeze, 25 },  { op_thaw, 25 },
};

static void random_operations_agree_with_a_model(void **state)
{
	const char *steps = getenv("CAIRN_FOLDER_STEPS"), *seed = getenv("CAIRN_FOLDER_SEED");
	uint64_t n = steps ? strtoull(steps, NULL, 10) : 30000, total = 0;
	struct folder_attr a;

	random_state = seed ? strtoull(seed, NULL, 10) : 1;
	table_init(&blocks);
	profile = *profile_find("unixfs-v1-2025");
	profile.chunker.max = 4096;
	profile.max_links = 4;
	profile.hamt_threshold = 400;
	scratch_make(dir);
	open_folder();
	for (size_t i = 0; i < sizeof ops / sizeof *ops; i++)
		total += ops[i].weight;
	assert_int_equal(folder_stat(f, FOLDER_ROOT, &a, &lack), 0);
	nodes[0] = (struct thing){ .used = true, .ino = FOLDER_ROOT, .mode = a.st.st_mode, .nlink = 1,
				  .xattr_len = { -1, -1, -1 } };
	mark_synced();
	for (step = 0; step < n; step++) {
		uint64_t w = rnd(total);
		size_t i = 0;

		while (w >= ops[i].weight)
			w -= ops[i++].weight;
		if (getenv("CAIRN_FOLDER_TELL"))
			fprintf(stderr, "%lu: %zu\n", (unsigned long)step, i);
		ops[i].run();
		if (getenv("CAIRN_FOLDER_CHECK")) {
			fprintf(stderr, "%lu op %zu\n", (unsigned long)step, i);
			op_check();
		}
	}
	op_reopen();
	give_up();
	assert_int_equal(folder_close(f), 0);
	scratch_remove(dir);
	table_release(&blocks);
	forget_all();
	for (int i = 0; i < NODES; i++)
		free(nodes[i].data);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(random_operations_agree_with_a_model),
	};
	log_set_level(LOG_NONE);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
