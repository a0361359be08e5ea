#include "net/names_internal.h"

#include "store/error.h"
#include "store/log.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#define NAMES_MAX      1024 /* held in memory; any number on disk */
#define REFRESH_MIN_MS 1000
#define RETRY_FIRST_MS 2000
#define RETRY_LAST_MS  60000

uint64_t names_now(const struct names *n)
{
	return uv_now(n->loop);
}

int64_t names_wall_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return t.tv_sec * INT64_C(1000) + t.tv_nsec / 1000000;
}

static void on_timer(uv_timer_t *t);

void names_wake(struct names *n, uint64_t when)
{
	uint64_t now = names_now(n), in = when > now ? when - now : 0;

	if (n->closing)
		return;
	if (!uv_is_active((uv_handle_t *)&n->timer) ||
	    uv_timer_get_due_in(&n->timer) > in)
		uv_timer_start(&n->timer, on_timer, in, 0);
}

/* ---- one name ---- */

static void name_free(struct name *nm)
{
	TAILQ_REMOVE(&nm->names->all, nm, of_names);
	nm->names->n--;
	name_file_free(nm->disk);
	buf_release(&nm->bytes);
	explicit_bzero(&nm->key, sizeof nm->key);
	free(nm);
}

static bool in_use(const struct name *nm)
{
	return nm->own || nm->n_ready || nm->getting || nm->putting ||
	       !TAILQ_EMPTY(&nm->waiters) || !LIST_EMPTY(&nm->watches) ||
	       !TAILQ_EMPTY(&nm->publishes);
}

/* Those that nobody uses leave the memory; the disk has them. */
static void make_room(struct names *n)
{
	struct name *nm, *next;

	for (nm = TAILQ_FIRST(&n->all); nm && n->n >= NAMES_MAX; nm = next) {
		next = TAILQ_NEXT(nm, of_names);
		if (!in_use(nm))
			name_free(nm);
	}
}

static uint64_t ttl_ms(const struct name *nm)
{
	return nm->rec.ttl_ns / 1000000;
}

/* The record kept from an earlier run.  Even one that has expired says below
 * which sequence number nothing is to be believed. */
static void load(struct name *nm)
{
	struct buf b = { 0 };
	uint64_t age, now = names_now(nm->names);
	int r = name_file_read(nm->names->dir, nm->file, IPNS_RECORD_MAX, &b, &age);

	if (r == 0)
		r = ipns_verify(&nm->rec, &nm->id, b.data, b.len, 0);
	if (r < 0) {
		if (r != -ENOENT)
			log_line(LOG_WARN,
				 "name %s: the record on disk cannot be used: %s",
				 nm->file, err_text(r));
		buf_release(&b);
		return;
	}
	nm->bytes = b;
	nm->sequence = nm->rec.sequence;
	nm->fresh_until = age < ttl_ms(nm) ? now + ttl_ms(nm) - age : now;
}

static void on_written(void *arg, uint64_t version, int result)
{
	struct name *nm = arg;

	if (result < 0)
		log_line(LOG_ERROR, "name %s: cannot keep its record: %s", nm->file,
			 err_text(result));
	name_written(nm, version, result);
}

static struct name *find(const struct names *n, const struct peer_id *id)
{
	struct name *nm;

	TAILQ_FOREACH (nm, &n->all, of_names)
		if (peer_equal(&nm->id, id))
			return nm;
	return NULL;
}

struct name *names_get(struct names *n, const struct peer_id *id)
{
	struct name *nm = find(n, id);

	if (nm) {
		TAILQ_REMOVE(&n->all, nm, of_names);
		TAILQ_INSERT_TAIL(&n->all, nm, of_names);
		return nm;
	}
	make_room(n);
	nm = calloc(1, sizeof *nm);
	if (!nm)
		return NULL;
	nm->names = n;
	nm->id = *id;
	peer_name_text(id, nm->file);
	TAILQ_INIT(&nm->waiters);
	TAILQ_INIT(&nm->publishes);
	if (name_file_new(&nm->disk, n->loop, n->dir, nm->file, on_written, nm) < 0) {
		free(nm);
		return NULL;
	}
	TAILQ_INSERT_TAIL(&n->all, nm, of_names);
	n->n++;
	load(nm);
	return nm;
}

