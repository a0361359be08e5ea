/*
 * Trees to files: nothing escapes the target, nothing half-written stays, and
 * the source is told what comes.
 */
#include "store/block.h"
#include "store/build_dir.h"
#include "store/dagpb.h"
#include "store/error.h"
#include "store/export.h"
#include "store/export_place.h"

#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#define BLOCKS 16384

/* Blocks in memory: a sink to build into, and a source to export from. */
struct memory {
	struct block_sink sink;
	struct block_source source;
	pthread_mutex_t lock; /* of what follows, once files are written by threads */
	struct block *blocks[BLOCKS];
	bool told[BLOCKS];
	unsigned gets, gets_untold;
	unsigned missing_after; /* gets; 0: never */
	atomic_bool *cancel;
	unsigned cancel_after;
};

struct fixture {
	struct memory memory;
	const struct profile *profile;
	char dir[64], target[128];
	int fd; /* of dir */
	struct export_options options;
	int warnings, last_error;
	char last_path[512];
};

static struct memory *of_source(struct block_source *s)
{
	return (struct memory *)((char *)s - offsetof(struct memory, source));
}

static size_t slot(const struct memory *m, const struct multihash *name)
{
	size_t i = multihash_hash(name) % BLOCKS;

	while (m->blocks[i] && !multihash_equal(&m->blocks[i]->name, name))
		i = (i + 1) % BLOCKS;
	return i;
}

static int put(struct block_sink *self, const struct multihash *name, const void *data,
	       size_t len)
{
	struct memory *m = (struct memory *)self;
	size_t i = slot(m, name);

	if (!m->blocks[i])
		assert_int_equal(block_verify(&m->blocks[i], name, data, len), 0);
	return 0;
}

static int get(struct block_source *self, const struct cid *cid, struct block **out)
{
	struct memory *m = of_source(self);
	size_t i = slot(m, &cid->hash);
	int r = 0;

	pthread_mutex_lock(&m->lock);
	m->gets++;
	m->gets_untold += !m->told[i];
	if (m->cancel && m->gets == m->cancel_after)
		*m->cancel = true;
	if (!m->blocks[i] || (m->missing_after && m->gets > m->missing_after))
		r = ERR_MISSING;
	pthread_mutex_unlock(&m->lock);
	if (r == 0)
		*out = block_ref(m->blocks[i]);
	return r;
}

/* A source far away: what it was told of comes fast. */
static int has(struct block_source *self, const struct cid *cid)
{
	struct memory *m = of_source(self);

	pthread_mutex_lock(&m->lock);
	bool told = m->told[slot(m, &cid->hash)];
	pthread_mutex_unlock(&m->lock);
	return told;
}

static void soon(struct block_source *self, const struct cid *cids, size_t n)
{
	struct memory *m = of_source(self);

	pthread_mutex_lock(&m->lock);
	for (size_t i = 0; i < n; i++)
		m->told[slot(m, &cids[i].hash)] = true;
	pthread_mutex_unlock(&m->lock);
}

static void on_warn(void *arg, const char *path, int error)
{
	struct fixture *f = arg;

	f->warnings++;
	f->last_error = error;
	snprintf(f->last_path, sizeof f->last_path, "%s", path);
}

static int set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof *f);

	assert_non_null(f);
	snprintf(f->dir, sizeof f->dir, "/tmp/cairn-export-XXXXXX");
	assert_non_null(mkdtemp(f->dir));
	f->fd = open(f->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(f->fd >= 0);
	snprintf(f->target, sizeof f->target, "%s/out", f->dir);
	pthread_mutex_init(&f->memory.lock, NULL);
	f->memory.sink.put = put;
	f->memory.source.get = get;
	f->memory.source.has = has;
	f->memory.source.soon = soon;
	f->profile = profile_find("unixfs-v1-2025");
	f->options.warn = on_warn;
	f->options.warn_arg = f;
	*state = f;
	return 0;
}

