/*
 * What stays and what goes: pins, the cache log's quota, and gcs beside those who
 * write and read.
 */
#include "store/dag.h"
#include "store/dagpb.h"
#include "store/error.h"
#include "store/gc.h"
#include "store/import.h"
#include "store/import_pipe.h"
#include "store/log.h"
#include "store/measure.h"
#include "store/store_internal.h"
#include "tests/scratch.h"

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sys/wait.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#define MIB (1u << 20)

struct fixture {
	char dir[SCRATCH_MAX], store_dir[SCRATCH_MAX + 16], pins_dir[SCRATCH_MAX + 16],
		seen_dir[SCRATCH_MAX + 16], tree[SCRATCH_MAX + 16];
	struct store *store;
	struct pins *pins;
	struct seen *seen;
	struct gc_result result;
	atomic_bool stop;
};

static void open_with(struct fixture *f, uint64_t quota)
{
	const struct store_config cfg = { .cache_quota = quota };

	assert_int_equal(store_open(&f->store, f->store_dir, STORE_WRITE | STORE_CREATE, &cfg), 0);
}

static void reopen(struct fixture *f, uint64_t quota)
{
	assert_int_equal(store_close(f->store), 0);
	open_with(f, quota);
}

static int set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof *f);

	scratch_make(f->dir);
	snprintf(f->store_dir, sizeof f->store_dir, "%s/store", f->dir);
	snprintf(f->pins_dir, sizeof f->pins_dir, "%s/pins", f->dir);
	snprintf(f->seen_dir, sizeof f->seen_dir, "%s/seen", f->dir);
	snprintf(f->tree, sizeof f->tree, "%s/tree", f->dir);
	assert_int_equal(mkdir(f->store_dir, 0700) | mkdir(f->pins_dir, 0700) |
				 mkdir(f->seen_dir, 0700) | mkdir(f->tree, 0700),
			 0);
	open_with(f, 0);
	assert_int_equal(pins_create(&f->pins, f->pins_dir), 0);
	assert_int_equal(seen_open(&f->seen, f->seen_dir), 0);
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;

	seen_close(f->seen);
	pins_close(f->pins);
	store_close(f->store);
	scratch_remove(f->dir);
	free(f);
	return 0;
}

/* A file of chance in the tree that is imported. */
static void write_file(struct fixture *f, const char *name, uint64_t seed, size_t len)
{
	uint8_t *data = malloc(len + 8);

	for (size_t i = 0; i < len; i += 8) {
		uint64_t v = scratch_random(&seed);
		memcpy(data + i, &v, 8);
	}
	assert_int_equal(scratch_write(f->tree, name, data, len), 0);
	free(data);
}

static struct import_options options_of(struct fixture *f)
{
	return (struct import_options){ .profile = profile_find("unixfs-v1-2025"),
					.seen = f->seen,
					.jobs = 2 };
}

static int import(struct fixture *f, struct cid *root)
{
	struct import_options o = options_of(f);
	struct import_result result;
	int r = import_path(f->store, f->tree, &o, &result);

	*root = result.root;
	return r;
}

/* The first file of an imported folder counts as seen, as if it had lain there for long;
 * its root. */
static struct cid see_first(struct fixture *f, const struct cid *root, const char *name)
{
	struct import_options o = options_of(f);
	char path[SCRATCH_MAX + 64];
	struct dagpb_node node;
	struct dagpb_link link;
	struct block *b = NULL;
	struct stat st;
	struct cid cid;

	snprintf(path, sizeof path, "%s/%s", f->tree, name);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(store_get(f->store, &root->hash, &b), 0);
	assert_int_equal(dagpb_decode(&node, b->data, b->size), 0);
	assert_int_equal(dagpb_next(&node.links, &link), 1);
	assert_memory_equal(link.name, name, link.name_len);
	assert_int_equal(dagpb_link_cid(&link, &cid), 0);
	seen_note(f->seen, import_fingerprint(&o), &st, st.st_ctim.tv_sec + 100, &cid, link.tsize);
	seen_flush(f->seen);
	block_unref(b);
	return cid;
}

static int gc(struct fixture *f)
{
	struct gc_options o = { .pins = f->pins, .seen = f->seen };

	return store_gc(f->store, &o, &f->result);
}

struct walk {
	struct store *store;
	struct cid stack[512];
	size_t n;
};

static int on_child(void *arg, const struct cid *child)
{
	struct walk *w = arg;

	if (w->n == 512)
		return -ENOBUFS;
	w->stack[w->n++] = *child;
	return 0;
}

/* 0 if every block of the tree is in the keep log, and right. */
static int whole(struct fixture *f, const struct cid *root)
{
	struct walk w = { .store = f->store, .stack = { *root }, .n = 1 };
	int r = 0;

	while (r == 0 && w.n) {
		struct cid cid = w.stack[--w.n];
		struct block *b = NULL;

		if (!store_keeps(f->store, &cid.hash, NULL))
			return ERR_MISSING;
		r = store_get(f->store, &cid.hash, &b);
		if (r == 0)
			r = multihash_check(&cid.hash, b->data, b->size);
		if (r == 0)
			r = dag_links(&cid, b, on_child, &w);
		block_unref(b);
	}
	return r;
}

