/* What of a tree on disk is taken into the store, and under which CIDs. */
#include "store/build_dir.h"
#include "store/dagpb.h"
#include "store/error.h"
#include "store/import.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#define EMPTY_FILE "bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku"
#define EMPTY_DIR  "bafybeiczsscdsbs7ffqz55asqdf3smv6klcw3gofszvwlyarci47bgf354"
#define HELLO	   "bafkreifzjut3te2nhyekklss27nh3k72ysco7y32koao5eei66wof36n5e"

struct fixture {
	char dir[64], path[128];
	int fd; /* of dir/tree, where tests make their files */
	struct store *store;
	struct import_options options;
	struct import_result result;
	int warnings, last_error;
	char last_path[8192];
};

static void on_warn(void *arg, const char *path, int error)
{
	struct fixture *f = arg;

	f->warnings++;
	f->last_error = error;
	snprintf(f->last_path, sizeof f->last_path, "%s", path);
}

static int set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof *f);
	char path[128];

	assert_non_null(f);
	snprintf(f->dir, sizeof f->dir, "/tmp/cairn-import-XXXXXX");
	assert_non_null(mkdtemp(f->dir));
	snprintf(path, sizeof path, "%s/store", f->dir);
	assert_int_equal(mkdir(path, 0700), 0);
	assert_int_equal(store_open(&f->store, path, STORE_WRITE | STORE_CREATE,
				    &(struct store_config){ 0 }),
			 0);
	snprintf(f->path, sizeof f->path, "%s/tree", f->dir);
	assert_int_equal(mkdir(f->path, 0700), 0);
	f->fd = open(f->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(f->fd >= 0);
	f->options.profile = profile_find("unixfs-v1-2025");
	f->options.warn = on_warn;
	f->options.warn_arg = f;
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

/* Every block below is there, and every Tsize of a link is true. */
static uint64_t check_blocks(struct store *s, const struct cid *cid)
{
	struct dagpb_node node;
	struct dagpb_link l;
	struct block *b;

	assert_int_equal(store_get(s, &cid->hash, &b), 0);
	uint64_t size = b->size;
	if (cid->codec == CODEC_DAG_PB) {
		assert_int_equal(dagpb_decode(&node, b->data, b->size), 0);
		while (dagpb_next(&node.links, &l) > 0) {
			struct cid child;

			assert_int_equal(dagpb_link_cid(&l, &child), 0);
			assert_true(check_blocks(s, &child) == l.tsize);
			size += l.tsize;
		}
	}
	block_unref(b);
	return size;
}

static int import(struct fixture *f, const char *below)
{
	char path[256];
	int r;

	snprintf(path, sizeof path, "%s%s", f->path, below);
	r = import_path(f->store, path, &f->options, &f->result);
	if (r == 0)
		assert_true(check_blocks(f->store, &f->result.root) == f->result.tsize);
	return r;
}

static const char *root(const struct fixture *f)
{
	static _Thread_local char text[CID_TEXT_MAX];

	return cid_text(&f->result.root, text);
}

struct want {
	const char *name, *cid;
	uint64_t tsize;
};

static int forget(struct block_sink *self, const struct multihash *name, const void *data,
		  size_t len)
{
	return 0;
}

/* The root is a directory of just these. */
static void assert_dir(const struct fixture *f, const struct want *want, size_t n)
{
	struct block_sink sink = { forget };
	struct dir_link links[16];
	uint8_t cids[16][CID_SIZE_MAX];
	struct built b;

	for (size_t i = 0; i < n; i++) {
		struct cid cid;

		assert_int_equal(cid_parse(&cid, want[i].cid, strlen(want[i].cid)), 0);
		links[i] = (struct dir_link){ .name = want[i].name,
					      .name_len = strlen(want[i].name),
					      .cid = cids[i],
					      .cid_len = cid_encode(&cid, cids[i]),
					      .tsize = want[i].tsize };
	}
	assert_int_equal(build_dir(f->options.profile, &sink, links, n, &b), 0);
	assert_true(cid_equal(&b.cid, &f->result.root));
	assert_true(b.tsize == f->result.tsize);
}

static void a_small_file_is_one_block(void **state)
{
	struct fixture *f = *state;

	make_file(f->fd, "hello", "hello world", 11);
	assert_int_equal(import(f, "/hello"), 0);
	assert_string_equal(root(f), HELLO);
	assert_true(f->result.files == 1 && f->result.dirs == 0 && f->result.bytes == 11);
	assert_true(f->result.tsize == 11);
	make_file(f->fd, "empty", "", 0);
	assert_int_equal(import(f, "/empty"), 0);
	assert_string_equal(root(f), EMPTY_FILE);

	f->options.profile = profile_find("unixfs-v0-2015");
	assert_int_equal(import(f, "/hello"), 0);
	assert_string_equal(root(f), "Qmf412jQZiuVUtdgnB36FXFX7xg5V6KEbSJ4dpQuhkLyfD");
	assert_int_equal(import(f, "/empty"), 0);
	assert_string_equal(root(f), "QmbFMke1KXqnYyBBWxB74N4c5SBnJMVAiMNRcGu6x1AwQH");
}

static void a_file_of_two_chunks_has_the_published_cid(void **state)
{
	struct fixture *f = *state;

	make_file(f->fd, "zeros", "", 0);
	int fd = openat(f->fd, "zeros", O_WRONLY | O_CLOEXEC);
	assert_int_equal(ftruncate(fd, 1048577), 0);
	close(fd);
	assert_int_equal(import(f, "/zeros"), 0);
	assert_string_equal(root(f),
			    "bafybeihd4yzq7n5umhjngdum4r6k2to7egxfkf2jz6thvwzf6djus22cmq");
	assert_true(f->result.bytes == 1048577);
}

struct feed {
	int fd;
	const uint8_t *data;
	size_t len;
};

static void *feed(void *arg)
{
	struct feed *d = arg;

	/* In odd pieces, as pipes give them. */
	for (size_t at = 0, n; at < d->len; at += n) {
		n = d->len - at < 50021 ? d->len - at : 50021;
		if (write(d->fd, d->data + at, n) != (ssize_t)n)
			break;
	}
	close(d->fd);
	return NULL;
}

static int import_pipe(struct fixture *f, const uint8_t *data, size_t len)
{
	int ends[2], r;
	pthread_t thread;

	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	struct feed d = { ends[1], data, len };
	assert_int_equal(pthread_create(&thread, NULL, feed, &d), 0);
	r = import_fd(f->store, ends[0], &f->options, &f->result);
	pthread_join(thread, NULL);
	close(ends[0]);
	return r;
}

static void threads_and_pipes_make_no_difference(void **state)
{
	struct fixture *f = *state;
	const size_t sizes[] = { 0, 1, 262144, 262145, 1048576, 2097152, 5242887 };
	const size_t max = 5242887;
	uint8_t *data = malloc(max);

	assert_non_null(data);
	for (size_t i = 0; i < max; i++)
		data[i] = (uint8_t)(i * 31 + (i >> 8) * 7 + (i >> 16));
	for (int p = 0; profiles[p]; p++) {
		f->options.profile = profiles[p];
		for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
			struct cid want;

			make_file(f->fd, "file", data, sizes[i]);
			f->options.jobs = 1;
			assert_int_equal(import(f, "/file"), 0);
			want = f->result.root;
			for (int jobs = 2; jobs <= 8; jobs += 3) {
				f->options.jobs = jobs;
				assert_int_equal(import(f, "/file"), 0);
				assert_true(cid_equal(&f->result.root, &want));
				assert_int_equal(import_pipe(f, data, sizes[i]), 0);
				assert_true(cid_equal(&f->result.root, &want));
				assert_true(f->result.bytes == sizes[i]);
				assert_true(f->result.files == 1);
			}
		}
	}
	free(data);
}

