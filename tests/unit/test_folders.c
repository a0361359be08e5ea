/* The registry of folders: what is there, who uses it, what survives. */
#include "fs/folders.h"
#include "fs/history.h"
#include "fs/keeper.h"
#include "fs/folder_snap.h"
#include "store/error.h"
#include "store/gc.h"
#include "store/store.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

struct world {
	char repo[64];
	struct store *store;
	struct folders *folders;
	struct folder_settings settings;
	uint64_t quota; /* of the cache log */
	int told;
	char last[FOLDER_NAME_MAX + 1];
};

static const struct folder_start empty = { .root = { .version = 0xff },
					   .attrs = { .version = 0xff } };

static void on_changed(void *arg, const char *name)
{
	struct world *w = arg;

	w->told++;
	snprintf(w->last, sizeof w->last, "%s", name);
}

static void open_all(struct world *w)
{
	char path[128];

	snprintf(path, sizeof path, "%s/store", w->repo);
	assert_int_equal(store_open(&w->store, path, STORE_WRITE | STORE_CREATE,
				    &(struct store_config){ .cache_quota = w->quota }), 0);
	assert_int_equal(folders_new(&w->folders, w->repo, w->store), 0);
	folders_listen(w->folders, on_changed, w);
}

static void close_all(struct world *w)
{
	folders_free(w->folders);
	assert_int_equal(store_close(w->store), 0);
}

static int set_up(void **state)
{
	struct world *w = calloc(1, sizeof *w);
	char path[128];

	assert_non_null(w);
	assert_true(sodium_init() >= 0);
	strcpy(w->repo, P_tmpdir "/test_folders.XXXXXX");
	assert_non_null(mkdtemp(w->repo));
	snprintf(path, sizeof path, "%s/store", w->repo);
	assert_int_equal(mkdir(path, 0700), 0);
	folder_settings_default(&w->settings);
	open_all(w);
	*state = w;
	return 0;
}

static int tear_down(void **state)
{
	struct world *w = *state;
	char command[128];

	close_all(w);
	snprintf(command, sizeof command, "rm -rf %s", w->repo);
	assert_int_equal(system(command), 0);
	free(w);
	return 0;
}

static void make(struct world *w, const char *name)
{
	assert_int_equal(folders_create(w->folders, name, &w->settings, &empty), 0);
}

static struct folder_use *use(struct world *w, const char *name, unsigned flags)
{
	struct folder_use *u = NULL;

	assert_int_equal(folders_use(w->folders, name, flags, &u), 0);
	return u;
}

static int count(void *arg, const struct folder_info *i)
{
	++*(int *)arg;
	return 0;
}

static void put_file(struct world *w, const char *path, const char *text)
{
	char full[256];

	snprintf(full, sizeof full, "%s/%s", w->repo, path);
	FILE *f = fopen(full, "w");
	assert_non_null(f);
	fputs(text, f);
	fclose(f);
}

static void write_in(struct folder_use *u, uint64_t dir, const char *name, const char *text)
{
	struct folder_caller me = { 0 };
	struct folder_new what = { .mode = S_IFREG | 0644 };
	struct folder_attr attr;
	struct lack lack = { 0 };

	assert_int_equal(folder_make(folder_used(u), &me, dir, name, &what, &attr, &lack), 0);
	assert_int_equal(folder_write(folder_used(u), attr.st.st_ino, 0, text, strlen(text), false, &lack),
			 (int)strlen(text));
	folder_forget(folder_used(u), attr.st.st_ino, 1);
}

static void write_file(struct folder_use *u, const char *name, const char *text)
{
	write_in(u, FOLDER_ROOT, name, text);
}

static void a_folder_that_was_made_is_there_after_a_restart(void **state)
{
	struct world *w = *state;
	struct folder_info a, b;
	struct secret_key key;
	struct cid commit, root;

	w->settings.quiet_ms = 1234;
	w->settings.publish = true;
	make(w, "photos");
	assert_string_equal(w->last, "photos");
	assert_int_equal(folders_find(w->folders, "photos", &a), 0);
	assert_string_equal(a.branch, "main");
	assert_int_equal(a.head.codec, CODEC_DAG_CBOR);
	close_all(w);
	open_all(w);
	assert_int_equal(folders_find(w->folders, "photos", &b), 0);
	assert_true(peer_equal(&a.id, &b.id));
	assert_true(cid_equal(&a.head, &b.head));
	assert_true(b.settings.quiet_ms == 1234 && b.settings.publish);
	assert_int_equal(folders_head(w->folders, "photos", &key, &commit, &root), 0);
	assert_true(cid_equal(&commit, &a.head));
	assert_int_equal(folders_find(w->folders, "other", &b), -ENOENT);
}

