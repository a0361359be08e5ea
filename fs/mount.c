/*
 * The life of a mount.
 *
 *	CHECKING ---> OPENING ---> MOUNTING ---> LIVE ---> CLOSING ---> ENDING ---> freed
 *	  pool        its kind       pool         |         parking       pool
 *	    |            |             |          +-- unmounted by hand: gone(), stays
 *	    +------------+-------------+--> CLOSING, with a result to report
 */
#include "fs/mount_internal.h"

#include "fs/fuse_more.h"

#include "fs/mountpoint.h"
#include "store/error.h"
#include "store/log.h"
#include "store/signals.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void report_start(void *arg)
{
	struct mount *m = arg;

	m->started(m->started_arg, m->result, NULL);
	free(m);
}

static void on_checked(void *arg);
static void close_all(struct mount *m);

static void check(void *arg)
{
	struct mount *m = arg;
	char real[PATH_MAX];

	m->result = mountpoint_check(m->dir, real);
	if (m->result == 0)
		strcpy(m->dir, real);
}

int mount_init(struct mount *m, const char *dir, struct block_source *extra)
{
	m->uid = getuid();
	m->gid = getgid();
	m->blocks = node_blocks(m->node, extra);
	if (!m->blocks)
		return -ENOMEM;
	if (strlen(dir) >= sizeof m->dir)
		return -ENAMETOOLONG;
	strcpy(m->dir, dir);
	return 0;
}

static void free_parts(struct mount *m)
{
	m->kind->free(m);
	parking_free(m->parking);
	node_blocks_free(m->blocks);
}

void mount_begin(struct mount *m, int r, void (*done)(void *arg, int result, struct mount *m),
		 void *arg)
{
	m->started = done;
	m->started_arg = arg;
	if (r == 0)
		r = m->blocks->work(m->blocks, check, on_checked, m);
	if (r < 0) { /* else m->result is the pool's */
		m->result = r;
		if (m->kind->ended)
			m->kind->ended(m);
		free_parts(m);
		node_post(m->node, report_start, m);
	}
}

static void on_checked(void *arg)
{
	struct mount *m = arg;

	if (m->result == 0)
		m->result = m->kind->open(m);
	if (m->result < 0)
		close_all(m);
}

/* ---- the session, on the pool ---- */

static void on_gone(void *arg)
{
	struct mount *m = arg;

	m->is_gone = true;
	if (m->gone)
		m->gone(m->gone_arg);
	m->gone = NULL;
}

struct worker {
	struct mount *m;
	struct fuse_buf *buf;
};

/*
 * One of as many threads as there are CPUs.  It can be cancelled while it waits
 * for a request: the only way out of there while someone still uses a mount
 * that was detached.
 */
static void *serve(void *arg)
{
	struct worker w = *(struct worker *)arg;
	struct mount *m = w.m;

	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, NULL);
	free(arg);
	while (!fuse_session_exited(m->se)) {
		int r;

		pthread_setcancelstate(PTHREAD_CANCEL_ENABLE, NULL);
		r = fuse_session_receive_buf(m->se, w.buf);
		pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, NULL);
		if (r == -EINTR || r == -EAGAIN)
			continue;
		if (r <= 0)
			break;
		if (m->kind->writable)
			more_received(w.buf);
		fuse_session_process_buf(m->se, w.buf);
	}
	fuse_session_exit(m->se);
	if (atomic_fetch_sub(&m->working, 1) == 1)
		m->blocks->post(m->blocks, on_gone, m);
	return NULL;
}

/* Signals are for the loop thread. */
static int start_threads(struct mount *m)
{
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);
	int n = cpus < WORKERS_MIN ? WORKERS_MIN : cpus > WORKERS_MAX ? WORKERS_MAX : cpus;
	sigset_t before;
	int r;

	signals_block(&before);
	r = notify_new(&m->notify, m->se, m->parking);
	atomic_store(&m->working, n);
	for (int i = 0; r == 0 && i < n; i++) {
		struct worker *w = malloc(sizeof *w);

		if (!w) {
			r = -ENOMEM;
			break;
		}
		*w = (struct worker){ m, &m->bufs[i] };
		r = -pthread_create(&m->workers[i], NULL, serve, w);
		if (r == 0)
			m->n_workers++;
		else
			free(w);
	}
	signals_restore(&before);
	return r;
}

