/*
 * A POSIX suite for any directory.  A case is a function whose name is the
 * sentence it checks.  It runs in a process of its own, in a fresh and empty
 * working directory that it owns, and ends that process at the first thing that
 * is not as it says.  Cases register themselves, in the order of the files.
 */
#ifndef CAIRN_TESTS_POSIX_SUITE_H
#define CAIRN_TESTS_POSIX_SUITE_H

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* The ordinary users of the suite; they need no entry in /etc/passwd. */
#define ME    ((uid_t)12001)
#define OTHER ((uid_t)12002)
#define GROUP ((gid_t)12003) /* an additional group of ME */

struct posix_case {
	const char *name;
	void (*run)(const void *arg);
	const void *arg;
	bool needs_root;
	struct posix_case *next;
};

void posix_case_add(struct posix_case *c);
/* For generated cases: the name is copied, `arg` is borrowed for good. */
void posix_case_new(const char *name, void (*run)(const void *arg), const void *arg,
		    bool needs_root);

#define CASE_WITH(root, id)                                                              \
	static void id(const void *);                                                    \
	static struct posix_case id##_case = { #id, id, NULL, root, NULL };              \
	__attribute__((constructor)) static void id##_add(void)                          \
	{                                                                                \
		posix_case_add(&id##_case);                                              \
	}                                                                                \
	static void id(const void *unused_argument)
#define CASE(id)      CASE_WITH(false, id)
#define CASE_ROOT(id) CASE_WITH(true, id)

/* Ends the case: prints the place and the message. */
_Noreturn void posix_fail(const char *file, int line, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* Ends the case: this file system or kernel has not what the case is about. */
_Noreturn void posix_skip(const char *why);

#define FAIL(...) posix_fail(__FILE__, __LINE__, __VA_ARGS__)
#define CHECK(what)                                                                      \
	do {                                                                             \
		if (!(what))                                                             \
			FAIL("not true: %s", #what);                                     \
	} while (0)
#define SAME(what, wanted)                                                               \
	do {                                                                             \
		long long same_got = (what), same_want = (wanted);                       \
		if (same_got != same_want)                                               \
			FAIL("%s is %lld, not %lld", #what, same_got, same_want);        \
	} while (0)
/* The call's result, which must not be an error. */
#define GOOD(call)                                                                       \
	({                                                                               \
		long long good_result = (long long)(call);                               \
		if (good_result == -1)                                                   \
			FAIL("%s: %s", #call, strerror(errno));                          \
		good_result;                                                             \
	})
/* The call must fail so. */
#define FAILS(error, call)                                                               \
	do {                                                                             \
		int fails_want = (error);                                                \
		errno = 0;                                                               \
		if ((long long)(call) != -1)                                             \
			FAIL("%s succeeded, not %s", #call,                              \
			     strerrorname_np(fails_want));                               \
		if (errno != fails_want)                                                 \
			FAIL("%s: %s, not %s", #call, strerrorname_np(errno),            \
			     strerrorname_np(fails_want));                               \
	} while (0)
/* GOOD, but the case is skipped if the file system has no such call. */
#define SUPPORTED(call)                                                                  \
	({                                                                               \
		long long supported_result = (long long)(call);                          \
		if (supported_result == -1 && (errno == EOPNOTSUPP || errno == ENOSYS))  \
			posix_skip(#call " is not supported");                           \
		if (supported_result == -1)                                              \
			FAIL("%s: %s", #call, strerror(errno));                          \
		supported_result;                                                        \
	})

/* Small words for what every case needs.  They end the case on any error. */
struct stat stat_of(const char *path); /* lstat */
struct stat fstat_of(int fd);
bool is_there(const char *path);
void put(const char *path, const char *text); /* a new or truncated file */
const char *text_of(const char *path);        /* valid until the next call */
int opened(const char *path, int flags);      /* a descriptor, 0644 if made */
void made_dir(const char *path);
/* How many entries, without "." and ".."; and whether `name` is one. */
int count_of(const char *dir);
bool lists(const char *dir, const char *name);
/* The bytes of a repeatable noise, so that places can be told apart. */
void noise(void *buf, size_t len, uint64_t at);
void check_noise(const void *buf, size_t len, uint64_t at);
void check_zero(const void *buf, size_t len);

/*
 * Wait until the clock that file systems stamp with has moved on, so that a
 * later change must have a later time.
 */
void tick(void);
int compare_times(struct timespec a, struct timespec b);

/* Until person_end, what is done here is done by that user (needs root). */
bool person_begin(uid_t uid, gid_t gid);
void person_end(void);
#define AS(uid, gid)                                                                     \
	for (bool as_once = person_begin(uid, gid); as_once;                             \
	     person_end(), as_once = false)

/* Run `fn` in a child: its failure is the case's. */
void in_child(void (*fn)(void *arg), void *arg);

#endif
