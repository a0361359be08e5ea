/* The operations of the model test, each done twice and compared. */
#include "model.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

enum { SLOTS = 8, LAST = 24, PATH = 128, OLD = 1000000000 };

struct slot {
	int dir, twin; /* -1: free */
};

struct worker {
	const struct twins *t;
	const struct model_options *o;
	struct chance c;
	int who, lock;
	bool shared; /* it holds the lock, and works in what is shared */
	struct slot slots[SLOTS];
	char last[LAST][400]; /* what was done, for the report */
	long done;
	bool differs;
	uint8_t *a, *b;
};

static unsigned below(struct worker *w, unsigned n)
{
	return chance_below(&w->c, n);
}

/* What is about to be done. */
__attribute__((format(printf, 2, 3))) static void say(struct worker *w,
						      const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	vsnprintf(w->last[w->done % LAST], sizeof w->last[0], format, ap);
	va_end(ap);
}

__attribute__((format(printf, 2, 3))) static void differ(struct worker *w,
							 const char *format, ...)
{
	char text[600];
	va_list ap;
	int n;

	va_start(ap, format);
	n = vsnprintf(text, sizeof text, format, ap);
	va_end(ap);
	w->differs = true;
	printf("# worker %d, operation %ld: %s: %.*s\n", w->who, w->done,
	       w->last[w->done % LAST], n, text);
	for (long i = w->done - LAST + 1 < 0 ? 0 : w->done - LAST + 1; i < w->done; i++)
		printf("#   before: %ld %s\n", i, w->last[i % LAST]);
	fflush(stdout);
}

static const char *said(long r, int error)
{
	static char text[2][64];
	static int turn;

	turn ^= 1;
	if (r < 0)
		snprintf(text[turn], sizeof text[0], "%s", strerrorname_np(error));
	else
		snprintf(text[turn], sizeof text[0], "%ld", r);
	return text[turn];
}

struct result {
	long r;
	int error;
};

static struct result result(long r)
{
	return (struct result){ r, r < 0 ? errno : 0 };
}

/* Both must say the same.  True if both succeeded. */
static bool same(struct worker *w, struct result a, struct result b)
{
	if (a.r < 0 && a.error == EEXIST && b.error == ENOTEMPTY)
		a.error = ENOTEMPTY; /* POSIX allows both */
	if (a.r != b.r || a.error != b.error)
		differ(w, "says %s, the twin %s", said(a.r, a.error), said(b.r, b.error));
	return a.r >= 0 && b.r >= 0;
}

#define BOTH(w, call_dir, call_twin) same(w, result(call_dir), result(call_twin))

/* A path below what this worker may touch, with few names so that they meet. */
static void any_path(struct worker *w, char *path)
{
	static const char names[] = "abcdefgh";
	unsigned depth = below(w, 4);
	char *p = path;

	/* Not both: a hard link of the shared would be changed without the lock. */
	if (w->shared)
		p += sprintf(p, "shared");
	else
		p += sprintf(p, "p%d", w->who);
	for (unsigned i = 0; i < depth; i++)
		p += sprintf(p, "/%c", names[below(w, 3)]);
	if (below(w, 30) == 0)
		p += sprintf(
		    p, "/a rather long name, that is not within one small record %d",
		    below(w, 2));
	else
		p += sprintf(p, "/%c", names[below(w, 8)]);
}

static off_t any_offset(struct worker *w)
{
	static const int near[] = { 0,      1,      4095,   4096,   4097,
				    131072, 262143, 262144, 1048576 };

	if (below(w, 3))
		return below(w, 20000);
	if (below(w, 2))
		return near[below(w, sizeof near / sizeof *near)];
	return below(w, FILE_MAX - WRITE_MAX);
}

static size_t any_length(struct worker *w)
{
	if (below(w, 4))
		return 1 + below(w, 5000);
	if (below(w, 4))
		return 1 + below(w, 150000);
	return 1 + below(w, WRITE_MAX - 1);
}

static void fill(struct worker *w, size_t n)
{
	uint64_t x = chance_next(&w->c);

	if (below(w, 8) == 0) {
		memset(w->a, below(w, 2) ? 0 : 'x',
		       n); /* also zeroes, also what repeats */
		return;
	}
	for (size_t i = 0; i < n; i += 8) {
		x = x * 6364136223846793005u + 1442695040888963407u;
		memcpy(w->a + i, &x, n - i < 8 ? n - i : 8);
	}
}

