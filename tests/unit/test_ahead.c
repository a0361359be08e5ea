/* What is fetched before anyone waits for it. */
#include "fs/tree_ops.h"
#include "tests/helpers/memory.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <stdio.h>

struct fixture {
	struct memory m;
	struct mount mount;
	struct shown shown;
	struct cid cids[LACK_MAX];
	struct lack lack;
	bool closed;
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof *f);
	struct mount *m = &f->mount;

	memory_init(&f->m);
	m->blocks = &f->m.b;
	assert_int_equal(parking_new(&m->parking, m->blocks, NULL, 60000), 0);
	assert_int_equal(shown_init(&f->shown, m, 0), 0);
	f->lack.blocks = (struct misses){ f->cids, 0, LACK_MAX };
	*state = f;
	return 0;
}

static void on_closed(void *arg)
{
	struct fixture *f = arg;

	f->closed = true;
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	struct mount *m = &f->mount;

	shown_close(&f->shown);
	parking_close(m->parking, on_closed, f);
	memory_turn(&f->m);
	assert_true(f->closed);
	assert_int_equal(f->m.n_wants, 0);
	shown_release(&f->shown);
	parking_free(m->parking);
	memory_release(&f->m);
	free(f);
	return 0;
}

static void show(struct fixture *f, const struct cid *cid)
{
	struct dag_attr a = { .type = DAG_DIR, .mode = 0755 };

	assert_int_equal(inodes_set_root(f->shown.inodes, cid, &a), 0);
}

static struct inode_info lookup(struct fixture *f, uint64_t dir, const char *name)
{
	struct inode_info i;

	assert_int_equal(tree_lookup(&f->shown.tree, dir, name, &i, &f->lack), 0);
	return i;
}

static struct cid small_file(struct fixture *f, int n)
{
	char text[16];

	snprintf(text, sizeof text, "file %d", n);
	return memory_raw(&f->m, text, false);
}

static bool wanted(struct fixture *f, const struct cid *cid)
{
	for (struct want *w = f->m.wants; w; w = w->next) {
		if (multihash_equal(&w->rq.cid.hash, &cid->hash))
			return true;
	}
	return false;
}

/* A reader of the whole file, as the kernel tells it. */
static void read_file(struct fixture *f, uint64_t dir, const char *name)
{
	struct inode_info i = lookup(f, dir, name);

	shown_ahead_read(&f->shown, i.id, 0, 4096);
	memory_turn(&f->m);
}

static void a_single_block_is_asked_for_once(void **state)
{
	struct fixture *f = *state;
	struct cid a = small_file(f, 1), here = memory_raw(&f->m, "here", true);
	struct cid cids[] = { a, here, a };
	struct misses m = { cids, 3, 3 };
	struct cid top = { .version = 0xff };

	prefetch_add(f->shown.prefetch, &m, &top, WANT_PREFETCH);
	prefetch_add(f->shown.prefetch, &m, &top, WANT_PREFETCH);
	memory_turn(&f->m);
	assert_int_equal(f->m.n_wants, 1);
	assert_int_equal(f->m.wants->rq.priority, WANT_PREFETCH);
	/* But a reader's neighbour is more urgent than a listing's. */
	prefetch_add(f->shown.prefetch, &m, &top, WANT_READAHEAD);
	memory_turn(&f->m);
	assert_int_equal(f->m.n_wants, 2);
	memory_deliver(&f->m, &a);
	assert_int_equal(prefetch_count(f->shown.prefetch, WANT_PREFETCH), 0);
	assert_int_equal(prefetch_count(f->shown.prefetch, WANT_READAHEAD), 0);
}

static void what_is_under_way_is_bounded(void **state)
{
	struct fixture *f = *state;
	struct cid top = { .version = 0xff };

	for (int i = 0; i < 2000; i++) {
		struct cid c = small_file(f, i);
		struct misses m = { &c, 1, 1 };

		prefetch_add(f->shown.prefetch, &m, &top, WANT_PREFETCH);
	}
	memory_turn(&f->m);
	assert_int_equal(f->m.n_wants, PREFETCH_NODES);
	assert_int_equal(prefetch_count(f->shown.prefetch, WANT_PREFETCH),
			 PREFETCH_NODES);
}

static void one_small_file_fetches_no_other(void **state)
{
	struct fixture *f = *state;
	struct memory_link l[] = { { "a", small_file(f, 1), 6 },
				   { "b", small_file(f, 2), 6 } };
	struct cid root = memory_dir(&f->m, l, 2, true);

	show(f, &root);
	read_file(f, INODE_ROOT, "a");
	assert_int_equal(f->m.n_wants, 0);
}

static void readers_of_a_directory_find_its_files_under_way(void **state)
{
	struct fixture *f = *state;
	static struct memory_link l[1000];
	static char names[1000][8];
	int found = 0;

	for (int i = 0; i < 1000; i++) {
		snprintf(names[i], sizeof names[i], "f%04d", i);
		l[i] = (struct memory_link){ names[i], small_file(f, i), 6 };
	}
	struct cid root = memory_dir(&f->m, l, 1000, true);

	show(f, &root);
	for (int i = 0; i < 1000; i++) {
		if (wanted(f, &l[i].cid)) {
			memory_deliver(&f->m, &l[i].cid);
			found++;
		}
		read_file(f, INODE_ROOT, names[i]);
		if (wanted(f, &l[i].cid))
			memory_deliver(&f->m, &l[i].cid);
		memory_find(&f->m, &l[i].cid)->here = true;
		assert_true(f->m.n_wants <= SIBLINGS_MAX + 4);
	}
	assert_true(found >= 995);
}

