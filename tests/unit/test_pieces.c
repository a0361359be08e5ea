/* Blocks of pieces: cut by content, stored once, and given back as they were. */
#include "store/error.h"
#include "store/fastcdc.h"
#include "store/log.h"
#include "store/store_internal.h"
#include "store/store_stream.h"
#include "tests/scratch_each.h"

#include <fcntl.h>
#include <zstd.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#define SEGMENT_1 "segments/00000001.seg"
#define MIB	  (1u << 20)

static uint8_t *random_bytes(size_t len, uint64_t seed)
{
	uint8_t *data = malloc(len + 8);

	assert_non_null(data);
	for (size_t i = 0; i < len; i += 8) {
		uint64_t v = scratch_random(&seed);
		memcpy(data + i, &v, 8);
	}
	return data;
}

static struct store *open_store(unsigned flags)
{
	struct store *s = NULL;

	assert_int_equal(store_open(&s, dir, flags, NULL), 0);
	return s;
}

static void put(struct store *s, const uint8_t *data, size_t len)
{
	struct multihash name;

	multihash_sha256(&name, data, len);
	assert_int_equal(store_put_bytes(s, &name, data, len), 0);
}

/* 0 and right, or the error. */
static int get(struct store *s, const uint8_t *data, size_t len)
{
	struct block *b = NULL;
	struct multihash name;

	multihash_sha256(&name, data, len);
	int r = store_get(s, &name, &b);
	if (r < 0)
		return r;
	assert_int_equal(b->size, len);
	assert_memory_equal(b->data, data, len);
	block_unref(b);
	return 0;
}

static uint64_t disk(struct store *s)
{
	uint64_t bytes;

	pthread_mutex_lock(&s->lock);
	bytes = s->segment_bytes;
	pthread_mutex_unlock(&s->lock);
	return bytes;
}

static struct store_stat stat_of(struct store *s)
{
	struct store_stat st;

	assert_int_equal(store_sync(s), 0);
	store_stat(s, &st);
	return st;
}

/* Cut points of `data` that comes in buffers of at most `most` bytes. */
static size_t cuts_of(const uint8_t *data, size_t len, size_t most, size_t *cuts)
{
	struct fastcdc c;
	size_t n = 0, at = 0;
	uint64_t random = most;

	fastcdc_init(&c, PIECE_MIN, PIECE_AVERAGE, PIECE_MAX);
	while (at < len) {
		size_t part = most == len ? len : 1 + scratch_random(&random) % most;
		bool cut = false;
		if (part > len - at)
			part = len - at;
		size_t took = fastcdc_next(&c, data + at, part, &cut);
		assert_in_range(took, 1, part);
		assert_true(cut || took == part);
		at += took;
		if (cut)
			cuts[n++] = at;
	}
	return n;
}

static void the_gear_table_follows_from_splitmix64(void **state)
{
	uint64_t x = 0;

	for (int i = 0; i < 256; i++) {
		uint64_t z = x += 0x9e3779b97f4a7c15u;
		z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
		z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
		assert_true(fastcdc_gear[i] == (z ^ (z >> 31)));
	}
}

static void cuts_do_not_depend_on_buffers(void **state)
{
	size_t len = 8 * MIB, *one = calloc(1000, sizeof *one),
	       *two = calloc(1000, sizeof *two);
	static const size_t most[] = { 1, 100, 5000, 70000, 2 * MIB };
	uint8_t *data = random_bytes(len, 1);
	size_t n = cuts_of(data, len, len, one);

	/* About the average, within the bounds. */
	assert_in_range(n, len / (100u << 10), len / (56u << 10));
	for (size_t i = 0; i < n; i++)
		assert_in_range(one[i] - (i ? one[i - 1] : 0), PIECE_MIN, PIECE_MAX);
	for (int k = 0; k < 5; k++) {
		assert_int_equal(cuts_of(data, len, most[k], two), n);
		assert_memory_equal(one, two, n * sizeof *one);
	}
	/* What is all the same is cut at the longest. */
	memset(data, 0, len);
	n = cuts_of(data, len, 5000, one);
	assert_int_equal(n, len / PIECE_MAX);
	free(data);
	free(one);
	free(two);
}

