/* The attributes DAG: its bytes, its shape, and editing it. */
#include "fs/attrs.h"
#include "tests/helpers/block_table.h"
#include "tests/unit/attrs_nodes.h"
#include "tests/unit/hex.h"

#include <stdio.h>
#include <string.h>

static void get_link(const void *arg, size_t i, struct attrs_link *out)
{
	*out = ((const struct attrs_link *)arg)[i];
}

static int edit(struct block_table *t, const struct cid *old, const struct attrs_entry *self,
		const struct attrs_link *l, size_t n, struct cid *out)
{
	struct attrs_changes c = { n, l, get_link };

	return attrs_edit(&t->source, &t->sink, old, self, &c, out, NULL);
}

static struct attrs_link link_of(const char *name, struct attrs_entry e)
{
	return (struct attrs_link){ .name = name, .name_len = strlen(name), .attrs = e };
}

/* The example of doc/formats.md: a directory inside, and its parent. */
static const char example_sub[] = "a1"			 /* a map of one pair */
				  "6164" "a1"		 /* "d": a map of one pair */
				  "616d" "1901c0";	 /* "m": 0700 */
static const char example[] =
    "a2"					/* a map of two pairs */
    "6164" "a2"					/* "d": the directory itself */
    "616d" "1901f8"				/* "m": 0770 */
    "6175" "1903e8"				/* "u": 1000 */
    "6165" "84"					/* "e": four entries */
    "82" "426d65"				/* "me" */
    "a2"
    "6174" "82" "1a65920080" "1a075bcd15"	/* "t": 1704067200.123456789 */
    "6178" "81"					/* "x": one */
    "82" "46757365722e61" "43010203"		/* "user.a" is 01 02 03 */
    "82" "446e756c6c"				/* "null" */
    "a3"
    "6164" "82" "01" "03"			/* "d": device 1, 3 */
    "616d" "1901b6"				/* "m": 0666 */
    "6173" "03"					/* "s": a character device */
    "82" "43737562"				/* "sub" */
    "d82a" "582500" "01711220"			/* a link to its node */
    "a5408b51d4fb3a1bf92bc7ac8060f7d22a3bdb5121395b0f5f47496039a9ebfb"
    "82" "4374776f"				/* "two" */
    "a1" "616c" "07";				/* "l": group 7 */

static void assert_block(struct block_table *t, const struct cid *cid, const char *hex)
{
	uint8_t want[1024];
	size_t n = unhex(hex, want);
	struct block *b;

	assert_int_equal(source_get(&t->source, cid, &b), 0);
	assert_int_equal(b->size, n);
	assert_memory_equal(b->data, want, n);
	block_unref(b);
}

static void the_example_is_what_is_written(void **state)
{
	struct attrs_xattr x = { "user.a", 6, (const uint8_t *)"\1\2\3", 3 };
	struct attrs_entry self = { .has = ATTRS_MODE, .mode = 0700 };
	struct buf xattrs = { 0 };
	char text[CID_TEXT_MAX];
	struct block_table t;
	struct cid sub, cid;

	table_init(&t);
	assert_int_equal(edit(&t, NULL, &self, NULL, 0, &sub), 1);
	assert_block(&t, &sub, example_sub);
	assert_int_equal(attrs_xattrs_put(&xattrs, &x, 1), 0);
	struct attrs_link l[] = {
		link_of("me", (struct attrs_entry){ .has = ATTRS_MTIME,
						    .mtime = { 1704067200, 123456789 },
						    .xattrs = xattrs.data,
						    .xattrs_len = xattrs.len }),
		link_of("null", (struct attrs_entry){ .has = ATTRS_MODE,
						      .mode = 0666,
						      .special = ATTRS_CHAR,
						      .major = 1,
						      .minor = 3 }),
		{ .name = "sub", .name_len = 3, .is_dir = true, .dir = sub },
		link_of("two", (struct attrs_entry){ .group = 7 }),
	};
	self = (struct attrs_entry){ .has = ATTRS_MODE | ATTRS_UID, .mode = 0770, .uid = 1000 };
	assert_int_equal(edit(&t, NULL, &self, l, 4, &cid), 1);
	assert_block(&t, &cid, example);
	assert_string_equal(cid_text(&cid, text),
			    "bafyreidm2thcocv7zollb2pzbyv7iz7g2mb6c67l5rfz67b632x4cipfce");
	buf_release(&xattrs);
	table_release(&t);
}

