/*
 * What a gc leaves alone: of each branch the snapshots that retention keeps, with
 * their trees and attributes; of those it does not keep the commit alone, as long
 * as a kept one lies behind it, so that history stays linked; what the working
 * tree is built on; and a version that is being put back.
 */
#include "fs/folders_internal.h"

#include "fs/folder_snap.h"
#include "fs/history.h"
#include "store/error.h"

#include <stdlib.h>
#include <string.h>

static int live(struct gc_mark *mark, const struct cid *tree)
{
	return tree->version == 0xff ? 0 : gc_live(mark, tree);
}

static int live_branch(struct folders *fs, struct gc_mark *mark, const struct cid *head,
		       const struct retention *keep)
{
	struct cid *skipped = NULL;
	size_t n = 0, room = 0;
	struct retaining retaining;
	struct history_commit *p;
	struct history h;
	int r;

	retaining_begin(&retaining, keep);
	history_begin(&h, fs->source, head, NULL, wall_ms());
	h.trusted = true;
	while ((r = history_next(&h, &p)) > 0) {
		if (!retaining_next(&retaining, p->time_ms)) {
			if (n == room) {
				room = room ? 2 * room : 64;
				struct cid *more = reallocarray(skipped, room, sizeof *more);
				if (!more) {
					r = -ENOMEM;
					break;
				}
				skipped = more;
			}
			skipped[n++] = p->cid;
			continue;
		}
		r = gc_live_block(mark, &p->cid);
		while (r == 0 && n)
			r = gc_live_block(mark, &skipped[--n]);
		if (r == 0)
			r = gc_live(mark, &p->commit.root);
		if (r == 0 && p->commit.has_attrs)
			r = gc_live(mark, &p->commit.attrs);
		if (r < 0)
			break;
	}
	history_end(&h);
	free(skipped);
	/* What is no longer here cannot be kept. */
	return r == ERR_MISSING ? 0 : r;
}

/* What a name points at, until it points elsewhere. */
static int live_published(struct folders *fs, struct gc_mark *mark, const struct cid *commit)
{
	struct cid root, attrs;
	int r = folders_commit_tree(fs, commit, &root, &attrs);

	if (r == 0)
		r = gc_live_block(mark, commit);
	if (r == 0)
		r = live(mark, &root);
	if (r == 0)
		r = live(mark, &attrs);
	return r == ERR_MISSING ? 0 : r;
}

/* What is being put back, by another thread. */
static int live_restoring(struct managed *m, struct gc_mark *mark)
{
	struct cid trees[2];
	int r = 0;

	pthread_mutex_lock(&m->folders->lock);
	memcpy(trees, m->restoring, sizeof trees);
	pthread_mutex_unlock(&m->folders->lock);
	for (int i = 0; i < 2 && r == 0; i++)
		r = live(mark, &trees[i]);
	return r;
}

struct living {
	struct folders *fs;
	struct gc_mark *mark;
};

static int on_base(void *mark, const struct cid *tree)
{
	return gc_live(mark, tree);
}

static int live_folder(void *arg, const struct folder_info *info)
{
	struct living *l = arg;
	struct folder_file f = { 0 };
	struct folder_state st;
	struct folder_use *u;
	int r;

	/* It knows best what it stands on, and says so only when it is open. */
	r = folders_use(l->fs, info->name, 0, &u);
	if (r < 0)
		return r == -ENOENT ? 0 : r;
	folder_state(folder_used(u), &st);
	r = managed_file(u->of, &f);
	if (r == 0)
		r = folder_each_base(folder_used(u), on_base, l->mark);
	if (r == 0)
		r = live_restoring(u->of, l->mark);
	folder_unuse(u);
	if (r == 0)
		r = live(l->mark, &st.root);
	if (r == 0)
		r = live(l->mark, &st.attrs);
	for (size_t i = 0; r == 0 && i < f.n_branches; i++)
		r = live_branch(l->fs, l->mark, &f.branches[i].head, &f.settings.keep);
	if (r == 0 && f.published.version != 0xff)
		r = live_published(l->fs, l->mark, &f.published);
	folder_file_release(&f);
	return r;
}

int folders_live(struct gc_roots *roots, struct gc_mark *mark)
{
	struct folders *fs = (struct folders *)((char *)roots - offsetof(struct folders, roots));
	struct living l = { fs, mark };

	if (fs->unusable)
		return ERR_CORRUPT;
	return folders_each(fs, live_folder, &l);
}
