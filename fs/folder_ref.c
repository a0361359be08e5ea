#include "fs/folder_ref.h"

#include "net/peer.h"
#include "store/error.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define MINUTE INT64_C(60000)
#define HOUR   (60 * MINUTE)
#define DAY    (24 * HOUR)
#define AGO_MAX (1000 * 366 * DAY)
#define BACK_DIGITS 9

static bool name_char(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       c == '.' || c == '_' || c == '-';
}

bool folder_name_ok(const char *name)
{
	size_t len = strnlen(name, FOLDER_NAME_MAX + 1);
	struct peer_id peer;
	struct cid cid;

	if (len < 1 || len > FOLDER_NAME_MAX || *name == '.' || *name == '-')
		return false;
	for (size_t i = 0; i < len; i++)
		if (!name_char(name[i]))
			return false;
	return cid_parse(&cid, name, len) < 0 && peer_parse(&peer, name, len) < 0;
}

/* ---- times ---- */

static bool digits(const char **p, int n, int *out)
{
	*out = 0;
	for (int i = 0; i < n; i++, (*p)++) {
		if (**p < '0' || **p > '9')
			return false;
		*out = *out * 10 + (**p - '0');
	}
	return true;
}

/* 2026-11-01, then perhaps [ T]12:30, then perhaps :05, then perhaps Z.  A day
 * and a minute mean all of it. */
static int parse_date(const char *p, int64_t *ms)
{
	struct tm tm = { .tm_isdst = -1 }, day;
	int64_t whole = DAY;
	bool utc;

	if (!digits(&p, 4, &tm.tm_year) || *p++ != '-' || !digits(&p, 2, &tm.tm_mon) ||
	    *p++ != '-' || !digits(&p, 2, &tm.tm_mday))
		return ERR_MALFORMED;
	tm.tm_year -= 1900;
	tm.tm_mon--;
	if (*p == ' ' || *p == 'T') {
		p++;
		if (!digits(&p, 2, &tm.tm_hour) || *p++ != ':' || !digits(&p, 2, &tm.tm_min))
			return ERR_MALFORMED;
		whole = MINUTE;
		if (*p == ':') {
			p++;
			if (!digits(&p, 2, &tm.tm_sec))
				return ERR_MALFORMED;
			whole = 1000;
		}
	}
	utc = *p == 'Z';
	p += utc;
	if (*p || tm.tm_mon > 11 || tm.tm_hour > 23 || tm.tm_min > 59 || tm.tm_sec > 59)
		return ERR_MALFORMED;
	/* There is no 31st of February. */
	day = tm;
	timegm(&day);
	if (day.tm_mday != tm.tm_mday || day.tm_mon != tm.tm_mon)
		return ERR_MALFORMED;
	if (whole == DAY) {
		/* Its end, however long it is where clocks are changed. */
		tm.tm_mday++;
		whole = 0;
	}
	time_t t = utc ? timegm(&tm) : mktime(&tm);
	*ms = (int64_t)t * 1000 + whole - 1;
	return 0;
}

static int parse_ago(const char *p, int64_t now_ms, int64_t *ms)
{
	static const struct {
		const char *word;
		int64_t ms;
	} units[] = { { "second", 1000 },   { "minute", MINUTE },   { "hour", HOUR },
		      { "day", DAY },	    { "week", 7 * DAY },    { "month", 30 * DAY },
		      { "year", 365 * DAY } };
	int64_t n = 0;

	if (*p < '0' || *p > '9')
		return ERR_MALFORMED;
	for (; *p >= '0' && *p <= '9'; p++) {
		n = n * 10 + (*p - '0');
		if (n > AGO_MAX)
			return ERR_MALFORMED;
	}
	if (*p++ != ' ')
		return ERR_MALFORMED;
	for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
		size_t len = strlen(units[i].word);
		if (strncmp(p, units[i].word, len))
			continue;
		p += len;
		p += *p == 's';
		if (strcmp(p, " ago") || n > AGO_MAX / units[i].ms)
			return ERR_MALFORMED;
		*ms = now_ms - n * units[i].ms;
		return 0;
	}
	return ERR_MALFORMED;
}

