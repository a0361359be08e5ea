/* Bringing in a tree, and moving the mount on to it. */
#include "fs/view_internal.h"

#include "store/error.h"

#include <stdlib.h>
#include <string.h>

static bool is_root_of(const struct name *n, const struct inode_place *p)
{
	struct peer_id peer;

	if (n == n->view->opened)
		return p->id == INODE_ROOT;
	return p->parent == INODE_IPNS &&
	       peer_parse(&peer, p->name, strlen(p->name)) == 0 &&
	       peer_equal(&peer, &n->peer);
}

/* The directories of the mount that show this name, in whatever spelling. */
static int roots_of(const struct name *n, uint64_t **out, size_t *count)
{
	struct inode_place *places;
	size_t n_places;
	uint64_t *roots;
	int r = inodes_places(n->view->inodes, &places, &n_places);

	if (r < 0)
		return r;
	roots = malloc((n_places + 1) * sizeof *roots);
	*count = 0;
	for (size_t i = 0; roots && i < n_places; i++) {
		if (is_root_of(n, &places[i]))
			roots[(*count)++] = places[i].id;
	}
	inode_places_free(places, n_places);
	*out = roots;
	return roots ? 0 : -ENOMEM;
}

static int plan_move(struct fetch *f, struct misses *misses)
{
	uint64_t *roots;
	size_t n;
	int r = roots_of(f->name, &roots, &n);

	if (r < 0)
		return r;
	r = move_plan(&f->move, f->view->blocks->source, f->view->inodes, roots, n,
		      &f->root, misses);
	free(roots);
	return r;
}

static int run_fetch(struct parked *op, struct lack *lack)
{
	struct fetch *f = (struct fetch *)op;
	struct block_source *s = f->view->blocks->source;
	struct dag_entry e;
	int r;

	lack->top = f->top;
	r = dag_resolve(s, &f->top, f->path, &e, &lack->blocks);
	if (r < 0)
		return r;
	f->root = e.cid;
	r = dag_stat(s, &f->root, &f->attr, &lack->blocks);
	if (r == 0 && f->moving && f->attr.type == DAG_DIR)
		r = plan_move(f, &lack->blocks);
	return r;
}

static void on_fetched(void *arg);

static void end_fetch(struct parked *op, int result)
{
	struct fetch *f = (struct fetch *)op;

	f->result = result;
	parked_ref(op);
	if (f->view->blocks->post(f->view->blocks, on_fetched, f) < 0)
		parked_unref(op);
}

int fetch_start(struct view *v, struct name *n, const struct cid *top, char *path)
{
	struct fetch *f = calloc(1, sizeof *f);

	if (!f || !path)
		goto nomem;
	f->parked = (struct parked){
		.run = run_fetch,
		.end = end_fetch,
		.priority = WANT_READER,
	};
	f->view = v;
	f->name = n;
	f->moving = n && n->shown;
	f->top = *top;
	f->path = path;
	parked_init(&f->parked, v->parking);
	if (parking_add(&f->parked, NULL) < 0)
		goto nomem;
	if (n)
		n->fetch = f;
	return 0;
nomem:
	free(path);
	free(f);
	return -ENOMEM;
}

static void tell_kernel(struct view *v, const struct fetch *f)
{
	const struct move *m = &f->move;

	if (!v->notify)
		return;
	for (size_t i = 0; i < m->n_moves; i++) {
		if (!m->moves[i].gone)
			notify_inode(v->notify, m->moves[i].id);
	}
	for (size_t i = 0; i < m->n_entries; i++)
		notify_entry(v->notify, m->entries[i].dir, m->entries[i].name);
}

static int show(struct name *n, struct fetch *f)
{
	struct view *v = n->view;
	/* Look-ups under way in /ipns start again. */
	const struct inode_move touch = { .id = INODE_IPNS, .gone = true };
	int r = 0;

	if (n == v->opened && f->attr.type != DAG_DIR)
		return -ENOTDIR;
	if (n == v->opened && !n->shown)
		r = inodes_set_root(v->inodes, &f->root, &f->attr);
	if (r < 0)
		return r;
	pthread_mutex_lock(&v->lock);
	n->root = f->root;
	n->shown = true;
	if (n == v->opened) {
		v->root = f->root;
		v->has_root = true;
	}
	pthread_mutex_unlock(&v->lock);
	if (!f->moving)
		return 0;
	r = inodes_move(v->inodes, &touch, 1);
	if (r == 0)
		r = inodes_move(v->inodes, f->move.moves, f->move.n_moves);
	if (r == 0)
		tell_kernel(v, f);
	return r;
}

static void on_fetched(void *arg)
{
	struct fetch *f = arg;
	struct view *v = f->view;
	struct name *n = f->dropped ? NULL : f->name;
	int r = f->result;

	if (v->closed) {
		/* nobody is left to be told */
	} else if (!n && v->opened_done) {
		void (*done)(void *, int) = v->opened_done;

		v->opened_done = NULL;
		if (r == 0 && f->attr.type != DAG_DIR)
			r = -ENOTDIR;
		if (r == 0)
			r = inodes_set_root(v->inodes, &f->root, &f->attr);
		if (r == 0) {
			pthread_mutex_lock(&v->lock);
			v->root = f->root;
			v->has_root = true;
			pthread_mutex_unlock(&v->lock);
		}
		done(v->opened_arg, r);
	} else if (n) {
		n->fetch = NULL;
		if (r == 0)
			r = show(n, f);
		if (r == -ECANCELED)
			name_says(n); /* there is a newer one */
		else if (r < 0)
			name_failed(n, r);
		else
			name_tell(n, 0);
	}
	move_release(&f->move);
	free(f->path);
	parked_unref(&f->parked);
}
