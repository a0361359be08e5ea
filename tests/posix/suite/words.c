/* The small words of suite.h. */
#include "suite.h"

#include <dirent.h>
#include <grp.h>

struct stat stat_of(const char *path)
{
	struct stat st;

	if (lstat(path, &st) < 0)
		FAIL("stat %s: %s", path, strerror(errno));
	return st;
}

struct stat fstat_of(int fd)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		FAIL("fstat: %s", strerror(errno));
	return st;
}

bool is_there(const char *path)
{
	struct stat st;

	if (lstat(path, &st) == 0)
		return true;
	if (errno != ENOENT)
		FAIL("stat %s: %s", path, strerror(errno));
	return false;
}

void put(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	size_t n = strlen(text);

	if (fd < 0 || write(fd, text, n) != (ssize_t)n || close(fd) < 0)
		FAIL("put %s: %s", path, strerror(errno));
}

const char *text_of(const char *path)
{
	static char text[8192];
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof text - 1);

	if (n < 0)
		FAIL("read %s: %s", path, strerror(errno));
	text[n] = 0;
	close(fd);
	return text;
}

int opened(const char *path, int flags)
{
	int fd = open(path, flags | O_CLOEXEC, 0644);

	if (fd < 0)
		FAIL("open %s: %s", path, strerror(errno));
	return fd;
}

void made_dir(const char *path)
{
	if (mkdir(path, 0755) < 0)
		FAIL("mkdir %s: %s", path, strerror(errno));
}

static int walk(const char *path, const char *name, bool *found)
{
	DIR *dir = opendir(path);
	struct dirent *e;
	int n = 0, dots = 0;

	if (!dir)
		FAIL("opendir %s: %s", path, strerror(errno));
	errno = 0;
	while ((e = readdir(dir))) {
		if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0) {
			dots++;
			continue;
		}
		n++;
		if (name && strcmp(e->d_name, name) == 0)
			*found = true;
	}
	if (errno)
		FAIL("readdir %s: %s", path, strerror(errno));
	if (dots != 2)
		FAIL("%s lists %d of \".\" and \"..\"", path, dots);
	closedir(dir);
	return n;
}

int count_of(const char *dir)
{
	return walk(dir, NULL, NULL);
}

bool lists(const char *dir, const char *name)
{
	bool found = false;

	walk(dir, name, &found);
	return found;
}

static uint8_t noise_at(uint64_t at)
{
	uint64_t x = (at / 8 + 1) * 0x9e3779b97f4a7c15u;

	x ^= x >> 29;
	x *= 0xbf58476d1ce4e5b9u;
	x ^= x >> 32;
	return (uint8_t)(x >> 8 * (at % 8)) | 1; /* never zero */
}

void noise(void *buf, size_t len, uint64_t at)
{
	uint8_t *p = buf;

	for (size_t i = 0; i < len; i++)
		p[i] = noise_at(at + i);
}

void check_noise(const void *buf, size_t len, uint64_t at)
{
	const uint8_t *p = buf;

	for (size_t i = 0; i < len; i++)
		if (p[i] != noise_at(at + i))
			FAIL("byte %llu is %02x, not %02x", (unsigned long long)(at + i),
			     p[i], noise_at(at + i));
}

void check_zero(const void *buf, size_t len)
{
	const uint8_t *p = buf;

	for (size_t i = 0; i < len; i++)
		if (p[i])
			FAIL("byte %zu is %02x, not zero", i, p[i]);
}

void tick(void)
{
	const struct timespec nap = { .tv_nsec = 1000000 };
	struct timespec a, b;

	/* Twice: the first change may come right after the stamp. */
	for (int i = 0; i < 2; i++) {
		clock_gettime(CLOCK_REALTIME_COARSE, &a);
		do {
			nanosleep(&nap, NULL);
			clock_gettime(CLOCK_REALTIME_COARSE, &b);
		} while (compare_times(a, b) == 0);
	}
}

int compare_times(struct timespec a, struct timespec b)
{
	if (a.tv_sec != b.tv_sec)
		return a.tv_sec < b.tv_sec ? -1 : 1;
	return a.tv_nsec < b.tv_nsec ? -1 : a.tv_nsec > b.tv_nsec;
}

bool person_begin(uid_t uid, gid_t gid)
{
	gid_t more = GROUP;

	if (setgroups(uid == ME ? 1 : 0, &more) < 0 || setegid(gid) < 0 ||
	    seteuid(uid) < 0)
		FAIL("cannot be user %d: %s", (int)uid, strerror(errno));
	return true;
}

void person_end(void)
{
	if (seteuid(0) < 0 || setegid(0) < 0 || setgroups(0, NULL) < 0)
		FAIL("cannot be root again: %s", strerror(errno));
}

void in_child(void (*fn)(void *arg), void *arg)
{
	pid_t pid = fork();
	int status;

	if (pid < 0)
		FAIL("fork: %s", strerror(errno));
	if (pid == 0) {
		fn(arg);
		fflush(stdout);
		_exit(0);
	}
	if (waitpid(pid, &status, 0) < 0)
		FAIL("waitpid: %s", strerror(errno));
	if (WIFEXITED(status) && WEXITSTATUS(status))
		_exit(WEXITSTATUS(status)); /* it said why */
	if (status)
		FAIL("a child was ended by signal %d", WTERMSIG(status));
}
