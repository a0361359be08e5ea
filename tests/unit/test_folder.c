/*
 * Single rules of a writable folder, its log at every length, and disks that fail.
 */
#include "fs/folder.h"
#include "fs/acl.h"
#include "fs/folder_log.h"
#include "fs/folder_internal.h"
#include "fs/folder_snap.h"
#include "fs/snapshot.h"
#include "store/error.h"
#include "store/log.h"
#include "tests/helpers/block_table.h"
#include "tests/scratch.h"

#include <dirent.h>
#include <sys/xattr.h>

static char dir[SCRATCH_MAX];
static struct folder *f;
static struct block_table blocks;
static struct lack lack;
static struct cid misses[LACK_MAX];
static const struct folder_caller me = { 5, 6, 022 };
static const struct cid none = { .version = 0xff };

static int open_as(const struct cid *root, const struct cid *attrs)
{
	struct folder_config cfg = { .dir = dir,
				     .source = &blocks.source,
				     .profile = profile_find("unixfs-v1-2025") };

	return folder_open(&f, &cfg, root, attrs);
}

static void reopen(void)
{
	assert_int_equal(folder_close(f), 0);
	assert_int_equal(open_as(&none, &none), 0);
}

static int set_up(void **state)
{
	table_init(&blocks);
	scratch_make(dir);
	lack = (struct lack){ .blocks = { .cids = misses, .max = LACK_MAX } };
	return open_as(&none, &none);
}

static int tear_down(void **state)
{
	folder_log_io = (struct folder_log_io){ pwritev, fdatasync, ftruncate };
	if (f)
		folder_close(f);
	f = NULL;
	scratch_remove(dir);
	table_release(&blocks);
	return 0;
}

static uint64_t make(uint64_t in, const char *name, mode_t mode)
{
	const struct folder_new what = { .mode = mode, .target = "target" };
	struct folder_attr a;

	assert_int_equal(folder_make(f, &me, in, name, &what, &a, &lack), 0);
	return a.st.st_ino;
}

static void write_text(uint64_t ino, uint64_t at, const char *text)
{
	assert_int_equal(folder_write(f, ino, at, text, strlen(text), false, &lack),
			 strlen(text));
}

static void assert_text(uint64_t ino, const char *text)
{
	struct folder_bytes b;
	char all[4096] = "";
	size_t at = 0;

	assert_int_equal(folder_read(f, ino, 0, sizeof all - 1, &b, &lack), 0);
	for (int i = 0; i < b.n; i++) {
		if (b.pieces[i].data)
			memcpy(all + at, b.pieces[i].data, b.pieces[i].len);
		at += b.pieces[i].len;
	}
	folder_bytes_release(&b);
	assert_string_equal(all, text);
}

static struct stat stat_of(uint64_t ino)
{
	struct folder_attr a;

	assert_int_equal(folder_stat(f, ino, &a, &lack), 0);
	return a.st;
}

static uint64_t find(uint64_t in, const char *name)
{
	struct folder_attr a;

	if (folder_lookup(f, in, name, &a, &lack) < 0)
		return 0;
	folder_forget(f, a.st.st_ino, 1);
	return a.st.st_ino;
}

/* ---- rules ---- */

static void what_was_cut_off_never_comes_back(void **state)
{
	uint64_t ino = make(FOLDER_ROOT, "f", S_IFREG | 0666);
	struct stat st = { .st_size = 2 };
	struct folder_attr a;

	write_text(ino, 0, "secret");
	assert_int_equal(folder_setattr(f, ino, FOLDER_SET_SIZE, &st, &a, &lack), 0);
	st.st_size = 6;
	assert_int_equal(folder_setattr(f, ino, FOLDER_SET_SIZE, &st, &a, &lack), 0);
	assert_text(ino, "se");
	write_text(ino, 5, "!");
	reopen();
	assert_int_equal(stat_of(ino).st_size, 6);
	assert_int_equal(folder_seek(f, ino, 2, SEEK_DATA, &lack), 5);
}

static void sizes_end_where_files_do(void **state)
{
	uint64_t ino = make(FOLDER_ROOT, "f", S_IFREG | 0666);
	struct stat st = { .st_size = FOLDER_SIZE_MAX };
	struct folder_attr a;

	assert_int_equal(folder_write(f, ino, FOLDER_SIZE_MAX, "x", 1, false, &lack), -EFBIG);
	assert_int_equal(folder_write(f, ino, UINT64_MAX, "x", 1, false, &lack), -EFBIG);
	assert_int_equal(folder_write(f, ino, FOLDER_SIZE_MAX - 1, "x", 1, false, &lack), 1);
	assert_int_equal(stat_of(ino).st_size, FOLDER_SIZE_MAX);
	assert_int_equal(stat_of(ino).st_blocks, 1);
	assert_int_equal(folder_setattr(f, ino, FOLDER_SET_SIZE, &st, &a, &lack), 0);
	assert_int_equal(folder_seek(f, ino, 0, SEEK_DATA, &lack), FOLDER_SIZE_MAX - 1);
	assert_int_equal(folder_allocate(f, ino, 0, FOLDER_SIZE_MAX, 1, &lack), -EFBIG);
}

static void a_directory_cannot_move_into_itself(void **state)
{
	uint64_t a = make(FOLDER_ROOT, "a", S_IFDIR | 0777), b = make(a, "b", S_IFDIR | 0777);

	assert_int_equal(folder_rename(f, FOLDER_ROOT, "a", a, "x", 0, &lack), -EINVAL);
	assert_int_equal(folder_rename(f, FOLDER_ROOT, "a", b, "x", 0, &lack), -EINVAL);
	assert_int_equal(folder_rename(f, a, "b", FOLDER_ROOT, "a", 0, &lack), -ENOTEMPTY);
	assert_int_equal(folder_rename(f, a, "b", FOLDER_ROOT, "a", RENAME_EXCHANGE, &lack),
			 -EINVAL);
	assert_int_equal(folder_rename(f, a, "b", FOLDER_ROOT, "c", 4, &lack), -EINVAL);
}

