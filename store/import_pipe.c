#include "store/import_pipe.h"

#include "store/build_dir.h"
#include "store/error.h"
#include "store/import_file.h"
#include "store/jobs.h"
#include "store/xxh3.h"

#include <assert.h>
#include <fcntl.h>
#include <limits.h>
#include <stdalign.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define JOBS_MAX 64
#define PAGE	 4096

int pipeline_error(struct pipeline *p)
{
	if (p->options->cancel && atomic_load(p->options->cancel))
		pipeline_fail(p, NULL, 0, -ECANCELED);
	return atomic_load(&p->error);
}

void pipeline_warn(struct pipeline *p, struct dir *d, uint32_t index, int error)
{
	struct buf path = { 0 };

	if (!p->options->warn)
		return;
	dir_path(d, index, &path);
	pthread_mutex_lock(&p->warning);
	p->options->warn(p->options->warn_arg, path.failed ? "" : (char *)path.data, error);
	pthread_mutex_unlock(&p->warning);
	buf_release(&path);
}

void pipeline_fail(struct pipeline *p, struct dir *d, uint32_t index, int error)
{
	int none = 0;

	if (!atomic_compare_exchange_strong(&p->error, &none, error))
		return;
	pthread_mutex_lock(&p->lock);
	pthread_cond_broadcast(&p->work);
	pthread_cond_broadcast(&p->room);
	pthread_mutex_unlock(&p->lock);
	if (d)
		pipeline_warn(p, d, index, error);
}

int pipeline_add(struct pipeline *p, struct dir *d, uint32_t index, struct dirref *at)
{
	int r = pipeline_error(p);

	if (r < 0)
		return r;
	pthread_mutex_lock(&p->lock);
	while (p->n == QUEUE && !p->error)
		pthread_cond_wait(&p->room, &p->lock);
	r = p->error;
	if (r == 0) {
		atomic_fetch_add(&d->holds, 1);
		p->queue[(p->first + p->n++) % QUEUE] = (struct task){
			.dir = d, .index = index, .at = at ? dirref_get(at) : NULL
		};
		if (p->idle)
			pthread_cond_signal(&p->work);
	}
	pthread_mutex_unlock(&p->lock);
	return r;
}

int pipeline_results(struct pipeline *p, struct dir *d)
{
	if (d->n)
		d->results = calloc(d->n, p->result_size);
	return d->n && !d->results ? -ENOMEM : 0;
}

static struct entry_result *result_of(const struct pipeline *p, const struct dir *d,
				      uint32_t index)
{
	return (struct entry_result *)(d->results + index * p->result_size);
}

static void set_result(struct pipeline *p, struct dir *d, uint32_t index,
		       const struct built *b)
{
	struct entry_result *result = result_of(p, d, index);
	uint8_t cid[CID_SIZE_MAX];
	size_t len = cid_encode(&b->cid, cid);

	assert(len <= profile_cid_max(p->profile));
	memcpy(result->cid, cid, len);
	result->cid_len = (uint8_t)len;
	result->tsize = b->tsize;
}

const struct unixfs_meta *pipeline_meta(const struct pipeline *p, const struct stat *st,
					struct unixfs_meta *out)
{
	const struct import_meta *want = &p->options->meta;

	if (!p->meta)
		return NULL;
	*out = want->fixed;
	if (st && want->keep_mode && !out->has_mode) {
		out->mode = st->st_mode & 07777;
		/* Kubo takes a file's mode of 0 for none. */
		out->has_mode = out->mode || S_ISDIR(st->st_mode);
	}
	if (st && want->keep_mtime && !out->has_mtime) {
		out->mtime = st->st_mtim.tv_sec;
		out->mtime_nsec = (uint32_t)st->st_mtim.tv_nsec;
		out->has_mtime = true;
	}
	return out;
}

void pipeline_stored(struct pipeline *p, struct dir *d, uint32_t index,
		     const struct built *b)
{
	set_result(p, d, index, b);
	pipeline_drop(p, d);
}

struct complete {
	const struct pipeline *pipeline;
	const struct dir *dir;
};

