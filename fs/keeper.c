#include "fs/keeper.h"

#include "fs/history.h"
#include "store/error.h"
#include "store/log.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#define TICK_MS	 1000
#define RETRY_MS 60000 /* after a snapshot that failed */

/*
 * What is known of one folder here.
 *
 *	IDLE -- head moved --> READING --> PUTTING --> NOTING --> IDLE
 *	pool:		the head's root		      the name was moved
 */
enum publishing { PUBLISH_IDLE, PUBLISH_READING, PUBLISH_PUTTING, PUBLISH_NOTING };

struct putting {
	struct kept *of; /* NULL: the keeper does not wait for it */
};

struct kept {
	struct keeper *keeper;
	struct kept *next;
	char name[FOLDER_NAME_MAX + 1];
	struct peer_id id;
	bool gone;	      /* it was removed: to be freed when idle */
	bool left;	      /* nobody has it open, and it may have changes */
	bool announced;	      /* since we run */
	/* Loop time: after a failure neither is tried again earlier. */
	uint64_t snapshot_from, publish_from;
	enum publishing state;
	struct putting *putting; /* a record is on its way to others */
	uv_work_t work;
	int result;
	struct cid commit, root;
	struct secret_key key;
};

struct keeper {
	struct folders *folders;
	struct node *node;
	uv_async_t changed;
	uv_timer_t timer;
	struct kept *all;
	unsigned handles; /* open */
	unsigned busy;	  /* pool work and publishing under way */
	bool stopping;
	void (*done)(void *arg);
	void *done_arg;
	/* The one snapshot that is being made. */
	struct kept *making;
	uv_thread_t thread;
	uv_async_t made;
	atomic_bool cancel;
	int result;
};

static void look_at_all(struct keeper *k);

int64_t snapshot_due(const struct folder_state *st, const struct folder_settings *s,
		     int64_t now_ms)
{
	int64_t due = INT64_MAX, at;

	/* When it is read-only no snapshot could be noted. */
	if ((!st->dirty_inodes && !st->dirty_bytes) || st->failed)
		return -1;
	if (s->quiet_ms) {
		at = st->last_change_ms + (int64_t)s->quiet_ms;
		due = at;
	}
	if (s->max_age_ms) {
		at = st->first_change_ms + (int64_t)s->max_age_ms;
		due = at < due ? at : due;
	}
	if (due == INT64_MAX)
		return -1;
	/* A clock that was set back makes nobody wait for years. */
	int64_t most = (int64_t)(s->quiet_ms > s->max_age_ms ? s->quiet_ms : s->max_age_ms);
	int64_t in = due - now_ms;
	return in < 0 ? 0 : in > most ? most : in;
}

/* ---- beginning and end ---- */

static void on_closed(uv_handle_t *h)
{
	struct keeper *k = h->data;
	struct kept *f;

	if (--k->handles)
		return;
	while ((f = k->all)) {
		k->all = f->next;
		free(f);
	}
	void (*done)(void *arg) = k->done;
	void *arg = k->done_arg;
	free(k);
	done(arg);
}

static void end_if_idle(struct keeper *k)
{
	if (!k->stopping || k->busy || k->making || uv_is_closing((uv_handle_t *)&k->timer))
		return;
	folders_listen(k->folders, NULL, NULL);
	uv_close((uv_handle_t *)&k->timer, on_closed);
	uv_close((uv_handle_t *)&k->changed, on_closed);
	uv_close((uv_handle_t *)&k->made, on_closed);
}

static void step_done(struct kept *f, int result)
{
	struct keeper *k = f->keeper;

	f->state = PUBLISH_IDLE;
	sodium_memzero(&f->key, sizeof f->key);
	k->busy--;
	if (result < 0 && result != -ECANCELED) {
		log_line(LOG_ERROR, "folder %s: its name could not be moved: %s", f->name,
			 err_text(result));
		f->publish_from = uv_now(k->node->loop) + RETRY_MS;
	}
	if (k->stopping)
		end_if_idle(k);
	else
		look_at_all(k);
}

void keeper_stop(struct keeper *k, void (*done)(void *arg), void *arg)
{
	k->stopping = true;
	k->done = done;
	k->done_arg = arg;
	k->cancel = true;
	uv_timer_stop(&k->timer);
	/* The record is on our disk; whether others take it is not waited for. */
	for (struct kept *f = k->all; f; f = f->next)
		if (f->putting) {
			f->putting->of = NULL;
			f->putting = NULL;
			step_done(f, -ECANCELED);
		}
	end_if_idle(k);
}

