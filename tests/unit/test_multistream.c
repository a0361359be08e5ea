/* multistream-select: in one piece or in single bytes, and bounded. */
#include "net/multistream.h"
#include "store/error.h"

#include <stdlib.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#define HEADER "\x13/multistream/1.0.0\n"
#define NOISE  "\x07/noise\n"
#define YAMUX  "\x0d/yamux/1.0.0\n"
#define TLS    "\x0b/tls/1.0.0\n"
#define NA     "\x03na\n"

static const char *serve_noise(void *arg, const char *protocol)
{
	return strcmp(protocol, "/noise") == 0 ? "/noise" : NULL;
}

static const char *serve_nothing(void *arg, const char *protocol)
{
	int *asked = arg;

	(*asked)++;
	return NULL;
}

/*
 * Give `in` in pieces of `piece` bytes (0: all at once), each in memory of its
 * exact size, until an answer comes; *used counts what was taken in all.
 */
static int feed(struct multistream *m, const char *in, size_t len, size_t piece, size_t *used,
		struct buf *out)
{
	int r = 0;

	*used = 0;
	while (r == 0 && *used < len) {
		size_t n = piece && piece < len - *used ? piece : len - *used, taken;
		uint8_t *data = malloc(n);
		memcpy(data, in + *used, n);
		r = multistream_feed(m, data, n, &taken, out);
		free(data);
		assert_true(taken <= n);
		assert_true(r != 0 || taken == n);
		*used += taken;
	}
	return r;
}

#define FEED(m, text, piece, used, out) feed(m, text, sizeof(text) - 1, piece, used, out)
#define assert_sent(out, text) \
	do { \
		assert_int_equal((out)->len, sizeof(text) - 1); \
		if ((out)->len) \
			assert_memory_equal((out)->data, text, sizeof(text) - 1); \
		buf_release(out); \
	} while (0)

static void a_dialler_sends_header_and_proposal_at_once(void **state)
{
	const char *const offers[] = { "/noise", NULL };
	struct multistream m;
	struct buf out = { 0 };

	multistream_dial(&m, offers, &out);
	assert_sent(&out, HEADER NOISE);
	multistream_release(&m);
}

static void what_follows_the_agreement_is_left_to_the_application(void **state)
{
	const char *const offers[] = { "/noise", NULL };

	for (size_t piece = 0; piece < 40; piece++) {
		struct multistream m;
		struct buf out = { 0 };
		size_t used;

		/* "\x05" could be taken for the length of another line. */
		multistream_dial(&m, offers, &out);
		buf_release(&out);
		assert_int_equal(FEED(&m, HEADER NOISE "\x05tail", piece, &used, &out), 1);
		assert_int_equal(used, sizeof(HEADER NOISE) - 1);
		assert_ptr_equal(m.chosen, offers[0]);
		assert_sent(&out, "");
		assert_int_equal(FEED(&m, "x", 0, &used, &out), -EPIPE);
		multistream_release(&m);

		multistream_listen(&m, serve_noise, NULL);
		assert_int_equal(FEED(&m, HEADER NOISE "\x05tail", piece, &used, &out), 1);
		assert_int_equal(used, sizeof(HEADER NOISE) - 1);
		assert_string_equal(m.chosen, "/noise");
		assert_sent(&out, HEADER NOISE);
		multistream_release(&m);
	}
}

static void a_refused_dialler_proposes_the_next(void **state)
{
	const char *const offers[] = { "/tls/1.0.0", "/yamux/1.0.0", "/noise", NULL };

	for (size_t piece = 0; piece < 30; piece++) {
		struct multistream m;
		struct buf out = { 0 };
		size_t used;

		multistream_dial(&m, offers, &out);
		assert_sent(&out, HEADER TLS);
		assert_int_equal(FEED(&m, HEADER NA, piece, &used, &out), 0);
		assert_sent(&out, YAMUX);
		assert_int_equal(FEED(&m, NA, piece, &used, &out), 0);
		assert_sent(&out, NOISE);
		assert_int_equal(FEED(&m, NOISE, piece, &used, &out), 1);
		assert_ptr_equal(m.chosen, offers[2]);
		multistream_release(&m);
		buf_release(&out);
	}
}

static void a_dialler_without_more_offers_gives_up(void **state)
{
	const char *const offers[] = { "/tls/1.0.0", NULL };
	struct multistream m;
	struct buf out = { 0 };
	size_t used;

	multistream_dial(&m, offers, &out);
	buf_release(&out);
	assert_int_equal(FEED(&m, HEADER NA, 0, &used, &out), -EPROTONOSUPPORT);
	assert_null(m.chosen);
	assert_int_equal(FEED(&m, NA, 0, &used, &out), -EPIPE);
	multistream_release(&m);
}

static void a_dialler_takes_no_other_answer(void **state)
{
	const char *const offers[] = { "/noise", NULL };
	static const char *const answers[] = {
		NOISE, /* without a header */
		HEADER YAMUX, HEADER HEADER, HEADER "\x03no\n", "\x03na\n",
		"\x13/multistream/2.0.0\n",
	};

	for (size_t i = 0; i < sizeof answers / sizeof *answers; i++) {
		struct multistream m;
		struct buf out = { 0 };
		size_t used;

		multistream_dial(&m, offers, &out);
		buf_release(&out);
		assert_int_equal(feed(&m, answers[i], strlen(answers[i]), 0, &used, &out),
				 ERR_MALFORMED);
		multistream_release(&m);
		buf_release(&out);
	}
}