static void an_insertion_moves_only_the_cuts_near_it(void **state)
{
	size_t len = 8 * MIB, more = 77, *one = calloc(1000, sizeof *one),
	       *two = calloc(1000, sizeof *two);
	uint8_t *data = random_bytes(len, 2), *changed = malloc(len + more);
	size_t n = cuts_of(data, len, len, one), at = 3 * MIB + 5, moved = 0;

	memcpy(changed, data, at);
	memset(changed + at, 0xa5, more);
	memcpy(changed + at + more, data + at, len - at);
	size_t m = cuts_of(changed, len + more, len + more, two);
	for (size_t i = 0, k = 0; i < m; i++) {
		size_t was = two[i] <= at ? two[i] : two[i] - more;
		while (k < n && one[k] < was)
			k++;
		moved += k == n || one[k] != was;
	}
	assert_true(moved <= 6);
	free(data);
	free(changed);
	free(one);
	free(two);
}

static void a_recipe_is_these_bytes_and_no_others(void **state)
{
	struct recipe r = { .check = 0x1122334455667788, .head_size = 2, .tail_size = 1,
			    .head = "hd", .tail = "t", .n = 1 };
	uint8_t bytes[RECIPE_MAX], zero[16] = { 0 };
	struct recipe back;

	r.ranges[0] = (struct range){ .from = 3, .len = 7 };
	piece_name(r.ranges[0].piece, "ten bytes.", 10);
	size_t len = recipe_encode(bytes, &r);
	assert_int_equal(len, 12 + 3 + 28);
	assert_memory_equal(bytes, "\x88\x77\x66\x55\x44\x33\x22\x11\2\1\1\0hdt", 15);
	assert_memory_not_equal(bytes + 15, zero, 16);
	assert_memory_equal(bytes + 31, "\x0a\0\0\0\3\0\0\0\7\0\0\0", 12);
	assert_int_equal(recipe_decode(&back, bytes, len, 10), 0);
	assert_int_equal(back.ranges[0].from, 3);
	assert_int_equal(back.ranges[0].len, 7);
	assert_true(back.check == r.check);

	for (size_t cut = 0; cut < len; cut++)
		assert_int_equal(recipe_decode(&back, bytes, cut, 10), ERR_CORRUPT);
	assert_int_equal(recipe_decode(&back, bytes, len + 1, 10), ERR_CORRUPT);
	assert_int_equal(recipe_decode(&back, bytes, len, 11), ERR_CORRUPT);
	/* Ranges that leave their piece, or are none. */
	bytes[35] = 4;
	assert_int_equal(recipe_decode(&back, bytes, len, 10), ERR_CORRUPT);
	memset(bytes + 35, 0xff, 4);
	assert_int_equal(recipe_decode(&back, bytes, len, 10), ERR_CORRUPT);
	memset(bytes + 35, 0, 8);
	assert_int_equal(recipe_decode(&back, bytes, len, 3), ERR_CORRUPT);
	/* A piece that is too long; more ranges than there can be; a long head. */
	r.ranges[0].piece[PIECE_NAME - 2] = 5;
	len = recipe_encode(bytes, &r);
	assert_int_equal(recipe_decode(&back, bytes, len, 10), ERR_CORRUPT);
	bytes[11] = 0xff;
	assert_int_equal(recipe_decode(&back, bytes, len, 10), ERR_CORRUPT);
	bytes[8] = RECIPE_WRAP + 1;
	assert_int_equal(recipe_decode(&back, bytes, len, 10), ERR_CORRUPT);
}

