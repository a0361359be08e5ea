/*
 * Is the file of the index sound?  LMDB believes its pages and has no checksums:
 * a flipped bit may crash the process, or hide entries without a word.  So the
 * file is looked through before it is written to, and by `cairn verify`: this
 * reads the format of LMDB 0.9 (data version 1) by itself, from bytes that may
 * be anything.
 *
 *	file  = meta page 0 | meta page 1 | pages; the meta page with the higher
 *		transaction counts, and has the roots of two trees
 *	free  = transaction -> list of the pages it gave up
 *	main  = name of a table -> counts and root of its tree
 *	page  = u64 number | u16 pad | u16 flags | u16 lower | u16 upper | u16 offsets of
 *		nodes, up to `lower` | nodes, from `upper` to the end
 *
 * What is in the tables is summed up: the index keeps that sum (index.h), which
 * tells when an entry was changed or lost.  The order of the entries does not
 * matter to it, so that a writer can keep it up to date.
 */
#ifndef STORE_INDEX_PAGES_H
#define STORE_INDEX_PAGES_H

#include <stddef.h>
#include <stdint.h>

/* With words of 32 bits the pages have another form, which is not looked at. */
#define INDEX_FORM_KNOWN (sizeof(size_t) == 8)

#define INDEX_HEAD 65536 /* bytes that index_head_check() likes to see */

/*
 * The meta pages, before LMDB opens the file: `head` are its first bytes, `size`
 * how many it has.  0; or ERR_CORRUPT: LMDB would stumble over them.
 */
int index_head_check(const uint8_t *head, size_t len, uint64_t size);

/* What an entry adds to the sum. */
uint64_t index_entry_sum(const char *table, const void *key, size_t key_size,
			 const void *value, size_t value_size);

#define INDEX_NEWEST UINT64_MAX /* the last transaction, whichever that is */

/*
 * All pages of the state that `transaction` left, of a file of `len` bytes: each
 * is where it says, used once, and its nodes lie inside; keys ascend; counts are
 * right.  *sum: of all entries in all tables, but for the one named "sum" in
 * the table "meta".  0, ERR_CORRUPT, -EAGAIN (no meta page is of that transaction:
 * there was another since), or -ENOMEM.
 */
int index_pages_check(const uint8_t *file, size_t len, uint64_t transaction,
		      uint64_t *sum);

/* The same of an open file, read through a mapping (index_check.c). */
int index_head_check_file(int fd);
int index_pages_check_file(int fd, uint64_t transaction, uint64_t *sum);

#endif