static void get_link(const void *arg, size_t i, struct dir_link *out)
{
	const struct complete *c = arg;
	const struct entry_result *e = result_of(c->pipeline, c->dir, (uint32_t)i);

	*out = (struct dir_link){ .name = dir_name(c->dir, (uint32_t)i),
				  .name_len = c->dir->entries[i].name_len,
				  .cid = e->cid,
				  .cid_len = e->cid_len,
				  .tsize = e->tsize };
}

/* All entries have their results: build the node.  They are in order of their
 * names, from the walk; what was left out goes first. */
static int complete_dir(struct pipeline *p, struct dir *d)
{
	const struct complete c = { p, d };
	struct built built;
	uint32_t n = 0;
	int r;

	for (uint32_t i = 0; i < d->n; i++) {
		if (!result_of(p, d, i)->cid_len)
			continue;
		if (n < i) {
			d->entries[n] = d->entries[i];
			memcpy(result_of(p, d, n), result_of(p, d, i), p->result_size);
		}
		n++;
	}
	d->n = n;
	r = build_dir_sorted(p->profile, p->sink, &(struct dir_links){ n, &c, get_link },
			     d->meta, &built);
	if (r == 0) {
		set_result(p, d->parent, d->index, &built);
		p->dirs++;
	}
	return r;
}

static void complete_top(struct pipeline *p, struct dir *top)
{
	pthread_mutex_lock(&p->lock);
	if (top->results) {
		const struct entry_result *e = result_of(p, top, 0);

		p->top.tsize = e->tsize;
		p->top.cid_len = e->cid_len;
		memcpy(p->top.cid, e->cid, e->cid_len);
	}
	p->done = true;
	pthread_cond_broadcast(&p->work);
	pthread_mutex_unlock(&p->lock);
}

void pipeline_drop(struct pipeline *p, struct dir *d)
{
	/* Upwards in a loop: the tree may be deep. */
	while (d && atomic_fetch_sub(&d->holds, 1) == 1) {
		struct dir *up = d->parent;
		int r = 0;

		if (!up)
			complete_top(p, d);
		else if (!p->error)
			r = complete_dir(p, d);
		if (r < 0)
			pipeline_fail(p, up, d->index, r);
		dir_free(d);
		d = up;
	}
}

