/* References to snapshots, with the clock as an argument. */
#include "fs/folder_ref.h"
#include "store/error.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>
#include <time.h>

#define NOW INT64_C(1793966400000) /* 2026-11-06 12:00:00 UTC */
#define CID "bafyreiemt4dubhqnxgqpcmlwnipqq66u6xwkuxs6bqvbqkrptkipyvvtwm"

static const struct folder_at *at(const char *text)
{
	static struct folder_at out;

	return folder_at_parse(&out, text, strlen(text), NOW) < 0 ? NULL : &out;
}

static int64_t at_time(const char *text)
{
	const struct folder_at *a = at(text);

	assert_non_null(a);
	assert_int_equal(a->kind, AT_TIME);
	return a->time_ms;
}

static void names_are_plain_words_and_no_cids(void **state)
{
	static const char *const good[] = { "a", "photos", "A.b_c-9", "2026", "bafy", "Qm", "k51", "12D3" };
	static const char *const bad[] = {
		"", ".a", "-a", "a/b", "a b", "a@b", "\xc3\xa4", "a\n", "..", CID,
		"QmYwAPJzv5CZsnA625s3Xf2nemtYgPpHdWEz79ojWnPbdG",
		"k51qzi5uqu5djjtka8heqi5jap9bgveynbnr0kg54t4iaxwg8uld50716ye72e",
		"12D3KooWPvs8Ls55PAWLLv6JJtVhmC5TVGaZZzTbfFSADeFQqkPc",
	};
	char many[FOLDER_NAME_MAX + 2];

	for (size_t i = 0; i < sizeof good / sizeof *good; i++)
		assert_true(folder_name_ok(good[i]));
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		assert_false(folder_name_ok(bad[i]));
	memset(many, 'x', sizeof many);
	many[FOLDER_NAME_MAX] = 0;
	assert_true(folder_name_ok(many));
	many[FOLDER_NAME_MAX] = 'x';
	many[FOLDER_NAME_MAX + 1] = 0;
	assert_false(folder_name_ok(many));
}

static void each_kind_of_reference_is_understood(void **state)
{
	assert_int_equal(at("")->kind, AT_HEAD);
	assert_int_equal(at("{3}")->kind, AT_BACK);
	assert_true(at("{3}")->back == 3);
	assert_true(at("{999999999}")->back == 999999999);
	assert_int_equal(at("draft")->kind, AT_WORD);
	assert_string_equal(at("draft")->word, "draft");
	assert_int_equal(at("0123abcdef")->kind, AT_WORD);
	assert_int_equal(at(CID)->kind, AT_CID);
	assert_true(at_time("{now}") == NOW);
	assert_true(at_time("{yesterday}") == NOW - 86400000);
	assert_true(at_time("{1 second ago}") == NOW - 1000);
	assert_true(at_time("{90 minutes ago}") == NOW - 5400000);
	assert_true(at_time("{2 hours ago}") == NOW - 7200000);
	assert_true(at_time("{2 weeks ago}") == NOW - INT64_C(14 * 86400000));
	assert_true(at_time("{1 year ago}") == NOW - INT64_C(365) * 86400000);
}

static void a_day_or_minute_means_its_end(void **state)
{
	setenv("TZ", "UTC", 1);
	tzset();
	assert_true(at_time("{2026-11-06}") == NOW + 43200000 - 1);
	assert_true(at_time("{2026-11-06 12:00}") == NOW + 60000 - 1);
	assert_true(at_time("{2026-11-06T12:00:00}") == NOW + 1000 - 1);
	assert_true(at_time("{2028-02-29}") > NOW);
	/* The local zone's, unless it says Z; a day of 25 hours is one too. */
	setenv("TZ", "CET-1CEST,M3.5.0,M10.5.0/3", 1);
	tzset();
	assert_true(at_time("{2026-11-06 13:00:00}") == NOW + 1000 - 1);
	assert_true(at_time("{2026-11-06 12:00:00Z}") == NOW + 1000 - 1);
	assert_true(at_time("{2026-10-25}") - at_time("{2026-10-24}") == 25 * 3600000);
	setenv("TZ", "UTC", 1);
	tzset();
}

