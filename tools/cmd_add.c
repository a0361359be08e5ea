/*
 * cairn add: files and folders into the store.  With a daemon running, the
 * daemon does it, since it owns the store; otherwise this process takes the
 * repository's lock itself.
 */
#include "store/error.h"
#include "store/import.h"
#include "tools/client.h"
#include "tools/progress.h"
#include "tools/provide.h"
#include "tools/repo.h"

#include <libgen.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct add_options {
	bool quieter, hidden, no_provide;
	int jobs;
	const char *profile;
};

/* What was left out, and the path an error is about. */
struct trouble {
	pthread_mutex_t lock;
	char *where;
	int code;
	uint64_t left_out;
};

static void on_left_out(void *arg, const char *path, int error)
{
	struct trouble *t = arg;

	pthread_mutex_lock(&t->lock);
	t->left_out++;
	free(t->where);
	t->where = strdup(path);
	t->code = error;
	pthread_mutex_unlock(&t->lock);
}

struct watching {
	struct import_progress *counts;
	struct progress bar;
	atomic_bool over;
};

static void *watch(void *arg)
{
	struct watching *w = arg;

	while (!w->over) {
		progress_at(&w->bar, w->counts->files, w->counts->bytes, w->counts->bytes_total);
		usleep(100000);
	}
	progress_end(&w->bar);
	return NULL;
}

static int print_added(struct context *cx, const struct add_options *o, const char *path,
		       json_t *result)
{
	char copy[PATH_MAX], size[16];
	const char *cid = json_string_value(json_object_get(result, "cid"));
	json_int_t left_out = json_integer_value(json_object_get(result, "left_out"));

	if (cx->json) {
		json_t *name = json_string(path);
		if (name)
			json_object_set_new(result, "path", name);
		return print_json(result);
	}
	if (o->quieter) {
		puts(cid);
	} else {
		snprintf(copy, sizeof copy, "%s", path);
		printf("added %s ", cid);
		print_name(basename(copy));
		printf(" (%lld files, %s)\n",
		       (long long)json_integer_value(json_object_get(result, "files")),
		       bytes_text((uint64_t)json_integer_value(json_object_get(result, "bytes")), size));
	}
	if (left_out)
		fprintf(stderr, "cairn add: left out %lld things that are neither file, folder nor link\n",
			(long long)left_out);
	json_decref(result);
	return 0;
}

/* Without a daemon. */
static int add_here(struct context *cx, const struct add_options *o, struct store *store,
		    const char *path)
{
	struct import_progress counts = { 0 };
	struct trouble trouble = { .lock = PTHREAD_MUTEX_INITIALIZER };
	struct watching watching = { .counts = &counts };
	struct import_result result;
	char cid[CID_TEXT_MAX];
	pthread_t watcher;
	int status;
	const struct import_options io = {
		.profile = profile_find(o->profile),
		.hidden = o->hidden,
		.jobs = o->jobs,
		.progress = &counts,
		.cancel = &interrupted,
		.warn = on_left_out,
		.warn_arg = &trouble,
	};

	progress_begin(&watching.bar, "adding");
	bool watched = watching.bar.shown && !pthread_create(&watcher, NULL, watch, &watching);
	int r = import_path(store, path, &io, &result);
	watching.over = true;
	if (watched)
		pthread_join(watcher, NULL);
	if (r >= 0 && !o->no_provide)
		r = provide_note(cx->repo, &result.root);
	if (r == -ECANCELED) {
		status = fail(cx, "stopped; what was stored so far is kept and will not be read again in vain");
	} else if (r < 0) {
		status = fail(cx, "cannot add %s: %s",
			      trouble.where && trouble.code == r ? trouble.where : path, err_text(r));
	} else {
		status = print_added(cx, o, path,
				     json_pack("{s:s, s:I, s:I, s:I, s:I, s:I, s:I}", "cid",
					       cid_text(&result.root, cid), "files",
					       (json_int_t)result.files, "dirs", (json_int_t)result.dirs,
					       "symlinks", (json_int_t)result.symlinks, "bytes",
					       (json_int_t)result.bytes, "size",
					       (json_int_t)result.tsize, "left_out",
					       (json_int_t)trouble.left_out));
	}
	free(trouble.where);
	return status;
}

