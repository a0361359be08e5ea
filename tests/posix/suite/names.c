/* Names: their lengths and bytes, and listing them while they change. */
#include "suite.h"

#include <dirent.h>
#include <limits.h>

CASE(names_of_every_length)
{
	char name[300];

	for (int n = 1; n <= 255; n++) {
		memset(name, 'a', (size_t)n);
		name[n] = 0;
		put(name, "x");
	}
	SAME(count_of("."), 255);
	CHECK(lists(".", name));
	memset(name, 'a', 256);
	name[256] = 0;
	FAILS(ENAMETOOLONG, open(name, O_WRONLY | O_CREAT, 0644));
	FAILS(ENAMETOOLONG, mkdir(name, 0755));
	FAILS(ENAMETOOLONG, symlink("x", name));
	FAILS(ENAMETOOLONG, mkfifo(name, 0644));
	FAILS(ENAMETOOLONG, link("a", name));
	FAILS(ENAMETOOLONG, unlink(name));
	FAILS(ENAMETOOLONG, rmdir(name));
	FAILS(ENAMETOOLONG, access(name, F_OK));
}

CASE(names_of_every_byte)
{
	char name[] = "x?y";

	for (int c = 1; c < 256; c++) {
		name[1] = (char)c;
		if (c != '/')
			put(name, "x");
	}
	SAME(count_of("."), 254);
	for (int c = 1; c < 256; c++) {
		name[1] = (char)c;
		if (c == '/')
			continue;
		CHECK(lists(".", name));
		GOOD(unlink(name));
	}
}

CASE(names_that_look_odd)
{
	static const char *const odd[] = { "...",      "-rf",       " ",        "\n",
					   "*",        "?",         "\"",       "'",
					   "\xc3\xa9", "e\xcc\x81", "\xff\xfe", "CON",
					   "a",        "A",         "name ",    "~",
					   ".hidden",  "#x#",       "%41",      "@" };
	int n = sizeof odd / sizeof *odd;

	for (int i = 0; i < n; i++)
		put(odd[i], odd[i]);
	SAME(count_of("."), n);
	for (int i = 0; i < n; i++) {
		CHECK(strcmp(text_of(odd[i]), odd[i]) == 0);
		CHECK(lists(".", odd[i]));
	}
}

CASE(paths_longer_than_path_max_are_refused)
{
	char path[PATH_MAX + 10];

	for (int i = 0; i < PATH_MAX; i += 2)
		memcpy(path + i, "./", 2);
	strcpy(path + PATH_MAX - 2, "f");
	put(path, "x");
	CHECK(is_there("f"));
	strcpy(path + PATH_MAX - 2, "././f");
	FAILS(ENAMETOOLONG, open(path, O_RDONLY));
}

CASE(a_tree_deeper_than_path_max)
{
	char name[200];
	int depth = 0;

	memset(name, 'd', sizeof name);
	name[sizeof name - 1] = 0;
	for (; depth < 60; depth++) {
		GOOD(mkdir(name, 0755));
		GOOD(chdir(name));
	}
	put("f", "deep");
	CHECK(strcmp(text_of("f"), "deep") == 0);
	GOOD(unlink("f"));
	for (; depth > 0; depth--) {
		GOOD(chdir(".."));
		GOOD(rmdir(name));
	}
}

CASE(dot_and_dotdot_are_listed_with_their_numbers)
{
	struct dirent *e;
	DIR *dir;
	int met = 0;

	made_dir("d");
	dir = opendir("d");
	CHECK(dir);
	while ((e = readdir(dir))) {
		if (strcmp(e->d_name, ".") == 0)
			SAME(e->d_ino, stat_of("d").st_ino);
		else
			SAME(e->d_ino, stat_of(".").st_ino);
		met++;
	}
	SAME(met, 2);
}

CASE(dot_and_dotdot_are_walked)
{
	made_dir("a");
	made_dir("a/b");
	SAME(stat_of("a/b/..").st_ino, stat_of("a").st_ino);
	SAME(stat_of("a/b/../.././a/.").st_ino, stat_of("a").st_ino);
}

CASE(listing_tells_types_and_inode_numbers)
{
	struct dirent *e;
	DIR *dir;
	int n = 0;

	put("file", "x");
	made_dir("dir");
	GOOD(symlink("x", "link"));
	GOOD(mkfifo("fifo", 0644));
	dir = opendir(".");
	CHECK(dir);
	while ((e = readdir(dir))) {
		struct stat st = stat_of(e->d_name);

		n++;
		if (e->d_type != DT_UNKNOWN)
			SAME(e->d_type, IFTODT(st.st_mode));
		if (strcmp(e->d_name, "..") != 0)
			SAME(e->d_ino, st.st_ino);
	}
	SAME(n, 6);
}

static void numbered(char *name, const char *prefix, int i)
{
	sprintf(name, "%s-with-some-length-%06d", prefix, i);
}

static void make_files(const char *prefix, int n)
{
	char name[64];

	for (int i = 0; i < n; i++) {
		int fd;

		numbered(name, prefix, i);
		fd = opened(name, O_WRONLY | O_CREAT);
		close(fd);
	}
}

