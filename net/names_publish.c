/*
 * Our own names.  A record leaves only when it is durable, so that no number is
 * used twice, whatever happens.
 *
 *	publish:  (LOOKING) ----> WRITING ---- durable ----> PUTTING ----> done
 *
 * LOOKING only the first time a name is published here: somebody may have used
 * its key elsewhere, and its numbers must go on from there.
 */
#include "net/names_internal.h"

#include "store/error.h"
#include "store/log.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define OWN_SUFFIX   ".own"
#define OWN_MAX      64
#define PUT_RETRY_MS 60000

struct publish {
	TAILQ_ENTRY(publish) of_name;
	struct names *names;
	struct name *name;
	char value[IPNS_VALUE_MAX];
	uint64_t lifetime_ms, ttl_ms;
	uint8_t extra[sizeof((struct ipns_record *)0)->extra];
	size_t extra_len;
	struct buf record;
	uint64_t version; /* of the file; 0: not written yet */
	bool durable;
	struct query *query;
	int result;
	void (*done)(void *arg, int result);
	void *arg;
};

/* The only way out.  The timer tells the caller, so that this is never from
 * inside names_publish(). */
static void finish(struct publish *p, int result)
{
	TAILQ_REMOVE(&p->name->publishes, p, of_name);
	p->result = result;
	TAILQ_INSERT_TAIL(&p->names->ended, p, of_name);
	names_wake(p->names, 0);
}

void names_answer_ended(struct names *n)
{
	struct publish *p;

	while ((p = TAILQ_FIRST(&n->ended))) {
		TAILQ_REMOVE(&n->ended, p, of_name);
		if (p->done)
			p->done(p->arg, p->result);
		buf_release(&p->record);
		free(p);
	}
}

bool name_writing_own(const struct name *nm)
{
	const struct publish *p;

	TAILQ_FOREACH (p, &nm->publishes, of_name)
		if (p->version && !p->durable)
			return true;
	return false;
}

static int64_t end_of(uint64_t lifetime_ms)
{
	const uint64_t most = (uint64_t)1 << 52; /* past the year 9999 */

	return names_wall_ms() + (int64_t)(lifetime_ms < most ? lifetime_ms : most);
}

/* ---- putting ---- */

static void on_put(void *arg, int result)
{
	struct publish *p = arg;
	struct name *nm = p->name;

	p->query = NULL;
	if (result > 0) {
		nm->put_pending = false;
	} else if (result != -ECANCELED) {
		nm->put_pending = true;
		nm->republish_at = names_now(nm->names) + PUT_RETRY_MS;
		names_wake(nm->names, nm->republish_at);
	}
	/* Kept and served: that nobody else has it yet is no failure. */
	finish(p, result > 0 || result == -ECANCELED ? result : 0);
}

static void put(struct publish *p)
{
	struct name *nm = p->name;
	uint8_t key[IPNS_KEY_MAX];
	size_t len = ipns_key(&nm->id, key);

	nm->republish_at = names_now(nm->names) + REPUBLISH_MS;
	names_wake(nm->names, nm->republish_at);
	p->query = routing_put(nm->names->routing, key, len, p->record.data,
			       p->record.len, on_put, p);
	if (!p->query)
		on_put(p, -ENOMEM);
}

/* ---- keeping ---- */

void name_written(struct name *nm, uint64_t version, int result)
{
	struct publish *p, *next;

	for (p = TAILQ_FIRST(&nm->publishes); p; p = next) {
		next = TAILQ_NEXT(p, of_name);
		if (!p->version || p->version > version || p->durable)
			continue;
		if (result < 0) {
			finish(p, result);
			continue;
		}
		p->durable = true;
		/* If a better one came meanwhile, that is what belongs on the disk. */
		if (name_take(nm, p->record.data, p->record.len, true) == 0)
			name_file_write(nm->disk, nm->bytes.data, nm->bytes.len);
		put(p);
	}
}

/* Remember across restarts that it is ours, and how it is to be signed. */
static int mark_own(struct name *nm, uint64_t lifetime_ms, uint64_t ttl_ms)
{
	char path[4096], text[OWN_MAX];
	FILE *f;
	int r = 0;

	if (nm->own && nm->lifetime_ms == lifetime_ms && nm->ttl_ms == ttl_ms)
		return 0;
	nm->own = true;
	nm->lifetime_ms = lifetime_ms;
	nm->ttl_ms = ttl_ms;
	if (snprintf(path, sizeof path, "%s/%s" OWN_SUFFIX, nm->names->dir, nm->file) >=
	    (int)sizeof path)
		return -ENAMETOOLONG;
	snprintf(text, sizeof text, "%llu %llu\n", (unsigned long long)nm->lifetime_ms,
		 (unsigned long long)nm->ttl_ms);
	f = fopen(path, "we");
	if (!f)
		return -errno;
	if (fputs(text, f) < 0)
		r = -EIO;
	if (fclose(f) < 0 && r == 0)
		r = -errno;
	return r;
}