static int check_block(void *arg, const struct multihash *name, size_t len)
{
	return store_check(arg, name);
}

static uint64_t disk(struct fixture *f)
{
	struct store_stat st;
	uint32_t *numbers;
	uint64_t bytes;
	size_t n;

	store_stat(f->store, &st);
	assert_int_equal(segments_list(&f->store->segments, &numbers, &n, &bytes), 0);
	free(numbers);
	/* What is accounted for is what is there. */
	assert_int_equal(f->store->segment_bytes, bytes);
	return bytes;
}

/* ---- pins ---- */

static struct cid cid_number(uint32_t n, uint32_t codec)
{
	struct cid c;

	cid_of(&c, 1, codec, &n, sizeof n);
	return c;
}

static int count_pin(void *arg, const struct pin *pin)
{
	++*(int *)arg;
	return 0;
}

static int same_pin(void *arg, const struct pin *pin)
{
	const struct pin *want = arg;

	return cid_equal(&pin->cid, &want->cid) && pin->mode == want->mode &&
	       !strcmp(pin->name, want->name);
}

static void pins_are_there_after_reopening_under_all_their_names(void **state)
{
	struct fixture *f = *state;
	struct cid a = cid_number(1, CODEC_RAW), b = cid_number(1, CODEC_DAG_PB);
	struct pin want = { .cid = a, .mode = PIN_DIRECT, .name = "snapshot 1" };
	int n = 0;

	assert_int_equal(pins_add(f->pins, &a, PIN_RECURSIVE, ""), 0);
	assert_int_equal(pins_add(f->pins, &a, PIN_RECURSIVE, "snapshot 1"), 0);
	assert_int_equal(pins_add(f->pins, &a, PIN_DIRECT, "snapshot 1"), 0);
	assert_int_equal(pins_add(f->pins, &b, PIN_RECURSIVE, "other codec"), 0);
	pins_close(f->pins);
	assert_int_equal(pins_open(&f->pins, f->pins_dir, true), 0);
	assert_int_equal(pins_each(f->pins, count_pin, &n), 0);
	assert_int_equal(n, 3);
	assert_int_equal(pins_each(f->pins, same_pin, &want), 1);
	assert_int_equal(pins_has(f->pins, &a), 1);
	assert_int_equal(pins_remove(f->pins, &a, "no such name"), 0);
	assert_int_equal(pins_remove(f->pins, &a, "snapshot 1"), 1);
	assert_int_equal(pins_has(f->pins, &a), 1);
	assert_int_equal(pins_remove(f->pins, &a, NULL), 1);
	assert_int_equal(pins_has(f->pins, &a), 0);
	assert_int_equal(pins_has(f->pins, &b), 1);
}

static void strange_names_of_pins_are_refused(void **state)
{
	struct fixture *f = *state;
	struct cid a = cid_number(1, CODEC_RAW);
	char name[PIN_NAME_MAX + 2];

	memset(name, 'x', sizeof name);
	name[PIN_NAME_MAX + 1] = 0;
	assert_int_equal(pins_add(f->pins, &a, PIN_RECURSIVE, name), -ENAMETOOLONG);
	name[PIN_NAME_MAX] = 0;
	assert_int_equal(pins_add(f->pins, &a, PIN_RECURSIVE, name), 0);
	assert_int_equal(pins_add(f->pins, &a, PIN_RECURSIVE, "a\nb"), -EINVAL);
}

static void a_lost_table_of_pins_is_not_taken_for_an_empty_one(void **state)
{
	struct fixture *f = *state;
	struct pins *p = NULL;
	char path[SCRATCH_MAX + 32];

	snprintf(path, sizeof path, "%s/data.mdb", f->pins_dir);
	pins_close(f->pins);
	f->pins = NULL;
	assert_int_equal(truncate(path, 0), 0);
	assert_int_equal(pins_open(&p, f->pins_dir, true), ERR_CORRUPT);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(pins_open(&p, f->pins_dir, true), ERR_CORRUPT);
	assert_int_equal(pins_open(&p, f->pins_dir, false), ERR_CORRUPT);
	snprintf(path, sizeof path, "%s/none", f->dir);
	assert_int_equal(pins_open(&p, path, true), -ENOENT);
}

static void a_damaged_pin_stops_a_gc(void **state)
{
	struct fixture *f = *state;
	char path[SCRATCH_MAX + 32];
	struct cid root;
	size_t len = 0;

	write_file(f, "a", 1, 100000);
	assert_int_equal(import(f, &root), 0);
	assert_int_equal(pins_add(f->pins, &root, PIN_RECURSIVE, "needle"), 0);
	pins_close(f->pins);
	f->pins = NULL;
	snprintf(path, sizeof path, "%s/data.mdb", f->pins_dir);
	uint8_t *data = scratch_read(f->pins_dir, "data.mdb", &len);
	for (uint8_t *p = data; (p = memmem(p, len - (size_t)(p - data), "needle", 6)); p++)
		*p = 'N';
	assert_int_equal(scratch_write(f->pins_dir, "data.mdb", data, len), 0);
	free(data);
	assert_int_equal(pins_open(&f->pins, f->pins_dir, true), 0);
	assert_int_equal(gc(f), ERR_CORRUPT);
	assert_int_equal(whole(f, &root), 0);
}

