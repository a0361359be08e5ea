#include "fs/folder_clean_attrs.h"

#include "store/error.h"

int clean_attrs(struct block_source *s, const struct cid *dir, const char *name, size_t len,
		bool is_dir, struct attrs_entry *out, struct cid *sub, struct block **hold,
		struct misses *misses)
{
	return 0;
}

int clean_self(struct block_source *s, const struct cid *node, struct attrs_entry *out,
	       struct block **hold, struct misses *misses)
{
	return 0;
}

int clean_specials(struct block_source *s, const struct cid *node, uint64_t from,
		   int (*each)(void *arg, const char *name, size_t len,
			       const struct attrs_entry *a, uint64_t number),
		   void *arg, struct misses *misses)
{
	return 0;
}
