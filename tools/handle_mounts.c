/* Requests to mount and unmount. */
#include "tools/handlers.h"

#include "store/car_source.h"
#include "store/error.h"
#include "tools/ref.h"

#include <limits.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

struct mounting {
	struct request *rq;
	struct mounted *m;
	char *source; /* "/ipfs/..." or NULL */
	/* Of a CAR file, or a folder. */
	uv_work_t work;
	char *path;
	const char *why;
	struct folder_use *use;
	int result;
};

void mounted_free(struct mounted *m)
{
	car_file_close(m->car);
	free(m->dir);
	free(m);
}

static void mounting_free(struct mounting *mg)
{
	free(mg->source);
	free(mg->path);
	free(mg);
}

/* Unmounted by hand, or by the kernel. */
static void on_gone(void *arg)
{
	mounted_stop(arg, NULL, NULL);
}

/* Too late for the daemon: take it away again. */
static void on_late_stopped(void *arg)
{
	mounted_free(arg);
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
		mounted_free(m);
	} else if (d->stopping) {
		mount_stop(mount, on_late_stopped, m);
		request_fail(mg->rq, -ESHUTDOWN, "the daemon is stopping");
	} else {
		m->mount = mount;
		m->next = d->mounts;
		d->mounts = m;
		mount_on_gone(mount, on_gone, m);
		request_reply(mg->rq, json_pack("{s:s}", "dir", m->dir));
	}
	mounting_free(mg);
}

static void mounting_fail(struct mounting *mg, int code, const char *what, const char *why)
{
	request_fail(mg->rq, code, "cannot mount %s: %s", what, why);
	mounted_free(mg->m);
	mounting_free(mg);
}

/* ---- /folders, as of their newest snapshots ---- */

static int folder_root(void *arg, const char *name, struct cid *out)
{
	struct daemon *d = arg;
	struct secret_key key;
	struct cid commit;
	int r = folder_name_ok(name) ? folders_head(d->folders, name, &key, &commit, out) : -ENOENT;

	sodium_memzero(&key, sizeof key);
	return r;
}

struct nth {
	uint64_t left;
	char *out;
};

static int take_nth(void *arg, const struct folder_info *i)
{
	struct nth *n = arg;

	if (n->left-- > 0)
		return 0;
	strcpy(n->out, i->name);
	return 1;
}

static int folder_nth(void *arg, uint64_t n, char *out)
{
	struct nth nth = { n, out };

	return folders_each(((struct daemon *)arg)->folders, take_nth, &nth) == 1 ? 0 : -ENOENT;
}

static void folders_changed(void *arg, struct timespec *out)
{
	char path[PATH_MAX];
	struct stat st;

	snprintf(path, sizeof path, "%s/folders", ((struct daemon *)arg)->repo);
	if (stat(path, &st) == 0)
		*out = st.st_mtim;
}

static void mounting_start(struct mounting *mg)
{
	json_t *args = mg->rq->args;
	struct mount_options o = {
		.source = mg->source,
		.dir = mg->m->dir,
		.timeout_ms = (uint64_t)json_integer_value(json_object_get(args, "timeout_ms")),
		.allow_other = json_is_true(json_object_get(args, "allow_other")),
		.extra = mg->m->car ? car_file_source(mg->m->car) : NULL,
		.folders = &mg->m->folders,
	};

	mg->m->folders = (struct tree_shelf){ .root = folder_root, .name = folder_nth,
					      .arg = mg->m->daemon, .changed = folders_changed };

	mount_start(mg->m->daemon->node, &o, on_mounted, mg);
}

static void scan_car(uv_work_t *work)
{
	struct mounting *mg = work->data;

	mg->result = car_file_open(&mg->m->car, mg->path, &mg->why);
}

