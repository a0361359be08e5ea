/*
 * Each operation is translated into a question to the tree.
 */
#include "fs/tree_ops.h"

#include "fs/op.h"
#include "store/error.h"

#include <linux/fuse.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>

#define XATTR_CID "ipfs.cid"
/* Entries of a listing whose nodes are fetched, of those given at a time. */
#define CHILDREN_MAX 256

static uint64_t number(const struct op *op)
{
	return op->ino & ~op->shown->bit;
}

static void entry_of(struct shown *s, const struct inode_info *i,
		     struct fuse_entry_param *e)
{
	*e = (struct fuse_entry_param){
		.ino = i->id | s->bit,
		.attr_timeout = FOREVER,
		.entry_timeout = FOREVER,
	};
	tree_stat(i, &e->attr);
	e->attr.st_ino = e->ino;
	const struct tree_shelf *names = tree_shelf(&s->tree, i->id);
	const struct tree_shelf *in = tree_shelf(&s->tree, i->parent);
	if ((names && names->changed) || (in && in->changed))
		e->entry_timeout = e->attr_timeout = 0;
	/* By its time the kernel tells whether the listing that it keeps is good. */
	if (names && names->changed)
		names->changed(names->arg, &e->attr.st_mtim);
	e->attr.st_uid = s->m->uid;
	e->attr.st_gid = s->m->gid;
}

static int run_lookup(struct op *op, struct lack *lack)
{
	struct shown *s = op->shown;
	struct fuse_entry_param e;
	struct inode_info i;
	uint64_t dir = number(op);
	int r = tree_lookup(&s->tree, dir, op->name, &i, lack);
	bool is_node =
	    r == 0 ? i.cid.codec != CODEC_RAW : r == ERR_MISSING && lack->blocks.n;

	if (is_node && !op->parked.run && !inode_has_tops(dir))
		shown_ahead_lookup(s, dir, r == 0);
	/* An unknown name may be published at any time, a snapshot made. */
	if (r == -ENOENT && dir != INODE_IPNS && !tree_shelf(&s->tree, dir)) {
		e = (struct fuse_entry_param){ .ino = 0, .entry_timeout = FOREVER };
		fuse_reply_entry(op->req, &e);
		return 0;
	}
	if (r < 0)
		return r;
	entry_of(s, &i, &e);
	if (fuse_reply_entry(op->req, &e) == -ENOENT)
		inodes_forget(s->inodes, i.id, 1); /* interrupted: it was not taken */
	return 0;
}

static int run_readlink(struct op *op, struct lack *lack)
{
	char target[4097];
	int r = tree_readlink(&op->shown->tree, number(op), target, sizeof target, lack);

	if (r < 0)
		return r;
	fuse_reply_readlink(op->req, target);
	return 0;
}

static int reply_extents(fuse_req_t req, const struct tree_bytes *b)
{
	static const uint8_t zeros[128 << 10];
	struct iovec iov[TREE_EXTENTS];
	int n = 0;

	for (int k = 0; k < b->n; k++) {
		const struct dag_extent *e = &b->extents[k];
		size_t left = e->len;

		while (left > 0) {
			size_t part =
			    e->block || left < sizeof zeros ? left : sizeof zeros;

			if (n == TREE_EXTENTS)
				return -EMSGSIZE;
			iov[n].iov_base = e->block ? (uint8_t *)e->block->data + e->offset
						   : (uint8_t *)zeros;
			iov[n++].iov_len = part;
			left -= part;
		}
	}
	fuse_reply_iov(req, iov, n);
	return 0;
}

static int run_read(struct op *op, struct lack *lack)
{
	struct tree_bytes b;
	int r = tree_read(&op->shown->tree, number(op), op->offset, op->size, &b, lack);

	if (r < 0) {
		if (b.resized)
			notify_inode(op->m->notify, op->ino);
		return r;
	}
	if (b.copy)
		fuse_reply_buf(op->req, (char *)b.copy, b.len);
	else
		r = reply_extents(op->req, &b);
	tree_bytes_release(&b);
	return r;
}

