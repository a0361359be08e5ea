/*
 * An old version of something takes a name, by reference.
 */
#include "fs/folder_internal.h"

#include "fs/folder_snap.h"
#include "store/error.h"

#include <stdlib.h>
#include <string.h>

/* The new inode, clean but for its name. */
static int record_graft(struct folder *f, const struct folder_graft *what, uint64_t *ino,
			struct inode_core *core, struct lack *lack)
{
	struct dag_attr d = { .type = S_ISDIR(what->type)   ? DAG_DIR
				      : S_ISLNK(what->type) ? DAG_SYMLINK
							    : DAG_FILE,
			      .size = what->size };
	struct cursor in = attrs_xattrs(&what->attrs);
	struct attrs_xattr x;
	int r = 0;

	*ino = f->next_ino;
	if (!what->attrs.special)
		r = dag_stat(f->cfg.source, &what->cid, &d, &lack->blocks);
	if (r < 0)
		return r;
	if (!what->attrs.special && d.size > INT64_MAX)
		return -EOVERFLOW;
	clean_core(&what->attrs, &d, core);
	record_inode(f, *ino, core, INODE_NEW | INODE_CHANGED);
	if (!what->attrs.special) {
		record_base(f, *ino, core->size, what->tsize, 0, &what->cid,
			    d.type == DAG_DIR ? &what->sub_attrs : NULL);
		if (d.type == DAG_DIR)
			record_listing(f, *ino, 0, &what->cid, &what->sub_attrs);
	}
	while (attrs_xattrs_next(&in, &x) > 0) {
		const struct update u = { .kind = UPDATE_XATTR,
					  .ino = *ino,
					  .name = (const uint8_t *)x.name,
					  .name_len = (uint8_t)x.name_len,
					  .value = x.value,
					  .value_len = (uint32_t)x.value_len };

		update_encode(&f->record, &u);
	}
	return 0;
}

static int graft(struct folder *f, uint64_t dir, const char *name,
		 const struct folder_graft *what, uint64_t *removed, struct lack *lack)
{
	struct timespec now = folder_now();
	struct inode_core core, parent;
	struct found at;
	struct inode *d;
	uint64_t ino = 0;
	int dirs = 0;
	int r = inode_get_dir(f, dir, &d, lack);

	if (!r)
		r = name_find(f, d, name, &at, lack);
	if (!r && !what && !at.inode)
		r = -ENOENT;
	if (!r)
		r = inode_adopt(f, d, lack);
	if (!r && at.inode)
		r = inode_adopt(f, at.inode, lack);
	if (!r && what)
		r = record_graft(f, what, &ino, &core, lack);
	if (r < 0)
		return r;
	record_entry(f, &at, ino, what ? core.mode : 0);
	if (at.inode) {
		record_unlinked(f, at.inode, &now);
		if (at.inode->dir)
			*removed = at.inode->ino;
		dirs -= at.inode->dir != NULL;
	}
	dirs += what && S_ISDIR(core.mode);
	parent = dir_touched(d, &now, dirs);
	record_inode(f, dir, &parent, INODE_CHANGED);
	return at.inode ? change_commit_freeing(f) : change_commit(f, NULL, 0);
}

int folder_graft(struct folder *f, uint64_t dir, const char *name,
		 const struct folder_graft *what, struct lack *lack)
{
	uint64_t removed = 0;
	int r = change_begin(f);

	if (r < 0)
		return r;
	r = graft(f, dir, name, what, &removed, lack);
	change_end(f);
	if (removed)
		folder_reap(f, removed);
	return r;
}

/* ---- directories that were removed with what is in them ---- */

#define REAP_NAMES 64

struct reaping {
	struct folder *f;
	struct inode *dir;
	struct timespec now;
	int n;
	uint64_t *dirs; /* below it, to be reaped then */
	size_t n_dirs, cap_dirs;
	int error;
};

static int on_name(void *arg, const struct folder_entry *e)
{
	struct reaping *p = arg;
	struct lack none = { .blocks.max = 0 };
	struct found at = { .dir = p->dir, .name = e->name, .len = (uint8_t)strlen(e->name) };
	int r;

	if (p->n == REAP_NAMES)
		return 1;
	/* What the base alone has is gone with it. */
	r = entry_get(p->f, p->dir, e->name, at.len, &at.entry);
	if (r <= 0 || !at.entry->ino)
		return 0;
	if (inode_get(p->f, at.entry->ino, &at.inode, &none) < 0)
		return 0;
	if (at.inode->dir) {
		if (p->n_dirs == p->cap_dirs) {
			size_t cap = p->cap_dirs ? 2 * p->cap_dirs : 16;
			uint64_t *more = reallocarray(p->dirs, cap, sizeof *more);

			if (!more) {
				p->error = -ENOMEM;
				return 1;
			}
			p->dirs = more;
			p->cap_dirs = cap;
		}
		p->dirs[p->n_dirs++] = at.inode->ino;
	}
	p->n++;
	record_entry(p->f, &at, 0, 0);
	record_unlinked(p->f, at.inode, &p->now);
	return 0;
}

/* The next few names of a directory that has none itself and that nobody uses: 1 if
 * there are more. */
static int reap_some(struct folder *f, struct reaping *p, uint64_t ino)
{
	struct lack none = { .blocks.max = 0 };
	int r = change_begin(f);

	if (r < 0)
		return r;
	r = inode_get(f, ino, &p->dir, &none);
	if (r < 0 || p->dir->core.nlink || p->dir->pins || known_count(&f->known, ino)) {
		change_end(f);
		return 0;
	}
	p->n = 0;
	directory_each(f, p->dir, on_name, p, &none);
	r = p->n > 0;
	if (!p->n)
		record_free(f, ino);
	if (p->error)
		r = p->error;
	int c = r < 0 ? r : change_commit_freeing(f);
	change_end(f);
	return c < 0 ? c : r;
}

void folder_reap(struct folder *f, uint64_t ino)
{
	struct reaping p = { .f = f, .now = folder_now() };
	int r = 0;

	for (;;) {
		while ((r = reap_some(f, &p, ino)) > 0)
			;
		if (r < 0 || !p.n_dirs)
			break;
		ino = p.dirs[--p.n_dirs];
	}
	free(p.dirs);
}