/* ---- gc ---- */

static void what_is_pinned_stays_and_the_rest_goes(void **state)
{
	struct fixture *f = *state;
	struct cid kept, gone;
	struct store_stat st;

	write_file(f, "shared", 1, 3 * MIB);
	write_file(f, "changing", 2, 2 * MIB);
	assert_int_equal(import(f, &kept), 0);
	assert_int_equal(pins_add(f->pins, &kept, PIN_RECURSIVE, ""), 0);
	write_file(f, "changing", 3, 2 * MIB);
	write_file(f, "more", 4, 4 * MIB);
	assert_int_equal(import(f, &gone), 0);
	uint64_t before = disk(f);
	assert_int_equal(gc(f), 0);
	assert_true(f->result.dropped >= 6 && f->result.pieces >= 60);
	assert_true(before - disk(f) >= 5 * MIB);
	/* But for the header of the file it was moved to, and what small blocks take in
	 * another bundle. */
	assert_in_range(f->result.freed + 1024 - (before - disk(f)), 0, 2048);
	assert_int_equal(whole(f, &kept), 0);
	assert_int_equal(whole(f, &gone), ERR_MISSING);
	store_stat(f->store, &st);
	assert_int_equal(st.blocks, f->result.kept);
	assert_int_equal(st.corrupt, 0);
	/* Nothing is left to do, and nothing is done. */
	uint64_t settled = disk(f);
	assert_int_equal(gc(f), 0);
	assert_int_equal(f->result.dropped + f->result.pieces + f->result.files, 0);
	assert_int_equal(disk(f), settled);
	reopen(f, 0);
	assert_int_equal(whole(f, &kept), 0);
	/* The segments alone say the same. */
	uint64_t damaged = 1;
	assert_int_equal(store_close(f->store), 0);
	assert_int_equal(store_rebuild(f->store_dir, NULL, &damaged), 0);
	assert_int_equal(damaged, 0);
	open_with(f, 0);
	assert_int_equal(whole(f, &kept), 0);
	assert_int_equal(store_each(f->store, check_block, f->store), 0);
}

/* Small files lie in bundles: neighbours that stay move on together. */
static void of_a_bundle_only_what_is_alive_moves(void **state)
{
	struct fixture *f = *state;
	struct cid kept, gone;
	uint64_t damaged = 1;
	char name[32];

	for (unsigned i = 0; i < 300; i++) {
		snprintf(name, sizeof name, "f%03u", i);
		write_file(f, name, 1000 + i, 500 + i * 37 % 5000);
	}
	assert_int_equal(import(f, &gone), 0);
	for (unsigned i = 0; i < 300; i++) {
		snprintf(name, sizeof name, "f%03u", i);
		if (i % 4)
			write_file(f, name, 5000 + i, 300);
	}
	assert_int_equal(import(f, &kept), 0);
	assert_int_equal(pins_add(f->pins, &kept, PIN_RECURSIVE, ""), 0);
	uint64_t before = disk(f);
	assert_int_equal(gc(f), 0);
	assert_true(f->result.files >= 1);
	assert_true(f->result.dropped >= 225);
	/* Most of three quarters of 0.9 MB. */
	assert_true(before - disk(f) >= MIB / 2);
	assert_int_equal(whole(f, &kept), 0);
	assert_int_equal(whole(f, &gone), ERR_MISSING);
	uint64_t settled = disk(f);
	assert_int_equal(gc(f), 0);
	assert_int_equal(f->result.dropped + f->result.files, 0);
	assert_int_equal(disk(f), settled);
	assert_int_equal(store_close(f->store), 0);
	assert_int_equal(store_rebuild(f->store_dir, NULL, &damaged), 0);
	assert_int_equal(damaged, 0);
	open_with(f, 0);
	assert_int_equal(whole(f, &kept), 0);
	assert_int_equal(store_each(f->store, check_block, f->store), 0);
}

static void a_dry_run_says_what_would_go_and_changes_nothing(void **state)
{
	struct fixture *f = *state;
	struct gc_options o = { .pins = f->pins, .seen = f->seen, .dry_run = true };
	struct gc_result said;
	struct cid root;

	write_file(f, "a", 1, 3 * MIB);
	assert_int_equal(import(f, &root), 0);
	uint64_t before = disk(f);
	assert_int_equal(store_gc(f->store, &o, &said), 0);
	assert_int_equal(disk(f), before);
	assert_int_equal(whole(f, &root), 0);
	assert_int_equal(gc(f), 0);
	assert_int_equal(said.dropped, f->result.dropped);
	assert_int_equal(said.dropped_bytes, f->result.dropped_bytes);
	assert_int_equal(said.pieces, f->result.pieces);
	assert_true(said.freed > 2900000 && said.freed <= f->result.freed);
	assert_int_equal(whole(f, &root), ERR_MISSING);
}

