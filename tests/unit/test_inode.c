/* The inodes the kernel knows. */
#include "fs/inode.h"
#include "store/error.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

static const struct dag_attr file = { .type = DAG_FILE, .size = 5, .mode = 0644 };
static const struct dag_attr dir = { .type = DAG_DIR, .mode = 0755 };

static int setup(void **state)
{
	struct inodes *t;

	assert_int_equal(inodes_new(&t), 0);
	*state = t;
	return 0;
}

static int teardown(void **state)
{
	inodes_free(*state);
	return 0;
}

static struct cid cid(const char *text)
{
	struct cid c;

	cid_of(&c, 1, CODEC_RAW, text, strlen(text));
	return c;
}

static void equal_files_share_an_inode(void **state)
{
	struct inodes *t = *state;
	struct inode_info a, b, other;
	struct cid c = cid("a"), d = cid("d");

	assert_int_equal(inodes_file(t, &c, &file, INODE_ROOT, 0, &a), 0);
	assert_int_equal(inodes_file(t, &c, &file, 99, 0, &b), 0);
	assert_int_equal(inodes_file(t, &d, &file, 99, 0, &other), 0);
	assert_true(a.id == b.id);
	assert_true(a.id != other.id);
	assert_true(cid_equal(&a.cid, &c));
}

static void files_that_differ_in_attributes_do_not(void **state)
{
	struct inodes *t = *state;
	struct inode_info a, b;
	struct cid c = cid("a");
	struct dag_attr x = file;

	assert_int_equal(inodes_file(t, &c, &file, INODE_ROOT, 0, &a), 0);
	x.mode = 0755;
	assert_int_equal(inodes_file(t, &c, &x, INODE_ROOT, 0, &b), 0);
	assert_true(a.id != b.id);
	x = file;
	x.mtime = 1;
	assert_int_equal(inodes_file(t, &c, &x, INODE_ROOT, 0, &b), 0);
	assert_true(a.id != b.id);
	x = file;
	x.size = 6; /* one of two directories lies about a leaf */
	assert_int_equal(inodes_file(t, &c, &x, INODE_ROOT, 0, &b), 0);
	assert_true(a.id != b.id);
	assert_int_equal(b.size, 6);
}

static void nothing_can_be_written_and_strangers_set_no_ids(void **state)
{
	struct inodes *t = *state;
	struct inode_info i;
	struct cid c = cid("a");
	struct dag_attr x = file;

	x.mode = 07777;
	assert_int_equal(inodes_file(t, &c, &x, INODE_ROOT, 0, &i), 0);
	assert_int_equal(i.mode, 0555);
	x = dir;
	x.mode = 01777;
	assert_int_equal(inodes_dir(t, INODE_ROOT, 0, "d", 1, &c, &x, 0, &i), 0);
	assert_int_equal(i.mode, 0555);
}

static void a_directory_has_an_inode_per_place(void **state)
{
	struct inodes *t = *state;
	struct inode_info a, b, again;
	struct cid c = cid("a");

	assert_int_equal(inodes_dir(t, INODE_ROOT, 0, "x", 1, &c, &dir, 0, &a), 0);
	assert_int_equal(inodes_dir(t, INODE_ROOT, 0, "y", 1, &c, &dir, 0, &b), 0);
	assert_int_equal(inodes_dir(t, INODE_ROOT, 0, "x", 1, &c, &dir, 0, &again), 0);
	assert_true(a.id != b.id);
	assert_true(a.id == again.id);
	assert_true(a.id == inode_dir_id(INODE_ROOT, "x", 1));
}

static void it_is_known_until_every_look_up_is_forgotten(void **state)
{
	struct inodes *t = *state;
	struct inode_info i;
	struct cid c = cid("a");
	uint64_t before = inodes_count(t), id;

	for (int k = 0; k < 3; k++)
		assert_int_equal(inodes_file(t, &c, &file, INODE_ROOT, 0, &i), 0);
	id = i.id;
	inodes_forget(t, id, 2);
	assert_int_equal(inodes_get(t, id, &i), 0);
	inodes_forget(t, id, 1);
	assert_int_equal(inodes_get(t, id, &i), -ESTALE);
	assert_int_equal(inodes_count(t), before);

	/* And has the same number when it comes back. */
	assert_int_equal(inodes_file(t, &c, &file, INODE_ROOT, 0, &i), 0);
	assert_true(i.id == id);
	/* More than there were, and what never was. */
	inodes_forget(t, id, 1000);
	inodes_forget(t, id, 1);
	inodes_forget(t, INODE_ROOT, 1000);
	assert_int_equal(inodes_get(t, INODE_ROOT, &i), 0);
}

static void a_hundred_thousand_are_found_again(void **state)
{
	struct inodes *t = *state;
	static uint64_t ids[100000];
	struct inode_info i;
	char name[16];

	for (int k = 0; k < 100000; k++) {
		snprintf(name, sizeof name, "%d", k);
		struct cid c = cid(name);
		assert_int_equal(inodes_file(t, &c, &file, INODE_ROOT, k, &i), 0);
		ids[k] = i.id;
	}
	for (int k = 0; k < 100000; k++) {
		assert_int_equal(inodes_get(t, ids[k], &i), 0);
		assert_int_equal(i.pos, k);
		inodes_forget(t, ids[k], 1);
	}
	assert_int_equal(inodes_count(t), 5);
}

