/* What the builders put: the shape of files and directories, block by block. */
#include "store/block.h"
#include "store/build_dir.h"
#include "store/build_file.h"
#include "store/dagpb.h"
#include "store/error.h"
#include "store/hamt.h"
#include "store/unixfs.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#define V0 profile_find("unixfs-v0-2015")
#define V1 profile_find("unixfs-v1-2025")

/* A sink that keeps blocks, up to a limit, after which it says ENOSPC. */
struct memory {
	struct block_sink base;
	struct block *blocks[4096];
	size_t n, limit;
};

static int keep(struct block_sink *self, const struct multihash *name, const void *data,
		size_t len)
{
	struct memory *m = (struct memory *)self;

	if (m->n == m->limit)
		return -ENOSPC;
	/* Also checks that the name is the hash. */
	assert_int_equal(block_verify(&m->blocks[m->n++], name, data, len), 0);
	return 0;
}

static struct memory *memory_new(void)
{
	struct memory *m = calloc(1, sizeof *m);

	assert_non_null(m);
	m->base.put = keep;
	m->limit = sizeof m->blocks / sizeof *m->blocks;
	return m;
}

static void memory_free(struct memory *m)
{
	while (m->n)
		block_unref(m->blocks[--m->n]);
	free(m);
}

static const struct block *find(const struct memory *m, const struct cid *cid)
{
	for (size_t i = 0; i < m->n; i++)
		if (multihash_equal(&m->blocks[i]->name, &cid->hash))
			return m->blocks[i];
	fail_msg("a block is not there");
	return NULL;
}

static void assert_cid(const struct cid *cid, const char *want)
{
	char text[CID_TEXT_MAX];

	assert_string_equal(cid_text(cid, text), want);
}

static void assert_block(const struct memory *m, const struct cid *cid, const char *hex)
{
	const struct block *b = find(m, cid);

	assert_int_equal(b->size, strlen(hex) / 2);
	for (size_t i = 0; i < b->size; i++) {
		unsigned byte;

		assert_int_equal(sscanf(hex + 2 * i, "%2x", &byte), 1);
		assert_int_equal(b->data[i], byte);
	}
}

/* A file of `n` leaves of one byte, the i-th being i mod 256. */
static int build(const struct profile *p, struct memory *m, unsigned n, struct built *root)
{
	struct build_file b;
	int r = 0;

	build_file_init(&b, p, &m->base);
	for (unsigned i = 0; i < n && r == 0; i++) {
		uint8_t room[LEAF_HEAD + 1 + LEAF_TAIL] = { [LEAF_HEAD] = (uint8_t)i };
		struct built leaf;

		r = build_leaf(p, &m->base, room + LEAF_HEAD, 1, &leaf);
		if (r == 0)
			r = build_file_add(&b, &leaf);
	}
	if (r == 0)
		r = build_file_finish(&b, root);
	build_file_release(&b);
	return r;
}

/*
 * Write the shape of a tree: "x" is a leaf, brackets hold a node's children.
 * Checks on the way that leaves come in order, and every size and Tsize.
 */
static void shape(const struct memory *m, const struct cid *cid, unsigned *leaf, char *out,
		  uint64_t *size, uint64_t *tsize)
{
	const struct block *b = find(m, cid);
	struct dagpb_node node;
	struct dagpb_link l;
	struct unixfs u;
	uint64_t sum = 0, blocksize = 0;
	size_t run = 0;

	*tsize = b->size;
	if (cid->codec == CODEC_RAW) {
		assert_int_equal(b->size, 1);
		assert_int_equal(b->data[0], *leaf % 256);
		++*leaf;
		*size = 1;
		strcat(out, "x");
		return;
	}
	assert_int_equal(dagpb_decode(&node, b->data, b->size), 0);
	assert_int_equal(unixfs_decode(&u, node.data, node.data_len), 0);
	assert_int_equal(u.type, UNIXFS_FILE);
	assert_int_equal(u.n_blocksizes, node.n_links);
	strcat(out, "(");
	while (dagpb_next(&node.links, &l) > 0) {
		struct cid child;
		uint64_t below, below_tsize;

		assert_int_equal(dagpb_link_cid(&l, &child), 0);
		assert_int_equal(l.name_len, 0);
		shape(m, &child, leaf, out, &below, &below_tsize);
		assert_true(l.tsize == below_tsize);
		if (!run)
			assert_int_equal(unixfs_next_sizes(&u.blocksizes, &blocksize, &run), 1);
		run--;
		assert_true(blocksize == below);
		*tsize += below_tsize;
		sum += below;
	}
	strcat(out, ")");
	assert_true(u.filesize == sum);
	assert_true(u.blocksizes_sum == sum);
	*size = sum;
}

