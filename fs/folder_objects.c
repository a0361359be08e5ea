#include "fs/folder_internal.h"

#include "store/error.h"

#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#define BITS_MIN 10

/* ---- tables ---- */

static uint32_t inode_slot(const struct folder *f, uint64_t ino)
{
	return (uint32_t)(ino * 0x9e3779b97f4a7c15u >> (64 - f->inode_bits));
}

static uint32_t entry_slot(const struct folder *f, uint64_t dir, const char *name,
			   size_t len)
{
	return (uint32_t)(XXH3_64bits_withSeed(name, len, f->seed ^ dir) >>
			  (64 - f->entry_bits));
}

struct inode *inode_find(struct folder *f, uint64_t ino)
{
	struct inode *i = f->inode_bits ? f->inodes[inode_slot(f, ino)] : NULL;

	while (i && i->ino != ino)
		i = i->next;
	if (i)
		__atomic_store_n(&i->used, true, __ATOMIC_RELAXED);
	return i;
}

static int grow_inodes(struct folder *f)
{
	uint32_t old = f->inode_bits ? 1u << f->inode_bits : 0;
	uint32_t bits = f->inode_bits ? f->inode_bits + 1 : BITS_MIN;
	struct inode **slots = calloc(1u << bits, sizeof *slots), **from = f->inodes;

	if (!slots)
		return -ENOMEM;
	f->inode_bits = bits;
	f->inodes = slots;
	for (uint32_t k = 0; k < old; k++)
		for (struct inode *i = from[k], *next; i; i = next) {
			uint32_t at = inode_slot(f, i->ino);

			next = i->next;
			i->next = slots[at];
			slots[at] = i;
		}
	free(from);
	return 0;
}

struct inode *inode_add(struct folder *f, uint64_t ino)
{
	struct inode *i;
	uint32_t at;

	if ((!f->inode_bits || f->n_inodes >= 1u << f->inode_bits) && f->inode_bits < 30 &&
	    grow_inodes(f) < 0)
		return NULL;
	i = calloc(1, sizeof *i);
	if (!i)
		return NULL;
	i->ino = ino;
	i->used = true;
	at = inode_slot(f, ino);
	i->next = f->inodes[at];
	f->inodes[at] = i;
	f->n_inodes++;
	return i;
}

struct entry *entry_find(struct folder *f, uint64_t dir, const char *name, size_t len)
{
	struct entry *e = f->entry_bits ? f->entries[entry_slot(f, dir, name, len)] : NULL;

	while (e && (e->dir != dir || e->len != len || memcmp(e->name, name, len)))
		e = e->next;
	if (e)
		__atomic_store_n(&e->used, true, __ATOMIC_RELAXED);
	return e;
}

static int grow_entries(struct folder *f)
{
	uint32_t old = f->entry_bits ? 1u << f->entry_bits : 0;
	uint32_t bits = f->entry_bits ? f->entry_bits + 1 : BITS_MIN;
	struct entry **slots = calloc(1u << bits, sizeof *slots), **from = f->entries;

	if (!slots)
		return -ENOMEM;
	f->entry_bits = bits;
	f->entries = slots;
	for (uint32_t k = 0; k < old; k++)
		for (struct entry *e = from[k], *next; e; e = next) {
			uint32_t at = entry_slot(f, e->dir, e->name, e->len);

			next = e->next;
			e->next = slots[at];
			slots[at] = e;
		}
	free(from);
	return 0;
}

struct entry *entry_add(struct folder *f, uint64_t dir, const char *name, size_t len)
{
	struct entry *e;
	uint32_t at;

	if ((!f->entry_bits || f->n_entries >= 1u << f->entry_bits) && f->entry_bits < 30 &&
	    grow_entries(f) < 0)
		return NULL;
	e = calloc(1, sizeof *e + len + 1);
	if (!e)
		return NULL;
	e->dir = dir;
	e->len = (uint8_t)len;
	e->used = true;
	memcpy(e->name, name, len);
	at = entry_slot(f, dir, name, len);
	e->next = f->entries[at];
	f->entries[at] = e;
	f->n_entries++;
	return e;
}

void entry_remove(struct folder *f, struct entry *e)
{
	struct entry **at = &f->entries[entry_slot(f, e->dir, e->name, e->len)];

	while (*at != e)
		at = &(*at)->next;
	*at = e->next;
	f->n_entries--;
	set_remove(&f->save_entries, &e->save_at);
	set_remove(&f->dirty_entries, &e->dirty_at);
	free(e);
}

int directory_make(struct inode *i)
{
	if (!i->dir)
		i->dir = calloc(1, sizeof *i->dir);
	return i->dir ? 0 : -ENOMEM;
}

static void directory_free(struct directory *d)
{
	if (!d)
		return;
	free(d->attrs);
	free(d->listing);
	free(d->listing_attrs);
	free(d->added);
	free(d);
}

