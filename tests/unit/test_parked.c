/* Requests that wait for blocks: parked, run again, cancelled, closed. */
#include "fs/parked.h"
#include "tests/helpers/memory.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#define NOT_ENDED 1

struct log {
	int runs, result, ends;
};

/* An operation that needs its blocks one after the other, or all at once. */
struct op {
	struct parked parked;
	struct memory *m;
	struct log *log;
	struct cid needs[4];
	int n;
	bool at_once;
	struct peer_id name;
	bool *name_known;
};

static int run(struct parked *p, struct lack *lack)
{
	struct op *op = (struct op *)p;
	int r = 0;

	op->log->runs++;
	if (op->name_known && !*op->name_known) {
		lack->name = op->name;
		return ERR_MISSING;
	}
	for (int i = 0; i < op->n && (r == 0 || op->at_once); i++) {
		struct block *b;

		if (source_try(op->m->b.source, &op->needs[i], &b, &lack->blocks) < 0)
			r = ERR_MISSING;
		else
			block_unref(b);
	}
	return r;
}

static void end(struct parked *p, int result)
{
	struct op *op = (struct op *)p;

	op->log->result = result;
	op->log->ends++;
}

struct fixture {
	struct memory m;
	struct parking *parking;
	struct name_source names;
	struct log log;
	void (*name_done)(void *arg, int result);
	void *name_arg;
	bool name_cancelled, name_known;
	struct cid a, b, c;
	int closed;
};

static void *want_name(struct name_source *self, const struct peer_id *name,
		       void (*done)(void *arg, int result), void *arg)
{
	struct fixture *f =
	    (struct fixture *)((char *)self - offsetof(struct fixture, names));

	f->name_done = done;
	f->name_arg = arg;
	return f;
}

static void cancel_name(struct name_source *self, void *want)
{
	struct fixture *f = want;

	f->name_cancelled = true;
	f->name_done = NULL;
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof *f);

	memory_init(&f->m);
	f->names = (struct name_source){ want_name, cancel_name };
	f->log.result = NOT_ENDED;
	assert_int_equal(parking_new(&f->parking, &f->m.b, &f->names, 60000), 0);
	f->a = memory_raw(&f->m, "a", false);
	f->b = memory_raw(&f->m, "b", false);
	f->c = memory_raw(&f->m, "c", false);
	*state = f;
	return 0;
}

static void on_closed(void *arg)
{
	struct fixture *f = arg;

	f->closed++;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	if (!f->closed) {
		parking_close(f->parking, on_closed, f);
		memory_turn(&f->m);
	}
	assert_int_equal(f->closed, 1);
	assert_int_equal(f->m.n_wants, 0);
	assert_int_equal(parking_count(f->parking), 0);
	parking_free(f->parking);
	memory_release(&f->m);
	free(f);
	return 0;
}

static struct op *op_new(struct fixture *f, int n, bool at_once)
{
	struct op *op = calloc(1, sizeof *op);

	op->parked = (struct parked){ .run = run, .end = end, .priority = WANT_READER };
	op->m = &f->m;
	op->log = &f->log;
	op->needs[0] = f->a;
	op->needs[1] = f->b;
	op->needs[2] = f->c;
	op->n = n;
	op->at_once = at_once;
	parked_init(&op->parked, f->parking);
	return op;
}

static struct op *start(struct fixture *f, int n, bool at_once)
{
	struct op *op = op_new(f, n, at_once);

	assert_int_equal(parking_add(&op->parked, NULL), 0);
	memory_turn(&f->m);
	return op;
}

static void it_runs_again_when_its_block_has_come(void **state)
{
	struct fixture *f = *state;

	start(f, 1, false);
	assert_int_equal(f->log.runs, 1);
	assert_int_equal(f->m.n_wants, 1);
	assert_true(cid_equal(&f->m.wants->rq.cid, &f->a));
	assert_int_equal(f->m.wants->rq.timeout_ms, 60000);
	assert_int_equal(parking_count(f->parking), 1);
	memory_deliver(&f->m, &f->a);
	assert_int_equal(f->log.runs, 2);
	assert_int_equal(f->log.result, 0);
	assert_int_equal(f->log.ends, 1);
}

static void it_waits_for_the_last_of_its_blocks(void **state)
{
	struct fixture *f = *state;

	start(f, 3, true);
	assert_int_equal(f->m.n_wants, 3);
	memory_deliver(&f->m, &f->b);
	memory_deliver(&f->m, &f->a);
	assert_int_equal(f->log.runs, 1);
	memory_deliver(&f->m, &f->c);
	assert_int_equal(f->log.runs, 2);
	assert_int_equal(f->log.result, 0);
}

