/*
 * Threads of our own take no signals: those are for the threads that expect them.
 * But a fault of the thread itself must come through, or it ends the process
 * without a word (index_guard()).
 */
#ifndef STORE_SIGNALS_H
#define STORE_SIGNALS_H

#include <pthread.h>
#include <signal.h>

/* For the threads that this one begins, until signals_restore(). */
static inline void signals_block(sigset_t *before)
{
	static const int faults[] = { SIGBUS, SIGSEGV, SIGFPE, SIGABRT, SIGILL };
	sigset_t set;

	sigfillset(&set);
	for (size_t i = 0; i < sizeof faults / sizeof *faults; i++)
		sigdelset(&set, faults[i]);
	pthread_sigmask(SIG_SETMASK, &set, before);
}

static inline void signals_restore(const sigset_t *before)
{
	pthread_sigmask(SIG_SETMASK, before, NULL);
}

#endif
