/*
 * Writers for crash tests.  What a writer does follows from the seed and the
 * number of the operation, so that afterwards the same can be done on a twin:
 * the directory must be as after some number of operations, not fewer than had
 * returned (or, after a power cut, than the last fsync made durable).
 *
 *	folder_writers run DIRECTORY STATE WRITERS SEED
 * works until an operation says that the file system is gone, which is success,
 * and counts in the file STATE, which lies elsewhere.
 *
 *	folder_writers check DIRECTORY TWIN STATE WRITERS SEED returned|synced|any
 * compares (with `synced`, what STATE.cut says was synced: a copy from before the
 * power was cut, since an fdatasync that ends while ext4 shuts down may say 0 for
 * what is not kept), leaves both alike, and STATE so that `run` goes on from there.  With
 * `any` it only tells which state the directory is in, from that of the twin on.
 */
#include "model.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

enum { WRITERS = 64, PATH = 64, DATA_MAX = 300000 };

/* Per writer: operations that returned, and those that were made durable. */
struct progress {
	uint64_t returned, synced;
};

enum kind {
	PUT,
	PUT_SYNC,
	APPEND_SYNC,
	MKDIR,
	RENAME,
	EXCHANGE,
	LINK,
	UNLINK,
	RMDIR,
	SYMLINK,
	CHMOD,
	TIMES,
	XATTR,
	KINDS
};

struct operation {
	enum kind kind;
	char path[PATH], other[PATH];
	unsigned number;
	struct chance c;
};

static void path_of(struct chance *c, int who, char *path)
{
	if (chance_below(c, 3))
		sprintf(path, "w%d/%c", who, 'a' + chance_below(c, 8));
	else
		sprintf(path, "w%d/%c/%c", who, 'a' + chance_below(c, 3),
			'a' + chance_below(c, 8));
}

static struct operation operation_of(uint64_t seed, int who, uint64_t number)
{
	static const enum kind kinds[] = { PUT,   PUT,    PUT,    PUT_SYNC, APPEND_SYNC,
					   MKDIR, MKDIR,  RENAME, RENAME,   EXCHANGE,
					   LINK,  UNLINK, RMDIR,  SYMLINK,  CHMOD,
					   TIMES, XATTR };
	struct operation o;

	o.c.state = (seed * 64 + (uint64_t)who + 1) * 0x9e3779b97f4a7c15u + number;
	o.c.state *= 0xbf58476d1ce4e5b9u;
	o.c.state |= 1;
	chance_next(&o.c);
	o.kind = kinds[chance_below(&o.c, sizeof kinds / sizeof *kinds)];
	path_of(&o.c, who, o.path);
	path_of(&o.c, who, o.other);
	o.number = chance_below(&o.c, 1000000000);
	return o;
}

static bool syncs(const struct operation *o)
{
	return o->kind == PUT_SYNC || o->kind == APPEND_SYNC;
}

/* Several calls, so that a crash may leave some of it. */
static bool is_divisible(const struct operation *o)
{
	return o->kind <= APPEND_SYNC;
}

static int put(int at, struct operation *o)
{
	static uint8_t data[DATA_MAX];
	size_t n = chance_below(&o->c, 4) ? chance_below(&o->c, 6000)
					  : chance_below(&o->c, DATA_MAX);
	int fd, r = 0;
	struct stat st;

	for (size_t i = 0; i < n; i++)
		data[i] = (uint8_t)(o->number + i * 31 + i / 997);
	/* Not through symlinks, nor of what has other names: half of it would be
	 * seen elsewhere. */
	fd = openat(at, o->path, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644);
	if (fd < 0)
		return -errno;
	if (fstat(fd, &st) < 0)
		r = -errno;
	else if (st.st_nlink > 1)
		r = -EMLINK;
	else if (o->kind == APPEND_SYNC ? lseek(fd, 0, SEEK_END) < 0
					: ftruncate(fd, 0) < 0)
		r = -errno;
	if (r == 0 && n) {
		ssize_t w = write(fd, data, n);

		r = w < 0 ? -errno : (size_t)w != n ? -EIO : 0;
	}
	if (r == 0 && syncs(o) && fsync(fd) < 0)
		r = -errno;
	if (close(fd) < 0 && r == 0)
		r = -errno;
	return r;
}

