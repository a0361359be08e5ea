/*
 * Access control lists: expected bytes written out.
 */
#include "fs/acl.h"

#include <errno.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#define NOBODY 0xff, 0xff, 0xff, 0xff

static const uint8_t plain[] = { 2, 0, 0, 0, 1, 0, 7, 0, NOBODY, 4, 0, 5, 0, NOBODY,
				 32, 0, 1, 0, NOBODY };
static const uint8_t named[] = { 2,  0, 0, 0, 1, 0, 6, 0, NOBODY, 2,  0, 7, 0, 232, 3, 0, 0,
				 4,  0, 5, 0, NOBODY,  16, 0, 6, 0, NOBODY, 32, 0, 4, 0, NOBODY };

static void a_list_without_names_is_a_mode(void **state)
{
	mode_t mode;

	assert_int_equal(acl_mode(plain, sizeof plain, &mode), 1);
	assert_int_equal(mode, 0751);
}

static void the_group_bits_are_the_mask(void **state)
{
	mode_t mode;

	assert_int_equal(acl_mode(named, sizeof named, &mode), 0);
	assert_int_equal(mode, 0664);
}

static void chmod_changes_the_mask_not_the_group(void **state)
{
	uint8_t acl[sizeof named];

	memcpy(acl, named, sizeof acl);
	assert_int_equal(acl_chmod(acl, sizeof acl, 0710), 0);
	assert_int_equal(acl[6], 7);
	assert_int_equal(acl[22], 5); /* the group's own */
	assert_int_equal(acl[30], 1); /* the mask */
	assert_int_equal(acl[38], 0);
}

static void a_new_file_gets_no_more_than_it_asks_for(void **state)
{
	uint8_t acl[sizeof named];
	mode_t mode = 0640;
	size_t len;

	assert_int_equal(acl_inherit(named, sizeof named, &mode, acl, &len), 0);
	assert_int_equal(mode, 0640);
	assert_int_equal(len, sizeof named);
	assert_int_equal(acl[6], 6);
	assert_int_equal(acl[14], 7); /* the named user, whom the mask limits */
	assert_int_equal(acl[30], 4);
	assert_int_equal(acl[38], 0);

	mode = 01777;
	assert_int_equal(acl_inherit(plain, sizeof plain, &mode, acl, &len), 0);
	assert_int_equal(mode, 01751);
	assert_int_equal(len, 0);
}

static void lists_that_may_not_be_are_refused(void **state)
{
	uint8_t acl[sizeof named];
	mode_t mode;

	for (size_t len = 0; len < sizeof named; len++)
		assert_int_equal(acl_check(named, len), -EINVAL);
	assert_int_equal(acl_check(named, sizeof named), 0);
	for (size_t i = 0; i < sizeof named; i++) {
		memcpy(acl, named, sizeof acl);
		acl[i] ^= 0x80;
		/* Ids are anybody's. */
		bool id = i >= 4 && (i - 4) % 8 >= 4;
		if (!id)
			assert_int_equal(acl_mode(acl, sizeof acl, &mode), -EINVAL);
	}
	memcpy(acl, named, sizeof acl);
	memcpy(acl + 4, named + 12, 8); /* the user twice, no owner */
	assert_int_equal(acl_check(acl, sizeof acl), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_list_without_names_is_a_mode),
		cmocka_unit_test(the_group_bits_are_the_mask),
		cmocka_unit_test(chmod_changes_the_mask_not_the_group),
		cmocka_unit_test(a_new_file_gets_no_more_than_it_asks_for),
		cmocka_unit_test(lists_that_may_not_be_are_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
