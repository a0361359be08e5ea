/* How a mount gets from one version of a tree to the next. */
#include "fs/move.h"
#include "fs/tree.h"
#include "tests/helpers/memory.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <stdio.h>

struct fixture {
	struct memory m;
	struct inodes *inodes;
	struct tree t;
	struct cid cids[LACK_MAX];
	struct lack lack;
	struct move move;
	struct cid a, b, c; /* leaves */
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof *f);

	memory_init(&f->m);
	assert_int_equal(inodes_new(&f->inodes), 0);
	f->t = (struct tree){ .source = &f->m.source, .inodes = f->inodes };
	f->lack.blocks = (struct misses){ f->cids, 0, LACK_MAX };
	f->a = memory_raw(&f->m, "a", true);
	f->b = memory_raw(&f->m, "bb", true);
	f->c = memory_raw(&f->m, "ccc", true);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	move_release(&f->move);
	inodes_free(f->inodes);
	memory_release(&f->m);
	free(f);
	return 0;
}

static void show(struct fixture *f, const struct cid *cid)
{
	struct dag_attr a = { .type = DAG_DIR, .mode = 0755 };

	assert_int_equal(inodes_set_root(f->inodes, cid, &a), 0);
}

static uint64_t open_entry(struct fixture *f, uint64_t dir, const char *name)
{
	struct inode_info i;

	assert_int_equal(tree_lookup(&f->t, dir, name, &i, &f->lack), 0);
	return i.id;
}

static int plan(struct fixture *f, const struct cid *to)
{
	uint64_t root = INODE_ROOT;

	f->lack.blocks.n = 0;
	move_release(&f->move);
	return move_plan(&f->move, &f->m.source, f->inodes, &root, 1, to,
			 &f->lack.blocks);
}

static bool has_entry(struct fixture *f, uint64_t dir, const char *name)
{
	for (size_t i = 0; i < f->move.n_entries; i++) {
		if (f->move.entries[i].dir == dir &&
		    !strcmp(f->move.entries[i].name, name))
			return true;
	}
	return false;
}

static const struct inode_move *move_of(struct fixture *f, uint64_t id)
{
	for (size_t i = 0; i < f->move.n_moves; i++) {
		if (f->move.moves[i].id == id)
			return &f->move.moves[i];
	}
	return NULL;
}

static void changed_new_and_removed_entries_are_forgotten(void **state)
{
	struct fixture *f = *state;
	struct memory_link old[] = { { "changed", f->a, 1 },
				     { "removed", f->a, 1 },
				     { "same", f->a, 1 } };
	struct memory_link new[] = { { "added", f->b, 2 },
				     { "changed", f->b, 2 },
				     { "same", f->a, 1 } };
	struct cid from = memory_dir(&f->m, old, 3, true);
	struct cid to = memory_dir(&f->m, new, 3, true);

	show(f, &from);
	assert_int_equal(plan(f, &to), 0);
	assert_int_equal(f->move.n_entries, 3);
	assert_true(has_entry(f, INODE_ROOT, "added")); /* it may be known as absent */
	assert_true(has_entry(f, INODE_ROOT, "changed"));
	assert_true(has_entry(f, INODE_ROOT, "removed"));
	assert_int_equal(f->move.n_moves, 1);
	assert_true(cid_equal(&f->move.moves[0].cid, &to));
}

static void the_same_tree_moves_nothing(void **state)
{
	struct fixture *f = *state;
	struct memory_link old[] = { { "x", f->a, 1 } };
	struct cid from = memory_dir(&f->m, old, 1, true);

	show(f, &from);
	assert_int_equal(plan(f, &from), 0);
	assert_int_equal(f->move.n_moves, 0);
	assert_int_equal(f->move.n_entries, 0);
}

static void known_directories_live_on_and_unchanged_ones_are_not_opened(void **state)
{
	struct fixture *f = *state;
	struct memory_link one[] = { { "x", f->a, 1 } }, two[] = { { "x", f->b, 2 } };
	struct cid same =
	    memory_dir(&f->m, (struct memory_link[]){ { "y", f->c, 3 } }, 1, true);
	struct cid d1 = memory_dir(&f->m, one, 1, true),
		   d2 = memory_dir(&f->m, two, 1, true);
	struct memory_link old[] = { { "d", d1, 9 },
				     { "same", same, 9 },
				     { "unseen", d1, 9 } };
	struct memory_link new[] = { { "d", d2, 9 },
				     { "same", same, 9 },
				     { "unseen", d2, 9 } };
	struct cid from = memory_dir(&f->m, old, 3, true),
		   to = memory_dir(&f->m, new, 3, true);
	uint64_t d, s;

	show(f, &from);
	d = open_entry(f, INODE_ROOT, "d");
	s = open_entry(f, INODE_ROOT, "same");
	assert_int_equal(plan(f, &to), 0);
	assert_non_null(move_of(f, d));
	assert_false(move_of(f, d)->gone);
	assert_true(cid_equal(&move_of(f, d)->cid, &d2));
	assert_null(move_of(f, s));
	assert_true(has_entry(f, d, "x"));
	assert_false(has_entry(f, INODE_ROOT, "d"));
	assert_true(has_entry(f, INODE_ROOT, "unseen"));

	/* And after it, the tree shows the new one. */
	struct inode_info i;
	assert_int_equal(inodes_move(f->inodes, f->move.moves, f->move.n_moves), 0);
	assert_int_equal(tree_lookup(&f->t, d, "x", &i, &f->lack), 0);
	assert_int_equal(i.size, 2);
}

