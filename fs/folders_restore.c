/*
 * Putting old versions back into the working tree, by reference.
 *
 * Everything is gone through twice.  First (`taking`) nothing is changed: the trees that
 * will be put somewhere are taken into the keep log, all of them, and what lacks is
 * fetched.  After that nothing but the disk can fail, and the folder stands on nothing
 * that a quota takes away.  The store is held meanwhile, and a gc is told of the version.
 */
#include "fs/folders_internal.h"

#include "fs/history.h"
#include "fs/version.h"
#include "store/error.h"
#include "store/keep.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define DEPTH_MAX 4096 /* directories in each other */

struct restoring {
	struct managed *m;
	struct folder *f;
	struct block_source *source; /* waits */
	atomic_bool *cancel;	     /* NULL once something may be changed */
	struct keeping *keeping;
	bool taking;
};

/* ---- the version stays ---- */

static int begin(struct restoring *r, struct managed *m, atomic_bool *cancel)
{
	struct folders *fs = m->folders;
	int e = store_hold(fs->store);

	if (e < 0)
		return e;
	*r = (struct restoring){ .m = m, .f = m->folder, .source = fs->waiting, .cancel = cancel,
				 .taking = true };
	e = keeping_new(&r->keeping, fs->store);
	if (e < 0)
		store_unhold(fs->store);
	return e;
}

static void taken(struct restoring *r)
{
	r->taking = false;
	r->cancel = NULL;
}

static void end(struct restoring *r)
{
	struct folders *fs = r->m->folders;

	pthread_mutex_lock(&fs->lock);
	r->m->restoring[0].version = r->m->restoring[1].version = 0xff;
	pthread_mutex_unlock(&fs->lock);
	keeping_free(r->keeping);
	store_unhold(fs->store);
}

/* From here on a gc leaves it alone, also one that has asked already. */
static void tell_gc(struct restoring *r, const struct version_node *root)
{
	struct folders *fs = r->m->folders;

	pthread_mutex_lock(&fs->lock);
	r->m->restoring[0] = root->cid;
	r->m->restoring[1] = root->attrs;
	pthread_mutex_unlock(&fs->lock);
	gc_roots_changed(fs->store);
}

/* ---- waiting for blocks ---- */

/* Fetch what lacked; it is kept then. */
static int fetch(struct restoring *r, const struct misses *lacking)
{
	for (size_t i = 0; i < lacking->n; i++) {
		struct block *b = NULL;
		int e = source_get(r->source, &lacking->cids[i], &b);

		if (e == 0)
			e = store_put_bytes(r->m->folders->store, &b->name, b->data, b->size);
		block_unref(b);
		if (e < 0)
			return e;
	}
	return lacking->n ? 0 : ERR_MISSING;
}

/* All of a tree is taken into the keep log. */
static int take(struct restoring *r, const struct cid *tree)
{
	struct cid cids[LACK_MAX];
	struct misses lacking = { .cids = cids, .max = LACK_MAX };
	int e = tree->version == 0xff ? 0 : keeping_add(r->keeping, tree);

	while (e == 0 && (e = keeping_run(r->keeping, &lacking, r->cancel)) == ERR_MISSING) {
		e = fetch(r, &lacking);
		for (size_t i = 0; e == 0 && i < lacking.n; i++)
			e = keeping_add(r->keeping, &cids[i]);
	}
	return e;
}

/* Run `call` of the working tree until it lacks nothing. */
#define WAITING(r, result, call)                                                      \
	do {                                                                          \
		struct cid cids_[LACK_MAX];                                           \
		struct lack lack = { .blocks = { .cids = cids_, .max = LACK_MAX } };  \
		result = (call);                                                      \
		if (result == ERR_MISSING) {                                          \
			int e_ = fetch(r, &lack.blocks);                              \
			if (e_ < 0) {                                                 \
				result = e_;                                          \
				break;                                                \
			}                                                             \
		}                                                                     \
	} while (result == ERR_MISSING)

/* The entry, without holding on to it. */
static int look_up(struct restoring *r, uint64_t dir, const char *name, struct folder_attr *out)
{
	int e;

	WAITING(r, e, folder_lookup(r->f, dir, name, out, &lack));
	if (e == 0)
		folder_forget(r->f, out->st.st_ino, 1);
	return e;
}