static void a_listener_refuses_and_goes_on(void **state)
{
	for (size_t piece = 0; piece < 50; piece++) {
		struct multistream m;
		struct buf out = { 0 };
		size_t used;

		multistream_listen(&m, serve_noise, NULL);
		/* A dialler may wait for our header before it proposes. */
		assert_int_equal(FEED(&m, HEADER, piece, &used, &out), 0);
		assert_sent(&out, HEADER);
		assert_int_equal(FEED(&m, TLS "\x03ls\n" "\x08/noise2\n", piece, &used, &out), 0);
		assert_sent(&out, NA NA NA);
		assert_int_equal(FEED(&m, NOISE, piece, &used, &out), 1);
		assert_sent(&out, NOISE);
		multistream_release(&m);
	}
}

static void every_truncation_is_waited_for(void **state)
{
	static const char whole[] = HEADER TLS NOISE;

	for (size_t cut = 0; cut < sizeof whole - 1; cut++) {
		struct multistream m;
		struct buf out = { 0 };
		size_t used;

		multistream_listen(&m, serve_noise, NULL);
		assert_int_equal(feed(&m, whole, cut, 0, &used, &out), 0);
		assert_int_equal(feed(&m, whole + cut, sizeof whole - 1 - cut, 0, &used, &out), 1);
		assert_sent(&out, HEADER NA NOISE);
		multistream_release(&m);
	}
}

static void b5_bad_lines_are_dropped(void **state)
{
	static const struct {
		const char *bytes;
		size_t len;
	} bad[] = {
		{ "\x00", 1 },				 /* nothing, not even a newline */
		{ "\x81\x08", 2 },			 /* 1025 */
		{ "\x81\x80\x04", 3 },			 /* 65537 */
		{ "\xff\xff\xff\xff\x0f", 5 },		 /* 2^32 - 1 */
		{ "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 11 },
		{ "\x87\x00/noise\n", 9 },		 /* not minimal */
		{ "\x07/noise ", 8 },			 /* no newline */
		{ "\x07/no\nse\n", 8 },			 /* two */
		{ "\x07/noi\0e\n", 8 },			 /* a NUL */
	};

	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		for (size_t piece = 0; piece < 3; piece++) {
			struct multistream m;
			struct buf out = { 0 };
			size_t used;

			multistream_listen(&m, serve_noise, NULL);
			assert_int_equal(FEED(&m, HEADER, 0, &used, &out), 0);
			assert_int_equal(feed(&m, bad[i].bytes, bad[i].len, piece, &used, &out),
					 ERR_MALFORMED);
			assert_int_equal(FEED(&m, NOISE, 0, &used, &out), -EPIPE);
			assert_sent(&out, HEADER);
			multistream_release(&m);
		}
	}
}

static void b5_the_longest_line_is_taken(void **state)
{
	struct multistream m;
	struct buf in = { 0 }, out = { 0 };
	int asked = 0;
	size_t used;

	buf_text(&in, HEADER "\x80\x08");
	for (int i = 0; i < 1023; i++)
		buf_u8(&in, 'x');
	buf_u8(&in, '\n');
	for (size_t piece = 0; piece < 3; piece++) {
		multistream_listen(&m, serve_nothing, &asked);
		assert_int_equal(feed(&m, (char *)in.data, in.len, piece, &used, &out), 0);
		assert_sent(&out, HEADER NA);
		multistream_release(&m);
	}
	assert_int_equal(asked, 3);
	buf_release(&in);
}

static void b6_a_flood_of_proposals_ends(void **state)
{
	struct multistream m;
	struct buf in = { 0 }, out = { 0 };
	int asked = 0;
	size_t used;

	multistream_put(&in, "/multistream/1.0.0");
	for (int i = 0; i < 100000; i++)
		multistream_put(&in, "/x");
	multistream_listen(&m, serve_nothing, &asked);
	assert_int_equal(feed(&m, (char *)in.data, in.len, 0, &used, &out), -EPROTONOSUPPORT);
	assert_int_equal(asked, MULTISTREAM_PROPOSALS);
	assert_int_equal(out.len, sizeof(HEADER) - 1 + MULTISTREAM_PROPOSALS * 4);
	multistream_release(&m);
	buf_release(&in);
	buf_release(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_dialler_sends_header_and_proposal_at_once),
		cmocka_unit_test(what_follows_the_agreement_is_left_to_the_application),
		cmocka_unit_test(a_refused_dialler_proposes_the_next),
		cmocka_unit_test(a_dialler_without_more_offers_gives_up),
		cmocka_unit_test(a_dialler_takes_no_other_answer),
		cmocka_unit_test(a_listener_refuses_and_goes_on),
		cmocka_unit_test(every_truncation_is_waited_for),
		cmocka_unit_test(b5_bad_lines_are_dropped),
		cmocka_unit_test(b5_the_longest_line_is_taken),
		cmocka_unit_test(b6_a_flood_of_proposals_ends),
	};
	return cmocka_run_group_tests_name("multistream", tests, NULL, NULL);
}
