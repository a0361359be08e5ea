/* Reading directories, plain and HAMT, through a source that may lack blocks. */
#include "store/dag.h"
#include "store/hamt.h"
#include "tests/unit/hex.h"
#include "tests/unit/memory_source.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#define NAMES_MAX 4000

/* What a listing gave. */
struct heard {
	char *names[NAMES_MAX];
	uint64_t behind[NAMES_MAX];
	struct cid cids[NAMES_MAX];
	int n;
	int stop_at; /* stop when there are so many; 0: never */
};

static int hear(void *arg, const struct dag_entry *e, uint64_t pos_behind)
{
	struct heard *h = arg;

	assert_true(h->n < NAMES_MAX);
	assert_int_equal(strlen(e->name), e->name_len);
	assert_true(pos_behind <= (uint64_t)INT64_MAX);
	assert_true(h->n == 0 || pos_behind > h->behind[h->n - 1]);
	h->names[h->n] = strdup(e->name);
	h->cids[h->n] = e->cid;
	h->behind[h->n++] = pos_behind;
	return h->n == h->stop_at;
}

static void forget(struct heard *h)
{
	while (h->n)
		free(h->names[--h->n]);
	h->stop_at = 0;
}

static struct cid leaf_of(const char *name)
{
	struct cid c;

	cid_of(&c, 1, CODEC_RAW, name, strlen(name));
	return c;
}

/* ---- plain directories ---- */

static struct cid plain(struct memory *m, const char *const *names, size_t n)
{
	struct unixfs u = { .type = UNIXFS_DIRECTORY };
	struct buf links = { 0 };

	for (size_t i = 0; i < n; i++) {
		char nth[32]; /* each entry is another file, also of the same name */
		snprintf(nth, sizeof nth, "%zu", i);
		struct cid c = leaf_of(nth);
		put_link(&links, &c, names[i], i);
	}
	return memory_node(m, &links, &u, NULL, 0);
}

/* The listing of a plain directory is entries `expected` of names, from everywhere. */
static void assert_lists(const char *const *names, size_t n, const int *expected,
			 int count)
{
	static struct heard h;
	struct memory m;

	memory_init(&m);
	struct cid dir = plain(&m, names, n);
	for (int from = 0; from <= count; from++) {
		uint64_t pos = from ? (uint64_t)expected[from - 1] + 1 : 0;
		assert_int_equal(dag_list(&m.source, &dir, pos, hear, &h, NULL), 0);
		assert_int_equal(h.n, count - from);
		for (int i = from; i < count; i++) {
			char nth[32];
			snprintf(nth, sizeof nth, "%d", expected[i]);
			struct cid c = leaf_of(nth);
			assert_string_equal(h.names[i - from], names[expected[i]]);
			assert_true(cid_equal(&h.cids[i - from], &c));
			assert_int_equal(h.behind[i - from], expected[i] + 1);

			struct dag_entry e;
			assert_int_equal(dag_lookup(&m.source, &dir, names[expected[i]],
						    strlen(names[expected[i]]), &e, NULL),
					 0);
			assert_true(cid_equal(&e.cid, &c));
			assert_int_equal(e.tsize, expected[i]);
			assert_null(e.name);
		}
		forget(&h);
	}
	memory_release(&m);
}

static void a_directory_lists_from_every_position(void **state)
{
	assert_lists((const char *const[]){ "a", "b", "b.txt", "c", "\xc3\xa4", "\xff" },
		     6, (const int[]){ 0, 1, 2, 3, 4, 5 }, 6);
	assert_lists(NULL, 0, NULL, 0);
	/* not in order, as nobody writes it and everybody reads it */
	assert_lists((const char *const[]){ "c", "a", "b", "aa",
					    ""
					    "z" },
		     5, (const int[]){ 0, 1, 2, 3, 4 }, 5);
}

