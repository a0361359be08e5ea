/*
 * The control protocol between the cairn command and the daemon, on the Unix
 * socket control.sock of the repository (mode 0600; the peer's user must be the
 * daemon's, or root).
 *
 * A frame: u32le length of what follows | u8 kind | u32le id | payload
 *	Q  request	JSON object with "cmd"			client to daemon
 *	R  reply	JSON object; with "error" (text) and "code" if it failed
 *	P  progress	JSON object, before the reply
 *	W  want		u8 priority | u8 length | root CID | CID  client to daemon
 *	B  block	i32le result | bytes
 *	X  cancel	(empty)					client to daemon
 *	S  store	u8 length | multihash | bytes		client to daemon
 *	D  done		i32le result of the S with that id
 * The daemon checks the bytes of an S against their name, and reads no further
 * while many wait for the disk.  They are durable after a request "sync".
 * The id is the client's; replies carry the id of their request.
 */
#ifndef TOOLS_CONTROL_H
#define TOOLS_CONTROL_H

#include "store/block.h"

#include <sys/socket.h>
#include <sys/un.h>

enum control_kind {
	CONTROL_REQUEST = 'Q',
	CONTROL_REPLY = 'R',
	CONTROL_PROGRESS = 'P',
	CONTROL_WANT = 'W',
	CONTROL_BLOCK = 'B',
	CONTROL_CANCEL = 'X',
	CONTROL_STORE = 'S',
	CONTROL_DONE = 'D',
};

#define CONTROL_HEAD	    9 /* bytes before the payload */
#define CONTROL_REQUEST_MAX 65536
#define CONTROL_REPLY_MAX   (16u << 20)
#define CONTROL_STORE_MAX   (1 + MULTIHASH_SIZE_MAX + BLOCK_MAX)

struct control_head {
	uint32_t payload; /* bytes that follow the head */
	uint8_t kind;
	uint32_t id;
};

void control_put_head(uint8_t out[CONTROL_HEAD], const struct control_head *h);
/* 0, or ERR_MALFORMED if the payload is longer than `max`. */
int control_get_head(struct control_head *h, const uint8_t in[CONTROL_HEAD], uint32_t max);

/*
 * The socket's address.  Paths of any length work: the directory is opened (into *dirfd,
 * which the caller closes after bind or connect) and named through /proc.
 */
int control_address(const char *repo, struct sockaddr_un *out, int *dirfd);

#endif
