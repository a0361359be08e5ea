/*
 * A stranger's bytes as each message of the handshake, and as the payload
 * inside a handshake that is right otherwise.  The states before each message
 * are made once and copied, since making them costs a dozen scalar products.
 */
#include "net/noise_internal.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static const struct secret_key key; /* all zero: what it signs nobody believes */

/* A listener before message 1, a dialler before 2, a listener and its liar before 3. */
static struct noise fresh, dialler, listener;
static struct noise_xx liar;

static void prepare(void)
{
	static const uint8_t s[NOISE_DH] = { 1 }, e[NOISE_DH] = { 2 };
	struct buf msg[3] = { 0 }, got = { 0 };
	struct noise *n;

	if (noise_new(&n, true, &key, NULL) < 0 || noise_start(n, &msg[2]) < 0)
		abort();
	dialler = *n;
	noise_free(n);
	if (noise_new(&n, false, &key, NULL) < 0)
		abort();
	fresh = *n;
	noise_xx_init(&liar, true, "", 0, s, e);
	noise_xx_write(&liar, "", 0, &msg[0]);
	if (noise_handshake(n, msg[0].data, msg[0].len, &msg[1]) != 0)
		abort();
	listener = *n;
	noise_free(n);
	if (noise_xx_read(&liar, msg[1].data + NOISE_LENGTH, msg[1].len - NOISE_LENGTH, &got) < 0)
		abort();
	for (int i = 0; i < 3; i++)
		buf_release(&msg[i]);
	buf_release(&got);
}

/* Only message 1 can be guessed, and it says nothing. */
static void refuse(const struct noise *before, const uint8_t *data, size_t len)
{
	struct noise n = *before;
	struct buf out = { 0 };

	if (noise_handshake(&n, data, len, &out) >= 0 && before != &fresh)
		abort();
	buf_release(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct noise_xx x;
	struct buf msg = { 0 };

	if (!fresh.key)
		prepare();
	refuse(&fresh, data, len);
	refuse(&dialler, data, len);
	refuse(&listener, data, len);

	x = liar;
	noise_xx_write(&x, data, len, &msg);
	refuse(&listener, msg.data, msg.len);
	buf_release(&msg);
	return 0;
}