/* Of our own we know the newest ourselves, as long as it has not expired. */
static bool fresh(const struct name *nm)
{
	return nm->bytes.len && nm->rec.validity_ms > names_wall_ms() &&
	       (nm->own || nm->fresh_until > names_now(nm->names));
}

static void tell(const struct name *nm, struct resolved *out)
{
	out->record = nm->rec;
	memcpy(out->value, nm->rec.value, sizeof out->value);
	out->stale = !fresh(nm);
}

/* Watches that leave while they are called are freed here. */
static void sweep(struct names *n)
{
	struct name *nm;

	n->notifying = false;
	if (!n->left_any)
		return;
	n->left_any = false;
	TAILQ_FOREACH (nm, &n->all, of_names) {
		struct name_watch *w = LIST_FIRST(&nm->watches), *next;

		for (; w; w = next) {
			next = LIST_NEXT(w, of_name);
			if (!w->moved) {
				LIST_REMOVE(w, of_name);
				free(w);
			}
		}
	}
}

static void notify(struct name *nm)
{
	struct names *n = nm->names;
	struct resolved r;
	struct name_watch *w;
	bool outer = n->notifying;

	if (LIST_EMPTY(&nm->watches))
		return;
	tell(nm, &r);
	n->notifying = true;
	LIST_FOREACH(w, &nm->watches, of_name)
	if (w->moved)
		w->moved(w->arg, &r);
	if (!outer)
		sweep(n);
}

/* Two records of one number and different values: somebody has forked the name. */
static void look_for_fork(struct name *nm, const struct ipns_record *other)
{
	if (nm->fork_told || other->sequence != nm->rec.sequence ||
	    strcmp(other->value, nm->rec.value) == 0)
		return;
	nm->fork_told = true;
	log_line(LOG_WARN,
		 "name %s: two records have the number %llu and different values; "
		 "its key is used in two places",
		 nm->file, (unsigned long long)other->sequence);
}

int name_take(struct name *nm, const void *data, size_t len, bool durable)
{
	struct ipns_record rec;
	uint64_t now = names_now(nm->names);
	int r = ipns_verify(&rec, &nm->id, data, len, names_wall_ms());

	if (r < 0)
		return r;
	if (nm->bytes.len) {
		look_for_fork(nm, &rec);
		r = ipns_compare(data, len, nm->bytes.data, nm->bytes.len);
		if (r < 0)
			return 0;
		if (r == 0) {
			/* Heard again: it holds for another while. */
			nm->fresh_until = now + ttl_ms(nm);
			return 0;
		}
	}
	struct buf copy = { 0 };
	buf_append(&copy, data, len);
	if (copy.failed)
		return -ENOMEM;
	bool says_more = !nm->bytes.len || strcmp(nm->rec.value, rec.value) != 0 ||
			 nm->rec.sequence != rec.sequence;
	buf_release(&nm->bytes);
	nm->bytes = copy;
	nm->rec = rec;
	nm->fresh_until = now + ttl_ms(nm);
	if (rec.sequence > nm->sequence)
		nm->sequence = rec.sequence;
	if (!durable && !name_writing_own(nm))
		name_file_write(nm->disk, data, len);
	if (says_more)
		notify(nm);
	return 1;
}

/* ---- asking the network ---- */

static void plan_refresh(struct name *nm, int result)
{
	uint64_t now = names_now(nm->names), wait;

	if (result == 0 && nm->bytes.len) {
		nm->refresh_wait = 0;
		wait = nm->fresh_until > now ? nm->fresh_until - now : 0;
		if (wait < REFRESH_MIN_MS)
			wait = REFRESH_MIN_MS;
	} else {
		nm->refresh_wait =
		    nm->refresh_wait ? nm->refresh_wait * 2 : RETRY_FIRST_MS;
		if (nm->refresh_wait > RETRY_LAST_MS)
			nm->refresh_wait = RETRY_LAST_MS;
		wait = nm->refresh_wait;
	}
	nm->refresh_at = now + wait;
	if (!LIST_EMPTY(&nm->watches))
		names_wake(nm->names, nm->refresh_at);
}

static void on_value(void *arg, const uint8_t *value, size_t len)
{
	struct name *nm = arg;

	if (name_take(nm, value, len, false) >= 0)
		nm->got_any = true;
}

