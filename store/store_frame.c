/*
 * Reading members of bundles.  Who reads one often reads its neighbours next, so
 * the last few bundles are kept unpacked.  Two who want the same one at the same
 * time unpack it once.
 */
#include "store/error.h"
#include "store/store_internal.h"

#include <stdlib.h>
#include <string.h>

void store_frames_init(struct store *s)
{
	pthread_mutex_init(&s->frames.lock, NULL);
	pthread_cond_init(&s->frames.loaded, NULL);
}

/* Under the frames' lock, or by the only owner. */
static void unref(struct frame *f)
{
	if (f && !--f->refs)
		free(f);
}

void store_frames_release(struct store *s)
{
	for (int i = 0; i < FRAMES_KEPT; i++)
		unref(s->frames.kept[i]);
	free(s->frames.sizes);
	pthread_cond_destroy(&s->frames.loaded);
	pthread_mutex_destroy(&s->frames.lock);
}

/* The slot of a bundle, or NULL.  Under the lock. */
static struct frame **find(struct frames *fs, const struct place *at)
{
	for (int i = 0; i < FRAMES_KEPT; i++) {
		struct frame *f = fs->kept[i];

		if (f && f->segment == at->segment && f->offset == at->offset)
			return &fs->kept[i];
	}
	return NULL;
}

/* Keep a frame in the place of the one not used for longest.  Under the lock. */
static void keep(struct frames *fs, struct frame *f)
{
	struct frame **slot = NULL;

	for (int i = 0; i < FRAMES_KEPT; i++) {
		struct frame *k = fs->kept[i];

		if (k && k->loading)
			continue;
		if (!slot || !k || (*slot && k->used < (*slot)->used))
			slot = &fs->kept[i];
		if (!k)
			break;
	}
	if (!slot)
		return;
	unref(*slot);
	f->refs++;
	f->used = ++fs->clock;
	*slot = f;
}

/* Nobody may find it any more; its loader still has it.  Under the lock. */
static void forget(struct frames *fs, struct frame *f)
{
	for (int i = 0; i < FRAMES_KEPT; i++)
		if (fs->kept[i] == f) {
			fs->kept[i] = NULL;
			f->refs--;
		}
}

static struct frame *frame_new(const struct place *at)
{
	/* The bundle's own size is not known before it was read. */
	struct frame *f = malloc(sizeof *f + BUNDLE_TABLE_MAX + BUNDLE_MAX);

	if (f)
		*f = (struct frame){ .segment = at->segment, .offset = at->offset, .refs = 1 };
	return f;
}

/* Read the stored bytes of a bundle to packer_stored(). */
static int read_stored(struct store *s, struct packer *p, const struct place *at,
		       struct record *rec, uint8_t name[BUNDLE_NAME])
{
	return segment_read_bundle(&s->segments, at, rec, name, packer_stored(p));
}

/* Fill a frame from what read_stored() has read. */
static int fill(struct frame *f, struct packer *p, const struct record *rec,
		const uint8_t name[BUNDLE_NAME])
{
	const uint8_t *stored = packer_stored(p);
	struct bundle_table *t = &f->table;
	int r = bundle_decode(t, rec, name, stored);

	if (r < 0)
		return r;
	f->check = rec->check;
	memcpy(f->bytes, stored, t->bytes);
	for (uint32_t i = 0; i < t->n; i++)
		t->members[i].name = f->bytes + (t->members[i].name - stored);
	f->data = f->bytes + t->bytes;
	return unpack(p, rec->encoding, stored + t->bytes, rec->stored - t->bytes, f->data,
		      rec->size);
}

static int load(struct store *s, struct frame *f, const struct place *at)
{
	struct packer *p = store_packer(s);
	uint8_t name[BUNDLE_NAME];
	struct record rec;
	int r = p ? read_stored(s, p, at, &rec, name) : -ENOMEM;

	if (!r)
		r = fill(f, p, &rec, name);
	store_packer_done(s, p);
	return r;
}

/* As it is on the disk now; what is kept counts only if it came of the same bytes. */
static int load_fresh(struct store *s, const struct place *at, struct frame **out)
{
	struct frames *fs = &s->frames;
	struct packer *p = store_packer(s);
	uint8_t name[BUNDLE_NAME];
	struct frame *f = NULL;
	struct record rec;
	int r = p ? read_stored(s, p, at, &rec, name) : -ENOMEM;

	if (r < 0)
		goto out;
	pthread_mutex_lock(&fs->lock);
	struct frame **kept = find(fs, at);
	if (kept && !(*kept)->loading && (*kept)->check == rec.check) {
		f = *kept;
		f->refs++;
		f->used = ++fs->clock;
	}
	pthread_mutex_unlock(&fs->lock);
	if (!f) {
		f = frame_new(at);
		r = f ? fill(f, p, &rec, name) : -ENOMEM;
		if (r < 0) {
			free(f);
			goto out;
		}
		pthread_mutex_lock(&fs->lock);
		kept = find(fs, at);
		if (!kept)
			keep(fs, f);
		pthread_mutex_unlock(&fs->lock);
	}
	*out = f;
out:
	store_packer_done(s, p);
	return r;
}