static void names_are_checked_and_unique(void **state)
{
	struct world *w = *state;
	int n = 0;

	make(w, "a");
	assert_int_equal(folders_create(w->folders, "a", &w->settings, &empty), -EEXIST);
	assert_int_equal(folders_create(w->folders, "../a", &w->settings, &empty), -EINVAL);
	assert_int_equal(folders_create(w->folders, ".gone-a", &w->settings, &empty), -EINVAL);
	make(w, "A");
	make(w, "0");
	folders_each(w->folders, count, &n);
	assert_int_equal(n, 3);
}

static void what_was_half_made_or_half_removed_is_swept_away(void **state)
{
	struct world *w = *state;
	char path[128];
	struct stat st;
	int n = 0;

	make(w, "a");
	close_all(w);
	snprintf(path, sizeof path, "%s/folders/.new-b", w->repo);
	mkdir(path, 0700);
	put_file(w, "folders/.new-b/key", "x");
	snprintf(path, sizeof path, "%s/folders/.gone-c", w->repo);
	mkdir(path, 0700);
	open_all(w);
	folders_each(w->folders, count, &n);
	assert_int_equal(n, 1);
	assert_int_equal(stat(path, &st), -1);
	snprintf(path, sizeof path, "%s/folders/.new-b", w->repo);
	assert_int_equal(stat(path, &st), -1);
}

static void one_that_is_damaged_does_not_take_the_others_away(void **state)
{
	struct world *w = *state;
	struct folder_info i;

	make(w, "bad");
	make(w, "good");
	close_all(w);
	put_file(w, "folders/bad/folder.json", "{\"version\":");
	open_all(w);
	assert_int_equal(folders_find(w->folders, "bad", &i), -ENOENT);
	assert_int_equal(folders_find(w->folders, "good", &i), 0);
	/* Its name is taken all the same: nothing of it is lost. */
	assert_int_equal(folders_create(w->folders, "bad", &w->settings, &empty), -EEXIST);
}

static void users_share_a_folder_and_one_of_them_may_mount_it(void **state)
{
	struct world *w = *state;
	struct folder_use *a, *b, *c = NULL;
	struct folder_state st;
	struct folder_info i;

	make(w, "f");
	assert_int_equal(folders_peek(w->folders, "f", &st), -EAGAIN);
	a = use(w, "f", FOLDER_USE_MOUNT);
	b = use(w, "f", 0);
	assert_ptr_equal(folder_used(a), folder_used(b));
	assert_int_equal(folders_use(w->folders, "f", FOLDER_USE_MOUNT, &c), -EBUSY);
	assert_int_equal(folders_use(w->folders, "g", 0, &c), -ENOENT);
	assert_int_equal(folders_peek(w->folders, "f", &st), 0);
	folder_use_info(b, &i);
	assert_true(i.mounted && i.uses == 2);
	assert_int_equal(folders_remove(w->folders, "f", true), -EBUSY);
	folder_unuse(a);
	assert_int_equal(folders_peek(w->folders, "f", &st), 0);
	folder_unuse(b);
	assert_int_equal(folders_peek(w->folders, "f", &st), -EAGAIN);
	folder_unuse(use(w, "f", FOLDER_USE_MOUNT));
}

static void a_folder_with_changes_is_removed_only_by_force(void **state)
{
	struct world *w = *state;
	char path[128];
	struct stat st;

	make(w, "f");
	struct folder_use *u = use(w, "f", 0);
	write_file(u, "x", "text");
	folder_unuse(u);
	assert_int_equal(folders_remove(w->folders, "f", false), -ENOTEMPTY);
	assert_int_equal(folders_remove(w->folders, "f", true), 0);
	assert_int_equal(folders_remove(w->folders, "f", true), -ENOENT);
	snprintf(path, sizeof path, "%s/folders/f", w->repo);
	assert_int_equal(stat(path, &st), -1);
	make(w, "f");
	assert_int_equal(folders_remove(w->folders, "f", false), 0);
}

static void settings_and_what_is_published_are_durable(void **state)
{
	struct world *w = *state;
	struct folder_info i;

	make(w, "f");
	w->settings.max_age_ms = 5000;
	w->settings.profile = profile_find("unixfs-v0-2015");
	assert_int_equal(folders_configure(w->folders, "f", &w->settings), 0);
	assert_int_equal(folders_find(w->folders, "f", &i), 0);
	assert_int_equal(folders_published(w->folders, "f", &i.head), 0);
	assert_int_equal(folders_configure(w->folders, "g", &w->settings), -ENOENT);
	close_all(w);
	open_all(w);
	assert_int_equal(folders_find(w->folders, "f", &i), 0);
	assert_true(i.settings.max_age_ms == 5000);
	/* The profile was fixed when it was made. */
	assert_ptr_equal(i.settings.profile, profile_find("unixfs-v1-2025"));
	assert_true(cid_equal(&i.published, &i.head));
}

