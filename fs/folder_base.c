#include "fs/folder_internal.h"

#include "fs/folder_clean_attrs.h"
#include "store/error.h"

#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <unistd.h>
#include <xxhash.h>

/* Numbers of clean things; those of new things are smaller. */
#define CLEAN_INO (UINT64_C(1) << 62)

uint64_t base_ino(struct folder *f, uint64_t dir, const char *name, size_t len)
{
	uint8_t text[16 + 8 + NAME_MAX_BYTES];

	memcpy(text, f->key, 16);
	put_be(text + 16, dir);
	memcpy(text + 24, name, len);
	return CLEAN_INO | (XXH3_64bits(text, 24 + len) >> 2);
}

/* ---- objects made of the base ---- */

static int set_cid(struct bytes **at, const struct cid *c)
{
	uint8_t bytes[CID_SIZE_MAX];

	free(*at);
	*at = NULL;
	if (c->version == 0xff)
		return 0;
	*at = bytes_new(bytes, cid_encode(c, bytes));
	return *at ? 0 : -ENOMEM;
}

void clean_core(const struct attrs_entry *a, const struct dag_attr *d, struct inode_core *c)
{
	static const mode_t types[] = { S_IFREG, S_IFREG, S_IFDIR, S_IFLNK };
	static const mode_t specials[] = { 0, S_IFIFO, S_IFSOCK, S_IFCHR, S_IFBLK };
	static const mode_t modes[] = { 0644, 0644, 0755, 0777 };

	*c = (struct inode_core){ .nlink = 1 };
	c->mode = a->special ? specials[a->special] | 0644 : types[d->type] | modes[d->type];
	/* Set-id bits in a tree are a stranger's wish (hostile.md 82); ours are attributes. */
	if (d->has_mode)
		c->mode = (c->mode & S_IFMT) | (d->mode & 01777);
	if (a->has & ATTRS_MODE)
		c->mode = (c->mode & S_IFMT) | (a->mode & 07777);
	c->uid = a->has & ATTRS_UID ? a->uid : getuid();
	c->gid = a->has & ATTRS_GID ? a->gid : getgid();
	c->size = a->special || d->type == DAG_DIR ? 0 : d->size;
	if (a->special == ATTRS_CHAR || a->special == ATTRS_BLOCK)
		c->rdev = makedev(a->major, a->minor);
	if (d->has_mtime)
		c->mtime = (struct timespec){ d->mtime, d->mtime_nsec };
	if (a->has & ATTRS_MTIME)
		c->mtime = (struct timespec){ a->mtime.sec, a->mtime.nsec };
	c->ctime = c->atime = c->mtime;
	if (a->has & ATTRS_CTIME)
		c->ctime = (struct timespec){ a->ctime.sec, a->ctime.nsec };
}

static int clean_xattrs(struct inode *i, const struct attrs_entry *a)
{
	struct cursor in = attrs_xattrs(a);
	struct attrs_xattr x;

	while (attrs_xattrs_next(&in, &x) > 0)
		if (xattr_put(i, x.name, x.name_len, x.value, x.value_len) < 0)
			return -ENOMEM;
	return 0;
}

static int make_clean(struct folder *f, uint64_t ino, struct inode **out,
		      const struct cid *cid, uint64_t tsize, const struct cid *attrs_cid,
		      const struct attrs_entry *a, const struct dag_attr *d)
{
	struct inode *i = inode_add(f, ino);
	int r = -ENOMEM;

	if (!i)
		return -ENOMEM;
	clean_core(a, d, &i->core);
	r = clean_xattrs(i, a);
	if (!r && cid)
		r = set_cid(&i->base, cid);
	i->base_size = i->core.size;
	i->base_tsize = tsize;
	i->unsure = cid && cid->codec == CODEC_RAW;
	if (!r && S_ISDIR(i->core.mode)) {
		r = directory_make(i);
		if (!r)
			r = set_cid(&i->dir->attrs, attrs_cid);
		if (!r && cid)
			r = set_cid(&i->dir->listing, cid);
		if (!r)
			r = set_cid(&i->dir->listing_attrs, attrs_cid);
		if (!r)
			i->dir->whole = true;
	}
	if (r < 0) {
		inode_remove(f, i);
		return r;
	}
	i->derived = true;
	*out = i;
	return 0;
}

