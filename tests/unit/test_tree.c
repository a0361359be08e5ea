/* What a mount shows, without a mount. */
#include "fs/tree.h"
#include "tests/helpers/memory.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <stdio.h>
#include <sys/stat.h>

struct fixture {
	struct memory m;
	struct inodes *inodes;
	struct tree t;
	struct cid cids[LACK_MAX], children_cids[LACK_MAX];
	struct lack lack;
	struct misses children;
	struct cid name_root;
	bool name_known;
};

static int name_root(void *arg, const struct peer_id *name, struct cid *root)
{
	struct fixture *f = arg;

	*root = f->name_root;
	return f->name_known ? 0 : ERR_MISSING;
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof *f);

	memory_init(&f->m);
	assert_int_equal(inodes_new(&f->inodes), 0);
	f->t = (struct tree){ &f->m.source, f->inodes, name_root, f };
	f->lack.blocks = (struct misses){ f->cids, 0, LACK_MAX };
	f->children = (struct misses){ f->children_cids, 0, LACK_MAX };
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	inodes_free(f->inodes);
	memory_release(&f->m);
	free(f);
	return 0;
}

/* The mount shows `cid`. */
static void show(struct fixture *f, const struct cid *cid)
{
	struct dag_attr a = { .type = DAG_DIR, .mode = 0755 };

	assert_int_equal(inodes_set_root(f->inodes, cid, &a), 0);
}

static int lookup(struct fixture *f, uint64_t dir, const char *name,
		  struct inode_info *out)
{
	f->lack.blocks.n = 0;
	f->lack.name.len = 0;
	return tree_lookup(&f->t, dir, name, out, &f->lack);
}

static void a_raw_file_is_found_without_its_block(void **state)
{
	struct fixture *f = *state;
	struct cid leaf = memory_raw(&f->m, "hello", false);
	struct memory_link l[] = { { "greeting", leaf, 5 } };
	struct cid root = memory_dir(&f->m, l, 1, true);
	struct inode_info i;
	struct stat st;

	show(f, &root);
	assert_int_equal(lookup(f, INODE_ROOT, "greeting", &i), 0);
	tree_stat(&i, &st);
	assert_int_equal(st.st_mode, S_IFREG | 0444);
	assert_int_equal(st.st_size, 5);
	assert_int_equal(st.st_blocks, 1);
	assert_int_equal(st.st_nlink, 1);
	assert_int_equal(lookup(f, INODE_ROOT, "nobody", &i), -ENOENT);
}

static void a_raw_file_without_a_usable_size_needs_its_block(void **state)
{
	struct fixture *f = *state;
	struct cid leaf = memory_raw(&f->m, "hello", false);
	struct memory_link l[] = { { "huge", leaf, 3 << 20 }, { "none", leaf, 0 } };
	struct cid root = memory_dir(&f->m, l, 2, true);
	struct inode_info i;

	show(f, &root);
	assert_int_equal(lookup(f, INODE_ROOT, "none", &i), ERR_MISSING);
	assert_int_equal(f->lack.blocks.n, 1);
	assert_true(cid_equal(&f->cids[0], &leaf));
	assert_int_equal(lookup(f, INODE_ROOT, "huge", &i), ERR_MISSING);
	memory_deliver(&f->m, &leaf);
	assert_int_equal(lookup(f, INODE_ROOT, "huge", &i), 0);
	assert_int_equal(i.size, 5);
}

static void a_lie_about_a_size_fails_one_read_and_is_corrected(void **state)
{
	struct fixture *f = *state;
	struct cid leaf = memory_raw(&f->m, "hello", true);
	struct memory_link l[] = { { "liar", leaf, 4000 } };
	struct cid root = memory_dir(&f->m, l, 1, true);
	struct tree_bytes b;
	struct inode_info i;

	show(f, &root);
	assert_int_equal(lookup(f, INODE_ROOT, "liar", &i), 0);
	assert_int_equal(i.size, 4000);
	assert_int_equal(tree_read(&f->t, i.id, 0, 4096, &b, &f->lack), -EIO);
	assert_true(b.resized);
	assert_int_equal(tree_read(&f->t, i.id, 0, 4096, &b, &f->lack), 0);
	assert_int_equal(b.len, 5);
	tree_bytes_release(&b);
	assert_int_equal(lookup(f, INODE_ROOT, "liar", &i), 0);
	assert_int_equal(i.size, 5);
}

