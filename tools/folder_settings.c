#include "tools/folder_settings.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MS_MAX (UINT64_C(100) * 366 * 86400 * 1000)

struct unit {
	char letter;
	uint64_t factor;
};

static const struct unit times[] = { { 'd', 86400000 }, { 'h', 3600000 }, { 'm', 60000 }, { 's', 1000 }, { 0, 1000 } };
static const struct unit sizes[] = { { 'T', UINT64_C(1) << 40 }, { 'G', 1 << 30 }, { 'M', 1 << 20 }, { 'K', 1 << 10 }, { 0, 1 } };

/* A number and perhaps a unit, or "off" for 0. */
static int parse_amount(uint64_t *out, const char *text, const struct unit *units, uint64_t max)
{
	char *end;

	if (!strcmp(text, "off")) {
		*out = 0;
		return 0;
	}
	if (*text < '0' || *text > '9')
		return -EINVAL;
	errno = 0;
	uint64_t n = strtoull(text, &end, 10);
	while (units->letter && units->letter != *end)
		units++;
	if (errno || (*end && end[1]) || *end != units->letter || n > max / units->factor)
		return -EINVAL;
	*out = n * units->factor;
	return 0;
}

static const char *amount_text(uint64_t n, const struct unit *units, char out[32])
{
	if (!n)
		return strcpy(out, "off");
	while (units->letter && (n % units->factor || n / units->factor == 0))
		units++;
	snprintf(out, 32, "%" PRIu64 "%.1s", n / units->factor, &units->letter);
	return out;
}

int folder_setting_set(struct folder_settings *s, const char *key, const char *value, char *why)
{
	const char *takes;
	int r;

	if (!strcmp(key, "quiet")) {
		r = parse_amount(&s->quiet_ms, value, times, MS_MAX);
		takes = "seconds, or a time such as 30s, 10m, 2h, 1d, or off";
	} else if (!strcmp(key, "max-age")) {
		r = parse_amount(&s->max_age_ms, value, times, MS_MAX);
		takes = "seconds, or a time such as 30s, 10m, 2h, 1d, or off";
	} else if (!strcmp(key, "keep")) {
		r = retention_parse(&s->keep, value);
		takes = "all, or last=N,hourly=N,daily=N,weekly=N,monthly=N,yearly=N";
	} else if (!strcmp(key, "quota")) {
		r = parse_amount(&s->quota, value, sizes, INT64_MAX);
		takes = "bytes, as in 500M or 20G, or off";
	} else if (!strcmp(key, "ttl")) {
		r = parse_amount(&s->ttl_ms, value, times, MS_MAX);
		if (r == 0 && !s->ttl_ms)
			r = -EINVAL;
		takes = "seconds, or a time such as 30s, 10m, 2h, 1d";
	} else if (!strcmp(key, "publish")) {
		r = !strcmp(value, "on") || !strcmp(value, "off") ? 0 : -EINVAL;
		s->publish = !strcmp(value, "on");
		takes = "on or off";
	} else {
		snprintf(why, 256, "there is no setting '%.64s': there are quiet, max-age, keep, quota, publish, ttl", key);
		return -ENOENT;
	}
	if (r < 0)
		snprintf(why, 256, "%s takes %s", key, takes);
	return r;
}

json_t *folder_settings_json(const struct folder_settings *s)
{
	char quiet[32], age[32], quota[32], ttl[32], keep[RETAIN_TEXT_MAX];

	return json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:s}", "profile", s->profile->name, "quiet",
			 amount_text(s->quiet_ms, times, quiet), "max-age",
			 amount_text(s->max_age_ms, times, age), "keep",
			 retention_text(&s->keep, keep), "quota",
			 amount_text(s->quota, sizes, quota), "publish", s->publish ? "on" : "off", "ttl",
			 amount_text(s->ttl_ms, times, ttl));
}
