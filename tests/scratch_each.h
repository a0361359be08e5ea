/*
 * A directory of its own for each test of a program, for cmocka.
 */
#ifndef TESTS_SCRATCH_EACH_H
#define TESTS_SCRATCH_EACH_H

#include "tests/scratch.h"

static char dir[SCRATCH_MAX];

static int set_up(void **state)
{
	scratch_make(dir);
	return 0;
}

static int tear_down(void **state)
{
	scratch_remove(dir);
	return 0;
}

#endif
