/* Compares the two trees of the model test. */
#include "model.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

enum { OLD = 1000000000, DEEP = 64, SHOWN = 20 };

/* Which file of the twin a file of the directory is, for hard links. */
struct identity {
	ino_t dir, twin;
	struct identity *next;
};

struct compare {
	const struct twins *t;
	struct identity *known[4096];
	int differences;
	uint8_t *a, *b;
};

#define DIFFER(c, path, ...)                                                             \
	do {                                                                             \
		if ((c)->differences++ < SHOWN && !(c)->t->quiet) {                      \
			printf("# %s: ", path);                                          \
			printf(__VA_ARGS__);                                             \
			printf("\n");                                                    \
		}                                                                        \
	} while (0)

static void compare_identity(struct compare *c, const char *path, const struct stat *a,
			     const struct stat *b)
{
	struct identity **at = &c->known[b->st_ino % 4096];
	struct identity *i;

	for (i = *at; i; i = i->next) {
		if (i->twin == b->st_ino) {
			if (i->dir != a->st_ino)
				DIFFER(c, path, "is another file than its hard link");
			return;
		}
	}
	i = malloc(sizeof *i);
	*i = (struct identity){ a->st_ino, b->st_ino, *at };
	*at = i;
}

static bool is_zero(const uint8_t *p, size_t n)
{
	return n == 0 || (p[0] == 0 && memcmp(p, p + 1, n - 1) == 0);
}

/* Data and holes as the directory tells them: a hole's bytes are zero. */
static void compare_holes(struct compare *c, const char *path, int a, int b, off_t size)
{
	off_t at = 0;

	while (at < size) {
		off_t data = lseek(a, at, SEEK_DATA);

		if (data < 0 && errno == ENXIO)
			data = size;
		if (data < at || data > size) {
			DIFFER(c, path, "SEEK_DATA from %lld says %lld", (long long)at,
			       (long long)data);
			return;
		}
		for (off_t n; at < data; at += n) {
			n = data - at > WRITE_MAX ? WRITE_MAX : data - at;
			if (pread(b, c->b, (size_t)n, at) != n ||
			    !is_zero(c->b, (size_t)n)) {
				DIFFER(c, path, "a hole at %lld where the twin has data",
				       (long long)at);
				return;
			}
		}
		if (data == size)
			return;
		at = lseek(a, data, SEEK_HOLE);
		if (at <= data || at > size) {
			DIFFER(c, path, "SEEK_HOLE from %lld says %lld", (long long)data,
			       (long long)at);
			return;
		}
	}
}

