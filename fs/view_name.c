/* Names in use: what they say, and who waits for that. */
#include "fs/view_internal.h"

#include "store/error.h"
#include "store/log.h"

#include <stdlib.h>
#include <string.h>

#define CHAIN_MAX 32   /* names that point at names */
#define NAMES_MAX 1024 /* followed at once */
#define RETRY_MS  5000 /* until a move is tried again whose blocks could not be had */

void name_free(struct name *n)
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

void name_tell(struct name *n, int result)
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

void name_stop(struct name *n)
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
		n->fetch->dropped = true;
		parked_cancel(&n->fetch->parked, -ECANCELED);
	}
	n->fetch = NULL;
}

static void on_retry(uv_timer_t *t)
{
	struct name *n = t->data;

	if (!n->fetch && !n->asking)
		name_says(n);
}

/* Nothing to show: those who wait are told; what is shown already stays. */
void name_failed(struct name *n, int result)
{
	char text[PEER_TEXT_MAX];

	if (!n->shown) {
		name_stop(n);
		name_tell(n, result);
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
	struct source p;
	char *below;

	if (source_parse(&p, value) < 0)
		return ERR_MALFORMED;
	below = join(p.path, n->below);
	if (!below)
		return -ENOMEM;
	if (!p.is_name)
		return fetch_start(n->view, n, &p.cid, below);
	free(n->below);
	n->below = below;
	if (++n->chain > CHAIN_MAX)
		return -ELOOP;
	return ask(n, &p.peer);
}

void name_says(struct name *n)
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

struct name *name_find(struct view *v, const struct peer_id *peer)
{
	struct name *n = v->names;

	while (n && !peer_equal(&n->peer, peer))
		n = n->next;
	return n;
}

struct name *name_new(struct view *v, const struct peer_id *peer, const char *path)
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

struct name_waiter *name_wait(struct name *n, void (*done)(void *arg, int result),
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
