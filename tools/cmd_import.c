/*
 * cairn import: the blocks of a CAR file into the store.  With a daemon running
 * they are handed to it, since it owns the store; otherwise this process takes
 * the repository's lock itself.
 */
#include "store/car_import.h"
#include "store/error.h"
#include "tools/client.h"
#include "tools/pins.h"
#include "tools/progress.h"
#include "tools/provide.h"
#include "tools/repo.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Roots of one file that are announced, and how many are told of at a time. */
#define PROVIDE_MAX 256
#define BATCH	    64

/* Where the blocks come from, and where they go: one of client and store. */
struct importing {
	struct car_input input;
	struct block_sink sink;
	int fd;
	struct client *client;
	struct store *store;
	struct pins *pins;
	bool no_provide, pin;
};

#define FROM(member, p) ((struct importing *)((char *)(p) - offsetof(struct importing, member)))

static int64_t on_read(struct car_input *self, void *buf, size_t len)
{
	ssize_t n;

	do
		n = read(FROM(input, self)->fd, buf, len);
	while (n < 0 && errno == EINTR && !interrupted);
	if (n < 0)
		return errno == EINTR ? -ECANCELED : -errno;
	return n;
}

static int on_block(struct block_sink *self, const struct multihash *name, const void *data,
		    size_t len)
{
	struct importing *im = FROM(sink, self);

	return im->client ? client_put(im->client, name, data, len)
			  : store_put_bytes(im->store, name, data, len);
}

struct watching {
	struct car_import_progress counts;
	struct progress bar;
	uint64_t total;
	atomic_bool over;
};

static void *watch(void *arg)
{
	struct watching *w = arg;

	while (!w->over) {
		progress_at(&w->bar, w->counts.blocks, w->counts.bytes, w->total);
		usleep(100000);
	}
	progress_end(&w->bar);
	return NULL;
}

static int source_open_file(struct context *cx, struct importing *im, const char *path)
{
	struct stat st;

	im->input = (struct car_input){ .read = on_read, .size = UINT64_MAX };
	im->sink.put = on_block;
	if (!strcmp(path, "-")) {
		im->fd = STDIN_FILENO;
		return isatty(im->fd) ? misuse(cx, "a CAR file does not come from a terminal") : 0;
	}
	im->fd = open(path, O_RDONLY | O_CLOEXEC);
	if (im->fd < 0 || fstat(im->fd, &st) < 0)
		return fail(cx, "cannot read %s: %s", path, strerror(errno));
	if (S_ISDIR(st.st_mode))
		return fail(cx, "%s is a folder: cairn add takes those", path);
	if (S_ISREG(st.st_mode))
		im->input.size = (uint64_t)st.st_size;
	return 0;
}

static int store_open_either(struct context *cx, struct importing *im)
{
	if (client_open(&im->client, cx->repo) >= 0)
		return 0;
	im->client = NULL;
	int r = repo_store_write(cx->repo, 0, &im->store);
	if (r < 0)
		return repo_store_fail(cx, r);
	r = repo_pins(cx->repo, true, &im->pins);
	return r < 0 ? repo_pins_fail(cx, r) : 0;
}

/* All blocks are in the store, and durable. */
static int settle(struct importing *im)
{
	json_t *reply = NULL;

	if (im->store)
		return store_sync(im->store);
	int r = client_put_all(im->client);
	int synced = client_call(im->client, json_pack("{s:s}", "cmd", "sync"), NULL, NULL, &reply, NULL);
	json_decref(reply);
	return r < 0 ? r : synced;
}

