#include "tools/client.h"

#include "net/bitswap.h"
#include "store/error.h"
#include "tools/control.h"
#include "tools/repo.h"

#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <stddef.h>
#include <sys/socket.h>
#include <unistd.h>

/* Blocks asked for ahead of need: enough to fill a fast link. */
#define AHEAD_MAX 32
/* Blocks on their way to the daemon: enough to keep its pool at work. */
#define PUTTING_MAX 32
#define PATIENCE_MS 100 /* between looks at the wish to stop, while the daemon is silent */

atomic_bool interrupted;

struct client {
	int fd;
	uint32_t next_id;
	struct buf in; /* payload of the last frame */
	struct reader *reader;
	unsigned putting; /* blocks the daemon has not answered for */
	int put_error;	  /* the first of them */
};

/* A block on its way, or come and not yet taken. */
struct ahead {
	uint32_t id; /* 0: free */
	struct cid cid;
	bool here;
	int result;
	struct block *block;
};

struct reader {
	struct block_source source, local;
	struct store *store; /* NULL if it cannot be opened */
	struct client *client;
	struct cid root;
	pthread_mutex_t lock; /* of what follows, and of the client while blocks are read */
	struct ahead ahead[AHEAD_MAX];
};

static void on_signal(int number)
{
	/* A second one ends us the ordinary way. */
	if (atomic_exchange(&interrupted, true)) {
		signal(number, SIG_DFL);
		raise(number);
	}
}

void signals_catch(void)
{
	/* Without SA_RESTART, so that a read() we wait in returns. */
	struct sigaction sa = { .sa_handler = on_signal };

	sigaction(SIGINT, &sa, NULL);
	sigaction(SIGTERM, &sa, NULL);
}

int client_open(struct client **out, const char *repo)
{
	struct sockaddr_un sa;
	int dirfd, r;
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -errno;
	r = control_address(repo, &sa, &dirfd);
	if (r < 0) {
		close(fd);
		return r;
	}
	r = connect(fd, (struct sockaddr *)&sa, sizeof sa) < 0 ? -errno : 0;
	close(dirfd);
	struct client *c = r < 0 ? NULL : calloc(1, sizeof *c);
	if (!c) {
		close(fd);
		return r < 0 ? r : -ENOMEM;
	}
	c->fd = fd;
	c->next_id = 1;
	*out = c;
	return 0;
}

void client_close(struct client *c)
{
	if (!c)
		return;
	close(c->fd);
	buf_release(&c->in);
	free(c);
}

struct client *client_need(struct context *cx)
{
	struct client *c;

	if (repo_need(cx))
		return NULL;
	int r = client_open(&c, cx->repo);
	if (r == -ENOENT || r == -ECONNREFUSED) {
		fail(cx, "no daemon runs on %s: start one with `cairn daemon`", cx->repo);
		return NULL;
	}
	if (r < 0) {
		fail(cx, "cannot reach the daemon: %s", err_text(r));
		return NULL;
	}
	return c;
}

static int write_all(int fd, const void *data, size_t len)
{
	const char *p = data;

	while (len) {
		ssize_t n = send(fd, p, len, MSG_NOSIGNAL);
		if (n < 0 && errno == EINTR) {
			if (interrupted)
				return -ECANCELED;
			continue;
		}
		if (n < 0)
			return -errno;
		p += n;
		len -= (size_t)n;
	}
	return 0;
}

static int read_all(int fd, void *data, size_t len)
{
	char *p = data;

	while (len) {
		ssize_t n = read(fd, p, len);
		if (n < 0 && errno == EINTR) {
			if (interrupted)
				return -ECANCELED;
			continue;
		}
		if (n < 0)
			return -errno;
		if (!n)
			return -ECONNRESET;
		p += n;
		len -= (size_t)n;
	}
	return 0;
}

static int send_frame(struct client *c, uint8_t kind, uint32_t id, const void *payload,
		      size_t len)
{
	uint8_t head[CONTROL_HEAD];
	struct control_head h = { .payload = (uint32_t)len, .kind = kind, .id = id };

	control_put_head(head, &h);
	int r = write_all(c->fd, head, sizeof head);
	return r < 0 ? r : write_all(c->fd, payload, len);
}

/* A block goes straight to its place; anything else to c->in. */
static int take_block(struct client *c, const struct control_head *h)
{
	struct ahead *a = NULL;
	uint8_t result[4];
	int r;

	for (int i = 0; c->reader && i < AHEAD_MAX; i++)
		if (c->reader->ahead[i].id == h->id)
			a = &c->reader->ahead[i];
	if (!a || h->payload < 4 || h->payload - 4 > BLOCK_MAX)
		return ERR_MALFORMED;
	r = read_all(c->fd, result, 4);
	if (r < 0)
		return r;
	struct cursor in = cursor_over(result, 4);
	a->result = (int32_t)cursor_u32le(&in);
	a->here = true;
	if (a->result < 0)
		return h->payload == 4 ? 0 : ERR_MALFORMED;
	/* The daemon is ours and has checked the bytes against the name. */
	uint8_t *data;
	r = block_reserve(&a->block, &a->cid.hash, h->payload - 4, &data);
	if (r < 0)
		return r;
	return read_all(c->fd, data, h->payload - 4);
}