static void b76_names_no_system_can_hold_are_left_out(void **state)
{
	static char longest[256], too_long[257];
	struct dag_entry e;
	struct memory m;

	memset(longest, 'n', 255);
	memset(too_long, 'n', 256);
	const char *const names[] = { "",      ".",      "..",      "/",
				      "../x",  "a/b",    "a",       "...",
				      longest, too_long, ".hidden", "\n\x1b[31m" };
	const size_t n = sizeof names / sizeof *names;
	assert_lists(names, n, (const int[]){ 6, 7, 8, 10, 11 }, 5);

	memory_init(&m);
	struct cid dir = plain(&m, names, n);
	for (size_t i = 0; i < 6; i++)
		assert_int_equal(
		    dag_lookup(&m.source, &dir, names[i], strlen(names[i]), &e, NULL),
		    -ENOENT);
	assert_int_equal(dag_lookup(&m.source, &dir, too_long, 256, &e, NULL), -ENOENT);

	/* A NUL cannot be written with put_link. */
	struct unixfs u = { .type = UNIXFS_DIRECTORY };
	struct buf links = { 0 };
	static struct heard h;
	struct cid leaf = leaf_of("x");
	dagpb_put_link(&links, &leaf, "a\0b", 3, 0);
	dagpb_put_link(&links, &leaf, "b", 1, 0);
	dir = memory_node(&m, &links, &u, NULL, 0);
	assert_int_equal(dag_list(&m.source, &dir, 0, hear, &h, NULL), 0);
	assert_int_equal(h.n, 1);
	assert_string_equal(h.names[0], "b");
	assert_int_equal(dag_lookup(&m.source, &dir, "a\0b", 3, &e, NULL), -ENOENT);
	assert_int_equal(dag_lookup(&m.source, &dir, "a", 1, &e, NULL), -ENOENT);
	forget(&h);
	memory_release(&m);
}

static void b77_of_two_entries_of_one_name_the_first_counts(void **state)
{
	assert_lists((const char *const[]){ "a", "a", "a", "b", "c", "c" }, 6,
		     (const int[]){ 0, 3, 4 }, 3);
	assert_lists((const char *const[]){ "b", "a", "b", "a", "c", "b" }, 6,
		     (const int[]){ 0, 1, 4 }, 3);
	assert_lists((const char *const[]){ "a", "b", "c", "a", "d", "b", "..", "d" }, 8,
		     (const int[]){ 0, 1, 2, 4 }, 4);
}

static void a_large_directory_out_of_order_lists_in_time(void **state)
{
	static char text[NAMES_MAX][8];
	static const char *names[NAMES_MAX];
	static struct heard h;
	struct memory m;

	for (int i = 0; i < NAMES_MAX; i++) {
		snprintf(text[i], sizeof text[i], "%d", (i * 7919) % (NAMES_MAX / 2));
		names[i] = text[i];
	}
	memory_init(&m);
	struct cid dir = plain(&m, names, NAMES_MAX);
	assert_int_equal(dag_list(&m.source, &dir, 0, hear, &h, NULL), 0);
	assert_int_equal(h.n, NAMES_MAX / 2);
	for (int i = 0; i < h.n; i++)
		assert_string_equal(h.names[i], names[i]);
	forget(&h);
	memory_release(&m);
}

static int refuse(void *arg, const struct dag_entry *e, uint64_t pos_behind)
{
	return -EPIPE;
}

static void a_listing_stops_when_told(void **state)
{
	static struct heard h = { .stop_at = 2 };
	struct memory m;

	memory_init(&m);
	struct cid dir = plain(&m, (const char *const[]){ "a", "b", "c" }, 3);
	assert_int_equal(dag_list(&m.source, &dir, 0, hear, &h, NULL), 1);
	assert_int_equal(h.n, 2);
	assert_int_equal(dag_list(&m.source, &dir, 0, refuse, NULL, NULL), -EPIPE);
	forget(&h);
	memory_release(&m);
}

