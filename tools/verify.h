/*
 * Reading every block of a store, or some, and comparing it with its name, on
 * as many threads as there are CPUs; for `cairn verify` and `cairn repair`.
 */
#ifndef TOOLS_VERIFY_H
#define TOOLS_VERIFY_H

#include "store/cid.h"
#include "store/store.h"
#include "tools/command.h"

struct damaged {
	struct multihash name;
	int error; /* of store_check() */
};

struct verified {
	uint64_t blocks, bytes; /* that were read */
	struct damaged *damaged;
	size_t n_damaged;
};

/*
 * Each block with a chance of `share` (1: all).  Draws a progress line.  0 and the
 * outcome, to be released; ERR_CORRUPT (the index is damaged), -ECANCELED
 * (interrupted), or an error of the system.  After an error there is an
 * outcome too, of what was done.
 */
int verify_store(struct store *s, double share, struct verified *out);
void verified_release(struct verified *v);

/* A block's name as a CID: of which codec it is the store does not know. */
const char *verify_text(const struct multihash *name, char out[CID_TEXT_MAX]);
/* The names of `n` blocks, as a JSON array. */
json_t *verify_names(const struct damaged *list, size_t n);

#endif
