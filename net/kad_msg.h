/*
 * The messages of the Kademlia DHT (wire.md 8, ipfs/specs kad-dht): pure
 * functions over bytes.
 *	Message: 1 type, 2 key, 3 record Record, 8 closerPeers rep Peer,
 *		9 providerPeers rep Peer, 10 cluster level (unused, skipped)
 *	Peer:	1 id (multihash), 2 addrs rep multiaddr, 3 connection (unused)
 *	Record:	1 key, 2 value, 5 timeReceived text (unused)
 * On a stream each message stands behind its uvarint length (net/frame.h).
 *
 * A decoded message borrows the input; lists of peers and addresses are walked,
 * never copied whole, so their length costs no memory.
 */
#ifndef NET_KAD_MSG_H
#define NET_KAD_MSG_H

#include "net/addr.h"
#include "store/buf.h"

enum kad_type {
	KAD_PUT_VALUE = 0,
	KAD_GET_VALUE = 1,
	KAD_ADD_PROVIDER = 2,
	KAD_GET_PROVIDERS = 3,
	KAD_FIND_NODE = 4,
	KAD_PING = 5,
};

#define KAD_K                20 /* peers of a bucket, of an answer, that keep a record */
#define KAD_REQUEST_MAX      65536     /* bytes of a request we read */
#define KAD_ANSWER_MAX       (4 << 20) /* and of an answer, as in go-libp2p */
#define KAD_KEY_MAX          256       /* of values and lookups */
#define KAD_PROVIDER_KEY_MAX 80
#define KAD_PEERS_MAX        50000 /* elements of one message */
#define KAD_ADDRS_MAX        8     /* addresses we use of one peer */
#define KAD_ADDRS_SIZE       1024  /* and their bytes in all, packed */

struct kad_msg {
	uint32_t type; /* an enum kad_type */
	const uint8_t *key;
	size_t key_len;
	bool has_record;
	const uint8_t *record_key, *value;
	size_t record_key_len, value_len;
	uint32_t n_closer, n_providers; /* as sent, not yet judged */
	const uint8_t *body;            /* the whole message, for kad_peers() */
	size_t body_len;
};

/*
 * 0 or ERR_MALFORMED: broken fields at any depth, an unknown type, a key over
 * KAD_KEY_MAX, more than KAD_PEERS_MAX peers.
 */
int kad_decode(struct kad_msg *out, const void *data, size_t len);

/* A walk over one of the two lists of peers. */
struct kad_peers {
	struct cursor in;
	uint32_t field;
};
struct kad_peers kad_closer(const struct kad_msg *m);
struct kad_peers kad_providers(const struct kad_msg *m);

struct kad_peer {
	struct peer_id id;
	const uint8_t *addrs; /* for kad_addr_next(): borrowed */
	size_t addrs_len;
};
/* The next peer with a valid id; false at the end.  Others are skipped. */
bool kad_peer_next(struct kad_peers *w, struct kad_peer *out);

/*
 * The next address that decodes, of a peer or of packed addresses; false at
 * the end.  One address that we cannot read says nothing about the others.
 */
bool kad_addr_next(struct cursor *in, struct addr *out);
/* Up to `max` of them; the count. */
int kad_addrs(const uint8_t *packed, size_t len, struct addr *out, int max);

/* ---- writing ---- */

/* Append one address to packed ones (which are `2 addrs` fields). */
void kad_pack(struct buf *out, const struct addr *a);

/* A message, piece by piece: first its type and key, then what follows. */
void kad_put_head(struct buf *out, enum kad_type type, const void *key, size_t key_len);
void kad_put_record(struct buf *out, const void *key, size_t key_len, const void *value,
		    size_t value_len);
void kad_put_closer(struct buf *out, const struct peer_id *id, const uint8_t *packed,
		    size_t len);
void kad_put_provider(struct buf *out, const struct peer_id *id, const uint8_t *packed,
		      size_t len);

#endif