static int store_symlink(struct pipeline *p, const struct task *t)
{
	const char *name = dir_name(t->dir, t->index);
	int at = t->at ? t->at->fd : AT_FDCWD;
	char target[PATH_MAX + 1];
	struct unixfs_meta meta = { 0 };
	struct stat st;
	struct built b;
	ssize_t n = readlinkat(at, name, target, sizeof target);
	int r;

	if (n < 0)
		return -errno;
	if ((size_t)n == sizeof target)
		return -ENAMETOOLONG;
	if (p->meta) {
		if (fstatat(at, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
			return -errno;
		pipeline_meta(p, &st, &meta);
		meta.has_mode = false; /* Kubo's form */
	}
	r = build_symlink_meta(p->profile, p->sink, target, n, &meta, &b);
	if (r < 0)
		return r;
	p->symlinks++;
	pipeline_stored(p, t->dir, t->index, &b);
	return 0;
}

static void run_task(struct worker *w, struct task *t)
{
	struct pipeline *p = w->pipeline;
	int r = pipeline_error(p);

	if (r == 0)
		r = t->dir->entries[t->index].type == ENTRY_SYMLINK ? store_symlink(p, t)
								    : file_store(w, t);
	dirref_put(t->at);
	if (r < 0) {
		pipeline_fail(p, t->dir, t->index, r);
		pipeline_drop(p, t->dir);
	}
}

static struct task take(struct pipeline *p)
{
	struct task t = p->queue[p->first];

	p->first = (p->first + 1) % QUEUE;
	/* The walk is woken when there is room for it to do a stretch. */
	if (p->n-- == QUEUE / 2)
		pthread_cond_signal(&p->room);
	return t;
}

static void *work(void *arg)
{
	struct worker *w = arg;
	struct pipeline *p = w->pipeline;

	pthread_mutex_lock(&p->lock);
	while (!p->done && !p->error) {
		uint64_t chunk;
		struct import_file *f = file_claim(p, &chunk);

		if (f) {
			pthread_mutex_unlock(&p->lock);
			file_chunk(w, f, chunk);
			pthread_mutex_lock(&p->lock);
		} else if (p->n) {
			struct task t = take(p);

			pthread_mutex_unlock(&p->lock);
			run_task(w, &t);
			pthread_mutex_lock(&p->lock);
		} else {
			p->idle++;
			pthread_cond_wait(&p->work, &p->lock);
			p->idle--;
		}
	}
	pthread_mutex_unlock(&p->lock);
	return NULL;
}

static unsigned jobs(const struct import_options *o)
{
	if (o->jobs <= 0)
		return jobs_default();
	return o->jobs < JOBS_MAX ? o->jobs : JOBS_MAX;
}

uint64_t import_fingerprint(const struct import_options *o)
{
	const struct profile *p = o->profile;
	const struct import_meta *m = &o->meta;
	const uint64_t all[] = {
		p->cid_version, p->raw_leaves,	   p->chunker.kind,   p->chunker.min,
		p->chunker.avg, p->chunker.max,	   p->max_links,      p->hash,
		p->hash_size,	m->keep_mode,	   m->keep_mtime,     m->fixed.has_mode,
		m->fixed.mode,	m->fixed.has_mtime, m->fixed.mtime,   m->fixed.mtime_nsec,
	};

	return XXH3_64bits(all, sizeof all);
}

static size_t result_size(const struct profile *p)
{
	size_t size = offsetof(struct entry_result, cid) + profile_cid_max(p);

	return (size + alignof(struct entry_result) - 1) / alignof(struct entry_result) *
	       alignof(struct entry_result);
}

int pipeline_start(struct pipeline *p, const struct import_options *o,
		   struct block_sink *sink)
{
	const struct import_meta *m = &o->meta;
	unsigned n = jobs(o);
	int r = 0;

	*p = (struct pipeline){
		.options = o,
		.profile = o->profile,
		.sink = sink,
		.fingerprint = import_fingerprint(o),
		.result_size = result_size(o->profile),
		.meta = m->keep_mode || m->keep_mtime || m->fixed.has_mode ||
			m->fixed.has_mtime,
	};
	if (p->meta && p->profile->raw_leaves)
		return -EINVAL;
	pthread_mutex_init(&p->lock, NULL);
	pthread_mutex_init(&p->warning, NULL);
	pthread_cond_init(&p->work, NULL);
	pthread_cond_init(&p->room, NULL);
	p->workers = calloc(n, sizeof *p->workers);
	if (!p->workers)
		r = -ENOMEM;
	while (r == 0 && p->n_workers < n) {
		struct worker *w = &p->workers[p->n_workers];

		w->pipeline = p;
		/* The data begins on a page, which reading likes. */
		w->room = aligned_alloc(PAGE, 2 * PAGE + (p->profile->chunker.max + PAGE - 1) /
								 PAGE * PAGE);
		if (!w->room) {
			r = -ENOMEM;
			break;
		}
		w->data = w->room + PAGE;
		r = -pthread_create(&w->thread, NULL, work, w);
		if (r < 0) {
			free(w->room);
			break;
		}
		p->n_workers++;
	}
	/* Fewer will do, if slower. */
	if (p->n_workers)
		return 0;
	pipeline_finish(p);
	return r;
}

int pipeline_finish(struct pipeline *p)
{
	for (unsigned i = 0; i < p->n_workers; i++) {
		pthread_join(p->workers[i].thread, NULL);
		free(p->workers[i].room);
	}
	free(p->workers);
	/* Left over after an error. */
	while (p->n) {
		struct task t = take(p);

		dirref_put(t.at);
		pipeline_drop(p, t.dir);
	}
	files_abandon(p);
	pthread_cond_destroy(&p->room);
	pthread_cond_destroy(&p->work);
	pthread_mutex_destroy(&p->warning);
	pthread_mutex_destroy(&p->lock);
	return p->error;
}
