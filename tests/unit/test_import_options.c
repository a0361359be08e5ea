/*
 * Importing with options that change CIDs, against Kubo's; and what of a tree is
 * taken, read, and remembered.
 */
#include "store/dag.h"
#include "store/error.h"
#include "store/import_pipe.h"
#include "unit/contents.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <lmdb.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

struct fixture {
	char dir[64], path[128];
	int fd; /* of dir/tree, where tests make their files */
	struct store *store;
	struct profile profile;
	struct import_options options;
	struct import_result result;
};

static int set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof *f);
	char path[128];

	assert_non_null(f);
	snprintf(f->dir, sizeof f->dir, "/tmp/cairn-options-XXXXXX");
	assert_non_null(mkdtemp(f->dir));
	snprintf(path, sizeof path, "%s/store", f->dir);
	assert_int_equal(mkdir(path, 0700), 0);
	assert_int_equal(store_open(&f->store, path, STORE_WRITE | STORE_CREATE,
				    &(struct store_config){ 0 }),
			 0);
	snprintf(path, sizeof path, "%s/seen", f->dir);
	assert_int_equal(mkdir(path, 0700), 0);
	snprintf(f->path, sizeof f->path, "%s/tree", f->dir);
	assert_int_equal(mkdir(f->path, 0755), 0);
	f->fd = open(f->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(f->fd >= 0);
	f->profile = *profile_find("unixfs-v1-2025");
	f->options.profile = &f->profile;
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;
	char command[128];

	close(f->fd);
	store_close(f->store);
	snprintf(command, sizeof command, "rm -rf %s", f->dir);
	assert_int_equal(system(command), 0);
	free(f);
	return 0;
}

static void make_file(int at, const char *name, const void *data, size_t len)
{
	int fd = openat(at, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, data, len), len);
	close(fd);
}

static int import(struct fixture *f, const char *below)
{
	char path[256];

	snprintf(path, sizeof path, "%s%s", f->path, below);
	return import_path(f->store, path, &f->options, &f->result);
}

static void assert_root(const struct fixture *f, const char *want)
{
	char text[CID_TEXT_MAX];

	assert_string_equal(cid_text(&f->result.root, text), want);
}

static void set_chunker(struct fixture *f, const char *text)
{
	const char *why;

	assert_int_equal(chunker_parse(&f->profile.chunker, text, &why), 0);
}