static int set_up_threads(void **state)
{
	int r = set_up(state);
	struct fixture *f = *state;

	f->options.jobs = 3;
	return r;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;
	char command[192];

	for (size_t i = 0; i < BLOCKS; i++)
		block_unref(f->memory.blocks[i]);
	pthread_mutex_destroy(&f->memory.lock);
	close(f->fd);
	snprintf(command, sizeof command, "chmod -R u+rwx %s; rm -rf %s", f->dir, f->dir);
	assert_int_equal(system(command), 0);
	free(f);
	return 0;
}

/* ---- trees ---- */

static struct built file_of(struct fixture *f, const void *data, size_t len)
{
	const size_t chunk = f->profile->chunker.max;
	uint8_t *room = malloc(LEAF_HEAD + chunk + LEAF_TAIL);
	struct build_file b;
	struct built leaf, root;
	size_t at = 0;

	assert_non_null(room);
	build_file_init(&b, f->profile, &f->memory.sink);
	do {
		size_t n = len - at < chunk ? len - at : chunk;

		memcpy(room + LEAF_HEAD, (const uint8_t *)data + at, n);
		assert_int_equal(build_leaf(f->profile, &f->memory.sink, room + LEAF_HEAD, n,
					    &leaf),
				 0);
		assert_int_equal(build_file_add(&b, &leaf), 0);
		at += n;
	} while (at < len);
	assert_int_equal(build_file_finish(&b, &root), 0);
	build_file_release(&b);
	free(room);
	return root;
}

static struct built text_of(struct fixture *f, const char *text)
{
	return file_of(f, text, strlen(text));
}

static struct built link_to(struct fixture *f, const char *target)
{
	struct built b;

	assert_int_equal(build_symlink(f->profile, &f->memory.sink, target, strlen(target), &b),
			 0);
	return b;
}

struct child {
	const char *name;
	struct built node;
};

/* In the order given, duplicates and bad names too: as a stranger may write it. */
static struct built dir_of(struct fixture *f, const struct child *c, size_t n)
{
	const struct unixfs u = { .type = UNIXFS_DIRECTORY };
	struct buf block = { 0 };
	struct built b = { 0 };

	for (size_t i = 0; i < n; i++)
		dagpb_put_link(&block, &c[i].node.cid, c[i].name, strlen(c[i].name),
			       c[i].node.tsize);
	assert_int_equal(sink_put_node(&f->memory.sink, f->profile, &block, &u, NULL, 0, &b.cid), 0);
	b.tsize = block.len;
	buf_release(&block);
	return b;
}

static struct built node_of(struct fixture *f, const struct unixfs *u)
{
	struct buf block = { 0 };
	struct built b = { 0 };

	assert_int_equal(sink_put_node(&f->memory.sink, f->profile, &block, u, NULL, 0, &b.cid), 0);
	b.tsize = block.len;
	buf_release(&block);
	return b;
}

static int export(struct fixture *f, struct built root)
{
	return export_tree(&f->memory.source, &root.cid, f->target, &f->options);
}

/* ---- what is on disk ---- */

static void assert_text(struct fixture *f, const char *path, const char *want)
{
	char text[256];
	int fd = openat(f->fd, path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);

	assert_true(fd >= 0);
	ssize_t n = read(fd, text, sizeof text - 1);
	assert_true(n >= 0);
	text[n] = '\0';
	assert_string_equal(text, want);
	close(fd);
}

static void assert_link(struct fixture *f, const char *path, const char *want)
{
	char text[256];
	ssize_t n = readlinkat(f->fd, path, text, sizeof text - 1);

	assert_true(n >= 0);
	text[n] = '\0';
	assert_string_equal(text, want);
}

static struct stat stat_of(struct fixture *f, const char *path)
{
	struct stat st;

	assert_int_equal(fstatat(f->fd, path, &st, AT_SYMLINK_NOFOLLOW), 0);
	return st;
}

static bool exists(struct fixture *f, const char *path)
{
	struct stat st;

	return fstatat(f->fd, path, &st, AT_SYMLINK_NOFOLLOW) == 0;
}