static void what_is_no_directory_is_not_listed(void **state)
{
	struct dag_entry e;
	struct memory m;

	memory_init(&m);
	struct cid raw = memory_put(&m, CODEC_RAW, "x", 1), cbor = raw;
	cbor.codec = CODEC_DAG_CBOR;
	assert_int_equal(dag_list(&m.source, &raw, 0, refuse, NULL, NULL), -ENOTDIR);
	assert_int_equal(dag_lookup(&m.source, &raw, "x", 1, &e, NULL), -ENOTDIR);
	assert_int_equal(dag_list(&m.source, &cbor, 0, refuse, NULL, NULL), -ENOTSUP);
	memory_release(&m);
}

/* ---- HAMT directories ---- */

struct name {
	char text[24];
	size_t len;
	uint64_t hash;
};

static void name_set(struct name *n, const char *text, size_t len)
{
	memcpy(n->text, text, len);
	n->text[len] = '\0';
	n->len = len;
	n->hash = hamt_hash(text, len);
}

static int by_hash(const void *a, const void *b)
{
	const struct name *x = a, *y = b;

	return (x->hash > y->hash) - (x->hash < y->hash);
}

/* The shard of `n` names, sorted by their hashes, which agree above `level`. */
static struct cid shard(struct memory *m, const struct name *names, size_t n,
			unsigned level, unsigned fanout)
{
	struct hamt_shape shape;
	uint8_t field[HAMT_FIELD_MAX] = { 0 };
	struct buf links = { 0 };

	assert_int_equal(hamt_shape_init(&shape, fanout), 0);
	assert_true(level < shape.levels);
	for (size_t i = 0, same; i < n; i += same) {
		unsigned bucket = hamt_bucket(&shape, names[i].hash, level);
		char text[32];
		for (same = 1; i + same < n; same++)
			if (hamt_bucket(&shape, names[i + same].hash, level) != bucket)
				break;
		hamt_field_set(&shape, field, bucket);
		hamt_prefix(&shape, bucket, text);
		struct cid c;
		if (same == 1) {
			strcat(text, names[i].text);
			c = leaf_of(names[i].text);
		} else {
			c = shard(m, names + i, same, level + 1, fanout);
		}
		put_link(&links, &c, text, 1);
	}
	struct unixfs u = { .type = UNIXFS_HAMT_SHARD,
			    .has_data = true,
			    .has_hash_type = true,
			    .hash_type = HAMT_HASH_MURMUR3,
			    .has_fanout = true,
			    .fanout = fanout };
	u.data = hamt_field_trim(&shape, field, &u.data_len);
	return memory_node(m, &links, &u, NULL, 0);
}

static struct name names[NAMES_MAX];

static struct cid sharded(struct memory *m, size_t n, unsigned fanout)
{
	for (size_t i = 0; i < n; i++) {
		char text[24];
		snprintf(text, sizeof text, "%zu.txt", i);
		name_set(&names[i], text, strlen(text));
	}
	qsort(names, n, sizeof *names, by_hash);
	return shard(m, names, n, 0, fanout);
}

static void assert_heard(const struct heard *h, size_t from, size_t n)
{
	assert_int_equal(h->n, n - from);
	for (size_t i = from; i < n; i++) {
		struct cid c = leaf_of(names[i].text);
		assert_string_equal(h->names[i - from], names[i].text);
		assert_true(cid_equal(&h->cids[i - from], &c));
	}
}

