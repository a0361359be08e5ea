/*
 * A mount in the kernel: one node in this process, its loop on a thread, and
 * the test as the program that uses the files.
 */
#include "fs/mount.h"
#include "tests/helpers/memory.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <time.h>
#include <unistd.h>

struct fixture {
	struct memory m; /* to build trees in; those marked `here` go to the store */
	char dir[64], mnt[80];
	uv_loop_t loop;
	pthread_t thread;
	struct store *store;
	struct node *node;
	struct secret_key key;
	struct mount *mount;
	bool stopped;

	sem_t done;
	int result;
	/* what is asked of the loop thread */
	const char *source;
	uint64_t timeout;
};

static void on_loop(struct fixture *f, void (*fn)(void *arg))
{
	assert_int_equal(node_post(f->node, fn, f), 0);
	while (sem_wait(&f->done) < 0)
		;
}

static void *run_loop(void *arg)
{
	uv_run(arg, UV_RUN_DEFAULT);
	return NULL;
}

static int start(void **state, bool offline)
{
	struct fixture *f = calloc(1, sizeof *f);
	struct store_config sc = { .cache_bytes = 1 << 20 };
	struct node_config nc = { .loop = &f->loop,
				  .key = &f->key,
				  .dht = DHT_CLIENT,
				  .prefix = "/test",
				  .offline = offline };

	memory_init(&f->m);
	strcpy(f->dir, "/tmp/cairn-test-XXXXXX");
	assert_non_null(mkdtemp(f->dir));
	snprintf(f->mnt, sizeof f->mnt, "%s/mnt", f->dir);
	assert_int_equal(mkdir(f->mnt, 0700), 0);
	assert_int_equal(sem_init(&f->done, 0, 0), 0);
	assert_int_equal(store_open(&f->store, f->dir, STORE_WRITE | STORE_CREATE, &sc),
			 0);
	assert_int_equal(uv_loop_init(&f->loop), 0);
	key_generate(&f->key);
	nc.store = f->store;
	nc.dir = f->dir;
	assert_int_equal(node_start(&f->node, &nc), 0);
	assert_int_equal(pthread_create(&f->thread, NULL, run_loop, &f->loop), 0);
	*state = f;
	return 0;
}

static int setup(void **state)
{
	return start(state, false);
}

static int setup_offline(void **state)
{
	return start(state, true);
}

static void on_done(void *arg)
{
	struct fixture *f = arg;

	sem_post(&f->done);
}

static void stop_mount(void *arg)
{
	struct fixture *f = arg;

	mount_stop(f->mount, on_done, f);
}

static void stop_node(void *arg)
{
	struct fixture *f = arg;

	node_stop(f->node, on_done, f);
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	char command[128];

	if (f->mount && !f->stopped)
		on_loop(f, stop_mount);
	on_loop(f, stop_node);
	pthread_join(f->thread, NULL);
	assert_int_equal(uv_loop_close(&f->loop), 0);
	store_close(f->store);
	snprintf(command, sizeof command, "rm -rf '%s'", f->dir);
	assert_int_equal(system(command), 0);
	memory_release(&f->m);
	sem_destroy(&f->done);
	free(f);
	return 0;
}

/* The blocks that are `here` go to the store. */
static void keep(struct fixture *f)
{
	for (struct memory_block *b = f->m.blocks; b; b = b->next) {
		if (b->here)
			assert_int_equal(store_put(f->store, b->block), 0);
	}
}

static void on_mounted(void *arg, int result, struct mount *m)
{
	struct fixture *f = arg;

	f->mount = m;
	f->result = result;
	sem_post(&f->done);
}

static void start_mount(void *arg)
{
	struct fixture *f = arg;
	struct mount_options o = { .source = f->source,
				   .dir = f->mnt,
				   .timeout_ms = f->timeout };

	mount_start(f->node, &o, on_mounted, f);
}

