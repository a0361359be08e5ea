/*
 * The published vectors of IPLD and multiformats against our decoders.  They are
 * not kept here: $CAIRN_CONFORMANCE names a directory with plain checkouts of
 * ipld/codec-fixtures, multiformats/multihash and multiformats/multibase, each
 * under its own name (tests/fixtures/README).  Without it these are skipped.
 */
#include "store/block.h"
#include "store/cbor.h"
#include "store/dag.h"
#include "store/dagpb.h"
#include "store/error.h"
#include "store/multibase.h"
#include "tests/scratch.h"
#include "tests/unit/hex.h"

#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#define PATH_ROOM 4096

/* The path of `below` in the material; the test is skipped if there is none. */
static void material(char out[PATH_ROOM], const char *below)
{
	const char *dir = getenv("CAIRN_CONFORMANCE");

	if (!dir || !*dir)
		skip();
	assert_true(snprintf(out, PATH_ROOM, "%s/%s", dir, below) < PATH_ROOM);
	assert_int_equal(access(out, R_OK), 0);
}

/* A whole file, a NUL behind it. */
static char *slurp(const char *path, size_t *len)
{
	FILE *f = fopen(path, "r");
	struct stat st;

	assert_non_null(f);
	assert_int_equal(fstat(fileno(f), &st), 0);
	*len = (size_t)st.st_size;

	char *data = malloc(*len + 1);
	assert_non_null(data);
	assert_int_equal(fread(data, 1, *len, f), *len);
	data[*len] = '\0';
	fclose(f);
	return data;
}

static bool ends_in(const char *name, const char *end)
{
	size_t n = strlen(name), m = strlen(end);
	return n >= m && strcmp(name + n - m, end) == 0;
}

/* The links dag_links found, each looked up in the same value as dag-json. */
struct found {
	const char *json;
	size_t n;
};

static int found_one(void *arg, const struct cid *child)
{
	struct found *f = arg;
	char text[CID_TEXT_MAX], quoted[CID_TEXT_MAX + 8];

	/* dag-json keeps the CID of a link in the text form that is ours too. */
	snprintf(quoted, sizeof quoted, "{\"/\":\"%s\"}", cid_text(child, text));
	assert_non_null(strstr(f->json, quoted));
	f->n++;
	return 0;
}

static size_t links_in_json(const char *json)
{
	size_t n = 0;

	/* In a text a quote has a backslash, and bytes are {"/":{"bytes":… */
	for (; (json = strstr(json, "{\"/\":\"")); json++)
		n++;
	return n;
}

/*
 * Write the node again.  We always write a name and a Tsize (CIDs of UnixFS
 * depend on it), so a link that has neither cannot come back as it was, and
 * such a node is only read: false.
 */
static bool same_again(const char *data, size_t len)
{
	struct dagpb_node node;
	struct dagpb_link l;
	struct buf out = { 0 };
	struct cid c;
	bool full = true;

	assert_int_equal(dagpb_decode(&node, data, len), 0);
	struct cursor links = node.links;
	for (size_t i = 0; i < node.n_links; i++) {
		const uint8_t *start = links.p;
		assert_int_equal(dagpb_next(&links, &l), 1);
		assert_int_equal(dagpb_link_cid(&l, &c), 0);
		full = full && (size_t)(links.p - start) ==
				       dagpb_link_size(l.hash_len, l.name_len, l.tsize);
		dagpb_put_link(&out, &c, l.name, l.name_len, l.tsize);
	}
	assert_int_equal(dagpb_next(&links, &l), 0);
	if (node.has_data)
		dagpb_put_data(&out, node.data, node.data_len);
	assert_false(out.failed);
	if (full) {
		assert_int_equal(out.len, len);
		if (len)
			assert_memory_equal(out.data, data, len);
	} else {
		assert_true(out.len > len);
	}
	buf_release(&out);
	return full;
}

struct tally {
	size_t cbor, pb, written;
};