static void names_have_255_bytes_at_most(void **state)
{
	char name[258];
	struct folder_attr a;
	const struct folder_new what = { .mode = S_IFREG | 0666 };

	memset(name, 'n', 256);
	name[256] = '\0';
	assert_int_equal(folder_make(f, &me, FOLDER_ROOT, name, &what, &a, &lack),
			 -ENAMETOOLONG);
	assert_int_equal(folder_lookup(f, FOLDER_ROOT, name, &a, &lack), -ENAMETOOLONG);
	name[255] = '\0';
	make(FOLDER_ROOT, name, S_IFREG | 0666);
	reopen();
	assert_int_not_equal(find(FOLDER_ROOT, name), 0);
}

static void an_open_file_without_a_name_lives_until_forgotten(void **state)
{
	uint64_t ino = make(FOLDER_ROOT, "f", S_IFREG | 0666);
	struct folder_attr a;

	assert_int_equal(folder_unlink(f, FOLDER_ROOT, "f", &lack), 0);
	write_text(ino, 0, "alive");
	assert_text(ino, "alive");
	assert_int_equal(stat_of(ino).st_nlink, 0);
	folder_forget(f, ino, 1);
	assert_int_equal(folder_stat(f, ino, &a, &lack), -ESTALE);
}

static void a_file_that_was_open_without_a_name_is_freed_when_opened_again(void **state)
{
	uint64_t ino = make(FOLDER_ROOT, "f", S_IFREG | 0666);
	struct folder_attr a;
	struct folder_state st;

	write_text(ino, 0, "alive");
	assert_int_equal(folder_unlink(f, FOLDER_ROOT, "f", &lack), 0);
	reopen();
	assert_int_equal(folder_stat(f, ino, &a, &lack), -ESTALE);
	folder_state(f, &st);
	assert_int_equal(st.dirty_bytes, 0);
}

static void a_file_without_a_name_can_get_one(void **state)
{
	struct folder_attr a;

	assert_int_equal(folder_tmpfile(f, &me, FOLDER_ROOT, 0600, &a, &lack), 0);
	uint64_t ino = a.st.st_ino;
	write_text(ino, 0, "kept");
	assert_int_equal(folder_link(f, ino, FOLDER_ROOT, "f", &a, &lack), 0);
	assert_int_equal(a.st.st_nlink, 1);
	reopen();
	assert_int_equal(find(FOLDER_ROOT, "f"), ino);
	assert_text(ino, "kept");
}

static void a_removed_directory_takes_nothing_new(void **state)
{
	uint64_t d = make(FOLDER_ROOT, "d", S_IFDIR | 0777);
	const struct folder_new what = { .mode = S_IFREG | 0666 };
	struct folder_attr a;

	assert_int_equal(folder_rmdir(f, FOLDER_ROOT, "d", &lack), 0);
	assert_int_equal(folder_make(f, &me, d, "x", &what, &a, &lack), -ENOENT);
}

static void directories_count_their_own(void **state)
{
	uint64_t a = make(FOLDER_ROOT, "a", S_IFDIR | 0777), b = make(FOLDER_ROOT, "b", S_IFDIR | 0777);

	make(a, "c", S_IFDIR | 0777);
	assert_int_equal(stat_of(FOLDER_ROOT).st_nlink, 4);
	assert_int_equal(stat_of(a).st_nlink, 3);
	assert_int_equal(folder_rename(f, a, "c", b, "c", 0, &lack), 0);
	assert_int_equal(stat_of(a).st_nlink, 2);
	assert_int_equal(stat_of(b).st_nlink, 3);
	reopen();
	assert_int_equal(folder_rmdir(f, b, "c", &lack), 0);
	assert_int_equal(stat_of(b).st_nlink, 2);
}

static void the_group_of_a_set_gid_directory_is_inherited(void **state)
{
	uint64_t d = make(FOLDER_ROOT, "d", S_IFDIR | 0777);
	struct stat st = { .st_mode = 02775, .st_gid = 77 };
	struct folder_attr a;

	assert_int_equal(
	    folder_setattr(f, d, FOLDER_SET_MODE | FOLDER_SET_GID, &st, &a, &lack), 0);
	assert_int_equal(stat_of(make(d, "f", S_IFREG | 0666)).st_gid, 77);
	uint64_t below = make(d, "e", S_IFDIR | 0777);
	assert_int_equal(stat_of(below).st_gid, 77);
	assert_int_equal(stat_of(below).st_mode, S_IFDIR | 02755);
}

static void a_write_takes_set_uid_away(void **state)
{
	uint64_t ino = make(FOLDER_ROOT, "f", S_IFREG | 0666);
	struct stat st = { .st_mode = 06755 };
	struct folder_attr a;

	folder_setattr(f, ino, FOLDER_SET_MODE, &st, &a, &lack);
	assert_int_equal(folder_write(f, ino, 0, "x", 1, true, &lack), 1);
	assert_int_equal(stat_of(ino).st_mode, S_IFREG | 0755);
}

static void times_follow_what_is_done(void **state)
{
	struct stat before = stat_of(FOLDER_ROOT), d, s;
	uint64_t ino = make(FOLDER_ROOT, "f", S_IFREG | 0666);

	d = stat_of(FOLDER_ROOT);
	assert_true(d.st_mtim.tv_sec > before.st_mtim.tv_sec ||
		    d.st_mtim.tv_nsec != before.st_mtim.tv_nsec);
	assert_memory_equal(&d.st_mtim, &d.st_ctim, sizeof d.st_mtim);
	struct stat old = { .st_mtim = { -5, 123456789 }, .st_atim = { 7, 1 } };
	struct folder_attr a;
	assert_int_equal(folder_setattr(f, ino, FOLDER_SET_MTIME | FOLDER_SET_ATIME, &old, &a,
					&lack),
			 0);
	reopen();
	s = stat_of(ino);
	assert_memory_equal(&s.st_mtim, &old.st_mtim, sizeof s.st_mtim);
	assert_memory_equal(&s.st_atim, &old.st_atim, sizeof s.st_atim);
	assert_true(s.st_ctim.tv_sec > 1000000000);
	old.st_mtim.tv_nsec = 1000000000;
	assert_int_equal(folder_setattr(f, ino, FOLDER_SET_MTIME, &old, &a, &lack), -EINVAL);
}