static void each_round_asks_for_what_it_lacks_next(void **state)
{
	struct fixture *f = *state;

	start(f, 3, false);
	memory_deliver(&f->m, &f->a);
	assert_int_equal(f->m.n_wants, 1);
	assert_true(cid_equal(&f->m.wants->rq.cid, &f->b));
	memory_deliver(&f->m, &f->b);
	memory_deliver(&f->m, &f->c);
	assert_int_equal(f->log.runs, 4);
	assert_int_equal(f->log.result, 0);
}

static void the_deadline_is_of_the_whole_operation(void **state)
{
	struct fixture *f = *state;

	start(f, 2, false);
	f->m.clock += 45000;
	memory_deliver(&f->m, &f->a);
	assert_int_equal(f->m.wants->rq.timeout_ms, 15000);
	f->m.clock += 15000;
	memory_fail(&f->m, &f->b, -ETIMEDOUT);
	assert_int_equal(f->log.result, -ETIMEDOUT);
}

static void past_its_deadline_it_asks_no_more(void **state)
{
	struct fixture *f = *state;

	start(f, 2, false);
	f->m.clock += 60000;
	memory_deliver(&f->m, &f->a);
	assert_int_equal(f->m.n_wants, 0);
	assert_int_equal(f->log.result, -EIO);
}

static void a_block_that_cannot_be_had_ends_it_and_its_other_wants(void **state)
{
	struct fixture *f = *state;

	start(f, 3, true);
	memory_fail(&f->m, &f->b, -EIO);
	assert_int_equal(f->log.result, -EIO);
	assert_int_equal(f->log.ends, 1);
	assert_int_equal(f->m.n_wants, 0);
	assert_int_equal(f->m.n_cancelled, 2);
}

static void a_cancel_ends_it_at_once(void **state)
{
	struct fixture *f = *state;
	struct op *op = start(f, 2, true);

	parked_cancel(&op->parked, -EINTR);
	parked_cancel(&op->parked, -EIO); /* too late to change the reason */
	memory_turn(&f->m);
	assert_int_equal(f->log.result, -EINTR);
	assert_int_equal(f->log.ends, 1);
	assert_int_equal(f->m.n_wants, 0);
}

static void a_cancel_before_it_was_handed_over_counts(void **state)
{
	struct fixture *f = *state;
	struct op *op = op_new(f, 1, false);

	parked_cancel(&op->parked, -EINTR);
	assert_int_equal(parking_add(&op->parked, NULL), 0);
	memory_turn(&f->m);
	assert_int_equal(f->log.runs, 0);
	assert_int_equal(f->log.result, -EINTR);
}

static void a_cancel_that_comes_after_the_end_does_nothing(void **state)
{
	struct fixture *f = *state;
	struct op *op = start(f, 1, false);

	parked_ref(&op->parked);
	memory_fail(&f->m, &f->a, -EIO);
	parked_cancel(&op->parked, -EINTR);
	memory_turn(&f->m);
	assert_int_equal(f->log.result, -EIO);
	assert_int_equal(f->log.ends, 1);
	parked_unref(&op->parked);
}

static void a_block_that_came_meanwhile_is_not_asked_for(void **state)
{
	struct fixture *f = *state;
	struct op *op = op_new(f, 1, false);
	struct cid cids[1] = { f->a };
	struct lack lack = { .blocks = { cids, 1, 1 }, .top.version = 0xff };

	memory_find(&f->m, &f->a)->here = true;
	assert_int_equal(parking_add(&op->parked, &lack), 0);
	memory_turn(&f->m);
	assert_int_equal(f->m.n_wants, 0);
	assert_int_equal(f->log.result, 0);
}

static void offline_it_fails_without_waiting(void **state)
{
	struct fixture *f = *state;

	f->m.is_offline = true;
	start(f, 1, false);
	assert_int_equal(f->log.result, -ENETUNREACH);
	assert_int_equal(f->m.n_wants, 0);
}

static void it_can_wait_for_a_name(void **state)
{
	struct fixture *f = *state;
	struct op *op = op_new(f, 0, false);

	op->name.len = 4;
	op->name_known = &f->name_known;
	assert_int_equal(parking_add(&op->parked, NULL), 0);
	memory_turn(&f->m);
	assert_non_null(f->name_done);
	assert_int_equal(f->log.ends, 0);
	f->name_known = true;
	f->name_done(f->name_arg, 0);
	memory_turn(&f->m);
	assert_int_equal(f->log.result, 0);
}

static void a_cancel_also_ends_the_wait_for_a_name(void **state)
{
	struct fixture *f = *state;
	struct op *op = op_new(f, 0, false);

	op->name.len = 4;
	op->name_known = &f->name_known;
	assert_int_equal(parking_add(&op->parked, NULL), 0);
	memory_turn(&f->m);
	parked_cancel(&op->parked, -EINTR);
	memory_turn(&f->m);
	assert_true(f->name_cancelled);
	assert_int_equal(f->log.result, -EINTR);
}

