/* Commits: their bytes, what is refused, signatures, clocks. */
#include "fs/commit.h"
#include "store/cbor.h"
#include "store/error.h"
#include "tests/unit/hex.h"

#include <stdlib.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

/* The key whose seed is 00 01 … 1f, */
static struct secret_key author(void)
{
	uint8_t data[4 + 64] = { 0x08, 0x01, 0x12, 0x40 };
	static const char public[] =
	    "03a107bff3ce10be1d70dd18e74bc09967e4d6309ba50d5f1ddc8664125531b8";
	struct secret_key k;

	for (unsigned i = 0; i < 32; i++)
		data[4 + i] = (uint8_t)i;
	unhex(public, data + 36);
	assert_int_equal(key_secret_decode(&k, data, sizeof data), 0);
	return k;
}

/* which is also the folder's. */
static struct peer_id folder(void)
{
	struct secret_key k = author();
	struct public_key p;
	struct peer_id id;

	key_public(&k, &p);
	key_peer(&p, &id);
	return id;
}

static struct commit example_commit(void)
{
	struct commit c = { .has_attrs = true,
			    .n_parents = 1,
			    .folder = folder(),
			    .time = { 1704067200, 123456789 },
			    .message = "a first version",
			    .message_len = 15,
			    .profile = "unixfs-v1-2025",
			    .profile_len = 14 };

	cid_of(&c.root, 1, CODEC_DAG_PB, "root", 4);
	cid_of(&c.attrs, 1, CODEC_DAG_CBOR, "attrs", 5);
	cid_of(&c.parents[0], 1, CODEC_DAG_CBOR, "parent", 6);
	return c;
}

/* The example of doc/formats.md. */
static const char example[] =
    "aa"							/* ten pairs */
    "64726f6f74" "d82a" "582500" "01701220"			/* "root" */
    "4813494d137e1631bba301d5acab6e7bb7aa74ce1185d456565ef51d737677b2"
    "6474696d65" "82" "1a65920080" "1a075bcd15"			/* "time" */
    "656174747273" "d82a" "582500" "01711220"			/* "attrs" */
    "118ec0153d297ea017326655839ddffd10d2a83e7dbd18b5f07edd4c77c0b622"
    "66617574686f72" "5820"					/* "author" */
    "03a107bff3ce10be1d70dd18e74bc09967e4d6309ba50d5f1ddc8664125531b8"
    "66666f6c646572" "5826" "002408011220"			/* "folder" */
    "03a107bff3ce10be1d70dd18e74bc09967e4d6309ba50d5f1ddc8664125531b8"
    "676d657373616765" "6f" "612066697273742076657273696f6e"	/* "message" */
    "67706172656e7473" "81" "d82a" "582500" "01711220"		/* "parents" */
    "e47125968b3b71049fbc4802d1e40a71ea1359decfabacf70b34588037d4ff0c"
    "6770726f66696c65" "6e" "756e697866732d76312d32303235"	/* "profile" */
    "6776657273696f6e" "01"					/* "version" */
    "697369676e6174757265" "5840"				/* "signature" */
    "80e0c0cade00e6f8ed0e93ee65ee79ad246cb3e9ead19dd7b44bbf526c1f6be1"
    "bcbbc22f83e84f1c52b5ca90e8034f8bc4bfd79dc8e9155a3b56980062fed902";

static void sign(struct commit *c, struct buf *out)
{
	struct secret_key k = author();

	buf_clear(out);
	assert_int_equal(commit_sign(c, &k, out), 0);
}

static void the_example_is_what_is_written(void **state)
{
	uint8_t want[1024];
	size_t n = unhex(example, want);
	struct commit c = example_commit(), back;
	struct peer_id f = folder();
	struct buf out = { 0 };
	char text[CID_TEXT_MAX];
	struct cid cid;

	sign(&c, &out);
	assert_int_equal(out.len, n);
	assert_memory_equal(out.data, want, n);
	commit_cid(out.data, out.len, &cid);
	assert_string_equal(cid_text(&cid, text),
			    "bafyreigzg5zlv45yww7b6la4kxgy47evl5aonlam2yaoj2ngifng5lbwqq");

	assert_int_equal(commit_decode(&back, want, n), 0);
	assert_int_equal(commit_verify(&back, &f), 0);
	assert_true(cid_equal(&back.root, &c.root) && cid_equal(&back.attrs, &c.attrs));
	assert_int_equal(back.n_parents, 1);
	assert_true(cid_equal(&back.parents[0], &c.parents[0]));
	assert_int_equal(commit_time_compare(back.time, c.time), 0);
	assert_int_equal(back.message_len, 15);
	assert_memory_equal(back.message, "a first version", 15);
	assert_memory_equal(back.profile, "unixfs-v1-2025", back.profile_len);
	assert_true(peer_equal(&back.folder, &f));
	buf_release(&out);
}