static void a_read_gives_the_range_and_stops_at_the_end(void **state)
{
	struct fixture *f = *state;
	struct cid leaves[] = { memory_raw(&f->m, "abcd", true),
				memory_raw(&f->m, "efgh", true),
				memory_raw(&f->m, "ij", true) };
	uint64_t sizes[] = { 4, 4, 2 };
	struct cid file = memory_file(&f->m, leaves, sizes, 3, true);
	struct memory_link l[] = { { "file", file, 100 } };
	struct cid root = memory_dir(&f->m, l, 1, true);
	struct inode_info i;
	struct tree_bytes b;
	char got[16];
	size_t n = 0;

	show(f, &root);
	assert_int_equal(lookup(f, INODE_ROOT, "file", &i), 0);
	assert_int_equal(i.size, 10);
	assert_int_equal(tree_read(&f->t, i.id, 3, 100, &b, &f->lack), 0);
	assert_int_equal(b.len, 7);
	for (int k = 0; k < b.n; k++) {
		memcpy(got + n, b.extents[k].block->data + b.extents[k].offset,
		       b.extents[k].len);
		n += b.extents[k].len;
	}
	assert_memory_equal(got, "defghij", 7);
	tree_bytes_release(&b);
	assert_int_equal(tree_read(&f->t, i.id, 10, 100, &b, &f->lack), 0);
	assert_int_equal(b.len, 0);
	tree_bytes_release(&b);
}

static void a_file_cut_very_small_is_still_read_whole(void **state)
{
	struct fixture *f = *state;
	struct cid leaves[200];
	uint64_t sizes[200];
	struct tree_bytes b;
	struct inode_info i;

	for (int k = 0; k < 200; k++) {
		uint8_t byte = k;
		leaves[k] = memory_put(&f->m, CODEC_RAW, &byte, 1, true);
		sizes[k] = 1;
	}
	struct cid file = memory_file(&f->m, leaves, sizes, 200, true);
	struct memory_link l[] = { { "file", file, 0 } };
	struct cid root = memory_dir(&f->m, l, 1, true);

	show(f, &root);
	assert_int_equal(lookup(f, INODE_ROOT, "file", &i), 0);
	assert_int_equal(tree_read(&f->t, i.id, 0, 4096, &b, &f->lack), 0);
	assert_int_equal(b.len, 200);
	assert_non_null(b.copy);
	for (int k = 0; k < 200; k++)
		assert_int_equal(b.copy[k], k);
	tree_bytes_release(&b);
}

static void a_read_says_which_leaves_it_lacks(void **state)
{
	struct fixture *f = *state;
	struct cid leaves[] = { memory_raw(&f->m, "abcd", true),
				memory_raw(&f->m, "efgh", false),
				memory_raw(&f->m, "ijkl", false) };
	uint64_t sizes[] = { 4, 4, 4 };
	struct cid file = memory_file(&f->m, leaves, sizes, 3, true);
	struct memory_link l[] = { { "file", file, 0 } };
	struct cid root = memory_dir(&f->m, l, 1, true);
	struct inode_info i;
	struct tree_bytes b;

	show(f, &root);
	assert_int_equal(lookup(f, INODE_ROOT, "file", &i), 0);
	assert_int_equal(tree_read(&f->t, i.id, 0, 4, &b, &f->lack), 0);
	tree_bytes_release(&b);
	assert_int_equal(tree_read(&f->t, i.id, 2, 10, &b, &f->lack), ERR_MISSING);
	assert_int_equal(f->lack.blocks.n, 2);
	assert_true(cid_equal(&f->cids[0], &leaves[1]));
	assert_true(cid_equal(&f->cids[1], &leaves[2]));
}

struct seen {
	int n, stop_at;
	char names[16][32];
	enum inode_kind kinds[16];
	uint64_t inos[16], next[16];
	int opened[16];
	struct inode_info infos[16];
	bool open;
};