/* Computed by boxo's balanced builder (0.42): root and cumulative size. */
static const struct vector {
	const char *chunker;
	int cid_version;
	bool raw_leaves;
	uint32_t max_links;
	const char *hash;
	struct unixfs_meta meta;
	enum content content;
	const char *cid;
	uint64_t tsize;
} vectors[] = {
	{ "size-262144", 0, false, 174, NULL, { false, false, 00, 0, 0 }, EMPTY,
	  "QmbFMke1KXqnYyBBWxB74N4c5SBnJMVAiMNRcGu6x1AwQH", 6 },
	{ "size-262144", 0, false, 174, NULL, { false, false, 00, 0, 0 }, RANDOM_200K,
	  "Qmc7c3Si76XndvLzH9rghZif5Z41MBv61XJnYWkHiZoHer", 200014 },
	{ "size-262144", 0, false, 174, NULL, { false, false, 00, 0, 0 }, RANDOM_1M,
	  "QmbWM2UgFP2V39o95ACLSFApn24zNgmjDfvtsimEnrjQ9x", 1048832 },
	{ "size-262144", 0, false, 174, NULL, { false, false, 00, 0, 0 }, RANDOM_3M,
	  "QmVr327CEAPBhXeAzSMetb18jwm7UzQ6WEW4KjiWWrNeWv", 3000753 },
	{ "size-262144", 0, false, 174, NULL, { false, false, 00, 0, 0 }, ZEROS_2M,
	  "QmSiSZQpZwF7k7jGxNc2A9eYCqJWRsbE2d2kU9L56NUfFu", 2000504 },
	{ "size-262144", 0, false, 174, NULL, { false, false, 00, 0, 0 }, TEXT_1M,
	  "QmdtnzTMKaYo5Pj7ybTho6x2QU9WgmN3vSs7kdEJrXyuTy", 1056313 },
	{ "size-262144", 1, true, 174, NULL, { false, false, 00, 0, 0 }, EMPTY,
	  "bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku", 0 },
	{ "size-262144", 1, true, 174, NULL, { false, false, 00, 0, 0 }, RANDOM_200K,
	  "bafkreid3buoqtfi4shn4nidk6eo7wjnx5zjxgvmn72well7xwazpejy7ka", 200000 },
	{ "size-262144", 1, true, 174, NULL, { false, false, 00, 0, 0 }, RANDOM_1M,
	  "bafybeic7ypiaoljmkric42p3ouhj3vcqabenbv3gnsn3xfgohewb7sanvm", 1048784 },
	{ "size-262144", 1, true, 174, NULL, { false, false, 00, 0, 0 }, RANDOM_3M,
	  "bafybeidkznzskxitqvr6sfteivy3a5g4hlu45lkxudta4slawnc7s5ztbm", 3000609 },
	{ "size-262144", 1, true, 174, NULL, { false, false, 00, 0, 0 }, ZEROS_2M,
	  "bafybeid6rnm63rx6arqzdtqwozgtexxxrperzo5l52eoeuwwfzn76tgbkq", 2000408 },
	{ "size-262144", 1, true, 174, NULL, { false, false, 00, 0, 0 }, TEXT_1M,
	  "bafybeid62vogeyivnb7imt35xrtkpyeepbgvnia2kmhe4oth2zz7qrthce", 1056256 },
	{ "size-262144", 1, true, 1024, NULL, { false, false, 00, 0, 0 }, EMPTY,
	  "bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku", 0 },
	{ "size-262144", 1, true, 1024, NULL, { false, false, 00, 0, 0 }, RANDOM_200K,
	  "bafkreid3buoqtfi4shn4nidk6eo7wjnx5zjxgvmn72well7xwazpejy7ka", 200000 },
	{ "size-262144", 1, true, 1024, NULL, { false, false, 00, 0, 0 }, RANDOM_1M,
	  "bafybeic7ypiaoljmkric42p3ouhj3vcqabenbv3gnsn3xfgohewb7sanvm", 1048784 },
	{ "size-262144", 1, true, 1024, NULL, { false, false, 00, 0, 0 }, RANDOM_3M,
	  "bafybeidkznzskxitqvr6sfteivy3a5g4hlu45lkxudta4slawnc7s5ztbm", 3000609 },
	{ "size-262144", 1, true, 1024, NULL, { false, false, 00, 0, 0 }, ZEROS_2M,
	  "bafybeid6rnm63rx6arqzdtqwozgtexxxrperzo5l52eoeuwwfzn76tgbkq", 2000408 },
	{ "size-262144", 1, true, 1024, NULL, { false, false, 00, 0, 0 }, TEXT_1M,
	  "bafybeid62vogeyivnb7imt35xrtkpyeepbgvnia2kmhe4oth2zz7qrthce", 1056256 },
	{ "size-1000", 0, false, 174, NULL, { false, false, 00, 0, 0 }, EMPTY,
	  "QmbFMke1KXqnYyBBWxB74N4c5SBnJMVAiMNRcGu6x1AwQH", 6 },
	{ "size-1000", 0, false, 174, NULL, { false, false, 00, 0, 0 }, RANDOM_200K,
	  "QmSv9g5RN2YrHjDU84fTWGqradzWn3hK7yU5fiBzdXN3oZ", 211521 },
	{ "size-1000", 0, false, 174, NULL, { false, false, 00, 0, 0 }, RANDOM_1M,
	  "QmYBbnzdLWU9VHia5pEE82Pdw7U5WuzqovJ9p6sqiwQcmb", 1108772 },
	{ "size-1000", 0, false, 174, NULL, { false, false, 00, 0, 0 }, RANDOM_3M,
	  "QmSyUVv4FAgGVXvFG8A3bZE6Er24fPbq3GNY9mLQV71jUW", 3172035 },
	{ "size-1000", 0, false, 174, NULL, { false, false, 00, 0, 0 }, ZEROS_2M,
	  "QmVVnRb2n2wPDQLCkZQfMmk5RCdEB7xzmBZSaSUYCnu6wB", 2114692 },
	{ "size-1000", 0, false, 174, NULL, { false, false, 00, 0, 0 }, TEXT_1M,
	  "QmXTGB1u4YHFvQ6fQDJ7ZAs9aopGKz75W7YXkgq847wvN1", 1116595 },
	{ "size-1000", 1, true, 174, NULL, { false, false, 00, 0, 0 }, EMPTY,
	  "bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku", 0 },
	{ "size-1000", 1, true, 174, NULL, { false, false, 00, 0, 0 }, RANDOM_200K,
	  "bafybeighgv55nwkqapes4l6757ksr53l2ooutwlj2fbcgt35ebwb2vqv7y", 209725 },
	{ "size-1000", 1, true, 174, NULL, { false, false, 00, 0, 0 }, RANDOM_1M,
	  "bafybeibtkkduz4zyeraglodoy5luhky7mlhdlcul2uamlisg3iwfpbusta", 1099345 },
	{ "size-1000", 1, true, 174, NULL, { false, false, 00, 0, 0 }, RANDOM_3M,
	  "bafybeifnpwfek4zso2rc6kxgkpsrjwvw4eb4xqaj3ka3bxthsqr3ryg35m", 3145071 },
	{ "size-1000", 1, true, 174, NULL, { false, false, 00, 0, 0 }, ZEROS_2M,
	  "bafybeifcssuf7vw523fsxsk63mzvyyqomoj7ien4sptv6u4tideue4hi6a", 2096716 },
	{ "size-1000", 1, true, 174, NULL, { false, false, 00, 0, 0 }, TEXT_1M,
	  "bafybeiaffg2wu4thz75nypdjlzh2im23rgioc4qxr2heogmqn5nhnvvtfi", 1107105 },
	{ "size-1000", 1, true, 1024, NULL, { false, false, 00, 0, 0 }, EMPTY,
	  "bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku", 0 },
	{ "size-1000", 1, true, 1024, NULL, { false, false, 00, 0, 0 }, RANDOM_200K,
	  "bafybeibdpdntm5x6icopxfci7ajeywqs6ldw6rbkfwiygpfk7gka4rydp4", 209609 },
	{ "size-1000", 1, true, 1024, NULL, { false, false, 00, 0, 0 }, RANDOM_1M,
	  "bafybeifbphr6kzqb7dfoecbprhbnwszrniqo2xyia5gor4n4k6puqaxqy4", 1099053 },
	{ "size-1000", 1, true, 1024, NULL, { false, false, 00, 0, 0 }, RANDOM_3M,
	  "bafybeifrmnlsdoz3jootqieu66ev7qnjlaij6qixmzvwz3o6goq2a4a5ia", 3144186 },
	{ "size-1000", 1, true, 1024, NULL, { false, false, 00, 0, 0 }, ZEROS_2M,
	  "bafybeibf6kn6crat7ju5rvlpjou5xijj2ni23nyvxyd3rqou24ah6nigi4", 2096126 },
	{ "size-1000", 1, true, 1024, NULL, { false, false, 00, 0, 0 }, TEXT_1M,
	  "bafybeifcajt4emtaqjezqz4h33yaizr7ut4i7trdv6i4duboo3xy6krhxy", 1106813 },
	{ "rabin", 0, false, 174, NULL, { false, false, 00, 0, 0 }, EMPTY,
	  "QmbFMke1KXqnYyBBWxB74N4c5SBnJMVAiMNRcGu6x1AwQH", 6 },
	{ "rabin", 0, false, 174, NULL, { false, false, 00, 0, 0 }, RANDOM_200K,
	  "Qmc7c3Si76XndvLzH9rghZif5Z41MBv61XJnYWkHiZoHer", 200014 },
	{ "rabin", 0, false, 174, NULL, { false, false, 00, 0, 0 }, RANDOM_1M,
	  "QmQQDZf952RxLvatDe3PwKV4p6B1TbRMyyLHojRFH4wqHw", 1048832 },
	{ "rabin", 0, false, 174, NULL, { false, false, 00, 0, 0 }, RANDOM_3M,
	  "QmWYCawibpwNo43Ke7BCQLWUYynfYimnXCVzurtzAzR9Tf", 3000753 },
	{ "rabin", 0, false, 174, NULL, { false, false, 00, 0, 0 }, ZEROS_2M,
	  "QmS2r3qFbjZd7uDLDimoW3PNZGF2KgQBfaZDpB2odCbiAn", 2001434 },
	{ "rabin", 0, false, 174, NULL, { false, false, 00, 0, 0 }, TEXT_1M,
	  "QmVhKsFqF1GaAK26ALJBB1K5qYwGuHbni9k1SQ8aodf8bW", 1056194 },
	{ "rabin", 1, true, 174, NULL, { false, false, 00, 0, 0 }, EMPTY,
	  "bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku", 0 },
	{ "rabin", 1, true, 174, NULL, { false, false, 00, 0, 0 }, RANDOM_200K,
	  "bafkreid3buoqtfi4shn4nidk6eo7wjnx5zjxgvmn72well7xwazpejy7ka", 200000 },
	{ "rabin", 1, true, 174, NULL, { false, false, 00, 0, 0 }, RANDOM_1M,
	  "bafybeicrqdqnagwddry3l64w3gc4v2ilc7nwou3a42z4m4bibo5dy75oeu", 1048784 },
	{ "rabin", 1, true, 174, NULL, { false, false, 00, 0, 0 }, RANDOM_3M,
	  "bafybeidrl67g2r5pdkln6didalvdzo23tsbkstuab3u6hcvpbmhqubnoou", 3000609 },
	{ "rabin", 1, true, 174, NULL, { false, false, 00, 0, 0 }, ZEROS_2M,
	  "bafybeigxkn2orwepwyacgake72zklitnxhk4x5fx3ebqdp55kcihdvttqa", 2001158 },
	{ "rabin", 1, true, 174, NULL, { false, false, 00, 0, 0 }, TEXT_1M,
	  "bafybeifijwjfzyfeioagh2sbb6lqvh62ax7l46akaxssd3nhp5bctm5lyi", 1056158 },
	{ "rabin", 1, true, 1024, NULL, { false, false, 00, 0, 0 }, EMPTY,
	  "bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku", 0 },
	{ "rabin", 1, true, 1024, NULL, { false, false, 00, 0, 0 }, RANDOM_200K,
	  "bafkreid3buoqtfi4shn4nidk6eo7wjnx5zjxgvmn72well7xwazpejy7ka", 200000 },
	{ "rabin", 1, true, 1024, NULL, { false, false, 00, 0, 0 }, RANDOM_1M,
	  "bafybeicrqdqnagwddry3l64w3gc4v2ilc7nwou3a42z4m4bibo5dy75oeu", 1048784 },
	{ "rabin", 1, true, 1024, NULL, { false, false, 00, 0, 0 }, RANDOM_3M,
	  "bafybeidrl67g2r5pdkln6didalvdzo23tsbkstuab3u6hcvpbmhqubnoou", 3000609 },
	{ "rabin", 1, true, 1024, NULL, { false, false, 00, 0, 0 }, ZEROS_2M,
	  "bafybeigxkn2orwepwyacgake72zklitnxhk4x5fx3ebqdp55kcihdvttqa", 2001158 },
	{ "rabin", 1, true, 1024, NULL, { false, false, 00, 0, 0 }, TEXT_1M,
	  "bafybeifijwjfzyfeioagh2sbb6lqvh62ax7l46akaxssd3nhp5bctm5lyi", 1056158 },
	{ "rabin-16-1024-4096", 0, false, 174, NULL, { false, false, 00, 0, 0 }, EMPTY,
	  "QmbFMke1KXqnYyBBWxB74N4c5SBnJMVAiMNRcGu6x1AwQH", 6 },
	{ "rabin-16-1024-4096", 0, false, 174, NULL, { false, false, 00, 0, 0 }, RANDOM_200K,
	  "QmUaoJ2syHetp427JdACtjQJpg3wzJaSs1LHzghXwbnWnU", 210756 },
	{ "rabin-16-1024-4096", 0, false, 174, NULL, { false, false, 00, 0, 0 }, RANDOM_1M,
	  "QmUDi2w9a82bjcAAEb7PeWpTwrSgyqU8jeW9TYQLLg4Lrj", 1106268 },
	{ "rabin-16-1024-4096", 0, false, 174, NULL, { false, false, 00, 0, 0 }, RANDOM_3M,
	  "QmZu3mCXj7vZMZXh18gFG4r8Ggmjm1aWEBG1Q7nVwXkWiq", 3167762 },
	{ "rabin-16-1024-4096", 0, false, 174, NULL, { false, false, 00, 0, 0 }, ZEROS_2M,
	  "QmYmX2uP3vcQ97AxAdfthRRaNMQXMmxYtqvnm4QGRuBeFG", 8539118 },
	{ "rabin-16-1024-4096", 0, false, 174, NULL, { false, false, 00, 0, 0 }, TEXT_1M,
	  "QmbzGfGNaPLKVc1nivQJDRaH4R2Qa86LG5HQLQDwftZ6H6", 1070828 },
	{ "rabin-16-1024-4096", 1, true, 174, NULL, { false, false, 00, 0, 0 }, EMPTY,
	  "bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku", 0 },
	{ "rabin-16-1024-4096", 1, true, 174, NULL, { false, false, 00, 0, 0 }, RANDOM_200K,
	  "bafybeia4reqv5x3nhcdxutvqbzavpnuw7ek3lzgrqnekl5nqupp6uimkpu", 209114 },
	{ "rabin-16-1024-4096", 1, true, 174, NULL, { false, false, 00, 0, 0 }, RANDOM_1M,
	  "bafybeidgtz7buvgxagaqp5xgzzyxoqkis45qbbbcd6pwjr53wo2xvcofeq", 1097448 },
	{ "rabin-16-1024-4096", 1, true, 174, NULL, { false, false, 00, 0, 0 }, RANDOM_3M,
	  "bafybeiacoqdjqbzsev32y6kxgxkd4tf4wecnjwa7tiz7gyc4xyddi3n33a", 3142130 },
	{ "rabin-16-1024-4096", 1, true, 174, NULL, { false, false, 00, 0, 0 }, ZEROS_2M,
	  "bafybeihzxim5haypns5srmvg5fi64mygbbtl3nu4zoxzqlz4vqxs6cwqpy", 7790566 },
	{ "rabin-16-1024-4096", 1, true, 174, NULL, { false, false, 00, 0, 0 }, TEXT_1M,
	  "bafybeifzlgsp6o3guv6bauqfxsj2hiou5gj2nvpekzq55rg42e5aqlzdoi", 1068510 },
	{ "rabin-16-1024-4096", 1, true, 1024, NULL, { false, false, 00, 0, 0 }, EMPTY,
	  "bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku", 0 },
	{ "rabin-16-1024-4096", 1, true, 1024, NULL, { false, false, 00, 0, 0 }, RANDOM_200K,
	  "bafybeidyj4nluf3hqtobu237s2ofwemhjkf4xremufpstzj6ttzot2czai", 209001 },
	{ "rabin-16-1024-4096", 1, true, 1024, NULL, { false, false, 00, 0, 0 }, RANDOM_1M,
	  "bafybeigkn7pkmg3wy7jittuuvhsyhr5n5wdhwekfpzkmibkuvyew3g6ne4", 1097095 },
	{ "rabin-16-1024-4096", 1, true, 1024, NULL, { false, false, 00, 0, 0 }, RANDOM_3M,
	  "bafybeic6ogsblhweva6q3ov2mvuh5zqqmfceyezq57ltqtvtrfiugvzc6y", 3141304 },
	{ "rabin-16-1024-4096", 1, true, 1024, NULL, { false, false, 00, 0, 0 }, ZEROS_2M,
	  "bafybeibqcq5565sfhgdvvlnln2gelcupmiwgypjn7zce3inyhpgndmme74", 7757263 },
	{ "rabin-16-1024-4096", 1, true, 1024, NULL, { false, false, 00, 0, 0 }, TEXT_1M,
	  "bafybeickwxl6ryjd4anwz5sil3rli4fdpah2fdmhaorgfiacmllogznhdi", 1068393 },
	{ "buzhash", 0, false, 174, NULL, { false, false, 00, 0, 0 }, EMPTY,
	  "QmbFMke1KXqnYyBBWxB74N4c5SBnJMVAiMNRcGu6x1AwQH", 6 },
	{ "buzhash", 0, false, 174, NULL, { false, false, 00, 0, 0 }, RANDOM_200K,
	  "Qmc7c3Si76XndvLzH9rghZif5Z41MBv61XJnYWkHiZoHer", 200014 },
	{ "buzhash", 0, false, 174, NULL, { false, false, 00, 0, 0 }, RANDOM_1M,
	  "QmeUoyU5G33pVgnRxgnAbseZrcP2qUoZVDEzt6CfHYLUXM", 1048770 },
	{ "buzhash", 0, false, 174, NULL, { false, false, 00, 0, 0 }, RANDOM_3M,
	  "QmYfgxhPk6XTRSTj5fJjCXfc1RQ46FpPP1BqPDPTmAZX7A", 3000567 },
	{ "buzhash", 0, false, 174, NULL, { false, false, 00, 0, 0 }, ZEROS_2M,
	  "Qmb8CaP3nf8TVfEwrGAUuY6BZMy5ZRgquATUyPZrSwR7Nk", 2001000 },
	{ "buzhash", 0, false, 174, NULL, { false, false, 00, 0, 0 }, TEXT_1M,
	  "QmfEQHghx3WBSyHqJkWYSsajakU3aZt3MKeyPwkBtQcteg", 1056189 },
	{ "buzhash", 1, true, 174, NULL, { false, false, 00, 0, 0 }, EMPTY,
	  "bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku", 0 },
	{ "buzhash", 1, true, 174, NULL, { false, false, 00, 0, 0 }, RANDOM_200K,
	  "bafkreid3buoqtfi4shn4nidk6eo7wjnx5zjxgvmn72well7xwazpejy7ka", 200000 },
	{ "buzhash", 1, true, 174, NULL, { false, false, 00, 0, 0 }, RANDOM_1M,
	  "bafybeigbgnd7f7tx2xiatgpyqtd2bqwzgqsim3sz3lfyze7r74qglz2tda", 1048734 },
	{ "buzhash", 1, true, 174, NULL, { false, false, 00, 0, 0 }, RANDOM_3M,
	  "bafybeigkhnfq3oqvyiue6c43tq2pba2b6majnocuihpxns2iezyaaukewe", 3000459 },
	{ "buzhash", 1, true, 174, NULL, { false, false, 00, 0, 0 }, ZEROS_2M,
	  "bafybeih4uvslkfxe5tctjp26g5p3reqo65ps75lwgg6n6gcjnk324dc2ym", 2000808 },
	{ "buzhash", 1, true, 174, NULL, { false, false, 00, 0, 0 }, TEXT_1M,
	  "bafybeiemum3dju32sgjdfqrpa2x33wq7ut5k6wywqutgftyc6ibp3gywrq", 1056156 },
	{ "buzhash", 1, true, 1024, NULL, { false, false, 00, 0, 0 }, EMPTY,
	  "bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku", 0 },
	{ "buzhash", 1, true, 1024, NULL, { false, false, 00, 0, 0 }, RANDOM_200K,
	  "bafkreid3buoqtfi4shn4nidk6eo7wjnx5zjxgvmn72well7xwazpejy7ka", 200000 },
	{ "buzhash", 1, true, 1024, NULL, { false, false, 00, 0, 0 }, RANDOM_1M,
	  "bafybeigbgnd7f7tx2xiatgpyqtd2bqwzgqsim3sz3lfyze7r74qglz2tda", 1048734 },
	{ "buzhash", 1, true, 1024, NULL, { false, false, 00, 0, 0 }, RANDOM_3M,
	  "bafybeigkhnfq3oqvyiue6c43tq2pba2b6majnocuihpxns2iezyaaukewe", 3000459 },
	{ "buzhash", 1, true, 1024, NULL, { false, false, 00, 0, 0 }, ZEROS_2M,
	  "bafybeih4uvslkfxe5tctjp26g5p3reqo65ps75lwgg6n6gcjnk324dc2ym", 2000808 },
	{ "buzhash", 1, true, 1024, NULL, { false, false, 00, 0, 0 }, TEXT_1M,
	  "bafybeiemum3dju32sgjdfqrpa2x33wq7ut5k6wywqutgftyc6ibp3gywrq", 1056156 },
	{ "size-1000", 0, false, 2, NULL, { false, false, 00, 0, 0 }, EMPTY,
	  "QmbFMke1KXqnYyBBWxB74N4c5SBnJMVAiMNRcGu6x1AwQH", 6 },
	{ "size-1000", 0, false, 2, NULL, { false, false, 00, 0, 0 }, RANDOM_200K,
	  "QmaAiSuCAFkMSghXUMQqR5duqcU6PazBTgKoMZnsuoCewD", 222106 },
	{ "size-1000", 0, false, 2, NULL, { false, false, 00, 0, 0 }, RANDOM_1M,
	  "QmYcUiAe1fA4WBKGEkhW2hu4cNRNA7DynDLvhbCUoFaHxd", 1164564 },
	{ "size-1000", 0, false, 2, NULL, { false, false, 00, 0, 0 }, RANDOM_3M,
	  "QmYc76aFDgmWi7S6Vu7K61t8gUbS8tEm6MSrerETGLdKfA", 3330814 },
	{ "size-1000", 0, false, 2, NULL, { false, false, 00, 0, 0 }, ZEROS_2M,
	  "QmWJA2KqwyicqBxiCGPQDtkbH4BWV64AA9FvyTnKvasAaP", 2220504 },
	{ "size-1000", 0, false, 2, NULL, { false, false, 00, 0, 0 }, TEXT_1M,
	  "QmNYkgFap6W2ovJ8p98MsvYsjy1DqNG8vHe4PAeqSBPyAY", 1172600 },
	{ "size-1000", 0, true, 174, NULL, { false, false, 00, 0, 0 }, EMPTY,
	  "bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku", 0 },
	{ "size-1000", 0, true, 174, NULL, { false, false, 00, 0, 0 }, RANDOM_200K,
	  "QmTbSqML6eqERDbTiGkmVaUufoW1BUVJpEXPLgbFgMhUGf", 209721 },
	{ "size-1000", 0, true, 174, NULL, { false, false, 00, 0, 0 }, RANDOM_1M,
	  "Qmd9bEMomaufWmft36kziDz9SjWk3z2bqGv5cmhNdPhmqB", 1099331 },
	{ "size-1000", 0, true, 174, NULL, { false, false, 00, 0, 0 }, RANDOM_3M,
	  "QmQiewnzrRkEBsqveqy8Azn5ReacBaPehqmXaCreY4UmXB", 3145035 },
	{ "size-1000", 0, true, 174, NULL, { false, false, 00, 0, 0 }, ZEROS_2M,
	  "Qmey1Tt3EGwHpc6N3gn1Xwk3THsA3JsVU5CwGzTe26TC9V", 2096692 },
	{ "size-1000", 0, true, 174, NULL, { false, false, 00, 0, 0 }, TEXT_1M,
	  "Qmc36KLtu8Bo3ntsjeg4mP58stZ66KXE3UE1EAYqXi7b3c", 1107091 },
	{ "size-1000", 1, false, 10, NULL, { false, false, 00, 0, 0 }, EMPTY,
	  "bafybeif7ztnhq65lumvvtr4ekcwd2ifwgm3awq4zfr3srh462rwyinlb4y", 6 },
	{ "size-1000", 1, false, 10, NULL, { false, false, 00, 0, 0 }, RANDOM_200K,
	  "bafybeiasmcvw6qcyemcdnuchfaxxq7a5i5f7pzf4dxjy2pikh5aso324nu", 213024 },
	{ "size-1000", 1, false, 10, NULL, { false, false, 00, 0, 0 }, RANDOM_1M,
	  "bafybeigdvzg2hr5tttxo3x3ukoujomub45366iqhmniffjp2zcgzydhydu", 1117004 },
	{ "size-1000", 1, false, 10, NULL, { false, false, 00, 0, 0 }, RANDOM_3M,
	  "bafybeiakmpx3kncigonuro3vynacl3izfmbxey2izvebnh2zjl3kazodta", 3195423 },
	{ "size-1000", 1, false, 10, NULL, { false, false, 00, 0, 0 }, ZEROS_2M,
	  "bafybeiba3kdvfohngeteoq5kwixiyv36zx6vz4i2qmcfezi3yyble4naya", 2130284 },
	{ "size-1000", 1, false, 10, NULL, { false, false, 00, 0, 0 }, TEXT_1M,
	  "bafybeiegynsdts3tnwlf5fb5vkz6fkxd2xbh4e6kns65mgkn3sc32vuyi4", 1124896 },
	{ "size-262144", 1, true, 174, "blake2b-256", { false, false, 00, 0, 0 }, EMPTY,
	  "bafk2bzaceahfouoae3suhmxivmxlayez3kq5dzo7i53y654h7kvultprf7r2q", 0 },
	{ "size-262144", 1, true, 174, "blake2b-256", { false, false, 00, 0, 0 }, RANDOM_200K,
	  "bafk2bzacea56m5c5zwbdt24d3rhhwigsds7hvcmnqbqovrbmzh2ngfxozl27e", 200000 },
	{ "size-262144", 1, true, 174, "blake2b-256", { false, false, 00, 0, 0 }, RANDOM_1M,
	  "bafykbzacechxebcvoes5ideei5kqonupxmxuudibll3w5ugmjqupwanvaicqm", 1048792 },
	{ "size-262144", 1, true, 174, "blake2b-256", { false, false, 00, 0, 0 }, RANDOM_3M,
	  "bafykbzaceam533mnlww6k4a7ofsxswgcla76qvkuvtnvp3cy6ya5mvtplreqg", 3000633 },
	{ "size-262144", 1, true, 174, "blake2b-256", { false, false, 00, 0, 0 }, ZEROS_2M,
	  "bafykbzaceail7dpynx2mdssydcdmfxn3kazsmgnm3as6iuvnsnmyas56jnq2e", 2000424 },
	{ "size-262144", 1, true, 174, "blake2b-256", { false, false, 00, 0, 0 }, TEXT_1M,
	  "bafykbzacednct225qgjv6demtadaeztihtnl2oegoazaoatt42top5lhkj2ki", 1056266 },
	{ "size-262144", 1, false, 174, "blake2b-256", { false, false, 00, 0, 0 }, EMPTY,
	  "bafykbzacedea6fqhr3qazuhyluygrwk3wadvco6buik7a4nrkjowh4i5tezs6", 6 },
	{ "size-262144", 1, false, 174, "blake2b-256", { false, false, 00, 0, 0 }, RANDOM_200K,
	  "bafykbzacebrwra5ymj6cgyavc57wfdslir5htf2j6oncultngjhfqrystsv7w", 200014 },
	{ "size-262144", 1, false, 174, "blake2b-256", { false, false, 00, 0, 0 }, RANDOM_1M,
	  "bafykbzacecdtakxsv5v6fsqryngnobhxbxdtjomkr5ahhkvsft2kaooa7mb7w", 1048848 },
	{ "size-262144", 1, false, 174, "blake2b-256", { false, false, 00, 0, 0 }, RANDOM_3M,
	  "bafykbzacea2uza4ch42aotslh5y5tvjtvntf6qupex3vypc7nh7qznflwuh2i", 3000801 },
	{ "size-262144", 1, false, 174, "blake2b-256", { false, false, 00, 0, 0 }, ZEROS_2M,
	  "bafykbzaceag42x55bwz2rm3eiqfivivxo6m4umf32ibwg65i7jtdzllqfsayi", 2000536 },
	{ "size-262144", 1, false, 174, "blake2b-256", { false, false, 00, 0, 0 }, TEXT_1M,
	  "bafykbzacec2gregc6haqyp7jwaisvujfnz2edbgojtq7e3myitjlwyll4hywy", 1056333 },
	{ "size-262144", 1, true, 174, "sha2-512", { false, false, 00, 0, 0 }, EMPTY,
	  "bafkrgqgpqpqtk7xpxc67cvbikdlg3aah2yqoibilk4k5za7uveq5g3hjzzd5buj4lwc7fmh7qmmnfb365qxwhojrxvduc6ubuu4de6xze7nd4", 0 },
	{ "size-262144", 1, true, 174, "sha2-512", { false, false, 00, 0, 0 }, RANDOM_200K,
	  "bafkrgqe3zb7cu3mxfy2vyzhvyimfo7mgh7wscygtdlkmnzoqh46zsei76elo7hiwa3glbjd5dfs6svh4qle2dmr3jqop2cxzaobddm6ydsma4", 200000 },
	{ "size-262144", 1, true, 174, "sha2-512", { false, false, 00, 0, 0 }, RANDOM_1M,
	  "bafybgqargdtsdsf5n6szy763j37lvf7morkcau2pyhdnqzvwos2y7jwudd6sdsddhyex3t5iko5zr7adqkuiwaqd77ptau6rvatnfqu7vyksq", 1048912 },
	{ "size-262144", 1, true, 174, "sha2-512", { false, false, 00, 0, 0 }, RANDOM_3M,
	  "bafybgqcuwwgyz6t47w5goqoeacohozeirwxrwn6sqzal667cn5hbrkdndjr5klq3xmepdnffszeaqllimip7zfarmwbrpcgtueno4yvlg2tau", 3000993 },
	{ "size-262144", 1, true, 174, "sha2-512", { false, false, 00, 0, 0 }, ZEROS_2M,
	  "bafybgqdl5iuwngfjcn7bajujaiyxzxkmr5x6ffnkws4gajo3hqbk6ucixep63nqipi63r3hleu5h6vefvrmlayfecktd5sdvxsk7wzkgjcfso", 2000664 },
	{ "size-262144", 1, true, 174, "sha2-512", { false, false, 00, 0, 0 }, TEXT_1M,
	  "bafybgqfdi4eo3movrsbrpdvtll7gcbuvljgkdwedv55zc6qgf4tvmu3oxljegmkvzjlgsj2awg5skqk7cwlzqtza2cspjjhxmfyqrdyveryak", 1056416 },
	{ "size-262144", 1, true, 174, "sha3-256", { false, false, 00, 0, 0 }, EMPTY,
	  "bafkrmifh77dprpy625tfdqkhk2qgdvtc6wap6tpehne7vawybjfyb6cdji", 0 },
	{ "size-262144", 1, true, 174, "sha3-256", { false, false, 00, 0, 0 }, RANDOM_200K,
	  "bafkrmie6wjtua2mldz6o45gmb2j5s5mwocasieelq6nxptot6apbthgsoy", 200000 },
	{ "size-262144", 1, true, 174, "sha3-256", { false, false, 00, 0, 0 }, RANDOM_1M,
	  "bafybmihpqp5qv3ukrtds563odfmg3o7rko5thtj4okzaorxn34h34lsi2m", 1048784 },
	{ "size-262144", 1, true, 174, "sha3-256", { false, false, 00, 0, 0 }, RANDOM_3M,
	  "bafybmicdkflgtonw3zjzg2vyburfcs7ftw6abvdik65k67qxwetexxa6ce", 3000609 },
	{ "size-262144", 1, true, 174, "sha3-256", { false, false, 00, 0, 0 }, ZEROS_2M,
	  "bafybmicqbu6zd5wfniyqnemw7prbzwp6c5wmd27odw2oemq6h6ns5hki6m", 2000408 },
	{ "size-262144", 1, true, 174, "sha3-256", { false, false, 00, 0, 0 }, TEXT_1M,
	  "bafybmiehkemby5kfjjd5sedhfbudrtzoyzryptjxvotczetjkolq7ja2xm", 1056256 },
	{ "size-262144", 1, true, 174, "blake2s-256", { false, false, 00, 0, 0 }, EMPTY,
	  "bafk6bzacebusc6rqpgiibfhbceq5aqrvjj6b6vnwjawkdji6dmsq37i62dxps", 0 },
	{ "size-262144", 1, true, 174, "blake2s-256", { false, false, 00, 0, 0 }, RANDOM_200K,
	  "bafk6bzacebcrg7txdvp5ynfpdbfcpo2celzhqplllol67iqhgsqqxzay2b2ua", 200000 },
	{ "size-262144", 1, true, 174, "blake2s-256", { false, false, 00, 0, 0 }, RANDOM_1M,
	  "bafyobzaceaw5dj6g5uju2q3woji2nsf6p7xaadgfwp2blf6cspfa3fix5h4z4", 1048792 },
	{ "size-262144", 1, true, 174, "blake2s-256", { false, false, 00, 0, 0 }, RANDOM_3M,
	  "bafyobzaceda76rw5nloexyqen2orpdlh3gts4u7wxgbfsbyz6nvmkwrnz4xoi", 3000633 },
	{ "size-262144", 1, true, 174, "blake2s-256", { false, false, 00, 0, 0 }, ZEROS_2M,
	  "bafyobzacebojdtupbunxk2b3es5uinuhok2pojy47xb3f64wmb4kt53matwz2", 2000424 },
	{ "size-262144", 1, true, 174, "blake2s-256", { false, false, 00, 0, 0 }, TEXT_1M,
	  "bafyobzacebutfhmc5w5k52bdrlt4ja3tozisznf725dcsgrj4ejr5cinmkuw6", 1056266 },
	{ "size-262144", 0, false, 174, NULL, { true, true, 0640, 1604320482, 0 }, EMPTY,
	  "QmYkvboLsvLFcSYmqVJRxvBdYRQLroLv9kELf3LRiCqBri", 17 },
	{ "size-262144", 0, false, 174, NULL, { true, true, 0640, 1604320482, 0 }, RANDOM_200K,
	  "QmPKrFbrEjBAdguttcn9KhX4Wo7ekcMUKULAe6A3VWx9AY", 200025 },
	{ "size-262144", 0, false, 174, NULL, { true, true, 0640, 1604320482, 0 }, RANDOM_1M,
	  "QmZYmGoGZpww5rkhrpEBm1LRS574t7ETrQGVMM2Yysp1KT", 1048843 },
	{ "size-262144", 0, false, 174, NULL, { true, true, 0640, 1604320482, 0 }, RANDOM_3M,
	  "QmRJDfo2siVPqyxSvngiANVfaJHeUS2kdhd4jocXRVegFz", 3000764 },
	{ "size-262144", 0, false, 174, NULL, { true, true, 0640, 1604320482, 0 }, ZEROS_2M,
	  "QmVyBEGkKfyr52EJDUTVMLvUX3KpXf34Fa8AMcWTHB6txb", 2000515 },
	{ "size-262144", 0, false, 174, NULL, { true, true, 0640, 1604320482, 0 }, TEXT_1M,
	  "Qmce68S47eLtBBCCkf4JTurT1vr7TAvqrhgUM3tsCtZSoM", 1056324 },
	{ "size-262144", 0, false, 174, NULL, { true, false, 0640, 0, 0 }, EMPTY,
	  "QmQLgxypSNGNFTuUPGCecq6dDEjb6hNB5xSyVmP3cEuNtq", 9 },
	{ "size-262144", 0, false, 174, NULL, { true, false, 0640, 0, 0 }, RANDOM_200K,
	  "QmcrujwTcDwKz24WrhjU8ZE8gNBvXZY3eQtmvazFt4imFL", 200017 },
	{ "size-262144", 0, false, 174, NULL, { true, false, 0640, 0, 0 }, RANDOM_1M,
	  "QmaaNp91utGahDL7iXtyRU9j1gwSpRiuDSYzMaxYaAJrQB", 1048835 },
	{ "size-262144", 0, false, 174, NULL, { true, false, 0640, 0, 0 }, RANDOM_3M,
	  "QmPJW9UvjKFcRpyPiLD87DZpQT1dFjq3YcRQapnPqHhjFx", 3000756 },
	{ "size-262144", 0, false, 174, NULL, { true, false, 0640, 0, 0 }, ZEROS_2M,
	  "QmesP6sqZBTpD2B9NFr5xtAPWAGp2SjUuNkKqNNJfiUzWP", 2000507 },
	{ "size-262144", 0, false, 174, NULL, { true, false, 0640, 0, 0 }, TEXT_1M,
	  "Qmf5r9MpNqXmXB9TJhprP7gZJXF4c5yV5MwbvkKdPJNfdP", 1056316 },
	{ "size-262144", 0, false, 174, NULL, { false, true, 00, 1603539720, 54321 }, EMPTY,
	  "QmaKH8H5rXBUBCX4vdxi7ktGQEL7wejV7L9rX2qpZjwncz", 19 },
	{ "size-262144", 0, false, 174, NULL, { false, true, 00, 1603539720, 54321 }, RANDOM_200K,
	  "QmeSMQVmw3zin8btF7Czk7BcHDJAEBbRttDugqtufFSqgd", 200027 },
	{ "size-262144", 0, false, 174, NULL, { false, true, 00, 1603539720, 54321 }, RANDOM_1M,
	  "QmTeiH55XpfpZQKekJE5zHcbQtPnQfQp7fTwWTRTiPwBcH", 1048845 },
	{ "size-262144", 0, false, 174, NULL, { false, true, 00, 1603539720, 54321 }, RANDOM_3M,
	  "QmXKdFxirk8MZUgUdn7edsFvmYnqHVDepJWH7s6FCjF4vP", 3000766 },
	{ "size-262144", 0, false, 174, NULL, { false, true, 00, 1603539720, 54321 }, ZEROS_2M,
	  "QmXMypDVCeGGc6EShcaErp9L9Vf5PMT8GjenifNSgkqLPw", 2000517 },
	{ "size-262144", 0, false, 174, NULL, { false, true, 00, 1603539720, 54321 }, TEXT_1M,
	  "QmTKfx41nKgm25yFua9KcZLa6GbakZU2ZMk2jhLiPkkQek", 1056326 },
	{ "size-262144", 1, false, 174, NULL, { true, true, 0764, -5, 999999999 }, EMPTY,
	  "bafybeiaulxmy4fyfzdmkp4qj45aoawpprsj3go2ktx6ed74herjzy6pfeu", 27 },
	{ "size-262144", 1, false, 174, NULL, { true, true, 0764, -5, 999999999 }, RANDOM_200K,
	  "bafybeihuaogn5cr7vobzfnwywl7qarxt64nysbsfv5vovwzaizko5g4tjq", 200035 },
	{ "size-262144", 1, false, 174, NULL, { true, true, 0764, -5, 999999999 }, RANDOM_1M,
	  "bafybeigjf7l55xl2ci3ojogwdkosxv6dnyhtotuxxsaucpe76egrbctcgu", 1048861 },
	{ "size-262144", 1, false, 174, NULL, { true, true, 0764, -5, 999999999 }, RANDOM_3M,
	  "bafybeigplmpt2uxtemdpk3vmbxs3qqmwfvygdyjsmo5hjlktjw3hw3dm6m", 3000798 },
	{ "size-262144", 1, false, 174, NULL, { true, true, 0764, -5, 999999999 }, ZEROS_2M,
	  "bafybeicvcofvtrzlqdi7odeeonrb2xco3eufb4txvt6ksc76tu5zegfehy", 2000541 },
	{ "size-262144", 1, false, 174, NULL, { true, true, 0764, -5, 999999999 }, TEXT_1M,
	  "bafybeig2nc4tuuyvpr5dy2gg3en6htdp7orgxinl3bm7o226xzaj7iewxi", 1056344 },
	{ "rabin", 0, false, 174, NULL, { true, true, 0644, 1604320482, 0 }, EMPTY,
	  "QmbTV4vvdLnfUWrs5MT8FSH7fEGdX7kTnVV9z3mpgnA2Zb", 17 },
	{ "rabin", 0, false, 174, NULL, { true, true, 0644, 1604320482, 0 }, RANDOM_200K,
	  "QmeVSzKb6PL2NxygqHXYomhcK7bBR51oVddCEjWDVNA6UA", 200025 },
	{ "rabin", 0, false, 174, NULL, { true, true, 0644, 1604320482, 0 }, RANDOM_1M,
	  "QmSq7ci9BsE1mUkHb4Xrr8qhB48XSEHp8xj8f7U2B2vsC4", 1048843 },
	{ "rabin", 0, false, 174, NULL, { true, true, 0644, 1604320482, 0 }, RANDOM_3M,
	  "QmVvQ7ighgxJFTmK1rHuf2TNnaaJbzEz5Z2D9Qrfx5gY9L", 3000764 },
	{ "rabin", 0, false, 174, NULL, { true, true, 0644, 1604320482, 0 }, ZEROS_2M,
	  "QmPCnqCD5YTW5Gp2BXE74DpSDbgbCdGUDAesYbsk9AuWsf", 2001445 },
	{ "rabin", 0, false, 174, NULL, { true, true, 0644, 1604320482, 0 }, TEXT_1M,
	  "QmUe6Rq4uswNw7KXLQM17kW7iUmXU6fxc4B94d7BqFYGpX", 1056205 },
	{ "size-1000", 0, false, 2, NULL, { true, true, 0644, 1604320482, 0 }, EMPTY,
	  "QmbTV4vvdLnfUWrs5MT8FSH7fEGdX7kTnVV9z3mpgnA2Zb", 17 },
	{ "size-1000", 0, false, 2, NULL, { true, true, 0644, 1604320482, 0 }, RANDOM_200K,
	  "QmXrUq6adMft9YMr5ha6eLotb3E5KkNA41dGJV3zxyLTLg", 222117 },
	{ "size-1000", 0, false, 2, NULL, { true, true, 0644, 1604320482, 0 }, RANDOM_1M,
	  "QmYvb6NAKeuy3WCCK9QMXKHk5JuxWKaPdWzixsUiFgorBu", 1164575 },
	{ "size-1000", 0, false, 2, NULL, { true, true, 0644, 1604320482, 0 }, RANDOM_3M,
	  "QmUJkjoixDmp1aEP63QmZxvSCxSSgMjhfVPwyDHCUKa4SE", 3330825 },
	{ "size-1000", 0, false, 2, NULL, { true, true, 0644, 1604320482, 0 }, ZEROS_2M,
	  "Qmcqo9eGfmnfBWhUSWhtG1puCn2ajyLbBYgMQHj5fsuQCq", 2220515 },
	{ "size-1000", 0, false, 2, NULL, { true, true, 0644, 1604320482, 0 }, TEXT_1M,
	  "Qmb1FxceeyPeCbR5JaKkm5JzZh34Ls6AQjgSi59e37QEmX", 1172611 },
	{ "size-1000", 0, false, 3000, NULL, { true, true, 0644, 1604320482, 0 }, EMPTY,
	  "QmbTV4vvdLnfUWrs5MT8FSH7fEGdX7kTnVV9z3mpgnA2Zb", 17 },
	{ "size-1000", 0, false, 3000, NULL, { true, true, 0644, 1604320482, 0 }, RANDOM_200K,
	  "QmWbW7k9imyyQ8XXchSsnUj1gZZfaUMv8k4mgP6GPyE9Kj", 211420 },
	{ "size-1000", 0, false, 3000, NULL, { true, true, 0644, 1604320482, 0 }, RANDOM_1M,
	  "QmWH4TdSXAGGVfDwQ1Pxn9r6WTvfFd1wzT1N9sLDp9CSRU", 1108389 },
	{ "size-1000", 0, false, 3000, NULL, { true, true, 0644, 1604320482, 0 }, RANDOM_3M,
	  "QmVSeQ97F9sy8itHnJwhE7anz5FpwbjwYb3UorzJ25DSuc", 3171021 },
	{ "size-1000", 0, false, 3000, NULL, { true, true, 0644, 1604320482, 0 }, ZEROS_2M,
	  "Qmd1bTdEeiXuXBSR9PrxQJeLgwoAAke6TCEXn5PqVJ9aWH", 2114020 },
	{ "size-1000", 0, false, 3000, NULL, { true, true, 0644, 1604320482, 0 }, TEXT_1M,
	  "QmbJsfePKcKnZf3yfPupNhqcCvK9KbzGj9uMTG7aMKQnqY", 1116212 },
};

