/* read, write, truncate, fallocate, holes, and the ways to copy. */
#include "suite.h"

#include <linux/falloc.h>
#include <sys/sendfile.h>
#include <sys/uio.h>
#include <sys/vfs.h>

enum { LARGE = 3 << 20 }; /* more than a few chunks and a few requests */

static uint8_t *buffer(size_t n)
{
	uint8_t *p = malloc(n);

	CHECK(p);
	return p;
}

static void write_noise(int fd, off_t at, size_t n)
{
	uint8_t *p = buffer(n);

	noise(p, n, (uint64_t)at);
	SAME(pwrite(fd, p, n, at), n);
	free(p);
}

static void expect_noise(int fd, off_t at, size_t n)
{
	uint8_t *p = buffer(n);

	SAME(pread(fd, p, n, at), n);
	check_noise(p, n, (uint64_t)at);
	free(p);
}

static void expect_zero(int fd, off_t at, size_t n)
{
	uint8_t *p = buffer(n);

	SAME(pread(fd, p, n, at), n);
	check_zero(p, n);
	free(p);
}

CASE(what_is_written_is_read_at_any_size)
{
	static const size_t sizes[] = { 1,      4095,   4096,    4097,    65536, 131071,
					262143, 262144, 1048575, 1048577, LARGE };

	for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
		int fd = opened("f", O_RDWR | O_CREAT | O_TRUNC);

		write_noise(fd, 0, sizes[i]);
		SAME(fstat_of(fd).st_size, sizes[i]);
		close(fd);
		fd = opened("f", O_RDONLY);
		expect_noise(fd, 0, sizes[i]);
		SAME(pread(fd, (char[1]){ 0 }, 1, (off_t)sizes[i]), 0);
		close(fd);
	}
}

CASE(overwriting_changes_only_its_range)
{
	static const off_t places[] = { 0, 1, 4095, 262143, 262144, 1000000, LARGE - 10 };
	int fd = opened("f", O_RDWR | O_CREAT);
	uint8_t *all = buffer(LARGE), *got = buffer(LARGE);

	noise(all, LARGE, 0);
	write_noise(fd, 0, LARGE);
	GOOD(fsync(fd));
	for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
		memset(all + places[i], (int)i, 10);
		SAME(pwrite(fd, all + places[i], 10, places[i]), 10);
		SAME(pread(fd, got, LARGE, 0), LARGE);
		CHECK(memcmp(all, got, LARGE) == 0);
	}
	SAME(fstat_of(fd).st_size, LARGE);
}

CASE(writes_of_every_small_size_one_after_another)
{
	int fd = opened("f", O_RDWR | O_CREAT);
	uint8_t p[600];
	off_t at = 0;

	for (size_t n = 0; n < 600; n++) {
		noise(p, n, (uint64_t)at);
		SAME(write(fd, p, n), n);
		at += (off_t)n;
	}
	SAME(fstat_of(fd).st_size, at);
	expect_noise(fd, 0, (size_t)at);
}

CASE(a_write_past_the_end_leaves_zeroes_between)
{
	int fd = opened("f", O_RDWR | O_CREAT);

	write_noise(fd, 0, 100);
	write_noise(fd, 1000000, 100);
	SAME(fstat_of(fd).st_size, 1000100);
	expect_noise(fd, 0, 100);
	expect_zero(fd, 100, 999900);
	expect_noise(fd, 1000000, 100);
}

CASE(a_write_of_nothing_changes_nothing)
{
	int fd = opened("f", O_RDWR | O_CREAT);

	SAME(write(fd, "", 0), 0);
	SAME(pwrite(fd, "", 0, 100), 0);
	SAME(fstat_of(fd).st_size, 0);
}

CASE(vectors_are_written_and_read_whole)
{
	int fd = opened("f", O_RDWR | O_CREAT);
	char a[4] = "one", b[4] = "two", c[4], d[4];
	struct iovec out[] = { { a, 3 }, { b, 3 } }, in[] = { { c, 2 }, { d, 4 } };

	SAME(writev(fd, out, 2), 6);
	SAME(preadv(fd, in, 2, 0), 6);
	CHECK(memcmp(c, "on", 2) == 0 && memcmp(d, "etwo", 4) == 0);
	SAME(pwritev(fd, out, 2, 10), 6);
	SAME(fstat_of(fd).st_size, 16);
	FAILS(EINVAL, pwrite(fd, a, 1, -1));
}