static int parse_braces(struct folder_at *out, const char *text, int64_t now_ms)
{
	out->kind = AT_TIME;
	if (!strcmp(text, "now") || !strcmp(text, "today")) {
		out->time_ms = now_ms;
		return 0;
	}
	if (!strcmp(text, "yesterday")) {
		out->time_ms = now_ms - DAY;
		return 0;
	}
	size_t n = strspn(text, "0123456789");
	if (n && n <= BACK_DIGITS && !text[n]) {
		out->kind = AT_BACK;
		out->back = strtoull(text, NULL, 10);
		return 0;
	}
	int r = parse_ago(text, now_ms, &out->time_ms);
	return r < 0 ? parse_date(text, &out->time_ms) : r;
}

int folder_at_parse(struct folder_at *out, const char *text, size_t len, int64_t now_ms)
{
	char word[FOLDER_REF_MAX + 1];

	*out = (struct folder_at){ .kind = AT_HEAD };
	if (!len)
		return 0;
	if (len > FOLDER_REF_MAX || memchr(text, 0, len))
		return ERR_MALFORMED;
	memcpy(word, text, len);
	word[len] = 0;
	if (*word == '{') {
		if (len < 3 || word[len - 1] != '}')
			return ERR_MALFORMED;
		word[len - 1] = 0;
		return parse_braces(out, word + 1, now_ms);
	}
	if (cid_parse(&out->cid, word, len) >= 0) {
		out->kind = AT_CID;
		return 0;
	}
	out->cid = (struct cid){ 0 };
	/* All 64 digits of a digest are a word too. */
	if (!folder_name_ok(word))
		return ERR_MALFORMED;
	out->kind = AT_WORD;
	memcpy(out->word, word, len + 1);
	return 0;
}

int folder_ref_parse(struct folder_ref *out, const char *text, int64_t now_ms)
{
	size_t len = strcspn(text, "@/");

	*out = (struct folder_ref){ 0 };
	if (len > FOLDER_NAME_MAX)
		return ERR_MALFORMED;
	memcpy(out->name, text, len);
	if (!folder_name_ok(out->name))
		return ERR_MALFORMED;
	text += len;
	if (*text == '@') {
		text++;
		len = strcspn(text, "/");
		if (*text == '{') {
			len = strcspn(text, "}");
			len += text[len] == '}';
		}
		int r = folder_at_parse(&out->at, text, len, now_ms);
		if (r < 0)
			return r;
		text += len;
		if (*text && *text != '/')
			return ERR_MALFORMED;
	}
	out->path = text + strspn(text, "/");
	return 0;
}

/* ---- short ids ---- */

const char *short_id(const struct cid *commit, char out[SHORT_ID + 1])
{
	out[0] = 0;
	for (int i = 0; i < SHORT_ID / 2 && i < commit->hash.size; i++)
		snprintf(out + 2 * i, 3, "%02x", commit->hash.digest[i]);
	return out;
}

bool short_id_ok(const char *word)
{
	size_t len = strspn(word, "0123456789abcdefABCDEF");

	return !word[len] && len >= SHORT_ID_MIN && len <= 2 * DIGEST_MAX;
}

bool short_id_matches(const struct cid *commit, const char *hex)
{
	size_t len = strlen(hex);

	if (len > 2 * (size_t)commit->hash.size)
		return false;
	for (size_t i = 0; i < len; i++) {
		uint8_t nibble = commit->hash.digest[i / 2] >> (i % 2 ? 0 : 4) & 15;
		if (tolower((unsigned char)hex[i]) != "0123456789abcdef"[nibble])
			return false;
	}
	return true;
}
