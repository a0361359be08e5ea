#include "store/export.h"

#include "store/dag.h"
#include "store/dagpb.h"
#include "store/dirstack.h"
#include "store/error.h"
#include "store/export_internal.h"
#include "store/export_place.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

#define AHEAD	32	     /* entries the source has been told of */
#define AT_ONCE (1u << 20)   /* a file up to this size is a block, or few */
#define MODE	0777	     /* bits taken from a tree: no setuid, setgid, sticky */

/* An entry that waits for its turn. */
struct node {
	struct node *next;
	struct cid cid;
	char name[];
};

/*
 * A directory being written.  It is listed twice if it has symlinks: they are
 * made when all else is there.
 */
struct frame {
	struct cid cid;
	char *name;
	struct dag_attr attr;
	struct place place;
	uint64_t pos; /* in the listing */
	bool listed, has_symlinks, symlinks;
	struct node *first, **last;
	unsigned waiting;
};

struct export {
	struct block_source *source;
	const struct export_options *options;
	const char *target;
	struct dirstack stack; /* [0] holds the target */
	struct place above;    /* where the target is made */
	struct frame **frames;
	size_t depth, cap;
};

static int set_attr(int fd, const struct dag_attr *a)
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

/* Better no beginning than a disk full of one file that cannot end. */
static int check_space(int at, uint64_t size)
{
	struct statvfs st;

	if (fstatvfs(at, &st) < 0 || !st.f_blocks || !st.f_frsize)
		return 0;
	return size / st.f_frsize > st.f_bavail ? -ENOSPC : 0;
}

static int write_file(struct export *x, struct place *p, int at, const char *name,
		      const struct cid *cid, const struct dag_attr *a)
{
	bool at_once = a->size <= AT_ONCE;
	struct new_file f;
	int r = at_once ? 0 : check_space(at, a->size);

	if (r == 0)
		r = place_file(p, at, name, at_once, &f);
	if (r < 0)
		return r;
	r = export_content(x->source, cid, 0, UINT64_MAX, f.fd, true, x->options);
	/* A file may end in a hole. */
	if (r == 0 && ftruncate(f.fd, a->size) < 0)
		r = -errno;
	if (r == 0)
		r = set_attr(f.fd, a);
	r = place_file_end(p, at, &f, r);
	if (r == 0 && x->options->progress)
		atomic_fetch_add(&x->options->progress->files, 1);
	return r;
}

static int write_symlink(struct export *x, struct place *p, int at, const char *name,
			 const struct cid *cid)
{
	char target[PATH_MAX];
	int r = dag_readlink(x->source, cid, target, sizeof target, NULL);

	if (r < 0)
		return r;
	/* The kernel would take what is before the NUL for the target. */
	if (strlen(target) != (size_t)r)
		return ERR_MALFORMED;
	return place_symlink(p, at, name, target);
}

static struct place *place_of(struct export *x)
{
	return x->depth ? &x->frames[x->depth - 1]->place : &x->above;
}

static void frame_free(struct frame *f)
{
	while (f->first) {
		struct node *n = f->first;

		f->first = n->next;
		free(n);
	}
	place_release(&f->place);
	free(f->name);
	free(f);
}

static int enter(struct export *x, const char *name, const struct cid *cid,
		 const struct dag_attr *a)
{
	struct place *p = place_of(x);
	struct frame *f = calloc(1, sizeof *f);
	int r = -ENOMEM, made;

	if (!f)
		return r;
	f->cid = *cid;
	f->attr = *a;
	f->last = &f->first;
	f->name = strdup(name);
	if (!f->name)
		goto out;
	if (x->depth == x->cap) {
		size_t cap = x->cap ? 2 * x->cap : 16;
		struct frame **frames = realloc(x->frames, cap * sizeof *frames);

		if (!frames)
			goto out;
		x->frames = frames;
		x->cap = cap;
	}

	r = made = place_dir(p, dirstack_fd(&x->stack), name, a->has_mode ? 0700 : 0777);
	if (r >= 0)
		r = dirstack_enter(&x->stack, name);
	if (r < 0)
		goto out;
	/* The levels of both must agree, whatever happens from here. */
	x->frames[x->depth++] = f;
	f->place.replace = !made && x->options->overwrite;
	const struct dirref *dir = dirstack_top(&x->stack);
	return place_dir_opened(p, dir->dev, dir->ino);
out:
	frame_free(f);
	return r;
}

static int leave(struct export *x)
{
	struct frame *f = x->frames[x->depth - 1];
	struct dirref *dir;
	int r = dirstack_leave(&x->stack, &dir);

	if (r < 0)
		return r;
	/* Last, because its mode may forbid to go up by way of it. */
	r = set_attr(dir->fd, &f->attr);
	dirref_put(dir);
	if (r < 0)
		return r;
	x->depth--;
	frame_free(f);
	return 0;
}

/* Tell the user what an error is about: `name` in the directory at `depth`. */
static void report(struct export *x, size_t depth, const char *name, int error)
{
	struct buf path = { 0 };

	if (!x->options->warn || error == -ECANCELED)
		return;
	buf_text(&path, x->target);
	for (size_t i = 1; i <= depth; i++) {
		buf_u8(&path, '/');
		buf_text(&path, i < depth ? x->frames[i]->name : name);
	}
	buf_u8(&path, '\0');
	x->options->warn(x->options->warn_arg, path.failed ? name : (char *)path.data, error);
	buf_release(&path);
}

