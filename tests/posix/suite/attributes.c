/* Modes, owners and times, and what each call does to them. */
#include "suite.h"

#include <sys/mman.h>
#include <sys/xattr.h>

#define NS(s, n) ((struct timespec){ .tv_sec = (s), .tv_nsec = (n) })

CASE(chmod_sets_every_bit)
{
	put("f", "x");
	made_dir("d");
	for (mode_t m = 0; m <= 07777; m += 73) {
		GOOD(chmod("f", m));
		SAME(stat_of("f").st_mode, S_IFREG | m);
		GOOD(chmod("d", m));
		SAME(stat_of("d").st_mode, S_IFDIR | m);
	}
	GOOD(chmod("d", 0755));
}

CASE(chmod_follows_symlinks_and_stamps_ctime)
{
	struct stat before, after;

	put("f", "x");
	GOOD(symlink("f", "l"));
	before = stat_of("f");
	tick();
	GOOD(chmod("l", 0600));
	after = stat_of("f");
	SAME(after.st_mode & 07777, 0600);
	CHECK(compare_times(after.st_ctim, before.st_ctim) > 0);
	SAME(compare_times(after.st_mtim, before.st_mtim), 0);
	SAME(stat_of("l").st_mode & 07777, 0777);
	FAILS(ENOENT, chmod("none", 0644));
	FAILS(ENOTDIR, chmod("f/x", 0644));
	GOOD(fchmod(opened("f", O_RDONLY), 0640));
	SAME(stat_of("f").st_mode & 07777, 0640);
}

CASE_ROOT(chown_sets_owner_and_group)
{
	put("f", "x");
	GOOD(symlink("f", "l"));
	GOOD(chown("f", 5, 6));
	SAME(stat_of("f").st_uid, 5);
	SAME(stat_of("f").st_gid, 6);
	GOOD(chown("f", (uid_t)-1, 7));
	GOOD(chown("f", 8, (gid_t)-1));
	SAME(stat_of("f").st_uid, 8);
	SAME(stat_of("f").st_gid, 7);
	GOOD(lchown("l", 9, 10));
	SAME(stat_of("l").st_uid, 9);
	SAME(stat_of("f").st_uid, 8);
	GOOD(chown("l", 11, 12));
	SAME(stat_of("f").st_uid, 11);
	GOOD(fchown(opened("f", O_RDONLY), 0x7ffffffe, 0x7ffffffd));
	SAME(stat_of("f").st_uid, 0x7ffffffe);
	SAME(stat_of("f").st_gid, 0x7ffffffd);
}

CASE_ROOT(chown_takes_setuid_and_setgid_away)
{
	put("f", "x");
	made_dir("d");
	GOOD(chmod("f", 06755));
	GOOD(chown("f", 5, 6));
	SAME(stat_of("f").st_mode & 07777, 0755);
	/* Without execute for the group, setgid means locking, and stays. */
	GOOD(chmod("f", 06644));
	GOOD(chown("f", 5, 6));
	SAME(stat_of("f").st_mode & 07777, 02644);
	GOOD(chmod("d", 06755));
	GOOD(chown("d", 5, 6));
	SAME(stat_of("d").st_mode & 07777, 06755);
}

CASE_ROOT(a_write_by_another_takes_setuid_away)
{
	int fd;

	put("f", "x");
	GOOD(chmod("f", 06777));
	AS(ME, ME)
	{
		fd = opened("f", O_WRONLY);
		SAME(write(fd, "y", 1), 1);
	}
	SAME(stat_of("f").st_mode & 07777, 0777);
	GOOD(chmod("f", 06777));
	AS(ME, ME)
	{
		GOOD(truncate("f", 0));
	}
	SAME(stat_of("f").st_mode & 07777, 0777);
	GOOD(chmod("f", 06777));
	fd = opened("f", O_WRONLY);
	SAME(write(fd, "y", 1), 1);
	SAME(stat_of("f").st_mode & 07777, 06777);
}

