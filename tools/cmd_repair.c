/*
 * cairn repair: what `cairn verify` finds is mended.  With a daemon running,
 * damaged blocks are dropped and fetched again from peers.  Without one, an
 * index that cannot be used is made anew from the segments, and damaged blocks
 * are dropped, so that they can be fetched or added again.
 */
#include "store/error.h"
#include "store/seen.h"
#include "tools/client.h"
#include "tools/progress.h"
#include "tools/repo.h"
#include "tools/verify.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

#define BATCH 64 /* blocks of one request */

struct repairing {
	bool rebuilt;
	uint64_t skipped; /* bytes that were no records, while rebuilding */
	struct verified found;
	size_t mended; /* these come first in found.damaged */
};

static int print_repaired(struct context *cx, const struct repairing *rp)
{
	const struct verified *v = &rp->found;
	size_t lost = v->n_damaged - rp->mended;
	char text[CID_TEXT_MAX], size[16];
	int status = lost ? EXIT_FAILED : 0;

	if (cx->json) {
		int printed = print_json(json_pack(
			"{s:b, s:I, s:I, s:o, s:o}", "rebuilt", rp->rebuilt, "skipped_bytes",
			(json_int_t)rp->skipped, "blocks", (json_int_t)v->blocks, "mended",
			verify_names(v->damaged, rp->mended), "lost",
			verify_names(v->damaged + rp->mended, lost)));
		return printed ? printed : status;
	}
	if (rp->rebuilt)
		printf("rebuilt the index from the segments; %s in them were no whole records\n",
		       bytes_text(rp->skipped, size));
	for (size_t i = 0; i < v->n_damaged; i++)
		printf("%s %s\n", i < rp->mended ? "mended" : "lost",
		       verify_text(&v->damaged[i].name, text));
	printf("verified %llu blocks: %zu were damaged, %zu of them mended\n",
	       (unsigned long long)v->blocks, v->n_damaged, rp->mended);
	return status;
}

static void swap(struct damaged *a, struct damaged *b)
{
	struct damaged t = *a;

	*a = *b;
	*b = t;
}

/* ---- with a daemon ---- */

/* Have the daemon drop a batch and fetch it; what comes is in its store. */
static int fetch_batch(struct context *cx, struct client *c, struct block_source *peers,
		       const struct damaged *list, size_t n)
{
	struct cid cids[BATCH];
	json_t *reply = NULL;
	int status;

	status = call_or_fail(cx, c, json_pack("{s:s, s:o}", "cmd", "mend", "blocks", verify_names(list, n)),
			      &reply);
	json_decref(reply);
	if (status)
		return status;
	for (size_t i = 0; i < n; i++)
		cids[i] = (struct cid){ .version = 1, .codec = CODEC_RAW, .hash = list[i].name };
	for (size_t i = 0; i < n && !interrupted; i++) {
		struct block *b = NULL;

		peers->soon(peers, cids + i, n - i);
		/* Whoever does not come is found lost in the end. */
		if (source_get(peers, &cids[i], &b) >= 0)
			block_unref(b);
	}
	return interrupted ? fail(cx, "stopped") : 0;
}

static int fetch_all(struct context *cx, struct client *c, const struct verified *v)
{
	const struct cid root = { .version = 1, .codec = CODEC_RAW, .hash = v->damaged[0].name };
	struct reader *reader = NULL;
	json_t *reply = NULL;
	struct progress bar;
	int r, status = 0;

	r = reader_open(&reader, cx->repo, c, &root);
	if (r < 0)
		return repo_store_fail(cx, r);
	progress_begin(&bar, "fetching");
	bar.unit = "blocks";
	for (size_t i = 0; i < v->n_damaged && !status; i += BATCH) {
		size_t n = v->n_damaged - i < BATCH ? v->n_damaged - i : BATCH;
		progress_at(&bar, i, 0, 0);
		status = fetch_batch(cx, c, reader_source(reader), v->damaged + i, n);
	}
	progress_end(&bar);
	reader_close(reader);
	if (!status)
		status = call_or_fail(cx, c, json_pack("{s:s, s:[], s:b}", "cmd", "sync", "roots", "provide", 0),
				      &reply);
	json_decref(reply);
	return status;
}