static void files_have_kubos_cids(void **state)
{
	struct fixture *f = *state;

	for (int c = 0; c < N_CONTENTS; c++) {
		size_t len;
		uint8_t *data = content_make(c, &len);
		char name[8];

		snprintf(name, sizeof name, "%d", c);
		make_file(f->fd, name, data, len);
		free(data);
	}
	f->options.hash_only = true;
	for (size_t i = 0; i < sizeof vectors / sizeof *vectors; i++) {
		const struct vector *v = &vectors[i];
		char below[8];

		f->profile = *profile_find("unixfs-v0-2015");
		f->profile.cid_version = v->cid_version;
		f->profile.raw_leaves = v->raw_leaves;
		f->profile.max_links = v->max_links;
		if (v->hash)
			assert_int_equal(profile_set_hash(&f->profile, v->hash), 0);
		set_chunker(f, v->chunker);
		f->options.meta = (struct import_meta){ .fixed = v->meta };
		f->options.jobs = 1 + (int)(i % 3);
		snprintf(below, sizeof below, "/%d", v->content);
		assert_int_equal(import(f, below), 0);
		assert_root(f, v->cid);
		assert_true(f->result.tsize == v->tsize);

		/* The same from a pipe, for one job knows nothing of the end. */
		char path[256];
		snprintf(path, sizeof path, "exec cat %s%s", f->path, below);
		FILE *pipe = popen(path, "re");
		assert_non_null(pipe);
		assert_int_equal(import_fd(f->store, fileno(pipe), &f->options, &f->result), 0);
		pclose(pipe);
		assert_root(f, v->cid);
		assert_true(f->result.tsize == v->tsize);
	}
}

