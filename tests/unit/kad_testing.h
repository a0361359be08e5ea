/* Made-up peers and addresses for the tests of the DHT. */
#ifndef TESTS_KAD_TESTING_H
#define TESTS_KAD_TESTING_H

#include "net/kad_msg.h"

#include <string.h>

/* Peer number `n`: an identity multihash that looks like an ed25519 key. */
static inline struct peer_id test_peer(uint32_t n)
{
	struct peer_id p = { .len = 38, .bytes = { 0x00, 0x24, 0x08, 0x01, 0x12, 0x20 } };

	for (int i = 0; i < 4; i++)
		p.bytes[6 + i] = (uint8_t)(n >> (24 - 8 * i));
	return p;
}

/* /ip4/A.B.C.D/tcp/4001 */
static inline struct addr test_addr(uint8_t a, uint8_t b, uint8_t c, uint8_t d)
{
	return (struct addr){ .len = 8, .bytes = { 4, a, b, c, d, 6, 0x0f, 0xa1 } };
}

#endif
