/*
 * Does a block still have the bytes its name says?  For those who doubt the
 * disk: reading trusts the checksum of a record, this asks the name itself.
 */
#include "store/error.h"
#include "store/store_internal.h"

/* Of the record at a place, on the disk. */
static int check_place(struct store *s, const struct multihash *name,
		       const struct record_name *key, const struct place *at)
{
	struct block *b = NULL;
	uint8_t *data;
	int r = block_reserve(&b, name, at->size, &data);

	if (!r)
		r = at->kind == RECORD_BUNDLE ? store_read_member(s, key, at, true, data)
					      : store_read(s, key, at, data);
	if (!r)
		r = multihash_check(name, data, at->size);
	block_unref(b);
	return r == ERR_MALFORMED ? ERR_CORRUPT : r;
}

/* The same, and where it was. */
static int check(struct store *s, const struct multihash *name, struct record_name *key,
		 struct place *at)
{
	struct place before;
	int r = store_find_any(s, key, at), found;

	if (r <= 0)
		return r < 0 ? r : ERR_MISSING;
	do {
		r = check_place(s, name, key, at);
		if (r != ERR_CORRUPT)
			return r;
		/* A writer may have moved or dropped it under our eyes. */
		before = *at;
		found = store_find_any(s, key, at);
		if (found <= 0)
			return found < 0 ? found : ERR_MISSING;
	} while (at->segment != before.segment || at->offset != before.offset);
	return ERR_CORRUPT;
}

int store_check(struct store *s, const struct multihash *name)
{
	struct record_name key;
	struct place at;

	record_name(&key, name, s->seed);
	return check(s, name, &key, &at);
}

int store_mend(struct store *s, const struct multihash *name)
{
	struct record_name key;
	struct block *kept;
	struct place at;
	int r;

	if (!s->writable)
		return -EROFS;
	record_name(&key, name, s->seed);
	r = check(s, name, &key, &at);
	if (r != ERR_CORRUPT)
		return r;
	store_drop(s, &key, &at);
	kept = s->cache ? cache_find(s->cache, name, key.hash) : NULL;
	if (!kept)
		return ERR_MISSING;
	/* What memory holds was right when it came there. */
	r = multihash_check(name, kept->data, kept->size);
	if (!r)
		r = store_put_bytes(s, name, kept->data, kept->size);
	block_unref(kept);
	return r;
}

int store_check_index(struct store *s)
{
	return index_check(s->index);
}

void store_guard(const char *last_words)
{
	index_guard(last_words);
}