static int try_mount(struct fixture *f, const char *source)
{
	keep(f);
	f->source = source;
	on_loop(f, start_mount);
	return f->result;
}

static void mount_cid(struct fixture *f, const struct cid *cid)
{
	char text[CID_TEXT_MAX], source[CID_TEXT_MAX + 8];
	int r;

	snprintf(source, sizeof source, "/ipfs/%s", cid_text(cid, text));
	r = try_mount(f, source);
	if (r == -ENODEV || r == -EPERM)
		skip(); /* no FUSE for us here */
	assert_int_equal(r, 0);
}

static const char *at(struct fixture *f, const char *name)
{
	static char path[512];

	snprintf(path, sizeof path, "%s/%s", f->mnt, name);
	return path;
}

/* What the file holds, or "errno N". */
static const char *content(struct fixture *f, const char *name)
{
	static char text[4096];
	int fd = open(at(f, name), O_RDONLY);
	ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof text - 1);

	if (n < 0)
		snprintf(text, sizeof text, "errno %d", errno);
	else
		text[n] = 0;
	if (fd >= 0)
		close(fd);
	return text;
}

static const char *errno_text(int e)
{
	static char text[32];

	snprintf(text, sizeof text, "errno %d", e);
	return text;
}

static void a_tree_looks_like_files(void **state)
{
	struct fixture *f = *state;
	struct cid leaf = memory_raw(&f->m, "hello", true);
	struct cid parts[] = { memory_raw(&f->m, "one", true),
			       memory_raw(&f->m, "two", true) };
	uint64_t sizes[] = { 3, 3 };
	struct cid file = memory_file(&f->m, parts, sizes, 2, true);
	struct cid link = memory_symlink(&f->m, "sub/leaf", true);
	struct memory_link sub[] = { { "leaf", leaf, 5 } };
	struct memory_link l[] = { { "file", file, 100 },
				   { "link", link, 50 },
				   { "sub", memory_dir(&f->m, sub, 1, true), 100 } };
	struct cid root = memory_dir(&f->m, l, 3, true);
	char text[512], cid[CID_TEXT_MAX];
	struct stat st;
	struct dirent *e;
	DIR *d;
	int n = 0;
	ssize_t len;

	mount_cid(f, &root);
	assert_string_equal(content(f, "file"), "onetwo");
	assert_string_equal(content(f, "sub/leaf"), "hello");
	assert_string_equal(content(f, "link"), "hello");
	assert_string_equal(content(f, "none"), errno_text(ENOENT));
	len = readlink(at(f, "link"), text, sizeof text);
	assert_int_equal(len, 8);
	assert_memory_equal(text, "sub/leaf", 8);
	assert_int_equal(stat(at(f, "file"), &st), 0);
	assert_int_equal(st.st_mode, S_IFREG | 0444);
	assert_int_equal(st.st_size, 6);
	assert_int_equal(st.st_uid, getuid());
	assert_int_equal(stat(at(f, "sub"), &st), 0);
	assert_int_equal(st.st_mode, S_IFDIR | 0555);
	d = opendir(f->mnt);
	assert_non_null(d);
	while ((e = readdir(d)))
		n++;
	closedir(d);
	assert_int_equal(n, 5);
	assert_int_equal(open(at(f, "new"), O_CREAT | O_WRONLY, 0600), -1);
	assert_int_equal(errno, EROFS);
	len = getxattr(at(f, "sub/leaf"), "ipfs.cid", text, sizeof text);
	assert_int_equal(len, strlen(cid_text(&leaf, cid)));
	assert_memory_equal(text, cid, len);
}

static void a_block_that_nobody_has_is_an_error_in_the_end(void **state)
{
	struct fixture *f = *state;
	struct cid gone = memory_raw(&f->m, "gone", false),
		   leaf = memory_raw(&f->m, "here", true);
	struct memory_link l[] = { { "gone", gone, 4 }, { "here", leaf, 4 } };
	struct cid root = memory_dir(&f->m, l, 2, true);
	struct stat st;

	f->timeout = 300;
	mount_cid(f, &root);
	assert_int_equal(stat(at(f, "gone"), &st), 0);
	assert_string_equal(content(f, "gone"), errno_text(EIO));
	assert_string_equal(content(f, "here"), "here");
}

