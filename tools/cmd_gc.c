/*
 * cairn gc: take away what no pin leads to.  The daemon does it if one runs;
 * otherwise this process takes the repository's lock.
 */
#include "fs/folders.h"
#include "store/error.h"
#include "tools/client.h"
#include "tools/collect.h"
#include "tools/pins.h"
#include "tools/progress.h"
#include "tools/repo.h"

#include <pthread.h>
#include <stdio.h>
#include <unistd.h>

json_t *collect_result(const struct gc_result *g, bool dry_run)
{
	return json_pack("{s:b, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "dry_run", dry_run, "kept",
			 (json_int_t)g->kept, "dropped", (json_int_t)g->dropped, "dropped_bytes",
			 (json_int_t)g->dropped_bytes, "pieces", (json_int_t)g->pieces, "files",
			 (json_int_t)g->files, "rewritten", (json_int_t)g->rewritten, "freed",
			 (json_int_t)g->freed, "damaged", (json_int_t)g->damaged);
}

json_t *collect_report(const struct gc_progress *p)
{
	return json_pack("{s:i, s:I, s:I, s:I}", "phase", (int)p->phase, "marked",
			 (json_int_t)p->marked, "done", (json_int_t)p->done, "total",
			 (json_int_t)p->total);
}

void collect_why(int r, const struct gc_result *g, char *why)
{
	char cid[CID_TEXT_MAX];

	switch (r) {
	case ERR_MISSING:
		snprintf(why, 512, "a pinned tree lacks %s, so what lies below cannot be known; nothing was dropped: fetch it with `cairn repair` or `cairn pin add`, or unpin the tree",
			 cid_text(&g->missing, cid));
		break;
	case -EBUSY:
		snprintf(why, 512, "a gc is under way already");
		break;
	case -ECANCELED:
		snprintf(why, 512, "stopped; %llu blocks that nobody needs were dropped, the others are still there",
			 (unsigned long long)g->dropped);
		break;
	case -ENOSPC:
		snprintf(why, 512, "no room on the disk to copy what is left of a file; %llu bytes were freed before",
			 (unsigned long long)g->freed);
		break;
	case ERR_CORRUPT:
		snprintf(why, 512, "the table of pins, a folder, or the index is damaged; nothing that is needed was dropped");
		break;
	default:
		snprintf(why, 512, "%s", err_text(r));
	}
}

static void show(struct progress *bar, int phase, uint64_t marked, uint64_t done, uint64_t total)
{
	static const char *const names[] = { "marking", "sweeping", "rewriting" };

	if (phase < 0 || phase > GC_COMPACT)
		return;
	bar->what = names[phase];
	bar->unit = phase == GC_COMPACT ? "bytes" : "blocks";
	progress_at(bar, phase == GC_MARK ? marked : done, 0, total);
}

struct watching {
	struct gc_progress counts;
	struct progress bar;
	atomic_bool over;
};

static void *watch(void *arg)
{
	struct watching *w = arg;

	while (!w->over) {
		show(&w->bar, w->counts.phase, w->counts.marked, w->counts.done, w->counts.total);
		usleep(100000);
	}
	progress_end(&w->bar);
	return NULL;
}

static int gc_here(struct context *cx, bool dry_run, json_t **out)
{
	struct watching w = { .over = false };
	struct gc_result result;
	struct gc_options o = { .dry_run = dry_run, .progress = &w.counts, .cancel = &interrupted };
	struct provided_roots provided;
	struct folders *folders = NULL;
	struct store *store = NULL;
	pthread_t watcher;
	char why[512];
	int r, status = 0;

	r = repo_store_write(cx->repo, 0, &store);
	if (r < 0)
		return repo_store_fail(cx, r);
	r = repo_pins(cx->repo, true, &o.pins);
	if (r < 0) {
		status = repo_pins_fail(cx, r);
		goto out;
	}
	r = folders_new(&folders, cx->repo, store);
	if (r < 0) {
		status = fail(cx, "cannot read the folders: %s", err_text(r));
		goto out;
	}
	o.seen = repo_seen(cx->repo);
	provided_roots_init(&provided, cx->repo);
	gc_roots_add(store, &provided.base);
	progress_begin(&w.bar, "marking");
	bool watched = w.bar.shown && !pthread_create(&watcher, NULL, watch, &w);
	r = store_gc(store, &o, &result);
	w.over = true;
	if (watched)
		pthread_join(watcher, NULL);
	if (r < 0) {
		collect_why(r, &result, why);
		status = fail(cx, "%s", why);
	} else {
		*out = collect_result(&result, dry_run);
	}
out:
	folders_free(folders);
	seen_close(o.seen);
	pins_close(o.pins);
	r = store_close(store);
	if (r < 0 && !status)
		status = fail(cx, "cannot close the store: %s", err_text(r));
	return status;
}

static void on_report(void *arg, json_t *report)
{
	show(arg, (int)json_integer_value(json_object_get(report, "phase")),
	     (uint64_t)json_integer_value(json_object_get(report, "marked")),
	     (uint64_t)json_integer_value(json_object_get(report, "done")),
	     (uint64_t)json_integer_value(json_object_get(report, "total")));
}

static int gc_there(struct context *cx, struct client *c, bool dry_run, json_t **out)
{
	struct progress bar;
	char why[512];

	progress_begin(&bar, "marking");
	int r = client_call(c,
			    json_pack("{s:s, s:b, s:b}", "cmd", "gc", "dry_run", dry_run, "progress",
				      bar.shown),
			    on_report, &bar, out, why);
	progress_end(&bar);
	if (r == -ECANCELED)
		return fail(cx, "stopped; what was dropped so far was garbage");
	return r < 0 ? fail(cx, "%s", why) : 0;
}

static int print_collected(struct context *cx, json_t *result, bool dry_run)
{
	char a[16], b[16];

#define GET(key) ((uint64_t)json_integer_value(json_object_get(result, key)))
	if (cx->json)
		return print_json(json_incref(result));
	printf("%s %llu blocks (%s) and %llu pieces, %s %s on disk; %llu blocks stay\n",
	       dry_run ? "would drop" : "dropped", (unsigned long long)GET("dropped"),
	       bytes_text(GET("dropped_bytes"), a), (unsigned long long)GET("pieces"),
	       dry_run ? "of" : "freed", bytes_text(GET("freed"), b), (unsigned long long)GET("kept"));
	if (GET("damaged"))
		printf("%llu files are damaged and stay as they are: see `cairn verify`\n",
		       (unsigned long long)GET("damaged"));
#undef GET
	return 0;
}

int cmd_gc(struct context *cx, int argc, char **argv)
{
	static const struct option options[] = { { "dry-run", no_argument, NULL, 'n' }, { 0 } };
	struct client *client = NULL;
	json_t *result = NULL;
	bool dry_run = false;
	int c, status;

	opterr = 0;
	while ((c = getopt_long(argc, argv, "n", options, NULL)) != -1) {
		if (c != 'n')
			return misuse(cx, "unknown option '%s'", argv[optind - 1]);
		dry_run = true;
	}
	if (optind < argc)
		return misuse(cx, "unexpected argument '%s'", argv[optind]);
	status = repo_need(cx);
	if (status)
		return status;
	signals_catch();
	if (client_open(&client, cx->repo) >= 0)
		status = gc_there(cx, client, dry_run, &result);
	else
		status = gc_here(cx, dry_run, &result);
	if (!status)
		status = print_collected(cx, result, dry_run);
	json_decref(result);
	client_close(client);
	return status;
}