static void assert_shape(const struct profile *p, unsigned n, const char *want)
{
	struct memory *m = memory_new();
	char text[256] = "";
	struct built root;
	unsigned leaves = 0;
	uint64_t size, tsize;

	assert_int_equal(build(p, m, n, &root), 0);
	shape(m, &root.cid, &leaves, text, &size, &tsize);
	assert_string_equal(text, want);
	assert_int_equal(leaves, n);
	assert_true(root.size == size && size == n);
	assert_true(root.tsize == tsize);
	memory_free(m);
}

static void all_leaves_end_at_one_depth(void **state)
{
	struct profile p = *V1;

	p.max_links = 3;
	assert_shape(&p, 1, "x");
	assert_shape(&p, 2, "(xx)");
	assert_shape(&p, 3, "(xxx)");
	assert_shape(&p, 4, "((xxx)(x))");
	assert_shape(&p, 6, "((xxx)(xxx))");
	assert_shape(&p, 9, "((xxx)(xxx)(xxx))");
	assert_shape(&p, 10, "(((xxx)(xxx)(xxx))((x)))");
	assert_shape(&p, 13, "(((xxx)(xxx)(xxx))((xxx)(x)))");
	assert_shape(&p, 27,
		     "(((xxx)(xxx)(xxx))((xxx)(xxx)(xxx))((xxx)(xxx)(xxx)))");
	assert_shape(&p, 28,
		     "((((xxx)(xxx)(xxx))((xxx)(xxx)(xxx))((xxx)(xxx)(xxx)))(((x))))");
}

static void an_empty_file_is_one_leaf(void **state)
{
	struct memory *m = memory_new();
	uint8_t room[LEAF_HEAD + LEAF_TAIL];
	struct built b;

	assert_int_equal(build_leaf(V1, &m->base, room + LEAF_HEAD, 0, &b), 0);
	assert_cid(&b.cid, "bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku");
	assert_true(b.size == 0 && b.tsize == 0);
	assert_int_equal(build_leaf(V0, &m->base, room + LEAF_HEAD, 0, &b), 0);
	assert_cid(&b.cid, "QmbFMke1KXqnYyBBWxB74N4c5SBnJMVAiMNRcGu6x1AwQH");
	assert_block(m, &b.cid, "0a0408021800");
	assert_true(b.size == 0 && b.tsize == 6);
	memory_free(m);
}

static void two_chunks_of_zeros_are_the_published_block(void **state)
{
	struct memory *m = memory_new();
	uint8_t *room = calloc(1, LEAF_HEAD + 1048576 + LEAF_TAIL);
	struct built leaf, root;
	struct build_file b;

	assert_non_null(room);
	build_file_init(&b, V1, &m->base);
	assert_int_equal(build_leaf(V1, &m->base, room + LEAF_HEAD, 1048576, &leaf), 0);
	assert_int_equal(build_file_add(&b, &leaf), 0);
	assert_int_equal(build_leaf(V1, &m->base, room + LEAF_HEAD, 1, &leaf), 0);
	assert_int_equal(build_file_add(&b, &leaf), 0);
	assert_int_equal(build_file_finish(&b, &root), 0);
	build_file_release(&b);
	assert_cid(&root.cid, "bafybeihd4yzq7n5umhjngdum4r6k2to7egxfkf2jz6thvwzf6djus22cmq");
	assert_block(m, &root.cid,
		     "122c0a240155122030e14955ebf1352266dc2ff8067e68104607e750abb9d3b36582"
		     "b8af909fcb58120018808040122a0a24015512206e340b9cffb37a989ca544e6bb78"
		     "0a2c78901d3fb33738768511a30617afa01d120018010a0c08021881804020808040"
		     "2001");
	assert_true(root.size == 1048577);
	assert_true(root.tsize == 1048577 + 104);
	free(room);
	memory_free(m);
}

