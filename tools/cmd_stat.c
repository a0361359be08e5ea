/* cairn stat: about one object, or about the store. */
#include "store/error.h"
#include "tools/progress.h"
#include "tools/repo.h"
#include "tools/source.h"

#include <stdio.h>
#include <time.h>

static int count_link(void *arg, const struct cid *child)
{
	++*(uint64_t *)arg;
	return 0;
}

static int stat_store(struct context *cx)
{
	struct store_stat st;
	struct store *store;
	char a[16], b[16];
	int status = repo_need(cx);

	if (status)
		return status;
	int r = repo_store(cx->repo, 0, 0, &store);
	if (r < 0)
		return repo_store_fail(cx, r);
	store_stat(store, &st);
	store_close(store);
	if (cx->json)
		return print_json(json_pack("{s:s, s:I, s:I, s:I}", "repo", cx->repo, "blocks",
					    (json_int_t)st.blocks, "bytes", (json_int_t)st.bytes,
					    "disk_bytes", (json_int_t)st.disk_bytes));
	printf("repository  %s\nblocks      %llu\ncontent     %s\non disk     %s\n", cx->repo,
	       (unsigned long long)st.blocks, bytes_text(st.bytes, a), bytes_text(st.disk_bytes, b));
	return 0;
}

int cmd_stat(struct context *cx, int argc, char **argv)
{
	static const char *const types[] = { "", "file", "dir", "symlink" };
	struct opened source = { 0 };
	struct block *block = NULL;
	struct dag_attr attr;
	char cid[CID_TEXT_MAX];
	uint64_t links = 0;
	int r, status;

	if (argc > 1 && argv[1][0] == '-')
		return misuse(cx, "unknown option '%s'", argv[1]);
	if (argc > 2)
		return misuse(cx, "one CID or name is enough");
	if (argc == 1)
		return stat_store(cx);
	signals_catch();
	status = source_open(cx, argv[1], &source);
	if (status)
		goto out;
	bool local = source_has(source.blocks, &source.cid) > 0;
	r = dag_stat(source.blocks, &source.cid, &attr, NULL);
	if (r >= 0)
		r = source_get(source.blocks, &source.cid, &block);
	if (r >= 0)
		r = dag_links(&source.cid, block, count_link, &links);
	if (r < 0) {
		status = source_fail(cx, argv[1], r);
		goto out;
	}
	cid_text(&source.cid, cid);
	if (cx->json) {
		json_t *j = json_pack("{s:s, s:s, s:I, s:I, s:I, s:b}", "cid", cid, "type",
				      types[attr.type], "size", (json_int_t)attr.size, "block_size",
				      (json_int_t)block->size, "links", (json_int_t)links, "local",
				      local);
		if (attr.has_mode)
			json_object_set_new(j, "mode", json_integer(attr.mode));
		if (attr.has_mtime)
			json_object_set_new(j, "mtime", json_integer(attr.mtime));
		status = print_json(j);
		goto out;
	}
	printf("cid         %s\ntype        %s\n", cid, types[attr.type]);
	if (attr.type != DAG_DIR)
		printf("size        %llu\n", (unsigned long long)attr.size);
	printf("block       %zu bytes, %llu links, %s\n", block->size, (unsigned long long)links,
	       local ? "was here" : "fetched");
	if (attr.has_mode)
		printf("mode        %04o\n", attr.mode);
	if (attr.has_mtime) {
		char when[64];
		time_t t = (time_t)attr.mtime;
		struct tm tm;
		if (gmtime_r(&t, &tm) && strftime(when, sizeof when, "%Y-%m-%d %H:%M:%S UTC", &tm))
			printf("modified    %s\n", when);
	}
out:
	block_unref(block);
	source_close(&source);
	return status;
}
