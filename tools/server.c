#include "tools/server_internal.h"

#include "store/error.h"
#include "store/log.h"
#include "tools/control.h"

#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* A block a client asked for: first the store is looked at, on the pool. */
struct block_want {
	uv_work_t work;
	struct session *session; /* NULL once cancelled or gone */
	struct session *held;	 /* keeps the memory for the pool */
	struct block_want *next, **prev;
	uint32_t id;
	struct want_request rq;
	struct want *want;
	struct store *store;
	struct block *block;
	int result;
};

void session_unref(struct session *ss)
{
	if (--ss->refs)
		return;
	if (ss->held)
		store_unhold(ss->held);
	buf_release(&ss->in);
	free(ss);
}

/* ---- to the client ---- */

static void on_written(uv_write_t *w, int status)
{
	struct outgoing *o = w->data;

	block_unref(o->block);
	free(o->text);
	session_unref(o->session);
	free(o);
}

void session_send(struct session *ss, struct outgoing *o, uv_buf_t *bufs, unsigned n)
{
	o->session = ss;
	o->write.data = o;
	ss->refs++;
	if (uv_write(&o->write, (uv_stream_t *)&ss->pipe, bufs, n, on_written) < 0)
		on_written(&o->write, -EPIPE);
}

static void send_json(struct session *ss, uint8_t kind, uint32_t id, json_t *value)
{
	struct outgoing *o = ss->closing ? NULL : calloc(1, sizeof *o);
	char *text = o ? json_dumps(value, JSON_COMPACT) : NULL;

	json_decref(value);
	if (!text) {
		free(o);
		return;
	}
	struct control_head h = { .payload = (uint32_t)strlen(text), .kind = kind, .id = id };
	control_put_head(o->head, &h);
	o->text = text;
	uv_buf_t bufs[] = { uv_buf_init((char *)o->head, CONTROL_HEAD),
			    uv_buf_init(text, h.payload) };
	session_send(ss, o, bufs, 2);
}

static void send_block(struct session *ss, uint32_t id, int result, struct block *b)
{
	struct outgoing *o = ss->closing ? NULL : calloc(1, sizeof *o);

	if (!o)
		return;
	size_t size = result < 0 ? 0 : b->size;
	struct control_head h = { .payload = (uint32_t)size + 4, .kind = CONTROL_BLOCK, .id = id };
	control_put_head(o->head, &h);
	uint32_t code = (uint32_t)result;
	memcpy(o->head + CONTROL_HEAD, (uint8_t[]){ code, code >> 8, code >> 16, code >> 24 }, 4);
	uv_buf_t bufs[] = { uv_buf_init((char *)o->head, sizeof o->head), { 0 } };
	if (size) {
		o->block = block_ref(b);
		bufs[1] = uv_buf_init((char *)b->data, (unsigned)size);
	}
	session_send(ss, o, bufs, size ? 2 : 1);
}

/* ---- requests ---- */

static void request_free(struct request *rq)
{
	if (rq->session) {
		*rq->prev = rq->next;
		if (rq->next)
			rq->next->prev = rq->prev;
	}
	json_decref(rq->args);
	free(rq);
}

void request_reply(struct request *rq, json_t *value)
{
	if (!value)
		value = json_object();
	if (rq->session)
		send_json(rq->session, CONTROL_REPLY, rq->id, value);
	else
		json_decref(value);
	request_free(rq);
}

void request_fail(struct request *rq, int code, const char *fmt, ...)
{
	char text[400];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	json_t *value = json_pack("{s:s?, s:i}", "error", text, "code", code);
	if (!value) /* a path that is not UTF-8 */
		value = json_pack("{s:s, s:i}", "error", err_text(code), "code", code);
	request_reply(rq, value);
}

void request_progress(struct request *rq, json_t *report)
{
	if (rq->session)
		send_json(rq->session, CONTROL_PROGRESS, rq->id, report);
	else
		json_decref(report);
}

const char *request_text(struct request *rq, const char *key)
{
	return json_string_value(json_object_get(rq->args, key));
}

int session_hold(struct session *ss)
{
	struct store *s = ss->server->daemon->store;
	int r = ss->held ? 0 : store_hold(s);

	if (r >= 0)
		ss->held = s;
	return r;
}

int request_hold(struct request *rq)
{
	return session_hold(rq->session);
}

