/*
 * An address as its components: what addr.c, addr_text.c and addr_place.c share.
 */
#ifndef NET_ADDR_INTERNAL_H
#define NET_ADDR_INTERNAL_H

#include "net/addr.h"
#include "store/cursor.h"

enum addr_code {
	IP4 = 4, TCP = 6, IP6 = 41, IP6ZONE = 42, IPCIDR = 43, DNS = 53, DNS4 = 54,
	DNS6 = 55, DNSADDR = 56, UDP = 273, WEBRTC_DIRECT = 280, WEBRTC = 281,
	CIRCUIT = 290, UNIX = 400, P2P = 421, TLS = 448, SNI = 449, NOISE = 454,
	QUIC = 460, QUIC_V1 = 461, WEBTRANSPORT = 465, CERTHASH = 466, WS = 477, WSS = 478,
	HTTP = 480, HTTP_PATH = 481, HTTPS = 443, MEMORY = 777,
};

/* What a value is, and so how its text looks.  From TEXT on it has a length. */
enum addr_value { NONE, V4, V6, PORT, BITS, TEXT, PEER, HASH, ESCAPED, REST };

#define BITS_MAX 128 /* of an IPv6 prefix */

struct protocol {
	enum addr_code code;
	enum addr_value value;
	const char *name;
};

struct component {
	const struct protocol *protocol;
	const uint8_t *start; /* of its code */
	const uint8_t *value;
	size_t len;
};

/* 1 and the next component; 0 at the end; ERR_MALFORMED; -ENOTSUP. */
int addr_next(struct cursor *in, struct component *c);
/* The first component with this code. */
bool addr_find(const struct addr *a, enum addr_code code, struct component *c);

/* The protocol of this name; NULL if there is none. */
const struct protocol *addr_protocol(const char *name, size_t len);
/* Bytes of a value whose size its protocol fixes, else 0. */
size_t addr_fixed_size(enum addr_value v);

#endif