static void set_times(int at, const char *name, int64_t seconds, long nsec)
{
	struct timespec t[2] = { { seconds, nsec }, { seconds, nsec } };

	assert_int_equal(utimensat(at, name, t, AT_SYMLINK_NOFOLLOW), 0);
}

/* From Kubo's test/sharness/t0047-add-mode-mtime.sh. */
static void attributes_are_kept_as_kubo_does(void **state)
{
	struct fixture *f = *state;
	struct import_meta both = { .keep_mode = true, .keep_mtime = true };

	f->profile = *profile_find("unixfs-v0-2015");
	make_file(f->fd, "f", "", 0);
	assert_int_equal(fchmodat(f->fd, "f", 0640, 0), 0);
	set_times(f->fd, "f", 1604320482, 0);
	f->options.meta = (struct import_meta){ .keep_mode = true };
	assert_int_equal(import(f, "/f"), 0);
	assert_root(f, "QmQLgxypSNGNFTuUPGCecq6dDEjb6hNB5xSyVmP3cEuNtq");
	f->options.meta = (struct import_meta){ .keep_mtime = true };
	assert_int_equal(import(f, "/f"), 0);
	assert_root(f, "QmQ6kErEW8kztQFV8vbwNU8E4dmtGsYpRiboiLxUEwibvj");
	f->options.meta = both;
	assert_int_equal(import(f, "/f"), 0);
	assert_root(f, "QmYkvboLsvLFcSYmqVJRxvBdYRQLroLv9kELf3LRiCqBri");
	assert_int_equal(fchmodat(f->fd, "f", 0764, 0), 0);
	set_times(f->fd, "f", 1603539720, 54321);
	assert_int_equal(import(f, "/f"), 0);
	assert_root(f, "QmUkxrtBA8tPjwCYz1HrsoRfDz6NgKut3asVeHVQNH4C8L");
	/* What is asked for comes before what is found. */
	f->options.meta.fixed = (struct unixfs_meta){ .has_mode = true, .mode = 0640 };
	set_times(f->fd, "f", 1604320482, 0);
	assert_int_equal(import(f, "/f"), 0);
	assert_root(f, "QmYkvboLsvLFcSYmqVJRxvBdYRQLroLv9kELf3LRiCqBri");

	/* A symlink has no mode. */
	f->options.meta = both;
	assert_int_equal(symlinkat("nothing", f->fd, "l"), 0);
	set_times(f->fd, "l", 1604320482, 0);
	assert_int_equal(import(f, "/l"), 0);
	assert_root(f, "QmbJwotgtr84JxcnjpwJ86uZiyMoxbZuNH4YrdJMypkYaB");

	assert_int_equal(mkdirat(f->fd, "d", 0755), 0);
	assert_int_equal(fchmodat(f->fd, "d", 0755, 0), 0);
	f->options.meta = (struct import_meta){ .keep_mode = true };
	assert_int_equal(import(f, "/d"), 0);
	assert_root(f, "QmRviohgafvCsbkiTgfQFipbuXJ6k1YtoiaQW4quttJPKu");
	f->options.meta = (struct import_meta){ .keep_mtime = true };
	set_times(f->fd, "d", 1655158722, 0);
	assert_int_equal(import(f, "/d"), 0);
	assert_root(f, "QmYMy7CZGb498QFSQBF5ZFwv1FYbrAtYZMe4VxhDXxAcvf");
	set_times(f->fd, "d", 1603539720, 54321);
	assert_int_equal(import(f, "/d"), 0);
	assert_root(f, "QmZFdCLJay31hT3Tx1LygJ7XfiLEs3qLCXtbeBfhf38aZg");

	/* Raw leaves have no room. */
	f->profile.raw_leaves = true;
	assert_int_equal(import(f, "/f"), -EINVAL);
}

