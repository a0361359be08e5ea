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

#define AHEAD 32 /* entries the source has been told of */

/* An entry that waits for its turn. */
struct node {
	struct node *next;
	struct cid cid;
	char name[];
};

/*
 * Where the walk stands in a directory.  It is listed twice if it has symlinks:
 * they are made when all else is there.
 */
struct frame {
	struct out_dir *dir;
	struct cid cid;
	uint64_t pos; /* in the listing */
	bool listed, has_symlinks, symlinks;
	struct node *first, **last;
	unsigned waiting;
};

struct walk {
	struct export x;
	struct dirstack stack; /* [0] holds the target */
	struct out_dir *above; /* where the target is made */
	struct frame **frames;
	size_t depth, cap;
};

static struct out_dir *dir_of(struct walk *w)
{
	return w->depth ? w->frames[w->depth - 1]->dir : w->above;
}

static int write_symlink(struct walk *w, const char *name, const struct cid *cid)
{
	char target[PATH_MAX];
	int r = dag_readlink(w->x.source, cid, target, sizeof target, NULL);

	if (r < 0)
		return r;
	/* The kernel would take what is before the NUL for the target. */
	if (strlen(target) != (size_t)r)
		return ERR_MALFORMED;
	return place_symlink(&dir_of(w)->place, dirstack_fd(&w->stack), name, target);
}

static void frame_free(struct walk *w, struct frame *f)
{
	while (f->first) {
		struct node *n = f->first;

		f->first = n->next;
		free(n);
	}
	if (f->dir)
		out_dir_drop(&w->x, f->dir);
	free(f);
}

static int enter(struct walk *w, const char *name, const struct cid *cid,
		 const struct dag_attr *a)
{
	struct out_dir *up = dir_of(w);
	struct frame *f = calloc(1, sizeof *f);
	int r = -ENOMEM, made;

	if (!f)
		return r;
	f->cid = *cid;
	f->last = &f->first;
	f->dir = out_dir_new(up, name);
	if (!f->dir)
		goto out;
	f->dir->attr = *a;
	if (w->depth == w->cap) {
		size_t cap = w->cap ? 2 * w->cap : 16;
		struct frame **frames = realloc(w->frames, cap * sizeof *frames);

		if (!frames)
			goto out;
		w->frames = frames;
		w->cap = cap;
	}

	r = made = place_dir(&up->place, dirstack_fd(&w->stack), name,
			     a->has_mode ? 0700 : 0777);
	if (r >= 0)
		r = dirstack_enter(&w->stack, name);
	if (r < 0)
		goto out;
	/* The levels of both must agree, whatever happens from here. */
	w->frames[w->depth++] = f;
	f->dir->place.replace = !made && w->x.options->overwrite;
	const struct dirref *dir = dirstack_top(&w->stack);
	return place_dir_opened(&up->place, dir->dev, dir->ino);
out:
	frame_free(w, f);
	return r;
}

static int leave(struct walk *w)
{
	struct frame *f = w->frames[w->depth - 1];
	/* Its mode, set by the last who lets go, may forbid to go up by way of it. */
	int r = dirstack_leave(&w->stack, &f->dir->left);

	if (r < 0)
		return r;
	w->depth--;
	frame_free(w, f);
	return 0;
}

static int write_node(struct walk *w, const char *name, const struct cid *cid, bool symlinks)
{
	struct export *x = &w->x;
	struct out_dir *dir = dir_of(w);
	struct dirref *at = dirstack_top(&w->stack);
	bool leaf = cid->codec == CODEC_RAW;
	struct dag_attr a;
	int r = 0;

	if (symlinks && leaf)
		return 0;
	/* A leaf can only be a file: whoever writes it will see. */
	if (!leaf)
		r = dag_stat(x->source, cid, &a, NULL);
	if (r == 0 && (leaf || a.type == DAG_FILE) && !symlinks)
		r = export_files_add(x, dir, at, name, cid, leaf ? NULL : &a);
	else if (r == 0 && a.type == DAG_SYMLINK && !symlinks)
		w->frames[w->depth - 1]->has_symlinks = true;
	else if (r == 0 && a.type == DAG_SYMLINK)
		r = write_symlink(w, name, cid);
	else if (r == 0 && !symlinks)
		r = enter(w, name, cid, &a);
	if (r < 0)
		export_fail(x, dir, name, r);
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
static int refill(struct walk *w, struct frame *f)
{
	struct cid cids[AHEAD];
	struct node **known = f->last;
	size_t n = 0;
	int r = dag_list(w->x.source, &f->cid, f->pos, on_entry, f, NULL);

	if (r < 0)
		return r;
	f->listed = r == 0;
	for (struct node *e = *known; e; e = e->next)
		cids[n++] = e->cid;
	if (n)
		source_soon(w->x.source, cids, n);
	return 0;
}

static int step(struct walk *w)
{
	struct frame *f = w->frames[w->depth - 1];
	struct out_dir *dir = f->dir;
	struct node *n;
	int r = export_error(&w->x);

	if (r < 0)
		return r;
	if (!f->listed && f->waiting <= AHEAD / 2)
		r = refill(w, f);
	n = f->first;
	if (r == 0 && n) {
		f->first = n->next;
		if (!f->first)
			f->last = &f->first;
		f->waiting--;
		r = write_node(w, n->name, &n->cid, f->symlinks);
		free(n);
		return r;
	}
	if (r == 0 && f->has_symlinks && !f->symlinks) {
		export_files_wait(&w->x);
		f->symlinks = true;
		f->listed = false;
		f->pos = 0;
		return 0;
	}
	if (r == 0)
		r = leave(w);
	if (r < 0)
		export_fail(&w->x, dir->parent, dir->name, r);
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
static int open_above(struct walk *w, const char *target, char **name)
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
		r = dirstack_enter(&w->stack, above);
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
	struct walk w = { .x = { .source = s, .options = o, .target = target } };
	struct export *x = &w.x;
	struct dag_attr a;
	char *name = NULL;
	int r = -ENOMEM;

	w.above = out_dir_new(NULL, "");
	if (!w.above)
		return r;
	w.above->place.replace = o->overwrite;
	r = dag_stat(s, cid, &a, NULL);
	if (r == 0 && o->progress)
		r = count_total(x, cid, &a);
	if (r == 0)
		r = open_above(&w, target, &name);
	if (r < 0)
		export_fail(x, w.above, "", r);
	/* What is replaced is looked at, then taken: by one, so that nothing comes between. */
	if (r == 0 && !o->overwrite)
		export_files_start(x, o->jobs);
	if (r == 0)
		r = write_node(&w, name, cid, a.type == DAG_SYMLINK);
	while (r == 0 && w.depth)
		r = step(&w);
	export_files_stop(x);

	while (w.depth)
		frame_free(&w, w.frames[--w.depth]);
	out_dir_drop(x, w.above);
	free(w.frames);
	dirstack_release(&w.stack);
	free(name);
	return atomic_load(&x->error);
}