static void extended_attributes_have_their_limits(void **state)
{
	static char value[65537];
	uint64_t ino = make(FOLDER_ROOT, "f", S_IFREG | 0666);
	char name[300] = "user.", list[300];

	assert_int_equal(folder_setxattr(f, ino, "user.a", value, 65537, 0, &lack), -E2BIG);
	assert_int_equal(folder_setxattr(f, ino, "user.a", value, 65536, 0, &lack), 0);
	assert_int_equal(folder_setxattr(f, ino, "user.b", value, 65536, 0, &lack), -ENOSPC);
	assert_int_equal(folder_getxattr(f, ino, "user.a", value, 10, &lack), -ERANGE);
	assert_int_equal(folder_getxattr(f, ino, "user.a", NULL, 0, &lack), 65536);
	memset(name + 5, 'x', 251);
	assert_int_equal(folder_setxattr(f, ino, name, "", 0, 0, &lack), -ERANGE);
	name[255] = '\0';
	assert_int_equal(folder_setxattr(f, ino, name, "", 0, 0, &lack), 0);
	assert_int_equal(folder_listxattr(f, ino, NULL, 0, &lack), 7 + 256);
	assert_int_equal(folder_listxattr(f, ino, list, 100, &lack), -ERANGE);
	assert_int_equal(folder_listxattr(f, ino, list, sizeof list, &lack), 7 + 256);
}

static void lists_of_permissions_and_modes_agree(void **state)
{
	static const uint8_t acl[] = { 2,  0,	 0,    0,    1, 0, 6, 0, 0xff, 0xff, 0xff,
				       0xff, 2,	 0,    7,    0, 9, 0, 0, 0,    4,    0,
				       5,  0,	 0xff, 0xff, 0xff, 0xff, 16, 0, 6, 0, 0xff,
				       0xff, 0xff, 0xff, 32, 0, 4, 0, 0xff, 0xff, 0xff, 0xff };
	uint64_t d = make(FOLDER_ROOT, "d", S_IFDIR | 0777), ino;
	struct stat st = { .st_mode = 0600 };
	struct folder_attr a;
	uint8_t got[64];

	assert_int_equal(folder_setxattr(f, d, ACL_DEFAULT, acl, sizeof acl, 0, &lack), 0);
	ino = make(d, "f", S_IFREG | 0666);
	/* The umask has no say. */
	assert_int_equal(stat_of(ino).st_mode, S_IFREG | 0664);
	assert_int_equal(folder_getxattr(f, ino, ACL_ACCESS, got, sizeof got, &lack), sizeof acl);
	assert_int_equal(folder_setattr(f, ino, FOLDER_SET_MODE, &st, &a, &lack), 0);
	folder_getxattr(f, ino, ACL_ACCESS, got, sizeof got, &lack);
	assert_int_equal(got[30], 0); /* the mask */
	assert_int_equal(folder_setxattr(f, ino, ACL_DEFAULT, acl, sizeof acl, 0, &lack),
			 -EACCES);
	assert_int_equal(folder_setxattr(f, ino, ACL_ACCESS, acl, sizeof acl, 0, &lack), 0);
	assert_int_equal(stat_of(ino).st_mode, S_IFREG | 0664);
	assert_int_equal(folder_getxattr(f, make(d, "e", S_IFDIR | 0777), ACL_DEFAULT, got,
					 sizeof got, &lack),
			 sizeof acl);
}

static void a_quota_is_kept(void **state)
{
	struct folder_config cfg = { .dir = dir,
				     .source = &blocks.source,
				     .profile = profile_find("unixfs-v1-2025"),
				     .quota = 10 };
	uint64_t ino;

	folder_close(f);
	assert_int_equal(folder_open(&f, &cfg, &none, &none), 0);
	ino = make(FOLDER_ROOT, "f", S_IFREG | 0666);
	assert_int_equal(folder_write(f, ino, 0, "12345678", 8, false, &lack), 8);
	assert_int_equal(folder_write(f, ino, 8, "90a", 3, false, &lack), -EDQUOT);
	assert_text(ino, "12345678");
}

static void a_folder_is_open_once(void **state)
{
	struct folder *mine = f;

	assert_int_equal(open_as(&none, &none), -EBUSY);
	f = mine;
}

/* ---- the log ---- */

/* The only segment that has records. */
static void find_log(char path[2 * SCRATCH_MAX])
{
	struct dirent *e;
	off_t most = -1;
	struct stat st;
	char name[2 * SCRATCH_MAX];
	DIR *d;

	snprintf(name, sizeof name, "%s/log", dir);
	d = opendir(name);
	assert_non_null(d);
	while ((e = readdir(d))) {
		if (e->d_name[0] == '.')
			continue;
		snprintf(name, sizeof name, "%.200s/log/%.20s", dir, e->d_name);
		if (!stat(name, &st) && st.st_size > most) {
			most = st.st_size;
			strcpy(path, name);
		}
	}
	closedir(d);
}

