#include "fs/tree.h"

#include "store/error.h"
#include "store/log.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* Before the entries of a directory come "." and "..". */
#define POS_ENTRIES 2
/* Look-ups that meet a move start again; a name does not move that often. */
#define TRIES 8

/*
 * The attributes of what an entry names.  The size of a raw leaf is taken from
 * its entry, so a listing needs no leaves; tree_read() finds a lie.
 */
static int child_attr(struct tree *t, const struct dag_entry *e, struct dag_attr *a,
		      struct misses *misses)
{
	int r;

	if (e->cid.codec == CODEC_RAW && e->tsize > 0 && e->tsize <= BLOCK_MAX) {
		*a =
		    (struct dag_attr){ .type = DAG_FILE, .size = e->tsize, .mode = 0644 };
		return 0;
	}
	r = dag_stat(t->source, &e->cid, a, misses);
	if (r == 0 && a->size > INT64_MAX)
		r = -EOVERFLOW;
	return r;
}

static int open_child(struct tree *t, const struct inode_info *dir, const char *name,
		      const struct cid *cid, const struct dag_attr *a, uint64_t pos,
		      struct inode_info *out)
{
	if (a->type == DAG_DIR)
		return inodes_dir(t->inodes, dir->id, dir->version, name, strlen(name),
				  cid, a, pos, out);
	return inodes_file(t->inodes, cid, a, dir->id, pos, out);
}

const struct tree_shelf *tree_shelf(struct tree *t, uint64_t dir)
{
	return dir == INODE_SHELF ? t->shelf : dir == INODE_FOLDERS ? t->folders : NULL;
}

static int lookup_once(struct tree *t, uint64_t id, const char *name,
		       struct inode_info *out, struct lack *lack)
{
	struct inode_info dir;
	struct dag_entry e = { .tsize = 0 };
	struct dag_attr a;
	int r = inodes_get(t->inodes, id, &dir);

	if (r < 0)
		return r;
	if (id == INODE_ROOT && t->shelf) {
		return strcmp(name, "snapshots") == 0
			   ? inodes_get(t->inodes, INODE_SHELF, out)
			   : -ENOENT;
	} else if (id == INODE_ROOT && dir.kind == INODE_TOP) {
		bool ipfs = strcmp(name, "ipfs") == 0;

		if (t->folders && strcmp(name, "folders") == 0)
			return inodes_get(t->inodes, INODE_FOLDERS, out);
		if (!ipfs && strcmp(name, "ipns") != 0)
			return -ENOENT;
		return inodes_get(t->inodes, ipfs ? INODE_IPFS : INODE_IPNS, out);
	}
	if (id == INODE_IPFS) {
		if (cid_parse(&e.cid, name, strlen(name)) < 0)
			return -ENOENT;
		lack->top = e.cid;
	} else if (id == INODE_IPNS) {
		struct peer_id peer;

		if (!t->name || peer_parse(&peer, name, strlen(name)) < 0)
			return -ENOENT;
		r = t->name(t->name_arg, &peer, &e.cid);
		if (r == ERR_MISSING)
			lack->name = peer;
		if (r < 0)
			return r;
		lack->top = e.cid;
	} else if (id == INODE_SHELF || id == INODE_FOLDERS) {
		const struct tree_shelf *shelf = tree_shelf(t, id);

		r = shelf ? shelf->root(shelf->arg, name, &e.cid) : -ENOENT;
		if (r < 0)
			return r;
		lack->top = e.cid;
	} else {
		if (dir.kind != INODE_DIR)
			return -ENOTDIR;
		r = dag_lookup(t->source, &dir.cid, name, strlen(name), &e,
			       &lack->blocks);
		if (r < 0)
			return r;
	}
	r = child_attr(t, &e, &a, &lack->blocks);
	if (r < 0)
		return r;
	return open_child(t, &dir, name, &e.cid, &a, 0, out);
}

int tree_lookup(struct tree *t, uint64_t dir, const char *name, struct inode_info *out,
		struct lack *lack)
{
	int r = -EAGAIN;

	if (strlen(name) > NAME_MAX_BYTES)
		return -ENAMETOOLONG;
	for (int i = 0; i < TRIES && r == -EAGAIN; i++)
		r = lookup_once(t, dir, name, out, lack);
	return r;
}

struct tree_listing {
	struct tree *tree;
	struct inode_info dir;
	tree_each_fn each;
	void *arg;
	struct misses *children;
	unsigned given;

	/* of the entry that each() has */
	const struct dag_entry *entry;
	struct dag_attr attr;
	int attr_result;
	uint64_t pos;
};

