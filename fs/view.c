#include "fs/view.h"

#include "fs/move.h"
#include "store/error.h"
#include "store/log.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define CHAIN_MAX 32   /* names that point at names */
#define NAMES_MAX 1024 /* followed at once */
#define RETRY_MS  5000 /* until a move is tried again whose blocks could not be had */

struct name_waiter {
	struct name_waiter *next, **at;
	struct name *name;
	void (*done)(void *arg, int result);
	void *arg;
};

/* Bringing in a tree: its root, and what the move to it needs. */
struct fetch {
	struct parked parked;
	struct view *view;
	struct name *name; /* NULL: the source is a tree itself */
	bool moving;       /* the name shows another tree already */
	struct cid top;
	char *path;
	struct cid root;
	struct dag_attr attr;
	struct move move;
	int result;
};

/*
 * A name in use.
 *
 *	RESOLVING ---> FETCHING ---> SHOWN
 *	    |           |  ^  |        | a newer record
 *	    +-> freed <-+  |  |        v
 *	     (nothing to   |  +-----> FETCHING: the move
 *	      show yet)    +-- retry timer, newer record
 */
struct name {
	struct name *next;
	struct view *view;
	struct peer_id peer;
	char *path;  /* below what the name says; "" */
	char *below; /* the same, and what the names in between add */
	char *value; /* what the newest record says */
	unsigned chain;
	struct asking *asking;
	struct fetch *fetch;
	struct name_watch *watch;
	struct name_waiter *waiters;
	uv_timer_t *retry;
	/* written under the view's lock */
	bool shown;
	struct cid root;
};

/* A question to names_resolve(), which cannot be taken back. */
struct asking {
	struct name *name; /* NULL: nobody cares any more */
};

struct view {
	struct name_source source;
	struct node *node;
	struct blocks *blocks;
	struct inodes *inodes;
	const char *dir;
	struct parking *parking;
	struct notify *notify;
	struct name *opened; /* the name that is the source */
	unsigned n_names;
	bool closed;
	void (*opened_done)(void *arg, int result);
	void *opened_arg;

	pthread_mutex_t lock;
	struct name *names;
	struct cid root;
	bool has_root;
};

static void *on_want(struct name_source *self, const struct peer_id *peer,
		     void (*done)(void *arg, int result), void *arg);
static void on_unwant(struct name_source *self, void *want);

int view_new(struct view **out, const struct view_config *cfg)
{
	struct view *v = calloc(1, sizeof *v);

	if (!v)
		return -ENOMEM;
	v->source.want = on_want;
	v->source.cancel = on_unwant;
	v->node = cfg->node;
	v->blocks = cfg->blocks;
	v->inodes = cfg->inodes;
	v->dir = cfg->dir;
	pthread_mutex_init(&v->lock, NULL);
	*out = v;
	return 0;
}

struct name_source *view_names(struct view *v)
{
	return &v->source;
}

/* ---- sources: "/ipfs/CID[/path]", "/ipns/NAME[/path]" ---- */

struct place {
	bool is_name;
	struct cid cid;
	struct peer_id peer;
	const char *path; /* without leading slashes */
};

static int parse(struct place *out, const char *text)
{
	const char *id, *slash;
	size_t len;

	*out = (struct place){ .is_name = strncmp(text, "/ipns/", 6) == 0 };
	if (!out->is_name && strncmp(text, "/ipfs/", 6) != 0)
		return -EINVAL;
	id = text + 6;
	slash = strchr(id, '/');
	len = slash ? (size_t)(slash - id) : strlen(id);
	out->path = slash ? slash + strspn(slash, "/") : "";
	if (out->is_name)
		return peer_parse(&out->peer, id, len) < 0 ? -EINVAL : 0;
	return cid_parse(&out->cid, id, len) < 0 ? -EINVAL : 0;
}

int view_check(const char *source)
{
	struct place p;

	return source ? parse(&p, source) : 0;
}

/* ---- bringing a tree in ---- */

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

static int start_fetch(struct view *v, struct name *n, const struct cid *top, char *path)
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

/* ---- what a name says ---- */

static void name_free(struct name *n)
{
	struct view *v = n->view;

	pthread_mutex_lock(&v->lock);
	for (struct name **at = &v->names; *at; at = &(*at)->next) {
		if (*at == n) {
			*at = n->next;
			v->n_names--;
			break;
		}
	}
	pthread_mutex_unlock(&v->lock);
	free(n->path);
	free(n->below);
	free(n->value);
	free(n);
}