static void one_block(const char *path, const char *name, const char *json, struct tally *t)
{
	size_t len;
	char *data = slurp(path, &len);
	struct found f = { .json = json };
	struct block *b;
	struct cid c;

	assert_int_equal(cid_parse(&c, name, strcspn(name, ".")), 0);
	assert_int_equal(c.codec, ends_in(name, ".dag-pb") ? CODEC_DAG_PB : CODEC_DAG_CBOR);
	assert_int_equal(block_verify(&b, &c.hash, data, len), 0);
	int r = dag_links(&c, b, found_one, &f);
	if (r != 0)
		print_error("%s\n", path);
	assert_int_equal(r, 0);
	if (c.codec == CODEC_DAG_PB) {
		t->pb++;
		t->written += same_again(data, len);
	} else {
		t->cbor++;
	}
	assert_int_equal(f.n, links_in_json(json));
	block_unref(b);
	free(data);
}

static void one_case(const char *dir, struct tally *t)
{
	char path[3 * PATH_ROOM], *json = NULL;
	struct dirent **names;
	int n = scandir(dir, &names, NULL, alphasort);
	size_t len;

	assert_true(n > 2);
	for (int i = 0; i < n; i++)
		if (ends_in(names[i]->d_name, ".dag-json")) {
			assert_null(json);
			snprintf(path, sizeof path, "%s/%s", dir, names[i]->d_name);
			json = slurp(path, &len);
		}
	assert_non_null(json);
	for (int i = 0; i < n; i++) {
		const char *name = names[i]->d_name;
		snprintf(path, sizeof path, "%s/%s", dir, name);
		if (ends_in(name, ".dag-pb") || ends_in(name, ".dag-cbor"))
			one_block(path, name, json, t);
		free(names[i]);
	}
	free(names);
	free(json);
}

static void every_codec_fixture_is_read_and_has_its_links(void **state)
{
	char dir[PATH_ROOM], path[2 * PATH_ROOM];
	struct tally t = { 0 };
	struct dirent **names;

	material(dir, "codec-fixtures/fixtures");
	int n = scandir(dir, &names, NULL, alphasort);
	assert_true(n > 0);
	for (int i = 0; i < n; i++) {
		snprintf(path, sizeof path, "%s/%s", dir, names[i]->d_name);
		if (names[i]->d_name[0] != '.')
			one_case(path, &t);
		free(names[i]);
	}
	free(names);
	print_message("# %zu dag-cbor, %zu dag-pb, of these %zu written again\n", t.cbor, t.pb,
		      t.written);
	/* What the collection had when this was written; it only grows. */
	assert_true(t.cbor >= 128);
	assert_true(t.pb >= 17);
	assert_true(t.written >= 5);
}

/* Each "hex" in a file of cases that no decoder may take; how many. */
static size_t refused(const char *below, uint32_t codec)
{
	static const char mark[] = "\"hex\": \"";
	char path[PATH_ROOM];
	uint8_t bytes[1024];
	struct found f = { 0 };
	size_t len, n = 0;

	material(path, below);
	char *json = slurp(path, &len);
	for (char *p = json; (p = strstr(p, mark)); n++) {
		struct cid c;
		struct block *b;
		p += sizeof mark - 1;
		size_t digits = strcspn(p, "\"");
		assert_true(digits < 2 * sizeof bytes);
		p[digits] = '\0';
		size_t size = unhex(p, bytes);
		assert_int_equal(size, digits / 2);
		p += digits + 1;
		cid_of(&c, 1, codec, bytes, size);
		assert_int_equal(block_make(&b, bytes, size), 0);
		f.json = "{\"/\":\"QmcDTquYLTXirGj7cTiuVBXKQyjfnhVGBLUQDLYhvBLT6n\"}";
		/* Links before the fault may be given. */
		struct dagpb_node node;
		struct dagpb_link l;
		int r = 0;
		if (codec == CODEC_DAG_CBOR) {
			r = dag_links(&c, b, found_one, &f);
		} else if ((r = dagpb_decode(&node, bytes, size)) == 0) {
			while ((r = dagpb_next(&node.links, &l)) > 0) {
				struct cid child;
				if ((r = dagpb_link_cid(&l, &child)) < 0)
					break;
			}
		}
		assert_int_equal(r, ERR_MALFORMED);
		block_unref(b);
	}
	free(json);
	return n;
}

