/* cairn log, show and diff: reading the history of a folder, one's own or another's. */
#include "fs/history.h"
#include "store/dag_diff.h"
#include "store/error.h"
#include "tools/source.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static const char *time_text(int64_t ms, char out[32])
{
	time_t s = ms / 1000;
	struct tm tm;

	if (!localtime_r(&s, &tm) || !strftime(out, 32, "%Y-%m-%d %H:%M:%S", &tm))
		strcpy(out, "?");
	return out;
}

static json_t *cid_json(const struct cid *cid)
{
	char text[CID_TEXT_MAX];

	return json_string(cid_text(cid, text));
}

/* A stranger's text: what is no UTF-8 would be no JSON (commit.h refuses it). */
static json_t *commit_json(const struct history_commit *p)
{
	const struct commit *c = &p->commit;
	char id[SHORT_ID + 1], folder[PEER_TEXT_MAX];
	json_t *parents = json_array();

	for (size_t i = 0; i < c->n_parents; i++)
		json_array_append_new(parents, cid_json(&c->parents[i]));
	json_t *o = json_pack("{s:s, s:o, s:o, s:I, s:o, s:o, s:s, s:o}", "id",
			      short_id(&p->cid, id), "commit", cid_json(&p->cid), "root",
			      cid_json(&c->root), "time", (json_int_t)p->time_ms, "message",
			      json_stringn(c->message, c->message_len), "parents", parents,
			      "folder", peer_name_text(&c->folder, folder), "profile",
			      json_stringn(c->profile, c->profile_len));
	if (o && c->has_attrs)
		json_object_set_new(o, "attrs", cid_json(&c->attrs));
	return o;
}

/* The message; the caller frees. */
static char *message_of(const struct commit *c)
{
	return strndup(c->message, c->message_len);
}

/* ---- log ---- */

static void print_commit(const struct history_commit *p)
{
	char id[SHORT_ID + 1], when[32], *message = message_of(&p->commit);

	printf("%s %s ", short_id(&p->cid, id), time_text(p->time_ms, when));
	if (message)
		print_line(message);
	putchar('\n');
	free(message);
}

int cmd_log(struct context *cx, int argc, char **argv)
{
	struct opened o = { 0 };
	struct history h = { 0 };
	struct history_commit *p;
	unsigned long max = 0, n = 0;
	char id[SHORT_ID + 1], *end = "";
	int c, r = 0, status;

	opterr = 0;
	while ((c = getopt_long(argc, argv, "n:", (struct option[]){ { 0 } }, NULL)) != -1) {
		if (c == 'n')
			max = strtoul(optarg, &end, 10);
		if (c != 'n')
			return misuse(cx, "unknown option '%s'", argv[optind - 1]);
		if (*end || !max)
			return misuse(cx, "-n takes a number, and '%s' is none", optarg);
	}
	if (optind + 1 != argc)
		return misuse(cx, "one folder or name is needed");
	signals_catch();
	status = source_open_commit(cx, argv[optind], &o);
	if (status)
		goto out;
	history_begin(&h, o.history, &o.commit, o.folder.len ? &o.folder : NULL, wall_ms());
	if (cx->json)
		putchar('[');
	/* Printed as it comes: it may be long, and from far. */
	while ((!max || n < max) && (r = interrupted ? -ECANCELED : history_next(&h, &p)) > 0) {
		if (cx->json) {
			json_t *j = commit_json(p);
			if (n)
				putchar(',');
			json_dumpf(j, stdout, JSON_COMPACT);
			json_decref(j);
		} else {
			print_commit(p);
		}
		n++;
	}
	if (cx->json)
		puts("]");
	fflush(stdout);
	if (r == ERR_MISSING && o.name[0])
		fprintf(stderr, "cairn log: what was before, from %s on, is no longer here\n",
			short_id(&h.next, id));
	else if (r < 0)
		status = history_fail(cx, argv[optind], r);
	history_end(&h);
out:
	source_close(&o);
	return status;
}

/* ---- differences ---- */

struct differing {
	struct context *cx;
	json_t *rows; /* with --json */
};

static const char *type_name(enum dag_type t)
{
	return t == DAG_DIR ? "dir" : t == DAG_SYMLINK ? "symlink" : "file";
}

static json_t *side_json(const struct dag_diff_side *s)
{
	return s->type ? json_pack("{s:s, s:o, s:I}", "type", type_name(s->type), "cid",
				   cid_json(&s->cid), "size", (json_int_t)s->size)
		       : NULL;
}

static int on_difference(void *arg, const struct dag_diff *d)
{
	static const char letters[] = { [DAG_ADDED] = 'A', [DAG_REMOVED] = 'D',
					[DAG_CHANGED] = 'M', [DAG_RETYPED] = 'T' };
	struct differing *df = arg;

	if (interrupted)
		return -ECANCELED;
	if (!df->rows) {
		printf("%c ", letters[d->kind]);
		print_name(*d->path ? d->path : ".");
		/* What is only on one side is shown as a whole. */
		puts((d->kind == DAG_ADDED ? d->new.type : d->old.type) == DAG_DIR ? "/" : "");
		return 0;
	}
	json_t *row = json_pack("{s:s#, s:o*, s:o*}", "kind", &letters[d->kind], 1, "old",
				side_json(&d->old), "new", side_json(&d->new));
	json_t *path = json_string(d->path);
	/* A name that is no text is left to its bytes in hex. */
	if (row && path)
		json_object_set_new(row, "path", path);
	json_array_append_new(df->rows, row);
	return 0;
}

