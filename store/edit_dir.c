/*
 * A plain directory is one block: it is read, merged with the changes, and
 * built.  A HAMT is gone through along the hashes of the changes, down to where
 * they are and back up, so at most as deep as a hash has levels.
 */
#include "store/edit_dir.h"

#include "store/dag_internal.h"
#include "store/dir_whole.h"
#include "store/error.h"
#include "store/hamt.h"
#include "store/hamt_size.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* Not an error number: the older directory is not as the profile makes it. */
#define FOREIGN 1

struct hashed {
	uint64_t hash;
	uint32_t index;
};

struct editing {
	const struct profile *profile;
	struct block_source *source;
	struct block_sink *sink;
	struct misses *misses;
	const struct cid *old;
	const struct dir_links *changes;
	struct hamt_shape shape;
	int64_t growth; /* of what the profile measures */
	bool noting;    /* a shard was lacking: only look which others are */
};

/* What a bucket holds after the edit. */
enum holds { NOTHING, ENTRY, SHARD };
struct outcome {
	enum holds holds;
	struct built shard;
	/* An entry, in memory of its own: the shard it was in may be let go. */
	char name[NAME_MAX_BYTES];
	uint8_t cid[CID_SIZE_MAX];
	uint16_t name_len;
	uint8_t cid_len;
	uint64_t tsize;
};

static struct dir_link change_at(const struct editing *x, size_t i)
{
	struct dir_link l;

	x->changes->get(x->changes->arg, i, &l);
	return l;
}

static int compare_hashes(const void *x, const void *y)
{
	const struct hashed *a = x, *b = y;

	return a->hash < b->hash ? -1 : a->hash > b->hash;
}

static bool same_name(const struct dir_link *a, const struct dir_link *b)
{
	return a->name_len == b->name_len && memcmp(a->name, b->name, a->name_len) == 0;
}

/* A link of a shard, taken apart. */
struct shard_link {
	unsigned bucket;
	bool is_shard;
	struct dir_link entry; /* borrowed; of a shard without a name */
	const uint8_t *raw;    /* as it stands there */
	size_t raw_len;
};

/* The next link: 1, 0 at the end, ERR_MALFORMED. */
static int next_link(const struct editing *x, struct cursor *links,
		     struct shard_link *out)
{
	const uint8_t *start = links->p;
	struct dagpb_link l;
	size_t name_len;
	int r = dagpb_next(links, &l);

	if (r <= 0)
		return r;
	r = hamt_link_bucket(&x->shape, &l, &out->entry.name, &name_len);
	if (r < 0 || name_len > NAME_MAX_BYTES || l.hash_len > CID_SIZE_MAX)
		return ERR_MALFORMED;
	out->bucket = (unsigned)r;
	out->is_shard = name_len == 0;
	out->entry.name_len = (uint16_t)name_len;
	out->entry.cid = l.hash;
	out->entry.cid_len = (uint8_t)l.hash_len;
	out->entry.tsize = l.tsize;
	out->raw = start;
	out->raw_len = (size_t)(links->p - start);
	return 1;
}

static void put_entry(const struct editing *x, struct buf *block, unsigned bucket,
		      const struct cid *cid, const char *name, size_t name_len,
		      uint64_t tsize)
{
	char text[HAMT_PREFIX_MAX + NAME_MAX_BYTES + 1];

	hamt_prefix(&x->shape, bucket, text);
	memcpy(text + x->shape.digits, name, name_len);
	dagpb_put_link(block, cid, text, x->shape.digits + name_len, tsize);
}

/* The Data of a shard with these buckets; `field` is as hamt_field_set() wants. */
static struct unixfs shard_data(const struct editing *x, const uint8_t *field)
{
	struct unixfs u = { .type = UNIXFS_HAMT_SHARD,
			    .hash_type = HAMT_HASH_MURMUR3,
			    .fanout = x->shape.fanout,
			    .has_data = true,
			    .has_hash_type = true,
			    .has_fanout = true };

	u.data = hamt_field_trim(&x->shape, field, &u.data_len);
	return u;
}

/* True if a shard below may have that name under the profile. */
static bool shard_cid_ok(const struct profile *p, const struct cid *cid)
{
	return cid->codec == CODEC_DAG_PB && cid->version == p->cid_version &&
	       cid->hash.code == (p->hash ? p->hash : HASH_SHA2_256) &&
	       cid->hash.size == (p->hash ? p->hash_size : 32);
}

