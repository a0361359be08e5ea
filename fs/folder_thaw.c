/*
 * The snapshot of a frozen view has come about, or not.
 */
#include "fs/folder_freeze.h"

#include "store/error.h"

#define RECORD_BYTES (32u << 10) /* of the records of a thaw, each */

/* Where a thaw is. */
struct thawing {
	size_t files, dirs, inodes, settling;
};

/* The next few: true when there is nothing left.  Names come before the directories
 * whose base will have them, so that what has gone meanwhile does not show. */
static bool record_some(struct folder *f, struct frozen *z, struct thawing *t)
{
	struct lack none = { .blocks.max = 0 };
	struct inode *i;

	while (f->record.len < RECORD_BYTES) {
		if (t->files < z->view.n_files) {
			struct frozen_file *file = &z->view.files[t->files];
			uint64_t cut = z->contents[t->files++].cut;

			/* It may have been freed since. */
			if (inode_get(f, file->ino, &i, &none) == 0)
				record_base(f, file->ino, cut < file->size ? cut : file->size,
					 file->tsize, z->number, &file->cid, NULL);
		} else if (t->settling < z->n_settling) {
			const struct settling *s = &z->settling[t->settling++];
			const struct update u = { .kind = UPDATE_SETTLED,
						  .flags = s->snapped ? SETTLED_SNAPPED : 0,
						  .upto = z->number,
						  .dir = s->dir,
						  .name = (const uint8_t *)s->name,
						  .name_len = s->len };

			if (inode_get(f, u.dir, &i, &none) == 0)
				update_encode(&f->record, &u);
		} else if (t->dirs < z->view.n_dirs) {
			struct frozen_dir *d = &z->view.dirs[t->dirs++];

			if (inode_get(f, d->ino, &i, &none) == 0 && !i->derived)
				record_base(f, d->ino, 0, d->tsize, z->number, &d->cid, &d->attrs);
		} else if (t->inodes < z->n_inodes) {
			const struct update u = { .kind = UPDATE_CLEAN,
						  .ino = z->inodes[t->inodes++],
						  .upto = z->number };

			if (inode_get(f, u.ino, &i, &none) == 0)
				update_encode(&f->record, &u);
		} else {
			return true;
		}
	}
	return false;
}

static void record_snapshot(struct folder *f, struct frozen *z)
{
	const struct frozen_dir *top = &z->view.dirs[z->view.n_dirs - 1];
	uint8_t a[CID_SIZE_MAX], b[CID_SIZE_MAX];
	struct update u = { .kind = UPDATE_SNAPSHOT, .upto = z->number, .cid = a };

	u.cid_len = (uint8_t)cid_encode(&top->cid, a);
	if (top->attrs.version != 0xff) {
		u.attrs = b;
		u.attrs_len = (uint8_t)cid_encode(&top->attrs, b);
	}
	update_encode(&f->record, &u);
}

int folder_thaw(struct folder *f, struct frozen *z)
{
	struct thawing t = { 0 };
	bool done = false;
	int r = 0;

	/* In pieces, so that nobody waits for long: each is true by itself. */
	while (!done && !r) {
		r = change_begin(f);
		if (r < 0)
			break;
		f->thaws++;
		f->thawing = true;
		done = record_some(f, z, &t);
		if (done)
			record_snapshot(f, z);
		r = change_commit_freeing(f);
		if (done && !r)
			f->frozen = NULL;
		f->thawing = f->frozen;
		change_end(f);
		folder_give_way(f);
	}
	if (r < 0) {
		folder_unfreeze(f, z);
		return r;
	}
	frozen_free(z);
	folder_wake(f);
	return 0;
}

void folder_unfreeze(struct folder *f, struct frozen *z)
{
	pthread_mutex_lock(&f->change);
	pthread_rwlock_wrlock(&f->state);
	f->frozen = NULL;
	f->thawing = false;
	pthread_rwlock_unlock(&f->state);
	pthread_mutex_unlock(&f->change);
	frozen_free(z);
}
