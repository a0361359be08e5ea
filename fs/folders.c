#include "fs/folders_internal.h"

#include "store/error.h"
#include "store/log.h"
#include "store/store.h"

#include <dirent.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* ---- the list ---- */

struct managed *folders_get(struct folders *fs, const char *name)
{
	struct managed *m = fs->all;

	while (m && strcmp(m->name, name))
		m = m->next;
	return m;
}

void managed_free(struct managed *m)
{
	if (!m)
		return;
	folder_file_release(&m->file);
	sodium_memzero(&m->key, sizeof m->key);
	pthread_mutex_destroy(&m->work);
	pthread_mutex_destroy(&m->opening);
	pthread_mutex_destroy(&m->updating);
	pthread_mutex_destroy(&m->calling);
	free(m);
}

int folders_load(struct folders *fs, const char *name)
{
	struct managed *m = calloc(1, sizeof *m), **p;
	int r;

	if (!m)
		return -ENOMEM;
	m->folders = fs;
	m->restoring[0].version = m->restoring[1].version = 0xff;
	snprintf(m->name, sizeof m->name, "%s", name);
	pthread_mutex_init(&m->work, NULL);
	pthread_mutex_init(&m->opening, NULL);
	pthread_mutex_init(&m->updating, NULL);
	pthread_mutex_init(&m->calling, NULL);
	r = folder_file_load(&m->file, fs->repo, name);
	if (r == 0)
		r = folder_key_load(&m->key, fs->repo, name);
	if (r < 0) {
		managed_free(m);
		return r;
	}
	folder_key_name(&m->key, &m->id);
	pthread_mutex_lock(&fs->lock);
	for (p = &fs->all; *p && strcmp((*p)->name, name) < 0; p = &(*p)->next)
		;
	m->next = *p;
	*p = m;
	pthread_mutex_unlock(&fs->lock);
	gc_roots_changed(fs->store);
	return 0;
}

static int load_all(struct folders *fs)
{
	char path[PATH_MAX];
	struct dirent *e;
	DIR *d;

	if (snprintf(path, sizeof path, "%s/folders", fs->repo) >= (int)sizeof path)
		return -ENAMETOOLONG;
	d = opendir(path);
	if (!d)
		return errno == ENOENT ? 0 : -errno;
	while ((e = readdir(d))) {
		if (!folder_name_ok(e->d_name))
			continue;
		int r = folders_load(fs, e->d_name);
		/* One that cannot be read does not take the others with it. */
		if (r < 0) {
			fs->unusable++;
			log_line(LOG_ERROR, "folder %s cannot be used: its folder.json or key: %s",
				 e->d_name, err_text(r));
		}
	}
	closedir(d);
	return 0;
}

int folders_new(struct folders **out, const char *repo, struct store *store)
{
	struct folders *fs = calloc(1, sizeof *fs);
	int r;

	if (!fs || !(fs->repo = strdup(repo))) {
		free(fs);
		return -ENOMEM;
	}
	fs->store = store;
	fs->source = fs->waiting = store_source(store);
	pthread_mutex_init(&fs->lock, NULL);
	pthread_mutex_init(&fs->making, NULL);
	pthread_mutex_init(&fs->telling, NULL);
	folders_tidy(fs);
	r = load_all(fs);
	fs->roots.each = folders_live;
	gc_roots_add(store, &fs->roots);
	if (r < 0) {
		folders_free(fs);
		return r;
	}
	*out = fs;
	return 0;
}

void folders_set_waiting(struct folders *fs, struct block_source *waiting)
{
	fs->waiting = waiting;
}

void folders_free(struct folders *fs)
{
	struct managed *m;

	if (!fs)
		return;
	gc_roots_remove(fs->store, &fs->roots);
	while ((m = fs->all)) {
		fs->all = m->next;
		managed_free(m);
	}
	pthread_mutex_destroy(&fs->lock);
	pthread_mutex_destroy(&fs->making);
	pthread_mutex_destroy(&fs->telling);
	free(fs->repo);
	free(fs);
}

void folders_listen(struct folders *fs, void (*changed)(void *arg, const char *name), void *arg)
{
	pthread_mutex_lock(&fs->telling);
	fs->changed = changed;
	fs->changed_arg = arg;
	pthread_mutex_unlock(&fs->telling);
}

void folders_tell(struct folders *fs, const char *name)
{
	pthread_mutex_lock(&fs->telling);
	if (fs->changed)
		fs->changed(fs->changed_arg, name);
	pthread_mutex_unlock(&fs->telling);
}

