/* Snapshots of a folder, and what is kept of them. */
#include "fs/folders_internal.h"

#include "fs/history.h"
#include "fs/snapshot.h"
#include "store/error.h"
#include "store/log.h"
#include "store/store.h"

#include <string.h>

/* ---- making one ---- */

struct snapshotting {
	struct managed *m;
	struct frozen *frozen; /* NULL: nothing changed since the base */
	const char *message;
	atomic_bool *cancel;
	struct snapshot_made *made;
};

static int sink_to_store(struct block_sink *self, const struct multihash *name,
			 const void *data, size_t len)
{
	return store_put_bytes(self->store, name, data, len);
}

static int read_frozen(void *arg, const struct frozen_file *file, uint64_t offset, void *buf,
		       size_t len)
{
	return frozen_read(arg, file, offset, buf, len);
}

/* The trees of the working tree as it is: made->root and attrs. */
static int build(struct snapshotting *s)
{
	struct folders *fs = s->m->folders;
	struct block_sink sink = { .put = sink_to_store, .store = fs->store };
	struct folder_state st;

	if (!s->frozen) {
		folder_state(s->m->folder, &st);
		s->made->root = st.root;
		s->made->attrs = st.attrs;
		return 0;
	}
	struct frozen_view *v = frozen_view(s->frozen);
	struct snapshot_job job = { .view = v,
				    .read = read_frozen,
				    .arg = s->frozen,
				    .profile = s->m->file.settings.profile, /* never changes */
				    .source = fs->waiting,
				    .sink = &sink,
				    .cancel = s->cancel };
	int r = snapshot_build(&job);

	if (r < 0)
		return r;
	const struct frozen_dir *top = &v->dirs[v->n_dirs - 1];
	s->made->root = top->cid;
	s->made->attrs = top->attrs;
	s->made->files = v->n_files;
	s->made->dirs = v->n_dirs;
	return 0;
}

static bool same(const struct cid *a, const struct cid *b)
{
	return a->version == 0xff || b->version == 0xff ? a->version == b->version : cid_equal(a, b);
}

static int move_head(void *arg, struct folder_file *f)
{
	f->branches[f->current].head = *(const struct cid *)arg;
	return 0;
}

/*
 * The head moves before the folder is told (thaw).  If there is an end in between, the
 * folder has its changes still; the next snapshot makes the same tree of them, finds
 * that the head has it already, and makes no commit.
 */
static int snapshot(struct snapshotting *s)
{
	struct managed *m = s->m;
	struct folders *fs = m->folders;
	struct snapshot_made *made = s->made;
	struct cid root, attrs;
	struct folder_info info;
	int r, changed;

	r = folder_freeze(m->folder, &s->frozen);
	if (r < 0)
		return r;
	if (r == 0)
		s->frozen = NULL;
	pthread_mutex_lock(&fs->lock);
	managed_info(m, &info);
	pthread_mutex_unlock(&fs->lock);
	r = folders_commit_tree(fs, &info.head, &root, &attrs);
	if (r == 0)
		r = build(s);
	if (r < 0)
		return r;
	made->commit = info.head;
	changed = !same(&root, &made->root) || !same(&attrs, &made->attrs);
	if (changed)
		r = managed_commit(fs, &m->key, info.settings.profile, &made->root, &made->attrs,
				   &info.head, s->message, &made->commit);
	if (r == 0 && (changed || s->frozen))
		r = store_sync(fs->store);
	if (r == 0 && s->cancel && *s->cancel)
		r = -ECANCELED;
	if (r == 0 && changed)
		r = managed_update(m, move_head, &made->commit);
	if (r < 0)
		return r;
	if (s->frozen) {
		r = folder_thaw(m->folder, s->frozen);
		s->frozen = NULL;
		/* It is a snapshot all the same; what ails the log is told by all that follows. */
		if (r < 0)
			log_line(LOG_ERROR, "folder %s: the snapshot cannot be noted: %s", m->name,
				 err_text(r));
	}
	return changed;
}