static void only_hashing_stores_nothing(void **state)
{
	struct fixture *f = *state;

	make_file(f->fd, "f", "hello world", 11);
	f->options.hash_only = true;
	assert_int_equal(import_path(NULL, f->path, &f->options, &f->result), 0);
	assert_int_equal(store_has(f->store, &f->result.root.hash, NULL), 0);
	struct cid only = f->result.root;
	f->options.hash_only = false;
	assert_int_equal(import(f, ""), 0);
	assert_true(cid_equal(&only, &f->result.root));
	assert_int_equal(store_has(f->store, &f->result.root.hash, NULL), 1);
}

/* A hole is a run of zeros that was not read: the CID is that of the zeros. */
static void holes_are_zeros(void **state)
{
	static const char *const chunkers[] = { "size-65536", "rabin-16-1024-4096", "buzhash" };
	static const size_t spots[] = { 0, 5, 300000, 1048576, 1999999 };
	const size_t len = 5000000;
	struct fixture *f = *state;
	struct cid dense;

	for (size_t c = 0; c < sizeof chunkers / sizeof *chunkers; c++)
		for (size_t i = 0; i < sizeof spots / sizeof *spots; i++) {
			uint8_t *data = calloc(len, 1);

			assert_non_null(data);
			memcpy(data + spots[i], "not zero", 8);
			make_file(f->fd, "dense", data, len);
			free(data);
			make_file(f->fd, "sparse", "", 0);
			int fd = openat(f->fd, "sparse", O_WRONLY | O_CLOEXEC);
			assert_int_equal(pwrite(fd, "not zero", 8, (off_t)spots[i]), 8);
			assert_int_equal(ftruncate(fd, (off_t)len), 0);
			close(fd);

			set_chunker(f, chunkers[c]);
			assert_int_equal(import(f, "/dense"), 0);
			dense = f->result.root;
			assert_int_equal(import(f, "/sparse"), 0);
			assert_true(cid_equal(&dense, &f->result.root));
			assert_true(f->result.bytes == len);
		}
}