static void empty_directories_are_kept(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(import(f, ""), 0);
	assert_string_equal(root(f), EMPTY_DIR);
	assert_true(f->result.dirs == 1 && f->result.files == 0 && f->result.tsize == 4);
	assert_int_equal(mkdirat(f->fd, "nothing", 0700), 0);
	assert_int_equal(import(f, ""), 0);
	assert_dir(f, &(struct want){ "nothing", EMPTY_DIR, 4 }, 1);
	assert_true(f->result.dirs == 2);
}

static void odd_names_are_taken_as_they_are(void **state)
{
	struct fixture *f = *state;
	char long_name[256];
	memset(long_name, 'n', 255);
	long_name[255] = '\0';
	struct want want[] = {
		{ " ", HELLO, 11 },	 { "-rf", HELLO, 11 },	 { "a\nb", HELLO, 11 },
		{ "\xff\xfe", HELLO, 11 }, { "\\", HELLO, 11 },	 { "*?", HELLO, 11 },
		{ "\xc3\xa9", HELLO, 11 }, { "e\xcc\x81", HELLO, 11 }, { "A", HELLO, 11 },
		{ "a", HELLO, 11 },	 { long_name, HELLO, 11 },
	};
	const size_t n = sizeof want / sizeof *want;

	for (size_t i = 0; i < n; i++)
		make_file(f->fd, want[i].name, "hello world", 11);
	assert_int_equal(import(f, ""), 0);
	assert_dir(f, want, n);
	assert_true(f->result.files == n && f->result.bytes == 11 * n);
	/* A slash at the end of the path changes nothing. */
	assert_int_equal(import(f, "/"), 0);
	assert_dir(f, want, n);
}