/* Copies of the log, cut at every length: each gives a beginning of what was done. */
static void a_log_cut_anywhere_is_a_prefix(void **state)
{
	char path[2 * SCRATCH_MAX], saved[SCRATCH_MAX], cmd[4 * SCRATCH_MAX];
	struct stat st;
	int before = 0;

	for (int i = 0; i < 4; i++) {
		char name[8] = { (char)('a' + i) };
		uint64_t ino = make(FOLDER_ROOT, name, S_IFREG | 0666);
		write_text(ino, 0, "some text");
	}
	find_log(path);
	assert_int_equal(stat(path, &st), 0);
	scratch_make(saved);
	snprintf(cmd, sizeof cmd, "cp -r %s/. %s/", dir, saved);
	assert_int_equal(system(cmd), 0);
	folder_close(f);
	f = NULL;
	for (off_t len = 0; len <= st.st_size; len += len < 200 || len > st.st_size - 200 ? 1 : 7) {
		int there = 0;

		scratch_remove(dir);
		snprintf(cmd, sizeof cmd, "cp -r %s %s", saved, dir);
		assert_int_equal(system(cmd), 0);
		find_log(path);
		assert_int_equal(truncate(path, len), 0);
		assert_int_equal(open_as(&none, &none), 0);
		for (int i = 0; i < 4; i++) {
			char name[8] = { (char)('a' + i) };
			uint64_t ino = find(FOLDER_ROOT, name);
			if (!ino)
				break;
			there = 2 * i + 1;
			if (stat_of(ino).st_size) {
				assert_text(ino, "some text");
				there++;
			}
		}
		assert_true(there == before || there == before + 1);
		before = there;
		/* It goes on from there. */
		make(FOLDER_ROOT, "new", S_IFREG | 0666);
		reopen();
		assert_int_not_equal(find(FOLDER_ROOT, "new"), 0);
		folder_close(f);
		f = NULL;
	}
	assert_int_equal(before, 8);
	scratch_remove(saved);
}

static off_t log_size(void)
{
	char path[2 * SCRATCH_MAX];
	struct stat st;

	find_log(path);
	assert_int_equal(stat(path, &st), 0);
	return st.st_size;
}

/* Go on in a copy of what the disk has now, as after a kill. */
static void killed(void)
{
	char saved[SCRATCH_MAX], cmd[4 * SCRATCH_MAX];

	scratch_make(saved);
	snprintf(cmd, sizeof cmd, "cp -r %s/. %s/", dir, saved);
	assert_int_equal(system(cmd), 0);
	assert_int_equal(folder_close(f), 0);
	scratch_remove(dir);
	strcpy(dir, saved);
	assert_int_equal(open_as(&none, &none), 0);
}

static void who_syncs_often_has_zeros_behind_the_end(void **state)
{
	uint64_t ino = make(FOLDER_ROOT, "f", S_IFREG | 0666);
	uint64_t big = make(FOLDER_ROOT, "big", S_IFREG | 0666);
	static uint8_t much[3 << 20];
	off_t size;

	write_text(ino, 0, "a text");
	assert_int_equal(folder_sync(f), 0);
	assert_in_range(log_size(), 1, 4096);
	for (int i = 0; i < 4; i++) {
		write_text(ino, 0, "a text");
		assert_int_equal(folder_sync(f), 0);
	}
	size = log_size();
	assert_in_range(size, 1 << 20, 2 << 20);
	write_text(ino, 2, "best");
	assert_int_equal(log_size(), size);
	killed();
	assert_text(ino, "a best");

	/* They do not come between two segments. */
	for (int i = 0; i < 21; i++)
		assert_int_equal(folder_write(f, big, 0, much, sizeof much, false, &lack),
				 sizeof much);
	for (int i = 0; i < 5; i++) {
		write_text(ino, 2, "rest");
		assert_int_equal(folder_sync(f), 0);
	}
	assert_int_equal(folder_write(f, big, 0, much, sizeof much, false, &lack), sizeof much);
	write_text(ino, 2, "last");
	killed();
	assert_text(ino, "a last");
	reopen();
	assert_text(ino, "a last");
	assert_int_equal(stat_of(big).st_size, sizeof much);

}

static int64_t room;
static ssize_t little_room(int fd, const struct iovec *iov, int n, off_t offset)
{
	struct iovec few = *iov;
	ssize_t done;

	if (room <= 0) {
		errno = ENOSPC;
		return -1;
	}
	if (few.iov_len > (size_t)room)
		few.iov_len = (size_t)room;
	done = pwritev(fd, &few, 1, offset);
	room -= done;
	return done;
}

static void a_full_disk_undoes_what_did_not_fit(void **state)
{
	uint64_t ino = make(FOLDER_ROOT, "f", S_IFREG | 0666);
	const struct folder_new what = { .mode = S_IFREG | 0666 };
	struct folder_attr a;

	write_text(ino, 0, "before");
	folder_log_io.pwritev = little_room;
	for (int64_t left = 0; left < 200; left += 13) {
		room = left;
		assert_int_equal(folder_write(f, ino, 0, "BEHIND and more of it", 21, false,
					      &lack),
				 left < 182 ? -ENOSPC : 21);
		if (left >= 182)
			break;
		assert_text(ino, "before");
		room = left;
		assert_int_equal(folder_make(f, &me, FOLDER_ROOT, "g", &what, &a, &lack), -ENOSPC);
		assert_int_equal(find(FOLDER_ROOT, "g"), 0);
	}
	folder_log_io.pwritev = pwritev;
	write_text(ino, 0, "after!");
	reopen();
	assert_int_equal(find(FOLDER_ROOT, "f"), ino);
	assert_int_equal(stat_of(ino).st_size >= 6, 1);
}

/* Bytes that the log takes on the disk beyond its end. */
static int64_t behind_the_end(void)
{
	char path[2 * SCRATCH_MAX];
	struct stat st;

	find_log(path);
	assert_int_equal(stat(path, &st), 0);
	return (int64_t)st.st_blocks * 512 - st.st_size;
}

static void blocks_for_long_data_are_given_back(void **state)
{
	uint64_t ino = make(FOLDER_ROOT, "f", S_IFREG | 0666);
	static const uint8_t much[1 << 20];

	for (int i = 0; i < 3; i++)
		assert_int_equal(folder_write(f, ino, i << 20, much, sizeof much, false, &lack),
				 sizeof much);
	assert_int_equal(folder_close(f), 0);
	assert_true(behind_the_end() < 1 << 20);
	assert_int_equal(open_as(&none, &none), 0);
	assert_int_equal(stat_of(ino).st_size, 3 << 20);
}

