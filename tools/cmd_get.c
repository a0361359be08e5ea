/* cairn get: a file or folder onto the disk, beneath its target and nowhere else. */
#include "store/error.h"
#include "store/export.h"
#include "store/jobs.h"
#include "tools/progress.h"
#include "tools/source.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct watching {
	struct export_progress counts;
	struct progress bar;
	atomic_bool over;
};

static void *watch(void *arg)
{
	struct watching *w = arg;

	while (!w->over) {
		progress_at(&w->bar, w->counts.files, w->counts.bytes, w->counts.bytes_total);
		usleep(100000);
	}
	progress_end(&w->bar);
	return NULL;
}

static void on_warning(void *arg, const char *path, int error)
{
	char **where = arg;

	free(*where);
	*where = strdup(path);
}

/* The last part of what the user typed. */
static const char *default_target(const char *text)
{
	const char *slash = strrchr(text, '/');

	return slash && slash[1] ? slash + 1 : text;
}

int cmd_get(struct context *cx, int argc, char **argv)
{
	static const struct option options[] = { { "output", required_argument, NULL, 'o' },
						 { "force", no_argument, NULL, 'f' },
						 { 0 } };
	struct watching w = { 0 };
	struct export_options eo = { .cancel = &interrupted, .progress = &w.counts,
				     .jobs = (int)jobs_default() };
	struct opened source = { 0 };
	const char *target = NULL;
	char *where = NULL, *copy = NULL, size[16];
	pthread_t watcher;
	int c, r, status;

	opterr = 0;
	while ((c = getopt_long(argc, argv, "o:f", options, NULL)) != -1) {
		if (c == 'o')
			target = optarg;
		else if (c == 'f')
			eo.overwrite = true;
		else
			return misuse(cx, "unknown option '%s'", argv[optind - 1]);
	}
	if (optind + 1 != argc)
		return misuse(cx, "one CID or name is needed");
	copy = strdup(argv[optind]);
	if (!copy)
		return fail(cx, "out of memory");
	for (size_t n = strlen(copy); n > 1 && copy[n - 1] == '/'; n--)
		copy[n - 1] = 0;
	if (!target)
		target = default_target(copy);
	eo.warn = on_warning;
	eo.warn_arg = &where;
	signals_catch();
	status = source_open(cx, argv[optind], &source);
	if (status)
		goto out;
	progress_begin(&w.bar, "getting");
	bool watched = w.bar.shown && !pthread_create(&watcher, NULL, watch, &w);
	r = export_tree(source.blocks, &source.cid, target, &eo);
	w.over = true;
	if (watched)
		pthread_join(watcher, NULL);
	if (r == -EEXIST)
		status = fail(cx, "%s exists: choose another place with -o, or replace it with -f", where ? where : target);
	else if (r == -ECANCELED)
		status = fail(cx, "stopped; the file being written was removed, finished ones are kept in %s", target);
	else if (r < 0)
		status = source_fail(cx, where ? where : argv[optind], r);
	else if (cx->json)
		status = print_json(json_pack("{s:s, s:I, s:I}", "target", target, "files",
					      (json_int_t)w.counts.files, "bytes",
					      (json_int_t)w.counts.bytes));
	else if (isatty(STDERR_FILENO))
		fprintf(stderr, "%llu files, %s in %s\n", (unsigned long long)w.counts.files,
			bytes_text(w.counts.bytes, size), target);
out:
	source_close(&source);
	free(where);
	free(copy);
	return status;
}