static void a_direct_pin_keeps_one_block(void **state)
{
	struct fixture *f = *state;
	struct cid root;

	write_file(f, "a", 1, 3 * MIB);
	assert_int_equal(import(f, &root), 0);
	assert_int_equal(pins_add(f->pins, &root, PIN_DIRECT, ""), 0);
	assert_int_equal(gc(f), 0);
	assert_int_equal(f->result.kept, 1);
	assert_int_equal(store_keeps(f->store, &root.hash, NULL), 1);
}

static void a_pinned_tree_that_lacks_a_node_stops_a_gc_before_anything_goes(void **state)
{
	struct fixture *f = *state;
	struct record_name key;
	struct place at;
	struct cid root, other;

	write_file(f, "a", 1, 3 * MIB);
	assert_int_equal(import(f, &root), 0);
	assert_int_equal(pins_add(f->pins, &root, PIN_RECURSIVE, ""), 0);
	write_file(f, "b", 2, MIB);
	assert_int_equal(import(f, &other), 0);
	record_name(&key, &root.hash, f->store->seed);
	assert_int_equal(store_find(f->store, &key, &at), 1);
	store_drop(f->store, &key, &at);
	assert_int_equal(gc(f), ERR_MISSING);
	assert_true(cid_equal(&f->result.missing, &root));
	assert_int_equal(whole(f, &other), 0);
}

struct tree_root {
	struct gc_roots roots;
	struct cid cid;
};

static int give_root(struct gc_roots *self, struct gc_mark *m)
{
	return gc_live(m, &((struct tree_root *)self)->cid);
}

static void what_a_provider_of_roots_names_stays(void **state)
{
	struct fixture *f = *state;
	struct tree_root t = { .roots.each = give_root };

	write_file(f, "a", 1, 3 * MIB);
	assert_int_equal(import(f, &t.cid), 0);
	gc_roots_add(f->store, &t.roots);
	assert_int_equal(gc(f), 0);
	assert_int_equal(f->result.dropped, 0);
	assert_int_equal(whole(f, &t.cid), 0);
	gc_roots_remove(f->store, &t.roots);
	assert_int_equal(gc(f), 0);
	assert_int_equal(whole(f, &t.cid), ERR_MISSING);
}

/* Roots that appear when they are asked for last are asked for again. */
struct late_root {
	struct tree_root tree;
	struct store *store;
	int asked;
};

static int give_late(struct gc_roots *self, struct gc_mark *m)
{
	struct late_root *l = (struct late_root *)self;

	if (l->asked++)
		return gc_live(m, &l->tree.cid);
	gc_roots_changed(l->store);
	return 0;
}

static void a_root_that_appears_during_a_gc_stays(void **state)
{
	struct fixture *f = *state;
	struct late_root l = { .tree.roots.each = give_late, .store = f->store };

	write_file(f, "a", 1, 3 * MIB);
	assert_int_equal(import(f, &l.tree.cid), 0);
	gc_roots_add(f->store, &l.tree.roots);
	assert_int_equal(gc(f), 0);
	assert_true(l.asked >= 2);
	assert_int_equal(whole(f, &l.tree.cid), 0);
	gc_roots_remove(f->store, &l.tree.roots);
}

/* A holder that adds while a gc asks for roots: it must not count on what it saw long
 * ago, since a gc does not know of it any more. */
struct adding_root {
	struct gc_roots roots;
	struct fixture *fixture;
	struct cid root;
	int r;
};

static int add_now(struct gc_roots *self, struct gc_mark *m)
{
	struct adding_root *a = (struct adding_root *)self;

	a->r = import(a->fixture, &a->root);
	return 0;
}

static void what_is_added_while_a_gc_marks_stays(void **state)
{
	struct fixture *f = *state;
	struct adding_root a = { .roots.each = add_now, .fixture = f };
	struct cid root;

	write_file(f, "a", 1, 3 * MIB);
	assert_int_equal(import(f, &root), 0);
	see_first(f, &root, "a");
	assert_int_equal(store_hold(f->store), 0);
	gc_roots_add(f->store, &a.roots);
	assert_int_equal(gc(f), 0);
	gc_roots_remove(f->store, &a.roots);
	assert_int_equal(a.r, 0);
	assert_int_equal(whole(f, &a.root), 0);
	store_unhold(f->store);
}

static void what_a_holder_put_or_found_stays_until_it_lets_go(void **state)
{
	struct fixture *f = *state;
	struct cid old, root;

	/* An old tree that nobody needs; a part of it is found by the holder, unread. */
	write_file(f, "a", 1, 3 * MIB);
	assert_int_equal(import(f, &old), 0);
	see_first(f, &old, "a");
	write_file(f, "b", 2, 2 * MIB);
	assert_int_equal(store_hold(f->store), 0);
	assert_int_equal(import(f, &root), 0);
	assert_int_equal(gc(f), 0);
	assert_int_equal(whole(f, &root), 0);
	assert_int_equal(store_keeps(f->store, &old.hash, NULL), 0);
	assert_int_equal(pins_add(f->pins, &root, PIN_RECURSIVE, ""), 0);
	store_unhold(f->store);
	assert_int_equal(gc(f), 0);
	assert_int_equal(whole(f, &root), 0);
	assert_int_equal(pins_remove(f->pins, &root, NULL), 1);
	assert_int_equal(gc(f), 0);
	assert_int_equal(f->result.kept, 0);
}