static void a_sharded_directory_lists_from_every_position(void **state)
{
	static const unsigned fanouts[] = { 8, 16, 256, 1024 };
	static struct heard whole, part;
	const size_t n = 500;

	for (size_t f = 0; f < sizeof fanouts / sizeof *fanouts; f++) {
		struct memory m;
		memory_init(&m);
		struct cid dir = sharded(&m, n, fanouts[f]);
		assert_int_equal(dag_list(&m.source, &dir, 0, hear, &whole, NULL), 0);
		assert_heard(&whole, 0, n);
		for (size_t i = 0; i < n; i++) {
			assert_int_equal(
			    dag_list(&m.source, &dir, whole.behind[i], hear, &part, NULL),
			    0);
			assert_heard(&part, i + 1, n);
			forget(&part);
		}
		assert_int_equal(dag_list(&m.source, &dir, UINT64_MAX, hear, &part, NULL),
				 0);
		assert_int_equal(part.n, 0);
		forget(&whole);
		memory_release(&m);
	}
}

static void a_place_gives_the_names_that_have_it(void **state)
{
	static struct heard h;
	enum { n = 500 };
	const char *texts[n];
	struct memory m;

	for (int is_plain = 0; is_plain < 2; is_plain++) {
		memory_init(&m);
		struct cid dir = sharded(&m, n, 8);
		for (size_t i = 0; i < n; i++)
			texts[i] = names[i].text;
		if (is_plain)
			dir = plain(&m, texts, n);
		for (size_t i = 0; i < n; i++) {
			uint32_t place = dag_place(names[i].text, names[i].len);
			assert_int_equal(dag_list_at(&m.source, &dir, place, hear, &h, NULL),
					 0);
			assert_int_equal(h.n, 1);
			assert_string_equal(h.names[0], names[i].text);
			forget(&h);
			/* One that nobody has. */
			assert_int_equal(
			    dag_list_at(&m.source, &dir, place ^ 1, hear, &h, NULL), 0);
			assert_int_equal(h.n, 0);
			forget(&h);
		}
		memory_release(&m);
	}
}

static void a_lookup_reads_only_the_shards_on_its_way(void **state)
{
	const size_t n = 2000;
	struct dag_entry e;
	struct memory m;

	memory_init(&m);
	struct cid dir = sharded(&m, n, 256);
	for (size_t i = 0; i < n; i += 7) {
		struct cid c = leaf_of(names[i].text);
		m.gets = 0;
		assert_int_equal(
		    dag_lookup(&m.source, &dir, names[i].text, names[i].len, &e, NULL),
		    0);
		assert_true(cid_equal(&e.cid, &c));
		assert_true(m.gets <= 3);
	}
	assert_int_equal(dag_lookup(&m.source, &dir, "none", 4, &e, NULL), -ENOENT);
	assert_int_equal(dag_lookup(&m.source, &dir, "", 0, &e, NULL), -ENOENT);
	assert_int_equal(dag_lookup(&m.source, &dir, "07", 2, &e, NULL), -ENOENT);

	struct cid room[4];
	struct misses misses = { .cids = room, .max = 4 };
	memory_hide_all(&m, true);
	assert_int_equal(
	    dag_lookup(&m.source, &dir, names[0].text, names[0].len, &e, &misses),
	    ERR_MISSING);
	memory_hide(&m, &dir, false);
	assert_int_equal(
	    dag_lookup(&m.source, &dir, names[0].text, names[0].len, &e, &misses),
	    ERR_MISSING);
	assert_int_equal(misses.n, 2);
	assert_true(cid_equal(&room[0], &dir));
	memory_release(&m);
}

static void a_listing_that_lacks_shards_goes_on_when_they_come(void **state)
{
	static struct heard h;
	static struct cid room[64];
	const size_t n = 2000;
	struct memory m;
	uint64_t pos = 0;
	int rounds = 0, r;

	memory_init(&m);
	struct cid dir = sharded(&m, n, 256);
	memory_hide_all(&m, true);
	for (;;) {
		struct misses misses = { .cids = room, .max = 64 };
		int before = h.n;
		r = dag_list(&m.source, &dir, pos, hear, &h, &misses);
		if (r != ERR_MISSING)
			break;
		assert_true(misses.n > 0);
		if (rounds == 1)
			assert_int_equal(misses.n, 64); /* siblings all at once */
		for (size_t i = 0; i < misses.n; i++)
			memory_hide(&m, &room[i], false);
		if (h.n > before)
			pos = h.behind[h.n - 1];
		rounds++;
	}
	assert_int_equal(r, 0);
	assert_heard(&h, 0, n);
	/* 286 shards: the root, the others by 64, and what the last of them have below */
	assert_int_equal(m.n, 286);
	assert_int_equal(rounds, 1 + 5 + 1);
	forget(&h);

	/* Without room for a miss it says so all the same. */
	memory_hide_all(&m, true);
	memory_hide(&m, &dir, false);
	assert_int_equal(dag_list(&m.source, &dir, 0, hear, &h, NULL), ERR_MISSING);
	forget(&h);
	memory_release(&m);
}

