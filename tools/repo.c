#include "tools/repo.h"

#include "store/error.h"
#include "store/log.h"
#include "tools/config.h"

#include <limits.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int path_in(char out[PATH_MAX], const char *dir, const char *name)
{
	return snprintf(out, PATH_MAX, "%s/%s", dir, name) < PATH_MAX ? 0 : -ENAMETOOLONG;
}

int repo_check(const char *dir)
{
	char path[PATH_MAX];
	char *text = NULL;
	int r = path_in(path, dir, "version");

	if (r < 0)
		return r;
	r = file_load(path, 32, &text, NULL);
	if (r < 0)
		return r == -ENOTDIR ? -ENOENT : r;
	char *end;
	long version = strtol(text, &end, 10);
	if (end == text || version < 1)
		r = ERR_MALFORMED;
	else
		r = version > REPO_VERSION ? ERR_NEWER : 0;
	free(text);
	return r;
}

int repo_need(struct context *cx)
{
	int r = repo_check(cx->repo);

	if (r == -ENOENT)
		return fail(cx, "there is no repository at %s: make one with `cairn init`, or name another with --repo", cx->repo);
	if (r == ERR_NEWER)
		return fail(cx, "the repository at %s was made by a newer cairn: use that version", cx->repo);
	if (r < 0)
		return fail(cx, "cannot use the repository at %s: %s", cx->repo, err_text(r));
	return 0;
}

static int make_dirs(const char *dir)
{
	char path[PATH_MAX];

	if (snprintf(path, sizeof path, "%s", dir) >= (int)sizeof path)
		return -ENAMETOOLONG;
	for (char *p = path + 1; *p; p++) {
		if (*p != '/')
			continue;
		*p = 0;
		if (mkdir(path, 0755) < 0 && errno != EEXIST)
			return -errno;
		*p = '/';
	}
	if (mkdir(path, 0700) < 0 && errno != EEXIST)
		return -errno;
	return 0;
}

int repo_create(const char *dir)
{
	char path[PATH_MAX];
	struct secret_key key = { 0 };
	struct store *s = NULL;
	struct buf b = { 0 };
	int r;

	r = repo_check(dir);
	if (r != -ENOENT)
		return r < 0 ? r : -EEXIST;
	r = make_dirs(dir);
	if (r < 0)
		goto out;
	/* A key that is there already is somebody's name: keep it. */
	r = path_in(path, dir, "key");
	if (r < 0)
		goto out;
	if (access(path, F_OK) < 0) {
		key_generate(&key);
		key_secret_encode(&key, &b);
		if (b.failed) {
			r = -ENOMEM;
			goto out;
		}
		r = file_replace(path, b.data, b.len, 0600);
		if (r < 0)
			goto out;
	}
	path_in(path, dir, "config.json");
	if (access(path, F_OK) < 0) {
		r = file_replace(path, "{}\n", 3, 0600);
		if (r < 0)
			goto out;
	}
	r = repo_store(dir, STORE_WRITE | STORE_CREATE, 0, &s);
	if (r < 0)
		goto out;
	r = store_close(s);
	if (r < 0)
		goto out;
	/* Last, since it says that all the rest is there. */
	path_in(path, dir, "version");
	r = file_replace(path, "1\n", 2, 0644);
out:
	sodium_memzero(&key, sizeof key);
	if (b.data)
		sodium_memzero(b.data, b.len);
	buf_release(&b);
	return r;
}

int repo_key(const char *dir, struct secret_key *out)
{
	char path[PATH_MAX];
	char *data = NULL;
	size_t len;
	int r = path_in(path, dir, "key");

	if (r < 0)
		return r;
	r = file_load(path, 4096, &data, &len);
	if (r < 0)
		return r;
	r = key_secret_decode(out, data, len);
	sodium_memzero(data, len);
	free(data);
	return r;
}

int repo_store(const char *dir, unsigned flags, size_t cache_bytes, struct store **out)
{
	struct store_config cfg = { .cache_bytes = cache_bytes };
	json_t *config = NULL;
	char path[PATH_MAX];
	int r = path_in(path, dir, "store");

	/* Settings that cannot be read are told of by those who use them. */
	if (config_load(dir, &config) >= 0)
		cfg.cache_quota = config_size(config, "cache.quota");
	json_decref(config);

	if (r < 0)
		return r;
	if ((flags & STORE_CREATE) && mkdir(path, 0700) < 0 && errno != EEXIST)
		return -errno;
	return store_open(out, path, flags, &cfg);
}

int repo_store_write(const char *dir, size_t cache_bytes, struct store **out)
{
	int r = repo_store(dir, STORE_WRITE, cache_bytes, out);
	char path[PATH_MAX];
	struct seen *seen;

	if (r != ERR_CORRUPT || path_in(path, dir, "store") < 0)
		return r;
	/* Worth a line from a command, too, since it may take a while. */
	fprintf(stderr, "cairn: the index of the store in %s is damaged or gone: making it anew from the segments\n", dir);
	r = store_rebuild(path, NULL, NULL);
	if (r < 0)
		return r == -ENOENT ? ERR_CORRUPT : r;
	/* What is not in the segments any more has to be read again. */
	seen = repo_seen(dir);
	seen_forget(seen);
	seen_close(seen);
	return repo_store(dir, STORE_WRITE, cache_bytes, out);
}

struct seen *repo_seen(const char *dir)
{
	struct seen *seen = NULL;
	char path[PATH_MAX];
	int r = path_in(path, dir, "seen");

	if (r == 0 && mkdir(path, 0700) < 0 && errno != EEXIST)
		r = -errno;
	if (r == 0)
		r = seen_open(&seen, path);
	if (r < 0)
		log_line(LOG_WARN, "%s/seen cannot be used, so all files are read: %s", dir,
			 err_text(r));
	return r < 0 ? NULL : seen;
}

int repo_store_fail(struct context *cx, int r)
{
	switch (r) {
	case -EBUSY:
		return fail(cx, "another process writes to %s", cx->repo);
	case ERR_CORRUPT:
		return fail(cx, "the index of the store in %s is damaged or gone: mend it with `cairn repair`", cx->repo);
	default:
		return fail(cx, "cannot open the store in %s: %s", cx->repo, err_text(r));
	}
}
