/*
 * Signed envelopes (libp2p RFC 0002) and the peer records in them (RFC 0003,
 * with the domain and the payload type that are deployed).
 *
 *	Envelope:   1 public_key { 1 Type, 2 Data }, 2 payload_type bytes,
 *		    3 payload bytes, 5 signature bytes
 *	signed:     uvarint length | domain | uvarint length | payload_type |
 *		    uvarint length | payload
 *	PeerRecord: 1 peer_id bytes, 2 seq uint64, 3 rep addresses { 1 multiaddr bytes }
 */
#ifndef NET_ENVELOPE_H
#define NET_ENVELOPE_H

#include "net/addr.h"
#include "net/key.h"

#define ENVELOPE_MAX	  8192 /* longest envelope that is looked at */
#define PEER_RECORD_ADDRS 32   /* addresses kept of a record; more are dropped */

/* What an envelope is for: two records of one key are never taken for another. */
struct envelope_kind {
	const char *domain;
	const uint8_t *type;
	size_t type_len;
};
extern const struct envelope_kind envelope_peer_record;	  /* libp2p-peer-record, 03 01 */
extern const struct envelope_kind envelope_relay_voucher; /* libp2p-relay-rsvp, 03 02 */

struct envelope {
	struct public_key key; /* who signed */
	const uint8_t *payload; /* borrowed from the input */
	size_t payload_len;
};

/* Append an envelope around `payload`; a failure shows in out->failed. */
void envelope_seal(struct buf *out, const struct envelope_kind *kind,
		   const struct secret_key *key, const void *payload, size_t len);
/* 0; ERR_MALFORMED; -EFBIG; -ENOTSUP (key); ERR_CORRUPT: not signed by that key
 * for this kind; -ENOMEM. */
int envelope_open(struct envelope *out, const struct envelope_kind *kind, const void *data,
		  size_t len);

struct peer_record {
	struct peer_id peer;
	uint64_t seq; /* grows with each change: milliseconds since 1970 */
	int n_addrs;
	struct addr addrs[PEER_RECORD_ADDRS]; /* without /p2p/ */
};

/* The record of `key`'s peer (r->peer is not looked at). */
void peer_record_seal(struct buf *out, const struct secret_key *key,
		      const struct peer_record *r);
/*
 * A record that came from `from`.  As envelope_open, and ERR_CORRUPT also if the
 * record is not about its signer, or its signer is not `from`.  Addresses that
 * are not understood are left out.  Whether seq is newer is the caller's matter.
 */
int peer_record_open(struct peer_record *out, const struct peer_id *from, const void *data,
		     size_t len);

#endif
