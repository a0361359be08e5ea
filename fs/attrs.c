/* The encoding of attributes: one for each value, and the decoder takes no other. */
#include "fs/attrs_internal.h"

#include "store/error.h"

#include <stdlib.h>
#include <string.h>

#define NSEC_MAX 999999999u
#define MODE_MAX 07777u

uint64_t attrs_hash(const char *name, size_t len)
{
	uint8_t digest[32];
	uint64_t h = 0;

	sha256(digest, name, len);
	for (int i = 0; i < 8; i++)
		h = h << 8 | digest[i];
	return h;
}

int attrs_name_compare(const char *a, size_t a_len, const char *b, size_t b_len)
{
	int r = memcmp(a, b, a_len < b_len ? a_len : b_len);

	return r ? r : (a_len > b_len) - (a_len < b_len);
}

bool attrs_empty(const struct attrs_entry *e)
{
	return !e->has && !e->special && !e->group && !e->xattrs;
}

void attrs_drop_defaults(struct attrs_entry *e, enum dag_type type)
{
	uint32_t mode = type == DAG_DIR ? 0755 : type == DAG_SYMLINK ? 0777 : 0644;

	if (e->mode == mode)
		e->has &= ~(unsigned)ATTRS_MODE;
}

static bool is_device(const struct attrs_entry *e)
{
	return e->special == ATTRS_CHAR || e->special == ATTRS_BLOCK;
}

/* One extended attribute: 1, 0 at the end, ERR_MALFORMED. */
static int take_xattr(struct cursor *in, struct attrs_xattr *out)
{
	struct cbor_item pair, name, value;

	if (!in->bad && in->p == in->end)
		return 0;
	if (cbor_expect(in, CBOR_ARRAY, &pair) < 0 || pair.value != 2 ||
	    cbor_expect(in, CBOR_BYTES, &name) < 0 ||
	    cbor_expect(in, CBOR_BYTES, &value) < 0)
		return ERR_MALFORMED;
	if (name.len == 0 || name.len > ATTRS_XATTR_NAME ||
	    memchr(name.data, 0, name.len))
		return ERR_MALFORMED;
	*out = (struct attrs_xattr){ .name = (const char *)name.data,
				     .name_len = name.len,
				     .value = value.data,
				     .value_len = value.len };
	return 1;
}

/* The pairs of an array whose head was read. */
static int take_xattrs(struct cursor *in, uint64_t n)
{
	struct attrs_xattr before = { 0 }, a;

	if (n == 0)
		return ERR_MALFORMED;
	for (uint64_t i = 0; i < n; i++) {
		if (take_xattr(in, &a) <= 0)
			return ERR_MALFORMED;
		if (i && attrs_name_compare(before.name, before.name_len, a.name,
					    a.name_len) >= 0)
			return ERR_MALFORMED;
		before = a;
	}
	return 0;
}

struct cursor attrs_xattrs(const struct attrs_entry *e)
{
	struct cursor in = cursor_over(e->xattrs, e->xattrs_len);
	struct cbor_item head;

	if (e->xattrs)
		cbor_expect(&in, CBOR_ARRAY, &head);
	return in;
}

int attrs_xattrs_next(struct cursor *in, struct attrs_xattr *out)
{
	return take_xattr(in, out);
}

static int compare_xattrs(const void *x, const void *y)
{
	const struct attrs_xattr *a = x, *b = y;

	return attrs_name_compare(a->name, a->name_len, b->name, b->name_len);
}

int attrs_xattrs_put(struct buf *out, struct attrs_xattr *list, size_t n)
{
	size_t before = out->len;

	if (n == 0)
		return 0;
	qsort(list, n, sizeof *list, compare_xattrs);
	cbor_put_array(out, n);
	for (size_t i = 0; i < n; i++) {
		const struct attrs_xattr *a = &list[i];

		if (a->name_len == 0 || a->name_len > ATTRS_XATTR_NAME ||
		    memchr(a->name, 0, a->name_len) ||
		    (i && compare_xattrs(a - 1, a) == 0)) {
			out->len = before;
			return -EINVAL;
		}
		if (a->value_len > ATTRS_XATTRS_MAX ||
		    out->len - before > ATTRS_XATTRS_MAX) {
			out->len = before;
			return -E2BIG;
		}
		cbor_put_array(out, 2);
		cbor_put_bytes(out, a->name, a->name_len);
		cbor_put_bytes(out, a->value, a->value_len);
	}
	if (out->failed)
		return -ENOMEM;
	if (out->len - before > ATTRS_XATTRS_MAX) {
		out->len = before;
		return -E2BIG;
	}
	return 0;
}

