/* A thread that waits for blocks, with a loop and a network that are functions. */
#include "fs/waiting.h"
#include "memory_source.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <pthread.h>

struct world {
	struct blocks blocks;
	struct memory here;
	pthread_mutex_t lock;
	pthread_cond_t posted;
	void (*fn)(void *arg);
	void *arg;
	want_fn done;
	void *done_arg;
	struct cid wanted;
	int cancelled;
	bool offline;
	struct waiting *waiting;
	/* the thread's */
	struct cid cid;
	struct block *got;
	int result;
};

static struct world *of(struct blocks *b)
{
	return (struct world *)b;
}

static struct want *want(struct blocks *b, const struct want_request *rq, want_fn done, void *arg)
{
	struct world *w = of(b);

	w->wanted = rq->cid;
	w->done = done;
	w->done_arg = arg;
	return (struct want *)w;
}

static void cancel(struct blocks *b, struct want *wa)
{
	struct world *w = of(b);

	w->cancelled++;
	w->done(w->done_arg, -ECANCELED, NULL);
}

static int post(struct blocks *b, void (*fn)(void *arg), void *arg)
{
	struct world *w = of(b);

	pthread_mutex_lock(&w->lock);
	w->fn = fn;
	w->arg = arg;
	pthread_cond_signal(&w->posted);
	pthread_mutex_unlock(&w->lock);
	return 0;
}

static bool offline(struct blocks *b)
{
	return of(b)->offline;
}

static int set_up(void **state)
{
	struct world *w = calloc(1, sizeof *w);

	assert_non_null(w);
	memory_init(&w->here);
	w->blocks = (struct blocks){ .source = &w->here.source, .want = want, .cancel = cancel,
				     .post = post, .offline = offline };
	pthread_mutex_init(&w->lock, NULL);
	pthread_cond_init(&w->posted, NULL);
	assert_int_equal(waiting_new(&w->waiting, &w->blocks), 0);
	cid_of(&w->cid, 1, CODEC_RAW, "far", 3);
	*state = w;
	return 0;
}

static int tear_down(void **state)
{
	struct world *w = *state;

	waiting_free(w->waiting);
	memory_release(&w->here);
	block_unref(w->got);
	pthread_mutex_destroy(&w->lock);
	pthread_cond_destroy(&w->posted);
	free(w);
	return 0;
}

static void *get(void *arg)
{
	struct world *w = arg;

	w->result = source_get(waiting_source(w->waiting), &w->cid, &w->got);
	return NULL;
}

/* Have a thread ask, and take its question to the loop, which this is. */
static pthread_t start(struct world *w, bool run)
{
	pthread_t t;

	assert_int_equal(pthread_create(&t, NULL, get, w), 0);
	pthread_mutex_lock(&w->lock);
	while (!w->fn)
		pthread_cond_wait(&w->posted, &w->lock);
	pthread_mutex_unlock(&w->lock);
	if (run)
		w->fn(w->arg);
	return t;
}

static void what_is_here_is_given_at_once(void **state)
{
	struct world *w = *state;

	memory_put(&w->here, CODEC_RAW, "far", 3);
	get(w);
	assert_int_equal(w->result, 0);
	assert_int_equal(w->got->size, 3);
}

static void a_thread_waits_until_its_block_has_come(void **state)
{
	struct world *w = *state;
	struct block *b;
	pthread_t t = start(w, true);

	assert_true(cid_equal(&w->wanted, &w->cid));
	assert_int_equal(block_make(&b, "far", 3), 0);
	w->done(w->done_arg, 0, b);
	block_unref(b);
	pthread_join(t, NULL);
	assert_int_equal(w->result, 0);
	assert_memory_equal(w->got->data, "far", 3);
}

static void an_error_ends_the_wait(void **state)
{
	struct world *w = *state;
	pthread_t t = start(w, true);

	w->done(w->done_arg, -EIO, NULL);
	pthread_join(t, NULL);
	assert_int_equal(w->result, -EIO);
}

static void the_end_ends_those_that_wait(void **state)
{
	struct world *w = *state;
	pthread_t t = start(w, true);

	waiting_stop(w->waiting);
	pthread_join(t, NULL);
	assert_int_equal(w->result, -ECANCELED);
	assert_int_equal(w->cancelled, 1);
	/* And from then on nobody begins to. */
	get(w);
	assert_int_equal(w->result, ERR_MISSING);
}

static void the_end_comes_before_the_loop_has_heard_of_it(void **state)
{
	struct world *w = *state;
	pthread_t t = start(w, false);

	waiting_stop(w->waiting);
	pthread_join(t, NULL);
	assert_int_equal(w->result, -ECANCELED);
	w->fn(w->arg);
	assert_null(w->done);
}

static void offline_nobody_waits(void **state)
{
	struct world *w = *state;

	w->offline = true;
	get(w);
	assert_int_equal(w->result, ERR_MISSING);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(what_is_here_is_given_at_once),
		TEST(a_thread_waits_until_its_block_has_come),
		TEST(an_error_ends_the_wait),
		TEST(the_end_ends_those_that_wait),
		TEST(the_end_comes_before_the_loop_has_heard_of_it),
		TEST(offline_nobody_waits),
	};
	return cmocka_run_group_tests_name("waiting", tests, NULL, NULL);
}
