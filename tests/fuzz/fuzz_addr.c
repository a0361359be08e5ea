/* An address that decodes has a text, and the text gives the same bytes. */
#include "net/addr.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void try_text(const uint8_t *data, size_t len)
{
	char text[ADDR_TEXT_MAX + 8];
	struct addr a;

	if (len >= sizeof text)
		return;
	memcpy(text, data, len);
	text[len] = '\0';
	addr_parse(&a, text);
	/* With a start that is right, more of the rest is reached. */
	if (len > 240)
		return;
	memmove(text + 14, text, len + 1);
	memcpy(text, "/ip4/1.2.3.4/t", 14);
	addr_parse(&a, text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	char text[ADDR_TEXT_MAX];
	struct addr a, b;
	struct peer_id id;
	struct sockaddr_storage sa;

	try_text(data, len);
	peer_parse(&id, (const char *)data, len);
	peer_decode(&id, data, len);
	if (addr_decode(&a, data, len) < 0)
		return 0;
	addr_text(&a, text);
	if (addr_parse(&b, text) < 0 || !addr_equal(&a, &b))
		abort();
	addr_sockaddr(&a, &sa);
	addr_private(&a);
	addr_loopback(&a);
	addr_dialable(&a);
	if (addr_peer(&a, &id))
		addr_strip_peer(&a);
	return 0;
}
