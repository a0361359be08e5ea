/*
 * Editing a file's tree gives what building it from the whole content gives,
 * whatever the profile, the edits and the older tree, and reads and makes no
 * more than what lies on the way to the changes.
 */
#include "store/edit_file.h"
#include "store/dag.h"
#include "store/store_stream.h"
#include "tests/helpers/block_table.h"
#include "tests/scratch.h"

#include <stdio.h>
#include <string.h>

#define ROUNDS 1000 /* or the first argument times that */

static unsigned long effort = 1;

/* A file, and what of it has changed since `old`. */
struct file {
	uint8_t *data;
	uint8_t *state; /* of each byte: SAME, WRITTEN, HOLE */
	uint64_t size, max;
};
enum { SAME, WRITTEN, HOLE };

static void build(const struct profile *p, struct block_table *t, const uint8_t *data,
		  uint64_t size, struct built *root)
{
	uint8_t *room = malloc(LEAF_HEAD + p->chunker.max + LEAF_TAIL);
	struct build_file b;
	uint64_t at = 0;

	build_file_init(&b, p, &t->sink);
	do {
		size_t len = size - at < p->chunker.max ? size - at : p->chunker.max;
		struct built leaf;

		memcpy(room + LEAF_HEAD, data + at, len);
		assert_int_equal(build_leaf(p, &t->sink, room + LEAF_HEAD, len, &leaf),
				 0);
		assert_int_equal(build_file_add(&b, &leaf), 0);
		at += len;
	} while (at < size);
	assert_int_equal(build_file_finish(&b, root), 0);
	build_file_release(&b);
	free(room);
}

static void assert_built(const struct built *a, const struct built *b)
{
	assert_true(cid_equal(&a->cid, &b->cid));
	assert_int_equal(a->size, b->size);
	assert_int_equal(a->tsize, b->tsize);
}

static int read_file(void *arg, uint64_t offset, void *buf, size_t len)
{
	const struct file *f = arg;

	assert_true(offset + len <= f->size && len);
	bool written = true;
	for (uint64_t i = offset; i < offset + len; i++)
		written &= f->state[i] == WRITTEN;
	assert_true(written);
	memcpy(buf, f->data + offset, len);
	return 0;
}

static void write_at(struct file *f, uint64_t at, uint64_t len, int state)
{
	if (at + len > f->max)
		len = f->max - at;
	if (at > f->size) { /* what is skipped is zeros */
		memset(f->data + f->size, 0, at - f->size);
		memset(f->state + f->size, HOLE, at - f->size);
	}
	for (uint64_t i = at; i < at + len; i++) {
		f->data[i] = state == HOLE ? 0 : (uint8_t)table_random();
		f->state[i] = (uint8_t)state;
	}
	if (at + len > f->size)
		f->size = at + len;
}

static void resize(struct file *f, uint64_t size)
{
	if (size > f->size)
		write_at(f, f->size, size - f->size, HOLE);
	f->size = size;
}

/* A place, often at a border of leaves. */
static uint64_t place(uint64_t below, uint64_t leaf)
{
	uint64_t at = table_below(below + 1);

	if (table_below(3) == 0)
		at = at / leaf * leaf;
	if (table_below(8) == 0 && at)
		at--;
	return at;
}

static void change(struct file *f, uint64_t leaf)
{
	uint64_t len = table_below(4) ? 1 + table_below(leaf) : 1 + table_below(6 * leaf);

	switch (table_below(8)) {
	case 0:
		resize(f, place(f->max, leaf));
		break;
	case 1: /* cut a little */
		resize(f, f->size - table_below((f->size < leaf ? f->size : leaf) + 1));
		break;
	case 2: /* append */
		write_at(f, f->size, f->max - f->size < len ? f->max - f->size : len,
			 WRITTEN);
		break;
	case 3:
		write_at(f, place(f->size, leaf), leaf * table_below(20), HOLE);
		break;
	case 4:
		write_at(f, place(f->max, leaf), len, WRITTEN);
		break;
	default:
		write_at(f, place(f->size, leaf), len, WRITTEN);
		break;
	}
}