static void on_report(void *arg, json_t *report)
{
	progress_at(arg, (uint64_t)json_integer_value(json_object_get(report, "files")),
		    (uint64_t)json_integer_value(json_object_get(report, "bytes")),
		    (uint64_t)json_integer_value(json_object_get(report, "bytes_total")));
}

static int add_there(struct context *cx, const struct add_options *o, struct client *c,
		     const char *path)
{
	char parent[PATH_MAX], copy[PATH_MAX], full[2 * PATH_MAX], why[512];
	struct progress bar;
	struct stat st;
	json_t *result = NULL;

	/* The last component may be a symlink, which is added as one. */
	if (lstat(path, &st) < 0)
		return fail(cx, "cannot add %s: %s", path, strerror(errno));
	if (S_ISLNK(st.st_mode)) {
		snprintf(copy, sizeof copy, "%s", path);
		if (!realpath(dirname(copy), parent))
			return fail(cx, "cannot add %s: %s", path, strerror(errno));
		snprintf(copy, sizeof copy, "%s", path);
		snprintf(full, sizeof full, "%s/%s", parent, basename(copy));
	} else if (!realpath(path, full)) {
		return fail(cx, "cannot add %s: %s", path, strerror(errno));
	}
	progress_begin(&bar, "adding");
	json_t *request = json_pack("{s:s, s:s, s:s, s:b, s:b, s:i, s:b}", "cmd", "add", "path", full,
				    "profile", o->profile, "hidden", o->hidden, "no_provide",
				    o->no_provide, "jobs", o->jobs, "progress", bar.shown);
	if (!request)
		return fail(cx, "cannot add %s while the daemon runs: its name is not UTF-8", path);
	int r = client_call(c, request, on_report, &bar, &result, why);
	progress_end(&bar);
	if (r == -ECANCELED)
		return fail(cx, "stopped");
	if (r < 0)
		return fail(cx, "%s", why);
	return print_added(cx, o, path, result);
}

int cmd_add(struct context *cx, int argc, char **argv)
{
	static const struct option options[] = {
		{ "quieter", no_argument, NULL, 'Q' },	    { "profile", required_argument, NULL, 'p' },
		{ "hidden", no_argument, NULL, 'H' },	    { "jobs", required_argument, NULL, 'j' },
		{ "no-provide", no_argument, NULL, 'n' },   { 0 },
	};
	struct add_options o = { .profile = "unixfs-v1-2025" };
	struct client *client = NULL;
	struct store *store = NULL;
	int c, r, status;

	opterr = 0;
	while ((c = getopt_long(argc, argv, "Qp:j:", options, NULL)) != -1) {
		switch (c) {
		case 'Q':
			o.quieter = true;
			break;
		case 'p':
			o.profile = optarg;
			break;
		case 'H':
			o.hidden = true;
			break;
		case 'n':
			o.no_provide = true;
			break;
		case 'j':
			o.jobs = atoi(optarg);
			if (o.jobs < 1 || o.jobs > 256)
				return misuse(cx, "--jobs takes a number from 1 to 256");
			break;
		default:
			return misuse(cx, "unknown option '%s'", argv[optind - 1]);
		}
	}
	if (optind == argc)
		return misuse(cx, "what is to be added?");
	if (!profile_find(o.profile))
		return misuse(cx, "there is no profile '%s': unixfs-v1-2025 or unixfs-v0-2015", o.profile);
	status = repo_need(cx);
	if (status)
		return status;
	signals_catch();
	r = client_open(&client, cx->repo);
	if (r < 0) {
		client = NULL;
		r = repo_store(cx->repo, STORE_WRITE, 0, &store);
		if (r == -EBUSY)
			return fail(cx, "another process writes to %s", cx->repo);
		if (r < 0)
			return fail(cx, "cannot open the store in %s: %s", cx->repo, err_text(r));
	}
	for (int i = optind; i < argc && !status; i++)
		status = client ? add_there(cx, &o, client, argv[i]) : add_here(cx, &o, store, argv[i]);
	client_close(client);
	if (store && (r = store_close(store)) < 0 && !status)
		status = fail(cx, "cannot close the store: %s", err_text(r));
	return status;
}
