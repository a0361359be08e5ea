/* Requests to mount and unmount. */
#include "tools/handlers.h"

#include "store/error.h"
#include "tools/ref.h"

#include <stdlib.h>
#include <string.h>

struct mounting {
	struct request *rq;
	struct mounted *m;
};

/* Unmounted by hand, or by the kernel. */
static void on_gone(void *arg)
{
	mounted_stop(arg, NULL, NULL);
}

static void on_mount_stopped_late(void *arg)
{
}

static void on_mounted(void *arg, int result, struct mount *mount)
{
	struct mounting *mg = arg;
	struct mounted *m = mg->m;
	struct daemon *d = m->daemon;

	if (result < 0) {
		const char *why = result == -ENOTEMPTY ? "the directory is not empty"
				  : result == -EBUSY   ? "something is mounted there already"
				  : result == -ENOENT  ? "no such directory, or no such source"
						       : err_text(result);
		request_fail(mg->rq, result, "cannot mount at %s: %s", m->dir, why);
		free(m->dir);
		free(m);
		free(mg);
		return;
	}
	if (d->stopping) {
		/* Too late: take it away again. */
		mount_stop(mount, on_mount_stopped_late, NULL);
		request_fail(mg->rq, -ESHUTDOWN, "the daemon is stopping");
		free(m->dir);
		free(m);
		free(mg);
		return;
	}
	m->mount = mount;
	m->next = d->mounts;
	d->mounts = m;
	mount_on_gone(mount, on_gone, m);
	request_reply(mg->rq, json_pack("{s:s}", "dir", m->dir));
	free(mg);
}

void handle_mount(struct request *rq)
{
	const char *dir = request_text(rq, "dir"), *source = request_text(rq, "source");
	struct daemon *d = rq->daemon;
	struct ref ref;
	char *full = NULL;

	if (!dir || *dir != '/') {
		request_fail(rq, -EINVAL, "mount needs an absolute directory");
		return;
	}
	for (struct mounted *m = d->mounts; m; m = m->next)
		if (!strcmp(m->dir, dir)) {
			request_fail(rq, -EBUSY, "cannot mount at %s: this daemon has a mount there already", dir);
			return;
		}
	if (source) {
		if (ref_parse(&ref, source) < 0 || !(full = ref_text(&ref))) {
			request_fail(rq, -EINVAL, "'%s' is neither a CID nor a name", source);
			return;
		}
	}
	struct mounting *mg = calloc(1, sizeof *mg);
	struct mounted *m = calloc(1, sizeof *m);
	if (!mg || !m || !(m->dir = strdup(dir))) {
		free(mg);
		free(m);
		free(full);
		request_fail(rq, -ENOMEM, "out of memory");
		return;
	}
	m->daemon = d;
	mg->rq = rq;
	mg->m = m;
	struct mount_options o = {
		.source = full,
		.dir = m->dir,
		.timeout_ms = (uint64_t)json_integer_value(json_object_get(rq->args, "timeout_ms")),
		.allow_other = json_is_true(json_object_get(rq->args, "allow_other")),
	};
	mount_start(d->node, &o, on_mounted, mg);
	free(full);
}

static void on_unmounted(void *arg)
{
	request_reply(arg, NULL);
}

void handle_umount(struct request *rq)
{
	const char *dir = request_text(rq, "dir");

	for (struct mounted *m = dir ? rq->daemon->mounts : NULL; m; m = m->next) {
		if (strcmp(m->dir, dir))
			continue;
		if (mounted_stop(m, on_unmounted, rq) < 0)
			request_fail(rq, -EALREADY, "%s is being unmounted already", dir);
		return;
	}
	request_fail(rq, -ENOENT, "this daemon has no mount at %s", dir ? dir : "");
}
