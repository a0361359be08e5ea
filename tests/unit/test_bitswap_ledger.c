/* What peers want of us: bounded, by priority, and no trace of who has gone. */
#include "net/bitswap_ledger.h"
#include "store/error.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <string.h>

static struct bitswap_item item(uint32_t block, int32_t priority)
{
	struct bitswap_item i = {
		.kind = BITSWAP_WANT,
		.cid = { .version = 1,
			 .codec = CODEC_RAW,
			 .hash = { .code = HASH_SHA2_256, .size = 32 } },
		.priority = priority,
	};
	memcpy(i.cid.hash.digest, &block, sizeof block);
	return i;
}

static uint32_t number(const struct demand *d)
{
	uint32_t n;
	memcpy(&n, d->cid.hash.digest, sizeof n);
	return n;
}

static int add(struct ledger *l, uint32_t block, int32_t priority)
{
	struct bitswap_item i = item(block, priority);
	return ledger_want(l, &i);
}

struct fixture {
	struct ledgers all;
	struct ledger a, b;
};

static void set_up(struct fixture *f)
{
	ledgers_init(&f->all, 7);
	ledger_init(&f->a, &f->all);
	ledger_init(&f->b, &f->all);
}

static void tear_down(struct fixture *f)
{
	ledger_release(&f->a);
	ledger_release(&f->b);
	assert_int_equal(f->all.n, 0);
	assert_int_equal(f->all.n_standing, 0);
	assert_int_equal(f->all.standing.n, 0);
	ledgers_release(&f->all);
}

static void woken(void *arg, struct ledger *l)
{
	(*(int *)arg)++;
}

static void the_highest_priority_is_next_and_then_the_oldest(void **state)
{
	static const struct {
		uint32_t block;
		int32_t priority;
	} asked[] = { { 1, 5 },  { 2, INT32_MAX }, { 3, 5 },
		      { 4, -1 }, { 5, INT32_MIN }, { 6, 0 } };
	static const uint32_t expected[] = { 2, 1, 3, 6, 4, 5 };
	struct fixture f;

	set_up(&f);
	for (size_t i = 0; i < sizeof asked / sizeof *asked; i++)
		assert_int_equal(add(&f.a, asked[i].block, asked[i].priority), 0);
	for (size_t i = 0; i < sizeof expected / sizeof *expected; i++) {
		struct demand *d = ledger_next(&f.a);
		assert_non_null(d);
		assert_int_equal(number(d), expected[i]);
		demand_done(d);
	}
	assert_null(ledger_next(&f.a));
	tear_down(&f);
}

static void asked_twice_is_answered_once(void **state)
{
	struct fixture f;

	set_up(&f);
	add(&f.a, 1, 1);
	add(&f.a, 2, 2);
	add(&f.a, 1, 3); /* more urgent now */
	assert_int_equal(f.a.n, 2);
	struct demand *d = ledger_next(&f.a);
	assert_int_equal(number(d), 1);
	add(&f.a, 1, 3); /* while it is being read */
	assert_int_equal(f.a.n, 2);
	demand_done(d);
	assert_int_equal(f.a.n, 1);
	tear_down(&f);
}

static void a_want_for_the_block_outweighs_a_want_have(void **state)
{
	struct fixture f;
	struct bitswap_item i = item(1, 1);

	set_up(&f);
	i.want_have = true;
	ledger_want(&f.a, &i);
	i.want_have = false;
	ledger_want(&f.a, &i);
	i.want_have = true;
	ledger_want(&f.a, &i);
	struct demand *d = ledger_next(&f.a);
	assert_false(d->want_have);
	demand_done(d);
	tear_down(&f);
}

static void b64_at_most_1024_are_kept(void **state)
{
	struct fixture f;
	int kept = 0;

	set_up(&f);
	for (uint32_t i = 0; i < 100000; i++)
		kept += add(&f.a, i, 1) == 0;
	assert_int_equal(kept, LEDGER_MAX);
	assert_int_equal(f.a.n, LEDGER_MAX);
	/* Another peer has its own. */
	assert_int_equal(add(&f.b, 1, 1), 0);
	tear_down(&f);
}

static void what_we_lack_makes_room_for_the_new(void **state)
{
	struct fixture f;

	set_up(&f);
	for (uint32_t i = 0; i < LEDGER_MAX; i++) {
		add(&f.a, i, 1);
		demand_stand(ledger_next(&f.a));
	}
	assert_int_equal(f.all.n_standing, LEDGER_MAX);
	assert_int_equal(add(&f.a, 5000, 1), 0);
	assert_int_equal(f.a.n, LEDGER_MAX);
	assert_int_equal(f.all.n_standing, LEDGER_MAX - 1);
	/* The oldest had to go. */
	struct multihash oldest = item(0, 0).cid.hash, second = item(1, 0).cid.hash;
	int n = 0;
	ledgers_have(&f.all, &oldest, woken, &n);
	assert_int_equal(n, 0);
	ledgers_have(&f.all, &second, woken, &n);
	assert_int_equal(n, 1);
	tear_down(&f);
}

static void all_who_stand_for_a_block_are_woken(void **state)
{
	struct fixture f;
	struct multihash name = item(3, 0).cid.hash;
	int n = 0;

	set_up(&f);
	add(&f.a, 3, 1);
	add(&f.b, 3, 1);
	demand_stand(ledger_next(&f.a));
	demand_stand(ledger_next(&f.b));
	ledgers_have(&f.all, &name, woken, &n);
	assert_int_equal(n, 2);
	assert_int_equal(f.all.n_standing, 0);
	struct demand *d = ledger_next(&f.b);
	assert_int_equal(number(d), 3);
	demand_done(d);
	tear_down(&f);
}

static void a_cancel_while_it_is_read_is_remembered(void **state)
{
	struct fixture f;
	struct multihash name = item(3, 0).cid.hash;

	set_up(&f);
	ledger_cancel(&f.a, &name); /* never wanted */
	add(&f.a, 3, 1);
	struct demand *d = ledger_next(&f.a);
	ledger_cancel(&f.a, &name);
	assert_true(d->cancelled);
	assert_int_equal(f.a.n, 0);
	add(&f.a, 3, 1); /* wanted again: a new one */
	assert_int_equal(f.a.n, 1);
	demand_done(d);
	assert_int_equal(f.a.n, 1);
	/* The same, and then the peer goes. */
	d = ledger_next(&f.a);
	ledger_clear(&f.a);
	assert_true(d->cancelled);
	demand_stand(d);
	tear_down(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_highest_priority_is_next_and_then_the_oldest),
		cmocka_unit_test(asked_twice_is_answered_once),
		cmocka_unit_test(a_want_for_the_block_outweighs_a_want_have),
		cmocka_unit_test(b64_at_most_1024_are_kept),
		cmocka_unit_test(what_we_lack_makes_room_for_the_new),
		cmocka_unit_test(all_who_stand_for_a_block_are_woken),
		cmocka_unit_test(a_cancel_while_it_is_read_is_remembered),
	};
	return cmocka_run_group_tests_name("bitswap_ledger", tests, NULL, NULL);
}