/* The ranges of what is not the same; sometimes cut in two. */
static size_t changes_of(const struct file *f, struct file_change *out, size_t max)
{
	size_t n = 0;

	for (uint64_t at = 0, end; at < f->size; at = end) {
		for (end = at + 1; end < f->size && f->state[end] == f->state[at]; end++)
			if (table_below(200) == 0)
				break;
		if (f->state[at] == SAME)
			continue;
		assert_true(n < max);
		out[n++] = (struct file_change){ at, end, f->state[at] == HOLE };
	}
	return n;
}

/* Leaves that touch a change, or that the older tree does not have so. */
static uint64_t touched(const struct profile *p, const struct file *f, uint64_t old_size)
{
	const uint64_t leaf = p->chunker.max;
	uint64_t n = 0;

	for (uint64_t at = 0; at < f->size; at += leaf) {
		uint64_t end = at + leaf < f->size ? at + leaf : f->size;
		bool same = end <= old_size && (end == old_size || end - at == leaf);

		for (uint64_t i = at; i < end; i++)
			same = same && f->state[i] == SAME;
		n += !same;
	}
	return n ? n : 1;
}

static void edits_equal_what_is_built(const struct profile *p, unsigned rounds,
				      uint64_t leaves)
{
	struct file f = { .max = leaves * p->chunker.max };
	struct file_change *changes = malloc((f.max + 1) * sizeof *changes);
	struct cid missed[8];
	struct block_table t;
	struct built old, now, want;
	bool have = false;
	struct profile other = *p;

	f.data = malloc(f.max);
	f.state = malloc(f.max);
	table_init(&t);
	for (unsigned round = 0; round < rounds; round++) {
		struct misses m = { .cids = missed, .max = 1 + table_below(8) };
		struct file_edit e = { .changes = changes, .read = read_file, .arg = &f };
		uint64_t old_size = f.size;
		bool foreign = false, hiding = table_below(3) == 0;

		if (table_below(16) == 0) {
			have = false;
			f.size = 0;
		}
		memset(f.state, SAME, f.max);
		if (have && table_below(16) == 0) {
			/* The older tree is of another making. */
			other.chunker.max = p->chunker.max / 2;
			if (table_below(2))
				other = *p, other.max_links++;
			if (table_below(3) == 0)
				other = *p, other.raw_leaves = !p->raw_leaves,
				other.cid_version = 1;
			build(&other, &t, f.data, f.size, &old);
			foreign = true;
		}
		for (unsigned i = table_below(5); i; i--)
			change(&f, p->chunker.max);
		if (!have)
			memset(f.state, WRITTEN, f.size);
		e.old = have ? &old.cid : NULL;
		e.size = f.size;
		e.n = changes_of(&f, changes, f.max + 1);

		if (hiding)
			table_hide(&t, table_random, 2 + table_below(4));
		table_count_anew(&t);
		int r;
		while ((r = edit_file(p, &t.source, &t.sink, &e, &now, &m)) ==
		       ERR_MISSING) {
			assert_true(table_bring(&t, &m) > 0);
			m.n = 0;
		}
		assert_int_equal(r, 0);
		table_bring_all(&t);

		if (have && !foreign && !hiding) {
			unsigned depth = 0;
			uint64_t n = touched(p, &f, old_size);

			for (uint64_t l =
				 (f.size > old_size ? f.size : old_size) / p->chunker.max;
			     l; l /= p->max_links)
				depth++;
			assert_true(t.puts <= (n + 2) * (depth + 1));
			/* Two paths more: the older end, and to the left of it. */
			assert_true(t.gets <= (n + 2) * (depth + 1));
		}
		build(p, &t, f.data, f.size, &want);
		assert_built(&now, &want);
		old = now;
		have = true;
	}
	table_release(&t);
	free(f.data);
	free(f.state);
	free(changes);
}

static void tiny_trees_are_edited_as_they_are_built(void **state)
{
	static const struct {
		uint32_t leaf, links;
	} shapes[] = { { 16, 2 }, { 7, 3 }, { 64, 4 } };

	for (unsigned i = 0; profiles[i]; i++)
		for (unsigned j = 0; j < 3; j++) {
			struct profile p = *profiles[i];

			p.chunker.max = shapes[j].leaf;
			p.max_links = shapes[j].links;
			table_seed = 3 * i + j;
			print_message("# seed %u\n", 3 * i + j);
			edits_equal_what_is_built(&p, ROUNDS * effort, 100);
		}
	/* A hash of another length moves every number in a node. */
	struct profile p = *profiles[0];
	p.chunker.max = 32;
	p.max_links = 3;
	assert_int_equal(profile_set_hash(&p, "blake2b-512"), 0);
	edits_equal_what_is_built(&p, ROUNDS * effort, 60);
}

