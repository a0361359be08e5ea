/* CAR files: the format, export, import, and a file as a source of blocks. */
#include "store/car.h"
#include "store/car_export.h"
#include "store/car_import.h"
#include "store/car_source.h"
#include "store/cbor.h"
#include "store/cidset.h"
#include "tests/scratch.h"
#include "tests/unit/hex.h"
#include "tests/unit/memory_source.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

/* Bytes in memory as a file that can be jumped in, or as a pipe. */
struct bytes {
	struct car_input base;
	const uint8_t *data;
	size_t len, at;
	size_t step; /* at most so many at a time; 0: all */
};

static int64_t bytes_read(struct car_input *self, void *buf, size_t len)
{
	struct bytes *b = (struct bytes *)self;

	if (len > b->len - b->at)
		len = b->len - b->at;
	if (b->step && len > b->step)
		len = b->step;
	memcpy(buf, b->data + b->at, len);
	b->at += len;
	return (int64_t)len;
}

static int bytes_skip(struct car_input *self, uint64_t n)
{
	struct bytes *b = (struct bytes *)self;

	assert_true(n <= b->len - b->at); /* as promised */
	b->at += n;
	return 0;
}

static struct bytes a_file(const void *data, size_t len)
{
	return (struct bytes){ .base = { bytes_read, bytes_skip, len }, .data = data, .len = len };
}

static struct bytes a_pipe(const void *data, size_t len)
{
	return (struct bytes){ .base = { bytes_read, NULL, UINT64_MAX },
			       .data = data,
			       .len = len,
			       .step = 7 };
}

/* How many sections there are, or the error. */
static int sections(struct bytes in, bool heads)
{
	struct car_reader *r;
	struct car_section s;
	int n = 0, e = car_open(&r, &in.base, heads);

	while (e >= 0 && (e = car_next(r, &s)) > 0)
		n++;
	if (e < 0) {
		assert_true(*car_why(r));
		/* Nothing comes behind an error. */
		assert_true(car_next(r, &s) < 0);
	}
	car_close(r);
	return e < 0 ? e : n;
}

static struct cid raw(const char *text)
{
	struct cid c;

	cid_of(&c, 1, CODEC_RAW, text, strlen(text));
	return c;
}

static void put_block(struct buf *b, const struct cid *c, const void *data, size_t len)
{
	car_put_section(b, c, len);
	buf_append(b, data, len);
}

/* Three sections: raw "one", a version 0 node of no bytes, an identity CID. */
static void three(struct buf *b)
{
	struct cid one = raw("one"), node, id;

	cid_of(&node, 0, CODEC_DAG_PB, "", 0);
	id = (struct cid){ .version = 1, .codec = CODEC_RAW, .hash = { .size = 2, .digest = "hi" } };
	car_put_header(b, &one, 1);
	put_block(b, &one, "one", 3);
	put_block(b, &node, "", 0);
	put_block(b, &id, "hi", 2);
	assert_false(b->failed);
}

static void put_u64s(struct buf *b, uint64_t data, uint64_t size, uint64_t index)
{
	static const uint8_t characteristics[16];

	buf_append(b, "\x0a\xa1\x67version\x02", 11);
	buf_append(b, characteristics, 16);
	buf_u64le(b, data);
	buf_u64le(b, size);
	buf_u64le(b, index);
}

/* A version 2 around a version 1, with some padding, and an index of 4 bytes. */
static void wrapped(struct buf *out, const struct buf *v1)
{
	put_u64s(out, 51 + 5, v1->len, 51 + 5 + v1->len + 3);
	buf_append(out, "\0\0\0\0\0", 5);
	buf_append(out, v1->data, v1->len);
	buf_append(out, "\0\0\0\1\2\3\4", 7);
}

/* ---- the format ---- */

static void a_header_is_these_bytes(void **state)
{
	/* a2 "roots" [42(00 CID)] "version" 1, keys in this order */
	static const char hex[] = "3a"
				  "a265726f6f747381d82a582500015512202cf24dba5fb0a30e26e83b2ac5b9e2"
				  "9e1b161e5c1fa7425e73043362938b98246776657273696f6e01"
				  "29015512202cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e730433"
				  "62938b982468656c6c6f";
	uint8_t want[256];
	size_t n = unhex(hex, want);
	struct cid hello = raw("hello"), root;
	struct buf b = { 0 };

	car_put_header(&b, &hello, 1);
	put_block(&b, &hello, "hello", 5);
	assert_int_equal(b.len, n);
	assert_memory_equal(b.data, want, n);

	struct bytes in = a_file(want, n);
	struct car_reader *r;
	struct car_section s;
	assert_int_equal(car_open(&r, &in.base, false), 0);
	assert_int_equal(car_root_count(r), 1);
	struct cursor roots = car_roots(r);
	assert_true(car_root_next(&roots, &root));
	assert_true(cid_equal(&root, &hello));
	assert_false(car_root_next(&roots, &root));
	assert_int_equal(car_next(r, &s), 1);
	assert_true(cid_equal(&s.cid, &hello));
	assert_int_equal(s.len, 5);
	assert_memory_equal(s.data, "hello", 5);
	assert_int_equal(s.at, 59);
	assert_int_equal(s.data_at, 96);
	assert_int_equal(car_next(r, &s), 0);
	assert_int_equal(car_next(r, &s), 0);
	car_close(r);
	buf_release(&b);
}