void managed_info(const struct managed *m, struct folder_info *out)
{
	const struct folder_branch *b = &m->file.branches[m->file.current];

	*out = (struct folder_info){
		.id = m->id,
		.settings = m->file.settings,
		.head = b->head,
		.published = m->file.published,
		.uses = m->n_uses,
		.mounted = m->mounted,
		.snapshotting = m->snapshotting,
	};
	strcpy(out->name, m->name);
	strcpy(out->branch, b->name);
}

int folders_find(struct folders *fs, const char *name, struct folder_info *out)
{
	pthread_mutex_lock(&fs->lock);
	struct managed *m = folders_get(fs, name);
	if (m)
		managed_info(m, out);
	pthread_mutex_unlock(&fs->lock);
	return m ? 0 : -ENOENT;
}

int folders_each(struct folders *fs, int (*each)(void *arg, const struct folder_info *i), void *arg)
{
	struct folder_info info;
	int r = 0;

	/* The list may change while each() has it: go on behind the last name. */
	*info.name = 0;
	while (r == 0) {
		pthread_mutex_lock(&fs->lock);
		struct managed *m = fs->all;
		while (m && strcmp(m->name, info.name) <= 0)
			m = m->next;
		if (m)
			managed_info(m, &info);
		pthread_mutex_unlock(&fs->lock);
		if (!m)
			break;
		r = each(arg, &info);
	}
	return r;
}

/* ---- what folder.json says ---- */

static int file_copy(struct folder_file *out, const struct folder_file *f)
{
	struct folder_branch *branches = calloc(f->n_branches, sizeof *branches);

	if (!branches)
		return -ENOMEM;
	memcpy(branches, f->branches, f->n_branches * sizeof *branches);
	*out = *f;
	out->branches = branches;
	return 0;
}

static void managed_past_changed(struct managed *m);

int managed_file(struct managed *m, struct folder_file *out)
{
	pthread_mutex_lock(&m->folders->lock);
	int r = file_copy(out, &m->file);
	pthread_mutex_unlock(&m->folders->lock);
	return r;
}

int managed_update(struct managed *m, int (*fn)(void *arg, struct folder_file *f), void *arg)
{
	struct folders *fs = m->folders;
	struct folder_file f, old;
	int r;

	pthread_mutex_lock(&m->updating);
	r = managed_file(m, &f);
	if (r < 0) {
		pthread_mutex_unlock(&m->updating);
		return r;
	}
	r = fn(arg, &f);
	if (r == 0)
		r = folder_file_store(&f, fs->repo, m->name);
	if (r == 0) {
		pthread_mutex_lock(&fs->lock);
		old = m->file;
		m->file = f;
		f = old;
		pthread_mutex_unlock(&fs->lock);
	}
	pthread_mutex_unlock(&m->updating);
	folder_file_release(&f);
	if (r == 0) {
		folders_tell(fs, m->name);
		managed_past_changed(m);
	}
	return r;
}

static int set_settings(void *arg, struct folder_file *f)
{
	const struct folder_settings *to = arg;
	const struct profile *profile = f->settings.profile;

	f->settings = *to;
	f->settings.profile = profile;
	return 0;
}

int folders_configure(struct folders *fs, const char *name, const struct folder_settings *to)
{
	struct folder_use *u;
	int r = folders_use(fs, name, FOLDER_USE_CLOSED, &u);

	if (r < 0)
		return r;
	r = managed_update(u->of, set_settings, (void *)to);
	folder_unuse(u);
	return r;
}

/* ---- using one ---- */

/* With `opening`. */
static int open_it(struct managed *m)
{
	struct folders *fs = m->folders;
	struct cid root, attrs;
	char dir[PATH_MAX];
	struct folder_config cfg = {
		.dir = dir, .source = fs->source, .store = fs->store
	};
	int r;

	if (m->folder)
		return 0;
	pthread_mutex_lock(&fs->lock);
	cfg.profile = m->file.settings.profile;
	cfg.quota = m->file.settings.quota;
	struct cid head = *folder_file_head(&m->file);
	pthread_mutex_unlock(&fs->lock);
	r = folder_path_in(dir, fs->repo, m->name, NULL);
	if (r == 0)
		r = folders_commit_tree(fs, &head, &root, &attrs);
	return r < 0 ? r : folder_open(&m->folder, &cfg, &root, &attrs);
}

int folders_use(struct folders *fs, const char *name, unsigned flags, struct folder_use **out)
{
	struct folder_use *u = calloc(1, sizeof *u);
	struct managed *m;
	int r = 0;

	if (!u)
		return -ENOMEM;
	u->flags = flags;
	pthread_mutex_lock(&fs->lock);
	m = folders_get(fs, name);
	if (!m) {
		r = -ENOENT;
	} else if ((flags & FOLDER_USE_MOUNT) && m->mounted) {
		r = -EBUSY;
	} else {
		u->of = m;
		u->next = m->uses;
		m->uses = u;
		m->n_uses++;
		m->mounted |= !!(flags & FOLDER_USE_MOUNT);
	}
	pthread_mutex_unlock(&fs->lock);
	if (r < 0) {
		free(u);
		return r;
	}
	if (!(flags & FOLDER_USE_CLOSED)) {
		pthread_mutex_lock(&m->opening);
		bool was_open = m->folder;
		r = open_it(m);
		pthread_mutex_unlock(&m->opening);
		if (r == 0 && !was_open)
			folders_tell(fs, m->name);
	}
	if (r < 0) {
		folder_unuse(u);
		return r;
	}
	*out = u;
	return 0;
}

