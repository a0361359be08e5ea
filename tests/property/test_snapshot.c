/*
 * Snapshots of random changes to a random tree: the root is what `cairn add` gives
 * for the same files, and so are the attributes, whether built at once or step by
 * step.  The frozen views are made here; what a folder freezes is another test.
 */
#include "fs/snapshot.h"
#include "store/import.h"
#include "tests/helpers/block_table.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define DIRS	 5 /* 0 is the top; 3 lies in 1, 4 in 3 */
#define FILES	 24
#define ROUNDS	 30
#define SIZE_MAX_ 6000000

static const int parents[DIRS] = { -1, 0, 0, 1, 3 };

struct file {
	int dir;
	bool there, link;
	char *data;
	uint64_t size;
	unsigned mode; /* 0: none is said */
	/* of the newest snapshot */
	bool was_there;
	struct cid cid;
	uint64_t tsize;
	/* since then */
	bool changed, attrs_changed;
	uint64_t base_size;
	struct frozen_range ranges[3];
	size_t n_ranges;
};

struct tree {
	struct file files[FILES];
	struct cid cids[DIRS], attrs[DIRS];
	uint64_t tsizes[DIRS];
	struct block_table blocks;
	pthread_mutex_t lock;
	struct block_sink sink; /* of several threads */
	struct block_source source;
	const struct profile *profile;
};

static struct tree *tree_of(void *p, size_t at)
{
	return (struct tree *)((char *)p - at);
}

static int put(struct block_sink *s, const struct multihash *name, const void *data, size_t len)
{
	struct tree *t = tree_of(s, offsetof(struct tree, sink));

	pthread_mutex_lock(&t->lock);
	int r = t->blocks.sink.put(&t->blocks.sink, name, data, len);
	pthread_mutex_unlock(&t->lock);
	return r;
}

static int get(struct block_source *s, const struct cid *cid, struct block **out)
{
	struct tree *t = tree_of(s, offsetof(struct tree, source));

	pthread_mutex_lock(&t->lock);
	int r = t->blocks.source.get(&t->blocks.source, cid, out);
	pthread_mutex_unlock(&t->lock);
	return r;
}

static void tree_init(struct tree *t, const struct profile *profile)
{
	*t = (struct tree){ .sink = { .put = put }, .source = { .get = get }, .profile = profile };
	pthread_mutex_init(&t->lock, NULL);
	table_init(&t->blocks);
	for (int i = 0; i < DIRS; i++)
		t->cids[i].version = t->attrs[i].version = 0xff;
	for (int i = 0; i < FILES; i++)
		t->files[i].dir = i % DIRS;
}

static void tree_release(struct tree *t)
{
	for (int i = 0; i < FILES; i++)
		free(t->files[i].data);
	table_release(&t->blocks);
	pthread_mutex_destroy(&t->lock);
}

static const char *file_name(int i)
{
	static char name[4][16];
	static int turn;

	turn = (turn + 1) % 4;
	snprintf(name[turn], sizeof name[0], "f%02d", i);
	return name[turn];
}

static const char *dir_name(int i)
{
	static const char *const names[DIRS] = { "", "d1", "d2", "d3", "d4" };

	return names[i];
}

/* ---- changing ---- */

static void fill(char *p, uint64_t n)
{
	for (uint64_t i = 0; i < n; i += 8) {
		uint64_t v = table_random();
		memcpy(p + i, &v, n - i < 8 ? n - i : 8);
	}
}

static void make(struct file *f)
{
	f->there = f->changed = f->attrs_changed = true;
	f->link = table_below(8) == 0;
	f->size = f->link ? 1 + table_below(200) : table_below(4) ? table_below(40000) : table_below(SIZE_MAX_);
	f->data = realloc(f->data, f->size + 1);
	assert_non_null(f->data);
	if (f->link)
		memset(f->data, 'l', f->size);
	else
		fill(f->data, f->size);
	f->data[f->size] = 0;
	f->mode = table_below(2) ? 0 : 0600;
	f->base_size = 0;
	f->ranges[0] = (struct frozen_range){ 0, f->size, false };
	f->n_ranges = f->size && !f->link;
	f->was_there = false; /* it has no base */
}

/* Write, cut, lengthen, or dig a hole, once a round. */
static void change(struct file *f)
{
	uint64_t old = f->size, at, len;

	f->changed = true;
	f->n_ranges = 0;
	f->base_size = f->size;
	switch (table_below(4)) {
	case 0: /* cut it, perhaps grow it again: what was lost is zeros */
		f->base_size = f->size ? table_below(f->size) : 0;
		f->size = f->base_size + (table_below(2) ? table_below(300000) : 0);
		f->data = realloc(f->data, f->size + 1);
		memset(f->data + f->base_size, 0, f->size - f->base_size);
		break;
	case 1: /* append */
		len = 1 + table_below(400000);
		f->data = realloc(f->data, old + len + 1);
		fill(f->data + old, len);
		f->size += len;
		f->ranges[f->n_ranges++] = (struct frozen_range){ old, len, false };
		break;
	case 2: /* a hole */
	case 3: /* other bytes */
		if (!old)
			break;
		at = table_below(old);
		len = 1 + table_below(old - at);
		if (table_below(2)) {
			memset(f->data + at, 0, len);
			f->ranges[f->n_ranges++] = (struct frozen_range){ at, len, true };
		} else {
			fill(f->data + at, len);
			f->ranges[f->n_ranges++] = (struct frozen_range){ at, len, false };
		}
		break;
	}
	f->data[f->size] = 0;
}

