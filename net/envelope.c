#include "net/envelope.h"

#include "store/error.h"
#include "store/pb.h"

#include <string.h>

const struct envelope_kind envelope_peer_record = {
	"libp2p-peer-record", (const uint8_t[]){ 0x03, 0x01 }, 2,
};
const struct envelope_kind envelope_relay_voucher = {
	"libp2p-relay-rsvp", (const uint8_t[]){ 0x03, 0x02 }, 2,
};

/* What is signed: three byte strings, each with its length before it. */
static void put_signed(struct buf *out, const struct envelope_kind *kind, const void *payload,
		       size_t len)
{
	buf_varint(out, strlen(kind->domain));
	buf_text(out, kind->domain);
	buf_varint(out, kind->type_len);
	buf_append(out, kind->type, kind->type_len);
	buf_varint(out, len);
	buf_append(out, payload, len);
}

void envelope_seal(struct buf *out, const struct envelope_kind *kind,
		   const struct secret_key *key, const void *payload, size_t len)
{
	uint8_t serialized[KEY_PUBLIC_MAX], signature[ED25519_SIGNATURE];
	struct public_key public;
	struct buf text = { 0 };

	key_public(key, &public);
	put_signed(&text, kind, payload, len);
	if (text.failed) {
		out->failed = true;
		buf_release(&text);
		return;
	}
	key_sign(key, text.data, text.len, signature);
	buf_release(&text);

	pb_put_bytes(out, 1, serialized, key_encode(&public, serialized));
	pb_put_bytes(out, 2, kind->type, kind->type_len);
	pb_put_bytes(out, 3, payload, len);
	pb_put_bytes(out, 5, signature, sizeof signature);
}

int envelope_open(struct envelope *out, const struct envelope_kind *kind, const void *data,
		  size_t len)
{
	struct pb_field f, key = { 0 }, type = { 0 }, payload = { 0 }, signature = { 0 };
	struct cursor in = cursor_over(data, len);
	struct buf text = { 0 };
	int r;

	if (len > ENVELOPE_MAX)
		return -EFBIG;
	while ((r = pb_next(&in, &f)) > 0) {
		if (pb_is(&f, 1, PB_BYTES))
			key = f;
		else if (pb_is(&f, 2, PB_BYTES))
			type = f;
		else if (pb_is(&f, 3, PB_BYTES))
			payload = f;
		else if (pb_is(&f, 5, PB_BYTES))
			signature = f;
	}
	if (r < 0)
		return r;
	if (!key.data || !payload.data || !signature.data)
		return ERR_MALFORMED;
	if (type.len != kind->type_len || memcmp(type.data, kind->type, type.len) != 0)
		return ERR_CORRUPT;
	r = key_decode(&out->key, key.data, key.len);
	if (r < 0)
		return r;

	put_signed(&text, kind, payload.data, payload.len);
	r = text.failed ? -ENOMEM : key_verify(&out->key, text.data, text.len, signature.data,
					       signature.len);
	buf_release(&text);
	out->payload = payload.data;
	out->payload_len = payload.len;
	return r;
}

void peer_record_seal(struct buf *out, const struct secret_key *key,
		      const struct peer_record *r)
{
	struct public_key public;
	struct peer_id id;
	struct buf record = { 0 };

	key_public(key, &public);
	key_peer(&public, &id);
	pb_put_bytes(&record, 1, id.bytes, id.len);
	pb_put_varint(&record, 2, r->seq);
	for (int i = 0; i < r->n_addrs; i++) {
		pb_put_head(&record, 3, pb_bytes_size(1, r->addrs[i].len));
		pb_put_bytes(&record, 1, r->addrs[i].bytes, r->addrs[i].len);
	}
	if (record.failed)
		out->failed = true;
	else
		envelope_seal(out, &envelope_peer_record, key, record.data, record.len);
	buf_release(&record);
}

/* An address that is not understood is left out, and the record stays good. */
static int take_address(struct peer_record *out, const uint8_t *data, size_t len)
{
	struct cursor in = cursor_over(data, len);
	struct pb_field f;
	int r;

	while ((r = pb_next(&in, &f)) > 0) {
		if (!pb_is(&f, 1, PB_BYTES) || out->n_addrs == PEER_RECORD_ADDRS)
			continue;
		struct addr *a = &out->addrs[out->n_addrs];
		if (addr_decode(a, f.data, f.len) < 0)
			continue;
		addr_strip_peer(a);
		if (a->len)
			out->n_addrs++;
	}
	return r;
}

static int take_record(struct peer_record *out, const uint8_t *data, size_t len)
{
	struct cursor in = cursor_over(data, len);
	struct pb_field f;
	int r;

	while ((r = pb_next(&in, &f)) > 0) {
		if (pb_is(&f, 1, PB_BYTES))
			r = peer_decode(&out->peer, f.data, f.len);
		else if (pb_is(&f, 2, PB_VARINT))
			out->seq = f.value;
		else if (pb_is(&f, 3, PB_BYTES))
			r = take_address(out, f.data, f.len);
		if (r < 0)
			return r;
	}
	return r;
}

int peer_record_open(struct peer_record *out, const struct peer_id *from, const void *data,
		     size_t len)
{
	struct envelope envelope;
	struct peer_id signer;
	int r = envelope_open(&envelope, &envelope_peer_record, data, len);

	if (r < 0)
		return r;
	key_peer(&envelope.key, &signer);
	if (!peer_equal(&signer, from))
		return ERR_CORRUPT;
	out->peer.len = 0;
	out->seq = 0;
	out->n_addrs = 0;
	r = take_record(out, envelope.payload, envelope.payload_len);
	if (r < 0)
		return r;
	return peer_equal(&out->peer, &signer) ? 0 : ERR_CORRUPT;
}
