/*
 * Editing a directory gives what building it from all its entries gives, plain
 * or HAMT and from one to the other, and reads and makes only the shards on the
 * way to the changes.
 */
#include "store/edit_dir.h"
#include "store/dag.h"
#include "store/dagpb.h"
#include "store/hamt.h"
#include "tests/helpers/block_table.h"

#include <stdio.h>
#include <string.h>

#define ROUNDS 300 /* or the first argument times that */

static unsigned long effort = 1;

/* A directory that the test knows: entries by the number in their names. */
struct dir {
	struct entry {
		char name[24];
		struct cid cid;
		uint8_t bin[CID_SIZE_MAX];
		uint8_t bin_len;
		uint16_t name_len;
		uint64_t tsize;
		bool there;
	} *entries;
	size_t n;
};

static void dir_init(struct dir *d, size_t n)
{
	d->entries = calloc(n, sizeof *d->entries);
	d->n = n;
	assert_non_null(d->entries);
	for (size_t i = 0; i < n; i++)
		d->entries[i].name_len =
		    (uint16_t)snprintf(d->entries[i].name, sizeof d->entries[i].name,
				       "%0*zx", (int)(3 + i % 7), i);
}

static void set(struct entry *e)
{
	uint64_t data = table_random();

	/* Foreign links have CIDs of all kinds. */
	cid_of(&e->cid, table_below(4) != 0, CODEC_DAG_PB, &data, sizeof data);
	if (table_below(16) == 0) {
		e->cid = (struct cid){ 1, CODEC_RAW, { HASH_IDENTITY, 3, { 1, 2, 3 } } };
		e->cid.hash.digest[0] = (uint8_t)data;
	}
	e->bin_len = (uint8_t)cid_encode(&e->cid, e->bin);
	e->tsize = table_below(1ull << table_below(62));
	e->there = true;
}

static struct dir_link link_of(const struct entry *e)
{
	return (struct dir_link){ .name = e->name,
				  .name_len = e->name_len,
				  .cid = e->bin,
				  .cid_len = e->bin_len,
				  .tsize = e->tsize };
}

static void build(const struct profile *p, struct block_table *t, const struct dir *d,
		  struct built *out)
{
	struct dir_link *links = malloc((d->n + 1) * sizeof *links);
	size_t n = 0;

	for (size_t i = 0; i < d->n; i++)
		if (d->entries[i].there)
			links[n++] = link_of(&d->entries[i]);
	assert_int_equal(build_dir(p, &t->sink, links, n, out), 0);
	free(links);
}

static int compare_links(const void *a, const void *b)
{
	return dir_link_compare(a, b);
}

/* Change up to `n` random entries; the changes, in order. */
static size_t change(struct dir *d, size_t n, unsigned bias, struct dir_link *out)
{
	bool *taken = calloc(d->n, 1);
	size_t done = 0;

	for (; n; n--) {
		size_t i = table_below(d->n);
		struct entry *e = &d->entries[i];

		if (taken[i])
			continue;
		taken[i] = true;
		if (table_below(10) < bias)
			set(e);
		else
			e->there = false;
		out[done] = link_of(e);
		if (!e->there)
			out[done].cid_len = 0;
		done++;
	}
	free(taken);
	qsort(out, done, sizeof *out, compare_links);
	return done;
}

static void edits_equal_what_is_built(const struct profile *p, unsigned rounds,
				      size_t names)
{
	struct dir_link *changes = malloc(names * sizeof *changes);
	struct cid missed[8];
	struct block_table t;
	struct built old, now, want;
	struct dir d;
	bool have = false;
	unsigned bias = 8;

	dir_init(&d, names);
	table_init(&t);
	for (unsigned round = 0; round < rounds; round++) {
		struct misses m = { .cids = missed, .max = 1 + table_below(8) };
		bool hiding = table_below(3) == 0;
		size_t n;

		/* Tides: the directory grows, and shrinks again. */
		if (table_below(10) == 0)
			bias = 1 + table_below(9);
		n = change(&d, table_below(4) ? table_below(6) : table_below(names / 2),
			   bias, changes);
		if (table_below(16) == 0) {
			have = false;
			for (size_t i = 0; i < d.n; i++)
				d.entries[i].there = false;
			for (size_t i = 0; i < n; i++)
				for (size_t j = 0; j < d.n; j++)
					if (changes[i].name == d.entries[j].name)
						d.entries[j].there =
						    changes[i].cid_len != 0;
		}
		if (hiding)
			table_hide(&t, table_random, 2 + table_below(4));
		int r;
		while ((r = edit_dir_array(p, &t.source, &t.sink, have ? &old.cid : NULL,
					   changes, n, &now, &m)) == ERR_MISSING) {
			assert_true(table_bring(&t, &m) > 0);
			m.n = 0;
		}
		assert_int_equal(r, 0);
		table_bring_all(&t);
		build(p, &t, &d, &want);
		assert_true(cid_equal(&now.cid, &want.cid));
		assert_int_equal(now.tsize, want.tsize);
		assert_int_equal(now.size, want.size);
		old = now;
		have = true;
	}
	table_release(&t);
	free(d.entries);
	free(changes);
}