struct past_list {
	struct folder_past p[8];
	char messages[8][32];
	int n;
};

static int add_past(void *arg, const struct folder_past *p)
{
	struct past_list *l = arg;

	assert_true(l->n < 8);
	snprintf(l->messages[l->n], sizeof l->messages[0], "%s", p->message);
	l->p[l->n++] = *p;
	return 0;
}

static void a_snapshot_moves_the_head_and_without_changes_there_is_none(void **state)
{
	struct world *w = *state;
	struct past_list past = { 0 };
	struct snapshot_made made, again;
	struct folder_info before, after;
	struct folder_state st;

	make(w, "f");
	struct folder_use *u = use(w, "f", 0);
	folder_use_info(u, &before);
	assert_int_equal(folder_snapshot(u, "none", NULL, &made), 0);
	assert_true(cid_equal(&made.commit, &before.head));
	write_file(u, "x", "hello\n");
	assert_int_equal(folder_snapshot(u, "first", NULL, &made), 1);
	folder_use_info(u, &after);
	assert_true(cid_equal(&made.commit, &after.head));
	assert_false(cid_equal(&after.head, &before.head));
	folder_state(folder_used(u), &st);
	assert_true(st.dirty_inodes == 0 && st.dirty_bytes == 0);
	assert_int_equal(folder_snapshot(u, "again", NULL, &again), 0);
	assert_true(cid_equal(&again.commit, &made.commit));
	assert_int_equal(folder_history(u, 0, add_past, &past), 0);
	assert_int_equal(past.n, 2);
	assert_string_equal(past.messages[0], "first");
	assert_true(cid_equal(&past.p[0].root, &made.root));
	assert_true(cid_equal(&past.p[1].commit, &before.head));
	folder_unuse(u);
	close_all(w);
	open_all(w);
	folders_find(w->folders, "f", &before);
	assert_true(cid_equal(&after.head, &before.head));
}

static void a_snapshot_that_is_cancelled_leaves_all_as_it_was(void **state)
{
	struct world *w = *state;
	struct snapshot_made made;
	struct folder_info before, after;
	atomic_bool cancel = true;

	make(w, "f");
	struct folder_use *u = use(w, "f", 0);
	write_file(u, "x", "hello\n");
	folder_use_info(u, &before);
	assert_int_equal(folder_snapshot(u, NULL, &cancel, &made), -ECANCELED);
	folder_use_info(u, &after);
	assert_true(cid_equal(&before.head, &after.head));
	cancel = false;
	assert_int_equal(folder_snapshot(u, NULL, &cancel, &made), 1);
	folder_unuse(u);
}

static int entries_told, inodes_told, pasts_told;
static void on_entry(void *arg, uint64_t dir, const char *name) { entries_told++; }
static void on_inode(void *arg, uint64_t ino) { inodes_told++; }
static void on_past(void *arg) { pasts_told++; }

static bool file_in(struct folder_use *u, uint64_t dir, const char *name, const char *text)
{
	struct folder_attr attr;
	struct folder_bytes bytes;
	struct lack lack = { 0 };
	char got[64] = "";
	size_t n = 0;

	if (folder_lookup(folder_used(u), dir, name, &attr, &lack) < 0 ||
	    folder_read(folder_used(u), attr.st.st_ino, 0, 60, &bytes, &lack) < 0)
		return false;
	for (int i = 0; i < bytes.n; i++) {
		memcpy(got + n, bytes.pieces[i].data, bytes.pieces[i].len);
		n += bytes.pieces[i].len;
	}
	folder_bytes_release(&bytes);
	folder_forget(folder_used(u), attr.st.st_ino, 1);
	return !strcmp(got, text);
}

static bool file_is(struct folder_use *u, const char *name, const char *text)
{
	return file_in(u, FOLDER_ROOT, name, text);
}

/* The head has moved, and before the working tree hears of it there is an end. */
static void die(void *arg, const char *name)
{
	struct folder_info i;

	/* The opening is told too. */
	if (folders_find(((struct world *)arg)->folders, name, &i) == 0 && i.snapshotting)
		_exit(7);
}