/* Up to 4 KiB of what is long, then no more. */
static ssize_t nothing_long(int fd, const struct iovec *iov, int n, off_t offset)
{
	size_t whole = 0;

	for (int k = 0; k < n; k++)
		whole += iov[k].iov_len;
	if (whole < 65536)
		return pwritev(fd, iov, n, offset);
	if (offset % 2 == 0)
		return pwrite(fd, iov->iov_base, 4095, offset);
	errno = ENOSPC;
	return -1;
}

static void no_room_for_zeros_is_no_error(void **state)
{
	uint64_t ino = make(FOLDER_ROOT, "f", S_IFREG | 0666);

	folder_log_io.pwritev = nothing_long;
	for (int i = 0; i < 12; i++) {
		write_text(ino, 0, i % 2 ? "odd" : "two");
		assert_int_equal(folder_sync(f), 0);
		assert_in_range(log_size(), 1, 4096);
	}
	folder_log_io.pwritev = pwritev;
	write_text(ino, 0, "end");
	killed();
	assert_text(ino, "end");
}

static int no_sync(int fd)
{
	errno = EIO;
	return -1;
}

static void a_sync_that_failed_is_final(void **state)
{
	uint64_t ino = make(FOLDER_ROOT, "f", S_IFREG | 0666);
	struct folder_state st;

	write_text(ino, 0, "text");
	assert_int_equal(folder_sync(f), 0);
	write_text(ino, 0, "more");
	folder_log_io.fdatasync = no_sync;
	assert_int_equal(folder_sync(f), -EIO);
	folder_log_io.fdatasync = fdatasync;
	assert_int_equal(folder_sync(f), -EIO);
	assert_int_equal(folder_write(f, ino, 0, "x", 1, false, &lack), -EROFS);
	assert_text(ino, "more");
	folder_state(f, &st);
	assert_int_equal(st.failed, -EIO);
	assert_int_equal(folder_close(f), -EIO);
	assert_int_equal(open_as(&none, &none), 0);
	assert_int_equal(find(FOLDER_ROOT, "f"), ino);
}

/* ---- over a base ---- */

static int read_frozen(void *arg, const struct frozen_file *file, uint64_t offset, void *buf,
		       size_t len)
{
	return frozen_read(arg, file, offset, buf, len);
}

/* A snapshot: the root and attributes. */
static void snapshot(struct cid *root, struct cid *attrs)
{
	struct snapshot_job job = { .read = read_frozen,
				    .profile = profile_find("unixfs-v1-2025"),
				    .source = &blocks.source,
				    .sink = &blocks.sink,
				    .jobs = 1 };
	struct folder_state st;
	struct frozen *z;

	assert_int_equal(folder_freeze(f, &z), 1);
	job.view = frozen_view(z);
	job.arg = z;
	assert_int_equal(snapshot_build(&job), 0);
	assert_int_equal(folder_thaw(f, z), 0);
	folder_state(f, &st);
	*root = st.root;
	*attrs = st.attrs;
}

/* Another folder over what this one had. */
static void start_over(void)
{
	struct cid root, attrs;

	snapshot(&root, &attrs);
	folder_close(f);
	scratch_remove(dir);
	scratch_make(dir);
	assert_int_equal(open_as(&root, &attrs), 0);
}

static int count(void *arg, const struct folder_entry *e)
{
	++*(int *)arg;
	return 0;
}

static void all_kinds_come_back_from_a_snapshot(void **state)
{
	uint64_t ino = make(FOLDER_ROOT, "f", S_IFREG | 0666), d, p;
	struct stat st = { .st_mode = 0640, .st_uid = 11, .st_mtim = { 5, 6 } };
	struct folder_attr a;
	char text[64];
	int n = 0;

	write_text(ino, 0, "text");
	folder_setxattr(f, ino, "user.a", "value", 5, 0, &lack);
	folder_setattr(f, ino, FOLDER_SET_MODE | FOLDER_SET_UID | FOLDER_SET_MTIME, &st, &a,
		       &lack);
	make(FOLDER_ROOT, "l", S_IFLNK | 0777);
	make(FOLDER_ROOT, "p", S_IFIFO | 0666);
	d = make(FOLDER_ROOT, "d", S_IFDIR | 0700);
	make(d, "e", S_IFREG | 0666);
	start_over();
	ino = find(FOLDER_ROOT, "f");
	assert_text(ino, "text");
	st = stat_of(ino);
	assert_int_equal(st.st_mode, S_IFREG | 0640);
	assert_int_equal(st.st_uid, 11);
	assert_int_equal(st.st_mtim.tv_nsec, 6);
	assert_int_equal(folder_getxattr(f, ino, "user.a", text, sizeof text, &lack), 5);
	p = find(FOLDER_ROOT, "p");
	assert_int_equal(stat_of(p).st_mode, S_IFIFO | 0644);
	assert_int_equal(folder_readlink(f, find(FOLDER_ROOT, "l"), text, sizeof text, &lack), 6);
	assert_string_equal(text, "target");
	assert_int_equal(stat_of(find(FOLDER_ROOT, "d")).st_mode, S_IFDIR | 0700);
	assert_int_equal(folder_list(f, FOLDER_ROOT, 0, false, count, &n, &lack), 0);
	assert_int_equal(n, 6);
	/* And each can be changed, moved and removed. */
	write_text(ino, 4, " and more");
	assert_text(ino, "text and more");
	assert_int_equal(folder_rename(f, FOLDER_ROOT, "p", find(FOLDER_ROOT, "d"), "p", 0, &lack),
			 0);
	assert_int_equal(folder_unlink(f, FOLDER_ROOT, "l", &lack), 0);
	uint64_t numbers[] = { ino, find(FOLDER_ROOT, "d"), p };
	reopen();
	assert_int_equal(find(FOLDER_ROOT, "f"), numbers[0]);
	assert_int_equal(find(FOLDER_ROOT, "d"), numbers[1]);
	assert_int_equal(find(find(FOLDER_ROOT, "d"), "p"), numbers[2]);
	assert_text(ino, "text and more");
	assert_int_equal(find(FOLDER_ROOT, "l"), 0);
}