struct listing {
	struct op *op;
	char *buf;
	size_t used, max;
	bool plus;
};

static int on_entry(void *arg, const struct tree_entry *te)
{
	static const mode_t types[] = {
		[INODE_FILE] = S_IFREG,
		[INODE_DIR] = S_IFDIR,
		[INODE_SYMLINK] = S_IFLNK,
		[INODE_TOP] = S_IFDIR,
	};
	struct listing *l = arg;
	struct op *op = l->op;
	size_t room = l->max - l->used;
	struct fuse_entry_param e = {
		.attr = { .st_ino = te->ino | op->shown->bit,
			  .st_mode = te->kind ? types[te->kind] : 0 },
	};
	struct inode_info i;

	if (!l->plus) {
		size_t n = fuse_add_direntry(op->req, l->buf + l->used, room, te->name,
					     &e.attr, te->next);
		if (n > room)
			return 1;
		l->used += n;
		return 0;
	}
	if (fuse_add_direntry_plus(op->req, NULL, 0, te->name, NULL, 0) > room)
		return 1;
	/* Without attributes it goes with inode number 0: the kernel asks later. */
	if (tree_entry_open(te, &i) == 0)
		entry_of(op->shown, &i, &e);
	l->used += fuse_add_direntry_plus(op->req, l->buf + l->used, room, te->name, &e,
					  te->next);
	return 0;
}

/* The kernel did not take the entries: their look-ups are given back. */
static void give_back(struct shown *s, const struct listing *l)
{
	for (size_t at = 0; l->plus && at < l->used;) {
		const struct fuse_direntplus *d = (void *)(l->buf + at);

		if (d->entry_out.nodeid)
			inodes_forget(s->inodes, d->entry_out.nodeid & ~s->bit, 1);
		at += FUSE_DIRENTPLUS_SIZE(d);
	}
}

static int run_list(struct op *op, struct lack *lack)
{
	struct shown *s = op->shown;
	struct misses children = { .max = CHILDREN_MAX };
	struct listing l = { .op = op, .max = op->size, .plus = op->flags };
	int r;

	l.buf = malloc(l.max);
	children.cids = malloc(CHILDREN_MAX * sizeof *children.cids);
	if (!l.buf || !children.cids) {
		r = -ENOMEM;
		goto out;
	}
	r = tree_list(&s->tree, number(op), op->offset, on_entry, &l, lack, &children);
	if (r == 0) {
		if (fuse_reply_buf(op->req, l.buf, l.used) == -ENOENT)
			give_back(s, &l);
		inodes_top(s->inodes, number(op), &lack->top);
		prefetch_add(s->prefetch, &lack->blocks, &lack->top, WANT_READAHEAD);
		prefetch_add(s->prefetch, &children, &lack->top, WANT_PREFETCH);
	}
out:
	free(l.buf);
	free(children.cids);
	return r;
}

void tree_op_lookup(fuse_req_t req, struct shown *s, fuse_ino_t parent, const char *name)
{
	static const struct op_kind kind = { .run = run_lookup, .locks = true, .stale = true };
	struct op op = {
		.m = s->m, .req = req, .kind = &kind, .shown = s, .ino = parent, .name = name
	};

	op_start(&op);
}

void tree_op_getattr(fuse_req_t req, struct shown *s, fuse_ino_t ino)
{
	struct fuse_entry_param e;
	struct inode_info i;
	int r = inodes_get(s->inodes, ino & ~s->bit, &i);

	if (r < 0) {
		fuse_reply_err(req, op_errno(r));
		return;
	}
	entry_of(s, &i, &e);
	fuse_reply_attr(req, &e.attr, e.attr_timeout);
}

void tree_op_readlink(fuse_req_t req, struct shown *s, fuse_ino_t ino)
{
	static const struct op_kind kind = { .run = run_readlink };
	struct op op = { .m = s->m, .req = req, .kind = &kind, .shown = s, .ino = ino };

	op_start(&op);
}