/* The size of a raw leaf is taken from its entry, so a listing needs no leaves. */
int entry_type(struct folder *f, const struct dag_entry *e, struct dag_attr *a,
		   struct lack *lack)
{
	int r;

	if (e->cid.codec == CODEC_RAW && e->tsize > 0 && e->tsize <= BLOCK_MAX) {
		*a = (struct dag_attr){ .type = DAG_FILE, .size = e->tsize };
		return 0;
	}
	r = dag_stat(f->cfg.source, &e->cid, a, &lack->blocks);
	return r == 0 && a->size > INT64_MAX ? -EOVERFLOW : r;
}

int clean_child(struct folder *f, struct inode *dir, const char *name, size_t len,
		const struct dag_entry *e, struct inode **out, struct lack *lack)
{
	uint64_t ino = base_ino(f, dir->ino, name, len);
	struct cid attrs, sub = { .version = 0xff };
	struct attrs_entry said = { 0 };
	struct block *hold = NULL;
	struct dag_attr d = { 0 };
	int r;

	*out = inode_find(f, ino);
	if (*out)
		return 1;
	attrs = bytes_cid(dir->dir->attrs);
	if (e) {
		r = entry_type(f, e, &d, lack);
		if (r < 0)
			return r;
	}
	r = clean_attrs(f->cfg.source, &attrs, name, len, e && d.type == DAG_DIR, &said,
			&sub, &hold, &lack->blocks);
	if (r < 0)
		return r;
	/* Attributes of what is not there say nothing; what is there is not special. */
	if (e)
		said.special = 0;
	else if (!said.special)
		goto out;
	r = make_clean(f, ino, out, e ? &e->cid : NULL, e ? e->tsize : 0, &sub, &said, &d);
	if (r < 0)
		goto out;
	r = link_add(*out, dir->ino, name, len);
	if (r < 0) {
		(*out)->derived = false;
		inode_remove(f, *out);
		goto out;
	}
	dir->pins++;
	r = 1;
out:
	block_unref(hold);
	return r;
}

int base_child(struct folder *f, struct inode *dir, const char *name, size_t len,
	       struct inode **out, struct lack *lack)
{
	struct cid base = bytes_cid(dir->base);
	struct dag_entry e;
	int r = -ENOENT;

	if (base.version != 0xff)
		r = dag_lookup(f->cfg.source, &base, name, len, &e, &lack->blocks);
	if (r < 0 && r != -ENOENT)
		return r;
	if (r < 0 && !dir->dir->attrs)
		return 0;
	return clean_child(f, dir, name, len, r < 0 ? NULL : &e, out, lack);
}

/* The top directory, as long as it is clean. */
static int base_top(struct folder *f, struct inode **out, struct lack *lack)
{
	struct cid root = bytes_cid(f->root), attrs = bytes_cid(f->root_attrs);
	struct attrs_entry said = { 0 };
	struct block *hold = NULL;
	struct dag_attr d;
	int r = dag_stat(f->cfg.source, &root, &d, &lack->blocks);

	if (r < 0)
		return r;
	if (d.type != DAG_DIR)
		return -ENOTDIR;
	r = clean_self(f->cfg.source, &attrs, &said, &hold, &lack->blocks);
	said.special = 0;
	if (!r)
		r = make_clean(f, FOLDER_ROOT, out, &root, 0, &attrs, &said, &d);
	block_unref(hold);
	return r;
}

/* ---- whatever it is ---- */

/*
 * A directory that nobody stands in is listed by the newest snapshot from now on:
 * positions in its listing are remembered by nobody.  The log hears of it before any
 * entry changes.
 */
