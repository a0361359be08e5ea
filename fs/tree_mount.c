/*
 * A mount of what was published: a tree, a name, or the whole name space.
 */
#include "fs/tree_ops.h"
#include "fs/view.h"

#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>

struct tree_mount {
	struct mount m;
	struct shown shown;
	struct view *view;
	char *source; /* NULL: everything */
};

static struct tree_mount *of(struct mount *m)
{
	return (struct tree_mount *)m;
}

static struct shown *shown_of(fuse_req_t req)
{
	return &of(fuse_req_userdata(req))->shown;
}

/* ---- operations ---- */

static void on_init(void *userdata, struct fuse_conn_info *conn)
{
	static const unsigned wanted =
	    FUSE_CAP_ASYNC_READ | FUSE_CAP_READDIRPLUS | FUSE_CAP_READDIRPLUS_AUTO |
	    FUSE_CAP_PARALLEL_DIROPS | FUSE_CAP_CACHE_SYMLINKS |
	    FUSE_CAP_EXPLICIT_INVAL_DATA | FUSE_CAP_NO_OPEN_SUPPORT |
	    FUSE_CAP_NO_OPENDIR_SUPPORT;

	conn->want = conn->capable & wanted;
	/*
	 * Reads that wait for the network must not keep the others in the
	 * kernel's queue: as many as its 16 bits say.
	 */
	conn->max_background = UINT16_MAX;
	conn->congestion_threshold = UINT16_MAX;
	conn->time_gran = 1;
}

static void on_lookup(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	tree_op_lookup(req, shown_of(req), parent, name);
}

static void on_forget(fuse_req_t req, fuse_ino_t ino, uint64_t n)
{
	tree_op_forget(shown_of(req), ino, n);
	fuse_reply_none(req);
}

static void on_forget_multi(fuse_req_t req, size_t count,
			    struct fuse_forget_data *forgets)
{
	for (size_t i = 0; i < count; i++)
		tree_op_forget(shown_of(req), forgets[i].ino, forgets[i].nlookup);
	fuse_reply_none(req);
}

static void on_getattr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	tree_op_getattr(req, shown_of(req), ino);
}

static void on_readlink(fuse_req_t req, fuse_ino_t ino)
{
	tree_op_readlink(req, shown_of(req), ino);
}

/* Answered so once, the kernel no longer asks, and keeps pages and listings. */
static void on_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	fuse_reply_err(req, ENOSYS);
}

static void on_read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off,
		    struct fuse_file_info *fi)
{
	tree_op_read(req, shown_of(req), ino, size, off);
}

static void on_readdir(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off,
		       struct fuse_file_info *fi)
{
	tree_op_readdir(req, shown_of(req), ino, size, off, false);
}

static void on_readdirplus(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off,
			   struct fuse_file_info *fi)
{
	tree_op_readdir(req, shown_of(req), ino, size, off, true);
}

static void on_statfs(fuse_req_t req, fuse_ino_t ino)
{
	struct statvfs s = {
		.f_bsize = 4096,
		.f_frsize = 4096,
		.f_namemax = NAME_MAX_BYTES,
	};

	fuse_reply_statfs(req, &s);
}

static void on_getxattr(fuse_req_t req, fuse_ino_t ino, const char *name, size_t size)
{
	tree_op_getxattr(req, shown_of(req), ino, name, size);
}

/* Not listed, as in Kubo: programs that copy attributes would try to set it. */
static void on_listxattr(fuse_req_t req, fuse_ino_t ino, size_t size)
{
	fuse_reply_err(req, ENOSYS);
}

static const struct fuse_lowlevel_ops tree_ops = {
	.init = on_init,
	.lookup = on_lookup,
	.forget = on_forget,
	.forget_multi = on_forget_multi,
	.getattr = on_getattr,
	.readlink = on_readlink,
	.open = on_open,
	.opendir = on_open,
	.read = on_read,
	.readdir = on_readdir,
	.readdirplus = on_readdirplus,
	.statfs = on_statfs,
	.getxattr = on_getxattr,
	.listxattr = on_listxattr,
};

/* ---- its life ---- */

static void on_opened(void *arg, int result)
{
	mount_opened(arg, result);
}

static int tree_open(struct mount *m)
{
	return view_open(of(m)->view, m->parking, of(m)->source, on_opened, m);
}

static void tree_live(struct mount *m)
{
	view_notify(of(m)->view, m->notify);
}

static void tree_close(struct mount *m)
{
	view_close(of(m)->view);
	shown_close(&of(m)->shown);
}

static void tree_free(struct mount *m)
{
	view_free(of(m)->view);
	shown_release(&of(m)->shown);
	free(of(m)->source);
}

static void tree_top(struct mount *m, uint64_t ino, struct cid *out)
{
	shown_top(&of(m)->shown, ino, out);
}

static void tree_describe(struct mount *m, uint64_t ino, char *out, size_t max)
{
	shown_describe(&of(m)->shown, ino, out, max);
}

static void tree_mount_stat(struct mount *m, struct mount_stat *out)
{
	const char *source = of(m)->source;

	snprintf(out->source, sizeof out->source, "%s", source ? source : "/");
	view_root(of(m)->view, &out->root);
	out->inodes = inodes_count(of(m)->shown.inodes);
}

static const struct mount_kind tree_kind = {
	.ops = &tree_ops,
	.open = tree_open,
	.live = tree_live,
	.close = tree_close,
	.free = tree_free,
	.top = tree_top,
	.describe = tree_describe,
	.stat = tree_mount_stat,
};

static int make_parts(struct tree_mount *t, const struct mount_options *o)
{
	uint64_t timeout_ms = o->timeout_ms ? o->timeout_ms : TIMEOUT_MS;
	struct view_config cfg;
	int r;

	if ((r = view_check(o->source)) < 0 || (r = mount_init(&t->m, o->dir, o->extra)) < 0 ||
	    (r = shown_init(&t->shown, &t->m, 0)) < 0)
		return r;
	t->source = o->source ? strdup(o->source) : NULL;
	if (o->source && !t->source)
		return -ENOMEM;
	cfg = (struct view_config){
		.node = t->m.node,
		.blocks = t->m.blocks,
		.inodes = t->shown.inodes,
		.dir = t->m.dir,
	};
	r = view_new(&t->view, &cfg);
	if (r < 0)
		return r;
	if (!o->source) {
		t->shown.tree.name = view_name_root;
		t->shown.tree.name_arg = t->view;
		t->shown.tree.folders = o->folders;
	}
	return parking_new(&t->m.parking, t->m.blocks, view_names(t->view), timeout_ms);
}

void mount_start(struct node *n, const struct mount_options *o,
		 void (*done)(void *arg, int result, struct mount *m), void *arg)
{
	struct tree_mount *t = calloc(1, sizeof *t);

	if (!t) {
		done(arg, -ENOMEM, NULL); /* from inside: there is no memory for later */
		return;
	}
	t->m.kind = &tree_kind;
	t->m.node = n;
	t->m.allow_other = o->allow_other;
	strcpy(t->m.options, "ro,nosuid,nodev");
	mount_begin(&t->m, make_parts(t, o), done, arg);
}