static void on_got(void *arg, int result)
{
	struct name *nm = arg;
	struct waiter *w;

	nm->getting = NULL;
	/* Asked, and nobody knows a newer one: what we have is up to date. */
	if (result == 0 && nm->got_any && nm->bytes.len) {
		uint64_t until = names_now(nm->names) + ttl_ms(nm);

		if (until > nm->fresh_until)
			nm->fresh_until = until;
	}
	plan_refresh(nm, result);
	while ((w = TAILQ_FIRST(&nm->waiters))) {
		TAILQ_REMOVE(&nm->waiters, w, in);
		w->result = nm->bytes.len ? 0 : result < 0 ? result : -ENOENT;
		TAILQ_INSERT_TAIL(&nm->names->ready, w, in);
		nm->n_ready++;
	}
	names_wake(nm->names, 0);
}

static void ask(struct name *nm)
{
	uint8_t key[IPNS_KEY_MAX];
	size_t len = ipns_key(&nm->id, key);

	if (nm->getting)
		return;
	nm->got_any = false;
	nm->getting = routing_get(nm->names->routing, key, len, on_value, on_got, nm);
	if (!nm->getting)
		on_got(nm, -ENOMEM);
}

/* ---- resolving ---- */

void names_resolve(struct names *n, const struct peer_id *name, enum resolve_how how,
		   void (*done)(void *arg, int result, const struct resolved *r),
		   void *arg)
{
	struct waiter *w = calloc(1, sizeof *w);
	struct name *nm = w ? names_get(n, name) : NULL;

	if (!nm) {
		/* No memory to say it later with. */
		free(w);
		done(arg, -ENOMEM, NULL);
		return;
	}
	*w = (struct waiter){ .name = nm, .done = done, .arg = arg };
	bool at_once =
	    nm->bytes.len && how != RESOLVE_REFRESH && (how == RESOLVE_FAST || fresh(nm));
	if (at_once) {
		TAILQ_INSERT_TAIL(&n->ready, w, in);
		nm->n_ready++;
		names_wake(n, 0);
		if (fresh(nm))
			return;
	} else {
		TAILQ_INSERT_TAIL(&nm->waiters, w, in);
	}
	ask(nm);
}

static void answer_ready(struct names *n)
{
	struct waiter *w;
	struct resolved r;

	/* Those that are added by a callback wait for the next round. */
	TAILQ_HEAD(, waiter) now;
	TAILQ_INIT(&now);
	TAILQ_CONCAT(&now, &n->ready, in);
	while ((w = TAILQ_FIRST(&now))) {
		TAILQ_REMOVE(&now, w, in);
		w->name->n_ready--;
		if (w->result == 0)
			tell(w->name, &r);
		w->done(w->arg, w->result, w->result == 0 ? &r : NULL);
		free(w);
	}
}

/* ---- following ---- */

struct name_watch *names_watch(struct names *n, const struct peer_id *name,
			       void (*moved)(void *arg, const struct resolved *r),
			       void *arg)
{
	struct name_watch *w = calloc(1, sizeof *w);
	struct name *nm = w ? names_get(n, name) : NULL;

	if (!nm) {
		free(w);
		return NULL;
	}
	*w = (struct name_watch){ .name = nm, .moved = moved, .arg = arg };
	LIST_INSERT_HEAD(&nm->watches, w, of_name);
	if (!nm->getting) {
		nm->refresh_at = fresh(nm) ? nm->fresh_until : names_now(n);
		names_wake(n, nm->refresh_at);
	}
	return w;
}

void name_unwatch(struct name_watch *w)
{
	struct names *n = w->name->names;

	if (n->notifying) {
		w->moved = NULL;
		n->left_any = true;
		return;
	}
	LIST_REMOVE(w, of_name);
	free(w);
}

static void on_timer(uv_timer_t *t)
{
	struct names *n = t->data;
	uint64_t now = names_now(n), next = UINT64_MAX;
	struct name *nm;

	TAILQ_FOREACH (nm, &n->all, of_names) {
		uint64_t due = name_publish_tick(nm, now);

		if (due < next)
			next = due;
		if (LIST_EMPTY(&nm->watches) || nm->getting)
			continue;
		if (nm->refresh_at <= now)
			ask(nm);
		else if (nm->refresh_at < next)
			next = nm->refresh_at;
	}
	if (next != UINT64_MAX)
		names_wake(n, next);
	answer_ready(n);
	names_answer_ended(n);
}