/* A private number to leave dag_list() before an entry, which it would not do. */
#define STOP_BEFORE (-ENOSPC)

static int on_entry(void *arg, const struct dag_entry *de, uint64_t pos)
{
	struct tree_listing *l = arg;
	struct tree_entry e = { .name = de->name, .listing = l };
	size_t missed = l->children ? l->children->n : 0;

	if (pos > INT64_MAX - POS_ENTRIES)
		return -EOVERFLOW;
	l->entry = de;
	l->pos = pos + POS_ENTRIES;
	l->attr_result = child_attr(l->tree, de, &l->attr, l->children);
	e.next = l->pos;
	if (l->attr_result < 0) {
		/* Some number that is not 0; the look-up will tell the true one. */
		e.ino = inode_dir_id(l->dir.id, de->name, de->name_len);
	} else if (l->attr.type == DAG_DIR) {
		e.kind = INODE_DIR;
		e.ino = inode_dir_id(l->dir.id, de->name, de->name_len);
	} else {
		e.kind = l->attr.type == DAG_SYMLINK ? INODE_SYMLINK : INODE_FILE;
		e.ino = inode_file_id(&de->cid, &l->attr);
	}
	if (l->each(l->arg, &e) != 0) {
		if (l->children)
			l->children->n = missed; /* it was not given */
		return STOP_BEFORE;
	}
	l->given++;
	return 0;
}

int tree_entry_open(const struct tree_entry *e, struct inode_info *out)
{
	struct tree_listing *l = e->listing;

	if (!l)
		return -ENOENT;
	if (l->attr_result < 0)
		return l->attr_result;
	return open_child(l->tree, &l->dir, e->name, &l->entry->cid, &l->attr, l->pos,
			  out);
}

static int list_shelf(const struct tree_shelf *shelf, uint64_t dir, uint64_t pos,
		      tree_each_fn each, void *arg)
{
	char name[NAME_MAX_BYTES + 1];
	int r = 0;

	for (; r == 0 && (r = shelf->name(shelf->arg, pos - POS_ENTRIES, name)) == 0; pos++) {
		struct tree_entry e = {
			.name = name,
			.ino = inode_dir_id(dir, name, strlen(name)),
			.kind = INODE_DIR,
			.next = pos + 1,
		};

		r = each(arg, &e);
	}
	return r == -ENOENT ? 1 : r;
}

/* "." and "..", and the fixed names at the top. */
static int list_fixed(struct tree *t, const struct inode_info *dir, uint64_t *pos,
		      tree_each_fn each, void *arg)
{
	static const struct tree_entry all[] = {
		{ "ipfs", INODE_IPFS, INODE_TOP, 3, NULL },
		{ "ipns", INODE_IPNS, INODE_TOP, 4, NULL },
		{ "folders", INODE_FOLDERS, INODE_TOP, 5, NULL },
	};
	static const struct tree_entry past[] = {
		{ "snapshots", INODE_SHELF, INODE_TOP, 3, NULL },
	};
	const struct tree_entry *top = t->shelf ? past : all;
	uint64_t n = t->shelf ? 1 : t->folders ? 3 : 2;
	struct tree_entry dots[] = {
		{ ".", dir->id, INODE_DIR, 1, NULL },
		{ "..", dir->parent ? dir->parent : dir->id, INODE_DIR, 2, NULL },
	};

	for (; *pos < POS_ENTRIES; ++*pos) {
		if (each(arg, &dots[*pos]) != 0)
			return 1;
	}
	if (dir->kind != INODE_TOP || dir->id != INODE_ROOT)
		return 0;
	for (; *pos < POS_ENTRIES + n; ++*pos) {
		if (each(arg, &top[*pos - POS_ENTRIES]) != 0)
			return 1;
	}
	return 0;
}

int tree_list(struct tree *t, uint64_t id, uint64_t pos, tree_each_fn each, void *arg,
	      struct lack *lack, struct misses *children)
{
	struct tree_listing l = {
		.tree = t, .each = each, .arg = arg, .children = children
	};
	bool dots = pos < POS_ENTRIES;
	int r = inodes_get(t->inodes, id, &l.dir);

