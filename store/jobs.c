#include "store/jobs.h"

#include <sched.h>

#define DEFAULT_MAX 8

unsigned jobs_default(void)
{
	cpu_set_t cpus;
	int n = sched_getaffinity(0, sizeof cpus, &cpus) < 0 ? 1 : CPU_COUNT(&cpus);

	return n < DEFAULT_MAX ? (unsigned)n : DEFAULT_MAX;
}