static void drop(struct slot *s)
{
	if (s->dir >= 0)
		close(s->dir);
	if (s->twin >= 0)
		close(s->twin);
	*s = (struct slot){ -1, -1 };
}

static struct slot *used_slot(struct worker *w)
{
	unsigned at = below(w, SLOTS);

	for (int i = 0; i < SLOTS; i++)
		if (w->slots[(at + i) % SLOTS].dir >= 0)
			return &w->slots[(at + i) % SLOTS];
	return NULL;
}

static off_t size_of(int fd)
{
	struct stat st;

	return fstat(fd, &st) < 0 ? 0 : st.st_size;
}

/* A time of our own, before all times of a clock, so that they are told apart. */
static void old_times(struct worker *w, struct timespec t[2])
{
	for (int i = 0; i < 2; i++) {
		t[i].tv_sec = below(w, OLD);
		t[i].tv_nsec = below(w, 1000000000);
	}
}

/*
 * Whether a call that changed nothing stamps the file, file systems decide
 * differently; after such a call the times are set.
 */
static void settle_times(struct worker *w, struct slot *s)
{
	struct timespec t[2];

	old_times(w, t);
	futimens(s->dir, t);
	futimens(s->twin, t);
}

static void op_open(struct worker *w)
{
	static const int ways[] = { O_CREAT, O_CREAT | O_EXCL,   O_CREAT | O_TRUNC, 0,
				    O_TRUNC, O_CREAT | O_APPEND, O_NOFOLLOW };
	unsigned way = below(w, sizeof ways / sizeof *ways);
	int flags = O_RDWR | O_CLOEXEC | O_NONBLOCK | ways[way];
	struct slot *s = &w->slots[below(w, SLOTS)];
	mode_t mode = below(w, 01000);
	char path[PATH];
	struct stat st;

	drop(s);
	any_path(w, path);
	say(w, "open %s flags %o mode %o", path, flags, mode);
	s->dir = openat(w->t->dir, path, flags, mode);
	struct result a = result(s->dir < 0 ? -1 : 0);
	s->twin = openat(w->t->twin, path, flags, mode);
	struct result b = result(s->twin < 0 ? -1 : 0);
	if (!same(w, a, b) || fstat(s->dir, &st) < 0 || !S_ISREG(st.st_mode))
		drop(s);
}

static void op_close(struct worker *w)
{
	struct slot *s = used_slot(w);

	say(w, "close");
	if (s) {
		say(w, "close %ld", (long)(s - w->slots));
		drop(s);
	}
}

static void op_write(struct worker *w)
{
	struct slot *s = used_slot(w);
	off_t at = any_offset(w);
	size_t n = any_length(w);

	if (!s)
		return op_open(w);
	if (fcntl(s->twin, F_GETFL) & O_APPEND) {
		if (size_of(s->twin) > FILE_MAX - WRITE_MAX)
			return;
		at = 0;
	} else if (below(w, 4) == 0) {
		at = size_of(s->twin); /* append */
		if (at > FILE_MAX - WRITE_MAX)
			return;
	}
	say(w, "pwrite slot %ld at %lld, %zu bytes", (long)(s - w->slots), (long long)at,
	    n);
	fill(w, n);
	BOTH(w, pwrite(s->dir, w->a, n, at), pwrite(s->twin, w->a, n, at));
}

static void op_read(struct worker *w)
{
	struct slot *s = used_slot(w);
	off_t at = any_offset(w);
	size_t n = any_length(w);

	if (!s)
		return op_open(w);
	say(w, "pread slot %ld at %lld, %zu bytes", (long)(s - w->slots), (long long)at,
	    n);
	struct result a = result(pread(s->dir, w->a, n, at));
	struct result b = result(pread(s->twin, w->b, n, at));
	if (same(w, a, b))
		for (long i = 0; i < a.r; i++)
			if (w->a[i] != w->b[i])
				return differ(w, "byte %lld is %02x, the twin's %02x",
					      (long long)at + i, w->a[i], w->b[i]);
}

static void op_truncate(struct worker *w)
{
	struct slot *s = used_slot(w);
	off_t to = any_offset(w);
	bool stays;

	if (!s)
		return op_open(w);
	if (below(w, 2))
		to = size_of(s->twin) / 2;
	say(w, "ftruncate slot %ld to %lld", (long)(s - w->slots), (long long)to);
	stays = to == size_of(s->twin);
	BOTH(w, ftruncate(s->dir, to), ftruncate(s->twin, to));
	if (stays)
		settle_times(w, s);
}

