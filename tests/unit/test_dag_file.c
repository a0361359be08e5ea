/* Reading files and single nodes through a source that may lack blocks. */
#include "store/dag.h"
#include "tests/unit/hex.h"
#include "tests/unit/memory_source.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

static struct misses noting(struct cid *room, size_t max)
{
	return (struct misses){ .cids = room, .max = max };
}

/* What a link to the block says of its size: the blocks below it, all counted. */
static uint64_t tsize_of(struct memory *m, const struct cid *cid)
{
	struct dagpb_node node;
	struct dagpb_link l;
	bool absent;
	struct block *b = memory_find(m, cid, &absent);
	uint64_t sum = b->size;

	if (cid->codec != CODEC_DAG_PB)
		return sum;
	assert_int_equal(dagpb_decode(&node, b->data, b->size), 0);
	while (dagpb_next(&node.links, &l) > 0)
		sum += l.tsize;
	return sum < INT64_MAX ? sum : INT64_MAX;
}

/* A node of a file: own bytes, then children of the sizes given. */
static struct cid file_node(struct memory *m, const char *own, const struct cid *children,
			    const uint64_t *sizes, size_t n)
{
	struct unixfs u = { .type = UNIXFS_FILE,
			    .has_filesize = true,
			    .filesize = strlen(own),
			    .data = (const uint8_t *)own,
			    .data_len = strlen(own),
			    .has_data = *own };
	struct buf links = { 0 };

	for (size_t i = 0; i < n; i++) {
		u.filesize += sizes[i];
		put_link(&links, &children[i], "", tsize_of(m, &children[i]));
	}
	return memory_node(m, &links, &u, sizes, n);
}

/* A block of UnixFS Data written out, and links of one identity CID. */
static struct cid odd_node(struct memory *m, const char *data_hex, size_t n_links)
{
	struct buf b = { 0 };
	uint8_t data[256];
	size_t len = unhex(data_hex, data);
	struct cid leaf;

	assert_int_equal(cid_parse(&leaf, "bafkqaa3bmjrq", 13), 0); /* "abc" */
	while (n_links--)
		put_link(&b, &leaf, "", 3);
	dagpb_put_data(&b, data, len);
	struct cid cid = memory_put(m, CODEC_DAG_PB, b.data, b.len);
	buf_release(&b);
	return cid;
}

#define TEXT "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"

/*
 * TEXT in a tree of three levels with everything a file may have: raw leaves,
 * File and Raw leaves in dag-pb, an empty leaf, bytes of an inner node's own.
 */
static struct cid sample(struct memory *m, struct cid leaves[6])
{
	struct cid left[4], right[2], inner[2];
	struct unixfs raw = { .type = UNIXFS_RAW,
			      .has_data = true,
			      .data = (const uint8_t *)&TEXT[30],
			      .data_len = 10,
			      .has_filesize = true,
			      .filesize = 10 };
	struct buf none = { 0 };

	left[0] = leaves[0] = memory_put(m, CODEC_RAW, &TEXT[5], 10);
	left[1] = leaves[1] = file_node(m, "fghijklmno", NULL, NULL, 0);
	left[2] = leaves[2] = memory_put(m, CODEC_RAW, "", 0);
	left[3] = leaves[3] = memory_put(m, CODEC_RAW, &TEXT[25], 5);
	right[0] = leaves[4] = memory_node(m, &none, &raw, NULL, 0);
	right[1] = leaves[5] = memory_put(m, CODEC_RAW, &TEXT[40], 22);
	inner[0] = file_node(m, "01234", left, (const uint64_t[]){ 10, 10, 0, 5 }, 4);
	inner[1] = file_node(m, "", right, (const uint64_t[]){ 10, 22 }, 2);
	return file_node(m, "", inner, (const uint64_t[]){ 30, 32 }, 2);
}

static void every_range_of_a_file_is_read(void **state)
{
	const size_t size = strlen(TEXT);
	struct cid leaves[6], root;
	struct dag_attr attr;
	struct memory m;

	memory_init(&m);
	root = sample(&m, leaves);
	assert_int_equal(dag_stat(&m.source, &root, &attr, NULL), 0);
	assert_int_equal(attr.type, DAG_FILE);
	assert_int_equal(attr.size, size);
	for (size_t from = 0; from <= size + 2; from++)
		for (size_t len = 0; len <= size + 2; len++) {
			char *buf = malloc(len ? len : 1);
			size_t n = from >= size        ? 0
				   : len < size - from ? len
						       : size - from;
			assert_int_equal(dag_read(&m.source, &root, from, buf, len, NULL),
					 n);
			assert_memory_equal(buf, &TEXT[n ? from : 0], n);
			free(buf);
		}
	char buf[8];
	assert_int_equal(dag_read(&m.source, &root, UINT64_MAX, buf, 8, NULL), 0);
	assert_int_equal(dag_read(&m.source, &root, UINT64_MAX - 3, buf, 8, NULL), 0);
	memory_release(&m);
}