static int read_frame(struct client *c, struct control_head *h)
{
	uint8_t head[CONTROL_HEAD];
	int r = read_all(c->fd, head, sizeof head);

	if (r < 0)
		return r;
	r = control_get_head(h, head, CONTROL_REPLY_MAX);
	if (r < 0)
		return r;
	if (h->kind == CONTROL_BLOCK)
		return take_block(c, h);
	buf_clear(&c->in);
	if (!buf_room(&c->in, h->payload))
		return -ENOMEM;
	c->in.len = h->payload;
	r = read_all(c->fd, c->in.data, h->payload);
	if (r == 0 && h->kind == CONTROL_DONE) {
		struct cursor in = cursor_over(c->in.data, c->in.len);
		int result = (int32_t)cursor_u32le(&in);
		if (!cursor_done(&in) || !c->putting)
			return ERR_MALFORMED;
		c->putting--;
		if (result < 0 && !c->put_error)
			c->put_error = result;
	}
	return r;
}

int client_call(struct client *c, json_t *request,
		void (*progress)(void *arg, json_t *report), void *arg, json_t **out,
		char *why)
{
	struct control_head h;
	uint32_t id = c->next_id++;
	char *text = json_dumps(request, JSON_COMPACT);

	if (why)
		*why = 0;
	json_decref(request);
	if (!text)
		return -ENOMEM;
	int r = send_frame(c, CONTROL_REQUEST, id, text, strlen(text));
	free(text);
	while (r >= 0) {
		r = read_frame(c, &h);
		if (r < 0)
			break;
		if (h.id != id || h.kind == CONTROL_BLOCK || h.kind == CONTROL_DONE)
			continue;
		json_t *j = json_loadb((char *)c->in.data, c->in.len, 0, NULL);
		if (!json_is_object(j)) {
			json_decref(j);
			r = ERR_MALFORMED;
			break;
		}
		if (h.kind == CONTROL_PROGRESS) {
			if (progress)
				progress(arg, j);
			json_decref(j);
			continue;
		}
		const char *error = json_string_value(json_object_get(j, "error"));
		if (!error) {
			*out = j;
			return 0;
		}
		if (why)
			snprintf(why, 512, "%s", error);
		r = (int)json_integer_value(json_object_get(j, "code"));
		json_decref(j);
		return r < 0 ? r : -EIO;
	}
	if (why)
		snprintf(why, 512, "%s", r == -ECONNRESET ? "the daemon went away" : err_text(r));
	return r;
}

/* Wait until at most `n` are on their way. */
static int await_puts(struct client *c, unsigned n)
{
	struct control_head h;
	int r = 0;

	while (r >= 0 && c->putting > n)
		r = read_frame(c, &h);
	return r < 0 ? r : c->put_error;
}

int client_put(struct client *c, const struct multihash *name, const void *data, size_t len)
{
	uint8_t head[CONTROL_HEAD + 1 + MULTIHASH_SIZE_MAX];
	size_t name_len = multihash_encode(name, head + CONTROL_HEAD + 1);
	struct control_head h = { .payload = (uint32_t)(1 + name_len + len),
				  .kind = CONTROL_STORE,
				  .id = c->next_id++ };

	int r = await_puts(c, PUTTING_MAX - 1);
	if (r < 0)
		return r;
	control_put_head(head, &h);
	head[CONTROL_HEAD] = (uint8_t)name_len;
	r = write_all(c->fd, head, CONTROL_HEAD + 1 + name_len);
	if (r == 0)
		r = write_all(c->fd, data, len);
	if (r == 0)
		c->putting++;
	return r;
}

int client_put_all(struct client *c)
{
	return await_puts(c, 0);
}

int call_or_fail(struct context *cx, struct client *c, json_t *request, json_t **out)
{
	char why[512];
	int r = client_call(c, request, NULL, NULL, out, why);

	if (r == -EINVAL)
		return misuse(cx, "%s", why);
	return r < 0 ? fail(cx, "%s", why) : 0;
}

/* ---- blocks ---- */

static struct ahead *ahead_find(struct reader *r, const struct cid *cid)
{
	for (int i = 0; i < AHEAD_MAX; i++)
		if (r->ahead[i].id && multihash_equal(&r->ahead[i].cid.hash, &cid->hash))
			return &r->ahead[i];
	return NULL;
}

static void ahead_drop(struct ahead *a)
{
	block_unref(a->block);
	*a = (struct ahead){ 0 };
}

/* A free place; if there is none, one whose block came and was not taken. */
static struct ahead *ahead_place(struct reader *r, bool must)
{
	for (int i = 0; i < AHEAD_MAX; i++)
		if (!r->ahead[i].id)
			return &r->ahead[i];
	for (int i = 0; must && i < AHEAD_MAX; i++)
		if (r->ahead[i].here) {
			ahead_drop(&r->ahead[i]);
			return &r->ahead[i];
		}
	return NULL;
}