static void a_sparse_file_of_100_gib_takes_no_time(void **state)
{
	struct fixture *f = *state;

	make_file(f->fd, "huge", "", 0);
	if (truncate(strcat(f->path, "/huge"), (off_t)100 << 30) < 0)
		skip();
	assert_int_equal(import(f, ""), 0);
	assert_true(f->result.bytes == (uint64_t)100 << 30);
}

/* Whether the tree that was imported has this path. */
static bool has(struct fixture *f, const char *path)
{
	struct misses misses = { 0 };
	struct dag_entry e;

	return dag_resolve(store_source(f->store), &f->result.root, path, &e, &misses) == 0;
}

static void rules_decide_what_is_left_out(void **state)
{
	static const char top[] = "# comment\n*.o\n!keep.o\n/build/\nsub/only.txt\n**/deep/x\n"
				  "a/**/z\n\\#odd\n[ab]?.tmp\ntrailing   \n";
	static const char nested[] = "!b.o\n*.txt\n/here\n";
	static const char *const dirs[] = { "build", "sub", "sub/build", "sub/deep", "a", "a/q", "a/q/r" };
	static const struct {
		const char *path;
		bool taken;
	} files[] = {
		{ "a.o", false },	{ "keep.o", true },	   { "build/x", false },
		{ "sub/build/x", true }, { "sub/only.txt", false }, { "sub/b.o", true },
		{ "sub/c.o", false },	{ "sub/other.txt", false }, { "other.txt", true },
		{ "sub/deep/x", false }, { "sub/deep/y", true },   { "sub/here", false },
		{ "here", true },	{ "sub/deep/here", true }, { "a/z", false },
		{ "a/q/r/z", false },	{ "z", true },		   { "#odd", false },
		{ "a1.tmp", false },	{ "c1.tmp", true },	   { "trailing", false },
		{ "sub/deep/z", true }, { "no.log", false },	   { "sub/no.log", false },
	};
	struct fixture *f = *state;
	struct ignore *exclude = NULL;

	for (size_t i = 0; i < sizeof dirs / sizeof *dirs; i++)
		assert_int_equal(mkdirat(f->fd, dirs[i], 0755), 0);
	for (size_t i = 0; i < sizeof files / sizeof *files; i++)
		make_file(f->fd, files[i].path, "", 0);
	make_file(f->fd, IGNORE_FILE, top, sizeof top - 1);
	make_file(f->fd, "sub/" IGNORE_FILE, nested, sizeof nested - 1);
	assert_int_equal(ignore_add(&exclude, "*.log", 5), 0);
	f->options.exclude = exclude;

	assert_int_equal(import(f, ""), 0);
	for (size_t i = 0; i < sizeof files / sizeof *files; i++)
		if (has(f, files[i].path) != files[i].taken)
			fail_msg("%s", files[i].path);
	assert_false(has(f, "build"));

	f->options.no_ignore_files = true;
	assert_int_equal(import(f, ""), 0);
	assert_true(has(f, "build/x") && has(f, "a.o") && !has(f, "no.log"));
	ignore_free(exclude);

	make_file(f->fd, IGNORE_FILE, "", 0);
	char path[256];
	snprintf(path, sizeof path, "%s/%s", f->path, IGNORE_FILE);
	assert_int_equal(truncate(path, IGNORE_FILE_MAX + 1), 0);
	f->options.no_ignore_files = false;
	assert_int_equal(import(f, ""), -EFBIG);
}

