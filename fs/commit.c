#include "fs/commit.h"

#include "store/cbor.h"
#include "store/error.h"

#include <string.h>

#define VERSION  1
#define NSEC_MAX 999999999u

static const char domain[] = "cairn commit v1"; /* and its NUL */

/* UTF-8 in shortest forms, no surrogates, no NUL. */
static bool text_ok(const char *text, size_t len)
{
	const uint8_t *p = (const uint8_t *)text, *end = p + len;

	while (p < end) {
		unsigned more = *p < 0x80   ? 0
				: *p < 0xc2 ? 4 /* behind a start, or not the shortest */
				: *p < 0xe0 ? 1
				: *p < 0xf0 ? 2
				: *p < 0xf5 ? 3
					    : 4;
		uint8_t first = *p++;

		if (first == 0 || more == 4 || (size_t)(end - p) < more)
			return false;
		if (more &&
		    ((first == 0xe0 && *p < 0xa0) || (first == 0xed && *p > 0x9f) ||
		     (first == 0xf0 && *p < 0x90) || (first == 0xf4 && *p > 0x8f)))
			return false;
		for (; more; more--)
			if (*p++ >> 6 != 2)
				return false;
	}
	return true;
}

static bool node_cid_ok(const struct cid *c)
{
	return c->version == 1 && c->codec == CODEC_DAG_CBOR &&
	       c->hash.code == HASH_SHA2_256 && c->hash.size == 32;
}

static int check(const struct commit *c)
{
	struct peer_id folder;

	if (c->n_parents > COMMIT_PARENTS_MAX || c->message_len > COMMIT_MESSAGE_MAX)
		return -E2BIG;
	if (c->root.codec != CODEC_DAG_PB || multihash_allowed(&c->root.hash) < 0 ||
	    (c->has_attrs && !node_cid_ok(&c->attrs)))
		return -EINVAL;
	for (size_t i = 0; i < c->n_parents; i++) {
		if (!node_cid_ok(&c->parents[i]))
			return -EINVAL;
		for (size_t j = 0; j < i; j++)
			if (cid_equal(&c->parents[i], &c->parents[j]))
				return -EINVAL;
	}
	if (peer_decode(&folder, c->folder.bytes, c->folder.len) < 0 ||
	    c->time.nsec > NSEC_MAX)
		return -EINVAL;
	if (c->profile_len == 0 || c->profile_len > COMMIT_PROFILE_MAX ||
	    !text_ok(c->profile, c->profile_len) || !text_ok(c->message, c->message_len))
		return -EINVAL;
	return 0;
}

static void put_key(struct buf *out, const char *key)
{
	cbor_put_text(out, key, strlen(key));
}

/* The map, whose keys are in order of their lengths, then their bytes. */
static void put_map(struct buf *out, const struct commit *c, bool with_signature)
{
	cbor_put_map(out, 8 + c->has_attrs + with_signature);
	put_key(out, "root");
	cbor_put_link(out, &c->root);
	put_key(out, "time");
	cbor_put_array(out, 2);
	cbor_put_int(out, c->time.sec);
	cbor_put_uint(out, c->time.nsec);
	if (c->has_attrs) {
		put_key(out, "attrs");
		cbor_put_link(out, &c->attrs);
	}
	put_key(out, "author");
	cbor_put_bytes(out, c->author, sizeof c->author);
	put_key(out, "folder");
	cbor_put_bytes(out, c->folder.bytes, c->folder.len);
	put_key(out, "message");
	cbor_put_text(out, c->message, c->message_len);
	put_key(out, "parents");
	cbor_put_array(out, c->n_parents);
	for (size_t i = 0; i < c->n_parents; i++)
		cbor_put_link(out, &c->parents[i]);
	put_key(out, "profile");
	cbor_put_text(out, c->profile, c->profile_len);
	put_key(out, "version");
	cbor_put_uint(out, VERSION);
	if (!with_signature)
		return;
	put_key(out, "signature");
	cbor_put_bytes(out, c->signature, sizeof c->signature);
}

static void put_signed(struct buf *out, const struct commit *c)
{
	buf_append(out, domain, sizeof domain);
	put_map(out, c, false);
}

int commit_sign(struct commit *c, const struct secret_key *author, struct buf *out)
{
	struct public_key key;
	struct buf text = { 0 };
	int r = check(c);

	if (r < 0)
		return r;
	key_public(author, &key);
	memcpy(c->author, key.data, sizeof c->author);
	put_signed(&text, c);
	if (!text.failed) {
		key_sign(author, text.data, text.len, c->signature);
		put_map(out, c, true);
	}
	r = text.failed || out->failed ? -ENOMEM : 0;
	buf_release(&text);
	return r;
}

/* Exactly `len` bytes. */
static int take_fixed(struct cursor *in, uint8_t *out, size_t len)
{
	struct cbor_item v;

	if (cbor_expect(in, CBOR_BYTES, &v) < 0 || v.len != len)
		return ERR_MALFORMED;
	memcpy(out, v.data, len);
	return 0;
}

static int take_text(struct cursor *in, const char **out, size_t *len)
{
	struct cbor_item v;

	if (cbor_expect(in, CBOR_TEXT, &v) < 0)
		return ERR_MALFORMED;
	*out = (const char *)v.data;
	*len = v.len;
	return 0;
}

static int take_cid(struct cursor *in, struct cid *out)
{
	struct cbor_item v;

	return cbor_expect(in, CBOR_LINK, &v) < 0 ? ERR_MALFORMED
						  : cid_decode(out, v.data, v.len);
}