static void a_file_seen_before_is_read_again_when_its_blocks_are_gone(void **state)
{
	struct fixture *f = *state;
	struct cid root, again;

	write_file(f, "a", 1, 3 * MIB);
	assert_int_equal(import(f, &root), 0);
	see_first(f, &root, "a");
	assert_int_equal(gc(f), 0);
	assert_int_equal(f->result.kept, 0);
	assert_int_equal(import(f, &again), 0);
	assert_true(cid_equal(&root, &again));
	assert_int_equal(whole(f, &again), 0);
}

static void a_file_of_which_only_the_root_is_left_is_read_again(void **state)
{
	struct fixture *f = *state;
	struct cid root, file;

	write_file(f, "a", 1, 3 * MIB);
	assert_int_equal(import(f, &root), 0);
	file = see_first(f, &root, "a");
	assert_int_equal(pins_add(f->pins, &file, PIN_DIRECT, ""), 0);
	assert_int_equal(gc(f), 0);
	assert_int_equal(f->result.kept, 1);
	assert_int_equal(store_keeps(f->store, &file.hash, NULL), 1);
	assert_int_equal(import(f, &root), 0);
	assert_int_equal(whole(f, &root), 0);
}

static void a_cancelled_gc_drops_nothing_that_is_needed(void **state)
{
	struct fixture *f = *state;
	atomic_bool cancel = true;
	struct gc_options o = { .pins = f->pins, .seen = f->seen, .cancel = &cancel };
	struct cid root;

	write_file(f, "a", 1, 3 * MIB);
	assert_int_equal(import(f, &root), 0);
	assert_int_equal(pins_add(f->pins, &root, PIN_RECURSIVE, ""), 0);
	assert_int_equal(store_gc(f->store, &o, &f->result), -ECANCELED);
	assert_int_equal(whole(f, &root), 0);
	assert_int_equal(gc(f), 0);
	assert_int_equal(whole(f, &root), 0);
}

static void damage_in_a_file_keeps_it_from_being_removed(void **state)
{
	struct fixture *f = *state;
	struct cid kept, gone;
	struct record_name key;
	struct segment *g = NULL;
	struct place at;
	uint8_t byte = 0x55;

	write_file(f, "a", 1, 100000);
	assert_int_equal(import(f, &kept), 0);
	assert_int_equal(pins_add(f->pins, &kept, PIN_RECURSIVE, ""), 0);
	write_file(f, "b", 2, 6 * MIB);
	assert_int_equal(import(f, &gone), 0);
	record_name(&key, &kept.hash, f->store->seed);
	assert_int_equal(store_find(f->store, &key, &at), 1);
	/* A piece of the tree, which a gc does not read while it marks. */
	assert_int_equal(segment_open(&f->store->segments, at.segment, &g), 0);
	assert_int_equal(pwrite(g->fd, &byte, 1, SEGMENT_HEADER + RECORD_HEADER + 600), 1);
	segment_unref(g);
	assert_int_equal(gc(f), 0);
	assert_int_equal(f->result.damaged, 1);
	assert_int_equal(access(f->store_dir, F_OK), 0);
	/* The rest of the tree is where it was, or has moved. */
	assert_int_equal(store_keeps(f->store, &kept.hash, NULL), 1);
}

static void *import_on_and_on(void *arg)
{
	struct fixture *f = arg;
	struct cid root, before = { .version = 0xff };
	long failed = 0;

	for (int i = 0; i < 12; i++) {
		failed += store_hold(f->store) < 0;
		write_file(f, "changing", 100 + (uint64_t)i, MIB);
		write_file(f, "twice", 200 + (uint64_t)i / 2, MIB + 3);
		failed += import(f, &root) < 0;
		failed += pins_add(f->pins, &root, PIN_RECURSIVE, "newest") < 0;
		store_unhold(f->store);
		if (before.version != 0xff && !cid_equal(&root, &before))
			failed += pins_remove(f->pins, &before, NULL) != 1;
		failed += whole(f, &root) != 0;
		before = root;
	}
	f->stop = true;
	return (void *)failed;
}

/*
 * Another process that reads, since one process has a store open once.  It begins when
 * told to, calls look() until told to stop, and ends with 0 if nothing was wrong.
 */
struct other {
	pid_t pid;
	int go;
};

static _Noreturn void read_until_told(struct fixture *f, int told, int (*look)(struct store *, uint64_t *))
{
	struct store *reader = NULL;
	struct store_stat st;
	uint64_t random = 5;
	struct pollfd end = { .fd = told, .events = POLLIN };
	char c;

	if (read(told, &c, 1) != 1 || store_open(&reader, f->store_dir, 0, NULL) < 0)
		_exit(1);
	while (poll(&end, 1, 0) == 0)
		if (look(reader, &random) < 0)
			_exit(2);
	store_stat(reader, &st);
	_exit(st.corrupt ? 3 : 0);
}

/* Before the store is opened, whose threads and locks a child would not have. */
static struct other other_new(struct fixture *f, uint64_t quota,
			      int (*look)(struct store *, uint64_t *))
{
	struct other o;
	int ends[2];

	assert_int_equal(store_close(f->store), 0);
	assert_int_equal(pipe(ends), 0);
	o.pid = fork();
	assert_true(o.pid >= 0);
	if (!o.pid) {
		close(ends[1]);
		read_until_told(f, ends[0], look);
	}
	close(ends[0]);
	o.go = ends[1];
	open_with(f, quota);
	return o;
}