static void on_scanned(uv_work_t *work, int status)
{
	struct mounting *mg = work->data;
	char text[CID_TEXT_MAX];
	struct cid root;

	if (mg->result < 0) {
		mounting_fail(mg, mg->result, mg->path,
			      mg->why ? mg->why : err_text(mg->result));
		return;
	}
	if (mg->m->daemon->stopping) {
		mounting_fail(mg, -ESHUTDOWN, mg->path, "the daemon is stopping");
		return;
	}
	uint64_t n = car_file_roots(mg->m->car, &root);
	if (n != 1) {
		mounting_fail(mg, -EINVAL, mg->path,
			      n ? "it has several roots: `cairn import` it, and mount one of them"
				: "it names no root");
		return;
	}
	if (asprintf(&mg->source, "/ipfs/%s", cid_text(&root, text)) < 0) {
		mg->source = NULL;
		mounting_fail(mg, -ENOMEM, mg->path, "out of memory");
		return;
	}
	mounting_start(mg);
}

/* ---- folders ---- */

static void open_folder(uv_work_t *work)
{
	struct mounting *mg = work->data;

	mg->result = folders_use(mg->m->daemon->folders, mg->path, FOLDER_USE_MOUNT, &mg->use);
}

static void close_folder(uv_work_t *work)
{
	struct mounting *mg = work->data;

	folder_unuse(mg->use);
}

static void on_folder_closed(uv_work_t *work, int status)
{
	struct mounting *mg = work->data;

	mounting_fail(mg, -ESHUTDOWN, mg->path, "the daemon is stopping");
}

static void on_folder(uv_work_t *work, int status)
{
	struct mounting *mg = work->data;
	struct daemon *d = mg->m->daemon;
	json_t *args = mg->rq->args;
	struct folder_mount_options o = {
		.use = mg->use,
		.dir = mg->m->dir,
		.timeout_ms = (uint64_t)json_integer_value(json_object_get(args, "timeout_ms")),
		.allow_other = json_is_true(json_object_get(args, "allow_other")),
		.suid = json_is_true(json_object_get(args, "suid")),
		.dev = json_is_true(json_object_get(args, "dev")),
	};

	if (mg->result < 0) {
		mounting_fail(mg, mg->result, mg->path,
			      mg->result == -ENOENT ? "there is no such folder: see `cairn folder list`"
			      : mg->result == -EBUSY
				      ? "it is mounted already: a folder has one mount (bind it elsewhere: `mount --bind`)"
				      : err_text(mg->result));
	} else if (d->stopping) {
		if (uv_queue_work(&d->loop, &mg->work, close_folder, on_folder_closed) < 0) {
			folder_unuse(mg->use); /* better slow than never */
			on_folder_closed(&mg->work, 0);
		}
	} else {
		folder_mount_start(d->node, &o, on_mounted, mg);
	}
}

void handle_mount(struct request *rq)
{
	const char *dir = request_text(rq, "dir"), *source = request_text(rq, "source"),
		   *car = request_text(rq, "car"), *folder = request_text(rq, "folder");
	struct daemon *d = rq->daemon;
	struct ref ref;

	if (!dir || *dir != '/' || (car && *car != '/')) {
		request_fail(rq, -EINVAL, "mount needs an absolute directory");
		return;
	}
	for (struct mounted *m = d->mounts; m; m = m->next)
		if (!strcmp(m->dir, dir)) {
			request_fail(rq, -EBUSY, "cannot mount at %s: this daemon has a mount there already", dir);
			return;
		}
	if (source && ref_parse(&ref, source) < 0) {
		request_fail(rq, -EINVAL, "'%s' is neither a CID nor a name", source);
		return;
	}
	struct mounting *mg = calloc(1, sizeof *mg);
	struct mounted *m = calloc(1, sizeof *m);
	if (!mg || !m || !(m->dir = strdup(dir)) || ((car || folder) && !(mg->path = strdup(car ? car : folder))) ||
	    (source && !(mg->source = ref_text(&ref)))) {
		if (mg)
			mounting_free(mg);
		if (m)
			mounted_free(m);
		request_fail(rq, -ENOMEM, "out of memory");
		return;
	}
	m->daemon = d;
	mg->rq = rq;
	mg->m = m;
	mg->work.data = mg;
	if (!car && !folder)
		mounting_start(mg);
	else if (uv_queue_work(&d->loop, &mg->work, car ? scan_car : open_folder,
			       car ? on_scanned : on_folder) < 0)
		mounting_fail(mg, -ENOMEM, car ? car : folder, "out of memory");
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