static void an_end_between_head_and_tree_makes_no_second_snapshot(void **state)
{
	struct world *w = *state;
	struct snapshot_made made;
	struct folder_info before, after;
	struct folder_state st;
	int status;

	make(w, "f");
	struct folder_use *u = use(w, "f", 0);
	write_file(u, "x", "hello\n");
	folder_unuse(u);
	folders_find(w->folders, "f", &before);
	close_all(w);
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (!pid) {
		open_all(w);
		folders_listen(w->folders, die, w);
		if (folders_use(w->folders, "f", 0, &u) == 0)
			folder_snapshot(u, "torn", NULL, &made);
		_exit(1);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 7);
	open_all(w);
	folders_find(w->folders, "f", &after);
	assert_false(cid_equal(&before.head, &after.head));
	u = use(w, "f", 0);
	folder_state(folder_used(u), &st);
	assert_true(st.dirty_inodes > 0);
	assert_int_equal(folder_snapshot(u, "again", NULL, &made), 0);
	assert_true(cid_equal(&made.commit, &after.head));
	folder_state(folder_used(u), &st);
	assert_int_equal(st.dirty_inodes, 0);
	assert_true(file_is(u, "x", "hello\n"));
	folder_unuse(u);
}

static void an_old_version_comes_back_by_restore_and_by_checkout(void **state)
{
	static const struct folder_changed watch = { .entry = on_entry, .inode = on_inode, .past = on_past };
	struct world *w = *state;
	struct snapshot_made one, two, before;
	char where[PATH_MAX];
	const char *paths[] = { "x" }, *none[] = { "nope" };

	make(w, "f");
	struct folder_use *u = use(w, "f", FOLDER_USE_MOUNT);
	folder_use_watch(u, &watch, NULL);
	entries_told = inodes_told = pasts_told = 0;
	write_file(u, "x", "old x\n");
	write_file(u, "y", "old y\n");
	assert_int_equal(folder_snapshot(u, "one", NULL, &one), 1);
	assert_int_equal(pasts_told, 1);
	struct lack lack = { 0 };
	assert_int_equal(folder_unlink(folder_used(u), FOLDER_ROOT, "x", &lack), 0);
	assert_int_equal(folder_unlink(folder_used(u), FOLDER_ROOT, "y", &lack), 0);
	write_file(u, "x", "new x\n");
	write_file(u, "z", "new z\n");

	assert_int_equal(folder_restore(u, &one.commit, paths, 1, NULL, where), 0);
	assert_true(file_is(u, "x", "old x\n"));
	assert_true(file_is(u, "z", "new z\n"));
	assert_false(file_is(u, "y", "old y\n"));
	assert_int_equal(entries_told, 1);
	assert_int_equal(folder_restore(u, &one.commit, none, 1, NULL, where), -ENOENT);
	assert_string_equal(where, "nope");
	/* What was put back is a snapshot already. */
	assert_int_equal(folder_snapshot(u, "two", NULL, &two), 0);

	/* Back, with a snapshot of what there was; and forth again. */
	write_file(u, "v", "unsaved\n");
	assert_int_equal(folder_checkout(u, &one.commit, NULL, NULL, &before), 0);
	assert_true(file_is(u, "x", "old x\n") && file_is(u, "y", "old y\n"));
	assert_false(file_is(u, "z", "new z\n") || file_is(u, "v", "unsaved\n"));
	assert_int_equal(folder_checkout(u, &before.commit, NULL, NULL, &one), 0);
	assert_true(file_is(u, "x", "old x\n") && file_is(u, "z", "new z\n") && file_is(u, "v", "unsaved\n"));
	assert_false(file_is(u, "y", "old y\n"));
	assert_int_equal(folder_snapshot(u, NULL, NULL, &two), 0);
	assert_true(cid_equal(&two.root, &before.root));
	folder_use_watch(u, NULL, NULL);
	folder_unuse(u);
}

static void a_branch_is_gone_over_to(void **state)
{
	struct world *w = *state;
	struct snapshot_made one, two, before;
	struct folder_info i;

	make(w, "f");
	struct folder_use *u = use(w, "f", 0);
	write_file(u, "x", "one\n");
	assert_int_equal(folder_snapshot(u, "one", NULL, &one), 1);
	assert_int_equal(folder_branch_add(u, "old"), 0);
	assert_int_equal(folder_branch_add(u, "old"), -EEXIST);
	write_file(u, "y", "two\n");
	assert_int_equal(folder_snapshot(u, "two", NULL, &two), 1);
	assert_int_equal(folder_checkout(u, &one.commit, "old", NULL, &before), 0);
	folder_use_info(u, &i);
	assert_string_equal(i.branch, "old");
	assert_true(cid_equal(&i.head, &one.commit));
	assert_true(file_is(u, "x", "one\n"));
	assert_false(file_is(u, "y", "two\n"));
	assert_int_equal(folder_branch_drop(u, "old"), -EBUSY);
	write_file(u, "z", "three\n");
	assert_int_equal(folder_checkout(u, &two.commit, "main", NULL, &before), 0);
	assert_true(file_is(u, "y", "two\n"));
	assert_false(file_is(u, "z", "three\n"));
	folder_use_info(u, &i);
	assert_true(cid_equal(&i.head, &two.commit));
	assert_int_equal(folder_branch_drop(u, "old"), 0);
	folder_unuse(u);
}

