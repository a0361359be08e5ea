/* open, creat, close: every flag and what it refuses. */
#include "suite.h"

#include <fcntl.h>

CASE(a_created_file_is_empty_and_ours)
{
	int fd = opened("f", O_RDWR | O_CREAT);
	struct stat st = fstat_of(fd);

	CHECK(S_ISREG(st.st_mode));
	SAME(st.st_size, 0);
	SAME(st.st_nlink, 1);
	SAME(st.st_uid, geteuid());
	SAME(st.st_gid, getegid());
	SAME(st.st_blocks, 0);
	SAME(st.st_ino, stat_of("f").st_ino);
}

CASE(creating_honours_the_umask)
{
	umask(027);
	GOOD(open("f", O_WRONLY | O_CREAT, 0777));
	SAME(stat_of("f").st_mode & 07777, 0750);
	umask(0);
	GOOD(open("g", O_WRONLY | O_CREAT, 06777));
	SAME(stat_of("g").st_mode & 07777, 06777);
	umask(077);
	GOOD(mkdir("d", 0777));
	SAME(stat_of("d").st_mode & 07777, 0700);
}

CASE(a_file_made_without_write_permission_can_be_written_through_its_descriptor)
{
	int fd = GOOD(open("f", O_RDWR | O_CREAT | O_EXCL, 0));

	SAME(write(fd, "abc", 3), 3);
	SAME(pread(fd, (char[3]){ 0 }, 3, 0), 3);
	SAME(stat_of("f").st_size, 3);
}

CASE(o_excl_refuses_a_file_a_directory_and_every_symlink)
{
	put("f", "x");
	made_dir("d");
	GOOD(symlink("f", "good"));
	GOOD(symlink("none", "dangling"));
	GOOD(symlink("loop", "loop"));
	FAILS(EEXIST, open("f", O_WRONLY | O_CREAT | O_EXCL, 0644));
	FAILS(EEXIST, open("d", O_WRONLY | O_CREAT | O_EXCL, 0644));
	FAILS(EEXIST, open("good", O_WRONLY | O_CREAT | O_EXCL, 0644));
	FAILS(EEXIST, open("dangling", O_WRONLY | O_CREAT | O_EXCL, 0644));
	FAILS(EEXIST, open("loop", O_WRONLY | O_CREAT | O_EXCL, 0644));
	CHECK(!is_there("none"));
}

CASE(o_creat_through_a_dangling_symlink_makes_the_target)
{
	GOOD(symlink("target", "l"));
	GOOD(open("l", O_WRONLY | O_CREAT, 0644));
	CHECK(is_there("target"));
	CHECK(S_ISLNK(stat_of("l").st_mode));
}

CASE(o_creat_opens_what_is_there)
{
	put("f", "text");
	GOOD(chmod("f", 0640));
	GOOD(open("f", O_RDWR | O_CREAT, 0777));
	SAME(stat_of("f").st_mode & 07777, 0640);
	SAME(stat_of("f").st_size, 4);
}

CASE(o_trunc_empties_and_stamps)
{
	struct stat before, after;

	put("f", "text");
	before = stat_of("f");
	tick();
	GOOD(open("f", O_WRONLY | O_TRUNC));
	after = stat_of("f");
	SAME(after.st_size, 0);
	CHECK(compare_times(after.st_mtim, before.st_mtim) > 0);
	CHECK(compare_times(after.st_ctim, before.st_ctim) > 0);
	SAME(after.st_ino, before.st_ino);
}

CASE(o_trunc_is_seen_by_whoever_has_it_open)
{
	char c;
	int fd;

	put("f", "text");
	fd = opened("f", O_RDONLY);
	SAME(read(fd, &c, 1), 1);
	GOOD(open("f", O_WRONLY | O_TRUNC));
	SAME(read(fd, &c, 1), 0);
	SAME(fstat_of(fd).st_size, 0);
}

CASE(o_append_writes_at_the_end_whoever_moved_it)
{
	int fd = opened("f", O_WRONLY | O_CREAT | O_APPEND), other;

	SAME(write(fd, "one", 3), 3);
	other = opened("f", O_WRONLY | O_APPEND);
	SAME(write(other, "two", 3), 3);
	GOOD(lseek(fd, 0, SEEK_SET));
	SAME(write(fd, "three", 5), 5);
	SAME(lseek(fd, 0, SEEK_CUR), 11);
	GOOD(truncate("f", 2));
	SAME(write(other, "end", 3), 3);
	CHECK(strcmp(text_of("f"), "onend") == 0);
}