static void other_go(struct other *o)
{
	assert_int_equal(write(o->go, "", 1), 1);
}

static int other_end(struct other *o)
{
	int status;

	close(o->go);
	assert_int_equal(waitpid(o->pid, &status, 0), o->pid);
	return status;
}

static int read_pinned(struct store *s, uint64_t *random)
{
	for (uint32_t i = 0; i < 60; i++) {
		struct multihash name;
		struct block *b = NULL;
		uint8_t data[4096];

		memset(data, (int)i, sizeof data);
		multihash_sha256(&name, data, sizeof data);
		if (store_get(s, &name, &b) < 0 || memcmp(b->data, data, sizeof data))
			return -1;
		block_unref(b);
	}
	return 0;
}

static void *read_on_and_on(void *arg)
{
	struct fixture *f = arg;
	long wrong = 0;

	while (!f->stop)
		wrong += read_pinned(f->store, NULL) < 0;
	return (void *)wrong;
}

static void gcs_beside_adds_and_readers_take_nothing_from_them(void **state)
{
	struct fixture *f = *state;
	struct other other = other_new(f, 0, read_pinned);
	pthread_t writer, reader;
	struct store_stat st;
	void *wrong;
	int rounds = 0;

	write_file(f, "stable", 7, 2 * MIB);
	/* What the readers read is pinned, block by block, and moves all the time. */
	for (uint32_t i = 0; i < 60; i++) {
		uint8_t data[4096];
		struct cid c;

		memset(data, (int)i, sizeof data);
		cid_of(&c, 1, CODEC_RAW, data, sizeof data);
		assert_int_equal(store_put_bytes(f->store, &c.hash, data, sizeof data), 0);
		assert_int_equal(pins_add(f->pins, &c, PIN_DIRECT, ""), 0);
	}
	assert_int_equal(store_sync(f->store), 0);
	other_go(&other);
	assert_int_equal(pthread_create(&reader, NULL, read_on_and_on, f), 0);
	assert_int_equal(pthread_create(&writer, NULL, import_on_and_on, f), 0);
	while (!f->stop) {
		struct gc_options o = { .pins = f->pins, .seen = f->seen, .dead = 1 };
		assert_int_equal(store_gc(f->store, &o, &f->result), 0);
		rounds++;
	}
	pthread_join(writer, &wrong);
	assert_ptr_equal(wrong, NULL);
	pthread_join(reader, &wrong);
	assert_ptr_equal(wrong, NULL);
	assert_int_equal(other_end(&other), 0);
	assert_true(rounds > 3);
	store_stat(f->store, &st);
	assert_int_equal(st.corrupt, 0);
	assert_int_equal(store_each(f->store, check_block, f->store), 0);
	assert_int_equal(gc(f), 0);
	/* Garbage does not stay: 2 MiB, 1 MiB, 1 MiB, and the small ones. */
	assert_in_range(f->result.kept, 65, 80);
}

/* ---- the cache log ---- */

static struct block *block_number(uint32_t n, size_t len)
{
	struct multihash name;
	struct block *b = NULL;
	uint64_t seed = n;
	uint8_t *data = malloc(len + 8);

	for (size_t i = 0; i < len; i += 8) {
		uint64_t v = scratch_random(&seed);
		memcpy(data + i, &v, 8);
	}
	multihash_sha256(&name, data, len);
	assert_int_equal(block_verify(&b, &name, data, len), 0);
	free(data);
	return b;
}

static int fetch(struct fixture *f, uint32_t n, size_t len)
{
	struct block *b = block_number(n, len);
	int r = store_put_cached(f->store, b);

	block_unref(b);
	return r;
}

/* 0 and the right bytes, or an error. */
static int look(struct store *s, uint32_t n, size_t len)
{
	struct block *b = block_number(n, len), *got = NULL;
	int r = store_get(s, &b->name, &got);

	if (r == 0 && (got->size != len || memcmp(got->data, b->data, len)))
		r = ERR_CORRUPT;
	block_unref(got);
	block_unref(b);
	return r;
}

static void fetched_blocks_are_found_again_after_reopening(void **state)
{
	struct fixture *f = *state;
	struct block *b = block_number(3, 300000);

	for (uint32_t i = 0; i < 10; i++)
		assert_int_equal(fetch(f, i, 300000), 0);
	reopen(f, 0);
	for (uint32_t i = 0; i < 10; i++)
		assert_int_equal(look(f->store, i, 300000), 0);
	assert_int_equal(store_has(f->store, &b->name, NULL), 1);
	assert_int_equal(store_keeps(f->store, &b->name, NULL), 0);
	/* Kept, it is stored again: the keep log needs nothing of the cache log. */
	assert_int_equal(store_keep(f->store, &b->name), 0);
	assert_int_equal(store_keeps(f->store, &b->name, NULL), 1);
	assert_int_equal(store_sync(f->store), 0);
	uint64_t damaged = 1;
	assert_int_equal(store_close(f->store), 0);
	assert_int_equal(store_rebuild(f->store_dir, NULL, &damaged), 0);
	assert_int_equal(damaged, 0);
	open_with(f, 0);
	assert_int_equal(store_keeps(f->store, &b->name, NULL), 1);
	for (uint32_t i = 0; i < 10; i++)
		assert_int_equal(look(f->store, i, 300000), 0);
	block_unref(b);
}

