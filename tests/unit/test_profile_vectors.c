/*
 * The CIDs that Kubo publishes for each import profile (wire.md 11.5): the
 * builders must give them all.  Nothing is stored: a sink that forgets is enough.
 */
#include "store/build_dir.h"
#include "store/build_file.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

static int forget(struct block_sink *self, const struct multihash *name, const void *data,
		  size_t len)
{
	return 0;
}

/* The next `len` bytes of the key stream of a seed; `*at` a multiple of 64. */
static void stream(const char *seed, uint64_t *at, uint8_t *out, size_t len)
{
	static const uint8_t nonce[crypto_stream_chacha20_ietf_NONCEBYTES];
	uint8_t key[32];

	sha256(key, seed, strlen(seed));
	memset(out, 0, len);
	crypto_stream_chacha20_ietf_xor_ic(out, out, len, nonce, (uint32_t)(*at / 64), key);
	*at += len;
}

static void check(const struct built *b, const char *want)
{
	char text[CID_TEXT_MAX];

	assert_string_equal(cid_text(&b->cid, text), want);
}

/* A file of `size` bytes of a seed's stream; "hello world" without a seed. */
static void check_file(const char *profile, const char *seed, uint64_t size, const char *want)
{
	const struct profile *p = profile_find(profile);
	struct block_sink sink = { forget };
	struct build_file b;
	struct built leaf, root;
	uint64_t at = 0, done = 0;

	assert_non_null(p);
	uint8_t *room = malloc(LEAF_HEAD + p->chunker.max + LEAF_TAIL);
	assert_non_null(room);

	build_file_init(&b, p, &sink);
	while (done < size) {
		size_t n = size - done < p->chunker.max ? size - done : p->chunker.max;

		if (seed)
			stream(seed, &at, room + LEAF_HEAD, n);
		else
			memcpy(room + LEAF_HEAD, "hello world", n);
		assert_int_equal(build_leaf(p, &sink, room + LEAF_HEAD, n, &leaf), 0);
		assert_int_equal(build_file_add(&b, &leaf), 0);
		done += n;
	}
	assert_int_equal(build_file_finish(&b, &root), 0);
	assert_true(root.size == size);
	check(&root, want);
	build_file_release(&b);
	free(room);
}

/* `n` names of `len` characters, and one of `last` unless that is 0. */
static void check_dir(const char *profile, const char *seed, size_t n, size_t len,
		      size_t last, const char *want)
{
	static const char alphabet[] = "abcdefghijklmnopqrstuvwxyz01234567890-_";
	const struct profile *p = profile_find(profile);
	struct block_sink sink = { forget };
	size_t bytes = n * len + last, count = n + (last > 0);
	uint8_t room[LEAF_HEAD + 1 + LEAF_TAIL] = { [LEAF_HEAD] = 'x' }, cid[CID_SIZE_MAX];
	uint8_t *names = malloc(bytes);
	struct dir_link *links = calloc(count, sizeof *links);
	struct built leaf, root;
	uint64_t at = 0;

	assert_non_null(p);
	assert_non_null(names);
	assert_non_null(links);
	assert_int_equal(build_leaf(p, &sink, room + LEAF_HEAD, 1, &leaf), 0);
	size_t cid_len = cid_encode(&leaf.cid, cid);

	stream(seed, &at, names, bytes);
	for (size_t i = 0; i < bytes; i++)
		names[i] = alphabet[names[i] % 39];
	for (size_t i = 0; i < count; i++)
		links[i] = (struct dir_link){ .name = (char *)names + i * len,
					      .name_len = i < n ? len : last,
					      .cid = cid,
					      .cid_len = cid_len,
					      .tsize = leaf.tsize };
	assert_int_equal(build_dir(p, &sink, links, count, &root), 0);
	check(&root, want);
	free(links);
	free(names);
}

#define V0 "unixfs-v0-2015"
#define V1 "unixfs-v1-2025"