static void append_lines(void *arg)
{
	int fd = opened("f", O_WRONLY | O_APPEND);
	char line[64];

	for (int i = 0; i < 200; i++) {
		int n = snprintf(line, sizeof line, "%c%050d\n", *(char *)arg, i);

		SAME(write(fd, line, (size_t)n), n);
	}
}

CASE(appends_of_several_processes_do_not_mix)
{
	char line[64], who[4] = "abcd";
	int next[4] = { 0 };
	pid_t pids[4];
	FILE *f;

	put("f", "");
	for (int i = 0; i < 4; i++) {
		pids[i] = GOOD(fork());
		if (pids[i] == 0) {
			append_lines(&who[i]);
			_exit(0);
		}
	}
	for (int i = 0; i < 4; i++) {
		int status;

		GOOD(waitpid(pids[i], &status, 0));
		SAME(status, 0);
	}
	SAME(stat_of("f").st_size, 4 * 200 * 52);
	f = fopen("f", "re");
	CHECK(f);
	for (int n = 0; n < 800; n++) {
		CHECK(fgets(line, sizeof line, f));
		CHECK(line[0] >= 'a' && line[0] <= 'd');
		SAME(atoi(line + 1), next[line[0] - 'a']++);
	}
}

CASE(o_directory_takes_directories_only)
{
	put("f", "");
	made_dir("d");
	GOOD(symlink("d", "l"));
	GOOD(open("d", O_RDONLY | O_DIRECTORY));
	GOOD(open("l", O_RDONLY | O_DIRECTORY));
	FAILS(ENOTDIR, open("f", O_RDONLY | O_DIRECTORY));
	FAILS(ENOENT, open("none", O_RDONLY | O_DIRECTORY));
}

CASE(a_directory_is_not_opened_for_writing)
{
	made_dir("d");
	FAILS(EISDIR, open("d", O_WRONLY));
	FAILS(EISDIR, open("d", O_RDWR));
	FAILS(EISDIR, open("d", O_RDONLY | O_CREAT, 0644));
	FAILS(EISDIR, open("d", O_WRONLY | O_TRUNC));
	FAILS(EISDIR, read(opened("d", O_RDONLY), (char[1]){ 0 }, 1));
}

CASE(o_nofollow_refuses_a_last_symlink_only)
{
	made_dir("d");
	put("d/f", "x");
	GOOD(symlink("d/f", "l"));
	GOOD(symlink("d", "m"));
	FAILS(ELOOP, open("l", O_RDONLY | O_NOFOLLOW));
	FAILS(ENOTDIR, open("m", O_RDONLY | O_DIRECTORY | O_NOFOLLOW));
	GOOD(open("m/f", O_RDONLY | O_NOFOLLOW));
	GOOD(open("l", O_PATH | O_NOFOLLOW));
}

CASE(a_missing_name_and_a_file_as_directory)
{
	put("f", "x");
	FAILS(ENOENT, open("none", O_RDONLY));
	FAILS(ENOENT, open("none/x", O_WRONLY | O_CREAT, 0644));
	FAILS(ENOTDIR, open("f/x", O_RDONLY));
	FAILS(ENOTDIR, open("f/x", O_WRONLY | O_CREAT, 0644));
	FAILS(ENOTDIR, open("f/", O_RDONLY));
	FAILS(ENOTDIR, open("f/.", O_RDONLY));
	FAILS(ENOENT, open("", O_RDONLY));
	FAILS(EISDIR, open("new/", O_WRONLY | O_CREAT, 0644));
}

CASE(o_path_gives_a_handle_without_data)
{
	int fd, again;
	char name[64];

	put("f", "text");
	fd = GOOD(open("f", O_PATH));
	FAILS(EBADF, read(fd, name, 1));
	FAILS(EBADF, write(fd, name, 1));
	FAILS(EBADF, fchmod(fd, 0600));
	SAME(fstat_of(fd).st_size, 4);
	snprintf(name, sizeof name, "/proc/self/fd/%d", fd);
	again = opened(name, O_RDONLY);
	SAME(read(again, name, 4), 4);
}

CASE(o_path_survives_the_removal_of_the_name)
{
	char name[64];
	int fd;

	put("f", "text");
	fd = GOOD(open("f", O_PATH));
	GOOD(unlink("f"));
	SAME(fstat_of(fd).st_nlink, 0);
	snprintf(name, sizeof name, "/proc/self/fd/%d", fd);
	SAME(read(opened(name, O_RDONLY), name, 4), 4);
}