static int on_entry(void *arg, const struct tree_entry *e)
{
	struct seen *s = arg;

	if (s->n == s->stop_at)
		return 1;
	snprintf(s->names[s->n], sizeof s->names[0], "%s", e->name);
	s->kinds[s->n] = e->kind;
	s->inos[s->n] = e->ino;
	s->next[s->n] = e->next;
	if (s->open)
		s->opened[s->n] = tree_entry_open(e, &s->infos[s->n]);
	s->n++;
	return 0;
}

static int list(struct fixture *f, uint64_t dir, uint64_t pos, struct seen *s)
{
	f->lack.blocks.n = f->children.n = 0;
	return tree_list(&f->t, dir, pos, on_entry, s, &f->lack, &f->children);
}

static void a_listing_gives_names_at_once_and_attributes_where_known(void **state)
{
	struct fixture *f = *state;
	struct cid leaf = memory_raw(&f->m, "hello", false);
	struct cid here = memory_dir(&f->m, NULL, 0, true);
	struct memory_link in_absent[] = { { "x", leaf, 5 } };
	struct cid absent = memory_dir(&f->m, in_absent, 1, false);
	struct cid link = memory_symlink(&f->m, "/etc/passwd", true);
	struct memory_link l[] = { { "absent", absent, 60 },
				   { "here", here, 4 },
				   { "leaf", leaf, 5 },
				   { "link", link, 9 } };
	struct cid root = memory_dir(&f->m, l, 4, true);
	struct seen s = { .stop_at = 16, .open = true };

	show(f, &root);
	assert_int_equal(list(f, INODE_ROOT, 0, &s), 0);
	assert_int_equal(s.n, 6);
	assert_string_equal(s.names[0], ".");
	assert_string_equal(s.names[1], "..");
	assert_string_equal(s.names[2], "absent");
	assert_int_equal(s.kinds[2], 0);
	assert_true(s.opened[2] < 0);
	assert_int_equal(s.kinds[3], INODE_DIR);
	assert_int_equal(s.opened[3], 0);
	assert_int_equal(s.kinds[4], INODE_FILE);
	assert_int_equal(s.opened[4], 0);
	assert_int_equal(s.infos[4].size, 5);
	assert_int_equal(s.kinds[5], INODE_SYMLINK);
	assert_int_equal(s.infos[5].size, 11);
	for (int k = 3; k < 6; k++)
		assert_true(s.inos[k] == s.infos[k].id);
	/* What could not be told is fetched. */
	assert_int_equal(f->children.n, 1);
	assert_true(cid_equal(&f->children_cids[0], &absent));
}

static void a_listing_goes_on_where_it_stopped(void **state)
{
	struct fixture *f = *state;
	struct cid leaf = memory_raw(&f->m, "hello", false);
	struct memory_link l[] = { { "a", leaf, 5 }, { "b", leaf, 5 }, { "c", leaf, 5 } };
	struct cid root = memory_dir(&f->m, l, 3, true);
	char all[16] = "";
	uint64_t pos = 0;

	show(f, &root);
	for (int i = 0; i < 5; i++) {
		struct seen s = { .stop_at = 1 };

		assert_int_equal(list(f, INODE_ROOT, pos, &s), 0);
		assert_int_equal(s.n, 1);
		strcat(all, s.names[0]);
		pos = s.next[0];
	}
	assert_string_equal(all, "...abc");
	struct seen s = { .stop_at = 1 };
	assert_int_equal(list(f, INODE_ROOT, pos, &s), 0);
	assert_int_equal(s.n, 0);
}

static void an_absent_directory_lists_nothing_yet(void **state)
{
	struct fixture *f = *state;
	struct cid root = memory_dir(&f->m, NULL, 0, false);
	struct seen s = { .stop_at = 16 };

	show(f, &root);
	assert_int_equal(list(f, INODE_ROOT, 0, &s), ERR_MISSING);
	assert_int_equal(s.n, 0);
	assert_true(cid_equal(&f->cids[0], &root));
}