static void numbers_of_clean_things_stay(void **state)
{
	uint64_t d, e;

	d = make(FOLDER_ROOT, "d", S_IFDIR | 0777);
	make(d, "e", S_IFREG | 0666);
	start_over();
	d = find(FOLDER_ROOT, "d");
	e = find(d, "e");
	assert_true(d != e && d >> 62 == 1 && e >> 62 == 1);
	reopen();
	assert_int_equal(find(FOLDER_ROOT, "d"), d);
	assert_int_equal(find(d, "e"), e);
}

static void what_the_base_lacks_is_asked_for(void **state)
{
	uint64_t d = make(FOLDER_ROOT, "d", S_IFDIR | 0777), ino = make(d, "f", S_IFREG | 0666);
	struct folder_bytes b;
	struct folder_attr a;

	write_text(ino, 0, "text");
	start_over();
	for (size_t i = 0; i < blocks.cap; i++)
		blocks.slots[i].away = true;
	for (int tries = 0;; tries++) {
		int r;

		lack.blocks.n = 0;
		r = folder_lookup(f, FOLDER_ROOT, "d", &a, &lack);
		if (!r) {
			d = a.st.st_ino;
			r = folder_lookup(f, d, "f", &a, &lack);
		}
		if (!r)
			r = folder_read(f, a.st.st_ino, 0, 10, &b, &lack);
		if (!r)
			break;
		assert_int_equal(r, ERR_MISSING);
		assert_true(lack.blocks.n > 0 && tries < 20);
		table_bring(&blocks, &lack.blocks);
	}
	assert_int_equal(b.len, 4);
	folder_bytes_release(&b);
}

/* ---- what is in memory no more ---- */

/* All objects that may go; how many there are left. */
static uint32_t let_go(void)
{
	assert_int_equal(change_begin(f), 0);
	folder_objects_max = 0;
	for (int i = 0; i < 16; i++)
		objects_evict(f, 8192);
	folder_objects_max = OBJECTS_MAX;
	uint32_t left = f->n_inodes + f->n_entries;
	change_end(f);
	return left;
}

/* A look-up that is not given back. */
static uint64_t know(uint64_t in, const char *name)
{
	struct folder_attr a;

	assert_int_equal(folder_lookup(f, in, name, &a, &lack), 0);
	return a.st.st_ino;
}

#define WIDE 5000 /* more than one block has room for */

static void clean_things_are_let_go_though_they_are_known(void **state)
{
	uint64_t d = make(FOLDER_ROOT, "d", S_IFDIR | 0755), e = make(d, "e", S_IFDIR | 0700);
	uint64_t wide = make(FOLDER_ROOT, "wide", S_IFDIR | 0755), file, link, fifo;
	uint64_t *many = calloc(WIDE, sizeof *many);
	char name[64], text[64];
	int n = 0;

	assert_non_null(many);
	write_text(make(e, "file", S_IFREG | 0640), 0, "text");
	make(e, "link", S_IFLNK | 0777);
	make(e, "fifo", S_IFIFO | 0600);
	for (int i = 0; i < WIDE; i++) {
		snprintf(name, sizeof name, "%056d", i);
		make(wide, name, S_IFREG | (i % 2 ? 0600 : 0644));
	}
	start_over();
	e = know(d = know(FOLDER_ROOT, "d"), "e");
	file = know(e, "file");
	link = know(e, "link");
	fifo = know(e, "fifo");
	wide = know(FOLDER_ROOT, "wide");
	for (int i = 0; i < WIDE; i++) {
		snprintf(name, sizeof name, "%056d", i);
		many[i] = know(wide, name);
	}
	assert_int_equal(let_go(), 1);
	/* Each is found by its number, and those above it with it. */
	assert_text(file, "text");
	assert_int_equal(let_go(), 1);
	assert_int_equal(stat_of(fifo).st_mode, S_IFIFO | 0600);
	assert_int_equal(let_go(), 1);
	assert_int_equal(folder_readlink(f, link, text, sizeof text, &lack), 6);
	assert_int_equal(folder_list(f, e, 0, false, count, &n, &lack), 0);
	assert_int_equal(n, 5);
	for (int i = 0; i < WIDE; i++) {
		assert_int_equal(stat_of(many[i]).st_mode, S_IFREG | (i % 2 ? 0600 : 0644));
		if (i % 1000 == 0)
			assert_int_equal(let_go(), 1);
	}
	/* And is changed, by a record that takes over what is above it. */
	assert_int_equal(let_go(), 1);
	write_text(file, 4, " and more");
	assert_int_equal(folder_unlink(f, wide, name, &lack), 0);
	assert_int_equal(stat_of(many[WIDE - 1]).st_nlink, 0);
	assert_int_equal(folder_checkpoint(f), 0);
	let_go();
	assert_text(file, "text and more");
	assert_int_equal(stat_of(many[0]).st_ino, many[0]);
	folder_forget(f, many[WIDE - 1], 1);
	assert_int_equal(folder_checkpoint(f), 0);
	for (int i = 0; i < WIDE - 1; i++)
		folder_forget(f, many[i], 1);
	const uint64_t rest[] = { d, e, file, link, fifo, wide };
	for (size_t i = 0; i < sizeof rest / sizeof *rest; i++)
		folder_forget(f, rest[i], 1);
	assert_int_equal(f->known.used, 0);
	/* What the kernel gave back is not found by its number. */
	let_go();
	struct folder_attr a;
	assert_int_equal(folder_stat(f, many[7], &a, &lack), -ESTALE);
	reopen();
	assert_text(find(find(find(FOLDER_ROOT, "d"), "e"), "file"), "text and more");
	free(many);
}