static void a_symlink_holds_its_target(void **state)
{
	struct memory *m = memory_new();
	struct built b;

	assert_int_equal(build_symlink(V0, &m->base, "nothing", 7, &b), 0);
	assert_block(m, &b.cid, "0a0b080412076e6f7468696e67");
	assert_int_equal(b.tsize, 13);
	assert_int_equal(b.cid.version, 0);
	assert_int_equal(build_symlink(V1, &m->base, "nothing", 7, &b), 0);
	assert_int_equal(b.cid.version, 1);
	assert_int_equal(b.cid.codec, CODEC_DAG_PB);
	memory_free(m);
}

static void a_full_sink_ends_the_build(void **state)
{
	struct profile p = *V1;

	p.max_links = 2;
	/* 4 leaves and 3 nodes: every one of the seven may fail. */
	for (size_t limit = 0; limit <= 7; limit++) {
		struct memory *m = memory_new();
		struct built root;

		m->limit = limit;
		assert_int_equal(build(&p, m, 4, &root), limit < 7 ? -ENOSPC : 0);
		memory_free(m);
	}
}

/* Directories whose entries all are the file "x". */
static struct built leaf_x(const struct profile *p, struct memory *m)
{
	uint8_t room[LEAF_HEAD + 1 + LEAF_TAIL] = { [LEAF_HEAD] = 'x' };
	struct built b;

	assert_int_equal(build_leaf(p, &m->base, room + LEAF_HEAD, 1, &b), 0);
	return b;
}

static int dir_of(const struct profile *p, struct memory *m, const char *const *names,
		  size_t n, struct built *out)
{
	struct dir_link *links = calloc(n + 1, sizeof *links);
	uint8_t cid[CID_SIZE_MAX];
	struct built x = leaf_x(p, m);
	size_t cid_len = cid_encode(&x.cid, cid);

	assert_non_null(links);
	for (size_t i = 0; i < n; i++)
		links[i] = (struct dir_link){ .name = names[i],
					      .name_len = strlen(names[i]),
					      .cid = cid,
					      .cid_len = cid_len,
					      .tsize = x.tsize };
	int r = build_dir(p, &m->base, links, n, out);
	free(links);
	return r;
}

static void names_of(const struct memory *m, const struct cid *cid, char *out)
{
	const struct block *b = find(m, cid);
	struct dagpb_node node;
	struct dagpb_link l;

	assert_int_equal(dagpb_decode(&node, b->data, b->size), 0);
	while (dagpb_next(&node.links, &l) > 0) {
		strcat(out, " ");
		strncat(out, l.name, l.name_len);
	}
}

static void an_empty_directory_is_four_bytes(void **state)
{
	struct memory *m = memory_new();
	struct built b;

	assert_int_equal(dir_of(V0, m, NULL, 0, &b), 0);
	assert_cid(&b.cid, "QmUNLLsPACCz1vLxQVkXqqLX5R1X345qqfHbsf67hvA3Nn");
	assert_block(m, &b.cid, "0a020801");
	assert_int_equal(b.tsize, 4);
	assert_int_equal(dir_of(V1, m, NULL, 0, &b), 0);
	assert_cid(&b.cid, "bafybeiczsscdsbs7ffqz55asqdf3smv6klcw3gofszvwlyarci47bgf354");
	memory_free(m);
}

static void links_are_sorted_by_bytes(void **state)
{
	struct memory *m = memory_new();
	struct built a, b;
	char text[64] = "";

	assert_int_equal(dir_of(V1, m, (const char *[]){ "b", "a\xff", "a", "B", "aa" }, 5, &a),
			 0);
	names_of(m, &a.cid, text);
	assert_string_equal(text, " B a aa a\xff b");
	assert_int_equal(dir_of(V1, m, (const char *[]){ "B", "aa", "a\xff", "b", "a" }, 5, &b),
			 0);
	assert_true(cid_equal(&a.cid, &b.cid));
	assert_true(a.tsize == find(m, &a.cid)->size + 5);
	memory_free(m);
}

static void bad_sets_of_links_are_refused(void **state)
{
	struct memory *m = memory_new();
	char long_name[257];
	struct built b;

	memset(long_name, 'n', 256);
	long_name[256] = '\0';
	assert_int_equal(dir_of(V1, m, (const char *[]){ "a", "b", "a" }, 3, &b), -EEXIST);
	assert_int_equal(dir_of(V1, m, (const char *[]){ long_name }, 1, &b), -ENAMETOOLONG);
	assert_int_equal(dir_of(V1, m, (const char *[]){ long_name + 1 }, 1, &b), 0);
	struct dir_link link = { .name = "a", .name_len = 1, .cid = (uint8_t *)"\1", .cid_len = 1 };
	assert_int_equal(build_dir(V1, &m->base, &link, 1, &b), ERR_MALFORMED);
	memory_free(m);
}