static void offline_what_is_absent_fails_at_once(void **state)
{
	struct fixture *f = *state;
	struct cid gone = memory_raw(&f->m, "gone", false),
		   leaf = memory_raw(&f->m, "here", true);
	struct memory_link l[] = { { "gone", gone, 4 }, { "here", leaf, 4 } };
	struct cid root = memory_dir(&f->m, l, 2, true);

	mount_cid(f, &root);
	assert_string_equal(content(f, "gone"), errno_text(ENETUNREACH));
	assert_string_equal(content(f, "here"), "here");
}

static int wait_for(pid_t pid, int seconds)
{
	struct timespec tick = { 0, 10000000 };
	int status;

	for (int i = 0; i < seconds * 100; i++) {
		if (waitpid(pid, &status, WNOHANG) == pid)
			return status;
		nanosleep(&tick, NULL);
	}
	kill(pid, SIGKILL);
	return -1;
}

static uint64_t parked(struct fixture *f)
{
	struct mount_stat s;

	mount_stat(f->mount, &s);
	return s.parked;
}

static void a_reader_that_waits_can_be_interrupted(void **state)
{
	struct fixture *f = *state;
	struct cid gone = memory_raw(&f->m, "gone", false),
		   leaf = memory_raw(&f->m, "here", true);
	struct cid dir = memory_dir(&f->m, NULL, 0, false);
	struct memory_link l[] = { { "dir", dir, 4 },
				   { "gone", gone, 4 },
				   { "here", leaf, 4 } };
	struct cid root = memory_dir(&f->m, l, 3, true);
	struct timespec tick = { 0, 10000000 };

	mount_cid(f, &root);
	for (int i = 0; i < 2; i++) {
		char *argv[] = { i ? "ls" : "cat", (char *)at(f, i ? "dir" : "gone"),
				 NULL };
		pid_t pid = fork();
		int status;

		if (pid == 0) {
			int null = open("/dev/null", O_WRONLY);

			dup2(null, 2);
			execvp(argv[0], argv);
			_exit(127);
		}
		while (parked(f) == 0)
			nanosleep(&tick, NULL);
		assert_string_equal(content(f, "here"), "here");
		kill(pid, SIGINT);
		status = wait_for(pid, 10);
		assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGINT);
	}
}

static void it_can_be_stopped_while_it_is_used(void **state)
{
	struct fixture *f = *state;
	struct cid gone = memory_raw(&f->m, "gone", false);
	struct memory_link l[] = { { "gone", gone, 4 } };
	struct cid root = memory_dir(&f->m, l, 1, true);
	struct timespec tick = { 0, 10000000 };
	struct stat st;
	pid_t pid;
	int fd;

	mount_cid(f, &root);
	fd = open(f->mnt, O_RDONLY | O_DIRECTORY);
	assert_true(fd >= 0);
	pid = fork();
	if (pid == 0) {
		int null = open("/dev/null", O_WRONLY);

		dup2(null, 2);
		execlp("cat", "cat", at(f, "gone"), NULL);
		_exit(127);
	}
	while (parked(f) == 0)
		nanosleep(&tick, NULL);
	on_loop(f, stop_mount);
	f->stopped = true;
	assert_int_equal(wait_for(pid, 10), 1 << 8); /* cat says what failed */
	assert_int_equal(fstatat(fd, "unseen", &st, 0), -1);
	assert_int_equal(errno, ENOTCONN);
	close(fd);
	assert_int_equal(stat(at(f, "gone"), &st), -1);
	assert_int_equal(errno, ENOENT); /* the empty directory again */
}

static void on_gone(void *arg)
{
	struct fixture *f = arg;

	sem_post(&f->done);
}