static void a_small_file(void **state)
{
	check_file(V0, NULL, 11, "Qmf412jQZiuVUtdgnB36FXFX7xg5V6KEbSJ4dpQuhkLyfD");
	check_file(V1, NULL, 11, "bafkreifzjut3te2nhyekklss27nh3k72ysco7y32koao5eei66wof36n5e");
}

static void a_file_of_one_chunk(void **state)
{
	check_file(V0, "chunk-v0-seed", 262144,
		   "QmWmRj3dFDZdb6ABvbmKhEL6TmPbAfBZ1t5BxsEyJrcZhE");
	check_file(V1, "chunk-v1-seed", 1048576,
		   "bafkreiacndfy443ter6qr2tmbbdhadvxxheowwf75s6zehscklu6ezxmta");
}

static void a_file_of_a_chunk_and_a_byte(void **state)
{
	check_file(V0, "chunk-v0-seed", 262145,
		   "QmYyLxtzZyW22zpoVAtKANLRHpDjZtNeDjQdJrcQNWoRkJ");
	check_file(V1, "chunk-v1-seed", 1048577,
		   "bafybeigmix7t42i6jacydtquhet7srwvgpizfg7gjbq7627d35mjomtu64");
}

static void a_file_that_fills_a_node(void **state)
{
	check_file(V0, "v0-seed", 174u * 262144,
		   "QmUbBALi174SnogsUzLpYbD4xPiBSFANF4iztWCsHbMKh2");
	check_file(V1, "v1-2025-seed", 1024u * 1048576,
		   "bafybeihmf37wcuvtx4hpu7he5zl5qaf2ineo2lqlfrapokkm5zzw7zyhvm");
}

static void a_file_that_fills_a_node_and_a_byte(void **state)
{
	check_file(V0, "v0-seed", 174u * 262144 + 1,
		   "QmV81WL765sC8DXsRhE5fJv2rwhS4icHRaf3J9Zk5FdRnW");
	check_file(V1, "v1-2025-seed", 1024u * 1048576 + 1,
		   "bafybeibdsi225ugbkmpbdohnxioyab6jsqrmkts3twhpvfnzp77xtzpyhe");
}

static void a_directory_at_the_limit(void **state)
{
	check_dir(V0, "hamt-unixfs-v0-2015", 4096, 30, 0,
		  "QmX5GtRk3TSSEHtdrykgqm4eqMEn3n2XhfkFAis5fjyZmN");
	check_dir(V1, "hamt-unixfs-v1-2025", 4765, 11, 21,
		  "bafybeic3h7rwruealwxkacabdy45jivq2crwz6bufb5ljwupn36gicplx4");
}

static void a_directory_over_the_limit(void **state)
{
	check_dir(V0, "hamt-unixfs-v0-2015", 4033, 31, 0,
		  "QmeMiJzmhpJAUgynAcxTQYek5PPKgdv3qEvFsdV3XpVnvP");
	check_dir(V1, "hamt-unixfs-v1-2025", 4765, 11, 22,
		  "bafybeiegvuterwurhdtkikfhbxcldohmxp566vpjdofhzmnhv6o4freidu");
}

static void profiles_have_names(void **state)
{
	assert_null(profile_find("unixfs-v2"));
	assert_string_equal(profiles[0]->name, V1); /* the default comes first */
	for (int i = 0; profiles[i]; i++)
		assert_ptr_equal(profile_find(profiles[i]->name), profiles[i]);
	assert_ptr_equal(profile_find("legacy-cid-v0"), profile_find(V0));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(profiles_have_names),
		cmocka_unit_test(a_small_file),
		cmocka_unit_test(a_file_of_one_chunk),
		cmocka_unit_test(a_file_of_a_chunk_and_a_byte),
		cmocka_unit_test(a_file_that_fills_a_node),
		cmocka_unit_test(a_file_that_fills_a_node_and_a_byte),
		cmocka_unit_test(a_directory_at_the_limit),
		cmocka_unit_test(a_directory_over_the_limit),
	};
	return cmocka_run_group_tests_name("profile_vectors", tests, NULL, NULL);
}
