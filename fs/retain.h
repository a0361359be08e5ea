/*
 * Which snapshots are kept: pure functions.  A rule such as
 * "hourly=24,daily=30" keeps the newest snapshot of each of the newest 24 hours
 * that have one, and of each of the newest 30 days; what no part of it keeps is
 * let go.  Hours, days, weeks (from Monday), months and years are those of UTC.
 */
#ifndef FS_RETAIN_H
#define FS_RETAIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum retain_by { RETAIN_LAST, RETAIN_HOURLY, RETAIN_DAILY, RETAIN_WEEKLY, RETAIN_MONTHLY, RETAIN_YEARLY, RETAIN_KINDS };

struct retention {
	bool all;		       /* keep everything */
	uint32_t n[RETAIN_KINDS]; /* how many of each kind */
};

#define RETAIN_TEXT_MAX 128

/* "all", or "last=N,hourly=N,daily=N,weekly=N,monthly=N,yearly=N" in any order,
 * each at most once.  -EINVAL.  */
int retention_parse(struct retention *out, const char *text);
const char *retention_text(const struct retention *r, char out[RETAIN_TEXT_MAX]);

/*
 * Go through a history, the newest snapshot first: is the next one kept, whose time is
 * `time_ms` (unix time)?  The first always is.  Times that do not fall (clocks of
 * others) are taken as no later than the one before.
 */
struct retaining {
	struct retention rule; /* `n`: how many are still to be kept */
	int64_t time_ms;
	struct {
		int64_t period;
		bool any;
	} last[RETAIN_KINDS]; /* that was kept */
	bool begun;
};
void retaining_begin(struct retaining *w, const struct retention *rule);
bool retaining_next(struct retaining *w, int64_t time_ms);

#endif