static void a_header_that_is_not_strict_is_refused(void **state)
{
	static const struct {
		const char *hex;
		int result;
	} cases[] = {
		{ "a265726f6f7473806776657273696f6e01", 0 },		 /* no roots */
		{ "a16776657273696f6e02", 0 },				 /* the pragma */
		{ "a16776657273696f6e01", ERR_MALFORMED },		 /* roots absent */
		{ "a165726f6f747380", ERR_MALFORMED },			 /* version absent */
		{ "a265726f6f7473806776657273696f6e00", ERR_MALFORMED }, /* version 0 */
		{ "a265726f6f7473806776657273696f6e02", ERR_MALFORMED }, /* a 2 with roots */
		{ "a16776657273696f6e182a", ERR_NEWER },		 /* 42 */
		{ "a26776657273696f6e0165726f6f747380", ERR_MALFORMED }, /* wrong order */
		{ "a265726f6f747381006776657273696f6e01", ERR_MALFORMED }, /* a root that is 0 */
		{ "a3617801" "65726f6f7473806776657273696f6e01", ERR_MALFORMED }, /* another key */
		{ "a265726f6f7473806776657273696f6e0100", ERR_MALFORMED },	  /* a byte behind */
		{ "bf65726f6f7473806776657273696f6e01ff", ERR_MALFORMED }, /* no definite length */
		{ "", ERR_MALFORMED },
	};
	uint8_t data[64];
	struct car_header h;

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		size_t n = unhex(cases[i].hex, data);
		assert_int_equal(car_header_decode(&h, data, n), cases[i].result);
		for (size_t cut = 0; cases[i].result == 0 && cut < n; cut++)
			assert_int_equal(car_header_decode(&h, data, cut), ERR_MALFORMED);
	}
}

static void every_cut_of_a_v1_ends_at_a_section_or_is_refused(void **state)
{
	struct buf b = { 0 };
	size_t ends[4], n = 0;
	struct car_section s;
	struct car_reader *r;

	three(&b);
	struct bytes all = a_file(b.data, b.len);
	assert_int_equal(car_open(&r, &all.base, false), 0);
	do
		ends[n++] = car_offset(r);
	while (car_next(r, &s) > 0);
	car_close(r);
	assert_int_equal(n, 4);
	for (size_t cut = 0; cut <= b.len; cut++) {
		int want = ERR_MALFORMED;
		for (int i = 0; i < 4; i++)
			if (cut == ends[i])
				want = i;
		for (int heads = 0; heads < 2; heads++) {
			assert_int_equal(sections(a_file(b.data, cut), heads), want);
			assert_int_equal(sections(a_pipe(b.data, cut), heads), want);
		}
	}
	buf_release(&b);
}

static void every_cut_of_a_v2_is_refused(void **state)
{
	struct buf v1 = { 0 }, b = { 0 };

	three(&v1);
	wrapped(&b, &v1);
	size_t index_at = b.len - 4;
	for (size_t cut = 0; cut <= b.len; cut++) {
		/* What the index holds nobody reads; it has to begin. */
		int want = cut > index_at ? 3 : ERR_MALFORMED;
		for (int heads = 0; heads < 2; heads++) {
			assert_int_equal(sections(a_file(b.data, cut), heads), want);
			assert_int_equal(sections(a_pipe(b.data, cut), heads), want);
		}
	}
	buf_release(&v1);
	buf_release(&b);
}

