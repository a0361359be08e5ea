#include "net/ipns.h"

#include "store/cbor.h"
#include "store/error.h"
#include "store/pb.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#define SIGNED_PREFIX "ipns-signature:"
#define EOL           0
#define YEAR_9999_S   INT64_C(253402300799)
#define EXTRA_KEY     "_cairn"

enum {
	F_VALUE = 1,
	F_SIGNATURE_V1,
	F_VALIDITY_TYPE,
	F_VALIDITY,
	F_SEQUENCE,
	F_TTL,
	F_PUBKEY,
	F_SIGNATURE_V2,
	F_DATA,
};

struct span {
	const uint8_t *p;
	size_t len;
};

static bool span_is(const struct span *a, const struct span *b)
{
	return a->len == b->len && (!a->len || memcmp(a->p, b->p, a->len) == 0);
}

/* The five facts, which stand in the signed data and perhaps a second time. */
struct facts {
	struct span value, validity;
	uint64_t validity_type, sequence, ttl;
};

struct entry {
	struct facts copy; /* outside the signature */
	struct span pubkey, signature_v1, signature_v2, data;
};

struct moment {
	int64_t s;
	uint32_t ns;
};

static int decode_entry(struct entry *e, const void *data, size_t len)
{
	struct cursor in = cursor_over(data, len);
	struct pb_field f;
	int r;

	*e = (struct entry){ 0 };
	while ((r = pb_next(&in, &f)) > 0) {
		struct span *bytes = NULL;
		uint64_t *number = NULL;

		switch (f.number) {
		case F_VALUE:
			bytes = &e->copy.value;
			break;
		case F_SIGNATURE_V1:
			bytes = &e->signature_v1;
			break;
		case F_VALIDITY_TYPE:
			number = &e->copy.validity_type;
			break;
		case F_VALIDITY:
			bytes = &e->copy.validity;
			break;
		case F_SEQUENCE:
			number = &e->copy.sequence;
			break;
		case F_TTL:
			number = &e->copy.ttl;
			break;
		case F_PUBKEY:
			bytes = &e->pubkey;
			break;
		case F_SIGNATURE_V2:
			bytes = &e->signature_v2;
			break;
		case F_DATA:
			bytes = &e->data;
			break;
		}
		if ((bytes && f.type != PB_BYTES) || (number && f.type != PB_VARINT))
			return ERR_MALFORMED;
		if (bytes)
			*bytes = (struct span){ f.data, f.len };
		if (number)
			*number = f.value;
	}
	return r;
}

/* The signed map.  All five keys are required; of others only ours is read. */
static int decode_data(const struct span *data, struct facts *out, struct span *extra)
{
	struct cursor in = cursor_over(data->p, data->len);
	struct cbor_map m;
	struct cbor_item v;
	unsigned seen = 0;
	int r, more;

	*out = (struct facts){ 0 };
	*extra = (struct span){ 0 };
	r = cbor_map_begin(&in, &m);
	while (r == 0 && (more = cbor_map_next(&in, &m)) != 0) {
		if (more < 0)
			return more;
		struct span *bytes = NULL;
		uint64_t *number = NULL;

		if (cbor_key_is(&m, "Value")) {
			bytes = &out->value;
		} else if (cbor_key_is(&m, "Validity")) {
			bytes = &out->validity;
		} else if (cbor_key_is(&m, "ValidityType")) {
			number = &out->validity_type;
		} else if (cbor_key_is(&m, "Sequence")) {
			number = &out->sequence;
		} else if (cbor_key_is(&m, "TTL")) {
			number = &out->ttl;
		} else if (cbor_key_is(&m, EXTRA_KEY)) {
			struct cursor ahead = in;

			if (cbor_next(&ahead, &v) == 0 && v.kind == CBOR_BYTES)
				*extra = (struct span){ v.data, v.len };
			r = cbor_skip(&in);
			continue;
		} else {
			r = cbor_skip(&in);
			continue;
		}
		seen++;
		r = cbor_expect(&in, bytes ? CBOR_BYTES : CBOR_UINT, &v);
		if (bytes)
			*bytes = (struct span){ v.data, v.len };
		else
			*number = v.value;
	}
	if (r < 0)
		return r;
	return seen == 5 && cursor_done(&in) ? 0 : ERR_MALFORMED;
}