static void trees_of_the_profiles_are_edited_as_they_are_built(void **state)
{
	table_seed = 100;
	edits_equal_what_is_built(profiles[0], 10 * effort, 5);
	edits_equal_what_is_built(profiles[1], 10 * effort, 16);
}

/* A file of `n` leaves, of which there are eight different ones. */
static void build_long(const struct profile *p, struct block_table *t, uint64_t n,
		       struct built *root)
{
	uint8_t *room = calloc(1, LEAF_HEAD + p->chunker.max + LEAF_TAIL);
	struct built leaves[8];
	struct build_file b;

	for (unsigned i = 0; i < 8; i++) {
		memset(room + LEAF_HEAD, (int)i + 1, p->chunker.max);
		assert_int_equal(
		    build_leaf(p, &t->sink, room + LEAF_HEAD, p->chunker.max, &leaves[i]),
		    0);
	}
	build_file_init(&b, p, &t->sink);
	for (uint64_t i = 0; i < n; i++)
		assert_int_equal(build_file_add(&b, &leaves[i % 8]), 0);
	assert_int_equal(build_file_finish(&b, root), 0);
	build_file_release(&b);
	free(room);
}

static int read_nines(void *arg, uint64_t offset, void *buf, size_t len)
{
	memset(buf, 9, len);
	return 0;
}

static void a_small_change_in_a_file_of_10_gib_costs_a_leaf_and_its_way(void **state)
{
	const uint64_t size = 10ull << 30;
	struct file_change c = { size / 2 + 4096, size / 2 + 8192, false };
	struct block_table t;
	struct built old, now;

	for (unsigned i = 0; profiles[i]; i++) {
		const struct profile *p = profiles[i];
		/* 10,240 leaves of 1024 a node, or 40,960 of 174. */
		const size_t above = i == 0 ? 2 : 3;

		table_init(&t);
		build_long(p, &t, size / p->chunker.max, &old);
		assert_int_equal(old.size, size);
		table_count_anew(&t);
		struct file_edit e = { &old.cid, size, &c, 1, read_nines, NULL };
		assert_int_equal(edit_file(p, &t.source, &t.sink, &e, &now, NULL), 0);
		print_message("# %s: %zu blocks read, %zu made, %llu bytes\n", p->name,
			      t.gets, t.made, (unsigned long long)t.made_bytes);
		assert_int_equal(t.gets, 1 + above);
		assert_int_equal(t.puts, 1 + above);
		assert_true(t.made_bytes < p->chunker.max + 100000);
		assert_int_equal(now.size, size);
		assert_int_equal(now.tsize, old.tsize);
		table_release(&t);
	}
}

static void a_hole_of_an_exbibyte_costs_a_path(void **state)
{
	const struct profile *p = profiles[0];
	struct block_table t;
	struct built old, now, again;
	uint8_t byte = 1;

	table_init(&t);
	struct file_change all = { 0, 3, false };
	struct file_edit e = { NULL, 3, &all, 1, read_nines, NULL };
	assert_int_equal(edit_file(p, &t.source, &t.sink, &e, &old, NULL), 0);
	table_count_anew(&t);
	e = (struct file_edit){ &old.cid, 1ull << 60, NULL, 0, NULL, NULL };
	assert_int_equal(edit_file(p, &t.source, &t.sink, &e, &now, NULL), 0);
	assert_true(t.puts <= 10 && t.gets == 1);
	assert_int_equal(now.size, 1ull << 60);
	assert_int_equal(dag_read(&t.source, &now.cid, 2, &byte, 1, NULL), 1);
	assert_int_equal(byte, 9);
	assert_int_equal(dag_read(&t.source, &now.cid, (1ull << 60) - 1, &byte, 1, NULL),
			 1);
	assert_int_equal(byte, 0);

	/* Cut to what it was. */
	table_count_anew(&t);
	e = (struct file_edit){ &now.cid, 3, NULL, 0, NULL, NULL };
	assert_int_equal(edit_file(p, &t.source, &t.sink, &e, &again, NULL), 0);
	assert_true(cid_equal(&again.cid, &old.cid));
	assert_true(t.gets <= 6);

	e.size = EDIT_FILE_MAX;
	assert_int_equal(edit_file(p, &t.source, &t.sink, &e, &again, NULL), 0);
	e.size++;
	assert_int_equal(edit_file(p, &t.source, &t.sink, &e, &again, NULL), -EFBIG);
	table_release(&t);
}

