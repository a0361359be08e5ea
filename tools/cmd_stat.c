/* cairn stat: about one object, or about the store. */
#include "store/error.h"
#include "store/measure.h"
#include "tools/pins.h"
#include "tools/progress.h"
#include "tools/repo.h"
#include "tools/source.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static int count_link(void *arg, const struct cid *child)
{
	++*(uint64_t *)arg;
	return 0;
}

static json_t *pins_json(const struct pin_size *sizes, size_t n)
{
	json_t *list = json_array();
	char cid[CID_TEXT_MAX];

	for (size_t i = 0; i < n; i++)
		json_array_append_new(
			list, json_pack("{s:s, s:s, s:s, s:I, s:I, s:I, s:I, s:b}", "cid",
					cid_text(&sizes[i].pin.cid, cid), "name", sizes[i].pin.name,
					"mode", sizes[i].pin.mode == PIN_DIRECT ? "direct" : "recursive",
					"blocks", (json_int_t)sizes[i].blocks, "bytes",
					(json_int_t)sizes[i].bytes, "exclusive",
					(json_int_t)sizes[i].exclusive, "shared",
					(json_int_t)(sizes[i].bytes - sizes[i].exclusive), "partial",
					sizes[i].partial));
	return list;
}

static void print_pins(const struct pin_size *sizes, size_t n)
{
	char cid[CID_TEXT_MAX], a[16], b[16];

	printf("\n%10s %10s  pin\n", "exclusive", "shared");
	for (size_t i = 0; i < n; i++) {
		printf("%10s %10s  %s", bytes_text(sizes[i].exclusive, a),
		       bytes_text(sizes[i].bytes - sizes[i].exclusive, b),
		       cid_text(&sizes[i].pin.cid, cid));
		if (*sizes[i].pin.name) {
			putchar(' ');
			print_name(sizes[i].pin.name);
		}
		puts(sizes[i].partial ? " (not all of it is here)" : "");
	}
}

/* A ratio like 2.41, of which 1 is none. */
static double ratio(uint64_t a, uint64_t b)
{
	return b ? (double)a / (double)b : 1;
}

static int stat_pins(struct context *cx, struct store *store, struct pin_size **sizes, size_t *n)
{
	struct pins *pins = NULL;
	int r = repo_pins(cx->repo, false, &pins);

	if (r == -ENOENT)
		return 0;
	if (r < 0)
		return repo_pins_fail(cx, r);
	r = pins_measure(store, pins, &interrupted, sizes, n);
	pins_close(pins);
	if (r == -ECANCELED)
		return fail(cx, "stopped");
	return r < 0 ? fail(cx, "cannot measure the pins: %s", err_text(r)) : 0;
}

static int stat_store(struct context *cx, bool with_pins)
{
	struct pin_size *sizes = NULL;
	struct store_measure m;
	struct store_stat st;
	struct store *store;
	size_t n = 0;
	char a[16], b[16];
	int status = repo_need(cx);

	if (status)
		return status;
	int r = repo_store(cx->repo, 0, 0, &store);
	if (r < 0)
		return repo_store_fail(cx, r);
	signals_catch();
	store_stat(store, &st);
	r = store_measure(store, &m);
	if (r < 0)
		status = repo_store_fail(cx, r);
	if (!status && with_pins)
		status = stat_pins(cx, store, &sizes, &n);
	store_close(store);
	if (status)
		goto out;
	double dedup = ratio(m.bytes, m.unique), compression = ratio(m.unique, m.stored);
	if (cx->json) {
		json_t *j = json_pack(
			"{s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:f, s:f, s:{s:I, s:I, s:I, s:I}}", "repo",
			cx->repo, "blocks", (json_int_t)st.blocks, "bytes", (json_int_t)st.bytes,
			"disk_bytes", (json_int_t)st.disk_bytes, "pieces", (json_int_t)m.pieces, "unique",
			(json_int_t)m.unique, "stored", (json_int_t)m.stored, "dedup", dedup, "compression",
			compression,
			/**/
			"cache", "blocks", (json_int_t)st.cache_blocks, "bytes",
			(json_int_t)st.cache_bytes, "disk_bytes", (json_int_t)st.cache_disk, "quota",
			(json_int_t)st.cache_quota);
		if (j && with_pins)
			json_object_set_new(j, "pins", pins_json(sizes, n));
		status = print_json(j);
		goto out;
	}
	printf("repository  %s\nblocks      %llu kept, %llu in the cache\npieces      %llu\n", cx->repo,
	       (unsigned long long)m.blocks, (unsigned long long)st.cache_blocks,
	       (unsigned long long)m.pieces);
	printf("content     %s kept, %s of it different (%.2f : 1)\n", bytes_text(m.bytes, a),
	       bytes_text(m.unique, b), dedup);
	printf("stored      %s (%.2f : 1)\n", bytes_text(m.stored, a), compression);
	printf("cache       %s of %s\n", bytes_text(st.cache_disk, a),
	       st.cache_quota ? bytes_text(st.cache_quota, b) : "any size");
	printf("on disk     %s\n", bytes_text(st.disk_bytes, a));
	if (with_pins)
		print_pins(sizes, n);
out:
	free(sizes);
	return status;
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

	bool with_pins = argc > 1 && !strcmp(argv[1], "--pins");

	if (argc > 1 && argv[1][0] == '-' && !with_pins)
		return misuse(cx, "unknown option '%s'", argv[1]);
	if (argc > 2)
		return misuse(cx, with_pins ? "--pins is about the store, not about one object"
					    : "one CID or name is enough");
	if (argc == 1 || with_pins)
		return stat_store(cx, with_pins);
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