static void a_pattern_with_many_stars_ends_soon(void **state)
{
	struct ignore *rules = NULL;
	char pattern[1024], path[4001];

	for (size_t i = 0; i + 2 < sizeof pattern; i += 2)
		memcpy(pattern + i, "*a", 2);
	memcpy(pattern + sizeof pattern - 2, "*b", 2);
	memset(path, 'a', 4000);
	path[4000] = '\0';
	assert_int_equal(ignore_add(&rules, pattern, sizeof pattern), 0);
	assert_int_equal(ignore_match(rules, path, false), -1);
	ignore_free(rules);

	rules = NULL;
	for (size_t i = 0; i + 5 <= 1000; i += 5)
		memcpy(pattern + i, "**/a/", 5);
	pattern[1000] = 'b';
	for (size_t i = 1; i < 4000; i += 2)
		path[i] = '/';
	path[3999] = '\0';
	assert_int_equal(ignore_add(&rules, pattern, 1001), 0);
	assert_int_equal(ignore_match(rules, path, false), -1);
	ignore_free(rules);
}

static void a_note_counts_for_the_very_state_it_is_of(void **state)
{
	struct fixture *f = *state;
	char dir[128];
	struct seen *seen;
	struct stat st;
	struct cid cid, other;
	uint64_t tsize;
	const int64_t later = 4000000000;

	snprintf(dir, sizeof dir, "%s/seen", f->dir);
	assert_int_equal(seen_open(&seen, dir), 0);
	cid_of(&cid, 1, CODEC_RAW, "old", 3);
	make_file(f->fd, "f", "new", 3);
	assert_int_equal(fstatat(f->fd, "f", &st, 0), 0);

	/* Too young to be sure of. */
	seen_note(seen, 7, &st, st.st_ctim.tv_sec + 1, &cid, 3);
	seen_flush(seen);
	assert_false(seen_find(seen, 7, &st, &other, &tsize));

	seen_note(seen, 7, &st, later, &cid, 3);
	seen_close(seen);
	assert_int_equal(seen_open(&seen, dir), 0);
	assert_true(seen_find(seen, 7, &st, &other, &tsize));
	assert_true(cid_equal(&cid, &other) && tsize == 3);
	assert_false(seen_find(seen, 8, &st, &other, &tsize));
	for (int i = 0; i < 5; i++) {
		struct stat changed = st;

		if (i == 0)
			changed.st_size++;
		else if (i == 1)
			changed.st_mtim.tv_nsec ^= 1;
		else if (i == 2)
			changed.st_ctim.tv_sec++;
		else if (i == 3)
			changed.st_ino++;
		else
			changed.st_dev++;
		assert_false(seen_find(seen, 7, &changed, &other, &tsize));
	}
	seen_close(seen);
}