/* ---- snapshots ---- */

/* What there is room for is not a quarter of what changed: a snapshot that nobody asked
 * for would only fill the disk before it fails. */
static bool hopeless(struct folder *f)
{
	struct folder_state st;
	struct statvfs disk;

	folder_state(f, &st);
	return folder_statfs(f, &disk) == 0 &&
	       (uint64_t)disk.f_bavail * disk.f_frsize < st.dirty_bytes / 4;
}

static void make_snapshot(void *arg)
{
	struct keeper *k = arg;
	struct kept *f = k->making;
	struct snapshot_made made;
	struct folder_use *u;

	k->result = folders_use(k->folders, f->name, 0, &u);
	if (k->result == 0) {
		k->result = hopeless(folder_used(u))
				    ? -ENOSPC
				    : folder_snapshot(u, NULL, &k->cancel, &made);
		folder_unuse(u);
	}
	uv_async_send(&k->made);
}

static void on_made(uv_async_t *async)
{
	struct keeper *k = async->data;
	struct kept *f = k->making;

	uv_thread_join(&k->thread);
	k->making = NULL;
	if (k->result < 0 && k->result != -ECANCELED && k->result != -ENOENT) {
		log_line(LOG_ERROR, "folder %s: no snapshot could be made: %s", f->name,
			 err_text(k->result));
		f->snapshot_from = uv_now(k->node->loop) + RETRY_MS;
	}
	if (k->stopping)
		end_if_idle(k);
	else
		look_at_all(k);
}

static void start_snapshot(struct keeper *k, struct kept *f)
{
	k->making = f;
	if (uv_thread_create(&k->thread, make_snapshot, k) < 0) {
		k->making = NULL;
		f->snapshot_from = uv_now(k->node->loop) + RETRY_MS;
	}
}

/* ---- publishing ---- */

static void note_published(uv_work_t *work)
{
	struct kept *f = work->data;

	f->result = folders_published(f->keeper->folders, f->name, &f->commit);
}

static void on_noted(uv_work_t *work, int status)
{
	struct kept *f = work->data;

	step_done(f, f->result == -ENOENT ? 0 : f->result);
}

static void start_noting(struct kept *f)
{
	f->state = PUBLISH_NOTING;
	f->work.data = f;
	if (uv_queue_work(f->keeper->node->loop, &f->work, note_published, on_noted) < 0)
		step_done(f, -ENOMEM);
}

static void on_put(void *arg, int result)
{
	struct putting *p = arg;
	struct kept *f = p->of;

	free(p);
	if (!f)
		return;
	f->putting = NULL;
	if (result < 0)
		step_done(f, result);
	else
		start_noting(f);
}

static void announce(struct kept *f)
{
	struct node *n = f->keeper->node;

	bitswap_have(n->bitswap, &f->root.hash);
	bitswap_have(n->bitswap, &f->commit.hash);
	/* What is not told now is told when somebody is there (routing.h). */
	routing_provide(n->routing, &f->root.hash, NULL, NULL);
	routing_provide(n->routing, &f->commit.hash, NULL, NULL);
	f->announced = true;
}

static void on_read(uv_work_t *work, int status)
{
	struct kept *f = work->data;
	struct keeper *k = f->keeper;
	char value[16 + CID_TEXT_MAX] = "/ipfs/";
	uint8_t commit[CID_SIZE_MAX];
	struct folder_info info;

	if (f->result < 0 || k->stopping || folders_find(k->folders, f->name, &info) < 0) {
		step_done(f, f->result < 0 ? f->result : -ECANCELED);
		return;
	}
	announce(f);
	if (info.published.version != 0xff && cid_equal(&info.published, &f->commit)) {
		names_have_key(k->node->names, &f->key);
		step_done(f, 0);
		return;
	}
	struct publish_options o = {
		.ttl_ms = info.settings.ttl_ms,
		.extra = commit,
		.extra_len = cid_encode(&f->commit, commit),
	};
	f->putting = calloc(1, sizeof *f->putting);
	if (!f->putting) {
		step_done(f, -ENOMEM);
		return;
	}
	f->putting->of = f;
	f->state = PUBLISH_PUTTING;
	cid_text(&f->root, value + strlen(value));
	names_publish(k->node->names, &f->key, value, &o, on_put, f->putting);
}

static void read_head(uv_work_t *work)
{
	struct kept *f = work->data;

	f->result = folders_head(f->keeper->folders, f->name, &f->key, &f->commit, &f->root);
}