static void what_compresses_is_compressed_and_the_rest_is_raw(void **state)
{
	uint8_t *noise = random_bytes(PACK_MAX, 3), *text = malloc(PACK_MAX),
		*back = malloc(PACK_MAX);
	struct packer *p = packer_new();
	struct packed packed;

	for (size_t i = 0; i < PACK_MAX; i++)
		text[i] = "what a block is "[i % 16];
	pack(p, noise, PACK_MAX, &packed);
	assert_int_equal(packed.encoding, ENCODING_RAW);
	assert_ptr_equal(packed.data, noise);
	pack(p, text, PACK_MAX, &packed);
	assert_int_equal(packed.encoding, ENCODING_ZSTD);
	assert_in_range(packed.stored, 1, 200);
	assert_int_equal(
	    unpack(p, ENCODING_ZSTD, packed.data, packed.stored, back, PACK_MAX), 0);
	assert_memory_equal(back, text, PACK_MAX);
	packer_free(p);
	free(noise);
	free(text);
	free(back);
}

/* hostile.md 86 */
static void a_frame_that_lies_is_damage(void **state)
{
	size_t room = ZSTD_compressBound(2 * PACK_MAX), n;
	uint8_t *zero = calloc(1, 64 * MIB), *out = malloc(PACK_MAX), *frame = malloc(room);
	struct packer *p = packer_new();
	ZSTD_CCtx *c = ZSTD_createCCtx();

	/* More than it says; less. */
	n = ZSTD_compress(frame, room, zero, 5000, 1);
	assert_int_equal(unpack(p, ENCODING_ZSTD, frame, n, out, 5000), 0);
	assert_int_equal(unpack(p, ENCODING_ZSTD, frame, n, out, 4999), ERR_CORRUPT);
	assert_int_equal(unpack(p, ENCODING_ZSTD, frame, n, out, 5001), ERR_CORRUPT);
	for (size_t cut = 0; cut < n; cut++)
		assert_int_equal(unpack(p, ENCODING_ZSTD, frame, cut, out, 5000), ERR_CORRUPT);
	/* A second frame, or anything else, behind it. */
	memcpy(frame + n, frame, n);
	assert_int_equal(unpack(p, ENCODING_ZSTD, frame, 2 * n, out, 5000), ERR_CORRUPT);
	assert_int_equal(unpack(p, ENCODING_ZSTD, frame, n + 1, out, 5000), ERR_CORRUPT);
	/* 64 MiB in a few kilobytes, with a window of that size. */
	n = ZSTD_compress(frame, room, zero, 64 * MIB, 1);
	assert_int_equal(unpack(p, ENCODING_ZSTD, frame, n, out, PACK_MAX), ERR_CORRUPT);
	assert_int_equal(unpack(p, ENCODING_ZSTD, frame, n, out, 64 * MIB), ERR_CORRUPT);
	/* Without a size; of a dictionary nobody has. */
	ZSTD_CCtx_setParameter(c, ZSTD_c_contentSizeFlag, 0);
	n = ZSTD_compress2(c, frame, room, zero, 5000);
	assert_false(ZSTD_isError(n));
	assert_int_equal(unpack(p, ENCODING_ZSTD, frame, n, out, 5000), ERR_CORRUPT);
	static const uint8_t dictionary[] = { 0x28, 0xb5, 0x2f, 0xfd, 0x21, 0x07, 0x04,
					      0x21, 0x00, 0x00, 'a',  'b',  'c',  'd' };
	assert_int_equal(unpack(p, ENCODING_ZSTD, dictionary, sizeof dictionary, out, 4),
			 ERR_CORRUPT);
	assert_int_equal(unpack(p, 2, "abcd", 4, out, 4), ERR_CORRUPT);
	assert_int_equal(unpack(p, ENCODING_RAW, "abcd", 4, out, 5), ERR_CORRUPT);
	ZSTD_freeCCtx(c);
	packer_free(p);
	free(zero);
	free(out);
	free(frame);
}

