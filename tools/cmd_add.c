/*
 * cairn add: files and folders into the store.  With a daemon running, the
 * daemon does it, since it owns the store; but standard input, and the folder
 * that wraps several paths, are made into blocks here and handed to it.
 * Otherwise this process takes the repository's lock itself.
 */
#include "store/error.h"
#include "tools/add_options.h"
#include "tools/client.h"
#include "tools/pins.h"
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

struct adding {
	struct context *cx;
	bool quieter, no_provide, no_pin, wrap, hash_only;
	const char *stdin_name;
	struct add_options options;
	/* Where it goes: one of these, or neither if nothing is stored. */
	struct client *client;
	struct store *store;
	struct seen *seen;
	struct pins *pins;
	struct block_sink to_client;
	/* What was added, to be wrapped. */
	struct import_named *named;
	size_t n;
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

static bool is_stdin(const char *path)
{
	return !strcmp(path, "-");
}

/* The last part of a path, without slashes at its end; the caller frees. */
static char *name_of(const struct adding *a, const char *path)
{
	char copy[PATH_MAX], full[PATH_MAX];

	if (is_stdin(path))
		return strdup(a->stdin_name ? a->stdin_name : "-");
	snprintf(copy, sizeof copy, "%s", path);
	const char *name = basename(copy);
	/* "." and ".." have a name only elsewhere. */
	if ((!strcmp(name, ".") || !strcmp(name, "..")) && realpath(path, full)) {
		snprintf(copy, sizeof copy, "%s", full);
		name = basename(copy);
	}
	return strdup(name);
}

static json_t *describe(const struct import_result *result, uint64_t left_out)
{
	char cid[CID_TEXT_MAX];

	return json_pack("{s:s, s:I, s:I, s:I, s:I, s:I, s:I}", "cid", cid_text(&result->root, cid),
			 "files", (json_int_t)result->files, "dirs", (json_int_t)result->dirs,
			 "symlinks", (json_int_t)result->symlinks, "bytes", (json_int_t)result->bytes,
			 "size", (json_int_t)result->tsize, "left_out", (json_int_t)left_out);
}

/* Print what became of a path, and remember it for the folder around. */
static int added(struct adding *a, const char *path, json_t *result)
{
	struct context *cx = a->cx;
	const char *cid = json_string_value(json_object_get(result, "cid"));
	json_int_t left_out = json_integer_value(json_object_get(result, "left_out"));
	char size[16], *name = name_of(a, path);
	int status = 0;

	if (!name || !cid) {
		status = fail(cx, "out of memory");
		goto out;
	}
	if (left_out)
		fprintf(stderr, "cairn add: left out %lld things that are neither file, folder nor link\n",
			(long long)left_out);
	if (a->wrap) {
		struct import_named *n = &a->named[a->n];

		if (cid_parse(&n->cid, cid, strlen(cid)) < 0) {
			status = fail(cx, "the daemon answered with no CID: %s", cid);
			goto out;
		}
		n->tsize = (uint64_t)json_integer_value(json_object_get(result, "size"));
		n->name = name;
		a->n++;
	}
	if (cx->json) {
		json_object_set_new(result, "path", json_string(path));
		status = print_json(json_incref(result));
	} else if (a->quieter) {
		if (!a->wrap)
			puts(cid);
	} else {
		printf("added %s ", cid);
		print_name(name);
		printf(" (%lld files, %s)\n",
		       (long long)json_integer_value(json_object_get(result, "files")),
		       bytes_text((uint64_t)json_integer_value(json_object_get(result, "bytes")), size));
	}
	if (a->wrap)
		name = NULL; /* kept there */
out:
	free(name);
	json_decref(result);
	return status;
}

/* Blocks of ours are durable with whoever has them, and the root is promised. */
static int settle(struct adding *a, const struct cid *root)
{
	char cid[CID_TEXT_MAX];
	json_t *reply = NULL;
	int r;

	if (a->hash_only)
		return 0;
	if (!a->client) {
		r = a->no_pin ? 0 : pins_add(a->pins, root, PIN_RECURSIVE, "");
		if (r < 0 || a->no_provide)
			return r;
		return provide_note(a->cx->repo, root);
	}
	r = client_put_all(a->client);
	if (r == 0)
		r = client_call(a->client,
				json_pack("{s:s, s:[s], s:b, s:b}", "cmd", "sync", "roots",
					  cid_text(root, cid), "provide", !a->no_provide, "pin",
					  !a->no_pin),
				NULL, NULL, &reply, NULL);
	json_decref(reply);
	return r < 0 ? r : 0;
}

static int put_to_client(struct block_sink *self, const struct multihash *name,
			 const void *data, size_t len)
{
	struct adding *a = (struct adding *)((char *)self - offsetof(struct adding, to_client));

	return client_put(a->client, name, data, len);
}

/* In this process. */
static int add_here(struct adding *a, const char *path)
{
	struct context *cx = a->cx;
	struct import_progress counts = { 0 };
	struct trouble trouble = { .lock = PTHREAD_MUTEX_INITIALIZER };
	struct watching watching = { .counts = &counts };
	struct import_result result;
	pthread_t watcher;
	int status, r;
	struct import_options io = {
		.hash_only = a->hash_only,
		.sink = a->client ? &a->to_client : NULL,
		.seen = a->seen,
		.cancel = &interrupted,
		.warn = on_left_out,
		.warn_arg = &trouble,
	};

	add_options_apply(&a->options, &io);
	if (a->client)
		io.jobs = 1; /* the connection is for one thread */
	progress_begin(&watching.bar, "adding");
	if (watching.bar.shown)
		io.progress = &counts;
	bool watched = watching.bar.shown && !pthread_create(&watcher, NULL, watch, &watching);
	r = is_stdin(path) ? import_fd(a->store, STDIN_FILENO, &io, &result)
			   : import_path(a->store, path, &io, &result);
	watching.over = true;
	if (watched)
		pthread_join(watcher, NULL);
	if (r >= 0 && !a->wrap)
		r = settle(a, &result.root);
	if (r == -ECANCELED)
		status = fail(cx, "stopped; what was stored so far is kept and will not be read again in vain");
	else if (r < 0)
		status = fail(cx, "cannot add %s: %s",
			      trouble.where && trouble.code == r ? trouble.where : path, err_text(r));
	else
		status = added(a, path, describe(&result, trouble.left_out));
	free(trouble.where);
	return status;
}

static void on_report(void *arg, json_t *report)
{
	progress_at(arg, (uint64_t)json_integer_value(json_object_get(report, "files")),
		    (uint64_t)json_integer_value(json_object_get(report, "bytes")),
		    (uint64_t)json_integer_value(json_object_get(report, "bytes_total")));
}

static int add_there(struct adding *a, const char *path)
{
	struct context *cx = a->cx;
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
	json_t *request = add_options_pack(&a->options);
	json_t *where = json_pack("{s:s, s:s, s:b, s:b, s:b}", "cmd", "add", "path", full, "no_provide",
				  a->no_provide || a->wrap, "no_pin", a->no_pin || a->wrap,
				  "progress", bar.shown);
	if (!request || !where || json_object_update(request, where) < 0) {
		json_decref(request);
		json_decref(where);
		return fail(cx, "cannot add %s while the daemon runs: its name or a rule is not UTF-8", path);
	}
	json_decref(where);
	int r = client_call(a->client, request, on_report, &bar, &result, why);
	progress_end(&bar);
	if (r == -ECANCELED)
		return fail(cx, "stopped");
	if (r < 0)
		return fail(cx, "%s", why);
	return added(a, path, result);
}

/* The folder around all that was added. */
static int wrap(struct adding *a)
{
	struct context *cx = a->cx;
	struct import_options io = { .hash_only = a->hash_only,
				     .sink = a->client ? &a->to_client : NULL };
	struct import_result result;
	char cid[CID_TEXT_MAX];
	int r;

	add_options_apply(&a->options, &io);
	r = import_wrap(a->store, a->named, a->n, &io, &result);
	if (r == -EEXIST)
		return fail(cx, "two of the paths have one name, which a folder cannot hold");
	if (r == 0)
		r = settle(a, &result.root);
	if (r < 0)
		return fail(cx, "cannot make the folder around: %s", err_text(r));
	if (cx->json)
		return print_json(describe(&result, 0));
	printf(a->quieter ? "%s\n" : "added %s\n", cid_text(&result.root, cid));
	return 0;
}

/* A whole number up to `max` in text; -1 if it is none. */
static int64_t number(const char *text, int base, int64_t max)
{
	char *end;
	long long n;

	errno = 0;
	n = strtoll(text, &end, base);
	return errno || !*text || *end || n < 0 || n > max ? -1 : n;
}

enum { O_CID_VERSION = 256, O_RAW, O_LINKS, O_CHUNKER, O_HASH, O_PRESERVE, O_KEEP_MODE,
       O_KEEP_MTIME, O_MODE, O_MTIME, O_NSECS, O_EXCLUDE, O_NO_IGNORE, O_STDIN, O_STDIN_NAME,
       O_NO_PROVIDE, O_PIN, O_NO_PIN, O_HIDDEN };

static const struct option options[] = {
	{ "quieter", no_argument, NULL, 'Q' },
	{ "wrap", no_argument, NULL, 'w' },
	{ "hash-only", no_argument, NULL, 'n' },
	{ "jobs", required_argument, NULL, 'j' },
	{ "profile", required_argument, NULL, 'p' },
	{ "hidden", no_argument, NULL, O_HIDDEN },
	{ "no-provide", no_argument, NULL, O_NO_PROVIDE },
	{ "pin", optional_argument, NULL, O_PIN },
	{ "no-pin", no_argument, NULL, O_NO_PIN },
	{ "cid-version", required_argument, NULL, O_CID_VERSION },
	{ "raw-leaves", optional_argument, NULL, O_RAW },
	{ "max-links", required_argument, NULL, O_LINKS },
	{ "chunker", required_argument, NULL, O_CHUNKER },
	{ "hash", required_argument, NULL, O_HASH },
	{ "preserve", no_argument, NULL, O_PRESERVE },
	{ "preserve-mode", no_argument, NULL, O_KEEP_MODE },
	{ "preserve-mtime", no_argument, NULL, O_KEEP_MTIME },
	{ "mode", required_argument, NULL, O_MODE },
	{ "mtime", required_argument, NULL, O_MTIME },
	{ "mtime-nsecs", required_argument, NULL, O_NSECS },
	{ "exclude", required_argument, NULL, O_EXCLUDE },
	{ "no-ignore", no_argument, NULL, O_NO_IGNORE },
	{ "stdin", no_argument, NULL, O_STDIN },
	{ "stdin-name", required_argument, NULL, O_STDIN_NAME },
	{ 0 },
};

/* One option: 0, or an exit status. */
static int take_option(struct adding *a, int c, bool *from_stdin)
{
	struct context *cx = a->cx;
	struct add_options *o = &a->options;
	struct unixfs_meta *fixed = &o->meta.fixed;
	int64_t n = 0;
	char *end;

	switch (c) {
	case 'Q':
		a->quieter = true;
		break;
	case 'w':
		a->wrap = true;
		break;
	case 'n':
		a->hash_only = true;
		break;
	case 'p':
		o->profile_name = optarg;
		break;
	case 'j':
		o->jobs = (int)number(optarg, 10, 256);
		if (o->jobs < 1)
			return misuse(cx, "--jobs takes a number from 1 to 256");
		break;
	case O_HIDDEN:
		o->hidden = true;
		break;
	case O_NO_PROVIDE:
		a->no_provide = true;
		break;
	case O_PIN:
		if (optarg && strcmp(optarg, "true") != 0 && strcmp(optarg, "false") != 0)
			return misuse(cx, "--pin takes true or false");
		a->no_pin = optarg && !strcmp(optarg, "false");
		break;
	case O_NO_PIN:
		a->no_pin = true;
		break;
	case O_CID_VERSION:
		o->cid_version = (int)number(optarg, 10, 1);
		if (o->cid_version < 0)
			return misuse(cx, "--cid-version takes 0 or 1");
		break;
	case O_RAW:
		if (optarg && strcmp(optarg, "true") != 0 && strcmp(optarg, "false") != 0)
			return misuse(cx, "--raw-leaves takes true or false");
		o->raw_leaves = !optarg || !strcmp(optarg, "true");
		break;
	case O_LINKS:
		o->max_links = number(optarg, 10, INT32_MAX);
		if (o->max_links < 1)
			o->max_links = 1; /* refused with the limits said */
		break;
	case O_CHUNKER:
		o->chunker = optarg;
		break;
	case O_HASH:
		o->hash = optarg;
		break;
	case O_PRESERVE:
		o->meta.keep_mode = o->meta.keep_mtime = true;
		break;
	case O_KEEP_MODE:
		o->meta.keep_mode = true;
		break;
	case O_KEEP_MTIME:
		o->meta.keep_mtime = true;
		break;
	case O_MODE:
		n = number(optarg, 8, 07777);
		if (n < 0)
			return misuse(cx, "--mode takes an octal number up to 7777");
		fixed->has_mode = n > 0; /* as in Kubo, 0 is none */
		fixed->mode = (uint32_t)n;
		break;
	case O_MTIME:
		errno = 0;
		fixed->mtime = strtoll(optarg, &end, 10);
		if (errno || !*optarg || *end)
			return misuse(cx, "--mtime takes seconds since 1970");
		fixed->has_mtime = fixed->mtime != 0;
		break;
	case O_NSECS:
		n = number(optarg, 10, 999999999);
		if (n < 0)
			return misuse(cx, "--mtime-nsecs takes a number up to 999999999");
		fixed->mtime_nsec = (uint32_t)n;
		break;
	case O_EXCLUDE:
		if (add_options_exclude(o, optarg) < 0)
			return fail(cx, "out of memory");
		break;
	case O_NO_IGNORE:
		o->no_ignore = true;
		break;
	case O_STDIN:
		*from_stdin = true;
		break;
	case O_STDIN_NAME:
		a->stdin_name = optarg;
		break;
	default:
		return misuse(cx, "unknown option, or one without its value");
	}
	return 0;
}

/* Find who stores: the daemon, or this process. */
static int open_store(struct adding *a)
{
	struct context *cx = a->cx;
	int r = repo_need(cx);

	if (r)
		return r;
	if (client_open(&a->client, cx->repo) >= 0) {
		json_t *reply = NULL;

		/* What goes into one folder is pinned with it, at the end. */
		r = a->wrap ? call_or_fail(cx, a->client, json_pack("{s:s}", "cmd", "hold"), &reply) : 0;
		json_decref(reply);
		return r;
	}
	a->client = NULL;
	r = repo_store_write(cx->repo, 0, &a->store);
	if (r < 0)
		return repo_store_fail(cx, r);
	a->seen = repo_seen(cx->repo);
	r = repo_pins(cx->repo, true, &a->pins);
	return r < 0 ? repo_pins_fail(cx, r) : 0;
}

static int add_all(struct adding *a, char **paths, int n, bool from_stdin)
{
	struct context *cx = a->cx;
	int status = 0, stdins = from_stdin;

	if (!n && !from_stdin)
		return misuse(cx, "what is to be added?");
	for (int i = 0; i < n; i++)
		stdins += is_stdin(paths[i]);
	if (stdins > 1)
		return misuse(cx, "standard input can be added once");
	if (stdins && a->wrap && !a->stdin_name)
		return misuse(cx, "in a folder, standard input needs a name: --stdin-name NAME");
	if (a->stdin_name && (!a->wrap || !stdins))
		return misuse(cx, "--stdin-name is for standard input in a folder: --wrap - ");
	a->named = calloc((size_t)n + 1, sizeof *a->named);
	if (!a->named)
		return fail(cx, "out of memory");
	if (!a->hash_only)
		status = open_store(a);
	signals_catch();
	for (int i = 0; i < n + from_stdin && !status; i++) {
		const char *path = i < n ? paths[i] : "-";

		status = a->client && !is_stdin(path) ? add_there(a, path) : add_here(a, path);
	}
	return status || !a->wrap ? status : wrap(a);
}

int cmd_add(struct context *cx, int argc, char **argv)
{
	struct adding a = { .cx = cx, .to_client = { put_to_client, NULL } };
	bool from_stdin = false;
	char why[128];
	int c, r, status = 0;

	add_options_init(&a.options);
	opterr = 0;
	while (!status && (c = getopt_long(argc, argv, "Qwnp:j:", options, NULL)) != -1)
		status = c == '?' ? misuse(cx, "unknown option '%s'", argv[optind - 1])
				  : take_option(&a, c, &from_stdin);
	if (!status && a.options.meta.fixed.mtime_nsec && !a.options.meta.fixed.has_mtime)
		status = misuse(cx, "--mtime-nsecs needs --mtime");
	if (!status && (r = add_options_settle(&a.options, why)) < 0)
		status = r == -EINVAL ? misuse(cx, "%s", why) : fail(cx, "%s", err_text(r));
	/* What may go is not promised to anyone. */
	a.no_provide |= a.no_pin;
	if (!status)
		status = add_all(&a, argv + optind, argc - optind, from_stdin);
	client_close(a.client);
	seen_close(a.seen);
	pins_close(a.pins);
	if (a.store && (r = store_close(a.store)) < 0 && !status)
		status = fail(cx, "cannot close the store: %s", err_text(r));
	for (size_t i = 0; i < a.n; i++)
		free((char *)a.named[i].name);
	free(a.named);
	add_options_release(&a.options);
	return status;
}
