#include "net/identify_msg.h"

#include "store/error.h"
#include "store/pb.h"

#include <string.h>

enum field {
	PUBLIC_KEY = 1, LISTEN_ADDRS = 2, PROTOCOLS = 3, OBSERVED_ADDR = 4,
	PROTOCOL_VERSION = 5, AGENT_VERSION = 6, SIGNED_RECORD = 8,
};

#define WRITE_MAX  4000 /* of one message that we send: rust-libp2p takes 4096 */
#define SINGLE_MAX 2048 /* with the record in it; a larger one is split */
#define PROTOCOL_TEXT_MAX 256 /* a longer name is left out */

/* ---- reading ---- */

/* A record that is not the peer's own is refused, and so is all it says of addresses. */
static void take_record(struct identify *id, const struct peer_id *from,
			const struct pb_field *f)
{
	struct peer_record record;

	/* One only: each costs us a verification. */
	if (id->has_record || id->bad_record)
		return;
	if (peer_record_open(&record, from, f->data, f->len) < 0) {
		id->bad_record = true;
		id->has_addrs = false;
		id->n_addrs = 0;
		return;
	}
	id->has_record = id->has_addrs = true;
	id->seq = record.seq;
	id->n_addrs = record.n_addrs;
	memcpy(id->addrs, record.addrs, (size_t)record.n_addrs * sizeof *id->addrs);
}

/* An address of the peer itself; one that names another peer is none. */
static void take_listen(struct identify *id, const struct peer_id *from,
			const struct pb_field *f)
{
	struct peer_id named;

	/* What was signed comes before what was only said. */
	if (id->has_record || id->bad_record)
		return;
	id->has_addrs = true;
	if (id->n_addrs == IDENTIFY_ADDRS)
		return;
	struct addr *a = &id->addrs[id->n_addrs];
	if (addr_decode(a, f->data, f->len) < 0)
		return;
	if (addr_peer(a, &named)) {
		if (!peer_equal(&named, from))
			return;
		addr_strip_peer(a);
	}
	if (a->len)
		id->n_addrs++;
}

static void take_protocol(struct identify *id, const struct pb_field *f)
{
	id->has_protocols = true;
	if (!f->len || f->len > PROTOCOL_TEXT_MAX || memchr(f->data, '\0', f->len) ||
	    id->n_protocols == IDENTIFY_PROTOCOLS || f->len + 1 > IDENTIFY_TEXT - id->text_len)
		return;
	memcpy(id->protocols + id->text_len, f->data, f->len);
	id->protocols[id->text_len + f->len] = '\0';
	id->text_len += (uint16_t)(f->len + 1);
	id->n_protocols++;
}

/* Only what a terminal shows as it is. */
static void take_text(char out[IDENTIFY_AGENT], const struct pb_field *f)
{
	size_t n = f->len < IDENTIFY_AGENT - 1 ? f->len : IDENTIFY_AGENT - 1;

	for (size_t i = 0; i < n; i++)
		out[i] = f->data[i] >= ' ' && f->data[i] <= '~' ? (char)f->data[i] : '?';
	out[n] = '\0';
}

static int take_key(struct identify *id, const struct peer_id *from, const struct pb_field *f)
{
	struct public_key key;
	struct peer_id peer;
	int r = key_decode(&key, f->data, f->len);

	if (r < 0)
		return r;
	key_peer(&key, &peer);
	if (!peer_equal(&peer, from))
		return ERR_CORRUPT;
	id->has_key = true;
	return 0;
}