static void a_long_block_is_made_of_pieces_and_equal_ones_cost_once(void **state)
{
	struct store *s = open_store(STORE_WRITE | STORE_CREATE);
	uint8_t *data = random_bytes(2 * MIB, 4);
	uint64_t before;

	put(s, data, MIB);
	assert_int_equal(get(s, data, MIB), 0);
	assert_in_range(stat_of(s).pieces, 8, 20);
	assert_in_range(disk(s), MIB, MIB + 4000);
	/* The same with a change at each end: all but two or three pieces again. */
	before = disk(s);
	data[5] ^= 1;
	data[MIB - 5] ^= 1;
	put(s, data, MIB);
	assert_in_range(disk(s) - before, 1, 5 * PIECE_MAX / 2);
	assert_int_equal(get(s, data, MIB), 0);
	data[5] ^= 1;
	data[MIB - 5] ^= 1;
	assert_int_equal(get(s, data, MIB), 0);
	put(s, data, 2 * MIB);
	/* A small one is whole. */
	uint64_t pieces = stat_of(s).pieces;
	put(s, data, 16 << 10);
	assert_int_equal(stat_of(s).pieces, pieces);
	assert_int_equal(store_close(s), 0);

	s = open_store(0);
	assert_int_equal(get(s, data, MIB), 0);
	assert_int_equal(get(s, data, 2 * MIB), 0);
	assert_int_equal(get(s, data, 16 << 10), 0);
	store_close(s);
	uint64_t blocks = 0, damaged = 1;
	assert_int_equal(store_rebuild(dir, &blocks, &damaged), 0);
	assert_int_equal(blocks, 4);
	assert_int_equal(damaged, 0);
	s = open_store(STORE_WRITE);
	assert_int_equal(get(s, data, MIB), 0);
	assert_int_equal(get(s, data, 2 * MIB), 0);
	store_close(s);
	free(data);
}

static void text_takes_less_room(void **state)
{
	struct store *s = open_store(STORE_WRITE | STORE_CREATE);
	char *text = malloc(MIB);
	size_t len = 0;

	for (unsigned i = 0; len < MIB - 64; i++)
		len += (size_t)snprintf(text + len, 64, "line %u of a log, %u\n", i, i * 7919);
	put(s, (uint8_t *)text, 3000);
	put(s, (uint8_t *)text, len);
	assert_in_range(disk(s), 1, MIB / 2);
	assert_int_equal(get(s, (uint8_t *)text, 3000), 0);
	assert_int_equal(get(s, (uint8_t *)text, len), 0);
	store_close(s);
	free(text);
}

/* One name for very many pieces. */
static void poor_name(uint8_t out[PIECE_NAME], const void *data, size_t len)
{
	uint8_t first = *(const uint8_t *)data & 3;

	piece_name(out, data, len);
	memset(out, first, PIECE_NAME - 4);
}

static void colliding_pieces_keep_their_bytes(void **state)
{
	struct store *s = open_store(STORE_WRITE | STORE_CREATE);
	enum { N = 12 };
	uint8_t *data[N];

	s->piece_name = poor_name;
	/* Zeros, but for some: pieces of the same length everywhere. */
	for (int i = 0; i < N; i++) {
		data[i] = calloc(1, MIB);
		for (size_t k = 0; k < MIB; k += PIECE_MAX)
			data[i][k + 7] = (uint8_t)(i + k / PIECE_MAX);
		put(s, data[i], MIB);
	}
	assert_in_range(stat_of(s).pieces, N + 3, 4 * N);
	for (int i = 0; i < N; i++)
		assert_int_equal(get(s, data[i], MIB), 0);
	store_close(s);
	assert_int_equal(store_rebuild(dir, NULL, NULL), 0);
	s = open_store(0);
	for (int i = 0; i < N; i++) {
		assert_int_equal(get(s, data[i], MIB), 0);
		free(data[i]);
	}
	store_close(s);
}