static void every_cut_is_refused_and_every_change_noticed(void **state)
{
	uint8_t data[1024];
	size_t n = unhex(example, data);
	struct peer_id f = folder();
	struct commit c;

	for (size_t i = 0; i < n; i++) {
		uint8_t *part = malloc(i ? i : 1);

		memcpy(part, data, i);
		assert_int_equal(commit_decode(&c, part, i), ERR_MALFORMED);
		free(part);
	}
	for (size_t i = 0; i < n; i++)
		for (unsigned bit = 0; bit < 8; bit++) {
			data[i] ^= (uint8_t)(1u << bit);
			if (commit_decode(&c, data, n) == 0)
				assert_true(commit_verify(&c, &f) < 0);
			data[i] ^= (uint8_t)(1u << bit);
		}
	data[n] = 0xf6;
	assert_int_equal(commit_decode(&c, data, n + 1), ERR_MALFORMED);
}

static void a_commit_is_of_one_folder_and_one_author(void **state)
{
	struct secret_key stranger;
	struct peer_id f = folder(), other = f;
	struct commit c = example_commit(), back;
	struct public_key key;
	struct buf out = { 0 };

	other.bytes[20] ^= 1;
	sign(&c, &out);
	assert_int_equal(commit_decode(&back, out.data, out.len), 0);
	assert_int_equal(commit_verify(&back, &other), ERR_MALFORMED);

	/* A stranger's says so, and taking another's name does not hold. */
	key_generate(&stranger);
	key_public(&stranger, &key);
	buf_clear(&out);
	assert_int_equal(commit_sign(&c, &stranger, &out), 0);
	assert_int_equal(commit_decode(&back, out.data, out.len), 0);
	assert_int_equal(commit_verify(&back, &f), 0);
	assert_memory_equal(back.author, key.data, 32);
	sign(&c, &out);
	memcpy(back.author, c.author, 32);
	assert_int_equal(commit_verify(&back, &f), ERR_CORRUPT);
	buf_release(&out);
}

static void what_is_no_commit_is_not_signed(void **state)
{
	static char message[COMMIT_MESSAGE_MAX + 1];
	struct secret_key k = author();
	struct commit good = example_commit(), c;
	struct buf out = { 0 };

	memset(message, 'm', sizeof message);
	c = good, c.message = message, c.message_len = COMMIT_MESSAGE_MAX;
	sign(&c, &out);
	assert_true(out.len <= COMMIT_MAX);
	assert_int_equal(commit_decode(&c, out.data, out.len), 0);
	buf_clear(&out);

	c = good, c.message = message, c.message_len = COMMIT_MESSAGE_MAX + 1;
	assert_int_equal(commit_sign(&c, &k, &out), -E2BIG);
	c = good, c.n_parents = COMMIT_PARENTS_MAX + 1;
	assert_int_equal(commit_sign(&c, &k, &out), -E2BIG);
	c = good, c.n_parents = 2, c.parents[1] = c.parents[0];
	assert_int_equal(commit_sign(&c, &k, &out), -EINVAL);
	c = good, c.parents[0] = c.root;
	assert_int_equal(commit_sign(&c, &k, &out), -EINVAL);
	c = good, c.root = c.attrs;
	assert_int_equal(commit_sign(&c, &k, &out), -EINVAL);
	c = good, c.attrs = c.root;
	assert_int_equal(commit_sign(&c, &k, &out), -EINVAL);
	c = good, c.folder.len = 0;
	assert_int_equal(commit_sign(&c, &k, &out), -EINVAL);
	c = good, c.time.nsec = 1000000000;
	assert_int_equal(commit_sign(&c, &k, &out), -EINVAL);
	c = good, c.profile_len = 0;
	assert_int_equal(commit_sign(&c, &k, &out), -EINVAL);
	static const char *const text[] = { "a\0b", "\xc0\x80", "\xed\xa0\x80", "\xf4\x90\x80\x80",
					    "\x80", "abc\xe2\x82" };
	static const size_t lengths[] = { 3, 2, 3, 4, 1, 5 };
	for (size_t i = 0; i < 6; i++) {
		c = good, c.message = text[i], c.message_len = lengths[i];
		assert_int_equal(commit_sign(&c, &k, &out), -EINVAL);
	}
	assert_int_equal(out.len, 0);
	c = good, c.message = "\xc3\xa9 \xe2\x82\xac \xf0\x9f\x90\x9f\n", c.message_len = 12;
	sign(&c, &out);
	/* The first commit of a folder, without attributes. */
	c = good, c.n_parents = 0, c.has_attrs = false, c.message_len = 0;
	sign(&c, &out);
	assert_int_equal(commit_decode(&c, out.data, out.len), 0);
	assert_false(c.has_attrs);
	buf_release(&out);
}