static void a_snapshot_is_due_when_it_is_quiet_or_when_it_is_time(void **state)
{
	struct folder_settings s = { .quiet_ms = 30000, .max_age_ms = 600000 };
	struct folder_state st = { .dirty_inodes = 1, .first_change_ms = 1000, .last_change_ms = 1000 };

	assert_true(snapshot_due(&st, &s, 1000) == 30000);
	assert_true(snapshot_due(&st, &s, 31000) == 0);
	st.last_change_ms = 590000;
	assert_true(snapshot_due(&st, &s, 590000) == 11000);
	assert_true(snapshot_due(&st, &s, 700000) == 0);
	s.max_age_ms = 0;
	assert_true(snapshot_due(&st, &s, 590000) == 30000);
	s.quiet_ms = 0;
	assert_true(snapshot_due(&st, &s, 590000) == -1);
	s.max_age_ms = 600000;
	assert_true(snapshot_due(&st, &s, 601000) == 0);
	/* A clock that was set back by years makes nobody wait for years. */
	assert_true(snapshot_due(&st, &s, -1000000000) == 600000);
	st.failed = -EIO;
	assert_true(snapshot_due(&st, &s, 601000) == -1);
	st = (struct folder_state){ 0 };
	assert_true(snapshot_due(&st, &s, 601000) == -1);
}

static uint64_t make_dir(struct folder_use *u, const char *name)
{
	struct folder_caller me = { 0 };
	struct folder_new what = { .mode = S_IFDIR | 0755 };
	struct folder_attr attr;
	struct lack lack = { 0 };

	assert_int_equal(folder_make(folder_used(u), &me, FOLDER_ROOT, name, &what, &attr, &lack), 0);
	folder_forget(folder_used(u), attr.st.st_ino, 1);
	return attr.st.st_ino;
}

static void a_name_may_become_something_else(void **state)
{
	struct world *w = *state;
	struct snapshot_made made;
	struct lack lack = { 0 };

	make(w, "f");
	struct folder_use *u = use(w, "f", 0);
	write_file(u, "x", "one\n");
	assert_int_equal(folder_snapshot(u, NULL, NULL, &made), 1);
	assert_int_equal(folder_unlink(folder_used(u), FOLDER_ROOT, "x", &lack), 0);
	make_dir(u, "x");
	assert_int_equal(folder_snapshot(u, NULL, NULL, &made), 1);
	assert_int_equal(folder_rmdir(folder_used(u), FOLDER_ROOT, "x", &lack), 0);
	write_file(u, "x", "two\n");
	assert_int_equal(folder_snapshot(u, NULL, NULL, &made), 1);
	assert_true(file_is(u, "x", "two\n"));
	folder_unuse(u);
}

static void collect(struct world *w)
{
	char path[128];
	struct pins *pins;
	struct gc_result res;

	snprintf(path, sizeof path, "%s/pins", w->repo);
	if (mkdir(path, 0700) == 0)
		assert_int_equal(pins_create(&pins, path), 0);
	else
		assert_int_equal(pins_open(&pins, path, true), 0);
	assert_int_equal(store_gc(w->store, &(struct gc_options){ .pins = pins }, &res), 0);
	pins_close(pins);
}

static void assert_here(struct world *w, const struct cid *cid, bool here)
{
	struct block *b = NULL;
	int r = store_get(w->store, &cid->hash, &b);

	assert_int_equal(r, here ? 0 : ERR_MISSING);
	if (here)
		block_unref(b);
}

