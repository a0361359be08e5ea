/*
 * cairn export: a tree as a CAR file, to standard output or to a file that
 * appears whole or not at all.
 */
#include "store/car_export.h"
#include "store/error.h"
#include "tools/progress.h"
#include "tools/ref.h"
#include "tools/source.h"

#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define OUT_BUFFER (1u << 20)

/* Where the bytes go.  `temp` becomes `path` at the end, unless it is empty. */
struct output {
	FILE *file;
	const char *path; /* NULL: standard output */
	char temp[PATH_MAX];
};

struct watching {
	struct car_export_progress counts;
	struct progress bar;
	atomic_bool over;
};

static void *watch(void *arg)
{
	struct watching *w = arg;

	while (!w->over) {
		progress_at(&w->bar, w->counts.blocks, w->counts.bytes, 0);
		usleep(100000);
	}
	progress_end(&w->bar);
	return NULL;
}

static int output_open(struct output *o, const char *path)
{
	struct stat st;
	int fd;

	o->path = path;
	if (!path) {
		fd = dup(STDOUT_FILENO);
	} else if (stat(path, &st) == 0 && !S_ISREG(st.st_mode)) {
		/* A pipe or a device has no other name to be made under. */
		fd = open(path, O_WRONLY | O_CLOEXEC);
	} else {
		const char *slash = strrchr(path, '/');
		int dir = slash ? (int)(slash - path) + 1 : 0;
		int n = snprintf(o->temp, sizeof o->temp, "%.*s.%s.XXXXXX", dir, path,
				 slash ? slash + 1 : path);
		if (n >= (int)sizeof o->temp)
			return -ENAMETOOLONG;
		fd = mkostemp(o->temp, O_CLOEXEC);
		if (fd < 0)
			o->temp[0] = 0;
		mode_t mask = umask(0);
		umask(mask);
		if (fd >= 0 && fchmod(fd, 0666 & ~mask) < 0) {
			int e = errno;
			close(fd);
			return -e;
		}
	}
	if (fd < 0)
		return -errno;
	o->file = fdopen(fd, "wb");
	if (!o->file) {
		close(fd);
		return -ENOMEM;
	}
	setvbuf(o->file, NULL, _IOFBF, OUT_BUFFER);
	return 0;
}

static int output_write(void *arg, const void *data, size_t len)
{
	struct output *o = arg;

	errno = EIO;
	return fwrite(data, 1, len, o->file) == len ? 0 : -errno;
}

/* Give the file its name if all went well, else leave none behind. */
static int output_close(struct output *o, int r)
{
	errno = EIO;
	if (o->file && r >= 0 && fflush(o->file))
		r = -errno;
	if (o->file && r >= 0 && *o->temp && fsync(fileno(o->file)) < 0)
		r = -errno;
	if (o->file && fclose(o->file) && r >= 0)
		r = -errno;
	if (*o->temp && r >= 0 && rename(o->temp, o->path) < 0)
		r = -errno;
	if (*o->temp && r < 0)
		unlink(o->temp);
	return r;
}

static int export_fail(struct context *cx, const char *text, const char *since,
		       const struct car_export_result *result, int r)
{
	char cid[CID_TEXT_MAX];

	cid_text(&result->at, cid);
	if (r == -EOVERFLOW)
		return fail(cx, "%s: it has more blocks or links than can be kept in mind", text);
	if (r == -ECANCELED)
		return source_fail(cx, text, r);
	if (result->at_since)
		return fail(cx, "the older tree %s has to be here but for its raw blocks: %s: %s",
			    since, cid, r == ERR_MISSING ? "missing" : err_text(r));
	if (r == ERR_MISSING)
		return fail(cx, "%s: %s is not here, and no daemon runs to fetch it: start one with `cairn daemon`, or take what is here with --partial", text, cid);
	if (r == ERR_MALFORMED || r == -ENOTSUP)
		return fail(cx, "%s: the links of %s cannot be read: %s", text, cid, err_text(r));
	return source_fail(cx, text, r);
}

