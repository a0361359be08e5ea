/*
 * Listings: first what the listing base has, at its place there, but for what
 * entries hide; then the base's special files, which it does not list; then
 * added entries in the order in which they came.  So an entry keeps its place
 * whatever happens to others.
 */
#include "fs/folder_internal.h"

#include "fs/folder_clean_attrs.h"
#include "store/error.h"

#include <string.h>

#define POS_ENTRIES 2 /* behind "." and ".." */
/* A private number to leave dag_list() before an entry, which it would not do. */
#define STOP_BEFORE (-ENOSPC)

struct listing {
	struct folder *f;
	struct inode *dir;
	bool plus;
	folder_each_fn each;
	void *arg;
	struct lack *lack;
	uint64_t given, pos;
};

/* Give one: 0, or 1 to stop before it. */
static int give(struct listing *l, const char *name, size_t len, uint64_t ino, unsigned type,
		uint64_t next, const struct dag_entry *base)
{
	struct folder_entry e = { .name = name, .ino = ino, .type = type << 12, .next = next };
	struct folder *f = l->f;
	struct folder_attr attr;
	struct inode *i = NULL;
	struct dag_attr a;

	if (l->plus) {
		/* What has not come is left out of this: the look-up will wait for it. */
		struct lack none = { .blocks.max = 0 };
		int r = ino ? inode_get(f, ino, &i, &none)
			    : clean_child(f, l->dir, name, len, base, &i, l->lack);

		if (r < 0 || !i)
			i = NULL;
	} else if (!ino && base && entry_type(f, base, &a, l->lack) == 0) {
		e.type = a.type == DAG_DIR ? S_IFDIR : a.type == DAG_FILE ? S_IFREG : S_IFLNK;
	}
	if (i) {
		e.ino = i->ino;
		e.type = i->core.mode & S_IFMT;
		attr_fill(i, &attr);
		e.attr = known_room(&f->known) < 0 ? NULL : &attr;
	}
	if (!e.ino)
		e.ino = base_ino(f, l->dir->ino, name, len);
	if (l->each(l->arg, &e))
		return 1;
	if (e.attr)
		inode_known(f, i);
	l->given++;
	return 0;
}

/* A name of the base, if it is still there, at its place. */
static int give_base(struct listing *l, const char *name, size_t len,
		     const struct dag_entry *base, mode_t special, uint64_t next)
{
	struct entry *e;
	int r = entry_get(l->f, l->dir, name, len, &e);

	if (r < 0)
		return r;
	if (r && (!e->ino || e->cookie))
		return 0;
	if (r)
		return give(l, name, len, e->ino, e->type, next, NULL) ? STOP_BEFORE : 0;
	return give(l, name, len, 0, special >> 12, next, base) ? STOP_BEFORE : 0;
}

static int on_base(void *arg, const struct dag_entry *e, uint64_t pos_behind)
{
	return give_base(arg, e->name, e->name_len, e, 0, pos_behind + POS_ENTRIES);
}

static int on_special(void *arg, const char *name, size_t len, const struct attrs_entry *a,
		      uint64_t number)
{
	static const mode_t types[] = { 0, S_IFIFO, S_IFSOCK, S_IFCHR, S_IFBLK };
	char text[NAME_MAX_BYTES + 1];

	if (len > NAME_MAX_BYTES)
		return 0;
	memcpy(text, name, len);
	text[len] = '\0';
	return give_base(arg, text, len, NULL, types[a->special], SPECIAL_COOKIE + number + 1);
}

static int list_dots(struct listing *l)
{
	struct folder_entry dots[] = {
		{ ".", l->dir->ino, S_IFDIR, 1, NULL },
		{ "..", l->dir->links ? l->dir->links->dir : l->dir->ino, S_IFDIR, 2, NULL },
	};

	for (; l->pos < POS_ENTRIES; l->pos++) {
		if (l->each(l->arg, &dots[l->pos]))
			return STOP_BEFORE;
		l->given++;
	}
	return 0;
}