static void release(struct inode *i)
{
	while (i->links) {
		struct link *l = i->links;

		i->links = l->next;
		free(l);
	}
	while (i->xattrs) {
		struct xattr *x = i->xattrs;

		i->xattrs = x->next;
		free(x);
	}
	free(i->base);
	free(i->target);
	directory_free(i->dir);
	i->base = NULL;
	i->target = NULL;
	i->dir = NULL;
	extents_release(&i->map);
}

void inode_clear(struct folder *f, struct inode *i)
{
	struct extents_live live;

	f->dirty_bytes -= i->map.data;
	extents_clear(&i->map, live_of(f, &live));
	release(i);
}

void inode_unpin(struct folder *f, struct inode *i)
{
	for (struct link *l = i->links; l; l = l->next) {
		struct inode *dir = inode_find(f, l->dir);

		if (dir && dir->pins)
			dir->pins--;
	}
}

void inode_remove(struct folder *f, struct inode *i)
{
	struct inode **at = &f->inodes[inode_slot(f, i->ino)];

	if (i->derived)
		inode_unpin(f, i);
	while (*at != i)
		at = &(*at)->next;
	*at = i->next;
	f->n_inodes--;
	set_remove(&f->save_inodes, &i->save_at);
	set_remove(&f->dirty_inodes, &i->dirty_at);
	release(i);
	free(i);
}

/* ---- parts of inodes ---- */

struct link *link_find(struct inode *i, uint64_t dir, const char *name, size_t len)
{
	struct link *l = i->links;

	while (l && (l->dir != dir || l->len != len || memcmp(l->name, name, len)))
		l = l->next;
	return l;
}

int link_add(struct inode *i, uint64_t dir, const char *name, size_t len)
{
	struct link *l;

	if (link_find(i, dir, name, len))
		return 0;
	l = malloc(sizeof *l + len + 1);
	if (!l)
		return -ENOMEM;
	l->dir = dir;
	l->len = (uint8_t)len;
	memcpy(l->name, name, len);
	l->name[len] = '\0';
	l->next = i->links;
	i->links = l;
	return 0;
}

void link_remove(struct inode *i, uint64_t dir, const char *name, size_t len)
{
	struct link *l = link_find(i, dir, name, len);

	if (!l)
		return;
	for (struct link **at = &i->links;; at = &(*at)->next)
		if (*at == l) {
			*at = l->next;
			break;
		}
	free(l);
}

struct xattr *xattr_find(struct inode *i, const char *name, size_t len)
{
	struct xattr *x = i->xattrs;

	while (x && (x->name_len != len || memcmp(x->name, name, len)))
		x = x->next;
	return x;
}

void xattr_remove(struct inode *i, const char *name, size_t len)
{
	struct xattr *x = xattr_find(i, name, len);

	if (!x)
		return;
	for (struct xattr **at = &i->xattrs;; at = &(*at)->next)
		if (*at == x) {
			*at = x->next;
			break;
		}
	free(x);
}

int xattr_put(struct inode *i, const char *name, size_t name_len, const void *value,
	      size_t len)
{
	struct xattr *x = malloc(sizeof *x + name_len + 1 + len);

	if (!x)
		return -ENOMEM;
	xattr_remove(i, name, name_len);
	x->len = (uint32_t)len;
	x->name_len = (uint8_t)name_len;
	memcpy(x->name, name, name_len);
	x->name[name_len] = '\0';
	if (len)
		memcpy(x->name + name_len + 1, value, len);
	x->next = i->xattrs;
	i->xattrs = x;
	return 0;
}