static void b85_v2_offsets_past_the_end_or_overlapping_are_refused(void **state)
{
	struct buf v1 = { 0 };

	three(&v1);
	const uint64_t n = v1.len, end = 51 + n, big = UINT64_MAX;
	const struct {
		uint64_t data, size, index;
		int result;
	} cases[] = {
		{ 51, n, 0, 3 },
		{ 51, n, end, ERR_MALFORMED },	   /* an index of no bytes */
		{ 50, n, 0, ERR_MALFORMED },	   /* over the header */
		{ 0, n, 0, ERR_MALFORMED },
		{ 51, 0, 0, ERR_MALFORMED },
		{ 51, n + 1, 0, ERR_MALFORMED },   /* past the end */
		{ 52, n, 0, ERR_MALFORMED },
		{ end, n, 0, ERR_MALFORMED },
		{ 51, n, end - 1, ERR_MALFORMED }, /* the index over the data */
		{ 51, n, 51, ERR_MALFORMED },
		{ 51, n, 1, ERR_MALFORMED },
		{ 51, n, big, ERR_MALFORMED },
		{ 51, big, 0, ERR_MALFORMED },
		{ big, n, 0, ERR_MALFORMED },
		{ big, big, big, ERR_MALFORMED },
		{ 51, INT64_MAX, 0, ERR_MALFORMED },
		{ INT64_MAX, INT64_MAX, 0, ERR_MALFORMED },
		{ 51, n - 1, 0, ERR_MALFORMED },   /* cuts the last section */
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct buf b = { 0 };
		put_u64s(&b, cases[i].data, cases[i].size, cases[i].index);
		buf_append(&b, v1.data, v1.len);
		assert_int_equal(sections(a_file(b.data, b.len), false), cases[i].result);
		assert_int_equal(sections(a_pipe(b.data, b.len), false), cases[i].result);
		assert_int_equal(sections(a_file(b.data, b.len), true), cases[i].result);
		/* Where the size is known, all but a lying size is known at once. */
		struct bytes in = a_file(b.data, b.len);
		struct car_reader *r;
		int opened = car_open(&r, &in.base, false);
		assert_int_equal(opened, cases[i].size == n - 1 ? 0 : cases[i].result < 0 ? ERR_MALFORMED : 0);
		car_close(r);
		buf_release(&b);
	}
	buf_release(&v1);
}

static void a_v2_inside_of_a_v2_is_refused(void **state)
{
	struct buf v1 = { 0 }, inner = { 0 }, outer = { 0 };

	three(&v1);
	wrapped(&inner, &v1);
	wrapped(&outer, &inner);
	assert_int_equal(sections(a_file(inner.data, inner.len), false), 3);
	assert_int_equal(sections(a_file(outer.data, outer.len), false), ERR_MALFORMED);
	buf_release(&v1);
	buf_release(&inner);
	buf_release(&outer);
}

/* Bytes without end: whoever believes a length reads them. */
struct endless {
	struct car_input base;
	struct buf front;
	size_t at;
	uint64_t given;
};

static int64_t endless_read(struct car_input *self, void *buf, size_t len)
{
	struct endless *e = (struct endless *)self;
	size_t left = e->front.len - e->at;

	if (left) {
		if (len > left)
			len = left;
		memcpy(buf, e->front.data + e->at, len);
		e->at += len;
	} else {
		memset(buf, 0, len);
	}
	e->given += len;
	return (int64_t)len;
}

static void b85_lengths_over_their_limits_are_refused_before_they_are_read(void **state)
{
	static const uint8_t eleven[] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
					  0xff, 0xff, 0xff, 0xff, 0x01 };
	struct cid one = raw("one");

	for (int i = 0; i < 7; i++) {
		struct endless e = { .base = { endless_read, NULL, UINT64_MAX } };
		struct car_reader *r;
		struct car_section s;
		int want = ERR_MALFORMED;

		if (i >= 3)
			car_put_header(&e.front, &one, 1);
		switch (i) {
		case 0:
		case 3:
			buf_varint(&e.front, 33u << 20);
			break;
		case 1:
		case 4:
			buf_append(&e.front, eleven, sizeof eleven);
			break;
		case 2: /* a header of no bytes */
			buf_varint(&e.front, 0);
			break;
		case 5:
			car_put_section(&e.front, &one, 9u << 20);
			break;
		case 6: /* allowed in a CAR, but no block */
			car_put_section(&e.front, &one, BLOCK_MAX + 1);
			want = -EFBIG;
			break;
		}
		int got = car_open(&r, &e.base, false);
		if (i >= 3) {
			assert_int_equal(got, 0);
			got = car_next(r, &s);
		}
		assert_int_equal(got, want);
		assert_true(e.given <= 128u << 10);
		car_close(r);
		buf_release(&e.front);
	}
}

static void b85_a_section_of_length_zero_is_refused(void **state)
{
	struct buf b = { 0 };

	three(&b);
	buf_u8(&b, 0);
	assert_int_equal(sections(a_file(b.data, b.len), false), ERR_MALFORMED);
	assert_int_equal(sections(a_file(b.data, b.len), true), ERR_MALFORMED);
	buf_release(&b);
}

static void a_length_that_is_not_the_shortest_is_refused(void **state)
{
	struct buf b = { 0 };

	three(&b);
	buf_append(&b, "\xa9\x80\x00", 3);
	for (int i = 0; i < 0x29; i++)
		buf_u8(&b, 0);
	assert_int_equal(sections(a_file(b.data, b.len), false), ERR_MALFORMED);
	buf_release(&b);
}

/* ---- what others made ---- */

/* go-car's files are not kept here (tests/fixtures/README): skipped without. */
static uint8_t *fixture(const char *name, size_t *len)
{
	const char *material = getenv("CAIRN_CONFORMANCE");
	static const char *const below[] = { "go-car/v2/testdata", "go-car/cmd/car/testdata/inputs" };
	char dir[2048];

	if (!material || !*material)
		skip();
	for (int i = 0; i < 2; i++) {
		snprintf(dir, sizeof dir, "%s/%s", material, below[i]);
		uint8_t *data = scratch_read(dir, name, len);
		if (data)
			return data;
	}
	fail_msg("%s is not there", name);
	return NULL;
}

