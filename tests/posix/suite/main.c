/*
 * Runs the cases in a directory and reports in TAP.
 *	posix_suite [-m PATTERN]... [-x PATTERN] [-k FILE] [-u UID] [-l] DIRECTORY
 * -m  only the cases whose name matches the shell pattern
 * -x  not those whose name matches it
 * -k  differences that are known: lines "PATTERN<tab>REASON"; such a case that
 *     fails is reported as skipped with the reason and with what failed
 * -u  run as that user (from root), in a directory that is his
 * -l  list the cases
 */
#include "suite.h"

#include <fnmatch.h>
#include <ftw.h>
#include <grp.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/resource.h>

enum { EXIT_SKIPPED = 77, PATIENCE = 120 };

static struct posix_case *cases, **cases_end = &cases;
static const char *patterns[64], *not_pattern;
static int n_patterns;

struct known {
	char *pattern, *reason;
	bool met;
	struct known *next;
};
static struct known *knowns;

void posix_case_add(struct posix_case *c)
{
	*cases_end = c;
	cases_end = &c->next;
}

void posix_case_new(const char *name, void (*run)(const void *arg), const void *arg,
		    bool needs_root)
{
	struct posix_case *c = calloc(1, sizeof *c);

	if (!c)
		abort();
	*c = (struct posix_case){ strdup(name), run, arg, needs_root, NULL };
	posix_case_add(c);
}

void posix_fail(const char *file, int line, const char *format, ...)
{
	const char *slash = strrchr(file, '/');
	va_list ap;

	printf("%s:%d: ", slash ? slash + 1 : file, line);
	va_start(ap, format);
	vprintf(format, ap);
	va_end(ap);
	fflush(stdout);
	_exit(1);
}

void posix_skip(const char *why)
{
	printf("%s", why);
	fflush(stdout);
	_exit(EXIT_SKIPPED);
}

static bool is_wanted(const struct posix_case *c)
{
	if (not_pattern && fnmatch(not_pattern, c->name, 0) == 0)
		return false;
	for (int i = 0; i < n_patterns; i++)
		if (fnmatch(patterns[i], c->name, 0) == 0)
			return true;
	return n_patterns == 0;
}

static void read_knowns(const char *path)
{
	FILE *f = fopen(path, "re");
	char line[512];

	if (!f) {
		perror(path);
		exit(2);
	}
	while (fgets(line, sizeof line, f)) {
		char *tab = strchr(line, '\t');
		struct known *k;

		line[strcspn(line, "\n")] = 0;
		if (line[0] == '#' || !tab)
			continue;
		*tab = 0;
		k = calloc(1, sizeof *k);
		*k = (struct known){ strdup(line), strdup(tab + 1), false, knowns };
		knowns = k;
	}
	fclose(f);
}

static struct known *known(const char *name)
{
	for (struct known *k = knowns; k; k = k->next)
		if (fnmatch(k->pattern, name, 0) == 0)
			return k;
	return NULL;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *w)
{
	if (type == FTW_D || type == FTW_DNR)
		chmod(path, 0700);
	else if (type == FTW_DP ? rmdir(path) < 0 : unlink(path) < 0)
		fprintf(stderr, "# %s stays: %s\n", path, strerror(errno));
	return 0;
}

static void remove_tree(const char *path)
{
	/* Before its entries are read, a directory must be readable. */
	nftw(path, remove_one, 32, FTW_PHYS | FTW_MOUNT);
	nftw(path, remove_one, 32, FTW_PHYS | FTW_MOUNT | FTW_DEPTH);
}

/* Run one case; what it printed is in *said.  Returns its wait status. */
static int run(const struct posix_case *c, int base, char *said, size_t size)
{
	char dir[32];
	int fds[2], status = 0;
	size_t n = 0;
	ssize_t r;
	pid_t pid;

	snprintf(dir, sizeof dir, "case.%d", (int)getpid());
	if (fchdir(base) < 0 || mkdir(dir, 0755) < 0 || chmod(dir, 0755) < 0 ||
	    pipe2(fds, O_CLOEXEC) < 0) {
		perror(dir);
		exit(2);
	}
	fflush(stdout);
	pid = fork();
	if (pid == 0) {
		dup2(fds[1], 1);
		setpgid(0, 0);
		alarm(PATIENCE);
		umask(022);
		if (chdir(dir) < 0)
			FAIL("chdir: %s", strerror(errno));
		c->run(c->arg);
		fflush(stdout);
		_exit(0);
	}
	close(fds[1]);
	while ((r = read(fds[0], said + n, size - 1 - n)) > 0)
		n += (size_t)r;
	said[n] = 0;
	close(fds[0]);
	waitpid(pid, &status, 0);
	kill(-pid, SIGKILL); /* whom it left behind */
	if (fchdir(base) == 0)
		remove_tree(dir);
	for (char *p = said; *p; p++)
		if (*p == '\n')
			*p = ' ';
	return status;
}

