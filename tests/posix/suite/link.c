/* Hard links, symbolic links, unlink and rmdir. */
#include "suite.h"

#include <limits.h>
#include <sys/resource.h>

CASE(a_hard_link_is_the_same_file)
{
	struct stat a, b;

	put("a", "text");
	GOOD(link("a", "b"));
	a = stat_of("a"), b = stat_of("b");
	SAME(a.st_ino, b.st_ino);
	SAME(a.st_nlink, 2);
	put("b", "other");
	CHECK(strcmp(text_of("a"), "other") == 0);
	GOOD(chmod("a", 0600));
	SAME(stat_of("b").st_mode & 07777, 0600);
	GOOD(unlink("a"));
	SAME(stat_of("b").st_nlink, 1);
	CHECK(strcmp(text_of("b"), "other") == 0);
}

CASE(a_hard_link_into_another_directory)
{
	made_dir("d");
	put("a", "text");
	GOOD(link("a", "d/b"));
	SAME(stat_of("d/b").st_ino, stat_of("a").st_ino);
	GOOD(rename("a", "c"));
	SAME(stat_of("d/b").st_nlink, 2);
	GOOD(unlink("d/b"));
	GOOD(rmdir("d"));
	SAME(stat_of("c").st_nlink, 1);
}

CASE(link_refuses)
{
	put("f", "x");
	put("g", "y");
	made_dir("d");
	FAILS(EEXIST, link("f", "g"));
	FAILS(EEXIST, link("f", "f"));
	FAILS(EEXIST, link("f", "d"));
	FAILS(ENOENT, link("none", "x"));
	FAILS(ENOENT, link("f", "none/x"));
	FAILS(ENOTDIR, link("f", "g/x"));
	FAILS(EPERM, link("d", "e"));
	FAILS(EPERM, link(".", "e"));
	SAME(stat_of("f").st_nlink, 1);
}

CASE(link_does_not_follow_but_linkat_can)
{
	put("f", "x");
	GOOD(symlink("f", "l"));
	GOOD(link("l", "m"));
	CHECK(S_ISLNK(stat_of("m").st_mode));
	SAME(stat_of("m").st_ino, stat_of("l").st_ino);
	GOOD(linkat(AT_FDCWD, "l", AT_FDCWD, "n", AT_SYMLINK_FOLLOW));
	SAME(stat_of("n").st_ino, stat_of("f").st_ino);
}

CASE(link_stamps_ctime_and_the_directory)
{
	struct stat f, d;

	put("f", "x");
	made_dir("d");
	f = stat_of("f"), d = stat_of("d");
	tick();
	GOOD(link("f", "d/g"));
	CHECK(compare_times(stat_of("f").st_ctim, f.st_ctim) > 0);
	SAME(compare_times(stat_of("f").st_mtim, f.st_mtim), 0);
	CHECK(compare_times(stat_of("d").st_mtim, d.st_mtim) > 0);
	f = stat_of("f"), d = stat_of("d");
	tick();
	GOOD(unlink("d/g"));
	CHECK(compare_times(stat_of("f").st_ctim, f.st_ctim) > 0);
	CHECK(compare_times(stat_of("d").st_mtim, d.st_mtim) > 0);
	CHECK(compare_times(stat_of("d").st_ctim, d.st_ctim) > 0);
}

CASE(a_thousand_links_of_one_file)
{
	char name[32];

	put("f", "x");
	for (int i = 0; i < 1000; i++) {
		snprintf(name, sizeof name, "l%d", i);
		GOOD(link("f", name));
	}
	SAME(stat_of("f").st_nlink, 1001);
	SAME(count_of("."), 1001);
	for (int i = 0; i < 1000; i++) {
		snprintf(name, sizeof name, "l%d", i);
		GOOD(unlink(name));
	}
	SAME(stat_of("f").st_nlink, 1);
}

