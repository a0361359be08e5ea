#include "tools/ref.h"

#include "store/error.h"

#include <stdio.h>
#include <string.h>

int ref_parse(struct ref *out, const char *text)
{
	bool ipfs = !strncmp(text, "/ipfs/", 6), ipns = !strncmp(text, "/ipns/", 6);

	*out = (struct ref){ 0 };
	if (ipfs || ipns)
		text += 6;
	else if (*text == '/')
		return ERR_MALFORMED;
	size_t len = strcspn(text, "/");
	out->path = text + len + strspn(text + len, "/");
	if (!ipns && cid_parse(&out->cid, text, len) >= 0 &&
	    (ipfs || out->cid.codec != CODEC_LIBP2P_KEY))
		return 0;
	if (ipfs)
		return ERR_MALFORMED;
	out->is_name = true;
	return peer_parse(&out->name, text, len);
}

char *ref_text(const struct ref *r)
{
	char cid[CID_TEXT_MAX], name[PEER_TEXT_MAX];
	char *out = NULL;

	if (asprintf(&out, "/%s/%s%s%s", r->is_name ? "ipns" : "ipfs",
		     r->is_name ? peer_name_text(&r->name, name) : cid_text(&r->cid, cid),
		     *r->path ? "/" : "", r->path) < 0)
		return NULL;
	return out;
}
