/* What a handshake holds; private to noise.c, and open to its tests. */
#ifndef NET_NOISE_INTERNAL_H
#define NET_NOISE_INTERNAL_H

#include "net/noise.h"
#include "net/noise_cipher.h"
#include "net/noise_xx.h"

/*
 *	SHAKING -- last message sent or taken --> OPEN
 *	   +------- any error in the handshake --> DEAD
 * A cipher that failed has no context any more; the other direction is not touched.
 */
enum noise_state { NOISE_SHAKING, NOISE_OPEN, NOISE_DEAD };

struct noise {
	enum noise_state state;
	bool early_yamux;
	const struct secret_key *key;
	struct noise_xx xx;
	struct peer_id expect; /* len 0: anyone */
	struct peer_id peer;
	struct public_key peer_key;
	struct noise_cipher send, receive;
};

#endif
