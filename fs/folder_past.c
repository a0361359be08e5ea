/*
 * .cairn/snapshots: the snapshots of the mounted folder by name, read anew when
 * its head has moved.
 */
#include "fs/folder_mount.h"

#include "fs/folder_ref.h"
#include "store/error.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

struct past_entry {
	char name[PAST_NAME_MAX];
	struct cid root;
};

void past_name(int64_t time_ms, const struct cid *commit, char *out)
{
	char id[SHORT_ID + 1], when[24];
	time_t t = time_ms / 1000;
	int ms = time_ms % 1000;
	struct tm tm;

	if (!gmtime_r(&t, &tm) || tm.tm_year > 9999 - 1900 || tm.tm_year < -1900)
		gmtime_r(&(time_t){ 0 }, &tm);
	strftime(when, sizeof when, "%Y-%m-%dT%H-%M-%S", &tm);
	snprintf(out, PAST_NAME_MAX, "%s.%03uZ-%s", when, (unsigned)abs(ms) % 1000,
		 short_id(commit, id));
}

static int add(void *arg, const struct folder_past *snapshot)
{
	struct past *p = arg;

	if (!snapshot->kept)
		return 0;
	if (p->n == p->room) {
		size_t room = p->room ? p->room * 2 : 64;
		struct past_entry *more = realloc(p->entries, room * sizeof *more);

		if (!more)
			return -ENOMEM;
		p->entries = more;
		p->room = room;
	}
	past_name(snapshot->time_ms, &snapshot->commit, p->entries[p->n].name);
	p->entries[p->n++].root = snapshot->root;
	return 0;
}

static int refresh(struct past *p)
{
	struct folder_info info;
	int r;

	folder_use_info(p->use, &info);
	if (p->head.version != 0xff && cid_equal(&p->head, &info.head))
		return 0;
	p->n = 0;
	p->head.version = 0xff;
	r = folder_history(p->use, PAST_MAX, add, p);
	if (r == 0)
		p->head = info.head;
	return r;
}

static int root_of(void *arg, const char *name, struct cid *out)
{
	struct past *p = arg;
	int r;

	pthread_mutex_lock(&p->lock);
	r = refresh(p);
	if (r == 0) {
		r = -ENOENT;
		for (size_t i = 0; r < 0 && i < p->n; i++) {
			if (strcmp(p->entries[i].name, name) != 0)
				continue;
			*out = p->entries[i].root;
			r = 0;
		}
	}
	pthread_mutex_unlock(&p->lock);
	return r;
}

/* The oldest first, so that places stay good when a snapshot is made. */
static int name_of(void *arg, uint64_t n, char *out)
{
	struct past *p = arg;
	int r;

	pthread_mutex_lock(&p->lock);
	r = n == 0 ? refresh(p) : 0;
	if (r == 0 && n >= p->n)
		r = -ENOENT;
	if (r == 0)
		strcpy(out, p->entries[p->n - 1 - n].name);
	pthread_mutex_unlock(&p->lock);
	return r;
}

void past_init(struct past *p, struct folder_use *use)
{
	p->use = use;
	p->head.version = 0xff;
	p->shelf = (struct tree_shelf){ .root = root_of, .name = name_of, .arg = p };
	pthread_mutex_init(&p->lock, NULL);
}

void past_release(struct past *p)
{
	if (!p->use)
		return;
	pthread_mutex_destroy(&p->lock);
	free(p->entries);
}
