#include "net/kad_lookup.h"

#include <stdlib.h>

/* Peers of one path that wait to be asked: the nearest are kept. */
#define PATH_WAITING_MAX 64

/*
 *	HEARD ---- asked ----> ASKED ---- answered ----> ANSWERED
 *	                         |                          ^
 *	                         +---- failed, late ---> FAILED (a late answer counts)
 */
enum state { HEARD, ASKED, ANSWERED, FAILED };

struct candidate {
	struct peer_id peer;
	struct kad_id id;
	enum state state;
	uint16_t paths; /* a bit for each path that knows it */
	uint8_t path;   /* on which it was asked */
	uint8_t named;  /* how many it has named */
	uint64_t asked; /* when */
	uint16_t addrs_len;
	uint8_t addrs[];
};

struct kad_lookup {
	struct lookup_config cfg;
	struct kad_id self;
	struct candidate **c; /* nearest first */
	size_t n, cap;
	unsigned asked, answers;
	unsigned turn;       /* the path that is served next */
	uint16_t paths_used; /* paths that have known a peer */
	bool done;
};

struct kad_lookup *kad_lookup_new(const struct lookup_config *cfg)
{
	struct kad_lookup *l = calloc(1, sizeof *l);

	if (!l)
		return NULL;
	l->cfg = *cfg;
	if (l->cfg.paths > LOOKUP_PATHS_MAX)
		l->cfg.paths = LOOKUP_PATHS_MAX;
	if (l->cfg.paths < 1)
		l->cfg.paths = 1;
	l->self = kad_id_of_peer(&cfg->self);
	return l;
}

void kad_lookup_free(struct kad_lookup *l)
{
	if (!l)
		return;
	for (size_t i = 0; i < l->n; i++)
		free(l->c[i]);
	free(l->c);
	free(l);
}

/* Where `id` is, or where it would stand. */
static size_t place(const struct kad_lookup *l, const struct kad_id *id, bool *there)
{
	size_t low = 0, high = l->n;

	*there = false;
	while (low < high) {
		size_t mid = low + (high - low) / 2;
		int d = kad_nearer(&l->cfg.target, id, &l->c[mid]->id);

		if (d == 0) {
			*there = true;
			return mid;
		}
		if (d < 0)
			high = mid;
		else
			low = mid + 1;
	}
	return low;
}

static struct candidate *find(const struct kad_lookup *l, const struct peer_id *p)
{
	struct kad_id id = kad_id_of_peer(p);
	bool there;
	size_t at = place(l, &id, &there);

	return there ? l->c[at] : NULL;
}

static void drop(struct kad_lookup *l, size_t at)
{
	free(l->c[at]);
	memmove(l->c + at, l->c + at + 1, (l->n - at - 1) * sizeof *l->c);
	l->n--;
}

/* Make room on a path that names too many: the farthest goes.  False if that
 * is the newcomer itself. */
static bool make_room(struct kad_lookup *l, unsigned path, const struct kad_id *newcomer)
{
	size_t farthest = l->n;
	unsigned waiting = 0;

	for (size_t i = 0; i < l->n; i++)
		if (l->c[i]->state == HEARD && l->c[i]->paths & 1u << path) {
			waiting++;
			farthest = i;
		}
	if (waiting < PATH_WAITING_MAX)
		return true;
	if (kad_nearer(&l->cfg.target, newcomer, &l->c[farthest]->id) > 0)
		return false;
	l->c[farthest]->paths &= ~(1u << path);
	if (!l->c[farthest]->paths)
		drop(l, farthest);
	return true;
}

