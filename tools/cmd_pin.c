/*
 * cairn pin: what is to stay.  To pin a tree keeps all of it, fetching what lacks
 * through the daemon; without one, everything has to be here.
 */
#include "store/error.h"
#include "store/keep.h"
#include "tools/client.h"
#include "tools/pins.h"
#include "tools/progress.h"
#include "tools/ref.h"
#include "tools/repo.h"
#include "tools/source.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

/* ---- add ---- */

static void on_report(void *arg, json_t *report)
{
	progress_at(arg, (uint64_t)json_integer_value(json_object_get(report, "blocks")),
		    (uint64_t)json_integer_value(json_object_get(report, "bytes")), 0);
}

static int pin_there(struct context *cx, struct client *c, const struct cid *cid,
		     const char *name, bool direct, json_t **out)
{
	char text[CID_TEXT_MAX], why[512];
	struct progress bar;

	progress_begin(&bar, "pinning");
	bar.unit = "blocks";
	int r = client_call(c,
			    json_pack("{s:s, s:s, s:s, s:b, s:b}", "cmd", "pin", "cid",
				      cid_text(cid, text), "name", name, "direct", direct,
				      "progress", bar.shown),
			    on_report, &bar, out, why);
	progress_end(&bar);
	if (r == -ECANCELED)
		return fail(cx, "stopped: not pinned");
	return r < 0 ? fail(cx, "%s: %s", text, why) : 0;
}

static int pin_here(struct context *cx, const struct cid *cid, const char *name, bool direct)
{
	char text[CID_TEXT_MAX];
	struct store *store = NULL;
	struct pins *pins = NULL;
	int r, status = 0;

	r = repo_store_write(cx->repo, 0, &store);
	if (r < 0)
		return repo_store_fail(cx, r);
	r = repo_pins(cx->repo, true, &pins);
	if (r < 0) {
		status = repo_pins_fail(cx, r);
		goto out;
	}
	if (direct) {
		r = store_keep(store, &cid->hash);
		if (r >= 0)
			r = store_sync(store);
		if (r >= 0)
			r = pins_add(pins, cid, PIN_DIRECT, name);
	} else {
		r = pin_tree(store, pins, cid, name);
	}
	if (r == ERR_MISSING)
		status = fail(cx, "%s: not all of it is here, and no daemon runs to fetch it: start one with `cairn daemon`", cid_text(cid, text));
	else if (r < 0)
		status = fail(cx, "cannot pin %s: %s", cid_text(cid, text), err_text(r));
out:
	pins_close(pins);
	r = store_close(store);
	if (r < 0 && !status)
		status = fail(cx, "cannot close the store: %s", err_text(r));
	return status;
}

static bool name_is_good(const char *name)
{
	for (const unsigned char *p = (const unsigned char *)name; *p; p++)
		if (*p < 0x20 || *p == 0x7f)
			return false;
	return strlen(name) <= PIN_NAME_MAX;
}

static int pin_one(struct context *cx, const char *what, const char *name, bool direct)
{
	struct opened source = { 0 };
	char cid[CID_TEXT_MAX];
	json_t *reply = NULL;
	int status = source_open(cx, what, &source);

	if (!status) {
		/* The lock is for one, and a reader of this process has the store open. */
		reader_close(source.reader);
		source.reader = NULL;
		status = source.client
			     ? pin_there(cx, source.client, &source.cid, name, direct, &reply)
			     : pin_here(cx, &source.cid, name, direct);
	}
	if (!status && cx->json)
		status = print_json(json_pack("{s:s, s:s, s:s}", "cid", cid_text(&source.cid, cid), "name",
					      name, "mode", direct ? "direct" : "recursive"));
	else if (!status)
		printf("pinned %s\n", cid_text(&source.cid, cid));
	json_decref(reply);
	source_close(&source);
	return status;
}

static int pin_add(struct context *cx, int argc, char **argv)
{
	static const struct option options[] = { { "name", required_argument, NULL, 'n' },
						 { "direct", no_argument, NULL, 'd' },
						 { 0 } };
	const char *name = "";
	bool direct = false;
	int c, status = 0;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (c == 'n')
			name = optarg;
		else if (c == 'd')
			direct = true;
		else
			return misuse(cx, "unknown option '%s', or one without its value", argv[optind - 1]);
	}
	if (optind == argc)
		return misuse(cx, "what is to be pinned?");
	if (!name_is_good(name))
		return misuse(cx, "a pin's name has up to %d bytes, and no control characters", PIN_NAME_MAX);
	signals_catch();
	for (; optind < argc && !status; optind++)
		status = pin_one(cx, argv[optind], name, direct);
	return status;
}

/* ---- rm ---- */