static int graft(struct restoring *r, uint64_t dir, const struct version_entry *entry)
{
	struct folder_graft what;
	struct block *hold = NULL;
	int e = take(r, &entry->node.cid);

	if (e == 0)
		e = take(r, &entry->node.attrs);
	if (e < 0 || r->taking)
		return e;
	e = version_entry_graft(r->source, entry, &what, &hold);
	if (e == 0)
		WAITING(r, e, folder_graft(r->f, dir, entry->name, &what, &lack));
	if (e == 0)
		managed_entry_changed(r->m, dir, entry->name);
	block_unref(hold);
	return e;
}

static int remove_entry(struct restoring *r, uint64_t dir, const char *name)
{
	int e;

	if (r->taking)
		return 0;
	WAITING(r, e, folder_graft(r->f, dir, name, NULL, &lack));
	if (e == 0)
		managed_entry_changed(r->m, dir, name);
	return e == -ENOENT ? 0 : e;
}

/* ---- what is said of a directory itself ---- */

static int set_xattrs(struct restoring *r, uint64_t ino, const struct attrs_entry *to)
{
	static const size_t max = 64 << 10;
	char *list = malloc(max);
	struct attrs_xattr x;
	ssize_t n;
	int e = 0;

	if (!list)
		return -ENOMEM;
	WAITING(r, n, folder_listxattr(r->f, ino, list, max, &lack));
	for (ssize_t at = 0; at < n && e == 0; at += (ssize_t)strlen(list + at) + 1)
		WAITING(r, e, folder_removexattr(r->f, ino, list + at, &lack));
	free(list);
	if (n < 0 || (e < 0 && e != -ENODATA))
		return n < 0 ? (int)n : e;
	struct cursor in = attrs_xattrs(to);
	e = 0;
	while (e == 0 && attrs_xattrs_next(&in, &x) > 0) {
		char name[ATTRS_XATTR_NAME + 1];
		snprintf(name, sizeof name, "%.*s", (int)x.name_len, x.name);
		WAITING(r, e, folder_setxattr(r->f, ino, name, x.value, x.value_len, 0, &lack));
	}
	return e;
}

static int set_self(struct restoring *r, uint64_t ino, const struct version_node *then)
{
	struct attrs_entry self;
	struct block *hold = NULL;
	struct folder_attr now;
	struct stat st = { 0 };
	unsigned set = FOLDER_SET_MODE;
	int e;

	if (r->taking)
		return 0;
	e = version_self(r->source, then, &self, &hold);
	st.st_mode = self.has & ATTRS_MODE ? self.mode : 0755;
	if (self.has & ATTRS_UID) {
		st.st_uid = self.uid;
		set |= FOLDER_SET_UID;
	}
	if (self.has & ATTRS_GID) {
		st.st_gid = self.gid;
		set |= FOLDER_SET_GID;
	}
	if (self.has & ATTRS_MTIME) {
		st.st_mtim = (struct timespec){ self.mtime.sec, self.mtime.nsec };
		set |= FOLDER_SET_MTIME;
	}
	/* So that what is checked out is that version, and not one like it. */
	if (self.has & ATTRS_CTIME) {
		st.st_ctim = (struct timespec){ self.ctime.sec, self.ctime.nsec };
		set |= FOLDER_SET_CTIME;
	}
	if (e == 0)
		e = set_xattrs(r, ino, &self);
	if (e == 0)
		WAITING(r, e, folder_setattr(r->f, ino, set, &st, &now, &lack));
	if (e == 0)
		managed_inode_changed(r->m, ino);
	block_unref(hold);
	return e;
}

/* ---- a version ---- */

static int version_root(struct restoring *r, const struct cid *commit, struct version_node *out)
{
	struct block *hold = NULL;
	struct commit c;
	int e = history_read(r->source, commit, NULL, &c, &hold);

	if (e < 0)
		return e;
	out->cid = c.root;
	out->attrs = c.attrs;
	if (!c.has_attrs)
		out->attrs.version = 0xff;
	block_unref(hold);
	tell_gc(r, out);
	return 0;
}

/* An entry of a directory of the version; *d holds it. */
static int find_entry(struct restoring *r, const struct version_node *dir, const char *name,
		      struct version_dir *d, struct version_entry **out)
{
	int e = version_dir_load(d, r->source, dir);

	if (e < 0)
		return e;
	*out = version_dir_find(d, name);
	if (*out)
		return 0;
	version_dir_release(d);
	return -ENOENT;
}

/* ---- restore ---- */

