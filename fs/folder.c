#include "fs/folder_internal.h"
#include "fs/folder_snap.h"

#include "store/error.h"
#include "store/log.h"

#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

/* When a checkpoint is worth it. */
#define SAVE_OBJECTS 32768u
#define SAVE_META    (64u << 20)
#define SAVE_DATA    (1u << 30)
#define QUIET_SECONDS 5
/* Of eviction, when there is too much in memory, after each operation: more than
 * it needs to let go of what came. */
#define EVICT_STEPS 16

bool folder_keeper_rests;

struct timespec folder_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return t;
}

static int64_t now_ms(void)
{
	struct timespec t = folder_now();

	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* ---- operations ---- */

#define PAUSE_NS 50000 /* what one who was woken needs to come in */

static void pause_shortly(void)
{
	const struct timespec t = { .tv_nsec = PAUSE_NS };

	nanosleep(&t, NULL);
}

void change_pause(struct folder *f)
{
	pthread_rwlock_unlock(&f->state);
}

void change_resume(struct folder *f)
{
	pthread_rwlock_wrlock(&f->state);
}

void change_breathe(struct folder *f)
{
	if (!atomic_load(&f->lookers))
		return;
	change_pause(f);
	pause_shortly();
	change_resume(f);
}

void folder_give_way(struct folder *f)
{
	if (atomic_load(&f->lookers) || atomic_load(&f->changers))
		pause_shortly();
}

void look_begin(struct folder *f)
{
	if (pthread_rwlock_tryrdlock(&f->state) == 0)
		return;
	atomic_fetch_add(&f->lookers, 1);
	pthread_rwlock_rdlock(&f->state);
	atomic_fetch_sub(&f->lookers, 1);
}

void look_end(struct folder *f)
{
	pthread_rwlock_unlock(&f->state);
}

void load_begin(struct folder *f)
{
	if (pthread_rwlock_trywrlock(&f->state) != 0) {
		atomic_fetch_add(&f->lookers, 1);
		pthread_rwlock_wrlock(&f->state);
		atomic_fetch_sub(&f->lookers, 1);
	}
	f->loading = f->n_inodes + f->n_entries;
}

void load_end(struct folder *f)
{
	uint32_t n = f->n_inodes + f->n_entries;
	uint32_t came = n > f->loading ? n - f->loading : 0;

	/* Objects go only while nobody changes anything; who does lets some go then. */
	if (came && pthread_mutex_trylock(&f->change) == 0) {
		objects_evict(f, EVICT_STEPS + 4 * came);
		pthread_mutex_unlock(&f->change);
	}
	pthread_rwlock_unlock(&f->state);
}

int change_begin(struct folder *f)
{
	int r;

	if (pthread_mutex_trylock(&f->change) != 0) {
		atomic_fetch_add(&f->changers, 1);
		pthread_mutex_lock(&f->change);
		atomic_fetch_sub(&f->changers, 1);
	}
	pthread_rwlock_wrlock(&f->state);
	buf_clear(&f->record);
	if (buf_room(&f->record, LOG_RECORD_HEADER))
		f->record.len = LOG_RECORD_HEADER;
	r = f->broken || folder_log_failed(f->log) ? -EROFS : 0;
	if (r < 0)
		change_end(f);
	return r;
}

static void forget_adopting(struct folder *f)
{
	for (uint32_t k = 0; k < f->adopting.n; k++)
		((struct inode *)f->adopting.v[k])->adopting = false;
	f->adopting.n = 0;
}

void change_end(struct folder *f)
{
	bool much;

	forget_adopting(f);
	objects_evict(f, EVICT_STEPS);
	much = f->save_inodes.n + f->save_entries.n > SAVE_OBJECTS ||
	       f->meta_bytes > SAVE_META || f->data_bytes > SAVE_DATA || f->hurry;
	f->hurry = false;
	pthread_rwlock_unlock(&f->state);
	pthread_mutex_unlock(&f->change);
	if (much)
		folder_wake(f);
}

static int commit(struct folder *f, const void *data, uint32_t len, bool frees)
{
	struct log_record rec;
	int r;

	if (f->record.len == LOG_RECORD_HEADER)
		return 0;
	uint64_t reserve = room_wanted(f);
	pthread_rwlock_unlock(&f->state);
	r = frees ? 0 : folder_log_reserve(f->log, reserve);
	if (!r)
		r = folder_log_append(f->log, &f->record, data, len, frees, &rec);
	pthread_rwlock_wrlock(&f->state);
	if (r < 0)
		return r;
	forget_adopting(f); /* it is done, and they may be freed */
	f->meta_bytes += f->record.len;
	f->died += f->record.len; /* with the next checkpoint */
	f->data_bytes += len;
	f->last_change_ms = now_ms();
	r = folder_apply(f, &rec);
	if (r < 0) {
		/* It is in the log, and will be there when the folder is opened again. */
		f->broken = r;
		log_line(LOG_ERROR, "%s: read-only from here on: %s", f->dir, err_text(r));
		return r;
	}
	if (f->n_dirty && !f->first_change_ms)
		f->first_change_ms = f->last_change_ms;
	return 0;
}

int change_commit(struct folder *f, const void *data, uint32_t len)
{
	return commit(f, data, len, false);
}

int change_commit_freeing(struct folder *f)
{
	int r = commit(f, NULL, 0, true);

	f->hurry |= folder_log_short(f->log);
	return r;
}

/* ---- keeping house ---- */

void folder_wake(struct folder *f)
{
	pthread_mutex_lock(&f->keep_lock);
	f->wake = true;
	pthread_cond_signal(&f->keep_wake);
	pthread_mutex_unlock(&f->keep_lock);
}

static void *keep(void *arg)
{
	struct folder *f = arg;
	struct timespec until;
	int failed = 0;

	pthread_mutex_lock(&f->keep_lock);
	while (!f->stop) {
		clock_gettime(CLOCK_MONOTONIC, &until);
		until.tv_sec += QUIET_SECONDS;
		while (!f->wake && !f->stop &&
		       pthread_cond_timedwait(&f->keep_wake, &f->keep_lock, &until) == 0)
			;
		f->wake = false;
		if (f->stop)
			break;
		pthread_mutex_unlock(&f->keep_lock);
		int r = folder_checkpoint(f);
		if (!r)
			r = room_give_back(f);
		if (!r)
			r = folder_clean(f);
		if (r > 0)
			r = folder_checkpoint(f);
		/* Once, not as often as it is tried. */
		if (r < 0 && r != failed && !folder_log_failed(f->log))
			log_line(LOG_WARN, "%s: cannot bring its table up to date: %s",
				 f->dir, err_text(r));
		failed = r;
		pthread_mutex_lock(&f->keep_lock);
	}
	pthread_mutex_unlock(&f->keep_lock);
	return NULL;
}

static int keep_start(struct folder *f)
{
	pthread_condattr_t monotonic;
	int r;

	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(&f->keep_wake, &monotonic);
	pthread_condattr_destroy(&monotonic);
	r = -pthread_create(&f->keeper, NULL, keep, f);
	f->keeping = !r;
	return r;
}

/* ---- opening ---- */

static int on_record(void *arg, const struct log_record *rec)
{
	struct folder *f = arg;
	int r = folder_apply(f, rec);

	f->replayed = true;
	if (r == ERR_MALFORMED)
		r = ERR_CORRUPT;
	return r;
}

static int set_cid(struct bytes **at, const struct cid *c)
{
	uint8_t bytes[CID_SIZE_MAX];

	if (!c || c->version == 0xff)
		return 0;
	*at = bytes_new(bytes, cid_encode(c, bytes));
	return *at ? 0 : -ENOMEM;
}

/* A folder that was just made: its first state is a checkpoint. */
static int make_fresh(struct folder *f, const struct cid *root, const struct cid *attrs)
{
	struct log_mark start = { 1, LOG_SEGMENT_HEADER, 1 };
	struct buf changes = { 0 }, row = { 0 };
	struct timespec now = folder_now();
	uint8_t key[8];
	int r;

	if (getrandom(f->key, sizeof f->key, 0) != sizeof f->key)
		return -EIO;
	f->next_ino = FOLDER_ROOT + 1;
	r = set_cid(&f->root, root);
	if (!r)
		r = set_cid(&f->root_attrs, attrs);
	if (r < 0)
		return r;
	meta_encode(&row, f, &start);
	rows_put(&changes, TABLE_META, "folder", 6, &row);
	if (!f->root) {
		struct inode top = {
			.ino = FOLDER_ROOT,
			.core = { .mode = S_IFDIR | 0755, .uid = getuid(), .gid = getgid(),
				  .nlink = 2, .atime = now, .mtime = now, .ctime = now },
			.dir = &(struct directory){ 0 },
		};

		buf_clear(&row);
		inode_row(&row, &top);
		put_be(key, FOLDER_ROOT);
		rows_put(&changes, TABLE_INODES, key, sizeof key, &row);
	}
	r = changes.failed ? -ENOMEM : table_commit(f->table, &changes);
	buf_release(&changes);
	buf_release(&row);
	return r;
}

static int load_meta(struct folder *f, struct log_mark *covered)
{
	struct table_meta m;
	struct buf in_use = { 0 };
	int r = table_meta_get(f->table, &m);

	f->root = m.root;
	f->root_attrs = m.attrs;
	if (r < 0)
		return r;
	memcpy(f->key, m.key, sizeof f->key);
	memcpy(&f->seed, m.key, sizeof f->seed);
	f->next_ino = m.next_ino;
	f->snapshot = m.snapshot;
	f->n_dirty = m.n_dirty;
	f->dirty_bytes = m.dirty_bytes;
	f->first_change_ms = m.first_change_ms;
	f->last_change_ms = m.last_change_ms;
	*covered = m.covered;
	r = table_segments(f->table, &in_use);
	struct cursor in = cursor_over(in_use.data, in_use.len);
	while (!r && cursor_left(&in)) {
		uint32_t number = cursor_u32le(&in);
		uint64_t bytes = cursor_u64le(&in);

		if (in.bad)
			r = ERR_CORRUPT;
		else
			folder_log_use(f->log, number, (int64_t)bytes);
	}
	buf_release(&in_use);
	return r;
}

/* What had no name any more when the folder was closed, and was open still. */
static int free_orphans(struct folder *f)
{
	struct lack none = { .blocks.max = 0 };
	struct buf keys = { 0 }, dirs = { 0 };
	int r = table_index(f->table, 'o', &keys);

	if (r < 0)
		return r;
	struct cursor in = cursor_over(keys.data, keys.len);
	r = change_begin(f);
	while (!r && cursor_left(&in)) {
		size_t len = cursor_u8(&in);
		const uint8_t *key;
		struct inode *i;

		len |= (size_t)cursor_u8(&in) << 8;
		key = cursor_take(&in, len);
		if (!key || len != 9)
			break;
		if (inode_get(f, get_be(key + 1), &i, &none) < 0 || i->core.nlink)
			continue;
		if (i->dir)
			buf_u64le(&dirs, i->ino);
		else
			record_free(f, i->ino);
	}
	/* And those that are not in the table yet. */
	for (uint32_t k = 0; !r && k < f->save_inodes.n; k++) {
		struct inode *i = f->save_inodes.v[k];

		if (i->gone || i->core.nlink || i->stored)
			continue;
		if (i->dir)
			buf_u64le(&dirs, i->ino);
		else
			record_free(f, i->ino);
	}
	if (!r) {
		r = change_commit_freeing(f);
		change_end(f);
	}
	in = cursor_over(dirs.data, dirs.len);
	while (!r && cursor_left(&in))
		folder_reap(f, cursor_u64le(&in));
	buf_release(&dirs);
	buf_release(&keys);
	return r;
}

static void folder_free(struct folder *f)
{
	if (!f)
		return;
	if (f->keeping) {
		pthread_mutex_lock(&f->keep_lock);
		f->stop = true;
		pthread_cond_signal(&f->keep_wake);
		pthread_mutex_unlock(&f->keep_lock);
		pthread_join(f->keeper, NULL);
		pthread_cond_destroy(&f->keep_wake);
	}
	objects_free(f);
	folder_log_close(f->log);
	table_close(f->table);
	buf_release(&f->record);
	buf_release(&f->unsaved);
	free(f->root);
	free(f->root_attrs);
	free(f->dir);
	if (f->lock_fd >= 0)
		close(f->lock_fd);
	pthread_mutex_destroy(&f->change);
	pthread_mutex_destroy(&f->save_lock);
	pthread_mutex_destroy(&f->relief);
	pthread_mutex_destroy(&f->keep_lock);
	pthread_rwlock_destroy(&f->state);
	free(f);
}

int folder_open(struct folder **out, const struct folder_config *cfg, const struct cid *root,
		const struct cid *attrs)
{
	struct folder *f = calloc(1, sizeof *f);
	struct log_mark covered = { 0 };
	char path[4096];
	bool fresh;
	int r, fd;

	if (!f)
		return -ENOMEM;
	f->cfg = *cfg;
	f->lock_fd = -1;
	pthread_mutex_init(&f->change, NULL);
	pthread_mutex_init(&f->save_lock, NULL);
	pthread_mutex_init(&f->relief, NULL);
	pthread_mutex_init(&f->keep_lock, NULL);
	pthread_rwlock_init(&f->state, NULL);
	f->save_inodes.place = offsetof(struct inode, save_at);
	f->save_entries.place = offsetof(struct entry, save_at);
	f->dirty_inodes.place = offsetof(struct inode, dirty_at);
	f->dirty_entries.place = offsetof(struct entry, dirty_at);
	f->dir = strdup(cfg->dir);
	r = f->dir ? 0 : -ENOMEM;
	if (r < 0)
		goto out;
	fd = open(cfg->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	r = fd < 0 ? -errno : 0;
	if (r < 0)
		goto out;
	f->lock_fd = lock_take(fd, "lock");
	close(fd);
	r = f->lock_fd < 0 ? f->lock_fd : 0;
	if (r < 0)
		goto out;
	snprintf(path, sizeof path, "%s/table", cfg->dir);
	r = table_open(&f->table, path, &fresh);
	if (!r && fresh)
		r = make_fresh(f, root, attrs);
	if (r < 0)
		goto out;
	free(f->root);
	free(f->root_attrs);
	f->root = f->root_attrs = NULL;
	snprintf(path, sizeof path, "%s/log", cfg->dir);
	r = folder_log_open(&f->log, path);
	if (!r)
		r = load_meta(f, &covered);
	f->saved = covered;
	f->died = UINT32_MAX; /* nobody knows */
	if (!r)
		room_refill(f);
	f->replaying = true;
	if (!r)
		r = folder_log_replay(f->log, &covered, on_record, f);
	f->replaying = false;
	if (!r)
		f->recording = folder_log_end(f->log).number - 1;
	/* Neither is needed to go on: without room they come later. */
	if (!r)
		r = free_orphans(f);
	if (r == -ENOSPC || r == -EDQUOT)
		r = 0;
	/* What was replayed is not replayed again, whatever its end was. */
	if (!r && f->replayed)
		r = folder_checkpoint(f);
	if (r == -ENOSPC || r == -EDQUOT)
		r = 0;
	if (!r && !f->replayed) {
		folder_log_retire(f->log, &covered);
		folder_log_trim(f->log);
	}
	if (!r && !folder_keeper_rests)
		r = keep_start(f);
	if (r < 0)
		goto out;
	*out = f;
	f = NULL;
out:
	folder_free(f);
	return r;
}

int folder_close(struct folder *f)
{
	int r;

	if (!f)
		return 0;
	r = folder_sync(f);
	if (!r)
		r = folder_checkpoint(f);
	folder_free(f);
	return r;
}

int folder_sync(struct folder *f)
{
	return f->broken ? -EROFS : folder_log_sync(f->log);
}

int folder_statfs(struct folder *f, struct statvfs *out)
{
	return statvfs(f->dir, out) < 0 ? -errno : 0;
}

static int tell_bytes(struct telling_bases *t, const struct bytes *b)
{
	struct cid c = bytes_cid(b);

	return b ? t->each(t->arg, &c) : 0;
}

/* base: content and attributes, then the same of the listing. */
int tell_bases(struct telling_bases *t, const struct inode_core *core, bool changed,
	       const struct bytes *const base[4])
{
	bool tell = t->all || changed || !core->nlink;
	int r = 0;

	t->detached |= S_ISDIR(core->mode) && !core->nlink;
	for (int i = 0; i < 4 && !r; i++)
		if (tell || (i >= 2 && !bytes_equal(base[i], base[i - 2])))
			r = tell_bytes(t, base[i]);
	return r;
}

static int tell_all_bases(struct folder *f, struct telling_bases *t, uint64_t *thaws)
{
	int r;

	look_begin(f);
	*thaws = f->thaws;
	t->all |= f->thawing;
	r = tell_bytes(t, f->root);
	if (!r)
		r = tell_bytes(t, f->root_attrs);
	/* Memory first: what leaves it has a row. */
	for (uint32_t k = 0; f->inode_bits && !r && k < 1u << f->inode_bits; k++) {
		for (struct inode *i = f->inodes[k]; i && !r; i = i->next) {
			const struct bytes *base[4] = { i->base };

			if (i->dir) {
				base[1] = i->dir->attrs;
				base[2] = i->dir->listing;
				base[3] = i->dir->listing_attrs;
			}
			if (!i->gone)
				r = tell_bases(t, &i->core, i->changed || i->content, base);
		}
	}
	look_end(f);
	return r ? r : table_each_base(f->table, t);
}

int folder_each_base(struct folder *f, int (*each)(void *arg, const struct cid *tree),
		     void *arg)
{
	struct telling_bases t = { .each = each, .arg = arg };
	uint64_t thaws, now;
	int r = tell_all_bases(f, &t, &thaws);

	if (r || t.all)
		return r;
	look_begin(f);
	now = f->thaws;
	look_end(f);
	/* What was passed over was in a snapshot that is no longer the last; or lies where no
	 * snapshot goes. */
	if (now == thaws && !t.detached)
		return 0;
	t.all = true;
	return tell_all_bases(f, &t, &thaws);
}

void folder_state(struct folder *f, struct folder_state *out)
{
	look_begin(f);
	*out = (struct folder_state){
		.dirty_inodes = f->n_dirty,
		.dirty_bytes = f->dirty_bytes,
		.log_bytes = folder_log_bytes(f->log),
		.first_change_ms = f->first_change_ms,
		.last_change_ms = f->n_dirty ? f->last_change_ms : 0,
		.root = bytes_cid(f->root),
		.attrs = bytes_cid(f->root_attrs),
		.failed = f->broken ? f->broken : folder_log_failed(f->log),
	};
	look_end(f);
}

void folder_path(struct folder *f, uint64_t ino, char *out, size_t max)
{
	struct lack none = { .blocks.max = 0 };
	size_t at = max - 1;
	struct inode *i;

	out[at] = '\0';
	load_begin(f);
	while (ino != FOLDER_ROOT && inode_get(f, ino, &i, &none) == 0 && i->links) {
		size_t len = i->links->len;

		if (len + 1 > at)
			break;
		at -= len;
		memcpy(out + at, i->links->name, len);
		out[--at] = '/';
		ino = i->links->dir;
	}
	load_end(f);
	if (at == max - 1 && at)
		out[--at] = '/';
	memmove(out, out + at, max - at);
}