struct memory_sink {
	struct block_sink base;
	struct memory *memory;
	int error; /* of every put */
};

static int sink_put_block(struct block_sink *self, const struct multihash *name, const void *data,
			  size_t len)
{
	struct memory_sink *s = (struct memory_sink *)self;
	struct memory *m = s->memory;
	bool absent;

	if (s->error)
		return s->error;
	struct cid cid = { .version = 1, .codec = CODEC_RAW, .hash = *name };
	if (memory_find(m, &cid, &absent))
		return 0;
	/* Makes room, and then takes the place of its own block. */
	memory_put(m, CODEC_RAW, &m->n, sizeof m->n);
	block_unref(m->blocks[m->n - 1]);
	return block_verify(&m->blocks[m->n - 1], name, data, len);
}

static int import_into(struct memory *m, struct bytes in, struct car_import_result *result)
{
	struct memory_sink sink = { .base.put = sink_put_block, .memory = m };
	struct car_import_options o = { 0 };
	struct car_reader *r;
	int e = car_open(&r, &in.base, false);

	*result = (struct car_import_result){ 0 };
	if (e == 0)
		e = car_import(r, &sink.base, &o, result);
	car_close(r);
	return e;
}

static int append(void *arg, const void *data, size_t len)
{
	buf_append(arg, data, len);
	return 0;
}

static void files_of_go_car_are_taken_or_refused_as_they_should_be(void **state)
{
	static const struct {
		const char *name;
		int result; /* of opening and all sections */
		int blocks;
	} files[] = {
		{ "sample-v1.car", 0, 1043 },
		{ "sample-rw-bs-v2.car", 0, 0 },
		{ "sample-unixfs-v2.car", 0, 0 },
		{ "simple-unixfs.car", 0, 0 },
		{ "simple-unixfs-missing-blocks.car", 0, 0 },
		{ "sample-corrupt-pragma.car", ERR_MALFORMED, 0 },
		{ "sample-rootless-v42.car", ERR_NEWER, 0 },
		{ "sample-v1-with-zero-len-section2.car", ERR_MALFORMED, 0 },
		{ "badheaderlength.car", ERR_MALFORMED, 0 },
		{ "badsectionlength.car", ERR_MALFORMED, 0 },
	};
	for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
		struct car_import_result result;
		struct memory m;
		size_t len = 0;
		uint8_t *data = fixture(files[i].name, &len);

		memory_init(&m);
		int r = import_into(&m, a_file(data, len), &result);
		if (r != files[i].result)
			fail_msg("%s: %s", files[i].name, err_text(r));
		if (r == 0)
			assert_true(result.blocks > 0);
		if (files[i].blocks)
			assert_int_equal(result.blocks, files[i].blocks);
		memory_release(&m);
		/* From a pipe it is the same. */
		r = sections(a_pipe(data, len), false);
		assert_true(files[i].result ? r == files[i].result : r >= (int)result.blocks);
		free(data);
	}
}

static void an_export_is_byte_for_byte_that_of_go_car(void **state)
{
	struct car_export_options o = { 0 };
	struct car_export_result out;
	struct car_import_result in;
	struct buf b = { 0 };
	struct memory m;
	struct cid root;
	size_t len = 0;
	uint8_t *data = fixture("sample-v1.car", &len);

	memory_init(&m);
	assert_int_equal(import_into(&m, a_file(data, len), &in), 0);
	assert_int_equal(cid_parse(&root, "bafy2bzaced4ueelaegfs5fqu4tzsh6ywbbpfk3cxppupmxfdhbpbhzawfw5oy", 62), 0);
	assert_int_equal(car_export(&m.source, &root, append, &b, &o, &out), 0);
	assert_int_equal(b.len, len);
	assert_memory_equal(b.data, data, len);
	assert_int_equal(out.bytes, len);
	assert_true(out.blocks > in.blocks); /* identity CIDs are not imported */
	buf_release(&b);
	memory_release(&m);
	free(data);
}

static void an_input_that_once_crashed_go_car_is_refused(void **state)
{
	static const uint8_t data[] = "0\xa1gversion\x02"
				      "00000000000000000000000\xb7"
				      "0000000\x81"
				      "00000000";

	assert_int_equal(sections(a_file(data, sizeof data - 1), false), ERR_MALFORMED);
	assert_int_equal(sections(a_pipe(data, sizeof data - 1), false), ERR_MALFORMED);
}

/* ---- import ---- */