static int ask(struct reader *r, struct ahead *a, const struct cid *cid,
	       enum want_priority priority)
{
	uint8_t root[CID_SIZE_MAX], one[CID_SIZE_MAX];
	size_t root_len = cid_encode(&r->root, root), len = cid_encode(cid, one);
	struct buf b = { 0 };

	buf_u8(&b, (uint8_t)priority);
	buf_u8(&b, (uint8_t)root_len);
	buf_append(&b, root, root_len);
	buf_append(&b, one, len);
	*a = (struct ahead){ .id = r->client->next_id++, .cid = *cid };
	int e = b.failed ? -ENOMEM
			 : send_frame(r->client, CONTROL_WANT, a->id, b.data, b.len);
	buf_release(&b);
	if (e < 0)
		a->id = 0;
	return e;
}

/* The next frame, unless the user wants no more: whichever thread the signal went to. */
static int await_frame(struct client *c)
{
	struct pollfd ready = { .fd = c->fd, .events = POLLIN };
	struct control_head h;

	while (!interrupted)
		if (poll(&ready, 1, PATIENCE_MS) > 0)
			return read_frame(c, &h);
	return -ECANCELED;
}

/* From the daemon.  Under the lock, also while it waits. */
static int get_by_client(struct reader *r, const struct cid *cid, struct block **out)
{
	struct ahead *a = ahead_find(r, cid);
	int e;

	if (!a) {
		/* All places may be taken by what is still on its way. */
		while (!(a = ahead_place(r, true)))
			if ((e = await_frame(r->client)) < 0)
				return e;
		e = ask(r, a, cid, WANT_READER);
		if (e < 0)
			return e;
	}
	while (!a->here)
		if ((e = await_frame(r->client)) < 0)
			return e;
	e = a->result;
	if (e >= 0)
		*out = block_ref(a->block);
	ahead_drop(a);
	return e < 0 ? e : 0;
}

static int reader_get(struct block_source *self, const struct cid *cid, struct block **out)
{
	struct reader *r = (struct reader *)self;
	bool ahead = false;
	int e = ERR_MISSING;

	if (interrupted)
		return -ECANCELED;
	if (r->client) {
		pthread_mutex_lock(&r->lock);
		ahead = ahead_find(r, cid);
		pthread_mutex_unlock(&r->lock);
	}
	if (!ahead && r->store)
		e = store_get(r->store, &cid->hash, out);
	if (e != ERR_MISSING || !r->client)
		return e;
	pthread_mutex_lock(&r->lock);
	e = get_by_client(r, cid, out);
	pthread_mutex_unlock(&r->lock);
	return e;
}

static int reader_has(struct block_source *self, const struct cid *cid)
{
	struct reader *r = (struct reader *)self;

	return r->store && store_has(r->store, &cid->hash, NULL);
}

static void reader_soon(struct block_source *self, const struct cid *cids, size_t n)
{
	struct reader *r = (struct reader *)self;

	if (!r->client)
		return;
	pthread_mutex_lock(&r->lock);
	for (size_t i = 0; i < n; i++) {
		struct ahead *a;
		if (cids[i].hash.code == HASH_IDENTITY || reader_has(self, &cids[i]) ||
		    ahead_find(r, &cids[i]))
			continue;
		a = ahead_place(r, false);
		if (!a || ask(r, a, &cids[i], WANT_READAHEAD) < 0)
			break;
	}
	pthread_mutex_unlock(&r->lock);
}

static int local_get(struct block_source *self, const struct cid *cid, struct block **out)
{
	struct reader *r = (struct reader *)((char *)self - offsetof(struct reader, local));

	if (interrupted)
		return -ECANCELED;
	return r->store ? store_get(r->store, &cid->hash, out) : ERR_MISSING;
}

int reader_open(struct reader **out, const char *repo, struct client *c,
		const struct cid *root)
{
	struct reader *r = calloc(1, sizeof *r);

	if (!r)
		return -ENOMEM;
	r->source = (struct block_source){ .get = reader_get, .has = reader_has, .soon = reader_soon };
	r->local = (struct block_source){ .get = local_get };
	r->client = c;
	r->root = *root;
	pthread_mutex_init(&r->lock, NULL);
	int e = repo_store(repo, 0, 8 << 20, &r->store);
	/* With a daemon we can do without; without one it is all we have. */
	if (e < 0 && !c) {
		pthread_mutex_destroy(&r->lock);
		free(r);
		return e;
	}
	if (c)
		c->reader = r;
	*out = r;
	return 0;
}

void reader_close(struct reader *r)
{
	if (!r)
		return;
	for (int i = 0; i < AHEAD_MAX; i++)
		ahead_drop(&r->ahead[i]);
	if (r->client)
		r->client->reader = NULL;
	if (r->store)
		store_close(r->store);
	pthread_mutex_destroy(&r->lock);
	free(r);
}

struct block_source *reader_source(struct reader *r)
{
	return &r->source;
}

struct block_source *reader_local(struct reader *r)
{
	return &r->local;
}

void reader_turn(struct reader *r, const struct cid *root)
{
	r->root = *root;
}