static void op_truncate_path(struct worker *w)
{
	off_t to = any_offset(w);
	char path[PATH];
	int a, b;

	any_path(w, path);
	say(w, "truncate %s to %lld", path, (long long)to);
	/* truncate(2) has no *at form. */
	a = openat(w->t->dir, path, O_WRONLY | O_CLOEXEC | O_NONBLOCK);
	struct result ra = result(a < 0 ? -1 : 0);
	b = openat(w->t->twin, path, O_WRONLY | O_CLOEXEC | O_NONBLOCK);
	struct result rb = result(b < 0 ? -1 : 0);
	if (same(w, ra, rb) && size_of(b) != to)
		BOTH(w, ftruncate(a, to), ftruncate(b, to));
	if (a >= 0)
		close(a);
	if (b >= 0)
		close(b);
}

static void op_fallocate(struct worker *w)
{
	static const int modes[] = { FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
				     FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
				     FALLOC_FL_ZERO_RANGE,
				     FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE,
				     0,
				     FALLOC_FL_KEEP_SIZE };
	struct slot *s = used_slot(w);
	off_t at = any_offset(w), n = (off_t)any_length(w);
	int mode = modes[below(w, 6)];

	if (!s)
		return op_open(w);
	say(w, "fallocate slot %ld mode %d at %lld, %lld bytes", (long)(s - w->slots),
	    mode, (long long)at, (long long)n);
	struct result a = result(fallocate(s->dir, mode, at, n));
	if (a.r < 0 && a.error == EOPNOTSUPP)
		return;
	struct result b = result(fallocate(s->twin, mode, at, n));
	if (b.r < 0 && b.error == EOPNOTSUPP) {
		/* tmpfs knows no ZERO_RANGE: by hand. */
		off_t end = size_of(s->twin), stop = at + n;
		int flags = fcntl(s->twin, F_GETFL);

		memset(w->b, 0, (size_t)n);
		if (mode & FALLOC_FL_KEEP_SIZE && stop > end)
			stop = end;
		b = (struct result){ 0, 0 };
		fcntl(s->twin, F_SETFL, flags & ~O_APPEND);
		if (stop > at &&
		    pwrite(s->twin, w->b, (size_t)(stop - at), at) != stop - at)
			b = result(-1);
		fcntl(s->twin, F_SETFL, flags);
	}
	same(w, a, b);
	settle_times(w, s);
}

static void op_map(struct worker *w)
{
	struct slot *s = used_slot(w);
	size_t n = 1 + below(w, 20000), size;
	uint8_t *a, *b;
	off_t at;

	if (!s)
		return op_open(w);
	size = (size_t)size_of(s->twin);
	if (size < 2)
		return;
	at = below(w, (unsigned)size - 1);
	if (n > size - (size_t)at)
		n = size - (size_t)at;
	say(w, "store through a map of slot %ld at %lld, %zu bytes", (long)(s - w->slots),
	    (long long)at, n);
	fill(w, n);
	a = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, s->dir, 0);
	b = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, s->twin, 0);
	if (a == MAP_FAILED || b == MAP_FAILED)
		return differ(w, "cannot be mapped");
	if (memcmp(a + at, b + at, n) != 0)
		differ(w, "shows other bytes");
	memcpy(a + at, w->a, n);
	memcpy(b + at, w->a, n);
	if (below(w, 2)) {
		msync(a, size, MS_SYNC);
		msync(b, size, MS_SYNC);
	}
	munmap(a, size);
	munmap(b, size);
	/* When a store becomes a stamp is up to the file system. */
	settle_times(w, s);
}

static void op_copy(struct worker *w)
{
	struct slot *s = used_slot(w), *d = used_slot(w);
	off_t from = any_offset(w), to = any_offset(w), left;

	if (!s)
		return op_open(w);
	left = (off_t)any_length(w);
	say(w, "copy_file_range slot %ld at %lld to slot %ld at %lld, %lld bytes",
	    (long)(s - w->slots), (long long)from, (long)(d - w->slots), (long long)to,
	    (long long)left);
	if (fcntl(d->twin, F_GETFL) & O_APPEND || from + left > size_of(s->twin))
		return;
	while (left > 0 && !w->differs) {
		off_t a_from = from, a_to = to;
		long n = copy_file_range(s->dir, &a_from, d->dir, &a_to, (size_t)left, 0);
		struct result a = result(n), b;

		/* The twin copies exactly what the other copied. */
		a_from = from, a_to = to;
		b = result(copy_file_range(s->twin, &a_from, d->twin, &a_to,
					   n > 0 ? (size_t)n : (size_t)left, 0));
		if (!same(w, a, b) || n == 0)
			break;
		left -= n, from += n, to += n;
	}
	settle_times(w, d);
}