static void what_is_cut_off_or_changed_is_refused_or_another_value(void **state)
{
	uint8_t data[1024], *part;
	size_t n = unhex(example, data);
	struct attrs_node node;

	for (size_t i = 0; i < n; i++) {
		part = malloc(i ? i : 1); /* of exactly that size, for the sanitizer */
		memcpy(part, data, i);
		assert_int_equal(attrs_node_decode(&node, part, i), ERR_MALFORMED);
		free(part);
	}
	for (size_t i = 0; i < n; i++)
		for (unsigned bit = 0; bit < 8; bit++) {
			struct buf again = { 0 };

			data[i] ^= (uint8_t)(1u << bit);
			/* One encoding for one value. */
			if (attrs_rewrite(data, n, &again) == 0) {
				assert_int_equal(again.len, n);
				assert_memory_equal(again.data, data, n);
			}
			data[i] ^= (uint8_t)(1u << bit);
			buf_release(&again);
		}
	data[n] = 0;
	assert_int_equal(attrs_node_decode(&node, data, n + 1), ERR_MALFORMED);
}

static void other_encodings_are_refused(void **state)
{
	static const char *const bad[] = {
		"a0",					      /* says nothing */
		"a1" "6164" "a0",			      /* of itself nothing */
		"a1" "6165" "80",			      /* no entries */
		"a1" "6169" "80",			      /* no children */
		"a1" "617a" "00",			      /* an unknown key */
		"a1" "6165" "81" "82" "4161" "a0",	      /* of an entry nothing */
		"a1" "6165" "81" "82" "6161" "a1" "616d" "01", /* a name that is text */
		"a1" "6165" "81" "82" "40" "a1" "616d" "01",  /* no name */
		"a1" "6165" "81" "82" "412e" "a1" "616d" "01", /* "." */
		"a1" "6165" "81" "82" "412f" "a1" "616d" "01", /* "/" */
		"a1" "6165" "82" "82" "4162" "a1" "616d" "01" /* out of order */
		"82" "4161" "a1" "616d" "01",
		"a1" "6165" "82" "82" "4161" "a1" "616d" "01" /* twice */
		"82" "4161" "a1" "616d" "01",
		"a1" "6164" "a1" "616d" "191000",	      /* mode 010000 */
		"a1" "6164" "a1" "616d" "1801",		      /* 1, but longer */
		"a1" "6164" "a2" "6175" "01" "616d" "01",     /* keys out of order */
		"a1" "6164" "a1" "6175" "1b0000000100000000", /* uid 2^32 */
		"a1" "6164" "a1" "6174" "82" "00" "1a3b9aca00", /* 10^9 ns */
		"a1" "6164" "a1" "6174" "82" "3bffffffffffffffff" "00",
		"a1" "6164" "a1" "6174" "81" "00",	      /* no nanoseconds */
		"a1" "6164" "a1" "616c" "00",		      /* group 0 */
		"a1" "6164" "a1" "6173" "00",		      /* special 0 */
		"a1" "6164" "a1" "6173" "05",		      /* and 5 */
		"a1" "6164" "a1" "6173" "03",		      /* a device without number */
		"a1" "6164" "a2" "6164" "82" "01" "02" "6173" "01", /* a FIFO with */
		"a1" "6164" "a1" "6164" "82" "01" "02",	      /* a number alone */
		"a1" "6164" "a1" "6178" "80",		      /* no xattrs */
		"a1" "6164" "a1" "6178" "81" "82" "40" "40",  /* one without a name */
		"a1" "6164" "a1" "6178" "81" "82" "4100" "40", /* with a NUL */
		"a1" "6164" "a1" "6178" "82" "82" "4161" "40" "82" "4161" "40", /* twice */
		/* A link to something else: raw; version 0 has no codec either. */
		"a1" "6165" "81" "82" "4161" "d82a" "582500" "01551220"
		"a5408b51d4fb3a1bf92bc7ac8060f7d22a3bdb5121395b0f5f47496039a9ebfb",
		/* An index of what would be a page. */
		"a1" "6169" "81" "84" "00" "02" "198000" "d82a" "582500" "01711220"
		"a5408b51d4fb3a1bf92bc7ac8060f7d22a3bdb5121395b0f5f47496039a9ebfb",
		/* Of one entry. */
		"a1" "6169" "81" "84" "00" "01" "1a00010000" "d82a" "582500" "01711220"
		"a5408b51d4fb3a1bf92bc7ac8060f7d22a3bdb5121395b0f5f47496039a9ebfb",
		/* A digit of 16. */
		"a1" "6169" "81" "84" "10" "02" "1a00010000" "d82a" "582500" "01711220"
		"a5408b51d4fb3a1bf92bc7ac8060f7d22a3bdb5121395b0f5f47496039a9ebfb",
	};
	/* And what differs from the last three by that alone is taken. */
	static const char good[] =
	    "a1" "6169" "81" "84" "00" "02" "1a00010000" "d82a" "582500" "01711220"
	    "a5408b51d4fb3a1bf92bc7ac8060f7d22a3bdb5121395b0f5f47496039a9ebfb";
	struct attrs_node node;
	uint8_t data[256];

	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		size_t n = unhex(bad[i], data);

		if (attrs_node_decode(&node, data, n) != ERR_MALFORMED)
			fail_msg("%s was taken", bad[i]);
	}
	assert_int_equal(attrs_node_decode(&node, data, unhex(good, data)), 0);
	assert_int_equal(node.form, ATTRS_INDEX);
	assert_int_equal(node.count, 2);
}

