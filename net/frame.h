/*
 * Messages with a uvarint length before them (identify, kad, bitswap), put
 * together from the pieces a stream delivers.  Bounded: a length over `max`
 * ends it, and memory grows with the bytes that came, not with the length said.
 */
#ifndef NET_FRAME_H
#define NET_FRAME_H

#include "store/buf.h"
#include "store/cursor.h"

struct frame {
	size_t max; /* set by the caller: longest message */
	struct buf got;
	size_t want; /* length said; 0 while it is still being read */
	unsigned prefix; /* bytes of the length read so far */
};

/*
 * Take bytes; each complete message is given to `on_message` (borrowed).  If
 * that returns non-zero the feeding stops and returns it.  0, ERR_MALFORMED
 * (a bad length, or longer than max), -ENOMEM.
 */
int frame_feed(struct frame *f, const uint8_t *data, size_t len,
	       int (*on_message)(void *arg, const uint8_t *msg, size_t len), void *arg);
/* True if a message has begun and not ended: an EOF now is a truncation. */
bool frame_partial(const struct frame *f);
void frame_release(struct frame *f);

#endif
