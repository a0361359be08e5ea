/* cairn ls: the entries of a folder, or one line for a file. */
#include "store/error.h"
#include "tools/source.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct listing {
	struct context *cx;
	struct opened *source;
	bool detailed;
	json_t *rows;
	int failed; /* entries that could not be looked at */
	/* Asked for ahead, so that a long listing is not one round trip a row. */
	struct cid *soon;
	size_t n_soon;
};

static const char *type_text(enum dag_type t)
{
	return t == DAG_DIR ? "dir" : t == DAG_SYMLINK ? "symlink" : "file";
}

static int row(struct listing *l, const struct cid *cid, const char *name)
{
	struct dag_attr attr = { 0 };
	char text[CID_TEXT_MAX], target[4096] = "";
	int r = 0;

	cid_text(cid, text);
	if (l->detailed || l->cx->json) {
		r = dag_stat(l->source->blocks, cid, &attr, NULL);
		if (r == -ECANCELED)
			return r;
		if (r >= 0 && attr.type == DAG_SYMLINK)
			dag_readlink(l->source->blocks, cid, target, sizeof target, NULL);
	}
	if (r < 0)
		l->failed++;
	if (l->cx->json) {
		json_t *j = json_pack("{s:s, s:s, s:I}", "cid", text, "type",
				      r < 0 ? "unknown" : type_text(attr.type), "size",
				      (json_int_t)attr.size);
		json_t *n = json_string(name);
		if (n)
			json_object_set_new(j, "name", n);
		if (r < 0)
			json_object_set_new(j, "error", json_string(err_text(r)));
		if (*target)
			json_object_set_new(j, "target", json_string(target));
		json_array_append_new(l->rows, j);
		return 0;
	}
	if (l->detailed) {
		if (r < 0)
			printf("?          ? %s ", text);
		else
			printf("%c %10llu %s ",
			       attr.type == DAG_DIR ? 'd' : attr.type == DAG_SYMLINK ? 'l' : '-',
			       (unsigned long long)attr.size, text);
	}
	print_name(name);
	if (*target && l->detailed) {
		printf(" -> ");
		print_name(target);
	}
	putchar('\n');
	return 0;
}

static int on_entry(void *arg, const struct dag_entry *e, uint64_t pos)
{
	struct listing *l = arg;

	return row(l, &e->cid, e->name);
}

static int on_entry_ahead(void *arg, const struct dag_entry *e, uint64_t pos)
{
	struct listing *l = arg;

	l->soon[l->n_soon++] = e->cid;
	return l->n_soon == 32;
}

int cmd_ls(struct context *cx, int argc, char **argv)
{
	struct listing l = { .cx = cx };
	struct opened source = { 0 };
	struct dag_attr attr;
	int c, r, status;

	opterr = 0;
	while ((c = getopt(argc, argv, "l")) != -1) {
		if (c != 'l')
			return misuse(cx, "unknown option '%s'", argv[optind - 1]);
		l.detailed = true;
	}
	if (optind + 1 != argc)
		return misuse(cx, "one CID or name is needed");
	signals_catch();
	status = source_open(cx, argv[optind], &source);
	if (status)
		goto out;
	l.source = &source;
	l.rows = json_array();
	r = dag_stat(source.blocks, &source.cid, &attr, NULL);
	if (r >= 0 && attr.type == DAG_DIR) {
		struct cid soon[32];
		l.soon = soon;
		if ((l.detailed || cx->json) && source.client) {
			dag_list(source.blocks, &source.cid, 0, on_entry_ahead, &l, NULL);
			source_soon(source.blocks, soon, l.n_soon);
		}
		r = dag_list(source.blocks, &source.cid, 0, on_entry, &l, NULL);
	} else if (r >= 0) {
		char *name = strrchr(argv[optind], '/');
		r = row(&l, &source.cid, name ? name + 1 : argv[optind]);
	}
	if (r < 0)
		status = source_fail(cx, argv[optind], r);
	else if (cx->json)
		status = print_json(json_incref(l.rows));
	if (!status && l.failed)
		status = fail(cx, "%d entries could not be looked at", l.failed);
out:
	json_decref(l.rows);
	source_close(&source);
	return status;
}