static int write_node(struct export *x, const char *name, const struct cid *cid,
		      bool symlinks)
{
	struct place *p = place_of(x);
	size_t depth = x->depth;
	int at = dirstack_fd(&x->stack), r;
	struct dag_attr a;

	if (symlinks && cid->codec == CODEC_RAW)
		return 0;
	r = dag_stat(x->source, cid, &a, NULL);
	if (r == 0 && a.type == DAG_SYMLINK && !symlinks)
		x->frames[depth - 1]->has_symlinks = true;
	else if (r == 0 && a.type == DAG_SYMLINK)
		r = write_symlink(x, p, at, name, cid);
	else if (r == 0 && !symlinks)
		r = a.type == DAG_DIR ? enter(x, name, cid, &a)
				      : write_file(x, p, at, name, cid, &a);
	if (r < 0)
		report(x, depth, name, r);
	return r;
}

static int on_entry(void *arg, const struct dag_entry *e, uint64_t pos_behind)
{
	struct frame *f = arg;
	struct node *n = malloc(sizeof *n + e->name_len + 1);

	if (!n)
		return -ENOMEM;
	n->next = NULL;
	n->cid = e->cid;
	memcpy(n->name, e->name, e->name_len + 1);
	*f->last = n;
	f->last = &n->next;
	f->pos = pos_behind;
	return ++f->waiting == AHEAD;
}

/* List on, and tell the source what comes. */
static int refill(struct export *x, struct frame *f)
{
	struct cid cids[AHEAD];
	struct node **known = f->last;
	size_t n = 0;
	int r = dag_list(x->source, &f->cid, f->pos, on_entry, f, NULL);

	if (r < 0)
		return r;
	f->listed = r == 0;
	for (struct node *e = *known; e; e = e->next)
		cids[n++] = e->cid;
	if (n)
		source_soon(x->source, cids, n);
	return 0;
}

static int step(struct export *x)
{
	struct frame *f = x->frames[x->depth - 1];
	struct node *n;
	int r = 0;

	if (export_cancelled(x->options))
		return -ECANCELED;
	if (!f->listed && f->waiting <= AHEAD / 2)
		r = refill(x, f);
	n = f->first;
	if (r == 0 && n) {
		f->first = n->next;
		if (!f->first)
			f->last = &f->first;
		f->waiting--;
		r = write_node(x, n->name, &n->cid, f->symlinks);
		free(n);
		return r;
	}
	if (r == 0 && f->has_symlinks && !f->symlinks) {
		f->symlinks = true;
		f->listed = false;
		f->pos = 0;
		return 0;
	}
	if (r == 0)
		r = leave(x);
	if (r < 0)
		report(x, x->depth - 1, f->name, r);
	return r;
}

/* About how much there is, for the progress: what the links of the root say. */
static int count_total(struct export *x, const struct cid *cid, const struct dag_attr *a)
{
	struct block *b = NULL;
	struct dagpb_node node;
	struct dagpb_link l;
	uint64_t total = a->size;
	int r = 0;

	if (a->type == DAG_DIR) {
		r = source_get(x->source, cid, &b);
		if (r == 0)
			r = dagpb_decode(&node, b->data, b->size);
		while (r == 0 && dagpb_next(&node.links, &l) > 0)
			total = l.tsize < UINT64_MAX - total ? total + l.tsize : UINT64_MAX;
		block_unref(b);
	}
	atomic_store(&x->options->progress->bytes_total, total);
	return r;
}

/* Open the directory above the target; *name is the target's own. */
static int open_above(struct export *x, const char *target, char **name)
{
	char *path = strdup(target), *above = NULL, *slash;
	size_t len = strlen(target);
	int r = -ENOMEM;

	if (!path)
		return r;
	while (len > 1 && path[len - 1] == '/')
		path[--len] = '\0';
	slash = strrchr(path, '/');
	*name = strdup(slash ? slash + 1 : path);
	if (slash)
		slash[1] = '\0';
	/* "." behind it, because here the user may name a directory by a symlink. */
	if (*name && asprintf(&above, "%s.", slash ? path : "./") < 0)
		above = NULL;
	if (above)
		r = dirstack_enter(&x->stack, above);
	/* What is there for certain cannot be made. */
	if (r == 0 && (!**name || !strcmp(*name, ".") || !strcmp(*name, "..")))
		r = -EEXIST;
	free(above);
	free(path);
	return r;
}

int export_tree(struct block_source *s, const struct cid *cid, const char *target,
		const struct export_options *o)
{
	struct export x = {
		.source = s, .options = o, .target = target, .above.replace = o->overwrite
	};
	struct dag_attr a;
	char *name = NULL;
	int r = dag_stat(s, cid, &a, NULL);

	if (r == 0 && o->progress)
		r = count_total(&x, cid, &a);
	if (r == 0)
		r = open_above(&x, target, &name);
	if (r < 0)
		report(&x, 0, target, r);
	else
		r = write_node(&x, name, cid, a.type == DAG_SYMLINK);
	while (r == 0 && x.depth)
		r = step(&x);

	while (x.depth)
		frame_free(x.frames[--x.depth]);
	free(x.frames);
	place_release(&x.above);
	dirstack_release(&x.stack);
	free(name);
	return r;
}