static void b85_a_block_that_is_not_its_cid_ends_the_import_and_is_not_kept(void **state)
{
	struct cid one = raw("one"), two = raw("two"), three_ = raw("three");
	struct car_import_result result;
	struct buf b = { 0 };
	struct memory m;

	memory_init(&m);
	car_put_header(&b, &one, 1);
	put_block(&b, &one, "one", 3);
	size_t at = b.len;
	put_block(&b, &two, "twO", 3);
	put_block(&b, &three_, "three", 5);
	assert_int_equal(import_into(&m, a_file(b.data, b.len), &result), ERR_CORRUPT);
	assert_int_equal(m.n, 1);
	assert_memory_equal(m.blocks[0]->data, "one", 3);
	assert_int_equal(result.blocks, 1);
	assert_true(result.in_block);
	assert_true(cid_equal(&result.cid, &two));
	assert_int_equal(result.at, at);
	memory_release(&m);
	buf_release(&b);
}

static void every_flipped_byte_of_a_block_is_found(void **state)
{
	struct car_import_result result;
	struct buf b = { 0 };

	three(&b);
	for (size_t i = 0; i < b.len; i++) {
		/* The root is only a name, and a codec is not covered by the hash. */
		bool quiet = (i >= 12 && i < 50) || i == 61 || i == b.len - 7;
		struct memory m;

		memory_init(&m);
		b.data[i] ^= 1;
		int r = import_into(&m, a_pipe(b.data, b.len), &result);
		b.data[i] ^= 1;
		if (r >= 0 && !quiet)
			fail_msg("byte %zu", i);
		for (size_t k = 0; k < m.n; k++)
			assert_true(m.blocks[k]->size == 0 ||
				    (m.blocks[k]->size == 3 && !memcmp(m.blocks[k]->data, "one", 3)));
		memory_release(&m);
	}
	buf_release(&b);
}

static void b38_to_b40_cids_that_no_block_may_have_are_refused(void **state)
{
	static const struct {
		const char *hex;
		size_t behind;
	} cids[] = {
		{ "025512202cf24dba", 140 },			     /* version 2 */
		{ "0155", 0 },					     /* no hash */
		{ "01551202beef", 140 },			     /* sha2-256 of 2 bytes */
		{ "0155d5011000112233445566778899aabbccddeeff", 5 }, /* md5 */
		{ "0155008101", 140 },				     /* identity of 129 bytes */
		{ "0155ffffffffffffffffff7f", 140 },		     /* a varint that overflows */
	};
	struct cid one = raw("one");

	for (size_t i = 0; i < sizeof cids / sizeof *cids; i++) {
		struct car_import_result result;
		uint8_t cid[64];
		struct buf b = { 0 };
		struct memory m;
		size_t n = unhex(cids[i].hex, cid);

		memory_init(&m);
		car_put_header(&b, &one, 1);
		put_block(&b, &one, "one", 3);
		buf_varint(&b, n + cids[i].behind);
		buf_append(&b, cid, n);
		for (size_t k = 0; k < cids[i].behind; k++)
			buf_u8(&b, 0);
		int r = import_into(&m, a_file(b.data, b.len), &result);
		assert_true(r == ERR_MALFORMED || r == -ENOTSUP);
		assert_int_equal(m.n, 1);
		memory_release(&m);
		buf_release(&b);
	}
}

static void identity_cids_are_checked_and_not_stored(void **state)
{
	struct car_import_result result;
	struct buf b = { 0 };
	struct memory m;

	memory_init(&m);
	three(&b);
	assert_int_equal(import_into(&m, a_file(b.data, b.len), &result), 0);
	assert_int_equal(result.blocks, 2);
	assert_int_equal(m.n, 2);
	b.data[b.len - 1] ^= 1;
	assert_int_equal(import_into(&m, a_file(b.data, b.len), &result), ERR_CORRUPT);
	memory_release(&m);
	buf_release(&b);
}

static void a_store_that_is_full_ends_the_import(void **state)
{
	struct memory_sink sink = { .base.put = sink_put_block, .error = -ENOSPC };
	struct car_import_options o = { 0 };
	struct car_import_result result;
	struct car_reader *r;
	struct buf b = { 0 };

	three(&b);
	struct bytes in = a_file(b.data, b.len);
	assert_int_equal(car_open(&r, &in.base, false), 0);
	assert_int_equal(car_import(r, &sink.base, &o, &result), -ENOSPC);
	assert_false(result.in_block);
	assert_string_equal(car_why(r), "");
	car_close(r);
	buf_release(&b);
}

/* ---- export ---- */

static struct cid node(struct memory *m, const struct cid *a, const struct cid *b, const char *name)
{
	struct buf links = { 0 };

	if (a)
		put_link(&links, a, name, 0);
	if (b)
		put_link(&links, b, name, 0);
	struct cid c = memory_put(m, CODEC_DAG_PB, links.data, links.len);
	buf_release(&links);
	return c;
}

static void exports(struct memory *m, const struct cid *root, const struct car_export_options *o,
		    struct car_export_result *result, const struct cid *const *want, size_t n)
{
	struct buf b = { 0 };
	struct car_reader *r;
	struct car_section s;

