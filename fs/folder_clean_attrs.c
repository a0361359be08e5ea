#include "fs/folder_clean_attrs.h"

#include "store/error.h"

int clean_self(struct block_source *s, const struct cid *node, struct attrs_entry *out,
	       struct block **hold, struct misses *misses)
{
	int r;

	if (node->version == 0xff)
		return 0;
	r = attrs_self(s, node, out, hold, misses);
	return r == -ENOENT ? 0 : r;
}

int clean_attrs(struct block_source *s, const struct cid *dir, const char *name, size_t len,
		bool is_dir, struct attrs_entry *out, struct cid *sub, struct block **hold,
		struct misses *misses)
{
	struct block *page = NULL;
	struct attrs_link l;
	int r;

	if (dir->version == 0xff)
		return 0;
	r = attrs_lookup(s, dir, name, len, &l, &page, misses);
	if (r < 0)
		return r == -ENOENT ? 0 : r;
	/* What is said of a thing of another kind is not said of this one. */
	if (!l.is_dir && !is_dir) {
		*out = l.attrs;
		*hold = page;
		return 0;
	}
	block_unref(page);
	if (!l.is_dir || !is_dir)
		return 0;
	*sub = l.dir;
	return clean_self(s, sub, out, hold, misses);
}

struct specials {
	uint64_t from, number;
	int (*each)(void *arg, const char *name, size_t len, const struct attrs_entry *a,
		    uint64_t number);
	void *arg;
};

static int on_link(void *arg, const struct attrs_link *l)
{
	struct specials *s = arg;

	if (l->is_dir || !l->attrs.special)
		return 0;
	if (s->number++ < s->from)
		return 0;
	return s->each(s->arg, l->name, l->name_len, &l->attrs, s->number - 1);
}

int clean_specials(struct block_source *s, const struct cid *node, uint64_t from,
		   int (*each)(void *arg, const char *name, size_t len,
			       const struct attrs_entry *a, uint64_t number),
		   void *arg, struct misses *misses)
{
	struct specials sp = { .from = from, .each = each, .arg = arg };

	return node->version == 0xff ? 0 : attrs_list(s, node, on_link, &sp, misses);
}