static void so_do_readers_in_another_order(void **state)
{
	struct fixture *f = *state;
	static struct memory_link l[200];
	static char names[200][8];
	int found = 0;

	for (int i = 0; i < 200; i++) {
		snprintf(names[i], sizeof names[i], "f%04d", i);
		l[i] = (struct memory_link){ names[i], small_file(f, i), 6 };
	}
	struct cid root = memory_dir(&f->m, l, 200, true);

	show(f, &root);
	for (int k = 0; k < 200; k++) {
		int i = k * 77 % 200;

		if (wanted(f, &l[i].cid)) {
			memory_deliver(&f->m, &l[i].cid);
			found++;
		}
		read_file(f, INODE_ROOT, names[i]);
		if (wanted(f, &l[i].cid))
			memory_deliver(&f->m, &l[i].cid);
		memory_find(&f->m, &l[i].cid)->here = true;
	}
	assert_true(found >= 180);
}

static void small_directories_are_gone_through_ahead(void **state)
{
	struct fixture *f = *state;
	static struct memory_link l[60];
	static char names[60][8];
	int found = 0;

	for (int i = 0; i < 60; i++) {
		struct memory_link in[] = { { "a", small_file(f, 2 * i), 6 },
					    { "b", small_file(f, 2 * i + 1), 6 } };

		snprintf(names[i], sizeof names[i], "d%02d", i);
		l[i] = (struct memory_link){ names[i], memory_dir(&f->m, in, 2, false),
					     100 };
	}
	struct cid root = memory_dir(&f->m, l, 60, true);

	show(f, &root);
	for (int i = 0; i < 60; i++) {
		/* Nodes come within the time that a file takes. */
		for (int k = 0; k < 60; k++) {
			if (wanted(f, &l[k].cid))
				memory_deliver(&f->m, &l[k].cid);
		}
		struct cid a = small_file(f, 2 * i), b = small_file(f, 2 * i + 1);
		struct inode_info dir;

		memory_deliver(&f->m, &l[i].cid);
		dir = lookup(f, INODE_ROOT, names[i]);
		found += wanted(f, &a);
		found += wanted(f, &b);
		read_file(f, dir.id, "a");
		memory_deliver(&f->m, &a);
		read_file(f, dir.id, "b");
		memory_deliver(&f->m, &b);
	}
	assert_true(found >= 110);
}

static void who_looks_up_nodes_finds_the_next_under_way(void **state)
{
	struct fixture *f = *state;
	static struct memory_link l[300];
	static char names[300][8];
	int found = 0;

	for (int i = 0; i < 300; i++) {
		struct memory_link in[] = { { "a", small_file(f, i), 6 } };

		snprintf(names[i], sizeof names[i], "d%03d", i);
		l[i] = (struct memory_link){ names[i], memory_dir(&f->m, in, 1, false),
					     100 };
	}
	struct cid root = memory_dir(&f->m, l, 300, true);

	show(f, &root);
	for (int i = 0; i < 300; i++) {
		bool under_way = wanted(f, &l[i].cid);

		if (under_way)
			memory_deliver(&f->m, &l[i].cid);
		memory_find(&f->m, &l[i].cid)->here = true;
		shown_ahead_lookup(&f->shown, INODE_ROOT, under_way);
		memory_turn(&f->m);
		found += under_way;
	}
	assert_true(found >= 297);
	/* Nodes only, and no leaves. */
	assert_int_equal(f->m.n_wants, 0);
}

static void a_sequential_reader_has_leaves_under_way(void **state)
{
	struct fixture *f = *state;
	static struct cid leaves[64];
	static uint64_t sizes[64];
	static char data[64 << 10];
	struct inode_info i;

	for (int k = 0; k < 64; k++) {
		data[0] = k;
		leaves[k] = memory_put(&f->m, CODEC_RAW, data, sizeof data, false);
		sizes[k] = sizeof data;
	}
	struct cid file = memory_file(&f->m, leaves, sizes, 64, true);
	struct memory_link l[] = { { "file", file, 0 } };
	struct cid root = memory_dir(&f->m, l, 1, true);

	show(f, &root);
	i = lookup(f, INODE_ROOT, "file");
	shown_ahead_read(&f->shown, i.id, 2 << 20, 4096);
	memory_turn(&f->m);
	assert_int_equal(f->m.n_wants, 0);
	for (int k = 0; k < 6; k++) {
		shown_ahead_read(&f->shown, i.id, k * sizeof data, sizeof data);
		memory_turn(&f->m);
	}
	assert_true(wanted(f, &leaves[6]));
	assert_true(wanted(f, &leaves[9]));
	assert_false(wanted(f, &leaves[20]));
	assert_int_equal(f->m.wants->rq.priority, WANT_READAHEAD);
	assert_true(cid_equal(&f->m.wants->rq.root, &root));
}

static void offline_nothing_is_fetched(void **state)
{
	struct fixture *f = *state;
	struct memory_link l[] = { { "a", small_file(f, 1), 6 },
				   { "b", small_file(f, 2), 6 },
				   { "c", small_file(f, 3), 6 } };
	struct cid root = memory_dir(&f->m, l, 3, true);

	f->m.is_offline = true;
	show(f, &root);
	read_file(f, INODE_ROOT, "a");
	read_file(f, INODE_ROOT, "b");
	assert_int_equal(f->m.n_wants, 0);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(a_single_block_is_asked_for_once),
		TEST(what_is_under_way_is_bounded),
		TEST(one_small_file_fetches_no_other),
		TEST(readers_of_a_directory_find_its_files_under_way),
		TEST(so_do_readers_in_another_order),
		TEST(small_directories_are_gone_through_ahead),
		TEST(who_looks_up_nodes_finds_the_next_under_way),
		TEST(a_sequential_reader_has_leaves_under_way),
		TEST(offline_nothing_is_fetched),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
