#include "tools/pins.h"

#include "store/error.h"
#include "store/keep.h"
#include "tools/provide.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

static int pin_provided(void *arg, const struct cid *cid)
{
	return pins_add(arg, cid, PIN_RECURSIVE, "");
}

static int sync_dir(const char *path)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int r = fd < 0 || fsync(fd) < 0 ? -errno : 0;

	if (fd >= 0)
		close(fd);
	return r;
}

/* Beside its place, so that it is there whole or not at all. */
static int make(const char *repo, const char *dir)
{
	char fresh[PATH_MAX], file[PATH_MAX];
	struct pins *p = NULL;
	int r;

	if (snprintf(fresh, sizeof fresh, "%s.new", dir) >= (int)sizeof fresh)
		return -ENAMETOOLONG;
	/* Of a try that was interrupted. */
	const char *const files[] = { "data.mdb", "lock.mdb" };
	for (int i = 0; i < 2; i++) {
		if (snprintf(file, sizeof file, "%s/%s", fresh, files[i]) >= (int)sizeof file)
			return -ENAMETOOLONG;
		if (unlink(file) < 0 && errno != ENOENT)
			return -errno;
	}
	if (mkdir(fresh, 0700) < 0 && errno != EEXIST)
		return -errno;
	r = pins_create(&p, fresh);
	if (r >= 0)
		r = provide_each(repo, pin_provided, p);
	pins_close(p);
	if (r >= 0)
		r = sync_dir(fresh);
	if (r >= 0 && rename(fresh, dir) < 0)
		r = -errno;
	return r < 0 ? r : sync_dir(repo);
}

int repo_pins(const char *repo, bool write, struct pins **out)
{
	char dir[PATH_MAX];
	int r;

	if (snprintf(dir, sizeof dir, "%s/pins", repo) >= (int)sizeof dir)
		return -ENAMETOOLONG;
	r = pins_open(out, dir, write);
	if (r != -ENOENT || !write)
		return r;
	r = make(repo, dir);
	return r < 0 ? r : pins_open(out, dir, true);
}

int pin_tree(struct store *s, struct pins *p, const struct cid *root, const char *name)
{
	struct keeping *k = NULL;
	struct cid lacking;
	struct misses misses = { &lacking, 0, 1 };
	int r = store_hold(s);

	if (r < 0)
		return r;
	r = keeping_new(&k, s);
	if (r >= 0)
		r = keeping_add(k, root);
	if (r >= 0)
		r = keeping_run(k, &misses, NULL);
	keeping_free(k);
	if (r >= 0)
		r = store_sync(s);
	if (r >= 0)
		r = pins_add(p, root, PIN_RECURSIVE, name);
	store_unhold(s);
	return r;
}

int unpin_root(const char *repo, struct pins *p, const struct cid *root, const char *name)
{
	int removed = pins_remove(p, root, name), noted = 0;
	int r = removed < 0 ? removed : pins_has(p, root);

	if (r == 0 && (removed || !name))
		r = noted = provide_forget(repo, root);
	return r < 0 ? r : removed ? removed : noted;
}

static int offered(void *arg, const struct cid *root)
{
	return gc_live(arg, root);
}

static int offered_roots(struct gc_roots *self, struct gc_mark *m)
{
	return provide_each(((struct provided_roots *)self)->repo, offered, m);
}

void provided_roots_init(struct provided_roots *r, const char *repo)
{
	*r = (struct provided_roots){ .base.each = offered_roots, .repo = repo };
}

int repo_pins_fail(struct context *cx, int r)
{
	if (r == ERR_CORRUPT)
		return fail(cx, "the table of pins in %s/pins is damaged: put it back from a backup; or remove it, and the roots that were announced are pinned anew", cx->repo);
	return fail(cx, "cannot open the table of pins in %s/pins: %s", cx->repo, err_text(r));
}