static int set_xattr(int at, const struct operation *o)
{
	int fd = openat(at, o->path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW), r;

	if (fd < 0)
		return -errno;
	r = fsetxattr(fd, "user.number", &o->number, sizeof o->number, 0) < 0 ? -errno
									      : 0;
	close(fd);
	return r;
}

/* 0 or a negative errno. */
static int perform(int at, struct operation o)
{
	struct timespec t[2] = { { o.number, o.number % 1000 }, { o.number, o.number } };
	char target[PATH];
	struct stat st;
	int r = -1;

	switch (o.kind) {
	case PUT:
	case PUT_SYNC:
	case APPEND_SYNC:
		return put(at, &o);
	case XATTR:
		return set_xattr(at, &o);
	case MKDIR:
		r = mkdirat(at, o.path, 0755);
		break;
	case RENAME:
		r = renameat2(at, o.path, at, o.other, 0);
		break;
	case EXCHANGE:
		r = renameat2(at, o.path, at, o.other, RENAME_EXCHANGE);
		break;
	case LINK:
		r = linkat(at, o.path, at, o.other, 0);
		break;
	case UNLINK:
		r = unlinkat(at, o.path, 0);
		break;
	case RMDIR:
		r = unlinkat(at, o.path, AT_REMOVEDIR);
		break;
	case SYMLINK:
		snprintf(target, sizeof target, "target%u", o.number);
		r = symlinkat(target, at, o.path);
		break;
	case CHMOD:
		r = fchmodat(at, o.path, 0600 | (o.number & 0177), 0);
		break;
	case TIMES: /* of files only: directories are stamped all the time */
		if (fstatat(at, o.path, &st, AT_SYMLINK_NOFOLLOW) < 0)
			return -errno;
		r = S_ISDIR(st.st_mode) ? 0
					: utimensat(at, o.path, t, AT_SYMLINK_NOFOLLOW);
		break;
	case KINDS:
		break;
	}
	return r < 0 ? -errno : 0;
}

static bool is_gone(int error)
{
	return error == -ENOTCONN || error == -ECONNABORTED || error == -ESHUTDOWN ||
	       error == -EIO || error == -EROFS || error == -ENODEV;
}

/* What a healthy file system says no with here: that depends on the names alone, so
 * the twin says the same. */
static bool is_refusal(int error)
{
	return error == -ENOENT || error == -EEXIST || error == -ENOTDIR ||
	       error == -EISDIR || error == -ENOTEMPTY || error == -EINVAL ||
	       error == -ELOOP || error == -EMLINK || error == -EPERM;
}

static struct progress *progress_of(const char *path)
{
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
	struct progress *p;

	if (fd < 0 || ftruncate(fd, WRITERS * sizeof *p) < 0)
		return NULL;
	p = mmap(NULL, WRITERS * sizeof *p, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	return p == MAP_FAILED ? NULL : p;
}

/* What is refused is refused on the twin too, and counts as done. */
static int write_until_gone(int at, int who, uint64_t seed, struct progress *p)
{
	for (;;) {
		struct operation o = operation_of(seed, who, p->returned);
		int r = perform(at, o);

		if (is_gone(r))
			return 0;
		if (r < 0 && !is_refusal(r)) {
			printf("# writer %d, operation %llu (kind %d, %s, %s): %s\n", who,
			       (unsigned long long)p->returned, o.kind, o.path, o.other,
			       strerror(-r));
			fflush(stdout);
			return 1;
		}
		p->returned++;
		if (r == 0 && syncs(&o))
			p->synced = p->returned;
	}
}

static int run(const char *dir, struct progress *p, int writers, uint64_t seed)
{
	int at = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC), status, bad = 0;
	char name[16];

	if (at < 0) {
		perror(dir);
		return 1;
	}
	for (int i = 0; i < writers; i++) {
		snprintf(name, sizeof name, "w%d", i);
		if (mkdirat(at, name, 0755) < 0 && errno != EEXIST && !is_gone(-errno))
			bad++;
	}
	/* That they are there is no operation of anyone's. */
	if (fsync(at) < 0 && !is_gone(-errno))
		bad++;
	for (int i = 0; i < writers; i++)
		if (fork() == 0)
			_exit(write_until_gone(at, i, seed, &p[i]));
	while (wait(&status) > 0)
		bad += status != 0;
	return bad != 0;
}