int store_frame(struct store *s, const struct place *at, bool fresh, struct frame **out)
{
	struct frames *fs = &s->frames;
	struct frame **kept, *f;
	int r;

	if (fresh)
		return load_fresh(s, at, out);
	pthread_mutex_lock(&fs->lock);
	while ((kept = find(fs, at)) && (*kept)->loading)
		pthread_cond_wait(&fs->loaded, &fs->lock);
	if (kept) {
		*out = *kept;
		(*out)->refs++;
		(*out)->used = ++fs->clock;
		pthread_mutex_unlock(&fs->lock);
		return 0;
	}
	f = frame_new(at);
	if (!f) {
		pthread_mutex_unlock(&fs->lock);
		return -ENOMEM;
	}
	keep(fs, f);
	f->loading = true;
	pthread_mutex_unlock(&fs->lock);

	r = load(s, f, at);

	pthread_mutex_lock(&fs->lock);
	f->loading = false;
	if (r < 0) {
		forget(fs, f);
		unref(f);
	}
	pthread_cond_broadcast(&fs->loaded);
	pthread_mutex_unlock(&fs->lock);
	if (!r)
		*out = f;
	return r;
}

void store_frame_done(struct store *s, struct frame *f)
{
	pthread_mutex_lock(&s->frames.lock);
	unref(f);
	pthread_mutex_unlock(&s->frames.lock);
}

int store_read_member(struct store *s, const struct record_name *name,
		      const struct place *at, bool fresh, uint8_t *out)
{
	const struct bundle_member *m;
	struct place now = *at;
	struct frame *f = NULL;
	int r;

	/* While we looked, the bundle may have been written. */
	while (!now.segment) {
		r = store_read_open(s, name, at->size, out);
		if (r != ERR_MISSING)
			return r;
		r = store_find(s, name, &now);
		if (r <= 0)
			return r < 0 ? r : ERR_MISSING;
		if (now.size != at->size)
			return ERR_CORRUPT;
		if (now.kind != RECORD_BUNDLE)
			return store_read(s, name, &now, out);
	}
	r = store_frame(s, &now, fresh, &f);
	if (r < 0)
		return r;
	m = bundle_find(&f->table, name->bytes, name->size);
	if (m && m->size == now.size)
		memcpy(out, f->data + m->at, m->size);
	else
		r = ERR_CORRUPT;
	store_frame_done(s, f);
	return r;
}

/* Where its size is remembered.  Under the lock; NULL: no memory. */
static struct bundle_size *size_slot(struct frames *fs, const struct place *at)
{
	uint64_t key = (uint64_t)at->segment << 32 | at->offset;

	if (!fs->sizes)
		fs->sizes = calloc((size_t)1 << SIZES_KEPT_BITS, sizeof *fs->sizes);
	return fs->sizes ? &fs->sizes[key * 0x9e3779b97f4a7c15u >> (64 - SIZES_KEPT_BITS)] : NULL;
}

/* Bytes of all members of the bundle there: its header is read once for many of them. */
static int bundle_size(struct store *s, const struct place *at, uint32_t *out)
{
	struct frames *fs = &s->frames;
	struct bundle_size *slot;
	bool known;
	int r;

	pthread_mutex_lock(&fs->lock);
	slot = size_slot(fs, at);
	known = slot && slot->segment == at->segment && slot->offset == at->offset;
	if (known)
		*out = slot->size;
	pthread_mutex_unlock(&fs->lock);
	if (known)
		return 0;
	r = segment_bundle_size(&s->segments, at, out);
	pthread_mutex_lock(&fs->lock);
	if (r == 0 && slot)
		*slot = (struct bundle_size){ at->segment, at->offset, *out };
	pthread_mutex_unlock(&fs->lock);
	return r;
}

uint64_t store_room_of(struct store *s, size_t name_size, const struct place *at)
{
	uint32_t all = 0;

	if (at->kind != RECORD_BUNDLE)
		return record_span((uint32_t)name_size, at->stored);
	/* What is damaged counts as a whole: it is not worth less than it takes. */
	if (bundle_size(s, at, &all) < 0 || all < at->size)
		return record_span(BUNDLE_NAME, at->stored);
	return all ? (uint64_t)record_span(BUNDLE_NAME, at->stored) * at->size / all
		   : bundle_entry_size(name_size);
}
