/* Bitswap messages: whatever came, what is counted is what is given. */
#include "net/bitswap_msg.h"

#include <stdint.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct bitswap_reader r;
	struct bitswap_item item;
	uint32_t n = 0;
	volatile uint8_t last = 0;

	if (bitswap_msg_begin(&r, data, len) < 0)
		return 0;
	uint32_t said = r.wants + r.blocks + r.presences;
	while (bitswap_msg_next(&r, &item)) {
		n++;
		if (item.kind == BITSWAP_BLOCK && item.len)
			last = item.data[item.len - 1];
	}
	(void)last;
	if (n != said)
		abort();
	return 0;
}