static void what_others_made_of_nothing_is_not_read_for_ever(void **state)
{
	struct profile other = *profiles[0];
	struct block_table t;
	struct built old, now;
	struct file_change c = { 0, 10, false };

	table_init(&t);
	other.max_links = 1000;
	struct file_edit e = { NULL, EDIT_READ_MAX + 1, NULL, 0, read_nines, NULL };
	assert_int_equal(edit_file(&other, &t.source, &t.sink, &e, &old, NULL), 0);
	table_count_anew(&t);
	e = (struct file_edit){ &old.cid, EDIT_READ_MAX + 1, &c, 1, read_nines, NULL };
	assert_int_equal(edit_file(profiles[0], &t.source, &t.sink, &e, &now, NULL),
			 -EFBIG);
	assert_true(t.gets <= 2 && t.puts == 0);
	/* Cut short it can be had. */
	e.size = 3 << 20;
	assert_int_equal(edit_file(profiles[0], &t.source, &t.sink, &e, &now, NULL), 0);
	assert_int_equal(now.size, 3 << 20);
	table_release(&t);
}

static void nothing_changed_gives_the_same_and_makes_nothing(void **state)
{
	struct block_table t;
	struct built old, now;

	table_init(&t);
	build_long(profiles[1], &t, 1000, &old);
	table_count_anew(&t);
	t.frozen = true;
	struct file_edit e = { &old.cid, old.size, NULL, 0, NULL, NULL };
	assert_int_equal(edit_file(profiles[1], &t.source, &t.sink, &e, &now, NULL), 0);
	assert_built(&now, &old);
	assert_int_equal(t.gets, 1);
	table_release(&t);
}

static void attributes_in_the_root_are_left_behind(void **state)
{
	const struct unixfs_meta meta = { .has_mode = true, .mode = 0600 };
	struct block_table t;
	struct built plain, dressed, now;

	for (unsigned i = 0; profiles[i]; i++) {
		struct profile p = *profiles[i];
		uint8_t data[1000], room[LEAF_HEAD + 100 + LEAF_TAIL];
		struct build_file b;

		table_init(&t);
		p.chunker.max = 100;
		p.max_links = 3;
		memset(data, 5, sizeof data);
		build(&p, &t, data, sizeof data, &plain);
		build_file_init(&b, &p, &t.sink);
		b.meta = &meta;
		for (unsigned j = 0; j < 10; j++) {
			struct built leaf;

			memset(room, 5, sizeof room);
			assert_int_equal(
			    build_leaf(&p, &t.sink, room + LEAF_HEAD, 100, &leaf), 0);
			assert_int_equal(build_file_add(&b, &leaf), 0);
		}
		assert_int_equal(build_file_finish(&b, &dressed), 0);
		build_file_release(&b);
		assert_false(cid_equal(&plain.cid, &dressed.cid));
		table_count_anew(&t);
		struct file_edit e = { &dressed.cid, sizeof data, NULL, 0, NULL, NULL };
		assert_int_equal(edit_file(&p, &t.source, &t.sink, &e, &now, NULL), 0);
		assert_built(&now, &plain);
		assert_true(t.gets <= 3); /* no leaf was read */
		table_release(&t);
	}
}

static void bad_ranges_are_refused(void **state)
{
	static const struct file_change bad[][2] = {
		{ { 5, 5, false }, { 6, 7, false } },   /* empty */
		{ { 6, 5, false }, { 7, 8, false } },   /* backwards */
		{ { 0, 5, false }, { 4, 8, false } },   /* overlap */
		{ { 5, 6, false }, { 0, 1, false } },   /* order */
		{ { 0, 1, false }, { 99, 101, true } }, /* behind the end */
	};
	struct block_table t;
	struct built out;

	table_init(&t);
	t.frozen = true;
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		struct file_edit e = { NULL, 100, bad[i], 2, read_nines, NULL };

		assert_int_equal(
		    edit_file(profiles[0], &t.source, &t.sink, &e, &out, NULL), -EINVAL);
	}
	struct profile p = *profiles[0];
	p.chunker.kind = CHUNKER_BUZHASH;
	struct file_edit e = { NULL, 100, NULL, 0, NULL, NULL };
	assert_int_equal(edit_file(&p, &t.source, &t.sink, &e, &out, NULL), -EINVAL);
	table_release(&t);
}