CASE(names_not_touched_are_listed_once_while_others_come_and_go)
{
	enum { KEEP = 1200 };
	static uint8_t seen[KEEP];
	char name[64];
	struct dirent *e;
	int step = 0;
	DIR *dir;

	make_files("keep", KEEP);
	make_files("drop", KEEP);
	dir = opendir(".");
	CHECK(dir);
	errno = 0;
	while ((e = readdir(dir))) {
		if (strncmp(e->d_name, "keep", 4) == 0)
			seen[atoi(strrchr(e->d_name, '-') + 1)]++;
		if (step < KEEP) {
			numbered(name, "drop", step);
			GOOD(unlink(name));
			numbered(name, "new", step++);
			put(name, "");
		}
		errno = 0;
	}
	SAME(errno, 0);
	for (int i = 0; i < KEEP; i++)
		if (seen[i] != 1)
			FAIL("file %d was listed %d times", i, seen[i]);
	closedir(dir);
	SAME(count_of("."), 2 * KEEP);
}

CASE(ten_thousand_entries_are_removed_while_listing)
{
	struct dirent *e;
	DIR *dir;
	int n = 0;

	made_dir("d");
	GOOD(chdir("d"));
	make_files("f", 10000);
	dir = opendir(".");
	CHECK(dir);
	while ((e = readdir(dir))) {
		if (e->d_name[0] != 'f')
			continue;
		GOOD(unlink(e->d_name));
		n++;
	}
	SAME(n, 10000);
	SAME(count_of("."), 0);
	GOOD(chdir(".."));
	GOOD(rmdir("d"));
}

CASE(rewinddir_shows_what_came_since)
{
	DIR *dir = opendir(".");
	struct dirent *e;
	bool found = false;

	CHECK(dir);
	while (readdir(dir))
		continue;
	put("later", "x");
	rewinddir(dir);
	while ((e = readdir(dir)))
		found |= strcmp(e->d_name, "later") == 0;
	CHECK(found);
	GOOD(unlink("later"));
	rewinddir(dir);
	while ((e = readdir(dir)))
		CHECK(strcmp(e->d_name, "later") != 0);
}

CASE(telldir_and_seekdir_come_back_to_the_same_entry)
{
	enum { N = 1000 };
	static char names[N + 2][256];
	static long places[N + 2];
	struct dirent *e;
	DIR *dir;
	int n = 0;

	make_files("f", N);
	dir = opendir(".");
	CHECK(dir);
	for (;;) {
		long at = telldir(dir);

		e = readdir(dir);
		if (!e)
			break;
		CHECK(n < N + 2);
		places[n] = at;
		snprintf(names[n++], sizeof names[0], "%s", e->d_name);
	}
	SAME(n, N + 2);
	for (int i = n - 1; i >= 0; i -= 7) {
		seekdir(dir, places[i]);
		e = readdir(dir);
		CHECK(e);
		CHECK(strcmp(e->d_name, names[i]) == 0);
	}
	/* Also when entries before it are gone. */
	for (int i = 0; i < n / 2; i++)
		if (names[i][0] == 'f')
			GOOD(unlink(names[i]));
	seekdir(dir, places[n / 2 + 10]);
	e = readdir(dir);
	CHECK(e && strcmp(e->d_name, names[n / 2 + 10]) == 0);
}

CASE(inode_numbers_stay_and_differ)
{
	static ino_t numbers[500];
	char name[64];

	make_files("f", 500);
	for (int i = 0; i < 500; i++) {
		numbered(name, "f", i);
		numbers[i] = stat_of(name).st_ino;
		CHECK(numbers[i] != 0);
		for (int j = 0; j < i; j++)
			CHECK(numbers[i] != numbers[j]);
	}
	for (int i = 0; i < 500; i++) {
		numbered(name, "f", i);
		GOOD(rename(name, "moved"));
		SAME(stat_of("moved").st_ino, numbers[i]);
		GOOD(rename("moved", name));
	}
}

static void create_and_remove(void *arg)
{
	char name[64];

	for (int i = 0; i < 300; i++) {
		numbered(name, arg, i % 10);
		put(name, arg);
		CHECK(strcmp(text_of(name), arg) == 0);
		if (i % 3)
			GOOD(unlink(name));
	}
}

CASE(several_processes_work_in_one_directory)
{
	static char who[6][2] = { "a", "b", "c", "d", "e", "f" };
	pid_t pids[6];
	int status;

	for (int i = 0; i < 6; i++) {
		pids[i] = GOOD(fork());
		if (pids[i] == 0) {
			create_and_remove(who[i]);
			fflush(stdout);
			_exit(0);
		}
	}
	for (int i = 0; i < 6; i++) {
		GOOD(waitpid(pids[i], &status, 0));
		SAME(status, 0);
	}
}

CASE(one_of_many_creators_wins_with_o_excl)
{
	pid_t pids[8];
	int status, won = 0;

	for (int i = 0; i < 8; i++) {
		pids[i] = GOOD(fork());
		if (pids[i] == 0)
			_exit(open("lock", O_WRONLY | O_CREAT | O_EXCL, 0644) >= 0);
	}
	for (int i = 0; i < 8; i++) {
		GOOD(waitpid(pids[i], &status, 0));
		won += WEXITSTATUS(status);
	}
	SAME(won, 1);
}