static void a_gc_leaves_what_the_working_tree_stands_on(void **state)
{
	struct world *w = *state;
	struct snapshot_made made;
	struct folder_attr attr;
	struct lack lack = { 0 };

	w->settings.keep = (struct retention){ .n[RETAIN_LAST] = 1 };
	make(w, "f");
	struct folder_use *u = use(w, "f", 0);
	struct folder *f = folder_used(u);
	write_file(u, "open", "still open\n");
	write_file(u, "old", "old\n");
	assert_int_equal(folder_snapshot(u, NULL, NULL, &made), 1);
	assert_int_equal(folder_lookup(f, FOLDER_ROOT, "old", &attr, &lack), 0);
	folder_forget(f, attr.st.st_ino, 1);
	const struct folder_graft g = { .type = S_IFREG,
					.cid = attr.cid,
					.size = 4,
					.attrs = { .mode = 0644 },
					.sub_attrs.version = 0xff };
	assert_int_equal(folder_lookup(f, FOLDER_ROOT, "open", &attr, &lack), 0);
	assert_int_equal(folder_unlink(f, FOLDER_ROOT, "open", &lack), 0);
	assert_int_equal(folder_unlink(f, FOLDER_ROOT, "old", &lack), 0);
	assert_int_equal(folder_snapshot(u, NULL, NULL, &made), 1);
	assert_int_equal(folder_graft(f, FOLDER_ROOT, "again", &g, &lack), 0);
	collect(w);
	assert_here(w, &attr.cid, true);
	assert_here(w, &g.cid, true);
	assert_true(file_is(u, "again", "old\n"));
	folder_forget(f, attr.st.st_ino, 1);
	/* Nor does it matter that nobody has the folder open. */
	folder_unuse(u);
	collect(w);
	u = use(w, "f", 0);
	assert_true(file_is(u, "again", "old\n"));
	/* Once neither a file nor a listing stands on it, it goes. */
	write_file(u, "more", "more\n");
	assert_int_equal(folder_snapshot(u, NULL, NULL, &made), 1);
	folder_unuse(u);
	collect(w);
	assert_here(w, &attr.cid, false);
	assert_here(w, &g.cid, true);
}

/* A source that lets a gc run before one of the blocks is read. */
struct meddling {
	struct block_source source;
	struct world *w;
	int at, reads;
};

static int meddle(struct block_source *self, const struct cid *cid, struct block **out)
{
	struct meddling *m = (struct meddling *)self;

	if (m->reads++ == m->at)
		collect(m->w);
	return source_get(store_source(m->w->store), cid, out);
}

static uint64_t number_of(struct folder_use *u, const char *name)
{
	struct folder_attr attr;
	struct lack lack = { 0 };

	if (folder_lookup(folder_used(u), FOLDER_ROOT, name, &attr, &lack) < 0)
		return 0;
	folder_forget(folder_used(u), attr.st.st_ino, 1);
	return attr.st.st_ino;
}

/* A version that retention has let go, but no gc has taken yet, is put back while a
 * gc runs before its block number `at` is read: true if that was one of them. */
static bool put_back_beside_a_gc(struct world *w, int at, bool checkout)
{
	struct meddling m = { .source.get = meddle, .w = w, .at = -1 };
	struct snapshot_made old, made;
	struct lack lack = { 0 };
	char name[32], text[64], where[PATH_MAX];
	uint64_t d;

	snprintf(name, sizeof name, "%s%d", checkout ? "checkout" : "restore", at);
	snprintf(text, sizeof text, "text of %s\n", name);
	make(w, name);
	struct folder_use *u = use(w, name, 0);
	struct folder *f = folder_used(u);
	write_file(u, "x", text);
	d = make_dir(u, "d");
	write_in(u, d, "deep", text + 1);
	assert_int_equal(folder_snapshot(u, NULL, NULL, &old), 1);
	assert_int_equal(folder_unlink(f, FOLDER_ROOT, "x", &lack), 0);
	assert_int_equal(folder_unlink(f, d, "deep", &lack), 0);
	assert_int_equal(folder_rmdir(f, FOLDER_ROOT, "d", &lack), 0);
	assert_int_equal(folder_snapshot(u, NULL, NULL, &made), 1);
	/* So that no listing stands on it either. */
	folder_unuse(u);
	u = use(w, name, 0);
	write_file(u, "new", "new");
	assert_int_equal(folder_snapshot(u, NULL, NULL, &made), 1);

	folders_set_waiting(w->folders, &m.source);
	m.at = at;
	assert_int_equal(checkout ? folder_checkout(u, &old.commit, NULL, NULL, &made)
				  : folder_restore(u, &old.commit, NULL, 0, NULL, where), 0);
	folders_set_waiting(w->folders, store_source(w->store));
	collect(w);
	assert_true(file_is(u, "x", text));
	assert_true(file_in(u, number_of(u, "d"), "deep", text + 1));
	folder_unuse(u);
	return m.reads > at;
}