static void start_publishing(struct kept *f)
{
	f->keeper->busy++;
	f->state = PUBLISH_READING;
	f->work.data = f;
	if (uv_queue_work(f->keeper->node->loop, &f->work, read_head, on_read) < 0)
		step_done(f, -ENOMEM);
}

static void stop_publishing(struct kept *f)
{
	names_retire(f->keeper->node->names, &f->id);
	f->announced = false;
	f->commit.version = 0xff;
	f->keeper->busy++;
	start_noting(f);
}

/* ---- looking ---- */

static struct kept *find(struct keeper *k, const struct folder_info *i)
{
	struct kept *f;

	for (f = k->all; f; f = f->next)
		if (!f->gone && peer_equal(&f->id, &i->id))
			return f;
	f = calloc(1, sizeof *f);
	if (!f)
		return NULL;
	f->keeper = k;
	f->id = i->id;
	/* It may have been left with changes when we ran last. */
	f->left = true;
	strcpy(f->name, i->name);
	f->next = k->all;
	k->all = f;
	return f;
}

struct looking {
	struct keeper *k;
	bool again; /* something is open: look again soon */
};

static void look_for_changes(struct looking *l, struct kept *f, const struct folder_info *i)
{
	struct keeper *k = l->k;
	const struct folder_settings *s = &i->settings;
	struct folder_state st;
	bool due;

	if ((!s->quiet_ms && !s->max_age_ms) || k->making == f)
		return;
	if (folders_peek(k->folders, i->name, &st) == 0) {
		l->again = true;
		/* What a mount does last may come after this look. */
		f->left |= i->mounted || st.dirty_inodes || st.dirty_bytes;
		due = snapshot_due(&st, s, wall_ms()) == 0;
	} else {
		due = f->left && !i->uses;
	}
	if (!due || k->making)
		return;
	if (f->snapshot_from > uv_now(k->node->loop)) {
		l->again = true;
		return;
	}
	f->left = false;
	start_snapshot(k, f);
}

static int look_at(void *arg, const struct folder_info *i)
{
	struct looking *l = arg;
	struct kept *f = find(l->k, i);
	bool published = i->published.version != 0xff;

	if (!f)
		return 0;
	if (f->state == PUBLISH_IDLE && f->publish_from <= uv_now(l->k->node->loop)) {
		if (!i->settings.publish && published)
			stop_publishing(f);
		else if (i->settings.publish &&
			 (!f->announced || !published || !cid_equal(&i->published, &i->head)))
			start_publishing(f);
	} else if (f->state == PUBLISH_IDLE) {
		l->again = true;
	}
	look_for_changes(l, f, i);
	return 0;
}

static void forget_removed(struct keeper *k)
{
	struct folder_info info;
	struct kept *f, **p = &k->all;

	while ((f = *p)) {
		if (!f->gone && (folders_find(k->folders, f->name, &info) < 0 ||
				 !peer_equal(&info.id, &f->id))) {
			f->gone = true;
			names_retire(k->node->names, &f->id);
		}
		if (f->gone && f->state == PUBLISH_IDLE && k->making != f) {
			*p = f->next;
			free(f);
		} else {
			p = &f->next;
		}
	}
}

static void on_tick(uv_timer_t *t)
{
	look_at_all(t->data);
}

static void look_at_all(struct keeper *k)
{
	struct looking l = { .k = k };

	if (k->stopping)
		return;
	forget_removed(k);
	folders_each(k->folders, look_at, &l);
	if (l.again)
		uv_timer_start(&k->timer, on_tick, TICK_MS, 0);
	else
		uv_timer_stop(&k->timer);
}

static void on_changed(uv_async_t *async)
{
	look_at_all(async->data);
}

/* Any thread. */
static void changed(void *arg, const char *name)
{
	struct keeper *k = arg;

	uv_async_send(&k->changed);
}

int keeper_new(struct keeper **out, struct folders *folders, struct node *node)
{
	struct keeper *k = calloc(1, sizeof *k);

	if (!k)
		return -ENOMEM;
	k->folders = folders;
	k->node = node;
	k->changed.data = k->made.data = k->timer.data = k;
	k->handles = 3;
	uv_timer_init(node->loop, &k->timer);
	/* Neither of these fails once the loop has its own. */
	uv_async_init(node->loop, &k->changed, on_changed);
	uv_async_init(node->loop, &k->made, on_made);
	folders_listen(folders, changed, k);
	uv_async_send(&k->changed);
	*out = k;
	return 0;
}