void tree_op_read(fuse_req_t req, struct shown *s, fuse_ino_t ino, size_t size, off_t off)
{
	static const struct op_kind kind = { .run = run_read };
	struct op op = { .m = s->m,
			 .req = req,
			 .kind = &kind,
			 .shown = s,
			 .ino = ino,
			 .offset = off,
			 .size = size };

	op_start(&op);
	shown_ahead_read(s, ino & ~s->bit, off, size);
}

void tree_op_readdir(fuse_req_t req, struct shown *s, fuse_ino_t ino, size_t size, off_t off,
		     bool plus)
{
	static const struct op_kind kind = { .run = run_list, .locks = true };
	struct op op = { .m = s->m,
			 .req = req,
			 .kind = &kind,
			 .shown = s,
			 .ino = ino,
			 .offset = off,
			 .size = size,
			 .flags = plus };

	op_start(&op);
}

void tree_op_getxattr(fuse_req_t req, struct shown *s, fuse_ino_t ino, const char *name,
		      size_t size)
{
	char text[CID_TEXT_MAX];
	struct inode_info i;
	size_t len;

	if (strcmp(name, XATTR_CID) != 0 || inodes_get(s->inodes, ino & ~s->bit, &i) < 0 ||
	    i.kind == INODE_TOP) {
		fuse_reply_err(req, ENODATA);
		return;
	}
	len = strlen(cid_text(&i.cid, text));
	if (size == 0)
		fuse_reply_xattr(req, len);
	else if (size < len)
		fuse_reply_err(req, ERANGE);
	else
		fuse_reply_buf(req, text, len);
}

void tree_op_forget(struct shown *s, fuse_ino_t ino, uint64_t n)
{
	inodes_forget(s->inodes, ino & ~s->bit, n);
}

void shown_reply_root(fuse_req_t req, struct shown *s)
{
	struct fuse_entry_param e;
	struct inode_info i;

	inodes_get(s->inodes, INODE_ROOT, &i); /* always there */
	entry_of(s, &i, &e);
	fuse_reply_entry(req, &e);
}

void shown_describe(struct shown *s, fuse_ino_t ino, char *out, size_t max)
{
	struct inode_info i;
	char cid[CID_TEXT_MAX];
	size_t len;

	inodes_path(s->inodes, ino & ~s->bit, out, max);
	len = strlen(out);
	if (inodes_get(s->inodes, ino & ~s->bit, &i) == 0 && i.kind != INODE_TOP)
		snprintf(out + len, max - len, " (%s)", cid_text(&i.cid, cid));
}

void shown_top(struct shown *s, fuse_ino_t ino, struct cid *out)
{
	inodes_top(s->inodes, ino & ~s->bit, out);
}

static int is_live(void *mark, const struct cid *cid)
{
	return gc_live(mark, cid);
}

/* For a gc: whatever the kernel knows may be open, or about to be. */
static int live_roots(struct gc_roots *roots, struct gc_mark *mark)
{
	struct shown *s = (struct shown *)((char *)roots - offsetof(struct shown, roots));

	return inodes_cids(s->inodes, is_live, mark);
}

static void on_tree(void *arg)
{
	gc_roots_changed(arg);
}

int shown_init(struct shown *s, struct mount *m, uint64_t bit)
{
	int r;

	s->m = m;
	s->bit = bit;
	if ((r = inodes_new(&s->inodes)) < 0)
		return r;
	if (m->node) { /* not in a test */
		inodes_on_tree(s->inodes, on_tree, m->node->store);
		s->roots.each = live_roots;
		gc_roots_add(m->node->store, &s->roots);
		s->rooted = true;
	}
	r = prefetch_new(&s->prefetch, m->blocks);
	if (r < 0)
		return r;
	s->tree = (struct tree){ .source = m->blocks->source, .inodes = s->inodes };
	return readahead_new(&s->readahead);
}

void shown_close(struct shown *s)
{
	if (s->prefetch)
		prefetch_close(s->prefetch);
}

void shown_release(struct shown *s)
{
	if (s->rooted)
		gc_roots_remove(s->m->node->store, &s->roots);
	prefetch_free(s->prefetch);
	readahead_free(s->readahead);
	inodes_free(s->inodes);
}
