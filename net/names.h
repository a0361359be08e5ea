/*
 * Names: publishing our own, resolving and following others'.  Loop thread
 * only.  The newest verified record of every name ever resolved is kept on
 * disk (directory `names/`), so a name opens at once and never goes back, across
 * restarts; sequence numbers of our own are durable before a record leaves.
 */
#ifndef NET_NAMES_H
#define NET_NAMES_H

#include "net/ipns.h"
#include "net/routing.h"

struct names;

/* `dir` is the repository; records are kept in dir/names. */
int names_new(struct names **out, struct routing *routing, const char *dir);
void names_free(struct names *n);

struct publish_options {
	uint64_t lifetime_ms; /* 0: 48 h */
	uint64_t ttl_ms;      /* 0: 5 min */
	const void *extra;    /* the record's `_cairn`: ipns_record.extra */
	size_t extra_len;     /* 0: none; too long: -EMSGSIZE */
};
/*
 * Sign `value` ("/ipfs/CID…") under `key` with the next sequence number, keep it,
 * put it to the DHT and from now on every 4 h.  done: the number of peers that
 * took it (0 is possible when alone: it is kept, served and put later), or
 * negative if it could not be kept.
 */
void names_publish(struct names *n, const struct secret_key *key, const char *value,
		   const struct publish_options *o, void (*done)(void *arg, int result),
		   void *arg);

/*
 * After a restart: the key of a name that was published here, so that its record
 * can be signed again before it expires.  (That of this node is known.)
 */
void names_have_key(struct names *n, const struct secret_key *key);
/* Publish a name no more: its record is left to expire. */
void names_retire(struct names *n, const struct peer_id *name);

struct resolved {
	char value[IPNS_VALUE_MAX]; /* "/ipfs/CID…" or "/ipns/…", as the record says */
	struct ipns_record record;
	bool stale; /* past its TTL and not refreshed (yet) */
};
/*
 * What a name says.  A record within its TTL is answered from memory or disk;
 * an older one is refreshed through routing first, unless `fast`, which takes
 * what is there and refreshes behind.  `refresh` asks the network always.
 * done (never from inside this call): 0 and a result; -ENOENT: no record anywhere;
 * -ENETUNREACH.
 */
enum resolve_how { RESOLVE_NORMAL, RESOLVE_FAST, RESOLVE_REFRESH };
void names_resolve(struct names *n, const struct peer_id *name, enum resolve_how how,
		   void (*done)(void *arg, int result, const struct resolved *r),
		   void *arg);

/*
 * Follow a name: it is refreshed when its TTL ends, and `moved` is called with
 * every newer record (also one we publish here or that a resolve brings).
 */
struct name_watch;
struct name_watch *names_watch(struct names *n, const struct peer_id *name,
			       void (*moved)(void *arg, const struct resolved *r),
			       void *arg);
void name_unwatch(struct name_watch *w);

#endif
