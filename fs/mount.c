/*
 * The life of a mount.
 *
 *	CHECKING ---> OPENING ---> MOUNTING ---> LIVE ---> CLOSING ---> ENDING ---> freed
 *	  pool         view          pool         |         parking       pool
 *	    |            |             |          +-- unmounted by hand: gone(), stays
 *	    +------------+-------------+--> CLOSING, with a result to report
 */
#include "fs/mount_internal.h"

#include "fs/mountpoint.h"
#include "store/error.h"
#include "store/log.h"
#include "store/signals.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define TIMEOUT_MS 60000

static void report_start(void *arg)
{
	struct mount *m = arg;

	m->started(m->started_arg, m->result, NULL);
	free(m->source);
	free(m->dir);
	free(m);
}

static void on_checked(void *arg);
static void close_all(struct mount *m);

static void check(void *arg)
{
	struct mount *m = arg;
	char real[PATH_MAX];
	char *copy;

	m->result = mountpoint_check(m->dir, real);
	if (m->result < 0)
		return;
	copy = strdup(real);
	if (!copy) {
		m->result = -ENOMEM;
		return;
	}
	free(m->dir);
	m->dir = copy;
}

static int is_live(void *mark, const struct cid *cid)
{
	return gc_live(mark, cid);
}

/* For a gc: whatever the kernel knows may be open, or about to be. */
static int live_roots(struct gc_roots *roots, struct gc_mark *mark)
{
	struct mount *m = (struct mount *)((char *)roots - offsetof(struct mount, roots));

	return inodes_cids(m->inodes, is_live, mark);
}

static void on_tree(void *arg)
{
	gc_roots_changed(arg);
}

static int make_parts(struct mount *m, const struct mount_options *o)
{
	uint64_t timeout_ms = o->timeout_ms ? o->timeout_ms : TIMEOUT_MS;
	struct view_config cfg;
	int r;

	m->blocks = node_blocks(m->node, o->extra);
	if (!m->blocks)
		return -ENOMEM;
	r = inodes_new(&m->inodes);
	if (r < 0)
		return r;
	inodes_on_tree(m->inodes, on_tree, m->node->store);
	m->roots.each = live_roots;
	gc_roots_add(m->node->store, &m->roots);
	m->rooted = true;
	cfg = (struct view_config){
		.node = m->node,
		.blocks = m->blocks,
		.inodes = m->inodes,
		.dir = m->dir,
	};
	if ((r = view_new(&m->view, &cfg)) < 0 ||
	    (r = parking_new(&m->parking, m->blocks, view_names(m->view), timeout_ms)) <
		0 ||
	    (r = prefetch_new(&m->prefetch, m->blocks)) < 0 ||
	    (r = readahead_new(&m->readahead)) < 0)
		return r;
	m->tree = (struct tree){
		.source = m->blocks->source,
		.inodes = m->inodes,
		.name = m->source ? NULL : view_name_root,
		.name_arg = m->view,
	};
	return 0;
}

static void free_parts(struct mount *m)
{
	if (m->rooted)
		gc_roots_remove(m->node->store, &m->roots);
	view_free(m->view);
	parking_free(m->parking);
	prefetch_free(m->prefetch);
	readahead_free(m->readahead);
	inodes_free(m->inodes);
	node_blocks_free(m->blocks);
}

void mount_start(struct node *n, const struct mount_options *o,
		 void (*done)(void *arg, int result, struct mount *m), void *arg)
{
	struct mount *m = calloc(1, sizeof *m);
	int r;

	if (!m) {
		done(arg, -ENOMEM, NULL); /* from inside: there is no memory for later */
		return;
	}
	m->node = n;
	m->uid = getuid();
	m->gid = getgid();
	m->allow_other = o->allow_other;
	m->started = done;
	m->started_arg = arg;
	m->dir = strdup(o->dir);
	m->source = o->source ? strdup(o->source) : NULL;
	r = view_check(o->source);
	if (r == 0 && (!m->dir || (o->source && !m->source)))
		r = -ENOMEM;
	if (r == 0)
		r = make_parts(m, o);
	if (r == 0)
		r = m->blocks->work(m->blocks, check, on_checked, m);
	if (r < 0) { /* else m->result is the pool's */
		m->result = r;
		if (m->blocks)
			free_parts(m);
		node_post(n, report_start, m);
	}
}

static void on_opened(void *arg, int result);

static void on_checked(void *arg)
{
	struct mount *m = arg;

	if (m->result == 0)
		m->result = view_open(m->view, m->parking, m->source, on_opened, m);
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
	int n = cpus < 1 ? 1 : cpus > WORKERS_MAX ? WORKERS_MAX : cpus;
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

	snprintf(options, sizeof options,
		 "ro,nosuid,nodev,default_permissions,fsname=cairn,subtype=cairn%s",
		 m->allow_other ? ",allow_other" : "");
	if (access("/dev/fuse", F_OK) < 0)
		return -ENODEV;
	m->se = fuse_session_new(&args, &mount_ops, sizeof mount_ops, m);
	fuse_opt_free_args(&args);
	if (!m->se)
		return -ENOMEM;
	errno = 0;
	if (fuse_session_mount(m->se, m->dir) < 0) {
		int r = geteuid() == 0 && errno ? -errno : -EPERM;

		fuse_session_destroy(m->se);
		m->se = NULL;
		return r;
	}
	return start_threads(m);
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
	view_notify(m->view, m->notify);
	m->started(m->started_arg, 0, m);
}

static void on_opened(void *arg, int result)
{
	struct mount *m = arg;

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
	free(m->source);
	free(m->dir);
	free(m);
	stopped(stopped_arg);
}

/*
 * The notifier first, while the workers still answer what it may wait for; the
 * kernel's side last, when nobody can reply any more: closing it fails what is
 * left, and detaching cannot wait for anyone.
 */
static void end_session(void *arg)
{
	struct mount *m = arg;

	if (!m->se)
		return;
	notify_free(m->notify);
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

	if (m->blocks->work(m->blocks, end_session, on_ended, m) < 0) {
		end_session(m);
		on_ended(m);
	}
}

static void close_all(struct mount *m)
{
	view_close(m->view);
	prefetch_close(m->prefetch);
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
	snprintf(out->source, sizeof out->source, "%s", m->source ? m->source : "/");
	snprintf(out->dir, sizeof out->dir, "%s", m->dir);
	view_root(m->view, &out->root);
	out->parked = parking_count(m->parking);
	out->inodes = inodes_count(m->inodes);
}