/* Which of these roots are not there, into `missing`; the others are promised. */
static int settle_roots(struct context *cx, struct importing *im, json_t *roots, bool provide,
			json_t *missing, json_t *partial)
{
	json_t *reply = NULL, *value;
	struct cid cid;
	size_t i;
	int r = 0;

	if (im->client) {
		r = client_call(im->client,
				json_pack("{s:s, s:O, s:b, s:b}", "cmd", "sync", "roots", roots, "provide",
					  provide, "pin", im->pin),
				NULL, NULL, &reply, NULL);
		if (r >= 0) {
			json_array_extend(missing, json_object_get(reply, "missing"));
			json_array_extend(partial, json_object_get(reply, "partial"));
		}
		json_decref(reply);
		return r;
	}
	json_array_foreach(roots, i, value) {
		const char *text = json_string_value(value);
		if (cid_parse(&cid, text, strlen(text)) < 0 || source_has(store_source(im->store), &cid) <= 0)
			json_array_append(missing, value);
		else if (im->pin && r >= 0)
			r = pin_tree(im->store, im->pins, &cid, "");
		if (r == ERR_MISSING) {
			json_array_append(partial, value);
			r = 0;
		} else if (provide && r >= 0 && source_has(store_source(im->store), &cid) > 0) {
			r = provide_note(cx->repo, &cid);
		}
	}
	return r;
}

/* A header may name a million roots, so only --json keeps them all in mind. */
struct told {
	json_t *all, *missing;
	uint64_t n_missing, n_partial;
	char first_missing[CID_TEXT_MAX];
};

static int tell_batch(struct context *cx, struct importing *im, json_t *batch, bool provide,
		      struct told *told)
{
	json_t *missing = json_array(), *partial = json_array(), *value;
	size_t i;
	int r = missing && partial ? settle_roots(cx, im, batch, provide, missing, partial) : -ENOMEM;

	json_array_foreach(partial, i, value)
		fprintf(stderr, "cairn import: %s is not pinned: not all of it is here\n",
			json_string_value(value));
	told->n_partial += json_array_size(partial);

	if (r >= 0 && json_array_size(missing) && !told->n_missing)
		snprintf(told->first_missing, sizeof told->first_missing, "%s",
			 json_string_value(json_array_get(missing, 0)));
	if (r >= 0 && cx->json &&
	    (json_array_extend(told->all, batch) < 0 || json_array_extend(told->missing, missing) < 0))
		r = -ENOMEM;
	if (r >= 0 && !cx->json)
		json_array_foreach(batch, i, value)
			puts(json_string_value(value));
	told->n_missing += json_array_size(missing);
	json_decref(partial);
	json_decref(missing);
	json_array_clear(batch);
	return r;
}

static int print_roots(struct context *cx, struct importing *im, const char *path,
		       const struct car_reader *reader, const struct car_import_result *result)
{
	struct told told = { .all = json_array(), .missing = json_array() };
	bool provide = !im->no_provide && car_root_count(reader) <= PROVIDE_MAX;
	struct cursor roots = car_roots(reader);
	json_t *batch = json_array();
	char text[CID_TEXT_MAX], size[16];
	struct cid cid;
	int r = batch && told.all && told.missing ? 0 : -ENOMEM, status = 0;

	while (r >= 0 && car_root_next(&roots, &cid)) {
		if (json_array_append_new(batch, json_string(cid_text(&cid, text))) < 0)
			r = -ENOMEM;
		else if (json_array_size(batch) == BATCH)
			r = tell_batch(cx, im, batch, provide, &told);
	}
	if (r >= 0 && json_array_size(batch))
		r = tell_batch(cx, im, batch, provide, &told);
	if (r < 0) {
		status = fail(cx, "%s: its blocks are stored, but its roots could not be noted: %s", path, err_text(r));
		goto out;
	}
	if (!im->no_provide && !provide)
		fprintf(stderr, "cairn import: more than %d roots: none of them is announced\n", PROVIDE_MAX);
	if (cx->json)
		status = print_json(json_pack("{s:O, s:O, s:I, s:I}", "roots", told.all, "missing", told.missing,
					      "blocks", (json_int_t)result->blocks, "bytes",
					      (json_int_t)result->bytes));
	else if (isatty(STDERR_FILENO))
		fprintf(stderr, "%llu blocks, %s\n", (unsigned long long)result->blocks,
			bytes_text(result->bytes, size));
	if (!status && told.n_missing)
		status = fail(cx, "%s: its root %s is neither in the file nor here; its %llu blocks are kept", path,
			      told.first_missing, (unsigned long long)result->blocks);
	else if (!status && told.n_partial)
		status = EXIT_FAILED;
out:
	json_decref(told.all);
	json_decref(told.missing);
	json_decref(batch);
	return status;
}

