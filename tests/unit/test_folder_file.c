/* folder.json: what is written is read, and nothing else. */
#include "fs/folder_file.h"
#include "store/error.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HEAD "bafyreiemt4dubhqnxgqpcmlwnipqq66u6xwkuxs6bqvbqkrptkipyvvtwm"

static const char whole[] =
	"{\"version\":1,\"profile\":\"unixfs-v0-2015\",\"quiet\":1.5,\"max-age\":0,"
	"\"keep\":\"daily=30\",\"quota\":1048576,\"publish\":true,\"ttl\":60,\"branch\":\"draft\","
	"\"branches\":{\"main\":\"" HEAD "\",\"draft\":\"" HEAD "\"},\"published\":\"" HEAD "\"}";

static void what_is_written_is_read(void **state)
{
	struct folder_file f, g;

	assert_int_equal(folder_file_decode(&f, whole, strlen(whole)), 0);
	char *text = folder_file_encode(&f);
	assert_non_null(text);
	assert_int_equal(folder_file_decode(&g, text, strlen(text)), 0);
	free(text);
	for (int i = 0; i < 2; i++) {
		struct folder_file *x = i ? &g : &f;
		char rule[RETAIN_TEXT_MAX];
		assert_string_equal(x->settings.profile->name, "unixfs-v0-2015");
		assert_true(x->settings.quiet_ms == 1500 && x->settings.max_age_ms == 0);
		assert_true(x->settings.quota == 1048576 && x->settings.ttl_ms == 60000);
		assert_true(x->settings.publish);
		assert_string_equal(retention_text(&x->settings.keep, rule), "daily=30");
		assert_int_equal(x->n_branches, 2);
		assert_string_equal(x->branches[x->current].name, "draft");
		assert_int_equal(x->published.version, 1);
	}
	folder_file_release(&f);
	folder_file_release(&g);
}

static void a_file_cut_anywhere_is_refused(void **state)
{
	struct folder_file f;

	for (size_t n = 0; n < strlen(whole); n++)
		assert_int_equal(folder_file_decode(&f, whole, n), ERR_MALFORMED);
}

/* `from` in it replaced by `to`. */
static int with(const char *from, const char *to)
{
	char text[2 * sizeof whole];
	const char *at = strstr(whole, from);
	struct folder_file f;

	assert_non_null(at);
	snprintf(text, sizeof text, "%.*s%s%s", (int)(at - whole), whole, to, at + strlen(from));
	int r = folder_file_decode(&f, text, strlen(text));
	if (r == 0)
		folder_file_release(&f);
	return r;
}

static void what_cannot_be_is_refused(void **state)
{
	assert_int_equal(with("\"version\":1", "\"version\":2"), ERR_NEWER);
	assert_int_equal(with("\"version\":1", "\"version\":0"), ERR_MALFORMED);
	assert_int_equal(with("unixfs-v0-2015", "nope"), ERR_MALFORMED);
	assert_int_equal(with("1.5", "-1"), ERR_MALFORMED);
	assert_int_equal(with("1.5", "1e300"), ERR_MALFORMED);
	assert_int_equal(with("1.5", "\"1\""), ERR_MALFORMED);
	assert_int_equal(with("daily=30", "daily"), ERR_MALFORMED);
	assert_int_equal(with("1048576", "-5"), ERR_MALFORMED);
	assert_int_equal(with("true", "1"), ERR_MALFORMED);
	assert_int_equal(with("\"branch\":\"draft\"", "\"branch\":\"other\""), ERR_MALFORMED);
	assert_int_equal(with("\"draft\":", "\"../x\":"), ERR_MALFORMED);
	assert_int_equal(with("\"draft\":", "\"main\":"), ERR_MALFORMED);
	assert_int_equal(with("{\"main\":\"" HEAD "\"", "{\"main\":\"bafy\""), ERR_MALFORMED);
	assert_int_equal(with("\"published\":\"" HEAD "\"", "\"published\":7"), ERR_MALFORMED);
	/* It was never published, or knows more than we do. */
	assert_int_equal(with(",\"published\":\"" HEAD "\"", ""), 0);
	assert_int_equal(with("\"version\":1", "\"version\":1,\"colour\":\"red\""), 0);
}

static void branches_are_added_and_dropped(void **state)
{
	struct folder_file f = { 0 };
	struct cid head;
	char name[16];

	assert_int_equal(cid_parse(&head, HEAD, strlen(HEAD)), 0);
	assert_int_equal(folder_file_add(&f, "a", &head), 0);
	assert_int_equal(folder_file_add(&f, "b", &head), 0);
	assert_int_equal(folder_file_add(&f, "c", &head), 0);
	assert_int_equal(folder_file_add(&f, "b", &head), -EEXIST);
	assert_int_equal(folder_file_add(&f, "-x", &head), -EINVAL);
	f.current = 2;
	assert_int_equal(folder_file_drop(&f, "c"), -EBUSY);
	assert_int_equal(folder_file_drop(&f, "x"), -ENOENT);
	assert_int_equal(folder_file_drop(&f, "a"), 0);
	assert_string_equal(f.branches[f.current].name, "c");
	assert_int_equal(f.n_branches, 2);
	for (int i = 2; i < FOLDER_BRANCHES_MAX; i++) {
		snprintf(name, sizeof name, "n%d", i);
		assert_int_equal(folder_file_add(&f, name, &head), 0);
	}
	assert_int_equal(folder_file_add(&f, "more", &head), -ENOSPC);
	folder_file_release(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_written_is_read),
		cmocka_unit_test(a_file_cut_anywhere_is_refused),
		cmocka_unit_test(what_cannot_be_is_refused),
		cmocka_unit_test(branches_are_added_and_dropped),
	};
	return cmocka_run_group_tests_name("folder_file", tests, NULL, NULL);
}