/*
 * Write the links of a shard anew, as far as they are what the builder would
 * have put there: buckets in order, names in the buckets of their hashes, whose
 * bits above this level are `key`.  False at the first that is not.
 */
static bool want_links(const struct editing *x, unsigned level, uint64_t key,
		       const struct dag_node *n, struct buf *want, uint8_t *field)
{
	const unsigned below = 64 - x->shape.bits * (level + 1);
	struct cursor links = n->pb.links;
	struct shard_link l;
	unsigned least = 0;
	int r;

	while ((r = next_link(x, &links, &l)) > 0) {
		const struct dir_link *e = &l.entry;
		uint64_t here = key << x->shape.bits | l.bucket;
		struct cid cid;

		if (l.bucket < least || cid_decode(&cid, e->cid, e->cid_len) < 0)
			return false;
		if (l.is_shard ? !shard_cid_ok(x->profile, &cid)
			       : !dag_name_ok(e->name, e->name_len) ||
				     hamt_hash(e->name, e->name_len) >> below != here)
			return false;
		put_entry(x, want, l.bucket, &cid, e->name, e->name_len, e->tsize);
		hamt_field_set(&x->shape, field, l.bucket);
		least = l.bucket + 1;
		/* A single entry belongs into the shard above. */
		if (level && n->pb.n_links == 1 && !l.is_shard)
			return false;
	}
	return r == 0 && (!level || n->pb.n_links);
}

/* 1 if a shard is, byte by byte, as the builder makes it; 0 if not; -ENOMEM. */
static int check_shard(const struct editing *x, unsigned level, uint64_t key,
		       const struct dag_node *n)
{
	uint8_t field[HAMT_FIELD_MAX] = { 0 };
	struct buf want = { 0 }, data = { 0 };
	struct unixfs u;
	int r = 0;

	if (n->raw || n->u.type != UNIXFS_HAMT_SHARD || n->u.fanout != x->shape.fanout)
		return 0;
	if (!want_links(x, level, key, n, &want, field))
		goto out;
	u = shard_data(x, field);
	if (!level) { /* the directory's attributes, which are left behind */
		u.has_mode = n->u.has_mode;
		u.mode = n->u.mode;
		u.has_mtime = n->u.has_mtime;
		u.mtime = n->u.mtime;
		u.mtime_nsec = n->u.mtime_nsec;
	}
	r = -ENOMEM;
	unixfs_encode(&data, &u, NULL, 0);
	if (!data.failed)
		dagpb_put_data(&want, data.data, data.len);
	if (!data.failed && !want.failed)
		r = want.len == n->block->size &&
		    memcmp(want.data, n->block->data, want.len) == 0;
out:
	buf_release(&want);
	buf_release(&data);
	return r;
}

static void holds_entry(struct outcome *out, const struct dir_link *l)
{
	out->holds = ENTRY;
	memcpy(out->name, l->name, l->name_len);
	memcpy(out->cid, l->cid, l->cid_len);
	out->name_len = l->name_len;
	out->cid_len = l->cid_len;
	out->tsize = l->tsize;
}

/* A shard that is being put together. */
struct making {
	struct buf block;
	uint8_t field[HAMT_FIELD_MAX];
	uint64_t below; /* Tsize of its links */
	size_t n;
	bool only; /* n is 1 and it is `entry` */
	struct outcome *entry;
};

static void make_kept(const struct editing *x, struct making *m,
		      const struct shard_link *l)
{
	buf_append(&m->block, l->raw, l->raw_len);
	hamt_field_set(&x->shape, m->field, l->bucket);
	m->below = tsize_sum(m->below, l->entry.tsize);
	m->only = ++m->n == 1 && !l->is_shard;
	if (m->only)
		holds_entry(m->entry, &l->entry);
}