/* Which of them are right now? */
static int check_again(struct context *cx, struct repairing *rp)
{
	struct damaged *list = rp->found.damaged;
	struct store *store = NULL;
	int r = repo_store(cx->repo, 0, 0, &store);

	if (r < 0)
		return repo_store_fail(cx, r);
	for (size_t i = 0; i < rp->found.n_damaged; i++)
		if (store_check(store, &list[i].name) == 0)
			swap(&list[i], &list[rp->mended++]);
	store_close(store);
	return 0;
}

static int repair_there(struct context *cx, struct client *c, struct repairing *rp)
{
	struct store *store = NULL;
	int r, status;

	r = repo_store(cx->repo, 0, 0, &store);
	if (!r)
		r = verify_store(store, 1, &rp->found);
	store_close(store);
	if (r == ERR_CORRUPT)
		return fail(cx, "the index of the store in %s is damaged: stop the daemon with `cairn stop`, then repair again", cx->repo);
	if (r == -ECANCELED)
		return fail(cx, "stopped");
	if (r < 0)
		return fail(cx, "cannot read the store in %s: %s", cx->repo, err_text(r));
	if (!rp->found.n_damaged)
		return 0;
	status = fetch_all(cx, c, &rp->found);
	return status ? status : check_again(cx, rp);
}

/* ---- without ---- */

static int rebuild(struct context *cx, struct repairing *rp)
{
	char path[PATH_MAX];
	int r = snprintf(path, sizeof path, "%s/store", cx->repo) < (int)sizeof path ? 0 : -ENAMETOOLONG;

	if (!r)
		r = store_rebuild(path, NULL, &rp->skipped);
	rp->rebuilt = !r;
	return r;
}

/* Verify, and drop what is damaged. */
static int drop_damaged(struct context *cx, struct repairing *rp)
{
	struct store *store = NULL;
	int r = repo_store(cx->repo, STORE_WRITE, 0, &store), closed;

	if (!r)
		r = verify_store(store, 1, &rp->found);
	/* Files whose blocks are gone have to be read again when they are added. */
	if (!r && (rp->rebuilt || rp->found.n_damaged)) {
		struct seen *seen = repo_seen(cx->repo);
		seen_forget(seen);
		seen_close(seen);
	}
	for (size_t i = 0; i < rp->found.n_damaged && !r; i++) {
		r = store_mend(store, &rp->found.damaged[i].name);
		if (r == ERR_MISSING)
			r = 0;
	}
	closed = store_close(store);
	return r < 0 ? r : closed;
}

static int repair_here(struct context *cx, bool anew, struct repairing *rp)
{
	int r = anew ? rebuild(cx, rp) : 0;

	if (!r)
		r = drop_damaged(cx, rp);
	if (r == ERR_CORRUPT && !rp->rebuilt) {
		verified_release(&rp->found);
		r = rebuild(cx, rp);
		if (!r)
			r = drop_damaged(cx, rp);
	}
	if (r == -ECANCELED)
		return fail(cx, "stopped");
	if (r == -EBUSY)
		return fail(cx, "another process writes to %s", cx->repo);
	if (r < 0)
		return fail(cx, "cannot repair the store in %s: %s", cx->repo, err_text(r));
	return 0;
}

int cmd_repair(struct context *cx, int argc, char **argv)
{
	static const struct option options[] = { { "rebuild", no_argument, NULL, 'r' }, { 0 } };
	struct repairing rp = { 0 };
	struct client *client = NULL;
	bool anew = false;
	int c, status;

	opterr = 0;
	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (c != 'r')
			return misuse(cx, "unknown option '%s'", argv[optind - 1]);
		anew = true;
	}
	if (optind < argc)
		return misuse(cx, "it takes no arguments: all of the store is repaired");
	status = repo_need(cx);
	if (status)
		return status;
	signals_catch();
	if (client_open(&client, cx->repo) < 0)
		client = NULL;
	if (client && anew)
		status = fail(cx, "the index is in use: stop the daemon with `cairn stop` first");
	else
		status = client ? repair_there(cx, client, &rp) : repair_here(cx, anew, &rp);
	if (!status) {
		status = print_repaired(cx, &rp);
		if (status && !client)
			fprintf(stderr, "cairn repair: lost blocks come again from peers when they are read with a daemon running, or by adding their files again\n");
	}
	verified_release(&rp.found);
	client_close(client);
	return status;
}