/* ---- names made for their hash: MurmurHash3 can be turned around ---- */

static uint64_t inverse(uint64_t odd)
{
	uint64_t x = odd; /* right in the low three bits; each step doubles them */

	for (int i = 0; i < 5; i++)
		x *= 2 - odd * x;
	return x;
}

static uint64_t rotr(uint64_t v, unsigned n)
{
	return v >> n | v << (64 - n);
}

static uint64_t finish(uint64_t h)
{
	h = (h ^ h >> 33) * 0xff51afd7ed558ccd;
	h = (h ^ h >> 33) * 0xc4ceb9fe1a85ec53;
	return h ^ h >> 33;
}

static uint64_t unfinish(uint64_t h)
{
	h = (h ^ h >> 33) * inverse(0xc4ceb9fe1a85ec53);
	h = (h ^ h >> 33) * inverse(0xff51afd7ed558ccd);
	return h ^ h >> 33;
}

/* The `nth` name of 16 good bytes with that hash. */
static void name_for(struct name *out, uint64_t hash, unsigned nth)
{
	const uint64_t c1 = 0x87c37b91114253d5, c2 = 0x4cf5ad432745937f;

	for (uint64_t a = 1;; a++) {
		uint64_t b = unfinish(hash - finish(a));
		uint64_t h2 = b - a, h1 = a - h2;
		h1 ^= 16;
		h2 ^= 16;
		uint64_t m1 = rotr((h1 - 0x52dce729) * inverse(5), 27);
		uint64_t m2 = rotr((h2 - 0x38495ab5) * inverse(5) - h1, 31);
		uint64_t k[2] = { rotr(m1 * inverse(c2), 31) * inverse(c1),
				  rotr(m2 * inverse(c1), 33) * inverse(c2) };
		if (memchr(k, 0, 16) || memchr(k, '/', 16) || nth--)
			continue;
		name_set(out, (const char *)k, 16);
		assert_true(out->hash == hash);
		return;
	}
}

static void names_of_nearly_one_hash_list_and_resume(void **state)
{
	static const unsigned fanouts[] = { 256, 1024, 8, 32 };
	static const unsigned fanout_bits[] = { 8, 10, 3, 5 };
	static struct heard whole, part;
	const size_t n = 60;

	for (size_t f = 0; f < sizeof fanouts / sizeof *fanouts; f++)
		for (int last = 0; last < 2; last++) {
			/* as close as the levels of this fanout tell apart */
			const uint64_t step = 1ull << 64 % fanout_bits[f];
			struct dag_entry e;
			struct memory m;
			/* 50 neighbours, at the end of all hashes the second time,
			 * and some elsewhere */
			for (size_t i = 0; i < n; i++) {
				uint64_t hash = (last ? UINT64_MAX : 0x0123456789abcdff) -
						(n - 1 - i) * step;
				name_for(&names[i], i < 10 ? i << 60 : hash, 0);
			}
			qsort(names, n, sizeof *names, by_hash);
			memory_init(&m);
			struct cid dir = shard(&m, names, n, 0, fanouts[f]);
			assert_int_equal(dag_list(&m.source, &dir, 0, hear, &whole, NULL),
					 0);
			assert_heard(&whole, 0, n);
			for (size_t i = 0; i < n; i++) {
				assert_int_equal(dag_list(&m.source, &dir,
							  whole.behind[i], hear, &part,
							  NULL),
						 0);
				assert_heard(&part, i + 1, n);
				forget(&part);
				assert_int_equal(dag_lookup(&m.source, &dir,
							    names[i].text, names[i].len,
							    &e, NULL),
						 0);
			}
			forget(&whole);
			memory_release(&m);
		}
}

