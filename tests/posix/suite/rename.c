/*
 * rename: every pair of types, in one directory and between two, with each
 * flag; and the pairs of directories, owners and sticky bits as an ordinary
 * user.  What must happen is said once, in two oracles.
 */
#include "suite.h"

#include <sys/socket.h>
#include <sys/un.h>

enum kind {
	NONE,
	A_FILE,
	EMPTY_DIR,
	FULL_DIR,
	A_LINK,
	LINK_TO_DIR,
	A_FIFO,
	A_SOCKET,
	SAME_FILE
};
static const char *const kinds[] = {
	"nothing",    "a_file",    "an_empty_dir",
	"a_full_dir", "a_symlink", "a_symlink_to_a_dir",
	"a_fifo",     "a_socket",  "a_link_of_the_same_file"
};
static const struct {
	const char *name;
	unsigned flag;
} flags[] = { { "", 0 },
	      { "_noreplace", RENAME_NOREPLACE },
	      { "_exchange", RENAME_EXCHANGE } };

struct pair {
	enum kind from, to;
	bool apart;
	unsigned flag;
};

static bool is_dir(enum kind k)
{
	return k == EMPTY_DIR || k == FULL_DIR;
}

static void make(const char *path, enum kind kind, const char *other)
{
	char below[64];
	struct sockaddr_un name = { .sun_family = AF_UNIX };
	int socket_fd;

	switch (kind) {
	case NONE:
		break;
	case A_FILE:
		put(path, path);
		break;
	case FULL_DIR:
		made_dir(path);
		snprintf(below, sizeof below, "%s/inside", path);
		put(below, path);
		break;
	case EMPTY_DIR:
		made_dir(path);
		break;
	case A_LINK:
		GOOD(symlink("no-such-file", path));
		break;
	case LINK_TO_DIR:
		GOOD(symlink("../room", path));
		break;
	case A_FIFO:
		GOOD(mkfifo(path, 0644));
		break;
	case A_SOCKET:
		snprintf(name.sun_path, sizeof name.sun_path, "%s", path);
		socket_fd = (int)GOOD(socket(AF_UNIX, SOCK_STREAM, 0));
		GOOD(bind(socket_fd, (struct sockaddr *)&name, sizeof name));
		break;
	case SAME_FILE:
		GOOD(link(other, path));
		break;
	}
}

static int wanted(const struct pair *p)
{
	if (p->flag == RENAME_NOREPLACE)
		return p->to == NONE ? 0 : EEXIST;
	if (p->flag == RENAME_EXCHANGE)
		return p->to == NONE ? ENOENT : 0;
	if (p->to == NONE || p->to == SAME_FILE)
		return 0;
	if (is_dir(p->from))
		return !is_dir(p->to) ? ENOTDIR : p->to == FULL_DIR ? ENOTEMPTY : 0;
	return is_dir(p->to) ? EISDIR : 0;
}

static void check_inside(const char *path, enum kind kind, const char *made_as)
{
	char below[64];

	if (kind == A_FILE)
		CHECK(strcmp(text_of(path), made_as) == 0);
	if (kind != FULL_DIR)
		return;
	snprintf(below, sizeof below, "%s/inside", path);
	CHECK(strcmp(text_of(below), made_as) == 0);
	SAME(count_of(path), 1);
}