static void a_listing_from_before_a_move_makes_no_inode(void **state)
{
	struct inodes *t = *state;
	struct inode_info d, i;
	struct cid old = cid("old"), new = cid("new"), child = cid("child");
	struct inode_move move = { .cid = new, .attr = dir };

	assert_int_equal(inodes_dir(t, INODE_ROOT, 0, "d", 1, &old, &dir, 0, &d), 0);
	move.id = d.id;
	assert_int_equal(inodes_move(t, &move, 1), 0);
	assert_int_equal(inodes_dir(t, d.id, d.version, "c", 1, &child, &dir, 0, &i),
			 -EAGAIN);
	assert_int_equal(inodes_get(t, d.id, &d), 0);
	assert_true(cid_equal(&d.cid, &new));
	assert_int_equal(inodes_dir(t, d.id, d.version, "c", 1, &child, &dir, 0, &i), 0);
}

static void a_directory_that_is_gone_leaves_its_place(void **state)
{
	struct inodes *t = *state;
	struct inode_info old, new;
	struct cid a = cid("a"), b = cid("b");
	struct inode_move move = { .gone = true };

	assert_int_equal(inodes_dir(t, INODE_ROOT, 0, "d", 1, &a, &dir, 0, &old), 0);
	move.id = old.id;
	assert_int_equal(inodes_move(t, &move, 1), 0);
	assert_int_equal(inodes_dir(t, INODE_ROOT, 0, "d", 1, &b, &dir, 0, &new), 0);
	assert_true(new.id != old.id);
	/* Who stands in the old one still sees it. */
	assert_int_equal(inodes_get(t, old.id, &old), 0);
	assert_true(cid_equal(&old.cid, &a));
	inodes_forget(t, old.id, 1);
	assert_int_equal(inodes_get(t, new.id, &new), 0);
}

static void another_directory_at_a_place_gets_another_inode(void **state)
{
	struct inodes *t = *state;
	struct inode_info old, new;
	struct cid a = cid("a"), b = cid("b");

	assert_int_equal(inodes_dir(t, INODE_ROOT, 0, "d", 1, &a, &dir, 0, &old), 0);
	assert_int_equal(inodes_dir(t, INODE_ROOT, 0, "d", 1, &b, &dir, 0, &new), 0);
	assert_true(new.id != old.id);
	assert_true(cid_equal(&new.cid, &b));
}

static void a_corrected_size_stays(void **state)
{
	struct inodes *t = *state;
	struct inode_info i, again;
	struct cid c = cid("a");

	assert_int_equal(inodes_file(t, &c, &file, INODE_ROOT, 0, &i), 0);
	inodes_resize(t, i.id, 3);
	assert_int_equal(inodes_file(t, &c, &file, INODE_ROOT, 0, &again), 0);
	assert_true(again.id == i.id);
	assert_int_equal(again.size, 3);
}

static void the_top_and_the_path_are_found_from_below(void **state)
{
	struct inodes *t = *state;
	struct inode_info tree, sub, i;
	struct cid a = cid("a"), b = cid("b"), c = cid("c"), top;
	char path[64], small[4];

	assert_int_equal(inodes_dir(t, INODE_IPFS, 0, "cid", 3, &a, &dir, 0, &tree), 0);
	assert_int_equal(inodes_dir(t, tree.id, 0, "sub", 3, &b, &dir, 0, &sub), 0);
	assert_int_equal(inodes_file(t, &c, &file, sub.id, 0, &i), 0);
	assert_true(inodes_top(t, i.id, &top));
	assert_true(cid_equal(&top, &a));
	assert_false(inodes_top(t, INODE_ROOT, &top));
	assert_int_equal(inodes_set_root(t, &c, &dir), 0);
	assert_true(inodes_top(t, INODE_ROOT, &top));
	assert_true(cid_equal(&top, &c));

	inodes_path(t, sub.id, path, sizeof path);
	assert_string_equal(path, "/ipfs/cid/sub");
	inodes_path(t, i.id, path, sizeof path);
	assert_string_equal(path, "/ipfs/cid/sub/");
	inodes_path(t, INODE_ROOT, path, sizeof path);
	assert_string_equal(path, "/");
	inodes_path(t, sub.id, small, sizeof small); /* what fits */
	assert_true(strlen(small) < sizeof small);
}

static void the_places_are_those_of_directories(void **state)
{
	struct inodes *t = *state;
	struct inode_place *p;
	struct inode_info d, i;
	struct cid c = cid("a");
	size_t n;

	assert_int_equal(inodes_dir(t, INODE_ROOT, 0, "d", 1, &c, &dir, 0, &d), 0);
	assert_int_equal(inodes_file(t, &c, &file, d.id, 0, &i), 0);
	assert_int_equal(inodes_places(t, &p, &n), 0);
	assert_int_equal(n, 1);
	assert_true(p[0].id == d.id && p[0].parent == INODE_ROOT);
	assert_string_equal(p[0].name, "d");
	inode_places_free(p, n);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(equal_files_share_an_inode),
		TEST(files_that_differ_in_attributes_do_not),
		TEST(nothing_can_be_written_and_strangers_set_no_ids),
		TEST(a_directory_has_an_inode_per_place),
		TEST(it_is_known_until_every_look_up_is_forgotten),
		TEST(a_hundred_thousand_are_found_again),
		TEST(a_listing_from_before_a_move_makes_no_inode),
		TEST(a_directory_that_is_gone_leaves_its_place),
		TEST(another_directory_at_a_place_gets_another_inode),
		TEST(a_corrected_size_stays),
		TEST(the_top_and_the_path_are_found_from_below),
		TEST(the_places_are_those_of_directories),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