static void bad_names_are_not_shown_and_a_broken_entry_fails_alone(void **state)
{
	struct fixture *f = *state;
	struct cid leaf = memory_raw(&f->m, "hello", true);
	struct cid broken = memory_put(&f->m, CODEC_DAG_PB, "\xff\xff", 2, true);
	struct memory_link l[] = { { "", leaf, 5 },         { ".", leaf, 5 },
				   { "..", leaf, 5 },       { "a/b", leaf, 5 },
				   { "broken", broken, 5 }, { "good", leaf, 5 } };
	struct cid root = memory_dir(&f->m, l, 6, true);
	struct seen s = { .stop_at = 16, .open = true };
	struct inode_info i;

	show(f, &root);
	assert_int_equal(list(f, INODE_ROOT, 2, &s), 0);
	assert_int_equal(s.n, 2);
	assert_string_equal(s.names[0], "broken");
	assert_true(s.opened[0] < 0);
	assert_string_equal(s.names[1], "good");
	assert_int_equal(lookup(f, INODE_ROOT, "broken", &i), ERR_MALFORMED);
	assert_int_equal(lookup(f, INODE_ROOT, "good", &i), 0);
}

static void a_symlink_is_given_as_it_is(void **state)
{
	struct fixture *f = *state;
	struct cid link = memory_symlink(&f->m, "../../etc/passwd", true);
	struct memory_link l[] = { { "link", link, 9 } };
	struct cid root = memory_dir(&f->m, l, 1, true);
	struct inode_info i;
	char target[64];

	show(f, &root);
	assert_int_equal(lookup(f, INODE_ROOT, "link", &i), 0);
	assert_true(tree_readlink(&f->t, i.id, target, sizeof target, &f->lack) >= 0);
	assert_string_equal(target, "../../etc/passwd");
	assert_int_equal(
	    tree_readlink(&f->t, INODE_ROOT, target, sizeof target, &f->lack), -EINVAL);
}

static void the_whole_name_space_has_trees_by_cid(void **state)
{
	struct fixture *f = *state;
	struct cid leaf = memory_raw(&f->m, "hello", true);
	struct memory_link l[] = { { "a", leaf, 5 } };
	struct cid root = memory_dir(&f->m, l, 1, true);
	struct inode_info i, dir;
	struct seen s = { .stop_at = 16 };
	char text[CID_TEXT_MAX];

	assert_int_equal(list(f, INODE_ROOT, 2, &s), 0);
	assert_int_equal(s.n, 2);
	assert_string_equal(s.names[0], "ipfs");
	assert_string_equal(s.names[1], "ipns");
	assert_int_equal(lookup(f, INODE_ROOT, "ipfs", &i), 0);
	assert_int_equal(i.id, INODE_IPFS);
	assert_int_equal(lookup(f, INODE_ROOT, "etc", &i), -ENOENT);
	assert_int_equal(lookup(f, INODE_IPFS, cid_text(&root, text), &dir), 0);
	assert_int_equal(lookup(f, dir.id, "a", &i), 0);
	assert_int_equal(i.size, 5);
	assert_int_equal(lookup(f, INODE_IPFS, cid_text(&leaf, text), &i), 0);
	assert_int_equal(i.kind, INODE_FILE);
	assert_int_equal(lookup(f, INODE_IPFS, "favicon.ico", &i), -ENOENT);
}

static void a_name_is_a_directory_once_it_is_known(void **state)
{
	static const char name[] =
	    "k51qzi5uqu5dgutdk6i1ynyzgkqngpha5xpgia3a5qqp4jsh0u4csozksxel2r";
	struct fixture *f = *state;
	struct inode_info i;
	struct seen s = { .stop_at = 16 };

	f->name_root = memory_dir(&f->m, NULL, 0, true);
	assert_int_equal(list(f, INODE_IPNS, 2, &s), 0);
	assert_int_equal(s.n, 0);
	assert_int_equal(lookup(f, INODE_IPNS, "example.org", &i), -ENOENT);
	assert_int_equal(lookup(f, INODE_IPNS, name, &i), ERR_MISSING);
	assert_int_not_equal(f->lack.name.len, 0);
	f->name_known = true;
	assert_int_equal(lookup(f, INODE_IPNS, name, &i), 0);
	assert_int_equal(i.kind, INODE_DIR);
	assert_true(cid_equal(&i.cid, &f->name_root));
}