static int sign(struct publish *p, uint64_t sequence)
{
	struct name *nm = p->name;
	struct ipns_record rec = { .sequence = sequence,
				   .validity_ms = end_of(p->lifetime_ms),
				   .ttl_ns = p->ttl_ms < UINT64_MAX / 1000000
						 ? p->ttl_ms * 1000000
						 : UINT64_MAX };

	memcpy(rec.value, p->value, sizeof rec.value);
	memcpy(rec.extra, p->extra, p->extra_len);
	rec.extra_len = p->extra_len;
	return ipns_sign(&p->record, &nm->key, &rec);
}

static void write_record(struct publish *p)
{
	struct name *nm = p->name;

	p->version = name_file_write(nm->disk, p->record.data, p->record.len);
	if (!p->version)
		finish(p, -ENOMEM);
}

/* The name is known as far as it can be: give the next number. */
static void on_looked(void *arg, int result)
{
	struct publish *p = arg;
	struct name *nm = p->name;
	int r;

	p->query = NULL;
	if (result == -ECANCELED) {
		finish(p, result);
		return;
	}
	if (nm->sequence == UINT64_MAX) {
		log_line(LOG_ERROR,
			 "name %s: its record has the highest number there is; "
			 "it can never be changed again",
			 nm->file);
		finish(p, -EOVERFLOW);
		return;
	}
	r = sign(p, nm->sequence + 1);
	if (r < 0) {
		finish(p, r);
		return;
	}
	nm->sequence++;
	write_record(p);
}

static void on_older(void *arg, const uint8_t *value, size_t len)
{
	struct publish *p = arg;

	name_take(p->name, value, len, false);
}

void names_publish(struct names *n, const struct secret_key *key, const char *value,
		   const struct publish_options *o, void (*done)(void *arg, int result),
		   void *arg)
{
	struct public_key public;
	struct peer_id id;
	uint8_t dht_key[IPNS_KEY_MAX];
	struct publish *p = calloc(1, sizeof *p);

	key_public(key, &public);
	key_peer(&public, &id);
	struct name *nm = p ? names_get(n, &id) : NULL;
	if (!nm) {
		/* No memory to say it later with. */
		free(p);
		done(arg, -ENOMEM);
		return;
	}
	p->names = n;
	p->name = nm;
	p->lifetime_ms = o && o->lifetime_ms ? o->lifetime_ms : DEFAULT_LIFETIME_MS;
	p->ttl_ms = o && o->ttl_ms ? o->ttl_ms : DEFAULT_TTL_MS;
	p->done = done;
	p->arg = arg;
	TAILQ_INSERT_TAIL(&nm->publishes, p, of_name);
	if (snprintf(p->value, sizeof p->value, "%s", value) >= (int)sizeof p->value ||
	    (o && o->extra_len > sizeof p->extra)) {
		finish(p, -EMSGSIZE);
		return;
	}
	if (o && o->extra_len) {
		memcpy(p->extra, o->extra, o->extra_len);
		p->extra_len = o->extra_len;
	}
	nm->has_key = true;
	nm->key = *key;
	int r = mark_own(nm, p->lifetime_ms, p->ttl_ms);
	if (r < 0)
		log_line(LOG_WARN,
			 "name %s: it will not be published again after a restart: %s",
			 nm->file, err_text(r));
	if (nm->bytes.len || nm->sequence) {
		on_looked(p, 0);
		return;
	}
	p->query = routing_get(n->routing, dht_key, ipns_key(&id, dht_key), on_older,
			       on_looked, p);
	if (!p->query)
		on_looked(p, 0);
}

/* ---- again and again ---- */

/* Put the newest record again, signed anew where we have the key: its number
 * stays, its time runs longer. */
