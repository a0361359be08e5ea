#include "tools/provide.h"

#include "store/error.h"
#include "tools/repo.h"

#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define AT_ONCE	     4	    /* announcements under way */
#define RETRY_MIN_MS 1000   /* while nobody is there to tell */
#define RETRY_MAX_MS 60000
#define FILE_MAX     (64 << 20)

struct root {
	struct multihash name;
	bool told, asking;
	bool gone; /* its place is kept for those who know it by number */
};

struct provide {
	char path[PATH_MAX];
	struct routing *routing;
	uv_timer_t timer;
	struct root *roots;
	uint32_t n, cap;
	struct task *tasks;
	unsigned running;
	uint64_t retry_ms;
};

/* An announcement under way; outlives a change of the list's memory. */
struct task {
	struct provide *p; /* NULL once provide_free() has begun */
	uint32_t index;
	struct query *query;
	struct task *next, **prev;
};

/* Of the file, which the loop adds to and the pool takes from. */
static pthread_mutex_t file_lock = PTHREAD_MUTEX_INITIALIZER;

static int append_locked(const char *path, const struct cid *root)
{
	char line[CID_TEXT_MAX + 1];
	int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	int r = 0;

	if (fd < 0)
		return -errno;
	cid_text(root, line);
	strcat(line, "\n");
	if (write(fd, line, strlen(line)) != (ssize_t)strlen(line) || fdatasync(fd) < 0)
		r = errno ? -errno : -EIO;
	close(fd);
	return r;
}

static int append(const char *path, const struct cid *root)
{
	pthread_mutex_lock(&file_lock);
	int r = append_locked(path, root);
	pthread_mutex_unlock(&file_lock);
	return r;
}

static int load(const char *path, int (*each)(void *arg, const struct cid *cid), void *arg)
{
	char *text = NULL;
	int r = file_load(path, FILE_MAX, &text, NULL);

	if (r == -ENOENT)
		return 0;
	if (r < 0)
		return r;
	/* A torn or strange line is skipped: it names nothing we could offer. */
	for (char *save, *line = strtok_r(text, "\n", &save); line;
	     line = strtok_r(NULL, "\n", &save)) {
		struct cid cid;
		if (cid_parse(&cid, line, strlen(line)) < 0)
			continue;
		r = each(arg, &cid);
		if (r)
			break;
	}
	free(text);
	return r;
}

static int is_same(void *arg, const struct cid *cid)
{
	return cid_equal(arg, cid);
}

int provide_note(const char *repo, const struct cid *root)
{
	char path[PATH_MAX];

	if (snprintf(path, sizeof path, "%s/provided", repo) >= (int)sizeof path)
		return -ENAMETOOLONG;
	struct cid copy = *root;
	int r = load(path, is_same, &copy);
	if (r)
		return r < 0 ? r : 0;
	return append(path, root);
}

int provide_each(const char *repo, int (*each)(void *arg, const struct cid *cid), void *arg)
{
	char path[PATH_MAX];

	if (snprintf(path, sizeof path, "%s/provided", repo) >= (int)sizeof path)
		return -ENAMETOOLONG;
	return load(path, each, arg);
}

struct leaving {
	const struct cid *root;
	struct buf rest;
	bool found;
};

static int copy_line(void *arg, const struct cid *cid)
{
	struct leaving *l = arg;
	char text[CID_TEXT_MAX];

	if (multihash_equal(&cid->hash, &l->root->hash)) {
		l->found = true;
		return 0;
	}
	buf_text(&l->rest, cid_text(cid, text));
	buf_text(&l->rest, "\n");
	return 0;
}

int provide_forget(const char *repo, const struct cid *root)
{
	struct leaving l = { .root = root };
	char path[PATH_MAX];
	int r;

	pthread_mutex_lock(&file_lock);
	r = provide_each(repo, copy_line, &l);
	snprintf(path, sizeof path, "%s/provided", repo);
	if (r >= 0 && l.rest.failed)
		r = -ENOMEM;
	if (r >= 0 && l.found)
		r = file_replace(path, l.rest.len ? l.rest.data : (const void *)"", l.rest.len, 0600);
	pthread_mutex_unlock(&file_lock);
	buf_release(&l.rest);
	return r < 0 ? r : l.found;
}