/* The next added entry behind l->pos, wherever it is kept: 1, 0 or an error. */
static int next_added(struct listing *l, struct entry **out)
{
	struct directory *d = l->dir->dir;
	uint64_t cookie = l->pos;
	char name[NAME_MAX_BYTES + 1];
	size_t len;
	int r;

	for (;;) {
		uint32_t at = added_seek(d, l->pos);

		while (at < d->n_added && !d->added[at].entry)
			at++;
		*out = at < d->n_added ? d->added[at].entry : NULL;
		if (d->whole || !l->dir->stored)
			return *out != NULL;
		r = table_next_added(l->f->table, l->dir->ino, &cookie, name, &len);
		if (r < 0)
			return r;
		if (!r || (*out && (*out)->cookie <= cookie))
			return *out != NULL;
		/* Memory knows better, if it knows of it. */
		struct entry *e = entry_find(l->f, l->dir->ino, name, len);
		if (e && (e->gone || e->cookie != cookie))
			continue;
		r = entry_get(l->f, l->dir, name, len, &e);
		if (r < 0)
			return r;
		if (!r || e->cookie != cookie)
			continue;
		*out = e;
		return 1;
	}
}

static int list_added(struct listing *l)
{
	struct entry *e;
	int r;

	/* Those from before the listing are in it. */
	if (l->pos < ADDED_COOKIE + 2 * l->dir->dir->rebased + 1)
		l->pos = ADDED_COOKIE + 2 * l->dir->dir->rebased + 1;
	while ((r = next_added(l, &e)) > 0) {
		l->pos = e->cookie;
		if (give(l, e->name, e->len, e->ino, e->type, e->cookie, NULL))
			return STOP_BEFORE;
	}
	return r;
}

static int list(struct listing *l)
{
	struct cid listing = bytes_cid(l->dir->dir->listing);
	struct cid attrs = bytes_cid(l->dir->dir->listing_attrs);
	int r = list_dots(l);

	if (!r && listing.version != 0xff && l->pos < SPECIAL_COOKIE) {
		r = dag_list(l->f->cfg.source, &listing, l->pos - POS_ENTRIES, on_base, l,
			     &l->lack->blocks);
		if (r == 1)
			r = 0;
	}
	if (!r && attrs.version != 0xff && l->pos < ADDED_COOKIE)
		r = clean_specials(l->f->cfg.source, &attrs,
				   l->pos < SPECIAL_COOKIE ? 0 : l->pos - SPECIAL_COOKIE,
				   on_special, l, &l->lack->blocks);
	return r ? r : list_added(l);
}

int folder_list(struct folder *f, uint64_t dir, uint64_t pos, bool plus, folder_each_fn each,
		void *arg, struct lack *lack)
{
	struct listing l = { .f = f, .plus = plus, .each = each, .arg = arg, .lack = lack,
			     .pos = pos };
	int r;

	load_begin(f);
	r = inode_get(f, dir, &l.dir, lack);
	if (!r && !l.dir->dir)
		r = -ENOTDIR;
	if (!r)
		r = list(&l);
	load_end(f);
	if (r == STOP_BEFORE || (r < 0 && l.given))
		return 0; /* what there is; the next call meets the error first */
	return r;
}

int directory_each(struct folder *f, struct inode *dir, folder_each_fn each, void *arg,
		   struct lack *lack)
{
	struct listing l = { .f = f, .dir = dir, .each = each, .arg = arg, .lack = lack,
			     .pos = POS_ENTRIES };

	return list(&l);
}

static int on_any(void *arg, const struct folder_entry *e)
{
	*(bool *)arg = true;
	return 1;
}

int directory_empty(struct folder *f, struct inode *dir, struct lack *lack)
{
	bool any = false;
	int r = directory_each(f, dir, on_any, &any, lack);

	return any ? 0 : r < 0 ? r : 1;
}
