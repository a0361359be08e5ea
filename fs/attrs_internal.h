/*
 * What reading, writing and editing attributes share.  Private to attrs*.c.
 */
#ifndef FS_ATTRS_INTERNAL_H
#define FS_ATTRS_INTERNAL_H

#include "fs/attrs.h"
#include "store/cbor.h"

/* Levels of the trie: as many as the 64 bits of a name's hash have digits. */
#define ATTRS_LEVELS 16

uint64_t attrs_hash(const char *name, size_t len);
/* The child of an index at `level` that a hash belongs to. */
static inline unsigned attrs_digit(uint64_t hash, unsigned level)
{
	return (unsigned)(hash >> (60 - 4 * level)) & 15;
}
/* True if a hash belongs below `level` digits of `key` (its last digits). */
static inline bool attrs_within(uint64_t hash, unsigned level, uint64_t key)
{
	return level == 0 || hash >> (64 - 4 * level) == key;
}

int attrs_name_compare(const char *a, size_t a_len, const char *b, size_t b_len);

/* Parts of a node's encoding.  Fields are checked: 0, -EINVAL or -E2BIG. */
int attrs_check(const struct attrs_entry *e);
void attrs_put_entry(struct buf *out, const struct attrs_entry *e);
int attrs_put_link(struct buf *out, const struct attrs_link *l);
void attrs_put_child(struct buf *out, const struct attrs_child *c);

/*
 * A whole node: attributes of the directory (NULL or empty: none), and `n`
 * encoded items of that form.
 */
void attrs_put_node(struct buf *out, const struct attrs_entry *self, enum attrs_form form,
		    size_t n, const struct buf *items);

/* Fetch and decode a node; *block is a reference. */
int attrs_get(struct block_source *s, const struct cid *cid, struct attrs_node *out,
	      struct block **block, struct misses *misses);
/* The node that an index has as `c`: also checks that it is what the index says. */
int attrs_get_child(struct block_source *s, const struct attrs_child *c,
		    struct attrs_node *out, struct block **block, struct misses *misses);

#endif