static void it_makes_way_in_a_directory_that_is_to_be_locked(void **state)
{
	struct fixture *f = *state;
	struct op *op = op_new(f, 1, false);

	op->parked.dir = 77;
	assert_int_equal(parking_add(&op->parked, NULL), 0);
	memory_turn(&f->m);
	parking_yield(f->parking, 76);
	memory_turn(&f->m);
	assert_int_equal(f->log.ends, 0);
	parking_yield(f->parking, 77);
	memory_turn(&f->m);
	assert_int_equal(f->log.result, -ESTALE);

	/* So does one that comes now; later ones may wait again. */
	f->log.ends = 0;
	op = op_new(f, 1, false);
	op->parked.dir = 77;
	assert_int_equal(parking_add(&op->parked, NULL), 0);
	memory_turn(&f->m);
	assert_int_equal(f->log.ends, 1);
	parking_yield(f->parking, 0);
	op = op_new(f, 1, false);
	op->parked.dir = 77;
	assert_int_equal(parking_add(&op->parked, NULL), 0);
	memory_turn(&f->m);
	assert_int_equal(f->log.ends, 1);
}

static void closing_ends_all_and_waits_for_what_runs(void **state)
{
	struct fixture *f = *state;
	struct op *op;

	start(f, 1, false);
	start(f, 2, true);
	op = op_new(f, 1, false);
	assert_int_equal(parking_add(&op->parked, NULL),
			 0); /* not even on the loop yet */
	parking_close(f->parking, on_closed, f);
	assert_int_equal(f->closed, 0);
	memory_turn(&f->m);
	assert_int_equal(f->closed, 1);
	assert_int_equal(f->log.ends, 3);
	assert_int_equal(f->log.result, -ENOTCONN);
	assert_int_equal(f->m.n_wants, 0);

	/* Whoever comes later keeps what he has, so that nothing of it is used. */
	op = op_new(f, 1, false);
	assert_int_equal(parking_add(&op->parked, NULL), -ENOTCONN);
	parked_unref(&op->parked);
	memory_turn(&f->m);
	assert_int_equal(f->log.ends, 3);
}

static void without_memory_it_stays_the_callers(void **state)
{
	struct fixture *f = *state;
	struct op *op = op_new(f, 1, false);

	f->m.post_fails = 1;
	assert_int_equal(parking_add(&op->parked, NULL), -ENOMEM);
	parked_unref(&op->parked);
	memory_turn(&f->m);
	assert_int_equal(f->log.ends, 0);
	assert_int_equal(parking_count(f->parking), 0);
}

static void ten_thousand_of_them_fit_in_64_mib(void **state)
{
	/* The request of libfuse and the want come on top: under 1 KiB each. */
	assert_true(sizeof(struct parked) <= 160);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(it_runs_again_when_its_block_has_come,
						setup, teardown),
		cmocka_unit_test_setup_teardown(it_waits_for_the_last_of_its_blocks,
						setup, teardown),
		cmocka_unit_test_setup_teardown(each_round_asks_for_what_it_lacks_next,
						setup, teardown),
		cmocka_unit_test_setup_teardown(the_deadline_is_of_the_whole_operation,
						setup, teardown),
		cmocka_unit_test_setup_teardown(past_its_deadline_it_asks_no_more, setup,
						teardown),
		cmocka_unit_test_setup_teardown(
		    a_block_that_cannot_be_had_ends_it_and_its_other_wants, setup,
		    teardown),
		cmocka_unit_test_setup_teardown(a_cancel_ends_it_at_once, setup,
						teardown),
		cmocka_unit_test_setup_teardown(a_cancel_before_it_was_handed_over_counts,
						setup, teardown),
		cmocka_unit_test_setup_teardown(
		    a_cancel_that_comes_after_the_end_does_nothing, setup, teardown),
		cmocka_unit_test_setup_teardown(
		    a_block_that_came_meanwhile_is_not_asked_for, setup, teardown),
		cmocka_unit_test_setup_teardown(offline_it_fails_without_waiting, setup,
						teardown),
		cmocka_unit_test_setup_teardown(it_can_wait_for_a_name, setup, teardown),
		cmocka_unit_test_setup_teardown(a_cancel_also_ends_the_wait_for_a_name,
						setup, teardown),
		cmocka_unit_test_setup_teardown(
		    it_makes_way_in_a_directory_that_is_to_be_locked, setup, teardown),
		cmocka_unit_test_setup_teardown(closing_ends_all_and_waits_for_what_runs,
						setup, teardown),
		cmocka_unit_test_setup_teardown(without_memory_it_stays_the_callers,
						setup, teardown),
		cmocka_unit_test(ten_thousand_of_them_fit_in_64_mib),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