static int relist(struct folder *f, struct inode *i)
{
	struct directory *d = i->dir;
	struct bytes *listing, *attrs = NULL;

	if (f->replaying || d->n_changed || known_count(&f->known, i->ino) || !i->core.nlink ||
	    (bytes_equal(i->base, d->listing) && bytes_equal(d->attrs, d->listing_attrs)))
		return 0;
	listing = i->base ? bytes_new(i->base->data, i->base->len) : NULL;
	attrs = d->attrs ? bytes_new(d->attrs->data, d->attrs->len) : NULL;
	if ((i->base && !listing) || (d->attrs && !attrs)) {
		free(listing);
		free(attrs);
		return -ENOMEM;
	}
	free(d->listing);
	free(d->listing_attrs);
	d->listing = listing;
	d->listing_attrs = attrs;
	d->rebased = f->recording;
	d->relisted = true;
	return save_inode(f, i);
}

/* What an entry is under a listing that is newer than its last change. */
static void rebase_entry(struct inode *dir, struct entry *e)
{
	if (e->number > dir->dir->rebased || e->changed)
		return;
	if (e->cookie)
		added_remove(dir->dir, e);
	e->cookie = 0;
	e->listed = e->snapped;
}

/* What is in memory, or in the table, or the top: 1, 0 or an error. */
static int load(struct folder *f, uint64_t ino, struct inode **out, struct lack *lack)
{
	int r;

	*out = inode_find(f, ino);
	if (*out)
		return 1;
	r = table_inode(f, ino, out);
	if (!r && ino == FOLDER_ROOT)
		r = base_top(f, out, lack) ?: 1;
	if (r > 0 && (*out)->dir)
		r = relist(f, *out) ?: 1;
	return r;
}

/* Looks in a directory's base for the name that has this number. */
struct finding {
	struct folder *f;
	struct inode *dir, *found;
	uint64_t ino;
	struct lack *lack;
};

static int find_clean(struct finding *w, const char *name, size_t len,
		      const struct dag_entry *e)
{
	int r;

	if (base_ino(w->f, w->dir->ino, name, len) != w->ino)
		return 0;
	r = clean_child(w->f, w->dir, name, len, e, &w->found, w->lack);
	return r < 0 ? r : 1;
}

static int on_name(void *arg, const struct dag_entry *e, uint64_t pos_behind)
{
	return find_clean(arg, e->name, e->name_len, e);
}

static int on_special(void *arg, const char *name, size_t len, const struct attrs_entry *a,
		      uint64_t number)
{
	return find_clean(arg, name, len, NULL);
}

/* A clean thing that the kernel knows, and whose object was let go. */
static int find_again(struct folder *f, struct inode *dir, uint64_t ino, struct inode **out,
		      struct lack *lack)
{
	struct finding w = { .f = f, .dir = dir, .ino = ino, .lack = lack };
	struct cid base = bytes_cid(dir->base), attrs;
	uint64_t in;
	uint32_t place;
	int r = 0;

	if (!dir->dir || dir->gone || !known_place(&f->known, ino, &in, &place))
		return -ESTALE;
	if (base.version != 0xff)
		r = dag_list_at(f->cfg.source, &base, place, on_name, &w, &lack->blocks);
	attrs = bytes_cid(dir->dir->attrs);
	if (!r)
		r = clean_specials(f->cfg.source, &attrs, 0, on_special, &w, &lack->blocks);
	*out = w.found;
	return r < 0 ? r : w.found ? 0 : -ESTALE;
}

int inode_get(struct folder *f, uint64_t ino, struct inode **out, struct lack *lack)
{
	struct buf below = { 0 };
	struct inode *i;
	uint32_t place;
	int r;

	/* Up to what is here, and from there down again. */
	while ((r = load(f, ino, &i, lack)) == 0) {
		buf_u64le(&below, ino);
		r = below.failed				   ? -ENOMEM
		    : known_place(&f->known, ino, &ino, &place) ? 0
								: -ESTALE;
		if (r < 0)
			break;
	}
	while (r >= 0 && below.len) {
		struct cursor last = cursor_over(below.data + below.len - 8, 8);

		below.len -= 8;
		r = find_again(f, i, cursor_u64le(&last), &i, lack);
	}
	buf_release(&below);
	if (r >= 0 && i->gone)
		r = -ESTALE;
	if (r < 0)
		return r;
	*out = i;
	return 0;
}