static void change_some(struct tree *t)
{
	for (int i = 0; i < FILES; i++) {
		struct file *f = &t->files[i];
		switch (table_below(6)) {
		case 0:
			if (f->there)
				f->there = f->changed = false;
			else
				make(f);
			break;
		case 1:
			if (f->there && !f->link && !f->changed)
				change(f);
			break;
		case 2:
			f->mode = f->mode ? 0 : 0640;
			f->attrs_changed = f->there;
			break;
		}
	}
}

/* ---- freezing ---- */

struct view {
	struct frozen_view v;
	struct frozen_file files[FILES];
	struct frozen_dir dirs[DIRS];
	struct frozen_entry entries[DIRS][FILES + DIRS];
	int index[FILES]; /* of frozen files: which it is */
	struct tree *tree;
};

static int read_view(void *arg, const struct frozen_file *file, uint64_t offset, void *buf, size_t len)
{
	struct view *v = arg;
	const struct file *f = &v->tree->files[v->index[file - v->files]];

	assert_true(offset + len <= f->size);
	memcpy(buf, f->data + offset, len);
	return 0;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct frozen_entry *)a)->name, ((const struct frozen_entry *)b)->name);
}

/* Children first: 4, 3, 1, 2, 0.  All directories are in it, whether anything
 * changed there or not. */
static void freeze(struct view *v, struct tree *t)
{
	static const int order[DIRS] = { 4, 3, 1, 2, 0 };
	static char names[FILES][16];
	struct frozen_dir *of[DIRS];

	memset(v, 0, sizeof *v);
	v->tree = t;
	v->v.files = v->files;
	v->v.dirs = v->dirs;
	v->v.n_dirs = DIRS;
	for (int k = 0; k < DIRS; k++) {
		int i = order[k];
		struct frozen_dir *d = of[i] = &v->dirs[k];
		*d = (struct frozen_dir){ .ino = (uint64_t)i, .base = t->cids[i], .base_attrs = t->attrs[i],
					  .entries = v->entries[k] };
	}
	for (int i = 0; i < FILES; i++) {
		struct file *f = &t->files[i];
		struct frozen_dir *d = of[f->dir];
		if (!f->there && f->cid.hash.size == 0)
			continue;
		snprintf(names[i], sizeof names[i], "%s", file_name(i));
		struct frozen_entry *e = &d->entries[d->n_entries++];
		*e = (struct frozen_entry){ .name = names[i], .name_len = 3, .removed = !f->there,
					    .sub_attrs = { .version = 0xff },
					    .cid = f->cid, .tsize = f->tsize };
		if (f->there && f->changed) {
			struct frozen_file *z = &v->files[v->v.n_files];
			v->index[v->v.n_files++] = i;
			*z = (struct frozen_file){ .type = f->link ? S_IFLNK : S_IFREG, .base = f->cid,
						   .base_size = f->base_size, .size = f->size,
						   .ranges = f->ranges, .n_ranges = f->n_ranges,
						   .target = f->data };
			if (!f->was_there)
				z->base.version = 0xff;
			e->file = z;
		}
		if (f->there && f->attrs_changed) {
			e->attrs_changed = f->mode != 0;
			e->attrs_removed = f->mode == 0;
			e->attrs = (struct attrs_entry){ .has = ATTRS_MODE, .mode = f->mode };
		}
	}
	for (int i = 1; i < DIRS; i++) {
		struct frozen_dir *d = of[parents[i]];
		d->entries[d->n_entries++] =
			(struct frozen_entry){ .name = dir_name(i), .name_len = 2, .dir = of[i],
					       .sub_attrs = { .version = 0xff } };
	}
	for (int k = 0; k < DIRS; k++)
		qsort(v->dirs[k].entries, v->dirs[k].n_entries, sizeof(struct frozen_entry), by_name);
}

static void thaw(struct view *v)
{
	struct tree *t = v->tree;

	for (size_t i = 0; i < v->v.n_files; i++) {
		struct file *f = &t->files[v->index[i]];
		f->cid = v->files[i].cid;
		f->tsize = v->files[i].tsize;
	}
	for (int i = 0; i < FILES; i++) {
		struct file *f = &t->files[i];
		f->changed = f->attrs_changed = false;
		f->was_there = f->there;
		if (!f->there)
			f->cid = (struct cid){ 0 };
	}
	for (int k = 0; k < DIRS; k++) {
		struct frozen_dir *d = &v->dirs[k];
		t->cids[d->ino] = d->cid;
		t->attrs[d->ino] = d->attrs;
	}
}