/* `n` decimal digits. */
static bool digits(struct cursor *in, int n, int *out)
{
	*out = 0;
	while (n--) {
		uint8_t c = cursor_u8(in);

		if (in->bad || c < '0' || c > '9')
			return false;
		*out = *out * 10 + (c - '0');
	}
	return true;
}

static bool literal(struct cursor *in, char c)
{
	return cursor_u8(in) == (uint8_t)c && !in->bad;
}

/* Days since 1970-01-01 of a date of the Gregorian calendar. */
static int64_t days_of(int year, int month, int day)
{
	/* The year begins in March, so that the leap day comes last. */
	int y = month <= 2 ? year - 1 : year;
	int m = month <= 2 ? month + 9 : month - 3;
	int era = (y >= 0 ? y : y - 399) / 400;
	int in_era = y - era * 400;
	int in_year = (153 * m + 2) / 5 + day - 1;

	return (int64_t)era * 146097 + in_era * 365 + in_era / 4 - in_era / 100 +
	       in_year - 719468;
}

/* RFC 3339, with any number of digits behind the point. */
static int parse_time(const struct span *text, struct moment *out)
{
	static const uint8_t month_days[] = { 31, 28, 31, 30, 31, 30,
					      31, 31, 30, 31, 30, 31 };
	struct cursor in = cursor_over(text->p, text->len);
	int year, month, day, hour, minute, second, offset = 0;

	if (text->len > 64 || !digits(&in, 4, &year) || !literal(&in, '-') ||
	    !digits(&in, 2, &month) || !literal(&in, '-') || !digits(&in, 2, &day) ||
	    !literal(&in, 'T') || !digits(&in, 2, &hour) || !literal(&in, ':') ||
	    !digits(&in, 2, &minute) || !literal(&in, ':') || !digits(&in, 2, &second))
		return ERR_MALFORMED;
	if (month < 1 || month > 12 || hour > 23 || minute > 59 || second > 59)
		return ERR_MALFORMED;
	bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
	if (day < 1 || day > month_days[month - 1] + (month == 2 && leap))
		return ERR_MALFORMED;

	uint32_t ns = 0;
	uint8_t c = cursor_u8(&in);
	if (c == '.') {
		uint32_t unit = 100000000;
		int n = 0;

		for (c = cursor_u8(&in); c >= '0' && c <= '9'; c = cursor_u8(&in), n++) {
			ns += (uint32_t)(c - '0') * unit;
			unit /= 10;
		}
		if (!n)
			return ERR_MALFORMED;
	}
	if (c == '+' || c == '-') {
		int h, m;

		if (!digits(&in, 2, &h) || !literal(&in, ':') || !digits(&in, 2, &m) ||
		    h > 23 || m > 59)
			return ERR_MALFORMED;
		offset = (h * 60 + m) * 60 * (c == '+' ? 1 : -1);
	} else if (c != 'Z') {
		return ERR_MALFORMED;
	}
	if (!cursor_done(&in))
		return ERR_MALFORMED;
	out->s = days_of(year, month, day) * 86400 + hour * 3600 + minute * 60 + second -
		 offset;
	out->ns = ns;
	return 0;
}

