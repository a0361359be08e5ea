/*
 * multistream-select 1.0.0: agreeing on the protocol of a stream or connection.
 *
 *	message: uvarint length, counting the newline | text | 0a
 *	both send first:  /multistream/1.0.0
 *	dialler:          a protocol, again after each refusal
 *	listener:         the same text (agreed), or na
 *
 * Two machines behind one interface.  Neither waits where it need not: the
 * dialler's header and first proposal are one write, and whoever knows that the
 * peer speaks the protocol appends its own data to that write.  So any of these
 * may come in one piece or in single bytes, and what follows the agreement
 * belongs to the application.
 *
 *	multistream_dial(&m, offers, &out)	or	multistream_listen(&m, choose, arg)
 *	r = multistream_feed(&m, data, len, &used, &out);  send `out` whatever r is
 *	r == 1: m.chosen is spoken from now on; data + used is its first data
 *	multistream_release(&m);
 */
#ifndef NET_MULTISTREAM_H
#define NET_MULTISTREAM_H

#include "store/buf.h"

#define MULTISTREAM_LINE_MAX	1024 /* length as said on the wire; go-libp2p's limit */
#define MULTISTREAM_PROPOSALS	16   /* that a listener refuses before it gives up */

/*
 * The listener's choice: our own copy of `protocol` (valid as long as m.chosen
 * is used), or NULL to refuse.  `protocol` is NUL-terminated, borrowed, has no
 * NUL or newline inside, and is a stranger's text otherwise.
 */
typedef const char *(*multistream_choose_fn)(void *arg, const char *protocol);

struct multistream {
	const char *chosen; /* set once agreed: one of `offers`, or what choose gave */
	/* private */
	const char *const *offers; /* dialler: what is left, the first one is proposed */
	multistream_choose_fn choose;
	void *arg;
	unsigned refused;
	bool greeted; /* the peer's header has come */
	bool over;
	struct buf line; /* an incomplete message */
};

/*
 * Start dialling: `offers` is NULL-terminated, not empty, in order of
 * preference, and borrowed until the end.  Appends the header and the first
 * offer to `out`.  With application data appended behind, give one offer only:
 * a refusal would make the data part of the next negotiation.
 */
void multistream_dial(struct multistream *m, const char *const *offers, struct buf *out);
/* Start listening.  Nothing is sent before the dialler's header has come. */
void multistream_listen(struct multistream *m, multistream_choose_fn choose, void *arg);
void multistream_release(struct multistream *m);

/*
 * Take bytes and append what is to be sent to `out`.
 * 1: agreed, m->chosen is set, the bytes from data + *used on are not ours;
 * 0: more is needed, all was taken; or (final, later calls give -EPIPE)
 *	-EPROTONOSUPPORT   dialler: all offers refused; listener: too many proposals
 *	ERR_MALFORMED	   not this protocol: length 0 or over the limit, no newline, ...
 *	-ENOMEM
 */
int multistream_feed(struct multistream *m, const uint8_t *data, size_t len, size_t *used,
		     struct buf *out);

/* One message. */
void multistream_put(struct buf *out, const char *text);

#endif