static int import_fail(struct context *cx, const char *path, struct car_reader *reader,
		       const struct car_import_result *result, int r)
{
	char kept[96] = "", cid[CID_TEXT_MAX];

	if (result->blocks)
		snprintf(kept, sizeof kept, "; the %llu blocks before it were right and are kept",
			 (unsigned long long)result->blocks);
	if (r == -ECANCELED)
		return fail(cx, "stopped; the %llu blocks that had come are kept", (unsigned long long)result->blocks);
	if (result->in_block)
		return fail(cx, "%s: the block at byte %llu, %s: %s%s", path, (unsigned long long)result->at,
			    cid_text(&result->cid, cid), err_text(r), kept);
	if (reader && *car_why(reader))
		return fail(cx, "%s: %s (at byte %llu)%s", path, car_why(reader),
			    (unsigned long long)car_offset(reader), kept);
	return fail(cx, "%s: cannot store it: %s", path, err_text(r));
}

int cmd_import(struct context *cx, int argc, char **argv)
{
	static const struct option options[] = { { "no-provide", no_argument, NULL, 'n' },
						 { "pin", no_argument, NULL, 'p' },
						 { 0 } };
	struct importing im = { .fd = -1 };
	struct watching w = { 0 };
	struct car_import_options io = { .cancel = &interrupted, .progress = &w.counts };
	struct car_import_result result = { 0 };
	struct car_reader *reader = NULL;
	pthread_t watcher;
	int c, r, status;

	opterr = 0;
	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (c == 'n')
			im.no_provide = true;
		else if (c == 'p')
			im.pin = true;
		else
			return misuse(cx, "unknown option '%s'", argv[optind - 1]);
	}
	if (optind + 1 != argc)
		return misuse(cx, "one CAR file is needed, or - for standard input");
	const char *path = argv[optind];
	status = repo_need(cx);
	if (!status)
		status = source_open_file(cx, &im, path);
	if (status)
		goto out;
	signals_catch();
	r = car_open(&reader, &im.input, false);
	if (r < 0) {
		status = import_fail(cx, path, reader, &result, r);
		goto out;
	}
	status = store_open_either(cx, &im);
	if (status)
		goto out;
	w.total = im.input.size == UINT64_MAX ? 0 : im.input.size;
	progress_begin(&w.bar, "importing");
	w.bar.unit = "blocks";
	bool watched = w.bar.shown && !pthread_create(&watcher, NULL, watch, &w);
	r = car_import(reader, &im.sink, &io, &result);
	/* What came before an error is kept, so it is to last. */
	int settled = r == -ECANCELED && im.client ? 0 : settle(&im);
	w.over = true;
	if (watched)
		pthread_join(watcher, NULL);
	if (r >= 0 && settled < 0)
		status = fail(cx, "%s: cannot store it: %s", path, err_text(settled));
	else if (r < 0)
		status = import_fail(cx, path, reader, &result, r);
	else
		status = print_roots(cx, &im, path, reader, &result);
out:
	car_close(reader);
	client_close(im.client);
	pins_close(im.pins);
	if (im.store && (r = store_close(im.store)) < 0 && !status)
		status = fail(cx, "cannot close the store: %s", err_text(r));
	if (im.fd > STDIN_FILENO)
		close(im.fd);
	return status;
}