static void a_directory_that_became_a_file_is_gone(void **state)
{
	struct fixture *f = *state;
	struct memory_link one[] = { { "x", f->a, 1 } };
	struct cid d1 = memory_dir(&f->m, one, 1, true);
	struct memory_link old[] = { { "d", d1, 9 }, { "e", d1, 9 } };
	struct memory_link new[] = { { "d", f->a, 1 } };
	struct cid from = memory_dir(&f->m, old, 2, true),
		   to = memory_dir(&f->m, new, 1, true);
	uint64_t d, e;

	show(f, &from);
	d = open_entry(f, INODE_ROOT, "d");
	e = open_entry(f, INODE_ROOT, "e");
	assert_int_equal(plan(f, &to), 0);
	assert_true(move_of(f, d)->gone);
	assert_true(move_of(f, e)->gone);
	assert_true(has_entry(f, INODE_ROOT, "d"));
	assert_true(has_entry(f, INODE_ROOT, "e"));
}

static void it_asks_for_all_the_new_blocks_it_can_see(void **state)
{
	struct fixture *f = *state;
	struct memory_link one[] = { { "x", f->a, 1 } }, two[] = { { "x", f->b, 2 } },
			   three[] = { { "x", f->c, 3 } };
	struct cid d1 = memory_dir(&f->m, one, 1, true);
	struct cid d2 = memory_dir(&f->m, two, 1, false),
		   d3 = memory_dir(&f->m, three, 1, false);
	struct memory_link old[] = { { "d", d1, 9 }, { "e", d1, 9 } };
	struct memory_link new[] = { { "d", d2, 9 }, { "e", d3, 9 } };
	struct cid from = memory_dir(&f->m, old, 2, true),
		   to = memory_dir(&f->m, new, 2, false);

	show(f, &from);
	open_entry(f, INODE_ROOT, "d");
	open_entry(f, INODE_ROOT, "e");
	assert_int_equal(plan(f, &to), ERR_MISSING);
	assert_int_equal(f->lack.blocks.n, 1);
	memory_deliver(&f->m, &to);
	assert_int_equal(plan(f, &to), ERR_MISSING);
	assert_int_equal(f->lack.blocks.n, 2);
	memory_deliver(&f->m, &d2);
	memory_deliver(&f->m, &d3);
	assert_int_equal(plan(f, &to), 0);
	assert_int_equal(f->move.n_moves, 3);
}

static void old_blocks_are_not_waited_for(void **state)
{
	struct fixture *f = *state;
	struct memory_link one[] = { { "x", f->a, 1 } }, two[] = { { "x", f->b, 2 } };
	struct cid d1 = memory_dir(&f->m, one, 1, true),
		   d2 = memory_dir(&f->m, two, 1, true);
	struct memory_link old[] = { { "d", d1, 9 } }, new[] = { { "d", d2, 9 } };
	struct cid from = memory_dir(&f->m, old, 1, true),
		   to = memory_dir(&f->m, new, 1, true);
	uint64_t d;

	show(f, &from);
	d = open_entry(f, INODE_ROOT, "d");
	memory_find(&f->m, &d1)->here = false; /* evicted */
	assert_int_equal(plan(f, &to), 0);
	assert_true(move_of(f, d)->gone);
	assert_true(has_entry(f, INODE_ROOT, "d"));
}

static void a_tree_that_is_no_directory_is_refused(void **state)
{
	struct fixture *f = *state;
	struct memory_link old[] = { { "x", f->a, 1 } };
	struct cid from = memory_dir(&f->m, old, 1, true);

	show(f, &from);
	assert_int_equal(plan(f, &f->a), -ENOTDIR);
}

static void ten_thousand_changes_are_told_one_by_one(void **state)
{
	struct fixture *f = *state;
	static struct memory_link old[10000], new[10000];
	static char names[10000][8];

	for (int i = 0; i < 10000; i++) {
		snprintf(names[i], sizeof names[i], "f%05d", i);
		old[i] = (struct memory_link){ names[i], f->a, 1 };
		new[i] = (struct memory_link){ names[i], i % 2 ? f->a : f->b, 1 };
	}
	struct cid from = memory_dir(&f->m, old, 10000, true);
	struct cid to = memory_dir(&f->m, new, 10000, true);

	show(f, &from);
	assert_int_equal(plan(f, &to), 0);
	assert_int_equal(f->move.n_entries, 5000);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(changed_new_and_removed_entries_are_forgotten),
		TEST(the_same_tree_moves_nothing),
		TEST(known_directories_live_on_and_unchanged_ones_are_not_opened),
		TEST(a_directory_that_became_a_file_is_gone),
		TEST(it_asks_for_all_the_new_blocks_it_can_see),
		TEST(old_blocks_are_not_waited_for),
		TEST(a_tree_that_is_no_directory_is_refused),
		TEST(ten_thousand_changes_are_told_one_by_one),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