	assert_int_equal(car_export(&m->source, root, append, &b, o, result), 0);
	struct bytes in = a_file(b.data, b.len);
	assert_int_equal(car_open(&r, &in.base, false), 0);
	for (size_t i = 0; i < n; i++) {
		assert_int_equal(car_next(r, &s), 1);
		assert_true(cid_equal(&s.cid, want[i]));
		assert_int_equal(multihash_check(&s.cid.hash, s.data, s.len), 0);
	}
	assert_int_equal(car_next(r, &s), 0);
	assert_int_equal(result->blocks, n);
	car_close(r);
	buf_release(&b);
}

/* root -> (left -> (x, y), right -> (y, z)) */
struct small {
	struct memory m;
	struct cid x, y, z, left, right, root;
};

static void small_tree(struct small *t)
{
	memory_init(&t->m);
	t->x = memory_put(&t->m, CODEC_RAW, "x", 1);
	t->y = memory_put(&t->m, CODEC_RAW, "y", 1);
	t->z = memory_put(&t->m, CODEC_RAW, "z", 1);
	t->left = node(&t->m, &t->x, &t->y, "");
	t->right = node(&t->m, &t->y, &t->z, "");
	t->root = node(&t->m, &t->left, &t->right, "");
}

static void blocks_come_depth_first_and_once(void **state)
{
	struct car_export_options o = { 0 };
	struct car_export_result result;
	struct small t;

	small_tree(&t);
	const struct cid *const want[] = { &t.root, &t.left, &t.x, &t.y, &t.right, &t.z };
	exports(&t.m, &t.root, &o, &result, want, 6);
	memory_release(&t.m);
}

static void what_is_missing_is_an_error_or_left_out(void **state)
{
	struct car_export_options o = { 0 };
	struct car_export_result result;
	struct buf b = { 0 };
	struct small t;

	small_tree(&t);
	memory_hide(&t.m, &t.left, true);
	assert_int_equal(car_export(&t.m.source, &t.root, append, &b, &o, &result), ERR_MISSING);
	assert_true(cid_equal(&result.at, &t.left));
	assert_false(result.at_since);
	o.partial = true;
	const struct cid *const want[] = { &t.root, &t.right, &t.y, &t.z };
	exports(&t.m, &t.root, &o, &result, want, 4);
	assert_int_equal(result.missing, 1);
	buf_release(&b);
	memory_release(&t.m);
}

static void since_an_older_tree_only_the_new_blocks_come(void **state)
{
	struct car_export_options o = { 0 };
	struct car_export_result result;
	struct buf b = { 0 };
	struct small t;

	small_tree(&t);
	/* x has moved to another place, z is gone, w is new. */
	struct cid w = memory_put(&t.m, CODEC_RAW, "w", 1);
	struct cid right = node(&t.m, &t.x, &w, "");
	struct cid root = node(&t.m, &t.left, &right, "");
	o.since = &t.root;
	const struct cid *const want[] = { &root, &right, &w };
	exports(&t.m, &root, &o, &result, want, 3);
	/* The old leaves are only known by name. */
	memory_hide(&t.m, &t.x, true);
	memory_hide(&t.m, &t.z, true);
	exports(&t.m, &root, &o, &result, want, 3);
	exports(&t.m, &t.root, &o, &result, NULL, 0);
	memory_hide(&t.m, &t.right, true);
	assert_int_equal(car_export(&t.m.source, &root, append, &b, &o, &result), ERR_MISSING);
	assert_true(result.at_since);
	assert_true(cid_equal(&result.at, &t.right));
	assert_int_equal(b.len, 0);
	o.partial = true; /* which is about the new tree */
	assert_int_equal(car_export(&t.m.source, &root, append, &b, &o, &result), ERR_MISSING);
	buf_release(&b);
	memory_release(&t.m);
}

static void identity_cids_are_written_and_looked_into(void **state)
{
	struct car_export_options o = { 0 };
	struct car_export_result result;
	struct buf inner = { 0 };
	struct memory m;

	memory_init(&m);
	struct cid leaf = memory_put(&m, CODEC_RAW, "leaf", 4);
	struct cid hi = { .version = 1, .codec = CODEC_RAW, .hash = { .size = 2, .digest = "hi" } };
	/* A node that lies in its own name, and links the leaf. */
	struct cid inlined = { .version = 1, .codec = CODEC_DAG_PB };
	put_link(&inner, &leaf, "", 0);
	inlined.hash.size = (uint8_t)inner.len;
	memcpy(inlined.hash.digest, inner.data, inner.len);
	struct cid root = node(&m, &hi, &inlined, "");
	const struct cid *const want[] = { &root, &hi, &inlined, &leaf };
	exports(&m, &root, &o, &result, want, 4);
	exports(&m, &inlined, &o, &result, want + 2, 2);
	buf_release(&inner);
	memory_release(&m);
}