static void a_name_used_again_for_other_bytes_gives_no_wrong_block(void **state)
{
	struct store *s = open_store(STORE_WRITE | STORE_CREATE);
	uint8_t *one = calloc(1, MIB), *two = calloc(1, MIB);
	struct record_name key;
	uint8_t name[PIECE_NAME];
	struct place at;

	s->piece_name = poor_name;
	one[9] = 1;
	two[9] = 2;
	put(s, one, MIB);
	/* The first piece is lost, and its name goes to another. */
	poor_name(name, one, PIECE_MAX);
	record_name_of(&key, RECORD_PIECE, name, PIECE_NAME, s->seed);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(store_find(s, &key, &at), 1);
		store_drop(s, &key, &at);
		put(s, two, MIB);
		two[10]++;
	}
	int r = get(s, one, MIB);
	assert_true(r == ERR_MISSING);
	put(s, one, MIB);
	assert_int_equal(get(s, one, MIB), 0);
	store_close(s);
	free(one);
	free(two);
}

static void a_damaged_piece_costs_its_blocks_and_is_stored_again(void **state)
{
	struct store *s = open_store(STORE_WRITE | STORE_CREATE);
	uint8_t *data = random_bytes(MIB, 5);

	put(s, data, MIB);
	put(s, data, MIB / 2);
	assert_int_equal(store_sync(s), 0);
	/* A byte of the first piece. */
	uint8_t byte = (uint8_t)~data[100];
	assert_int_equal(pwrite(s->logs[LOG_KEEP].active->fd, &byte, 1, SEGMENT_HEADER + RECORD_HEADER +
								 PIECE_NAME + 100),
			 1);
	assert_int_equal(get(s, data, MIB), ERR_MISSING);
	assert_int_equal(stat_of(s).corrupt, 1);
	assert_int_equal(get(s, data, MIB / 2), ERR_MISSING);
	assert_int_equal(stat_of(s).corrupt, 2);
	put(s, data, MIB);
	assert_int_equal(get(s, data, MIB), 0);
	assert_int_equal(get(s, data, MIB / 2), ERR_MISSING);
	store_close(s);

	/* A piece that is damaged when an equal one comes is not taken for it. */
	s = open_store(STORE_WRITE);
	struct record_name key;
	struct place at;
	uint8_t name[PIECE_NAME];
	size_t *cuts = calloc(100, sizeof *cuts);
	cuts_of(data, MIB, MIB, cuts);
	piece_name(name, data, cuts[0]);
	record_name_of(&key, RECORD_PIECE, name, PIECE_NAME, s->seed);
	assert_int_equal(store_find(s, &key, &at), 1);
	assert_int_equal(pwrite(s->logs[LOG_KEEP].active->fd, &byte, 1,
				at.offset + RECORD_HEADER + PIECE_NAME + 100),
			 1);
	put(s, data, MIB / 2);
	assert_int_equal(get(s, data, MIB / 2), 0);
	assert_int_equal(get(s, data, MIB), 0);
	store_close(s);
	free(cuts);
	free(data);
}

static void a_block_whose_piece_is_lost_is_not_rebuilt(void **state)
{
	struct store *s = open_store(STORE_WRITE | STORE_CREATE);
	uint8_t *data = random_bytes(MIB, 6), *other = random_bytes(MIB, 7);
	uint64_t blocks = 0, damaged = 0;
	size_t len = 0;

	put(s, data, MIB);
	put(s, other, MIB);
	store_close(s);
	uint8_t *file = scratch_read(dir, SEGMENT_1, &len);
	file[SEGMENT_HEADER + RECORD_HEADER + PIECE_NAME + 100] ^= 1;
	scratch_write(dir, SEGMENT_1, file, len);
	assert_int_equal(store_rebuild(dir, &blocks, &damaged), 0);
	assert_int_equal(blocks, 1);
	assert_true(damaged > PIECE_MIN);
	s = open_store(0);
	assert_int_equal(get(s, data, MIB), ERR_MISSING);
	assert_int_equal(get(s, other, MIB), 0);
	assert_int_equal(stat_of(s).corrupt, 0);
	store_close(s);
	free(file);
	free(data);
	free(other);
}

