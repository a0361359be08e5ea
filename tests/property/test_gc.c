/*
 * A store, its pins and its cache against a model: whatever is put, pinned, fetched,
 * collected, evicted and reopened, in whatever order, what must be there is, right, and
 * what goes is only what nobody needs.
 */
#include "store/dagpb.h"
#include "store/error.h"
#include "store/gc.h"
#include "store/log.h"
#include "tests/scratch_each.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#define BLOCKS	300
#define LARGEST 300000
#define LINKS	4

/* Block `i`: every third one is a node that links to smaller numbers. */
struct model {
	struct cid cids[BLOCKS];
	unsigned children[BLOCKS][LINKS], n_children[BLOCKS];
	size_t sizes[BLOCKS];
	uint8_t *bytes[BLOCKS];
	bool kept[BLOCKS];   /* in the keep log: it has to be there */
	bool used[BLOCKS];   /* put or found since the holder began */
	bool maybe[BLOCKS];  /* in the cache log, perhaps */
	enum pin_mode pinned[BLOCKS];
	unsigned holders;
	unsigned stayed;     /* garbage that a gc did not see */
	uint64_t random;
	char store_dir[SCRATCH_MAX + 16], pins_dir[SCRATCH_MAX + 16];
	struct store *store;
	struct pins *pins;
};

static unsigned chance(struct model *m, unsigned n)
{
	return (unsigned)(scratch_random(&m->random) % n);
}

static void make_blocks(struct model *m)
{
	for (unsigned i = 0; i < BLOCKS; i++) {
		struct buf b = { 0 };
		uint8_t number[4] = { (uint8_t)i, (uint8_t)(i >> 8) };

		if (i % 3 == 2) {
			m->n_children[i] = 1 + chance(m, LINKS);
			for (unsigned k = 0; k < m->n_children[i]; k++) {
				m->children[i][k] = chance(m, i);
				dagpb_put_link(&b, &m->cids[m->children[i][k]], "", 0, 1);
			}
			dagpb_put_data(&b, number, sizeof number);
		} else {
			size_t len = i % 16 ? 8 + chance(m, 2000) : 8 + chance(m, LARGEST);
			buf_append(&b, number, sizeof number);
			/* The long ones have their later halves in common. */
			uint64_t random = i;
			while (b.len < len) {
				if (i % 16 == 0 && b.len >= len / 2 && random > 100)
					random = 9;
				buf_u64le(&b, scratch_random(&random));
			}
		}
		assert_false(b.failed);
		m->bytes[i] = b.data;
		m->sizes[i] = b.len;
		cid_of(&m->cids[i], 1, i % 3 == 2 ? CODEC_DAG_PB : CODEC_RAW, b.data, b.len);
	}
}

/* As an import puts: what is below first. */
static void put(struct model *m, unsigned i)
{
	for (unsigned k = 0; k < m->n_children[i]; k++)
		put(m, m->children[i][k]);
	assert_int_equal(store_put_bytes(m->store, &m->cids[i].hash, m->bytes[i], m->sizes[i]), 0);
	m->kept[i] = true;
	if (m->holders)
		m->used[i] = true;
}

static void reach(struct model *m, unsigned i, bool *live)
{
	live[i] = true;
	for (unsigned k = 0; k < m->n_children[i]; k++)
		reach(m, m->children[i][k], live);
}

static bool is_whole(struct model *m, unsigned i)
{
	bool whole = m->kept[i];

	for (unsigned k = 0; k < m->n_children[i] && whole; k++)
		whole = is_whole(m, m->children[i][k]);
	return whole;
}

/* What lies in the store for `i`: 1 the right bytes, 0 nothing, -1 anything else. */
static int look(struct model *m, unsigned i)
{
	struct block *b = NULL;
	int r = store_get(m->store, &m->cids[i].hash, &b);

	if (r == ERR_MISSING)
		return 0;
	if (r < 0)
		return -1;
	r = b->size == m->sizes[i] && !memcmp(b->data, m->bytes[i], m->sizes[i]) ? 1 : -1;
	block_unref(b);
	return r;
}

static void check(struct model *m, unsigned i)
{
	int seen = look(m, i);

	assert_true(seen >= 0);
	if (m->kept[i])
		assert_int_equal(seen, 1);
	else if (!m->maybe[i])
		assert_int_equal(seen, 0);
}

static void open_all(struct model *m)
{
	const struct store_config cfg = { .cache_quota = CACHE_QUOTA_MIN };

	assert_int_equal(store_open(&m->store, m->store_dir, STORE_WRITE | STORE_CREATE, &cfg), 0);
	assert_int_equal(pins_open(&m->pins, m->pins_dir, true), 0);
}

static void close_all(struct model *m)
{
	pins_close(m->pins);
	assert_int_equal(store_close(m->store), 0);
	m->holders = 0;
	memset(m->used, 0, sizeof m->used);
}