static void edited_directories_are_as_built(void **state)
{
	static const uint32_t fanouts[] = { 8, 16, 256 };
	static const uint32_t thresholds[] = { 0, 300, 6000 };

	for (unsigned i = 0; i < 18; i++) {
		struct profile p = *profiles[i % 2];

		p.hamt_fanout = fanouts[i / 2 % 3];
		p.hamt_threshold = thresholds[i / 6];
		table_seed = i;
		print_message("# seed %u\n", i);
		edits_equal_what_is_built(&p, ROUNDS * effort, i / 6 == 2 ? 400 : 150);
	}
	table_seed = 100;
	edits_equal_what_is_built(profiles[0], 8 * effort, 9000);
	edits_equal_what_is_built(profiles[1], 8 * effort, 9000);
}

/* An edit of what is there by the same entries; it must come to what is built. */
static void assert_edited(const struct profile *p, struct block_table *t,
			  const struct dir *d, const struct cid *old,
			  const struct dir_link *changes, size_t n)
{
	struct built now, want;

	assert_int_equal(
	    edit_dir_array(p, &t->source, &t->sink, old, changes, n, &now, NULL), 0);
	build(p, t, d, &want);
	assert_true(cid_equal(&now.cid, &want.cid));
	assert_int_equal(now.tsize, want.tsize);
}

static void what_others_made_is_built_anew(void **state)
{
	const struct unixfs_meta meta = { .has_mode = true, .mode = 0750 };

	for (unsigned i = 0; i < 8; i++) {
		struct dir_link changes[20];
		struct block_table t;
		struct built old;
		struct dir d;
		struct profile p = *profiles[i % 2], other;

		table_seed = i;
		table_init(&t);
		dir_init(&d, 400);
		for (size_t j = 0; j < d.n; j++)
			set(&d.entries[j]);
		p.hamt_fanout = 16;
		p.hamt_threshold = 6000;
		other = p;
		switch (i / 2) {
		case 0: /* plain, though it is large */
			other.hamt_threshold = 1 << 20;
			break;
		case 1: /* other shards */
			other.hamt_fanout = 64;
			break;
		case 2: /* shards of other names */
			other = *profiles[(i + 1) % 2];
			other.hamt_fanout = 16;
			other.hamt_threshold = 6000;
			break;
		}
		struct dir_link *links = calloc(d.n, sizeof *links);
		for (size_t j = 0; j < d.n; j++)
			links[j] = link_of(&d.entries[j]);
		/* In the last round it has attributes of its own. */
		assert_int_equal(build_dir_meta(&other, &t.sink, links, d.n,
						i / 2 == 3 ? &meta : NULL, &old),
				 0);
		free(links);
		assert_edited(&p, &t, &d, &old.cid, NULL, 0);
		size_t n = change(&d, 20, 5, changes);
		assert_edited(&p, &t, &d, &old.cid, changes, n);
		free(d.entries);
		table_release(&t);
	}
}

/* A shard of some links, in order of their buckets. */
static struct cid shard_of(struct block_table *t, const unsigned *buckets,
			   const struct cid *to, const char *const *names, size_t n)
{
	uint8_t field[HAMT_FIELD_MAX] = { 0 };
	struct unixfs u = { .type = UNIXFS_HAMT_SHARD,
			    .hash_type = HAMT_HASH_MURMUR3,
			    .fanout = 256,
			    .has_data = true,
			    .has_hash_type = true,
			    .has_fanout = true };
	struct hamt_shape shape;
	struct buf b = { 0 };
	struct cid cid;

	assert_int_equal(hamt_shape_init(&shape, 256), 0);
	for (size_t i = 0; i < n; i++) {
		char text[16];

		hamt_field_set(&shape, field, buckets[i]);
		snprintf(text, sizeof text, "%02X%s", buckets[i], names[i]);
		dagpb_put_link(&b, &to[i], text, strlen(text), 1);
	}
	u.data = hamt_field_trim(&shape, field, &u.data_len);
	assert_int_equal(sink_put_node(&t->sink, profiles[0], &b, &u, NULL, 0, &cid), 0);
	buf_release(&b);
	return cid;
}