static void a_range_of_many_extents_is_cut_short(void **state)
{
	const size_t size = strlen(TEXT);
	struct cid leaves[6], root;
	struct memory m;

	memory_init(&m);
	root = sample(&m, leaves);
	for (int max = 1; max <= 7; max++) {
		char got[sizeof TEXT];
		size_t at = 0;
		int calls = 0, n;
		struct dag_extent e[7];
		while ((n = dag_map(&m.source, &root, at, size, e, max, NULL)) > 0) {
			assert_true(n <= max);
			for (int i = 0; i < n; i++) {
				assert_true(e[i].len > 0);
				memcpy(got + at, e[i].block->data + e[i].offset,
				       e[i].len);
				at += e[i].len;
			}
			dag_extents_release(e, n);
			calls++;
		}
		assert_int_equal(n, 0);
		assert_int_equal(at, size);
		assert_memory_equal(got, TEXT, size);
		assert_int_equal(calls,
				 (6 + max - 1) / max); /* own bytes and five leaves */
	}
	memory_release(&m);
}

static void a_range_reads_only_the_way_to_it(void **state)
{
	struct cid leaves[6], root;
	struct memory m;
	char c;

	memory_init(&m);
	root = sample(&m, leaves);
	m.gets = 0;
	assert_int_equal(dag_read(&m.source, &root, 61, &c, 1, NULL), 1);
	assert_int_equal(m.gets, 3);
	memory_release(&m);
}

static void one_round_trip_a_level_brings_a_file(void **state)
{
	struct cid leaves[6], root, room[16];
	struct misses misses = noting(room, 16);
	struct memory m;
	char buf[64];
	static const size_t expected[] = { 1, 2, 5 }; /* nobody needs the empty leaf */

	memory_init(&m);
	root = sample(&m, leaves);
	memory_hide_all(&m, true);
	for (int round = 0; round < 3; round++) {
		misses.n = 0;
		assert_int_equal(dag_read(&m.source, &root, 0, buf, 64, &misses),
				 ERR_MISSING);
		assert_int_equal(misses.n, expected[round]);
		for (size_t i = 0; i < misses.n; i++)
			memory_hide(&m, &room[i], false);
	}
	assert_int_equal(dag_read(&m.source, &root, 0, buf, 64, &misses), strlen(TEXT));
	assert_memory_equal(buf, TEXT, strlen(TEXT));
	memory_release(&m);
}

static void what_lacks_is_noted_past_what_is_here(void **state)
{
	struct cid leaves[6], root, room[16];
	struct dag_extent e[8];
	struct memory m;

	memory_init(&m);
	root = sample(&m, leaves);
	for (int hidden = 0; hidden < 64; hidden++) {
		struct misses misses = noting(room, 16);
		size_t n = 0;
		for (int i = 0; i < 6; i++) {
			memory_hide(&m, &leaves[i], hidden >> i & 1);
			n += i != 2 && (hidden >> i & 1);
		}
		int r = dag_map(&m.source, &root, 0, 100, e, 8, &misses);
		assert_int_equal(r, n ? ERR_MISSING : 6);
		assert_int_equal(misses.n, n);
		if (r > 0)
			dag_extents_release(e, r);
		/* Little room, or none: still the first of them, and an end. */
		misses = noting(room, 1);
		r = dag_map(&m.source, &root, 0, 100, e, 8, &misses);
		assert_int_equal(misses.n, n > 0);
		if (r > 0)
			dag_extents_release(e, r);
		r = dag_map(&m.source, &root, 0, 100, e, 8, NULL);
		assert_int_equal(r, n ? ERR_MISSING : 6);
		if (r > 0)
			dag_extents_release(e, r);
	}
	memory_release(&m);
}

