/* Who may do what: modes of files and directories, as an ordinary user. */
#include "suite.h"

#include <grp.h>
#include <sys/fsuid.h>

enum who { OWNER, MEMBER, STRANGER };

/* Every mode of a file for its owner, its group and others: what opens. */
static void check_modes(enum who who, int shift)
{
	put("f", "x");
	GOOD(chown("f", who == OWNER ? ME : OTHER, who == STRANGER ? OTHER : GROUP));
	for (mode_t bits = 0; bits < 8; bits++) {
		/* Others' bits say the opposite, so that they must not count. */
		mode_t mode = (mode_t)(~bits & 7) * 0111;

		mode = (mode & ~(7U << shift)) | bits << shift;
		GOOD(chmod("f", mode));
		AS(ME, ME)
		{
			SAME(open("f", O_RDONLY) >= 0, (bits & 4) != 0);
			SAME(open("f", O_WRONLY) >= 0, (bits & 2) != 0);
			SAME(open("f", O_RDWR) >= 0, (bits & 6) == 6);
			SAME(open("f", O_WRONLY | O_TRUNC) >= 0, (bits & 2) != 0);
			SAME(truncate("f", 0) == 0, (bits & 2) != 0);
			SAME(faccessat(AT_FDCWD, "f", R_OK, AT_EACCESS) == 0,
			     (bits & 4) != 0);
			SAME(faccessat(AT_FDCWD, "f", W_OK, AT_EACCESS) == 0,
			     (bits & 2) != 0);
			SAME(faccessat(AT_FDCWD, "f", X_OK, AT_EACCESS) == 0,
			     (bits & 1) != 0);
		}
	}
}

CASE_ROOT(every_mode_for_the_owner)
{
	check_modes(OWNER, 6);
}

CASE_ROOT(every_mode_for_the_group)
{
	check_modes(MEMBER, 3);
}

CASE_ROOT(every_mode_for_others)
{
	check_modes(STRANGER, 0);
}

CASE_ROOT(every_mode_of_a_directory)
{
	for (mode_t bits = 0; bits < 8; bits++) {
		struct stat st;

		made_dir("d");
		put("d/f", "x");
		GOOD(chmod("d", bits));
		AS(ME, ME)
		{
			SAME(open("d", O_RDONLY | O_DIRECTORY) >= 0, (bits & 4) != 0);
			SAME(lstat("d/f", &st) == 0, (bits & 1) != 0);
			SAME(open("d/new", O_WRONLY | O_CREAT, 0644) >= 0,
			     (bits & 3) == 3);
			SAME(mkdir("d/dir", 0755) == 0, (bits & 3) == 3);
			SAME(symlink("x", "d/link") == 0, (bits & 3) == 3);
			SAME(unlink("d/f") == 0, (bits & 3) == 3);
			SAME(rmdir("d/dir") == 0, (bits & 3) == 3);
			SAME(chdir("d") == 0 && chdir("..") == 0, (bits & 1) != 0);
		}
		SAME(system("rm -rf d"), 0);
	}
}

CASE_ROOT(a_closed_directory_is_eacces_for_every_call)
{
	made_dir("d");
	put("d/f", "x");
	put("mine", "x");
	GOOD(chmod(".", 0777));
	GOOD(chown("mine", ME, ME));
	GOOD(chmod("d", 0));
	AS(ME, ME)
	{
		FAILS(EACCES, open("d/f", O_RDONLY));
		FAILS(EACCES, open("d/g", O_WRONLY | O_CREAT, 0644));
		FAILS(EACCES, mkdir("d/g", 0755));
		FAILS(EACCES, mkfifo("d/g", 0755));
		FAILS(EACCES, symlink("x", "d/g"));
		FAILS(EACCES, link("mine", "d/g"));
		FAILS(EACCES, rename("mine", "d/g"));
		FAILS(EACCES, rename("d/f", "g"));
		FAILS(EACCES, unlink("d/f"));
		FAILS(EACCES, rmdir("d/f"));
		FAILS(EACCES, truncate("d/f", 0));
		FAILS(EACCES, chmod("d/f", 0644));
		FAILS(EACCES, chown("d/f", ME, ME));
		FAILS(EACCES, faccessat(AT_FDCWD, "d/f", F_OK, AT_EACCESS));
		FAILS(EACCES, readlink("d/f", (char[9]){ 0 }, 9));
		FAILS(EACCES, utimensat(AT_FDCWD, "d/f", NULL, 0));
		FAILS(EACCES, chdir("d"));
	}
}

CASE_ROOT(a_read_only_directory_takes_nothing_new)
{
	made_dir("d");
	put("d/f", "x");
	GOOD(chown("d/f", ME, ME));
	AS(ME, ME)
	{
		FAILS(EACCES, open("d/g", O_WRONLY | O_CREAT, 0644));
		FAILS(EACCES, unlink("d/f"));
		FAILS(EACCES, rename("d/f", "d/g"));
		FAILS(EACCES, link("d/f", "d/g"));
		FAILS(EACCES, mkdir("d/g", 0755));
		FAILS(EEXIST, mkdir("d/f", 0755));
		FAILS(ENOENT, unlink("d/none"));
		GOOD(open("d/f", O_RDONLY | O_CREAT, 0644));
	}
}