static void every_negative_fixture_is_refused(void **state)
{
	const char *below = "codec-fixtures/negative-fixtures/";
	char path[PATH_ROOM];

	snprintf(path, sizeof path, "%sdag-cbor/decode/duplicate-keys.json", below);
	assert_true(refused(path, CODEC_DAG_CBOR) >= 1);
	snprintf(path, sizeof path, "%sdag-pb/decode/edges.json", below);
	assert_true(refused(path, CODEC_DAG_PB) >= 9);
}

static void every_multihash_row_is_computed(void **state)
{
	char path[PATH_ROOM], *save, *text;
	size_t len, computed = 0, weak = 0;

	material(path, "multihash/tests/values/test_cases.csv");
	text = slurp(path, &len);
	strtok_r(text, "\n", &save); /* the names of the columns */
	for (char *line; (line = strtok_r(NULL, "\r\n", &save));) {
		char input[1024], want[512];
		uint8_t bytes[256], ours[MULTIHASH_SIZE_MAX];
		struct multihash m, got;

		assert_int_equal(sscanf(line, "%*[^,],%*[^,],%1023[^,],%511s", input, want), 2);
		size_t n_want = unhex(want, bytes);
		assert_int_equal(multihash_decode(&m, bytes, n_want), 0);
		assert_int_equal(multihash_encode(&m, ours), n_want);
		assert_memory_equal(ours, bytes, n_want);
		/* The input is that text, though it looks like hex. */
		int r = multihash_of(&got, m.code, m.size, input, strlen(input));
		if (m.size < 20) { /* too short to trust, as boxo has it */
			assert_true(r < 0);
			weak++;
			continue;
		}
		assert_int_equal(r, 0);
		assert_true(multihash_equal(&got, &m));
		computed++;
	}
	free(text);
	print_message("# %zu computed, %zu too short to be taken\n", computed, weak);
	assert_true(computed >= 180);
}

/* A row's base is one of those we read. */
static bool ours(char prefix)
{
	return strchr("bBkKzfFmMuU", prefix) != NULL;
}

static void one_multibase_file(const char *below, const char *value, size_t n_value,
			       bool canonical)
{
	char path[PATH_ROOM], *save, *text;
	size_t len, read = 0;

	material(path, below);
	text = slurp(path, &len);
	strtok_r(text, "\n", &save);
	for (char *line; (line = strtok_r(NULL, "\r\n", &save));) {
		uint8_t bytes[128];
		char form[256], again[256];

		if (sscanf(line, "%*[^,], \"%255[^\"]\"", form) != 1)
			continue;
		int r = multibase_decode(bytes, sizeof bytes, form, strlen(form));
		/* base10 begins with a 9, base58flickr with a Z: not bases of ours */
		if (!ours(form[0])) {
			assert_int_equal(r, -ENOTSUP);
			continue;
		}
		assert_int_equal(r, n_value);
		assert_memory_equal(bytes, value, n_value);
		read++;
		r = multibase_encode(again, sizeof again, form[0], value, n_value);
		if (r == -ENOTSUP)
			assert_true(strchr("MU", form[0]) != NULL);
		else if (canonical)
			assert_string_equal(again, form);
	}
	free(text);
	assert_true(read >= (canonical ? 11 : 6));
}

static void every_multibase_row_of_our_bases_is_read_and_written(void **state)
{
	one_multibase_file("multibase/tests/basic.csv", "yes mani !", 10, true);
	one_multibase_file("multibase/tests/leading_zero.csv", "\0yes mani !", 11, true);
	one_multibase_file("multibase/tests/two_leading_zeros.csv", "\0\0yes mani !", 12, true);
	one_multibase_file("multibase/tests/case_insensitivity.csv", "hello world", 11, false);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_codec_fixture_is_read_and_has_its_links),
		cmocka_unit_test(every_negative_fixture_is_refused),
		cmocka_unit_test(every_multihash_row_is_computed),
		cmocka_unit_test(every_multibase_row_of_our_bases_is_read_and_written),
	};

	return cmocka_run_group_tests_name("conformance", tests, NULL, NULL);
}