/* Go into a directory, which is made as the version has it if it is not there. */
static int step_into(struct restoring *r, uint64_t *dir, const char *name,
		     const struct version_node *then)
{
	struct folder_new new = { .mode = S_IFDIR | 0755 };
	struct folder_caller self = { .uid = geteuid(), .gid = getegid() };
	struct folder_attr attr;
	int e;

	if (r->taking)
		return 0;
	e = look_up(r, *dir, name, &attr);
	if (e == -ENOENT) {
		WAITING(r, e, folder_make(r->f, &self, *dir, name, &new, &attr, &lack));
		if (e == 0) {
			folder_forget(r->f, attr.st.st_ino, 1);
			managed_entry_changed(r->m, *dir, name);
			e = set_self(r, attr.st.st_ino, then);
		}
	}
	/* A symlink on the way is not followed, wherever it leads. */
	if (e == 0 && !S_ISDIR(attr.st.st_mode))
		e = -ENOTDIR;
	if (e == 0)
		*dir = attr.st.st_ino;
	return e;
}

static int restore_path(struct restoring *r, const struct version_node *root, const char *path)
{
	struct version_node at = *root;
	uint64_t dir = FOLDER_ROOT;
	char name[NAME_MAX_BYTES + 1];
	struct version_entry *entry;
	struct version_dir d;
	int e;

	for (path += strspn(path, "/"); *path;) {
		size_t len = strcspn(path, "/");
		if (len > NAME_MAX_BYTES)
			return -ENAMETOOLONG;
		memcpy(name, path, len);
		name[len] = 0;
		if (!strcmp(name, ".") || !strcmp(name, ".."))
			return -EINVAL;
		path += len + strspn(path + len, "/");
		e = find_entry(r, &at, name, &d, &entry);
		if (e < 0)
			return e;
		at = entry->node;
		e = *path ? step_into(r, &dir, name, &at) : graft(r, dir, entry);
		version_dir_release(&d);
		if (e < 0)
			return e;
	}
	return 0;
}

static int restore_all(struct restoring *r, const struct version_node *root, char *where)
{
	struct version_dir d;
	int e = version_dir_load(&d, r->source, root);

	if (e < 0)
		return e;
	for (size_t i = 0; e == 0 && i < d.n; i++) {
		snprintf(where, PATH_MAX, "%s", d.entries[i].name);
		e = graft(r, FOLDER_ROOT, &d.entries[i]);
	}
	version_dir_release(&d);
	return e;
}

/*
 * What was put back becomes a snapshot at once: until then it stands on a version that
 * retention may have let go, and that a gc may take away.
 */
static int settle(struct managed *m, const char *what, const struct cid *commit)
{
	char message[64], id[SHORT_ID + 1];
	struct snapshot_made made;

	snprintf(message, sizeof message, "%s %s", what, short_id(commit, id));
	int e = managed_snapshot(m, message, NULL, &made);
	return e < 0 ? e : 0;
}

static int restore_paths(struct restoring *r, const struct version_node *root,
			 const char *const *paths, size_t n, char *where)
{
	int e = n ? 0 : restore_all(r, root, where);

	for (size_t i = 0; e == 0 && i < n; i++) {
		snprintf(where, PATH_MAX, "%s", paths[i]);
		/* The whole of it is all that it has. */
		e = paths[i][strspn(paths[i], "/")] ? restore_path(r, root, paths[i])
						    : restore_all(r, root, where);
	}
	return e;
}

int folder_restore(struct folder_use *u, const struct cid *commit, const char *const *paths,
		   size_t n, atomic_bool *cancel, char *where)
{
	struct managed *m = u->of;
	struct version_node root;
	struct restoring r;
	int e;

	*where = 0;
	pthread_mutex_lock(&m->work);
	e = begin(&r, m, cancel);
	if (e < 0)
		goto out;
	e = version_root(&r, commit, &root);
	if (e == 0)
		e = restore_paths(&r, &root, paths, n, where);
	taken(&r);
	if (e == 0)
		e = restore_paths(&r, &root, paths, n, where);
	if (e == 0)
		e = settle(m, "restored from", commit);
	end(&r);
out:
	pthread_mutex_unlock(&m->work);
	return e;
}

/* ---- checkout ---- */

/* A directory that both versions have and that differs.  Its own attributes come last,
 * since what happens in it changes its time. */
struct level {
	uint64_t ino;
	struct version_dir now, then;
	struct version_node node; /* then */
	size_t i, k;
};