static bool time_ok(const struct attrs_time *t)
{
	return t->nsec <= NSEC_MAX;
}

int attrs_check(const struct attrs_entry *e)
{
	const unsigned all = ATTRS_MODE | ATTRS_UID | ATTRS_GID | ATTRS_MTIME | ATTRS_CTIME |
			     ATTRS_BIRTH;

	if (e->has & ~all || (unsigned)e->special > ATTRS_BLOCK)
		return -EINVAL;
	if ((e->has & ATTRS_MODE) && e->mode > MODE_MAX)
		return -EINVAL;
	if (((e->has & ATTRS_MTIME) && !time_ok(&e->mtime)) ||
	    ((e->has & ATTRS_CTIME) && !time_ok(&e->ctime)) ||
	    ((e->has & ATTRS_BIRTH) && !time_ok(&e->birth)))
		return -EINVAL;
	if (!e->xattrs)
		return 0;
	if (e->xattrs_len > ATTRS_XATTRS_MAX)
		return -E2BIG;

	struct cursor in = cursor_over(e->xattrs, e->xattrs_len);
	struct cbor_item head;
	if (cbor_expect(&in, CBOR_ARRAY, &head) < 0 || take_xattrs(&in, head.value) < 0 ||
	    !cursor_done(&in))
		return -EINVAL;
	return 0;
}

static void put_key(struct buf *out, char key)
{
	cbor_put_text(out, &key, 1);
}

static void put_time(struct buf *out, char key, const struct attrs_time *t)
{
	put_key(out, key);
	cbor_put_array(out, 2);
	cbor_put_int(out, t->sec);
	cbor_put_uint(out, t->nsec);
}

static void put_number(struct buf *out, char key, uint64_t v)
{
	put_key(out, key);
	cbor_put_uint(out, v);
}

void attrs_put_entry(struct buf *out, const struct attrs_entry *e)
{
	size_t n = (size_t)__builtin_popcount(e->has) + (e->special != 0) + is_device(e) +
		   (e->group != 0) + (e->xattrs != NULL);

	cbor_put_map(out, n);
	if (e->has & ATTRS_BIRTH)
		put_time(out, 'b', &e->birth);
	if (e->has & ATTRS_CTIME)
		put_time(out, 'c', &e->ctime);
	if (is_device(e)) {
		put_key(out, 'd');
		cbor_put_array(out, 2);
		cbor_put_uint(out, e->major);
		cbor_put_uint(out, e->minor);
	}
	if (e->has & ATTRS_GID)
		put_number(out, 'g', e->gid);
	if (e->group)
		put_number(out, 'l', e->group);
	if (e->has & ATTRS_MODE)
		put_number(out, 'm', e->mode);
	if (e->special)
		put_number(out, 's', e->special);
	if (e->has & ATTRS_MTIME)
		put_time(out, 't', &e->mtime);
	if (e->has & ATTRS_UID)
		put_number(out, 'u', e->uid);
	if (e->xattrs) {
		put_key(out, 'x');
		buf_append(out, e->xattrs, e->xattrs_len);
	}
}

/* A number of at most `max`. */
static int take_number(struct cursor *in, uint64_t max, uint64_t *out)
{
	struct cbor_item v;

	if (cbor_expect(in, CBOR_UINT, &v) < 0 || v.value > max)
		return ERR_MALFORMED;
	*out = v.value;
	return 0;
}

static int take_pair(struct cursor *in)
{
	struct cbor_item v;

	return cbor_expect(in, CBOR_ARRAY, &v) < 0 || v.value != 2 ? ERR_MALFORMED : 0;
}

static int take_time(struct cursor *in, struct attrs_time *t)
{
	struct cbor_item sec;
	uint64_t nsec;

	if (take_pair(in) < 0 || cbor_next(in, &sec) < 0 || sec.value > INT64_MAX)
		return ERR_MALFORMED;
	if (sec.kind == CBOR_UINT)
		t->sec = (int64_t)sec.value;
	else if (sec.kind == CBOR_NEGATIVE)
		t->sec = -1 - (int64_t)sec.value;
	else
		return ERR_MALFORMED;
	if (take_number(in, NSEC_MAX, &nsec) < 0)
		return ERR_MALFORMED;
	t->nsec = (uint32_t)nsec;
	return 0;
}