static void op_fsync(struct worker *w)
{
	struct slot *s = used_slot(w);

	if (!s)
		return op_open(w);
	say(w, "fsync slot %ld", (long)(s - w->slots));
	struct result a = result(below(w, 2) ? fsync(s->dir) : fdatasync(s->dir));
	same(w, a, (struct result){ 0, 0 });
}

/* Where the directory says there is a hole, the twin must read as zeroes. */
static void op_seek(struct worker *w)
{
	struct slot *s = used_slot(w);
	off_t at = any_offset(w), size, hole, end;
	size_t n;

	if (!s)
		return op_open(w);
	size = size_of(s->twin);
	say(w, "SEEK_HOLE in slot %ld from %lld", (long)(s - w->slots), (long long)at);
	hole = lseek(s->dir, at, SEEK_HOLE);
	if (at >= size) {
		if (hole >= 0 || errno != ENXIO)
			differ(w, "finds a hole behind the end");
		return;
	}
	if (hole < at || hole > size)
		return differ(w, "says %lld in %lld bytes", (long long)hole,
			      (long long)size);
	if (hole == size)
		return;
	end = lseek(s->dir, hole, SEEK_DATA);
	if (end < 0 && errno == ENXIO)
		end = size;
	if (end <= hole || end > size)
		return differ(w, "data after the hole: %lld", (long long)end);
	n = end - hole > WRITE_MAX ? WRITE_MAX : (size_t)(end - hole);
	if (pread(s->twin, w->b, n, hole) != (ssize_t)n)
		return differ(w, "the twin is shorter");
	for (size_t i = 0; i < n; i++)
		if (w->b[i])
			return differ(w, "a hole at %lld, where the twin has a byte",
				      (long long)hole + (long long)i);
}

static void op_rename(struct worker *w)
{
	static const unsigned flags[] = { 0, 0, 0, RENAME_NOREPLACE, RENAME_EXCHANGE };
	unsigned flag = flags[below(w, 5)];
	char from[PATH], to[PATH];

	any_path(w, from);
	any_path(w, to);
	say(w, "rename %s to %s flags %u", from, to, flag);
	BOTH(w, renameat2(w->t->dir, from, w->t->dir, to, flag),
	     renameat2(w->t->twin, from, w->t->twin, to, flag));
}

static void op_link(struct worker *w)
{
	char from[PATH], to[PATH];

	any_path(w, from);
	any_path(w, to);
	say(w, "link %s to %s", from, to);
	BOTH(w, linkat(w->t->dir, from, w->t->dir, to, 0),
	     linkat(w->t->twin, from, w->t->twin, to, 0));
}

static void op_unlink(struct worker *w)
{
	char path[PATH];

	any_path(w, path);
	say(w, "unlink %s", path);
	BOTH(w, unlinkat(w->t->dir, path, 0), unlinkat(w->t->twin, path, 0));
}

static void op_rmdir(struct worker *w)
{
	char path[PATH];

	any_path(w, path);
	say(w, "rmdir %s", path);
	BOTH(w, unlinkat(w->t->dir, path, AT_REMOVEDIR),
	     unlinkat(w->t->twin, path, AT_REMOVEDIR));
}

static void op_mkdir(struct worker *w)
{
	mode_t mode = below(w, 01000);
	char path[PATH];

	any_path(w, path);
	say(w, "mkdir %s mode %o", path, mode);
	BOTH(w, mkdirat(w->t->dir, path, mode), mkdirat(w->t->twin, path, mode));
}

static void op_symlink(struct worker *w)
{
	char path[PATH], target[600];
	unsigned n;

	any_path(w, path);
	any_path(w, target);
	if (below(w, 8) == 0) {
		n = 1 + below(w, 500);
		memset(target, 't', n);
		target[n] = 0;
	}
	say(w, "symlink %s to %.200s", path, target);
	BOTH(w, symlinkat(target, w->t->dir, path), symlinkat(target, w->t->twin, path));
}

