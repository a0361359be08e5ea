#include "net/frame.h"

#include "store/error.h"

int frame_feed(struct frame *f, const uint8_t *data, size_t len,
	       int (*on_message)(void *arg, const uint8_t *msg, size_t len), void *arg)
{
	while (len) {
		if (!f->want) {
			/* The length is kept in `got` until it is complete. */
			uint8_t b = *data++;
			len--;
			f->prefix++;
			buf_u8(&f->got, b);
			if (f->got.failed)
				return -ENOMEM;
			if (b & 0x80) {
				if (f->prefix >= 9)
					return ERR_MALFORMED;
				continue;
			}
			struct cursor in = cursor_over(f->got.data, f->got.len);
			uint64_t want = cursor_varint(&in);
			if (!cursor_done(&in) || want > f->max)
				return ERR_MALFORMED;
			buf_clear(&f->got);
			f->prefix = 0;
			f->want = (size_t)want;
			if (!want) {
				int r = on_message(arg, data, 0);
				if (r)
					return r;
			}
			continue;
		}
		/* A message that lies whole in this piece needs no copy. */
		if (!f->got.len && len >= f->want) {
			size_t want = f->want;

			f->want = 0;
			int r = on_message(arg, data, want);
			if (r)
				return r;
			data += want;
			len -= want;
			continue;
		}
		size_t take = f->want - f->got.len;
		if (take > len)
			take = len;
		buf_append(&f->got, data, take);
		if (f->got.failed)
			return -ENOMEM;
		data += take;
		len -= take;
		if (f->got.len == f->want) {
			f->want = 0;
			int r = on_message(arg, f->got.data, f->got.len);
			/* Do not hold a megabyte for the small messages that follow. */
			if (f->got.cap > 65536)
				buf_release(&f->got);
			else
				buf_clear(&f->got);
			if (r)
				return r;
		}
	}
	return 0;
}

bool frame_partial(const struct frame *f)
{
	return f->want || f->prefix;
}

void frame_release(struct frame *f)
{
	buf_release(&f->got);
	f->want = 0;
	f->prefix = 0;
}
