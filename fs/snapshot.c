#include "fs/snapshot.h"

#include "store/edit_dir.h"
#include "store/edit_file.h"
#include "store/error.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define THREADS_MAX  32
#define FEW_FILES    4 /* not worth a thread */

struct building {
	const struct snapshot_job *job;
	_Atomic size_t next;
	_Atomic int error; /* the first */
};

static bool cancelled(const struct snapshot_job *job)
{
	return job->cancel && *job->cancel;
}

static void set_error(struct building *b, int r)
{
	int none = 0;

	atomic_compare_exchange_strong(&b->error, &none, r);
}

/* ---- files ---- */

struct reading {
	const struct snapshot_job *job;
	const struct frozen_file *file;
};

static int read_file(void *arg, uint64_t offset, void *buf, size_t len)
{
	struct reading *r = arg;

	if (cancelled(r->job))
		return -ECANCELED;
	return r->job->read(r->job->arg, r->file, offset, buf, len);
}

/*
 * The ranges, and holes for what lies between them behind the part of the older
 * content that counts: the file was cut there once and has grown again.
 */
static size_t changes_of(const struct frozen_file *f, struct file_change *out)
{
	uint64_t at = f->base_size < f->size ? f->base_size : f->size;
	size_t n = 0;

	for (size_t i = 0; i < f->n_ranges; i++) {
		const struct frozen_range *r = &f->ranges[i];
		uint64_t end = r->offset + r->len;

		if (r->offset > at)
			out[n++] = (struct file_change){ at, r->offset, true };
		out[n++] = (struct file_change){ r->offset, end, r->hole };
		if (end > at)
			at = end;
	}
	if (at < f->size)
		out[n++] = (struct file_change){ at, f->size, true };
	return n;
}

static int build_file_of(const struct snapshot_job *job, struct frozen_file *f)
{
	struct reading reading = { .job = job, .file = f };
	struct file_edit e = {
		.old = f->base.version == 0xff ? NULL : &f->base,
		.size = f->size,
		.read = read_file,
		.arg = &reading,
	};
	struct file_change few[9], *changes = few;
	struct built built;
	int r;

	if (f->type == S_IFLNK) {
		r = build_symlink(job->profile, job->sink, f->target, strlen(f->target), &built);
	} else {
		if (2 * f->n_ranges + 1 > sizeof few / sizeof *few)
			changes = calloc(2 * f->n_ranges + 1, sizeof *changes);
		if (!changes)
			return -ENOMEM;
		e.changes = changes;
		e.n = changes_of(f, changes);
		r = edit_file(job->profile, job->source, job->sink, &e, &built, NULL);
		if (changes != few)
			free(changes);
	}
	if (r < 0)
		return r;
	f->cid = built.cid;
	f->tsize = built.tsize;
	return 0;
}

static void *build_some(void *arg)
{
	struct building *b = arg;
	struct frozen_view *v = b->job->view;
	size_t i;

	while (!b->error && (i = b->next++) < v->n_files) {
		int r = cancelled(b->job) ? -ECANCELED : build_file_of(b->job, &v->files[i]);
		if (r < 0)
			set_error(b, r);
	}
	return NULL;
}

static int build_files(const struct snapshot_job *job)
{
	struct building b = { .job = job };
	pthread_t threads[THREADS_MAX];
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);
	unsigned want = job->jobs ? job->jobs : cpus > 0 ? (unsigned)cpus : 1, n = 0;

	if (want > THREADS_MAX)
		want = THREADS_MAX;
	if (job->view->n_files <= FEW_FILES)
		want = 1;
	/* This thread is one of them; with fewer it is only slower. */
	while (n + 1 < want && !pthread_create(&threads[n], NULL, build_some, &b))
		n++;
	build_some(&b);
	while (n)
		pthread_join(threads[--n], NULL);
	return b.error;
}

/* ---- directories ---- */

/* What is put together for one directory; used again for the next. */
struct scratch {
	struct dir_link *links;
	uint8_t (*cids)[CID_SIZE_MAX];
	struct attrs_link *attrs;
	size_t room;
};

static int scratch_room(struct scratch *s, size_t n)
{
	if (n <= s->room)
		return 0;
	n += n / 2;
	struct dir_link *links = reallocarray(s->links, n, sizeof *links);
	if (links)
		s->links = links;
	uint8_t (*cids)[CID_SIZE_MAX] = reallocarray(s->cids, n, sizeof *cids);
	if (cids)
		s->cids = cids;
	struct attrs_link *attrs = reallocarray(s->attrs, n, sizeof *attrs);
	if (attrs)
		s->attrs = attrs;
	if (!links || !cids || !attrs)
		return -ENOMEM;
	s->room = n;
	return 0;
}

