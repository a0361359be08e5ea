/*
 * LMDB gives up for good when it cannot write its meta page, and then refuses to
 * read, too.  What was committed is on the disk all the same.
 */
#include "fs/folder_internal.h"
#include "store/error.h"
#include "store/pin.h"
#include "store/store.h"
#include "tests/scratch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>

#define META_PAGES 8192 /* the first two pages of LMDB's file */

static char dir[SCRATCH_MAX];
static atomic_int meta_error; /* what a write there gets; 0: it is done */

/* In place of the C library's, for LMDB as well. */
static ssize_t write_at(int fd, const void *data, size_t len, int64_t at)
{
	char path[64], file[256];
	ssize_t n;

	if (meta_error && at < META_PAGES) {
		snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
		n = readlink(path, file, sizeof file - 1);
		file[n > 0 ? n : 0] = 0;
		if (strstr(file, "data.mdb")) {
			errno = meta_error;
			return -1;
		}
	}
	return syscall(SYS_pwrite64, fd, data, len, at);
}
ssize_t own_pwrite(int fd, const void *data, size_t len, int64_t at) __asm__("pwrite");
ssize_t own_pwrite(int fd, const void *data, size_t len, int64_t at)
{
	return write_at(fd, data, len, at);
}
ssize_t own_pwrite64(int fd, const void *data, size_t len, int64_t at) __asm__("pwrite64");
ssize_t own_pwrite64(int fd, const void *data, size_t len, int64_t at)
{
	return write_at(fd, data, len, at);
}

static int set_up(void **state)
{
	scratch_make(dir);
	meta_error = 0;
	return 0;
}

static int tear_down(void **state)
{
	scratch_remove(dir);
	return 0;
}

static struct block *text(const char *s)
{
	struct block *b;

	assert_int_equal(block_make(&b, s, strlen(s)), 0);
	return b;
}

static void put(struct store *s, const char *what)
{
	struct block *b = text(what);

	assert_int_equal(store_put(s, b), 0);
	block_unref(b);
}

static int get(struct store *s, const char *what)
{
	struct block *b = text(what), *got = NULL;
	int r = store_get(s, &b->name, &got);

	if (r == 0)
		assert_memory_equal(got->data, what, strlen(what));
	block_unref(got);
	block_unref(b);
	return r;
}

static void reading_goes_on_when_the_index_cannot_be_written(void **state)
{
	struct store *s;

	assert_int_equal(store_open(&s, dir, STORE_WRITE | STORE_CREATE, NULL), 0);
	put(s, "before");
	assert_int_equal(store_sync(s), 0);
	meta_error = EIO;
	put(s, "meanwhile");
	assert_int_equal(store_sync(s), -EIO);
	assert_int_equal(get(s, "before"), 0);
	assert_int_equal(get(s, "meanwhile"), 0);
	meta_error = 0;
	assert_int_equal(store_sync(s), -EIO); /* final, for writing */
	assert_int_equal(get(s, "before"), 0);
	store_close(s);
	assert_int_equal(store_open(&s, dir, STORE_WRITE, NULL), 0);
	assert_int_equal(get(s, "before"), 0);
	assert_int_equal(get(s, "meanwhile"), 0);
	assert_int_equal(store_close(s), 0);
}

static void writing_goes_on_when_there_is_room_again(void **state)
{
	struct store *s;

	assert_int_equal(store_open(&s, dir, STORE_WRITE | STORE_CREATE, NULL), 0);
	put(s, "before");
	assert_int_equal(store_sync(s), 0);
	meta_error = ENOSPC;
	put(s, "meanwhile");
	assert_int_equal(store_sync(s), -ENOSPC);
	assert_int_equal(get(s, "before"), 0);
	meta_error = 0;
	assert_int_equal(store_sync(s), 0);
	put(s, "after");
	assert_int_equal(store_close(s), 0);
	assert_int_equal(store_open(&s, dir, 0, NULL), 0);
	assert_int_equal(get(s, "before"), 0);
	assert_int_equal(get(s, "meanwhile"), 0);
	assert_int_equal(get(s, "after"), 0);
	assert_int_equal(store_close(s), 0);
}