static int unpin_here(struct context *cx, const struct cid *cid, const char *name, int *removed)
{
	struct store *store = NULL;
	struct pins *pins = NULL;
	int r, status = 0;

	/* Its lock is the repository's. */
	r = repo_store_write(cx->repo, 0, &store);
	if (r < 0)
		return repo_store_fail(cx, r);
	r = repo_pins(cx->repo, true, &pins);
	if (r < 0) {
		status = repo_pins_fail(cx, r);
		goto out;
	}
	r = *removed = unpin_root(cx->repo, pins, cid, name);
	if (r < 0)
		status = fail(cx, "cannot unpin it: %s", err_text(r));
out:
	pins_close(pins);
	store_close(store);
	return status;
}

static int unpin_one(struct context *cx, const char *what, const char *name)
{
	struct client *client = NULL;
	char text[CID_TEXT_MAX];
	json_t *reply = NULL;
	int removed = 0, status;
	struct ref ref;

	if (ref_parse(&ref, what) < 0 || ref.is_name || *ref.path)
		return misuse(cx, "'%s' is no CID", what);
	cid_text(&ref.cid, text);
	if (client_open(&client, cx->repo) >= 0) {
		status = call_or_fail(cx, client,
				      json_pack("{s:s, s:s, s:s?}", "cmd", "unpin", "cid", text, "name", name),
				      &reply);
		removed = (int)json_integer_value(json_object_get(reply, "removed"));
	} else {
		status = unpin_here(cx, &ref.cid, name, &removed);
	}
	if (!status && !removed)
		status = fail(cx, name ? "%s is not pinned under that name" : "%s is not pinned", text);
	else if (!status && cx->json)
		status = print_json(json_pack("{s:s, s:i}", "cid", text, "removed", removed));
	else if (!status)
		printf("unpinned %s\n", text);
	json_decref(reply);
	client_close(client);
	return status;
}

static int pin_rm(struct context *cx, int argc, char **argv)
{
	static const struct option options[] = { { "name", required_argument, NULL, 'n' }, { 0 } };
	const char *name = NULL;
	int c, status = repo_need(cx);

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (c != 'n')
			return misuse(cx, "unknown option '%s', or one without its value", argv[optind - 1]);
		name = optarg;
	}
	if (optind == argc)
		return misuse(cx, "what is to be unpinned?");
	for (; optind < argc && !status; optind++)
		status = unpin_one(cx, argv[optind], name);
	return status;
}

/* ---- ls ---- */

struct listing {
	struct context *cx;
	const char *name; /* NULL: any */
	json_t *list;	  /* with --json */
};

static int show_pin(void *arg, const struct pin *pin)
{
	struct listing *l = arg;
	char cid[CID_TEXT_MAX];

	if (l->name && strcmp(l->name, pin->name))
		return 0;
	cid_text(&pin->cid, cid);
	const char *mode = pin->mode == PIN_DIRECT ? "direct" : "recursive";
	if (l->list)
		return json_array_append_new(l->list, json_pack("{s:s, s:s, s:s, s:I}", "cid", cid, "mode",
								 mode, "name", pin->name, "time",
								 (json_int_t)pin->time)) < 0
			   ? -ENOMEM
			   : 0;
	printf("%s %s", cid, mode);
	if (*pin->name) {
		putchar(' ');
		print_name(pin->name);
	}
	putchar('\n');
	return 0;
}

static int pin_ls(struct context *cx, int argc, char **argv)
{
	static const struct option options[] = { { "name", required_argument, NULL, 'n' }, { 0 } };
	struct listing l = { .cx = cx };
	struct pins *pins = NULL;
	int c, r, status = repo_need(cx);

	if (status)
		return status;
	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (c != 'n')
			return misuse(cx, "unknown option '%s', or one without its value", argv[optind - 1]);
		l.name = optarg;
	}
	if (optind < argc)
		return misuse(cx, "unexpected argument '%s'", argv[optind]);
	if (cx->json)
		l.list = json_array();
	r = repo_pins(cx->repo, false, &pins);
	if (r == -ENOENT)
		r = 0; /* nothing was written since there are pins */
	else if (r >= 0)
		r = pins_each(pins, show_pin, &l);
	pins_close(pins);
	if (r < 0) {
		json_decref(l.list);
		return repo_pins_fail(cx, r);
	}
	return cx->json ? print_json(l.list) : 0;
}

int cmd_pin(struct context *cx, int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "";

	opterr = 0;
	if (!strcmp(what, "add"))
		return pin_add(cx, argc - 1, argv + 1);
	if (!strcmp(what, "rm"))
		return pin_rm(cx, argc - 1, argv + 1);
	if (!strcmp(what, "ls"))
		return pin_ls(cx, argc - 1, argv + 1);
	return misuse(cx, "say `pin add`, `pin rm` or `pin ls`");
}