static void rename_pair(const void *arg)
{
	const struct pair *p = arg;
	const char *from = "here/from", *to = p->apart ? "there/to" : "here/to";
	struct stat f, t = { 0 };
	int want = wanted(p), r, held = -1;

	made_dir("here");
	made_dir("there");
	made_dir("room");
	make(from, p->from, NULL);
	make(to, p->to, from);
	f = stat_of(from);
	if (p->to != NONE) {
		t = stat_of(to);
		held = (int)GOOD(open(to, O_PATH | O_NOFOLLOW | O_CLOEXEC));
	}

	r = renameat2(AT_FDCWD, from, AT_FDCWD, to, p->flag);
	if (r < 0 && p->flag && errno == EINVAL)
		posix_skip("the flag is not supported");
	if (r < 0 && errno == EEXIST && want == ENOTEMPTY)
		errno = ENOTEMPTY; /* POSIX allows both */
	if (want) {
		if (r == 0 || errno != want)
			FAIL("%s, not %s", r == 0 ? "success" : strerrorname_np(errno),
			     strerrorname_np(want));
		SAME(stat_of(from).st_ino, f.st_ino);
		check_inside(from, p->from, from);
		SAME(is_there(to), p->to != NONE);
		if (p->to != NONE)
			SAME(stat_of(to).st_ino, t.st_ino);
		check_inside(to, p->to, to);
		return;
	}
	if (r < 0)
		FAIL("%s", strerror(errno));
	SAME(stat_of(to).st_ino, f.st_ino);
	SAME(stat_of(to).st_mode, f.st_mode);
	CHECK(lists(p->apart ? "there" : "here", "to"));
	check_inside(to, p->from, from);
	if (p->to == SAME_FILE) {
		SAME(stat_of(from).st_ino, f.st_ino);
		SAME(stat_of(from).st_nlink, 2);
	} else if (p->flag == RENAME_EXCHANGE) {
		SAME(stat_of(from).st_ino, t.st_ino);
		SAME(stat_of(from).st_mode, t.st_mode);
		check_inside(from, p->to, to);
	} else {
		CHECK(!is_there(from));
		CHECK(!lists("here", "from"));
		if (p->to != NONE && !is_dir(p->to))
			SAME(fstat_of(held).st_nlink, 0);
	}
	SAME(count_of("here"),
	     (p->to == SAME_FILE || p->flag == RENAME_EXCHANGE) + (p->apart ? 0 : 1));
}

/* A directory as an ordinary user meets it, and what he may take away there. */
static const struct place {
	const char *name;
	uid_t owner;
	mode_t mode;
	bool writable, only_own;
} places[] = {
	{ "my_dir", ME, 0755, true, false },
	{ "my_sticky_dir", ME, 01755, true, false },
	{ "anothers_open_dir", OTHER, 0777, true, false },
	{ "anothers_sticky_dir", OTHER, 01777, true, true },
	{ "anothers_closed_dir", OTHER, 0755, false, false },
};
enum { PLACES = sizeof places / sizeof *places };

struct permission {
	const struct place *from, *to;
	uid_t from_owner, to_owner; /* 0: nothing there */
	bool dirs;
	unsigned flag;
};

static int may_take(const struct place *at, uid_t owner)
{
	if (!at->writable)
		return EACCES;
	return at->only_own && owner != ME ? EPERM : 0;
}

static int permitted(const struct permission *p)
{
	int r = may_take(p->from, p->from_owner);

	if (r == 0)
		r = may_take(p->to, p->to_owner ? p->to_owner : ME);
	/* Its ".." changes, which wants permission to write in it. */
	if (r == 0 && p->dirs && p->from_owner != ME)
		r = EACCES;
	if (r == 0 && p->dirs && p->flag && p->to_owner != ME)
		r = EACCES;
	return r;
}

static void make_place(const char *path, const struct place *p)
{
	made_dir(path);
	GOOD(chown(path, p->owner, p->owner));
	GOOD(chmod(path, p->mode));
}

static void make_thing(const char *path, bool dir, uid_t owner)
{
	if (owner == 0)
		return;
	make(path, dir ? EMPTY_DIR : A_FILE, NULL);
	GOOD(chown(path, owner, owner));
}

static void rename_permission(const void *arg)
{
	const struct permission *p = arg;
	int want = permitted(p), r, error = 0;

	make_place("from", p->from);
	make_place("to", p->to);
	make_thing("from/a", p->dirs, p->from_owner);
	make_thing("to/b", p->dirs, p->to_owner);
	AS(ME, ME)
	{
		r = renameat2(AT_FDCWD, "from/a", AT_FDCWD, "to/b", p->flag);
		error = r < 0 ? errno : 0;
	}
	if (p->flag && error == EINVAL)
		posix_skip("the flag is not supported");
	if (error != want)
		FAIL("%s, not %s", error ? strerrorname_np(error) : "success",
		     want ? strerrorname_np(want) : "success");
	SAME(is_there("from/a"), want != 0 || p->flag == RENAME_EXCHANGE);
	SAME(is_there("to/b"), want == 0 || p->to_owner != 0);
}