static int take_time(struct cursor *in, struct commit_time *t)
{
	struct cbor_item head, sec, nsec;

	if (cbor_expect(in, CBOR_ARRAY, &head) < 0 || head.value != 2 ||
	    cbor_next(in, &sec) < 0 || cbor_expect(in, CBOR_UINT, &nsec) < 0)
		return ERR_MALFORMED;
	if ((sec.kind != CBOR_UINT && sec.kind != CBOR_NEGATIVE) ||
	    sec.value > INT64_MAX || nsec.value > NSEC_MAX)
		return ERR_MALFORMED;
	t->sec = sec.kind == CBOR_UINT ? (int64_t)sec.value : -1 - (int64_t)sec.value;
	t->nsec = (uint32_t)nsec.value;
	return 0;
}

static int take_parents(struct cursor *in, struct commit *out)
{
	struct cbor_item head;
	int r = 0;

	if (cbor_expect(in, CBOR_ARRAY, &head) < 0)
		return ERR_MALFORMED;
	if (head.value > COMMIT_PARENTS_MAX)
		return -E2BIG;
	out->n_parents = (size_t)head.value;
	for (size_t i = 0; i < out->n_parents && r == 0; i++)
		r = take_cid(in, &out->parents[i]);
	return r;
}

static int take_field(struct cursor *in, const struct cbor_map *m, struct commit *out)
{
	struct cbor_item v;

	if (cbor_key_is(m, "root"))
		return take_cid(in, &out->root);
	if (cbor_key_is(m, "time"))
		return take_time(in, &out->time);
	if (cbor_key_is(m, "attrs")) {
		out->has_attrs = true;
		return take_cid(in, &out->attrs);
	}
	if (cbor_key_is(m, "author"))
		return take_fixed(in, out->author, sizeof out->author);
	if (cbor_key_is(m, "folder")) {
		if (cbor_expect(in, CBOR_BYTES, &v) < 0)
			return ERR_MALFORMED;
		return peer_decode(&out->folder, v.data, v.len);
	}
	if (cbor_key_is(m, "message"))
		return take_text(in, &out->message, &out->message_len);
	if (cbor_key_is(m, "parents"))
		return take_parents(in, out);
	if (cbor_key_is(m, "profile"))
		return take_text(in, &out->profile, &out->profile_len);
	if (cbor_key_is(m, "version"))
		return cbor_expect(in, CBOR_UINT, &v) < 0 || v.value != VERSION
			   ? ERR_MALFORMED
			   : 0;
	if (cbor_key_is(m, "signature"))
		return take_fixed(in, out->signature, sizeof out->signature);
	return ERR_MALFORMED;
}

/* True if it is a commit of a version that we do not know, which may have other
 * fields. */
static bool is_newer(const void *data, size_t len)
{
	struct cursor in = cursor_over(data, len);
	struct cbor_item v;
	struct cbor_map m;

	if (cbor_map_begin(&in, &m) < 0)
		return false;
	while (cbor_map_next(&in, &m) > 0) {
		if (cbor_key_is(&m, "version"))
			return cbor_expect(&in, CBOR_UINT, &v) == 0 && v.value > VERSION;
		if (cbor_skip(&in) < 0)
			return false;
	}
	return false;
}

int commit_decode(struct commit *out, const void *data, size_t len)
{
	struct cursor in = cursor_over(data, len);
	struct cbor_map m;
	size_t fields = 0;
	int r, more = 0;

	memset(out, 0, sizeof *out);
	if (len > COMMIT_MAX)
		return -E2BIG;
	if (is_newer(data, len))
		return ERR_NEWER;
	r = cbor_map_begin(&in, &m);
	for (; r == 0 && (more = cbor_map_next(&in, &m)) > 0; fields++)
		r = take_field(&in, &m, out);
	if (r < 0)
		return r;
	/* No key comes twice, so this many are all. */
	if (more < 0 || !cursor_done(&in) || fields != 9 + (size_t)out->has_attrs)
		return ERR_MALFORMED;
	r = check(out);
	return r == -EINVAL ? ERR_MALFORMED : r;
}

int commit_verify(const struct commit *c, const struct peer_id *folder)
{
	struct public_key key = { .type = KEY_ED25519, .len = sizeof c->author };
	struct buf text = { 0 };
	int r = -ENOMEM;

	if (!peer_equal(&c->folder, folder))
		return ERR_MALFORMED;
	memcpy(key.data, c->author, sizeof c->author);
	put_signed(&text, c);
	if (!text.failed)
		r = key_verify(&key, text.data, text.len, c->signature,
			       sizeof c->signature);
	buf_release(&text);
	return r;
}

void commit_cid(const void *data, size_t len, struct cid *out)
{
	cid_of(out, 1, CODEC_DAG_CBOR, data, len);
}

int commit_time_compare(struct commit_time a, struct commit_time b)
{
	if (a.sec != b.sec)
		return a.sec < b.sec ? -1 : 1;
	return (a.nsec > b.nsec) - (a.nsec < b.nsec);
}

struct commit_time commit_time_clamp(struct commit_time t, struct commit_time now)
{
	return commit_time_compare(t, now) > 0 ? now : t;
}

struct commit_time commit_time_next(struct commit_time now,
				    struct commit_time newest_parent)
{
	newest_parent = commit_time_clamp(newest_parent, now);
	if (commit_time_compare(now, newest_parent) > 0)
		return now;
	if (newest_parent.nsec < NSEC_MAX)
		newest_parent.nsec++;
	else if (newest_parent.sec < INT64_MAX)
		newest_parent = (struct commit_time){ newest_parent.sec + 1, 0 };
	return newest_parent;
}