/* The leaves of a file, as a stream.  Which of them: one, or all. */
static void put_stream(struct store *s, const uint8_t *data, size_t len, size_t leaf)
{
	struct store_stream *st = store_stream_new(s);
	struct multihash name;

	for (size_t i = 0; i * leaf < len; i++) {
		size_t n = len - i * leaf < leaf ? len - i * leaf : leaf;
		multihash_sha256(&name, data + i * leaf, n);
		assert_int_equal(store_stream_put(st, i, &name, data + i * leaf, n, 3, 2),
				 0);
	}
	assert_int_equal(store_stream_finish(st), 0);
	store_stream_free(st);
}

static void get_stream(struct store *s, const uint8_t *data, size_t len, size_t leaf)
{
	for (size_t at = 0; at < len; at += leaf)
		assert_int_equal(get(s, data + at, len - at < leaf ? len - at : leaf), 0);
}

static void an_insertion_into_a_file_costs_the_pieces_near_it(void **state)
{
	size_t len = 16 * MIB, more = 100, at = 5 * MIB + 77;
	uint8_t *data = random_bytes(len, 8), *changed = malloc(len + more);
	struct store *s = open_store(STORE_WRITE | STORE_CREATE);
	struct store_stream *st = store_stream_new(s);
	struct multihash name;
	uint64_t before;

	for (size_t i = 0; i < len / MIB; i++) {
		multihash_sha256(&name, data + i * MIB, MIB);
		assert_int_equal(store_stream_put(st, i, &name, data + i * MIB, MIB, 0, 0),
				 0);
	}
	assert_int_equal(store_stream_finish(st), 0);
	store_stream_free(st);
	get_stream(s, data, len, MIB);

	memcpy(changed, data, at);
	memset(changed + at, 7, more);
	memcpy(changed + at + more, data + at, len - at);
	before = disk(s);
	st = store_stream_new(s);
	for (size_t i = 0; i * MIB < len + more; i++) {
		size_t n = len + more - i * MIB < MIB ? len + more - i * MIB : MIB;
		multihash_sha256(&name, changed + i * MIB, n);
		assert_int_equal(
		    store_stream_put(st, i, &name, changed + i * MIB, n, 0, 0), 0);
	}
	assert_int_equal(store_stream_finish(st), 0);
	store_stream_free(st);
	assert_in_range(disk(s) - before, 1, 4 * PIECE_MAX);
	get_stream(s, changed, len + more, MIB);
	assert_int_equal(store_close(s), 0);
	s = open_store(0);
	get_stream(s, data, len, MIB);
	get_stream(s, changed, len + more, MIB);
	store_close(s);
	free(data);
	free(changed);
}

static void leaves_of_any_size_make_a_stream(void **state)
{
	static const size_t leaves[] = { 1000, 20000, 65536, 300001, 2 * MIB };
	struct store *s = open_store(STORE_WRITE | STORE_CREATE);
	uint8_t *data = random_bytes(3 * MIB, 9);

	for (int i = 0; i < 5; i++) {
		put_stream(s, data, 3 * MIB - 11, leaves[i]);
		get_stream(s, data, 3 * MIB - 11, leaves[i]);
	}
	/* Much the same again: nothing is lost where leaves are known. */
	put_stream(s, data, 3 * MIB - 12, 65536);
	get_stream(s, data, 3 * MIB - 12, 65536);
	store_close(s);
	free(data);
}