	if (r < 0)
		return r;
	if (l.dir.kind != INODE_DIR && l.dir.kind != INODE_TOP)
		return -ENOTDIR;
	/* A directory that cannot be listed should say so, not show two dots. */
	if (l.dir.kind == INODE_DIR && dots) {
		struct dag_attr a;

		r = dag_stat(t->source, &l.dir.cid, &a, &lack->blocks);
		if (r < 0)
			return r;
	}
	if (list_fixed(t, &l.dir, &pos, each, arg) != 0)
		return 0;
	if (tree_shelf(t, id)) {
		r = list_shelf(tree_shelf(t, id), id, pos, each, arg);
		return r < 0 && !dots ? r : 0;
	}
	if (l.dir.kind == INODE_TOP)
		return 0;
	r = dag_list(t->source, &l.dir.cid, pos - POS_ENTRIES, on_entry, &l,
		     &lack->blocks);
	if (r == STOP_BEFORE || r == 1)
		return 0;
	if (r < 0 && (l.given > 0 || dots))
		return 0; /* what there is; the next call meets the error first */
	return r;
}

static int read_copy(struct tree *t, const struct inode_info *i, uint64_t offset,
		     size_t len, struct tree_bytes *out, struct lack *lack)
{
	int64_t got;

	out->copy = malloc(len);
	if (!out->copy)
		return -ENOMEM;
	got = dag_read(t->source, &i->cid, offset, out->copy, len, &lack->blocks);
	if (got < 0)
		return got;
	out->len = got;
	return (size_t)got == len ? 0 : ERR_MALFORMED;
}

/* A leaf whose directory entry told a wrong size. */
static int resize(struct tree *t, const struct inode_info *i, size_t size)
{
	char path[4096], cid[CID_TEXT_MAX];

	inodes_resize(t->inodes, i->id, size);
	inodes_path(t->inodes, i->id, path, sizeof path);
	log_line(LOG_WARN, "%s in %s has %zu bytes, not the %llu its directory claims",
		 cid_text(&i->cid, cid), path, size, (unsigned long long)i->size);
	return -EIO;
}

int tree_read(struct tree *t, uint64_t file, uint64_t offset, size_t len,
	      struct tree_bytes *out, struct lack *lack)
{
	struct inode_info i;
	int r = inodes_get(t->inodes, file, &i);

	*out = (struct tree_bytes){ .n = 0 };
	if (r < 0)
		return r;
	if (i.kind == INODE_DIR || i.kind == INODE_TOP)
		return -EISDIR;
	if (i.kind != INODE_FILE)
		return -EINVAL;
	if (offset >= i.size || len == 0)
		return 0;
	if (len > i.size - offset)
		len = i.size - offset;

	if (i.cid.codec == CODEC_RAW) {
		struct block *b;

		r = source_try(t->source, &i.cid, &b, &lack->blocks);
		if (r < 0)
			return r;
		if (b->size != i.size) {
			out->resized = true;
			r = resize(t, &i, b->size);
			block_unref(b);
			return r;
		}
		out->extents[0] = (struct dag_extent){ b, offset, len };
		out->n = 1;
		out->len = len;
		return 0;
	}

	out->n = dag_map(t->source, &i.cid, offset, len, out->extents, TREE_EXTENTS,
			 &lack->blocks);
	r = out->n < 0 ? out->n : 0;
	if (r < 0) {
		out->n = 0;
		return r;
	}
	for (int k = 0; k < out->n; k++)
		out->len += out->extents[k].len;
	if (out->len < len) {
		tree_bytes_release(out);
		r = read_copy(t, &i, offset, len, out, lack);
		if (r < 0)
			tree_bytes_release(out);
	}
	return r;
}

void tree_bytes_release(struct tree_bytes *b)
{
	dag_extents_release(b->extents, b->n);
	free(b->copy);
	b->n = 0;
	b->copy = NULL;
	b->len = 0;
}

int tree_readlink(struct tree *t, uint64_t link, char *out, size_t max, struct lack *lack)
{
	struct inode_info i;
	int r = inodes_get(t->inodes, link, &i);

	if (r < 0)
		return r;
	if (i.kind != INODE_SYMLINK)
		return -EINVAL;
	return dag_readlink(t->source, &i.cid, out, max, &lack->blocks);
}

void tree_stat(const struct inode_info *i, struct stat *out)
{
	mode_t type = i->kind == INODE_FILE      ? S_IFREG
		      : i->kind == INODE_SYMLINK ? S_IFLNK
						 : S_IFDIR;

	*out = (struct stat){
		.st_ino = i->id,
		.st_mode = type | i->mode,
		.st_nlink = 1, /* which tells find(1) not to count sub-directories */
		.st_size = i->size,
		.st_blocks = (i->size + 511) / 512,
		.st_blksize = 4096,
		.st_mtim = { i->mtime, i->mtime_nsec },
		.st_ctim = { i->mtime, i->mtime_nsec },
		.st_atim = { i->mtime, i->mtime_nsec },
	};
}