static void request_begin(struct session *ss, uint32_t id, const void *data, size_t len)
{
	struct request *rq = calloc(1, sizeof *rq);
	json_t *args = json_loadb(data, len, JSON_REJECT_DUPLICATES, NULL);

	if (!rq || !json_is_object(args)) {
		free(rq);
		json_decref(args);
		send_json(ss, CONTROL_REPLY, id,
			  json_pack("{s:s, s:i}", "error", "the request is not JSON", "code", -EINVAL));
		return;
	}
	rq->daemon = ss->server->daemon;
	rq->session = ss;
	rq->args = args;
	rq->id = id;
	rq->next = ss->requests;
	rq->prev = &ss->requests;
	if (rq->next)
		rq->next->prev = &rq->next;
	ss->requests = rq;

	const char *cmd = request_text(rq, "cmd");
	request_fn fn = cmd ? handler_find(cmd) : NULL;
	if (!fn)
		request_fail(rq, -EINVAL, "the daemon does not know '%s': is it of another version?", cmd ? cmd : "");
	else if (rq->daemon->stopping)
		request_fail(rq, -ESHUTDOWN, "the daemon is stopping");
	else
		fn(rq);
}

/* ---- wants ---- */

static void want_end(struct block_want *w)
{
	struct session *held = w->held;

	if (w->session) {
		*w->prev = w->next;
		if (w->next)
			w->next->prev = w->prev;
	}
	block_unref(w->block);
	free(w);
	session_unref(held);
}

static void on_want(void *arg, int result, struct block *block)
{
	struct block_want *w = arg;

	w->want = NULL;
	if (w->session)
		send_block(w->session, w->id, result, block);
	want_end(w);
}

static void look_in_store(uv_work_t *work)
{
	struct block_want *w = work->data;

	w->result = store_get(w->store, &w->rq.cid.hash, &w->block);
}

static void on_looked(uv_work_t *work, int status)
{
	struct block_want *w = work->data;

	if (!w->session) {
		want_end(w);
		return;
	}
	struct daemon *d = w->session->server->daemon;
	if (w->result != ERR_MISSING) {
		send_block(w->session, w->id, w->result, w->block);
		want_end(w);
		return;
	}
	if (d->offline || d->stopping) {
		send_block(w->session, w->id, -ENETUNREACH, NULL);
		want_end(w);
		return;
	}
	w->want = bitswap_want(d->node->bitswap, &w->rq, on_want, w);
	if (!w->want) {
		send_block(w->session, w->id, -ENOMEM, NULL);
		want_end(w);
	}
}

/* The client no longer cares. */
static void want_drop(struct block_want *w)
{
	*w->prev = w->next;
	if (w->next)
		w->next->prev = w->prev;
	w->session = NULL;
	if (w->want)
		want_cancel(w->want); /* ends in on_want */
	/* otherwise the pool has it, and on_looked() will end it */
}

static int want_begin(struct session *ss, uint32_t id, const uint8_t *data, size_t len)
{
	struct cursor in = cursor_over(data, len);
	uint8_t priority = cursor_u8(&in), root_len = cursor_u8(&in);
	const uint8_t *root = cursor_take(&in, root_len);
	struct block_want *w;

	if (in.bad || priority > WANT_READER)
		return ERR_MALFORMED;
	w = calloc(1, sizeof *w);
	if (!w)
		return -ENOMEM;
	if (cid_decode(&w->rq.root, root, root_len) < 0 ||
	    cid_decode(&w->rq.cid, in.p, cursor_left(&in)) < 0) {
		free(w);
		return ERR_MALFORMED;
	}
	w->rq.priority = priority;
	w->id = id;
	w->store = ss->server->daemon->store;
	w->session = w->held = ss;
	ss->refs++;
	w->next = ss->wants;
	w->prev = &ss->wants;
	if (w->next)
		w->next->prev = &w->next;
	ss->wants = w;
	w->work.data = w;
	int r = uv_queue_work(&ss->server->daemon->loop, &w->work, look_in_store, on_looked);
	if (r < 0)
		want_end(w);
	return r;
}

/* ---- sessions ---- */

static void on_session_closed(uv_handle_t *h)
{
	struct session *ss = h->data;

	session_unref(ss);
}

static void session_close(struct session *ss)
{
	struct request *rq;

	if (ss->closing)
		return;
	ss->closing = true;
	while (ss->wants)
		want_drop(ss->wants);
	while ((rq = ss->requests)) {
		ss->requests = rq->next;
		if (rq->next)
			rq->next->prev = &ss->requests;
		rq->session = NULL;
		rq->next = NULL;
		if (rq->on_gone)
			rq->on_gone(rq);
	}
	*ss->prev = ss->next;
	if (ss->next)
		ss->next->prev = ss->prev;
	uv_close((uv_handle_t *)&ss->pipe, on_session_closed);
}

