#include "fs/retain.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define COUNT_MAX 1000000

static const char *const words[RETAIN_KINDS] = { "last",   "hourly",  "daily",
						 "weekly", "monthly", "yearly" };

int retention_parse(struct retention *out, const char *text)
{
	struct retention r = { 0 };
	bool seen[RETAIN_KINDS] = { 0 };

	if (!strcmp(text, "all")) {
		*out = (struct retention){ .all = true };
		return 0;
	}
	for (;;) {
		size_t len = strcspn(text, "=");
		unsigned long n = 0;
		int kind;

		for (kind = 0; kind < RETAIN_KINDS; kind++)
			if (strlen(words[kind]) == len && !memcmp(words[kind], text, len))
				break;
		if (kind == RETAIN_KINDS || seen[kind] || text[len] != '=')
			return -EINVAL;
		seen[kind] = true;
		text += len + 1;
		if (*text < '0' || *text > '9')
			return -EINVAL;
		for (; *text >= '0' && *text <= '9'; text++) {
			n = n * 10 + (unsigned long)(*text - '0');
			if (n > COUNT_MAX)
				return -EINVAL;
		}
		r.n[kind] = (uint32_t)n;
		if (!*text)
			break;
		if (*text++ != ',')
			return -EINVAL;
	}
	*out = r;
	return 0;
}

const char *retention_text(const struct retention *r, char out[RETAIN_TEXT_MAX])
{
	size_t len = 0;

	if (r->all)
		return strcpy(out, "all");
	*out = 0;
	for (int i = 0; i < RETAIN_KINDS; i++)
		if (r->n[i])
			len += (size_t)snprintf(out + len, RETAIN_TEXT_MAX - len, "%s%s=%u",
						len ? "," : "", words[i], r->n[i]);
	return len ? out : strcpy(out, "last=0");
}

/* Which hour, day, ... a time lies in, as a number that tells them apart. */
static int64_t period(enum retain_by kind, int64_t ms)
{
	time_t s = (time_t)(ms / 1000 - (ms % 1000 < 0));
	struct tm tm;

	switch (kind) {
	case RETAIN_HOURLY:
		return s / 3600 - (s % 3600 < 0);
	case RETAIN_DAILY:
		return s / 86400 - (s % 86400 < 0);
	case RETAIN_WEEKLY:
		/* 1970 began on a Thursday. */
		s += 3 * 86400;
		return s / (7 * 86400) - (s % (7 * 86400) < 0);
	case RETAIN_MONTHLY:
		return gmtime_r(&s, &tm) ? (int64_t)tm.tm_year * 12 + tm.tm_mon : 0;
	case RETAIN_YEARLY:
		return gmtime_r(&s, &tm) ? tm.tm_year : 0;
	default:
		return ms;
	}
}

void retaining_begin(struct retaining *w, const struct retention *rule)
{
	*w = (struct retaining){ .rule = *rule, .time_ms = INT64_MAX };
}

bool retaining_next(struct retaining *w, int64_t time_ms)
{
	bool keep = w->rule.all || !w->begun;

	w->begun = true;
	if (time_ms < w->time_ms)
		w->time_ms = time_ms;
	for (int k = 0; k < RETAIN_KINDS; k++) {
		int64_t p = period((enum retain_by)k, w->time_ms);

		/* Of the newest ones all count, however close together. */
		if (!w->rule.n[k] || (k != RETAIN_LAST && w->last[k].any && w->last[k].period == p))
			continue;
		w->rule.n[k]--;
		w->last[k].any = true;
		w->last[k].period = p;
		keep = true;
	}
	return keep;
}
