#include "fs/version.h"

#include "store/error.h"

#include <stdlib.h>
#include <string.h>

/* While it is filled, bytes may move: names and attributes are offsets until then. */
struct filling {
	struct version_dir *d;
	struct {
		size_t name, xattrs;
	} *at;
	size_t at_room;
};

static struct version_entry *add(struct filling *f, const char *name, size_t len, int *error)
{
	struct version_dir *d = f->d;

	if (d->n == d->room) {
		size_t room = d->room ? 2 * d->room : 64;
		void *entries = reallocarray(d->entries, room, sizeof *d->entries);
		if (entries)
			d->entries = entries;
		void *at = reallocarray(f->at, room, sizeof *f->at);
		if (at)
			f->at = at;
		if (!entries || !at) {
			*error = -ENOMEM;
			return NULL;
		}
		d->room = room;
	}
	struct version_entry *e = &d->entries[d->n];
	*e = (struct version_entry){ .node = { { .version = 0xff }, { .version = 0xff } } };
	f->at[d->n].name = d->bytes.len;
	buf_append(&d->bytes, name, len);
	buf_u8(&d->bytes, 0);
	if (d->bytes.failed) {
		*error = -ENOMEM;
		return NULL;
	}
	d->n++;
	return e;
}

static int on_entry(void *arg, const struct dag_entry *de, uint64_t pos)
{
	int r = 0;
	struct version_entry *e = add(arg, de->name, de->name_len, &r);

	if (e) {
		e->node.cid = de->cid;
		e->tsize = de->tsize;
	}
	return r;
}

static int on_attrs(void *arg, const struct attrs_link *l)
{
	struct filling *f = arg;
	int r = 0;
	struct version_entry *e = add(f, l->name, l->name_len, &r);

	if (!e)
		return r;
	if (l->is_dir) {
		e->node.attrs = l->dir;
		return 0;
	}
	e->self = l->attrs;
	f->at[f->d->n - 1].xattrs = f->d->bytes.len;
	if (l->attrs.xattrs)
		buf_append(&f->d->bytes, l->attrs.xattrs, l->attrs.xattrs_len);
	return f->d->bytes.failed ? -ENOMEM : 0;
}

static int by_name(const void *a, const void *b)
{
	const struct version_entry *x = a, *y = b;
	int r = strcmp(x->name, y->name);

	/* The tree's half comes first. */
	return r ? r : (x->node.cid.version == 0xff) - (y->node.cid.version == 0xff);
}

/* The two halves of an entry become one; attributes of nothing are left out
 * (a stranger may have written some). */
static void join(struct version_dir *d)
{
	size_t n = 0;

	for (size_t i = 0; i < d->n; i++) {
		struct version_entry *e = &d->entries[i], *last = n ? &d->entries[n - 1] : NULL;

		if (e->node.cid.version != 0xff || e->self.special) {
			if (!last || strcmp(last->name, e->name))
				d->entries[n++] = *e;
			continue;
		}
		if (!last || strcmp(last->name, e->name))
			continue;
		last->node.attrs = e->node.attrs;
		last->self = e->self;
	}
	d->n = n;
}

int version_dir_load(struct version_dir *out, struct block_source *s, const struct version_node *dir)
{
	struct version_dir d = { 0 };
	struct filling f = { .d = &d };
	int r = 0;

	if (dir->cid.version != 0xff)
		r = dag_list(s, &dir->cid, 0, on_entry, &f, NULL);
	if (r >= 0 && dir->cid.version != 0xff && dir->attrs.version != 0xff)
		r = attrs_list(s, &dir->attrs, on_attrs, &f, NULL);
	for (size_t i = 0; i < d.n; i++) {
		struct version_entry *e = &d.entries[i];
		e->name = (char *)d.bytes.data + f.at[i].name;
		if (e->self.xattrs)
			e->self.xattrs = d.bytes.data + f.at[i].xattrs;
	}
	free(f.at);
	if (r < 0) {
		version_dir_release(&d);
		return r;
	}
	if (d.n)
		qsort(d.entries, d.n, sizeof *d.entries, by_name);
	join(&d);
	*out = d;
	return 0;
}