static void notes_of_many_files_fill_their_pages(void **state)
{
	struct fixture *f = *state;
	const int64_t later = 4000000000;
	struct seen *seen;
	struct stat st = { .st_dev = 3, .st_size = 3 }, file;
	struct cid cid, other;
	uint64_t tsize;
	char dir[128];

	snprintf(dir, sizeof dir, "%s/seen", f->dir);
	assert_int_equal(seen_open(&seen, dir), 0);
	cid_of(&cid, 1, CODEC_RAW, "old", 3);
	for (unsigned i = 0; i < 30000; i++) {
		st.st_ino = 1000 + i * 7919 % 30000; /* each once */
		seen_note(seen, 7, &st, later, &cid, 3);
	}
	seen_close(seen);
	/* 112 bytes for each. */
	snprintf(dir, sizeof dir, "%s/seen/data.mdb", f->dir);
	assert_int_equal(stat(dir, &file), 0);
	assert_in_range(file.st_size, 30000 * 100, 30000 * 130);
	snprintf(dir, sizeof dir, "%s/seen", f->dir);
	assert_int_equal(seen_open(&seen, dir), 0);
	for (unsigned i = 0; i < 30000; i += 100) {
		st.st_ino = 1000 + i;
		assert_true(seen_find(seen, 7, &st, &other, &tsize));
	}
	seen_forget(seen);
	assert_false(seen_find(seen, 7, &st, &other, &tsize));
	seen_close(seen);
}

static int count_root(void *arg, const struct cid *root)
{
	++*(int *)arg;
	return 0;
}

/* As version 1 wrote them: without a format, and keys in the machine's order. */
static void notes_of_an_older_format_are_forgotten(void **state)
{
	struct fixture *f = *state;
	uint64_t key[3] = { 3, 1000, 8 };
	uint8_t value[100] = { 0 };
	struct seen *seen;
	struct cid cid;
	char dir[128];
	MDB_env *env;
	MDB_txn *txn;
	MDB_dbi dbi;
	int n = 0;

	snprintf(dir, sizeof dir, "%s/seen", f->dir);
	cid_of(&cid, 1, CODEC_RAW, "old", 3);
	MDB_val k = { sizeof key, key }, v = { 40 + cid_encode(&cid, value + 40), value };
	assert_int_equal(mdb_env_create(&env), 0);
	assert_int_equal(mdb_env_open(env, dir, 0, 0600), 0);
	assert_int_equal(mdb_txn_begin(env, NULL, 0, &txn), 0);
	assert_int_equal(mdb_dbi_open(txn, NULL, 0, &dbi), 0);
	assert_int_equal(mdb_put(txn, dbi, &k, &v, 0), 0);
	assert_int_equal(mdb_txn_commit(txn), 0);
	mdb_env_close(env);
	assert_int_equal(seen_open(&seen, dir), 0);
	assert_int_equal(seen_each(seen, count_root, &n), 0);
	assert_int_equal(n, 0);
	seen_close(seen);
}

/*
 * An import believes the note, which is shown with a note that is not true; but
 * only while the root that it names is in the store.
 */
static void a_known_file_is_not_read_while_its_root_is_here(void **state)
{
	struct fixture *f = *state;
	char dir[128];
	struct cid lie, truth;
	struct stat st;

	snprintf(dir, sizeof dir, "%s/seen", f->dir);
	assert_int_equal(seen_open(&f->options.seen, dir), 0);
	make_file(f->fd, "f", "hello world", 11);
	assert_int_equal(fstatat(f->fd, "f", &st, 0), 0);
	cid_of(&lie, 1, CODEC_RAW, "HELLO WORLD", 11);
	cid_of(&truth, 1, CODEC_RAW, "hello world", 11);
	seen_note(f->options.seen, import_fingerprint(&f->options), &st, INT64_MAX, &lie, 11);
	seen_flush(f->options.seen);

	assert_int_equal(import(f, "/f"), 0);
	assert_true(cid_equal(&f->result.root, &truth));
	assert_int_equal(store_put_bytes(f->store, &lie.hash, "HELLO WORLD", 11), 0);
	assert_int_equal(import(f, "/f"), 0);
	assert_true(cid_equal(&f->result.root, &lie));
	assert_true(f->result.files == 1 && f->result.bytes == 11 && f->result.tsize == 11);

	/* Another option is another file, and so is another time. */
	f->profile = *profile_find("unixfs-v0-2015");
	assert_int_equal(import(f, "/f"), 0);
	assert_root(f, "Qmf412jQZiuVUtdgnB36FXFX7xg5V6KEbSJ4dpQuhkLyfD");
	f->profile = *profile_find("unixfs-v1-2025");
	set_times(f->fd, "f", 1000000000, 0);
	assert_int_equal(import(f, "/f"), 0);
	assert_true(cid_equal(&f->result.root, &truth));
	seen_close(f->options.seen);
}

/* What an import has read, it notes. */
static void a_file_that_was_read_is_noted(void **state)
{
	struct fixture *f = *state;
	char dir[128];
	struct cid cid;
	struct stat st;
	uint64_t tsize;

	/* Any file that did not change just now: a new one could not be trusted. */
	if (stat("/etc/passwd", &st) < 0 || !st.st_size)
		skip();
	snprintf(dir, sizeof dir, "%s/seen", f->dir);
	assert_int_equal(seen_open(&f->options.seen, dir), 0);
	set_chunker(f, "size-100");
	for (int i = 0; i < 2; i++) {
		assert_int_equal(import_path(f->store, "/etc/passwd", &f->options, &f->result), 0);
		assert_true(seen_find(f->options.seen, import_fingerprint(&f->options), &st, &cid, &tsize));
		assert_true(cid_equal(&cid, &f->result.root) && tsize == f->result.tsize);
	}
	seen_close(f->options.seen);
}

static void wrapping_makes_a_directory(void **state)
{
	struct fixture *f = *state;
	struct import_named named[2] = { { .name = "b" }, { .name = "a" } };
	struct import_result wrapped;

	make_file(f->fd, "a", "hello", 5);
	make_file(f->fd, "b", "world", 5);
	assert_int_equal(import(f, "/b"), 0);
	named[0].cid = f->result.root;
	named[0].tsize = f->result.tsize;
	assert_int_equal(import(f, "/a"), 0);
	named[1].cid = f->result.root;
	named[1].tsize = f->result.tsize;
	assert_int_equal(import(f, ""), 0);
	assert_int_equal(import_wrap(f->store, named, 2, &f->options, &wrapped), 0);
	assert_true(cid_equal(&wrapped.root, &f->result.root));
	assert_true(wrapped.tsize == f->result.tsize);
	named[1].name = "b";
	assert_int_equal(import_wrap(f->store, named, 2, &f->options, &wrapped), -EEXIST);
	named[1].name = "../b";
	assert_int_equal(import_wrap(f->store, named, 2, &f->options, &wrapped), -EINVAL);
}

int main(void)
{
#define TEST(t) cmocka_unit_test_setup_teardown(t, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(files_have_kubos_cids),
		TEST(attributes_are_kept_as_kubo_does),
		TEST(only_hashing_stores_nothing),
		TEST(holes_are_zeros),
		TEST(a_sparse_file_of_100_gib_takes_no_time),
		TEST(rules_decide_what_is_left_out),
		TEST(a_pattern_with_many_stars_ends_soon),
		TEST(a_note_counts_for_the_very_state_it_is_of),
		TEST(notes_of_many_files_fill_their_pages),
		TEST(notes_of_an_older_format_are_forgotten),
		TEST(a_known_file_is_not_read_while_its_root_is_here),
		TEST(a_file_that_was_read_is_noted),
		TEST(wrapping_makes_a_directory),
	};
	return cmocka_run_group_tests_name("import_options", tests, NULL, NULL);
}