static void add(struct kad_lookup *l, unsigned path, const struct peer_id *p,
		const uint8_t *addrs, size_t addrs_len)
{
	struct kad_id id = kad_id_of_peer(p);
	bool there;
	size_t at = place(l, &id, &there);

	if (memcmp(&id, &l->self, sizeof id) == 0)
		return;
	if (there) {
		l->c[at]->paths |= 1u << path;
		l->paths_used |= 1u << path;
		return;
	}
	if (!make_room(l, path, &id))
		return;
	at = place(l, &id, &there);
	if (l->n == l->cap) {
		size_t cap = l->cap ? l->cap * 2 : 32;
		struct candidate **c = realloc(l->c, cap * sizeof *c);

		if (!c)
			return;
		l->c = c;
		l->cap = cap;
	}
	if (addrs_len > KAD_ADDRS_SIZE)
		addrs_len = 0;
	struct candidate *new = malloc(sizeof *new + addrs_len);
	if (!new)
		return;
	*new =
	    (struct candidate){ .peer = *p, .id = id, .paths = (uint16_t)(1u << path) };
	new->addrs_len = (uint16_t)addrs_len;
	if (addrs_len)
		memcpy(new->addrs, addrs, addrs_len);
	memmove(l->c + at + 1, l->c + at, (l->n - at) * sizeof *l->c);
	l->c[at] = new;
	l->n++;
	l->paths_used |= 1u << path;
}

/* A path that never knew a peer; -1 if all have. */
static int unused_path(const struct kad_lookup *l)
{
	for (unsigned i = 0; i < l->cfg.paths; i++)
		if (!(l->paths_used & 1u << i))
			return (int)i;
	return -1;
}

void kad_lookup_start(struct kad_lookup *l, const struct kad_contact *c)
{
	int path = unused_path(l);

	if (path < 0)
		path = (int)(l->turn++ % l->cfg.paths);
	add(l, (unsigned)path, &c->peer, c->addrs, c->addrs_len);
}

void kad_lookup_heard(struct kad_lookup *l, const struct peer_id *from,
		      const struct peer_id *p, const uint8_t *addrs, size_t addrs_len)
{
	struct candidate *c = find(l, from);

	if (!c || c->state == HEARD || c->named == KAD_K)
		return;
	c->named++;
	/* While we know fewer peers than there are paths, an answer opens new ones. */
	int path = unused_path(l);
	add(l, path >= 0 && c->named > 1 ? (unsigned)path : c->path, p, addrs, addrs_len);
}

void kad_lookup_answered(struct kad_lookup *l, const struct peer_id *p)
{
	struct candidate *c = find(l, p);

	if (!c || c->state == HEARD || c->state == ANSWERED)
		return;
	c->state = ANSWERED;
	l->answers++;
}

void kad_lookup_failed(struct kad_lookup *l, const struct peer_id *p)
{
	struct candidate *c = find(l, p);

	if (c && c->state == ASKED)
		c->state = FAILED;
}

/* Is this peer so near that it must have answered, whatever its rank? */
static bool in_region(const struct kad_lookup *l, const struct candidate *c)
{
	if (!l->cfg.has_region)
		return false;
	struct kad_id d = kad_distance(&l->cfg.target, &c->id);
	return memcmp(&d, &l->cfg.region, sizeof d) <= 0;
}

/* The peer to ask on this path now, or NULL: it is over, or has to wait. */
static struct candidate *next_on_path(const struct kad_lookup *l, unsigned path,
				      uint64_t now)
{
	struct candidate *next = NULL;
	unsigned seen = 0;

	for (size_t i = 0; i < l->n && seen < l->cfg.path_end; i++) {
		struct candidate *c = l->c[i];

		if (!(c->paths & 1u << path) || c->state == FAILED)
			continue;
		seen++;
		if (c->state == HEARD && !next)
			next = c;
	}
	for (size_t i = 0; next && i < l->n; i++)
		if (l->c[i]->state == ASKED && l->c[i]->path == path &&
		    now < l->c[i]->asked + l->cfg.slow_ms)
			return NULL;
	return next;
}

/* When every path is over: who of the nearest of all has not been asked. */
static struct candidate *next_of_all(const struct kad_lookup *l)
{
	unsigned seen = 0;

	for (size_t i = 0; i < l->n; i++) {
		struct candidate *c = l->c[i];

		if (c->state == FAILED)
			continue;
		if (seen++ >= l->cfg.closest && !in_region(l, c))
			break;
		if (c->state == HEARD)
			return c;
	}
	return NULL;
}

