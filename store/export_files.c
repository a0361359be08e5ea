/*
 * Writing files, by several threads.  The walk hands them over in its order, and
 * a thread takes a few neighbours at once: those lie in one bundle, which it then
 * reads alone.  A long file is written in stretches by all who have nothing begun.
 *
 *	walk --> queue --> begin, write, end
 *	             `--> begin --> long --> stretch, stretch ... --> end
 */
#include "store/error.h"
#include "store/export_internal.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

#define QUEUE	128	    /* files; each may hold its directory's descriptor */
#define BATCH	16	    /* taken at once, at most */
#define AT_ONCE (1u << 20)  /* a file up to this size is a block, or few */
#define STRETCH (8u << 20)  /* of a long file; not less than is read ahead */
#define JOBS_MAX 64

struct out_file {
	struct out_file *next; /* of the long ones */
	struct out_dir *dir;   /* held */
	struct dirref *at;     /* a reference */
	struct cid cid;
	struct dag_attr attr;
	bool leaf; /* whose attributes nobody has looked up */
	bool hole; /* what is written may end before the file does */
	struct new_file new;
	/* A long one, under the lock: */
	uint64_t given;	  /* bytes given to somebody to write */
	unsigned running; /* who do */
	int error;
	char name[];
};

struct export_files {
	struct export *export;
	pthread_mutex_t lock;
	pthread_cond_t work;  /* something to do, or the end */
	pthread_cond_t walk;  /* room in the queue, or nothing is left to do */
	struct out_file *queue[QUEUE];
	unsigned first, n;
	struct out_file *longs;
	unsigned idle, busy; /* threads */
	bool over;
	unsigned n_threads;
	pthread_t threads[JOBS_MAX];
};

static void file_free(struct export *x, struct out_file *f)
{
	dirref_put(f->at);
	out_dir_drop(x, f->dir);
	free(f);
}

/* The file is complete (r = 0) or given up. */
static void end(struct export *x, struct out_file *f, int r)
{
	/* A file may end in a hole. */
	if (r == 0 && f->hole && ftruncate(f->new.fd, (off_t)f->attr.size) < 0)
		r = -errno;
	if (r == 0)
		r = export_set_attr(f->new.fd, &f->attr);
	r = place_file_end(&f->dir->place, f->at->fd, &f->new, r);
	if (r < 0)
		export_fail(x, f->dir, f->name, r);
	else if (x->options->progress)
		atomic_fetch_add(&x->options->progress->files, 1);
}

static void count_bytes(struct export *x, size_t len)
{
	if (x->options->progress)
		atomic_fetch_add(&x->options->progress->bytes, len);
}

/* A file that is one block: read before there is anything of it on the disk. */
static int write_leaf(struct export *x, struct out_file *f)
{
	struct block *b = NULL;
	int r = source_get(x->source, &f->cid, &b);

	if (r < 0)
		return r;
	r = place_file(&f->dir->place, f->at->fd, f->name, true, &f->new);
	if (r == 0) {
		f->attr.size = b->size;
		r = export_bytes(f->new.fd, b->data, b->size, &f->hole);
		if (r == 0)
			count_bytes(x, b->size);
		end(x, f, r);
		r = 0;
	}
	block_unref(b);
	return r;
}

/* Better no beginning than a disk full of one file that cannot end. */
static int check_space(int at, uint64_t size)
{
	struct statvfs st;

	if (fstatvfs(at, &st) < 0 || !st.f_blocks || !st.f_frsize)
		return 0;
	return size / st.f_frsize > st.f_bavail ? -ENOSPC : 0;
}

static int begin(struct out_file *f)
{
	bool at_once = f->attr.size <= AT_ONCE;
	int r = at_once ? 0 : check_space(f->at->fd, f->attr.size);

	return r < 0 ? r : place_file(&f->dir->place, f->at->fd, f->name, at_once, &f->new);
}

static int write_range(struct export *x, struct out_file *f, uint64_t from, uint64_t len)
{
	return export_content(x->source, &f->cid, from, len, f->new.fd, true, x->options);
}

/* Everybody may write at it from now on. */
static void share(struct export_files *p, struct out_file *f)
{
	struct out_file **at = &p->longs;

	pthread_mutex_lock(&p->lock);
	while (*at)
		at = &(*at)->next;
	*at = f;
	if (p->idle)
		pthread_cond_broadcast(&p->work);
	pthread_mutex_unlock(&p->lock);
}

/* A file of the queue, which is freed unless it is shared. */
static void write_file(struct export *x, struct out_file *f)
{
	int r = export_error(x);

	if (r == 0 && f->leaf) {
		r = write_leaf(x, f);
	} else if (r == 0) {
		r = begin(f);
		f->hole = true;
		if (r == 0 && x->files && f->attr.size > STRETCH)
			return share(x->files, f);
		if (r == 0)
			end(x, f, write_range(x, f, 0, UINT64_MAX));
	}
	if (r < 0)
		export_fail(x, f->dir, f->name, r);
	file_free(x, f);
}