static void format_time(int64_t ms, char out[40])
{
	int64_t s = ms / 1000;
	struct tm tm;

	if (s < 0)
		s = 0;
	if (s > YEAR_9999_S)
		s = YEAR_9999_S;
	time_t t = (time_t)s;
	gmtime_r(&t, &tm);
	/* Nine digits, as all readers take them. */
	size_t n = strftime(out, 40, "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(out + n, 40 - n, ".%03d000000Z", ms > 0 ? (int)(ms % 1000) : 0);
}

static void encode_data(struct buf *out, const struct ipns_record *rec,
			const char *validity, uint64_t ttl)
{
	/* Keys by length, then by bytes. */
	cbor_put_map(out, rec->extra_len ? 6 : 5);
	cbor_put_text(out, "TTL", 3);
	cbor_put_uint(out, ttl);
	cbor_put_text(out, "Value", 5);
	cbor_put_bytes(out, rec->value, strlen(rec->value));
	if (rec->extra_len) {
		cbor_put_text(out, EXTRA_KEY, strlen(EXTRA_KEY));
		cbor_put_bytes(out, rec->extra, rec->extra_len);
	}
	cbor_put_text(out, "Sequence", 8);
	cbor_put_uint(out, rec->sequence);
	cbor_put_text(out, "Validity", 8);
	cbor_put_bytes(out, validity, strlen(validity));
	cbor_put_text(out, "ValidityType", 12);
	cbor_put_uint(out, EOL);
}

int ipns_sign(struct buf *out, const struct secret_key *key,
	      const struct ipns_record *rec)
{
	struct buf data = { 0 }, text = { 0 }, entry = { 0 };
	uint8_t v1[ED25519_SIGNATURE], v2[ED25519_SIGNATURE];
	char validity[40];
	/* Others read it as a signed number. */
	uint64_t ttl = rec->ttl_ns > INT64_MAX ? INT64_MAX : rec->ttl_ns;
	int r = -EMSGSIZE;

	if (strnlen(rec->value, IPNS_VALUE_MAX) == IPNS_VALUE_MAX ||
	    rec->extra_len > sizeof rec->extra)
		return r;
	format_time(rec->validity_ms, validity);
	buf_text(&text, SIGNED_PREFIX);
	encode_data(&data, rec, validity, ttl);
	buf_append(&text, data.data, data.len);
	if (text.failed || data.failed) {
		r = -ENOMEM;
		goto out;
	}
	key_sign(key, text.data, text.len, v2);
	buf_clear(&text);
	buf_text(&text, rec->value);
	buf_text(&text, validity);
	buf_text(&text, "EOL");
	if (text.failed) {
		r = -ENOMEM;
		goto out;
	}
	key_sign(key, text.data, text.len, v1);

	pb_put_text(&entry, F_VALUE, rec->value);
	pb_put_bytes(&entry, F_SIGNATURE_V1, v1, sizeof v1);
	pb_put_varint(&entry, F_VALIDITY_TYPE, EOL);
	pb_put_text(&entry, F_VALIDITY, validity);
	pb_put_varint(&entry, F_SEQUENCE, rec->sequence);
	pb_put_varint(&entry, F_TTL, ttl);
	pb_put_bytes(&entry, F_SIGNATURE_V2, v2, sizeof v2);
	pb_put_bytes(&entry, F_DATA, data.data, data.len);
	if (entry.len > IPNS_RECORD_MAX)
		goto out;
	buf_append(out, entry.data, entry.len);
	r = entry.failed || out->failed ? -ENOMEM : 0;
out:
	buf_release(&data);
	buf_release(&text);
	buf_release(&entry);
	return r;
}

/* The key that must have signed: in the record, or in the name itself. */
static int find_key(const struct entry *e, const struct peer_id *name,
		    struct public_key *key)
{
	struct peer_id owner;

	if (!e->pubkey.len)
		return key_of_peer(name, key);
	int r = key_decode(key, e->pubkey.p, e->pubkey.len);
	if (r < 0)
		return r;
	key_peer(key, &owner);
	return peer_equal(&owner, name) ? 0 : ERR_CORRUPT;
}

/* The signature is checked before what it signs is read. */
static int check_signature(const struct entry *e, const struct peer_id *name)
{
	struct public_key key;
	struct buf text = { 0 };
	int r = find_key(e, name, &key);

	if (r < 0)
		return r;
	buf_text(&text, SIGNED_PREFIX);
	buf_append(&text, e->data.p, e->data.len);
	r = text.failed ? -ENOMEM
			: key_verify(&key, text.data, text.len, e->signature_v2.p,
				     e->signature_v2.len);
	buf_release(&text);
	return r;
}

static bool copies_agree(const struct facts *a, const struct facts *b)
{
	return span_is(&a->value, &b->value) && span_is(&a->validity, &b->validity) &&
	       a->validity_type == b->validity_type && a->sequence == b->sequence &&
	       a->ttl == b->ttl;
}

/* A content path; also a bare binary CID, or nothing, which is the empty file. */
static int read_value(const struct span *v, char out[IPNS_VALUE_MAX])
{
	char text[CID_TEXT_MAX];
	struct cid cid;

	if (!v->len) {
		snprintf(out, IPNS_VALUE_MAX, "/ipfs/bafkqaaa");
		return 0;
	}
	if (v->len >= IPNS_VALUE_MAX)
		return ERR_MALFORMED;
	if (v->p[0] == '/') {
		if (memchr(v->p, 0, v->len))
			return ERR_MALFORMED;
		memcpy(out, v->p, v->len);
		out[v->len] = 0;
		return 0;
	}
	int r = cid_decode(&cid, v->p, v->len);
	if (r < 0)
		return r;
	snprintf(out, IPNS_VALUE_MAX, "/ipfs/%s", cid_text(&cid, text));
	return 0;
}

int ipns_verify(struct ipns_record *out, const struct peer_id *name, const void *data,
		size_t len, int64_t now_ms)
{
	struct entry e;
	struct facts facts;
	struct span extra;
	struct moment end;
	int r;

	if (len > IPNS_RECORD_MAX)
		return ERR_MALFORMED;
	r = decode_entry(&e, data, len);
	if (r < 0)
		return r;
	if (!e.signature_v2.len || !e.data.len)
		return ERR_MALFORMED;
	r = check_signature(&e, name);
	if (r < 0)
		return r;
	r = decode_data(&e.data, &facts, &extra);
	if (r < 0)
		return r;
	if ((e.signature_v1.len || e.copy.value.len) && !copies_agree(&e.copy, &facts))
		return ERR_CORRUPT;
	if (facts.validity_type != EOL)
		return ERR_MALFORMED;
	r = parse_time(&facts.validity, &end);
	if (r < 0)
		return r;
	/* Four digits of year: no overflow. */
	int64_t end_ms = end.s * 1000 + end.ns / 1000000;
	if (end_ms <= now_ms)
		return -ETIME;

	struct ipns_record rec = { .sequence = facts.sequence, .validity_ms = end_ms };
	r = read_value(&facts.value, rec.value);
	if (r < 0)
		return r;
	/* Nobody may keep it longer than it is valid. */
	uint64_t left_ms = (uint64_t)end_ms - (uint64_t)now_ms;
	rec.ttl_ns = facts.ttl;
	if (facts.ttl / 1000000 > left_ms)
		rec.ttl_ns =
		    left_ms > INT64_MAX / 1000000 ? INT64_MAX : left_ms * 1000000;
	if (extra.len <= sizeof rec.extra && extra.len) {
		memcpy(rec.extra, extra.p, extra.len);
		rec.extra_len = extra.len;
	}
	*out = rec;
	return 0;
}

int ipns_compare(const void *a, size_t a_len, const void *b, size_t b_len)
{
	struct entry ea, eb;
	struct facts fa = { 0 }, fb = { 0 };
	struct moment ta = { 0 }, tb = { 0 };
	struct span extra;

	/* Both were verified, so both decode. */
	if (decode_entry(&ea, a, a_len) == 0)
		decode_data(&ea.data, &fa, &extra);
	if (decode_entry(&eb, b, b_len) == 0)
		decode_data(&eb.data, &fb, &extra);
	if (fa.sequence != fb.sequence)
		return fa.sequence > fb.sequence ? 1 : -1;
	parse_time(&fa.validity, &ta);
	parse_time(&fb.validity, &tb);
	if (ta.s != tb.s)
		return ta.s > tb.s ? 1 : -1;
	if (ta.ns != tb.ns)
		return ta.ns > tb.ns ? 1 : -1;
	int d = memcmp(a, b, a_len < b_len ? a_len : b_len);
	if (d)
		return d;
	return (a_len > b_len) - (a_len < b_len);
}

size_t ipns_key(const struct peer_id *name, uint8_t out[IPNS_KEY_MAX])
{
	memcpy(out, "/ipns/", 6);
	memcpy(out + 6, name->bytes, name->len);
	return 6 + (size_t)name->len;
}