static void a_torn_cache_log_is_cut_and_goes_on(void **state)
{
	struct fixture *f = *state;
	struct segment *g = NULL;
	uint64_t end;

	assert_int_equal(fetch(f, 1, 100000), 0);
	assert_int_equal(store_sync(f->store), 0);
	assert_int_equal(segment_open(&f->store->segments,
				      f->store->logs[LOG_CACHE].active->number, &g),
			 0);
	end = segment_bytes(g);
	assert_int_equal(store_close(f->store), 0);
	assert_int_equal(pwrite(g->fd, "CRECgarbage", 11, (off_t)end), 11);
	open_with(f, 0);
	assert_int_equal(segment_bytes(g), end);
	segment_unref(g);
	assert_int_equal(look(f->store, 1, 100000), 0);
	assert_int_equal(fetch(f, 2, 100000), 0);
	assert_int_equal(look(f->store, 2, 100000), 0);
}

static void the_cache_stays_within_its_quota(void **state)
{
	struct fixture *f = *state;
	const uint64_t quota = CACHE_QUOTA_MIN;
	struct store_stat st;
	unsigned here = 0;

	reopen(f, quota);
	for (uint32_t i = 0; i < 400; i++) {
		assert_int_equal(fetch(f, i, 250000), 0);
		assert_int_equal(look(f->store, i, 250000), 0);
		assert_true(disk(f) <= quota + store_cache_segment(f->store));
		store_stat(f->store, &st);
		assert_int_equal(st.cache_disk, disk(f));
	}
	assert_int_equal(store_sync(f->store), 0);
	store_stat(f->store, &st);
	assert_true(st.evicted > 300);
	for (uint32_t i = 0; i < 400; i++) {
		int r = look(f->store, i, 250000);
		assert_true(r == 0 || r == ERR_MISSING);
		here += r == 0;
	}
	assert_int_equal(here + st.evicted, 400);
	assert_true(disk(f) <= quota);
	/* Nothing that was dropped is taken for damage, here or in the index. */
	store_stat(f->store, &st);
	assert_int_equal(st.corrupt, 0);
	assert_int_equal(st.blocks, here);
	reopen(f, quota);
	store_stat(f->store, &st);
	assert_int_equal(st.blocks, here);
	assert_int_equal(store_each(f->store, check_block, f->store), 0);
}

static void a_smaller_quota_counts_when_the_store_is_opened(void **state)
{
	struct fixture *f = *state;

	reopen(f, 4 * CACHE_QUOTA_MIN);
	for (uint32_t i = 0; i < 200; i++)
		assert_int_equal(fetch(f, i, 250000), 0);
	assert_true(disk(f) > 2 * CACHE_QUOTA_MIN);
	reopen(f, CACHE_QUOTA_MIN);
	assert_true(disk(f) <= CACHE_QUOTA_MIN + store_cache_segment(f->store));
	assert_int_equal(look(f->store, 199, 250000), 0);
}

static void what_is_read_survives_longer_than_what_is_not(void **state)
{
	struct fixture *f = *state;

	reopen(f, CACHE_QUOTA_MIN);
	for (uint32_t i = 0; i < 300; i++) {
		assert_int_equal(fetch(f, i, 250000), 0);
		/* Again and again the same few. */
		if (i >= 20 && i % 4 == 0)
			for (uint32_t k = 0; k < 4; k++)
				assert_int_equal(look(f->store, k, 250000), 0);
	}
	assert_int_equal(look(f->store, 10, 250000), ERR_MISSING);
}

static void what_is_kept_is_no_business_of_the_quota(void **state)
{
	struct fixture *f = *state;
	struct cid root;

	reopen(f, CACHE_QUOTA_MIN);
	write_file(f, "a", 1, 3 * MIB);
	assert_int_equal(import(f, &root), 0);
	for (uint32_t i = 0; i < 200; i++)
		assert_int_equal(fetch(f, i, 250000), 0);
	assert_int_equal(whole(f, &root), 0);
	/* And the cache is none of a gc's. */
	assert_int_equal(gc(f), 0);
	assert_int_equal(whole(f, &root), ERR_MISSING);
	assert_int_equal(look(f->store, 199, 250000), 0);
}

static void a_block_the_keep_log_lost_returns_to_it(void **state)
{
	struct fixture *f = *state;
	struct block *b = block_number(5, 10000);
	struct record_name key;
	struct place at;

	assert_int_equal(store_put(f->store, b), 0);
	record_name(&key, &b->name, f->store->seed);
	assert_int_equal(store_find(f->store, &key, &at), 1);
	store_drop(f->store, &key, &at);
	assert_int_equal(store_keeps(f->store, &b->name, NULL), 0);
	assert_int_equal(store_put_cached(f->store, b), 0);
	assert_int_equal(store_keeps(f->store, &b->name, NULL), 1);
	block_unref(b);
}