static void op_fifo(struct worker *w)
{
	char path[PATH];

	if (w->o->no_fifos)
		return op_symlink(w);
	any_path(w, path);
	say(w, "mkfifo %s", path);
	BOTH(w, mkfifoat(w->t->dir, path, 0600), mkfifoat(w->t->twin, path, 0600));
}

static void op_readlink(struct worker *w)
{
	char path[PATH];

	any_path(w, path);
	say(w, "readlink %s", path);
	struct result a = result(readlinkat(w->t->dir, path, (char *)w->a, 4096));
	struct result b = result(readlinkat(w->t->twin, path, (char *)w->b, 4096));
	if (same(w, a, b) && memcmp(w->a, w->b, (size_t)a.r) != 0)
		differ(w, "shows another target");
}

static void op_chmod(struct worker *w)
{
	mode_t mode = below(w, 010000);
	char path[PATH];

	any_path(w, path);
	say(w, "chmod %s to %o", path, mode);
	BOTH(w, fchmodat(w->t->dir, path, mode, 0), fchmodat(w->t->twin, path, mode, 0));
}

static void op_chown(struct worker *w)
{
	uid_t uid = below(w, 3000), gid = below(w, 3000);
	char path[PATH];

	if (geteuid() != 0)
		return op_chmod(w);
	any_path(w, path);
	say(w, "chown %s to %d:%d", path, (int)uid, (int)gid);
	BOTH(w, fchownat(w->t->dir, path, uid, gid, AT_SYMLINK_NOFOLLOW),
	     fchownat(w->t->twin, path, uid, gid, AT_SYMLINK_NOFOLLOW));
}

static void op_utimens(struct worker *w)
{
	struct timespec t[2];
	char path[PATH];

	any_path(w, path);
	old_times(w, t);
	say(w, "utimens %s mtime %lld.%09ld", path, (long long)t[1].tv_sec, t[1].tv_nsec);
	BOTH(w, utimensat(w->t->dir, path, t, AT_SYMLINK_NOFOLLOW),
	     utimensat(w->t->twin, path, t, AT_SYMLINK_NOFOLLOW));
}

static void op_xattr(struct worker *w)
{
	static const int flags[] = { 0, 0, XATTR_CREATE, XATTR_REPLACE };
	struct slot *s = used_slot(w);
	int flag = flags[below(w, 4)];
	size_t n = below(w, 8) ? below(w, 30) : below(w, 400);
	char name[32];

	if (!s)
		return op_open(w);
	sprintf(name, "user.%c", 'a' + below(w, 4));
	if (below(w, 4) == 0) {
		say(w, "removexattr %s of slot %ld", name, (long)(s - w->slots));
		BOTH(w, fremovexattr(s->dir, name), fremovexattr(s->twin, name));
		return;
	}
	say(w, "setxattr %s of slot %ld, %zu bytes, flags %d", name, (long)(s - w->slots),
	    n, flag);
	fill(w, n);
	BOTH(w, fsetxattr(s->dir, name, w->a, n, flag),
	     fsetxattr(s->twin, name, w->a, n, flag));
}

static void op_stat(struct worker *w)
{
	struct stat a, b;
	char path[PATH];

	any_path(w, path);
	say(w, "stat %s", path);
	if (!BOTH(w, fstatat(w->t->dir, path, &a, AT_SYMLINK_NOFOLLOW),
		  fstatat(w->t->twin, path, &b, AT_SYMLINK_NOFOLLOW)))
		return;
	if (a.st_mode != b.st_mode || a.st_uid != b.st_uid || a.st_gid != b.st_gid)
		differ(w, "mode %o %d:%d, the twin's %o %d:%d", a.st_mode, (int)a.st_uid,
		       (int)a.st_gid, b.st_mode, (int)b.st_uid, (int)b.st_gid);
	if (!S_ISDIR(a.st_mode) && a.st_size != b.st_size)
		differ(w, "size %lld, the twin's %lld", (long long)a.st_size,
		       (long long)b.st_size);
	if (a.st_nlink != b.st_nlink && !(S_ISDIR(a.st_mode) && w->t->no_dir_links))
		differ(w, "%ld links, the twin's %ld", (long)a.st_nlink,
		       (long)b.st_nlink);
	if (b.st_mtim.tv_sec < OLD && (a.st_mtim.tv_sec != b.st_mtim.tv_sec ||
				       a.st_mtim.tv_nsec != b.st_mtim.tv_nsec))
		differ(w, "mtime %lld.%09ld, the twin's %lld.%09ld",
		       (long long)a.st_mtim.tv_sec, a.st_mtim.tv_nsec,
		       (long long)b.st_mtim.tv_sec, b.st_mtim.tv_nsec);
	if (b.st_mtim.tv_sec >= OLD && a.st_mtim.tv_sec < OLD)
		differ(w, "was not stamped: mtime %lld", (long long)a.st_mtim.tv_sec);
}