static void tell_waiters(struct name *n, int result)
{
	while (n->waiters) {
		struct name_waiter *w = n->waiters;

		n->waiters = w->next;
		if (w->next)
			w->next->at = &n->waiters;
		w->done(w->arg, result);
		free(w);
	}
}

static void on_retry_closed(uv_handle_t *h)
{
	free(h);
}

static void stop_following(struct name *n)
{
	if (n->watch)
		name_unwatch(n->watch);
	n->watch = NULL;
	if (n->retry)
		uv_close((uv_handle_t *)n->retry, on_retry_closed);
	n->retry = NULL;
	if (n->asking)
		n->asking->name = NULL;
	n->asking = NULL;
	if (n->fetch) {
		n->fetch->name = NULL;
		parked_cancel(&n->fetch->parked, -ECANCELED);
	}
	n->fetch = NULL;
}

static void name_says(struct name *n);

static void on_retry(uv_timer_t *t)
{
	struct name *n = t->data;

	if (!n->fetch && !n->asking)
		name_says(n);
}

/* Nothing to show: those who wait are told; what is shown already stays. */
static void name_failed(struct name *n, int result)
{
	char text[PEER_TEXT_MAX];

	if (!n->shown) {
		stop_following(n);
		tell_waiters(n, result);
		if (n == n->view->opened)
			n->view->opened = NULL;
		name_free(n);
		return;
	}
	log_line(LOG_WARN, "%s: /ipns/%s has moved to %s, which cannot be had yet: %s",
		 n->view->dir, peer_name_text(&n->peer, text), n->value,
		 err_text(result));
	if (!n->retry) {
		n->retry = malloc(sizeof *n->retry);
		if (!n->retry || uv_timer_init(n->view->node->loop, n->retry) < 0) {
			free(n->retry);
			n->retry = NULL;
			return;
		}
		n->retry->data = n;
	}
	uv_timer_start(n->retry, on_retry, RETRY_MS, 0);
}

static void on_moved(void *arg, const struct resolved *r)
{
	struct name *n = arg;
	char *value;

	if (n->value && strcmp(n->value, r->value) == 0)
		return;
	value = strdup(r->value);
	if (!value)
		return;
	free(n->value);
	n->value = value;
	if (n->asking)
		n->asking->name = NULL;
	n->asking = NULL;
	if (n->fetch) /* of what is old now; its end goes on with the new */
		parked_cancel(&n->fetch->parked, -ECANCELED);
	else
		name_says(n);
}

static void on_resolved(void *arg, int result, const struct resolved *r);

static int ask(struct name *n, const struct peer_id *peer)
{
	struct asking *a = malloc(sizeof *a);

	if (!a || !n->view->node->names) {
		free(a);
		return a ? -ENETUNREACH : -ENOMEM;
	}
	a->name = n;
	n->asking = a;
	names_resolve(n->view->node->names, peer, RESOLVE_FAST, on_resolved, a);
	return 0;
}

static char *join(const char *a, const char *b)
{
	char *path;

	return asprintf(&path, "%s%s%s", a, *a && *b ? "/" : "", b) < 0 ? NULL : path;
}

/* Follow one value; n->below is the path beyond it. */
static int follow(struct name *n, const char *value)
{
	struct place p;
	char *below;

	if (parse(&p, value) < 0)
		return ERR_MALFORMED;
	below = join(p.path, n->below);
	if (!below)
		return -ENOMEM;
	if (!p.is_name)
		return start_fetch(n->view, n, &p.cid, below);
	free(n->below);
	n->below = below;
	if (++n->chain > CHAIN_MAX)
		return -ELOOP;
	return ask(n, &p.peer);
}

static void name_says(struct name *n)
{
	int r = -ENOMEM;

	free(n->below);
	n->below = strdup(n->path);
	n->chain = 0;
	if (n->below)
		r = follow(n, n->value);
	if (r < 0)
		name_failed(n, r);
}

static void on_resolved(void *arg, int result, const struct resolved *r)
{
	struct asking *a = arg;
	struct name *n = a->name;
	int err = result;

	free(a);
	if (!n)
		return;
	n->asking = NULL;
	if (result == 0 && n->value) { /* a name in between */
		err = follow(n, r->value);
	} else if (result == 0) {
		n->value = strdup(r->value);
		n->watch = names_watch(n->view->node->names, &n->peer, on_moved, n);
		if (n->value && n->watch) {
			name_says(n);
			return;
		}
		err = -ENOMEM;
	}
	if (err < 0)
		name_failed(n, err);
}

