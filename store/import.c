#include "store/import.h"

#include "store/build_dir.h"
#include "store/dag.h"
#include "store/error.h"
#include "store/import_file.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* The store as a sink. */
static int put(struct block_sink *self, const struct multihash *name, const void *data,
	       size_t len)
{
	return store_put_bytes(self->store, name, data, len);
}

/* A sink for those who only want to know the names. */
static int forget(struct block_sink *self, const struct multihash *name, const void *data,
		  size_t len)
{
	return 0;
}

static struct block_sink sink_for(struct store *s, const struct import_options *o)
{
	return o->hash_only ? (struct block_sink){ forget, NULL } : (struct block_sink){ put, s };
}

/* The walk that feeds the pipeline. */
struct feeder {
	struct walker base;
	struct pipeline *pipeline;
};

static struct pipeline *pipeline_of(struct walker *w)
{
	return ((struct feeder *)w)->pipeline;
}

static int on_enter(struct walker *w, struct dir *d, int fd)
{
	struct pipeline *p = pipeline_of(w);
	struct stat st;
	int r = pipeline_results(p, d);

	if (r < 0)
		return r;
	if (p->meta && d->parent) {
		d->meta = calloc(1, sizeof *d->meta);
		if (!d->meta)
			return -ENOMEM;
		if (fstat(fd, &st) < 0)
			return -errno;
		pipeline_meta(p, &st, d->meta);
	}
	return pipeline_error(p);
}

static int on_entry(struct walker *w, struct dir *d, uint32_t index, struct dirref *at)
{
	struct pipeline *p = pipeline_of(w);

	if (d->entries[index].type != ENTRY_OTHER)
		return pipeline_add(p, d, index, at);
	/* Sockets, devices, pipes: UnixFS has no word for them. */
	pipeline_warn(p, d, index, -ENOTSUP);
	return d->parent ? pipeline_error(p) : -ENOTSUP;
}

static void on_leave(struct walker *w, struct dir *d)
{
	pipeline_drop(pipeline_of(w), d);
}

static void on_failed(struct walker *w, struct dir *d, uint32_t index, int error)
{
	pipeline_fail(pipeline_of(w), d, index, error);
}

/*
 * A second walk that only counts, for whoever watches the progress, ahead of
 * the first because it reads nothing.
 */
struct counter {
	struct walker base;
	const char *path;
	struct import_progress *progress;
	atomic_bool stop;
	pthread_t thread;
	bool running;
};

static int count_enter(struct walker *w, struct dir *d, int fd)
{
	return atomic_load(&((struct counter *)w)->stop) ? -ECANCELED : 0;
}

static int count_entry(struct walker *w, struct dir *d, uint32_t index, struct dirref *at)
{
	struct counter *c = (struct counter *)w;
	struct stat st;

	if (d->entries[index].type == ENTRY_FILE &&
	    fstatat(at ? at->fd : AT_FDCWD, dir_name(d, index), &st, AT_SYMLINK_NOFOLLOW) == 0) {
		atomic_fetch_add(&c->progress->files_total, 1);
		atomic_fetch_add(&c->progress->bytes_total, st.st_size);
	}
	return atomic_load(&c->stop) ? -ECANCELED : 0;
}

static void count_leave(struct walker *w, struct dir *d)
{
	while (d && atomic_fetch_sub(&d->holds, 1) == 1) {
		struct dir *up = d->parent;

		dir_free(d);
		d = up;
	}
}

static void count_failed(struct walker *w, struct dir *d, uint32_t index, int error)
{
	/* The import will meet it too, and says so. */
}

static void *count(void *arg)
{
	struct counter *c = arg;

	walk(&c->base, c->path);
	return NULL;
}

static void counter_start(struct counter *c)
{
	c->base.enter = count_enter;
	c->base.entry = count_entry;
	c->base.leave = count_leave;
	c->base.failed = count_failed;
	/* Without it there are no totals, which is no reason to fail. */
	c->running = c->progress && pthread_create(&c->thread, NULL, count, c) == 0;
}

static void counter_stop(struct counter *c)
{
	if (!c->running)
		return;
	atomic_store(&c->stop, true);
	pthread_join(c->thread, NULL);
}

