/*
 * Bytes between the socket and the layers above.
 *
 * All connections read into one buffer, where frames are decrypted and parsed in
 * place; a frame that is cut off waits in memory of its connection.  Output is
 * encrypted only when the socket can take it: a few frames are made, written at
 * once, and what did not fit is all that is ever waiting as ciphertext.
 */
#include "net/swarm_internal.h"
#include "store/error.h"
#include "store/log.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* One connection's turn, before the others get theirs. */
#define TURN (2u << 20)

/* ---- in ---- */

static void on_alloc(uv_handle_t *h, size_t suggested, uv_buf_t *buf)
{
	struct conn *c = h->data;

	if (c->partial_len)
		memcpy(c->s->read_buffer, c->partial, c->partial_len);
	*buf = uv_buf_init((char *)c->s->read_buffer + c->partial_len,
			   READ_BUFFER - c->partial_len);
}

static int take_frame(struct conn *c, uint8_t *body, size_t len)
{
	int n = noise_decrypt(c->noise, body, len);

	if (n <= 0)
		return n;
	if (c->state == CONN_MUXER)
		return conn_muxer(c, body, n);
	return yamux_recv(c->y, body, n, uv_hrtime() / 1000);
}

/* Take what is complete; the number of bytes used, or an error. */
static ssize_t take(struct conn *c, uint8_t *data, size_t len)
{
	size_t used = 0;
	int r;

	while (used < len && !c->doomed) {
		uint8_t *p = data + used;
		size_t left = len - used, body;

		if (c->state == CONN_SECURITY || c->state == CONN_NOISE) {
			r = conn_handshake(c, p, left);
			if (r < 0)
				return r;
			if (!r)
				break;
			used += r;
			continue;
		}
		if (left < NOISE_LENGTH)
			break;
		body = p[0] << 8 | p[1];
		if (left - NOISE_LENGTH < body)
			break;
		r = take_frame(c, p + NOISE_LENGTH, body);
		if (r < 0)
			return r;
		used += NOISE_LENGTH + body;
	}
	return used;
}

/* Keep the beginning of a frame whose rest has not come. */
static int keep_partial(struct conn *c, const uint8_t *data, size_t len)
{
	c->partial_len = len;
	if (!len) {
		/* Connections that are quiet hold no memory for it. */
		free(c->partial);
		c->partial = NULL;
		return 0;
	}
	assert(len < NOISE_LENGTH + NOISE_FRAME_MAX);
	if (!c->partial)
		c->partial = malloc(NOISE_LENGTH + NOISE_FRAME_MAX);
	if (!c->partial)
		return -ENOMEM;
	memcpy(c->partial, data, len);
	return 0;
}

static void on_read(uv_stream_t *h, ssize_t nread, const uv_buf_t *buf)
{
	struct conn *c = h->data;
	struct swarm *s = c->s;
	size_t len;
	ssize_t used;

	if (c->doomed || !nread)
		return;
	if (nread < 0) {
		conn_doom(c, nread == UV_EOF ? -ECONNRESET : (int)nread);
		return;
	}
	c->bytes_in += nread;
	s->bytes_in += nread;
	c->last_in = uv_now(s->loop);
	c->heard = true;
	len = c->partial_len + nread;
	used = take(c, s->read_buffer, len);
	if (used >= 0 && !c->doomed) {
		int r = keep_partial(c, s->read_buffer + used, len - used);
		if (r < 0)
			used = r;
	}
	if (used < 0)
		conn_doom(c, used);
	/* The peer may have made room for more streams. */
	if (c->remote && !STAILQ_EMPTY(&c->remote->opens))
		remote_resume(c->remote);
	conn_pump(c);
}

int conn_read_start(struct conn *c)
{
	return uv_read_start((uv_stream_t *)&c->tcp, on_alloc, on_read);
}

/* ---- out ---- */

static struct out_frame *frame_get(struct swarm *s)
{
	struct out_frame *f = s->kept;

	if (f) {
		s->kept = f->next;
		s->n_kept--;
	} else {
		f = malloc(sizeof *f);
	}
	if (f)
		s->n_out++;
	return f;
}

static void frame_put(struct swarm *s, struct out_frame *f)
{
	s->n_out--;
	if (s->n_kept >= OUT_KEPT) {
		free(f);
		return;
	}
	f->next = s->kept;
	s->kept = f;
	s->n_kept++;
}