static void defaults_are_not_said(void **state)
{
	struct attrs_entry e = { .has = ATTRS_MODE, .mode = 0644 };
	struct block_table t;
	struct cid cid;

	attrs_drop_defaults(&e, DAG_DIR);
	assert_false(attrs_empty(&e));
	attrs_drop_defaults(&e, DAG_FILE);
	assert_true(attrs_empty(&e));
	e = (struct attrs_entry){ .has = ATTRS_MODE, .mode = 0755 };
	attrs_drop_defaults(&e, DAG_DIR);
	assert_true(attrs_empty(&e));

	/* A directory of which nothing is said has no node. */
	struct attrs_link l = link_of("a", e);
	table_init(&t);
	t.frozen = true;
	assert_int_equal(edit(&t, NULL, &e, &l, 1, &cid), 0);
	assert_int_equal(edit(&t, NULL, NULL, NULL, 0, &cid), 0);
	table_release(&t);
}

static void what_cannot_be_said_is_refused(void **state)
{
	struct attrs_entry ok = { .has = ATTRS_UID, .uid = 5 }, e = ok;
	struct block_table t;
	struct cid cid;

	table_init(&t);
	t.frozen = true;
	static const char *const names[] = { "", ".", "..", "a/b" };
	for (size_t i = 0; i < 4; i++) {
		struct attrs_link l = link_of(names[i], ok);

		assert_int_equal(edit(&t, NULL, NULL, &l, 1, &cid), -EINVAL);
	}
	struct attrs_link two[] = { link_of("b", ok), link_of("a", ok) };
	assert_int_equal(edit(&t, NULL, NULL, two, 2, &cid), -EINVAL);
	two[0] = two[1];
	assert_int_equal(edit(&t, NULL, NULL, two, 2, &cid), -EINVAL);
	e = (struct attrs_entry){ .has = ATTRS_MODE, .mode = 010000 };
	assert_int_equal(edit(&t, NULL, &e, NULL, 0, &cid), -EINVAL);
	e = (struct attrs_entry){ .has = ATTRS_BIRTH, .birth = { 0, 1000000000 } };
	assert_int_equal(edit(&t, NULL, &e, NULL, 0, &cid), -EINVAL);
	e = (struct attrs_entry){ .xattrs = (const uint8_t *)"\x80", .xattrs_len = 1 };
	assert_int_equal(edit(&t, NULL, &e, NULL, 0, &cid), -EINVAL);

	struct buf out = { 0 };
	uint8_t *big = calloc(1, ATTRS_XATTRS_MAX);
	struct attrs_xattr x[] = { { "a", 1, big, 65536 }, { "b", 1, big, 65000 } };
	assert_int_equal(attrs_xattrs_put(&out, x, 2), 0);
	x[1].value_len = 65536;
	assert_int_equal(attrs_xattrs_put(&out, x, 2), -E2BIG);
	x[1] = x[0];
	assert_int_equal(attrs_xattrs_put(&out, x, 2), -EINVAL);
	x[1].name = "";
	x[1].name_len = 0;
	assert_int_equal(attrs_xattrs_put(&out, x, 2), -EINVAL);
	free(big);
	buf_release(&out);
	table_release(&t);
}

