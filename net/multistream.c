#include "net/multistream.h"

#include "store/cursor.h"
#include "store/error.h"

#include <string.h>

static const char header[] = "/multistream/1.0.0";
static const char refusal[] = "na";

void multistream_put(struct buf *out, const char *text)
{
	size_t n = strlen(text);

	buf_varint(out, n + 1);
	buf_append(out, text, n);
	buf_u8(out, '\n');
}

void multistream_dial(struct multistream *m, const char *const *offers, struct buf *out)
{
	*m = (struct multistream){ .offers = offers };
	multistream_put(out, header);
	multistream_put(out, offers[0]);
}

void multistream_listen(struct multistream *m, multistream_choose_fn choose, void *arg)
{
	*m = (struct multistream){ .choose = choose, .arg = arg };
}

void multistream_release(struct multistream *m)
{
	buf_release(&m->line);
}

/* Our proposal was echoed, or refused: then the next one. */
static int answered(struct multistream *m, const char *text, struct buf *out)
{
	if (strcmp(text, *m->offers) == 0) {
		m->chosen = *m->offers;
		return 1;
	}
	if (strcmp(text, refusal) != 0)
		return ERR_MALFORMED;
	m->offers++;
	if (!*m->offers)
		return -EPROTONOSUPPORT;
	multistream_put(out, *m->offers);
	return 0;
}

static int proposed(struct multistream *m, const char *text, struct buf *out)
{
	m->chosen = m->choose(m->arg, text);
	if (m->chosen) {
		multistream_put(out, text);
		return 1;
	}
	multistream_put(out, refusal);
	return ++m->refused >= MULTISTREAM_PROPOSALS ? -EPROTONOSUPPORT : 0;
}

/* One message: its text, and then a newline. */
static int take_line(struct multistream *m, const uint8_t *line, size_t len, struct buf *out)
{
	char text[MULTISTREAM_LINE_MAX];

	if (line[len - 1] != '\n' || memchr(line, '\0', len) ||
	    memchr(line, '\n', len) != line + len - 1)
		return ERR_MALFORMED;
	memcpy(text, line, len - 1);
	text[len - 1] = '\0';

	if (!m->greeted) {
		if (strcmp(text, header) != 0)
			return ERR_MALFORMED;
		m->greeted = true;
		if (!m->offers)
			multistream_put(out, header);
		return 0;
	}
	return m->offers ? answered(m, text, out) : proposed(m, text, out);
}

/* Bytes the message at `data` has with its length, 0 if that is not known yet. */
static int line_size(const uint8_t *data, size_t have, size_t *head)
{
	/* Two bytes are enough for the longest length that is allowed. */
	if (!have || (have == 1 && data[0] & 0x80))
		return 0;
	struct cursor in = cursor_over(data, have < 2 ? have : 2);
	uint64_t n = cursor_varint(&in);
	if (in.bad || n == 0 || n > MULTISTREAM_LINE_MAX)
		return ERR_MALFORMED;
	*head = (size_t)(in.p - data);
	return (int)(*head + n);
}

/* One step: a message whole in the input is read there, any other is gathered. */
static int step(struct multistream *m, const uint8_t *data, size_t len, size_t *used,
		struct buf *out)
{
	size_t head = 0;
	int size = line_size(m->line.len ? m->line.data : data,
			     m->line.len ? m->line.len : len, &head);

	if (size < 0)
		return size;
	if (!m->line.len && size && (size_t)size <= len) {
		*used += (size_t)size;
		return take_line(m, data + head, (size_t)size - head, out);
	}
	/* While the length is unknown its bytes are taken singly, so as not to
	 * take what follows the message. */
	size_t take = size ? (size_t)size - m->line.len : 1;
	if (take > len)
		take = len;
	buf_append(&m->line, data, take);
	*used += take;
	if (m->line.failed)
		return -ENOMEM;
	if (!size)
		size = line_size(m->line.data, m->line.len, &head);
	if (size <= 0 || m->line.len < (size_t)size)
		return size < 0 ? size : 0;
	int r = take_line(m, m->line.data + head, (size_t)size - head, out);
	buf_clear(&m->line);
	return r;
}

int multistream_feed(struct multistream *m, const uint8_t *data, size_t len, size_t *used,
		     struct buf *out)
{
	int r = 0;

	*used = 0;
	if (m->over)
		return -EPIPE;
	while (r == 0 && *used < len)
		r = step(m, data + *used, len - *used, used, out);
	if (r >= 0 && out->failed)
		r = -ENOMEM;
	m->over = r != 0;
	return r;
}
