#include "net/kad_msg.h"

#include "store/error.h"
#include "store/pb.h"

enum { F_TYPE = 1, F_KEY = 2, F_RECORD = 3, F_CLOSER = 8, F_PROVIDERS = 9 };
enum { P_ID = 1, P_ADDRS = 2 };
enum { R_KEY = 1, R_VALUE = 2 };

static int decode_record(struct kad_msg *m, const struct pb_field *record)
{
	struct cursor in = cursor_over(record->data, record->len);
	struct pb_field f;
	int r;

	m->has_record = true;
	while ((r = pb_next(&in, &f)) > 0) {
		if (f.number != R_KEY && f.number != R_VALUE)
			continue;
		if (f.type != PB_BYTES)
			return ERR_MALFORMED;
		if (f.number == R_KEY) {
			m->record_key = f.data;
			m->record_key_len = f.len;
		} else {
			m->value = f.data;
			m->value_len = f.len;
		}
	}
	return r;
}

/* The fields of a peer are well formed; what they say is judged in the walk. */
static int check_peer(const struct pb_field *peer)
{
	struct cursor in = cursor_over(peer->data, peer->len);
	struct pb_field f;
	int r;

	while ((r = pb_next(&in, &f)) > 0)
		if ((f.number == P_ID || f.number == P_ADDRS) && f.type != PB_BYTES)
			return ERR_MALFORMED;
	return r;
}

int kad_decode(struct kad_msg *out, const void *data, size_t len)
{
	struct cursor in = cursor_over(data, len);
	struct kad_msg m = { .body = data, .body_len = len };
	struct pb_field f;
	int r;

	while ((r = pb_next(&in, &f)) > 0) {
		if (f.number == F_TYPE) {
			if (f.type != PB_VARINT || f.value > KAD_PING)
				return ERR_MALFORMED;
			m.type = (uint32_t)f.value;
			continue;
		}
		if (f.number != F_KEY && f.number != F_RECORD && f.number != F_CLOSER &&
		    f.number != F_PROVIDERS)
			continue;
		if (f.type != PB_BYTES)
			return ERR_MALFORMED;
		switch (f.number) {
		case F_KEY:
			if (f.len > KAD_KEY_MAX)
				return ERR_MALFORMED;
			m.key = f.data;
			m.key_len = f.len;
			break;
		case F_RECORD:
			r = decode_record(&m, &f);
			break;
		case F_CLOSER:
			m.n_closer++;
			r = check_peer(&f);
			break;
		case F_PROVIDERS:
			m.n_providers++;
			r = check_peer(&f);
			break;
		}
		if (r < 0)
			return r;
		if (m.n_closer + m.n_providers > KAD_PEERS_MAX)
			return ERR_MALFORMED;
	}
	if (r < 0)
		return r;
	*out = m;
	return 0;
}

struct kad_peers kad_closer(const struct kad_msg *m)
{
	return (struct kad_peers){ cursor_over(m->body, m->body_len), F_CLOSER };
}

struct kad_peers kad_providers(const struct kad_msg *m)
{
	return (struct kad_peers){ cursor_over(m->body, m->body_len), F_PROVIDERS };
}

bool kad_peer_next(struct kad_peers *w, struct kad_peer *out)
{
	struct pb_field f;

	while (pb_next(&w->in, &f) > 0) {
		if (!pb_is(&f, w->field, PB_BYTES))
			continue;
		struct cursor in = cursor_over(f.data, f.len);
		struct pb_field part;
		bool named = false;

		while (pb_next(&in, &part) > 0)
			if (pb_is(&part, P_ID, PB_BYTES))
				named = peer_decode(&out->id, part.data, part.len) == 0;
		if (!named)
			continue;
		out->addrs = f.data;
		out->addrs_len = f.len;
		return true;
	}
	return false;
}

bool kad_addr_next(struct cursor *in, struct addr *out)
{
	struct pb_field f;

	while (pb_next(in, &f) > 0)
		if (pb_is(&f, P_ADDRS, PB_BYTES) && addr_decode(out, f.data, f.len) == 0)
			return true;
	return false;
}

int kad_addrs(const uint8_t *packed, size_t len, struct addr *out, int max)
{
	struct cursor in = cursor_over(packed, len);
	int n = 0;

	while (n < max && kad_addr_next(&in, &out[n]))
		n++;
	return n;
}

void kad_pack(struct buf *out, const struct addr *a)
{
	pb_put_bytes(out, P_ADDRS, a->bytes, a->len);
}

void kad_put_head(struct buf *out, enum kad_type type, const void *key, size_t key_len)
{
	pb_put_varint(out, F_TYPE, type);
	pb_put_bytes(out, F_KEY, key, key_len);
}

void kad_put_record(struct buf *out, const void *key, size_t key_len, const void *value,
		    size_t value_len)
{
	pb_put_head(out, F_RECORD,
		    pb_bytes_size(R_KEY, key_len) + pb_bytes_size(R_VALUE, value_len));
	pb_put_bytes(out, R_KEY, key, key_len);
	pb_put_bytes(out, R_VALUE, value, value_len);
}

static void put_peer(struct buf *out, uint32_t field, const struct peer_id *id,
		     const uint8_t *packed, size_t len)
{
	pb_put_head(out, field, pb_bytes_size(P_ID, id->len) + len);
	pb_put_bytes(out, P_ID, id->bytes, id->len);
	buf_append(out, packed, len);
}

void kad_put_closer(struct buf *out, const struct peer_id *id, const uint8_t *packed,
		    size_t len)
{
	put_peer(out, F_CLOSER, id, packed, len);
}

void kad_put_provider(struct buf *out, const struct peer_id *id, const uint8_t *packed,
		      size_t len)
{
	put_peer(out, F_PROVIDERS, id, packed, len);
}