CASE(truncate_cuts_grows_and_forgets)
{
	int fd = opened("f", O_RDWR | O_CREAT);

	write_noise(fd, 0, LARGE);
	GOOD(ftruncate(fd, 1000001));
	SAME(fstat_of(fd).st_size, 1000001);
	expect_noise(fd, 0, 1000001);
	GOOD(truncate("f", 2000000));
	SAME(fstat_of(fd).st_size, 2000000);
	expect_noise(fd, 0, 1000001);
	expect_zero(fd, 1000001, 999999);
	GOOD(ftruncate(fd, 0));
	GOOD(ftruncate(fd, 5000));
	expect_zero(fd, 0, 5000);
	SAME(fstat_of(fd).st_size, 5000);
}

CASE(truncate_within_a_page_leaves_no_old_bytes)
{
	for (int cut = 1; cut < 5000; cut += 613) {
		int fd = opened("f", O_RDWR | O_CREAT | O_TRUNC);

		write_noise(fd, 0, 8192);
		GOOD(ftruncate(fd, cut));
		GOOD(ftruncate(fd, 8192));
		expect_noise(fd, 0, (size_t)cut);
		expect_zero(fd, cut, (size_t)(8192 - cut));
		close(fd);
	}
}

CASE(truncate_stamps_mtime_and_ctime)
{
	struct stat before, after;

	put("f", "0123456789");
	before = stat_of("f");
	tick();
	GOOD(truncate("f", 5));
	after = stat_of("f");
	CHECK(compare_times(after.st_mtim, before.st_mtim) > 0);
	CHECK(compare_times(after.st_ctim, before.st_ctim) > 0);
}

CASE(truncate_refuses_what_is_no_file)
{
	made_dir("d");
	GOOD(mkfifo("p", 0644));
	put("f", "x");
	FAILS(EISDIR, truncate("d", 0));
	FAILS(EINVAL, truncate("p", 0));
	FAILS(ENOENT, truncate("none", 0));
	FAILS(ENOTDIR, truncate("f/x", 0));
	FAILS(EINVAL, truncate("f", -1));
}

CASE(truncate_follows_symlinks)
{
	put("f", "text");
	GOOD(symlink("f", "l"));
	GOOD(truncate("l", 2));
	CHECK(strcmp(text_of("f"), "te") == 0);
}

CASE(a_huge_sparse_file_costs_nothing)
{
	off_t huge = (off_t)1 << 40;
	int fd = opened("f", O_RDWR | O_CREAT);

	GOOD(ftruncate(fd, huge));
	SAME(fstat_of(fd).st_size, huge);
	SAME(pwrite(fd, "end", 3, huge - 3), 3);
	SAME(pwrite(fd, "mid", 3, huge / 2), 3);
	CHECK(fstat_of(fd).st_blocks < 4096);
	expect_zero(fd, huge / 4, 65536);
	GOOD(fsync(fd));
	GOOD(ftruncate(fd, 0));
}

CASE(too_large_is_efbig)
{
	int fd = opened("f", O_RDWR | O_CREAT);

	put("g", "");
	FAILS(EFBIG, truncate("g", INT64_MAX));
	FAILS(EFBIG, pwrite(fd, "x", 1, INT64_MAX - 1));
	SAME(fstat_of(fd).st_size, 0);
	SAME(stat_of("g").st_size, 0);
}

CASE(fallocate_allocates_and_keeps_the_size)
{
	int fd = opened("f", O_RDWR | O_CREAT);

	SUPPORTED(fallocate(fd, 0, 0, 100000));
	SAME(fstat_of(fd).st_size, 100000);
	expect_zero(fd, 0, 100000);
	GOOD(fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, 1000000));
	SAME(fstat_of(fd).st_size, 100000);
	write_noise(fd, 0, 100);
	GOOD(fallocate(fd, 0, 0, 1000));
	expect_noise(fd, 0, 100);
}