static void more_names_of_one_hash_than_positions_are_refused(void **state)
{
	static struct heard h;
	struct memory m;

	for (size_t i = 0; i < 64; i++)
		name_for(&names[i], 0x0123456789abcd00 + i, 0);
	memory_init(&m);
	struct cid dir = shard(&m, names, 63, 0, 256);
	assert_int_equal(dag_list(&m.source, &dir, 0, hear, &h, NULL), 0);
	assert_heard(&h, 0, 63);
	forget(&h);
	dir = shard(&m, names, 64, 0, 256);
	assert_int_equal(dag_list(&m.source, &dir, 0, hear, &h, NULL), ERR_MALFORMED);
	forget(&h);
	memory_release(&m);
}

/* ---- forged shards ---- */

/* A shard whose parts are given: bitfield in hexadecimal, names of its links. */
static struct cid forged(struct memory *m, const char *field_hex, uint64_t fanout,
			 const char *const *links, const struct cid *child, size_t n)
{
	struct buf b = { 0 };
	uint8_t field[256];
	struct unixfs u = { .type = UNIXFS_HAMT_SHARD,
			    .has_data = true,
			    .data = field,
			    .data_len = unhex(field_hex, field),
			    .has_hash_type = true,
			    .hash_type = HAMT_HASH_MURMUR3,
			    .has_fanout = true,
			    .fanout = fanout };

	for (size_t i = 0; i < n; i++)
		put_link(&b, child, links[i], 1);
	return memory_node(m, &b, &u, NULL, 0);
}

static void assert_refused(struct memory *m, const struct cid *dir, const char *name,
			   int r)
{
	static struct heard h;
	struct dag_entry e;

	assert_int_equal(dag_list(&m->source, dir, 0, hear, &h, NULL), r);
	forget(&h);
	if (name)
		assert_int_equal(
		    dag_lookup(&m->source, dir, name, strlen(name), &e, NULL), r);
}

static void b78_forged_shards_are_refused(void **state)
{
	/* "1.txt" is in bucket 07, "470.txt" in 00, then 6e. */
	static const struct {
		const char *field;
		uint64_t fanout;
		const char *links[3];
		size_t n;
		const char *lookup; /* NULL: a lookup need not notice */
	} bad[] = {
		{ "80", 256, { "071.txt" }, 0, "1.txt" },
		{ "80", 256, { "071.txt", "081.txt" }, 2, "1.txt" },
		{ "80",
		  256,
		  { "001.txt" },
		  1,
		  "1.txt" },                             /* another bucket than its bit */
		{ "80", 256, { "07470.txt" }, 1, NULL }, /* another than its hash */
		{ "01", 256, { "071.txt" }, 1, NULL },
		{ "80", 256, { "7" }, 1, "1.txt" }, /* no room for a prefix */
		{ "80", 256, { "" }, 1, "1.txt" },
		{ "80", 256, { "xx1.txt" }, 1, "1.txt" },
		{ "81", 256, { "071.txt", "00470.txt" }, 2, "1.txt" }, /* out of order */
		{ "81", 256, { "00470.txt", "00470.txt" }, 2, "1.txt" },
		{ "80", 0, { "071.txt" }, 1, "1.txt" },
		{ "80", 7, { "071.txt" }, 1, "1.txt" },
		{ "80", 1ull << 31, { "071.txt" }, 1, "1.txt" },
		{ "80", 2048, { "0071.txt" }, 1, "1.txt" },
		{ "0080", 8, { "71.txt" }, 1, "1.txt" }, /* a bitfield too long */
	};
	struct memory m;

	memory_init(&m);
	struct cid leaf = leaf_of("x");
	struct cid good =
	    forged(&m, "80", 256, (const char *const[]){ "071.txt" }, &leaf, 1);
	assert_refused(&m, &good, "1.txt", 0);
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		struct cid dir = forged(&m, bad[i].field, bad[i].fanout, bad[i].links,
					&leaf, bad[i].n);
		assert_refused(&m, &dir, bad[i].lookup, ERR_MALFORMED);
	}

	/* Children that are not shards like their parent. */
	struct cid raw = memory_put(&m, CODEC_RAW, "x", 1);
	struct cid other = forged(&m, "", 16, NULL, NULL, 0);
	struct cid dir = plain(&m, (const char *const[]){ "a" }, 1);
	const struct cid *const children[] = { &raw, &other, &dir };
	for (size_t i = 0; i < 3; i++) {
		struct cid root =
		    forged(&m, "80", 256, (const char *const[]){ "07" }, children[i], 1);
		assert_refused(&m, &root, "1.txt", ERR_MALFORMED);
	}
	memory_release(&m);
}

