#include "store/dirstack.h"

#include "store/error.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define OPEN_DIR (O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)

static int dirref_open(struct dirref **out, int at, const char *name)
{
	struct dirref *d = malloc(sizeof *d);
	struct stat st;
	int r;

	if (!d)
		return -ENOMEM;
	d->fd = openat(at, name, OPEN_DIR);
	if (d->fd < 0 || fstat(d->fd, &st) < 0) {
		r = -errno;
		if (d->fd >= 0)
			close(d->fd);
		free(d);
		return r;
	}
	d->dev = st.st_dev;
	d->ino = st.st_ino;
	d->refs = 1;
	*out = d;
	return 0;
}

struct dirref *dirref_get(struct dirref *d)
{
	__atomic_fetch_add(&d->refs, 1, __ATOMIC_RELAXED);
	return d;
}

void dirref_put(struct dirref *d)
{
	if (!d || __atomic_fetch_sub(&d->refs, 1, __ATOMIC_ACQ_REL) != 1)
		return;
	close(d->fd);
	free(d);
}

int dirstack_enter(struct dirstack *s, const char *name)
{
	struct dirref *d;
	int r;

	if (s->depth > DIRSTACK_DEPTH)
		return -ELOOP;
	if (s->depth == s->cap) {
		size_t cap = s->cap ? 2 * s->cap : 16;
		struct dirstack_level *levels = realloc(s->levels, cap * sizeof *levels);

		if (!levels)
			return -ENOMEM;
		s->levels = levels;
		s->cap = cap;
	}
	r = dirref_open(&d, dirstack_fd(s), name);
	if (r < 0)
		return r;
	s->levels[s->depth++] =
		(struct dirstack_level){ .dir = d, .dev = d->dev, .ino = d->ino };
	if (s->depth > DIRSTACK_OPEN) {
		struct dirstack_level *far = &s->levels[s->depth - 1 - DIRSTACK_OPEN];

		dirref_put(far->dir);
		far->dir = NULL;
	}
	return 0;
}

struct dirref *dirstack_top(const struct dirstack *s)
{
	return s->depth ? s->levels[s->depth - 1].dir : NULL;
}

int dirstack_fd(const struct dirstack *s)
{
	return s->depth ? s->levels[s->depth - 1].dir->fd : AT_FDCWD;
}

int dirstack_leave(struct dirstack *s, struct dirref **left)
{
	struct dirstack_level *from = &s->levels[s->depth - 1], *to = from - 1;

	if (s->depth > 1 && !to->dir) {
		struct dirref *up;
		int r = dirref_open(&up, from->dir->fd, "..");

		if (r < 0)
			return r;
		if (up->dev != to->dev || up->ino != to->ino) {
			dirref_put(up);
			return -ESTALE;
		}
		to->dir = up;
	}
	if (left)
		*left = from->dir;
	else
		dirref_put(from->dir);
	s->depth--;
	return 0;
}

void dirstack_release(struct dirstack *s)
{
	while (s->depth)
		dirref_put(s->levels[--s->depth].dir);
	free(s->levels);
	*s = (struct dirstack){ 0 };
}