CASE(fallocate_refuses_nonsense)
{
	int fd = opened("f", O_RDWR | O_CREAT);

	SUPPORTED(fallocate(fd, 0, 0, 1));
	FAILS(EINVAL, fallocate(fd, 0, -1, 1));
	FAILS(EINVAL, fallocate(fd, 0, 0, 0));
	FAILS(EBADF, fallocate(opened("f", O_RDONLY), 0, 0, 1));
	FAILS(EFBIG, fallocate(fd, 0, INT64_MAX - 1, 100));
	FAILS(EOPNOTSUPP, fallocate(fd, FALLOC_FL_PUNCH_HOLE, 0, 1));
}

CASE(a_punched_hole_reads_as_zeroes_and_keeps_the_size)
{
	int fd = opened("f", O_RDWR | O_CREAT);
	int punch = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE;

	write_noise(fd, 0, LARGE);
	GOOD(fsync(fd));
	SUPPORTED(fallocate(fd, punch, 1000, 1000000));
	expect_noise(fd, 0, 1000);
	expect_zero(fd, 1000, 1000000);
	expect_noise(fd, 1001000, LARGE - 1001000);
	GOOD(fallocate(fd, punch, LARGE - 10, 1000));
	SAME(fstat_of(fd).st_size, LARGE);
	expect_zero(fd, LARGE - 10, 10);
	GOOD(fallocate(fd, punch, LARGE + 10, 1000));
	SAME(fstat_of(fd).st_size, LARGE);
}

CASE(a_punched_hole_gives_its_space_back)
{
	int fd = opened("f", O_RDWR | O_CREAT);
	blkcnt_t full;

	write_noise(fd, 0, LARGE);
	GOOD(fsync(fd));
	full = fstat_of(fd).st_blocks;
	SUPPORTED(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 2 << 20));
	CHECK(fstat_of(fd).st_blocks < full);
}

CASE(a_zeroed_range_reads_as_zeroes)
{
	int fd = opened("f", O_RDWR | O_CREAT);

	write_noise(fd, 0, LARGE);
	SUPPORTED(fallocate(fd, FALLOC_FL_ZERO_RANGE, 1000, 1000000));
	expect_noise(fd, 0, 1000);
	expect_zero(fd, 1000, 1000000);
	expect_noise(fd, 1001000, LARGE - 1001000);
	GOOD(fallocate(fd, FALLOC_FL_ZERO_RANGE, LARGE - 10, 20));
	SAME(fstat_of(fd).st_size, LARGE + 10);
	GOOD(fallocate(fd, FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE, LARGE, 1000));
	SAME(fstat_of(fd).st_size, LARGE + 10);
}

CASE(collapse_range_takes_out_or_is_not_supported)
{
	int fd = opened("f", O_RDWR | O_CREAT);
	uint8_t p[4096];

	write_noise(fd, 0, 1 << 20);
	SUPPORTED(fallocate(fd, FALLOC_FL_COLLAPSE_RANGE, 65536, 65536));
	SAME(fstat_of(fd).st_size, (1 << 20) - 65536);
	SAME(pread(fd, p, sizeof p, 65536), sizeof p);
	check_noise(p, sizeof p, 131072);
}

CASE(insert_range_moves_or_is_not_supported)
{
	int fd = opened("f", O_RDWR | O_CREAT);
	uint8_t p[4096];

	write_noise(fd, 0, 1 << 20);
	SUPPORTED(fallocate(fd, FALLOC_FL_INSERT_RANGE, 65536, 65536));
	SAME(fstat_of(fd).st_size, (1 << 20) + 65536);
	expect_zero(fd, 65536, 65536);
	SAME(pread(fd, p, sizeof p, 131072), sizeof p);
	check_noise(p, sizeof p, 65536);
}

