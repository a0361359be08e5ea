/*
 * Editing a directory gives what building it from all its entries gives, plain
 * or HAMT and from one to the other, and reads and makes only the shards on the
 * way to the changes.
 */
#include "store/edit_dir.h"
#include "store/dag.h"
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

static void edits_equal_what_is_built(const struct profile *p, unsigned rounds, size_t names)
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
		n = change(&d, table_below(4) ? table_below(6) : table_below(names / 2), bias,
			   changes);
		if (table_below(16) == 0) {
			have = false;
			for (size_t i = 0, j = 0; i < d.n; i++) {
				d.entries[i].there = j < n;
				(void)j;
				d.entries[i].there = false;
			}
			for (size_t i = 0; i < n; i++)
				for (size_t j = 0; j < d.n; j++)
					if (changes[i].name == d.entries[j].name)
						d.entries[j].there = changes[i].cid_len != 0;
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

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(edited_directories_are_as_built),
	};

	if (argc > 1)
		effort = strtoul(argv[1], NULL, 10);
	return cmocka_run_group_tests_name("edit_dir", tests, NULL, NULL);
}