/* A map with one value exchanged for other bytes: the head of it, what is to be
 * there, and what stands there instead. */
static int with(const char *key, size_t skip, size_t cut, const char *hex)
{
	uint8_t data[1024], other[256];
	size_t n = unhex(example, data), len = unhex(hex, other);
	char head[16] = { (char)(0x60 + strlen(key)) };
	uint8_t *at = memmem(data, n, strcat(head, key), 1 + strlen(key));
	struct commit c;

	assert_non_null(at);
	at += 1 + strlen(key) + skip;
	memmove(at + len, at + cut, (size_t)(data + n - at) - cut);
	memcpy(at, other, len);
	return commit_decode(&c, data, n + len - cut);
}

static void other_forms_are_refused(void **state)
{
	assert_int_equal(with("version", 0, 1, "01"), 0); /* the same again */
	assert_int_equal(with("version", 0, 1, "00"), ERR_MALFORMED);
	assert_int_equal(with("version", 0, 1, "02"), ERR_NEWER);
	assert_int_equal(with("version", 0, 1, "1801"), ERR_MALFORMED);
	assert_int_equal(with("version", 0, 1, "6131"), ERR_MALFORMED);
	assert_int_equal(with("time", 0, 1, "81"), ERR_MALFORMED);
	assert_int_equal(with("time", 1, 5, "3bffffffffffffffff"), ERR_MALFORMED);
	assert_int_equal(with("time", 1, 5, "3b7fffffffffffffff"), 0); /* long ago */
	assert_int_equal(with("time", 6, 5, "1a3b9aca00"), ERR_MALFORMED);
	assert_int_equal(with("author", 0, 2, "581f"), ERR_MALFORMED);
	assert_int_equal(with("message", 0, 16, "60"), 0);
	assert_int_equal(with("message", 0, 16, "40"), ERR_MALFORMED);
	assert_int_equal(with("message", 0, 16, "6100"), ERR_MALFORMED);
	assert_int_equal(with("profile", 0, 15, "60"), ERR_MALFORMED);
	assert_int_equal(with("parents", 0, 1, "9821"), -E2BIG); /* before they are looked at */
	assert_int_equal(with("parents", 0, 1, "80"), ERR_MALFORMED);
	assert_int_equal(with("parents", 5 + 1, 1, "70"), ERR_MALFORMED); /* no dag-cbor */
	assert_int_equal(with("root", 5 + 1, 1, "71"), ERR_MALFORMED);
	/* A field that nobody knows in the place of one that may be left out. */
	assert_int_equal(with("attrs", -5ul, 5, "6174747271"), ERR_MALFORMED);
	assert_int_equal(with("folder", 0, 2, "5825"), ERR_MALFORMED);
}

static void times_ahead_count_as_now(void **state)
{
	const struct commit_time now = { 1000, 5 }, past = { 999, 7 }, far = { INT64_MAX, 0 },
				 same = { 1000, 5 }, edge = { 1000, 999999999 };
	struct commit_time t;

	assert_int_equal(commit_time_compare(commit_time_clamp(past, now), past), 0);
	assert_int_equal(commit_time_compare(commit_time_clamp(far, now), now), 0);
	assert_int_equal(commit_time_compare(commit_time_next(now, past), now), 0);
	t = commit_time_next(now, same);
	assert_int_equal(commit_time_compare(t, (struct commit_time){ 1000, 6 }), 0);
	/* A parent ten years ahead does not carry its children with it. */
	t = commit_time_next(now, far);
	assert_int_equal(commit_time_compare(t, (struct commit_time){ 1000, 6 }), 0);
	t = commit_time_next(edge, edge);
	assert_int_equal(commit_time_compare(t, (struct commit_time){ 1001, 0 }), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_example_is_what_is_written),
		cmocka_unit_test(every_cut_is_refused_and_every_change_noticed),
		cmocka_unit_test(a_commit_is_of_one_folder_and_one_author),
		cmocka_unit_test(what_is_no_commit_is_not_signed),
		cmocka_unit_test(other_forms_are_refused),
		cmocka_unit_test(times_ahead_count_as_now),
	};
	return cmocka_run_group_tests_name("commit", tests, NULL, NULL);
}