/* The pipeline has ended with `r`. */
static int conclude(struct pipeline *p, struct store *s, int r, struct import_result *out)
{
	if (p->options->seen && p->sink->store)
		seen_flush(p->options->seen);
	if (r == 0 && p->sink->store)
		r = store_sync(s);
	if (r == 0)
		r = cid_decode(&out->root, p->top.cid, p->top.cid_len);
	if (r < 0)
		return r;
	out->tsize = p->top.tsize;
	out->files = p->files;
	out->dirs = p->dirs;
	out->symlinks = p->symlinks;
	out->bytes = p->bytes;
	if (p->options->progress) {
		/* The counter may not have come to its end. */
		atomic_store(&p->options->progress->files_total, p->files);
		atomic_store(&p->options->progress->bytes_total, p->bytes);
	}
	return 0;
}

int import_path(struct store *s, const char *path, const struct import_options *o,
		struct import_result *out)
{
	struct block_sink own = sink_for(s, o), *sink = o->sink ? o->sink : &own;
	struct pipeline p;
	struct feeder feeder = {
		.base = { o->hidden, !o->no_ignore_files, o->exclude, on_enter, on_entry,
			  on_leave, on_failed },
		.pipeline = &p,
	};
	struct counter counter = {
		.base = { .hidden = o->hidden,
			  .ignore_files = !o->no_ignore_files,
			  .exclude = o->exclude },
		.path = path,
		.progress = o->progress,
	};
	int r = pipeline_start(&p, o, sink);

	if (r < 0)
		return r;
	counter_start(&counter);
	r = walk(&feeder.base, path);
	if (r < 0)
		pipeline_fail(&p, NULL, 0, r);
	r = pipeline_finish(&p);
	counter_stop(&counter);
	return conclude(&p, s, r, out);
}

int import_fd(struct store *s, int fd, const struct import_options *o,
	      struct import_result *out)
{
	struct block_sink own = sink_for(s, o), *sink = o->sink ? o->sink : &own;
	struct dir *top = dir_new_top("-");
	struct pipeline p;
	int r;

	if (!top)
		return -ENOMEM;
	r = pipeline_start(&p, o, sink);
	if (r < 0) {
		dir_free(top);
		return r;
	}
	r = pipeline_results(&p, top);
	if (r == 0)
		r = file_stream(&p, fd, top, 0);
	if (r < 0) {
		pipeline_fail(&p, top, 0, r);
		pipeline_drop(&p, top);
	}
	return conclude(&p, s, pipeline_finish(&p), out);
}

static bool name_is_good(const char *name)
{
	return *name && strcmp(name, ".") && strcmp(name, "..") && !strchr(name, '/');
}

int import_wrap(struct store *s, const struct import_named *named, size_t n,
		const struct import_options *o, struct import_result *out)
{
	struct block_sink own = sink_for(s, o), *sink = o->sink ? o->sink : &own;
	const size_t cid_max = CID_SIZE_MAX;
	struct dir_link *links = calloc(n + 1, sizeof *links);
	uint8_t *cids = malloc((n + 1) * cid_max);
	const struct unixfs_meta *meta = &o->meta.fixed;
	struct built b;
	int r = -ENOMEM;

	if (!links || !cids)
		goto out;
	for (size_t i = 0; i < n; i++) {
		uint8_t *cid = cids + i * cid_max;
		size_t len = strlen(named[i].name);

		r = !name_is_good(named[i].name) ? -EINVAL
		    : len > NAME_MAX_BYTES	 ? -ENAMETOOLONG
						 : 0;
		if (r < 0)
			goto out;
		links[i] = (struct dir_link){ .name = named[i].name,
					      .cid = cid,
					      .tsize = named[i].tsize,
					      .name_len = (uint16_t)len,
					      .cid_len = (uint8_t)cid_encode(&named[i].cid, cid) };
	}
	r = build_dir_meta(o->profile, sink, links, n, meta, &b);
	if (r == 0 && sink->store)
		r = store_sync(s);
	if (r == 0)
		*out = (struct import_result){ .root = b.cid, .tsize = b.tsize, .dirs = 1 };
out:
	free(links);
	free(cids);
	return r;
}