/* A stretch of a long file for the caller, if there is one.  Under the lock. */
static struct out_file *claim(struct export_files *p, uint64_t *from)
{
	for (struct out_file *f = p->longs; f; f = f->next) {
		if (f->error || f->given >= f->attr.size)
			continue;
		*from = f->given;
		f->given += STRETCH;
		f->running++;
		return f;
	}
	return NULL;
}

static void write_stretch(struct export_files *p, struct out_file *f, uint64_t from)
{
	struct out_file **at = &p->longs;
	struct export *x = p->export;
	int r = export_error(x);
	bool last;

	if (r == 0)
		r = write_range(x, f, from, STRETCH);
	pthread_mutex_lock(&p->lock);
	if (!f->error)
		f->error = r;
	last = !--f->running && (f->error || f->given >= f->attr.size);
	if (last) {
		while (*at != f)
			at = &(*at)->next;
		*at = f->next;
	}
	pthread_mutex_unlock(&p->lock);
	if (!last)
		return;
	end(x, f, f->error);
	file_free(x, f);
}

/* A share of the queue.  Under the lock. */
static unsigned take(struct export_files *p, struct out_file **out)
{
	unsigned n = p->n / (2 * p->n_threads) + 1;

	if (n > BATCH)
		n = BATCH;
	/* The walk is woken when there is room for it to do a stretch. */
	if (p->n > QUEUE / 2 && p->n - n <= QUEUE / 2)
		pthread_cond_signal(&p->walk);
	for (unsigned i = 0; i < n; i++, p->n--) {
		out[i] = p->queue[p->first];
		p->first = (p->first + 1) % QUEUE;
	}
	return n;
}

static void *work(void *arg)
{
	struct export_files *p = arg;
	struct out_file *mine[BATCH], *f;
	uint64_t from;
	unsigned n;

	pthread_mutex_lock(&p->lock);
	for (;;) {
		n = 0;
		f = claim(p, &from);
		if (!f && p->n)
			n = take(p, mine);
		if (f || n) {
			p->busy++;
			pthread_mutex_unlock(&p->lock);
			if (f)
				write_stretch(p, f, from);
			for (unsigned i = 0; i < n; i++)
				write_file(p->export, mine[i]);
			pthread_mutex_lock(&p->lock);
			p->busy--;
			continue;
		}
		if (!p->busy)
			pthread_cond_signal(&p->walk);
		if (p->over)
			break;
		p->idle++;
		pthread_cond_wait(&p->work, &p->lock);
		p->idle--;
	}
	pthread_mutex_unlock(&p->lock);
	return NULL;
}

int export_files_add(struct export *x, struct out_dir *d, struct dirref *at, const char *name,
		     const struct cid *cid, const struct dag_attr *a)
{
	struct export_files *p = x->files;
	size_t len = strlen(name) + 1;
	struct out_file *f = malloc(sizeof *f + len);

	if (!f)
		return -ENOMEM;
	*f = (struct out_file){ .dir = d, .at = dirref_get(at), .cid = *cid, .leaf = !a };
	if (a)
		f->attr = *a;
	memcpy(f->name, name, len);
	out_dir_hold(d);
	if (!p) {
		write_file(x, f);
		return atomic_load(&x->error);
	}
	pthread_mutex_lock(&p->lock);
	while (p->n == QUEUE)
		pthread_cond_wait(&p->walk, &p->lock);
	p->queue[(p->first + p->n++) % QUEUE] = f;
	if (p->idle)
		pthread_cond_signal(&p->work);
	pthread_mutex_unlock(&p->lock);
	return export_error(x);
}

void export_files_wait(struct export *x)
{
	struct export_files *p = x->files;

	if (!p)
		return;
	pthread_mutex_lock(&p->lock);
	while (p->n || p->busy || p->longs)
		pthread_cond_wait(&p->walk, &p->lock);
	pthread_mutex_unlock(&p->lock);
}

void export_files_start(struct export *x, int jobs)
{
	struct export_files *p = jobs > 1 ? calloc(1, sizeof *p) : NULL;

	if (!p)
		return;
	p->export = x;
	pthread_mutex_init(&p->lock, NULL);
	pthread_cond_init(&p->work, NULL);
	pthread_cond_init(&p->walk, NULL);
	x->files = p;
	/* Under the lock, because they count themselves. */
	pthread_mutex_lock(&p->lock);
	while (p->n_threads < JOBS_MAX && p->n_threads < (unsigned)jobs &&
	       pthread_create(&p->threads[p->n_threads], NULL, work, p) == 0)
		p->n_threads++;
	pthread_mutex_unlock(&p->lock);
	/* Fewer will do, if slower. */
	if (!p->n_threads)
		export_files_stop(x);
}

void export_files_stop(struct export *x)
{
	struct export_files *p = x->files;

	if (!p)
		return;
	pthread_mutex_lock(&p->lock);
	p->over = true;
	pthread_cond_broadcast(&p->work);
	pthread_mutex_unlock(&p->lock);
	for (unsigned i = 0; i < p->n_threads; i++)
		pthread_join(p->threads[i], NULL);
	pthread_cond_destroy(&p->walk);
	pthread_cond_destroy(&p->work);
	pthread_mutex_destroy(&p->lock);
	free(p);
	x->files = NULL;
}
