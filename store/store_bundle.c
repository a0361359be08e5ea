/*
 * Small blocks are gathered until there are enough of them to be compressed
 * together.  A thread that puts takes the first bundle that nobody else fills, so
 * that neighbours come to lie together; it closes the bundle itself when the next
 * block does not fit, while the others go on with another one.
 *
 * What cannot be written (the disk is full) stays open, and readable: whoever puts
 * or syncs next tries again, and is told.
 */
#include "store/error.h"
#include "store/store_internal.h"

#include <stdlib.h>
#include <string.h>

int store_bundles_init(struct store *s)
{
	for (int i = 0; i < BUNDLES_OPEN; i++)
		pthread_mutex_init(&s->bundles[i].busy, NULL);
	return 0;
}

void store_bundles_release(struct store *s)
{
	for (int i = 0; i < BUNDLES_OPEN; i++) {
		free(s->bundles[i].table);
		pthread_mutex_destroy(&s->bundles[i].busy);
	}
}

static struct open_member *find_member(struct open_bundle *b, const struct record_name *name)
{
	uint16_t i = b->slots[name->hash % BUNDLE_MEMBERS];

	for (; i; i = b->members[i - 1].next) {
		struct open_member *m = &b->members[i - 1];
		const uint8_t *entry = b->table + m->entry;

		if (m->hash == name->hash && *entry == name->size &&
		    !memcmp(entry + 1, name->bytes, name->size))
			return m;
	}
	return NULL;
}

static struct open_member *find_open(struct store *s, const struct record_name *name,
				     struct open_bundle **in)
{
	if (name->piece || name->log != LOG_KEEP || !s->open_blocks)
		return NULL;
	for (int i = 0; i < BUNDLES_OPEN; i++) {
		struct open_member *m =
		    s->bundles[i].n ? find_member(&s->bundles[i], name) : NULL;

		if (m) {
			*in = &s->bundles[i];
			return m;
		}
	}
	return NULL;
}

bool store_find_open(struct store *s, const struct record_name *name, struct place *out)
{
	struct open_bundle *b;
	struct open_member *m = find_open(s, name, &b);

	if (m)
		*out = (struct place){ .size = m->size, .kind = RECORD_BUNDLE };
	return m;
}

int store_read_open(struct store *s, const struct record_name *name, size_t size,
		    uint8_t *out)
{
	struct open_bundle *b;
	int r = ERR_MISSING;

	pthread_mutex_lock(&s->lock);
	struct open_member *m = find_open(s, name, &b);
	if (m && m->size == size) {
		memcpy(out, b->data + m->at, size);
		r = 0;
	}
	pthread_mutex_unlock(&s->lock);
	return r;
}

/* Take a bundle to fill it: the first one that is free. */
static struct open_bundle *take(struct store *s)
{
	for (int i = 0; i < BUNDLES_OPEN; i++)
		if (!pthread_mutex_trylock(&s->bundles[i].busy))
			return &s->bundles[i];
	/* More threads than bundles: any will do. */
	struct open_bundle *b = &s->bundles[(uintptr_t)pthread_self() / 64 % BUNDLES_OPEN];
	pthread_mutex_lock(&b->busy);
	return b;
}

/* Write a bundle: all members, or, if it fails, none.  By whoever has it. */
static int write_bundle(struct store *s, struct packer *p, struct open_bundle *b)
{
	uint8_t name[BUNDLE_NAME];
	struct bundle_table table = { .bytes = b->table_bytes, .n = b->n };
	struct packed packed;

	for (uint32_t i = 0; i < b->n; i++) {
		const uint8_t *entry = b->table + b->members[i].entry;

		table.members[i] = (struct bundle_member){ entry + 1, *entry,
							   b->members[i].at,
							   b->members[i].size };
	}
	pack_bundle(p, b->table, b->table_bytes, b->data, b->bytes, &packed);
	bundle_name(name, b->n, b->table_bytes);
	return store_append_bundle(s,
				   &(struct record){ .kind = RECORD_BUNDLE,
						     .encoding = packed.encoding,
						     .name_size = BUNDLE_NAME,
						     .stored = packed.stored,
						     .size = b->bytes },
				   name, packed.data, &table);
}