static void b79_shards_deeper_than_the_hash_are_refused(void **state)
{
	struct memory m;

	memory_init(&m);
	struct cid node = forged(&m, "", 256, NULL, NULL, 0);
	for (int level = 7; level >= 0; level--) {
		/* the way that "1.txt" goes */
		char link[3], field[65] = "";
		unsigned bucket = hamt_hash("1.txt", 5) >> (56 - 8 * level) & 255;
		snprintf(link, sizeof link, "%02X", bucket);
		snprintf(field, sizeof field, "%02x%0*d", 1 << bucket % 8,
			 (int)(bucket / 8) * 2, 0);
		if (bucket < 8)
			field[2] = '\0';
		node = forged(&m, field, 256, (const char *const[]){ link }, &node, 1);
	}
	assert_refused(&m, &node, "1.txt", -ELOOP);
	memory_release(&m);
}

static int count(void *arg, const struct dag_entry *e, uint64_t pos_behind)
{
	return ++*(int *)arg == 100000;
}

static void b80_a_shard_linked_everywhere_does_not_repeat_its_names(void **state)
{
	struct memory m;
	int n = 0;

	memory_init(&m);
	struct cid leaf = leaf_of("x");
	/* Shards whose every bucket is the same child.  What is at the bottom fits
	 * in one place only, and nothing at all is not allowed there. */
	for (int empty = 0; empty < 2; empty++) {
		struct cid node =
		    forged(&m, empty ? "" : "80", 256, (const char *const[]){ "071.txt" },
			   &leaf, !empty);
		for (int level = 0; level < 6; level++) {
			static char text[256][3];
			const char *links[256];
			char field[65];
			memset(field, 'f', 64);
			field[64] = '\0';
			for (int i = 0; i < 256; i++) {
				snprintf(text[i], 3, "%02X", i);
				links[i] = text[i];
			}
			node = forged(&m, field, 256, links, &node, 256);
		}
		assert_int_equal(dag_list(&m.source, &node, 0, count, &n, NULL),
				 ERR_MALFORMED);
		assert_int_equal(n, 0);
	}
	memory_release(&m);
}

/* ---- paths ---- */

