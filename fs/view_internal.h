/*
 * The parts of a view, as its files share them: view.c is what others ask of it,
 * view_name.c what a name says, view_fetch.c how a tree is brought in and shown.
 */
#ifndef FS_VIEW_INTERNAL_H
#define FS_VIEW_INTERNAL_H

#include "fs/move.h"
#include "fs/view.h"

#include <pthread.h>

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
	bool dropped;	   /* nobody waits for its end; loop thread */
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

struct source {
	bool is_name;
	struct cid cid;
	struct peer_id peer;
	const char *path; /* without leading slashes */
};

/* Text as in struct mount_options.  0 or -EINVAL. */
int source_parse(struct source *out, const char *text);

/*
 * Bring in the tree at `path` below `top`, for name `n`, or as the source (NULL).
 * Takes over `path`, which may be NULL for want of memory.  0 or -ENOMEM.
 */
int fetch_start(struct view *v, struct name *n, const struct cid *top, char *path);

struct name *name_find(struct view *v, const struct peer_id *peer);
/* Begin to follow one that is not followed yet.  NULL: no memory, or too many. */
struct name *name_new(struct view *v, const struct peer_id *peer, const char *path);
/* Call done() when it is shown, or cannot be; not from inside. */
struct name_waiter *name_wait(struct name *n, void (*done)(void *arg, int result), void *arg);
void name_tell(struct name *n, int result);
/* Bring in what the newest record says. */
void name_says(struct name *n);
/* That could not be done; *n may be gone afterwards. */
void name_failed(struct name *n, int result);
void name_stop(struct name *n);
void name_free(struct name *n);

#endif
