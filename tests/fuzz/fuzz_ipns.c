/* IPNS records, as they come and with a signature that fits. */
#include "net/ipns.h"
#include "store/pb.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static struct secret_key key;
	static struct peer_id name;
	struct ipns_record rec;
	struct buf text = { 0 }, entry = { 0 };
	uint8_t signature[ED25519_SIGNATURE];

	if (!name.len) {
		struct public_key public;

		key_generate(&key);
		key_public(&key, &public);
		key_peer(&public, &name);
	}
	ipns_verify(&rec, &name, data, len, 0);
	ipns_compare(data, len, data, len / 2);

	buf_text(&text, "ipns-signature:");
	buf_append(&text, data, len);
	if (text.failed)
		goto out;
	key_sign(&key, text.data, text.len, signature);
	pb_put_bytes(&entry, 8, signature, sizeof signature);
	pb_put_bytes(&entry, 9, data, len);
	if (!entry.failed)
		ipns_verify(&rec, &name, entry.data, entry.len, 0);
out:
	buf_release(&text);
	buf_release(&entry);
	return 0;
}