static void add_pair(enum kind from, enum kind to, bool apart, int flag)
{
	struct pair *p = calloc(1, sizeof *p);
	char name[160];

	*p = (struct pair){ from, to, apart, flags[flag].flag };
	snprintf(name, sizeof name, "rename_%s_onto_%s%s%s", kinds[from], kinds[to],
		 apart ? "_in_another_dir" : "", flags[flag].name);
	posix_case_new(name, rename_pair, p, false);
}

static void add_permission(const struct permission *from)
{
	struct permission *p = calloc(1, sizeof *p);
	char name[200];

	*p = *from;
	snprintf(name, sizeof name, "user_renames_%s_%s_of_%s_onto_%s_in_%s%s",
		 p->from_owner == ME ? "my" : "anothers", p->dirs ? "dir" : "file",
		 p->from->name,
		 p->to_owner == 0    ? "nothing"
		 : p->to_owner == ME ? "mine"
				     : "anothers",
		 p->to->name, p->flag ? "_exchange" : "");
	posix_case_new(name, rename_permission, p, true);
}

__attribute__((constructor)) static void rename_cases(void)
{
	static const uid_t owners[] = { ME, OTHER, 0 };

	for (int from = A_FILE; from <= A_SOCKET; from++)
		for (int to = NONE; to <= SAME_FILE; to++)
			for (int i = 0; i < 6; i++)
				if (to != SAME_FILE || !is_dir(from))
					add_pair(from, to, i & 1, i / 2);
	for (int i = 0; i < PLACES * PLACES * 2 * 2 * 3 * 2; i++) {
		struct permission p = {
			.from = &places[i % PLACES],
			.to = &places[i / PLACES % PLACES],
			.from_owner = owners[i / 25 % 2],
			.to_owner = owners[i / 50 % 3],
			.dirs = i / 150 % 2,
			.flag = i / 300 ? RENAME_EXCHANGE : 0,
		};

		if (p.to_owner || !p.flag)
			add_permission(&p);
	}
}

CASE(rename_of_nothing_and_to_nowhere)
{
	put("f", "x");
	made_dir("d");
	FAILS(ENOENT, rename("none", "x"));
	FAILS(ENOENT, rename("f", "none/x"));
	FAILS(ENOENT, rename("", "x"));
	FAILS(ENOENT, rename("f", ""));
	FAILS(ENOTDIR, rename("f/x", "y"));
	FAILS(ENOTDIR, rename("d", "f/x"));
	FAILS(ENOTDIR, rename("f/", "y"));
	FAILS(ENOTDIR, rename("f", "y/"));
	GOOD(rename("d/", "e/"));
	CHECK(is_there("e") && !is_there("d"));
}

CASE(rename_takes_one_flag_at_most)
{
	put("f", "x");
	put("g", "y");
	FAILS(EINVAL, renameat2(AT_FDCWD, "f", AT_FDCWD, "g",
				RENAME_NOREPLACE | RENAME_EXCHANGE));
	FAILS(EINVAL, renameat2(AT_FDCWD, "f", AT_FDCWD, "g", 1U << 20));
	CHECK(strcmp(text_of("g"), "y") == 0);
}

CASE(rename_of_dots_is_refused)
{
	made_dir("d");
	FAILS(EBUSY, rename(".", "x"));
	FAILS(EBUSY, rename("..", "x"));
	FAILS(EBUSY, rename("d/.", "x"));
	FAILS(EBUSY, rename("d", "."));
	FAILS(EBUSY, rename("d", ".."));
}

CASE(rename_into_its_own_child_is_einval)
{
	made_dir("a");
	made_dir("a/b");
	made_dir("a/b/c");
	put("a/b/f", "x");
	FAILS(EINVAL, rename("a", "a/x"));
	FAILS(EINVAL, rename("a", "a/b/c/x"));
	FAILS(EINVAL, rename("a", "a/b"));
	FAILS(EINVAL, renameat2(AT_FDCWD, "a", AT_FDCWD, "a/b", RENAME_EXCHANGE));
	FAILS(EINVAL, rename("a", "a/b/f"));
}