static void snapshot(struct tree *t, unsigned jobs)
{
	static struct view v;
	struct snapshot_job job = { .view = &v.v, .read = read_view, .arg = &v, .profile = t->profile,
				    .source = &t->source, .sink = &t->sink, .jobs = jobs };

	freeze(&v, t);
	assert_int_equal(snapshot_build(&job), 0);
	thaw(&v);
}

/* ---- cairn add of the same ---- */

static void path_of(const char *top, int dir, char out[256])
{
	if (dir <= 0) {
		snprintf(out, 256, "%s", top);
		return;
	}
	path_of(top, parents[dir], out);
	strcat(out, "/");
	strcat(out, dir_name(dir));
}

static struct cid add(struct tree *t)
{
	struct import_options o = { .profile = t->profile, .hash_only = true, .hidden = true, .jobs = 1 };
	struct import_result result;
	char top[64] = P_tmpdir "/test_snapshot.XXXXXX", path[256], command[128];

	assert_non_null(mkdtemp(top));
	for (int i = 1; i < DIRS; i++) {
		path_of(top, i, path);
		assert_int_equal(mkdir(path, 0700), 0);
	}
	for (int i = 0; i < FILES; i++) {
		const struct file *f = &t->files[i];
		if (!f->there)
			continue;
		path_of(top, f->dir, path);
		strcat(path, "/");
		strcat(path, file_name(i));
		if (f->link) {
			assert_int_equal(symlink(f->data, path), 0);
			continue;
		}
		FILE *out = fopen(path, "w");
		assert_non_null(out);
		assert_int_equal(fwrite(f->data, 1, f->size, out), f->size);
		assert_int_equal(fclose(out), 0);
	}
	assert_int_equal(import_path(NULL, top, &o, &result), 0);
	snprintf(command, sizeof command, "rm -rf %s", top);
	assert_int_equal(system(command), 0);
	return result.root;
}

/* Everything anew, as if it had never been there before. */
static void all_at_once(struct tree *to, const struct tree *from)
{
	tree_init(to, from->profile);
	for (int i = 0; i < FILES; i++) {
		const struct file *f = &from->files[i];
		struct file *g = &to->files[i];
		if (!f->there)
			continue;
		*g = (struct file){ .dir = f->dir, .there = true, .link = f->link, .size = f->size,
				    .mode = f->mode, .changed = true, .attrs_changed = true };
		g->data = malloc(f->size + 1);
		memcpy(g->data, f->data, f->size + 1);
		g->ranges[0] = (struct frozen_range){ 0, f->size, false };
		g->n_ranges = f->size && !f->link;
	}
	snapshot(to, 1);
}

static void random_changes(const char *profile, uint64_t seed)
{
	struct tree t, fresh;

	table_seed = seed;
	tree_init(&t, profile_find(profile));
	for (int round = 0; round < ROUNDS; round++) {
		change_some(&t);
		snapshot(&t, round % 2 ? 1 : 3);
		struct cid root = add(&t);
		assert_true(cid_equal(&root, &t.cids[0]));
		if (round % 5)
			continue;
		all_at_once(&fresh, &t);
		assert_true(cid_equal(&fresh.cids[0], &t.cids[0]));
		for (int i = 0; i < DIRS; i++) {
			assert_int_equal(fresh.attrs[i].version, t.attrs[i].version);
			if (t.attrs[i].version != 0xff)
				assert_true(cid_equal(&fresh.attrs[i], &t.attrs[i]));
			assert_true(fresh.tsizes[i] == t.tsizes[i]);
		}
		tree_release(&fresh);
	}
	tree_release(&t);
}

static void snapshots_have_the_roots_that_add_gives(void **state)
{
	random_changes("unixfs-v1-2025", 1);
	random_changes("unixfs-v0-2015", 2);
}

static void an_error_of_one_file_ends_it(void **state)
{
	struct tree t;
	static struct view v;
	atomic_bool cancel = false;

	table_seed = 3;
	tree_init(&t, profile_find("unixfs-v1-2025"));
	change_some(&t);
	snapshot(&t, 2);
	/* What it is to be edited from is gone. */
	for (int i = 0; i < FILES; i++)
		if (t.files[i].there && !t.files[i].link)
			change(&t.files[i]);
	table_hide(&t.blocks, table_random, 1);
	freeze(&v, &t);
	struct snapshot_job job = { .view = &v.v, .read = read_view, .arg = &v, .profile = t.profile,
				    .source = &t.source, .sink = &t.sink, .jobs = 2, .cancel = &cancel };
	assert_int_equal(snapshot_build(&job), ERR_MISSING);
	table_bring_all(&t.blocks);
	cancel = true;
	assert_int_equal(snapshot_build(&job), -ECANCELED);
	cancel = false;
	assert_int_equal(snapshot_build(&job), 0);
	tree_release(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(snapshots_have_the_roots_that_add_gives),
		cmocka_unit_test(an_error_of_one_file_ends_it),
	};
	return cmocka_run_group_tests_name("snapshot", tests, NULL, NULL);
}