static void what_is_known_of_a_removed_tree_keeps_it(void **state)
{
	uint64_t d = make(FOLDER_ROOT, "d", S_IFDIR | 0755), e = make(d, "e", S_IFDIR | 0777);
	struct folder_attr a;

	write_text(make(e, "f", S_IFREG | 0666), 0, "text");
	start_over();
	d = know(FOLDER_ROOT, "d");
	e = know(d, "e");
	uint64_t file = know(e, "f");
	assert_int_equal(folder_graft(f, FOLDER_ROOT, "d", NULL, &lack), 0);
	/* Given back in whatever order. */
	folder_forget(f, d, 1);
	folder_forget(f, e, 1);
	assert_int_equal(folder_checkpoint(f), 0);
	let_go();
	assert_text(file, "text");
	assert_int_equal(let_go(), 2); /* the top, and the one that has no name */
	folder_forget(f, file, 1);
	assert_int_equal(f->known.used, 0);
	assert_int_equal(folder_stat(f, d, &a, &lack), -ESTALE);
}

static void a_copy_moves_no_data(void **state)
{
	uint64_t from = make(FOLDER_ROOT, "f", S_IFREG | 0666), to;
	struct folder_state before, after;

	write_text(from, 0, "a base ");
	start_over();
	from = find(FOLDER_ROOT, "f");
	write_text(from, 7, "and more");
	to = make(FOLDER_ROOT, "g", S_IFREG | 0666);
	folder_state(f, &before);
	assert_int_equal(folder_copy(f, from, 0, to, 0, 1000, &lack), 15);
	folder_state(f, &after);
	assert_text(to, "a base and more");
	assert_true(after.log_bytes - before.log_bytes < 600);
	write_text(from, 0, "A");
	reopen();
	assert_text(find(FOLDER_ROOT, "g"), "a base and more");
}

static void a_snapshot_keeps_files_sparse(void **state)
{
	uint64_t ino = make(FOLDER_ROOT, "f", S_IFREG | 0666);
	struct cid root, attrs;

	write_text(ino, 1 << 20, "text");
	snapshot(&root, &attrs);
	assert_int_equal(folder_seek(f, ino, 0, SEEK_DATA, &lack), 1 << 20);
	reopen();
	assert_int_equal(folder_seek(f, ino, 0, SEEK_DATA, &lack), 1 << 20);
	assert_int_equal(folder_seek(f, ino, 1 << 20, SEEK_HOLE, &lack), (1 << 20) + 4);
}

static void a_grafted_directory_takes_the_place_of_another(void **state)
{
	uint64_t d = make(FOLDER_ROOT, "d", S_IFDIR | 0755), e = make(d, "e", S_IFDIR | 0777);
	uint64_t old = make(e, "old", S_IFREG | 0666);
	struct folder_attr a, was;
	struct folder_state st;
	struct cid root, attrs;

	write_text(old, 0, "old");
	snapshot(&root, &attrs);
	folder_stat(f, d, &was, &lack);
	assert_int_not_equal(was.cid.version, 0xff);
	write_text(make(e, "new", S_IFREG | 0666), 0, "new");
	folder_forget(f, d, 1);
	folder_forget(f, e, 1);
	const struct folder_graft g = { .type = S_IFDIR, .cid = was.cid, .sub_attrs = none };
	assert_int_equal(folder_graft(f, FOLDER_ROOT, "d", &g, &lack), 0);
	d = find(FOLDER_ROOT, "d");
	e = find(d, "e");
	assert_int_equal(find(e, "new"), 0);
	assert_text(find(e, "old"), "old");
	/* What is still known of the other lives on. */
	assert_text(old, "old");
	assert_int_equal(stat_of(old).st_nlink, 0);
	assert_int_equal(folder_graft(f, FOLDER_ROOT, "d", NULL, &lack), 0);
	assert_int_equal(find(FOLDER_ROOT, "d"), 0);
	assert_int_equal(folder_graft(f, FOLDER_ROOT, "d", NULL, &lack), -ENOENT);
	reopen();
	folder_state(f, &st);
	assert_int_equal(st.dirty_bytes, 0);
	assert_int_equal(folder_stat(f, old, &a, &lack), -ESTALE);
}

struct wanted {
	const struct cid *cid;
	unsigned times;
};

static int count_base(void *arg, const struct cid *tree)
{
	struct wanted *w = arg;

	w->times += cid_equal(tree, w->cid);
	return 0;
}

/* How often the folder says that it stands on a tree. */
static unsigned stands_on(const struct cid *c)
{
	struct wanted w = { c, 0 };

	assert_int_equal(folder_each_base(f, count_base, &w), 0);
	return w.times;
}

static int stop_at_once(void *arg, const struct cid *tree)
{
	return -ECANCELED;
}

static void a_folder_tells_all_that_it_stands_on(void **state)
{
	uint64_t d = make(FOLDER_ROOT, "d", S_IFDIR | 0755), e = make(d, "e", S_IFDIR | 0755);
	uint64_t open = make(FOLDER_ROOT, "open", S_IFREG | 0644);
	struct folder_attr dir_was, file_was;
	struct cid root, attrs;

	assert_int_equal(folder_allocate(f, open, 0, 0, 3 << 20, &lack), 0);
	write_text(open, 2 << 20, "more than one leaf");
	make(e, "f", S_IFREG | 0644);
	snapshot(&root, &attrs);
	folder_stat(f, d, &dir_was, &lack);
	folder_stat(f, open, &file_was, &lack);

	/* A file that is open without a name, in no snapshot since. */
	assert_int_equal(folder_unlink(f, FOLDER_ROOT, "open", &lack), 0);
	/* An old directory, in no snapshot yet. */
	make(d, "new", S_IFREG | 0644);
	snapshot(&root, &attrs);
	const struct folder_graft g = { .type = S_IFDIR, .cid = dir_was.cid, .sub_attrs = none };
	assert_int_equal(folder_graft(f, FOLDER_ROOT, "old", &g, &lack), 0);
	assert_true(stands_on(&file_was.cid) > 0);
	assert_true(stands_on(&dir_was.cid) > 0);
	assert_int_equal(folder_each_base(f, stop_at_once, NULL), -ECANCELED);

	folder_forget(f, open, 1);
	reopen();
	assert_int_equal(stands_on(&file_was.cid), 0);
	assert_true(stands_on(&dir_was.cid) > 0);
}

