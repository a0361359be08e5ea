/*
 * Looking into the file of the index without LMDB, which searches a page for ever,
 * or crashes, if it was damaged after the file was looked through (index_pages.h).
 * Here every number is compared with a bound before it is used, and no search takes
 * more steps than a tree may be deep: what is found may be wrong if a page is, but
 * it ends, within the file.  Pure; the bytes may be anything, and may change meanwhile.
 *
 * A view is of the state that one transaction left.  Its pages must not be used
 * again: the caller has a transaction of LMDB that reads it, or is the one writer.
 */
#ifndef STORE_INDEX_LOOK_H
#define STORE_INDEX_LOOK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* As LMDB has it in the file. */
struct index_tree {
	uint32_t pad;
	uint16_t flags, depth;
	uint64_t branches, leaves, overflows, entries, root;
};

struct index_view {
	const uint8_t *file;
	uint64_t pages; /* that are in use, and inside the file */
	uint64_t last_page;
	uint8_t *sound; /* a bit a page: index_view_path() found it so; NULL: not noted */
	uint32_t page_size;
	struct index_tree free, main;
};

/* `v`, of which the file has `len` bytes by now: pages at its end that are free may not
 * be there yet. */
void index_view_fit(struct index_view *v, const uint8_t *file, size_t len);

/* A view of a file of `len` bytes.  0; -EAGAIN: no meta page is of that transaction;
 * ERR_CORRUPT. */
int index_view_begin(struct index_view *v, const uint8_t *file, size_t len,
		     uint64_t transaction);

/* A table by its name.  0 or ERR_CORRUPT, also if there is none. */
int index_view_table(const struct index_view *v, const char *name, struct index_tree *out);

/* 1, and the value where it lies in the file; 0: the key is not there; ERR_CORRUPT. */
int index_view_get(const struct index_view *v, const struct index_tree *t, const void *key,
		   size_t key_size, const uint8_t **value, size_t *value_size);

/*
 * Entries behind a key (`key_size` 0: from the first), in the order of the tree, until
 * each() returns non-zero, which is passed on.  ERR_CORRUPT: also if they do not ascend.
 */
typedef int (*index_view_fn)(void *arg, const uint8_t *key, size_t key_size,
			     const uint8_t *value, size_t value_size);
int index_view_after(const struct index_view *v, const struct index_tree *t,
		     const void *key, size_t key_size, index_view_fn each, void *arg);

/*
 * Before LMDB changes the entry of a key: are all pages sound that it will read for
 * that, from the root on?  To take one out it looks at their neighbours, too.
 */
int index_view_path(const struct index_view *v, const struct index_tree *t, const void *key,
		    size_t key_size, bool neighbours);

/*
 * A sum of what a writer believes beside that: where the trees begin, where the file
 * ends, and which pages are free.  0 or ERR_CORRUPT.
 */
int index_view_sum(const struct index_view *v, uint64_t *sum);

#endif
