/* The directories of an export, as far as the files in them need them. */
#include "store/buf.h"
#include "store/error.h"
#include "store/export_internal.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#define MODE 0777 /* bits taken from a tree: no setuid, setgid, sticky */

int export_set_attr(int fd, const struct dag_attr *a)
{
	const struct timespec times[2] = {
		{ .tv_nsec = UTIME_OMIT },
		{ .tv_sec = a->mtime, .tv_nsec = a->mtime_nsec },
	};

	if (a->has_mode && fchmod(fd, a->mode & MODE) < 0)
		return -errno;
	if (a->has_mtime && futimens(fd, times) < 0)
		return -errno;
	return 0;
}

bool export_cancelled(const struct export_options *o)
{
	return o->cancel && atomic_load(o->cancel);
}

int export_error(struct export *x)
{
	if (export_cancelled(x->options))
		export_fail(x, NULL, NULL, -ECANCELED);
	return atomic_load(&x->error);
}

struct out_dir *out_dir_new(struct out_dir *parent, const char *name)
{
	size_t len = strlen(name) + 1;
	struct out_dir *d = calloc(1, sizeof *d + len);

	if (!d)
		return NULL;
	d->parent = parent;
	if (parent)
		atomic_fetch_add(&parent->refs, 1);
	d->refs = d->busy = 1;
	memcpy(d->name, name, len);
	return d;
}

void out_dir_hold(struct out_dir *d)
{
	atomic_fetch_add(&d->refs, 1);
	atomic_fetch_add(&d->busy, 1);
}

void out_dir_drop(struct export *x, struct out_dir *d)
{
	if (atomic_fetch_sub(&d->busy, 1) == 1 && d->left) {
		int r = atomic_load(&x->error) ? 0 : export_set_attr(d->left->fd, &d->attr);

		dirref_put(d->left);
		if (r < 0)
			export_fail(x, d->parent, d->name, r);
	}
	/* In a loop: the tree may be deep. */
	while (d && atomic_fetch_sub(&d->refs, 1) == 1) {
		struct out_dir *up = d->parent;

		place_release(&d->place);
		free(d);
		d = up;
	}
}

/* The path of `name` in a directory: the target's, and what is below it. */
static void path_of(const struct export *x, const struct out_dir *d, const char *name,
		    struct buf *out)
{
	size_t top = strlen(x->target), len = top + 1;

	if (d->parent)
		len += strlen(name) + 1;
	for (const struct out_dir *up = d; up->parent && up->parent->parent; up = up->parent)
		len += strlen(up->name) + 1;
	if (!buf_room(out, len))
		return;
	out->len = len;
	memcpy(out->data, x->target, top + 1);
	/* What is below is known from the entry upwards, so filled from the end. */
	for (; d->parent; name = d->name, d = d->parent) {
		size_t n = strlen(name);

		len -= n + 1;
		memcpy(out->data + len, name, n);
		out->data[len + n] = len + n + 1 == out->len ? '\0' : '/';
	}
	if (out->len > top + 1)
		out->data[top] = '/';
}

void export_fail(struct export *x, const struct out_dir *d, const char *name, int error)
{
	const struct export_options *o = x->options;
	struct buf path = { 0 };
	int none = 0;

	if (!atomic_compare_exchange_strong(&x->error, &none, error) || !o->warn ||
	    error == -ECANCELED || !d)
		return;
	path_of(x, d, name, &path);
	o->warn(o->warn_arg, path.failed ? name : (char *)path.data, error);
	buf_release(&path);
}
