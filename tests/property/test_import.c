/*
 * What goes in comes out: random trees, imported and exported, are the same
 * trees, and imported again have the same CID, whatever the profile and the
 * number of threads.  Profiles with tiny chunks, narrow nodes and a low
 * threshold make deep trees of little data.
 */
#include "store/error.h"
#include "store/export.h"
#include "store/import.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#define ROUNDS 24

static uint64_t next(uint64_t *seed)
{
	/* splitmix64 */
	uint64_t z = *seed += 0x9e3779b97f4a7c15;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
	z = (z ^ z >> 27) * 0x94d049bb133111eb;
	return z ^ z >> 31;
}

static uint64_t below(uint64_t *seed, uint64_t n)
{
	return next(seed) % n;
}

/* Any bytes that a name may have. */
static void random_name(uint64_t *seed, char out[256])
{
	size_t n = 1 + below(seed, below(seed, 8) ? 12 : 255);

	for (size_t i = 0; i < n; i++) {
		uint8_t c = (uint8_t)next(seed);

		out[i] = (char)(c == 0 || c == '/' ? '.' : c);
	}
	out[n] = '\0';
	if (!strcmp(out, ".") || !strcmp(out, ".."))
		strcpy(out, "...");
}

static void random_file(uint64_t *seed, int at, const char *name, uint32_t chunk)
{
	/* Often at a border of chunks. */
	size_t n = below(seed, 40) * chunk / (below(seed, 3) ? 1 : 7);
	int fd = openat(at, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

	if (fd < 0)
		return; /* the name is taken */
	n += below(seed, 3);
	n -= n && below(seed, 2);
	uint8_t *data = malloc(n + 1);
	assert_non_null(data);
	for (size_t i = 0; i < n; i++)
		data[i] = (uint8_t)next(seed);
	assert_int_equal(write(fd, data, n), n);
	free(data);
	close(fd);
}

static void random_tree(uint64_t *seed, int at, int depth, uint32_t chunk)
{
	unsigned n = below(seed, below(seed, 4) ? 8 : 40);
	char name[256], target[256];

	for (unsigned i = 0; i < n; i++) {
		random_name(seed, name);
		switch (below(seed, depth ? 6 : 4)) {
		case 0:
			random_name(seed, target);
			(void)!symlinkat(target, at, name);
			break;
		default:
			random_file(seed, at, name, chunk);
			break;
		case 4:
		case 5:
			if (mkdirat(at, name, 0700) < 0)
				break;
			int sub = openat(at, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
			assert_true(sub >= 0);
			random_tree(seed, sub, depth - 1, chunk);
			close(sub);
		}
	}
}

/* The bytes of a file, or the target of a symlink. */
static size_t read_all(int at, const char *name, const struct stat *st, uint8_t **out)
{
	size_t cap = st->st_size + 1, len = 0;
	ssize_t n;

	*out = malloc(cap);
	assert_non_null(*out);
	if (S_ISLNK(st->st_mode)) {
		n = readlinkat(at, name, (char *)*out, cap);
		assert_true(n >= 0);
		return n;
	}
	int fd = openat(at, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	assert_true(fd >= 0);
	while ((n = read(fd, *out + len, cap - len)) > 0)
		len += n;
	close(fd);
	return len;
}

/* Everything of `a` is in `b`; the number of entries. */
static unsigned assert_within(int a, int b)
{
	DIR *d = fdopendir(dup(a));
	unsigned n = 0;

	assert_non_null(d);
	for (struct dirent *e; (e = readdir(d));) {
		struct stat sa, sb;

		if (!strcmp(e->d_name, ".") || !strcmp(e->d_name, ".."))
			continue;
		n++;
		assert_int_equal(fstatat(a, e->d_name, &sa, AT_SYMLINK_NOFOLLOW), 0);
		assert_int_equal(fstatat(b, e->d_name, &sb, AT_SYMLINK_NOFOLLOW), 0);
		assert_int_equal(sa.st_mode & S_IFMT, sb.st_mode & S_IFMT);
		if (S_ISDIR(sa.st_mode)) {
			int da = openat(a, e->d_name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
			int db = openat(b, e->d_name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

			n += assert_within(da, db);
			close(da);
			close(db);
			continue;
		}
		uint8_t *ca, *cb;
		size_t la = read_all(a, e->d_name, &sa, &ca);
		size_t lb = read_all(b, e->d_name, &sb, &cb);
		assert_int_equal(la, lb);
		assert_memory_equal(ca, cb, la);
		free(ca);
		free(cb);
	}
	closedir(d);
	return n;
}

static unsigned count_entries(int at)
{
	int other = openat(at, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	unsigned n = assert_within(other, at);

	close(other);
	return n;
}

static struct profile tiny(const struct profile *p)
{
	struct profile t = *p;

	t.chunker.max = 64;
	t.max_links = 3;
	t.hamt_threshold = 400;
	return t;
}

static void trees_survive_the_way_in_and_out(void **state)
{
	char dir[] = "/tmp/cairn-trees-XXXXXX", path[64], out[64], command[64];
	struct store *s;

	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof path, "%s/store", dir);
	assert_int_equal(mkdir(path, 0700), 0);
	assert_int_equal(store_open(&s, path, STORE_WRITE | STORE_CREATE,
				    &(struct store_config){ 0 }),
			 0);
	int top = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	for (uint64_t round = 0; round < ROUNDS; round++) {
		uint64_t seed = round;
		struct profile p = *profiles[round % 2];
		if (round % 4 < 2)
			p = tiny(&p);
		struct import_options o = { .profile = &p, .hidden = true };
		struct import_result first, again;

		print_message("# seed %llu\n", (unsigned long long)round);
		snprintf(path, sizeof path, "%s/in%d", dir, (int)round);
		snprintf(out, sizeof out, "%s/out%d", dir, (int)round);
		assert_int_equal(mkdir(path, 0700), 0);
		int in_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		random_tree(&seed, in_fd, 3, round % 4 < 2 ? 64 : 4096);

		o.jobs = 1 + (int)(round % 3);
		assert_int_equal(import_path(s, path, &o, &first), 0);
		assert_int_equal(export_tree(store_source(s), &first.root, out,
					     &(struct export_options){ 0 }),
				 0);
		int out_fd = open(out, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		unsigned n = assert_within(in_fd, out_fd);
		assert_int_equal(n, count_entries(out_fd));
		assert_int_equal(n + 1, first.files + first.dirs + first.symlinks);

		o.jobs = 0;
		assert_int_equal(import_path(s, out, &o, &again), 0);
		assert_true(cid_equal(&first.root, &again.root));
		assert_true(first.tsize == again.tsize && first.bytes == again.bytes);

		/* Once more over itself. */
		assert_int_equal(export_tree(store_source(s), &first.root, out,
					     &(struct export_options){ .overwrite = true }),
				 0);
		assert_int_equal(assert_within(out_fd, in_fd), n);
		close(in_fd);
		close(out_fd);
	}
	close(top);
	assert_int_equal(store_close(s), 0);
	snprintf(command, sizeof command, "rm -rf %s", dir);
	assert_int_equal(system(command), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(trees_survive_the_way_in_and_out),
	};
	return cmocka_run_group_tests_name("import", tests, NULL, NULL);
}