static void pins_are_read_and_kept_when_their_table_could_not_be_written(void **state)
{
	struct block *one = text("one"), *two = text("two");
	struct cid a = { .version = 1, .codec = CODEC_RAW, .hash = one->name };
	struct cid b = { .version = 1, .codec = CODEC_RAW, .hash = two->name };
	struct pins *p;

	assert_int_equal(pins_create(&p, dir), 0);
	assert_int_equal(pins_add(p, &a, PIN_DIRECT, ""), 0);
	for (int error = EIO; error; error = error == EIO ? ENOSPC : 0) {
		meta_error = error;
		assert_int_equal(pins_add(p, &b, PIN_DIRECT, ""), -error);
		assert_int_equal(pins_has(p, &a), 1);
		assert_int_equal(pins_has(p, &b), 0);
		meta_error = 0;
		assert_int_equal(pins_add(p, &b, PIN_DIRECT, ""), 0);
		assert_int_equal(pins_has(p, &b), 1);
		meta_error = error;
		assert_int_equal(pins_remove(p, &b, NULL), -error);
		assert_int_equal(pins_has(p, &b), 1);
		meta_error = 0;
		assert_int_equal(pins_remove(p, &b, NULL), 1);
	}
	pins_close(p);
	assert_int_equal(pins_open(&p, dir, false), 0);
	assert_int_equal(pins_has(p, &a), 1);
	assert_int_equal(pins_has(p, &b), 0);
	pins_close(p);
	block_unref(one);
	block_unref(two);
}

static int make_file(struct folder *f, const char *name)
{
	const struct folder_caller me = { 0 };
	const struct folder_new file = { .mode = S_IFREG | 0644 };
	struct lack lack = { 0 };
	struct folder_attr a;

	return folder_make(f, &me, FOLDER_ROOT, name, &file, &a, &lack);
}

static int find_file(struct folder *f, const char *name)
{
	struct lack lack = { 0 };
	struct folder_attr a;

	return folder_lookup(f, FOLDER_ROOT, name, &a, &lack);
}

static void a_folder_is_read_when_its_table_cannot_be_written(void **state)
{
	const struct folder_config cfg = { .dir = dir,
					   .profile = profile_find("unixfs-v1-2025") };
	const struct cid none = { .version = 0xff };
	struct folder *f;

	assert_int_equal(folder_open(&f, &cfg, &none, &none), 0);
	assert_int_equal(make_file(f, "before"), 0);
	assert_int_equal(folder_close(f), 0);
	assert_int_equal(folder_open(&f, &cfg, &none, &none), 0);
	for (int error = EIO; error; error = error == EIO ? ENOSPC : 0) {
		meta_error = error;
		assert_int_equal(make_file(f, error == EIO ? "meanwhile" : "then"), 0);
		assert_int_equal(folder_checkpoint(f), -error);
		assert_int_equal(find_file(f, error == EIO ? "before" : "meanwhile"), 0);
		assert_int_equal(find_file(f, "nowhere"), -ENOENT);
		meta_error = 0;
		assert_int_equal(folder_checkpoint(f), 0);
	}
	assert_int_equal(folder_close(f), 0);
	assert_int_equal(folder_open(&f, &cfg, &none, &none), 0);
	assert_int_equal(find_file(f, "before"), 0);
	assert_int_equal(find_file(f, "meanwhile"), 0);
	assert_int_equal(find_file(f, "then"), 0);
	assert_int_equal(folder_close(f), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(reading_goes_on_when_the_index_cannot_be_written,
						 set_up, tear_down),
		cmocka_unit_test_setup_teardown(writing_goes_on_when_there_is_room_again,
						 set_up, tear_down),
		cmocka_unit_test_setup_teardown(
		    pins_are_read_and_kept_when_their_table_could_not_be_written, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_folder_is_read_when_its_table_cannot_be_written,
						 set_up, tear_down),
	};

	return cmocka_run_group_tests_name("meta_page", tests, NULL, NULL);
}