static void a_gc_takes_nothing_of_what_is_being_put_back(void **state)
{
	struct world *w = *state;

	w->settings.keep = (struct retention){ .n[RETAIN_LAST] = 1 };
	for (int checkout = 0; checkout < 2; checkout++) {
		int at = 1; /* at 0 the version is gone before anybody knew of it */

		while (put_back_beside_a_gc(w, at, checkout))
			at++;
		assert_true(at > 3);
	}
}

/* ---- what came from elsewhere ---- */

#define DEEP "deep elsewhere\n"

struct fetching {
	struct store *from, *to;
	const struct cid *but; /* NULL: all */
};

static int put_fetched(void *arg, const struct multihash *name, size_t size)
{
	struct fetching *f = arg;
	struct block *b = NULL;

	if (f->but && multihash_equal(name, &f->but->hash))
		return 0;
	assert_int_equal(store_get(f->from, name, &b), 0);
	assert_int_equal(store_put_cached(f->to, b), 0);
	block_unref(b);
	return 0;
}

/* A version with "x" and "d/deep", made in another repository: in our cache log, all of it
 * or all but one block. */
static void fetch_version(struct world *w, struct snapshot_made *out, const struct cid *but)
{
	void *other = NULL;

	set_up(&other);
	struct world *o = other;
	make(o, "o");
	struct folder_use *u = use(o, "o", 0);
	write_file(u, "x", "from elsewhere\n");
	write_in(u, make_dir(u, "d"), "deep", DEEP);
	assert_int_equal(folder_snapshot(u, NULL, NULL, out), 1);
	folder_unuse(u);
	assert_int_equal(store_sync(o->store), 0);
	assert_int_equal(store_each(o->store, put_fetched,
				    &(struct fetching){ o->store, w->store, but }), 0);
	tear_down(&other);
}

static void fetch_others(struct world *w, size_t mib)
{
	static uint8_t bytes[1 << 20];
	static unsigned n;

	for (; mib; mib--) {
		struct multihash name;
		struct block *b = NULL;

		memset(bytes, 0, sizeof bytes);
		memcpy(bytes, &n, sizeof n);
		n++;
		multihash_of(&name, HASH_SHA2_256, 32, bytes, sizeof bytes);
		assert_int_equal(block_verify(&b, &name, bytes, sizeof bytes), 0);
		assert_int_equal(store_put_cached(w->store, b), 0);
		block_unref(b);
	}
}

static void with_a_small_quota(struct world *w)
{
	close_all(w);
	w->quota = CACHE_QUOTA_MIN;
	open_all(w);
}

static void a_quota_takes_nothing_of_a_folder(void **state)
{
	struct world *w = *state;
	struct snapshot_made old;
	struct folder_start start = { .attrs.version = 0xff };
	const char *d[] = { "d" };
	char where[PATH_MAX];
	bool lacks = true;

	with_a_small_quota(w);
	make(w, "restored");
	make(w, "checked-out");
	fetch_version(w, &old, NULL);
	start.root = old.root;
	start.attrs = old.attrs;
	start.lacks = &lacks;
	assert_int_equal(folders_create(w->folders, "made", &w->settings, &start), 0);
	assert_false(lacks);
	fetch_others(w, 40);
	assert_here(w, &old.commit, false); /* so it does take something */
	struct folder_use *u = use(w, "made", 0);
	assert_true(file_is(u, "x", "from elsewhere\n"));
	assert_true(file_in(u, number_of(u, "d"), "deep", DEEP));
	folder_unuse(u);
	assert_int_equal(folders_remove(w->folders, "made", true), 0);
	collect(w);
	assert_here(w, &old.root, false);

	fetch_version(w, &old, NULL);
	u = use(w, "restored", 0);
	assert_int_equal(folder_restore(u, &old.commit, d, 1, NULL, where), 0);
	struct folder_use *c = use(w, "checked-out", 0);
	struct snapshot_made before;
	assert_int_equal(folder_checkout(c, &old.commit, NULL, NULL, &before), 0);
	fetch_others(w, 40);
	assert_here(w, &old.commit, false);
	assert_true(file_in(u, number_of(u, "d"), "deep", DEEP));
	assert_true(file_is(c, "x", "from elsewhere\n"));
	assert_true(file_in(c, number_of(c, "d"), "deep", DEEP));
	folder_unuse(u);
	folder_unuse(c);
}