static void collect(struct model *m)
{
	struct gc_options o = { .pins = m->pins, .dead = 1 + chance(m, 60) };
	bool live[BLOCKS] = { false };
	struct gc_result result;
	struct store_stat st;

	for (unsigned i = 0; i < BLOCKS; i++) {
		if (m->pinned[i] == PIN_RECURSIVE)
			reach(m, i, live);
		live[i] |= m->pinned[i] == PIN_DIRECT || m->used[i];
	}
	o.dry_run = chance(m, 8) == 0;
	assert_int_equal(store_gc(m->store, &o, &result), 0);
	for (unsigned i = 0; i < BLOCKS && !o.dry_run; i++) {
		bool is = store_keeps(m->store, &m->cids[i].hash, NULL);

		if (live[i])
			assert_true(!m->kept[i] || is);
		else
			m->stayed += is;
		m->kept[i] = is;
	}
	store_stat(m->store, &st);
	assert_int_equal(st.corrupt, 0);
}

/* Segments alone: what was dropped and lies in a file yet may be there again. */
static void rebuild(struct model *m)
{
	uint64_t damaged = 1;

	close_all(m);
	assert_int_equal(store_rebuild(m->store_dir, NULL, &damaged), 0);
	assert_int_equal(damaged, 0);
	open_all(m);
	for (unsigned i = 0; i < BLOCKS; i++) {
		bool is = store_keeps(m->store, &m->cids[i].hash, NULL);

		assert_true(is || !m->kept[i]);
		m->kept[i] = is;
	}
}

static void fetch(struct model *m, unsigned i)
{
	struct block *b = NULL;

	assert_int_equal(block_verify(&b, &m->cids[i].hash, m->bytes[i], m->sizes[i]), 0);
	assert_int_equal(store_put_cached(m->store, b), 0);
	block_unref(b);
	m->maybe[i] = true;
	assert_int_equal(look(m, i), 1);
}

static void pin(struct model *m, unsigned i)
{
	enum pin_mode mode = is_whole(m, i) ? PIN_RECURSIVE : PIN_DIRECT;

	if (!m->kept[i])
		return;
	assert_int_equal(store_sync(m->store), 0);
	assert_int_equal(pins_add(m->pins, &m->cids[i], mode, ""), 0);
	m->pinned[i] = mode;
}

/* More than the quota, so that files of the cache log go. */
static void flood(struct model *m)
{
	static uint8_t data[1 << 20];

	for (int k = 0; k < 12; k++) {
		struct multihash name;
		struct block *b = NULL;
		uint64_t random = scratch_random(&m->random);

		memcpy(data, &random, sizeof random);
		multihash_sha256(&name, data, sizeof data);
		assert_int_equal(block_verify(&b, &name, data, sizeof data), 0);
		assert_int_equal(store_put_cached(m->store, b), 0);
		block_unref(b);
	}
}

static void one_step(struct model *m)
{
	unsigned i = chance(m, BLOCKS);

	switch (chance(m, 200)) {
	case 0:
		rebuild(m);
		break;
	case 1 ... 2:
		close_all(m);
		open_all(m);
		break;
	case 3 ... 6:
		collect(m);
		break;
	case 7 ... 9:
		if (m->holders && chance(m, 2)) {
			store_unhold(m->store);
			m->holders--;
		} else if (m->holders < 3) {
			assert_int_equal(store_hold(m->store), 0);
			m->holders++;
		}
		if (!m->holders)
			memset(m->used, 0, sizeof m->used);
		break;
	case 10:
		flood(m);
		break;
	case 11 ... 35:
		put(m, i);
		break;
	case 36 ... 60:
		pin(m, i);
		break;
	case 61 ... 85:
		assert_int_equal(pins_remove(m->pins, &m->cids[i], NULL), m->pinned[i] != 0);
		m->pinned[i] = 0;
		break;
	case 86 ... 100:
		fetch(m, i);
		break;
	case 101 ... 104:
		if (m->kept[i] || look(m, i) == 1) {
			assert_int_equal(store_keep(m->store, &m->cids[i].hash), 0);
			m->kept[i] = true;
			if (m->holders)
				m->used[i] = true;
		}
		break;
	default:
		check(m, i);
	}
}

static void random_work_agrees_with_a_model(void **state)
{
	struct model *m = calloc(1, sizeof *m);
	const char *steps = getenv("STEPS"), *seed = getenv("SEED");
	int n = steps ? atoi(steps) : 1200;

	m->random = seed ? strtoull(seed, NULL, 10) : 1;
	snprintf(m->store_dir, sizeof m->store_dir, "%s/store", dir);
	snprintf(m->pins_dir, sizeof m->pins_dir, "%s/pins", dir);
	assert_int_equal(mkdir(m->store_dir, 0700) | mkdir(m->pins_dir, 0700), 0);
	assert_int_equal(pins_create(&m->pins, m->pins_dir), 0);
	pins_close(m->pins);
	make_blocks(m);
	open_all(m);
	for (int step = 0; step < n; step++)
		one_step(m);
	for (unsigned i = 0; i < BLOCKS; i++)
		check(m, i);
	/* The sets of names may be wrong a few times in a thousand. */
	assert_in_range(m->stayed, 0, (unsigned)n / 20);
	close_all(m);
	for (unsigned i = 0; i < BLOCKS; i++)
		free(m->bytes[i]);
	free(m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(random_work_agrees_with_a_model, set_up,
						tear_down),
	};

	log_set_level(-1);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
