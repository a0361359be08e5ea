/* No bytes are a signed record of a peer whose key nobody holds. */
#include "net/envelope.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static const struct secret_key key;
	struct peer_id from = { .len = 34, .bytes = { 0x12, 0x20 } };
	struct envelope e;
	struct peer_record r;
	struct public_key public;
	struct buf out = { 0 };

	if (peer_record_open(&r, &from, data, len) == 0)
		abort();
	envelope_open(&e, &envelope_relay_voucher, data, len);

	/* The same bytes as a record that is signed: its parser sees them. */
	key_public(&key, &public);
	key_peer(&public, &from);
	envelope_seal(&out, &envelope_peer_record, &key, data, len);
	if (peer_record_open(&r, &from, out.data, out.len) == 0 && !peer_equal(&r.peer, &from))
		abort();
	buf_release(&out);
	return 0;
}