static void set_snapshotting(struct managed *m, bool to)
{
	pthread_mutex_lock(&m->folders->lock);
	m->snapshotting = to;
	pthread_mutex_unlock(&m->folders->lock);
}

int managed_snapshot(struct managed *m, const char *message, atomic_bool *cancel,
		     struct snapshot_made *out)
{
	struct snapshotting s = { .m = m, .message = message, .cancel = cancel, .made = out };
	int r;

	*out = (struct snapshot_made){ .attrs = { .version = 0xff } };
	/* What is put stays, until the head leads to it. */
	r = store_hold(m->folders->store);
	if (r < 0)
		return r;
	set_snapshotting(m, true);
	r = snapshot(&s);
	store_unhold(m->folders->store);
	if (s.frozen)
		folder_unfreeze(m->folder, s.frozen);
	set_snapshotting(m, false);
	return r;
}

int folder_snapshot(struct folder_use *u, const char *message, atomic_bool *cancel,
		    struct snapshot_made *out)
{
	pthread_mutex_lock(&u->of->work);
	int r = managed_snapshot(u->of, message, cancel, out);
	pthread_mutex_unlock(&u->of->work);
	return r;
}

/* ---- what is kept ---- */

struct telling {
	int (*each)(void *arg, const struct folder_past *p);
	void *arg;
	size_t left;
	struct retaining retaining;
	struct buf message;
};

static int tell(struct telling *t, const struct history_commit *p)
{
	const struct commit *c = &p->commit;

	buf_clear(&t->message);
	buf_append(&t->message, c->message, c->message_len);
	buf_u8(&t->message, 0);
	if (t->message.failed)
		return -ENOMEM;
	struct folder_past past = { .commit = p->cid,
				    .root = c->root,
				    .attrs = c->attrs,
				    .time_ms = p->time_ms,
				    .message = (const char *)t->message.data,
				    .kept = retaining_next(&t->retaining, p->time_ms) };
	if (!c->has_attrs)
		past.attrs.version = 0xff;
	return t->each(t->arg, &past);
}

int folder_history(struct folder_use *u, size_t max,
		   int (*each)(void *arg, const struct folder_past *p), void *arg)
{
	struct folders *fs = u->of->folders;
	struct telling t = { .each = each, .arg = arg };
	struct history_commit *p;
	struct folder_info info;
	struct history h;
	int r = 0;

	folder_use_info(u, &info);
	retaining_begin(&t.retaining, &info.settings.keep);
	history_begin(&h, fs->source, &info.head, NULL, wall_ms());
	h.trusted = true;
	for (size_t n = 0; (!max || n < max) && r == 0; n++) {
		r = history_next(&h, &p);
		if (r <= 0)
			break;
		r = tell(&t, p);
	}
	history_end(&h);
	buf_release(&t.message);
	return r == ERR_MISSING ? 0 : r;
}

/* ---- branches ---- */

static int add_branch(void *arg, struct folder_file *f)
{
	return folder_file_add(f, arg, folder_file_head(f));
}

int folder_branch_add(struct folder_use *u, const char *branch)
{
	return managed_update(u->of, add_branch, (void *)branch);
}

static int drop_branch(void *arg, struct folder_file *f)
{
	return folder_file_drop(f, arg);
}

int folder_branch_drop(struct folder_use *u, const char *branch)
{
	return managed_update(u->of, drop_branch, (void *)branch);
}

int folder_branches(struct folder_use *u,
		    int (*each)(void *arg, const struct folder_branch *b, bool current), void *arg)
{
	struct folders *fs = u->of->folders;
	int r = 0;

	pthread_mutex_lock(&fs->lock);
	const struct folder_file *f = &u->of->file;
	for (size_t i = 0; r == 0 && i < f->n_branches; i++)
		r = each(arg, &f->branches[i], i == f->current);
	pthread_mutex_unlock(&fs->lock);
	return r;
}