static void read_ahead_reads_no_leaves(void **state)
{
	struct cid leaves[6], root, room[16];
	struct misses misses = noting(room, 16);
	struct memory m;

	memory_init(&m);
	root = sample(&m, leaves);
	for (int i = 0; i < 6; i++)
		memory_hide(&m, &leaves[i], true);
	m.gets = 0;
	assert_int_equal(dag_leaves(&m.source, &root, 0, UINT64_MAX, &misses), 0);
	assert_int_equal(misses.n, 5);
	assert_true(cid_equal(&room[0], &leaves[0]) && cid_equal(&room[1], &leaves[1]) &&
		    cid_equal(&room[2], &leaves[3]) && cid_equal(&room[3], &leaves[4]) &&
		    cid_equal(&room[4], &leaves[5]));
	assert_int_equal(m.gets, 3); /* the root and two inner nodes */

	misses.n = 0;
	assert_int_equal(dag_leaves(&m.source, &root, 14, 2, &misses), 0);
	assert_int_equal(misses.n, 2);
	assert_true(cid_equal(&room[0], &leaves[0]) && cid_equal(&room[1], &leaves[1]));

	misses.n = 0;
	memory_hide_all(&m, true);
	assert_int_equal(dag_leaves(&m.source, &root, 0, 1, &misses), ERR_MISSING);
	assert_int_equal(misses.n, 1);
	assert_true(cid_equal(&room[0], &root));

	misses.n = 0;
	assert_int_equal(dag_leaves(&m.source, &leaves[0], 0, 1, &misses), 0);
	assert_int_equal(misses.n, 1);
	memory_hide_all(&m, false);
	misses.n = 0;
	assert_int_equal(dag_leaves(&m.source, &root, 0, UINT64_MAX, &misses), 0);
	assert_int_equal(misses.n, 0);
	memory_release(&m);
}

static void attributes_come_from_the_node(void **state)
{
	static const struct {
		const char *hex;
		struct dag_attr attr;
	} nodes[] = {
		{ "0801", { .type = DAG_DIR, .mode = 0755 } },
		{ "0802", { .type = DAG_FILE, .mode = 0644 } },
		{ "08021800", { .type = DAG_FILE, .mode = 0644 } },
		{ "0800"
		  "1203616263"
		  "1803",
		  { .type = DAG_FILE, .mode = 0644, .size = 3 } },
		{ "080412076e6f7468696e67420608e2f9fffc05",
		  { .type = DAG_SYMLINK,
		    .mode = 0644,
		    .size = 7,
		    .has_mtime = true,
		    .mtime = 1604320482 } },
		{ "0802180038f403420b0888a6d0fc051531d40000",
		  { .type = DAG_FILE,
		    .mode = 0764,
		    .has_mode = true,
		    .has_mtime = true,
		    .mtime = 1603539720,
		    .mtime_nsec = 54321 } },
		/* b82: bits that are none of a mode's */
		{ "080238ff9fffff0f",
		  { .type = DAG_FILE, .mode = 07777, .has_mode = true } },
		/* b34: times at the ends */
		{ "0801420a08ffffffffffffffff7f",
		  { .type = DAG_DIR,
		    .mode = 0755,
		    .has_mtime = true,
		    .mtime = 9223372036 } },
		{ "0801421008808080808080808080011501000000",
		  { .type = DAG_DIR,
		    .mode = 0755,
		    .has_mtime = true,
		    .mtime = -9223372036 } },
	};
	struct memory m;

	memory_init(&m);
	for (size_t i = 0; i < sizeof nodes / sizeof *nodes; i++) {
		const struct dag_attr *expected = &nodes[i].attr;
		struct cid cid = odd_node(&m, nodes[i].hex, 0);
		struct dag_attr a;
		assert_int_equal(dag_stat(&m.source, &cid, &a, NULL), 0);
		assert_int_equal(a.type, expected->type);
		assert_int_equal(a.size, expected->size);
		assert_int_equal(a.mode, expected->mode);
		assert_int_equal(a.has_mode, expected->has_mode);
		assert_int_equal(a.has_mtime, expected->has_mtime);
		assert_int_equal(a.mtime, expected->mtime);
		assert_int_equal(a.mtime_nsec, expected->mtime_nsec);
	}
	struct cid raw = memory_put(&m, CODEC_RAW, "hello", 5), cbor = raw, absent;
	struct dag_attr a;
	assert_int_equal(dag_stat(&m.source, &raw, &a, NULL), 0);
	assert_true(a.type == DAG_FILE && a.size == 5 && a.mode == 0644 && !a.has_mode);
	cbor.codec = CODEC_DAG_CBOR;
	assert_int_equal(dag_stat(&m.source, &cbor, &a, NULL), -ENOTSUP);
	cid_of(&absent, 1, CODEC_RAW, "absent", 6);
	assert_int_equal(dag_stat(&m.source, &absent, &a, NULL), ERR_MISSING);
	absent.hash.code = 0xd5; /* MD5 */
	assert_int_equal(dag_stat(&m.source, &absent, &a, NULL), -ENOTSUP);
	/* dag-pb that is not UnixFS */
	struct cid empty = memory_put(&m, CODEC_DAG_PB, "", 0);
	assert_int_equal(dag_stat(&m.source, &empty, &a, NULL), ERR_MALFORMED);
	memory_release(&m);
}