static int mount_session(struct mount *m)
{
	char options[160];
	char *argv[] = { "cairn", "-o", options, NULL };
	struct fuse_args args = FUSE_ARGS_INIT(3, argv);
	int r;

	snprintf(options, sizeof options,
		 "%s,default_permissions,fsname=cairn,subtype=cairn%s", m->options,
		 m->allow_other ? ",allow_other" : "");
	if (access("/dev/fuse", F_OK) < 0)
		return -ENODEV;
	m->se = fuse_session_new(&args, m->kind->ops, sizeof *m->kind->ops, m);
	fuse_opt_free_args(&args);
	if (!m->se)
		return -ENOMEM;
	errno = 0;
	if (fuse_session_mount(m->se, m->dir) < 0) {
		r = geteuid() == 0 && errno ? -errno : -EPERM;
		fuse_session_destroy(m->se);
		m->se = NULL;
		return r;
	}
	r = m->kind->writable ? more_init(m->se) : 0;
	return r < 0 ? r : start_threads(m);
}

static void mount_now(void *arg)
{
	struct mount *m = arg;

	m->result = mount_session(m);
	if (m->result == 0)
		mountpoint_tune(m->dir); /* which also waits for the first answer */
}

static void on_mounted(void *arg)
{
	struct mount *m = arg;

	if (m->result < 0) {
		close_all(m);
		return;
	}
	if (m->kind->live)
		m->kind->live(m);
	m->started(m->started_arg, 0, m);
}

void mount_opened(struct mount *m, int result)
{
	if (result == 0)
		result = m->blocks->work(m->blocks, mount_now, on_mounted, m);
	if (result < 0) { /* else m->result is the pool's */
		m->result = result;
		close_all(m);
	}
}

/* ---- the end ---- */

static void on_freed(void *arg)
{
	struct mount *m = arg;
	void (*stopped)(void *) = m->stopped;
	void *stopped_arg = m->stopped_arg;

	free_parts(m);
	if (!stopped) { /* it never started */
		report_start(m);
		return;
	}
	free(m);
	stopped(stopped_arg);
}

/*
 * The notifier first, while the workers still answer what it may wait for; the
 * kernel's side last, when nobody can reply any more: closing it fails what is
 * left, and detaching cannot wait for anyone.
 */
static void end_session(struct mount *m)
{
	notify_free(m->notify);
	if (m->kind->flush)
		m->kind->flush(m);
	fuse_session_exit(m->se);
	for (int i = 0; i < m->n_workers; i++)
		pthread_cancel(m->workers[i]);
	for (int i = 0; i < m->n_workers; i++) {
		pthread_join(m->workers[i], NULL);
		free(m->bufs[i].mem);
	}
	fuse_session_unmount(m->se);
	fuse_session_destroy(m->se);
	m->se = NULL;
}

static void end(void *arg)
{
	struct mount *m = arg;

	if (m->se)
		end_session(m);
	if (m->kind->ended)
		m->kind->ended(m);
}

static void on_ended(void *arg)
{
	struct mount *m = arg;

	/* Behind everything that was posted by those who have ended. */
	if (m->blocks->post(m->blocks, on_freed, m) < 0)
		on_freed(m);
}

static void on_parking_closed(void *arg)
{
	struct mount *m = arg;

	if (m->blocks->work(m->blocks, end, on_ended, m) < 0) {
		end(m);
		on_ended(m);
	}
}

static void close_all(struct mount *m)
{
	m->kind->close(m);
	parking_close(m->parking, on_parking_closed, m);
}

void mount_stop(struct mount *m, void (*done)(void *arg), void *arg)
{
	m->stopped = done;
	m->stopped_arg = arg;
	m->gone = NULL;
	close_all(m);
}

void mount_on_gone(struct mount *m, void (*gone)(void *arg), void *arg)
{
	m->gone = gone;
	m->gone_arg = arg;
	if (m->is_gone)
		m->blocks->post(m->blocks, on_gone, m);
}

void mount_stat(struct mount *m, struct mount_stat *out)
{
	*out = (struct mount_stat){ .root.version = 0xff };
	snprintf(out->dir, sizeof out->dir, "%s", m->dir);
	out->parked = parking_count(m->parking);
	m->kind->stat(m, out);
}