CASE_ROOT(a_setgid_directory_gives_its_group)
{
	made_dir("d");
	GOOD(chown("d", 0, 12345));
	GOOD(chmod("d", 02777));
	put("d/f", "x");
	SAME(stat_of("d/f").st_gid, 12345);
	made_dir("d/e");
	SAME(stat_of("d/e").st_gid, 12345);
	SAME(stat_of("d/e").st_mode & 07777, 02755);
	GOOD(symlink("x", "d/l"));
	SAME(stat_of("d/l").st_gid, 12345);
	GOOD(mkfifo("d/p", 0644));
	SAME(stat_of("d/p").st_gid, 12345);
	AS(ME, ME)
	{
		/* Not in that group: no setgid executable for it. */
		GOOD(open("d/g", O_WRONLY | O_CREAT, 02775));
	}
	SAME(stat_of("d/g").st_mode & 07777, 0755);
	SAME(stat_of("d/g").st_uid, ME);
	SAME(stat_of("d/g").st_gid, 12345);
}

CASE(times_are_set_to_the_nanosecond)
{
	static const struct timespec times[] = {
		{ 0, 0 },          { 1, 1 },          { 1234567890, 999999999 },
		{ 2147483647, 5 }, { 2147483648, 6 }, { -1, 999999999 },
		{ -100000, 7 }
	};

	put("f", "x");
	for (size_t i = 0; i < sizeof times / sizeof *times; i++) {
		struct timespec t[2] = { times[i], NS(times[i].tv_sec / 2, 123456789) };
		struct stat st;

		GOOD(utimensat(AT_FDCWD, "f", t, 0));
		st = stat_of("f");
		SAME(st.st_atim.tv_sec, t[0].tv_sec);
		SAME(st.st_atim.tv_nsec, t[0].tv_nsec);
		SAME(st.st_mtim.tv_sec, t[1].tv_sec);
		SAME(st.st_mtim.tv_nsec, t[1].tv_nsec);
	}
}

CASE(utime_now_and_utime_omit)
{
	struct timespec t[2] = { NS(100, 1), NS(200, 2) }, before;
	struct stat st;

	put("f", "x");
	GOOD(utimensat(AT_FDCWD, "f", t, 0));
	t[0].tv_nsec = UTIME_OMIT;
	t[1] = NS(300, 3);
	GOOD(utimensat(AT_FDCWD, "f", t, 0));
	st = stat_of("f");
	SAME(st.st_atim.tv_sec, 100);
	SAME(st.st_mtim.tv_sec, 300);
	clock_gettime(CLOCK_REALTIME_COARSE, &before);
	t[0].tv_nsec = UTIME_NOW;
	t[1].tv_nsec = UTIME_OMIT;
	GOOD(utimensat(AT_FDCWD, "f", t, 0));
	st = stat_of("f");
	CHECK(compare_times(st.st_atim, before) >= 0);
	SAME(st.st_mtim.tv_sec, 300);
	SAME(st.st_mtim.tv_nsec, 3);
	GOOD(utimensat(AT_FDCWD, "f", NULL, 0));
	st = stat_of("f");
	CHECK(compare_times(st.st_mtim, before) >= 0);
	t[0].tv_nsec = t[1].tv_nsec = UTIME_OMIT;
	GOOD(utimensat(AT_FDCWD, "f", t, 0));
	SAME(compare_times(stat_of("f").st_mtim, st.st_mtim), 0);
	t[0].tv_nsec = 1000000000;
	FAILS(EINVAL, utimensat(AT_FDCWD, "f", t, 0));
}

