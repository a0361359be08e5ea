/*
 * The pages of LMDB's file, for those who read them: index_pages.c, which looks
 * through all, and index_look.c, which looks one name up.
 */
#ifndef STORE_INDEX_PAGES_INTERNAL_H
#define STORE_INDEX_PAGES_INTERNAL_H

#include "store/index_look.h"
#include "store/index_pages.h"

#include <stdbool.h>
#include <string.h>

#define PAGE_HEAD  16
#define PAGE_MIN   512
#define PAGE_MAX   32768 /* so that `lower` and `upper` have room in 16 bits */
#define META_MAGIC 0xBEEFC0DEu
#define VERSION    1
#define DEPTH_MAX  32
#define KEY_MAX    511
#define NO_ROOT    UINT64_MAX
#define MAP_MAX    ((uint64_t)1 << 47)

/* Flags of pages, nodes and trees. */
#define BRANCH	    0x01
#define LEAF	    0x02
#define OVERFLOW    0x04
#define META	    0x08
#define DIRTY	    0x10 /* has no meaning on disk */
#define NODE_BIG    0x01
#define NODE_TABLE  0x02
#define INTEGER_KEY 0x08

/* As they lie in the file, in the machine's order. */
struct meta_page {
	uint32_t magic, version;
	uint64_t address, map_size;
	struct index_tree free, main; /* free.pad: the size of a page */
	uint64_t last_page, transaction;
};
_Static_assert(sizeof(struct index_tree) == 48 && sizeof(struct meta_page) == 136, "as LMDB has them");

/* What a node in a leaf holds. */
struct index_node {
	const uint8_t *key, *value;
	size_t key_size, value_size;
	unsigned flags;
};

static inline uint16_t u16(const uint8_t *p)
{
	uint16_t n;

	memcpy(&n, p, sizeof n);
	return n;
}

static inline uint64_t u64(const uint8_t *p)
{
	uint64_t n;

	memcpy(&n, p, sizeof n);
	return n;
}

/* Meta page `i`, if it is one. */
bool index_meta_at(const uint8_t *head, size_t len, uint32_t page_size, unsigned i,
		   struct meta_page *out);
/* As the first meta page says; 0 if it says nothing sensible. */
uint32_t index_page_size(const uint8_t *head, size_t len);
/* The bounds of a page of a tree: how many nodes it has, or 0 if it is none. */
unsigned index_page_nodes(const uint8_t *page, uint32_t page_size, uint64_t number);

#endif
