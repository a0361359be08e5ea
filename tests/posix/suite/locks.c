/* flock, POSIX record locks, locks of open file descriptions. */
#include "suite.h"

#include <signal.h>
#include <sys/file.h>

static int lock_range(int fd, int how, short type, off_t start, off_t len)
{
	struct flock l = {
		.l_type = type, .l_whence = SEEK_SET, .l_start = start, .l_len = len
	};

	return fcntl(fd, how, &l);
}

/* In another process, as it sees the file "f". */
static void expect_flock(void *arg)
{
	int fd = opened("f", O_RDWR), want = *(int *)arg;

	if (want)
		FAILS(want, flock(fd, LOCK_EX | LOCK_NB));
	else
		GOOD(flock(fd, LOCK_EX | LOCK_NB));
}

CASE(flock_excludes_other_processes)
{
	int fd, would = EWOULDBLOCK, none = 0;

	put("f", "x");
	fd = opened("f", O_RDWR);
	GOOD(flock(fd, LOCK_EX));
	in_child(expect_flock, &would);
	FAILS(EWOULDBLOCK, flock(opened("f", O_RDWR), LOCK_SH | LOCK_NB));
	GOOD(flock(fd, LOCK_UN));
	in_child(expect_flock, &none);
}

CASE(flock_is_shared_and_converted)
{
	int a, b;

	put("f", "x");
	a = opened("f", O_RDONLY), b = opened("f", O_RDONLY);
	GOOD(flock(a, LOCK_SH));
	GOOD(flock(b, LOCK_SH | LOCK_NB));
	FAILS(EWOULDBLOCK, flock(a, LOCK_EX | LOCK_NB));
	close(b);
	GOOD(flock(a, LOCK_EX | LOCK_NB));
}

CASE(flock_ends_with_the_last_descriptor)
{
	int a, b, would = EWOULDBLOCK, none = 0;

	put("f", "x");
	a = opened("f", O_RDWR);
	GOOD(flock(a, LOCK_EX));
	b = (int)GOOD(dup(a));
	close(a);
	in_child(expect_flock, &would);
	close(b);
	in_child(expect_flock, &none);
}

CASE(flock_waits_until_it_is_free)
{
	int fd, gate[2], status;
	char c;
	pid_t pid;

	put("f", "x");
	fd = opened("f", O_RDWR);
	GOOD(flock(fd, LOCK_EX));
	GOOD(pipe2(gate, O_NONBLOCK));
	pid = GOOD(fork());
	if (pid == 0) {
		close(fd);
		fd = opened("f", O_RDWR);
		GOOD(flock(fd, LOCK_EX));
		SAME(write(gate[1], "l", 1), 1);
		_exit(0);
	}
	tick();
	FAILS(EAGAIN, read(gate[0], &c, 1));
	GOOD(flock(fd, LOCK_UN));
	close(fd);
	GOOD(waitpid(pid, &status, 0));
	SAME(status, 0);
	SAME(read(gate[0], &c, 1), 1);
}

struct range {
	short type;
	off_t start, len;
	int want;
	int how;
};

static void try_range(void *arg)
{
	struct range *r = arg;
	int fd = opened("f", O_RDWR);

	if (r->want)
		FAILS(r->want, lock_range(fd, r->how, r->type, r->start, r->len));
	else
		GOOD(lock_range(fd, r->how, r->type, r->start, r->len));
}

CASE(record_locks_exclude_where_they_overlap)
{
	int fd;

	put("f", "0123456789");
	fd = opened("f", O_RDWR);
	GOOD(lock_range(fd, F_SETLK, F_WRLCK, 2, 3));
	GOOD(lock_range(fd, F_SETLK, F_RDLCK, 7, 1));
	in_child(try_range, &(struct range){ F_WRLCK, 0, 2, 0, F_SETLK });
	in_child(try_range, &(struct range){ F_WRLCK, 0, 3, EAGAIN, F_SETLK });
	in_child(try_range, &(struct range){ F_RDLCK, 4, 1, EAGAIN, F_SETLK });
	in_child(try_range, &(struct range){ F_RDLCK, 7, 1, 0, F_SETLK });
	in_child(try_range, &(struct range){ F_WRLCK, 7, 0, EAGAIN, F_SETLK });
	in_child(try_range, &(struct range){ F_WRLCK, 8, 0, 0, F_SETLK });
	/* A hole in the middle. */
	GOOD(lock_range(fd, F_SETLK, F_UNLCK, 3, 1));
	in_child(try_range, &(struct range){ F_WRLCK, 3, 1, 0, F_SETLK });
	in_child(try_range, &(struct range){ F_WRLCK, 4, 1, EAGAIN, F_SETLK });
}

static void ask_who(void *arg)
{
	struct flock l = {
		.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 0, .l_len = 0
	};
	pid_t owner = *(pid_t *)arg;

	GOOD(fcntl(opened("f", O_RDWR), F_GETLK, &l));
	SAME(l.l_type, F_RDLCK);
	SAME(l.l_start, 2);
	SAME(l.l_len, 3);
	SAME(l.l_pid, owner);
}

CASE(getlk_names_the_holder)
{
	pid_t me = getpid();

	put("f", "0123456789");
	GOOD(lock_range(opened("f", O_RDWR), F_SETLK, F_RDLCK, 2, 3));
	in_child(ask_who, &me);
}

CASE(record_locks_end_when_any_descriptor_is_closed)
{
	int fd;

	put("f", "x");
	fd = opened("f", O_RDWR);
	GOOD(lock_range(fd, F_SETLK, F_WRLCK, 0, 0));
	in_child(try_range, &(struct range){ F_WRLCK, 0, 1, EAGAIN, F_SETLK });
	close(opened("f", O_RDONLY));
	in_child(try_range, &(struct range){ F_WRLCK, 0, 1, 0, F_SETLK });
}