static void a_hamt_puts_names_where_their_hash_says(void **state)
{
	struct profile p = *V1;
	struct memory *m = memory_new();
	char text[64] = "";
	struct built b;

	p.hamt_threshold = 0;
	assert_int_equal(dir_of(&p, m, (const char *[]){ "470.txt", "1.txt" }, 2, &b), 0);
	names_of(m, &b.cid, text);
	assert_string_equal(text, " 00470.txt 071.txt");
	assert_true(b.tsize == find(m, &b.cid)->size + 2);
	memory_free(m);
}

/* The entries below a shard, each checked to be where its hash says. */
static unsigned count_shard(const struct memory *m, const struct cid *cid, unsigned level,
			    uint64_t *tsize)
{
	const struct block *b = find(m, cid);
	struct dagpb_node node;
	struct dagpb_link l;
	struct unixfs u;
	struct hamt_shard shard;
	unsigned entries = 0;

	assert_int_equal(dagpb_decode(&node, b->data, b->size), 0);
	assert_int_equal(unixfs_decode(&u, node.data, node.data_len), 0);
	assert_int_equal(hamt_shard_init(&shard, &node, &u), 0);
	assert_true(u.data_len == 0 || u.data[0] != 0);
	*tsize = b->size;
	while (dagpb_next(&node.links, &l) > 0) {
		uint64_t below = 1;

		if (l.name_len > 2) {
			char digits[3];
			uint64_t hash = hamt_hash(l.name + 2, l.name_len - 2);

			snprintf(digits, sizeof digits, "%02X",
				 (unsigned)(hash >> (56 - 8 * level) & 0xff));
			assert_memory_equal(digits, l.name, 2);
			entries++;
		} else {
			struct cid sub;
			unsigned n;

			assert_int_equal(dagpb_link_cid(&l, &sub), 0);
			n = count_shard(m, &sub, level + 1, &below);
			assert_true(n >= 2);
			entries += n;
		}
		assert_true(l.tsize == below);
		*tsize += below;
	}
	return entries;
}

static void a_bucket_of_two_is_a_shard(void **state)
{
	struct profile p = *V1;
	struct memory *m = memory_new();
	const char *names[300];
	char text[300][8];
	struct built b;
	uint64_t tsize;

	p.hamt_threshold = 0;
	for (int i = 0; i < 300; i++) {
		snprintf(text[i], sizeof text[i], "%d", i);
		names[i] = text[i];
	}
	assert_int_equal(dir_of(&p, m, names, 300, &b), 0);
	assert_int_equal(count_shard(m, &b.cid, 0, &tsize), 300);
	assert_true(b.tsize == tsize);
	memory_free(m);
}

/* Found by inverting the hash's second round: anyone can make such names. */
static void names_of_one_hash_are_refused(void **state)
{
	static const char *const names[] = {
		"one name, sixteen and sixteen mo",
		"kemubcrdlsbqgbcn"
		"\x88\xd8\xd5\xd2\x02\xa2\xfc\xde\x68\x13\x2a\xab\xb2\xa2\x4a\x25",
	};
	struct profile p = *V1;
	struct memory *m = memory_new();
	struct built b;

	assert_int_equal(dir_of(&p, m, names, 2, &b), 0);
	p.hamt_threshold = 0;
	assert_int_equal(dir_of(&p, m, names, 2, &b), -EOVERFLOW);
	memory_free(m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_leaves_end_at_one_depth),
		cmocka_unit_test(an_empty_file_is_one_leaf),
		cmocka_unit_test(two_chunks_of_zeros_are_the_published_block),
		cmocka_unit_test(a_symlink_holds_its_target),
		cmocka_unit_test(a_full_sink_ends_the_build),
		cmocka_unit_test(an_empty_directory_is_four_bytes),
		cmocka_unit_test(links_are_sorted_by_bytes),
		cmocka_unit_test(bad_sets_of_links_are_refused),
		cmocka_unit_test(a_hamt_puts_names_where_their_hash_says),
		cmocka_unit_test(a_bucket_of_two_is_a_shard),
		cmocka_unit_test(names_of_one_hash_are_refused),
	};
	return cmocka_run_group_tests_name("build", tests, NULL, NULL);
}