static void compare_contents(struct compare *c, const char *path, off_t size)
{
	int a = openat(c->t->dir, path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	int b = openat(c->t->twin, path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);

	if (a < 0 || b < 0) {
		DIFFER(c, path, "cannot be opened: %s", strerror(errno));
		goto out;
	}
	for (off_t at = 0; at < size;) {
		ssize_t n = pread(a, c->a, WRITE_MAX, at),
			m = pread(b, c->b, WRITE_MAX, at);

		if (n != m || n <= 0) {
			DIFFER(c, path, "a read at %lld gives %zd, the twin's %zd",
			       (long long)at, n, m);
			goto out;
		}
		for (ssize_t i = 0; i < n; i++) {
			if (c->a[i] != c->b[i]) {
				DIFFER(c, path,
				       "byte %lld of %lld is %02x, the twin's %02x",
				       (long long)(at + i), (long long)size, c->a[i],
				       c->b[i]);
				goto out;
			}
		}
		at += n;
	}
	compare_holes(c, path, a, b, size);
out:
	if (a >= 0)
		close(a);
	if (b >= 0)
		close(b);
}

static int by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* The user attributes of a file as sorted text, in `out`. */
static size_t attributes_of(int fd, char *out, size_t size)
{
	char list[8192], *names[256], value[2048];
	ssize_t n = flistxattr(fd, list, sizeof list);
	size_t used = 0;
	int count = 0;

	for (char *p = list; n > 0 && p < list + n && count < 256; p += strlen(p) + 1)
		if (strncmp(p, "user.", 5) == 0 && strncmp(p, "user.cairn.", 11) != 0)
			names[count++] = p;
	qsort(names, (size_t)count, sizeof *names, by_name);
	for (int i = 0; i < count; i++) {
		ssize_t len = fgetxattr(fd, names[i], value, sizeof value);

		used +=
		    (size_t)snprintf(out + used, size - used, "%s=%zd:", names[i], len);
		for (ssize_t k = 0; k < len && used + 3 < size; k++)
			used += (size_t)snprintf(out + used, size - used, "%02x",
						 (uint8_t)value[k]);
	}
	return used;
}

static void compare_attributes(struct compare *c, const char *path)
{
	int a = openat(c->t->dir, path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	int b = openat(c->t->twin, path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	char *p = (char *)c->a, *q = (char *)c->b;

	if (a >= 0 && b >= 0) {
		p[0] = q[0] = 0;
		if (attributes_of(a, p, WRITE_MAX) != attributes_of(b, q, WRITE_MAX) ||
		    strcmp(p, q) != 0)
			DIFFER(c, path, "attributes %.100s, the twin's %.100s", p, q);
	}
	if (a >= 0)
		close(a);
	if (b >= 0)
		close(b);
}

static char **entries(int at, const char *path, int *count)
{
	int fd = openat(at, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	char **names = NULL;
	struct dirent *e;

	*count = 0;
	while (dir && (e = readdir(dir))) {
		if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
			continue;
		names = realloc(names, (size_t)(*count + 1) * sizeof *names);
		names[(*count)++] = strdup(e->d_name);
	}
	if (dir)
		closedir(dir);
	if (names)
		qsort(names, (size_t)*count, sizeof *names, by_name);
	return names;
}

static void compare_one(struct compare *c, const char *path, int depth);

static bool is_settled(const struct compare *c, const char *dir, const char *name)
{
	size_t n = strlen(dir);
	const char *p = c->t->unsettled;

	return !p || strncmp(p, dir, n) != 0 || p[n] != '/' ||
	       strcmp(p + n + 1, name) != 0;
}

static void compare_dirs(struct compare *c, const char *path, int depth)
{
	int n, m, i = 0, k = 0;
	char **a = entries(c->t->dir, path, &n), **b = entries(c->t->twin, path, &m);

	while (i < n || k < m) {
		int order = i == n ? 1 : k == m ? -1 : strcmp(a[i], b[k]);
		char *below = NULL;

		if (order < 0) {
			if (is_settled(c, path, a[i]))
				DIFFER(c, path, "has %s, the twin has not", a[i]);
			i++;
		} else if (order > 0) {
			if (is_settled(c, path, b[k]))
				DIFFER(c, path, "has no %s, the twin has", b[k]);
			k++;
		} else {
			if (depth < DEEP && is_settled(c, path, a[i]) &&
			    asprintf(&below, "%s/%s", path, a[i]) > 0)
				compare_one(c, below, depth + 1);
			free(below);
			i++, k++;
		}
	}
	for (i = 0; i < n; i++)
		free(a[i]);
	for (k = 0; k < m; k++)
		free(b[k]);
	free(a);
	free(b);
}

static void compare_one(struct compare *c, const char *path, int depth)
{
	struct stat a, b;

	if (fstatat(c->t->dir, path, &a, AT_SYMLINK_NOFOLLOW) < 0 ||
	    fstatat(c->t->twin, path, &b, AT_SYMLINK_NOFOLLOW) < 0) {
		DIFFER(c, path, "stat: %s", strerror(errno));
		return;
	}
	if (a.st_mode != b.st_mode) {
		DIFFER(c, path, "mode %o, the twin's %o", a.st_mode, b.st_mode);
		if ((a.st_mode ^ b.st_mode) & S_IFMT)
			return;
	}
	if (a.st_uid != b.st_uid || a.st_gid != b.st_gid)
		DIFFER(c, path, "owner %d:%d, the twin's %d:%d", (int)a.st_uid,
		       (int)a.st_gid, (int)b.st_uid, (int)b.st_gid);
	if (a.st_nlink != b.st_nlink && !(S_ISDIR(b.st_mode) && c->t->no_dir_links))
		DIFFER(c, path, "%ld links, the twin's %ld", (long)a.st_nlink,
		       (long)b.st_nlink);
	if (b.st_mtim.tv_sec < OLD ? a.st_mtim.tv_sec != b.st_mtim.tv_sec ||
					 a.st_mtim.tv_nsec != b.st_mtim.tv_nsec
				   : a.st_mtim.tv_sec < OLD)
		DIFFER(c, path, "mtime %lld.%09ld, the twin's %lld.%09ld",
		       (long long)a.st_mtim.tv_sec, a.st_mtim.tv_nsec,
		       (long long)b.st_mtim.tv_sec, b.st_mtim.tv_nsec);
	if (S_ISREG(a.st_mode)) {
		compare_identity(c, path, &a, &b);
		if (a.st_size != b.st_size)
			DIFFER(c, path, "size %lld, the twin's %lld",
			       (long long)a.st_size, (long long)b.st_size);
		else
			compare_contents(c, path, a.st_size);
	}
	if (S_ISREG(a.st_mode) || S_ISDIR(a.st_mode))
		compare_attributes(c, path);
	if (S_ISDIR(a.st_mode))
		compare_dirs(c, path, depth);
	if (S_ISLNK(a.st_mode)) {
		char target[4096], twins[4096];
		ssize_t n = readlinkat(c->t->dir, path, target, sizeof target);
		ssize_t m = readlinkat(c->t->twin, path, twins, sizeof twins);

		if (n != m || n < 0 || memcmp(target, twins, (size_t)n) != 0)
			DIFFER(c, path, "another target");
	}
}

int model_compare(const struct twins *t)
{
	return model_compare_below(t, ".");
}

int model_compare_below(const struct twins *t, const char *path)
{
	struct compare *c = calloc(1, sizeof *c);
	int differences;

	c->t = t;
	c->a = malloc(WRITE_MAX);
	c->b = malloc(WRITE_MAX);
	compare_dirs(c, path, 0);
	differences = c->differences;
	for (int i = 0; i < 4096; i++) {
		while (c->known[i]) {
			struct identity *next = c->known[i]->next;

			free(c->known[i]);
			c->known[i] = next;
		}
	}
	free(c->a);
	free(c->b);
	free(c);
	return differences;
}
