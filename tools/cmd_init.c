/* cairn init: a repository, with a key that is this node's name for ever. */
#include "store/error.h"
#include "tools/repo.h"

#include <stdio.h>

int cmd_init(struct context *cx, int argc, char **argv)
{
	struct secret_key key;
	struct public_key public;
	struct peer_id self;
	char text[PEER_TEXT_MAX];

	if (argc > 1)
		return misuse(cx, "unexpected argument '%s'", argv[1]);
	int r = repo_create(cx->repo);
	if (r == -EEXIST)
		return fail(cx, "there is a repository at %s already", cx->repo);
	if (r < 0)
		return fail(cx, "cannot make a repository at %s: %s", cx->repo, err_text(r));
	r = repo_key(cx->repo, &key);
	if (r < 0)
		return fail(cx, "cannot read back the new key: %s", err_text(r));
	key_public(&key, &public);
	key_peer(&public, &self);
	if (cx->json)
		return print_json(json_pack("{s:s, s:s}", "id", peer_text(&self, text), "repo", cx->repo));
	printf("made a repository at %s\npeer id %s\n", cx->repo, peer_text(&self, text));
	return 0;
}