static int make_outcome(const struct editing *x, struct making *m, unsigned bucket,
			const struct outcome *o)
{
	struct cid cid;
	int r;

	if (o->holds == NOTHING)
		return 0;
	hamt_field_set(&x->shape, m->field, bucket);
	m->only = ++m->n == 1 && o->holds == ENTRY;
	if (o->holds == SHARD) {
		put_entry(x, &m->block, bucket, &o->shard.cid, "", 0, o->shard.tsize);
		m->below = tsize_sum(m->below, o->shard.tsize);
		return 0;
	}
	r = cid_decode(&cid, o->cid, o->cid_len);
	if (r < 0)
		return r;
	put_entry(x, &m->block, bucket, &cid, o->name, o->name_len, o->tsize);
	m->below = tsize_sum(m->below, o->tsize);
	if (m->only)
		*m->entry = *o;
	return 0;
}

static int edit_shard(struct editing *x, unsigned level, uint64_t key,
		      const struct dag_node *old, const struct dir_link *resident,
		      const struct hashed *in, size_t n, struct outcome *out);

/*
 * A bucket at `level` that has one entry (or none: NULL), and the changes in it.
 */
static int edit_bucket(struct editing *x, unsigned level, uint64_t key,
		       const struct dir_link *resident, const struct hashed *in, size_t n,
		       struct outcome *out)
{
	struct dir_link only;
	size_t links = 0;

	for (size_t i = 0; i < n; i++) {
		struct dir_link l = change_at(x, in[i].index);

		if (resident && same_name(&l, resident)) {
			x->growth -= (int64_t)dir_link_measure(x->profile, resident);
			resident = NULL;
		}
		if (l.cid_len) {
			only = l;
			links++;
		}
	}
	out->holds = NOTHING;
	if (links + (resident != NULL) > 1)
		return edit_shard(x, level + 1, key, NULL, resident, in, n, out);
	if (links || resident)
		holds_entry(out, links ? &only : resident);
	return 0;
}

/* A bucket that has a shard. */
static int edit_below(struct editing *x, unsigned level, uint64_t key,
		      const struct dir_link *shard, const struct hashed *in, size_t n,
		      struct outcome *out)
{
	struct dag_node node;
	struct cid cid;
	int r = cid_decode(&cid, shard->cid, shard->cid_len);

	if (r == 0)
		r = dag_node_get(x->source, &cid, &node, x->misses);
	if (r < 0)
		return r;
	r = edit_shard(x, level + 1, key, &node, NULL, in, n, out);
	dag_node_release(&node);
	return r;
}

/*
 * A shard: the one that was, or none, with an entry that comes to be in it (or
 * none), and the `n` changes that belong into it.
 */
static int edit_shard(struct editing *x, unsigned level, uint64_t key,
		      const struct dag_node *old, const struct dir_link *resident,
		      const struct hashed *in, size_t n, struct outcome *out)
{
	struct making m = { .entry = out };
	struct shard_link l;
	struct cursor links = { 0 };
	struct outcome o;
	int r, more = 0;

	if (level == x->shape.levels)
		return -EOVERFLOW;
	if (old) {
		r = check_shard(x, level, key, old);
		if (r <= 0)
			return r < 0 ? r : FOREIGN;
		links = old->pb.links;
		more = next_link(x, &links, &l);
	} else if (resident) {
		uint64_t hash = hamt_hash(resident->name, resident->name_len);

		l = (struct shard_link){ .bucket = hamt_bucket(&x->shape, hash, level),
					 .entry = *resident };
		more = 1;
	}

	r = 0;
	for (size_t i = 0, end; r == 0 && (more || i < n); i = end) {
		unsigned next = i < n ? hamt_bucket(&x->shape, in[i].hash, level) : ~0u;
		bool linked = more && l.bucket <= next;
		unsigned bucket = linked ? l.bucket : next;

		for (end = i; end < n; end++)
			if (hamt_bucket(&x->shape, in[end].hash, level) != bucket)
				break;
		uint64_t below = key << x->shape.bits | bucket;
		if (linked && end == i && old) {
			make_kept(x, &m, &l);
		} else if (linked && end == i) {
			holds_entry(&o, &l.entry);
			r = make_outcome(x, &m, bucket, &o);
		} else {
			r = linked && l.is_shard
				? edit_below(x, level, below, &l.entry, in + i, end - i,
					     &o)
				: edit_bucket(x, level, below, linked ? &l.entry : NULL,
					      in + i, end - i, &o);
			if (r == ERR_MISSING && x->misses &&
			    x->misses->n < x->misses->max) {
				x->noting = true;
				o.holds = NOTHING;
				r = 0;
			}
			if (r == 0)
				r = make_outcome(x, &m, bucket, &o);
		}
		if (linked && r == 0)
			more = old ? next_link(x, &links, &l) : 0;
	}
	if (r != 0)
		goto out;
	if (x->noting || (level && m.n == 0)) {
		out->holds = NOTHING;
	} else if (!level || !m.only) {
		struct unixfs u = shard_data(x, m.field);

		out->holds = SHARD;
		r = sink_put_node(x->sink, x->profile, &m.block, &u, NULL, 0,
				  &out->shard.cid);
		out->shard.tsize = tsize_sum(m.below, m.block.len);
	}
out:
	buf_release(&m.block);
	return r;
}