void version_dir_release(struct version_dir *d)
{
	free(d->entries);
	buf_release(&d->bytes);
	*d = (struct version_dir){ 0 };
}

static int to_name(const void *key, const void *e)
{
	return strcmp(key, ((const struct version_entry *)e)->name);
}

struct version_entry *version_dir_find(const struct version_dir *d, const char *name)
{
	return d->n ? bsearch(name, d->entries, d->n, sizeof *d->entries, to_name) : NULL;
}

/* ---- comparing ---- */

static bool cid_same(const struct cid *a, const struct cid *b)
{
	return a->version == 0xff || b->version == 0xff ? a->version == b->version : cid_equal(a, b);
}

static bool time_same(const struct attrs_time *a, const struct attrs_time *b)
{
	return a->sec == b->sec && a->nsec == b->nsec;
}

static bool attrs_same(const struct attrs_entry *a, const struct attrs_entry *b)
{
	return a->has == b->has &&
	       (!(a->has & ATTRS_MODE) || a->mode == b->mode) &&
	       (!(a->has & ATTRS_UID) || a->uid == b->uid) &&
	       (!(a->has & ATTRS_GID) || a->gid == b->gid) &&
	       (!(a->has & ATTRS_MTIME) || time_same(&a->mtime, &b->mtime)) &&
	       (!(a->has & ATTRS_CTIME) || time_same(&a->ctime, &b->ctime)) &&
	       (!(a->has & ATTRS_BIRTH) || time_same(&a->birth, &b->birth)) &&
	       a->special == b->special && a->major == b->major && a->minor == b->minor &&
	       a->group == b->group && a->xattrs_len == b->xattrs_len &&
	       (!a->xattrs_len || !memcmp(a->xattrs, b->xattrs, a->xattrs_len));
}

bool version_entry_same(const struct version_entry *a, const struct version_entry *b)
{
	return cid_same(&a->node.cid, &b->node.cid) && cid_same(&a->node.attrs, &b->node.attrs) &&
	       attrs_same(&a->self, &b->self);
}

/* ---- for folder_graft() ---- */

int version_self(struct block_source *s, const struct version_node *dir,
		 struct attrs_entry *out, struct block **hold)
{
	*out = (struct attrs_entry){ 0 };
	if (dir->attrs.version == 0xff)
		return 0;
	int r = attrs_self(s, &dir->attrs, out, hold, NULL);
	if (r == -ENOENT)
		*out = (struct attrs_entry){ 0 };
	return r == -ENOENT ? 0 : r;
}

int version_entry_graft(struct block_source *s, const struct version_entry *e,
			struct folder_graft *out, struct block **hold)
{
	struct dag_attr attr;
	int r;

	*out = (struct folder_graft){ .cid = e->node.cid,
				      .tsize = e->tsize,
				      .attrs = e->self,
				      .sub_attrs = { .version = 0xff } };
	if (e->node.cid.version == 0xff) {
		static const mode_t types[] = { [ATTRS_FIFO] = S_IFIFO, [ATTRS_SOCKET] = S_IFSOCK,
						[ATTRS_CHAR] = S_IFCHR, [ATTRS_BLOCK] = S_IFBLK };
		out->type = types[e->self.special];
		return 0;
	}
	r = dag_stat(s, &e->node.cid, &attr, NULL);
	if (r < 0)
		return r;
	out->size = attr.size;
	out->type = attr.type == DAG_DIR ? S_IFDIR : attr.type == DAG_SYMLINK ? S_IFLNK : S_IFREG;
	if (attr.type != DAG_DIR)
		return 0;
	out->sub_attrs = e->node.attrs;
	return version_self(s, &e->node, &out->attrs, hold);
}