static int level_open(struct restoring *r, struct level *l, uint64_t ino,
		      const struct version_node *now, const struct version_node *then)
{
	*l = (struct level){ .ino = ino, .node = *then };
	int e = version_dir_load(&l->now, r->source, now);

	if (e == 0)
		e = version_dir_load(&l->then, r->source, then);
	if (e < 0)
		version_dir_release(&l->now);
	return e;
}

static void level_close(struct level *l)
{
	version_dir_release(&l->now);
	version_dir_release(&l->then);
}

static int is_dir(struct restoring *r, const struct version_entry *e)
{
	struct dag_attr attr;

	if (e->node.cid.version == 0xff || e->node.cid.codec == CODEC_RAW)
		return 0;
	int n = dag_stat(r->source, &e->node.cid, &attr, NULL);
	return n < 0 ? n : attr.type == DAG_DIR;
}

/* The next difference of a level: 1 if it lies in a directory of both, which is then
 * *down; 0 when there is none left. */
static int level_step(struct restoring *r, struct level *l, struct level *down)
{
	while (l->i < l->now.n || l->k < l->then.n) {
		struct version_entry *a = l->i < l->now.n ? &l->now.entries[l->i] : NULL,
				     *b = l->k < l->then.n ? &l->then.entries[l->k] : NULL;
		int order = !a ? 1 : !b ? -1 : strcmp(a->name, b->name), e = 0;

		if (r->cancel && *r->cancel)
			return -ECANCELED;
		l->i += order <= 0;
		l->k += order >= 0;
		if (order < 0) {
			e = remove_entry(r, l->ino, a->name);
		} else if (order > 0) {
			e = graft(r, l->ino, b);
		} else if (!version_entry_same(a, b)) {
			struct folder_attr attr;
			e = is_dir(r, a);
			if (e > 0)
				e = is_dir(r, b);
			/* If a program was faster, what it made of it goes: it is in no
			 * version that was asked for. */
			if (e > 0)
				e = look_up(r, l->ino, b->name, &attr) == 0 && S_ISDIR(attr.st.st_mode);
			if (e > 0) {
				e = level_open(r, down, attr.st.st_ino, &a->node, &b->node);
				return e < 0 ? e : 1;
			}
			if (e == 0)
				e = graft(r, l->ino, b);
		}
		if (e < 0)
			return e;
	}
	return 0;
}

static int converge(struct restoring *r, const struct version_node *now, const struct version_node *then)
{
	struct level *stack = NULL;
	size_t n = 0, room = 0;
	struct level down;
	int e = level_open(r, &down, FOLDER_ROOT, now, then);

	while (e >= 0) {
		if (n == room) {
			room = room ? 2 * room : 16;
			struct level *more = n < DEPTH_MAX ? reallocarray(stack, room, sizeof *more) : NULL;
			if (!more) {
				level_close(&down);
				e = n < DEPTH_MAX ? -ENOMEM : -ELOOP;
				break;
			}
			stack = more;
		}
		stack[n++] = down;
		while (n && (e = level_step(r, &stack[n - 1], &down)) == 0) {
			struct level *l = &stack[--n];
			e = set_self(r, l->ino, &l->node);
			level_close(l);
			if (e < 0)
				break;
		}
		if (!n)
			break;
	}
	while (n)
		level_close(&stack[--n]);
	free(stack);
	return e < 0 ? e : 0;
}

static int switch_to(void *arg, struct folder_file *f)
{
	struct folder_branch *b = folder_file_branch(f, arg);

	if (!b)
		return -ENOENT;
	f->current = (size_t)(b - f->branches);
	return 0;
}

int folder_checkout(struct folder_use *u, const struct cid *commit, const char *branch,
		    atomic_bool *cancel, struct snapshot_made *before)
{
	struct managed *m = u->of;
	struct version_node now, then;
	struct restoring r;
	int e;

	pthread_mutex_lock(&m->work);
	e = begin(&r, m, cancel);
	if (e < 0)
		goto out;
	e = version_root(&r, commit, &then);
	if (e >= 0)
		e = managed_snapshot(m, NULL, cancel, before);
	now = (struct version_node){ before->root, before->attrs };
	if (e >= 0)
		e = converge(&r, &now, &then);
	taken(&r);
	if (e >= 0 && branch)
		e = managed_update(m, switch_to, (void *)branch);
	if (e >= 0)
		e = converge(&r, &now, &then);
	if (e >= 0)
		e = settle(m, "checked out", commit);
	end(&r);
out:
	pthread_mutex_unlock(&m->work);
	return e < 0 ? e : 0;
}