int inode_get_dir(struct folder *f, uint64_t ino, struct inode **out, struct lack *lack)
{
	int r = inode_get(f, ino, out, lack);

	if (r < 0)
		return r;
	if (!(*out)->dir)
		return -ENOTDIR;
	return (*out)->core.nlink ? 0 : -ENOENT;
}

int entry_get(struct folder *f, struct inode *dir, const char *name, size_t len,
	      struct entry **out)
{
	struct entry *e = entry_find(f, dir->ino, name, len);
	int r;

	*out = NULL;
	if (!e) {
		if (dir->dir->whole)
			return 0;
		r = table_entry(f, dir->ino, name, len, &e);
		if (r <= 0)
			return r;
	}
	rebase_entry(dir, e);
	if (e->gone || (!e->ino && !e->listed && !e->snapped))
		return 0;
	*out = e;
	return 1;
}

int name_find(struct folder *f, struct inode *dir, const char *name, struct found *out,
	      struct lack *lack)
{
	size_t len = strlen(name);
	int r;

	*out = (struct found){ .dir = dir, .name = name };
	if (len > NAME_MAX_BYTES)
		return -ENAMETOOLONG;
	if (!len || strchr(name, '/'))
		return -EINVAL;
	out->len = (uint8_t)len;
	r = entry_get(f, dir, name, len, &out->entry);
	if (r < 0)
		return r;
	if (r) {
		if (!out->entry->ino)
			return 0;
		r = inode_get(f, out->entry->ino, &out->inode, lack);
		return r == -ESTALE ? ERR_CORRUPT : r;
	}
	r = base_child(f, dir, name, len, &out->inode, lack);
	return r < 0 ? r : 0;
}

/* ---- taking over ---- */

/* A raw leaf has the size that its block has. */
int inode_sure(struct folder *f, struct inode *i, struct lack *lack)
{
	struct cid c = bytes_cid(i->base);
	struct dag_attr d;
	int r;

	if (!i->unsure)
		return 0;
	r = dag_stat(f->cfg.source, &c, &d, &lack->blocks);
	if (r < 0)
		return r;
	i->core.size = i->base_size = d.size;
	i->unsure = false;
	return 0;
}

static void adopt_one(struct folder *f, struct inode *i)
{
	struct update u = { .kind = UPDATE_BASE, .ino = i->ino, .size = i->base_size,
			    .tsize = i->base_tsize };

	record_inode(f, i->ino, &i->core, 0);
	if (i->base) {
		u.cid = i->base->data;
		u.cid_len = i->base->len;
	}
	if (i->dir && i->dir->attrs) {
		u.attrs = i->dir->attrs->data;
		u.attrs_len = i->dir->attrs->len;
	}
	update_encode(&f->record, &u);
	if (i->dir) {
		u.kind = UPDATE_LISTING;
		update_encode(&f->record, &u);
	}
	for (struct xattr *x = i->xattrs; x; x = x->next) {
		u = (struct update){ .kind = UPDATE_XATTR,
				     .ino = i->ino,
				     .name = (const uint8_t *)x->name,
				     .name_len = x->name_len,
				     .value = xattr_value(x),
				     .value_len = x->len };
		update_encode(&f->record, &u);
	}
	for (struct link *l = i->links; l; l = l->next) {
		u = (struct update){ .kind = UPDATE_ENTRY,
				     .flags = ENTRY_LISTED | ENTRY_SNAPPED,
				     .type = (uint8_t)((i->core.mode & S_IFMT) >> 12),
				     .dir = l->dir,
				     .ino = i->ino,
				     .name = (const uint8_t *)l->name,
				     .name_len = l->len };
		update_encode(&f->record, &u);
	}
}

/* Known until change_end(). */
static int adopting_add(struct folder *f, struct inode *i)
{
	if (f->adopting.n == f->adopting.cap) {
		uint32_t cap = f->adopting.cap ? 2 * f->adopting.cap : 16;
		void **v = realloc(f->adopting.v, cap * sizeof *v);

		if (!v)
			return -ENOMEM;
		f->adopting.v = v;
		f->adopting.cap = cap;
	}
	f->adopting.v[f->adopting.n++] = i;
	i->adopting = true;
	return 0;
}