struct putter {
	struct store_stream *st;
	const uint8_t *data;
	atomic_uint *next;
	unsigned n, skip;
	int error;
	pthread_t thread;
};

/* ---- what is mostly an older block ---- */

static void put_like(struct store *s, const struct multihash *older, const uint8_t *data,
		     size_t len, struct multihash *name)
{
	multihash_sha256(name, data, len);
	assert_int_equal(store_put_like(s, older, name, data, len), 0);
}

static void what_differs_from_an_older_block_costs_room(void **state)
{
	struct store *s = open_store(STORE_WRITE | STORE_CREATE);
	uint8_t *data = random_bytes(3 * MIB, 17), *leaf = data + MIB;
	struct multihash older, name;
	uint64_t before;

	/* Cut as a part of its file, so that its first and last piece are others' too. */
	put_stream(s, data, 3 * MIB, MIB);
	multihash_sha256(&older, leaf, MIB);
	for (size_t at = 1000; at < MIB; at += 100000) {
		before = disk(s);
		memset(leaf + at, (int)at, 4096);
		put_like(s, &older, leaf, MIB, &name);
		assert_true(disk(s) - before < 48 << 10);
		assert_int_equal(get(s, leaf, MIB), 0);
		older = name;
	}
	/* The whole of it, and nothing. */
	memset(leaf, 7, MIB);
	put_like(s, &older, leaf, MIB, &name);
	assert_int_equal(get(s, leaf, MIB), 0);
	before = disk(s);
	put_like(s, &older, leaf, MIB, &name);
	assert_int_equal(disk(s), before);
	/* Of another length, or like nothing that is there. */
	put_like(s, &older, leaf, MIB - 1, &name);
	assert_int_equal(get(s, leaf, MIB - 1), 0);
	leaf[5]++;
	multihash_sha256(&older, leaf, 5);
	put_like(s, &older, leaf, MIB, &name);
	assert_int_equal(store_sync(s), 0);
	assert_int_equal(store_close(s), 0);
	s = open_store(0);
	assert_int_equal(get(s, leaf, MIB), 0);
	store_close(s);
	free(data);
}

static void a_block_of_too_many_parts_is_cut_anew(void **state)
{
	struct store *s = open_store(STORE_WRITE | STORE_CREATE);
	uint8_t *data = random_bytes(2 * MIB, 18);
	struct multihash older, name;
	uint64_t random = 1;

	put(s, data, 2 * MIB);
	multihash_sha256(&older, data, 2 * MIB);
	for (int i = 0; i < 200; i++) {
		struct record_name key;
		struct recipe r;
		struct place at;

		data[scratch_random(&random) % (2 * MIB)]++;
		put_like(s, &older, data, 2 * MIB, &name);
		record_name(&key, &name, s->seed);
		assert_int_equal(store_find(s, &key, &at), 1);
		assert_int_equal(store_read_recipe(s, &key, &at, &r), 0);
		assert_true(r.n <= 70);
		if (i % 20 == 0)
			assert_int_equal(get(s, data, 2 * MIB), 0);
		older = name;
	}
	assert_int_equal(get(s, data, 2 * MIB), 0);
	store_close(s);
	free(data);
}

static void a_damaged_piece_is_not_taken_over(void **state)
{
	struct store *s = open_store(STORE_WRITE | STORE_CREATE);
	uint8_t *data = random_bytes(MIB, 19);
	struct multihash older, name;

	put(s, data, MIB);
	assert_int_equal(store_sync(s), 0);
	uint8_t byte = (uint8_t)~data[100];
	assert_int_equal(pwrite(s->logs[LOG_KEEP].active->fd, &byte, 1, SEGMENT_HEADER + RECORD_HEADER +
								 PIECE_NAME + 100),
			 1);
	multihash_sha256(&older, data, MIB);
	data[MIB - 1]++;
	put_like(s, &older, data, MIB, &name);
	assert_int_equal(get(s, data, MIB), 0);
	store_close(s);
	free(data);
}