/* Is anything in flight that the end has to wait for? */
static bool waited_for(const struct kad_lookup *l)
{
	unsigned seen = 0, of_path[LOOKUP_PATHS_MAX] = { 0 };

	for (size_t i = 0; i < l->n; i++) {
		const struct candidate *c = l->c[i];
		bool near = false;

		if (c->state == FAILED)
			continue;
		near = seen++ < l->cfg.closest || in_region(l, c);
		for (unsigned p = 0; p < l->cfg.paths; p++)
			if (c->paths & 1u << p)
				near |= of_path[p]++ < l->cfg.path_end;
		if (near && c->state == ASKED)
			return true;
	}
	return false;
}

static unsigned in_flight(const struct kad_lookup *l, uint64_t now)
{
	unsigned n = 0;

	for (size_t i = 0; i < l->n; i++)
		n += l->c[i]->state == ASKED && now < l->c[i]->asked + l->cfg.slow_ms;
	return n;
}

static struct candidate *choose(struct kad_lookup *l, uint64_t now)
{
	if (l->asked >= l->cfg.ask_max)
		return NULL;
	for (unsigned i = 0; i < l->cfg.paths; i++) {
		unsigned path = (l->turn + i) % l->cfg.paths;
		struct candidate *c = next_on_path(l, path, now);

		if (c) {
			c->path = (uint8_t)path;
			l->turn = path + 1;
			return c;
		}
	}
	/* The rest of the nearest, once no path has anything of its own to ask. */
	if (in_flight(l, now) >= l->cfg.paths)
		return NULL;
	struct candidate *c = next_of_all(l);
	if (c)
		c->path = (uint8_t)__builtin_ctz(c->paths);
	return c;
}

enum lookup_next kad_lookup_next(struct kad_lookup *l, uint64_t now,
				 struct kad_contact *ask, uint64_t *wake)
{
	uint64_t end = l->cfg.now + l->cfg.total_ms;

	*wake = end;
	if (now >= end)
		l->done = true;
	if (l->done)
		return LOOKUP_DONE;
	for (size_t i = 0; i < l->n; i++)
		if (l->c[i]->state == ASKED && now >= l->c[i]->asked + l->cfg.patience_ms)
			l->c[i]->state = FAILED;

	struct candidate *c = choose(l, now);
	if (c) {
		c->state = ASKED;
		c->asked = now;
		l->asked++;
		*ask = (struct kad_contact){ c->peer, c->id, c->addrs, c->addrs_len };
		return LOOKUP_ASK;
	}
	if (!waited_for(l)) {
		l->done = true;
		return LOOKUP_DONE;
	}
	for (size_t i = 0; i < l->n; i++) {
		if (l->c[i]->state != ASKED)
			continue;
		uint64_t at = l->c[i]->asked + l->cfg.slow_ms;
		if (at <= now)
			at = l->c[i]->asked + l->cfg.patience_ms;
		if (at < *wake)
			*wake = at;
	}
	return LOOKUP_WAIT;
}

unsigned kad_lookup_within(const struct kad_lookup *l, const struct kad_id *distance)
{
	unsigned n = 0;

	for (size_t i = 0; i < l->n; i++) {
		struct kad_id d = kad_distance(&l->cfg.target, &l->c[i]->id);

		if (memcmp(&d, distance, sizeof d) > 0)
			break;
		n += l->c[i]->state != FAILED;
	}
	return n;
}

void kad_lookup_widen(struct kad_lookup *l, const struct kad_id *region)
{
	l->cfg.has_region = true;
	l->cfg.region = *region;
	l->done = false;
}

int kad_lookup_closest(const struct kad_lookup *l, unsigned k, struct kad_contact *out,
		       int max)
{
	unsigned seen = 0;
	int n = 0;

	for (size_t i = 0; i < l->n && n < max; i++) {
		const struct candidate *c = l->c[i];

		if (c->state != ANSWERED)
			continue;
		if (seen++ >= k && !in_region(l, c))
			break;
		out[n++] = (struct kad_contact){ c->peer, c->id, c->addrs, c->addrs_len };
	}
	return n;
}

unsigned kad_lookup_asked(const struct kad_lookup *l)
{
	return l->asked;
}

unsigned kad_lookup_answers(const struct kad_lookup *l)
{
	return l->answers;
}
