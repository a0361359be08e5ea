/* Making folders and removing them.  Both happen at once: what is not finished has a
 * name with a dot before it, and is swept away when the registry is next read. */
#include "fs/folders_internal.h"

#include "fs/commit.h"
#include "fs/history.h"
#include "store/build_dir.h"
#include "store/error.h"
#include "store/file.h"
#include "store/keep.h"
#include "store/log.h"
#include "store/store.h"

#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define NEW_PREFIX  ".new-"
#define GONE_PREFIX ".gone-"

/* ---- the disk ---- */

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *at)
{
	return remove(path) < 0 && errno != ENOENT ? -errno : 0;
}

static int remove_tree(const char *path)
{
	int r = nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS);

	return r == -1 ? (errno == ENOENT ? 0 : -errno) : r;
}

static int sync_dir(const char *path)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int r = fd < 0 || fsync(fd) < 0 ? -errno : 0;

	if (fd >= 0)
		close(fd);
	return r;
}

void folders_tidy(struct folders *fs)
{
	char dir[PATH_MAX], path[PATH_MAX];
	struct dirent *e;

	if (snprintf(dir, sizeof dir, "%s/folders", fs->repo) >= (int)sizeof dir)
		return;
	DIR *d = opendir(dir);
	while (d && (e = readdir(d))) {
		if (strncmp(e->d_name, NEW_PREFIX, strlen(NEW_PREFIX)) &&
		    strncmp(e->d_name, GONE_PREFIX, strlen(GONE_PREFIX)))
			continue;
		if (folder_path_in(path, fs->repo, e->d_name, NULL) < 0)
			continue;
		int r = remove_tree(path);
		if (r < 0)
			log_line(LOG_WARN, "cannot remove %s: %s", path, err_text(r));
	}
	if (d)
		closedir(d);
}

/* ---- commits ---- */

int managed_commit(struct folders *fs, const struct secret_key *key,
		   const struct profile *profile, const struct cid *root,
		   const struct cid *attrs, const struct cid *parent, const char *message,
		   struct cid *out)
{
	struct commit c = { .root = *root, .message = message ? message : "", .profile = profile->name };
	int64_t now = wall_ms();
	struct buf b = { 0 };
	int r = 0;

	c.message_len = strlen(c.message);
	c.profile_len = strlen(c.profile);
	c.has_attrs = attrs->version != 0xff;
	if (c.has_attrs)
		c.attrs = *attrs;
	c.time = (struct commit_time){ .sec = now / 1000, .nsec = (uint32_t)(now % 1000) * 1000000 };
	folder_key_name(key, &c.folder);
	if (parent) {
		struct block *hold = NULL;
		struct commit before;
		r = history_read(fs->source, parent, &c.folder, &before, &hold);
		if (r < 0)
			return r;
		struct commit_time newest = commit_time_clamp(before.time, c.time);
		c.time = commit_time_next(c.time, newest);
		c.parents[0] = *parent;
		c.n_parents = 1;
		block_unref(hold);
	}
	r = commit_sign(&c, key, &b);
	if (r == 0) {
		commit_cid(b.data, b.len, out);
		r = store_put_bytes(fs->store, &out->hash, b.data, b.len);
	}
	buf_release(&b);
	return r;
}

int folders_commit_tree(struct folders *fs, const struct cid *commit, struct cid *root,
			struct cid *attrs)
{
	struct block *hold = NULL;
	struct commit c;
	int r = history_read(fs->source, commit, NULL, &c, &hold);

	if (r < 0)
		return r;
	*root = c.root;
	*attrs = c.attrs;
	if (!c.has_attrs)
		attrs->version = 0xff;
	block_unref(hold);
	return 0;
}

static int sink_to_store(struct block_sink *self, const struct multihash *name,
			 const void *data, size_t len)
{
	return store_put_bytes(self->store, name, data, len);
}

static int first_commit(struct folders *fs, const struct secret_key *key,
			const struct folder_settings *settings, const struct folder_start *start,
			struct cid *out)
{
	struct block_sink sink = { .put = sink_to_store, .store = fs->store };
	struct built empty;
	int r = 0;

	if (start->root.version == 0xff)
		r = build_dir(settings->profile, &sink, NULL, 0, &empty);
	if (r == 0)
		r = managed_commit(fs, key, settings->profile,
				   start->root.version == 0xff ? &empty.cid : &start->root,
				   &start->attrs, NULL, start->message, out);
	return r < 0 ? r : store_sync(fs->store);
}

/* ---- making ---- */

static int write_key(const char *repo, const char *name, const struct secret_key *key)
{
	char path[PATH_MAX];
	struct buf b = { 0 };
	int r = folder_path_in(path, repo, name, "key");

	key_secret_encode(key, &b);
	if (r == 0)
		r = b.failed ? -ENOMEM : file_replace(path, b.data, b.len, 0600);
	if (b.data)
		sodium_memzero(b.data, b.len);
	buf_release(&b);
	return r;
}