static void dot_files_are_left_out_unless_asked_for(void **state)
{
	struct fixture *f = *state;

	make_file(f->fd, "seen", "hello world", 11);
	assert_int_equal(mkdirat(f->fd, ".dir", 0700), 0);
	make_file(f->fd, ".hidden", "", 0);
	assert_int_equal(import(f, ""), 0);
	assert_dir(f, &(struct want){ "seen", HELLO, 11 }, 1);
	assert_int_equal(import(f, "/.hidden"), 0);
	assert_string_equal(root(f), EMPTY_FILE);
	assert_int_equal(import(f, "/.dir"), 0);
	assert_string_equal(root(f), EMPTY_DIR);

	f->options.hidden = true;
	assert_int_equal(import(f, ""), 0);
	assert_dir(f,
		   (const struct want[]){ { ".dir", EMPTY_DIR, 4 },
					  { ".hidden", EMPTY_FILE, 0 },
					  { "seen", HELLO, 11 } },
		   3);
}

static void symlinks_are_kept_and_never_followed(void **state)
{
	struct fixture *f = *state;
	char outside[160];

	make_file(f->fd, "hello", "hello world", 11);
	assert_int_equal(symlinkat("nothing", f->fd, "dangling"), 0);
	f->options.profile = profile_find("unixfs-v0-2015");
	assert_int_equal(import(f, "/dangling"), 0);
	/* 0a0b 0804 1207 "nothing" */
	assert_true(f->result.tsize == 13 && f->result.symlinks == 1 && !f->result.files);
	struct cid nothing = f->result.root, want;
	cid_of(&want, 0, CODEC_DAG_PB, "\x0a\x0b\x08\x04\x12\x07nothing", 13);
	assert_true(cid_equal(&nothing, &want));

	/* To a directory, to itself, to the parent: all the same. */
	snprintf(outside, sizeof outside, "%s/store", f->dir);
	assert_int_equal(symlinkat(outside, f->fd, "away"), 0);
	assert_int_equal(symlinkat("self", f->fd, "self"), 0);
	assert_int_equal(symlinkat("..", f->fd, "up"), 0);
	assert_int_equal(import(f, ""), 0);
	assert_true(f->result.symlinks == 4 && f->result.files == 1 && f->result.dirs == 1);
	assert_int_equal(import(f, "/away"), 0);
	assert_true(f->result.symlinks == 1 && f->result.dirs == 0);
}

static void what_unixfs_has_no_word_for_is_left_out_and_told(void **state)
{
	struct fixture *f = *state;
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	int s = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	make_file(f->fd, "hello", "hello world", 11);
	assert_int_equal(mkfifoat(f->fd, "pipe", 0600), 0);
	snprintf(at.sun_path, sizeof at.sun_path, "%.80s/socket", f->path);
	assert_int_equal(bind(s, (struct sockaddr *)&at, sizeof at), 0);
	assert_int_equal(import(f, ""), 0);
	assert_dir(f, &(struct want){ "hello", HELLO, 11 }, 1);
	assert_int_equal(f->warnings, 2);
	assert_int_equal(f->last_error, -ENOTSUP);
	assert_string_equal(f->last_path, at.sun_path);
	assert_int_equal(import(f, "/pipe"), -ENOTSUP);
	close(s);
}