static void what_is_not_all_here_is_not_put_back(void **state)
{
	struct world *w = *state;
	struct folder_start start = { .attrs.version = 0xff };
	struct snapshot_made old, before;
	char where[PATH_MAX];
	atomic_bool cancel = true;
	bool lacks = false;
	struct cid leaf;

	cid_of(&leaf, 1, CODEC_RAW, DEEP, strlen(DEEP));
	fetch_version(w, &old, &leaf);
	assert_here(w, &old.root, true);
	assert_here(w, &leaf, false);
	make(w, "f");
	struct folder_use *u = use(w, "f", 0);
	write_file(u, "x", "mine\n");
	assert_int_equal(folder_restore(u, &old.commit, NULL, 0, &cancel, where), -ECANCELED);
	assert_int_equal(folder_restore(u, &old.commit, NULL, 0, NULL, where), ERR_MISSING);
	assert_string_equal(where, "d");
	assert_int_equal(folder_checkout(u, &old.commit, NULL, NULL, &before), ERR_MISSING);
	assert_true(file_is(u, "x", "mine\n"));
	assert_int_equal(number_of(u, "d"), 0);
	folder_unuse(u);
	/* A folder can begin with it, and says so. */
	start.root = old.root;
	start.lacks = &lacks;
	assert_int_equal(folders_create(w->folders, "g", &w->settings, &start), 0);
	assert_true(lacks);
}

/* Makes files of equal content with two names each: a1 and a2 for "a", and so on. */
static void make_linked(struct world *w, const char *name, const struct folder_start *start,
			const char *files, struct snapshot_made *out)
{
	struct folder_attr attr;
	struct lack lack = { 0 };

	assert_int_equal(folders_create(w->folders, name, &w->settings, start), 0);
	struct folder_use *u = use(w, name, 0);
	for (; *files; files++) {
		const char first[] = { *files, '1', '\0' }, second[] = { *files, '2', '\0' };

		write_file(u, first, "same\n");
		assert_int_equal(folder_link(folder_used(u), number_of(u, first), FOLDER_ROOT,
					     second, &attr, &lack), 0);
		assert_int_equal(attr.st.st_nlink, 2);
		folder_forget(folder_used(u), attr.st.st_ino, 1);
	}
	assert_int_equal(folder_snapshot(u, NULL, NULL, out), 1);
	folder_unuse(u);
}

static uint64_t group_in(struct world *w, const struct cid *attrs, char letter, char digit)
{
	const char name[] = { letter, digit };
	struct misses none = { 0 };
	struct attrs_link l;
	struct block *hold;

	assert_int_equal(attrs_lookup(store_source(w->store), attrs, name, sizeof name, &l, &hold,
				      &none), 0);
	uint64_t group = l.attrs.group;
	block_unref(hold);
	return group;
}

static void a_folder_made_of_a_snapshot_gives_its_links_groups_of_their_own(void **state)
{
	struct world *w = *state;
	struct folder_start start = { 0 };
	struct snapshot_made first, then;
	uint64_t groups[4];

	make_linked(w, "f", &empty, "ab", &first);
	start.root = first.root;
	start.attrs = first.attrs;
	make_linked(w, "g", &start, "cd", &then);
	for (int i = 0; i < 4; i++) {
		groups[i] = group_in(w, &then.attrs, "abcd"[i], '1');
		assert_true(groups[i] != 0);
		assert_true(groups[i] == group_in(w, &then.attrs, "abcd"[i], '2'));
		for (int k = 0; k < i; k++)
			assert_true(groups[i] != groups[k]);
	}
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(a_folder_that_was_made_is_there_after_a_restart),
		TEST(names_are_checked_and_unique),
		TEST(what_was_half_made_or_half_removed_is_swept_away),
		TEST(one_that_is_damaged_does_not_take_the_others_away),
		TEST(users_share_a_folder_and_one_of_them_may_mount_it),
		TEST(a_folder_with_changes_is_removed_only_by_force),
		TEST(settings_and_what_is_published_are_durable),
		TEST(a_snapshot_moves_the_head_and_without_changes_there_is_none),
		TEST(a_snapshot_that_is_cancelled_leaves_all_as_it_was),
		TEST(a_name_may_become_something_else),
		TEST(a_gc_leaves_what_the_working_tree_stands_on),
		TEST(an_end_between_head_and_tree_makes_no_second_snapshot),
		TEST(an_old_version_comes_back_by_restore_and_by_checkout),
		TEST(a_branch_is_gone_over_to),
		TEST(a_gc_takes_nothing_of_what_is_being_put_back),
		TEST(a_quota_takes_nothing_of_a_folder),
		TEST(what_is_not_all_here_is_not_put_back),
		TEST(a_folder_made_of_a_snapshot_gives_its_links_groups_of_their_own),
		cmocka_unit_test(a_snapshot_is_due_when_it_is_quiet_or_when_it_is_time),
	};
	return cmocka_run_group_tests_name("folders", tests, NULL, NULL);
}