/* What a test knows of a directory: entries by number. */
struct model {
	struct one {
		char name[32];
		bool there;
		struct attrs_link link;
	} *all;
	size_t n;
	uint8_t *xattrs[4]; /* of 8, 100, 5000 and 40000 bytes */
	size_t xattrs_len[4];
};

static void model_init(struct model *m, size_t n)
{
	static const size_t sizes[] = { 8, 100, 5000, 40000 };

	*m = (struct model){ .all = calloc(n, sizeof *m->all), .n = n };
	for (size_t i = 0; i < n; i++) {
		snprintf(m->all[i].name, sizeof m->all[i].name, "name %08zu", i);
		m->all[i].link = link_of(m->all[i].name, (struct attrs_entry){ 0 });
	}
	for (size_t i = 0; i < 4; i++) {
		uint8_t *value = calloc(1, sizes[i]);
		struct attrs_xattr x = { "user.x", 6, value, sizes[i] };
		struct buf b = { 0 };

		assert_int_equal(attrs_xattrs_put(&b, &x, 1), 0);
		m->xattrs[i] = b.data;
		m->xattrs_len[i] = b.len;
		free(value);
	}
}

static void model_release(struct model *m)
{
	for (size_t i = 0; i < 4; i++)
		free(m->xattrs[i]);
	free(m->all);
}

static void random_entry(const struct model *m, struct attrs_link *l)
{
	struct attrs_entry *e = &l->attrs;

	*e = (struct attrs_entry){ .has = table_below(64) };
	e->mode = table_below(010000);
	e->uid = (uint32_t)table_random();
	e->gid = table_below(100);
	e->mtime = (struct attrs_time){ (int64_t)table_random(), table_below(1000000000) };
	e->ctime = (struct attrs_time){ table_below(1000), 0 };
	e->birth = (struct attrs_time){ -5, 999999999 };
	e->special = table_below(4) ? 0 : (enum attrs_special)table_below(5);
	if (e->special >= ATTRS_CHAR) {
		e->major = (uint32_t)table_random();
		e->minor = table_below(3);
	}
	e->group = table_below(3) ? 0 : table_random();
	if (table_below(8) == 0) {
		size_t i = table_below(table_below(8) ? 2 : 4);

		e->xattrs = m->xattrs[i];
		e->xattrs_len = m->xattrs_len[i];
	}
	l->is_dir = table_below(6) == 0;
	if (l->is_dir) {
		cid_of(&l->dir, 1, CODEC_DAG_CBOR, &l->attrs.uid, 4);
		*e = (struct attrs_entry){ 0 };
	}
}

/* The changes, in order (as the names are). */
static size_t model_change(struct model *m, size_t want, unsigned bias, struct attrs_link *out)
{
	size_t n = 0;

	for (size_t i = 0; i < m->n; i++) {
		struct one *e = &m->all[i];

		if (table_below(m->n) >= want)
			continue;
		e->link.is_dir = false;
		e->link.attrs = (struct attrs_entry){ 0 };
		if (table_below(10) < bias)
			random_entry(m, &e->link);
		e->there = e->link.is_dir || !attrs_empty(&e->link.attrs);
		out[n++] = e->link;
	}
	return n;
}

static void assert_same_entry(const struct attrs_entry *a, const struct attrs_entry *b)
{
	struct buf x = { 0 }, y = { 0 };

	attrs_put_entry(&x, a);
	attrs_put_entry(&y, b);
	assert_int_equal(x.len, y.len);
	assert_memory_equal(x.data, y.data, x.len);
	buf_release(&x);
	buf_release(&y);
}

struct listing {
	struct model *m;
	size_t n;
};

static int check_listed(void *arg, const struct attrs_link *l)
{
	struct listing *listing = arg;
	char name[32] = { 0 };

	memcpy(name, l->name, l->name_len);
	struct one *e = &listing->m->all[strtoul(name + 5, NULL, 10)];
	assert_true(e->there);
	assert_int_equal(e->link.is_dir, l->is_dir);
	assert_same_entry(&e->link.attrs, &l->attrs);
	listing->n++;
	return 0;
}