/* 1 and the edited HAMT; 0 if it is to be built anew; or an error. */
static int edit_hamt(struct editing *x, const struct dag_node *root, struct built *out)
{
	const size_t n = x->changes->n;
	struct hashed *in = malloc((n ? n : 1) * sizeof *in);
	struct outcome *o = malloc(sizeof *o);
	int r = in && o ? hamt_shape_init(&x->shape, x->profile->hamt_fanout) : -ENOMEM;

	for (size_t i = 0; i < n && r == 0; i++) {
		struct dir_link l = change_at(x, i);

		in[i].hash = hamt_hash(l.name, l.name_len);
		in[i].index = (uint32_t)i;
		if (l.cid_len)
			x->growth += (int64_t)dir_link_measure(x->profile, &l);
	}
	if (r == 0) {
		qsort(in, n, sizeof *in, compare_hashes);
		r = edit_shard(x, 0, 0, root, NULL, in, n, o);
	}
	if (r == 0 && x->noting)
		r = ERR_MISSING;
	else if (r == 0 && x->growth >= 0)
		r = 1;
	else if (r == 0)
		r = hamt_exceeds(x->profile, x->source, x->old, root,
				 (int64_t)x->profile->hamt_threshold - x->growth,
				 x->misses);
	else if (r == FOREIGN)
		r = 0;
	if (r == 1) {
		*out = o->shard;
		out->size = 0;
	}
	free(in);
	free(o);
	return r;
}

/* Names in order and allowed, links with CIDs. */
static int check_changes(const struct dir_links *changes)
{
	struct dir_link before = { 0 };

	if (changes->n > UINT32_MAX)
		return -EFBIG;
	for (size_t i = 0; i < changes->n; i++) {
		struct dir_link l;
		struct cid cid;

		changes->get(changes->arg, i, &l);
		if (l.name_len > NAME_MAX_BYTES)
			return -ENAMETOOLONG;
		if (!dag_name_ok(l.name, l.name_len))
			return -EINVAL;
		if (i && dir_link_compare(&before, &l) >= 0)
			return -EINVAL;
		if (l.cid_len && cid_decode(&cid, l.cid, l.cid_len) < 0)
			return ERR_MALFORMED;
		before = l;
	}
	return 0;
}

int edit_dir(const struct profile *p, struct block_source *source,
	     struct block_sink *sink, const struct cid *old,
	     const struct dir_links *changes, struct built *out, struct misses *misses)
{
	struct editing x = { .profile = p,
			     .source = source,
			     .sink = sink,
			     .misses = misses,
			     .old = old,
			     .changes = changes };
	struct dag_node n;
	int r = check_changes(changes);

	if (r == 0 && old) {
		r = dag_node_get(source, old, &n, misses);
		if (r < 0)
			return r;
		if (!dag_node_is_dir(&n))
			r = -ENOTDIR;
		else if (n.u.type == UNIXFS_HAMT_SHARD)
			r = edit_hamt(&x, &n, out);
		dag_node_release(&n);
	}
	if (r != 0)
		return r < 0 ? r : 0;
	return dir_whole_edit(p, source, sink, old, changes, out, misses);
}

static void get_from_array(const void *arg, size_t i, struct dir_link *out)
{
	*out = ((const struct dir_link *)arg)[i];
}

int edit_dir_array(const struct profile *p, struct block_source *source,
		   struct block_sink *sink, const struct cid *old,
		   const struct dir_link *changes, size_t n, struct built *out,
		   struct misses *misses)
{
	return edit_dir(p, source, sink, old,
			&(struct dir_links){ n, changes, get_from_array }, out, misses);
}