static void a_symlink_gives_its_target(void **state)
{
	struct memory m;
	char out[16];

	memory_init(&m);
	struct cid link = odd_node(&m, "080412076e6f7468696e67", 0);
	struct cid dir = odd_node(&m, "0801", 0);
	struct cid raw = memory_put(&m, CODEC_RAW, "nothing", 7);
	struct cid empty = odd_node(&m, "0804", 0);
	struct cid nul = odd_node(&m, "080412036e006f", 0);
	struct cid linked = odd_node(&m, "080412076e6f7468696e67", 1);
	assert_int_equal(dag_readlink(&m.source, &link, out, 16, NULL), 7);
	assert_string_equal(out, "nothing");
	assert_int_equal(dag_readlink(&m.source, &link, out, 8, NULL), 7);
	assert_int_equal(dag_readlink(&m.source, &link, out, 7, NULL), -ENAMETOOLONG);
	assert_int_equal(dag_readlink(&m.source, &dir, out, 16, NULL), -EINVAL);
	assert_int_equal(dag_readlink(&m.source, &raw, out, 16, NULL), -EINVAL);
	assert_int_equal(dag_readlink(&m.source, &empty, out, 16, NULL), ERR_MALFORMED);
	assert_int_equal(dag_readlink(&m.source, &nul, out, 16, NULL), ERR_MALFORMED);
	assert_int_equal(dag_readlink(&m.source, &linked, out, 16, NULL), ERR_MALFORMED);
	memory_release(&m);
}

static void only_files_have_bytes(void **state)
{
	struct memory m;
	char out[16];

	memory_init(&m);
	struct cid link = odd_node(&m, "080412076e6f7468696e67", 0);
	struct cid dir = odd_node(&m, "0801", 0);
	assert_int_equal(dag_read(&m.source, &link, 0, out, 16, NULL), -EINVAL);
	assert_int_equal(dag_read(&m.source, &dir, 0, out, 16, NULL), -EISDIR);
	memory_release(&m);
}

static int64_t read_some(struct memory *m, const struct cid *cid)
{
	char buf[64];

	return dag_read(&m->source, cid, 0, buf, sizeof buf, NULL);
}

static void b75_a_file_that_contradicts_itself_is_no_short_file(void **state)
{
	static const struct {
		const char *hex;
		size_t links;
	} bad[] = {
		{ "0802"
		  "1803",
		  1 }, /* a link without a size */
		{ "0802"
		  "1803"
		  "2003",
		  2 }, /* two links, one size */
		{ "0802"
		  "1806"
		  "2003"
		  "2003",
		  1 }, /* one link, two sizes */
		{ "0802"
		  "1804"
		  "2003",
		  1 }, /* filesize is not the sum */
		{ "0802"
		  "1802"
		  "2003",
		  1 },
		{ "0800"
		  "1803"
		  "2003",
		  1 }, /* raw with links */
		{ "0802"
		  "1804"
		  "2004",
		  1 }, /* the child is shorter than its parent says */
		{ "0802"
		  "1802"
		  "2002",
		  1 }, /* and longer */
		{ "0802"
		  "12056162"
		  "1803",
		  0 }, /* Data cut */
	};
	struct memory m;

	memory_init(&m);
	struct cid good = odd_node(&m,
				   "0802"
				   "1806"
				   "2003"
				   "2003",
				   2);
	assert_int_equal(read_some(&m, &good), 6);
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		struct cid cid = odd_node(&m, bad[i].hex, bad[i].links);
		assert_int_equal(read_some(&m, &cid), ERR_MALFORMED);
	}

	/* Chunks have no names, and are files. */
	struct cid leaf = memory_put(&m, CODEC_RAW, "abc", 3);
	struct cid dir = odd_node(&m, "0801", 0);
	struct cid cbor = memory_put(&m, CODEC_DAG_CBOR, "\xf6", 1);
	struct unixfs u = { .type = UNIXFS_FILE };
	struct buf links = { 0 };
	put_link(&links, &leaf, "x", 3);
	struct cid named = memory_node(&m, &links, &u, (const uint64_t[]){ 3 }, 1);
	assert_int_equal(read_some(&m, &named), ERR_MALFORMED);
	struct cid of_dir = file_node(&m, "", &dir, (const uint64_t[]){ 3 }, 1);
	assert_int_equal(read_some(&m, &of_dir), ERR_MALFORMED);
	struct cid of_cbor = file_node(&m, "", &cbor, (const uint64_t[]){ 1 }, 1);
	assert_int_equal(read_some(&m, &of_cbor), -ENOTSUP);
	memory_release(&m);
}