CASE(utimensat_stamps_ctime_and_leaves_symlinks_alone_or_not)
{
	struct timespec t[2] = { NS(100, 1), NS(200, 2) };
	struct stat before;

	put("f", "x");
	GOOD(symlink("f", "l"));
	before = stat_of("f");
	tick();
	GOOD(utimensat(AT_FDCWD, "l", t, AT_SYMLINK_NOFOLLOW));
	SAME(stat_of("l").st_mtim.tv_sec, 200);
	SAME(compare_times(stat_of("f").st_ctim, before.st_ctim), 0);
	GOOD(utimensat(AT_FDCWD, "l", t, 0));
	SAME(stat_of("f").st_mtim.tv_sec, 200);
	CHECK(compare_times(stat_of("f").st_ctim, before.st_ctim) > 0);
	GOOD(futimens(opened("f", O_RDONLY), NULL));
	CHECK(stat_of("f").st_mtim.tv_sec > 200);
	FAILS(ENOENT, utimensat(AT_FDCWD, "none", t, 0));
}

CASE_ROOT(utimensat_asks_who_may)
{
	struct timespec t[2] = { NS(1, 1), NS(2, 2) };

	put("mine", "x");
	put("open", "x");
	put("closed", "x");
	GOOD(chown("mine", ME, ME));
	GOOD(chmod("mine", 0));
	GOOD(chmod("open", 0666));
	AS(ME, ME)
	{
		GOOD(utimensat(AT_FDCWD, "mine", t, 0));
		GOOD(utimensat(AT_FDCWD, "mine", NULL, 0));
		FAILS(EPERM, utimensat(AT_FDCWD, "open", t, 0));
		GOOD(utimensat(AT_FDCWD, "open", NULL, 0));
		FAILS(EPERM, utimensat(AT_FDCWD, "closed", t, 0));
		FAILS(EACCES, utimensat(AT_FDCWD, "closed", NULL, 0));
		t[0].tv_nsec = UTIME_NOW;
		t[1].tv_nsec = UTIME_OMIT;
		FAILS(EPERM, utimensat(AT_FDCWD, "open", t, 0));
	}
}

/* What the calls below change of "d/f" and of "d". */
enum { F_M = 1, F_C = 2, D_M = 4, D_C = 8 };

static void unlink_other(void)
{
	GOOD(unlink("d/g"));
}
static void write_it(void)
{
	SAME(write(opened("d/f", O_WRONLY), "y", 1), 1);
}
static void append_it(void)
{
	SAME(write(opened("d/f", O_WRONLY | O_APPEND), "y", 1), 1);
}
static void grow_it(void)
{
	GOOD(truncate("d/f", 10000));
}
static void punch_it(void)
{
	SUPPORTED(fallocate(opened("d/f", O_WRONLY), 3, 0, 4096));
}
static void allocate_it(void)
{
	SUPPORTED(fallocate(opened("d/f", O_WRONLY), 0, 8192, 4096));
}
static void chmod_it(void)
{
	GOOD(chmod("d/f", 0600));
}
static void chown_it(void)
{
	GOOD(chown("d/f", geteuid(), getegid()));
}
static void set_xattr(void)
{
	SUPPORTED(setxattr("d/f", "user.x", "v", 1, 0));
}
static void link_it(void)
{
	GOOD(link("d/f", "other"));
}
static void create_beside(void)
{
	put("d/h", "");
}
static void mkdir_beside(void)
{
	made_dir("d/h");
}
static void symlink_beside(void)
{
	GOOD(symlink("x", "d/h"));
}
static void mkfifo_beside(void)
{
	GOOD(mkfifo("d/h", 0644));
}
static void rename_it(void)
{
	GOOD(rename("d/f", "d/h"));
	GOOD(rename("d/h", "d/f"));
}
static void read_it(void)
{
	SAME(read(opened("d/f", O_RDONLY), (char[1]){ 0 }, 1), 1);
}
static void list_it(void)
{
	SAME(count_of("d"), 2);
}
static void fail_at_it(void)
{
	FAILS(EEXIST, mkdir("d/f", 0755));
	FAILS(EEXIST, link("d/g", "d/f"));
	FAILS(ENOENT, unlink("d/none"));
}
static void copy_into_it(void)
{
	SUPPORTED(copy_file_range(opened("d/g", O_RDONLY), NULL, opened("d/f", O_WRONLY),
				  NULL, 100, 0));
}