static unsigned count(struct fixture *f, const char *path)
{
	int fd = openat(f->fd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fdopendir(fd);
	unsigned n = 0;

	assert_non_null(d);
	for (struct dirent *e; (e = readdir(d));)
		n += strcmp(e->d_name, ".") && strcmp(e->d_name, "..");
	closedir(d);
	return n;
}

static void make_file(struct fixture *f, const char *path, const char *text)
{
	int fd = openat(f->fd, path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	close(fd);
}

/* ---- tests ---- */

static void the_target_is_the_thing_itself(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(export(f, text_of(f, "hello")), 0);
	assert_text(f, "out", "hello");
	assert_int_equal(unlinkat(f->fd, "out", 0), 0);
	assert_int_equal(export(f, link_to(f, "../../elsewhere")), 0);
	assert_link(f, "out", "../../elsewhere");
	assert_int_equal(unlinkat(f->fd, "out", 0), 0);
	assert_int_equal(export(f, dir_of(f, NULL, 0)), 0);
	assert_int_equal(count(f, "out"), 0);
	assert_int_equal(unlinkat(f->fd, "out", AT_REMOVEDIR), 0);
	strcat(f->target, "//");
	assert_int_equal(export(f, text_of(f, "hello")), 0);
	assert_text(f, "out", "hello");
	assert_int_equal(count(f, "."), 1);
}

static void a_tree_comes_out_as_it_is(void **state)
{
	struct fixture *f = *state;
	struct export_progress progress = { 0 };
	struct built sub = dir_of(f,
				  (const struct child[]){ { "deep", text_of(f, "deep") },
							  { "up", link_to(f, "..") } },
				  2);
	struct built root = dir_of(f,
				   (const struct child[]){
					   { " ", text_of(f, "a space") },
					   { ".hidden", text_of(f, "h") },
					   { "a\nb", text_of(f, "") },
					   { "empty", dir_of(f, NULL, 0) },
					   { "link", link_to(f, "/etc/passwd") },
					   { "sub", sub },
					   { "\xff\xfe", text_of(f, "no UTF-8") },
				   },
				   7);

	f->options.progress = &progress;
	assert_int_equal(export(f, root), 0);
	assert_int_equal(count(f, "out"), 7);
	assert_text(f, "out/ ", "a space");
	assert_text(f, "out/.hidden", "h");
	assert_text(f, "out/a\nb", "");
	assert_int_equal(count(f, "out/empty"), 0);
	assert_link(f, "out/link", "/etc/passwd");
	assert_text(f, "out/sub/deep", "deep");
	assert_link(f, "out/sub/up", "..");
	assert_text(f, "out/\xff\xfe", "no UTF-8");
	assert_int_equal(progress.files, 5);
	assert_int_equal(progress.bytes, 7 + 1 + 4 + 8);
	assert_true(progress.bytes_total >= progress.bytes);
	assert_int_equal(f->warnings, 0);
}

static void what_is_there_is_kept_unless_asked(void **state)
{
	struct fixture *f = *state;
	struct built root = dir_of(f,
				   (const struct child[]){ { "file", text_of(f, "new") },
							   { "link", link_to(f, "new") },
							   { "sub", dir_of(f, NULL, 0) } },
				   3);

	make_file(f, "out", "old");
	assert_int_equal(export(f, text_of(f, "new")), -EEXIST);
	assert_int_equal(export(f, link_to(f, "new")), -EEXIST);
	assert_int_equal(export(f, root), -EEXIST);
	assert_text(f, "out", "old");
	f->options.overwrite = true;
	assert_int_equal(export(f, text_of(f, "new")), 0);
	assert_text(f, "out", "new");
	assert_int_equal(export(f, root), -ENOTDIR);
	assert_int_equal(unlinkat(f->fd, "out", 0), 0);

	/* Into a directory: what is not in the tree stays. */
	assert_int_equal(mkdirat(f->fd, "out", 0700), 0);
	assert_int_equal(mkdirat(f->fd, "out/sub", 0700), 0);
	make_file(f, "out/file", "old");
	make_file(f, "out/link", "old");
	make_file(f, "out/other", "mine");
	make_file(f, "out/sub/other", "mine");
	assert_int_equal(export(f, root), 0);
	assert_text(f, "out/file", "new");
	assert_link(f, "out/link", "new");
	assert_text(f, "out/other", "mine");
	assert_text(f, "out/sub/other", "mine");
	assert_int_equal(count(f, "out"), 4);
	f->options.overwrite = false;
	assert_int_equal(export(f, root), -EEXIST);
	assert_int_equal(f->last_error, -EEXIST);
	assert_string_equal(f->last_path, f->target);

	/* A directory is not replaced by a file. */
	f->options.overwrite = true;
	assert_int_equal(export(f, text_of(f, "new")), -EISDIR);
	assert_int_equal(export(f, link_to(f, "new")), -EISDIR);
	assert_text(f, "out/other", "mine");
}

static void b76_names_that_no_file_can_have_are_left_out(void **state)
{
	struct fixture *f = *state;
	struct built x = text_of(f, "x");
	char long_name[257];

	memset(long_name, 'n', 256);
	long_name[256] = '\0';
	struct built root = dir_of(f,
				   (const struct child[]){ { "", x },
							   { ".", x },
							   { "..", x },
							   { "../escaped", x },
							   { "/escaped", x },
							   { "a/b", x },
							   { long_name, x },
							   { "fine", x } },
				   8);

	assert_int_equal(export(f, root), 0);
	assert_int_equal(count(f, "out"), 1);
	assert_text(f, "out/fine", "x");
	assert_int_equal(count(f, "."), 1);
}

static void b83_nothing_is_written_through_a_symlink(void **state)
{
	struct fixture *f = *state;
	struct built evil = dir_of(f, &(struct child){ "escaped", text_of(f, "evil") }, 1);

	assert_int_equal(mkdirat(f->fd, "outside", 0700), 0);
	f->options.overwrite = true;

	/* A link of the tree itself, then a directory of its name. */
	struct built root = dir_of(f,
				   (const struct child[]){ { "a", link_to(f, "../outside") },
							   { "a", evil } },
				   2);
	assert_int_equal(export(f, root), 0);
	assert_link(f, "out/a", "../outside");

	/* A link that is there already. */
	root = dir_of(f, &(struct child){ "a", evil }, 1);
	assert_true(export(f, root) < 0);
	assert_string_equal(strrchr(f->last_path, '/'), "/a");
	assert_int_equal(unlinkat(f->fd, "out/a", 0), 0);
	assert_int_equal(symlinkat("../outside/escaped", f->fd, "out/file"), 0);
	root = dir_of(f, &(struct child){ "file", text_of(f, "evil") }, 1);
	assert_int_equal(export(f, root), 0);
	assert_text(f, "out/file", "evil"); /* the link was replaced */

	/* The target is one. */
	assert_int_equal(symlinkat("outside", f->fd, "link"), 0);
	snprintf(f->target, sizeof f->target, "%s/link", f->dir);
	assert_true(export(f, evil) < 0);
	assert_int_equal(count(f, "outside"), 0);

	/* But the way to it is the user's own. */
	snprintf(f->target, sizeof f->target, "%s/link/mine", f->dir);
	assert_int_equal(export(f, text_of(f, "mine")), 0);
	assert_text(f, "outside/mine", "mine");
}

static void b83_links_are_made_when_all_else_is_there(void **state)
{
	struct fixture *f = *state;
	struct built root = dir_of(f,
				   (const struct child[]){ { "a", link_to(f, "z") },
							   { "b", text_of(f, "b") },
							   { "z", text_of(f, "z") } },
				   3);

	/* Wherever it breaks off, there is no link without the last file. */
	f->options.overwrite = true;
	int r = ERR_MISSING;
	for (unsigned after = 1; r == ERR_MISSING; after++) {
		f->memory.gets = 0;
		f->memory.missing_after = after;
		r = export(f, root);
		assert_true(exists(f, "out/z") || !exists(f, "out/a"));
	}
	assert_int_equal(r, 0);
	assert_link(f, "out/a", "z");
}

static void b83_a_link_with_a_nul_is_refused(void **state)
{
	struct fixture *f = *state;
	const struct unixfs u = { .type = UNIXFS_SYMLINK,
				  .data = (const uint8_t *)"a\0b",
				  .data_len = 3,
				  .has_data = true };

	assert_true(export(f, node_of(f, &u)) < 0);
	assert_false(exists(f, "out"));
}

/* As a file system that ignores case would have it: one name for two entries. */
static void b84_what_we_made_is_not_replaced(void **state)
{
	struct fixture *f = *state;
	struct place p = { .replace = true };
	struct new_file file;

	make_file(f, "old", "old");
	for (int i = 0; i < 2; i++) {
		for (int at_once = 0; at_once < 2; at_once++) {
			int r = place_file(&p, f->fd, "old", at_once, &file);

			assert_int_equal(r, i || at_once ? -EEXIST : 0);
			if (r == 0) {
				assert_int_equal(write(file.fd, "new", 3), 3);
				assert_int_equal(place_file_end(&p, f->fd, &file, 0), 0);
			}
		}
		assert_int_equal(place_symlink(&p, f->fd, "old", "x"), -EEXIST);
		assert_int_equal(place_symlink(&p, f->fd, "link", "x"), i ? -EEXIST : 0);
	}
	assert_text(f, "old", "new");

	assert_int_equal(place_dir(&p, f->fd, "dir", 0700), 1);
	struct stat st = stat_of(f, "dir");
	assert_int_equal(place_dir_opened(&p, st.st_dev, st.st_ino), 0);
	assert_int_equal(place_dir(&p, f->fd, "dir", 0700), 0);
	assert_int_equal(place_dir_opened(&p, st.st_dev, st.st_ino), -EEXIST);
	/* Many of them, so that the set grows. */
	for (ino_t i = 1; i <= 1000; i++)
		assert_int_equal(place_dir_opened(&p, 99, i), 0);
	for (ino_t i = 1; i <= 1000; i++)
		assert_int_equal(place_dir_opened(&p, 99, i), -EEXIST);
	place_release(&p);
}

static void b82_modes_are_masked_and_times_are_set(void **state)
{
	struct fixture *f = *state;
	struct unixfs u = { .type = UNIXFS_FILE,
			    .data = (const uint8_t *)"x",
			    .data_len = 1,
			    .filesize = 1,
			    .mode = 0xfffffffd & ~02u, /* all but one of the low bits */
			    .mtime = 1604320482,
			    .mtime_nsec = 54321,
			    .has_data = true,
			    .has_filesize = true,
			    .has_mode = true,
			    .has_mtime = true };
	struct built file = node_of(f, &u);
	u = (struct unixfs){ .type = UNIXFS_DIRECTORY,
			     .mode = 07500,
			     .mtime = -5,
			     .has_mode = true,
			     .has_mtime = true };

	/* A directory whose mode forbids to write in it, with something in it. */
	struct buf block = { 0 };
	struct built root = { 0 };
	dagpb_put_link(&block, &file.cid, "file", 4, file.tsize);
	assert_int_equal(sink_put_node(&f->memory.sink, f->profile, &block, &u, NULL, 0, &root.cid), 0);
	buf_release(&block);

	assert_int_equal(export(f, root), 0);
	struct stat st = stat_of(f, "out");
	assert_int_equal(st.st_mode & 07777, 0500);
	assert_int_equal(st.st_mtim.tv_sec, -5);
	st = stat_of(f, "out/file");
	assert_int_equal(st.st_mode & 07777, 0775);
	assert_int_equal(st.st_mtim.tv_sec, 1604320482);
	assert_int_equal(st.st_mtim.tv_nsec, 54321);
}

static void b79_depth_has_a_limit(void **state)
{
	struct fixture *f = *state;
	struct built b = text_of(f, "bottom");

	for (int i = 0; i < 1000; i++)
		b = dir_of(f, &(struct child){ "d", b }, 1);
	assert_int_equal(export(f, b), 0);
	for (int i = 0; i < 9000; i++)
		b = dir_of(f, &(struct child){ "d", b }, 1);
	snprintf(f->target, sizeof f->target, "%s/deeper", f->dir);
	assert_int_equal(export(f, b), -ELOOP);
}

static void b80_a_file_larger_than_the_disk_is_not_begun(void **state)
{
	struct fixture *f = *state;
	struct built b = text_of(f, "eight by");

	/* Nodes that link the one below four times, 28 deep: 2^59 bytes. */
	for (int i = 0; i < 28; i++) {
		const struct unixfs u = { .type = UNIXFS_FILE,
					  .filesize = 4 * b.size,
					  .has_filesize = true };
		struct buf block = { 0 };
		uint64_t sizes[4] = { b.size, b.size, b.size, b.size };

		for (int j = 0; j < 4; j++)
			dagpb_put_link(&block, &b.cid, "", 0, 1);
		assert_int_equal(
			sink_put_node(&f->memory.sink, f->profile, &block, &u, sizes, 4, &b.cid), 0);
		b.size *= 4;
		buf_release(&block);
	}
	assert_int_equal(export(f, b), -ENOSPC);
	assert_int_equal(count(f, "."), 0);
}

static void b80_a_tree_without_end_can_be_cancelled(void **state)
{
	struct fixture *f = *state;
	atomic_bool cancel = false;
	struct built b = text_of(f, "x");
	struct child c[32];
	char names[32][4];

	for (int level = 0; level < 12; level++) { /* 2^60 files */
		for (int i = 0; i < 32; i++) {
			snprintf(names[i], sizeof names[i], "%d", i);
			c[i] = (struct child){ names[i], b };
		}
		b = dir_of(f, c, 32);
	}
	f->options.cancel = &cancel;
	f->memory.cancel = &cancel;
	f->memory.cancel_after = 500;
	assert_int_equal(export(f, b), -ECANCELED);
	assert_int_equal(f->warnings, 0);
	assert_in_range(f->memory.gets, 500, 600);
}

/* Large enough to be written in several goes; no two chunks are the same. */
static uint8_t *large(size_t len)
{
	uint8_t *data = malloc(len);

	assert_non_null(data);
	for (size_t i = 0; i < len; i++)
		data[i] = (uint8_t)(i * 31 + (i >> 8) * 7 + (i >> 16) * 5);
	return data;
}

static void assert_content(int fd, const uint8_t *want, size_t len)
{
	uint8_t *data = malloc(len + 1);

	assert_non_null(data);
	assert_int_equal(pread(fd, data, len + 1, 0), len);
	assert_memory_equal(data, want, len);
	free(data);
}

static void a_broken_off_file_leaves_nothing(void **state)
{
	struct fixture *f = *state;
	const size_t len = 9 << 20;
	uint8_t *data = large(len);
	struct built file = file_of(f, data, len);
	atomic_bool cancel = false;

	for (unsigned after = 1; after < 12; after++) {
		f->memory.gets = 0;
		f->memory.missing_after = after;
		int r = export(f, file);
		assert_int_equal(r, ERR_MISSING);
		assert_int_equal(count(f, "."), 0);
	}
	f->memory.missing_after = 0;
	f->memory.gets = 0;
	f->memory.cancel = &cancel;
	f->memory.cancel_after = 7;
	f->options.cancel = &cancel;
	assert_int_equal(export(f, file), -ECANCELED);
	assert_int_equal(count(f, "."), 0);

	/* Nor takes away what was there. */
	make_file(f, "out", "old");
	f->options.overwrite = true;
	f->memory.gets = 0;
	cancel = false;
	assert_int_equal(export(f, file), -ECANCELED);
	assert_text(f, "out", "old");
	f->memory.cancel = NULL;
	cancel = false;
	assert_int_equal(export(f, file), 0);
	int fd = openat(f->fd, "out", O_RDONLY | O_CLOEXEC);
	assert_content(fd, data, len);
	close(fd);
	assert_int_equal(count(f, "."), 1);
	free(data);
}

static void the_source_is_told_of_all_that_comes(void **state)
{
	struct fixture *f = *state;
	const size_t len = 40 << 20;
	uint8_t *data = large(len);
	struct child c[200];
	char names[200][8];

	/* A file of 40 leaves: only its root is unannounced. */
	struct built root = file_of(f, data, len);
	f->memory.told[slot(&f->memory, &root.cid.hash)] = true;
	assert_int_equal(export(f, root), 0);
	assert_true(f->memory.gets > 40);
	assert_int_equal(f->memory.gets_untold, 0);
	assert_int_equal(unlinkat(f->fd, "out", 0), 0);

	for (int i = 0; i < 200; i++) {
		snprintf(names[i], sizeof names[i], "%d", i);
		c[i] = (struct child){ names[i], text_of(f, names[i]) };
	}
	root = dir_of(f, c, 200);
	f->memory.told[slot(&f->memory, &root.cid.hash)] = true;
	assert_int_equal(export(f, root), 0);
	assert_int_equal(f->memory.gets_untold, 0);
	free(data);
}

struct drain {
	int fd;
	uint8_t *data;
	size_t len, max;
};

static void *drain(void *arg)
{
	struct drain *d = arg;
	ssize_t n;

	while ((n = read(d->fd, d->data + d->len, d->max - d->len)) > 0)
		d->len += n;
	return NULL;
}

static void ranges_go_to_a_pipe(void **state)
{
	struct fixture *f = *state;
	const size_t len = 3000000;
	uint8_t *data = large(len);
	struct built file = file_of(f, data, len);
	const uint64_t ranges[][2] = {
		{ 0, UINT64_MAX }, { 0, 0 }, { 1048575, 2 }, { 2999999, 10 },
		{ len, 1 }, { 5, 2999990 }, { UINT64_MAX, UINT64_MAX }, { 7, UINT64_MAX },
	};

	for (size_t i = 0; i < sizeof ranges / sizeof *ranges; i++) {
		uint64_t from = ranges[i][0] < len ? ranges[i][0] : len;
		uint64_t n = ranges[i][1] < len - from ? ranges[i][1] : len - from;
		pthread_t thread;
		int ends[2];

		assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
		struct drain d = { ends[0], malloc(len + 1), 0, len + 1 };
		assert_int_equal(pthread_create(&thread, NULL, drain, &d), 0);
		assert_int_equal(export_file(&f->memory.source, &file.cid, ranges[i][0],
					     ranges[i][1], ends[1], &f->options),
				 0);
		close(ends[1]);
		pthread_join(thread, NULL);
		close(ends[0]);
		assert_int_equal(d.len, n);
		assert_memory_equal(d.data, data + from, n);
		free(d.data);
	}
	struct built dir = dir_of(f, NULL, 0);
	assert_int_equal(export_file(&f->memory.source, &dir.cid, 0, 1, f->fd, &f->options),
			 -EISDIR);
	free(data);
}

static void a_missing_root_is_an_error(void **state)
{
	struct fixture *f = *state;
	struct built b = { 0 };

	cid_of(&b.cid, 1, CODEC_RAW, "nobody has this", 15);
	assert_int_equal(export(f, b), ERR_MISSING);
	assert_int_equal(f->last_error, ERR_MISSING);
	cid_of(&b.cid, 1, CODEC_DAG_CBOR, "\xa0", 1);
	assert_true(export(f, b) < 0);
	snprintf(f->target, sizeof f->target, "%s/no/such", f->dir);
	assert_int_equal(export(f, text_of(f, "x")), -ENOENT);
	snprintf(f->target, sizeof f->target, "%s/.", f->dir);
	assert_int_equal(export(f, text_of(f, "x")), -EEXIST);
	assert_int_equal(count(f, "."), 0);
}

/* Some thousand small files among directories with modes and times, symlinks and
 * long files: all threads have something to do, and nothing comes out otherwise. */
static void many_files_come_out_as_they_are(void **state)
{
	enum { DIRS = 40, FILES = 60, LONG = 20 << 20 };
	struct fixture *f = *state;
	struct unixfs u = { .type = UNIXFS_DIRECTORY,
			    .mode = 0500,
			    .mtime = 1000000,
			    .has_mode = true,
			    .has_mtime = true };
	struct export_progress progress = { 0 };
	uint8_t *data = large(LONG);
	struct child dirs[DIRS + 2];
	char names[DIRS][8], path[64], text[32];

	for (int i = 0; i < DIRS; i++) {
		struct buf block = { 0 };
		struct built b = { 0 };

		for (int j = 0; j < FILES; j++) {
			snprintf(path, sizeof path, "%d", j);
			snprintf(text, sizeof text, "%d in %d", j, i);
			b = j ? text_of(f, text) : link_to(f, text);
			dagpb_put_link(&block, &b.cid, path, strlen(path), b.tsize);
		}
		assert_int_equal(sink_put_node(&f->memory.sink, f->profile, &block, &u, NULL, 0, &b.cid), 0);
		buf_release(&block);
		snprintf(names[i], sizeof names[i], "d%d", i);
		dirs[i] = (struct child){ names[i], b };
	}
	dirs[DIRS] = (struct child){ "long", file_of(f, data, LONG) };
	dirs[DIRS + 1] = (struct child){ "longer", file_of(f, data + 1, LONG - 1) };
	f->options.progress = &progress;
	assert_int_equal(export(f, dir_of(f, dirs, DIRS + 2)), 0);
	assert_int_equal(progress.files, DIRS * (FILES - 1) + 2);
	for (int i = 0; i < DIRS; i++) {
		snprintf(path, sizeof path, "out/d%d", i);
		struct stat st = stat_of(f, path);
		assert_int_equal(st.st_mode & 07777, 0500);
		assert_int_equal(st.st_mtim.tv_sec, 1000000);
		for (int j = 0; j < FILES; j++) {
			snprintf(path, sizeof path, "out/d%d/%d", i, j);
			snprintf(text, sizeof text, "%d in %d", j, i);
			if (j)
				assert_text(f, path, text);
			else
				assert_link(f, path, text);
		}
	}
	for (int i = 0; i < 2; i++) {
		int fd = openat(f->fd, i ? "out/longer" : "out/long", O_RDONLY | O_CLOEXEC);

		assert_content(fd, data + i, LONG - i);
		close(fd);
	}
	assert_int_equal(count(f, "out"), DIRS + 2);
	free(data);
}

/* Of many that fail at once, one is told of, by its path. */
static void the_first_error_is_told_with_its_path(void **state)
{
	struct fixture *f = *state;
	struct built gone = { 0 };
	struct child c[100];
	char names[100][8];

	cid_of(&gone.cid, 1, CODEC_RAW, "nobody has this", 15);
	for (int i = 0; i < 100; i++) {
		snprintf(names[i], sizeof names[i], "%d", i);
		c[i] = (struct child){ names[i], gone };
	}
	struct built sub = dir_of(f, c, 100);
	sub = dir_of(f, &(struct child){ "in", sub }, 1);
	assert_int_equal(export(f, sub), ERR_MISSING);
	assert_int_equal(f->warnings, 1);
	assert_int_equal(f->last_error, ERR_MISSING);
	assert_int_equal(strncmp(f->last_path, f->target, strlen(f->target)), 0);
	int n = -1, end = 0;
	assert_int_equal(sscanf(f->last_path + strlen(f->target), "/in/%d%n", &n, &end), 1);
	assert_in_range(n, 0, 99);
	assert_int_equal(f->last_path[strlen(f->target) + end], '\0');
	assert_int_equal(count(f, "out/in"), 0);
}

#define TEST(name) \
	cmocka_unit_test_setup_teardown(name, set_up, tear_down), \
	{ #name ", by threads", name, set_up_threads, tear_down, NULL }

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(the_target_is_the_thing_itself),
		TEST(a_tree_comes_out_as_it_is),
		TEST(what_is_there_is_kept_unless_asked),
		TEST(b76_names_that_no_file_can_have_are_left_out),
		TEST(b79_depth_has_a_limit),
		TEST(b80_a_file_larger_than_the_disk_is_not_begun),
		TEST(b80_a_tree_without_end_can_be_cancelled),
		TEST(b82_modes_are_masked_and_times_are_set),
		TEST(b83_nothing_is_written_through_a_symlink),
		TEST(b83_links_are_made_when_all_else_is_there),
		TEST(b83_a_link_with_a_nul_is_refused),
		TEST(b84_what_we_made_is_not_replaced),
		TEST(a_broken_off_file_leaves_nothing),
		TEST(the_source_is_told_of_all_that_comes),
		TEST(ranges_go_to_a_pipe),
		TEST(a_missing_root_is_an_error),
		TEST(many_files_come_out_as_they_are),
		TEST(the_first_error_is_told_with_its_path),
	};
	return cmocka_run_group_tests_name("export", tests, NULL, NULL);
}
