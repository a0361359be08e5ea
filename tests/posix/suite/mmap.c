/* Mapped memory, shared and private, beside read and write. */
#include "suite.h"

#include <signal.h>
#include <sys/mman.h>

enum { SIZE = 1 << 20 };

static int noisy(const char *path)
{
	int fd = opened(path, O_RDWR | O_CREAT);
	uint8_t *p = malloc(SIZE);

	CHECK(p);
	noise(p, SIZE, 0);
	SAME(pwrite(fd, p, SIZE, 0), SIZE);
	free(p);
	return fd;
}

static uint8_t *mapped(int fd, size_t n, int prot, int flags)
{
	uint8_t *p = mmap(NULL, n, prot, flags, fd, 0);

	if (p == MAP_FAILED)
		FAIL("mmap: %s", strerror(errno));
	return p;
}

CASE(a_shared_map_shows_the_file)
{
	int fd = noisy("f");
	uint8_t *p = mapped(fd, SIZE, PROT_READ, MAP_SHARED);

	check_noise(p, SIZE, 0);
	SAME(pwrite(fd, "new", 3, 100000), 3);
	CHECK(memcmp(p + 100000, "new", 3) == 0);
}

CASE(what_is_stored_in_a_shared_map_is_read)
{
	int fd = noisy("f");
	uint8_t *p = mapped(fd, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED);
	char got[5];

	memcpy(p + 5000, "first", 5);
	SAME(pread(fd, got, 5, 5000), 5);
	CHECK(memcmp(got, "first", 5) == 0);
	GOOD(msync(p, SIZE, MS_SYNC));
	SAME(pread(opened("f", O_RDONLY), got, 5, 5000), 5);
	CHECK(memcmp(got, "first", 5) == 0);
	memcpy(p + SIZE - 5, "later", 5);
	close(fd);
	munmap(p, SIZE);
	fd = opened("f", O_RDONLY);
	SAME(pread(fd, got, 5, SIZE - 5), 5);
	CHECK(memcmp(got, "later", 5) == 0);
	SAME(fstat_of(fd).st_size, SIZE);
}

CASE(a_private_map_keeps_its_changes)
{
	int fd = noisy("f");
	uint8_t *p = mapped(fd, SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE), c[10];

	memset(p, 'x', SIZE);
	SAME(pread(fd, c, 10, 0), 10);
	check_noise(c, 10, 0);
}

static void change_in_map(void *arg)
{
	uint8_t *p =
	    mapped(opened("f", O_RDWR), SIZE, PROT_READ | PROT_WRITE, MAP_SHARED);

	memset(p + 4096, 'c', 4096);
}

CASE(two_processes_share_a_map)
{
	uint8_t *p = mapped(noisy("f"), SIZE, PROT_READ, MAP_SHARED);

	check_noise(p, SIZE, 0);
	in_child(change_in_map, NULL);
	CHECK(p[4096] == 'c' && p[8191] == 'c');
	check_noise(p, 4096, 0);
}

CASE(a_map_outlives_its_descriptor_and_its_name)
{
	int fd = noisy("f");
	uint8_t *p = mapped(fd, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED);

	close(fd);
	GOOD(unlink("f"));
	check_noise(p, SIZE, 0);
	p[0] = 'x';
	GOOD(msync(p, SIZE, MS_SYNC));
}

CASE(bytes_after_the_end_in_the_last_page_are_zero_and_not_kept)
{
	int fd = opened("f", O_RDWR | O_CREAT);
	uint8_t *p, c[4096];

	SAME(write(fd, "abc", 3), 3);
	p = mapped(fd, 4096, PROT_READ | PROT_WRITE, MAP_SHARED);
	check_zero(p + 3, 4093);
	p[100] = 'x';
	GOOD(msync(p, 4096, MS_SYNC));
	SAME(fstat_of(fd).st_size, 3);
	munmap(p, 4096);
	GOOD(ftruncate(fd, 4096));
	SAME(pread(fd, c, 4096, 0), 4096);
	check_zero(c + 3, 4093);
}

static void touch_after_the_end(void *arg)
{
	signal(SIGBUS, SIG_DFL); /* a sanitizer catches it */
	_exit(((volatile uint8_t *)arg)[8192]);
}

CASE(a_page_after_the_end_is_sigbus)
{
	uint8_t *p = mapped(noisy("f"), SIZE, PROT_READ, MAP_SHARED);
	pid_t pid;
	int status;

	GOOD(truncate("f", 5000));
	check_zero(p + 5000, 8192 - 5000);
	pid = GOOD(fork());
	if (pid == 0)
		touch_after_the_end(p);
	GOOD(waitpid(pid, &status, 0));
	CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGBUS);
}

CASE(a_shared_writable_map_needs_both_modes)
{
	put("f", "abc");
	CHECK(mmap(NULL, 3, PROT_WRITE, MAP_SHARED, opened("f", O_RDONLY), 0) ==
	      MAP_FAILED);
	SAME(errno, EACCES);
	CHECK(mmap(NULL, 3, PROT_READ, MAP_SHARED, opened("f", O_WRONLY), 0) ==
	      MAP_FAILED);
	SAME(errno, EACCES);
	mapped(opened("f", O_RDONLY), 3, PROT_READ | PROT_WRITE, MAP_PRIVATE);
}

CASE(a_store_in_a_map_stamps_the_file)
{
	int fd = noisy("f");
	struct stat before;
	uint8_t *p;

	GOOD(fsync(fd));
	before = fstat_of(fd);
	p = mapped(fd, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED);
	tick();
	p[0] = 'x';
	GOOD(msync(p, SIZE, MS_SYNC));
	CHECK(compare_times(fstat_of(fd).st_mtim, before.st_mtim) > 0);
}

CASE(a_map_over_a_hole_reads_zero_and_fills_it)
{
	int fd = opened("f", O_RDWR | O_CREAT);
	uint8_t *p, c;

	GOOD(ftruncate(fd, SIZE));
	p = mapped(fd, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED);
	check_zero(p, SIZE);
	p[300000] = 7;
	GOOD(msync(p, SIZE, MS_SYNC));
	SAME(pread(fd, &c, 1, 300000), 1);
	SAME(c, 7);
}

CASE(a_program_runs_and_cannot_be_written_meanwhile)
{
	int status, in[2], out[2];
	char c;
	pid_t pid;

	SAME(system("cp /bin/cat ./prog"), 0);
	GOOD(pipe(in));
	GOOD(pipe(out));
	pid = GOOD(fork());
	if (pid == 0) {
		dup2(in[0], 0);
		dup2(out[1], 1);
		close(in[1]);
		execl("./prog", "prog", (char *)NULL);
		_exit(1);
	}
	SAME(write(in[1], "x", 1), 1);
	SAME(read(out[0], &c, 1), 1); /* it runs */
	FAILS(ETXTBSY, open("prog", O_WRONLY));
	close(in[1]);
	GOOD(waitpid(pid, &status, 0));
	SAME(status, 0);
	GOOD(open("prog", O_WRONLY));
}