static void a_path_is_walked_down(void **state)
{
	struct unixfs u = { .type = UNIXFS_DIRECTORY };
	struct buf links = { 0 };
	struct dag_entry e;
	struct memory m;

	memory_init(&m);
	struct cid file = memory_put(&m, CODEC_RAW, "hello", 5);
	struct cid hamt = sharded(&m, 300, 256);
	put_link(&links, &file, "f", 5);
	put_link(&links, &hamt, "h", 9);
	struct cid sub = memory_node(&m, &links, &u, NULL, 0);
	put_link(&links, &sub, "sub", 20);
	struct cid root = memory_node(&m, &links, &u, NULL, 0);

	static const struct {
		const char *path;
		int result;
	} paths[] = {
		{ "sub/f", 0 },
		{ "/sub//f", 0 },
		{ "sub/f/", 0 },
		{ "sub/h/42.txt", 0 },
		{ "sub", 0 },
		{ "", 0 },
		{ "/", 0 },
		{ "sub/none", -ENOENT },
		{ "none/f", -ENOENT },
		{ "sub/f/x", -ENOTDIR },
		{ "sub/./f", -ENOENT },
		{ "sub/../sub/f", -ENOENT },
		{ "sub/h/42", -ENOENT },
	};
	for (size_t i = 0; i < sizeof paths / sizeof *paths; i++)
		assert_int_equal(dag_resolve(&m.source, &root, paths[i].path, &e, NULL),
				 paths[i].result);
	assert_int_equal(dag_resolve(&m.source, &root, "sub/f", &e, NULL), 0);
	assert_true(cid_equal(&e.cid, &file));
	assert_int_equal(e.tsize, 5);
	assert_int_equal(dag_resolve(&m.source, &root, "", &e, NULL), 0);
	assert_true(cid_equal(&e.cid, &root));

	struct cid room[2];
	struct misses misses = { .cids = room, .max = 2 };
	memory_hide(&m, &sub, true);
	assert_int_equal(dag_resolve(&m.source, &root, "sub/f", &e, &misses),
			 ERR_MISSING);
	assert_int_equal(misses.n, 1);
	assert_true(cid_equal(&room[0], &sub));
	memory_release(&m);
}

static void b79_a_path_of_ten_thousand_directories(void **state)
{
	struct unixfs u = { .type = UNIXFS_DIRECTORY };
	static char path[20001];
	struct dag_entry e;
	struct memory m;

	memory_init(&m);
	struct cid node = memory_put(&m, CODEC_RAW, "x", 1);
	for (int i = 0; i < 10000; i++) {
		struct buf links = { 0 };
		put_link(&links, &node, "d", 1);
		node = memory_node(&m, &links, &u, NULL, 0);
		memcpy(path + 2 * i, "d/", 2);
	}
	assert_int_equal(dag_resolve(&m.source, &node, path, &e, NULL), 0);
	assert_int_equal(e.cid.codec, CODEC_RAW);
	memory_release(&m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_directory_lists_from_every_position),
		cmocka_unit_test(b76_names_no_system_can_hold_are_left_out),
		cmocka_unit_test(b77_of_two_entries_of_one_name_the_first_counts),
		cmocka_unit_test(a_large_directory_out_of_order_lists_in_time),
		cmocka_unit_test(a_listing_stops_when_told),
		cmocka_unit_test(what_is_no_directory_is_not_listed),
		cmocka_unit_test(a_sharded_directory_lists_from_every_position),
		cmocka_unit_test(a_place_gives_the_names_that_have_it),
		cmocka_unit_test(a_lookup_reads_only_the_shards_on_its_way),
		cmocka_unit_test(a_listing_that_lacks_shards_goes_on_when_they_come),
		cmocka_unit_test(names_of_nearly_one_hash_list_and_resume),
		cmocka_unit_test(more_names_of_one_hash_than_positions_are_refused),
		cmocka_unit_test(b78_forged_shards_are_refused),
		cmocka_unit_test(b79_shards_deeper_than_the_hash_are_refused),
		cmocka_unit_test(b80_a_shard_linked_everywhere_does_not_repeat_its_names),
		cmocka_unit_test(a_path_is_walked_down),
		cmocka_unit_test(b79_a_path_of_ten_thousand_directories),
	};
	return cmocka_run_group_tests_name("dag_dir", tests, NULL, NULL);
}
