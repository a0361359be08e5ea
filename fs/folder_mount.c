/*
 * A folder mounted to be written: what differs from other mounts in its life.
 */
#include "fs/folder_mount.h"

#include "store/error.h"
#include "store/log.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/vfs.h>
#include <unistd.h>

#define FUSE_MAGIC 0x65735546

/* ---- changes that do not come from programs ---- */

static void on_entry_changed(void *arg, uint64_t dir, const char *name)
{
	struct folder_mount *fm = arg;

	notify_entry(fm->m.notify, dir, name);
}

static void on_inode_changed(void *arg, uint64_t ino)
{
	struct folder_mount *fm = arg;

	notify_inode(fm->m.notify, ino);
}

/* The kernel keeps the list of snapshots too. */
static void on_past_changed(void *arg)
{
	struct folder_mount *fm = arg;

	notify_inode(fm->m.notify, PAST_BIT | INODE_SHELF);
}

/* ---- its life ---- */

static void on_ready(void *arg)
{
	mount_opened(arg, 0);
}

static int folder_mount_open(struct mount *m)
{
	return m->blocks->post(m->blocks, on_ready, m);
}

static void folder_live(struct mount *m)
{
	static const struct folder_changed changed = { .entry = on_entry_changed,
						       .inode = on_inode_changed,
						       .past = on_past_changed };

	folder_use_watch(folder_mount_of(m)->use, &changed, m);
}

static void folder_mount_close(struct mount *m)
{
	folder_use_watch(folder_mount_of(m)->use, NULL, NULL);
	shown_close(&folder_mount_of(m)->shown);
}

/*
 * What programs wrote through mmap() is the kernel's until it is synced; it would
 * be lost with the session.  The kernel does not wait for the answers to those
 * writes, but a later question stands behind them in its queue; and a worker that
 * has one of them is waited for.
 */
static void folder_flush(struct mount *m)
{
	struct statfs fs;
	int fd;

	if (atomic_load(&m->working) == 0)
		return; /* unmounted by hand: the kernel did it */
	fd = open(m->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return;
	if (fstatfs(fd, &fs) == 0 && fs.f_type == FUSE_MAGIC) {
		if (syncfs(fd) == 0)
			fstatfs(fd, &fs);
	}
	close(fd);
}

static void folder_ended(struct mount *m)
{
	struct folder_mount *fm = folder_mount_of(m);
	int r = folder_sync(fm->f);

	if (r < 0)
		log_line(LOG_ERROR, "%s: what was written last may be lost: %s",
			 folder_use_name(fm->use), err_text(r));
	folder_unuse(fm->use);
	past_release(&fm->past);
	fm->past.use = NULL;
}

static void folder_free(struct mount *m)
{
	struct folder_mount *fm = folder_mount_of(m);

	shown_release(&fm->shown);
	pthread_mutex_destroy(&fm->sync_lock);
}

static void folder_top(struct mount *m, uint64_t ino, struct cid *out)
{
	struct folder_mount *fm = folder_mount_of(m);
	struct folder_state st;

	if (is_past(ino)) {
		shown_top(&fm->shown, ino, out);
		return;
	}
	folder_state(fm->f, &st);
	*out = st.root;
}

static bool folder_mount_relieve(struct mount *m)
{
	return folder_relieve(folder_mount_of(m)->f);
}

static void folder_describe(struct mount *m, uint64_t ino, char *out, size_t max)
{
	struct folder_mount *fm = folder_mount_of(m);

	if (!is_past(ino)) {
		folder_path(fm->f, ino, out, max);
		return;
	}
	snprintf(out, max, "%s", PAST_NAME);
	shown_describe(&fm->shown, ino, out + strlen(out), max - strlen(out));
}

static void folder_mount_stat(struct mount *m, struct mount_stat *out)
{
	struct folder_mount *fm = folder_mount_of(m);
	struct folder_state st;

	folder_state(fm->f, &st);
	snprintf(out->source, sizeof out->source, "%s", folder_use_name(fm->use));
	out->folder = true;
	out->root = st.root;
	out->dirty_inodes = st.dirty_inodes;
	out->dirty_bytes = st.dirty_bytes;
	out->failed = st.failed;
}

static const struct mount_kind folder_kind = {
	.ops = &folder_ops,
	.writable = true,
	.open = folder_mount_open,
	.live = folder_live,
	.close = folder_mount_close,
	.flush = folder_flush,
	.ended = folder_ended,
	.free = folder_free,
	.top = folder_top,
	.relieve = folder_mount_relieve,
	.describe = folder_describe,
	.stat = folder_mount_stat,
};

static int make_parts(struct folder_mount *fm, const struct folder_mount_options *o)
{
	uint64_t timeout_ms = o->timeout_ms ? o->timeout_ms : TIMEOUT_MS;
	int r;

	if ((o->suid || o->dev) && geteuid() != 0)
		return -EPERM;
	if ((r = mount_init(&fm->m, o->dir, NULL)) < 0 ||
	    (r = shown_init(&fm->shown, &fm->m, PAST_BIT)) < 0)
		return r;
	fm->shown.tree.shelf = &fm->past.shelf;
	r = parking_new(&fm->m.parking, fm->m.blocks, NULL, timeout_ms);
	/* What was read of a folder is its own. */
	if (r == 0)
		parking_keep(fm->m.parking);
	return r;
}

void folder_mount_start(struct node *n, const struct folder_mount_options *o,
			void (*done)(void *arg, int result, struct mount *m), void *arg)
{
	struct folder_mount *fm = calloc(1, sizeof *fm);

	if (!fm) {
		folder_unuse(o->use);
		done(arg, -ENOMEM, NULL); /* from inside: there is no memory for later */
		return;
	}
	fm->m.kind = &folder_kind;
	fm->m.node = n;
	fm->m.allow_other = o->allow_other;
	snprintf(fm->m.options, sizeof fm->m.options, "rw%s%s", o->suid ? ",suid" : ",nosuid",
		 o->dev ? ",dev" : ",nodev");
	fm->use = o->use;
	fm->f = folder_used(o->use);
	pthread_mutex_init(&fm->sync_lock, NULL);
	past_init(&fm->past, o->use);
	mount_begin(&fm->m, make_parts(fm, o), done, arg);
}