static int take_field(struct cursor *in, char key, struct attrs_entry *out)
{
	struct cbor_item head;
	uint64_t v = 0, w = 0;
	int r = 0;

	switch (key) {
	case 'b':
		out->has |= ATTRS_BIRTH;
		return take_time(in, &out->birth);
	case 'c':
		out->has |= ATTRS_CTIME;
		return take_time(in, &out->ctime);
	case 'd':
		if (take_pair(in) < 0 || take_number(in, UINT32_MAX, &v) < 0 ||
		    take_number(in, UINT32_MAX, &w) < 0)
			return ERR_MALFORMED;
		out->major = (uint32_t)v;
		out->minor = (uint32_t)w;
		return 0;
	case 'g':
		out->has |= ATTRS_GID;
		r = take_number(in, UINT32_MAX, &v);
		out->gid = (uint32_t)v;
		return r;
	case 'l':
		r = take_number(in, UINT64_MAX, &out->group);
		return r == 0 && !out->group ? ERR_MALFORMED : r;
	case 'm':
		out->has |= ATTRS_MODE;
		r = take_number(in, MODE_MAX, &v);
		out->mode = (uint32_t)v;
		return r;
	case 's':
		r = take_number(in, ATTRS_BLOCK, &v);
		out->special = (enum attrs_special)v;
		return r == 0 && !v ? ERR_MALFORMED : r;
	case 't':
		out->has |= ATTRS_MTIME;
		return take_time(in, &out->mtime);
	case 'u':
		out->has |= ATTRS_UID;
		r = take_number(in, UINT32_MAX, &v);
		out->uid = (uint32_t)v;
		return r;
	case 'x':
		out->xattrs = in->p;
		if (cbor_expect(in, CBOR_ARRAY, &head) < 0 ||
		    take_xattrs(in, head.value) < 0)
			return ERR_MALFORMED;
		out->xattrs_len = (size_t)(in->p - out->xattrs);
		return out->xattrs_len > ATTRS_XATTRS_MAX ? ERR_MALFORMED : 0;
	}
	return ERR_MALFORMED;
}

/* Not empty: what says nothing is not written. */
static int take_entry(struct cursor *in, struct attrs_entry *out)
{
	bool device = false;
	struct cbor_map m;
	int r = cbor_map_begin(in, &m), more = 0;

	*out = (struct attrs_entry){ 0 };
	while (r == 0 && (more = cbor_map_next(in, &m)) > 0) {
		r = m.key_len == 1 ? take_field(in, (char)*m.key, out) : ERR_MALFORMED;
		device |= m.key_len == 1 && *m.key == 'd';
	}
	if (r < 0 || more < 0)
		return ERR_MALFORMED;
	return attrs_empty(out) || device != is_device(out) ? ERR_MALFORMED : 0;
}

/* The CID of a node. */
static int take_node_cid(const struct cbor_item *v, struct cid *out)
{
	int r = cid_decode(out, v->data, v->len);

	if (r == 0 && (out->version != 1 || out->codec != CODEC_DAG_CBOR ||
		       out->hash.code != HASH_SHA2_256 || out->hash.size != 32))
		r = ERR_MALFORMED;
	return r;
}

static int take_link(struct cursor *in, struct attrs_link *out)
{
	struct cbor_item name, value;

	*out = (struct attrs_link){ 0 };
	if (take_pair(in) < 0 || cbor_expect(in, CBOR_BYTES, &name) < 0 ||
	    !dag_name_ok((const char *)name.data, name.len))
		return ERR_MALFORMED;
	out->name = (const char *)name.data;
	out->name_len = name.len;
	/* Attributes are a map, and a directory's node is a link. */
	struct cursor ahead = *in;
	if (cbor_next(&ahead, &value) < 0)
		return ERR_MALFORMED;
	out->is_dir = value.kind == CBOR_LINK;
	if (!out->is_dir)
		return take_entry(in, &out->attrs);
	*in = ahead;
	return take_node_cid(&value, &out->dir);
}

static int take_child(struct cursor *in, struct attrs_child *out)
{
	struct cbor_item head, link;
	uint64_t digit;

	if (cbor_expect(in, CBOR_ARRAY, &head) < 0 || head.value != 4 ||
	    take_number(in, 15, &digit) < 0 ||
	    take_number(in, INT64_MAX, &out->count) < 0 ||
	    take_number(in, INT64_MAX, &out->bytes) < 0 ||
	    cbor_expect(in, CBOR_LINK, &link) < 0)
		return ERR_MALFORMED;
	out->digit = (unsigned)digit;
	return out->count && out->bytes ? take_node_cid(&link, &out->cid) : ERR_MALFORMED;
}

