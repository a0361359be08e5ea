/* Comparing trees: what is told, in which order, and what is read for it. */
#include "store/build_dir.h"
#include "store/dag_diff.h"
#include "tests/helpers/block_table.h"

#include <stdio.h>
#include <string.h>

/* A tree as a list of lines, sorted by path, e.g. "f a/b 12": a kind (file, raw
 * file, link), a path, a number that is the content; directories are implied. */
struct builder {
	struct block_table *t;
	const struct profile *profile;
};

static void leaf(const struct builder *b, char kind, unsigned content, struct built *out)
{
	uint8_t room[LEAF_HEAD + 16 + LEAF_TAIL];
	struct profile p = *b->profile;
	int n = snprintf((char *)room + LEAF_HEAD, 16, "%u", content);

	if (kind == 'l') {
		assert_int_equal(
		    build_symlink(&p, &b->t->sink, (char *)room + LEAF_HEAD, n, out), 0);
		return;
	}
	p.raw_leaves = kind == 'r';
	assert_int_equal(build_leaf(&p, &b->t->sink, room + LEAF_HEAD, n, out), 0);
}

struct item {
	char kind;
	char path[40];
	unsigned content;
};

/* The directory of the items that begin with the prefix. */
static void tree(const struct builder *b, const struct item *in, size_t n, size_t prefix,
		 struct built *out)
{
	struct dir_link *links = calloc(n + 1, sizeof *links);
	uint8_t(*cids)[CID_SIZE_MAX] = calloc(n + 1, sizeof *cids);
	size_t m = 0;

	for (size_t i = 0, end; i < n; i = end, m++) {
		const char *name = in[i].path + prefix, *slash = strchr(name, '/');
		size_t len = slash ? (size_t)(slash - name) : strlen(name);
		struct built child;

		for (end = i + 1; slash && end < n; end++)
			if (strncmp(in[end].path, in[i].path, prefix + len + 1))
				break;
		if (slash)
			tree(b, in + i, end - i, prefix + len + 1, &child);
		else
			leaf(b, in[i].kind, in[i].content, &child);
		links[m] = (struct dir_link){ name, cids[m], child.tsize, (uint16_t)len,
					      (uint8_t)cid_encode(&child.cid, cids[m]) };
	}
	assert_int_equal(build_dir(b->profile, &b->t->sink, links, m, out), 0);
	free(links);
	free(cids);
}

struct told {
	char text[1 << 16];
	size_t len;
	bool expand;
};

static int tell(void *arg, const struct dag_diff *d)
{
	static const char kinds[] = { 'A', 'R', 'C', 'T' },
			  types[] = { '?', 'f', 'd', 'l' };
	struct told *told = arg;

	assert_int_equal(strlen(d->path), d->path_len);
	assert_true(d->old.there == (d->kind != DAG_ADDED));
	assert_true(d->new.there == (d->kind != DAG_REMOVED));
	told->len += snprintf(told->text + told->len, sizeof told->text - told->len,
			      "%c %s", kinds[d->kind], d->path);
	if (d->old.there)
		told->len += snprintf(
		    told->text + told->len, sizeof told->text - told->len, " %c%llu",
		    types[d->old.type], (unsigned long long)d->old.size);
	told->len +=
	    snprintf(told->text + told->len, sizeof told->text - told->len, " >");
	if (d->new.there)
		told->len += snprintf(
		    told->text + told->len, sizeof told->text - told->len, " %c%llu",
		    types[d->new.type], (unsigned long long)d->new.size);
	told->text[told->len++] = '\n';
	assert_true(told->len < sizeof told->text - 200);
	told->text[told->len] = '\0';
	return told->expand;
}

static const struct item first[] = {
	{ 'f', "a", 1 },         { 'f', "dir/deep/x", 2 }, { 'r', "dir/deep/y", 3 },
	{ 'f', "dir/same", 4 },  { 'l', "link", 5 },       { 'f', "node", 6 },
	{ 'f', "old/one", 7 },   { 'f', "old/two", 8 },    { 'f', "same/a", 9 },
	{ 'r', "turns/in", 10 },
};
static const struct item second[] = {
	{ 'f', "a", 10000 },    { 'f', "dir/deep/x", 2 },   { 'r', "dir/deep/y", 33 },
	{ 'r', "dir/new", 12 }, { 'f', "dir/same", 4 },     { 'l', "link", 55 },
	{ 'f', "new/b", 13 },   { 'f', "node/is/now", 14 }, { 'f', "same/a", 9 },
	{ 'f', "turns", 15 },
};
#define N(x) (sizeof(x) / sizeof *(x))