/* Whole frames out of what has come.  Negative: the client is broken. */
static int take_frames(struct session *ss)
{
	size_t at = 0;
	int r = 0;

	while (r >= 0 && !ss->closing && ss->in.len - at >= CONTROL_HEAD) {
		struct control_head h;
		bool store = ss->in.data[at + 4] == CONTROL_STORE;
		r = control_get_head(&h, ss->in.data + at,
				     store ? CONTROL_STORE_MAX : CONTROL_REQUEST_MAX);
		if (r < 0)
			return r;
		if (ss->in.len - at - CONTROL_HEAD < h.payload)
			break;
		const uint8_t *payload = ss->in.data + at + CONTROL_HEAD;
		at += CONTROL_HEAD + h.payload;
		switch (h.kind) {
		case CONTROL_REQUEST:
			request_begin(ss, h.id, payload, h.payload);
			break;
		case CONTROL_WANT:
			r = want_begin(ss, h.id, payload, h.payload);
			break;
		case CONTROL_STORE:
			r = session_store(ss, h.id, payload, h.payload);
			break;
		case CONTROL_CANCEL:
			for (struct block_want *w = ss->wants; w; w = w->next)
				if (w->id == h.id) {
					want_drop(w);
					break;
				}
			break;
		default:
			r = ERR_MALFORMED;
		}
	}
	buf_consume(&ss->in, at);
	return r;
}

static void on_room(uv_handle_t *h, size_t suggested, uv_buf_t *out)
{
	struct session *ss = h->data;
	/* A client that sends blocks sends many. */
	unsigned n = ss->in.len > CONTROL_HEAD && ss->in.data[4] == CONTROL_STORE ? 1u << 18 : 16384;
	uint8_t *room = buf_room(&ss->in, n);

	*out = uv_buf_init((char *)room, room ? n : 0);
}

static void on_bytes(uv_stream_t *stream, ssize_t n, const uv_buf_t *b)
{
	struct session *ss = stream->data;

	if (n > 0)
		ss->in.len += (size_t)n;
	if (n < 0 || take_frames(ss) < 0)
		session_close(ss);
}

int session_read(struct session *ss)
{
	return uv_read_start((uv_stream_t *)&ss->pipe, on_room, on_bytes);
}

/* Only the daemon's own user, and root, may command it. */
static bool admitted(uv_pipe_t *pipe)
{
	struct ucred cred;
	socklen_t len = sizeof cred;
	int fd;

	if (uv_fileno((uv_handle_t *)pipe, &fd) < 0 ||
	    getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) < 0)
		return false;
	return cred.uid == geteuid() || cred.uid == 0;
}

static void on_connection(uv_stream_t *listener, int status)
{
	struct server *s = listener->data;
	struct session *ss = status < 0 ? NULL : calloc(1, sizeof *ss);

	if (!ss)
		return;
	uv_pipe_init(&s->daemon->loop, &ss->pipe, 0);
	ss->pipe.data = ss;
	ss->server = s;
	ss->refs = 1;
	ss->next = s->sessions;
	ss->prev = &s->sessions;
	if (ss->next)
		ss->next->prev = &ss->next;
	s->sessions = ss;
	if (uv_accept(listener, (uv_stream_t *)&ss->pipe) < 0 || !admitted(&ss->pipe) ||
	    session_read(ss) < 0)
		session_close(ss);
}

static void on_listener_closed(uv_handle_t *h)
{
	free(h->data);
}

int server_new(struct server **out, struct daemon *d)
{
	struct server *s = calloc(1, sizeof *s);
	struct sockaddr_un sa;
	int dirfd = -1, fd = -1, r;

	if (!s)
		return -ENOMEM;
	s->daemon = d;
	r = control_address(d->repo, &sa, &dirfd);
	if (r < 0)
		goto failed;
	if (unlinkat(dirfd, "control.sock", 0) < 0 && errno != ENOENT) {
		r = -errno;
		goto failed;
	}
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	/* Nobody else may connect, not even for a moment. */
	mode_t mask = umask(0177);
	if (fd < 0 || bind(fd, (struct sockaddr *)&sa, sizeof sa) < 0) {
		r = -errno;
		umask(mask);
		goto failed;
	}
	umask(mask);
	close(dirfd);
	dirfd = -1;
	uv_pipe_init(&d->loop, &s->listener, 0);
	s->listener.data = s;
	r = uv_pipe_open(&s->listener, fd);
	if (r >= 0)
		r = uv_listen((uv_stream_t *)&s->listener, 64, on_connection);
	if (r < 0) {
		log_line(LOG_ERROR, "cannot listen on the control socket: %s", uv_strerror(r));
		uv_close((uv_handle_t *)&s->listener, on_listener_closed);
		return r;
	}
	*out = s;
	return 0;
failed:
	if (dirfd >= 0)
		close(dirfd);
	if (fd >= 0)
		close(fd);
	free(s);
	return r;
}

void server_stop(struct server *s)
{
	if (s->closing)
		return;
	s->closing = true;
	int dirfd = open(s->daemon->repo, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (dirfd >= 0) {
		unlinkat(dirfd, "control.sock", 0);
		close(dirfd);
	}
}

void server_free(struct server *s)
{
	server_stop(s);
	while (s->sessions)
		session_close(s->sessions);
	uv_close((uv_handle_t *)&s->listener, on_listener_closed);
}