/* Where no quota takes it.  The caller holds the store. */
static int keep_here(struct folders *fs, const struct folder_start *start)
{
	const struct cid *trees[] = { &start->root, &start->attrs };
	struct misses one = { .cids = &(struct cid){ 0 }, .max = 1 };
	struct keeping *k = NULL;
	int r = keeping_new(&k, fs->store);

	for (int i = 0; i < 2 && r == 0; i++)
		if (trees[i]->version != 0xff)
			r = keeping_add(k, trees[i]);
	if (r == 0)
		r = keeping_run(k, &one, start->cancel);
	if (start->lacks)
		*start->lacks = r == ERR_MISSING;
	if (r == ERR_MISSING)
		r = keeping_run(k, NULL, start->cancel);
	keeping_free(k);
	return r;
}

static int make(struct folders *fs, const char *name, const struct folder_settings *settings,
		const struct folder_start *start)
{
	char parent[PATH_MAX], dir[PATH_MAX], to[PATH_MAX];
	char temp[FOLDER_NAME_MAX + sizeof NEW_PREFIX];
	struct folder_file f = { .settings = *settings, .published = { .version = 0xff } };
	struct secret_key key;
	struct cid head;
	int r;

	snprintf(temp, sizeof temp, NEW_PREFIX "%s", name);
	if (snprintf(parent, sizeof parent, "%s/folders", fs->repo) >= (int)sizeof parent)
		return -ENAMETOOLONG;
	r = folder_path_in(dir, fs->repo, temp, NULL);
	if (r == 0)
		r = folder_path_in(to, fs->repo, name, NULL);
	if (r < 0)
		return r;
	if (mkdir(parent, 0700) < 0 && errno != EEXIST)
		return -errno;
	remove_tree(dir);
	if (mkdir(dir, 0700) < 0)
		return -errno;
	key_generate(&key);
	r = first_commit(fs, &key, settings, start, &head);
	if (r == 0)
		r = write_key(fs->repo, temp, &key);
	if (r == 0)
		r = folder_file_add(&f, FOLDER_BRANCH, &head);
	if (r == 0)
		r = folder_file_store(&f, fs->repo, temp);
	if (r == 0 && rename(dir, to) < 0)
		r = errno == ENOTEMPTY ? -EEXIST : -errno;
	if (r == 0)
		r = sync_dir(parent);
	if (r == 0)
		r = sync_dir(fs->repo);
	sodium_memzero(&key, sizeof key);
	folder_file_release(&f);
	if (r < 0)
		remove_tree(dir);
	return r;
}

int folders_create(struct folders *fs, const char *name, const struct folder_settings *settings,
		   const struct folder_start *start)
{
	struct folder_info info;
	int r;

	if (!folder_name_ok(name))
		return -EINVAL;
	pthread_mutex_lock(&fs->making);
	r = folders_find(fs, name, &info) == 0 ? -EEXIST : store_hold(fs->store);
	if (r == 0) {
		if (!start->kept)
			r = keep_here(fs, start);
		if (r == 0)
			r = make(fs, name, settings, start);
		if (r == 0)
			r = folders_load(fs, name);
		store_unhold(fs->store);
	}
	pthread_mutex_unlock(&fs->making);
	if (r == 0)
		folders_tell(fs, name);
	return r;
}

/* ---- removing ---- */

static int check_clean(struct folders *fs, const char *name)
{
	struct folder_use *u;
	struct folder_state st;
	int r = folders_use(fs, name, 0, &u);

	if (r < 0)
		return r;
	folder_state(folder_used(u), &st);
	folder_unuse(u);
	return st.dirty_inodes || st.dirty_bytes ? -ENOTEMPTY : 0;
}

int folders_remove(struct folders *fs, const char *name, bool force)
{
	char parent[PATH_MAX], from[PATH_MAX], to[PATH_MAX], gone[FOLDER_NAME_MAX + sizeof GONE_PREFIX];
	struct managed *m, **p;
	int r = 0;

	snprintf(gone, sizeof gone, GONE_PREFIX "%s", name);
	pthread_mutex_lock(&fs->making);
	if (!force)
		r = check_clean(fs, name);
	pthread_mutex_lock(&fs->lock);
	m = folders_get(fs, name);
	if (!m)
		r = -ENOENT;
	else if (m->n_uses)
		r = -EBUSY;
	else if (r == 0)
		for (p = &fs->all; *p; p = &(*p)->next)
			if (*p == m) {
				*p = m->next;
				break;
			}
	pthread_mutex_unlock(&fs->lock);
	if (r < 0)
		goto out;
	/* The last use may be closing it still. */
	pthread_mutex_lock(&m->opening);
	pthread_mutex_unlock(&m->opening);
	managed_free(m);
	r = folder_path_in(from, fs->repo, name, NULL);
	if (r == 0)
		r = folder_path_in(to, fs->repo, gone, NULL);
	if (r == 0) {
		remove_tree(to);
		r = rename(from, to) < 0 ? -errno : 0;
	}
	/* Half of it may not come back under its name: it would stop every gc. */
	if (r == 0)
		r = folder_path_in(parent, fs->repo, "", NULL);
	if (r == 0)
		r = sync_dir(parent);
	if (r == 0)
		r = remove_tree(to);
	if (r < 0 && access(from, F_OK) == 0)
		folders_load(fs, name);
out:
	pthread_mutex_unlock(&fs->making);
	if (r == 0)
		folders_tell(fs, name);
	return r;
}