static int look_at_one(struct store *s, uint64_t *random)
{
	int r = look(s, (uint32_t)(scratch_random(random) % 400), 100000);

	return r == ERR_MISSING ? 0 : r;
}

static void *look_on_and_on(void *arg)
{
	struct fixture *f = arg;
	uint64_t random = 6;
	long wrong = 0;

	while (!f->stop)
		wrong += look_at_one(f->store, &random) < 0;
	return (void *)wrong;
}

static void readers_meet_an_eviction_with_right_bytes_or_none(void **state)
{
	struct fixture *f = *state;
	struct other other = other_new(f, CACHE_QUOTA_MIN, look_at_one);
	struct store_stat st;
	pthread_t reader;
	void *wrong;

	other_go(&other);
	assert_int_equal(pthread_create(&reader, NULL, look_on_and_on, f), 0);
	for (uint32_t i = 0; i < 1200; i++)
		assert_int_equal(fetch(f, i % 400, 100000), 0);
	f->stop = true;
	pthread_join(reader, &wrong);
	assert_ptr_equal(wrong, NULL);
	assert_int_equal(other_end(&other), 0);
	store_stat(f->store, &st);
	assert_int_equal(st.corrupt, 0);
	assert_true(st.evicted > 200);
}

/* A node with two links to one child. */
static struct cid twice(struct store *s, const struct cid *child)
{
	struct buf node = { 0 };
	struct block *b = NULL;

	dagpb_put_link(&node, child, "a", 1, 0);
	dagpb_put_link(&node, child, "b", 1, 0);
	assert_int_equal(block_make(&b, node.data, node.len), 0);
	assert_int_equal(store_put(s, b), 0);
	struct cid cid = { .version = 1, .codec = CODEC_DAG_PB, .hash = b->name };
	block_unref(b);
	buf_release(&node);
	return cid;
}

static void b80_a_pinned_bomb_is_walked_once(void **state)
{
	struct fixture *f = *state;
	struct block *leaf = NULL;
	struct pin_size *sizes = NULL;
	atomic_bool cancel = false;
	size_t n = 0;

	assert_int_equal(block_make(&leaf, "boom", 4), 0);
	assert_int_equal(store_put(f->store, leaf), 0);
	struct cid c = { .version = 1, .codec = CODEC_RAW, .hash = leaf->name };
	block_unref(leaf);
	for (int i = 0; i < 100; i++) /* 2^100 paths */
		c = twice(f->store, &c);
	assert_int_equal(store_sync(f->store), 0);
	assert_int_equal(pins_add(f->pins, &c, PIN_RECURSIVE, ""), 0);
	assert_int_equal(gc(f), 0);
	assert_int_equal(store_has(f->store, &c.hash, NULL), 1);
	assert_int_equal(pins_measure(f->store, f->pins, &cancel, &sizes, &n), 0);
	assert_int_equal(n, 1);
	assert_int_equal(sizes[0].blocks, 101);
	assert_int_equal(sizes[0].bytes, sizes[0].exclusive);
	free(sizes);
	/* Without its pin it goes, with all that it leads to. */
	assert_int_equal(pins_remove(f->pins, &c, NULL), 1);
	assert_int_equal(gc(f), 0);
	assert_int_equal(store_has(f->store, &c.hash, NULL), 0);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		T(pins_are_there_after_reopening_under_all_their_names),
		T(strange_names_of_pins_are_refused),
		T(a_lost_table_of_pins_is_not_taken_for_an_empty_one),
		T(a_damaged_pin_stops_a_gc),
		T(what_is_pinned_stays_and_the_rest_goes),
		T(of_a_bundle_only_what_is_alive_moves),
		T(a_dry_run_says_what_would_go_and_changes_nothing),
		T(a_direct_pin_keeps_one_block),
		T(b80_a_pinned_bomb_is_walked_once),
		T(a_pinned_tree_that_lacks_a_node_stops_a_gc_before_anything_goes),
		T(what_a_provider_of_roots_names_stays),
		T(a_root_that_appears_during_a_gc_stays),
		T(what_is_added_while_a_gc_marks_stays),
		T(what_a_holder_put_or_found_stays_until_it_lets_go),
		T(a_file_seen_before_is_read_again_when_its_blocks_are_gone),
		T(a_file_of_which_only_the_root_is_left_is_read_again),
		T(a_cancelled_gc_drops_nothing_that_is_needed),
		T(damage_in_a_file_keeps_it_from_being_removed),
		T(gcs_beside_adds_and_readers_take_nothing_from_them),
		T(fetched_blocks_are_found_again_after_reopening),
		T(a_torn_cache_log_is_cut_and_goes_on),
		T(the_cache_stays_within_its_quota),
		T(a_smaller_quota_counts_when_the_store_is_opened),
		T(what_is_read_survives_longer_than_what_is_not),
		T(what_is_kept_is_no_business_of_the_quota),
		T(a_block_the_keep_log_lost_returns_to_it),
		T(readers_meet_an_eviction_with_right_bytes_or_none),
	};

	/* The damage here is ours: no need to tell. */
	log_set_level(-1);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