static void b82_set_id_bits_of_a_tree_are_not_taken(void **state)
{
	/* A file "x" whose UnixFS node says mode 6755. */
	static const uint8_t node[] = { 0x0a, 10,   0x08, 0x02, 0x12, 0x01,
					'x',  0x18, 0x01, 0x38, 0xed, 0x1b };
	struct cid cid;

	cid_of(&cid, 1, CODEC_DAG_PB, node, sizeof node);
	assert_int_equal(table_put(&blocks.sink, &cid.hash, node, sizeof node), 0);
	const struct folder_graft g = { .type = S_IFREG, .cid = cid, .size = 1, .sub_attrs = none };
	assert_int_equal(folder_graft(f, FOLDER_ROOT, "x", &g, &lack), 0);
	assert_text(find(FOLDER_ROOT, "x"), "x");
	assert_int_equal(stat_of(find(FOLDER_ROOT, "x")).st_mode, S_IFREG | 0755);
}

static int count_all(void *arg, const struct cid *tree)
{
	++*(unsigned *)arg;
	return 0;
}

static unsigned told(void)
{
	unsigned n = 0;

	assert_int_equal(folder_each_base(f, count_all, &n), 0);
	return n;
}

static void what_is_as_in_the_snapshot_is_not_told_one_by_one(void **state)
{
	uint64_t d = make(FOLDER_ROOT, "d", S_IFDIR | 0755);
	struct cid root, attrs;
	char name[16];

	for (int i = 0; i < 300; i++) {
		snprintf(name, sizeof name, "%d", i);
		write_text(make(d, name, S_IFREG | 0600), 0, name);
	}
	snapshot(&root, &attrs);
	assert_true(told() < 8);
	for (int i = 0; i < 300; i++) {
		snprintf(name, sizeof name, "%d", i);
		folder_forget(f, find(d, name), 2);
	}
	folder_forget(f, d, 1);
	reopen();
	assert_true(told() < 8);
	assert_true(stands_on(&root) > 0);
	assert_true(stands_on(&attrs) > 0);
	/* What changed is. */
	d = find(FOLDER_ROOT, "d");
	for (int i = 0; i < 20; i++) {
		snprintf(name, sizeof name, "%d", i);
		write_text(find(d, name), 0, "x");
	}
	assert_true(told() >= 20);
	assert_true(told() < 50);
}

/* Replaced, with a program standing in it: what was moved there is in no snapshot of it. */
static void below_a_directory_without_a_name_all_is_told(void **state)
{
	uint64_t d = make(FOLDER_ROOT, "d", S_IFDIR | 0755);
	struct folder_attr file, old;
	struct cid root, attrs;

	make(d, "stays", S_IFREG | 0644);
	write_text(make(FOLDER_ROOT, "moves", S_IFREG | 0644), 0, "moves");
	snapshot(&root, &attrs);
	folder_stat(f, find(FOLDER_ROOT, "moves"), &file, &lack);
	folder_stat(f, d, &old, &lack);
	assert_int_not_equal(file.cid.version, 0xff);
	assert_int_equal(folder_rename(f, FOLDER_ROOT, "moves", d, "moved", 0, &lack), 0);
	const struct folder_graft g = { .type = S_IFDIR, .cid = old.cid, .sub_attrs = none };
	assert_int_equal(folder_graft(f, FOLDER_ROOT, "d", &g, &lack), 0);
	snapshot(&root, &attrs);
	assert_true(stands_on(&file.cid) > 0);
}

#define TEST(t) cmocka_unit_test_setup_teardown(t, set_up, tear_down)
int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(what_was_cut_off_never_comes_back),
		TEST(sizes_end_where_files_do),
		TEST(a_directory_cannot_move_into_itself),
		TEST(names_have_255_bytes_at_most),
		TEST(an_open_file_without_a_name_lives_until_forgotten),
		TEST(a_file_that_was_open_without_a_name_is_freed_when_opened_again),
		TEST(a_file_without_a_name_can_get_one),
		TEST(a_removed_directory_takes_nothing_new),
		TEST(directories_count_their_own),
		TEST(the_group_of_a_set_gid_directory_is_inherited),
		TEST(a_write_takes_set_uid_away),
		TEST(times_follow_what_is_done),
		TEST(extended_attributes_have_their_limits),
		TEST(lists_of_permissions_and_modes_agree),
		TEST(a_quota_is_kept),
		TEST(a_folder_is_open_once),
		TEST(a_log_cut_anywhere_is_a_prefix),
		TEST(who_syncs_often_has_zeros_behind_the_end),
		TEST(no_room_for_zeros_is_no_error),
		TEST(blocks_for_long_data_are_given_back),
		TEST(a_full_disk_undoes_what_did_not_fit),
		TEST(a_sync_that_failed_is_final),
		TEST(all_kinds_come_back_from_a_snapshot),
		TEST(numbers_of_clean_things_stay),
		TEST(what_the_base_lacks_is_asked_for),
		TEST(clean_things_are_let_go_though_they_are_known),
		TEST(what_is_known_of_a_removed_tree_keeps_it),
		TEST(a_copy_moves_no_data),
		TEST(a_snapshot_keeps_files_sparse),
		TEST(a_grafted_directory_takes_the_place_of_another),
		TEST(a_folder_tells_all_that_it_stands_on),
		TEST(b82_set_id_bits_of_a_tree_are_not_taken),
		TEST(what_is_as_in_the_snapshot_is_not_told_one_by_one),
		TEST(below_a_directory_without_a_name_all_is_told),
	};
	log_set_level(LOG_NONE);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