/* No operation on a file is half done there, whatever is in it. */
static bool is_directory(int at, const char *path)
{
	struct stat st;

	return fstatat(at, path, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(st.st_mode);
}

/* The twin stands at `at` operations; find where the directory stands. */
static int settle(struct twins *t, int who, uint64_t seed, uint64_t at, uint64_t least,
		  struct progress *p)
{
	char top[16];

	snprintf(top, sizeof top, "w%d", who);
	mkdirat(t->dir, top, 0755); /* the crash came first of all */
	mkdirat(t->twin, top, 0755);
	for (; at < least; at++)
		perform(t->twin, operation_of(seed, who, at));
	t->quiet = true;
	for (;; at++) {
		struct operation o = operation_of(seed, who, at);
		bool in_it;

		t->unsettled = NULL;
		if (model_compare_below(t, top) == 0)
			break;
		t->unsettled = o.path;
		in_it = is_divisible(&o) && at <= p->returned &&
			!is_directory(t->dir, o.path) && !is_directory(t->twin, o.path) &&
			model_compare_below(t, top) == 0;
		t->unsettled = NULL;
		if (in_it) {
			/* Half done: anything in its place goes. */
			unlinkat(t->dir, o.path, 0);
			unlinkat(t->twin, o.path, 0);
			if (model_compare_below(t, top) == 0)
				break;
			printf("# writer %d: not alike without %s\n", who, o.path);
			return -1;
		}
		if (at > p->returned) {
			printf("# writer %d: unlike any state from %llu to %llu "
			       "operations\n",
			       who, (unsigned long long)least,
			       (unsigned long long)p->returned + 1);
			return -1;
		}
		perform(t->twin, o);
	}
	p->returned = p->synced = at;
	return 0;
}

static int check(const char *dir, const char *twin, struct progress *p, int writers,
		 uint64_t seed, const char *least_of, const char *state)
{
	struct twins t = { .dir_path = dir, .twin_path = twin, .no_dir_links = true };
	char path[512];
	struct progress *old, *cut = p;
	int bad = 0;

	/* Where the twin stands was the end of the last check. */
	snprintf(path, sizeof path, "%s.twin", state);
	old = progress_of(path);
	snprintf(path, sizeof path, "%s.cut", state);
	if (*least_of == 's')
		cut = progress_of(path);
	t.dir = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	t.twin = open(twin, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (!old || !cut || t.dir < 0 || t.twin < 0) {
		printf("# %s, %s: %s\n", dir, twin, strerror(errno));
		return 1;
	}
	for (int i = 0; i < writers; i++) {
		struct operation o = operation_of(seed, i, p[i].returned);
		struct progress was = p[i];
		uint64_t least = *least_of == 'r'   ? was.returned
				 : *least_of == 's' ? cut[i].synced
						    : old[i].returned;

		if (settle(&t, i, seed, old[i].returned, least, &p[i]) < 0) {
			struct twins loud = t;
			char top[16];

			loud.quiet = false;
			loud.unsettled = NULL;
			snprintf(top, sizeof top, "w%d", i);
			printf("# after all and one more (kind %d, %s, %s):\n", o.kind,
			       o.path, o.other);
			model_compare_below(&loud, top);
			bad++;
		} else if (p[i].returned < cut[i].synced) {
			printf("# writer %d: as after %llu operations; %llu had "
			       "returned, %llu were "
			       "synced\n",
			       i, (unsigned long long)p[i].returned,
			       (unsigned long long)was.returned,
			       (unsigned long long)cut[i].synced);
			bad++;
		}
		old[i] = p[i];
	}
	/* What was taken away above is gone for good, and all that was seen is kept. */
	if (fsync(t.dir) < 0) {
		printf("# fsync: %s\n", strerror(errno));
		bad++;
	}
	return bad != 0;
}

int main(int argc, char **argv)
{
	struct progress *p;

	umask(022);
	if (argc == 6 && strcmp(argv[1], "run") == 0 && (p = progress_of(argv[3])))
		return run(argv[2], p, atoi(argv[4]), strtoull(argv[5], NULL, 0));
	if (argc == 8 && strcmp(argv[1], "check") == 0 && (p = progress_of(argv[4])))
		return check(argv[2], argv[3], p, atoi(argv[5]),
			     strtoull(argv[6], NULL, 0), argv[7], argv[4]);
	fprintf(stderr, "usage: folder_writers run DIRECTORY STATE WRITERS SEED\n"
			"       folder_writers check DIRECTORY TWIN STATE WRITERS SEED "
			"returned|synced|any\n");
	return 2;
}