static void shards_that_somebody_left_with_one_entry_are_folded(void **state)
{
	static const char *const names[] = { "a", "b" }, *const none[] = { "", "" };
	struct profile p = *profiles[0];
	struct dir_link links[2];
	struct block_table t;
	struct built now, want;
	struct cid file, subs[2], root;
	unsigned buckets[2];
	uint8_t bin[CID_SIZE_MAX];
	struct dag_entry e;

	table_init(&t);
	p.hamt_threshold = 0;
	cid_of(&file, 1, CODEC_RAW, "x", 1);
	for (unsigned i = 0; i < 2; i++) {
		uint64_t hash = hamt_hash(names[i], 1);
		unsigned inner = hash >> 48 & 255;

		buckets[i] = hash >> 56;
		subs[i] = shard_of(&t, &inner, &file, &names[i], 1);
		links[i] = (struct dir_link){ names[i], bin, 1, 1,
					      (uint8_t)cid_encode(&file, bin) };
	}
	if (buckets[0] > buckets[1]) {
		struct cid c = subs[0];
		unsigned bucket = buckets[0];

		subs[0] = subs[1], subs[1] = c;
		buckets[0] = buckets[1], buckets[1] = bucket;
	}
	assert_int_not_equal(buckets[0], buckets[1]);
	root = shard_of(&t, buckets, subs, none, 2);
	for (unsigned i = 0; i < 2; i++)
		assert_int_equal(dag_lookup(&t.source, &root, names[i], 1, &e, NULL), 0);

	/* One of them is looked at; then nothing is believed of the other. */
	assert_int_equal(build_dir(&p, &t.sink, links, 2, &want), 0);
	assert_int_equal(
	    edit_dir_array(&p, &t.source, &t.sink, &root, links, 1, &now, NULL), 0);
	assert_true(cid_equal(&now.cid, &want.cid));
	table_release(&t);
}

/* A node of one link, under a name that may be anything. */
static struct cid odd_dir(struct block_table *t, const char *const *names, size_t n)
{
	struct unixfs u = { .type = UNIXFS_DIRECTORY };
	struct buf b = { 0 };
	struct cid cid;

	cid_of(&cid, 1, CODEC_RAW, "x", 1);
	for (size_t i = 0; i < n; i++)
		dagpb_put_link(&b, &cid, names[i], strlen(names[i]), i);
	assert_int_equal(sink_put_node(&t->sink, profiles[0], &b, &u, NULL, 0, &cid), 0);
	buf_release(&b);
	return cid;
}

static void names_that_no_file_system_has_are_left_out_and_not_let_in(void **state)
{
	static const char *const odd[] = { "z", "..", "a/b", "", "a", "a", "." };
	static const char *const good[] = { "a", "z" };
	static const char *const bad[] = { "", ".", "..", "a/b" };
	struct block_table t;
	struct cid cid;
	uint8_t bin[CID_SIZE_MAX];
	struct built now, want;

	table_init(&t);
	struct cid old = odd_dir(&t, odd, 7);
	assert_int_equal(
	    edit_dir_array(profiles[0], &t.source, &t.sink, &old, NULL, 0, &now, NULL),
	    0);
	cid_of(&cid, 1, CODEC_RAW, "x", 1);
	uint8_t len = (uint8_t)cid_encode(&cid, bin);
	struct dir_link links[] = { { good[0], bin, 4, 1, len },
				    { good[1], bin, 0, 1, len } };
	assert_int_equal(build_dir(profiles[0], &t.sink, links, 2, &want), 0);
	assert_true(cid_equal(&now.cid, &want.cid));

	t.frozen = true;
	for (size_t i = 0; i < 4; i++) {
		struct dir_link l = { bad[i], bin, 1, (uint16_t)strlen(bad[i]), len };

		assert_int_equal(edit_dir_array(profiles[0], &t.source, &t.sink, &old, &l,
						1, &now, NULL),
				 -EINVAL);
	}
	char name[300];
	memset(name, 'n', sizeof name);
	struct dir_link l = { name, bin, 1, 256, len };
	assert_int_equal(
	    edit_dir_array(profiles[0], &t.source, &t.sink, &old, &l, 1, &now, NULL),
	    -ENAMETOOLONG);
	l.name_len = 5;
	l.cid_len = 2;
	assert_int_equal(
	    edit_dir_array(profiles[0], &t.source, &t.sink, &old, &l, 1, &now, NULL),
	    ERR_MALFORMED);
	struct dir_link two[] = { links[1], links[0] };
	assert_int_equal(
	    edit_dir_array(profiles[0], &t.source, &t.sink, &old, two, 2, &now, NULL),
	    -EINVAL);
	two[0] = two[1];
	assert_int_equal(
	    edit_dir_array(profiles[0], &t.source, &t.sink, &old, two, 2, &now, NULL),
	    -EINVAL);
	t.frozen = false;
	sink_put(&t.sink, profiles[0], CODEC_RAW, "x", 1, &cid);
	assert_int_equal(
	    edit_dir_array(profiles[0], &t.source, &t.sink, &cid, links, 1, &now, NULL),
	    -ENOTDIR);
	table_release(&t);
}