CASE(o_tmpfile_has_no_name_until_it_is_linked)
{
	int fd = SUPPORTED(open(".", O_TMPFILE | O_RDWR, 0644));
	char name[64];

	SAME(count_of("."), 0);
	SAME(write(fd, "text", 4), 4);
	SAME(fstat_of(fd).st_nlink, 0);
	snprintf(name, sizeof name, "/proc/self/fd/%d", fd);
	GOOD(linkat(AT_FDCWD, name, AT_FDCWD, "f", AT_SYMLINK_FOLLOW));
	CHECK(strcmp(text_of("f"), "text") == 0);
	SAME(stat_of("f").st_nlink, 1);
	SAME(stat_of("f").st_ino, fstat_of(fd).st_ino);
	GOOD(link("f", "g"));
	SAME(fstat_of(fd).st_nlink, 2);
}

CASE(o_tmpfile_with_o_excl_is_never_linked)
{
	int fd = SUPPORTED(open(".", O_TMPFILE | O_EXCL | O_RDWR, 0644));
	char name[64];

	snprintf(name, sizeof name, "/proc/self/fd/%d", fd);
	FAILS(ENOENT, linkat(AT_FDCWD, name, AT_FDCWD, "f", AT_SYMLINK_FOLLOW));
	FAILS(EINVAL, open(".", O_TMPFILE | O_RDONLY, 0644));
}

CASE(o_tmpfile_is_linked_over_nothing_only)
{
	int fd = SUPPORTED(open(".", O_TMPFILE | O_RDWR, 0644));
	char name[64];

	put("f", "x");
	snprintf(name, sizeof name, "/proc/self/fd/%d", fd);
	FAILS(EEXIST, linkat(AT_FDCWD, name, AT_FDCWD, "f", AT_SYMLINK_FOLLOW));
	CHECK(strcmp(text_of("f"), "x") == 0);
}

CASE(modes_of_access_are_kept)
{
	char c = 0;

	put("f", "x");
	FAILS(EBADF, write(opened("f", O_RDONLY), &c, 1));
	FAILS(EBADF, read(opened("f", O_WRONLY), &c, 1));
	FAILS(EINVAL, ftruncate(opened("f", O_RDONLY), 0));
}

CASE(o_noatime_and_o_sync_and_o_dsync_open)
{
	int fd;

	GOOD(open("f", O_RDWR | O_CREAT | O_NOATIME, 0644));
	fd = GOOD(open("f", O_RDWR | O_SYNC));
	SAME(write(fd, "a", 1), 1);
	fd = GOOD(open("f", O_RDWR | O_DSYNC));
	SAME(pwrite(fd, "b", 1, 1), 1);
	CHECK(strcmp(text_of("f"), "ab") == 0);
}

CASE(fsync_and_fdatasync_of_files_and_directories)
{
	int fd = opened("f", O_RDWR | O_CREAT), dir = opened(".", O_RDONLY);

	SAME(write(fd, "a", 1), 1);
	GOOD(fdatasync(fd));
	GOOD(fsync(fd));
	GOOD(fsync(dir));
	GOOD(fdatasync(dir));
	GOOD(syncfs(dir));
	GOOD(fsync(opened("f", O_RDONLY)));
	GOOD(sync_file_range(fd, 0, 1, SYNC_FILE_RANGE_WRITE));
}

CASE(a_file_opened_often_is_one_file)
{
	int fds[200];
	char c;

	put("f", "");
	for (int i = 0; i < 200; i++)
		fds[i] = opened("f", O_RDWR);
	for (int i = 0; i < 200; i++)
		SAME(pwrite(fds[i], "x", 1, i), 1);
	for (int i = 0; i < 200; i++) {
		SAME(pread(fds[199 - i], &c, 1, i), 1);
		SAME(c, 'x');
	}
}

CASE(openat_works_below_a_descriptor)
{
	int dir;

	made_dir("d");
	dir = opened("d", O_RDONLY | O_DIRECTORY);
	GOOD(openat(dir, "f", O_WRONLY | O_CREAT, 0644));
	CHECK(is_there("d/f"));
	GOOD(rename("d", "e"));
	GOOD(openat(dir, "g", O_WRONLY | O_CREAT, 0644));
	CHECK(is_there("e/g"));
	GOOD(unlinkat(dir, "f", 0));
	GOOD(mkdirat(dir, "sub", 0755));
	GOOD(unlinkat(dir, "sub", AT_REMOVEDIR));
	SAME(count_of("e"), 1);
	FAILS(ENOTDIR, openat(opened("e/g", O_RDONLY), "x", O_RDONLY));
}