static void link_of(const struct frozen_entry *e, struct dir_link *out, uint8_t *room)
{
	const struct cid *cid = e->file ? &e->file->cid : e->dir ? &e->dir->cid : &e->cid;

	*out = (struct dir_link){ .name = e->name, .name_len = e->name_len };
	/* What UnixFS has no form for is in the attributes alone. */
	if (e->removed || e->special)
		return;
	out->cid = room;
	out->cid_len = (uint8_t)cid_encode(cid, room);
	out->tsize = e->file ? e->file->tsize : e->dir ? e->dir->tsize : e->tsize;
}

/* False if what is said of the name stays as it was. */
static bool attrs_of(const struct frozen_entry *e, struct attrs_link *out)
{
	const struct cid *node = e->dir ? &e->dir->attrs : &e->sub_attrs;
	bool gone = e->removed && !e->special;

	*out = (struct attrs_link){ .name = e->name, .name_len = e->name_len };
	if (!gone && node->version != 0xff && !e->file) {
		out->is_dir = true;
		out->dir = *node;
		return true;
	}
	if (!gone && !e->dir && e->attrs_changed)
		out->attrs = e->attrs;
	return gone || e->dir || e->attrs_changed || e->attrs_removed;
}

static void get_attrs(const void *arg, size_t i, struct attrs_link *out)
{
	*out = ((const struct attrs_link *)arg)[i];
}

static int build_one_dir(const struct snapshot_job *job, struct scratch *s,
			 struct frozen_dir *d, const struct attrs_entry *self)
{
	size_t n_attrs = 0;
	struct built built;
	int r = scratch_room(s, d->n_entries);

	if (r < 0)
		return r;
	for (size_t i = 0; i < d->n_entries; i++) {
		link_of(&d->entries[i], &s->links[i], s->cids[i]);
		n_attrs += attrs_of(&d->entries[i], &s->attrs[n_attrs]);
	}
	r = edit_dir_array(job->profile, job->source, job->sink,
			   d->base.version == 0xff ? NULL : &d->base, s->links, d->n_entries,
			   &built, NULL);
	if (r < 0)
		return r;
	d->cid = built.cid;
	d->tsize = built.tsize;

	struct attrs_changes changes = { .n = n_attrs, .arg = s->attrs, .get = get_attrs };
	bool none = d->base_attrs.version == 0xff;
	if (!n_attrs && !self) {
		d->attrs = d->base_attrs;
		return 0;
	}
	r = attrs_edit(job->source, job->sink, none ? NULL : &d->base_attrs, self, &changes,
		       &d->attrs, NULL);
	if (r == 0)
		d->attrs.version = 0xff;
	return r < 0 ? r : 0;
}

/* What became of each directory's own attributes is said where its name is. */
static const struct attrs_entry **selves_of(const struct frozen_view *v)
{
	static const struct attrs_entry nothing;
	const struct attrs_entry **selves = calloc(v->n_dirs, sizeof *selves);

	for (size_t i = 0; selves && i < v->n_dirs; i++)
		for (size_t k = 0; k < v->dirs[i].n_entries; k++) {
			const struct frozen_entry *e = &v->dirs[i].entries[k];
			if (!e->dir)
				continue;
			selves[e->dir - v->dirs] = e->attrs_changed  ? &e->attrs
						   : e->attrs_removed ? &nothing
								      : NULL;
		}
	if (selves && v->top_attrs_changed)
		selves[v->n_dirs - 1] = &v->top_attrs;
	return selves;
}

static int build_dirs(const struct snapshot_job *job)
{
	struct frozen_view *v = job->view;
	const struct attrs_entry **selves = selves_of(v);
	struct scratch s = { 0 };
	int r = selves ? 0 : -ENOMEM;

	for (size_t i = 0; r == 0 && i < v->n_dirs; i++)
		r = cancelled(job) ? -ECANCELED : build_one_dir(job, &s, &v->dirs[i], selves[i]);
	free(s.links);
	free(s.cids);
	free(s.attrs);
	free(selves);
	return r;
}

int snapshot_build(const struct snapshot_job *job)
{
	int r = build_files(job);

	if (r == 0 && job->view->n_dirs)
		r = build_dirs(job);
	return r;
}