static void edits_equal_what_is_made_at_once(void **state)
{
	for (unsigned seed = 0; seed < 6; seed++) {
		const size_t names = seed % 2 ? 3000 : 300;
		struct attrs_link *changes = malloc(names * sizeof *changes);
		struct cid missed[4], old, now, want;
		struct block_table t;
		unsigned bias = 9;
		bool have = false;
		struct model m;

		table_seed = seed;
		table_init(&t);
		model_init(&m, names);
		for (unsigned round = 0; round < 60; round++) {
			struct misses lacking = { .cids = missed, .max = 1 + table_below(4) };

			if (table_below(8) == 0)
				bias = table_below(11);
			size_t n = model_change(&m, table_below(2) ? 5 : table_below(names / 2),
						bias, changes);
			struct attrs_changes c = { n, changes, get_link };
			bool hiding = table_below(3) == 0;
			if (hiding)
				table_hide(&t, table_random, 2);
			int r, made;
			while ((r = attrs_edit(&t.source, &t.sink, have ? &old : NULL, NULL, &c,
					       &now, &lacking)) == ERR_MISSING) {
				assert_true(table_bring(&t, &lacking) > 0);
				lacking.n = 0;
			}
			table_bring_all(&t);

			size_t all = 0;
			for (size_t i = 0; i < m.n; i++)
				if (m.all[i].there)
					changes[all++] = m.all[i].link;
			made = edit(&t, NULL, NULL, changes, all, &want);
			assert_int_equal(made, all > 0);
			assert_int_equal(r, made);
			if (r)
				assert_true(cid_equal(&now, &want));
			have = r;
			old = now;
			if (!have)
				continue;

			struct listing listing = { &m, 0 };
			assert_int_equal(attrs_list(&t.source, &now, check_listed, &listing, NULL),
					 0);
			assert_int_equal(listing.n, all);
			for (unsigned i = 0; i < 20; i++) {
				struct one *e = &m.all[table_below(m.n)];
				struct attrs_link l;
				struct block *hold;

				r = attrs_lookup(&t.source, &now, e->link.name, e->link.name_len,
						 &l, &hold, NULL);
				assert_int_equal(r, e->there ? 0 : -ENOENT);
				if (r < 0)
					continue;
				assert_int_equal(l.is_dir, e->link.is_dir);
				assert_same_entry(&l.attrs, &e->link.attrs);
				block_unref(hold);
			}
		}
		model_release(&m);
		table_release(&t);
		free(changes);
	}
}

static void the_directory_itself_stays_or_is_replaced(void **state)
{
	struct attrs_entry self = { .has = ATTRS_GID, .gid = 3 }, none = { 0 }, got;
	struct attrs_link l = link_of("f", (struct attrs_entry){ .group = 9 });
	struct attrs_link gone = link_of("f", none);
	struct cid a, b, c, d;
	struct block_table t;
	struct block *hold;

	table_init(&t);
	assert_int_equal(edit(&t, NULL, &self, &l, 1, &a), 1);
	assert_int_equal(edit(&t, &a, NULL, &gone, 1, &b), 1);
	assert_int_equal(attrs_self(&t.source, &b, &got, &hold, NULL), 0);
	assert_int_equal(got.gid, 3);
	block_unref(hold);
	assert_int_equal(edit(&t, &a, &none, NULL, 0, &c), 1);
	assert_int_equal(attrs_self(&t.source, &c, &got, &hold, NULL), -ENOENT);
	assert_int_equal(edit(&t, &b, &none, NULL, 0, &d), 0);
	assert_int_equal(edit(&t, &c, &self, NULL, 0, &d), 1);
	assert_true(cid_equal(&a, &d));
	table_release(&t);
}

/* A million entries, which are made as they are asked for. */
#define MILLION 1000000
struct many {
	char (*names)[16];
	size_t step; /* between those that are there */
	uint32_t gid;
};

static void get_many(const void *arg, size_t i, struct attrs_link *out)
{
	const struct many *m = arg;

	*out = link_of(m->names[i * m->step],
		       (struct attrs_entry){ .has = ATTRS_MTIME | ATTRS_GID,
					     .gid = m->gid,
					     .mtime = { 1700000000 + (int64_t)i, 5 } });
}