static void become(uid_t uid, const char *dir)
{
	gid_t more = GROUP;

	if (setgroups(1, &more) < 0 || setresgid(uid, uid, uid) < 0 ||
	    setresuid(uid, uid, uid) < 0) {
		perror(dir);
		exit(2);
	}
}

static int report(const struct posix_case *c, int n, int status, const char *said)
{
	struct known *k = known(c->name);

	if (k && status == 0)
		printf("# the known difference of %s is gone\n", c->name);
	if (k && status != 0)
		k->met = true;
	if (status == 0)
		printf("ok %d - %s\n", n, c->name);
	else if (WIFEXITED(status) && WEXITSTATUS(status) == EXIT_SKIPPED)
		printf("ok %d - %s # SKIP %s\n", n, c->name, said);
	else if (k)
		printf("ok %d - %s # SKIP known: %s (%s)\n", n, c->name, k->reason, said);
	else if (WIFSIGNALED(status))
		printf("not ok %d - %s\n# %s; ended by %s\n", n, c->name, said,
		       WTERMSIG(status) == SIGALRM ? "its time limit"
						   : strsignal(WTERMSIG(status)));
	else
		printf("not ok %d - %s\n# %s\n", n, c->name, said);
	return status == 0 || k ||
		       (WIFEXITED(status) && WEXITSTATUS(status) == EXIT_SKIPPED)
		   ? 0
		   : 1;
}

int main(int argc, char **argv)
{
	int opt, n = 0, bad = 0, base;
	bool list = false;
	char own[64], said[4096];
	long uid = -1;

	while ((opt = getopt(argc, argv, "m:x:k:u:l")) != -1) {
		if (opt == 'm' && n_patterns < 64)
			patterns[n_patterns++] = optarg;
		else if (opt == 'x')
			not_pattern = optarg;
		else if (opt == 'k')
			read_knowns(optarg);
		else if (opt == 'u')
			uid = atol(optarg);
		else if (opt == 'l')
			list = true;
		else
			return 2;
	}
	if (list) {
		for (struct posix_case *c = cases; c; c = c->next)
			if (is_wanted(c))
				puts(c->name);
		return 0;
	}
	if (argc - optind != 1 || chdir(argv[optind]) < 0) {
		fprintf(stderr, "usage: posix_suite [-m PATTERN]... [-x PATTERN] [-k "
				"FILE] [-u UID] [-l] "
				"DIRECTORY\n");
		return 2;
	}
	umask(022);
	signal(SIGXFSZ, SIG_IGN);
	snprintf(own, sizeof own, "suite.%d", (int)getpid());
	if (mkdir(own, 0755) < 0 ||
	    (uid >= 0 && chown(own, (uid_t)uid, (gid_t)uid) < 0) ||
	    (base = open(own, O_RDONLY | O_DIRECTORY | O_CLOEXEC)) < 0) {
		perror(own);
		return 2;
	}
	if (uid >= 0)
		become((uid_t)uid, own);
	for (struct posix_case *c = cases; c; c = c->next) {
		if (!is_wanted(c))
			continue;
		/* With -u root has run them, or will. */
		if (c->needs_root && uid >= 0)
			continue;
		n++;
		if (c->needs_root && geteuid() != 0) {
			printf("ok %d - %s # SKIP needs root\n", n, c->name);
			continue;
		}
		bad += report(c, n, run(c, base, said, sizeof said), said);
	}
	for (struct known *k = knowns; k; k = k->next)
		if (k->met)
			printf("# known difference: %s: %s\n", k->pattern, k->reason);
	if (fchdir(base) == 0 && chdir("..") == 0)
		rmdir(own);
	printf("1..%d\n", n);
	return bad ? 1 : 0;
}