static void watch_mount(void *arg)
{
	struct fixture *f = arg;

	mount_on_gone(f->mount, on_gone, f);
}

static void unmounting_by_hand_is_noticed(void **state)
{
	struct fixture *f = *state;
	struct cid root = memory_dir(&f->m, NULL, 0, true);
	char command[128];

	mount_cid(f, &root);
	assert_int_equal(node_post(f->node, watch_mount, f), 0);
	snprintf(command, sizeof command, "%s '%s'",
		 geteuid() == 0 ? "umount" : "fusermount3 -u", f->mnt);
	assert_int_equal(system(command), 0);
	while (sem_wait(&f->done) < 0)
		;
}

static void places_that_do_not_fit_are_refused(void **state)
{
	struct fixture *f = *state;
	struct cid leaf = memory_raw(&f->m, "here", true);
	struct cid root = memory_dir(&f->m, NULL, 0, true);
	char text[CID_TEXT_MAX], source[CID_TEXT_MAX + 32], file[128];
	struct mount *mount;
	int fd;

	snprintf(file, sizeof file, "%s/file", f->mnt);
	fd = open(file, O_CREAT | O_WRONLY, 0600);
	assert_true(fd >= 0);
	close(fd);
	snprintf(source, sizeof source, "/ipfs/%s", cid_text(&root, text));
	assert_int_equal(try_mount(f, source), -ENOTEMPTY);
	unlink(file);
	assert_int_equal(try_mount(f, "/etc/passwd"), -EINVAL);
	assert_int_equal(try_mount(f, "/ipfs/nonsense"), -EINVAL);
	snprintf(source, sizeof source, "/ipfs/%s/no/such", text);
	assert_int_equal(try_mount(f, source), -ENOENT);
	snprintf(source, sizeof source, "/ipfs/%s", cid_text(&leaf, text));
	assert_int_equal(try_mount(f, source), -ENOTDIR);
	mount_cid(f, &root);
	mount = f->mount;
	snprintf(source, sizeof source, "/ipfs/%s", cid_text(&root, text));
	assert_int_equal(try_mount(f, source), -EBUSY);
	f->mount = mount;
	strcat(f->mnt, "/x");
	assert_int_equal(try_mount(f, source), -ENOENT);
	f->mnt[strlen(f->mnt) - 2] = 0;
	f->mount = mount;
}

static void on_published(void *arg, int result)
{
	struct fixture *f = arg;

	f->result = result;
	sem_post(&f->done);
}

static void start_publish(void *arg)
{
	struct fixture *f = arg;

	names_publish(f->node->names, &f->key, f->source, NULL, on_published, f);
}

static void publish(struct fixture *f, const struct cid *cid)
{
	char text[CID_TEXT_MAX], value[CID_TEXT_MAX + 8];

	keep(f);
	snprintf(value, sizeof value, "/ipfs/%s", cid_text(cid, text));
	f->source = value;
	on_loop(f, start_publish);
	assert_true(f->result >= 0);
}

static struct peer_id self_of(struct fixture *f)
{
	struct public_key key;
	struct peer_id self;

	key_public(&f->key, &key);
	key_peer(&key, &self);
	return self;
}

/* A move is told to the kernel behind our back: give it ten seconds. */
static bool becomes(struct fixture *f, const char *name, const char *want)
{
	struct timespec tick = { 0, 10000000 };

	for (int i = 0; i < 1000; i++) {
		if (strcmp(content(f, name), want) == 0)
			return true;
		nanosleep(&tick, NULL);
	}
	return false;
}