int inode_adopt(struct folder *f, struct inode *i, struct lack *lack)
{
	struct inode *next;
	int r;

	if (!i->derived)
		return 0;
	r = inode_sure(f, i, lack);
	if (r < 0)
		return r;
	/* From the top down; what this record has taken over already is marked. */
	while (i->derived && !i->adopting) {
		struct inode *top = i;

		while (top->links && (next = inode_find(f, top->links->dir)) &&
		       next->derived && !next->adopting)
			top = next;
		adopt_one(f, top);
		r = adopting_add(f, top);
		if (r < 0)
			return r;
	}
	return 0;
}

/* ---- updates ---- */

void record_inode(struct folder *f, uint64_t ino, const struct inode_core *c,
		  unsigned flags)
{
	const struct update u = {
		.kind = UPDATE_INODE, .flags = (uint8_t)flags, .ino = ino, .core = *c
	};

	update_encode(&f->record, &u);
}

void record_free(struct folder *f, uint64_t ino)
{
	const struct update u = { .kind = UPDATE_FREE, .ino = ino };

	update_encode(&f->record, &u);
}

static uint8_t put_cid(uint8_t out[CID_SIZE_MAX], const struct cid *c)
{
	return c && c->version != 0xff ? (uint8_t)cid_encode(c, out) : 0;
}

void record_listing(struct folder *f, uint64_t ino, uint64_t upto, const struct cid *cid,
		    const struct cid *attrs)
{
	uint8_t a[CID_SIZE_MAX], b[CID_SIZE_MAX];
	struct update u = { .kind = UPDATE_LISTING, .ino = ino, .upto = upto, .cid = a,
			    .attrs = b };

	u.cid_len = put_cid(a, cid);
	u.attrs_len = put_cid(b, attrs);
	update_encode(&f->record, &u);
}

void record_base(struct folder *f, uint64_t ino, uint64_t size, uint64_t tsize, uint64_t upto,
		 const struct cid *cid, const struct cid *attrs)
{
	uint8_t a[CID_SIZE_MAX], b[CID_SIZE_MAX];
	struct update u = { .kind = UPDATE_BASE, .ino = ino, .size = size, .tsize = tsize,
			    .upto = upto, .cid = a, .attrs = b };

	u.cid_len = put_cid(a, cid);
	u.attrs_len = put_cid(b, attrs);
	update_encode(&f->record, &u);
}

void record_extent(struct folder *f, uint64_t ino, unsigned place, uint64_t offset,
		   uint64_t len, uint64_t from)
{
	const struct update u = { .kind = UPDATE_EXTENT,
				  .flags = (uint8_t)place,
				  .ino = ino,
				  .offset = offset,
				  .len = len,
				  .from = from };

	update_encode(&f->record, &u);
}

void record_entry(struct folder *f, const struct found *at, uint64_t ino, mode_t mode)
{
	struct update u = { .kind = UPDATE_ENTRY,
			    .flags = ENTRY_CHANGED,
			    .type = ino ? (uint8_t)((mode & S_IFMT) >> 12) : 0,
			    .dir = at->dir->ino,
			    .ino = ino,
			    .name = (const uint8_t *)at->name,
			    .name_len = at->len };

	if (at->dir->dir->relisted) {
		struct directory *d = at->dir->dir;
		struct cid listing = bytes_cid(d->listing), attrs = bytes_cid(d->listing_attrs);

		record_listing(f, at->dir->ino, d->rebased, &listing, &attrs);
	}
	if (at->entry ? at->entry->listed : at->inode != NULL)
		u.flags |= ENTRY_LISTED;
	if (at->entry ? at->entry->snapped : at->inode != NULL)
		u.flags |= ENTRY_SNAPPED;
	/* A name that goes on to be there keeps its place in listings. */
	if (ino && at->inode)
		u.cookie = at->entry ? at->entry->cookie : 0;
	else if (ino)
		u.cookie = ADDED_COOKIE + 2 * folder_log_end(f->log).number + f->added++ % 2;
	update_encode(&f->record, &u);
}