static void b80_a_dag_bomb_is_walked_once(void **state)
{
	struct car_export_options o = { 0 };
	struct car_export_result result;
	struct buf b = { 0 }, wide = { 0 };
	struct memory m;

	memory_init(&m);
	struct cid c = memory_put(&m, CODEC_RAW, "x", 1);
	for (int i = 0; i < 100; i++) /* 2^100 paths */
		c = node(&m, &c, &c, "ab");
	m.gets = 0;
	assert_int_equal(car_export(&m.source, &c, append, &b, &o, &result), 0);
	assert_int_equal(result.blocks, 101);
	assert_int_equal(m.gets, 101);

	/* 20,000 links that alternate between two children. */
	struct cid d = memory_put(&m, CODEC_RAW, "y", 1);
	for (int i = 0; i < 10000; i++) {
		put_link(&wide, &c, "", 0);
		put_link(&wide, &d, "", 0);
	}
	struct cid root = memory_put(&m, CODEC_DAG_PB, wide.data, wide.len);
	buf_release(&wide);
	m.gets = 0;
	buf_clear(&b);
	assert_int_equal(car_export(&m.source, &root, append, &b, &o, &result), 0);
	assert_int_equal(result.blocks, 103);
	assert_int_equal(m.gets, 103);
	buf_release(&b);
	memory_release(&m);
}

static void a_chain_of_any_length_takes_no_stack(void **state)
{
	struct car_export_options o = { 0 };
	struct car_export_result result;
	struct buf b = { 0 };
	struct memory m;
	char name[16];

	memory_init(&m);
	struct cid c = memory_put(&m, CODEC_RAW, "x", 1);
	for (int i = 0; i < 2000; i++) {
		snprintf(name, sizeof name, "%d", i);
		c = node(&m, &c, NULL, name);
	}
	assert_int_equal(car_export(&m.source, &c, append, &b, &o, &result), 0);
	assert_int_equal(result.blocks, 2001);
	buf_release(&b);
	memory_release(&m);
}

static void links_of_dag_cbor_are_followed(void **state)
{
	struct car_export_options o = { 0 };
	struct car_export_result result;
	struct buf cbor = { 0 };
	struct memory m;

	memory_init(&m);
	struct cid a = memory_put(&m, CODEC_RAW, "a", 1), b = memory_put(&m, CODEC_RAW, "b", 1);
	cbor_put_array(&cbor, 2);
	cbor_put_link(&cbor, &b);
	cbor_put_link(&cbor, &a);
	struct cid root = memory_put(&m, CODEC_DAG_CBOR, cbor.data, cbor.len);
	const struct cid *const want[] = { &root, &b, &a };
	exports(&m, &root, &o, &result, want, 3);
	buf_release(&cbor);
	memory_release(&m);
}

static int no_space(void *arg, const void *data, size_t len)
{
	return --*(int *)arg < 0 ? -ENOSPC : 0;
}

static void a_write_that_fails_ends_the_export(void **state)
{
	struct car_export_options o = { 0 };
	struct car_export_result result;
	atomic_bool stop = true;
	struct small t;

	small_tree(&t);
	for (int left = 0; left < 13; left++) {
		int n = left;
		assert_int_equal(car_export(&t.m.source, &t.root, no_space, &n, &o, &result), -ENOSPC);
	}
	int enough = 13; /* the header, and 6 times a head and its data */
	assert_int_equal(car_export(&t.m.source, &t.root, no_space, &enough, &o, &result), 0);
	o.cancel = &stop;
	enough = 100;
	assert_int_equal(car_export(&t.m.source, &t.root, no_space, &enough, &o, &result), -ECANCELED);
	memory_release(&t.m);
}

static void bytes_that_are_no_node_are_said(void **state)
{
	struct car_export_options o = { 0 };
	struct car_export_result result;
	struct buf b = { 0 };
	struct memory m;

	memory_init(&m);
	struct cid bad = memory_put(&m, CODEC_DAG_PB, "nonsense", 8);
	struct cid root = node(&m, &bad, NULL, "");
	assert_int_equal(car_export(&m.source, &root, append, &b, &o, &result), ERR_MALFORMED);
	assert_true(cid_equal(&result.at, &bad));
	buf_release(&b);
	memory_release(&m);
}

/* ---- a file as a source ---- */