/* A million entries, which share a name's memory and a CID. */
#define MILLION 1000000
struct many {
	char (*names)[16];
	uint8_t cid[CID_SIZE_MAX];
	uint8_t cid_len;
	size_t step;
	bool remove;
};

static void get_many(const void *arg, size_t i, struct dir_link *out)
{
	const struct many *m = arg;
	const char *name = m->names[i * m->step];

	*out = (struct dir_link){ name, m->cid, 1000 + m->step, (uint16_t)strlen(name),
				  m->remove ? 0 : m->cid_len };
}

static void ten_changes_among_a_million_entries_cost_some_shards(void **state)
{
	for (unsigned i = 0; profiles[i]; i++) {
		struct many all = { .step = 1 }, some = { .step = MILLION / 10 };
		struct block_table t;
		struct built old, now, back;
		struct cid cid;

		table_init(&t);
		all.names = some.names = calloc(MILLION, sizeof *all.names);
		for (size_t j = 0; j < MILLION; j++)
			snprintf(all.names[j], sizeof *all.names, "file %08zu", j);
		cid_of(&cid, 1, CODEC_RAW, "a", 1);
		all.cid_len = (uint8_t)cid_encode(&cid, all.cid);
		cid_of(&cid, 1, CODEC_RAW, "b", 1);
		some.cid_len = (uint8_t)cid_encode(&cid, some.cid);
		struct dir_links from = { MILLION, &all, get_many },
				 to = { 10, &some, get_many };
		assert_int_equal(
		    build_dir_sorted(profiles[i], &t.sink, &from, NULL, &old), 0);
		print_message("# %s: %zu shards\n", profiles[i]->name, t.made);

		table_count_anew(&t);
		assert_int_equal(
		    edit_dir(profiles[i], &t.source, &t.sink, &old.cid, &to, &now, NULL),
		    0);
		print_message("# 10 changed: %zu read, %zu made, %llu bytes\n", t.gets,
			      t.made, (unsigned long long)t.made_bytes);
		assert_true(t.gets <= 35 && t.puts <= 35);

		table_count_anew(&t);
		some.remove = true;
		assert_int_equal(
		    edit_dir(profiles[i], &t.source, &t.sink, &now.cid, &to, &back, NULL),
		    0);
		print_message("# 10 removed: %zu read, %zu made, %llu bytes\n", t.gets,
			      t.made, (unsigned long long)t.made_bytes);
		assert_true(t.gets <= 150 && t.puts <= 35);

		/* And back to what it was. */
		some.remove = false;
		memcpy(some.cid, all.cid, sizeof all.cid);
		some.step = MILLION / 10;
		assert_int_equal(
		    edit_dir(profiles[i], &t.source, &t.sink, &back.cid, &to, &now, NULL),
		    0);
		struct dir_link l;
		get_many(&some, 3, &l);
		struct dag_entry e;
		assert_int_equal(
		    dag_lookup(&t.source, &now.cid, l.name, l.name_len, &e, NULL), 0);
		assert_int_equal(e.tsize, l.tsize);
		free(all.names);
		table_release(&t);
	}
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(edited_directories_are_as_built),
		cmocka_unit_test(what_others_made_is_built_anew),
		cmocka_unit_test(shards_that_somebody_left_with_one_entry_are_folded),
		cmocka_unit_test(
		    names_that_no_file_system_has_are_left_out_and_not_let_in),
		cmocka_unit_test(ten_changes_among_a_million_entries_cost_some_shards),
	};

	if (argc > 1)
		effort = strtoul(argv[1], NULL, 10);
	return cmocka_run_group_tests_name("edit_dir", tests, NULL, NULL);
}