CASE_ROOT(only_the_owner_and_root_change_modes)
{
	put("mine", "x");
	put("other", "x");
	GOOD(chown("mine", ME, ME));
	GOOD(chmod("other", 0777));
	AS(ME, ME)
	{
		GOOD(chmod("mine", 0600));
		FAILS(EPERM, chmod("other", 0600));
		FAILS(EPERM, chown("mine", OTHER, ME));
		FAILS(EPERM, chown("mine", ME, 12345));
		FAILS(EPERM, chown("other", ME, ME));
		GOOD(chown("mine", ME, GROUP));
		GOOD(chown("mine", (uid_t)-1, (gid_t)-1));
	}
	SAME(stat_of("mine").st_gid, GROUP);
}

CASE_ROOT(setgid_for_a_foreign_group_is_dropped)
{
	put("f", "x");
	GOOD(chown("f", ME, 12345));
	AS(ME, ME)
	{
		GOOD(chmod("f", 02755));
	}
	SAME(stat_of("f").st_mode & 07777, 0755);
}

CASE_ROOT(a_users_chown_takes_setuid_away)
{
	put("f", "x");
	GOOD(chown("f", ME, ME));
	GOOD(chmod("f", 06755));
	AS(ME, ME)
	{
		GOOD(chown("f", ME, GROUP));
	}
	SAME(stat_of("f").st_mode & 07777, 0755);
}

CASE_ROOT(sticky_directories_guard_what_is_not_yours)
{
	made_dir("d");
	GOOD(chmod("d", 01777));
	put("d/other", "x");
	GOOD(mkdir("d/dir", 0777));
	put("d/mine", "x");
	GOOD(chown("d/mine", ME, ME));
	AS(ME, ME)
	{
		FAILS(EPERM, unlink("d/other"));
		FAILS(EPERM, rmdir("d/dir"));
		FAILS(EPERM, rename("d/other", "d/x"));
		FAILS(EPERM, rename("d/mine", "d/other"));
		GOOD(rename("d/mine", "d/x"));
		GOOD(unlink("d/x"));
	}
	GOOD(chown("d", ME, ME));
	AS(ME, ME)
	{
		GOOD(unlink("d/other"));
		GOOD(rmdir("d/dir"));
	}
}

static void ask_as_real(void *arg)
{
	/* access() asks for the real user, faccessat(AT_EACCESS) for the effective. */
	GOOD(setgroups(0, NULL));
	GOOD(setresgid(ME, 0, 0));
	GOOD(setresuid(ME, 0, 0));
	FAILS(EACCES, access("f", R_OK));
	GOOD(access("f", F_OK));
	GOOD(faccessat(AT_FDCWD, "f", R_OK | W_OK, AT_EACCESS));
}

CASE_ROOT(access_asks_for_the_real_user)
{
	put("f", "x");
	GOOD(chmod("f", 0600));
	in_child(ask_as_real, NULL);
}

CASE(access_tells)
{
	put("f", "x");
	GOOD(chmod("f", 0644));
	GOOD(access("f", F_OK | R_OK | W_OK));
	FAILS(EACCES, access("f", X_OK));
	FAILS(ENOENT, access("none", F_OK));
	FAILS(ENOTDIR, access("f/x", F_OK));
	FAILS(EINVAL, access("f", 0100));
	GOOD(access(".", X_OK));
}

CASE_ROOT(root_reads_all_but_runs_only_what_runs)
{
	put("f", "x");
	GOOD(chmod("f", 0));
	GOOD(open("f", O_RDWR));
	FAILS(EACCES, access("f", X_OK));
	made_dir("d");
	GOOD(chmod("d", 0));
	GOOD(open("d", O_RDONLY));
	put("d/f", "x");
}

CASE_ROOT(what_a_user_makes_is_his)
{
	GOOD(chmod(".", 0777));
	AS(ME, GROUP)
	{
		put("f", "x");
		made_dir("d");
		GOOD(symlink("x", "l"));
		GOOD(mkfifo("p", 0644));
	}
	for (const char *const *p = (const char *const[]){ "f", "d", "l", "p", NULL }; *p;
	     p++) {
		SAME(stat_of(*p).st_uid, ME);
		SAME(stat_of(*p).st_gid, GROUP);
	}
}

CASE_ROOT(a_descriptor_keeps_what_was_permitted)
{
	char c;
	int fd = -1;

	put("f", "x");
	AS(ME, ME)
	{
		fd = opened("f", O_RDONLY);
	}
	GOOD(chmod("f", 0));
	AS(ME, ME)
	{
		SAME(read(fd, &c, 1), 1);
		FAILS(EACCES, open("f", O_RDONLY));
	}
}
