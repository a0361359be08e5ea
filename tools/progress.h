/*
 * A progress line on standard error: bytes, rate, time left.  Only on a
 * terminal; when piped nothing is shown.
 */
#ifndef TOOLS_PROGRESS_H
#define TOOLS_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

struct progress {
	const char *what; /* "adding", "getting" */
	const char *unit; /* what is counted; "files" */
	bool shown;	  /* stderr is a terminal */
	double started, last;
	bool drawn;
};

void progress_begin(struct progress *p, const char *what);
/* total 0: not known.  Draws at most five times a second. */
void progress_at(struct progress *p, uint64_t files, uint64_t bytes, uint64_t total);
/* Wipe the line. */
void progress_end(struct progress *p);

/* "1.4 GB" into out (16 bytes). */
const char *bytes_text(uint64_t n, char out[16]);

#endif
