/* Histories, also such as a stranger may have made them. */
#include "fs/history.h"
#include "memory_source.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <stdio.h>
#include <sodium.h>

#define NOW INT64_C(1793966400000) /* 2026-11-06 12:00 UTC */
#define DAY INT64_C(86400000)

struct world {
	struct memory m;
	struct secret_key key;
	struct peer_id folder;
};

static int set_up(void **state)
{
	struct world *w = calloc(1, sizeof *w);

	assert_non_null(w);
	assert_true(sodium_init() >= 0);
	memory_init(&w->m);
	key_generate(&w->key);
	folder_key_name(&w->key, &w->folder);
	*state = w;
	return 0;
}

static int tear_down(void **state)
{
	struct world *w = *state;

	memory_release(&w->m);
	free(w);
	return 0;
}

static struct commit plain(const struct world *w, int64_t ms)
{
	struct commit c = { .folder = w->folder,
			    .message = "",
			    .profile = "unixfs-v1-2025",
			    .profile_len = 14,
			    .time = { .sec = ms / 1000, .nsec = (uint32_t)(ms % 1000) * 1000000 } };

	cid_of(&c.root, 1, CODEC_DAG_PB, "root", 4);
	return c;
}

/* Signed by `key`, and put; on `parent` if that is not NULL. */
static struct cid put_as(struct world *w, const struct secret_key *key, struct commit c,
			 const struct cid *parent)
{
	struct buf b = { 0 };

	if (parent) {
		c.parents[0] = *parent;
		c.n_parents = 1;
	}
	assert_int_equal(commit_sign(&c, key, &b), 0);
	struct cid cid = memory_put(&w->m, CODEC_DAG_CBOR, b.data, b.len);
	buf_release(&b);
	return cid;
}

static struct cid put(struct world *w, int64_t ms, const struct cid *parent)
{
	return put_as(w, &w->key, plain(w, ms), parent);
}

/* How many commits a walk gives, and how it ends. */
static size_t walk(struct world *w, const struct cid *head, int *end)
{
	struct history h;
	struct history_commit *p;
	size_t n = 0;

	history_begin(&h, &w->m.source, head, &w->folder, NOW);
	while ((*end = history_next(&h, &p)) > 0) {
		assert_true(p->back == n);
		n++;
	}
	history_end(&h);
	return n;
}

static void a_history_is_walked_from_its_head(void **state)
{
	struct world *w = *state;
	struct cid cids[5];
	int end;

	for (int i = 0; i < 5; i++)
		cids[i] = put(w, NOW - (10 - i) * DAY, i ? &cids[i - 1] : NULL);
	assert_int_equal(walk(w, &cids[4], &end), 5);
	assert_int_equal(end, 0);
	assert_int_equal(walk(w, &cids[1], &end), 2);
}

/* hostile.md 94 */
static void b94_where_a_parent_is_not_here_the_walk_ends_and_says_which(void **state)
{
	struct world *w = *state;
	struct cid a = put(w, NOW - DAY, NULL), b = put(w, NOW, &a);
	struct history_commit *p;
	struct history h;

	memory_hide(&w->m, &a, true);
	history_begin(&h, &w->m.source, &b, &w->folder, NOW);
	assert_int_equal(history_next(&h, &p), 1);
	assert_int_equal(history_next(&h, &p), ERR_MISSING);
	assert_true(cid_equal(&h.next, &a));
	/* When it has come, the walk goes on. */
	memory_hide(&w->m, &a, false);
	assert_int_equal(history_next(&h, &p), 1);
	assert_int_equal(history_next(&h, &p), 0);
	history_end(&h);
}

/* hostile.md 94 */
static void b94_a_parent_that_is_no_snapshot_is_refused(void **state)
{
	struct world *w = *state;
	struct cid not_one[4];
	int end;

	not_one[0] = memory_put(&w->m, CODEC_RAW, "bytes", 5);
	not_one[1] = memory_put(&w->m, CODEC_DAG_CBOR, "\xa0", 1);
	not_one[2] = memory_put(&w->m, CODEC_DAG_CBOR, "\xff\xff", 2);
	not_one[3] = memory_put(&w->m, CODEC_DAG_PB, "", 0);
	for (size_t i = 0; i < 4; i++) {
		/* Those of another codec no commit can name. */
		if (not_one[i].codec == CODEC_DAG_CBOR) {
			struct cid head = put(w, NOW, &not_one[i]);
			assert_int_equal(walk(w, &head, &end), 1);
			assert_int_equal(end, ERR_MALFORMED);
		}
		assert_int_equal(walk(w, &not_one[i], &end), 0);
		assert_int_equal(end, ERR_MALFORMED);
	}
}