uint32_t added_seek(const struct directory *d, uint64_t cookie)
{
	uint32_t low = 0, high = d->n_added;

	while (low < high) {
		uint32_t mid = low + (high - low) / 2;

		if (d->added[mid].cookie <= cookie)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

int added_put(struct directory *d, struct entry *e)
{
	uint32_t at;

	if (d->n_added == d->cap_added) {
		uint32_t cap = d->cap_added ? 2 * d->cap_added : 4;
		struct added *more = realloc(d->added, cap * sizeof *more);

		if (!more)
			return -ENOMEM;
		d->added = more;
		d->cap_added = cap;
	}
	at = added_seek(d, e->cookie);
	if (at && d->added[at - 1].cookie == e->cookie) {
		at--;
		d->gone -= !d->added[at].entry;
	} else {
		memmove(d->added + at + 1, d->added + at,
			(d->n_added - at) * sizeof *d->added);
		d->n_added++;
	}
	d->added[at] = (struct added){ e->cookie, e };
	return 0;
}

void added_remove(struct directory *d, const struct entry *e)
{
	uint32_t at = added_seek(d, e->cookie), n = 0;

	if (!at || d->added[at - 1].cookie != e->cookie || d->added[at - 1].entry != e)
		return;
	d->added[at - 1].entry = NULL;
	d->gone++;
	/* The last ones cost nothing to drop; others are, when they are most. */
	while (d->n_added && !d->added[d->n_added - 1].entry) {
		d->n_added--;
		d->gone--;
	}
	if (d->gone < 64 || d->gone < d->n_added / 2)
		return;
	for (uint32_t k = 0; k < d->n_added; k++)
		if (d->added[k].entry)
			d->added[n++] = d->added[k];
	d->n_added = n;
	d->gone = 0;
}

/* ---- sets ---- */

static int set_add(struct set *s, void *object, uint32_t *at)
{
	if (*at)
		return 0;
	if (s->n == s->cap) {
		uint32_t cap = s->cap ? 2 * s->cap : 64;
		void **more = realloc(s->v, cap * sizeof *more);

		if (!more)
			return -ENOMEM;
		s->v = more;
		s->cap = cap;
	}
	s->v[s->n++] = object;
	*at = s->n;
	return 0;
}

void set_remove(struct set *s, uint32_t *at)
{
	void *last;

	if (!*at)
		return;
	last = s->v[--s->n];
	s->v[*at - 1] = last;
	*(uint32_t *)((char *)last + s->place) = *at;
	*at = 0;
}

int save_inode(struct folder *f, struct inode *i)
{
	return set_add(&f->save_inodes, i, &i->save_at);
}

int save_entry(struct folder *f, struct entry *e)
{
	return set_add(&f->save_entries, e, &e->save_at);
}

int dirty_inode(struct folder *f, struct inode *i, bool dirty)
{
	if (dirty)
		return set_add(&f->dirty_inodes, i, &i->dirty_at);
	set_remove(&f->dirty_inodes, &i->dirty_at);
	return 0;
}

int dirty_entry(struct folder *f, struct entry *e, bool dirty)
{
	if (dirty)
		return set_add(&f->dirty_entries, e, &e->dirty_at);
	set_remove(&f->dirty_entries, &e->dirty_at);
	return 0;
}

struct bytes *bytes_new(const void *data, size_t len)
{
	struct bytes *b = malloc(sizeof *b + len);

	if (!b)
		return NULL;
	b->len = (uint8_t)len;
	memcpy(b->data, data, len);
	return b;
}

bool bytes_equal(const struct bytes *a, const struct bytes *b)
{
	if (!a || !b)
		return a == b;
	return a->len == b->len && !memcmp(a->data, b->data, a->len);
}

struct cid bytes_cid(const struct bytes *b)
{
	struct cid c;

	if (!b || cid_decode(&c, b->data, b->len) < 0)
		c = (struct cid){ .version = 0xff };
	return c;
}

static void on_live(void *arg, uint32_t segment, int64_t bytes)
{
	struct folder *f = arg;

	folder_log_use(f->log, segment, bytes);
}

const struct extents_live *live_of(struct folder *f, struct extents_live *out)
{
	*out = (struct extents_live){ on_live, f };
	return out;
}

/* ---- eviction ---- */

uint32_t folder_objects_max = OBJECTS_MAX;

static bool can_go(struct folder *f, const struct inode *i)
{
	uint64_t dir;
	uint32_t place;

	if (i->save_at || i->pins || i->gone || i->ino == FOLDER_ROOT ||
	    !i->core.nlink)
		return false;
	if (!i->derived)
		return i->stored && !f->saving;
	/* The kernel's numbers must lead to it. */
	return !known_count(&f->known, i->ino) || known_place(&f->known, i->ino, &dir, &place);
}

static void evict_entry(struct folder *f, struct entry *e)
{
	struct inode *dir = inode_find(f, e->dir);

	if (dir && dir->dir) {
		dir->dir->whole = false;
		if (e->cookie)
			added_remove(dir->dir, e);
	}
	entry_remove(f, e);
}

void objects_evict(struct folder *f, uint32_t steps)
{
	/* A clock: what was used since the hand came by last stays once more. */
	for (; f->n_inodes + f->n_entries > folder_objects_max && steps; steps--, f->hand++) {
		uint32_t slot = f->hand & ((1u << f->inode_bits) - 1);

		for (struct inode *i = f->inodes[slot], *next; i; i = next) {
			next = i->next;
			if (i->used)
				i->used = false;
			else if (can_go(f, i))
				inode_remove(f, i);
		}
		if (!f->entry_bits)
			continue;
		slot = f->hand & ((1u << f->entry_bits) - 1);
		for (struct entry *e = f->entries[slot], *next; e; e = next) {
			next = e->next;
			if (e->used)
				e->used = false;
			else if (!e->save_at && e->stored && !f->saving)
				evict_entry(f, e);
		}
	}
}

void objects_free(struct folder *f)
{
	for (uint32_t k = 0; f->inode_bits && k < 1u << f->inode_bits; k++)
		while (f->inodes[k]) {
			struct inode *i = f->inodes[k];

			f->inodes[k] = i->next;
			release(i);
			free(i);
		}
	for (uint32_t k = 0; f->entry_bits && k < 1u << f->entry_bits; k++)
		while (f->entries[k]) {
			struct entry *e = f->entries[k];

			f->entries[k] = e->next;
			free(e);
		}
	free(f->inodes);
	free(f->entries);
	free(f->save_inodes.v);
	free(f->save_entries.v);
	free(f->dirty_inodes.v);
	free(f->dirty_entries.v);
	free(f->dying_inodes.v);
	free(f->dying_entries.v);
	free(f->adopting.v);
	known_release(&f->known);
}
