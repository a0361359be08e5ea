/*
 * Whether the index's file is sound: before it is written to, and on request.
 * And what is said if LMDB stumbles over it all the same.
 */
#include "store/error.h"
#include "store/index_internal.h"
#include "store/index_pages.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

_Thread_local volatile int index_inside;

int index_head_check_file(int fd)
{
	uint8_t *head = malloc(INDEX_HEAD);
	struct stat st;
	int r = head ? 0 : -ENOMEM;

	/* A writer beside us may be just about to change one. */
	for (int tries = 0; !r && tries < TRIES; tries++) {
		ssize_t n = pread(fd, head, INDEX_HEAD, 0);
		if (n < 0 || fstat(fd, &st) < 0)
			r = -errno;
		else if (!index_head_check(head, (size_t)n, (uint64_t)st.st_size))
			break;
		else if (tries == TRIES - 1)
			r = ERR_CORRUPT;
	}
	free(head);
	return r;
}

int index_pages_check_file(int fd, uint64_t transaction, uint64_t *sum)
{
	struct stat st;
	void *map;
	int r;

	if (fstat(fd, &st) < 0)
		return -errno;
	if (!st.st_size)
		return ERR_CORRUPT;
	map = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_SHARED, fd, 0);
	if (map == MAP_FAILED)
		return -errno;
	(void)madvise(map, (size_t)st.st_size, MADV_WILLNEED);
	index_inside++;
	r = index_pages_check(map, (size_t)st.st_size, transaction, sum);
	index_inside--;
	munmap(map, (size_t)st.st_size);
	return r;
}

int index_check_begin(struct index *ix, MDB_txn **out, uint64_t *sum)
{
	int fd, r = -EAGAIN;

	*sum = 0;
	for (int tries = 0; r == -EAGAIN && tries < TRIES; tries++) {
		MDB_txn *txn = NULL;
		int rc = mdb_env_get_fd(ix->env, &fd);

		if (!rc)
			rc = mdb_txn_begin(ix->env, NULL, MDB_RDONLY, &txn);
		if (rc == MDB_MAP_RESIZED) {
			r = index_resize(ix, 0);
			r = r < 0 ? r : -EAGAIN;
			continue;
		}
		r = mdb_error(rc);
		/* While the transaction lasts, its pages are not used again. */
		if (!r && INDEX_FORM_KNOWN)
			r = index_pages_check_file(fd, mdb_txn_id(txn), sum);
		if (!r)
			*out = txn;
		else
			mdb_txn_abort(txn);
	}
	/* Nobody writes that often. */
	return r == -EAGAIN ? ERR_CORRUPT : r;
}

int index_check(struct index *ix)
{
	MDB_txn *txn = NULL;
	struct meta m;
	uint64_t sum;
	int r;

	index_inside++;
	r = index_check_begin(ix, &txn, &sum);
	if (!r) {
		r = index_meta_get(ix, txn, NULL, &m);
		if (!r && INDEX_FORM_KNOWN && sum != m.sum)
			r = ERR_CORRUPT;
		mdb_txn_abort(txn);
	}
	index_inside--;
	return r;
}

/* ---- last words ---- */

static const int signals[] = { SIGBUS, SIGSEGV, SIGFPE, SIGABRT };
#define N_SIGNALS (sizeof signals / sizeof *signals)
static struct sigaction before[N_SIGNALS];
static const char *words;

static void speak_and_exit(void)
{
	(void)!write(STDERR_FILENO, words, strlen(words));
	_exit(1);
}

static void on_crash(int number, siginfo_t *info, void *context)
{
	if (index_inside)
		speak_and_exit();
	/* Somebody else's: as if we had not been here. */
	for (size_t i = 0; i < N_SIGNALS; i++)
		sigaction(signals[i], &before[i], NULL);
	if (info->si_code <= 0)
		raise(number);
}

void index_guard(const char *last_words)
{
	struct sigaction sa = { .sa_sigaction = on_crash, .sa_flags = SA_SIGINFO };

	words = last_words;
	for (size_t i = 0; i < N_SIGNALS; i++)
		sigaction(signals[i], &sa, &before[i]);
}

void index_on_assert(MDB_env *env, const char *text)
{
	if (words)
		speak_and_exit();
}