static int remember(void *arg, const struct cid *cid)
{
	struct provide *p = arg;

	for (uint32_t i = 0; i < p->n; i++)
		if (multihash_equal(&p->roots[i].name, &cid->hash))
			return 0;
	if (p->n == p->cap) {
		uint32_t cap = p->cap ? 2 * p->cap : 16;
		struct root *roots = realloc(p->roots, cap * sizeof *roots);
		if (!roots)
			return -ENOMEM;
		p->roots = roots;
		p->cap = cap;
	}
	p->roots[p->n++] = (struct root){ .name = cid->hash };
	return 0;
}

static void announce(struct provide *p);

static void on_timer(uv_timer_t *t)
{
	announce(t->data);
}

static void on_told(void *arg, int result)
{
	struct task *t = arg;
	struct provide *p = t->p;

	if (p) {
		struct root *root = &p->roots[t->index];
		*t->prev = t->next;
		if (t->next)
			t->next->prev = t->prev;
		p->running--;
		root->asking = false;
		root->told = result > 0;
		if (root->told) {
			p->retry_ms = RETRY_MIN_MS;
			announce(p);
		} else {
			uv_timer_start(&p->timer, on_timer, p->retry_ms, 0);
			p->retry_ms = p->retry_ms * 2 > RETRY_MAX_MS ? RETRY_MAX_MS : p->retry_ms * 2;
		}
	}
	free(t);
}

static void announce(struct provide *p)
{
	for (uint32_t i = 0; i < p->n && p->running < AT_ONCE; i++) {
		if (p->roots[i].told || p->roots[i].asking || p->roots[i].gone)
			continue;
		struct task *t = calloc(1, sizeof *t);
		if (!t)
			return;
		t->p = p;
		t->index = i;
		t->query = routing_provide(p->routing, &p->roots[i].name, on_told, t);
		if (!t->query) {
			free(t);
			return;
		}
		t->next = p->tasks;
		t->prev = &p->tasks;
		if (t->next)
			t->next->prev = &t->next;
		p->tasks = t;
		p->roots[i].asking = true;
		p->running++;
	}
}

int provide_new(struct provide **out, const char *repo, uv_loop_t *loop,
		struct routing *routing)
{
	struct provide *p = calloc(1, sizeof *p);

	if (!p)
		return -ENOMEM;
	p->routing = routing;
	p->retry_ms = RETRY_MIN_MS;
	snprintf(p->path, sizeof p->path, "%s/provided", repo);
	int r = load(p->path, remember, p);
	if (r < 0) {
		free(p->roots);
		free(p);
		return r;
	}
	uv_timer_init(loop, &p->timer);
	p->timer.data = p;
	uv_timer_start(&p->timer, on_timer, 200, 0);
	*out = p;
	return 0;
}

int provide_add(struct provide *p, const struct cid *root)
{
	uint32_t before = p->n;
	int r = remember(p, root);

	if (r < 0)
		return r;
	bool back = false;
	for (uint32_t i = 0; i < before; i++)
		if (multihash_equal(&p->roots[i].name, &root->hash) && p->roots[i].gone) {
			back = true;
			p->roots[i].gone = p->roots[i].told = false;
		}
	if (p->n > before || back) {
		r = append(p->path, root);
	} else {
		/* Known, but told again: the user may be waiting for it. */
		for (uint32_t i = 0; i < p->n; i++)
			if (multihash_equal(&p->roots[i].name, &root->hash))
				p->roots[i].told = false;
	}
	announce(p);
	return r;
}

void provide_remove(struct provide *p, const struct cid *root)
{
	for (uint32_t i = 0; i < p->n; i++)
		if (multihash_equal(&p->roots[i].name, &root->hash))
			p->roots[i].gone = true;
}

void provide_stat(struct provide *p, uint32_t *roots, uint32_t *announced)
{
	*roots = *announced = 0;
	for (uint32_t i = 0; i < p->n; i++) {
		*roots += !p->roots[i].gone;
		*announced += p->roots[i].told && !p->roots[i].gone;
	}
}

static void on_closed(uv_handle_t *h)
{
	free(h->data);
}

void provide_free(struct provide *p)
{
	if (!p)
		return;
	struct task *t = p->tasks, *next;

	for (; t; t = next) {
		next = t->next;
		t->p = NULL;
		query_cancel(t->query);
	}
	free(p->roots);
	p->roots = NULL;
	uv_close((uv_handle_t *)&p->timer, on_closed);
}