int folder_unuse(struct folder_use *u)
{
	struct folder_use **p;
	char name[FOLDER_NAME_MAX + 1];
	bool last, closed = false;
	int r = 0;

	if (!u)
		return 0;
	struct managed *m = u->of;
	struct folders *fs = m->folders;
	/* Whoever comes while it is closed waits, and opens it again. */
	pthread_mutex_lock(&m->opening);
	pthread_mutex_lock(&fs->lock);
	for (p = &m->uses; *p != u; p = &(*p)->next)
		;
	*p = u->next;
	last = --m->n_uses == 0;
	if (u->flags & FOLDER_USE_MOUNT)
		m->mounted = false;
	pthread_mutex_unlock(&fs->lock);
	if (last && m->folder) {
		r = folder_close(m->folder);
		m->folder = NULL;
		closed = true;
	}
	/* From here on it may be removed. */
	strcpy(name, m->name);
	pthread_mutex_unlock(&m->opening);
	if (closed)
		folders_tell(fs, name);
	free(u);
	return r;
}

int folders_peek(struct folders *fs, const char *name, struct folder_state *out)
{
	int r = -ENOENT;

	/* With the list held it is not removed; `opening` is not waited for. */
	pthread_mutex_lock(&fs->lock);
	struct managed *m = folders_get(fs, name);
	if (m && pthread_mutex_trylock(&m->opening)) {
		r = -EAGAIN;
	} else if (m) {
		r = m->folder ? 0 : -EAGAIN;
		if (r == 0)
			folder_state(m->folder, out);
		pthread_mutex_unlock(&m->opening);
	}
	pthread_mutex_unlock(&fs->lock);
	return r;
}

int folders_head(struct folders *fs, const char *name, struct secret_key *key,
		 struct cid *commit, struct cid *root)
{
	struct cid attrs;

	pthread_mutex_lock(&fs->lock);
	struct managed *m = folders_get(fs, name);
	if (m) {
		*key = m->key;
		*commit = *folder_file_head(&m->file);
	}
	pthread_mutex_unlock(&fs->lock);
	return m ? folders_commit_tree(fs, commit, root, &attrs) : -ENOENT;
}

static int set_published(void *arg, struct folder_file *f)
{
	f->published = *(const struct cid *)arg;
	return 0;
}

int folders_published(struct folders *fs, const char *name, const struct cid *commit)
{
	struct folder_use *u;
	int r = folders_use(fs, name, FOLDER_USE_CLOSED, &u);

	if (r < 0)
		return r;
	r = managed_update(u->of, set_published, (void *)commit);
	folder_unuse(u);
	return r;
}

struct folder *folder_used(struct folder_use *u)
{
	return u->flags & FOLDER_USE_CLOSED ? NULL : u->of->folder;
}

const char *folder_use_name(const struct folder_use *u)
{
	return u->of->name;
}

void folder_use_info(struct folder_use *u, struct folder_info *out)
{
	struct folders *fs = u->of->folders;

	pthread_mutex_lock(&fs->lock);
	managed_info(u->of, out);
	pthread_mutex_unlock(&fs->lock);
}

void folder_use_watch(struct folder_use *u, const struct folder_changed *changed, void *arg)
{
	struct managed *m = u->of;

	pthread_mutex_lock(&m->calling);
	m->watcher = changed;
	m->watcher_arg = arg;
	pthread_mutex_unlock(&m->calling);
}

void managed_entry_changed(struct managed *m, uint64_t dir, const char *name)
{
	pthread_mutex_lock(&m->calling);
	if (m->watcher)
		m->watcher->entry(m->watcher_arg, dir, name);
	pthread_mutex_unlock(&m->calling);
}

void managed_inode_changed(struct managed *m, uint64_t ino)
{
	pthread_mutex_lock(&m->calling);
	if (m->watcher)
		m->watcher->inode(m->watcher_arg, ino);
	pthread_mutex_unlock(&m->calling);
}

static void managed_past_changed(struct managed *m)
{
	pthread_mutex_lock(&m->calling);
	if (m->watcher)
		m->watcher->past(m->watcher_arg);
	pthread_mutex_unlock(&m->calling);
}
