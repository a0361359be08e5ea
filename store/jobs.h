/* How many threads work that can be divided is divided among. */
#ifndef STORE_JOBS_H
#define STORE_JOBS_H

/* As many as there are CPUs for us, but not more than 8: each needs memory. */
unsigned jobs_default(void);

#endif
