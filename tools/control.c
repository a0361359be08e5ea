#include "tools/control.h"

#include "store/buf.h"
#include "store/error.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>

void control_put_head(uint8_t out[CONTROL_HEAD], const struct control_head *h)
{
	uint32_t len = h->payload + CONTROL_HEAD - 4;

	memcpy(out, (uint8_t[]){ len, len >> 8, len >> 16, len >> 24 }, 4);
	out[4] = h->kind;
	memcpy(out + 5, (uint8_t[]){ h->id, h->id >> 8, h->id >> 16, h->id >> 24 }, 4);
}

int control_get_head(struct control_head *h, const uint8_t in[CONTROL_HEAD], uint32_t max)
{
	struct cursor c = cursor_over(in, CONTROL_HEAD);
	uint32_t len = cursor_u32le(&c);

	h->kind = cursor_u8(&c);
	h->id = cursor_u32le(&c);
	if (len < CONTROL_HEAD - 4 || len - (CONTROL_HEAD - 4) > max)
		return ERR_MALFORMED;
	h->payload = len - (CONTROL_HEAD - 4);
	return 0;
}

int control_address(const char *repo, struct sockaddr_un *out, int *dirfd)
{
	*dirfd = open(repo, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (*dirfd < 0)
		return -errno;
	memset(out, 0, sizeof *out);
	out->sun_family = AF_UNIX;
	snprintf(out->sun_path, sizeof out->sun_path, "/proc/self/fd/%d/control.sock", *dirfd);
	return 0;
}