static struct name *name_find(struct view *v, const struct peer_id *peer)
{
	struct name *n = v->names;

	while (n && !peer_equal(&n->peer, peer))
		n = n->next;
	return n;
}

static struct name *name_new(struct view *v, const struct peer_id *peer, const char *path)
{
	struct name *n = calloc(1, sizeof *n);

	if (!n)
		return NULL;
	n->view = v;
	n->peer = *peer;
	n->path = strdup(path);
	if (!n->path || v->n_names == NAMES_MAX || ask(n, peer) < 0) {
		free(n->path);
		free(n);
		return NULL;
	}
	pthread_mutex_lock(&v->lock);
	n->next = v->names;
	v->names = n;
	v->n_names++;
	pthread_mutex_unlock(&v->lock);
	return n;
}

/* ---- showing it ---- */

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
	struct name *n = f->name;
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
			tell_waiters(n, 0);
	}
	move_release(&f->move);
	free(f->path);
	parked_unref(&f->parked);
}

/* ---- who asks ---- */

static void on_shown_already(void *arg)
{
	struct view *v = arg;

	for (struct name *n = v->names; n && !v->closed; n = n->next) {
		if (n->shown)
			tell_waiters(n, 0);
	}
}

static struct name_waiter *add_waiter(struct name *n, void (*done)(void *arg, int result),
				      void *arg)
{
	struct name_waiter *w = malloc(sizeof *w);

	if (!w)
		return NULL;
	*w = (struct name_waiter){ n->waiters, &n->waiters, n, done, arg };
	if (w->next)
		w->next->at = &w->next;
	n->waiters = w;
	return w;
}

static void *on_want(struct name_source *self, const struct peer_id *peer,
		     void (*done)(void *arg, int result), void *arg)
{
	struct view *v = (struct view *)self;
	struct name *n = name_find(v, peer);
	struct name_waiter *w;

	if (!n)
		n = name_new(v, peer, "");
	w = n ? add_waiter(n, done, arg) : NULL;
	if (w && n->shown)
		v->blocks->post(v->blocks, on_shown_already, v);
	return w;
}

static void on_unwant(struct name_source *self, void *want)
{
	struct name_waiter *w = want;

	*w->at = w->next;
	if (w->next)
		w->next->at = w->at;
	free(w);
}

static void on_nothing_to_open(void *arg)
{
	struct view *v = arg;
	void (*done)(void *, int) = v->opened_done;

	v->opened_done = NULL;
	done(v->opened_arg, 0);
}

int view_open(struct view *v, struct parking *parking, const char *source,
	      void (*done)(void *arg, int result), void *arg)
{
	struct place p;
	int r;

	v->parking = parking;
	v->opened_done = done;
	v->opened_arg = arg;
	if (!source)
		return v->blocks->post(v->blocks, on_nothing_to_open, v);
	r = parse(&p, source);
	if (r < 0)
		return r;
	if (!p.is_name)
		return start_fetch(v, NULL, &p.cid, strdup(p.path));
	v->opened_done = NULL;
	v->opened = name_new(v, &p.peer, p.path);
	return v->opened && add_waiter(v->opened, done, arg) ? 0 : -ENOMEM;
}

void view_notify(struct view *v, struct notify *n)
{
	v->notify = n;
}

int view_name_root(void *view, const struct peer_id *peer, struct cid *root)
{
	struct view *v = view;
	struct name *n;
	int r = ERR_MISSING;

	pthread_mutex_lock(&v->lock);
	n = name_find(v, peer);
	if (n && n->shown) {
		*root = n->root;
		r = 0;
	}
	pthread_mutex_unlock(&v->lock);
	return r;
}

bool view_root(struct view *v, struct cid *out)
{
	bool has;

	pthread_mutex_lock(&v->lock);
	has = v->has_root;
	if (has)
		*out = v->root;
	pthread_mutex_unlock(&v->lock);
	return has;
}

void view_close(struct view *v)
{
	v->closed = true;
	v->notify = NULL;
	v->opened_done = NULL;
	for (struct name *n = v->names; n; n = n->next)
		stop_following(n);
}

void view_free(struct view *v)
{
	if (!v)
		return;
	while (v->names) {
		while (v->names->waiters)
			on_unwant(&v->source, v->names->waiters);
		name_free(v->names);
	}
	pthread_mutex_destroy(&v->lock);
	free(v);
}