CASE(holes_and_data_are_found)
{
	int fd = opened("f", O_RDWR | O_CREAT);
	off_t data, hole;

	GOOD(ftruncate(fd, 16 << 20));
	write_noise(fd, 4 << 20, 1 << 20);
	GOOD(fsync(fd));
	data = GOOD(lseek(fd, 0, SEEK_DATA));
	SAME(data, 4 << 20);
	hole = GOOD(lseek(fd, data, SEEK_HOLE));
	SAME(hole, 5 << 20);
	SAME(lseek(fd, 0, SEEK_HOLE), 0);
	SAME(lseek(fd, (4 << 20) + 1000, SEEK_DATA), (4 << 20) + 1000);
	FAILS(ENXIO, lseek(fd, 6 << 20, SEEK_DATA));
	FAILS(ENXIO, lseek(fd, 16 << 20, SEEK_DATA));
	FAILS(ENXIO, lseek(fd, 16 << 20, SEEK_HOLE));
	FAILS(ENXIO, lseek(fd, -1, SEEK_DATA));
}

CASE(a_full_file_has_its_hole_at_the_end)
{
	int fd = opened("f", O_RDWR | O_CREAT);

	FAILS(ENXIO, lseek(fd, 0, SEEK_DATA));
	write_noise(fd, 0, 1000000);
	SAME(lseek(fd, 0, SEEK_DATA), 0);
	SAME(lseek(fd, 0, SEEK_HOLE), 1000000);
	SAME(lseek(fd, 999999, SEEK_HOLE), 1000000);
}

CASE(a_punched_hole_is_found)
{
	int fd = opened("f", O_RDWR | O_CREAT);

	write_noise(fd, 0, LARGE);
	GOOD(fsync(fd));
	SUPPORTED(
	    fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 1 << 20, 1 << 20));
	SAME(lseek(fd, 0, SEEK_HOLE), 1 << 20);
	SAME(lseek(fd, 1 << 20, SEEK_DATA), 2 << 20);
	SAME(lseek(fd, 2 << 20, SEEK_HOLE), LARGE);
}

CASE(lseek_moves_and_refuses)
{
	int fd = opened("f", O_RDWR | O_CREAT);

	write_noise(fd, 0, 100);
	SAME(lseek(fd, -10, SEEK_END), 90);
	SAME(lseek(fd, 5, SEEK_CUR), 95);
	SAME(lseek(fd, 1000, SEEK_SET), 1000);
	FAILS(EINVAL, lseek(fd, -1, SEEK_SET));
	FAILS(EINVAL, lseek(fd, -101, SEEK_END));
	SAME(lseek(fd, 0, SEEK_CUR), 1000);
	SAME(read(fd, (char[1]){ 0 }, 1), 0);
}

CASE(o_direct_reads_what_is_cached_and_the_other_way)
{
	int fd = opened("f", O_RDWR | O_CREAT), direct;
	uint8_t *p = aligned_alloc(4096, 65536);

	CHECK(p);
	write_noise(fd, 0, 1 << 20);
	direct = SUPPORTED(open("f", O_RDWR | O_DIRECT));
	SAME(pread(direct, p, 65536, 65536), 65536);
	check_noise(p, 65536, 65536);
	memset(p, 'd', 65536);
	SAME(pwrite(direct, p, 65536, 131072), 65536);
	memset(p, 0, 65536);
	SAME(pread(fd, p, 65536, 131072), 65536);
	CHECK(p[0] == 'd' && p[65535] == 'd');
	SAME(pwrite(direct, p, 4096, 1 << 20), 4096);
	SAME(fstat_of(fd).st_size, (1 << 20) + 4096);
	SAME(pread(direct, p, 65536, (1 << 20) + 4096), 0);
}

CASE(copy_file_range_copies_between_files)
{
	int a = opened("a", O_RDWR | O_CREAT), b = opened("b", O_RDWR | O_CREAT);
	off_t from = 1000, to = 0;
	size_t left = LARGE - 1000;
	uint8_t *p = buffer(LARGE);

	write_noise(a, 0, LARGE);
	while (left) {
		ssize_t n = SUPPORTED(copy_file_range(a, &from, b, &to, left, 0));

		CHECK(n > 0);
		left -= (size_t)n;
	}
	SAME(from, LARGE);
	SAME(fstat_of(b).st_size, LARGE - 1000);
	SAME(pread(b, p, LARGE, 0), LARGE - 1000);
	check_noise(p, LARGE - 1000, 1000);
	SAME(copy_file_range(a, &from, b, &to, 100, 0), 0);
	/* A copy is not a link. */
	SAME(pwrite(b, "x", 1, 0), 1);
	expect_noise(a, 0, LARGE);
}

