/*
 * Multiaddrs (multiformats/multiaddr), kept in binary form:
 *	components, each uvarint code | value (fixed size, or uvarint length | bytes)
 */
#ifndef NET_ADDR_H
#define NET_ADDR_H

#include "net/peer.h"

#include <netinet/in.h>
#include <sys/socket.h>

#define ADDR_MAX      256 /* binary; longer ones are refused */
#define ADDR_TEXT_MAX 512

struct addr {
	uint16_t len; /* 0: none */
	uint8_t bytes[ADDR_MAX];
};

/* Binary: every component known and complete.  ERR_MALFORMED, -ENOTSUP
 * (an unknown protocol), -EFBIG. */
int addr_decode(struct addr *out, const void *data, size_t len);
/* Text: /ip4/192.0.2.1/tcp/4001/p2p/12D3…  (`ipfs` is an alias of p2p.) */
int addr_parse(struct addr *out, const char *text);
/* The text; never fails for an addr that decoded. */
const char *addr_text(const struct addr *a, char out[ADDR_TEXT_MAX]);
bool addr_equal(const struct addr *a, const struct addr *b);

/* The peer id in the last /p2p/ component: true if there is one. */
bool addr_peer(const struct addr *a, struct peer_id *out);
/* The same address without / with a final /p2p/ID. */
void addr_strip_peer(struct addr *a);
int addr_add_peer(struct addr *a, const struct peer_id *p);

/*
 * The socket address if this is plain TCP we can dial: /ip4|ip6/…/tcp/PORT,
 * optionally followed by /p2p/ID and nothing else.  0, or -ENOTSUP.
 * Port 0 is accepted (for listening); addr_dialable() refuses it.
 */
int addr_sockaddr(const struct addr *a, struct sockaddr_storage *out);
void addr_of_sockaddr(struct addr *out, const struct sockaddr *sa);
bool addr_dialable(const struct addr *a);

/* Not reachable from the Internet at large (RFC 1918, ULA, link-local…). */
bool addr_private(const struct addr *a);
bool addr_loopback(const struct addr *a);
/* 0.0.0.0 or ::, which stand for every interface when listening. */
bool addr_unspecified(const struct addr *a);

#endif