CASE(record_locks_end_with_the_process)
{
	put("f", "x");
	in_child(try_range, &(struct range){ F_WRLCK, 0, 0, 0, F_SETLK });
	GOOD(lock_range(opened("f", O_RDWR), F_SETLK, F_WRLCK, 0, 0));
}

CASE(record_locks_need_the_mode)
{
	put("f", "x");
	FAILS(EBADF, lock_range(opened("f", O_RDONLY), F_SETLK, F_WRLCK, 0, 0));
	FAILS(EBADF, lock_range(opened("f", O_WRONLY), F_SETLK, F_RDLCK, 0, 0));
	FAILS(EINVAL, lock_range(opened("f", O_RDWR), F_SETLK, F_WRLCK, -1, 1));
}

CASE(open_file_description_locks_belong_to_the_description)
{
	int a, b;

	put("f", "0123456789");
	a = opened("f", O_RDWR), b = opened("f", O_RDWR);
	GOOD(lock_range(a, F_OFD_SETLK, F_WRLCK, 0, 5));
	FAILS(EAGAIN, lock_range(b, F_OFD_SETLK, F_RDLCK, 4, 1));
	GOOD(lock_range(b, F_OFD_SETLK, F_WRLCK, 5, 5));
	/* Another descriptor's end is not theirs. */
	close(opened("f", O_RDONLY));
	in_child(try_range, &(struct range){ F_WRLCK, 0, 1, EAGAIN, F_SETLK });
	close(a);
	in_child(try_range, &(struct range){ F_WRLCK, 0, 1, 0, F_OFD_SETLK });
}

CASE(flock_and_record_locks_do_not_meet)
{
	int none = 0, fd;

	put("f", "x");
	fd = opened("f", O_RDWR);
	GOOD(lock_range(fd, F_SETLK, F_WRLCK, 0, 0));
	in_child(expect_flock, &none);
}

CASE(a_deadlock_of_record_locks_is_edeadlk)
{
	int fd, there[2], status, n = 0;
	char c;
	pid_t pid;

	put("f", "0123456789");
	fd = opened("f", O_RDWR);
	GOOD(pipe(there));
	GOOD(lock_range(fd, F_SETLK, F_WRLCK, 0, 1));
	pid = GOOD(fork());
	if (pid == 0) {
		fd = opened("f", O_RDWR);
		GOOD(lock_range(fd, F_SETLK, F_WRLCK, 1, 1));
		SAME(write(there[1], "x", 1), 1);
		if (lock_range(fd, F_SETLKW, F_WRLCK, 0, 1) < 0)
			_exit(errno == EDEADLK ? 1 : 2);
		_exit(0);
	}
	SAME(read(there[0], &c, 1), 1);
	/* One of the two is told, whichever asks last. */
	if (lock_range(fd, F_SETLKW, F_WRLCK, 1, 1) < 0) {
		SAME(errno, EDEADLK);
		n++;
		close(fd);
	}
	GOOD(waitpid(pid, &status, 0));
	CHECK(WIFEXITED(status) && WEXITSTATUS(status) < 2);
	SAME(n + WEXITSTATUS(status), 1);
}

static void count_up(void *arg)
{
	int fd = opened("f", O_RDWR);
	uint32_t n;

	for (int i = 0; i < 200; i++) {
		if (*(int *)arg)
			GOOD(flock(fd, LOCK_EX));
		else
			GOOD(lock_range(fd, F_SETLKW, F_WRLCK, 0, 4));
		SAME(pread(fd, &n, 4, 0), 4);
		n++;
		SAME(pwrite(fd, &n, 4, 0), 4);
		if (*(int *)arg)
			GOOD(flock(fd, LOCK_UN));
		else
			GOOD(lock_range(fd, F_SETLK, F_UNLCK, 0, 4));
	}
}

static void count_with(int with_flock)
{
	uint32_t n = 0;
	pid_t pids[4];
	int fd = opened("f", O_RDWR | O_CREAT), status;

	SAME(write(fd, &n, 4), 4);
	for (int i = 0; i < 4; i++) {
		pids[i] = GOOD(fork());
		if (pids[i] == 0) {
			count_up(&with_flock);
			fflush(stdout);
			_exit(0);
		}
	}
	for (int i = 0; i < 4; i++) {
		GOOD(waitpid(pids[i], &status, 0));
		SAME(status, 0);
	}
	SAME(pread(fd, &n, 4, 0), 4);
	SAME(n, 800);
}

CASE(counting_under_flock_loses_nothing)
{
	count_with(1);
}

CASE(counting_under_record_locks_loses_nothing)
{
	count_with(0);
}

CASE(a_signal_ends_the_wait_for_a_lock)
{
	int fd, there[2], status;
	char c;
	pid_t pid;

	put("f", "x");
	fd = opened("f", O_RDWR);
	GOOD(lock_range(fd, F_SETLK, F_WRLCK, 0, 0));
	GOOD(pipe(there));
	pid = GOOD(fork());
	if (pid == 0) {
		fd = opened("f", O_RDWR);
		SAME(write(there[1], "x", 1), 1);
		lock_range(fd, F_SETLKW, F_WRLCK, 0, 0);
		_exit(1);
	}
	SAME(read(there[0], &c, 1), 1);
	tick();
	GOOD(kill(pid, SIGTERM));
	GOOD(waitpid(pid, &status, 0));
	CHECK(WIFSIGNALED(status));
}