static void a_file_gives_its_blocks_and_never_wrong_ones(void **state)
{
	struct cid one = raw("one"), root, other = raw("other");
	char dir[SCRATCH_MAX], path[2 * SCRATCH_MAX];
	struct block *block = NULL;
	struct car_file *f;
	struct buf v1 = { 0 }, v2 = { 0 };
	const char *why;

	scratch_make(dir);
	snprintf(path, sizeof path, "%s/a.car", dir);
	three(&v1);
	wrapped(&v2, &v1);
	for (int version = 1; version <= 2; version++) {
		struct buf *b = version == 1 ? &v1 : &v2;
		assert_int_equal(scratch_write(dir, "a.car", b->data, b->len), 0);
		assert_int_equal(car_file_open(&f, path, &why), 0);
		assert_int_equal(car_file_roots(f, &root), 1);
		assert_true(cid_equal(&root, &one));
		struct block_source *s = car_file_source(f);
		assert_int_equal(source_has(s, &one), 1);
		assert_int_equal(source_has(s, &other), 0);
		assert_int_equal(source_get(s, &other, &block), ERR_MISSING);
		assert_int_equal(source_get(s, &one, &block), 0);
		assert_int_equal(block->size, 3);
		assert_memory_equal(block->data, "one", 3);
		block_unref(block);

		/* The file is changed behind its back. */
		uint8_t *found = memmem(b->data, b->len, "one", 3);
		*found = 'O';
		assert_int_equal(scratch_write(dir, "a.car", b->data, b->len), 0);
		*found = 'o';
		assert_int_equal(source_get(s, &one, &block), ERR_MISSING);
		assert_int_equal(source_has(s, &one), 0);
		car_file_close(f);
	}
	/* Cut off after it was opened. */
	assert_int_equal(scratch_write(dir, "a.car", v1.data, v1.len), 0);
	assert_int_equal(car_file_open(&f, path, &why), 0);
	assert_int_equal(truncate(path, 60), 0);
	assert_int_equal(source_get(car_file_source(f), &one, &block), ERR_MISSING);
	car_file_close(f);
	/* And before. */
	assert_int_equal(car_file_open(&f, path, &why), ERR_MALFORMED);
	assert_non_null(why);
	assert_int_equal(car_file_open(&f, dir, &why), -EINVAL);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(car_file_open(&f, path, &why), -ENOENT);
	scratch_remove(dir);
	buf_release(&v1);
	buf_release(&v2);
}

/* ---- the set ---- */

static void a_set_holds_what_was_added(void **state)
{
	struct cidset s;
	struct cid c = raw("x");

	assert_int_equal(cidset_init(&s), 0);
	assert_false(cidset_has(&s, &c));
	for (uint32_t i = 0; i < 20000; i++) {
		memcpy(c.hash.digest, &i, 4);
		assert_int_equal(cidset_add(&s, &c), 1);
	}
	for (uint32_t i = 0; i < 40000; i++) {
		memcpy(c.hash.digest, &i, 4);
		assert_int_equal(cidset_has(&s, &c), i < 20000);
	}
	memset(c.hash.digest, 0, 4);
	assert_int_equal(cidset_add(&s, &c), 0);
	c.codec = CODEC_DAG_PB; /* the same bytes under another name */
	assert_int_equal(cidset_add(&s, &c), 1);
	assert_int_equal(s.n, 20001);
	cidset_release(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_header_is_these_bytes),
		cmocka_unit_test(a_header_that_is_not_strict_is_refused),
		cmocka_unit_test(every_cut_of_a_v1_ends_at_a_section_or_is_refused),
		cmocka_unit_test(every_cut_of_a_v2_is_refused),
		cmocka_unit_test(b85_v2_offsets_past_the_end_or_overlapping_are_refused),
		cmocka_unit_test(a_v2_inside_of_a_v2_is_refused),
		cmocka_unit_test(b85_lengths_over_their_limits_are_refused_before_they_are_read),
		cmocka_unit_test(b85_a_section_of_length_zero_is_refused),
		cmocka_unit_test(a_length_that_is_not_the_shortest_is_refused),
		cmocka_unit_test(files_of_go_car_are_taken_or_refused_as_they_should_be),
		cmocka_unit_test(an_export_is_byte_for_byte_that_of_go_car),
		cmocka_unit_test(an_input_that_once_crashed_go_car_is_refused),
		cmocka_unit_test(b85_a_block_that_is_not_its_cid_ends_the_import_and_is_not_kept),
		cmocka_unit_test(every_flipped_byte_of_a_block_is_found),
		cmocka_unit_test(b38_to_b40_cids_that_no_block_may_have_are_refused),
		cmocka_unit_test(identity_cids_are_checked_and_not_stored),
		cmocka_unit_test(a_store_that_is_full_ends_the_import),
		cmocka_unit_test(blocks_come_depth_first_and_once),
		cmocka_unit_test(what_is_missing_is_an_error_or_left_out),
		cmocka_unit_test(since_an_older_tree_only_the_new_blocks_come),
		cmocka_unit_test(identity_cids_are_written_and_looked_into),
		cmocka_unit_test(b80_a_dag_bomb_is_walked_once),
		cmocka_unit_test(a_chain_of_any_length_takes_no_stack),
		cmocka_unit_test(links_of_dag_cbor_are_followed),
		cmocka_unit_test(a_write_that_fails_ends_the_export),
		cmocka_unit_test(bytes_that_are_no_node_are_said),
		cmocka_unit_test(a_file_gives_its_blocks_and_never_wrong_ones),
		cmocka_unit_test(a_set_holds_what_was_added),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