struct stamp {
	const char *name;
	void (*change)(void);
	int changes;
};

static void stamped(const char *what, struct timespec before, struct timespec after,
		    bool want)
{
	if ((compare_times(after, before) > 0) != want)
		FAIL("%s %s", what, want ? "stays" : "changes");
}

static void check_stamp(const void *arg)
{
	const struct stamp *s = arg;
	struct stat f, d, g, e;
	char text[9000];

	memset(text, 't', sizeof text - 1);
	text[sizeof text - 1] = 0;
	made_dir("d");
	put("d/f", text);
	put("d/g", text);
	f = stat_of("d/f"), d = stat_of("d");
	tick();
	s->change();
	g = stat_of("d/f"), e = stat_of("d");
	stamped("mtime of the file", f.st_mtim, g.st_mtim, s->changes & F_M);
	stamped("ctime of the file", f.st_ctim, g.st_ctim, s->changes & F_C);
	stamped("mtime of the directory", d.st_mtim, e.st_mtim, s->changes & D_M);
	stamped("ctime of the directory", d.st_ctim, e.st_ctim, s->changes & D_C);
}

static const struct stamp stamps[] = {
	{ "unlink", unlink_other, D_M | D_C },
	{ "write", write_it, F_M | F_C },
	{ "append", append_it, F_M | F_C },
	{ "truncate", grow_it, F_M | F_C },
	{ "punch", punch_it, F_M | F_C },
	{ "fallocate", allocate_it, F_M | F_C },
	{ "chmod", chmod_it, F_C },
	{ "chown", chown_it, F_C },
	{ "setxattr", set_xattr, F_C },
	{ "link", link_it, F_C },
	{ "create", create_beside, D_M | D_C },
	{ "mkdir", mkdir_beside, D_M | D_C },
	{ "symlink", symlink_beside, D_M | D_C },
	{ "mkfifo", mkfifo_beside, D_M | D_C },
	{ "rename", rename_it, F_C | D_M | D_C },
	{ "read", read_it, 0 },
	{ "readdir", list_it, 0 },
	{ "a_failed_call", fail_at_it, 0 },
	{ "copy_file_range", copy_into_it, F_M | F_C },
};

__attribute__((constructor)) static void stamp_cases(void)
{
	char name[64];

	for (size_t i = 0; i < sizeof stamps / sizeof *stamps; i++) {
		snprintf(name, sizeof name, "%s_stamps_what_it_should", stamps[i].name);
		posix_case_new(name, check_stamp, &stamps[i], false);
	}
}

CASE(a_stamp_is_of_now)
{
	struct timespec before, after;
	struct stat st;

	clock_gettime(CLOCK_REALTIME_COARSE, &before);
	put("f", "x");
	st = stat_of("f");
	clock_gettime(CLOCK_REALTIME, &after);
	CHECK(compare_times(st.st_mtim, before) >= 0 &&
	      compare_times(st.st_mtim, after) <= 0);
	CHECK(compare_times(st.st_ctim, before) >= 0 &&
	      compare_times(st.st_ctim, after) <= 0);
	CHECK(compare_times(st.st_atim, before) >= 0 &&
	      compare_times(st.st_atim, after) <= 0);
}

CASE(a_read_never_moves_mtime_and_atime_never_goes_back)
{
	struct stat before, after;

	put("f", "text");
	before = stat_of("f");
	tick();
	CHECK(strcmp(text_of("f"), "text") == 0);
	after = stat_of("f");
	SAME(compare_times(after.st_mtim, before.st_mtim), 0);
	CHECK(compare_times(after.st_atim, before.st_atim) >= 0);
}
