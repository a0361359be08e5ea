/*
 * The names of this node, inside.
 *	names.c		the newest record of each, resolving, following
 *	names_publish.c	our own: signing, putting, putting again
 *	names_file.c	the record on disk
 */
#ifndef NET_NAMES_INTERNAL_H
#define NET_NAMES_INTERNAL_H

#include "net/names.h"
#include "net/names_file.h"

#include <sys/queue.h>

#define REPUBLISH_MS        ((uint64_t)4 * 3600 * 1000)
#define DEFAULT_LIFETIME_MS ((uint64_t)48 * 3600 * 1000)
#define DEFAULT_TTL_MS      ((uint64_t)5 * 60 * 1000)

struct waiter;
struct publish;

/* One name.  All times are of the loop's clock, ms. */
struct name {
	TAILQ_ENTRY(name) of_names; /* the one used last stands last */
	struct names *names;
	struct peer_id id;
	char file[PEER_TEXT_MAX];
	struct buf bytes; /* the newest record; empty: none is known */
	struct ipns_record rec;
	uint64_t fresh_until;
	bool fork_told;
	unsigned n_ready; /* waiters that are answered next */
	struct name_file *disk;

	struct query *getting;
	bool got_any;                      /* by the query under way */
	uint64_t refresh_at, refresh_wait; /* for the watches */
	TAILQ_HEAD(, waiter) waiters;      /* for the query under way */
	LIST_HEAD(, name_watch) watches;

	/* Only of our own: */
	bool own, has_key;
	struct secret_key key;
	uint64_t lifetime_ms, ttl_ms;
	uint64_t sequence; /* handed out last */
	uint64_t republish_at;
	bool put_pending; /* nobody has taken it yet */
	struct query *putting;
	TAILQ_HEAD(, publish) publishes;
};

struct waiter {
	TAILQ_ENTRY(waiter) in;
	struct name *name;
	int result;
	void (*done)(void *arg, int result, const struct resolved *r);
	void *arg;
};

struct name_watch {
	LIST_ENTRY(name_watch) of_name;
	struct name *name; /* NULL: left while being called */
	void (*moved)(void *arg, const struct resolved *r);
	void *arg;
};

struct names {
	struct routing *routing;
	uv_loop_t *loop;
	uv_timer_t timer;
	char *dir;
	bool closing;
	uint32_t n;
	TAILQ_HEAD(name_list, name) all;
	TAILQ_HEAD(, waiter) ready; /* to be answered by the timer */
	TAILQ_HEAD(, publish) ended;
	bool notifying; /* watches are being called: none is freed */
	bool left_any;
};

uint64_t names_now(const struct names *n);
int64_t names_wall_ms(void);
/* The name, loaded from disk if it is there; NULL: out of memory. */
struct name *names_get(struct names *n, const struct peer_id *id);
/*
 * A record that may be newer.  1: it is, and is now ours; 0: it is not; negative:
 * not valid.  `durable`: it is on disk already.
 */
int name_take(struct name *nm, const void *data, size_t len, bool durable);
/* Have the timer run at `when` at the latest. */
void names_wake(struct names *n, uint64_t when);

/* names_publish.c */
void names_load_own(struct names *n);
void name_written(struct name *nm, uint64_t version, int result);
/* What is due of this name; the time when to come again, or UINT64_MAX. */
uint64_t name_publish_tick(struct name *nm, uint64_t now);
void names_put_pending(struct names *n);
/* Ends what is under way with -ECANCELED. */
void name_publish_end(struct name *nm);
/* Tell those whose publishing has ended. */
void names_answer_ended(struct names *n);
/* Is a record of ours on its way to the disk? */
bool name_writing_own(const struct name *nm);

#endif