CASE(links_have_an_end_or_none)
{
	char name[32];
	int n = 0;

	if (!getenv("LONG"))
		posix_skip("only with LONG in the environment");
	put("f", "x");
	for (; n < 66000; n++) {
		snprintf(name, sizeof name, "l%d", n);
		if (link("f", name) < 0)
			break;
	}
	if (n < 66000)
		SAME(errno, EMLINK);
	SAME(stat_of("f").st_nlink, n + 1);
}

CASE(links_of_fifos_and_symlinks)
{
	GOOD(mkfifo("p", 0644));
	GOOD(link("p", "q"));
	SAME(stat_of("p").st_nlink, 2);
	GOOD(symlink("target", "l"));
	GOOD(link("l", "m"));
	SAME(stat_of("l").st_nlink, 2);
	GOOD(unlink("p"));
	CHECK(S_ISFIFO(stat_of("q").st_mode));
}

CASE(unlink_refuses)
{
	put("f", "x");
	made_dir("d");
	FAILS(ENOENT, unlink("none"));
	FAILS(EISDIR, unlink("d"));
	FAILS(ENOTDIR, unlink("f/x"));
	FAILS(ENOTDIR, unlink("f/"));
	FAILS(EISDIR, unlink("."));
	FAILS(ENOENT, unlink(""));
	FAILS(ENOENT, unlink("none/x"));
}

CASE(unlink_takes_the_symlink_and_not_its_target)
{
	put("f", "x");
	GOOD(symlink("f", "l"));
	GOOD(unlink("l"));
	CHECK(is_there("f") && !is_there("l"));
}

CASE(rmdir_refuses)
{
	put("f", "x");
	made_dir("d");
	put("d/f", "x");
	GOOD(symlink("d", "l"));
	FAILS(ENOTEMPTY, rmdir("d"));
	FAILS(ENOTDIR, rmdir("f"));
	FAILS(ENOTDIR, rmdir("l"));
	FAILS(ENOENT, rmdir("none"));
	FAILS(EINVAL, rmdir("."));
	FAILS(EINVAL, rmdir("d/."));
	FAILS(ENOTEMPTY, rmdir("d/.."));
	GOOD(unlink("d/f"));
	GOOD(rmdir("d"));
}

CASE(mkdir_refuses)
{
	put("f", "x");
	made_dir("d");
	GOOD(symlink("none", "l"));
	FAILS(EEXIST, mkdir("f", 0755));
	FAILS(EEXIST, mkdir("d", 0755));
	FAILS(EEXIST, mkdir("l", 0755));
	FAILS(EEXIST, mkdir(".", 0755));
	FAILS(ENOENT, mkdir("none/x", 0755));
	FAILS(ENOTDIR, mkdir("f/x", 0755));
	FAILS(ENOENT, mkdir("", 0755));
}

CASE(mkdir_and_rmdir_count_and_stamp)
{
	struct stat before;

	made_dir("d");
	before = stat_of("d");
	SAME(before.st_nlink, 2);
	tick();
	made_dir("d/e");
	SAME(stat_of("d").st_nlink, 3);
	CHECK(compare_times(stat_of("d").st_mtim, before.st_mtim) > 0);
	before = stat_of("d");
	tick();
	GOOD(rmdir("d/e"));
	SAME(stat_of("d").st_nlink, 2);
	CHECK(compare_times(stat_of("d").st_mtim, before.st_mtim) > 0);
	CHECK(compare_times(stat_of("d").st_ctim, before.st_ctim) > 0);
}

CASE(a_removed_working_directory_is_empty_and_dead)
{
	made_dir("d");
	GOOD(chdir("d"));
	GOOD(rmdir("../d"));
	FAILS(ENOENT, open("f", O_WRONLY | O_CREAT, 0644));
	FAILS(ENOENT, mkdir("e", 0755));
	FAILS(ENOENT, symlink("x", "y"));
	CHECK(getcwd((char[PATH_MAX]){ 0 }, PATH_MAX) == NULL);
	SAME(errno, ENOENT);
	SAME(stat_of(".").st_nlink, 0);
}