/* One block needs no bundle. */
static int write_single(struct store *s, struct packer *p, struct open_bundle *b)
{
	struct record_name key;
	struct packed packed;
	int r;

	record_name_of(&key, RECORD_BLOCK, b->table + 1, b->table[0], s->seed);
	pack(p, b->data, b->bytes, &packed);
	r = store_append(s, &key, RECORD_BLOCK, &packed, b->bytes);
	return r < 0 ? r : 0;
}

/* Append what the bundle has, and empty it.  By whoever has it. */
static int close_bundle(struct store *s, struct open_bundle *b)
{
	struct packer *p;
	int r;

	if (!b->n)
		return 0;
	p = store_packer(s);
	if (!p)
		return -ENOMEM;
	r = b->n == 1 ? write_single(s, p, b) : write_bundle(s, p, b);
	store_packer_done(s, p);
	if (r < 0)
		return r;
	pthread_mutex_lock(&s->lock);
	s->open_blocks -= b->n;
	s->open_bytes -= b->bytes;
	b->n = b->bytes = b->table_bytes = 0;
	memset(b->slots, 0, sizeof b->slots);
	pthread_mutex_unlock(&s->lock);
	return 0;
}

static bool fits(const struct open_bundle *b, const struct record_name *name, size_t len)
{
	return b->n < BUNDLE_MEMBERS && b->bytes + len <= BUNDLE_BYTES &&
	       b->table_bytes + bundle_entry_size(name->size) <= BUNDLE_TABLE_MAX;
}

/* Add a block that fits, unless it came by another thread meanwhile. */
static int add(struct store *s, struct open_bundle *b, const struct record_name *name,
	       const uint8_t *data, size_t len, const struct place *moved)
{
	struct open_member *m = &b->members[b->n];
	struct pending_entry *now;
	struct place at;
	int r;

	if (!b->table) {
		b->table = malloc(BUNDLE_TABLE_MAX + BUNDLE_BYTES);
		if (!b->table)
			return -ENOMEM;
		b->data = b->table + BUNDLE_TABLE_MAX;
	}
	memcpy(b->data + b->bytes, data, len);
	bundle_entry(b->table + b->table_bytes, name->bytes, name->size, len);

	pthread_mutex_lock(&s->lock);
	r = s->failed;
	now = store_find_pending(s, name);
	if (now && moved && place_same(&now->at, moved))
		now = NULL;
	if (!r && !now && !store_find_open(s, name, &at)) {
		uint16_t *slot = &b->slots[name->hash % BUNDLE_MEMBERS];

		*m = (struct open_member){ name->hash, b->bytes, (uint32_t)len,
					   (uint16_t)b->table_bytes, *slot };
		*slot = (uint16_t)++b->n;
		b->bytes += (uint32_t)len;
		b->table_bytes += (uint32_t)bundle_entry_size(name->size);
		if (!s->open_blocks && !s->filling->n) {
			s->first_put = store_now_ms();
			pthread_cond_signal(&s->work);
		}
		s->open_blocks++;
		s->open_bytes += len;
	}
	pthread_mutex_unlock(&s->lock);
	return r;
}

int store_put_bundled(struct store *s, const struct record_name *name, const uint8_t *data,
		      size_t len, const struct place *moved)
{
	struct open_bundle *b = take(s);
	int r = fits(b, name, len) ? 0 : close_bundle(s, b);

	if (!r)
		r = add(s, b, name, data, len, moved);
	pthread_mutex_unlock(&b->busy);
	return r;
}

int store_close_bundles(struct store *s, bool wait)
{
	int r = 0;

	for (int i = 0; i < BUNDLES_OPEN; i++) {
		struct open_bundle *b = &s->bundles[i];

		if (wait)
			pthread_mutex_lock(&b->busy);
		else if (pthread_mutex_trylock(&b->busy))
			continue;
		int one = close_bundle(s, b);
		pthread_mutex_unlock(&b->busy);
		r = r ? r : one;
	}
	return r;
}