/* hostile.md 94: held is one commit, however long it is. */
static void b94_a_long_history_is_walked_step_by_step(void **state)
{
	struct world *w = *state;
	struct cid head = put(w, NOW - 3000000, NULL);
	int end;

	for (int i = 1; i < 3000; i++)
		head = put(w, NOW - 3000000 + i * 1000, &head);
	assert_int_equal(walk(w, &head, &end), 3000);
	assert_int_equal(end, 0);
}

/* hostile.md 95 */
static void b95_only_what_the_folder_s_key_signed_for_it_counts(void **state)
{
	struct world *w = *state;
	struct secret_key other;
	struct peer_id other_folder;
	struct commit c = plain(w, NOW);
	int end;

	key_generate(&other);
	folder_key_name(&other, &other_folder);
	struct cid good = put(w, NOW - DAY, NULL);

	/* By somebody else, for this folder. */
	struct cid stranger = put_as(w, &other, c, &good);
	assert_int_equal(walk(w, &stranger, &end), 0);
	assert_int_equal(end, ERR_MALFORMED);

	/* Of another folder, rightly signed there. */
	c.folder = other_folder;
	struct cid foreign = put_as(w, &other, c, NULL);
	assert_int_equal(walk(w, &foreign, &end), 0);
	assert_int_equal(end, ERR_MALFORMED);
	/* In the middle of a history too. */
	struct cid on_foreign = put(w, NOW, &foreign);
	assert_int_equal(walk(w, &on_foreign, &end), 1);
	assert_int_equal(end, ERR_MALFORMED);

	/* Signed by our key, but naming another folder: it says nothing of that one. */
	struct cid ours_for_other = put_as(w, &w->key, c, NULL);
	assert_int_equal(walk(w, &ours_for_other, &end), 0);
	assert_int_equal(end, ERR_MALFORMED);
	struct history h;
	struct history_commit *p;
	history_begin(&h, &w->m.source, &ours_for_other, NULL, NOW);
	assert_int_equal(history_next(&h, &p), ERR_MALFORMED);
	history_end(&h);
}

static void b95_a_bit_flipped_anywhere_is_noticed(void **state)
{
	struct world *w = *state;
	struct commit c = plain(w, NOW);
	struct buf b = { 0 };
	size_t refused = 0;

	assert_int_equal(commit_sign(&c, &w->key, &b), 0);
	for (size_t i = 0; i < b.len * 8; i += 3) {
		b.data[i / 8] ^= (uint8_t)(1 << i % 8);
		struct cid cid = memory_put(&w->m, CODEC_DAG_CBOR, b.data, b.len);
		b.data[i / 8] ^= (uint8_t)(1 << i % 8);
		int end;
		assert_int_equal(walk(w, &cid, &end), 0);
		assert_true(end == ERR_MALFORMED || end == ERR_CORRUPT || end == ERR_NEWER);
		refused++;
	}
	assert_true(refused > 500);
	buf_release(&b);
}

/* hostile.md 96 */
static void b96_clocks_are_clamped_to_now_and_to_the_child_s(void **state)
{
	struct world *w = *state;
	struct cid a = put(w, NOW + 3650 * DAY, NULL), b = put(w, NOW - 2 * DAY, &a),
		   c = put(w, NOW - 3 * DAY, &b), d = put(w, NOW + 3650 * DAY, &c);
	static const int64_t want[] = { NOW, NOW - 3 * DAY, NOW - 3 * DAY, NOW - 3 * DAY };
	struct history_commit *p;
	struct history h;

	history_begin(&h, &w->m.source, &d, &w->folder, NOW);
	for (int i = 0; i < 4; i++) {
		assert_int_equal(history_next(&h, &p), 1);
		assert_true(p->time_ms == want[i]);
	}
	history_end(&h);

	/* As far as a number can be. */
	struct commit far = plain(w, NOW);
	far.time.sec = INT64_MAX;
	struct cid e = put_as(w, &w->key, far, NULL);
	history_begin(&h, &w->m.source, &e, &w->folder, NOW);
	if (history_next(&h, &p) > 0)
		assert_true(p->time_ms == NOW);
	history_end(&h);
}

/* ---- finding ---- */

static int find(struct world *w, const struct folder_file *f, const char *text, struct cid *out)
{
	struct folder_at at;

	assert_int_equal(folder_at_parse(&at, text, strlen(text), NOW), 0);
	return history_find(&w->m.source, f, &w->folder, &at, NOW, out);
}