CASE(a_removed_open_directory_lists_nothing)
{
	int dir;

	made_dir("d");
	dir = opened("d", O_RDONLY | O_DIRECTORY);
	GOOD(rmdir("d"));
	FAILS(ENOENT, openat(dir, "f", O_WRONLY | O_CREAT, 0644));
	made_dir("d");
	CHECK(stat_of("d").st_ino != fstat_of(dir).st_ino);
}

CASE(a_symlink_says_what_it_was_told)
{
	char got[64];

	GOOD(symlink("../some where/\xff", "l"));
	SAME(readlink("l", got, sizeof got), 15);
	CHECK(memcmp(got, "../some where/\xff", 15) == 0);
	SAME(stat_of("l").st_size, 15);
	SAME(stat_of("l").st_mode & 07777, 0777);
	SAME(readlink("l", got, 4), 4);
	CHECK(memcmp(got, "../s", 4) == 0);
}

CASE(symlink_refuses)
{
	put("f", "x");
	FAILS(EEXIST, symlink("x", "f"));
	FAILS(ENOENT, symlink("", "l"));
	FAILS(ENOENT, symlink("x", "none/l"));
	FAILS(ENOTDIR, symlink("x", "f/l"));
	FAILS(EINVAL, readlink("f", (char[9]){ 0 }, 9));
	FAILS(EINVAL, readlink(".", (char[9]){ 0 }, 9));
	FAILS(ENOENT, readlink("none", (char[9]){ 0 }, 9));
}

CASE(symlinks_of_every_length)
{
	char target[PATH_MAX + 1], got[PATH_MAX];
	static const int lengths[] = { 1, 59, 60, 255, 256, 1023, 1024, 4000, 4095 };

	for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
		int n = lengths[i];

		memset(target, 't', (size_t)n);
		target[n] = 0;
		GOOD(symlink(target, "l"));
		SAME(readlink("l", got, sizeof got), n);
		CHECK(memcmp(target, got, (size_t)n) == 0);
		SAME(stat_of("l").st_size, n);
		GOOD(unlink("l"));
	}
	memset(target, 't', PATH_MAX);
	target[PATH_MAX] = 0;
	FAILS(ENAMETOOLONG, symlink(target, "l"));
}

CASE(symlinks_in_a_circle_are_eloop)
{
	struct stat st;

	GOOD(symlink("b", "a"));
	GOOD(symlink("a", "b"));
	FAILS(ELOOP, open("a", O_RDONLY));
	FAILS(ELOOP, stat("a", &st));
	FAILS(ELOOP, open("a/x", O_WRONLY | O_CREAT, 0644));
	FAILS(ELOOP, truncate("a", 0));
	FAILS(ELOOP, chmod("a", 0644));
	GOOD(rename("a", "c"));
	GOOD(unlink("b"));
}

CASE(forty_symlinks_are_followed)
{
	char from[32], to[32];

	put("l0", "text");
	for (int i = 1; i <= 41; i++) {
		snprintf(from, sizeof from, "l%d", i);
		snprintf(to, sizeof to, "l%d", i - 1);
		GOOD(symlink(to, from));
	}
	CHECK(strcmp(text_of("l40"), "text") == 0);
	FAILS(ELOOP, open("l41", O_RDONLY));
}

CASE(a_symlink_to_a_directory_is_walked)
{
	made_dir("d");
	put("d/f", "text");
	GOOD(symlink("d", "l"));
	CHECK(strcmp(text_of("l/f"), "text") == 0);
	CHECK(S_ISDIR(stat_of("l/").st_mode));
	SAME(count_of("l"), 1);
	GOOD(mkdir("l/e", 0755));
	CHECK(is_there("d/e"));
}