/* The names of a directory, each as a bit; 64 for "other". */
static uint64_t names_of(int at, const char *path, long *count)
{
	int fd = openat(at, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	uint64_t set = 0;
	struct dirent *e;

	*count = -1;
	if (!dir)
		return 0;
	*count = 0;
	while ((e = readdir(dir))) {
		uint64_t hash = 5381;

		for (char *p = e->d_name; *p; p++)
			hash = hash * 33 + (uint8_t)*p;
		set += hash * hash; /* whatever the order */
		++*count;
	}
	closedir(dir);
	return set;
}

static void op_list(struct worker *w)
{
	long a_count, b_count;
	uint64_t a, b;
	char path[PATH];

	any_path(w, path);
	say(w, "list %s", path);
	a = names_of(w->t->dir, path, &a_count);
	b = names_of(w->t->twin, path, &b_count);
	if (a != b || a_count != b_count)
		differ(w, "%ld names, the twin has %ld", a_count, b_count);
}

static const struct {
	void (*run)(struct worker *w);
	unsigned weight;
} operations[] = {
	{ op_open, 12 },     { op_close, 3 },    { op_write, 16 },
	{ op_read, 10 },     { op_truncate, 4 }, { op_truncate_path, 1 },
	{ op_fallocate, 5 }, { op_map, 3 },      { op_copy, 3 },
	{ op_fsync, 2 },     { op_seek, 3 },     { op_rename, 10 },
	{ op_link, 4 },      { op_unlink, 5 },   { op_rmdir, 2 },
	{ op_mkdir, 7 },     { op_symlink, 2 },  { op_fifo, 1 },
	{ op_readlink, 1 },  { op_chmod, 2 },    { op_chown, 1 },
	{ op_utimens, 3 },   { op_xattr, 4 },    { op_stat, 8 },
	{ op_list, 3 },
};
enum { OPERATIONS = sizeof operations / sizeof *operations };

static void one(struct worker *w)
{
	unsigned sum = 0, pick;

	for (int i = 0; i < OPERATIONS; i++)
		sum += operations[i].weight;
	pick = below(w, sum);
	for (int i = 0; i < OPERATIONS; i++) {
		if (pick < operations[i].weight) {
			say(w, "-");
			operations[i].run(w);
			return;
		}
		pick -= operations[i].weight;
	}
}

int model_work(const struct twins *t, const struct model_options *o, int who, long ops,
	       uint64_t seed, int lock)
{
	struct worker w = { .t = t, .o = o, .who = who, .lock = lock };

	w.c.state = (seed + 1) * 0x9e3779b97f4a7c15u;
	w.a = malloc(2 * WRITE_MAX);
	w.b = malloc(2 * WRITE_MAX);
	if (!w.a || !w.b)
		return -1;
	for (int i = 0; i < SLOTS; i++)
		w.slots[i] = (struct slot){ -1, -1 };
	for (; w.done < ops && !w.differs; w.done++) {
		/*
		 * While it holds the lock, a worker has open only what it opened
		 * under it: others may not see what it does without.
		 */
		if (!o->no_sharing && w.done % 400 == 399) {
			for (int i = 0; i < SLOTS; i++)
				drop(&w.slots[i]);
			flock(lock, LOCK_EX);
			w.shared = true;
		}
		if (w.shared && w.done % 400 == 40) {
			for (int i = 0; i < SLOTS; i++)
				drop(&w.slots[i]);
			w.shared = false;
			flock(lock, LOCK_UN);
		}
		one(&w);
		if (o->verbose)
			printf("# worker %d, operation %ld: %s\n", who, w.done,
			       w.last[w.done % LAST]);
	}
	for (int i = 0; i < SLOTS; i++)
		drop(&w.slots[i]);
	if (w.shared)
		flock(lock, LOCK_UN);
	free(w.a);
	free(w.b);
	fflush(stdout);
	return w.differs ? -1 : 0;
}