/* Only what is here: the daemon, which would fetch, is not asked. */
static int use_local(struct context *cx, struct opened *source)
{
	reader_close(source->reader);
	source->reader = NULL;
	int r = reader_open(&source->reader, cx->repo, NULL, &source->cid);
	if (r < 0)
		return fail(cx, "cannot open the store in %s: %s", cx->repo, err_text(r));
	source->blocks = reader_source(source->reader);
	return 0;
}

int cmd_export(struct context *cx, int argc, char **argv)
{
	static const struct option options[] = { { "output", required_argument, NULL, 'o' },
						 { "partial", no_argument, NULL, 'p' },
						 { "since", required_argument, NULL, 's' },
						 { 0 } };
	struct watching w = { 0 };
	struct car_export_options eo = { .cancel = &interrupted, .progress = &w.counts };
	struct car_export_result result = { 0 };
	struct opened source = { 0 };
	struct output out = { 0 };
	struct ref since;
	const char *path = NULL, *since_text = NULL;
	char size[16];
	pthread_t watcher;
	bool write_failed;
	int c, r, status;

	opterr = 0;
	while ((c = getopt_long(argc, argv, "o:", options, NULL)) != -1) {
		if (c == 'o')
			path = optarg;
		else if (c == 'p')
			eo.partial = true;
		else if (c == 's')
			since_text = optarg;
		else
			return misuse(cx, "unknown option '%s'", argv[optind - 1]);
	}
	if (optind + 1 != argc)
		return misuse(cx, "one CID or name is needed");
	if (since_text) {
		if (ref_parse(&since, since_text) < 0 || since.is_name || *since.path)
			return misuse(cx, "--since takes a CID, and '%s' is none", since_text);
		eo.since = &since.cid;
	}
	if (path && !strcmp(path, "-"))
		path = NULL;
	if (!path && isatty(STDOUT_FILENO))
		return misuse(cx, "a CAR file is nothing for a terminal: use -o FILE or a pipe");
	signals_catch();
	status = source_open(cx, argv[optind], &source);
	if (!status && eo.partial)
		status = use_local(cx, &source);
	if (status)
		goto out;
	r = output_open(&out, path);
	if (r < 0) {
		output_close(&out, r);
		status = fail(cx, "cannot write %s: %s", path ? path : "to standard output", err_text(r));
		goto out;
	}
	progress_begin(&w.bar, "exporting");
	w.bar.unit = "blocks";
	bool watched = w.bar.shown && !pthread_create(&watcher, NULL, watch, &w);
	r = car_export(source.blocks, &source.cid, output_write, &out, &eo, &result);
	write_failed = ferror(out.file);
	w.over = true;
	if (watched)
		pthread_join(watcher, NULL);
	if (r >= 0 && eo.partial && !result.blocks && !eo.since)
		r = ERR_MISSING;
	int closed = output_close(&out, r);
	if (write_failed || (r >= 0 && closed < 0))
		status = fail(cx, "cannot write %s: %s", path ? path : "to standard output",
			      err_text(r < 0 ? r : closed));
	else if (r == ERR_MISSING && eo.partial && !result.at_since)
		status = fail(cx, "%s: nothing of it is here", argv[optind]);
	else if (r < 0)
		status = export_fail(cx, argv[optind], since_text, &result, r);
	else if (result.missing)
		fprintf(stderr, "cairn export: %llu blocks are not here, nor what lies below them; %llu written\n",
			(unsigned long long)result.missing, (unsigned long long)result.blocks);
	else if (isatty(STDERR_FILENO))
		fprintf(stderr, "%llu blocks, %s\n", (unsigned long long)result.blocks,
			bytes_text(result.bytes, size));
out:
	source_close(&source);
	return status;
}