static int shelf_root(void *arg, const char *name, struct cid *out)
{
	struct fixture *f = arg;

	*out = f->name_root;
	return strcmp(name, "old") == 0 || strcmp(name, "new") == 0 ? 0 : -ENOENT;
}

static int shelf_name(void *arg, uint64_t n, char *out)
{
	strcpy(out, n == 0 ? "old" : "new");
	return n < 2 ? 0 : -ENOENT;
}

static void a_history_has_trees_by_name(void **state)
{
	struct fixture *f = *state;
	const struct tree_shelf shelf = { shelf_root, shelf_name, f };
	struct memory_link l[] = { { "greeting", memory_raw(&f->m, "hello", true), 5 } };
	struct seen s = { .stop_at = 16 }, more = { .stop_at = 16 };
	struct inode_info i;
	struct cid top = { .version = 0xff };

	f->name_root = memory_dir(&f->m, l, 1, true);
	f->t.shelf = &shelf;
	assert_int_equal(list(f, INODE_ROOT, 0, &s), 0);
	assert_int_equal(s.n, 3); /* and the two dots */
	assert_string_equal(s.names[2], "snapshots");
	assert_int_equal(lookup(f, INODE_ROOT, "ipfs", &i), -ENOENT);
	assert_int_equal(lookup(f, INODE_ROOT, "snapshots", &i), 0);
	assert_int_equal(i.id, INODE_SHELF);
	s.n = 0;
	assert_int_equal(list(f, INODE_SHELF, 0, &s), 0);
	assert_int_equal(s.n, 4);
	assert_string_equal(s.names[2], "old");
	assert_string_equal(s.names[3], "new");
	assert_int_equal(list(f, INODE_SHELF, s.next[2], &more), 0);
	assert_int_equal(more.n, 1);
	assert_string_equal(more.names[0], "new");
	assert_int_equal(lookup(f, INODE_SHELF, "newer", &i), -ENOENT);
	assert_int_equal(lookup(f, INODE_SHELF, "old", &i), 0);
	assert_int_equal(i.id, s.inos[2]);
	assert_int_equal(lookup(f, i.id, "greeting", &i), 0);
	assert_int_equal(i.size, 5);
	assert_true(inodes_top(f->inodes, i.id, &top));
	assert_true(cid_equal(&top, &f->name_root));
}

static void numbers_that_are_not_known_are_stale(void **state)
{
	struct fixture *f = *state;
	struct inode_info i;
	struct tree_bytes b;
	struct seen s = { .stop_at = 16 };

	assert_int_equal(lookup(f, 4711, "a", &i), -ESTALE);
	assert_int_equal(list(f, 4711, 0, &s), -ESTALE);
	assert_int_equal(tree_read(&f->t, 4711, 0, 10, &b, &f->lack), -ESTALE);
	assert_int_equal(tree_read(&f->t, INODE_ROOT, 0, 10, &b, &f->lack), -EISDIR);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(a_raw_file_is_found_without_its_block),
		TEST(a_raw_file_without_a_usable_size_needs_its_block),
		TEST(a_lie_about_a_size_fails_one_read_and_is_corrected),
		TEST(a_read_gives_the_range_and_stops_at_the_end),
		TEST(a_file_cut_very_small_is_still_read_whole),
		TEST(a_read_says_which_leaves_it_lacks),
		TEST(a_listing_gives_names_at_once_and_attributes_where_known),
		TEST(a_listing_goes_on_where_it_stopped),
		TEST(an_absent_directory_lists_nothing_yet),
		TEST(bad_names_are_not_shown_and_a_broken_entry_fails_alone),
		TEST(a_symlink_is_given_as_it_is),
		TEST(the_whole_name_space_has_trees_by_cid),
		TEST(a_name_is_a_directory_once_it_is_known),
		TEST(a_history_has_trees_by_name),
		TEST(numbers_that_are_not_known_are_stale),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
