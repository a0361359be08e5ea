/*
 * Keys of peers and names (libp2p/specs peer-ids).  Ours are ed25519; RSA
 * (2048..8192 bits), ECDSA P-256 and secp256k1 are verified only.
 *	PublicKey, PrivateKey: 1 Type enum, 2 Data bytes, both present, in order
 */
#ifndef NET_KEY_H
#define NET_KEY_H

#include "net/peer.h"
#include "store/buf.h"

enum key_type { KEY_RSA = 0, KEY_ED25519 = 1, KEY_SECP256K1 = 2, KEY_ECDSA = 3 };

#define KEY_DATA_MAX	1200 /* of a public key's Data field: RSA of 8192 bits */
#define KEY_PUBLIC_MAX	(KEY_DATA_MAX + 16)
#define SIGNATURE_MAX	1056
#define ED25519_SIGNATURE 64

struct public_key {
	enum key_type type;
	uint16_t len;
	uint8_t data[KEY_DATA_MAX];
};

/* An ed25519 key pair: libsodium's secret key (seed | public). */
struct secret_key {
	uint8_t bytes[64];
};

void key_generate(struct secret_key *out);
void key_public(const struct secret_key *k, struct public_key *out);
/* The serialized PrivateKey, and back: as kept in the repository. */
void key_secret_encode(const struct secret_key *k, struct buf *out);
int key_secret_decode(struct secret_key *out, const void *data, size_t len);

/*
 * Exactly a serialized PublicKey in its one deterministic form.
 * ERR_MALFORMED; -ENOTSUP for an RSA key of less than 2048 or over 8192 bits.
 */
int key_decode(struct public_key *out, const void *data, size_t len);
size_t key_encode(const struct public_key *k, uint8_t out[KEY_PUBLIC_MAX]);

/* The peer id of a key. */
void key_peer(const struct public_key *k, struct peer_id *out);
/* The key inside an identity peer id (ed25519 or secp256k1): 0 or ERR_MALFORMED. */
int key_of_peer(const struct peer_id *p, struct public_key *out);

/* Sign with ed25519. */
void key_sign(const struct secret_key *k, const void *data, size_t len,
	      uint8_t out[ED25519_SIGNATURE]);
/* 0, or ERR_CORRUPT if the signature is not of that key over that data. */
int key_verify(const struct public_key *k, const void *data, size_t len,
	       const void *signature, size_t signature_len);

#endif