static void trees_are_compared_path_by_path(void **state)
{
	static const uint32_t thresholds[] = { 1u << 18, 0 };
	static const char brief[] = "C a f1 > f5\n"
				    "C dir/deep/y f1 > f2\n"
				    "A dir/new > f2\n"
				    "C link l1 > l2\n"
				    "A new > d0\n"
				    "T node f1 > d0\n"
				    "R old d0 >\n"
				    "T turns d0 > f2\n";
	static const char full[] = "C a f1 > f5\n"
				   "C dir/deep/y f1 > f2\n"
				   "A dir/new > f2\n"
				   "C link l1 > l2\n"
				   "A new > d0\n"
				   "A new/b > f2\n"
				   "T node f1 > d0\n"
				   "A node/is > d0\n"
				   "A node/is/now > f2\n"
				   "R old d0 >\n"
				   "R old/one f1 >\n"
				   "R old/two f1 >\n"
				   "T turns d0 > f2\n"
				   "R turns/in f2 >\n";
	struct block_table t;
	struct built a, b;

	/* Plain and HAMT, in all four pairs. */
	table_init(&t);
	for (unsigned i = 0; i < 4; i++) {
		struct profile p = *profiles[0], q = p;
		static struct told told;

		p.hamt_threshold = thresholds[i & 1];
		q.hamt_threshold = thresholds[i >> 1];
		q.hamt_fanout = 64;
		if (i == 3)
			p.hamt_fanout = 64;
		tree(&(struct builder){ &t, &p }, first, N(first), 0, &a);
		tree(&(struct builder){ &t, &q }, second, N(second), 0, &b);
		told = (struct told){ 0 };
		assert_int_equal(dag_diff(&t.source, &a.cid, &b.cid, tell, &told, NULL),
				 0);
		assert_string_equal(told.text, brief);
		told = (struct told){ .expand = true };
		assert_int_equal(dag_diff(&t.source, &a.cid, &b.cid, tell, &told, NULL),
				 0);
		assert_string_equal(told.text, full);
		told = (struct told){ 0 };
		assert_int_equal(dag_diff(&t.source, &a.cid, &a.cid, tell, &told, NULL),
				 0);
		assert_int_equal(told.len, 0);
	}
	table_release(&t);
}

static void roots_that_are_no_directories_are_one_difference(void **state)
{
	struct block_table t;
	struct built a, b, c;
	static struct told told;

	table_init(&t);
	struct builder to = { &t, profiles[0] };
	leaf(&to, 'r', 123, &a);
	leaf(&to, 'f', 4, &b);
	tree(&to, first, N(first), 0, &c);
	assert_int_equal(dag_diff(&t.source, &a.cid, &b.cid, tell, &told, NULL), 0);
	assert_int_equal(dag_diff(&t.source, &b.cid, &c.cid, tell, &told, NULL), 0);
	assert_string_equal(told.text, "C  f3 > f1\nT  f1 > d0\n");
	table_release(&t);
}

static int stop(void *arg, const struct dag_diff *d)
{
	return -ECANCELED;
}

static void the_receiver_can_end_it_and_what_lacks_is_noted(void **state)
{
	struct block_table t;
	struct built a, b;
	struct cid missed[4];
	struct misses m = { .cids = missed, .max = 4 };
	static struct told told;

	table_init(&t);
	struct builder to = { &t, profiles[0] };
	tree(&to, first, N(first), 0, &a);
	tree(&to, second, N(second), 0, &b);
	assert_int_equal(dag_diff(&t.source, &a.cid, &b.cid, stop, NULL, NULL),
			 -ECANCELED);
	table_seed = 1;
	table_hide(&t, table_random, 1);
	int r;
	unsigned rounds = 0;
	while ((r = dag_diff(&t.source, &a.cid, &b.cid, tell, &told, &m)) ==
	       ERR_MISSING) {
		assert_true(table_bring(&t, &m) > 0);
		m.n = 0;
		told.len = 0;
		rounds++;
	}
	assert_int_equal(r, 0);
	assert_true(rounds > 3);
	assert_true(told.len > 0);
	table_release(&t);
}

/* A directory of `n` files, of which every `step`th is another. */
static void flat(struct block_table *t, const struct profile *p, size_t n, size_t step,
		 size_t left_out, struct built *out)
{
	struct dir_link *links = calloc(n, sizeof *links);
	char(*names)[16] = calloc(n, sizeof *names);
	struct built a, b;
	uint8_t cids[2][CID_SIZE_MAX];
	size_t m = 0;

	leaf(&(struct builder){ t, p }, 'r', 1, &a);
	leaf(&(struct builder){ t, p }, 'r', 2, &b);
	size_t len = cid_encode(&a.cid, cids[0]);
	cid_encode(&b.cid, cids[1]);
	for (size_t i = 0; i < n; i++) {
		if (i == left_out)
			continue;
		links[m++] = (struct dir_link){ names[i], cids[step && i % step == 0], 1,
						(uint16_t)sprintf(names[i], "%zu", i),
						(uint8_t)len };
	}
	assert_int_equal(build_dir(p, &t->sink, links, m, out), 0);
	free(links);
	free(names);
}