static void republish(struct name *nm)
{
	struct publish *p = calloc(1, sizeof *p);

	if (!p)
		return;
	p->names = nm->names;
	p->name = nm;
	p->lifetime_ms = nm->lifetime_ms;
	p->ttl_ms = nm->ttl_ms;
	memcpy(p->value, nm->rec.value, sizeof p->value);
	/* The same value signed again keeps what rides with it. */
	memcpy(p->extra, nm->rec.extra, nm->rec.extra_len);
	p->extra_len = nm->rec.extra_len;
	TAILQ_INSERT_TAIL(&nm->publishes, p, of_name);
	nm->republish_at = names_now(nm->names) + REPUBLISH_MS;
	/* Half of its time is enough to go on with. */
	bool young =
	    nm->rec.validity_ms - names_wall_ms() > (int64_t)(nm->lifetime_ms / 2);
	if (nm->has_key && !(nm->put_pending && young)) {
		int r = sign(p, nm->rec.sequence);

		if (r < 0)
			finish(p, r);
		else
			write_record(p);
		return;
	}
	if (nm->rec.validity_ms <= names_wall_ms()) {
		log_line(LOG_WARN, "name %s: its record has expired; publish it again",
			 nm->file);
		finish(p, -ETIME);
		return;
	}
	buf_append(&p->record, nm->bytes.data, nm->bytes.len);
	p->durable = true;
	put(p);
}

uint64_t name_publish_tick(struct name *nm, uint64_t now)
{
	if (!nm->own || !nm->bytes.len)
		return UINT64_MAX;
	if (nm->republish_at <= now && TAILQ_EMPTY(&nm->publishes))
		republish(nm);
	return nm->republish_at > now ? nm->republish_at : now + PUT_RETRY_MS;
}

void names_put_pending(struct names *n)
{
	struct name *nm;

	TAILQ_FOREACH (nm, &n->all, of_names)
		if (nm->own && nm->put_pending)
			nm->republish_at = 0;
	names_wake(n, 0);
}

static void load_one(struct names *n, const char *file)
{
	char name[PEER_TEXT_MAX];
	size_t len = strlen(file) - strlen(OWN_SUFFIX);
	unsigned long long lifetime, ttl;
	struct buf text = { 0 };
	struct peer_id id;
	uint64_t age;

	if (len >= sizeof name)
		return;
	memcpy(name, file, len);
	name[len] = 0;
	if (peer_parse(&id, name, len) < 0 ||
	    name_file_read(n->dir, file, OWN_MAX, &text, &age) < 0)
		goto out;
	buf_u8(&text, 0);
	if (text.failed ||
	    sscanf((const char *)text.data, "%llu %llu", &lifetime, &ttl) != 2)
		goto out;
	struct name *nm = names_get(n, &id);
	if (!nm || !nm->bytes.len)
		goto out;
	nm->own = true;
	nm->lifetime_ms = lifetime;
	nm->ttl_ms = ttl;
	nm->put_pending = true;
	nm->republish_at = names_now(n) + PUT_RETRY_MS;
	/* Our identity is the one key we always have. */
	struct swarm *swarm = routing_swarm(n->routing);
	if (peer_equal(&id, swarm_self(swarm))) {
		nm->has_key = true;
		nm->key = *swarm_key(swarm);
	}
out:
	buf_release(&text);
}

void names_have_key(struct names *n, const struct secret_key *key)
{
	struct public_key public;
	struct peer_id id;
	struct name *nm;

	key_public(key, &public);
	key_peer(&public, &id);
	/* One that is not ours is none that we publish. */
	TAILQ_FOREACH (nm, &n->all, of_names)
		if (nm->own && peer_equal(&nm->id, &id)) {
			nm->has_key = true;
			nm->key = *key;
		}
}

void names_retire(struct names *n, const struct peer_id *name)
{
	char path[4096];
	struct name *nm;

	TAILQ_FOREACH (nm, &n->all, of_names)
		if (nm->own && peer_equal(&nm->id, name)) {
			nm->own = nm->has_key = nm->put_pending = false;
			explicit_bzero(&nm->key, sizeof nm->key);
			if (snprintf(path, sizeof path, "%s/%s" OWN_SUFFIX, n->dir,
				     nm->file) < (int)sizeof path &&
			    unlink(path) < 0 && errno != ENOENT)
				log_line(LOG_WARN, "cannot remove %s: %s", path,
					 err_text(-errno));
			return;
		}
}

void names_load_own(struct names *n)
{
	DIR *d = opendir(n->dir);
	struct dirent *e;

	while (d && (e = readdir(d))) {
		size_t len = strlen(e->d_name), suffix = strlen(OWN_SUFFIX);

		if (len > suffix && strcmp(e->d_name + len - suffix, OWN_SUFFIX) == 0)
			load_one(n, e->d_name);
	}
	if (d)
		closedir(d);
	names_wake(n, names_now(n) + PUT_RETRY_MS);
}

void name_publish_end(struct name *nm)
{
	struct publish *p;

	while ((p = TAILQ_FIRST(&nm->publishes)))
		if (p->query)
			query_cancel(p->query);
		else
			finish(p, -ECANCELED);
}