static void go_down(struct fixture *f, int depth)
{
	int at = dup(f->fd);

	for (int i = 0; i < depth; i++) {
		assert_int_equal(mkdirat(at, "d", 0700), 0);
		int next = openat(at, "d", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		assert_true(next >= 0);
		close(at);
		at = next;
	}
	make_file(at, "bottom", "hello world", 11);
	close(at);
}

static void b79_a_path_of_a_thousand_directories_is_taken(void **state)
{
	struct fixture *f = *state;

	go_down(f, 1000);
	assert_int_equal(import(f, ""), 0);
	assert_true(f->result.dirs == 1001 && f->result.files == 1);
}

static void b79_there_is_a_limit_to_depth(void **state)
{
	struct fixture *f = *state;

	go_down(f, 5000);
	assert_int_equal(import(f, ""), -ELOOP);
	assert_int_equal(f->last_error, -ELOOP);
}

static void a_missing_path_is_told(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(import(f, "/absent"), -ENOENT);
	assert_int_equal(f->warnings, 1);
	assert_int_equal(f->last_error, -ENOENT);
	assert_string_equal(strrchr(f->last_path, '/'), "/absent");
}

static void an_unreadable_file_is_an_error_with_its_path(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(mkdirat(f->fd, "sub", 0700), 0);
	make_file(f->fd, "sub/secret", "x", 1);
	assert_int_equal(fchmodat(f->fd, "sub/secret", 0, 0), 0);
	/* Root reads everything, so be somebody else meanwhile. */
	assert_int_equal(chmod(f->dir, 0711), 0);
	assert_int_equal(fchmod(f->fd, 0755), 0);
	assert_int_equal(fchmodat(f->fd, "sub", 0755, 0), 0);
	bool was_root = geteuid() == 0;
	if (was_root)
		assert_int_equal(seteuid(65534), 0);
	int r = import(f, "");
	if (was_root)
		assert_int_equal(seteuid(0), 0);
	assert_int_equal(r, -EACCES);
	assert_string_equal(strstr(f->last_path, "/tree/"), "/tree/sub/secret");
}

static void files_that_hide_their_size_are_read_to_the_end(void **state)
{
	struct fixture *f = *state;
	uint8_t data[4096];
	int fd = open("/proc/version", O_RDONLY | O_CLOEXEC);
	struct cid want;

	assert_true(fd >= 0);
	ssize_t n = read(fd, data, sizeof data);
	close(fd);
	assert_true(n > 0);
	cid_of(&want, 1, CODEC_RAW, data, n);
	assert_int_equal(import_path(f->store, "/proc/version", &f->options, &f->result), 0);
	assert_true(cid_equal(&f->result.root, &want));
}

struct meddler {
	int fd;
	atomic_bool stop;
};

static void *meddle(void *arg)
{
	struct meddler *m = arg;

	for (off_t size = 64 << 20; !atomic_load(&m->stop); size ^= 1 << 20)
		assert_int_equal(ftruncate(m->fd, size), 0);
	return NULL;
}

static void a_file_that_keeps_changing_is_given_up(void **state)
{
	struct fixture *f = *state;
	struct meddler m = { .fd = openat(f->fd, "log", O_RDWR | O_CREAT | O_CLOEXEC, 0600) };
	static const char some[1 << 20] = "no hole, which would be read too fast";
	pthread_t thread;
	int r = 0;

	assert_true(m.fd >= 0);
	for (int i = 0; i < 64; i++)
		assert_int_equal(write(m.fd, some, sizeof some), sizeof some);
	assert_int_equal(pthread_create(&thread, NULL, meddle, &m), 0);
	/* Should the meddler not get a turn for once, the result is a whole file. */
	for (int i = 0; i < 50 && r == 0; i++) {
		r = import(f, "/log");
		if (r == 0)
			assert_true(f->result.bytes == 64 << 20 || f->result.bytes == 65 << 20);
	}
	atomic_store(&m.stop, true);
	pthread_join(thread, NULL);
	assert_int_equal(r, -EAGAIN);
	assert_int_equal(f->last_error, -EAGAIN);
	assert_int_equal(import(f, "/log"), 0);
	close(m.fd);
}

static void a_directory_over_the_threshold_is_sharded(void **state)
{
	struct fixture *f = *state;
	struct block_sink sink = { forget };
	struct dir_link *links = calloc(900, sizeof *links);
	char(*names)[256] = calloc(900, sizeof *names);
	uint8_t cid[CID_SIZE_MAX];
	struct cid empty;
	struct built b;

	assert_non_null(links);
	assert_non_null(names);
	assert_int_equal(cid_parse(&empty, EMPTY_FILE, strlen(EMPTY_FILE)), 0);
	for (int i = 0; i < 900; i++) {
		memset(names[i], 'n', 255);
		names[i][snprintf(names[i], 255, "%d", i)] = '-';
		make_file(f->fd, names[i], "", 0);
		links[i] = (struct dir_link){ .name = names[i],
					      .name_len = 255,
					      .cid = cid,
					      .cid_len = cid_encode(&empty, cid) };
	}
	assert_int_equal(import(f, ""), 0);
	assert_int_equal(build_dir(f->options.profile, &sink, links, 900, &b), 0);
	assert_true(cid_equal(&b.cid, &f->result.root));
	assert_true(b.tsize == f->result.tsize);
	/* The root has a bitfield and no more than 256 links. */
	struct block *block;
	struct dagpb_node node;
	assert_int_equal(store_get(f->store, &b.cid.hash, &block), 0);
	assert_int_equal(dagpb_decode(&node, block->data, block->size), 0);
	assert_in_range(node.n_links, 200, 256);
	block_unref(block);
	free(names);
	free(links);
}

static void progress_adds_up(void **state)
{
	struct fixture *f = *state;
	struct import_progress progress = { 0 };
	uint8_t *data = calloc(1, 3 << 20);

	assert_non_null(data);
	make_file(f->fd, "a", data, 3 << 20);
	make_file(f->fd, "b", data, 77);
	assert_int_equal(symlinkat("a", f->fd, "c"), 0);
	f->options.progress = &progress;
	assert_int_equal(import(f, ""), 0);
	assert_true(progress.files == 2 && progress.files_total == 2);
	assert_true(progress.bytes == (3 << 20) + 77);
	assert_true(progress.bytes_total == progress.bytes);
	assert_true(f->result.bytes == progress.bytes);
	free(data);
}

static void a_cancelled_import_stops(void **state)
{
	struct fixture *f = *state;
	atomic_bool cancel = true;

	make_file(f->fd, "hello", "hello world", 11);
	f->options.cancel = &cancel;
	assert_int_equal(import(f, ""), -ECANCELED);
	assert_int_equal(f->warnings, 0);
	cancel = false;
	assert_int_equal(import(f, ""), 0);
}

static void *cancel_it(void *arg)
{
	atomic_store((atomic_bool *)arg, true);
	return NULL;
}

static void a_silent_pipe_does_not_keep_a_cancelled_import(void **state)
{
	struct fixture *f = *state;
	atomic_bool cancel = false;
	pthread_t thread;
	int ends[2];

	f->options.cancel = &cancel;
	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	assert_int_equal(write(ends[1], "hello", 5), 5);
	assert_int_equal(pthread_create(&thread, NULL, cancel_it, &cancel), 0);
	assert_int_equal(import_fd(f->store, ends[0], &f->options, &f->result), -ECANCELED);
	pthread_join(thread, NULL);
	close(ends[0]);
	close(ends[1]);
}

static void what_was_imported_is_durable(void **state)
{
	struct fixture *f = *state;
	char path[128];

	make_file(f->fd, "hello", "hello world", 11);
	assert_int_equal(import(f, ""), 0);
	assert_int_equal(store_close(f->store), 0);
	snprintf(path, sizeof path, "%s/store", f->dir);
	assert_int_equal(store_open(&f->store, path, STORE_WRITE, &(struct store_config){ 0 }), 0);
	assert_true(check_blocks(f->store, &f->result.root) == f->result.tsize);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_small_file_is_one_block),
		TEST(a_file_of_two_chunks_has_the_published_cid),
		TEST(threads_and_pipes_make_no_difference),
		TEST(empty_directories_are_kept),
		TEST(odd_names_are_taken_as_they_are),
		TEST(dot_files_are_left_out_unless_asked_for),
		TEST(symlinks_are_kept_and_never_followed),
		TEST(what_unixfs_has_no_word_for_is_left_out_and_told),
		TEST(b79_a_path_of_a_thousand_directories_is_taken),
		TEST(b79_there_is_a_limit_to_depth),
		TEST(a_missing_path_is_told),
		TEST(an_unreadable_file_is_an_error_with_its_path),
		TEST(files_that_hide_their_size_are_read_to_the_end),
		TEST(a_file_that_keeps_changing_is_given_up),
		TEST(a_directory_over_the_threshold_is_sharded),
		TEST(progress_adds_up),
		TEST(a_cancelled_import_stops),
		TEST(a_silent_pipe_does_not_keep_a_cancelled_import),
		TEST(what_was_imported_is_durable),
	};
	return cmocka_run_group_tests_name("import", tests, NULL, NULL);
}