static void b79_a_tree_too_deep_is_refused(void **state)
{
	struct memory m;

	memory_init(&m);
	struct cid node = memory_put(&m, CODEC_RAW, "abc", 3);
	for (int depth = 1; depth <= 1000; depth++) {
		node = file_node(&m, "", &node, (const uint64_t[]){ 3 }, 1);
		if (depth <= DAG_DEPTH_MAX)
			assert_int_equal(read_some(&m, &node), 3);
		else if (depth < 40 || depth == 1000)
			assert_int_equal(read_some(&m, &node), -ELOOP);
	}
	memory_release(&m);
}

static void b80_a_bomb_costs_what_is_read_of_it(void **state)
{
	struct cid room[16];
	struct misses misses = noting(room, 16);
	struct dag_extent e[4];
	struct dag_attr attr;
	struct memory m;
	uint64_t size = 4;
	char buf[8];

	memory_init(&m);
	struct cid node = memory_put(&m, CODEC_RAW, "bomb", 4);
	for (int i = 0; i < 19; i++, size *= 8) {
		struct cid same[8] = { node, node, node, node, node, node, node, node };
		uint64_t sizes[8] = { size, size, size, size, size, size, size, size };
		node = file_node(&m, "", same, sizes, 8);
	}
	assert_true(size == 1ull << 59);
	m.gets = 0;
	assert_int_equal(dag_stat(&m.source, &node, &attr, NULL), 0);
	assert_true(attr.size == size);
	assert_int_equal(m.gets, 1);
	assert_int_equal(dag_read(&m.source, &node, size - 6, buf, 8, NULL), 6);
	assert_memory_equal(buf, "mbbomb", 6);
	assert_int_equal(m.gets, 1 + 20 + 1);
	int n = dag_map(&m.source, &node, size / 2, SIZE_MAX, e, 4, NULL);
	assert_int_equal(n, 4);
	dag_extents_release(e, n);
	/* To look for what lacks ends too, whether all is here or nothing. */
	assert_int_equal(dag_leaves(&m.source, &node, 0, UINT64_MAX, &misses), 0);
	assert_int_equal(misses.n, 0);
	memory_hide(&m, &(struct cid){ .hash = m.blocks[0]->name }, true);
	assert_int_equal(dag_leaves(&m.source, &node, 0, UINT64_MAX, &misses), 0);
	assert_int_equal(misses.n, 1);
	misses.n = 0;
	assert_int_equal(dag_map(&m.source, &node, 0, SIZE_MAX, e, 4, &misses),
			 ERR_MISSING);
	assert_int_equal(misses.n, 1);
	memory_release(&m);
}

static void b80_looking_ahead_in_a_bomb_of_nodes_ends(void **state)
{
	struct cid room[16];
	struct misses misses = noting(room, 16);
	struct unixfs u = { .type = UNIXFS_FILE };
	struct memory m;
	uint64_t size = 4;

	/* Sizes in the links say nothing, so each node must be looked into. */
	memory_init(&m);
	struct cid node = file_node(&m, "bomb", NULL, NULL, 0);
	for (int i = 0; i < 19; i++, size *= 8) {
		struct buf links = { 0 };
		uint64_t sizes[8];
		for (int j = 0; j < 8; j++) {
			put_link(&links, &node, "", 0);
			sizes[j] = size;
		}
		node = memory_node(&m, &links, &u, sizes, 8);
	}
	assert_int_equal(dag_leaves(&m.source, &node, 0, UINT64_MAX, &misses), 0);
	assert_true(m.gets < 10000);
	memory_release(&m);
}