void conn_drop_output(struct conn *c)
{
	while (c->n_out)
		frame_put(c->s, c->out[--c->n_out]);
}

static void sent(struct conn *c, size_t n)
{
	c->bytes_out += n;
	c->s->bytes_out += n;
}

static void on_written(uv_write_t *w, int status)
{
	struct conn *c = w->data;

	c->writing = false;
	if (status < 0) {
		if (status != UV_ECANCELED)
			conn_doom(c, status);
		return;
	}
	for (unsigned i = 0; i < c->n_out; i++)
		sent(c, c->out[i]->len);
	conn_drop_output(c);
	conn_pump(c);
}

/* Encrypt the next frames; 0 or an error. */
static int fill(struct conn *c)
{
	struct swarm *s = c->s;
	unsigned max = s->n_out < OUT_SHARED ? OUT_BATCH : 1;

	while (c->n_out < max) {
		struct iovec plain = { s->plain,
				       yamux_send(c->y, s->plain, NOISE_PLAIN_MAX) };
		struct out_frame *f;
		int n;

		if (!plain.iov_len)
			break;
		f = frame_get(s);
		if (!f)
			return -ENOMEM;
		n = noise_encrypt(c->noise, &plain, 1, f->bytes);
		if (n < 0) {
			frame_put(s, f);
			return n;
		}
		f->len = n;
		c->out[c->n_out++] = f;
	}
	return 0;
}

/* Hand the frames to the socket: 1 if all went, 0 if the rest is on its way. */
static int flush(struct conn *c)
{
	uv_buf_t bufs[OUT_BATCH];
	unsigned gone = 0, left;
	size_t offset;
	int n;

	for (unsigned i = 0; i < c->n_out; i++)
		bufs[i] = uv_buf_init((char *)c->out[i]->bytes, c->out[i]->len);
	n = uv_try_write((uv_stream_t *)&c->tcp, bufs, c->n_out);
	if (n < 0 && n != UV_EAGAIN)
		return n;
	offset = n < 0 ? 0 : n;
	sent(c, offset);
	while (gone < c->n_out && offset >= c->out[gone]->len) {
		offset -= c->out[gone]->len;
		frame_put(c->s, c->out[gone++]);
	}
	left = c->n_out - gone;
	memmove(c->out, c->out + gone, left * sizeof *c->out);
	c->n_out = left;
	if (!left)
		return 1;

	/* What on_written() counts is what was left. */
	bufs[gone].base += offset;
	bufs[gone].len -= offset;
	c->out[0]->len -= offset;
	c->write.data = c;
	n = uv_write(&c->write, (uv_stream_t *)&c->tcp, bufs + gone, left, on_written);
	if (n < 0)
		return n;
	c->writing = true;
	return 0;
}

void conn_pump(struct conn *c)
{
	uint64_t until = c->bytes_out + TURN;
	int r = 1;

	if (c->state != CONN_OPEN)
		return;
	while (r > 0 && !c->writing && !uv_is_closing((uv_handle_t *)&c->tcp)) {
		if (c->bytes_out >= until) {
			conn_soon(c);
			return;
		}
		r = fill(c);
		if (r < 0 || !c->n_out)
			break;
		r = flush(c);
	}
	if (r < 0)
		conn_doom(c, r);
}

int conn_write_plain(struct conn *c, const void *data, size_t len)
{
	uv_buf_t buf = uv_buf_init((char *)data, len);
	int n = uv_try_write((uv_stream_t *)&c->tcp, &buf, 1);

	if (n < 0)
		return n;
	sent(c, n);
	/* A new socket has room for a handshake, unless the peer means harm. */
	return (size_t)n == len ? 0 : -ENOBUFS;
}

int conn_write_sealed(struct conn *c, const void *data, size_t len)
{
	struct iovec plain = { (void *)data, len };
	struct out_frame *f = frame_get(c->s);
	int n;

	if (!f)
		return -ENOMEM;
	n = noise_encrypt(c->noise, &plain, 1, f->bytes);
	if (n >= 0)
		n = conn_write_plain(c, f->bytes, n);
	frame_put(c->s, f);
	return n;
}
