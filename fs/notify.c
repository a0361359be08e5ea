#include "fs/notify.h"

#include <fuse_lowlevel.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

struct note {
	struct note *next;
	uint64_t id;
	bool entry;
	char name[];
};

struct notify {
	struct fuse_session *se;
	struct parking *parking;
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t more;
	struct note *first, **end;
	bool stop;
	uint64_t
	    yielded; /* the directory parked requests were told to leave; thread only */
};

static void tell(struct notify *n, const struct note *note)
{
	/* What the kernel does not know (-ENOENT) it need not forget. */
	if (!note->entry) {
		fuse_lowlevel_notify_inval_inode(n->se, note->id, 0, 0);
		return;
	}
	/* The kernel locks the directory for this, as a look-up in it does. */
	if (n->yielded != note->id)
		parking_yield(n->parking, note->id);
	n->yielded = note->id;
	fuse_lowlevel_notify_inval_entry(n->se, note->id, note->name, strlen(note->name));
}

static void *run(void *arg)
{
	struct notify *n = arg;

	pthread_mutex_lock(&n->lock);
	while (!n->stop) {
		struct note *note = n->first;

		if (!note) {
			if (n->yielded)
				parking_yield(n->parking, 0);
			n->yielded = 0;
			pthread_cond_wait(&n->more, &n->lock);
			continue;
		}
		n->first = note->next;
		if (!n->first)
			n->end = &n->first;
		pthread_mutex_unlock(&n->lock);
		tell(n, note);
		free(note);
		pthread_mutex_lock(&n->lock);
	}
	pthread_mutex_unlock(&n->lock);
	return NULL;
}

int notify_new(struct notify **out, struct fuse_session *se, struct parking *parking)
{
	struct notify *n = calloc(1, sizeof *n);
	int r;

	if (!n)
		return -ENOMEM;
	n->se = se;
	n->parking = parking;
	n->end = &n->first;
	pthread_mutex_init(&n->lock, NULL);
	pthread_cond_init(&n->more, NULL);
	r = pthread_create(&n->thread, NULL, run, n);
	if (r != 0) {
		pthread_mutex_destroy(&n->lock);
		pthread_cond_destroy(&n->more);
		free(n);
		return -r;
	}
	*out = n;
	return 0;
}

static void add(struct notify *n, uint64_t id, const char *name)
{
	size_t len = name ? strlen(name) : 0;
	struct note *note = malloc(sizeof *note + len + 1);

	if (!note)
		return;
	*note = (struct note){ .id = id, .entry = name };
	memcpy(note->name, name ? name : "", len + 1);
	pthread_mutex_lock(&n->lock);
	*n->end = note;
	n->end = &note->next;
	pthread_cond_signal(&n->more);
	pthread_mutex_unlock(&n->lock);
}

void notify_entry(struct notify *n, uint64_t dir, const char *name)
{
	add(n, dir, name);
}

void notify_inode(struct notify *n, uint64_t id)
{
	add(n, id, NULL);
}

void notify_free(struct notify *n)
{
	if (!n)
		return;
	pthread_mutex_lock(&n->lock);
	n->stop = true;
	pthread_cond_signal(&n->more);
	pthread_mutex_unlock(&n->lock);
	pthread_join(n->thread, NULL);
	while (n->first) {
		struct note *note = n->first;

		n->first = note->next;
		free(note);
	}
	pthread_mutex_destroy(&n->lock);
	pthread_cond_destroy(&n->more);
	free(n);
}
