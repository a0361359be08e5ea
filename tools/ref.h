/*
 * What a user means by SOURCE: a CID, /ipfs/CID[/path], a name (k51…, 12D3…)
 * or /ipns/NAME[/path].  A bare Qm… is a CID; after /ipns/ it is a name.
 */
#ifndef TOOLS_REF_H
#define TOOLS_REF_H

#include "net/peer.h"

struct ref {
	bool is_name;
	struct cid cid;	     /* unless is_name */
	struct peer_id name; /* if is_name */
	const char *path;    /* behind it, without a leading slash; borrowed, "" */
};

/* 0 or ERR_MALFORMED. */
int ref_parse(struct ref *out, const char *text);

/* "/ipfs/…" or "/ipns/…" in full; the caller frees; NULL if out of memory. */
char *ref_text(const struct ref *r);

#endif