/* A sink that ends in a store, so that leaves in a row go there as a stream. */
static int put_in_store(struct block_sink *self, const struct multihash *name,
			const void *data, size_t len)
{
	return store_put_bytes(self->store, name, data, len);
}

static uint64_t disk(struct store *s)
{
	struct store_stat st;

	assert_int_equal(store_sync(s), 0);
	store_stat(s, &st);
	return st.disk_bytes;
}

static int read_bytes(void *arg, uint64_t offset, void *buf, size_t len)
{
	memcpy(buf, *(uint8_t **)arg + offset, len);
	return 0;
}

static void changed_content_goes_to_a_store_once(void **state)
{
	enum { SIZE = 24 << 20, AT = (12 << 20) + 5000 };
	static char dir[SCRATCH_MAX];

	for (unsigned i = 0; profiles[i]; i++) {
		const struct profile *p = profiles[i];
		uint8_t *data = malloc(SIZE + 1000), *at = data;
		struct block_sink sink = { put_in_store, NULL };
		struct built old, now, want;
		struct block_table t;
		struct store *s;
		uint64_t before, seed = i;

		scratch_make(dir);
		assert_int_equal(store_open(&s, dir, STORE_WRITE | STORE_CREATE, NULL),
				 0);
		sink.store = s;
		for (size_t j = 0; j < SIZE + 1000; j += 8) {
			uint64_t v = scratch_random(&seed);
			memcpy(data + j, &v, 8);
		}
		table_init(&t);

		struct file_change all = { 0, SIZE, false };
		struct file_edit e = { NULL, SIZE, &all, 1, read_bytes, &at };
		at = data + 1000;
		assert_int_equal(edit_file(p, store_source(s), &sink, &e, &old, NULL), 0);
		build(p, &t, at, SIZE, &want);
		assert_built(&old, &want);
		before = disk(s);

		/* A thousand bytes more at the front move all the others. */
		all.to = e.size = SIZE + 1000;
		e.old = &old.cid;
		at = data;
		assert_int_equal(edit_file(p, store_source(s), &sink, &e, &now, NULL), 0);
		build(p, &t, at, SIZE + 1000, &want);
		assert_built(&now, &want);
		assert_true(disk(s) - before < 512 << 10);
		before = disk(s);

		/* Some in the middle, in one leaf. */
		memset(data + AT, 3, 4096);
		all = (struct file_change){ AT, AT + 4096, false };
		e.old = &now.cid;
		assert_int_equal(edit_file(p, store_source(s), &sink, &e, &now, NULL), 0);
		build(p, &t, at, SIZE + 1000, &want);
		assert_built(&now, &want);
		print_message("# %s: %llu KiB more on disk for 4\n", p->name,
			      (unsigned long long)(disk(s) - before) >> 10);
		assert_true(disk(s) - before < 700 << 10);
		assert_int_equal(store_close(s), 0);
		scratch_remove(dir);
		table_release(&t);
		free(data);
	}
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tiny_trees_are_edited_as_they_are_built),
		cmocka_unit_test(trees_of_the_profiles_are_edited_as_they_are_built),
		cmocka_unit_test(
		    a_small_change_in_a_file_of_10_gib_costs_a_leaf_and_its_way),
		cmocka_unit_test(a_hole_of_an_exbibyte_costs_a_path),
		cmocka_unit_test(what_others_made_of_nothing_is_not_read_for_ever),
		cmocka_unit_test(nothing_changed_gives_the_same_and_makes_nothing),
		cmocka_unit_test(attributes_in_the_root_are_left_behind),
		cmocka_unit_test(bad_ranges_are_refused),
		cmocka_unit_test(changed_content_goes_to_a_store_once),
	};

	if (argc > 1)
		effort = strtoul(argv[1], NULL, 10);
	return cmocka_run_group_tests_name("edit_file", tests, NULL, NULL);
}