static int differences(struct context *cx, struct block_source *s, const struct cid *old,
		       const struct cid *new, json_t **rows)
{
	struct differing df = { .cx = cx, .rows = cx->json ? json_array() : NULL };
	int r = dag_diff(s, old, new, on_difference, &df, NULL);

	*rows = df.rows;
	return r;
}

/* What A is compared with if nothing is said: its folder as it is; and the folder
 * itself with the snapshot before. */
static int imply(struct context *cx, const char *a, char from[256], char to[256])
{
	size_t len = strcspn(a, "@/");

	if (a[len] == '/' || !source_is_folder(cx, a) || strlen(a) > 200)
		return misuse(cx, "what is '%s' to be compared with?", a);
	snprintf(from, 256, "%s%s", a, a[len] ? "" : "@{1}");
	snprintf(to, 256, "%.*s", (int)len, a);
	return 0;
}

int cmd_diff(struct context *cx, int argc, char **argv)
{
	struct opened o = { 0 };
	struct cid older;
	char from[256], to[256];
	const char *old, *new;
	json_t *rows = NULL;
	int status = 0;

	if (argc > 1 && argv[1][0] == '-' && argv[1][1])
		return misuse(cx, "unknown option '%s'", argv[1]);
	if (argc != 2 && argc != 3)
		return misuse(cx, "one or two sources are needed");
	old = argv[1];
	new = argv[argc - 1];
	if (argc == 2) {
		status = imply(cx, argv[1], from, to);
		if (status)
			return status;
		old = from;
		new = to;
	}
	signals_catch();
	status = source_open(cx, old, &o);
	older = o.cid;
	source_close(&o);
	if (status)
		return status;
	status = source_open(cx, new, &o);
	if (!status) {
		int r = differences(cx, o.blocks, &older, &o.cid, &rows);
		if (r < 0)
			status = source_fail(cx, new, r);
		else if (cx->json)
			status = print_json(json_incref(rows));
	}
	json_decref(rows);
	source_close(&o);
	return status;
}

/* ---- show ---- */

static void print_header(const struct history_commit *p)
{
	const struct commit *c = &p->commit;
	char text[CID_TEXT_MAX], name[PEER_TEXT_MAX], when[32], *message = message_of(c);

	printf("commit   %s\n", cid_text(&p->cid, text));
	printf("folder   %s\n", peer_name_text(&c->folder, name));
	printf("root     %s\n", cid_text(&c->root, text));
	if (c->has_attrs)
		printf("attrs    %s\n", cid_text(&c->attrs, text));
	for (size_t i = 0; i < c->n_parents; i++)
		printf("parent   %s\n", cid_text(&c->parents[i], text));
	printf("profile  %.*s\n", (int)c->profile_len, c->profile);
	printf("date     %s\n", time_text(p->time_ms, when));
	if (message && *message) {
		putchar('\n');
		for (char *save, *line = strtok_r(message, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
			printf("    ");
			print_name(line);
			putchar('\n');
		}
	}
	putchar('\n');
	free(message);
}

int cmd_show(struct context *cx, int argc, char **argv)
{
	struct opened o = { 0 };
	struct history h = { 0 };
	struct history_commit *p;
	struct block *hold = NULL;
	struct commit before;
	json_t *rows = NULL, *j = NULL;
	int r, status;

	if (argc != 2 || argv[1][0] == '-')
		return misuse(cx, "one snapshot is needed, as in NAME@{yesterday}");
	signals_catch();
	status = source_open_commit(cx, argv[1], &o);
	if (status)
		goto out;
	history_begin(&h, o.history, &o.commit, o.folder.len ? &o.folder : NULL, wall_ms());
	r = history_next(&h, &p);
	if (r <= 0) {
		status = history_fail(cx, argv[1], r);
		goto out;
	}
	if (cx->json)
		j = commit_json(p);
	else
		print_header(p);
	if (p->commit.n_parents) {
		struct cid root = p->commit.root;
		r = history_read(o.history, &p->commit.parents[0], &p->commit.folder, &before, &hold);
		if (r == 0)
			r = differences(cx, o.blocks, &before.root, &root, &rows);
		/* It can be shown without what was before. */
		if (r < 0 && !(r == ERR_MISSING && o.name[0]))
			status = history_fail(cx, argv[1], r);
		else if (r < 0)
			fprintf(stderr, "cairn show: the snapshot before it is no longer here\n");
	}
	if (j && rows)
		json_object_set(j, "changes", rows);
	if (j && !status)
		status = print_json(json_incref(j));
out:
	json_decref(j);
	json_decref(rows);
	block_unref(hold);
	history_end(&h);
	source_close(&o);
	return status;
}
