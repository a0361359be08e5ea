/* cairn mount and cairn umount: the daemon mounts; it is started if none runs. */
#include "fs/folder_ref.h"
#include "store/error.h"
#include "tools/client.h"
#include "tools/ref.h"
#include "tools/repo.h"
#include "tools/source.h"

#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Run `cairn daemon` behind us, its messages in daemon.log, until it is ready. */
static int start_daemon(struct context *cx)
{
	char log[PATH_MAX], line[64] = "";
	int out[2], r;

	if (snprintf(log, sizeof log, "%s/daemon.log", cx->repo) >= (int)sizeof log)
		return -ENAMETOOLONG;
	if (pipe2(out, O_CLOEXEC) < 0)
		return -errno;
	pid_t pid = fork();
	if (pid < 0) {
		r = -errno;
		close(out[0]);
		close(out[1]);
		return r;
	}
	if (!pid) {
		int fd = open(log, O_WRONLY | O_CREAT | O_APPEND, 0600);
		int null = open("/dev/null", O_RDONLY);
		setsid();
		dup2(null, STDIN_FILENO);
		dup2(out[1], STDOUT_FILENO);
		dup2(fd, STDERR_FILENO);
		execl("/proc/self/exe", "cairn", "--repo", cx->repo, "daemon", NULL);
		_exit(127);
	}
	close(out[1]);
	size_t n = 0;
	while (n < sizeof line - 1) {
		ssize_t got = read(out[0], line + n, sizeof line - 1 - n);
		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			break;
		n += (size_t)got;
		line[n] = 0;
		if (strstr(line, "ready\n"))
			break;
	}
	close(out[0]);
	return strstr(line, "ready\n") ? 0 : -ESRCH;
}

/* Is there one of this name in the repository?  A file of that name is ./NAME. */
static bool is_folder(struct context *cx, const char *name)
{
	char path[PATH_MAX];

	return folder_name_ok(name) &&
	       snprintf(path, sizeof path, "%s/folders/%s", cx->repo, name) < (int)sizeof path &&
	       access(path, F_OK) == 0;
}

/* A snapshot, or a part of one: what it is does not change. */
static int open_past(struct context *cx, const char *text, char out[16 + CID_TEXT_MAX])
{
	struct opened o;
	int status = source_open(cx, text, &o);

	strcpy(out, "/ipfs/");
	if (!status)
		cid_text(&o.cid, out + strlen(out));
	source_close(&o);
	return status;
}

int cmd_mount(struct context *cx, int argc, char **argv)
{
	static const struct option options[] = { { "timeout", required_argument, NULL, 't' },
						 { "allow-other", no_argument, NULL, 'a' },
						 { "suid", no_argument, NULL, 's' },
						 { "dev", no_argument, NULL, 'd' },
						 { 0 } };
	char past[16 + CID_TEXT_MAX], dir[PATH_MAX], car[PATH_MAX] = "", *end = "";
	const char *folder = NULL;
	struct ref ref;
	double seconds = 0;
	bool allow_other = false, suid = false, dev = false;
	struct client *client;
	json_t *reply = NULL;
	int c, r, status;

	opterr = 0;
	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (c == 't')
			seconds = strtod(optarg, &end);
		else if (c == 'a')
			allow_other = true;
		else if (c == 's')
			suid = true;
		else if (c == 'd')
			dev = true;
		else
			return misuse(cx, "unknown option '%s'", argv[optind - 1]);
		if (*end || seconds < 0 || seconds > 86400)
			return misuse(cx, "--timeout takes seconds, at most a day's");
	}
	if (argc - optind < 1 || argc - optind > 2)
		return misuse(cx, "a source and a directory are needed");
	const char *source = argc - optind == 2 ? argv[optind] : NULL;
	const char *where = argv[argc - 1];
	status = repo_need(cx);
	if (status)
		return status;
	if (source && ref_parse(&ref, source) < 0) {
		if (is_folder(cx, source)) {
			folder = source;
			source = NULL;
		} else if (source_known(cx, source)) {
			status = open_past(cx, source, past);
			if (status)
				return status;
			source = past;
		} else if (!realpath(source, car)) {
			return misuse(cx, "'%s' is neither a CID, nor a name, nor a folder, nor a CAR file", source);
		} else {
			source = NULL;
		}
	}
	if ((suid || dev) && !folder)
		return misuse(cx, "--suid and --dev are for folders");
	/* A dead mount cannot be resolved: its parent can. */
	if (!realpath(where, dir)) {
		if (errno != ENOTCONN)
			return fail(cx, "cannot mount at %s: %s", where, strerror(errno));
		snprintf(dir, sizeof dir, "%s", where);
		if (*where != '/') {
			char cwd[PATH_MAX];
			if (!getcwd(cwd, sizeof cwd) ||
			    snprintf(dir, sizeof dir, "%s/%s", cwd, where) >= (int)sizeof dir)
				return fail(cx, "cannot mount at %s: the path is too long", where);
		}
	}
	r = client_open(&client, cx->repo);
	if (r < 0) {
		r = start_daemon(cx);
		if (r < 0)
			return fail(cx, "cannot start the daemon: see %s/daemon.log", cx->repo);
		r = client_open(&client, cx->repo);
	}
	if (r < 0)
		return fail(cx, "cannot reach the daemon: %s", err_text(r));
	json_t *request = json_pack("{s:s, s:s, s:I, s:b}", "cmd", "mount", "dir", dir, "timeout_ms",
				    (json_int_t)(seconds * 1000), "allow_other", allow_other);
	if (source && request)
		json_object_set_new(request, "source", json_string(source));
	if (folder && request) {
		json_object_set_new(request, "folder", json_string(folder));
		json_object_set_new(request, "suid", json_boolean(suid));
		json_object_set_new(request, "dev", json_boolean(dev));
	}
	json_t *path = *car ? json_string(car) : NULL;
	if (*car && (!path || !request)) {
		json_decref(request);
		request = NULL;
	} else if (path) {
		json_object_set_new(request, "car", path);
	}
	status = request ? call_or_fail(cx, client, request, &reply)
			 : fail(cx, "the directory's or the file's name is not UTF-8");
	client_close(client);
	if (!status && cx->json)
		return print_json(reply);
	json_decref(reply);
	return status;
}

int cmd_umount(struct context *cx, int argc, char **argv)
{
	char dir[PATH_MAX];
	json_t *reply = NULL;

	if (argc != 2 || argv[1][0] == '-')
		return misuse(cx, "one directory is needed");
	if (!realpath(argv[1], dir))
		return fail(cx, "%s: %s", argv[1], strerror(errno));
	struct client *client = client_need(cx);
	if (!client)
		return EXIT_FAILED;
	int status = call_or_fail(cx, client, json_pack("{s:s, s:s}", "cmd", "umount", "dir", dir), &reply);
	client_close(client);
	if (!status && cx->json)
		return print_json(reply);
	json_decref(reply);
	return status;
}