static void references_are_found_on_their_branch(void **state)
{
	struct world *w = *state;
	struct folder_file f = { 0 };
	struct cid c[4], side, out;
	char id[SHORT_ID + 1], text[CID_TEXT_MAX], longer[70] = "";

	for (int i = 0; i < 4; i++)
		c[i] = put(w, NOW - (3 - i) * DAY, i ? &c[i - 1] : NULL);
	side = put(w, NOW - DAY / 2, &c[1]);
	assert_int_equal(folder_file_add(&f, "main", &c[3]), 0);
	assert_int_equal(folder_file_add(&f, "draft", &side), 0);

	assert_int_equal(find(w, &f, "", &out), 0);
	assert_true(cid_equal(&out, &c[3]));
	assert_int_equal(find(w, &f, "{0}", &out), 0);
	assert_true(cid_equal(&out, &c[3]));
	assert_int_equal(find(w, &f, "{3}", &out), 0);
	assert_true(cid_equal(&out, &c[0]));
	assert_int_equal(find(w, &f, "{4}", &out), -ENOENT);
	assert_int_equal(find(w, &f, "{yesterday}", &out), 0);
	assert_true(cid_equal(&out, &c[2]));
	assert_int_equal(find(w, &f, "{1 hour ago}", &out), 0);
	assert_true(cid_equal(&out, &c[2]));
	assert_int_equal(find(w, &f, "{4 days ago}", &out), -ENOENT);
	assert_int_equal(find(w, &f, "draft", &out), 0);
	assert_true(cid_equal(&out, &side));
	assert_int_equal(find(w, &f, "nope", &out), -ENOENT);
	assert_int_equal(find(w, &f, short_id(&c[1], id), &out), 0);
	assert_true(cid_equal(&out, &c[1]));
	/* Of a branch that is not the current one, too. */
	assert_int_equal(find(w, &f, short_id(&side, id), &out), 0);
	assert_true(cid_equal(&out, &side));
	for (int i = 0; i < 32; i++)
		snprintf(longer + 2 * i, 3, "%02x", c[0].hash.digest[i]);
	assert_int_equal(find(w, &f, longer, &out), 0);
	assert_true(cid_equal(&out, &c[0]));
	assert_int_equal(find(w, &f, cid_text(&c[2], text), &out), 0);
	assert_true(cid_equal(&out, &c[2]));
	folder_file_release(&f);
}

static void a_short_id_of_two_snapshots_is_not_decided(void **state)
{
	struct world *w = *state;
	struct folder_file f = { 0 };
	struct cid head = put(w, NOW - DAY * 3000, NULL), out;
	char id[SHORT_ID + 1];
	int unclear = 0, found = 0;

	/* So many that some begin with the same four digits as another. */
	enum { MANY = 2000 };
	static struct cid all[MANY];
	for (int i = 0; i < MANY; i++)
		all[i] = head = put(w, NOW - DAY * 3000 + i, &head);
	assert_int_equal(folder_file_add(&f, "main", &head), 0);
	for (int i = 0; i < MANY && !(unclear && found); i++) {
		int same = 0;
		for (int k = 0; k < MANY; k++)
			same += !memcmp(all[i].hash.digest, all[k].hash.digest, 2);
		if (same < 2 && found)
			continue;
		short_id(&all[i], id);
		id[SHORT_ID_MIN] = 0;
		int r = find(w, &f, id, &out);
		assert_int_equal(r, same > 1 ? -ENOTUNIQ : 0);
		unclear += r < 0;
		found += r == 0;
	}
	assert_true(unclear > 0 && found > 0);
	folder_file_release(&f);
}

static void what_is_found_before_the_history_ends_is_found(void **state)
{
	struct world *w = *state;
	struct folder_file f = { 0 };
	struct cid a = put(w, NOW - 2 * DAY, NULL), b = put(w, NOW - DAY, &a), out;
	char id[SHORT_ID + 1];

	assert_int_equal(folder_file_add(&f, "main", &b), 0);
	memory_hide(&w->m, &a, true);
	assert_int_equal(find(w, &f, short_id(&b, id), &out), 0);
	assert_int_equal(find(w, &f, short_id(&a, id), &out), ERR_MISSING);
	assert_int_equal(find(w, &f, "{1}", &out), ERR_MISSING);
	folder_file_release(&f);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(a_history_is_walked_from_its_head),
		TEST(b94_where_a_parent_is_not_here_the_walk_ends_and_says_which),
		TEST(b94_a_parent_that_is_no_snapshot_is_refused),
		TEST(b94_a_long_history_is_walked_step_by_step),
		TEST(b95_only_what_the_folder_s_key_signed_for_it_counts),
		TEST(b95_a_bit_flipped_anywhere_is_noticed),
		TEST(b96_clocks_are_clamped_to_now_and_to_the_child_s),
		TEST(references_are_found_on_their_branch),
		TEST(a_short_id_of_two_snapshots_is_not_decided),
		TEST(what_is_found_before_the_history_ends_is_found),
	};
	return cmocka_run_group_tests_name("history", tests, NULL, NULL);
}