/* ---- what the DHT asks ---- */

static int name_of_key(struct peer_id *out, const void *key, size_t key_len)
{
	return key_len > 6 ? peer_decode(out, (const uint8_t *)key + 6, key_len - 6)
			   : ERR_MALFORMED;
}

static int check(void *arg, const void *key, size_t key_len, const void *value,
		 size_t len)
{
	struct ipns_record rec;
	struct peer_id name;
	int r = name_of_key(&name, key, key_len);

	return r < 0 ? r : ipns_verify(&rec, &name, value, len, names_wall_ms());
}

static int better(void *arg, const void *a, size_t a_len, const void *b, size_t b_len)
{
	return ipns_compare(a, a_len, b, b_len);
}

/* A record that comes to us as a server is news, if it is of a name in use;
 * strangers' names are not kept. */
static void stored(void *arg, const void *key, size_t key_len, const void *value,
		   size_t len)
{
	struct names *n = arg;
	struct peer_id id;

	if (name_of_key(&id, key, key_len) < 0)
		return;
	struct name *nm = find(n, &id);
	if (nm)
		name_take(nm, value, len, false);
}

static void on_online(void *arg)
{
	struct names *n = arg;
	struct name *nm;

	names_put_pending(n);
	/* Followers that could ask nobody ask now. */
	TAILQ_FOREACH (nm, &n->all, of_names)
		if (!LIST_EMPTY(&nm->watches) && !fresh(nm)) {
			nm->refresh_wait = 0;
			nm->refresh_at = 0;
		}
	names_wake(n, 0);
}

/* ---- beginning and end ---- */

static void on_timer_closed(uv_handle_t *h)
{
	free(h->data);
}

int names_new(struct names **out, struct routing *routing, const char *dir)
{
	struct names *n = calloc(1, sizeof *n);
	size_t len = strlen(dir) + sizeof "/names";
	int r;

	if (!n)
		return -ENOMEM;
	n->dir = malloc(len);
	if (!n->dir) {
		free(n);
		return -ENOMEM;
	}
	snprintf(n->dir, len, "%s/names", dir);
	TAILQ_INIT(&n->all);
	TAILQ_INIT(&n->ready);
	TAILQ_INIT(&n->ended);
	n->routing = routing;
	n->loop = swarm_loop(routing_swarm(routing));
	r = mkdir(n->dir, 0700) < 0 && errno != EEXIST ? -errno : 0;
	if (r == 0)
		r = uv_timer_init(n->loop, &n->timer);
	if (r < 0) {
		free(n->dir);
		free(n);
		return r;
	}
	n->timer.data = n;
	routing_validate(routing, &(struct routing_validator){ .ns = "ipns",
							       .check = check,
							       .better = better,
							       .stored = stored,
							       .arg = n });
	routing_watch(routing, on_online, n);
	names_load_own(n);
	if (routing_online(routing))
		names_put_pending(n);
	*out = n;
	return 0;
}

void names_free(struct names *n)
{
	struct name *nm;
	struct waiter *w;

	if (!n)
		return;
	n->closing = true;
	routing_unvalidate(n->routing, n);
	routing_watch(n->routing, NULL, NULL);
	TAILQ_FOREACH (nm, &n->all, of_names) {
		if (nm->getting)
			query_cancel(nm->getting);
		name_publish_end(nm);
	}
	names_answer_ended(n);
	while ((w = TAILQ_FIRST(&n->ready))) {
		TAILQ_REMOVE(&n->ready, w, in);
		w->done(w->arg, -ECANCELED, NULL);
		free(w);
	}
	while ((nm = TAILQ_FIRST(&n->all))) {
		struct name_watch *watch;

		while ((watch = LIST_FIRST(&nm->watches))) {
			LIST_REMOVE(watch, of_name);
			free(watch);
		}
		name_free(nm);
	}
	free(n->dir);
	uv_close((uv_handle_t *)&n->timer, on_timer_closed);
}