static void a_name_that_moves_shows_its_new_tree(void **state)
{
	struct fixture *f = *state;
	struct cid one = memory_raw(&f->m, "one", true),
		   two = memory_raw(&f->m, "two!", true);
	struct memory_link sub1[] = { { "x", one, 3 } }, sub2[] = { { "x", two, 4 } };
	struct memory_link old[] = { { "changed", one, 3 },
				     { "removed", one, 3 },
				     { "same", one, 3 },
				     { "sub", memory_dir(&f->m, sub1, 1, true), 60 } };
	struct memory_link new[] = { { "added", two, 4 },
				     { "changed", two, 4 },
				     { "same", one, 3 },
				     { "sub", memory_dir(&f->m, sub2, 1, true), 60 } };
	struct cid from = memory_dir(&f->m, old, 4, true),
		   to = memory_dir(&f->m, new, 4, true);
	char name[PEER_TEXT_MAX], source[PEER_TEXT_MAX + 8], text[8] = "";
	struct peer_id self = self_of(f);
	struct stat before, after;
	int open_file, r;

	publish(f, &from);
	snprintf(source, sizeof source, "/ipns/%s", peer_name_text(&self, name));
	r = try_mount(f, source);
	if (r == -ENODEV || r == -EPERM)
		skip();
	assert_int_equal(r, 0);
	assert_string_equal(content(f, "changed"), "one");
	assert_string_equal(content(f, "removed"), "one");
	assert_string_equal(content(f, "sub/x"), "one");
	assert_string_equal(content(f, "added"), errno_text(ENOENT));
	assert_int_equal(stat(at(f, "sub"), &before), 0);
	open_file = open(at(f, "changed"), O_RDONLY);
	assert_true(open_file >= 0);

	publish(f, &to);
	assert_true(becomes(f, "changed", "two!"));
	assert_true(becomes(f, "added", "two!"));
	assert_true(becomes(f, "removed", errno_text(ENOENT)));
	assert_true(becomes(f, "sub/x", "two!"));
	assert_string_equal(content(f, "same"), "one");
	assert_int_equal(stat(at(f, "sub"), &after), 0);
	assert_true(before.st_ino == after.st_ino);
	assert_int_equal(read(open_file, text, sizeof text), 3);
	assert_string_equal(text, "one");
	close(open_file);
}

static void the_whole_name_space_has_both_kinds(void **state)
{
	struct fixture *f = *state;
	struct cid one = memory_raw(&f->m, "one", true),
		   two = memory_raw(&f->m, "two!", true);
	struct memory_link old[] = { { "x", one, 3 } }, new[] = { { "x", two, 4 } };
	struct cid from = memory_dir(&f->m, old, 1, true),
		   to = memory_dir(&f->m, new, 1, true);
	char cid[CID_TEXT_MAX], name[PEER_TEXT_MAX], by_cid[512], by_name[512];
	struct peer_id self = self_of(f);
	int r;

	publish(f, &from);
	r = try_mount(f, NULL);
	if (r == -ENODEV || r == -EPERM)
		skip();
	assert_int_equal(r, 0);
	snprintf(by_cid, sizeof by_cid, "ipfs/%s/x", cid_text(&from, cid));
	snprintf(by_name, sizeof by_name, "ipns/%s/x", peer_name_text(&self, name));
	assert_string_equal(content(f, by_cid), "one");
	assert_string_equal(content(f, by_name), "one");
	assert_string_equal(content(f, "ipfs/nonsense"), errno_text(ENOENT));
	assert_string_equal(content(f, "ipns/nonsense"), errno_text(ENOENT));
	publish(f, &to);
	assert_true(becomes(f, by_name, "two!"));
	assert_string_equal(content(f, by_cid), "one");
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(a_tree_looks_like_files),
		TEST(a_block_that_nobody_has_is_an_error_in_the_end),
		cmocka_unit_test_setup_teardown(offline_what_is_absent_fails_at_once,
						setup_offline, teardown),
		TEST(a_reader_that_waits_can_be_interrupted),
		TEST(it_can_be_stopped_while_it_is_used),
		TEST(unmounting_by_hand_is_noticed),
		TEST(places_that_do_not_fit_are_refused),
		TEST(a_name_that_moves_shows_its_new_tree),
		TEST(the_whole_name_space_has_both_kinds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