static void *put_some(void *arg)
{
	struct putter *p = arg;
	struct multihash name;

	for (unsigned i; (i = atomic_fetch_add(p->next, 1)) < p->n;) {
		if (i == p->skip) {
			store_stream_break(p->st);
			continue;
		}
		multihash_sha256(&name, p->data + i * 65536, 65536);
		int r = store_stream_put(p->st, i, &name, p->data + i * 65536, 65536, 0, 0);
		if (r < 0)
			p->error = r;
	}
	return NULL;
}

static void leaves_are_put_by_many_threads_and_may_stop(void **state)
{
	struct store *s = open_store(STORE_WRITE | STORE_CREATE);
	uint8_t *data = random_bytes(8 * MIB, 10);

	for (unsigned round = 0; round < 2; round++) {
		struct store_stream *st = store_stream_new(s);
		atomic_uint next = 0;
		struct putter w[4];
		unsigned skip = round ? 1000 : 33;

		for (int i = 0; i < 4; i++) {
			w[i] = (struct putter){ st, data, &next, 128, skip, 0, 0 };
			assert_int_equal(
			    pthread_create(&w[i].thread, NULL, put_some, &w[i]), 0);
		}
		for (int i = 0; i < 4; i++) {
			pthread_join(w[i].thread, NULL);
			assert_int_equal(w[i].error, 0);
		}
		assert_int_equal(store_stream_finish(st), 0);
		store_stream_free(st);
		for (unsigned i = 0; i < 128; i++)
			assert_int_equal(get(s, data + i * 65536, 65536),
					 i == skip ? ERR_MISSING : 0);
	}
	store_close(s);
	free(data);
}

static void a_stream_given_up_leaves_whole_leaves_only(void **state)
{
	struct store *s = open_store(STORE_WRITE | STORE_CREATE);
	struct store_stream *st = store_stream_new(s);
	uint8_t *data = random_bytes(2 * MIB, 11);
	struct multihash name;

	for (unsigned i = 0; i < 2; i++) {
		multihash_sha256(&name, data + i * MIB, MIB);
		assert_int_equal(store_stream_put(st, i, &name, data + i * MIB, MIB, 0, 0),
				 0);
	}
	store_stream_free(st);
	assert_int_equal(get(s, data, MIB), 0);
	assert_int_equal(get(s, data + MIB, MIB), ERR_MISSING);
	assert_int_equal(store_close(s), 0);
	free(data);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(the_gear_table_follows_from_splitmix64),
		TEST(cuts_do_not_depend_on_buffers),
		TEST(an_insertion_moves_only_the_cuts_near_it),
		TEST(a_recipe_is_these_bytes_and_no_others),
		TEST(what_compresses_is_compressed_and_the_rest_is_raw),
		TEST(a_frame_that_lies_is_damage),
		TEST(a_long_block_is_made_of_pieces_and_equal_ones_cost_once),
		TEST(text_takes_less_room),
		TEST(colliding_pieces_keep_their_bytes),
		TEST(a_name_used_again_for_other_bytes_gives_no_wrong_block),
		TEST(a_damaged_piece_costs_its_blocks_and_is_stored_again),
		TEST(a_block_whose_piece_is_lost_is_not_rebuilt),
		TEST(what_differs_from_an_older_block_costs_room),
		TEST(a_block_of_too_many_parts_is_cut_anew),
		TEST(a_damaged_piece_is_not_taken_over),
		TEST(an_insertion_into_a_file_costs_the_pieces_near_it),
		TEST(leaves_of_any_size_make_a_stream),
		TEST(leaves_are_put_by_many_threads_and_may_stop),
		TEST(a_stream_given_up_leaves_whole_leaves_only),
	};

	/* The damage here is ours: no need to tell. */
	log_set_level(-1);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
