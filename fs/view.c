#include "fs/view_internal.h"

#include "store/error.h"

#include <stdlib.h>
#include <string.h>

int source_parse(struct source *out, const char *text)
{
	const char *id, *slash;
	size_t len;

	*out = (struct source){ .is_name = strncmp(text, "/ipns/", 6) == 0 };
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
	struct source p;

	return source ? source_parse(&p, source) : 0;
}

/* ---- the names that requests wait for ---- */

static void on_shown_already(void *arg)
{
	struct view *v = arg;

	for (struct name *n = v->names; n && !v->closed; n = n->next) {
		if (n->shown)
			name_tell(n, 0);
	}
}

static void *on_want(struct name_source *self, const struct peer_id *peer,
		     void (*done)(void *arg, int result), void *arg)
{
	struct view *v = (struct view *)self;
	struct name *n = name_find(v, peer);
	struct name_waiter *w;

	if (!n)
		n = name_new(v, peer, "");
	w = n ? name_wait(n, done, arg) : NULL;
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

/* ---- the view ---- */

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
	struct source p;
	int r;

	v->parking = parking;
	v->opened_done = done;
	v->opened_arg = arg;
	if (!source)
		return v->blocks->post(v->blocks, on_nothing_to_open, v);
	r = source_parse(&p, source);
	if (r < 0)
		return r;
	if (!p.is_name)
		return fetch_start(v, NULL, &p.cid, strdup(p.path));
	v->opened_done = NULL;
	v->opened = name_new(v, &p.peer, p.path);
	return v->opened && name_wait(v->opened, done, arg) ? 0 : -ENOMEM;
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
		name_stop(n);
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
