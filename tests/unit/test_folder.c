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
#include <fcntl.h>
#include <sys/xattr.h>

static char dir[SCRATCH_MAX];
static struct folder *f;
static struct folder_log_io usual;
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
	usual = folder_log_io;
	table_init(&blocks);
	scratch_make(dir);
	lack = (struct lack){ .blocks = { .cids = misses, .max = LACK_MAX } };
	return open_as(&none, &none);
}

static int tear_down(void **state)
{
	folder_log_io = usual;
	folder_keeper_rests = false;
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
		if (e->d_name[0] < '0' || e->d_name[0] > '9')
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
	snprintf(cmd, sizeof cmd, "cp -r %s/. %s/ && rm %s/log/reserve", dir, saved, saved);
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

/* A disk of so many bytes, for the log. */
static int64_t on_disk(int fd)
{
	struct stat st;

	assert_int_equal(fstat(fd, &st), 0);
	return st.st_size;
}

static ssize_t disk_write(int fd, const struct iovec *iov, int n, off_t offset)
{
	int64_t end = offset;

	for (int i = 0; i < n; i++)
		end += (int64_t)iov[i].iov_len;
	if (end > on_disk(fd) && end - on_disk(fd) > room) {
		errno = ENOSPC;
		return -1;
	}
	room -= end > on_disk(fd) ? end - on_disk(fd) : 0;
	return pwritev(fd, iov, n, offset);
}

static int disk_cut(int fd, off_t size)
{
	room += on_disk(fd) - size;
	return ftruncate(fd, size);
}

static int disk_allocate(int fd, off_t offset, off_t len)
{
	if (len > room) {
		errno = ENOSPC;
		return -1;
	}
	room -= len;
	return usual.allocate(fd, offset, len);
}

static int disk_punch(int fd, off_t offset, off_t len)
{
	room += len;
	return usual.punch(fd, offset, len);
}

#define MANY 16
#define LONG (256u << 10)

static int write_long(uint64_t ino, int c)
{
	static char text[LONG];

	memset(text, c, LONG);
	return (int)folder_write(f, ino, 0, text, LONG, false, &lack);
}

/* Files `a`, `b`, ... until there is no room for more. */
static int fill_disk(uint64_t inos[MANY])
{
	const struct folder_new what = { .mode = S_IFREG | 0666 };
	struct folder_attr a;
	char name[8] = "a";
	int n;

	for (n = 0; n < MANY; n++, name[0]++) {
		inos[n] = make(FOLDER_ROOT, name, S_IFREG | 0666);
		if (write_long(inos[n], name[0]) < 0)
			break;
	}
	assert_in_range(n, 4, MANY - 1);
	for (int k = 0; k < 10000; k++) {
		snprintf(name, sizeof name, "_%d", k);
		int r = folder_make(f, &me, FOLDER_ROOT, name, &what, &a, &lack);

		if (r < 0) {
			assert_int_equal(r, -ENOSPC);
			return n;
		}
	}
	fail();
	return 0;
}

static void assert_long(uint64_t ino, int c)
{
	struct folder_bytes b;

	assert_int_equal(folder_read(f, ino, 0, LONG, &b, &lack), 0);
	assert_int_equal(b.len, LONG);
	for (int k = 0; k < b.n; k++)
		for (size_t j = 0; j < b.pieces[k].len; j++)
			if (!b.pieces[k].data || b.pieces[k].data[j] != c)
				fail();
	folder_bytes_release(&b);
}

/* From here on there are about three MiB, and no thread but this one. */
static void little_disk(void)
{
	folder_keeper_rests = true;
	reopen();
	folder_log_io = (struct folder_log_io){ disk_write, fdatasync, disk_cut, disk_allocate,
						disk_punch };
	room = 3 << 20;
}

static void on_a_full_disk_what_frees_goes_on_and_nothing_else(void **state)
{
	const struct folder_new what = { .mode = S_IFREG | 0666 };
	struct stat small = { .st_size = 10 }, large = { .st_size = 3 * LONG };
	struct folder_attr a;
	uint64_t inos[MANY];

	little_disk();
	fill_disk(inos);
	room = 0;
	assert_int_equal(folder_unlink(f, FOLDER_ROOT, "_0", &lack), 0);
	/* Part of the reserve lies open now; it is not for these. */
	assert_true(room > 100000);
	assert_int_equal(folder_make(f, &me, FOLDER_ROOT, "x", &what, &a, &lack), -ENOSPC);
	assert_int_equal(folder_link(f, inos[0], FOLDER_ROOT, "x", &a, &lack), -ENOSPC);
	assert_int_equal(folder_write(f, inos[0], 0, "x", 1, false, &lack), -ENOSPC);
	assert_int_equal(folder_setattr(f, inos[0], FOLDER_SET_SIZE, &large, &a, &lack),
			 -ENOSPC);
	assert_int_equal(folder_rename(f, FOLDER_ROOT, "_1", FOLDER_ROOT, "x", 0, &lack),
			 -ENOSPC);
	assert_int_equal(folder_allocate(f, inos[0], 0, 0, 10 * LONG, &lack), -ENOSPC);
	assert_int_equal(folder_setxattr(f, inos[0], "user.x", "x", 1, 0, &lack), -ENOSPC);
	/* These are what it is for. */
	room = 0;
	assert_int_equal(folder_setattr(f, inos[0], FOLDER_SET_SIZE, &small, &a, &lack), 0);
	room = 0;
	assert_int_equal(folder_allocate(f, inos[1], FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
					 0, LONG / 2, &lack),
			 0);
	room = 0;
	assert_int_equal(folder_rename(f, FOLDER_ROOT, "_1", FOLDER_ROOT, "_2", 0, &lack), 0);
	room = 0;
	assert_int_equal(folder_unlink(f, FOLDER_ROOT, "c", &lack), 0);
	folder_forget(f, inos[2], 1);
	reopen();
	assert_int_equal(stat_of(find(FOLDER_ROOT, "a")).st_size, 10);
	assert_int_equal(find(FOLDER_ROOT, "_1"), 0);
	assert_int_equal(find(FOLDER_ROOT, "c"), 0);
	assert_long(find(FOLDER_ROOT, "d"), 'd');
}

static void what_was_freed_comes_back(void **state)
{
	const struct folder_new what = { .mode = S_IFREG | 0666 };
	struct folder_state before, after;
	struct folder_attr a;
	uint64_t inos[MANY];

	little_disk();
	int n = fill_disk(inos);
	folder_state(f, &before);
	room = 0;
	for (int k = 0; k < n; k += 2) {
		char name[2] = { (char)('a' + k) };

		assert_int_equal(folder_unlink(f, FOLDER_ROOT, name, &lack), 0);
		folder_forget(f, inos[k], 1);
	}
	assert_int_equal(folder_make(f, &me, FOLDER_ROOT, "x", &what, &a, &lack), -ENOSPC);
	assert_true(folder_relieve(f));
	folder_state(f, &after);
	assert_true(after.log_bytes + n / 2 * (LONG - 16384) < before.log_bytes);
	assert_int_equal(folder_make(f, &me, FOLDER_ROOT, "x", &what, &a, &lack), 0);
	assert_int_equal(write_long(a.st.st_ino, 'x'), LONG);
	/* Once more there is nothing to be had. */
	assert_false(folder_relieve(f));
	for (int round = 0; round < 2; round++) {
		for (int k = 1; k < n; k += 2)
			assert_long(inos[k], 'a' + k);
		assert_long(a.st.st_ino, 'x');
		reopen();
	}
	folder_state(f, &after);
	assert_true(after.log_bytes < before.log_bytes);
}

static int no_allocation(int fd, off_t offset, off_t len)
{
	errno = EOPNOTSUPP;
	return -1;
}

static void where_no_room_can_be_kept_there_is_no_reserve(void **state)
{
	uint64_t inos[MANY];
	char path[SCRATCH_MAX + 32];

	assert_int_equal(folder_close(f), 0);
	snprintf(path, sizeof path, "%s/log/reserve", dir);
	assert_int_equal(unlink(path), 0);
	folder_log_io.allocate = no_allocation;
	assert_int_equal(open_as(&none, &none), 0);
	little_disk();
	folder_log_io.allocate = no_allocation;
	fill_disk(inos);
	room = 0;
	assert_int_equal(folder_unlink(f, FOLDER_ROOT, "a", &lack), -ENOSPC);
	room = 1000;
	assert_int_equal(folder_unlink(f, FOLDER_ROOT, "a", &lack), 0);
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
	/* Some rounds: a directory goes after what is in it. */
	objects_evict(f, 8u << (f->inode_bits > f->entry_bits ? f->inode_bits : f->entry_bits));
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

/* ---- the same with and without memory ---- */

#define HELD  24
#define NAMES 5

/* What was seen, but for numbers and times, which differ. */
struct seen {
	uint64_t random, sum, held[HELD];
	int ops[10]; /* that succeeded, by kind */
};

static void see(struct seen *s, uint64_t v)
{
	s->sum = (s->sum ^ v) * 0x100000001b3u;
}

static void see_stat(struct seen *s, const struct stat *st)
{
	see(s, st->st_mode);
	see(s, (uint64_t)st->st_size);
	see(s, st->st_nlink);
}

struct names {
	uint64_t sum, looked_up[2 * NAMES];
	int n;
};

static int add_name(void *arg, const struct folder_entry *e)
{
	struct names *names = arg;

	for (const char *c = e->name; *c; c++)
		names->sum += (uint64_t)*c * *c * (e->type + 1u);
	if (e->attr)
		names->looked_up[names->n++] = e->ino;
	return 0;
}

static void read_and_see(struct seen *s, uint64_t ino)
{
	struct folder_bytes b;
	int r = folder_read(f, ino, 0, 4096, &b, &lack);

	see(s, (uint64_t)r);
	for (int i = 0; r == 0 && i < b.n; i++)
		for (size_t k = 0; k < b.pieces[i].len; k++)
			see(s, b.pieces[i].data ? b.pieces[i].data[k] : 0);
	if (r == 0)
		folder_bytes_release(&b);
}

static int any_op(struct seen *s, int what)
{
	uint64_t *at = &s->held[1 + scratch_random(&s->random) % (HELD - 1)];
	uint64_t in = s->held[scratch_random(&s->random) % HELD];
	uint64_t to = s->held[scratch_random(&s->random) % HELD];
	struct names names = { .n = 0 };
	char name[8], other[8];
	struct folder_attr a = { .st = { .st_ino = 0 } };
	struct folder_state st;
	struct cid root, attrs;
	int r = 0;

	snprintf(name, sizeof name, "n%d", (int)(scratch_random(&s->random) % (2 * NAMES)));
	snprintf(other, sizeof other, "n%d", (int)(scratch_random(&s->random) % (2 * NAMES)));
	mode_t mode = scratch_random(&s->random) % 3 ? S_IFDIR | 0755 : S_IFREG | 0644;
	const struct folder_new fresh = { .mode = mode };
	switch (what) {
	case 0: /* and what was held there is given back */
		r = folder_lookup(f, in, name, &a, &lack);
		if (r < 0)
			break;
		if (*at)
			folder_forget(f, *at, 1);
		*at = a.st.st_ino;
		see_stat(s, &a.st);
		break;
	case 1:
		r = folder_stat(f, *at, &a, &lack);
		if (r == 0)
			see_stat(s, &a.st);
		break;
	case 2:
		read_and_see(s, *at);
		break;
	case 3:
		r = (int)folder_write(f, *at, scratch_random(&s->random) % 40, "written", 7, false,
				      &lack);
		break;
	case 4:
		r = folder_make(f, &me, in, name, &fresh, &a, &lack);
		if (r == 0)
			folder_forget(f, a.st.st_ino, 1);
		break;
	case 5:
		r = folder_unlink(f, in, name, &lack);
		break;
	case 6:
		r = folder_rename(f, in, name, to, other, 0, &lack);
		break;
	case 7:
		r = folder_list(f, in, 0, true, add_name, &names, &lack);
		see(s, names.sum);
		while (names.n)
			folder_forget(f, names.looked_up[--names.n], 1);
		break;
	case 8: /* a tree with all that is in it */
		r = scratch_random(&s->random) % 8 ? 0
						    : folder_graft(f, in, name, NULL, &lack);
		break;
	default:
		folder_state(f, &st);
		if (scratch_random(&s->random) % 4 == 0 && st.dirty_inodes)
			snapshot(&root, &attrs);
		else
			assert_int_equal(folder_checkpoint(f), 0);
	}
	see(s, (uint64_t)r);
	return r;
}

static void make_tree(uint64_t in, int depth)
{
	static const mode_t modes[NAMES] = { S_IFDIR | 0755, S_IFREG | 0640, S_IFDIR | 0700,
					     S_IFIFO | 0600, S_IFLNK | 0777 };
	char name[8];

	for (int i = 0; i < NAMES; i++) {
		snprintf(name, sizeof name, "n%d", i);
		uint64_t ino = make(in, name, modes[i]);
		if (S_ISREG(modes[i]))
			write_text(ino, 0, "text of a file");
		else if (S_ISDIR(modes[i]) && depth)
			make_tree(ino, depth - 1);
	}
}

static void nothing_shows_whether_objects_were_let_go(void **state)
{
	struct seen seen[2];
	int done[10] = { 0 };

	for (uint64_t seed = 1; seed <= 4; seed++) {
		for (int letting = 0; letting < 2; letting++) {
			struct seen *s = &seen[letting];

			*s = (struct seen){ .random = seed, .held = { FOLDER_ROOT } };
			assert_int_equal(folder_close(f), 0);
			scratch_remove(dir);
			scratch_make(dir);
			assert_int_equal(open_as(&none, &none), 0);
			make_tree(FOLDER_ROOT, 3);
			start_over();
			for (int i = 0; i < 800; i++) {
				int what = (int)(scratch_random(&s->random) % 16);

				what = what < 10 ? what : what % 3 == 2 ? 1 : 0;
				s->ops[what] += any_op(s, what) >= 0;
				if (letting)
					let_go();
			}
			for (int i = 1; i < HELD; i++)
				if (s->held[i])
					folder_forget(f, s->held[i], 1);
			assert_int_equal(f->known.used, 0);
		}
		for (int k = 0; k < 10; k++)
			done[k] += seen[0].ops[k];
		assert_memory_equal(&seen[0].ops, &seen[1].ops, sizeof seen[0].ops);
		assert_true(seen[0].sum == seen[1].sum);
	}
	for (int k = 0; k < 10; k++)
		assert_true(k == 6 || done[k] > 0); /* a rename rarely succeeds */
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
		TEST(on_a_full_disk_what_frees_goes_on_and_nothing_else),
		TEST(what_was_freed_comes_back),
		TEST(where_no_room_can_be_kept_there_is_no_reserve),
		TEST(a_sync_that_failed_is_final),
		TEST(all_kinds_come_back_from_a_snapshot),
		TEST(numbers_of_clean_things_stay),
		TEST(what_the_base_lacks_is_asked_for),
		TEST(clean_things_are_let_go_though_they_are_known),
		TEST(what_is_known_of_a_removed_tree_keeps_it),
		TEST(nothing_shows_whether_objects_were_let_go),
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
