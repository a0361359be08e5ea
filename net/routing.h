/*
 * Who has it, and what a name points at: the Kademlia DHT (wire.md 8).  Loop
 * thread only.
 *
 * With the public prefix "/ipfs" two tables run side by side, as in Kubo:
 * /ipfs/kad/1.0.0 for peers with public addresses and /ipfs/lan/kad/1.0.0 for
 * private ones (always server unless mode is client).  Any other prefix is one private
 * network, <prefix>/kad/1.0.0, without address filters.  Questions go to all tables and
 * the answers are merged.
 */
#ifndef NET_ROUTING_H
#define NET_ROUTING_H

#include "net/swarm.h"

struct routing;
struct query;

enum dht_mode { DHT_AUTO, DHT_SERVER, DHT_CLIENT };

struct routing_config {
	struct swarm *swarm;
	const char *prefix; /* "/ipfs" */
	enum dht_mode mode;
	const struct addr *bootstrap; /* with /p2p where known; copied */
	int n_bootstrap;
};

int routing_new(struct routing **out, const struct routing_config *cfg);
/* Ends all queries with -ECANCELED.  Not from inside a callback of routing; before
 * swarm_free(). */
void routing_free(struct routing *r);

struct swarm *routing_swarm(const struct routing *r);
/* Is anybody known to ask? */
bool routing_online(const struct routing *r);

/*
 * How values of a namespace ("ipns", "pk") are judged.  check: 0 if `value` is
 * valid for `key` now (unix ms).  better: >0 if `a` is better than `b`, 0 equal.
 * stored (may be NULL): a peer has put a valid value here, better than what was kept.
 */
struct routing_validator {
	const char *ns;
	int (*check)(void *arg, const void *key, size_t key_len, const void *value,
		     size_t len);
	int (*better)(void *arg, const void *a, size_t a_len, const void *b,
		      size_t b_len);
	void (*stored)(void *arg, const void *key, size_t key_len, const void *value,
		       size_t len);
	void *arg;
};
/* Up to 4; `ns` is borrowed.  "pk" is judged by routing itself. */
void routing_validate(struct routing *r, const struct routing_validator *v);
/* Forget the validator with this `arg`: no callback of it comes any more. */
void routing_unvalidate(struct routing *r, void *arg);

/* on_online is called when there are peers to ask after there were none; one at a time
 * (NULL: none). */
void routing_watch(struct routing *r, void (*on_online)(void *arg), void *arg);

/*
 * All queries: callbacks never come from inside the call that started them;
 * `done` is called exactly once, last, also after query_cancel() (-ECANCELED, before
 * that returns).  A query may be cancelled from its callbacks, but not from its
 * `done`.  NULL if out of memory.  At most 16 run at a time, the others wait;
 * while bootstrap peers are being dialled and nobody else is known, all do.
 */

/* Peers that provide `key` (as they are found; addresses are in the address book
 * already), up to `max` (0: all).  done: 0, or -ENETUNREACH if no peer was there to ask.
 */
struct query *routing_providers(struct routing *r, const struct multihash *key, int max,
				void (*found)(void *arg, const struct peer_id *p),
				void (*done)(void *arg, int result), void *arg);
/* Tell the network that we have `key`: to the 20 closest, and again every 22 h as long as
 * we run; later if nobody can be told now.  done: the number told, or -ENETUNREACH. */
struct query *routing_provide(struct routing *r, const struct multihash *key,
			      void (*done)(void *arg, int result), void *arg);
/* The best valid value; `value` is called for each better one seen.  done: 0, -ENOENT
 * (those asked have none), -ENETUNREACH (nobody to ask, and none is kept here). */
struct query *routing_get(struct routing *r, const void *key, size_t key_len,
			  void (*value)(void *arg, const uint8_t *value, size_t len),
			  void (*done)(void *arg, int result), void *arg);
/* Store a value at the 20 closest.  done: how many took it, or negative. */
struct query *routing_put(struct routing *r, const void *key, size_t key_len,
			  const void *value, size_t len,
			  void (*done)(void *arg, int result), void *arg);
/* Find where a peer is: the addresses go to the address book. done: 0, -ENOENT. */
struct query *routing_find_peer(struct routing *r, const struct peer_id *p,
				void (*done)(void *arg, int result), void *arg);
void query_cancel(struct query *q);

struct routing_stat {
	uint32_t table_peers;                     /* in all tables */
	bool server;                              /* serving in at least one */
	uint32_t provider_records, value_records; /* kept for others */
	uint32_t queries;
};
void routing_stat(struct routing *r, struct routing_stat *out);

#endif