static void b81_sizes_at_the_ends(void **state)
{
	struct dag_attr attr;
	struct memory m;

	memory_init(&m);
	/* 2^63 bytes */
	struct cid huge = odd_node(&m,
				   "0802"
				   "20808080808080808040"
				   "20808080808080808040",
				   2);
	assert_int_equal(dag_stat(&m.source, &huge, &attr, NULL), -EFBIG);
	assert_int_equal(read_some(&m, &huge), -EFBIG);
	/* 2^64, where a sum would be 0 */
	struct cid around = odd_node(&m,
				     "0802"
				     "2080808080808080808001"
				     "2080808080808080808001",
				     2);
	assert_int_equal(dag_stat(&m.source, &around, &attr, NULL), ERR_MALFORMED);
	/* one less is a size, though its chunk lies */
	struct cid most = odd_node(&m,
				   "0802"
				   "20ffffffffffffffff7f",
				   1);
	assert_int_equal(dag_stat(&m.source, &most, &attr, NULL), 0);
	assert_true(attr.size == INT64_MAX);
	assert_int_equal(read_some(&m, &most), ERR_MALFORMED);
	/* nothing, with links */
	struct cid nothing = odd_node(&m,
				      "0802"
				      "1800"
				      "2000"
				      "2000",
				      2);
	assert_int_equal(dag_stat(&m.source, &nothing, &attr, NULL), 0);
	assert_int_equal(attr.size, 0);
	assert_int_equal(read_some(&m, &nothing), 0);
	memory_release(&m);
}

static int count_links(void *arg, const struct cid *c)
{
	size_t *n = arg;

	return ++*n == 100 ? 5 : 0;
}

static void the_links_of_a_block_are_named(void **state)
{
	struct cid leaves[6], root;
	struct memory m;
	size_t n = 0;
	bool absent;

	memory_init(&m);
	root = sample(&m, leaves);
	struct block *b = memory_find(&m, &root, &absent);
	assert_int_equal(dag_links(&root, b, count_links, &n), 0);
	assert_int_equal(n, 2);
	n = 99;
	assert_int_equal(dag_links(&root, b, count_links, &n), 5);

	uint8_t bytes[32];
	size_t len = unhex("82d82a450001550000d82a450001550000", bytes);
	struct cid cbor = memory_put(&m, CODEC_DAG_CBOR, bytes, len);
	b = memory_find(&m, &cbor, &absent);
	n = 0;
	assert_int_equal(dag_links(&cbor, b, count_links, &n), 0);
	assert_int_equal(n, 2);
	bytes[len] = 0xf6; /* something behind the object */
	cbor = memory_put(&m, CODEC_DAG_CBOR, bytes, len + 1);
	b = memory_find(&m, &cbor, &absent);
	assert_int_equal(dag_links(&cbor, b, count_links, &n), ERR_MALFORMED);

	n = 0;
	b = memory_find(&m, &leaves[0], &absent);
	assert_int_equal(dag_links(&leaves[0], b, count_links, &n), 0);
	assert_int_equal(n, 0);
	struct cid pb = leaves[0];
	pb.codec = CODEC_DAG_PB;
	assert_int_equal(dag_links(&pb, b, count_links, &n), ERR_MALFORMED);
	pb.codec = 0x0129;
	assert_int_equal(dag_links(&pb, b, count_links, &n), -ENOTSUP);
	memory_release(&m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_range_of_a_file_is_read),
		cmocka_unit_test(a_range_of_many_extents_is_cut_short),
		cmocka_unit_test(a_range_reads_only_the_way_to_it),
		cmocka_unit_test(one_round_trip_a_level_brings_a_file),
		cmocka_unit_test(what_lacks_is_noted_past_what_is_here),
		cmocka_unit_test(read_ahead_reads_no_leaves),
		cmocka_unit_test(attributes_come_from_the_node),
		cmocka_unit_test(a_symlink_gives_its_target),
		cmocka_unit_test(only_files_have_bytes),
		cmocka_unit_test(b75_a_file_that_contradicts_itself_is_no_short_file),
		cmocka_unit_test(b79_a_tree_too_deep_is_refused),
		cmocka_unit_test(b80_a_bomb_costs_what_is_read_of_it),
		cmocka_unit_test(b80_looking_ahead_in_a_bomb_of_nodes_ends),
		cmocka_unit_test(b81_sizes_at_the_ends),
		cmocka_unit_test(the_links_of_a_block_are_named),
	};
	return cmocka_run_group_tests_name("dag_file", tests, NULL, NULL);
}