static void large_directories_are_compared_shard_by_shard(void **state)
{
	struct block_table t;
	struct built a, b;
	static struct told told;

	table_init(&t);
	flat(&t, profiles[0], 100000, 0, 100, &a);
	flat(&t, profiles[0], 100000, 50000, 70000, &b);
	table_count_anew(&t);
	assert_int_equal(dag_diff(&t.source, &a.cid, &b.cid, tell, &told, NULL), 0);
	assert_string_equal(told.text,
			    "C 0 f1 > f1\nA 100 > f1\nC 50000 f1 > f1\nR 70000 f1 >\n");
	/* The roots are looked at twice; then three levels on both sides. */
	assert_true(t.gets <= 2 * (2 + 4 * 2));
	table_release(&t);
}

/* A random tree, and one that differs in some places; what is told equals what
 * comparing all paths says. */
static void what_is_told_is_what_differs(void **state)
{
	enum { MAX = 300 };
	static struct item old[MAX], new[MAX];
	static struct told told, want;

	for (uint64_t seed = 0; seed < 60; seed++) {
		struct profile p = *profiles[0], q;
		size_t n = 0, m = 0;
		struct block_table t;
		struct built a, b;

		table_seed = seed;
		table_init(&t);
		p.hamt_threshold = table_below(2) ? 0 : 2000;
		p.hamt_fanout = 8;
		q = p;
		if (table_below(3) == 0)
			q.hamt_threshold = 1000;
		want.len = told.len = 0;
		told.text[0] = want.text[0] = '\0';
		for (unsigned i = 0; i < MAX; i++) {
			struct item it = { 'f', "", i };

			/* Directories of a hundred and of some. */
			snprintf(it.path, sizeof it.path,
				 i < 200 ? "%03u/%03u/f" : "%03u/%03u", i / 100, i);
			bool in_old = table_below(10) > 1, in_new = in_old;
			if (table_below(20) == 0)
				in_new = !in_new;
			/* One of each pair is there always, so no directory goes. */
			if (i >= 200 && i % 50 == 0)
				in_old = in_new = true;
			if (i < 200 && i % 50 == 0)
				in_old = in_new = true;
			if (in_old)
				old[n++] = it;
			bool changed = in_old && in_new && table_below(30) == 0;
			it.content += changed ? 1000 : 0;
			if (in_new)
				new[m++] = it;
			size_t len = snprintf(NULL, 0, "%u", i);
			const char *type = i < 200 ? "d0" : len == 3 ? "f3" : "f2";
			char path[40];
			strcpy(path, it.path);
			if (i < 200)
				path[7] = '\0'; /* the directory comes or goes */
			if (in_old && !in_new)
				want.len += sprintf(want.text + want.len, "R %s %s >\n",
						    path, type);
			else if (!in_old && in_new)
				want.len += sprintf(want.text + want.len, "A %s > %s\n",
						    path, type);
			else if (changed)
				want.len += sprintf(want.text + want.len,
						    "C %s f%zu > f4\n", it.path, len);
		}
		tree(&(struct builder){ &t, &p }, old, n, 0, &a);
		tree(&(struct builder){ &t, &q }, new, m, 0, &b);
		assert_int_equal(dag_diff(&t.source, &a.cid, &b.cid, tell, &told, NULL),
				 0);
		assert_string_equal(told.text, want.text);
		table_release(&t);
	}
}

static void a_chain_of_directories_ends_at_a_depth(void **state)
{
	struct block_table t;
	struct built a, b;
	static struct told told;

	table_init(&t);
	leaf(&(struct builder){ &t, profiles[0] }, 'f', 1, &a);
	leaf(&(struct builder){ &t, profiles[0] }, 'f', 2, &b);
	for (unsigned i = 0; i < DAG_DIFF_DEPTH + 1; i++) {
		struct built *both[] = { &a, &b };

		for (unsigned j = 0; j < 2; j++) {
			uint8_t cid[CID_SIZE_MAX];
			struct dir_link l = { "d", cid, 1, 1,
					      (uint8_t)cid_encode(&both[j]->cid, cid) };

			assert_int_equal(build_dir(profiles[0], &t.sink, &l, 1, both[j]),
					 0);
		}
		if (i == 10)
			assert_int_equal(
			    dag_diff(&t.source, &a.cid, &b.cid, tell, &told, NULL), 0);
	}
	assert_string_equal(told.text, "C d/d/d/d/d/d/d/d/d/d/d f1 > f1\n");
	assert_int_equal(dag_diff(&t.source, &a.cid, &b.cid, tell, &told, NULL), -ELOOP);
	table_release(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(trees_are_compared_path_by_path),
		cmocka_unit_test(roots_that_are_no_directories_are_one_difference),
		cmocka_unit_test(the_receiver_can_end_it_and_what_lacks_is_noted),
		cmocka_unit_test(large_directories_are_compared_shard_by_shard),
		cmocka_unit_test(what_is_told_is_what_differs),
		cmocka_unit_test(a_chain_of_directories_ends_at_a_depth),
	};
	return cmocka_run_group_tests_name("dag_diff", tests, NULL, NULL);
}