int identify_merge(struct identify *id, const struct peer_id *from, const void *msg, size_t len)
{
	struct cursor in = cursor_over(msg, len);
	struct pb_field f;
	int r;

	if (len > IDENTIFY_MESSAGE_MAX || id->parts == IDENTIFY_PARTS_MAX)
		return ERR_MALFORMED;
	id->parts++;
	while ((r = pb_next(&in, &f)) > 0) {
		if (f.type != PB_BYTES)
			continue;
		switch (f.number) {
		case PUBLIC_KEY:
			r = take_key(id, from, &f);
			if (r < 0)
				return r;
			break;
		case LISTEN_ADDRS:
			take_listen(id, from, &f);
			break;
		case PROTOCOLS:
			take_protocol(id, &f);
			break;
		case OBSERVED_ADDR:
			if (addr_decode(&id->observed, f.data, f.len) == 0)
				addr_strip_peer(&id->observed);
			break;
		case PROTOCOL_VERSION:
			take_text(id->version, &f);
			break;
		case AGENT_VERSION:
			take_text(id->agent, &f);
			break;
		case SIGNED_RECORD:
			take_record(id, from, &f);
			break;
		}
	}
	return r;
}

const char *identify_next_protocol(const struct identify *id, const char *last)
{
	const char *next = last ? last + strlen(last) + 1 : id->protocols;

	return next < id->protocols + id->text_len ? next : NULL;
}

bool identify_speaks(const struct identify *id, const char *protocol)
{
	for (const char *p = NULL; (p = identify_next_protocol(id, p));)
		if (strcmp(p, protocol) == 0)
			return true;
	return false;
}

/* ---- writing ---- */

/* The record's payload must leave room for what the envelope adds around it. */
static void put_record(struct buf *out, const struct identify_self *self)
{
	struct peer_record r = { .seq = self->seq };
	size_t size = 256;

	for (int i = 0; i < self->n_addrs && r.n_addrs < PEER_RECORD_ADDRS; i++) {
		size += pb_bytes_size(3, pb_bytes_size(1, self->addrs[i].len));
		if (size > WRITE_MAX)
			break;
		r.addrs[r.n_addrs++] = self->addrs[i];
	}
	peer_record_seal(out, self->key, &r);
}

/* A field, unless the message would grow too long by it. */
static void put_if_it_fits(struct buf *out, enum field number, const void *data, size_t len)
{
	if (out->len + pb_bytes_size(number, len) <= WRITE_MAX)
		pb_put_bytes(out, number, data, len);
}

/* In the order of what must not be missing if there is too much. */
static void put_fields(struct buf *out, const struct identify_self *self)
{
	uint8_t serialized[KEY_PUBLIC_MAX];
	struct public_key public;

	key_public(self->key, &public);
	pb_put_bytes(out, PUBLIC_KEY, serialized, key_encode(&public, serialized));
	put_if_it_fits(out, PROTOCOL_VERSION, self->version, strlen(self->version));
	put_if_it_fits(out, AGENT_VERSION, self->agent, strlen(self->agent));
	if (self->observed)
		put_if_it_fits(out, OBSERVED_ADDR, self->observed->bytes, self->observed->len);
	for (int i = 0; i < self->n_protocols; i++)
		put_if_it_fits(out, PROTOCOLS, self->protocols[i], strlen(self->protocols[i]));
	for (int i = 0; i < self->n_addrs; i++)
		put_if_it_fits(out, LISTEN_ADDRS, self->addrs[i].bytes, self->addrs[i].len);
}

static void put_message(struct buf *out, const struct buf *message)
{
	buf_varint(out, message->len);
	buf_append(out, message->data, message->len);
}

int identify_encode(struct buf *out, const struct identify_self *self)
{
	struct buf message = { 0 }, record = { 0 };
	int r = -ENOMEM;

	put_fields(&message, self);
	put_record(&record, self);
	if (message.failed || record.failed)
		goto out;
	if (message.len + pb_bytes_size(SIGNED_RECORD, record.len) > SINGLE_MAX) {
		put_message(out, &message);
		buf_clear(&message);
	}
	pb_put_bytes(&message, SIGNED_RECORD, record.data, record.len);
	if (message.failed)
		goto out;
	put_message(out, &message);
	r = out->failed ? -ENOMEM : 0;
out:
	buf_release(&message);
	buf_release(&record);
	return r;
}