static void ten_changes_in_a_million_entries_cost_some_pages(void **state)
{
	struct many all = { .step = 1, .gid = 1 }, some = { .step = MILLION / 10, .gid = 2 };
	struct attrs_changes c = { MILLION, &all, get_many };
	struct block_table t;
	struct cid old, now;

	all.names = some.names = calloc(MILLION, sizeof *all.names);
	for (size_t i = 0; i < MILLION; i++)
		snprintf(all.names[i], sizeof *all.names, "file %08zu", i);
	table_init(&t);
	assert_int_equal(attrs_edit(&t.source, &t.sink, NULL, NULL, &c, &old, NULL), 1);
	print_message("# %zu nodes, %llu bytes\n", t.made, (unsigned long long)t.made_bytes);
	table_count_anew(&t);
	c = (struct attrs_changes){ 10, &some, get_many };
	assert_int_equal(attrs_edit(&t.source, &t.sink, &old, NULL, &c, &now, NULL), 1);
	print_message("# %zu nodes read, %zu made, %llu bytes\n", t.gets, t.made,
		      (unsigned long long)t.made_bytes);
	assert_true(t.gets <= 50 && t.made <= 50);
	assert_true(t.made_bytes <= 10 * ATTRS_PAGE + 40 * 1024);
	free(all.names);
	table_release(&t);
}

static void an_index_that_lies_is_refused(void **state)
{
	struct attrs_link l[2] = { 0 }, found;
	struct attrs_node node;
	struct buf items = { 0 }, block = { 0 };
	struct attrs_child child;
	struct block_table t;
	struct model m;
	struct cid cid, lie;
	struct block *b, *hold;
	char name[] = "a";

	/* Two large entries, in two pages. */
	table_init(&t);
	model_init(&m, 1);
	for (unsigned i = 0; i < 2; i++) {
		l[i] = link_of(i ? "b" : "a",
			       (struct attrs_entry){ .xattrs = m.xattrs[3],
						     .xattrs_len = m.xattrs_len[3] });
	}
	assert_int_equal(edit(&t, NULL, NULL, l, 2, &cid), 1);
	assert_int_equal(source_get(&t.source, &cid, &b), 0);
	assert_int_equal(attrs_node_decode(&node, b->data, b->size), 0);
	assert_int_equal(node.form, ATTRS_INDEX);
	assert_int_equal(node.n, 2);
	assert_int_equal(attrs_lookup(&t.source, &cid, name, 1, &found, &hold, NULL), 0);
	block_unref(hold);
	while (attrs_node_child(&node.items, &child)) {
		child.bytes++;
		attrs_put_child(&items, &child);
	}
	attrs_put_node(&block, NULL, ATTRS_INDEX, 2, &items);
	assert_int_equal(sink_put(&t.sink, profiles[0], CODEC_DAG_CBOR, block.data, block.len, &lie),
			 0);
	assert_int_equal(attrs_lookup(&t.source, &lie, name, 1, &found, &hold, NULL),
			 ERR_MALFORMED);
	assert_int_equal(edit(&t, &lie, NULL, l, 1, &cid), ERR_MALFORMED);
	block_unref(b);
	buf_release(&items);
	buf_release(&block);
	model_release(&m);
	table_release(&t);
}

static void a_page_that_should_be_two_is_refused(void **state)
{
	struct buf items = { 0 }, block = { 0 };
	struct attrs_node node;
	struct attrs_link l[2];
	struct model m;

	/* One entry may be as large as it has to be, two may not. */
	model_init(&m, 1);
	for (unsigned i = 0; i < 2; i++) {
		l[i] = link_of(i ? "b" : "a", (struct attrs_entry){ .group = 1 });
		if (i == 0) {
			l[i].attrs.xattrs = m.xattrs[3];
			l[i].attrs.xattrs_len = m.xattrs_len[3];
		}
		assert_int_equal(attrs_put_link(&items, &l[i]), 0);
		buf_clear(&block);
		attrs_put_node(&block, NULL, ATTRS_ENTRIES, i + 1, &items);
		assert_int_equal(attrs_node_decode(&node, block.data, block.len),
				 i ? ERR_MALFORMED : 0);
	}
	buf_release(&items);
	buf_release(&block);
	model_release(&m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_example_is_what_is_written),
		cmocka_unit_test(what_is_cut_off_or_changed_is_refused_or_another_value),
		cmocka_unit_test(other_encodings_are_refused),
		cmocka_unit_test(defaults_are_not_said),
		cmocka_unit_test(what_cannot_be_said_is_refused),
		cmocka_unit_test(edits_equal_what_is_made_at_once),
		cmocka_unit_test(the_directory_itself_stays_or_is_replaced),
		cmocka_unit_test(ten_changes_in_a_million_entries_cost_some_pages),
		cmocka_unit_test(an_index_that_lies_is_refused),
		cmocka_unit_test(a_page_that_should_be_two_is_refused),
	};
	return cmocka_run_group_tests_name("attrs", tests, NULL, NULL);
}