int attrs_put_link(struct buf *out, const struct attrs_link *l)
{
	int r = l->is_dir ? 0 : attrs_check(&l->attrs);

	if (r == 0 && !dag_name_ok(l->name, l->name_len))
		r = -EINVAL;
	if (r == 0 && l->is_dir &&
	    (l->dir.version != 1 || l->dir.codec != CODEC_DAG_CBOR ||
	     l->dir.hash.code != HASH_SHA2_256 || l->dir.hash.size != 32))
		r = -EINVAL;
	if (r < 0)
		return r;
	cbor_put_array(out, 2);
	cbor_put_bytes(out, l->name, l->name_len);
	if (l->is_dir)
		cbor_put_link(out, &l->dir);
	else
		attrs_put_entry(out, &l->attrs);
	return 0;
}

void attrs_put_child(struct buf *out, const struct attrs_child *c)
{
	cbor_put_array(out, 4);
	cbor_put_uint(out, c->digit);
	cbor_put_uint(out, c->count);
	cbor_put_uint(out, c->bytes);
	cbor_put_link(out, &c->cid);
}

void attrs_put_node(struct buf *out, const struct attrs_entry *self, enum attrs_form form,
		    size_t n, const struct buf *items)
{
	bool has_self = self && !attrs_empty(self);

	cbor_put_map(out, has_self + (form != ATTRS_NONE));
	if (has_self) {
		put_key(out, 'd');
		attrs_put_entry(out, self);
	}
	if (form == ATTRS_NONE)
		return;
	put_key(out, form == ATTRS_ENTRIES ? 'e' : 'i');
	cbor_put_array(out, n);
	buf_append(out, items->data, items->len);
	out->failed |= items->failed;
}

/* Entries in order of their names, in a page no larger than it has to be. */
static int check_entries(struct cursor *in, struct attrs_node *out)
{
	struct attrs_link before = { 0 }, l;

	for (size_t i = 0; i < out->n; i++) {
		if (take_link(in, &l) < 0)
			return ERR_MALFORMED;
		if (i && attrs_name_compare(before.name, before.name_len, l.name,
					    l.name_len) >= 0)
			return ERR_MALFORMED;
		before = l;
	}
	out->count = out->n;
	out->bytes = (uint64_t)(in->p - out->items.p);
	return out->n > 1 && out->bytes > ATTRS_PAGE ? ERR_MALFORMED : 0;
}

/* Children in order, of more than would be a page. */
static int check_children(struct cursor *in, struct attrs_node *out)
{
	struct attrs_child c;
	unsigned least = 0;

	for (size_t i = 0; i < out->n; i++) {
		if (take_child(in, &c) < 0 || c.digit < least)
			return ERR_MALFORMED;
		least = c.digit + 1;
		if (__builtin_add_overflow(out->count, c.count, &out->count) ||
		    __builtin_add_overflow(out->bytes, c.bytes, &out->bytes) ||
		    out->count > INT64_MAX || out->bytes > INT64_MAX)
			return ERR_MALFORMED;
	}
	return out->count < 2 || out->bytes <= ATTRS_PAGE ? ERR_MALFORMED : 0;
}

int attrs_node_decode(struct attrs_node *out, const void *data, size_t len)
{
	struct cursor in = cursor_over(data, len);
	struct cbor_item head;
	struct cbor_map m;
	int r = cbor_map_begin(&in, &m), more = 0;

	*out = (struct attrs_node){ 0 };
	while (r == 0 && (more = cbor_map_next(&in, &m)) > 0) {
		if (cbor_key_is(&m, "d")) {
			out->has_self = true;
			r = take_entry(&in, &out->self);
			continue;
		}
		if (out->form || (!cbor_key_is(&m, "e") && !cbor_key_is(&m, "i")))
			return ERR_MALFORMED;
		out->form = *m.key == 'e' ? ATTRS_ENTRIES : ATTRS_INDEX;
		if (cbor_expect(&in, CBOR_ARRAY, &head) < 0 || !head.value)
			return ERR_MALFORMED;
		out->n = (size_t)head.value;
		out->items = in;
		r = out->form == ATTRS_ENTRIES ? check_entries(&in, out)
					       : check_children(&in, out);
		out->items.end = in.p;
	}
	if (r < 0 || more < 0 || !cursor_done(&in))
		return ERR_MALFORMED;
	return out->has_self || out->form ? 0 : ERR_MALFORMED;
}

int attrs_node_entry(struct cursor *items, struct attrs_link *out)
{
	if (items->bad || items->p == items->end)
		return 0;
	return take_link(items, out) == 0;
}

int attrs_node_child(struct cursor *items, struct attrs_child *out)
{
	if (items->bad || items->p == items->end)
		return 0;
	return take_child(items, out) == 0;
}