static void nonsense_is_refused(void **state)
{
	static const char *const bad[] = {
		"{", "{}", "}", "{3", "{-1}", "{+1}", "{1000000000}", "{ 3}", "{3 }", "{2 hours}",
		"{two hours ago}", "{2  hours ago}", "{2 hourss ago}", "{99999999999 years ago}",
		"{1000000 years ago}", "{2026-13-01}", "{2026-02-30}", "{2026-00-10}", "{2026-01-00}", "{2026-1-1}",
		"{2026-11-01 24:00}", "{2026-11-01 12}", "{2026-11-01 12:60}", "{2026-11-01 12:00:60}",
		"{2026-11-01x}", "{2026-11-01ZZ}", "{tomorrow}", "a b", ".a", "-x", "a@b",
		"{99999999999999999999999999}",
	};
	char many[FOLDER_REF_MAX + 2];

	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		if (at(bad[i]))
			fail_msg("%s was taken", bad[i]);
	memset(many, '{', sizeof many);
	struct folder_at a;
	for (size_t n = 1; n < sizeof many; n++)
		assert_int_equal(folder_at_parse(&a, many, n, NOW), ERR_MALFORMED);
}

static void a_path_may_stand_behind(void **state)
{
	static const struct {
		const char *text, *name, *path;
		enum folder_at_kind kind;
	} good[] = {
		{ "photos", "photos", "", AT_HEAD },
		{ "photos/", "photos", "", AT_HEAD },
		{ "photos/a/b", "photos", "a/b", AT_HEAD },
		{ "photos@draft//a@b", "photos", "a@b", AT_WORD },
		{ "photos@{2026-11-01 12:30}/x", "photos", "x", AT_TIME },
		{ "photos@{2}", "photos", "", AT_BACK },
		{ "photos@/x", "photos", "x", AT_HEAD },
	};
	static const char *const bad[] = { "", "/photos", "@x", "a@{2}x", "a@{2", "a b/c", ".git/x", "a@x y",
					   "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx" };
	struct folder_ref r;

	for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
		assert_int_equal(folder_ref_parse(&r, good[i].text, NOW), 0);
		assert_string_equal(r.name, good[i].name);
		assert_string_equal(r.path, good[i].path);
		assert_int_equal(r.at.kind, good[i].kind);
	}
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		assert_int_equal(folder_ref_parse(&r, bad[i], NOW), ERR_MALFORMED);
}

static void short_ids_are_the_digest_in_hex(void **state)
{
	struct cid cid = { .version = 1, .codec = CODEC_DAG_CBOR };
	char text[SHORT_ID + 1];

	cid.hash = (struct multihash){ .code = HASH_SHA2_256, .size = 32, .digest = { 0x0a, 0xbc, 0xde, 0xf0, 0x12, 0x34 } };
	assert_string_equal(short_id(&cid, text), "0abcdef012");
	assert_true(short_id_matches(&cid, "0abc"));
	assert_true(short_id_matches(&cid, "0ABCDEF0123"));
	assert_false(short_id_matches(&cid, "0abd"));
	assert_false(short_id_matches(&cid, "xabc"));
	assert_true(short_id_ok("0aBc"));
	assert_false(short_id_ok("0ab"));
	assert_false(short_id_ok("draft"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_are_plain_words_and_no_cids),
		cmocka_unit_test(each_kind_of_reference_is_understood),
		cmocka_unit_test(a_day_or_minute_means_its_end),
		cmocka_unit_test(nonsense_is_refused),
		cmocka_unit_test(a_path_may_stand_behind),
		cmocka_unit_test(short_ids_are_the_digest_in_hex),
	};
	return cmocka_run_group_tests_name("folder_ref", tests, NULL, NULL);
}
