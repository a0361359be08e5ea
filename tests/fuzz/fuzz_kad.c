/* Messages of the DHT, and what a lookup makes of them. */
#include "net/kad_lookup.h"
#include "net/kad_msg.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void walk(struct kad_peers w, struct kad_lookup *l, const struct peer_id *from)
{
	struct kad_peer p;
	struct addr a[KAD_ADDRS_MAX];

	while (kad_peer_next(&w, &p)) {
		kad_addrs(p.addrs, p.addrs_len, a, KAD_ADDRS_MAX);
		kad_lookup_heard(l, from, &p.id, p.addrs, p.addrs_len);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct lookup_config cfg = { .target = kad_id_of("key", 3),
				     .self = { .len = 4, .bytes = { 0, 2, 'm', 'e' } },
				     .paths = 3,
				     .path_end = 2,
				     .closest = 3,
				     .ask_max = 32,
				     .total_ms = 1000,
				     .slow_ms = 10,
				     .patience_ms = 50 };
	struct kad_contact start = { .peer = { .len = 4, .bytes = { 0, 2, 'h', 'i' } } },
			   ask;
	struct kad_msg m;
	uint64_t now = 0, wake;
	enum lookup_next what;

	if (kad_decode(&m, data, len) < 0)
		return 0;
	struct kad_lookup *l = kad_lookup_new(&cfg);
	if (!l)
		return 0;
	kad_lookup_start(l, &start);
	/* Everybody says this. */
	while ((what = kad_lookup_next(l, now, &ask, &wake)) != LOOKUP_DONE) {
		if (what == LOOKUP_WAIT) {
			now = wake;
			continue;
		}
		walk(kad_closer(&m), l, &ask.peer);
		walk(kad_providers(&m), l, &ask.peer);
		kad_lookup_answered(l, &ask.peer);
	}
	kad_lookup_free(l);
	return 0;
}
