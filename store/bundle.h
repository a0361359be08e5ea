/*
 * Several small blocks in one record (doc/formats.md, "Bundles"): compressed
 * together they take less room and less time than each alone.
 *
 *	in the place of a name = u16 members | u16 bytes of the table
 *	stored bytes = table | the members' bytes behind each other: raw, or one frame
 *	table        = a member's entry, behind the other
 *	entry        = u8 name bytes | name (a multihash, encoded) | u24 bytes
 *
 * Little-endian.  The record's size is that of all members together.
 */
#ifndef STORE_BUNDLE_H
#define STORE_BUNDLE_H

#include "store/record.h"

#define BUNDLE_MEMBERS 256 /* at most */

struct bundle_member {
	const uint8_t *name; /* in the table */
	uint8_t name_size;
	uint32_t at, size; /* in the bytes of all */
};

struct bundle_table {
	uint32_t bytes; /* of the table */
	uint32_t n;
	struct bundle_member members[BUNDLE_MEMBERS];
};

void bundle_name(uint8_t out[BUNDLE_NAME], uint32_t members, uint32_t table_bytes);

/* Bytes of an entry. */
static inline size_t bundle_entry_size(size_t name_size)
{
	return 1 + name_size + 3;
}
void bundle_entry(uint8_t *out, const uint8_t *name, size_t name_size, size_t size);

/*
 * Read the table of the bundle that `rec` is (decoded), whose `name` and stored
 * bytes these are; *out points into them.  ERR_CORRUPT: it is none.
 */
int bundle_decode(struct bundle_table *out, const struct record *rec,
		  const uint8_t name[BUNDLE_NAME], const uint8_t *stored);

/* The member of that name, or NULL. */
const struct bundle_member *bundle_find(const struct bundle_table *t, const uint8_t *name,
					size_t name_size);

#endif