CASE(copy_file_range_within_a_file_must_not_overlap)
{
	int fd = opened("f", O_RDWR | O_CREAT);
	off_t from = 0, to = 1 << 20;
	uint8_t p[1000];

	write_noise(fd, 0, 1 << 20);
	SUPPORTED(copy_file_range(fd, &from, fd, &to, 100000, 0));
	SAME(pread(fd, p, sizeof p, 1 << 20), sizeof p);
	check_noise(p, sizeof p, 0);
	from = 0, to = 100;
	FAILS(EINVAL, copy_file_range(fd, &from, fd, &to, 1000, 0));
	FAILS(EINVAL, copy_file_range(fd, &from, fd, &to, 10, 1));
	FAILS(EBADF, copy_file_range(fd, &from, opened("f", O_RDONLY), NULL, 10, 0));
	FAILS(EISDIR, copy_file_range(fd, &from, opened(".", O_RDONLY), NULL, 10, 0));
}

CASE(sendfile_and_splice_copy)
{
	int a = opened("a", O_RDWR | O_CREAT), b = opened("b", O_RDWR | O_CREAT),
	    pipes[2];
	off_t from = 0, to = 200000;

	write_noise(a, 0, 300000);
	while (from < 200000)
		CHECK(GOOD(sendfile(b, a, &from, 200000 - (size_t)from)) > 0);
	GOOD(pipe(pipes));
	while (from < 300000) {
		ssize_t n = GOOD(splice(a, &from, pipes[1], NULL, 4096, 0));

		CHECK(n > 0);
		SAME(splice(pipes[0], NULL, b, &to, (size_t)n, 0), n);
	}
	expect_noise(b, 0, 300000);
}

CASE(an_unlinked_file_lives_while_open)
{
	int fd = opened("f", O_RDWR | O_CREAT);

	write_noise(fd, 0, 100000);
	GOOD(unlink("f"));
	CHECK(!is_there("f"));
	SAME(count_of("."), 0);
	SAME(fstat_of(fd).st_nlink, 0);
	expect_noise(fd, 0, 100000);
	write_noise(fd, 100000, 100000);
	GOOD(ftruncate(fd, 150000));
	GOOD(fchmod(fd, 0600));
	GOOD(fsync(fd));
	expect_noise(fd, 0, 150000);
	SAME(fstat_of(fd).st_mode & 07777, 0600);
	put("f", "another");
	CHECK(stat_of("f").st_ino != fstat_of(fd).st_ino);
	expect_noise(fd, 0, 150000);
}

CASE(a_file_replaced_by_rename_lives_while_open)
{
	int fd = opened("f", O_RDWR | O_CREAT);

	write_noise(fd, 0, 1000);
	put("g", "new");
	GOOD(rename("g", "f"));
	SAME(fstat_of(fd).st_nlink, 0);
	expect_noise(fd, 0, 1000);
	CHECK(strcmp(text_of("f"), "new") == 0);
}

CASE(statfs_tells_of_space_and_names)
{
	struct statfs s;

	GOOD(statfs(".", &s));
	CHECK(s.f_bsize > 0 && s.f_blocks > 0);
	CHECK(s.f_bavail <= s.f_blocks);
	SAME(s.f_namelen, 255);
}

CASE(st_blocks_grows_with_what_is_written)
{
	int fd = opened("f", O_RDWR | O_CREAT);

	write_noise(fd, 0, 1 << 20);
	GOOD(fsync(fd));
	CHECK(fstat_of(fd).st_blocks >= 2048);
	CHECK(fstat_of(fd).st_blocks < 3 * 2048);
	CHECK(fstat_of(fd).st_blksize >= 512);
}