CASE(rename_onto_its_own_ancestor_is_enotempty)
{
	made_dir("a");
	made_dir("a/b");
	put("a/b/f", "x");
	FAILS(ENOTEMPTY, rename("a/b", "a"));
	FAILS(ENOTEMPTY, rename("a/b/f", "a"));
	FAILS(EINVAL, renameat2(AT_FDCWD, "a/b", AT_FDCWD, "a", RENAME_EXCHANGE));
}

CASE(rename_to_itself_does_nothing)
{
	struct stat before;

	put("f", "x");
	made_dir("d");
	before = stat_of("f");
	GOOD(rename("f", "f"));
	GOOD(rename("d", "d"));
	SAME(stat_of("f").st_ino, before.st_ino);
	FAILS(EEXIST, renameat2(AT_FDCWD, "f", AT_FDCWD, "f", RENAME_NOREPLACE));
	SAME(count_of("."), 2);
}

CASE(rename_stamps_both_directories_and_the_file)
{
	struct stat a, b, f;

	made_dir("a");
	made_dir("b");
	put("a/f", "x");
	a = stat_of("a"), b = stat_of("b"), f = stat_of("a/f");
	tick();
	GOOD(rename("a/f", "b/f"));
	CHECK(compare_times(stat_of("a").st_mtim, a.st_mtim) > 0);
	CHECK(compare_times(stat_of("a").st_ctim, a.st_ctim) > 0);
	CHECK(compare_times(stat_of("b").st_mtim, b.st_mtim) > 0);
	CHECK(compare_times(stat_of("b").st_ctim, b.st_ctim) > 0);
	SAME(compare_times(stat_of("b/f").st_mtim, f.st_mtim), 0);
	CHECK(compare_times(stat_of("b/f").st_ctim, f.st_ctim) > 0);
}

CASE(rename_moves_dotdot)
{
	made_dir("a");
	made_dir("b");
	made_dir("a/d");
	GOOD(rename("a/d", "b/d"));
	SAME(stat_of("b/d/..").st_ino, stat_of("b").st_ino);
	GOOD(chdir("b/d"));
	SAME(stat_of("..").st_ino, stat_of("../../b").st_ino);
}

CASE(rename_counts_subdirectories)
{
	made_dir("a");
	made_dir("b");
	made_dir("a/d");
	made_dir("b/e");
	SAME(stat_of("a").st_nlink, 3);
	GOOD(rename("a/d", "b/d"));
	SAME(stat_of("a").st_nlink, 2);
	SAME(stat_of("b").st_nlink, 4);
	GOOD(rename("b/d", "b/e"));
	SAME(stat_of("b").st_nlink, 3);
}

CASE(rename_of_a_directory_keeps_what_is_open_below)
{
	int fd, dir;

	made_dir("a");
	made_dir("a/b");
	fd = opened("a/b/f", O_RDWR | O_CREAT);
	dir = opened("a/b", O_RDONLY | O_DIRECTORY);
	GOOD(rename("a", "z"));
	SAME(write(fd, "text", 4), 4);
	CHECK(strcmp(text_of("z/b/f"), "text") == 0);
	GOOD(openat(dir, "g", O_WRONLY | O_CREAT, 0644));
	CHECK(is_there("z/b/g"));
}

CASE(rename_replaces_without_a_moment_of_absence)
{
	int status;
	pid_t pid;

	put("f", "old");
	pid = GOOD(fork());
	if (pid == 0) {
		for (int i = 0; i < 2000; i++)
			close(opened("f", O_RDONLY));
		_exit(0);
	}
	while (waitpid(pid, &status, WNOHANG) == 0) {
		put("g", "new");
		GOOD(rename("g", "f"));
	}
	SAME(status, 0);
}

CASE(rename_long_names)
{
	char name[300];

	memset(name, 'n', sizeof name);
	put("f", "x");
	name[255] = 0;
	GOOD(rename("f", name));
	CHECK(lists(".", name));
	GOOD(rename(name, "f"));
	name[255] = 'n';
	name[256] = 0;
	FAILS(ENAMETOOLONG, rename("f", name));
	FAILS(ENAMETOOLONG, rename(name, "f"));
}
