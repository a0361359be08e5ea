/*
 * Blocks that a client brings: checked and stored on the pool, several at a time.
 * While many wait for the disk the session is not read.
 */
#include "tools/server_internal.h"

#include "store/error.h"

#include <stdlib.h>
#include <string.h>

#define STORING_MAX (16u << 20) /* bytes of one session that wait for the disk */

/* A block a client brought. */
struct storing {
	uv_work_t work;
	struct session *session; /* with a reference */
	struct daemon *daemon;
	uint32_t id;
	struct multihash name;
	int result;
	size_t len;
	uint8_t data[];
};

static void send_done(struct session *ss, uint32_t id, int result)
{
	struct outgoing *o = ss->closing ? NULL : calloc(1, sizeof *o);
	struct control_head h = { .payload = 4, .kind = CONTROL_DONE, .id = id };
	uint32_t code = (uint32_t)result;

	if (!o)
		return;
	control_put_head(o->head, &h);
	memcpy(o->head + CONTROL_HEAD, (uint8_t[]){ code, code >> 8, code >> 16, code >> 24 }, 4);
	uv_buf_t buf = uv_buf_init((char *)o->head, sizeof o->head);
	session_send(ss, o, &buf, 1);
}

static void store_it(uv_work_t *work)
{
	struct storing *st = work->data;

	st->result = multihash_check(&st->name, st->data, st->len);
	if (st->result == 0)
		st->result = store_put_bytes(st->daemon->store, &st->name, st->data, st->len);
}

static void on_stored(uv_work_t *work, int status)
{
	struct storing *st = work->data;
	struct session *ss = st->session;
	struct daemon *d = st->daemon;

	if (st->result == 0 && !d->stopping)
		bitswap_have(d->node->bitswap, &st->name);
	send_done(ss, st->id, st->result);
	ss->storing -= st->len;
	if (ss->paused && !ss->closing && ss->storing < STORING_MAX / 2) {
		ss->paused = false;
		session_read(ss);
	}
	session_unref(ss);
	free(st);
}

int session_store(struct session *ss, uint32_t id, const uint8_t *data, size_t len)
{
	struct cursor in = cursor_over(data, len);
	uint8_t name_len = cursor_u8(&in);
	const uint8_t *name = cursor_take(&in, name_len);
	size_t left = cursor_left(&in);
	struct storing *st;

	if (in.bad || left > BLOCK_MAX)
		return ERR_MALFORMED;
	/* Until the client has pinned what it brings. */
	int held = session_hold(ss);
	if (held < 0)
		return held;
	st = malloc(sizeof *st + left);
	if (!st)
		return -ENOMEM;
	*st = (struct storing){ .session = ss, .daemon = ss->server->daemon, .id = id, .len = left };
	st->work.data = st;
	if (left)
		memcpy(st->data, in.p, left);
	int r = multihash_decode(&st->name, name, name_len);
	if (r == 0)
		r = uv_queue_work(&ss->server->daemon->loop, &st->work, store_it, on_stored);
	if (r < 0) {
		free(st);
		return r;
	}
	ss->refs++;
	ss->storing += left;
	if (ss->storing > STORING_MAX && !ss->paused) {
		ss->paused = true;
		uv_read_stop((uv_stream_t *)&ss->pipe);
	}
	return 0;
}
